#!/usr/bin/python3
# release too: figures of memory
# not under tsan: disks and memory; the threads of stores are in test_embedded.py
"""Embedded shards whose disk or file is not well, and what clients can make of their memory."""
import contextlib
import os
import signal
import socket
import sqlite3
import subprocess

from lib import *
from lib.case import REPOSITORY
from lib.process import run
from lib.small_disk import small_disk
from test_embedded import DURABLE, Stores, url_of


class Disks(Stores):
    def test_one_that_is_full_keeps_what_was_acknowledged(self):
        for engine in DURABLE:
            small = small_disk(self, "4m")
            sheaf = Sheaf(self, pool([url_of(engine, small)], backoff_min="10ms", backoff_max="50ms", probe_interval="100ms"))
            with sheaf.connect() as s:
                count = 0
                while (reply := s.ask("SET", f"k{count}", str(count) * 20_000)) == "OK":
                    count += 1
                self.assertGreater(count, 10, engine)
                self.assertRegex(reply, "full|No space left", engine)
                for _ in range(3):
                    self.assertIsInstance(s.ask("SET", "more", "x" * 100_000), Failure)
                    self.assertEqual(s.ask("GET", "k3"), b"3" * 20_000)
            sheaf.terminate()
            self.assertEqual(sheaf.wait(), 0, engine)
            sheaf.start()  # where there is no room either
            with sheaf.connect() as s:
                self.assertRegex(s.ask("SET", "more", "x" * 100_000), "full|No space left", engine)
                code, _, err = run(["mount", "-o", "remount,size=40m", small])
                self.assertEqual(code, 0, err)
                wait_until(lambda: s.ask("SET", "more", "x" * 100_000) == "OK", seconds=30, what=f"{engine} to be written again")
                for n in range(count):
                    self.assertEqual(s.ask("GET", f"k{n}"), str(n).encode() * 20_000, engine)
                self.assertEqual(s.ask("DBSIZE"), len(s.ask("KEYS", "*")), engine)

    def sick_disk(self, engine, what, **options):
        """A Sheaf on a disk that is sick while the file is there which is returned with it."""
        library, folder = self.folder() / "sick.so", self.folder() / f"{engine}-{what}"
        if not library.exists():
            subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library, REPOSITORY / "tests/scenario/modules/sick_disk.c"],
                           check=True)
        folder.mkdir()
        sick = folder.with_suffix(".sick")
        sheaf = Sheaf(self, pool([url_of(engine, folder)], backoff_min="10ms", backoff_max="50ms", probe_interval="100ms", **options),
                      env={"LD_PRELOAD": str(library), "TEST_SICK": str(sick), "TEST_SICK_FOLDER": str(folder)})
        return sheaf, sick

    def health(self, sheaf):
        return sheaf.status()["pools"][0]["shards"][0]["health"]

    def test_one_that_was_sick_is_read_meanwhile_and_written_again_without_a_restart(self):
        for engine in DURABLE:
            for what in ("sync", "write"):
                sheaf, sick = self.sick_disk(engine, what)
                with self.subTest(engine=engine, what=what), sheaf.connect() as s:
                    self.assertEqual(s.ask("SET", "before", "1"), "OK")
                    sick.write_text("" if what == "sync" else "write")
                    for n in range(20):
                        self.assertRegex(s.ask("SET", f"k{n}", "2"), "the store failed: .*(I/O|Input/output) error")
                        self.assertEqual(s.ask("GET", "before"), b"1")
                    wait_until(lambda: self.health(sheaf)["state"] == "down", what="status to tell")
                    self.assertRegex(self.health(sheaf)["probe"]["text"], "the store failed: ")
                    self.assertEqual(s.ask("GET", "before"), b"1")
                    sick.unlink()
                    wait_until(lambda: s.ask("SET", "after", "3") == "OK", what="it to be written again")
                    self.assertEqual([s.ask("GET", "before"), s.ask("GET", "after")], [b"1", b"3"])
                    self.assertEqual(s.ask("DBSIZE"), len(s.ask("KEYS", "*")))
                    wait_until(lambda: self.health(sheaf)["state"] == "up", what="status to tell")
                    self.assertRegex(sheaf.log, "store is in trouble .*the store failed")
                    self.assertRegex(sheaf.log, "store is out of trouble" if engine == "sqlite" else "shard is back")
                    sheaf.process.signal(signal.SIGKILL)
                    sheaf.process.wait()
                    sheaf.start()
                    with sheaf.connect() as again:
                        self.assertEqual([again.ask("GET", "before"), again.ask("GET", "after")], [b"1", b"3"])

    def test_one_that_could_not_be_synced_is_so_again_without_being_asked(self):
        for engine in DURABLE:
            sheaf, sick = self.sick_disk(engine, "interval", sync="interval")
            sheaf.ask("SET", "k", "v")
            sick.write_text("")
            sheaf.ask("SET", "k", "w")
            wait_until(lambda: "store cannot be synced" in sheaf.log, what="a sync to fail")
            sick.unlink()
            wait_until(lambda: "store is synced again" in sheaf.log, what="it to be synced")
            self.assertEqual(sheaf.ask("SET", "after", "v"), "OK", engine)

    def test_one_that_stands_still_holds_up_nobody_else(self):
        """RocksDB reads CURRENT first; as a pipe it is a file that lets itself be opened when it likes."""
        folder = self.folder() / "still"
        pools = [pool([f"rocksdb://{folder}"], name="still", timeout="100ms", backoff_max="50ms"), pool(["ram://64mb"], name="quick")]
        sheaf = Sheaf(self, *pools, proxy={"workers": 1})
        with sheaf.connect("still") as s:
            wait_until(lambda: s.ask("SET", "k", "v") == "OK", what="it to be opened")
        sheaf.terminate()
        sheaf.wait()
        current = (folder / "CURRENT").read_bytes()
        (folder / "CURRENT").unlink()
        os.mkfifo(folder / "CURRENT")
        sheaf.start()
        with sheaf.connect("still") as still, sheaf.connect("quick") as quick:
            still.send(encode("GET", "k"))
            for n in range(300):
                self.assertEqual(quick.ask("INCR", "n"), n + 1)
            self.assertIn("timeout", still.reply())
            self.assertEqual(quick.ask("INCR", "n"), 301)
            self.assertEqual(sheaf.status()["pools"][1]["shards"][0]["store_keys"], 2)
            sheaf.reload(*pools)
            self.assertEqual(quick.ask("INCR", "n"), 302)
            (folder / "whole").write_bytes(current)
            with contextlib.suppress(BrokenPipeError), open(folder / "CURRENT", "wb") as pipe:  # it is let on,
                (folder / "whole").rename(folder / "CURRENT")  # and finds its file as it was, now or when it looks again
                pipe.write(current)
            wait_until(lambda: still.ask("GET", "k") == b"v", what="the disk to answer again")


class Files(Stores):
    def down(self, sheaf, why):
        with sheaf.connect() as s:
            self.assertRegex(s.ask("GET", "k"), why)
            self.assertRegex(s.ask("SET", "k", "v"), why)
        wait_until(lambda: sheaf.status()["pools"][0]["shards"][0]["health"]["state"] == "down", what="status to tell")
        self.assertRegex(sheaf.status()["pools"][0]["shards"][0]["health"]["probe"]["text"], why)
        self.assertRegex(sheaf.log, "shard is down .*" + why)

    def stopped(self, engine, name):
        sheaf = Sheaf(self, pool([url_of(engine, self.folder(), name)], backoff_max="100ms", probe_interval="100ms"))
        with sheaf.connect() as s:
            self.assertEqual(s.ask("MSET", *[w for i in range(300) for w in (f"k{i}", f"v{i}" * 50)]), "OK")
        sheaf.terminate()
        sheaf.wait()
        return sheaf, self.folder() / f"{name}.{engine}"

    def test_one_that_is_spoilt_is_told(self):
        sheaf, path = self.stopped("sqlite", "spoilt")
        with open(path, "r+b") as file:
            file.write(b"no file of SQLite's")
        sheaf.start()
        self.down(sheaf, "not a database")
        sheaf, path = self.stopped("rocksdb", "spoilt")
        (path / "CURRENT").write_text("nonsense")
        sheaf.start()
        self.down(sheaf, "[Cc]orruption|CURRENT")

    def test_one_that_is_no_store_of_ours_is_told(self):
        with sqlite3.connect(self.folder() / "other.sqlite") as base:
            base.execute("CREATE TABLE keys (id INTEGER)")
        self.down(Sheaf(self, pool([url_of("sqlite", self.folder(), "other")], probe_interval="100ms")), "column|table keys")
        (self.folder() / "file.rocksdb").write_text("x")
        self.down(Sheaf(self, pool([url_of("rocksdb", self.folder(), "file")], probe_interval="100ms")), "IO error|[Nn]ot a directory")
        (self.folder() / "folder.sqlite").mkdir()
        self.down(Sheaf(self, pool([url_of("sqlite", self.folder(), "folder")], probe_interval="100ms")), "unable to open")

    def test_one_that_another_process_has_is_told_and_used_once_it_is_free(self):
        for engine in DURABLE:
            url = url_of(engine, self.folder(), "had")
            first, second = Sheaf(self, pool([url])), Sheaf(self, pool([url], backoff_max="100ms", probe_interval="100ms"))
            self.assertEqual(first.ask("SET", "k", "v"), "OK")
            self.down(second, "lock")
            self.assertEqual(first.ask("GET", "k"), b"v")
            first.terminate()
            first.wait()
            with second.connect() as s:
                wait_until(lambda: s.ask("GET", "k") == b"v", what="it to be free")

    def test_two_pools_with_one_store_by_two_names_do_not_spoil_it(self):
        for engine in DURABLE:
            self.two_names(engine, url_of(engine, self.folder() / "folder"), url_of(engine, self.folder() / "alias"))
        self.two_names("link", url_of("sqlite", self.folder(), "file"), url_of("sqlite", self.folder(), "link"))

    def two_names(self, which, *urls):
        folder, alias = (self.folder() / name for name in ("folder", "alias"))
        folder.mkdir(exist_ok=True)
        if not alias.exists():
            alias.symlink_to(folder)
            (self.folder() / "link.sqlite").symlink_to(self.folder() / "file.sqlite")
        sheaf = Sheaf(self, *[pool([url], name=f"p{i}", stamp="no") for i, url in enumerate(urls)])
        replies = []
        for i in range(2):
            with sheaf.connect(f"p{i}") as s:
                replies.append(s.ask("SET", "k", "v"))
        self.assertEqual(sorted(isinstance(r, Failure) for r in replies), [False, True], f"{which}: {replies}")
        self.assertRegex(next(r for r in replies if isinstance(r, Failure)), "another process or another pool has the (file|folder) open")


class Memory(Stores):
    def test_replies_that_nobody_reads_are_bounded(self):
        sheaf = Sheaf(self, pool([url_of("sqlite", self.folder(), "large")], max_session_memory="16mb", max_request="8mb", timeout="20s"),
                      proxy={"workers": 1, "max_memory": "64mb"})
        sheaf.ask("SET", "k", "x" * 4_000_000)
        before, sessions = sheaf.process.memory_kib(), [sheaf.connect() for _ in range(int(60 // SLOW))]
        for session in sessions:
            self.addCleanup(session.close)
            session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            session.send(encode("GET", "k") * 8)
        with sheaf.connect() as s:
            for _ in range(30):
                self.assertEqual(s.ask("STRLEN", "k"), 4_000_000)
                if SLOW == 1:
                    self.assertLess(sheaf.process.memory_kib() - before, 160_000)

    def test_a_value_is_not_made_longer_than_a_reply_may_be(self):
        for engine in ("ram", *DURABLE):
            sheaf = Sheaf(self, pool([url_of(engine, self.folder(), "long")], max_session_memory="4mb", max_request="1mb"))
            with sheaf.connect() as s:
                before = sheaf.process.memory_kib()
                self.refused(s, "max_session_memory", "SETRANGE", "k", 500_000_000, "x")
                self.assertEqual(s.ask("SETRANGE", "k", 4_000_000, "x"), 4_000_001)
                self.refused(s, "max_session_memory", "APPEND", "k", "x" * 300_000)
                self.assertEqual(s.ask("STRLEN", "k"), 4_000_001)
                if SLOW == 1:
                    self.assertLess(sheaf.process.memory_kib() - before, 60_000, engine)


if __name__ == "__main__":
    main()
