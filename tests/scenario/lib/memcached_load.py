"""memcached clients that work while something else happens, and know afterwards what was wrong."""
import re
import threading

from lib.case import wait_until
from lib.memcached import MemcachedSession, binary, command
from lib.placement import shard_of


class Traffic(threading.Thread):
    """One session that sets its own keys in pipelines, in each turn every other one, and gets all, in text or binary;
    each value names its key and turn.  `faulty` is the shard that suffers; at all others what was set must be there."""

    def __init__(self, sheaf, shards, number, binary_form, faulty=None):
        super().__init__(daemon=True)
        self.session = MemcachedSession(sheaf.target())
        self.binary = binary_form
        self.keys = [f"t{number}:{key}" for key in range(30)]
        self.shard = {key: shard_of(key, shards) for key in self.keys}
        self.faulty = faulty
        self.kept = dict.fromkeys(self.keys, b"")  # what was acknowledged last
        self.done, self.turn, self.foreign, self.closed = 0, 0, [], None
        self.errors = [[] for _ in range(shards)]
        self.end = threading.Event()

    def run(self):
        try:
            while not self.end.is_set():
                self.turn += 1
                self.round_binary() if self.binary else self.round_text()
                self.done += len(self.keys)
        except Exception as error:  # pylint: disable=broad-except
            self.closed = repr(error)

    def fails(self, key, reply):
        if b"SERVER_ERROR" in reply or b"shard" in reply:
            self.errors[self.shard[key]].append(reply)
            return True
        return False

    def value(self, key):
        return f"{key}={self.turn}".encode()

    def is_set(self, key):
        return (self.keys.index(key) + self.turn) % 2 == 0

    def good(self, key, value):
        """What was acknowledged; at the shard that suffers, as a set may have failed there, an earlier one or none (b"")."""
        if self.shard[key] != self.faulty:
            return value == self.kept[key]
        name, _, turn = value.partition(b"=")
        return value == b"" or (name == key.encode() and turn.isdigit() and int(turn) <= self.turn)

    def note_missing(self, found):
        """All keys were asked for; these were found."""
        self.foreign += [(key, b"missing") for key in self.keys if self.shard[key] != self.faulty and self.kept[key] and key not in found]

    def round_text(self):
        self.session.send(b"".join(
            (command(f"set {key} 0 0 {len(self.value(key))}", self.value(key)) if self.is_set(key) else b"") + command(f"mg {key} v")
            for key in self.keys) + command("get " + " ".join(self.keys)))
        for key in self.keys:
            reply = self.session.reply() if self.is_set(key) else None
            if reply == b"STORED\r\n":
                self.kept[key] = self.value(key)
            elif reply is not None and not self.fails(key, reply):
                self.foreign.append((key, reply))
            reply = self.session.reply()
            value = b"" if reply == b"EN\r\n" else reply.split(b"\r\n")[1] if reply.startswith(b"VA ") else None
            if not (self.fails(key, reply) if value is None else self.good(key, value)):
                self.foreign.append((key, reply))
        reply = self.session.reply()
        rows = {key.decode(): value for key, value in re.findall(rb"VALUE (\S+) 0 \d+\r\n(.*)\r\n", reply)}
        self.foreign += [(key, value) for key, value in rows.items() if not self.good(key, value)]
        if reply.endswith(b"END\r\n"):
            self.note_missing(rows)
        elif b"SERVER_ERROR" not in reply:
            self.foreign.append((None, reply))

    def round_binary(self):
        self.session.send(b"".join((binary(1, key.encode(), b"\0" * 8, self.value(key), opaque=2 * n) if self.is_set(key) else b"") +
                                   binary(0, key.encode(), opaque=2 * n + 1) for n, key in enumerate(self.keys)) +
                          b"".join(binary(0x0d, key.encode(), opaque=n) for n, key in enumerate(self.keys)) + binary(10))
        for n, key in enumerate(self.keys):
            for wanted in (2 * n, 2 * n + 1)[not self.is_set(key):]:
                opcode, status, opaque, _, _, _, value = self.session.packet()
                if opcode == 1 and status == 0:
                    self.kept[key] = self.value(key)
                good = status == 0 if opcode == 1 else status in (0, 1) and self.good(key, b"" if status == 1 else value)
                if opaque != wanted or not (good or self.fails(key, value)):
                    self.foreign.append((key, opcode, status, opaque, value))
        opcode, found = None, set()
        while opcode != 10:
            opcode, status, opaque, _, _, name, value = self.session.packet()
            key = self.keys[opaque] if opcode == 0x0d else None
            found.add(key)
            good = opcode == 10 or (name.decode() == key and self.good(key, value))
            if not good and not self.fails(key, value):
                self.foreign.append((key, opcode, status, opaque, value))
        self.note_missing(found)


class Loaded:
    """What a test has that looks on while four of them work: two in text, two in binary."""

    def work(self, sheaf, shards, faulty, count):
        """Begins, and returns when each did so much."""
        self.traffic = [Traffic(sheaf, shards, number, number % 2 == 1, faulty) for number in range(4)]
        for each in self.traffic:
            each.start()
        self.addCleanup(self.stop)
        self.more(count)

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
