#!/usr/bin/python3
# release only: as many keys as are a test take a sanitizer long (--long has it in all builds)
"""Embedded shards that hold many keys."""
import select

from lib import *
from test_embedded import DURABLE, Stores, url_of


def answered_meanwhile(case, asks, other):
    """How many requests of another session are answered until those are; and their replies."""
    count = 0
    while not select.select([asks.socket], [], [], 0)[0]:
        case.assertEqual(other.ask("GET", "key:7"), b"v")
        count += 1
    return count


def must_be_answered_meanwhile(case, asks, other, least):
    """A client that seldom gets the CPU may miss most of the steps in which keys are looked at, so there are some tries."""
    counts = []
    while max(counts, default=0) < least:
        case.assertLess(len(counts), 10, f"of another's requests no more were answered than {counts}, and not once {least}")
        asks.send(encode("KEYS", "nobody*"))
        counts.append(answered_meanwhile(case, asks, other))
        case.assertEqual(asks.reply(), [])


class OnDisk(Stores):
    def test_keys_is_answered_while_others_are(self):
        names = [f"key:{i}" for i in range(24_000)]
        for engine in DURABLE:
            sheaf = Sheaf(self, pool([url_of(engine, self.folder())], sync="never", timeout="30s", max_session_memory="64mb"), proxy={"workers": 1})
            with sheaf.connect() as s, sheaf.connect() as other, sheaf.connect() as third:
                self.assertEqual(s.ask("MSET", *[w for k in names for w in (k, "v")]), "OK")
                must_be_answered_meanwhile(self, s, other, 5)
                for asks in (s, third):
                    asks.send(encode("KEYS", "nobody*") + encode("KEYS", "*") + encode("DEL", "key:12345") + encode("GET", "key:12345"))
                for asks in (s, third):
                    self.assertEqual(asks.reply(), [], engine)
                    keys = asks.reply()
                    self.assertLessEqual({k.encode() for k in names} - set(keys), {b"key:12345"}, engine)
                    self.assertEqual(len(keys), len(set(keys)))
                    self.assertEqual((asks.reply() in (0, 1), asks.reply()), (True, None))


class Many(Stores):
    """Whatever looks at all keys of a store in memory holds up nobody: there is one worker, and another session's
    requests are answered meanwhile."""

    KEYS = 200_000

    def setUp(self):
        self.pool = pool(["ram://256mb"], timeout="30s", max_session_memory="64mb")
        self.sheaf = Sheaf(self, self.pool, proxy={"workers": 1})
        self.all = [f"key:{i}" for i in range(self.KEYS)]
        with self.sheaf.connect() as s:
            for i in range(0, self.KEYS, 2000):
                self.assertEqual(s.ask("MSET", *[w for k in self.all[i:i + 2000] for w in (k, "v")]), "OK")

    def test_keys_is_answered_while_others_are(self):
        with self.sheaf.connect() as s, self.sheaf.connect() as other:
            must_be_answered_meanwhile(self, s, other, 11)
            for pattern, found in (("key:1234*", 11 + 100 * (self.KEYS > 123_500)), ("*", self.KEYS)):
                s.send(encode("KEYS", pattern) + encode("DEL", "key:12345") + encode("SET", "key:12345", "v"))
                answered_meanwhile(self, s, other)
                keys = s.reply()
                self.assertEqual(len(keys), found, pattern)
                self.assertEqual(len(set(keys)), found)
                self.assertEqual(s.reply(), 1, "what is asked behind it waits for it")
                self.assertEqual(s.reply(), "OK")

    def test_who_leaves_is_not_looked_for_any_more(self):
        with self.sheaf.connect() as other:
            for _ in range(20):
                with self.sheaf.connect() as s:
                    s.send(encode("KEYS", "nobody*"))
                    other.ask("PING")
            self.assertEqual(len(other.ask("KEYS", "key:77*")), 1111 + (self.KEYS > 770_000))

    def test_what_is_flushed_goes_at_once_and_its_memory_soon(self):
        def bytes_held():
            return self.sheaf.status()["pools"][0]["shards"][0]["store_bytes"]

        wait_until(lambda: bytes_held() > self.KEYS * 40, what="it is measured")
        with self.sheaf.connect() as s:
            self.assertEqual(s.ask("FLUSHALL"), "OK")
            self.assertEqual(s.ask("DBSIZE"), 0)
            self.assertEqual(s.ask("SET", "key:1", "v"), "OK")
            self.assertEqual(s.ask("KEYS", "*"), [b"key:1"])
        wait_until(lambda: bytes_held() < 1_000_000, what="its memory is given back")

    def test_a_reload_that_takes_the_store_away_ends_what_looks_at_it(self):
        with self.sheaf.connect() as s:
            s.send(encode("KEYS", "nobody*"))
            self.sheaf.reload((self.pool[0], {**self.pool[1], "shard": url_of("sqlite", self.folder())}))
            self.assertEqual(s.reply(), [])
            wait_until(lambda: s.ask("DBSIZE") == 0, what="the other store")
            self.assertEqual(s.ask("SET", "key", "v"), "OK")


if __name__ == "__main__":
    main()
