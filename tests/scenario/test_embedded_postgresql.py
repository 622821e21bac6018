#!/usr/bin/python3
# not under tsan: what is shared is the thread of a store, which test_embedded.py has
"""Shards that are tables of a PostgreSQL server: shared by several Sheafs, and what happens when the server is not well.

SHEAF_LONG=1 kills often."""
import itertools
import os
import random
import signal
import threading

from lib import *
from lib.postgres import own
from lib.process import run
from lib.small_disk import small_disk

KILLS = 50 if os.environ.get("SHEAF_LONG") == "1" else 1


class Tables(Case):
    @classmethod
    def setUpClass(cls):
        cls.postgres = Postgres(cls)

    def setUp(self):
        self.table = f"t{next(self.numbers)}"

    numbers = itertools.count()

    def url(self, table=None, **query):
        query = {"table": table or self.table, **query}
        return f"{self.postgres.url_as()}/app?" + "&".join(f"{k}={v}" for k, v in query.items())

    def sheaf_of(self, *urls, **options):
        return Sheaf(self, pool(urls or [self.url()], probe_interval="100ms", **options))

    def refused(self, session, word, *words):
        reply = session.ask(*words)
        self.assertIsInstance(reply, Failure, words)
        self.assertIn(word, reply)

    def shard_of(self, sheaf, index=0):
        return sheaf.status()["pools"][0]["shards"][index]


def in_threads(*works):
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Shared(Tables):
    """Two processes on one table."""

    def setUp(self):
        super().setUp()
        self.sheaves = [self.sheaf_of(), self.sheaf_of()]
        self.sessions = [sheaf.connect() for sheaf in self.sheaves for _ in range(3)]
        for session in self.sessions:
            self.addCleanup(session.close)

    def test_every_increment_counts_once(self):
        def count(session):
            for _ in range(20):
                session.send(encode("INCR", "one") * 5 + encode("INCRBY", f"many:{session.ask('PING')}", 2) + encode("APPEND", "text", "x"))
                for _ in range(7):
                    self.assertNotIsInstance(session.reply(), Failure)
        in_threads(*[lambda s=s: count(s) for s in self.sessions])
        self.assertEqual(self.sessions[0].ask("MGET", "one", "many:PONG"), [b"600", b"240"])
        self.assertEqual(self.sessions[5].ask("STRLEN", "text"), 120)

    def test_a_lock_is_had_by_one(self):
        won = {}

        def compete(number, session):
            for i in range(40):
                if session.ask("SET", f"lock:{i}", number, "NX", "PX", 600_000) == "OK":
                    won.setdefault(i, []).append(number)
        in_threads(*[lambda n=n, s=s: compete(n, s) for n, s in enumerate(self.sessions)])
        self.assertEqual({i: len(owners) for i, owners in won.items()}, {i: 1 for i in range(40)})
        self.assertEqual({i: int(self.sessions[0].ask("GET", f"lock:{i}")) for i in won}, {i: o[0] for i, o in won.items()})

    def test_transactions_are_one_after_the_other(self):
        """Each copies what it finds in one key, and one more, to another: with any order the sum is known."""
        def swap(session, here, there):
            for _ in range(30):
                session.send(b"".join(encode(*c) for c in (["MULTI"], ["INCR", here], ["GET", there], ["INCR", there], ["EXEC"])))
                first, other, second = [session.reply() for _ in range(5)][-1]
                self.assertEqual(int(other or 0) + 1, second)
                self.assertEqual(first, second, "no other transaction came between")
        in_threads(*[lambda s=s: swap(s, "a", "b") for s in self.sessions])
        self.assertEqual(self.sessions[0].ask("MGET", "a", "b"), [b"180", b"180"])

    def test_what_one_writes_the_other_reads_at_once(self):
        here, there = self.sessions[0], self.sessions[3]
        for i in range(50):
            here.ask("SET", "k", i, "EX", 100)
            self.assertEqual(there.ask("GET", "k"), str(i).encode())
        here.ask("PEXPIRE", "k", 1)
        wait_until(lambda: there.ask("EXISTS", "k") == 0, what="its time to be over for both")
        self.assertEqual(there.ask("SET", "k", "w", "NX"), "OK")
        self.assertEqual(here.ask("GET", "k"), b"w")
        self.assertEqual(here.ask("FLUSHALL"), "OK")
        self.assertEqual(there.ask("DBSIZE"), 0)

    def test_many_keys_at_a_time_do_not_hold_each_other_up(self):
        """Crosswise, where locks of keys out of order would wait for each other for ever."""
        names = [f"k{i}" for i in range(30)]

        def write(session, order):
            for _ in range(15):
                self.assertEqual(session.ask("MSET", *[w for k in order for w in (k, "v")]), "OK")
                self.assertEqual(session.ask("MSET", *[w for k in order * 4 for w in (k + "x" * order.index(k), "v")]), "OK")
        in_threads(*[lambda s=s, i=i: write(s, names[::(-1 if i % 2 else 1)]) for i, s in enumerate(self.sessions)])


class Values(Tables):
    def test_of_any_size_and_number(self):
        with self.sheaf_of(max_request="128mb", max_session_memory="128mb", timeout="20s").connect() as s:
            big, large = os.urandom(4_000_000), os.urandom(1_000_000)
            self.assertEqual(s.ask("SET", "big", big), "OK")
            self.assertEqual(s.ask("APPEND", "big", "!"), len(big) + 1)
            self.assertEqual(s.ask("GET", "big"), big + b"!")
            self.assertEqual(s.ask("GETRANGE", "big", -2, -1), big[-1:] + b"!")
            self.assertEqual(s.ask("COPY", "big", "other"), 1)
            self.assertEqual(s.ask("STRLEN", "other"), len(big) + 1)
            names = [f"k{i}" for i in range(5000)]
            self.assertEqual(s.ask("MSET", *[w for k in names for w in (k, "v" + k)]), "OK")
            self.assertEqual(s.ask("MGET", *names), [b"v" + k.encode() for k in names])
            self.assertEqual(s.ask("MSET", *[w for i in range(40) for w in (f"m{i}", large)]), "OK")
            s.send(b"".join(encode(*c) for c in [["MULTI"], *[["APPEND", f"m{i}", "y"] for i in range(40)], ["EXEC"]]))
            self.assertEqual([s.reply() for _ in range(42)][-1], [1_000_001] * 40)
            self.assertEqual(s.ask("DEL", *names, *[f"m{i}" for i in range(40)]), 5040)
            self.assertEqual(s.ask("DBSIZE"), 2)

    def test_a_name_that_no_index_takes_is_refused(self):
        with self.sheaf_of().connect() as s:
            self.assertEqual(s.ask("SET", "n" * 2048, "v"), "OK")
            self.refused(s, "2049 bytes", "SET", "n" * 2049, "v")
            self.assertEqual(s.ask("GET", "n" * 2049), None)
            self.assertEqual(s.ask("MGET", "n" * 2048, "n" * 2049), [b"v", None])

    def test_rows_are_there_to_be_looked_at(self):
        with self.sheaf_of(stamp="no").connect() as s:
            s.ask("SET", b"k\x00", b"v\xff")
            s.ask("SELECT", 3)
            s.ask("INCRBY", "n", 7)
        rows = self.postgres.sql(f"SELECT database, name, value, expires_ms FROM {self.table} ORDER BY 1")
        self.assertEqual([(d, bytes(n), bytes(v), e) for d, n, v, e in rows], [(0, b"k\x00", b"v\xff", 0), (3, b"n", b"7", 0)])

    def test_tables_are_shards_and_their_order_is_the_map(self):
        urls = [self.url(self.table + "a"), self.url("other." + self.table)]
        self.postgres.sql("CREATE SCHEMA other AUTHORIZATION app")
        sheaf = self.sheaf_of(*urls)
        with sheaf.connect() as s:
            s.ask("MSET", *[w for i in range(50) for w in (f"k{i}", i)])
            self.assertEqual(s.ask("DBSIZE"), 50)
        counts = [self.postgres.value(f"SELECT count(*) FROM {t}") for t in (self.table + "a", "other." + self.table)]
        self.assertEqual(sum(counts), 52, "with a stamp each")
        self.assertTrue(min(counts) > 10, counts)
        swapped = self.sheaf_of(*urls[::-1])
        with swapped.connect() as s:
            self.refused(s, "shard", "GET", "k1")
        wait_until(lambda: self.shard_of(swapped)["health"]["state"] == "down")
        self.assertIn("stamp", self.shard_of(swapped)["health"]["probe"]["text"])


class Servers(Tables):
    """That are not well."""

    def setUp(self):
        super().setUp()
        self.postgres = Postgres(self)

    def test_one_that_is_gone_is_an_error_at_once_until_it_is_back(self):
        sheaf = self.sheaf_of(timeout="20s")
        with sheaf.connect() as s:
            s.ask("SET", "k", "v")
            self.postgres.kill9()
            reply = s.ask("GET", "k")
            self.assertIsInstance(reply, Failure)
            for _ in range(50):
                self.assertIn("refused", s.ask("GET", "k"))
            wait_until(lambda: self.shard_of(sheaf)["health"]["state"] == "down", what="status to tell")
            self.assertIn("refused", self.shard_of(sheaf)["health"]["probe"]["text"])
            self.postgres.start()
            wait_until(lambda: s.ask("GET", "k") == b"v", what="it to be back")
            wait_until(lambda: self.shard_of(sheaf)["health"]["state"] == "up", what="status to tell")

    def test_one_whose_disk_is_full_is_read_and_is_written_again_once_there_is_room(self):
        self.folder().chmod(0o711)
        small = small_disk(self, "2m")
        (small / "space").mkdir()
        own(small / "space")
        self.postgres.sql(f"CREATE TABLESPACE small LOCATION '{small}/space'")
        self.postgres.sql("GRANT CREATE ON TABLESPACE small TO PUBLIC")
        self.postgres.sql("ALTER DATABASE app SET default_tablespace = small")
        sheaf, count = self.sheaf_of(timeout="20s"), 0
        with sheaf.connect() as s:
            while (reply := s.ask("SET", f"k{count}", random.randbytes(50_000))) == "OK":
                count += 1
            self.assertGreater(count, 10, reply)
            for _ in range(3):
                self.assertIn("No space left", reply)
                self.assertEqual(s.ask("STRLEN", "k3"), 50_000)
                reply = s.ask("SET", "more", random.randbytes(100_000))
            code, _, err = run(["mount", "-o", "remount,size=40m", small])
            self.assertEqual(code, 0, err)
            self.assertEqual(s.ask("SET", "more", "x"), "OK")
            self.assertEqual(s.ask("DBSIZE"), count + 1)

    def test_one_that_was_restarted_between_two_requests_is_not_noticed(self):
        with self.sheaf_of().connect() as s:
            s.ask("SET", "k", "v")
            self.postgres.restart()
            self.assertEqual(s.ask("GET", "k"), b"v")
            self.postgres.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sheaf'")
            self.assertEqual(s.ask("INCR", "n"), 1)

    def test_one_that_stands_still_is_an_error_in_time_and_then_at_once(self):
        sheaf = self.sheaf_of(timeout="300ms", connect_timeout="300ms")
        with sheaf.connect() as s:
            s.ask("SET", "k", "v")
            self.postgres.stop()
            self.refused(s, "", "GET", "k")
            wait_until(lambda: self.shard_of(sheaf)["health"]["state"] == "down", what="status to tell")
            for _ in range(50):
                self.refused(s, "", "GET", "k")
            self.postgres.cont()
            wait_until(lambda: s.ask("GET", "k") == b"v", what="it to be back")

    def test_one_that_stands_still_does_not_hold_up_the_end(self):
        sheaf = self.sheaf_of(timeout="25s")
        with sheaf.connect() as s:
            s.ask("SET", "k", "v")
            self.postgres.stop()
            s.send(encode("GET", "k"))
            wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 1, what="the request to be under way")
            sheaf.terminate()
            self.assertEqual(sheaf.wait(), 0)
            self.postgres.cont()

    def test_what_was_acknowledged_is_there_after_either_was_killed(self):
        # A server that falls loses what it was told not to wait for; Sheaf never loses anything.
        for victim, sync in (("sheaf", "always"), ("sheaf", "interval"), ("sheaf", "never"), ("postgres", "always")):
            self.table = f"kill_{victim}_{sync}"
            sheaf = self.sheaf_of(sync=sync)
            ledger = Ledger(self)
            for _ in range(KILLS if sync == "always" else 1):
                with self.subTest(victim=victim, sync=sync):
                    if victim == "sheaf":
                        ledger.write_until_killed(sheaf, lambda: sheaf.process.signal(signal.SIGKILL))
                        sheaf.process.wait()
                        sheaf.start()
                    else:
                        ledger.write_until_killed(sheaf, self.postgres.kill9, may_refuse=True)
                        self.postgres.start()
                        wait_until(lambda: not isinstance(sheaf.ask("GET", "k"), Failure), what="it to be back")
                    ledger.check(sheaf, (victim, sync))

    def test_who_may_not_make_a_table_may_use_one(self):
        self.postgres.sql("REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE ROLE poor LOGIN PASSWORD 'secret'")
        sheaf = self.sheaf_of()
        sheaf.ask("SET", "k", "v")
        self.postgres.sql(f"GRANT SELECT, INSERT, UPDATE, DELETE ON {self.table} TO poor")
        self.assertEqual(self.sheaf_of(self.url().replace("app:", "poor:")).ask("GET", "k"), b"v")
        without = self.sheaf_of(self.url("none").replace("app:", "poor:"))
        with without.connect() as s:
            self.refused(s, "permission denied", "GET", "k")
        self.postgres.sql(f"REVOKE ALL ON {self.table} FROM poor")

    def test_a_replica_is_no_shard(self):
        replica = Replica(self, self.postgres)
        with self.sheaf_of(f"{replica.url_as()}/app").connect() as s:
            self.refused(s, "read-only", "GET", "k")


class Secure(Tables):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates(cls.folder() / "tls")
        cls.postgres = Postgres(cls, auth="scram-sha-256", certificates=cls.certificates)

    def test_certificates_are_verified(self):
        authority = f"&ca={self.certificates.ca}"
        for query, word in (("&tls=verify" + authority, None), ("&tls=require", None), ("&tls=verify", "certificate"),
                            ("&tls=verify&server_name=other.example" + authority, "other.example"), ("&tls=off", None)):
            with self.sheaf_of(self.url() + query).connect() as s:
                if word is None:
                    self.assertEqual(s.ask("SET", "k", "v"), "OK", query)
                else:
                    self.refused(s, word, "GET", "k")

    def test_a_wrong_password_is_told_and_is_in_no_log(self):
        sheaf = self.sheaf_of(self.url().replace("secret", "wr%27ng"))
        with sheaf.connect() as s:
            self.refused(s, "password authentication failed", "GET", "k")
        self.assertNotIn("wr'ng", sheaf.log)
        code, out, _ = Sheaf.command("check", sheaf.file)
        self.assertEqual(code, 0)
        self.assertIn("postgresql://app:***@", out)
        self.assertNotIn("wr", out)


if __name__ == "__main__":
    main()
