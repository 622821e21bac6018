"""pgbench, in alternating rounds: CPU time and system calls per transaction, throughput, latency.

Connecting is not counted.  For system calls it is left out by the difference of a short and a longer run.
"""
import contextlib
import dataclasses

from ..processes import Failed
from ..results import Bar, UNDER_TEST
from . import loads

NO_PREPARED = ("PgBouncer 1.18 has no prepared statements in transaction pooling; bars for prepared ones "
               "are on its simple queries")


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    script: tuple
    clients: int
    modes: tuple
    barred: tuple = ()          # modes whose CPU time and system calls have bars
    tail_bar: Bar = None        # of p99/p50
    pieces: int = 0             # of a round, each short, while all clients stay connected; 0: they come anew for each
                                # round, and it is in one piece


MODES = ("simple", "extended", "prepared")
WORKLOADS = [
    Workload("select_16", "SELECT by key, 16 clients", loads.SELECT, 16, MODES,
             ("simple", "prepared"), pieces=8),
    Workload("select_200", "SELECT by key, 200 clients", loads.SELECT, 200, MODES,
             tail_bar=Bar(1.5, is_ratio=False), pieces=8),
    Workload("wait_200", "Reads of 10 ms that take no CPU, 200 clients", loads.WAIT, 200, ("simple",),
             tail_bar=Bar(1.5, is_ratio=False)),
    Workload("tpcb", "TPC-B-like, 16 clients", loads.TPCB, 16, ("simple", "prepared")),
]
CPU_LIMIT, PGPOOL_LIMIT, SYSTEM_CALLS_LIMIT = 1.0, 0.25, 5
FEW_CLIENTS = 16
TAIL_SECONDS = 2.0          # at least, where p99 has a bar: of less, one bad moment of the machine is a hundredth
PIECE_SECONDS = 0.5
MEASURED = "cpu", "per_second", "p50", "p99", "tail", "tail_spared", "tail_within"


class Throughput:
    """One workload in each of its modes against all peers."""

    def __init__(self, bench, workload):
        self.bench, self.workload = bench, workload
        self.rows = {mode: self.make_rows(mode) for mode in workload.modes}
        self.given_up = {}      # (peer, mode) -> why its further rounds are not tried

    def make_rows(self, mode):
        w, row = self.workload, self.bench.results.row
        key, group = f"{w.name}.{mode}", f"{w.title}, {mode}"
        barred = mode in w.barred
        rows = {
            "cpu": row(f"{key}.cpu", group, "CPU per transaction", "us",
                       Bar(CPU_LIMIT) if barred and mode == "simple" else None),
            "per_second": row(f"{key}.per_second", group, "transactions per second", "/s"),
            "p50": row(f"{key}.p50", group, "p50", "us"),
            "p99": row(f"{key}.p99", group, "p99", "us"),
            "tail": row(f"{key}.tail", group, "p99/p50", "", w.tail_bar),
            "tail_spared": row(f"{key}.tail_spared", group, "p99/p50 while no CPU stood still", ""),
            "tail_within": row(f"{key}.tail_within", group, "p99/p50 within 50 ms", ""),
            "system_calls": row(f"{key}.system_calls", group, "system calls per transaction", "",
                                Bar(SYSTEM_CALLS_LIMIT, is_ratio=False) if barred else None),
        }
        if barred and mode != "simple":
            rows["to_simple"] = row(f"{key}.to_simple", group, "CPU, to that of PgBouncer's simple",
                                    "", Bar(CPU_LIMIT, is_ratio=False))
        rows["to_pgpool"] = row(f"{key}.to_pgpool", group, "CPU, to that of pgpool", "",
                                Bar(PGPOOL_LIMIT, is_ratio=False) if barred else None)
        return rows

    def run(self):
        w = self.workload
        if w.pieces:
            for mode in w.modes:
                for peers in self.together():
                    self.piece_by_piece(peers, mode)
        else:
            for peer in self.bench.alternating(w.title):
                self.bench.servers.wait_until_left()
                for mode in w.modes:
                    self.one_round(peer, mode)
        for _ in range(1 if self.bench.options.quick else 2):
            for peer in self.bench.one_by_one(f"{w.title}: system calls"):
                for mode in w.modes:
                    self.system_calls(peer, mode)
        self.compare()

    def together(self):
        """Lists of peers that may be there together: not those with a server connection for each of many clients."""
        peers = self.bench.peers
        if self.workload.clients <= FEW_CLIENTS:
            return [peers]
        return [[p for p in peers if p.pools]] + [[p] for p in peers if not p.pools]

    def piece_by_piece(self, peers, mode):
        """All of them in turn, half a second each: a machine's pace may change by a third within seconds, and neighbours
        meet the same.  For the same reason p99 is told by what the median was in each one's own half second."""
        pieces = self.bench.rounds * self.workload.pieces
        loads_of, standstills = {}, self.bench.pgbench.standstills()
        self.bench.servers.wait_until_left()
        with contextlib.ExitStack() as stack:
            for peer in peers:
                with self.or_given_up(peer, mode):
                    stack.enter_context(peer.awake())
                    self.check(peer, mode)
                    loads_of[peer] = stack.enter_context(
                        loads.Stopped(self.bench.pgbench, peer.port, self.call(mode), peer.cpu_ns))
            stack.enter_context(standstills)
            for n in range(pieces):
                names = ", ".join(peer.title for peer in peers)
                self.bench.say(f"{self.workload.title}, {mode}: piece {n + 1} of {pieces}: {names}")
                for peer in peers[n % len(peers):] + peers[:n % len(peers)]:
                    if (peer.name, mode) not in self.given_up:
                        with self.or_given_up(peer, mode):
                            loads_of[peer].measure(PIECE_SECONDS)
        for peer, load in loads_of.items():
            if (peer.name, mode) not in self.given_up:
                with self.or_given_up(peer, mode):
                    self.add_pieces(peer, mode, load.results(standstills))

    def check(self, peer, mode):
        peer.check()
        if mode == "prepared" and not peer.has_prepared:
            raise Failed(NO_PREPARED)
        if (peer.name, mode) in self.given_up:
            raise Failed(self.given_up[peer.name, mode])

    def call(self, mode):
        return loads.Call(self.workload.script, mode, self.workload.clients)

    def seconds(self):
        return max(self.bench.seconds, TAIL_SECONDS if self.workload.tail_bar else 0)

    @contextlib.contextmanager
    def or_given_up(self, peer, mode):
        """What fails is told in place of figures, and not tried again."""
        try:
            yield
        except (Failed, OSError) as problem:
            self.given_up[peer.name, mode] = str(problem)
            for key in MEASURED:
                row = self.rows[mode][key]
                row.add(peer.name, None)
                row.problems[peer.name] = str(problem)

    def one_round(self, peer, mode):
        with self.or_given_up(peer, mode):
            self.check(peer, mode)
            self.add(peer, mode, self.bench.pgbench(peer.port, self.call(mode), self.seconds(), peer.cpu_ns))

    def add(self, peer, mode, result, keys=MEASURED):
        found = {"cpu": result.spent[0] / 1000 / result.count, "tail": result.p99 / result.p50}
        for key in keys:
            self.rows[mode][key].add(peer.name, found[key] if key in found else getattr(result, key))

    def add_pieces(self, peer, mode, results):
        for n in range(0, len(results), self.workload.pieces):
            round_of = results[n:n + self.workload.pieces]
            for result in round_of:
                self.add(peer, mode, result, [key for key in MEASURED if key != "tail"])
            relative = [times for result in round_of for times in result.relative]
            self.rows[mode]["tail"].add(peer.name, loads.quantile(relative, 0.99))

    def system_calls(self, peer, mode):
        row, call = self.rows[mode]["system_calls"], self.call(mode)
        try:
            self.check(peer, mode)
            rate = self.rows[mode]["per_second"].value(peer.name)
            more = max(10, int(rate * self.bench.seconds / call.clients))
            short, long = (peer.system_calls(lambda: self.bench.pgbench.count(peer.port, call, each))
                           for each in (2, 2 + more))
            row.add(peer.name, (long - short) / more / call.clients)
        except (Failed, OSError) as problem:
            row.add(peer.name, None)
            row.problems[peer.name] = str(problem)

    def compare(self):
        """Sheaf's CPU time as a part of what others need, round by round."""
        for rows in self.rows.values():
            fill_ratio(rows["to_pgpool"], rows["cpu"], rows["cpu"].values.get("pgpool", []))
            if "to_simple" in rows:
                fill_ratio(rows["to_simple"], rows["cpu"],
                           self.rows["simple"]["cpu"].values.get("pgbouncer", []))


def fill_ratio(row, cpu, others):
    for own, other in zip(cpu.values.get(UNDER_TEST, []), others):
        row.add(UNDER_TEST, own / other if own is not None and other else None)
