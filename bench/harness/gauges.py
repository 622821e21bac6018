"""What a process costs: CPU time, memory, system calls, as the kernel tells it."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

from .processes import Failed

TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def cpu_ns(pid):
    """User and system time of all threads, in nanoseconds (from schedstat; stat counts in 10 ms)."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        try:
            total += int(pathlib.Path(f"/proc/{pid}/task/{task}/schedstat").read_text().split()[0])
        except FileNotFoundError:
            return cpu_ns_by_ticks(pid)
    return total


def cpu_ns_by_ticks(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_NS


def memory_kib(pid):
    """(RSS, PSS) of a process in KiB."""
    rss = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    try:
        pss = re.search(r"(?m)^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        pss = None
    rss = int(rss[1]) if rss else 0
    return rss, int(pss[1]) if pss else rss


def count_system_calls(pid, run):
    """Calls run() and returns how many system calls the process made meanwhile."""
    return Perf(pid).count(run) if Perf.works() else strace_count(pid, run)


class Perf:
    """Counts with perf, which hardly slows the process down."""

    _works = None

    def __init__(self, pid):
        self.pid = pid

    @classmethod
    def works(cls):
        if cls._works is None:
            cls._works = shutil.which("perf") is not None and cls._try()
        return cls._works

    @staticmethod
    def _try():
        done = subprocess.run(["perf", "stat", "-x,", "-e", "raw_syscalls:sys_enter", "--", "true"],
                              capture_output=True, text=True)
        return done.returncode == 0 and re.search(r"(?m)^\d+,", done.stderr) is not None

    def count(self, run):
        with tempfile.NamedTemporaryFile("r") as out:
            perf = subprocess.Popen(["perf", "stat", "-x,", "-o", out.name, "-e",
                                     "raw_syscalls:sys_enter", "-p", str(self.pid)])
            try:
                time.sleep(0.3)     # perf does not say that it has begun; the process is idle
                run()
            finally:
                perf.send_signal(signal.SIGINT)
                perf.wait()
            found = re.search(r"(?m)^(\d+),", out.read())
        if not found:
            raise Failed("perf counted nothing")
        return int(found[1])


def strace_count(pid, run):
    if shutil.which("strace") is None:
        raise Failed("neither perf nor strace can count system calls here")
    with tempfile.NamedTemporaryFile("r") as out:
        strace = subprocess.Popen(["strace", "-c", "-f", "-o", out.name, "-p", str(pid)],
                                  stderr=subprocess.DEVNULL)
        try:
            time.sleep(0.5)
            run()
        finally:
            strace.send_signal(signal.SIGINT)
            strace.wait()
        found = re.search(r"(?m)^100\.00\s+\S+\s+(?:\d+\s+)?(\d+)(?:\s+\d+)? total", out.read())
    if not found:
        raise Failed("strace counted nothing")
    return int(found[1])
