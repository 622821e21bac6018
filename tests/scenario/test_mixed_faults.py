#!/usr/bin/python3
# not under tsan: what workers share, test_memcached_faults has
"""Redis clients over memcached servers that die, stand still, are late, answer nonsense or half a reply, under load: no
reply reaches the wrong request, no session is closed, every error names its shard, and the others do not notice."""
from lib import *

NONSENSE = (b"+OK\r\n", b"$3\r\nabc\r\n", b"\0" * 100, b"VA -1\r\n", b"VA 99999999999\r\n", b"VA 3\r\nabcdef\r\n", b"\r\n")
# One whole reply each, but of other commands; under load they would stand for several, which nobody can tell.
MISPLACED = (b"VALUE k 0 3\r\nabc\r\nEND\r\n", b"STORED\r\n", b"7\r\n", b"VERSION 1\r\n")


class RedisOverMemcached(Case):
    def begin(self, through_faults=True, **proxy):
        self.servers = [MemcachedServer(self) for _ in range(3)]
        self.wires = [Faults(self, ("127.0.0.1", server.port)) for server in self.servers] if through_faults else []
        self.shards = self.wires or self.servers
        self.sheaf = Sheaf(self, pool([f"memcached://{each.address}" for each in self.shards], probe="no",
                                      timeout=f"{int(400 * SLOW)}ms", backoff_max="100ms"), proxy=proxy)
        self.keys = [each[0] for each in keys_on_shards(3)]

    def answers(self, shard):
        return lambda: self.sheaf.ask("SET", self.keys[shard], "again") == "OK"

    def check(self, load, faulty):
        """Errors and losses were of that shard alone, and each error named it."""
        load.stop()
        load.check(self, lost=False)
        self.assertEqual([what for what in load.lost if shard_of(what.split()[0], 3) != faulty][:3], [])
        for shard, errors in enumerate(load.errors):
            if shard != faulty:
                self.assertEqual(errors[:3], [], f"errors of shard {shard}, which lived")
        for _, error in load.errors[faulty]:
            self.assertIn(self.shards[faulty].address, error)

    def test_a_killed_server_fails_alone_and_comes_back(self):
        self.begin(through_faults=False)
        with Load(self.sheaf, 3) as load:
            wait_until(load.ops(2000), what="load")
            self.servers[1].kill9()
            wait_until(lambda: load.errors[1], what="errors of the dead shard")
            wait_until(load.ops(2000), what="load beside the dead shard")
            self.assertIn(self.shards[1].address, self.sheaf.ask("MGET", *self.keys))
            self.servers[1].restart()
            wait_until(self.answers(1), what="the shard to be used again")
            self.check(load, 1)

    def test_a_server_that_stands_still_costs_its_own_requests_their_deadline(self):
        self.begin(through_faults=False)
        with Load(self.sheaf, 3) as load:
            wait_until(load.ops(1000), what="load")
            self.servers[2].stop()
            wait_until(lambda: load.errors[2], what="requests to time out")
            self.assertEqual(self.sheaf.ask("SET", self.keys[0], "x"), "OK")
            self.servers[2].cont()
            wait_until(self.answers(2), what="the shard to be used again")
            wait_until(load.ops(1000), what="load afterwards")
            self.check(load, 2)

    def test_replies_that_are_cut_short_or_late_reach_nobody_else(self):
        self.begin()
        with Load(self.sheaf, 3) as load:
            for turn in range(8):
                self.wires[1].cut_after = 7 + 13 * turn
                self.until_errors(load)
            self.wires[1].one_byte = True
            wait_until(self.answers(1), what="an answer byte by byte")
            wait_until(load.ops(200), what="load byte by byte")
            self.wires[1].heal()
            self.wires[1].delay = 0.6 * SLOW
            self.until_errors(load)
            wait_until(load.ops(1000), what="load afterwards")
            self.check(load, 1)

    def until_errors(self, load):
        seen = len(load.errors[1])
        wait_until(lambda: len(load.errors[1]) > seen, what="errors")
        self.wires[1].heal()
        wait_until(self.answers(1), what="the shard to be used again")

    def test_garbage_is_an_error_that_names_the_shard_and_never_a_value(self):
        self.begin()
        with Load(self.sheaf, 3, threads=2) as load:
            for garbage in NONSENSE:
                self.wires[1].garbage = garbage
                wait_until(lambda: self.wires[1].garbage is None, what="the garbage to be said")
                wait_until(self.answers(1), what="the shard to be used again")
            self.check(load, 1)

    def test_an_answer_to_something_else_is_an_error_of_every_command(self):
        self.begin(workers=1)
        with self.sheaf.connect() as session:
            for words in (["GET"], ["MGET"], ["INCR"], ["TTL"], ["STRLEN"], ["SET", "v"], ["SET", "v", "NX"], ["GETDEL"], ["APPEND", "x"],
                          ["EXPIRE", "100"], ["DEL"], ["EXISTS"]):
                for garbage in (NONSENSE[0], *MISPLACED):
                    self.assertEqual(session.ask("SET", self.keys[1], "1"), "OK")
                    self.wires[1].garbage = garbage
                    reply = session.ask(words[0], self.keys[1], *words[1:])
                    self.assertIsNone(self.wires[1].garbage, "it was said")
                    self.assertIsInstance(reply, Failure, (words, garbage))
                    self.assertIn(self.wires[1].address, reply, (words, garbage))
                    if garbage in MISPLACED:
                        self.assertIn("something else than it was asked", reply, (words, garbage))
                    wait_until(lambda: session.ask("SET", self.keys[1], "again") == "OK", what="the shard to be used again")


if __name__ == "__main__":
    main()
