"""Clients of a SQL pool that write and read all the time, and what they were told."""
import collections
import threading
import time

from lib import pgwire as pg
from lib.case import SLOW, wait_until


class Crowd:
    """Clients in threads, each asking with values of its own; what they were told is kept.

    `written` are rows whose insertion was acknowledged, `refused` those that were told to have failed, by
    SQLSTATE ("closed" if nothing was told); `wrong` answers that are not of what was asked."""

    def __init__(self, case, target, count=6, write=True, read=True):
        self.target, self.write, self.read = target, write, read
        self.written, self.refused = set(), {}
        self.errors, self.wrong = collections.Counter(), []
        self.asked = collections.Counter()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._live, args=(number,), daemon=True) for number in range(count)]
        for thread in self._threads:
            thread.start()
        case.addCleanup(self.stop)

    def stop(self):
        self._stop.set()
        for thread in self._threads:
            thread.join(60 * SLOW)
            if thread.is_alive():
                raise AssertionError("a client hangs")

    def goes_on(self, kind=None, count=20):
        """Waits until so many more were answered well: "write" or "read"."""
        kinds = [kind] if kind else [k for k, on in (("write", self.write), ("read", self.read)) if on]
        for kind in kinds:
            target = self.asked[kind] + count
            wait_until(lambda k=kind, t=target: self.asked[k] >= t, 30, f"{count} more answers to a {kind}")

    def _live(self, number):
        n = 0
        while not self._stop.is_set():
            try:
                with pg.PgSession(self.target, timeout=60) as session:
                    session.run(pg.parse("w", "INSERT INTO log VALUES ($1::int, $2::int) RETURNING client, n") + pg.sync())
                    while not self._stop.is_set():
                        n += 1
                        self._once(session, number, n)
                        self._stop.wait(0.002)  # there are others on this machine
            except pg.PgError as error:
                self.errors[error.code] += 1
                time.sleep(0.01)
            except (EOFError, OSError):
                self.errors["closed"] += 1
                time.sleep(0.01)

    def _once(self, session, number, n):
        if self.write:
            self._insert(session, number, n)
        if self.read:
            answer = session.ask(f"SELECT {number} AS client, {n} AS n")
            self._judge("read", answer, number, n)

    def _insert(self, session, number, n):
        self.refused[number, n] = "closed"  # until it is told otherwise
        how = number % 3  # each has its own way
        if how == 0:
            answer = session.ask(f"INSERT INTO log VALUES ({number}, {n}) RETURNING client, n")
        elif how == 1:
            answer = session.run(pg.bind("", "w", [number, n]) + pg.execute() + pg.sync())
        else:
            answer = session.ask("BEGIN")
            if not answer.errors:
                answer = session.ask(f"INSERT INTO log VALUES ({number}, {n}) RETURNING client, n")
            if not answer.errors:
                end = session.ask("COMMIT")
                if end.errors or end.done != ["COMMIT"]:
                    answer = end
            elif not session.idle:
                session.ask("ROLLBACK")
        del self.refused[number, n]
        if self._judge("write", answer, number, n):
            self.written.add((number, n))
        else:
            self.refused[number, n] = answer.errors[0] if answer.errors else "rolled back"

    def _judge(self, kind, answer, number, n):
        with self._lock:
            for code in answer.errors:
                self.errors[code] += 1
            if answer.errors or (not answer.rows and answer.done == ["ROLLBACK"]):
                return False
            if answer.rows != [[str(number), str(n)]]:
                self.wrong.append((kind, (number, n), answer))
                return False
            self.asked[kind] += 1
            return True
