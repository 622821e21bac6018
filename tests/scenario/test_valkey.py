#!/usr/bin/python3
# release only: other servers, the same Sheaf
"""Pools of Valkey 8, which Debian 12 does not have: servers/valkey.sh fetches Debian 13's into build/valkey.

SHEAF_LONG=1 fetches it if it is not there, and runs the files of Redis pools over it, too; else its tests are skipped."""
import os
import re
import sys
import unittest

from lib import *
from lib.process import run
from lib.sheaf import BINARY

LONG = os.environ.get("SHEAF_LONG") == "1"
SERVER = REPOSITORY / "build/valkey/valkey-server"

# Where Valkey has other words, or counts other things, than the Redis whose words Sheaf has.
OTHER_WORDS = {
    "test_basic": {"test_errors_of_the_sessions_and_the_servers_own_commands_have_the_words_of_redis"},
    "test_scan": {"test_cursors_that_no_scan_gave_are_errors_or_answered_and_never_more"},
    "test_transactions": {"test_each_reply_is_that_of_redis_in_resp2", "test_each_reply_is_that_of_redis_in_resp3",
                          "test_the_scripts_of_one_client_in_one_write_are_answered_alike"},
    "test_blocking": {"test_timeouts_and_errors_are_those_of_redis", "test_wrong_words_are_told_as_redis_tells_them"},
    "test_scripts": {"test_what_nobody_ever_loaded_is_noscript"},
    "test_users": {"test_before_login_all_answers_are_those_of_redis", "test_allow_and_deny_are_as_in_redis",
                   "test_prefixes_bound_every_kind_of_command_as_in_redis", "test_prefixes_bound_channels_and_patterns_as_in_redis"},
    "test_health": {"test_all_is_well_from_the_start"},
    "test_multikey": set(), "test_pubsub": set(), "test_modules": set(), "test_stamp": set(), "test_classes": set(),
    "test_faults": set(), "test_limits": set(), "test_large_values": set(), "test_reload": set(), "test_absent": set(), "test_wait": set(),
    "test_hostile": set(), "test_mixed": set(), "test_tls": set(),
}


def server_or_skip():
    why = "run tests/scenario/servers/valkey.sh build/valkey"
    if LONG and not SERVER.exists():
        why = run([REPOSITORY / "tests/scenario/servers/valkey.sh", SERVER.parent], "", 300)[1].strip()
    if not SERVER.exists():
        raise unittest.SkipTest(f"Valkey 8 is not here: {why}")


class Pool(Case):
    @classmethod
    def setUpClass(cls):
        server_or_skip()
        cls.valkey = [RedisServer(cls, binary=SERVER) for _ in range(2)]
        cls.plain = RedisServer(cls, binary=SERVER)
        cls.sheaf = Sheaf(cls, pool(cls.valkey))
        cls.keys = [each[0] for each in keys_on_shards(2)]

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)

    def ask(self, *words):
        return self.session.ask(*words)

    def test_what_is_new_in_it_is_answered_as_by_itself(self):
        for proto in (2, 3):
            twin = Twin(self, self.sheaf, self.plain, proto)
            for line in ("CLIENT CAPA redirect|SET {v}a 1|SET {v}a 2 IFEQ 1|SET {v}a 3 IFEQ 1|GET {v}a|SET {v}a 4 IFEQ 2 GET|GET {v}a"
                         "|SET {v}new x IFEQ y|SCRIPT SHOW x|SCRIPT SHOW|SCRIPT LOAD return{7}"
                         "|SCRIPT SHOW d3c1e8dbb9d4a4ee9e4d7e4c3c3a1f5ba4a9ac2f|COMMANDLOG LEN slow|COMMANDLOG LEN large-reply"
                         "|COMMANDLOG GET 0 large-request|COMMANDLOG RESET slow|COMMANDLOG LEN no|COMMANDLOG HELP|XADD {v}s 1-1 a b"
                         "|XPENDING {v}s g|GEOADD {v}g 13.36 38.11 p|GEOSEARCH {v}g FROMMEMBER p BYRADIUS 1 km|OBJECT ENCODING {v}a"
                         "|HSET {v}h f 1|HRANDFIELD {v}h|ZADD {v}z 1 m|ZRANK {v}z m WITHSCORE|DEL {v}a {v}s {v}g {v}h {v}z").split("|"):
                twin.ask(*line.split(" "))

    def test_a_script_is_shown_wherever_it_ran(self):
        for n, key in enumerate(self.keys):
            body = f"return {n}"
            self.assertEqual(self.ask("EVAL", body, "1", key), n)
            sha = self.ask("SCRIPT", "LOAD", body)
            self.valkey[1 - n].ask("SCRIPT", "FLUSH")
            self.assertEqual(self.ask("SCRIPT", "SHOW", sha), body.encode())
        self.assertIn("NOSCRIPT", self.ask("SCRIPT", "SHOW", "0" * 40))

    def test_what_cannot_work_through_a_pool_is_refused_and_the_session_lives(self):
        for words in (["CLIENT", "IMPORT-SOURCE", "ON"], ["CLUSTER", "SLOT-STATS", "SLOTSRANGE", "0", "1"]):
            self.assertIn("can't work through a pool of shards", self.ask(*words))
        self.assertEqual(self.ask("PING"), "PONG")

    def test_all_of_its_commands_are_known_and_told_as_it_tells_them(self):
        with self.plain.connect() as plain:
            names = sorted(plain.ask("COMMAND", "LIST"))
            self.assertGreater(len(names), 240)
            self.assertEqual(sorted(self.ask("COMMAND", "LIST")), names)
            self.assertEqual(self.ask("COMMAND", "COUNT"), plain.ask("COMMAND", "COUNT"))
            asked = [name.decode() for name in names]
            theirs = plain.ask("COMMAND", "INFO", *asked)
            self.assertEqual([row[:6] for row in self.ask("COMMAND", "INFO", *asked)], [row[:6] for row in theirs])
        containers = {name.split("|")[0] for name in asked if "|" in name}
        for name in asked:
            if name not in containers | {"quit", "reset", "subscribe", "psubscribe", "ssubscribe"}:
                self.assertNotRegex(str(self.ask(*name.split("|"), *["x"] * 9)), "ERR unknown command", name)

    def test_it_is_told_what_it_is(self):
        self.assertIn(b"server_name:valkey", self.ask("INFO", "server"))
        def probe():
            return self.sheaf.status()["pools"][0]["shards"][0]["health"]["probe"]
        self.assertEqual(wait_until(probe, what="a probe")["flavor"], "valkey")
        self.assertEqual(self.ask("HELLO", "3")["proto"], 3)

    def test_scan_finds_each_key_once(self):
        names = {f"scan:{n}".encode() for n in range(500)}
        self.ask("MSET", *[word for name in names for word in (name, "x")])
        found, cursor = [], b"0"
        while True:
            cursor, page = self.ask("SCAN", cursor, "MATCH", "scan:*", "COUNT", "37", "TYPE", "string")
            found += page
            if cursor == b"0":
                break
        self.assertEqual(sorted(found), sorted(names))
        self.assertEqual(len(self.ask("KEYS", "scan:*")), 500)
        self.assertEqual(self.ask("UNLINK", *names), 500)

    def test_transactions_blocking_messages_and_functions_work(self):
        key = self.keys[1]
        self.assertEqual([self.ask(*words.split()) for words in ("MULTI", f"SET {key} 1", f"INCR {key}", "EXEC")],
                         ["OK", "QUEUED", "QUEUED", [Status("OK"), 2]])
        library = "#!lua name=lib\nserver.register_function{function_name='put', callback=function(keys, args) " \
                  "return server.call('SET', keys[1], args[1]) end}"
        self.assertEqual(self.ask("FUNCTION", "LOAD", library), b"lib")
        for each in self.keys:
            self.assertEqual(self.ask("FCALL", "put", "1", each, "by function"), "OK")
        self.assertEqual(self.ask("MGET", *self.keys), [b"by function"] * 2)
        with self.sheaf.connect() as other:
            other.ask("HELLO", "3")
            other.send(encode("BLPOP", "{b}list", "10"))
            wait_until(lambda: b"blocked_clients:1" in b"".join(v.ask("INFO", "clients") for v in self.valkey), what="BLPOP to wait")
            self.assertEqual(self.ask("RPUSH", "{b}list", "x"), 1)
            self.assertEqual(other.reply(), [b"{b}list", b"x"])
            self.assertEqual(other.ask("SUBSCRIBE", "news")[:2], [b"subscribe", b"news"])
            self.assertEqual(self.ask("PUBLISH", "news", "hello"), 1)
            self.assertEqual(other.reply(), [b"message", b"news", b"hello"])
        self.ask("DEL", *self.keys)


@unittest.skipUnless(LONG and SLOW == 1, "longer: SHEAF_LONG=1, in the release build")
class Files(Case):
    """The scenario files of Redis pools, with Valkey in Redis's place."""

    def test_what_holds_of_redis_holds_of_it(self):
        server_or_skip()
        for name, excused in OTHER_WORDS.items():
            with self.subTest(name):
                _, out, _ = run([sys.executable, REPOSITORY / f"tests/scenario/{name}.py"], "", 300,
                                {"SHEAF_REDIS_SERVER": str(SERVER), "SHEAF_BINARY": str(BINARY), "SHEAF_LONG": "0"})
                self.assertRegex(out, r"(?m)^\d+ passed, \d+ failed")
                failed = {line.split(".", 2)[-1].split(" ")[0] for line in re.findall(r"^FAILED +[\d.]+ s  (\S+)", out, re.M)}
                self.assertEqual(failed - excused, set(), out[-3000:])


if __name__ == "__main__":
    main()
