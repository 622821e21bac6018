#!/usr/bin/python3
# release too: figures of memory
# not under tsan: what one session or pool holds
"""Limits: how much one client, one pool and all together may take; who goes when it is too much; and
that what was taken is given back."""
import socket
import time

from lib import *


class LimitCase(Case):
    def start(self, shards=2, proxy=None, **options):
        self.redis = [RedisServer(self) for _ in range(shards)]
        self.keys = [keys[0] for keys in keys_on_shards(shards)]
        self.sheaf = Sheaf(self, pool(self.redis, **options), proxy=proxy)

    def sessions(self, count):
        made = [self.sheaf.connect() for _ in range(count)]
        for session in made:
            self.addCleanup(session.close)
        return made

    def held(self):
        """Bytes of buffers that Sheaf says it holds."""
        text = self.sheaf.http("/metrics")[1]
        return sum(float(line.rsplit(" ", 1)[1]) for line in text.splitlines()
                   if line.startswith("sheaf_") and "held_bytes" in line)

    def nothing_is_held(self):
        wait_until(lambda: self.held() < 100_000, what="all buffers to be given back")


class Sessions(LimitCase):
    def test_too_many_of_a_pool_are_told_in_the_words_of_redis(self):
        self.start(max_sessions=5)
        made = self.sessions(5)
        for session in made:
            self.assertEqual(session.ask("PING"), "PONG")
        for _ in range(20):
            with self.sheaf.connect() as extra:
                self.assertEqual(extra.reply(), Failure("ERR max number of clients reached"))
                self.assertTrue(extra.at_end())
        made[0].close()
        wait_until(lambda: self.sheaf.ask("PING") == "PONG", what="the place to be free")
        self.assertEqual([s.ask("PING") for s in made[1:]], ["PONG"] * 4)

    @staticmethod
    def timers(**ports):
        """Which timer of the system runs for each established connection: 2 is that of keepalive."""
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return [int(row[5].split(":")[0]) for row in rows if row[3] == "01"
                and all(int(row[column].split(":")[1], 16) == ports[which]
                        for column, which in ((1, "local"), (2, "remote")) if which in ports)]

    def test_the_system_asks_silent_peers_whether_they_are_there_unless_told_otherwise(self):
        for keepalive, timer in (("yes", 2), ("no", 0)):
            self.start(shards=1, tcp_keepalive=keepalive, probe="no")
            session, = self.sessions(1)
            self.assertEqual(session.ask("SET", self.keys[0], "1"), "OK")
            near, far = session.socket.getpeername()[1], session.socket.getsockname()[1]
            wait_until(lambda: self.timers(local=near, remote=far) == [timer], what="the session's")
            wait_until(lambda: self.timers(remote=self.redis[0].port) == [timer], what="the upstream's")

    def test_the_process_has_its_own_limit_over_all_pools(self):
        redis = [RedisServer(self), RedisServer(self)]
        self.sheaf = Sheaf(self, pool(redis[:1], name="one"), pool(redis[1:], name="two"),
                           proxy={"max_sessions": 6})
        made = [self.sheaf.connect(name) for name in ("one", "two") * 3]
        for session in made:
            self.addCleanup(session.close)
            self.assertEqual(session.ask("PING"), "PONG")
        for name in ("one", "two"):
            with self.sheaf.connect(name) as extra:
                self.assertEqual(extra.reply(), Failure("ERR max number of clients reached"))
        for session in made:
            session.close()
        wait_until(lambda: self.sheaf.ask("PING") == "PONG")

    def test_a_reload_raises_and_lowers_the_limit_and_nobody_is_thrown_out(self):
        self.start(max_sessions=3)
        section = pool(self.redis, listen=self.sheaf.listeners["main"][0])
        made = self.sessions(3)
        self.assertEqual([s.ask("PING") for s in made], ["PONG"] * 3)
        self.sheaf.reload((section[0], {**section[1], "max_sessions": 6}))
        wait_until(lambda: self.sheaf.ask("PING") == "PONG", what="the higher limit")
        self.sheaf.reload((section[0], {**section[1], "max_sessions": 2}))
        wait_until(lambda: isinstance(self.sheaf.ask("PING"), Failure), what="the lower limit")
        self.assertEqual([s.ask("PING") for s in made], ["PONG"] * 3)

    def test_two_thousand_idle_sessions_cost_little_and_it_is_given_back(self):
        self.start(proxy={"max_sessions": 5000})
        for session in self.sessions(50):
            self.assertEqual(session.ask("SET", self.keys[0], "1"), "OK")
        self.nothing_is_held()  # also, what the admin endpoint takes is taken now
        before = self.sheaf.process.memory_kib()
        made = self.sessions(2000)
        for session in made:
            session.send(encode("GET", self.keys[0]))
        for session in made:
            self.assertEqual(session.reply(), b"1")
        self.nothing_is_held()
        if SLOW == 1:
            wait_until(lambda: (self.sheaf.process.memory_kib() - before) / 2000 < 1.25,
                       what="less than 1.25 KiB for an idle session")
        for session in made:
            session.close()
        wait_until(lambda: self.sheaf.process.open_files() < 120, what="them to be closed")


class Times(LimitCase):
    def test_an_idle_client_is_disconnected_and_a_busy_one_is_not(self):
        self.start(idle_timeout="1s")
        idle, busy = self.sessions(2)
        idle.ask("PING")
        began = time.monotonic()
        while not idle.silent(0.05):
            pass
        idle.socket.settimeout(0.05)
        closed = False
        while not closed and time.monotonic() - began < 10 * SLOW:
            self.assertEqual(busy.ask("PING"), "PONG")
            try:
                closed = idle.socket.recv(1) == b""
            except TimeoutError:
                pass
        self.assertTrue(closed, "the idle one is still there")
        self.assertGreaterEqual(time.monotonic() - began, 0.99)

    def test_who_waits_for_a_reply_or_was_just_given_one_is_not_idle(self):
        self.start(idle_timeout="1s", timeout="30s")
        waiter, listener = self.sessions(2)
        waiter.send(encode("BLPOP", self.keys[0], "0"))
        self.assertEqual(listener.ask("SUBSCRIBE", "c")[0], b"subscribe")
        with self.sheaf.connect() as idle:
            idle.ask("PING")
            self.assertTrue(idle.at_end())
        with self.sheaf.connect() as idle:
            idle.ask("PING")
            self.assertTrue(idle.at_end())
        self.assertEqual(self.sheaf.ask("RPUSH", self.keys[0], "x"), 1)
        self.assertEqual(waiter.reply()[1], b"x")
        self.assertEqual(waiter.ask("PING"), "PONG")
        self.assertEqual(self.sheaf.ask("PUBLISH", "c", "m"), 1)
        self.assertEqual(listener.reply()[2], b"m")

    def test_who_takes_nothing_of_its_replies_is_disconnected_and_who_takes_little_is_not(self):
        self.start(unread_timeout="1s", max_upstreams=1)
        self.assertEqual(self.sheaf.ask("SET", self.keys[0], b"x" * (1 << 20)), "OK")
        reads_little, reads_nothing = self.sessions(2)
        for session in (reads_nothing, reads_little):
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            session.send(encode("GET", self.keys[0]) * 40)
        left, closed = 40 * len(b"$1048576\r\n" + b"x" * (1 << 20) + b"\r\n"), 0
        while left > 0:
            # By bits, until the other one is gone: for longer than the time that it had.
            got = len(reads_little.socket.recv(1 << 20 if closed else 20_000))
            self.assertGreater(got, 0, "who reads is not disconnected")
            left -= got
            if not closed:
                closed = self.sheaf.status()["sessions"]["closed"]["unread"]
        wait_until(lambda: self.sheaf.status()["sessions"]["closed"]["unread"] == 1, what="the other one to be closed")
        # What it had leased is free again.
        self.assertIsNone(self.sheaf.ask("BLPOP", self.keys[0] + ":none", "0.01"))

    def test_who_does_not_log_in_in_time_is_disconnected(self):
        self.start(password="secret", handshake_timeout="1s")
        with self.sheaf.connect() as stranger, self.sheaf.connect() as known:
            self.assertEqual(known.ask("AUTH", "secret"), "OK")
            stranger.ask("PING")
            self.assertTrue(stranger.at_end())
            self.assertEqual(known.ask("PING"), "PONG")


class Requests(LimitCase):
    def test_a_request_that_is_too_large_is_refused_before_it_is_held(self):
        self.start(max_request="100kb")
        for words in (("SET", self.keys[0], b"x" * 110_000), ("MSET", *[b"y" * 1000] * 200)):
            with self.sheaf.connect() as session:
                self.assertEqual(session.ask("PING"), "PONG")
                session.send(encode(*words))
                reply = session.reply()
                self.assertIsInstance(reply, Failure)
                self.assertIn("Protocol error", reply)
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", self.keys[0], b"x" * 90_000), "OK")
        self.nothing_is_held()

    def test_what_was_only_announced_is_not_allocated(self):
        self.start(max_request="60mb")
        before = self.sheaf.process.memory_kib()
        for session in self.sessions(100):
            session.send(b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n$50000000\r\nxxx")
        self.assertEqual(self.sheaf.ask("PING"), "PONG")
        if SLOW == 1:
            self.assertLess(self.sheaf.process.memory_kib() - before, 30_000)

    def test_a_pipeline_may_be_deeper_than_the_limit_and_is_read_in_pieces(self):
        self.start(max_pipeline=3)
        with self.sheaf.connect() as session:
            replies = session.ask_all(*[("INCR", self.keys[n % 2]) for n in range(1000)])
            self.assertEqual(replies, [n // 2 + 1 for n in range(1000)])

    def test_requests_beyond_max_queue_are_refused_at_once_and_others_pass(self):
        self.start(max_queue=50, timeout="20s", proxy={"workers": 1})
        with self.sheaf.connect() as session, self.sheaf.connect() as other:
            self.assertEqual(session.ask("SET", self.keys[0], "1"), "OK")
            self.redis[0].stop()
            began = time.monotonic()
            session.send(encode("SET", self.keys[0], "2") * 60)
            wait_until(lambda: isinstance(other.ask("SET", self.keys[0], "3"), Failure), what="a refusal")
            self.assertLess(time.monotonic() - began, 10 * SLOW)
            self.assertIn("max_queue", other.ask("SET", self.keys[0], "3"))
            self.assertEqual(other.ask("SET", self.keys[1], "3"), "OK")
            self.redis[0].cont()
            replies = [session.reply() for _ in range(60)]
            self.assertEqual(replies[:50], ["OK"] * 50)
            self.assertTrue(all(isinstance(r, Failure) for r in replies[50:]))

    def test_writes_that_a_server_does_not_take_are_bounded(self):
        """Sessions are read from only as far as what they sent can be passed on."""
        self.start(timeout="20s", proxy={"workers": 1, "max_memory": "64mb"}, max_request="2mb")
        greedy = self.sessions(3)
        self.assertEqual(self.sheaf.ask("SET", self.keys[0], "1"), "OK")
        self.redis[0].stop()
        before = self.sheaf.process.memory_kib()
        for session in greedy:
            session.socket.settimeout(0.3 * SLOW)
            try:
                session.send(encode("SET", self.keys[0], b"x" * 1_000_000) * 60)
            except TimeoutError:
                pass
        if SLOW == 1:
            self.assertLess(self.sheaf.process.memory_kib() - before, 40_000)
        self.assertEqual(self.sheaf.ask("SET", self.keys[1], "1"), "OK")
        self.redis[0].cont()
        for session in greedy:
            session.close()
        self.nothing_is_held()


class Memory(LimitCase):
    def big(self, size=1 << 20):
        for key in self.keys:
            self.assertEqual(self.sheaf.ask("SET", key, b"x" * size), "OK")

    def test_the_session_that_holds_most_goes_when_all_hold_too_much(self):
        self.start(proxy={"workers": 1, "max_memory": "16mb"}, max_session_memory="16mb", max_request="4mb")
        self.big()
        modest = self.sheaf.connect()
        self.addCleanup(modest.close)
        greedy = []
        for _ in range(8):
            session = self.sheaf.connect()
            self.addCleanup(session.close)
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            session.send(encode("GET", self.keys[0]) * 50)
            greedy.append(session)
        for number in range(500):
            self.assertEqual(modest.ask("SET", self.keys[1], number), "OK")
        wait_until(lambda: self.held() < 17 << 20, what="the memory to be under its limit")
        self.assertEqual(modest.ask("GET", self.keys[1]), b"499")

    def test_replies_that_wait_their_turn_count_too(self):
        """The first request stands still; the replies of those behind it pile up."""
        self.start(shards=2, proxy={"workers": 1, "max_memory": "16mb"}, max_session_memory="16mb", max_request="4mb",
                   timeout="20s")
        self.big()
        held = self.sheaf.connect()
        modest = self.sheaf.connect()
        self.addCleanup(held.close)
        self.addCleanup(modest.close)
        self.assertEqual(modest.ask("SET", self.keys[1] + "x", "1"), "OK")
        self.redis[0].stop()
        held.send(encode("GET", self.keys[0]) + encode("GET", self.keys[1]) * 60)
        wait_until(lambda: self.held() > 0, what="replies to come")
        for _ in range(200):
            reply = modest.ask("PING")
            self.assertEqual(reply, "PONG")
        self.redis[0].cont()
        wait_until(lambda: self.held() < 17 << 20)

    def test_a_slow_reader_is_bounded_and_what_it_held_is_given_back(self):
        self.start(max_session_memory="4mb", max_request="2mb")
        self.big()
        before = self.sheaf.process.memory_kib()
        slow = self.sessions(4)
        for session in slow:
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            session.send(encode("GET", self.keys[0]) * 100)
        most = 0
        for number in range(400):
            self.assertEqual(self.sheaf.ask("SET", self.keys[1], number), "OK")
            most = max(most, self.sheaf.process.memory_kib())
        if SLOW == 1:
            self.assertLess(most - before, 4 * 3 * 4096)
        for session in slow:
            session.close()
        self.nothing_is_held()

    def test_merged_and_silent_replies_are_counted_and_forgotten(self):
        self.start(max_session_memory="1mb", max_request="512kb")
        with self.sheaf.connect() as session:
            for key in self.keys:
                self.assertEqual(session.ask("SET", key, b"v" * 20_000), "OK")
            for _ in range(200):
                self.assertEqual([len(v) for v in session.ask("MGET", *self.keys)], [20_000] * 2)
            session.send(encode("CLIENT", "REPLY", "OFF") + encode("GET", self.keys[0]) * 400
                         + encode("CLIENT", "REPLY", "ON"))
            self.assertEqual(session.reply(), "OK")
            for _ in range(50):
                self.assertEqual([len(v) for v in session.ask("MGET", *self.keys)], [20_000] * 2)
        self.nothing_is_held()

    def test_a_reply_of_several_shards_that_is_too_large_is_an_error_and_the_session_goes_on(self):
        self.start(max_session_memory="1mb", max_request="512kb")
        with self.sheaf.connect() as session:
            for key in self.keys:
                self.assertEqual(session.ask("SET", key, b"v" * 400_000), "OK")
            session.send(encode("MGET", *self.keys * 3) + encode("PING") + encode("MGET", *self.keys) + encode("DBSIZE"))
            self.assertIn("larger than max_session_memory: ask for less", session.reply())
            self.assertEqual(session.reply(), "PONG")
            self.assertEqual([len(v) for v in session.reply()], [400_000] * 2)
            self.assertEqual(session.reply(), 2)
        self.nothing_is_held()

    def test_nothing_is_held_after_all_kinds_of_work(self):
        self.start()
        self.big(300_000)
        for number in range(30):
            with self.sheaf.connect() as session:
                session.send(encode("GET", self.keys[0]) * 5 + encode("MGET", *self.keys) * 3
                             + encode("SET", self.keys[1], b"y" * 300_000) + encode("WATCH", self.keys[0])
                             + encode("MULTI") + encode("GET", self.keys[0]) + encode("EXEC")
                             + encode("SET", "half", b"x" * 200_000)[:100_000 * (number % 3)])
                for _ in range(number % 9):
                    session.reply()
        self.nothing_is_held()
        wait_until(lambda: self.sheaf.process.open_files() < 60, what="all sessions to be closed")


if __name__ == "__main__":
    main()
