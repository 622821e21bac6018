/* What every plan function needs: answers, errors, encoding, keys and their shard.  See
 * redis_front.h.
 *
 * Encoding measures first and then writes into one piece of the arena, so that a large value is
 * copied once. */
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_front.h"
#include "proxy/memory/redis_transaction.h"
#include "proxy/memory/redis_users.h"
#include "shard/stamp.h"

struct buf *redis_answer(struct redis_call *call)
{
    call->op->way = MEMORY_ANSWERED;
    return call->op->answer;
}

void redis_answer_ok(struct redis_call *call)
{
    buf_put(redis_answer(call), "+OK\r\n", 5);
}

void redis_error(struct redis_call *call, const char *format, ...)
{
    struct buf text = { 0 };
    char small[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(small, sizeof(small), format, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len < sizeof(small)) {
        resp_put_error(redis_answer(call), slice_of(small, (size_t)len));
    } else {
        va_start(args, format);
        vsnprintf((char *)buf_reserve(&text, (size_t)len + 1), (size_t)len + 1, format, args);
        va_end(args);
        resp_put_error(redis_answer(call), slice_of(text.at, (size_t)len));
        buf_fini(&text);
    }
    redis_transaction_spoil(call->session);
}

bool redis_may_hold(struct redis_call *call, size_t more)
{
    if (call->session->base.held_bytes + more <= call->site->pool->base.max_session_bytes)
        return true;
    redis_error(call, "ERR the session would hold more than max_session_memory of pool %s",
                call->site->pool->base.name);
    return false;
}

void redis_error_of_words(struct redis_call *call)
{
    struct buf text = { 0 };

    redis_command_put_error(&text, call->cmd, call->args, call->count);
    resp_put_error(redis_answer(call), buf_all(&text));
    buf_fini(&text);
    redis_transaction_spoil(call->session);
}

bool redis_must_wait(struct redis_call *call)
{
    if (call->site->idle)
        return false;
    call->op->after_all = true;
    return true;
}

static size_t digits_of(size_t value)
{
    size_t digits = 1;

    for (; value >= 10; value /= 10)
        digits++;
    return digits;
}

size_t redis_header_bytes(size_t value)
{
    return 1 + digits_of(value) + 2;
}

uint8_t *redis_put_header(uint8_t *at, char type, size_t value)
{
    size_t digits = digits_of(value);

    *at++ = (uint8_t)type;
    for (size_t i = digits; i > 0; i--, value /= 10)
        at[i - 1] = (uint8_t)('0' + value % 10);
    at += digits;
    *at++ = '\r';
    *at++ = '\n';
    return at;
}

struct slice redis_encode(struct arena *arena, const struct slice *words, size_t count)
{
    size_t size = redis_header_bytes(count);
    uint8_t *start, *at;

    for (size_t i = 0; i < count; i++)
        size += redis_header_bytes(words[i].len) + words[i].len + 2;
    start = arena_bytes(arena, size);
    at = redis_put_header(start, '*', count);
    for (size_t i = 0; i < count; i++) {
        at = redis_put_header(at, '$', words[i].len);
        if (words[i].len > 0)
            memcpy(at, words[i].at, words[i].len);
        at += words[i].len;
        *at++ = '\r';
        *at++ = '\n';
    }
    assert((size_t)(at - start) == size);
    return slice_of(start, size);
}

struct slice redis_encode_texts(struct arena *arena, const char *const *texts)
{
    enum { MOST = 8 };
    struct slice words[MOST];
    size_t count = 0;

    for (; texts[count] != NULL; count++) {
        assert(count < MOST);
        words[count] = slice_text(texts[count]);
    }
    return redis_encode(arena, words, count);
}

struct slice redis_join(struct arena *arena, struct slice a, struct slice b)
{
    uint8_t *both = arena_bytes(arena, a.len + b.len);

    memcpy(both, a.at, a.len);
    if (b.len > 0)
        memcpy(both + a.len, b.at, b.len);
    return slice_of(both, a.len + b.len);
}

struct slice redis_call_bytes(struct redis_call *call)
{
    const struct slice *words = call->args;
    size_t count = call->count;

    if (!call->op->is_inline && call->guard == NULL)
        return call->op->raw;
    redis_call_guard(call, &words, &count);
    return redis_encode(call->op->arena, words, count);
}

void redis_add_ends(struct arena *arena, struct memory_part *part, const struct redis_ends *ends)
{
    if (ends->count == 0)
        return;
    part->bytes = redis_join(arena, part->bytes, ends->bytes);
    part->replies += ends->count;
    part->unheard = ends->count;
}

void redis_plan_one(struct redis_call *call, uint32_t shard, struct slice bytes)
{
    struct memory_operation *op = call->op;

    op->one = (struct memory_part){ .shard = shard, .replies = 1, .bytes = bytes };
    redis_add_ends(op->arena, &op->one, &call->ends);
    op->parts = &op->one;
    op->part_count = 1;
    op->way = MEMORY_PARTS;
}

void redis_plan_all(struct redis_call *call, struct slice bytes, uint32_t replies,
                    memory_merge_f *merge, void *note)
{
    struct memory_operation *op = call->op;
    uint32_t count = memory_site_shards(call->site);

    op->parts = arena_new(op->arena, count * sizeof(*op->parts));
    for (uint32_t i = 0; i < count; i++)
        op->parts[i] = (struct memory_part){ .shard = i, .replies = replies, .bytes = bytes };
    op->part_count = count;
    op->merge = merge;
    op->note = note;
    op->way = MEMORY_PARTS;
}

bool redis_has_stamp(const struct memory_site *site, const struct memory_state *state)
{
    return site->pool->stamp && state->database == 0;
}

bool redis_is_stamp_key(struct slice key)
{
    return key.len == sizeof(SHARD_STAMP_KEY) - 1 &&
           memcmp(key.at, SHARD_STAMP_KEY, sizeof(SHARD_STAMP_KEY) - 1) == 0;
}

void redis_error_of_stamp(struct redis_call *call)
{
    redis_error(call, "ERR '" SHARD_STAMP_KEY "' is the pool's own mark on this shard and can't be "
                      "used through the pool");
}

/* To hear no more of a channel is nobody's secret. */
static bool may_touch(struct redis_call *call, struct slice key)
{
    if (call->cmd->plan != REDIS_SUBSCRIBE)
        return memory_user_may_touch(call->user, key);
    if (strstr(call->cmd->name, "unsubscribe") != NULL)
        return true;
    return call->cmd->name[0] == 'p' ? redis_user_may_hear(call->user, key)
                                     : memory_user_may_touch(call->user, key);
}

static bool keys_are_allowed(struct redis_call *call, const struct redis_keys *keys)
{
    bool channels = call->cmd->keys == REDIS_KEYS_CHANNELS;

    for (size_t i = 0; i < keys->count; i++) {
        struct slice key = call->args[keys->at[i]];

        if (!channels && redis_is_stamp_key(key) &&
            redis_has_stamp(call->site, &call->session->base)) {
            redis_error_of_stamp(call);
            return false;
        }
        if (!may_touch(call, key)) {
            redis_error(call,
                        "NOPERM this user has no permissions to access one of the %s used as "
                        "arguments",
                        channels ? "channels" : "keys");
            return false;
        }
    }
    return true;
}

bool redis_call_keys(struct redis_call *call, struct redis_keys *out)
{
    uint32_t *keys = arena_bytes(call->op->arena, call->count * sizeof(*keys));

    if (redis_command_keys(call->cmd, call->args, call->count, keys, &out->count) != ERR_NONE) {
        redis_error_of_words(call);
        return false;
    }
    out->at = keys;
    if (out->count > 0)
        call->op->key = call->args[keys[0]];
    call->op->is_channel = call->cmd->keys == REDIS_KEYS_CHANNELS;
    return keys_are_allowed(call, out) &&
           (call->cmd->keys == REDIS_KEYS_CHANNELS || redis_class_admits(call, out));
}

bool redis_call_shard(struct redis_call *call, const struct redis_keys *keys, uint32_t *out)
{
    uint32_t shard = 0;

    for (size_t i = 0; i < keys->count; i++) {
        struct slice key = call->args[keys->at[i]];
        uint32_t other = call->cmd->keys == REDIS_KEYS_CHANNELS
                             ? shard_map_find(call->site->map, key).shard
                             : memory_site_find(call->site, key);

        if (i > 0 && other != shard) {
            redis_error(call, REDIS_CROSSSLOT);
            return false;
        }
        shard = other;
    }
    *out = shard;
    return true;
}

/* All keys of the pattern begin so: do they lie where `key` does?  They do if their tag is among
 * what they begin with. */
static bool is_beside(const struct memory_site *site, struct slice start, struct slice key)
{
    return site->home_count == 0 && shard_map_hashed_part(site->map, start).len < start.len &&
           shard_map_find(site->map, start).shard == shard_map_find(site->map, key).shard;
}

/* Of SORT, whose patterns may read whatever key. */
bool redis_call_names_its_keys(struct redis_call *call)
{
    bool bound = call->user != NULL && call->user->key_prefix_count > 0;
    struct slice start;
    size_t place = 0;

    while (redis_command_next_pattern(call->cmd, call->args, call->count, &place, &start)) {
        if (bound)
            redis_error(call,
                        "NOPERM BY and GET patterns can read any key, so a user with key prefixes "
                        "may not have them in '%s'",
                        call->cmd->name);
        else if (memory_site_shards(call->site) > 1 && !is_beside(call->site, start, call->args[1]))
            redis_error(call,
                        "ERR BY and GET patterns read keys that may live on other shards, so '%s' "
                        "can't have them in this pool without a tag of the key's shard before "
                        "their *",
                        call->cmd->name);
        else if (redis_class_keeps_any(call->site))
            redis_error(call,
                        "NOPERM BY and GET patterns can read any key, so '%s' can't have them in a "
                        "pool with forbidden keys",
                        call->cmd->name);
        else
            continue;
        return false;
    }
    return true;
}
