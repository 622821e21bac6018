/* See redis_class.h.  A script may change what it names, so it counts as a write unless its command
 * says otherwise; keys that a command does not name are seen by nobody. */
#include "proxy/memory/redis_class.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_guard.h"
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

/* The word that is a string's value, among others that are none; false: any may be. */
static bool value_place(const struct redis_call *call, size_t *out)
{
    enum { NONE = 0 }; /* what becomes of it is reached, or guarded */
    static const struct {
        const char *name;
        size_t place;
    } PLACES[] = {
        { "set", 2 },         { "setnx", 2 },     { "getset", 2 },         { "append", 2 },
        { "setex", 3 },       { "psetex", 3 },    { "restore", 3 },        { "setrange", NONE },
        { "setbit", NONE },   { "copy", NONE },   { "incr", NONE },        { "decr", NONE },
        { "incrby", NONE },   { "decrby", NONE }, { "incrbyfloat", NONE }, { "bitop", NONE },
        { "bitfield", NONE }, { "pfadd", NONE },  { "pfmerge", NONE },
    };

    for (size_t i = 0; i < sizeof(PLACES) / sizeof(PLACES[0]); i++)
        if (slice_is_text(slice_text(call->cmd->name), PLACES[i].name)) {
            *out = PLACES[i].place;
            return true;
        }
    return false;
}

/* The value that the key at `place` is given, or the largest of them.  What needs no memory gives
 * none. */
static uint64_t value_bytes(const struct redis_call *call, const struct redis_keys *keys,
                            uint32_t place)
{
    uint64_t most = reach_of(call);
    size_t next_key = 0, value;

    if ((call->cmd->flags & REDIS_COMMAND_DENYOOM) == 0)
        return 0;
    if (call->cmd->keys == REDIS_KEYS_PAIRS)
        return call->args[place + 1].len;
    if (value_place(call, &value))
        return value == 0 ? most : call->args[value].len;
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

/* Of the key that becomes larger.  Over memcached the value is looked at when it is written. */
static void find_guard(struct redis_call *call)
{
    const struct memory_class *class;
    struct slice name = slice_text(call->cmd->name);
    bool is_second = slice_is_text(name, "rename") || slice_is_text(name, "renamenx") ||
                     slice_is_text(name, "copy") || slice_is_text(name, "bitop");

    if (call->site->translates || (call->cmd->flags & REDIS_COMMAND_WRITE) == 0)
        return;
    class = memory_site_class(call->site, call->args[is_second ? 2 : 1]);
    if (class != NULL && class->settings->max_value_bytes > 0 &&
        redis_guard_mode(name, class->settings) != NULL)
        call->guard = class->settings;
}

void redis_call_guard(struct redis_call *call, const struct slice **words, size_t *count)
{
    enum { NUMBER_BYTES = 24 };
    struct memory_operation *op = call->op;
    char *most, *key_count;
    struct slice *own;
    uint32_t *keys;
    size_t keys_found, before;

    if (call->guard == NULL)
        return;
    keys = arena_bytes(op->arena, *count * sizeof(*keys));
    if (redis_command_keys(call->cmd, *words, *count, keys, &keys_found) != ERR_NONE)
        return; /* which can't be: its keys were found before */
    before = REDIS_GUARD_KEYS + keys_found + REDIS_GUARD_COMMAND;
    own = arena_new(op->arena, (before + *count) * sizeof(*own));
    most = arena_bytes(op->arena, NUMBER_BYTES);
    key_count = arena_bytes(op->arena, NUMBER_BYTES);
    snprintf(most, NUMBER_BYTES, "%" PRIu64, call->guard->max_value_bytes);
    snprintf(key_count, NUMBER_BYTES, "%zu", keys_found);
    own[0] = slice_text("EVAL");
    own[REDIS_GUARD_SCRIPT] = slice_text(REDIS_GUARD);
    own[REDIS_GUARD_KEY_COUNT] = slice_text(key_count);
    for (size_t i = 0; i < keys_found; i++)
        own[REDIS_GUARD_KEYS + i] = (*words)[keys[i]];
    own += REDIS_GUARD_KEYS + keys_found;
    own[REDIS_GUARD_MOST] = slice_text(most);
    own[REDIS_GUARD_CLASS] = slice_text(call->guard->name);
    own[REDIS_GUARD_MODE] = slice_text(redis_guard_mode(slice_text(call->cmd->name), call->guard));
    memcpy(&own[REDIS_GUARD_COMMAND], *words, *count * sizeof(*own));
    *words = own - (REDIS_GUARD_KEYS + keys_found);
    *count += before;
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
    find_guard(call);
    return true;
}

bool redis_class_keeps_any(const struct memory_site *site)
{
    for (uint32_t i = 0; i < site->pool->class_count; i++)
        if (site->pool->classes[i]->access == KEY_ACCESS_FORBIDDEN)
            return true;
    return false;
}
