/* See store_postgresql.h: the statements, the table, the session, and the opening of it all. */
#include "proxy/memory/store_postgresql.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

const char *const store_ask_names[STORE_ASKS] = {
    [STORE_ASK_BEGIN] = "begin",
    [STORE_ASK_BEGIN_READING] = "begin_reading",
    [STORE_ASK_LOCK_SHARED] = "lock_shared",
    [STORE_ASK_LOCK_KEYS] = "lock_keys",
    [STORE_ASK_LOCK_ALL] = "lock_all",
    [STORE_ASK_NOW] = "now",
    [STORE_ASK_GET] = "get",
    [STORE_ASK_GET_VALUE] = "get_value",
    [STORE_ASK_PUT] = "put",
    [STORE_ASK_DROP] = "drop",
    [STORE_ASK_UNSYNCED] = "unsynced",
    [STORE_ASK_COMMIT] = "commit",
    [STORE_ASK_ROLLBACK] = "rollback",
    [STORE_ASK_WALK] = "walk",
    [STORE_ASK_FLUSH_ONE] = "flush_one",
    [STORE_ASK_FLUSH_ALL] = "flush_all",
    [STORE_ASK_COUNT] = "count",
    [STORE_ASK_PURGE] = "purge",
    [STORE_ASK_SIZE] = "size",
};

/* '@' stands for the table; pg_catalog is looked into first, whatever the search path says. */
static const char *const TEXTS[STORE_ASKS] = {
    [STORE_ASK_BEGIN] = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE",
    [STORE_ASK_BEGIN_READING] = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    [STORE_ASK_LOCK_SHARED] = "SELECT pg_advisory_xact_lock_shared($1::int4, $2::int4)",
    [STORE_ASK_LOCK_KEYS] =
        "SELECT pg_advisory_xact_lock(number) FROM unnest($1::int8[]) AS number",
    [STORE_ASK_LOCK_ALL] = "SELECT pg_advisory_xact_lock($1::int4, $2::int4)",
    [STORE_ASK_NOW] = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::int8",
    [STORE_ASK_GET] = ("SELECT k.at, t.expires_ms,"
                       " CASE WHEN octet_length(t.value) <= $4::int8 THEN t.value END"
                       " FROM unnest($1::int4[], $2::int8[], $3::bytea[])"
                       " WITH ORDINALITY AS k(database, place, name, at)"
                       " JOIN @ AS t USING (database, place, name)"),
    [STORE_ASK_GET_VALUE] = ("SELECT value FROM @ WHERE database = $1 AND place = $2 AND"
                             " name = $3"),
    [STORE_ASK_PUT] = ("INSERT INTO @ AS t (database, place, name, value, expires_ms)"
                       " SELECT * FROM unnest($1::int4[], $2::int8[], $3::bytea[], $4::bytea[],"
                       " $5::int8[]) ON CONFLICT (database, place, name)"
                       " DO UPDATE SET value = excluded.value, expires_ms = excluded.expires_ms"),
    [STORE_ASK_DROP] = ("DELETE FROM @ AS t USING unnest($1::int4[], $2::int8[], $3::bytea[])"
                        " AS k(database, place, name) WHERE t.database = k.database"
                        " AND t.place = k.place AND t.name = k.name"),
    [STORE_ASK_UNSYNCED] = "SET LOCAL synchronous_commit = off",
    [STORE_ASK_COMMIT] = "COMMIT",
    [STORE_ASK_ROLLBACK] = "ROLLBACK",
    [STORE_ASK_WALK] = ("SELECT place, name, expires_ms FROM @ WHERE database = $1 AND"
                        " (place, name) >= ($2::int8, $3::bytea) AND"
                        " (NOT $4::bool OR (place, name) <> ($2::int8, $3::bytea))"
                        " ORDER BY place, name LIMIT $5::int8"),
    [STORE_ASK_FLUSH_ONE] = "DELETE FROM @ WHERE database = $1",
    [STORE_ASK_FLUSH_ALL] = "DELETE FROM @",
    [STORE_ASK_COUNT] =
        ("SELECT count(*) FROM @ WHERE database = $1 AND (expires_ms = 0 OR"
         " expires_ms > floor(extract(epoch FROM clock_timestamp()) * 1000)::int8)"),
    /* What somebody else is just writing to is passed over: no purge waits, or makes wait. */
    [STORE_ASK_PURGE] =
        ("WITH seen AS (SELECT place, name FROM @ WHERE database = $1 AND"
         " place >= $2::int8 ORDER BY place, name LIMIT $3::int8),"
         " past AS (SELECT t.place, t.name FROM @ AS t JOIN seen USING (place, name)"
         " WHERE t.database = $1 AND t.expires_ms <> 0 AND t.expires_ms <="
         " floor(extract(epoch FROM clock_timestamp()) * 1000)::int8 FOR UPDATE OF t SKIP LOCKED),"
         " gone AS (DELETE FROM @ AS t USING past WHERE t.database = $1 AND"
         " t.place = past.place AND t.name = past.name RETURNING 1)"
         " SELECT (SELECT count(*) FROM seen), (SELECT coalesce(max(place), 0) FROM seen),"
         " (SELECT count(*) FROM gone)"),
    [STORE_ASK_SIZE] = ("SELECT CASE WHEN pg_stat_get_live_tuples(oid) > 0"
                        " THEN pg_stat_get_live_tuples(oid) ELSE greatest(reltuples, 0)::int8 END,"
                        " pg_total_relation_size(oid)::int8,"
                        " (SELECT coalesce(max(database), -1) + 1 FROM @)::int8"
                        " FROM pg_class WHERE oid = $1::text::regclass"),
};

/* "app.keys" -> "app"."keys"; the configuration lets no quotes through. */
static char *quote(const char *table)
{
    const char *dot = strchr(table, '.');
    struct buf quoted = { 0 };

    if (dot != NULL)
        buf_format(&quoted, "\"%.*s\".", (int)(dot - table), table);
    buf_format(&quoted, "\"%s\"", dot != NULL ? dot + 1 : table);
    buf_put(&quoted, "", 1);
    return (char *)quoted.at;
}

static void prepare(struct store *s, const char *name, const char *text)
{
    struct buf with_table = { 0 };

    for (; *text != '\0'; text++) {
        if (*text == '@')
            buf_text(&with_table, s->table);
        else
            buf_put(&with_table, text, 1);
    }
    buf_put(&with_table, "", 1);
    store_link_prepare(s->link, name, (const char *)with_table.at);
    buf_fini(&with_table);
}

/* Keys are always few among many: the server need not wonder, not even before it has looked at the
 * table.  Who is gone does not hold its locks for long. */
static enum err set_session(struct store *s, const struct store_settings *settings)
{
    static const char TEXT[] =
        "SELECT set_config('plan_cache_mode', 'force_generic_plan', false),"
        " set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),"
        " set_config('enable_mergejoin', 'off', false), set_config('jit', 'off', false),"
        " set_config('lock_timeout', $1::text, false),"
        " set_config('idle_in_transaction_session_timeout', $1::text, false),"
        " set_config('synchronous_commit', CASE current_setting('synchronous_commit')"
        " WHEN 'off' THEN 'on' ELSE current_setting('synchronous_commit') END, false)";
    PGresult *results[2];
    struct slice value;

    buf_format(store_value_at(s, 0), "%" PRIu64 "ms", settings->timeout_ms);
    value = buf_all(&s->values[0]);
    prepare(s, "set", TEXT);
    store_link_ask(s->link, "set", &value, 1);
    if (store_link_run(s->link, results, 2) != ERR_NONE)
        return store_failed(s);
    store_link_clear(results, 2);
    return ERR_NONE;
}

/* The right to make a table is needed only where there is none. */
static enum err find_table(struct store *s, bool *is_there)
{
    PGresult *results[2];
    struct slice value = slice_text(s->table);

    store_link_prepare(s->link, "find", "SELECT to_regclass($1::text) IS NULL");
    store_link_ask(s->link, "find", &value, 1);
    if (store_link_run(s->link, results, 2) != ERR_NONE)
        return store_failed(s);
    *is_there = !slice_is(store_link_bytes(results[1], 0, 0), slice_of("\1", 1));
    store_link_clear(results, 2);
    return ERR_NONE;
}

/* Two at a time would be in each other's way.  Values are written anew in place: room is left. */
static enum err make_table(struct store *s)
{
    enum { MAKING = 8 };
    static const char TEXT[] =
        "CREATE TABLE IF NOT EXISTS @ (database int4 NOT NULL, place int8 NOT NULL,"
        " name bytea NOT NULL, value bytea NOT NULL, expires_ms int8 NOT NULL,"
        " PRIMARY KEY (database, place, name)) WITH (fillfactor = 80)";
    PGresult *results[MAKING];

    prepare(s, "make_begin", "BEGIN");
    prepare(s, "make_lock", TEXTS[STORE_ASK_LOCK_ALL]);
    prepare(s, "make", TEXT);
    store_link_ask(s->link, "make_begin", NULL, 0);
    store_link_put_i32(store_value_at(s, 0), (uint32_t)(s->lock >> 32));
    store_link_put_i32(store_value_at(s, 1), (uint32_t)s->lock);
    store_link_ask(s->link, "make_lock",
                   (struct slice[]){ buf_all(&s->values[0]), buf_all(&s->values[1]) }, 2);
    store_link_ask(s->link, "make", NULL, 0);
    prepare(s, "make_commit", "COMMIT");
    store_link_ask(s->link, "make_commit", NULL, 0);
    if (store_link_run(s->link, results, MAKING) != ERR_NONE)
        return store_failed(s);
    store_link_clear(results, MAKING);
    return ERR_NONE;
}

static enum err prepare_all(struct store *s)
{
    PGresult *results[STORE_ASKS];

    for (int i = 0; i < STORE_ASKS; i++)
        prepare(s, store_ask_names[i], TEXTS[i]);
    if (store_link_run(s->link, results, STORE_ASKS) != ERR_NONE)
        return store_failed(s);
    store_link_clear(results, STORE_ASKS);
    return ERR_NONE;
}

static enum err set_up(struct store *s, const struct store_settings *settings)
{
    bool is_there = false;

    TRY(set_session(s, settings));
    TRY(find_table(s, &is_there));
    if (!is_there)
        TRY(make_table(s));
    TRY(prepare_all(s));
    return store_postgresql_tend(s);
}

void store_postgresql_close(struct store **where)
{
    struct store *s = *where;

    *where = NULL;
    store_link_close(&s->link);
    store_piece_fini(&s->piece);
    for (int i = 0; i < STORE_LINK_VALUES_MOST; i++)
        buf_fini(&s->values[i]);
    free(s->table);
    free(s);
}

enum err store_postgresql_open(const struct store_settings *settings, struct store **out,
                               struct buf *why)
{
    struct store_link_settings link = { settings->path, settings->connect_ms, settings->timeout_ms,
                                        settings->stop_fd };
    struct store *s = mem_new(sizeof(*s));

    s->table = quote(settings->table);
    s->lock = store_hash(slice_text(s->table));
    if (store_link_open(&link, &s->link, why) != ERR_NONE) {
        store_postgresql_close(&s);
        return ERR_SYSTEM;
    }
    if (set_up(s, settings) != ERR_NONE) {
        buf_text(why, s->why);
        store_postgresql_close(&s);
        return ERR_SYSTEM;
    }
    *out = s;
    return ERR_NONE;
}
