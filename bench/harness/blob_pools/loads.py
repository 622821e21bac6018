"""The two load generators: sheaf-bench, which signs each request, and wrk, which repeats one."""
import dataclasses
import json
import re

from ..processes import Failed, run_on
from ..setup import find
from .talk import BUCKET, ID, SECRET, presigned


@dataclasses.dataclass(frozen=True)
class Call:
    verb: str
    prefix: str = "1k/"
    size: str = "1K"
    clients: int = 50
    keys: int = 1000


@dataclasses.dataclass
class Result:
    """Times are in microseconds."""
    count: int
    per_second: float
    p50: float
    p99: float


class SheafBench:
    def __init__(self, cpus, program):
        self.cpus, self.program = cpus, program

    def __call__(self, port, call, count, *options, login=f"{ID}:{SECRET}"):
        done = run_on([self.program, "-q", "-c", str(call.clients), "-k", str(call.keys), "-m", call.verb,
                       "-s", call.size, "--key-prefix", call.prefix, "-n", str(count), "-w", "0",
                       "--timeout", "30s", *options, "--json", "-",
                       f"s3://{login}@127.0.0.1:{port}/{BUCKET}"], self.cpus)
        if done.returncode != 0 or not done.stdout:
            raise Failed(f"sheaf-bench: {done.stderr.strip() or troubles(done.stdout)}")
        found = json.loads(done.stdout)["targets"][0]
        if found["misses"]:
            raise Failed(f"sheaf-bench: {found['misses']} objects were not there")
        times = found["latency_us"]
        return Result(found["calls"], found["calls_per_s"], times["p50"], times["p99"])

    def fill(self, port, call, **login):
        self(port, dataclasses.replace(call, verb="put", clients=min(call.clients, 4)), 1, "--fill",
             **login)


class Wrk:
    """Presigned GETs of one object."""

    def __init__(self, cpus):
        self.cpus = cpus

    def __call__(self, port, path, clients, seconds):
        url = f"http://127.0.0.1:{port}{presigned(port, path)}"
        done = run_on([find("wrk") or "wrk", "-t1", f"-c{clients}", f"-d{max(1, round(seconds))}s",
                       "--latency", url], self.cpus)
        count = re.search(r"(\d+) requests in", done.stdout)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)|Socket errors:.*", done.stdout)
        if done.returncode != 0 or not count or bad:
            raise Failed(f"wrk: {bad[0] if bad else done.stderr.strip() or 'failed'}")
        rate = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
        return Result(int(count[1]), float(rate[1]), in_us(done.stdout, "50%"), in_us(done.stdout, "99%"))


def in_us(text, which):
    found = re.search(rf"{which}\s+([\d.]+)(us|ms|s)\b", text)
    return float(found[1]) * {"us": 1, "ms": 1e3, "s": 1e6}[found[2]] if found else None


def troubles(text):
    try:
        return "; ".join(json.loads(text)["targets"][0]["error_texts"]) or "failed"
    except (ValueError, KeyError, IndexError):
        return "failed"
