#!/usr/bin/python3
# release only: other programs take the time, one session each
"""The clients that people use, as they come from their packages, with their default settings."""
import json
import os
import unittest

import redis

from lib import *
from lib.process import run

CLIENTS = REPOSITORY / "tests/scenario/clients"
NODE_MODULES = REPOSITORY / "build/npm/node_modules"


class Clients(Case):
    @classmethod
    def setUpClass(cls):
        cls.redis = [RedisServer(cls) for _ in range(3)]
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def run_client(self, *command, stdin=""):
        code, out, err = run(command, stdin, seconds=60, env={"NODE_PATH": str(NODE_MODULES)})
        self.assertEqual(code, 0, f"{command}\n{out}\n{err}")
        return out

    # --- hiredis

    def test_hiredis(self):
        self.run_client(os.environ.get("SHEAF_HIREDIS", REPOSITORY / "build/release/client_hiredis"),
                        self.sheaf.port)

    # --- Node.js

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_ioredis(self):
        self.run_client("node", CLIENTS / "ioredis.js", self.sheaf.port)

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_node_redis_with_resp2(self):
        self.run_client("node", CLIENTS / "node_redis.js", self.sheaf.port, "2")

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_node_redis_with_resp3(self):
        self.run_client("node", CLIENTS / "node_redis.js", self.sheaf.port, "3")

    # --- the admin endpoint's page

    @unittest.skipUnless(NODE_MODULES.exists(), "tests/run installs the packages")
    def test_the_page_draws_what_is_there_and_says_what_is_wrong(self):
        shards = [RedisServer(self) for _ in range(2)]
        sheaf = Sheaf(self, pool(shards, name="carts", probe_interval="50ms"), proxy={"slow_time": "0ms"})
        with sheaf.connect() as session:
            for n in range(50):
                session.ask("SET", f"<b>{n}", n)
        wait_until(lambda: sheaf.status()["pools"][0]["totals"]["requests"] == 50)

        def draw():
            return json.loads(self.run_client("node", CLIENTS / "page.js", f"http://127.0.0.1:{sheaf.admin_port}/"))
        page = draw()
        self.assertEqual(page["trouble"], "")
        self.assertEqual(page["title"], "Sheaf")
        self.assertIn(f"configuration 1 of {sheaf.file}", page["about"])
        self.assertIn("2 of 2 shards up", page["pools"])
        self.assertIn("<b>", page["slow"])
        self.assertGreater(page["bars"], 0)
        shards[1].kill9()
        wait_until(lambda: not sheaf.status()["pools"][0]["shards"][1]["health"]["up"])
        page = draw()
        self.assertIn(f"pool carts, shard 1 (127.0.0.1:{shards[1].port}) is down since", page["trouble"])
        self.assertEqual(page["title"], "(1) Sheaf")
        self.assertIn("1 of 2 shards up", page["pools"])

    # --- redis-cli

    def cli(self, *words, stdin=""):
        return self.run_client("redis-cli", "-p", self.sheaf.port, *words, stdin=stdin)

    def test_redis_cli(self):
        self.assertEqual(self.cli("SET", "cli:a", "1"), "OK\n")
        self.assertEqual(self.cli("GET", "cli:a"), "1\n")
        self.assertEqual(self.cli("-3", "GET", "cli:a"), "1\n")
        self.assertEqual(self.cli("-n", "1", "GET", "cli:a"), "\n")
        self.assertEqual(self.cli(stdin="SET cli:b 2\nGET cli:b\nMGET cli:a cli:b\nNOSUCH\nPING\n").splitlines()[:4],
                         ["OK", "2", "1", "2"])

    def test_redis_cli_loads_a_file_of_commands_with_pipe(self):
        data = b"".join(encode("SET", f"cli:pipe:{n}", n) for n in range(5000))
        out = self.run_client("redis-cli", "-p", self.sheaf.port, "--pipe", stdin=data)
        self.assertIn("errors: 0, replies: 5000", out)
        self.assertEqual(self.cli("GET", "cli:pipe:4999"), "4999\n")

    def test_redis_cli_scans_over_all_shards(self):
        self.cli(*["MSET"], *(w for n in range(300) for w in (f"cli:scan:{n}", "x")))
        keys = self.cli("--scan", "--pattern", "cli:scan:*").split()
        self.assertEqual(sorted(set(keys)), sorted(f"cli:scan:{n}" for n in range(300)))

    # --- redis-benchmark

    def test_redis_benchmark(self):
        common = ("redis-benchmark", "-p", self.sheaf.port, "-q", "-n", "5000", "-r", "1000")
        every = "ping_inline,ping_mbulk,set,get,incr,lpush,rpush,lpop,rpop,sadd,hset,spop,zadd,zpopmin,lrange_100,mset"
        out = self.run_client(*common, "-t", every)
        self.assertEqual(out.count("requests per second"), out.count("p50="))
        self.assertNotIn("rror", out.replace("WARNING: Could not fetch server CONFIG", ""))
        for options in (("-P", "16"), ("-3",), ("--threads", "2"), ("-k", "0", "-n", "500"), ("-d", "20000")):
            out = self.run_client(*common, *options, "-t", "set,get")
            self.assertEqual(out.count("requests per second"), 2, f"{options}: {out}")


class PythonRedis(Case):
    @classmethod
    def setUpClass(cls):
        cls.servers = [RedisServer(cls) for _ in range(3)]
        cls.sheaf = Sheaf(cls, pool(cls.servers))

    def setUp(self):
        self.redis = redis.Redis(port=self.sheaf.port)
        self.addCleanup(self.redis.close)

    def test_strings(self):
        self.assertTrue(self.redis.set("py:a", "1", ex=100))
        self.assertEqual(self.redis.get("py:a"), b"1")
        self.assertIsNone(self.redis.get("py:none"))
        self.assertTrue(self.redis.mset({f"py:{n}": n for n in range(100)}))
        self.assertEqual(self.redis.mget([f"py:{n}" for n in range(100)]), [b"%d" % n for n in range(100)])
        self.assertEqual(self.redis.delete(*(f"py:{n}" for n in range(100))), 100)

    def test_collections(self):
        self.redis.delete("py:h", "py:z", "py:x")
        self.redis.hset("py:h", mapping={"a": 1, "b": 2})
        self.assertEqual(self.redis.hgetall("py:h"), {b"a": b"1", b"b": b"2"})
        self.redis.zadd("py:z", {"a": 1, "b": 2.5})
        self.assertEqual(self.redis.zrange("py:z", 0, -1, withscores=True), [(b"a", 1.0), (b"b", 2.5)])
        self.redis.xadd("py:x", {"f": "v"}, id="1-1")
        self.assertEqual(self.redis.xrange("py:x"), [(b"1-1", {b"f": b"v"})])

    def test_pipelines_with_and_without_a_transaction(self):
        with self.redis.pipeline(transaction=False) as pipe:
            for n in range(200):
                pipe.set(f"py:p:{n}", n).get(f"py:p:{n}")
            self.assertEqual(pipe.execute(), [x for n in range(200) for x in (True, b"%d" % n)])
        with self.redis.pipeline() as pipe:
            self.assertEqual(pipe.set("{py}a", 1).incr("{py}a").get("{py}a").execute(), [True, 2, b"2"])

    def test_optimistic_locking(self):
        def add(pipe):
            value = int(pipe.get("{py}watched") or 0)
            pipe.multi()
            pipe.set("{py}watched", value + 1)
        self.redis.delete("{py}watched")
        for _ in range(5):
            self.redis.transaction(add, "{py}watched")
        self.assertEqual(self.redis.get("{py}watched"), b"5")

    def test_a_transaction_that_was_overtaken_is_not_done(self):
        with self.redis.pipeline() as pipe:
            pipe.watch("{py}race")
            self.redis.set("{py}race", "theirs")
            pipe.multi()
            pipe.set("{py}race", "mine")
            self.assertRaises(redis.WatchError, pipe.execute)
        self.assertEqual(self.redis.get("{py}race"), b"theirs")

    def test_scripts_and_locks(self):
        twice = self.redis.register_script("return redis.call('get', KEYS[1]) * 2")
        self.redis.set("py:n", 21)
        self.assertEqual(twice(keys=["py:n"]), 42)
        with self.redis.lock("py:lock", timeout=10, blocking_timeout=5):
            self.assertFalse(self.redis.lock("py:lock", timeout=1).acquire(blocking=False))
        self.assertEqual(self.redis.exists("py:lock"), 0)

    def test_subscriptions(self):
        with self.redis.pubsub() as channel:
            channel.subscribe("py:channel")
            channel.psubscribe("py:pattern:*")
            for _ in range(2):
                channel.get_message(timeout=5)
            self.redis.publish("py:channel", "hello")
            message = wait_until(lambda: channel.get_message(timeout=1))
            self.assertEqual((message["type"], message["data"]), ("message", b"hello"))
            self.redis.publish("py:pattern:1", "hi")
            message = wait_until(lambda: channel.get_message(timeout=1))
            self.assertEqual((message["type"], message["channel"]), ("pmessage", b"py:pattern:1"))

    def test_blocking_pops(self):
        self.redis.delete("py:queue")
        self.assertIsNone(self.redis.blpop("py:queue", timeout=0.05))
        self.redis.rpush("py:queue", "job")
        self.assertEqual(self.redis.blpop("py:queue", timeout=5), (b"py:queue", b"job"))

    def test_listings(self):
        self.redis.mset({f"py:list:{n}": n for n in range(300)})
        self.assertEqual({k.decode() for k in self.redis.scan_iter("py:list:*", count=20)},
                         {f"py:list:{n}" for n in range(300)})
        self.assertEqual(len(self.redis.keys("py:list:*")), 300)

    def test_administration(self):
        self.assertIn("redis_version", self.redis.info())
        self.assertTrue(self.redis.ping())
        self.assertTrue(self.redis.client_setname("app"))
        self.assertEqual(self.redis.client_getname(), "app")
        self.assertRaises(redis.ResponseError, self.redis.config_set, "save", "")
        self.assertTrue(self.redis.ping())


if __name__ == "__main__":
    main()
