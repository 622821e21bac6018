"""bench/run memcached: Sheaf and twemproxy before four memcached servers."""
from ..bench import Bench
from ..memory_pools import loads, peers as kinds
from ..memory_pools.loads import Call
from ..memory_pools.throughput import Throughput, Workload
from ..results import Bar
from .servers import Servers

GET, SET = ("-m", "get"), ("-m", "set", "-s", "256", "--key-prefix", "set:")
MANY = ("-m", "get:100")
BAR, BAR_OF_MANY = Bar(0.75), Bar(0.6)

WORKLOADS = [
    Workload("get_p1", "GET 64 B, pipeline 1, 50 clients", Call((), GET), cpu_bar=BAR),
    Workload("get_p16", "GET 64 B, pipeline 16, 50 clients", Call((), GET, pipeline=16), cpu_bar=BAR),
    Workload("set_p1", "SET 256 B, pipeline 1, 50 clients", Call((), SET), cpu_bar=BAR),
    Workload("set_p16", "SET 256 B, pipeline 16, 50 clients", Call((), SET, pipeline=16), cpu_bar=BAR),
    Workload("get_100", "multi-get of 100 keys over 4 shards, 50 clients", Call((), MANY),
             cpu_bar=BAR_OF_MANY, splits=True),
]


class MemcachedBench(Bench):
    reference, short = "twemproxy", "twem."
    title = "memcached pools: what a proxy costs"
    panels = [(f"{w.name}.sheaf-bench.cpu", f"{w.title}: CPU per operation") for w in WORKLOADS]
    packages = {"nutcracker": "nutcracker", "memcached": "memcached"}
    parts = [w.name for w in WORKLOADS]

    def __init__(self, root, options):
        super().__init__(root, options)
        self.sheaf_bench = loads.SheafBench(self.cpus.load, str(root / "build/release/sheaf-bench"),
                                            "memcached")
        self.generators = self.sheaf_bench,

    def start(self, processes):
        servers = Servers(processes, self.cpus, self.descriptors - 100)
        for port in servers.ports:
            self.sheaf_bench.fill(port, "key:", loads.KEYS, 64)
        about = processes, self.cpus, servers
        self.start_peers([kinds.Direct(*about), kinds.Sheaf(*about, self.program),
                          kinds.Twemproxy(*about)] +
                         [kinds.Also(*about, text) for text in self.options.also])

    def measure(self):
        for workload in WORKLOADS:
            if self.wants(workload.name):
                Throughput(self, workload).run()
