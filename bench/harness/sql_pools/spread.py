"""Reads from the primary alone, and from two replicas: what goes through, and what each server does."""
from ..processes import Failed
from . import loads

CALL = loads.Call(loads.SELECT, "simple", 16)


class Spread:
    def __init__(self, bench):
        self.bench = bench
        group, row = "SELECT by key, simple, 16 clients: who does the work", bench.results.row
        self.alone = self.make_rows(row, group, "alone", "primary alone")
        self.spread = self.make_rows(row, group, "spread", "2 replicas")

    @staticmethod
    def make_rows(row, group, key, title):
        rows = {"per_second": row(f"spread.{key}.per_second", group,
                                  f"{title}: transactions per second", "/s")}
        for n, name in enumerate(("primary", "replica 1", "replica 2")):
            rows[n] = row(f"spread.{key}.{n}", group, f"{title}: CPU per transaction of the {name}"
                          if n == 0 else f"{title}: CPU per transaction of {name}", "us")
        return rows

    def run(self):
        peers = [peer for peer in self.bench.peers if peer.splits and peer.name != "sheaf2"]
        for knows_replicas, rows in ((False, self.alone), (True, self.spread)):
            for peer in peers:
                peer.knows_replicas = knows_replicas
                peer.problem or peer.restart()
            for peer in self.bench.alternating("reads from replicas" if knows_replicas else
                                               "reads from the primary", peers):
                self.one_round(peer, rows)

    def one_round(self, peer, rows):
        servers = self.bench.servers.servers
        try:
            peer.check()
            result = self.bench.pgbench(peer.port, CALL, self.bench.seconds,
                                        *(server.cpu_ns for server in servers))
        except (Failed, OSError) as problem:
            for row in rows.values():
                row.add(peer.name, None)
                row.problems[peer.name] = str(problem)
            return
        rows["per_second"].add(peer.name, result.per_second)
        for n in range(len(servers)):
            rows[n].add(peer.name, result.spent[n] / 1000 / result.count)
