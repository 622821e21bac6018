"""A list of 1,000 keys over 8 shards, beside what the slowest of them needs for 1,000 of its own."""
from ..processes import Failed
from ..results import Bar
from . import loads

CALL = loads.Call("list", clients=1)
LISTS = 100
LIMIT_MS = 2.0


class Lists:
    def __init__(self, bench):
        self.bench = bench
        group, row = "List of 1,000 keys over 8 shards, one client", bench.results.row
        self.p50 = row("list.p50", group, "p50", "ms")
        self.slowest = row("list.slowest", group, "p50 of the slowest shard alone", "ms")
        self.beyond = row("list.beyond", group, "longer than that", "ms",
                          Bar(LIMIT_MS, is_ratio=False))
        self.cpu = row("list.cpu", group, "CPU per list", "ms")

    def run(self):
        peer = self.bench.lists_peer
        peer.start()
        try:
            for n in range(self.bench.rounds):
                self.bench.say(f"lists: round {n + 1} of {self.bench.rounds}")
                peer.check()
                self.one_round(peer)
        except (Failed, OSError) as problem:
            for row in (self.p50, self.slowest, self.beyond, self.cpu):
                row.problems["sheaf"] = str(problem)
        finally:
            peer.stop()

    def one_round(self, peer):
        ask = self.bench.sheaf_bench
        slowest = max(ask(port, CALL, LISTS // 4).p50 for port in self.bench.servers.list_ports)
        ask(peer.port, CALL, 10)
        before = peer.cpu_ns()
        p50 = ask(peer.port, CALL, LISTS).p50
        self.cpu.add("sheaf", (peer.cpu_ns() - before) / 1e6 / LISTS)
        self.p50.add("sheaf", p50 / 1e3)
        self.slowest.add("sheaf", slowest / 1e3)
        self.beyond.add("sheaf", (p50 - slowest) / 1e3)
