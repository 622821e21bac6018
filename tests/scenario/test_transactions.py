#!/usr/bin/python3
# not under tsan: one session's own affairs
"""MULTI, EXEC, DISCARD, WATCH, UNWATCH: as in Redis while all keys are on one shard, refused otherwise."""
import signal
import threading

from lib import *

# Each script is told by up to two clients; "b " before a command makes it the other one's.
# All keys have the tag {t}, so that they live on one shard.
SCRIPTS = {
    "a plain transaction": "MULTI|SET {t}a 1|INCR {t}a|GET {t}a|LPUSH {t}l x y|LRANGE {t}l 0 -1|EXEC|GET {t}a",
    "an empty one": "MULTI|EXEC",
    "nothing is done before EXEC": "MULTI|SET {t}a 1|b GET {t}a|EXEC|b GET {t}a",
    "discarded": "SET {t}a 1|MULTI|SET {t}a 2|DISCARD|GET {t}a|EXEC|DISCARD",
    "without MULTI": "EXEC|DISCARD|UNWATCH",
    "nested": "MULTI|MULTI|SET {t}a 1|MULTI|EXEC|GET {t}a",
    "wrong number of words": "MULTI|SET {t}a 1|GET|SET {t}b 1|EXEC|EXISTS {t}a {t}b|GET {t}a",
    "EXEC with words": "MULTI|SET {t}a 1|EXEC x|EXEC|MULTI|DISCARD x|DISCARD|WATCH|UNWATCH x|MULTI x|EXEC",
    "an unknown command": "MULTI|NOSUCH a b|SET {t}a 1|EXEC|EXISTS {t}a|MULTI|EXEC",
    "an unknown subcommand": "MULTI|OBJECT NOSUCH {t}a|SET {t}a 1|EXEC|EXISTS {t}a",
    "discarded after an error": "MULTI|NOSUCH|DISCARD|SET {t}a 1|GET {t}a|EXEC",
    "errors while it runs": "SET {t}s x|MULTI|INCR {t}s|LPUSH {t}s y|SET {t}b 2|EXEC|GET {t}b",
    "what blocks does not": "MULTI|BLPOP {t}no 0|BRPOPLPUSH {t}no {t}no2 0|XREAD BLOCK 0 STREAMS {t}x $|EXEC",
    "WATCH in MULTI": "MULTI|WATCH {t}a|SET {t}a 1|EXEC|GET {t}a",
    "watched and untouched": "SET {t}a 1|WATCH {t}a|GET {t}a|MULTI|INCR {t}a|EXEC|GET {t}a",
    "watched and touched": "SET {t}a 1|WATCH {t}a|b SET {t}a 5|MULTI|INCR {t}a|EXEC|GET {t}a|MULTI|INCR {t}a|EXEC",
    "touched within MULTI": "SET {t}a 1|WATCH {t}a|MULTI|INCR {t}a|b SET {t}a 5|EXEC|GET {t}a",
    "touched by the watcher": "WATCH {t}a|SET {t}a 1|MULTI|GET {t}a|EXEC",
    "watched, missing, made": "WATCH {t}a|b SET {t}a 1|MULTI|GET {t}a|EXEC",
    "watched, deleted": "SET {t}a 1|WATCH {t}a|b DEL {t}a|MULTI|GET {t}a|EXEC",
    "one of several": "MSET {t}a 1 {t}b 2|WATCH {t}a {t}b|b INCR {t}b|MULTI|GET {t}a|EXEC",
    "watched twice": "WATCH {t}a|WATCH {t}b|b SET {t}a 1|MULTI|PING|EXEC|WATCH {t}a|WATCH {t}b|b SET {t}b 1|MULTI|PING|EXEC",
    "another key is touched": "WATCH {t}a|b SET {t}c 1|MULTI|SET {t}a 2|EXEC",
    "unwatched": "WATCH {t}a|b SET {t}a 1|UNWATCH|MULTI|GET {t}a|EXEC",
    "unwatched within": "WATCH {t}a|b SET {t}a 1|MULTI|UNWATCH|GET {t}a|EXEC|MULTI|GET {t}a|UNWATCH|EXEC",
    "EXEC forgets the watch": "WATCH {t}a|MULTI|PING|EXEC|b SET {t}a 1|MULTI|PING|EXEC",
    "DISCARD forgets the watch": "WATCH {t}a|MULTI|DISCARD|b SET {t}a 1|MULTI|PING|EXEC",
    "EXECABORT forgets the watch": "WATCH {t}a|MULTI|NOSUCH|EXEC|b SET {t}a 1|MULTI|PING|EXEC",
    "a conflict and an error": "WATCH {t}a|b SET {t}a 1|MULTI|NOSUCH|EXEC|GET {t}a",
    "watched with an empty EXEC": "WATCH {t}a|b SET {t}a 1|MULTI|EXEC|WATCH {t}a|MULTI|EXEC",
    "no keys": "MULTI|PING|PING hello|ECHO x|EXEC",
    "all types": "MULTI|HSET {t}h f 1|HGETALL {t}h|ZADD {t}z 1.5 m|ZRANGE {t}z 0 -1 WITHSCORES|ZSCORE {t}z m"
                 "|SADD {t}s a|SMEMBERS {t}s|XADD {t}x 1-1 f v|XRANGE {t}x - +|GET {t}no|LPOP {t}no|EXEC",
    "several keys": "MULTI|MSET {t}a 1 {t}b 2|MGET {t}a {t}b {t}c|DEL {t}a {t}b|EXISTS {t}a|RENAME {t}a {t}b|EXEC",
    "scripts": "MULTI|EVAL return{KEYS[1],ARGV[1]} 1 {t}a x|EVALSHA 0000000000000000000000000000000000000000 1 {t}a|EXEC",
    "RESET ends it": "WATCH {t}a|MULTI|SET {t}a 1|RESET|GET {t}a|EXEC",
    "what may not be in it": "MULTI|WATCH {t}a|EXEC|GET {t}a",
    "an expired key": "SET {t}a 1 PXAT 1|WATCH {t}a|MULTI|SET {t}b 1|EXEC",
}


class AsRedisDoes(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def run_scripts(self, proto):
        for name, script in SCRIPTS.items():
            with self.subTest(name):
                one, other = (Twin(self, self.sheaf, self.plain, proto) for _ in "ab")
                other.ask("FLUSHALL")
                for line in script.split("|"):
                    (other if line.startswith("b ") else one).ask(*line.removeprefix("b ").split(" "))
                one.close()
                other.close()

    def test_each_reply_is_that_of_redis_in_resp2(self):
        self.run_scripts(2)

    def test_each_reply_is_that_of_redis_in_resp3(self):
        self.run_scripts(3)

    def test_the_scripts_of_one_client_in_one_write_are_answered_alike(self):
        for name, script in SCRIPTS.items():
            if "|b " in script or "RESET" in script:
                continue
            with self.subTest(name):
                twin = Twin(self, self.sheaf, self.plain, 3)
                twin.ask("FLUSHALL")
                twin.ask_all(*(line.split(" ") for line in script.split("|")))
                twin.close()

    def test_watch_multi_exec_and_what_follows_keep_their_order_in_one_write(self):
        twin = Twin(self, self.sheaf, self.plain)
        twin.ask("DEL", "{o}n")
        round_ = (("GET", "{o}n"), ("WATCH", "{o}n"), ("INCR", "{o}m"), ("MULTI",), ("INCR", "{o}n"), ("GET", "{o}m"),
                  ("EXEC",), ("GET", "{o}n"), ("PING",), ("MULTI",), ("INCR", "{o}n"), ("EXEC",),
                  ("WATCH", "{o}n"), ("UNWATCH",), ("WATCH", "{o}n"), ("SET", "{o}n", "0"), ("MULTI",),
                  ("SET", "{o}n", "lost"), ("EXEC",), ("MGET", "{o}n", "{o}m"))
        twin.ask("DEL", "{o}m")
        replies = twin.ask_all(*(round_ * 40))
        self.assertEqual(replies[-1], [b"0", b"40"])

    def test_a_large_transaction_is_one(self):
        twin = Twin(self, self.sheaf, self.plain, 3)
        twin.ask("DEL", "{big}l")
        commands = [("RPUSH", "{big}l", n) for n in range(5000)]
        replies = twin.ask_all(("MULTI",), *commands, ("EXEC",), ("LLEN", "{big}l"))
        self.assertEqual(replies[-2:], [list(range(1, 5001)), 5000])

    def test_large_values_within_a_transaction(self):
        twin = Twin(self, self.sheaf, self.plain)
        value = b"v" * (1 << 20)
        twin.ask("SET", "{lv}a", value)
        replies = twin.ask_all(("WATCH", "{lv}a"), ("MULTI",), ("GET", "{lv}a"), ("SET", "{lv}b", value),
                               ("GET", "{lv}b"), ("EXEC",), ("PING",))
        self.assertEqual([len(x) for x in replies[5][::2]], [1 << 20] * 2)

    def test_a_transaction_in_another_database_is_there_alone(self):
        twin = Twin(self, self.sheaf, self.plain)
        other = Twin(self, self.sheaf, self.plain)
        twin.ask("SELECT", 3)
        twin.ask("DEL", "{db}a")
        twin.ask("WATCH", "{db}a")
        other.ask("SET", "{db}a", "of zero")
        self.assertEqual(twin.ask_all(("MULTI",), ("SET", "{db}a", "of three"), ("EXEC",))[-1], ["OK"])
        self.assertEqual(other.ask("GET", "{db}a"), b"of zero")
        self.assertEqual(twin.ask("GET", "{db}a"), b"of three")


class OverShards(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.sheaf = Sheaf(cls, pool(cls.redis))
        cls.keys = [k[0] for k in keys_on_shards(3, prefix="multi")]

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.session.ask("DEL", *self.keys)

    CROSSSLOT = "CROSSSLOT Keys in request don't hash to the same slot"
    EXECABORT = "EXECABORT Transaction discarded because of previous errors."

    def test_keys_of_two_shards_are_refused_and_nothing_is_done(self):
        a, b, c = self.keys
        self.assertEqual(
            self.session.ask_all(("MULTI",), ("SET", a, "1"), ("SET", b, "1"), ("SET", a, "2"), ("EXEC",)),
            ["OK", "QUEUED", self.CROSSSLOT, "QUEUED", self.EXECABORT])
        self.assertEqual(
            self.session.ask_all(("MULTI",), ("MSET", a, "1", c, "1"), ("EXEC",)),
            ["OK", self.CROSSSLOT, self.EXECABORT])
        self.assertEqual(self.session.ask("EXISTS", *self.keys), 0)

    def test_watched_keys_count_too(self):
        a, b, _ = self.keys
        self.assertEqual(self.session.ask("WATCH", a, b), self.CROSSSLOT)
        self.assertEqual(self.session.ask("WATCH", a), "OK")
        self.assertEqual(self.session.ask("WATCH", b), self.CROSSSLOT)
        self.assertEqual(self.session.ask_all(("MULTI",), ("SET", b, "1"), ("EXEC",)),
                         ["OK", self.CROSSSLOT, self.EXECABORT])
        self.assertEqual(self.session.ask_all(("WATCH", b), ("MULTI",), ("SET", b, "1"), ("EXEC",)),
                         ["OK", "OK", "QUEUED", ["OK"]])
        self.assertEqual(self.session.ask("GET", b), b"1")

    def test_commands_of_all_shards_and_of_the_session_are_refused_in_it(self):
        for words in (("SCAN", "0"), ("KEYS", "*"), ("DBSIZE",), ("FLUSHALL",), ("SELECT", "1"), ("HELLO", "3"),
                      ("SUBSCRIBE", "x"), ("CLIENT", "SETNAME", "x"), ("SCRIPT", "FLUSH")):
            with self.subTest(words):
                self.assertEqual(self.session.ask("MULTI"), "OK")
                refusal = self.session.ask(*words)
                self.assertIsInstance(refusal, Failure)
                self.assertIn(words[0].lower(), refusal)
                self.assertEqual(self.session.ask("EXEC"), self.EXECABORT)

    def test_sessions_between_multi_and_exec_do_not_disturb_each_other(self):
        sessions = [self.sheaf.connect() for _ in range(30)]
        for number, session in enumerate(sessions):
            self.addCleanup(session.close)
            self.assertEqual(session.ask_all(("MULTI",), ("RPUSH", self.keys[0], number),
                                             ("RPUSH", self.keys[0], number)), ["OK", "QUEUED", "QUEUED"])
        for session in sessions:
            session.send(encode("EXEC"))
        replies = [session.reply() for session in sessions]
        self.assertEqual(sorted(replies), [[2 * n + 1, 2 * n + 2] for n in range(30)])
        found = self.session.ask("LRANGE", self.keys[0], "0", "-1")
        self.assertEqual(found[::2], found[1::2])

    def test_no_update_is_lost_among_a_hundred_clients_that_watch(self):
        key, clients, rounds = self.keys[1], 100, 3
        self.session.ask("SET", key, "0")
        failures, tries = [], [0]

        def increment():
            try:
                with self.sheaf.connect() as session:
                    done = 0
                    while done < rounds:
                        tries[0] += 1
                        session.ask("WATCH", key)
                        value = int(session.ask("GET", key)) + 1
                        *said, result = session.ask_all(("MULTI",), ("SET", key, value), ("EXEC",))
                        if said != ["OK", "QUEUED"] or result not in (None, ["OK"]):
                            failures.append((said, result))
                            return
                        done += result is not None
            except Exception as error:  # pylint: disable=broad-except
                failures.append(repr(error))

        threads = [threading.Thread(target=increment) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertGreater(tries[0], clients * rounds, "nobody was ever in another's way")
        self.assertEqual(self.session.ask("GET", key), b"%d" % (clients * rounds))

    def test_transactions_are_not_torn_apart_by_others(self):
        """Two lists are always of the same length, whoever looks."""
        a, b, ending, torn = "{torn}a", "{torn}b", threading.Event(), []
        self.session.ask("DEL", a, b)

        def look():
            with self.sheaf.connect() as session:
                while not ending.is_set():
                    one, other = session.ask_all(("MULTI",), ("LLEN", a), ("LLEN", b), ("EXEC",))[3]
                    if one != other:
                        torn.append((one, other))

        thread = threading.Thread(target=look)
        thread.start()
        for _ in range(300):
            self.session.ask_all(("MULTI",), ("RPUSH", a, "x"), ("RPUSH", b, "x"), ("EXEC",))
        ending.set()
        thread.join()
        self.assertEqual(torn, [])
        self.assertEqual(self.session.ask("LLEN", a), 300)


class Leases(Case):
    """Upstreams that belong to a session while it watches."""

    def setUp(self):
        self.redis = RedisServer(self)
        self.sheaf = Sheaf(self, pool([self.redis], max_upstreams=4, queue_timeout="200ms"))

    def upstreams(self):
        """Connections of Sheaf's workers, each with what the server knows of it."""
        lines = self.redis.ask("CLIENT", "LIST", "TYPE", "normal").decode().splitlines()
        found = [dict(word.partition("=")[::2] for word in line.split(" ")) for line in lines]
        return [c for c in found if c["addr"].startswith("127.0.0.1:")]

    def watched(self):
        """Those that said WATCH last."""
        return [c for c in self.upstreams() if c["cmd"] == "watch"]

    def test_one_lease_serves_session_after_session(self):
        for number in range(50):
            with self.sheaf.connect() as session:
                self.assertEqual(session.ask_all(("WATCH", "a"), ("MULTI",), ("SET", "a", number), ("EXEC",)),
                                 ["OK", "OK", "QUEUED", ["OK"]], number)
        self.assertLessEqual(len(self.upstreams()), 2 + 2 + 2)  # workers, their leases, probes

    def test_a_session_that_leaves_while_it_watches_takes_the_watch_with_it(self):
        for number in range(20):
            session = self.sheaf.connect()
            self.assertEqual(session.ask("WATCH", "a"), "OK", number)
            if number % 2:
                self.assertEqual(session.ask_all(("MULTI",), ("SET", "a", "1")), ["OK", "QUEUED"])
            session.close()
            wait_until(lambda: not self.watched(), what="the watching connection to be gone")
        self.assertIsNone(self.redis.ask("GET", "a"))
        with self.sheaf.connect() as session:
            session.ask("WATCH", "b")
            self.redis.ask("SET", "a", "touched")
            self.assertEqual(session.ask_all(("MULTI",), ("PING",), ("EXEC",))[2], ["PONG"])

    def test_a_watch_outlives_blocking_commands_of_its_session(self):
        for touched in (False, True):
            with self.sheaf.connect() as session:
                self.redis.ask("RPUSH", "list", "x")
                self.assertEqual(session.ask_all(("WATCH", "a"), ("BLPOP", "list", "0")), ["OK", [b"list", b"x"]])
                if touched:
                    self.redis.ask("INCR", "a")
                self.assertEqual(session.ask_all(("MULTI",), ("PING",), ("EXEC",))[2], None if touched else ["PONG"])

    def test_a_session_that_watches_and_blocks_and_leaves_leaves_no_watch(self):
        for _ in range(5):
            session = self.sheaf.connect()
            self.assertEqual(session.ask("WATCH", "a"), "OK")
            session.send(encode("BLPOP", "list", "0"))
            wait_until(lambda: [c for c in self.upstreams() if c["cmd"] == "blpop"])
            session.close()
            wait_until(lambda: not [c for c in self.upstreams() if c["cmd"] == "blpop"])
        with self.sheaf.connect() as session:
            session.ask("WATCH", "b")
            self.redis.ask("INCR", "a")
            self.assertEqual(session.ask_all(("MULTI",), ("PING",), ("EXEC",))[2], ["PONG"])

    def test_a_watch_in_another_database_or_protocol_is_lost_and_not_forgotten(self):
        for words in (("SELECT", "1"), ("HELLO", "3")):
            with self.sheaf.connect() as session:
                session.ask("WATCH", "a")
                session.ask(*words)
                reply = session.ask_all(("MULTI",), ("SET", "a", "1"), ("EXEC",))[2]
                self.assertIsInstance(reply, Failure)
                self.assertIn("WATCH", reply)

    def test_more_watchers_than_upstreams_are_told_and_served_later(self):
        holders = [self.sheaf.connect() for _ in range(4)]
        for session in holders:
            self.addCleanup(session.close)
            wait_until(lambda: session.ask("WATCH", "a") == "OK")
        with self.sheaf.connect() as late:
            refusal = late.ask("WATCH", "a")
            self.assertIsInstance(refusal, Failure)
            self.assertIn("max_upstreams", refusal)
            self.assertEqual(late.ask("SET", "b", "1"), "OK")
            self.assertIsInstance(late.ask_all(("MULTI",), ("SET", "b", "2"), ("EXEC",))[2], Failure)
            self.assertEqual(late.ask("GET", "b"), b"1")
            for session in holders:
                session.close()
            wait_until(lambda: late.ask("WATCH", "a") == "OK")
            self.assertEqual(late.ask_all(("MULTI",), ("SET", "b", "3"), ("EXEC",))[2], ["OK"])

    def test_a_watch_that_was_lost_makes_exec_fail_and_nothing_is_done(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("WATCH", "a"), "OK")
            watching = self.watched()
            self.assertEqual(len(watching), 1)
            self.redis.ask("CLIENT", "KILL", "ID", watching[0]["id"])
            replies = session.ask_all(("MULTI",), ("SET", "a", "1"), ("EXEC",))
            self.assertEqual(replies[:2], ["OK", "QUEUED"])
            self.assertIsInstance(replies[2], Failure)
            self.assertIsNone(session.ask("GET", "a"))
            self.assertEqual(session.ask_all(("WATCH", "a"), ("MULTI",), ("SET", "a", "2"), ("EXEC",))[3], ["OK"])


class DeadAndSlow(Case):
    def setUp(self):
        self.redis = [RedisServer(self), RedisServer(self)]
        self.sheaf = Sheaf(self, pool(self.redis, timeout="300ms"))
        self.lives, self.dead = (keys[0] for keys in keys_on_shards(2))
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)

    def names_the_dead(self, reply):
        self.assertIsInstance(reply, Failure)
        self.assertIn(self.redis[1].address, reply)

    def test_a_transaction_on_a_dead_shard_is_refused_and_others_are_not(self):
        self.session.ask("MSET", self.lives, "0", self.dead, "0")
        self.redis[1].kill9()
        for _ in range(3):
            self.names_the_dead(
                self.session.ask_all(("MULTI",), ("SET", self.dead, "1"), ("INCR", self.dead), ("EXEC",))[3])
            self.names_the_dead(self.session.ask("WATCH", self.dead))
            self.names_the_dead(self.session.ask_all(("MULTI",), ("SET", self.dead, "1"), ("EXEC",))[2])
            self.assertEqual(self.session.ask_all(("MULTI",), ("SET", self.lives, "1"), ("EXEC",))[2], ["OK"])
        self.redis[1].restart()
        wait_until(lambda: self.session.ask("SET", self.dead, "2") == "OK")
        self.assertEqual(self.session.ask_all(("MULTI",), ("INCR", self.dead), ("EXEC",))[2], [3])

    def test_exec_that_takes_too_long_is_told_and_its_late_replies_reach_nobody(self):
        self.session.ask("SET", self.dead, "0")
        with self.sheaf.connect() as other:
            for watching in (False, True):
                with self.subTest(watching=watching):
                    if watching:
                        self.assertEqual(self.session.ask("WATCH", self.dead), "OK")
                    self.redis[1].stop()
                    replies = self.session.ask_all(("MULTI",), ("INCR", self.dead), ("INCR", self.dead), ("EXEC",))
                    self.assertEqual(replies[:3], ["OK", "QUEUED", "QUEUED"])
                    self.names_the_dead(replies[3])
                    self.assertIn("may have been carried out", replies[3])
                    self.redis[1].cont()
                    wait_until(lambda: isinstance(other.ask("GET", self.dead), bytes))
                    # In a row, and each reply is its own.
                    self.assertEqual(self.session.ask_all(*(("ECHO", n) for n in range(9)), ("SET", self.dead, "7"),
                                                          ("GET", self.dead), ("GET", self.lives)),
                                     [b"%d" % n for n in range(9)] + ["OK", b"7", None])
                    self.assertEqual(
                        self.session.ask_all(("WATCH", self.dead), ("MULTI",), ("INCR", self.dead), ("EXEC",))[3], [8])

    def test_a_server_that_dies_within_exec_is_told(self):
        self.session.ask("SET", self.dead, "0")
        self.redis[1].stop()
        self.session.send(encode("MULTI") + encode("INCR", self.dead) + encode("EXEC"))
        self.assertEqual([self.session.reply() for _ in range(2)], ["OK", "QUEUED"])
        self.redis[1].process.signal(signal.SIGKILL)  # without waking it first
        self.names_the_dead(self.session.reply())
        self.assertEqual(self.session.ask("SET", self.lives, "1"), "OK")

    def test_a_server_that_dies_within_a_watched_exec_is_told(self):
        for words in (("EXEC",), ("DISCARD",)):
            with self.subTest(words[0]):
                self.assertEqual(self.session.ask("WATCH", self.dead), "OK")
                self.redis[1].stop()
                self.session.send(encode("MULTI") + encode("INCR", self.dead) + encode(*words))
                self.assertEqual([self.session.reply() for _ in range(2)], ["OK", "QUEUED"])
                self.redis[1].process.signal(signal.SIGKILL)
                if words[0] == "EXEC":
                    self.names_the_dead(self.session.reply())
                else:
                    self.assertEqual(self.session.reply(), "OK")
                self.assertEqual(self.session.ask("PING"), "PONG")
                self.redis[1].restart()
                wait_until(lambda: self.session.ask("SET", self.dead, "2") == "OK")


if __name__ == "__main__":
    main()
