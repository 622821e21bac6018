/* What a server says to a command that only reads when the key that it names is not there: that is
 * what a pool with `on_shard_down = miss` says of the keys of a shard that can't answer. */
#pragma once

#include "proxy/memory/redis_front.h"

/* Used by redis_absent_if_down() only. */
void redis_absent_plan(const struct redis_session *session, const struct redis_command *cmd,
                       struct memory_operation *op);

/* Sets op->instead of a planned request, if the pool wants it and the command is one of the table.
 * Commands that change something, that look at more than their keys (SCAN, KEYS, scripts), and what
 * stands in a transaction get the error all the same. */
static inline void redis_absent_if_down(const struct memory_site *site,
                                        const struct redis_session *session,
                                        const struct redis_command *cmd,
                                        struct memory_operation *op)
{
    if (site->pool->on_shard_down == ON_SHARD_DOWN_MISS && !op->is_write)
        redis_absent_plan(session, cmd, op);
}

/* The same of an MGET that was split: its parts have as many keys each as the merge knows, so
 * op->instead is only a mark, and the merge asks what stands for it. */
bool redis_absent_is_mark(const struct memory_part *part);
struct slice redis_absent_nulls(struct arena *arena, enum resp_version version, size_t count);
