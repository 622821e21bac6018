"""A real redis-server on a free loopback port, or the program that SHEAF_REDIS_SERVER names in its place."""
import os
import pathlib
import shutil
import tempfile

from lib.case import ends_with, wait_until
from lib.ports import free_port
from lib.process import Process
from lib.resp import RespSession


class RedisServer:
    """`options` are lines of redis.conf: {"maxmemory": "1mb"}; users are ACL lines as of `user`.

    With `certificates` it speaks TLS on its port and wants a client certificate if `mutual`."""

    def __init__(self, owner, options=None, users=(), certificates=None, mutual=False,
                 binary=os.environ.get("SHEAF_REDIS_SERVER", "redis-server")):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-redis-"))
        self.socket = self.folder / "redis.sock"
        self.address = f"127.0.0.1:{self.port}"
        self._binary = binary
        self._options = {"save": '""', "appendonly": "no", **(options or {})}
        self._users = list(users)
        self._tls = certificates
        self._mutual = mutual
        self.process = None
        ends_with(owner, self._end)
        self.start()

    @property
    def url(self):
        return f"{'rediss' if self._tls else 'redis'}://{self.address}"

    @property
    def pid(self):
        return self.process.pid

    def start(self, loading=False):
        """Returns when it serves; `loading`: when it answers that it is LOADING."""
        lines = [
            "bind 127.0.0.1", f"unixsocket {self.socket}", f"dir {self.folder}", "loglevel warning",
            "daemonize no", *(f"{k} {v}" for k, v in self._options.items()),
            *(f"user {u}" for u in self._users)]
        if self._tls:
            lines += ["port 0", f"tls-port {self.port}",
                      f"tls-cert-file {self._tls.cert('server')}",
                      f"tls-key-file {self._tls.key('server')}",
                      f"tls-ca-cert-file {self._tls.ca}",
                      f"tls-auth-clients {'yes' if self._mutual else 'no'}"]
        else:
            lines += [f"port {self.port}"]
        (self.folder / "redis.conf").write_text("\n".join(lines) + "\n")
        self.process = Process([self._binary, self.folder / "redis.conf"])
        try:
            wait_until(self._loads if loading else self._answers, what="redis-server to answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.process.out}{self.process.err}") from None

    def _answers(self):
        if not self.process.running:
            raise AssertionError(f"redis-server ended: {self.process.out}")
        with RespSession(str(self.socket)) as session:
            return not str(session.ask("PING")).startswith("LOADING")

    def _loads(self):
        return self.process.running and str(self.ask("PING")).startswith("LOADING")

    def connect(self, **options):
        """A raw session with this server itself, past Sheaf (over its Unix socket)."""
        return RespSession(str(self.socket), **options)

    def ask(self, *words):
        with self.connect() as session:
            return session.ask(*words)

    def kill9(self):
        self.process.kill()
        self.socket.unlink(missing_ok=True)

    def stop(self):
        self.process.stop()

    def cont(self):
        self.process.cont()

    def restart(self):
        """Again on the same port, with what it saved ("save", "appendonly") in its folder."""
        if self.process.running:
            self.kill9()
        self.start()

    def _end(self):
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
