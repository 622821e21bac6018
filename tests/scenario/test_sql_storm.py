#!/usr/bin/python3
# long only: it finds what it finds by time
"""Everything befalls the servers of SQL pools, the network and Sheaf, while clients do everything: see lib/sql_storm.py.

Each run has a seed of its own, which a failure tells: SHEAF_TORTURE_SEED repeats it, as far as threads allow.
SHEAF_STORM_SECONDS: how long each test goes on; SHEAF_STORM=cut,reload: what befalls them, of Storm.DEEDS."""
import contextlib
import os
import random
import signal
import threading
import time
import traceback

import psycopg2

from lib import *
from lib import pgwire as pg
from lib.sql_storm import SCHEMA as MORE, Guest, Spare, Steadfast, Stormy, Survivor
from lib.sql_torture import SCHEMA, Crowd

SEED = os.environ.get("SHEAF_TORTURE_SEED") or str(random.randrange(1 << 30))
SECONDS = int(os.environ.get("SHEAF_STORM_SECONDS", "20"))
MAY = {"57014", "57P01", "57P02", "57P03", "08006", "08007", "08001", "08003", "40001", "25006", "55000"}
COMES_AND_GOES = {"3D000", "28000", "28P01", "42501"}  # a database, a role
VICTIM = ("SELECT {} FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'client backend' AND application_name <> 'test'"
          " AND pid <> pg_backend_pid() ORDER BY random() LIMIT {}")


class Storm(Case):
    replicas = 0
    accounts = 1

    def server_options(self):
        return {}

    def setUp(self):
        self.dice = random.Random(f"{SEED} {self.id()}")
        self.primary = Postgres(self, **self.server_options())
        self.primary.sql(SCHEMA + MORE, user="app")
        self.primary.sql("CREATE ROLE other; GRANT other TO app")
        self.others = [Replica(self, self.primary) for _ in range(self.replicas)]
        for each in self.others:
            each.wait_for_catchup()
        self.servers = [self.primary, *self.others]
        self.wires = [Faults(self, ("127.0.0.1", each.port)) for each in self.servers]
        self.crashed = False  # a server: then temporary tables may stay in its catalog
        self.done, self.trouble, self.most = [], [], 0

    def pool(self, **more):
        urls = [f"postgresql://{wire.address}" for wire in self.wires]
        return sql_pool(urls[0], urls[1:], **{"listen": self.listen, **self.options, **more})

    def begin(self, **options):
        self.options = {"pool_size": 3, "query_wait_timeout": "0s", "admin_user": "app", "user": "app secret", "backoff_max": "200ms", "connect_timeout": "1s",
                        "probe_interval": "100ms", "probe_timeout": "500ms", **options}
        if self.options["query_wait_timeout"] == "0s":
            del self.options["query_wait_timeout"]
        self.listen = f"postgresql://127.0.0.1:{free_port()}"
        self.sheaf = Sheaf(self, self.pool())
        self.size = self.options["pool_size"]

    # --- what befalls them

    @contextlib.contextmanager
    def console(self):
        """A cursor of the console."""
        with contextlib.closing(psycopg2.connect(host="127.0.0.1", port=self.sheaf.port, user="app", password="secret", dbname="sheaf", sslmode="prefer")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                yield cursor

    def command(self, *texts):
        with self.console() as cursor:
            for text in texts:
                cursor.execute(text)

    def victims(self, server, what="pid", count=1):
        with contextlib.suppress(psycopg2.Error):
            return [row[0] for row in server.sql(VICTIM.format(what, count))]
        return []

    def for_a_while(self, wire, **faults):
        for name, value in faults.items():
            setattr(wire, name, value)
        time.sleep(self.dice.choice((0.02, 0.1, 0.3)))
        wire.heal()

    def cut(self):
        self.dice.choice(self.wires).cut()

    def cut_later(self):
        self.for_a_while(self.dice.choice(self.wires), **{self.dice.choice(("cut_after", "ask_cut_after")): self.dice.randrange(self.dice.choice((100, 2000, 20_000)))})

    def slow(self):
        wire = self.dice.choice(self.wires)
        self.for_a_while(wire, **self.dice.choice(({"delay": 0.01}, {"ask_delay": 0.01}, {"one_byte": True}, {"delay": 0.03, "ask_delay": 0.03})))
        wire.ask_delay = 0

    def hold(self):
        self.for_a_while(self.dice.choice(self.wires), hold_after=self.dice.randrange(5000))

    def black(self):
        wire = self.dice.choice(self.wires)
        wire.black_hole = True
        time.sleep(self.dice.choice((0.02, 0.1)))
        wire.cut()
        wire.black_hole = False

    def refuse(self):
        wire = self.dice.choice(self.wires)
        wire.refuse()
        if self.dice.random() < 0.5:
            wire.cut()
        time.sleep(0.2)
        wire.open()

    def terminate(self):
        self.victims(self.dice.choice(self.servers), "pg_terminate_backend(pid)", self.dice.choice((1, 1, 3)))

    def cancel(self):
        self.victims(self.dice.choice(self.servers), "pg_cancel_backend(pid)", self.dice.choice((1, 1, 3)))

    def stand(self):
        for pid in self.victims(self.dice.choice(self.servers)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
                time.sleep(self.dice.choice((0.05, 0.3)))
                if self.dice.random() < 0.3:
                    self.dice.choice(self.wires).cut()
                os.kill(pid, signal.SIGCONT)

    @staticmethod
    def is_up(server):
        """Again, or still: a server that falls may let one in first."""
        def serves():
            try:
                return server.serves()
            except psycopg2.Error:
                return False
        for _ in range(3):
            time.sleep(0.1)
            wait_until(serves, 30, "a server to be up")

    def kill(self):
        if self.dice.random() < 0.7:
            return
        server = self.dice.choice(self.servers)
        for pid in self.victims(server):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self.crashed = True
            self.is_up(server)

    def restart(self):
        if self.dice.random() < 0.8:
            return
        server = self.dice.choice(self.servers)
        if self.dice.random() < 0.5:
            server.kill9()
            self.crashed = True
            time.sleep(self.dice.choice((0, 0.3)))
            server.start()
        else:
            server.restart(self.dice.choice(("fast", "immediate")))
            self.crashed = True

    def reload(self):
        self.size = max(self.size, size := self.dice.randrange(max(1, self.options["pool_size"] - 1), self.options["pool_size"] + 2))
        more = self.dice.choice(({}, {}, {"max_prepared_statements": 3}, {"server_idle_timeout": "1s"}, {"server_lifetime": "1s"}, {"min_pool_size": 2}, {"balance": "least-busy"},
                                 {"database": f"* pool_size={size}"}, {"max_user_connections": size}, {"query_wait_timeout": "1s"}))
        kind, words = self.pool(pool_size=size, **more)
        if words["replica"] and self.dice.random() < 0.5:
            words["replica"] = self.dice.sample(words["replica"], self.dice.randrange(len(words["replica"]) + 1))
        self.sheaf.reload((kind, words))

    def reconnect(self):
        self.command("RECONNECT")

    def pause(self):
        self.command("PAUSE")
        time.sleep(self.dice.choice((0, 0.1)))
        self.command("RESUME")

    def kill_all(self):
        self.command("KILL app", "RESUME app")

    def kill_client(self):
        with self.console() as cursor:
            cursor.execute("SHOW CLIENTS")
            names = [column.name for column in cursor.description]
            rows = [row for row in cursor.fetchall() if row[names.index("database")] == "app"]
            if rows:
                number = self.dice.choice(rows)[names.index("id")]
                with contextlib.suppress(psycopg2.Error):
                    cursor.execute(f"KILL_CLIENT {number}")

    def disable(self):
        self.command("DISABLE app")
        time.sleep(0.05)
        self.command("ENABLE app")

    def alter_role(self):
        with contextlib.suppress(psycopg2.Error):
            self.primary.sql(f"ALTER ROLE app SET extra_float_digits = {self.dice.randrange(3)}")

    def lag(self):
        server = self.dice.choice(self.others)
        with contextlib.suppress(psycopg2.Error, AssertionError):
            server.pause()
            time.sleep(self.dice.choice((0.1, 0.3)))
            server.resume()

    def vacuum(self):
        """Conflicts with what replicas read."""
        with contextlib.suppress(psycopg2.Error):
            self.primary.sql("VACUUM log")

    def drop_database(self):
        with contextlib.suppress(psycopg2.Error):
            self.primary.sql("DROP DATABASE spare WITH (FORCE)", database="postgres")
        time.sleep(self.dice.choice((0, 0.05)))
        with contextlib.suppress(psycopg2.Error):
            self.primary.sql("CREATE DATABASE spare", database="postgres")

    def drop_role(self):
        with contextlib.suppress(psycopg2.Error):
            self.primary.sql("DROP ROLE guest")
        time.sleep(self.dice.choice((0, 0.05)))
        with contextlib.suppress(psycopg2.Error):
            self.primary.sql("CREATE ROLE guest LOGIN PASSWORD 'secret'; GRANT TEMP ON DATABASE app TO guest")

    deeds = DEEDS = (cut, cut_later, cut_later, slow, slow, hold, black, refuse, terminate, terminate, cancel, cancel, stand, kill, restart, reload, reconnect, pause, kill_all, kill_client,
             kill_client, disable, alter_role)

    def befall(self, crowd):
        """In the main thread: a server ends with the thread that has started it."""
        deeds = self.deeds + ((Storm.lag, Storm.vacuum) if self.others else ())
        only = os.environ.get("SHEAF_STORM")
        if only:
            deeds = [each for each in deeds if each.__name__ in only.split(",")]
        until = time.monotonic() + SECONDS
        while time.monotonic() < until and len(crowd.wrong) < 3 and not self.trouble:
            time.sleep(self.dice.choice((0.01, 0.1, 0.3, 0.6)))
            deed = self.dice.choice(deeds)
            self.done.append((time.monotonic(), deed.__name__))
            try:
                deed(self)
            except Exception:  # pylint: disable=broad-except
                self.trouble.append(f"{deed.__name__}: {traceback.format_exc()}")
                return

    def watch(self, end):
        """That no more connections are open than may be: more than for a moment, in which one goes over to another worker."""
        over = 0
        while not end.wait(0.02):
            counts = [each["servers"]["active"] + each["servers"]["idle"] for each in self.sheaf.status()["pools"][0]["endpoints"]]
            self.most = max(self.most, *counts)
            over = over + 1 if max(counts) > self.accounts * self.size + self.options.get("reserve_pool_size", 0) else 0
            if over == 10:
                self.trouble.append(f"{counts} of {self.size}")

    def look(self, port):
        """What Sheaf says of a client who hangs."""
        with self.console() as cursor:
            for table in ("CLIENTS", "SERVERS", "WAITS", "STATE", "ENDPOINTS"):
                cursor.execute(f"SHOW {table}")
                names = [column.name for column in cursor.description]
                for row in cursor.fetchall():
                    row = {name: value for name, value in zip(names, row) if value not in ("", 0, None)}
                    if table != "CLIENTS" or row.get("port") == port:
                        print(table, row, flush=True)
        print([(t, n) for t, n in self.done if t > time.monotonic() - 15 * SLOW], time.monotonic(), self.sheaf.log[-3000:], flush=True)
        for server in self.servers:
            print(server.port, server.sessions("true"), flush=True)

    def rage(self, life=Stormy, may=MAY, count=20, others=(), **things):
        end = threading.Event()
        watch = threading.Thread(target=self.watch, args=(end,))
        things["look"] = self.look
        things["echo"] = self.primary.value("SELECT 'echo'::regproc::oid::int")
        crowd = Crowd(self, self.sheaf.target(), f"{SEED} {self.id()}", 10 ** 9, may=may, count=count, life=life, things=things)
        watch.start()
        crowds = [Crowd(self, self.sheaf.target(), f"{SEED} {each.__name__} {self.id()}", 10 ** 9, may=may | COMES_AND_GOES, count=5, life=each, first=first)
                  for first, each in zip(range(100, 900, 100), others)]
        self.befall(crowd)
        end.set()
        watch.join()
        self.assertEqual(self.trouble, [])
        for wire in self.wires:
            wire.heal()
        for server in self.servers:
            server.wait_ready()
        for each in (crowd, *crowds):
            each.stop()
        for each in crowds:
            self.assertEqual(each.wrong, [])
        print(f"{self.id()}: seed {SEED}, {len(self.done)} deeds, {sum(crowd.done.values())} steps, {dict(crowd.errors)}, most {self.most}; "
              f"least {crowd.done.most_common()[-3:]}", flush=True)
        try:
            crowd.judge(self, self.primary)
            self.assert_nothing_is_left(crowd)
        except AssertionError:
            print("\n".join(f"{t:.3f} {n}" for t, n in self.done[-20:]), time.monotonic())
            print(self.sheaf.log[-6000:])
            raise

    def assert_nothing_is_left(self, crowd):
        for server in self.servers:
            wait_until(lambda s=server: not s.sessions("state <> 'idle' AND datname = 'app'"), what="no transaction to be left")
            wait_until(lambda s=server: not s.sql("SELECT locktype FROM pg_locks WHERE pid <> pg_backend_pid() AND (locktype = 'advisory' OR database ="
                                                  " (SELECT oid FROM pg_database WHERE datname = 'app'))"), what="no lock to be left")
            wait_until(lambda s=server: len(s.sessions("usename = 'app' AND datname = 'app'")) <= self.size + 4, what="no more connections than may be")
        wait_until(lambda: self.crashed or not self.primary.sql("SELECT relname FROM pg_class WHERE relpersistence = 't'"), what="no temporary table to be left")
        wait_until(lambda: not any(self.gauges().values()), what=f"nothing to be under way: {self.gauges()}")
        with pg.PgSession(self.sheaf.target(), tls=crowd.things.get("tls")) as session:  # its server may be down for Sheaf yet
            wait_until(lambda: session.ask("SELECT 1").rows == [["1"]], what="it to serve")

    def gauges(self):
        sums = {}
        for line in self.sheaf.http("/metrics")[1].splitlines():
            name = line.split("{")[0].split(" ")[0]
            if name.endswith(("requests_open", "upstreams_leased", "clients_active", "clients_waiting", "clients_pinned", "servers_starting")):
                sums[name] = sums.get(name, 0) + float(line.rsplit(" ", 1)[1])
        return sums


class Alone(Storm):
    def test_by_transaction(self):
        self.begin()
        self.rage()

    def test_by_session(self):
        self.begin(pooling="session", pool_size=8)
        self.rage(session=True)

    def test_one_connection(self):
        self.begin(pool_size=1)
        self.rage(count=8)

    def test_reserve(self):
        self.begin(pool_size=2, reserve_pool_size=2, reserve_pool_timeout="10ms", lost_commit_wait="5s")
        self.rage()


class Encrypted(Storm):
    """With TLS to both sides, and users whom only the server knows."""

    def server_options(self):
        self.certificates = Certificates(self.folder())
        return {"auth": "scram-sha-256", "certificates": self.certificates}

    def test_alone(self):
        self.primary.sql("CREATE ROLE asker SUPERUSER LOGIN PASSWORD 'asks'")
        self.begin(user="asker asks", auth="scram-sha-256", auth_user="asker", auth_dbname="postgres", tls="require", server_tls="require",
                   tls_cert=self.certificates.cert("server"), tls_key=self.certificates.key("server"))
        self.rage(tls=self.certificates.client_context(), may=MAY | {"28000", "58000"})


class Hasty(Storm):
    """With times that are over soon."""

    def test_alone(self):
        self.begin(query_timeout="150ms", idle_transaction_timeout="50ms", query_wait_timeout="1s", idle_timeout="1s", failover_wait="100ms", server_idle_timeout="1s", server_lifetime="2s")
        self.rage(may=MAY | {"25P03", "57P05"})


class Survivors(Storm):
    """A session whose server has nothing of it goes on without that."""
    deeds = tuple(each for each in Storm.DEEDS if each.__name__ not in ("kill_all", "kill_client", "disable", "alter_role"))

    def survive(self, **options):
        self.begin(**options)
        self.rage(life=Survivor, may=MAY, code=self.dice.random() < 0.3)

    def test_alone(self):
        self.survive()

    def test_lost_commits(self):
        self.survive(lost_commit_wait="5s")


class ReplicatedSurvivors(Survivors):
    replicas = 2


class Stopped(Storm):
    """Sheaf is told to end in the midst of everything."""

    def test_alone(self):
        self.begin()
        things, echo = {}, self.primary.value("SELECT 'echo'::regproc::oid::int")
        for n in range(max(2, SECONDS // 5)):
            crowd = Crowd(self, self.sheaf.target(), f"{SEED} {n}", 10 ** 9, may=MAY, count=20, life=Stormy, things={"echo": echo, **things})
            end = time.monotonic() + self.dice.uniform(0, 2)
            while time.monotonic() < end:
                self.dice.choice((self.cut_later, self.terminate, self.cancel, self.hold, self.slow, self.reload))()
            self.sheaf.terminate()
            self.assertEqual(self.sheaf.wait(20 * SLOW), 0)
            crowd.stop()
            crowd.judge(self, self.primary)
            self.primary.sql("TRUNCATE log, copies")
            self.sheaf.start()


class Replicated(Storm):
    replicas = 2

    def test_causal(self):
        self.begin()
        self.rage()

    def test_any(self):
        self.begin(reads="any", pool_size=2)
        self.rage(causal=False)

    def test_bounded(self):
        self.begin(reads="bounded", max_lag="200ms")
        self.rage(causal=False)

    def test_sessions(self):
        self.begin(pooling="session", pool_size=8)
        self.rage(session=True)


class Strangers(Storm):
    """Databases and roles come and go, beside all else."""
    accounts = 3
    deeds = (*Storm.DEEDS, *[Storm.drop_database, Storm.drop_role] * 3)

    def test_alone(self):
        self.primary.sql("CREATE DATABASE spare", database="postgres")
        self.drop_role()
        self.begin(user=["app secret", "guest secret"])
        self.rage(others=(Spare, Guest))


class Failover(Storm):
    """One replica of two has all that is acknowledged: it is promoted, and the old primary comes back as a replica."""
    replicas = 2
    deeds = tuple(each for each in Storm.DEEDS if each.__name__ not in ("cancel", "restart"))

    def pool(self, **more):
        return sql_pool([f"postgresql://{wire.address}" for wire in self.wires], **{"listen": self.listen, **self.options, **more})

    def fail_over(self):
        if self.dice.random() < 0.7:
            return
        at = self.servers.index(self.primary)
        self.crashed = True
        old, rest = self.primary, [each for each in self.servers if each is not self.primary]
        for each in rest:
            each.wait_ready()
        if self.dice.random() < 0.5:
            old.kill9()
        else:
            old.shutdown(self.dice.choice(("fast", "immediate")))
        wait_until(lambda: all(not each.streams() for each in rest), what="the receivers to end")
        new = max(rest, key=lambda each: each.value("SELECT pg_last_wal_receive_lsn() - '0/0'"))
        new.promote()
        other, = (each for each in rest if each is not new)
        other.follow(new)
        self.primary = new
        replica = Replica(self, new)
        self.wires[at].aim(("127.0.0.1", replica.port))
        self.servers[at] = replica
        self.others = [other, replica]

    deeds += (fail_over, fail_over)

    def test_candidates(self):
        self.primary.reload(synchronous_standby_names="'ANY 1 (*)'")
        for each in self.others:
            each.reload(synchronous_standby_names="'ANY 1 (*)'")
        self.begin(failover_wait="5s", lost_commit_wait=self.dice.choice(("no", "5s")))
        self.rage(life=Steadfast)


if __name__ == "__main__":
    main()
