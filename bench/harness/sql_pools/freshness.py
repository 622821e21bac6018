"""Does a client read what it has just written?  With replicas that have work to do."""
import json
import pathlib
import statistics
import subprocess
import sys

from ..processes import Failed
from ..results import Bar
from . import loads
from .servers import KEPT_ROWS

CLIENTS = 4
COUNT, SHORT_COUNT = 100_000, 10_000    # Sheaf's in a run that is not quick; all others
WRITES_PER_SECOND, READS_PER_SECOND = 200, 500      # what the servers have to do beside
PROGRAM = pathlib.Path(__file__).parent / "write_then_read.py"


class WriteThenRead:
    def __init__(self, bench):
        self.bench = bench
        self.count = SHORT_COUNT if bench.options.quick else COUNT
        group, row = "Write, then read at once, replicas loaded", bench.results.row
        times = f"{SHORT_COUNT:,}"
        self.stale = row("fresh.stale", group, f"stale reads of {times}", "", Bar(0, is_ratio=False))
        self.naive = row("fresh.naive", group, f"stale reads of {times}, reads = any", "")
        self.read = row("fresh.read", group, "read behind a write, median", "us")
        self.wait = row("fresh.wait", group, "longer than a read behind that one, median", "us")
        self.p99 = row("fresh.p99", group, "read behind a write, p99", "us")

    def run(self):
        background = self.load_servers()
        try:
            for peer in self.bench.one_by_one("write, then read"):
                if peer.name != "sheaf2":
                    self.measure(peer)
            self.measure_naive(self.bench.peer("sheaf"))
        finally:
            for each in background:
                loads.stop(each)

    def load_servers(self):
        pgbench, servers = self.bench.pgbench, self.bench.servers
        writes = loads.Call(loads.UPDATE, "prepared", 2)
        reads = loads.Call(loads.SELECT, "prepared", 2)
        return [pgbench.in_background(servers.primary.port, writes, "-R", str(WRITES_PER_SECOND))] + \
            [pgbench.in_background(replica.port, reads, "-R", str(READS_PER_SECOND))
             for replica in servers.replicas]

    def measure(self, peer):
        try:
            peer.check()
            count = self.count if peer.name == "sheaf" else SHORT_COUNT
            found = self.load(peer, count)
        except (Failed, OSError) as problem:
            for row in (self.stale, self.read, self.wait, self.p99):
                row.problems[peer.name] = str(problem)
            return
        reads = sorted(found["after_write"])
        self.stale.add(peer.name, found["stale"] * SHORT_COUNT / len(reads))
        if found["stale"] or len(reads) > SHORT_COUNT:
            self.bench.results.note(f"{peer.title}: {found['stale']:,} of {len(reads):,} reads behind a "
                                    "write were stale.")
        self.read.add(peer.name, statistics.median(reads) * 1e6)
        self.p99.add(peer.name, reads[len(reads) * 99 // 100] * 1e6)
        self.wait.add(peer.name, (statistics.median(reads) - statistics.median(found["again"])) * 1e6)

    def measure_naive(self, sheaf):
        self.bench.say("write, then read: Sheaf with reads = any")
        sheaf.reads = "any"
        try:
            sheaf.restart()
            sheaf.check()
            self.naive.add(sheaf.name, self.load(sheaf, SHORT_COUNT)["stale"])
        except (Failed, OSError) as problem:
            self.naive.problems[sheaf.name] = str(problem)
        finally:
            sheaf.reads = type(sheaf).reads
            sheaf.restart()

    def load(self, peer, count):
        """Several clients at once, each with rows of its own."""
        rows = KEPT_ROWS // CLIENTS
        clients = [subprocess.Popen([sys.executable, str(PROGRAM), str(peer.port),
                                     str(count // CLIENTS), str(1 + n * rows), str(rows)],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
                   for n in range(CLIENTS)]
        try:
            return self.gather(clients)
        finally:
            for client in clients:
                client.kill()
                client.wait()

    @staticmethod
    def gather(clients):
        total = {"stale": 0, "after_write": [], "again": []}
        for client in clients:
            out, problem = client.communicate(timeout=1800)
            if client.returncode != 0:
                raise Failed((problem.strip().splitlines() or ["a client failed"])[-1])
            for key, value in json.loads(out).items():
                if key in total:
                    total[key] += value
        return total
