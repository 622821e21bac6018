"""Random commands to Sheaf and to the server that it stands for, whose replies are compared one by one; what a test's
own servers are asked besides, it adds itself."""
import base64
import random
import re
import struct

from lib.memcached import binary, command


class Dice:
    def __init__(self, seed):
        self.random = random.Random(seed)

    def one(self, choices):
        return self.random.choice(choices)


VALUES = ["", "0", "1", "-7", "9223372036854775807", "3.25", "1e3", " 1", "01", "abc", b"\r\n\x00" * 9, "x" * 300]
NUMBERS = ["0", "1", "-1", "3", "-3", "100000", "x", "", "1.5", "9223372036854775807", "-9223372036854775808", "01"]
RISING, RISING_FAR = "~", "~~"                          # a life, ever another one; and such a one of months
LEAST = {RISING: 0, RISING_FAR: 5_000_000}


class RedisDice(Dice):
    """Random commands of Redis clients, with replies that time does not change; a test's own has TIMES (words for lives
    in seconds), FAR (dates in the far future) and others()."""

    KEYS = [f"k{i}" for i in range(12)] + [b"\x00\r\n\xff", "{t}a", "{t}b"]

    def __init__(self, seed):
        super().__init__(seed)
        self.life = 2_000

    def _rising(self, least):
        """Ever another one, so that GT and LT mean the same to clocks of seconds and of milliseconds."""
        self.life = self.life + 3 if self.life < 99_996 else 2_000
        return str(least + self.life)

    def _set_options(self):
        words = []
        for _ in range(self.one((0, 0, 1, 1, 2, 3))):
            words += self.one((["NX"], ["XX"], ["GET"], ["KEEPTTL"], ["EX", self.one(self.TIMES)], ["PX", "5000000"],
                               ["EXAT", self.one(self.FAR)], ["PXAT", self.one(self.FAR) + "000"], ["PX", "-1500"], ["EX"], ["get"], ["zz"]))
        return words

    def _key_command(self, key):
        value, number, time, date = self.one(VALUES), self.one(NUMBERS), self.one(self.TIMES), self.one(self.FAR)
        flags = self.random.sample(["NX", "XX", "GT", "LT", "ZZ"], self.one((0, 0, 0, 1, 1, 2)))
        return self.one((
            ["GET", key], ["GET", key], ["SET", key, value], ["SET", key, value, *self._set_options()], ["SET", key, value, *self._set_options()],
            ["SETEX", key, "5000", value], ["SETEX", key, time, value], ["PSETEX", key, "5000000", value], ["SETNX", key, value],
            ["GETSET", key, value], ["GETDEL", key], ["GETEX", key], ["GETEX", key, "PERSIST"], ["GETEX", key, "EXAT", date],
            ["GETEX", key, "EX", time], ["GETEX", key, "PERSIST", "EX", "1"], ["GETEX", key, "EXAT", "1"], ["TYPE", key], ["STRLEN", key],
            ["APPEND", key, value], ["SETRANGE", key, self.one(("0", "3", "-1", "x", "500", "600000000")), value],
            ["GETRANGE", key, number, self.one(NUMBERS)], ["SUBSTR", key, "0", "-1"], ["INCR", key], ["DECR", key],
            ["INCRBY", key, number], ["DECRBY", key, number], ["INCRBYFLOAT", key, self.one(("1.5", "-3", "x", "1e2", "nan", "inf", "0.1"))],
            ["EXPIREAT", key, date, *flags], ["PEXPIREAT", key, date + "000", *flags], ["EXPIREAT", key, "1", *flags],
            ["PEXPIREAT", key, "1234", *flags], ["PEXPIRE", key, "-1500", *flags], ["GETEX", key, "PXAT", "1234567"],
            ["EXPIRE", key, self.one(("-1", "0", "x", RISING, "9223372036854775807")), *flags], ["PERSIST", key]))

    def _many_keys(self):
        many, value = self.random.choices(self.KEYS, k=self.one((1, 2, 4, 9))), self.one(VALUES)
        return (["MGET", *many], ["DEL", *many], ["MSET", *[w for k in many for w in (k, value)]], ["MSET", "k1"],
                ["UNLINK", *many], ["EXISTS", *many], ["TOUCH", *many], ["GET"], ["SET", "k1"], ["FLUSHDB", "NOW"])

    def command(self):
        words = self.one((*[self._key_command(self.one(self.KEYS)) for _ in range(30)], *self._many_keys(), *self.others()))
        return [self._rising(LEAST[word]) if word in LEAST else word for word in words]

    def _brief(self):
        """A key that lives for less than 2,000 seconds, and not until the next commands."""
        life, value = self.random.randrange(60, 1_990), self.one(VALUES)
        other, flag = self.one((life - 5, life + 5, 2_500)), self.one(("GT", "LT", "XX", "NX"))
        begins = self.one((["SET", "brief", value, "EX", str(life)], ["SETEX", "brief", str(life), value], ["SET", "brief", value, "PX", f"{life}000", "NX"]))
        return [["DEL", "brief"], begins, ["EXPIRE", "brief", str(other), flag], self.one((["SET", "brief", "1", "KEEPTTL"], ["GETEX", "brief", "EX", str(life)], ["INCR", "brief"])),
                ["GET", "brief"], ["EXPIRE", "brief", str(self.random.randrange(1, 60))], ["PERSIST", "brief"], ["TTL", "brief"], ["DEL", "brief"]]

    def commands(self):
        if self.random.random() < 0.03:
            return self._brief()
        return [self.command() for _ in range(self.one((1, 1, 5, 20)))]


TEXT_KEYS = [f"k{i}" for i in range(10)] + ["other", "z" * 250]
META_KEYS = ["k1", "k2", "k3", "other"]
BASE64 = base64.b64encode(b"with blank\0").decode()
MEMCACHED_VALUES = [b"", b"0", b"9", b"10", b"100", b"18446744073709551615", b"18446744073709551616", b"-1", b" 12 x", b"007", b"7\0x", b"-0", b"-18446744073709551615", b"+5", b"abc",
                    b"12\r\n3", bytes(range(256)), b"x" * 5000, b"\xf5mc\x01", b"1000000000", b"999999999"]
NO_CAS = 2**62  # of no item: memcached counts from 1
# Over Redis and embedded shards, and a word of the reason.
MEMCACHED_REFUSED = (("flush_all 10", b"later than now"), ("verbosity 1", b"no such level"), ("me k", b"does not keep"), ("stats items", b"no such statistics"),
                     ("mg k h", b"whether a value was read (flag h)"), ("mg k l", b"was read last (flag l)"), ("mg k v u", b"without having used it (flag u)"),
                     ("mg k N30", b"make what is missing (flag N)"), ("mg k v R30", b"renew a value (flag R)"), ("md k I T30", b"stale values (flag I)"),
                     ("ms k 1 I C1", b"stale values (flags I and C)"))
NUMBERS64 = [0, 1, 5, 10, 999_999_999, 1_000_000_000, 2**63, 2**64 - 1]


class MemcachedDice(Dice):
    """Random commands that Redis servers can be asked, with replies that time does not change.  "{cas}" stands
    for what was told last of the key, which differs between servers."""

    def _flags(self, flags):
        """Some of those words, in any order."""
        return " ".join(["", *self.random.sample(flags, self.random.randrange(min(4, len(flags)) + 1))])

    def text(self):
        key, value, number = self.one(TEXT_KEYS), self.one(MEMCACHED_VALUES), self.one(NUMBERS64)
        flags, end, size = self.one((0, 1, 77, 2**32 - 1)), self.one((0, 0, 0, 1000, 2_000_000_000, -1)), len(value)
        many = " ".join(self.random.choices(TEXT_KEYS, k=self.one((1, 1, 2, 9))))
        return self.one((
            *[(f"{verb} {key} {flags} {end} {size}", value) for verb in ("set", "set", "add", "replace", "append", "prepend")],
            *[(f"get {many}", None)] * 3, (f"gets {key}", None), (f"bget {many}", None), (f"cas {key} {flags} {end} {size} {{cas}}", value), (f"cas {key} 0 0 {size} {NO_CAS}", value),
            (f"gat {self.one((0, 1000, -1, 2_000_000_000))} {many}", None), (f"gats 0 {key}", None), (f"delete {key}", None),
            (f"incr {key} {number}", None), (f"decr {key} {number}", None), (f"incr {key} 1", None), (f"decr {key} 1", None),
            (f"touch {key} {self.one((0, 1000, -1))}", None), (self.one(("flush_all", "flush_all -1", *["version"] * 6)), None), (f"incr {key} x", None), (f"set {key} 0 0 x", None),
            (f"incr {key} +{number}", None), (f"set {key} +{flags} {end}\t 0{size}", value), (f"cas {key} 0 0 {size} -18446744073709551615", value),
            ("nonsense", None), (f"set {key} 99999999999 0 1", b"x"), (f"set {key} 0 99999999999 1", b"x")))

    def meta(self):
        binary = self.random.random() < 0.2
        key, value, number = BASE64 if binary else self.one(META_KEYS), self.one(MEMCACHED_VALUES), self.one(NUMBERS64)
        b, size, cas = " b" if binary else "", len(value), self.one(("", "", " C{cas}", f" C{NO_CAS}"))
        end = self.one(("", " T0", " T1000", " T-1"))
        return self.one((
            (f"mg {key}{b}{self._flags(['v', 'f', 'c', 's', 'k', 'Oab', 'q', 'D1', 'F5', 'I', 'P', 'O' + 'x' * self.one((31, 32))])}", None), (f"mg {key}{b} v c", None),
            (f"mg {key}{b}{self._flags(['v', 'T0', 't', 'k', 's'])}", None),
            (f"ms {key} {size}{b}{cas}{end}{self._flags(['F5', 'c', 'k', 'Oab', 'q', self.one(('MS', 'ME', 'MR', 'MA', 'MP', 'Mset', 'Mx', 'Me'))])}", value),
            (f"ms {key} {size}{b}{self._flags(['MS', 'F9', 'k', 'Ox', 't', 'v', 's', 'I', 'J5', 'N0', 'Nx', 'Fx'])}", value),
            (f"ms {key} {size}{b} {self.one(('MA', 'MP'))} C0", value), (f"md {key}{b}{self._flags(['T30', 'T+30', 'T', 't', 'c', 'C', 'k'])}", None),
            (f"ma {key}{b}{self._flags(['N30', 'T70', 't', 'J5', 'v', 'C0', 'I', 'Jx'])}", None),
            (f"md {key}{b}{cas}{self._flags(['k', 'Oab', 'q'])}", None), (f"md {key}{b} x", None), (f"mg {key}{b} x", None), (f"mg {key}{b} v v", None),
            (f"ma {key}{b}{cas}{self._flags(['v', 'c', 'k', 'Oab', 'q', 'D1' if binary else self.one(('N0', 'N0 J13', 'N1000 J5')), *([] if binary else [f'D{number}']), self.one(('MD', 'MI', 'Mx', 'Md')), 't'])}", None),
            (f"ma {key}{b} v MD D{number}", None), (f"ma {key}{b}{self._flags(['T0', 't', 'v'])}", None), ("mn", None)))

    def command(self):
        if self.random.random() >= 0.6:
            return self.meta()
        line, value = self.text()
        if line.split()[0] in MAY_BE_NOREPLY and self.random.random() < 0.15:
            line += " noreply"
        return line, value

    def commands(self):
        """One, or a pipeline of them."""
        if self.random.random() < 0.8:
            return [self.command()]
        return of_a_pipeline([self.command() for _ in range(self.one((2, 5, 20)))], keys_of_line, alters_line)


MAY_BE_NOREPLY = ("set", "add", "replace", "append", "prepend", "cas", "delete", "incr", "decr", "touch", "flush_all")
ARITHMETIC = ("incr", "decr", "ma")


def keys_of_line(command):
    verb, *words = command[0].split() + [""]
    return words[:1] if verb not in ("get", "bget", "gat", "gats") else words[verb.startswith("gat"):]


def alters_line(command):
    """Whether it counts; and whether it may do so in a pipeline."""
    counts = command[0].split()[0] in ARITHMETIC
    return counts, not re.search(r"\d{18}| T|\bt\b", command[0])


def of_a_pipeline(commands, keys_of, alters):
    """Those of the commands whose replies memcached gives in a pipeline too: what is still to be said holds its item,
    so that a number that becomes shorter is padded or not by what was asked before.  So a key that is counted is
    asked nothing else."""
    counted, other, kept = set(), set(), []
    for each in commands:
        keys = set(keys_of(each))
        counts, small = alters(each)
        if keys & (other if counts else counted) or (counts and not small):
            continue
        (counted if counts else other).update(keys)
        kept.append(each)
    return kept


NO_NUMBER = b"CLIENT_ERROR cannot increment or decrement non-numeric value\r\n"


END = "end-of-these"


def blank(key):
    """The flag of a key in base64."""
    return " b" if key == BASE64 else ""


def without_the_second_that_passes(replies):
    left = [int(each[1]) if (each := re.match(rb"(?:HD|VA)[^\r]* t(\d+)", r)) else 0 for r in replies]
    if abs(left[0] - left[1]) > 2:
        return replies
    return [re.sub(rb"^((?:HD|VA)[^\r]*) t\d+", rb"\1 t~", r) for r in replies]


class MemcachedTwin:
    """Two sessions that live the same life; replies are compared but for the numbers of cas, and seconds that are
    left may differ by the one that passes."""

    def __init__(self, case, here, there):
        self.case, self.sessions, self.cas = case, (here, there), ({}, {})

    def _without_cas(self, key, line, reply, told):
        """The reply with "c#" for a cas, which is kept."""
        def keep(found):
            if found[2] != b"0":
                told[key] = found[2].decode()
            return found[1] + (b"#" if found[2] != b"0" else b"0")
        head, end, rest = reply.partition(b"\r\n")
        if line.startswith(("gets", "gats")):
            head = re.sub(rb"^(VALUE \S+ \d+ \d+ )(\d+)$", keep, head)
        elif line.startswith("m") and reply[:2] in (b"HD", b"VA", b"NS", b"EX", b"NF"):
            head = re.sub(rb"( c)(\d+)", keep, head)
            # memcached forgets of an item that it made from another one that its key was in base64
            head = head.replace(b" kwith blank\0", f" k{BASE64} b".encode())
        return head + end + rest

    def _told(self, session, line, data):
        """Quiet commands and such as may be answered twice are followed by one more, whose reply is the last."""
        if not (line.startswith("m") and " q" in line) and "noreply" not in line and "99999999999" not in line:
            session.send(data)
            return session.reply()
        return b"".join(self._until_end(session, data))

    def _until_end(self, session, data):
        session.send(data + command(f"md nobody O{END}"))
        replies = []
        while not replies or replies[-1] != f"NF O{END}\r\n".encode():
            replies.append(session.reply())
        return replies[:-1]

    def ask_all(self, commands):
        """The commands in one write."""
        if len(commands) == 1 and "noreply" not in commands[0][0]:
            return self.ask(*commands[0])
        counted = sorted({key for each in commands if each[0].split()[0] in ARITHMETIC for key in keys_of_line(each)})
        for key in counted:
            self.is_huge(key, blank(key), only_if_so=True)
        said = []
        for session, told in zip(self.sessions, self.cas):
            data = b"".join(command(line.format(cas=told.get((keys_of_line((line,)) or [""])[0], NO_CAS)), value) for line, value in commands)
            said.append([self._plain(reply, told) for reply in self._until_end(session, data)])
        self.case.assertEqual(len(said[0]), len(said[1]), (commands, said))
        for pair in zip(*said):
            self.case.assertEqual(*without_the_second_that_passes(pair), (commands, said))
        for key in counted:
            self.level(key, blank(key))

    def _plain(self, reply, told):
        """A reply of a pipeline without its cas, which is kept where the reply names its key."""
        head, end, rest = reply.partition(b"\r\n")
        row = re.match(rb"VALUE (\S+) \d+ \d+ (\d+)$", head)
        if row:
            told[row[1].decode()] = row[2].decode()
            head = head[:row.start(2)] + b"#"
        elif reply[:2] in (b"HD", b"VA", b"NS", b"EX", b"NF"):
            head = re.sub(rb"( c)[1-9]\d*", rb"\1#", head)
        return head.replace(b" kwith blank\0", f" k{BASE64} b".encode()) + end + rest

    def ask(self, line, value):
        key = line.split()[2 if line.startswith("gat") else 1] if " " in line else ""
        replies = []
        for session, told in zip(self.sessions, self.cas):
            reply = self._told(session, line, command(line.format(cas=told.get(key, NO_CAS)), value))
            replies.append(self._without_cas(key, line, reply, told))
        if line.startswith("m"):
            replies = without_the_second_that_passes(replies)
        b = blank(key)
        if replies[0] != replies[1] and NO_NUMBER in replies and self.is_huge(key, b):
            return
        self.case.assertEqual(*replies, (line, value))
        if line.split()[0] in ARITHMETIC:
            self.level(key, b)
        life = re.search(r" T\d+", line)
        if line.startswith("ma") and life:  # of a number that became longer memcached touches the old item
            for session in self.sessions:
                session.ask(f"mg {key}{b}{life[0]}")

    def is_huge(self, key, b, only_if_so=False):
        """From 2**63 on memcached looks for a minus sign up to the next zero byte, beyond the number and its item; so the
        value is set anew."""
        number = re.match(rb"\s*\+?(\d+)(?!\S)", self.sessions[1].ask(f"mg {key}{b} v").partition(b"\r\n")[2])
        huge = number is not None and 2**63 <= int(number[1]) < 2**64
        if only_if_so and not huge:
            return False
        for session in self.sessions:
            session.ask(f"ms {key} 1{b}", "0")
        return huge

    def level(self, key, b):
        """A number that became shorter is padded, but where memcached's own threads hold the item just then."""
        values = [session.ask(f"mg {key}{b} v") for session in self.sessions]
        if values[0] != values[1] and values[0].split() and values[0].split()[0:1] == [b"VA"]:
            self.case.assertEqual(*[v.partition(b"\r\n")[2].rstrip() for v in values])
            for session in self.sessions:
                session.ask(f"ms {key} 1{b}", "0")


GET, SET, ADD, REPLACE, DELETE, INCR, DECR, FLUSH, NOOP, VERSION, GETK, APPEND, PREPEND = 0, 1, 2, 3, 4, 5, 6, 8, 10, 11, 12, 14, 15
TOUCH, GAT, GATK = 0x1c, 0x1d, 0x23
QUIET = {GET: 9, GETK: 13, SET: 0x11, ADD: 0x12, REPLACE: 0x13, DELETE: 0x14, INCR: 0x15, DECR: 0x16, FLUSH: 0x18,
         APPEND: 0x19, PREPEND: 0x1a, GAT: 0x1e, GATK: 0x24}
COUNTS = (INCR, DECR, QUIET[INCR], QUIET[DECR])
BINARY_KEYS = [*[f"k{i}".encode() for i in range(8)], b"with blank\0", b"\r\n\xff", b"z" * 250]
NO_LIFE = 2**32 - 1                                     # of a number that is not to be made


class BinaryDice(Dice):
    """Random well-formed packets: (opcode, key, extras, value, cas), where a cas of None stands for what was told last."""

    def packet(self):
        key, value, cas = self.one(BINARY_KEYS), self.one(MEMCACHED_VALUES), self.one((0, 0, 0, None, NO_CAS))
        store = struct.pack(">II", self.one((0, 1, 77, 2**32 - 1)), self.one((0, 0, 1000, 2_000_000_000)))
        number = struct.pack(">QQI", self.one(NUMBERS64), self.one(NUMBERS64), self.one((0, 0, 1000, NO_LIFE)))
        life = struct.pack(">I", self.one((0, 1000, 2_000_000_000)))
        opcode, *rest = self.one((
            *[(opcode, key, b"", b"", 0) for opcode in (GET, GET, GETK, GETK)], *[(opcode, key, store, value, cas) for opcode in (SET, SET, ADD, REPLACE)],
            *[(opcode, key, number, b"", cas) for opcode in (INCR, DECR)], *[(opcode, key, b"", value, cas) for opcode in (APPEND, PREPEND)],
            (DELETE, key, b"", b"", cas), *[(opcode, key, life, b"", 0) for opcode in (TOUCH, GAT, GATK)],
            *[(NOOP, b"", b"", b"", 0)] * 2, (VERSION, b"", b"", b"", 0)))
        if self.random.random() < 0.005:
            opcode, rest = FLUSH, [b"", self.one((b"", b"\0\0\0\0")), b"", 0]
        return (QUIET.get(opcode, opcode) if self.random.random() < 0.3 else opcode, *rest)

    def packets(self):
        return of_a_pipeline([self.packet() for _ in range(self.one((1, 1, 1, 1, 2, 5, 20)))], lambda p: [p[1]], alters_packet)


def alters_packet(packet):
    return packet[0] in COUNTS, packet[0] in COUNTS and max(struct.unpack(">QQI", packet[2])[:2]) < 2**62


class BinaryTwin:
    """Two binary sessions that live the same life beside those of a MemcachedTwin."""

    def __init__(self, twin, here, there):
        self.twin, self.sessions, self.cas = twin, (here, there), ({}, {})

    def ask_all(self, packets):
        counted = sorted({packet[1] for packet in packets if packet[0] in COUNTS})
        names = [(k.decode(), "") if k.isalnum() else (base64.b64encode(k).decode(), " b") for k in counted]
        for name in names:
            self.twin.is_huge(*name, only_if_so=True)
        said = []
        for session, told in zip(self.sessions, self.cas):
            session.send(b"".join(binary(opcode, key, extras, value, cas=told.get(key, NO_CAS) if cas is None else cas, opaque=n)
                                  for n, (opcode, key, extras, value, cas) in enumerate(packets)) + binary(NOOP, opaque=len(packets)))
            said.append(self._until_end(session, packets, told))
        self.twin.case.assertEqual(*said, packets)
        for name in names:
            self.twin.level(*name)

    def _until_end(self, session, packets, told):
        """The replies with True for a cas, which is kept."""
        replies = []
        while not replies or replies[-1][2] != len(packets):
            opcode, status, opaque, cas, *rest = session.packet()
            if cas:
                told[packets[opaque][1]] = cas
            replies.append((opcode, status, opaque, cas != 0, *([] if opcode == VERSION else rest)))
        return replies


def _compare(twin, seed, rounds, throw, case):
    asked = 0
    try:
        while asked < rounds:
            commands = throw()
            twin.ask_all(commands)
            asked += len(commands)
    except AssertionError as error:
        raise AssertionError(f"SHEAF_SEED={seed} {case}: {error}") from error


def compare_memcached(twin, seed, rounds, case=""):
    for session in twin.sessions:
        session.ask("flush_all")
    _compare(twin, seed, rounds, MemcachedDice(seed).commands, case)


def compare_packets(twin, seed, rounds, case=""):
    for session in twin.twin.sessions:
        session.ask("flush_all")
    _compare(twin, seed, rounds, BinaryDice(seed).packets, case)
