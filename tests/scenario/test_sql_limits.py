#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""How many server connections there are, who waits for them, for how long, and what is said when there are no more."""
import contextlib
import re
import signal
import socket
import threading
import time

import psycopg2

from lib import *
from lib import pgwire
from lib.postgres import Postgres
from lib.sheaf import Sheaf, sql_pool


class Limits(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls)
        cls.server.sql("CREATE ROLE anna LOGIN; CREATE ROLE one LOGIN CONNECTION LIMIT 1; CREATE TABLE here (n int);"
                       "GRANT ALL ON here TO PUBLIC")
        cls.server.sql("CREATE DATABASE closed ALLOW_CONNECTIONS false")
        cls.server.sql("CREATE DATABASE private")
        cls.server.sql("REVOKE CONNECT ON DATABASE private FROM PUBLIC")

    def serve(self, workers=1, drain_timeout="30s", **options):
        options.setdefault("probe", "no")  # nobody else is at the server
        self.sheaf = Sheaf(self, sql_pool(self.server, user=["app secret", "anna x", "one x"], **options),
                           proxy={"workers": workers, "drain_timeout": drain_timeout})
        wait_until(lambda: not self.connections(), what="those of other tests to go")
        return self.sheaf

    def session(self, user="app", database="app", **options):
        session = pgwire.PgSession(self.sheaf.target(), user=user, database=database, **options)
        self.addCleanup(session.close)
        return session

    def connections(self, user=None):
        return [row for row in self.server.sessions() if user in (None, row[1])]

    def waiting(self):
        return self.sheaf.status()["pools"][0]["clients"]["waiting"]

    def holders(self, count, **words):
        """Sessions that hold a server connection each."""
        sessions = [self.session(**words) for _ in range(count)]
        for session in sessions:
            session.ask("BEGIN")
        return sessions

    def refusal(self, **words):
        with self.assertRaises(pgwire.PgError) as caught:
            pgwire.PgSession(self.sheaf.target(), **words).close()
        return caught.exception.code, caught.exception.fields["M"]


class Sizes(Limits):
    def test_min_pool_size_is_opened_ahead_and_kept(self):
        for workers in (1, 2):
            self.serve(workers=workers, min_pool_size=3)
            session = self.session()
            self.assertEqual(session.value("SELECT 1"), "1")
            wait_until(lambda: len(self.connections()) == 3, what="three connections")
            before = {row[0] for row in self.connections()}
            self.server.sql(f"SELECT pg_terminate_backend({min(before)})")
            wait_until(lambda: len({row[0] for row in self.connections()} - {min(before)}) == 3, what="another in its place")
            session.close()
            self.assertEqual(len(self.connections()), 3)
            self.sheaf.terminate()
            self.sheaf.wait()

    def test_pool_size_is_never_passed_and_waiters_are_served_in_order(self):
        self.serve(pool_size=2)
        held = self.holders(2)
        order, threads = [], []
        for n in range(3):
            session = self.session()
            waiting = self.waiting()

            def ask(session=session, n=n):
                session.ask(f"INSERT INTO here VALUES ({n})")
                order.append(n)
            threads.append(threading.Thread(target=ask))
            threads[-1].start()
            wait_until(lambda: self.waiting() == waiting + 1, what="it to wait")
        self.assertEqual(len(self.connections()), 2)
        held[0].ask("COMMIT")
        for thread in threads:
            thread.join()
        self.assertEqual(self.server.sql("SELECT n FROM here ORDER BY ctid"), [(0,), (1,), (2,)])
        self.server.sql("TRUNCATE here")
        self.assertEqual(len(self.connections()), 2)

    def test_the_reserve_is_for_those_who_have_waited(self):
        self.serve(pool_size=1, reserve_pool_size=1, reserve_pool_timeout="200ms")
        session = self.session()
        self.holders(1)
        self.assertEqual(session.value("SELECT 1"), "1")
        self.assertEqual(len(self.connections()), 2)

    def test_max_db_connections_counts_all_users_and_idle_ones_give_way(self):
        self.serve(max_db_connections=2)
        first, second, third = (self.session(user=user) for user in ("app", "anna", "one"))
        self.assertLessEqual(len(self.connections()), 2)
        first.ask("BEGIN")
        second.ask("BEGIN")
        third.send(pgwire.query("SELECT current_user"))
        self.assertTrue(third.is_silent(0.2))
        first.ask("COMMIT")
        self.assertEqual(third.until("Z").rows, [["one"]])
        self.assertLessEqual(len(self.connections()), 2)

    def test_max_user_connections_counts_all_databases(self):
        self.serve(max_user_connections=1)
        held, other = self.session(), self.session(database="postgres")
        held.ask("BEGIN")
        other.send(pgwire.query("SELECT 1"))
        self.assertTrue(other.is_silent(0.2))
        self.assertEqual(len(self.connections("app")), 1)
        held.ask("COMMIT")
        self.assertEqual(other.until("Z").rows, [["1"]])

    def test_a_server_connection_ends_when_it_is_old_or_long_unused(self):
        for options in ({"server_lifetime": "1s"}, {"server_idle_timeout": "1s"}):
            self.serve(**options)
            session = self.session()
            before = session.value("SELECT pg_backend_pid()")
            wait_until(lambda: not self.connections(), what="it to be closed")
            self.assertNotEqual(session.value("SELECT pg_backend_pid()"), before)


class Refusals(Limits):
    def test_more_clients_than_max_sessions_hear_it_in_postgresqls_words(self):
        self.serve(max_sessions=2, admin_user="app")
        sessions = [self.session() for _ in range(2)]
        with self.assertRaises(psycopg2.OperationalError) as caught:
            psycopg2.connect(host="127.0.0.1", port=self.sheaf.port, user="app", dbname="app", password="secret")
        self.assertIn("FATAL:  sorry, too many clients already", str(caught.exception))
        self.assertIn("HINT:  Try again", str(caught.exception))
        key = sessions[1].key
        sessions[1].send(pgwire.query("SELECT pg_sleep(60)"))
        wait_until(lambda: self.server.sessions("state = 'active'"), what="it to sleep")
        pgwire.cancel(self.sheaf.target(), key)  # who is one too many may do that, and look on
        self.assertEqual(sessions[1].until("Z").errors, ["57014"])
        self.session(database="sheaf").close()

    def test_who_is_sent_away_hears_why_as_from_the_server(self):
        self.serve()
        with pgwire.PgSession(self.sheaf.target()) as session:
            session.ask("SELECT 1")
            self.sheaf.process.signal(signal.SIGTERM)
            answer = session.rest()
            self.assertEqual((answer.errors, answer[-1].fields["S"]), (["57P01"], "FATAL"))
        self.serve(idle_timeout="1s")
        with pgwire.PgSession(self.sheaf.target()) as idle:
            answer = idle.rest()
            self.assertEqual((answer.errors, answer[-1].fields["S"]), (["57P05"], "FATAL"))

    def turns_away(self):
        try:
            socket.create_connection(self.sheaf.target()).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_what_is_under_way_when_the_process_ends_is_done_first(self):
        """A transaction, a COPY and a pipeline that their clients have yet to end."""
        one = "INSERT INTO here VALUES (1)"
        for begin, told, end, count in ((pgwire.query("BEGIN; " + one), "Z", pgwire.query("COMMIT"), 1),
                                        (pgwire.query("COPY here FROM STDIN") + pgwire.copy_data(b"1\n"), "G",
                                         pgwire.copy_data(b"2\n") + pgwire.copy_done(), 2),
                                        (pgwire.one(one) + pgwire.flush(), "C", pgwire.sync(), 1)):
            self.server.sql("TRUNCATE here")
            self.serve()
            with pgwire.PgSession(self.sheaf.target()) as session:
                session.send(begin)
                session.until(told)
                self.sheaf.process.signal(signal.SIGTERM)
                wait_until(self.turns_away, what="the process to take nobody any more")
                self.assertTrue(session.is_silent())
                session.send(end)
                self.assertEqual(session.until("Z").errors, [])
                self.assertEqual(session.rest().errors, ["57P01"])
            self.assertEqual(self.sheaf.wait(), 0)
            self.assertEqual(self.server.value("SELECT count(*) FROM here"), count)

    def test_a_transaction_that_outlasts_drain_timeout(self):
        self.serve(drain_timeout="300ms")
        with pgwire.PgSession(self.sheaf.target()) as session:
            session.ask("BEGIN")
            self.sheaf.process.signal(signal.SIGTERM)
            self.assertEqual(session.rest().errors, ["57P01"])
        self.assertEqual(self.sheaf.wait(), 0)

    def test_query_wait_timeout(self):
        self.serve(pool_size=1, query_wait_timeout="200ms")
        self.holders(1)
        session = self.session()
        session.send(pgwire.query("SELECT 1"))
        error = session.message()
        self.assertEqual((error.tag, error.code, error.fields["S"]), ("E", "57014", "FATAL"))
        self.assertIn("query_wait_timeout", error.fields["M"])
        self.assertIn("pool_size", error.fields["H"])
        self.assertRaises(EOFError, session.message)

    def test_a_server_without_room_has_its_connections_shared(self):
        self.serve()
        sessions = [self.session(user="one") for _ in range(5)]
        for session in sessions:
            session.send(pgwire.query("SELECT 1"))
        for session in sessions:
            self.assertEqual(session.until("Z").rows, [["1"]])

    def test_what_the_server_says_of_a_database_is_told_as_it_says_it(self):
        self.serve()
        for database, user in (("nosuch", "app"), ("closed", "app"), ("private", "anna")):
            with self.subTest(database):
                with self.assertRaises(psycopg2.OperationalError) as caught:
                    psycopg2.connect(host="127.0.0.1", port=self.server.port, user=user, dbname=database)
                code, message = self.refusal(user=user, database=database)
                self.assertIn(f"FATAL:  {message}\n", str(caught.exception))
                self.assertEqual(code, {"nosuch": "3D000", "closed": "55000", "private": "42501"}[database])

    def test_databases_that_are_not_listed_do_not_exist(self):
        self.serve(database=["app", "other -> postgres"])
        self.assertEqual(self.session(database="other").value("SELECT current_database()"), "postgres")
        self.assertEqual(self.refusal(database="postgres"), ("3D000", 'database "postgres" does not exist'))

    def test_statements_and_transactions_that_last_too_long(self):
        self.serve(query_timeout="1s", idle_transaction_timeout="1s", pool_size=1)
        slow, idle = self.session(), self.session()
        slow.send(pgwire.query("SELECT pg_sleep(60)"))
        self.assertEqual(slow.message().code, "57014")
        idle.ask("BEGIN")
        self.assertEqual(idle.message().code, "25P03")
        self.assertEqual(self.session().value("SELECT 1"), "1")
        wait_until(lambda: not self.server.sessions("state <> 'idle'"), what="the server to be left alone")


class Guesses(Case):
    """Who logged in by SCRAM last begins with that unasked; a server that asks for something else by now is asked anew."""

    def test_a_server_that_asks_for_another_method_by_now(self):
        server = Postgres(self, {"log_connections": "on"})
        front = Sheaf(self, sql_pool(server, probe="no", pool_size=1, reads="primary"), proxy={"workers": 1})
        with pgwire.PgSession(front.target()) as session:
            for method, logins in (("scram-sha-256", [1, 1, 1]), ("trust", [2, 1, 1]), ("scram-sha-256", [1, 1, 1]), ("password", [2, 1, 1]),
                                   ("scram-sha-256", [1, 1]), ("md5", [1, 1])):  # which is SCRAM where that is what is known
                server.hba = [f"host all app all {method}", "host all all all trust"]
                server.reload()
                for expected in logins:
                    with pgwire.PgSession(front.target()) as last, self.assertRaises(EOFError):
                        last.ask("SELECT pg_terminate_backend(pg_backend_pid())")
                    before = len(server.log)
                    answer = session.ask("SELECT current_user")
                    self.assertEqual((method, answer.errors, answer.rows), (method, [], [["app"]]))
                    wait_until(lambda b=before: server.logged("connection authorized: user=app", b), what="the login to be logged")
                    self.assertEqual((method, server.logged("connection received", before)), (method, expected))


class Clock(Case):
    """Who waits for a login costs nothing until something comes, or its time is over."""

    def turns(self):
        found = re.search(r"(?m)^sheaf_loop_turns_total (\S+)", self.front.http("/metrics")[1])
        return float(found[1])

    def wait_for_a_login(self, **options):
        server = Postgres(self)
        self.front = Sheaf(self, sql_pool(server, probe="no", pool_size=1, reads="primary", **options), proxy={"workers": 1})
        session = pgwire.PgSession(self.front.target())
        self.addCleanup(session.close)
        self.assertEqual(session.value("SELECT 1"), "1")
        with pgwire.PgSession(self.front.target()) as last, self.assertRaises(EOFError):
            last.ask("SELECT pg_terminate_backend(pg_backend_pid())")
        self.addCleanup(server.cont)
        server.stop()
        session.send(pgwire.query("SELECT 2"))
        wait_until(lambda: self.front.status()["pools"][0]["clients"]["waiting"] == 1, what="it to wait")
        return server, session

    def test_the_clock_rests_meanwhile(self):
        server, session = self.wait_for_a_login()
        before = self.turns()
        time.sleep(1)
        self.assertLess(self.turns() - before, 20)  # it rests for 250 ms, and is 2 ms too early at times
        server.cont()
        self.assertEqual(session.until("Z").rows, [["2"]])

    def test_and_is_on_time(self):
        _, session = self.wait_for_a_login(connect_timeout="20s", query_wait_timeout="1100ms")
        self.assertEqual(session.message().code, "57014")


class Silence(Case):
    """A server that takes connections and says nothing."""

    def setUp(self):
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        self.url = f"postgresql://127.0.0.1:{listener.getsockname()[1]}"

    def test_a_read_goes_elsewhere_when_connect_timeout_is_over(self):
        front = Sheaf(self, sql_pool(Postgres(self), [self.url], probe="no", reads="any", connect_timeout="200ms"))
        with pgwire.PgSession(front.target()) as session:
            self.assertEqual([session.value(f"SELECT {n}") for n in range(4)], ["0", "1", "2", "3"])
        self.assertRegex(front.log, "server can't be used .*connect_timeout passed")

    def test_who_has_no_other_hears_that(self):
        front = Sheaf(self, sql_pool(self.url, probe="no", connect_timeout="200ms", failover_wait="0s"))
        with self.assertRaises(pgwire.PgError) as caught:
            pgwire.PgSession(front.target())
        self.assertEqual(caught.exception.code, "57P03")
        self.assertRegex(front.log, "server can't be used .*connect_timeout passed")


class Names(Limits):
    def test_application_name_add_host(self):
        self.serve(application_name_add_host="yes", workers=2)
        for name in (None, "", "me", "ö" * 40, "x" * 63):
            with self.subTest(name):
                session = self.session(options={} if name is None else {"application_name": name})
                at = " - {}:{}".format(*session.socket.getsockname())
                cut = (name or "app").replace("ö", "??")[:63 - len(at)]
                self.assertEqual(session.value("SHOW application_name"), cut + at)
        session.ask("SET application_name = 'mine'")
        self.assertEqual(session.value("SHOW application_name"), "mine")
        session.ask("RESET application_name")
        self.assertIn(" - 127.0.0.1:", session.value("SHOW application_name"))


if __name__ == "__main__":
    main()
