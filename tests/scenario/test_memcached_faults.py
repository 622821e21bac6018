#!/usr/bin/python3
"""Memcached servers that die, stand still, are late or answer nonsense, under load: no reply reaches the wrong request,
no session is closed, and the shards that live do not notice."""
from lib import *
from lib.memcached_load import Loaded


class Faulty(Loaded, Case):
    def begin(self, faulty, through_faults=True, **options):
        self.faulty = faulty
        self.servers = [MemcachedServer(self) for _ in range(3)]
        self.wires = [Faults(self, ("127.0.0.1", server.port)) for server in self.servers] if through_faults else []
        self.sheaf = Sheaf(self, cache_pool(self.wires or self.servers, timeout=f"{int(400 * SLOW)}ms",
                                            backoff_max="100ms", probe="no", **options))
        self.keys = [each[0] for each in keys_on_shards(3)]
        self.work(self.sheaf, 3, faulty, 500)

    def serves(self, shard):
        with MemcachedSession(self.sheaf.target()) as session:
            return session.ask(f"set {self.keys[shard]} 0 0 1", "x") == b"STORED\r\n"

    def check(self, excused=lambda reply: False):
        """Replies of the shard that suffers may be excused."""
        self.stop()
        for each in self.traffic:
            foreign = [what for what in each.foreign if each.shard.get(what[0], self.faulty) != self.faulty or not excused(what[-1])]
            self.assertEqual((foreign[:3], each.closed), ([], None))
        for shard in range(3):
            if shard != self.faulty:
                self.assertEqual(self.errors(shard)[:3], [])
                self.holds_what_was_set(shard)

    def holds_what_was_set(self, shard):
        with self.servers[shard].connect() as session:
            for each in self.traffic:
                for key in (key for key in each.keys if each.shard[key] == shard):
                    self.assertEqual(session.ask(f"mg {key} v").split(b"\r\n")[1:2], [each.kept[key]], key)

    def names_the_shard(self):
        for error in self.errors(self.faulty):
            self.assertIn((self.wires or self.servers)[self.faulty].address.encode(), error)

    def test_a_killed_server_fails_alone_and_comes_back(self):
        self.begin(1, through_faults=False)
        self.servers[1].kill9()
        wait_until(lambda: self.errors(1), what="errors of the dead shard")
        self.more(500)
        self.servers[1].restart()
        wait_until(lambda: self.serves(1), what="the shard to be used again")
        with MemcachedSession(self.sheaf.target()) as session:
            self.assertEqual(session.ask("get " + " ".join(self.keys[:1])), b"END\r\n")
        self.check()
        self.names_the_shard()

    def test_a_server_that_stands_still_costs_its_own_requests_their_deadline(self):
        self.begin(2, through_faults=False)
        self.servers[2].stop()
        wait_until(lambda: self.errors(2), what="requests to time out")
        self.assertTrue(self.serves(0))
        self.servers[2].cont()
        wait_until(lambda: self.serves(2), what="the shard to be used again")
        self.more(500)
        self.check()
        self.names_the_shard()

    def test_replies_that_are_cut_short_late_or_nonsense_reach_nobody_else(self):
        self.begin(1)
        for turn in range(8):
            self.wires[1].cut_after = 7 + 13 * turn
            seen = len(self.errors(1))
            wait_until(lambda n=seen: len(self.errors(1)) > n, what="errors")
            self.wires[1].heal()
            wait_until(lambda: self.serves(1), what="the shard to be used again")
        for garbage in (b"+OK\r\n", b"STORED\r\nSTORED\r\n" * 300, b"VALUE x 0 99999999999\r\n", b"\0" * 100, b"VA -1\r\n",
                        b"VALUE x 0 3\r\nabcdef\r\n"):
            self.wires[1].garbage = garbage
            wait_until(lambda: self.wires[1].garbage is None, what="the garbage to be said")
            wait_until(lambda: self.serves(1), what="the shard to be used again")
        self.wires[1].one_byte = True
        self.more(60)
        self.wires[1].heal()
        seen = len(self.errors(1))
        self.wires[1].delay = 0.6 * SLOW
        wait_until(lambda: len(self.errors(1)) > seen, what="requests to time out")
        self.wires[1].heal()
        wait_until(lambda: self.serves(1), what="the shard to be used again")
        self.more(200)
        # Garbage that is a well-formed reply can't be told from one.
        self.check(excused=lambda reply: b"STORED" in reply)

    def test_dead_shards_are_misses_where_the_pool_says_so(self):
        for kind in (MemcachedServer, RedisServer):
            with self.subTest(kind.__name__):
                self.a_dead_shard_is_a_miss([kind(self) for _ in range(3)])

    def a_dead_shard_is_a_miss(self, servers):
        keys = [each[0] for each in keys_on_shards(3)]
        listen = [f"memcached://127.0.0.1:{free_port()}", f"redis://127.0.0.1:{free_port()}"]
        sheaf = Sheaf(self, cache_pool([server.url for server in servers], listen=listen, on_shard_down="miss", backoff_max="100ms"))
        with MemcachedSession(sheaf.target()) as session, MemcachedSession(sheaf.target()) as packets, sheaf.connect(index=1) as redis:
            for key in keys:
                self.assertEqual(session.ask(f"set {key} 0 0 1", "x"), b"STORED\r\n")
            servers[1].kill9()
            wait_until(lambda: session.ask(f"get {keys[1]}") == b"END\r\n", what="a miss")
            rows = [b"VALUE %s 0 1\r\nx\r\n" % key.encode() for key in keys]
            self.assertEqual(session.ask("get " + " ".join(keys)), rows[0] + rows[2] + b"END\r\n")
            self.assertEqual(session.ask(f"mg {keys[1]} v"), b"EN\r\n")
            packets.send(binary(0, keys[1].encode()) + binary(9, keys[1].encode()) + binary(1, keys[1].encode(), b"\0" * 8))
            self.assertEqual(packets.packet()[1], 1)
            self.assertEqual(packets.packet()[:2], (1, 0x86))
            self.assertIsNone(redis.ask("GET", keys[1]))
            for line in (f"gats 10 {keys[1]}", f"gets {keys[1]}"):
                self.assertEqual(session.ask(line), b"END\r\n")
            self.assertEqual(session.ask(f"mg {keys[1]} v t"), b"EN\r\n")
            for line, value in ((f"set {keys[1]} 0 0 1", "x"), (f"append {keys[1]} 0 0 1", "x"), (f"delete {keys[1]}", None),
                                (f"incr {keys[1]} 1", None), (f"touch {keys[1]} 10", None), ("flush_all", None)):
                self.assertTrue(session.ask(line, value).startswith(b"SERVER_ERROR shard 1 "), line)


if __name__ == "__main__":
    main()
