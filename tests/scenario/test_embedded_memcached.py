#!/usr/bin/python3
# not under tsan: the threads of stores are in test_embedded.py
"""memcached clients over embedded shards hear what a memcached server would say.

SHEAF_LONG=1 compares 100,000 random commands and as many packets for each store, else some hundred; SHEAF_SEED=N repeats one."""
import os
import random
import re
import struct
import threading

from pymemcache.client.base import Client

from lib import *
from lib import edges
from lib.dice import MEMCACHED_REFUSED, BinaryTwin, MemcachedTwin, compare_memcached, compare_packets
from test_embedded import DURABLE, url_of

ROUNDS = 100_000 if os.environ.get("SHEAF_LONG") == "1" else 800
HEAD = b"\xf5mc\x01"


class AsMemcached(Case):
    @classmethod
    def setUpClass(cls):
        cls.plain = MemcachedServer(cls)
        urls = {e: [url_of(e, cls.folder(), f"shard{i}") for i in range(2)] for e in ("ram", *DURABLE)}
        base = Postgres(cls).url_as() + "/app?table=shard"
        urls["postgresql"] = [base + "0", base + "1"]
        cls.sheaf = {e: Sheaf(cls, cache_pool(two, sync="never")) for e, two in urls.items()}

    def connect(self, engine):
        session = MemcachedSession(self.sheaf[engine].target(), None)
        self.addCleanup(session.end)
        self.assertEqual(session.ask("flush_all"), b"OK\r\n")
        return session

    def compare(self, engine):
        seed = int(os.environ.get("SHEAF_SEED", random.randrange(1 << 30)))
        with self.plain.connect() as there, self.plain.connect() as packets, MemcachedSession(self.sheaf[engine].target()) as here:
            twin = MemcachedTwin(self, self.connect(engine), there)
            compare_memcached(twin, seed, ROUNDS, engine)
            compare_packets(BinaryTwin(twin, here, packets), seed, ROUNDS, engine)

    def test_memory_answers_as_memcached(self):
        self.compare("ram")

    def test_sqlite_answers_as_memcached(self):
        self.compare("sqlite")

    def test_rocksdb_answers_as_memcached(self):
        self.compare("rocksdb")

    def test_postgresql_answers_as_memcached(self):
        self.compare("postgresql")

    def test_one_only_wins_when_clients_race(self):
        def deed(session, won):
            for n in range(40):
                reply = session.ask("gets n").split()
                if session.ask(f"cas n 0 0 3 {reply[4].decode()}", b"%03d" % (int(reply[5]) + 1)) == b"STORED\r\n":
                    won.append(n)
                session.ask("append text 0 0 1", "x")
                session.ask("incr count 3")
        for engine, sheaf in self.sheaf.items():
            session = self.connect(engine)
            for line, value in (("set n 0 0 3", "000"), ("set text 0 0 0", ""), ("set count 0 0 1", "0")):
                self.assertEqual(session.ask(line, value), b"STORED\r\n")
            sessions, won = [MemcachedSession(sheaf.target(), None) for _ in range(4)], []
            threads = [threading.Thread(target=deed, args=(s, won)) for s in sessions]
            for step in (threading.Thread.start, threading.Thread.join):
                for thread in threads:
                    step(thread)
            for each in sessions:
                each.end()
            self.assertEqual(session.ask("get n"), b"VALUE n 0 3\r\n%03d\r\nEND\r\n" % len(won), engine)
            self.assertEqual(session.ask("get count"), b"VALUE count 0 3\r\n480\r\nEND\r\n", engine)
            self.assertEqual(session.ask("mg text s"), b"HD s160\r\n", engine)

    def test_a_pipeline_is_done_in_its_order(self):
        for engine in self.sheaf:
            session = self.connect(engine)
            session.send(command("set k 0 0 1", "1") + b"".join(command("append k 0 0 1", "2") + command("get k") for _ in range(50)))
            self.assertEqual(session.reply(), b"STORED\r\n")
            for n in range(50):
                self.assertEqual([session.reply(), session.reply()], [b"STORED\r\n", b"VALUE k 0 %d\r\n1%s\r\nEND\r\n" % (n + 2, b"2" * (n + 1))], engine)

    def test_the_binary_protocol_is_served(self):
        get, set_, incr, append, getkq, noop, touch = 0, 1, 5, 0x0e, 0x0d, 0x0a, 0x1c
        for engine in self.sheaf:
            session, key, store = MemcachedSession(self.sheaf[engine].target(), None), b"with blank\0", struct.pack(">II", 7, 0)
            self.addCleanup(session.end)

            def ask(opcode, *parts, **more):
                session.send(binary(opcode, *parts, **more))
                return session.packet()
            status, _, cas = ask(set_, key, store, b"value")[1:4]
            self.assertEqual(status, 0, engine)
            self.assertEqual(ask(get, key)[1:], (0, 0xdeadbeef, cas, store[:4], b"", b"value"))
            self.assertEqual(ask(set_, key, store, b"other", cas=cas + 1)[1], 2)
            self.assertEqual(ask(append, key, b"", b"+", cas=cas)[1], 0)
            self.assertEqual(ask(touch, key, struct.pack(">I", 1000))[1], 0)
            self.assertEqual(ask(get, key)[6], b"value+")
            counter = struct.pack(">QQI", 5, 2**63, 0)
            session.send(binary(4, b"count"))
            session.packet()
            self.assertEqual([ask(incr, b"count", counter)[6] for _ in range(2)], [struct.pack(">Q", 2**63), struct.pack(">Q", 2**63 + 5)])
            self.assertEqual(ask(incr, key, counter)[1], 6)
            key = b"\0" * 250
            self.assertEqual([ask(set_, key, store, b"v")[1], ask(0x0c, key)[5:]], [0, (key, b"v")])
            session.send(b"".join(binary(getkq, k) for k in (b"none", b"count")) + binary(noop))
            self.assertEqual(session.packet()[5:], (b"count", str(2**63 + 5).encode()))
            self.assertEqual(session.packet()[0], noop)

    def test_a_client_library_works(self):
        for engine, sheaf in self.sheaf.items():
            client = Client(sheaf.target(), default_noreply=False)
            client.flush_all()
            self.assertTrue(client.set_many({f"m{i}": str(i) for i in range(30)}, expire=100) == [])
            self.assertEqual(client.get_many([f"m{i}" for i in range(31)]), {f"m{i}": str(i).encode() for i in range(30)}, engine)
            value, cas = client.gets("m7")
            self.assertEqual((client.cas("m7", "x", cas), client.cas("m7", "y", cas)), (True, False))
            self.assertEqual([client.incr("m9", 3), client.decr("m9", 20), client.add("m9", "1"), client.touch("m9", 5)], [12, 0, False, True])
            self.assertTrue(client.delete_many(["m1", "m2"]))
            self.assertEqual(client.get_many(["m1", "m2", "m3"]), {"m3": b"3"})
            client.close()

    def test_keys_end_in_time(self):
        for engine in self.sheaf:
            session = self.connect(engine)
            session.ask("set k 0 1 1", "x")
            session.ask("set other 0 1000 1", "x")
            wait_until(lambda: session.ask("get k") == b"END\r\n", what="the key to end")
            self.assertEqual(session.ask("add k 0 0 1", "y"), b"STORED\r\n", engine)
            self.assertIn(session.ask("mg other t"), (b"HD t1000\r\n", b"HD t999\r\n", b"HD t998\r\n", b"HD t997\r\n"))
            self.assertEqual(session.ask("set k 0 -1 1", "x"), b"STORED\r\n")
            self.assertEqual(session.ask("get k"), b"END\r\n", engine)

    def test_keys_are_there_until_their_time_is_over_and_not_longer(self):
        watched = []
        for engine, sheaf in self.sheaf.items():
            packets = MemcachedSession(sheaf.target(), None)
            self.addCleanup(packets.end)
            watched += edges.of_memcached_clients(engine, self.connect(engine), packets, slack=0)
        edges.watch(self, watched)

    def test_what_can_not_be_said_is_refused_with_the_reason(self):
        session = self.connect("ram")
        for line, word in MEMCACHED_REFUSED:
            reply = session.ask(line, b"1" if line.startswith("ms") else None)
            self.assertTrue(reply.startswith(b"CLIENT_ERROR ") and b"over an embedded shard" in reply and word in reply, reply)
        self.assertIn(b"STAT sheaf_pool", session.ask("stats"))
        self.assertTrue(session.ask("version").startswith(b"VERSION "))


class Kept(Case):
    def both(self, urls, **options):
        listen = [f"redis://127.0.0.1:{free_port()}", f"memcached://127.0.0.1:{free_port()}"]
        return Sheaf(self, pool(urls, listen=listen, **options))

    def test_clients_of_both_protocols_share_the_keys(self):
        for engine in ("ram", "sqlite"):
            sheaf = self.both([url_of(engine, self.folder(), f"both{i}") for i in range(2)])
            with sheaf.connect() as r, MemcachedSession(sheaf.target(index=1), None) as m:
                for n in range(20):
                    self.assertEqual(r.ask("SET", f"r{n}", n), "OK")
                    self.assertEqual(m.ask(f"incr r{n} 1"), b"%d\r\n" % (n + 1))
                    self.assertEqual(m.ask(f"set m{n} 77 0 1", "5"), b"STORED\r\n")
                    kept = r.ask("GET", f"m{n}")
                    self.assertEqual((kept[:8], kept[16:]), (HEAD + b"\0\0\0\x4d", b"5"))
                self.assertEqual(r.ask("SET", "plain", "v"), "OK")
                cas = m.ask("gets plain").split()[4]
                self.assertEqual(m.ask(b"cas plain 3 0 1 " + cas, "w"), b"STORED\r\n")
                self.assertEqual(m.ask(b"cas plain 3 0 1 " + cas, "x"), b"EXISTS\r\n")
                self.assertEqual(r.ask("EXPIRE", "plain", 100), 1)
                self.assertEqual(m.ask("append plain 0 0 1", "!"), b"STORED\r\n")
                self.assertIn(r.ask("TTL", "plain"), (99, 100))
                self.assertEqual(r.ask("DBSIZE"), 41)
                self.assertEqual(m.ask("flush_all"), b"OK\r\n")
                self.assertEqual(r.ask("DBSIZE"), 0)

    def test_its_script_is_no_way_in_for_redis_clients(self):
        with self.both(["ram://64mb"]).connect() as r:
            for words in (["EVALSHA", "0" * 40, "1", "k"], ["EVALSHA", "0" * 40, "0"], ["EVAL", "return 1", "0"], ["SCRIPT", "LOAD", "return 1"]):
                reply = r.ask(*words)
                self.assertIsInstance(reply, Failure, words)
                self.assertRegex(reply, "not served by an embedded shard", words)
            self.assertEqual(r.ask("COMMAND", "INFO", "evalsha"), [None])
            self.assertNotIn(b"evalsha", r.ask("COMMAND", "LIST"))

    def test_rights_hold_whichever_protocol_is_spoken(self):
        users = ["app secret prefix=app:", "safe secret deny=@dangerous", "nodel secret deny=del,flushall", "reader secret allow=@read",
                 "setter secret allow=set,touch", "texts secret allow=@string"]
        may = {"app": "set app:k delete app:k incr app:n touch app:k gat stats", "safe": "set app:k delete app:k incr app:n touch app:k gat",
               "nodel": "set app:k incr app:n touch app:k gat stats", "reader": "stats", "setter": "set app:k touch app:k", "texts": "set app:k incr app:n gat"}
        sheaf = self.both(["ram://64mb"], user=users)
        lines = {"set app:k": ("set app:k 0 0 1", "1"), "delete app:k": ("delete app:k", None), "incr app:n": ("incr app:n 1", None),
                 "touch app:k": ("touch app:k 100", None), "gat": ("gat 100 app:k", None), "stats": ("stats", None), "flush_all": ("flush_all", None)}
        mg = {"app", "safe", "nodel", "texts"}
        for user, words in may.items():
            with MemcachedSession(sheaf.target(index=1), (user, "secret")) as m:
                for word, (line, value) in lines.items():
                    refused = b" may not run " in m.ask(line, value)
                    self.assertEqual(refused, word not in words, (user, line))
                self.assertEqual(b" may not run " in m.ask("mg app:k v T100"), user not in mg, user)
                self.assertEqual((m.ask("mn"), m.ask("version")[:7]), (b"MN\r\n", b"VERSION"))
            with sheaf.connect() as r:
                self.assertEqual(r.ask("AUTH", user, "secret"), "OK")
                self.assertIsInstance(r.ask("FLUSHALL"), Failure)

    def test_flags_and_cas_outlive_the_process(self):
        for engine in DURABLE:
            sheaf = Sheaf(self, cache_pool([url_of(engine, self.folder(), f"kept{i}") for i in range(2)]))
            with MemcachedSession(sheaf.target(), None) as m:
                self.assertEqual(m.ask("set k 12 1000 2", "41"), b"STORED\r\n")
                self.assertEqual(m.ask("incr k 1"), b"42\r\n")
                before = m.ask("gets k")
            sheaf.process.kill()
            sheaf.start()
            with MemcachedSession(sheaf.target(), None) as m:
                self.assertEqual(m.ask("gets k"), before, engine)
                self.assertEqual(m.ask(b"cas k 1 0 1 " + before.split()[4], "x"), b"STORED\r\n")

    def test_a_full_store_says_so_in_memcacheds_words(self):
        sheaf = Sheaf(self, cache_pool(["ram://1mb"]))
        with MemcachedSession(sheaf.target(), None) as m:
            replies = [m.ask(f"set k{i} 0 0 100000", "x" * 100_000) for i in range(20)]
            self.assertEqual(set(replies), {b"STORED\r\n", b"SERVER_ERROR out of memory storing object\r\n"})
            self.assertEqual(m.ask("append k0 0 0 900000", "x" * 900_000), b"SERVER_ERROR out of memory storing object\r\n")
            self.assertEqual(m.ask("mg k0 s"), b"HD s100000\r\n")

    def test_a_store_that_is_down_is_told(self):
        sheaf = Sheaf(self, cache_pool(["sqlite:///proc/no/such/place"]))
        with MemcachedSession(sheaf.target(), None) as m:
            for line in ("get k", "incr k 1", "mg k v"):
                self.assertRegex(m.ask(line), rb"SERVER_ERROR .*unable to open", line)


if __name__ == "__main__":
    main()
