#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""Prepared statements of pooled sessions, by the protocol and in SQL: each has its own, on whatever connection it is.

Where it can be, what a client is told is compared with what it is told by the server itself, alone."""
import unittest

from lib import *
from lib import pgwire as pg
from lib.case import main
from lib.pgtwin import PgTwin, Pooled, comparable
from lib.sql_front import FRONT

SYNC = pg.sync()


class Statements(Pooled):
    # One worker: between two the connection would go to and fro all the time.
    options = {"pooling": "transaction", "pool_size": 1, "proxy": {"workers": 1}}

    def test_the_same_name_is_each_ones_own(self):
        clients = [self.session() for _ in range(5)]
        for n, client in enumerate(clients):
            client.run(pg.parse("s", f"SELECT {n}, $1::int") + SYNC)
        for _ in range(3):
            for n, client in enumerate(clients):
                self.assertEqual(client.run(pg.bind("", "s", [7]) + pg.execute() + SYNC).rows, [[str(n), "7"]])
        for client in clients[::2]:
            client.run(pg.close("S", "s") + SYNC)
        for n, client in enumerate(clients):
            answer = client.run(pg.bind("", "s", [8]) + pg.execute() + SYNC)
            self.assertEqual((answer.errors, answer.rows), (["26000"], []) if n % 2 == 0 else ([], [[str(n), "8"]]))

    def test_the_unnamed_statement_is_each_ones_own(self):
        clients = [self.session() for _ in range(3)]
        for n, client in enumerate(clients):
            client.run(pg.parse("", f"SELECT {n}, $1::text") + SYNC)
        for _ in range(2):
            for n, client in enumerate(clients):
                self.assertEqual(client.run(pg.bind("", "", ["x"]) + pg.describe() + pg.execute() + SYNC).rows, [[str(n), "x"]])
        clients[0].ask("SELECT 1")
        self.assertEqual(clients[0].run(pg.bind() + SYNC).errors, ["26000"])
        self.assertEqual(clients[1].run(pg.bind("", "", ["x"]) + pg.execute() + SYNC).rows, [["1", "x"]])

    def test_the_unnamed_statement_of_a_pipeline_that_failed_is_nobody_elses(self):
        first, second = self.session(), self.session()
        own, use = pg.parse("", "SELECT 'first'"), pg.bind() + pg.execute() + SYNC
        for skipped in (own + SYNC, pg.query("SELECT 1") + SYNC, pg.parse("", "SELECT 2") + SYNC + pg.bind() + SYNC):
            first.run(own + SYNC)
            first.run(pg.execute("nosuch") + skipped, skipped.count(SYNC))
            self.assertEqual(second.run(pg.execute("nosuch") + use + use, 2).errors, ["34000", "26000"])
        self.same(lambda session: session.run(pg.parse("e", "EXECUTE e (1)") + pg.bind("", "e", ["1"]) + SYNC))

    def test_the_unnamed_statement_behind_a_text_that_is_not_of_its_encoding_is_nobody_elses(self):
        first, second = self.session(), self.session()
        first.run(pg.parse("", "SELECT 'first'") + SYNC)
        self.assertEqual(second.run(pg.query(b"SELECT '\xff'") + pg.bind() + pg.execute() + SYNC, 2).errors, ["22021", "26000"])

    def test_long_texts_of_what_sql_prepares_executes_and_deallocates(self):
        def script(session):
            for length in (100, 30000, 40000, 200000):
                long = "z" * length
                session.run(pg.parse("a", "SELECT length($1)", [25]) + SYNC)
                session.ask(f"EXECUTE a ('{long}')")
                session.ask(f"SELECT 1; EXECUTE a ('{long}'); PREPARE a AS SELECT 2")
                session.ask(f"PREPARE a AS SELECT '{long}'")
                session.ask(f"PREPARE b (text) AS SELECT length($1 || '{long}')")
                session.run(pg.bind("", "b", ["more"]) + pg.execute() + SYNC)
                session.ask("EXECUTE b ('even more')")
                session.ask(f"DEALLOCATE a /* {long} */")
                session.ask(f"EXECUTE a ('{long}')")
                session.ask(f"DEALLOCATE ALL -- {long}")
                session.ask("EXECUTE b ('even more')")
        self.assertEqual(self.alone(script).errors, ["42P05", "42P05", "26000", "26000"] * 4)

    def test_what_a_pipeline_that_failed_would_have_prepared_is_not_there(self):
        """Behind what sets the server, whose answers are still to come."""
        first, second = self.session(), self.session()
        first.ask("PREPARE c AS SELECT 1")
        second.ask("DISCARD ALL")
        second.ask("SET work_mem = '5MB'")
        seen = first.run(pg.one("SELECT nosuch") + pg.one("PREPARE c AS SELECT 2") + SYNC + pg.query("PREPARE c AS SELECT 3"), 2)
        self.assertEqual(seen.errors, ["42703", "42P05"])

    def test_more_statements_than_a_connection_keeps(self):
        count = 500
        first, second = self.session(), self.session()
        first.run(b"".join(pg.parse(f"s{n}", f"SELECT {n} + $1::int") for n in range(count)) + SYNC)
        second.run(b"".join(pg.parse(f"s{n}", f"SELECT {n} - $1::int") for n in range(count)) + SYNC)
        for n in [*range(0, count, 23), *range(count - 1, 0, -37)]:
            self.assertEqual(first.run(pg.bind("", f"s{n}", [1]) + pg.execute() + SYNC).value, str(n + 1))
            self.assertEqual(second.run(pg.bind("", f"s{n}", [1]) + pg.execute() + SYNC).value, str(n - 1))
        for session, by in ((first, 1), (second, -1), (first, 1)):
            pipeline = b"".join(pg.bind("", f"s{n}", [1]) + pg.execute() for n in range(count)) + SYNC
            self.assertEqual([int(row[0]) for row in session.run(pipeline).rows], [n + by for n in range(count)])
        if FRONT == "sheaf":
            # One besides, which is Sheaf's own.
            self.assertLessEqual(int(first.value("SELECT count(*) FROM pg_prepared_statements")), 201)

    def test_equal_statements_of_many_are_prepared_once(self):
        clients = [self.session() for _ in range(30)]
        for n, client in enumerate(clients):
            client.run(pg.parse(f"name {n}", "SELECT $1::int * 2") + SYNC)
            self.assertEqual(client.run(pg.bind("", f"name {n}", [n]) + pg.execute() + SYNC).value, str(2 * n))
        if FRONT == "sheaf":
            # each worker has numbers of its own, and the connection may have been at both
            self.assertIn(self.session().value("SELECT count(*) FROM pg_prepared_statements"
                                               " WHERE statement = 'SELECT $1::int * 2'"), ("1", "2"))

    def test_types_are_part_of_a_statement(self):
        first, second = self.session(), self.session()
        first.run(pg.parse("s", "SELECT pg_typeof($1)", [23]) + SYNC)
        second.run(pg.parse("s", "SELECT pg_typeof($1)", [25]) + SYNC)
        for _ in range(2):
            self.assertEqual(first.run(pg.bind("", "s", [1]) + pg.execute() + SYNC).value, "integer")
            self.assertEqual(second.run(pg.bind("", "s", [1]) + pg.execute() + SYNC).value, "text")

    def test_the_search_path_is_part_of_a_statement(self):
        first, second = self.session(options={"search_path": "one"}), self.session(options={"search_path": "two"})
        for client in (first, second):
            client.run(pg.parse("s", "SELECT name FROM who") + SYNC)
        for _ in range(3):
            self.assertEqual(first.run(pg.bind("", "s") + pg.execute() + SYNC).value, "one")
            self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "two")
        unnamed = pg.one("SELECT name FROM who") + SYNC
        self.assertEqual((first.run(unnamed).value, second.run(unnamed).value), ("one", "two"))

    def test_a_search_path_that_changes_between_uses(self):
        def script(session):
            session.ask("SET search_path = one")
            session.run(pg.parse("s", "SELECT name FROM who") + SYNC)
            for path in ("two", "one", "pg_catalog", "two"):
                session.ask(f"SET search_path = {path}")
                session.run(pg.bind("", "s") + pg.execute() + SYNC)
            session.run(pg.query("BEGIN; SET LOCAL search_path = one") + pg.bind("", "s") + pg.execute() + SYNC + pg.query("COMMIT")
                        + pg.bind("", "s") + pg.execute() + SYNC, 4)
        self.assertEqual(self.alone(script).rows, [["two"], ["one"], ["two"], ["one"], ["two"]])

    def test_the_role_is_part_of_a_statement(self):
        self.server.sql("CREATE TABLE guarded AS SELECT rolname AS who FROM pg_roles WHERE rolname IN ('app', 'other');"
                        "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON guarded USING (who = current_user);"
                        "GRANT SELECT ON guarded TO app, other; ALTER TABLE guarded FORCE ROW LEVEL SECURITY")
        first, second = self.session(), self.session()
        second.ask("SET ROLE other")
        for client in (first, second):
            client.run(pg.parse("s", "SELECT who FROM guarded") + SYNC)
        for _ in range(3):
            self.assertEqual(first.run(pg.bind("", "s") + pg.execute() + SYNC).value, "app")
            self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "other")
        second.ask("RESET ROLE")
        self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "app")

    def test_prepare_and_execute_in_sql(self):
        def script(session):
            for text in ("PREPARE p AS SELECT 1", "EXECUTE p", "PREPARE p AS SELECT 2", "PREPARE q (int) AS SELECT $1 + 1", "EXECUTE q (41)",
                         "EXECUTE q", "EXECUTE q ('x')", "DEALLOCATE p", "EXECUTE p", "DEALLOCATE p", "EXECUTE q (1)", "DEALLOCATE ALL",
                         "EXECUTE q (1)", "PREPARE \"Odd Name\" AS SELECT 3", "EXECUTE \"Odd Name\"", "DEALLOCATE PREPARE \"Odd Name\"",
                         "BEGIN", "PREPARE r AS SELECT 4", "ROLLBACK", "EXECUTE r", "PREPARE w (text) AS INSERT INTO t (v) VALUES ($1)",
                         "EXECUTE w ('x')", "SELECT count(*) FROM t", "BEGIN; CREATE TEMP TABLE made ON COMMIT DROP AS EXECUTE r; COMMIT",
                         "EXPLAIN (COSTS off) EXECUTE r", "PREPARE x AS bogus", "EXECUTE x", "PREPARE y AS SELECT 5; EXECUTE y; DEALLOCATE y"):
                session.ask(text)
        self.alone(script)

    def test_execute_among_other_statements(self):
        def script(session):
            session.run(pg.parse("s", "SELECT $1::int * 5") + SYNC)
            for text in ("PREPARE p AS SELECT 1", "PREPARE q (int) AS SELECT $1 + 1", "SELECT 1; EXECUTE p; EXECUTE q (2); EXECUTE s (3)",
                         "EXECUTE p; SELECT 1/0; EXECUTE q (1)", "EXECUTE p; DEALLOCATE p; EXECUTE p", "EXECUTE q (1)", "EXECUTE p",
                         "PREPARE p AS SELECT 2", "DEALLOCATE p; SELECT 5; DEALLOCATE q; DEALLOCATE s", "EXECUTE q (1)",
                         "PREPARE p AS SELECT 3", "PREPARE p AS SELECT 4; EXECUTE p", "EXECUTE p; PREPARE n AS SELECT 6; EXECUTE n; EXECUTE p",
                         "DEALLOCATE n; EXECUTE n", "BEGIN; EXECUTE p; DEALLOCATE p; ROLLBACK; EXECUTE p", "EXECUTE p",
                         "PREPARE x AS SELECT 9", "PREPARE w AS INSERT INTO t (v) VALUES ('w')", "DEALLOCATE ALL; EXECUTE x", "EXECUTE w",
                         "PREPARE x AS SELECT 9; DEALLOCATE ALL; EXECUTE x", "EXECUTE x",
                         "PREPARE e (int) AS SELECT n FROM many WHERE n < $1", "EXPLAIN (COSTS off, ANALYZE off) EXECUTE e (3)",
                         "EXPLAIN (COSTS off, TIMING off, SUMMARY off) EXECUTE e (3); SELECT 1", "BEGIN",
                         "CREATE TEMP TABLE execute ON COMMIT DROP AS EXECUTE e (4) WITH DATA", "SELECT count(*) FROM execute",
                         "EXPLAIN (COSTS off) CREATE TABLE x AS EXECUTE e (5)", "COMMIT", "EXECUTE /* EXECUTE */ e -- AS EXECUTE x\n (2)",
                         "PREPARE execute AS SELECT 'execute'", "EXECUTE execute", "EXPLAIN EXECUTE nosuch", "CREATE TABLE x AS EXECUTE nosuch"):
                session.ask(text)
        self.alone(script)

    def test_places_of_errors(self):
        self.assertEqual(len(self.asked(
            "PREPARE p (int, text) AS SELECT $1, $2", "EXECUTE p ('x', 1)", "  EXECUTE   p (1, nosuch)", "SELECT 'größe'; EXECUTE p ('ß', 1)",
            "/* größe */ EXECUTE p (1); SELECT nosuch", "EXECUTE p (1, 'a'); EXECUTE p (2, nosuch)", "EXECUTE p (1, 'a'); SELECT nosuch",
            "PREPARE x AS SELECT nosuch", "  PREPARE  \"größe\" (int) AS SELECT $1, nosuch", "EXPLAIN EXECUTE p (1, nosuch)",
            "EXPLAIN EXECUTE p (nosuch, 1); EXECUTE p (nosuch, 1)", "CREATE TEMP TABLE x AS EXECUTE p (1, nosuch)", "DEALLOCATE p; SELECT nosuch",
            "PREPARE \"größe\" (int) AS SELECT 1", "EXECUTE \"größe\" (nosuch)", "EXECUTE \"größe\" (1); SELECT nosuch",
            "EXECUTE \"größe\" (", "RESET work_mem; SELECT nosuch", options={"options": "-c work_mem=3MB"}).errors), 16)

    def test_places_of_errors_by_the_extended_protocol(self):
        def script(session):
            session.ask("PREPARE p (int, text) AS SELECT $1, $2")
            for text in ("EXECUTE p ('x', 1)", "  EXECUTE   p (1, nosuch)", "/* größe */ EXECUTE \"p\" (1, nosuch)", "EXECUTE p (1)"):
                session.run(pg.one(text) + SYNC)
                session.run(pg.parse("e", text) + pg.bind("x", "e") + pg.execute("x") + pg.close("S", "e") + SYNC)
        self.assertEqual(len(self.alone(script).errors), 8)

    def test_equal_statements_are_called_by_the_name_that_was_said(self):
        def script(session):
            session.ask("PREPARE a (int) AS SELECT $1; PREPARE b (int) AS SELECT $1")
            session.run(pg.parse("c", "SELECT $1::int") + pg.parse("d", "SELECT $1::int") + SYNC)
            for name in "abcd":
                session.ask(f"EXECUTE {name}")
                session.ask(f"EXECUTE a (1); EXECUTE {name}")
                session.ask(f"PREPARE {name} AS SELECT 2")
                for part in (pg.one(f"EXECUTE {name}"), pg.bind("", name), pg.parse(name, "SELECT 1")):
                    session.run(part + SYNC)
        self.assertEqual(len(self.alone(script).errors), 24)

    def test_names_behind_the_end_of_a_failed_transaction(self):
        """A server takes no preparation before that, and the connection may be one where nothing is prepared yet."""
        fails = "BEGIN; SAVEPOINT s; SELECT 1/0"
        for text in ("ROLLBACK; EXECUTE p (1)", "ROLLBACK TO s; EXECUTE p (1); EXECUTE q; COMMIT", "COMMIT; EXECUTE p; SELECT 1", "ROLLBACK; DEALLOCATE p",
                     "ROLLBACK; PREPARE p AS SELECT 1", "ROLLBACK; PREPARE r AS SELECT 5; EXECUTE r; EXECUTE p (nosuch)", "ROLLBACK; DEALLOCATE ALL",
                     "ROLLBACK TO nosuch; EXECUTE p (1)", "SELECT 1; ROLLBACK; EXECUTE p (1)", "ROLLBACK; EXPLAIN (COSTS off) EXECUTE p (1); EXECUTE gone",
                     "ROLLBACK AND CHAIN; EXECUTE p (2); SAVEPOINT t; SELECT 1/0"):
            with self.subTest(text=text):
                self.alone(lambda session: [session.ask(each) for each in (
                    "PREPARE p (int) AS SELECT $1 + 1; PREPARE q AS SELECT 'q'; PREPARE gone AS SELECT v FROM t", "SELECT count(*) FROM pg_prepared_statements"
                    " WHERE false", fails, text, "ROLLBACK", "EXECUTE p (3)", "EXECUTE q", "PREPARE r AS SELECT 6", "EXECUTE r")])

    def test_what_goes_back_to_the_start_behind_the_end_of_a_failed_transaction(self):
        for text in ("ROLLBACK; RESET work_mem", "ROLLBACK TO s; RESET work_mem", "ROLLBACK TO s; RESET ALL", "ROLLBACK TO s; SET work_mem TO DEFAULT",
                     "ROLLBACK; RESET ALL; SET LOCAL work_mem = '7MB'"):
            with self.subTest(text=text):
                self.alone(lambda session: [session.ask(each) for each in (
                    "BEGIN; SET work_mem = '3MB'; SAVEPOINT s; SELECT 1/0", text, "SHOW work_mem", "COMMIT", "SHOW work_mem")], options={"work_mem": "5MB"})

    def test_a_statement_that_can_no_longer_be_prepared(self):
        """It is the client's error, once, whoever has to prepare it for him."""
        first, second = self.session(), self.session()
        self.server.sql("CREATE TABLE soon_gone (a int)", user="app")
        first.ask("PREPARE p AS SELECT * FROM soon_gone")
        first.run(pg.parse("s", "SELECT a FROM soon_gone") + SYNC)
        self.server.sql("DROP TABLE soon_gone", user="app")
        if FRONT == "sheaf":
            self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app' AND pid <> pg_backend_pid()")
            wait_until(lambda: not self.server.sessions("datname = 'app'"), what="the connections to end")
        for text in ("EXECUTE p", "EXECUTE s", "SELECT 1; EXECUTE s"):
            self.assertEqual(first.ask(text).errors, ["42P01"])
            self.assertEqual(second.value("SELECT 1"), "1")
        self.assertEqual(first.run(pg.bind("", "s") + SYNC).errors, ["42P01"])
        first.ask("BEGIN")
        self.assertEqual((first.ask("EXECUTE p").errors, first.ask("EXECUTE p").errors), (["42P01"], ["25P02"]))
        self.assertEqual(first.ask("ROLLBACK").state, "I")

    def test_prepare_in_sql_and_the_protocol_share_names(self):
        def script(session):
            session.ask("PREPARE p (int) AS SELECT $1 * 3")
            session.run(pg.bind("", "p", [4]) + pg.describe() + pg.execute() + SYNC)
            session.run(pg.parse("p", "SELECT 1") + SYNC)
            session.run(pg.parse("s", "SELECT $1::int * 5") + SYNC)
            for text in ("EXECUTE s (4)", "PREPARE s AS SELECT 1", "DEALLOCATE s", "EXECUTE s (4)"):
                session.ask(text)
            session.run(pg.bind("", "s", [4]) + SYNC)
            session.run(pg.parse("s", "SELECT 6") + pg.close("S", "p") + SYNC)
            session.ask("EXECUTE p (4)")
            session.ask("DEALLOCATE ALL")
            session.run(pg.bind("", "s") + SYNC)
            session.run(pg.parse("s", "SELECT 7") + pg.bind("", "s") + pg.execute() + SYNC)
        self.same(script)
        self.alone(script)

    def test_prepare_by_the_protocol_shares_names(self):
        """What PREPARE made by the extended protocol, or within code, the server knows by the client's own name."""
        large, end = f"SELECT 1 /* {'x' * 400000} */", pg.bind("", "p") + pg.execute() + pg.bind("", "s") + pg.execute()
        for steps in ((pg.one("PREPARE p AS SELECT 1"), pg.parse("p", "SELECT 2"), pg.close("S", "p") + pg.parse("p", "SELECT 3")),
                      (pg.parse("p", "SELECT 2"), pg.one("PREPARE p AS SELECT 1"), pg.close("S", "p") + pg.one("PREPARE p AS SELECT 4")),
                      (pg.parse("p", "SELECT 2") + pg.one("PREPARE p AS SELECT 1"), pg.one("PREPARE s AS SELECT 1") + pg.parse("s", "SELECT 2")),
                      (pg.parse("s", "SELECT 2"), pg.one("PREPARE p AS SELECT 1"), "PREPARE s AS SELECT 3", "DEALLOCATE s; PREPARE s AS SELECT 4"),
                      ("DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT 5'; END $$", pg.parse("p", "SELECT 2"), "PREPARE p AS SELECT 1", "DEALLOCATE p"),
                      ("BEGIN", pg.parse("s", "SELECT 6"), pg.one("PREPARE p AS SELECT 1"), pg.one("DEALLOCATE ALL"), pg.parse("s", "SELECT 6"), "COMMIT"),
                      (pg.parse("s", "SELECT 7"), pg.parse("p", large), pg.parse("s", "SELECT 8"), pg.close("S", "s") + pg.parse("s", "SELECT 9")),
                      (pg.parse("s", "SELECT 7"), pg.parse("p", large), "DEALLOCATE ALL", pg.parse("p", "SELECT 8"))):
            with self.subTest(steps=[step[:50] for step in steps]):
                self.same(lambda session: [session.run(pg.query(step) if isinstance(step, str) else step + SYNC) for step in (*steps, end)])

    def test_prepare_by_the_protocol_keeps_no_connection(self):
        """It is the session's on any: as PREPARE in a Query is."""
        def script(session):
            for data in (pg.one("PREPARE p (int) AS SELECT $1 + 1"), pg.one("EXECUTE p (1)"), pg.bind("", "p", ["2"]) + pg.execute(), pg.one("PREPARE p AS SELECT 3"),
                         pg.one("PREPARE bad AS SELECT nosuch"), pg.one("EXECUTE bad"), pg.one("PREPARE bad AS bogus"), pg.describe("S", "p"),
                         pg.one("PREPARE q AS INSERT INTO t (v) VALUES ('q')") + pg.one("EXECUTE q") + pg.one("EXECUTE q") + pg.close("S", "q") + pg.one("EXECUTE q"),
                         pg.one("BEGIN") + pg.one("PREPARE q AS SELECT 'in a transaction'") + pg.one("SELECT 1/0"), pg.one("ROLLBACK"), pg.one("EXECUTE q"),
                         pg.parse("n", "PREPARE m AS SELECT 4") + pg.bind("o", "n"), pg.one("EXECUTE m"), pg.bind("", "n") + pg.execute() + pg.execute(), pg.one("EXECUTE m"),
                         pg.one("DEALLOCATE m"), pg.bind("", "n") + pg.execute(), pg.one("EXECUTE m"), pg.one("DEALLOCATE p") + pg.one("EXECUTE p (1)"),
                         pg.one("PREPARE x AS SELECT 5") + pg.one("DEALLOCATE ALL") + pg.one("EXECUTE x")):
                session.run(data + SYNC)
            session.run(pg.parse("n", "PREPARE late AS SELECT 6") + pg.one("BEGIN") + pg.bind("one", "n") + pg.bind("", "n") + SYNC)
            session.run(pg.execute("one") + SYNC)
            session.run(pg.one("EXECUTE late") + SYNC)
            session.run(pg.execute() + SYNC)
            session.run(pg.one("ROLLBACK") + SYNC)
            session.run(pg.one("EXECUTE late") + SYNC)
        self.same(script)
        if FRONT == "sheaf":
            first, second = self.session(), self.session()
            first.run(pg.one("PREPARE p AS SELECT 'first'") + SYNC)
            self.assertEqual(second.ask("EXECUTE p").errors, ["26000"])
            second.run(pg.one("PREPARE p AS SELECT 'second'") + SYNC)
            self.assertEqual((first.value("EXECUTE p"), second.value("EXECUTE p")), ("first", "second"))
            self.assertEqual(first.value("SELECT count(*) FROM pg_prepared_statements WHERE name = 'p'"), "0")

    def test_parse_of_what_is_there_already_in_a_transaction_that_may_have_failed(self):
        parse, use, fails = pg.parse("y", "SELECT 1"), pg.bind("", "y") + pg.execute(), pg.one("BEGIN") + pg.one("SELECT 1/0") + SYNC
        for data in (fails + parse + SYNC + use + SYNC + pg.one("ROLLBACK") + parse + SYNC + use + SYNC, fails + pg.one("ROLLBACK") + parse + SYNC + use + SYNC,
                     pg.query("BEGIN; SELECT 1/0") + parse + SYNC + use + SYNC, pg.one("BEGIN") + SYNC + parse + SYNC + use + SYNC):
            self.same(lambda session: [session.run(pg.parse("x", "SELECT 1") + SYNC), session.run(data, data.count(SYNC) + (data[:1] == b"Q"))])

    def test_deallocate_by_the_extended_protocol(self):
        def script(session):
            session.run(pg.parse("s", "SELECT 7") + SYNC)
            session.run(pg.one("DEALLOCATE s") + pg.one("DEALLOCATE ALL") + SYNC)
            session.run(pg.bind("", "s") + SYNC)
            session.run(pg.one("BEGIN") + pg.parse("s", "SELECT 8") + pg.one("DEALLOCATE s") + pg.one("ROLLBACK") + SYNC)
            session.run(pg.bind("", "s") + SYNC)
            session.run(pg.parse("s", "SELECT 9") + pg.bind("", "s") + pg.execute() + SYNC)
            session.run(pg.one("SELECT 1/0") + pg.one("DEALLOCATE ALL") + SYNC)
            session.run(pg.bind("", "s") + pg.execute() + SYNC)
        self.alone(script)

    def test_execute_and_deallocate_by_the_extended_protocol(self):
        def script(session):
            session.ask("PREPARE p (int) AS SELECT $1 * 2; PREPARE w AS INSERT INTO t (v) VALUES ('w')")
            for part in (pg.one("EXECUTE p (3)"), pg.one("EXPLAIN (COSTS off) EXECUTE p (3)"), pg.one("EXECUTE w"),
                         pg.parse("e", "EXECUTE p (4)") + pg.describe("S", "e"), pg.bind("", "e") + pg.execute(),
                         pg.bind("", "e") + pg.describe() + pg.execute() + pg.bind("", "e") + pg.execute(),
                         pg.parse("d", "DEALLOCATE p") + pg.describe("S", "d"), pg.bind("", "d") + pg.execute(),
                         pg.bind("", "d") + pg.execute(), pg.bind("", "e") + pg.execute(), pg.parse("p", "SELECT 'by protocol'::text"),
                         pg.bind("", "p") + pg.execute() + pg.bind("", "d") + pg.execute() + pg.bind("", "p"), pg.bind("", "d") + pg.execute(),
                         pg.one("DEALLOCATE nosuch"), pg.one("EXECUTE nosuch"), pg.parse("a", "DEALLOCATE ALL"), pg.bind("", "a") + pg.execute(),
                         pg.bind("", "a") + pg.execute(), pg.bind("", "e"), pg.parse("d", "DEALLOCATE d") + pg.bind("", "d") + pg.execute(),
                         pg.bind("", "d"), pg.parse("n", "DEALLOCATE other"), pg.bind("", "n") + pg.execute(), pg.one("EXECUTE p (3)"),
                         pg.parse("x", "EXECUTE y"), pg.parse("y", "EXECUTE x"), pg.parse("", "EXECUTE w") + SYNC + pg.bind()):
                session.run(part + SYNC)
        self.alone(script)

    def test_names_of_the_front_are_of_no_use_to_clients(self):
        """Servers know statements by names of Sheaf's: who says such a name means a statement of his own, or none."""
        def script(session):
            for name in ("_sheaf_", "_sheaf_0001000000000001", "_sheaf_prepare"):
                quoted = f'"{name}"'
                session.ask(f"PREPARE p AS SELECT 7; EXECUTE {quoted}; SELECT 1")
                for text in (f"EXECUTE {quoted}", f"DEALLOCATE {quoted}", f"DEALLOCATE PREPARE {name}", f"SELECT 1; EXECUTE {name}",
                             f"EXPLAIN EXECUTE {name}", "DEALLOCATE p"):
                    session.ask(text)
                for part in (pg.bind("", name), pg.describe("S", name), pg.one(f"EXECUTE {name}"), pg.one(f"DEALLOCATE {name}"),
                             pg.parse(name, "SELECT 'mine'") + pg.bind("", name) + pg.execute(), pg.parse(name, "SELECT 1"),
                             pg.query(f"EXECUTE {quoted}"), pg.close("S", name), pg.bind("", name)):
                    session.run(part + (SYNC if part[:1] != b"Q" else b""))
        self.alone(script)

    @unittest.skipIf(FRONT == "direct", "the connection is its own")
    def test_names_that_code_takes_or_forgets(self):
        """Behind code that prepares by one of those names, or forgets them all, the connection serves nobody else."""
        first, second = self.session(), self.session()
        second.run(pg.parse("s", "SELECT 'mine'") + SYNC)
        second.ask("PREPARE p AS SELECT 'mine'")
        names = [row[0] for row in second.ask("SELECT name FROM pg_prepared_statements WHERE name LIKE '\\_sheaf%'").rows]
        self.assertNotEqual(names, [])
        names = [name for name in names if name != "_sheaf_prepare"]
        after = f"{int(max(names)[7:], 16) + 1:016x}"
        for code in ("DEALLOCATE ALL", f'DEALLOCATE "{names[0]}"', f'PREPARE "_sheaf_{after}" AS SELECT 1', "DISCARD PLANS",
                     f'DEALLOCATE ALL; PREPARE "{names[0]}" AS SELECT 1'):
            for n, text in enumerate(code.split("; ")):
                first.ask(f"DO $$ BEGIN EXECUTE '{text}'; END $$")
            for _ in range(2):
                self.assertEqual(second.value("EXECUTE p"), "mine")
                self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "mine")
                new = second.run(pg.parse("n", f"SELECT '{code[:20]}'") + pg.bind("", "n") + pg.execute() + pg.close("S", "n") + SYNC)
                self.assertEqual(new.value, code[:20])

    @unittest.skipIf(FRONT == "direct", "there what is forgotten is gone")
    def test_what_code_forgets_is_prepared_again_where_it_stays(self):
        """In the transaction, or on the connection that its session keeps."""
        first = self.session()
        self.server.sql("CREATE OR REPLACE FUNCTION forgets() RETURNS int LANGUAGE plpgsql AS"
                        " $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 1; END $$", user="app")
        for code in ("DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$", "SELECT forgets()"):
            for keeps in ("BEGIN", "CREATE TEMP TABLE own (a int)"):
                with self.subTest(code=code, keeps=keeps):
                    first.run(pg.parse("s", "SELECT 'by protocol'") + SYNC)
                    first.ask("PREPARE p AS SELECT 'by sql'")
                    first.ask(keeps)
                    self.assertEqual(first.ask(code).errors, [])
                    if keeps != "BEGIN" or "DO" in code:
                        self.assertEqual(first.value("EXECUTE p"), "by sql")
                        self.assertEqual(first.run(pg.bind("", "s") + pg.execute() + SYNC).value, "by protocol")
                        self.assertEqual(first.ask("PREPARE q AS SELECT 'by sql'; EXECUTE q").value, "by sql")
                        new = first.run(pg.parse("t", "SELECT 'by protocol'") + pg.bind("", "t") + pg.execute() + SYNC)
                        self.assertEqual(new.value, "by protocol")
                    first.ask("ROLLBACK" if keeps == "BEGIN" else "DROP TABLE own")
                    first.ask("DEALLOCATE ALL")

    @unittest.skipIf(FRONT == "direct", "the connection is its own")
    def test_a_name_that_code_forgot_and_its_session_takes_again_is_nobody_elses(self):
        first, second = self.session(), self.session()
        self.server.sql("CREATE OR REPLACE FUNCTION forgets() RETURNS int LANGUAGE plpgsql AS"
                        " $$ BEGIN EXECUTE 'DEALLOCATE ALL'; RETURN 1; END $$", user="app")
        for prepare, again in ((pg.parse("p", "SELECT 'old'") + SYNC, pg.parse("p", "SELECT 'new'") + SYNC),
                               (pg.query("PREPARE p AS SELECT 'old'"), pg.query("PREPARE p AS SELECT 'new'"))):
            first.run(prepare)
            first.ask("BEGIN; SELECT forgets()")
            self.assertEqual(first.run(again).errors, [])
            self.assertEqual(first.value("EXECUTE p"), "new")
            first.ask("COMMIT")
            self.assertEqual(first.value("EXECUTE p"), "new")
            first.ask("DISCARD ALL")
            second.run(prepare)
            self.assertEqual(second.value("EXECUTE p"), "old")
            second.ask("DEALLOCATE ALL")

    def test_prepared_statements_in_sql_are_each_ones_own(self):
        first, second = self.session(), self.session()
        first.ask("PREPARE p AS SELECT 'first'")
        self.assertEqual(second.ask("EXECUTE p").errors, ["26000"])
        second.ask("PREPARE p AS SELECT 'second'")
        self.assertEqual((first.value("EXECUTE p"), second.value("EXECUTE p")), ("first", "second"))
        second.ask("DEALLOCATE ALL")
        self.assertEqual((first.value("EXECUTE p"), second.ask("EXECUTE p").errors), ("first", ["26000"]))

    def test_a_statement_whose_table_changes(self):
        first, second = self.session(), self.session()
        first.ask("DROP TABLE IF EXISTS changing; CREATE TABLE changing AS SELECT 1 AS a")
        first.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        use = pg.bind("", "s") + pg.describe() + pg.execute() + SYNC
        self.assertEqual(first.run(use).rows, [["1"]])
        second.ask("ALTER TABLE changing ADD b int DEFAULT 2")
        self.assertEqual(first.run(use).errors, ["0A000"])
        first.run(pg.close("S", "s") + pg.parse("s", "SELECT * FROM changing") + SYNC)
        self.assertEqual(first.run(use).rows, [["1", "2"]])
        self.assertEqual(second.run(pg.one("SELECT * FROM changing") + SYNC).rows, [["1", "2"]])
        second.ask("DROP TABLE changing; CREATE TABLE changing AS SELECT 'text' AS c")
        self.assertEqual(second.run(pg.one("SELECT * FROM changing") + SYNC).rows, [["text"]])


class FailedElsewhere(PgTwin):
    """What a failed transaction's end executes was prepared on another connection than that which it has."""
    options = {"pooling": "transaction", "pool_size": 2, "proxy": {"workers": 1}}

    def test_it_is_prepared_within_the_text(self):
        first, second = self.session(), self.session()
        for end, state in (("ROLLBACK", "I"), ("ROLLBACK TO s", "T")):
            with self.subTest(end=end):
                first.ask("PREPARE p (int) AS SELECT $1 + 1; PREPARE q AS SELECT v FROM t WHERE id = 1")
                second.ask("BEGIN")
                first.ask("BEGIN; SAVEPOINT s; SELECT 1/0")
                answer = first.ask(f"{end}; EXECUTE p (1); EXECUTE q; EXECUTE p (2); SELECT 7")
                self.assertEqual((answer.errors, answer.rows, answer.state), ([], [["2"], ["a"], ["3"], ["7"]], state))
                self.assertEqual(answer.done, [end.split(" ")[0], *["SELECT 1"] * 4])
                first.ask("ROLLBACK")
                self.assertEqual((first.value("EXECUTE p (3)"), first.ask("EXECUTE p (1, 2)").errors), ("4", ["42601"]))
                first.ask("DEALLOCATE ALL")
                second.ask("ROLLBACK")

    def test_what_the_protocol_prepared_is_prepared_within_the_text_too(self):
        def alone(session):
            for name, text, types in STATEMENTS:
                session.run(pg.parse(name, text, types) + SYNC)

        def script(session, other=None):
            for text in ("ROLLBACK; EXECUTE n (1); EXECUTE t ('x', 2)", "ROLLBACK; PREPARE n AS SELECT 9", "ROLLBACK TO s; EXECUTE c; EXECUTE j ('{}')",
                         "ROLLBACK; EXECUTE e; SELECT 7", "ROLLBACK; EXECUTE n (nosuch)", "COMMIT; EXPLAIN (COSTS off) EXECUTE n (2)"):
                alone(session)
                if other:
                    other.ask("BEGIN")
                session.ask("BEGIN; SAVEPOINT s; SELECT 1/0")
                session.ask(text)
                session.ask("ROLLBACK")
                session.run(pg.bind("", "n", ["3"]) + pg.execute() + SYNC)
                session.ask("DISCARD ALL")
                if other:
                    other.ask("COMMIT; DISCARD ALL")
        STATEMENTS = (("n", "SELECT $1::int + 1", ()), ("t", "select $1, $2 -- both", (25, 23)), ("c", "VALUES (1);", ()),
                      ("j", "SELECT $1", (114,)), ("e", "INSERT INTO t (v) SELECT 'new' RETURNING id, v", ()))
        direct = self.told(("127.0.0.1", self.server.port), script)
        other = self.session()
        self.assertEqual(comparable(self.told(self.front.target(), lambda session: script(session, other))), comparable(direct))
        self.assertEqual(len(direct.errors), 8)  # 22012 of each, 42P05, 42703

    def test_a_parse_by_a_name_that_is_taken_in_a_failed_transaction(self):
        """Of no SQL, of what is refused, and of what is not."""
        def script(session, other=None):
            for text in ("SELECT 'unended", "SELECT 2", "ROLLBACK", "PREPARE TRANSACTION 'x'"):
                session.run(pg.parse("n", "SELECT 1") + SYNC)
                if other:
                    other.ask("BEGIN")
                session.ask("BEGIN; SELECT 1/0")
                session.run(pg.parse("n", text) + SYNC)
                session.run(pg.one("ROLLBACK") + pg.flush() + pg.parse("n", text) + SYNC)
                session.run(pg.bind("", "n") + pg.execute() + pg.close("S", "n") + SYNC)
                if other:
                    other.ask("COMMIT")
        direct = self.told(("127.0.0.1", self.server.port), script)
        self.assertEqual([code for code in direct.errors if code != "22012"],
                         ["42601", "42601", "25P02", "42P05", "42P05", "42P05", "42P05", "42P05"])
        other = self.session()
        through = self.told(self.front.target(), lambda session: script(session, other))
        self.assertEqual((through.tags, through.errors), (direct.tags, direct.errors))

    def test_what_has_no_result_is_described_in_a_failed_transaction(self):
        def script(session, other=None):
            session.run(pg.parse("n", "INSERT INTO t (v) VALUES ($1)") + pg.parse("l", "LISTEN x") + pg.parse("r", "SELECT $1::int") + SYNC)
            if other:
                other.ask("BEGIN")
            session.ask("BEGIN; SELECT 1/0")
            for name in "nlr":
                session.run(pg.describe("S", name) + SYNC)
                session.run(pg.describe("S", name) + pg.bind("", name, ["1"] if name != "l" else []) + pg.execute() + SYNC)
            session.run(pg.one("ROLLBACK", name="end") + pg.describe("S", "n") + pg.bind("", "n", ["later"]) + pg.execute() + SYNC)
            if other:
                other.ask("COMMIT")
        direct = self.told(("127.0.0.1", self.server.port), script)
        other = self.session()
        through = self.told(self.front.target(), lambda session: script(session, other))
        self.assertEqual((through.tags, through.errors), (direct.tags, direct.errors))

    def setUp(self):
        self.reset()


class GoneElsewhere(PgTwin):
    options = {"pooling": "transaction", "pool_size": 2, "proxy": {"workers": 1}}

    def test_what_can_not_be_prepared_on_another_connection_any_more(self):
        """The table is gone: that is told, and not tried again and again."""
        mine, other = self.session(), self.session()
        mine.ask("CREATE TABLE gone (a int); PREPARE p AS SELECT * FROM gone")
        self.assertEqual(mine.ask("EXECUTE p").errors, [])
        other.ask("BEGIN")  # on the connection that has it
        mine.ask("DROP TABLE gone")
        for _ in range(2):
            self.assertEqual(mine.ask("EXECUTE p").errors, ["42P01"])
            self.assertEqual(mine.run(pg.one("EXECUTE p") + SYNC).errors, ["42P01"])
        self.assertEqual((mine.value("SELECT 1"), other.ask("COMMIT").errors), ("1", []))


class ChangedResults(PgTwin):
    """A table gets other columns: who prepared a statement before is told so on whichever connection, also on one that
    prepares it only then."""
    options = {"pooling": "transaction", "pool_size": 2}
    use = pg.bind("", "s") + pg.describe() + pg.execute() + SYNC

    @staticmethod
    def without_tables(answer):
        """Each one's table has a number of its own: names and the rest of the columns."""
        def columns(body):
            rest = body[2:]
            while rest:
                name, rest = rest.split(b"\0", 1)
                yield name, rest[4:18]
                rest = rest[18:]
        return [("T", *columns(m.body)) if m.tag == "T" else m for m in answer]

    @staticmethod
    def make(session):
        session.ask("DROP TABLE IF EXISTS changing; CREATE TABLE changing AS SELECT 1 AS a")

    def moved(self, prepare, *uses, ddl="ALTER TABLE changing ADD b int DEFAULT 2", past=False, kept=True):
        """What `uses` answer after DDL, by the front, the other connection having the lease of who does it; the same as
        by the server alone."""
        def answers(session, other):
            self.make(session)
            session.run(prepare)
            if kept:
                other.ask("BEGIN")
            for text in ddl.split(";"):
                if past:
                    self.server.sql(text, user="app")
                else:
                    other.ask(text + ";" if kept else text)
            if kept:
                other.ask("COMMIT; BEGIN")  # the connection on which it was prepared stays with it
            told = [message for part in uses for message in session.run(part)]
            other.ask("ROLLBACK")
            return told
        with pg.PgSession(("127.0.0.1", self.server.port)) as one, pg.PgSession(("127.0.0.1", self.server.port)) as two:
            direct = answers(one, two)
        through = answers(self.session(), self.session())
        self.assertEqual(comparable(self.without_tables(through)), comparable(self.without_tables(direct)))
        return pg.Answer(direct)

    def test_by_the_protocol(self):
        prepare = pg.parse("s", "SELECT * FROM changing") + SYNC
        for kept in (False, True):
            answer = self.moved(prepare, self.use, self.use, pg.describe("S", "s") + SYNC, pg.one("SELECT 1") + self.use, kept=kept)
            self.assertEqual(answer.errors, ["0A000"] * 4)
            answer = self.moved(prepare, pg.query("BEGIN"), self.use, pg.query("ROLLBACK"), pg.close("S", "s") + prepare,
                                self.use, kept=kept)
            self.assertEqual((answer.errors, answer.rows), (["0A000"], [["1", "2"]]))

    def test_by_sql(self):
        for kept in (False, True):
            for prepare in (pg.query("PREPARE s AS SELECT * FROM changing"), pg.parse("s", "SELECT * FROM changing") + SYNC):
                answer = self.moved(prepare, *(pg.query(text) for text in ("EXECUTE s", "EXECUTE s", "DEALLOCATE s", "EXECUTE s",
                                    "PREPARE s AS SELECT * FROM changing", "EXECUTE s")), kept=kept)
                self.assertEqual((answer.errors, answer.rows), (["0A000", "0A000", "26000"], [["1", "2"]]))

    def test_what_stays_the_same_is_used(self):
        for ddl in ("ALTER TABLE changing ADD b int; ALTER TABLE changing DROP b", "CREATE INDEX ON changing (a)",
                    "DROP TABLE changing; CREATE TABLE changing AS SELECT 7 AS a"):
            self.assertEqual(self.moved(pg.parse("s", "SELECT * FROM changing") + SYNC, self.use, self.use, ddl=ddl).errors, [])

    def test_other_changes(self):
        for ddl in ("ALTER TABLE changing ALTER a TYPE text", "ALTER TABLE changing RENAME a TO c",
                    "ALTER TABLE changing ALTER a TYPE numeric(9, 2)", "DROP TABLE changing"):
            self.moved(pg.parse("s", "SELECT * FROM changing") + SYNC, self.use, self.use, ddl=ddl)
        self.moved(pg.parse("s", "SELECT 7 FROM changing WHERE a = $1") + SYNC, pg.bind("", "s", ["1"]) + pg.execute() + SYNC,
                   ddl="ALTER TABLE changing ALTER a TYPE text")

    def test_past_the_front(self):
        prepare = pg.parse("s", "SELECT * FROM changing") + SYNC
        answer = self.moved(prepare, self.use, self.use, pg.close("S", "s") + prepare, self.use, past=True, kept=False)
        self.assertEqual((answer.errors, answer.rows), (["0A000", "0A000"], [["1", "2"]]))

    def test_who_prepares_it_later_knows_the_new_one(self):
        old, new = self.session(), self.session()
        self.make(old)
        old.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        self.assertEqual(old.run(self.use).rows, [["1"]])
        new.ask("ALTER TABLE changing ADD b int DEFAULT 2")
        for _ in range(2):
            new.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
            self.assertEqual(new.run(self.use).rows, [["1", "2"]])
            self.assertEqual(old.run(self.use).errors, ["0A000"])
            new.run(pg.close("S", "s") + SYNC)

    def test_a_temporary_table_in_front_of_another(self):
        """What is prepared by who has it, or had it, is nothing to others."""
        mine, other = self.session(), self.session()
        self.make(mine)
        other.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        mine.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        mine.ask("CREATE TEMP TABLE changing (x text)")
        self.assertEqual(mine.run(self.use).errors, ["0A000"])
        mine.run(pg.close("S", "s") + pg.parse("s", "SELECT * FROM changing") + SYNC)
        self.assertEqual((mine.run(self.use).errors, other.run(self.use).rows), ([], [["1"]]))
        mine.ask("DROP TABLE pg_temp.changing")
        self.assertEqual(mine.run(self.use).errors, ["0A000"])
        for _ in range(3):
            self.assertEqual(other.run(self.use).rows, [["1"]])
            self.assertEqual(other.run(pg.parse("t", "SELECT * FROM changing") + pg.bind("", "t") + pg.execute() + pg.close("S", "t")
                                       + SYNC).rows, [["1"]])

    def test_ddl_and_statements_in_one_transaction(self):
        def script(session):
            session.ask("BEGIN; CREATE TABLE own (a int)")
            for n in range(3):
                session.run(pg.parse("s", "SELECT * FROM own") + self.use)
                session.ask(f"ALTER TABLE own ADD b{n} int")
                session.run(pg.close("S", "s") + pg.parse("s", "SELECT * FROM own") + self.use)
                session.run(pg.close("S", "s") + SYNC)
            session.ask("ROLLBACK")
        direct = self.told(("127.0.0.1", self.server.port), script)
        self.assertEqual(self.without_tables(self.told(self.front.target(), script)), self.without_tables(direct))
        self.assertEqual(direct.errors, [])


class OneKept(PgTwin):
    """One statement is kept on the server connection, and what is used next makes room for itself."""
    options = {"pooling": "transaction", "pool_size": 1, "max_prepared_statements": 1}

    def test_a_text_that_needs_more_than_one(self):
        def script(session):
            session.run(pg.parse("a", "SELECT 'a'") + pg.parse("b", "SELECT 'b'") + SYNC)
            session.ask("PREPARE c AS SELECT 'c'")
            for _ in range(2):
                session.ask("EXECUTE a; EXECUTE b; EXECUTE c; EXECUTE a")
                session.run(pg.bind("", "b") + pg.execute() + SYNC)
                session.ask("PREPARE a AS SELECT 1; SELECT 2; PREPARE d AS SELECT 'd'")
                session.ask("PREPARE d AS SELECT 'd'; EXECUTE b; EXECUTE d; DEALLOCATE d; PREPARE e AS SELECT 'e'; EXECUTE e; DEALLOCATE e")
        answer = self.same(script)
        self.assertEqual(answer.errors, ["42P05", "42P05"])
        with self.session() as session:
            for n in range(4):
                session.ask(f"PREPARE s{n} AS SELECT {n}")
            self.assertEqual(session.value("SELECT count(*) FROM pg_prepared_statements"), "1")


class OfSessions(PgTwin):
    """pooling = session: the server connection is the session's own, and knows its statements by the session's own names; so
    do code and views."""
    options = {"pooling": "session"}

    def test_names_as_views_and_code_see_them(self):
        names = "SELECT name, statement, from_sql, generic_plans + custom_plans FROM pg_prepared_statements ORDER BY name"

        def script(session):
            session.run(pg.parse("by protocol", "SELECT v FROM t WHERE id = $1") + pg.bind("", "by protocol", [1]) + pg.execute() + SYNC)
            session.ask("PREPARE by_sql (int) AS SELECT v FROM t WHERE id = $1")
            session.ask(names)
            session.ask("EXECUTE by_sql (2)")
            session.ask('EXECUTE "by protocol" (3)')
            session.run(pg.bind("", "by_sql", [2]) + pg.describe("S", "by_sql") + pg.execute() + SYNC)
            session.ask("DO $$ DECLARE x text; BEGIN EXECUTE 'EXECUTE by_sql (1)' INTO x; RAISE NOTICE '%', x; END $$")
            session.ask("DO $$ BEGIN EXECUTE 'DEALLOCATE \"by protocol\"'; END $$")
            session.run(pg.bind("", "by protocol", [1]) + pg.execute() + SYNC)
            session.run(pg.parse("by protocol", "UPDATE t SET v = 'x' WHERE id = $1") + pg.bind("", "by protocol", [1]) + pg.execute() + SYNC)
            session.run(pg.parse("by protocol", "SELECT 1") + SYNC)
            session.ask(names)
            session.run(pg.close("S", "by_sql") + pg.parse("by_sql", "SELECT 2") + pg.close("S", "none") + SYNC)
            session.ask("DEALLOCATE by_sql; DEALLOCATE by_sql")
            session.run(pg.one('DEALLOCATE "by protocol"') + pg.one("DEALLOCATE ALL") + SYNC)
            session.ask(names)
        answer = self.same(script)
        self.assertEqual(answer.errors, ["26000", "42P05", "26000"])

    def test_what_they_mean_is_known(self):
        """Settings, and what is told of what is lost."""
        wire = Faults(self, ("127.0.0.1", self.server.port))
        front = Sheaf(self, sql_pool(f"postgresql://{wire.address}", server_tls="off", probe="no", **self.options))
        with pg.PgSession(front.target(), options={"work_mem": "7MB"}) as session:
            session.run(pg.parse("sets", "SELECT set_config('work_mem', $1, false)") + pg.bind("", "sets", ["9MB"]) + pg.execute() + SYNC)
            self.assertEqual([session.value(text) for text in ("SHOW work_mem", "RESET work_mem; SHOW work_mem")], ["9MB", "7MB"])
            session.run(pg.parse("reads", "SELECT count(*) FROM t") + SYNC)
            wire.black_hole = True
            session.send(pg.bind("", "reads") + pg.execute() + SYNC)
            wait_until(lambda: front.status()["pools"][0]["endpoints"][0]["servers"]["active"] == 1, what="it to be under way")
            wire.cut()
            self.assertEqual(session.rest().errors, ["08006"])  # it only reads: nothing of it was done

    def test_a_reload_that_has_connections_shared(self):
        """Who has statements there by names of his own stays where he is."""
        name, options = sql_pool(self.server, pooling="session", pool_size=3)
        front = Sheaf(self, (name, options))
        with pg.PgSession(front.target()) as first, pg.PgSession(front.target()) as plain:
            first.run(pg.parse("s", "SELECT 7") + SYNC)
            plain.ask("SELECT 1")
            before = front.status()["generation"]
            front.reload((name, {**options, "pooling": "transaction", "pool_size": 2}))
            wait_until(lambda: front.status()["generation"] > before, what="the reload")
            for _ in range(3):
                self.assertEqual(first.run(pg.bind("", "s") + pg.execute() + SYNC).rows, [["7"]])
                self.assertEqual(plain.run(pg.one("SELECT 1") + SYNC).rows, [["1"]])
                with pg.PgSession(front.target()) as another:
                    self.assertEqual(another.run(pg.parse("s", "SELECT 8") + pg.bind("", "s") + pg.execute() + SYNC).rows, [["8"]])
            self.assertEqual(plain.run(pg.parse("late", "SELECT 9") + SYNC + pg.bind("", "late") + pg.execute() + SYNC, readies=2).rows, [["9"]])


if __name__ == "__main__":
    main()
