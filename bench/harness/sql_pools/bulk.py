"""COPY out of a large table."""
import time

from ..processes import Failed, run_on
from ..results import Bar
from .servers import BULK_ROW_BYTES, BULK_ROWS, program

GIGABYTES = BULK_ROWS * BULK_ROW_BYTES / 1e9
COPY = "\\copy bulk to /dev/null"
CPU_LIMIT = 0.6


class CopyOut:
    def __init__(self, bench):
        self.bench = bench
        self.title = group = f"COPY out of {GIGABYTES * 1000:.0f} MB (psql)"
        row = bench.results.row
        self.rows = {
            "cpu": row("copy.cpu", group, "CPU per gigabyte", "ms", Bar(CPU_LIMIT)),
            "speed": row("copy.speed", group, "megabytes per second", "MB/s"),
            "system_calls": row("copy.system_calls", group, "system calls per megabyte", ""),
        }

    def run(self):
        for peer in self.bench.alternating(self.title):
            self.into(peer, ("cpu", "speed"), self.one_round)
        for peer in self.bench.one_by_one(f"{self.title}: system calls"):
            self.into(peer, ("system_calls",), self.system_calls)

    def into(self, peer, keys, measure):
        try:
            peer.check()
            found = measure(peer)
        except (Failed, OSError) as problem:
            found = {key: None for key in keys}
            for key in keys:
                self.rows[key].problems[peer.name] = str(problem)
        for key in keys:
            self.rows[key].add(peer.name, found[key])

    def one_round(self, peer):
        before, began = peer.cpu_ns(), time.monotonic()
        self.copy(peer)
        seconds = time.monotonic() - began
        peer.settle()
        return {"cpu": (peer.cpu_ns() - before) / 1e6 / GIGABYTES, "speed": GIGABYTES * 1000 / seconds}

    def system_calls(self, peer):
        return {"system_calls": peer.system_calls(lambda: self.copy(peer)) / (GIGABYTES * 1000)}

    def copy(self, peer):
        done = run_on([program("psql"), "-h", "127.0.0.1", "-p", str(peer.port), "-U", "bench", "-d",
                       "bench", "-XAtc", COPY], self.bench.cpus.load)
        if done.returncode != 0 or done.stdout != f"COPY {BULK_ROWS}\n":
            raise Failed(f"psql: {done.stderr.strip() or done.stdout.strip()}")
