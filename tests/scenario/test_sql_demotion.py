#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""A replica is promoted while the old primary lives, or stands still: nobody is left there."""
from lib import *
from lib import pgwire as pg


class Demotion(Case):
    def setUp(self):
        self.primary = Postgres(self)
        self.primary.sql("CREATE TABLE log (client int, n int, PRIMARY KEY (client, n))", user="app")
        self.replica = Replica(self, self.primary)

    def serve(self, **options):
        """Both are candidates."""
        self.front = Sheaf(self, sql_pool([self.primary.url, self.replica.url], probe_interval="50ms", probe_timeout="300ms",
                                          failover_wait="20s", **options))

    def session(self, **options):
        session = pg.PgSession(self.front.target(), **options)
        self.addCleanup(session.close)
        return session

    def test_promoted_while_the_old_primary_lives(self):
        """And would take writes: nobody goes on there, and each is told what became of what he did."""
        old, new = self.primary, self.replica
        old.sql("""ALTER ROLE app REPLICATION;
                   CREATE FUNCTION lasts() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM pg_sleep(60); RETURN NULL; END$$;
                   CREATE TABLE slow (n int); GRANT ALL ON slow TO app;
                   CREATE CONSTRAINT TRIGGER lasts AFTER INSERT ON slow DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lasts()""")
        self.serve(database=["kept -> app pooling=session", "narrow -> app pool_size=1", "*"])
        begun, pinned, asking, writing, committing = (self.session() for _ in range(5))
        kept, busy, narrow, waiting = (self.session(database=name) for name in ("kept", "kept", "narrow", "narrow"))
        stream = self.session(options={"replication": "true"})
        self.assertEqual(stream.ask("IDENTIFY_SYSTEM").errors, [])
        for n, session in enumerate((begun, asking, committing, narrow)):
            session.ask("BEGIN")
            self.assertEqual(session.ask(f"INSERT INTO log VALUES (0, {n})").errors, [])
        self.assertEqual(pinned.ask("CREATE TEMP TABLE mine AS SELECT 1").errors, [])
        self.assertEqual(kept.ask("INSERT INTO log VALUES (1, 1)").errors, [])
        self.assertEqual(committing.ask("INSERT INTO slow VALUES (1)").errors, [])
        for session, text in ((asking, "SELECT pg_sleep(60)"), (writing, "INSERT INTO slow VALUES (2)"), (busy, "INSERT INTO slow VALUES (3)"), (committing, "COMMIT"),
                              (waiting, "INSERT INTO log VALUES (1, 2)")):
            session.send(pg.query(text))
        wait_until(lambda: len(old.sessions("wait_event = 'PgSleep'")) == 4, what="the statements to be under way")
        self.replica.wait_for_catchup()
        new.promote()
        for session, told in ((begun, "57P01"), (pinned, "57P01"), (kept, "57P01"), (narrow, "57P01"), (asking, "08006"), (writing, "08007"),
                              (busy, "08007"), (committing, "08007")):
            answer = session.until("E")
            self.assertEqual(answer.errors, [told])
            self.assertIn("another server is the primary now", answer[-1].fields["M"])
        self.assertEqual((waiting.until("Z").done, stream.rest()), (["INSERT 0 1"], []))
        for session in (asking, writing, committing):
            session.until("Z")
            self.assertEqual(session.ask("SELECT pg_is_in_recovery()").rows, [["f"]])
        wait_until(lambda: not old.sessions("state <> 'idle' AND usename = 'app' AND wait_event IS DISTINCT FROM 'PgSleep'"), what="them to be gone")
        self.assertEqual(old.sql("SELECT n FROM log WHERE client = 0"), [])
        self.assertEqual(new.sql("SELECT * FROM log"), [(1, 1), (1, 2)])

    def test_promoted_while_the_old_primary_stands_still(self):
        """Nobody waits for it until TCP gives up."""
        self.serve()
        begun, committing = self.session(), self.session()
        for n, session in enumerate((begun, committing)):
            session.ask("BEGIN")
            self.assertEqual(session.ask(f"INSERT INTO log VALUES (0, {n})").errors, [])
        self.replica.wait_for_catchup()
        self.primary.stop()
        self.addCleanup(self.primary.cont)
        committing.send(pg.query("COMMIT"))
        self.assertTrue(committing.is_silent())
        self.replica.promote()
        self.assertEqual((begun.until("E").errors, committing.until("Z").errors), (["57P01"], ["08007"]))
        self.assertEqual(committing.ask("INSERT INTO log VALUES (1, 1)").errors, [])

    def test_who_wrote_before_reads_at_replicas_after_a_promotion(self):
        """What it needs is of the old history: what the new primary began with is all of that."""
        last = Replica(self, self.primary)
        self.front = Sheaf(self, sql_pool([server.url for server in (self.primary, self.replica, last)], probe_interval="50ms",
                                          probe_timeout="300ms", on_replicas_down="error", causal_wait="5s",
                                          probe_user="postgres"))
        session = self.session()
        self.assertEqual(session.ask("INSERT INTO log VALUES (1, 1)").errors, [])
        session.value("SHOW sheaf.position")
        self.replica.wait_for_catchup()
        last.wait_for_catchup()
        self.primary.kill9()
        self.replica.promote()
        last.follow(self.replica)

        def told():
            with pg.PgSession(self.front.target()) as other:
                return other.value("EXPLAIN ROUTE SELECT 1").startswith("replica ")
        wait_until(told, what="replicas to be known")
        self.assertEqual(session.ask("SELECT count(*) FROM log").rows, [["1"]])


if __name__ == "__main__":
    main()
