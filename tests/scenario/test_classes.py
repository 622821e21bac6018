#!/usr/bin/python3
# not under tsan: what workers share here is atomic counters, and a lock around each list of hot keys
"""Classes of keys: what they allow, where their keys go, and what is told of them."""
import json
import re
import struct
import subprocess
import threading
import time

from lib import *
from lib.case import REPOSITORY
from lib.growth import appends_up_to
from lib.memcached import MemcachedServer, MemcachedSession, binary
from lib.resp import RespSession
from lib.sheaf import BINARY

CLASSES = (
    ("class locks", {"in": "main", "prefix": "lock:", "pool": "back"}),
    ("class inside", {"in": "main", "prefix_hex": "0b 73 6d 61 6c 6c 3a", "max_value": "4b", "pool": "fast"}),
    ("class rates", {"in": "main", "first_byte": "02-0b", "pool": "fast"}),
    ("class fixed", {"in": ("main", "cache"), "pattern": "fixed:*", "access": "read-only"}),
    ("class secret", {"in": ("main", "cache"), "prefix": "no:", "access": "forbidden"}),
    ("class small", {"in": ("main", "cache"), "prefix": "small:", "max_value": "4b"}),
    ("class tagged", {"in": "main", "prefix": "{t}small:", "max_value": "4b"}),
    ("class far", {"in": "cache", "prefix_hex": "66 61 72 3a", "pool": "caches"}),
)


def target_of(sheaf, name):
    host, port = sheaf.listeners[name][0].split("//")[1].rsplit(":", 1)
    return host, int(port)


class Classes(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.caches = [MemcachedServer(cls) for _ in range(2)]
        back, fast = pool(cls.redis[2:], "back"), pool(["ram://16mb"], "fast")
        far = cache_pool(cls.caches[1:], "caches")
        for name, options in (back, fast, far):
            del options["listen"]                                # only classes use them
        cls.sheaf = Sheaf(cls, pool(cls.redis[:2]), back, fast, cache_pool(cls.caches[:1], "cache"), far, *CLASSES)
        cls.keys = [key for keys in keys_on_shards(2, each=1) for key in keys]

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.ask("FLUSHALL")

    def ask(self, *words):
        return self.session.ask(*words)

    def cached(self):
        session = MemcachedSession(target_of(self.sheaf, "cache"))
        self.addCleanup(session.end)
        return session

    def refused(self, start, *words):
        reply = self.ask(*words)
        self.assertIsInstance(reply, Failure, words)
        self.assertTrue(reply.startswith(start), reply)

    def pool_told(self, name="main"):
        status = json.loads(self.sheaf.http("/api/v1/status")[1])
        return next(each for each in status["pools"] if each["name"] == name)

    def class_told(self, name, of="main"):
        return next(each for each in self.pool_told(of)["classes"] if each["name"] == name)


class Places(Classes):
    def test_a_classs_keys_are_on_its_pools_shards(self):
        self.assertEqual(self.ask("SET", "lock:1", "x"), "OK")
        self.assertEqual(self.redis[2].ask("GET", "lock:1"), b"x")
        self.assertEqual([server.ask("EXISTS", "lock:1") for server in self.redis[:2]], [0, 0])
        self.assertEqual(self.ask("INCRBY", b"\x05counter", "7"), 7)
        self.assertEqual([server.ask("EXISTS", b"\x05counter") for server in self.redis], [0, 0, 0])
        self.assertEqual(self.ask("GET", b"\x05counter"), b"7")

    def test_commands_of_many_keys_are_split_over_the_pools(self):
        keys = [*self.keys, "lock:1", b"\x02a", "lock:2"]
        self.assertEqual(self.ask("MSET", *[word for key in keys for word in (key, key)]), "OK")
        self.assertEqual(self.ask("MGET", *reversed(keys), "lock:3"),
                         [key if isinstance(key, bytes) else key.encode() for key in reversed(keys)] + [None])
        self.assertEqual(self.redis[2].ask("GET", "lock:2"), b"lock:2")
        self.assertEqual(self.ask("EXISTS", *keys, "lock:3"), 5)
        self.assertEqual(self.ask("DEL", *keys), 5)

    def test_other_commands_over_two_pools_are_refused(self):
        for words in (("RENAME", "lock:{a}", "{a}b"), ("SINTERSTORE", "{a}x", "lock:{a}", "{a}y"),
                      ("EVAL", "return 1", "2", "lock:{a}", "{a}b"), ("MSETNX", "lock:{a}", "1", "{a}", "2")):
            self.refused("CROSSSLOT", *words)
        self.assertEqual(self.ask("RENAME", "lock:a", "lock:b"), Failure("ERR no such key"))

    def test_transactions_and_scripts_go_where_their_keys_are(self):
        self.assertEqual(self.session.ask_all(("MULTI",), ("INCR", "lock:n"), ("EXPIRE", "lock:n", "100"), ("EXEC",)),
                         ["OK", "QUEUED", "QUEUED", [1, 1]])
        self.assertEqual(self.redis[2].ask("GET", "lock:n"), b"1")
        self.assertEqual(self.ask("EVAL", "return redis.call('INCR', KEYS[1])", "1", "lock:n"), 2)
        self.ask("WATCH", "lock:n")
        self.redis[2].ask("SET", "lock:n", "9")
        self.ask("MULTI")
        self.ask("GET", "lock:n")
        self.assertIsNone(self.ask("EXEC"))
        self.ask("MULTI")
        self.assertEqual(self.ask("GET", "lock:n"), "QUEUED")
        self.refused("CROSSSLOT", "GET", self.keys[0])
        self.refused("EXECABORT", "EXEC")

    def test_what_is_asked_of_all_shards_is_asked_of_the_classes_pools_too(self):
        names = [*self.keys, "lock:1", "lock:2", "\x03x"]
        for name in names:
            self.ask("SET", name, "1")
        self.assertEqual(self.ask("DBSIZE"), len(names))
        found, cursor = [], b"0"
        while True:
            cursor, some = self.ask("SCAN", cursor)
            found += some
            if cursor == b"0":
                break
        self.assertEqual(sorted(found), sorted(name.encode() for name in names))
        self.assertEqual(sorted(self.ask("KEYS", "lock:*")), [b"lock:1", b"lock:2"])
        self.assertEqual(self.ask("FLUSHALL"), "OK")
        self.assertEqual(self.ask("DBSIZE"), 0)
        self.assertEqual(self.redis[2].ask("EXISTS", "sheaf:stamp"), 1)
        self.assertIn("pool=back", self.redis[2].ask("GET", "sheaf:stamp").decode().replace('"', "").replace(":", "=").replace(" ", ""))

    def test_databases_are_those_of_the_session(self):
        self.ask("SELECT", "3")
        self.ask("SET", "lock:1", "three")
        self.ask("SELECT", "0")
        self.assertIsNone(self.ask("GET", "lock:1"))
        self.ask("SELECT", "3")
        self.assertEqual(self.ask("GET", "lock:1"), b"three")
        self.ask("FLUSHALL")

    def test_route_tells_the_classs_shard(self):
        out = subprocess.run([BINARY, "route", self.sheaf.file, "main", "lock:1", self.keys[1]], capture_output=True, text=True, check=True)
        lines = [line.split("\t") for line in out.stdout.splitlines()]
        self.assertEqual(lines[0][3:], ["0", self.redis[2].address, "class locks, pool back"])
        self.assertEqual(lines[1][3:], ["1", self.redis[1].address])

    def test_a_dead_shard_of_a_classs_pool_is_told_as_that_pools(self):
        self.addCleanup(wait_until, self.is_back)                       # for the tests behind it
        self.redis[2].kill9()
        self.addCleanup(self.redis[2].restart)
        wait_until(lambda: isinstance(self.ask("GET", "lock:1"), Failure))
        self.assertIn("shard 0", self.ask("GET", "lock:1"))
        self.assertIn("of pool back", self.ask("GET", "lock:1"))
        for key in self.keys:
            self.assertIsNone(self.ask("GET", key))


    def is_back(self):
        """For all workers, each of which tries again at its own time."""
        for _ in range(24):
            with self.sheaf.connect() as session:
                if session.ask("EXISTS", "lock:1") not in (0, 1):
                    return False
        return True


class Rights(Classes):
    def test_forbidden_keys_are_neither_read_nor_written(self):
        for words in (("GET", "no:1"), ("SET", "no:1", "x"), ("MGET", "a", "no:1"), ("DEL", "a", "no:1"), ("EXISTS", "no:1"),
                      ("EVAL_RO", "return 1", "1", "no:1"), ("WATCH", "no:1"), ("BLPOP", "no:1", "0")):
            self.refused("NOPERM keys of class secret are forbidden", *words)
        self.ask("MULTI")
        self.refused("NOPERM", "GET", "no:1")
        self.refused("EXECABORT", "EXEC")
        self.refused("", "SORT", "a", "BY", "no:*")

    def test_read_only_keys_are_read(self):
        for server in self.redis[:2]:
            server.ask("SET", "fixed:a", "1")
        for words, reply in ((("GET", "fixed:a"), b"1"), (("EXISTS", "fixed:a"), 1), (("TTL", "fixed:a"), -1),
                             (("EVAL_RO", "return redis.call('GET', KEYS[1])", "1", "fixed:a"), b"1")):
            self.assertEqual(self.ask(*words), reply)
        for words in (("SET", "fixed:a", "2"), ("DEL", "fixed:a"), ("EXPIRE", "fixed:a", "1"), ("GETEX", "fixed:a", "EX", "1"),
                      ("INCR", "fixed:a"), ("EVAL", "return 1", "1", "fixed:a"), ("MSET", "a", "1", "fixed:a", "2")):
            self.refused("NOPERM keys of class fixed are read-only", *words)

    def test_large_values_are_refused(self):
        self.assertEqual(self.ask("SET", "small:a", "1234", "KEEPTTL"), "OK")
        self.assertEqual(self.ask("SETEX", "small:a", "100000", "1234"), "OK")
        self.assertEqual(self.ask("EXPIRE", "small:a", "1000000"), 1)
        for words in (("SET", "small:a", "12345"), ("SETEX", "small:a", "100", "12345"), ("APPEND", "small:a", "12345"),
                      ("SETRANGE", "small:a", "3", "12"), ("SETBIT", "small:a", "40", "1"), ("MSET", "big", "12345", "small:a", "12345"),
                      ("LPUSH", "small:b", "1", "12345"), ("HSET", "small:c", "field", "12345")):
            self.refused("ERR a value of", *words)
        self.assertEqual(self.ask("MSET", "big", "12345", "small:a", "123"), "OK")
        self.assertEqual(self.ask("GET", "small:a"), b"123")
        self.assertEqual(self.ask("SETBIT", "small:a", "31", "1"), 0)

    def grows(self, place, refused):
        """What makes a value longer than its words tell, to the last byte and past it; `place` is a key's beginning."""
        key, other = f"{place}small:a", f"{place}big:a"
        for before, words, reply in (("12", ("APPEND", key, "34"), 4), ("1", ("SETRANGE", key, "3", "x"), 4), ("998", ("INCR", key), 999),
                                     ("999", ("INCRBY", key, "9000"), 9999), ("1", ("INCRBYFLOAT", key, "0.25"), b"1.25"), ("-98", ("DECR", key), -99)):
            self.assertEqual(self.ask("SET", key, before, "EX", "1000"), "OK")
            self.assertEqual(self.ask(*words), reply, words)
            self.assertTrue(990 < self.ask("TTL", key) <= 1000)
        for before, words in (("123", ("APPEND", key, "45")), ("1234", ("APPEND", key, "5")), ("9999", ("INCR", key)), ("-999", ("DECRBY", key, "1")),
                              ("1", ("INCRBYFLOAT", key, "0.125"))):
            self.assertEqual(self.ask("SET", key, before, "EX", "1000"), "OK")
            refused(*words)
            self.assertEqual(self.ask("GET", key), before.encode(), words)
            self.assertTrue(990 < self.ask("TTL", key) <= 1000)
        self.ask("DEL", key)
        refused("APPEND", key, "12345")
        refused("INCRBY", key, "10000")
        self.assertEqual(self.ask("EXISTS", key), 0)
        for length in (4, 5):
            for words in (("COPY", other, key, "REPLACE"), ("RENAMENX", other, key), ("RENAME", other, key)):
                self.ask("DEL", key)
                self.ask("SET", other, "x" * length)
                if length == 4:
                    self.assertIn(self.ask(*words), (1, "OK"), words)
                else:
                    refused(*words)
                    self.assertEqual([self.ask("GET", other), self.ask("EXISTS", key)], [b"xxxxx", 0], words)
        self.ask("SET", key, "123")
        self.ask("MULTI")
        for words in (("APPEND", key, "4"), ("APPEND", key, "5"), ("GET", key)):
            self.assertEqual(self.ask(*words), "QUEUED")
        replies = self.ask("EXEC")
        self.assertEqual([replies[0], replies[2]], [4, b"1234"])
        self.assertIn("ERR a value of 5 bytes is larger than max_value of class", replies[1])

    def test_no_value_grows_past_its_limit(self):
        self.grows("{t}", lambda *words: self.refused("ERR a value of 5 bytes is larger than max_value of class tagged, 4", *words))
        for words in (("BITOP", "OR", "{t}small:b", "{t}big:a"), ("PFADD", "{t}small:b", "x"), ("PFMERGE", "{t}small:b", "{t}small:c"),
                      ("BITFIELD", "{t}small:b", "SET", "u8", "40", "1")):
            self.ask("DEL", "{t}small:b")
            self.ask("SET", "{t}big:a", "12345")
            self.refused("ERR a value of", *words)
            self.assertEqual(self.ask("EXISTS", "{t}small:b"), 0)
        self.assertEqual(self.ask("BITFIELD", "{t}small:b", "SET", "u8", "24", "1", "OVERFLOW", "FAIL", "INCRBY", "u8", "24", "255"), [0, None])
        self.ask("RPUSH", "{t}list", "x" * 4)
        self.assertEqual(self.ask("RENAME", "{t}list", "{t}small:b"), "OK")
        self.refused("WRONGTYPE Operation against a key holding the wrong kind of value", "APPEND", "{t}small:b", "x")
        self.refused("ERR no such key", "RENAME", "{t}nobody", "{t}small:b")
        self.refused("ERR increment would produce NaN", "INCRBYFLOAT", "{t}small:d", "inf")

    def test_nor_does_one_of_a_store_inside(self):
        self.grows("\x0b", lambda *words: self.refused("ERR a value of 5 bytes is larger than max_value of class inside, 4", *words))
        self.refused("ERR 'eval' is not served", "EVAL", "return 1", "1", "\x0bsmall:a")

    def test_memcached_clients_have_the_same_classes(self):
        session = self.cached()
        self.assertEqual(session.ask("set far:1 0 0 1", b"x"), b"STORED\r\n")
        self.assertEqual(self.caches[1].ask("get far:1"), b"VALUE far:1 0 1\r\nx\r\nEND\r\n")
        self.assertEqual(self.caches[0].ask("get far:1"), b"END\r\n")
        self.assertEqual(session.ask("set near 0 0 1", b"y"), b"STORED\r\n")
        self.assertEqual(session.ask("get far:1 near far:2"), b"VALUE far:1 0 1\r\nx\r\nVALUE near 0 1\r\ny\r\nEND\r\n")
        self.assertEqual(session.ask("mg far:1 v"), b"VA 1\r\nx\r\n")
        self.assertIn(b"keys of class secret are forbidden", session.ask("get near no:1"))
        self.assertIn(b"keys of class secret are forbidden", session.ask("ms no:1 1", b"x"))
        self.assertEqual(session.ask("get fixed:a"), b"END\r\n")
        self.assertIn(b"keys of class fixed are read-only", session.ask("set fixed:a 0 0 1", b"x"))
        self.assertIn(b"keys of class fixed are read-only", session.ask("mg fixed:a v T30"))
        self.assertIn(b"keys of class fixed are read-only", session.ask("gat 30 fixed:a"))

    def test_a_value_that_is_too_large_takes_the_old_one_with_it_as_in_memcached(self):
        session = self.cached()
        self.assertEqual(session.ask("set small:a 0 0 4", b"1234"), b"STORED\r\n")
        self.assertEqual(session.ask("add small:b 0 0 5", b"12345"), b"SERVER_ERROR object too large for cache\r\n")
        self.assertEqual(session.ask("get small:a"), b"VALUE small:a 0 4\r\n1234\r\nEND\r\n")
        self.assertEqual(session.ask("set small:a 0 0 5", b"12345"), b"SERVER_ERROR object too large for cache\r\n")
        self.assertEqual(session.ask("get small:a"), b"END\r\n")
        self.assertEqual(session.ask("ms small:a 5", b"12345"), b"SERVER_ERROR object too large for cache\r\n")

    def test_memcached_clients_append_up_to_the_limit(self):
        appends_up_to(self, self.cached)


class Figures(Classes):
    def test_requests_are_counted_by_the_class_of_their_key(self):
        before = self.class_told("small")["totals"]
        self.ask("SET", "small:a", "1")
        self.ask("GET", "small:a")
        self.ask("SET", "small:a", "12345")
        self.assertEqual({name: value - before[name] for name, value in self.class_told("small")["totals"].items() if value != before[name]},
                         {"requests": 3, "writes": 2, "refused": 1})
        text = self.sheaf.http("/metrics")[1]
        text = text.decode() if isinstance(text, bytes) else text
        self.assertRegex(text, r'sheaf_class_requests_total\{pool="main",class="small"\} [1-9]')
        self.assertRegex(text, r'sheaf_class_refused_total\{pool="main",class="small"\} [1-9]')

    def test_the_keys_that_are_asked_for_most_are_found_among_many(self):
        hot = {"lock:hot": "locks", "hot": None}
        for _ in range(20):
            for key in hot:
                self.session.ask_all(*[("GET", key)] * 20)
            self.session.ask_all(*[("GET", f"{kind}cold:{n}") for n in range(20) for kind in ("", "lock:")])
        for key, name in hot.items():
            told = self.pool_told() if name is None else self.class_told(name)
            self.assertEqual(told["hot_keys"][0]["key"], key)
            self.assertGreater(told["hot_keys"][0]["per_second"], 0)
            self.assertLessEqual(told["hot_keys"][0]["per_second_at_least"], told["hot_keys"][0]["per_second"])

    def test_slow_requests_are_told_with_their_class(self):
        self.sheaf.reload(*self.sections(), proxy={"slow_time": "0s"})
        wait_until(lambda: json.loads(self.sheaf.http("/api/v1/slow")[1])["slow_time_ms"] == 0)
        self.ask("GET", "lock:slow")
        slow = json.loads(self.sheaf.http("/api/v1/slow")[1])["requests"]
        self.assertIn(("lock:slow", "locks"), [(each["key"], each["class"]) for each in slow])

    def sections(self):
        """What the daemon has now, as text."""
        text = self.sheaf.text
        return [(lines.split("]")[0].strip("["), _options(lines)) for lines in text.split("\n[")[1:] if lines.strip()]


def _options(lines):
    found = {}
    for line in lines.splitlines()[1:]:
        if "=" in line:
            name, value = (part.strip() for part in line.split("=", 1))
            found.setdefault(name, []).append(value)
    return found


class Lives(Case):
    """How long keys live: what Sheaf sends is seen by what the servers answer, and by what they keep."""
    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer(cls)
        cls.caches = [MemcachedServer(cls)]
        classes = [("class both", {"prefix": "b:", "ttl": "100s", "max_ttl": "1000s"}),
                   ("class most", {"prefix": "m:", "max_ttl": "1000s"}), ("class some", {"prefix": "s:", "ttl": "100s"}),
                   ("class short", {"prefix": "short:", "max_ttl": "500ms"})]
        cls.sheaf = Sheaf(cls, pool([cls.redis]), pool(["ram://16mb", "ram://16mb"], "ram"), cache_pool(cls.caches, "cache"), *classes)

    def setUp(self):
        self.now = time.time()

    def each(self):
        """Sessions at a Redis server and at embedded shards."""
        for name in ("main", "ram"):
            with RespSession(target_of(self.sheaf, name)) as session:
                session.ask("FLUSHALL")
                yield session

    def lives(self, session, key, seconds):
        left = session.ask("PTTL", key)
        if seconds < 0:
            self.assertEqual(left, seconds, key)
        else:
            self.assertTrue((seconds - 60 * SLOW) * 1000 < left <= seconds * 1000, (key, left))

    def test_who_sets_a_key_without_an_end_gets_the_classs(self):
        for session in self.each():
            for key, seconds in (("b:1", 100), ("m:1", 1000), ("s:1", 100), ("other", -1)):
                self.assertEqual(session.ask("SET", key, "v"), "OK")
                self.lives(session, key, seconds)
            self.assertIsNone(session.ask("SET", "b:1", "w", "NX"))
            self.assertEqual(session.ask("SET", "b:1", "w", "XX", "GET"), b"v")
            self.lives(session, "b:1", 100)
            session.send(b"SET b:inline v\r\n")
            self.assertEqual(session.reply(), "OK")
            self.lives(session, "b:inline", 100)

    def test_who_asks_for_more_gets_the_most(self):
        far = str(int(self.now) + 5000)
        for session in self.each():
            for words in (("SET", "k", "v", "EX", "5000"), ("SET", "k", "v", "px", "5000000", "GET"), ("SET", "k", "v", "EXAT", far),
                          ("SET", "k", "v", "PXAT", far + "000"), ("SETEX", "k", "5000", "v"), ("PSETEX", "k", "5000000", "v")):
                for prefix, seconds in (("b:", 1000), ("m:", 1000), ("s:", 5000)):
                    session.ask("DEL", prefix + "k")
                    self.assertIn(session.ask(words[0], prefix + "k", *words[2:]), ("OK", None))
                    self.lives(session, prefix + "k", seconds)
            for words in (("EXPIRE", "m:k", "5000"), ("PEXPIRE", "m:k", "5000000"), ("EXPIREAT", "m:k", far), ("PEXPIREAT", "m:k", far + "000", "GT"),
                          ("EXPIRE", "m:k", "9223372036854775"), ("PERSIST", "m:k")):
                session.ask("SET", "m:k", "v", "EX", "10")
                self.assertEqual(session.ask(*words), 1, words)
                self.lives(session, "m:k", 1000)
            for words in (("GETEX", "m:k", "EX", "5000"), ("GETEX", "m:k", "PERSIST")):
                session.ask("SET", "m:k", "v", "EX", "10")
                self.assertEqual(session.ask(*words), b"v")
                self.lives(session, "m:k", 1000)
            session.ask("SET", "short:k", "v", "EX", "1000")
            self.assertLessEqual(session.ask("PTTL", "short:k"), 500)

    def test_who_asks_for_less_gets_that(self):
        for session in self.each():
            for words in (("SET", "b:k", "v", "EX", "50"), ("SETEX", "b:k", "50", "v"), ("EXPIRE", "b:k", "50"), ("GETEX", "b:k", "EX", "50")):
                session.ask(*words)
                self.lives(session, "b:k", 50)
            session.ask("SET", "s:k", "v")
            self.assertEqual(session.ask("PERSIST", "s:k"), 1)          # it is the client's word, and nothing is the most
            self.lives(session, "s:k", -1)
            self.assertEqual(session.ask("EXPIRE", "b:k", "-1"), 1)
            self.lives(session, "b:k", -2)

    def test_what_makes_a_key_in_another_way_is_followed_by_its_end(self):
        for session in self.each():
            for words in (("INCR", "b:n"), ("INCRBY", "b:n", "5"), ("APPEND", "b:a", "x"), ("SETRANGE", "b:r", "3", "x"), ("SETNX", "b:x", "1"),
                          ("GETSET", "b:g", "1"), ("MSETNX", "b:{m}1", "1", "b:{m}2", "2"), ("SET", "b:keep", "1", "KEEPTTL")):
                self.assertNotIsInstance(session.ask(*words), Failure)
                self.lives(session, words[1], 100)
            self.lives(session, "b:{m}2", 100)
            self.assertEqual(session.ask("EXPIRE", "b:n", "50"), 1)
            self.assertEqual(session.ask("INCR", "b:n"), 7)
            self.lives(session, "b:n", 50)                              # it had an end
            self.assertEqual(session.ask("SET", "b:n", "1", "KEEPTTL"), "OK")
            self.lives(session, "b:n", 50)

    def test_what_other_types_need_follows_too(self):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        session.ask("FLUSHALL")
        for words, reply in ((("HSET", "b:h", "f", "v"), 1), (("LPUSH", "b:l", "1", "2"), 2), (("SADD", "b:s", "1"), 1), (("ZADD", "b:z", "1", "m"), 1),
                             (("LMOVE", "b:l", "m:l", "LEFT", "RIGHT"), b"2"), (("BLMOVE", "b:l", "m:l", "LEFT", "RIGHT", "0"), b"1"),
                             (("SUNIONSTORE", "m:s", "b:s"), 1), (("SETBIT", "b:bit", "3", "1"), 0)):
            self.assertEqual(session.ask(*words), reply)
        for key, seconds in (("b:h", 100), ("b:s", 100), ("b:z", 100), ("m:l", 1000), ("m:s", 1000), ("b:bit", 100)):
            self.lives(session, key, seconds)

    def test_an_end_that_comes_from_elsewhere_is_cut(self):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        session.ask("SET", "{x}", "v")
        for words, key in ((("COPY", "{x}", "m:{x}"), "m:{x}"), (("RENAME", "{x}", "m:{x}2"), "m:{x}2")):
            self.assertIn(session.ask(*words), (1, "OK"))
            self.lives(session, key, 1000)
        dumped = session.ask("DUMP", "m:{x}")
        for ttl in ("0", "5000000", "50000"):
            self.assertEqual(session.ask("RESTORE", "m:r", ttl, dumped, "REPLACE"), "OK")
            self.lives(session, "m:r", 50 if ttl == "50000" else 1000)

    def test_a_copy_in_another_database_gets_its_end_there(self):
        for session in self.each():
            for number, words in enumerate((("COPY", "{x}", "m:{x}", "DB", "3"), ("COPY", "{x}", "s:{x}", "DB", "3", "REPLACE"))):
                session.ask("SELECT", "2")
                session.ask("SET", "{x}", "v")
                session.ask("SET", words[2], "here", "EX", "5")
                if number == 0:
                    self.assertEqual(session.ask(*words), 1)
                else:
                    self.assertEqual(session.ask_all(("MULTI",), words, ("EXEC",))[-1], [1])
                self.assertEqual(session.ask("GET", words[2]), b"here")
                self.lives(session, words[2], 5)
                session.ask("SELECT", "3")
                self.assertEqual(session.ask("GET", words[2]), b"v")
                self.lives(session, words[2], 1000 if number == 0 else 100)
                session.ask("SELECT", "0")

    def test_transactions_and_scripts_are_followed_as_a_whole(self):
        for session in self.each():
            self.assertEqual(session.ask_all(("MULTI",), ("INCR", "b:{t}n"), ("SET", "b:{t}o", "v", "EX", "5000"), ("GET", "b:{t}n"), ("EXEC",)),
                             ["OK", "QUEUED", "QUEUED", "QUEUED", [1, "OK", b"1"]])
            self.lives(session, "b:{t}n", 100)
            self.lives(session, "b:{t}o", 1000)
            self.assertEqual(session.ask_all(("MULTI",), ("INCR", "b:{t}n"), ("EXPIRE", "b:{t}n", "50"), ("EXEC",), ("GET", "b:{t}n")),
                             ["OK", "QUEUED", "QUEUED", [2, 1], b"2"])
            self.lives(session, "b:{t}n", 50)
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        script = "redis.call('SET', KEYS[1], ARGV[1]) return {ARGV[1], 'done'}"
        self.assertEqual(session.ask_all(("EVAL", script, "1", "b:e", "one"), ("GET", "b:e")), [[b"one", b"done"], b"one"])
        self.lives(session, "b:e", 100)
        sha = session.ask("SCRIPT", "LOAD", script)
        self.redis.ask("SCRIPT", "FLUSH")
        self.assertEqual(session.ask_all(("EVALSHA", sha, "1", "b:e2", "two"), ("GET", "b:e2")), [[b"two", b"done"], b"two"])
        self.lives(session, "b:e2", 100)
        session.ask("WATCH", "b:w")
        session.ask("MULTI")
        session.ask("APPEND", "b:w", "x" * 70_000)
        self.assertEqual(session.ask("EXEC"), [70_000])
        self.lives(session, "b:w", 100)

    def test_large_replies_come_through_before_what_is_swallowed(self):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        value = b"v" * 300_000
        session.ask("SET", "b:big", value)
        self.assertEqual(session.ask_all(("GETSET", "b:big", "small"), ("GET", "b:big"), ("INCR", "b:n2")), [value, b"small", 1])
        self.lives(session, "b:big", 100)

    def test_mset_over_classes_and_shards(self):
        for session in self.each():
            words = [word for n in range(10) for word in (f"b:{n}", "1", f"m:{n}", "2", f"{n}", "3")]
            self.assertEqual(session.ask_all(("MSET", *words), ("MGET", *words[::2])), ["OK", [word.encode() for word in words[1::2]]])
            for n in range(10):
                self.lives(session, f"b:{n}", 100)
                self.lives(session, f"m:{n}", 1000)
                self.lives(session, f"{n}", -1)

    def test_memcached_clients_are_given_ends_too(self):
        session, far = MemcachedSession(target_of(self.sheaf, "cache")), int(self.now) + 5000
        self.addCleanup(session.end)

        def lives(key, seconds):
            code, *flags = session.ask(f"mg {key} t").split()
            self.assertEqual(code, b"HD", key)
            left = int(flags[0][1:])
            self.assertTrue(left == seconds if seconds < 0 else seconds - 60 * SLOW < left <= seconds, (key, left))

        for line, key, seconds in (("set m:1 0 0 1", "m:1", 1000), ("add m:2 0 5000 1", "m:2", 1000), (f"set m:3 7 {far} 1", "m:3", 1000),
                                   ("set s:1 0 5000 1", "s:1", 5000), ("set s:2 0 0 1", "s:2", 100), ("set b:1 0 50 1", "b:1", 50),
                                   ("set other 0 0 1", "other", -1), ("ms m:4 1", "m:4", 1000), ("ms m:5 1 T5000 F3", "m:5", 1000),
                                   ("ms s:5 1 T0", "s:5", 100), ("ms b:5 1 T50", "b:5", 50), ("set short:1 0 0 1", "short:1", 1),
                                   ("set m:6 0 +5000 1", "m:6", 1000), ("set m:7 0 5000\t 1", "m:7", 1000), ("ms m:8 1 T+5000", "m:8", 1000),
                                   ("set s:6 0 -0 1", "s:6", 100), ("ms s:7 1 T00", "s:7", 100), ("set m:9 0 8589934592 1", "m:9", 1000)):
            self.assertIn(session.ask(line, b"x"), (b"STORED\r\n", b"HD\r\n"), line)
            lives(key, seconds)
        session.send(b"set m:quiet 0 0 1 noreply\r\nx\r\nms m:q2 1 q T0\r\nx\r\nmn\r\n")
        self.assertEqual(session.reply(), b"MN\r\n")
        lives("m:quiet", 1000)
        lives("m:q2", 1000)
        self.assertEqual(session.ask("touch m:1 0"), b"TOUCHED\r\n")
        lives("m:1", 1000)
        self.assertEqual(session.ask("touch m:1 50"), b"TOUCHED\r\n")
        lives("m:1", 50)
        self.assertTrue(session.ask("gat 5000 m:1 m:2 other").endswith(b"VALUE other 0 1\r\nx\r\nEND\r\n"))
        lives("m:1", 1000)
        lives("other", 1000)                                             # one time for all of a gat's keys
        session.send(b"gat 0 s:1\r\ngat 99999 m:1\r\ngat 0 m:1 other\r\nget other\r\n")    # what follows is taken from where it begins
        self.assertEqual([session.reply().count(b"VALUE") for _ in range(4)], [1, 1, 2, 1])
        self.assertEqual(session.ask("mg m:3 f T0"), b"HD f7\r\n")
        lives("m:3", 1000)
        self.assertEqual(session.ask("ma m:count N0 J5 v"), b"VA 1\r\n5\r\n")
        lives("m:count", 1000)
        self.assertEqual(session.ask("append m:1 0 0 1", b"y"), b"STORED\r\n")
        self.assertEqual(session.ask("touch m:1 -1"), b"TOUCHED\r\n")
        self.assertEqual(session.ask("get m:1"), b"END\r\n")

    def test_binary_clients_of_memcached_too(self):
        session = MemcachedSession(target_of(self.sheaf, "cache"))
        self.addCleanup(session.end)
        text = MemcachedSession(target_of(self.sheaf, "cache"))
        self.addCleanup(text.end)
        for expiry, key, seconds in ((0, b"m:b1", 1000), (5000, b"m:b2", 1000), (0, b"s:b3", 100), (50, b"b:b4", 50)):
            session.send(binary(0x01, key, struct.pack(">II", 0, expiry), b"v"))
            session.packet()
            left = int(text.ask(f"mg {key.decode()} t").split()[1][1:])
            self.assertTrue(seconds - 60 * SLOW < left <= seconds, (key, left))
        session.send(binary(0x1c, b"b:b4", struct.pack(">I", 0)))         # touch
        session.packet()
        self.assertGreater(int(text.ask("mg b:b4 t").split()[1][1:]), 100 - 60 * SLOW)


class Caches(Case):
    """`cache`: values are kept by each worker for an hour here, so that nothing but what is tested ends that."""
    @classmethod
    def setUpClass(cls):
        cls.redis = RedisServer(cls)
        cls.cache = MemcachedServer(cls)
        classes = [("class kept", {"prefix": "h:", "cache": "1h"}), ("class brief", {"prefix": "brief:", "cache": "30ms"}),
                   ("class little", {"prefix": "little:", "cache": "1h", "cache_memory": "64kb"})]
        cls.sections = [pool([cls.redis]), cache_pool([cls.cache], "cache"), *classes]
        cls.sheaf = Sheaf(cls, *cls.sections)

    def setUp(self):
        self.sessions = [self.sheaf.connect() for _ in range(8)]         # of all workers, as good as surely
        for session in self.sessions:
            self.addCleanup(session.close)
        self.sessions[0].ask("FLUSHALL")

    def warm(self, key, value):
        """All workers have it, and a change at the server shows that they do."""
        for session in self.sessions * 3:
            self.assertEqual(session.ask("GET", key), value)

    def kept(self, key="h:k", value="old", **options):
        self.sessions[0].ask("SET", key, value, *[word for pair in options.items() for word in pair])
        self.warm(key, value.encode())
        self.assertEqual(self.redis.ask("SET", key, "behind", "KEEPTTL"), "OK")
        self.warm(key, value.encode())

    def totals(self, name, of="main"):
        status = json.loads(self.sheaf.http("/api/v1/status")[1])
        told = next(each for each in status["pools"] if each["name"] == of)
        return next(each for each in told["classes"] if each["name"] == name)["totals"]

    def test_values_are_kept_and_counted(self):
        before = self.totals("kept")
        self.kept()
        after = self.totals("kept")
        self.assertGreaterEqual(after["cache_hits"] - before["cache_hits"], 8 * 6 - 2 * 2)
        self.assertGreaterEqual(after["cache_misses"] - before["cache_misses"], 2)
        self.sessions[0].ask("SET", "other", "old")
        self.warm("other", b"old")
        self.redis.ask("SET", "other", "new")
        self.warm("other", b"new")

    def test_a_reload_keeps_them_unless_something_about_their_pool_changed(self):
        self.kept()
        self.sheaf.reload(*self.sections, ("class other", {"in": "other", "prefix": "x", "cache": "1s"}), pool(["ram://16mb"], "other"))
        self.warm("h:k", b"old")
        self.sessions[0].ask("SET", "h:k", "new")                        # and marks what it writes as before
        self.warm("h:k", b"new")
        self.redis.ask("SET", "h:k", "behind")
        self.warm("h:k", b"new")
        self.sheaf.reload(*self.sections[:-1], ("class little", {**self.sections[-1][1], "cache_memory": "65kb"}))
        wait_until(lambda: all(session.ask("GET", "h:k") == b"behind" for session in self.sessions))
        self.warm("h:k", b"behind")
        self.redis.ask("SET", "h:k", "last")
        self.sheaf.reload(*self.sections)
        wait_until(lambda: all(session.ask("GET", "h:k") == b"last" for session in self.sessions), what="all workers to have followed")

    def test_any_write_through_sheaf_is_seen_by_all_workers_at_once(self):
        script = "return redis.call('SET', KEYS[1], ARGV[1])"
        writes = ((("SET", "h:k", "1"), b"1"), (("INCR", "h:k"), b"2"), (("DEL", "h:k"), None), (("SETEX", "h:k", "100", "3"), b"3"), (("APPEND", "h:k", "4"), b"34"),
                  (("MSET", "h:k", "5", "a", "b"), b"5"), (("GETDEL", "h:k"), None), (("EVAL", script, "1", "h:k", "6"), b"6"), (("RENAME", "h:k", "a"), None),
                  (("COPY", "a", "h:k"), b"6"), (("EXPIRE", "h:k", "-1"), None), (("SETRANGE", "h:k", "0", "7"), b"7"), (("FLUSHALL",), None), (("SET", "h:k", "8"), b"8"),
                  (("FLUSHDB",), None), (("EVAL", "return redis.call('SET', 'h:k', '9')", "0"), b"9"), (("RESTORE", "h:k", "0", self.dump("10"), "REPLACE"), b"10"))
        for number, (words, value) in enumerate(writes):
            with self.subTest(words[0]):
                self.assertNotIsInstance(self.sessions[number % 8].ask(*words), Failure)
                for session in self.sessions:
                    self.assertEqual(session.ask("GET", "h:k"), value, words)
                self.warm("h:k", value)

    def dump(self, value):
        self.redis.ask("SET", "source", value)
        return self.redis.ask("DUMP", "source")

    def test_transactions_are_seen_when_they_are_carried_out(self):
        self.kept()
        first, other = self.sessions[:2]
        self.assertEqual(first.ask_all(("MULTI",), ("SET", "h:k", "new")), ["OK", "QUEUED"])
        self.assertEqual(other.ask("GET", "h:k"), b"old")
        self.assertEqual(first.ask("EXEC"), ["OK"])
        self.warm("h:k", b"new")

    def test_a_session_sees_what_it_wrote_within_one_pipeline(self):
        self.kept()
        for session in self.sessions:
            asked = [("SET", "h:k", "a"), ("GET", "h:k"), ("GET", "h:k"), ("INCRBY", "h:n", "1"), ("APPEND", "h:k", "b"), ("GET", "h:k"), ("DEL", "h:k"), ("GET", "h:k")] * 5
            replies = session.ask_all(*asked)
            for at in range(0, 40, 8):
                self.assertEqual([replies[at + place] for place in (1, 2, 5, 7)], [b"a", b"a", b"ab", None])

    def test_a_key_that_is_over_is_not_answered(self):
        self.sessions[0].ask("SET", "h:t", "v", "PX", "300")
        for session in self.sessions * 3:
            session.ask("GET", "h:t")
        wait_until(lambda: self.redis.ask("EXISTS", "h:t") == 0)
        for session in self.sessions:
            self.assertIsNone(session.ask("GET", "h:t"))

    def test_nor_for_a_part_of_a_millisecond(self):
        sheaf = Sheaf(self, pool(["ram://16mb"]), ("class kept", {"prefix": "h:", "cache": "1h"}), proxy={"workers": 1})
        session, late = sheaf.connect(), 0
        for number in range(50):
            key = f"h:{number}"
            session.ask("SET", key, "v", "PX", 8 + number % 5)
            for _ in range(3):
                session.ask("GET", key)
            while session.ask("GETRANGE", key, 0, -1):                  # which the store itself answers
                pass
            while session.ask("GET", key):
                late += 1
        self.assertEqual(late, 0)
        session.close()

    def test_what_others_write_is_seen_when_the_classs_time_is_over(self):
        self.sessions[0].ask("SET", "brief:k", "old")
        self.warm("brief:k", b"old")
        self.redis.ask("SET", "brief:k", "new")
        for session in self.sessions:
            wait_until(lambda session=session: session.ask("GET", "brief:k") == b"new")

    def test_a_session_that_watches_is_told_by_the_server(self):
        self.kept()
        self.sessions[0].ask("WATCH", "h:k")
        self.assertEqual(self.sessions[0].ask("GET", "h:k"), b"behind")
        self.sessions[0].ask("UNWATCH")
        self.assertEqual(self.sessions[0].ask("GET", "h:k"), b"old")

    def test_databases_and_versions_of_the_protocol(self):
        self.kept()
        self.sessions[0].ask("HELLO", "3")
        self.assertEqual(self.sessions[0].ask("GET", "h:k"), b"old")
        for session in self.sessions:
            session.ask("SELECT", "2")
            self.assertIsNone(session.ask("GET", "h:k"))
        self.sessions[1].ask("SET", "h:k", "two")
        self.warm("h:k", b"two")
        for session in self.sessions:
            session.ask("SELECT", "0")
        self.warm("h:k", b"behind")                                     # a mark is of the name, in any database

    def test_other_types_and_misses_are_as_without(self):
        self.sessions[0].ask("LPUSH", "h:list", "x")
        for _ in range(3):
            self.assertTrue(self.sessions[0].ask("GET", "h:list").startswith("WRONGTYPE"))
            self.assertIsNone(self.sessions[0].ask("GET", "h:none"))
        self.redis.ask("SET", "h:none", "v")
        self.assertEqual(self.sessions[0].ask("GET", "h:none"), b"v")

    def test_little_memory_keeps_the_last_and_no_large_ones(self):
        session = self.sessions[0]
        for n in range(200):
            session.ask("SET", f"little:{n}", "x" * 1000)
        session.ask("SET", "little:big", "x" * 20_000)
        keys = [f"little:{n}" for n in range(200)] + ["little:big"]
        for key in keys:
            for _ in range(3):
                session.ask("GET", key)
        for key in keys:
            self.redis.ask("SET", key, "behind")
        kept = [session.ask("GET", key) != b"behind" for key in reversed(keys)]
        self.assertFalse(kept[0])
        self.assertTrue(all(kept[1:30]), kept)
        self.assertFalse(any(kept[100:]), kept)

    def test_nobody_reads_what_was_overwritten_before_he_asked(self):
        acknowledged, ended, failures = [0], threading.Event(), []

        def read(session):
            while not ended.is_set():
                least = acknowledged[0]
                value = int(session.ask("GET", "h:n") or 0)
                if value < least:
                    failures.append((value, least))

        readers = [threading.Thread(target=read, args=(session,)) for session in self.sessions[1:5]]
        for reader in readers:
            reader.start()
        try:
            for _ in range(400):
                acknowledged[0] = self.sessions[0].ask("INCR", "h:n")
                self.assertEqual(int(self.sessions[0].ask("GET", "h:n")), acknowledged[0])
        finally:
            ended.set()
            for reader in readers:
                reader.join()
        self.assertEqual(failures, [])
        self.assertGreater(self.totals("kept")["cache_hits"], 0)

    def test_memcached_clients(self):
        sessions = [MemcachedSession(target_of(self.sheaf, "cache")) for _ in range(8)]
        for session in sessions:
            self.addCleanup(session.end)

        def everywhere(reply):
            for session in sessions * 3:
                self.assertEqual(session.ask("get h:m"), reply)

        old, new = b"VALUE h:m 7 3\r\nold\r\nEND\r\n", b"VALUE h:m 0 3\r\nnew\r\nEND\r\n"
        self.assertEqual(sessions[0].ask("set h:m 7 0 3", b"old"), b"STORED\r\n")
        everywhere(old)
        self.assertEqual(self.cache.ask("set h:m 0 0 6", b"behind"), b"STORED\r\n")
        everywhere(old)
        self.assertIn(b"behind", sessions[0].ask("gets h:m"))
        for words, reply in ((("set h:m 0 0 3", b"new"), new), (("delete h:m",), b"END\r\n"), (("ms h:m 3", b"new"), new), (("append h:m 0 0 1", b"!"), b"VALUE h:m 0 4\r\nnew!\r\nEND\r\n"),
                             (("md h:m",), b"END\r\n"), (("add h:m 0 0 3", b"new"), new), (("flush_all",), b"END\r\n")):
            sessions[3].ask(*words)
            everywhere(reply)
        sessions[1].send(b"set h:m 0 0 3 noreply\r\nnew\r\nget h:m\r\n")
        self.assertEqual(sessions[1].reply(), new)
        sessions[1].ask("touch h:m 1")
        for session in sessions * 3:
            session.ask("get h:m")
        wait_until(lambda: self.cache.ask("get h:m") == b"END\r\n")
        everywhere(b"END\r\n")


class Example(Case):
    def test_the_mail_servers_example_is_accepted(self):
        out = subprocess.run([BINARY, "check", REPOSITORY / "config/example-stalwart.ini"], capture_output=True, text=True)
        self.assertEqual((out.returncode, out.stderr), (0, ""))
        self.assertIn("[class rate-limits]\nin = mail\nfirst_byte = 02-0a\npool = counters\n", out.stdout)
        ranges = [(int(a, 16), int(b or a, 16)) for a, b in re.findall(r"^first_byte = (\w\w)(?:-(\w\w))?$", out.stdout, re.M)]
        self.assertEqual(sorted(byte for a, b in ranges for byte in range(a, b + 1)), list(range(27)), "each of its prefixes is of one class")

    def test_a_reload_moves_classes(self):
        servers = [RedisServer(self) for _ in range(2)]
        main, back = pool(servers[:1]), pool(servers[1:], "back")
        sheaf = Sheaf(self, main, back)
        session = sheaf.connect()
        self.assertEqual(session.ask("SET", "a:1", "here"), "OK")
        self.assertEqual(servers[0].ask("GET", "a:1"), b"here")
        sheaf.reload(main, back, ("class a", {"in": "main", "prefix": "a:", "pool": "back"}))
        wait_until(lambda: session.ask("GET", "a:1") is None)
        self.assertEqual(session.ask("SET", "a:1", "there"), "OK")
        self.assertEqual(servers[1].ask("GET", "a:1"), b"there")
        sheaf.reload(main, back)
        wait_until(lambda: session.ask("GET", "a:1") == b"here")


if __name__ == "__main__":
    main()
