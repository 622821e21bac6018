#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Mixed pools: Redis clients over memcached servers hear what a Redis server would say, and memcached clients over
Redis servers what a memcached server would.

SHEAF_LONG=1 makes the comparison longer; SHEAF_SEED=N repeats one."""
import os
import random
import struct
import threading
import time

import redis

from lib import *
from lib import edges
from lib.dice import (RISING, RISING_FAR, VALUES, MEMCACHED_REFUSED, BinaryTwin, MemcachedTwin, RedisDice, compare_memcached,
                      compare_packets)
from lib.twin import Twin

# The comparisons with a real server take a millisecond a command.
ROUNDS = 100_000 if os.environ.get("SHEAF_LONG") == "1" else 2_500

def over_memcached(servers, **options):
    return pool([server.url for server in servers], **options)


class Dice(RedisDice):
    """Of what memcached servers can be asked; times are whole seconds, and of this year's clocks."""

    KEYS = [*RedisDice.KEYS, "with blank"]
    TIMES = ["0", "-1", "x", "", RISING, RISING_FAR, "9223372036854775807"]
    FAR = [str(2_000_000_000 + i) for i in range(3)]

    def others(self):
        value = self.one(VALUES)
        return (["PEXPIRE", self.one(self.KEYS), "-5000"], ["SET", self.one(self.KEYS), value, "PXAT", "1234567"], ["TTL", "nobody"], ["PTTL", "nobody"], ["EXPIRETIME", "nobody"],
                # one that ends at fixed times only, which are then told
                ["SET", "far", value], ["EXPIREAT", "far", self.one(self.FAR)], ["SET", "far", value, "KEEPTTL"], ["APPEND", "far", "x"],
                ["EXPIRETIME", "far"], ["PEXPIRETIME", "far"], ["GETEX", "far", "EXAT", self.one(self.FAR)], ["INCR", "far"],
                ["FLUSHALL", "ASYNC"], ["SELECT", "0"], ["PING"], ["ECHO", value])


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
        dice, asked = Dice(seed), 0
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
        for words in (["SET", "k", "v", "PX", 1500], ["PSETEX", "k", 1, "v"], ["PEXPIRE", "k", 2500], ["GETEX", "k", "PX", 10],
                      ["SET", "k", "v", "PXAT", 2_000_000_000_500], ["PEXPIREAT", "k", 2_000_000_000_500], ["GETEX", "k", "PXAT", 2_000_000_000_500]):
            self.refused("whole seconds", *words)
        self.refused("2038", "SET", "k", "v", "EXAT", 4_000_000_000)
        self.assertEqual(self.ask("GET", "k"), b"v")
        for over in (1_500, 1_600_000_000_500):  # by the server's clock it is, to the millisecond or not
            self.ask("MSET", *[word for n in range(4) for word in (f"k{n}", "v")])
            replies = [self.ask("SET", "k0", "w", "PXAT", over), self.ask("PEXPIREAT", "k1", over), self.ask("GETEX", "k2", "PXAT", over),
                       self.ask("PEXPIRE", "k3", -over)]
            self.assertEqual((replies, self.ask("EXISTS", "k0", "k1", "k2", "k3")), (["OK", 1, b"v", 1], 0))

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

    def test_keys_are_there_until_their_time_is_over_as_memcached_counts_it(self):
        """Its second begins when its clock ticks, later each time that it is held, and so does a date's; of a life the
        second that it is in counts as one."""
        ways = (["SET {k} v EXAT {date}"], ["SET {k} v PXAT {date}000"], ["SET {k} v", "EXPIREAT {k} {date}"], ["SET {k} 1 EXAT {date}", "INCR {k}"],
                ["SET {k} v", "PEXPIREAT {k} {date}000"], ["SET {k} v", "GETEX {k} EXAT {date}"], ["SET {k} v EXAT {date}", "SET {k} w KEEPTTL"],
                ["SET {k} v EX {s}"], ["SET {k} v PX {s}000"], ["SETEX {k} {s} v"], ["PSETEX {k} {s}000 v"], ["SET {k} v", "EXPIRE {k} {s}"],
                ["SET {k} v", "PEXPIRE {k} {s}000"], ["SET {k} v EX 1000", "EXPIRE {k} {s}"], ["SET {k} v NX EX {s}"], ["SET {k} v", "GETEX {k} EX {s}"])
        edges.watch(self, edges.of_redis_clients("over memcached", self.session, ways, {"date": 1, "seconds": 1.1}, {"date": 2.5, "seconds": 0.5}))

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


class MemcachedOverRedis(Case):
    @classmethod
    def setUpClass(cls):
        cls.plain = MemcachedServer(cls)
        cls.servers = [RedisServer(cls) for _ in range(3)]
        cls.sheaf = Sheaf(cls, cache_pool([f"redis://{server.address}" for server in cls.servers]))

    def setUp(self):
        self.session = MemcachedSession(self.sheaf.target(), None)
        self.addCleanup(self.session.end)
        self.say("flush_all", None, b"OK\r\n")

    def say(self, line, value, reply):
        self.assertEqual(self.session.ask(line, value), reply)

    def test_replies_are_those_of_a_memcached_server(self):
        seed = int(os.environ.get("SHEAF_SEED", random.randrange(1 << 30)))
        with self.plain.connect() as there:
            compare_memcached(MemcachedTwin(self, self.session, there), seed, ROUNDS)

    def test_packets_are_answered_as_by_a_memcached_server(self):
        seed = int(os.environ.get("SHEAF_SEED", random.randrange(1 << 30)))
        with self.plain.connect() as there, self.plain.connect() as packets, MemcachedSession(self.sheaf.target()) as here:
            compare_packets(BinaryTwin(MemcachedTwin(self, self.session, there), here, packets), seed, ROUNDS)

    def test_values_of_redis_clients_are_read_and_kept_with_flags_when_set(self):
        shard, key = 1, keys_on_shards(3)[1][0]
        server = self.servers[shard]
        server.ask("SET", key, "41")
        self.say(f"get {key}", None, b"VALUE %s 0 2\r\n41\r\nEND\r\n" % key.encode())
        cas = self.session.ask(f"gets {key}").split()[4].decode()
        self.assertEqual(self.session.ask(f"gets {key}").split()[4].decode(), cas)
        self.say(f"mg {key} c", None, f"HD c{cas}\r\n".encode())
        self.say(f"cas {key} 7 0 2 {cas}", "42", b"STORED\r\n")
        self.say(f"cas {key} 7 0 2 {cas}", "43", b"EXISTS\r\n")
        kept = server.ask("GET", key)
        self.assertEqual((kept[:8], kept[16:]), (b"\xf5mc\x01\0\0\0\x07", b"42"))
        self.assertEqual(int.from_bytes(kept[8:16], "big"), int(self.session.ask(f"gets {key}").split()[4]))
        self.say(f"incr {key} 1", None, b"43\r\n")
        self.assertEqual(server.ask("GET", key)[:8] + server.ask("GET", key)[16:], b"\xf5mc\x01\0\0\0\x0743")
        self.assertNotEqual(server.ask("GET", key)[8:16], kept[8:16])

    def test_keys_are_there_until_their_time_is_over_and_not_longer(self):
        with MemcachedSession(self.sheaf.target(), None) as packets:
            edges.watch(self, edges.of_memcached_clients("over Redis", self.session, packets, slack=0.005))

    def test_times_are_those_of_redis(self):
        shard, key = 2, keys_on_shards(3)[2][0]
        for line, value in ((f"set {key} 0 100 1", "x"), (f"touch {key} 100", None), (f"gat 100 {key}", None), (f"mg {key} T100", None)):
            self.session.ask(line, value)
            self.assertIn(self.servers[shard].ask("TTL", key), (99, 100), line)
            self.servers[shard].ask("PERSIST", key)
        for line, value in ((f"set {key} 0 2000000000 1", "x"), (f"touch {key} 2000000000", None), (f"ms {key} 1 T2000000000", "x")):
            self.session.ask(line, value)
            self.assertEqual(self.servers[shard].ask("EXPIRETIME", key), 2_000_000_000, line)
            self.say(f"append {key} 0 0 1", "y", b"STORED\r\n")
            self.assertEqual(self.servers[shard].ask("EXPIRETIME", key), 2_000_000_000, line)
        self.say(f"touch {key} 0", None, b"TOUCHED\r\n")
        self.assertEqual(self.servers[shard].ask("TTL", key), -1)

    def test_one_only_wins_when_clients_race(self):
        def deed(session, won):
            for n in range(60):
                reply = session.ask("gets n").split()
                if session.ask(f"cas n 0 0 3 {reply[4].decode()}", b"%03d" % (int(reply[5]) + 1)) == b"STORED\r\n":
                    won.append(n)
                session.ask("append text 0 0 1", "x")
                session.ask("incr count 3")
        for line, value in (("set n 0 0 3", "000"), ("set text 0 0 0", ""), ("set count 0 0 1", "0")):
            self.say(line, value, b"STORED\r\n")
        sessions, won = [MemcachedSession(self.sheaf.target(), None) for _ in range(4)], []
        threads = [threading.Thread(target=deed, args=(s, won)) for s in sessions]
        for step in (threading.Thread.start, threading.Thread.join):
            for thread in threads:
                step(thread)
        for session in sessions:
            session.end()
        self.say("get n", None, b"VALUE n 0 3\r\n%03d\r\nEND\r\n" % len(won))
        self.say("get count", None, b"VALUE count 0 3\r\n720\r\nEND\r\n")
        self.assertEqual(self.session.ask("mg text s"), b"HD s240\r\n")

    def test_rows_that_become_too_many_are_an_error_and_the_session_goes_on(self):
        sheaf = Sheaf(self, cache_pool([f"redis://{server.address}" for server in self.servers], max_session_memory="300kb", max_request="300kb"))
        names = [f"{n:06}" for n in range(15_000)]                       # "$1 x" and its ends each for the server, a row of 29 bytes for us
        for server in self.servers:
            server.ask("EVAL", "for n=0,14999 do redis.call('SET', string.format('%06d', n), 'x') end", "0")
        with MemcachedSession(sheaf.target(), None) as session:
            for most in (15_000, 5_000):
                reply = session.ask("get " + " ".join(names[:most]))
                if most == 5_000:
                    self.assertEqual(reply.count(b"VALUE"), most)
                else:
                    self.assertEqual(reply, b"SERVER_ERROR what the shards answer is together larger than max_session_memory: ask for less at a time, or set it higher\r\n")

    def test_a_server_that_forgets_the_script_is_sent_it_and_order_stays(self):
        self.say("set k 0 0 1", "1", b"STORED\r\n")
        for server in self.servers:
            server.ask("SCRIPT", "FLUSH")
        self.session.send(command("append k 0 0 1", "2") + command("get k") + command("incr k 1 noreply") + command("get k"))
        self.assertEqual([self.session.reply() for _ in range(3)], [b"STORED\r\n", b"VALUE k 0 2\r\n12\r\nEND\r\n", b"VALUE k 0 2\r\n13\r\nEND\r\n"])

    def test_the_binary_protocol_is_served(self):
        def ask(opcode, *parts, **more):
            session.send(binary(opcode, *parts, **more))
            return session.packet()
        get, set_, add, incr, append, getk, getkq, noop = 0, 1, 2, 5, 0x0e, 0x0c, 0x0d, 0x0a
        session = MemcachedSession(self.sheaf.target(), None)
        self.addCleanup(session.end)
        store, key = struct.pack(">II", 7, 0), b"with blank\0"
        status, _, cas = ask(set_, key, store, b"value")[1:4]
        self.assertEqual(status, 0)
        self.assertEqual(ask(get, key)[1:], (0, 0xdeadbeef, cas, store[:4], b"", b"value"))
        self.assertEqual(ask(set_, key, store, b"other", cas=cas + 1)[1], 2)
        self.assertEqual(ask(append, key, b"", b"+", cas=cas)[1], 0)
        self.assertEqual(ask(get, key)[6], b"value+")
        self.assertEqual(ask(add, key, store, b"x")[1], 2)
        counter = struct.pack(">QQI", 5, 2**63, 0)
        self.assertEqual([ask(incr, b"count", counter)[6] for _ in range(2)], [struct.pack(">Q", 2**63), struct.pack(">Q", 2**63 + 5)])
        self.assertEqual(ask(incr, key, counter)[1], 6)
        for key in (b" " * 187, b"\0" * 250):                             # too long for base64, which only memcached's servers need
            self.assertEqual(ask(set_, key, store, key[:2])[1], 0)
            self.assertEqual(ask(getk, key)[5:], (key, key[:2]))
        session.send(b"".join(binary(getkq, k) for k in (b"none", b"count")) + binary(noop))
        self.assertEqual(session.packet()[5:], (b"count", str(2**63 + 5).encode()))
        self.assertEqual(session.packet()[0], noop)

    def test_what_redis_can_not_say_is_refused_with_the_reason(self):
        for line, word in MEMCACHED_REFUSED:
            reply = self.session.ask(line, b"1" if line.startswith("ms") else None)
            self.assertTrue(reply.startswith(b"CLIENT_ERROR ") and b"over Redis" in reply and word in reply, reply)
        self.assertIn(b"STAT sheaf_pool", self.session.ask("stats"))
        key = keys_on_shards(3)[0][0]
        self.servers[0].ask("RPUSH", key, "x")
        self.say(f"get {key}", None, b"END\r\n")
        self.assertTrue(self.session.ask(f"append {key} 0 0 1", "x").startswith(b"SERVER_ERROR WRONGTYPE"))
        self.say("mn", None, b"MN\r\n")


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


    def test_so_they_do_over_redis(self):
        listen = [f"redis://127.0.0.1:{free_port()}", f"memcached://127.0.0.1:{free_port()}"]
        sheaf = Sheaf(self, pool([RedisServer(self), RedisServer(self)], listen=listen))
        with sheaf.connect() as r, MemcachedSession(sheaf.target(index=1), None) as m:
            for n in range(20):
                self.assertEqual(r.ask("SET", f"r{n}", n), "OK")
                self.assertEqual(m.ask(f"incr r{n} 1"), b"%d\r\n" % (n + 1))
                self.assertEqual(m.ask(f"set m{n} 0 0 1", "5"), b"STORED\r\n")
                self.assertEqual(r.ask("GET", f"m{n}")[16:], b"5")
            self.assertEqual(r.ask("DBSIZE"), 40)
            self.assertEqual(m.ask("flush_all"), b"OK\r\n")
            self.assertEqual(r.ask("DBSIZE"), 0)
            self.assertEqual(len(r.ask("COMMAND", "INFO", "get")), 1)


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
