/* The catalog of each database, as a worker knows it: asked of the primary when sessions ask for
 * something, over an upstream that is there for that alone, and goes.  While there is no primary a
 * replica tells, so that reads go on; what it told is forgotten when there is one again.
 *
 *     due --> opening --> the signature --> (it is another) the rows --> a new table, verdicts are
 *                                                                       forgotten
 *
 * Until it is known, what depends on it goes to the primary (needs_catalog in replica/statement.h).
 * After DDL through any worker nothing is known until it was asked again, since what a function was
 * it may not be any more.
 *
 * DDL is seen by the words of a statement; that in DO, CALL and functions by the fingerprint that
 * is asked in the same session behind them (sql_catalog_compare()).  DDL that did not come through
 * Sheaf is seen by the signature, asked every ten seconds of some worker, and soon after somebody
 * named a relation or function that is not known.  So for ten seconds at most a name that
 * was known may have got another meaning; new names are the primary's until they are known.
 *
 * A database that nobody asks anything is forgotten. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/sql/catalog_flow.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/own_flow.h"
#include "proxy/sql/pg_catalog.h"
#include "proxy/sql/sql_flow.h"

enum {
    CATALOG_EVERY_US = 10 * 1000 * 1000,
    CATALOG_AGAIN_US = 10 * 1000 * 1000, /* after a failure, */
    CATALOG_SOON_US = 500 * 1000,        /* or if the connection was lost before it was known */
    CATALOG_REST_US = 200 * 1000,        /* from one to the next, at least, */
    CATALOG_REST_TIMES = 10,             /* and so many times what one takes */
    CATALOG_MOST_US = 90 * 1000 * 1000,
    CATALOG_IDLE_US = 180 * 1000 * 1000,
    CATALOG_ALONE_US = 1000 * 1000, /* without a primary, before a replica is asked */
};

enum stage { STAGE_NONE, STAGE_OPENING, STAGE_SIGNATURE, STAGE_ROWS };

struct sql_catalog {
    struct list link; /* on side->catalogs */
    struct sql_side *side;
    char *database; /* as the server names it; owned */
    uint32_t accounts;
    struct sql_budget *shared;            /* counted: where the changes are counted */
    uint32_t changes;                     /* of which `table`, or that there is none, knows */
    uint32_t asked_changes;               /* of which the answer under way will know */
    struct catalog_table *table, *coming; /* counted; NULL: none */
    struct sql_upstream *upstream;        /* NULL: none */
    enum stage stage;
    char signature[PG_CATALOG_SIGNATURE_BYTES], read[PG_CATALOG_SIGNATURE_BYTES];
    uint64_t due_us, began_us, used_us;
    uint64_t rest_us;
    uint64_t alone_us; /* since when it was seen that there is no primary; 0: there is one */
    bool failed;
    bool too_large;                /* what has this signature */
    bool doubted;                  /* it is asked though another worker has, just now */
    bool asks_replica, of_replica; /* what is under way, and what is known */
};

/* ---- which there are ---- */

static const char *database_of(const struct sql_account *a)
{
    if (a->database_settings != NULL && a->database_settings->server_name != NULL)
        return a->database_settings->server_name;
    return a->database;
}

static struct sql_catalog *catalog_find(struct sql_side *side, const char *database)
{
    struct sql_catalog *c;

    LIST_EACH (&side->catalogs, link) {
        c = LIST_ITEM(link, struct sql_catalog, link);
        if (strcmp(c->database, database) == 0)
            return c;
    }
    c = mem_new(sizeof(*c));
    c->side = side;
    c->database = mem_text(database);
    c->shared = sql_budget_open(side->name, "catalog", database, "");
    c->changes = atomic_load(&c->shared->catalog_changes);
    list_append(&side->catalogs, &c->link);
    return c;
}

/* What was said of statements may be wrong now. */
static void learned(struct sql_catalog *c)
{
    verdicts_forget_all(c->side->verdicts);
    c->side->verdict_epoch++;
}

static void forget(struct sql_catalog *c)
{
    catalog_table_free(&c->table);
    c->signature[0] = '\0';
    c->too_large = c->of_replica = false;
}

void sql_catalog_give(struct sql_account *a)
{
    struct sql_catalog *c = a->catalog;

    a->catalog = NULL;
    if (c == NULL || --c->accounts > 0)
        return;
    if (c->upstream != NULL)
        sql_upstream_retire(c->upstream);
    forget(c);
    sql_budget_close(&c->shared);
    list_remove(&c->link);
    free(c->database);
    free(c);
}

void sql_catalog_follow(struct sql_account *a, bool are_others)
{
    struct sql_catalog *c = catalog_find(a->side, database_of(a));

    if (c != a->catalog) {
        c->accounts++;
        sql_catalog_give(a);
        a->catalog = c;
    }
    if (are_others)
        forget(c);
    if (c->table == NULL)
        c->due_us = 0;
}

/* ---- asking ---- */

static void be_done(struct sql_catalog *c, uint64_t again_us)
{
    struct sql_upstream *u = c->upstream;

    c->due_us = worker_now_us(c->side->worker) + again_us;
    u->catalog = NULL;
    c->upstream = NULL;
    c->stage = STAGE_NONE;
    catalog_table_free(&c->coming);
    sql_upstream_close(u);
}

static void put(struct sql_catalog *c, enum stage stage)
{
    struct buf out = { 0 };

    c->stage = stage;
    c->failed = false;
    if (stage == STAGE_SIGNATURE) {
        c->read[0] = '\0';
        pg_catalog_put_signature(&out, sql_server_major(c->upstream));
    } else {
        pg_catalog_put_query(&out);
    }
    upstream_put(&c->upstream->base, buf_all(&out));
    buf_fini(&out);
    worker_be_busy(c->side->worker);
}

static void ask_rows(struct sql_catalog *c)
{
    c->too_large = false;
    c->coming = catalog_table_new((uint64_t)worker_random(c->side->worker) << 32 |
                                  worker_random(c->side->worker));
    put(c, STAGE_ROWS);
}

void sql_catalog_ready(struct sql_upstream *u)
{
    struct sql_catalog *c = u->catalog;

    c->asked_changes = atomic_load(&c->shared->catalog_changes);
    if (!c->asks_replica) {
        put(c, STAGE_SIGNATURE);
        return;
    }
    snprintf(c->read, sizeof(c->read), "a replica's"); /* nothing is counted there */
    ask_rows(c);
}

/* Another worker was told just now what this one knows already. */
static bool was_told(struct sql_catalog *c, uint64_t now_us)
{
    uint64_t told_us = atomic_load(&c->shared->catalog_told_us);
    struct pg_catalog_fingerprint f;

    if (c->doubted || (c->table == NULL && !c->too_large) || told_us + CATALOG_EVERY_US <= now_us ||
        pg_catalog_read_fingerprint(slice_text(c->signature), &f) != ERR_NONE ||
        f.wide != atomic_load(&c->shared->catalog_wide))
        return false;
    c->due_us = told_us + CATALOG_EVERY_US;
    return true;
}

static uint64_t rest_of(const struct sql_catalog *c)
{
    return c->rest_us > CATALOG_REST_US ? c->rest_us : CATALOG_REST_US;
}

static bool is_there(const struct sql_endpoint *e)
{
    return e != NULL && e->present && !e->failing;
}

/* At the start, and for a moment, there may be none. */
static bool is_alone(struct sql_catalog *c, const struct sql_endpoint *primary, uint64_t now_us)
{
    if (is_there(primary))
        c->alone_us = 0;
    else if (c->alone_us == 0)
        c->alone_us = now_us;
    return c->alone_us != 0 && now_us - c->alone_us >= CATALOG_ALONE_US;
}

/* A pool of one server has no use for it. */
static void ask_if_due(struct sql_catalog *c, struct sql_account *a, uint64_t now_us)
{
    struct sql_endpoint *primary = sql_primary(c->side), *whom = primary;
    uint64_t soon_us = c->began_us + rest_of(c);
    bool alone = is_alone(c, primary, now_us);

    if (c->of_replica && is_there(primary)) {
        forget(c);
        learned(c);
        c->due_us = 0;
    }
    if (c->table == NULL && !c->asks_replica && alone && c->due_us > soon_us)
        c->due_us = soon_us; /* the primary has failed: a replica may tell */
    if (c->upstream != NULL || now_us < c->due_us || c->side->endpoint_count < 2)
        return;
    if (alone && c->table == NULL && !c->too_large)
        whom = sql_replica_for_catalog(c->side);
    if (!is_there(whom) || sql_halt_is_on(a) || was_told(c, now_us))
        return;
    c->began_us = now_us;
    c->doubted = false;
    c->asks_replica = whom != primary;
    c->stage = STAGE_OPENING;
    c->upstream = sql_upstream_open_alone(a, whom);
    c->upstream->catalog = c;
}

void sql_catalog_look(struct sql_session *s)
{
    struct sql_catalog *c = s->account->catalog;
    uint64_t now_us = worker_now_us(c->side->worker);
    uint32_t changes = atomic_load(&c->shared->catalog_changes);

    c->used_us = now_us;
    if (changes != c->changes) {
        uint64_t soon_us = c->began_us + rest_of(c);

        c->changes = changes;
        if (c->table != NULL)
            c->due_us = soon_us;
        forget(c);
        learned(c);
    }
    ask_if_due(c, s->account, now_us);
}

/* True: its meaning is another than the one told last, whoever was told it. */
static bool note_told(struct sql_catalog *c, const struct pg_catalog_fingerprint *f)
{
    uint64_t deep = atomic_exchange(&c->shared->catalog_deep, f->deep);

    if (deep == f->deep || deep == 0)
        return false;
    atomic_fetch_add(&c->shared->catalog_changes, 1);
    return true;
}

void sql_catalog_is_doubted(struct sql_session *s)
{
    struct sql_catalog *c = s->account->catalog;
    uint64_t soon_us = c->began_us + rest_of(c);

    if (c->table == NULL || c->upstream != NULL || (s->pins & PG_PIN_TEMP))
        return;
    c->doubted = true;
    if (c->due_us > soon_us)
        c->due_us = soon_us;
}

void sql_catalog_compare(struct sql_session *s, struct slice fingerprint)
{
    struct sql_catalog *c = s->account->catalog;
    struct pg_catalog_fingerprint f;

    if (pg_catalog_read_fingerprint(fingerprint, &f) != ERR_NONE)
        return;
    if (s->counts_catalog)
        atomic_store(&c->shared->catalog_deep, f.deep);
    else
        (void)note_told(c, &f);
    s->counts_catalog = false;
}

const struct catalog *sql_catalog_see(const struct sql_session *s, struct catalog_view *view,
                                      struct catalog *out)
{
    const struct sql_catalog *c = s->account->catalog;

    if (c->table == NULL)
        return NULL;
    *view = (struct catalog_view){ .table = c->table };
    view->has_path = pg_settings_find(s->settings.current, slice_text("search_path"), &view->path);
    catalog_table_see(view, out);
    return out;
}

void sql_catalog_changed(struct sql_session *s)
{
    s->changes_catalog = false;
    s->counts_catalog = true;
    if (s->account == NULL)
        return;
    atomic_fetch_add(&s->account->catalog->shared->catalog_changes, 1);
    atomic_fetch_add(&s->account->catalog->shared->editions, 1);
}

uint64_t sql_catalog_edition(const struct sql_session *s)
{
    return (uint64_t)s->own_edition << 32 | atomic_load(&s->account->catalog->shared->editions);
}

void sql_catalog_own_edition(struct sql_session *s)
{
    struct sql_side *side = sql_side_of(s);

    if (++side->editions == 0)
        side->editions = 1;
    s->own_edition = side->editions;
}

/* ---- answers ---- */

/* True: what is under way began with what is known; else DDL came in between. */
static bool take_signature(struct sql_catalog *c)
{
    struct pg_catalog_fingerprint f;

    if (c->stage != STAGE_SIGNATURE ||
        pg_catalog_read_fingerprint(slice_text(c->read), &f) != ERR_NONE)
        return true;
    atomic_store(&c->shared->catalog_wide, f.wide);
    atomic_store(&c->shared->catalog_told_us, worker_now_us(c->side->worker));
    if (!note_told(c, &f))
        return true;
    c->asked_changes++; /* the rows that come will know of this one */
    return c->asked_changes == atomic_load(&c->shared->catalog_changes);
}

static void read_row(struct sql_catalog *c, struct slice body)
{
    struct pg_row row;
    struct pg_value value;
    struct catalog_row of_table;

    if (c->stage == STAGE_ROWS) {
        enum err err = pg_catalog_read_row(body, &of_table);

        if (err == ERR_NONE && !c->too_large)
            err = catalog_table_add(c->coming, &of_table);
        c->too_large |= err == ERR_LIMIT;
        c->failed |= err != ERR_NONE && err != ERR_LIMIT;
        return;
    }
    if (pg_read_row(body, &row) != ERR_NONE || row.count != 1)
        return;
    value = pg_row_value(&row, 0);
    if (!value.is_null && value.bytes.len < sizeof(c->read))
        snprintf(c->read, sizeof(c->read), "%.*s", (int)value.bytes.len,
                 (const char *)value.bytes.at);
}

static void read_error(struct sql_catalog *c, struct slice body)
{
    struct pg_report report;

    c->failed = true;
    if (pg_read_report(body, &report) == ERR_NONE)
        log_event(LOG_WARN, "catalog can't be read",
                  log_text("endpoint", c->upstream->endpoint->name),
                  log_text("database", c->database), log_slice("why", report.message));
}

static void take(struct sql_catalog *c)
{
    if (c->signature[0] != '\0' && strcmp(c->signature, c->read) != 0)
        atomic_fetch_add(&c->shared->editions, 1); /* somebody has done DDL, but not through us */
    memcpy(c->signature, c->read, sizeof(c->signature));
    catalog_table_free(&c->table);
    if (c->too_large) {
        log_event(
            LOG_WARN,
            "catalog is too large to be kept: what is not PostgreSQL's own is read at the primary",
            log_text("database", c->database), log_text("pool", c->side->name),
            log_number("names", catalog_table_names(c->coming)));
    } else {
        log_event(LOG_DEBUG, "catalog is known", log_text("database", c->database),
                  log_text("pool", c->side->name),
                  log_number("names", catalog_table_names(c->coming)),
                  log_number("bytes", catalog_table_bytes(c->coming)));
        c->table = c->coming;
        c->coming = NULL;
    }
    c->changes = c->asked_changes;
    c->of_replica = c->asks_replica;
    learned(c);
}

static void answered(struct sql_catalog *c)
{
    uint64_t took_us = worker_now_us(c->side->worker) - c->began_us;

    if (c->failed || c->read[0] == '\0') {
        be_done(c, CATALOG_AGAIN_US);
    } else if (!take_signature(c) || c->asked_changes != atomic_load(&c->shared->catalog_changes)) {
        be_done(c, rest_of(c));
    } else if (c->stage == STAGE_SIGNATURE) {
        if (strcmp(c->read, c->signature) == 0 && (c->table != NULL || c->too_large)) {
            be_done(c, CATALOG_EVERY_US);
            return;
        }
        ask_rows(c);
    } else {
        take(c);
        c->rest_us = took_us * CATALOG_REST_TIMES;
        be_done(c, c->rest_us > CATALOG_EVERY_US ? c->rest_us : CATALOG_EVERY_US);
    }
}

static bool take_frame(struct sql_upstream *u, void *owner, struct pg_frame f, struct slice body)
{
    if (f.type == PG_BACK_DATA_ROW)
        read_row(owner, body);
    else if (f.type == PG_BACK_ERROR)
        read_error(owner, body);
    else if (f.type == PG_BACK_READY)
        answered(owner);
    return u->catalog == owner;
}

size_t sql_catalog_input(struct sql_upstream *u, struct slice in)
{
    return sql_own_input(u, in, take_frame, u->catalog, "not an answer about the catalog");
}

void sql_catalog_lost(struct sql_upstream *u)
{
    struct sql_catalog *c = u->catalog;

    if (c == NULL)
        return;
    u->catalog = NULL;
    c->upstream = NULL;
    c->stage = STAGE_NONE;
    c->due_us = worker_now_us(c->side->worker) +
                (u->stood && c->table == NULL ? CATALOG_SOON_US : CATALOG_AGAIN_US);
    catalog_table_free(&c->coming);
}

/* ---- clock ---- */

static void look_for_changes(struct sql_side *side, uint64_t now_us)
{
    LIST_EACH (&side->accounts, link) {
        struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        if (a->sessions > 0 && a->catalog->used_us > 0 &&
            now_us - a->catalog->used_us < CATALOG_IDLE_US)
            ask_if_due(a->catalog, a, now_us);
    }
}

void sql_catalogs_tick(struct sql_side *side, uint64_t now_us)
{
    LIST_EACH (&side->catalogs, link) {
        struct sql_catalog *c = LIST_ITEM(link, struct sql_catalog, link);

        if (c->table != NULL && now_us - c->used_us >= CATALOG_IDLE_US) {
            forget(c);
            learned(c);
            c->due_us = 0;
        }
        if (c->upstream != NULL && now_us - c->began_us > CATALOG_MOST_US)
            upstream_fail(&c->upstream->base, ERR_TIMEOUT,
                          "the server does not tell of its catalog");
    }
    if (!side->gone)
        look_for_changes(side, now_us);
}
