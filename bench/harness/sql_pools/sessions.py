"""Memory of idle clients; CPU time of a login at a server."""
import pathlib
import subprocess
import time

from ..processes import Failed
from ..results import Bar
from .servers import PASSWORD, PASSWORD_USER
from .talk import Session, ask

IDLE_SESSIONS = 10_000
SOCKETS_KEPT = 200          # descriptors for everything else
LOGINS = 300
MEMORY_LIMIT_KIB, LOGIN_LIMIT_MS = 4.0, 0.1
LAST_WORD = "SELECT pg_terminate_backend(pg_backend_pid())"
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


class Logins:
    """Clients that come, ask once and go; and clients that end the server's side of their connection, so
    that for each another one is logged in with a SCRAM password: the difference is the login.  In the
    second half nobody but the client knows the password, and what he proved is the key to the servers."""

    def __init__(self, bench):
        self.bench = bench
        group, row = "Login at a server with a SCRAM password", bench.results.row
        bar = Bar(LOGIN_LIMIT_MS, is_ratio=False)
        self.rows = {
            "uses_password": (row("login.cpu", group, "CPU of connecting and logging in", "ms", bar),
                              row("login.client", group, "CPU of a client that comes, asks and goes", "ms")),
            "passes_proof": (row("login.passed", group, "by a client's key: CPU of connecting and logging in", "ms", bar),
                             row("login.prover", group, "by a client's key: CPU of a client that comes, asks and goes",
                                 "ms"))}

    def run(self):
        peers = [peer for peer in self.bench.peers if peer.can_log_in]
        for way, rows in self.rows.items():
            for peer in peers:
                setattr(peer, way, True)
                peer.problem or peer.restart()
            for peer in self.bench.alternating("logins", peers):
                self.measure_peer(peer, *rows)
            for peer in peers:
                setattr(peer, way, False)
        for peer in peers:
            peer.problem or peer.restart()
        for _ in range(self.bench.rounds):
            self.measure_least(self.rows["uses_password"][0])

    def measure_peer(self, peer, cpu, client):
        try:
            peer.check()
            without, _ = self.measure(peer, "SELECT 1")
            with_login, logins = self.measure(peer, LAST_WORD)
            if logins < LOGINS / 2:
                raise Failed(f"only {logins} logins at the servers for {LOGINS} clients")
            client.add(peer.name, without / LOGINS)
            cpu.add(peer.name, (with_login - without) / logins)
        except (Failed, OSError) as problem:
            for row in (cpu, client):
                row.add(peer.name, None)
                row.problems[peer.name] = str(problem)

    def measure_least(self, row):
        """By a program that does nothing else, and waits in its calls."""
        program = pathlib.Path(self.bench.program).with_name("pg_login")
        try:
            said = subprocess.run([program, f"at=127.0.0.1:{self.bench.servers.primary.port}", f"user={PASSWORD_USER}",
                                   f"password={PASSWORD}", "database=bench", "guess=1", f"rounds={LOGINS}"],
                                  capture_output=True, text=True, check=True, timeout=60).stdout.split()
            took = dict(word.split("=") for word in said[-3:])
            row.add("direct", (float(took["all_us"]) + float(took["connect_us"])) / 1000)
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as problem:
            row.problems["direct"] = f"pg_login: {problem}"

    def measure(self, peer, text):
        """Milliseconds of CPU time, and how often a server was logged in to."""
        for _ in range(10):
            self.ask(peer, text)
        logins, before = self.sessions(), peer.cpu_ns()
        for _ in range(LOGINS):
            self.ask(peer, text)
        return (peer.cpu_ns() - before) / 1e6, self.sessions() - logins

    @staticmethod
    def ask(peer, text):
        try:
            ask(peer.port, text, **peer.client)
        except Failed:
            if text != LAST_WORD:
                raise

    def sessions(self):
        """How many sessions the servers have seen; they tell it a little late."""
        time.sleep(1.5)
        return sum(int(ask(server.port, "SELECT sessions FROM pg_stat_database WHERE datname = "
                                        "'bench'")[0][0]) for server in self.bench.servers.servers)
