"""Memory: a client that never reads, idle sessions, sessions after a burst.  Each with a proxy that was
just started, so that what an earlier measurement left behind is not counted."""
import socket
import time

from . import loads
from ..gauges import memory_kib
from ..processes import Failed
from ..results import Bar
from .talk import ask, encode

NEVER_READ = 200            # pipelined GETs of 1 MiB
IDLE_SESSIONS = 10_000
BURST_SESSIONS, BURST_DEPTH = 1000, 16
WARM_SESSIONS, WARM_SECONDS = 8, 7.0
SETTLED_SECONDS, WATCH_SECONDS = 2.0, 30.0
SOCKETS_KEPT = 200          # descriptors for everything else


def warm(peer):
    """A few requests to every shard, a small burst, and some seconds for what a process does now and then:
    connections to servers, first allocations and code that is read for the first time are not what is
    measured."""
    for i in range(64):
        ask(peer.port, "GET", f"key:{i:012d}")
    sessions = open_sessions(peer.port, WARM_SESSIONS)
    try:
        burst_of(sessions)
    finally:
        close_sessions(sessions)
    time.sleep(WARM_SECONDS)


class SlowReader:
    def __init__(self, bench):
        self.bench = bench
        group = f"{NEVER_READ} pipelined GETs of 1 MiB by a client that never reads"
        limit = Bar(bench.session_limit_mib, is_ratio=False)
        row = bench.results.row
        self.growth = row("slow_reader.growth", group, "memory grows by (RSS)", "MiB", limit)
        self.after = row("slow_reader.after", group, "of that still held 5 s after it left", "MiB",
                         Bar(bench.kept_limit_mib, is_ratio=False))

    def run(self):
        for peer in self.bench.fresh_peers("a client that never reads"):
            try:
                growth, after = self.measure(peer)
            except (Failed, OSError) as problem:
                self.growth.problems[peer.name] = self.after.problems[peer.name] = str(problem)
            else:
                self.growth.add(peer.name, growth / 1024)
                self.after.add(peer.name, after / 1024)

    def measure(self, peer):
        peer.check()
        warm(peer)
        before = memory_kib(peer.pid)[0]
        reader = socket.socket()
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        reader.connect(("127.0.0.1", peer.port))
        reader.sendall(b"".join(encode("GET", f"big:{i % loads.BIG_KEYS:012d}")
                                for i in range(NEVER_READ)))
        most = self.watch(peer)
        reader.close()
        time.sleep(5)
        return most - before, max(0, memory_kib(peer.pid)[0] - before)

    @staticmethod
    def watch(peer):
        """The most it ever held, until it has not grown for a while."""
        most, began = 0, time.monotonic()
        grown = began
        while time.monotonic() - grown < SETTLED_SECONDS and \
                time.monotonic() - began < WATCH_SECONDS:
            now = memory_kib(peer.pid)[0]
            if now > most:
                most, grown = now, time.monotonic()
            time.sleep(0.05)
        return most


def open_sessions(port, count):
    sessions = []
    try:
        for _ in range(count):
            sessions.append(socket.create_connection(("127.0.0.1", port), 5))
    except OSError as problem:
        close_sessions(sessions)
        raise Failed(f"session {len(sessions)}: {problem}") from None
    return sessions


def close_sessions(sessions):
    for s in sessions:
        s.close()


def burst_of(sessions):
    """All ask before any reads, so that the proxy holds all of it at once."""
    requests = b"".join(encode("GET", f"key:{i:012d}") for i in range(BURST_DEPTH))
    expected = BURST_DEPTH * len(b"$64\r\n" + b"x" * 64 + b"\r\n")
    for s in sessions:
        s.sendall(requests)
    for s in sessions:
        left = expected
        while left > 0:
            got = len(s.recv(left))
            if got == 0:
                raise Failed("a session was closed in the burst")
            left -= got


def session_count(bench, peer, wanted):
    """How many sessions the limit of file descriptors allows, here and in the peer."""
    return min(wanted, int((bench.descriptors - SOCKETS_KEPT) * peer.sessions_per_descriptor))


class IdleSessions:
    def __init__(self, bench):
        self.bench = bench
        group = "Memory of a session"
        row, bar = bench.results.row, Bar(0.5, is_ratio=False)
        self.idle = row("idle.session", group, "idle, 10,000 of them (PSS)", "KiB", bar)
        self.burst = row("idle.burst", group,
                         f"1 s after a burst of {BURST_DEPTH} GETs each, 1,000 of them (PSS)", "KiB",
                         bar)

    def run(self):
        for peer in self.bench.fresh_peers("10,000 idle sessions"):
            self.into(self.idle, peer, self.measure_idle)
        for peer in self.bench.fresh_peers("1,000 sessions after a burst"):
            self.into(self.burst, peer, self.measure_burst)

    def into(self, row, peer, measure):
        try:
            peer.check()
            row.add(peer.name, measure(peer))
        except (Failed, OSError) as problem:
            row.problems[peer.name] = str(problem)

    def measure_idle(self, peer):
        count = session_count(self.bench, peer, IDLE_SESSIONS)
        if count < IDLE_SESSIONS:
            self.bench.results.note(f"{peer.title}: {count} sessions; the limit of file descriptors "
                                    "allows no more.")
        warm(peer)
        before = memory_kib(peer.pid)[1]
        sessions = open_sessions(peer.port, count)
        try:
            time.sleep(1)
            return (memory_kib(peer.pid)[1] - before) / count
        finally:
            close_sessions(sessions)

    def measure_burst(self, peer):
        warm(peer)
        before = memory_kib(peer.pid)[1]
        sessions = open_sessions(peer.port, BURST_SESSIONS)
        try:
            burst_of(sessions)
            time.sleep(1)
            return (memory_kib(peer.pid)[1] - before) / BURST_SESSIONS
        finally:
            close_sessions(sessions)
