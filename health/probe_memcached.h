/* Asks a memcached server how it is, as an independent witness, on a thread that may block.  It is
 * used as probe_redis.h is, and leaves the same. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/probe.h"

/* Writes the whole outcome anew. */
void probe_memcached_login(const struct probe_stream *stream, const struct probe_login *login,
                           uint64_t deadline_us, struct probe_outcome *outcome);
/* The same, but the outcome keeps the info of earlier checks until a newer comes. */
void probe_memcached_check(const struct probe_stream *stream, bool with_info, uint64_t deadline_us,
                           struct probe_outcome *outcome);
/* Writes the mark again if an earlier call saw it and it is gone now (evicted, or by flush_all past
 * Sheaf); true if it did.  Never the first to write it, and never over another one. */
bool probe_memcached_keep_mark(const struct probe_stream *stream, struct probe_mark *mark,
                               uint64_t deadline_us, struct probe_outcome *outcome);
