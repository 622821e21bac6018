"""A real memcached on a free loopback port, and raw sessions in its three protocols."""
import pathlib
import shutil
import socket
import struct
import tempfile

from lib.case import ends_with, wait_until
from lib.ports import free_port
from lib.process import Process


class MemcachedServer:
    """`options` are further words of its command line; `users` ({name: password}) must log in (-Y)."""

    def __init__(self, owner, *options, users=None):
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.url = f"memcached://{self.address}"
        self._folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-memcached-"))
        self._options = [str(option) for option in options]
        self._user = next(iter(users.items())) if users else None
        if users:
            self._folder.chmod(0o755)
            (self._folder / "users").write_text("".join(f"{name}:{word}\n" for name, word in users.items()))
            self._options += ["-Y", str(self._folder / "users")]
        self.process = None
        ends_with(owner, self._end)
        self.start()

    def start(self):
        self.process = Process(["memcached", "-l", "127.0.0.1", "-p", self.port, "-U", 0, "-m", 64, "-t", 1,
                                "-u", "nobody", *self._options])
        wait_until(lambda: self.connect().end() or True, what="memcached to listen")

    def connect(self):
        return MemcachedSession(("127.0.0.1", self.port), self._user)

    def ask(self, line, value=None):
        with self.connect() as session:
            return session.ask(line, value)

    def kill9(self):
        self.process.kill()

    def stop(self):
        self.process.stop()

    def cont(self):
        self.process.cont()

    def restart(self):
        self.kill9()
        self.start()

    def _end(self):
        self.process.kill()
        shutil.rmtree(self._folder, ignore_errors=True)


class MemcachedSession:
    """Bytes to and from `target` ((host, port), or a path), logged in as `user` (name, password)."""

    def __init__(self, target, user=None, wrap=None):
        self.socket = socket.socket(socket.AF_UNIX if isinstance(target, str) else socket.AF_INET)
        self.socket.settimeout(20)
        self.socket.connect(target)
        if wrap:
            self.socket = wrap(self.socket)
        self._in = b""
        if user:
            reply = self.ask("set login 0 0 %d" % len(" ".join(user)), " ".join(user))
            assert reply == b"STORED\r\n", reply

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def _more(self):
        data = self.socket.recv(1 << 18)
        if not data:
            raise EOFError("closed")
        self._in += data

    def _take(self, length):
        while len(self._in) < length:
            self._more()
        taken, self._in = self._in[:length], self._in[length:]
        return taken

    def _line(self):
        while b"\n" not in self._in:
            self._more()
        return self._take(self._in.index(b"\n") + 1)

    def reply(self):
        """The bytes of one text or meta reply."""
        whole = b""
        while True:
            line = self._line()
            whole += line
            words = line.split()
            if words[0] == b"VALUE":
                whole += self._take(int(words[3]) + 2)
            elif words[0] == b"VA":
                return whole + self._take(int(words[1]) + 2)
            elif words[0] != b"STAT":
                return whole

    def ask(self, line, value=None):
        """One command, text or bytes without the end of line, and its reply."""
        self.send(command(line, value))
        return self.reply()

    def packet(self):
        """One binary reply: (opcode, status, opaque, cas, extras, key, value)."""
        head = self._take(24)
        _, opcode, key, extras, _, status, body, opaque, cas = struct.unpack(">BBHBBHIIQ", head)
        rest = self._take(body)
        return opcode, status, opaque, cas, rest[:extras], rest[extras:extras + key], rest[extras + key:]

    def silent(self, seconds=0.05):
        """Nothing comes, or has come and was not read."""
        self.socket.settimeout(seconds)
        try:
            self._in += self.socket.recv(1)
        except TimeoutError:
            pass
        self.socket.settimeout(20)
        return self._in == b""

    def closed(self):
        """What is left to read, and the end."""
        rest = self._in
        while data := self.socket.recv(1 << 16):
            rest += data
        return rest


def command(line, value=None):
    data = (line if isinstance(line, bytes) else line.encode()) + b"\r\n"
    if value is not None:
        data += (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return data


def binary(opcode, key=b"", extras=b"", value=b"", cas=0, opaque=0xdeadbeef):
    body = extras + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, len(body), opaque, cas) + body
