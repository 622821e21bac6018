#!/usr/bin/python3
# not under tsan: one session's own affairs
"""WAIT over shards that have replicas, and MEMORY USAGE: what a server knows of its own keys and copies."""
import time

from lib import *


class Copied(Case):
    """Two shards with a replica each."""

    @classmethod
    def setUpClass(cls):
        cls.shards = [RedisServer(cls) for _ in range(2)]
        cls.replicas = [RedisServer(cls, {"replicaof": f"127.0.0.1 {shard.port}", "repl-diskless-load": "swapdb"})
                        for shard in cls.shards]
        for shard in cls.shards:
            shard.ask("CONFIG", "SET", "repl-diskless-sync-delay", "0")
        cls.sheaf = Sheaf(cls, pool(cls.shards))
        cls.keys = [each[0] for each in keys_on_shards(2)]
        for replica in cls.replicas:
            wait_until(lambda r=replica: b"master_link_status:up" in r.ask("INFO", "replication"), seconds=20, what="the copy")

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)

    def ask(self, *words):
        return self.session.ask(*words)

    def test_what_was_waited_for_is_on_every_shard_s_replica(self):
        for n in range(20):
            self.assertEqual(self.ask("MSET", self.keys[0], f"{n}", self.keys[1], f"{n}"), "OK")
            self.assertEqual(self.ask("WAIT", "1", "5000"), 1)
            for key, replica in zip(self.keys, self.replicas):
                self.assertEqual(replica.ask("GET", key), b"%d" % n)

    def test_the_shard_with_the_fewest_copies_is_the_answer_and_nobody_else_waits(self):
        self.replicas[1].stop()
        self.addCleanup(self.replicas[1].cont)
        self.ask("MSET", self.keys[0], "late", self.keys[1], "late")
        began = time.monotonic()
        self.assertEqual(self.ask("WAIT", "1", "150"), 0)
        self.assertGreaterEqual(time.monotonic() - began, 0.15)
        self.session.send(encode("WAIT", "1", "0"))     # for ever, if need be
        with self.sheaf.connect() as other:
            for key in self.keys:
                self.assertEqual(other.ask("GET", key), b"late")
        self.replicas[1].cont()
        self.assertEqual(self.session.reply(), 1)
        self.assertEqual(self.replicas[1].ask("GET", self.keys[1]), b"late")

    def test_more_copies_than_there_are_cost_the_time_given(self):
        wait_until(lambda: self.ask("WAIT", "1", "1000") == 1, what="the one copy to have all")
        given, began = 0.1 * SLOW, time.monotonic()
        self.assertEqual(self.ask("WAIT", "2", str(int(given * 1000))), 1)
        self.assertGreaterEqual(time.monotonic() - began, given)

    def test_who_asks_in_a_pipeline_is_answered_in_order(self):
        self.session.send(encode("SET", self.keys[0], "a") + encode("WAIT", "1", "5000") + encode("SET", self.keys[1], "b") +
                          encode("WAIT", "1", "5000") + encode("MGET", *self.keys))
        self.assertEqual([self.session.reply() for _ in range(5)], ["OK", 1, "OK", 1, [b"a", b"b"]])

    def test_wrong_words_are_answered_as_by_redis(self):
        twin = Twin(self, self.sheaf, self.shards[0])
        for line in ("WAIT", "WAIT 1", "WAIT x 1", "WAIT 1 x", "WAIT 1 -1", "WAIT 1 1 1"):
            twin.ask(*line.split())

    def test_it_is_of_all_shards_and_so_of_no_transaction(self):
        self.assertEqual(self.ask("MULTI"), "OK")
        self.assertIn("'wait' can't be part of a transaction here", self.ask("WAIT", "1", "0"))
        self.assertIn("EXECABORT", self.ask("EXEC"))


class Dead(Case):
    def test_a_dead_shard_is_told_for_nobody_knows_its_copies(self):
        shards = [RedisServer(self) for _ in range(2)]
        sheaf = Sheaf(self, pool(shards, backoff_max="100ms"))
        with sheaf.connect() as session:
            self.assertEqual(session.ask("WAIT", "0", "10"), 0)
            shards[1].kill9()
            wait_until(lambda: "shard 1 " in str(session.ask("WAIT", "0", "10")), what="the error")
            shards[1].restart()
            wait_until(lambda: session.ask("WAIT", "0", "10") == 0, what="the shard to be back")


class MemoryUsage(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def test_is_what_the_key_s_own_server_says(self):
        fill = {"string": ("SET", "x" * 3000), "list": ("RPUSH", *"abcdefgh"), "hash": ("HSET", *[f"{n}" * 90 for n in range(40)]),
                "set": ("SADD", *[f"m{n}" for n in range(600)]), "zset": ("ZADD", *[f"{n}" for n in range(400)]),
                "stream": ("XADD", "1-1", "f", "v")}
        with self.sheaf.connect() as session:
            for kind, (command, *words) in fill.items():
                for n, key in enumerate(each[0] for each in keys_on_shards(2, prefix=kind)):
                    session.ask(command, key, *words)
                    for more in ([], ["SAMPLES", "0"], ["SAMPLES", "3"]):
                        said = session.ask("MEMORY", "USAGE", key, *more)
                        self.assertEqual(said, self.redis[n].ask("MEMORY", "USAGE", key, *more), (kind, more))
                        self.assertGreater(said, 40)
                    self.assertIsNone(self.redis[1 - n].ask("MEMORY", "USAGE", key))

    def test_wrong_words_and_keys_that_are_not_there_are_answered_as_by_redis(self):
        for proto in (2, 3):
            twin = Twin(self, self.sheaf, self.redis[0], proto)
            for line in ("MEMORY USAGE no:such", "MEMORY USAGE", "MEMORY USAGE a b", "MEMORY USAGE a SAMPLES", "MEMORY USAGE a SAMPLES -1",
                         "MEMORY USAGE a SAMPLES x", "memory usage no:such samples 5", "MEMORY NOSUCH a", "MULTI",
                         "MEMORY USAGE {m}no", "EXEC"):
                twin.ask(*line.split())


if __name__ == "__main__":
    main()
