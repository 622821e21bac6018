#!/usr/bin/python3
# not under tsan: one worker
"""Who waits for a replica is served by whichever is free first, in the order in which they came."""
import itertools
import re

from lib import *
from lib import pgwire as pg
from lib.sql_route import Routed

SIZE = 2  # connections of each replica


class Queue(Routed):
    options = {"pool_size": SIZE, "probe_interval": "50ms", "causal_wait": "10s"}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.fronts = {name: Sheaf(cls, sql_pool(cls.primary, cls.replicas, **cls.options, **options), proxy={"workers": 1})
                      for name, options in (("turn", {}), ("weights", {"balance": "weights"}))}
        cls.use("turn")

    @classmethod
    def use(cls, name):
        cls.front = cls.fronts[name]
        cls.knows_replicas(cls.front.target())

    def setUp(self):
        self.use("turn")

    def port_of(self, n):
        """The replica where the transaction is that reads this; to ask it there would move it to the primary."""
        return next(replica.port for replica in self.replicas if replica.sessions(f"query ~ 'held {n} '"))

    def fill(self):
        """Transactions that hold all connections of the replicas: by port."""
        held = {replica.port: [] for replica in self.replicas}
        for n in range(SIZE * len(self.replicas)):
            session = self.session()
            session.ask("BEGIN READ ONLY")
            session.ask(f"SELECT 1 /* held {n} */")
            held[self.port_of(n)].append(session)
        self.assertEqual({len(sessions) for sessions in held.values()}, {SIZE}, held)
        return held

    def waiting(self):
        return self.front.status()["pools"][0]["clients"]["waiting"]

    def queue(self, count, text="SELECT {} /* queued */"):
        """So many that wait, one after the other."""
        sessions = [self.session() for _ in range(count)]
        for n, session in enumerate(sessions):
            session.send(pg.query(text.format(n)))
            wait_until(lambda n=n: self.waiting() == n + 1, what="it to wait")
        return sessions

    def queue_at_once(self, count, text="SELECT {} /* queued */"):
        """They come in one turn, in an order of their own all the same."""
        sessions = [self.session() for _ in range(count)]
        self.session()  # of whom the kernel may not have taken back the last word: he would be told of first
        self.front.process.stop()
        for n, session in enumerate(sessions):
            session.send(pg.query(text.format(n)))
        self.front.process.cont()
        wait_until(lambda: self.waiting() == count, what="all to wait")
        return sessions

    def assert_served(self, sessions):
        for n, session in enumerate(sessions):
            answer = session.until("Z")
            self.assertEqual((answer.errors, answer.rows), ([], [[str(n)]]))

    def test_one_replica_serves_all_who_wait_in_their_order(self):
        for queue, (at, replica) in itertools.product((self.queue, self.queue_at_once), enumerate(self.replicas)):
            held, before = self.fill(), len(replica.log)
            sessions = queue(6)
            held[replica.port][0].ask("COMMIT")
            self.assert_served(sessions)
            wait_until(lambda: replica.logged("queued", before) == 6, what=f"replica {at} to log them")
            order = re.findall(r"SELECT (\d) /. queued", replica.log[before:])
            self.assertEqual(order, [str(n) for n in range(6)])
            for session in sum(held.values(), []):
                session.close()

    def test_where_shares_are_to_be_kept_nobody_changes_the_queue(self):
        self.use("weights")
        held = {replica.port: [] for replica in self.replicas}
        for n in itertools.count():
            if min(map(len, held.values())) == SIZE:
                break
            session = self.session()  # who draws the one that is full waits for it
            session.send(pg.query("BEGIN READ ONLY") + pg.query(f"SELECT 1 /* held {n} */"))
            if wait_until(lambda s=session: "waits" if self.waiting() else not s.is_silent(0.01), what="it to begin or wait") == "waits":
                session.close()
                wait_until(lambda: not self.waiting(), what="it to go")
                continue
            session.until("Z", 2)
            held[self.port_of(n)].append(session)
        sessions = self.queue(8)
        at = self.replicas[0].port
        for session in held[at]:
            session.ask("COMMIT")
        wait_until(lambda: self.waiting() < 8, what="some to be served")
        self.assertTrue(any(session.is_silent(0.1) for session in sessions))
        for session in held[self.replicas[1].port]:
            session.ask("COMMIT")
        self.assert_served(sessions)

    def test_who_waits_for_a_replica_that_dies_is_served_by_the_other(self):
        held = self.fill()
        sessions = self.queue(6)
        self.replicas[0].kill9()
        self.addCleanup(self.knows_replicas, self.front.target())
        self.addCleanup(self.replicas[0].start)
        self.assertTrue(sessions[0].is_silent(0.1))
        held[self.replicas[1].port][0].ask("COMMIT")
        self.assert_served(sessions)

    def test_one_that_comes_up_serves_who_waits_for_the_other(self):
        self.replicas[0].kill9()
        state = lambda: self.front.status()["pools"][0]["endpoints"][1]["health"]["state"]
        wait_until(lambda: state() == "down", what="it to be down")
        held = [self.session() for _ in range(SIZE)]
        for session in held:
            session.ask("BEGIN READ ONLY")
        sessions, before = self.queue(3), len(self.replicas[0].log)
        self.replicas[0].start()
        self.assert_served(sessions)
        wait_until(lambda: self.replicas[0].logged("queued", before) == 3, what="it to log them")

    def test_all_replicas_die_and_the_primary_serves(self):
        self.fill()
        sessions = self.queue(4)
        for replica in self.replicas:
            replica.kill9()
            self.addCleanup(replica.start)
        self.assert_served(sessions)

    def test_who_left_or_was_cancelled_waits_no_more(self):
        held = self.fill()
        sessions = self.queue(6)
        sessions.pop(3).close()
        wait_until(lambda: self.waiting() == 5, what="it to be forgotten")
        sessions[0].cancel()
        held[self.replicas[1].port][0].ask("COMMIT")
        self.assertEqual([session.until("Z").errors for session in sessions], [["57014"], [], [], [], []])


if __name__ == "__main__":
    main()
