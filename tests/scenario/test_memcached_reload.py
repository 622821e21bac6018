#!/usr/bin/python3
# not under tsan: what workers share in a reload, test_reload has
"""Reload and drain of memcached pools while clients of all forms work: what did not change does not notice."""
import json
import signal
import threading

from lib import *
from lib.memcached_load import Loaded


class UnderLoad(Loaded, Case):
    def setUp(self):
        self.servers = [MemcachedServer(self) for _ in range(2)]
        self.first = cache_pool(self.servers, name="first", probe="no", backoff_max="200ms")
        self.sheaf = Sheaf(self, self.first)
        self.watchers = [server.connect() for server in self.servers]
        for session in self.watchers:
            self.addCleanup(session.end)

    def begin(self, faulty=None):
        self.work(self.sheaf, 2, faulty, 300)

    def check(self, *whole):
        """No reply was wrong, and none of those shards' was an error."""
        self.stop()
        for each in self.traffic:
            self.assertEqual((each.foreign[:3], each.closed), ([], None))
        for shard in whole:
            self.assertEqual(self.errors(shard)[:3], [])

    def reload(self, *pools):
        before = self.sheaf.status()["generation"]
        self.sheaf.reload(*pools)
        wait_until(lambda: self.sheaf.status()["generation"] > before, what="the reload")

    def connections(self):
        """How many each server has taken ever."""
        return [int(session.ask("stats").split(b"STAT total_connections ")[1].split()[0]) for session in self.watchers]

    def test_a_pool_that_stays_keeps_every_upstream_while_others_come_change_and_go(self):
        others = [MemcachedServer(self) for _ in range(2)]
        listen = f"memcached://127.0.0.1:{free_port()}"
        self.begin()
        before = self.connections()
        for turn in range(6):
            self.reload(self.first, cache_pool(others[:1 + turn % 2], name="second", listen=listen, timeout=f"{turn + 1}s", upstreams=1 + turn % 2))
            with MemcachedSession(self.sheaf.target("second")) as session:
                self.assertEqual(session.ask("set k 0 0 1", "x"), b"STORED\r\n")
            self.more(150)
            if turn % 2:
                self.reload(self.first)
        self.check(0, 1)
        self.assertEqual(self.connections(), before)

    def test_the_number_of_upstreams_changes_and_no_request_fails(self):
        self.begin()
        for each in (3, 1, 5, 2):
            self.reload((self.first[0], {**self.first[1], "upstreams": each}))
            self.more(300)
        self.check(0, 1)

    def test_a_reload_that_is_refused_changes_nothing(self):
        self.begin()
        before = self.connections()
        for wrong, word in (("timeot = 1s", "timeot"), ("listen = memcached://0.0.0.0:7000", "0.0.0.0")):
            good = self.sheaf.text
            self.sheaf.reload(text=good + wrong + "\n")
            wait_until(lambda w=word: w in self.sheaf.log, what="the reason")
            self.sheaf.write(text=good)
            self.more(150)
        self.check(0, 1)
        self.assertEqual(self.connections(), before)

    def test_a_drained_shard_is_told_and_the_other_does_not_notice(self):
        key = keys_on_shards(2)[1][0]
        self.begin(faulty=1)
        for _ in range(3):
            self.drain("drain", "draining")
            with MemcachedSession(self.sheaf.target()) as session:
                self.assertRegex(session.ask(f"get {key}"), b"SERVER_ERROR .*" + self.servers[1].address.encode() + b".*drained")
            self.more(150)
            self.drain("undrain", "up")
            with MemcachedSession(self.sheaf.target()) as session:
                self.assertEqual(session.ask(f"set {key} 0 0 1", "x"), b"STORED\r\n")
            self.more(150)
        self.check(0)
        self.assertNotEqual(self.errors(1), [])
        for error in self.errors(1):
            self.assertIn(b"drained", error)

    def drain(self, deed, state):
        status, told = self.sheaf.http(f"/api/v1/{deed}?pool=first&shard=1", "POST")
        self.assertEqual((status, json.loads(told)["state"]), (200, state))

    def test_when_the_process_ends_no_reply_is_cut(self):
        broken, ended = [], []

        def text(session, key, value):
            session.send(command(f"set {key} 0 0 {len(value)}", value) + command(f"mg {key} v"))
            return (session.reply(), session.reply()) == (b"STORED\r\n", b"VA %d\r\n%s\r\n" % (len(value), value.encode()))

        def packets(session, key, value):
            session.send(binary(1, key.encode(), b"\0" * 8, value.encode()) + binary(0, key.encode()))
            return session.packet()[1] == 0 and session.packet()[6] == value.encode()

        def work(number):
            session, done = MemcachedSession(self.sheaf.target()), 0
            try:
                while True:
                    if not (packets if number % 2 else text)(session, f"d{number}", str(done)):
                        broken.append((number, done))
                    done += 1
            except (EOFError, ConnectionError):
                if session._in:  # pylint: disable=protected-access
                    broken.append(session._in)  # pylint: disable=protected-access
                ended.append(done)
            except Exception as error:  # pylint: disable=broad-except
                broken.append(repr(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        wait_until(lambda: int(self.servers[0].ask("stats").split(b"STAT cmd_set ")[1].split()[0]) > 500, what="load")
        self.sheaf.process.signal(signal.SIGTERM)
        self.assertEqual(self.sheaf.wait(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual((broken[:3], len(ended)), ([], 6))


if __name__ == "__main__":
    main()
