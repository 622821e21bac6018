"""bench/run sql: Sheaf, PgBouncer, pgpool and HAProxy before a PostgreSQL primary and two replicas."""
import pathlib

from ..bench import Bench
from . import loads, peers as kinds
from .bulk import CopyOut
from .freshness import WriteThenRead
from .logins import Logins
from .servers import Cluster
from .sessions import IdleSessions
from .spread import Spread
from .throughput import WORKLOADS, Throughput


class SqlBench(Bench):
    reference, short = "pgbouncer", "PgB."
    cpus_needed = 4             # a server needs several times a proxy's: on one of two CPUs it would let
                                # the proxy sleep before each message, and that would be measured
    title = "SQL pools: what a proxy costs"
    panels = [
        ("select_16.simple.cpu", "SELECT by key, simple, 16 clients: CPU per transaction"),
        ("select_16.prepared.cpu", "SELECT by key, prepared, 16 clients: CPU per transaction"),
        ("select_16.simple.system_calls", "SELECT by key, simple: system calls per transaction"),
        ("select_16.prepared.system_calls", "SELECT by key, prepared: system calls per transaction"),
        ("select_200.simple.cpu", "SELECT by key, simple, 200 clients: CPU per transaction"),
        ("select_200.simple.tail", "SELECT by key, simple, 200 clients: p99/p50"),
        ("tpcb.simple.cpu", "TPC-B-like, simple, 16 clients: CPU per transaction"),
        ("copy.cpu", "COPY out: CPU per gigabyte"),
        ("idle.idle", "Memory of an idle client"),
        ("login.cpu", "Login at a server with SCRAM: CPU"),
        ("fresh.stale", "Write, then read at once: stale reads"),
        ("fresh.read", "Write, then read at once: time of the read"),
    ]
    packages = {"pgbouncer": "pgbouncer", "pgpool": "pgpool2", "haproxy": "haproxy",
                "/usr/lib/postgresql/15/bin/postgres": "postgresql-15"}
    parts = [w.name for w in WORKLOADS] + ["copy", "idle", "login", "fresh", "spread"]

    def __init__(self, root, options):
        super().__init__(root, options)
        self.servers = None
        self.pgbench = loads.Pgbench(self.cpus.load, self.cpus.all, pathlib.Path(self.program).with_name("hiccups"))

    def start(self, processes):
        self.servers = Cluster(processes, self.cpus, self.say)
        about = processes, self.cpus, self.servers
        self.start_peers([kinds.Direct(*about), kinds.Sheaf(*about, self.program),
                          kinds.TwoWorkers(*about, self.program), kinds.PgBouncer(*about),
                          kinds.Pgpool(*about), kinds.Haproxy(*about)] +
                         [kinds.Also(*about, text) for text in self.options.also])

        for peer in self.peers:     # those that rest begin to
            with peer.awake():
                pass

    def one_by_one(self, what):
        """All peers, each there while it is measured."""
        for peer in self.peers:
            self.say(f"{what}: {peer.title}")
            with peer.awake():
                yield peer

    def alternating(self, what, peers=None):
        for peer in super().alternating(what, peers):
            with peer.awake():
                yield peer

    def fresh_peers(self, what):
        for peer in super().fresh_peers(what):
            with peer.awake():
                yield peer

    def measure(self):
        for workload in WORKLOADS:
            if self.wants(workload.name):
                Throughput(self, workload).run()
        if self.wants("copy"):
            CopyOut(self).run()
        if self.wants("idle"):
            IdleSessions(self).run()
        if self.wants("login"):
            Logins(self).run()
        if self.wants("fresh"):
            WriteThenRead(self).run()
        if self.wants("spread"):
            Spread(self).run()
