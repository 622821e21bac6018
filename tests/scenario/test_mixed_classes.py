#!/usr/bin/python3
# not under tsan: what test_classes.py says of it
"""Classes of keys where clients and servers speak different protocols: the same rules, told in the client's words."""
import time

from lib import *
from lib.growth import appends_up_to

FAR_S = 90 * 86400                                                       # a date to memcached
CLASSES = (
    ("class locks", {"in": ("over-memcached", "over-redis"), "prefix": "lock:", "access": "forbidden"}),
    ("class fixed", {"in": ("over-memcached", "over-redis"), "prefix": "fixed:", "access": "read-only"}),
    ("class small", {"in": ("over-memcached", "over-redis"), "prefix": "small:", "max_value": "4b"}),
    ("class brief", {"in": ("over-memcached", "over-redis"), "prefix": "b:", "ttl": "100s", "max_ttl": "1000s"}),
    ("class most", {"in": ("over-memcached", "over-redis"), "prefix": "m:", "max_ttl": "999500ms"}),
    ("class soft", {"in": ("over-memcached", "over-redis"), "prefix": "s:", "ttl": "99500ms"}),
    ("class long", {"in": ("over-memcached", "over-redis"), "prefix": "l:", "ttl": f"{FAR_S}s"}),
    ("class kept", {"in": ("over-memcached", "over-redis"), "prefix": "h:", "cache": "1h"}),
    ("class other-m", {"in": "over-memcached", "prefix": "o:", "pool": "caches"}),
    ("class other-r", {"in": "over-redis", "prefix": "o:", "pool": "stores"}),
    ("class inside", {"in": "over-redis", "prefix": "i:", "pool": "ram"}),
)


class Mixed(Case):
    @classmethod
    def setUpClass(cls):
        cls.caches = [MemcachedServer(cls) for _ in range(3)]
        cls.stores = [RedisServer(cls) for _ in range(3)]
        cls.ports = {name: free_port() for name in ("rm", "mm", "rr", "mr")}
        pools = []
        for name, servers, ports in (("over-memcached", cls.caches[:2], ("rm", "mm")), ("caches", cls.caches[2:], ()),
                                     ("over-redis", cls.stores[:2], ("rr", "mr")), ("stores", cls.stores[2:], ())):
            each = pool([server.url for server in servers], name)
            del each[1]["listen"]                                        # only classes use some
            if ports:
                each[1]["listen"] = [f"{scheme}://127.0.0.1:{cls.ports[port]}" for scheme, port in zip(("redis", "memcached"), ports)]
            pools.append(each)
        ram = pool(["ram://16mb"], "ram")
        del ram[1]["listen"]
        cls.sheaf = Sheaf(cls, *pools, ram, *CLASSES)

    def redis_session(self, port):
        session = RespSession(("127.0.0.1", self.ports[port]))
        self.addCleanup(session.close)
        return session

    def memcached_session(self, port):
        session = MemcachedSession(("127.0.0.1", self.ports[port]), None)
        self.addCleanup(session.end)
        return session

    def near(self, left, seconds, what=None):
        most = seconds + (seconds == FAR_S)                              # by two clocks of whole seconds
        self.assertTrue(left == seconds if seconds < 0 else seconds - 60 * SLOW < left <= most, (what, left, seconds))


class RedisOverMemcached(Mixed):
    def setUp(self):
        self.session, self.plain = self.redis_session("rm"), self.memcached_session("mm")
        self.ask = self.session.ask
        self.assertEqual(self.ask("FLUSHALL"), "OK")

    def refused(self, start, *words):
        reply = self.ask(*words)
        self.assertIsInstance(reply, Failure, words)
        self.assertTrue(reply.startswith(start), (words, reply))

    def lives(self, key, seconds, what=None):
        self.near(self.ask("TTL", key), seconds, what or key)

    def test_rights(self):
        for words in (("GET", "lock:1"), ("SET", "lock:1", "x"), ("MGET", "a", "lock:1"), ("DEL", "a", "lock:1"), ("EXISTS", "lock:1"), ("TTL", "lock:1"), ("INCR", "lock:1")):
            self.refused("NOPERM keys of class locks are forbidden", *words)
        for words in (("SET", "fixed:a", "2"), ("DEL", "fixed:a"), ("EXPIRE", "fixed:a", "1"), ("GETEX", "fixed:a"), ("INCR", "fixed:a"), ("MSET", "a", "1", "fixed:a", "2")):
            self.refused("NOPERM keys of class fixed are read-only", *words)
        self.assertEqual([self.ask(*words) for words in (("GET", "fixed:a"), ("STRLEN", "fixed:a"), ("MGET", "fixed:a", "a"))], [None, 0, [None, None]])

    def test_sizes_those_of_what_grows_too(self):
        self.assertEqual(self.ask("SET", "small:a", "123"), "OK")
        for words in (("SET", "small:a", "12345"), ("SETEX", "small:a", "100", "12345"), ("APPEND", "small:a", "45"), ("SETRANGE", "small:a", "3", "12"),
                      ("MSET", "big", "12345", "small:a", "12345"), ("INCRBY", "small:a", "100000"), ("GETSET", "small:a", "12345")):
            self.refused("ERR a value of ", *words)
        self.assertEqual(self.ask("GET", "small:a"), b"123")
        self.assertEqual(self.ask("APPEND", "small:a", "4"), 4)

    def test_who_sets_a_key_without_an_end_gets_the_classs(self):
        self.assertEqual(self.ask("MSET", "b:m", "1", "s:m", "1", "l:m", "1", "other", "1"), "OK")
        for key, seconds in (("b:m", 100), ("s:m", 100), ("l:m", FAR_S), ("other", -1)):
            self.lives(key, seconds)
        for words, seconds in ((("SET", "s:1", "v"), 100), (("SET", "b:1", "v"), 100), (("SET", "l:1", "v"), FAR_S), (("SET", "m:1", "v"), 1000), (("SETNX", "b:2", "v"), 100),
                               (("SETNX", "l:2", "v"), FAR_S), (("GETSET", "b:3", "v"), 100), (("SET", "b:4", "v", "NX", "GET"), 100), (("INCR", "b:5"), 100), (("APPEND", "l:6", "x"), FAR_S),
                               (("SETRANGE", "b:7", "2", "x"), 100), (("INCRBYFLOAT", "s:8", "1.5"), 100), (("SET", "b:9", "v", "KEEPTTL"), 100), (("SET", "other:1", "v"), -1)):
            self.assertNotIsInstance(self.ask(*words), Failure, words)
            self.lives(words[1], seconds, words)

    def test_who_asks_for_more_gets_the_most_and_who_asks_for_less_gets_that(self):
        late = int(time.time()) + 100_000
        for words, seconds in ((("SET", "b:1", "v", "EX", "5000"), 1000), (("SET", "b:1", "v", "PX", "5000000"), 1000), (("SET", "m:1", "v", "EX", "5000"), 1000), (("SETEX", "b:2", "5000", "v"), 1000),
                               (("PSETEX", "b:3", "5000000", "v"), 1000), (("SET", "b:4", "v", "EXAT", late), 1000), (("EXPIRE", "b:4", "5000"), 1000), (("EXPIREAT", "b:3", late), 1000),
                               (("PEXPIREAT", "b:2", late * 1000), 1000), (("GETEX", "b:1", "EX", "5000"), 1000), (("PERSIST", "b:1"), 1000), (("GETEX", "b:2", "PERSIST"), 1000),
                               (("SET", "b:1", "v", "EX", "50"), 50), (("SETEX", "b:1", "50", "v"), 50), (("EXPIRE", "b:2", "50"), 50), (("INCR", "b:n"), 100), (("EXPIRE", "b:n", "20"), 20),
                               (("INCR", "b:n"), 20), (("SET", "s:1", "v", "EX", "5000"), 5000), (("PERSIST", "s:1"), -1)):
            self.assertNotIsInstance(self.ask(*words), Failure, words)
            self.lives(words[1], seconds, words)
        self.refused("ERR", "SET", "b:1", "v", "PX", "1500")              # no exact time, whatever the class

    def test_places(self):
        self.assertEqual(self.ask("MSET", "o:1", "x", "near", "y"), "OK")
        self.assertEqual(self.caches[2].ask("get o:1"), b"VALUE o:1 0 1\r\nx\r\nEND\r\n")
        self.assertEqual(self.ask("MGET", "o:1", "near", "o:2"), [b"x", b"y", None])
        self.assertEqual(self.ask("APPEND", "o:1", "z"), 2)
        self.assertEqual(self.ask("DEL", "o:1", "near"), 2)
        self.ask("SET", "o:1", "x")
        self.assertEqual(self.ask("FLUSHALL"), "OK")
        self.assertEqual(self.caches[2].ask("get o:1"), b"END\r\n")

    def test_values_are_kept_until_somebody_changes_them_here(self):
        def everywhere(value):
            for session in sessions * 3:
                self.assertEqual(session.ask("GET", "h:k"), value)

        sessions = [self.redis_session("rm") for _ in range(8)]
        home = self.caches[1] if b"h:k" in self.seen("h:k") else self.caches[0]
        self.ask("SET", "h:k", "old")
        everywhere(b"old")
        self.assertEqual(home.ask("set h:k 0 0 6", b"behind"), b"STORED\r\n")
        everywhere(b"old")
        for words, value in ((("SET", "h:k", "1"), b"1"), (("INCR", "h:k"), b"2"), (("GETDEL", "h:k"), None), (("MSET", "h:k", "5", "a", "b"), b"5"), (("APPEND", "h:k", "6"), b"56"),
                             (("DEL", "h:k"), None), (("SET", "h:k", "7"), b"7"), (("FLUSHALL",), None)):
            self.assertNotIsInstance(sessions[3].ask(*words), Failure)
            everywhere(value)
        for line, data, value in (("set h:k 3 0 1", b"8", b"8"), ("append h:k 0 0 1", b"9", b"89"), ("delete h:k", None, None)):
            self.plain.ask(line, data)                                   # a client of the other protocol
            everywhere(value)
        self.ask("SET", "h:k", "short", "EX", "2")
        everywhere(b"short")
        wait_until(lambda: home.ask("get h:k") == b"END\r\n")
        everywhere(None)

    def seen(self, key):
        self.ask("SET", key, "x")
        return self.caches[1].ask(f"get {key}")


class MemcachedOverRedis(Mixed):
    def setUp(self):
        self.session, self.plain = self.memcached_session("mr"), self.redis_session("rr")
        self.ask = self.session.ask
        self.assertEqual(self.ask("flush_all"), b"OK\r\n")

    def test_rights_and_sizes(self):
        self.assertIn(b"keys of class locks are forbidden", self.ask("get near lock:1"))
        self.assertIn(b"keys of class locks are forbidden", self.ask("ms lock:1 1", b"x"))
        self.assertEqual(self.ask("get fixed:a"), b"END\r\n")
        for line, value in (("set fixed:a 0 0 1", b"x"), ("mg fixed:a v T30", None), ("gat 30 fixed:a", None), ("incr fixed:a 1", None)):
            self.assertIn(b"keys of class fixed are read-only", self.ask(line, value))
        self.assertEqual(self.ask("set small:a 0 0 4", b"1234"), b"STORED\r\n")
        self.assertEqual(self.ask("add small:b 0 0 5", b"12345"), b"SERVER_ERROR object too large for cache\r\n")
        self.assertEqual(self.ask("set small:a 0 0 5", b"12345"), b"SERVER_ERROR object too large for cache\r\n")
        self.assertEqual(self.ask("get small:a"), b"END\r\n")
        appends_up_to(self, lambda: self.memcached_session("mr"))

    def test_ends(self):
        for line, key, seconds in (("set b:1 0 0 1", "b:1", 100), ("add m:2 0 5000 1", "m:2", 1000), ("set s:1 0 5000 1", "s:1", 5000), ("set l:1 0 0 1", "l:1", FAR_S),
                                   ("ms b:2 1", "b:2", 100), ("ms m:5 1 T5000 F3", "m:5", 1000), ("ms b:5 1 T50", "b:5", 50), ("set other 0 0 1", "other", -1)):
            self.assertIn(self.ask(line, b"1"), (b"STORED\r\n", b"HD\r\n"), line)
            self.near(self.plain.ask("TTL", key), seconds, line)
        for line, key, seconds in (("touch b:1 0", "b:1", 100), ("touch b:1 50", "b:1", 50), ("incr b:1 1", "b:1", 50), ("gat 5000 b:2 other", "b:2", 1000), ("mg m:5 T0", "m:5", 1000),
                                   ("ma m:count N0 J5", "m:count", 1000), ("md m:count", "m:count", -2)):
            self.ask(line)
            self.near(self.plain.ask("TTL", key), seconds, line)
        self.session.end()
        session = self.memcached_session("mr")
        session.send(binary(0x01, b"b:bin", bytes(8), b"v"))
        self.assertEqual(session.packet()[1], 0)
        self.near(self.plain.ask("TTL", "b:bin"), 100)

    def test_places(self):
        self.assertEqual(self.ask("set o:1 7 0 1", b"x"), b"STORED\r\n")
        self.assertEqual(self.stores[2].ask("GET", "o:1")[16:], b"x")
        self.assertEqual(self.ask("set near 0 0 1", b"y"), b"STORED\r\n")
        self.assertEqual(self.ask("get o:1 near o:2"), b"VALUE o:1 7 1\r\nx\r\nVALUE near 0 1\r\ny\r\nEND\r\n")
        self.assertEqual(self.plain.ask("EXISTS", "o:1", "near"), 2)
        self.assertEqual(self.ask("flush_all"), b"OK\r\n")
        self.assertEqual(self.stores[2].ask("EXISTS", "o:1"), 0)

    def test_keys_of_a_class_inside_the_process(self):
        self.assertEqual(self.ask("set i:1 7 0 1", b"5"), b"STORED\r\n")
        self.assertEqual(self.ask("set near 0 0 1", b"y"), b"STORED\r\n")
        self.assertEqual(self.ask("incr i:1 6"), b"11\r\n")
        self.assertEqual(self.ask("append i:1 0 0 1", b"!"), b"STORED\r\n")
        self.assertEqual(self.ask("get near i:1"), b"VALUE near 0 1\r\ny\r\nVALUE i:1 7 3\r\n11!\r\nEND\r\n")
        self.assertEqual([store.ask("EXISTS", "i:1") for store in self.stores], [0, 0, 0])
        self.assertEqual(self.plain.ask("GET", "i:1")[16:], b"11!")

    def test_values_are_kept_until_somebody_changes_them_here(self):
        def everywhere(reply):
            for session in sessions * 3:
                self.assertEqual(session.ask("get h:k"), reply)

        def row(value, flags=0):
            return f"VALUE h:k {flags} {len(value)}\r\n{value}\r\nEND\r\n".encode()

        sessions = [self.memcached_session("mr") for _ in range(8)]
        self.assertEqual(self.ask("set h:k 7 0 3", b"old"), b"STORED\r\n")
        everywhere(row("old", 7))
        for store in self.stores[:2]:
            store.ask("SET", "h:k", "behind", "XX")
        everywhere(row("old", 7))
        self.assertEqual(self.ask("ms h:k 3", b"new"), b"HD\r\n")
        everywhere(row("new"))
        self.assertEqual(self.plain.ask("SET", "h:k", "redis"), "OK")     # a client of the other protocol
        everywhere(row("redis"))
        self.assertEqual(self.ask("append h:k 0 0 1", b"!"), b"STORED\r\n")
        everywhere(row("redis!"))
        self.ask("md h:k")
        everywhere(b"END\r\n")


if __name__ == "__main__":
    main()
