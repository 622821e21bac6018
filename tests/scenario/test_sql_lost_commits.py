#!/usr/bin/python3
"""COMMITs whose answer is lost with their server, with lost_commit_wait: their clients hear what became of them.

COMMIT waits here in a deferred trigger for a lock that the test holds, so that a server can be lost before it has committed, or after it and before it could say so."""
import contextlib
import threading
import time

import psycopg
import psycopg2
from lib import *
from lib import pgwire as pg

SCHEMA = """
    CREATE TABLE log (client int, n int);
    CREATE TABLE plain (n int);
    CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NULL; END';
    CREATE CONSTRAINT TRIGGER late AFTER INSERT ON log DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION waits();
"""
MARK = "pg_current_xact_id_if_assigned"
COMMITS = {  # and what answers them
    "a Query": (pg.query("COMMIT"), "CZ"), "END": (pg.query("end work ;"), "CZ"), "behind a comment": (pg.query("/* it */ commit"), "CZ"),
    "messages": (pg.one("COMMIT") + pg.sync(), "12nCZ"), "a statement that was prepared": (pg.bind("", "done") + pg.execute() + pg.sync(), "2CZ"),
    "a statement that is prepared for it": (pg.parse("mine", "COMMIT") + pg.bind("", "mine") + pg.execute() + pg.sync(), "12CZ")}


class Commits(Case):
    wait = "20s"

    def setUp(self):
        self.primary = Postgres(self, self.server_options())
        self.primary.sql(SCHEMA, user="app")
        self.wire = Faults(self, ("127.0.0.1", self.primary.port))

    def server_options(self):
        return {}

    def sheaf(self, *servers, **options):
        urls = list(servers) or [f"postgresql://{self.wire.address}"]
        options = {"probe_interval": "50ms", "probe_timeout": "300ms", "backoff_max": "100ms", "lost_commit_wait": self.wait, **options}
        self.front = Sheaf(self, *(sql_pool(urls, name=name, pooling=name, **options) for name in ("transaction", "session")), proxy={"workers": 1})
        return self.front

    def session(self, pooling="transaction", *before):
        session = pg.PgSession(self.front.target(pooling), timeout=60)
        self.addCleanup(session.close)
        session.run(pg.parse("done", "COMMIT") + pg.sync())
        for text in before:
            self.assertEqual(session.ask(text).errors, [], text)
        return session

    def writer(self, n, pooling="transaction", *more):
        """A session whose transaction has written this, and is to commit."""
        return self.session(pooling, "BEGIN", f"INSERT INTO log VALUES (1, {n})", *more)

    @contextlib.contextmanager
    def held(self):
        """Nobody commits meanwhile."""
        with contextlib.closing(self.primary.connect()) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            yield
            with contextlib.suppress(psycopg2.OperationalError):  # it may be dead by now
                cursor.execute("SELECT pg_advisory_unlock(7)")

    def commit(self, session, commit=pg.query("COMMIT"), is_marked=True, say=None):
        """It has come to the server, and waits there; and its mark, if it has one, has come to Sheaf."""
        before = self.wire.sent_to(b"")
        (say or session.send)(commit)
        wait_until(lambda: self.primary.sessions("wait_event = 'advisory'"), what="the COMMIT to wait")
        if is_marked:
            wait_until(lambda: any(sent > before.get(wire, 0) for wire, sent in self.wire.sent_to(MARK.encode()).items()), what="the mark to come")

    def commit_unheard(self, session, commit=pg.query("COMMIT"), n=1, **options):
        """It is done, and the answer is lost on its way."""
        with self.held():
            self.commit(session, commit, **options)
            self.wire.hush()
        wait_until(lambda: self.primary.sql(f"SELECT 1 FROM log WHERE n = {n}"), what="it to be done")

    def lose(self):
        self.wire.cut()

    def there(self, n, server=None):
        return (server or self.primary).value(f"SELECT count(*) FROM log WHERE n = {n}")

    def counts(self):
        exchanges = self.front.status()["pools"][0]["exchanges"]
        return [exchanges[f"lost_commits_{what}"] for what in ("done", "undone", "unknown")]

    def assert_undone(self, answer):
        self.assertEqual(answer.errors, ["08006"], answer)
        self.assertIn("was not carried out", next(m for m in answer if m[0] == "E").fields["M"])


class Links(Commits):
    """The connection is lost, the server lives."""

    def test_it_was_done(self):
        self.sheaf()
        for n, (name, (commit, tags)) in enumerate(COMMITS.items(), 1):
            with self.subTest(commit=name):
                session = self.writer(n, "transaction", "SET application_name = 'mine'")
                self.commit_unheard(session, commit, n)
                self.lose()
                answer = session.until("Z")
                self.assertEqual((answer.tags, answer.done, answer.state), (tags, ["COMMIT"], "I"))
                self.assertEqual(session.value("SHOW application_name"), "mine")  # which it has committed
                self.assertEqual(session.value(f"SELECT count(*) FROM log WHERE n = {n}"), "1")
                session.close()
        self.assertEqual(self.counts(), [len(COMMITS), 0, 0])

    def test_it_was_done_and_the_session_had_more_there(self):
        self.sheaf()
        for n, (pooling, *more) in enumerate((("session",), ("transaction", "CREATE TEMP TABLE mine (a int)")), 1):
            session = self.writer(n, pooling, *more)
            self.commit_unheard(session, n=n)
            self.lose()
            self.assertEqual(session.until("Z").done, ["COMMIT"])
            answer = session.rest()
            self.assertEqual((answer.errors, answer[0].fields["S"]), (["08006"], "FATAL"))
            self.assertIn("its COMMIT was done", answer[0].fields["M"])

    def test_it_was_not_done(self):
        """The server undoes what it was in the midst of once it has heard that nobody is there; until then it is asked again."""
        self.sheaf()
        for n, pooling in ((1, "transaction"), (2, "session")):
            with self.subTest(pooling=pooling), self.held():
                session = self.writer(n, pooling)
                self.commit(session)
                self.lose()
                self.assertTrue(session.is_silent())
                waiting = f'sheaf_sql_clients_waiting{{pool="{pooling}",for="commit"}} 1'
                wait_until(lambda line=waiting: line in self.front.http("/metrics")[1].splitlines(), what="it to be among those who wait")
                self.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'")
                self.assert_undone(session.until("E"))
                self.assertEqual(self.there(n), 0)
                if pooling == "transaction":
                    session.until("Z")
                    self.assertEqual(session.value("SELECT 1"), "1")
        self.assertEqual(self.counts()[1], 1)

    def test_nobody_knows_in_time(self):
        self.wait = "300ms"
        self.sheaf()
        session = self.writer(1)
        with self.held():
            self.commit(session)
            self.lose()
            self.assertEqual(session.until("E").errors, ["08007"])
            session.until("Z")
            self.assertEqual(session.value("SELECT 1"), "1")
        self.assertEqual(self.counts(), [0, 0, 1])

    def test_its_messages_come_in_pieces(self):
        self.sheaf()
        data = pg.bind("", "done") + pg.execute() + pg.sync()
        cuts = (3, 9, 12, 16, 17, 20, 30)
        for n, cut in enumerate(cuts, 1):
            def say(data, cut=cut):
                session.send(data[:cut])
                self.assertTrue(session.is_silent())
                session.send(data[cut:])
            with self.subTest(cut=cut):
                session = self.writer(n)
                self.commit_unheard(session, data, n, say=say)
                self.lose()
                self.assertEqual(session.until("Z").done, ["COMMIT"])
                session.close()
        self.assertEqual(self.counts(), [len(cuts), 0, 0])

    def test_what_is_not_asked(self):
        """Of these there is no mark, or more is owed than a COMMIT: 08007 is the truth."""
        self.sheaf()
        inserted = pg.query("INSERT INTO log VALUES (1, 1)")
        for name, before, said in (("a write of its own", (), inserted), ("another transaction follows", ("BEGIN", "INSERT INTO log VALUES (1, 1)"), pg.query("COMMIT AND CHAIN")),
                                   ("more is asked", ("BEGIN", "INSERT INTO log VALUES (1, 1)"), pg.query("COMMIT") + pg.query("SELECT 2")),
                                   ("in one text", ("BEGIN", "INSERT INTO log VALUES (1, 1)"), pg.query("COMMIT; SELECT 1")),
                                   ("in one pipeline", (), pg.query("BEGIN") + inserted + pg.query("COMMIT"))):
            with self.subTest(name):
                session = self.session("transaction", *before)
                self.commit_unheard(session, said, is_marked=False)
                self.lose()
                self.assertEqual(session.until("E").errors, ["08007"])
                session.close()
                self.primary.sql("TRUNCATE log")
        self.assertEqual(self.counts(), [0, 0, 0])

    def test_who_only_reads_or_does_not_want_it_asks_nothing_more(self):
        self.primary.reload(log_statement="all")
        self.sheaf()
        at = len(self.primary.log)
        session = self.session("transaction", "BEGIN", "SELECT count(*) FROM log", "COMMIT", "INSERT INTO log VALUES (1, 1)", "BEGIN", "INSERT INTO log VALUES (1, 2)", "ROLLBACK")
        self.assertEqual(self.primary.logged(MARK, at), 0)
        session.ask("BEGIN")
        session.ask("INSERT INTO log VALUES (1, 2)")
        self.assertEqual(session.ask("COMMIT").done, ["COMMIT"])
        wait_until(lambda: self.primary.logged(MARK, at) == 1, what="the mark to be asked")
        self.sheaf(lost_commit_wait="no")
        session = self.writer(3)
        self.assertEqual(session.ask("COMMIT").done, ["COMMIT"])
        wait_until(lambda: self.primary.logged("statement: COMMIT$", at) == 3, what="the third COMMIT")
        self.assertEqual(self.primary.logged(MARK, at), 1)

    @staticmethod
    def say_slowly(session, data):
        for byte in data:
            session.send(bytes([byte]))
            time.sleep(0.001)

    def test_it_comes_in_pieces(self):
        self.sheaf()
        for n, commit in enumerate((pg.query("COMMIT"), pg.one("COMMIT") + pg.sync()), 1):
            session = self.writer(n)
            with self.held():
                self.commit(session, commit, say=lambda data, to=session: self.say_slowly(to, data))
                self.wire.hush()
            wait_until(lambda n=n: self.there(n), what="it to be done")
            self.lose()
            self.assertEqual(session.until("Z").errors, [])
        self.assertEqual(self.counts()[0], 2)

    def test_the_mark_is_refused(self):
        """What would be committed is undone by that: nobody hears that it was."""
        self.sheaf()
        self.primary.sql("REVOKE EXECUTE ON FUNCTION pg_current_xact_id_if_assigned() FROM PUBLIC")
        session = self.writer(1)
        session.send(pg.query("COMMIT"))
        answer = session.rest()
        self.assertEqual((answer.errors, answer[0].fields["S"]), (["42501"], "FATAL"))
        self.assertEqual(self.there(1), 0)
        self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_whoever_leaves_or_is_ended_meanwhile(self):
        self.sheaf()
        with self.held():
            for n in range(2):
                session = self.writer(n)
                self.commit(session)
                self.lose()
                self.assertTrue(session.is_silent())
                if n == 0:
                    session.close()
                else:
                    session.cancel()  # it is not for the server that is asked
                    self.assertTrue(session.is_silent())
                self.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'advisory'")
                if n > 0:
                    self.assert_undone(session.until("E"))
        wait_until(lambda: not self.primary.sessions("query LIKE '%pg_xact_status%'"), what="nobody to ask any more")

    def test_killed_meanwhile(self):
        """That is no word of its not being done."""
        self.sheaf(admin_user="app")
        session = self.writer(1)
        with self.held():
            self.commit(session)
            self.lose()
            self.assertTrue(session.is_silent())
            with pg.PgSession(self.front.target("transaction"), database="sheaf") as console:
                self.assertEqual(console.ask("KILL app").errors, [])
            self.assertEqual(session.rest().errors, ["08007"])

    def test_paused_meanwhile(self):
        """It is asked when that is over."""
        self.sheaf(admin_user="app")
        session = self.writer(1)
        self.commit_unheard(session)
        self.wire.close()
        with pg.PgSession(self.front.target("transaction"), database="sheaf") as console:
            self.assertEqual(console.ask("PAUSE").errors, [])
            self.wire.open()
            self.assertTrue(session.is_silent(0.3))
            self.assertEqual(console.ask("RESUME").errors, [])
        self.assertEqual(session.until("Z").done, ["COMMIT"])
        self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_a_cancel_meets_the_commit_and_not_the_mark(self):
        self.sheaf()
        session = self.writer(1)
        with self.held():
            self.commit(session)
            session.cancel()
            self.assertEqual(session.until("Z").errors, ["57014"])
        self.assertTrue(session.idle)
        self.assertEqual(self.there(1), 0)

    def test_real_clients(self):
        self.sheaf()
        for n, connect in enumerate((psycopg2.connect, psycopg.connect), 1):
            with self.subTest(connect=connect.__module__):
                host, port = self.front.target("transaction")
                connection = connect(host=host, port=port, user="app", password="secret", dbname="app")
                self.addCleanup(connection.close)
                connection.cursor().execute(f"INSERT INTO log VALUES (1, {n})")
                with self.held():
                    thread = threading.Thread(target=connection.commit)
                    self.commit(None, say=lambda _, t=thread: t.start())
                    self.wire.hush()
                wait_until(lambda n=n: self.there(n), what="it to be done")
                self.lose()
                thread.join()
                cursor = connection.cursor()
                cursor.execute(f"SELECT count(*) FROM log WHERE n = {n}")
                self.assertEqual(cursor.fetchone(), (1,))
                connection.rollback()


class Deaths(Commits):
    """The server dies, and comes back."""

    def server_options(self):
        return {"wal_writer_delay": "10s", "wal_writer_flush_after": "100MB"}  # what was not committed is in its memory alone

    def test_it_was_done(self):
        self.sheaf()
        for n, pooling in ((1, "transaction"), (2, "session")):
            session = self.writer(n, pooling)
            self.commit_unheard(session, n=n)
            self.primary.kill9()
            self.lose()
            self.assertTrue(session.is_silent())
            self.primary.start()
            self.assertEqual(session.until("Z").done, ["COMMIT"])

    def test_it_was_not_done(self):
        self.sheaf()
        session = self.writer(1)
        with self.held():
            self.commit(session)
            self.primary.kill9()
        self.primary.start()
        self.assert_undone(session.until("Z"))
        self.assertEqual((session.value("SELECT count(*) FROM log"), session.idle), ("0", True))

    def test_another_has_its_number_now(self):
        """What the server had not written when it died is gone with the numbers that it had given: they are given again, and committed."""
        self.sheaf()
        session = self.session()
        self.primary.sql("CHECKPOINT")
        for text in ("BEGIN", "INSERT INTO log VALUES (1, 1)"):
            self.assertEqual(session.ask(text).errors, [])
        number = session.value("SELECT pg_current_xact_id()")
        with self.held():
            self.commit(session)
            self.wire.close()
            self.primary.kill9()
        self.primary.start()
        while int(self.primary.value("WITH w AS (INSERT INTO plain VALUES (1) RETURNING 1) SELECT pg_current_xact_id()::text FROM w")) < int(number):
            pass
        self.assertEqual(self.primary.value(f"SELECT pg_xact_status('{number}')"), "committed")  # which is not what was asked for
        self.wire.open()
        self.assert_undone(session.until("Z"))
        self.assertEqual(self.there(1), 0)

    def test_it_was_started_anew_and_says_nothing_of_what_was_before(self):
        self.sheaf()
        session = self.writer(1)
        self.commit_unheard(session)
        self.wire.close()
        self.primary.kill9()
        for _ in range(2):
            self.primary.start()
            self.primary.shutdown()
        self.primary.start()
        self.wire.open()
        self.assertEqual(session.until("Z").errors, ["08007"])
        self.assertEqual(self.there(1), 1)


class Promotions(Commits):
    """The server dies, and another takes over."""

    def setUp(self):
        super().setUp()
        self.replica = Replica(self, self.primary)
        self.replica.wait_for_catchup()
        self.sheaf(f"postgresql://{self.wire.address}", self.replica.url)

    def cut_off(self):
        """The replica gets no more of the log."""
        self.replica.reload(primary_conninfo="''")
        wait_until(lambda: not self.primary.sql("SELECT 1 FROM pg_stat_replication"), what="the replica to be cut off")

    def test_it_was_done_and_the_replica_has_it(self):
        session = self.writer(1)
        self.commit_unheard(session)
        self.replica.wait_for_catchup()
        self.wire.close()
        self.primary.kill9()
        self.replica.promote()
        self.assertEqual(session.until("Z").done, ["COMMIT"])
        self.assertEqual((session.value("SELECT count(*) FROM log"), self.there(1, self.replica)), ("1", 1))

    def test_the_old_one_lives_on(self):
        """A COMMIT that is under way there is none of the pool's any more."""
        session = self.writer(1)
        with self.held():
            self.commit(session)
            self.replica.promote()
            self.assert_undone(session.until("Z"))
        self.assertEqual((session.value("SELECT count(*) FROM log"), self.there(1, self.replica)), ("0", 0))

    def test_the_old_one_is_asked_and_is_none_any_more(self):
        """What it says then does not count."""
        session = self.writer(1)
        with self.held():
            self.commit(session)
            self.lose()
            wait_until(lambda: self.primary.sessions("query LIKE '%pg_xact_status%'"), what="it to be asked")
            self.replica.promote()
            self.assert_undone(session.until("Z"))
        self.assertEqual((session.value("SELECT count(*) FROM log"), self.there(1, self.replica)), ("0", 0))

    def test_who_is_told_sees_it(self):
        """It was done after its server was lost, and after somebody had asked where that stood."""
        session, other = self.writer(1), self.session()
        with self.held():
            self.commit(session)
            self.lose()
            self.assertEqual(other.ask("INSERT INTO plain VALUES (1)").errors, [])
            wait_until(lambda: other.value("EXPLAIN ROUTE SELECT count(*) FROM log").startswith("replica"), what="another to read at the replica")
            self.assertEqual(other.value("SELECT count(*) FROM plain"), "1")
            self.replica.pause()
        self.assertEqual(session.until("Z").done, ["COMMIT"])
        self.assertEqual(session.value("SELECT count(*) FROM log"), "1")
        self.replica.resume()

    def test_it_was_done_and_is_lost_with_its_server(self):
        """The replica had all but the last of it; and what it gives the number to is not taken for that."""
        session = self.session("transaction", "BEGIN", "INSERT INTO log VALUES (1, 1)")
        number = int(session.value("SELECT pg_current_xact_id()"))
        self.replica.wait_for_catchup()
        with self.held():
            self.commit(session)
            self.cut_off()
            self.wire.hush()
        wait_until(lambda: self.there(1), what="it to be done")
        self.wire.close()
        self.primary.kill9()
        self.replica.promote()
        self.assert_undone(session.until("Z"))
        self.assertEqual((session.value("SELECT count(*) FROM log"), self.there(1, self.replica)), ("0", 0))
        self.assertGreater(number, 0)

    def test_the_replica_has_nothing_of_it(self):
        self.cut_off()
        session = self.session("transaction", "BEGIN", "INSERT INTO log VALUES (1, 1)")
        number = int(session.value("SELECT pg_current_xact_id()"))
        self.commit_unheard(session)
        self.wire.close()
        self.primary.kill9()
        self.replica.promote()
        while int(self.replica.value("WITH w AS (INSERT INTO plain VALUES (1) RETURNING 1) SELECT pg_current_xact_id()::text FROM w")) < number:
            pass
        self.assert_undone(session.until("Z"))
        self.assertEqual(self.there(1, self.replica), 0)


if __name__ == "__main__":
    main()
