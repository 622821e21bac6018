"""The two load generators, each told the same thing in its own words."""
import csv
import dataclasses
import io
import json
import os
import subprocess

from ..processes import Failed, run_on
from ..setup import find

KEYS = 100_000
BIG_KEYS, BIG_BYTES = 16, 1 << 20
HUGE_KEYS, HUGE_BYTES = 4, 10 << 20


@dataclasses.dataclass(frozen=True)
class Call:
    """What is asked: for redis-benchmark as words, for sheaf-bench as options."""
    words: tuple
    options: tuple
    keys: int = KEYS
    clients: int = 50
    pipeline: int = 1


GET = Call(("GET", "key:__rand_int__"), ("-m", "get"))
GET_P16 = dataclasses.replace(GET, pipeline=16)
SET_P16 = Call(("SET", "set:__rand_int__", "x" * 256),
               ("-m", "set", "-s", "256", "--key-prefix", "set:"), pipeline=16)
MGET = Call(("MGET",) + ("key:__rand_int__",) * 10, ("-m", "mget:10"))
GET_1M = Call(("GET", "big:__rand_int__"), ("-m", "get", "--key-prefix", "big:"), keys=BIG_KEYS,
              clients=1)
GET_10M = Call(("GET", "huge:__rand_int__"), ("-m", "get", "--key-prefix", "huge:"),
               keys=HUGE_KEYS, clients=1)


@dataclasses.dataclass
class Result:
    """Times are in microseconds; what a generator does not tell is None."""
    ops: int
    per_second: float
    p50: float
    p99: float
    p99_9: float = None
    max: float = None


class RedisBenchmark:
    name, is_fine = "redis-benchmark", False

    def __init__(self, cpus):
        self.cpus = cpus

    def __call__(self, port, call, count):
        command = [find("redis-benchmark") or "redis-benchmark", "-h", "127.0.0.1", "-p", str(port),
                   "-c", str(call.clients), "-P", str(call.pipeline), "-r", str(call.keys),
                   "-n", str(count), "--csv", *call.words]
        done = run_on(command, self.cpus)
        rows = [row for row in csv.reader(io.StringIO(done.stdout)) if len(row) == 8]
        if done.returncode != 0 or len(rows) < 2 or "rror" in done.stdout:
            text = (done.stderr + done.stdout).strip().splitlines() or ["no output"]
            raise Failed(f"redis-benchmark: {text[-1]}")
        found = dict(zip(rows[0], rows[1]))
        return Result(count, float(found["rps"]), float(found["p50_latency_ms"]) * 1000,
                      float(found["p99_latency_ms"]) * 1000, None,
                      float(found["max_latency_ms"]) * 1000)


class SheafBench:
    name, is_fine = "sheaf-bench", True     # it tells of the slowest thousandth, too

    def __init__(self, cpus, program, scheme="redis"):
        self.cpus, self.program, self.scheme = cpus, program, scheme

    def url(self, port):
        return f"{self.scheme}://127.0.0.1:{port}"

    def command(self, port, call, *options):
        return [self.program, "-q", "-c", str(call.clients), "-P", str(call.pipeline), "-k",
                str(call.keys), *call.options, *options, "--json", "-", self.url(port)]

    def __call__(self, port, call, count, *options):
        return self.run(port, call, "-n", str(count), "-w", "0", *options)

    def run(self, port, call, *options):
        done = run_on(self.command(port, call, *options), self.cpus)
        if done.returncode != 0 or not done.stdout:
            raise Failed(f"sheaf-bench: {done.stderr.strip() or troubles(done.stdout)}")
        found = json.loads(done.stdout)["targets"][0]
        if found["misses"] and "get" in call.options:
            raise Failed(f"sheaf-bench: {found['misses']} replies without a value")
        times = found["latency_us"]
        return Result(found["calls"], found["calls_per_s"], times["p50"], times["p99"],
                      times["p99_9"], times["max"])

    def in_background(self, port, call, *options):
        return subprocess.Popen(self.command(port, call, *options), stdout=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL,
                                preexec_fn=lambda: os.sched_setaffinity(0, self.cpus))

    def fill(self, port, prefix, keys, size):
        done = run_on([self.program, "-q", "--fill-only", "-k", str(keys), "-s", str(size),
                    "--key-prefix", prefix, self.url(port)], self.cpus)
        if done.returncode != 0:
            raise Failed(f"filling the servers: {done.stderr.strip() or done.stdout.strip()}")


def troubles(text):
    try:
        return "; ".join(json.loads(text)["targets"][0]["error_texts"]) or "failed"
    except (ValueError, KeyError, IndexError):
        return "failed"


def fill_servers(servers, bench):
    for port in servers.ports:
        bench.fill(port, "key:", KEYS, 64)
        bench.fill(port, "big:", BIG_KEYS, BIG_BYTES)
        bench.fill(port, "huge:", HUGE_KEYS, HUGE_BYTES)
