#!/usr/bin/python3
# not under tsan: it would take as long there as all else that shares (--long has it)
"""Everything at once, for long: servers killed, connections cut, clients leaving, reloads; and sheaf-bench
tags every value with its key.  No reply may reach the wrong request, no acknowledged write may be lost,
and one client's requests keep their order.  SHEAF_LONG=1: a million operations."""
import os
import random
import socket
import subprocess
import threading
import time

from lib import *

LONG = os.environ.get("SHEAF_LONG") == "1"
BENCH = REPOSITORY / "build/release/sheaf-bench"


class Saboteur(threading.Thread):
    """Does harm, one deed after the other, until its block ends."""

    def __init__(self, *deeds):
        super().__init__(daemon=True)
        self._deeds, self._end, self.done, self.failure = deeds, threading.Event(), 0, None

    def run(self):
        try:
            while not self._end.wait(0.02):
                self._deeds[self.done % len(self._deeds)]()
                self.done += 1
        except Exception as error:  # pylint: disable=broad-except
            self.failure = error

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        self.join(60)
        if self.failure:
            raise self.failure


class UnderBench(Case):
    """The load is sheaf-bench, which remembers what was acknowledged."""

    def bench(self, operations, *options):
        """Runs to its end; says what was wrong."""
        lost = self.folder() / "lost"
        lost.write_text("")
        done = subprocess.run(
            [BENCH, "-q", "--verify-writes", "--tolerate-errors", "--lost", lost, "-t", "1", "-c", "12", "-P", "8",
             "-k", "3000", "-m", "get=40,set=40,mget:4=10,mset:4=10", "-s", "40-400:95,4K-90K:5", "-w", "0s",
             "--timeout", "30s", "-n", str(operations), *options, f"redis://127.0.0.1:{self.sheaf.port}"],
            capture_output=True, text=True, timeout=600 * SLOW, check=False)
        self.assertEqual(lost.read_text(), "", "acknowledged writes are lost")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_servers_are_killed_and_come_back_with_what_they_acknowledged(self):
        redis = [RedisServer(self, {"appendonly": "yes", "appendfsync": "no"}) for _ in range(4)]
        self.sheaf = Sheaf(self, pool(redis, timeout="1s", backoff_min="10ms", backoff_max="50ms"))
        with Saboteur(lambda: random.choice(redis).restart()) as saboteur:
            self.bench(1_000_000 if LONG else int(60_000 / min(SLOW, 2)))
        self.assertGreater(saboteur.done, 2)

    def test_connections_are_cut_and_servers_stand_still(self):
        redis = [RedisServer(self) for _ in range(3)]
        faults = [Faults(self, ("127.0.0.1", r.port)) for r in redis]
        self.sheaf = Sheaf(self, pool(faults, timeout="100ms", backoff_min="10ms", backoff_max="50ms"))

        def stand_still():
            one = random.choice(redis)
            one.stop()
            time.sleep(0.15)  # longer than the timeout: late replies come
            one.cont()

        with Saboteur(lambda: random.choice(faults).cut(), stand_still,
                      lambda: random.choice(faults).cut()) as saboteur:
            self.bench(1_000_000 if LONG else int(30_000 / min(SLOW, 2)))
        self.assertGreater(saboteur.done, 3)

    def test_reloads_come_all_the_time(self):
        redis = [RedisServer(self) for _ in range(3)]
        section = pool(redis)
        self.sheaf = Sheaf(self, section)

        def reload():
            before = self.sheaf.status()["generation"]
            self.sheaf.reload((section[0], {**section[1], "upstreams": random.randrange(1, 4)}),
                              pool(redis[:1], name=f"more{random.randrange(3)}", stamp="no"))
            wait_until(lambda: self.sheaf.status()["generation"] > before, what="the reload")

        with Saboteur(reload) as saboteur:
            self.bench(500_000 if LONG else int(60_000 / min(SLOW, 2)))
        self.assertGreater(saboteur.done, 3)


class Order(Case):
    """Through wires that are cut, but to servers that live."""

    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.faults = [Faults(self, ("127.0.0.1", r.port)) for r in self.redis]
        self.sheaf = Sheaf(self, pool(self.faults, timeout="2s", backoff_min="10ms", backoff_max="50ms"))

    def test_one_clients_requests_keep_their_order(self):
        wrong, threads = [], []

        def work(number):
            try:
                with self.sheaf.connect() as session:
                    highest, sent = 0, []
                    for turn in range(400 if LONG else 60):
                        names = range(turn * 25, turn * 25 + 25)
                        replies = session.ask_all(*[c for n in names for c in (
                            ("INCR", f"count:{number}"), ("RPUSH", f"row:{number}", n))])
                        for reply in replies[::2]:
                            if isinstance(reply, int):
                                if reply <= highest:
                                    wrong.append(f"{reply} after {highest}")
                                highest = reply
                        sent += [n for n, reply in zip(names, replies[1::2]) if isinstance(reply, int)]
                row = [int(x) for x in self.redis[shard_of(f"row:{number}", 2)].ask("LRANGE", f"row:{number}", 0, -1)]
                if row != sorted(set(row)):
                    wrong.append("a row is out of order, or has something twice")
                if not set(sent) <= set(row):
                    wrong.append(f"acknowledged and gone: {sorted(set(sent) - set(row))[:5]}")
            except Exception as error:  # pylint: disable=broad-except
                wrong.append(repr(error))

        with Saboteur(lambda: self.faults[0].cut(), lambda: self.faults[1].cut()):
            for number in range(6):
                threads.append(threading.Thread(target=work, args=(number,)))
                threads[-1].start()
            for thread in threads:
                thread.join()
        self.assertEqual(wrong[:3], [])


class Chaos(Case):
    """Clients of all kinds, many of whom leave without a word."""

    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(3)]
        self.faults = [Faults(self, ("127.0.0.1", r.port)) for r in self.redis]
        self.keys = [k[0] for k in keys_on_shards(3)]
        self.section = pool(self.faults, timeout="300ms", backoff_max="100ms", max_session_memory="1mb",
                            max_request="800kb", max_upstreams=20, connect_timeout="300ms")
        self.sheaf = Sheaf(self, self.section)
        for key in self.keys:
            self.sheaf.ask("SET", key + "big", b"b" * 500_000)

    def one_of_many(self, dice):
        """One client: what it asks, how much of the answer it reads, how it leaves."""
        key = dice.choice(self.keys)
        big, tag = key + "big", "{%s}" % key
        talk = dice.choice((
            encode("GET", big) * 5,
            encode("WATCH", key) + encode("GET", big) + encode("MULTI") + encode("GET", big) * 3 + encode("EXEC"),
            encode("MULTI") + encode("GET", big) + encode("SET", key, "1") + encode("EXEC") * 2,
            encode("BLPOP", tag + "q", dice.choice(("0", "0.01"))),
            encode("RPUSH", tag + "q", "x") + encode("BLPOP", tag + "q", "1") + encode("GET", big),
            encode("SUBSCRIBE", "c" + key, "d") + encode("PSUBSCRIBE", "*") + encode("PING"),
            encode("PUBLISH", "c" + key, b"m" * 10_000) * 3,
            encode("MGET", *self.keys, *(k + "big" for k in self.keys)) * 3,
            encode("SELECT", dice.randrange(16)) + encode("GET", key) + encode("HELLO", 3) + encode("GET", big),
            encode("SET", big, b"b" * 500_000) + encode("GET", big),
            encode("EVAL", "return redis.call('get', KEYS[1])", 1, big) * 2,
            encode("KEYS", "*") + encode("DBSIZE") + encode("SCAN", 0) + encode("RANDOMKEY"),
            encode("CLIENT", "KILL", "TYPE", "pubsub") + encode("CLIENT", "LIST"),
            encode("CLIENT", "REPLY", "OFF") + encode("GET", big) * 3 + encode("CLIENT", "REPLY", "ON"),
            encode("XREAD", "BLOCK", 0, "STREAMS", tag + "s", "$") + encode("QUIT"),
        ))
        with socket.create_connection(("127.0.0.1", self.sheaf.port), 5 * SLOW) as client:
            client.settimeout(0.2)
            client.sendall(talk[:dice.choice((len(talk), len(talk), len(talk) - 3, len(talk) // 2))])
            if dice.random() < 0.3:
                client.shutdown(socket.SHUT_WR)
            for _ in range(dice.choice((0, 1, 3, 20))):
                if not client.recv(dice.choice((100, 65536))):
                    break

    def many(self, seed, end):
        dice = random.Random(seed)
        while not end.is_set():
            try:
                self.one_of_many(dice)
            except OSError:
                pass

    def test_nothing_breaks_whoever_leaves_when_and_whatever_is_cut(self):
        end, dice = threading.Event(), random.Random(4)
        crowd = [threading.Thread(target=self.many, args=(seed, end)) for seed in range(6)]

        def cut_short():
            one = dice.choice(self.faults)
            one.cut_after = dice.randrange(1, 400_000)
            time.sleep(0.05)
            one.heal()

        def reload():
            before = self.sheaf.status()["generation"]
            self.sheaf.reload((self.section[0], {**self.section[1], "upstreams": dice.randrange(1, 4)}))
            wait_until(lambda: self.sheaf.status()["generation"] > before, what="the reload")

        for each in crowd:
            each.start()
        began = time.monotonic()
        with Saboteur(lambda: dice.choice(self.faults).cut(), cut_short, reload):
            with Load(self.sheaf, 3, threads=2, depth=6) as load:
                while time.monotonic() - began < (120 if LONG else 8) and self.sheaf.process.running:
                    time.sleep(0.1)
                load.stop()
        end.set()
        for each in crowd:
            each.join()
        load.check(self)
        for key in self.keys:
            wait_until(lambda k=key: self.sheaf.ask("SET", k, "1") == "OK", what="the shard")
        for word, most in (("requests_open", 0), ("sessions_open", 0), ("leased", 0), ("held_bytes", 100_000)):
            self.assertTrue(eventually(lambda w=word, m=most: self.gauge(w) <= m), self.lines(word))

    def lines(self, word):
        return [line for line in self.sheaf.http("/metrics")[1].splitlines()
                if not line.startswith("#") and line.split("{")[0].split(" ")[0].endswith(word)]

    def gauge(self, word):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.lines(word))


class OneClientsTrouble(Case):
    """What one client does is not the others' trouble."""

    def test_a_database_that_the_servers_lack_is_that_clients_error_alone(self):
        redis = [RedisServer(self, {"databases": "4"}) for _ in range(2)]
        sheaf = Sheaf(self, pool(redis, backoff_max="100ms"), proxy={"workers": 1})
        keys = [k[0] for k in keys_on_shards(2)]
        with sheaf.connect() as good, sheaf.connect() as bad:
            for _ in range(3):
                for key in keys:
                    self.assertEqual(good.ask("SET", key, "1"), "OK")
                    self.assertEqual(bad.ask("SELECT", "9"), "OK")
                    self.assertIn("out of range", bad.ask("GET", key))
                    self.assertEqual(good.ask("SET", key, "2"), "OK")
                    self.assertEqual(bad.ask("SELECT", "3"), "OK")
                    self.assertIsNone(bad.ask("GET", key))

    def test_a_database_that_the_servers_lack_is_no_ones_error_when_it_is_the_first_that_is_asked_for(self):
        redis = RedisServer(self, {"databases": "4"})
        sheaf = Sheaf(self, pool([redis], probe="no", breaker_failures=1), proxy={"workers": 1})
        with sheaf.connect() as bad, sheaf.connect() as good:
            self.assertEqual(bad.ask("SELECT", "9"), "OK")
            for _ in range(3):
                reply = bad.ask("GET", "a")
                self.assertIn("out of range", reply)
                self.assertNotIn("is down", reply)
            self.assertEqual(good.ask("SET", "a", "1"), "OK")
            redis.restart()
            wait_until(lambda: "upstream lost" in sheaf.log, what="the restart to be seen")
            self.assertIn("out of range", bad.ask("GET", "a"))
            self.assertIsNone(good.ask("GET", "a"))
            self.assertEqual(sheaf.status()["pools"][0]["shards"][0]["health"]["state"], "up")

    def test_a_server_without_room_for_more_connections_serves_those_that_stand(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], probe="no", backoff_max="100ms"), proxy={"workers": 1})
        with sheaf.connect() as session, redis.connect() as inside, sheaf.connect() as waiter:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")
            clients = len(inside.ask("CLIENT", "LIST").splitlines())
            self.assertEqual(inside.ask("CONFIG", "SET", "maxclients", clients), "OK")
            for _ in range(5):
                self.assertIsInstance(waiter.ask("BLPOP", "q", "0.1"), Failure)
                self.assertEqual(session.ask("GET", "a"), b"1")
            self.assertEqual(inside.ask("CONFIG", "SET", "maxclients", "1000"), "OK")
            wait_until(lambda: waiter.ask("BLPOP", "q", "0.01") is None, what="room")

    def test_a_waiting_command_gives_its_connection_back_while_its_client_stays(self):
        sheaf = Sheaf(self, pool([RedisServer(self)], max_upstreams=4), proxy={"workers": 1})
        sessions = [sheaf.connect() for _ in range(20)]
        for session in sessions:
            self.addCleanup(session.close)
            self.assertEqual(session.ask("RPUSH", "q", "x"), 1)
            self.assertEqual(session.ask("BLPOP", "q", "0"), [b"q", b"x"])

    def test_who_leaves_while_waiting_is_noticed_though_more_was_asked_behind(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis]), proxy={"workers": 1})
        for leave in (lambda s: s.close(), lambda s: s.socket.shutdown(socket.SHUT_WR)):
            session = sheaf.connect()
            self.addCleanup(session.close)
            session.send(encode("BLPOP", "q", "0") + encode("GET", "a") * 3)
            wait_until(lambda: "blocked_clients:1" in redis.ask("INFO", "clients").decode(), what="BLPOP to wait")
            leave(session)
            wait_until(lambda: "blocked_clients:0" in redis.ask("INFO", "clients").decode(), what="it to be let go")
        self.assertEqual(sheaf.ask("RPUSH", "q", "x"), 1)
        self.assertEqual(sheaf.ask("LPOP", "q"), b"x")

    def test_who_leaves_in_the_middle_of_a_transactions_reply_disturbs_nobody(self):
        faults = Faults(self, ("127.0.0.1", RedisServer(self).port))
        sheaf = Sheaf(self, pool([faults], max_session_memory="2mb", max_request="1mb"), proxy={"workers": 1})
        sheaf.ask("SET", "big", b"b" * 900_000)
        with sheaf.connect() as witness:
            for turn in range(40):
                with sheaf.connect() as session:
                    self.assertEqual(session.ask("WATCH", "big"), "OK")
                    session.send(encode("MULTI") + encode("GET", "big") * (1 + turn % 4) + encode("EXEC"))
                    if turn % 3:
                        session.socket.recv(1000)
                    if turn % 5 == 0:
                        faults.cut_after = 100_000 + turn * 20_000
                faults.cut_after = None
                self.assertEqual(witness.ask("PING"), "PONG")
                wait_until(lambda t=turn: witness.ask("SET", "x", t) == "OK")

    def test_a_watched_key_stays_watched_whatever_its_client_does_meanwhile(self):
        redis = [RedisServer(self), RedisServer(self)]
        sheaf = Sheaf(self, pool(redis), proxy={"workers": 1})
        with sheaf.connect() as session, sheaf.connect() as other:
            big = "{w}big"
            session.ask("SET", big, b"b" * 600_000)
            for _ in range(6):
                for _ in range(3):
                    self.assertEqual(len(session.ask("GET", big)), 600_000)  # its own upstreams, from now on
                self.assertEqual(session.ask("WATCH", "{w}"), "OK")
                session.ask("GET", big)
                self.assertEqual(other.ask("SET", "{w}", "1"), "OK")
                self.assertEqual(session.ask("MULTI"), "OK")
                self.assertEqual(session.ask("SET", "{w}", "2"), "QUEUED")
                self.assertIsNone(session.ask("EXEC"))
                self.assertEqual(other.ask("MULTI"), "OK")
                self.assertEqual(other.ask("SET", "{w}", "3"), "QUEUED")
                self.assertEqual(other.ask("EXEC"), ["OK"], "another's WATCH is not its trouble")

    def test_a_shard_that_came_back_while_nobody_was_there_serves_the_first_who_comes(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], probe="no", upstream_idle_timeout="50ms", backoff_max="100ms"),
                      proxy={"workers": 1})
        self.assertEqual(sheaf.ask("SET", "a", "1"), "OK")
        redis.kill9()
        self.assertIsInstance(wait_until(lambda: sheaf.ask("GET", "a")), Failure)
        time.sleep(1.0 * SLOW)  # until the pool has forgotten it: there is nothing to be seen of that
        redis.restart()
        time.sleep(0.6 * SLOW)
        self.assertIsNone(sheaf.ask("GET", "a"))


if __name__ == "__main__":
    main()
