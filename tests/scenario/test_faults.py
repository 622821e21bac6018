#!/usr/bin/python3
# not under tsan: what its threads share is in test_health.py
"""Servers that die, stand still, are slow or answer nonsense; clients that behave badly.

Whatever happens: no reply reaches the wrong request, no acknowledged write is lost on a shard that
lived, no session is closed, and the shards that live do not notice."""
import os
import socket
import struct
import subprocess
import threading
import time

from lib import *
from test_hostile import Liar

LONG = os.environ.get("SHEAF_LONG") == "1"


class FaultCase(Case):
    def start(self, shards=3, through_faults=False, proxy=None, **options):
        self.redis = [RedisServer(self) for _ in range(shards)]
        self.faults = [Faults(self, ("127.0.0.1", r.port)) for r in self.redis] if through_faults else []
        self.sheaf = Sheaf(self, pool(self.faults or self.redis, **{"timeout": "400ms", "backoff_max": "200ms", **options}),
                           proxy=proxy)
        self.keys = [keys[0] for keys in keys_on_shards(shards)]

    def names(self, reply, shard):
        """The reply is an error that names the shard and its endpoint."""
        self.assertIsInstance(reply, Failure)
        self.assertIn((self.faults or self.redis)[shard].address, reply)
        self.assertIn(f"shard {shard} (", reply)

    def fails_or_is(self, reply, shard, value):
        """A read may be tried again on a new upstream; what must not be is a wrong value."""
        if reply != value:
            self.names(reply, shard)

    def garble(self, shard, garbage, key):
        """The reply to the next request with this key is garbage."""
        self.faults[shard].garbage_after = key.encode()
        self.faults[shard].garbage = garbage

    def answers(self, shard):
        return lambda: self.sheaf.ask("SET", self.keys[shard], "again") == "OK"


class ServersUnderLoad(FaultCase):
    def only_shard(self, load, shard):
        """Errors were told for keys of this shard alone, and named it."""
        for number, errors in enumerate(load.errors):
            if number != shard:
                self.assertEqual(errors[:3], [], f"errors of shard {number}, which lived")
        for _, text in load.errors[shard]:
            self.names(Failure(text), shard)

    def test_a_shard_that_is_killed_fails_alone_and_comes_back(self):
        self.start()
        with Load(self.sheaf, 3) as load:
            wait_until(load.ops(5000), what="load")
            self.redis[1].kill9()
            wait_until(lambda: load.errors[1], what="errors of the shard that is dead")
            wait_until(load.ops(5000), what="load beside the dead shard")
            self.redis[1].restart()
            wait_until(self.answers(1), what="the shard to be used again")
            load.stop()
            self.only_shard(load, 1)
            # What the killed server held is gone with it; so its losses are no fault.
            load.check(self, lost=False)
            self.assertEqual([x for x in load.lost if shard_of(x.split()[0], 3) != 1], [])

    def test_a_dead_shard_answers_at_once(self):
        self.start()
        self.redis[1].kill9()
        with self.sheaf.connect() as session:
            self.names(session.ask("GET", self.keys[1]), 1)
            began = time.monotonic()
            for reply in session.ask_all(*[("GET", self.keys[1])] * 200):
                self.names(reply, 1)
            self.assertLess(time.monotonic() - began, 0.4 * SLOW, "200 errors: less than one timeout")

    def test_a_shard_that_stands_still_costs_its_own_requests_their_deadline_and_no_more(self):
        self.start()
        with Load(self.sheaf, 3) as load:
            wait_until(load.ops(2000), what="load")
            self.redis[2].stop()
            wait_until(lambda: load.errors[2], what="requests to time out")
            with self.sheaf.connect() as session:
                began = time.monotonic()
                self.assertEqual(session.ask("SET", self.keys[0], "x"), "OK")
                self.assertLess(time.monotonic() - began, 0.2 * SLOW)
            self.redis[2].cont()
            wait_until(self.answers(2), what="the shard to be used again")
            load.forget_errors()
            wait_until(load.ops(5000), what="load afterwards")
            load.stop()
            load.check(self)
            self.only_shard(load, 2)

    def test_a_shard_that_is_restarted_again_and_again(self):
        self.start(shards=2)
        with Load(self.sheaf, 2) as load:
            for _ in range(5):
                wait_until(load.ops(1000), what="load")
                self.redis[0].restart()
                wait_until(self.answers(0), what="the shard to be used again")
            load.stop()
            self.only_shard(load, 0)
            load.check(self, lost=False)

    def test_connections_are_cut_under_load_and_no_reply_crosses(self):
        self.start(through_faults=True)
        with Load(self.sheaf, 3, threads=4) as load:
            goal = load.ops(1_000_000 if LONG else 60_000)
            turn = 0
            while not goal():
                wait_until(load.ops(500), what="load", seconds=30)
                self.faults[turn % 3].cut()
                turn += 1
            load.stop()
            load.check(self)
            self.assertGreater(turn, 3)

    def test_replies_are_cut_short_under_load_and_no_reply_crosses(self):
        self.start(through_faults=True)
        with Load(self.sheaf, 3) as load:
            for turn in range(12):
                wait_until(load.ops(300), what="load", seconds=30)
                self.faults[turn % 3].cut_after = 7 + 13 * turn
                wait_until(lambda t=turn: load.errors[t % 3], what="errors")
                self.faults[turn % 3].heal()
                wait_until(self.answers(turn % 3), what="the shard to be used again")
                load.forget_errors()
            load.stop()
            load.check(self)

    def test_garbage_under_load_reaches_nobody(self):
        self.start(through_faults=True)
        with Load(self.sheaf, 3) as load:
            for turn, garbage in enumerate((b"garbage\r\n", b"\x00\xff\x00\xff", b"$-7\r\n", b"*9999999999\r\n", b":12a\r\n",
                                            b"$3\r\nabcde\r\n")):
                wait_until(load.ops(300), what="load", seconds=30)
                for _ in range(20):     # a probe may get it
                    self.faults[turn % 3].garbage = garbage
                    wait_until(lambda t=turn: self.faults[t % 3].garbage is None, what="it to be sent")
                    time.sleep(0.05 * SLOW)
                    if load.errors[turn % 3]:
                        break
                self.assertTrue(load.errors[turn % 3], garbage)
                wait_until(self.answers(turn % 3), what="the shard to be used again")
                load.forget_errors()
            load.stop()
            load.check(self)

    def test_late_replies_are_swallowed(self):
        self.start(through_faults=True)
        with Load(self.sheaf, 3, threads=2, depth=4) as load:
            for _ in range(3):
                wait_until(load.ops(200), what="load", seconds=30)
                self.faults[1].delay = 0.7
                wait_until(lambda: load.errors[1], what="requests to time out")
                self.faults[1].heal()
                wait_until(self.answers(1), what="the shard to be used again")
                load.forget_errors()
            load.stop()
            load.check(self)


class Servers(FaultCase):
    def test_a_request_that_times_out_is_answered_at_its_deadline_and_others_on_its_upstream_live(self):
        timeout = 0.6 * SLOW
        self.start(shards=1, timeout=f"{int(timeout * 1000)}ms", probe="no", proxy={"workers": 1})
        with self.sheaf.connect() as slow, self.sheaf.connect() as patient:
            self.assertEqual(slow.ask("SET", "a", "1"), "OK")
            opened = self.upstreams_opened()
            self.redis[0].stop()
            began = time.monotonic()
            slow.send(encode("GET", "a"))
            time.sleep(timeout * 0.7)
            patient.send(encode("GET", "a"))
            self.names(slow.reply(), 0)
            waited = time.monotonic() - began
            self.assertGreater(waited, timeout * 0.95)
            self.assertLess(waited, timeout * 1.5)
            self.redis[0].cont()
            self.assertEqual(patient.reply(), b"1")
            self.assertEqual([slow.ask("ECHO", "x"), slow.ask("GET", "a")], [b"x", b"1"])
            self.assertEqual(self.upstreams_opened(), opened)

    def upstreams_opened(self):
        return self.sheaf.status()["pools"][0]["shards"][0]["totals"]["upstreams_opened"]

    def test_replies_to_others_do_not_put_off_a_deadline(self):
        """Each request is answered 0.75 of the timeout behind the one before it."""
        timeout = 0.4 * SLOW
        server = Liar(self, lambda data: time.sleep(timeout * 0.75) or b"$1\r\nx\r\n")
        sheaf = Sheaf(self, pool([server], timeout=f"{int(timeout * 1000)}ms", stamp="no", probe="no"), proxy={"workers": 1})
        sessions = [sheaf.connect() for _ in range(2)]
        for session in sessions:
            self.addCleanup(session.close)
            session.send(encode("GET", "a"))
            time.sleep(0.05)  # the server shall read one by one
        self.assertEqual(sessions[0].reply(), b"x")
        began = time.monotonic()
        self.assertIn("no reply within timeout", sessions[1].reply())
        self.assertLess(time.monotonic() - began, timeout * 0.6)

    def test_a_large_reply_may_take_longer_than_timeout_while_it_comes_and_no_pause_may(self):
        value = os.urandom(1 << 20)
        self.start(shards=1, through_faults=True, timeout=f"{int(400 * SLOW)}ms", probe="no")
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "big", value), "OK")
            self.faults[0].delay = 0.05 * SLOW
            began = time.monotonic()
            self.assertTrue(session.ask("GET", "big") == value)
            self.assertGreater(time.monotonic() - began, 0.4 * SLOW, "it took longer than timeout")
            session.send(encode("GET", "big"))
            time.sleep(0.3 * SLOW)
            self.faults[0].hush()
            began = time.monotonic()
            with self.assertRaises((EOFError, ConnectionResetError)):
                session.reply()
            self.assertLess(time.monotonic() - began, 1.0 * SLOW)

    def test_the_deadline_of_a_big_request_begins_when_the_last_of_it_is_sent(self):
        faults = Faults(self, ("127.0.0.1", RedisServer(self).port), unix=True)
        sheaf = Sheaf(self, pool([faults], timeout=f"{int(300 * SLOW)}ms", probe="no"), proxy={"workers": 1})
        with sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")
            faults.ask_delay = 0.01
            self.assertEqual(session.ask("SET", "big", b"x" * int(4_000_000 * SLOW)), "OK")

    def test_a_request_that_could_not_be_sent_in_time_is_never_carried_out(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([f"redis+unix://{redis.socket}"], timeout="200ms", connect_timeout="200ms",
                                 backoff_max="100ms", probe="no"), proxy={"workers": 1})
        with sheaf.connect() as big, sheaf.connect() as small:
            self.assertEqual(small.ask("SET", "n", "1"), "OK")
            redis.stop()
            big.send(encode("SET", "big", b"x" * 2_000_000))  # more than the socket holds
            wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 1, what="it to be under way")
            self.assertIn("it was not carried out", small.ask("INCR", "n"))
            self.assertIn("may have been carried out", big.reply())
            redis.cont()
            self.assertEqual(wait_until(lambda: reply if isinstance(reply := small.ask("GET", "n"), bytes) else None),
                             b"1")
            self.assertIsNone(small.ask("GET", "big"))

    def test_a_server_that_hangs_is_refused_at_once_though_every_client_left_before_the_timeout(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], timeout="200ms", probe="no"), proxy={"workers": 1})
        self.assertEqual(sheaf.ask("SET", "a", "1"), "OK")
        redis.stop()
        with sheaf.connect() as hasty:
            hasty.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # a reset
            hasty.send(encode("GET", "a"))
            wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 1, what="it to be under way")
        wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 0, what="it to be left")
        wait_until(lambda: "has not answered for longer than timeout" in sheaf.ask("GET", "a"), what="the refusal")
        redis.cont()
        wait_until(lambda: sheaf.ask("GET", "a") == b"1", what="it to be used again")

    def test_garbage_from_a_server_is_never_given_to_a_client(self):
        for garbage in (b"garbage\r\n", b"\x00\xff\x00\xff", b"$-7\r\n", b"*9999999999\r\n", b":12a\r\n",
                        b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$3\r\nabcde\r\n", b"+without an end",
                        b"+" + b"x" * 20_000):
            with self.subTest(garbage[:20]):
                self.start(shards=2, through_faults=True)
                with self.sheaf.connect() as session:
                    self.assertEqual(session.ask("SET", self.keys[0], "1"), "OK")
                    self.garble(0, garbage, self.keys[0])
                    self.fails_or_is(session.ask("GET", self.keys[0]), 0, b"1")
                    self.assertIsNone(self.faults[0].garbage, "the garbage was sent")
                    self.garble(0, garbage, self.keys[0])
                    refused = session.ask("INCR", self.keys[0])
                    self.names(refused, 0)
                    self.assertEqual(session.ask("SET", self.keys[1], "1"), "OK")
                    # The error tells whether it was sent; if it was not, it must not have counted.
                    value = b"2" if "may have been carried out" in str(refused) else b"1"
                    wait_until(lambda s=session: s.ask("GET", self.keys[0]) == value,
                               what="a new upstream to be used")

    def test_a_reply_that_nobody_asked_for_ends_the_upstream(self):
        self.start(shards=1, through_faults=True)
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")
            self.garble(0, b"$1\r\n1\r\n+one too many\r\n", "$1\r\na\r\n")
            self.assertEqual(session.ask("GET", "a"), b"1")
            for _ in range(100):
                reply = session.ask("GET", "a")
                self.assertTrue(reply == b"1" or isinstance(reply, Failure), reply)
            self.assertEqual(wait_until(lambda: session.ask("GET", "a")), b"1")

    def test_an_error_without_a_space_is_an_error_and_nothing_else(self):
        self.start(shards=1, through_faults=True)
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")
            self.garble(0, b"-keyalreadyexists\r\n", "$1\r\na\r\n")
            self.assertEqual(session.ask("GET", "a"), "keyalreadyexists")
            self.assertIsInstance(session.ask("GET", "a"), bytes)

    def test_replies_that_come_byte_by_byte_are_whole(self):
        self.start(shards=2, through_faults=True)
        with self.sheaf.connect() as session:
            self.faults[0].one_byte = self.faults[1].one_byte = True
            a, b = self.keys
            self.assertEqual(session.ask("MSET", a, "x" * 300, b, "\r\n" * 50), "OK")
            self.assertEqual(session.ask("MGET", b, a, "none"), [b"\r\n" * 50, b"x" * 300, None])

    def test_a_big_reply_that_ends_in_the_middle_is_not_taken_for_a_whole_one(self):
        self.start(shards=2, through_faults=True)
        value = b"v" * (1 << 20)
        with self.sheaf.connect() as session, self.sheaf.connect() as other:
            self.assertEqual(session.ask("SET", self.keys[0], value), "OK")
            self.faults[0].cut_after = 300_000
            try:
                self.names(session.ask("GET", self.keys[0]), 0)
            except (EOFError, ConnectionResetError):
                pass  # its beginning had gone out already, so only an end is honest
            self.assertEqual(other.ask("SET", self.keys[1], "1"), "OK")
            self.faults[0].heal()
            wait_until(lambda: other.ask("GET", self.keys[0]) == value)

    def test_a_long_line_whose_end_does_not_come_is_not_taken_for_a_whole_one(self):
        self.start(shards=2, through_faults=True)
        with self.sheaf.connect() as session, self.sheaf.connect() as other:
            self.assertEqual(other.ask("SET", self.keys[0], "1"), "OK")
            self.garble(0, b"+" + b"x" * 200_000, self.keys[0])
            try:
                self.names(session.ask("GET", self.keys[0]), 0)
            except (EOFError, ConnectionResetError):
                pass  # as above
            self.assertIsNone(self.faults[0].garbage, "the garbage was sent")
            self.assertEqual(other.ask("SET", self.keys[1], "1"), "OK")
            wait_until(lambda: other.ask("GET", self.keys[0]) == b"1")

    def test_a_server_that_takes_connections_and_never_answers(self):
        self.start(shards=2, through_faults=True)
        self.faults[0].black_hole = True
        self.faults[0].cut()
        with self.sheaf.connect() as session:
            began = time.monotonic()
            replies = session.ask_all(("GET", self.keys[0]), ("SET", self.keys[1], "1"))
            self.names(replies[0], 0)
            self.assertEqual(replies[1], "OK")
            self.assertLess(time.monotonic() - began, 4 * SLOW)
            self.faults[0].heal()
            self.faults[0].cut()
            wait_until(lambda: session.ask("SET", self.keys[0], "1") == "OK")

    def test_a_connection_that_takes_requests_and_never_answers_is_given_up_after_tombstone_timeout(self):
        self.start(shards=1, through_faults=True, tombstone_timeout="1s", breaker_failures=1000)
        with self.sheaf.connect() as first, self.sheaf.connect() as second:
            for session, name in ((first, "one"), (second, "two")):
                self.assertEqual(session.ask("SET", name, f"value of {name}"), "OK")
            self.faults[0].hush()
            taken, begun = self.faults[0].accepted, time.monotonic()
            self.names(first.ask("GET", "one"), 0)
            self.assertLess(time.monotonic() - begun, 0.9 * SLOW, "its timeout is 400 ms")
            wait_until(lambda: "nothing was heard from it for tombstone_timeout" in self.sheaf.log,
                       what="the connection to be given up")
            self.assertGreaterEqual(time.monotonic() - begun, 0.99)
            wait_until(lambda: second.ask("GET", "two") == b"value of two", what="a new connection")
            self.assertGreater(self.faults[0].accepted, taken)
            for _ in range(50):
                self.assertEqual(first.ask("GET", "one"), b"value of one")
                self.assertEqual(second.ask("GET", "two"), b"value of two")

    def test_a_server_that_closes_every_connection_is_tried_ever_more_rarely_and_refused_at_once(self):
        faults = Faults(self, ("127.0.0.1", RedisServer(self).port))
        sheaf = Sheaf(self, pool([faults], backoff_min="50ms", backoff_max="10s", probe="no"), proxy={"workers": 1})
        faults.cut_after = 0
        with sheaf.connect() as session:
            asked, end = 0, time.monotonic() + 1
            while time.monotonic() < end:
                self.assertIn(faults.address, session.ask("GET", "a"))
                asked += 1
        # After 50, 100, 200, 400 ms, each of them or half of it.
        self.assertLess(faults.accepted, 10)
        self.assertGreater(asked, 50)

    def test_errors_that_speak_of_the_servers_state_pass_and_cost_no_connection(self):
        self.start(shards=1, through_faults=True, probe="no")
        redis, faults = self.redis[0], self.faults[0]
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "small", "1"), "OK")
            before = faults.accepted
            redis.ask("CONFIG", "SET", "maxmemory", "1")
            self.assertEqual(session.ask("SET", "b", "x").code, "OOM")
            self.assertEqual(session.ask("GET", "small"), b"1")
            redis.ask("CONFIG", "SET", "maxmemory", "0")
            self.assertEqual(session.ask("SET", "b", "x"), "OK")
            for error in ("BUSY Redis is busy running a script.", "LOADING Redis is loading the dataset in memory",
                          "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                          "READONLY You can't write against a read only replica."):
                self.garble(0, f"-{error}\r\n".encode(), "small")
                self.assertEqual(session.ask("GET", "small"), error)
                self.assertEqual(wait_until(lambda: session.ask("GET", "small")), b"1")
            self.assertEqual(faults.accepted, before)

    def test_a_server_that_turns_into_a_replica_is_told_by_its_own_error(self):
        self.start(shards=1)
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")
            self.redis[0].ask("REPLICAOF", "127.0.0.1", "1")
            self.assertEqual(session.ask("SET", "a", "2").code, "READONLY")
            self.redis[0].ask("REPLICAOF", "NO", "ONE")
            wait_until(lambda: session.ask("SET", "a", "3") == "OK")

    def test_a_name_whose_address_changes_is_followed_without_a_restart(self):
        library, names = self.folder() / "names.so", self.folder() / "names"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library,
                        REPOSITORY / "tests/scenario/modules/names.c"], check=True)
        names.write_text("shard.test 127.0.0.1\n")
        servers = [RedisServer(self) for _ in range(2)]
        first = Faults(self, ("127.0.0.1", servers[0].port))
        second = Faults(self, ("127.0.0.1", servers[1].port), at=("127.0.0.2", first.port))
        sheaf = Sheaf(self, pool([f"redis://shard.test:{first.port}"], backoff_max="200ms"),
                      proxy={"resolve_interval": "1s"}, env={"LD_PRELOAD": str(library), "TEST_NAMES": str(names)})
        self.assertEqual(sheaf.ask("SET", "a", "first"), "OK")
        names.write_text("shard.test 127.0.0.2\n")
        self.assertEqual(sheaf.ask("GET", "a"), b"first", "connections that stand are kept")
        first.close()
        wait_until(lambda: sheaf.ask("SET", "a", "second") == "OK", what="the shard at its new address")
        self.assertEqual([server.ask("GET", "a") for server in servers], [b"first", b"second"])

    def test_a_pool_whose_servers_all_are_down_at_the_start_serves_them_when_they_come(self):
        self.redis = [RedisServer(self), RedisServer(self)]
        self.faults = []
        self.keys = [keys[0] for keys in keys_on_shards(2)]
        for redis in self.redis:
            redis.kill9()
        self.sheaf = Sheaf(self, pool(self.redis, backoff_max="200ms"))
        with self.sheaf.connect() as session:
            for shard in range(2):
                self.names(session.ask("GET", self.keys[shard]), shard)
            for redis in self.redis:
                redis.restart()
            for shard in range(2):
                wait_until(lambda s=shard: session.ask("SET", self.keys[s], "1") == "OK")


class BadClients(FaultCase):
    def test_a_client_that_stops_reading_costs_a_bounded_memory_and_gives_it_back(self):
        self.start(shards=2, max_session_memory="4mb", max_request="2mb")
        self.sheaf.ask("SET", f"{{{self.keys[0]}}}big", b"x" * (1 << 20))
        before = self.sheaf.process.memory_kib()
        greedy = self.sheaf.connect()
        greedy.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        greedy.send(encode("GET", f"{{{self.keys[0]}}}big") * 200)
        with self.sheaf.connect() as other:
            most = 0
            for n in range(2000):
                # The same shard: whoever reads must not wait for the one who does not.
                self.assertEqual(other.ask("SET", self.keys[n % 2], n), "OK")
                most = max(most, self.sheaf.process.memory_kib())
        if SLOW == 1:
            self.assertLess(most - before, 3 * 4096, "growth in KiB beside a limit of 4096")
        greedy.close()
        wait_until(lambda: self.sheaf.ask("PING") == "PONG")
        if SLOW == 1:
            wait_until(lambda: self.sheaf.process.memory_kib() - before < 4096, what="memory to be given back")

    def test_a_client_that_stops_reading_and_reads_again_gets_everything(self):
        self.start(shards=2, max_session_memory="2mb", max_request="1mb")
        values = [bytes([65 + n]) * (1 << 18) for n in range(8)]
        with self.sheaf.connect() as session:
            for n, value in enumerate(values):
                session.ask("SET", f"big:{n}", value)
            session.send(b"".join(encode("GET", f"big:{n % 8}") for n in range(160)))
            self.assertEqual(self.sheaf.ask("SET", "between", "1"), "OK")
            for n in range(160):
                self.assertTrue(session.reply() == values[n % 8], f"reply {n}")

    def test_a_client_that_half_closes_gets_its_replies_and_then_the_end(self):
        self.start(shards=2)
        with self.sheaf.connect() as session:
            session.send(encode("MSET", self.keys[0], "1", self.keys[1], "2") + encode("GET", self.keys[0])
                         + encode("MGET", *self.keys))
            session.socket.shutdown(socket.SHUT_WR)
            self.assertEqual([session.reply() for _ in range(3)], ["OK", b"1", [b"1", b"2"]])
            self.assertTrue(session.at_end())

    def test_a_client_that_sends_byte_by_byte_is_understood(self):
        self.start(shards=2)
        with self.sheaf.connect() as session:
            for byte in encode("SET", self.keys[0], "a\r\nb") + encode("MGET", *self.keys) + b"PING\r\n":
                session.send(bytes([byte]))
            self.assertEqual([session.reply() for _ in range(3)], ["OK", [b"a\r\nb", None], "PONG"])

    def test_clients_that_leave_in_the_middle_do_not_disturb_others(self):
        self.start(shards=2, through_faults=True)
        for key in self.keys:
            self.sheaf.ask("SET", f"big:{key}", b"x" * 200_000)
        with Load(self.sheaf, 2, threads=2) as load:
            for n in range(200):
                with self.sheaf.connect() as session:
                    if n % 3 == 0:
                        session.send(encode("GET", f"big:{self.keys[n % 2]}") * 20)
                    elif n % 3 == 1:
                        session.send(encode("SET", "half", b"x" * 10_000)[:5000])
                    else:
                        session.send(encode("MGET", *self.keys) * 5)
                        session.reply()
            wait_until(load.ops(1000), what="load")
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])

    def test_clients_that_send_garbage_do_not_disturb_others(self):
        self.start(shards=2)
        with Load(self.sheaf, 2, threads=2) as load:
            for garbage in (os.urandom(5000), b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01" * 50,
                            b"*3\r\n$3\r\nSET\r\n$-1\r\n", b"\x00" * 70_000, b"*1000000\r\n" + b"$1\r\na\r\n" * 1000):
                with self.sheaf.connect() as session:
                    try:
                        session.send(garbage)
                        session.socket.shutdown(socket.SHUT_WR)
                        while session.socket.recv(65536):
                            pass
                    except OSError:
                        pass
            wait_until(load.ops(1000), what="load")
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])

    def test_many_sessions_come_and_go_and_nothing_is_left(self):
        self.start(shards=2)
        self.sheaf.ask("PING")
        before = self.sheaf.process.open_files()

        def come_and_go():
            for _ in range(20):
                sessions = [self.sheaf.connect() for _ in range(25)]
                for number, session in enumerate(sessions):
                    session.send(encode("SET", f"go:{number}", number) + encode("GET", f"go:{number}"))
                for session in sessions[::2]:
                    session.reply()
                for session in sessions:
                    session.close()

        threads = [threading.Thread(target=come_and_go) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Upstreams of the other worker may have come to those that stood before.
        wait_until(lambda: self.sheaf.process.open_files() <= before + 8, what="sessions to be closed")
        self.assertEqual(self.sheaf.ask("PING"), "PONG")


if __name__ == "__main__":
    main()
