#!/usr/bin/python3
"""Servers that lie and clients that want more than their share: it costs themselves, not the others."""
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


if __name__ == "__main__":
    main()
