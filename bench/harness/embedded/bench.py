"""bench/run embedded: shards that live in Sheaf itself, beside a Redis server."""
import os

from .. import peer
from ..bench import Bench
from ..memory_pools import loads
from ..memory_pools.talk import wait_until_it_answers
from ..memory_pools.throughput import Throughput, Workload
from ..processes import Failed, free_ports
from ..results import Bar
from ..setup import find
from ..sql_pools.servers import Cluster, program, server_user

SET = loads.Call(("SET", "set:__rand_int__", "x" * 256), ("-m", "set", "-s", "256", "--key-prefix", "set:"))
BAR = Bar(1.2)
WORKLOADS = [
    Workload("get_p1", "GET 64 B, pipeline 1, 50 clients", loads.GET, cpu_bar=BAR),
    Workload("get_p16", "GET 64 B, pipeline 16, 50 clients", loads.GET_P16, cpu_bar=BAR),
    Workload("set_p1", "SET 256 B, pipeline 1, 50 clients", SET, cpu_bar=BAR),
    Workload("set_p16", "SET 256 B, pipeline 16, 50 clients", loads.SET_P16, cpu_bar=BAR),
]
SYNCS = ("always", "interval", "never")


class NoServers:
    """Nothing stands behind what is measured."""

    def check(self):
        pass


class Peer(peer.Peer):
    splits = True
    can_restart = False     # it would forget its keys

    def wait(self):
        wait_until_it_answers(self.process, self.port)


class Redis(Peer):
    name, title = "redis", "Redis"

    def command(self):
        return [find("redis-server") or "redis-server", "--port", str(self.port), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--dir", str(self.processes.folder)]


class Sheaf(Peer):
    name, title = "sheaf", "Sheaf, ram"
    url, options = "ram://1gb", ""

    def __init__(self, processes, cpus, servers, program):
        super().__init__(processes, cpus, servers)
        self.program = program

    def command(self):
        if not os.access(self.program, os.X_OK):
            raise Failed(f"{self.program} is not there")
        path = self.write("[proxy]\nworkers = 1\nadmin = off\n\n[memory bench]\n"
                          f"listen = redis://127.0.0.1:{self.port}\nshard = {self.url}\n{self.options}")
        return [self.program, "serve", path]


class OnDisk(Sheaf):
    def __init__(self, processes, cpus, servers, program, engine, sync):
        super().__init__(processes, cpus, servers, program)
        self.name, self.title = f"{engine}-{sync}", f"{engine}, {sync}"
        self.url = f"{engine}://{processes.folder}/{self.name}"
        self.options = f"sync = {sync}\n"


class Database(Cluster):
    """One PostgreSQL server without replicas, whose disk is waited for."""

    def __init__(self, processes, cpus):
        self.processes, self.cpus, self.user, self.servers = processes, cpus, server_user(), []
        port = free_ports(1)[0]
        os.chmod(processes.folder, 0o755)
        folder = self.make_folder("postgresql")
        self.run(program("initdb"), "-D", folder, "-U", "bench", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        self.write_settings(folder)
        with open(f"{folder}/postgresql.auto.conf", "a") as file:
            file.write("fsync = on\nfull_page_writes = on\n")
        self.start("primary", folder, port)
        self.url = f"postgresql://bench:bench@127.0.0.1:{port}/postgres"


class InTables(OnDisk):
    def __init__(self, processes, cpus, servers, program, database, sync):
        super().__init__(processes, cpus, servers, program, "postgresql", sync)
        self.url = f"{database.url}?table=bench_{sync}"


class Also(peer.Also, Peer):
    pass


class EmbeddedBench(Bench):
    reference, short = "redis", "Redis"
    title = "Embedded shards: what an operation costs"
    panels = [(f"{w.name}.redis-benchmark.cpu", f"{w.title}: CPU per operation") for w in WORKLOADS]
    packages = {"redis-server": "redis-server", "redis-benchmark": "redis-tools",
                "/usr/lib/postgresql/15/bin/postgres": "postgresql-15"}
    parts = [w.name for w in WORKLOADS]

    def __init__(self, root, options):
        super().__init__(root, options)
        self.redis_benchmark = loads.RedisBenchmark(self.cpus.load)
        self.sheaf_bench = loads.SheafBench(self.cpus.load, str(root / "build/release/sheaf-bench"))
        self.generators = self.redis_benchmark, self.sheaf_bench

    def start(self, processes):
        about = processes, self.cpus, NoServers()
        disks = [OnDisk(*about, self.program, engine, sync) for engine in ("sqlite", "rocksdb") for sync in SYNCS]
        database = Database(processes, self.cpus)
        tables = [InTables(*about, self.program, database, sync) for sync in ("always", "never")]
        self.start_peers([Redis(*about), Sheaf(*about, self.program), *disks, *tables] +
                         [Also(*about, text) for text in self.options.also])
        for each in self.peers:
            if each.problem is None:
                self.say(f"filling {each.title}")
                self.sheaf_bench.fill(each.port, "key:", loads.KEYS, 64)

    def measure(self):
        for workload in WORKLOADS:
            if self.wants(workload.name):
                Throughput(self, workload).run()
