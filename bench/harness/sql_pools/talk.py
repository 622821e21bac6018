"""PostgreSQL's protocol as far as a measurement needs it: login without a password or by SCRAM, simple queries."""
import base64
import functools
import hashlib
import hmac
import secrets
import socket
import struct
import time

from ..processes import Failed, last_lines

USER = DATABASE = "bench"
SASL, SASL_CONTINUE = 10, 11


def startup(user):
    words = b"".join(word.encode() + b"\0" for word in ("user", user, "database", DATABASE)) + b"\0"
    return struct.pack("!ii", len(words) + 8, 196608) + words


@functools.cache
def client_key(password, salt, iterations):
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    return hmac.digest(salted, b"Client Key", "sha256")


class Scram:
    """A client's side of SCRAM-SHA-256; what the server proves is not looked at."""

    def __init__(self, password):
        self.password = password
        self.first = b"n=,r=" + secrets.token_urlsafe(18).encode()

    def begin(self):
        words = b"n,," + self.first
        return b"SCRAM-SHA-256\0" + struct.pack("!i", len(words)) + words

    def answer(self, challenge):
        nonce, salt, iterations = challenge.split(b",")
        key = client_key(self.password, base64.b64decode(salt[2:]), int(iterations[2:]))
        final = b"c=biws," + nonce
        signature = hmac.digest(hashlib.sha256(key).digest(), b",".join((self.first, challenge, final)), "sha256")
        return final + b",p=" + base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))


class Session:
    def __init__(self, port, timeout=30.0, user=USER, password=None):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received, self.scram = b"", password and Scram(password)
        self.socket.sendall(startup(user))
        self.until_ready()

    def query(self, text):
        """The rows, each a list of bytes or None."""
        self.send(text)
        return self.until_ready()

    def send(self, text):
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)

    def until_ready(self):
        rows, problem, at, received = [], None, 0, self.received
        while True:
            while len(received) - at >= 5:
                end = at + 1 + int.from_bytes(received[at + 1:at + 5], "big")
                if len(received) < end:
                    break
                kind = received[at:at + 1]
                if kind == b"D":
                    rows.append(row(received[at + 7:end]))
                elif kind == b"E":
                    problem = complaint(received[at + 5:end])
                    if b"VFATAL" in received[at:end]:
                        raise Failed(problem)
                elif kind == b"R":
                    self.prove(int.from_bytes(received[at + 5:at + 9], "big"), received[at + 9:end])
                at = end
                if kind == b"Z":
                    self.received = received[at:]
                    if problem:
                        raise Failed(problem)
                    return rows
            more = self.socket.recv(65536)
            if not more:
                raise Failed(problem or "the connection was closed")
            received, at = received[at:] + more, 0

    def prove(self, asked, data):
        if asked in (SASL, SASL_CONTINUE) and self.scram:
            said = self.scram.begin() if asked == SASL else self.scram.answer(data)
            self.socket.sendall(b"p" + struct.pack("!i", len(said) + 4) + said)
        elif asked not in (0, 12):
            raise Failed("the server wants a password")

    def close(self):
        try:
            self.socket.sendall(b"X\0\0\0\4")
        except OSError:
            pass
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        return False


def row(fields):
    found, at = [], 0
    while at < len(fields):
        size = int.from_bytes(fields[at:at + 4], "big", signed=True)
        at += 4
        found.append(None if size < 0 else fields[at:at + size])
        at += max(0, size)
    return found


def complaint(fields):
    words = {field[:1]: field[1:].decode(errors="replace") for field in fields.split(b"\0") if field}
    return f"{words.get(b'C', '?')}: {words.get(b'M', '?')}"


def ask(port, text, **login):
    """One query on a connection of its own."""
    with Session(port, **login) as session:
        return session.query(text)


def wait_until_it_answers(process, port, seconds=30, **login):
    """Until a query is answered; Failed says what the log says."""
    end, reply = time.monotonic() + seconds, "nothing"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"ended with code {process.returncode}: {last_lines(process.log)}")
        try:
            with Session(port, 2.0, **login) as session:
                if session.query("SELECT 1") == [[b"1"]]:
                    return
        except (OSError, Failed) as problem:
            reply = str(problem)
        time.sleep(0.05)
    raise Failed(f"does not answer: {reply}")
