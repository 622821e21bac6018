#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Servers that lie and clients that want more than their share: it costs themselves, not the others."""
import contextlib
import pathlib
import resource
import signal
import socket
import threading

from lib import *


class Liar:
    """A server that the test speaks for: it greets with `greeting`, and answers each piece that comes
    with what `answer` makes of it."""

    def __init__(self, owner, answer, greeting=b""):
        self._answer, self._greeting = answer, greeting
        self.wires = []  # the sockets, as they came
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self._listener.getsockname()[1]
        self.url = f"redis://{self.address}"
        owner.addCleanup(self.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        for each in (self._listener, *self.wires):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def _accept(self):
        try:
            while True:
                wire, _ = self._listener.accept()
                wire.sendall(self._greeting)
                self.wires.append(wire)
                threading.Thread(target=self._serve, args=(wire,), daemon=True).start()
        except OSError:
            pass

    def _serve(self, wire):
        try:
            while data := wire.recv(1 << 20):
                wire.sendall(self._answer(data))
        except OSError:
            pass


class Servers(Case):
    @staticmethod
    def unread(sender):
        """Bytes that were sent on this socket and not read yet at the other end."""
        near, far = sender.getsockname()[1], sender.getpeername()[1]
        with open("/proc/net/tcp") as table:
            rows = [line.split() for line in table.readlines()[1:]]
        return next(int(row[4].split(":")[1], 16) for row in rows
                    if [int(row[i].split(":")[1], 16) for i in (1, 2)] == [far, near])

    def test_a_server_that_answers_the_login_before_it_is_asked_is_down(self):
        liar = Liar(self, lambda data: b"", greeting=b"+PONG\r\n$-1\r\n+OK\r\n")
        sheaf = Sheaf(self, pool([liar], probe="no"))
        with sheaf.connect() as session:
            for _ in range(3):
                self.assertIn("it answers the login before it is asked", session.ask("SET", "a", "x" * 100))
            for wire in liar.wires:
                wire.close()
            self.assertIn(liar.address, session.ask("SET", "a", "1"))

    def test_a_reply_too_many_is_not_given_to_a_request_that_was_not_sent_yet(self):
        liar = Liar(self, lambda data: b"+PONG\r\n" if b"PING" in data else b"+true\r\n" * data.count(b"SET"))
        sheaf = Sheaf(self, pool([liar], probe="no", stamp="no"), proxy={"workers": 1})
        tasks = list(pathlib.Path(f"/proc/{sheaf.process.pid}/task").glob("*/stat"))
        with sheaf.connect() as session:
            self.assertEqual(session.ask("SET", "a", "1"), "true")
            # What comes while it sleeps it finds together, in this order: a request, then the lie.
            sheaf.process.signal(signal.SIGSTOP)
            wait_until(lambda: all(task.read_text().rsplit(")", 1)[1].split()[0] == "T" for task in tasks),
                       what="all of it to sleep")
            for sender, piece in ((session.socket, encode("SET", "a", "2")), (liar.wires[0], b"+lie\r\n")):
                sender.sendall(piece)
                wait_until(lambda s=sender, p=piece: self.unread(s) == len(p), what="it to have arrived")
            sheaf.process.signal(signal.SIGCONT)
            self.assertEqual(session.reply(), "true")
            self.assertEqual(session.ask("SET", "a", "3"), "true")


    def test_a_socket_whose_owner_is_busy_is_not_taken_for_a_dead_one(self):
        path = self.folder() / "busy.sock"
        with socket.socket(socket.AF_UNIX) as owner, contextlib.ExitStack() as crowd:
            owner.bind(str(path))
            owner.listen(0)
            with self.assertRaises(BlockingIOError):
                for _ in range(1000):
                    one = crowd.enter_context(socket.socket(socket.AF_UNIX))
                    one.setblocking(False)
                    one.connect(str(path))
            file = self.folder() / "sheaf.ini"
            file.write_text(ini(("proxy", {"admin": "off"}),
                                pool(["redis://127.0.0.1:1"], listen=f"redis+unix://{path}")))
            code, _, err = Sheaf.command("serve", file, seconds=10)
            self.assertEqual(code, 1, err)
            self.assertIn("Address already in use", err)
            self.assertTrue(path.exists())


class Clients(Case):
    def test_when_no_file_may_be_opened_who_comes_waits_and_who_is_there_is_served(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], probe="no"), proxy={"workers": 1})
        with sheaf.connect() as first:
            self.assertEqual(first.ask("SET", "a", "1"), "OK")
            before = resource.prlimit(sheaf.process.pid, resource.RLIMIT_NOFILE)
            resource.prlimit(sheaf.process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
            with sheaf.connect() as late, socket.create_connection(("127.0.0.1", sheaf.admin_port)) as visitor:
                late.send(encode("GET", "a"))
                visitor.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
                wait_until(lambda: "cannot accept reason" in sheaf.log, what="the client to be told of")
                wait_until(lambda: "cannot accept at the admin endpoint" in sheaf.log, what="the visitor, too")
                self.assertNotIn("[warn]", sheaf.log)
                self.assertEqual(first.ask("GET", "a"), b"1")
                resource.prlimit(sheaf.process.pid, resource.RLIMIT_NOFILE, before)
                self.assertEqual(late.reply(), b"1")
                visitor.settimeout(10 * SLOW)
                self.assertIn(b"alive", visitor.recv(4096))

    def test_a_long_line_made_by_a_script_passes_and_costs_nobody_the_server(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], max_session_memory="16mb", max_request="1mb"), proxy={"workers": 1})
        with sheaf.connect() as session, sheaf.connect() as other:
            self.assertEqual(other.ask("SET", "a", "1"), "OK")
            for size in (1000, 200_000, 3_000_000):
                for word in ("status", "error"):
                    reply = session.ask("EVAL", f"return redis.{word}_reply(string.rep('x', ARGV[1]))", 0, size)
                    self.assertEqual(reply.removeprefix("ERR ").strip("x"), "")
                    self.assertGreaterEqual(len(reply), size)
                    nested = session.ask("EVAL", f"return {{1, redis.{word}_reply(string.rep('x', ARGV[1])), 2}}",
                                         0, size)
                    self.assertEqual([nested[0], nested[2]], [1, 2])
            self.assertEqual(other.ask("GET", "a"), b"1")
            self.assertNotIn("upstream lost", sheaf.log)


    def test_it_ends_well_while_clients_ask_for_one_another(self):
        redis = RedisServer(self)
        sheaf = Sheaf(self, pool([redis], probe="no"), proxy={"workers": 4})
        sessions = [sheaf.connect() for _ in range(40)]
        for session in sessions:
            session.send(encode("CLIENT", "LIST") * 50)
        sheaf.terminate()
        sheaf.terminate()
        self.assertEqual(sheaf.wait(), 0, sheaf.log[-2000:])
        for session in sessions:
            session.close()


class Memory(Case):
    """max_memory counts whatever clients make Sheaf keep, and who made it keep most goes."""

    def start(self, shards=1, **options):
        self.redis = [RedisServer(self) for _ in range(shards)]
        self.keys = [keys[0] for keys in keys_on_shards(shards)]
        options = {"probe": "no", "timeout": "30s", "max_request": "4mb", "max_session_memory": "16mb", **options}
        self.sheaf = Sheaf(self, pool(self.redis, **options), proxy={"workers": 1, "max_memory": "16mb"})

    def sessions(self, count):
        made = [self.sheaf.connect() for _ in range(count)]
        for session in made:
            self.addCleanup(session.close)
        return made

    def metric(self, name):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.sheaf.http("/metrics")[1].splitlines()
                   if line.startswith(name))

    def held(self):
        return self.metric("sheaf_memory_held_bytes")

    def outcome(self, session):
        """What becomes of RESET; what was said before it is passed over."""
        try:
            session.send(encode("RESET"))
            while (reply := session.reply()) != "RESET":
                pass
            return reply
        except (EOFError, OSError):
            return "closed"

    def test_what_a_client_has_queued_named_or_subscribed_to_counts(self):
        self.start(max_upstreams=20)
        big = b"x" * 1_000_000
        for words in ((("MULTI",), *[("SET", "a", big)] * 3),
                      (("CLIENT", "SETNAME", big), ("CLIENT", "SETINFO", "LIB-NAME", big),
                       ("CLIENT", "SETINFO", "LIB-VER", big)),
                      (("HELLO", 3), ("SUBSCRIBE", big + b"1", big + b"2", big + b"3"))):
            with self.subTest(words[0][0]):
                modest = self.sheaf.connect()
                self.assertEqual(modest.ask("CLIENT", "SETNAME", "modest"), "OK")
                greedy = self.sessions(12)
                for session in greedy:
                    try:
                        for each in words:
                            session.ask(*each)
                    except (EOFError, OSError):
                        pass
                wait_until(lambda: self.held() < 17 << 20, what="the memory to be under its limit")
                self.assertEqual(self.outcome(modest), "RESET")
                self.assertIn("closed", [self.outcome(each) for each in greedy])
                for session in (modest, *greedy):
                    session.close()
                wait_until(lambda: self.held() < 100_000, what="all to be given back")

    def test_one_session_may_not_keep_more_than_max_session_memory(self):
        self.start(max_session_memory="4mb")
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("CLIENT", "SETNAME", "x" * 3_000_000), "OK")
            refusal = Failure("ERR the session would hold more than max_session_memory of pool main")
            self.assertEqual(session.ask("CLIENT", "SETINFO", "LIB-NAME", "x" * 3_000_000), refusal)
            self.assertEqual(session.ask("MULTI"), "OK")
            self.assertEqual(session.ask("SET", "a", "x" * 3_000_000), refusal)
            self.assertEqual(session.ask("EXEC").code, "EXECABORT")
            self.assertEqual(session.ask("RESET"), "RESET")
            wait_until(lambda: self.held() < 100_000, what="it to be given back")
            self.assertEqual(session.ask("MULTI"), "OK")
            self.assertEqual(session.ask("SET", "a", "x" * 3_000_000), "QUEUED")
            self.assertEqual(session.ask("EXEC"), ["OK"])

    def test_answers_that_wait_behind_a_request_count(self):
        self.start()
        session, = self.sessions(1)
        self.assertEqual(session.ask("SET", "a", "1"), "OK")
        self.redis[0].stop()
        session.socket.settimeout(0.3 * SLOW)
        with self.assertRaises(TimeoutError):
            session.send(encode("GET", "a") + encode("ECHO", b"x" * 1_000_000) * 100)
        self.assertGreater(self.held(), 1_000_000)
        self.redis[0].cont()

    def test_who_has_many_small_requests_waiting_is_counted_too(self):
        self.start()
        greedy = self.sessions(60)
        self.assertEqual(greedy[0].ask("SET", "a", "1"), "OK")
        self.redis[0].stop()
        for session in greedy:
            session.send(encode("GET", "a") + encode("PING") * 1000)
        wait_until(lambda: "this session held the most" in self.sheaf.log, what="some to be closed")
        wait_until(lambda: self.held() < 17 << 20, what="the memory to be under its limit")
        self.redis[0].cont()

    def test_what_servers_do_not_take_is_not_laid_at_the_door_of_others(self):
        self.start(shards=4)
        modest = self.sheaf.connect()
        self.addCleanup(modest.close)
        for key in self.keys:
            self.assertEqual(modest.ask("SET", key, "1"), "OK")
        for redis in self.redis[1:]:
            redis.stop()
        half = len(encode("GET", self.keys[0])) // 2
        modest.send(encode("GET", self.keys[0])[:half])
        greedy = self.sessions(30)
        for number, session in enumerate(greedy):
            session.socket.settimeout(0.1 * SLOW)
            try:
                session.send(encode("SET", self.keys[1 + number % 3], b"x" * 3_000_000))
            except OSError:
                pass
            self.assertEqual(self.sheaf.ask("GET", self.keys[0]), b"1")
        wait_until(lambda: "half of max_memory waits for servers" in self.sheaf.log, what="some to be refused")
        # Half of it for sessions, half and a request for servers.
        wait_until(lambda: self.held() < 21 << 20, what="the memory to be within its limit")
        modest.send(encode("GET", self.keys[0])[half:])
        self.assertEqual(modest.reply(), b"1")
        for redis in self.redis[1:]:
            redis.cont()

    def test_a_request_of_many_words_is_not_read_word_by_word(self):
        self.start(shards=2)
        before = self.metric("sheaf_loop_turns_total")
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("MGET", *range(50_000)), [None] * 50_000)
        self.assertLess(self.metric("sheaf_loop_turns_total") - before, 5000)


if __name__ == "__main__":
    main()
