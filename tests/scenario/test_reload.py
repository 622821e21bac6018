#!/usr/bin/python3
"""Reload and drain while clients work: what did not change does not notice, what did changes whole."""
import http.client
import signal
import threading
import time

from lib import *


def upstreams(redis):
    """The numbers of the TCP connections that a server has, Sheaf's probes left out."""
    text = redis.ask("CLIENT", "LIST", "TYPE", "normal").decode()
    return {line.split()[0] for line in text.splitlines() if " addr=127.0.0.1:" in line}


class ReloadCase(Case):
    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.keys = [keys[0] for keys in keys_on_shards(2)]
        self.first = pool(self.redis, name="first", backoff_max="200ms", probe="no")
        self.sheaf = Sheaf(self, self.first)

    def reload(self, *pools, **more):
        """Returns when all workers follow the new configuration."""
        before = self.sheaf.status()["generation"]
        self.sheaf.reload(*pools, **more)
        wait_until(lambda: self.sheaf.status()["generation"] > before, what="the reload")

    def changed(self, **options):
        return (self.first[0], {**self.first[1], **options})

    def ask(self, name, *words):
        with self.sheaf.connect(name) as session:
            return session.ask(*words)

    def try_sets(self, name, key="x"):
        return lambda: self.ask(name, "SET", key, "1") == "OK"


class Pools(ReloadCase):
    def test_a_pool_that_stays_keeps_every_upstream_while_others_come_change_and_go(self):
        others = [RedisServer(self) for _ in range(3)]
        with Load(self.sheaf, 2, name="first") as load:
            wait_until(load.ops(1000), what="load")
            before = [upstreams(r) for r in self.redis]
            url = f"redis://127.0.0.1:{free_port()}"
            for turn in range(6):
                self.reload(self.first, pool(others[:1 + turn % 3], name="second", stamp="no", listen=url,
                                             timeout=f"{turn + 1}s", upstreams=1 + turn % 2))
                wait_until(self.try_sets("second"), what="the other pool")
                wait_until(load.ops(300), what="load")
                if turn % 2:
                    self.reload(self.first)
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])
            self.assertEqual([upstreams(r) for r in self.redis], before)

    def test_a_pool_that_goes_takes_its_upstreams_with_it_and_may_come_again(self):
        second = RedisServer(self)
        section = pool([second], name="second", probe="no")
        for _ in range(3):
            self.reload(self.first, section)
            wait_until(self.try_sets("second"), what="the pool")
            self.assertNotEqual(upstreams(second), set())
            self.reload(self.first)
            wait_until(lambda: not upstreams(second), what="its connections to be closed")

    def test_a_pool_that_goes_answers_what_it_was_asked(self):
        second = RedisServer(self)
        section = pool([second], name="second", timeout="20s", probe="no")
        self.reload(self.first, section)
        wait_until(self.try_sets("second"), what="the pool")
        with self.sheaf.connect("second") as session:
            session.ask("SET", "a", "1")
            second.stop()
            session.send(encode("GET", "a") + encode("SET", "a", "2"))
            self.reload(self.first)
            second.cont()
            self.assertEqual([session.reply(), session.reply()], [b"1", "OK"])
            self.assertTrue(session.at_end())

    def test_a_pool_that_comes_again_while_it_goes_serves_on(self):
        section = pool([RedisServer(self)], name="second", timeout="20s", probe="no")
        self.reload(self.first, section)
        for _ in range(5):
            self.reload(self.first)
            self.reload(self.first, section)
            wait_until(self.try_sets("second"), what="the pool")

    def test_a_reload_is_told_when_all_workers_have_followed(self):
        told = []
        with self.sheaf.process.stopped_thread("worker 1"):
            self.sheaf.write(self.changed(databases=1))
            asking = threading.Thread(target=lambda: told.append(self.sheaf.http("/api/v1/reload", "POST")[0]))
            asking.start()
            asking.join(0.1)
            self.assertEqual(told, [], "one of the workers stands still")
        asking.join()
        self.assertEqual(told, [200])
        with self.sheaf.connect() as session:
            self.assertIn("out of range", session.ask("SELECT", 5))

    def test_listeners_move_between_pools_and_the_sessions_stay(self):
        second = RedisServer(self)
        a, b = (f"redis://127.0.0.1:{free_port()}" for _ in range(2))
        both = [pool([self.redis[0]], name="first", listen=a, stamp="no"), pool([second], name="second", listen=b)]
        self.reload(*both)
        wait_until(self.try_sets("second"), what="the pool")
        with self.sheaf.connect("first") as old:
            self.assertEqual(old.ask("SET", "who", "first"), "OK")
            self.assertEqual(self.ask("second", "SET", "who", "second"), "OK")
            self.reload(pool([self.redis[0]], name="first", listen=b, stamp="no"),
                        pool([second], name="second", listen=a))
            self.assertEqual(old.ask("GET", "who"), b"first")
        for name in ("first", "second"):
            wait_until(lambda n=name: self.ask(n, "GET", "who") == n.encode(), what="the listener")

    def test_a_listener_widens_and_narrows_its_address_on_its_port(self):
        port = self.sheaf.target("first")[1]
        with self.sheaf.connect("first") as session:
            for generation, host in ((2, "0.0.0.0"), (3, "127.0.0.1"), (4, "0.0.0.0")):
                self.sheaf.reload((self.first[0], {**self.first[1], "listen": f"redis://{host}:{port}",
                                                   "insecure_listen": "anyone may connect"}))
                wait_until(lambda g=generation: self.sheaf.status()["generation"] == g)
                self.assertEqual(session.ask("PING"), "PONG")
                with RespSession(("127.0.0.1", port)) as another:
                    self.assertEqual(another.ask("PING"), "PONG")

    def test_the_admin_endpoint_and_a_listener_change_places(self):
        admin, port = self.sheaf.admin_port, self.sheaf.target("first")[1]
        self.sheaf.admin_port = port
        self.sheaf.reload((self.first[0], {**self.first[1], "listen": f"redis://127.0.0.1:{admin}"}),
                          proxy={"admin": f"http://127.0.0.1:{port}"})
        wait_until(lambda: "configuration reloaded" in self.sheaf.log)
        wait_until(lambda: self.try_status() == 2, what="the admin endpoint at its new port")
        wait_until(lambda: self.ask("first", "PING") == "PONG")

    def try_status(self):
        try:
            return self.sheaf.status()["generation"]
        except (OSError, ValueError, http.client.HTTPException):
            return None

    def test_the_number_of_upstreams_changes_under_load(self):
        with Load(self.sheaf, 2, name="first", threads=6) as load:
            for each in (3, 1, 5, 2, 1):
                wait_until(load.ops(800), what="load")
                self.reload(self.changed(upstreams=each))
            wait_until(load.ops(800), what="load")
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])

    def test_who_is_given_another_upstream_does_not_overtake_itself(self):
        faults = Faults(self, ("127.0.0.1", self.redis[0].port))
        self.reload(self.changed(shard=faults.url, stamp="no"))
        sessions = [self.sheaf.connect() for _ in range(8)]
        for n, session in enumerate(sessions):
            self.addCleanup(session.close)
            self.assertEqual(session.ask("SET", f"k{n}", "old"), "OK")
        faults.ask_delay = 0.3
        for n, session in enumerate(sessions):
            session.send(encode("SET", f"k{n}", "new"))
        wait_until(lambda: faults.late_asks > 0, what="a request to be late")
        self.reload(self.changed(shard=faults.url, stamp="no", upstreams=3))
        faults.ask_delay = 0
        for n, session in enumerate(sessions):
            session.send(encode("GET", f"k{n}"))
        for session in sessions:
            self.assertEqual([session.reply(), session.reply()], ["OK", b"new"])

    def test_many_reloads_leave_nothing_behind(self):
        for turn in range(3):
            self.reload(self.first, pool([RedisServer(self)], name=f"p{turn}", probe="no"))
            wait_until(self.try_sets(f"p{turn}"))
        before = self.sheaf.process.open_files()
        others = RedisServer(self)
        for turn in range(12):
            self.reload(self.first, pool([others], name=f"q{turn}", stamp="no", probe="no"))
            wait_until(self.try_sets(f"q{turn}"))
        wait_until(lambda: self.sheaf.process.open_files() <= before + 8, what="what went to be closed")


class Shards(ReloadCase):
    def test_a_swapped_map_is_refused_even_where_connections_stand(self):
        with self.sheaf.connect() as session:
            for key in self.keys:
                self.assertEqual(session.ask("SET", key, key), "OK")
            self.reload(self.changed(shard=[r.url for r in reversed(self.redis)]))
            for key in self.keys:
                reply = self.until_refused(session, key)
                self.assertIn("stamp", reply)
            self.reload(self.first)
            for key in self.keys:
                wait_until(lambda k=key: session.ask("GET", k) == k.encode(), what="the right map")

    def until_refused(self, session, key):
        """The error; what comes before it may only be right."""
        for _ in range(1000):
            reply = session.ask("GET", key)
            if isinstance(reply, Failure):
                return reply
            self.assertEqual(reply, key.encode())
        raise AssertionError("the wrong map was not refused")

    def test_another_hash_is_refused_where_connections_stand(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("MSET", self.keys[0], "1", self.keys[1], "2"), "OK")
            self.reload(self.changed(hash="md5"))
            wait_until(lambda: isinstance(session.ask("GET", "anything"), Failure), what="the refusal")

    def test_a_shard_that_is_added_to_an_unstamped_pool_takes_its_keys(self):
        more = RedisServer(self)
        self.reload(self.changed(stamp="no"))
        self.reload(self.changed(stamp="no", shard=[r.url for r in [*self.redis, more]]))
        keys = [k[0] for k in keys_on_shards(3, prefix="added")]
        with self.sheaf.connect() as session:
            for key, redis in zip(keys, [*self.redis, more]):
                wait_until(lambda k=key, r=redis: session.ask("SET", k, "1") == "OK" and r.ask("GET", k) == b"1")

    def test_shards_come_and_go_under_load_and_every_request_is_answered(self):
        more = RedisServer(self)
        wrong, stop = [], threading.Event()

        def work(number):
            try:
                with self.sheaf.connect("first") as session:
                    while not stop.is_set():
                        keys = [f"w{number}:{n}" for n in range(20)]
                        replies = session.ask_all(*[("SET", k, k) for k in keys], ("MGET", *keys),
                                                  *[("GET", k) for k in keys])
                        wrong.extend(r for r in replies if isinstance(r, Failure))
                        found = replies[20] + replies[21:]
                        wrong.extend(x for x, k in zip(found, keys * 2) if x not in (None, k.encode()))
            except Exception as error:  # pylint: disable=broad-except
                wrong.append(repr(error))

        self.reload(self.changed(stamp="no"))
        threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
        for thread in threads:
            thread.start()
        for turn in range(10):
            servers = [*self.redis, more] if turn % 2 == 0 else self.redis[::-1] if turn % 3 else self.redis
            self.reload(self.changed(stamp="no", shard=[r.url for r in servers]))
        stop.set()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong[:3], [])

    def test_a_shard_that_goes_answers_what_it_was_asked(self):
        self.reload(self.changed(stamp="no", timeout="20s"))
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", self.keys[1], "1"), "OK")
            self.redis[1].stop()
            session.send(encode("GET", self.keys[1]) * 3)
            self.reload(self.changed(stamp="no", timeout="20s", shard=self.redis[0].url))
            self.redis[1].cont()
            self.assertEqual([session.reply() for _ in range(3)], [b"1"] * 3)
            wait_until(lambda: session.ask("GET", self.keys[1]) is None, what="the other shard to be asked")

    def test_a_shard_that_goes_and_is_lost_tells_who_waits(self):
        faults = [Faults(self, ("127.0.0.1", r.port)) for r in self.redis]
        urls = [f.url for f in faults]
        self.reload(self.changed(stamp="no", timeout="20s", shard=urls))
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", self.keys[1], "1"), "OK")
            self.redis[1].stop()
            # More than the sockets hold, so that some of it is never sent.
            session.send(encode("SET", self.keys[1], b"x" * 3_000_000) + encode("GET", self.keys[1]) * 3)
            self.reload(self.changed(stamp="no", timeout="20s", shard=urls[:1]))
            faults[1].close()
            for _ in range(4):
                self.assertNotEqual(session.reply(), b"", "each is answered: an error, or from the other shard")
            self.assertEqual(session.ask("PING"), "PONG")
        self.redis[1].cont()

    def test_transactions_and_waiting_clients_live_through_a_reload(self):
        with self.sheaf.connect() as watcher, self.sheaf.connect() as waiter:
            self.assertEqual(watcher.ask("WATCH", self.keys[0]), "OK")
            waiter.send(encode("BLPOP", "{%s}list" % self.keys[1], "0"))
            self.reload(self.changed(timeout="3s"), pool(self.redis[:1], name="second", stamp="no"))
            self.assertEqual(watcher.ask("MULTI"), "OK")
            self.assertEqual(watcher.ask("SET", self.keys[0], "1"), "QUEUED")
            self.assertEqual(watcher.ask("EXEC"), ["OK"])
            self.ask("first", "RPUSH", "{%s}list" % self.keys[1], "x")
            self.assertEqual(waiter.reply()[1], b"x")

    def test_reloads_while_upstreams_log_in(self):
        faults = [Faults(self, ("127.0.0.1", r.port)) for r in self.redis]
        for fault in faults:
            fault.delay = 0.05
        section = self.changed(shard=[f.url for f in faults], stamp="no", connect_timeout="5s")
        with Load(self.sheaf, 2, name="first", threads=2, depth=4) as load:
            for turn in range(8):
                self.reload((section[0], {**section[1], "timeout": f"{turn + 5}s"}))
                for fault in faults:
                    fault.cut()
            for fault in faults:
                fault.heal()
            wait_until(load.ops(200), what="load")
            load.stop()
            load.check(self, lost=False)


class BadFiles(ReloadCase):
    def test_nothing_changes_and_every_reason_is_told(self):
        files = self.sheaf.process.open_files()
        with Load(self.sheaf, 2, name="first", threads=2) as load:
            wait_until(load.ops(500), what="load")
            before = [upstreams(r) for r in self.redis]
            for wrong, words in (("timeot = 1s", "timeot"), ("timeout = 12345", "12345"),
                                 ("listen = redis://0.0.0.0:7000", "0.0.0.0"), ("[memory qqq]", "qqq")):
                good = self.sheaf.text
                self.sheaf.reload(text=good + wrong + "\n")
                wait_until(lambda w=words: w in self.sheaf.log, what="the reason")
                self.sheaf.write(text=good)
                wait_until(load.ops(200), what="load")
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])
            self.assertEqual([upstreams(r) for r in self.redis], before)
        wait_until(lambda: self.sheaf.process.open_files() <= files + 6)

    def test_an_address_that_others_have_refuses_the_whole_reload(self):
        taken = self.redis[0].port
        self.sheaf.reload(self.changed(timeout="3s"),
                          pool(self.redis[:1], name="second", listen=f"redis://127.0.0.1:{taken}"))
        wait_until(lambda: "reload refused" in self.sheaf.log, what="the refusal")
        self.assertIn(str(taken), self.sheaf.log)
        self.sheaf.write(self.first)
        self.assertEqual(self.sheaf.ask("SET", "a", "1"), "OK")

    def test_each_reload_is_answered_in_the_log_however_soon_it_follows(self):
        taken = pool(self.redis[:1], name="second", listen=f"redis://127.0.0.1:{self.redis[0].port}")
        for turn in (1, 2, 3):
            self.sheaf.reload(self.first, taken)
            wait_until(lambda n=turn: f"nothing was changed reload={2 * n - 1} " in self.sheaf.log)
            self.sheaf.reload(self.first)
            wait_until(lambda n=turn: f"configuration reloaded reload={2 * n} " in self.sheaf.log)

    def test_the_number_of_workers_stays_and_that_is_told(self):
        threads = self.threads()
        self.reload(self.first, proxy={"workers": 3})
        self.assertIn("workers", self.sheaf.log)
        self.assertEqual(self.threads(), threads)
        self.assertEqual(self.sheaf.ask("SET", "a", "1"), "OK")

    def threads(self):
        import os
        return len(os.listdir(f"/proc/{self.sheaf.process.pid}/task"))


class Drain(ReloadCase):
    def test_a_pipeline_that_was_sent_is_answered_whole(self):
        """Also what had not been read from the socket yet when SIGTERM came."""
        count = 20_000
        with self.sheaf.connect() as session:
            session.ask("SET", self.keys[0], "1")
            self.redis[0].stop()
            sender = threading.Thread(target=session.send, args=(encode("INCR", self.keys[0]) * count,))
            sender.start()
            self.redis[0].cont()
            self.assertEqual(session.reply(), 2)
            self.sheaf.terminate()
            for number in range(3, count + 2):
                self.assertEqual(session.reply(), number)
            sender.join()
            self.assertTrue(session.at_end())
        self.assertEqual(self.sheaf.wait(), 0)

    def test_under_load_no_reply_is_cut(self):
        broken, ended = [], []

        def work(number):
            session = self.sheaf.connect()
            done = 0
            try:
                while True:
                    session.send(encode("SET", f"d{number}", done) + encode("GET", f"d{number}"))
                    if session.reply() != "OK" or session.reply() != b"%d" % done:
                        broken.append(number)
                    done += 1
            except (EOFError, ConnectionError):
                if session._buffer:  # pylint: disable=protected-access
                    broken.append(session._buffer)  # pylint: disable=protected-access
                ended.append(done)
            except Exception as error:  # pylint: disable=broad-except
                broken.append(repr(error))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        wait_until(lambda: int(self.redis[0].ask("INFO", "stats").decode()
                               .split("total_commands_processed:")[1].split()[0]) > 500)
        began = time.monotonic()
        self.sheaf.process.signal(signal.SIGTERM)
        self.assertEqual(self.sheaf.wait(), 0)
        self.assertLess(time.monotonic() - began, 2 * SLOW, "nobody was busy for so long")
        for thread in threads:
            thread.join()
        self.assertEqual(broken[:3], [])
        self.assertEqual(len(ended), 8)

    def test_idle_and_waiting_sessions_do_not_hold_it_up(self):
        with self.sheaf.connect() as idle, self.sheaf.connect() as waiter, self.sheaf.connect() as listener:
            idle.ask("PING")
            waiter.send(encode("BLPOP", "nothing", "0"))
            self.assertEqual(listener.ask("SUBSCRIBE", "channel")[0], b"subscribe")
            began = time.monotonic()
            self.sheaf.terminate()
            self.assertEqual(self.sheaf.wait(), 0)
            self.assertLess(time.monotonic() - began, 1.5 * SLOW)


if __name__ == "__main__":
    main()
