#!/usr/bin/python3
# not under tsan: one session's own affairs
"""What test_faults.py and test_hostile.py show of Redis servers and their clients, of memcached's: servers that stand still,
lie or close, clients that do not read, leave or talk nonsense.  Under load: test_memcached_faults.py."""
import os
import pathlib
import re
import signal
import socket
import threading

import test_hostile
from lib import *

BIG = b"v" * 900_000


class MemcachedCase(Case):
    def begin(self, shards=2, through_faults=False, server_options=(), **options):
        self.servers = [MemcachedServer(self, *server_options) for _ in range(shards)]
        self.wires = [Faults(self, ("127.0.0.1", server.port)) for server in self.servers] if through_faults else []
        self.sheaf = Sheaf(self, cache_pool(self.wires or self.servers, **{"timeout": f"{int(400 * SLOW)}ms", "backoff_max": "100ms", "probe": "no", **options}))
        self.keys = [each[0] for each in keys_on_shards(shards)] if shards > 1 else ["a"]

    def session(self, sheaf=None):
        session = MemcachedSession((sheaf or self.sheaf).target())
        self.addCleanup(session.end)
        return session

    def names(self, reply, shard):
        """The reply is an error that names the shard and its endpoint."""
        self.assertTrue(reply.startswith(b"SERVER_ERROR ") and reply.endswith(b"\r\n"), reply)
        self.assertIn((self.wires or self.servers)[shard].address.encode(), reply)

    def stored(self, session, key, value="1"):
        return session.ask(f"set {key} 0 0 {len(value)}", value) == b"STORED\r\n"

    def has(self, session, key, value=b"1"):
        return session.ask(f"get {key}") == b"VALUE %s 0 %d\r\n%s\r\nEND\r\n" % (key.encode(), len(value), value)

    def garble(self, shard, garbage, key):
        self.wires[shard].garbage_after = key.encode()
        self.wires[shard].garbage = garbage


class Servers(MemcachedCase):
    def test_a_dead_shard_answers_at_once_and_all_may_be_dead_at_the_start(self):
        self.begin()
        for server in self.servers:
            server.kill9()
        sheaf = Sheaf(self, cache_pool(self.servers, timeout="20s", backoff_max="100ms"))
        session = self.session(sheaf)
        for shard, key in enumerate(self.keys):
            session.send(command(f"get {key}") * 100)
            for _ in range(100):
                self.names(session.reply(), shard)                       # in all less than one timeout, or reply() gives up
        for server in self.servers:
            server.restart()
        for key in self.keys:
            wait_until(lambda k=key: self.stored(session, k), what="the shard to be used")

    def test_a_server_is_restarted_again_and_again(self):
        self.begin()
        session = self.session()
        for turn in range(5):
            self.servers[0].restart()
            wait_until(lambda: self.stored(session, self.keys[0]), what="the shard to be used again")
            self.assertTrue(self.stored(session, self.keys[1], str(turn)))

    def test_who_times_out_is_told_at_the_deadline_and_its_late_reply_goes_to_nobody(self):
        self.begin(shards=1, timeout=f"{int(200 * SLOW)}ms")
        slow, patient = self.session(), self.session()
        self.assertTrue(self.stored(slow, "a") and self.stored(slow, "b", "22"))
        self.servers[0].stop()
        self.names(slow.ask("get a"), 0)
        patient.send(command("get b"))
        self.servers[0].cont()
        reply = patient.reply()
        self.assertTrue(reply == b"VALUE b 0 2\r\n22\r\nEND\r\n" or reply.startswith(b"SERVER_ERROR"), reply)
        wait_until(lambda: self.has(slow, "a") and self.has(patient, "b", b"22"), what="it to be used again")

    def test_a_request_that_could_not_be_sent_in_time_is_never_carried_out(self):
        path = self.folder() / "memcached.sock"
        path.parent.chmod(0o777)
        server = Process(["memcached", "-s", path, "-a", "777", "-m", 64, "-t", 1, "-u", "nobody"])
        self.addCleanup(server.kill)
        wait_until(path.exists, what="memcached to listen")
        sheaf = Sheaf(self, cache_pool([f"memcached+unix://{path}"], timeout=f"{int(200 * SLOW)}ms", connect_timeout="200ms", backoff_max="100ms", probe="no"), proxy={"workers": 1})
        big, small = self.session(sheaf), self.session(sheaf)
        wait_until(lambda: self.stored(small, "n"), what="the server to be used")
        server.stop()
        big.send(command(f"set big 0 0 {len(BIG)}", BIG))                # more than the socket holds
        wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 1, what="it to be under way")
        self.assertIn(b"it was not carried out", small.ask("incr n 1"))
        self.assertIn(b"may have been carried out", big.reply())
        server.cont()
        wait_until(lambda: self.has(small, "n"), what="it to be used again")
        self.assertEqual(small.ask("get big"), b"END\r\n")

    def test_garbage_is_never_given_to_a_client(self):
        self.begin(through_faults=True)
        session = self.session()
        for number, garbage in enumerate((b"garbage\r\n", b"\x00\xff\x00\xff\n", b"VALUE x 0 -7\r\n", b"VALUE n 0 99999999999999\r\n", b"VA 12a\r\n", b"+OK\r\n", b"$3\r\nabc\r\n",
                                          b"HTTP/1.1 400 Bad Request\r\n\r\n", b"VALUE n 0 3\r\nabcde\r\nEND\r\n", b"without an end", b"VALUE " + b"x" * 20_000)):
            with self.subTest(garbage[:20]):
                key = next(k for k in (f"g{number}:{n}" for n in range(100)) if shard_of(k, 2) == 0)
                wait_until(lambda k=key: self.stored(session, k), what="the shard to be used again")
                self.garble(0, garbage, key)
                reply = session.ask(f"get {key}")
                if reply != b"VALUE %s 0 1\r\n1\r\nEND\r\n" % key.encode():
                    self.names(reply, 0)
                self.assertIsNone(self.wires[0].garbage, "the garbage was sent")
                self.garble(0, garbage, key)
                refused = session.ask(f"incr {key} 1")
                self.names(refused, 0)
                self.assertTrue(self.stored(session, self.keys[1]))
                value = b"2" if b"may have been carried out" in refused else b"1"
                wait_until(lambda k=key, v=value: self.has(session, k, v), what="a new upstream to be used")

    def test_a_reply_that_nobody_asked_for_ends_the_upstream(self):
        self.begin(shards=1, through_faults=True)
        session = self.session()
        self.assertTrue(self.stored(session, "a"))
        self.garble(0, b"VALUE a 0 1\r\n1\r\nEND\r\nVALUE a 0 3\r\nlie\r\nEND\r\n", "get a")
        for _ in range(100):
            reply = session.ask("get a")
            self.assertTrue(reply == b"VALUE a 0 1\r\n1\r\nEND\r\n" or reply.startswith(b"SERVER_ERROR"), reply)
        wait_until(lambda: self.has(session, "a"))

    def test_a_reply_too_many_is_not_given_to_a_request_that_was_not_sent_yet(self):
        liar = test_hostile.Liar(self, lambda data: b"VERSION 1.6.18\r\n" if b"version" in data else b"STORED\r\n" * data.count(b"set"))
        sheaf = Sheaf(self, cache_pool([f"memcached://{liar.address}"], probe="no", stamp="no"), proxy={"workers": 1})
        tasks = list(pathlib.Path(f"/proc/{sheaf.process.pid}/task").glob("*/stat"))
        session = self.session(sheaf)
        self.assertTrue(self.stored(session, "a"))
        sheaf.process.signal(signal.SIGSTOP)                             # see test_hostile.py
        wait_until(lambda: all(task.read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks), what="all of it to sleep")
        for sender, piece in ((session.socket, command("set a 0 0 1", "2")), (liar.wires[0], b"NOT_STORED\r\n")):
            sender.sendall(piece)
            wait_until(lambda s=sender, p=piece: test_hostile.Servers.unread(s) == len(p), what="it to have arrived")
        sheaf.process.signal(signal.SIGCONT)
        self.assertEqual(session.reply(), b"STORED\r\n")
        self.assertTrue(self.stored(session, "a", "3"))

    def test_a_server_that_is_stricter_than_we_finds_no_commands_in_values(self):
        """memcached from 1.6.40 on gives up a line with such a length, blank or flag, and goes on behind it."""
        seen = []
        liar = test_hostile.Liar(self, lambda data: b"VERSION 1.6.40\r\n" if b"version" in data else seen.append(data) or (b"HD\r\n" if data[:1] == b"m" else b"STORED\r\n"))
        session = self.session(Sheaf(self, cache_pool([f"memcached://{liar.address}"], probe="no", stamp="no")))
        value = b"\r\nflush_all\r\n"
        for line, plain in ((b"set k 0 0 000000000000009", b"set k 0 0 9"), (b"set k +1 1\t 9\t", b"set k 1 1 9"), (b" set k 0 0 9", b"set k 0 0 9"),
                            (b"add k  01 0 9\r noreply", b"add k  1 0 9 "), (b"cas k 0 -0 +9 \t7", b"cas k 0 0 9 7"), (b"cas k 0 0 9 -18446744073709551615", b"cas k 0 0 9 1"), (b"ms k 0000000000009 T+5 O+1 F07", b"ms k 9 T5 O+1 F7"),
                            (b"ms k 9 !", None), (b"ms k 9 \t", None), (b"ms k 9 k \xff", None)):
            del seen[:]
            session.send(line + value + b"mn\r\n")
            reply = session.reply()
            self.assertEqual(reply[:12] == b"CLIENT_ERROR", plain is None, line)
            self.assertEqual(b"".join(seen), b"" if plain is None else plain + value, line)
            if b"noreply" not in line:
                self.assertEqual(session.reply(), b"MN\r\n")

    def test_a_server_that_does_not_reply_to_a_last_word_of_noreply_is_asked_in_another_way(self):
        """So memcached from 1.6.40 on takes a key of that name, and knows no bget."""
        seen = []
        liar = test_hostile.Liar(self, lambda data: b"VERSION 1.6.40\r\n" if b"version" in data else seen.append(data) or
                                 (b"" if re.search(b"(delete|bget) noreply *\r\n", data) else b"END\r\n" if b"get" in data else b"DELETED\r\n"))
        session = self.session(Sheaf(self, cache_pool([f"memcached://{liar.address}"], probe="no", stamp="no")))
        self.assertEqual([session.ask("delete noreply"), session.ask("bget noreply"), session.ask("bget a noreply")], [b"DELETED\r\n", b"END\r\n", b"END\r\n"])
        session.send(b"delete noreply noreply\r\nmn\r\n")
        self.assertEqual([session.reply(), session.ask("delete b")], [b"MN\r\n", b"DELETED\r\n"])
        self.assertEqual(b"".join(seen), b"delete noreply 0\r\nget noreply\r\nget a noreply\r\ndelete noreply 0\r\ndelete b\r\n")

    def test_errors_of_any_words_are_errors_and_cost_no_connection(self):
        self.begin(shards=1, through_faults=True)
        session = self.session()
        self.assertTrue(self.stored(session, "a"))
        before = self.wires[0].accepted
        for error in (b"ERROR\r\n", b"SERVER_ERROR\r\n", b"SERVER_ERROR out of memory storing object\r\n", b"CLIENT_ERROR line is too long\r\n", b"SERVER_ERROR temporary failure\r\n"):
            self.garble(0, error, "get a")
            self.assertEqual(session.ask("get a"), error)
            wait_until(lambda: self.has(session, "a"))
        self.assertEqual(self.wires[0].accepted, before)

    def test_a_full_server_says_so_in_its_own_words(self):
        self.begin(shards=1, server_options=("-M", "-m", "2"))
        session = self.session()
        self.assertTrue(self.stored(session, "small"))
        replies = {session.ask(f"set big{n} 0 0 {len(BIG)}", BIG) for n in range(8)}
        self.assertTrue(any(b"ut of memory" in reply for reply in replies), replies)
        self.assertTrue(self.has(session, "small"))

    def test_replies_that_come_byte_by_byte_are_whole(self):
        self.begin(through_faults=True, timeout="20s")
        session = self.session()
        for wire in self.wires:
            wire.one_byte = True
        a, b = self.keys
        self.assertTrue(self.stored(session, a, "x" * 300) and self.stored(session, b, "\r\n" * 50))
        self.assertEqual(session.ask(f"get {b} {a} none"), b"VALUE %s 0 100\r\n%s\r\nVALUE %s 0 300\r\n%s\r\nEND\r\n" % (b.encode(), b"\r\n" * 50, a.encode(), b"x" * 300))
        session.send(command(f"mg {a} s v") + command(f"ms {b} 2 c", "77") + command(f"incr {b} 1"))
        self.assertEqual(session.reply(), b"VA 300 s300\r\n" + b"x" * 300 + b"\r\n")
        self.assertTrue(session.reply().startswith(b"HD c"))
        self.assertEqual(session.reply(), b"78\r\n")

    def test_a_big_reply_that_ends_in_the_middle_is_not_taken_for_a_whole_one(self):
        self.begin(through_faults=True)
        session, other = self.session(), self.session()
        self.assertEqual(session.ask(f"set {self.keys[0]} 0 0 {len(BIG)}", BIG), b"STORED\r\n")
        self.wires[0].cut_after = 300_000
        try:
            self.names(session.ask(f"get {self.keys[0]}"), 0)
        except (EOFError, ConnectionResetError):
            pass                                                         # its beginning had gone out already, so only an end is honest
        self.assertTrue(self.stored(other, self.keys[1]))
        self.wires[0].heal()
        wait_until(lambda: self.has(other, self.keys[0], BIG))

    def test_a_server_that_takes_connections_and_never_answers(self):
        self.begin(through_faults=True)
        session = self.session()
        self.wires[0].black_hole = True
        self.wires[0].cut()
        session.send(command(f"get {self.keys[0]}") + command(f"set {self.keys[1]} 0 0 1", "1"))
        self.names(session.reply(), 0)
        self.assertEqual(session.reply(), b"STORED\r\n")
        self.wires[0].heal()
        self.wires[0].cut()
        wait_until(lambda: self.stored(session, self.keys[0]))

    def test_a_server_that_closes_every_connection_is_tried_ever_more_rarely(self):
        self.begin(shards=1, through_faults=True, backoff_min="50ms", backoff_max="10s")
        self.wires[0].cut_after = 0
        session, asked = self.session(), 0
        while self.wires[0].accepted < 4:                                # after 50, 100, 200 ms, each of them or half of it
            self.names(session.ask("get a"), 0)
            asked += 1
        self.assertGreater(asked, 20)


class Clients(MemcachedCase):
    def test_a_client_that_stops_reading_costs_a_bounded_memory_and_gets_everything_when_it_reads(self):
        self.begin(max_session_memory="4mb", max_request="1mb")
        session, other = self.session(), self.session()
        values = {f"big:{n}": bytes([65 + n]) * 200_000 for n in range(4)}
        for key, value in values.items():
            self.assertEqual(other.ask(f"set {key} 0 0 {len(value)}", value), b"STORED\r\n")
        before = self.sheaf.process.memory_kib()
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        session.send(b"".join(command(f"get big:{n % 4}") for n in range(200)))
        most = 0
        for n in range(1000):
            self.assertTrue(self.stored(other, self.keys[n % 2], str(n)))
            most = max(most, self.sheaf.process.memory_kib())
        if SLOW == 1:
            self.assertLess(most - before, 3 * 4096, "growth in KiB beside a limit of 4096")
        for n in range(200):
            self.assertTrue(session.reply() == b"VALUE big:%d 0 200000\r\n%s\r\nEND\r\n" % (n % 4, values[f"big:{n % 4}"]), n)

    def test_a_client_that_half_closes_gets_its_replies_and_then_the_end(self):
        self.begin()
        a, b = self.keys
        text = command(f"set {a} 0 0 1", "1") + command(f"set {b} 0 0 1 noreply", "2") + command(f"get {a} {b}")
        for data, length in ((text, len(b"STORED\r\nEND\r\n") + 2 * len(b"VALUE  0 1\r\n1\r\n") + len(a) + len(b)),
                             (binary(0x0a) + binary(0x09, b"none") + binary(0x0a), 2 * 24)):
            session = self.session()
            session.send(data)
            session.socket.shutdown(socket.SHUT_WR)
            self.assertEqual(len(session.closed()), length)

    def test_a_client_that_sends_byte_by_byte_is_understood(self):
        self.begin()
        session, packets = self.session(), self.session()
        for byte in command(f"set {self.keys[0]} 0 0 4", "a\r\nb") + command("get " + " ".join(self.keys)) + command(f"ms {self.keys[1]} 2 q", "22") + b"mn\r\n":
            session.send(bytes([byte]))
        self.assertEqual([session.reply() for _ in range(3)], [b"STORED\r\n", b"VALUE %s 0 4\r\na\r\nb\r\nEND\r\n" % self.keys[0].encode(), b"MN\r\n"])
        for byte in binary(0, self.keys[1].encode()):
            packets.send(bytes([byte]))
        self.assertEqual(packets.packet()[6], b"22")

    def test_clients_that_leave_or_talk_nonsense_disturb_nobody(self):
        self.begin()
        other = self.session()
        for key in self.keys:
            self.assertEqual(other.ask(f"set big:{key} 0 0 200000", b"x" * 200_000), b"STORED\r\n")
        junk = (os.urandom(5000), b"\x80" + os.urandom(5000), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" * 50, b"set a 0 0 -1\r\nx\r\n", b"get " + b"k" * 251 + b"\r\n",
                b"\x00" * 70_000, b"ms a 99999999999999999999\r\n", b"\x80\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" + b"\0" * 40)
        for n in range(120):
            with MemcachedSession(self.sheaf.target()) as session:
                try:
                    if n % 4 == 0:
                        session.send(command(f"get big:{self.keys[n % 2]}") * 20)
                    elif n % 4 == 1:
                        session.send(command("set half 0 0 10000", "x" * 10_000)[:5000])
                    elif n % 4 == 2:
                        session.send(command("get " + " ".join(self.keys)) * 5)
                        session.reply()
                    else:
                        session.send(junk[n // 4 % len(junk)])
                        session.socket.shutdown(socket.SHUT_WR)
                        while session.socket.recv(65536):
                            pass
                except OSError:
                    pass
            self.assertTrue(self.stored(other, self.keys[n % 2], str(n)) and self.has(other, self.keys[n % 2], str(n).encode()))

    def test_many_sessions_come_and_go_and_nothing_is_left(self):
        self.begin()
        first = self.session()
        self.assertTrue(self.stored(first, self.keys[0]) and self.stored(first, self.keys[1]))
        before = self.sheaf.process.open_files()

        def come_and_go():
            for _ in range(10):
                sessions = [MemcachedSession(self.sheaf.target()) for _ in range(25)]
                for number, session in enumerate(sessions):
                    session.send(command(f"set go:{number} 0 0 1", "x") + command(f"get go:{number}"))
                for session in sessions[::2]:
                    session.reply()
                for session in sessions:
                    session.end()

        threads = [threading.Thread(target=come_and_go) for _ in range(2)]
        for step in (threading.Thread.start, threading.Thread.join):
            for thread in threads:
                step(thread)
        wait_until(lambda: self.sheaf.process.open_files() <= before + 8, what="sessions to be closed")
        self.assertTrue(self.has(first, self.keys[0]))


if __name__ == "__main__":
    main()
