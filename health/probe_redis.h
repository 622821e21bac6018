/* Asks a Redis server how it is, as an independent witness, on a thread that may block, with
 * hiredis' parser.  The caller brings the byte stream (plain, TLS or Unix), so nothing here knows
 * sockets.
 *
 *     probe_redis_login(&stream, &login, deadline_us, &outcome);      once a connection
 *     probe_redis_check(&stream, with_info, deadline_us, &outcome);   as often as it is probed,
 *                                                                     with the same outcome
 *     probe_redis_keep_mark(&stream, &mark, deadline_us, &outcome);   after a good check, if wanted
 *
 * After any outcome whose `connection_is_good` is false the stream is to be closed. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/probe.h"

/* Writes the whole outcome anew. */
void probe_redis_login(const struct probe_stream *stream, const struct probe_login *login,
                       uint64_t deadline_us, struct probe_outcome *outcome);
/* The same, but the outcome keeps the info of earlier checks until a newer comes. */
void probe_redis_check(const struct probe_stream *stream, bool with_info, uint64_t deadline_us,
                       struct probe_outcome *outcome);
/* Writes the mark again if an earlier call saw it and it is gone now; true if it did.  Never the
 * first to write it, and never over another one. */
bool probe_redis_keep_mark(const struct probe_stream *stream, struct probe_mark *mark,
                           uint64_t deadline_us, struct probe_outcome *outcome);
