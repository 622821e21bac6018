"""PostgreSQL's protocol as far as a measurement needs it: login without a password, simple queries."""
import socket
import struct
import time

from ..processes import Failed, last_lines

USER = DATABASE = "bench"
STARTUP = b"".join(word.encode() + b"\0" for word in ("user", USER, "database", DATABASE)) + b"\0"
STARTUP = struct.pack("!ii", len(STARTUP) + 8, 196608) + STARTUP


class Session:
    def __init__(self, port, timeout=30.0):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""
        self.socket.sendall(STARTUP)
        self.until_ready()

    def query(self, text):
        """The rows, each a list of bytes or None."""
        body = text.encode() + b"\0"
        self.socket.sendall(b"Q" + struct.pack("!i", len(body) + 4) + body)
        return self.until_ready()

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
                elif kind == b"R" and received[at + 5:at + 9] != b"\0\0\0\0":
                    raise Failed("the server wants a password")
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


def ask(port, text):
    """One query on a connection of its own."""
    with Session(port) as session:
        return session.query(text)


def wait_until_it_answers(process, port, seconds=30):
    """Until a query is answered; Failed says what the log says."""
    end, reply = time.monotonic() + seconds, "nothing"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"ended with code {process.returncode}: {last_lines(process.log)}")
        try:
            with Session(port, 2.0) as session:
                if session.query("SELECT 1") == [[b"1"]]:
                    return
        except (OSError, Failed) as problem:
            reply = str(problem)
        time.sleep(0.05)
    raise Failed(f"does not answer: {reply}")
