"""CPU time, system calls, throughput and latency per operation, in alternating rounds."""
import dataclasses

from . import loads
from ..gauges import count_system_calls, cpu_ns
from ..processes import Failed
from ..results import Bar


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    call: loads.Call
    cpu_bar: Bar = None
    calls_bar: Bar = None
    p50_bar: Bar = None
    splits: bool = False


WORKLOADS = [
    Workload("get_p1", "GET 64 B, pipeline 1, 50 clients", loads.GET, cpu_bar=Bar(0.77),
             calls_bar=Bar(2.35, is_ratio=False)),
    Workload("get_p16", "GET 64 B, pipeline 16, 50 clients", loads.GET_P16, cpu_bar=Bar(0.69)),
    Workload("set_p16", "SET 256 B, pipeline 16, 50 clients", loads.SET_P16, cpu_bar=Bar(0.60)),
    Workload("mget", "MGET of 10 keys over 4 shards, 50 clients", loads.MGET, cpu_bar=Bar(0.58),
             splits=True),
    Workload("get_1m", "GET 1 MiB, one client", loads.GET_1M, p50_bar=Bar(0.75)),
]


class Throughput:
    """One workload against all peers, with each of the bench's generators."""

    def __init__(self, bench, workload):
        self.bench, self.workload, self.results = bench, workload, bench.results
        self.given_up = {}      # peer -> why its further rounds are not tried
        self.counts = {}        # (generator, peer) -> operations that take about a round's time

    def run(self):
        w = self.workload
        peers = [p for p in self.bench.peers if p.splits or not w.splits]
        if len(peers) < len(self.bench.peers):
            self.results.note("MGET through a TCP proxy reaches one server only: not the same work.")
        for n in range(self.bench.rounds):
            for peer in peers[n % len(peers):] + peers[:n % len(peers)]:
                for generator in self.bench.generators:
                    self.bench.say(f"{w.title}: round {n + 1} of {self.bench.rounds}: {peer.title}"
                                   f" ({generator.name})")
                    self.one_round(peer, generator)
        for n in range(2):
            for peer in peers:
                self.bench.say(f"{w.title}: system calls: {peer.title}")
                self.system_calls(peer)

    def rows(self, generator):
        """What a round fills, and the bars, which hold for the first generator's CPU time and,
        because it measures finer, for sheaf-bench's latency."""
        w, first, finer = self.workload, generator is self.bench.generators[0], generator.is_fine
        key, by = f"{w.name}.{generator.name}", f"({generator.name})"
        row = self.results.row
        return {
            "cpu": row(f"{key}.cpu", w.title, f"CPU per operation {by}", "us",
                       w.cpu_bar if first else None),
            "per_second": row(f"{key}.per_second", w.title, f"operations per second {by}", "/s"),
            "p50": row(f"{key}.p50", w.title, f"p50 {by}", "us", w.p50_bar if finer else None),
            "p99": row(f"{key}.p99", w.title, f"p99 {by}", "us"),
            **({"p99_9": row(f"{key}.p99_9", w.title, f"p99.9 {by}", "us")} if finer else {}),
        }

    def count_for(self, peer, generator):
        known = self.counts.get((generator.name, peer.name))
        if known is None:
            first = 64 if self.workload.call.clients == 1 else 4000
            rate = generator(peer.port, self.workload.call, first).per_second
            known = max(first, int(rate * self.bench.seconds))
            self.counts[generator.name, peer.name] = known
        return known

    def check(self, peer):
        peer.check()
        if peer.name in self.given_up:
            raise Failed(self.given_up[peer.name])

    def one_round(self, peer, generator):
        rows = self.rows(generator)
        try:
            self.check(peer)
            with peer.measured():
                count = self.count_for(peer, generator)
                before = cpu_ns(peer.pid)
                result = generator(peer.port, self.workload.call, count)
                cpu_us = (cpu_ns(peer.pid) - before) / 1000 / count
        except (Failed, OSError) as problem:
            self.given_up[peer.name] = str(problem)
            for row in rows.values():
                row.add(peer.name, None)
                row.problems[peer.name] = str(problem)
            return
        for name, row in rows.items():
            row.add(peer.name, cpu_us if name == "cpu" else getattr(result, name))

    def system_calls(self, peer):
        w, generator = self.workload, self.bench.generators[0]
        row = self.results.row(f"{w.name}.system_calls", w.title,
                               f"system calls per operation ({generator.name})", "", w.calls_bar)
        try:
            self.check(peer)
            with peer.measured():
                count = max(64, self.count_for(peer, generator) // 3)
                found = count_system_calls([peer.pid],
                                           lambda: generator(peer.port, w.call, count))
            row.add(peer.name, found / count)
        except (Failed, OSError) as problem:
            row.add(peer.name, None)
            row.problems[peer.name] = str(problem)
