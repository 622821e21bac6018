#!/usr/bin/python3
# not under tsan: logins, and what they ask, are tried in other files of SQL pools
"""Users whom the configuration does not name: the servers are asked by auth_query, and what they say is what counts,
also when it is nonsense."""
import base64
import contextlib
import hashlib
import hmac
import pathlib
import re
import threading
import unittest

import psycopg2

from lib import *
from lib import pgwire
from lib.sql_login import Bytes
from lib.postgres import Postgres
from lib.sheaf import Sheaf, sql_pool


def verifier(password, iterations, salt=b"sixteen bytes !!"):
    """As PostgreSQL keeps it, which makes them with 4096 iterations only."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    server = hmac.digest(salted, b"Server Key", "sha256")
    return (f"SCRAM-SHA-256${iterations}:{base64.b64encode(salt).decode()}${base64.b64encode(stored).decode()}:"
            f"{base64.b64encode(server).decode()}")


ROLES = """
CREATE ROLE asker LOGIN PASSWORD 'asks'; GRANT pg_read_all_data TO asker; GRANT SELECT ON pg_authid TO asker;
CREATE ROLE anna LOGIN PASSWORD 'pencil'; CREATE ROLE "odd ""name" LOGIN PASSWORD 'pencil'; CREATE ROLE bare LOGIN;
CREATE ROLE past LOGIN PASSWORD 'pencil' VALID UNTIL '2001-01-01';
SET password_encryption = 'md5'; CREATE ROLE old LOGIN PASSWORD 'pencil'; RESET password_encryption;
CREATE TABLE said (name text, secret text);
-- Answers by the name that is asked for.
CREATE FUNCTION look_up(asked text) RETURNS TABLE(name text, secret text) LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    PERFORM pg_advisory_xact_lock_shared(7);
    IF asked = 'fails' THEN RAISE 'no' USING ERRCODE = 'P0001'; END IF;
    IF asked = 'ends' THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF;
    RETURN QUERY SELECT CASE WHEN asked = 'another' THEN 'anna' WHEN asked <> 'nameless' THEN asked END,
        CASE WHEN asked = 'long' THEN repeat('x', 2000) WHEN asked = 'clear' THEN 'pencil' ELSE r.rolpassword END
        FROM pg_authid r, generate_series(1, CASE WHEN asked = 'twice' THEN 2 WHEN asked = 'many' THEN 100000 ELSE 1 END)
        WHERE rolname = CASE WHEN asked IN (SELECT a.rolname FROM pg_authid a) OR asked LIKE 'no%' AND asked <> 'nameless' THEN asked ELSE 'anna' END;
END $$;
GRANT EXECUTE ON FUNCTION look_up TO asker;
"""
MACHINE_ID = pathlib.Path("/etc/machine-id")
HAS_NUMBER = MACHINE_ID.exists() and re.fullmatch("[0-9a-f]{32}", MACHINE_ID.read_text(encoding="ascii").strip())
FUNCTION = "SELECT name, secret FROM look_up($$1)"


class Asked(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls, {"log_statement": "all"}, hba=["host all all all scram-sha-256"])
        cls.server.sql(ROLES)

    @classmethod
    def pool(cls, name="main", **options):
        kind, words = sql_pool(cls.server, name=name, auth="scram-sha-256", user="asker asks", auth_user="asker",
                               probe_user="asker", probe_password="asks")
        words |= options
        return kind, {key: value for key, value in words.items() if value is not None}

    def sheaf(self, *pools, workers=1, **options):
        return Sheaf(self, *(pools or [self.pool(**options)]), proxy={"workers": workers})

    def connect(self, sheaf, user, password="pencil", pool=None, database="app"):
        host, port = sheaf.target(pool)
        connection = psycopg2.connect(host=host, port=port, user=user, password=password, dbname=database, sslmode="disable")
        connection.autocommit = True
        return contextlib.closing(connection)

    def who(self, sheaf, user, password="pencil", **words):
        with self.connect(sheaf, user, password, **words) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT current_user")
            return cursor.fetchone()[0]

    def refusal(self, sheaf, user, password="pencil", **words):
        with self.assertRaises(psycopg2.OperationalError) as caught:
            self.who(sheaf, user, password, **words)
        return re.search(r"FATAL: +(.*)", str(caught.exception))[1]

    def questions(self):
        return self.server.logged(r"execute <unnamed>: SELECT (?:rolname|name)")


class Users(Asked):
    def test_whom_the_server_knows_comes_in_and_is_himself_there(self):
        sheaf = self.sheaf(workers=2)
        for user in ("anna", 'odd "name', "anna"):
            self.assertEqual(self.who(sheaf, user), user)
        with pgwire.PgSession(sheaf.target(), user="anna", password="pencil") as session:
            self.assertEqual(session.value("SELECT current_user"), "anna")

    def test_who_may_not_come_in_hears_what_the_server_would_say(self):
        sheaf = self.sheaf()
        for user in ("anna", "nobody", "bare", "past", "old", "x" * 63, "x" * 64, "x" * 300):
            self.assertEqual(self.refusal(sheaf, user, "Pencil"), f'password authentication failed for user "{user}"')
        self.assertEqual(self.refusal(sheaf, "past"), 'password authentication failed for user "past"')

    def test_a_user_of_the_configuration_is_not_asked_for(self):
        sheaf = self.sheaf(user=["asker asks", "anna pen"])
        before = self.questions()
        self.assertEqual(self.refusal(sheaf, "anna"), 'password authentication failed for user "anna"')
        self.assertEqual(self.questions(), before)

    def test_hashes_of_md5_serve_where_md5_is_asked_for(self):
        sheaf = self.sheaf(auth="md5")
        with pgwire.PgSession(sheaf.target(), login=False) as session:  # until he is known to be otherwise, SCRAM is asked for
            session.send(pgwire.startup({"user": "nobody", "database": "app"}))
            self.assertEqual(session.message().body[:4], b"\0\0\0\x0a")
        self.assertEqual(self.who(sheaf, "anna"), "anna")
        with self.assertRaises(psycopg2.OperationalError) as caught:  # the server asks for SCRAM
            self.who(sheaf, "old")
        self.assertIn("only a hash of the password is known", str(caught.exception))

    def test_a_clear_password_serves_by_auth_password_and_by_scram(self):
        for auth in ("password", "scram-sha-256"):
            sheaf = self.sheaf(auth=auth, auth_query=FUNCTION)
            for user in ("clear", "clear"):
                self.assertIn("refused the login", self.refusal(sheaf, user))  # there is no such role
            self.assertEqual(self.refusal(sheaf, "clear", "Pencil"), 'password authentication failed for user "clear"')
            self.assertEqual(self.who(sheaf, "anna"), "anna")

    def test_it_is_asked_where_auth_dbname_says(self):
        self.server.sql("CREATE DATABASE apart")
        self.server.sql("CREATE DATABASE users")
        self.server.sql("CREATE FUNCTION mine(name) RETURNS TABLE(a name, b text) SECURITY DEFINER LANGUAGE sql AS"
                        " 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1'", database="users")
        sheaf = self.sheaf(self.pool(), self.pool("other", auth_dbname="users", auth_query="SELECT * FROM mine($$1)"))
        for pool in ("main", "other"):
            self.assertEqual(self.who(sheaf, "anna", pool=pool, database="apart"), "anna")
            self.assertEqual(self.refusal(sheaf, "anna", pool=pool, database="nosuch"), 'database "nosuch" does not exist')
        self.assertEqual(self.refusal(sheaf, "anna", "no", pool="other", database="nosuch"),
                         'password authentication failed for user "anna"')

    def test_a_pause_does_not_keep_out_who_comes_to_end_it(self):
        """Whom only the servers know: he is asked for, and nobody else."""
        sheaf = self.sheaf(admin_user=["anna", "asker"], auth_dbname="postgres", failover_wait="500ms", connect_timeout="500ms")
        with pgwire.PgSession(sheaf.target(), user="asker", password="asks", database="sheaf") as console:
            self.assertEqual(console.ask("PAUSE").errors, [])
        self.assertEqual(self.refusal(sheaf, "old"), 'the servers can\'t be asked who user "old" is (auth_query)')
        with pgwire.PgSession(sheaf.target(), user="anna", password="pencil", database="sheaf") as console:
            wait_until(lambda: self.server.sessions("usename = 'asker' AND datname = 'postgres' AND query LIKE '%pg_authid%'") == [], what="nothing to be asked any more")
            self.assertEqual(console.ask("RESUME").errors, [])
        self.assertEqual(self.who(sheaf, "anna"), "anna")

    def test_a_url_that_names_a_user_does_not_change_who_asks(self):
        self.server.sql("CREATE ROLE every LOGIN PASSWORD 'one'")
        sheaf = self.sheaf(primary=self.server.url_as("every", "one"))
        self.assertEqual(self.who(sheaf, "anna"), "every")
        sheaf = self.sheaf(primary=self.server.url_as("asker", "asks"), user=None)
        self.assertEqual(self.who(sheaf, "anna"), "asker")


class Kept(Asked):
    def test_many_who_come_at_once_ask_once(self):
        sheaf = self.sheaf(auth_query=FUNCTION)
        before, got = self.questions(), []
        with contextlib.closing(self.server.connect()) as lock, lock.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            threads = [threading.Thread(target=lambda: got.append(self.who(sheaf, "anna"))) for _ in range(20)]
            for thread in threads:
                thread.start()
            wait_until(lambda: self.server.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), what="the question")
            wait_until(lambda: sheaf.status()["sessions"]["open"] == 20, what="all to be there")
        for thread in threads:
            thread.join()
        self.assertEqual(got, ["anna"] * 20)
        self.assertEqual(self.questions(), before + 1)

    def test_who_tries_names_costs_the_server_one_question_each(self):
        sheaf = self.sheaf()
        before = self.questions()
        for _ in range(3):
            self.refusal(sheaf, "nobody")
        self.assertLessEqual(self.questions(), before + 3)
        self.assertGreaterEqual(self.questions(), before + 1)

    def test_a_changed_password_is_known_when_the_old_one_failed(self):
        self.server.sql("CREATE ROLE changes LOGIN PASSWORD 'first'")
        sheaf = self.sheaf()
        self.assertEqual(self.who(sheaf, "changes", "first"), "changes")
        self.server.sql("ALTER ROLE changes PASSWORD 'second'")

        def comes_in():
            with contextlib.suppress(psycopg2.OperationalError):
                return self.who(sheaf, "changes", "second") == "changes"
            return False
        wait_until(comes_in, what="the new password to do")
        self.assertEqual(self.refusal(sheaf, "changes", "first"), 'password authentication failed for user "changes"')

    def test_a_user_who_was_made_comes_in_soon(self):
        sheaf = self.sheaf()
        self.refusal(sheaf, "made")
        self.server.sql("CREATE ROLE made LOGIN PASSWORD 'pencil'")

        def comes_in():
            with contextlib.suppress(psycopg2.OperationalError):
                return self.who(sheaf, "made") == "made"
            return False
        wait_until(comes_in, what="the new user to be known")


class Unknown(Asked):
    """Who does not exist looks like who does."""

    def challenge(self, sheaf, user):
        connection = Bytes(sheaf.port, user)
        connection.send("p", b"SCRAM-SHA-256\0" + (21).to_bytes(4, "big") + b"n,,n=,r=aaaaaaaaaaaaa")
        answer = re.search(rb"r=a{13}.{24},s=([A-Za-z0-9+/=]+),i=(\d+)$", connection.receive())
        connection.close()
        return len(base64.b64decode(answer[1])), int(answer[2]), answer[1]

    def test_salt_and_iterations_are_as_most_have_them(self):
        salt = b"a salt that is as long as 32 are"
        self.server.sql(f"CREATE ROLE heavy LOGIN PASSWORD '{verifier('pencil', 9000, salt)}';"
                        f"CREATE ROLE heavier LOGIN PASSWORD '{verifier('pencil', 9000, salt)}'")
        sheaf = self.sheaf()
        self.assertEqual(self.challenge(sheaf, "nobody")[:2], (16, 4096))  # as PostgreSQL makes them
        for user in ("heavy", "heavier"):
            self.assertEqual(self.challenge(sheaf, user)[:2], (32, 9000))
            self.assertEqual(self.who(sheaf, user), user)
        self.assertEqual(self.challenge(sheaf, "nobody")[:2], (32, 9000))
        self.assertEqual(self.challenge(sheaf, "nobody"), self.challenge(sheaf, "nobody"))
        self.assertEqual(self.challenge(sheaf, "bare")[:2], (32, 9000))

    @unittest.skipUnless(HAS_NUMBER, "this machine has no /etc/machine-id")
    def test_salts_stay_over_a_restart_as_those_of_verifiers_do(self):
        sheaf = self.sheaf()
        before = [self.challenge(sheaf, user) for user in ("nobody", "else", "bare")]
        self.assertNotEqual(before[0], before[1])
        sheaf.terminate()
        sheaf.start()
        self.assertEqual([self.challenge(sheaf, user) for user in ("nobody", "else", "bare")], before)

    def test_so_are_those_of_users_of_the_configuration(self):
        kind, words = self.pool(user=["anna " + verifier("a", 5000).replace("$", "$$"), "berta " + verifier("b", 5000).replace("$", "$$"),
                                      "clara " + verifier("c", 4096).replace("$", "$$"), "dora pencil"])
        for option in ("auth_user", "probe_user", "probe_password"):
            del words[option]
        sheaf = self.sheaf((kind, words))
        for user, iterations in (("anna", 5000), ("clara", 4096), ("dora", 5000), ("nobody", 5000)):
            self.assertEqual(self.challenge(sheaf, user)[:2], (16, iterations))


class Troubles(Asked):
    def test_answers_that_are_none_of_use_are_refused(self):
        cases = {"fails": "no", "twice": "more than one row", "many": "more than one row", "another": "another user",
                 "nameless": "another user", "long": "too long"}
        sheaf = self.sheaf(*(self.pool(user, auth_query=FUNCTION) for user in cases))
        for user, why in cases.items():
            with self.subTest(user):
                self.assertEqual(self.refusal(sheaf, user, pool=user),
                                 f'the servers can\'t be asked who user "{user}" is (auth_query)')
                self.assertRegex(sheaf.log, f"auth_query failed pool={user}.*{why}")
                self.assertEqual(self.who(sheaf, "anna", pool=user), "anna")
                self.assertEqual(self.refusal(sheaf, "nobody", pool=user), 'password authentication failed for user "nobody"')

    def test_a_server_that_ends_each_time_is_given_up(self):
        sheaf = self.sheaf(auth_query=FUNCTION)
        self.assertIn("can't be asked", self.refusal(sheaf, "ends"))
        self.assertEqual(self.who(sheaf, "anna"), "anna")

    def test_queries_that_can_not_serve_are_refused(self):
        queries = {"three": "SELECT $$1, 'a', 'b'", "one": "SELECT $$1::text", "number": "SELECT $$1, 7", "wrong": "SELEKT $$1",
                   "nothing": "DO '$$1'", "copied": "COPY (SELECT 1) TO STDOUT -- $$1", "copies": "COPY said FROM STDIN -- $$1",
                   "listens": "LISTEN a -- $$1", "two": "SELECT $$1, 'a'; SELECT 1", "bytes": "SELECT $$1, 'a'::bytea"}
        sheaf = self.sheaf(*(self.pool(name, auth_query=query) for name, query in queries.items()))
        for name in queries:
            with self.subTest(name):
                self.assertIn("can't be asked", self.refusal(sheaf, "anna", pool=name))

    def test_an_asker_who_is_not_let_in_or_may_not_ask(self):
        self.server.sql("CREATE ROLE weak LOGIN PASSWORD 'weak'")
        sheaf = self.sheaf(self.pool(user="asker wrong"), self.pool("weak", user="weak weak", auth_user="weak"),
                           self.pool("none", auth_user="nosuch"))
        for pool, why in (("main", "password authentication failed"), ("weak", "permission denied"), ("none", "password")):
            with self.subTest(pool):
                self.assertIn("can't be asked", self.refusal(sheaf, "anna", pool=pool))
                self.assertRegex(sheaf.log, f"auth_query failed.*pool={pool}.*{why}")

    def test_a_login_that_waits_for_an_answer_survives_a_reload_and_may_leave(self):
        pool = self.pool(auth_query=FUNCTION)
        sheaf = self.sheaf(pool)
        got = []
        with contextlib.closing(self.server.connect()) as lock, lock.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(7)")
            thread = threading.Thread(target=lambda: got.append(self.who(sheaf, "anna")))
            thread.start()
            wait_until(lambda: self.server.value("SELECT count(*) FROM pg_locks WHERE NOT granted"), what="the question")
            left = pgwire.PgSession(sheaf.target(), login=False)
            left.send(pgwire.startup({"user": "anna", "database": "app"}))
            wait_until(lambda: sheaf.status()["sessions"]["open"] == 2, what="both")
            left.close()
            wait_until(lambda: sheaf.status()["sessions"]["open"] == 1, what="one to leave")
            before = sheaf.status()["generation"]
            pool[1]["user"] = ["asker asks", "more secret"]
            sheaf.reload(pool)
            wait_until(lambda: sheaf.status()["generation"] > before, what="the reload")
        thread.join()
        self.assertEqual(got, ["anna"])


class Down(Asked):
    def test_while_the_server_is_down_logins_wait_and_then_hear_so(self):
        sheaf = self.sheaf(failover_wait="300ms", connect_timeout="300ms", backoff_max="50ms")
        self.assertEqual(self.who(sheaf, "anna"), "anna")
        self.server.shutdown("fast")
        try:
            with self.assertRaises(psycopg2.OperationalError) as caught:
                self.who(sheaf, "berta")
            self.assertIn("can't be asked", str(caught.exception))
        finally:
            self.server.start()
        self.server.sql("CREATE ROLE berta LOGIN PASSWORD 'pencil'")

        def comes_in():
            with contextlib.suppress(psycopg2.OperationalError):
                return self.who(sheaf, "berta") == "berta"
            return False
        wait_until(comes_in, what="the server to be asked again")

    def test_a_server_that_restarted_is_asked_over_a_new_connection(self):
        sheaf = self.sheaf()
        self.assertEqual(self.who(sheaf, "anna"), "anna")
        self.server.restart()
        self.assertEqual(self.refusal(sheaf, "nobody2"), 'password authentication failed for user "nobody2"')


if __name__ == "__main__":
    main()
