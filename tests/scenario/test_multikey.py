#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Commands with several keys: split and merged over the shards, or refused as a whole."""
from lib import *


class SplitAndMerged(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis))
        cls.keys = [k for keys in zip(*keys_on_shards(3, each=20)) for k in keys]  # 60, shards in turn

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.ask("DEL", *self.keys)

    def ask(self, *words):
        return self.session.ask(*words)

    def fill(self):
        pairs = [word for key in self.keys for word in (key, f"value of {key}")]
        self.assertEqual(self.ask("MSET", *pairs), "OK")

    def test_mset_puts_every_key_on_its_shard(self):
        self.fill()
        for number, key in enumerate(self.keys):
            self.assertEqual(self.redis[number % 3].ask("GET", key), f"value of {key}".encode())

    def test_mget_answers_in_the_order_asked_with_nulls_for_what_is_missing(self):
        self.fill()
        asked = [self.keys[7], "no:such:1", self.keys[0], self.keys[59], "no:such:2", self.keys[1]]
        expected = [f"value of {k}".encode() if k in self.keys else None for k in asked]
        self.assertEqual(self.ask("MGET", *asked), expected)

    def test_keys_named_twice_are_answered_twice(self):
        a, b = self.keys[:2]
        self.ask("MSET", a, "1", b, "2", a, "3")
        self.assertEqual(self.ask("MGET", a, b, a, a), [b"3", b"2", b"3", b"3"])
        self.assertEqual(self.ask("EXISTS", a, a, b, "no:such"), 3)
        self.assertEqual(self.ask("TOUCH", a, a, b, "no:such"), 3)
        self.assertEqual(self.ask("DEL", a, a, b, "no:such"), 2)
        self.assertEqual(self.ask("UNLINK", a, b), 0)

    def test_counts_are_added_up(self):
        self.fill()
        self.assertEqual(self.ask("EXISTS", *self.keys, "no:such"), 60)
        self.assertEqual(self.ask("UNLINK", *self.keys[:30]), 30)
        self.assertEqual(self.ask("DEL", *self.keys), 30)

    def test_merged_replies_are_no_longer_counted_once_they_are_sent(self):
        value = b"x" * 20_000
        self.ask("MSET", *[word for key in self.keys for word in (key, value)])
        for _ in range(100):                        # 120 MB in all, twice what a session may hold
            self.assertEqual(self.ask("MGET", *self.keys), [value] * 60)

    def test_a_key_of_another_type_is_a_null_as_in_redis(self):
        a, b, c = self.keys[:3]
        self.ask("MSET", a, "1", c, "3")
        self.ask("LPUSH", b, "x")
        self.assertEqual(self.ask("MGET", a, b, c), [b"1", None, b"3"])

    def test_resp3_nulls_stand_in_merged_replies(self):
        self.ask("HELLO", "3")
        self.ask("SET", self.keys[1], "x")
        self.session.send(encode("MGET", *self.keys[:3]))
        self.assertEqual(self.session.reply_bytes(), b"*3\r\n_\r\n$1\r\nx\r\n_\r\n")

    def test_thousands_of_keys_in_one_request(self):
        keys = [f"many:{n}" for n in range(20_000)]
        self.assertEqual(self.ask("MSET", *(w for k in keys for w in (k, k))), "OK")
        self.assertEqual(self.ask("MGET", *keys), [k.encode() for k in keys])
        self.assertEqual(self.ask("DEL", *keys), len(keys))

    def test_one_shard_is_asked_once(self):
        before = [self.commands(r, "mget") for r in self.redis]
        self.ask("MGET", *self.keys)
        after = [self.commands(r, "mget") for r in self.redis]
        self.assertEqual([b - a for a, b in zip(before, after)], [1, 1, 1])

    @staticmethod
    def commands(redis, name):
        text = redis.ask("INFO", "commandstats").decode()
        line = next((x for x in text.splitlines() if x.startswith(f"cmdstat_{name}:")), "calls=0,")
        return int(line.split("calls=")[1].split(",")[0])

    def test_the_wrong_number_of_arguments_is_told_and_nothing_is_done(self):
        for words in (("MSET",), ("MSET", "a"), ("MSET", *self.keys[:3]), ("MGET",), ("EXISTS",),
                      ("MSETNX", "a"), ("DEL",), ("UNLINK",), ("TOUCH",)):
            with self.plain.connect() as there:
                self.assertEqual(self.ask(*words), there.ask(*words), words)
        self.assertEqual(self.ask("EXISTS", *self.keys), 0)

    def test_empty_and_binary_keys_take_part(self):
        odd = [b"", b"\r\n", bytes(range(256)), b"$1\r\n", b"{}"]
        self.ask("MSET", *(w for n, k in enumerate(odd) for w in (k, n)))
        self.assertEqual(self.ask("MGET", *odd), [b"%d" % n for n in range(5)])
        self.assertEqual(self.ask("DEL", *odd), 5)

    def test_keys_of_a_hundred_kilobytes_take_part(self):
        keys = [b"%d" % n * 50_000 for n in range(10, 16)]
        self.assertEqual(len({shard_of(key, 3) for key in keys}), 3)
        self.assertEqual(self.ask("MSET", *(w for key in keys for w in (key, key[:2]))), "OK")
        self.assertEqual(self.ask("MGET", *keys, "none", keys[0]), [*(key[:2] for key in keys), None, b"10"])
        self.assertEqual(self.ask("UNLINK", *keys), 6)

    def test_split_requests_and_others_keep_their_order_in_a_pipeline(self):
        commands, expected = [], []
        for n in range(300):
            a, b, c = (self.keys[(n + i) % 60] for i in range(3))
            commands += [("MSET", a, f"a{n}", b, f"b{n}", c, f"c{n}"), ("PING",), ("MGET", c, a, b),
                         ("GET", b), ("EXISTS", a, b, c)]
            expected += ["OK", "PONG", [f"{x}{n}".encode() for x in "cab"], b"b%d" % n, 3]
        self.assertEqual(self.session.ask_all(*commands), expected)

    def test_values_of_a_megabyte_are_merged_whole(self):
        values = [bytes([65 + n]) * (1 << 20) for n in range(6)]
        self.ask("MSET", *(w for k, v in zip(self.keys, values) for w in (k, v)))
        self.assertTrue(self.ask("MGET", *self.keys[:6]) == values)


class OnOneShardOnly(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.sheaf = Sheaf(cls, pool(cls.redis))
        cls.here, cls.there = (keys[0] for keys in keys_on_shards(2))

    def commands(self, a, b):
        """Of every family one; `a` and `b` are two keys."""
        return (
            ("MSETNX", a, "1", b, "2"), ("RENAME", a, b), ("RENAMENX", a, b), ("COPY", a, b),
            ("SMOVE", a, b, "m"), ("SINTER", a, b), ("SUNION", a, b), ("SDIFF", a, b),
            ("SINTERSTORE", a, a, b), ("SUNIONSTORE", b, a, a), ("SDIFFSTORE", a, b),
            ("SINTERCARD", "2", a, b), ("ZUNIONSTORE", a, "1", b), ("ZINTERSTORE", a, "2", a, b),
            ("ZDIFFSTORE", a, "1", b), ("ZUNION", "2", a, b), ("ZINTER", "2", a, b),
            ("ZDIFF", "2", a, b, "WITHSCORES"), ("ZINTERCARD", "2", a, b),
            ("ZRANGESTORE", a, b, "0", "-1"), ("ZMPOP", "2", a, b, "MIN"), ("LMPOP", "2", a, b, "LEFT"),
            ("LMOVE", a, b, "LEFT", "LEFT"), ("RPOPLPUSH", a, b), ("BITOP", "AND", a, b),
            ("PFMERGE", a, b), ("PFCOUNT", a, b), ("LCS", a, b),
            ("GEOSEARCHSTORE", a, b, "FROMLONLAT", "0", "0", "BYRADIUS", "1", "m"),
            ("GEORADIUS", a, "0", "0", "1", "m", "STORE", b), ("SORT", a, "STORE", b),
            ("XREAD", "STREAMS", a, b, "0", "0"), ("BLPOP", a, b, "0.01"), ("BRPOP", a, b, "0.01"),
            ("BLMOVE", a, b, "LEFT", "LEFT", "0.01"), ("BZPOPMIN", a, b, "0.01"),
            ("BLMPOP", "0.01", "2", a, b, "LEFT"), ("EVAL", "return 1", "2", a, b),
            ("EVAL_RO", "return 1", "2", a, b), ("EVALSHA", "0" * 40, "2", a, b), ("FCALL", "f", "2", a, b),
            ("XREADGROUP", "GROUP", "g", "c", "STREAMS", a, b, ">", ">"),
            ("GEORADIUSBYMEMBER", a, "m", "1", "m", "STOREDIST", b), ("BRPOPLPUSH", a, b, "0.01"),
            ("BZMPOP", "0.01", "2", a, b, "MIN"))

    def test_keys_on_two_shards_are_refused_and_nothing_is_done(self):
        with self.sheaf.connect() as session:
            for words in self.commands(self.here, self.there):
                self.assertEqual(session.ask(*words),
                                 "CROSSSLOT Keys in request don't hash to the same slot", words)
            self.assertEqual(session.ask("EXISTS", self.here, self.there), 0)

    def test_a_tag_puts_keys_together_and_all_of_them_work(self):
        plain = RedisServer(self)
        with self.sheaf.connect() as session, plain.connect() as alone:
            for words in self.commands("{tag}a", "{tag}b"):
                session.send(encode(*words))
                alone.send(encode(*words))
                self.assertEqual(session.reply_bytes(), alone.reply_bytes(), words)

    def test_patterns_of_sort_are_refused_for_what_they_read_may_be_elsewhere(self):
        with self.sheaf.connect() as session:
            session.ask("RPUSH", self.here, "2", "1")
            for words in (("BY", "w_*"), ("GET", "o_*"), ("BY", "w_*->f", "STORE", self.here), ("GET", "#", "GET", "*")):
                for said in ((("SORT", self.here, *words),), (("MULTI",), ("SORT", self.here, *words), ("EXEC",))):
                    replies = session.ask_all(*said)
                    self.assertIn("can't have them in this pool", replies[len(said) // 2], words)
            self.assertEqual(session.ask("SORT", self.here, "BY", "nosort", "GET", "#"), [b"2", b"1"])
            session.ask("DEL", self.here)

    def test_patterns_of_sort_with_a_tag_before_their_star_read_beside_the_key(self):
        with self.sheaf.connect() as session:
            session.ask("MSET", "{p}w1", "9", "{p}w2", "8", "{p}o1", "one")
            session.ask("RPUSH", "{p}list", "1", "2", "3")
            session.ask("HSET", "{p}h2", "f", "two")
            for words, expected in (
                    (("BY", "{p}w*", "GET", "{p}o*", "GET", "#"), [None, b"3", None, b"2", b"one", b"1"]),
                    (("BY", "nosort", "GET", "{p}h*->f"), [None, b"two", None]),
                    (("BY", "x{p}*", "STORE", "{p}to"), 3)):
                self.assertEqual(session.ask("SORT", "{p}list", *words), expected, words)
            self.assertEqual(session.ask_all(("MULTI",), ("SORT", "{p}list", "BY", "{p}w*"), ("EXEC",))[2],
                             [[b"3", b"2", b"1"]])
            elsewhere = next(tag for tag in map("{%d}".__mod__, range(99)) if shard_of(tag, 2) != shard_of("{p}", 2))
            for pattern in (elsewhere + "w*", "*{p}w", "{p*}w", "{}{p}w*", "{p", "p}*"):
                reply = session.ask("SORT", "{p}list", "BY", pattern if "*" in pattern else pattern + "*")
                self.assertIn("can't have them in this pool", reply, pattern)

    def test_msetnx_on_one_shard_sets_all_or_nothing(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("MSETNX", "{n}1", "a", "{n}2", "b"), 1)
            self.assertEqual(session.ask("MSETNX", "{n}2", "c", "{n}3", "d"), 0)
            self.assertEqual(session.ask("MGET", "{n}1", "{n}2", "{n}3"), [b"a", b"b", None])


class PartlyDown(Case):
    def setUp(self):
        self.redis = [RedisServer(self), RedisServer(self)]
        self.sheaf = Sheaf(self, pool(self.redis))
        self.lives, self.dead = (keys[0] for keys in keys_on_shards(2))
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.session.ask("MSET", self.lives, "1", self.dead, "2")
        self.redis[1].kill9()

    def names_the_shard(self, reply):
        self.assertIsInstance(reply, Failure)
        self.assertIn(self.redis[1].address, reply)
        self.assertIn("shard 1 (", reply)

    def test_a_part_that_fails_fails_the_request_and_is_named(self):
        for words in (("MGET", self.lives, self.dead), ("DEL", self.dead, "no:such"),
                      ("EXISTS", self.lives, self.dead), ("TOUCH", self.dead, self.lives),
                      ("UNLINK", self.dead), ("MSET", self.dead, "x")):
            with self.subTest(words[0]):
                self.names_the_shard(self.session.ask(*words))
        self.assertEqual(self.session.ask("GET", self.lives), b"1")

    def test_what_was_written_in_part_is_not_called_ok(self):
        self.names_the_shard(self.session.ask("MSET", self.lives, "new", self.dead, "new"))
        self.assertIn(self.redis[0].ask("GET", self.lives), (b"1", b"new"))

    def test_requests_for_the_shard_that_lives_are_answered_between(self):
        replies = self.session.ask_all(*(("GET", self.lives), ("MGET", self.dead, self.lives)) * 50)
        self.assertEqual(replies[::2], [b"1"] * 50)
        for reply in replies[1::2]:
            self.names_the_shard(reply)


if __name__ == "__main__":
    main()
