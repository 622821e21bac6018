#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""Replication through Sheaf, physical and logical: PostgreSQL's own programs, and a replica that streams through it."""
import contextlib
import pathlib
import signal

import psycopg2
import psycopg2.extras

from lib import *
from lib import pgwire
from lib.postgres import Postgres, Replica, _must, binary
from lib.process import Process, run
from lib.sheaf import Sheaf, sql_pool


class Replication(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls, {"wal_level": "logical", "max_wal_senders": "10", "max_replication_slots": "10"},
                              hba=["host all,replication all all scram-sha-256"])
        cls.server.sql("ALTER ROLE app REPLICATION; CREATE ROLE plain LOGIN PASSWORD 'pencil';"
                       "CREATE TABLE t (id serial PRIMARY KEY, v text); GRANT ALL ON t, t_id_seq TO app;"
                       "GRANT EXECUTE ON FUNCTION pg_backup_start, pg_backup_stop TO app")
        cls.sheaf = Sheaf(cls, sql_pool(cls.server, auth="scram-sha-256", user=["app secret", "plain pencil"], database="app", admin_user="app"))
        cls.conninfo = f"host=127.0.0.1 port={cls.sheaf.port} user=app password=secret sslmode=disable"

    def program(self, name, *arguments, **words):
        process = Process([binary(name), *arguments], user="postgres", **words)
        self.addCleanup(process.kill)
        return process

    def folder_of_postgres(self):
        """A folder that the programs may write to."""
        folder = pathlib.Path(_must("mktemp", "-d", "/tmp/sheaf-replication-XXXXXX").strip())
        self.addCleanup(run, ["rm", "-rf", folder])
        return folder

    def senders(self, name):
        return self.server.sql("SELECT state FROM pg_stat_replication WHERE application_name = %s", name)


class Physical(Replication):
    def test_pg_receivewal(self):
        folder = self.folder_of_postgres()
        process = self.program("pg_receivewal", "-D", folder, "-d", f"{self.conninfo} application_name=receives", "--synchronous",
                               "--no-loop", "-v")
        wait_until(lambda: self.senders("receives") == [("streaming",)], what="it to stream")
        self.server.sql("ALTER SYSTEM SET synchronous_standby_names = 'receives'")
        self.server.sql("SELECT pg_reload_conf()")
        try:  # now a commit is acknowledged when it is there
            self.server.sql("INSERT INTO t (v) SELECT repeat('x', 10000) FROM generate_series(1, 200); SELECT pg_switch_wal()")
        finally:
            self.server.sql("ALTER SYSTEM RESET synchronous_standby_names")
            self.server.sql("SELECT pg_reload_conf()")
        wait_until(lambda: len(list(folder.glob("????????????????????????"))) >= 1, what="a whole segment")
        segment = sorted(folder.glob("????????????????????????"))[0]
        self.assertEqual(segment.read_bytes(), (self.server.data / "pg_wal" / segment.name).read_bytes())
        process.signal(signal.SIGINT)
        process.wait()
        wait_until(lambda: self.senders("receives") == [], what="the server to see it go")

    def test_a_slot_is_made_and_dropped(self):
        for arguments in (["--create-slot", "--slot=made"], ["--drop-slot", "--slot=made"]):
            _must(binary("pg_receivewal"), "-D", "/nonexistent", "-d", self.conninfo, *arguments)
            self.assertEqual(self.server.value("SELECT count(*) FROM pg_replication_slots WHERE slot_name = 'made'"),
                             1 if "--create-slot" in arguments else 0)

    def test_pg_basebackup_and_what_follows_is_a_replica(self):
        """Its base and its stream come through Sheaf."""
        conninfo, server = self.conninfo, self.server
        self.server.sql("CREATE TABLE large AS SELECT repeat(md5(n::text), 50) AS v FROM generate_series(1, 20000) n")

        class Behind(Replica):
            def _conninfo(self):
                return f"{conninfo} application_name=behind"
        replica = Behind(self, self.server, hba=["host all all all trust"])
        self.assertEqual(replica.value("SELECT count(*) FROM large"), 20000)
        self.server.sql("INSERT INTO t (v) VALUES ('late')")
        wait_until(lambda: replica.sql("SELECT 1 FROM t WHERE v = 'late'"), what="the replica to have it")
        self.assertEqual(server.value("SELECT client_addr FROM pg_stat_replication WHERE application_name = 'behind'"), "127.0.0.1")

    def test_a_backup_is_whole(self):
        folder = self.folder_of_postgres()
        _must(binary("pg_basebackup"), "-D", folder / "backup", "-d", self.conninfo, "-X", "stream", "-c", "fast", "--no-sync")
        _must(binary("pg_verifybackup"), folder / "backup")


class Logical(Replication):
    def test_pg_recvlogical(self):
        folder = self.folder_of_postgres()
        dbname = f"{self.conninfo} dbname=app application_name=logical"
        _must(binary("pg_recvlogical"), "-d", dbname, "--slot=changes", "--create-slot", "-P", "test_decoding")
        process = self.program("pg_recvlogical", "-v", "-d", dbname, "--slot=changes", "--start", "-f", folder / "changes", "-F", "1",
                               "-s", "1", "-o", "skip-empty-xacts=1", "-o", "include-xids=0", "--no-loop")
        self.server.sql("INSERT INTO t (v) VALUES ('one'); UPDATE t SET v = 'two' WHERE v = 'one'")
        wait_until(lambda: (folder / "changes").exists() and "'two'" in (folder / "changes").read_text(), what="the change")
        process.signal(signal.SIGINT)
        process.wait()
        wait_until(lambda: not self.server.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'changes'"), what="its end")
        _must(binary("pg_recvlogical"), "-d", dbname, "--slot=changes", "--drop-slot")

    def test_a_client_library(self):
        with contextlib.closing(psycopg2.connect(f"{self.conninfo} dbname=app",
                                                 connection_factory=psycopg2.extras.LogicalReplicationConnection)) as connection:
            with connection.cursor() as cursor:
                cursor.create_replication_slot("psycopg", output_plugin="test_decoding")
                cursor.start_replication(slot_name="psycopg", options={"skip-empty-xacts": "1"})
                self.server.sql("INSERT INTO t (v) SELECT repeat(n::text, 1000) FROM generate_series(1, 300) n; INSERT INTO t (v) VALUES ('end')")
                got = []

                class Enough(Exception):
                    pass

                def take(message):
                    got.append(message.payload)
                    message.cursor.send_feedback(flush_lsn=message.data_start)
                    if b"'end'" in message.payload:
                        raise Enough
                with self.assertRaises(Enough):
                    cursor.consume_stream(take)
                self.assertEqual(len([one for one in got if b"INSERT" in one]), 301)
        wait_until(lambda: not self.server.value("SELECT active FROM pg_replication_slots WHERE slot_name = 'psycopg'"), what="its end")
        self.server.sql("SELECT pg_drop_replication_slot('psycopg')")

    def test_statements_of_a_replication_connection_and_what_it_began_with(self):
        options = {"replication": "database", "application_name": "asks", "work_mem": "3MB", "options": "-c my.own=mine"}
        with pgwire.PgSession(self.sheaf.target(), options=options) as session:
            self.assertEqual(session.parameters["application_name"], "asks")
            for name, value in (("application_name", "asks"), ("work_mem", "3MB"), ("my.own", "mine")):
                self.assertEqual(session.ask(f"SHOW {name}").value, value)
            self.assertEqual(session.ask("IDENTIFY_SYSTEM").rows[0][3], "app")
            self.assertEqual(session.ask("CREATE TEMP TABLE mine AS SELECT 1").errors, [])
            self.assertEqual(session.ask("SELECT * FROM mine").rows, [["1"]])
            session.send(pgwire.query("SELECT pg_sleep(60)"))
            wait_until(lambda: self.server.sessions("query LIKE 'SELECT pg_sleep%' AND state = 'active'")
                       or self.server.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'asks' AND state = 'active'"),
                       what="it to sleep")
            pgwire.cancel(self.sheaf.target(), session.key)
            self.assertEqual(session.until("Z").errors, ["57014"])
            session.terminate()
        wait_until(lambda: not self.server.sql("SELECT 1 FROM pg_stat_activity WHERE application_name = 'asks'"), what="it to go")


class Refusals(Replication):
    def refused(self, user, password, **options):
        with self.assertRaises(pgwire.PgError) as caught:
            pgwire.PgSession(self.sheaf.target(), user=user, password=password, options=options).close()
        return caught.exception.code, caught.exception.fields["M"]

    def test_who_may_not_replicate_hears_so_and_others_go_on(self):
        for replication in ("true", "database"):
            with self.subTest(replication):
                code, words = self.refused("plain", "pencil", replication=replication)
                self.assertEqual(code, "42501" if self.server.value("SHOW server_version_num") >= "100000" else "28000")
                self.assertIn("must be superuser or replication role", words)
        with pgwire.PgSession(self.sheaf.target(), user="plain", password="pencil") as session:
            self.assertEqual(session.value("SELECT 1"), "1")

    def test_a_setting_that_the_server_does_not_take(self):
        self.assertEqual(self.refused("app", "secret", replication="database", work_mem="much")[0], "22023")
        self.assertEqual(self.refused("app", "secret", replication="perhaps")[0], "22023")

    def test_a_client_that_says_much_is_not_read_from_while_the_server_is_busy(self):
        """A megabyte and more for one that sleeps: it is not kept in memory."""
        with pgwire.PgSession(self.sheaf.target(), options={"replication": "database"}) as session:
            session.send(pgwire.query("SELECT pg_sleep(1)"))
            text = "SELECT length('" + "x" * 1000000 + "')"
            session.send_beside(pgwire.query(text) * 30)
            self.assertEqual(session.until("Z").errors, [])
            for _ in range(30):
                self.assertEqual(session.until("Z").rows, [["1000000"]])
        if SLOW == 1:  # sanitizers keep what was given back
            status = pathlib.Path(f"/proc/{self.sheaf.process.pid}/status").read_text(encoding="ascii")
            self.assertLess(int(status.split("VmHWM:")[1].split()[0]), 40 * 1024)

    def test_who_is_killed_is_told_so_where_a_message_ends(self):
        """In the midst of one he would take it for the rest of that."""
        for size in 1, 100_000_000:
            with self.subTest(size=size), pgwire.PgSession(self.sheaf.target(), options={"replication": "database"}) as session:
                session.send(pgwire.query(f"SELECT repeat('x', {size})"))
                told = session.socket.recv(65536)
                with pgwire.PgSession(self.sheaf.target(), database="sheaf") as console:
                    self.assertEqual(console.ask("KILL app").errors, [])
                    self.assertEqual(console.ask("RESUME app").errors, [])
                while data := session.socket.recv(1 << 20):
                    told += data
                self.assertEqual(b"57P01" in told, size == 1)
                self.assertEqual(told.endswith(b"\0\0"), size == 1)

    def test_a_server_that_goes_ends_it_with_its_words(self):
        with pgwire.PgSession(self.sheaf.target(), options={"replication": "database", "application_name": "ends"}) as session:
            self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'ends'")
            self.assertEqual(session.message().code, "57P01")
            self.assertRaises(EOFError, session.message)


if __name__ == "__main__":
    main()
