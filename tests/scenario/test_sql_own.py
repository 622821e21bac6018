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
        self.assertEqual(session.ask("SET sheaf.route = auto").errors, ["25P02"])
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


if __name__ == "__main__":
    main()
