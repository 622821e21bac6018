"""A raw RESP2 and RESP3 client: what goes over the wire is what the test says."""
import socket

from lib.case import SLOW


class Status(str):
    """A simple string: +OK."""


class Verbatim(str):
    """A verbatim string of RESP3, with its format: "txt:..."."""


class Failure(str):
    """An error reply, without its dash; returned, not raised."""

    @property
    def code(self):
        return self.split(" ", 1)[0]


class Push(list):
    """A push frame of RESP3."""


def _bytes(word):
    return word if isinstance(word, bytes) else str(word).encode()


def encode(*words):
    """A command as an array of bulk strings."""
    words = [_bytes(w) for w in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words)


class RespSession:
    """A connection to (host, port), or to a Unix socket given as its path.

    Bulk strings come as bytes, integers as int, nulls as None, maps as dict."""

    def __init__(self, target, timeout=10, tls=None, server_name="localhost"):
        if isinstance(target, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout * SLOW)
            self.socket.connect(target)
        else:
            self.socket = socket.create_connection(target, timeout * SLOW)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self._buffer = bytearray()
        self._at = 0  # where in the buffer the next reply begins

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def ask(self, *words):
        self.send(encode(*words))
        return self.reply()

    def ask_all(self, *commands):
        """Many commands in one write; their replies."""
        self.send(b"".join(encode(*c) for c in commands))
        return [self.reply() for _ in commands]

    def reply(self):
        return self.reply_and_bytes()[0]

    def reply_bytes(self):
        """The next reply as it stood on the wire."""
        return self.reply_and_bytes()[1]

    def reply_and_bytes(self):
        self._at = 0
        value = self._value()
        raw = bytes(self._buffer[:self._at])
        del self._buffer[:self._at]
        self._at = 0
        return value, raw

    def at_end(self):
        """Whether the other side has closed, all replies being read."""
        try:
            return not self._buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def silent(self, seconds=0.05):
        """Whether nothing comes for a while: for "no reply" there is no condition to await."""
        before = self.socket.gettimeout()
        self.socket.settimeout(seconds * SLOW)
        try:
            more = self.socket.recv(65536)
        except TimeoutError:
            return not self._buffer
        finally:
            self.socket.settimeout(before)
        self._buffer += more
        return False

    def _more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise EOFError("closed by the other side")
        self._buffer += data

    def _line(self):
        while (end := self._buffer.find(b"\r\n", self._at)) < 0:
            self._more()
        line = bytes(self._buffer[self._at:end])
        self._at = end + 2
        return line

    def _bulk(self, length):
        while len(self._buffer) < self._at + length + 2:
            self._more()
        data = bytes(self._buffer[self._at:self._at + length])
        assert self._buffer[self._at + length:self._at + length + 2] == b"\r\n", "a bulk without end"
        self._at += length + 2
        return data

    def _value(self):
        line = self._line()
        kind, rest = line[:1], line[1:]
        if kind in b"+-":
            return (Status if kind == b"+" else Failure)(rest.decode("utf-8", "surrogateescape"))
        if kind in b":(":
            return int(rest)
        if kind == b"_":
            return None
        if kind == b",":
            return float(rest)
        if kind == b"#":
            return rest == b"t"
        if kind in b"$=!":
            if rest == b"-1":
                return None
            data = self._bulk(int(rest))
            return {b"$": bytes, b"=": lambda d: Verbatim(d.decode()),
                    b"!": lambda d: Failure(d.decode())}[kind](data)
        if kind == b"*":
            return None if rest == b"-1" else [self._value() for _ in range(int(rest))]
        if kind == b">":
            return Push(self._value() for _ in range(int(rest)))
        if kind == b"~":
            return [self._value() for _ in range(int(rest))]
        if kind == b"%":
            return {_key(self._value()): self._value() for _ in range(int(rest))}
        if kind == b"|":
            for _ in range(2 * int(rest)):
                self._value()
            return self._value()
        raise AssertionError(f"not RESP: {line!r}")


def _key(value):
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
