"""pgbench: what it is told, and what it tells."""
import dataclasses
import os
import pathlib
import re
import signal
import subprocess
import tempfile

from ..processes import Failed, run_on
from .servers import program

SELECT, TPCB = ("-S",), ("-b", "tpcb-like")


@dataclasses.dataclass(frozen=True)
class Call:
    script: tuple = SELECT
    mode: str = "simple"
    clients: int = 16


@dataclasses.dataclass
class Result:
    """Times are in microseconds."""
    count: int
    per_second: float
    p50: float
    p99: float


class Pgbench:
    def __init__(self, cpus):
        self.cpus = cpus

    def command(self, port, call, seconds, *options):
        return [program("pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-n", "-M",
                call.mode, "-c", str(call.clients), "-T", str(seconds), *call.script, *options,
                "bench"]

    def __call__(self, port, call, seconds):
        """Loads it for about so many seconds, which pgbench takes whole."""
        with tempfile.TemporaryDirectory(prefix="sheaf-bench-pgbench-") as folder:
            done = run_on(self.command(port, call, max(1, round(seconds)), "-l"), self.cpus,
                          cwd=folder)
            count = re.search(r"transactions actually processed: (\d+)", done.stdout)
            rate = re.search(r"tps = ([\d.]+) \(without", done.stdout)
            failed = re.search(r"failed transactions: (\d+)", done.stdout)
            if done.returncode != 0 or not count or not rate or (failed and int(failed[1]) > 0):
                lines = [line for line in done.stderr.splitlines() if "error" in line]
                raise Failed(f"pgbench: {(lines or done.stderr.strip().splitlines() or ['failed'])[0]}")
            p50, p99 = percentiles(folder, 0.5, 0.99)
        return Result(int(count[1]), float(rate[1]), p50, p99)

    def in_background(self, port, call, rate):
        return subprocess.Popen(self.command(port, call, 3600, "-R", str(rate)),
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                preexec_fn=lambda: os.sched_setaffinity(0, self.cpus))


def percentiles(folder, *wanted):
    """Of pgbench's own logs: client, number, time in microseconds, and more."""
    times = sorted(int(line.split(None, 3)[2]) for path in pathlib.Path(folder).glob("pgbench_log.*")
                   for line in path.read_text().splitlines())
    if not times:
        raise Failed("pgbench logged nothing")
    return [float(times[min(len(times) - 1, int(len(times) * part))]) for part in wanted]


def stop(background):
    background.send_signal(signal.SIGTERM)
    background.wait()
