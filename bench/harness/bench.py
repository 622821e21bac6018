"""One run of the harness: what is started, in which order it is measured, what is written."""
import datetime
import os
import pathlib
import platform
import re
import sys
import tempfile
import time

from . import picture, setup, tables
from .processes import Cpus, Gone, Processes, raise_descriptor_limit
from .results import Results


class Bench:
    """What all kinds of pools have in common; a kind says what is started and what is measured."""

    reference = short = ""      # the peer that ratios are to: its name, and a few letters for headings
    title = ""                  # of the picture
    panels = []                 # of the picture: (name of a row, title)
    packages = {}               # program -> the package that has it
    parts = []                  # what --only may name
    programs = ()               # to be built beside sheaf and sheaf-bench
    cpus_needed = 1             # with fewer, nothing has a CPU of its own
    quick_rounds, long_rounds = 3, 5

    def __init__(self, root, options):
        self.root, self.options = root, options
        self.rounds = options.rounds or (self.quick_rounds if options.quick else self.long_rounds)
        self.seconds = 0.7 if options.quick else 3.0
        self.results, self.peers = Results(self.reference, self.short), []
        self.cpus = Cpus(self.cpus_needed)
        self.descriptors = raise_descriptor_limit()
        self.program = str(pathlib.Path(options.sheaf or root / "build/release/sheaf").resolve())
        self.is_terminal = sys.stderr.isatty()
        self.pace = ""

    def start(self, processes):
        """Starts servers, and self.peers before them."""
        raise NotImplementedError

    def measure(self):
        raise NotImplementedError

    def say(self, text):
        if self.is_terminal:
            print(f"\r\033[K{text[:120]}", end="", file=sys.stderr, flush=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def wants(self, part):
        return not self.options.only or part in self.options.only

    def peer(self, name):
        return next((p for p in self.peers if p.name == name), None)

    def start_peers(self, peers):
        self.peers = peers
        for peer in self.peers:
            peer.start()
            if peer.problem:
                self.say(f"{peer.title} is not measured: {peer.problem}\n")

    def fresh_peers(self, what):
        """All peers, one after the other, each just started."""
        for peer in self.peers:
            self.say(f"{what}: {peer.title}")
            if not peer.problem:
                peer.restart()
            yield peer

    def alternating(self, what, peers=None):
        """Round by round all peers, each round beginning with another one."""
        peers = self.peers if peers is None else peers
        for n in range(self.rounds):
            for peer in peers[n % len(peers):] + peers[:n % len(peers)]:
                self.say(f"{what}: round {n + 1} of {self.rounds}: {peer.title}")
                yield peer

    def about(self):
        model = re.search(r"model name\s*:\s*(.*)", pathlib.Path("/proc/cpuinfo").read_text())
        return (f"{datetime.date.today()}, {model[1] if model else platform.machine()}, "
                f"{os.cpu_count()} CPUs, Linux {platform.release()}; {self.cpus}; medians of "
                f"{self.rounds} alternating rounds{self.pace}.")

    def draw(self, results, peers, about):
        return picture.draw(results, peers, about, self.title, self.panels)

    def tell(self):
        about = self.about()
        if self.is_terminal:
            print("\r\033[K", end="", file=sys.stderr)
        print(about)
        print(tables.terminal(self.results, self.peers))
        for path, text in ((self.options.json, tables.as_json),
                           (self.options.picture, self.draw),
                           (self.options.markdown, tables.markdown)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(self.results, self.peers, about))
            print(f"written: {path}")

    def run(self):
        if not self.options.no_install:
            setup.install(self.packages, self.say)
        if not self.options.no_build:
            setup.build(self.root, self.say, self.programs)
        complete = True
        self.pace = pace()
        with tempfile.TemporaryDirectory(prefix="sheaf-bench-") as folder:
            processes = Processes(folder)
            try:
                self.say("starting servers and proxies")
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


def pace(pieces=150, seconds=0.02):
    """How far a loop that only counts goes in each of some pieces of time, while nothing of ours is at work: where others
    share the machine that tells how much of what is measured may be theirs."""
    counts = []
    for _ in range(pieces):
        end, count = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            count += 1
        counts.append(count)
    counts.sort()
    least, middle, most = (counts[int(part * (pieces - 1))] for part in (0.05, 0.5, 0.95))
    return f"; pace {least / middle:.2f} to {most / middle:.2f}"
