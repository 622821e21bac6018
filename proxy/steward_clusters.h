/* The clusters behind SQL pools, as the steward sees them: who of a pool's servers is the primary,
 * how far the others are behind, who must not be used.  Everything here belongs to the steward's
 * thread; what it finds is on the board.
 *
 *     clusters_follow(clusters, assembly, endpoint_was);     at the start, and at each reload
 *     clusters_probed(clusters, endpoint, &outcome);         news from a probe
 *     clusters_judge(clusters, pool);                        after those, and after new verdicts
 *
 * Endpoints and pools that are not of SQL are passed over. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/probe.h"
#include "proxy/core/assembly.h"

struct clusters;

struct clusters *clusters_new(void);
void clusters_free(struct clusters **where);
/* Holds a reference of the assembly.  was[new endpoint] is the old one that it continues, or
 * DIFF_NONE; NULL: all are new.  Verdicts must be on the new board already. */
void clusters_follow(struct clusters *c, struct assembly *next, const uint32_t *was);
void clusters_probed(struct clusters *c, uint32_t endpoint, const struct probe_outcome *outcome);
void clusters_judge(struct clusters *all, uint32_t pool);
/* More is about to happen to this endpoint's pool than usual, so that it is worth asking often. */
bool clusters_is_unsettled(const struct clusters *all, uint32_t endpoint);
/* Would more than one of the pool's servers take writes? */
bool clusters_is_split(const struct clusters *all, uint32_t pool);
