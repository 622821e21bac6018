#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""What cannot be moved keeps its server connection until the server says that it is gone; waiting, and leaving."""
import contextlib
import threading
import time
import unittest

from lib import *
from lib import pgwire as pg
from lib.pgtwin import PgTwin
from lib.sql_front import FRONT

SYNC = pg.sync()


class Pins(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.sql("CREATE FUNCTION makes_temp() RETURNS void LANGUAGE plpgsql AS"
                       " $$ BEGIN CREATE TEMP TABLE hidden (a int); END $$;"
                       "CREATE FUNCTION locks(n bigint) RETURNS void LANGUAGE plpgsql AS"
                       " $$ BEGIN PERFORM pg_advisory_lock(n); END $$;"
                       "CREATE FUNCTION listens() RETURNS void LANGUAGE plpgsql AS $$ BEGIN LISTEN hidden; END $$;"
                       "CREATE PROCEDURE commits() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t (v) VALUES ('1'); COMMIT;"
                       " INSERT INTO t (v) VALUES ('2'); ROLLBACK; INSERT INTO t (v) VALUES ('3'); END $$", user="app")

    def setUp(self):
        self.reset()
        self.first, self.second = self.session(), self.session()

    def waits(self, session):
        """Asks; nothing must come, since the only connection is not free."""
        session.send(pg.query("SELECT 'served'"))
        if FRONT == "sheaf":
            self.assertTrue(session.is_silent(), "another got the connection")

    def pinned(self, begin, use, end):
        """From what begins it to what ends it the connection is the first one's: `use` are queries and values."""
        with self.subTest(begin=begin, end=end):
            self.assertEqual(self.first.ask(begin).errors, [])
            self.waits(self.second)
            for text, value in use:
                self.assertEqual(self.first.value(text), value)
            self.assertEqual(self.first.ask(end).errors, [])
            self.assertEqual(self.second.until("Z").value, "served")
            self.assertEqual(self.first.value("SELECT 'and again'"), "and again")

    def free(self, *texts):
        """After each of these the connection is free."""
        for text in texts:
            with self.subTest(text=text):
                self.first.ask(text)
                self.assertEqual(self.second.value("SELECT 'served'"), "served")

    def test_temporary_objects(self):
        count = [("SELECT count(*) FROM own", "1")]
        self.pinned("CREATE TEMP TABLE own AS SELECT 1", count, "DROP TABLE own")
        self.pinned("CREATE TEMPORARY TABLE own (a int); INSERT INTO own VALUES (1)", count, "DISCARD TEMP")
        self.pinned("CREATE TABLE pg_temp.own AS SELECT 1", count, "DISCARD ALL")
        self.pinned("SELECT 1 AS a INTO TEMP own", count, "DROP TABLE own")
        self.pinned("CREATE TEMP VIEW own AS SELECT 1", count, "DROP VIEW own")
        self.pinned("CREATE TEMP SEQUENCE own", [("SELECT nextval('own')", "1"), ("SELECT nextval('own')", "2")], "DROP SEQUENCE own")
        self.pinned("CREATE FUNCTION pg_temp.own() RETURNS int LANGUAGE sql AS 'SELECT 1'", [("SELECT pg_temp.own()", "1")],
                    "DROP FUNCTION pg_temp.own()")
        self.pinned("BEGIN; CREATE TEMP TABLE own AS SELECT 1; COMMIT", count, "BEGIN; DROP TABLE own; COMMIT")
        self.pinned("SELECT makes_temp()", [("SELECT count(*) FROM hidden", "0")], "DROP TABLE hidden")
        self.pinned("DO $$ BEGIN CREATE TEMP TABLE own AS SELECT 1; END $$", count, "DO $$ BEGIN DROP TABLE own; END $$")
        self.pinned("SET search_path = pg_temp, public; CREATE TABLE own AS SELECT 1", count, "DROP TABLE own; RESET search_path")

    def test_a_large_unnamed_statement(self):
        """It cannot be remembered, and stays where it is until the next one: not longer."""
        large = pg.parse("", f"SELECT 'large' /* {'x' * 400000} */")
        use = pg.bind() + pg.execute() + SYNC
        for end in (pg.query("SELECT 1"), pg.parse("", "SELECT 1") + SYNC, pg.close("S", "") + SYNC):
            with self.subTest(end=end[:1]):
                self.assertEqual(self.first.run(large + use).value, "large")
                self.waits(self.second)
                self.assertEqual(self.first.run(use).value, "large")
                self.first.run(end)
                self.assertEqual(self.second.until("Z").value, "served")

    def test_temporary_objects_that_do_not_stay(self):
        self.free("BEGIN; CREATE TEMP TABLE own (a int); ROLLBACK", "BEGIN; CREATE TEMP TABLE own (a int) ON COMMIT DROP; COMMIT",
                  "CREATE TEMP TABLE own (a bogus)", "CREATE TEMP TABLE own (a int); DROP TABLE own",
                  "BEGIN; SELECT makes_temp(); ROLLBACK", "SELECT 'CREATE TEMP TABLE x (a int)'", "CREATE TABLE \"temp\" (a int); DROP TABLE \"temp\"")

    def test_advisory_locks(self):
        held = [("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()", "1")]
        self.pinned("SELECT pg_advisory_lock(1)", held, "SELECT pg_advisory_unlock(1)")
        self.pinned("SELECT pg_try_advisory_lock(1, 2)", held, "SELECT pg_advisory_unlock_all()")
        self.pinned("SELECT pg_advisory_lock_shared(1)", held, "SELECT pg_advisory_unlock_shared(1)")
        self.pinned("SELECT locks(3)", held, "SELECT pg_advisory_unlock(3)")
        self.pinned("SELECT pg_advisory_lock(1); SELECT pg_advisory_lock(1); SELECT pg_advisory_unlock(1)", held, "DISCARD ALL")
        self.pinned("DO $$ BEGIN PERFORM pg_advisory_lock(4); END $$", held, "SELECT pg_advisory_unlock(4)")
        self.pinned("BEGIN; SELECT pg_advisory_lock(5); ROLLBACK", held, "SELECT pg_advisory_unlock(5)")

    def test_advisory_locks_that_do_not_stay(self):
        self.free("SELECT pg_advisory_xact_lock(1)", "BEGIN; SELECT pg_advisory_xact_lock(1); COMMIT", "SELECT pg_advisory_unlock(99)",
                  "SELECT pg_advisory_lock(1), pg_advisory_unlock(1)", "SELECT 'pg_advisory_lock'")

    def test_an_advisory_lock_excludes_others(self):
        self.first.ask("SELECT pg_advisory_lock(77)")
        self.assertFalse(self.server.value("SELECT pg_try_advisory_lock(77)"))
        self.first.terminate()
        wait_until(lambda: self.server.value("SELECT pg_try_advisory_lock(77)"), what="the lock to go with its session")
        self.assertEqual(self.second.value("SELECT 1"), "1")

    def test_cursors_with_hold(self):
        self.pinned("DECLARE c CURSOR WITH HOLD FOR SELECT n FROM many", [("FETCH c", "1"), ("FETCH c", "2")], "CLOSE c")
        self.pinned("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT n FROM many; FETCH c; COMMIT", [("FETCH c", "2")], "CLOSE ALL")
        self.pinned("DECLARE c CURSOR WITH HOLD FOR SELECT n FROM many", [("FETCH c", "1")], "DISCARD ALL")
        self.free("BEGIN; DECLARE c CURSOR WITH HOLD FOR SELECT 1; ROLLBACK", "BEGIN; DECLARE c CURSOR FOR SELECT 1; COMMIT")

    def test_listening(self):
        for begin, end in (("LISTEN heard", "UNLISTEN heard"), ("BEGIN; LISTEN heard; COMMIT", "UNLISTEN *"), ("LISTEN heard", "DISCARD ALL"),
                           ("LISTEN \"Odd one\"; LISTEN heard", "UNLISTEN \"Odd one\"; UNLISTEN heard")):
            self.pinned(begin, [], end)
        self.pinned("SELECT listens()", [], "UNLISTEN hidden")
        self.free("BEGIN; LISTEN heard; ROLLBACK", "UNLISTEN heard", "NOTIFY heard", "SELECT pg_notify('heard', 'x')")

    def test_what_is_heard_comes_to_who_listens(self):
        self.first.ask("LISTEN heard")
        self.server.sql("NOTIFY heard, 'one'; NOTIFY other, 'two'; NOTIFY heard, 'three'")
        self.assertEqual([self.first.read().words for _ in range(2)], [["heard", "one"], ["heard", "three"]])
        self.first.ask("UNLISTEN *")
        self.server.sql("NOTIFY heard, 'four'")
        self.assertEqual(self.second.ask("SELECT 1").tags, "TDCZ")
        self.assertEqual(self.first.ask("SELECT 1").tags, "TDCZ")

    def test_transactions_and_portals(self):
        self.pinned("BEGIN", [("SELECT 1", "1")], "COMMIT")
        self.pinned("BEGIN", [], "ROLLBACK")
        self.first.run(pg.parse("", "SELECT n FROM many") + pg.bind() + pg.execute("", 5) + SYNC)
        self.assertEqual(self.second.value("SELECT 1"), "1")
        self.first.send(pg.parse("", "SELECT n FROM many") + pg.bind() + pg.execute("", 5) + pg.flush())
        self.first.until("s")
        self.waits(self.second)
        self.first.run(pg.execute("", 5) + SYNC)
        self.assertEqual(self.second.until("Z").value, "served")

    def test_a_failed_transaction(self):
        self.first.ask("BEGIN")
        self.assertEqual(self.first.ask("bogus").state, "E")
        self.waits(self.second)
        self.assertEqual(self.first.ask("COMMIT").done, ["ROLLBACK"])
        self.assertEqual(self.second.until("Z").value, "served")

    def test_transactions_that_follow_what_must_be_asked_for(self):
        """What Sheaf asks and sets on its own, after code that may have left anything, is no part of a transaction."""
        for text in ("DROP TABLE IF EXISTS made; CREATE TABLE made (a int)", "DO $$ BEGIN END $$", "CALL commits()", "SELECT set_config('work_mem', '5MB', false)",
                     "SET work_mem = '6MB'", "LISTEN heard; UNLISTEN *", "CREATE TEMP TABLE own (a int); DROP TABLE own", "DISCARD ALL", "bogus"):
            for begin in ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"):
                for use, beside in (("SAVEPOINT a", True), ("DECLARE c CURSOR FOR SELECT 1", False), ("LOCK TABLE t", False)):
                    with self.subTest(text=text, begin=begin, use=use):
                        self.first.ask(text)
                        if beside:
                            self.second.ask("SET my.own = 'second'")
                        self.assertEqual(self.first.ask(begin).state, "T")
                        answer = self.first.ask(use)
                        self.assertEqual((answer.errors, answer.state), ([], "T"))
                        self.assertEqual(self.first.value("SHOW transaction_isolation") == "repeatable read", "REPEATABLE" in begin)
                        self.assertEqual(self.first.ask("COMMIT").tags, "CZ")

    def test_procedures_that_commit(self):
        self.free("CALL commits()")
        self.assertEqual(self.server.sql("SELECT v FROM t WHERE id > 3 ORDER BY id"), [("1",), ("3",)])

    def test_the_seed_of_random_numbers(self):
        """It cannot be asked for, so its connection stays with who set it."""
        with pg.PgSession(("127.0.0.1", self.server.port)) as direct:
            direct.ask("SELECT setseed(0.25)")
            expected = [direct.value("SELECT random()") for _ in range(3)]
        self.first.ask("SELECT setseed(0.25)")
        self.waits(self.second)
        self.assertEqual([self.first.value("SELECT random()") for _ in range(3)], expected)
        self.first.terminate()
        self.assertEqual(self.second.until("Z").value, "served")

    def test_what_no_server_tells_of(self):
        """A library, another server's connection, and the seed, also by code: nobody else gets the connection, ever."""
        self.server.sql("CREATE EXTENSION IF NOT EXISTS dblink")
        at = f"'mine', 'dbname=app user=postgres host={self.server.folder} port={self.server.port}'"
        loaded, linked = "SELECT current_setting('auto_explain.log_format', true)", "SELECT a FROM dblink('mine', 'SELECT 7') AS x (a int)"
        for begin, use, value in (("LOAD 'auto_explain'", loaded, "text"), (f"SELECT dblink_connect({at})", linked, "7"),
                                  (f"DO $$ BEGIN PERFORM dblink_connect({at}); END $$", linked, "7"),
                                  ("DO $$ BEGIN EXECUTE 'LOAD \'\'auto_explain\'\''; END $$", loaded, "text"),
                                  ("DO $$ BEGIN PERFORM setseed(0.25); END $$", "SELECT 1", "1")):
            with self.subTest(begin=begin):
                first, second = self.session(user="postgres"), self.session(user="postgres")
                pid = first.value("SELECT pg_backend_pid()")
                self.assertEqual(first.ask(begin).errors, [])
                self.waits(second)
                self.assertEqual((first.value(use), first.value("SELECT pg_backend_pid()")), (value, pid))
                first.terminate()
                self.assertEqual(second.until("Z").value, "served")
                self.assertNotEqual(second.value("SELECT pg_backend_pid()"), pid)
                self.assertEqual((second.value(loaded), second.ask(linked).errors), (None, ["08001"]))
                second.close()

    def test_sequences_in_a_transaction(self):
        self.server.sql("CREATE SEQUENCE IF NOT EXISTS counted", user="app")
        self.first.ask("BEGIN")
        number = self.first.value("SELECT nextval('counted')")
        self.assertEqual((self.first.value("SELECT currval('counted')"), self.first.value("SELECT lastval()")), (number, number))
        self.first.ask("COMMIT")

    def test_a_pinned_session_that_leaves_leaves_nothing(self):
        self.first.ask("SET work_mem = '5MB'; CREATE TEMP TABLE own (a int); PREPARE p AS SELECT 1; LISTEN heard;"
                       "DECLARE c CURSOR WITH HOLD FOR SELECT 1; SELECT pg_advisory_lock(1); SELECT setseed(0.1); SET ROLE app")
        self.first.terminate()
        answer = self.second.ask("SELECT (SELECT count(*) FROM pg_class WHERE relname = 'own' AND pg_table_is_visible(oid)), (SELECT count(*) FROM pg_cursors),"
                                 " (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_prepared_statements WHERE name = 'p'),"
                                 " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()), current_setting('work_mem')")
        self.assertEqual(answer.rows, [["0", "0", "0", "0", "0", "4MB"]])


class Sequences(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1, "proxy": {"workers": 1}}

    def test_currval_is_of_its_own_session(self):
        """Where another was on the connection in between, it is not known; it is never the other's."""
        self.reset()
        first, second = self.session(), self.session()
        own = first.value("INSERT INTO t (v) VALUES ('x') RETURNING id")
        self.assertEqual((first.value("SELECT currval('t_id_seq')"), first.value("SELECT lastval()")), (own, own))
        first.ask("DISCARD ALL")
        own = first.value("INSERT INTO t (v) VALUES ('x') RETURNING id")
        other = second.value("INSERT INTO t (v) VALUES ('y') RETURNING id")
        self.assertNotEqual(own, other)
        for text in ("SELECT currval('t_id_seq')", "SELECT lastval()"):
            answer = first.ask(text)
            if FRONT == "sheaf":
                self.assertEqual((answer.errors, answer.rows), (["55000"], []))
            else:
                self.assertEqual(answer.value, own)
        self.assertEqual(first.ask("DISCARD ALL").errors, [])
        self.assertEqual(first.run(pg.one("SELECT nextval('t_id_seq')") + pg.one("SELECT currval('t_id_seq')") + SYNC).errors, [])

    def test_who_has_used_no_sequence_is_told_of_none(self):
        """However it is asked, and whatever was read before; who used one in the meantime has his own."""
        self.reset()
        own, current = "SELECT nextval('t_id_seq')", "SELECT currval('t_id_seq')"
        one, named = pg.one(current), pg.bind("", "d") + pg.execute()
        asked = {"alone": [pg.query(current)], "behind a read": [pg.query("SELECT 1"), pg.query(current)], "in a pipeline": [pg.query("SELECT 1") + pg.query(current)],
                 "by messages": [pg.query("SELECT 1"), one + SYNC], "in a pipeline of messages": [pg.one("SELECT 1") + SYNC + one + SYNC],
                 "in an exchange": [pg.one("SELECT 1") + one + SYNC], "as it was prepared": [pg.parse("d", current) + SYNC, pg.query("SELECT 1") + named + SYNC],
                 "in a transaction": [pg.query("BEGIN"), pg.query(current), pg.query("ROLLBACK")],
                 "by messages, in a transaction": [pg.query("BEGIN"), pg.parse("d", current) + SYNC, named + SYNC, pg.query("ROLLBACK")],
                 "by EXECUTE": [pg.query("SELECT 1"), pg.query("EXECUTE c")],
                 "by EXECUTE, in a transaction": [pg.query("BEGIN"), pg.query("EXECUTE c"), pg.query("ROLLBACK")]}
        first = self.session()
        for how, parts in asked.items():
            with self.subTest(how=how), self.session() as second:
                second.ask(f"PREPARE c AS {current}")
                first.ask(own)
                told = [m for part in parts for m in second.run(part, sum(part.count(end) for end in (SYNC, b"Q\0\0\0")))]
                self.assertEqual((pg.Answer(told).errors, second.idle), (["55000"], True), told)
        first.ask(own)
        self.assertEqual(self.session().ask("SELECT 1").errors, [])
        self.assertEqual(first.ask(current).errors, [])
        for text in (own, "INSERT INTO t (v) VALUES ('x')"):
            with self.session() as second:
                first.ask("DISCARD ALL")
                self.assertEqual([second.ask(each).errors for each in ("BEGIN", "SELECT 1", text, current, "COMMIT", current)], [[]] * 6)


class Leaving(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1}

    @staticmethod
    def leave(session):
        """Without a word."""
        session.close()

    def setUp(self):
        self.reset()
        self.first, self.second = self.session(), self.session()

    def left(self):
        """The first one vanishes: the second has a clean connection."""
        self.leave(self.first)
        answer = self.second.ask("SELECT count(*), current_setting('work_mem') FROM t")
        self.assertEqual((answer.errors, answer.rows, answer.state), ([], [["3", "4MB"]], "I"))
        wait_until(lambda: not self.server.sessions("state <> 'idle'"), what="the server to be idle")
        # A process that ends is not shown any more before its locks are gone.
        wait_until(lambda: self.server.sql("SELECT relation::regclass FROM pg_locks WHERE relation = 't'::regclass") == [],
                   what="its locks to be gone")

    def test_in_a_transaction(self):
        self.first.ask("BEGIN; INSERT INTO t (v) VALUES ('x'); SET work_mem = '5MB'; LOCK TABLE t")
        self.left()

    def test_in_a_failed_transaction(self):
        self.first.ask("BEGIN; INSERT INTO t (v) VALUES ('x')")
        self.first.ask("bogus")
        self.left()

    def test_in_a_copy(self):
        self.first.send(pg.query("BEGIN; COPY t (v) FROM STDIN"))
        self.first.until("G")
        self.first.send(pg.copy_data(b"x\ny\n"))
        self.left()

    def test_in_the_middle_of_rows(self):
        self.first.send(pg.query("BEGIN; INSERT INTO t (v) VALUES ('x'); SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
        self.first.until("D")
        self.left()

    @unittest.skipIf(FRONT == "direct", "the server does not notice")
    def test_in_the_middle_of_a_statement(self):
        self.first.send(pg.query("INSERT INTO t (v) SELECT pg_sleep(600)::text"))
        wait_until(lambda: self.server.sessions("state = 'active'"))
        self.left()

    def test_in_the_middle_of_a_pipeline(self):
        self.first.send(pg.one("INSERT INTO t (v) VALUES ('x')") + pg.flush())
        self.first.until("C")
        self.left()

    def test_in_the_middle_of_a_message(self):
        self.first.ask("BEGIN; INSERT INTO t (v) VALUES ('x')")
        self.first.send(pg.query("COMMIT; SELECT 1")[:9])
        self.left()

    def test_while_it_waits_for_a_connection(self):
        self.second.ask("BEGIN")
        self.first.send(pg.query("INSERT INTO t (v) VALUES ('x')"))
        if FRONT == "sheaf":
            self.assertTrue(self.first.is_silent())
            self.first.close()
            wait_until(lambda: self.front.status()["sessions"]["open"] == 1, what="it to be missed")
            self.second.ask("COMMIT")
            self.leave = lambda session: None
            self.left()

    def test_many_vanish(self):
        sessions = []
        for n in range(30):
            session = self.session()
            session.send(pg.query("BEGIN; INSERT INTO t (v) VALUES ('x'); SELECT pg_sleep(0.01)") if n % 2 else pg.query("SELECT 1"))
            sessions.append(session)
        for session in sessions:
            self.leave(session)
        self.left()


class LeavingWithAWord(Leaving):
    """As clients do that end in order."""

    @staticmethod
    def leave(session):
        session.terminate()


class Waiting(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1, "query_wait_timeout": "300ms", "idle_transaction_timeout": "1s"}

    def setUp(self):
        self.reset()

    @unittest.skipIf(FRONT == "direct", "nothing waits")
    def test_first_come_first_served(self):
        """Of one worker, in which they began to wait in this order."""
        sheaf = Sheaf(self, sql_pool(self.server, pool_size=1), proxy={"workers": 1})
        busy = pg.PgSession(sheaf.target())
        self.addCleanup(busy.close)
        busy.ask("BEGIN")
        waiting = [pg.PgSession(sheaf.target()) for _ in range(20)]
        for session in waiting:
            self.addCleanup(session.close)
            session.send(pg.query("INSERT INTO t (v) VALUES ('x') RETURNING id"))
            self.assertTrue(session.is_silent(0.01))
        busy.ask("COMMIT")
        numbers = [int(session.until("Z").value) for session in waiting]
        self.assertEqual(numbers, sorted(numbers))

    def test_nobody_starves(self):
        """Sessions that ask without a pause, and one that asks now and then."""
        stop = threading.Event()

        def ask():
            with pg.PgSession(self.front.target()) as session:
                while not stop.is_set():
                    session.ask("SELECT pg_sleep(0.001)")
        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        try:
            with self.session() as session:
                for _ in range(20):
                    self.assertEqual(session.ask("SELECT 1").errors, [])
        finally:
            stop.set()
            for thread in threads:
                thread.join()

    @unittest.skipIf(FRONT == "direct", "nothing waits")
    def test_who_waits_too_long_is_told(self):
        busy, waiting = self.session(), self.session()
        busy.ask("BEGIN")
        waiting.send(pg.query("SELECT 1"))
        answer = waiting.rest()
        self.assertEqual((answer.tags, answer[0].fields["S"]), ("E", "FATAL"))
        self.assertIn("query_wait_timeout", answer[0].fields["M"])
        self.assertEqual(busy.ask("COMMIT").errors, [])

    @unittest.skipIf(FRONT == "direct", "it is the front that ends it")
    def test_a_transaction_that_is_idle_too_long_is_ended(self):
        busy = self.session()
        busy.ask("BEGIN; INSERT INTO t (v) VALUES ('x')")
        answer = busy.rest()
        self.assertEqual((answer.tags, answer.errors, answer[0].fields["S"]), ("E", ["25P03"], "FATAL"))
        self.assertEqual(self.session().value("SELECT count(*) FROM t"), "3")


class ServerConnections(PgTwin):
    """What the server itself does to connections that stand in the pool."""
    options = {"pooling": "transaction", "pool_size": 2, "server_idle_timeout": "10m"}

    def end_connections(self):
        self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app' AND pid <> pg_backend_pid()")
        wait_until(lambda: not self.server.sessions("datname = 'app'"), what="the connections to end")

    @unittest.skipIf(FRONT == "direct", "it would be its client's")
    def test_a_connection_that_was_ended_while_idle_is_nobodys_error(self):
        session = self.session()
        session.run(pg.parse("s", "SELECT 7") + SYNC)
        session.ask("SET work_mem = '5MB'")
        for _ in range(5):
            self.end_connections()
            self.assertEqual(session.value("SHOW work_mem"), "5MB")
            self.end_connections()
            self.assertEqual(session.run(pg.bind("", "s") + pg.execute() + SYNC).value, "7")

    def test_a_connection_that_ends_in_a_transaction_is_its_clients_error(self):
        session, other = self.session(), self.session()
        session.ask("BEGIN; INSERT INTO t (v) VALUES ('x')")
        self.end_connections()
        session.send(pg.query("COMMIT"))
        answer = session.rest()
        self.assertIn(answer.errors[0], ("57P01", "08006", "08007"))
        if FRONT != "direct":
            self.assertEqual(other.value("SELECT 1"), "1")

    def test_the_servers_own_timeout_of_idle_transactions(self):
        """Told as the server does."""
        session = self.session()
        session.ask("SET idle_in_transaction_session_timeout = '30ms'")
        self.assertEqual(session.ask("BEGIN; INSERT INTO t (v) VALUES ('x')").errors, [])
        answer = session.rest()
        self.assertEqual((answer.errors, answer[0].fields["S"]), (["25P03"], "FATAL"))
        self.assertEqual(self.session().ask("SELECT 1").errors, [])

    @unittest.skipIf(FRONT == "direct", "it would be its client's")
    def test_the_servers_own_idle_session_timeout(self):
        self.server.sql("ALTER ROLE app SET idle_session_timeout = '50ms'")
        self.end_connections()
        try:
            session = self.session()
            for _ in range(10):
                self.assertEqual(session.value("SELECT 1"), "1")
                time.sleep(0.06)  # what is tested is that time
        finally:
            self.server.sql("ALTER ROLE app RESET idle_session_timeout")

    @unittest.skipIf(FRONT == "direct", "a session there has one login")
    def test_what_the_server_says_at_its_next_login_is_told(self):
        session, told = self.session(), []
        try:
            for zone in ("Etc/GMT+3", "Etc/GMT+4", "Etc/GMT+4", "Etc/GMT+3"):  # of one length
                self.server.sql(f"ALTER ROLE app SET TimeZone = '{zone}'")
                self.end_connections()
                session.ask("SELECT 1")
                told = [message.body for message in session.seen if message.tag == "S" and message.body.startswith(b"TimeZone\0")]
                self.assertEqual(told[-1], b"TimeZone\0" + zone.encode() + b"\0")
            self.assertEqual(len(told), 3)  # what is said again is not
        finally:
            self.server.sql("ALTER ROLE app RESET TimeZone")

    @unittest.skipIf(FRONT == "direct", "it has its own")
    def test_parameters_that_the_server_changes(self):
        session = self.session()
        self.assertEqual(session.parameters["TimeZone"], "UTC")
        self.server.reload(timezone="'Asia/Tokyo'")
        try:
            wait_until(lambda: self.session().value("SHOW TimeZone") == "Asia/Tokyo", what="new sessions to have it")
            session.ask("SELECT 1")
            with self.session() as later:
                # A server process that was idle tells of it with its next answer.
                self.assertEqual(later.value("SHOW TimeZone"), "Asia/Tokyo")
                told = [message.body for message in later.seen if message.tag == "S" and message.body.startswith(b"TimeZone\0")]
                self.assertEqual(told[-1] if told else later.parameters["TimeZone"].encode(),
                                 b"TimeZone\0Asia/Tokyo\0" if told else b"Asia/Tokyo")
        finally:
            self.server.reload(timezone="UTC")


class InSessions(PgTwin):
    """pooling = session: the connection is its client's until he leaves; then it is as new."""
    # One worker: another would have to ask the server what a session is told at its login.
    options = {"pooling": "session", "pool_size": 1, "proxy": {"workers": 1}}

    def test_all_goes_with_the_session(self):
        first = self.session()
        pid = first.value("SET work_mem = '5MB'; CREATE TEMP TABLE own (a int); PREPARE p AS SELECT 1; LISTEN heard;"
                          "DECLARE c CURSOR WITH HOLD FOR SELECT 1; SELECT pg_backend_pid()")
        first.run(pg.parse("s", "SELECT 7") + SYNC)
        second = pg.PgSession(self.front.target(), login=False) if FRONT == "sheaf" else self.session()
        if FRONT == "sheaf":
            self.addCleanup(second.close)
            second.login({"user": "app", "database": "app"})
        second.send(pg.query("SELECT pg_backend_pid()"))
        if FRONT == "sheaf":
            self.assertTrue(second.is_silent())
        self.assertEqual(first.ask("EXECUTE p; FETCH c; SELECT count(*) FROM own").errors, [])
        first.terminate()
        again = second.until("Z").value
        if FRONT == "sheaf":
            self.assertEqual(again, pid)
        answer = second.ask("SELECT (SELECT count(*) FROM pg_class WHERE relname = 'own' AND pg_table_is_visible(oid)), (SELECT count(*) FROM pg_cursors),"
                            " (SELECT count(*) FROM pg_listening_channels()), current_setting('work_mem')")
        self.assertEqual(answer.rows, [["0", "0", "0", "4MB"]])
        self.assertEqual(second.run(pg.bind("", "s") + SYNC).errors, ["26000"])
        self.assertEqual(second.ask("EXECUTE p").errors, ["26000"])


class HalfAProbe(Case):
    """Who leaves while the server says what he has set: the rest of that is nobody's."""

    def test_what_it_has_found_is_not_the_next_ones(self):
        server = Postgres(self)
        wire = Faults(self, ("127.0.0.1", server.port))
        front = Sheaf(self, sql_pool(f"postgresql://{wire.address}", pool_size=1, probe="no"), proxy={"workers": 1})

        def does(session, setting, value="77MB"):
            session.ask(f"DO $$ BEGIN PERFORM set_config('{setting}', '{value}', false); END $$")
        with pg.PgSession(front.target()) as other:
            process = other.value("SELECT pg_backend_pid()")
            wire.hold_after = 1 << 30
            does(other, "work_mem")
            wait_until(lambda: server.sessions("state = 'idle' AND query LIKE '%pg_my_temp_schema%'"), what="the server to have said it")
            [whole] = wait_until(lambda: [count for count in wire.replies_to(b"pg_my_temp_schema").values() if count > 200], what="all of it to pass")
            other.ask("RESET work_mem")
            for rest in (60, 80, 100):  # of its rows the last, or so
                with pg.PgSession(front.target()) as session:
                    session.value("SELECT 1")
                    wire.hold_after, held = whole - rest, wire.held
                    does(session, "work_mem", "66MB")
                    wait_until(lambda h=held: wire.held > h, what="a part of the answer")
                wire.hold_after = None
                does(other, "maintenance_work_mem")
                self.assertEqual(other.ask("SELECT current_setting('work_mem'), current_setting('maintenance_work_mem')").rows, [["4MB", "77MB"]])
                self.assertEqual(other.value("SELECT pg_backend_pid()"), process)


class AProbeThatFails(Case):
    """Who is cancelled while the server says what he has set keeps it."""

    def test_what_is_set_by_code_stays(self):
        server = Postgres(self)
        front = Sheaf(self, sql_pool(server, pool_size=1, probe="no"), proxy={"workers": 1})
        with pg.PgSession(front.target()) as session, contextlib.closing(server.connect()) as beside:
            process = session.value("SELECT pg_backend_pid()")
            cursor = beside.cursor()
            cursor.execute("BEGIN; LOCK TABLE pg_depend")  # the probe waits for that
            session.ask("DO $$ BEGIN PERFORM set_config('my.own', 'kept', false); END $$")
            wait_until(lambda: server.sessions("wait_event_type = 'Lock'"), what="the probe to wait")
            cursor.execute(f"SELECT pg_cancel_backend({process})")
            wait_until(lambda: server.logged("canceling statement"), what="it to be cancelled")
            cursor.execute("COMMIT")
            for _ in range(3):
                self.assertEqual(session.value("SELECT current_setting('my.own')"), "kept")


if __name__ == "__main__":
    main()
