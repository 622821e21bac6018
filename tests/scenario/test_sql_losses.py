#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire
"""SQL servers that are lost after they did what was asked, and before they could say so: the client hears the truth.

08007: nobody knows.  Any other code: it was not done."""
import contextlib
import itertools
import struct
import threading
import time

from lib import *
from lib import pgwire as pg

SCHEMA = """
    CREATE TABLE log (client int, n int);
    CREATE TABLE gate (n int);
    CREATE FUNCTION writes(n int) RETURNS int LANGUAGE sql AS 'INSERT INTO log VALUES (9, n) RETURNING n';
    CREATE PROCEDURE does(n int) LANGUAGE sql AS 'INSERT INTO log VALUES (9, n)';
    CREATE PROCEDURE stops(n int) LANGUAGE plpgsql AS
        'BEGIN INSERT INTO log VALUES (9, n); COMMIT; SET TRANSACTION READ ONLY; INSERT INTO log VALUES (9, n); END';
    CREATE PROCEDURE commits(n int) LANGUAGE plpgsql AS 'BEGIN INSERT INTO log VALUES (9, n); COMMIT; PERFORM pg_sleep(60); END';
"""
CANCELLED = b"E\0\0\0\x2eSERROR\0VERROR\0C57014\0Mcancelled as asked\0\0" + b"Z\0\0\0\x05I"


def said_by_messages(text):
    return pg.one(text) + pg.sync()


class Losses(Case):
    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls)
        cls.primary.sql(SCHEMA, user="app")
        cls.writes = cls.primary.value("SELECT 'writes'::regproc::oid::int")
        cls.wire = Faults(cls, ("127.0.0.1", cls.primary.port))
        url, options = f"postgresql://{cls.wire.address}", {"probe": "no", "failover_wait": "20s"}
        cls.front = Sheaf(cls, *(sql_pool(url, name=name, pooling=name, **options) for name in ("transaction", "session")),
                          sql_pool(url, name="hasty", probe="no", failover_wait="0s"),
                          sql_pool(url, name="kept", probe="no", admin_user="app", user="app secret", pool_size=1),
                          sql_pool(url, name="late", probe="no", query_timeout="1s"), proxy={"workers": 1})

    def setUp(self):
        self.primary.sql("TRUNCATE log, gate")
        self.addCleanup(self.wire.heal)

    def session(self, pooling="transaction", *before):
        session = pg.PgSession(self.front.target(pooling))
        self.addCleanup(session.close)
        for text in ("SELECT 1", *before):  # now there is a connection to the server
            self.assertEqual(session.ask(text).errors, [], text)
        return session

    def comes_to_rest(self):
        """What is asked behind a pin has been answered."""
        told = None
        while told != self.wire.sent_to(b""):
            told = self.wire.sent_to(b"")
            time.sleep(0.05 * SLOW)

    def lose_answer(self, session, data, proof):
        """Of what was done at the server, as that says: what the session heard."""
        self.wire.delay = 60
        session.send(data)
        return self.lose(session, proof)

    def lose(self, session, proof):
        wait_until(lambda: self.primary.sql(proof), what=f"it to be done: {proof}")
        self.wire.delay = 0
        self.wire.cut()
        at = len(session.seen)
        with contextlib.suppress(EOFError, OSError):
            session.until("Z")
        return pg.Answer(session.seen[at:])

    def assert_unknown(self, answer):
        self.assertEqual(answer.errors, ["08007"], answer)
        self.assertIn("may have been carried out", answer[0].fields["M"])

    def test_what_pins_its_session_when_it_is_sent(self):
        """Its session ends with the server: what it may have left there is gone.  It hears of the outcome all the same."""
        written = "SELECT 1 FROM log WHERE n = {}"
        statements = (("CREATE TABLE made{} (a int)", "SELECT 1 FROM pg_class WHERE relname = 'made{}'"), ("CALL does({})", written),
                      ("DO $$ BEGIN INSERT INTO log VALUES (1, {}); END $$", written), ("SELECT writes({})", written), ("CALL commits({})", written),
                      ("CREATE TEMP TABLE mine{} AS SELECT writes({})", written))
        for n, ((text, proof), say) in enumerate(itertools.product(statements, (pg.query, said_by_messages))):
            with self.subTest(text=text, say=say):
                self.assert_unknown(self.lose_answer(self.session(), say(text.replace("{}", str(n))), proof.replace("{}", str(n))))

    def test_a_function_call(self):
        self.assert_unknown(self.lose_answer(self.session(), pg.function_call(self.writes, [struct.pack("!i", 7)]), "SELECT 1 FROM log WHERE n = 7"))

    def test_a_session_that_is_pinned(self):
        for n, (pins, commit) in enumerate(itertools.product(("CREATE TEMP TABLE mine (a int)", "SELECT pg_advisory_lock(1)", "LISTEN x"), (True, False))):
            with self.subTest(pins=pins, commit=commit):
                session = self.session("transaction", pins)
                self.comes_to_rest()
                session.ask("SELECT 1")  # in front of which it is set anew
                self.comes_to_rest()
                insert = f"INSERT INTO log VALUES (2, {n})"
                for text in ("BEGIN", insert) if commit else ():
                    self.assertEqual(session.ask(text).errors, [])
                self.assert_unknown(self.lose_answer(session, pg.query("COMMIT" if commit else insert), f"SELECT 1 FROM log WHERE n = {n}"))

    def test_a_commit_behind_code(self):
        session = self.session("transaction", "BEGIN", "DO $$ BEGIN INSERT INTO log VALUES (3, 3); END $$")
        self.assert_unknown(self.lose_answer(session, pg.query("COMMIT"), "SELECT 1 FROM log"))

    def test_a_write_or_a_commit(self):
        for pooling in ("transaction", "session"):
            for n, (say, commit) in enumerate(itertools.product((pg.query, said_by_messages), ("COMMIT", "END", "COMMIT AND CHAIN"))):
                with self.subTest(pooling=pooling, say=say, commit=commit):
                    insert = f"INSERT INTO log VALUES ({{}}, {n})"
                    self.assert_unknown(self.lose_answer(self.session(pooling), say(insert.format(4)), f"SELECT 1 FROM log WHERE n = {n}"))
                    session = self.session(pooling, "BEGIN", insert.format(5))
                    self.assert_unknown(self.lose_answer(session, say(commit), f"SELECT 1 FROM log WHERE client = 5 AND n = {n}"))
            self.assertEqual(self.primary.value("SELECT count(*) FROM log"), 12)
            self.primary.sql("TRUNCATE log")

    def test_a_commit_that_does_not_arrive(self):
        for pooling in ("transaction", "session"):
            session = self.session(pooling, "BEGIN", "INSERT INTO log VALUES (3, 0)")
            self.wire.black_hole = True
            session.send(pg.query("COMMIT"))
            self.assertTrue(session.is_silent())
            self.wire.black_hole = False
            self.wire.cut()
            self.assertEqual(session.until("E").errors, ["08007"])
        self.assertEqual(self.primary.sql("SELECT * FROM log"), [])

    def test_what_was_not_done_is_told_so(self):
        """In a transaction that was not to be committed, or of which nothing arrived; and nothing of what only reads."""
        for pooling, pins in (("transaction", "SELECT 1"), ("transaction", "CREATE TEMP TABLE mine (a int)"), ("session", "SELECT 1")):
            with self.subTest(pooling=pooling, pins=pins):
                session = self.session(pooling, pins, "BEGIN", "INSERT INTO log VALUES (6, 0)")
                answer = self.lose_answer(session, pg.query("INSERT INTO log VALUES (6, 1)"), "SELECT 1")
                self.assertEqual(answer.errors, ["08006"])
                self.assertIn("was not carried out", answer[0].fields["M"])
                session = self.session(pooling, pins, "BEGIN", "INSERT INTO log VALUES (6, 2)")
                self.wire.cut()
                self.assertEqual(session.ask_until(pg.query("COMMIT"), "E").errors[:1], ["08006"])
        self.assertEqual(self.primary.sql("SELECT * FROM log"), [])

    def pipelined(self, session, *texts, done):
        """Each an exchange of its own; when so many of them are answered the next has to wait for a lock, which it then gets."""
        with contextlib.closing(self.primary.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE gate")
            session.send(b"".join(pg.query(text) for text in texts))
            session.until("Z", done)
            self.wire.delay = 60
            cursor.execute("COMMIT")

    def test_the_second_of_a_pipeline(self):
        for pooling in ("transaction", "session"):
            with self.subTest(pooling=pooling):
                session = self.session(pooling)
                self.pipelined(session, "INSERT INTO log VALUES (7, 1)", "INSERT INTO gate VALUES (7)", done=1)
                self.assert_unknown(self.lose(session, "SELECT 1 FROM gate WHERE n = 7"))
                self.primary.sql("TRUNCATE gate")

    def test_a_commit_behind_another_of_a_pipeline(self):
        session = self.session()
        self.pipelined(session, "BEGIN", "INSERT INTO log VALUES (8, 1)", "COMMIT", "BEGIN", "INSERT INTO log VALUES (8, 2)", "INSERT INTO gate VALUES (8)", "COMMIT", done=5)
        self.assert_unknown(self.lose(session, "SELECT 1 FROM log WHERE n = 2"))

    def test_a_read_behind_a_write_was_not_done(self):
        session = self.session()
        self.pipelined(session, "INSERT INTO log VALUES (8, 1)", "SELECT 1 FROM gate", done=1)
        done = "SELECT 1 FROM pg_stat_activity WHERE state = 'idle' AND query = 'SELECT 1 FROM gate'"
        self.assertEqual(self.lose(session, done).errors, ["08006"])

    def test_what_a_client_must_not_write_is_no_fault_of_the_primary(self):
        """Who asked for a transaction that only reads is told at once, nothing is asked twice, and nobody else has to wait."""
        self.primary.sql("DROP ROLE IF EXISTS looker; CREATE ROLE looker LOGIN IN ROLE app; ALTER ROLE looker SET default_transaction_read_only = on")
        looker = pg.PgSession(self.front.target("hasty"), user="looker")
        self.addCleanup(looker.close)
        other = self.session("hasty")
        for session, text in ((self.session("hasty"), "BEGIN READ ONLY; DELETE FROM log"), (self.session("hasty"), "CALL stops(1)"),
                              (looker, "DELETE FROM log"), (looker, "INSERT INTO log VALUES (1, 1)")):
            with self.subTest(text=text):
                self.assertEqual(session.ask(text).errors, ["25006"])
                self.assertEqual(other.ask("INSERT INTO gate VALUES (1)").errors, [])
        self.assertEqual(self.primary.sql("SELECT client, n FROM log"), [(9, 1)])

    def test_who_is_killed_or_late_while_something_is_under_way(self):
        """By Sheaf, not by a fault: what may be done all the same is not to be taken for undone."""
        insert = "INSERT INTO log SELECT 4, count(*) FROM log"
        lasting = ((), pg.query(insert)), ((), said_by_messages(insert)), ((), pg.query(insert) + pg.parse("", "SELECT 1")), (("BEGIN", insert), pg.query("COMMIT"))
        for pooling, told in (("kept", "57P01"), ("late", "57014")):
            undone = (("BEGIN",), pg.query(insert), told), ((), pg.query("SELECT pg_sleep(1)"), told)
            for before, data, code in (*((*each, "08007") for each in lasting), *undone)[::5 if pooling == "late" else 1]:
                with self.subTest(pooling=pooling, before=before, data=data):
                    session, count = self.session(pooling, *before), self.primary.value("SELECT count(*) FROM log")
                    self.wire.delay = 60
                    session.send(data)
                    if code == "08007":
                        wait_until(lambda count=count: self.primary.value("SELECT count(*) FROM log") > count, what="it to be done")
                    if pooling == "kept":
                        self.kill()
                    self.assertEqual([m.code for m in session.rest() if m.tag == "E"], [code])
                    self.wire.delay = 0
                    self.wire.cut()

    def kill(self):
        """All sessions of the pool."""
        with pg.PgSession(self.front.target("kept"), database="sheaf", password="secret") as console:
            self.assertEqual(console.ask("KILL app").errors, [])
            self.assertEqual(console.ask("RESUME app").errors, [])

    def test_who_is_killed_in_the_midst_of_a_row(self):
        """Is told nothing that he would take for the rest of it."""
        session = self.session("kept")
        self.addCleanup(setattr, self.wire, "hold_after", None)
        self.wire.hold_after = 20_000
        session.send(pg.query("SELECT repeat('x', 20100)"))
        told = b""
        while len(told) < 19_000:
            told += session.socket.recv(65536)
        self.kill()
        while data := session.socket.recv(65536):
            told += data
        self.assertNotIn(b"terminating", told)

    def test_what_is_no_message_behind_what_may_be_done(self):
        """It waits for that, in a pipeline that has no end yet, as in whole ones in front of it."""
        session = self.session()
        session.ask("SELECT 1")
        self.addCleanup(setattr, self.wire, "hold_after", None)
        self.wire.hold_after = 0
        session.send(pg.query("INSERT INTO log VALUES (4, 4)") + pg.parse("", "SELECT 1"))
        wait_until(lambda: self.primary.sql("SELECT 1 FROM log"), what="it to be done")
        session.send(b"\xff" + bytes(20))
        self.assertTrue(session.is_silent())
        self.wire.hold_after = None
        answer = session.rest()
        self.assertEqual((answer.tags, answer.errors), ("CZ1E", ["08P01"]))

    def test_what_sheaf_asks_in_front_is_cancelled(self):
        """Without it the client's statement would tell of another's sequences: that is not asked, then."""
        self.primary.sql("DROP SEQUENCE IF EXISTS counted; CREATE SEQUENCE counted", user="app")
        first, _ = self.session("kept"), self.session("kept", "SELECT nextval('counted')")
        self.wire.garbage_after = b"DISCARD SEQUENCES"
        self.wire.garbage = CANCELLED
        self.assertEqual(first.ask("SELECT currval('counted'), setval('counted', 9)").errors, ["57014"])
        self.assertEqual(first.ask("SELECT currval('counted')").errors, ["55000"])
        self.assertEqual(self.primary.value("SELECT last_value FROM counted"), 1)

    def test_an_error_was_told_and_its_end_is_lost(self):
        """There is no second one, of the loss."""
        self.addCleanup(setattr, self.wire, "hold_after", None)
        for data in (pg.query("SELECT nothing"), pg.bind("", "nothing") + pg.sync()):
            session = self.session("transaction", "BEGIN")
            self.wire.hold_after = len(CANCELLED) - 6
            self.wire.garbage_after, self.wire.garbage = b"nothing", CANCELLED[:-6]
            session.send(data)
            self.assertEqual(session.until("E").errors, ["57014"])
            self.wire.cut()
            self.assertEqual(session.until("Z").tags, "Z")
            self.wire.hold_after = None
            self.assertEqual(session.value("SELECT 1"), "1")

    def test_a_prepare_is_lost_and_said_again(self):
        """What was to come of it is forgotten with its server, and not where it is said next."""
        session = self.session()
        with contextlib.closing(self.primary.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("BEGIN; LOCK TABLE gate")
            session.send(pg.query("PREPARE seen AS SELECT n FROM gate"))
            self.lose(session, "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE 'PREPARE%'")
        self.assertEqual(session.ask("PREPARE seen AS SELECT n FROM gate").done, ["PREPARE"])
        self.assertEqual(session.run(pg.bind("", "seen") + pg.execute() + pg.sync()).tags, "2CZ")

    def test_a_copy_does_not_keep_the_next_one_waiting(self):
        """Of which the server says at once that it will not be, in a pipeline."""
        session = self.session()
        session.send(pg.query("COPY log FROM STDIN"))
        session.until("G")
        self.wire.cut()
        self.assertEqual(session.until("Z").errors, ["08007"])
        self.assertEqual(session.run(pg.parse("", "COPY nothing FROM STDIN") + pg.bind() + pg.execute() + pg.sync()).tags, "12EZ")
        self.assertEqual(session.value("SELECT 1"), "1")

    def test_a_discard_that_is_lost_keeps_nobody_from_what_comes_next(self):
        """However others, who wait for the same connection, have that set."""
        first, *others = self.session("kept"), *(self.session("kept", f"SET work_mem = '{n}MB'") for n in (7, 8, 9))
        self.assert_unknown(self.lose_answer(first, said_by_messages("DISCARD ALL"), "SELECT 1 FROM pg_stat_activity WHERE query = 'DISCARD ALL'"))
        asked, is_served = [], threading.Event()

        def ask(other):
            while not is_served.is_set() and len(asked) < 2000:
                asked.append(other.value("SELECT 1"))
        threads = [threading.Thread(target=ask, args=(other,)) for other in others]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(asked) > 10, what="others to be served")
        self.assertEqual(first.value("SELECT current_setting('work_mem')"), "4MB")
        is_served.set()
        for thread in threads:
            thread.join()
        self.assertLess(len(asked), 1000)

    def test_what_is_made_while_the_server_is_asked_for_what_was_before(self):
        """It pins its session, although the server did not know of it yet."""
        session = self.session()
        self.addCleanup(setattr, self.wire, "ask_delay", 0)
        self.wire.ask_delay = 0.2
        self.assertEqual(session.ask("SELECT pg_advisory_unlock_all()").errors, [])
        self.assertEqual(session.ask("CREATE TEMP TABLE made (n int)").errors, [])
        self.wire.cut()
        self.wire.ask_delay = 0
        session.send(pg.query("TABLE made"))
        self.assertEqual([m.fields["S"] for m in session.rest() if m.tag == "E"], ["FATAL"])


if __name__ == "__main__":
    main()
