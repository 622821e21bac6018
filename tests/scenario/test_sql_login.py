#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Logins of clients at the daemon: by rules, maps, certificates and secrets in files, and from there at a real
PostgreSQL with what they proved."""
import json
import struct
import unittest

import psycopg

from lib import *
from lib import pgwire, sql_login
from lib.postgres import binary
from lib.process import run

NODE_MODULES = REPOSITORY / "build/npm/node_modules"
NODE = """
const { Client } = require("pg");
(async () => {
  const client = new Client(JSON.parse(process.argv[1]));
  try {
    await client.connect();
    console.log((await client.query("SELECT current_user AS who")).rows[0].who);
    await client.end();
  } catch (error) {
    console.log(error.code, error.message);
    process.exit(0);
  }
})();
"""


class Daemon(sql_login.SqlLogin):
    @classmethod
    def open_front(cls):
        number = free_port()
        cls.local = {"host": str(cls.folder()), "port": number}
        cls.sheaf = Sheaf(cls, cls.pool(number=number))
        cls.port = cls.sheaf.port

    @classmethod
    def pool(cls, number=None, **options):
        kind, words = sql_pool(cls.server)
        listen = [words["listen"]]
        if number is not None:
            listen.append(f"postgresql+unix://{cls.folder()}?port={number}")
        for name in ("auth", "user"):
            del words[name]
        words |= {"listen": listen, "tls_cert": cls.certificates.cert("server"),
                  "tls_key": cls.certificates.key("server"), "tls_client": "optional",
                  "tls_client_ca": cls.certificates.ca, **cls.files, **options}
        return kind, {name: value for name, value in words.items() if value is not None}


class Methods(sql_login.Methods, Daemon):
    pass


class Refusals(sql_login.Refusals, Daemon):
    pass


class Clients(Daemon):
    """Methods by programs that people use; what psycopg2 and asyncpg do is in Methods."""

    WAYS = [("scram", {}), ("scram", {"sslmode": "verify-full"}), ("scram", {"sslmode": "require", "channel_binding": "require"}),
            ("md5", {}), ("plain", {}), ("clear5", {"sslmode": "require"}), ("certs", {"sslmode": "require", "cert": "anna"}),
            ("full", {"sslmode": "verify-ca", "cert": "full"})]

    def conninfo(self, user, password="pencil", cert=None, **words):
        words = {"host": "127.0.0.1", "port": self.port, "user": user, "password": password, "dbname": "app", "sslmode": "disable",
                 **words}
        if words["sslmode"] != "disable":
            words["sslrootcert"] = self.certificates.ca
        if cert:
            words |= {"sslcert": self.certificates.cert(cert), "sslkey": self.certificates.key(cert)}
        return " ".join(f"{name}='{value}'" for name, value in words.items())

    def psql(self, *arguments, **words):
        return run([binary("psql"), self.conninfo(*arguments, **words), "-XAtqc", "SELECT current_user"])

    def test_psql(self):
        for user, words in self.WAYS:
            with self.subTest(user, **words):
                self.assertEqual(self.psql(user, **words), (0, f"{user}\n", ""))
        self.assertEqual(self.psql("mate", **self.local), (0, "mate\n", ""))
        code, _, words = self.psql("scram", "Pencil")
        self.assertEqual(code, 2)
        self.assertIn('FATAL:  password authentication failed for user "scram"', words)

    def test_psycopg_3(self):
        for user, words in self.WAYS:
            with self.subTest(user, **words), psycopg.connect(self.conninfo(user, **words)) as connection:
                self.assertEqual(connection.execute("SELECT current_user").fetchone(), (user,))

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_node_pg(self):
        ca = self.certificates.ca.read_text()
        for user, password, tls, said in (
                ("scram", "pencil", False, "scram"), ("scram", "pencil", True, "scram"), ("md5", "pencil", False, "md5"),
                ("plain", "pencil", True, "plain"),
                ("scram", "Pencil", True, '28P01 password authentication failed for user "scram"'),
                ("nobody", "pencil", False, '28P01 password authentication failed for user "nobody"')):
            where = {"host": "127.0.0.1", "port": self.port, "user": user, "password": password, "database": "app",
                     "ssl": {"ca": ca, "servername": "localhost"} if tls else False}
            with self.subTest(user, password=password, tls=tls):
                _, out, err = run(["node", "-e", NODE, json.dumps(where)], env={"NODE_PATH": str(NODE_MODULES)})
                self.assertEqual(out.strip(), said, err)


class Interrupted(pgwire.PgSession):
    """Something happens between the question of how it proves who it is and the answer."""

    def __init__(self, *arguments, interrupt, **words):
        self.interrupt = interrupt
        super().__init__(*arguments, **words)

    def _authenticate(self, body):
        if struct.unpack_from("!i", body)[0] in (3, 5, 11):
            self.interrupt()
        super()._authenticate(body)


class Reloads(Daemon):
    def reload(self):
        """With another user in the file, so that all of the old configuration goes."""
        before = self.sheaf.status()["generation"]
        with open(self.files["auth_file"], "a", encoding="utf-8") as file:
            file.write(f'"more{before}" "secret"\n')
        self.sheaf.reload()
        wait_until(lambda: self.sheaf.status()["generation"] > before, what="the reload")

    def test_a_login_under_way_survives_a_reload(self):
        for user in ("scram", "clear", "md5", "clear5", "plain"):
            with self.subTest(user):
                password = 'IXIX "quoted"' if user == "clear" else "pencil"  # as SASLprep has it
                with Interrupted(self.sheaf.target(), user=user, password=password,
                                 interrupt=self.reload) as session:
                    self.assertEqual(session.value("SELECT current_user"), user)


class Md5(Daemon):
    """Without rules: all are asked in one way."""

    def first_question(self, sheaf, user):
        with pgwire.PgSession(sheaf.target(), login=False) as session:
            session.send(pgwire.startup({"user": user, "database": "app"}))
            return struct.unpack_from("!i", session.message().body)[0]

    def test_who_does_not_exist_is_asked_as_the_others_are(self):
        for secret, question in (("pencil", 5), (f"md5{32 * '0'}", 5), ("SCRAM-SHA-256$4096:" + 22 * "A" + "==$" +
                                                                        ":".join([43 * "A" + "="] * 2), 10)):
            users = self.write("some.txt", f'"md5" "{secret}"\n')
            sheaf = Sheaf(self, self.pool(auth="md5", auth_file=users, hba_file=None, ident_file=None))
            self.assertEqual(self.first_question(sheaf, "md5"), question)
            self.assertEqual(self.first_question(sheaf, "nobody"), question)


if __name__ == "__main__":
    main()
