#!/usr/bin/python3
# not under tsan: it would take as long there as all else that shares (--long has it)
"""Clients of SQL pools who do everything at once and leave in the midst of it: what is one's reaches no other.

Each run has a seed of its own, which a failure tells: SHEAF_TORTURE_SEED repeats it, as far as threads allow.
SHEAF_LONG=1: minutes."""
import contextlib
import os
import random
import threading

import psycopg2

from lib import *
from lib.sql_torture import SCHEMA, Crowd

LONG = os.environ.get("SHEAF_LONG") == "1"
SEED = os.environ.get("SHEAF_TORTURE_SEED") or str(random.randrange(1 << 30))
STEPS = 40_000 if LONG else int(600 / min(SLOW, 2))


class Torture(Case):
    replicas = 0

    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls)
        cls.primary.sql(SCHEMA, user="app")
        cls.primary.sql("CREATE ROLE other; GRANT other TO app")
        cls.others = [Replica(cls, cls.primary) for _ in range(cls.replicas)]
        for each in cls.others:
            each.wait_for_catchup()

    def front(self, **options):
        self.primary.sql("TRUNCATE log, copies")
        self.sheaf = Sheaf(self, sql_pool(self.primary, self.others, **{"query_wait_timeout": "0s", "probe": "no", **options}))
        return self.sheaf

    def crowd(self, **options):
        return Crowd(self, self.sheaf.target(), SEED, STEPS, **options)

    def assert_nothing_is_left(self):
        """Of any client: at the servers, and in what Sheaf tells."""
        for server in (self.primary, *self.others):
            wait_until(lambda s=server: not s.sessions("state <> 'idle' AND datname = 'app'"), what="no transaction to be left")
            wait_until(lambda s=server: not s.sql("SELECT locktype FROM pg_locks WHERE pid <> pg_backend_pid() AND (locktype = 'advisory' OR database ="
                                                  " (SELECT oid FROM pg_database WHERE datname = 'app'))"), what="no lock to be left")
        wait_until(lambda: not self.primary.sql("SELECT relname FROM pg_class WHERE relpersistence = 't'"), what="no temporary table to be left")
        wait_until(lambda: not any(self.gauges().values()), what=f"nothing to be under way: {self.gauges()}")

    def gauges(self):
        sums = {}
        for line in self.sheaf.http("/metrics")[1].splitlines():
            name = line.split("{")[0].split(" ")[0]
            if name.endswith(("requests_open", "sessions_open", "upstreams_leased", "clients_active", "clients_waiting", "clients_pinned", "servers_starting")):
                sums[name] = sums.get(name, 0) + float(line.rsplit(" ", 1)[1])
        return sums

    def assert_truth(self, crowd):
        crowd.join(600 if LONG else 15)
        crowd.judge(self, self.primary)
        self.assert_nothing_is_left()


class Clients(Torture):
    """Who leave at any time, and are no trouble of others."""

    def test_two_connections_by_transaction(self):
        self.front(pool_size=2)
        self.assert_truth(self.crowd())

    def test_few_connections_by_session(self):
        self.front(pool_size=4, pooling="session")
        self.assert_truth(self.crowd())


class Readers(Torture):
    replicas = 2

    def test_reads_from_replicas(self):
        self.front(pool_size=2, probe_interval="100ms", **{"probe": "yes"})
        self.assert_truth(self.crowd())


class Cancelled(Torture):
    """By others, at any moment, whatever is under way: the client's, or what Sheaf asks on its own behalf."""

    def cancel(self, end):
        while not end.wait(0.02):
            self.primary.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'client backend'"
                             " AND application_name <> 'test' AND pid <> pg_backend_pid() ORDER BY random() LIMIT 2")

    def test_all_the_time(self):
        self.front(pool_size=3)
        end = threading.Event()
        thread = threading.Thread(target=self.cancel, args=(end,))
        crowd = self.crowd(may={"57014"}, count=20)
        thread.start()
        crowd.join(600 if LONG else 30)
        end.set()
        thread.join()
        self.assert_truth(crowd)


class Faulty(Torture):
    """Connections to the server are cut, its processes ended or cancelled, Sheaf reloaded and commanded: errors may be, of the right kinds;
    never another's row, a write that was acknowledged and is lost, or one that is there and was told to be undone."""

    def faults(self, end):
        dice, port = random.Random(f"{SEED} faults"), self.sheaf.port
        process = ("SELECT {}(pid) FROM pg_stat_activity WHERE datname = 'app' AND backend_type = 'client backend' AND application_name <> 'test'"
                   " AND pid <> pg_backend_pid() ORDER BY random() LIMIT 1")
        with contextlib.closing(psycopg2.connect(host="127.0.0.1", port=port, user="app", password="secret", dbname="sheaf")) as console:
            console.autocommit = True

            def command(text):
                with console.cursor() as cursor:
                    cursor.execute(text)
            deeds = (self.wire.cut, lambda: setattr(self.wire, "cut_after", dice.randrange(20_000)), lambda: setattr(self.wire, "ask_cut_after", dice.randrange(20_000)),
                     lambda: self.primary.sql(process.format("pg_terminate_backend")), lambda: self.primary.sql(process.format("pg_cancel_backend")),
                     self.sheaf.reload, lambda: command("RECONNECT"), lambda: (command("PAUSE"), command("RESUME")), lambda: (command("KILL app"), command("RESUME app")))
            while not end.wait(0.1):
                dice.choice(deeds)()
                end.wait(0.05)
                self.wire.cut_after = self.wire.ask_cut_after = None

    def test_all_the_time(self):
        self.wire = Faults(self, ("127.0.0.1", self.primary.port))
        self.primary.sql("TRUNCATE log, copies")
        self.sheaf = Sheaf(self, sql_pool(f"postgresql://{self.wire.address}", pool_size=3, probe="no", query_wait_timeout="0s", admin_user="app", user="app secret"))
        end = threading.Event()
        thread = threading.Thread(target=self.faults, args=(end,))
        crowd = self.crowd(may={"57014", "57P01", "57P03", "08006", "08007", "08001", "08003"}, count=20)
        thread.start()
        crowd.join(600 if LONG else 30)
        end.set()
        thread.join()
        self.assert_truth(crowd)


if __name__ == "__main__":
    main()
