#!/usr/bin/python3
# release only: what is told of pools, most of it waiting (--long has all builds)
"""PgBouncer's console before SQL pools: what it shows, who may do what, and what PAUSE and its like do under load."""
import asyncio
import contextlib
import itertools
import json
import re
import struct
import threading

import asyncpg
import psycopg
import psycopg2

from lib import *
from lib import pgwire as pg
from lib.process import run

USERS = ["app secret", "looker nopass", "other secret"]
TABLES = {
    # PgBouncer's columns in their order (1.24), which programs read; then ours.
    "POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel"
             " sv_being_canceled sv_idle sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts"
             " pool cl_pinned sv_primary sv_replica",
    "CLIENTS": "type user database replication state addr port local_addr local_port connect_time request_time wait"
               " wait_us close_needed ptr link remote_pid tls application_name prepared_statements id"
               " pool worker route endpoint waits_for pins",
    "SERVERS": "type user database replication state addr port local_addr local_port connect_time request_time wait"
               " wait_us close_needed ptr link remote_pid tls application_name prepared_statements id"
               " pool worker role endpoint pins",
    "STATS": "database total_server_assignment_count total_xact_count total_query_count total_received total_sent"
             " total_xact_time total_query_time total_wait_time total_client_parse_count total_server_parse_count"
             " total_bind_count avg_server_assignment_count avg_xact_count avg_query_count avg_recv avg_sent"
             " avg_xact_time avg_query_time avg_wait_time avg_client_parse_count avg_server_parse_count avg_bind_count",
    **dict.fromkeys(("STATS_TOTALS", "STATS_AVERAGES"), "database server_assignment_count xact_count query_count bytes_received bytes_sent"
                    " xact_time query_time wait_time client_parse_count server_parse_count bind_count"),
    "DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime"
                 " pool_mode load_balance_hosts max_connections current_connections max_client_connections"
                 " current_client_connections paused disabled pool route reserve_pool",
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections current_connections"
             " max_user_client_connections current_client_connections route console",
    "CONFIG": "key value default changeable",
    "LISTS": "list items",
    "MEM": "name size used free memtotal",
    "STATE": "key value",
    "VERSION": "version",
    "ENDPOINTS": "endpoint role configured state fit lag lag_bytes position timeline weight active idle starting waiting"
                 " why",
    "VERDICTS": "shape database user kind route reason hits overruled sqlstate overruled_for_s",
    "PINS": "pin reason clients total",
    "WAITS": "wait for clients total total_us",
}


class Writers:
    """Clients that write rows, one after the other, until stop(); what they were told, and how many they wrote."""

    def __init__(self, owner, port, count=6, database="app"):
        self.stopped, self.errors, self.written = threading.Event(), [], 0
        self.port, self.database, self.lock = port, database, threading.Lock()
        self.threads = [threading.Thread(target=self._run) for _ in range(count)]
        owner.addCleanup(self.stop)
        for thread in self.threads:
            thread.start()
        wait_until(lambda: self.written > 3 * count or self.errors, what="writers to write")

    def _run(self):
        try:
            with contextlib.closing(connect(self.port, database=self.database)) as connection:
                cursor = connection.cursor()
                while not self.stopped.is_set():
                    cursor.execute("INSERT INTO written DEFAULT VALUES")
                    cursor.execute("SELECT count(*) FROM written WHERE false")
                    with self.lock:
                        self.written += 1
        except psycopg2.Error as error:
            self.errors.append(error)

    def goes_on(self):
        """More is written than there was."""
        before = self.written + len(self.threads)
        wait_until(lambda: self.written > before or self.errors, 30, "the writers to go on")

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def connect(port, user="app", database="app", **options):
    connection = psycopg2.connect(host="127.0.0.1", port=port, user=user, password="secret", dbname=database,
                                  connect_timeout=int(20 * SLOW), **options)
    connection.autocommit = True
    return connection


class Console(Case):
    options = {}

    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls)
        cls.primary.sql("CREATE TABLE written (n serial); CREATE TABLE t (id int); INSERT INTO t VALUES (1)", user="app")
        cls.primary.sql("CREATE ROLE looker LOGIN; CREATE ROLE other LOGIN")
        cls.replica = Replica(cls, cls.primary)

    def setUp(self):
        self.sheaf = self.serve()

    def serve(self, workers=2, **options):
        sheaf = Sheaf(self, sql_pool(self.primary, [self.replica], **{
            "user": USERS, "admin_user": "app", "stats_user": "looker", **self.options, **options}),
            proxy={"workers": workers})
        wait_until(lambda: [each["standing"]["fit"] for each in sheaf.status()["pools"][0]["endpoints"]]
                   == ["fresh", "fresh"], what="the servers to be known")
        return sheaf

    def connect(self, **options):
        connection = connect(self.sheaf.port, **options)
        self.addCleanup(connection.close)
        return connection

    def client(self, **options):
        return self.connect(**options).cursor()

    def console(self, user="app", database="sheaf"):
        return self.connect(user=user, database=database).cursor()

    def session(self, database="app", **parameters):
        """Byte by byte."""
        session = pg.PgSession(self.sheaf.target(), database=database, options=parameters)
        self.addCleanup(session.close)
        return session

    def show(self, what, console=None):
        """Rows as dictionaries, by the names of columns."""
        cursor = console or self.console()
        cursor.execute(f"SHOW {what}")
        return [dict(zip([column.name for column in cursor.description], row)) for row in cursor.fetchall()]

    def fails(self, code, function, *arguments):
        with self.assertRaises(psycopg2.Error) as caught:
            function(*arguments)
        self.assertEqual(caught.exception.pgcode, code, str(caught.exception))
        return str(caught.exception)

    def metric(self, line):
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.sheaf.http("/metrics")[1], re.M)
        self.assertIsNotNone(found, line)
        return float(found[1])


class Shows(Console):
    def test_each_table_has_the_columns_of_pgbouncer_and_then_ours(self):
        client, console = self.client(), self.console()
        for table, columns in TABLES.items():
            with self.subTest(table=table):
                console.execute(f"SHOW {table}")
                self.assertEqual([column.name for column in console.description], columns.split())
                self.assertEqual(console.statusmessage, "SHOW")
                # Verdicts are forgotten when the catalog comes.
                wait_until(lambda shown=table: client.execute("SELECT 1") or self.show(shown, console), what="a row")

    def test_psql_shows_all_and_help_names_all(self):
        target = ["-X", "-h", "127.0.0.1", "-p", str(self.sheaf.port), "-U", "app", "pgbouncer"]
        env = {"PGPASSWORD": "secret"}
        code, _, err = run(["psql", *target, "-c", "SHOW HELP"], env=env)
        self.assertEqual(code, 0)
        for word in [f"SHOW {table}" for table in TABLES] + ["PAUSE", "RESUME", "RECONNECT", "KILL", "RELOAD"]:
            self.assertIn(f"\t{word}", err)
        code, out, err = run(["psql", *target, *(word for table in TABLES for word in ("-c", f"show {table.lower()} ;"))], env=env)
        self.assertEqual((code, err), (0, ""))
        for columns in TABLES.values():
            self.assertRegex(out, r" *\| *".join(columns.split()))

    def test_what_is_unknown_is_told_with_what_there_is(self):
        console = self.console()
        text = self.fails("42601", console.execute, "SELECT 1")
        self.assertIn("SHOW HELP|POOLS", text)
        self.assertIn("PAUSE [DATABASE], RESUME [DATABASE]", text)
        self.assertIn("HELP, VERSION, POOLS", self.fails("42704", console.execute, "SHOW nothing"))
        self.assertIn("one at a time", self.fails("42601", console.execute, "SHOW POOLS; SHOW CLIENTS"))
        self.assertIn("SIGTERM", self.fails("0A000", console.execute, "SHUTDOWN"))
        self.fails("0A000", console.execute, "SUSPEND")
        console.execute("SHOW VERSION")
        self.assertRegex(console.fetchone()[0], r"^Sheaf \d")

    def test_clients_and_servers_are_shown_with_whom_they_serve(self):
        pinned = self.client(application_name="the pinned one")
        pinned.execute("CREATE TEMP TABLE own (a int)")
        self.client().execute("SELECT 1")
        wait_until(lambda: "temporary objects" in [row["pins"] for row in self.show("CLIENTS")],
                   what="the server to say what is there")
        clients = {row["application_name"]: row for row in self.show("CLIENTS") if row["database"] == "app"}
        mine = clients["the pinned one"]
        self.assertEqual((mine["state"], mine["user"]), ("active", "app"))
        self.assertEqual(mine["endpoint"], self.primary.address)
        self.assertEqual(clients[""]["state"], "idle")
        servers = self.show("SERVERS")
        serving = [row for row in servers if row["link"] == mine["ptr"]]
        self.assertEqual([row["ptr"] for row in serving], [mine["link"]])
        pinned.execute("SELECT pg_backend_pid()")
        self.assertEqual((serving[0]["remote_pid"], serving[0]["role"], serving[0]["state"]),
                         (pinned.fetchone()[0], "primary", "active"))
        self.assertEqual({row["role"] for row in servers}, {"primary", "replica"})
        pool = [row for row in self.show("POOLS") if row["database"] == "app"][0]
        self.assertEqual((pool["cl_active"], pool["cl_waiting"], pool["cl_pinned"], pool["sv_active"], pool["pool_mode"]),
                         (2, 0, 1, 1, "transaction"))
        pins = {row["pin"]: row for row in self.show("PINS")}
        self.assertEqual((pins["temp"]["clients"], pins["temp"]["total"]), (1, 1))
        self.assertEqual(self.metric('sheaf_sql_pinned{pool="main",pin="temp"}'), 1)
        pinned.execute("DROP TABLE own")
        wait_until(lambda: {row["pin"]: row["clients"] for row in self.show("PINS")}["temp"] == 0,
                   what="the server to say that it is gone")
        self.assertEqual(self.metric('sheaf_sql_pinned{pool="main",pin="temp"}'), 0)
        self.assertEqual(self.metric('sheaf_sql_pins_total{pool="main",pin="temp"}'), 1)

    def test_rows_of_all_workers_are_added_up(self):
        clients = [self.client() for _ in range(12)]
        for client in clients:
            client.execute("BEGIN; SELECT 1")
        shown = [row for row in self.show("CLIENTS") if row["database"] == "app"]
        self.assertEqual(len(shown), 12)
        self.assertEqual({row["worker"] for row in shown}, {0, 1})
        pools = [row for row in self.show("POOLS") if row["database"] == "app"]
        self.assertEqual([(row["cl_active"], row["sv_active"]) for row in pools], [(12, 12)])
        lists = {row["list"]: row["items"] for row in self.show("LISTS")}
        self.assertEqual((lists["used_clients"], lists["workers"], lists["users"]), (12 + 3, 2, 3))
        self.assertEqual(self.sheaf.status()["pools"][0]["clients"], {"active": 12, "waiting": 0, "pinned": 0})
        for client in clients:
            client.execute("COMMIT")
        self.assertEqual(self.sheaf.status()["pools"][0]["clients"], {"active": 0, "waiting": 0, "pinned": 0})
        stats = [row for row in self.show("STATS") if row["database"] == "app"]
        self.assertEqual([(row["total_xact_count"], row["total_query_count"]) for row in stats], [(12, 24)])
        self.assertGreater(stats[0]["total_received"], 12 * 20)
        self.assertGreater(stats[0]["total_sent"], stats[0]["total_received"])

    def test_verdicts_routes_and_endpoints_are_shown(self):
        client = self.client()

        def is_known():
            client.execute("EXPLAIN ROUTE SELECT id FROM t WHERE id = 1")
            return client.fetchone()[0].startswith("replica")
        wait_until(is_known, what="the catalog to be known")
        for n in range(5):
            client.execute(f"SELECT id FROM t WHERE id = {n}")
        client.execute("SELECT id FROM t FOR UPDATE")
        verdicts = {(row["route"], row["reason"]): row for row in self.show("VERDICTS")}
        reads = [row for (route, _), row in verdicts.items() if route in ("replica", "try")]
        self.assertEqual(len(reads), 1)
        self.assertGreaterEqual(reads[0]["hits"], 4)
        self.assertTrue(all(row["database"] == "app" and row["user"] == "app" for row in verdicts.values()))
        self.assertIn("primary", {route for route, _ in verdicts})
        endpoints = {row["endpoint"]: row for row in self.show("ENDPOINTS")}
        self.assertEqual([endpoints[each.address]["role"] for each in (self.primary, self.replica)],
                         ["primary", "replica"])
        self.assertEqual(float(endpoints[self.replica.address]["lag"]) < 60, True)
        exchanges = self.sheaf.status()["pools"][0]["exchanges"]
        self.assertEqual((exchanges["primary"], exchanges["replica"]), (1, 5))
        self.assertEqual(self.metric('sheaf_sql_exchanges_total{pool="main",route="replica"}'), 5)
        wait_until(lambda: self.metric('sheaf_sql_clients_active{pool="main"}') == 0,
                   what="the server to be asked what FOR UPDATE left there: until then it is the client's")
        client.execute("SELECT id FROM t /* route=primary */")
        routed = self.sheaf.status()["pools"][0]["routed"]
        self.assertEqual({why: count for why, count in routed.items() if count}, {"read": 5, "statement": 1, "asked": 1})
        for route, why, count in (("replica", "read", 5), ("primary", "statement", 1), ("primary", "asked", 1), ("primary", "behind", 0)):
            self.assertEqual(self.metric(f'sheaf_sql_routed_total{{pool="main",route="{route}",why="{why}"}}'), count)

    def test_statements_are_counted_where_they_are_prepared(self):
        """By clients, and at servers: those that a server has already are not prepared there again."""
        for _ in range(3):
            session = self.session()
            session.run(pg.parse("p", "SELECT 1 /* counted */ FOR UPDATE") + pg.sync())
            for _ in range(4):
                session.run(pg.bind("", "p") + pg.execute() + pg.sync())
            session.run(pg.one("SELECT 2") + pg.sync())
        stats = {row["database"]: row for row in self.show("STATS")}["app"]
        self.assertEqual((stats["total_client_parse_count"], stats["total_bind_count"]), (6, 15))
        self.assertIn(stats["total_server_parse_count"], (4, 5))  # each worker has a connection of its own

    def test_config_hides_secrets(self):
        self.sheaf.reload(sql_pool(self.primary, user=USERS, admin_user="app", probe_user="app",
                                   probe_password="hidden", listen=self.sheaf.listeners["main"][0]))
        wait_until(lambda: "configuration reloaded" in self.sheaf.log, what="the reload")
        config = {row["key"]: row for row in self.show("CONFIG")}
        self.assertEqual(config["probe_password"]["value"], "***")
        self.assertEqual((config["pool_size"]["value"], config["pool_size"]["default"]), ("20", "20"))
        self.assertEqual((config["workers"]["value"], config["workers"]["changeable"]), ("2", "no"))
        self.assertNotIn("hidden", str(config))

    def test_metrics_please_promtool(self):
        self.client().execute("SELECT 1")
        text = self.sheaf.http("/metrics")[1]
        names = re.findall(r"^# TYPE (sheaf_sql_\S+) (\S+)$", text, re.M)
        self.assertEqual(len(names), len(set(names)))
        self.assertTrue(all(name.endswith("_total") == (kind == "counter") for name, kind in names), names)
        try:
            code, out, err = run(["promtool", "check", "metrics"], stdin=text)
        except FileNotFoundError:
            self.skipTest("promtool is not installed")
        self.assertEqual((code, out + err), (0, ""))


class Slow(Console):
    """The slowest statements, for who runs it: what was asked, of which database and server, and never a literal."""

    def serve(self, workers=2, **options):
        sheaf = Sheaf(self, sql_pool(self.primary, [self.replica], user=USERS), proxy={"workers": workers, "slow_time": "50ms"})
        wait_until(lambda: [each["standing"]["fit"] for each in sheaf.status()["pools"][0]["endpoints"]]
                   == ["fresh", "fresh"], what="the servers to be known")
        return sheaf

    def slow(self):
        found = json.loads(self.sheaf.http("/api/v1/slow")[1])["requests"]
        return [{key: each[key] for key in ("command", "statement", "database", "user", "application", "endpoint", "pool")} for each in found
                if self.assertGreaterEqual(each["took_us"], 50_000) is None and re.match(r"127\.0\.0\.1:\d+$", each["client"])]

    def test_statements_are_told_by_their_words(self):
        session = self.session(application_name="by hand")
        session.ask("SET sheaf.route = primary")
        for data, command, statement in (
                (pg.query("/* not this */ select pg_sleep(0.1), 'not this' WHERE 1 = 1"), "SELECT", "select pg_sleep(?), ? WHERE ? = ?"),
                (pg.one("INSERT INTO t SELECT 7 FROM pg_sleep($1::float)", 0.1) + pg.sync(), "INSERT", "INSERT INTO t SELECT ? FROM pg_sleep($1::float)"),
                (pg.parse("p", "SELECT pg_sleep(0.1) AS prepared") + pg.sync(), None, None),
                (pg.bind("", "p") + pg.execute() + pg.sync(), "SELECT", "SELECT pg_sleep(?) AS prepared"),
                (pg.query("DO $x$ BEGIN PERFORM pg_sleep(0.1); END $x$"), "DO", "DO ?"),
                (pg.query("SELECT pg_sleep(0.1), '" + "a secret that is long " * 20 + "'"), "SELECT", "SELECT pg_sleep(?), ?"),
                (pg.function_call(self.primary.value("SELECT 'pg_sleep'::regproc::oid"), [struct.pack("!d", 0.1)]), "FunctionCall", "")):
            with self.subTest(statement=statement):
                self.assertEqual(session.run(data).errors, [])
                found = self.slow()
                if command is not None:
                    self.assertIn({"command": command, "statement": statement, "database": "app", "user": "app", "application": "by hand",
                                   "endpoint": self.primary.address, "pool": "main"}, found)

    def test_what_is_quick_or_waits_for_a_server_is_not_there(self):
        """Behind one that is slow, in a pipeline or in the queue for the only connection to a server."""
        self.sheaf = Sheaf(self, sql_pool(self.primary, user=USERS, pool_size="1"), proxy={"workers": 1, "slow_time": "1s"})
        session, other = self.session(), self.session()
        session.send(pg.query("SELECT pg_sleep(1.1)") + pg.query("SELECT 'quick'") + pg.one("SELECT 'quick', 2") + pg.sync())
        other.send(pg.query("SELECT 'waits'"))
        session.until("Z", 3)
        other.until("Z")
        self.assertEqual([each["statement"] for each in self.slow()], ["SELECT pg_sleep(?)"])


class Protocols(Console):
    def test_drivers_that_prepare_all_they_say(self):
        with psycopg.connect(host="127.0.0.1", port=self.sheaf.port, user="app", password="secret", dbname="sheaf") as three:
            rows = three.execute("SHOW POOLS", prepare=True).fetchall()
            three.commit()
            self.assertEqual(three.execute("SHOW VERSION", binary=True).fetchall()[0][0][:5], "Sheaf")
            lists = dict(three.execute("SHOW LISTS", binary=True, prepare=True).fetchall())
            self.assertEqual(lists["workers"], 2)
            three.rollback()
        self.assertIsInstance(rows, list)

        async def ask():
            connection = await asyncpg.connect(host="127.0.0.1", port=self.sheaf.port, user="app", password="secret",
                                               database="sheaf", statement_cache_size=0)
            found = await connection.fetch("SHOW LISTS")
            with self.assertRaises(asyncpg.PostgresError):
                await connection.fetch("NOTHING")
            again = await connection.fetch("SHOW LISTS")
            connection.terminate()
            return {row["list"]: row["items"] for row in found}, again
        lists, again = asyncio.run(ask())
        self.assertEqual(lists["workers"], 2)
        self.assertEqual(len(again), len(lists))

    def test_the_extended_protocol_byte_by_byte_and_pipelined(self):
        for one_byte in (False, True):
            with pg.PgSession(self.sheaf.target(), user="app", password="secret", database="sheaf") as session:
                session.one_byte = one_byte
                answer = session.run(pg.parse("s", "SHOW VERSION") + pg.describe("S", "s") + pg.bind("", "s") +
                                     pg.describe("P", "") + pg.execute() + pg.sync() + pg.query("SHOW STATE") + pg.query(""), 3)
                self.assertEqual(answer.tags, "1tT2TDCZTDDDCZIZ")
                answer = session.run(pg.parse("", "NOTHING") + pg.bind() + pg.execute() + pg.sync())
                self.assertEqual(answer.tags, "EZ")
                answer = session.run(pg.bind("", "s", ["1"]) + pg.sync())
                self.assertEqual(answer.tags, "EZ")
                answer = session.run(pg.bind("", "s", results=[0, 1]) + pg.sync())
                self.assertEqual(answer.tags, "EZ")
                answer = session.run(pg.parse("s", "SHOW STATE") + pg.sync() + pg.execute("gone") + pg.sync(), 2)
                self.assertEqual(answer.tags, "EZEZ")
                answer = session.run(pg.close("S", "s") + pg.parse("s", "BEGIN") + pg.bind("", "s") + pg.execute() + pg.sync())
                self.assertEqual(answer.tags, "312CZ")
                self.assertEqual(answer[-1].body, b"T")

    def test_a_console_holds_no_more_than_it_may(self):
        with pg.PgSession(self.sheaf.target(), user="app", password="secret", database="sheaf") as session:
            answer = session.run(b"".join(pg.parse(f"s{n}", "SHOW STATE") for n in range(70)) + pg.sync())
            self.assertEqual(answer.tags, "1" * 64 + "EZ")
            session.send(pg.query("x" * 100000))
            with self.assertRaises((EOFError, ConnectionResetError, BrokenPipeError)):
                while True:
                    session.read()
        self.show("STATE")


class Rights(Console):
    def test_who_only_looks_may_show_and_no_more(self):
        console = self.console(user="looker")
        for table in TABLES:
            console.execute(f"SHOW {table}")
        for command in ("PAUSE", "RESUME", "RECONNECT", "KILL app", "KILL_CLIENT 1", "DISABLE app", "ENABLE app",
                        "RELOAD", "WAIT_CLOSE", "SHUTDOWN", "PAUSE app"):
            self.assertIn("admin_user", self.fails("42501", console.execute, command))
        self.client().execute("SELECT 1")

    def test_others_do_not_come_in(self):
        with self.assertRaisesRegex(psycopg2.OperationalError, "neither admin_user nor stats_user"):
            self.connect(user="other", database="sheaf")
        self.client(user="other").execute("SELECT 1")

    def test_a_reload_changes_rights_of_consoles_that_are_open(self):
        console, looker = self.console(), self.console(user="looker")
        console.execute("SHOW STATE")
        file = self.sheaf.file.read_text().replace("admin_user = app", "admin_user = looker").replace(
            "stats_user = looker", "stats_user = app")
        self.sheaf.file.write_text(file)
        console.execute("RELOAD")
        self.fails("42501", console.execute, "PAUSE")
        console.execute("SHOW STATE")
        looker.execute("RECONNECT")

    def test_reload_tells_what_is_wrong(self):
        console = self.console()
        self.sheaf.file.write_text(self.sheaf.file.read_text() + "nonsense = yes\n")
        self.assertIn("nonsense", self.fails("F0000", console.execute, "RELOAD"))
        console.execute("SHOW STATE")

    def test_without_a_console_the_names_are_those_of_databases(self):
        sheaf = self.serve(console="no", admin_user=[], stats_user=[])
        with self.assertRaisesRegex(psycopg2.OperationalError, 'database "sheaf" does not exist'):
            connect(sheaf.port, database="sheaf")

    def test_passwords_are_asked_for_as_of_anyone(self):
        sheaf = self.serve(auth="scram-sha-256", user=["app secret", "looker other"])
        connect(sheaf.port, database="sheaf").close()
        with self.assertRaisesRegex(psycopg2.OperationalError, "password authentication failed"):
            connect(sheaf.port, user="looker", database="sheaf")


class Pauses(Console):
    options = {"pool_size": 3, "database": ["app", "postgres"]}

    def upstreams(self):
        return len(self.primary.sessions("usename = 'app' AND datname = 'app'")) + \
            len(self.replica.sessions("usename = 'app' AND datname = 'app'"))

    def test_clients_wait_while_their_database_is_paused_and_no_error_is_seen(self):
        writers, console = Writers(self, self.sheaf.port), self.console()
        for command in ("PAUSE", "PAUSE app", "PAUSE"):
            console.execute(command)
            self.assertEqual(console.statusmessage, "PAUSE")
            self.assertEqual([row["state"] for row in self.show("SERVERS", console) if row["database"] == "app"], [])
            self.assertEqual(self.primary.sessions("datname = 'app' AND backend_type = 'client backend'"
                                                   " AND query LIKE '%%written%%'"), [])
            before = writers.written
            wait_until(lambda: sum(row["cl_waiting"] for row in self.show("POOLS", console)) == len(writers.threads),
                       what="all writers to wait")
            self.assertEqual({row["waits_for"] for row in self.show("CLIENTS", console) if row["state"] == "waiting"},
                             {"resume"})
            self.assertEqual({row["paused"] for row in self.show("DATABASES", console) if row["name"] == "app"}, {1})
            self.assertEqual(self.metric('sheaf_sql_clients_waiting{pool="main",for="resume"}'), len(writers.threads))
            self.assertEqual(writers.written, before)
            console.execute(command.replace("PAUSE", "RESUME"))
            writers.goes_on()
        writers.stop()
        self.assertEqual(writers.errors, [])
        self.assertEqual(self.primary.value("SELECT count(*) FROM written") >= writers.written, True)

    def test_a_server_may_be_restarted_meanwhile(self):
        writers, console = Writers(self, self.sheaf.port, 3), self.console()
        console.execute("PAUSE")
        self.primary.restart()
        console.execute("RESUME")
        writers.goes_on()
        writers.stop()
        self.assertEqual(writers.errors, [])

    def test_pause_returns_when_the_last_transaction_is_over(self):
        client, console = self.client(), self.console()
        client.execute("BEGIN")
        client.execute("INSERT INTO written DEFAULT VALUES")
        done = threading.Event()
        thread = threading.Thread(target=lambda: (console.execute("PAUSE app"), done.set()))
        thread.start()
        self.addCleanup(thread.join)
        other = self.console()
        wait_until(lambda: {row["paused"] for row in self.show("DATABASES", other) if row["name"] == "app"} == {1},
                   what="the pause to begin")
        client.execute("INSERT INTO written DEFAULT VALUES")
        self.assertFalse(done.is_set())
        client.execute("COMMIT")
        self.assertTrue(done.wait(20 * SLOW))
        other.execute("RESUME app")
        client.execute("SELECT 1")

    def test_other_databases_go_on_and_the_order_of_those_who_wait_is_kept(self):
        self.sheaf = self.serve(workers=1, pool_size=1)
        console, other = self.console(), self.client(database="postgres")
        self.primary.sql("DROP TABLE IF EXISTS came; CREATE TABLE came (place serial, who int)", user="app")
        sessions = [self.session() for _ in range(8)]
        sessions = sessions[4:] + sessions[:4]  # neither in the order in which they came in
        console.execute("PAUSE app")
        other.execute("SELECT 1")
        for n, session in enumerate(sessions):
            session.send(pg.query(f"INSERT INTO came (who) VALUES ({n})"))
            wait_until(lambda: sum(row["cl_waiting"] for row in self.show("POOLS", console)) == n + 1, what="it to wait")
        console.execute("RESUME app")
        for session in sessions:
            self.assertEqual(session.until("Z").errors, [])
        self.assertEqual(self.primary.sql("SELECT who FROM came ORDER BY place"), [(n,) for n in range(8)])

    def test_what_cannot_be_is_told(self):
        console = self.console()
        self.assertIn("not paused", self.fails("55000", console.execute, "RESUME app"))
        self.assertIn("nothing is paused", self.fails("55000", console.execute, "RESUME"))
        self.fails("3D000", console.execute, "PAUSE nosuch")
        self.fails("42501", console.execute, "PAUSE sheaf")
        console.execute("PAUSE")
        self.assertIn("all databases are paused", self.fails("55000", console.execute, "RESUME app"))
        console.execute("RESUME")

    def test_those_who_waited_for_a_connection_keep_their_place(self):
        self.sheaf = self.serve(workers=1, pool_size=1)
        console = self.console()
        self.primary.sql("DROP TABLE IF EXISTS came; CREATE TABLE came (place serial, who int)", user="app")
        holder, sessions = self.session(), [self.session() for _ in range(4)]
        self.assertEqual(holder.ask("BEGIN; INSERT INTO came (who) VALUES (-1)").errors, [])
        for n, session in enumerate(reversed(sessions)):
            session.send(pg.query(f"INSERT INTO came (who) VALUES ({n})"))
            wait_until(lambda: sum(row["cl_waiting"] for row in self.show("POOLS", console)) == n + 1, what="it to wait")
        pause = self.session(database="sheaf")
        pause.send(pg.query("PAUSE"))
        wait_until(lambda: {row["waits_for"] for row in self.show("CLIENTS", console) if row["state"] == "waiting"}
                   == {"resume"}, what="them to wait for RESUME")
        self.assertEqual(holder.ask("COMMIT").errors, [])
        self.assertEqual(pause.until("Z").errors, [])
        console.execute("RESUME")
        for session in sessions:
            self.assertEqual(session.until("Z").errors, [])
        self.assertEqual(self.primary.sql("SELECT who FROM came ORDER BY place"), [(n,) for n in range(-1, 4)])

    def test_who_waits_may_give_up(self):
        console, client = self.console(), self.client()
        client.execute("SELECT 1")
        console.execute("PAUSE")
        thread = threading.Thread(target=lambda: (wait_until(
            lambda: sum(row["cl_waiting"] for row in self.show("POOLS")) == 1, what="it to wait"), client.connection.cancel()))
        thread.start()
        self.addCleanup(thread.join)
        self.fails("57014", client.execute, "SELECT 2")
        console.execute("RESUME")
        client.execute("SELECT 3")

    def test_query_wait_timeout_holds_while_paused(self):
        self.sheaf = self.serve(query_wait_timeout="300ms")
        session, console = self.session(), self.console()
        console.execute("PAUSE")
        session.send(pg.query("SELECT 1"))
        self.assertIn("query_wait_timeout", [message.fields["M"] for message in session.rest()][0])
        console.execute("RESUME")

    def test_reconnect_opens_new_connections_and_breaks_nothing(self):
        writers, console = Writers(self, self.sheaf.port), self.console()
        before = {pid for pid, *_ in self.primary.sessions("datname = 'app' AND usename = 'app'")}
        console.execute("RECONNECT app")
        console.execute("WAIT_CLOSE app")
        self.assertEqual(console.statusmessage, "WAIT_CLOSE")
        after = {row["remote_pid"] for row in self.show("SERVERS", console) if row["role"] == "primary"}
        self.assertEqual(before & after, set())
        writers.goes_on()
        writers.stop()
        self.assertEqual(writers.errors, [])

    def test_kill_ends_sessions_and_those_who_come_wait(self):
        busy, idle, console = self.session(), self.session(), self.console()
        elsewhere = self.client(database="postgres")
        idle.ask("SELECT 1")
        self.assertEqual(busy.ask("BEGIN; INSERT INTO written DEFAULT VALUES").errors, [])
        elsewhere.execute("SELECT 1")
        rows = self.primary.value("SELECT count(*) FROM written")
        console.execute("KILL app")
        self.assertEqual(console.statusmessage, "KILL")
        for session in (busy, idle):
            self.assertEqual([message.fields["C"] for message in session.rest()], ["57P01"])
        elsewhere.execute("SELECT 1")
        wait_until(lambda: self.primary.sessions("datname = 'app' AND usename = 'app' AND state <> 'idle'") == [],
                   what="the transaction to be undone")
        self.assertEqual(self.primary.value("SELECT count(*) FROM written"), rows)
        comes = pg.PgSession(self.sheaf.target(), login=False)
        self.addCleanup(comes.close)
        comes.send(pg.startup({"user": "app", "database": "app"}) + pg.query("SELECT 'served'"))
        wait_until(lambda: sum(row["cl_waiting"] for row in self.show("POOLS", console)) == 1, what="it to wait")
        console.execute("RESUME app")
        self.assertEqual(comes.until("Z", 2).value, "served")
        self.assertIn("a database is required", self.fails("42601", console.execute, "KILL"))
        self.assertEqual(self.sheaf.status()["sessions"]["closed"]["killed"], 2)

    def test_kill_client_ends_one(self):
        one, two, console = self.session(application_name="one"), self.session(application_name="two"), self.console()
        ids = {row["application_name"]: row["id"] for row in self.show("CLIENTS", console)}
        console.execute(f"KILL_CLIENT {ids['one']}")
        self.assertEqual([message.fields["C"] for message in one.rest()], ["57P01"])
        self.assertEqual(two.value("SELECT 'served'"), "served")
        self.fails("42704", console.execute, f"KILL_CLIENT {ids['one']}")
        self.fails("42601", console.execute, "KILL_CLIENT one")

    def test_a_console_may_end_itself(self):
        session = self.session(database="sheaf")
        own = [row["id"] for row in self.show("CLIENTS") if row["port"] == session.socket.getsockname()[1]]
        session.send(pg.query(f"KILL_CLIENT {own[0]}"))
        self.assertEqual([message.fields["C"] for message in session.rest()], ["57P01"])
        self.show("STATE")

    def test_a_database_that_is_disabled_takes_no_new_sessions(self):
        client, console = self.client(), self.console()
        console.execute("DISABLE app")
        with self.assertRaisesRegex(psycopg2.OperationalError, "not currently accepting connections"):
            self.client()
        client.execute("SELECT 1")
        self.client(database="postgres").execute("SELECT 1")
        console.execute("ENABLE app")
        self.client().execute("SELECT 1")

    def test_a_console_that_leaves_while_it_waits_leaves_the_pause(self):
        client, console = self.client(), self.console()
        client.execute("BEGIN; INSERT INTO written DEFAULT VALUES")
        session = pg.PgSession(self.sheaf.target(), user="app", password="secret", database="sheaf")
        session.send(pg.query("PAUSE app"))
        wait_until(lambda: {row["paused"] for row in self.show("DATABASES", console) if row["name"] == "app"} == {1},
                   what="the pause to begin")
        session.close()
        client.execute("COMMIT")
        wait_until(lambda: [row for row in self.show("SERVERS", console) if row["database"] == "app"] == [],
                   what="the connections to be closed")
        console.execute("RESUME app")
        client.execute("SELECT 1")

    def test_a_drain_ends_consoles_and_those_who_wait(self):
        client, console = self.client(), self.console()
        console.execute("PAUSE")
        thread = threading.Thread(target=lambda: self.assertRaises(psycopg2.Error, client.execute, "SELECT 1"))
        thread.start()
        wait_until(lambda: sum(row["cl_waiting"] for row in self.show("POOLS", console)) == 1, what="it to wait")
        self.sheaf.terminate()
        self.assertEqual(self.sheaf.wait(), 0)
        thread.join()


class PausesOfSessions(Pauses):
    """With pooling = session a pause is over when sessions are."""
    options = {**Pauses.options, "pooling": "session", "pool_size": 10}

    def test_clients_wait_while_their_database_is_paused_and_no_error_is_seen(self):
        client, console = self.client(), self.console()
        client.execute("SELECT 1")
        session = pg.PgSession(self.sheaf.target(), user="app", password="secret", database="sheaf")
        self.addCleanup(session.close)
        session.send(pg.query("PAUSE app"))
        wait_until(lambda: {row["paused"] for row in self.show("DATABASES", console) if row["name"] == "app"} == {1},
                   what="the pause to begin")
        client.execute("SELECT 2")
        self.assertTrue(session.is_silent())
        client.connection.close()
        self.assertEqual(session.until("Z").errors, [])
        console.execute("RESUME app")

    test_those_who_waited_for_a_connection_keep_their_place = None
    test_other_databases_go_on_and_the_order_of_those_who_wait_is_kept = None
    test_a_server_may_be_restarted_meanwhile = None
    test_pause_returns_when_the_last_transaction_is_over = None
    test_reconnect_opens_new_connections_and_breaks_nothing = None
    test_who_waits_may_give_up = None
    test_query_wait_timeout_holds_while_paused = None
    test_a_drain_ends_consoles_and_those_who_wait = None
    test_a_console_that_leaves_while_it_waits_leaves_the_pause = None


class Drains(Case):
    def test_a_drained_replica_finishes_and_reads_go_elsewhere(self):
        primary = Postgres(self)
        primary.sql("CREATE TABLE t (id int); INSERT INTO t VALUES (1)", user="app")
        replicas = [Replica(self, primary), Replica(self, primary)]
        for each in replicas:
            each.wait_for_catchup()
        sheaf = Sheaf(self, sql_pool(primary, replicas, admin_user="app"))
        wait_until(lambda: [each["standing"]["fit"] for each in sheaf.status()["pools"][0]["endpoints"]]
                   == ["fresh"] * 3, what="the servers to be known")
        drained, other = replicas

        numbers = itertools.count(1000)

        def port(client):
            number = next(numbers)
            client.execute(f"SELECT id FROM t WHERE id < {number}")
            self.assertEqual(client.fetchone(), (1,))
            return [each.port for each in (primary, *replicas)
                    if any(str(number) in query for *_, query in each.sessions())][0]

        def client_there(*first):
            client = connect(sheaf.port).cursor()
            self.addCleanup(client.connection.close)
            for text in first:
                client.execute(text)
            return client if port(client) == drained.port else None
        reader = wait_until(client_there, what="a client whose reads go to that replica")
        held = wait_until(lambda: client_there("BEGIN READ ONLY"), what="a transaction there")
        status, _ = sheaf.http(f"/api/v1/drain?pool=main&endpoint={drained.address}", "POST")
        self.assertEqual(status, 200)
        wait_until(lambda: len(drained.sessions("usename = 'app' AND datname = 'app'")) == 1, what="idle ones to end")
        # Its last read was there, so the first may need the primary's word of what it has seen.
        wait_until(lambda: port(reader) == other.port, what="reads to go to the other")
        ports = [port(reader) for _ in range(20)]
        self.assertNotIn(drained.port, ports)
        self.assertIn(other.port, ports)
        held.execute("SELECT id FROM t")
        self.assertEqual(held.fetchone(), (1,))
        held.execute("COMMIT")
        wait_until(lambda: drained.sessions("usename = 'app' AND datname = 'app'") == [], what="the last one to end")
        endpoint = sheaf.status()["pools"][0]["endpoints"][1]
        self.assertEqual((endpoint["health"]["state"], endpoint["servers"]["active"], endpoint["servers"]["idle"]),
                         ("draining", 0, 0))
        sheaf.http(f"/api/v1/undrain?pool=main&endpoint={drained.address}", "POST")
        wait_until(client_there, what="reads to come back")


if __name__ == "__main__":
    main()
