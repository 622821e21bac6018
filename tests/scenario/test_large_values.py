#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Values that are too long to be looked at: sessions that ask for them have upstreams of their own,
and their bodies go from socket to socket inside the kernel.  Not a byte may differ for it."""
import random
import socket

from lib import *

SIZES = [(16 << 10) - 1, (32 << 10) + 1, (48 << 10) + 7, (64 << 10) - 1, 64 << 10, (64 << 10) + 1,
         (80 << 10) + 13, (256 << 10) - 3, 1 << 20, (1 << 20) + (16 << 10), (5 << 20) + 1]


def value_of(size, seed=0):
    return random.Random(size * 31 + seed).randbytes(size)


class LargeValues(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.sheaf = Sheaf(cls, pool(cls.redis), proxy={"workers": 1})
        cls.values = {f"large:{size}": value_of(size) for size in SIZES}
        with cls.sheaf.connect() as session:
            for key, value in cls.values.items():
                session.ask("SET", key, value)
            for n in range(8):
                session.ask("SET", f"small:{n}", f"small:{n}")

    def grown(self, **options):
        """A session that has asked for large values already."""
        session = self.sheaf.connect(**options)
        for key in ("large:1048576", f"large:{(1 << 20) + (16 << 10)}"):
            self.assertTrue(session.ask("GET", key) == self.values[key])
        return session

    def test_of_any_size_they_come_back_byte_for_byte(self):
        with self.grown() as session:
            for _ in range(2):
                for key, value in self.values.items():
                    self.assertTrue(session.ask("GET", key) == value, key)

    def test_in_a_pipeline_of_all_kinds_each_reply_is_the_right_one(self):
        dice = random.Random(7)
        with self.grown() as session:
            for _ in range(6):
                keys = dice.choices(list(self.values), k=6) + [f"small:{n}" for n in range(8)]
                dice.shuffle(keys)
                session.send(b"".join(encode("GET", key) for key in keys) + encode("MGET", *keys))
                expected = [self.values.get(key, key.encode()) for key in keys]
                for key, value in zip(keys, expected):
                    self.assertTrue(session.reply() == value, key)
                self.assertTrue(session.reply() == expected)

    def test_a_client_that_reads_by_bits_gets_every_byte(self):
        with self.grown() as session:
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            keys = ["large:1048576", f"large:{(5 << 20) + 1}", "small:1", "large:65537"]
            session.send(b"".join(encode("GET", key) for key in keys))
            got = bytearray()
            expected = b"".join(b"$%d\r\n%s\r\n" % (len(v), v) for v in
                                (self.values.get(key, key.encode()) for key in keys))
            while len(got) < len(expected):
                got += session.socket.recv(3000 if len(got) < 300_000 else 1 << 20)
            self.assertTrue(bytes(got) == expected)

    def test_clients_that_leave_amid_a_value_cost_nobody_a_byte(self):
        with self.grown() as stays:
            for n in range(20):
                with self.grown() as leaves:
                    leaves.send(encode("GET", f"large:{(5 << 20) + 1}") * 2)
                    leaves.socket.recv(1 + n * 20_000)
                self.assertTrue(stays.ask("GET", "large:1048576") == self.values["large:1048576"])
                self.assertEqual(stays.ask("GET", f"small:{n % 8}"), b"small:%d" % (n % 8))

    def test_in_resp3_and_over_unix_sockets_they_are_the_same(self):
        path = self.folder() / "large.sock"
        sheaf = Sheaf(self, pool([f"redis+unix://{r.socket}" for r in self.redis],
                                 listen=f"redis+unix://{path}"))
        with sheaf.connect() as session:
            session.ask("HELLO", "3")
            for _ in range(2):
                for key, value in self.values.items():
                    self.assertTrue(session.ask("GET", key) == value, key)

    def test_elements_of_long_replies_are_passed_too(self):
        items = [value_of(100_000, seed) for seed in range(12)]
        self.sheaf.ask("DEL", "{large}list")
        self.sheaf.ask("RPUSH", "{large}list", *items)
        with self.grown() as session:
            for _ in range(3):
                self.assertTrue(session.ask("LRANGE", "{large}list", 0, -1) == items)

    def test_a_server_that_falls_amid_a_value_ends_the_session_and_no_other(self):
        redis = [RedisServer(self) for _ in range(2)]
        faults = [Faults(self, ("127.0.0.1", r.port)) for r in redis]
        sheaf = Sheaf(self, pool(faults, backoff_max="200ms"))
        keys = [keys[0] for keys in keys_on_shards(2)]
        value = value_of(2 << 20)
        with sheaf.connect() as session, sheaf.connect() as other:
            self.assertEqual(session.ask("SET", keys[0], value), "OK")
            self.assertTrue(session.ask("GET", keys[0]) == value)
            self.assertTrue(session.ask("GET", keys[0]) == value)
            faults[0].cut_after = 700_001
            session.send(encode("GET", keys[0]))
            got = bytearray()
            while data := session.socket.recv(1 << 20):
                got += data
            whole = b"$%d\r\n%s\r\n" % (len(value), value)
            self.assertLess(len(got), len(whole))
            self.assertTrue(whole.startswith(bytes(got)), "what came is the value's own beginning")
            self.assertEqual(other.ask("SET", keys[1], "1"), "OK")
            faults[0].heal()
            wait_until(lambda: other.ask("GET", keys[0]) == value)


if __name__ == "__main__":
    main()
