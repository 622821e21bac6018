"""Memory of connections that say nothing, and of streams whose clients are slow."""
import select
import socket
import time

from ..processes import Failed
from ..results import Bar
from .talk import BUCKET, request_text

IDLE = 10_000
STREAMS = 200
SOCKETS_KEPT = 400          # descriptors for everything else
SECONDS = 4.0


class Memory:
    """Each with a proxy that was just started, so that nothing is counted that an earlier measurement
    left behind."""

    def __init__(self, bench):
        self.bench = bench
        group, row = "Memory (PSS)", bench.results.row
        self.idle = row("memory.idle", group, "of an idle connection, 10,000 of them, after a GET each",
                        "KiB", Bar(10, is_ratio=False))
        self.slow = row("memory.slow", group,
                        f"of a GET of 64 MiB, {STREAMS} at once, that is read slowly: at most", "KiB",
                        Bar(64, is_ratio=False))
        self.stalled = row("memory.stalled", group, "of one that is not read any more", "KiB",
                           Bar(64, is_ratio=False))
        self.upload = row("memory.upload", group,
                          f"of a PUT of 64 MiB, {STREAMS} at once, as quick as it goes: at most", "KiB",
                          Bar(64, is_ratio=False))

    def run(self):
        parts = (("idle connections", self.measure_idle), ("slow readers", self.measure_slow),
                 ("uploads", self.measure_upload))
        for what, measure in parts:
            for peer in self.bench.fresh_peers(what):
                if peer.name == "folders":
                    continue
                try:
                    peer.check()
                    measure(peer)
                except (Failed, OSError) as problem:
                    for row in (self.idle, self.slow, self.stalled, self.upload):
                        row.problems[peer.name] = str(problem)
        for _ in self.bench.fresh_peers("starting again"):
            pass

    def warm(self, peer):
        for _ in range(64):
            with connect(peer.port) as s:
                fetch(s, request_text(peer.port, f"/{BUCKET}/1k/any"))
        return peer.pss_kib()

    def measure_idle(self, peer):
        count = min(IDLE, peer.most_sessions, self.bench.descriptors - SOCKETS_KEPT)
        if count < IDLE:
            self.bench.results.note(f"{peer.title}: {count} idle connections; the limit of file "
                                    "descriptors allows no more.")
        before, sockets = self.warm(peer), []
        text = request_text(peer.port, f"/{BUCKET}/1k/any")
        try:
            for _ in range(count):
                sockets.append(connect(peer.port))
                fetch(sockets[-1], text)
            time.sleep(2)
            self.idle.add(peer.name, (peer.pss_kib() - before) / count)
        finally:
            close(sockets)

    def measure_slow(self, peer):
        """Each takes 64 KiB in turn: the proxy always has more than it can give."""
        before, most, sockets = self.warm(peer), 0, []
        try:
            for n in range(STREAMS):
                sockets.append(connect(peer.port, 64 * 1024))
                sockets[-1].sendall(request_text(peer.port, f"/{BUCKET}/64m/{n}"))
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                for s in sockets:
                    if not s.recv(64 * 1024):
                        raise Failed("a stream was closed")
                most = max(most, peer.pss_kib() - before)
            self.slow.add(peer.name, most / STREAMS)
            time.sleep(1)
            self.stalled.add(peer.name, (peer.pss_kib() - before) / STREAMS)
        finally:
            close(sockets)

    def measure_upload(self, peer):
        before, most, sockets, block = self.warm(peer), 0, [], bytes(64 * 1024)
        try:
            for n in range(STREAMS):
                s = connect(peer.port)
                s.sendall(request_text(peer.port, f"/{BUCKET}/put/up/{n % 4}", "PUT",
                                       f"Content-Length: {64 << 20}\r\n"))
                s.setblocking(False)
                sockets.append(s)
            end = time.monotonic() + SECONDS
            left = dict.fromkeys(sockets, 48 << 20)    # none is to end while it is looked at
            while time.monotonic() < end and left:
                for s in select.select([], list(left), [], 0.5)[1]:
                    left[s] -= s.send(block)
                    if left[s] <= 0:
                        del left[s]
                most = max(most, peer.pss_kib() - before)
            self.upload.add(peer.name, most / STREAMS)
        finally:
            close(sockets)


def connect(port, receive_bytes=None):
    s = socket.socket()
    if receive_bytes:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    s.settimeout(30)
    s.connect(("127.0.0.1", port))
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return s


def fetch(s, text):
    """One answer with a length, read to its end."""
    s.sendall(text)
    received = b""
    while b"\r\n\r\n" not in received:
        more = s.recv(65536)
        if not more:
            raise Failed("the connection was closed")
        received += more
    head, _, body = received.partition(b"\r\n\r\n")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    if not head.startswith(b"HTTP/1.1 200"):
        raise Failed(head.split(b"\r\n")[0].decode(errors="replace"))
    left = int(fields[b"content-length"]) - len(body)
    while left > 0:
        left -= len(s.recv(min(left, 65536)))


def close(sockets):
    for s in sockets:
        s.close()
