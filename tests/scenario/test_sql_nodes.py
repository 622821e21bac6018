#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""Servers of one pool that differ: in their libraries, in what they reach, in what their roles begin with."""
import pathlib
import shutil
import subprocess

import psycopg2

from lib import *
from lib import pgwire as pg
from lib.postgres import Replica
from lib.sql_front import sql_front
from lib.sql_route import Routed

# A library that sorts the other way round, as one of another version may: instead of ICU's.
SORTS = """
#include <string.h>
void ucol_getVersion_ICU(const void *c, unsigned char *version) { (void)c; memset(version, 7, 4); }
int ucol_strcollUTF8_ICU(const void *c, const char *a, int a_len, const char *b, int b_len, int *e)
{ int order = memcmp(b, a, a_len < b_len ? a_len : b_len); (void)c; (void)e; return order != 0 ? order : b_len - a_len; }
int ucol_nextSortKeyPart_ICU(const void *c, void *i, unsigned *s, unsigned char *to, int len, int *e)
{ (void)c; (void)i; (void)s; (void)e; memset(to, 0, len); return len; }
"""


class Nodes(Routed):
    """Servers that differ in what a replica does not get from its primary."""

    def test_a_library_that_only_the_primary_has(self):
        """An extension was installed there, and forgotten elsewhere: what needs it is the primary's."""
        folder = self.primary.folder / "lib"
        folder.mkdir()
        folder.chmod(0o755)
        shutil.copy(next(pathlib.Path("/usr/lib/postgresql").glob("*/lib/pg_trgm.so")), folder / "onlyhere.so")
        self.primary.reload(dynamic_library_path=f"'{folder}:$libdir'")
        self.primary.sql("CREATE FUNCTION alike(text, text) RETURNS real IMMUTABLE STRICT LANGUAGE c AS 'onlyhere', 'similarity'")
        self.caught_up()
        with self.assertRaises(psycopg2.Error) as caught:
            self.replicas[0].sql("SELECT alike('a', 'a')")
        self.assertEqual(caught.exception.pgcode, "58P01")
        session = self.session()
        wait_until(lambda: session.value("EXPLAIN ROUTE SELECT alike(v, v) FROM t").startswith("replica"), what="Sheaf to know the catalog")
        for extended in (False, True):
            where, answer = self.went(session, f"SELECT DISTINCT alike(v, v) AS n{int(extended)} FROM t", extended=extended)
            self.assertEqual((where, answer.rows), ("replica primary", [["1"]]))
        where, answer = self.went(session, "SELECT count(*) FROM t")
        self.assertEqual((where, answer.errors), ("replica", []))

    def test_a_replica_that_sorts_otherwise(self):
        """It answers in its own order, with PostgreSQL's warning; who asks each hears which version it has."""
        icu = next(pathlib.Path("/usr/lib").glob("*/libicui18n.so.*")).name.split(".")[2]
        folder = self.primary.folder / "sorts"
        folder.mkdir()
        folder.chmod(0o755)
        (folder / "sorts.c").write_text(SORTS.replace("ICU", icu))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", folder / "sorts.so", folder / "sorts.c"], check=True)
        replica = Replica(self, self.primary)
        replica.shutdown()
        replica.env = {"LD_PRELOAD": str(folder / "sorts.so")}
        replica.start()
        front = sql_front(self, self.primary, [replica])
        self.knows_replicas(front.target())
        sorted_, versions = 'SELECT v FROM t ORDER BY v COLLATE "de-x-icu"', "SELECT collversion, pg_collation_actual_version(oid) FROM pg_collation WHERE collname = 'de-x-icu'"
        with pg.PgSession(front.target()) as session:
            wait_until(lambda: session.value(f"EXPLAIN ROUTE {sorted_}").startswith("replica"), what="Sheaf to know the catalog")
            answer = session.ask(sorted_)
            self.assertEqual([message.fields["C"] for message in answer if message.tag == "N"], ["01000"])
            other = session.ask(f"{sorted_} /* route=primary */")
            self.assertEqual((answer.rows, other.tags.count("N")), (other.rows[::-1], 0))
            (recorded, actual), = session.ask(versions).rows
            self.assertEqual(recorded, actual)
            self.assertEqual(session.ask(f"{versions} /* route=replica */").rows, [[recorded, "7.7.7.7"]])

    def test_what_reaches_other_servers(self):
        """A foreign table, also as a part of another, and dblink(), which writes from a replica, too."""
        self.primary.sql(f"""CREATE EXTENSION postgres_fdw; CREATE EXTENSION dblink;
            CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{self.primary.folder}', port '{self.primary.port}', dbname 'app');
            CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'app', password_required 'false');
            CREATE FOREIGN TABLE far_t (id int, v text) SERVER far OPTIONS (table_name 't'); GRANT ALL ON far_t TO app;
            CREATE VIEW over_far AS SELECT * FROM far_t; GRANT ALL ON over_far TO app;
            CREATE TABLE parted (id int, v text) PARTITION BY RANGE (id); CREATE TABLE near PARTITION OF parted FOR VALUES FROM (0) TO (10);
            CREATE FOREIGN TABLE far_part PARTITION OF parted FOR VALUES FROM (10) TO (20) SERVER far OPTIONS (table_name 't');
            CREATE TABLE parent (id int, v text); CREATE FOREIGN TABLE far_child () INHERITS (parent) SERVER far OPTIONS (table_name 't');
            CREATE VIEW over_parent AS SELECT count(*) FROM parent; GRANT ALL ON parted, near, parent, over_parent, far_part, far_child TO app""")
        self.caught_up()
        session = pg.PgSession(sql_front(self, self.primary, self.replicas).target())  # that was not there before
        self.addCleanup(session.close)
        wait_until(lambda: session.value("EXPLAIN ROUTE SELECT count(*) FROM t").startswith("replica"), what="Sheaf to know the catalog")
        self.assertIn("oreign", session.value("EXPLAIN ROUTE SELECT * FROM far_t"))
        at = f"host={self.primary.folder} port={self.primary.port} dbname=app user=postgres"
        self.assert_goes("primary", "SELECT count(*) FROM far_t", "SELECT * FROM over_far", "SELECT 1 FROM t WHERE EXISTS (SELECT FROM far_t)",
                         "SELECT count(*) FROM parted", "SELECT count(*) FROM parent", "SELECT * FROM over_parent", "COPY (TABLE parted) TO STDOUT", "EXPLAIN ANALYZE SELECT * FROM parted",
                         f"SELECT * FROM dblink('{at}', 'INSERT INTO t (v) VALUES (1) RETURNING id') AS x(id int)", f"SELECT dblink_exec('{at}', 'SELECT 1')", session=session)
        self.caught_up()  # with what dblink() wrote: else the primary answers who saw it
        self.assert_goes("replica", "SELECT count(*) FROM near", session=session)

    def test_settings_that_each_server_has_of_its_own(self):
        """A client is told of each that the server of an answer has, so that it can read what it is answered."""
        for replica in self.replicas:
            replica.reload(DateStyle="'German'")
        session = self.session()
        style = session.parameters["DateStyle"]
        for n in range(6):
            answer = session.ask(("SELECT '2026-01-31'::date", "/* route=primary */ SELECT '2026-01-31'::date")[n % 2])
            style = dict([message.words for message in answer if message.tag == "S"]).get("DateStyle", style)
            self.assertEqual((style, answer.rows), (("ISO, MDY", [["2026-01-31"]]), ("German, DMY", [["31.01.2026"]]))[style[0] == "G"])
        session.ask("SET DateStyle = 'SQL, DMY'; SET statement_timeout = '30ms'")
        for _ in range(4):
            self.assertEqual(session.value("SELECT '2026-01-31'::date"), "31/01/2026")
        for where in ("replica", "primary") * 2:  # a setting is of all servers, and of its session only
            self.assertEqual(session.ask(f"SELECT pg_sleep(30) /* route={where} */").errors, ["57014"])
            self.assertEqual(self.session().ask(f"SELECT pg_sleep(0.05) /* route={where} */").errors, [])
        for replica in self.replicas:
            replica.options.pop("DateStyle")
            replica.reload()

    def test_replicas_that_begin_all_transactions_read_only(self):
        """By their configuration: clients who heard that would think it of the primary, to which their writes go."""
        for replica in self.replicas:
            replica.reload(default_transaction_read_only="on")
        session = self.session()

        def told(*texts):
            answers = [session.ask(text) for text in texts]
            self.assertEqual([answer.errors for answer in answers], [[]] * len(texts))
            return [message.words[1] for answer in answers for message in answer if message.tag == "S" and message.words[0] == "default_transaction_read_only"]
        self.assertEqual(session.parameters["default_transaction_read_only"], "off")
        writes = "INSERT INTO t (v) VALUES ('x')"
        for text, extended in (("SELECT 1", False), ("SELECT 1 /* route=replica */", True)):
            self.assertEqual((told(writes), told("SELECT 1 /* route=replica */", "SET TimeZone = 'Asia/Tokyo'", "RESET TimeZone")), ([], []))
            # A replica is waited for for causal_wait alone.
            wait_until(lambda t=text, e=extended: self.went(session, t, extended=e)[0] == "replica", what="a replica to be fresh")
        self.assertEqual(told("BEGIN READ ONLY", "SELECT 1", "SET LOCAL TimeZone = 'Asia/Tokyo'", "COMMIT", "SHOW default_transaction_read_only"), [])
        self.assertEqual(told("SET default_transaction_read_only = on", "SELECT 1 /* route=replica */"), ["on"])
        self.assertEqual(told("RESET default_transaction_read_only", "SELECT 1 /* route=replica */", writes), ["off"])
        for replica in self.replicas:
            replica.options.pop("default_transaction_read_only")
            replica.reload()
            wait_until(lambda r=replica: r.value("SHOW default_transaction_read_only") == "off", what="it to be as it was")
        self.assertEqual(told("BEGIN READ ONLY", "SET default_transaction_read_only = on", "SELECT 1", "COMMIT", "RESET ALL", "SELECT 1"), ["on", "off"])

    def begins_with(self, route, front=None, user="app"):
        """What sessions that begin now have of their role or database."""
        found = set()
        for _ in range(8):  # at all workers
            with pg.PgSession((front or self.front).target(), user=user) as session:
                found.add(session.value(f"SELECT current_setting('statement_timeout') /* route={route} */"))
        return found

    def test_what_roles_and_databases_begin_with(self):
        """ALTER ROLE, ALTER DATABASE ... SET: servers give it to connections at their login, sessions that begin later have it at once."""
        self.primary.sql("DROP ROLE IF EXISTS other; CREATE ROLE other LOGIN IN ROLE app")
        self.caught_up()
        for user in ("app", "other"):
            sessions = [self.session(user=user) for _ in range(8)]
            for route in ("primary", "replica"):
                for session in sessions:
                    session.send(pg.query(f"SELECT pg_sleep(0.2) /* route={route} */"))
                self.assertEqual([session.until("Z").errors for session in sessions], [[]] * 8)
        others = {row[0] for row in self.primary.sessions("usename = 'other'")}
        session = self.session()
        for value, *texts in (
                ("61s", "ALTER ROLE app SET statement_timeout = '61s'"),
                ("61s", "BEGIN", "ALTER ROLE app SET statement_timeout = '62s'", "ROLLBACK"),
                ("1min", "BEGIN", 'ALTER USER "app" IN DATABASE app SET statement_timeout = 60000', "COMMIT"),
                ("61s", "SELECT 1; ALTER ROLE CURRENT_USER IN DATABASE app RESET statement_timeout"),
                ("0", "ALTER ROLE app RESET ALL")):
            for extended in (False, True) if len(texts[0]) < 60 else (False,):
                with self.subTest(texts=texts, extended=extended):
                    for text in texts:
                        self.assertEqual((session.ask_extended if extended else session.ask)(text).errors, [])
                    self.assertEqual(self.begins_with("primary"), {value})
                    wait_until(lambda v=value: self.begins_with("replica") == {v}, what="sessions at replicas to begin with it")
            if "CURRENT_USER" not in texts[0]:
                self.assertEqual(others - {row[0] for row in self.primary.sessions("usename = 'other'")}, set(), "others' connections stay")
            others = {row[0] for row in self.primary.sessions("usename = 'other'")}
        session.ask("ALTER DATABASE app SET statement_timeout = '66s'")
        self.assertEqual(self.begins_with("primary"), {"66s"})
        session.ask("ALTER DATABASE app RESET ALL")
        self.assertEqual(self.begins_with("primary"), {"0"})

    def test_a_role_that_is_dropped_and_made_again(self):
        """Connections that were logged in as the one before are nobody's then, and may do nothing."""
        admin = self.session(user="postgres")
        for change in ("DROP ROLE IF EXISTS again", "ALTER ROLE again RENAME TO gone; DROP ROLE gone"):
            with self.subTest(change=change):
                if "RENAME" not in change:
                    admin.ask("DROP ROLE IF EXISTS again, gone")
                    self.assertEqual(admin.ask("CREATE ROLE again LOGIN IN ROLE app").errors, [])
                self.caught_up()
                for route in ("primary", "replica") * 3:
                    self.assertEqual(self.session(user="again").ask(f"SELECT count(*) FROM t /* route={route} */").errors, [])
                self.assertEqual(admin.ask(change).errors, [])
                self.assertEqual(admin.ask("CREATE ROLE again LOGIN IN ROLE app").errors, [])
                self.assertEqual(self.session(user="again").ask("SELECT count(*) FROM t /* route=primary */").errors, [])
                self.caught_up()
                wait_until(lambda: not any(self.session(user="again").ask("SELECT count(*) FROM t /* route=replica */").errors for _ in range(6)),
                           what="replicas to serve the new one")

    def test_what_the_role_begins_with_that_all_are_logged_in_as(self):
        """The one in a server's URL, whoever the client is."""
        name, options = sql_pool(self.primary, self.replicas)
        front = Sheaf(self, (name, {**options, "primary": self.primary.url_as(), "replica": [replica.url_as() for replica in self.replicas], "user": "guest none"}))
        self.addCleanup(self.primary.sql, "ALTER ROLE app RESET ALL")
        with pg.PgSession(front.target(), user="guest") as session:
            wait_until(lambda: session.value("EXPLAIN ROUTE SELECT 1").startswith("replica"), what="replicas to be known")
            for value in ("81s", "82s"):
                self.assertEqual(session.ask(f"ALTER ROLE app SET statement_timeout = '{value}'").errors, [])
                self.assertEqual(self.begins_with("primary", front, "guest"), {value})
                wait_until(lambda v=value: self.begins_with("replica", front, "guest") == {v}, what="sessions at replicas to begin with it")

    def test_what_roles_begin_with_where_that_is_replayed_late(self):
        """Connections that were opened before it was replayed go when it is."""
        front = sql_front(self, self.primary, self.replicas, reads="any")
        self.knows_replicas(front.target())
        for replica in self.replicas:
            replica.pause()
            self.addCleanup(replica.resume)
        with pg.PgSession(front.target()) as session:
            session.ask("ALTER ROLE app SET statement_timeout = '71s'")
        self.addCleanup(self.primary.sql, "ALTER ROLE app RESET ALL")
        self.assertEqual((self.begins_with("primary", front), self.begins_with("replica", front)), ({"71s"}, {"0"}))
        for replica in self.replicas:
            replica.resume()
        wait_until(lambda: self.begins_with("replica", front) == {"71s"}, what="sessions at replicas to begin with it")


if __name__ == "__main__":
    main()
