"""Memory of idle clients."""
import time

from ..processes import Failed
from ..results import Bar
from .talk import Session, ask

IDLE_SESSIONS = 10_000
SOCKETS_KEPT = 200          # descriptors for everything else
MEMORY_LIMIT_KIB = 4.0
WARM = "SELECT abalance FROM pgbench_accounts WHERE aid = 1"


class IdleSessions:
    """Each with a proxy that was just started, so that nothing is counted that an earlier
    measurement left behind."""

    def __init__(self, bench):
        self.bench = bench
        group, row = "Memory of a client (PSS)", bench.results.row
        bar = Bar(MEMORY_LIMIT_KIB, is_ratio=False)
        self.silent = row("idle.silent", group, "logged in, 10,000 of them", "KiB", bar)
        self.idle = row("idle.idle", group, "idle after a SELECT each", "KiB", bar)

    def run(self):
        for peer in self.bench.fresh_peers("10,000 idle clients"):
            try:
                peer.check()
                self.measure(peer)
            except (Failed, OSError) as problem:
                self.silent.problems[peer.name] = self.idle.problems[peer.name] = str(problem)
        for peer in self.bench.fresh_peers("starting again"):
            pass

    def count_for(self, peer):
        """What the limit of file descriptors allows, and those who need a server or a process for
        each client."""
        room = int((self.bench.descriptors - SOCKETS_KEPT) * peer.sessions_per_descriptor)
        count = min(IDLE_SESSIONS, peer.most_sessions, room)
        if count < IDLE_SESSIONS:
            self.bench.results.note(f"{peer.title}: {count} idle clients" + (
                "; the limit of file descriptors allows no more." if count == room else
                ", since each has a process or a server connection of its own."))
        return count

    def measure(self, peer):
        count = self.count_for(peer)
        for _ in range(64):
            ask(peer.port, WARM)
        peer.settle()
        before, sessions = peer.pss_kib(), []
        try:
            for _ in range(count):
                sessions.append(Session(peer.port))
            time.sleep(1)
            self.silent.add(peer.name, (peer.pss_kib() - before) / count)
            for session in sessions:
                session.query(WARM)
            time.sleep(1)
            self.idle.add(peer.name, (peer.pss_kib() - before) / count)
        finally:
            for session in sessions:
                session.close()
