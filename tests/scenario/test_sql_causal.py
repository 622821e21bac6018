#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""How fresh reads are: a session sees its own writes and never goes back in time, on whichever replica."""
import threading
import time

from lib import *
from lib import pgwire as pg
from lib.sql_route import Routed

ROUNDS = 150


class Fresh(Routed):
    schema = "CREATE TABLE c (n int); INSERT INTO c VALUES (0);"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.pools = {}
        for reads in ("causal", "any", "primary"):
            cls.pools[reads] = sql_pool(cls.primary, cls.replicas, name=reads, reads=reads)
        cls.pools["user"] = sql_pool(cls.primary, cls.replicas, name="user", causal_scope="user")
        cls.pools["database"] = sql_pool(cls.primary, cls.replicas, name="database", causal_scope="database", user=["app secret", "postgres secret"])
        cls.pools["waits"] = sql_pool(cls.primary, cls.replicas, name="waits", causal_wait="10s", on_replicas_down="error")
        cls.pools["narrow"] = sql_pool(cls.primary, cls.replicas, name="narrow", pool_size=1)
        cls.front = Sheaf(cls, *cls.pools.values())
        for reads in set(cls.pools) - {"primary"}:
            cls.knows_replicas(cls.front.target(reads))

    def setUp(self):
        self.late()
        self.primary.sql("TRUNCATE c; INSERT INTO c VALUES (0)", user="app")
        self.caught_up()

    def late(self, first="0", second="0"):
        """How late the replicas apply commits."""
        for replica, delay in zip(self.replicas, (first, second)):
            if replica.options.get("recovery_min_apply_delay", "0") != delay:
                replica.reload(recovery_min_apply_delay=delay)

    def at(self, reads, **options):
        session = pg.PgSession(self.front.target(reads), **options)
        self.addCleanup(session.close)
        wait_until(lambda: "the catalog" not in str(session.ask("EXPLAIN ROUTE SELECT n FROM c").rows), what="Sheaf to know the catalog")
        return session

    def stale(self, session, rounds=ROUNDS, write="UPDATE c SET n = {}"):
        """How often a read at once after a write did not see it."""
        stale = 0
        for n in range(1, rounds + 1):
            self.assertEqual(session.ask(write.format(n)).errors, [])
            session.ask("EXPLAIN ROUTE SELECT 1")  # waits until the server has been asked what code of the write left there
            stale += int(session.value("SELECT n FROM c")) != n
        return stale

    def test_a_session_sees_what_it_wrote(self):
        self.late("20ms", "50ms")
        self.assertEqual(self.stale(self.at("causal")), 0)
        self.late()
        self.assertEqual(self.stale(self.at("causal")), 0)

    def test_without_that_it_does_not(self):
        """So that the tests around this one mean something."""
        self.late("20ms", "50ms")
        session = self.at("any")  # a replica may heed its delay a moment after it was told
        wait_until(lambda: self.stale(session) > 0, what="a read that misses what its session wrote")

    def test_reads_from_the_primary_only(self):
        self.late("100ms", "100ms")
        before = [len(server.log) for server in self.servers]
        self.assertEqual(self.stale(self.at("primary"), 20), 0)
        self.assertEqual([r.logged("SELECT n FROM c", at) for r, at in zip(self.replicas, before[1:])], [0, 0])

    def test_whatever_wrote(self):
        self.late("100ms", "100ms")
        session = self.at("causal")
        session.run(pg.parse("up", "UPDATE c SET n = $1") + pg.sync())
        session.ask("PREPARE up2 (int) AS UPDATE c SET n = $1")
        session.ask("CREATE OR REPLACE FUNCTION up3(int) RETURNS void LANGUAGE sql AS 'UPDATE c SET n = $1'")

        def copied(n):
            session.ask("BEGIN; TRUNCATE c")
            session.send(pg.query("COPY c FROM STDIN"))
            session.until("G")
            session.run(pg.copy_data(b"%d\n" % n) + pg.copy_done())
            session.ask("COMMIT")
        for round_, write in enumerate((
                lambda n: session.ask(f"BEGIN; UPDATE c SET n = {n}; COMMIT"), lambda n: session.run(pg.bind("", "up", [n]) + pg.execute() + pg.sync()),
                lambda n: session.ask(f"EXECUTE up2({n})"), lambda n: session.ask(f"SELECT up3({n})"), lambda n: session.ask(f"DO $$ BEGIN UPDATE c SET n = {n}; END $$"),
                lambda n: session.ask(f"WITH x AS (UPDATE c SET n = {n} RETURNING n) SELECT * FROM x"), copied,
                lambda n: session.ask(f"SELECT 1; UPDATE c SET n = {n}; SELECT 2"),
                lambda n: [session.ask(text) for text in ("BEGIN", f"UPDATE c SET n = {n}", "COMMIT")],
                lambda n: session.run(pg.one("BEGIN") + pg.one("UPDATE c SET n = $1", n) + pg.one("COMMIT") + pg.sync())), 1):
            for again in (0, 50):
                write(round_ + again)
                self.assertEqual(session.value("SELECT n FROM c"), str(round_ + again), f"write {round_}")

    def test_commits_that_do_not_wait_for_the_disk(self):
        """What the primary shows is not flushed then, and no replica has more than what is."""
        self.primary.reload(wal_writer_delay="10s")
        self.addCleanup(self.primary.reload, wal_writer_delay="200ms")
        self.primary.sql("CREATE FUNCTION lazily(int) RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('synchronous_commit', 'off', true);"
                         " UPDATE c SET n = $1; END $$", user="app")
        self.addCleanup(self.primary.sql, "DROP FUNCTION lazily(int)", user="app")
        within, bound, configured, plain = (self.at("causal") for _ in range(4))
        within.ask("SET synchronous_commit = off")
        bound.run(pg.one("SELECT set_config($1, $2, false)", "synchronous_commit", "off") + pg.sync())
        configured.ask("DO $$ BEGIN PERFORM set_config('synchronous_commit', 'off', false); END $$")
        lazy = "SET LOCAL synchronous_commit TO off; UPDATE c SET n = {0}"
        for session, write in (
                (plain, "DO $$ BEGIN SET LOCAL synchronous_commit TO off; UPDATE c SET n = {0}; END $$"), (plain, "SELECT lazily({0})"),
                (plain, lazy), (plain, "BEGIN; " + lazy + "; COMMIT"),
                (within, "UPDATE c SET n = {0}"), (bound, "UPDATE c SET n = {0}"), (configured, "UPDATE c SET n = {0}"),
                (self.at("causal", options={"options": "-c synchronous_commit=off"}), "UPDATE c SET n = {0}")):
            with self.subTest(write=write):
                self.assertEqual(self.stale(session, 20, write), 0)

    def test_commits_of_others_that_do_not_wait_for_the_disk(self):
        """Whoever has seen one at the primary sees it at a replica, too."""
        self.primary.reload(wal_writer_delay="10s")
        self.addCleanup(self.primary.reload, wal_writer_delay="200ms")
        writer, reader, stale = self.at("causal", options={"options": "-c synchronous_commit=off"}), self.at("causal"), 0
        for n in range(1, 30):
            writer.ask(f"UPDATE c SET n = {n}")
            self.assertEqual(reader.ask("BEGIN; SELECT n FROM c; COMMIT").rows, [[str(n)]])
            stale += reader.value("SELECT n FROM c") != str(n)
        self.assertEqual(stale, 0)

    def test_roles_whose_commits_do_not_wait_for_the_disk(self):
        self.primary.reload(wal_writer_delay="10s")
        self.addCleanup(self.primary.reload, wal_writer_delay="200ms")
        self.primary.sql("CREATE ROLE lazy LOGIN PASSWORD 'lazy'; ALTER ROLE lazy SET synchronous_commit = false; GRANT ALL ON c TO lazy")
        self.addCleanup(self.primary.sql, "REVOKE ALL ON c FROM lazy; DROP ROLE lazy")
        self.caught_up()
        front = Sheaf(self, sql_pool(self.primary, self.replicas, name="lazy", user=["app secret", "lazy lazy"]), proxy={"workers": 1})
        self.knows_replicas(front.target("lazy"))
        with pg.PgSession(front.target("lazy")) as session:  # as this one the servers are asked where they stand
            wait_until(lambda: "the catalog" not in str(session.ask("EXPLAIN ROUTE SELECT n FROM c").rows), what="Sheaf to know the catalog")
            self.assertEqual(self.stale(session, 20), 0)
        session = pg.PgSession(front.target("lazy"), user="lazy", password="lazy")
        self.addCleanup(session.close)
        wait_until(lambda: "the catalog" not in str(session.ask("EXPLAIN ROUTE SELECT n FROM c").rows), what="Sheaf to know the catalog")
        self.assertEqual(self.stale(session, 20), 0)

    def test_in_a_pipeline(self):
        """The read is sent before the write is answered."""
        self.late("50ms", "50ms")
        session = self.at("causal")
        for n in range(1, 40):
            answer = session.run(pg.one("UPDATE c SET n = $1", n) + pg.sync() + pg.one("SELECT n FROM c") + pg.sync() + pg.query("SELECT n FROM c"), 3)
            self.assertEqual(answer.rows, [[str(n)], [str(n)]])

    def test_what_was_created_is_there(self):
        self.late("100ms", "100ms")
        session = self.at("causal")
        for n in range(10):
            session.ask(f"DROP TABLE IF EXISTS made; CREATE TABLE made AS SELECT {n} AS a")
            self.assertEqual(session.value("SELECT a FROM made"), str(n))
            self.assertEqual(session.value("SELECT count(*) FROM pg_class WHERE relname = 'made'"), "1")
            self.assertEqual(session.value("SELECT 'made'::regclass"), "made")
            self.assertEqual(session.value("SELECT count(*) FROM information_schema.columns WHERE table_name = 'made'"), "1")
            session.ask(f"ALTER TABLE made ADD b{n} int")
            self.assertEqual(len(session.ask("SELECT * FROM made").rows[0]), 2)

    def test_transactions_that_only_read_see_it_too(self):
        self.late("50ms", "50ms")
        session = self.at("causal")
        for n in range(1, 20):
            session.ask(f"UPDATE c SET n = {n}")
            self.assertEqual(session.ask("BEGIN READ ONLY; SELECT n FROM c; COMMIT").rows, [[str(n)]])
            session.ask("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            self.assertEqual(session.value("SELECT n FROM c"), str(n))
            session.ask("COMMIT")

    def backwards(self, reads, rounds=250):
        """Someone counts up; how often a session that reads all the time sees a number go down."""
        stop = threading.Event()
        self.primary.sql("UPDATE c SET n = 0")
        self.caught_up()

        def count():
            n = 0
            while not stop.is_set():
                n += 1
                self.primary.sql("UPDATE c SET n = %s", n)
                stop.wait(0.001)
        thread = threading.Thread(target=count)
        thread.start()
        try:
            session, last, back = self.at(reads), 0, 0
            for _ in range(rounds):
                n = int(session.value("SELECT n FROM c"))
                back += n < last
                last = n
            return back
        finally:
            stop.set()
            thread.join()

    def test_a_session_never_goes_back_in_time(self):
        self.late("0", "100ms")
        self.assertEqual(self.backwards("causal"), 0)
        self.assertGreater(self.backwards("any"), 0)

    def test_reads_of_one_session_are_spread(self):
        """Also without a pause between them, and never back in time."""
        for late in ("0", "1ms"):
            self.late("0", late)
            self.assertEqual(self.backwards("causal", 600), 0)
        session = self.at("causal")
        before = [len(server.log) for server in self.servers]
        for _ in range(20):
            for n in range(1000):
                session.ask(f"SELECT n FROM c /* spread {n} */")
            served = [replica.logged("spread", at) for replica, at in zip(self.replicas, before[1:])]
            if min(served) > 100:
                break
        self.assertGreater(min(served), 100, served)

    def test_replicas_do_serve_what_is_fresh_enough(self):
        session = self.at("causal")
        before = [len(server.log) for server in self.servers]
        session.ask("UPDATE c SET n = 1")
        self.caught_up()
        for n in range(100):
            session.ask(f"SELECT n FROM c /* fresh {n} */")
        served = sum(r.logged("fresh", at) for r, at in zip(self.replicas, before[1:]))
        self.assertGreater(served, 50)

    def test_a_read_waits_for_a_replica(self):
        self.late("60ms", "60ms")
        session = self.at("waits")
        before = len(self.primary.log)
        self.assertEqual(self.stale(session, 10), 0)
        self.assertEqual(self.primary.logged("SELECT n FROM c", before), 0)

    def test_what_one_of_a_users_sessions_wrote_all_see(self):
        self.late("50ms", "100ms")
        writer, reader = self.at("user"), self.at("user")
        for n in range(1, ROUNDS // 3):
            writer.ask(f"UPDATE c SET n = {n}")
            self.assertEqual(reader.value("SELECT n FROM c"), str(n))

    def in_a_pipeline(self, scope, other="app"):
        """Two writes at once, the second late; when the first has been answered, all workers know where that put the primary, and who reads
        then would read at a replica."""
        writer, reader, others = self.at(scope), self.at(scope, user=other), [self.at(scope) for _ in range(4)]
        writer.send(pg.query("UPDATE c SET n = 1") + pg.query("UPDATE c SET n = 2 FROM pg_sleep(0.5)"))
        writer.until("Z")
        self.caught_up()
        for session in others:
            session.ask("DELETE FROM t WHERE false")
            session.ask("SELECT n FROM c")
        wait_until(lambda: reader.value("SELECT n FROM c") and reader.value("EXPLAIN ROUTE SELECT n FROM c").startswith("replica"), what="a replica to be asked")
        writer.until("Z")
        return reader

    def test_what_was_written_in_a_pipeline_all_see(self):
        self.late("60ms", "60ms")
        for scope, other in (("user", "app"), ("database", "postgres")):
            with self.subTest(scope=scope):
                self.assertEqual(self.in_a_pipeline(scope, other).value("SELECT n FROM c"), "2")

    def test_what_one_of_a_databases_users_wrote_all_see(self):
        self.late("50ms", "100ms")
        writer, reader = self.at("database"), self.at("database", user="postgres")
        for n in range(1, 40):
            writer.ask(f"UPDATE c SET n = {n}")
            self.assertEqual(reader.value("SELECT n FROM c"), str(n))

    def test_sessions_that_wait_for_each_other_never_go_back_in_time(self):
        """Whichever replica is free first serves them; one of them shows everything later."""
        self.late("0", "2ms")
        self.at("narrow").close()
        stop, backwards, before = threading.Event(), [], [len(replica.log) for replica in self.replicas]

        def read(at):
            with pg.PgSession(self.front.target("narrow")) as session:
                last = 0
                while not stop.is_set():
                    n = int(session.value("SELECT n FROM c /* narrow */"))
                    if n < last:
                        backwards.append((at, last, n))
                    last = n
        threads = [threading.Thread(target=read, args=(at,)) for at in range(6)]
        for thread in threads:
            thread.start()
        try:
            for n in range(1, 150):
                self.primary.sql("UPDATE c SET n = %s", n)
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(backwards, [])
        reads = [replica.logged("narrow", at) for replica, at in zip(self.replicas, before)]
        self.assertGreater(min(reads), 10, reads)

    def test_positions_that_applications_carry(self):
        self.late("50ms", "100ms")
        writer, reader = self.at("any"), self.at("any")
        for n in range(1, 30):
            writer.ask(f"UPDATE c SET n = {n}")
            position = writer.value("SHOW sheaf.position")
            self.assertEqual(reader.ask(f"SET sheaf.min_position = '{position}'").errors, [])
            self.assertEqual(reader.value("SELECT n FROM c"), str(n))
        self.assertEqual(reader.ask("SET sheaf.min_position = 'nonsense'").errors, ["22023"])

    def test_many_sessions_write_and_read(self):
        self.late("10ms", "30ms")
        self.primary.sql("DROP TABLE IF EXISTS own; CREATE TABLE own (id int PRIMARY KEY, n int); INSERT INTO own SELECT g, 0 FROM generate_series(0, 9) g", user="app")
        self.caught_up()
        stale = []

        def live(number):
            with pg.PgSession(self.front.target("causal")) as session:
                for n in range(1, 60):
                    session.ask(f"UPDATE own SET n = {n} WHERE id = {number}")
                    seen = session.value(f"SELECT n FROM own WHERE id = {number}")
                    if seen != str(n):
                        stale.append((number, n, seen))
        threads = [threading.Thread(target=live, args=(number,)) for number in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(stale, [])


class TakenOut(Routed):
    """A replica is none any more after a reload."""

    def setUp(self):
        self.kind, self.words = sql_pool(self.primary, self.replicas[:1], causal_wait="10s", admin_user="app", user="app secret")
        self.words["pool_size"] = 1
        self.own = Sheaf(self, (self.kind, self.words))
        self.knows_replicas(self.own.target())
        self.reader = pg.PgSession(self.own.target())
        self.addCleanup(self.reader.close)
        wait_until(lambda: self.reader.value("EXPLAIN ROUTE SELECT v FROM t").startswith("replica"), what="Sheaf to know the catalog")

    def waits(self):
        """For the replica to have what its session wrote; which asks it where it stands, again and again."""
        replica = self.replicas[0]
        replica.reload(recovery_min_apply_delay="1min")
        self.addCleanup(self.is_in_time)
        self.assertEqual(self.reader.ask("INSERT INTO t (v) VALUES ('late')").errors, [])
        wait_until(lambda: "waits for a replica" in self.reader.value("EXPLAIN ROUTE SELECT v FROM t"), what="Sheaf to know the catalog again")
        self.reader.send(pg.query("SELECT DISTINCT v FROM t WHERE v = 'late'"))
        wait_until(lambda: replica.sessions("datname = 'app' AND query LIKE '%pg_last_wal_replay_lsn%'"), what="it to be asked where it stands")

    def is_in_time(self):
        self.replicas[0].reload(recovery_min_apply_delay="0")

    def take_out(self):
        self.own.reload((self.kind, {**self.words, "replica": []}))
        wait_until(lambda: len(self.own.status()["pools"][0]["endpoints"]) == 1, what="the reload")

    def test_it_is_asked_nothing_any_more(self):
        self.waits()
        self.is_in_time()
        self.assertEqual(self.reader.until("Z").rows, [["late"]])
        self.take_out()
        wait_until(lambda: not self.replicas[0].sessions("datname = 'app'"), what="its connections to end")
        with pg.PgSession(self.own.target(), database="sheaf") as console:
            self.assertEqual([console.ask(text).errors for text in ("PAUSE", "RESUME")], [[], []])

    def test_who_waits_for_it_goes_on(self):
        """Though it stands still, and never answers."""
        self.waits()
        self.replicas[0].stop()
        self.addCleanup(self.replicas[0].cont)
        self.take_out()
        self.assertEqual(self.reader.until("Z").rows, [["late"]])

    def test_who_waits_for_a_connection_to_it_goes_elsewhere(self):
        """Who has one ends what he began there."""
        other = pg.PgSession(self.own.target())
        self.addCleanup(other.close)
        other.ask("BEGIN READ ONLY")
        self.assertEqual(other.value("SELECT pg_is_in_recovery() /* route=replica */"), "t")
        self.reader.send(pg.query("SELECT pg_is_in_recovery() /* route=replica */"))
        wait_until(lambda: self.own.status()["pools"][0]["waits"]["lease"]["now"] == 1, what="it to wait")
        self.take_out()
        answer = self.reader.until("Z")
        self.assertEqual((answer.rows, other.value("SELECT pg_is_in_recovery()")), ([["f"]], "t"))
        self.assertEqual(other.ask("COMMIT").errors, [])
        self.assertEqual(other.value("SELECT 2"), "2")


class Lag(Routed):
    options = {"reads": "bounded", "max_lag": "300ms", "probe_interval": "50ms"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        options = {**cls.options, "probe_user": "postgres"}
        cls.others = Sheaf(cls, *(sql_pool(cls.primary, cls.replicas, name=reads, **{**options, "reads": reads}) for reads in ("causal", "any")))
        for reads in ("causal", "any"):
            cls.knows_replicas(cls.others.target(reads))

    def test_a_replica_that_is_too_far_behind_gets_nothing(self):
        fronts = {"bounded": self.front.target(), "causal": self.others.target("causal"), "any": self.others.target("any")}
        self.replicas[0].pause()
        self.addCleanup(self.replicas[0].resume)
        self.primary.sql("INSERT INTO t (v) VALUES ('later')")

        def asked(reads, mark, replica):
            """By sessions that have seen nothing yet."""
            before = len(self.replicas[replica].log)
            for n in range(10):
                with pg.PgSession(fronts[reads]) as session:
                    session.ask(f"SELECT {n} /* {mark} */")
            return self.replicas[replica].logged(mark, before)
        for reads in ("bounded", "causal"):
            wait_until(lambda r=reads: asked(r, "lags", 0) == 0, what="the lagging replica to be left alone")
            self.assertEqual(asked(reads, "other", 1), 10)
        self.assertGreater(asked("any", "any", 0), 0)
        self.replicas[0].resume()
        for reads in ("bounded", "causal"):
            wait_until(lambda r=reads: asked(r, "again", 0) > 0, what="it to be used again")

    def test_an_idle_primary_makes_no_lag(self):
        session = self.session()
        before = len(self.primary.log)
        for n in range(20):
            session.ask(f"SELECT {n} /* idle */")
            time.sleep(0.02)  # what is tested is that nothing happens
        self.assertLessEqual(self.primary.logged("idle", before), 2)  # a probe may be late


if __name__ == "__main__":
    main()
