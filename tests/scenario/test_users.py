#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Who may come in, and what they may do: passwords, users, key prefixes, categories, administration."""
import hashlib

from lib import *

WRONGPASS = "WRONGPASS invalid username-password pair or user is disabled."
NOAUTH = "NOAUTH Authentication required."


class OnePassword(Case):
    """`password = ...` beside a Redis with `requirepass`."""

    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(2)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis, password="secret"))
        cls.plain.ask("CONFIG", "SET", "requirepass", "secret")

    def test_before_login_all_answers_are_those_of_redis(self):
        with self.sheaf.connect() as here, self.plain.connect() as there:
            for words in (("PING",), ("GET", "a"), ("SET", "a", "1"), ("GET",), ("NOSUCH",), ("MULTI",), ("EXEC",),
                          ("SUBSCRIBE", "c"), ("HELLO", "3"), ("HELLO", "2", "SETNAME", "x"), ("SELECT", "1"),
                          ("ECHO", "x"), ("INFO",), ("CLIENT", "ID"), ("COMMAND",), ("SHUTDOWN",), ("CONFIG", "GET", "*"),
                          ("AUTH",), ("AUTH", "a", "b", "c"), ("AUTH", "wrong"), ("AUTH", "default", "wrong"),
                          ("AUTH", "nobody", "secret"), ("AUTH", ""), ("AUTH", b"secret\x00"), ("AUTH", "SECRET"),
                          ("HELLO", "3", "AUTH", "default", "wrong"), ("HELLO", "3", "AUTH", "default"), ("RESET",),
                          ("PING",), ("AUTH", "secret"), ("PING",), ("AUTH", "wrong"), ("PING",), ("RESET",), ("PING",),
                          ("AUTH", "default", "secret"), ("PING",), ("QUIT",)):
                here.send(encode(*words))
                there.send(encode(*words))
                self.assertEqual(here.reply_bytes(), there.reply_bytes(), words)

    def test_hello_with_auth_logs_in_and_chooses_the_protocol(self):
        with self.sheaf.connect() as session:
            reply = session.ask("HELLO", "3", "AUTH", "default", "secret", "SETNAME", "app")
            self.assertEqual(reply["proto"], 3)
            self.assertEqual(session.ask("CLIENT", "GETNAME"), b"app")
            self.assertEqual(session.ask("SET", "a", "1"), "OK")

    def test_a_failed_hello_changes_nothing(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("HELLO", "3", "AUTH", "default", "wrong"), WRONGPASS)
            self.assertEqual(session.ask("GET", "a"), NOAUTH)
            session.ask("AUTH", "secret")
            session.send(encode("GET", "no:such"))
            self.assertEqual(session.reply_bytes(), b"$-1\r\n")

    def test_login_and_commands_in_one_write(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask_all(("GET", "p"), ("AUTH", "secret"), ("SET", "p", "1"), ("GET", "p")),
                             [NOAUTH, "OK", "OK", b"1"])

    def test_who_is_not_logged_in_may_send_little_as_in_redis(self):
        for data in (b"*11\r\n", b"*1\r\n$16385\r\n"):
            with self.sheaf.connect() as here, self.plain.connect() as there:
                here.send(data)
                there.send(data)
                self.assertEqual(here.reply_bytes(), there.reply_bytes())
                self.assertTrue(here.at_end())

    def test_who_never_logs_in_is_disconnected(self):
        sheaf = Sheaf(self, pool(self.redis, name="again", stamp="no", password="x", handshake_timeout="100ms"))
        with sheaf.connect() as stranger, sheaf.connect() as known:
            known.ask("AUTH", "x")
            self.assertTrue(stranger.at_end())
            self.assertEqual(known.ask("PING"), "PONG")

    def test_inside_the_password_is_not_logged(self):
        with self.sheaf.connect() as session:
            session.ask("AUTH", "hunter2-wrong")
        self.assertNotIn("hunter2", self.sheaf.log)
        self.assertNotIn("secret", self.sheaf.log)


class WithoutPassword(Case):
    def test_auth_is_answered_as_by_a_redis_that_has_none(self):
        redis, plain = RedisServer(self), RedisServer(self)
        sheaf = Sheaf(self, pool([redis]))
        twin = Twin(self, sheaf, plain)
        for words in (("AUTH", "x"), ("AUTH", "default", "x"), ("AUTH", "nobody", "x"), ("PING",),
                      ("HELLO", "2", "AUTH", "nobody", "x")):
            twin.ask(*words)


class Users(Case):
    """Each user of Sheaf beside a user of Redis with the same rights."""

    SHA = hashlib.sha256(b"hashed").hexdigest()
    USERS = {
        "app": ("app-pw prefix=app: prefix=tmp:", ">app-pw ~app:* ~tmp:* &app:* &tmp:* +@all -@admin"),
        "reader": (f"#{SHA} allow=@read,ping", ">hashed ~* &* +@read +ping"),
        "safe": ("safe-pw deny=@dangerous,getdel,config|get", ">safe-pw ~* &* +@all -@dangerous -getdel -config|get"),
        "two": ("one password=other", ">one >other ~* &* +@all -@admin"),
        "ops": ("ops-pw admin", ">ops-pw ~* &* +@all"),
        "open": ("nopass allow=get,set", "nopass ~* &* +get +set"),
    }

    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls, {"enable-debug-command": "yes"}) for _ in range(2)]
        cls.plain = RedisServer(cls, users=[f"{name} on {rights}" for name, (_, rights) in cls.USERS.items()])
        cls.pool = pool(cls.redis, user=[f"{name} {text}" for name, (text, _) in cls.USERS.items()])
        cls.sheaf = Sheaf(cls, cls.pool)

    def login(self, name, password):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        self.assertEqual(session.ask("AUTH", name, password), "OK")
        return session

    def twin(self, name, password, proto=2):
        twin = Twin(self, self.sheaf, self.plain, proto)
        twin.here.ask("RESET")
        self.assertEqual(twin.ask("AUTH", name, password), "OK")
        for session in (twin.here, twin.there):
            session.ask("HELLO", proto)
        return twin

    def test_there_is_no_default_user_unless_configured(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("PING"), NOAUTH)
            self.assertEqual(session.ask("AUTH", "app-pw"), WRONGPASS)
            self.assertEqual(session.ask("AUTH", "default", ""), WRONGPASS)

    def test_each_comes_in_with_his_passwords_and_no_other(self):
        for name, good in (("app", ["app-pw"]), ("reader", ["hashed"]), ("two", ["one", "other"]), ("open", ["", "any"])):
            for password in ("app-pw", "hashed", "one", "other", "", "any", self.SHA, "#" + self.SHA, "app-pw "):
                with self.sheaf.connect() as session:
                    expected = "OK" if password in good or name == "open" else WRONGPASS
                    self.assertEqual(session.ask("AUTH", name, password), expected, (name, password))
                    self.assertEqual(session.ask("GET", "app:a") == NOAUTH, expected != "OK")

    def test_whoami_tells_the_user_and_reset_forgets_him(self):
        session = self.login("two", "other")
        self.assertEqual(session.ask("ACL", "WHOAMI"), b"two")
        self.assertIn(b"user=two ", session.ask("CLIENT", "INFO") + b" ")
        self.assertEqual(session.ask("RESET"), "RESET")
        self.assertEqual(session.ask("GET", "a"), NOAUTH)

    def test_another_login_changes_the_user_and_a_failed_one_does_not(self):
        session = self.login("two", "one")
        self.assertEqual(session.ask("AUTH", "app", "wrong"), WRONGPASS)
        self.assertEqual(session.ask("SET", "elsewhere", "1"), "OK")
        self.assertEqual(session.ask("AUTH", "app", "app-pw"), "OK")
        self.assertEqual(session.ask("SET", "elsewhere", "2").code, "NOPERM")

    def test_prefixes_bound_every_kind_of_command_as_in_redis(self):
        for proto in (2, 3):
            twin = self.twin("app", "app-pw")
            for words in (
                    ("SET", "app:{a}1", "1"), ("GET", "app:{a}1"), ("SET", "other", "1"), ("GET", "other"), ("GET", "app"),
                    ("MGET", "app:{a}1", "other"), ("MSET", "app:{a}1", "2", "other", "2"), ("DEL", "app:{a}1", "other"),
                    ("MGET", "app:{a}1", "tmp:{a}1"), ("RENAME", "app:{a}1", "other"), ("LPUSH", "other", "x"),
                    ("EXISTS", "other"), ("BLPOP", "other", "0"), ("XREAD", "STREAMS", "other", "0"),
                    ("SUNIONSTORE", "app:{a}2", "other"), ("ZUNIONSTORE", "app:{a}3", "2", "app:{a}4", "other"),
                    ("OBJECT", "ENCODING", "other"), ("TYPE", "other"), ("WATCH", "other"), ("MULTI",), ("SET", "other", "1"),
                    ("SET", "app:{a}1", "9"), ("EXEC",), ("GET", "app:{a}1"), ("PUBLISH", "other", "x"),
                    ("PUBLISH", "app:c", "x"), ("MEMORY", "USAGE", "other"), ("SORT", "app:{a}9", "STORE", "other"),
                    ("BITOP", "NOT", "app:{a}2", "other"), ("GEORADIUS", "app:{a}g", "0", "0", "1", "m", "STORE", "other"),
                    ("PING",), ("GET",), ("DEL", "app:{a}1")):
                with self.subTest(words, proto=proto):
                    twin.ask(*words)

    def test_prefixes_bound_channels_and_patterns_as_in_redis(self):
        for proto in (2, 3):
            twin = self.twin("app", "app-pw", proto)
            for words in (
                    ("SUBSCRIBE", "app:a"), ("SUBSCRIBE", "other"), ("SUBSCRIBE", "app:b", "other"), ("PSUBSCRIBE", "*"),
                    ("PSUBSCRIBE", "app:*"), ("PSUBSCRIBE", "ap*"), ("PSUBSCRIBE", ""), ("SSUBSCRIBE", "other"),
                    ("SSUBSCRIBE", "tmp:a"), ("SUBSCRIBE", "__keyspace@0__:app:a"), ("UNSUBSCRIBE", "other"),
                    ("PUNSUBSCRIBE", "*"), ("SUNSUBSCRIBE", "other"), ("UNSUBSCRIBE", "app:a"), ("PUNSUBSCRIBE", "app:*"),
                    ("SUNSUBSCRIBE", "tmp:a"), ("PUBLISH", "app:a", "x"), ("SPUBLISH", "other", "x"), ("GET", "app:none")):
                with self.subTest(words, proto=proto):
                    twin.ask(*words)

    def test_a_prefix_with_signs_of_patterns_lets_nobody_hear_others(self):
        sheaf = Sheaf(self, pool([RedisServer(self)], user=["odd pw prefix=[ab]: prefix=o?d: prefix=x:"]))
        with sheaf.connect() as session:
            session.ask("AUTH", "odd", "pw")
            for pattern in ("[ab]:*", "o?d:*", "o?d:"):
                self.assertEqual(session.ask("PSUBSCRIBE", pattern).code, "NOPERM", pattern)
            self.assertEqual(session.ask("SUBSCRIBE", "[ab]:1"), [b"subscribe", b"[ab]:1", 1])
            self.assertEqual(session.ask("PSUBSCRIBE", "x:*"), [b"psubscribe", b"x:*", 2])

    def test_nothing_was_done_to_keys_of_others(self):
        session = self.login("app", "app-pw")
        for words in (("SET", "other", "1"), ("MSET", "app:1", "1", "other", "1"), ("RENAME", "app:1", "other"),
                      ("EVAL", "return redis.call('SET','other','1')", "0"), ("SORT", "app:1", "BY", "other*"),
                      ("EVAL", "return 1", "1", "app:1"), ("FCALL", "f", "0")):
            self.assertIsInstance(session.ask(*words), Failure, words)
        owner = self.login("two", "one")
        self.assertEqual(owner.ask("EXISTS", "other"), 0)

    def test_allow_and_deny_are_as_in_redis(self):
        cases = {
            ("reader", "hashed"): (("GET", "x"), ("MGET", "x"), ("LRANGE", "x", "0", "1"), ("SET", "x", "1"), ("DEL", "x"),
                                   ("PING",), ("ECHO", "x"), ("HGETALL", "x"), ("EXPIRE", "x", "1"), ("CONFIG", "GET", "save"),
                                   ("OBJECT", "ENCODING", "x"), ("MULTI",), ("EVAL", "return 1", "0"), ("PUBLISH", "a", "b"),
                                   ("FLUSHALL",), ("GET",), ("SELECT", "1")),
            ("safe", "safe-pw"): (("SET", "x", "1"), ("GETDEL", "x"), ("GET", "x"), ("KEYS", "*"), ("FLUSHALL",), ("SORT", "x"),
                                  ("CONFIG", "GET", "save"), ("CLIENT", "KILL", "x"), ("DEL", "x"), ("MULTI",),
                                  ("GETDEL", "x"), ("EXEC",)),
            ("open", "x"): (("SET", "x", "1"), ("GET", "x"), ("DEL", "x"), ("PING",), ("GETSET", "x", "y")),
        }
        for (name, password), commands in cases.items():
            twin = self.twin(name, password)
            for words in commands:
                with self.subTest(words, user=name):
                    twin.ask(*words)

    def test_dangerous_administration_needs_admin_and_says_so(self):
        session = self.login("two", "one")
        for words in (("SHUTDOWN", "NOSAVE"), ("DEBUG", "SLEEP", "0"), ("CONFIG", "SET", "maxmemory", "0"),
                      ("REPLICAOF", "NO", "ONE"), ("SLAVEOF", "NO", "ONE"), ("MIGRATE", "h", "1", "a", "0", "1"),
                      ("BGSAVE",), ("SAVE",), ("CONFIG", "RESETSTAT"), ("CONFIG", "REWRITE"), ("ACL", "SETUSER", "x"),
                      ("FAILOVER",), ("BGREWRITEAOF",)):
            reply = session.ask(*words)
            self.assertIsInstance(reply, Failure, words)
            if reply.code == "NOPERM":
                self.assertIn("admin", reply, words)
                self.assertIn("main", reply, words)
        self.assertEqual([r.ask("PING") for r in self.redis], ["PONG"] * 2)

    def test_who_has_admin_administrates_all_shards(self):
        session = self.login("ops", "ops-pw")
        self.assertEqual(session.ask("CONFIG", "SET", "maxmemory-samples", "7"), "OK")
        for redis in self.redis:
            self.assertEqual(redis.ask("CONFIG", "GET", "maxmemory-samples"), [b"maxmemory-samples", b"7"])
        self.assertEqual(session.ask("CONFIG", "RESETSTAT"), "OK")
        self.assertEqual(session.ask("DEBUG", "SLEEP", "0"), "OK")
        self.assertEqual(session.ask("CONFIG", "SET", "nosuch", "1").code, "ERR")
        for redis in self.redis:
            redis.ask("CONFIG", "SET", "slowlog-log-slower-than", "0")
            redis.ask("GET", "a")
            redis.ask("CONFIG", "SET", "slowlog-log-slower-than", "-1")
        self.assertEqual(session.ask("SLOWLOG", "RESET"), "OK")
        self.assertEqual([redis.ask("SLOWLOG", "LEN") for redis in self.redis], [0, 0])

    def test_patterns_of_sort_read_no_keys_of_others_of_one_shard_either(self):
        sheaf = Sheaf(self, pool([RedisServer(self)], user=["app pw prefix=app:", "root pw"]))
        with sheaf.connect() as root, sheaf.connect() as session:
            root.ask("AUTH", "root", "pw")
            session.ask("AUTH", "app", "pw")
            root.ask("SET", "secret:1", "hidden")
            session.ask("RPUSH", "app:l", "1", "2")
            self.assertEqual(root.ask("SORT", "app:l", "GET", "secret:*"), [b"hidden", None])
            for words in (("GET", "secret:*"), ("BY", "secret:*"), ("BY", "nosort", "GET", "#", "GET", "*:1")):
                for command in ("SORT", "SORT_RO"):
                    with self.subTest(words, command=command):
                        replies = session.ask_all((command, "app:l", *words), ("MULTI",), (command, "app:l", *words), ("EXEC",))
                        self.assertEqual([getattr(r, "code", r) for r in replies], ["NOPERM", "OK", "NOPERM", "EXECABORT"])
            self.assertEqual(session.ask_all(("MULTI",), ("SORT", "app:l", "GET", "#", "DESC"), ("EXEC",))[2], [[b"2", b"1"]])

    def test_a_user_with_prefixes_sees_no_keys_of_others(self):
        owner, session = self.login("ops", "ops-pw"), self.login("app", "app-pw")
        owner.ask("FLUSHALL")
        owner.ask("MSET", "secret:1", "x", "app:1", "x")
        for proto in (2, 3):
            session.ask("HELLO", proto)
            self.assertEqual(session.ask("KEYS", "*"), [b"app:1"])
            self.assertEqual(session.ask("KEYS", "secret:*"), [])
            found, cursor = [], b"0"
            while cursor != b"0" or not found:
                cursor, more = session.ask("SCAN", cursor, "COUNT", "1000")
                found += more
            self.assertEqual(found, [b"app:1"])
            for words in (("RANDOMKEY",), ("FLUSHALL",), ("FLUSHDB",)):
                self.assertEqual(session.ask(*words).code, "NOPERM")
        self.assertEqual(owner.ask("GET", "secret:1"), b"x")


class Reloaded(Case):
    def setUp(self):
        self.redis = [RedisServer(self)]
        self.pool = pool(self.redis, user=["one old-pw", "two pw", "three pw deny=set"])
        self.sheaf = Sheaf(self, self.pool)

    def reload(self, *users):
        name, options = self.pool
        self.sheaf.reload((name, {**options, "user": list(users)}))

    def login(self, name, password):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        return session, session.ask("AUTH", name, password)

    def test_a_new_password_holds_for_new_logins_and_sessions_stay(self):
        session, _ = self.login("one", "old-pw")
        other, _ = self.login("two", "pw")
        self.reload("two pw", "one new-pw", "three pw deny=set")
        wait_until(lambda: self.login("one", "new-pw")[1] == "OK")
        wait_until(lambda: all(self.login("one", "old-pw")[1] == WRONGPASS for _ in range(8)))
        self.assertEqual(session.ask("ACL", "WHOAMI"), b"one")
        self.assertEqual(other.ask("ACL", "WHOAMI"), b"two")
        self.assertEqual(session.ask("SET", "a", "1"), "OK")

    def test_a_user_who_is_gone_is_out_at_once(self):
        session, _ = self.login("one", "old-pw")
        self.assertEqual(session.ask("MULTI"), "OK")
        other, _ = self.login("two", "pw")
        self.reload("two pw")
        wait_until(lambda: session.ask("SET", "a", "1") == NOAUTH)
        wait_until(lambda: session.ask("GET", "a") == NOAUTH)
        self.assertEqual(other.ask("PING"), "PONG")

    def test_new_rights_hold_for_sessions_that_stand(self):
        session, _ = self.login("three", "pw")
        self.assertEqual(session.ask("SET", "a", "1").code, "NOPERM")
        self.reload("three pw prefix=b")
        wait_until(lambda: session.ask("SET", "b", "1") == "OK")
        self.assertEqual(session.ask("SET", "a", "1").code, "NOPERM")

    def test_a_pool_that_gets_users_or_loses_them(self):
        name, options = self.pool
        stranger = self.sheaf.connect()
        self.addCleanup(stranger.close)
        self.assertEqual(stranger.ask("GET", "a"), NOAUTH)
        self.sheaf.reload((name, {k: v for k, v in options.items() if k != "user"}))
        wait_until(lambda: stranger.ask("SET", "a", "1") == "OK")
        self.reload("one pw")
        wait_until(lambda: stranger.ask("GET", "a") == NOAUTH)
        self.assertEqual(stranger.ask("AUTH", "one", "pw"), "OK")
        self.assertEqual(stranger.ask("GET", "a"), b"1")

    def test_sessions_of_a_pool_that_gets_users_are_default_if_that_needs_no_password(self):
        name, options = self.pool
        self.sheaf.reload((name, {k: v for k, v in options.items() if k != "user"}))
        wait_until(lambda: all(self.sheaf.ask("SET", "a", "1") == "OK" for _ in range(8)))
        sessions = [self.sheaf.connect() for _ in range(8)]
        for session in sessions:
            self.addCleanup(session.close)
            self.assertEqual(session.ask("GET", "a"), b"1")
        self.reload("default nopass deny=getdel", "one pw")
        wait_until(lambda: all(getattr(s.ask("GETDEL", "none"), "code", "") == "NOPERM" for s in sessions))
        for session in sessions:
            self.assertEqual(session.ask("GET", "a"), b"1")
            self.assertEqual(session.ask("ACL", "WHOAMI"), b"default")


if __name__ == "__main__":
    main()
