#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_routing
"""What Sheaf answers itself: its own settings, which are settings as any other, and EXPLAIN ROUTE, which tells the truth."""
from lib import *
from lib import pgwire as pg
from lib.sql_route import Routed


class Own(Routed):
    options = {"causal_wait": "10s", "database": ["quiet -> app route=primary", "one -> app pool_size=1", "*"]}

    def routes(self, session, *steps):
        """What sheaf.route is after each of the steps."""
        told = []
        for step in steps:
            self.assertEqual(session.ask(step).errors, [], step)
            told.append(session.value("SHOW sheaf.route"))
        return told

    def test_transactions_and_savepoints_undo_a_setting(self):
        session = self.session()
        self.assertEqual(self.routes(session, "BEGIN", "SET sheaf.route = replica", "ROLLBACK"), ["auto", "replica", "auto"])
        self.assertEqual(self.routes(session, "BEGIN", "SET sheaf.route = replica", "COMMIT", "RESET sheaf.route"), ["auto", "replica", "replica", "auto"])
        self.assertEqual(self.routes(session, "BEGIN", "SET LOCAL sheaf.route = primary", "COMMIT"), ["auto", "primary", "auto"])
        self.assertEqual(self.routes(session, "BEGIN", "SET sheaf.route = replica", "SAVEPOINT a", "SET sheaf.route = 'primary'", "ROLLBACK TO a", "COMMIT"),
                         ["auto", "replica", "replica", "primary", "replica", "replica"])
        session.ask("BEGIN")
        session.ask("SELECT nothing")
        for text in ("SET sheaf.route = auto", "SET sheaf.route = nowhere", "RESET sheaf.route", "SHOW sheaf.route", "SHOW sheaf.position", "EXPLAIN ROUTE SELECT 1"):
            self.assertEqual((session.ask(text).errors, session.ask_extended(text).errors), (["25P02"], ["25P02"]), text)
        self.assertEqual(self.routes(session, "ROLLBACK"), ["replica"])
        answer = session.ask("SET LOCAL sheaf.route = auto")
        self.assertEqual((answer.tags, answer[0].code, session.value("SHOW sheaf.route")), ("NCZ", "25P01", "replica"))

    def test_reset_goes_back_to_what_the_client_began_with(self):
        session = self.session(options={"sheaf.route": "replica"})
        for back in ("RESET sheaf.route", "SET sheaf.route TO DEFAULT", "RESET ALL", "DISCARD ALL"):
            self.assertEqual(self.routes(session, "SET sheaf.route = primary", back), ["primary", "replica"], back)
        other = self.session()
        self.assertEqual(self.routes(other, "SET sheaf.route = primary", "RESET ALL", "SET sheaf.route = primary", "DISCARD ALL"),
                         ["primary", "auto", "primary", "auto"])

    def test_a_client_overrides_what_it_is_given(self):
        with pg.PgSession(self.front.target(), database="quiet") as session:
            self.assertEqual(session.value("SHOW sheaf.route"), "primary")
        with pg.PgSession(self.front.target(), database="quiet", options={"sheaf.route": "auto"}) as session:
            self.assertEqual((session.value("SHOW sheaf.route"), self.went(session, "SELECT 1")[0]), ("auto", "replica"))

    def test_among_other_statements_and_by_set_config(self):
        """It counts, and does not stay at the server for whoever comes next."""
        with pg.PgSession(self.front.target(), database="one") as session, pg.PgSession(self.front.target(), database="one") as other:
            for step in ("SELECT 1; SET sheaf.route = replica", "SELECT set_config('sheaf.route', 'replica', false)"):
                self.assertEqual(self.routes(session, step, "RESET sheaf.route", step), ["replica", "auto", "replica"])
                self.assertIn(other.value("SELECT current_setting('sheaf.route', true)"), (None, ""))
                session.ask("RESET sheaf.route")
            session.run(pg.one("SELECT set_config($1, $2, false)", "sheaf.route", "replica") + pg.sync())
            self.assertEqual((session.value("SHOW sheaf.route"), self.went(session, "SELECT 1")[0]), ("replica", "replica"))

    def test_what_is_prepared_and_only_flushed(self):
        """As asyncpg does it; what fails is skipped up to a Sync."""
        for before in ("SELECT 1", "BEGIN", "SELECT pg_advisory_lock(1)"):
            with self.subTest(before=before), self.session() as session:
                session.ask(before)
                for name in ("", "shown"):
                    self.assertEqual(session.ask_until(pg.parse(name, "SHOW sheaf.route") + pg.describe("S", name) + pg.flush(), "TE").tags, "1tT")
                    self.assertEqual(session.run(pg.bind("", name) + pg.execute() + pg.sync()).rows, [["auto"]])
                session.send(pg.parse("shown", "SHOW sheaf.route") + pg.describe("S", "shown") + pg.flush() + pg.query("SELECT 1"))
                self.assertEqual(session.until("E").errors, ["42P05"])
                self.assertEqual(session.run(pg.one("SELECT 1") + pg.sync()).tags, "Z")
                self.assertEqual(session.value("SELECT 1"), "1")

    def explained(self, session, sql):
        return session.value(f"EXPLAIN ROUTE {sql}")

    def test_explain_route_tells_what_is_done(self):
        """In a transaction, with something at the server, after a replica's refusal, by what the catalog is sure of."""
        session = self.session()
        session.ask("BEGIN")
        told = self.explained(session, "SELECT 1")
        self.assertTrue(told.startswith("primary ") and "its transaction is there" in told, told)
        self.assertEqual(self.went(session, "SELECT 1")[0], "primary")
        session.ask("ROLLBACK")
        session.ask("BEGIN READ ONLY")
        self.assertTrue(self.explained(session, "SELECT 1").startswith("replica "))
        told = self.explained(session, "SELECT nextval('t_id_seq')")
        self.assertTrue(told.startswith("primary ") and "begun anew there" in told, told)
        self.assertEqual(self.went(session, "SELECT nextval('t_id_seq') IS NULL")[0], "primary")
        session.ask("ROLLBACK")
        session.ask("CREATE TEMP TABLE mine (a int)")
        told = self.explained(session, "SELECT 1")
        self.assertTrue(told.startswith("primary ") and "temporary objects" in told, told)
        session.ask("DROP TABLE mine")
        self.assertTrue(self.explained(session, "SELECT 1").startswith("replica "), "after a write")
        self.assertEqual(self.explained(session, "SHOW sheaf.route"), "none: answered by Sheaf")
        self.assertTrue(self.explained(session, "SELECT 1 /* route=primary */").endswith("a hint"))

    def test_explain_route_knows_what_a_replica_refused(self):
        self.primary.sql("CREATE FUNCTION lies() RETURNS int STABLE LANGUAGE plpgsql AS $$ BEGIN UPDATE t SET v = v; RETURN 1; END $$", user="app")
        self.caught_up()
        session = self.session()
        sql = "SELECT lies() + 1"
        wait_until(lambda: self.explained(session, sql).startswith("replica "), what="Sheaf to know the catalog")
        self.assertEqual(self.went(session, sql)[0], "replica primary")
        wait_until(lambda: self.explained(session, sql).startswith("primary "), 1, what="the refusal to be told")
        self.assertTrue(self.explained(session, sql + " /* more */").startswith("primary "))


class Position(Routed):
    options = {"probe_interval": "1h", "probe_timeout": "1s"}

    def lsn(self, session):
        high, low = session.value("SHOW sheaf.position").rsplit(":", 1)[1].split("/")
        return (int(high, 16) << 32) + int(low, 16)

    def test_what_was_read_at_replicas_is_covered(self):
        """Of what another has written, past Sheaf."""
        any_of = Sheaf(self, sql_pool(self.primary, self.replicas, reads="any", **self.options))
        self.knows_replicas(any_of.target())
        for front in (self.front, any_of):
            with pg.PgSession(front.target()) as session:
                session.ask("SELECT 1")
                wait_until(lambda s=session: s.ask("SHOW sheaf.position").rows, what="the primary to be known")
                self.primary.sql("INSERT INTO t (v) VALUES ('d')")
                written = self.primary.position()
                self.caught_up()
                self.assertEqual(self.went(session, "SELECT count(*) FROM t /* route=replica */")[0], "replica")
                self.assertGreaterEqual(self.lsn(session), written)

    def test_it_is_not_told_if_it_is_not_known(self):
        session = self.session()
        session.ask("INSERT INTO t (v) VALUES ('e')")
        wait_until(lambda: not self.primary.sessions("state <> 'idle'"), what="nothing to be under way")
        self.primary.stop()
        self.addCleanup(self.primary.cont)
        self.assertEqual(session.ask("SHOW sheaf.position").errors, ["57P03"])
        self.primary.cont()
        self.assertGreater(wait_until(lambda: not session.ask("SHOW sheaf.position").errors and self.lsn(session)), 0)


if __name__ == "__main__":
    main()
