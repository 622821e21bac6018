#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Commands that wait at the server: nobody else waits for them, and no element is lost by who leaves."""
import os
import shutil
import signal
import socket
import struct
import time
import unittest

from lib import *

VALKEY = os.environ.get("SHEAF_VALKEY") or shutil.which("valkey-server")

# Each waits on {q}k; then something arrives, told in the second column.  All keys have one tag.
FAMILY = (
    ("BLPOP {q}k 0", "RPUSH {q}k a b"),
    ("BRPOP {q}k 0", "RPUSH {q}k a b"),
    ("BLPOP {q}no {q}k {q}no2 0", "RPUSH {q}k a"),
    ("BRPOPLPUSH {q}k {q}to 0", "RPUSH {q}k a b"),
    ("BLMOVE {q}k {q}to RIGHT LEFT 0", "RPUSH {q}k a b"),
    ("BLMPOP 0 2 {q}no {q}k LEFT COUNT 10", "RPUSH {q}k a b c"),
    ("BZPOPMIN {q}k 0", "ZADD {q}k 1.5 a 2 b"),
    ("BZPOPMAX {q}no {q}k 0", "ZADD {q}k 1.5 a 2 b"),
    ("BZMPOP 0 1 {q}k MAX COUNT 2", "ZADD {q}k 1 a 2 b 3 c"),
    ("XREAD BLOCK 0 STREAMS {q}k $", "XADD {q}k 7-1 f v"),
    ("XREAD COUNT 2 BLOCK 0 STREAMS {q}no {q}k $ 0", "XADD {q}k 7-1 f v"),
    ("XREADGROUP GROUP g me BLOCK 0 STREAMS {q}g >", "XADD {q}g 7-1 f v"),
)
TIMED = (
    "BLPOP {q}no 0.01", "BRPOP {q}no {q}no2 0.01", "BRPOPLPUSH {q}no {q}to 0.01", "BLMOVE {q}no {q}to LEFT LEFT 0.01",
    "BLMPOP 0.01 1 {q}no LEFT", "BZPOPMIN {q}no 0.01", "BZPOPMAX {q}no 0.01", "BZMPOP 0.01 1 {q}no MIN",
    "XREAD BLOCK 10 STREAMS {q}no $", "XREADGROUP GROUP g me BLOCK 10 STREAMS {q}g >")
WRONG = (
    "BLPOP {q}k", "BLPOP {q}k x", "BLPOP {q}k -1", "BLMOVE {q}k {q}to UP LEFT 0", "BLMPOP 0 0 {q}k LEFT",
    "BLMPOP 0 x {q}k LEFT", "BZMPOP 0 1 {q}k MID", "XREAD BLOCK -1 STREAMS {q}k $", "XREAD BLOCK x STREAMS {q}k $",
    "XREAD BLOCK 0 STREAMS {q}k", "BLPOP {q}string 0", "BZPOPMIN {q}string 0", "BRPOPLPUSH {q}string {q}to 0",
    "XREADGROUP GROUP nosuch me BLOCK 0 STREAMS {q}g >")


def blocked(redis):
    """How many clients wait at the server."""
    text = redis.ask("INFO", "clients").decode()
    return int(text.split("blocked_clients:")[1].split()[0])


class AsRedisDoes(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis))
        cls.home = cls.redis[shard_of("{q}", 2)]

    def each(self, proto):
        one, other = Twin(self, self.sheaf, self.plain, proto), Twin(self, self.sheaf, self.plain, proto)
        other.ask("FLUSHALL")
        other.ask("XGROUP", "CREATE", "{q}g", "g", "$", "MKSTREAM")
        other.ask("SET", "{q}string", "x")
        return one, other

    def test_what_arrives_is_the_reply_of_redis(self):
        for proto in (2, 3):
            for waits, arrives in FAMILY:
                with self.subTest(waits, proto=proto):
                    one, other = self.each(proto)
                    one.send(*waits.split())
                    wait_until(lambda: blocked(self.home) == 1 and blocked(self.plain) == 1)
                    other.ask(*arrives.split())
                    one.reply(waits)
                    other.ask("EXISTS", "{q}k", "{q}to", "{q}g")
                    one.close()
                    other.close()

    def test_what_is_there_already_is_answered_at_once(self):
        for proto in (2, 3):
            for waits, arrives in FAMILY:
                with self.subTest(waits, proto=proto):
                    one, other = self.each(proto)
                    other.ask(*arrives.split())
                    one.ask(*waits.replace("$", "0").split())
                    one.ask("PING")
                    one.close()
                    other.close()

    def test_timeouts_and_errors_are_those_of_redis(self):
        for proto in (2, 3):
            one, _ = self.each(proto)
            for words in WRONG:
                one.ask(*words.split())
            one.ask_all(*(words.split() for words in TIMED + WRONG))

    def test_a_pipeline_goes_on_behind_one_that_waits(self):
        one, other = self.each(2)
        commands = (("SET", "{q}s", "1"), ("BLPOP", "{q}k", "0"), ("GET", "{q}s"), ("PING",), ("BLPOP", "{q}k", "0"),
                    ("LLEN", "{q}k"))
        for session in (one.here, one.there):
            session.send(b"".join(encode(*c) for c in commands))
        one.reply()
        wait_until(lambda: blocked(self.home) == 1 and blocked(self.plain) == 1)
        other.ask("SET", "{q}s", "2")
        other.ask("RPUSH", "{q}k", "a", "b", "c")
        self.assertEqual([one.reply(c) for c in commands[1:]], [[b"{q}k", b"a"], b"2", "PONG", [b"{q}k", b"b"], 1])


class Unblocked(Case):
    """CLIENT UNBLOCK, by who may be served by another worker."""

    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis), proxy={"workers": 3})
        cls.home = cls.redis[shard_of("{q}", 2)]

    def test_as_redis_does(self):
        for proto in (2, 3):
            for waits in ("BLPOP {q}k 0", "BLMOVE {q}k {q}l LEFT LEFT 0", "BZPOPMIN {q}z 0", "XREAD BLOCK 0 STREAMS {q}x $"):
                for reason in ((), ("TIMEOUT",), ("error",)):
                    with self.subTest(waits, reason=reason, proto=proto):
                        waiter, other = (Twin(self, self.sheaf, self.plain, proto) for _ in "ab")
                        here, there = waiter.here.ask("CLIENT", "ID"), waiter.there.ask("CLIENT", "ID")
                        waiter.send(*waits.split())
                        wait_until(lambda: blocked(self.home) == blocked(self.plain) == 1)
                        self.assertEqual(other.here.ask("CLIENT", "UNBLOCK", here, *reason), 1)
                        self.assertEqual(other.there.ask("CLIENT", "UNBLOCK", there, *reason), 1)
                        waiter.reply()
                        self.assertEqual(other.here.ask("CLIENT", "UNBLOCK", here, *reason), 0)
                        waiter.ask("PING")
                        for twin in (waiter, other):
                            twin.close()

    def test_wrong_words_are_told_as_redis_tells_them(self):
        twin = Twin(self, self.sheaf, self.plain)
        for words in ((), ("x",), ("-1",), ("0",), ("999999",), ("999999", "TIMEOUT"), ("999999", "ERROR"), ("999999", "x"),
                      ("x", "x"), ("1", "2", "3"), ("99999999999999999999",)):
            twin.ask("CLIENT", "UNBLOCK", *words)

    def test_no_one_else_is_unblocked_instead(self):
        """The server hears of it late, for a connection is made first; by then the element came, and another waits."""
        redis = RedisServer(self)
        faults = Faults(self, ("127.0.0.1", redis.port))
        sheaf = Sheaf(self, pool([faults]), proxy={"workers": 1})
        with sheaf.connect() as first, sheaf.connect() as second, sheaf.connect() as other, redis.connect() as direct:
            for session in (first, second, direct):
                session.ask("SELECT", 3)
            number = first.ask("CLIENT", "ID")
            first.send(encode("BLPOP", "k", "0"))
            wait_until(lambda: blocked(redis) == 1)
            faults.delay = 0.05
            self.assertEqual(other.ask("CLIENT", "UNBLOCK", number), 1)
            direct.ask("RPUSH", "k", "x")
            self.assertEqual(first.reply(), [b"k", b"x"])
            second.send(encode("BLPOP", "k2", "0"))
            unblocks = "cmdstat_client|unblock:"
            wait_until(lambda: unblocks in direct.ask("INFO", "commandstats").decode() and blocked(redis) == 1)
            direct.ask("RPUSH", "k2", "2")
            self.assertEqual(second.reply(), [b"k2", b"2"])


class Waiting(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.sheaf = Sheaf(cls, pool(cls.redis, timeout="200ms"))
        cls.here, cls.there = (k[0] for k in keys_on_shards(2, prefix="wait"))

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.session.ask("FLUSHALL")
        wait_until(lambda: blocked(self.redis[0]) == 0)

    def waiter(self, *words, at=1):
        """A client that waits in BLPOP, at the server already; `at`: how many then wait there."""
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        session.send(encode(*words))
        wait_until(lambda: blocked(self.redis[0]) == at)
        return session

    def test_who_waits_is_not_answered_when_the_timeout_for_replies_is_over(self):
        waiter = self.waiter("BLPOP", self.here, "0")
        stream = self.waiter("XREAD", "BLOCK", "0", "STREAMS", self.here + ":x", "$", at=2)
        self.assertTrue(waiter.silent(0.6))
        self.assertTrue(stream.silent(0.01))
        self.session.ask("RPUSH", self.here, "a")
        self.assertEqual(waiter.reply(), [self.here.encode(), b"a"])

    def test_who_came_first_is_served_first(self):
        waiters = [self.waiter("BLPOP", self.here, "0", at=n + 1) for n in range(20)]
        for number, waiter in enumerate(waiters):
            self.session.ask("RPUSH", self.here, number)
            self.assertEqual(waiter.reply(), [self.here.encode(), b"%d" % number])

    def test_many_wait_and_each_element_goes_to_one(self):
        waiters = [self.waiter("BLPOP", self.here, "0", at=n + 1) for n in range(60)]
        self.assertEqual(self.session.ask("RPUSH", self.here, *range(70)), 70)
        got = sorted(int(w.reply()[1]) for w in waiters)
        self.assertEqual(got, list(range(60)))
        self.assertEqual(self.session.ask("LLEN", self.here), 10)

    def test_others_of_the_shard_do_not_wait(self):
        waiters = [self.waiter("BLPOP", self.here, "0", at=n + 1) for n in range(10)]
        with self.sheaf.connect() as other:
            for number in range(500):
                self.assertEqual(other.ask("SET", f"{{{self.here}}}{number}", number), "OK")
        self.assertEqual(blocked(self.redis[0]), 10)
        for waiter in waiters:
            self.session.ask("RPUSH", self.here, "x")
            self.assertEqual(waiter.reply()[1], b"x")

    def test_keys_on_two_shards_are_refused_at_once(self):
        self.assertEqual(self.session.ask("BLPOP", self.here, self.there, "0"),
                         "CROSSSLOT Keys in request don't hash to the same slot")

    def test_a_connection_is_used_again_by_the_next_who_waits(self):
        before = int(self.redis[0].ask("INFO", "stats").decode().split("total_connections_received:")[1].split()[0])
        self.session.ask("RPUSH", self.here, *range(100))
        for number in range(100):
            with self.sheaf.connect() as session:
                self.assertEqual(session.ask("BLPOP", self.here, "0")[1], b"%d" % number)
        after = int(self.redis[0].ask("INFO", "stats").decode().split("total_connections_received:")[1].split()[0])
        self.assertLess(after - before, 20)


class Replicas(Case):
    """WAIT by a session whose writes go over upstreams that others write over, too."""

    BINARY = "redis-server"

    def setUp(self):
        self.redis = [RedisServer(self, {"repl-diskless-sync-delay": "0"}, binary=self.BINARY) for _ in range(2)]
        self.replicas = [RedisServer(self, {"replicaof": f"127.0.0.1 {r.port}"}, binary=self.BINARY) for r in self.redis]
        wait_until(lambda: all("master_link_status:up" in r.ask("INFO", "replication").decode() for r in self.replicas),
                   what="the replicas to have all")
        self.sheaf = Sheaf(self, pool(self.redis, timeout="200ms"), proxy={"workers": 1})
        self.keys = [k[0] for k in keys_on_shards(2, prefix="copied")]

    def test_wait_does_not_count_a_replica_that_has_not_the_writes(self):
        with self.sheaf.connect() as session, self.sheaf.connect() as hearer:
            hearer.ask("PSUBSCRIBE", "*")
            for number in range(3):  # the second and third over upstreams that have waited before
                for key in self.keys:
                    self.assertEqual(session.ask("SET", key, number), "OK")
                self.assertEqual(session.ask("WAIT", "1", "5000"), 1)
                self.assertEqual([r.ask("GET", k) for r, k in zip(self.replicas, self.keys)], [b"%d" % number] * 2)
                self.replicas[1].stop()
                self.assertEqual(session.ask("SET", self.keys[1], "late"), "OK")
                began = time.monotonic()
                self.assertEqual(session.ask("WAIT", "1", "300"), 0)
                self.assertGreater(time.monotonic() - began, 0.25)
                self.replicas[1].cont()
                self.assertEqual(session.ask("WAIT", "1", "5000"), 1)
            self.assertTrue(hearer.silent(0.05), "nobody hears of it")
            self.assertEqual(session.ask("DBSIZE"), 2, "and it leaves nothing")

    def test_wait_tells_what_the_servers_rights_forbid(self):
        for rights, answer in (("-swapdb", 1), ("-spublish", 1), ("-swapdb -spublish", None)):
            self.redis[0].ask("ACL", "SETUSER", "default", "+@all", *rights.split())
            with self.sheaf.connect() as session:
                reply = session.ask("WAIT", "1", "5000")
                self.assertEqual(reply, answer) if answer else self.assertIn("allowed SPUBLISH or SWAPDB", str(reply))


@unittest.skipIf(VALKEY is None, "there is no valkey-server here")
class ReplicasOfValkey(Replicas):
    """Since Redis 7.2 a server notes only what it writes to its replicas."""

    BINARY = VALKEY


class WhoLeaves(Case):
    """What arrives after a client left is still there for the next, over whichever worker it comes."""

    PUSH = ("RPUSH", "<key>", "x")

    def leave(self, how, rounds, waits="BLPOP <key> 0", push=PUSH, count="LLEN", workers=2, database=0, more=b""):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis]), proxy={"workers": workers})
        pushers = [sheaf.connect() for _ in range(4)]
        for session in pushers:
            self.addCleanup(session.close)
            session.ask("SELECT", database)
        for number in range(rounds):
            waiter, key, pusher = sheaf.connect(), f"left:{number}", pushers[number % len(pushers)]
            waiter.ask("SELECT", database)
            waiter.send(encode(*waits.replace("<key>", key).split()) + more)
            wait_until(lambda: blocked(redis) == 1)
            how(waiter)
            reply = pusher.ask(*(w.replace("<key>", key) for w in push))
            self.assertNotIsInstance(reply, Failure)
            self.assertEqual(pusher.ask(count, key), 1, f"round {number}: the element is gone")
            waiter.close()
            wait_until(lambda: blocked(redis) == 0)

    @staticmethod
    def close(waiter):
        waiter.close()

    @staticmethod
    def half_close(waiter):
        waiter.socket.shutdown(socket.SHUT_WR)

    @staticmethod
    def kill(waiter):
        waiter.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        waiter.close()

    def test_by_closing_costs_no_element(self):
        self.leave(self.close, 300)

    def test_by_closing_costs_no_element_of_a_single_worker(self):
        self.leave(self.close, 100, workers=1)

    def test_by_closing_costs_no_element_among_four_workers(self):
        self.leave(self.close, 100, workers=4)

    def test_by_half_closing_costs_no_element(self):
        self.leave(self.half_close, 100)

    def test_by_being_killed_costs_no_element(self):
        self.leave(self.kill, 100)

    def test_behind_whom_more_was_asked_costs_no_element(self):
        """Sheaf does not read from such a client."""
        for workers in (1, 2):
            self.leave(self.close, 30, "BLPOP <key> 0", more=encode("PING"), workers=workers)

    def test_soon_after_another_costs_no_element(self):
        """What tells the server of the other stands before the command, on the same connection."""
        for idle in (False, True):
            redis = RedisServer(self)
            sheaf = Sheaf(self, pool([redis]), proxy={"workers": 1})
            with sheaf.connect() as pusher, sheaf.connect() as first, sheaf.connect() as second:
                first.send(encode("BLPOP", "first", "0"))
                wait_until(lambda: blocked(redis) == 1)
                if idle:
                    second.send(encode("BLPOP", "idle", "0"))
                    wait_until(lambda: blocked(redis) == 2)
                    pusher.ask("RPUSH", "idle", "x")
                    second.reply()
                redis.stop()
                first.close()
                second.send(encode("BRPOP", "second", "0") + encode("PING"))
                wait_until(lambda: b"cmd=brpop" in pusher.ask("CLIENT", "LIST"))
                redis.cont()
                wait_until(lambda: b"cmd=brpop" in redis.ask("CLIENT", "LIST") and blocked(redis) == 1)
                second.close()
                self.assertEqual(pusher.ask("RPUSH", "second", "x"), 1)
                self.assertEqual(pusher.ask("LLEN", "second"), 1)

    def test_while_it_waits_for_an_upstream_costs_no_element(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], max_upstreams=1), proxy={"workers": 1})
        with sheaf.connect() as pusher, sheaf.connect() as first, sheaf.connect() as last:
            for number in range(20):
                first.send(encode("BLPOP", "k", "0"))
                wait_until(lambda: blocked(redis) == 1)
                late = sheaf.connect()
                late.send(encode("BLPOP", "k", "0") + encode("PING"))
                wait_until(lambda: pusher.ask("CLIENT", "LIST").count(b"cmd=blpop") == 2)
                last.send(encode("BRPOP", "k", "0"))
                wait_until(lambda: b"cmd=brpop" in pusher.ask("CLIENT", "LIST"))
                late.close()
                pusher.ask("RPUSH", "k", number, "next")
                self.assertEqual(first.reply(), [b"k", b"%d" % number])
                self.assertEqual(last.reply(), [b"k", b"next"])
                last.ask("PING")

    def test_in_another_database_costs_no_element(self):
        self.leave(self.close, 50, database=3)

    def test_from_the_other_commands_costs_no_element(self):
        for waits in ("BRPOP <key> 0", "BLMOVE <key> {<key>}to LEFT LEFT 0", "BLMPOP 0 1 <key> LEFT", "BRPOPLPUSH <key> {<key>}to 0"):
            self.leave(self.close, 20, waits)
        self.leave(self.close, 20, "BZPOPMIN <key> 0", ("ZADD", "<key>", "1", "x"), "ZCARD")
        self.leave(self.close, 20, "BZMPOP 0 1 <key> MAX", ("ZADD", "<key>", "1", "x"), "ZCARD")

    def test_costs_nothing_of_what_a_script_brings(self):
        self.leave(self.close, 50, push=("EVAL", "return redis.call('RPUSH', KEYS[1], 'x')", "1", "<key>"))

    def test_costs_nothing_of_what_a_transaction_brings(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis]))
        with sheaf.connect() as pusher:
            for number in range(50):
                waiter = sheaf.connect()
                waiter.send(encode("BLPOP", number, "0"))
                wait_until(lambda: blocked(redis) == 1)
                waiter.close()
                words = (("WATCH", number),) if number % 2 else ()
                replies = pusher.ask_all(*words, ("MULTI",), ("RPUSH", number, "x"), ("EXEC",), ("LLEN", number))
                self.assertEqual(replies[-2:], [[1], 1])
                wait_until(lambda: blocked(redis) == 0)

    def test_among_others_who_wait_costs_nothing(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis]), proxy={"workers": 1})
        with sheaf.connect() as pusher:
            for number in range(50):
                waiters = []
                for n in range(3):
                    waiters.append(sheaf.connect())
                    waiters[-1].send(encode("BLPOP", "among", "0"))
                    wait_until(lambda: blocked(redis) == n + 1)
                waiters[0].close()
                waiters[2].close()
                pusher.ask("RPUSH", "among", number)
                self.assertEqual(waiters[1].reply(), [b"among", b"%d" % number])
                waiters[1].close()
                wait_until(lambda: blocked(redis) == 0)
            self.assertEqual(pusher.ask("LLEN", "among"), 0)

    def test_all_clients_killed_at_once_costs_no_element(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis]), proxy={"workers": 2})
        for _ in range(5):
            waiters = [sheaf.connect() for _ in range(40)]
            for waiter in waiters:
                waiter.send(encode("BLPOP", "all", "0"))
            wait_until(lambda: blocked(redis) == 40)
            for waiter in waiters:
                self.kill(waiter)
            wait_until(lambda: blocked(redis) == 0)
            self.assertEqual(sheaf.ask("RPUSH", "all", *range(40)), 40)
            self.assertEqual(sheaf.ask("LLEN", "all"), 40)
            sheaf.ask("DEL", "all")


class Faulty(Case):
    def setUp(self):
        self.redis = [RedisServer(self), RedisServer(self)]
        self.pool = pool(self.redis, max_upstreams=3, timeout="500ms", queue_timeout="300ms")
        self.sheaf = Sheaf(self, self.pool)
        self.lives, self.dies = (k[0] for k in keys_on_shards(2))

    def waiter(self, key, at):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        session.send(encode("BLPOP", key, "0"))
        wait_until(lambda: blocked(self.redis[1]) == at)
        return session

    def test_a_server_that_is_killed_answers_those_who_wait_with_an_error(self):
        waiters = [self.waiter(self.dies, n + 1) for n in range(3)]
        self.redis[1].kill9()
        for waiter in waiters:
            reply = waiter.reply()
            self.assertIsInstance(reply, Failure)
            self.assertIn(self.redis[1].address, reply)
            self.assertEqual(waiter.ask("PING"), "PONG")
            self.assertIsInstance(waiter.ask("BLPOP", self.dies, "0"), Failure)
        self.redis[1].restart()
        with self.sheaf.connect() as session:
            for each in (session, waiters[0]):  # two workers, perhaps: each finds out for itself
                wait_until(lambda: isinstance(each.ask("LLEN", self.dies), int))
            waiters[0].send(encode("BLPOP", self.dies, "0"))
            wait_until(lambda: blocked(self.redis[1]) == 1)
            session.ask("RPUSH", self.dies, "x")
            self.assertEqual(waiters[0].reply()[1], b"x")

    def test_a_client_that_leaves_while_its_server_stands_still_costs_no_element(self):
        waiter = self.waiter(self.dies, 1)
        self.redis[1].stop()
        waiter.close()
        wait_until(lambda: self.sheaf.status() and self.sheaf.ask("GET", self.dies).code == "ERR")
        self.redis[1].cont()
        with self.sheaf.connect() as session:
            wait_until(lambda: isinstance(session.ask("LLEN", self.dies), int))
            wait_until(lambda: blocked(self.redis[1]) == 0)
            self.assertEqual(session.ask("RPUSH", self.dies, "x"), 1)
            self.assertEqual(session.ask("LLEN", self.dies), 1)

    def test_more_who_wait_than_upstreams_are_told_so(self):
        waiters = [self.waiter(self.dies, n + 1) for n in range(3)]
        with self.sheaf.connect() as late:
            began = time.monotonic()
            refusal = late.ask("BLPOP", self.dies, "0")
            self.assertIsInstance(refusal, Failure)
            self.assertIn("max_upstreams", refusal)
            self.assertIn("queue_timeout", refusal)
            self.assertGreater(time.monotonic() - began, 0.19)
            self.assertEqual(late.ask("SET", f"{{{self.dies}}}", "1"), "OK")
            self.assertIsNone(late.ask("BLPOP", self.lives, "0.01"))
            late.ask("RPUSH", self.dies, "x")
            self.assertEqual(waiters[0].reply()[1], b"x")
            self.assertIsNone(late.ask("BLPOP", self.dies, "0.01"))

    def test_who_waits_for_an_upstream_gets_the_next_that_is_free(self):
        """Over workers, databases and protocol versions, and in their order."""
        waiters = [self.waiter(self.dies, n + 1) for n in range(3)]
        with self.sheaf.connect() as session:
            for number in range(30):
                late = self.sheaf.connect()
                self.addCleanup(late.close)
                late.ask("HELLO", 2 + number % 2)
                late.ask("SELECT", number % 3)
                late.send(encode("BLPOP", self.dies, "0") + encode("PING"))
                session.ask("SELECT", 0 if number < 3 else (number - 3) % 3)
                session.ask("RPUSH", self.dies, number)
                self.assertEqual(waiters[0].reply()[1], b"%d" % number)
                if number >= 3:
                    self.assertEqual(waiters[0].reply(), "PONG")
                waiters = waiters[1:] + [late]
                wait_until(lambda: blocked(self.redis[1]) == 3)

    def test_who_leaves_while_he_waits_for_an_upstream_is_forgotten(self):
        waiters = [self.waiter(self.dies, n + 1) for n in range(3)]
        for _ in range(20):
            with self.sheaf.connect() as late:
                late.send(encode("BLPOP", self.dies, "0"))
        with self.sheaf.connect() as session:
            for number, waiter in enumerate(waiters):
                session.ask("RPUSH", self.dies, number)
                self.assertEqual(waiter.reply()[1], b"%d" % number)
            session.ask("RPUSH", self.dies, "kept")
            self.assertEqual(session.ask("LLEN", self.dies), 1)

    def test_who_waits_for_an_upstream_of_a_server_that_dies_is_told(self):
        waiters = [self.waiter(self.dies, n + 1) for n in range(3)]
        with self.sheaf.connect() as late:
            late.send(encode("BLPOP", self.dies, "0"))
            self.redis[1].kill9()
            self.assertIn(self.redis[1].address, late.reply())
            for waiter in waiters:
                self.assertIn(self.redis[1].address, waiter.reply())

    def test_reload_and_the_end_of_sheaf_do_not_wait_for_those_who_wait(self):
        waiter = self.waiter(self.dies, 1)
        self.sheaf.reload(self.pool, pool(self.redis[:1], name="another"))
        wait_until(lambda: len(self.sheaf.status()["pools"]) == 2)
        with self.sheaf.connect() as session:
            session.ask("RPUSH", self.dies, "over a reload")
        self.assertEqual(waiter.reply()[1], b"over a reload")
        waiter.send(encode("BLPOP", self.dies, "0"))
        wait_until(lambda: blocked(self.redis[1]) == 1)
        began = time.monotonic()
        self.sheaf.process.signal(signal.SIGTERM)
        self.assertEqual(self.sheaf.wait(), 0)
        self.assertLess(time.monotonic() - began, 8 * SLOW)
        wait_until(lambda: blocked(self.redis[1]) == 0)


if __name__ == "__main__":
    main()
