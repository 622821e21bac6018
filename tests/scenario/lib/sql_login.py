"""Logins of clients by all methods, with the rules of pg_hba.conf, maps, certificates, and secrets in a file; beside
them a real PostgreSQL with the same rules, whose words those of a refusal must be."""
import asyncio
import getpass
import re
import socket

import asyncpg
import psycopg2

from lib.case import SLOW, Case
from lib.certificates import Certificates
from lib.pgwire import frame, startup
from lib.postgres import Postgres

RULES = [
    "hostssl all certs all cert map=people",
    "host all md5,clear5 127.0.0.1/32 md5",
    "host all plain all password",
    'host all scram,clear,nobody,"odd ""name" 127.0.0.0 255.0.0.0 scram-sha-256',
    "hostssl all full all scram-sha-256 clientcert=verify-full",
    "hostssl all known all scram-sha-256 clientcert=verify-ca",
    "host all refused all reject",
    "host sameuser,app same all trust",
    "hostnossl all insecure all trust",
]
# Our own login comes without TLS and certificates.
SERVER_RULES = ["host all certs,mate all trust", "host all full,known all scram-sha-256"]
PEOPLE = r"""
people   anna               certs
people   /^(.*)@example$    \1
here     """ + getpass.getuser() + """   scram
here     """ + getpass.getuser() + """   mate
"""
ROLES = """
CREATE ROLE certs LOGIN; CREATE ROLE mate LOGIN; CREATE ROLE refused LOGIN; CREATE ROLE same LOGIN; CREATE ROLE insecure LOGIN;
SET password_encryption = 'md5';
CREATE ROLE md5 LOGIN PASSWORD 'pencil'; CREATE ROLE clear5 LOGIN PASSWORD 'pencil';
SET password_encryption = 'scram-sha-256';
CREATE ROLE plain LOGIN PASSWORD 'pencil'; CREATE ROLE scram LOGIN PASSWORD 'pencil';
CREATE ROLE clear LOGIN PASSWORD 'I\u00adX\u2168 "quoted"'; CREATE ROLE full LOGIN PASSWORD 'pencil';
CREATE ROLE known LOGIN PASSWORD 'pencil'; CREATE ROLE "odd ""name" LOGIN PASSWORD 'pencil';
"""
CLEAR = {"clear": 'I\u00adX\u2168 "quoted"', "clear5": "pencil"}  # their passwords stand in our file as they are


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


class SqlLogin(Case):
    """A class of it gives `port` and `local` (host and port that mean a Unix socket) in open_front()."""

    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates(cls.folder() / "certificates")
        for name in ("anna", "full", "certs@example"):
            cls.certificates.issue(name)
        cls.server = Postgres(cls, hba=RULES + SERVER_RULES, certificates=cls.certificates)
        cls.server.sql(ROLES)
        (cls.server.data / "pg_ident.conf").write_text(PEOPLE)
        cls.server.sql("SELECT pg_reload_conf()")
        secrets = {**dict(cls.server.sql("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin")), **CLEAR}
        cls.files = {
            "auth_file": cls.write("users.txt", "".join(f"{quoted(name)} {quoted(secret or '')}\n"
                                                        for name, secret in secrets.items())),
            "hba_file": cls.write("hba.conf", "\n".join(["local all scram,mate peer map=here",
                                                         "local all all scram-sha-256", *RULES])),
            "ident_file": cls.write("ident.conf", PEOPLE)}
        cls.open_front()

    @classmethod
    def write(cls, name, text):
        path = cls.folder() / name
        path.write_text(text)
        return path

    def connect(self, user, password="pencil", port=None, **words):
        words = {"host": "127.0.0.1", "dbname": "app", "sslmode": "disable", **words}
        if words["sslmode"] != "disable":
            words["sslrootcert"] = str(self.certificates.ca)
        if words.get("cert"):
            name = words.pop("cert")
            words |= {"sslcert": str(self.certificates.cert(name)), "sslkey": str(self.certificates.key(name))}
        else:
            words |= {"sslcert": "/nonexistent", "sslkey": "/nonexistent"}
        return psycopg2.connect(user=user, password=password, port=port or self.port, **words)

    def log_in(self, user, told=None, **words):
        """Through the front, and asks the server who it is."""
        connection = self.connect(user, **words)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT current_user, length(repeat('x', 100000))")
                self.assertEqual(cursor.fetchone(), (user, 100000))
        finally:
            connection.close()

    def refusal(self, user, **words):
        with self.assertRaises(psycopg2.OperationalError) as caught:
            self.connect(user, **words).close()
        return re.search(r"FATAL: +(.*(?:\n.*DETAIL.*)?)", str(caught.exception))[1]

    def check_same_refusal(self, user, starts, **words):
        ours, theirs = self.refusal(user, **words), self.refusal(user, port=self.server.port, **words)
        self.assertEqual(ours, theirs)
        self.assertIn(starts, ours)


class Methods:
    """Who is let in; for a class of SqlLogin."""

    def test_a_proof_of_the_client_logs_in_at_the_server(self):
        self.log_in("scram", "in scram by scram-sha-256 secret=none keys=4096")
        self.log_in('odd "name', 'in odd "name by scram-sha-256 secret=none keys=4096')

    def test_a_secret_in_clear_serves_for_all_methods(self):
        self.log_in("clear", "in clear by scram-sha-256 secret=clear keys=4096", password=CLEAR["clear"])
        self.log_in("clear", "in clear by scram-sha-256 secret=clear keys=4096", password='IXIX "quoted"')
        self.log_in("clear5", "in clear5 by md5 secret=clear keys=0")

    def test_an_md5_hash_serves_at_the_server(self):
        self.log_in("md5", "in md5 by md5 secret=md5 keys=0")

    def test_a_clear_password_is_checked_by_a_verifier(self):
        self.log_in("plain", "in plain by password secret=clear keys=4096")
        self.log_in("plain", "in plain by password secret=clear keys=4096", sslmode="require")

    def test_channel_binding_is_done(self):
        for binding in ("require", "prefer", "disable"):
            self.log_in("scram", "in scram by scram-sha-256 secret=none keys=4096", sslmode="verify-full",
                        channel_binding=binding)

    def test_certificates_vouch_by_map_and_expression(self):
        self.log_in("certs", "in certs by cert secret=none keys=0", sslmode="require", cert="anna")
        self.log_in("certs", "in certs by cert secret=none keys=0", sslmode="require", cert="certs@example")
        self.log_in("full", sslmode="require", cert="full")
        self.log_in("known", sslmode="require", cert="anna")

    def test_the_systems_user_is_known_at_a_unix_socket(self):
        at = self.local
        self.log_in("mate", "in mate by peer secret=none keys=0", password=None, **at)
        self.log_in("clear", "in clear by scram-sha-256 secret=clear keys=4096", password=CLEAR["clear"], **at)

    def test_a_client_that_is_not_libpq_logs_in(self):
        async def ask(user, password, **words):
            connection = await asyncpg.connect(host="127.0.0.1", port=self.port, user=user, password=password,
                                               database="app", **words)
            try:
                return await connection.fetchval("SELECT current_user")
            finally:
                await connection.close()

        context = self.certificates.client_context()
        for user in ("scram", "md5", "plain", "clear5"):
            for words in ({"ssl": False}, {"ssl": context}):
                self.assertEqual(asyncio.run(ask(user, "pencil", **words)), user)
                with self.assertRaises(asyncpg.InvalidPasswordError):
                    asyncio.run(ask(user, "Pencil", **words))


class Refusals:
    """Who is not, and that he is told so in the server's words; for a class of SqlLogin."""

    def test_a_wrong_password_is_refused_in_the_servers_words(self):
        for user in ("scram", "clear", "md5", "plain", "nobody"):
            for sslmode in ("disable", "require"):
                with self.subTest(user, sslmode=sslmode):
                    self.check_same_refusal(user, f'password authentication failed for user "{user}"',
                                            password="Pencil", sslmode=sslmode)

    def test_rules_refuse_in_the_servers_words(self):
        for user, words, starts in (
                ("refused", {}, "pg_hba.conf rejects connection for host"),
                ("refused", {"sslmode": "require"}, "pg_hba.conf rejects connection for host"),
                ("insecure", {"sslmode": "require"}, "no pg_hba.conf entry for host"),
                ("same", {"dbname": "postgres"}, "no pg_hba.conf entry for host"),
                ("postgres", {"dbname": "postgres"}, "no pg_hba.conf entry for host")):
            with self.subTest(user, **words):
                self.check_same_refusal(user, starts, **words)

    def test_certificates_are_refused_in_the_servers_words(self):
        for user, words, starts in (
                ("certs", {}, "connection requires a valid client certificate"),
                ("certs", {"cert": "full"}, 'certificate authentication failed for user "certs"'),
                ("full", {}, "connection requires a valid client certificate"),
                ("full", {"cert": "anna"}, 'password authentication failed for user "full"'),
                ("known", {}, "connection requires a valid client certificate"),
                ("known", {"cert": "anna", "password": "Pencil"}, 'password authentication failed')):
            with self.subTest(user, **words):
                self.check_same_refusal(user, starts, sslmode="require", **words)

    def test_an_unknown_user_looks_like_a_known_one(self):
        salts = []
        for user in ("nobody", "nobody", "scram"):
            connection = Bytes(self.port, user)
            connection.send("p", b"SCRAM-SHA-256\0" + (21).to_bytes(4, "big") + b"n,,n=,r=aaaaaaaaaaaaa")
            salts.append(re.search(rb"r=a{13}(.{24}),s=([A-Za-z0-9+/]{22}==),i=4096$", connection.receive())[2])
            connection.close()
        self.assertEqual(salts[0], salts[1])
        self.assertNotEqual(salts[0], salts[2])


class Bytes:
    """A client that says what it likes."""

    def __init__(self, port, user):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30 * SLOW)
        self.socket.sendall(startup({"user": user, "database": "app"}))
        self.receive()

    def send(self, kind, body):
        self.socket.sendall(frame(kind, body))

    def receive(self):
        """The body of one message."""
        head = self._exactly(5)
        return self._exactly(int.from_bytes(head[1:], "big") - 4)

    def _exactly(self, size):
        data = b""
        while len(data) < size:
            more = self.socket.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def close(self):
        self.socket.close()
