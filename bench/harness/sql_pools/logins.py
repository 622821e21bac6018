"""CPU time of a login at a server, told apart from all else that a proxy does then.

Clients stay connected and ask, all at once, again and again.  Each time they ask twice: with server connections
that are there, and after somebody else has ended those (pg_terminate_backend), so that they are made anew.  The
proxy's CPU time is read before and after each, while it has nothing to do.
"""
import contextlib
import pathlib
import subprocess
import time

from ..gauges import tree_user_system_ns
from ..processes import Failed
from ..results import Bar
from .servers import PASSWORD, PASSWORD_USER
from .talk import Session, ask

LOGINS = 400
LEAST_LOGINS = 200
ALONE_PAUSE_US = 7000       # a round of one at a time takes 10 to 12 ms, of which a login takes three
TOGETHER = 10               # clients: as many as may have a connection
LIMIT_MS = 0.1
LOGINS_MISSED = 0.1         # or too many, at most: an ended connection may be used, and made anew, once more
SETTLE_SECONDS = 0.002      # what a proxy does once its client has the answer, or its server was lost
MARK = "/* login */"
QUERY = f"SELECT 1 {MARK}"
LONG_SECONDS = 0.05         # nobody has done before all have a connection
POOLED = f"FROM pg_stat_activity WHERE query LIKE '%{MARK}' AND pid <> pg_backend_pid()"


class Rows:
    """The bar is for logins of a whole pool, as they follow upon a server's restart, without connecting: what that takes is
    told by a program that does nothing else.  One at a time the same takes longer, in any program: see measure_least()."""

    def __init__(self, row, name="", key=""):
        group, bar = "Login at a server with a SCRAM password", Bar(LIMIT_MS, is_ratio=False)

        def add(what, title, bar=None):
            return row(f"login.{name}{what}", group, f"{key}CPU of {title}", "ms", bar)

        self.together = add("cpu", f"logging in, {TOGETHER} at once", bar)
        self.alone = add("alone", "logging in, one at a time")
        self.together_all = add("cpu_all", f"connecting and logging in, {TOGETHER} at once")
        self.alone_all = add("alone_all", "connecting and logging in, one at a time")
        self.together_connecting = add("connecting", "connecting alone, one after another")
        self.alone_connecting = add("alone_connecting", "connecting alone, as seldom as one at a time")
        self.loss = add("loss", "hearing of a server connection's end, one at a time")
        self.user = row(f"login.{name}user", group, f"{key}user time's part of all this", "%")
        self.client = add("client", "a client that comes, asks and goes")

    def all(self):
        return self.together, self.alone, self.together_all, self.alone_all, self.loss, self.user, self.client


class Spent:
    """CPU milliseconds of a proxy: of queries with servers that are there, of the loss of those, and of
    queries that need a login first; and how many logins there were."""

    def __init__(self):
        self.queries = self.losses = self.with_logins = 0.0
        self.logins = 0


class Logins:
    """With a password that the proxy knows; then one that nobody but the client knows, and what he proved
    is the key to the servers."""

    def __init__(self, bench):
        self.bench = bench
        row = bench.results.row
        self.rows = {"uses_password": Rows(row),
                     "passes_proof": Rows(row, "passed.", "by a client's key: ")}

    def run(self):
        peers = [peer for peer in self.bench.peers if peer.can_log_in]
        for way, rows in self.rows.items():
            self.restart(peers, way, True)
            for peer in self.bench.alternating("logins", peers):
                self.one_round(peer, rows)
            self.restart(peers, way, False)

    @staticmethod
    def restart(peers, way, is_on):
        """Before the primary alone, or it would be by chance whether a query needs a login."""
        for peer in peers:
            setattr(peer, way, is_on)
            peer.knows_replicas = not is_on and type(peer).knows_replicas
            peer.problem or peer.restart()

    def one_round(self, peer, rows):
        try:
            peer.check()
            rows.client.add(peer.name, self.come_and_go(peer))
            before = tree_user_system_ns(peer.pid)
            alone, together = self.measure(peer, 1, query), self.measure(peer, TOGETHER, long_query)
            rows.user.add(peer.name, user_percent(before, tree_user_system_ns(peer.pid)))
            for spent, of_all, of_login, connecting in (
                    (alone, rows.alone_all, rows.alone, self.measure_least(rows, True)),
                    (together, rows.together_all, rows.together, self.measure_least(rows, False))):
                took = (spent.with_logins - spent.queries) / spent.logins
                of_all.add(peer.name, took)
                of_login.add(peer.name, took - connecting)
            rows.loss.add(peer.name, alone.losses / alone.logins)
        except (Failed, OSError) as problem:
            for row in rows.all():
                row.add(peer.name, None)
                row.problems[peer.name] = str(problem)

    def measure(self, peer, count, text_of):
        spent, rounds = Spent(), LOGINS // count
        with contextlib.ExitStack() as stack:
            clients = [stack.enter_context(Session(peer.port, **peer.client)) for _ in range(count)]
            killer = stack.enter_context(Session(self.bench.servers.primary.port))
            query_at_once(clients, text_of())
            for _ in range(rounds):
                self.one_loss(peer, lambda: query_at_once(clients, text_of()), killer, spent)
        if abs(spent.logins / (rounds * count) - 1) > LOGINS_MISSED:
            raise Failed(f"{spent.logins} logins at the server in {rounds} rounds of {count}")
        return spent

    @staticmethod
    def one_loss(peer, ask_all, killer, spent):
        def rise(act):
            before = peer.cpu_ns()
            act()
            time.sleep(SETTLE_SECONDS)
            return (peer.cpu_ns() - before) / 1e6

        spent.queries += rise(ask_all)
        spent.losses += rise(lambda: end_pooled(killer, spent))
        spent.with_logins += rise(ask_all)

    @staticmethod
    def come_and_go(peer):
        for _ in range(10):
            ask(peer.port, QUERY, **peer.client)
        before = peer.cpu_ns()
        for _ in range(LOGINS):
            ask(peer.port, QUERY, **peer.client)
        time.sleep(SETTLE_SECONDS)
        return (peer.cpu_ns() - before) / 1e6 / LOGINS

    def measure_least(self, rows, is_alone):
        """By a program that does nothing else, and waits in its calls: milliseconds of connecting.  Code and data that
        lie idle get cold: as seldom as one at a time it takes twice what it takes at once again."""
        login, everything, connecting = ((rows.alone, rows.alone_all, rows.alone_connecting) if is_alone else
                                         (rows.together, rows.together_all, rows.together_connecting))
        program = pathlib.Path(self.bench.program).with_name("pg_login")
        try:
            said = subprocess.run([program, f"at=127.0.0.1:{self.bench.servers.primary.port}", f"user={PASSWORD_USER}",
                                   f"password={PASSWORD}", "database=bench", "guess=1", f"rounds={LEAST_LOGINS}",
                                   f"pause_us={ALONE_PAUSE_US if is_alone else 0}"],
                                  capture_output=True, text=True, check=True, timeout=60).stdout.split()
            took = {key: float(value) / 1000 for key, value in (word.split("=") for word in said[-3:])}
        except (OSError, subprocess.SubprocessError, ValueError) as problem:
            raise Failed(f"pg_login: {problem}") from problem
        login.add("direct", took["all_us"])
        everything.add("direct", took["all_us"] + took["connect_us"])
        connecting.add("direct", took["connect_us"])
        return took["connect_us"]


def user_percent(before, after):
    user, system = (now - then for now, then in zip(after, before))
    return 100 * user / (user + system)


def query():
    return QUERY


def long_query():
    """All of them end at one moment, whether they began with a login or not, so that a proxy is woken by their
    answers as often."""
    return f"SELECT pg_sleep_until(to_timestamp({time.time() + LONG_SECONDS:.6f})) {MARK}"


def query_at_once(clients, text):
    for client in clients:
        client.send(text)
    for client in clients:
        client.until_ready()


def end_pooled(killer, spent):
    """Ends the proxy's connections, and waits until they are gone."""
    (count,), = killer.query(f"SELECT count(pg_terminate_backend(pid)) {POOLED}")
    spent.logins += int(count)
    while killer.query(f"SELECT count(*) {POOLED}") != [[b"0"]]:
        time.sleep(0.001)
