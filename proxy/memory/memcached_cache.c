/* get of one key whose class has a `cache`, as redis_cache.c does it: a key that is asked for again
 * is asked for with the time it has left (mg k t f v), and its row is kept. */
#include <inttypes.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/memory/value_fill.h"

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

static void merge_fill(struct memory_merge *m)
{
    const struct value_fill *fill = m->note;
    struct slice whole = m->parts[0].reply, flags;
    struct memcached_reply reply = { 0 };
    size_t begin = m->out->len;

    if (memcached_reply_is_error(whole)) {
        buf_slice(m->out, whole);
        return;
    }
    if (memcached_reply_read(whole, &reply) != ERR_NONE ||
        !(slice_is_text(reply.code, "EN") || slice_is_text(reply.code, "VA"))) {
        memcached_put_out_of_step(m, 0, m->out);
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
        value_fill_keep_s(fill, m->site, slice_from(buf_all(m->out), begin),
                          memcached_reply_flag(&reply, 't'));
}

void memcached_cache_fill(struct memcached_call *call)
{
    struct memory_operation *op = call->op;
    struct slice key = call->text->key;
    const struct value_key value_key = { .name = key, .hash = value_hash(key) };
    struct value_fill *fill = value_fill_new(call->site, op, &value_key);
    struct buf line = { 0 };

    if (fill == NULL)
        return;
    buf_format(&line, "mg %.*s t f v\r\n", (int)key.len, (const char *)key.at);
    op->one.bytes = arena_copy(op->arena, buf_all(&line));
    buf_fini(&line);
    memcached_miss_if_down(call, "EN\r\n");
    op->merge = merge_fill;
    op->note = fill;
}
