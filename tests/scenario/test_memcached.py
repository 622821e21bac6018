#!/usr/bin/python3
# not under tsan: what workers share, test_memcached_faults has
"""Memcached pools: text, meta and binary clients over real memcached servers."""
import os
import random
import re
import socket
import struct
import time

from lib import *
from lib.dice import without_the_second_that_passes

LONG = os.environ.get("SHEAF_LONG") == "1"
GET, SET, GETQ, GETK, NOOP, INCR, SASL_LIST, SASL_AUTH = 0, 1, 9, 0x0c, 0x0a, 5, 0x20, 0x21
STORE = struct.pack(">II", 7, 0)


def connect(sheaf, user=None, **options):
    return MemcachedSession(sheaf.target(), user, **options)


class Shared(Case):
    """One pool of three servers for all tests, emptied before each.

    The servers have no threads that move items about: while one does, a number that is changed is copied, and not
    changed in place, so the blanks that decr leaves behind it are or are not there by chance."""

    @classmethod
    def setUpClass(cls):
        cls.servers = [MemcachedServer(cls, "-o", "no_lru_maintainer,no_lru_crawler") for _ in range(3)]
        cls.sheaf = Sheaf(cls, cache_pool(cls.servers))
        cls.one = MemcachedServer(cls, "-o", "no_lru_maintainer,no_lru_crawler")    # what all is compared with
        cls.keys = [each[0] for each in keys_on_shards(3)]

    def setUp(self):
        self.session = connect(self.sheaf)
        self.addCleanup(self.session.end)
        self.say("flush_all", None, b"OK\r\n")

    def say(self, line, value, reply):
        self.assertEqual(self.session.ask(line, value), reply)

    def ask(self, opcode, *parts, **more):
        self.session.send(binary(opcode, *parts, **more))
        return self.session.packet()


class Text(Shared):
    def test_what_was_set_is_got_and_lies_where_the_key_belongs(self):
        for shard, key in enumerate(self.keys):
            self.say(f"set {key} 5 0 4", f"val{shard}", b"STORED\r\n")
        for shard, key in enumerate(self.keys):
            row = b"VALUE %s 5 4\r\nval%d\r\nEND\r\n" % (key.encode(), shard)
            self.say(f"get {key}", None, row)
            for number, server in enumerate(self.servers):
                self.assertEqual(server.ask(f"get {key}"), row if number == shard else b"END\r\n")

    def test_keys_of_many_shards_are_got_in_their_order(self):
        names = [f"k{n}" for n in range(100)]
        for n, name in enumerate(names):
            if n % 7:
                self.session.send(command(f"set {name} {n} 0 {len(name)} noreply", name))
        random.Random(1).shuffle(names)
        asked = names + names[:5]
        rows = b"".join(b"VALUE %s %d %d\r\n%s\r\n" % (n.encode(), int(n[1:]), len(n), n.encode())
                        for n in asked if int(n[1:]) % 7)
        self.say("get " + " ".join(asked), None, rows + b"END\r\n")
        self.assertEqual(self.session.ask("gat 0 " + " ".join(asked)), rows + b"END\r\n")

    def test_noreply_is_silent_whatever_becomes_of_it(self):
        self.session.send(command("set n 0 0 1 noreply", "5") + command("add n 0 0 1 noreply", "6") +
                          command("incr n 2 noreply") + command("delete none noreply") + command("touch n 0 noreply") +
                          command("cas n 0 0 1 1 noreply", "8") + command("delete noreply noreply") +
                          command("set long 0 0 2000000 noreply", b"x" * 2000000) + command("mn"))
        self.assertEqual(self.session.reply(), b"MN\r\n")
        self.say("get n", None, b"VALUE n 0 1\r\n7\r\nEND\r\n")

    def test_values_up_to_the_servers_limit(self):
        for size in (0, 1, 70_000, 1_000_000):
            value = os.urandom(size)
            self.say(f"set big 0 0 {size}", value, b"STORED\r\n")
            self.say("get big", None, b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (size, value))
            self.say("mg big v", None, b"VA %d\r\n%s\r\n" % (size, value))
        self.say("set big 0 0 1100000", b"x" * 1100000, b"SERVER_ERROR object too large for cache\r\n")
        self.say("get big", None, b"END\r\n")

    def test_values_beyond_our_own_limit_are_passed_by(self):
        sheaf = Sheaf(self, cache_pool(self.servers, max_request="100kb"))
        with connect(sheaf) as session:
            self.assertEqual(session.ask("set a 0 0 1", "x"), b"STORED\r\n")
            self.assertEqual(session.ask("set a 0 0 3000000", b"y" * 3_000_000),
                             b"SERVER_ERROR object too large for cache\r\n")
            self.assertEqual(session.ask("get a"), b"END\r\n")
        with connect(sheaf) as session:
            session.send(binary(SET, b"a", STORE, b"y" * 3_000_000) + binary(NOOP))
            self.assertEqual(session.packet()[:2], (SET, 3))
            self.assertEqual(session.packet()[:2], (NOOP, 0))

    def test_rows_that_are_together_too_large_are_an_error_and_no_misses_and_the_session_goes_on(self):
        sheaf = Sheaf(self, cache_pool(self.servers, max_session_memory="1mb", max_request="512kb", on_shard_down="miss"))
        for protocol in ("text", "binary"):
            with connect(sheaf) as text, connect(sheaf) as session:
                for key in self.keys:
                    self.assertEqual(text.ask(f"set {key} 0 0 500000", b"x" * 500_000), b"STORED\r\n")
                if protocol == "text":
                    self.assertIn(b"SERVER_ERROR what the shards answer is together larger than max_session_memory", session.ask("get " + " ".join(self.keys)))
                    self.assertEqual(len(session.ask(f"get {self.keys[0]}")), 500_000 + len(f"VALUE {self.keys[0]} 0 500000\r\n\r\nEND\r\n"))
                else:
                    session.send(b"".join(binary(GETQ, key.encode()) for key in self.keys) + binary(NOOP))
                    packets = [session.packet()]
                    while packets[-1][0] != NOOP:
                        packets.append(session.packet())
                    self.assertEqual(len(packets), 4)                    # who fits has its value, who does not an error
                    self.assertTrue(any(b"larger than max_session_memory" in packet[6] for packet in packets if packet[1] != 0))
                    session.send(binary(GETQ, self.keys[1].encode()) + binary(NOOP))
                    self.assertEqual(len(session.packet()[6]), 500_000)

    def test_who_leaves_amid_a_pipeline_leaves_its_replies_to_nobody(self):
        self.say("set theirs 0 0 6", "theirs", b"STORED\r\n")
        self.say("set ours 0 0 4", "ours", b"STORED\r\n")
        for turn in range(30):
            with connect(self.sheaf) as leaving:
                leaving.send(command("get theirs") * 40 if turn % 2 else binary(GETQ, b"theirs") * 40 + binary(NOOP))
            for line in ("get ours", "gets ours theirs"):
                self.assertTrue(self.session.ask(line).startswith(b"VALUE ours 0 4"))

    def test_a_line_without_end_ends_the_session(self):
        self.session.send(b"x" * 5000)
        self.assertEqual(self.session.closed(), b"CLIENT_ERROR line too long\r\n")

    def test_quit_ends_the_session_once_all_is_answered(self):
        self.session.send(command("set q 0 0 1", "1") + command("get q") + command("quit") + command("get q"))
        self.assertEqual(self.session.closed(), b"STORED\r\nVALUE q 0 1\r\n1\r\nEND\r\n")


class Binary(Shared):
    def test_all_three_protocols_see_the_same_values(self):
        key = b"with blank\r\n\0"
        self.session = connect(self.sheaf)
        self.addCleanup(self.session.end)
        status, _, cas = self.ask(SET, key, STORE, b"\0value")[1:4]
        self.assertEqual(status, 0)
        self.assertGreater(cas, 0)
        self.assertEqual(self.ask(GETK, key)[1:], (0, 0xdeadbeef, cas, STORE[:4], key, b"\0value"))
        with connect(self.sheaf) as text:
            self.assertEqual(text.ask("mg d2l0aCBibGFuaw0KAA== b f c v"), b"VA 6 f7 c%d\r\n\0value\r\n" % cas)
        self.assertEqual(self.ask(SET, b"plain", STORE, b"x")[1], 0)
        with connect(self.sheaf) as text:
            self.assertEqual(text.ask("get plain"), b"VALUE plain 7 1\r\nx\r\nEND\r\n")

    def test_quiet_gets_answer_hits_only_and_noop_ends_them(self):
        self.session = connect(self.sheaf)
        self.addCleanup(self.session.end)
        for n in range(0, 60, 3):
            self.assertEqual(self.ask(SET, b"b%d" % n, STORE, b"%d" % n)[1], 0)
        self.session.send(b"".join(binary(GETQ, b"b%d" % n, opaque=n) for n in range(60)) + binary(NOOP, opaque=99))
        for n in range(0, 60, 3):
            opcode, status, opaque, _, _, _, value = self.session.packet()
            self.assertEqual((opcode, status, opaque, value), (GETQ, 0, n, b"%d" % n))
        self.assertEqual(self.session.packet()[:3], (NOOP, 0, 99))

    def test_a_stale_value_is_renewed_by_whom_a_meta_command_chose_whatever_binary_clients_read(self):
        self.say("set stale 0 0 1", "x", b"STORED\r\n")
        self.say("md stale I T600", None, b"HD\r\n")
        with connect(self.sheaf) as packets:
            packets.send(binary(GET, b"stale") + binary(GETQ, b"stale") + binary(NOOP))
            self.assertEqual([packets.packet()[-1] for _ in range(3)], [b"x", b"x", b""])
        self.say("mg stale v", None, b"VA 1 X W\r\nx\r\n")

    def test_what_is_not_binary_ends_the_session(self):
        self.session = connect(self.sheaf)
        self.addCleanup(self.session.end)
        self.assertEqual(self.ask(NOOP)[1], 0)
        self.session.send(b"get a\r\n" + b"x" * 40)
        self.assertEqual(self.session.closed(), b"")


class Whole(Shared):
    def test_flush_all_empties_all_shards_and_keeps_the_stamps(self):
        for key in self.keys:
            self.say(f"set {key} 0 0 1", "x", b"STORED\r\n")
        self.say("flush_all", None, b"OK\r\n")
        self.say("get " + " ".join(self.keys), None, b"END\r\n")
        for shard, server in enumerate(self.servers):
            self.assertIn(b"pool=main shard=%d/3" % shard, server.ask("get sheaf:stamp"))

    def test_the_stamp_is_not_for_clients(self):
        for line in ("get sheaf:stamp", "get a sheaf:stamp", "delete sheaf:stamp", "mg c2hlYWY6c3RhbXA= b v"):
            self.assertIn(b"CLIENT_ERROR the key 'sheaf:stamp' is Sheaf's own", self.session.ask(line))

    def test_stats_are_summed_up(self):
        for n in range(30):
            self.say(f"set s{n} 0 0 1", "x", b"STORED\r\n")
        stats = dict(line.split(b" ", 2)[1:] for line in self.session.ask("stats").split(b"\r\n")[:-2])
        self.assertEqual(int(stats[b"limit_maxbytes"]), 3 * 64 * 1024 * 1024)
        self.assertGreaterEqual(int(stats[b"cmd_set"]), 30)
        self.assertEqual(stats[b"sheaf_pool"], b"main")
        self.assertIn(b"state=up", stats[b"shard2"])
        self.assertTrue(self.session.ask("stats items").startswith(b"STAT items:1:number"))
        settings, theirs = (dict(line.split(b" ", 2)[1:] for line in session.ask("stats settings").split(b"\r\n")[:-2])
                            for session in (self.session, self.servers[0]))
        self.assertEqual(int(settings[b"maxbytes"]), 3 * 64 * 1024 * 1024)
        for name in (b"item_size_max", b"tcpport", b"umask", b"chunk_size", b"growth_factor", b"verbosity"):
            self.assertEqual(settings[name], theirs[name], "it is no counter")
        self.say("stats reset", None, b"RESET\r\n")
        self.assertIn(b"can't work through a pool", self.session.ask("stats cachedump 1 10"))

    def test_commands_of_one_server_are_refused_with_the_reason(self):
        for line in ("shutdown", "watch", "slabs reassign 1 2", "lru_crawler metadump all", "cache_memlimit 64"):
            self.assertIn(b"can't work through a pool of shards", self.session.ask(line))
        self.say("verbosity 0", None, b"OK\r\n")
        self.assertRegex(self.session.ask("version"), rb"^VERSION 1\.6\.")

    def test_the_admin_endpoint_knows_the_servers(self):
        def versions():
            shards = self.sheaf.status()["pools"][0]["shards"]
            return [shard["health"]["probe"]["version"] for shard in shards if shard["health"]["probe"]]
        wait_until(lambda: len(versions()) == 3, what="the probes")
        for version in versions():
            self.assertRegex(version, r"^1\.6\.")


class Differences(Shared):
    """Random commands to Sheaf and to one memcached: reply by reply the same, but for cas numbers.

    Numbers are changed one command at a time: in a pipeline memcached may change one in place that an earlier reply
    still points to, and shows the later number there."""

    def rounds(self, count):
        """How many commands each round sends at once, and whether some of them change numbers."""
        for turn in range(count):
            yield (turn, 50, False) if turn % 20 == 0 else (turn, 1, True)

    KEYS = [f"d{n}" for n in range(25)] + ["e:{tag}1", "x" * 250]

    def text_command(self, dice, cas, numbers):
        key, number = dice.choice(self.KEYS), dice.choice((0, 1, 5, 100, 2 ** 64 - 1))
        value = dice.choice((b"", b"7", b"12345", b"END", b"x\r\n", b"VALUE a 0 1", dice.randbytes(30)))
        quiet = dice.choice(("", "", " noreply"))
        flags = " ".join(dice.sample(("v", "f", "c", "k", "s", "Oabc", "q", "u", "h"), dice.randrange(6)))
        what = dice.randrange(16)
        while what in (9, 14) and not numbers:
            what = dice.randrange(16)
        if what < 3:
            return command(" ".join([dice.choice(("get", "gets", "gat 0", "gats 1000"))] +
                                    dice.choices(self.KEYS, k=dice.randrange(1, 12))))
        if what < 7:
            verb = dice.choice(("set", "set", "add", "replace", "append", "prepend"))
            return command(f"{verb} {key} {number % 2 ** 32} {dice.choice((0, 0, 1000, -1))} {len(value)}{quiet}", value)
        if what == 7:
            token = cas.get(key, 1)
            return command(f"cas {key} 3 0 {len(value)} {token}{quiet}", value)
        if what == 8:
            return command(f"delete {key}{dice.choice(('', ' 0', ' noreply', ' 0 noreply'))}")
        if what == 9:
            return command(f"{dice.choice(('incr', 'decr'))} {key} {number}{quiet}")
        if what == 10:
            return command(f"touch {key} {dice.choice((0, 1000))}{quiet}")
        if what == 11:
            return command(f"mg {key} {flags} {dice.choice(('', 'N0', 'T0', 'R30'))}")
        if what == 12:
            modes = dice.choice(("", "ME", "MR", "MA", "MP", "MS", "I", "F9", "T0"))
            flags = " ".join(dice.sample(("c", "k", "Oabc", "q"), dice.randrange(4)))
            return command(f"ms {key} {len(value)} {flags} {modes}", value)
        if what == 13:
            flags = " ".join(dice.sample(("k", "Oabc", "q", "I"), dice.randrange(3)))
            return command(f"md {key} {flags}")
        if what == 14:
            flags = " ".join(dice.sample(("v", "c", "k", "q", "q", "N0", "N0", "J5", "D3", "MD", "t", "T0", "Oabc"), dice.randrange(7)))
            return command(f"ma {key} {flags}")
        return dice.choice((b"bogus\r\n", b"get\r\n", b"set a b c\r\n", b"mg\r\n", b"verbosity 0\r\n", b"ms a S1\r\n",
                            b"incr a b\r\n", b"set k 0 0 2\r\nabc\r\n", b"touch a b\r\n", b"mg a v v\r\n"))

    @staticmethod
    def plain(reply):
        """A reply without its cas number."""
        line, rest = reply.split(b"\r\n", 1) if b"\r\n" in reply else (reply, b"")
        if line.startswith((b"VA", b"HD", b"EN", b"NF", b"NS", b"EX")) and b"VALUE" not in line:
            return re.sub(rb" c\d+", b" c#", line) + b"\r\n" + rest
        return b"\r\n".join([line, rest])

    @staticmethod
    def rows(reply):
        """The rows of a reply to gets, without their cas numbers."""
        out, at = [], 0
        while reply.startswith(b"VALUE ", at):
            end = reply.index(b"\r\n", at)
            words = reply[at:end].split(b" ")
            size = int(words[3])
            out.append((words[1], words[2], reply[end:end + 2 + size + 2]))
            at = end + 2 + size + 2
        return out, reply[at:]

    def same(self, asked, ours, theirs):
        for mine, other in zip(ours, theirs):
            if mine.startswith(b"VALUE "):
                self.assertEqual(self.rows(mine), self.rows(other), asked)
            else:
                self.assertEqual(*without_the_second_that_passes([self.plain(mine), self.plain(other)]), asked)
        self.assertEqual(len(ours), len(theirs), asked)

    @staticmethod
    def until_noop(session):
        replies = []
        while not replies or replies[-1] != b"MN\r\n":
            replies.append(session.reply())
        return replies

    def test_text_and_meta_commands_at_random(self):
        dice = random.Random(11)
        with self.one.connect() as other:
            self.assertEqual(other.ask("flush_all"), b"OK\r\n")
            tokens = [{}, {}]
            for turn, count, numbers in self.rounds(50_000 if LONG else 4000):
                if turn % 20 == 0:
                    for session, cas in ((self.session, tokens[0]), (other, tokens[1])):
                        reply = session.ask("gets " + " ".join(self.KEYS))
                        for row in re.findall(rb"VALUE (\S+) \d+ \d+ (\d+)\r\n", reply):
                            cas[row[0].decode()] = int(row[1])
                state = dice.getstate()
                batches = []
                for session, cas in ((self.session, tokens[0]), (other, tokens[1])):
                    dice.setstate(state)
                    batches.append(b"".join(self.text_command(dice, cas, numbers) for _ in range(count)) + b"mn\r\n")
                    session.send(batches[-1])
                self.same(batches[0], self.until_noop(self.session), self.until_noop(other))

    def binary_command(self, dice, cas, may_count):
        key = dice.choice([k.encode() for k in self.KEYS[:12]] + [b"a b", b"\0\r\n", b"\xff\x80", b"z" * 180 + b" "])
        value = dice.choice((b"", b"7", b"123", b"\r\nEND\r\n", bytes(range(60))))
        token = dice.choice((0, 0, 0, 1, cas.get(key, 0)))
        expiry = struct.pack(">I", dice.choice((0, 0, 1000, 0xffffffff)))
        what = dice.randrange(10)
        while what == 5 and not may_count:
            what = dice.randrange(10)
        if what == 0:
            return binary(dice.choice((0, 9, 0x0c, 0x0d)), key)
        if what == 9:   # a row of quiet gets
            keys = [k.encode() for k in self.KEYS[:12]] + [b"a b", b"\xff\x80"]
            return b"".join(binary(dice.choice((9, 0x0d)), dice.choice(keys), opaque=n) for n in range(dice.randrange(2, 100)))
        if what < 4:
            opcode = dice.choice((1, 1, 2, 3, 0x11, 0x12, 0x13))
            return binary(opcode, key, struct.pack(">I", dice.randrange(2 ** 32)) + expiry, value, token)
        if what == 4:
            return binary(dice.choice((4, 0x14)), key, cas=token)
        if what == 5:
            numbers = struct.pack(">QQ", dice.choice((0, 1, 2 ** 63)), dice.choice((0, 10, 2 ** 64 - 1)))
            return binary(dice.choice((5, 6, 0x15, 0x16)), key, numbers + expiry, cas=token)
        if what == 6:
            return binary(dice.choice((0x0e, 0x0f, 0x19, 0x1a)), key, b"", value, token)
        if what == 7:
            return binary(dice.choice((0x1c, 0x1d, 0x1e, 0x23, 0x24)), key, struct.pack(">I", dice.choice((0, 1000))))
        return binary(dice.choice((NOOP, 0x40, 0x1b, 0x20, 0x0b)))

    @staticmethod
    def packets(session, cas, last):
        """All until the noop with that opaque; learns cas numbers by key."""
        found = []
        while not found or (found[-1][0], found[-1][2]) != (NOOP, last):
            opcode, status, opaque, number, extras, key, value = session.packet()
            if key and status == 0:
                cas[key] = number
            found.append((opcode, status, opaque, number > 0, extras, key, value))
        return found

    def test_binary_commands_at_random(self):
        dice = random.Random(12)
        cas = [{}, {}]
        with self.one.connect() as other, connect(self.sheaf) as ours:
            self.assertEqual(other.ask("flush_all"), b"OK\r\n")
            with self.one.connect() as theirs:
                for turn, count, may_count in self.rounds(50_000 if LONG else 4000):
                    state = dice.getstate()
                    for session, known in ((ours, cas[0]), (theirs, cas[1])):
                        dice.setstate(state)
                        session.send(b"".join(self.binary_command(dice, known, may_count) for _ in range(count)) +
                                     binary(NOOP, opaque=turn))
                    self.assertEqual(self.packets(ours, cas[0], turn), self.packets(theirs, cas[1], turn), turn)


LONG_KEY, TOO_LONG = "k" * 250, "k" * 251
WORDS = (   # a conversation each; "|" ends a line
    "set a 1 0 1|x|mg a s v f t h k O123 q|mg a h|", "set a 1 0 1|x|md a q|md a q|md a q O1 k|md b q|",
    "set a 1 0 1|5|ma a q|ma b q|ma a q v|ma a MD q|ma a v|", "ma b N0 J5 v|ma b N0 J5 v|ma b MD D9 v|",
    "ms a 1 q|x|ms a 1 q ME|x|ms a 1 q C5|x|ms b 1 q MR|x|ms b 1 q MA|x|",
    "set a 1 0 1|x|md a I T30|mg a v s q|mg a v q|ms a 1 I C1|y|mg a v|", "mg a N30 v|mg a N30 v|ms a 1|y|mg a R30 t v|",
    "ms a S1|x|", "ms a 1 T|x|", "ms a 1 Tx|x|", "ms a 1 Fx|x|", "ms a 1 MZ|x|", "ms a x|", "ms a -1|", "ms a 1 b|x|",
    "ms a 1 T0 T0|x|", "ms a 2 q q|xx|", "ms a 1 Z|x|", f"ms {TOO_LONG} 1|x|", f"ms {LONG_KEY} 1|x|mg {LONG_KEY} k v|",
    "mg !! b v|", "md !! b|ma !! b|", "mg YQ== b v k|", "ms YQ== 1 b k|x|mg a k v|mg YQ== b k v O5|get a|me YQ== b|", "me a|me|", "mn x y|",
    "mg|md|ma|ms|", "mg a O0123456789012345678901234567890123456789|mg a O0123456789012345678901234567890123 q|",
    "mg a k k|mg a q q|mg a Z|ma a Z|md a Z|mg a|", "get a b|gets|get | get a|GET a|", "set a 1 0 1|x|bget a b a|bget a|bget|", "set noreply 0 0 1|x|delete noreply|delete noreply 0|get noreply|", "gat|gat 1|gat x a|gats 1 a b|",
    "set a 0 0 1 x|y|", "set a 0 0 1 noreply x|y|", "set a -1 0 1|y|", "set a 4294967295 0 1|y|get a|", "set a 0 x 1|y|",
    "set a 0 0 -1|y|", "set a 0 0 x|y|", "set a 0 -1 1|y|get a|", "set a 0 0 1 noreply|yy|", "set a 0 0 5|yy|mn|mn|",
    f"set {LONG_KEY} 0 0 1|x|get {LONG_KEY}|", f"set {TOO_LONG} 0 0 1|x|", f"get a {TOO_LONG}|", f"gat 0 {TOO_LONG}|",
    f"touch {TOO_LONG} 0|incr {TOO_LONG} 1|delete {TOO_LONG}|",
    f"mg {TOO_LONG}|ma {TOO_LONG}|md {TOO_LONG}|me {TOO_LONG}|",
    "cas a 0 0 1 1|x|set a 0 0 1|x|cas a 0 0 1 x|x|cas a 0 0 1|cas a 0 0 1 1 noreply|z|get a|",
    "incr a|incr a x|incr a -1|incr a 1 noreply|set a 0 0 1|x|incr a 1|incr a 1 noreply|decr a 1|",
    "set a 0 0 20|18446744073709551615|incr a 1|incr a 18446744073709551616|decr a 5|get a|",
    "touch a|touch a x|touch a 0|touch a 0 noreply|touch a 0 x|",
    "delete a 1|delete a 0|delete a 0 noreply|delete a x noreply|delete a 0 0|delete|delete a b c d|",
    "flush_all 0|flush_all x|flush_all noreply|flush_all 0 noreply|flush_all -1|flush_all 0 0 0|",
    "set a 0 0 1|x|flush_all 1|get a|",
    "verbosity|verbosity x|verbosity 0|verbosity 0 noreply|verbosity 0 0 0|verbosity noreply|", "version x|", "quit x|mn|",
    "|", "bogus a|", "GET / HTTP/1.1||mn|", "POST /a HTTP/1.0|Host: b||flush_all|", "get HTTP/1.1|",
    "append a 0 0 1|x|set a 5 0 1|x|append a 7 0 1|y|prepend a 7 0 1|z|get a|add a 0 0 1|x|replace b 0 0 1|x|",
    "stats reset|", "stats sizes|",
    # numbers as strtol() takes them
    "set a +1 \t0 01|x|get a|", "set a 1\t 00 1\tz|x|get a|", f"set a 0 0 {'0' * 30}1|x|get a|", "set a 0 0 1\r|x|get a|", "set a 0 0 +-1|x|",
    "set a 0 0 -0||get a|", "set a -18446744073709551615 0 1|x|get a|", "set a 0 0 -18446744073709551615|x|", "set a 0 +9223372036854775808 1|x|",
    "set a 0 0 1|5|incr a +5|incr a 05|incr a 5x|incr a \v2|decr a -0|decr a 18446744073709551617|touch a +0|touch a 5x|gat +0 a|gat -0 a|",
    "set a 0 0 1|5|ma a D+2 v|ma a D\t02 v|ma b N+0 J007 v|ma c q N00 J+5 v|mg c v t|mg a T+0 t|md a C+0|ms a +1 F007 T-0|x|mg a v f t|ms a 1 Tx|x|",
    "ms a 4 !|mn||ms a 4 5|mn||ms a 4 \t|mn||ms a S4|mn||", "  set a 0 0 1|x|  get a|   |\tget a|", "flush_all +0|flush_all 0x|verbosity +1|verbosity -0|verbosity x|",
    f"delete {TOO_LONG} 5|delete {TOO_LONG} 0|",
)
U32, NUMBERS = struct.Struct(">I").pack, struct.Struct(">QQI").pack
PACKETS = (     # the same in binary
    (0x0b,), (0x0b, b"x"), (0x10, b"reset"), (8, b"", U32(0)), (0x18,), (7,), (0x17,), (NOOP, b"x"),
    (NOOP, b"", b"abcd"), (GET,), (GET, b"k" * 251), (GET, b"k", b"1234"), (SET, b"k", b"1234", b"v"),
    (SET, b"", STORE, b"v"),
    (SET, b"k" * 251, STORE, b"v"), (0x0e, b"k", b"1234", b"v"), (0x1b,), (0x30,), (SASL_LIST,),
    (SASL_AUTH, b"PLAIN", b"", b"\0a\0b"),
    (0x22, b"PLAIN", b"", b"x"), (SET, b"k", STORE, b"v" * 1100000), (0x11, b"k", STORE, b"v" * 1100000),
    (2, b"k", STORE, b"v" * 1100000), (INCR, b"n", NUMBERS(1, 7, 2 ** 32 - 1)), (0x15, b"n", NUMBERS(1, 7, 2 ** 32 - 1)),
    (INCR, b"m", NUMBERS(1, 2 ** 64 - 1, 0)), (INCR, b"m", NUMBERS(1, 0, 0)), (6, b"m", NUMBERS(5, 0, 0)),
    (SET, b"k", STORE, b"v"),
    (INCR, b"k", NUMBERS(1, 0, 0)), (0x15, b"k", NUMBERS(1, 0, 0)), (SET, b"k", STORE, b"v", 99999), (2, b"k", STORE, b"v", 99999),
    (3, b"k", STORE, b"v", 99999), (4, b"k", b"", b"", 99999), (0x0e, b"k", b"", b"v", 99999),
    (0x14, b"k", b"", b"", 99999),
    (SET, b"l", U32(0) + U32(0x80000000), b"v"), (GET, b"l"), (GETQ, b"none"), (0x0d, b"none"), (GETK, b"none"),
    (0x1e, b"none", U32(5)),
    (0x1c, b"k", U32(5)), (0x1d, b"k", U32(5)), (0x23, b"k", U32(0)), (0x24, b"k", U32(0)), (0x1c, b"none", U32(5)),
    (8, b"", U32(1)),
)


class Words(Shared):
    """What memcached itself answers to each of these, right or wrong, and whether it hangs up."""

    def said(self, target, data):
        """All it answers until it, or we, end the session; without cas numbers."""
        with MemcachedSession(target) as session:
            session.send(data)
            session.socket.shutdown(socket.SHUT_WR)
            return session.closed()

    def both(self, data):
        return self.said(self.sheaf.target(), data), self.said(("127.0.0.1", self.one.port), data)

    def test_text_and_meta_commands(self):
        for words in WORDS:
            self.assertEqual(self.one.ask("flush_all"), b"OK\r\n")
            self.say("flush_all", None, b"OK\r\n")
            said = self.both(words.replace("|", "\r\n").encode() + b"mn\r\n")
            ours, theirs = (re.sub(rb"(cas|la)=\d+", b"", each) for each in said)
            self.assertEqual(ours, theirs, words)

    def test_binary_commands(self):
        self.assertEqual(self.one.ask("flush_all"), b"OK\r\n")
        for words in PACKETS:
            opcode, key, extras, value, cas = words + (b"", b"", b"", 0)[len(words) - 1:]
            data = binary(opcode, key, extras, value, cas) + binary(NOOP, opaque=7)
            ours, theirs = (re.sub(rb"(\x81.{15}).{8}", rb"\1", said, flags=re.S) for said in self.both(data))
            self.assertEqual(ours, theirs, words[:3])


class Times(Shared):
    """An expiry means the same in all forms, and what it means to the server."""

    MONTH = 30 * 86400  # up to it times count from now, beyond it from 1970

    def left(self, session):
        found = re.fullmatch(rb"(?:HD t(-?\d+)|EN)\r\n", session.ask("mg timed t"))
        return None if found[1] is None else int(found[1])

    def test_all_forms_set_the_same_time(self):
        now = int(time.time())
        with self.one.connect() as other, connect(self.sheaf) as packets:
            for seconds in (0, 100, self.MONTH, self.MONTH + 1, now + 1000, 2 ** 31 - 1):
                other.ask(f"set timed 0 {seconds} 1", "x")
                expected = self.left(other)
                for line, value in ((f"set timed 0 {seconds} 1", "x"), (f"ms timed 1 T{seconds}", "x"),
                                    (f"touch timed {seconds}", None), (f"mg timed T{seconds}", None), (None, None)):
                    if line:
                        self.session.ask(line, value)
                    else:
                        packets.send(binary(SET, b"timed", U32(0) + U32(seconds), b"x"))
                        self.assertEqual(packets.packet()[1], 0)
                    found = self.left(self.session)
                    if expected in (None, -1):
                        self.assertEqual(found, expected, (line, seconds))
                    else:   # some seconds may pass between the two
                        self.assertTrue(expected - 20 * SLOW <= found <= expected + 1, (line, seconds, found, expected))
                    self.session.ask("set timed 0 0 1", "x")

    def test_a_value_goes_when_its_time_is_over(self):
        self.say("set timed 0 1 1", "x", b"STORED\r\n")
        with connect(self.sheaf) as packets:
            packets.send(binary(SET, b"timed2", U32(0) + U32(1), b"x"))
            self.assertEqual(packets.packet()[1], 0)
        wait_until(lambda: self.session.ask("get timed timed2") == b"END\r\n", what="the values to go")


class Users(Case):
    def setUp(self):
        self.servers = [MemcachedServer(self, users={"sheaf": "inner"}) for _ in range(2)]
        urls = [server.url.replace("://", "://sheaf:inner@") for server in self.servers]
        self.sheaf = Sheaf(self, cache_pool(urls, user=["app secret prefix=app:", "admin root", "reader r allow=@read"]))

    def test_text_clients_log_in_as_with_memcached_itself(self):
        with connect(self.sheaf) as session:
            self.assertEqual(session.ask("get app:a"), b"CLIENT_ERROR unauthenticated\r\n")
            self.assertEqual(session.ask("set x 0 0 9", "app wrong"), b"CLIENT_ERROR authentication failure\r\n")
        with connect(self.sheaf, ("app", "secret")) as session:
            self.assertEqual(session.ask("set app:a 0 0 1", "x"), b"STORED\r\n")
            self.assertIn(b"may not touch", session.ask("get app:a other"))
            self.assertIn(b"reaches any key", session.ask("flush_all 10"))
        with connect(self.sheaf, ("reader", "r")) as session:
            self.assertEqual(session.ask("get app:a"), b"VALUE app:a 0 1\r\nx\r\nEND\r\n")
            self.assertIn(b"may not run 'set'", session.ask("set app:a 0 0 1", "x"))
            self.assertIn(b"may not run 'ms'", session.ask("ms app:a 1", "x"))
            self.assertEqual(session.ask("mg app:a v t"), b"VA 1 t-1\r\nx\r\n")
            for line in ("mg app:a v T1", "mg app:none v N30", "gat 1 app:a", "verbosity 1", "stats reset"):
                self.assertIn(b"may not run", session.ask(line), line)

    def test_binary_clients_log_in_by_sasl(self):
        with connect(self.sheaf) as session:
            session.send(binary(SASL_LIST) + binary(SASL_AUTH, b"PLAIN", b"", b"\0admin\0wrong") +
                         binary(SASL_AUTH, b"PLAIN", b"", b"\0admin\0root") + binary(SET, b"k", STORE, b"v"))
            self.assertEqual(session.packet()[-1], b"PLAIN")
            self.assertEqual(session.packet()[1], 0x20)
            self.assertEqual(session.packet()[1], 0)
            self.assertEqual(session.packet()[1], 0)
        with connect(self.sheaf) as session:
            session.send(binary(GET, b"k"))
            self.assertEqual(session.packet()[1], 0x20)
            self.assertEqual(session.closed(), b"")


class Doors(Case):
    def test_unix_sockets_and_tls(self):
        certificates = Certificates(self.folder())
        context = certificates.client_context()
        server = MemcachedServer(self)
        path = f"{self.folder()}/cache.sock"
        sheaf = Sheaf(self, cache_pool(
            [server], listen=[f"memcached+unix://{path}", f"memcacheds://127.0.0.1:{free_port()}"],
            tls_cert=certificates.cert("server"), tls_key=certificates.key("server")))
        with connect(sheaf) as session:
            self.assertEqual(session.ask("set a 0 0 1", "x"), b"STORED\r\n")
        with MemcachedSession(sheaf.target(index=1), wrap=lambda s: context.wrap_socket(s, server_hostname="localhost")) as session:
            self.assertEqual(session.ask("get a"), b"VALUE a 0 1\r\nx\r\nEND\r\n")
            session.send(binary(NOOP)[:1] + b"x" * 30)
            self.assertEqual(session.ask("mn"), b"ERROR\r\n")

    def test_a_swapped_shard_is_refused(self):
        servers = [MemcachedServer(self), MemcachedServer(self)]
        sheaf = Sheaf(self, cache_pool(servers))
        with connect(sheaf) as session:
            for key in (keys[0] for keys in keys_on_shards(2)):
                self.assertEqual(session.ask(f"set {key} 0 0 1", "x"), b"STORED\r\n")
        swapped = Sheaf(self, cache_pool(servers[::-1]))
        with connect(swapped) as session:
            reply = session.ask("get a")
            self.assertTrue(reply.startswith(b"SERVER_ERROR shard"), reply)
            self.assertIn(b"stamp", reply)


if __name__ == "__main__":
    main()
