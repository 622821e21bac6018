#!/usr/bin/python3
"""Memcached servers that die, stand still, are late or answer nonsense, under load: no reply reaches the wrong request,
no session is closed, and the shards that live do not notice."""
import re
import threading

from lib import *


class Traffic(threading.Thread):
    """One session that sets and gets its own keys in pipelines, in text or binary; each value names its key and turn."""

    def __init__(self, sheaf, shards, number, binary_form):
        super().__init__(daemon=True)
        self.session = MemcachedSession(sheaf.target())
        self.binary = binary_form
        self.keys = [f"t{number}:{key}" for key in range(30)]
        self.shard = {key: shard_of(key, shards) for key in self.keys}
        self.done, self.turn, self.foreign, self.closed = 0, 0, [], None
        self.errors = [[] for _ in range(shards)]
        self.end = threading.Event()

    def run(self):
        try:
            while not self.end.is_set():
                self.turn += 1
                self.round_binary() if self.binary else self.round_text()
                self.done += 2 * len(self.keys)
        except (OSError, EOFError) as error:
            self.closed = repr(error)

    def fails(self, key, reply):
        if b"SERVER_ERROR" in reply or b"shard" in reply:
            self.errors[self.shard[key]].append(reply)
            return True
        return False

    def value(self, key, turn=None):
        return f"{key}={self.turn if turn is None else turn}".encode()

    def may_be(self, key, value):
        """This turn's value or, as a set may have failed, an earlier one's."""
        name, _, turn = value.decode().partition("=")
        return name == key and int(turn) <= self.turn

    def round_text(self):
        self.session.send(b"".join(
            command(f"set {key} 0 0 {len(self.value(key))}", self.value(key)) + command(f"mg {key} v") for key in self.keys) +
            command("get " + " ".join(self.keys)))
        for key in self.keys:
            reply = self.session.reply()
            if reply != b"STORED\r\n" and not self.fails(key, reply):
                self.foreign.append((key, reply))
            reply = self.session.reply()
            good = reply == b"EN\r\n" or (reply.startswith(b"VA ") and self.may_be(key, reply.split(b"\r\n")[1]))
            if not good and not self.fails(key, reply):
                self.foreign.append((key, reply))
        reply = self.session.reply()
        rows = dict(re.findall(rb"VALUE (\S+) 0 \d+\r\n(.*)\r\n", reply))
        if not reply.endswith(b"END\r\n") and b"SERVER_ERROR" not in reply:
            self.foreign.append(("all", reply))
        self.foreign += [(key, value) for key, value in rows.items() if not self.may_be(key.decode(), value)]

    def round_binary(self):
        self.session.send(b"".join(binary(1, key.encode(), b"\0" * 8, self.value(key), opaque=2 * n) +
                                   binary(0, key.encode(), opaque=2 * n + 1) for n, key in enumerate(self.keys)) +
                          b"".join(binary(0x0d, key.encode(), opaque=n) for n, key in enumerate(self.keys)) + binary(10))
        for n, key in enumerate(self.keys):
            for wanted in (2 * n, 2 * n + 1):
                opcode, status, opaque, _, _, _, value = self.session.packet()
                good = opaque == wanted and (status == 1 or (status == 0 and (opcode == 1 or self.may_be(key, value))))
                if not good and not (opaque == wanted and self.fails(key, value)):
                    self.foreign.append((key, opcode, status, opaque, value))
        opcode = None
        while opcode != 10:
            opcode, status, opaque, _, _, name, value = self.session.packet()
            key = self.keys[opaque] if opcode == 0x0d else None
            good = opcode == 10 or (name.decode() == key and self.may_be(key, value))
            if not good and not self.fails(key, value):
                self.foreign.append((key, opcode, status, opaque, value))


class Faulty(Case):
    def begin(self, through_faults=True, **options):
        self.servers = [MemcachedServer(self) for _ in range(3)]
        self.wires = [Faults(self, ("127.0.0.1", server.port)) for server in self.servers] if through_faults else []
        self.sheaf = Sheaf(self, cache_pool(self.wires or self.servers, timeout=f"{int(400 * SLOW)}ms",
                                            backoff_max="100ms", probe="no", **options))
        self.keys = [each[0] for each in keys_on_shards(3)]
        self.traffic = [Traffic(self.sheaf, 3, number, number % 2 == 1) for number in range(4)]
        for each in self.traffic:
            each.start()
        self.addCleanup(self.stop)
        self.more(500)

    def stop(self):
        for each in self.traffic:
            each.end.set()
        for each in self.traffic:
            each.join(30)

    def more(self, count):
        goals = [each.done + count for each in self.traffic]
        wait_until(lambda: any(each.closed for each in self.traffic) or
                   all(each.done >= goal for each, goal in zip(self.traffic, goals)), seconds=30, what="traffic")

    def errors(self, shard):
        return [error for each in self.traffic for error in each.errors[shard]]

    def serves(self, shard):
        with MemcachedSession(self.sheaf.target()) as session:
            return session.ask(f"set {self.keys[shard]} 0 0 1", "x") == b"STORED\r\n"

    def check(self, faulty):
        self.stop()
        for each in self.traffic:
            self.assertEqual((each.foreign[:3], each.closed), ([], None))
        for shard in range(3):
            if shard != faulty:
                self.assertEqual(self.errors(shard)[:3], [])
        for error in self.errors(faulty):
            self.assertIn((self.wires or self.servers)[faulty].address.encode(), error)

    def test_a_killed_server_fails_alone_and_comes_back(self):
        self.begin(through_faults=False)
        self.servers[1].kill9()
        wait_until(lambda: self.errors(1), what="errors of the dead shard")
        self.more(500)
        self.servers[1].restart()
        wait_until(lambda: self.serves(1), what="the shard to be used again")
        with MemcachedSession(self.sheaf.target()) as session:
            self.assertEqual(session.ask("get " + " ".join(self.keys[:1])), b"END\r\n")
        self.check(1)

    def test_a_server_that_stands_still_costs_its_own_requests_their_deadline(self):
        self.begin(through_faults=False)
        self.servers[2].stop()
        wait_until(lambda: self.errors(2), what="requests to time out")
        self.assertTrue(self.serves(0))
        self.servers[2].cont()
        wait_until(lambda: self.serves(2), what="the shard to be used again")
        self.more(500)
        self.check(2)

    def test_replies_that_are_cut_short_late_or_nonsense_reach_nobody_else(self):
        self.begin()
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
        self.stop()
        for each in self.traffic:
            # Garbage that is a well-formed reply can't be told from one; a binary client has no words for one to another command.
            foreign = [what for what in each.foreign if b"STORED" not in what[-1] and what[-1] != b"Internal error"]
            self.assertEqual((foreign[:3], each.closed), ([], None))
        self.assertEqual((self.errors(0)[:3], self.errors(2)[:3]), ([], []))

    def test_dead_shards_are_misses_where_the_pool_says_so(self):
        servers = [MemcachedServer(self) for _ in range(3)]
        keys = [each[0] for each in keys_on_shards(3)]
        sheaf = Sheaf(self, cache_pool(servers, on_shard_down="miss", backoff_max="100ms"))
        with MemcachedSession(sheaf.target()) as session, MemcachedSession(sheaf.target()) as packets:
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
            for line, value in ((f"set {keys[1]} 0 0 1", "x"), (f"delete {keys[1]}", None), ("flush_all", None)):
                self.assertTrue(session.ask(line, value).startswith(b"SERVER_ERROR shard 1 "), line)


if __name__ == "__main__":
    main()
