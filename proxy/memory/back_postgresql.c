/* postgresql://...: a store in a table of a PostgreSQL server, that several processes may share.
 *
 *     sheaf_keys(database, place, name, value, expires_ms)    as sqlite's; expires_ms 0: never
 *
 * Nothing is remembered from one commit to the next.  What is asked in one piece is done in two
 * round trips, however much it is:
 *
 *     foresee    BEGIN; locks; the server's time; the keys' values      (reads alone: no BEGIN)
 *     commit     all puts as one INSERT ON CONFLICT, all drops as one DELETE; COMMIT
 *
 * Between the two, keys are those of the piece (store_piece.h).  The locks are advisory ones, held
 * until the transaction ends: the table's, shared, and one of each key that is written or that a
 * write depends on, in the order of their numbers; for many keys the table's alone.  So whatever is
 * read to be written, INCR or SET NX, is right whoever else uses the table by the same rules, also
 * of keys that are not there.  When time is over says the server's clock. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"
#include "proxy/memory/memory.h"
#include "proxy/memory/store_postgresql.h"

enum {
    NAME_MOST_BYTES = 2048,   /* of a key: what an index takes is bounded */
    INLINE_BYTES = 16 * 1024, /* longer values come one by one */
    HELD_MOST = 32 << 20,     /* of values; then they are written, and let go of */
    LOCKS_MOST = 64,          /* of keys; then the table's */
    PAGE_FIRST = 16,
    PAGE_MOST = 1024,
    ASKED_MOST = 8, /* statements of a pipeline */
};

enum { TYPE_BYTEA = 17, TYPE_INT8 = 20, TYPE_INT4 = 23 }; /* PostgreSQL's own numbers */

/* ---- asking ---- */

static const char *post_why(struct store *s)
{
    return s->why;
}

enum err store_failed(struct store *s)
{
    bool unknown = s->is_committing && store_link_is_lost(s->link);

    snprintf(s->why, sizeof(s->why), "%s%s", store_link_why(s->link),
             unknown ? "; what was asked may have been carried out" : "");
    return ERR_SYSTEM;
}

/* The first values of the store's. */
static void ask(struct store *s, enum store_ask which, int count)
{
    struct slice values[STORE_LINK_VALUES_MOST];

    for (int i = 0; i < count; i++)
        values[i] = buf_all(&s->values[i]);
    store_link_ask(s->link, store_ask_names[which], values, count);
}

struct buf *store_value_at(struct store *s, int at)
{
    buf_clear(&s->values[at]);
    return &s->values[at];
}

/* What was asked, and nobody needs to see what comes of it. */
static enum err run(struct store *s, size_t count)
{
    PGresult *results[ASKED_MOST];

    if (store_link_run(s->link, results, count) != ERR_NONE)
        return store_failed(s);
    store_link_clear(results, count);
    return ERR_NONE;
}

static enum err run_one(struct store *s, PGresult **out)
{
    return store_link_run(s->link, out, 1) == ERR_NONE ? ERR_NONE : store_failed(s);
}

/* ---- keys as values ---- */

/* The first three values are arrays of databases, places and names. */
static void begin_keys(struct store *s, uint32_t count)
{
    static const uint32_t TYPES[] = { TYPE_INT4, TYPE_INT8, TYPE_BYTEA };

    for (int i = 0; i < 3; i++)
        store_link_put_array(store_value_at(s, i), TYPES[i], count);
}

static void put_bytes(struct buf *out, struct slice bytes)
{
    store_link_put_i32(out, (uint32_t)bytes.len);
    buf_slice(out, bytes);
}

static void put_number(struct buf *out, uint64_t number)
{
    store_link_put_i32(out, sizeof(number));
    store_link_put_i64(out, number);
}

static void put_key(struct store *s, const struct store_key *key)
{
    store_link_put_i32(&s->values[0], sizeof(key->database));
    store_link_put_i32(&s->values[0], key->database);
    put_number(&s->values[1], store_place(key->hash));
    put_bytes(&s->values[2], key->name);
}

static void put_one_key(struct store *s, const struct store_key *key)
{
    store_link_put_i32(store_value_at(s, 0), key->database);
    store_link_put_i64(store_value_at(s, 1), store_place(key->hash));
    buf_slice(store_value_at(s, 2), key->name);
}

/* ---- locks ---- */

static int compare(const void *a, const void *b)
{
    uint64_t one = *(const uint64_t *)a, other = *(const uint64_t *)b;

    return (one > other) - (one < other);
}

static void put_table(struct store *s)
{
    store_link_put_i32(store_value_at(s, 0), (uint32_t)(s->lock >> 32));
    store_link_put_i32(store_value_at(s, 1), (uint32_t)s->lock);
}

static uint64_t lock_of(const struct store *s, const struct store_key *key)
{
    return key->hash ^ s->lock ^ (uint64_t)key->database << 48;
}

static void ask_locks(struct store *s, uint64_t *locks, size_t count)
{
    qsort(locks, count, sizeof(*locks), compare); /* so that nobody waits for one who waits */
    store_link_put_array(store_value_at(s, 0), TYPE_INT8, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        put_number(&s->values[0], locks[i]);
    ask(s, STORE_ASK_LOCK_KEYS, 1);
}

/* How many statements were asked. */
static size_t ask_to_lock(struct store *s, bool locks_any)
{
    uint64_t locks[LOCKS_MOST];
    size_t count = 0;

    s->locks_all = locks_any;
    for (uint32_t i = 0; i < s->piece.count && !s->locks_all; i++) {
        if (!s->piece.keys[i].locks)
            continue;
        if (count == LOCKS_MOST)
            s->locks_all = true;
        else
            locks[count++] = lock_of(s, &s->piece.keys[i].key);
    }
    put_table(s);
    ask(s, s->locks_all ? STORE_ASK_LOCK_ALL : STORE_ASK_LOCK_SHARED, 2);
    if (s->locks_all || count == 0)
        return 1;
    ask_locks(s, locks, count);
    return 2;
}

/* A key that nobody foresaw: out of order, so it may have to give up (the server notices). */
static enum err lock_late(struct store *s, struct store_piece_key *k)
{
    uint64_t lock = lock_of(s, &k->key);

    if (s->mode != STORE_MODE_WRITING || s->locks_all || k->locks)
        return ERR_NONE;
    ask_locks(s, &lock, 1);
    TRY(run(s, 1));
    k->locks = true;
    return ERR_NONE;
}

/* ---- reading ---- */

/* False: there is nothing to read. */
static bool ask_window(struct store *s)
{
    uint32_t count = 0;

    for (; s->next < s->piece.count && count < STORE_WINDOW_KEYS; s->next++) {
        const struct store_piece_key *k = &s->piece.keys[s->next];

        if (k->reads && k->state == STORE_PIECE_UNKNOWN)
            s->window[count++] = s->next;
    }
    if (count == 0)
        return false;
    begin_keys(s, count);
    for (uint32_t i = 0; i < count; i++)
        put_key(s, &s->piece.keys[s->window[i]].key);
    for (uint32_t i = 0; i < count; i++)
        s->piece.keys[s->window[i]].state = STORE_PIECE_ABSENT; /* unless the answer has it */
    store_link_put_i64(store_value_at(s, 3), INLINE_BYTES);
    ask(s, STORE_ASK_GET, 4);
    return true;
}

static void take_window(struct store *s, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows); i++) {
        int64_t at = store_link_number(rows, i, 0);
        struct store_piece_key *k;

        if (at < 1 || at > STORE_WINDOW_KEYS)
            continue;
        k = &s->piece.keys[s->window[at - 1]];
        store_piece_set(&s->piece, k, store_link_bytes(rows, i, 2), store_link_number(rows, i, 1));
        if (PQgetisnull(rows, i, 2))
            k->state = STORE_PIECE_LARGE;
    }
}

static enum err read_window(struct store *s)
{
    PGresult *rows;

    if (!ask_window(s))
        return ERR_NONE;
    TRY(run_one(s, &rows));
    take_window(s, rows);
    store_link_clear(&rows, 1);
    return ERR_NONE;
}

static enum err read_value(struct store *s, struct store_piece_key *k)
{
    PGresult *rows;

    put_one_key(s, &k->key);
    ask(s, STORE_ASK_GET_VALUE, 3);
    TRY(run_one(s, &rows));
    if (PQntuples(rows) == 1)
        store_piece_set(&s->piece, k, store_link_bytes(rows, 0, 0), k->expires_ms);
    else
        k->state = STORE_PIECE_ABSENT;
    store_link_clear(&rows, 1);
    return ERR_NONE;
}

/* Its state is known then; and the next ones', if they are to be read in any case. */
static enum err know(struct store *s, const struct store_key *key, struct store_piece_key **out)
{
    struct store_piece_key *k = store_piece_find(&s->piece, key);
    uint32_t at;

    if (k == NULL)
        k = store_piece_add_copy(&s->piece, key);
    at = (uint32_t)(k - s->piece.keys);
    if (k->state == STORE_PIECE_UNKNOWN) {
        TRY(lock_late(s, k));
        k->reads = true;
        s->next = at;
        TRY(read_window(s));
    }
    *out = k;
    return ERR_NONE;
}

/* ---- writing ---- */

static bool is_to_go(const struct store_piece_key *k, bool put)
{
    return k->is_dirty && (k->state == STORE_PIECE_THERE) == put;
}

static uint32_t count_to_go(const struct store *s, bool put)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < s->piece.count; i++)
        count += is_to_go(&s->piece.keys[i], put);
    return count;
}

static size_t ask_puts(struct store *s)
{
    uint32_t count = count_to_go(s, true);

    if (count == 0)
        return 0;
    begin_keys(s, count);
    store_link_put_array(store_value_at(s, 3), TYPE_BYTEA, count);
    store_link_put_array(store_value_at(s, 4), TYPE_INT8, count);
    for (uint32_t i = 0; i < s->piece.count; i++) {
        const struct store_piece_key *k = &s->piece.keys[i];

        if (!is_to_go(k, true))
            continue;
        put_key(s, &k->key);
        put_bytes(&s->values[3], buf_all(&k->value));
        put_number(&s->values[4], (uint64_t)k->expires_ms);
    }
    ask(s, STORE_ASK_PUT, 5);
    return 1;
}

static size_t ask_drops(struct store *s)
{
    uint32_t count = count_to_go(s, false);

    if (count == 0)
        return 0;
    begin_keys(s, count);
    for (uint32_t i = 0; i < s->piece.count; i++)
        if (is_to_go(&s->piece.keys[i], false))
            put_key(s, &s->piece.keys[i].key);
    ask(s, STORE_ASK_DROP, 3);
    return 1;
}

/* Then the server knows all of the piece, though nobody else does before the commit. */
static enum err write_out(struct store *s)
{
    size_t count = ask_puts(s);

    count += ask_drops(s);
    if (count == 0)
        return ERR_NONE;
    TRY(run(s, count));
    for (uint32_t i = 0; i < s->piece.count; i++)
        s->piece.keys[i].is_dirty = false;
    return ERR_NONE;
}

static void let_go_of_large_arrays(struct store *s)
{
    for (int i = 0; i < STORE_LINK_VALUES_MOST; i++)
        if (s->values[i].cap > INLINE_BYTES * 16)
            buf_fini(&s->values[i]);
}

/* Values have grown to too much: they are read again where they are needed. */
static enum err shed(struct store *s)
{
    if (s->piece.held <= HELD_MOST)
        return ERR_NONE;
    TRY(write_out(s));
    let_go_of_large_arrays(s);
    for (uint32_t i = 0; i < s->piece.count; i++)
        if (s->piece.keys[i].state == STORE_PIECE_THERE)
            store_piece_unset(&s->piece, &s->piece.keys[i], STORE_PIECE_LARGE);
    return ERR_NONE;
}

/* ---- the piece ---- */

static bool is_short(const struct store_key *key)
{
    return key->name.len <= NAME_MOST_BYTES;
}

static void take_glances(struct store *s, const struct store_outlook *o)
{
    store_piece_clear(&s->piece);
    s->next = 0;
    for (size_t i = 0; i < o->count; i++) {
        const struct store_glance *g = &o->keys[i];
        struct store_piece_key *k;

        if (!is_short(&g->key))
            continue;
        k = store_piece_add(&s->piece, &g->key);
        k->reads |= g->reads;
        k->locks |= g->locks;
    }
}

/* What begins the transaction, if there is to be one. */
static size_t ask_to_begin(struct store *s, const struct store_outlook *o)
{
    s->locks_all = false;
    s->mode = o->writes                                                ? STORE_MODE_WRITING
              : o->at_one_moment || s->piece.count > STORE_WINDOW_KEYS ? STORE_MODE_READING
                                                                       : STORE_MODE_NONE;
    switch (s->mode) {
    case STORE_MODE_NONE:
        return 0;
    case STORE_MODE_READING:
        ask(s, STORE_ASK_BEGIN_READING, 0);
        return 1;
    case STORE_MODE_WRITING:
        ask(s, STORE_ASK_BEGIN, 0);
        return 1 + ask_to_lock(s, o->writes_any);
    }
    return 0;
}

static enum err post_foresee(struct store *s, const struct store_outlook *o, int64_t *now_ms)
{
    PGresult *results[ASKED_MOST];
    size_t now, count;
    bool reads;

    if (!store_link_is_there(s->link))
        return store_failed(s);
    take_glances(s, o);
    now = ask_to_begin(s, o);
    ask(s, STORE_ASK_NOW, 0);
    reads = ask_window(s);
    count = now + 1 + reads;
    if (store_link_run(s->link, results, count) != ERR_NONE)
        return store_failed(s);
    *now_ms = store_link_number(results[now], 0, 0);
    if (reads)
        take_window(s, results[now + 1]);
    store_link_clear(results, count);
    return ERR_NONE;
}

static enum err post_get(struct store *s, const struct store_key *key, struct store_value *out)
{
    struct store_piece_key *k;

    if (!is_short(key))
        return ERR_NOT_FOUND;
    TRY(shed(s));
    TRY(know(s, key, &k));
    if (k->state == STORE_PIECE_LARGE)
        TRY(read_value(s, k));
    if (k->state == STORE_PIECE_ABSENT)
        return ERR_NOT_FOUND;
    *out = (struct store_value){ buf_all(&k->value), k->expires_ms };
    return ERR_NONE;
}

static enum err post_put(struct store *s, const struct store_key *key,
                         const struct store_value *value)
{
    struct store_piece_key *k = store_piece_find(&s->piece, key);

    if (!is_short(key))
        return ERR_RANGE;
    if (s->mode != STORE_MODE_WRITING) {
        snprintf(s->why, sizeof(s->why), "a write that was not foreseen");
        return ERR_SYSTEM;
    }
    if (k == NULL)
        k = store_piece_add_copy(&s->piece, key);
    TRY(lock_late(s, k));
    store_piece_set(&s->piece, k, value->bytes, value->expires_ms);
    k->is_dirty = true;
    return shed(s);
}

/* Who only reads finds keys that are over and leaves them to the purge: he has no lock. */
static enum err post_drop(struct store *s, const struct store_key *key)
{
    struct store_piece_key *k;

    if (!is_short(key))
        return ERR_NOT_FOUND;
    TRY(know(s, key, &k));
    if (k->state == STORE_PIECE_ABSENT || s->mode != STORE_MODE_WRITING ||
        !(s->locks_all || k->locks))
        return ERR_NOT_FOUND;
    store_piece_unset(&s->piece, k, STORE_PIECE_ABSENT);
    k->is_dirty = true;
    return ERR_NONE;
}

static void end_piece(struct store *s)
{
    s->mode = STORE_MODE_NONE;
    s->locks_all = false;
    store_piece_clear(&s->piece);
    let_go_of_large_arrays(s);
}

static enum err post_commit(struct store *s, bool sync)
{
    size_t count = 0;
    enum err err = ERR_NONE;

    if (s->mode == STORE_MODE_WRITING) {
        count = ask_puts(s);
        count += ask_drops(s);
        if (!sync) {
            ask(s, STORE_ASK_UNSYNCED, 0);
            count++;
        }
    }
    if (s->mode != STORE_MODE_NONE) {
        ask(s, STORE_ASK_COMMIT, 0);
        s->is_committing = s->mode == STORE_MODE_WRITING;
        err = run(s, count + 1);
        s->is_committing = false;
    }
    if (err == ERR_NONE)
        end_piece(s);
    return err;
}

static void post_abandon(struct store *s)
{
    char why[sizeof(s->why)];

    memcpy(why, s->why, sizeof(why)); /* what is told is why, not how this went */
    if (s->mode != STORE_MODE_NONE && !store_link_is_lost(s->link)) {
        ask(s, STORE_ASK_ROLLBACK, 0);
        if (run(s, 1) != ERR_NONE)
            memcpy(s->why, why, sizeof(why));
    }
    end_piece(s);
}

/* ---- all keys ---- */

struct walk {
    uint64_t *place;
    uint64_t seen, most;
    bool goes_on; /* else up to the end of this place */
    bool is_enough;
    store_visit_f *visit;
    void *arg;
    struct buf name; /* of the last row */
};

static void walk_rows(struct walk *w, const PGresult *rows)
{
    for (int i = 0; i < PQntuples(rows) && !w->is_enough; i++) {
        uint64_t here = (uint64_t)store_link_number(rows, i, 0);
        struct store_value value = { .expires_ms = store_link_number(rows, i, 2) };

        if ((!w->goes_on || w->seen >= w->most) && here != *w->place) {
            *w->place = here;
            w->is_enough = true;
            return;
        }
        *w->place = here;
        w->seen++;
        w->goes_on &= w->visit(w->arg, here, store_link_bytes(rows, i, 1), &value);
        buf_clear(&w->name);
        buf_slice(&w->name, store_link_bytes(rows, i, 1));
    }
}

/* A page after the other, each longer than the one before. */
static enum err walk_pages(struct store *s, uint32_t database, struct walk *w)
{
    uint8_t is_later = 0; /* a page: the row that it is asked by was seen */
    int rows_taken;

    for (int most = PAGE_FIRST;; most = most < PAGE_MOST ? 4 * most : most) {
        PGresult *rows;

        store_link_put_i32(store_value_at(s, 0), database);
        store_link_put_i64(store_value_at(s, 1), *w->place);
        buf_slice(store_value_at(s, 2), buf_all(&w->name));
        buf_put(store_value_at(s, 3), &is_later, sizeof(is_later));
        store_link_put_i64(store_value_at(s, 4), (uint64_t)most);
        ask(s, STORE_ASK_WALK, 5);
        TRY(run_one(s, &rows));
        walk_rows(w, rows);
        rows_taken = PQntuples(rows);
        store_link_clear(&rows, 1);
        if (w->is_enough)
            return ERR_NONE;
        if (rows_taken < most) {
            *w->place = 0;
            return ERR_NONE;
        }
        is_later = 1;
    }
}

static enum err post_walk(struct store *s, uint32_t database, uint64_t *place, uint64_t most,
                          store_visit_f *visit, void *arg)
{
    struct walk w = { .place = place, .most = most, .goes_on = true, .visit = visit, .arg = arg };
    enum err err;

    TRY(write_out(s));
    err = walk_pages(s, database, &w);
    buf_fini(&w.name);
    return err;
}

static enum err post_flush(struct store *s, int64_t database)
{
    bool all = database == STORE_ALL_DATABASES;

    if (s->mode != STORE_MODE_WRITING || !s->locks_all) {
        snprintf(s->why, sizeof(s->why), "a write that was not foreseen");
        return ERR_SYSTEM;
    }
    TRY(write_out(s));
    store_link_put_i32(store_value_at(s, 0), (uint32_t)database);
    ask(s, all ? STORE_ASK_FLUSH_ALL : STORE_ASK_FLUSH_ONE, all ? 0 : 1);
    TRY(run(s, 1));
    for (uint32_t i = 0; i < s->piece.count; i++)
        if (all || s->piece.keys[i].key.database == database)
            store_piece_unset(&s->piece, &s->piece.keys[i], STORE_PIECE_ABSENT);
    return ERR_NONE;
}

static enum err post_purge(struct store *s, uint32_t database, uint64_t *place, uint64_t most,
                           uint64_t *looked_at, uint64_t *dropped)
{
    uint64_t last;
    PGresult *rows;

    store_link_put_i32(store_value_at(s, 0), database);
    store_link_put_i64(store_value_at(s, 1), *place);
    store_link_put_i64(store_value_at(s, 2), most);
    ask(s, STORE_ASK_PURGE, 3);
    TRY(run_one(s, &rows));
    *looked_at = (uint64_t)store_link_number(rows, 0, 0);
    last = (uint64_t)store_link_number(rows, 0, 1);
    *dropped = (uint64_t)store_link_number(rows, 0, 2);
    store_link_clear(&rows, 1);
    if (*looked_at < most)
        *place = 0;
    else
        *place = last > *place ? last : *place + 1; /* whoever crowds a place is not purged there */
    return ERR_NONE;
}

/* ---- figures ---- */

static enum err post_count(struct store *s, uint32_t database, uint64_t *keys)
{
    PGresult *rows;

    TRY(write_out(s));
    store_link_put_i32(store_value_at(s, 0), database);
    ask(s, STORE_ASK_COUNT, 1);
    TRY(run_one(s, &rows));
    *keys = (uint64_t)store_link_number(rows, 0, 0);
    store_link_clear(&rows, 1);
    return ERR_NONE;
}

/* What the server guesses, of all databases as if it were the first. */
static void post_measure(struct store *s, uint32_t database, struct store_size *out)
{
    *out = s->size;
    if (database > 0)
        out->keys = 0;
}

static uint32_t post_databases(struct store *s)
{
    return s->databases;
}

enum err store_postgresql_tend(struct store *s)
{
    PGresult *rows;

    if (!store_link_is_there(s->link))
        return store_failed(s);
    buf_text(store_value_at(s, 0), s->table);
    ask(s, STORE_ASK_SIZE, 1);
    TRY(run_one(s, &rows));
    if (PQntuples(rows) == 1) {
        s->size.keys = (uint64_t)store_link_number(rows, 0, 0);
        s->size.bytes = (uint64_t)store_link_number(rows, 0, 1);
        s->databases = (uint32_t)store_link_number(rows, 0, 2);
    }
    store_link_clear(&rows, 1);
    return ERR_NONE;
}

static bool post_is_lost(const struct store *s)
{
    return store_link_is_lost(s->link);
}

static const struct store_engine engine = {
    .waits = true,
    .open = store_postgresql_open,
    .close = store_postgresql_close,
    .get = post_get,
    .put = post_put,
    .drop = post_drop,
    .walk = post_walk,
    .flush = post_flush,
    .measure = post_measure,
    .databases = post_databases,
    .commit = post_commit,
    .abandon = post_abandon,
    .why = post_why,
    .foresee = post_foresee,
    .count = post_count,
    .purge = post_purge,
    .tend = store_postgresql_tend,
    .is_lost = post_is_lost,
};

const struct memory_back memory_back_postgresql = {
    .name = "postgresql",
    .default_port = 5432,
    .engine = &engine,
};
