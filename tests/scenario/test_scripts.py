#!/usr/bin/python3
# not under tsan: one session's own affairs
"""EVAL, EVALSHA, SCRIPT, FCALL, FUNCTION: on the shard of their keys, and never lost by a restart."""
import hashlib

from lib import *


def sha1(body):
    return hashlib.sha1(body.encode()).hexdigest()


SET = "return redis.call('SET', KEYS[1], ARGV[1])"
GET = "return redis.call('GET', KEYS[1])"
LIBRARY = """#!lua name=mylib
redis.register_function('put', function(keys, args) return redis.call('SET', keys[1], args[1]) end)
redis.register_function{function_name='get', callback=function(keys) return redis.call('GET', keys[1]) end,
                        flags={'no-writes'}}
"""
CROSSSLOT = "CROSSSLOT Keys in request don't hash to the same slot"


class Scripts(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.plain = RedisServer(cls)
        cls.sheaf = Sheaf(cls, pool(cls.redis))
        cls.keys = [k[0] for k in keys_on_shards(3, prefix="script")]

    def setUp(self):
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)
        self.session.ask("FLUSHALL")
        self.session.ask("SCRIPT", "FLUSH")

    def ask(self, *words):
        return self.session.ask(*words)

    def test_a_script_runs_on_the_shard_of_its_keys(self):
        for shard, key in enumerate(self.keys):
            self.assertEqual(self.ask("EVAL", SET, "1", key, "v"), "OK")
            self.assertEqual(self.redis[shard].ask("GET", key), b"v")
            self.assertEqual(self.ask("EVAL_RO", GET, "1", key), b"v")

    def test_keys_of_two_shards_are_refused(self):
        for words in (("EVAL", "return 1"), ("EVALSHA", sha1("return 1")), ("EVAL_RO", "return 1"), ("FCALL", "put"),
                      ("FCALL_RO", "get"), ("EVALSHA_RO", sha1("return 1"))):
            self.assertEqual(self.ask(*words, "2", *self.keys[:2]), CROSSSLOT)

    def test_without_keys_a_script_runs_somewhere(self):
        self.assertEqual(self.ask("EVAL", "return ARGV[1]", "0", "x"), b"x")
        self.assertEqual(self.ask("EVALSHA", sha1("return ARGV[1]"), "0", "y"), b"y")

    def test_replies_and_errors_are_those_of_redis(self):
        for proto in (2, 3):
            twin = Twin(self, self.sheaf, self.plain, proto)
            twin.ask("FLUSHALL")
            twin.ask("SCRIPT", "FLUSH")
            for words in (
                    ("EVAL",), ("EVAL", "return 1"), ("EVAL", "return 1", "x"), ("EVAL", "return 1", "-1"),
                    ("EVAL", "return 1", "2", "a"), ("EVAL", "this is no lua", "0"), ("EVAL", "", "0"),
                    ("EVAL", "return redis.call('NOSUCH')", "1", "{s}a"), ("EVAL", "return redis.error_reply('X y')", "0"),
                    ("EVAL", "return redis.status_reply('fine')", "0"), ("EVAL", "return {1,{2,'x'},false,3.9}", "0"),
                    ("EVAL", "redis.setresp(3); return {map={a=1},double=1.5}", "0"),
                    ("EVAL", "return redis.call('LPUSH', KEYS[1], 1, 2)", "1", "{s}l"),
                    ("EVAL", "return redis.call('GET', KEYS[1])", "1", "{s}l"), ("EVAL_RO", SET, "1", "{s}a", "v"),
                    ("EVAL", SET, "1", "{s}a", "v"), ("EVALSHA", sha1(SET), "1", "{s}a", "w"), ("GET", "{s}a"),
                    ("EVALSHA", sha1(SET).upper(), "1", "{s}a", "w"), ("EVALSHA", "f" * 40, "0"), ("EVALSHA", "short", "0"),
                    ("EVALSHA",), ("EVALSHA", sha1(SET)), ("EVALSHA_RO", sha1(GET), "1", "{s}a"),
                    ("EVAL", GET, "1", "{s}a"), ("EVALSHA_RO", sha1(GET), "1", "{s}a"),
                    ("SCRIPT",), ("SCRIPT", "NOSUCH"), ("SCRIPT", "LOAD"), ("SCRIPT", "LOAD", "no lua here"),
                    ("SCRIPT", "LOAD", "return 7"), ("SCRIPT", "EXISTS"), ("SCRIPT", "EXISTS", sha1("return 7"), "x", "f" * 40),
                    ("SCRIPT", "FLUSH", "NOSUCH"), ("SCRIPT", "FLUSH", "SYNC"), ("SCRIPT", "EXISTS", sha1("return 7")),
                    ("EVALSHA", sha1("return 7"), "0"), ("FCALL", "nosuch", "0"), ("FCALL", "nosuch"), ("SCRIPT", "KILL"),
                    ("FUNCTION", "LOAD", "no library"), ("FUNCTION", "DELETE", "nosuch"), ("FUNCTION", "LOAD", LIBRARY),
                    ("FUNCTION", "LOAD", LIBRARY), ("FUNCTION", "LOAD", "REPLACE", LIBRARY), ("FCALL", "put", "1", "{s}a", "f"),
                    ("FCALL_RO", "get", "1", "{s}a"), ("FCALL_RO", "put", "1", "{s}a", "x"), ("FUNCTION", "LIST", "LIBRARYNAME", "x"),
                    ("FUNCTION", "DELETE", "mylib"), ("FCALL", "get", "1", "{s}a"), ("FUNCTION", "FLUSH"), ("FUNCTION", "LIST")):
                twin.ask(*words)

    def test_script_load_reaches_all_shards_and_exists_and_flush_too(self):
        self.assertEqual(self.ask("SCRIPT", "LOAD", GET), sha1(GET).encode())
        for redis in self.redis:
            self.assertEqual(redis.ask("SCRIPT", "EXISTS", sha1(GET)), [1])
        self.assertEqual(self.ask("SCRIPT", "EXISTS", sha1(GET), sha1(SET)), [1, 0])
        self.assertEqual(self.ask("SCRIPT", "FLUSH"), "OK")
        self.assertEqual([r.ask("SCRIPT", "EXISTS", sha1(GET)) for r in self.redis], [[0]] * 3)
        self.assertEqual(self.ask("SCRIPT", "EXISTS", sha1(GET)), [0])
        self.assertEqual(self.ask("EVALSHA", sha1(GET), "1", "a").code, "NOSCRIPT")

    def test_a_script_that_one_shard_knows_runs_on_all(self):
        """EVAL goes to one shard only; clients that saw it succeed say EVALSHA from then on."""
        self.ask("EVAL", SET, "1", self.keys[0], "v")
        for key in self.keys:
            self.assertEqual(self.ask("EVALSHA", sha1(SET), "1", key, "by sha"), "OK")
            self.assertEqual(self.ask("GET", key), b"by sha")

    def test_another_session_on_another_worker_knows_it_as_well(self):
        self.ask("EVAL", SET, "1", self.keys[0], "v")
        for number in range(20):
            with self.sheaf.connect() as other:
                self.assertEqual(other.ask("EVALSHA", sha1(SET), "1", self.keys[number % 3], number), "OK")

    def test_pipelined_scripts_are_healed_in_their_order(self):
        self.ask("SCRIPT", "LOAD", "return redis.call('INCR', KEYS[1])")
        sha = sha1("return redis.call('INCR', KEYS[1])")
        for redis in self.redis:
            redis.ask("SCRIPT", "FLUSH")
        self.incremented(sha)

    def incremented(self, sha):
        """In a pipeline, each GET sees what the script before it did."""
        self.ask("SET", self.keys[1], "0")
        replies = self.session.ask_all(*(c for _ in range(100) for c in (
            ("EVALSHA", sha, "1", self.keys[1]), ("GET", self.keys[1]), ("PING",))))
        self.assertEqual(replies[::3], list(range(1, 101)))
        self.assertEqual(replies[1::3], [b"%d" % n for n in range(1, 101)])

    def test_so_are_scripts_that_ran_before_and_were_flushed_past_sheaf(self):
        for body in ("return redis.call('INCR', KEYS[1])", f"return redis.call('INCR', KEYS[1]) --{'x' * 5000}"):
            self.ask("SCRIPT", "LOAD", body)
            for _ in range(2):
                self.incremented(sha1(body))
                self.redis[1].ask("SCRIPT", "FLUSH")

    def test_large_scripts_and_arguments(self):
        body = f"return #ARGV[1] --{'x' * 500_000}"
        self.assertEqual(self.ask("EVAL", body, "1", self.keys[0], "y" * 1_000_000), 1_000_000)
        self.assertEqual(self.ask("EVALSHA", sha1(body), "1", self.keys[1], "y" * 300_000), 300_000)

    def test_a_script_in_a_transaction(self):
        for redis in self.redis:
            redis.ask("SCRIPT", "FLUSH")
        self.ask("EVAL", SET, "1", self.keys[0], "v")
        key = self.keys[1]  # whose shard does not know the script yet
        self.assertEqual(self.session.ask_all(("MULTI",), ("EVALSHA", sha1(SET), "1", key, "m"), ("GET", key), ("EXEC",)),
                         ["OK", "QUEUED", "QUEUED", ["OK", b"m"]])

    # --- functions

    def test_libraries_are_loaded_listed_and_deleted_everywhere(self):
        self.ask("FUNCTION", "FLUSH")
        self.assertEqual(self.ask("FUNCTION", "LOAD", LIBRARY), b"mylib")
        for redis in self.redis:
            self.assertEqual(redis.ask("FUNCTION", "LIST")[0][1], b"mylib")
        listed = self.ask("FUNCTION", "LIST")
        self.assertEqual(len(listed), 1)
        for key in self.keys:
            self.assertEqual(self.ask("FCALL", "put", "1", key, "f"), "OK")
            self.assertEqual(self.ask("FCALL_RO", "get", "1", key), b"f")
        self.ask("HELLO", "3")
        self.assertEqual(self.ask("FUNCTION", "LIST")[0]["library_name"], b"mylib")
        dump = self.ask("FUNCTION", "DUMP")
        self.assertEqual(self.ask("FUNCTION", "DELETE", "mylib"), "OK")
        self.assertEqual([r.ask("FUNCTION", "LIST") for r in self.redis], [[]] * 3)
        self.assertEqual(self.ask("FUNCTION", "RESTORE", dump), "OK")
        self.assertEqual([len(r.ask("FUNCTION", "LIST")) for r in self.redis], [1] * 3)
        self.assertEqual(self.ask("FUNCTION", "FLUSH"), "OK")
        self.assertEqual([r.ask("FUNCTION", "LIST") for r in self.redis], [[]] * 3)
        self.assertNotIsInstance(self.ask("FUNCTION", "STATS"), Failure)


class Restarted(Case):
    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.pool = pool(self.redis, script_cache="64kb")
        self.sheaf = Sheaf(self, self.pool)
        self.keys = [k[0] for k in keys_on_shards(2, prefix="again")]
        self.session = self.sheaf.connect()
        self.addCleanup(self.session.close)

    def restart(self):
        for redis in self.redis:
            redis.restart()
        wait_until(lambda: [self.session.ask("SET", k, "0") for k in self.keys] == ["OK", "OK"])

    def test_scripts_that_a_server_lost_by_a_restart_run_on(self):
        for words in (("SCRIPT", "LOAD", GET), ("EVAL", SET, "1", self.keys[0], "v")):
            self.session.ask(*words)
        self.restart()
        for key in self.keys:
            self.assertEqual(self.session.ask("EVALSHA", sha1(SET), "1", key, "after"), "OK")
            self.assertEqual(self.session.ask("EVALSHA_RO", sha1(GET), "1", key), b"after")
        for number in range(3):
            self.restart()
            replies = self.session.ask_all(*(c for key in self.keys for c in (
                ("EVALSHA", sha1(SET), "1", key, number), ("GET", key), ("EVALSHA", sha1(GET), "1", key))))
            self.assertEqual(replies, ["OK", b"%d" % number, b"%d" % number] * 2)

    def test_they_run_on_after_a_reload_too(self):
        self.session.ask("EVAL", SET, "1", self.keys[0], "v")
        self.sheaf.reload(self.pool, pool(self.redis[:1], name="another"))
        wait_until(lambda: len(self.sheaf.status()["pools"]) == 2)
        self.restart()
        self.assertEqual(self.session.ask("EVALSHA", sha1(SET), "1", self.keys[1], "after"), "OK")

    def test_what_nobody_ever_loaded_is_noscript(self):
        reply = self.session.ask("EVALSHA", sha1("return 'unheard of'"), "1", self.keys[0])
        self.assertEqual(reply, "NOSCRIPT No matching script. Please use EVAL.")

    def test_the_memory_for_scripts_is_bounded_and_the_last_used_are_kept(self):
        self.session.ask("EVAL", SET, "1", self.keys[0], "v")
        for number in range(200):
            self.session.ask("EVAL", f"return {number} --{'x' * 1000}", "1", self.keys[0])
            self.session.ask("EVALSHA", sha1(SET), "1", self.keys[0], "v")
        self.restart()
        answers = [self.session.ask("EVALSHA", sha1(f"return {n} --{'x' * 1000}"), "1", self.keys[0]) for n in range(200)]
        kept = [n for n, answer in enumerate(answers) if answer == n]
        self.assertEqual(kept, list(range(kept[0], 200)), "the oldest must go first")
        self.assertGreater(len(kept), 20)
        self.assertLess(len(kept), 64)
        self.assertEqual({a.code for a in answers[:kept[0]]}, {"NOSCRIPT"})

    def test_a_dead_shard_is_told_and_not_run_elsewhere(self):
        self.redis[1].kill9()
        self.assertIn(self.redis[1].address, self.session.ask("EVAL", SET, "1", self.keys[1], "v"))
        self.assertIn(self.redis[1].address, self.session.ask("SCRIPT", "LOAD", SET))
        self.assertEqual(self.session.ask("EVAL", SET, "1", self.keys[0], "v"), "OK")
        self.redis[1].restart()
        wait_until(lambda: self.session.ask("SET", self.keys[1], "0") == "OK")
        self.assertEqual(self.session.ask("EVALSHA", sha1(SET), "1", self.keys[1], "healed"), "OK")

    def test_a_script_that_runs_too_long_is_no_death_of_its_server(self):
        redis = RedisServer(self, {"busy-reply-threshold": "50"})
        sheaf = Sheaf(self, pool([redis], timeout="10s", probe="no"))
        with redis.connect() as runner, sheaf.connect() as session:
            session.ask("SET", "a", "1")
            runner.send(encode("EVAL", "while true do end", "0"))
            wait_until(lambda: isinstance(redis.ask("GET", "a"), Failure))
            self.assertEqual(session.ask("GET", "a").code, "BUSY")
            wait_until(lambda: not isinstance(session.ask("SCRIPT", "KILL"), Failure))
            self.assertIsInstance(runner.reply(), Failure)
            wait_until(lambda: session.ask("GET", "a") == b"1")


if __name__ == "__main__":
    main()
