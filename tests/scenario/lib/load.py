"""Clients that work while something else happens, and know afterwards what was wrong.

Each thread owns its keys and tags every value with key and number, so that a reply which belongs to
another request, a value from the past and an acknowledged write that is gone are all seen."""
import threading
import time

from lib.placement import shard_of
from lib.resp import Failure, Status, encode


class Load:
    """`shards` is the number of shards of the pool, to tell by key whose error one is."""

    def __init__(self, sheaf, shards, threads=4, keys=40, depth=20, name=None):
        self.errors = [[] for _ in range(shards)]  # (when, text), by shard
        self.foreign = []  # replies that belong to something else
        self.lost = []     # acknowledged writes that were not there later
        self.closed = []   # sessions that Sheaf ended
        self.done = 0      # operations answered
        self.slowest = 0.0
        self._shards = shards
        self._end = threading.Event()
        self._lock = threading.Lock()
        self._workers = [
            _Worker(self, sheaf, name, [f"load:{t}:{k}" for k in range(keys)], depth)
            for t in range(threads)]

    def __enter__(self):
        for worker in self._workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._end.set()
        for worker in self._workers:
            worker.join(60)

    @property
    def ending(self):
        return self._end.is_set()

    def forget_errors(self):
        with self._lock:
            self.errors = [[] for _ in range(self._shards)]

    def note(self, operations, seconds, errors, foreign, lost):
        with self._lock:
            self.done += operations
            self.slowest = max(self.slowest, seconds)
            for key, text in errors:
                self.errors[shard_of(key, self._shards)].append((time.monotonic(), text))
            self.foreign += foreign
            self.lost += lost

    def note_closed(self, why):
        with self._lock:
            self.closed.append(why)

    def ops(self, more):
        """A condition for wait_until(): so many further operations were answered."""
        goal = self.done + more
        return lambda: self.done >= goal

    def check(self, case, lost=True):
        """What must hold whatever happened to the servers."""
        case.assertEqual(self.foreign[:3], [], "replies that belong to another request")
        case.assertEqual(self.closed[:3], [], "sessions that were closed")
        if lost:
            case.assertEqual(self.lost[:3], [], "acknowledged writes that are gone")


class _Worker(threading.Thread):
    def __init__(self, load, sheaf, name, keys, depth):
        super().__init__(daemon=True)
        self._load, self._sheaf, self._name, self._keys, self._depth = load, sheaf, name, keys, depth
        self._sent = dict.fromkeys(keys, 0)   # the highest number written, perhaps not acknowledged
        self._acked = dict.fromkeys(keys, 0)  # the highest acknowledged
        self._at = 0

    def run(self):
        try:
            with self._sheaf.connect(self._name) as session:
                while not self._load.ending:
                    self._round(session)
                    time.sleep(0.002)  # there are others on this machine
        except Exception as error:  # pylint: disable=broad-except
            self._load.note_closed(repr(error))

    def _commands(self):
        """Sets and gets in turn, over the keys."""
        for turn in range(self._depth):
            key = self._keys[self._at % len(self._keys)]
            if turn % 2 == 0:
                self._sent[key] += 1
                yield key, self._sent[key], encode("SET", key, f"{key}|{self._sent[key]}")
            else:
                yield key, None, encode("GET", key)
                self._at += 1

    def _round(self, session):
        commands = list(self._commands())
        began = time.monotonic()
        session.send(b"".join(text for _, _, text in commands))
        errors, foreign, lost = [], [], []
        for key, number, _ in commands:
            reply = session.reply()
            if isinstance(reply, Failure):
                errors.append((key, str(reply)))
            elif number is not None:
                if not isinstance(reply, Status) or reply != "OK":
                    foreign.append(f"SET {key} was answered {reply!r}")
                self._acked[key] = number
            else:
                self._judge(key, reply, foreign, lost)
        self._load.note(len(commands), time.monotonic() - began, errors, foreign, lost)

    def _judge(self, key, reply, foreign, lost):
        if reply is None:
            if self._acked[key] > 0:
                lost.append(f"{key} is gone, {self._acked[key]} was acknowledged")
                self._acked[key] = 0
            return
        owner, _, number = reply.decode().partition("|") if isinstance(reply, bytes) else ("", "", "")
        if owner != key:
            foreign.append(f"GET {key} was answered {reply!r}")
        elif int(number) < self._acked[key]:
            lost.append(f"{key} is {number}, {self._acked[key]} was acknowledged")
