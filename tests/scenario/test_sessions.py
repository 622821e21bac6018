#!/usr/bin/python3
# not under tsan: one session's own affairs
"""What a pool tells of its sessions: CLIENT LIST, INFO and KILL over all workers, SLOWLOG, # Sheaf."""
import re
import threading
import time

from lib import *


def fields(line):
    return dict(pair.split("=", 1) for pair in line.strip().split(" "))


class Sessions(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.plain = RedisServer(cls)
        cls.other = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis), pool([cls.other], "second"),
                          proxy={"workers": 3, "slow_time": "20ms"})

    def connect(self, version=2, name=None):
        session = self.sheaf.connect(name)
        self.addCleanup(session.close)
        session.id = session.ask("CLIENT", "ID")
        if version == 3:
            session.ask("HELLO", "3")
        return session

    def listed(self, session, *words):
        return {int(f["id"]): f for f in map(fields, self.text(session.ask("CLIENT", "LIST", *words)).splitlines())}

    @staticmethod
    def text(reply):
        return reply.decode() if isinstance(reply, bytes) else reply.removeprefix("txt:")

    def sessions_of_all_workers(self, count=24):
        """Enough that, ports being spread by the kernel, all workers have some."""
        sessions = [self.connect(2 + n % 2) for n in range(count)]
        self.assertEqual(len({s.id % 3 for s in sessions}), 3, "every worker has a session")
        return sessions

    # --- lists

    def test_the_list_has_every_session_of_the_pool_whatever_its_worker(self):
        sessions = self.sessions_of_all_workers()
        stranger = self.connect(name="second")
        for number, session in enumerate(sessions):
            session.ask("CLIENT", "SETNAME", f"s{number}")
        for asking in sessions[:6]:
            listed = self.listed(asking)
            for number, session in enumerate(sessions):
                line = listed[session.id]
                self.assertEqual(line["name"], f"s{number}")
                self.assertEqual(line["addr"], "%s:%d" % session.socket.getsockname())
                self.assertEqual(line["laddr"], "%s:%d" % session.socket.getpeername())
                self.assertEqual(line["resp"], str(2 + number % 2))
            self.assertNotIn(stranger.id, listed)
        self.assertEqual(set(self.listed(stranger)), {stranger.id})

    def test_a_line_has_the_fields_of_redis_in_their_order(self):
        def names(session):
            return [pair.split("=")[0] for pair in self.text(session.ask("CLIENT", "INFO")).strip().split(" ")]

        with self.plain.connect() as there:
            theirs = names(there)
        mine = names(self.connect())
        self.assertEqual(mine[:len(theirs)], theirs)
        self.assertEqual(mine[len(theirs):], ["lib-name", "lib-ver"])

    def test_a_line_tells_the_state_of_its_session(self):
        session, asking = self.connect(3), self.connect()
        session.ask("SELECT", "3")
        session.ask("CLIENT", "SETINFO", "LIB-NAME", "mylib")
        session.ask("CLIENT", "SETINFO", "LIB-VER", "1.2")
        session.ask("SUBSCRIBE", "a", "b"), session.reply()
        session.ask("PSUBSCRIBE", "p*")
        session.ask("SSUBSCRIBE", "s")
        line = self.listed(asking)[session.id]
        self.assertEqual({k: line[k] for k in ("db", "sub", "psub", "ssub", "multi", "flags", "cmd", "user",
                                               "lib-name", "lib-ver", "resp")},
                         {"db": "3", "sub": "2", "psub": "1", "ssub": "1", "multi": "-1", "flags": "P",
                          "cmd": "ssubscribe", "user": "default", "lib-name": "mylib", "lib-ver": "1.2",
                          "resp": "3"})
        other = self.connect()
        other.ask_all(("MULTI",), ("SET", "x", "1"), ("PING",))
        line = self.listed(asking)[other.id]
        self.assertEqual((line["multi"], line["flags"]), ("2", "x"))
        other.send(encode("DISCARD") + encode("BLPOP", "no:such:list", "0"))
        wait_until(lambda: self.listed(asking)[other.id]["flags"] == "b", what="a session that waits")
        own = fields(self.text(asking.ask("CLIENT", "INFO")))
        self.assertEqual((int(own["id"]), own["cmd"]), (asking.id, "client|info"))

    def test_a_list_by_ids_has_these_alone(self):
        sessions = self.sessions_of_all_workers()
        wanted = [s.id for s in sessions[::5]]
        self.assertEqual(set(self.listed(sessions[1], "ID", *wanted)), set(wanted))
        self.assertEqual(set(self.listed(sessions[1], "ID", 10 ** 9)), set())
        self.assertEqual(set(self.listed(sessions[1], "ID", *range(200_000, 0, -1))),
                         {s.id for s in sessions})
        self.assertEqual(sessions[1].ask("CLIENT", "LIST", "ID", "x"), "ERR Invalid client ID")

    def test_a_list_in_a_pipeline_keeps_its_place(self):
        session = self.connect(3)
        session.send(encode("ECHO", "1") + encode("CLIENT", "LIST") + encode("ECHO", "2") + encode("GET", "no:such")
                     + encode("CLIENT", "REPLY", "SKIP") + encode("CLIENT", "LIST") + encode("ECHO", "3"))
        replies = [session.reply() for _ in range(5)]
        self.assertIn(f"id={session.id} ", replies.pop(1))
        self.assertEqual(replies, [b"1", b"2", None, b"3"])

    def test_sessions_that_end_leave_the_list(self):
        asking, session = self.connect(), self.connect()
        self.assertIn(session.id, self.listed(asking))
        session.close()
        wait_until(lambda: session.id not in self.listed(asking))

    def test_lists_and_storms_of_sessions_get_along(self):
        stop, failures = threading.Event(), []

        def come_and_go():
            try:
                while not stop.is_set():
                    with self.sheaf.connect() as session:
                        session.ask("CLIENT", "SETNAME", "storm")
                        session.send(encode("CLIENT", "LIST"))  # and leaves, perhaps before the answer
            except Exception as error:
                failures.append(error)

        threads = [threading.Thread(target=come_and_go) for _ in range(3)]
        [t.start() for t in threads]
        asking = self.connect()
        try:
            for _ in range(200):
                self.assertIn(asking.id, self.listed(asking))
        finally:
            stop.set()
            [t.join() for t in threads]
        self.assertEqual(failures, [])

    # --- killing

    def test_a_session_is_killed_by_its_id_whatever_its_worker(self):
        sessions, asking = self.sessions_of_all_workers(), self.connect()
        for session in sessions:
            self.assertEqual(asking.ask("CLIENT", "KILL", "ID", session.id), 1)
            self.assertTrue(session.at_end())
            self.assertEqual(asking.ask("CLIENT", "KILL", "ID", session.id), 0)
        self.assertEqual(asking.ask("PING"), "PONG")

    def test_a_session_is_killed_by_its_address(self):
        session, asking = self.connect(), self.connect()
        address = "%s:%d" % session.socket.getsockname()
        self.assertEqual(asking.ask("CLIENT", "KILL", address), "OK")
        self.assertTrue(session.at_end())
        self.assertEqual(asking.ask("CLIENT", "KILL", address), "ERR No such client")
        session = self.connect()
        self.assertEqual(asking.ask("CLIENT", "KILL", "ADDR", "%s:%d" % session.socket.getsockname()), 1)
        self.assertTrue(session.at_end())

    def test_who_kills_itself_still_hears_of_it(self):
        session = self.connect()
        self.assertEqual(session.ask("CLIENT", "KILL", "ID", session.id), 0)
        self.assertEqual(session.ask("CLIENT", "KILL", "ID", session.id, "SKIPME", "no"), 1)
        self.assertTrue(session.at_end())
        session = self.connect()
        self.assertEqual(session.ask("CLIENT", "KILL", "%s:%d" % session.socket.getsockname()), "OK")
        self.assertTrue(session.at_end())

    def test_all_others_are_killed_but_not_those_of_another_pool(self):
        sessions, stranger, asking = self.sessions_of_all_workers(), self.connect(name="second"), self.connect()
        self.assertEqual(asking.ask("CLIENT", "KILL", "TYPE", "normal"), len(sessions))
        for session in sessions:
            self.assertTrue(session.at_end())
        self.assertEqual(stranger.ask("PING"), "PONG")
        self.assertEqual(set(self.listed(asking)), {asking.id})

    def test_sessions_are_killed_by_their_age(self):
        old, asking = self.connect(), self.connect()
        self.assertEqual(asking.ask("CLIENT", "KILL", "MAXAGE", "1000000"), 0)
        self.assertEqual(asking.ask("CLIENT", "KILL", "MAXAGE", "9223372036854775807"), 0)
        self.assertEqual(old.ask("PING"), "PONG")
        wait_until(lambda: asking.ask("CLIENT", "KILL", "MAXAGE", "1", "ID", old.id) == 1, what="its first second to pass")
        self.assertTrue(old.at_end())
        for wrong, words in (("x", "is not an integer or out of range"), ("0", "should be greater than 0"),
                             ("-1", "should be greater than 0")):
            self.assertEqual(asking.ask("CLIENT", "KILL", "MAXAGE", wrong), f"ERR maxage {words}")

    def test_sessions_are_told_apart_by_type_and_user_and_our_address(self):
        plain, subscribed, asking = self.connect(), self.connect(3), self.connect()
        subscribed.ask("SUBSCRIBE", "type")
        self.assertEqual(set(self.listed(asking, "TYPE", "pubsub")), {subscribed.id})
        self.assertNotIn(subscribed.id, self.listed(asking, "TYPE", "normal"))
        self.assertEqual(self.listed(asking, "TYPE", "replica"), {})
        here = "%s:%d" % plain.socket.getpeername()
        self.assertEqual(asking.ask("CLIENT", "KILL", "LADDR", "127.0.0.1:1"), 0)
        self.assertEqual(asking.ask("CLIENT", "KILL", "TYPE", "pubsub", "USER", "default", "LADDR", here), 1)
        self.assertTrue(subscribed.at_end())
        self.assertEqual(plain.ask("PING"), "PONG")
        self.assertEqual(asking.ask("CLIENT", "KILL", "USER", "nobody"), "ERR No such user 'nobody'")

    def test_sessions_that_wait_or_subscribe_can_be_killed(self):
        waiting, subscribed, asking = self.connect(), self.connect(), self.connect()
        waiting.send(encode("BLPOP", "kill:list", "0"))
        subscribed.ask("SUBSCRIBE", "kill")
        wait_until(lambda: self.listed(asking)[waiting.id]["flags"] == "b")
        for session in (waiting, subscribed):
            self.assertEqual(asking.ask("CLIENT", "KILL", "ID", session.id), 1)
            self.assertTrue(session.at_end())
        wait_until(lambda: asking.ask("PUBLISH", "kill", "x") == 0)
        self.assertEqual(asking.ask("RPUSH", "kill:list", "stays"), 1)
        self.assertEqual(asking.ask("LRANGE", "kill:list", "0", "-1"), [b"stays"])

    # --- status

    def test_info_tells_of_the_pool_and_its_shards(self):
        sessions = [self.connect() for _ in range(5)]
        sessions[0].ask("SET", "info", "1")
        text = sessions[0].ask("INFO", "sheaf").decode()
        values = dict(re.findall(r"^(\w+):(.*)\r$", text, re.M))
        self.assertEqual((values["sheaf_pool"], values["sheaf_workers"], values["sheaf_shards"]), ("main", "3", "3"))
        self.assertGreaterEqual(int(values["sheaf_sessions"]), 5)
        self.assertGreater(int(values["sheaf_requests"]), 0)
        for number, server in enumerate(self.redis):
            shard = dict(pair.split("=") for pair in values[f"shard{number}"].split(","))
            self.assertEqual((shard["endpoint"], shard["state"]), (server.address, "up"))

    def test_info_tells_of_a_shard_that_is_down(self):
        redis = [RedisServer(self), RedisServer(self)]
        sheaf = Sheaf(self, pool(redis, timeout="300ms"))
        redis[1].kill9()
        wait_until(lambda: "state=down" in sheaf.ask("INFO", "sheaf").decode(), what="the shard to be told down")
        self.assertIn(f"shard0:endpoint={redis[0].address},state=up", sheaf.ask("INFO", "sheaf").decode())

    def test_slow_requests_are_told_in_the_form_of_redis(self):
        session = self.connect()
        session.ask("CLIENT", "SETNAME", "slowpoke")
        session.ask("EVAL", "local function now() local t = redis.call('TIME') return t[1] * 1000000 + t[2] end "
                    "local s = now() repeat until now() - s > 60000 return 1", "1", "slow:key")
        entries = session.ask("SLOWLOG", "GET", "128")
        entry = next(e for e in entries if e[5] == b"slowpoke")
        self.assertGreater(entry[2], 50_000)
        self.assertEqual([entry[3][0].lower(), entry[3][1]], [b"eval", b"slow:key"])
        self.assertEqual(entry[4].decode(), "%s:%d" % session.socket.getsockname())
        self.assertEqual(session.ask("SLOWLOG", "LEN"), len(entries))
        self.assertEqual(len(session.ask("SLOWLOG", "GET", "1")), 1)
        self.assertEqual(self.connect(name="second").ask("SLOWLOG", "GET"), [])
        self.assertEqual(session.ask("SLOWLOG", "RESET").code, "NOPERM")


class IdleUpstreams(Case):
    def test_they_go_when_nobody_could_use_them_or_nobody_leased_them_for_so_long(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], upstream_idle_timeout="300ms", probe="no"), proxy={"workers": 1})

        def upstreams():
            """The databases of the connections that do not come over the Unix socket, as the test's own does."""
            clients = map(fields, redis.ask("CLIENT", "LIST").decode().splitlines())
            return sorted(c["db"] for c in clients if "sock" not in c["addr"])

        with sheaf.connect() as first, sheaf.connect() as second:
            second.ask("SELECT", 3)
            for session in (first, second):
                self.assertEqual(session.ask("SET", "a", "1"), "OK")
            self.assertIsNone(first.ask("BLPOP", "none", "0.01"))
            self.assertEqual(upstreams(), ["0", "0", "3"])
            wait_until(lambda: upstreams() == ["0", "3"], what="the leased one to go")
            second.close()
            wait_until(lambda: upstreams() == ["0"], what="that of the session that left to go")
            time.sleep(0.5)
            self.assertEqual(upstreams(), ["0"], "a session may still use it")


class Drain(Case):
    def test_a_list_is_answered_while_workers_end(self):
        redis = [RedisServer(self)]
        sheaf = Sheaf(self, pool(redis), proxy={"workers": 4})
        sessions = [sheaf.connect() for _ in range(30)]
        for session in sessions:
            self.addCleanup(session.close)
        for session in sessions:
            session.send(encode("CLIENT", "LIST") + encode("CLIENT", "LIST"))
        sheaf.terminate()
        self.assertEqual(sheaf.wait(), 0)


if __name__ == "__main__":
    main()
