#!/usr/bin/python3
# not under tsan: one session's own affairs
"""HTTP/1.1 as blob pools take it: what two readers could understand differently is refused, and the
connection closed; so are such answers of stores."""
import socket
import threading

from lib import *

HOST = b"Host: h\r\n"
SMUGGLED = b"PUT /traps/smuggled HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nevil"


def blob_pool(case, shards, **options):
    return ("blob main", {"listen": f"s3://127.0.0.1:{free_port()}", "shard": shards,
                          "unsigned_access": "yes", **options})


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1])
        self.fields = {}
        for line in lines[1:]:
            name, value = line.split(":", 1)
            self.fields[name.lower()] = value.strip()
        self.body = body


class Wire:
    """A connection on which a test says what it likes, and hears answers."""

    def __init__(self, sheaf):
        self.socket = socket.create_connection(sheaf.target(), timeout=20 * SLOW)
        self.heard = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, *pieces):
        try:
            for piece in pieces:
                self.socket.sendall(piece)
        except OSError:
            pass  # refused before it was all said
        return self

    def _more(self):
        try:
            more = self.socket.recv(1 << 16)
        except ConnectionResetError:
            more = b""
        self.heard += more
        return more

    def answer(self, asked="GET"):
        """The next answer; None: the connection was closed instead."""
        while b"\r\n\r\n" not in self.heard:
            if not self._more():
                assert not self.heard, self.heard
                return None
        head, self.heard = self.heard.split(b"\r\n\r\n", 1)
        answer = Answer(head, b"")
        if asked == "HEAD" or answer.status in (100, 204, 304):
            return answer
        length = int(answer.fields["content-length"])
        while len(self.heard) < length:
            if not self._more():
                raise AssertionError(f"cut short: {self.heard} of {length}")
        answer.body, self.heard = self.heard[:length], self.heard[length:]
        return answer


class Spoken(Case):
    """With one daemon over two folders for all tests of a class."""

    @classmethod
    def setUpClass(cls):
        folders = [cls.folder() / name for name in "ab"]
        for folder in folders:
            folder.mkdir()
        cls.sheaf = Sheaf(cls, blob_pool(cls, [f"file://{folder}?sync=never" for folder in folders]))
        with Wire(cls.sheaf) as wire:
            assert wire.say(b"PUT /traps HTTP/1.1\r\nHost: h\r\n\r\n").answer().status == 200

    def get(self, path):
        with Wire(self.sheaf) as wire:
            return wire.say(b"GET %s HTTP/1.1\r\n%s\r\n" % (path, HOST)).answer()

    def refused(self, raw, *statuses):
        """One answer of these, a closed connection, and nothing done of what follows."""
        with self.subTest(raw=raw[:80]), Wire(self.sheaf) as wire:
            answer = wire.say(raw, SMUGGLED).answer()
            self.assertIn(answer.status, statuses)
            self.assertEqual(answer.fields.get("connection"), "close")
            self.assertIsNone(wire.answer())
            self.assertEqual(self.get(b"/traps/smuggled").status, 404)


class Heads(Spoken):
    def test_heads_that_two_readers_could_take_differently_are_refused(self):
        get, put = b"GET /traps/x HTTP/1.1\r\n", b"PUT /traps/x HTTP/1.1\r\n"
        for raw in (
            put + HOST + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            put + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            put + HOST + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
            put + HOST + b"Content-Length: 4, 4\r\n\r\nabcd",
            put + HOST + b"Content-Length: +4\r\n\r\nabcd",
            put + HOST + b"Content-Length: 99999999999999999999\r\n\r\n",
            put + HOST + b"Content-Length : 4\r\n\r\nabcd",
            put + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            get,  # the next request would be its field
            get + HOST + HOST + b"\r\n",
            get + b"\r\n",
            get + b"Host: a b\r\n\r\n",
            get + HOST + b"A: b\r\n c\r\n\r\n",
            get + HOST + b"A: b\rc\r\n\r\n",
            get + HOST + b"A: b\nc: d\r\n\r\n",
            get + HOST + b"A: b\0\r\n\r\n",
            get + HOST + b"\rX\r\n\r\n",
            get + HOST + b"a b: c\r\n\r\n",
            get + HOST + b": c\r\n\r\n",
            get + HOST + b"Range: bytes=0-1\r\nRange: bytes=2-3\r\n\r\n",
            b"GET  /traps/x HTTP/1.1\r\n" + HOST + b"\r\n",
            b"GET /traps/x#y HTTP/1.1\r\n" + HOST + b"\r\n",
            b"GET http://other/traps/x HTTP/1.1\r\n" + HOST + b"\r\n",
            b"PUT /traps/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ):
            self.refused(raw, 400)

    def test_what_is_not_offered_is_told_apart(self):
        self.refused(b"PUT /traps/x HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n",
                     400, 501)
        self.refused(b"GET / HTTP/2.0\r\n" + HOST + b"\r\n", 400, 505)
        self.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, 505)
        self.refused(b"PUT /traps/x HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\nExpect: tea\r\n\r\n",
                     400, 417)

    def test_heads_are_bounded(self):
        self.refused(b"GET /traps/x HTTP/1.1\r\n" + HOST + b"A: " + b"x" * 70000, 400, 431)
        self.refused(b"GET /traps/x HTTP/1.1\r\n" + HOST + b"A: b\r\n" * 200 + b"\r\n", 400, 431)

    def test_requests_in_one_piece_or_byte_by_byte_are_answered_in_order(self):
        raw = (b"PUT /traps/order HTTP/1.1\r\n" + HOST + b"Content-Length: 5\r\n\r\nhello"
               b"\r\nGET /traps/order HTTP/1.1\r\n" + HOST + b"\r\n"
               b"HEAD /traps/order HTTP/1.1\r\n" + HOST + b"\r\n"
               b"GET /traps/order HTTP/1.1\r\n" + HOST + b"Range: bytes=1-2\r\n\r\n"
               b"DELETE /traps/order HTTP/1.1\r\n" + HOST + b"\r\n"
               b"GET /traps/order HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
        for pieces in ([raw], [raw[i:i + 1] for i in range(len(raw))]):
            with self.subTest(pieces=len(pieces)), Wire(self.sheaf) as wire:
                wire.say(*pieces)
                self.assertEqual(wire.answer().status, 200)
                self.assertEqual(wire.answer().body, b"hello")
                head = wire.answer("HEAD")
                self.assertEqual((head.status, head.fields["content-length"]), (200, "5"))
                part = wire.answer()
                self.assertEqual((part.status, part.body), (206, b"el"))
                self.assertEqual(wire.answer().status, 204)
                self.assertEqual(wire.answer().status, 404)
                self.assertIsNone(wire.answer())

    def test_keys_are_taken_as_they_are_written(self):
        for path in (b"/traps//a//b", b"/traps/a/../b", b"/traps/./c", b"/traps/a%2Fd", b"/traps/e+f",
                     b"/traps/%c3%a9", b"/traps/g%2520h"):
            with self.subTest(path=path), Wire(self.sheaf) as wire:
                wire.say(b"PUT %s HTTP/1.1\r\n%sContent-Length: %d\r\n\r\n%s" %
                         (path, HOST, len(path), path))
                self.assertEqual(wire.answer().status, 200)
                self.assertEqual(self.get(path).body, path)
        self.assertEqual(self.get(b"/traps/a/b").status, 404)
        self.assertEqual(self.get(b"/traps/b").status, 404)
        self.assertEqual(self.get(b"/traps/e%20f").status, 404)
        self.assertEqual(self.get(b"/traps/a/d").body, b"/traps/a%2Fd")
        self.assertEqual(self.get(b"/traps/\xc3\xa9").body, b"/traps/%c3%a9")


class Bodies(Spoken):
    def put(self, key, body, *fields, length=None):
        with Wire(self.sheaf) as wire:
            wire.say(b"PUT /traps/%s HTTP/1.1\r\n%s%s\r\n" % (key, HOST, b"".join(fields)), body)
            return wire.answer()

    def test_chunks_are_put_together(self):
        answer = self.put(b"chunks", b"5;a=b\r\nhello\r\n00A\r\n, wo\r\nrld!\r\n0\r\nx: y\r\n\r\n",
                          b"Transfer-Encoding: chunked\r\nx-amz-decoded-content-length: 15\r\n")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(self.get(b"/traps/chunks").body, b"hello, wo\r\nrld!")

    def test_of_chunks_that_are_wrong_nothing_is_left(self):
        for n, body in enumerate((b"+5\r\nhello\r\n0\r\n\r\n", b"5 \r\nhello\r\n0\r\n\r\n",
                                  b"5\nhello\r\n0\r\n\r\n", b"5\r\nhello!\r\n0\r\n\r\n",
                                  b"5\r\nhello\r\n0\r\n x\r\n\r\n", b"0x5\r\nhello\r\n0\r\n\r\n",
                                  b"ffffffffffffffff\r\nhello", b"5" + b";x" * 200 + b"\r\nhello\r\n0\r\n\r\n",
                                  b"4\r\nhell\r\n0\r\n\r\n", b"6\r\nhello!\r\n0\r\n\r\n")):
            with self.subTest(body=body[:40]):
                answer = self.put(b"wrong%d" % n, body,
                                  b"Transfer-Encoding: chunked\r\nx-amz-decoded-content-length: 5\r\n")
                self.assertEqual(answer.status, 400, answer.body)
                self.assertEqual(self.get(b"/traps/wrong%d" % n).status, 404)

    def test_a_body_that_ends_early_leaves_nothing(self):
        with Wire(self.sheaf) as wire:
            wire.say(b"PUT /traps/early HTTP/1.1\r\n%sContent-Length: 100\r\n\r\nonly this" % HOST)
            wire.socket.shutdown(socket.SHUT_WR)
            answer = wire.answer()
            self.assertTrue(answer is None or answer.status == 400, answer and answer.body)
        self.assertEqual(self.get(b"/traps/early").status, 404)

    def test_a_put_without_a_length_is_told_so(self):
        self.assertEqual(self.put(b"none", b"").status, 411)

    def test_the_body_is_asked_for_only_when_it_is_wanted(self):
        with Wire(self.sheaf) as wire:
            wire.say(b"PUT /traps/asked HTTP/1.1\r\n%sContent-Length: 5\r\nExpect: 100-continue\r\n\r\n" %
                     HOST)
            self.assertEqual(wire.answer().status, 100)
            self.assertEqual(wire.say(b"hello").answer().status, 200)
        with Wire(self.sheaf) as wire:
            wire.say(b"PUT /no-such-bucket/x HTTP/1.1\r\n%sContent-Length: 5\r\nExpect: 100-continue\r\n\r\n" %
                     HOST)
            self.assertEqual(wire.answer().status, 404)


class Liar:
    """A store that answers each key with what the test says of it, byte for byte."""

    def __init__(self, owner, answers):
        self.answers = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "s3://id:secret@127.0.0.1:%d" % self._listener.getsockname()[1]
        owner.addClassCleanup(self._listener.close)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        try:
            while True:
                threading.Thread(target=self._serve, args=(self._listener.accept()[0],), daemon=True).start()
        except OSError:
            pass

    def _serve(self, wire):
        heard = b""
        try:
            while more := wire.recv(1 << 16):
                heard += more
                while b"\r\n\r\n" in heard:
                    head, heard = heard.split(b"\r\n\r\n", 1)
                    key = head.split(b" ")[1].split(b"?")[0].rsplit(b"/", 1)[1]
                    said = self.answers.get(key, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
                    wire.sendall(said.removesuffix(b"<close>"))
                    if said.endswith(b"<close>"):
                        wire.close()
                        return
        except OSError:
            pass


OK = b"HTTP/1.1 200 OK\r\n"
EVIL = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil"
LIES = {
    b"two-lengths": OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nab",
    b"both-framings": OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"coding": OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    b"folded": OK + b"Content-Length: 2\r\nA: b\r\n c\r\n\r\nab",
    b"bare-lf": OK + b"Content-Length: 2\nA: b\r\n\r\nab",
    b"blank": OK + b"Content-Length : 2\r\n\r\nab",
    b"plus": OK + b"Content-Length: +2\r\n\r\nab",
    b"early-end": OK + b"Content-Length: 2\r\n\rX\r\n\r\nab",
    b"upgrade": b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
    b"version": b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nab",
    b"status": b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nab",
    b"html": b"<html>\r\n\r\n</html>",
    b"large": OK + b"A: " + b"x" * 70000,
}
TRUTHS = {
    b"good": OK + b"Content-Length: 4\r\n\r\ngood",
    b"chunked": OK + b"Transfer-Encoding: chunked\r\nContent-Type: a/b\r\n\r\n2\r\ngo\r\n2\r\nod\r\n0\r\n\r\n",
    b"interim": b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + OK + b"Content-Length: 4\r\n\r\ngood",
    b"old": b"HTTP/1.0 200 OK\r\n\r\ngood<close>",
    b"more-than-said": OK + b"Content-Length: 4\r\n\r\ngood" + EVIL,
    b"no-body": b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL,
}


class Answers(Case):
    @classmethod
    def setUpClass(cls):
        cls.liar = Liar(cls, {**TRUTHS, **{name: lie + EVIL for name, lie in LIES.items()}})
        cls.sheaf = Sheaf(cls, blob_pool(cls, [cls.liar.url], stamp="no"), proxy={"workers": 1})

    def get(self, wire, key, method=b"GET"):
        return wire.say(b"%s /traps/%s HTTP/1.1\r\n%s\r\n" % (method, key, HOST)).answer(method.decode())

    def good(self):
        """Whoever comes next gets what he asked for."""
        with Wire(self.sheaf) as wire:
            answer = wait_until(lambda: self.served(wire), what="the store to be asked again")
            self.assertEqual((answer.status, answer.body), (200, b"good"))

    def served(self, wire):
        answer = self.get(wire, b"good")
        return answer if answer.status != 503 else None

    def test_answers_that_two_readers_could_take_differently_are_errors(self):
        for key in LIES:
            with self.subTest(key=key), Wire(self.sheaf) as wire:
                answer = self.get(wire, key)
                self.assertIn(answer.status, (500, 502, 503), answer.body)
                self.assertNotIn(b"evil", answer.body)
            self.good()

    def test_answers_of_all_framings_are_passed_on(self):
        for key in (b"chunked", b"interim", b"old", b"more-than-said"):
            with self.subTest(key=key), socket.create_connection(self.sheaf.target(), 20 * SLOW) as wire:
                wire.sendall(b"GET /traps/%s HTTP/1.1\r\n%sConnection: close\r\n\r\n" % (key, HOST))
                said = b"".join(iter(lambda: wire.recv(1 << 16), b""))
                self.assertTrue(said.startswith(b"HTTP/1.1 200 "), said)
                self.assertIn(b"go", said)
                self.assertNotIn(b"evil", said)
            self.good()

    def test_what_a_store_says_beyond_its_answer_reaches_nobody(self):
        with Wire(self.sheaf) as wire:
            self.assertEqual(self.get(wire, b"no-body", b"DELETE").status, 204)
            self.assertEqual(self.get(wire, b"more-than-said", b"HEAD").status, 200)
        self.good()


if __name__ == "__main__":
    main()
