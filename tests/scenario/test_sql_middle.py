#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""What becomes of each thing that can be under way at a server - a statement, a transaction, COPY in and out, COMMIT -
when that server is killed, restarted, stands still, is cut off or promoted."""
import contextlib

from lib import *
from lib import pgwire as pg
from test_sql_losses import CANCELLED
from test_sql_faults import LOST, Servers

ROWS = 20_000
COPY_OUT = f"COPY (SELECT repeat('x', 1000) FROM generate_series(1, {ROWS})) TO STDOUT"
SLEEPS = "SELECT 'slept', pg_sleep(2)"
WRITES = "INSERT INTO log SELECT 7, 7 FROM pg_sleep(2)"


class Middle(Servers):
    replicas_count = 2

    def under_way(self, at_primary):
        """Sessions by what they have under way: at the primary, or each at some replica."""
        reads = "" if at_primary else " READ ONLY"
        sessions = {what: self.reader() for what in ("statement", "transaction", "begun", "copy out", "commit", *(["copy in"] if at_primary else []))}
        for session in sessions.values():
            if at_primary:
                session.ask("SET sheaf.route = primary")
        for what in ("transaction", "commit", "begun"):
            self.assertEqual(sessions[what].ask(f"BEGIN ISOLATION LEVEL REPEATABLE READ{reads}").errors, [])
        for n, what in enumerate(("transaction", "commit")):
            answer = sessions[what].ask(f"INSERT INTO log VALUES ({n}, 0)" if at_primary else "SELECT count(*) FROM log")
            self.assertEqual(answer.errors, [])
        sessions["copy out"].send(pg.query(COPY_OUT))
        sessions["copy out"].until("d", 50)
        if at_primary:
            sessions["copy in"].send(pg.query("COPY t FROM STDIN"))
            sessions["copy in"].until("G")
            sessions["copy in"].send(pg.copy_data(b"x\n" * 1000))
        sessions["statement"].send(pg.query(WRITES if at_primary else SLEEPS))
        servers = [self.primary] if at_primary else self.replicas
        wait_until(lambda: any(s.sessions("query ~ 'pg_sleep' AND state = 'active'") for s in servers), what="the statement to run")
        return sessions

    def end(self, sessions):
        """What each asks next, and is told; "closed" in place of an end that does not come."""
        told = {}
        for what, data in (("commit", pg.query("COMMIT")), ("copy in", pg.copy_data(b"y\n" * 10) + pg.copy_done()), ("transaction", pg.query("SELECT count(*) FROM log")),
                           ("begun", pg.query("SELECT count(*) FROM log")), ("copy out", b""), ("statement", b"")):
            if what not in sessions:
                continue
            session = sessions[what]
            at = len(session.seen)
            with contextlib.suppress(EOFError, OSError):
                session.send(data)
            with contextlib.suppress(EOFError, OSError):
                session.until("Z")
            told[what] = pg.Answer(session.seen[at:])
        return told

    def assert_lost(self, told, *others):
        """All but the others: by an error that says so, or by the connection's end, and never as if it were done."""
        for what, answer in told.items():
            if what not in others:
                self.assertEqual((what, answer.done, set(answer.errors) <= LOST), (what, [], True), answer)

    def goes_on(self):
        wait_until(lambda: not self.session().ask("INSERT INTO log VALUES (9, 9) ON CONFLICT DO NOTHING").errors, 30, "writes to go on")
        wait_until(lambda: self.session().ask("SELECT count(*) FROM log").rows, 30, "reads to go on")

    def test_the_primary_goes(self):
        self.sheaf()
        for mode in ("kill9", "immediate", "fast"):
            with self.subTest(mode=mode):
                sessions = self.under_way(at_primary=True)
                if mode == "kill9":
                    self.primary.kill9()
                else:
                    self.primary.shutdown(mode)
                self.primary.start()
                told = self.end(sessions)
                self.assert_lost(told)
                self.goes_on()
                self.assertEqual((self.primary.sql("SELECT client, n FROM log WHERE client < 9"), self.primary.sql("SELECT * FROM t")), ([], []))
                self.assert_nothing_is_left(self.primary)
                for session in sessions.values():
                    session.close()

    def test_replicas_go(self):
        """What was read in no transaction, or in one that had left nothing there but its BEGIN, is read elsewhere, and nobody hears of it."""
        self.sheaf()
        for mode in ("kill9", "immediate", "fast"):
            with self.subTest(mode=mode):
                sessions = self.under_way(at_primary=False)
                reading = self.reader()  # of which each statement has a snapshot of its own
                reading.ask("BEGIN READ ONLY")
                reading.ask("SELECT count(*) FROM log")
                for replica in self.replicas:
                    if mode == "kill9":
                        replica.kill9()
                    else:
                        replica.shutdown(mode)
                told = self.end(sessions)
                self.assertEqual((reading.ask("SELECT count(*) FROM log").errors, reading.value("SHOW transaction_read_only"), reading.ask("COMMIT").done), ([], "on", ["COMMIT"]))
                self.assert_lost(told, "statement", "begun", "commit")
                self.assertEqual(told["statement"].rows[0][0], "slept")
                self.assertEqual((told["begun"].rows[0][0].isdigit(), told["begun"].state), (True, "T"))
                self.assertTrue(set(told["commit"].errors) <= LOST, told["commit"])
                self.assertEqual(sessions["begun"].value("SHOW transaction_read_only"), "on")
                self.assertEqual(sessions["begun"].value("SHOW transaction_isolation"), "repeatable read")
                self.assertEqual(sessions["begun"].ask("COMMIT").done, ["COMMIT"])
                self.goes_on()
                self.assert_nothing_is_left(self.primary)
                for replica in self.replicas:
                    replica.start()
                self.reader().close()
                for session in sessions.values():
                    session.close()

    def assert_done(self, told, at_primary):
        self.assertEqual({what: answer.errors for what, answer in told.items()}, {what: [] for what in told})
        self.assertEqual((told["commit"].done, told["copy out"].tags.count("d")), (["COMMIT"], ROWS - 50))
        if at_primary:
            self.assertEqual((told["copy in"].done, told["statement"].done), (["COPY 1010"], ["INSERT 0 1"]))
        else:
            self.assertEqual(told["statement"].rows[0][0], "slept")

    def test_servers_stand_still(self):
        """What is under way goes on with them, whether they were thought to be down or not."""
        self.sheaf()
        for servers in ([self.primary], self.replicas):
            at_primary = servers == [self.primary]
            with self.subTest(at_primary=at_primary):
                sessions = self.under_way(at_primary)
                for server in servers:
                    server.stop()
                    self.addCleanup(server.cont)
                wait_until(lambda a=at_primary: [e["health"]["state"] == "up" for e in self.front.status()["pools"][0]["endpoints"]] == [not a, a, a], what="them to be down")
                sessions["commit"].send(pg.query("SELECT 1"))
                self.assertTrue(sessions["commit"].is_silent())
                for server in servers:
                    server.cont()
                sessions["commit"].until("Z")
                self.assert_done(self.end(sessions), at_primary)
                self.goes_on()
                for session in sessions.values():
                    session.ask("ROLLBACK")
                    session.close()
                self.assert_nothing_is_left(self.primary)

    def test_a_replica_is_promoted(self):
        """What it reads it reads to its end; writes follow, and nothing is read where they are not seen."""
        self.sheaf()
        sessions = self.under_way(at_primary=False)
        new = self.replicas[0]
        new.promote()
        self.assert_done(self.end(sessions), at_primary=False)
        for session in sessions.values():
            session.ask("COMMIT")
        wait_until(lambda: self.session().ask("INSERT INTO log VALUES (5, 5) ON CONFLICT DO NOTHING").done and new.sql("SELECT * FROM log") == [(5, 5)],
                   what="writes to follow")
        for _ in range(10):
            self.assertEqual(self.session().value("SELECT count(*) FROM log"), "1")

    def test_replicas_are_cut_off(self):
        """Packets are lost both ways, and no connection is closed: reads go elsewhere once that is seen; when the wire is mended all is well."""
        wires = [Faults(self, ("127.0.0.1", replica.port)) for replica in self.replicas]
        self.sheaf(replicas=[f"postgresql://{wire.address}" for wire in wires], probe_timeout="2s")
        sessions = self.under_way(at_primary=False)
        new = self.reader()
        for wire in wires:
            wire.black_hole = True
        told = {}
        sessions["begun"].send(pg.query("SELECT count(*) FROM log"))
        new.send(pg.query("SELECT count(*) FROM log"))
        for what, session in (("statement", sessions["statement"]), ("begun", sessions["begun"]), ("new", new)):
            told[what] = session.until("Z")
        self.assertEqual({what: answer.errors for what, answer in told.items()}, {"statement": [], "begun": [], "new": []})
        self.assertEqual((told["statement"].rows[0][0], told["begun"].state, told["new"].rows), ("slept", "T", [["0"]]))
        for wire in wires:
            wire.black_hole = False
            wire.cut()
        self.assertEqual(sessions.pop("begun").ask("COMMIT").done, ["COMMIT"])
        sessions.pop("statement")
        self.assert_lost(self.end(sessions))
        self.goes_on()
        self.reader().close()
        self.assert_nothing_is_left(self.primary)

    def test_the_primary_is_cut_off(self):
        """Packets are lost both ways, and no connection is closed: reads go on, writes wait; what was under way is told to be lost when that is
        seen, never done, and what the server had of a transaction it undoes."""
        wire = Faults(self, ("127.0.0.1", self.primary.port))
        self.sheaf(primary=f"postgresql://{wire.address}")
        sessions = self.under_way(at_primary=True)
        writer, reader = self.session(), self.reader()
        wire.black_hole = True
        for what, data in (("commit", pg.query("COMMIT")), ("copy in", pg.copy_data(b"y\n" * 10) + pg.copy_done()), ("transaction", pg.query("INSERT INTO log VALUES (3, 3)"))):
            sessions[what].send(data)
        wait_until(lambda: self.front.status()["pools"][0]["endpoints"][0]["health"]["state"] == "down", what="the primary to be down")
        writer.send(pg.query("INSERT INTO log VALUES (5, 5)"))
        self.assertEqual(reader.ask("SELECT count(*) FROM t").rows, [["0"]])
        self.assertTrue(writer.is_silent())
        wire.black_hole = False
        wire.cut()
        self.assertEqual(writer.until("Z").done, ["INSERT 0 1"])
        at = {what: len(session.seen) for what, session in sessions.items()}
        told = {}
        for what, session in sessions.items():
            with contextlib.suppress(EOFError, OSError):
                session.until("Z")
            told[what] = pg.Answer(session.seen[at[what]:])
        self.assert_lost(told)
        self.assertEqual((told["commit"].errors, told["statement"].errors), (["08007"], ["08007"]))
        self.goes_on()
        self.assert_nothing_is_left(self.primary)
        self.assertEqual(self.primary.sql("SELECT client FROM log WHERE client NOT IN (7, 9)"), [(5,)])  # 7: it had all of that statement
        self.assertEqual(self.primary.sql("SELECT * FROM t"), [])

    def test_a_transaction_is_begun_anew_at_the_primary(self):
        """And that is cancelled, or the primary lost: what comes behind BEGIN is never done in no transaction."""
        wire = Faults(self, ("127.0.0.1", self.primary.port))
        self.sheaf(primary=f"postgresql://{wire.address}")
        self.primary.sql("CREATE SEQUENCE counted", user="app")
        for say in pg.query, lambda text: pg.one(text) + pg.sync():
            with self.subTest(say=say):
                session = self.reader()
                self.assertEqual(session.ask("BEGIN READ ONLY").state, "T")
                wire.garbage_after = b"READ ONLY"
                wire.garbage = CANCELLED
                session.send(say("SELECT setval('counted', 9)"))
                self.assertEqual([m.code for m in session.rest() if m.tag == "E"], ["57014"])
                session = self.reader()
                session.ask("/* route=primary */ SELECT 'a connection is there'")
                self.assertEqual(session.ask("BEGIN READ ONLY").state, "T")
                wire.delay = 60
                session.send(say("SELECT setval('counted', 9)"))
                wait_until(lambda: self.primary.sessions("query LIKE 'BEGIN%READ ONLY' AND state = 'idle in transaction'"), what="it to be begun")
                wire.delay = 0
                wire.cut()
                self.assertEqual(session.until("Z").errors, ["25006"])
        self.assertEqual(self.primary.value("SELECT last_value FROM counted"), 1)

    def test_what_a_begin_would_be_is_not_told(self):
        """A replica may be asked that in front of it: as it does not answer, the primary is."""
        self.primary.sql("ALTER ROLE app SET default_transaction_isolation = serializable")
        for replica in self.replicas:
            replica.wait_for_catchup()
        wires = [Faults(self, ("127.0.0.1", replica.port)) for replica in self.replicas]
        self.sheaf(replicas=[f"postgresql://{wire.address}" for wire in wires])
        for wire in wires:
            wire.garbage_after, wire.garbage_up_to = b"SHOW default_transaction_isolation", b"Z\0\0\0\5I"
            wire.garbage = CANCELLED
        for _ in self.replicas:
            session = self.session()
            self.assertEqual([session.ask(text).tags for text in ("BEGIN READ ONLY", "SAVEPOINT x")], ["CZ", "CZ"])
            self.assertEqual(session.value("SELECT pg_is_in_recovery()"), "f")
            self.assertEqual(session.value("SHOW transaction_isolation"), "serializable")
            self.assertEqual(session.ask("COMMIT").done, ["COMMIT"])
        self.assertIn(None, [wire.garbage for wire in wires])

    def test_a_cancel_that_comes_while_sheaf_asks(self):
        """It is meant for what comes behind that: it goes to the server then, and not before."""
        wires = [Faults(self, ("127.0.0.1", replica.port)) for replica in self.replicas]
        self.sheaf(replicas=[f"postgresql://{wire.address}" for wire in wires], probe="no", reads="any")
        session = self.reader()
        for _ in self.replicas:
            session.ask("SELECT count(*) FROM log")  # a connection is there
        for wire in wires:
            wire.hold_after = 0
        session.send(pg.query("BEGIN READ ONLY"))
        wait_until(lambda: sum(wire.held for wire in wires) == 1, what="Sheaf's question to be answered")
        before = [wire.accepted for wire in wires]
        pg.cancel(self.front.target(), session.key)
        self.assertEqual([wire.accepted for wire in wires], before)
        for wire in wires:
            wire.hold_after = None
        wait_until(lambda: sum(wire.accepted for wire in wires) == sum(before) + 1, what="the request to cancel")
        self.assertIn(session.until("Z").errors, ([], ["57014"]))
        self.assertEqual(session.ask("ROLLBACK").errors, [])

    def read_at_a_replica(self, session):
        def is_read_there():
            session.ask("SELECT count(*) FROM log")
            return session.value("EXPLAIN ROUTE SELECT count(*) FROM log").startswith("replica")
        wait_until(is_read_there, what="a replica to have all that was written")

    def test_replicas_lag_in_the_middle(self):
        """From some moment on they apply nothing: between a write and its read, within a transaction, in the middle of its COMMIT, of COPY, of a statement."""
        self.sheaf(causal_wait="20ms")
        moments = ("written", "in transaction", "committing", "copying", "reading")
        for n, moment in enumerate(moments):
            with self.subTest(moment=moment):
                session = self.reader()
                if moment in ("in transaction", "committing"):
                    session.ask(f"BEGIN; INSERT INTO log VALUES ({n}, 1)")
                if moment == "reading":
                    session.ask(f"INSERT INTO log VALUES ({n}, 1)")
                    self.read_at_a_replica(session)
                    session.send(pg.query(f"SELECT count(*) FROM log WHERE client = {n} UNION ALL SELECT 7 FROM pg_sleep(0.3) OFFSET 0"))
                if moment == "copying":
                    session.ask_until(pg.query("COPY log FROM STDIN"), "G")
                    session.send(pg.copy_data(f"{n}\t1\n".encode()))
                if moment == "written":
                    session.ask(f"INSERT INTO log VALUES ({n}, 1)")
                if moment == "committing":
                    session.send(pg.query("COMMIT"))
                for replica in self.replicas:
                    replica.pause()
                if moment == "in transaction":
                    session.send(pg.query("COMMIT"))
                if moment == "copying":
                    session.send(pg.copy_done())
                if moment != "written":
                    self.assertEqual(session.until("Z").errors, [])
                for _ in range(4):  # of all replicas
                    self.assertEqual(session.value(f"SELECT count(*) FROM log WHERE client = {n}"), "1")
                    session.ask("BEGIN READ ONLY")
                    self.assertEqual(session.value(f"SELECT count(*) FROM log WHERE client = {n}"), "1")
                    self.assertEqual(session.ask("COMMIT").done, ["COMMIT"])
                for replica in self.replicas:
                    replica.resume()
                self.read_at_a_replica(session)
                self.assertEqual(session.value(f"SELECT count(*) FROM log WHERE client = {n}"), "1")


if __name__ == "__main__":
    main()
