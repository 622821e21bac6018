#!/usr/bin/python3
"""Embedded shards: what they serve is what a Redis server would answer, and what they acknowledged stays.

SHEAF_LONG=1 compares 100,000 random operations for each store, else some thousand, and kills often; SHEAF_SEED=N repeats one."""
import datetime
import os
import random
import re
import select
import signal
import socket
import sqlite3
import subprocess
import time

import redis

from lib import *
from lib.dice import NUMBERS, RISING, VALUES, RedisDice
from lib.sheaf import BINARY, SANITIZERS
from lib.twin import Twin

LONG = os.environ.get("SHEAF_LONG") == "1"
ROUNDS = 100_000 if LONG else 1_200
KILLS = 50 if LONG else 2
DURABLE = ("sqlite", "rocksdb")


def url_of(engine, folder, name="store"):
    if engine == "ram":
        return "ram://64mb"
    return f"{engine}://{folder}/{name}.{engine}"


class Dice(RedisDice):
    """Of all that embedded shards serve."""

    KEYS = [*RedisDice.KEYS, ""]
    TIMES = [*NUMBERS, RISING]
    FAR = [str(4_000_000_000 + i) for i in range(3)]

    def others(self):
        key, value = self.one(self.KEYS), self.one(VALUES)
        return (["MSETNX", "{t}a", value, "{t}b", value], ["PEXPIRE", key, "-5"], ["EXPIRETIME", "nobody"], ["TTL", "nobody"], ["PTTL", "nobody"],
                ["RENAME", "{t}a", "{t}b"], ["RENAMENX", "{t}b", "{t}a"], ["RENAME", "{t}a", "{t}a"], ["COPY", "{t}a", "{t}b"],
                ["COPY", "{t}a", "{t}b", "REPLACE"], ["COPY", "{t}a", "{t}b", "DB", "3"], ["MOVE", key, "3"], ["MOVE", key, "0"],
                ["DBSIZE"], ["SELECT", "3"], ["SELECT", "0"], ["SELECT", "0"], ["FLUSHDB", "ASYNC"])

    def commands(self):
        if self.random.random() < 0.05:
            key = self.one(self.KEYS)
            return [["MULTI"], ["INCRBY", key, self.one(NUMBERS)], ["EXPIREAT", key, self.FAR[0]], ["GET", key], ["EXEC"]]
        return super().commands()


class Stores(Case):
    def refused(self, session, word, *words):
        reply = session.ask(*words)
        self.assertIsInstance(reply, Failure, words)
        self.assertIn(word, reply)


class AsRedis(Stores):
    @classmethod
    def setUpClass(cls):
        cls.plain = RedisServer(cls)
        cls.postgres = Postgres(cls)
        urls = {e: url_of(e, cls.folder()) for e in ("ram", *DURABLE)}
        urls["postgresql"] = cls.postgres.url_as() + "/app"
        cls.sheaf = {e: Sheaf(cls, pool([url], sync="never")) for e, url in urls.items()}

    def compare(self, engine, rounds):
        seed = int(os.environ.get("SHEAF_SEED", random.randrange(1 << 30)))
        dice, asked = Dice(seed), 0
        self.plain.ask("FLUSHALL")
        twin = Twin(self, self.sheaf[engine], self.plain, proto=dice.random.choice((2, 3)))
        twin.ask("FLUSHALL")
        try:
            while asked < rounds:
                commands = dice.commands()
                twin.ask_all(*commands)
                asked += len(commands)
                if asked % 37 == 0:
                    for ask in (["KEYS", "*"], ["KEYS", "k[1-3]*"]):
                        found = [sorted(s.ask(*ask)) for s in (twin.here, twin.there)]
                        self.assertEqual(*found)
        except AssertionError as error:
            raise AssertionError(f"SHEAF_SEED={seed} {engine}: {error}") from error

    def test_memory_answers_as_redis(self):
        self.compare("ram", ROUNDS)

    def test_sqlite_answers_as_redis(self):
        self.compare("sqlite", ROUNDS)

    def test_rocksdb_answers_as_redis(self):
        self.compare("rocksdb", ROUNDS)

    def test_postgresql_answers_as_redis(self):
        self.compare("postgresql", ROUNDS)

    def test_times_that_are_left_are_told_to_the_second(self):
        for engine, sheaf in self.sheaf.items():
            with sheaf.connect() as s:
                s.ask("SETEX", "left", 100, "v")
                self.assertIn(s.ask("TTL", "left"), (99, 100), engine)
                self.assertTrue(90_000 < s.ask("PTTL", "left") <= 100_000, engine)
                self.assertEqual(s.ask("EXPIRE", "left", 200, "GT"), 1)
                self.assertEqual(s.ask("EXPIRE", "left", 50, "GT"), 0)
                s.ask("SET", "left", "w", "KEEPTTL")
                self.assertIn(s.ask("TTL", "left"), (199, 200), engine)
                s.ask("SET", "left", "w")
                self.assertEqual(s.ask("TTL", "left"), -1, engine)

    def test_a_key_is_there_until_its_time_is_over_and_not_longer(self):
        for engine, sheaf in self.sheaf.items():
            with sheaf.connect() as s:
                end = int(time.time() * 1000) + 150
                s.ask("SET", "edge", "v", "PXAT", end)
                s.ask("SET", "edge:other", "v", "PXAT", end)
                while True:
                    before, value, after = time.time() * 1000, s.ask("GET", "edge"), time.time() * 1000
                    if after < end:
                        self.assertEqual(value, b"v", engine)
                    if before >= end:
                        self.assertEqual(value, None, engine)
                        break
                self.assertEqual(s.ask("EXISTS", "edge:other"), 0)
                self.assertNotIn(b"edge:other", s.ask("KEYS", "*"))
                self.assertEqual(s.ask("SET", "edge", "w", "NX"), "OK")

    def test_what_is_not_served_is_refused_by_name(self):
        for engine, sheaf in self.sheaf.items():
            with sheaf.connect() as s:
                for words in (["LPUSH", "l", "1"], ["HSET", "h", "f", "v"], ["EVAL", "return 1", "0"], ["WATCH", "a"],
                              ["PUBLISH", "c", "m"], ["BLPOP", "l", "1"], ["ZADD", "z", "1", "a"], ["XADD", "x", "*", "f", "v"]):
                    self.refused(s, words[0].lower(), *words)
                    self.refused(s, "embedded", *words)
                self.refused(s, "embedded", "SUBSCRIBE", "c")
                self.assertEqual(s.ask("PING"), "PONG")

    def test_what_the_mail_server_asks_is_served(self):
        for engine, sheaf in self.sheaf.items():
            with sheaf.connect() as s:
                s.ask("FLUSHDB")
                lock = b"\x15" + bytes(range(16))
                self.assertEqual(s.ask("SET", lock, "1", "NX", "EX", "600"), "OK")
                self.assertEqual(s.ask("SET", lock, "1", "NX", "EX", "600"), None)
                for n in (1, 2):
                    s.send(b"".join(encode(*c) for c in (["MULTI"], ["INCRBY", b"\x05a", "1"], ["EXPIRE", b"\x05a", "60"], ["EXEC"])))
                    self.assertEqual([s.reply() for _ in range(4)], ["OK", "QUEUED", "QUEUED", [n, 1]], engine)
                for i in range(300):
                    s.ask("SETEX", b"\x01%d" % i, 60, "v")
                cursor, gone = b"0", 0
                while True:
                    cursor, keys = s.ask("SCAN", cursor, "MATCH", b"\x01*", "COUNT", 100)
                    gone += s.ask("DEL", *keys) if keys else 0
                    if cursor == b"0":
                        break
                self.assertEqual(gone, 300)
                self.assertEqual(s.ask("EXISTS", lock, b"\x05a"), 2)
                self.assertEqual(s.ask("DBSIZE"), 2)

    def test_scan_comes_by_all_that_stays_while_other_keys_come_and_go(self):
        for engine, sheaf in self.sheaf.items():
            with sheaf.connect() as s:
                s.ask("FLUSHDB")
                stays, dice = {b"stay:%d" % i for i in range(2000)}, random.Random(5)
                s.ask("MSET", *[w for k in stays for w in (k, "v")])
                cursor, seen, rounds = b"0", [], 0
                while True:
                    cursor, keys = s.ask("SCAN", cursor, "COUNT", dice.choice((1, 7, 50)))
                    seen += [k for k in keys if k in stays]
                    rounds += 1
                    names = [f"come:{dice.randrange(4000)}" for _ in range(60)]
                    if rounds % 100 < 50:
                        s.ask("MSET", *[w for k in names for w in (k, "v")])
                    else:
                        s.ask("DEL", *names)
                    if cursor == b"0":
                        break
                self.assertEqual(set(seen), stays, engine)
                self.assertEqual(len(seen), len(stays), f"{engine}: none twice")

    def test_client_libraries_work(self):
        for engine in self.sheaf:
            client = redis.Redis(port=self.sheaf[engine].port, decode_responses=True)
            client.flushdb()
            with client.pipeline() as pipe:
                pipe.set("a", 1, ex=100).incrby("a", 4).get("a").expire("a", 50)
                self.assertEqual(pipe.execute(), [True, 5, "5", True])
            client.mset({f"m{i}": i for i in range(10)})
            self.assertEqual(sorted(client.scan_iter("m*")), [f"m{i}" for i in range(10)])
            self.assertEqual(client.info()["embedded_store"], engine)
            client.close()


class Limits(Stores):
    def sheaf_of(self, **options):
        return Sheaf(self, pool(["ram://2mb"], stamp="no", **options))

    def test_a_full_store_refuses_what_would_make_it_larger(self):
        with self.sheaf_of().connect() as s:
            for i in range(40):
                reply = s.ask("SET", f"k{i}", "x" * 100_000)
                if reply != "OK":
                    self.assertTrue(reply.startswith("OOM "), reply)
                    break
            self.assertTrue(10 < i < 21, i)
            self.assertEqual(s.ask("STRLEN", "k0"), 100_000)
            self.assertEqual(s.ask("DBSIZE"), i)
            self.assertEqual(s.ask("DEL", "k0", "k1"), 2)
            self.assertEqual(s.ask("SET", "k0", "x" * 100_000), "OK")

    def test_or_lets_go_of_what_was_not_used(self):
        sheaf = self.sheaf_of(eviction="lru")
        with sheaf.connect() as s:
            s.ask("SET", "used", "v")
            for i in range(200):
                self.assertEqual(s.ask("SET", f"k{i}", "x" * 50_000), "OK")
                self.assertEqual(s.ask("GET", "used"), b"v", i)
            kept = s.ask("DBSIZE")
            self.assertTrue(20 < kept <= 42, kept)
            self.assertEqual(s.ask("STRLEN", "k199"), 50_000)
        wait_until(lambda: sheaf.status()["pools"][0]["shards"][0]["totals"]["store_evicted_keys"] > 100)

    def test_what_is_read_stays_from_the_first_eviction_on(self):
        """When all is new, and where it lies is chance."""
        names = [f"p{n}" for n in range(60)]
        sheaf = Sheaf(self, *(pool(["ram://1mb"], name, stamp="no", eviction="lru") for name in names))
        for name in names:
            with sheaf.connect(name) as s:
                s.ask("SET", "read", "v")
                for i in range(24):
                    self.assertEqual((s.ask("SET", f"k{i}", "x" * 50_000), s.ask("GET", "read")), ("OK", b"v"), (name, i))
                self.assertLess(s.ask("DBSIZE"), 23)

    def test_keys_whose_time_is_over_go_without_being_asked_for(self):
        sheaf = self.sheaf_of()
        with sheaf.connect() as s:
            for i in range(1000):
                s.ask("SET", f"k{i}", "v", "PX", "1")
            s.ask("SET", "stays", "v")
            wait_until(lambda: s.ask("DBSIZE") == 1, what="they are gone")

    def test_a_reply_that_is_too_long_is_refused(self):
        sheaf = Sheaf(self, pool(["ram://64mb"], max_session_memory="1mb", max_request="1mb"))
        with sheaf.connect() as s:
            s.ask("SET", "k", "x" * 300_000)
            self.refused(s, "max_session_memory", "MGET", *["k"] * 20)
            self.assertEqual(s.ask("STRLEN", "k"), 300_000)


class Durable(Stores):
    def sheaf_of(self, engine, name, **options):
        return Sheaf(self, pool([url_of(engine, self.folder(), name)], **options))

    def test_what_was_acknowledged_is_there_after_kill_9(self):
        for engine in DURABLE:
            for sync in ("always", "interval", "never"):
                sheaf = self.sheaf_of(engine, "kill" + sync, sync=sync)
                ledger = Ledger(self)
                for _ in range(KILLS if sync == "always" else 1):
                    with self.subTest(engine=engine, sync=sync):
                        ledger.write_until_killed(sheaf, lambda: sheaf.process.signal(signal.SIGKILL))
                        sheaf.process.wait()
                        sheaf.start()
                        ledger.check(sheaf, (engine, sync))

    def test_what_is_acknowledged_was_synced_where_always_was_asked_for(self):
        library, syncs = self.folder() / "syncs.so", self.folder() / "syncs"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library,
                        REPOSITORY / "tests/scenario/modules/syncs.c"], check=True)
        for engine in DURABLE:
            for sync, least, most in (("always", 10, 100), ("never", 0, 0)):
                sheaf = Sheaf(self, pool([url_of(engine, self.folder(), "synced" + sync)], sync=sync),
                              env={"LD_PRELOAD": str(library), "TEST_FILE_SYNCS": str(syncs)})
                with sheaf.connect() as s, self.subTest(engine=engine, sync=sync):
                    s.ask("SET", "first", "v")
                    syncs.write_bytes(b"")
                    for number in range(10):
                        s.ask("SET", f"k{number}", "v")
                        if least:
                            self.assertGreater(syncs.stat().st_size, number)
                    self.assertLessEqual(syncs.stat().st_size, most)
                sheaf.terminate()
                sheaf.wait()

    def test_a_store_outlives_its_process(self):
        for engine in DURABLE:
            sheaf = self.sheaf_of(engine, "lives")
            with sheaf.connect() as s:
                s.ask("SET", b"k\x00", b"v\xff", "EX", 1000)
                s.ask("SELECT", 5)
                s.ask("SET", "five", "5")
            sheaf.terminate()
            sheaf.wait()
            sheaf.start()
            with sheaf.connect() as s:
                self.assertEqual(s.ask("GET", b"k\x00"), b"v\xff")
                self.assertTrue(900 < s.ask("TTL", b"k\x00") <= 1000)
                self.assertEqual(s.ask("DBSIZE"), 1)
                s.ask("SELECT", 5)
                self.assertEqual([s.ask("GET", "five"), s.ask("DBSIZE")], [b"5", 1])

    def test_a_file_is_sqlites_own(self):
        sheaf = self.sheaf_of("sqlite", "open")
        with sheaf.connect() as s:
            s.ask("SET", "k", "v")
        sheaf.terminate()
        sheaf.wait()
        with sqlite3.connect(self.folder() / "open.sqlite") as base:
            rows = base.execute("SELECT name, value FROM keys WHERE database = 0 AND name = ?", (b"k",)).fetchall()
        self.assertEqual(rows, [(b"k", b"v")])

    def test_the_store_of_another_place_in_the_map_is_refused(self):
        for engine in DURABLE:
            urls = [url_of(engine, self.folder(), f"map{i}") for i in range(2)]
            sheaf = Sheaf(self, pool(urls))
            with sheaf.connect() as s:
                s.ask("MSET", *[w for i in range(20) for w in (f"k{i}", "v")])
                self.assertEqual(s.ask("DBSIZE"), 20)
            sheaf.terminate()
            sheaf.wait()
            sheaf.write(pool(urls[::-1]))
            sheaf.start()
            with sheaf.connect() as s:
                self.refused(s, "shard", "GET", "k1")

    def test_a_path_that_can_not_be_opened_is_a_shard_that_is_down(self):
        for engine, why in (("sqlite", "unable to open"), ("rocksdb", "No such file")):
            sheaf = Sheaf(self, pool([f"{engine}:///proc/no/such/place"]))
            with sheaf.connect() as s:
                self.refused(s, why, "GET", "k")

    def test_a_slow_piece_of_work_does_not_hold_up_other_pools(self):
        for engine in DURABLE:
            sheaf = Sheaf(self, pool([url_of(engine, self.folder(), "slow")], name="slow", timeout="30s"), pool(["ram://64mb"], name="quick"), proxy={"workers": 1})
            with sheaf.connect("slow") as slow, sheaf.connect("quick") as quick:
                slow.ask("SET", "k", "x" * 500_000)
                self.assertEqual(slow.ask_all(["MULTI"], *[["APPEND", "k", "x"]] * 50), ["OK", *["QUEUED"] * 50])
                slow.send(encode("EXEC"))
                answered = 0
                while answered < 100_000 and not select.select([slow.socket], [], [], 0)[0]:
                    self.assertEqual(quick.ask("SET", "k", "v"), "OK")
                    answered += 1
                self.assertEqual(slow.reply(), list(range(500_001, 500_051)))
            self.assertTrue(answered >= 10, f"{engine}: {answered} answers to others meanwhile")


class Operated(Stores):
    def shard_of(self, sheaf, index=0):
        return sheaf.status()["pools"][index]["shards"][0]

    def date_at(self, hour, lead):
        """Of the zone in which it is that hour in so many seconds: how far ahead it is, and its date then."""
        now = datetime.datetime.now(datetime.timezone.utc)
        ahead = (hour * 3600 - lead - (now.hour * 3600 + now.minute * 60 + now.second)) % 86400
        return ahead, (now + datetime.timedelta(seconds=ahead + lead)).date()

    def begin_in(self, sheaf, ahead, jumps_on=None):
        """In a time zone of its own; on that date its clock jumps from two to three."""
        def zone(seconds):
            return f"-{seconds // 3600}:{seconds // 60 % 60}:{seconds % 60}"

        sheaf._env["TZ"] = f"NOW{zone(ahead)}"
        if jumps_on:
            day = jumps_on.replace(year=2025).timetuple().tm_yday        # as POSIX counts: no leap day
            sheaf._env["TZ"] += f"SUM{zone(ahead + 3600)},J{day}/2,J{(day + 100) % 365 + 1}/3"
        if sheaf.process is not None:
            sheaf.terminate()
            sheaf.wait()
        sheaf.start()

    def began(self, sheaf, pool_=0):
        return self.shard_of(sheaf, pool_)["purge_began_seconds"]

    def in_time(self, sheaf, hour, schedules_at, urls, jumps=False, due=(0,), before=lambda: None):
        """Begins it some seconds before that hour, with the schedules for that date, until those of these pools are due."""
        for lead in (2, 4, 8, 16):  # a slow machine may be too late for the first
            before()
            ahead, date = self.date_at(hour, lead)
            sheaf.write(*[pool([url], name=f"p{i}", purge=when) for i, (url, when) in enumerate(zip(urls, schedules_at(date)))])
            self.begin_in(sheaf, ahead, date if jumps else None)
            end = time.monotonic() + lead + 1
            wait_until(lambda: time.monotonic() > end or all(self.began(sheaf, i) for i in due), seconds=30)
            if all(self.began(sheaf, i) for i in due):
                return
        self.fail("no purge began")

    def test_at_three_at_night_what_is_over_goes(self):
        urls = [*[url_of(e, self.folder(), "purged") for e in DURABLE], Postgres(self).url_as() + "/app", url_of("sqlite", self.folder(), "not-today")]
        sheaf = Sheaf(self, *[pool([url], name=f"p{i}") for i, url in enumerate(urls)])

        def fill():
            for i in range(len(urls)):
                with sheaf.connect(f"p{i}") as s:
                    s.send(b"".join(encode("SET", f"goes:{k}", "v", "PX", 1) for k in range(2500)))
                    s.send(b"".join(encode("SET", f"stays:{k}", "v", "EX", 1000 + k) for k in range(300)))
                    self.assertEqual([s.reply() for _ in range(2800)], ["OK"] * 2800)

        def schedules_at(date):
            tomorrow = date + datetime.timedelta(days=1)
            return ("0 3 *", f"0 1-3 {date.day} {date.month} *", f"0 */3 * * {date:%a}", f"0 3 {tomorrow.day} * *")

        self.in_time(sheaf, 3, schedules_at, urls, due=(0, 1, 2), before=fill)
        for i, url in enumerate(urls[:3]):
            wait_until(lambda: self.shard_of(sheaf, i)["purge_percent"] == 100, what=f"the purge of {url}")
            shard = self.shard_of(sheaf, i)
            self.assertEqual(shard["purge_looked_at_keys"], 2801, f"{url}, and the stamp")
            self.assertEqual(shard["purge_removed_keys"], 2500, url)
            self.assertEqual(shard["totals"]["store_expired_keys"], 2500, url)
            with sheaf.connect(f"p{i}") as s:
                self.assertEqual(s.ask("DBSIZE"), 300, url)
        self.assertEqual(self.began(sheaf, 3), 0, "that is due tomorrow")
        self.assertEqual(len(re.findall("purge ends .*removed=2500", sheaf.log)), 3)
        self.begin_in(sheaf, self.date_at(4, 2)[0])
        with sheaf.connect("p0") as s:
            s.ask("SET", "goes", "v", "PX", 1)
        self.assertEqual(self.began(sheaf), 0, "not at any other hour")

    def test_what_became_due_before_a_store_could_be_opened_is_done_then(self):
        missing = self.folder() / "missing"
        urls = [url_of("sqlite", self.folder(), "there"), f"sqlite://{missing}/later"]
        sheaf = Sheaf(self, *[pool([url], name=f"p{i}") for i, url in enumerate(urls)])
        self.in_time(sheaf, 3, lambda date: ["0 3 *"] * 2, urls)
        sheaf.reload(*[pool([url], name=f"p{i}", purge="0 3 *", sync="never") for i, url in enumerate(urls)])
        missing.mkdir()
        wait_until(lambda: self.began(sheaf, 1), what="its purge")

    def test_an_hour_that_the_clock_leaves_out_is_passed_over(self):
        urls = [url_of("sqlite", self.folder(), f"jump{i}") for i in range(4)]
        sheaf = Sheaf(self, *[pool([url], name=f"p{i}") for i, url in enumerate(urls)])
        self.in_time(sheaf, 2, lambda date: ("0 3 *", "0 3 * * *", "0 2 *", "30 2 * * *"), urls, jumps=True)
        wait_until(lambda: self.began(sheaf, 1), what="the other that is due at three")
        self.assertEqual([self.began(sheaf, i) for i in (2, 3)], [0, 0])

    def test_a_store_that_can_not_be_opened_is_down_and_tried_again(self):
        for engine in DURABLE:
            folder = self.folder() / f"missing-{engine}"
            sheaf = Sheaf(self, pool([f"{engine}://{folder}/deep/er"], probe_interval="100ms"))
            wait_until(lambda: self.shard_of(sheaf)["health"]["state"] == "down", what="status to tell")
            health = self.shard_of(sheaf)["health"]
            self.assertEqual(health["reason"], "store_failed")
            self.assertRegex(health["probe"]["text"], "unable to open|No such file")
            with sheaf.connect() as s:
                self.refused(s, health["probe"]["text"][:20], "GET", "k")
                (folder / "deep").mkdir(parents=True)
                wait_until(lambda: s.ask("SET", "k", "v") == "OK", what="it to be opened")
            wait_until(lambda: self.shard_of(sheaf)["health"]["state"] == "up", what="status to tell")

    def test_a_reload_makes_a_store_in_memory_larger_and_smaller(self):
        shared = pool(["ram://2mb"], name="m")
        sheaf = Sheaf(self, shared)
        with sheaf.connect() as s:
            s.ask("MSET", *[w for i in range(15) for w in (f"k{i}", "x" * 100_000)])
            self.refused(s, "OOM", "SET", "more", "x" * 900_000)
            sheaf.reload((shared[0], {**shared[1], "shard": ["ram://8mb"]}))
            wait_until(lambda: s.ask("SET", "more", "x" * 900_000) == "OK", what="it to be larger")
            self.assertEqual(s.ask("DBSIZE"), 16)
            wait_until(lambda: self.shard_of(sheaf)["store_keys"] == 17, what="status to tell, with the stamp")
            sheaf.reload((shared[0], {**shared[1], "shard": ["ram://1mb"], "eviction": "lru"}))
            wait_until(lambda: s.ask("SET", "last", "v") == "OK" and s.ask("DBSIZE") < 12 and s.ask("GET", "last") == b"v",
                       what="it to be smaller, and to keep what is used")


class WithoutFile(Stores):
    def start(self, folder):
        process = Process([BINARY, "serve"], cwd=folder, env=SANITIZERS)
        self.addCleanup(process.kill)
        wait_until(lambda: "is ready" in process.err, what="sheaf to be ready")
        return process

    def test_keys_are_kept_below_the_folder_and_that_is_said(self):
        for port in (6379, 9070):  # they can't be chosen here
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    self.skipTest(f"port {port} is taken")
        folder = self.folder() / "a ä%2f;b"
        folder.mkdir()
        process = self.start(folder)
        self.assertIn("keys are kept", process.err)
        with RespSession(("127.0.0.1", 6379)) as s:
            self.assertEqual([s.ask("SET", "k", "v"), s.ask("GET", "k")], ["OK", b"v"])
        process.kill()
        process.wait()
        process = self.start(folder)
        with RespSession(("127.0.0.1", 6379)) as s:
            wait_until(lambda: s.ask("GET", "k") == b"v", what="its store to be opened")
        self.assertTrue((folder / "sheaf-data" / "keys").is_dir())
        process.signal(signal.SIGTERM)
        self.assertEqual(process.wait(), 0)

    def test_where_nobody_may_write_it_says_what_to_do(self):
        process = Process([BINARY, "serve"], cwd="/proc")
        self.assertEqual(process.wait(), 2)
        self.assertRegex(process.err, "cannot make ./sheaf-data, .*name a file: sheaf serve FILE")


if __name__ == "__main__":
    main()
