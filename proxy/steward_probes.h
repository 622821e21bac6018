/* Probes of endpoints, by a few threads that may block: each endpoint in its own rhythm, over a
 * connection that is kept from one probe to the next.  Every other function belongs to the
 * steward's thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/probe.h"
#include "proxy/core/assembly.h"
#include "proxy/io/mailbox.h"
#include "proxy/io/resolve.h"

struct probes;

/* `news` is posted to `box` after each probe, without content; probes_next() has the findings. */
enum err probes_start(struct resolver *resolver, struct mailbox *box, mail_f *news,
                      struct probes **out) MUST_CHECK;
/* What is to be probed from now on; was[new endpoint] is the old one that it continues, or
 * DIFF_NONE; NULL: all are new.  Findings of before are forgotten. */
void probes_follow(struct probes *p, struct assembly *assembly, const uint32_t *was);
/* From now on it is asked in a quarter of the time, or as often as before. */
void probes_hasten(struct probes *p, uint32_t endpoint, bool hastily);
/* It is asked now, or soon if it has just been. */
void probes_hurry(struct probes *p, uint32_t endpoint);
/* One finding, of an endpoint of the assembly followed last; false: there is none. */
bool probes_next(struct probes *p, uint32_t *endpoint, struct probe_outcome *outcome);
/* Cuts short what is under way. */
void probes_stop(struct probes **where);
