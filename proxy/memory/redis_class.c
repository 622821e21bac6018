/* See redis_class.h.  A script may change what it names, so it counts as a write unless its command
 * says otherwise; keys that a command does not name are seen by nobody. */
#include "proxy/memory/redis_class.h"

#include <inttypes.h>

#include "proxy/memory/value_cache.h"

#define EXCESS "ERR a value of %" PRIu64 " bytes is larger than max_value of class %s, %" PRIu64

static bool changes(const struct redis_call *call)
{
    return (call->cmd->flags & REDIS_COMMAND_WRITE) != 0 ||
           (call->cmd->plan == REDIS_SCRIPT && (call->cmd->flags & REDIS_COMMAND_READ) == 0);
}

static bool has_access(struct redis_call *call, const struct key_class *c)
{
    switch (c->access) {
    case KEY_ACCESS_FULL:
        return true;
    case KEY_ACCESS_READ_ONLY:
        if (!changes(call))
            return true;
        redis_error(call, "NOPERM keys of class %s are read-only, and '%s' may change them",
                    c->name, call->cmd->name);
        break;
    case KEY_ACCESS_FORBIDDEN:
        redis_error(call, "NOPERM keys of class %s are forbidden", c->name);
        break;
    }
    call->op->is_against_class = true;
    return false;
}

/* What SETRANGE and SETBIT make of a value reaches to a place that they name. */
static uint64_t reach_of(const struct redis_call *call)
{
    bool is_range = slice_is_text(slice_text(call->cmd->name), "setrange");
    uint64_t offset;

    if (!is_range && !slice_is_text(slice_text(call->cmd->name), "setbit"))
        return 0;
    if (!slice_to_u64(call->args[2], &offset) || offset > INT64_MAX)
        return 0; /* the server's to refuse */
    return is_range ? offset + call->args[3].len : offset / 8 + 1;
}

/* The largest of the words that are no keys and belong to the key at `place`: of pairs the one
 * behind it, else any. */
static uint64_t value_bytes(const struct redis_call *call, const struct redis_keys *keys,
                            uint32_t place)
{
    uint64_t most = reach_of(call);
    size_t next_key = 0;

    if (call->cmd->keys == REDIS_KEYS_PAIRS)
        return call->args[place + 1].len;
    for (size_t i = 1; i < call->count; i++) {
        if (next_key < keys->count && keys->at[next_key] == i)
            next_key++;
        else if (call->args[i].len > most)
            most = call->args[i].len;
    }
    return most;
}

static bool has_room(struct redis_call *call, const struct redis_keys *keys, uint32_t place,
                     const struct key_class *c)
{
    uint64_t len;

    if (c->max_value_bytes == 0 || (call->cmd->flags & REDIS_COMMAND_WRITE) == 0)
        return true;
    len = value_bytes(call, keys, place);
    if (len <= c->max_value_bytes)
        return true;
    redis_error(call, EXCESS, len, c->name, c->max_value_bytes);
    call->op->is_against_class = true;
    return false;
}

/* Keys whose values workers may keep, and that this may change. */
static void touch(struct redis_call *call, const struct redis_keys *keys)
{
    struct memory_operation *op = call->op;
    uint64_t *hashes;

    if (!changes(call))
        return;
    hashes = arena_bytes(op->arena, (keys->count + 1) * sizeof(*hashes));
    for (size_t i = 0; i < keys->count; i++) {
        struct slice key = call->args[keys->at[i]];
        const struct memory_class *class = memory_site_class(call->site, key);

        if (call->site->marks_all_writes || (class != NULL && class->settings->cache_ms > 0))
            hashes[op->touched_count++] = value_hash(key);
    }
    op->touched = hashes;
}

void redis_class_put_excess(struct buf *out, const struct key_class *c, uint64_t len)
{
    resp_put_error_text(out, EXCESS, len, c->name, c->max_value_bytes);
}

bool redis_class_may_change_any(const struct redis_call *call)
{
    if (call->site->sorter == NULL && !call->site->marks_all_writes)
        return false;
    return changes(call) ||
           (call->cmd->plan == REDIS_ADMIN && (call->cmd->flags & REDIS_COMMAND_READ) == 0);
}

bool redis_class_admits(struct redis_call *call, const struct redis_keys *keys)
{
    struct memory_operation *op = call->op;
    const struct memory_class *class;
    bool has_ttl = false;

    if (keys->count > 1) {
        struct redis_shared *shared = redis_shared_of(call->site);

        op->key_count = (uint32_t)keys->count;
        shared->draws = shared->draws * 1664525 + 1013904223;
        op->any_key = call->args[keys->at[(shared->draws >> 8) % keys->count]];
    }
    if (call->site->sorter == NULL && !call->site->marks_all_writes)
        return true;
    touch(call, keys);
    for (size_t i = 0; i < keys->count; i++) {
        class = memory_site_class(call->site, call->args[keys->at[i]]);
        if (i == 0)
            op->class = class;
        if (class == NULL)
            continue;
        if (!has_access(call, class->settings) ||
            !has_room(call, keys, keys->at[i], class->settings)) {
            op->class = class;
            return false;
        }
        has_ttl = has_ttl || class->settings->ttl_ms > 0;
    }
    if (has_ttl && changes(call))
        redis_class_limit(call, keys);
    return true;
}

bool redis_class_keeps_any(const struct memory_site *site)
{
    for (uint32_t i = 0; i < site->pool->class_count; i++)
        if (site->pool->classes[i]->access == KEY_ACCESS_FORBIDDEN)
            return true;
    return false;
}
