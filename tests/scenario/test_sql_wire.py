#!/usr/bin/python3
# not under tsan: one session's own affairs
"""PostgreSQL's protocol through Sheaf: for the same bytes, the bytes that the server itself answers."""
import random
import struct

from lib import *
from lib import pgwire as pg
from lib.pgtwin import PgTwin

SYNC = pg.sync()


class SimpleQueries:
    def simple(self, *texts, tags=None):
        """Queries one after another, each after the answer to the one before."""
        def script(session):
            for text in texts:
                session.ask(text)
        return self.same(script, tags)

    def test_rows(self):
        self.simple("SELECT * FROM t", "SELECT n, NULL, 'x' FROM many LIMIT 3", "SELECT FROM t", "TABLE t",
                    tags="TDDDCZTDDDCZTDDDCZTDDDCZ")

    def test_writes(self):
        self.simple("INSERT INTO t (v) VALUES ('d')", "UPDATE t SET v = 'x' RETURNING *", "DELETE FROM t",
                    "SELECT count(*) FROM t", tags="CZTDDDDCZCZTDCZ")

    def test_empty_queries(self):
        self.simple("", " ", ";", ";;", "-- nothing", "/* nothing */;", tags="IZIZIZIZIZIZ")

    def test_several_statements_in_a_query(self):
        self.simple("SELECT 1; SELECT 2 WHERE false; INSERT INTO t (v) VALUES ('d'); ; SELECT 3", "TABLE t",
                    tags="TDCTCCTDCZTDDDDCZ")

    def test_several_statements_are_one_transaction(self):
        self.simple("INSERT INTO t (v) VALUES ('d'); SELECT 1/0; SELECT 2", "TABLE t", tags="CEZTDDDCZ")
        self.simple("INSERT INTO t (v) VALUES ('d'); COMMIT; SELECT 1/0", "TABLE t", tags="CNCEZTDDDDCZ")

    def test_transactions_begin_and_end_within_queries(self):
        self.simple("BEGIN; INSERT INTO t (v) VALUES ('d'); SELECT 1", "TABLE t", "ROLLBACK; SELECT 2; BEGIN",
                    "COMMIT AND CHAIN", "COMMIT; TABLE t", tags="CCTDCZTDDDDCZCTDCCZCZCTDDDCZ")

    def test_a_failed_transaction(self):
        answer = self.simple("BEGIN", "bogus", "SELECT 1", "SAVEPOINT a", "COMMIT", "COMMIT",
                             tags="CZEZEZEZCZNCZ")
        self.assertEqual([m.body for m in answer if m.tag == "Z"], [b"T", b"E", b"E", b"E", b"I", b"I"])
        self.assertEqual(answer.errors, ["42601", "25P02", "25P02"])

    def test_savepoints(self):
        self.simple("BEGIN", "SAVEPOINT a", "INSERT INTO t (v) VALUES ('d')", "SELECT 1/0", "ROLLBACK TO a",
                    "TABLE t", "RELEASE a", "ROLLBACK TO a", "ROLLBACK", tags="CZCZCZEZCZTDDDCZCZEZCZ")

    def test_two_phase_commits_are_refused_as_the_server_does(self):
        self.simple("BEGIN", "PREPARE TRANSACTION 'x'", "SELECT 1", tags="CZEZTDCZ")

    def test_notices_and_warnings(self):
        self.simple("DROP TABLE IF EXISTS nosuch", "COMMIT", "SET LOCAL work_mem = '1MB'",
                    "DO $$ BEGIN FOR i IN 1..5 LOOP RAISE NOTICE 'n %', i; END LOOP; RAISE WARNING USING MESSAGE = 'w',"
                    " DETAIL = 'd', HINT = 'h', ERRCODE = '01234'; END $$", tags="NCZNCZNCZNNNNNNCZ")

    def test_every_field_of_an_error(self):
        answer = self.simple(
            "INSERT INTO t VALUES (1, 'x')", "SELECT nosuch FROM t", "SELECT 'x'::int", "SELECT * FROM nosuch",
            "DO $$ BEGIN RAISE EXCEPTION USING MESSAGE = 'm', DETAIL = 'd', HINT = 'h', ERRCODE = 'ZZ999',"
            " TABLE = 't', COLUMN = 'c', DATATYPE = 'int', SCHEMA = 's', CONSTRAINT = 'k'; END $$", tags="EZEZEZEZEZ")
        self.assertEqual(answer.errors, ["23505", "42703", "22P02", "42P01", "ZZ999"])

    def test_parameters_that_the_server_tells_of(self):
        self.simple("SET application_name = 'me'", "SHOW application_name", "SET DateStyle = 'SQL, DMY'",
                    "SELECT '2001-02-03'::date", "BEGIN", "SET LOCAL TimeZone = 'Asia/Tokyo'",
                    "SELECT '2001-02-03 00:00+0'::timestamptz", "COMMIT", "SHOW TimeZone", "RESET ALL",
                    tags="CSZTDCZCSZTDCZCZCSZTDCZCSZTDCZCSSZ")

    def test_settings_that_fail(self):
        self.simple("SET nosuch = 1", "SET work_mem = 'x'", "SET my.own = 'x'", "SHOW my.own", "SHOW my.other",
                    "SET SESSION AUTHORIZATION nosuch", "RESET nosuch", tags="EZEZCZTDCZEZEZEZ")

    def test_text_of_any_length_and_kind(self):
        self.simple(f"SELECT length('{'x' * 1000000}')", "SELECT 'größe – €', U&'\\2026', E'\\n'", f"SELECT 1{' ' * 70000}",
                    "SELECT " + "(" * 50 + "1" + ")" * 50, tags="TDCZ" * 4)

    def test_statements_that_are_nested_too_deeply(self):
        answer = self.simple("SELECT " + "(" * 100000 + "1" + ")" * 100000, "SELECT " + "1+" * 50000 + "1", "SELECT 1")
        self.assertEqual(answer.errors, ["42601", "54001"])  # the parser's own stack, and the server's

    def test_text_that_is_no_text(self):
        self.same(lambda session: session.run(pg.frame("Q", b"SELECT '\xff\xfe'\0")), "EZ")
        self.same(lambda session: session.run(pg.frame("Q", b"SELECT 1")), "EZ")
        self.same(lambda session: session.run(pg.frame("Q", b"SELECT 1\0 more\0")), "EZ")
        self.same(lambda session: session.run(pg.frame("Q", b"")), "EZ")

    def test_cursors_in_sql(self):
        self.simple("BEGIN", "DECLARE c CURSOR FOR SELECT n FROM many", "FETCH 2 FROM c", "MOVE 10 IN c", "FETCH c",
                    "CLOSE c", "FETCH c", "ROLLBACK", tags="CZCZTDDCZCZTDCZCZEZCZ")

    def test_explain_show_and_utility_statements(self):
        self.simple("EXPLAIN (COSTS off) TABLE t", "SHOW server_version", "ANALYZE t", "CHECKPOINT", "VACUUM t",
                    "CREATE TABLE own (a int)", "ALTER TABLE own ADD b int", "COMMENT ON TABLE own IS 'x'", "DROP TABLE own",
                    "LOCK TABLE t", "BEGIN", "LOCK TABLE t", "COMMIT")

    def test_queries_in_one_write(self):
        self.same_bytes(b"".join(pg.query(f"SELECT {n}; SELECT 1/{n % 3}") for n in range(300)), readies=300)


class ExtendedQueries:
    def extended(self, *parts, tags=None):
        """Each part is sent with a Sync behind it, after the answer to the one before."""
        def script(session):
            for part in parts:
                session.run(part + SYNC)
        return self.same(script, tags)

    def test_a_statement(self):
        self.extended(pg.one("SELECT $1::int + 1", "41"), pg.one("SELECT * FROM t WHERE id = $1", 2),
                      pg.one("INSERT INTO t (v) VALUES ($1)", "d"), pg.one("SELECT v FROM t ORDER BY id"),
                      tags="12TDCZ12TDCZ12nCZ12TDDDDCZ")

    def test_descriptions(self):
        self.extended(pg.parse("s", "SELECT $1::int, $2::text, $3::bytea") + pg.describe("S", "s"),
                      pg.parse("i", "INSERT INTO t (v) VALUES ($1)") + pg.describe("S", "i"),
                      pg.parse("e", "") + pg.describe("S", "e") + pg.bind("", "e") + pg.describe() + pg.execute(),
                      pg.parse("r", "UPDATE t SET v = $2 WHERE id = $1 RETURNING *") + pg.describe("S", "r")
                      + pg.bind("p", "r", [1, "x"]) + pg.describe("P", "p") + pg.execute("p"),
                      tags="1tTZ1tnZ1tn2nIZ1tT2TDCZ")

    def test_types_and_formats(self):
        self.extended(pg.parse("s", "SELECT $1, $2, $3", [23, 25, 17])
                      + pg.bind("", "s", [struct.pack("!i", 7), "text", b"\0\1"], [1, 0, 1], [1, 0, 1]) + pg.describe()
                      + pg.execute() + pg.bind("", "s", [None, None, None]) + pg.execute(),
                      pg.parse("b", "SELECT $1::int8", [20]) + pg.bind("", "b", [b"\0\0\0"], [1]) + pg.execute(),
                      pg.parse("u", "SELECT $1") + pg.describe("S", "u"), tags="12TDC2DCZ1EZ1tTZ")

    def test_as_many_parameters_as_there_may_be(self):
        many = 65535
        self.extended(pg.one(f"SELECT count(*) FROM (VALUES {','.join(f'(${n + 1}::int)' for n in range(many))}) v",
                             *range(many)), tags="12TDCZ")

    def test_values_that_do_not_fit(self):
        answer = self.extended(
            pg.parse("s", "SELECT $1::int"), pg.bind("", "s", ["x"]), pg.bind("", "s", []), pg.bind("", "s", [1, 2]),
            pg.bind("", "s", [1], [0, 0]), pg.bind("", "s", [1], [7]), pg.bind("", "s", [1], [], [0, 0]),
            pg.bind("portal", "s", ["x"]), tags="1ZEZEZEZEZEZEZEZ")
        self.assertEqual(answer.errors, ["22P02", "08P01", "08P01", "08P01", "22023", "08P01", "22P02"])

    def test_messages_that_are_cut_short(self):
        for body in (b"", b"s", b"s\0", b"s\0SELECT 1", b"s\0SELECT 1\0", b"s\0SELECT 1\0\0", b"s\0SELECT 1\0\0\1\0",
                     b"s\0SELECT 1\0\0\0more"):
            self.same_bytes(pg.frame("P", body) + SYNC, "EZ")
        for body in (b"", b"\0", b"\0s\0", b"\0s\0\0\0\0\1\0\0\0\5x\0\0", b"\0s\0\0\0\0\0\0\0more"):
            self.same_bytes(pg.parse("s", "SELECT 1") + pg.frame("B", body) + SYNC, "1EZ")
        for tag, bodies in {"D": (b"", b"S", b"S\0x", b"X\0"), "C": (b"", b"S", b"S\0x", b"X\0"),
                            "E": (b"", b"\0", b"\0\0\0\0", b"\0\0\0\0\0\0"), "H": (b"x",), "S": ()}.items():
            for body in bodies:
                self.same_bytes(pg.frame(tag, body) + SYNC, "EZ")
        self.same_bytes(pg.frame("S", b"x"), "EZ")

    def test_a_portal_with_a_row_limit(self):
        self.same_bytes(pg.parse("", "SELECT n FROM many LIMIT 5") + pg.bind() + pg.execute("", 2) + pg.execute("", 2)
                        + pg.execute("", 2) + pg.execute("", 2) + SYNC, "12DDsDDsDCCZ")

    def test_a_portal_ends_with_its_transaction(self):
        answer = self.extended(pg.parse("", "SELECT n FROM many") + pg.bind("p") + pg.execute("p", 1), pg.execute("p", 1),
                               tags="12DsZEZ")
        self.assertEqual(answer.errors, ["34000"])

    def test_portals_in_a_transaction(self):
        answer = self.extended(
            pg.one("BEGIN"), pg.parse("s", "SELECT n FROM many") + pg.bind("p", "s") + pg.bind("q", "s"),
            pg.execute("p", 2), pg.execute("q", 1), pg.execute("p", 1) + pg.close("P", "q"), pg.execute("p", 2),
            pg.one("COMMIT"), pg.execute("p", 1),
            tags="12nCZ122ZDDsZDsZDs3ZDDsZ12nCZEZ")
        self.assertEqual(answer.errors, ["34000"])

    def test_a_portal_by_protocol_is_a_cursor_in_sql(self):
        self.extended(pg.one("BEGIN"), pg.parse("", "SELECT n FROM many") + pg.bind("p"), pg.one("FETCH 2 FROM p"),
                      pg.one("DECLARE c CURSOR FOR SELECT 7"), pg.execute("c", 1), pg.bind("c"), pg.one("ROLLBACK"))

    def test_the_unnamed_portal_is_replaced(self):
        self.extended(pg.one("BEGIN"), pg.parse("s", "SELECT n FROM many LIMIT $1") + pg.bind("", "s", [3])
                      + pg.execute("", 1) + pg.bind("", "s", [2]) + pg.execute(), pg.one("ROLLBACK"),
                      tags="12nCZ12Ds2DDCZ12nCZ")

    def test_portals_that_cannot_be(self):
        answer = self.extended(
            pg.parse("s", "SELECT 1") + pg.bind("p", "s") + pg.bind("p", "s"), pg.execute("p"), pg.describe("P", "p"),
            pg.execute("nosuch"), pg.describe(), pg.execute(), pg.close("P", "nosuch"), tags="12EZEZEZEZEZEZ3Z")
        self.assertEqual(answer.errors, ["42P03"] + ["34000"] * 5)

    def test_a_portal_of_a_write_runs_once(self):
        self.extended(pg.parse("", "INSERT INTO t (v) VALUES ('d') RETURNING id") + pg.bind() + pg.execute("", 1)
                      + pg.execute("", 1) + pg.execute(), pg.one("SELECT count(*) FROM t"))

    def test_an_empty_statement(self):
        self.extended(pg.parse("", "") + pg.bind() + pg.describe() + pg.execute(), pg.one("-- nothing"),
                      tags="12nIZ12nIZ")

    def test_only_one_statement_in_a_parse(self):
        answer = self.extended(pg.parse("", "SELECT 1; SELECT 2"), pg.one("SELECT 1;"), tags="EZ12TDCZ")
        self.assertEqual(answer.errors, ["42601"])

    def test_named_statements(self):
        self.extended(pg.parse("a", "SELECT 1"), pg.parse("b", "SELECT $1::text"), pg.bind("", "a") + pg.execute(),
                      pg.bind("", "b", ["x"]) + pg.execute() + pg.bind("", "a") + pg.execute(),
                      pg.close("S", "a"), pg.parse("a", "SELECT 2"), pg.bind("", "a") + pg.execute(),
                      tags="1Z1Z2DCZ2DC2DCZ3Z1Z2DCZ")

    def test_names_of_any_kind(self):
        for name in ("a", "Größe", "with space", "'\"\\", "x" * 500, "1", "PORTAL_1", "__sheaf", "sheaf_1", "S_1", "\t"):
            self.extended(pg.parse(name, "SELECT 1") + pg.describe("S", name), pg.bind(name, name) + pg.execute(name),
                          pg.parse(name, "SELECT 2"), pg.close("S", name), pg.bind("", name), tags="1tTZ2DCZEZ3ZEZ")

    def test_a_name_that_is_taken(self):
        answer = self.extended(
            pg.parse("a", "SELECT 1") + pg.parse("a", "SELECT 1") + pg.bind("", "a") + pg.execute(),
            pg.bind("", "a") + pg.execute(), pg.parse("a", "SELECT 1"), pg.one("SELECT 2"), tags="1EZ2DCZEZ12TDCZ")
        self.assertEqual(answer.errors, ["42P05", "42P05"])

    def test_a_name_that_is_unknown(self):
        answer = self.extended(pg.bind("", "a"), pg.describe("S", "a"), pg.close("S", "a"), pg.parse("b", "SELECT 1")
                               + pg.bind("", "a") + pg.execute(), pg.bind("", "b") + pg.execute(), pg.describe("S", ""),
                               pg.bind() + pg.execute(), tags="EZEZ3Z1EZ2DCZEZEZ")
        self.assertEqual(answer.errors, ["26000"] * 5)

    def test_errors_come_in_their_order(self):
        """What the front knows of names, and what only the server can know."""
        answer = self.same_bytes(
            pg.parse("a", "SELECT 1") + pg.parse("x", "bogus") + pg.bind("", "nosuch") + SYNC
            + pg.bind("", "nosuch") + pg.parse("y", "bogus") + SYNC
            + pg.parse("a", "SELECT 2") + pg.parse("z", "bogus") + SYNC
            + pg.one("SELECT 1/0") + pg.parse("a", "SELECT 2") + SYNC
            + pg.parse("b", "SELECT 3") + SYNC + pg.bind("", "b") + pg.execute() + pg.bind("", "x") + SYNC, readies=6)
        self.assertEqual(answer.errors, ["42601", "26000", "42P05", "22012", "26000"])

    def test_a_statement_that_was_skipped_is_not_there(self):
        answer = self.extended(pg.parse("", "bogus") + pg.parse("a", "SELECT 1") + pg.close("S", "b"),
                               pg.bind("", "a") + pg.execute(), pg.parse("a", "SELECT 1"), tags="EZEZ1Z")
        self.assertEqual(answer.errors, ["42601", "26000"])

    def test_a_close_that_was_skipped_has_closed_nothing(self):
        self.extended(pg.parse("a", "SELECT 1"), pg.parse("", "bogus") + pg.close("S", "a"),
                      pg.bind("", "a") + pg.execute(), tags="1ZEZ2DCZ")

    def test_a_statement_outlives_its_transactions_rollback(self):
        self.extended(pg.one("BEGIN"), pg.parse("a", "SELECT v FROM t WHERE id = 1"), pg.one("ROLLBACK"),
                      pg.bind("", "a") + pg.execute(), tags="12nCZ1Z12nCZ2DCZ")

    def test_parse_in_a_failed_transaction(self):
        self.extended(pg.one("BEGIN"), pg.one("bogus"), pg.parse("a", "SELECT 1"), pg.bind("", "a"), pg.parse("", "ROLLBACK")
                      + pg.bind() + pg.execute(), pg.parse("a", "SELECT 1") + pg.bind("", "a") + pg.execute())

    def test_the_unnamed_statement_stays(self):
        self.extended(pg.parse("", "SELECT v FROM t WHERE id = $1"), pg.bind("", "", [1]) + pg.execute(), pg.describe("S", ""),
                      pg.one("BEGIN", name="other"), pg.bind("", "", [2]) + pg.execute(), pg.one("ROLLBACK", name="back"),
                      pg.bind("", "", [3]) + pg.execute(), tags="1Z2DCZtTZ12nCZ2DCZ12nCZ2DCZ")

    def test_the_unnamed_statement_ends_with_a_simple_query(self):
        def script(session):
            session.run(pg.parse("", "SELECT 7") + SYNC)
            session.ask("SELECT 1")
            session.run(pg.bind() + SYNC)
            session.run(pg.parse("", "SELECT 7") + SYNC)
            session.ask("")
            session.run(pg.bind() + SYNC)
        self.assertEqual(self.same(script).errors, ["26000", "26000"])

    def test_the_unnamed_statement_ends_with_a_parse_that_fails(self):
        answer = self.extended(pg.parse("", "SELECT 7"), pg.parse("", "bogus"), pg.bind(), tags="1ZEZEZ")
        self.assertEqual(answer.errors, ["42601", "26000"])

    def test_the_unnamed_statement_stays_if_another_is_skipped(self):
        self.extended(pg.one("BEGIN"), pg.one("CLOSE nosuch") + pg.one("SELECT 1"), pg.describe("S", ""), pg.describe("S", ""),
                      pg.bind() + pg.execute(), pg.one("ROLLBACK", name="end"), pg.bind() + pg.execute(),
                      tags="12nCZ12nEZtnZtnZEZ12nCZ2EZ")

    def test_flush(self):
        def script(session):
            for part, tags in ((pg.parse("", "SELECT $1::int"), "1"), (pg.describe("S", ""), "tT"), (pg.bind("", "", [1]), "2"),
                               (pg.describe(), "T"), (pg.execute(), "DC"), (pg.close("P", ""), "3"), (SYNC, "Z")):
                session.send(part + (b"" if part == SYNC else pg.flush()))
                for _ in tags:
                    session.read()
        self.same(script, "1tT2TDC3Z")

    def test_flush_brings_an_error(self):
        def script(session):
            session.send(pg.parse("", "SELECT 1/0") + pg.bind() + pg.execute() + pg.flush())
            session.until("E")
            session.send(pg.flush() + pg.parse("", "SELECT 1") + pg.flush())
            session.run(SYNC)
        self.same(script, "1EZ")

    def test_nothing_comes_without_flush_or_sync(self):
        def script(session):
            session.send(pg.one("SELECT 1"))
            self.assertTrue(session.is_silent())
            session.run(SYNC)
            session.send(pg.flush())
            self.assertTrue(session.is_silent())
            session.run(SYNC)
        self.same(script, "12TDCZZ")

    def test_many_syncs_in_flight(self):
        self.same_bytes(b"".join(pg.one(f"SELECT {n} / ({n} % 7)") + SYNC for n in range(500)), readies=500)
        self.same_bytes(SYNC * 100, "Z" * 100, readies=100)

    def test_all_until_sync_is_one_transaction(self):
        self.extended(pg.one("INSERT INTO t (v) VALUES ('d')") + pg.one("INSERT INTO t VALUES (1, 'x')"),
                      pg.one("SELECT count(*) FROM t"), pg.one("INSERT INTO t (v) VALUES ('e')") + pg.one("SELECT 1"),
                      pg.one("SELECT count(*) FROM t"), tags="12nC12nEZ12TDCZ12nC12TDCZ12TDCZ")

    def test_a_pipeline_with_transactions(self):
        self.same_bytes(pg.one("BEGIN") + pg.one("INSERT INTO t (v) VALUES ('d')") + SYNC + pg.one("SELECT 1/0") + SYNC
                        + pg.one("SELECT 1") + SYNC + pg.one("ROLLBACK") + pg.one("SELECT count(*) FROM t") + SYNC, readies=4)

    def test_begin_and_commit_between_syncs(self):
        self.extended(pg.one("BEGIN") + pg.one("INSERT INTO t (v) VALUES ('d')") + pg.one("COMMIT") + pg.one("SELECT 1/0"),
                      pg.one("SELECT count(*) FROM t"), pg.one("COMMIT"), pg.one("INSERT INTO t (v) VALUES ('e')")
                      + pg.one("COMMIT"), pg.one("VACUUM t"), pg.one("SELECT 1") + pg.one("VACUUM t"))

    def test_a_simple_query_in_a_pipeline(self):
        self.same_bytes(pg.one("INSERT INTO t (v) VALUES ('d')") + pg.query("SELECT 1/0") + pg.one("SELECT count(*) FROM t")
                        + SYNC, readies=2)
        self.same_bytes(pg.one("SELECT 1/0") + pg.query("SELECT 1") + pg.one("SELECT 2") + SYNC + pg.query("SELECT 3"),
                        readies=2)

    def test_queries_that_are_skipped_behind_an_error_are_not_waited_for(self):
        self.same_bytes(pg.execute("nosuch") + pg.function_call(0) + pg.query("COPY t (v) FROM STDIN") + SYNC + pg.query("SELECT 1"),
                        "EZTDCZ", readies=2)
        session = self.session()
        self.assertEqual(session.run(pg.bind("", "nosuch") + pg.function_call(0) + pg.query("SELECT 1") + SYNC).tags, "EZ")
        session.send(pg.terminate())
        self.assertEqual(session.rest(), [])

    def test_a_query_that_is_answered_late_does_not_end_the_pipeline_behind_it(self):
        self.same_bytes(pg.query("SELECT FROM pg_sleep(0.05)") + pg.one("DO $$ BEGIN PERFORM pg_sleep(0.05); PERFORM 1/0; END $$")
                        + pg.query("SELECT 1") + pg.query("SET statement_timeout = '1h'") + SYNC + pg.query("SHOW statement_timeout"),
                        "TDCZ12nEZTDCZ", readies=3)

    def test_flush_brings_an_error_behind_which_a_query_is_skipped(self):
        def script(session):
            session.send(pg.execute("nosuch") + pg.query("SELECT 1"))
            session.ask_until(pg.flush(), "E")
            session.run(SYNC)
        self.same(script, "EZ")

    def test_a_query_that_sheaf_answers_behind_a_parse(self):
        self.same_bytes(pg.parse("a", "SELECT 1") + pg.query(";") + pg.bind("", "a") + pg.execute() + SYNC, "1IZ2DCZ", readies=2)

    def test_a_mixture_in_one_write(self):
        parts = [pg.query("SELECT 1"), pg.one("SELECT $1::int", 5) + SYNC, pg.one("bogus") + SYNC, pg.query("bogus"),
                 pg.query(""), pg.query("BEGIN"), pg.one("SELECT 1/0") + SYNC, pg.query("ROLLBACK"), SYNC,
                 pg.parse("a", "SELECT 9") + SYNC, pg.bind("", "a") + pg.execute() + SYNC, pg.close("S", "a") + SYNC]
        self.same_bytes(b"".join(parts * 20), readies=len(parts) * 20)

    def test_a_plan_whose_result_changed(self):
        def script(session):
            session.run(pg.query("BEGIN; CREATE TABLE changing (a int)") + pg.parse("c", "SELECT * FROM changing") + SYNC
                        + pg.bind("", "c") + pg.execute() + SYNC + pg.query("ALTER TABLE changing ADD b int"), 4)
            session.run(pg.bind("", "c") + pg.execute() + SYNC + pg.query("ROLLBACK"), 2)
        self.assertEqual(self.same(script).errors, ["0A000"])


class FunctionCalls:
    ABS = 1397  # int4abs

    def test_function_calls(self):
        four = struct.pack("!i", -4)
        self.same_bytes(pg.function_call(self.ABS, [four]) + pg.function_call(self.ABS, ["-5"], [0], 0)
                        + pg.function_call(self.ABS, [None]), "VZVZVZ", readies=3)

    def test_function_calls_that_fail(self):
        self.same_bytes(pg.function_call(self.ABS, []) + pg.function_call(0, []) + pg.function_call(self.ABS, ["x"], [0])
                        + pg.frame("F", b"") + pg.query("SELECT 1"), "EZEZEZEZTDCZ", readies=5)

    def test_function_calls_in_transactions_and_pipelines(self):
        four = struct.pack("!i", -4)
        self.same_bytes(pg.query("BEGIN") + pg.function_call(self.ABS, [four]) + pg.function_call(0)
                        + pg.function_call(self.ABS, [four]) + pg.query("ROLLBACK"), readies=5)
        self.same_bytes(pg.one("SELECT 1/0") + pg.function_call(self.ABS, [four]) + SYNC + pg.function_call(self.ABS, [four]),
                        "1EZVZ", readies=2)


class Copies:
    def test_copy_out(self):
        self.same_bytes(pg.query("COPY t TO STDOUT") + pg.query("COPY (SELECT * FROM t WHERE false) TO STDOUT")
                        + pg.query("COPY t TO STDOUT (FORMAT binary)") + pg.query("COPY t TO STDOUT CSV HEADER"), readies=4)

    def test_copy_out_that_fails_on_the_way(self):
        self.same_bytes(pg.query("COPY (SELECT 1/(n-5000) FROM many) TO STDOUT") + pg.query("COPY nosuch TO STDOUT"), readies=2)

    def test_copy_out_by_the_extended_protocol(self):
        self.same_bytes(pg.one("COPY t TO STDOUT") + SYNC + pg.one("SELECT 1") + SYNC
                        + pg.one("COPY (SELECT 1/(n-5000) FROM many) TO STDOUT") + pg.one("SELECT 2") + SYNC, readies=3)

    def copy_in(self, data, after, tags=None, before=b""):
        """COPY FROM STDIN, where the client waits for the server to say that it may send."""
        def script(session):
            session.send(before + pg.query("COPY t (v) FROM STDIN"))
            session.until("G")
            session.send(data)
            session.run(after)
            session.ask("SELECT v FROM t ORDER BY id")
        return self.same(script, tags)

    def test_copy_in(self):
        self.copy_in(pg.copy_data(b"d\ne\n") + pg.copy_data(b"f\n"), pg.copy_done(), "GCZTDDDDDDCZ")

    def test_copy_in_of_nothing(self):
        self.copy_in(b"", pg.copy_done(), "GCZTDDDCZ")
        self.copy_in(pg.copy_data(b""), pg.copy_done(), "GCZTDDDCZ")

    def test_copy_in_in_pieces_that_are_no_lines(self):
        self.copy_in(b"".join(pg.copy_data(b"many pieces\n"[at:at + 1]) for at in range(12)), pg.copy_done(), "GCZTDDDDCZ")

    def test_copy_in_is_given_up(self):
        answer = self.copy_in(pg.copy_data(b"d\n"), pg.copy_fail("no more of it"), "GEZTDDDCZ")
        self.assertEqual(answer.errors, ["57014"])

    def test_copy_in_is_given_up_in_two_pieces(self):
        def script(session):
            session.send(pg.query("COPY t (v) FROM STDIN"))
            session.until("G")
            session.send(pg.copy_fail("no more of it")[:9])
            self.assertTrue(session.is_silent())
            session.run(pg.copy_fail("no more of it")[9:] + pg.query("SELECT 1"), readies=2)
        self.same(script, "GEZTDCZ")

    def test_copy_in_that_the_server_refuses_on_the_way(self):
        bad = pg.copy_data(b"d\n") + pg.copy_data(b"e\ttoo many\n")
        self.copy_in(bad + pg.copy_data(b"f\n") * 1000, pg.copy_done(), "GEZTDDDCZ")
        self.copy_in(bad + pg.copy_data(b"f\n") * 1000, pg.copy_fail("no more"), "GEZTDDDCZ")

    def test_flush_and_sync_in_copy_in(self):
        self.copy_in(pg.copy_data(b"d\n") + pg.flush() + SYNC + pg.copy_data(b"e\n") + SYNC, pg.copy_done(), "GCZTDDDDDCZ")

    def test_another_message_in_copy_in(self):
        answer = self.copy_in(pg.copy_data(b"d\n"), pg.query("SELECT 1"))
        self.assertEqual((answer.errors, answer[-1].tag), (["08P01", "08P01"], "closed"))
        self.copy_in(pg.copy_data(b"d\n"), pg.parse("", "SELECT 1") + SYNC)

    def test_another_message_in_copy_in_of_several(self):
        for text in ("DISCARD ALL", "SET work_mem = '2MB'", "EXECUTE nosuch"):
            self.same_bytes(pg.query("COPY t (v) FROM STDIN; COPY t (v) FROM STDIN") + pg.copy_done() + pg.query(text), "GCGEEclosed", readies=2)

    def test_copy_in_within_a_transaction(self):
        self.copy_in(pg.copy_data(b"d\n"), pg.copy_done() + pg.query("ROLLBACK"), before=pg.query("BEGIN"))

    def test_copy_in_without_waiting(self):
        self.same_bytes(pg.query("COPY t (v) FROM STDIN") + pg.copy_data(b"d\n") + pg.copy_done() + pg.query("SELECT v FROM t")
                        + pg.query("COPY t (v) FROM STDIN") + pg.copy_fail("x") + pg.query("SELECT 1"), readies=4)

    def test_copy_in_without_waiting_that_fails_at_once(self):
        self.same_bytes(pg.query("COPY nosuch FROM STDIN") + pg.copy_data(b"d\n") * 1000 + pg.copy_done()
                        + pg.query("SELECT v FROM t"), "EZTDDDCZ", readies=2)

    def test_copy_in_without_waiting_by_a_text_that_is_not_read(self):
        self.same_bytes(pg.query(f"/*{'x' * 400_000}*/ COPY t (v) FROM STDIN; SELECT 1") + pg.copy_data(b"d\n") + pg.copy_done()
                        + pg.query("SELECT v FROM t"), "GCTDCZTDDDDCZ", readies=2)
        for name in ("", "long"):
            self.same_bytes(pg.parse(name, f"/*{'x' * 400_000}*/ COPY t (v) FROM STDIN") + pg.bind("", name) + pg.execute() + pg.copy_data(b"d\n") + pg.copy_done()
                            + SYNC + pg.query("SELECT v FROM t"), "12GCZTDDDDCZ", readies=2)

    def test_messages_of_copy_outside_of_it_are_ignored(self):
        self.same_bytes(pg.copy_data(b"x") + pg.copy_done() + pg.copy_fail("x") + pg.query("SELECT 1") + pg.copy_done()
                        + pg.one("SELECT 2") + pg.copy_data(b"x") + SYNC, "TDCZ12TDCZ", readies=2)

    def test_several_copies_in_a_query(self):
        def script(session):
            session.send(pg.query("COPY t (v) FROM STDIN; SELECT 1; COPY t TO STDOUT; COPY t (v) FROM STDIN; SELECT 2"))
            session.until("G")
            session.send(pg.copy_data(b"d\n") + pg.copy_done())
            session.until("G")
            session.run(pg.copy_data(b"e\n") + pg.copy_done())
        self.same(script, "GCTDCHddddcCGCTDCZ")

    def extended_copy_in(self, data, after, tags=None, waits=True):
        def script(session):
            session.send(pg.parse("", "COPY t (v) FROM STDIN") + pg.bind() + pg.describe() + pg.execute()
                         + (pg.flush() if waits else b""))
            if waits:
                session.until("G")
            session.run(data + after)
            session.run(pg.one("SELECT v FROM t ORDER BY id") + SYNC)
        return self.same(script, tags)

    def test_copy_in_by_the_extended_protocol(self):
        rows = pg.copy_data(b"d\ne\n")
        for waits in (True, False):
            self.extended_copy_in(rows, pg.copy_done() + SYNC, "12nGCZ12TDDDDDCZ", waits)
            self.extended_copy_in(rows, pg.copy_fail("x") + SYNC, "12nGEZ12TDDDCZ", waits)
            self.extended_copy_in(pg.copy_data(b"too\tmany\n") + rows, pg.copy_done() + SYNC, "12nGEZ12TDDDCZ", waits)

    def test_sync_before_the_end_of_copy_in_counts_for_nothing(self):
        """As libpq sends it: a Sync behind the Execute, and another behind the CopyDone."""
        self.extended_copy_in(SYNC + pg.copy_data(b"d\n"), pg.copy_done() + SYNC, "12nGCZ12TDDDDCZ")

    def test_copy_in_behind_what_is_not_answered_yet(self):
        rows = pg.copy_data(b"d\n") + pg.copy_done() + SYNC + pg.one("SELECT v FROM t ORDER BY id") + SYNC
        for before, tags in ((pg.query("SELECT FROM pg_sleep(0.05)"), "TDCZ"), (pg.one("DO $$ BEGIN PERFORM pg_sleep(0.05); PERFORM 1/0; END $$") + SYNC, "12nEZ")):
            self.same_bytes(before + pg.one("COPY t (v) FROM STDIN") + rows, tags + "12nGCZ12TDDDDCZ", readies=3)

    def test_copy_in_behind_a_setting_in_its_pipeline(self):
        self.same_bytes(pg.one("SET work_mem = '2MB'") + pg.one("COPY t (v) FROM STDIN") + pg.copy_data(b"d\n") + pg.copy_done() + SYNC
                        + pg.query("SHOW work_mem; SELECT v FROM t"), "12nC12nGCZTDCTDDDDCZ", readies=2)
        self.same_bytes(pg.one("SET work_mem = '2MB'") + pg.query("COPY t (v) FROM STDIN") + pg.copy_data(b"d\n") + pg.copy_done()
                        + pg.query("SHOW work_mem; SELECT v FROM t"), "12nCGCZTDCTDDDDCZ", readies=2)

    def test_copy_in_of_one_portal_of_several(self):
        both = pg.parse("a", "COPY t (v) FROM STDIN") + pg.parse("b", "SELECT 1")
        rows = pg.copy_data(b"d\n") + pg.copy_done() + SYNC
        self.same_bytes(both + pg.bind("p", "a") + pg.bind("q", "b") + pg.execute("p") + rows + pg.query("SELECT v FROM t"), "1122GCZTDDDDCZ", readies=2)
        self.same_bytes(both + pg.bind("q", "b") + pg.bind("p", "a") + pg.execute("q") + SYNC, "1122DCZ")

    def test_copy_in_of_two_portals(self):
        rows = pg.copy_data(b"d\n") + pg.copy_done()
        for first, second in ("pq", "qp"):
            self.same_bytes(pg.parse("c", "COPY t (v) FROM STDIN") + pg.bind("p", "c") + pg.bind("q", "c") + pg.execute(first) + rows + pg.execute(second) + rows
                            + SYNC + pg.query("SELECT v FROM t"), "122GCGCZTDDDDDCZ", readies=2)

    def test_a_cursor_by_the_name_of_a_portal_that_was_a_copy_in(self):
        """By messages, within a transaction: nothing but a Sync would have the server say what it has."""
        def script(session):
            session.run(pg.parse("c", "COPY t (v) FROM STDIN") + pg.query("BEGIN"))
            session.run(pg.bind("p", "c") + pg.close("P", "p") + SYNC)
            session.ask("DECLARE p CURSOR FOR SELECT v FROM t")
            session.run(pg.execute("p") + pg.close("P", "p") + SYNC)
        self.same(script, "1CZ23ZCZDDDC3Z")

    def test_what_code_prepared_behind_a_copy_in(self):
        def script(session):
            session.run(pg.one("COPY t (v) FROM STDIN") + pg.copy_data(b"d\n") + pg.copy_done() + SYNC)
            session.ask("DO $$ BEGIN EXECUTE 'PREPARE c AS SELECT 6'; END $$")
            session.run(pg.bind("", "c") + pg.execute() + SYNC)
        self.same(script, "12nGCZCZ2DCZ")

    def test_copy_in_by_the_extended_protocol_with_more_behind_it(self):
        self.extended_copy_in(pg.copy_data(b"d\n"), pg.copy_done() + pg.one("SELECT 1") + SYNC)
        self.extended_copy_in(pg.copy_data(b"too\tmany\n"), pg.copy_done() + pg.one("SELECT 1") + SYNC)

    def test_copy_in_by_the_extended_protocol_that_fails_at_once(self):
        self.same_bytes(pg.one("COPY nosuch FROM STDIN") + pg.copy_data(b"d\n") + pg.copy_done() + SYNC + pg.query("SELECT 1"),
                        "12nEZTDCZ", readies=2)

    def test_a_client_that_leaves_in_copy_in_has_copied_nothing(self):
        def script(session):
            session.send(pg.query("COPY t (v) FROM STDIN"))
            session.until("G")
            session.send(pg.copy_data(b"d\n"))
        self.same(script, "G")
        wait_until(lambda: not self.server.sessions("query LIKE 'COPY%' AND state <> 'idle'"), what="the COPY to end")
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), 3)
        self.assertEqual(self.session().value("SELECT count(*) FROM t"), "3")


class Rest:
    def test_byte_by_byte(self):
        def script(session):
            session.ask("SELECT v FROM t; bogus")
            session.run(pg.one("SELECT $1::text", "x" * 50) + SYNC + pg.one("bogus") + SYNC, 2)
            session.send(pg.query("COPY t (v) FROM STDIN"))
            session.until("G")
            session.run(pg.copy_data(b"d\n") + pg.copy_done() + pg.query("TABLE t"), 2)
            session.run(pg.function_call(1397, ["-5"], [0], 0))
        self.same(script, one_byte=True)

    def test_a_large_error(self):
        """And a notice: longer than what is kept of a message, so that it goes by as it comes."""
        text = "x" * (1 << 20)

        def script(session):
            session.ask(f"DO $$ BEGIN RAISE EXCEPTION '{text}'; END $$")
            session.ask(f"DO $$ BEGIN RAISE NOTICE '{text}'; END $$")
        self.same(script, "EZNCZ")

    def test_half_closed(self):
        def script(session):
            session.send(pg.query("SELECT n FROM many") + pg.query("INSERT INTO t (v) VALUES ('d')"))
            session.socket.shutdown(1)
            session.until("")
        answer = self.same(script)
        self.assertEqual((len(answer.rows), answer.done[1], answer[-1].tag), (100000, "INSERT 0 1", "closed"))
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), 4)

    def test_half_closed_in_the_middle_of_a_message(self):
        def script(session):
            session.send(pg.query("INSERT INTO t (v) VALUES ('d')")[:-1])
            session.socket.shutdown(1)
            session.until("")
        self.same(script)
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), 3)

    def test_half_of_something_behind_what_is_whole(self):
        """That is answered first, whether the client sends no more or says that it leaves."""
        whole = pg.query("SELECT 1") + pg.one("INSERT INTO t (v) VALUES ('d')") + SYNC + pg.query("SELECT n FROM many LIMIT 3000; SELECT 2")
        halves = [pg.query("SELECT 3")[:-1], pg.query("SELECT '" + "x" * 300000 + "'")[:-1], pg.one("INSERT INTO t (v) VALUES ('e')"),
                  pg.one("INSERT INTO t (v) VALUES ('e')") + SYNC[:2], pg.one("INSERT INTO t (v) VALUES ('e')") + b"S\0\0\0Q\0", pg.one("SELECT $1::text", "x" * 300000)[:-30],
                  pg.function_call(1598, ("x" * 300000,))[:-1]]
        for half in halves:
            ends = (b"", pg.terminate()) if half.endswith(pg.execute()) else (b"",)
            for end in ends:
                with self.subTest(half=half[:30], end=end):
                    def script(session, data=whole + half + end):
                        session.send(data)
                        session.socket.shutdown(1)
                        session.until("")
                    answer = self.same(script)
                    self.assertEqual((len(answer.rows), answer.tags.count("Z")), (3002, 3))
                    self.assertEqual(self.server.value("SELECT count(*) FROM t"), 4)

    def test_no_message_behind_a_pipeline(self):
        """Which is answered first, though it has no Sync.  Of lengths that can't be PostgreSQL does not even tell."""
        data = pg.query("SELECT 1") + pg.one("INSERT INTO t (v) VALUES ('d')")
        for garbage in (b"~\0\0\0\4", b"Q\0\0\0\0", b"S\x7f\0\0\0"):
            for first in (b"", pg.flush()):
                with self.subTest(garbage=garbage, first=first):
                    for target in (("127.0.0.1", self.server.port), self.front.target())[garbage[:1] != b"~":]:
                        answer = self.told(target, lambda session, data=data + first + garbage: (session.send(data), session.until("")))
                        self.assertEqual((answer.tags, answer.errors), ("TDCZ12nCEclosed", ["08P01"]))
                    self.assertEqual(self.server.value("SELECT count(*) FROM t"), 3)

    def test_half_closed_behind_a_copy(self):
        """Of which all was sent; and behind a pipeline of which one waits for the other."""
        copy = pg.copy_data(b"d\n" * 1000) + pg.copy_done()
        for data, count in ((pg.query("COPY t (v) FROM STDIN") + copy, 1003), (pg.one("COPY t (v) FROM STDIN") + SYNC + copy + SYNC, 1003),
                            (pg.one("SET work_mem = '5MB'") + pg.one("INSERT INTO t (v) VALUES ('d')") + SYNC, 4)):
            with self.subTest(data=data[:40]):
                self.same(lambda session, data=data: (session.send(data), session.socket.shutdown(1), session.until("")))
                self.assertEqual(self.server.value("SELECT count(*) FROM t"), count)

    def test_the_end_behind_what_ends_a_pipeline_without_a_sync(self):
        """Half of the connection is closed, or Terminate said."""
        alone, call = pg.query("INSERT INTO t (v) VALUES ('d')"), pg.function_call(1397, ["-5"], [0], 0)
        for data in (pg.close("S", "") + alone, pg.one("INSERT INTO t (v) VALUES ('d')") + call, pg.parse("", "SELECT 1") + pg.flush() + alone):
            for end in (lambda session: session.socket.shutdown(1), lambda session: session.send(pg.terminate())):
                with self.subTest(data=data[:40]):
                    self.same(lambda session, data=data, end=end: (session.send(data), end(session), session.until("")))
                    self.assertEqual(self.server.value("SELECT count(*) FROM t"), 4)

    def test_half_closed_behind_what_is_skipped(self):
        """A Query that is skipped up to a Sync does not end what has none."""
        for first in (b"", pg.query("BEGIN")):
            for half in (b"", SYNC[:3], b"S\0\0\0Q\0"):
                with self.subTest(first=first, half=half):
                    data = first + pg.one("SELECT $1::text::int", "x") + pg.query("SELECT 1") + half
                    self.same(lambda session, data=data: (session.send(data), session.socket.shutdown(1), session.until("")))

    def test_half_closed_before_what_a_copy_takes(self):
        self.reset()
        for data in (pg.query("COPY t (v) FROM STDIN"), pg.query("COPY t (v) FROM STDIN /* " + "long " * 40000 + "*/"),
                     pg.query("COPY t (v) FROM STDIN") + pg.copy_data(b"d\n"), pg.query("COPY t (v) FROM STDIN") + pg.copy_data(b"d\n" * 9000)[:-1],
                     pg.query("COPY t (v) FROM STDIN") + pg.copy_fail("no more")[:-3], pg.query("COPY t (v) FROM STDIN") + b"c\0\0\0Q\0",
                     pg.one("COPY t (v) FROM STDIN") + pg.flush() + pg.copy_done()):
            with self.subTest(data=data[:40]), self.session() as session:
                session.send(data)
                session.socket.shutdown(1)
                session.rest()
                wait_until(lambda: not self.server.sessions("state <> 'idle'"), what="the server to be left")
        self.assertEqual(self.server.value("SELECT count(*) FROM t WHERE v = 'd'"), 0)

    def test_terminate_behind_a_pipeline(self):
        def script(session):
            session.send(pg.query("SELECT 1") + pg.one("INSERT INTO t (v) VALUES ('d')") + SYNC + pg.terminate()
                         + pg.query("INSERT INTO t (v) VALUES ('e')"))
            session.until("")
        self.same(script)
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), 4)

    def test_terminate_in_the_middle_of_a_copy(self):
        """And what is no message at all: nothing comes behind either that could end it."""
        self.reset()
        for end in (pg.terminate(), b"~\0\0\0\4", b"d\0\0\0\0"):
            with self.session() as session:
                session.send(pg.query("COPY t (v) FROM STDIN"))
                session.until("G")
                session.send(pg.copy_data(b"d\n") + end)
                session.rest()
                wait_until(lambda: not self.server.sessions("state <> 'idle'"), what="the server to be left")
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), 3)

    def test_terminate_behind_a_query_in_a_pipeline_that_failed(self):
        """The server takes no notice of it; nor of a function call."""
        for skipped in (pg.query("INSERT INTO t (v) VALUES ('d')"), pg.function_call(1397, [struct.pack("!i", -7)])):
            self.same(lambda session, skipped=skipped: (session.run(pg.one("SELECT $1::int", "no") + skipped + SYNC), session.send(pg.terminate()), session.rest()),
                      "1EZ")

    def test_terminate_before_a_sync_undoes(self):
        def script(session):
            session.send(pg.one("INSERT INTO t (v) VALUES ('d')") + pg.terminate())
            session.until("")
        self.same(script)
        wait_until(lambda: not self.server.sessions("state <> 'idle'"))
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), 3)

    def test_listening_and_notifying(self):
        session = self.session()
        pid = session.value("LISTEN wire; SELECT pg_backend_pid()")
        answer = session.ask("NOTIFY wire, 'payload'")
        self.assertEqual((answer.tags, answer[1].words), ("CAZ", ["wire", "payload"]))
        self.assertEqual(struct.unpack_from("!i", answer[1].body)[0], int(pid))
        self.server.sql("NOTIFY wire, 'from another'")
        self.assertEqual(session.read().words, ["wire", "from another"])
        self.assertEqual(session.ask("UNLISTEN *").tags, "CZ")

    def test_many_sessions_at_once(self):
        self.reset()
        sessions = [self.session() for _ in range(40)]
        for n, session in enumerate(sessions):
            session.send(pg.one(f"SELECT {n}, $1::text", f"for {n}") + SYNC + pg.query(f"SELECT {n} FROM t"))
        for n, session in enumerate(sessions):
            self.assertEqual(session.until("Z", 2).rows, [[str(n), f"for {n}"]] + [[str(n)]] * 3)


class InSessions(SimpleQueries, ExtendedQueries, FunctionCalls, Copies, Rest, PgTwin):
    options = {"pooling": "session", "pool_size": 50}


class InTransactions(SimpleQueries, ExtendedQueries, FunctionCalls, Copies, Rest, PgTwin):
    options = {"pooling": "transaction"}


class WithOneConnection(ExtendedQueries, Copies, PgTwin):
    """The reset of tables goes past the front, so one is enough; what is left on it is seen by the next."""
    options = {"pooling": "transaction", "pool_size": 1}

    def test_who_had_to_make_room_for_what_was_skipped_is_still_there(self):
        count = 200
        session = self.session()
        session.run(b"".join(pg.parse(f"s{n}", f"SELECT {n} + $1::int") for n in range(count)) + SYNC)
        use = b"".join(pg.bind("", f"s{n}", [1]) for n in range(count)) + pg.execute() + SYNC
        for n in range(3):
            skipped = pg.parse("", "bogus") + pg.parse("t", f"SELECT 'new {n}'") + SYNC
            answer = session.run(use + skipped, readies=2)
            self.assertEqual((answer.rows, answer.errors), ([[str(count)]], ["42601"]))
            self.assertEqual(session.run(use).rows, [[str(count)]])
            answer = session.run(skipped + use, readies=2)
            self.assertEqual((answer.errors, answer.rows), (["42601"], [[str(count)]]))

    def test_what_ends_a_pipeline_without_a_sync(self):
        """The next one has the connection, though the first says nothing more."""
        call = pg.function_call(FunctionCalls.ABS, [struct.pack("!i", -4)])
        for end, tags in ((call, "VZ"), (pg.query("SELECT 1"), "TDCZ"), (pg.frame("Q", b""), "EZ"), (pg.query(f"/*{'x' * 400_000}*/ SELECT 1"), "TDCZ")):
            session = self.session()
            self.assertEqual(session.run(pg.one("SELECT 1") + end).tags, "12TDC" + tags)


class InPieces(SimpleQueries, ExtendedQueries, FunctionCalls, Copies, Rest, PgTwin):
    """What client and server send comes in pieces, which end anywhere: the answers are the same."""
    options = {"pooling": "transaction"}
    cuts = random.randrange(1 << 32)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        faults = Faults(cls, ("127.0.0.1", cls.server.port))
        faults.cuts = random.Random(cls.cuts)
        cls.front = Sheaf(cls, sql_pool(f"postgresql://{faults.address}", server_tls="off", **cls.options))


if __name__ == "__main__":
    main()
