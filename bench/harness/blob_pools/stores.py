"""Whole systems: Ceph's gateway asked directly, Sheaf before it, and Sheaf as the store itself."""
import subprocess

from ..gauges import tree_cpu_ns
from ..processes import Failed, free_ports
from . import loads, peers as kinds
from .talk import BUCKET, ask, wait_until_it_answers

SECONDS_TO_START = 180
ACCOUNTS = (("MAIN", "main"), ("TEN", "ten"))       # as tests/scenario/servers/ceph.sh makes them
CALLS = (("get_1k", "GET 1 KiB, 16 clients", loads.Call("get", "stores/1k/", "1K", 16, 256)),
         ("put_1k", "PUT 1 KiB, 16 clients", loads.Call("put", "stores/put/1k/", "1K", 16, 256)),
         ("get_1m", "GET 1 MiB, 8 clients", loads.Call("get", "stores/1m/", "1M", 8, 32)),
         ("put_1m", "PUT 1 MiB, 8 clients", loads.Call("put", "stores/put/1m/", "1M", 8, 32)))


class Ceph(kinds.Peer):
    """A gateway over a monitor and one OSD that keeps all in memory."""

    name, title, can_restart = "ceph", "Ceph", False

    def __init__(self, processes, cpus, servers, root):
        super().__init__(processes, cpus, servers)
        self.script = root / "tests/scenario/servers/ceph.sh"
        self.folder = processes.folder / "ceph"

    def login(self, account="MAIN", secret="main"):
        return f"AK{account}{'0' * (16 - len(account))}AA:secret{secret}"

    def shards(self):
        return [f"s3://{self.login(*who)}@127.0.0.1:{self.port}" for who in ACCOUNTS]

    def run(self, word):
        done = subprocess.run(["bash", str(self.script), str(self.folder), str(self.port), word],
                              capture_output=True, text=True, timeout=SECONDS_TO_START)
        if done.returncode != 0:
            raise Failed(f"ceph.sh {word}: {(done.stdout + done.stderr).strip()[-300:]}")

    def start(self, cpus=None):
        self.port, = free_ports(1)
        try:
            self.folder.mkdir(exist_ok=True)
            self.run("start")
            self.pid = self.pids()[0]
        except (Failed, OSError, IndexError, subprocess.SubprocessError) as problem:
            self.stop()
            self.problem = str(problem) or "its processes are gone"

    def pids(self):
        return [int(path.read_text()) for path in sorted((self.folder / "run").glob("*.mypid"))]

    def cpu_ns(self):
        return sum(tree_cpu_ns(pid) for pid in self.pids())

    def stop(self):
        if self.port is not None:
            self.run("stop")


class SheafCeph(kinds.Sheaf):
    """Over two of its accounts."""

    name, title = "sheaf-ceph", "Sheaf, Ceph"

    def __init__(self, processes, cpus, servers, program, ceph):
        super().__init__(processes, cpus, servers, program)
        self.ceph = ceph

    def shards(self):
        return self.ceph.shards()

    def wait(self):
        wait_until_it_answers(self.process, self.port, "/")
        if ask(self.port, f"/{BUCKET}", "PUT")[0] not in (200, 409):
            raise Failed("the bucket could not be made")

    def cpu_ns(self):
        return super().cpu_ns() + self.ceph.cpu_ns()


class Stores:
    def __init__(self, bench):
        self.bench = bench
        about = bench.processes, bench.cpus, bench.servers
        self.ceph = Ceph(*about, bench.root)
        self.sheaf_ceph = SheafCeph(*about, bench.program, self.ceph)
        self.rows = {}
        for name, title, _ in CALLS:
            for key, what, unit in (("per_second", "requests per second", "/s"), ("p50", "p50", "us"),
                                    ("p99", "p99", "us"),
                                    ("cpu", "CPU per request, of the store and what is before it", "us")):
                self.rows[name, key] = bench.results.row(f"stores.{name}.{key}",
                                                         f"Whole systems: {title}", what, unit)

    def run(self):
        bench = self.bench
        bench.say("starting Ceph")
        self.ceph.start()
        self.sheaf_ceph.problem = self.ceph.problem
        if not self.ceph.problem:
            self.sheaf_ceph.start()
        bench.peers += [self.ceph, self.sheaf_ceph]
        peers = [self.ceph, self.sheaf_ceph, bench.peer("folders")]
        try:
            for name, title, call in CALLS:
                counts = {}
                for peer in bench.alternating(title, peers):
                    self.into(name, peer, call, counts)
        finally:
            self.sheaf_ceph.stop()
            self.ceph.stop()

    def load(self, peer, call, count, *options):
        login = {"login": peer.login()} if peer is self.ceph else {}
        return self.bench.sheaf_bench(peer.port, call, count, *options, **login)

    def into(self, name, peer, call, counts):
        try:
            peer.check()
            if peer.name not in counts:
                if call.verb == "get":
                    self.bench.sheaf_bench.fill(peer.port, call, **(
                        {"login": peer.login()} if peer is self.ceph else {}))
                counts[peer.name] = max(64, int(self.load(peer, call, 64).per_second *
                                                self.bench.seconds))
            before = peer.cpu_ns()
            result = self.load(peer, call, counts[peer.name])
            found = {"cpu": (peer.cpu_ns() - before) / 1e3 / counts[peer.name],
                     "per_second": result.per_second, "p50": result.p50, "p99": result.p99}
        except (Failed, OSError) as problem:
            found = {}
            self.rows[name, "cpu"].problems[peer.name] = str(problem)
        for key in ("per_second", "p50", "p99", "cpu"):
            self.rows[name, key].add(peer.name, found.get(key))
