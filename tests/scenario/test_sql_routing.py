#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""Which server a statement goes to: reads to replicas, and all that is not surely a read to the primary."""
import itertools
import struct

from lib import *
from lib import pgwire as pg
from lib.sql_route import Routed

SCHEMA = """
    CREATE SEQUENCE sq;
    CREATE VIEW reads AS SELECT count(*) FROM t;
    CREATE VIEW counts AS SELECT nextval('sq') AS n;
    CREATE VIEW over AS SELECT * FROM counts;
    CREATE MATERIALIZED VIEW kept AS SELECT count(*) FROM t;
    CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v WHERE id = 1; RETURN 1; END $$;
    CREATE FUNCTION writes_of(t) RETURNS int LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v WHERE id = 1; RETURN 1; END $$;
    CREATE FUNCTION lies() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN writes(); END $$;
    CREATE MATERIALIZED VIEW unfilled AS SELECT count(*) FROM t WITH NO DATA;
    CREATE FUNCTION lies_late(n int) RETURNS int STABLE LANGUAGE plpgsql AS
        $$ BEGIN IF n > 900 THEN PERFORM writes(); END IF; RETURN n; END $$;
    CREATE FUNCTION where_now() RETURNS pg_lsn STABLE LANGUAGE plpgsql AS $$ BEGIN RETURN pg_current_wal_lsn(); END $$;
    CREATE FUNCTION swallows() RETURNS text LANGUAGE plpgsql AS
        $$ BEGIN PERFORM writes(); RETURN 'written'; EXCEPTION WHEN OTHERS THEN RETURN 'swallowed'; END $$;
    CREATE VIEW swallowed AS SELECT swallows();
    CREATE FUNCTION calm() RETURNS bigint STABLE LANGUAGE sql AS 'SELECT count(*) FROM t';
    CREATE FUNCTION twice(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 * 2';
    CREATE FUNCTION both_ways(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1';
    CREATE FUNCTION both_ways(text) RETURNS int LANGUAGE sql AS 'SELECT writes()';
    CREATE SCHEMA shadow;
    CREATE FUNCTION shadow.length(text) RETURNS int LANGUAGE sql AS 'SELECT writes()';
    CREATE FUNCTION shadow.plus(int, text) RETURNS int LANGUAGE sql AS 'SELECT writes()';
    CREATE OPERATOR @@> (leftarg = int, rightarg = text, function = shadow.plus);
    CREATE TYPE pair AS (a int, b int);
    CREATE FUNCTION to_pair(text) RETURNS pair LANGUAGE sql AS 'SELECT writes(), 2';
    CREATE CAST (text AS pair) WITH FUNCTION to_pair(text);
    CREATE DOMAIN checked AS int CHECK (writes() > 0);
    CREATE AGGREGATE adds (int) (sfunc = shadow_add, stype = int, initcond = '0');
    CREATE TABLE guarded (a int);
    ALTER TABLE guarded ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
    CREATE POLICY p ON guarded USING (writes() > 0);
    INSERT INTO guarded VALUES (1);
    CREATE UNLOGGED TABLE unlogged (a int);
    CREATE PROCEDURE does() LANGUAGE sql AS 'SELECT writes()';
""".replace("    CREATE AGGREGATE", """    CREATE FUNCTION shadow_add(int, int) RETURNS int LANGUAGE sql AS 'SELECT $1 + writes()';
    CREATE AGGREGATE""")


class Statements(Routed):
    options = {"causal_wait": "10s"}  # what was written before must not keep a read from the replicas
    schema = SCHEMA
    known = "SELECT calm()"

    def test_reads(self):
        self.assert_goes(
            "replica", "SELECT 1", "SELECT * FROM t", "SELECT count(*), max(v) FROM t WHERE id > 0 GROUP BY v HAVING count(*) > 0",
            "SELECT v FROM t WHERE id IN (SELECT id FROM t) ORDER BY 1 LIMIT 5 OFFSET 1", "TABLE t", "VALUES (1), (2)",
            "(SELECT 1) UNION ALL (SELECT 2) INTERSECT SELECT 3", "WITH x AS (SELECT * FROM t) SELECT * FROM x",
            "WITH RECURSIVE x(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM x WHERE n < 5) SELECT sum(n) FROM x",
            "SELECT a.id FROM t a JOIN t b USING (id) LEFT JOIN LATERAL (SELECT a.v) c ON true",
            "SELECT row_number() OVER (PARTITION BY v ORDER BY id) FROM t", "SELECT DISTINCT ON (v) * FROM t", "SELECT now(), length('x')",
            "SELECT g FROM generate_series(1, 3) g", "SELECT CASE WHEN id > 1 THEN coalesce(v, 'x') END, id::text, CAST(id AS text) FROM t",
            "SELECT '{\"a\": 1}'::jsonb ? 'a', '[1]'::json->0, ARRAY[1, 2] || 3, (1, 2) < (3, 4)", "SELECT EXISTS (SELECT 1 FROM t)",
            "SELECT 'INSERT INTO t'", "SELECT $$ DELETE FROM t $$", "SELECT E'\\'; DELETE FROM t; --'", "SELECT 1 -- ; DELETE FROM t\n",
            "SELECT /* nextval('sq') /* nested */ */ 1", "select\n\t1", "SELECT U&'d\\0061t\\+000061'", "SELECT \"v\" FROM \"t\" AS \"delete\"",
            "COPY t TO STDOUT", "COPY (SELECT * FROM t) TO STDOUT", "EXPLAIN SELECT * FROM t", "EXPLAIN (ANALYZE, COSTS off) SELECT 1",
            "SELECT * FROM t TABLESAMPLE SYSTEM (100)", "SELECT xmlelement(name a)", "SELECT", "SELECT relname FROM pg_class",
            "SELECT * FROM information_schema.tables", "SELECT 't'::regclass, pg_get_viewdef('reads'::regclass)", "SELECT 1;")

    def test_a_query_behind_what_fails_is_skipped_at_a_replica_too(self):
        session = self.session()
        session.send(pg.parse("", "SELECT v FROM t") + pg.describe("S", "nosuch") + pg.flush() + pg.query("SELECT count(*) FROM t"))
        self.assertEqual(session.until("E").tags, "1E")
        self.assertEqual(session.run(pg.sync()).tags, "Z")

    def test_what_stands_before_a_query_at_a_replica_is_answered_once(self):
        session = self.session()
        for text, tags in (("", "IZ"), ("SELECT 1", "TDCZ"), ("BEGIN READ ONLY", "CZ"), ("SELECT v FROM t LIMIT 0; SELECT 1", "TCTDCZ")):
            for before, its_tags in ((pg.close("P", ""), "3"), (pg.close("S", "x") + pg.close("P", "x"), "33"), (pg.parse("", "SELECT 1"), "1"), (pg.parse("", "SELECT 1") + pg.bind(), "12")):
                with self.subTest(text=text, before=before):
                    self.assertEqual(session.run(before + pg.query(text)).tags, its_tags + tags)
                    session.ask("ROLLBACK")

    def test_a_write_behind_what_was_prepared_at_a_replica_without_a_sync(self):
        """As asyncpg says it, which has it flushed alone; the next statement's messages are of the same exchange."""
        write = "UPDATE t SET v = v WHERE id = 1"
        read, use = pg.parse("read", "SELECT v FROM t WHERE id = 1") + pg.describe("S", "read") + pg.flush(), pg.bind("", "read") + pg.execute()
        changes, call = pg.parse("changes", write) + pg.describe("S", "changes") + pg.flush(), pg.bind("", "changes") + pg.execute()
        abs_of = pg.function_call(1397, [struct.pack("!i", -4)])
        for steps in ([(read, "T", "1tT"), (pg.one(write) + pg.sync(), "Z", "12nCZ")], [(read + pg.one(write) + pg.sync(), "Z", "1tT12nCZ")],
                      [(read, "T", "1tT"), (use + pg.one(write) + pg.sync(), "Z", "2DC12nCZ")], [(read, "T", "1tT"), (changes, "n", "1tn"), (call + pg.sync(), "Z", "2CZ")],
                      [(read, "T", "1tT"), (pg.parse("", "SELECT 1") + pg.flush(), "1", "1"), (use + pg.sync(), "Z", "2DCZ")], [(read, "T", "1tT"), (abs_of, "Z", "VZ")],
                      [(read, "T", "1tT"), (use + pg.flush(), "C", "2DC"), (pg.one(write) + pg.sync(), "Z", "12nCZ")]):
            with self.subTest(steps=steps), self.session() as session:
                self.assertEqual(self.went(session, "SELECT v FROM t")[0], "replica")
                for data, end, tags in steps:
                    self.assertEqual(session.ask_until(data, end).tags, tags)

    def test_a_query_behind_a_write_in_its_pipeline_goes_where_that_does(self):
        session = self.session()
        self.assertEqual(self.went(session, "SELECT 1")[0], "replica")
        before = [len(server.log) for server in self.servers]
        session.run(pg.one("UPDATE t SET v = v WHERE id = 1 /* mark of it */") + pg.query("SELECT 1"))
        self.assertEqual(self.logged("/* mark of it */", before), [self.primary])

    def test_reads_that_the_catalog_knows(self):
        self.assert_goes("replica", "SELECT * FROM reads", "SELECT calm()", "SELECT twice(2)", "SELECT * FROM kept", "SELECT twice(id) FROM t")

    def test_writes(self):
        self.assert_goes(
            "primary", "INSERT INTO t (v) VALUES ('x')", "UPDATE t SET v = v", "DELETE FROM t WHERE false", "INSERT INTO t (v) SELECT 'x' RETURNING id",
            "WITH x AS (DELETE FROM t WHERE false RETURNING *) SELECT * FROM x", "WITH x AS (SELECT 1) INSERT INTO t (v) SELECT 'x' FROM x",
            "WITH x AS (SELECT 1), y AS (UPDATE t SET v = v WHERE false) TABLE x", "MERGE INTO t USING (SELECT 1 AS i) s ON t.id = s.i WHEN MATCHED THEN DO NOTHING",
            "SELECT * FROM (WITH x AS (SELECT 1) SELECT * FROM x) y FOR UPDATE", "TRUNCATE guarded", "CREATE TABLE IF NOT EXISTS made (a int)",
            "DROP TABLE IF EXISTS made", "ALTER TABLE t ALTER v SET STATISTICS 10", "CREATE INDEX IF NOT EXISTS i ON t (v)", "COMMENT ON TABLE t IS 'x'",
            "GRANT SELECT ON t TO PUBLIC", "ANALYZE t", "REFRESH MATERIALIZED VIEW kept", "LOCK TABLE t", "NOTIFY x", "CALL does()",
            "DO $$ BEGIN END $$", "COPY (DELETE FROM t WHERE false RETURNING *) TO STDOUT", "COPY t FROM STDIN", "CHECKPOINT", "VACUUM t", "CLUSTER",
            "REINDEX TABLE t", "PREPARE TRANSACTION 'none'", "SECURITY LABEL ON TABLE t IS 'x'", "REASSIGN OWNED BY app TO app", "LOAD 'nosuch'")

    def test_selects_that_lock_or_write(self):
        self.assert_goes(
            "primary", "SELECT * FROM t FOR UPDATE", "SELECT * FROM t FOR NO KEY UPDATE SKIP LOCKED", "SELECT * FROM t FOR SHARE NOWAIT",
            "SELECT * FROM t FOR KEY SHARE", "SELECT * FROM (SELECT * FROM t FOR UPDATE) x", "SELECT 1 WHERE EXISTS (SELECT 1 FROM t FOR SHARE)",
            "(SELECT id FROM t LIMIT 1 FOR UPDATE)", "WITH x AS (SELECT * FROM t FOR UPDATE) SELECT 1 FROM x", "TABLE t FOR UPDATE",
            "SELECT * INTO made FROM t", "EXPLAIN ANALYZE UPDATE t SET v = v", "EXPLAIN (ANALYZE true) DELETE FROM t WHERE false",
            "EXPLAIN (VERBOSE, ANALYZE on) UPDATE t SET v = v",
            "EXPLAIN ANALYZE SELECT writes()", "EXPLAIN ANALYZE SELECT * FROM t FOR UPDATE")

    def test_functions_that_may_write(self):
        self.assert_goes(
            "primary", "SELECT nextval('sq')", "SELECT setval('sq', 5)", "SELECT pg_catalog.nextval('sq')", "SELECT \"nextval\"('sq')", "SELECT NextVal('sq')",
            "SELECT 1 WHERE EXISTS (SELECT nextval('sq'))", "SELECT * FROM nextval('sq')", "SELECT 1 LIMIT nextval('sq')", "SELECT ARRAY[nextval('sq')]",
            "SELECT CASE WHEN nextval('sq') > 0 THEN 1 END", "VALUES (nextval('sq'))", "SELECT 1 FROM t ORDER BY nextval('sq')", "SELECT (SELECT nextval('sq'))",
            "SELECT max(nextval('sq')) FROM t", "SELECT count(*) FILTER (WHERE nextval('sq') > 0) FROM t", "SELECT sum(1) OVER (ORDER BY nextval('sq'))",
            "SELECT 1 FROM t a JOIN t b ON nextval('sq') > 0", "SELECT 1 GROUP BY nextval('sq')", "COPY (SELECT nextval('sq')) TO STDOUT",
            "SELECT * FROM ROWS FROM (nextval('sq'), generate_series(1, 2)) x", "SELECT nextval('sq') UNION SELECT 1",
            "WITH x AS (SELECT nextval('sq')) SELECT * FROM x", "SELECT writes()", "SELECT 1 FROM t WHERE writes() > 0", "SELECT swallows()",
            "SELECT pg_notify('x', 'y')", "SELECT pg_advisory_xact_lock(1)", "SELECT pg_try_advisory_xact_lock(1)", "SELECT set_config('a.b', 'c', true)",
            "SELECT pg_current_wal_lsn()", "SELECT pg_current_wal_insert_lsn()", "SELECT lo_unlink(lo_creat(-1))",
            "SELECT both_ways('x')", "SELECT pg_sleep(0), nextval('sq')", "SELECT query_to_xml('SELECT nextval(''sq'')', true, true, '')")

    def test_ways_to_call_a_function_that_do_not_look_like_it(self):
        self.assert_goes(
            "primary", "SELECT * FROM counts", "SELECT * FROM over", "TABLE over", "SELECT (SELECT n FROM over)", "COPY (TABLE counts) TO STDOUT",
            "SELECT t.writes_of FROM t", "SELECT (t).writes_of FROM t", "SELECT 1 @@> 'x'", "SELECT 1 OPERATOR(public.@@>) 'x'", "SELECT 'x'::text::pair",
            "SELECT CAST('x'::text AS pair)", "SELECT adds(id) FROM t", "SELECT * FROM guarded", "SELECT shadow.length('x')", "SELECT 5::checked")

    def test_a_view_over_a_function_that_hides_its_failure(self):
        """A replica would not refuse it, and its answer would be wrong: there must be no trying."""
        for _ in range(3):
            self.assertEqual(self.session().value("SELECT * FROM swallowed"), "written")

    def test_before_the_catalog_is_known_it_is_read_at_the_primary(self):
        """By the first words of the first session of a database, and of each worker."""
        for _ in range(3):
            front = Sheaf(self, sql_pool(self.primary, self.replicas), proxy={"workers": 2})
            with pg.PgSession(front.target(), database="postgres") as session:  # not the one whose catalog is asked for
                wait_until(lambda: session.ask("EXPLAIN ROUTE SELECT 1").rows[0][0].startswith("replica"), what="replicas to be known")
            with pg.PgSession(front.target()) as session:
                for _ in range(20):
                    self.assertEqual(session.value("SELECT * FROM swallowed"), "written")

    def test_another_user_and_a_reload_do_not_unlearn_the_catalog(self):
        name, options = sql_pool(self.primary, self.replicas, user=["app secret", "postgres secret"])
        front = Sheaf(self, (name, options), proxy={"workers": 1})
        with pg.PgSession(front.target()) as session:
            def route():
                return session.value("EXPLAIN ROUTE SELECT calm()")[:7]
            wait_until(lambda: route() == "replica", what="the catalog to be known")
            with pg.PgSession(front.target(), user="postgres") as other:
                self.assertEqual((other.value("SELECT 1"), route()), ("1", "replica"))
            front.reload((name, {**options, "pool_size": 7}))
            wait_until(lambda: "configuration reloaded" in front.log, what="the reload")
            self.assertEqual(route(), "replica")

    def test_what_it_means_changes_in_code(self):
        """DDL in functions, DO and CALL, in transactions and outside; prepared statements follow."""
        calm, writes = "CREATE OR REPLACE VIEW means AS SELECT ''calm''::text AS m", "CREATE OR REPLACE VIEW means AS SELECT swallows() AS m"
        self.primary.sql("DROP VIEW IF EXISTS means; DROP PROCEDURE IF EXISTS be(text); DROP FUNCTION IF EXISTS become(text);"
                         "CREATE PROCEDURE be(what text) LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; END $$;"
                         "CREATE FUNCTION become(what text) RETURNS int LANGUAGE plpgsql AS $$ BEGIN EXECUTE what; RETURN 1; END $$;", user="app")
        session, other = self.session(), self.session()
        for change in (lambda ddl: session.ask(f"CALL be('{ddl}')"), lambda ddl: session.run(pg.one("SELECT become($1)", ddl.replace("''", "'")) + pg.sync()),
                       lambda ddl: [session.ask(text) for text in ("BEGIN", f"SELECT become('{ddl}')", "SELECT 1", "COMMIT")]):
            change(calm)
            for each in (session, other):
                wait_until(lambda each=each: self.went(each, "SELECT m FROM means")[0] == "replica", what="the view to be known as calm")
                each.run(pg.parse("means", "SELECT m FROM means") + pg.sync())
                self.assertEqual(each.run(pg.bind("", "means") + pg.execute() + pg.sync()).rows, [["calm"]])
            change(writes)
            for each in (session, other):
                self.assertEqual(each.value("SELECT m FROM means"), "written")
                self.assertEqual(each.run(pg.bind("", "means") + pg.execute() + pg.sync()).rows, [["written"]])
                each.ask("DEALLOCATE ALL")
        wait_until(lambda: "volatile" in str(session.ask("EXPLAIN ROUTE SELECT m FROM means").rows), what="the catalog to be known again")
        self.assertEqual(session.value("SELECT m FROM means"), "written")

    def test_what_it_means_changes_in_code_that_is_not_counted(self):
        """The server's counters of changes are off."""
        self.primary.sql("DROP VIEW IF EXISTS uncounted; CREATE VIEW uncounted AS SELECT 'calm'::text AS m", user="app")
        front = Sheaf(self, sql_pool(self.primary, self.replicas, user=["app secret", "postgres secret"]), proxy={"workers": 1})
        with pg.PgSession(front.target()) as session, pg.PgSession(front.target(), user="postgres") as changes:
            def route():
                return session.value("EXPLAIN ROUTE SELECT m FROM uncounted")[:7]
            changes.ask("SET track_counts = off")
            for text, value in (("swallows()", "written"), ("''calm''::text", "calm")) * 2:
                wait_until(lambda: route() == ("primary" if value == "calm" else "replica"), what="the catalog to be known")
                changes.ask(f"DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW uncounted AS SELECT {text} AS m'; END $$")
                changes.ask("SELECT 1")  # what came of it was asked first
                self.assertEqual(session.value("SELECT m FROM uncounted"), value)

    def test_what_is_made_past_sheaf(self):
        """What is not known is the primary's, and is known soon."""
        session = self.session()
        self.primary.sql("DROP VIEW IF EXISTS news, olds; CREATE VIEW news AS SELECT swallows() AS m; CREATE VIEW olds AS SELECT 1", user="app")
        self.caught_up()
        for _ in range(5):
            self.assertEqual(session.value("SELECT m FROM news"), "written")
        wait_until(lambda: "volatile" in str(session.ask("EXPLAIN ROUTE SELECT m FROM news").rows), 40, "it to be known")
        wait_until(lambda: self.went(session, "SELECT * FROM olds")[0] == "replica", 40, "the other to be known, too")

    def test_temporary_tables_in_code_do_not_unlearn_the_catalog(self):
        session = self.session()
        for n in range(5):
            session.ask("DO $$ BEGIN CREATE TEMP TABLE made_here (a text PRIMARY KEY); DROP TABLE made_here; END $$")
            self.assertEqual(self.went(self.session(), f"SELECT calm() + {n}")[0], "replica")

    def test_a_search_path_that_hides_a_known_function(self):
        session = self.session()
        self.assert_goes("replica", "SELECT length('x')", session=session)
        session.ask("SET search_path = shadow, pg_catalog, public")
        self.assert_goes("primary", "SELECT length('x')", session=session)
        session = self.session()  # what wrote may have left anything in the other
        session.ask("SET search_path = public")
        self.assert_goes("replica", "SELECT length('x')", session=session)

    def test_what_is_of_one_server(self):
        self.assert_goes(
            "primary", "SELECT pg_backend_pid()", "SELECT count(*) FROM pg_stat_activity", "SELECT count(*) FROM pg_locks", "SELECT inet_server_port()",
            "SELECT pg_is_in_recovery()", "SELECT pg_cancel_backend(0)", "SELECT count(*) FROM pg_stat_database", "SELECT count(*) FROM pg_prepared_statements",
            "SELECT pg_postmaster_start_time()", "SELECT txid_current_if_assigned()", "SELECT pg_export_snapshot()", "SELECT pg_listening_channels()")

    def test_several_statements(self):
        self.assert_goes_simply("primary", "SELECT 1; INSERT INTO t (v) VALUES ('x')", "SELECT 1; SELECT nextval('sq'); SELECT 2", "; ; DELETE FROM t WHERE false",
                                "SELECT 1; COMMIT; UPDATE t SET v = v")

    def assert_goes_simply(self, where, *statements):
        session = self.session()
        for sql in statements:
            with self.subTest(sql=sql):
                self.assertEqual(self.went(session, sql)[0], where)

    def test_what_the_parser_does_not_know(self):
        """Words of newer versions: to the primary, whose error it is."""
        session = self.session()
        for bogus in ("SELECT JSON_TABLE('{}', '$' COLUMNS (a int))", "bogus", "SELECT FROM WHERE", "SELECT (", "'"):
            self.assertEqual(session.ask(bogus).errors, ["42601"])

    def test_what_replicas_refuse_is_known_beforehand(self):
        for sql in ("SELECT txid_current() > 0", "SELECT pg_current_xact_id() IS NULL", "SELECT count(*) FROM unlogged"):
            self.assert_goes("primary", sql)

    def test_a_replicas_refusal_is_healed_and_remembered(self):
        """One replica is asked once, the other not at all; also where no replica's absence is the primary's to make good."""
        for policy in ("primary", "error"):
            front = Sheaf(self, sql_pool(self.primary, self.replicas, causal_wait="10s", on_replicas_down=policy), proxy={"workers": 1})
            self.knows_replicas(front.target())
            session = pg.PgSession(front.target())
            self.addCleanup(session.close)
            wait_until(lambda s=session: "replica" in str(s.ask(f"EXPLAIN ROUTE {self.known}").rows), what="Sheaf to know the catalog")
            for sql, errors in (("SELECT lies()", []), ("SELECT where_now() IS NULL", []), ("TABLE unfilled", ["55000"])):
                for extended, where in ((False, "replica primary"), (True, "primary"), (False, "primary")):
                    with self.subTest(policy=policy, sql=sql, extended=extended):
                        went, answer = self.went(session, sql, extended=extended)
                        self.assertEqual((went, answer.errors), (where, errors))

    def test_names_of_an_exchange_that_a_replica_refused_are_given_once(self):
        """Where it is asked again, nothing of it is there yet: neither what it prepared nor what it closed."""
        session, use = self.session(), pg.bind("", "s") + pg.execute()
        for n in range(3):
            for parses, rows in ((pg.parse("s", f"SELECT lies() > 0, 'new' AS a{n}") + use, [["t", "new"]]),
                                 (use + pg.close("S", "s") + pg.parse("s", f"SELECT lies() > 0, 'newer' AS b{n}") + use, [["t", "new"], ["t", "newer"]]),
                                 (pg.parse("", f"SELECT lies() > 0, 'last' AS c{n}") + pg.bind() + pg.execute(), [["t", "last"]]),
                                 (use, [["t", "newer"]]), (pg.bind() + pg.execute(), [["t", "last"]])):
                answer = session.run(parses + pg.sync())
                self.assertEqual((answer.errors, answer.rows), ([], rows))
            session.run(pg.close("S", "s") + pg.sync())
        self.assertEqual(session.run(pg.parse("s", "SELECT 1") + pg.parse("s", "SELECT lies()") + pg.sync()).errors, ["42P05"])

    def test_rows_that_came_before_a_refusal_do_not_come_twice(self):
        session = self.session()
        for _ in range(2):
            answer = session.ask("SELECT lies_late(g), repeat('x', 500) FROM generate_series(1, 1000) g")
            numbers = [int(row[0]) for row in answer.rows]
            self.assertEqual(numbers, list(range(1, len(numbers) + 1)))
            if answer.errors:
                self.assertEqual(answer.errors, ["25006"])
            else:
                self.assertEqual(len(numbers), 1000)

    def test_a_prepared_statement_goes_where_it_may(self):
        session = self.session()
        for name, sql, values, where in (("r", "SELECT v FROM t WHERE id = $1", [1], "replica"), ("w", "UPDATE t SET v = $1 WHERE id = 1", ["x"], "primary"),
                                         ("n", "SELECT nextval('sq')", [], "primary")):
            session.run(pg.parse(name, f"{sql} /* named {name} */") + pg.describe("S", name) + pg.sync())
            for _ in range(4):
                before = [len(server.log) for server in self.servers]
                self.assertEqual(session.run(pg.bind("", name, values) + pg.execute() + pg.sync()).errors, [])
                self.assertEqual({self.names[id(s)] for s in self.logged(f"named {name}", before)}, {where})


class Transactions(Routed):
    schema = SCHEMA
    roles = """
        CREATE ROLE strict LOGIN PASSWORD 'strict' IN ROLE app; ALTER ROLE strict SET default_transaction_isolation = serializable;
        CREATE ROLE stricter LOGIN PASSWORD 'stricter' IN ROLE app; ALTER ROLE stricter SET default_transaction_isolation = serializable;
        CREATE ROLE looker LOGIN IN ROLE app; ALTER ROLE looker SET default_transaction_read_only = on"""
    known = "SELECT calm()"

    def in_transaction(self, begin, where, *statements, end="COMMIT", session=None):
        """All statements of it on one server."""
        session = session or self.session()
        session.ask(begin)
        servers = set()
        for sql in statements:
            before = [len(server.log) for server in self.servers]
            self.assertEqual(session.ask(f"{sql} /* inside */").errors, [], sql)
            servers |= set(self.logged("inside", before))
        session.ask(end)
        self.assertEqual(({self.names[id(s)] for s in servers}, len(servers)), ({where}, 1), begin)

    def test_transactions_are_on_the_primary(self):
        for begin in ("BEGIN", "START TRANSACTION READ WRITE", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN; SELECT 1"):
            self.in_transaction(begin, "primary", "SELECT count(*) FROM t", "SELECT 1", "INSERT INTO t (v) VALUES ('x')", "SELECT 2")

    def test_transactions_that_only_read_are_on_one_replica(self):
        for begin in ("BEGIN READ ONLY", "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                      "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY"):
            self.in_transaction(begin, "replica", *["SELECT count(*) FROM t", "SELECT 1"] * 3)

    def test_set_transaction_as_the_first_statement(self):
        session = self.session()
        session.ask("BEGIN")
        session.ask("SET TRANSACTION READ ONLY")
        self.assertEqual(self.went(session, "SELECT 1")[0], "primary")  # where BEGIN was answered
        self.assertEqual(session.ask("DELETE FROM t").errors, ["25006"])
        session.ask("ROLLBACK")

    def test_sessions_that_only_read(self):
        for setting in ("SET default_transaction_read_only = on", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"):
            session = self.session()
            session.ask(setting)
            self.in_transaction("BEGIN", "replica", "SELECT count(*) FROM t", "SELECT 1", session=session)
            self.in_transaction("BEGIN READ WRITE", "primary", "SELECT count(*) FROM t", "DELETE FROM t WHERE false", session=session)
            self.assertEqual(session.ask("DELETE FROM t").errors, ["25006"])
        session = self.session(options={"options": "-c default_transaction_read_only=on"})
        self.in_transaction("BEGIN", "replica", "SELECT count(*) FROM t", "SELECT 1", session=session)

    def test_serializable_ones_are_on_the_primary(self):
        self.in_transaction("BEGIN ISOLATION LEVEL SERIALIZABLE", "primary", "SELECT count(*) FROM t")
        self.in_transaction("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY", "primary", "SELECT count(*) FROM t")
        self.in_transaction("BEGIN ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "primary", "SELECT count(*) FROM t")
        session = self.session()
        session.ask("SET default_transaction_isolation = serializable")
        self.in_transaction("BEGIN READ ONLY", "primary", "SELECT count(*) FROM t", session=session)
        self.assertEqual(self.went(session, "SELECT count(*) FROM t")[0], "primary")

    def test_users_whose_transactions_are_serializable_or_only_read(self):
        """By ALTER ROLE, of which a client says nothing."""
        with self.session(user="strict", password="strict") as session:
            for _ in range(3):
                self.assertEqual(session.ask("SELECT count(*) FROM t").errors, [])
                self.assertEqual(session.run(pg.one("SELECT count(*) FROM t") + pg.sync()).errors, [])
            self.assertEqual([session.ask(text).errors for text in ("BEGIN", "SELECT count(*) FROM t", "COMMIT")], [[]] * 3)
        inserts = "INSERT INTO t (v) VALUES ('x')"
        with self.session(user="looker") as session:
            self.in_transaction("BEGIN READ ONLY", "replica", "SELECT count(*) FROM t", session=session)
            self.assertEqual([session.ask(text).errors for text in ("BEGIN", "SELECT 1", inserts, "ROLLBACK", inserts)], [[], [], ["25006"], [], ["25006"]])
            self.in_transaction("BEGIN READ WRITE", "primary", inserts, session=session)
            self.assertEqual([session.ask(text).errors for text in ("SET default_transaction_read_only = off", inserts, "RESET default_transaction_read_only", inserts)],
                             [[], [], [], ["25006"]])

    def test_what_serializable_users_ask_is_read_at_replicas_for_others(self):
        """And theirs is asked of the primary at once, when a replica has said so once."""
        read, begin = "SELECT count(*), 'theirs' FROM t", "BEGIN READ ONLY"
        with self.session(user="strict", password="strict") as strict:
            strict.ask(read)
            self.in_transaction(begin, "primary", read, session=strict)
            for text in read, begin:
                self.assertIn("serializable", str(strict.ask(f"EXPLAIN ROUTE {text}").rows))
        session = self.session()
        self.assertEqual(self.went(session, read)[0], "replica")
        self.in_transaction(begin, "replica", read, session=session)

    def test_serializable_users_begin_to_read(self):
        """Replicas take their BEGIN, and refuse what comes next: it is begun anew at the primary, whatever comes next and however it is said."""
        counts = "SELECT count(*) >= 0 FROM t"
        for begin in ("BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"):
            for first in (pg.query(counts), pg.one(counts) + pg.sync(), pg.parse("named", counts) + pg.bind("", "named") + pg.execute() + pg.sync(),
                          pg.query(f"SAVEPOINT x; {counts}"), pg.query("DECLARE c CURSOR FOR TABLE t; FETCH ALL c")):
                with self.subTest(begin=begin, first=first), self.session(user="stricter", password="stricter") as session:
                    for _ in range(2):
                        self.assertEqual(session.ask(begin).tags, "CZ")
                        answer = session.run(first)
                        self.assertEqual((answer.errors, answer.state), ([], "T"), answer)
                        self.assertEqual(session.value("SHOW transaction_read_only"), "on")
                        self.assertEqual(session.value("SHOW transaction_isolation"), "repeatable read" if "REPEATABLE" in begin else "serializable")
                        self.assertEqual(session.ask("DELETE FROM t").errors, ["25006"])
                        self.assertEqual(session.ask("COMMIT").done, ["ROLLBACK"])
                        session.run(pg.close("S", "named") + pg.sync())

    def test_what_a_replica_refuses_behind_begin(self):
        """It may be the first that the transaction does: then all of that is the primary's."""
        session = self.session()
        for first, errors in (("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", []), ("SET TRANSACTION READ WRITE", []), ("SELECT * FROM unlogged", []), ("SELECT pg_current_wal_lsn()", []),
                              ("SELECT nextval('sq')", ["25006"]), ("SELECT no_such()", ["42883"]), ("SELECT 1 / 0", ["22012"])):
            with self.subTest(first=first):
                session.ask("BEGIN READ ONLY")
                answer = session.ask(first)
                self.assertEqual((answer.errors, answer.state), (errors, "E" if errors else "T"), answer)
                if not errors:
                    self.assertEqual(session.ask("SELECT count(*) FROM t").errors, [])
                session.ask("ROLLBACK")
        self.in_transaction("BEGIN READ ONLY", "replica", "SELECT count(*) FROM t")

    def test_a_pipeline_that_a_replica_refuses(self):
        """Each of what is in it is answered once, in its turn."""
        shapes = itertools.count()
        for one in (pg.query, lambda sql: pg.one(sql) + pg.sync()):
            for begin, pattern in itertools.product((None, "BEGIN READ ONLY"), ("rf", "fr", "ffr", "frrf")):
                with self.subTest(begin=begin, pattern=pattern), self.session() as session:
                    refused = "lies()"
                    if begin:
                        session.ask(begin)
                        refused = "pg_current_wal_lsn()"
                        if pattern[0] == "r":
                            continue # it has a snapshot there
                    words = [f"{c} {n}" for n, c in enumerate(pattern)]
                    answer = session.run(b"".join(one(f"SELECT '{word}'" + (f" AS s{next(shapes)} FROM {refused}" if word[0] == "f" else "")) for word in words), len(words))
                    self.assertEqual(([row[0] for row in answer.rows], answer.errors), (words, []))
                    self.assertTrue(session.is_silent())

    def test_a_write_behind_the_end_of_what_stays_at_a_replica(self):
        """It is the primary's, however soon it comes: with the end, or while the replica is asked what it still has."""
        session, insert = self.session(), "INSERT INTO t (v) VALUES ('behind')"
        for end, again in itertools.product(("COMMIT", "ROLLBACK"), range(3)):
            for said in (pg.query(end) + pg.query(insert), pg.one(end) + pg.sync() + pg.one(insert) + pg.sync()):
                for text in ("BEGIN READ ONLY", "SELECT count(*) FROM t", "DECLARE k CURSOR FOR SELECT 1", *["SELECT pg_advisory_unlock(1)"] * bool(again)):
                    self.assertEqual(session.ask(text).errors, [])
                if again == 2:
                    self.assertEqual(session.ask(end).errors + session.ask(insert).errors, [])
                else:
                    self.assertEqual(session.run(said, 2).errors, [])
        self.primary.sql("DELETE FROM t WHERE v = 'behind'")

    def test_what_a_transaction_that_only_reads_must_not_do(self):
        session = self.session()
        for sql in ("INSERT INTO t (v) VALUES ('x')", "SELECT nextval('sq')", "CREATE TABLE x (a int)", "SELECT * FROM t FOR UPDATE", "SELECT writes()"):
            session.ask("BEGIN READ ONLY")
            answer = session.ask(sql)
            self.assertEqual((answer.errors, answer.state), (["25006"], "E"), sql)
            session.ask("ROLLBACK")

    def reader(self):
        session = self.session()
        wait_until(lambda: session.value("EXPLAIN ROUTE SELECT count(*) FROM t").startswith("replica"), what="Sheaf to know the catalog")
        return session

    def locked(self):
        return self.primary.value("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")

    def test_what_is_the_primarys_in_a_transaction_that_only_reads(self):
        """A replica would let it have a lock that keeps nobody away, or refuse: the transaction goes on at the primary, if nothing of it is at the replica."""
        session = self.reader()
        reads = "SELECT count(*) >= 3 FROM t", "SHOW timezone", "SELECT v FROM t WHERE id = 1", "COPY (SELECT 1) TO STDOUT"
        for begin in ("BEGIN READ ONLY", "BEGIN ISOLATION LEVEL READ COMMITTED, READ ONLY"):
            for first in ([], reads[:1], reads):
                for ask in (session.ask, session.ask_extended):
                    with self.subTest(begin=begin, first=first, ask=ask.__name__):
                        self.assertEqual(session.ask(begin).errors, [])
                        for sql in first:
                            self.assertEqual(session.ask(sql).errors, [])
                        answer = ask("SELECT pg_advisory_lock(7)")
                        self.assertEqual((answer.errors, answer.state, self.locked()), ([], "T", 1))
                        self.assertEqual(ask("SELECT count(*) >= 3, pg_current_wal_lsn() IS NULL FROM t").rows, [["t", "f"]])
                        self.assertEqual(ask("SHOW transaction_read_only").rows, [["on"]])
                        self.assertEqual(session.ask("COMMIT").done, ["COMMIT"])
                        self.assertEqual(session.value("SELECT pg_advisory_unlock(7)"), "t")
        for data in (pg.query("SELECT 1 /* route=primary */ /* there */"), pg.parse("x", "SELECT pg_try_advisory_xact_lock(7) /* there */") + pg.bind("", "x") + pg.execute() + pg.sync()):
            session.ask("BEGIN READ ONLY")
            session.ask(reads[0])
            before = [len(server.log) for server in self.servers]
            self.assertEqual((session.run(data).errors, self.logged("there", before)), ([], [self.primary]))
            session.ask("ROLLBACK")
        session.ask("BEGIN READ ONLY")
        session.ask(reads[0])
        self.assertEqual(session.run(pg.function_call(2880, [(7).to_bytes(8, "big")])).errors, [])  # pg_advisory_lock()
        self.assertEqual((self.locked(), session.ask("COMMIT").done), (1, ["COMMIT"]))
        session.ask("SELECT pg_advisory_unlock_all()")

    def test_pipelines_in_a_transaction_that_only_reads(self):
        session = self.reader()
        for each in (pg.query, lambda sql: pg.one(sql) + pg.sync()):
            texts = ["BEGIN READ ONLY", *(f"SELECT {n} FROM t LIMIT 1" for n in range(5)), "SELECT 5 FROM pg_advisory_xact_lock(7)", "SELECT 6", "SELECT 1/0", "SELECT 7", "ROLLBACK"]
            answer = session.run(b"".join(each(text) for text in texts), readies=len(texts))
            self.assertEqual(([row[0] for row in answer.rows], answer.errors, answer.done[-1], answer.state), ([str(n) for n in range(7)], ["22012", "25P02"], "ROLLBACK", "I"))

    def test_what_stays_at_the_replica_of_a_transaction_that_only_reads(self):
        """A snapshot that was shown, a cursor, a portal, a setting, a savepoint are there: what comes next is refused, not done somewhere else."""
        session = self.reader()
        read, asked = pg.query("SELECT count(*) FROM t"), "SELECT pg_current_wal_lsn()"
        for begin, *first in (
                ("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", read), ("BEGIN READ ONLY", pg.query("DECLARE c CURSOR FOR SELECT v FROM t")),
                ("BEGIN READ ONLY", read, pg.query("SET LOCAL work_mem = '1MB'")), ("BEGIN READ ONLY", pg.query("SAVEPOINT x")),
                ("BEGIN READ ONLY", pg.parse("", "SELECT v FROM t") + pg.bind("p") + pg.sync()), ("BEGIN READ ONLY", read, pg.one("SELECT v FROM t").replace(pg.execute(), pg.execute("", 1)) + pg.sync())):
            with self.subTest(begin=begin, first=first):
                session.ask(begin)
                for data in first:
                    self.assertEqual(session.run(data).errors, [])
                answer = session.ask(asked)
                self.assertEqual((answer.errors, answer.state), (["55000"], "E"))
                self.assertIn("route=primary", [m for m in answer if m.tag == "E"][0].fields["H"])
                self.assertEqual(session.ask("ROLLBACK").done, ["ROLLBACK"])
        self.assertEqual(session.run(pg.parse("", "BEGIN READ ONLY") + pg.bind("p") + pg.execute("p") + pg.sync()).errors, [])
        self.assertEqual(session.run(pg.execute("p") + pg.sync()).errors, ["55000"])  # it is done
        session.ask("ROLLBACK")
        session.ask("BEGIN READ ONLY")
        session.run(read)
        self.assertIn(session.ask("SET TRANSACTION READ WRITE").errors, (["0A000"], ["25001"]))
        session.ask("ROLLBACK")

    def test_temporary_tables_in_a_transaction_that_only_reads(self):
        session = self.session()
        session.ask("CREATE TEMP TABLE own AS SELECT 7 AS a")
        self.assertEqual(session.value("SELECT a FROM own"), "7")
        session.ask("BEGIN READ ONLY")
        self.assertEqual(session.value("SELECT a FROM own"), "7")
        self.assertEqual(session.ask("INSERT INTO own VALUES (8)").errors, [])
        self.assertEqual(session.ask("COMMIT").errors, [])
        self.assertEqual(session.value("SELECT count(*) FROM own"), "2")
        session.ask("CREATE TEMP SEQUENCE counted")
        session.ask("BEGIN READ ONLY")
        self.assertEqual([session.value("SELECT nextval('counted')") for _ in range(2)], ["1", "2"])
        session.ask("COMMIT; DISCARD TEMP")

    def test_cursors_and_copies_in_a_transaction_that_only_reads(self):
        session = self.session()
        session.ask("BEGIN READ ONLY; DECLARE c CURSOR FOR SELECT g FROM generate_series(1, 5) g")
        self.assertEqual([session.value("FETCH c") for _ in range(3)], ["1", "2", "3"])
        self.assertEqual(session.ask("COPY (SELECT 1) TO STDOUT").tags, "HdcCZ")
        self.assertEqual(session.run(pg.parse("", "SELECT g FROM generate_series(1, 5) g") + pg.bind("p") + pg.execute("p", 2) + pg.sync()).tags, "12DDsZ")
        self.assertEqual(session.run(pg.execute("p", 0) + pg.sync()).tags, "DDDCZ")
        session.ask("COMMIT")

    def test_a_pipeline_until_sync_is_on_one_server(self):
        session = self.session()
        before = [len(server.log) for server in self.servers]
        answer = session.run(pg.one("SELECT count(*) FROM t /* piped */") + pg.one("INSERT INTO t (v) VALUES ('x') /* piped */")
                             + pg.one("SELECT count(*) FROM t /* piped */") + pg.sync())
        first, second = (int(row[0]) for row in answer.rows)
        self.assertEqual(second, first + 1)
        self.assertIn(self.primary, self.logged("piped", before))


class Told(Routed):
    """Hints, settings, and what Sheaf says of its routes."""
    options = {"causal_wait": "10s"}
    schema = SCHEMA
    known = "SELECT calm()"

    def test_hints_in_comments(self):
        session = self.session()
        for sql, where in (("/* route=primary */ SELECT 1", "primary"), ("SELECT /* route=primary */ 1", "primary"), ("/* route=replica */ SELECT 1", "replica"),
                           ("/* route=replica */ INSERT INTO t (v) VALUES ('x')", "primary"), ("/* route=auto */ SELECT 1", "replica"),
                           ("/* route=replica */ SELECT calm()", "replica")):
            for extended in (False, True, False):
                self.assertEqual(self.went(session, sql, extended=extended)[0], where, sql)
        self.assertEqual(self.went(session, "SELECT ' /* route=primary */ '")[0], "replica")

    def test_the_sessions_setting(self):
        session, other = self.session(), self.session()
        self.assertEqual(session.value("SHOW sheaf.route"), "auto")
        session.ask("SET sheaf.route = primary")
        self.assertEqual((session.value("SHOW sheaf.route"), other.value("SHOW sheaf.route")), ("primary", "auto"))
        self.assertEqual(self.went(session, "SELECT 1")[0], "primary")
        self.assertEqual(self.went(other, "SELECT 1")[0], "replica")
        session.ask("SET sheaf.route TO 'replica'")
        self.assertEqual(self.went(session, "SELECT 1")[0], "replica")
        self.assertEqual(self.went(session, "INSERT INTO t (v) VALUES ('x')")[0], "primary")
        session.ask("RESET sheaf.route")
        self.assertEqual(session.value("SHOW sheaf.route"), "auto")
        self.assertEqual(session.ask("SET sheaf.route = nowhere").errors, ["22023"])

    def test_who_asks_for_a_replica_hears_of_it(self):
        """What tells of the server that answers; what changes something there, or of which the catalog says so, is the primary's."""
        tells = ("SELECT pg_is_in_recovery()", "SHOW in_hot_standby", "SELECT current_setting('transaction_read_only')", "SELECT inet_server_port()",
                 "SELECT pg_last_wal_replay_lsn() IS NULL", "SELECT count(*) >= 0 FROM pg_stat_wal_receiver", "SELECT state FROM pg_stat_activity WHERE pid = pg_backend_pid()",
                 "SELECT pg_is_in_recovery(), count(*) FROM t", "SELECT pg_is_in_recovery(); SHOW transaction_read_only")
        never = ("SELECT pg_stat_clear_snapshot()", "SELECT pg_current_wal_lsn()", "SELECT pg_is_in_recovery(), writes()", "SELECT pg_is_in_recovery() FROM over", "SHOW in_hot_standby; DELETE FROM t WHERE false")
        session = self.session()
        for sql in tells + never:
            self.assertEqual(self.went(session, sql)[0], "primary", sql)
        for sql in tells:
            for extended in (False, True)[:1 + (";" not in sql)]:
                for hint, where in (("replica", "replica"), ("any", "primary"), ("primary", "primary")):
                    went, answer = self.went(session, f"{sql} /* route={hint} */", extended=extended)
                    self.assertEqual((went, answer.errors), (where, []), f"{sql} {hint}")
        session.ask("SET sheaf.route = replica")
        for sql in tells:
            self.assertEqual(self.went(session, sql)[0], "replica", sql)
            self.assertEqual(self.went(session, f"{sql} /* route=primary */")[0], "primary", sql)
        for sql in never:
            went, answer = self.went(session, sql)
            self.assertEqual((went, answer.errors), ("primary", []), sql)
        session.ask("SELECT 1")  # where the primary stands is known then
        self.assertTrue(session.value("EXPLAIN ROUTE SELECT pg_is_in_recovery()").startswith("replica"))
        for begin in ("BEGIN READ ONLY", "BEGIN"):
            session.ask(begin)
            self.assertEqual(session.value("SELECT pg_is_in_recovery()"), "t" if "ONLY" in begin else "f", begin)
            session.ask("COMMIT")
        session.ask("CREATE TEMP TABLE own (a int)")  # what is there is looked for there
        self.assertEqual(session.value("SELECT pg_is_in_recovery() OR pg_my_temp_schema() = 0"), "f")
        session.ask("DISCARD TEMP")

    def test_explain_route(self):
        session = self.session()
        for sql, word in (("SELECT 1", "replica"), ("INSERT INTO t (v) VALUES ('x')", "primary"), ("SELECT * FROM t FOR UPDATE", "primary"),
                          ("SELECT nextval('sq')", "nextval"), ("SELECT 1; DELETE FROM t", "primary"), ("SELECT * FROM over", "primary")):
            # each worker learns the catalog for itself
            wait_until(lambda: word in str(session.ask(f"EXPLAIN ROUTE {sql}").rows), what=f"{word}: {sql}")

    def test_what_sheaf_answers_by_the_extended_protocol(self):
        """In no transaction and in one, at once and prepared before, among statements that are a server's: then it is not Sheaf's."""
        session = self.session()
        position = session.value("SHOW sheaf.position")
        for begin in ("SELECT 1", "BEGIN", "BEGIN READ ONLY"):
            session.ask(begin)
            answer = session.run(pg.one("EXPLAIN ROUTE SELECT nextval('sq')") + pg.sync())
            self.assertEqual((answer.tags, "nextval" in answer.rows[0][0]), ("12TDCZ", True))
            answer = session.run(pg.parse("p", "SHOW sheaf.position") + pg.describe("S", "p") + pg.sync())
            self.assertEqual(answer.tags, "1tTZ")
            for _ in range(2):
                answer = session.run(pg.bind("", "p") + pg.describe("P", "") + pg.execute() + pg.sync())
                self.assertEqual((answer.tags, answer.rows[0][0].split(":")[:2]), ("2TDCZ", position.split(":")[:2]))
            self.assertEqual(session.run(pg.parse("p", "SHOW sheaf.route") + pg.sync()).errors, ["42P05"])
            self.assertEqual(session.run(pg.close("S", "p") + pg.parse("p", "SELECT 1") + pg.close("S", "p") + pg.sync()).tags, "313Z")
            self.assertEqual(session.run(pg.one("SET sheaf.route = 'primary'") + pg.sync()).tags, "12nCZ")
            self.assertEqual(session.run(pg.one("SHOW sheaf.route") + pg.sync()).rows, [["primary"]])
            self.assertEqual(session.run(pg.one("RESET sheaf.route") + pg.sync() + pg.one("SHOW sheaf.route") + pg.sync(), 2).rows, [["auto"]])
            self.assertEqual((session.value("SHOW sheaf.route"), session.value("SHOW sheaf.position").count(":")), ("auto", 2))
            self.assertIn("nextval", session.value("EXPLAIN ROUTE SELECT nextval('sq')"))
            self.assertEqual(session.run(pg.one("SHOW sheaf.nothing") + pg.execute() + pg.sync()).errors, ["42704"])
            self.assertEqual(session.run(pg.parse("", "SHOW sheaf.route") + pg.execute("other") + pg.one("SHOW sheaf.route") + pg.sync()).errors, ["34000"])
            self.assertEqual(session.run(pg.one("SELECT 7") + pg.sync() + pg.one("SHOW sheaf.route") + pg.sync() + pg.one("SELECT 8") + pg.sync(), 3).rows, [["7"], ["auto"], ["8"]])
            if begin != "SELECT 1":
                self.assertEqual(session.ask("SELECT 1; COMMIT").errors, [])
        self.assertEqual(session.run(pg.one("SELECT 1") + pg.one("EXPLAIN ROUTE SELECT 1") + pg.sync()).errors, ["42601"])

    def test_replicas_are_taken_in_turn(self):
        counts = [0, 0]
        self.known = None  # to ask for a route takes a turn, too
        for n in range(40):  # one that reads without a pause stays where it has read last
            self.session().ask(f"SELECT {n} /* in turn */")
        for at, replica in enumerate(self.replicas):
            counts[at] = replica.logged("in turn")
        self.assertEqual((sum(counts), self.primary.logged("in turn")), (40, 0))
        self.assertGreaterEqual(min(counts), 15, counts)


class Sessions(Routed):
    """pooling = session."""
    options = {"pooling": "session"}

    def test_are_on_the_primary_or_on_one_replica(self):
        session = self.session()
        for sql in ("SELECT 1", "INSERT INTO t (v) VALUES ('x')", "SELECT 1 /* route=replica */"):
            went, answer = self.went(session, sql)
            self.assertEqual((went, answer.errors), ("primary", []))
        self.assertIn("pooling = session", session.value("EXPLAIN ROUTE SELECT 1"))
        session = self.session()
        session.ask("SET sheaf.route = replica")
        for sql, errors in (("SELECT 1", []), ("BEGIN; SELECT 1; COMMIT", []), ("INSERT INTO t (v) VALUES ('x')", ["25006"])):
            went, answer = self.went(session, sql)
            self.assertEqual((went, answer.errors), ("replica", errors))

    @classmethod
    def knows_replicas(cls, target):
        with pg.PgSession(target) as session:
            session.ask("SET sheaf.route = replica")
            wait_until(lambda: session.ask("EXPLAIN ROUTE SELECT 1").rows[0][0].startswith("replica"), what="replicas to be known")


class Listeners(Routed):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        ports = [free_port() for _ in range(3)]
        cls.front = Sheaf(cls, sql_pool(
            cls.primary, [f"{cls.replicas[0].url}?weight=3", f"{cls.replicas[1].url}?weight=1"], balance="weights",
            listen=[f"postgresql://127.0.0.1:{ports[0]}", f"postgresql://127.0.0.1:{ports[1]}?route=primary",
                    f"postgresql://127.0.0.1:{ports[2]}?route=replica"],
            user=["app secret", "postgres none route=primary"]))
        cls.knows_replicas(cls.front.target())

    def at(self, index, **options):
        session = pg.PgSession(self.front.target(index=index), **options)
        self.addCleanup(session.close)
        return session

    def test_a_listener_has_its_route(self):
        for index, where in ((0, "replica"), (1, "primary"), (2, "replica")):
            self.assertEqual(self.went(self.at(index), "SELECT 1")[0], where)
            self.assertEqual(self.went(self.at(index), "INSERT INTO t (v) VALUES ('x')")[0], "primary")
            session = self.at(index)  # a name may be hidden by another, of which the catalog tells
            wait_until(lambda s=session: "the catalog" not in s.value("EXPLAIN ROUTE SELECT pg_is_in_recovery()"), what="Sheaf to know the catalog")
            self.assertEqual(session.value("SELECT pg_is_in_recovery()"), "t" if index == 2 else "f")

    def test_a_user_has_his_route(self):
        self.assertEqual(self.went(self.at(0, user="postgres"), "SELECT 1")[0], "primary")

    def test_the_least_busy(self):
        """Who reads for long is left alone as long as it does."""
        front = Sheaf(self, sql_pool(self.primary, self.replicas, balance="least-busy"), proxy={"workers": 1})
        self.knows_replicas(front.target())
        with pg.PgSession(front.target()) as busy:
            wait_until(lambda: busy.value("EXPLAIN ROUTE SELECT pg_sleep(60) FROM t").startswith("replica"), what="Sheaf to know the catalog")
            busy.send(pg.query("SELECT pg_sleep(60) /* busy */"))
            wait_until(lambda: any(replica.sessions("query ~ 'busy'") for replica in self.replicas), what="it to read")
            for n in range(20):
                with pg.PgSession(front.target()) as session:
                    self.assertEqual(session.ask(f"SELECT {n} /* not busy */").errors, [])
        counts = {replica.logged("/. busy"): replica.logged("/. not busy") for replica in self.replicas}
        self.assertEqual(counts, {1: 0, 0: 20})

    def test_weights(self):
        for n in range(40):
            self.at(0).ask(f"SELECT {n} /* weighed */")
        counts = [replica.logged("weighed") for replica in self.replicas]
        self.assertEqual(sum(counts), 40)
        self.assertGreater(counts[0], 2 * counts[1], counts)  # each worker counts for itself


if __name__ == "__main__":
    main()
