"""What a process costs: CPU time, memory, system calls, as the kernel tells it."""
import contextlib
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


def tree(pid):
    """A process and all below it."""
    found = [pid]
    for parent in found:
        try:
            for task in os.listdir(f"/proc/{parent}/task"):
                children = pathlib.Path(f"/proc/{parent}/task/{task}/children").read_text()
                found += [int(child) for child in children.split()]
        except FileNotFoundError:
            continue
    return found


def tree_cpu_ns(pid):
    """Time of a process and all below it, with those below that have ended and were waited for."""
    total = 0
    for each in reversed(tree(pid)):
        try:
            total += cpu_ns(each) + ended_ns(each)
        except FileNotFoundError:
            continue        # it has ended: its parent, which comes later, has its time
    return total


def tree_user_system_ns(pid):
    """Both apart, of a process and all below it, as the clock's ticks found them: a sample, so of some
    hundred milliseconds it tells a part to some percent."""
    user = system = 0
    for each in tree(pid):
        with contextlib.suppress(FileNotFoundError):
            fields = pathlib.Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            user, system = user + int(fields[11]) * TICK_NS, system + int(fields[12]) * TICK_NS
    return user, system


def ended_ns(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[13]) + int(fields[14])) * TICK_NS


def tree_pss_kib(pid):
    return sum(memory_kib(each)[1] for each in tree(pid))


def memory_kib(pid):
    """(RSS, PSS) of a process in KiB."""
    rss = re.search(r"VmRSS:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())
    try:
        pss = re.search(r"(?m)^Pss:\s+(\d+)", pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text())
    except OSError:
        pss = None
    rss = int(rss[1]) if rss else 0
    return rss, int(pss[1]) if pss else rss


SYSTEM_CALLS, INSTRUCTIONS = "raw_syscalls:sys_enter", "instructions:u"


def count_system_calls(pids, run):
    """Calls run() and returns how many system calls the processes, and what they start, made."""
    return Perf(pids).count(run) if Perf.works() else strace_count(pids, run)


def count_instructions(pids, run):
    """The same for instructions in user space."""
    if not Perf.works(INSTRUCTIONS):
        raise Failed("perf cannot count instructions here (a virtual machine without counters?)")
    return Perf(pids, INSTRUCTIONS).count(run)


class Perf:
    """Counts with perf, which hardly slows the process down."""

    _works = {}

    def __init__(self, pids, event=SYSTEM_CALLS):
        self.pids, self.event = pids, event

    @classmethod
    def works(cls, event=SYSTEM_CALLS):
        if event not in cls._works:
            cls._works[event] = shutil.which("perf") is not None and cls._try(event)
        return cls._works[event]

    @staticmethod
    def _try(event):
        done = subprocess.run(["perf", "stat", "-x,", "-e", event, "--", "true"],
                              capture_output=True, text=True)
        return done.returncode == 0 and re.search(r"(?m)^\d+,", done.stderr) is not None

    def count(self, run):
        with tempfile.NamedTemporaryFile("r") as out:
            perf = subprocess.Popen(["perf", "stat", "-x,", "-o", out.name, "-e",
                                     self.event, "-p",
                                     ",".join(map(str, self.pids))])
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


def strace_count(pids, run):
    if shutil.which("strace") is None:
        raise Failed("neither perf nor strace can count system calls here")
    with tempfile.NamedTemporaryFile("r") as out:
        strace = subprocess.Popen(["strace", "-c", "-f", "-o", out.name, "-p",
                                   " ".join(map(str, pids))], stderr=subprocess.DEVNULL)
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
