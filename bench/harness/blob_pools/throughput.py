"""CPU time, system calls, throughput and latency per request, in alternating rounds."""
import dataclasses

from ..processes import Failed
from ..results import Bar, UNDER_TEST
from . import loads
from .origins import SIZES

TO_BETTER = 0.95            # bytes per CPU second, to the better of nginx and HAProxy
INSTRUCTIONS = 15_000


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    call: loads.Call
    size: str = "1k"
    cpu_bar: Bar = None
    speed_bar: Bar = None       # of bytes per CPU second
    to_better: bool = False     # has a bar to the better of nginx and HAProxy
    instructions: Bar = None
    verified: bool = False      # who does not verify does another thing, and is not asked
    origins_only: bool = False
    presigned: bool = False     # wrk asks beside


def at_least(limit):
    return Bar(limit, is_ratio=False, at_least=True)


BIG = dict(size="1m", to_better=True)
HUGE = dict(size="64m")
GET_64M = loads.Call("get", "64m/", "64M", 4, 16)
PUT_64M = loads.Call("put", "put/64m/", "64M", 4, 4)
WORKLOADS = [
    Workload("get_1k", "GET 1 KiB, 50 clients", loads.Call("get"), cpu_bar=Bar(1.4),
             instructions=Bar(INSTRUCTIONS, is_ratio=False), presigned=True),
    Workload("put_1k", "PUT 1 KiB, 50 clients", loads.Call("put", "put/1k/"), cpu_bar=Bar(1.8)),
    Workload("refused", "GET with a bad signature, 50 clients", loads.Call("get-refused"),
             verified=True),
    Workload("get_1m", "GET 1 MiB, 16 clients", loads.Call("get", "1m/", "1M", 16, 64), **BIG),
    Workload("get_64m", "GET 64 MiB, 4 clients", GET_64M, **dict(HUGE, to_better=True)),
    Workload("put_64m", "PUT 64 MiB, 4 clients, the store verifies", PUT_64M, **HUGE,
             speed_bar=at_least(1.4), origins_only=True),
    Workload("put_64m_verified", "PUT 64 MiB, 4 clients, verified in Sheaf (SHA-256)",
             dataclasses.replace(PUT_64M, verb="put-checked"), **HUGE, speed_bar=at_least(0.85),
             verified=True),
]
REFUSED_LIMIT = 0.6         # to nginx's cost of a request that it serves


class Throughput:
    def __init__(self, bench, workload):
        self.bench, self.workload = bench, workload
        self.rows = self.make_rows()
        self.given_up, self.counts, self.filled = {}, {}, set()

    def make_rows(self):
        w, row = self.workload, self.bench.results.row
        is_small = w.size == "1k"
        rows = {"cpu": row(f"{w.name}.cpu", w.title, "CPU per request", "us" if is_small else "ms",
                           w.cpu_bar)}
        if not is_small:
            rows["speed"] = row(f"{w.name}.speed", w.title, "GB per CPU second", "", w.speed_bar)
        if w.to_better:
            rows["to_better"] = row(f"{w.name}.to_better", w.title,
                                    "that, to the better of nginx and HAProxy", "", at_least(TO_BETTER))
        if w.name == "refused":
            rows["to_served"] = row(f"{w.name}.to_served", w.title,
                                    "CPU, to nginx's of a GET that it serves", "",
                                    Bar(REFUSED_LIMIT, is_ratio=False))
        rows["per_second"] = row(f"{w.name}.per_second", w.title, "requests per second", "/s")
        rows["p50"] = row(f"{w.name}.p50", w.title, "p50", "us")
        rows["p99"] = row(f"{w.name}.p99", w.title, "p99", "us")
        if w.presigned:
            rows["wrk"] = row(f"{w.name}.wrk", w.title, "CPU per request (wrk, presigned)", "us",
                              w.cpu_bar)
            rows["wrk_rate"] = row(f"{w.name}.wrk_rate", w.title,
                                   "requests per second (wrk, presigned)", "/s")
        rows["system_calls"] = row(f"{w.name}.system_calls", w.title, "system calls per request", "")
        if w.instructions:
            rows["instructions"] = row(f"{w.name}.instructions", w.title,
                                       "instructions in user space per request", "", w.instructions)
        return rows

    def peers(self):
        w = self.workload
        return [peer for peer in self.bench.peers if (peer.verifies or not w.verified) and
                not (w.origins_only and peer.name == "folders")]

    def run(self):
        w, peers = self.workload, self.peers()
        for peer in self.bench.alternating(w.title, peers):
            self.into(peer, ("cpu", "speed", "per_second", "p50", "p99"), self.one_round)
            if w.presigned:
                self.into(peer, ("wrk", "wrk_rate"), self.with_wrk)
        for peer in peers:
            self.bench.say(f"{w.title}: system calls: {peer.title}")
            self.into(peer, ("system_calls",), self.system_calls)
            if w.instructions:
                self.into(peer, ("instructions",), self.instructions)
        self.compare()

    def into(self, peer, keys, measure):
        keys = [key for key in keys if key in self.rows]
        try:
            peer.check()
            if (peer.name, measure.__name__) in self.given_up:
                raise Failed(self.given_up[peer.name, measure.__name__])
            found = measure(peer)
        except (Failed, OSError) as problem:
            self.given_up[peer.name, measure.__name__] = str(problem)
            found = {key: None for key in keys}
            for key in keys:
                self.rows[key].problems[peer.name] = str(problem)
        for key in keys:
            self.rows[key].add(peer.name, found[key])

    def load(self, peer, count):
        return self.bench.sheaf_bench(peer.port, self.workload.call, count)

    def count_for(self, peer):
        """Requests that take about a round's time."""
        w = self.workload
        if peer.name == "folders" and w.call.verb == "get" and peer.name not in self.filled:
            self.bench.sheaf_bench.fill(peer.port, w.call)
            self.filled.add(peer.name)
        if peer.name not in self.counts:
            first = 8 if w.size == "64m" else 500
            rate = self.load(peer, first).per_second
            self.counts[peer.name] = max(first, int(rate * self.bench.seconds))
        return self.counts[peer.name]

    def one_round(self, peer):
        count = self.count_for(peer)
        before = peer.cpu_ns()
        result = self.load(peer, count)
        cpu_ns = (peer.cpu_ns() - before) / count
        size = SIZES[self.workload.size]
        return {"cpu": cpu_ns / (1e3 if size == 1024 else 1e6), "speed": size / cpu_ns,
                "per_second": result.per_second, "p50": result.p50, "p99": result.p99}

    def with_wrk(self, peer):
        key = f"{self.workload.call.prefix}{0:012d}"
        before = peer.cpu_ns()
        result = self.bench.wrk(peer.port, f"/bench/{key}", self.workload.call.clients,
                                self.bench.seconds)
        return {"wrk": (peer.cpu_ns() - before) / 1e3 / result.count, "wrk_rate": result.per_second}

    def difference(self, peer, count):
        """Of a long and a short run: what connecting costs is left out."""
        few, most = self.workload.call.clients, self.count_for(peer) // 2 + self.workload.call.clients
        low, high = (count(lambda: self.load(peer, n)) for n in (few, most))
        return (high - low) / (most - few)

    def system_calls(self, peer):
        return {"system_calls": self.difference(peer, peer.system_calls)}

    def instructions(self, peer):
        return {"instructions": self.difference(peer, peer.instructions)}

    def compare(self):
        rows = self.rows
        if "to_better" in rows:
            speeds = rows["speed"].values
            others = zip(speeds.get("nginx", []), speeds.get("haproxy", []))
            for own, pair in zip(speeds.get(UNDER_TEST, []), others):
                known = [value for value in pair if value is not None]
                rows["to_better"].add(UNDER_TEST, own / max(known) if own and known else None)
        if "to_served" in rows:
            served = self.bench.results.rows.get("get_1k.cpu")
            nginx = served.value("nginx") if served else None
            if nginx is None:
                rows["to_served"].problems[UNDER_TEST] = "needs get_1k, too"
            for own in rows["cpu"].values.get(UNDER_TEST, []):
                rows["to_served"].add(UNDER_TEST, own / nginx if own and nginx else None)
