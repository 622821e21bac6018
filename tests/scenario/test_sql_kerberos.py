#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""server_login = libpq: a server that asks for Kerberos is logged in to by libpq, with a real key server."""
import unittest

from lib import *
from lib import pgwire
from lib.certificates import Certificates
from lib.kerberos import PROGRAMS, Kerberos
from lib.postgres import Postgres
from lib.sheaf import Sheaf, sql_pool


@unittest.skipUnless(all(PROGRAMS), "krb5-kdc and krb5-admin-server are not installed")
class Logins(Case):
    @classmethod
    def setUpClass(cls):
        cls.kerberos = Kerberos(cls, "app", "postgres/localhost")
        cls.certificates = Certificates(cls.folder() / "certificates")
        cls.server = Postgres(cls, {"krb_server_keyfile": f"'{cls.kerberos.keytab('postgres/localhost')}'"},
                              hba=["host all scram all scram-sha-256", "host all all all gss include_realm=0"],
                              certificates=cls.certificates, env={"KRB5_CONFIG": str(cls.kerberos.config)})
        cls.server.sql("CREATE ROLE scram LOGIN PASSWORD 'pencil'; CREATE ROLE other LOGIN")

    def serve(self, env=None, **options):
        options = {"server_login": "libpq", "server_tls": "off", "probe": "no", "user": ["app secret", "scram pencil", "other x"], **options}
        return Sheaf(self, sql_pool(f"postgresql://localhost:{self.server.port}", auth="scram-sha-256", **{
            name: value for name, value in options.items() if name != "auth"}), env=self.kerberos.client_env("app") if env is None else env)

    def session(self, sheaf, user="app", password="secret"):
        session = pgwire.PgSession(sheaf.target(), user=user, password=password)
        self.addCleanup(session.close)
        return session

    def refused(self, sheaf, user="app", password="secret"):
        with self.assertRaises(pgwire.PgError) as caught:
            self.session(sheaf, user, password)
        return caught.exception.code, caught.exception.fields["M"]

    def test_the_daemons_tickets_log_in(self):
        for options in ({}, {"server_tls": "verify", "server_tls_ca": self.certificates.ca}):
            with self.subTest(**options):
                sheaf = self.serve(**options)
                session = self.session(sheaf)
                self.assertEqual(session.ask("SELECT current_user, principal, gss_authenticated, encrypted FROM pg_stat_gssapi"
                                             " WHERE pid = pg_backend_pid()").rows, [["app", "app@TEST", "t", "f"]])
                self.assertEqual(session.value("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"), "t" if options else "f")
                self.assertNotEqual(session.parameters["server_version"], "")
                session.send(pgwire.query("SELECT pg_sleep(60)"))
                wait_until(lambda: self.server.sessions("query LIKE 'SELECT pg_sleep%' AND state = 'active'"), what="it to sleep")
                pgwire.cancel(sheaf.target(), session.key)
                self.assertEqual(session.until("Z").errors, ["57014"])
                others = [self.session(sheaf) for _ in range(5)]
                for other in others:
                    other.ask("BEGIN")
                wait_until(lambda: len(self.server.sessions("state = 'idle in transaction'")) == 5, what="five of them")
                sheaf.terminate()
                sheaf.wait()
                wait_until(lambda: not self.server.sessions(), what="its connections to go")

    def test_what_our_own_login_can_do_it_does(self):
        sheaf = self.serve(env={"KRB5_CONFIG": "/nonexistent"})
        self.assertEqual(self.session(sheaf, "scram", "pencil").value("SELECT current_user"), "scram")

    def test_why_it_did_not_succeed_is_told(self):
        sheaf = self.serve(env={"KRB5_CONFIG": str(self.kerberos.config), "KRB5CCNAME": "FILE:/nonexistent"})
        code, words = self.refused(sheaf)
        self.assertEqual(code, "08006")
        self.assertIn('refused the login of user "app": by libpq: GSSAPI', words)
        code, words = self.refused(self.serve(), "other", "x")  # the ticket is app's
        self.assertEqual(code, "28000")
        self.assertIn('GSSAPI authentication failed for user "other"', words)

    def test_without_it_the_method_is_named(self):
        code, words = self.refused(self.serve(server_login="own"))
        self.assertIn("GSSAPI, which is not supported", words)


if __name__ == "__main__":
    main()
