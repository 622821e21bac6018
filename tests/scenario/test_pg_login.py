#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""Our own login at a real PostgreSQL, by each method that both know: the small program tests/tools/pg_login
does it, with the code that the daemon has."""
import re
import subprocess

from lib import *
from lib.sheaf import BINARY

LOGIN, LIMIT, TLS, UNSUPPORTED = "login", "limit", "tls", "unsupported"
HBA = [
    "host all trusted all trust", "host all md5 all md5", "host all plain all password",
    "host all,replication scram,long,soft,changes all scram-sha-256", "host all gss all gss",
    "hostssl all bound all scram-sha-256", "host all refused all reject",
]
ROLES = """
CREATE ROLE trusted LOGIN; CREATE ROLE gss LOGIN; CREATE ROLE refused LOGIN;
SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'pencil';
SET password_encryption = 'scram-sha-256';
CREATE ROLE plain LOGIN PASSWORD 'pencil'; CREATE ROLE scram LOGIN REPLICATION PASSWORD 'pencil';
CREATE ROLE bound LOGIN PASSWORD 'pencil'; CREATE ROLE long LOGIN PASSWORD '{long}';
CREATE ROLE soft LOGIN PASSWORD 'I\u00adX\u2168';
ALTER ROLE trusted CONNECTION LIMIT 0;
"""
LONG = "a rather long password " * 20


class Refused(Exception):
    """The login's sentence, with `kind` and `sqlstate`."""

    def __init__(self, line):
        number, state, why = re.fullmatch(r"refused (\S+) (\S+) (.*)", line).groups()
        super().__init__(why)
        self.kind, self.sqlstate, self.is_wrong_secret = number, state.rstrip("!"), state.endswith("!")


class In:
    def __init__(self, line):
        pairs = dict(re.findall(r"(\w+)=('[^']*'|\S+)", line))
        self.parameters = {name: value[1:-1] for name, value in pairs.items() if value[0] == "'"}
        self.pid, self.asked = int(pairs["pid"]), int(pairs["asked"])
        self.secret, self.bound, self.made = pairs["secret"], pairs["bound"] == "1", int(pairs["made"])


class Login(Case):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates(cls.folder() / "certificates")
        cls.server = Postgres(cls, hba=HBA, certificates=cls.certificates)
        cls.server.sql(ROLES.format(long=LONG))

    def command(self, user, at=None, **words):
        words = {"at": at or self.server.address, "user": user, "database": "app", **words}
        return [BINARY.parent / "pg_login", *(f"{name.replace('__', '+')}={value}" for name, value in words.items())]

    def lines(self, user, **words):
        done = subprocess.run(self.command(user, **words), capture_output=True, text=True, timeout=60 * SLOW,
                              check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        return done.stdout.splitlines()

    def log_in(self, user, **words):
        line = self.lines(user, **words)[0]
        if line.startswith("refused"):
            raise Refused(line)
        found = In(line)
        self.assertEqual(found.pid, found.asked, "the key is of this connection")
        self.assertRegex(found.secret, r"^([0-9a-f]{2}){4}$")
        self.assertEqual(found.parameters["server_encoding"], "UTF8")
        self.assertEqual(found.parameters["session_authorization"], user)
        return found

    def refused(self, user, **words):
        with self.assertRaises(Refused) as caught:
            self.log_in(user, **words)
        return caught.exception


class Methods(Login):
    def test_each_method_lets_us_in(self):
        self.server.sql("ALTER ROLE trusted CONNECTION LIMIT -1")
        self.log_in("trusted")
        self.log_in("md5", password="pencil")
        self.log_in("plain", password="pencil", clear=1)
        self.assertEqual(self.log_in("scram", password="pencil").made, 4096)
        self.log_in("long", password=LONG)
        self.log_in("postgres", at=self.server.socket)

    def test_passwords_are_prepared_as_the_server_does_it(self):
        self.log_in("soft", password="I\u00adX\u2168")
        self.log_in("soft", password="IXIX")

    def test_an_md5_hash_serves_as_the_password(self):
        (hashed,), = self.server.sql("SELECT rolpassword FROM pg_authid WHERE rolname = 'md5'")
        self.log_in("md5", password=hashed)

    def test_each_method_is_done_over_tls(self):
        for user in ("md5", "plain", "scram", "bound"):
            with self.subTest(user):
                found = self.log_in(user, password="pencil", tls=1)
                self.assertEqual(found.bound, user in ("scram", "bound"))
        self.assertTrue(self.log_in("bound", password="pencil", tls=1, bind=1).bound)

    def test_what_else_is_asked_for_at_the_start_is_said(self):
        found = self.log_in("scram", password="pencil", __application_name="tester", __client_encoding="LATIN1",
                            __options=r"-c TimeZone=Asia/Tokyo --datestyle=German,\ DMY")
        self.assertEqual(found.parameters["application_name"], "tester")
        self.assertEqual(found.parameters["client_encoding"], "LATIN1")
        self.assertEqual(found.parameters["TimeZone"], "Asia/Tokyo")
        self.assertEqual(found.parameters["DateStyle"], "German, DMY")

    def test_a_walsender_is_logged_in_to(self):
        self.log_in("scram", password="pencil", __replication="database")

    def test_the_key_cancels(self):
        for tls in ({}, {"tls": 1}):
            self.assertEqual(self.lines("scram", password="pencil", cancel=1, **tls)[1], "cancelled")


class Keys(Login):
    def test_kept_keys_log_in_without_the_password(self):
        for tls in ({}, {"tls": 1}):
            *lines, cpu = self.lines("scram", password="pencil", rounds=4, **tls)
            self.assertEqual([In(line).made for line in lines], [4096, 0, 0, 0])
            print(f"with kept keys: {cpu}")

    def test_keys_of_a_password_that_changed_are_told(self):
        self.server.sql("CREATE ROLE changes LOGIN PASSWORD 'before'")
        with subprocess.Popen(self.command("changes", password="before", at=self.server.address, rounds=2, wait=1,
                                           tls=1), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as tool:
            self.assertEqual(In(tool.stdout.readline()).made, 4096)
            self.server.sql("ALTER ROLE changes PASSWORD 'after'")
            tool.stdin.write("\n")
            tool.stdin.flush()
            refused = Refused(tool.stdout.readline().rstrip("\n"))
        self.assertTrue(refused.is_wrong_secret)
        self.assertIn("another verifier", str(refused))


class Refusals(Login):
    def test_the_servers_reason_is_told(self):
        for user, words, sqlstate, text in (
                ("md5", {"password": "pen"}, "28P01", 'password authentication failed for user "md5"'),
                ("scram", {"password": "pen"}, "28P01", 'password authentication failed for user "scram"'),
                ("plain", {"password": "pen", "tls": 1}, "28P01", 'password authentication failed for user "plain"'),
                ("scram", {"password": "pencil", "database": "nosuch"}, "3D000", 'database "nosuch" does not exist'),
                ("scram", {"password": "pencil", "__nosuch": "1"}, "42704",
                 'unrecognized configuration parameter "nosuch"')):
            with self.subTest(user=user, **words):
                refused = self.refused(user, **words)
                self.assertEqual((refused.sqlstate, str(refused)), (sqlstate, text))
                self.assertEqual(refused.is_wrong_secret, sqlstate == "28P01")
        refused = self.refused("refused")
        self.assertEqual(refused.sqlstate, "28000")
        self.assertIn("pg_hba.conf rejects connection", str(refused))

    def test_too_many_connections_are_another_matter_than_a_wrong_password(self):
        self.server.sql("ALTER ROLE trusted CONNECTION LIMIT 0")
        refused = self.refused("trusted")
        self.assertEqual((refused.kind, refused.sqlstate), (LIMIT, "53300"))
        self.assertIn("too many connections", str(refused))

    def test_a_clear_password_is_not_said_where_others_hear_it(self):
        refused = self.refused("plain", password="pencil")
        self.assertEqual((refused.kind, refused.sqlstate), (TLS, "-"))
        self.assertIn("not encrypted", str(refused))

    def test_demanded_channel_binding_is_not_done_without(self):
        for user, words in (("scram", {}), ("md5", {"tls": 1}), ("plain", {"tls": 1})):
            with self.subTest(user):
                refused = self.refused(user, password="pencil", bind=1, **words)
                self.assertEqual((refused.kind, refused.sqlstate), (TLS, "-"))
                self.assertIn("channel binding is demanded", str(refused))

    def test_a_method_that_is_not_supported_is_named(self):
        refused = self.refused("gss", password="pencil")
        self.assertEqual((refused.kind, refused.sqlstate), (UNSUPPORTED, "-"))
        self.assertIn("GSSAPI", str(refused))

    def test_no_password_is_told(self):
        for user, method in (("md5", "md5"), ("plain", "in clear"), ("scram", "SCRAM")):
            refused = self.refused(user, tls=1)
            self.assertEqual((refused.kind, refused.sqlstate), (LOGIN, "-"))
            self.assertIn(f"({method}), and none is known of \"{user}\"", str(refused))


if __name__ == "__main__":
    main()
