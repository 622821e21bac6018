/* Commands that are more than one meta command can say.  See redis_over.h.
 *
 *     ask -----mg (v t f c)-----> decide: the verb of the embedded stores, over what was read
 *      ^                             |-- it wrote nothing: its reply is the reply
 *      |                             v
 *      +--- changed meanwhile --- ms or md, with the cas of what was read, or as add
 *                                    |-- done: the verb's reply is the reply
 *
 * Each change gives a value another cas, also those of its time to live, since they are made here
 * and nowhere by a touch: so what is written rests on what was read.
 *
 * Where the end of a value's life must stay as it is, or is told, or is far away, memcached's own
 * clock is needed: `stats` tells it, before and after the value was read, and once both say the
 * same second it is known when the value ends. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_over.h"
#include "proxy/memory/verbs_call.h"
#include "proxy/wire/memcached_meta.h"

enum { TRIES_MOST = 100, VALUE_ROOM = 1024 };

/* Bytes of the arena that are written anew each time around. */
struct room {
    uint8_t *at;
    size_t cap;
};

struct change {
    uint64_t generation;           /* when it was planned: a cas means nothing to another server */
    const struct key_class *class; /* of that generation; NULL: none */
    uint64_t end_ms;               /* what a value lives that has no end of its own; 0: for ever */
    struct slice key, request;     /* in the arena */
    uint8_t version;
    bool is_clocked;
    bool is_dated;    /* what is over at once is so by a date that the client gave */
    bool keeps_flags; /* what other clients mark values with stays, as the value does */
    bool is_writing;
    uint32_t tries;
    struct slice answer;
    struct room answer_room, line_room;
};

/* What a verb sees as its store: one key. */
struct store {
    struct change *change;
    struct arena *arena;
    bool is_found;
    struct store_value was;
    int64_t now_ms;
    struct slice flags, cas;
    /* what the verb did */
    bool has_put, has_dropped;
    bool wants_clock; /* it can't be written without */
    const char *why;  /* it can't be written at all */
    uint64_t excess;  /* it has so many bytes, which its class does not take */
    struct slice line;
};

static struct buf room_of(struct arena *arena, struct room *room, size_t size)
{
    if (room->cap < size) {
        room->cap = size + size / 4;
        room->at = arena_bytes(arena, room->cap);
    }
    return (struct buf){ room->at, 0, room->cap };
}

/* ---- the verb's store ---- */

static enum err get(struct store *store, const struct store_key *key, struct store_value *out)
{
    (void)key;
    if (!store->is_found || store->has_dropped)
        return ERR_NOT_FOUND;
    *out = store->was;
    return ERR_NONE;
}

/* The time to live as memcached takes it, 0: none.  False: it can't be told so. */
static bool take_end(struct store *store, int64_t expires_ms, int64_t *out)
{
    int64_t left_ms = expires_ms - store->now_ms;
    bool is_clocked = store->change->is_clocked;
    bool stays = store->is_found && expires_ms == store->was.expires_ms;

    *out = 0;
    if (expires_ms == 0)
        return true;
    if (!is_clocked && (stays || left_ms / 1000 > REDIS_OVER_DAYS_S || left_ms % 1000 != 0))
        store->wants_clock = true;
    else if (left_ms % 1000 != 0)
        store->why = "counts whole seconds";
    else if (is_clocked && expires_ms / 1000 > INT32_MAX)
        store->why = "knows no time after January 2038";
    else
        *out = (is_clocked ? expires_ms : left_ms) / 1000;
    return *out != 0;
}

static enum err drop(struct store *store, const struct store_key *key)
{
    struct buf line = room_of(store->arena, &store->change->line_room, VALUE_ROOM);

    (void)key;
    store->has_dropped = true;
    if (!store->is_found)
        return ERR_NONE;
    memcached_put_meta(&line, "md", store->change->key);
    buf_format(&line, " C%.*s\r\n", (int)store->cas.len, (const char *)store->cas.at);
    store->line = buf_all(&line);
    return ERR_NONE;
}

static enum err put(struct store *store, const struct store_key *key,
                    const struct store_value *value)
{
    const struct change *c = store->change;
    bool is_given = value->expires_ms == 0 && c->end_ms > 0;
    int64_t end, expires_ms = is_given ? store->now_ms + (int64_t)c->end_ms : value->expires_ms;
    struct buf line;

    if (expires_ms != 0 && expires_ms <= store->now_ms) {
        store->wants_clock = c->is_dated && !c->is_clocked;
        return store->wants_clock ? ERR_NONE : drop(store, key);
    }
    if (c->class != NULL && c->class->max_value_bytes > 0 &&
        value->bytes.len > c->class->max_value_bytes) {
        store->excess = value->bytes.len;
        return ERR_NONE; /* what the verb says then is not heard */
    }
    if (!take_end(store, expires_ms, &end))
        return ERR_NONE;
    line = room_of(store->arena, &store->change->line_room, VALUE_ROOM + value->bytes.len);
    memcached_put_meta_set(&line, store->change->key, value->bytes.len);
    if (end != 0)
        buf_format(&line, " T%" PRId64, end);
    if (store->is_found && store->change->keeps_flags)
        buf_format(&line, " F%.*s", (int)store->flags.len, (const char *)store->flags.at);
    if (store->is_found)
        buf_format(&line, " C%.*s", (int)store->cas.len, (const char *)store->cas.at);
    buf_text(&line, store->is_found ? "\r\n" : " ME\r\n");
    buf_slice(&line, value->bytes);
    buf_text(&line, "\r\n");
    store->line = buf_all(&line);
    store->has_put = true;
    return ERR_NONE;
}

static const struct store_engine ONE_KEY = { .get = get, .put = put, .drop = drop };

/* ---- what was read ---- */

/* Takes the reply at the front off; false: it is none. */
static bool next_reply(struct slice *rest, struct slice *reply)
{
    struct memcached_scan scan = { 0 };
    size_t used = 0;

    if (memcached_reply_scan(&scan, *rest, &used) != PARSE_DONE)
        return false;
    *reply = slice_of(rest->at, used);
    *rest = slice_from(*rest, used);
    return true;
}

/* "STAT time 1700000000" among the others. */
static bool read_clock(struct slice stats, int64_t *out)
{
    struct slice start = slice_text("STAT time ");

    while (stats.len > 0) {
        const uint8_t *end = memchr(stats.at, '\n', stats.len);
        size_t len = end == NULL ? stats.len : (size_t)(end - stats.at) + 1;

        if (slice_starts(stats, start) && len > start.len + 2)
            return slice_to_i64(slice_of(stats.at + start.len, len - start.len - 2), out);
        stats = slice_from(stats, len);
    }
    return false;
}

/* False: no answer of memcached's. */
static bool read_value(struct slice whole, struct store *store)
{
    struct memcached_reply reply;
    int64_t left_s;

    if (memcached_reply_read(whole, &reply) != ERR_NONE)
        return false;
    if (slice_is_text(reply.code, "EN"))
        return true;
    store->flags = memcached_reply_flag(&reply, 'f');
    store->cas = memcached_reply_flag(&reply, 'c');
    if (!reply.has_value || store->flags.at == NULL || store->cas.at == NULL ||
        !slice_to_i64(memcached_reply_flag(&reply, 't'), &left_s) || left_s > UINT32_MAX)
        return false;
    store->is_found = true;
    store->was.bytes = reply.value;
    store->was.expires_ms = left_s < 0 ? 0 : store->now_ms + left_s * 1000;
    return true;
}

enum reading { READING_DONE, READING_AGAIN, READING_BAD };

static enum reading read_reply(struct memory_merge *m, struct change *c, struct store *store)
{
    struct slice rest = m->parts[0].reply, stats, value, again;
    int64_t before, after;

    store->now_ms = m->site->wall_us / 1000; /* of all clocks: it is only counted from */
    if (!c->is_clocked)
        return read_value(rest, store) ? READING_DONE : READING_BAD;
    if (!next_reply(&rest, &stats) || !next_reply(&rest, &value) || !next_reply(&rest, &again) ||
        !read_clock(stats, &before) || !read_clock(again, &after) || before <= 0 ||
        before > UINT32_MAX)
        return READING_BAD;
    if (before != after)
        return READING_AGAIN;
    store->now_ms = before * 1000;
    return read_value(value, store) ? READING_DONE : READING_BAD;
}

/* ---- around ---- */

static void ask(struct change *c, struct arena *arena, struct memory_part *part)
{
    struct buf line = room_of(arena, &c->line_room, VALUE_ROOM);

    c->is_writing = false;
    if (c->is_clocked)
        buf_text(&line, "stats\r\n");
    memcached_put_meta(&line, "mg", c->key);
    buf_text(&line, c->is_clocked ? " v t f c\r\nstats\r\n" : " v t f c\r\n");
    part->bytes = buf_all(&line);
    part->replies = c->is_clocked ? 3 : 1;
}

static void go_again(struct memory_merge *m, struct change *c)
{
    if (++c->tries > TRIES_MOST) {
        resp_put_error_text(m->out, "ERR others changed the key %u times while this was tried",
                            TRIES_MOST);
        return;
    }
    ask(c, m->arena, &m->parts[0]);
    m->again = true;
}

static void run_verb(struct memory_merge *m, const struct change *c, struct store *store)
{
    struct verbs *v = &redis_shared_of(m->site)->verbs;
    struct verbs_ask question = { .bytes = c->request,
                                  .version = c->version,
                                  .reply_most = m->site->pool->base.max_session_bytes };

    v->engine = &ONE_KEY;
    v->store = store;
    v->name = "memcached";
    v->now_ms = store->now_ms;
    verbs_run(v, &question, m->out);
}

static void decide(struct memory_merge *m, struct change *c)
{
    struct store store = { .change = c, .arena = m->arena };
    enum reading reading = read_reply(m, c, &store);
    struct buf answer;

    if (reading == READING_BAD) {
        redis_over_put_error(m, 0, m->parts[0].reply);
        return;
    }
    if (reading == READING_AGAIN) {
        go_again(m, c);
        return;
    }
    run_verb(m, c, &store);
    if (store.wants_clock || store.why != NULL || store.excess > 0)
        buf_clear(m->out);
    if (store.excess > 0) {
        redis_class_put_excess(m->out, c->class, store.excess);
    } else if (store.wants_clock) {
        c->is_clocked = true;
        go_again(m, c);
    } else if (store.why != NULL) {
        resp_put_error_text(m->out, "ERR this can't be served over memcached: it %s", store.why);
    } else if (store.line.at != NULL) {
        answer = room_of(m->arena, &c->answer_room, m->out->len);
        buf_slice(&answer, buf_all(m->out));
        c->answer = buf_all(&answer);
        buf_clear(m->out); /* not heard yet */
        c->is_writing = true;
        m->parts[0].bytes = store.line;
        m->parts[0].replies = 1;
        m->again = true;
    }
}

/* What a condition says that does not hold any more. */
static bool is_late(struct slice code)
{
    return slice_is_text(code, "EX") || slice_is_text(code, "NF") || slice_is_text(code, "NS");
}

static void merge_change(struct memory_merge *m)
{
    struct change *c = m->note;
    struct slice whole = m->parts[0].reply;
    struct memcached_reply reply;

    if (redis_over_failed(&m->parts[0]))
        buf_slice(m->out, whole);
    else if (m->site->generation != c->generation)
        resp_put_error_text(m->out, "ERR the pool's configuration changed meanwhile");
    else if (!c->is_writing)
        decide(m, c);
    else if (slice_is_text(whole, "HD\r\n"))
        buf_slice(m->out, c->answer);
    else if (memcached_reply_read(whole, &reply) == ERR_NONE && is_late(reply.code))
        go_again(m, c);
    else
        redis_over_put_error(m, 0, whole);
}

void redis_over_plan_change(struct redis_call *call, enum redis_over_way way)
{
    struct slice key;
    uint32_t shard;

    if (redis_over_time_is_whole(call) && redis_over_place(call, &key, &shard))
        redis_over_change(call, way, key, shard);
}

void redis_over_change(struct redis_call *call, enum redis_over_way way, struct slice key,
                       uint32_t shard)
{
    struct memory_operation *op = call->op;
    struct change *c = arena_new(op->arena, sizeof(*c));

    c->generation = call->site->generation;
    c->class = op->class == NULL ? NULL : op->class->settings;
    c->end_ms = redis_class_end_ms(call, key);
    c->key = arena_copy(op->arena, key);
    c->request = redis_encode(op->arena, call->args, call->count);
    c->version = call->session->base.version;
    c->is_clocked = way == REDIS_OVER_CLOCKED;
    c->is_dated = strcmp(call->cmd->name, "set") == 0 || strcmp(call->cmd->name, "getex") == 0;
    c->keeps_flags = way != REDIS_OVER_SET;
    op->parts = arena_new(op->arena, sizeof(*op->parts));
    op->parts->shard = shard;
    ask(c, op->arena, op->parts);
    op->part_count = 1;
    op->merge = merge_change;
    op->note = c;
    op->way = MEMORY_PARTS;
    op->alone = true; /* what the session asks next must find it done, in however many rounds */
}
