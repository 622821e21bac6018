#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""SQL servers that are killed, stand still, are cut off and promoted, in the middle of anything.

No acknowledged write is lost, no answer reaches the wrong client, nothing of a transaction stays, and each
error says what it is."""
import contextlib

from lib import *
from lib import pgwire as pg
from lib.sql_crowd import Crowd

LOST = {"08006", "08007", "57P01", "57P02", "57P03", "08003", "08001", "40001"}  # what a fault may be called
QUICK = {"probe_interval": "50ms", "probe_timeout": "300ms", "failover_wait": "20s"}


class Servers(Case):
    replicas_count = 2
    server_options = {}

    def setUp(self):
        self.primary = Postgres(self, self.server_options)
        self.primary.sql("CREATE TABLE log (client int, n int, PRIMARY KEY (client, n)); CREATE TABLE t (v text)", user="app")
        self.replicas = [Replica(self, self.primary) for _ in range(self.replicas_count)]
        for replica in self.replicas:
            replica.wait_for_catchup()

    def sheaf(self, primary=None, replicas=None, **options):
        """All servers are candidates."""
        self.front = Sheaf(self, sql_pool(primary or self.primary, self.replicas if replicas is None else replicas, **{**QUICK, **options}))
        if self.replicas and options.get("probe") != "no" and options.get("reads") != "primary":
            with pg.PgSession(self.front.target()) as session:
                wait_until(lambda: session.ask("EXPLAIN ROUTE SELECT 1").rows[0][0].startswith("replica"), what="replicas to be known")
        return self.front

    def candidates(self, **options):
        return self.sheaf(replicas=[], primary=[server.url for server in (self.primary, *self.replicas)], **options)

    def session(self, **options):
        session = pg.PgSession(self.front.target(), **options)
        self.addCleanup(session.close)
        return session

    def reader(self):
        """One whose reads go to replicas, whatever is in them: Sheaf knows the catalog."""
        session = self.session()
        wait_until(lambda: session.ask("EXPLAIN ROUTE SELECT count(*) FROM t").rows[0][0].startswith("replica"), what="Sheaf to know the catalog")
        return session

    def assert_truth(self, crowd, primary=None):
        """What the clients were told, against what is there."""
        crowd.stop()
        primary = primary or self.primary
        there = set(primary.sql("SELECT client, n FROM log"))
        self.assertEqual(crowd.wrong, [])
        self.assertEqual(crowd.written - there, set(), "acknowledged and lost")
        lied = {row: code for row, code in crowd.refused.items() if row in there and code not in ("08007", "closed")}
        self.assertEqual(lied, {}, "told to have failed, and there")
        self.assertEqual(set(crowd.errors) - LOST - {"closed"}, set(), "errors that say nothing of it")
        self.assert_nothing_is_left(primary)

    def assert_nothing_is_left(self, *servers):
        for server in servers:
            wait_until(lambda s=server: not s.sessions("state <> 'idle' AND datname = 'app'"), what="no transaction to be left")
            # Sheaf may be reading the catalog of whom it has just found: those are gone in a moment.
            wait_until(lambda s=server: not s.sql("SELECT locktype FROM pg_locks WHERE pid <> pg_backend_pid() AND database = "
                                                  "(SELECT oid FROM pg_database WHERE datname = 'app')"), what="no lock to be left")


class Replicas(Servers):
    def test_killed_while_clients_read(self):
        crowd = Crowd(self, self.sheaf().target(), write=False)
        for _ in range(3):
            crowd.goes_on()
            self.replicas[0].kill9()
            crowd.goes_on()
            self.replicas[0].start()
        crowd.goes_on()
        crowd.stop()
        self.assertEqual((crowd.wrong, dict(crowd.errors)), ([], {}))

    def test_what_reads_meet_counts_as_the_probes_do(self):
        """Whoever fails those who ask is out before a probe comes by."""
        crowd = Crowd(self, self.sheaf(probe_interval="60s", breaker_open="30s").target(), write=False)
        crowd.goes_on()
        self.replicas[0].kill9()
        wait_until(lambda: [e["health"]["state"] for e in self.front.status()["pools"][0]["endpoints"]] == ["up", "down", "up"], what="it to be held down")
        crowd.goes_on()
        crowd.stop()
        self.assertEqual((crowd.wrong, dict(crowd.errors)), ([], {}))

    def test_all_killed_the_primary_serves(self):
        crowd = Crowd(self, self.sheaf().target())
        crowd.goes_on()
        for replica in self.replicas:
            replica.kill9()
        crowd.goes_on()
        for replica in self.replicas:
            replica.start()
        crowd.goes_on()
        self.assert_truth(crowd)
        self.assertEqual(crowd.errors, {})

    def test_all_down_and_the_primary_must_not_serve(self):
        self.sheaf(on_replicas_down="error")
        session = self.session()
        self.assertEqual(session.value("SELECT 1"), "1")
        for replica in self.replicas:
            replica.kill9()
        answer = wait_until(lambda: (lambda a: a if a.errors else None)(session.ask("SELECT 1")), what="an error")
        self.assertIn(answer.errors[0], LOST)
        self.assertEqual(session.ask("INSERT INTO t VALUES ('x')").errors, [])
        self.replicas[0].start()
        wait_until(lambda: not session.ask("SELECT 1").errors, what="reads to come back")

    def test_standing_still(self):
        crowd = Crowd(self, self.sheaf().target())
        crowd.goes_on()
        self.replicas[0].stop()
        self.addCleanup(self.replicas[0].cont)
        crowd.goes_on(count=100)
        self.replicas[0].cont()
        crowd.goes_on()
        self.assert_truth(crowd)

    def test_standing_still_in_the_middle_of_a_read(self):
        """Of which nothing came yet: it is asked elsewhere once the replica is known to be down."""
        self.sheaf()
        session = self.reader()
        session.send(pg.query("SELECT count(*) FROM generate_series(1, 3000000)"))
        wait_until(lambda: any(r.sessions("state = 'active' AND query LIKE '%3000000%'") for r in self.replicas), what="a replica to read")
        for replica in self.replicas:
            replica.stop()
            self.addCleanup(replica.cont)
        self.assertEqual(session.until("Z").rows, [["3000000"]])

    def test_killed_in_the_middle_of_rows(self):
        """What was forwarded cannot be taken back: then it is an error, and never an end that looks like one."""
        self.sheaf()
        session = self.reader()
        session.send(pg.query("SELECT repeat('x', 1000), g FROM generate_series(1, 1000000) g"))
        session.until("D", 2000)
        for replica in self.replicas:
            replica.kill9()
        self.assert_broken_off(session, "C")
        self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_killed_in_the_middle_of_a_copy_out(self):
        self.sheaf()
        session = self.reader()
        session.send(pg.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 1000000)) TO STDOUT"))
        session.until("d", 2000)
        for replica in self.replicas:
            replica.kill9()
        self.assert_broken_off(session, "c")

    def assert_broken_off(self, session, end):
        """By an error; or by the connection's end, where a row had been forwarded in part."""
        at = len(session.seen)
        with contextlib.suppress(EOFError):
            session.until("E")
        answer = pg.Answer(session.seen[at:])
        self.assertNotIn(end, answer.tags)
        self.assertTrue(set(answer.errors) <= LOST, answer.errors)

    def test_killed_in_a_transaction_that_only_reads(self):
        self.sheaf()
        session = self.reader()  # what Sheaf does not know moves it to the primary, which lives
        session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        self.assertEqual(session.value("SELECT count(*) FROM t"), "0")
        for replica in self.replicas:
            replica.kill9()
        with contextlib.suppress(EOFError, OSError):
            answer = session.ask("SELECT count(*) FROM t")
            self.assertEqual(len(answer.errors), 1, answer)  # not a snapshot of another server
            self.assertIn(answer.errors[0], LOST)
        self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_a_conflict_with_recovery_is_no_error_of_a_read(self):
        """What the primary removes under a replica's read cancels it there: it is asked elsewhere."""
        for replica in self.replicas:
            replica.reload(max_standby_streaming_delay="10ms", hot_standby_feedback="off")
        self.sheaf()
        self.primary.sql("INSERT INTO t SELECT g::text FROM generate_series(1, 1000) g", user="app")
        for replica in self.replicas:
            replica.wait_for_catchup()
        self.meets_conflicts(self.reader(), "SELECT count(*) FROM t a, t b, generate_series(1, 4) c WHERE a.v || b.v || c <> ''")

    def meets_conflicts(self, session, text, replicas_only=False):
        """How many servers had one: what is asked again may meet the next, and then there is nobody else."""
        before = [len(replica.log) for replica in self.replicas]
        session.send(pg.query(text))
        wait_until(lambda: any(r.sessions("state = 'active' AND query LIKE '%count%'") for r in self.replicas), what="a replica to read")
        for each in ("DELETE FROM t", "VACUUM t", "VACUUM FULL t"):
            self.primary.sql(each)
        answer = session.until("Z")
        count = sum(r.logged("conflict with recovery", at) > 0 for r, at in zip(self.replicas, before))
        self.assertGreater(count, 0)
        self.assertIn(answer.errors, ([], ["40001"]) if replicas_only and count > 1 else ([],))
        return count

    def test_a_conflict_with_recovery_of_who_asks_for_replicas_or_much(self):
        """Another one is asked."""
        for replica in self.replicas:
            replica.reload(max_standby_streaming_delay="10ms", hot_standby_feedback="off")
        self.sheaf(on_replicas_down="error")
        session = self.reader()
        reads = "SELECT count(*) FROM t, pg_sleep(0.5)"
        for route, text in (("auto", f"{reads} /* {'long ' * 20000} */"), ("replica", reads), ("replica", f"{reads} /* {'long ' * 20000} */")):
            session.ask(f"SET sheaf.route = {route}")
            count = 0
            while count != 1:
                self.primary.sql("INSERT INTO t SELECT g::text FROM generate_series(1, 100) g", user="app")
                for replica in self.replicas:
                    replica.wait_for_catchup()
                count = self.meets_conflicts(session, text, replicas_only=True)

    def test_a_conflict_with_recovery_at_the_only_replica(self):
        """The primary is asked, unless it must not serve who asks for replicas: then he hears of it."""
        self.replicas[0].reload(max_standby_streaming_delay="10ms", hot_standby_feedback="off")
        for route, options, errors in (("auto", {}, []), ("replica", {}, []), ("replica", {"on_replicas_down": "error"}, ["40001"])):
            with self.subTest(route=route, **options):
                self.sheaf(replicas=self.replicas[:1], **options)
                session = self.reader()
                session.ask(f"SET sheaf.route = {route}")
                self.primary.sql("INSERT INTO t SELECT g::text FROM generate_series(1, 100) g", user="app")
                self.replicas[0].wait_for_catchup()
                session.send(pg.query("SELECT count(*) FROM t, pg_sleep(0.5)"))
                wait_until(lambda: self.replicas[0].sessions("state = 'active' AND query LIKE '%count%'"), what="the replica to read")
                for text in ("DELETE FROM t", "VACUUM t", "VACUUM FULL t"):
                    self.primary.sql(text)
                answer = session.until("Z")
                self.assertEqual(answer.errors, errors)
                self.assertEqual(answer.rows, [] if errors else [["0"]])

    def test_killed_while_it_reads_for_who_asks_for_replicas(self):
        """The other is asked, if there is one; never the primary."""
        self.sheaf(on_replicas_down="error")
        session = self.reader()
        session.ask("SET sheaf.route = replica")
        for others in (1, 0):
            session.send(pg.query("SELECT pg_is_in_recovery(), count(*) FROM t, pg_sleep(0.5)"))
            reads = wait_until(lambda: [r for r in self.replicas if r.process.running and r.sessions("state = 'active' AND query LIKE '%count%'")], what="a replica to read")
            reads[0].kill9()
            answer = session.until("Z")
            if others:
                self.assertEqual(answer.rows, [["t", "0"]])
        self.assertTrue(set(answer.errors) <= LOST and answer.errors, answer)

    def test_a_conflict_with_recovery_of_what_stays_at_a_replica(self):
        """A snapshot, a cursor: that session hears it, by the server's own code, and no other does."""
        for replica in self.replicas:
            replica.reload(max_standby_streaming_delay="10ms", hot_standby_feedback="off")
        self.sheaf()
        other = self.reader()
        for texts in (("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY", "SELECT count(*) FROM t"), ("BEGIN READ ONLY", "DECLARE c CURSOR FOR TABLE t", "FETCH c")):
            self.primary.sql("INSERT INTO t SELECT g::text FROM generate_series(1, 1000) g", user="app")
            for replica in self.replicas:
                replica.wait_for_catchup()
            session, before = self.reader(), [len(replica.log) for replica in self.replicas]
            for text in texts:
                self.assertEqual(session.ask(text).errors, [])
            for text in ("DELETE FROM t", "VACUUM t", "VACUUM FULL t"):
                self.primary.sql(text)
            wait_until(lambda b=before: sum(r.logged("FATAL.*conflict with recovery", at) for r, at in zip(self.replicas, b)), what="a conflict")
            session.send(pg.query("SELECT count(*) FROM t"))
            answer = session.rest()
            self.assertEqual((answer.errors, answer[0].fields["S"]), (["40001"], "FATAL"))
            self.assertIn("conflict with recovery", answer[0].fields["M"])
            self.assertEqual(other.ask("SELECT count(*) FROM t").errors, [])

    def test_a_database_that_is_dropped(self):
        """Replicas end their connections when they hear of it (57P04): who is in no transaction hears that it is gone, and stays."""
        self.primary.sql("CREATE DATABASE doomed OWNER app")
        for replica in self.replicas:
            replica.wait_for_catchup()
        self.sheaf()
        session, reader = self.session(database="doomed"), self.session(database="doomed")
        for where in ("replica", "primary"):
            self.assertEqual(session.ask(f"SELECT 1 /* route={where} */").errors, [])
        reader.send(pg.query("SELECT pg_sleep(60) /* route=replica */"))
        wait_until(lambda: any(r.sql("SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query ~ 'sleep.60'") for r in self.replicas), what="a replica to read")
        self.primary.sql("DROP DATABASE doomed WITH (FORCE)")
        self.assertIn(reader.until("Z").errors, (["3D000"], ["55000"]))  # the latter, while it is being dropped
        for each in (session, reader, session):
            self.assertEqual(each.ask("SELECT 1").errors, ["3D000"])
        self.assertEqual(self.reader().ask("SELECT count(*) FROM t").errors, [])

    def test_lagging_in_the_middle(self):
        """A replica that stops to apply goes on with what it has begun; who has written is not shown less."""
        self.sheaf(reads="causal")
        reader, writer = self.reader(), self.reader()
        reader.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self.assertEqual(reader.value("SELECT count(*) FROM log"), "0")
        copier = self.reader()
        copier.send(pg.query("COPY (SELECT repeat('x', 1000) FROM generate_series(1, 20000)) TO STDOUT"))
        copier.until("d", 100)
        for replica in self.replicas:
            replica.pause()
        for n in range(1, 6):
            writer.ask(f"INSERT INTO log VALUES (1, {n})")
            self.assertEqual(writer.value("SELECT count(*) FROM log"), str(n))
            writer.ask("BEGIN READ ONLY")
            self.assertEqual(writer.value("SELECT count(*) FROM log"), str(n))
            writer.ask("COMMIT")
            self.assertEqual(reader.value("SELECT count(*) FROM log"), "0")
        self.assertEqual(reader.ask("COMMIT").done, ["COMMIT"])
        answer = copier.until("Z")
        self.assertEqual((answer.tags.count("d"), answer.tags[-3:]), (20000 - 100, "cCZ"))
        for replica in self.replicas:
            replica.resume()
        wait_until(lambda: reader.value("SELECT count(*) FROM log") == "5", what="the replicas to follow")

    def test_restarted_in_every_way(self):
        crowd = Crowd(self, self.sheaf().target())
        for mode in ("fast", "immediate"):
            crowd.goes_on()
            self.replicas[0].restart(mode)
            crowd.goes_on()
        self.assert_truth(crowd)
        self.assertEqual(crowd.errors, {})


class Primary(Servers):
    replicas_count = 1

    def test_killed_while_clients_write(self):
        crowd = Crowd(self, self.sheaf().target())
        for _ in range(3):
            crowd.goes_on()
            self.primary.kill9()
            self.primary.start()
        crowd.goes_on()
        self.assert_truth(crowd)

    def test_restarted_while_clients_write(self):
        crowd = Crowd(self, self.sheaf().target())
        for mode in ("fast", "immediate"):
            crowd.goes_on()
            self.primary.restart(mode)
        crowd.goes_on()
        self.assert_truth(crowd)

    def test_sheaf_ends_while_clients_write(self):
        """What is under way is done, and what comes then is refused; told a second time, it says of nothing that it was not done which may be."""
        for is_cut in False, True:
            crowd = Crowd(self, self.sheaf().target(), count=12)
            crowd.goes_on()
            self.front.terminate()
            if is_cut:
                self.front.terminate()
            self.assertEqual(self.front.wait(), 0)
            self.assert_truth(crowd)
            self.assertLessEqual(set(crowd.errors) - {"closed"}, {"57P01", "08007"} if is_cut else {"57P01"})
            self.primary.sql("TRUNCATE log", user="app")

    def test_standing_still_while_clients_write(self):
        crowd = Crowd(self, self.sheaf().target())
        crowd.goes_on()
        self.primary.stop()
        self.addCleanup(self.primary.cont)
        reader = self.session()
        self.assertEqual(reader.value("SELECT 1"), "1")
        self.primary.cont()
        crowd.goes_on()
        self.assert_truth(crowd)

    def test_down_replicas_read_and_writes_wait(self):
        self.sheaf(reads="any")
        writer = self.session()
        writer.ask("INSERT INTO log VALUES (0, 0)")
        self.primary.kill9()
        reader = self.session()
        for n in range(10):
            self.assertEqual(reader.value(f"SELECT {n}"), str(n))
        writer.send(pg.query("INSERT INTO log VALUES (1, 1)"))
        self.assertTrue(writer.is_silent())
        self.primary.start()
        self.assertEqual(writer.until("Z").done, ["INSERT 0 1"])

    def test_down_before_anything_is_known_replicas_read(self):
        """What is in the database is asked of a replica then, and of the primary once it is there."""
        for replica in self.replicas:
            replica.wait_for_catchup()
        self.primary.kill9()
        self.sheaf()
        reader, writer = self.session(), self.session()
        self.assertEqual(reader.ask("SELECT count(*) FROM log WHERE n < 0").rows, [["0"]])
        self.assertTrue(reader.value("EXPLAIN ROUTE SELECT count(*) FROM log").startswith("replica"))
        writer.send(pg.query("CREATE FUNCTION of_late() RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN 1; END'; INSERT INTO log VALUES (1, 1)"))
        self.assertTrue(writer.is_silent())
        self.primary.start()
        self.assertEqual(writer.until("Z").done, ["CREATE FUNCTION", "INSERT 0 1"])
        self.assertEqual(writer.value("SELECT of_late()"), "1")
        wait_until(lambda: "volatile" in writer.value("EXPLAIN ROUTE SELECT of_late()"), what="the primary to have told")

    def test_down_for_longer_than_writes_wait(self):
        self.is_refused("300ms")

    def test_down_and_writes_do_not_wait(self):
        self.is_refused("0s")

    def is_refused(self, failover_wait):
        self.sheaf(failover_wait=failover_wait)
        sessions = [self.session() for _ in range(3)]
        for n, session in enumerate(sessions):
            session.ask(f"INSERT INTO log VALUES (1, {n})")
        self.primary.kill9()
        for session, sql in zip(sessions, ("INSERT INTO log VALUES (2, 2)", "BEGIN", "SELECT * FROM log FOR UPDATE")):
            answer = session.ask_until(pg.query(sql), "E")
            self.assertEqual((answer.errors, "failover_wait" in answer[-1].fields["H"]), (["57P03"], True), sql)
        newcomer = self.session(database="postgres")  # nobody was there before: a replica is asked
        self.assertEqual(newcomer.value("SELECT 1"), "1")
        self.assertEqual(newcomer.ask_until(pg.query("DELETE FROM pg_class"), "E").errors, ["57P03"])

    def test_killed_in_a_transaction(self):
        self.sheaf()
        session = self.session()
        session.ask("BEGIN")
        session.ask("INSERT INTO log VALUES (1, 1)")
        self.primary.kill9()
        codes = []
        with contextlib.suppress(EOFError, OSError):
            while len(codes) < 3:
                answer = session.ask("INSERT INTO log VALUES (1, 2)")
                codes += answer.errors
                if answer.state == "I":
                    break
        self.assertTrue(set(codes) <= LOST | {"25P02"}, codes)
        self.primary.start()
        wait_until(lambda: not self.session().ask("INSERT INTO log VALUES (1, 3)").errors)
        self.assertEqual(self.primary.sql("SELECT n FROM log"), [(3,)])

    def test_killed_in_a_copy_in(self):
        self.sheaf()
        session = self.session()
        session.send(pg.query("COPY t FROM STDIN"))
        session.until("G")
        session.send(pg.copy_data(b"x\n" * 1000))
        self.primary.kill9()
        with contextlib.suppress(OSError):
            session.send(pg.copy_data(b"y\n" * 1000) + pg.copy_done())
        answer = pg.Answer()
        with contextlib.suppress(EOFError, OSError):
            answer = session.until("EZ")
        self.assertEqual(answer.done, [])
        self.assertTrue(set(answer.errors) <= LOST, answer.errors)
        self.primary.start()
        wait_until(lambda: not self.session().ask("INSERT INTO t VALUES ('z')").errors)
        self.assertEqual(self.primary.sql("SELECT * FROM t"), [("z",)])

    def test_connections_ended_by_an_administrator(self):
        crowd = Crowd(self, self.sheaf().target())
        for _ in range(10):
            crowd.goes_on(count=10)
            self.primary.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app' AND pid <> pg_backend_pid()")
        crowd.goes_on()
        self.assert_truth(crowd)

    def test_told_as_the_server_does(self):
        """An administrator ends what a session does at the primary: by its words, and the session is over; also in transactions that wait."""
        self.sheaf()
        self.primary.sql("INSERT INTO t VALUES ('a')")
        sleeps = "INSERT INTO t SELECT pg_sleep(60)::text"
        for begin, data, state in ((None, pg.query(sleeps), "active"), (None, pg.one(sleeps) + pg.sync(), "active"),
                                   ("BEGIN", pg.query("SELECT pg_sleep(60) FROM t FOR UPDATE"), "active"), ("BEGIN; TABLE t", b"", "idle in transaction"),
                                   ("BEGIN; TABLE t", pg.query(f"COMMIT; {sleeps}"), "active"), (None, pg.query("COPY t FROM STDIN"), "active")):
            with self.subTest(begin=begin, data=data):
                session = self.session()
                if begin:
                    session.ask(begin)
                session.send(data)
                [(pid, *_)] = wait_until(lambda s=state: self.primary.sessions(f"state = '{s}' AND (query ~ 'sleep|TABLE t|COPY t F')"), what="it to be under way")
                self.primary.sql(f"SELECT pg_terminate_backend({pid})")
                answer = session.rest()
                self.assertEqual((answer.errors, answer[-1].fields["S"]), (["57P01"], "FATAL"))
                wait_until(lambda p=pid: not self.primary.sessions(f"pid = {p}"), what="it to be gone, so that the next one is not taken for it")
        self.assertEqual(self.session().ask("INSERT INTO t VALUES ('b')").errors, [])

    def test_too_many_connections_for_the_server(self):
        """Clients wait for those that it takes."""
        self.primary.sql("ALTER ROLE app CONNECTION LIMIT 3")
        self.sheaf(pool_size="10", probe_user="postgres", reads="primary")
        crowd = Crowd(self, self.front.target(), count=12)
        crowd.goes_on(count=100)
        crowd.stop()
        self.assertEqual(crowd.wrong, [])


class Wires(Servers):
    """What lies between Sheaf and the primary fails."""
    replicas_count = 0

    def setUp(self):
        super().setUp()
        self.wire = Faults(self, ("127.0.0.1", self.primary.port))
        self.sheaf(primary=f"postgresql://{self.wire.address}", probe="no")

    def test_a_last_word_is_told_at_once(self):
        """How long the server's process takes to end, here for ever, is not the client's to wait for."""
        self.wire.hides_end = True
        ends = "SELECT pg_terminate_backend(pg_backend_pid())"
        for data in (pg.query(ends), pg.query(f"BEGIN; INSERT INTO log VALUES (2, 0); {ends}"), pg.one(ends) + pg.sync()):
            session = self.session()
            session.send(data)
            answer = session.rest()
            self.assertEqual((answer.errors, answer[-1].fields["S"]), (["57P01"], "FATAL"))
        self.assertEqual(self.session().ask("SELECT count(*) FROM log").rows, [["0"]])

    def test_garbage_from_a_server(self):
        for garbage in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 100, b"Z\0\0\0\3", b"D\xff\xff\xff\xff", b"Z\0\0\0\5X", b"C\0\0\0\4", b"K\0\0\0\x0cabcdefgh",
                        b"R\0\0\0\x08\0\0\0\0", b"\x80\0\0\0\4"):
            with self.subTest(garbage=garbage):
                session = self.session()
                session.value("SELECT 1")
                self.wire.garbage, self.wire.garbage_after = garbage, b"marked"
                answer = pg.Answer()
                with contextlib.suppress(EOFError):
                    answer = session.ask("INSERT INTO t VALUES ('marked')")
                self.assertEqual(answer.done, [])
                self.assertTrue(set(answer.errors) <= LOST | {"08P01"}, answer.errors)
                self.wire.garbage = None
                wait_until(lambda: self.session().value("SELECT 1") == "1", what="the wire to be used again")

    def test_a_crowd_over_a_wire_that_breaks(self):
        crowd = Crowd(self, self.front.target())
        for _ in range(15):
            crowd.goes_on(count=5)
            self.wire.cut()
        self.wire.refuse()
        self.wire.cut()
        self.wire.open()
        crowd.goes_on()
        self.assert_truth(crowd)


class WireOfAReplica(Servers):
    replicas_count = 1

    def test_cut_at_every_byte_of_an_answer(self):
        """A read is asked elsewhere while nothing of it was forwarded; else it fails, and never comes twice or in part."""
        wire = Faults(self, ("127.0.0.1", self.replicas[0].port))
        self.sheaf(replicas=[f"postgresql://{wire.address}"], probe="no")
        session = self.reader()
        for after in list(range(0, 80, 3)) + [100, 500, 2000, 5000, 20000, 40000, 60000]:
            wire.cut_after = after
            answer = pg.Answer()
            with contextlib.suppress(EOFError):
                answer = session.ask("SELECT g, 'a text of some length' FROM generate_series(1, 2000) g")
            if after <= 2000 or (answer and not answer.errors):
                self.assertEqual(answer.tags, "T" + "D" * 2000 + "CZ", after)
                self.assertEqual([int(row[0]) for row in answer.rows], list(range(1, 2001)))
            self.assertTrue(set(answer.errors) <= LOST, answer.errors)
            wire.cut_after = None
            if not answer or answer.errors:
                session = self.reader()
            accepted = wire.accepted
            wait_until(lambda: session.value("SELECT 1") == "1" and wire.accepted >= accepted, what="the wire to be used again")


    def test_a_replica_that_nobody_probes_is_tried_again(self):
        """Once it has failed often enough to be taken out of service."""
        wire = Faults(self, ("127.0.0.1", self.replicas[0].port))
        self.sheaf(replicas=[f"postgresql://{wire.address}"], probe="no", breaker_failures=2, backoff_max="1s")
        self.reader()
        wire.cut_after = 5000

        def is_down():
            with contextlib.suppress(EOFError):
                self.session().ask("SELECT g, 'a text of some length' FROM generate_series(1, 2000) g")
            return not self.front.status()["pools"][0]["endpoints"][1]["health"]["up"]
        wait_until(is_down, what="the replica to be found down")
        wire.cut_after = None
        self.assertEqual(self.reader().value("SELECT count(*) FROM generate_series(1, 5)"), "5")
        wait_until(lambda: self.front.status()["pools"][0]["endpoints"][1]["health"]["state"] == "up", what="it to be found up")


class Failover(Servers):
    """The first replica confirms each commit, so nothing that was acknowledged is lost with the primary."""
    replicas_count = 2

    def setUp(self):
        super().setUp()
        self.primary.reload(synchronous_standby_names=f"'\"{self.replicas[0].port}\"'")

    def test_the_primary_dies_and_a_replica_is_promoted(self):
        crowd = Crowd(self, self.candidates().target())
        crowd.goes_on()
        self.primary.kill9()
        self.replicas[0].promote()
        self.replicas[1].follow(self.replicas[0])
        crowd.goes_on(count=100)
        self.assert_truth(crowd, self.replicas[0])

    def test_killed_in_the_middle_of_a_commit(self):
        """Which waits for a replica, so that it is neither done nor not: of all that is told only that nobody knows is true."""
        self.candidates()
        candidates = [server.url for server in (self.primary, *self.replicas)]
        by_sessions = Sheaf(self, sql_pool(candidates, pooling="session", **QUICK))
        sessions = [self.session() for _ in range(3)]
        sessions += [pg.PgSession(by_sessions.target()) for _ in range(3)]
        begun = [session for n, session in enumerate(sessions) if n % 3 < 2]
        for n, session in enumerate(begun):
            session.ask("BEGIN")
            self.assertEqual(session.ask(f"INSERT INTO log VALUES (1, {n})").errors, [])
        for session in sessions[2::3]:
            session.value("SELECT 1")
        self.replicas[0].stop()
        self.addCleanup(self.replicas[0].cont)
        for n, session in enumerate(sessions):
            session.send((pg.query("COMMIT"), pg.one("COMMIT") + pg.sync(), pg.query(f"INSERT INTO log VALUES (2, {n})"))[n % 3])
        wait_until(lambda: len(self.primary.sessions("wait_event = 'SyncRep'")) == 6, what="the commits to wait")
        self.primary.kill9()
        for session in sessions:
            self.assertEqual(session.until("E").errors, ["08007"])
        self.replicas[0].cont()
        self.replicas[0].promote()
        self.replicas[1].follow(self.replicas[0])
        for session in sessions[3:]:
            self.assertEqual(session.rest(), [])  # what it had at its server is gone
        sessions[3:] = [pg.PgSession(by_sessions.target())]
        for session in sessions:
            self.addCleanup(session.close)
        for session in sessions[:3]:
            session.until("Z")
        for session in sessions:
            self.assertEqual(session.ask("INSERT INTO log VALUES (3, 3) ON CONFLICT DO NOTHING").errors, [])
        self.assert_nothing_is_left(*self.replicas)

    def test_killed_in_the_middle_of_a_commit_and_up_again(self):
        """Who took the transaction's number can ask what became of it: it is there, or it is not, as he is told then."""
        self.candidates()
        done, lost = self.session(), self.session()
        numbers = {}
        for n, session in enumerate((done, lost)):
            session.ask("BEGIN")
            self.assertEqual(session.ask(f"INSERT INTO log VALUES (1, {n})").errors, [])
            numbers[n] = session.value("SELECT pg_current_xact_id()")
        self.replicas[0].stop()
        self.addCleanup(self.replicas[0].cont)
        done.send(pg.query("COMMIT"))
        wait_until(lambda: self.primary.sessions("wait_event = 'SyncRep'"), what="the commit to wait")
        self.primary.kill9()
        self.assertEqual(done.until("E").errors, ["08007"])
        self.replicas[0].cont()
        self.primary.start()
        done.until("Z")
        for n, said in ((0, "committed"), (1, "aborted")):
            there = wait_until(lambda: self.session().ask("SELECT 1 /* route=primary */").rows) and self.session()
            self.assertEqual(there.value(f"SELECT pg_xact_status('{numbers[n]}')"), said)
            self.assertEqual(there.value(f"SELECT count(*) FROM log WHERE client = 1 AND n = {n} /* route=primary */"), "1" if n == 0 else "0")
        self.assertIn(self.errors_of(lost, "SELECT 1"), ["08006", "57P01", "57P02", "closed"])

    def test_commits_that_wait_for_a_replica_are_told_what_became_of_them(self):
        """With lost_commit_wait, by the server that is up again, and by the replica that was promoted."""
        crowd = Crowd(self, self.candidates(lost_commit_wait="20s").target(), count=9, read=False)
        for is_promoted in (False, True):
            crowd.goes_on()
            self.replicas[0].stop()
            wait_until(lambda: len(self.primary.sessions("wait_event = 'SyncRep' AND query = 'COMMIT'")) > 0, what="commits to wait")
            self.primary.kill9()
            self.replicas[0].cont()
            if is_promoted:
                self.replicas[0].promote()
                self.replicas[1].follow(self.replicas[0])
            else:
                self.primary.start()
            crowd.goes_on()
        self.assert_truth(crowd, self.replicas[0])
        exchanges = self.front.status()["pools"][0]["exchanges"]
        self.assertGreater(exchanges["lost_commits_done"] + exchanges["lost_commits_undone"], 1)
        self.assertEqual(exchanges["lost_commits_unknown"], 0)

    @staticmethod
    def errors_of(session, text):
        """The first of them; it may be closed."""
        with contextlib.suppress(EOFError, OSError):
            return session.ask(text).errors[0]
        return next((message.code for message in session.seen[::-1] if message[0] == "E"), "closed")

    def test_promoted_in_the_middle(self):
        """Of a transaction, of COPY, of a transaction that only reads: what was not committed is nowhere, and all go on."""
        self.candidates()
        writer, copier, reader, idle = (self.session() for _ in range(4))
        self.assertEqual(idle.ask("INSERT INTO log VALUES (0, 0)").errors, [])
        writer.ask("BEGIN")
        self.assertEqual(writer.ask("INSERT INTO log VALUES (1, 1)").errors, [])
        copier.send(pg.query("COPY t FROM STDIN"))
        copier.until("G")
        copier.send(pg.copy_data(b"x\n" * 1000))
        reader.ask("BEGIN READ ONLY")
        self.assertEqual(reader.ask("SELECT 1").errors, [])
        self.primary.kill9()
        self.replicas[0].promote()
        self.replicas[1].follow(self.replicas[0])
        for session, data in ((writer, pg.query("COMMIT")), (copier, pg.copy_done())):
            answer = pg.Answer()
            with contextlib.suppress(EOFError, OSError):
                session.send(data)
                answer = session.until("E")
            self.assertEqual((answer.done, set(answer.errors) <= LOST), ([], True), answer)
        with contextlib.suppress(EOFError, OSError):
            self.assertTrue(set(reader.ask("SELECT 2").errors) <= LOST)
        self.assertEqual(idle.ask("INSERT INTO log VALUES (0, 1)").errors, [])
        new = self.replicas[0]
        self.assertEqual((new.sql("SELECT client, n FROM log ORDER BY n"), new.sql("SELECT * FROM t")), ([(0, 0), (0, 1)], []))
        for session in (writer, copier, reader):
            session.close()
        self.assert_nothing_is_left(*self.replicas)

    def test_roles_are_changed(self):
        """A switch-over: the old primary comes back as a replica of the new one."""
        crowd = Crowd(self, self.candidates().target())
        crowd.goes_on()
        old, new = self.primary, self.replicas[0]
        old.options.pop("synchronous_standby_names", None)
        old.shutdown("fast")
        new.promote()
        old.become_replica_of(new)
        self.replicas[1].follow(new)
        crowd.goes_on(count=100)
        self.assert_truth(crowd, new)
        reader = self.session()
        before = old.logged("served by the old one")
        old.reload(log_statement="all")
        wait_until(lambda: reader.ask("SELECT 1 /* served by the old one */") and old.logged("served by the old one") > before,
                   what="the old primary to serve reads")

    def test_what_sessions_are_told_of_roles(self):
        self.candidates()
        session = self.session()
        self.assertEqual(session.parameters["in_hot_standby"], "off")
        self.primary.kill9()
        self.replicas[0].promote()
        wait_until(lambda: not self.session().ask("INSERT INTO log VALUES (9, 9)").errors, 30, "writes to go on")
        later = self.session()
        self.assertEqual(later.parameters["in_hot_standby"], "off")
        self.assertEqual([m.words for m in session.ask("SELECT 1") if m.tag == "S"], [])

    def test_a_write_that_meets_a_demoted_primary(self):
        """Nobody told Sheaf, whose probes are slow: the server's own refusal heals it."""
        self.candidates(probe_interval="5s", failover_wait="20s")
        session = self.session()
        self.assertEqual(session.ask("INSERT INTO log VALUES (1, 1)").errors, [])
        old, new = self.primary, self.replicas[0]
        old.options.pop("synchronous_standby_names", None)
        old.shutdown("fast")
        new.promote()
        old.become_replica_of(new)
        self.assertEqual(session.ask("INSERT INTO log VALUES (1, 2)").errors, [])
        self.assertEqual(new.value("SELECT count(*) FROM log"), 2)

    def test_causal_sessions_go_on_after_a_promotion(self):
        """The new primary's history may be shorter than what a session remembers of the old one's."""
        self.candidates()
        session = self.session()
        session.ask("INSERT INTO log VALUES (1, 1)")
        self.assertEqual(session.value("SELECT count(*) FROM log"), "1")
        self.primary.kill9()
        self.replicas[0].promote()
        self.replicas[1].follow(self.replicas[0])

        def again():
            with pg.PgSession(self.front.target()) as other:
                return not other.ask("INSERT INTO log VALUES (2, 2) ON CONFLICT DO NOTHING").errors
        wait_until(again, 30, "writes to go on")
        self.assertEqual(wait_until(lambda: (lambda a: None if a.errors else a.rows)(session.ask("SELECT count(*) FROM log"))), [["2"]])


if __name__ == "__main__":
    main()
