"""The daemon under test."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import tempfile
import urllib.error
import urllib.request

from lib.case import REPOSITORY, SLOW, ends_with, wait_until
from lib.ports import free_port
from lib.process import Process, run
from lib.resp import RespSession

BINARY = pathlib.Path(os.environ.get("SHEAF_BINARY", REPOSITORY / "build/release/sheaf"))
_COMPLAINT = re.compile(
    r"AddressSanitizer|LeakSanitizer|ThreadSanitizer|MemorySanitizer|runtime error:|Assertion .* failed"
    r"|\*\*\* .* detected \*\*\*")
_SUPPRESSIONS = REPOSITORY / "tests/scenario/lib/tsan.supp"
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1",
    "UBSAN_OPTIONS": "print_stacktrace=1",
    "TSAN_OPTIONS": f"second_deadlock_stack=1:suppressions={_SUPPRESSIONS}",
}


def _lines(options):
    for key, value in options.items():
        for one in value if isinstance(value, (list, tuple)) else [value]:
            yield f"{key} = {one}"


def ini(*sections):
    """Sections ("kind name", {option: value or list of values}) as the text of a configuration."""
    return "\n".join("\n".join([f"[{name}]", *_lines(options)]) for name, options in sections) + "\n"


def pool(shards, name="main", **options):
    """A memory pool over servers, Faults or URLs, with a listener of its own unless one is given."""
    urls = [shard if isinstance(shard, str) else shard.url for shard in shards]
    return (f"memory {name}",
            {"listen": f"redis://127.0.0.1:{free_port()}", "shard": urls, **options})


def cache_pool(shards, name="main", **options):
    """The same over memcached servers."""
    urls = [shard if isinstance(shard, str) else f"memcached://{shard.address}" for shard in shards]
    return pool(urls, name, **{"listen": f"memcached://127.0.0.1:{free_port()}", **options})


def sql_pool(primary, replicas=(), name="main", **options):
    """A pool over PostgreSQL servers (or URLs), with a listener of its own that lets in whom they know.

    `primary` may be a list of candidates."""
    def url(server):
        return server if isinstance(server, str) else server.url
    primaries = primary if isinstance(primary, list) else [primary]
    return (f"sql {name}",
            {"listen": f"postgresql://127.0.0.1:{free_port()}", "primary": [url(each) for each in primaries],
             "replica": [url(replica) for replica in replicas], "auth": "trust", "user": "app secret", "probe_interval": "100ms", "slow_start": "0s", **options})


class Sheaf:
    """`sheaf serve` on a configuration of its own, ready when the constructor returns.

    Given a case it ends with the test, and fails it if a sanitizer or an assertion spoke up or if
    SIGTERM does not end it with exit code 0."""

    def __init__(self, owner, *pools, proxy=None, text=None, env=None, start=True):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-serve-"))
        self.file = self.folder / "sheaf.ini"
        self.admin_port = free_port()
        self._proxy = {"workers": 2, "admin": f"http://127.0.0.1:{self.admin_port}",
                       "drain_timeout": "2s", **(proxy or {})}
        self._env = env or {}
        self.process = None
        self.write(*pools, text=text)
        ends_with(owner, self._end)
        if isinstance(owner, type):
            owner.shared.append(self)
        if start:
            self.start()

    # --- configuration

    def write(self, *pools, text=None, proxy=None):
        """Writes the configuration; a running daemon reads it with reload()."""
        self._proxy.update(proxy or {})
        self.text = text if text is not None else ini(("proxy", self._proxy), *pools)
        self.file.write_text(self.text)
        found = re.findall(r"^\[(?:memory|sql|blob) (\S+)\]|^listen *= *(\S+)", self.text, re.M)
        self.listeners, name = {}, None
        for section, url in found:
            if section:
                name = section
            elif name:
                self.listeners.setdefault(name, []).append(url)

    def reload(self, *pools, text=None, proxy=None):
        """Writes and says SIGHUP; what must come of it is for the test to await."""
        if pools or text is not None or proxy:
            self.write(*pools, text=text, proxy=proxy)
        self.process.signal(signal.SIGHUP)

    # --- life

    def start(self):
        self._knocks = 0
        self.process = Process([BINARY, "serve", self.file], env={**SANITIZERS, **self._env},
                               cwd=self.folder)
        try:
            wait_until(self._ready, seconds=15, what="sheaf to be ready")
            if "max_sessions" in self.text and self._proxy["admin"] != "off":
                self.forget_knocks()
        except AssertionError:
            self.process.kill()
            raise

    def _ready(self):
        if not self.process.running:
            raise AssertionError(
                f"sheaf ended with {self.process.wait()}:\n{self.text}\n{self.process.err[-4000:]}")
        target = self.target()
        family = socket.AF_UNIX if isinstance(target, str) else socket.AF_INET
        with socket.socket(family) as probe:
            probe.connect(target)
            self._knocks += 1
        try:
            return self._proxy["admin"] == "off" or self.http("/readyz")[0] == 200
        except urllib.error.URLError:
            return "sheaf is ready" in self.log  # it has no admin endpoint, or not yet

    def check(self):
        """Says so if it has died, and starts it again: one death fails one test, not all after it."""
        if not self.process.running:
            code, log = self.process.wait(), self.log
            self.start()
            raise AssertionError(f"sheaf died with {code}:\n{log[-8000:]}")

    def forget_knocks(self):
        """Waits until the sessions that asked whether it is ready are counted, and gone."""
        wait_until(self._alone, what="the session that asked whether it is ready to be gone")

    def _alone(self):
        sessions = json.loads(self.http("/api/v1/status")[1])["sessions"]
        seen = sessions["opened"] + sessions["closed"]["too_many"]
        return seen >= self._knocks and sessions["open"] == 0

    def terminate(self):
        self.process.signal(signal.SIGTERM)

    def wait(self, seconds=20):
        """Waits for the end; the exit code."""
        return self.process.wait(seconds)

    @property
    def log(self):
        return self.process.err

    def _end(self):
        try:
            if self.process is None:
                return
            was_running = self.process.running
            if was_running:
                self.terminate()
                self.wait()
            complaint = _COMPLAINT.search(self.process.err)
            if complaint:
                at = max(0, complaint.start() - 200)
                raise AssertionError(f"sheaf complained:\n{self.process.err[at:at + 8000]}")
            code = self.process.wait()
            if code < 0 or (was_running and code != 0):
                raise AssertionError(f"sheaf ended with {code}:\n{self.process.err[-4000:]}")
        finally:
            if self.process is not None:
                self.process.kill()
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- clients

    def target(self, name=None, index=0):
        """(host, port) or the path of a pool's listener; the first pool's unless one is named."""
        url = self.listeners[name or next(iter(self.listeners))][index]
        rest = url.split("://", 1)[1]
        if "+unix" in url:
            return rest.split("?")[0]
        host, port = rest.split("?")[0].rsplit(":", 1)
        return host, int(port)

    @property
    def port(self):
        return self.target()[1]

    def connect(self, name=None, index=0, **options):
        return RespSession(self.target(name, index), **options)

    def ask(self, *words):
        with self.connect() as session:
            return session.ask(*words)

    # --- the admin endpoint

    def http(self, path, method="GET"):
        """(status, body)."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.admin_port}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=10 * SLOW) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def status(self):
        return json.loads(self.http("/api/v1/status")[1])

    # --- the other commands

    @staticmethod
    def command(*arguments, stdin="", env=None, seconds=30):
        """Runs sheaf to its end: (exit code, standard output, standard error)."""
        code, out, err = run([BINARY, *arguments], stdin, seconds, {**SANITIZERS, **(env or {})})
        if _COMPLAINT.search(err):
            raise AssertionError(f"sheaf complained:\n{err[:8000]}")
        return code, out, err

    def route(self, *keys, name="main"):
        code, out, err = self.command("route", self.file, name, *keys)
        if code != 0:
            raise AssertionError(err)
        return [line.split("\t") for line in out.splitlines()]
