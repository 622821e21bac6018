"""What is shown without a bar: latency at a fixed rate, alone and beside large values; the cost of idle
sessions; two workers against one."""
import time

from . import loads
from ..gauges import cpu_ns
from .sessions import IDLE_SESSIONS, close_sessions, open_sessions, session_count
from ..processes import Failed

FIXED_RATE, SMALL_RATE = 20_000, 2_000


class FixedRate:
    """Open loop: latency counts from when a request was due."""

    def __init__(self, bench, name, group, rate, beside=None):
        self.bench, self.rate, self.beside = bench, rate, beside
        self.rows = {key: bench.results.row(f"{name}.{key}", group, title, "us")
                     for key, title in (("p50", "p50"), ("p99", "p99"), ("p99_9", "p99.9"),
                                        ("max", "max"))}
        self.group = group

    def run(self):
        for n in range(self.bench.rounds):
            for peer in self.bench.peers:
                self.bench.say(f"{self.group}: round {n + 1} of {self.bench.rounds}: {peer.title}")
                try:
                    peer.check()
                    with peer.measured():
                        result = self.measure(peer)
                    for key, row in self.rows.items():
                        row.add(peer.name, getattr(result, key))
                except (Failed, OSError) as problem:
                    for row in self.rows.values():
                        row.add(peer.name, None)
                        row.problems[peer.name] = str(problem)

    def measure(self, peer):
        generator, background = self.bench.sheaf_bench, None
        if self.beside is not None:
            background = generator.in_background(peer.port, self.beside, "-d", "10m")
            time.sleep(0.3)
        try:
            return generator.run(peer.port, loads.GET, "--rate", str(self.rate), "-d",
                                 f"{self.bench.seconds}s", "-w", "500ms")
        finally:
            if background is not None:
                background.terminate()
                background.wait()


class IdleEffect:
    """What a GET costs while many sessions are open and say nothing."""

    def __init__(self, bench):
        self.bench = bench
        group = "GET 64 B, pipeline 1, beside 10,000 idle sessions"
        self.without = bench.results.row("idle_effect.without", group, "CPU per operation, without",
                                         "us")
        self.beside = bench.results.row("idle_effect.beside", group, "CPU per operation, beside",
                                        "us")

    def run(self):
        for peer in self.bench.peers:
            self.bench.say(f"beside idle sessions: {peer.title}")
            try:
                peer.check()
                with peer.measured():
                    self.measure(peer)
            except (Failed, OSError) as problem:
                self.without.problems[peer.name] = self.beside.problems[peer.name] = str(problem)

    def measure(self, peer):
        self.without.add(peer.name, self.cpu_us(peer))
        count = min(IDLE_SESSIONS, session_count(self.bench, peer, IDLE_SESSIONS + 100) - 100)
        sessions = open_sessions(peer.port, count)
        try:
            self.beside.add(peer.name, self.cpu_us(peer))
        finally:
            close_sessions(sessions)

    def cpu_us(self, peer):
        count = int(30_000 * self.bench.seconds)
        before = cpu_ns(peer.pid)
        self.bench.redis_benchmark(peer.port, loads.GET, count)
        return (cpu_ns(peer.pid) - before) / 1000 / count


class TwoWorkers:
    """Sheaf with one worker and with two, on all CPUs, beside the load that shares them."""

    def __init__(self, bench):
        self.bench = bench
        group = "Sheaf: two workers against one"
        self.rows = {}
        for name, title in (("get_p1", "GET 64 B, pipeline 1"), ("get_p16", "GET 64 B, pipeline 16")):
            for workers in (1, 2):
                for key, what, unit in (("per_second", "operations per second", "/s"),
                                        ("cpu", "CPU per operation", "us")):
                    self.rows[name, workers, key] = bench.results.row(
                        f"workers.{name}.{workers}.{key}", group,
                        f"{title}: {what}, {workers} worker{'s' * (workers > 1)}", unit)
        if len(bench.cpus.all) < 4:
            bench.results.note("Two workers: with fewer than 4 CPUs they compete with the load and "
                               "the servers; this shows the cost per operation, not how it scales.")

    def run(self):
        peer, generator = self.bench.peer("sheaf"), self.bench.sheaf_bench
        if peer is None or peer.problem:
            return
        calls = {"get_p1": loads.GET, "get_p16": loads.GET_P16}
        home, generator.cpus = generator.cpus, self.bench.cpus.all
        try:
            for n in range(self.bench.rounds):
                for workers in (1, 2):
                    self.bench.say(f"two workers: round {n + 1} of {self.bench.rounds}: {workers}")
                    peer.workers = workers
                    peer.restart(self.bench.cpus.all)
                    if peer.problem:
                        raise Failed(f"{workers} workers: {peer.problem}")
                    for name, call in calls.items():
                        self.measure(peer, name, call, workers)
        except (Failed, OSError) as problem:
            self.bench.results.note(f"Two workers could not be measured: {problem}")
        finally:
            generator.cpus, peer.workers, peer.problem = home, 1, None
            peer.restart()

    def measure(self, peer, name, call, workers):
        before = cpu_ns(peer.pid)
        result = self.bench.sheaf_bench.run(peer.port, call, "-w", "0", "-t", "2", "-d",
                                            f"{self.bench.seconds}s")
        cpu_us = (cpu_ns(peer.pid) - before) / 1000 / max(1, result.ops)
        self.rows[name, workers, "per_second"].add("sheaf", result.per_second)
        self.rows[name, workers, "cpu"].add("sheaf", cpu_us)
