"""One run of the harness: what is started, in which order it is measured, what is written."""
import datetime
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile

from . import loads, peers as kinds, picture, setup, tables
from .memory import IdleSessions, SlowReader
from .processes import Cpus, Gone, Processes, raise_descriptor_limit
from .results import Results
from .shown import FIXED_RATE, SMALL_RATE, FixedRate, IdleEffect, TwoWorkers
from .throughput import WORKLOADS, Throughput

PARTS = [w.name for w in WORKLOADS] + ["slow_reader", "idle", "fixed_rate", "beside_big",
                                       "idle_effect", "workers"]
KEPT_LIMIT_MIB = 2.0        # what an allocator may keep of a slow reader's memory
DEFAULT_SESSION_LIMIT_MIB = 64.0


class Bench:
    def __init__(self, root, options):
        self.root, self.options = root, options
        self.rounds = options.rounds or (3 if options.quick else 5)
        self.seconds = 0.7 if options.quick else 3.0
        self.results, self.peers, self.cpus = Results(), [], Cpus()
        self.descriptors = raise_descriptor_limit()
        self.program = options.sheaf or str(root / "build/release/sheaf")
        self.session_limit_mib = options.session_limit or DEFAULT_SESSION_LIMIT_MIB
        self.kept_limit_mib = KEPT_LIMIT_MIB
        self.redis_benchmark = loads.RedisBenchmark(self.cpus.load)
        self.sheaf_bench = loads.SheafBench(self.cpus.load, str(root / "build/release/sheaf-bench"))
        self.is_terminal = sys.stderr.isatty()

    def say(self, text):
        if self.is_terminal:
            print(f"\r\033[K{text[:120]}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def wants(self, part):
        return not self.options.only or part in self.options.only

    def peer(self, name):
        return next((p for p in self.peers if p.name == name), None)

    def fresh_peers(self, what):
        """All peers, one after the other, each just started."""
        for peer in self.peers:
            self.say(f"{what}: {peer.title}")
            if not peer.problem:
                peer.restart()
            yield peer

    def start(self, processes):
        self.say("starting servers and proxies")
        servers = kinds.Servers(processes, self.cpus, self.descriptors - 100)
        loads.fill_servers(servers, self.sheaf_bench)
        about = processes, self.cpus, servers
        self.peers = [kinds.Direct(*about), kinds.Sheaf(*about, self.program),
                      kinds.Twemproxy(*about), kinds.Haproxy(*about)]
        self.peers += [kinds.Also(*about, text) for text in self.options.also]
        for peer in self.peers:
            peer.start()
            if peer.problem:
                self.say(f"{peer.title} is not measured: {peer.problem}\n")
        self.read_session_limit(processes)

    def read_session_limit(self, processes):
        """The limit that Sheaf's own effective configuration names, unless the user named one."""
        sheaf = self.peer("sheaf")
        if self.options.session_limit or sheaf.problem:
            return
        done = subprocess.run([self.program, "check", str(processes.folder / "sheaf.conf")],
                              capture_output=True, text=True)
        found = re.search(r"(?m)^\s*max_session_memory\s*=\s*(\d+)\s*([kKmMgG]?)", done.stdout)
        if found:
            unit = {"": 1 / (1 << 20), "k": 1 / 1024, "m": 1, "g": 1024}[found[2].lower()]
            self.session_limit_mib = int(found[1]) * unit

    def measure(self):
        for workload in WORKLOADS:
            if self.wants(workload.name):
                Throughput(self, workload).run()
        if self.wants("slow_reader"):
            SlowReader(self).run()
        if self.wants("idle"):
            IdleSessions(self).run()
        if self.wants("fixed_rate"):
            FixedRate(self, "fixed_rate", f"Latency of GET 64 B at {FIXED_RATE:,}/s (sheaf-bench)",
                      FIXED_RATE).run()
        if self.wants("beside_big"):
            FixedRate(self, "beside_none", f"Latency of GET 64 B at {SMALL_RATE:,}/s, alone",
                      SMALL_RATE).run()
            FixedRate(self, "beside_big", f"Latency of GET 64 B at {SMALL_RATE:,}/s beside a client "
                      "that fetches 10 MiB values", SMALL_RATE, loads.GET_10M).run()
        if self.wants("idle_effect"):
            IdleEffect(self).run()
        if self.wants("workers"):
            TwoWorkers(self).run()

    def about(self):
        model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
        return (f"{datetime.date.today()}, {model[1] if model else platform.machine()}, "
                f"{os.cpu_count()} CPUs, Linux {platform.release()}; {self.cpus}; medians of "
                f"{self.rounds} alternating rounds.")

    def tell(self):
        about = self.about()
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr)
        print(about)
        print(tables.terminal(self.results, self.peers))
        for path, text in ((self.options.json, tables.as_json),
                           (self.options.picture, picture.draw),
                           (self.options.markdown, tables.markdown)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(self.results, self.peers, about))
            print(f"written: {path}")

    def run(self):
        if not self.options.no_install:
            setup.install(self.say)
        if not self.options.no_build:
            setup.build(self.root, self.say)
        complete = True
        with tempfile.TemporaryDirectory(prefix="sheaf-bench-") as folder:
            processes = Processes(folder)
            try:
                self.start(processes)
                self.measure()
            except (KeyboardInterrupt, SystemExit, Gone) as reason:
                complete = False
                print(f"\nstopped{f': {reason}' * isinstance(reason, Gone)}; what was measured so far:",
                      file=sys.stderr)
            finally:
                processes.stop_all()
        self.tell()
        return 1 if self.results.failed() or not complete else 0
