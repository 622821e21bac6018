#!/usr/bin/python3
"""Mixed pools: Redis clients over memcached servers answer what a Redis server would.

SHEAF_LONG=1 makes the comparison longer; SHEAF_SEED=N repeats one."""
import os
import random
import threading
import time

import redis

from lib import *
from lib.twin import Twin

ROUNDS = 100_000 if os.environ.get("SHEAF_LONG") == "1" else 2_500

KEYS = [f"k{i}" for i in range(12)] + [b"\x00\r\n\xff", "with blank", "{t}a", "{t}b"]
VALUES = ["", "0", "1", "-7", "9223372036854775807", "3.25", "1e3", " 1", "01", "abc", b"\r\n\x00" * 9, "x" * 300]
NUMBERS = ["0", "1", "-1", "3", "-3", "100000", "x", "", "1.5", "9223372036854775807", "-9223372036854775808", "01"]
TIMES = ["0", "-1", "x", "", "100000", "5000000", "9223372036854775807"]
FAR = [str(2_000_000_000 + i) for i in range(3)]


def over_memcached(servers, **options):
    return pool([server.url for server in servers], **options)


class RedisDice:
    """Random commands that memcached servers can be asked, with replies that time does not change."""

    def __init__(self, seed):
        self.random = random.Random(seed)

    def _one(self, choices):
        return self.random.choice(choices)

    def _set_options(self):
        words = []
        for _ in range(self._one((0, 0, 1, 1, 2, 3))):
            words += self._one((["NX"], ["XX"], ["GET"], ["KEEPTTL"], ["EX", self._one(TIMES)], ["PX", "5000000"],
                                ["EXAT", self._one(FAR)], ["PXAT", self._one(FAR) + "000"], ["EX"], ["get"], ["zz"]))
        return words

    def _key_command(self, key):
        value, number = self._one(VALUES), self._one(NUMBERS)
        flags = self.random.sample(["NX", "XX", "GT", "LT", "ZZ"], self._one((0, 0, 0, 1, 1, 2)))
        return self._one((
            ["GET", key], ["GET", key], ["SET", key, value], ["SET", key, value, *self._set_options()],
            ["SET", key, value, *self._set_options()], ["SETEX", key, "5000", value], ["SETEX", key, self._one(TIMES), value],
            ["PSETEX", key, "5000000", value], ["SETNX", key, value], ["GETSET", key, value], ["GETDEL", key],
            ["GETEX", key], ["GETEX", key, "PERSIST"], ["GETEX", key, "EXAT", self._one(FAR)], ["GETEX", key, "EX", self._one(TIMES)],
            ["GETEX", key, "PERSIST", "EX", "1"], ["GETEX", key, "EXAT", "1"], ["TYPE", key], ["STRLEN", key],
            ["APPEND", key, value], ["SETRANGE", key, self._one(("0", "3", "-1", "x", "500", "600000000")), value],
            ["GETRANGE", key, number, self._one(NUMBERS)], ["SUBSTR", key, "0", "-1"], ["INCR", key], ["DECR", key],
            ["INCRBY", key, number], ["DECRBY", key, number], ["INCRBYFLOAT", key, self._one(("1.5", "-3", "x", "1e2", "nan", "inf", "0.1"))],
            ["EXPIREAT", key, self._one(FAR), *flags], ["PEXPIREAT", key, self._one(FAR) + "000", *flags],
            ["EXPIRE", key, self._one(TIMES), *flags], ["PEXPIRE", key, "-5000"], ["EXPIREAT", key, "1", *flags], ["PERSIST", key]))

    def command(self):
        many, value = self.random.choices(KEYS, k=self._one((1, 2, 4, 9))), self._one(VALUES)
        return self._one((
            *[self._key_command(self._one(KEYS)) for _ in range(30)],
            ["MGET", *many], ["DEL", *many], ["MSET", *[w for k in many for w in (k, value)]], ["MSET", "k1"],
            ["UNLINK", *many], ["EXISTS", *many], ["TOUCH", *many], ["TTL", "nobody"], ["PTTL", "nobody"], ["EXPIRETIME", "nobody"],
            # one that ends at fixed times only, which are then told
            ["SET", "far", value], ["EXPIREAT", "far", self._one(FAR)], ["SET", "far", value, "KEEPTTL"], ["APPEND", "far", "x"],
            ["EXPIRETIME", "far"], ["PEXPIRETIME", "far"], ["GETEX", "far", "EXAT", self._one(FAR)], ["INCR", "far"],
            ["GET"], ["SET", "k1"], ["FLUSHDB", "NOW"], ["FLUSHALL", "ASYNC"], ["SELECT", "0"], ["PING"], ["ECHO", value]))

    def commands(self):
        return [self.command() for _ in range(self._one((1, 1, 5, 20)))]


class RedisOverMemcached(Case):
    @classmethod
    def setUpClass(cls):
        cls.plain = RedisServer(cls)
        cls.servers = [MemcachedServer(cls) for _ in range(3)]
        cls.sheaf = Sheaf(cls, over_memcached(cls.servers))

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.assertEqual(self.ask("FLUSHALL"), "OK")

    def ask(self, *words):
        return self.session.ask(*words)

    def refused(self, word, *words):
        reply = self.ask(*words)
        self.assertIsInstance(reply, Failure, words)
        self.assertIn(word, reply)
        self.assertIn("memcached", reply)

    def test_replies_are_those_of_a_redis_server(self):
        seed = int(os.environ.get("SHEAF_SEED", random.randrange(1 << 30)))
        dice, asked = RedisDice(seed), 0
        self.plain.ask("FLUSHALL")
        twin = Twin(self, self.sheaf, self.plain, proto=dice.random.choice((2, 3)))
        try:
            while asked < ROUNDS:
                commands = dice.commands()
                twin.ask_all(*commands)
                asked += len(commands)
        except AssertionError as error:
            raise AssertionError(f"SHEAF_SEED={seed}: {error}") from error

    def test_times_are_told_in_whole_seconds(self):
        self.ask("SET", "k", "v", "EX", 100)
        self.assertIn(self.ask("TTL", "k"), (99, 100))
        self.assertIn(self.ask("PTTL", "k"), (99_000, 100_000))
        self.assertEqual(self.ask("EXPIRE", "k", 300, "GT"), 1)
        self.assertEqual(self.ask("EXPIRE", "k", 200, "GT"), 0)
        self.assertEqual(self.ask("EXPIRE", "k", 90 * 86400), 1)  # which memcached takes as a time of day
        self.assertIn(self.ask("TTL", "k"), (90 * 86400 - 1, 90 * 86400))
        self.assertEqual(self.ask("PERSIST", "k"), 1)
        self.assertEqual(self.ask("PERSIST", "k"), 0)
        self.assertEqual(self.ask("TTL", "k"), -1)
        for words in (["SET", "k", "v", "PX", 1500], ["PSETEX", "k", 1, "v"], ["PEXPIRE", "k", 2500], ["GETEX", "k", "PX", 10]):
            self.refused("whole seconds", *words)
        self.refused("2038", "SET", "k", "v", "EXAT", 4_000_000_000)
        self.assertEqual(self.ask("GET", "k"), b"v")

    def test_a_time_to_live_is_kept_to_the_second_however_often_its_value_is_set(self):
        self.ask("SET", "k", "1", "EX", 50)
        end = self.ask("EXPIRETIME", "k")
        for n in range(300):
            self.ask("SET", "k", str(n), "KEEPTTL")
            self.ask("INCRBY", "k", -1000)
        self.assertEqual(self.ask("EXPIRETIME", "k"), end)
        self.assertTrue(abs(end - 50 - time.time()) < 20)

    def test_keys_end_in_time(self):
        self.ask("SET", "k", "v", "EX", 1)
        self.ask("SET", "other", "v", "EX", 1000)
        wait_until(lambda: self.ask("GET", "k") is None, what="the key to end")
        self.assertEqual(self.ask("SET", "k", "w", "NX"), "OK")
        self.assertEqual(self.ask("EXISTS", "k", "other"), 2)

    def test_what_memcached_can_not_say_is_refused_with_the_reason(self):
        for words in (["LPUSH", "l", "1"], ["HSET", "h", "f", "v"], ["ZADD", "z", "1", "a"], ["SADD", "s", "a"],
                      ["XADD", "x", "*", "f", "v"], ["BLPOP", "l", "1"]):
            self.refused("strings only", *words)
        for word, words in (("scripts", ["EVAL", "return 1", "0"]), ("transactions", ["MULTI"]), ("transactions", ["WATCH", "a"]),
                            ("channels", ["SUBSCRIBE", "c"]), ("channels", ["PUBLISH", "c", "m"]), ("list of its keys", ["KEYS", "*"]),
                            ("list of its keys", ["SCAN", "0"]), ("time is over", ["DBSIZE"]), ("two keys", ["RENAME", "a", "b"]),
                            ("several keys", ["MSETNX", "a", "1"]), ("bits", ["SETBIT", "a", "1", "1"]), ("replicas", ["WAIT", "1", "1"])):
            self.refused(word, *words)
        self.refused("250", "GET", "k" * 251)
        self.refused("186", "SET", " " * 187, "v")
        self.refused("250", "GET", "")
        self.assertEqual(self.ask("SET", "k" * 250, "v"), "OK")
        self.assertEqual(self.ask("SET", " " * 186, "v"), "OK")
        self.refused("too large", "SET", "k", "x" * 1_100_000)
        self.assertIn("DB index", self.ask("SELECT", 1))
        self.assertIn("unknown command", self.ask("NOSUCH", "a"))
        self.assertEqual(self.ask("PING"), "PONG")

    def test_large_values_and_many_keys(self):
        big = os.urandom(900_000)
        self.assertEqual(self.ask("SET", "big", big), "OK")
        self.assertEqual(self.ask("GET", "big"), big)
        self.assertEqual(self.ask("APPEND", "big", b"tail"), 900_004)
        self.assertEqual(self.ask("GETRANGE", "big", -5, -1), big[-1:] + b"tail")
        names = [f"m{n}" for n in range(5000)]
        self.assertEqual(self.ask("MSET", *[w for n in names for w in (n, n)]), "OK")
        self.assertEqual(self.ask("MGET", *names, "none"), [n.encode() for n in names] + [None])
        self.assertEqual(self.ask("DEL", *names, "none", names[0]), 5000)

    def race(self, clients, deed):
        """The deed of each client, all at once."""
        sessions = [self.sheaf.connect() for _ in range(clients)]
        failures = []

        def run(session, number):
            try:
                deed(session, number)
            except Exception as error:  # noqa: told below
                failures.append(error)
        threads = [threading.Thread(target=run, args=(s, n)) for n, s in enumerate(sessions)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for session in sessions:
            session.close()
        self.assertEqual(failures, [])

    def test_no_change_is_lost_when_clients_race(self):
        def deed(session, number):
            for n in range(100):
                session.ask("INCRBY", "count", -3)
                session.ask("APPEND", "text", "abcd"[number])
                self.assertIn(session.ask("GETSET", "token", f"{number}:{n}"), (None, *tokens))
        tokens = {f"{number}:{n}".encode() for number in range(4) for n in range(100)}
        self.race(4, deed)
        self.assertEqual(self.ask("GET", "count"), b"-1200")
        text = self.ask("GET", "text")
        self.assertEqual([text.count(letter) for letter in (b"a", b"b", b"c", b"d")], [100] * 4)

    def test_one_only_gets_what_is_deleted_or_set_first(self):
        won = []

        def deed(session, number):
            for n in range(50):
                if session.ask("SET", f"lock:{n}", str(number), "NX", "EX", 100) == "OK":
                    won.append(n)
        self.race(4, deed)
        self.assertEqual(sorted(won), list(range(50)))
        got = []
        self.race(4, lambda session, _: got.extend(v for n in range(50) if (v := session.ask("GETDEL", f"lock:{n}")) is not None))
        self.assertEqual(len(got), 50)

    def test_a_pipeline_is_done_in_its_order(self):
        commands = [c for n in range(200) for c in (["INCR", "n"], ["GET", "n"], ["SET", "m", n], ["APPEND", "m", "."])]
        self.session.send(b"".join(encode(*c) for c in commands))
        for n in range(200):
            self.assertEqual([self.session.reply() for _ in range(4)], [n + 1, b"%d" % (n + 1), "OK", len(str(n)) + 1])

    def test_values_of_memcached_clients_keep_their_flags(self):
        key = keys_on_shards(3)[1][0]
        self.servers[1].ask(f"set {key} 42 0 2", "10")
        self.assertEqual(self.ask("INCR", key), 11)
        self.assertEqual(self.ask("EXPIRE", key, 100), 1)
        self.assertEqual(self.servers[1].ask(f"get {key}"), b"VALUE %s 42 2\r\n11\r\nEND\r\n" % key.encode())
        self.ask("SET", key, "new")
        self.assertEqual(self.servers[1].ask(f"get {key}"), b"VALUE %s 0 3\r\nnew\r\nEND\r\n" % key.encode())

    def test_client_libraries_work(self):
        client = redis.Redis(port=self.sheaf.port, decode_responses=True)
        client.flushdb()
        with client.pipeline(transaction=False) as pipe:
            pipe.set("a", 1, ex=100).incrby("a", 4).get("a").expire("a", 50)
            self.assertEqual(pipe.execute(), [True, 5, "5", True])
        client.mset({f"m{i}": i for i in range(10)})
        self.assertEqual(client.mget([f"m{i}" for i in range(11)]), [str(i) for i in range(10)] + [None])
        self.assertTrue(client.set("lock", "me", nx=True, ex=60))
        self.assertFalse(client.set("lock", "you", nx=True, ex=60))
        self.assertEqual(client.info()["loading"], 0)
        client.close()


class BothKinds(Case):
    """One pool for clients of both protocols."""

    def test_clients_of_both_protocols_share_the_keys(self):
        servers = [MemcachedServer(self) for _ in range(2)]
        listen = [f"redis://127.0.0.1:{free_port()}", f"memcached://127.0.0.1:{free_port()}"]
        sheaf = Sheaf(self, over_memcached(servers, listen=listen))
        with sheaf.connect() as r, MemcachedSession(sheaf.target(index=1), None) as m:
            for n in range(20):
                self.assertEqual(r.ask("SET", f"r{n}", n), "OK")
                self.assertEqual(m.ask(f"set m{n} 0 0 1", "5"), b"STORED\r\n")
                self.assertEqual(m.ask(f"get r{n}"), b"VALUE r%d 0 %d\r\n%d\r\nEND\r\n" % (n, len(str(n)), n))
                self.assertEqual(r.ask("INCR", f"m{n}"), 6)
            self.assertEqual(r.ask("CLIENT", "LIST").count(b"\n"), 1)
            self.assertEqual(m.ask("flush_all"), b"OK\r\n")
            self.assertEqual(r.ask("EXISTS", "r1", "m1"), 0)
            sheaf.reload(over_memcached(servers, listen=listen[:1]))
            self.assertEqual(m.closed(), b"")
            self.assertEqual(r.ask("SET", "k", "v"), "OK")
            sheaf.reload(over_memcached(servers, listen=listen))
            wait_until(lambda: MemcachedSession(sheaf.target(index=1), None).end() or True, what="the listener")
            with MemcachedSession(sheaf.target(index=1), None) as again:
                self.assertEqual(again.ask("mg k v"), b"VA 1\r\nv\r\n")
            self.assertEqual(r.ask("GET", "k"), b"v")


class Faults(Case):
    def test_a_dead_shard_is_told_or_is_a_miss(self):
        servers = [MemcachedServer(self) for _ in range(2)]
        keys = [each[0] for each in keys_on_shards(2)]
        for word in ("error", "miss"):
            sheaf = Sheaf(self, over_memcached(servers, on_shard_down=word, stamp="no"))
            with sheaf.connect() as s:
                self.assertEqual(s.ask("MSET", keys[0], "0", keys[1], "1"), "OK")
                servers[1].kill9()
                wait_until(lambda: isinstance(s.ask("SET", keys[1], "2"), Failure), what="the shard to be missed")
                self.assertEqual(s.ask("GET", keys[0]), b"0")
                if word == "miss":
                    self.assertEqual(s.ask("GET", keys[1]), None)
                    self.assertEqual(s.ask("MGET", *keys), [b"0", None])
                    self.assertEqual(s.ask("EXISTS", *keys), 1)
                    self.assertEqual(s.ask("TTL", keys[1]), -2)
                else:
                    for words in (["GET", keys[1]], ["MGET", *keys], ["EXISTS", *keys]):
                        self.assertIn("is down", s.ask(*words))
                for words in (["INCR", keys[1]], ["SETNX", keys[1], "x"]):
                    self.assertIn("is down", s.ask(*words))
                self.assertIn("1 of 2 shards", s.ask("DEL", *keys))
                servers[1].restart()
                wait_until(lambda: s.ask("SET", keys[1], "2") == "OK", what="the shard to be back")


if __name__ == "__main__":
    main()
