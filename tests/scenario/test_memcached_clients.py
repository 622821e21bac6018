#!/usr/bin/python3
"""Clients of memcached against a pool, of memcached servers, of Redis servers and of embedded shards: libmemcached's
tools, python3-pymemcache, Perl's two, and memjs.

SHEAF_LONG=1 has each kind of embedded shard in a pool of its own, too."""
# release only
import os
import subprocess

from lib import *
from lib.story import CLIENTS
from test_embedded import url_of


class OverMemcached(Case):
    COUNTS = "curr_items"                                                # what is to be found in statistics

    @staticmethod
    def shards(owner):
        return [MemcachedServer(owner) for _ in range(3)]

    @staticmethod
    def of_another_pool(shards):
        return shards  # servers may be of several

    @classmethod
    def setUpClass(cls):
        shards = cls.shards(cls)
        cls.sheaf = Sheaf(cls, cache_pool(shards), cache_pool(cls.of_another_pool(shards), name="closed", stamp="no", user="app secret"))
        cls.host, cls.port = cls.sheaf.target()

    def run_it(self, *words, seconds=60, **options):
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=seconds * SLOW,
                              check=False, **options)
        self.assertEqual(done.returncode, 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")
        return done.stdout + done.stderr

    def test_the_tools_of_libmemcached_in_text_and_in_binary(self):
        servers = f"--servers={self.host}:{self.port}"
        self.run_it("memcping", servers)
        for options in ([], ["--binary"]):
            path = self.folder() / f"file{len(options)}"
            path.write_bytes(b"what memccp stored " * 1000)
            self.run_it("memccp", servers, *options, path)
            self.assertIn("what memccp stored", self.run_it("memccat", servers, *options, path.name))
            self.run_it("memcexist", servers, *options, path.name)
            self.run_it("memctouch", servers, *options, path.name)
            self.run_it("memcrm", servers, *options, path.name)
            self.run_it("memcslap", servers, *options, "--concurrency=8", "--execute-number=500", "--test=set")
            self.run_it("memcslap", servers, *options, "--concurrency=4", "--execute-number=50", "--test=mget",
                        "--initial-load=500")
            self.assertIn(self.COUNTS, self.run_it("memcstat", servers, *options))
            self.run_it("memcflush", servers, *options)

    def test_the_tools_of_libmemcached_log_in_by_sasl(self):
        servers, path = "--servers=%s:%d" % self.sheaf.target("closed"), self.folder() / "sasl"
        path.write_bytes(b"who may come in")
        login = ["--binary", "--username=app", "--password=secret"]
        self.run_it("memccp", servers, *login, path)
        self.assertIn("who may come in", self.run_it("memccat", servers, *login, path.name))
        wrong = subprocess.run(["memccat", servers, *login[:2], "--password=wrong", path.name], capture_output=True,
                               text=True, timeout=60 * SLOW, check=False)
        self.assertNotIn("who may come in", wrong.stdout)
        self.assertIn("AUTHENTICATION FAILURE", wrong.stdout + wrong.stderr)

    def test_pymemcache(self):
        from pymemcache.client.base import Client, MemcacheIllegalInputError
        client = Client((self.host, self.port), default_noreply=True)  # as it is preset
        client.flush_all(noreply=False)
        for n in range(100):
            client.set(f"p{n}", f"value{n}", noreply=n < 99)
        self.assertEqual(client.get("p1"), b"value1")
        self.assertEqual(client.get_many([f"p{n}" for n in range(120)]),
                         {f"p{n}": f"value{n}".encode() for n in range(100)})
        value, cas = client.gets("p3")
        self.assertEqual(value, b"value3")
        self.assertTrue(client.cas("p3", "new", cas, noreply=False))
        self.assertFalse(client.cas("p3", "newer", cas, noreply=False))
        self.assertIsNone(client.cas("none", "x", cas, noreply=False))
        self.assertFalse(client.add("p3", "x", noreply=False))
        self.assertTrue(client.append("p3", "!", noreply=False))
        self.assertEqual(client.get("p3"), b"new!")
        client.set("n", 5)
        self.assertEqual(client.incr("n", 3, noreply=False), 8)
        self.assertEqual(client.decr("n", 10, noreply=False), 0)
        self.assertTrue(client.touch("n", 100, noreply=False))
        self.assertTrue(client.delete_many(["n", "p1"], noreply=False))
        self.assertIsNone(client.get("n"))
        self.assertEqual(client.stats()[b"sheaf_pool"], b"main")
        self.assertTrue(client.version().startswith(b"1.6"))
        self.assertRaises(MemcacheIllegalInputError, client.get, "with blank")
        client.close()

    def test_perl(self):
        said = self.run_it("/usr/bin/perl", CLIENTS / "memcached_perl.pl", f"{self.host}:{self.port}")
        self.assertEqual(said.count("is content"), 2, said)

    def test_memjs(self):
        modules = {**os.environ, "NODE_PATH": str(REPOSITORY / "build/npm/node_modules")}
        closed = "%s:%d" % self.sheaf.target("closed")
        for address in (f"{self.host}:{self.port}", f"app:secret@{closed}"):
            self.assertIn("memjs is content", self.run_it("node", CLIENTS / "memjs.js", address, env=modules))


class OverRedis(OverMemcached):
    COUNTS = "sheaf_requests"

    @staticmethod
    def shards(owner):
        return [f"redis://{RedisServer(owner).address}" for _ in range(3)]


class OverEmbedded(OverRedis):
    KINDS = ("ram", "sqlite", "rocksdb")

    @classmethod
    def shards(cls, owner):
        return [url_of(kind, owner.folder(), f"shard{i}") for i, kind in enumerate(cls.KINDS)]

    @staticmethod
    def of_another_pool(shards):
        return [shard.replace("/shard", "/closed") for shard in shards]


if os.environ.get("SHEAF_LONG") == "1":
    class OverRam(OverEmbedded):
        KINDS = ["ram"] * 3

    class OverSqlite(OverEmbedded):
        KINDS = ["sqlite"] * 3

    class OverRocksdb(OverEmbedded):
        KINDS = ["rocksdb"] * 3


class Capable(Case):
    """What memccapable tries, it waits for most of the time: so over all kinds of shards at once."""

    def test_memccapable_finds_nothing_to_complain_of(self):
        kinds = {"memcached": OverMemcached, "Redis": OverRedis, "an embedded shard": OverEmbedded}
        sheaf = Sheaf(self, *(cache_pool(kind.shards(self), name=f"pool{i}") for i, kind in enumerate(kinds.values())))
        targets = {what: sheaf.target(f"pool{i}") for i, what in enumerate(kinds)}
        running = {what: subprocess.Popen(["memccapable", "-h", host, "-p", str(port), "-t", "20"], text=True,
                                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT) for what, (host, port) in targets.items()}
        for each in running.values():
            self.addCleanup(each.kill)
        said = {what: each.communicate(timeout=60 * SLOW)[0] for what, each in running.items()}
        self.assertIn("All tests passed", said["memcached"])
        self.assertEqual(said["memcached"].count("[pass]"), 54, said["memcached"])
        for what in list(kinds)[1:]:  # where is no level to set by verbosity, which is told in a line too long for memccapable
            self.assertIn("1 of 54 tests failed", said[what])
            self.assertEqual(said[what].count("[pass]"), 53, said[what])
            self.assertRegex(said[what], r"ascii verbosity +(?!\[pass\])")
            with MemcachedSession(targets[what]) as session:
                self.assertIn(f"'verbosity' can't be served over {what}", session.ask("verbosity 1").decode())


if __name__ == "__main__":
    main()
