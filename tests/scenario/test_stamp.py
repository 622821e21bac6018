#!/usr/bin/python3
# not under tsan: one session's own affairs
"""The stamp: a small key on each shard that says its place in the map.  A wrong map is refused before
it does harm, with what was found and what was expected; a right one is served wherever it moved."""
import re

from lib import *


class StampCase(Case):
    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(3)]
        self.keys = [keys[0] for keys in keys_on_shards(3)]
        self.options = pool(self.redis, backoff_max="200ms")[1]
        with self.serve() as sheaf:
            for key in self.keys:
                self.assertEqual(sheaf.ask("SET", key, key), "OK")

    def serve(self, **options):
        return Once(self, ("memory main", {**self.options, "listen": f"redis://127.0.0.1:{free_port()}", **options}))

    def urls(self, order):
        return [self.redis[n].url for n in order]


class Once(Sheaf):
    """A daemon that ends where its block ends."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.running:
            self.terminate()
        assert self.wait() == 0


class WrongMaps(StampCase):
    def test_each_shard_carries_one_stamp_that_clients_do_not_see(self):
        with self.serve() as sheaf:
            for redis in self.redis:
                keys = redis.ask("KEYS", "*")
                self.assertEqual(len(keys), 2, keys)
            self.assertEqual(sheaf.ask("DBSIZE"), 3)
            self.assertEqual(sorted(sheaf.ask("KEYS", "*")), sorted(k.encode() for k in self.keys))

    def test_swapped_lines_are_refused_with_what_was_found_and_expected(self):
        with self.serve(shard=self.urls((1, 0, 2))) as sheaf:
            for place, found in ((0, 1), (1, 0)):
                reply = sheaf.ask("GET", self.keys[place])
                self.assertIsInstance(reply, Failure)
                self.assertIn(self.redis[found].address, reply)
                self.assertIn("stamp", reply)
                self.assertRegex(reply, rf"\b{found}\b.*\b{place}\b|\b{place}\b.*\b{found}\b")
                self.assertIsInstance(sheaf.ask("SET", self.keys[place], "x"), Failure)
            self.assertEqual(sheaf.ask("GET", self.keys[2]), self.keys[2].encode(), "its place is right")
            wait_until(lambda: self.redis[0].address in sheaf.log and "stamp" in sheaf.log)
        for key, redis in zip(self.keys, self.redis):
            self.assertEqual(redis.ask("GET", key), key.encode(), "nothing was written")

    def test_a_rotated_map_serves_nothing(self):
        with self.serve(shard=self.urls((1, 2, 0))) as sheaf:
            for key in self.keys:
                self.assertIsInstance(sheaf.ask("GET", key), Failure)
            for words in (("MGET", *self.keys), ("KEYS", "*"), ("DBSIZE",), ("FLUSHALL",)):
                reply = sheaf.ask(*words)
                parts = reply if isinstance(reply, list) else [reply]
                self.assertTrue(all(isinstance(p, Failure) for p in parts), (words, reply))
        self.assertEqual([r.ask("DBSIZE") for r in self.redis], [2, 2, 2])

    def test_fewer_or_more_shards_are_refused(self):
        fresh = RedisServer(self)
        for urls in (self.urls((0, 1)), [*self.urls((0, 1, 2)), fresh.url]):
            with self.serve(shard=urls) as sheaf:
                count = len(urls)
                for key in (k[0] for k in keys_on_shards(count)):
                    if shard_of(key, count) < 3:
                        self.assertIsInstance(sheaf.ask("GET", key), Failure, key)

    def test_another_hash_distribution_or_pool_name_is_refused(self):
        for options in ({"hash": "md5"}, {"distribution": "ketama"}):
            with self.serve(**options) as sheaf:
                for number in range(10):
                    self.assertIsInstance(sheaf.ask("GET", f"any{number}"), Failure, options)
        renamed = Once(self, ("memory other", {**self.options, "listen": f"redis://127.0.0.1:{free_port()}"}))
        with renamed as sheaf:
            reply = sheaf.ask("GET", self.keys[0])
            self.assertIsInstance(reply, Failure)
            self.assertIn("main", reply)
            self.assertIn("other", reply)

    def test_a_stamp_that_is_none_is_told(self):
        self.redis[0].ask("SET", self.stamp_key(), "something of mine")
        with self.serve() as sheaf:
            reply = sheaf.ask("GET", self.keys[0])
            self.assertIsInstance(reply, Failure)
            self.assertIn("stamp", reply)
        self.assertEqual(self.redis[0].ask("GET", self.stamp_key()), b"something of mine")

    def test_an_empty_stamp_is_none_either(self):
        self.redis[0].ask("SET", self.stamp_key(), "")
        with self.serve() as sheaf:
            self.assertIn("stamp", str(sheaf.ask("GET", self.keys[0])))

    def stamp_key(self):
        return next(k for k in self.redis[0].ask("KEYS", "*") if k.decode() not in self.keys)

    def test_when_the_map_is_mended_the_shards_are_used_again_without_a_restart(self):
        with self.serve(shard=self.urls((1, 0, 2))) as sheaf, sheaf.connect() as session:
            self.assertIsInstance(session.ask("GET", self.keys[0]), Failure)
            sheaf.reload(("memory main", {**self.options, "listen": sheaf.listeners["main"][0]}))
            for key in self.keys:
                wait_until(lambda k=key: session.ask("GET", k) == k.encode(), what="the shard")

    def test_a_server_that_is_replaced_while_sheaf_runs_is_looked_at(self):
        with self.serve() as sheaf, sheaf.connect() as session:
            self.assertEqual(session.ask("GET", self.keys[0]), self.keys[0].encode())
            # Another shard's data appears behind the address of shard 0.
            faults = Faults(self, ("127.0.0.1", self.redis[0].port))
            sheaf.reload(("memory main", {**self.options, "listen": sheaf.listeners["main"][0],
                                          "shard": [faults.url, *self.urls((1, 2))]}))
            wait_until(lambda: session.ask("GET", self.keys[0]) == self.keys[0].encode() and faults.wires > 0)
            faults._target = ("127.0.0.1", self.redis[1].port)  # pylint: disable=protected-access
            faults.cut()
            wait_until(lambda: isinstance(session.ask("GET", self.keys[0]), Failure), what="the refusal")
            self.assertIn("stamp", session.ask("GET", self.keys[0]))


class RightMaps(StampCase):
    def test_servers_may_move_to_other_addresses(self):
        moved = [Faults(self, ("127.0.0.1", r.port)) for r in self.redis]
        with self.serve(shard=[m.url for m in moved]) as sheaf:
            for key in self.keys:
                self.assertEqual(sheaf.ask("GET", key), key.encode())
        with self.serve(shard=[f"redis+unix://{r.socket}" for r in self.redis]) as sheaf:
            for key in self.keys:
                self.assertEqual(sheaf.ask("GET", key), key.encode())

    def test_a_ring_is_stamped_too_and_served_again(self):
        fresh = [RedisServer(self) for _ in range(2)]
        options = {"shard": [r.url for r in fresh], "distribution": "ketama", "hash": "md5"}
        with self.serve(**options) as sheaf:
            self.assertEqual(sheaf.ask("MSET", "a", "1", "b", "2", "c", "3"), "OK")
        with self.serve(**options) as sheaf:
            self.assertEqual(sheaf.ask("MGET", "a", "b", "c"), [b"1", b"2", b"3"])

    def test_after_flushall_the_stamps_are_there_again(self):
        with self.serve() as sheaf:
            self.assertEqual(sheaf.ask("FLUSHALL"), "OK")
            self.assertEqual(sheaf.ask("DBSIZE"), 0)
        self.assertEqual([r.ask("DBSIZE") for r in self.redis], [1, 1, 1])
        with self.serve(shard=self.urls((1, 0, 2))) as sheaf:
            self.assertIsInstance(sheaf.ask("GET", self.keys[0]), Failure)

    def in_database(self, redis, database, *words):
        with redis.connect() as session:
            self.assertEqual(session.ask("SELECT", database), "OK")
            return session.ask(*words)

    def test_a_stamp_lies_in_the_database_of_its_url_and_flushall_from_another_writes_it_there(self):
        fresh = [RedisServer(self) for _ in range(2)]
        urls = [f"{r.url}/2" for r in fresh]
        key = keys_on_shards(2)[0][0]
        with self.serve(shard=urls) as sheaf, sheaf.connect() as session:
            self.assertEqual(session.ask("SELECT", "1"), "OK")
            for words in (("FLUSHDB",), ("FLUSHALL",)):
                self.assertEqual(session.ask("SET", key, "1"), "OK")
                self.assertEqual(self.in_database(fresh[0], 3, "GET", key), b"1")
                self.assertEqual(session.ask(*words), "OK")
                self.assertIsNone(session.ask("GET", key))
                self.assertEqual([self.in_database(r, 2, "DBSIZE") for r in fresh], [1, 1])
                self.assertEqual([self.in_database(r, 3, "DBSIZE") for r in fresh], [0, 0])
            self.assertEqual(sheaf.ask("DBSIZE"), 0)
        with self.serve(shard=urls[::-1]) as sheaf:
            self.assertIsInstance(sheaf.ask("GET", key), Failure)

    def test_two_pools_may_share_servers_if_they_do_not_share_databases(self):
        fresh = [RedisServer(self) for _ in range(2)]

        def pools(second):
            return (pool(fresh, name="one", databases=1),
                    pool([f"{r.url}/{second}" for r in fresh], name="two", databases=1))
        sheaf = Once(self, *pools(1))
        with sheaf, sheaf.connect("one") as one, sheaf.connect("two") as two:
            self.assertEqual([one.ask("SET", "a", "1"), two.ask("SET", "a", "2")], ["OK", "OK"])
            self.assertEqual([one.ask("GET", "a"), two.ask("GET", "a")], [b"1", b"2"])
        sheaf = Once(self, *pools(0))
        with sheaf, sheaf.connect("one") as one, sheaf.connect("two") as two:
            self.assertEqual(one.ask("GET", "a"), b"1")
            self.assertRegex(two.ask("GET", "a"), '"one".*"two"')

    def test_after_a_flush_past_sheaf_or_in_a_script_the_stamps_come_back(self):
        with self.serve(probe_interval="10ms") as sheaf:
            self.assertEqual(sheaf.ask("MGET", *self.keys), [k.encode() for k in self.keys])
            flushes = (lambda: self.redis[0].ask("FLUSHALL"),
                       lambda: sheaf.ask("EVAL", "return redis.call('FLUSHALL')", "1", self.keys[0]))
            for turn, flush in enumerate(flushes):
                # The probes must have seen it before.
                wait_until(lambda: self.probes(sheaf) > 30 * (turn + 1), what="probes")
                self.assertEqual(flush(), "OK")
                wait_until(lambda: self.redis[0].ask("KEYS", "*"), what="the stamp")
            self.assertIn("the stamp was gone", sheaf.log)
        with self.serve(shard=self.urls((1, 0, 2))) as sheaf:
            self.assertIsInstance(sheaf.ask("GET", self.keys[1]), Failure)

    def probes(self, sheaf):
        """How many PINGs shard 0 has had."""
        found = re.search(r"cmdstat_ping:calls=(\d+)", self.redis[0].ask("INFO", "commandstats").decode())
        return int(found[1]) if found else 0

    def test_without_stamps_nothing_is_written_and_the_operator_is_trusted(self):
        fresh = [RedisServer(self) for _ in range(2)]
        with self.serve(shard=[r.url for r in fresh], stamp="no") as sheaf:
            self.assertEqual(sheaf.ask("MGET", "a", "b", "c", "d"), [None] * 4)
        self.assertEqual([r.ask("DBSIZE") for r in fresh], [0, 0])
        with self.serve(shard=self.urls((1, 0, 2)), stamp="no") as sheaf:
            self.assertIsNone(sheaf.ask("GET", self.keys[0]))
            self.assertEqual(sheaf.ask("GET", self.keys[2]), self.keys[2].encode())

    def test_a_server_that_forbids_the_stamp_says_so_and_is_served_without(self):
        users = ["default on >pw ~key:* ~load:* +@all -@admin -@dangerous"]
        redis = RedisServer(self, users=users)
        url = f"redis://:pw@{redis.address}"
        with self.serve(shard=url) as sheaf:
            reply = sheaf.ask("GET", "key:1")
            self.assertIsInstance(reply, Failure)
            self.assertIn(redis.address, reply)
        with self.serve(shard=url, stamp="no") as sheaf:
            self.assertEqual(sheaf.ask("SET", "key:1", "1"), "OK")


if __name__ == "__main__":
    main()
