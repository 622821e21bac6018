#!/usr/bin/python3
# not under tsan: what it would find test_classes.py and test_embedded.py have
"""config/example-stalwart.ini, served with its servers and paths replaced: what the mail server writes under each of its
27 prefixes, and in which class, on which pool and with which end it is then."""
import json
import re
import sqlite3
import struct

from lib import *
from lib.case import REPOSITORY

EXAMPLE = REPOSITORY / "config/example-stalwart.ini"
MINUTE, HOUR, DAY = 60, 3_600, 86_400
IP, IPV6, ACCOUNT, BUCKET = bytes([192, 0, 2, 10]), bytes.fromhex("20010db8000d0a7b7d00000000000001"), struct.pack(">I", 77), struct.pack(">Q", 29_400_000)
HASH = bytes(range(112, 144))    # there are braces and bytes that are no text in it


def key_set(key, seconds=None):
    return (("SET", key, "value") if seconds is None else ("SETEX", key, seconds, "value")), "OK"


def counter(key, seconds=None, value=1):
    if seconds is None:
        return ("INCRBY", key, value), value
    return (("MULTI",), ("INCRBY", key, value), ("EXPIRE", key, seconds), ("EXEC",)), [value, 1]


def try_lock(key, seconds):
    return ("SET", key, "1764000000", "NX", "EX", seconds), "OK"


# prefix, what follows it, how it is written, the class, the pool, how long it lives then: None for ever
KEYS = (
    (0x00, b"tls-alpn.example.org", key_set, HOUR, "acme", "mail", HOUR),
    (0x01, b"code-d6Zk", key_set, 10 * MINUTE, "oauth", "mail", 10 * MINUTE),
    (0x02, IP + BUCKET, counter, HOUR, "rate-limits", "counters", HOUR),
    (0x03, IPV6 + BUCKET, counter, HOUR, "rate-limits", "counters", HOUR),
    (0x04, IP + BUCKET, counter, HOUR, "rate-limits", "counters", HOUR),
    (0x05, b"jane@example.org" + BUCKET, counter, DAY, "rate-limits", "counters", DAY),
    (0x06, HASH + BUCKET, counter, MINUTE, "rate-limits", "counters", MINUTE),
    (0x07, IP + BUCKET, counter, HOUR, "rate-limits", "counters", HOUR),
    (0x08, ACCOUNT + BUCKET, counter, MINUTE, "rate-limits", "counters", MINUTE),
    (0x09, IP + BUCKET, counter, MINUTE, "rate-limits", "counters", MINUTE),
    (0x0a, ACCOUNT + BUCKET, counter, MINUTE, "rate-limits", "counters", MINUTE),
    (0x0b, ACCOUNT + BUCKET, counter, DAY, "blob-quota", "mail", DAY),
    (0x0c, IP, counter, 30 * DAY, "reputation", "kept", 30 * DAY),
    (0x0d, b"jane@example.org", counter, 30 * DAY, "reputation", "kept", 30 * DAY),
    (0x0e, b"example.org", counter, 30 * DAY, "reputation", "kept", 30 * DAY),
    (0x0f, struct.pack(">I", 64_500), counter, 30 * DAY, "reputation", "kept", 30 * DAY),
    (0x10, b"joe@example.netjane@example.org", key_set, 30 * DAY, "greylist", "kept", 30 * DAY),
    (0x11, b"spam", key_set, None, "models", "kept", None),
    (0x12, ACCOUNT, key_set, None, "models", "kept", None),
    (0x13, b"<20251129.1@example.org>", key_set, None, "trusted-replies", "kept", 90 * DAY),
    (0x14, ACCOUNT, try_lock, HOUR, "locks", "mail", HOUR),
    (0x15, struct.pack(">Q", 900) + b"remote\0\0", try_lock, 10 * MINUTE, "locks", "mail", 10 * MINUTE),
    (0x16, struct.pack(">Q", 901), try_lock, HOUR, "locks", "mail", HOUR),
    (0x17, struct.pack(">Q", 902), try_lock, HOUR, "locks", "mail", HOUR),
    (0x18, b"housekeeper", try_lock, 7 * DAY, "locks", "mail", DAY),
    (0x19, ACCOUNT + b"\x02", key_set, 2 * DAY, "dav-locks", "kept", 2 * DAY),
    (0x1a, HASH, key_set, 7 * DAY, "sieve-ids", "kept", 7 * DAY),
)


class Example(Case):
    def setUp(self):
        self.redis, self.kept, admin = [RedisServer(self) for _ in range(2)], self.folder() / "mail-keys.db", free_port()
        servers = {f"redis://10.0.0.{i + 1}:6379": server.url for i, server in enumerate(self.redis)}
        text = EXAMPLE.read_text()
        for was, now in {"redis://127.0.0.1:6379": f"redis://127.0.0.1:{free_port()}", **servers, "/var/lib/sheaf/mail-keys.db": self.kept}.items():
            text, count = re.subn(f"^((?:listen|shard) .*){re.escape(was)}$", lambda m, now=now: f"{m[1]}{now}", text, flags=re.M)
            self.assertEqual(count, 1, was)
        self.sheaf = Sheaf(self, text=f"[proxy]\nadmin = http://127.0.0.1:{admin}\ndrain_timeout = 2s\n{text}", start=False)
        self.sheaf.admin_port = admin
        self.sheaf.start()

    def told(self):
        return {each["name"]: each for each in json.loads(self.sheaf.http("/api/v1/status")[1])["pools"]}

    def keys_in(self, name):
        """Of a store in the process, its stamp among them."""
        return sum(shard["store_keys"] for shard in self.told()[name]["shards"])

    def write(self, s, key, how, seconds):
        words, answer = how(key, seconds)
        replies = s.ask_all(*(words if isinstance(words[0], tuple) else [words]))
        self.assertEqual(replies[-1], answer, key)

    def test_each_prefix_is_where_and_as_long_as_the_example_says(self):
        self.assertEqual([row[0] for row in KEYS], list(range(27)))
        writes = {}
        with self.sheaf.connect("mail") as s:
            for prefix, body, how, seconds, class_, pool_, lives in KEYS:
                key = bytes([prefix]) + body
                self.write(s, key, how, seconds)
                left = s.ask("TTL", key)
                self.assertTrue(left == -1 if lives is None else lives - 10 < left <= lives, (key, left))
                self.assertEqual(sum(server.ask("EXISTS", key) for server in self.redis), pool_ == "mail", key)
                writes[class_] = writes.get(class_, 0) + 1
            for name in ("counters", "kept"):
                many = sum(row[5] == name for row in KEYS) + 1
                wait_until(lambda: self.keys_in(name) == many, what=f"{many} keys in {name}, not {self.keys_in(name)}")
            for class_ in self.told()["mail"]["classes"]:
                many = writes.pop(class_["name"])
                self.assertGreaterEqual(class_["totals"]["writes"], many, class_)
                self.assertEqual([class_["totals"]["refused"], class_["totals"]["requests"] - class_["totals"]["writes"]], [0, many], class_)
            self.assertEqual(writes, {})
            self.too_large(s)
            self.assertIsNone(s.ask("SET", b"\x15" + KEYS[0x15][1], "1764000000", "NX", "EX", 600))
            self.assertEqual(s.ask("SET", "vip-sender:joe", "1"), "OK")    # the administrator's own: of no class
            self.assertEqual(sum(server.ask("EXISTS", "vip-sender:joe") for server in self.redis), 1)
            self.prefixes_go(s)
        self.sheaf.terminate()
        self.assertEqual(self.sheaf.wait(), 0)
        with sqlite3.connect(self.kept) as base:
            names = {bytes(name) for name, in base.execute("SELECT name FROM keys WHERE database = 0")}
        self.assertEqual(names, {bytes([row[0]]) + row[1] for row in KEYS if row[5] == "kept"} | {b"sheaf:stamp"})

    def too_large(self, s):
        for prefix, class_, size in ((0x01, "oauth", 65_536), (0x10, "greylist", 1_024), (0x19, "dav-locks", 1_048_576)):
            self.assertIn(f"max_value of class {class_}", s.ask("SETEX", bytes([prefix]) + b"large", 60, "x" * (size + 1)))

    def prefixes_go(self, s):
        """As key_delete_prefix has it: of a class on servers, and of one in the process."""
        for prefix in (0x17, 0x05):
            keys = [bytes([prefix]) + struct.pack(">Q", n) for n in range(150)]
            for key in keys:
                self.write(s, key, try_lock, MINUTE)
            cursor, gone = b"0", 0
            while True:
                cursor, found = s.ask("SCAN", cursor, "MATCH", bytes([prefix]) + b"*", "COUNT", 100)
                gone += s.ask("DEL", *found) if found else 0
                if cursor == b"0":
                    break
            self.assertEqual(gone, len(keys) + 1)
            self.assertEqual(s.ask("EXISTS", *keys), 0)


if __name__ == "__main__":
    main()
