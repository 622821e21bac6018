#!/usr/bin/python3
# not under tsan: one session's own affairs
"""SCAN, KEYS, DBSIZE, RANDOMKEY, FLUSHALL over all shards, and the stamp that nobody sees."""
import collections

from lib import *


def walk(session, *options):
    """A whole SCAN: its elements, and the cursors it went by."""
    cursor, keys, cursors = b"0", [], []
    while True:
        cursor, more = session.ask("SCAN", cursor, *options)
        keys += more
        if cursor == b"0":
            return keys, cursors
        cursors.append(cursor)


class Walking(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(5)]
        cls.sheaf = Sheaf(cls, pool(cls.redis))
        cls.plain = RedisServer(cls)

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.session.ask("FLUSHALL")

    def fill(self, count=3000, prefix="k"):
        keys = [f"{prefix}:{n}".encode() for n in range(count)]
        self.assertEqual(self.session.ask("MSET", *(w for k in keys for w in (k, "v"))), "OK")
        return keys

    def test_it_finds_every_key_once(self):
        keys = self.fill()
        found, _ = walk(self.session)
        self.assertEqual(sorted(found), sorted(keys))

    def test_an_empty_pool_has_nothing(self):
        self.assertEqual(walk(self.session)[0], [])

    def test_one_shard_with_keys_and_empty_ones_around_it(self):
        for shard, keys in enumerate(keys_on_shards(5, each=3, prefix="lone")):
            with self.subTest(shard=shard):
                self.session.ask("FLUSHALL")
                self.session.ask("MSET", *(w for k in keys for w in (k, "v")))
                self.assertEqual(sorted(walk(self.session)[0]), sorted(k.encode() for k in keys))

    def test_what_was_there_all_the_time_is_found_while_others_come_and_go(self):
        keys = self.fill()
        cursor, found, number = b"0", collections.Counter(), 0
        with self.sheaf.connect() as other:
            while True:
                cursor, more = self.session.ask("SCAN", cursor, "COUNT", "50")
                found.update(more)
                other.ask("MSET", *(w for n in range(200) for w in (f"new:{number}:{n}", "v")))
                other.ask("DEL", *(f"new:{number - 2}:{n}" for n in range(200)))
                number += 1
                if cursor == b"0":
                    break
        self.assertEqual([k for k in keys if k not in found], [])
        self.assertEqual({k for k in found if not k.startswith((b"k:", b"new:"))}, set())

    def test_count_match_and_type(self):
        keys = self.fill(2000)
        for n in range(100):
            self.session.ask("SADD", f"set:{n}", "x")
        self.assertEqual(sorted(walk(self.session, "MATCH", "k:1?")[0]), sorted(f"k:1{n}".encode() for n in range(10)))
        self.assertEqual(len(walk(self.session, "TYPE", "set")[0]), 100)
        self.assertEqual(len(walk(self.session, "TYPE", "string", "MATCH", "k:*", "COUNT", "700")[0]), 2000)
        self.assertEqual(walk(self.session, "MATCH", "nothing:*")[0], [])
        few, many = walk(self.session, "COUNT", "1000"), walk(self.session, "COUNT", "10")
        self.assertLess(len(few[1]), len(many[1]))
        self.assertEqual(sorted(few[0]), sorted(many[0]))
        self.assertEqual(len(few[0]), len(keys) + 100)

    def test_each_database_has_its_own_keys(self):
        self.fill(100, "zero")
        self.session.ask("SELECT", "5")
        self.fill(200, "five")
        self.assertEqual(len(walk(self.session)[0]), 200)
        self.assertEqual(self.session.ask("DBSIZE"), 200)
        self.session.ask("FLUSHDB")
        self.assertEqual((walk(self.session)[0], self.session.ask("DBSIZE")), ([], 0))
        self.session.ask("SELECT", "0")
        self.assertEqual(self.session.ask("DBSIZE"), 100)

    def test_cursors_are_plain_numbers_that_every_library_can_hold(self):
        self.fill()
        _, cursors = walk(self.session, "COUNT", "20")
        self.assertGreater(len(cursors), 20)
        self.assertEqual(len(set(cursors)), len(cursors))
        for cursor in cursors:
            self.assertRegex(cursor, rb"^[1-9][0-9]*$")
            self.assertLess(int(cursor), 1 << 63)

    def test_a_cursor_may_be_used_by_another_session_and_version(self):
        keys = self.fill()
        cursor, found, number = b"0", set(), 0
        while cursor != b"0" or number == 0:
            with self.sheaf.connect() as session:
                session.ask("HELLO", 2 + number % 2)
                cursor, more = session.ask("SCAN", cursor, "COUNT", "100")
                found.update(more)
                number += 1
        self.assertEqual(found, set(keys))

    def test_cursors_that_no_scan_gave_are_errors_or_answered_and_never_more(self):
        self.fill(50)
        numbers = [*(1 << n for n in range(64)), *((1 << n) - 1 for n in range(1, 65)), *range(1, 40), 1 << 63,
                   (1 << 63) + 1, (1 << 64) - 2]
        replies = self.session.ask_all(*(("SCAN", n) for n in numbers))
        for number, reply in zip(numbers, replies):
            if isinstance(reply, Failure):
                self.assertEqual(reply, "ERR invalid cursor", number)
            else:
                self.assertRegex(reply[0], rb"^(0|[1-9][0-9]*)$")
                self.assertIsInstance(reply[1], list)
        with self.plain.connect() as plain:
            for word in ("x", " 0", "0x10", "18446744073709551616", "99999999999999999999999", "1e3", b"\r\n"):
                self.assertEqual(self.session.ask("SCAN", word), plain.ask("SCAN", word), word)
        self.assertEqual(self.session.ask("SCAN", "-1"), "ERR invalid cursor")
        self.assertEqual(len(walk(self.session)[0]), 50)

    def test_wrong_words_have_the_errors_of_redis(self):
        for proto in (2, 3):
            twin = Twin(self, self.sheaf, self.plain, proto)
            for words in (("SCAN",), ("SCAN", "0", "COUNT"), ("SCAN", "0", "COUNT", "0"), ("SCAN", "0", "COUNT", "x"),
                          ("SCAN", "0", "NOSUCH", "x"), ("SCAN", "0", "MATCH"), ("KEYS",), ("KEYS", "a", "b"),
                          ("DBSIZE", "x"), ("RANDOMKEY", "x"), ("FLUSHALL", "x"), ("FLUSHDB", "x", "y"),
                          ("KEYS", "nothing:*")):
                twin.ask(*words)

    def test_scanning_a_shard_that_is_dead_is_an_error_and_not_an_end(self):
        redis = [RedisServer(self) for _ in range(2)]
        sheaf = Sheaf(self, pool(redis))
        with sheaf.connect() as session:
            session.ask("MSET", *(w for n in range(500) for w in (n, "v")))
            redis[1].kill9()
            cursor, reply = b"0", None
            while not isinstance(reply, Failure):
                reply = session.ask("SCAN", cursor)
                if not isinstance(reply, Failure):
                    cursor = reply[0]
                    self.assertNotEqual(cursor, b"0", "the dead shard was passed over")
            self.assertIn(redis[1].address, reply)
            for words in (("KEYS", "*"), ("DBSIZE",), ("FLUSHALL",)):
                self.assertIn(redis[1].address, session.ask(*words))

    # --- over all shards

    def test_keys_and_dbsize_are_those_of_all_shards(self):
        keys = self.fill(500)
        self.assertEqual(self.session.ask("DBSIZE"), 500)
        self.assertEqual(sorted(self.session.ask("KEYS", "*")), sorted(keys))
        self.assertEqual(sorted(self.session.ask("KEYS", "k:?")), sorted(keys[:10]))

    def test_randomkey_draws_from_all_shards_and_never_something_else(self):
        self.assertIsNone(self.session.ask("RANDOMKEY"))
        self.session.ask("SET", "only", "1")
        self.assertEqual(self.session.ask_all(*[("RANDOMKEY",)] * 100), [b"only"] * 100)
        keys = self.fill(10)
        drawn = set(self.session.ask_all(*[("RANDOMKEY",)] * 1000))
        self.assertEqual(drawn, {*keys, b"only"})


class Stamp(Case):
    """The mark on each shard: kept, and kept out of sight."""

    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.session.ask("FLUSHALL")
        self.stamps = self.read()

    def read(self):
        """From the servers themselves: of each its only key and what it says."""
        keys = {key for r in self.redis for key in r.ask("KEYS", "*sheaf*")}
        self.assertEqual(len(keys), 1)
        self.key = keys.pop()
        stamps = [r.ask("GET", self.key) for r in self.redis]
        self.assertEqual(len(set(stamps)), 3)
        self.assertNotIn(None, stamps)
        return stamps

    def test_it_is_not_listed_counted_or_drawn(self):
        for proto in (2, 3):
            self.session.ask("HELLO", proto)
            self.assertEqual(walk(self.session, "COUNT", "1000")[0], [])
            self.assertEqual(walk(self.session, "MATCH", "*sheaf*")[0], [])
            self.assertEqual(walk(self.session, "TYPE", "string")[0], [])
            self.assertEqual(self.session.ask("KEYS", "*"), [])
            self.assertEqual(self.session.ask("KEYS", self.key), [])
            self.assertEqual(self.session.ask("DBSIZE"), 0)
            self.assertEqual(self.session.ask_all(*[("RANDOMKEY",)] * 50), [None] * 50)
            self.session.ask("SET", "", "the empty key")
            self.assertEqual(self.session.ask_all(*[("RANDOMKEY",)] * 50), [b""] * 50)
            self.session.ask("DEL", "")
            keyspace = self.session.ask("INFO", "keyspace")
            self.assertNotIn(b"db0" if isinstance(keyspace, bytes) else "db0", keyspace)

    def test_it_is_there_again_after_every_flush_from_every_database(self):
        for proto in (2, 3):
            for database in (0, 3, 15):
                for words in (("FLUSHALL",), ("FLUSHALL", "ASYNC"), ("FLUSHALL", "SYNC"), ("FLUSHDB",), ("FLUSHDB", "SYNC")):
                    with self.subTest(words, proto=proto, database=database):
                        self.session.ask("HELLO", proto)
                        self.session.ask("SELECT", database)
                        self.session.ask("SET", "k", "1")
                        self.assertEqual(self.session.ask(*words), "OK")
                        self.assertIsNone(self.session.ask("GET", "k"))
                        self.assertEqual(self.read(), self.stamps)
                        self.session.ask("SET", "k", "here")
                        self.session.ask("SELECT", "0")
                        self.assertEqual(self.session.ask("GET", "k"), b"here" if database == 0 else None)
                        for redis in self.redis:
                            with redis.connect() as direct:
                                direct.ask("SELECT", "3")
                                self.assertEqual(direct.ask("EXISTS", self.key), 0)

    def test_pipelined_flushes_among_writes_keep_their_order(self):
        commands = [("SELECT", "3")] + [c for n in range(50) for c in (
            ("SET", f"f{n}", "x"), ("FLUSHALL",), ("GET", f"f{n}"), ("SET", f"f{n}", "y"), ("GET", f"f{n}"))]
        replies = self.session.ask_all(*commands)
        self.assertEqual(replies, ["OK"] + ["OK", "OK", None, "OK", b"y"] * 50)
        self.assertEqual(self.read(), self.stamps)

    def test_clients_can_neither_read_nor_change_it(self):
        key, victim = self.key, "v"
        commands = [
            ("GET", key), ("SET", key, "x"), ("DEL", key), ("UNLINK", victim, key), ("MGET", victim, key),
            ("MSET", victim, "1", key, "x"), ("EXISTS", key), ("TYPE", key), ("EXPIRE", key, "1"), ("PERSIST", key),
            ("RENAME", key, key), ("COPY", key, key), ("APPEND", key, "x"), ("DUMP", key), ("OBJECT", "ENCODING", key),
            ("MEMORY", "USAGE", key), ("STRLEN", key), ("GETDEL", key), ("SORT", key), ("TOUCH", key), ("GETEX", key),
            ("EVAL", "return redis.call('get',KEYS[1])", "1", key), ("WATCH", key), ("BLPOP", key, "0"),
            ("PFCOUNT", key), ("BITCOUNT", key), ("SETRANGE", key, "0", "x"), ("RESTORE", key, "0", "x")]
        for words in commands:
            reply = self.session.ask(*words)
            self.assertIsInstance(reply, Failure, words)
            self.assertIn(key.decode(), reply, words)
        self.session.ask("MULTI")
        self.assertIsInstance(self.session.ask("GET", key), Failure)
        self.assertEqual(self.session.ask("EXEC").code, "EXECABORT")
        self.assertEqual(self.read(), self.stamps)
        self.assertEqual(self.session.ask("EXISTS", victim), 0)

    def test_it_can_not_be_overwritten_from_another_database(self):
        key = self.key.decode()
        tag = next(k for k in (f"k{n}" for n in range(100)) if shard_of(k, 3) == shard_of(key, 3))
        self.session.ask("SELECT", "1")
        for words in (("COPY", tag, key, "DB", "0", "REPLACE"), ("COPY", tag, key, "REPLACE", "db", "0"), ("MOVE", key, "0")):
            self.session.ask("MSET", tag, "mine", key, "mine")
            for reply in (self.session.ask(*words), self.session.ask_all(("MULTI",), words, ("DISCARD",))[1]):
                self.assertIsInstance(reply, Failure, words)
                self.assertIn(key, reply, words)
            self.assertEqual(self.session.ask("COPY", tag, key, "DB", "2", "REPLACE"), 1)
            self.assertEqual(self.read(), self.stamps)
        for database in (1, 2):
            self.session.ask_all(("SELECT", database), ("DEL", tag, key))

    def test_in_other_databases_that_key_is_like_any_other(self):
        self.session.ask("SELECT", "1")
        self.assertEqual(self.session.ask("SET", self.key, "mine"), "OK")
        self.assertEqual(self.session.ask("GET", self.key), b"mine")
        self.assertEqual(self.session.ask("KEYS", "*"), [self.key])
        self.assertEqual(walk(self.session)[0], [self.key])
        self.assertEqual(self.session.ask("DBSIZE"), 1)
        self.assertEqual(self.session.ask("RANDOMKEY"), self.key)
        self.session.ask("DEL", self.key)

    def test_with_stamp_off_it_is_not_written(self):
        redis = [RedisServer(self) for _ in range(2)]
        sheaf = Sheaf(self, pool(redis, stamp="no"))
        with sheaf.connect() as session:
            session.ask("MSET", *(w for n in range(20) for w in (n, "v")))
            self.assertEqual(session.ask("DBSIZE"), 20)
            self.assertEqual(sum(r.ask("DBSIZE") for r in redis), 20)
            self.assertEqual(session.ask("FLUSHALL"), "OK")
            self.assertEqual([r.ask("DBSIZE") for r in redis], [0, 0])
            self.assertEqual(session.ask("SET", self.key, "1"), "OK")
            self.assertEqual(session.ask("KEYS", "*"), [self.key])

    def test_swapped_shards_are_found_out_even_after_a_flush(self):
        redis = [RedisServer(self) for _ in range(2)]
        sheaf = Sheaf(self, pool(redis))
        self.assertEqual(sheaf.ask("FLUSHALL"), "OK")
        other = Sheaf(self, pool(redis[::-1]))
        with other.connect() as session:
            for key in (k[0] for k in keys_on_shards(2)):
                reply = session.ask("SET", key, "1")
                self.assertIsInstance(reply, Failure)
                self.assertRegex(reply, "stamp|shard 0|shard 1")
        self.assertEqual(sum(r.ask("DBSIZE") for r in redis), 2)


if __name__ == "__main__":
    main()
