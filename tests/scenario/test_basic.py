#!/usr/bin/python3
# release too: the core
"""One session and simple requests: every reply is the one that Redis itself gives."""
import ctypes
import os
import pathlib
import platform
import sys

from lib import *

LIBC = ctypes.CDLL(None, use_errno=True)
SYS_SCHED_GETATTR = {"x86_64": 315}.get(platform.machine(), 275)   # where there is no table from before


class Basics(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.plain = RedisServer(cls)  # what Sheaf is compared with
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)

    def ask(self, *words):
        return self.session.ask(*words)

    # --- placement

    def test_a_key_is_on_the_shard_of_its_hash_and_nowhere_else(self):
        for number in range(60):
            key = f"place:{number}"
            self.assertEqual(self.ask("SET", key, key), "OK")
            there = [r.ask("EXISTS", key) for r in self.redis]
            expected = [0, 0, 0]
            expected[shard_of(key, 3)] = 1
            self.assertEqual(there, expected, key)

    def test_a_hash_tag_decides_the_shard(self):
        for key in ("{user}:1", "{user}:2", "x{user}y"):
            self.ask("SET", key, "1")
            self.assertEqual(self.redis[shard_of("user", 3)].ask("EXISTS", key), 1, key)

    def test_odd_hash_tags_count_as_in_redis_cluster(self):
        for key in ("{a}{b}", "x{}y", "x{{a}}y", "{", "}a{", "{}", "a{b"):
            self.ask("SET", key, "1")
            self.assertEqual(self.redis[shard_of(key, 3)].ask("EXISTS", key), 1, key)

    def test_route_tells_where_a_key_is(self):
        for key, _, _, shard, endpoint in self.sheaf.route("a", "b", "{user}:1", "x y"):
            self.ask("SET", key, "routed")
            self.assertEqual(self.redis[int(shard)].ask("GET", key), b"routed")
            self.assertEqual(endpoint, self.redis[int(shard)].address)

    # --- keys and values

    def test_keys_and_values_may_hold_any_bytes(self):
        everything = bytes(range(256))
        for number, key in enumerate((b"", b"\r\n", b"$5\r\nhello\r\n", everything, b"k" * 100_000)):
            value = b"\r\n%d\r\n" % number + everything
            self.assertEqual(self.ask("SET", key, value), "OK")
            self.assertEqual(self.ask("GET", key), value)

    def test_values_of_all_sizes_come_back_as_they_went(self):
        for size in (0, 1, 511, 512, 4095, 4096, 4097, 16384, 65535, 65536, 1 << 20, (8 << 20) + 3):
            value = (b"%d." % size * (size // 2 + 1))[:size]
            self.assertEqual(self.ask("SET", f"size:{size}", value), "OK")
            self.assertTrue(self.ask("GET", f"size:{size}") == value, f"a value of {size} bytes")

    # --- pipelines

    def test_a_pipeline_is_answered_in_its_order(self):
        commands, expected = [], []
        for number in range(3000):
            key = f"pipe:{number}"
            commands += [("SET", key, number), ("GET", key)]
            expected += ["OK", b"%d" % number]
            if number % 7 == 0:
                commands.append(("PING", f"{number}"))
                expected.append(b"%d" % number)
            if number % 11 == 0:
                commands.append(("LPUSH", key, "x"))
                expected.append("WRONGTYPE Operation against a key holding the wrong kind of value")
            if number % 13 == 0:
                commands.append(("NOSUCH", key))
                expected.append(None)
        replies = self.session.ask_all(*commands)
        for command, reply, wanted in zip(commands, replies, expected):
            if wanted is None:
                self.assertIsInstance(reply, Failure, command)
            else:
                self.assertEqual(reply, wanted, command)

    def test_a_pipeline_cut_anywhere_is_the_same_pipeline(self):
        data = encode("SET", "cut", "12345") + encode("GET", "cut") + encode("PING") + b"GET cut\r\n"
        for at in range(1, len(data)):
            self.session.send(data[:at])
            self.session.send(data[at:])
            replies = [self.session.reply() for _ in range(4)]
            self.assertEqual(replies, ["OK", b"12345", "PONG", b"12345"], at)

    def test_small_requests_do_not_wait_for_big_ones_to_be_sent(self):
        big = b"x" * (4 << 20)
        replies = self.session.ask_all(("SET", "big", big), ("GET", "big"), ("PING",), ("STRLEN", "big"))
        self.assertEqual([replies[0], len(replies[1]), *replies[2:]], ["OK", len(big), "PONG", len(big)])

    # --- inline commands

    def test_inline_commands_are_understood(self):
        for line, expected in (
                (b"PING\r\n", "PONG"), (b"ping\n", "PONG"), (b"  SET   inline   1 \r\n", "OK"),
                (b"GET inline\r\n", b"1"), (b"SET inline \"a \\x41\\n\"\r\n", "OK"),
                (b"GET inline\r\n", b"a A\n"), (b"SET inline 'it\\'s'\r\n", "OK"),
                (b"GET inline\r\n", b"it's"), (b"\r\n\r\nPING\r\n", "PONG")):
            self.session.send(line)
            self.assertEqual(self.session.reply(), expected, line)

    def test_what_a_page_has_a_browser_post_is_not_carried_out(self):
        for request in (b"POST / HTTP/1.1\r\nHost: x\r\n\r\nSET posted 1\r\n",
                        b"post /\r\nSET posted 1\r\n", b"PUT / HTTP/1.1\r\nhOsT: x\r\nSET posted 1\r\n"):
            for server in (self.sheaf, self.plain):
                with server.connect() as session:
                    session.send(request)
                    with self.assertRaises((EOFError, ConnectionResetError)):
                        while True:
                            self.assertRegex(str(session.reply()), "unknown command 'PUT'")
        self.assertEqual(self.ask("EXISTS", "posted"), 0)
        self.assertEqual(self.ask("SET", "posted", "post"), "OK")

    # --- errors, as Redis words them

    def same_as_redis(self, *words):
        with self.plain.connect() as session:
            self.assertEqual(self.ask(*words), session.ask(*words), words)

    def test_errors_have_the_words_of_redis(self):
        self.same_as_redis("GET")
        self.same_as_redis("GET", "a", "b")
        self.same_as_redis("SET", "a")
        self.same_as_redis("MSET", "a", "1", "b")
        self.same_as_redis("MGET")
        self.same_as_redis("DEL")
        self.same_as_redis("PING", "a", "b")
        self.same_as_redis("ECHO")
        self.same_as_redis("HELLO", "9")
        self.same_as_redis("HELLO", "x")
        self.same_as_redis("SELECT", "x")
        self.same_as_redis("SELECT", "16")
        self.same_as_redis("SET", "a", "1", "NOSUCHFLAG")
        self.same_as_redis("EXPIRE", "a", "x")
        self.same_as_redis("CLIENT", "NOSUCH")
        self.same_as_redis("NOSUCH")
        self.same_as_redis("NOSUCH", "a", "b c")
        self.same_as_redis("NOSUCH", "x" * 300, "y")
        self.same_as_redis("")
        self.same_as_redis("GET ", "a")
        # Redis itself finds GET by it now and then: it compares up to a zero what has, by chance, the same place in its table.
        self.assertEqual(str(self.ask(b"GET\0", "a")), "ERR unknown command 'GET', with args beginning with: 'a' ")
        self.same_as_redis("EVAL", "return 1", "x")

    def test_errors_of_the_sessions_and_the_servers_own_commands_have_the_words_of_redis(self):
        for line in (
                "CLIENT|CLIENT SETNAME|CLIENT SETNAME a\tb|CLIENT GETNAME x|CLIENT ID x|CLIENT KILL|CLIENT KILL x"
                "|CLIENT KILL ID x|CLIENT KILL ID 0|CLIENT KILL TYPE x|CLIENT KILL USER nosuch|CLIENT KILL SKIPME x"
                "|CLIENT KILL ID 1 ADDR|CLIENT KILL FOO bar|CLIENT KILL ADDR 1.2.3.4:5|CLIENT KILL 1.2.3.4:5"
                "|CLIENT LIST TYPE x|CLIENT LIST FOO|CLIENT LIST ID|CLIENT LIST ID x|CLIENT LIST ID 999999"
                "|CLIENT LIST ID 999999 x|CLIENT LIST TYPE master|CLIENT LIST TYPE normal x|CLIENT INFO x"
                "|CLIENT NO-EVICT|CLIENT NO-EVICT x|CLIENT REPLY|CLIENT REPLY x|CLIENT TRACKINGINFO|CLIENT GETREDIR",
                "ACL|ACL NOSUCH|ACL WHOAMI|ACL WHOAMI x|ACL CAT nosuch|ACL CAT a b|ACL GENPASS x|ACL GENPASS 0"
                "|ACL GENPASS 5000|ACL GENPASS 1 2",
                "HELLO 2 AUTH|HELLO 2 AUTH a|HELLO 2 FOO|HELLO 2 SETNAME|HELLO 2 SETNAME a\tb|HELLO AUTH a b|HELLO -1"
                "|AUTH|AUTH a b c|AUTH x|SELECT|SELECT -1|SELECT 1.5|SELECT 01|SELECT -0|SELECT 2147483648|MOVE a 01|MOVE a 2147483648|SELECT 0 0|SELECT 99999999999999999999"
                "|ECHO a b|TIME x|RESET x|READONLY x|ROLE x|CLUSTER|CLUSTER NOSUCH|CLUSTER SLOTS"
                "|CLUSTER NODES|CLUSTER SHARDS|CLUSTER MYID|CLUSTER KEYSLOT|CLUSTER COUNTKEYSINSLOT 1",
                "CONFIG|CONFIG NOSUCH|CONFIG GET|CONFIG GET nosuch|CONFIG SET|COMMAND NOSUCH|COMMAND COUNT x"
                "|COMMAND GETKEYS|COMMAND GETKEYS get|COMMAND INFO nosuch|COMMAND DOCS nosuch|COMMAND LIST x"
                "|OBJECT|OBJECT FREQ|OBJECT NOSUCH x|OBJECT ENCODING a b|MEMORY|MEMORY USAGE|MEMORY NOSUCH"
                "|MEMORY USAGE a SAMPLES x|SLOWLOG|SLOWLOG NOSUCH|SLOWLOG GET x|SLOWLOG GET -2|SLOWLOG LEN x"
                "|LATENCY|LATENCY NOSUCH|LATENCY LATEST x|LATENCY HISTORY|PUBSUB|PUBSUB NOSUCH|PUBSUB CHANNELS a b",
                "DBSIZE x|KEYS|KEYS a b|RANDOMKEY x|FLUSHALL x|FLUSHDB x|FLUSHDB ASYNC x|SCAN|SCAN x|SCAN 0 FOO"
                "|SCAN 0 COUNT x|SCAN 0 COUNT 0|SCAN 0 MATCH|WAIT|WAIT x 0|WAIT 0 x|WAIT 0 -1|WAIT 1 1"
                "|SCRIPT|SCRIPT NOSUCH|SCRIPT LOAD|SCRIPT LOAD retur|SCRIPT EXISTS|SCRIPT FLUSH x|SCRIPT KILL"
                "|FUNCTION|FUNCTION NOSUCH|FUNCTION LOAD|FUNCTION LOAD x|FUNCTION LOAD FOO x|FUNCTION DELETE x"
                "|FUNCTION LIST FOO|FUNCTION FLUSH x|FUNCTION KILL|FUNCTION RESTORE x|FUNCTION RESTORE x FOO"):
            for command in line.split("|"):
                with self.subTest(command):
                    self.same_as_redis(*command.split(" "))

    def bytes_until_the_end(self, session, data):
        session.socket.sendall(data)
        got = b""
        try:
            while piece := session.socket.recv(65536):
                got += piece
        except ConnectionResetError:
            pass
        return got

    def test_protocol_errors_are_told_as_redis_does_and_end_the_session(self):
        for data in (
                b"*1\r\n$-5\r\n", b"*1\r\n$x\r\n", b"*1\r\n:1\r\n", b"*x\r\n",
                b"*2147483648\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$99999999999999999999\r\n",
                b"SET a \"b\r\n", b"SET a \"b\"c\r\n", b"SET a 'b\r\n", b"x" * 70_000,
                b"*3\r\n$3\r\nSET\r\n$1\r\na\r\n+b\r\n", b"*1" + b"0" * 70_000,
                b"*1\r\n$" + b"1" * 70_000):
            with self.subTest(data[:40]), self.sheaf.connect() as here, self.plain.connect() as there:
                self.assertEqual(self.bytes_until_the_end(here, data),
                                 self.bytes_until_the_end(there, data))

    def test_requests_before_a_protocol_error_are_answered_first(self):
        self.session.send(encode("SET", "before", "1") + encode("GET", "before") + b"*x\r\n")
        self.assertEqual([self.session.reply(), self.session.reply()], ["OK", b"1"])
        self.assertEqual(self.session.reply().code, "ERR")
        self.assertTrue(self.session.at_end())

    def test_empty_requests_are_passed_over_as_in_redis(self):
        self.session.send(b"*0\r\n*-1\r\n" + encode("PING"))
        self.assertEqual(self.session.reply(), "PONG")

    def test_what_is_not_supported_is_an_error_and_never_a_close(self):
        for words in (
                ("NOSUCH", "a"), ("CLIENT", "TRACKING", "ON"), ("DEBUG", "SLEEP", "0"), ("SHUTDOWN",),
                ("SHUTDOWN", "NOSAVE"), ("SYNC",), ("PSYNC", "?", "-1"), ("REPLICAOF", "NO", "ONE"),
                ("SLAVEOF", "127.0.0.1", "1"), ("MIGRATE", "127.0.0.1", "1", "a", "0", "10"),
                ("CONFIG", "SET", "save", ""), ("SWAPDB", "0", "1"), ("FAILOVER",),
                ("CLUSTER", "MEET", "127.0.0.1", "1"), ("CLIENT", "PAUSE", "10"), ("MONITOR",),
                ("ACL", "SETUSER", "x"), ("REPLCONF", "listening-port", "1"), ("BGREWRITEAOF", "x"),
                ("MODULE", "LOAD", "/x.so"), ("DEBUG", "SEGFAULT")):
            self.assertIsInstance(self.ask(*words), Failure, words)
            self.assertEqual(self.ask("PING"), "PONG", f"after {words}")
        self.assertEqual([r.ask("PING") for r in self.redis], ["PONG"] * 3)

    def test_what_would_need_one_server_is_refused_with_the_reason(self):
        cannot = "ERR '%s' can't work through a pool of shards: %s"
        nobody = "upstreams are shared, so nobody could be told of invalidations"
        for proto in (2, 3):
            self.ask("HELLO", proto)
            for words in (("ON",), ("OFF",), ("ON", "BCAST"), ("ON", "REDIRECT", "1")):
                self.assertEqual(self.ask("CLIENT", "TRACKING", *words), cannot % ("client|tracking", nobody))
            self.assertEqual(self.ask("MONITOR"), cannot % ("monitor", "it would show what all the pool's users do"))
            self.assertEqual(self.ask("SET", "untold", proto), "OK")
        self.same_as_redis("MONITOR", "x")

    def test_an_error_of_the_server_is_a_reply_and_passes_as_it_is(self):
        self.ask("SET", "text", "abc")
        self.assertEqual(self.ask("INCR", "text"), "ERR value is not an integer or out of range")
        self.assertEqual(self.ask("GET", "text"), b"abc")

    # --- the session's own state

    def test_ping_and_echo_are_answered(self):
        self.assertEqual(self.ask("PING"), "PONG")
        self.assertIsInstance(self.ask("PING"), Status)
        self.assertEqual(self.ask("PING", "a\r\nb"), b"a\r\nb")
        self.assertEqual(self.ask("ECHO", "x"), b"x")

    def test_hello_chooses_the_protocol_of_this_session_alone(self):
        with self.sheaf.connect() as other:
            greeting = self.ask("HELLO", "3")
            self.assertEqual(greeting["proto"], 3)
            self.assertEqual(greeting["server"], b"redis")
            for word in ("version", "id", "mode", "role", "modules"):
                self.assertIn(word, greeting)
            self.ask("HSET", "map", "a", "1")
            self.assertEqual(self.ask("HGETALL", "map"), {"a": b"1"})
            self.assertEqual(other.ask("HGETALL", "map"), [b"a", b"1"])
            self.session.send(encode("GET", "no:such"))
            self.assertEqual(self.session.reply_bytes(), b"_\r\n")
            other.send(encode("GET", "no:such"))
            self.assertEqual(other.reply_bytes(), b"$-1\r\n")
            self.assertEqual(self.ask("HELLO", "2")[4:6], [b"proto", 2])
            self.assertEqual(self.ask("HGETALL", "map"), [b"a", b"1"])

    def test_hello_with_a_version_that_does_not_exist_changes_nothing(self):
        self.assertEqual(self.ask("HELLO", "4").code, "NOPROTO")
        self.assertIsInstance(self.ask("HELLO")[0], bytes)

    def test_hello_sets_a_name(self):
        self.ask("HELLO", "3", "SETNAME", "app")
        self.assertEqual(self.ask("CLIENT", "GETNAME"), b"app")

    def test_select_is_the_sessions_own(self):
        with self.sheaf.connect() as other:
            self.assertEqual(self.ask("SET", "db", "zero"), "OK")
            self.assertEqual(self.ask("SELECT", "1"), "OK")
            self.assertIsNone(self.ask("GET", "db"))
            self.ask("SET", "db", "one")
            self.assertEqual(other.ask("GET", "db"), b"zero")
            self.assertEqual(self.session.ask_all(("SELECT", "0"), ("GET", "db"), ("SELECT", "1"),
                                                  ("GET", "db")), ["OK", b"zero", "OK", b"one"])

    def test_reset_brings_the_session_to_its_beginning(self):
        self.ask("HELLO", "3")
        self.ask("SELECT", "1")
        self.ask("CLIENT", "SETNAME", "x")
        self.assertEqual(self.ask("RESET"), "RESET")
        self.assertIsNone(self.ask("CLIENT", "GETNAME"))
        self.session.send(encode("GET", "no:such"))
        self.assertEqual(self.session.reply_bytes(), b"$-1\r\n")

    def test_quit_is_answered_and_ends_the_session(self):
        self.assertEqual(self.session.ask_all(("SET", "q", "1"), ("GET", "q"), ("QUIT",)), ["OK", b"1", "OK"])
        self.assertTrue(self.session.at_end())

    def test_the_names_that_libraries_set_are_kept(self):
        self.assertIsNone(self.ask("CLIENT", "GETNAME"))
        self.assertEqual(self.ask("CLIENT", "SETNAME", "app-1"), "OK")
        self.assertEqual(self.ask("CLIENT", "GETNAME"), b"app-1")
        self.assertEqual(self.ask("CLIENT", "SETINFO", "LIB-NAME", "redis-py"), "OK")
        self.assertEqual(self.ask("CLIENT", "SETINFO", "LIB-VER", "5.0.0"), "OK")
        self.assertIsInstance(self.ask("CLIENT", "SETNAME", "a b"), Failure)
        number = self.ask("CLIENT", "ID")
        self.assertIsInstance(number, int)
        self.assertIn(f"id={number} ".encode(), self.ask("CLIENT", "INFO"))

    def test_client_reply_skip_and_off_take_exactly_their_replies_away(self):
        self.session.send(
            encode("CLIENT", "REPLY", "SKIP") + encode("SET", "quiet", "1") + encode("GET", "quiet"))
        self.assertEqual(self.session.reply(), b"1")
        self.session.send(
            encode("CLIENT", "REPLY", "OFF") + encode("SET", "quiet", "2") + encode("NOSUCH")
            + encode("PING") + encode("MGET", "a", "b", "c"))
        self.assertTrue(self.session.silent())
        self.assertEqual(self.ask("CLIENT", "REPLY", "ON"), "OK")
        self.assertEqual(self.ask("GET", "quiet"), b"2")

    def test_what_is_silenced_is_what_redis_silences(self):
        on, off, skip = (("CLIENT", "REPLY", word) for word in ("ON", "OFF", "SKIP"))
        ping, bad = ("PING",), ("CLIENT", "REPLY", "nonsense")
        for said in (
                [skip, bad, ping], [off, bad, ("CLIENT", "REPLY"), (*on, "x"), on, ping], [off, ("RESET",), ping],
                [skip, ("RESET",), ping], [skip, skip, ping, ping], [skip, on, ping], [skip, off, ping, on], [bad, ping],
                [off, skip, ping, on, ping], [skip, ("GET",), ping],
                [skip, ("NOSUCH",), ping], [skip, ("SUBSCRIBE", "a"), ping], [skip, ("EXEC",), ping, ("ECHO", "end")],
                [off, ("SUBSCRIBE", "a"), ping, ("UNSUBSCRIBE", "a"), on, ping], [skip, ("HELLO", "3"), ("GET", "no:such")],
                [off, ("SELECT", "1"), ("SET", "a", "1"), on, ("GET", "a"), ("DEL", "a")], [skip, (), ping, ping],
                [skip, ("MULTI",), ("SET", "a", "1"), ("EXEC",), ("DEL", "a")], [skip, ("MGET", "a", "b", "c", "d"), ping],
                [skip, ("WATCH", "a"), ("MULTI",), ("PING",), ("EXEC",)], [off, ("KEYS", "*"), ("WATCH", "a"), on, ping],
                [skip, ("CLIENT", "KILL", "ID", "999999"), ping], [skip, ("EVAL", "return 1", "0"), ping]):
            data = b"".join(encode(*words) for words in (*said, ("QUIT",)))
            with self.subTest(said), self.sheaf.connect() as here, self.plain.connect() as there:
                self.assertEqual(self.bytes_until_the_end(here, data), self.bytes_until_the_end(there, data))

    def test_what_ends_a_session_ends_it_in_silence_too(self):
        for silence in (encode("CLIENT", "REPLY", "OFF"), encode("CLIENT", "REPLY", "SKIP")):
            for end in (encode("QUIT"), b"*x\r\n", b"*1\r\n$-1\r\n"):
                with self.subTest(end, silence=silence), self.sheaf.connect() as session:
                    self.assertEqual(self.bytes_until_the_end(session, silence + end + encode("PING")), b"")

    # --- what clients ask when they connect

    def test_what_libraries_ask_at_connect_is_answered(self):
        info = self.ask("INFO").decode()
        for line in ("redis_version:", "loading:0", "role:master", "# Sheaf"):
            self.assertIn(line, info)
        self.assertIn("redis_version:", self.ask("INFO", "server").decode())
        self.assertGreater(self.ask("COMMAND", "COUNT"), 200)
        self.assertEqual(self.ask("COMMAND", "INFO", "get")[0][:2], [b"get", 2])
        self.assertEqual(self.ask("COMMAND", "GETKEYS", "MSET", "a", "1", "b", "2"), [b"a", b"b"])
        self.assertEqual(self.ask("COMMAND", "DOCS", "get")[0], b"get")
        self.assertEqual(self.ask("CONFIG", "GET", "save")[0], b"save")
        self.assertIn(b"databases", self.ask("CONFIG", "GET", "databases"))
        self.assertIn("cluster_enabled:0", self.ask("INFO", "cluster").decode())
        self.assertIsInstance(self.ask("CLUSTER", "KEYSLOT", "a"), int)
        self.assertEqual(len(self.ask("TIME")), 2)
        self.assertEqual(self.ask("ROLE")[0], b"master")
        self.assertIn(b"redis", self.ask("LOLWUT").lower())

    def test_what_each_library_says_at_connect_is_answered_as_it_needs(self):
        unknown = "ERR unknown subcommand 'MAINT_NOTIFICATIONS'. Try CLIENT HELP."
        names = [("CLIENT", "SETNAME", "app"), ("CLIENT", "SETINFO", "LIB-NAME", "lib"), ("CLIENT", "SETINFO", "LIB-VER", "1.0")]
        maint = ("CLIENT", "MAINT_NOTIFICATIONS", "ON", "moving-endpoint-type", "internal-ip")
        libraries = {
            "redis-py": [("HELLO", "3"), *names, ("SELECT", "1"), maint],
            "go-redis": [("HELLO", "3", "SETNAME", "app"), ("SELECT", "1"), ("READONLY",), maint, *names],
            "lettuce": [("HELLO", "3"), ("PING",), *names, maint],
            "jedis": [("HELLO", "3", "SETNAME", "app"), *names, ("SELECT", "1")],
            "redis-rs": [("SELECT", "1"), *names],
            "node-redis": [("HELLO", "3"), ("SELECT", "1"), *names, ("READONLY",)],
            "ioredis": [("SELECT", "1"), *names, ("INFO",), ("READONLY",)],
            "StackExchange": [
                ("HELLO", "3"), *names, ("CLIENT", "ID"), ("CONFIG", "GET", "timeout"), ("CONFIG", "GET", "slave-read-only"),
                ("CONFIG", "GET", "databases"), ("SENTINEL", "MASTERS"), ("INFO", "replication"), ("INFO", "server"),
                ("CLUSTER", "NODES"), ("GET", "__Booksleeve_TieBreak"), ("ECHO", b"\x00\xff\r\ntracer"),
                ("SUBSCRIBE", "__Booksleeve_MasterChanged")],
            "redis-cli": [("COMMAND", "DOCS"), ("INFO", "server"), ("CONFIG", "GET", "save"), ("CONFIG", "GET", "appendonly")],
            "valkey-glide": [("HELLO", "3"), *names, ("INFO", "REPLICATION"), ("CLUSTER", "SLOTS")]}
        needs = {  # what an error may be, and what else they look at
            maint: lambda r: r == unknown, ("SENTINEL", "MASTERS"): lambda r: r.startswith("ERR unknown command 'SENTINEL'"),
            ("CLUSTER", "NODES"): lambda r: "cluster support disabled" in r,
            ("CLUSTER", "SLOTS"): lambda r: "cluster support disabled" in r,
            ("HELLO", "3"): lambda r: (r["proto"], r["server"], r["mode"]) == (3, b"redis", b"standalone") and r["version"],
            ("INFO",): lambda r: b"loading:0" in r and b"redis_version:" in r,
            ("CONFIG", "GET", "databases"): lambda r: r == {"databases": b"16"}}
        for library, said in libraries.items():
            with self.subTest(library), self.sheaf.connect() as session:
                for words, reply in zip(said, session.ask_all(*said)):
                    need = needs.get(words, lambda r: not isinstance(r, Failure))
                    self.assertTrue(need(reply), (words, reply))
                self.assertNotIsInstance(session.ask("PING"), Failure)

    def test_every_reply_to_libraries_is_valid_in_resp3_too(self):
        self.ask("HELLO", "3")
        for words in (("INFO",), ("COMMAND", "COUNT"), ("COMMAND", "INFO", "get", "nosuch"),
                      ("CONFIG", "GET", "*"), ("CLIENT", "LIST"), ("CLIENT", "INFO"), ("TIME",), ("ROLE",),
                      ("CLIENT", "GETNAME"), ("SLOWLOG", "GET"), ("LATENCY", "LATEST"),
                      ("MEMORY", "USAGE", "no:such"), ("COMMAND", "DOCS", "get"), ("PUBSUB", "CHANNELS")):
            self.assertNotIsInstance(self.ask(*words), Failure, words)
        self.assertEqual(self.ask("PING"), "PONG")


# Commands with one key, in an order in which each finds what it needs.
CONVERSATION = """
SET s hello|GET s|APPEND s -world|STRLEN s|GETRANGE s 0 4|SETRANGE s 0 J|GETSET s x|GETDEL s|GET s
SET s 1 EX 100 NX|SET s 1 NX|SET s 2 XX GET|INCR s|INCRBY s 5|DECR s|DECRBY s 2|INCRBYFLOAT s 0.5|TTL s|PERSIST s
SETEX s 100 v|SETNX s v|PSETEX s 100000 v|GETEX s PERSIST|EXPIRE s 100 GT|TYPE s|DUMP nosuch|OBJECT ENCODING s
SETBIT b 7 1|GETBIT b 7|BITCOUNT b|BITPOS b 1|BITFIELD b SET u8 0 255 GET u4 0|BITFIELD_RO b GET u8 0
LPUSH l a b c|RPUSH l d|LRANGE l 0 -1|LINDEX l 1|LINSERT l BEFORE a z|LLEN l|LPOP l|RPOP l 2|LREM l 0 z|LSET l 0 q
LTRIM l 0 0|LPOS l q|LPUSHX l y|LPOP nosuch|LPOP nosuch 2|LMPOP 1 l LEFT|LRANGE nosuch 0 -1
SADD t a b c|SREM t c|SCARD t|SISMEMBER t a|SMISMEMBER t a x|SPOP nosuch|SRANDMEMBER nosuch 2|SADD u only|SMEMBERS u
HSET h f 1 g 2|HGET h f|HGET h nosuch|HMGET h f nosuch g|HDEL h g|HLEN h|HEXISTS h f|HINCRBY h f 3|HINCRBYFLOAT h f .5
HSETNX h f 1|HKEYS h|HVALS h|HGETALL h|HSTRLEN h f|HRANDFIELD h 1 WITHVALUES|HRANDFIELD nosuch|HGETALL nosuch|HSCAN h 0
ZADD z 1 a 2 b 3.5 c|ZADD z XX CH 5 a|ZSCORE z a|ZSCORE z nosuch|ZMSCORE z a nosuch|ZRANGE z 0 -1 WITHSCORES|ZRANK z b
ZREVRANGE z 0 0 WITHSCORES|ZINCRBY z 1.5 b|ZCARD z|ZCOUNT z -inf +inf|ZRANGEBYSCORE z 1 9 LIMIT 0 1|ZPOPMIN z|ZPOPMAX z 2
ZADD z INCR 1 a|ZRANDMEMBER nosuch|ZLEXCOUNT z - +|ZRANGE z (1 +inf BYSCORE|ZRANK z nosuch|ZMPOP 1 z MIN|ZSCAN nosuch 0
GEOADD g 13.361389 38.115556 p 15.087269 37.502669 q|GEODIST g p q km|GEOHASH g p|GEOPOS g p nosuch|GEOSEARCH g FROMMEMBER p BYRADIUS 200 km ASC WITHDIST
PFADD p a b c|PFCOUNT p|XADD x 1-1 f v|XADD x 2-1 f w|XLEN x|XRANGE x - +|XREVRANGE x + - COUNT 1|XREAD COUNT 1 STREAMS x 0
XGROUP CREATE x grp 0|XREADGROUP GROUP grp me COUNT 1 STREAMS x >|XPENDING x grp|XACK x grp 1-1|XINFO STREAM x|XDEL x 1-1|XTRIM x MAXLEN 0
XREAD STREAMS x 9|EVAL "return {KEYS[1],ARGV[1],1,false,{ok='fine'},{err='bad'}}" 1 s arg|EVAL "return redis.call('get',KEYS[1])" 1 s
SORT l|SORT_RO l|EXISTS s|DEL s|TYPE s|RENAME nosuch nosuch|COPY nosuch nosuch|EXPIRETIME nosuch|TTL nosuch|UNLINK l|TOUCH h
""".strip()


class SameAsRedis(Case):
    """The same conversation with Sheaf and with a server alone; each reply equal to the byte."""

    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def converse(self, proto, database):
        with self.sheaf.connect() as here, self.plain.connect() as there:
            for session in (here, there):
                session.ask("HELLO", proto)
                session.ask("SELECT", database)
            for line in CONVERSATION.splitlines():
                for command in line.split("|"):
                    command = (command + "\r\n").encode()
                    here.send(command)
                    there.send(command)
                    self.assertEqual(here.reply_bytes(), there.reply_bytes(), command)

    def test_commands_with_one_key_are_answered_alike_in_resp2(self):
        self.converse(2, 2)

    def test_commands_with_one_key_are_answered_alike_in_resp3(self):
        self.converse(3, 3)


class Databases(Case):
    """Each shard's URL names a database of its own, from which the pool's are counted."""

    HOMES = (0, 3, 5)

    def setUp(self):
        self.redis = [RedisServer(self) for _ in self.HOMES]
        self.keys = [keys[0] for keys in keys_on_shards(3, prefix="db")]

    def serve(self, **options):
        urls = [f"{redis.url}/{home}" for redis, home in zip(self.redis, self.HOMES)]
        self.sheaf = Sheaf(self, pool(urls, databases=8, user=["default nopass admin"], **options))
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)

    def test_copy_and_move_mean_the_pools_databases(self):
        self.serve()
        ask = self.session.ask
        for key, redis, home in zip(self.keys, self.redis, self.HOMES):
            other = f"{{{key}}}x"
            ask("SET", key, "v")
            self.assertEqual(ask("COPY", key, other, "DB", 2), 1)
            self.assertEqual(self.session.ask_all(("MULTI",), ("COPY", key, other, "DB", "1", "REPLACE"), ("MOVE", key, 4),
                                                  ("EXEC",))[-1], [1, 1])
            self.assertEqual(ask("EXISTS", key), 0)
            for database, there in ((1, other), (2, other), (4, key)):
                ask("SELECT", database)
                self.assertEqual(ask("GET", there), b"v", database)
                with redis.connect() as direct:
                    direct.ask("SELECT", home + database)
                    self.assertEqual(direct.ask("GET", there), b"v")
            self.assertEqual(ask("MOVE", key, 0), 1)
            ask("SELECT", 0)
            for words in (("MOVE", key, 8), ("COPY", key, other, "DB", 9), ("MOVE", key, -1), ("COPY", key, other, "DB", "-1")):
                self.assertEqual(ask(*words), "ERR DB index is out of range", words)
            self.assertEqual(ask("MOVE", key, "x"), "ERR value is not an integer or out of range")
            self.assertEqual(ask("MOVE", key, 0), "ERR source and destination objects are the same")

    def test_swapdb_means_the_pools_databases(self):
        self.serve(stamp="no")
        ask = self.session.ask
        for key in self.keys:
            ask("SET", key, "zero")
        self.assertEqual(ask("SWAPDB", 0, 2), "OK")
        self.assertEqual(ask("SWAPDB", 0, 8), "ERR DB index is out of range")
        self.assertEqual(ask("SWAPDB", "x", 1), "ERR invalid first DB index")
        self.assertEqual(ask("DBSIZE"), 0)
        ask("SELECT", 2)
        self.assertEqual(ask("MGET", *self.keys), [b"zero"] * 3)

    def test_swapdb_does_not_take_the_stamp_away(self):
        self.serve()
        self.assertIn("stamp", self.session.ask("SWAPDB", 0, 2))
        self.assertEqual(self.session.ask("SWAPDB", 1, 2), "OK")
        self.assertEqual(self.session.ask("DBSIZE"), 0)


class WithoutRing(Case):
    """Where the kernel has no io_uring, or a container forbids it: each socket takes its own calls."""

    def test_small_and_large_values_many_sessions_and_pipelines_are_the_same(self):
        redis = [RedisServer(self) for _ in range(2)]
        sheaf = Sheaf(self, pool(redis), proxy={"io_uring": "no", "workers": 1})
        self.assertNotIn("io_uring", sheaf.log, "the kernel is not asked for it")
        keys = [keys[0] for keys in keys_on_shards(2)]
        sessions = [sheaf.connect() for _ in range(20)]
        for session in sessions:
            self.addCleanup(session.close)
        for size in (0, 1, 4096, 65536, (1 << 20) + 3):
            value = bytes([size % 251]) * size
            self.assertEqual(sessions[0].ask("MSET", keys[0], value, keys[1], size), "OK")
            for _ in range(2):  # the second time, this session is known for asking for large values
                self.assertTrue(sessions[0].ask("MGET", *keys) == [value, b"%d" % size], size)
                self.assertTrue(sessions[0].ask("GET", keys[0]) == value, size)
        for number, session in enumerate(sessions):  # all are asked before one is read
            session.send(b"".join(encode("SET", f"{number}:{n}", f"{number}={n}") + encode("GET", f"{number}:{n}")
                                  for n in range(200)))
        for number, session in enumerate(sessions):
            for n in range(200):
                self.assertEqual(session.reply(), "OK")
                self.assertEqual(session.reply(), b"%d=%d" % (number, n))


def time_slice_ns(thread):
    """As sched_getattr(2) tells it."""
    attributes = ctypes.create_string_buffer(56)
    if LIBC.syscall(SYS_SCHED_GETATTR, thread, attributes, len(attributes), 0) != 0:
        raise OSError(ctypes.get_errno(), "sched_getattr")
    return int.from_bytes(attributes.raw[24:32], sys.byteorder)


class TimeSlice(Case):
    def setUp(self):
        super().setUp()
        self.own = time_slice_ns(os.getpid())
        if self.own == 0:
            self.skipTest("the kernel knows no time slices of threads: they came with Linux 6.12")
        self.redis = RedisServer(self)

    def expect(self, sheaf, *slices_ns):
        """Of its workers, when they have begun, or have heard of a reload."""
        wait_until(lambda: self.of_workers(sheaf) == list(slices_ns), what=f"time slices of {slices_ns} ns")

    def of_workers(self, sheaf):
        threads = pathlib.Path(f"/proc/{sheaf.process.pid}/task").iterdir()
        return [time_slice_ns(int(thread.name)) for thread in threads
                if (thread / "comm").read_text().startswith("worker")]

    def test_workers_have_a_longer_one_than_others(self):
        sheaf = Sheaf(self, pool([self.redis]))
        self.expect(sheaf, 5_000_000, 5_000_000)
        self.assertEqual(time_slice_ns(sheaf.process.pid), self.own, "the main thread has nothing to gain")

    def test_a_reload_changes_it_and_zero_gives_it_back(self):
        sheaf = Sheaf(self, pool([self.redis]), proxy={"time_slice": "20ms", "workers": 1})
        self.expect(sheaf, 20_000_000)
        sheaf.reload(pool([self.redis]), proxy={"time_slice": "0", "workers": 1})
        self.expect(sheaf, self.own)


class Limits(Case):
    def test_a_request_beyond_its_limit_is_refused_and_others_live(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], max_request="64kb"))
        with sheaf.connect() as other, sheaf.connect() as session:
            session.send(encode("SET", "a", b"x" * 100_000))
            self.assertIsInstance(session.reply(), Failure)
            self.assertEqual(other.ask("SET", "a", b"x" * 30_000), "OK")
            self.assertEqual(other.ask("STRLEN", "a"), 30_000)

    def test_sessions_beyond_their_number_are_refused_in_the_words_of_redis(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], max_sessions=5), proxy={"workers": 1})
        sessions = [sheaf.connect() for _ in range(5)]
        for session in sessions:
            self.addCleanup(session.close)
            self.assertEqual(session.ask("PING"), "PONG")
        with sheaf.connect() as late:
            self.assertEqual(late.reply(), "ERR max number of clients reached")
            self.assertTrue(late.at_end())
        sessions[0].close()
        wait_until(lambda: sheaf.ask("PING") == "PONG")

    def test_a_session_that_is_idle_too_long_is_closed(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], idle_timeout="200ms"))
        with sheaf.connect() as session:
            self.assertEqual(session.ask("PING"), "PONG")
            self.assertTrue(session.at_end())

    def test_a_pipeline_deeper_than_its_limit_still_gets_all_its_replies(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], max_pipeline=8))
        with sheaf.connect() as session:
            replies = session.ask_all(*(("ECHO", n) if n % 3 else ("SET", "k", n) for n in range(2000)))
            self.assertEqual(replies, [b"%d" % n if n % 3 else "OK" for n in range(2000)])


if __name__ == "__main__":
    main()
