/* What every plan function of the memcached front needs.  See memcached_front.h. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/memory/memory_users.h"
#include "proxy/memory/value_cache.h"
#include "shard/stamp.h"

struct buf *memcached_answer(struct memcached_call *call)
{
    call->op->way = MEMORY_ANSWERED;
    return call->op->answer;
}

void memcached_answer_text(struct memcached_call *call, const char *line)
{
    buf_text(memcached_answer(call), line);
}

void memcached_put_status(struct buf *out, uint8_t opcode, uint32_t opaque,
                          enum memcached_status status)
{
    struct memcached_binary_reply reply = { .opcode = opcode, .opaque = opaque, .status = status };

    reply.value = slice_text(memcached_status_text(status));
    memcached_binary_put(out, &reply);
}

void memcached_answer_status(struct memcached_call *call, enum memcached_status status)
{
    memcached_put_status(memcached_answer(call), call->binary->opcode, call->binary->opaque,
                         status);
}

void memcached_refuse(struct memcached_call *call, enum memcached_status status, const char *format,
                      ...)
{
    char text[512];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (call->binary != NULL) {
        struct memcached_binary_reply reply = { .opcode = call->binary->opcode,
                                                .opaque = call->binary->opaque,
                                                .status = status };

        reply.value = slice_of(text, len < (int)sizeof(text) ? (size_t)len : sizeof(text) - 1);
        memcached_binary_put(memcached_answer(call), &reply);
        return;
    }
    buf_format(memcached_answer(call), "CLIENT_ERROR %s\r\n", text);
}

/* Does the key's class let the command have it? */
static bool is_allowed(struct memcached_call *call, const struct key_class *c)
{
    if (c->access == KEY_ACCESS_FULL || (c->access == KEY_ACCESS_READ_ONLY && !call->op->is_write))
        return true;
    call->op->is_against_class = true;
    memcached_refuse(call, MEMCACHED_STATUS_NOT_LET_IN, "keys of class %s are %s", c->name,
                     c->access == KEY_ACCESS_FORBIDDEN ? "forbidden" : "read-only");
    return false;
}

bool memcached_class_has_room(struct memcached_call *call, struct slice key, uint64_t value_bytes)
{
    const struct memory_class *class = memory_site_class(call->site, key);

    if (class == NULL || class->settings->max_value_bytes == 0 ||
        value_bytes <= class->settings->max_value_bytes)
        return true;
    call->op->is_against_class = true;
    return false;
}

/* The keys of a request come one by one: those of gat are many. */
static void touch(struct memcached_call *call, const struct memory_class *class, struct slice key)
{
    struct memory_operation *op = call->op;
    uint64_t *hashes;

    if (!call->site->marks_all_writes && (class == NULL || class->settings->cache_ms == 0))
        return;
    if ((op->touched_count & (op->touched_count + 1)) == 0) { /* full: twice as many, and one */
        hashes = arena_bytes(op->arena, (2 * op->touched_count + 1) * sizeof(*hashes));
        if (op->touched_count > 0)
            memcpy(hashes, op->touched, op->touched_count * sizeof(*hashes));
        op->touched = hashes;
    }
    hashes = (uint64_t *)op->touched;
    hashes[op->touched_count++] = value_hash(key);
}

bool memcached_place(struct memcached_call *call, struct slice key, uint32_t *shard)
{
    const struct memory_class *class;

    if (slice_is_text(key, SHARD_STAMP_KEY)) {
        memcached_refuse(call, MEMCACHED_STATUS_INVALID,
                         "the key '" SHARD_STAMP_KEY "' is Sheaf's own: it marks the shard");
        return false;
    }
    if (call->user != NULL && !memory_user_may_touch(call->user, key)) {
        memcached_refuse(call, MEMCACHED_STATUS_NOT_LET_IN,
                         "this user may not touch keys of that name");
        return false;
    }
    class = memory_site_class(call->site, key);
    if (call->op->class == NULL)
        call->op->class = class;
    if (class != NULL && !is_allowed(call, class->settings))
        return false;
    if (call->op->is_write)
        touch(call, class, key);
    *shard = memory_site_place(call->site, class, key);
    return true;
}

void memcached_plan_one(struct memcached_call *call, uint32_t shard, struct slice bytes)
{
    struct memory_operation *op = call->op;

    op->one.shard = shard;
    op->one.replies = 1;
    op->one.bytes = bytes;
    op->parts = &op->one;
    op->part_count = 1;
    op->way = MEMORY_PARTS;
}

void memcached_plan_all(struct memcached_call *call, struct slice bytes, memory_merge_f *merge,
                        void *note)
{
    struct memory_operation *op = call->op;
    uint32_t count = memory_site_shards(call->site);

    op->parts = arena_new(op->arena, count * sizeof(*op->parts));
    op->part_count = count;
    for (uint32_t i = 0; i < count; i++)
        op->parts[i] = (struct memory_part){ .shard = i, .replies = 1, .bytes = bytes };
    op->merge = merge;
    op->note = note;
    op->way = MEMORY_PARTS;
}

void memcached_miss_if_down(struct memcached_call *call, const char *miss)
{
    if (call->site->pool->on_shard_down == ON_SHARD_DOWN_MISS)
        call->op->instead = slice_text(miss);
}

struct slice memcached_first_error(const struct memory_merge *m)
{
    for (uint32_t i = 0; i < m->part_count; i++)
        if (memcached_reply_is_error(m->parts[i].reply))
            return m->parts[i].reply;
    return (struct slice){ 0 };
}

void memcached_put_out_of_step(struct memory_merge *m, uint32_t part, struct buf *out)
{
    buf_text(out, "SERVER_ERROR ");
    memory_merge_blame(m, part, out);
    buf_text(out, "\r\n");
}

struct slice memcached_out_of_step(struct memory_merge *m, uint32_t part)
{
    struct buf text = { 0 };
    struct slice copy;

    memcached_put_out_of_step(m, part, &text);
    copy = arena_copy(m->arena, buf_all(&text));
    buf_fini(&text);
    return copy;
}

/* "SERVER_ERROR object too large for cache" and its like in the binary protocol's numbers. */
static enum memcached_status status_of(struct slice error)
{
    static const struct {
        const char *start;
        enum memcached_status status;
    } TABLE[] = {
        { "SERVER_ERROR object too large", MEMCACHED_STATUS_TOO_LARGE },
        { "SERVER_ERROR out of memory", MEMCACHED_STATUS_OUT_OF_MEMORY },
        { "CLIENT_ERROR cannot increment", MEMCACHED_STATUS_NOT_A_NUMBER },
        { "CLIENT_ERROR", MEMCACHED_STATUS_INVALID },
        { "ERROR", MEMCACHED_STATUS_UNKNOWN_COMMAND },
    };

    for (size_t i = 0; i < sizeof(TABLE) / sizeof(TABLE[0]); i++)
        if (slice_starts(error, slice_text(TABLE[i].start)))
            return TABLE[i].status;
    return MEMCACHED_STATUS_FOR_NOW;
}

void memcached_put_error(struct buf *out, uint8_t opcode, uint32_t opaque, struct slice error)
{
    enum memcached_status status = status_of(error);
    struct memcached_binary_reply reply = { .opcode = opcode, .opaque = opaque, .status = status };

    reply.value = slice_text(memcached_status_text(status));
    if (status == MEMCACHED_STATUS_FOR_NOW && error.len > 2) /* what shard, and why */
        reply.value = slice_of(error.at, error.len - 2);
    memcached_binary_put(out, &reply);
}

struct slice memcached_line_flag(struct slice line, uint32_t first, char flag)
{
    struct slice word;

    for (uint32_t i = 0; memcached_next_word(&line, &word); i++)
        if (i >= first && word.at[0] == (uint8_t)flag)
            return slice_from(word, 1);
    return (struct slice){ 0 };
}
