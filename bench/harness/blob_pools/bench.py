"""bench/run blob: Sheaf, nginx and HAProxy before nginx origins; Sheaf over folders."""
from ..bench import Bench
from ..processes import Failed, run_on
from ..results import Bar
from . import loads, peers as kinds
from .lists import Lists
from .memory import Memory
from .origins import Origins
from .stores import Stores
from .throughput import WORKLOADS, Throughput

SIGNATURES = 200_000


class BlobBench(Bench):
    reference, short = "nginx", "ng."
    title = "Blob pools: what a proxy costs"
    panels = [
        ("get_1k.cpu", "GET 1 KiB: CPU per request"),
        ("put_1k.cpu", "PUT 1 KiB: CPU per request"),
        ("get_1m.cpu", "GET 1 MiB: CPU per request"),
        ("get_64m.cpu", "GET 64 MiB: CPU per request"),
        ("put_64m.cpu", "PUT 64 MiB, the store verifies: CPU per request"),
        ("refused.cpu", "A bad signature: CPU"),
        ("memory.idle", "Memory of an idle connection"),
        ("memory.slow", "Memory of a slow stream"),
    ]
    packages = {"nginx": "nginx-light", "haproxy": "haproxy", "wrk": "wrk"}
    parts = [w.name for w in WORKLOADS] + ["list", "memory", "signatures", "stores"]
    programs = ("sigv4_cost",)

    def __init__(self, root, options):
        super().__init__(root, options)
        self.processes = self.servers = self.lists_peer = None
        self.sheaf_bench = loads.SheafBench(self.cpus.load, str(root / "build/release/sheaf-bench"))
        self.wrk = loads.Wrk(self.cpus.load)

    def start(self, processes):
        self.processes = processes
        self.servers = Origins(processes, self.cpus, self.program, self.say)
        about = processes, self.cpus, self.servers
        self.lists_peer = kinds.SheafLists(*about, self.program)
        self.start_peers([kinds.Sheaf(*about, self.program), kinds.Nginx(*about),
                          kinds.Haproxy(*about), kinds.SheafFolders(*about, self.program)] +
                         [kinds.Also(*about, text) for text in self.options.also])

    def measure(self):
        try:
            for workload in WORKLOADS:
                if self.wants(workload.name):
                    Throughput(self, workload).run()
            if self.wants("list"):
                Lists(self).run()
            if self.wants("memory"):
                Memory(self).run()
            if self.wants("signatures"):
                self.signatures()
            if "stores" in (self.options.only or ()):   # Ceph is not everywhere
                Stores(self).run()
        finally:
            self.servers.stop()

    def signatures(self):
        """What verifying and signing cost alone, in a loop: tests/tools/sigv4_cost.c."""
        group, row = "Signatures of a GET, in a loop", self.results.row
        rows = {"both": row("signatures.both", group, "verify and sign", "us",
                            Bar(1.5, is_ratio=False)),
                "refuse": row("signatures.refuse", group, "refuse", "us")}
        for _ in range(self.rounds):
            for what, one in rows.items():
                self.say(f"signatures: {what}")
                done = run_on([str(self.root / "build/release/sigv4_cost"), str(SIGNATURES), what],
                              self.cpus.proxy)
                if done.returncode != 0:
                    raise Failed(f"sigv4_cost: {done.stderr.strip() or 'failed'}")
                one.add("sheaf", float(done.stdout.split()[1]) / 1000)
