"""Clients of a blob pool that work while something else happens, and know afterwards what was wrong.

Each thread owns its keys, and every body says of which key and which writing it is, all along: an object that is half of
one and half of another, of another key, cut short, or older than one that was acknowledged is seen."""
import http.client
import random
import threading
import time


def body_of(key, number, size):
    word = f"{key}|{number}|".encode()
    return (word * (size // len(word) + 1))[:max(size, len(word))]


class BlobLoad:
    """`sheaf` lets in whoever comes (unsigned_access); the bucket is there.  Errors are (key, text)."""

    def __init__(self, sheaf, threads=4, keys=8, most=200_000, bucket="load"):
        self.errors, self.wrong = [], []
        self.done = 0
        self.sheaf, self.bucket, self.most = sheaf, bucket, most
        self._end = threading.Event()
        self._lock = threading.Lock()
        self.workers = [_Worker(self, [f"load:{n}:{k}" for k in range(keys)]) for n in range(threads)]

    def __enter__(self):
        for worker in self.workers:
            worker.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self._end.set()
        for worker in self.workers:
            worker.join(60)

    @property
    def ending(self):
        return self._end.is_set()

    @property
    def keys(self):
        return [key for worker in self.workers for key in worker.keys]

    def note(self, error=None, wrong=None):
        with self._lock:
            self.done += error is None
            self.errors += [error] if error else []
            self.wrong += [wrong] if wrong else []

    def ops(self, more):
        """A condition for wait_until(): so many further operations went well."""
        goal = self.done + more
        return lambda: self.done >= goal or self.wrong

    def check(self, case):
        """What must hold whatever happened: what is there is whole, and not older than what was acknowledged."""
        case.assertEqual(self.wrong[:3], [])
        session = http.client.HTTPConnection(*self.sheaf.target(), timeout=60)
        for worker in self.workers:
            for key in worker.keys:
                worker.look(session, key)
        session.close()
        case.assertEqual(self.wrong[:3], [])


class _Worker(threading.Thread):
    def __init__(self, load, keys):
        super().__init__(daemon=True)
        self._load, self.keys = load, keys
        self._sent = dict.fromkeys(keys, 0)
        self._acked = dict.fromkeys(keys, 0)
        self._dice = random.Random(keys[0])

    def run(self):
        session = None
        while not self._load.ending:
            key = self._dice.choice(self.keys)
            try:
                if session is None:
                    session = http.client.HTTPConnection(*self._load.sheaf.target(), timeout=60)
                self._put(session, key)
                self.look(session, key)
            except (OSError, http.client.HTTPException) as error:
                self._load.note(error=(key, repr(error)))
                session.close()
                session = None
                time.sleep(0.01)
        if session is not None:
            session.close()

    def _put(self, session, key):
        self._sent[key] += 1
        number = self._sent[key]
        size = self._dice.choice([10, 5000, self._dice.randrange(self._load.most)])
        session.request("PUT", f"/{self._load.bucket}/{key}", body_of(key, number, size))
        reply = session.getresponse()
        text = reply.read()
        if reply.status == 200:
            self._acked[key] = number
            self._load.note()
        else:
            self._load.note(error=(key, f"{reply.status} {text.decode()}"))

    def look(self, session, key):
        session.request("GET", f"/{self._load.bucket}/{key}")
        reply = session.getresponse()
        text = reply.read()
        if reply.status == 404:
            self._load.note(wrong=(key, "is gone") if self._acked[key] else None)
        elif reply.status != 200:
            self._load.note(error=(key, f"{reply.status} {text.decode()}"))
        else:
            self._load.note(wrong=self._fault(key, text))

    def _fault(self, key, text):
        whose, number, _ = (text + b"||").split(b"|", 2)
        if whose.decode() != key or not number.isdigit():
            return key, f"says {text[:50]}"
        number = int(number)
        if not self._acked[key] <= number <= self._sent[key]:
            return key, f"is of writing {number}, not of {self._acked[key]} to {self._sent[key]}"
        if text != body_of(key, number, len(text)):
            return key, f"is mixed: {len(text)} bytes"
        return None
