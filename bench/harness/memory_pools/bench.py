"""bench/run memory: Sheaf, twemproxy, HAProxy and predixy before four Redis servers."""
import re
import subprocess

from ..bench import Bench
from . import loads, peers as kinds
from .sessions import IdleSessions, SlowReader
from .shown import FIXED_RATE, SMALL_RATE, FixedRate, IdleEffect, TwoWorkers
from .throughput import WORKLOADS, Throughput

KEPT_LIMIT_MIB = 2.0        # what an allocator may keep of a slow reader's memory
DEFAULT_SESSION_LIMIT_MIB = 64.0


class MemoryBench(Bench):
    reference, short = "twemproxy", "twem."
    title = "Memory pools: what a proxy costs"
    panels = [
        ("get_p1.redis-benchmark.cpu", "GET 64 B, pipeline 1: CPU per operation"),
        ("get_p16.redis-benchmark.cpu", "GET 64 B, pipeline 16: CPU per operation"),
        ("set_p16.redis-benchmark.cpu", "SET 256 B, pipeline 16: CPU per operation"),
        ("mget.redis-benchmark.cpu", "MGET of 10 keys over 4 shards: CPU per operation"),
        ("get_p1.system_calls", "GET 64 B, pipeline 1: system calls per operation"),
        ("get_1m.sheaf-bench.p50", "GET 1 MiB, one client: p50"),
        ("slow_reader.growth", "A client that never reads 200 MiB: memory grows by"),
        ("slow_reader.after", "... and still held 5 s after it left"),
        ("idle.session", "Memory of an idle session"),
        ("idle.burst", "Memory of a session 1 s after a burst"),
        ("fixed_rate.p99", "GET at 20,000/s: p99"),
        ("beside_big.p99", "GET at 2,000/s beside a client that fetches 10 MiB values: p99"),
    ]
    packages = {
        "nutcracker": "nutcracker", "haproxy": "haproxy", "redis-server": "redis-server",
        "redis-benchmark": "redis-tools",
    }
    parts = [w.name for w in WORKLOADS] + ["slow_reader", "idle", "fixed_rate", "beside_big",
                                           "idle_effect", "workers"]

    def __init__(self, root, options):
        super().__init__(root, options)
        self.session_limit_mib = options.session_limit or DEFAULT_SESSION_LIMIT_MIB
        self.kept_limit_mib = KEPT_LIMIT_MIB
        self.redis_benchmark = loads.RedisBenchmark(self.cpus.load)
        self.sheaf_bench = loads.SheafBench(self.cpus.load, str(root / "build/release/sheaf-bench"))
        self.generators = self.redis_benchmark, self.sheaf_bench

    def start(self, processes):
        if not kinds.Predixy.is_here():
            self.results.note("predixy: not measured, no such program in PATH")
        servers = kinds.Servers(processes, self.cpus, self.descriptors - 100)
        loads.fill_servers(servers, self.sheaf_bench)
        about = processes, self.cpus, servers
        self.start_peers([kinds.Direct(*about), kinds.Sheaf(*about, self.program),
                          kinds.Twemproxy(*about), kinds.Haproxy(*about)] +
                         [kinds.Predixy(*about)] * kinds.Predixy.is_here() +
                         [kinds.Also(*about, text) for text in self.options.also])
        self.read_session_limit(processes)

    def read_session_limit(self, processes):
        """The limit that Sheaf's own effective configuration names, unless the user named one."""
        sheaf = self.peer("sheaf")
        if self.options.session_limit or sheaf.problem:
            return
        done = subprocess.run([self.program, "check", str(processes.folder / "sheaf.conf")],
                              capture_output=True, text=True)
        found = re.search(r"(?m)^\s*max_session_memory\s*=\s*(\d+)\s*([kKmMgG]?)", done.stdout)
        if found:
            unit = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1, "g": 1024}[found[2].lower()]
            self.session_limit_mib = int(found[1]) * unit

    def measure(self):
        for workload in WORKLOADS:
            if self.wants(workload.name):
                Throughput(self, workload).run()
        if self.wants("slow_reader"):
            SlowReader(self).run()
        if self.wants("idle"):
            IdleSessions(self).run()
        if self.wants("fixed_rate"):
            FixedRate(self, "fixed_rate", f"Latency of GET 64 B at {FIXED_RATE:,}/s (sheaf-bench)",
                      FIXED_RATE).run()
        if self.wants("beside_big"):
            FixedRate(self, "beside_none", f"Latency of GET 64 B at {SMALL_RATE:,}/s, alone",
                      SMALL_RATE).run()
            FixedRate(self, "beside_big", f"Latency of GET 64 B at {SMALL_RATE:,}/s beside a client "
                      "that fetches 10 MiB values", SMALL_RATE, loads.GET_10M).run()
        if self.wants("idle_effect"):
            IdleEffect(self).run()
        if self.wants("workers"):
            TwoWorkers(self).run()
