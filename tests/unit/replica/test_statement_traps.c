/* Every statement that is known to fool proxies which split reads from writes, and what is
 * right. */
#include "tests/unit/check.h"

#include "replica/statement.h"

struct trap {
    const char *text;
    enum statement_route route;
    uint32_t effects; /* that must be among its own */
};

static const struct statement_options NOTHING_KNOWN;

static void read_text(const char *text, struct arena *arena, struct script *script)
{
    script_read(slice_text(text), &NOTHING_KNOWN, arena, script);
}

static void check_traps(const struct trap *traps, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct arena arena = { 0 };
        struct script script;

        read_text(traps[i].text, &arena, &script);
        if (script.route != traps[i].route ||
            (script.effects & traps[i].effects) != traps[i].effects) {
            printf("%s\n  is %s (%s) with effects %x, expected %s with %x\n", traps[i].text,
                   statement_route_text(script.route), script.reason, script.effects,
                   statement_route_text(traps[i].route), traps[i].effects);
            check_failures_here++;
        }
        arena_fini(&arena);
    }
}

#define CHECK_TRAPS(table) check_traps(table, sizeof(table) / sizeof((table)[0]))

/* A replica refuses these, so they may not be worse than tried; they are known to be no reads. */
static const struct trap REFUSED[] = {
    { "SELECT nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT setval('sq', 1)", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT pg_catalog.nextval('sq'::regclass)", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT \"nextval\"('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT NextVal('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT U&\"n\\0065xtval\"('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT ('sq'::regclass).nextval", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT (c).nextval FROM (SELECT 'sq'::regclass) AS x(c)", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM ROWS FROM (nextval('sq'), generate_series(1, 2))", ROUTE_PRIMARY,
      EFFECT_SEQUENCE },
    { "SELECT * FROM t WHERE id = nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM t ORDER BY nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM t LIMIT nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM t OFFSET (SELECT nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT count(*) FILTER (WHERE nextval('sq') > 0) FROM t", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT sum(id) OVER (PARTITION BY nextval('sq')) FROM t", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT sum(id) OVER w FROM t WINDOW w AS (ORDER BY nextval('sq'))", ROUTE_PRIMARY,
      EFFECT_SEQUENCE },
    { "SELECT string_agg(v, ',' ORDER BY nextval('sq')) FROM t", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY nextval('sq')) FROM t", ROUTE_PRIMARY,
      EFFECT_SEQUENCE },
    { "SELECT v FROM t GROUP BY ROLLUP (v, nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT 1 FROM t GROUP BY v HAVING nextval('sq') > 0", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT a[nextval('sq')] FROM t", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT CASE WHEN true THEN nextval('sq') END", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT COALESCE(NULL, nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT GREATEST(1, nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT ARRAY[nextval('sq')]", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT ARRAY(SELECT nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT ROW(nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT nextval('sq') IS NULL", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT (nextval('sq') > 0) IS TRUE", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT nextval('sq')::text COLLATE \"C\"", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT xmlelement(name x, nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT make_interval(days => nextval('sq')::int)", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "VALUES (nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT 1 UNION ALL (SELECT 2 UNION SELECT nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT DISTINCT ON (nextval('sq')) v FROM t", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM t TABLESAMPLE bernoulli (nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM t a JOIN t b ON nextval('sq') > 0", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM xmltable('/a' PASSING nextval('sq')::text::xml COLUMNS x int)", ROUTE_PRIMARY,
      EFFECT_SEQUENCE },
    { "SELECT f_write()", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "SELECT s.f_write(1)", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "SELECT * FROM t FOR UPDATE", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM t FOR NO KEY UPDATE", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM t FOR SHARE OF t SKIP LOCKED", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM t FOR KEY SHARE NOWAIT", ROUTE_PRIMARY, 0 },
    { "SELECT * INTO n FROM t", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "SELECT 1 INTO TEMP n", ROUTE_PRIMARY, EFFECT_TEMP },
    { "SELECT 1 INTO pg_temp.n", ROUTE_PRIMARY, EFFECT_TEMP },
    { "SELECT 1 INTO n UNION SELECT 2", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "WITH x AS (SELECT 1) SELECT * INTO n FROM x", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "CREATE TABLE n AS SELECT 1", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "CREATE TABLE n AS EXECUTE p(1)", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "CREATE MATERIALIZED VIEW n AS SELECT 1", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "REFRESH MATERIALIZED VIEW n", ROUTE_PRIMARY, 0 },
    { "CREATE TEMP TABLE n (a int)", ROUTE_PRIMARY, EFFECT_TEMP },
    { "CREATE LOCAL TEMPORARY TABLE n AS SELECT 1", ROUTE_PRIMARY, EFFECT_TEMP },
    { "CREATE TABLE pg_temp.n (a int)", ROUTE_PRIMARY, EFFECT_TEMP },
    { "CREATE TEMP VIEW n AS SELECT 1", ROUTE_PRIMARY, EFFECT_TEMP },
    { "CREATE TEMP SEQUENCE n", ROUTE_PRIMARY, EFFECT_TEMP },
    { "CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", ROUTE_PRIMARY,
      EFFECT_OPAQUE },
    { "WITH x AS (DELETE FROM t WHERE false RETURNING *) SELECT * FROM x", ROUTE_PRIMARY, 0 },
    { "WITH x AS (INSERT INTO t VALUES (1) RETURNING *) TABLE x", ROUTE_PRIMARY, 0 },
    { "WITH x AS (UPDATE t SET id = 1) SELECT 1", ROUTE_PRIMARY, 0 },
    { "WITH a AS (SELECT 1), b AS (DELETE FROM t) SELECT * FROM a", ROUTE_PRIMARY, 0 },
    { "EXPLAIN ANALYZE UPDATE t SET id = 1", ROUTE_PRIMARY, 0 },
    { "EXPLAIN (ANALYZE, BUFFERS) DELETE FROM t", ROUTE_PRIMARY, 0 },
    { "EXPLAIN ANALYZE SELECT nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "EXPLAIN ANALYZE CREATE TABLE n AS SELECT 1", ROUTE_PRIMARY, 0 },
    { "COPY (INSERT INTO t VALUES (1) RETURNING *) TO STDOUT", ROUTE_PRIMARY, 0 },
    { "COPY (SELECT nextval('sq')) TO STDOUT", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "COPY t FROM STDIN", ROUTE_PRIMARY, 0 },
    { "COPY t FROM '/tmp/x' WHERE id > 1", ROUTE_PRIMARY, 0 },
    { "CALL p(1)", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "CALL p(set_config('a.b', 'c', false))", ROUTE_PRIMARY, EFFECT_OPAQUE | EFFECT_SETS },
    { "DO $$ BEGIN INSERT INTO t VALUES (1); END $$", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "LISTEN c", ROUTE_PRIMARY, EFFECT_LISTENS },
    { "NOTIFY c, 'x'", ROUTE_PRIMARY, 0 },
    { "SELECT pg_notify('c', 'x')", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM pg_listening_channels()", ROUTE_PRIMARY, EFFECT_LISTENS },
    { "LOCK TABLE t IN ROW EXCLUSIVE MODE", ROUTE_PRIMARY, 0 },
    { "LOCK t", ROUTE_PRIMARY, 0 },
    { "SELECT txid_current()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_current_xact_id()", ROUTE_PRIMARY, 0 },
    { "SELECT txid_current_if_assigned()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_current_snapshot()", ROUTE_PRIMARY, 0 },
    { "PREPARE TRANSACTION 'x'", ROUTE_PRIMARY, 0 },
    { "COMMIT PREPARED 'x'", ROUTE_PRIMARY, EFFECT_ALONE },
    { "VACUUM t", ROUTE_PRIMARY, EFFECT_ALONE },
    { "ANALYZE t", ROUTE_PRIMARY, 0 },
    { "REINDEX TABLE t", ROUTE_PRIMARY, 0 },
    { "GRANT SELECT ON t TO public", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "COMMENT ON TABLE t IS 'x'", ROUTE_PRIMARY, 0 },
    { "ALTER TABLE t ADD c int", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "DROP TABLE t", ROUTE_PRIMARY, EFFECT_CATALOG },
    { "TRUNCATE t", ROUTE_PRIMARY, 0 },
    { "MERGE INTO t USING t AS s ON t.id = s.id WHEN MATCHED THEN DELETE", ROUTE_PRIMARY, 0 },
    { "INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET id = nextval('sq')", ROUTE_PRIMARY,
      EFFECT_SEQUENCE },
    { "UPDATE t SET (id, v) = (SELECT nextval('sq'), 'x')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "DELETE FROM t USING t AS s RETURNING set_config('a.b', 'c', false)", ROUTE_PRIMARY,
      EFFECT_SETS },
    { "SELECT pg_current_wal_lsn()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_current_wal_flush_lsn()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_switch_wal()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_create_restore_point('x')", ROUTE_PRIMARY, 0 },
    { "SELECT currval('sq')", ROUTE_PRIMARY, EFFECT_CURRVAL },
    { "SELECT lastval()", ROUTE_PRIMARY, EFFECT_CURRVAL },
    { "SELECT lo_create(0)", ROUTE_PRIMARY, 0 },
    { "SELECT lo_creat(-1)", ROUTE_PRIMARY, 0 },
    { "SELECT lo_unlink(5)", ROUTE_PRIMARY, 0 },
    { "SELECT pg_logical_emit_message(false, 'a', 'b')", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM pg_temp.tt", ROUTE_PRIMARY, EFFECT_TEMP },
    { "SELECT pg_temp.f()", ROUTE_PRIMARY, EFFECT_TEMP },
};

static void what_a_replica_refuses_goes_to_the_primary(void)
{
    CHECK_TRAPS(REFUSED);
}

/* These succeed on a replica, and are wrong there: nothing but our own rules keeps them away. */
static const struct trap WRONG_IN_SILENCE[] = {
    { "SELECT pg_advisory_lock(1)", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT pg_advisory_lock_shared(1, 2)", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT pg_try_advisory_lock(1)", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT pg_try_advisory_lock_shared(1)", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT pg_advisory_unlock(1)", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT pg_advisory_unlock_all()", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT (1::bigint).pg_advisory_lock", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT (id).pg_try_advisory_lock FROM t", ROUTE_PRIMARY, EFFECT_LOCK },
    { "SELECT pg_advisory_xact_lock(1)", ROUTE_PRIMARY, 0 },
    { "SELECT pg_try_advisory_xact_lock(1)", ROUTE_PRIMARY, 0 },
    { "SELECT set_config('search_path', 'x', false)", ROUTE_PRIMARY, EFFECT_SETS },
    { "SELECT 1 WHERE set_config('a.b', 'x', false) IS NOT NULL", ROUTE_PRIMARY, EFFECT_SETS },
    { "WITH x AS (SELECT set_config('a.b', 'x', false)) SELECT 1 FROM x", ROUTE_PRIMARY,
      EFFECT_SETS },
    { "ALTER SYSTEM SET work_mem = '1MB'", ROUTE_PRIMARY, EFFECT_ALONE },
    { "SELECT pg_reload_conf()", ROUTE_PRIMARY, 0 },
    { "CHECKPOINT", ROUTE_PRIMARY, 0 },
    { "LOAD 'auto_explain'", ROUTE_PRIMARY, EFFECT_LOADS },
    { "SELECT pg_stat_reset()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_stat_reset_shared('bgwriter')", ROUTE_PRIMARY, 0 },
    { "SELECT pg_create_physical_replication_slot('x')", ROUTE_PRIMARY, 0 },
    { "SELECT pg_create_logical_replication_slot('x', 'y')", ROUTE_PRIMARY, 0 },
    { "SELECT pg_drop_replication_slot('x')", ROUTE_PRIMARY, 0 },
    { "COPY t TO '/tmp/x'", ROUTE_PRIMARY, 0 },
    { "COPY t TO PROGRAM 'cat'", ROUTE_PRIMARY, 0 },
    { "COPY (SELECT 1) TO '/tmp/x'", ROUTE_PRIMARY, 0 },
    { "SELECT dblink_exec('host=x', 'DELETE FROM t')", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "SELECT * FROM dblink('host=x', 'SELECT 1') AS x(a int)", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "SELECT dblink_connect('a', 'host=x')", ROUTE_PRIMARY, EFFECT_LOADS },
    { "SELECT f_swallows_the_error()", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "DECLARE c CURSOR WITH HOLD FOR SELECT 1", ROUTE_PRIMARY, EFFECT_HOLD },
    { "DECLARE c CURSOR FOR SELECT * FROM t FOR UPDATE", ROUTE_PRIMARY, 0 },
    { "DEALLOCATE p", ROUTE_SESSION, 0 },
    { "DEALLOCATE ALL", ROUTE_SESSION, 0 },
    { "DISCARD ALL", ROUTE_SESSION, EFFECT_ALONE },
    { "UNLISTEN *", ROUTE_PRIMARY, EFFECT_LISTENS },
    { "PREPARE p AS DELETE FROM t", ROUTE_SESSION, 0 },
    { "EXECUTE p", ROUTE_SESSION, 0 },
    { "EXECUTE p(nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT pg_export_snapshot()", ROUTE_PRIMARY, 0 },
    { "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", ROUTE_PRIMARY, 0 },
    { "SELECT pg_backend_pid()", ROUTE_HERE, 0 },
    { "SELECT pg_cancel_backend(1)", ROUTE_PRIMARY, 0 },
    { "SELECT (1).pg_cancel_backend", ROUTE_PRIMARY, 0 },
    { "SELECT pg_terminate_backend(1)", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM pg_stat_activity", ROUTE_HERE, 0 },
    { "SELECT * FROM pg_catalog.pg_stat_user_tables", ROUTE_HERE, 0 },
    { "SELECT * FROM pg_statio_user_tables", ROUTE_HERE, 0 },
    { "SELECT * FROM pg_locks", ROUTE_HERE, 0 },
    { "SELECT * FROM PG_LOCKS", ROUTE_HERE, 0 },
    { "TABLE pg_settings", ROUTE_HERE, 0 },
    { "SELECT * FROM pg_cursors, pg_prepared_statements", ROUTE_HERE, 0 },
    { "SELECT pg_stat_get_numscans(1)", ROUTE_HERE, 0 },
    { "SELECT inet_server_addr()", ROUTE_HERE, 0 },
    { "SELECT inet_client_port()", ROUTE_HERE, 0 },
    { "SELECT pg_is_in_recovery()", ROUTE_HERE, 0 },
    { "SELECT pg_last_wal_replay_lsn()", ROUTE_HERE, 0 },
    { "SELECT version()", ROUTE_HERE, 0 },
    { "SHOW in_hot_standby", ROUTE_HERE, 0 },
    { "SHOW transaction_read_only", ROUTE_HERE, 0 },
    { "SELECT current_setting('transaction_read_only')", ROUTE_HERE, 0 },
    { "SELECT current_setting('In_Hot_Standby')", ROUTE_HERE, 0 },
    { "SELECT current_setting($1)", ROUTE_HERE, 0 },
    { "SELECT ('in_hot_standby'::text).current_setting", ROUTE_HERE, 0 },
    { "SELECT pg_is_in_recovery(), nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
    { "SELECT * FROM pg_locks FOR UPDATE", ROUTE_PRIMARY, 0 },
    { "SELECT pg_is_in_recovery() FROM pg_temp.t", ROUTE_PRIMARY, EFFECT_TEMP },
    { "SHOW in_hot_standby; DELETE FROM t", ROUTE_PRIMARY, 0 },
    { "BEGIN; SHOW in_hot_standby", ROUTE_PRIMARY, 0 },
    { "SHOW in_hot_standby; BEGIN", ROUTE_PRIMARY, 0 },
    { "DECLARE c CURSOR FOR SELECT pg_is_in_recovery()", ROUTE_HERE, 0 },
    { "SELECT pg_wal_replay_pause()", ROUTE_PRIMARY, 0 },
    { "SELECT pg_replication_origin_create('x')", ROUTE_PRIMARY, 0 },
    { "SELECT setseed(0.5)", ROUTE_PRIMARY, EFFECT_SEED },
    { "SELECT setseed(0.5), random()", ROUTE_PRIMARY, EFFECT_SEED },
    { "SELECT (0.5).setseed", ROUTE_PRIMARY, EFFECT_SEED },
    { "SET seed TO 0.5", ROUTE_SESSION, EFFECT_SEED },
    { "SELECT set_config('seed', '0.5', false)", ROUTE_PRIMARY, EFFECT_SEED },
    { "SELECT 1 WHERE EXISTS (SELECT nextval('sq'))", ROUTE_PRIMARY, 0 },
    { "SELECT query_to_xml('SELECT pg_advisory_lock(1)', true, false, '')", ROUTE_PRIMARY,
      EFFECT_OPAQUE },
    { "SELECT * FROM ts_stat('SELECT set_config(''a.b'', ''c'', false)::tsvector')", ROUTE_PRIMARY,
      EFFECT_OPAQUE },
    { "SELECT ts_rewrite('a'::tsquery, 'SELECT x, y FROM t')", ROUTE_PRIMARY, EFFECT_OPAQUE },
    { "SELECT last_value FROM sq", ROUTE_PRIMARY, 0 },
    { "SELECT sq.log_cnt FROM sq", ROUTE_PRIMARY, 0 },
    { "SELECT * FROM pg_sequences", ROUTE_PRIMARY, 0 },
    { "SELECT pg_sequence_last_value('sq')", ROUTE_PRIMARY, 0 },
    { "SELECT pg_replication_origin_session_setup('x')", ROUTE_PRIMARY, EFFECT_LOADS },
    { "SELECT pg_backup_start('x')", ROUTE_PRIMARY, EFFECT_LOADS },
    { "SELECT pg_read_file('x')", ROUTE_HERE, 0 },
    { "SELECT pg_ls_dir('.')", ROUTE_HERE, 0 },
    { "SELECT lo_export(1, '/tmp/x')", ROUTE_PRIMARY, 0 },
    { "SELECT pg_log_backend_memory_contexts(1)", ROUTE_PRIMARY, 0 },
    { "SELECT pg_promote()", ROUTE_PRIMARY, 0 },
};

static void what_a_replica_does_wrongly_in_silence_goes_to_the_primary(void)
{
    CHECK_TRAPS(WRONG_IN_SILENCE);
}

static void a_text_goes_where_all_of_it_may_go(void)
{
    static const struct trap TRAPS[] = {
        { "SELECT 1; INSERT INTO t VALUES (1)", ROUTE_PRIMARY, 0 },
        { "SELECT 1; SELECT nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "SELECT 1; SELECT 2 -- INSERT", ROUTE_READ, 0 },
        { "SELECT 1; SELECT v FROM t;", ROUTE_TRY, 0 },
        { "BEGIN; SELECT 1; COMMIT", ROUTE_PRIMARY, 0 },
        { "SET a.b = 1; SELECT 1", ROUTE_PRIMARY, 0 },
        { "SELECT 'a;INSERT INTO t VALUES (1)'", ROUTE_READ, 0 },
        { "SELECT $a$; DELETE FROM t; $a$", ROUTE_READ, 0 },
        { "SELECT 1 /* ; /* nested */ DELETE FROM t */", ROUTE_READ, 0 },
        { "SELECT 1 AS \"; DELETE FROM t\"", ROUTE_READ, 0 },
        { "TABLE t", ROUTE_TRY, 0 },
        { "VALUES (1), (2)", ROUTE_READ, 0 },
        { "(SELECT * FROM t FOR UPDATE) UNION SELECT 1", ROUTE_PRIMARY, 0 },
        { "(((SELECT 1)))", ROUTE_READ, 0 },
        { "SELECT (SELECT id FROM t FOR UPDATE LIMIT 1)", ROUTE_PRIMARY, 0 },
        { "SELECT * FROM (SELECT * FROM t FOR SHARE) AS x", ROUTE_PRIMARY, 0 },
        { "EXPLAIN (ANALYZE, TIMING OFF) UPDATE t SET id = 1", ROUTE_PRIMARY, 0 },
        { "EXPLAIN (ANALYZE false) UPDATE t SET id = 1", ROUTE_PRIMARY, 0 },
        { "EXPLAIN SELECT * FROM t", ROUTE_TRY, 0 },
        { "EXPLAIN ANALYZE SELECT * FROM t", ROUTE_TRY, 0 },
        { "EXPLAIN EXECUTE p", ROUTE_SESSION, 0 },
        { "EXPLAIN ANALYZE EXECUTE p(nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "DECLARE c CURSOR FOR SELECT * FROM t", ROUTE_TRY, 0 },
        { "FETCH 5 FROM c", ROUTE_SESSION, 0 },
        { "MOVE c", ROUTE_SESSION, 0 },
        { "CLOSE c", ROUTE_SESSION, 0 },
        { "SET CONSTRAINTS ALL DEFERRED", ROUTE_SESSION, 0 },
        { "BEGIN READ ONLY", ROUTE_SESSION, 0 },
        { "COPY t TO STDOUT", ROUTE_TRY, 0 },
        { "COPY (SELECT * FROM t) TO STDOUT (FORMAT csv)", ROUTE_TRY, 0 },
        { "SELECT 1 FROM f.f", ROUTE_TRY, 0 },
        { "", ROUTE_READ, 0 },
        { " ; -- nothing\n;", ROUTE_READ, 0 },
    };

    CHECK_TRAPS(TRAPS);
}

static void reads_of_every_kind_may_go_to_a_replica(void)
{
    static const struct trap TRAPS[] = {
        { "SELECT 1", ROUTE_READ, 0 },
        { "SELECT now(), current_date, current_user, localtimestamp", ROUTE_READ, 0 },
        { "SELECT random(), gen_random_uuid(), clock_timestamp()", ROUTE_READ, 0 },
        { "SELECT abs(-1), lower('A'), coalesce(NULL, 1), pg_catalog.upper('a')", ROUTE_READ, 0 },
        { "SELECT 'pg_class'::regclass, '1'::int, date '2020-01-01', int4('5')", ROUTE_READ, 0 },
        { "SELECT * FROM pg_catalog.pg_class", ROUTE_READ, 0 },
        { "SELECT * FROM information_schema.columns", ROUTE_READ, 0 },
        { "SELECT current_setting('app.tenant')", ROUTE_READ, 0 },
        { "SELECT pg_sleep(1)", ROUTE_READ, 0 },
        { "SELECT * FROM t WHERE id = $1", ROUTE_TRY, 0 },
        { "SELECT \"nextval\" FROM t", ROUTE_TRY, 0 },
        { "SELECT t.version, t.age FROM t", ROUTE_TRY, 0 },
        { "SELECT last_value(v) OVER (ORDER BY id) FROM t", ROUTE_TRY, 0 },
        { "SELECT * FROM t TABLESAMPLE system (10) REPEATABLE (5)", ROUTE_TRY, 0 },
        { "SELECT * FROM pg_class, pg_stats", ROUTE_TRY, 0 },
        { "SELECT age(xmin) FROM t", ROUTE_TRY, 0 },
        { "SELECT x::mytype FROM t", ROUTE_TRY, 0 },
        { "SELECT (v).field FROM t", ROUTE_TRY, 0 },
        { "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 5) "
          "SELECT * FROM r",
          ROUTE_TRY, 0 },
        { "SELECT a.*, (SELECT max(id) FROM t) FROM t a LEFT JOIN LATERAL "
          "(SELECT * FROM t b WHERE b.id = a.id) c ON true CROSS JOIN generate_series(1, 3)",
          ROUTE_TRY, 0 },
        { "SELECT extract(year FROM now()), trim(both 'x' FROM 'xax'), overlay('a' PLACING 'b' "
          "FROM 1), 'a' SIMILAR TO 'b', position('a' IN 'b'), now() AT TIME ZONE 'UTC'",
          ROUTE_READ, 0 },
    };

    CHECK_TRAPS(TRAPS);
}

/* PostgreSQL 16 and later: our grammar does not know them. */
static void newer_syntax_is_read_by_its_words(void)
{
    static const struct trap TRAPS[] = {
        { "SELECT JSON_OBJECT('a': 1)", ROUTE_TRY, 0 },
        { "SELECT * FROM JSON_TABLE(x, '$' COLUMNS (a int PATH '$.a')) AS j, t", ROUTE_TRY, 0 },
        { "SELECT JSON_OBJECT('a': nextval('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "SELECT JSON_OBJECT('a': \"nextval\"('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "SELECT JSON_OBJECT('a': pg_catalog.nextval ('sq'))", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "SELECT JSON_OBJECT('a': ('sq'::regclass).nextval)", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "SELECT JSON_OBJECT('a': set_config('a.b', 'c', false))", ROUTE_PRIMARY, EFFECT_SETS },
        { "SELECT JSON_OBJECT('a': 1) FROM t FOR UPDATE", ROUTE_PRIMARY, 0 },
        { "SELECT JSON_OBJECT('a': 1) INTO n", ROUTE_PRIMARY, 0 },
        { "WITH x AS (DELETE FROM t) SELECT JSON_OBJECT('a': 1)", ROUTE_PRIMARY, 0 },
        { "SELECT JSON_OBJECT('a': f(1))", ROUTE_PRIMARY, EFFECT_OPAQUE },
        { "SELECT JSON_OBJECT('a': 1) FROM pg_locks", ROUTE_HERE, 0 },
        { "SELECT JSON_OBJECT('a': 1) FROM pg_temp.x", ROUTE_PRIMARY, EFFECT_TEMP },
        { "SELECT JSON_OBJECT('a': U&\"n\\0065xtval\"('sq'))", ROUTE_PRIMARY, EFFECT_OPAQUE },
        { "MERGE INTO t USING s ON true WHEN MATCHED THEN DELETE RETURNING f(1)", ROUTE_PRIMARY,
          EFFECT_OPAQUE },
        { "SET x = 1 1", ROUTE_PRIMARY, EFFECT_UNSEEN },
        { "nonsense", ROUTE_PRIMARY, EFFECT_UNSEEN },
        { "SELECT 'unended", ROUTE_PRIMARY, EFFECT_UNSEEN },
        { "CREATE TABLE n (a int GENERATED ALWAYS AS (1) VIRTUAL)", ROUTE_PRIMARY, EFFECT_OPAQUE },
    };

    CHECK_TRAPS(TRAPS);
}

static void what_stands_beside_newer_syntax_is_still_seen(void)
{
    struct arena arena = { 0 };
    struct script script;

    read_text("SET a.b = 'c'; SELECT JSON_OBJECT('a': 1); BEGIN", &arena, &script);
    CHECK_INT(script.count, 3);
    CHECK_INT(script.statements[0].kind, STATEMENT_SET);
    CHECK_BYTES(script.statements[0].name, bytes("a.b"));
    CHECK_INT(script.statements[1].route, ROUTE_TRY);
    CHECK_INT(script.statements[2].kind, STATEMENT_BEGIN);
    CHECK(script.is_error);
    arena_fini(&arena);
}

/* The list of every built-in function that is called with something is far longer; these stand for
 * each class of them, called through every schema that could hide it. */
static void schemas_that_hide_a_function_do_not_hide_it(void)
{
    static const struct trap TRAPS[] = {
        { "SELECT public.abs(-1)", ROUTE_PRIMARY, EFFECT_OPAQUE },
        { "SELECT public.nextval('sq')", ROUTE_PRIMARY, EFFECT_OPAQUE },
        { "SELECT db.pg_catalog.nextval('sq')", ROUTE_PRIMARY, EFFECT_SEQUENCE },
        { "SELECT pg_catalog.no_such_function()", ROUTE_PRIMARY, EFFECT_OPAQUE },
        { "SELECT information_schema._pg_truetypid(NULL, NULL)", ROUTE_READ, 0 },
        { "SELECT pg_temp_3.f()", ROUTE_PRIMARY, EFFECT_TEMP },
    };

    CHECK_TRAPS(TRAPS);
}

int main(void)
{
    RUN(what_a_replica_refuses_goes_to_the_primary);
    RUN(what_a_replica_does_wrongly_in_silence_goes_to_the_primary);
    RUN(a_text_goes_where_all_of_it_may_go);
    RUN(reads_of_every_kind_may_go_to_a_replica);
    RUN(newer_syntax_is_read_by_its_words);
    RUN(what_stands_beside_newer_syntax_is_still_seen);
    RUN(schemas_that_hide_a_function_do_not_hide_it);
    statement_forget_thread();
    return check_report();
}
