#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""The clients that people use with PostgreSQL, with their default settings: their ordinary life, through Sheaf.

The pool is as it comes: transactions are pooled, reads go to replicas, and what was written is seen at once."""
import asyncio
import contextlib
import os
import threading
import unittest

import asyncpg
import psycopg
import psycopg2
import psycopg2.extras

from lib import *
from lib.postgres import binary
from lib.process import run
from lib.sql_front import sql_front

CLIENTS = REPOSITORY / "tests/scenario/clients"
NODE_MODULES = REPOSITORY / "build/npm/node_modules"
LIBPQ = os.environ.get("SHEAF_LIBPQ", REPOSITORY / "build/release/client_libpq")


class Pooled(Case):
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls)
        cls.replicas = [Replica(cls, cls.primary) for _ in range(2)]
        cls.front = sql_front(cls, cls.primary, cls.replicas, **cls.options)

    @property
    def where(self):
        host, port = self.front.target()
        return f"host={host} port={port} user=app password=secret dbname=app"

    def run_client(self, *command, stdin="", env=None):
        host, port = self.front.target()
        code, out, err = run(command, stdin, seconds=100, env={
            "NODE_PATH": str(NODE_MODULES), "PGHOST": host, "PGPORT": str(port), "PGUSER": "app", "PGPASSWORD": "secret",
            "PGDATABASE": "app", **(env or {})})
        self.assertEqual(code, 0, f"{command}\n{out[-4000:]}\n{err[-4000:]}")
        return out + err

    def nothing_is_left(self):
        """No transaction stands on any server, and no lock of a session."""
        for server in (self.primary, *self.replicas):
            wait_until(lambda s=server: not s.sessions("state <> 'idle'"), what="the servers to be idle")
            self.assertEqual(server.sql("SELECT locktype FROM pg_locks WHERE locktype = 'advisory'"), [])


class Programs(Pooled):
    # --- libpq

    def libpq(self, story):
        self.run_client(LIBPQ, self.where, story)
        self.nothing_is_left()

    def test_libpq_what_pipelines_do_not_allow(self):
        self.libpq("disallowed")

    def test_libpq_several_pipelines(self):
        self.libpq("multi_pipelines")

    def test_libpq_a_pipeline_without_sync(self):
        self.libpq("nosync")

    def test_libpq_a_pipeline_of_inserts(self):
        self.libpq("pipelined_insert")

    def test_libpq_prepared_statements_and_portals(self):
        self.libpq("prepared")

    def test_libpq_pipelines_that_fail(self):
        self.libpq("pipeline_abort")

    def test_libpq_single_rows(self):
        self.libpq("singlerow")

    def test_libpq_transactions_in_pipelines(self):
        self.libpq("transaction")

    def test_libpq_a_pipeline_that_is_read_only_when_something_is_there(self):
        self.libpq("uniqviol")

    def test_libpq_cancelling(self):
        self.libpq("cancel")

    def test_libpq_copies(self):
        self.libpq("copy")

    def test_libpq_large_objects(self):
        self.libpq("large_objects")

    def test_libpq_notifications(self):
        self.libpq("notifications")

    def test_libpq_sessions(self):
        self.libpq("sessions")

    # --- psql and its kin

    def psql(self, script, *options):
        return self.run_client("psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", *options, stdin=script)

    def test_psql(self):
        out = self.psql("""
            CREATE TABLE ps (id serial PRIMARY KEY, v text);
            INSERT INTO ps (v) VALUES ('a'), ('b');
            SELECT count(*) FROM ps;
            \\d ps
            \\dt
            BEGIN; DELETE FROM ps; SELECT count(*) FROM ps; ROLLBACK;
            SELECT v FROM ps ORDER BY id LIMIT 1 \\gset got_
            SELECT :'got_v' || '!';
            SELECT 1 AS a, 'x' AS b \\gdesc
            SELECT format('SELECT %s', g) FROM generate_series(10, 12) g \\gexec
            \\copy ps (v) FROM PROGRAM 'printf "c\\\\nd\\\\n"'
            COPY (SELECT v FROM ps ORDER BY id) TO STDOUT;
            SELECT current_user, current_database();
            DROP TABLE ps;
        """)
        for expected in ("2\n", "nextval('ps_id_seq'", "0\n", "a!\n", "a|integer\nb|text\n", "10\n11\n12\n", "a\nb\nc\nd\n", "app|app\n"):
            self.assertIn(expected, out)

    def test_psql_and_errors(self):
        self.assertIn("1\n", self.psql("begin;\nbogus;\nselect 1 \\gdesc\nrollback;\nselect 1;", "-v", "ON_ERROR_STOP=0"))
        out = self.psql("\\set VERBOSITY verbose\nSELECT 1/0;\nSELECT 1", "-v", "ON_ERROR_STOP=0")
        self.assertIn("22012", out)

    def test_psql_lists_describes_and_connects_again(self):
        out = self.run_client("psql", "-X", "-c", "\\l", "-c", "\\du", "-c", "\\df pg_catalog.abs", "-c", "\\dn", "-c", "\\conninfo",
                              "-c", "\\c app app", "-c", "SELECT 'connected'", "-c", "\\dconfig work_mem")
        self.assertIn("connected", out)

    def test_pg_dump_and_back(self):
        self.psql("CREATE TABLE dumped AS SELECT g AS id, repeat('x', g % 100) AS v FROM generate_series(1, 5000) g;"
                  "CREATE INDEX ON dumped (id); CREATE VIEW seen AS SELECT count(*) FROM dumped; CREATE SEQUENCE counted")
        file = self.folder() / "dump"
        self.run_client("pg_dump", "-Fc", "-f", file)
        self.psql("DROP TABLE dumped CASCADE; DROP SEQUENCE counted")
        self.run_client("pg_restore", "-d", "app", "--no-owner", "-1", file)
        self.assertIn("5000|247500\n", self.psql("SELECT count(*), sum(length(v)) FROM dumped"))
        self.psql("DROP TABLE dumped CASCADE; DROP SEQUENCE counted")
        self.nothing_is_left()

    def test_other_programs(self):
        self.assertIn("accepting", self.run_client("pg_isready"))
        self.run_client("vacuumdb", "--analyze-only", "-q")
        self.run_client("reindexdb", "-q", "-s", env={"PGUSER": "app"})

    # --- pgbench

    def pgbench(self, *options):
        out = self.run_client(binary("pgbench"), "-n", *options)
        self.assertIn("number of failed transactions: 0", out)
        return out

    def test_pgbench(self):
        self.run_client(binary("pgbench"), "-i", "-s", "1", "-q")
        done = 0
        for mode in ("simple", "extended", "prepared"):
            self.pgbench("-M", mode, "-c", "10", "-j", "2", "-t", "20")
            done += 200
            self.pgbench("-M", mode, "-S", "-c", "10", "-j", "2", "-t", "100")
        self.pgbench("-C", "-c", "5", "-t", "10")
        done += 50
        sums = [self.primary.value(f"SELECT sum({column}) FROM pgbench_{table}") for table, column in
                (("accounts", "abalance"), ("tellers", "tbalance"), ("branches", "bbalance"), ("history", "delta"))]
        self.assertEqual(len(set(sums)), 1, sums)
        self.assertEqual(self.primary.value("SELECT count(*) FROM pgbench_history"), done)
        self.nothing_is_left()

    def test_pgbench_with_pipelines(self):
        file = self.folder() / "pipeline.sql"
        file.write_text("\\set n random(1, 1000)\n\\startpipeline\nSELECT :n;\nBEGIN;\nSELECT :n + 1;\nEND;\nSELECT 2;\n\\endpipeline\n")
        for mode in ("extended", "prepared"):
            self.pgbench("-M", mode, "-c", "8", "-j", "2", "-t", "100", "-f", file)

    # --- Node.js

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_node_pg(self):
        self.run_client("node", CLIENTS / "node_pg.js", self.front.port)
        self.nothing_is_left()

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_node_postgres(self):
        self.run_client("node", CLIENTS / "node_postgres.js", self.front.port)
        self.nothing_is_left()


class Psycopg(Pooled):
    def setUp(self):
        self.db = psycopg.connect(self.where, autocommit=True)
        self.addCleanup(self.db.close)
        self.db.execute("DROP TABLE IF EXISTS p3")
        self.db.execute("CREATE TABLE p3 (id serial PRIMARY KEY, v text)")

    def test_queries(self):
        self.assertEqual(self.db.execute("SELECT %s::int + 1, %s::text, %s::bytea", (41, None, b"\0\1")).fetchone(), (42, None, b"\0\1"))
        self.assertEqual(self.db.execute("SELECT %s::int[]", ([1, 2],), binary=True).fetchone(), ([1, 2],))
        with self.assertRaises(psycopg.errors.UndefinedTable):
            self.db.execute("SELECT * FROM nosuch")
        with self.assertRaises(psycopg.errors.DivisionByZero):
            self.db.execute("SELECT 1 / %s", (0,))
        cursor = self.db.execute("SELECT 1; SELECT 2")
        self.assertEqual((cursor.fetchone(), cursor.nextset(), cursor.fetchone()), ((1,), True, (2,)))

    def test_its_own_writes_are_seen(self):
        for n in range(1, 101):
            self.assertEqual(self.db.execute("INSERT INTO p3 (v) VALUES (%s) RETURNING id", (f"v{n}",)).fetchone(), (n,))
            self.assertEqual(self.db.execute("SELECT count(*) FROM p3").fetchone(), (n,))

    def test_it_prepares_what_is_repeated(self):
        self.assertEqual(self.db.prepare_threshold, 5)
        for n in range(50):
            self.assertEqual(self.db.execute("SELECT %s::int + 1", (n,)).fetchone(), (n + 1,))
            self.assertEqual(self.db.execute("SELECT %s::text", (str(n),)).fetchone(), (str(n),))
        for n in range(300):  # more than it keeps: the oldest are deallocated
            for _ in range(2):
                self.db.execute(f"SELECT {n}, %s::int", (n,), prepare=True)

    def test_transactions(self):
        with self.db.transaction():
            self.db.execute("INSERT INTO p3 (v) VALUES ('a')")
            with contextlib.suppress(psycopg.errors.UniqueViolation), self.db.transaction():
                self.db.execute("INSERT INTO p3 VALUES (1, 'b')")
            with self.db.transaction(force_rollback=True):
                self.db.execute("DELETE FROM p3")
        with self.assertRaises(psycopg.errors.DivisionByZero), self.db.transaction():
            self.db.execute("DELETE FROM p3")
            self.db.execute("SELECT 1/0")
        self.assertEqual(self.db.execute("SELECT count(*) FROM p3").fetchone(), (1,))

    def test_without_autocommit(self):
        with psycopg.connect(self.where) as db:
            for n in range(20):
                db.execute("INSERT INTO p3 (v) VALUES (%s)", (f"v{n}",))
                if n % 2:
                    db.rollback()
                else:
                    db.commit()
        self.assertEqual(self.db.execute("SELECT count(*) FROM p3").fetchone(), (10,))
        db = psycopg.connect(self.where)
        db.read_only, db.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
        with db:
            self.assertEqual(db.execute("SELECT count(*) FROM p3").fetchone(), (10,))
            with self.assertRaises(psycopg.errors.ReadOnlySqlTransaction):
                db.execute("DELETE FROM p3")
            db.rollback()

    def test_pipelines(self):
        with self.db.pipeline():
            cursors = [self.db.execute("INSERT INTO p3 (v) VALUES (%s) RETURNING id", (f"v{n}",)) for n in range(500)]
            self.assertEqual([c.fetchone()[0] for c in cursors], list(range(1, 501)))
        with self.assertRaises(psycopg.errors.DivisionByZero), self.db.pipeline():
            for n in range(10):
                self.db.execute("SELECT 1 / %s", (5 - n,))
        cursor = self.db.cursor()
        cursor.executemany("INSERT INTO p3 (v) VALUES (%s) RETURNING id", [(f"m{n}",) for n in range(1000)], returning=True)
        self.assertEqual(self.db.execute("SELECT count(*) FROM p3").fetchone(), (1500,))

    def test_copies(self):
        cursor = self.db.cursor()
        with cursor.copy("COPY p3 (v) FROM STDIN") as copy:
            for n in range(5000):
                copy.write_row((f"v{n}",))
        with cursor.copy("COPY p3 TO STDOUT (FORMAT binary)") as copy:
            self.assertGreater(sum(len(block) for block in copy), 5000 * 10)
        with self.assertRaises(psycopg.errors.QueryCanceled), cursor.copy("COPY p3 (v) FROM STDIN") as copy:
            copy.write_row(("x",))
            raise psycopg.errors.QueryCanceled("no more")
        self.assertEqual(self.db.execute("SELECT count(*) FROM p3").fetchone(), (5000,))

    def test_cursors_on_the_server(self):
        with self.db.transaction():
            with self.db.cursor("named") as cursor:
                cursor.execute("SELECT generate_series(1, 1000)")
                cursor.itersize = 70
                self.assertEqual([row[0] for row in cursor], list(range(1, 1001)))
        with self.db.cursor("held", withhold=True) as cursor:
            cursor.execute("SELECT generate_series(1, 1000)")
            self.db.execute("SELECT 1")
            self.assertEqual(len(cursor.fetchmany(10)), 10)
            self.assertEqual(len(cursor.fetchall()), 990)

    def test_stream(self):
        self.assertEqual([row[0] for row in self.db.cursor().stream("SELECT generate_series(1, 1000)")], list(range(1, 1001)))

    def test_notifications_and_notices(self):
        with psycopg.connect(self.where, autocommit=True) as listener:
            listener.execute("LISTEN p3")
            self.db.execute("NOTIFY p3, 'hello'")
            self.assertEqual(next(listener.notifies()).payload, "hello")
        notices = []
        self.db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        self.db.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
        self.assertEqual(notices, ["heard"])

    def test_cancelling(self):
        thread = threading.Thread(target=lambda: wait_until(
            lambda: self.primary.sessions("query LIKE '%pg_sleep(60)%' AND state = 'active'")
            or any(r.sessions("query LIKE '%pg_sleep(60)%' AND state = 'active'") for r in self.replicas)) and self.db.cancel())
        thread.start()
        with self.assertRaises(psycopg.errors.QueryCanceled):
            self.db.execute("SELECT pg_sleep(60)")
        thread.join()
        self.assertEqual(self.db.execute("SELECT 1").fetchone(), (1,))

    def test_asynchronous(self):
        async def one(n):
            async with await psycopg.AsyncConnection.connect(self.where) as db:
                await db.execute("INSERT INTO p3 (v) VALUES (%s)", (f"a{n}",))
                await db.commit()
                cursor = await db.execute("SELECT v FROM p3 WHERE v = %s", (f"a{n}",))
                return (await cursor.fetchone())[0]

        async def all_of():
            return await asyncio.gather(*(one(n) for n in range(30)))
        self.assertEqual(asyncio.run(all_of()), [f"a{n}" for n in range(30)])


class Psycopg2(Pooled):
    def setUp(self):
        self.db = psycopg2.connect(self.where)
        self.addCleanup(self.db.close)
        self.cursor = self.db.cursor()
        self.cursor.execute("DROP TABLE IF EXISTS p2; CREATE TABLE p2 (id serial PRIMARY KEY, v text)")
        self.db.commit()

    def test_transactions(self):
        for n in range(1, 51):
            self.cursor.execute("INSERT INTO p2 (v) VALUES (%s)", (f"v{n}",))
            self.db.commit()
            self.cursor.execute("SELECT count(*) FROM p2")
            self.assertEqual(self.cursor.fetchone(), (n,))
            self.db.commit()
        self.cursor.execute("DELETE FROM p2")
        with self.assertRaises(psycopg2.errors.DivisionByZero):
            self.cursor.execute("SELECT 1/0")
        self.db.rollback()
        self.cursor.execute("SELECT count(*) FROM p2")
        self.assertEqual(self.cursor.fetchone(), (50,))

    def test_session_characteristics(self):
        self.db.set_session(isolation_level="REPEATABLE READ", readonly=True)
        self.cursor.execute("SHOW transaction_isolation")
        self.assertEqual(self.cursor.fetchone(), ("repeatable read",))
        with self.assertRaises(psycopg2.errors.ReadOnlySqlTransaction):
            self.cursor.execute("DELETE FROM p2")
        self.db.rollback()
        self.db.set_session(isolation_level="DEFAULT", readonly=False, autocommit=True)
        self.cursor.execute("INSERT INTO p2 (v) VALUES ('x')")
        self.db.set_client_encoding("LATIN1")
        self.cursor.execute("SELECT 'größe'")
        self.assertEqual(self.cursor.fetchone(), ("größe",))

    def test_many_values_and_copies(self):
        psycopg2.extras.execute_values(self.cursor, "INSERT INTO p2 (v) VALUES %s", [(f"v{n}",) for n in range(1000)])
        psycopg2.extras.execute_batch(self.cursor, "UPDATE p2 SET v = %s WHERE id = %s", [(f"w{n}", n) for n in range(1000)])
        with open(self.folder() / "p2", "w+", encoding="utf-8") as file:
            self.cursor.copy_expert("COPY p2 TO STDOUT", file)
            file.seek(0)
            self.cursor.execute("TRUNCATE p2")
            self.cursor.copy_expert("COPY p2 FROM STDIN", file)
        self.db.commit()
        self.cursor.execute("SELECT count(*) FROM p2 WHERE v LIKE 'w%'")
        self.assertEqual(self.cursor.fetchone(), (999,))

    def test_cursors_and_large_objects(self):
        with self.db.cursor("named") as named:
            named.itersize = 100
            named.execute("SELECT generate_series(1, 1000)")
            self.assertEqual(len(list(named)), 1000)
        self.db.commit()
        large = self.db.lobject(0, "wb")
        large.write(b"x" * 100000)
        number = large.oid
        self.db.commit()
        large = self.db.lobject(number, "rb")
        self.assertEqual(len(large.read()), 100000)
        large.unlink()
        self.db.commit()

    def test_notifications(self):
        self.db.set_session(autocommit=True)
        self.cursor.execute("LISTEN p2")
        with contextlib.closing(psycopg2.connect(self.where)) as other:
            other.cursor().execute("NOTIFY p2, 'hello'")
            other.commit()

        def heard():
            self.db.poll()
            return self.db.notifies
        self.assertEqual(wait_until(heard)[0].payload, "hello")


class Asyncpg(Pooled):
    def told(self, story, **options):
        async def tell():
            db = await asyncpg.connect(host="127.0.0.1", port=self.front.port, user="app", password="secret", database="app", **options)
            try:
                await db.execute("DROP TABLE IF EXISTS ap")
                await db.execute("CREATE TABLE ap (id serial PRIMARY KEY, v text)")
                await story(db)
            finally:
                await db.close()
        asyncio.run(tell())
        self.nothing_is_left()

    def test_queries(self):
        async def story(db):
            for n in range(50):
                self.assertEqual(await db.fetchval("SELECT $1::int + 1", n), n + 1)
            self.assertEqual(await db.fetchrow("SELECT $1::text[], $2::jsonb, $3::numeric", ["a", None], "{}", 1), (["a", None], "{}", 1))
            with self.assertRaises(asyncpg.UndefinedTableError):
                await db.fetch("SELECT * FROM nosuch")
            with self.assertRaises(asyncpg.DivisionByZeroError):
                await db.fetch("SELECT 1 / $1::int", 0)
            self.assertEqual(await db.execute("SELECT 1; SELECT 2"), "SELECT 1")
        self.told(story)

    def test_its_own_writes_are_seen(self):
        async def story(db):
            for n in range(1, 101):
                self.assertEqual(await db.fetchval("INSERT INTO ap (v) VALUES ($1) RETURNING id", f"v{n}"), n)
                self.assertEqual(await db.fetchval("SELECT count(*) FROM ap"), n)
        self.told(story)

    def test_types_that_it_must_look_up(self):
        async def story(db):
            await db.execute("DROP TYPE IF EXISTS mood; CREATE TYPE mood AS ENUM ('sad', 'ok'); DROP TYPE IF EXISTS pair;"
                             "CREATE TYPE pair AS (a int, b mood)")
            self.assertEqual(await db.fetchval("SELECT ARRAY[(1, 'ok')]::pair[]"), [(1, "ok")])
            self.assertEqual(await db.fetchval("SELECT $1::mood", "sad"), "sad")
        self.told(story)

    def test_transactions_and_cursors(self):
        async def story(db):
            async with db.transaction():
                await db.executemany("INSERT INTO ap (v) VALUES ($1)", [(f"v{n}",) for n in range(1000)])
                with contextlib.suppress(asyncpg.UniqueViolationError):
                    async with db.transaction():
                        await db.execute("INSERT INTO ap VALUES (1, 'x')")
            async with db.transaction(readonly=True, isolation="repeatable_read"):
                self.assertEqual(len([r async for r in db.cursor("SELECT id FROM ap", prefetch=70)]), 1000)
                cursor = await db.cursor("SELECT id FROM ap ORDER BY id")
                await cursor.forward(10)
                self.assertEqual(await cursor.fetchrow(), (11,))
            with self.assertRaises(asyncpg.DivisionByZeroError):
                async with db.transaction():
                    await db.execute("DELETE FROM ap")
                    await db.fetch("SELECT 1/0")
            self.assertEqual(await db.fetchval("SELECT count(*) FROM ap"), 1000)
        self.told(story)

    def test_copies(self):
        async def story(db):
            self.assertEqual(await db.copy_records_to_table("ap", records=[(n, f"v{n}") for n in range(5000)]), "COPY 5000")
            with open(self.folder() / "ap", "wb") as file:
                self.assertEqual(await db.copy_from_query("SELECT * FROM ap WHERE id < $1", 100, output=file), "COPY 100")
        self.told(story)

    def test_timeouts_and_cancelling(self):
        async def story(db):
            for _ in range(5):
                with self.assertRaises(asyncio.TimeoutError):
                    await db.fetch("SELECT pg_sleep(5)", timeout=0.05)
                self.assertEqual(await db.fetchval("SELECT 1"), 1)
        self.told(story)

    def test_notifications(self):
        async def story(db):
            heard = asyncio.get_running_loop().create_future()
            await db.add_listener("ap", lambda *what: heard.set_result(what[3]))
            await db.execute("NOTIFY ap, 'hello'")
            self.assertEqual(await asyncio.wait_for(heard, 10 * SLOW), "hello")
        self.told(story)

    def test_pools(self):
        """What is given back is reset by UNLISTEN, RESET ALL and the like."""
        async def story(_):
            async with asyncpg.create_pool(host="127.0.0.1", port=self.front.port, user="app", password="secret", database="app",
                                           min_size=3, max_size=10) as pool:
                async def one(n):
                    async with pool.acquire() as db:
                        await db.execute(f"SET application_name = 'number {n}'")
                        await db.execute("INSERT INTO ap (v) VALUES ($1)", str(n))
                        return await db.fetchval("SELECT v || current_setting('application_name') FROM ap WHERE v = $1", str(n))
                self.assertEqual(await asyncio.gather(*(one(n) for n in range(100))), [f"{n}number {n}" for n in range(100)])
                self.assertEqual(await pool.fetchval("SHOW application_name"), "")
        self.told(story)


if __name__ == "__main__":
    main()
