/* Keys themselves: which there are, and where they go. */
#include "proxy/memory/verbs_call.h"

#include <inttypes.h>
#include <stdio.h>

#include "shard/redis_glob.h"

void verb_del(struct verb_call *c)
{
    int64_t count = 0;

    for (size_t i = 1; i < c->count; i++)
        count += verb_drop(c, c->args[i]);
    resp_put_integer(c->out, count);
}

void verb_exists(struct verb_call *c)
{
    struct store_value value;
    int64_t count = 0;

    for (size_t i = 1; i < c->count; i++)
        count += verb_read(c, c->args[i], &value);
    resp_put_integer(c->out, count);
}

void verb_type(struct verb_call *c)
{
    struct store_value value;

    buf_text(c->out, verb_get(c, c->args[1], &value) ? "+string\r\n" : "+none\r\n");
}

/* ---- moving ---- */

/* Of the call's database to another; the value is copied, for to put may move what is there.
 * False: answered. */
static bool copy_to(struct verb_call *c, const struct store_value *value, uint32_t database,
                    struct slice name)
{
    struct verb_call there = *c;
    struct buf *bytes = &c->v->scratch;

    there.database = database;
    buf_clear(bytes);
    buf_slice(bytes, value->bytes);
    return verb_put(&there, name, buf_all(bytes), value->expires_ms);
}

static bool is_there(const struct verb_call *c, uint32_t database, struct slice name)
{
    struct verb_call there = *c;
    struct store_value value;

    there.database = database;
    return verb_get(&there, name, &value);
}

static void rename_key(struct verb_call *c, bool overwrites)
{
    bool is_same = slice_is(c->args[1], c->args[2]);
    struct store_value value;

    if (!verb_get(c, c->args[1], &value)) {
        verb_error(c, "ERR no such key");
        return;
    }
    if (!overwrites && (is_same || is_there(c, c->database, c->args[2]))) {
        resp_put_integer(c->out, 0);
        return;
    }
    /* Looking for the other key may have moved what the first one's value was borrowed from. */
    if (!is_same &&
        (!verb_get(c, c->args[1], &value) || !copy_to(c, &value, c->database, c->args[2])))
        return;
    if (!is_same)
        verb_drop(c, c->args[1]);
    if (overwrites)
        buf_text(c->out, "+OK\r\n");
    else
        resp_put_integer(c->out, 1);
}

void verb_rename(struct verb_call *c)
{
    rename_key(c, true);
}

void verb_renamenx(struct verb_call *c)
{
    rename_key(c, false);
}

/* False: answered. */
static bool take_database(struct verb_call *c, size_t at, uint32_t *out)
{
    enum { DATABASES_MOST = 65536 };
    int64_t number;

    if (!verb_argument(c, at, &number))
        return false;
    if (number >= 0 && number < DATABASES_MOST) {
        *out = (uint32_t)number;
        return true;
    }
    if (number != (int32_t)number)
        verb_error(c, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                   INT32_MAX);
    else
        verb_error(c, "ERR DB index is out of range");
    return false;
}

void verb_copy(struct verb_call *c)
{
    uint32_t database = c->database;
    bool replaces = false;
    struct store_value value;

    for (size_t at = 3; at < c->count; at++) {
        if (verb_is(c, at, "replace")) {
            replaces = true;
        } else if (verb_is(c, at, "db") && at + 1 < c->count) {
            if (!take_database(c, ++at, &database))
                return;
        } else {
            verb_error(c, "%s", VERBS_SYNTAX);
            return;
        }
    }
    if (database == c->database && slice_is(c->args[1], c->args[2])) {
        verb_error(c, "ERR source and destination objects are the same");
        return;
    }
    if ((!replaces && is_there(c, database, c->args[2])) || !verb_get(c, c->args[1], &value))
        resp_put_integer(c->out, 0);
    else if (copy_to(c, &value, database, c->args[2]))
        resp_put_integer(c->out, 1);
}

void verb_move(struct verb_call *c)
{
    struct store_value value;
    uint32_t database;

    if (!take_database(c, 2, &database))
        return;
    if (database == c->database) {
        verb_error(c, "ERR source and destination objects are the same");
    } else if (is_there(c, database, c->args[1]) || !verb_get(c, c->args[1], &value)) {
        resp_put_integer(c->out, 0);
    } else if (copy_to(c, &value, database, c->args[1])) {
        verb_drop(c, c->args[1]);
        resp_put_integer(c->out, 1);
    }
}

/* ---- all of them ---- */

/* Names that are shown: with where their elements begin, since their number stands before them. */
struct listing {
    const struct verb_call *c;
    struct slice pattern; /* empty: any */
    bool is_none;         /* of a type that nothing has */
    struct buf *names;    /* as bulks */
    uint64_t shown, seen, wanted;
    uint64_t most; /* to be shown */
};

static bool list_name(void *arg, uint64_t place, struct slice name, const struct store_value *value)
{
    struct listing *l = arg;

    (void)place;
    l->seen++;
    if (!l->is_none && !store_is_over(value, l->c->v->now_ms) &&
        (l->pattern.at == NULL || redis_glob_fits_exactly(l->pattern, name))) {
        l->shown++;
        resp_put_bulk(l->names, name);
    }
    return l->seen < l->wanted && l->shown < l->most && l->names->len <= l->c->ask->reply_most;
}

static bool walk(struct verb_call *c, uint64_t *place, uint64_t most, struct listing *l)
{
    if (c->v->engine->walk(c->v->store, c->database, place, most, list_name, l) == ERR_NONE)
        return true;
    c->v->is_broken = true;
    verb_error(c, "ERR the store failed");
    return false;
}

static bool take_scan_options(struct verb_call *c, struct listing *l)
{
    int64_t count;

    for (size_t at = 2; at < c->count; at += 2) {
        if (at + 1 >= c->count) {
            verb_error(c, "%s", VERBS_SYNTAX);
            return false;
        }
        if (verb_is(c, at, "count")) {
            if (!verb_argument(c, at + 1, &count))
                return false;
            l->wanted = count < 1 ? 0 : (uint64_t)count;
        } else if (verb_is(c, at, "match")) {
            l->pattern = c->args[at + 1];
        } else if (verb_is(c, at, "type")) {
            l->is_none = !verb_is(c, at + 1, "string");
        } else {
            l->wanted = 0;
        }
        if (l->wanted == 0) {
            verb_error(c, "%s", VERBS_SYNTAX);
            return false;
        }
    }
    return true;
}

void verb_scan(struct verb_call *c)
{
    enum { COUNT = 10, COUNT_MOST = 5000, PLACES_FOR_ONE = 10 }; /* nobody waits for more */
    struct listing l = { .c = c, .names = &c->v->scratch, .wanted = COUNT, .most = UINT64_MAX };
    uint64_t place, most;
    char number[24];

    if (!slice_to_u64(c->args[1], &place) || place >> STORE_PLACE_BITS != 0) {
        verb_error(c, "ERR invalid cursor");
        return;
    }
    if (!take_scan_options(c, &l))
        return;
    l.wanted = l.wanted > COUNT_MOST ? COUNT_MOST : l.wanted;
    most = l.wanted * PLACES_FOR_ONE;
    buf_clear(l.names);
    if (!walk(c, &place, most, &l))
        return;
    snprintf(number, sizeof(number), "%" PRIu64, place);
    resp_put_array(c->out, 2);
    resp_put_bulk_text(c->out, number);
    resp_put_array(c->out, l.shown);
    buf_slice(c->out, buf_all(l.names));
}

/* How many places are looked at now. */
static uint64_t step_of(const struct verb_call *c)
{
    enum { STEP_PLACES = 2000 };

    return c->walk == NULL ? UINT64_MAX : STEP_PLACES;
}

static void list_keys(struct verb_call *c, struct verbs_walk *w)
{
    struct listing l = {
        .c = c, .pattern = c->args[1], .names = &w->names, .wanted = UINT64_MAX, .most = UINT64_MAX
    };

    w->goes_on = false;
    if (!walk(c, &w->place, step_of(c), &l))
        return;
    w->shown += l.shown;
    w->goes_on = w->place != 0 && l.names->len <= c->ask->reply_most; /* else it is refused */
    if (w->goes_on)
        return;
    resp_put_array(c->out, w->shown);
    buf_slice(c->out, buf_all(l.names));
}

void verb_keys(struct verb_call *c)
{
    struct verbs_walk w = { 0 };

    list_keys(c, c->walk == NULL ? &w : c->walk);
    buf_fini(&w.names);
}

void verb_dbsize(struct verb_call *c)
{
    uint64_t keys;

    if (verb_count(c, c->database, &keys))
        resp_put_integer(c->out, (int64_t)keys);
}

static uint64_t draw(struct verbs *v)
{
    v->random ^= v->random << 13;
    v->random ^= v->random >> 7;
    v->random ^= v->random << 17;
    return v->random >> (64 - STORE_PLACE_BITS);
}

/* The names of one place: the first, whose length its header tells. */
static struct slice first_bulk(struct slice names)
{
    const uint8_t *end = memchr(names.at, '\n', names.len);
    size_t header = (size_t)(end - names.at) + 1;
    uint64_t len = 0;

    if (!slice_to_u64(slice_of(names.at + 1, header - 3), &len))
        return names;
    return slice_of(names.at, header + len + 2);
}

/* One of those that stand next behind a place drawn by chance, or from the beginning. */
static void random_key(struct verb_call *c, struct verbs_walk *w)
{
    enum { ROUNDS = 2 };
    struct listing l = { .c = c, .names = &w->names, .wanted = UINT64_MAX, .most = 1 };

    if (w->rounds == 0 && w->place == 0)
        w->place = draw(c->v);
    do {
        w->goes_on = false;
        if (!walk(c, &w->place, step_of(c), &l))
            return;
        w->rounds += w->place == 0;
        w->goes_on = l.shown == 0 && w->rounds < ROUNDS;
    } while (w->goes_on && c->walk == NULL);
    if (w->goes_on)
        return;
    if (l.shown == 0)
        verb_null(c);
    else
        buf_slice(c->out, l.shown == 1 ? buf_all(l.names) : first_bulk(buf_all(l.names)));
}

void verb_randomkey(struct verb_call *c)
{
    struct verbs_walk w = { 0 };

    random_key(c, c->walk == NULL ? &w : c->walk);
    buf_fini(&w.names);
}

static void flush(struct verb_call *c, int64_t database)
{
    if (c->count > 2 || (c->count == 2 && !verb_is(c, 1, "async") && !verb_is(c, 1, "sync"))) {
        verb_error(c, "%s", VERBS_SYNTAX);
        return;
    }
    if (c->v->engine->flush(c->v->store, database) != ERR_NONE) {
        c->v->is_broken = true;
        verb_error(c, "ERR the store failed");
        return;
    }
    c->v->has_written = c->v->has_flushed = true;
    buf_text(c->out, "+OK\r\n");
}

void verb_flushdb(struct verb_call *c)
{
    flush(c, c->database);
}

void verb_flushall(struct verb_call *c)
{
    flush(c, STORE_ALL_DATABASES);
}

/* ---- purging ---- */

struct purge {
    int64_t now_ms;
    struct buf *names; /* of those whose time is over: a length and the name, each */
    uint64_t seen, wanted;
};

static bool note_over(void *arg, uint64_t place, struct slice name, const struct store_value *value)
{
    struct purge *p = arg;
    uint64_t len = name.len;

    (void)place;
    p->seen++;
    if (store_is_over(value, p->now_ms)) {
        buf_put(p->names, &len, sizeof(len));
        buf_slice(p->names, name);
    }
    return p->seen < p->wanted;
}

static void drop_noted(struct verbs *v, uint32_t database, struct slice names)
{
    while (names.len > 0) {
        struct store_key key = { .database = database };
        uint64_t len;
        enum err err;

        memcpy(&len, names.at, sizeof(len));
        key.name = slice_of(names.at + sizeof(len), len);
        key.hash = store_hash(key.name);
        names = slice_from(names, sizeof(len) + len);
        err = v->engine->drop(v->store, &key);
        v->has_written |= err == ERR_NONE;
        v->expired += err == ERR_NONE;
        v->is_broken |= err == ERR_SYSTEM;
    }
}

/* Where the store can do it without us.  Returns how many were looked at. */
static uint64_t purge_there(struct verbs *v, uint32_t database, uint64_t *place, uint64_t most)
{
    uint64_t looked_at = 0, dropped = 0;

    if (v->engine->purge(v->store, database, place, most, &looked_at, &dropped) != ERR_NONE)
        v->is_broken = true;
    v->expired += dropped;
    return looked_at;
}

uint64_t verbs_purge(struct verbs *v, uint32_t *database, uint64_t *place, uint64_t most)
{
    struct purge p = { .now_ms = v->now_ms, .names = &v->scratch, .wanted = most };
    uint32_t databases = v->engine->databases(v->store);

    buf_clear(p.names);
    if (*database >= databases) {
        *database = 0;
        *place = 0;
        return 0;
    }
    if (v->engine->purge != NULL) {
        p.seen = purge_there(v, *database, place, most);
    } else if (v->engine->walk(v->store, *database, place, most, note_over, &p) != ERR_NONE) {
        v->is_broken = true;
        return 0;
    }
    drop_noted(v, *database, buf_all(p.names));
    if (*place == 0)
        *database = *database + 1 < databases ? *database + 1 : 0;
    return p.seen;
}
