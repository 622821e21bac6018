/* See redis_cache.h.
 *
 *     GET k    the worker has its value: the answer
 *              else, if k was asked for a moment ago: MULTI, GET k, PTTL k, EXEC, and the value is
 *              kept until its class's time or the key's own is over, whichever comes first
 *              else as it came
 *
 * A session that has writes under way, or watches keys, is told by the server only. */
#include "proxy/memory/redis_cache.h"

#include <string.h>

#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_transaction.h"
#include "proxy/memory/value_fill.h"
#include "proxy/wire/resp_reader.h"

/* In the arena. */
struct fill {
    const struct value_fill *value;
    struct slice plain;
    bool is_plain; /* it was asked for in the plain way, after the other failed */
};

static struct value_cache *cache_of(const struct redis_call *call)
{
    return call->op->class == NULL ? NULL : call->op->class->cache;
}

static bool may_serve(const struct redis_call *call)
{
    return cache_of(call) != NULL && !call->site->has_writes_open &&
           !redis_transaction_watches(call->session) && strcmp(call->cmd->name, "get") == 0;
}

static struct value_key key_of(const struct redis_call *call)
{
    return (struct value_key){ .name = call->args[1],
                               .hash = value_hash(call->args[1]),
                               .database = call->session->base.database };
}

bool redis_cache_answers(struct redis_call *call)
{
    struct value_key key;
    struct slice value;

    if (!may_serve(call))
        return false;
    key = key_of(call);
    if (!value_cache_find(cache_of(call), &key, call->site->now_us, &value)) {
        call->op->cache = MEMORY_CACHE_MISS;
        return false;
    }
    call->op->cache = MEMORY_CACHE_HIT;
    buf_slice(redis_answer(call), value);
    return true;
}

/* The value's reply and the time it has left, of EXEC's two.  False: it is something else. */
static bool read_exec(struct slice reply, struct slice *value, struct resp_item *left)
{
    struct resp_reader reader = { reply };
    struct resp_item item;
    struct slice word;

    for (int i = 0; i < 3; i++) /* +OK, +QUEUED, +QUEUED */
        if (resp_read_skip(&reader, &word) != ERR_NONE || word.at[0] != '+')
            return false;
    return resp_read(&reader, &item) == ERR_NONE && item.type == '*' && item.count == 2 &&
           resp_read_skip(&reader, value) == ERR_NONE && resp_read(&reader, left) == ERR_NONE;
}

/* What cannot be said in a transaction (a server that loads, or whose user may not MULTI) is asked
 * for once more, as it came. */
static void merge_fill(struct memory_merge *m)
{
    struct fill *fill = m->note;
    struct resp_item left;
    struct slice value;

    if (m->parts[0].failed || fill->is_plain) {
        buf_slice(m->out, m->parts[0].reply);
        return;
    }
    if (!read_exec(m->parts[0].reply, &value, &left)) {
        if (m->site->generation != fill->value->generation || !redis_merge_has_shard(m, 0)) {
            redis_merge_out_of_step(m);
            return;
        }
        fill->is_plain = true;
        m->parts[0].bytes = fill->plain;
        m->parts[0].replies = 1;
        m->again = true;
        return;
    }
    buf_slice(m->out, value);
    if (left.type == ':' && value.at[0] == '$' &&
        value.at[1] != '-') /* no error, and it is there */
        value_fill_keep(fill->value, m->site, value, left.integer);
}

struct value_fill *redis_cache_fill_new(struct redis_call *call)
{
    struct value_key key = key_of(call);

    return value_fill_new(call->site, call->op, &key);
}

void redis_cache_fill(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct arena *arena = op->arena;
    const struct slice ttl[] = { slice_text("PTTL"), call->args[1] };
    const struct value_fill *value;
    struct fill *fill;
    struct slice get;

    if (op->way != MEMORY_PARTS || (value = redis_cache_fill_new(call)) == NULL)
        return;
    fill = arena_new(arena, sizeof(*fill));
    fill->value = value;
    get = fill->plain = redis_encode(arena, call->args, call->count);
    op->parts = arena_new(arena, sizeof(*op->parts));
    *op->parts = op->one;
    op->parts->bytes = redis_join(
        arena, redis_join(arena, slice_text("*1\r\n$5\r\nMULTI\r\n"), get),
        redis_join(arena, redis_encode(arena, ttl, 2), slice_text("*1\r\n$4\r\nEXEC\r\n")));
    op->parts->replies = 4;
    op->merge = merge_fill;
    op->note = fill;
}
