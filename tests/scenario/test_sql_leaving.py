#!/usr/bin/python3
"""Clients of SQL pools who send no more, in the midst of anything that they may have said: each is let go, and leaves nothing.

What each says comes from a seed, which a failure tells: SHEAF_LEAVING_SEED=N says it again, beside the same that others say.
SHEAF_LONG=1: thousands."""
import concurrent.futures
import os
import random
import struct
import time

from lib import *
from lib import pgwire as pg

SEED = int(os.environ.get("SHEAF_LEAVING_SEED") or random.randrange(1 << 30))
ROUNDS = 20_000 if os.environ.get("SHEAF_LONG") == "1" else int(3000 / min(SLOW, 2))
SETS = "DO $$ BEGIN PERFORM set_config('work_mem', '5MB', false); END $$"
SAID = [
    *[pg.sync()] * 3, pg.flush(), pg.parse("s", "SELECT 1"), pg.parse("s", "SELEC"), pg.bind("", "s"), pg.bind("", "nosuch"), pg.execute(), pg.execute("nosuch"),
    pg.describe("S", "s"), pg.describe("S", "nosuch"), pg.close("S", "s"), pg.close("P", ""), pg.function_call(1397, ["-5"], [0], 0), pg.function_call(0),
    *map(pg.query, ("SELECT 1", "SELECT 1/0", "SELECT 1; SELECT 1/0", "", "BEGIN", "COMMIT", "ROLLBACK", "SET work_mem = '3MB'", SETS, "PREPARE p AS SELECT 1", "EXECUTE p",
                    "DEALLOCATE p", "DISCARD ALL", "INSERT INTO t VALUES ('a')", "SHOW sheaf.route", "LISTEN x", "CREATE TEMP TABLE x (a int)", "COPY t FROM STDIN",
                    "COPY t TO STDOUT")),
    *map(pg.one, ("SELECT 1", "SELECT 1/0", "", "BEGIN", "COMMIT", "ROLLBACK", "SET work_mem = '4MB'", "SELECT set_config('my.x', 'a', false)", "DISCARD ALL", "RESET ALL",
                  "INSERT INTO t VALUES ('a')", "COPY t FROM STDIN")),
    pg.one("SELECT $1::text::int", "x"), pg.copy_data(b"d\n"), pg.copy_data(b"d\te\n"), *[pg.copy_done()] * 2, pg.copy_fail("no"),
]
# Nothing; that he leaves; what is no message; and messages that are too long for what they are, of which the rest never comes.
LAST = [*[b""] * 4, pg.terminate(), b"\xff" * 30, b"~\0\0\0\4", *(struct.pack("!ci", tag, length) for tag, length in ((b"Q", 3), (b"B", 2**31 - 1), (b"d", 0))),
        *(tag + b"\0\0\0Q\0" for tag in (b"S", b"c", b"H"))]


class Leaving(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls)
        cls.server.sql("CREATE TABLE t (v text)", user="app")
        cls.replica = Replica(cls, cls.server)
        cls.replica.wait_for_catchup()
        cls.front = Sheaf(cls, sql_pool(cls.server, name="transactions", pool_size=4), sql_pool(cls.server, name="sessions", pool_size=16, pooling="session"),
                          sql_pool(cls.server, [cls.replica], name="replicas", pool_size=4), sql_pool(cls.server, name="commits", pool_size=4, lost_commit_wait="5s"))

    def leave(self, number):
        """What was said, and heard, if he is not let go."""
        dice = random.Random(number)
        said = b"".join(dice.choices(SAID, k=dice.randrange(1, 7)))
        if dice.random() < 0.6:
            said = said[:dice.randrange(len(said) + 1)]
        said += dice.choice(LAST)
        cuts = sorted(dice.sample(range(len(said) + 1), min(len(said), dice.choice((0, 0, 1, 3)))))
        with pg.PgSession(self.front.target(("transactions", "sessions", "replicas", "commits")[number % 4]), timeout=20) as session:
            heard, until = [], time.monotonic() + 10 * SLOW
            try:
                if dice.random() < 0.5:
                    session.ask("SELECT 1")
                for begin, end in zip([0, *cuts], [*cuts, len(said)]):
                    session.socket.sendall(said[begin:end])
                    time.sleep(dice.choice((0, 0, 0.0005, 0.002, 0.01)))
                session.socket.shutdown(1)
                while time.monotonic() < until:
                    heard.append(session.message())
            except (EOFError, ConnectionError, OSError) as error:
                if not isinstance(error, TimeoutError):
                    return None
        return f"SHEAF_LEAVING_SEED={number}: {said!r}, cut at {cuts}; heard: {''.join(message.tag for message in heard)}"

    def test_anywhere(self):
        with concurrent.futures.ThreadPoolExecutor(12) as threads:
            stayed = [each for each in threads.map(self.leave, range(SEED, SEED + ROUNDS)) if each]
        self.assertEqual(stayed[:3], [])
        for server in (self.server, self.replica):
            wait_until(lambda s=server: not s.sessions("state <> 'idle' AND datname = 'app'"), what="nothing to be under way at the servers")
        wait_until(lambda: all(pool["requests_open"] == 0 for pool in self.front.status()["pools"]), what="nothing to be under way")


if __name__ == "__main__":
    main()
