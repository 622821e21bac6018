/* Rates, histories and latencies of pools and shards, from what the workers count (core/stats.h):
 * sampled once a second, added up over workers.  Everything here belongs to the steward's thread.
 *
 *     samples_take(samples, now_us);                          once a second
 *     row = samples_find(samples, "sessions", "", 0);         a pool
 *     row = samples_find(samples, "sessions", "10.0.0.1:6379", 0);
 *     samples_rate(samples, row, SAMPLE_requests)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/core/stats.h"

enum sample_count {
#define COUNT(member, kind, name, pool_text, shard_text) SAMPLE_##member,
#include "proxy/steward_counts.def"
#undef COUNT
    SAMPLE_COUNTS,
};

enum {
    SAMPLES_RATE_SECONDS = 5,
    SAMPLES_HISTORY_SECONDS = 60,
    SAMPLES_LATENCY_SECONDS = 5, /* recent latency is that of the last 5 to 10 s */
};

/* How a count is told. */
struct sample_kind {
    const char *name;                   /* "requests" */
    const char *pool_text, *shard_text; /* "": not told of it */
    bool rises;
};
extern const struct sample_kind samples_kinds[SAMPLE_COUNTS];

struct samples_row;
struct samples;

struct samples *samples_new(void);
void samples_free(struct samples **where);
void samples_take(struct samples *s, uint64_t now_us);
/* NULL: no worker has worked for it yet; the functions below take that for zeros. */
const struct samples_row *samples_find(const struct samples *s, const char *pool,
                                       const char *endpoint, uint32_t shard);
/* As of now, not of the last sample. */
uint64_t samples_total(const struct samples_row *row, enum sample_count which);
/* Per second, over the last SAMPLES_RATE_SECONDS. */
double samples_rate(const struct samples *s, const struct samples_row *row,
                    enum sample_count which);
/* Of each of the last SAMPLES_HISTORY_SECONDS, the oldest first. */
void samples_history(const struct samples *s, const struct samples_row *row,
                     enum sample_count which, uint32_t *out);
/* Writes over `out`: recent latencies, or those since the start. */
void samples_latency(const struct samples_row *row, bool recent, struct histogram *out);
