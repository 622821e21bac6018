"""pgbench: what it is told, and what it tells."""
import bisect
import dataclasses
import math
import os
import pathlib
import re
import signal
import statistics
import subprocess
import tempfile
import threading
import time

from ..processes import Failed, run_on
from .servers import program
from .standstills import Standstills

SELECT, UPDATE, TPCB = ("-S",), ("-N",), ("-b", "tpcb-like")
WAIT = ("-f", str(pathlib.Path(__file__).with_name("wait.sql")))        # a read that takes 10 ms and no CPU
SETTLE_SECONDS = 0.5        # after all clients came at once
READING_SECONDS = 0.05      # after a reading, till it delays nobody any more
LEFT_SECONDS = 0.2          # for the second reading, before the end
AWAKE_SECONDS = 0.1         # after one that was stopped goes on, till what was under way then is answered
WINDOW_SECONDS, WINDOW_LEAST = 0.05, 100
TRIES = 4
NEVER_TOGETHER = "pgbench: its clients were never at work all together"
MEMORY = pathlib.Path("/dev/shm")       # for pgbench's log: the kernel's writing of it to a disk takes a CPU for
                                        # milliseconds, which then are of the tail that is measured


@dataclasses.dataclass(frozen=True)
class Call:
    script: tuple = SELECT
    mode: str = "simple"
    clients: int = 16

    @property
    def threads(self):
        """pgbench prepares statements with a call that blocks its thread.  With all clients on one thread
        it would wait for itself: for a server connection that a client of its own holds, in a transaction
        that cannot go on meanwhile."""
        return self.clients if self.mode == "prepared" and self.script == TPCB else 1


@dataclasses.dataclass
class Result:
    """Times are in microseconds; `spent`: how much each gauge rose."""
    count: int
    per_second: float
    p50: float
    p99: float
    tail_spared: float      # p99/p50 of what no CPU's standstill fell into; None: it is not known
    tail_within: float      # p99/p50 of what ended within a window: the median of all windows
    spent: list
    relative: list          # each transaction's time in parts of p50


class Pgbench:
    """Measures while all clients are connected and at work, from a moment after the last one came: neither
    their logins nor their end is counted.  pgbench's log tells when each transaction ended.  Gauges are read
    twice, and nothing else happens in between: a reading takes CPUs for a millisecond or two, so times are told of
    what ended a moment after the first."""

    def __init__(self, cpus, all_cpus, hiccups):
        self.cpus, self.all_cpus, self.hiccups = cpus, all_cpus, hiccups
        self.connecting = {}        # (port, clients) -> seconds until all of them are at work

    def command(self, port, call, *options):
        return [program("pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-n", "-M",
                call.mode, "-c", str(call.clients), "-j", str(call.threads), *call.script, *options,
                "bench"]

    def count(self, port, call, each):
        """Each client makes so many transactions."""
        self.run(self.command(port, call, "-t", str(each)))

    def __call__(self, port, call, seconds, *gauges):
        """Loads it, and measures for so many seconds; gauges are functions that tell a growing number."""
        for _ in range(TRIES):
            result = self.try_for(port, call, self.first_seconds(port, call), seconds, gauges)
            if result is not None:
                return result
            self.connecting[port, call.clients] = 1.5 * self.connecting[port, call.clients] + 1
        raise Failed(NEVER_TOGETHER)

    def first_seconds(self, port, call):
        """Until all clients are at work, and a moment more."""
        key = port, call.clients
        if key not in self.connecting:
            began = time.monotonic()
            self.count(port, call, 1)
            self.connecting[key] = time.monotonic() - began
        return self.connecting[key] + SETTLE_SECONDS

    def try_for(self, port, call, first, seconds, gauges):
        """None: at that moment not all of them were at work."""
        with tempfile.TemporaryDirectory(prefix="sheaf-bench-pgbench-", dir=memory()) as folder, \
                Readings(gauges, first, seconds) as readings:
            with self.standstills() as standstills:
                self.run(self.command(port, call, "-T", str(math.ceil(first + seconds + LEFT_SECONDS)), "-l"),
                         cwd=folder)
            log = read_log(folder)
            if len(readings.taken) < 2 or not were_together(log, readings.taken, call.clients):
                return None
            return result_of(log, readings.taken, standstills)

    def standstills(self):
        return Standstills(self.hiccups, self.all_cpus)

    def run(self, command, **options):
        done = run_on(command, self.cpus, **options)
        failed = re.search(r"failed transactions: (\d+)", done.stdout)
        if done.returncode != 0 or (failed and int(failed[1]) > 0):
            lines = errors_in(done.stderr) or done.stderr.strip().splitlines()
            raise Failed(f"pgbench: {lines[0] if lines else 'failed'}")

    def in_background(self, port, call, *options, **where):
        return subprocess.Popen(self.command(port, call, "-T", "3600", *options), stdout=subprocess.DEVNULL,
                                preexec_fn=lambda: os.sched_setaffinity(0, self.cpus),
                                **{"stderr": subprocess.DEVNULL, **where})


class Stopped:
    """A pgbench that is at work only while it is measured; in between its clients stay connected.  So several can
    be measured piece by piece in turn, and what the machine does meanwhile is the same for all of them."""

    def __init__(self, pgbench, port, call, *gauges):
        self.pgbench, self.port, self.call, self.gauges = pgbench, port, call, gauges
        self.readings, self.log = [], []

    def __enter__(self):
        first = self.pgbench.first_seconds(self.port, self.call)
        self.folder = tempfile.TemporaryDirectory(prefix="sheaf-bench-pgbench-", dir=memory())
        self.errors = pathlib.Path(self.folder.name) / "errors"
        with self.errors.open("w") as errors:
            self.process = self.pgbench.in_background(self.port, self.call, "-l", cwd=self.folder.name,
                                                      stderr=errors)
        time.sleep(first)
        self.process.send_signal(signal.SIGSTOP)
        return self

    def measure(self, seconds):
        self.process.send_signal(signal.SIGCONT)
        try:
            time.sleep(AWAKE_SECONDS)
            first = read(self.gauges)
            time.sleep(seconds)
            self.readings.append((first, read(self.gauges)))
        finally:        # whatever became of it, the next is measured alone
            self.process.send_signal(signal.SIGSTOP)
        self.check()

    def check(self):
        """It goes on when a client of it gave up, and says so."""
        errors = errors_in(self.errors.read_text())
        if errors or self.process.poll() is not None:
            raise Failed(f"pgbench: {errors[0] if errors else 'ended'}")

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGCONT)
        time.sleep(LEFT_SECONDS)
        stop(self.process)
        self.log = sorted(read_log(self.folder.name), key=lambda transaction: transaction[2])
        self.folder.cleanup()
        return False

    def results(self, standstills):
        """One for each time that it was measured."""
        if not were_together(self.log, self.readings[0], self.call.clients):
            raise Failed(NEVER_TOGETHER)
        whens = [when for _, _, when in self.log]
        return [result_of(self.log[bisect.bisect(whens, begin):bisect.bisect(whens, end)],
                          [(begin, began, before), (end, ended, after)], standstills)
                for (begin, began, before), (end, ended, after) in self.readings]


def errors_in(text):
    """The lines that tell of one, without the name that pgbench begins each with."""
    return [line.removeprefix("pgbench: ") for line in text.splitlines() if "error" in line]


def memory():
    """A folder that no disk is behind, if there is one; else None."""
    return MEMORY if os.access(MEMORY, os.W_OK) else None


def read(gauges):
    """(began, ended, values)"""
    began = time.time()
    values = [gauge() for gauge in gauges]
    return began, time.time(), values


class Readings:
    """Reads gauges beside what runs, so many seconds from now, and so many later."""

    def __init__(self, gauges, *waits):
        self.gauges, self.waits, self.taken, self.ending = gauges, waits, [], threading.Event()
        self.thread = threading.Thread(target=self.take_all, daemon=True)

    def take_all(self):
        for wait in self.waits:
            if self.ending.wait(wait):
                return
            self.taken.append(read(self.gauges))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ending.set()
        self.thread.join()
        return False


def read_log(folder):
    """(client, microseconds, when it ended) of each transaction, as pgbench's log has them."""
    found = []
    for path in pathlib.Path(folder).glob("pgbench_log.*"):
        text = path.read_text()
        for line in text[:text.rfind("\n") + 1].splitlines():      # the end of one that was ended is missing
            client, _, took, _, seconds, microseconds = line.split()[:6]
            found.append((int(client), int(took), int(seconds) + int(microseconds) / 1e6))
    return found


def were_together(log, readings, clients):
    """Were all clients at work by the first reading, and still at the second?"""
    first = {}
    for client, _, ended in log:
        first[client] = min(first.get(client, ended), ended)
    (begin, _, _), (_, late, _) = readings
    return len(first) == clients and begin >= max(first.values()) and late <= max(when for _, _, when in log)


def result_of(log, readings, standstills):
    """What happened between two readings."""
    (_, begin, before), (end, _, after) = readings
    ended = [(when, took) for _, took, when in log if begin + READING_SECONDS < when <= end]
    if not ended:
        raise Failed("pgbench: no transaction ended while it was measured")
    p50, p99 = quantiles(ended)
    spared50, spared99 = quantiles(standstills.spared(ended) or ended)
    tail_spared = None if standstills.problem else spared99 / spared50
    spent = [now - then for now, then in zip(after, before)]
    count = sum(begin < when <= end for _, _, when in log)
    return Result(count, count / (end - begin), p50, p99, tail_spared, tail_within(ended, begin), spent,
                  [took / p50 for _, took in ended])


def quantiles(ended):
    times = [took for _, took in ended]
    return quantile(times, 0.5), quantile(times, 0.99)


def quantile(times, part):
    return float(sorted(times)[min(len(times) - 1, int(len(times) * part))])


def tail_within(ended, begin):
    """Without what slows all of a window down alike: other work of the machine, above all."""
    windows = {}
    for when, took in ended:
        windows.setdefault(int((when - begin) / WINDOW_SECONDS), []).append(took)
    tails = [quantile(times, 0.99) / quantile(times, 0.5) for times in windows.values()
             if len(times) >= WINDOW_LEAST]
    return statistics.median(tails) if tails else None


def stop(background):
    background.send_signal(signal.SIGTERM)
    background.wait()
