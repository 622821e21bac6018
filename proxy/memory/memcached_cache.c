/* get of one key whose class has a `cache`, as redis_cache.c does it: a key that is asked for again
 * is asked for with the time it has left (mg k t f v), and its row is kept.  memcached tells that
 * time in whole seconds, of which the first may be almost over. */
#include <inttypes.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/memory/value_cache.h"

enum { AGAIN_US = 1000000, SECOND_US = 1000000 };

/* What is known of a value before it is there; in the arena. */
struct fill {
    struct value_key key;
    struct value_mark mark;
    uint64_t asked_us, generation;
    size_t class; /* in site->classes */
};

bool memcached_cache_answers(struct memcached_call *call)
{
    const struct memory_class *class = call->op->class;
    struct value_key key = { .name = call->text->key };
    struct slice value;

    if (class == NULL || class->cache == NULL || call->text->verb != MEMCACHED_GET ||
        call->site->has_writes_open)
        return false;
    key.hash = value_hash(key.name);
    if (!value_cache_find(class->cache, &key, call->site->now_us, &value)) {
        call->op->cache = MEMORY_CACHE_MISS;
        return false;
    }
    call->op->cache = MEMORY_CACHE_HIT;
    buf_slice(memcached_answer(call), value);
    return true;
}

static void keep(struct memory_merge *m, const struct fill *fill, struct slice left,
                 struct slice row)
{
    const struct memory_class *class = &m->site->classes[fill->class];
    uint64_t most_us = class->settings->cache_ms * 1000, until_us = fill->asked_us + most_us;
    int64_t seconds;

    if (m->site->generation != fill->generation || left.at == NULL ||
        !slice_to_i64(left, &seconds) || seconds == 0)
        return;
    if (seconds > 0 && (uint64_t)seconds <= most_us / SECOND_US)
        until_us = fill->asked_us + (uint64_t)(seconds - 1) * SECOND_US;
    value_cache_put(class->cache, &fill->key, row, until_us, fill->mark);
}

static void merge_fill(struct memory_merge *m)
{
    const struct fill *fill = m->note;
    struct slice whole = m->parts[0].reply, flags;
    struct memcached_reply reply = { 0 };
    size_t begin = m->out->len;

    if (memcached_reply_is_error(whole)) {
        buf_slice(m->out, whole);
        return;
    }
    if (memcached_reply_read(whole, &reply) != ERR_NONE ||
        !(slice_is_text(reply.code, "EN") || slice_is_text(reply.code, "VA"))) {
        memcached_merge_out_of_step(m);
        return;
    }
    if (reply.has_value) {
        flags = memcached_reply_flag(&reply, 'f');
        buf_format(m->out, "VALUE %.*s %.*s %zu\r\n", (int)fill->key.name.len,
                   (const char *)fill->key.name.at, (int)flags.len, (const char *)flags.at,
                   reply.value.len);
        buf_slice(m->out, reply.value);
        buf_text(m->out, "\r\n");
    }
    buf_text(m->out, "END\r\n");
    if (reply.has_value)
        keep(m, fill, memcached_reply_flag(&reply, 't'), slice_from(buf_all(m->out), begin));
}

void memcached_cache_fill(struct memcached_call *call)
{
    struct memory_operation *op = call->op;
    struct value_cache *cache = op->class == NULL ? NULL : op->class->cache;
    struct slice key = call->text->key;
    struct buf line = { 0 };
    struct fill *fill;

    if (op->cache != MEMORY_CACHE_MISS ||
        !value_cache_is_asked_again(cache, value_hash(key), call->site->now_us, AGAIN_US))
        return;
    fill = arena_new(op->arena, sizeof(*fill));
    fill->key = (struct value_key){ arena_copy(op->arena, key), value_hash(key), 0 };
    fill->mark = value_mark_of(fill->key.hash);
    fill->asked_us = call->site->now_us;
    fill->generation = call->site->generation;
    fill->class = (size_t)(op->class - call->site->classes);
    buf_format(&line, "mg %.*s t f v\r\n", (int)key.len, (const char *)key.at);
    op->one.bytes = arena_copy(op->arena, buf_all(&line));
    buf_fini(&line);
    memcached_miss_if_down(call, "EN\r\n");
    op->merge = merge_fill;
    op->note = fill;
}
