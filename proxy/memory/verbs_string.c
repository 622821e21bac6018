/* Strings: as Redis 7 has them, in the order in which it checks. */
#include "proxy/memory/verbs_call.h"

enum { STRING_MOST_BYTES = 512 * 1024 * 1024 };

void verb_get_value(struct verb_call *c)
{
    struct store_value value;

    if (verb_read(c, c->args[1], &value))
        resp_put_bulk(c->out, value.bytes);
    else
        verb_null(c);
}

/* ---- SET and its kin ---- */

struct set_options {
    bool nx, xx, get, keep_ttl, persist;
    struct verb_time time;
};

/* False: a syntax error.  `sets`: SET's options, else GETEX's. */
static bool take_set_option(const struct verb_call *c, size_t *at, bool sets, struct set_options *o)
{
    bool timed = o->time.at != 0;

    if (sets && verb_is(c, *at, "nx") && !o->xx)
        return o->nx = true;
    if (sets && verb_is(c, *at, "xx") && !o->nx)
        return o->xx = true;
    if (sets && verb_is(c, *at, "get"))
        return o->get = true;
    if (sets && verb_is(c, *at, "keepttl") && !o->persist && !timed)
        return o->keep_ttl = true;
    if (!sets && verb_is(c, *at, "persist") && !timed)
        return o->persist = true;
    if (o->keep_ttl || o->persist || !verb_take_time(c, *at, &o->time))
        return false;
    ++*at;
    return true;
}

static bool take_set_options(struct verb_call *c, size_t from, bool sets, struct set_options *o)
{
    *o = (struct set_options){ 0 };
    for (size_t at = from; at < c->count; at++)
        if (!take_set_option(c, &at, sets, o)) {
            verb_error(c, "%s", VERBS_SYNTAX);
            return false;
        }
    return true;
}

/* SET itself, as most say it: no look at what was there. */
static void set_plain(struct verb_call *c, int64_t expires_ms)
{
    if (verb_put(c, c->args[1], c->args[2], expires_ms))
        buf_put(c->out, "+OK\r\n", 5);
}

/* With what was there as the answer: it is written before it is overwritten, and taken back if it
 * can't be. */
static void set_and_get(struct verb_call *c, bool sets, bool found, struct slice was,
                        int64_t expires_ms)
{
    size_t before = c->out->len;
    struct buf answer = { 0 };

    if (found)
        resp_put_bulk(c->out, was);
    else
        verb_null(c);
    if (!sets)
        return;
    buf_put(&answer, c->out->at + before, c->out->len - before);
    c->out->len = before;
    if (verb_put(c, c->args[1], c->args[2], expires_ms))
        buf_slice(c->out, buf_all(&answer));
    buf_fini(&answer);
}

void verb_set(struct verb_call *c)
{
    struct set_options o;
    struct store_value was = { 0 };
    int64_t expires_ms = 0;
    bool found, sets;

    if (c->count == 3) {
        set_plain(c, 0);
        return;
    }
    if (!take_set_options(c, 3, true, &o) ||
        (o.time.at != 0 && !verb_expires(c, o.time, &expires_ms)))
        return;
    found = verb_get(c, c->args[1], &was);
    sets = !(o.nx && found) && !(o.xx && !found);
    if (o.keep_ttl && found)
        expires_ms = was.expires_ms;
    if (o.get)
        set_and_get(c, sets, found, was.bytes, expires_ms);
    else if (sets)
        set_plain(c, expires_ms);
    else
        verb_null(c);
}

static void set_with_time(struct verb_call *c, bool in_seconds)
{
    struct verb_time time = { in_seconds, false, 2 };
    int64_t expires_ms;

    if (verb_expires(c, time, &expires_ms) && verb_put(c, c->args[1], c->args[3], expires_ms))
        buf_text(c->out, "+OK\r\n");
}

void verb_setex(struct verb_call *c)
{
    set_with_time(c, true);
}

void verb_psetex(struct verb_call *c)
{
    set_with_time(c, false);
}

void verb_setnx(struct verb_call *c)
{
    struct store_value was;

    if (verb_get(c, c->args[1], &was))
        resp_put_integer(c->out, 0);
    else if (verb_put(c, c->args[1], c->args[2], 0))
        resp_put_integer(c->out, 1);
}

void verb_getset(struct verb_call *c)
{
    struct store_value was = { 0 };
    bool found = verb_read(c, c->args[1], &was);

    set_and_get(c, true, found, was.bytes, 0);
}

void verb_getdel(struct verb_call *c)
{
    struct store_value was;

    if (!verb_read(c, c->args[1], &was)) {
        verb_null(c);
        return;
    }
    resp_put_bulk(c->out, was.bytes);
    verb_drop(c, c->args[1]);
}

void verb_getex(struct verb_call *c)
{
    struct set_options o;
    struct store_value was;
    int64_t expires_ms = 0;
    struct buf answer = { 0 };

    if (!take_set_options(c, 2, false, &o))
        return;
    if (!verb_read(c, c->args[1], &was)) {
        verb_null(c);
        return;
    }
    if (o.time.at != 0 && !verb_expires(c, o.time, &expires_ms))
        return;
    resp_put_bulk(&answer, was.bytes);
    if (o.time.at != 0 && expires_ms <= c->v->now_ms)
        verb_drop(c, c->args[1]);
    else if ((o.time.at != 0 || o.persist) && was.expires_ms != expires_ms &&
             !verb_put(c, c->args[1], was.bytes, expires_ms))
        answer.len = 0;
    buf_slice(c->out, buf_all(&answer));
    buf_fini(&answer);
}

/* ---- many ---- */

void verb_mget(struct verb_call *c)
{
    struct store_value value;
    size_t before = c->out->len;

    resp_put_array(c->out, c->count - 1);
    for (size_t i = 1; i < c->count; i++) {
        if (verb_read(c, c->args[i], &value))
            resp_put_bulk(c->out, value.bytes);
        else
            verb_null(c);
        if (c->out->len - before > c->ask->reply_most)
            return; /* it is refused anyway */
    }
}

/* False: answered. */
static bool are_pairs(struct verb_call *c)
{
    if (c->count % 2 == 1)
        return true;
    verb_error(c, "ERR wrong number of arguments for '%s' command", c->cmd->name);
    return false;
}

static bool set_pairs(struct verb_call *c)
{
    for (size_t i = 1; i < c->count; i += 2)
        if (!verb_put(c, c->args[i], c->args[i + 1], 0))
            return false;
    return true;
}

void verb_mset(struct verb_call *c)
{
    if (are_pairs(c) && set_pairs(c))
        buf_text(c->out, "+OK\r\n");
}

void verb_msetnx(struct verb_call *c)
{
    struct store_value was;

    if (!are_pairs(c))
        return;
    for (size_t i = 1; i < c->count; i += 2)
        if (verb_get(c, c->args[i], &was)) {
            resp_put_integer(c->out, 0);
            return;
        }
    if (set_pairs(c))
        resp_put_integer(c->out, 1);
}

/* ---- parts of strings ---- */

/* What could not be read again is not written either. */
bool verb_may_be_so_long(struct verb_call *c, uint64_t bytes)
{
    if (bytes > STRING_MOST_BYTES)
        verb_error(c, "ERR string exceeds maximum allowed size (proto-max-bulk-len)");
    else if (bytes > c->ask->reply_most)
        verb_error(c, "ERR the string would be longer than max_session_memory allows");
    else
        return true;
    return false;
}

void verb_strlen(struct verb_call *c)
{
    struct store_value value;

    resp_put_integer(c->out, verb_read(c, c->args[1], &value) ? (int64_t)value.bytes.len : 0);
}

void verb_append(struct verb_call *c)
{
    struct store_value was = { 0 };
    struct buf *text = &c->v->scratch;

    verb_get(c, c->args[1], &was);
    if (!verb_may_be_so_long(c, (uint64_t)was.bytes.len + c->args[2].len))
        return;
    buf_clear(text);
    buf_slice(text, was.bytes);
    buf_slice(text, c->args[2]);
    if (verb_put(c, c->args[1], buf_all(text), was.expires_ms))
        resp_put_integer(c->out, (int64_t)text->len);
}

void verb_setrange(struct verb_call *c)
{
    struct store_value was = { 0 };
    struct buf *text = &c->v->scratch;
    struct slice piece = c->args[3];
    int64_t offset;
    size_t end;

    if (!verb_argument(c, 2, &offset))
        return;
    if (offset < 0) {
        verb_error(c, "ERR offset is out of range");
        return;
    }
    verb_get(c, c->args[1], &was);
    if (piece.len == 0) {
        resp_put_integer(c->out, (int64_t)was.bytes.len);
        return;
    }
    if (!verb_may_be_so_long(c, (uint64_t)offset + piece.len))
        return;
    end = (size_t)offset + piece.len;
    buf_clear(text);
    buf_slice(text, was.bytes);
    if (end > text->len) {
        size_t more = end - text->len;

        memset(buf_reserve(text, more), 0, more);
        buf_grow(text, more);
    }
    memcpy(text->at + offset, piece.at, piece.len);
    if (verb_put(c, c->args[1], buf_all(text), was.expires_ms))
        resp_put_integer(c->out, (int64_t)text->len);
}

void verb_getrange(struct verb_call *c)
{
    struct store_value value = { 0 };
    int64_t start, end, len;

    if (!verb_argument(c, 2, &start) || !verb_argument(c, 3, &end))
        return;
    verb_read(c, c->args[1], &value);
    len = (int64_t)value.bytes.len;
    if (start < 0 && end < 0 && start > end) {
        resp_put_bulk(c->out, (struct slice){ 0 });
        return;
    }
    start = start < 0 ? start + len : start;
    end = end < 0 ? end + len : end;
    start = start < 0 ? 0 : start;
    end = end < 0 ? 0 : end;
    end = end >= len ? len - 1 : end;
    if (start > end || len == 0)
        resp_put_bulk(c->out, (struct slice){ 0 });
    else
        resp_put_bulk(c->out, slice_of(value.bytes.at + start, (size_t)(end - start) + 1));
}
