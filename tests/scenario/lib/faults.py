"""A faulty wire between Sheaf and a server: bytes may be late, cut off, wrong, or swallowed."""
import contextlib
import os
import socket
import struct
import tempfile
import threading
import time

from lib.case import ends_with
from lib.ports import free_port


class Faults:
    """Listens on a loopback port of its own and passes bytes to and from `target` (host, port).

    The faults are attributes, changed while it runs; they are about replies, that is what comes
    from the target:

        delay           seconds by which each piece is late
        black_hole      bytes of both directions are swallowed, the connections stay
        cut_after       so many reply bytes of each connection pass (counted from when it is set),
                        then it is closed; None: all
        garbage         bytes put in place of the next piece of a reply, once,
        garbage_after   where the last request held these bytes; so probes do not take it
        garbage_up_to   only so much of that piece is replaced as these bytes, the first such, are the end of
        one_byte        replies pass byte by byte
        cuts            a random.Random: each piece of a reply is cut at a place of its choice, with a pause between
        hold_after      after so many reply bytes of each connection (counted from when it is set) the rest waits
                        until this is None; `held` counts the pieces that wait, or did
        hides_end       that the target has closed a connection is not passed on
        ask_cut_after   so many bytes of each connection's requests pass (counted from when it is set), then it is
                        closed; None: all
        ask_delay       seconds by which each piece of a request, of at most 64 KiB, is late;
                        `late_asks` counts them

    `unix`: it listens at a Unix socket, which holds some 100 KiB on the way and no more.
    `at`: the host and port where it listens instead.
    """

    def __init__(self, owner, target, unix=False, at=None):
        self.delay = 0
        self.ask_delay = self.late_asks = 0
        self.held = 0
        self.black_hole = False
        self.garbage = None
        self.garbage_after = self.garbage_up_to = b""
        self.one_byte = self.hides_end = False
        self.cuts = None
        self._cut_after = self._ask_cut_after = self._hold_after = None
        self._target = target
        self.lock = threading.Lock()
        self._wires = []
        self.accepted = 0  # connections so far
        self._host, self.port = at or ("127.0.0.1", free_port())
        self.address = f"{self._host}:{self.port}"
        self.url = f"redis://{self.address}"
        self._path = None
        if unix:
            self._path = f"{tempfile.gettempdir()}/sheaf-faults-{self.port}.sock"
            self.url = f"redis+unix://{self._path}"
        self._listener = None
        self.open()
        ends_with(owner, self.close)

    @property
    def cut_after(self):
        return self._cut_after

    @cut_after.setter
    def cut_after(self, count):
        with self.lock:
            self._cut_after = count
            for wire in self._wires:
                wire.passed = 0

    @property
    def hold_after(self):
        return self._hold_after

    @hold_after.setter
    def hold_after(self, count):
        with self.lock:
            self._hold_after = count
            for wire in self._wires:
                wire.passed = 0

    @property
    def ask_cut_after(self):
        return self._ask_cut_after

    @ask_cut_after.setter
    def ask_cut_after(self, count):
        with self.lock:
            self._ask_cut_after = count
            for wire in self._wires:
                wire.ask_passed = 0

    @property
    def wires(self):
        """How many connections stand."""
        with self.lock:
            return len(self._wires)

    def open(self):
        """Takes connections (again)."""
        if self._path:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self._path)
            self._listener.listen(128)
        else:
            self._listener = socket.create_server((self._host, self.port), reuse_port=False)
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self):
        """New connections are refused from now on; those that stand stay."""
        if self._listener:
            # close() alone does not wake a thread in accept().
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            self._listener = None
            if self._path:
                os.unlink(self._path)

    def hush(self):
        """The connections that stand take requests and answer no more; new ones do."""
        with self.lock:
            for wire in self._wires:
                wire.is_hushed = True

    def cut(self):
        """Closes all connections now."""
        with self.lock:
            wires = list(self._wires)
        for wire in wires:
            wire.close()

    def aim(self, target):
        """Connections go there from now on."""
        self._target = target

    def close(self):
        self.refuse()
        self.cut()

    def heal(self):
        self.delay, self.black_hole, self.garbage, self.one_byte, self.hides_end = 0, False, None, False, False
        self.cut_after = self.ask_cut_after = self.hold_after = None

    def with_garbage(self, data, asked):
        if self.garbage is None or self.garbage_after not in asked:
            return data
        with self.lock:
            garbage, self.garbage = self.garbage, None
        kept = data.partition(self.garbage_up_to)[2] if self.garbage_up_to else b""
        return data if garbage is None else garbage + kept

    def _accept(self, listener):
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.accepted += 1
            try:
                far = socket.create_connection(self._target)
            except OSError:
                near.close()
                continue
            wire = _Wire(self, near, far)
            with self.lock:
                self._wires.append(wire)
            wire.start()

    def replies_to(self, words):
        """How many bytes were passed of each connection whose last request holds these: at least what anybody has."""
        with self.lock:
            return {wire: wire.passed for wire in self._wires if words in wire.asked}

    def sent_to(self, words):
        """The same, but what may be had by now, whatever becomes of the connection."""
        with self.lock:
            return {wire: wire.sent for wire in self._wires if words in wire.asked}

    def forget(self, wire):
        with self.lock, contextlib.suppress(ValueError):
            self._wires.remove(wire)


class _Wire:
    """One connection through, with a thread for each direction."""

    def __init__(self, faults, near, far):
        self.faults, self.near, self.far = faults, near, far
        self.passed = self.sent = self.ask_passed = 0
        self.asked = b""
        self.is_hushed = False
        self._running = 2
        for side in (near, far):
            if side.family == socket.AF_INET:
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def start(self):
        threading.Thread(target=self._run, args=(self._ask,), daemon=True).start()
        threading.Thread(target=self._run, args=(self._reply,), daemon=True).start()

    def close(self):
        for side in (self.near, self.far):
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
        self.faults.forget(self)

    def _run(self, direction):
        try:
            direction()
        except OSError:
            pass
        if direction == self._ask or not self.faults.hides_end:
            self.close()
        with self.faults.lock:
            self._running -= 1
            if self._running > 0:
                return
        # Who shuts a socket down before he closes it never tells that he reads again: a target with much to say would
        # wait for that.
        if self.faults.ask_cut_after is None:
            self.far.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.near.close()
        self.far.close()

    def _ask(self):
        while data := self.near.recv(65536):
            self.asked = data
            if self.faults.ask_delay:
                self.faults.late_asks += 1
                time.sleep(self.faults.ask_delay)
            limit = self.faults.ask_cut_after
            if limit is not None and self.ask_passed + len(data) >= limit:
                self.far.sendall(data[:limit - self.ask_passed])
                return
            self.ask_passed += len(data)
            if not self.faults.black_hole:
                # Where the target takes no more, what it has said before is still to pass, and ends the wire.
                with contextlib.suppress(OSError):
                    self.far.sendall(data)

    def _reply(self):
        while data := self.far.recv(65536):
            if self.faults.delay:
                time.sleep(self.faults.delay)
            if self.faults.black_hole or self.is_hushed:
                continue
            data = self.faults.with_garbage(data, self.asked)
            limit = self.faults.cut_after
            if limit is not None and self.passed + len(data) >= limit:
                self.near.sendall(data[:limit - self.passed])
                return
            data = self._after_hold(data)
            self.passed += len(data)  # before anybody has it
            for piece in self._pieces(data):
                self.near.sendall(piece)
            self.sent += len(data)

    def _after_hold(self, data):
        """What is left of it when it may pass."""
        limit = self.faults.hold_after
        if limit is None or self.passed + len(data) <= limit:
            return data
        here = max(0, limit - self.passed)
        self.near.sendall(data[:here])
        self.passed += here
        self.faults.held += 1
        while self.faults.hold_after is not None:
            time.sleep(0.002)
        return data[here:]

    def _pieces(self, data):
        if self.faults.one_byte:
            yield from (data[i:i + 1] for i in range(len(data)))
            return
        if self.faults.cuts:
            at = self.faults.cuts.randrange(len(data))
            yield data[:at]
            time.sleep(self.faults.cuts.choice((0, 0.0002, 0.001, 0.003)))
            data = data[at:]
        yield data
