#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""SQL of any size: large rows, values and copies go by in bounded memory, and who does not read holds up himself."""
import contextlib
import hashlib
import os
import socket
import struct
import threading

from lib import *
from lib import pgwire as pg
from lib.pgtwin import PgTwin, Pooled
from lib.sql_front import FRONT

MIB = 1 << 20
LARGE = 64 * MIB
MORE = 24 * 1024  # KiB that Sheaf may hold besides, whatever goes by
LONG = os.environ.get("SHEAF_LONG") == "1"


class Streams(PgTwin):
    options = {"pooling": "transaction"}

    def setUp(self):
        self.reset()
        self.before = self.memory()

    def memory(self):
        return self.front.process.memory_kib() if FRONT == "sheaf" else 0

    def assert_lean(self):
        """What a sanitizer keeps of freed memory does not count."""
        if SLOW <= 1:
            self.assertLess(self.memory() - self.before, MORE, "memory in KiB")

    def drained(self, session, count=1):
        """Reads an answer whose frames may be of any size, piece by piece: its bytes by tag, a hash of its rows."""
        sizes, digest = {}, hashlib.md5()
        while count > 0:
            head = session.bytes(5)
            tag, left = head[:1].decode(), int.from_bytes(head[1:], "big") - 4
            sizes[tag] = sizes.get(tag, 0) + left
            while left > 0:
                piece = session.bytes(min(left, 1 << 18))
                left -= len(piece)
                if tag in "Dd":
                    digest.update(piece)
            count -= tag == "Z"
        self.assert_lean()
        return sizes, digest.hexdigest()

    # --- out

    def test_a_large_row(self):
        session = self.session()
        session.send(pg.query(f"SELECT repeat('0123456789abcdef', {LARGE // 16})"))
        row = hashlib.md5(b"\0\1" + LARGE.to_bytes(4, "big"))
        for _ in range(64):
            row.update(b"0123456789abcdef" * (MIB // 16))
        sizes, digest = self.drained(session)
        self.assertEqual((sizes["D"], digest), (LARGE + 6, row.hexdigest()))
        self.assertEqual(session.value("SELECT 1"), "1")

    def test_large_rows_by_the_extended_protocol(self):
        session = self.session()
        session.send(pg.one(f"SELECT repeat('x', {LARGE // 4}) FROM generate_series(1, 4)") + pg.sync() + pg.query("SELECT 1"))
        self.assertEqual(self.drained(session, 2)[0]["D"], 4 * (LARGE // 4 + 6) + 7)

    def test_a_long_copy(self):
        size = 512 if LONG else 128
        session = self.session()
        session.send(pg.query(f"COPY (SELECT repeat('x', 1023) FROM generate_series(1, {size * 1024})) TO STDOUT"))
        self.assertEqual(self.drained(session)[0]["d"], size * MIB)

    def test_a_stream_that_pauses_and_ends_short(self):
        session = self.session()
        rows = "SELECT repeat('x', 1023) FROM generate_series(1, 2048)"
        for _ in range(3):
            session.send(pg.query(f"COPY ({rows} UNION ALL SELECT repeat('y', 1018) || pg_sleep(0.1) UNION ALL {rows}) TO STDOUT"))
            self.assertEqual(self.drained(session)[0]["d"], 4 * MIB + 1019)
            self.assertEqual(session.value("SELECT 1"), "1")

    # --- in

    def test_a_large_parameter(self):
        session = self.session()
        value = os.urandom(MIB // 2).hex().encode() * (LARGE // MIB)
        answer = session.run(pg.one("SELECT length($1), md5($1)", value) + pg.sync())
        self.assertEqual(answer.rows, [[str(LARGE), hashlib.md5(value).hexdigest()]])
        self.assert_lean()

    def test_a_large_query(self):
        session = self.session()
        value = "0123456789abcdef" * MIB
        for sql in (f"SELECT length('{value}')", f"/* {value} */ SELECT {len(value)}", f"SELECT {len(value)} -- {value}",
                    f"INSERT INTO t (v) VALUES ('{value}'); SELECT max(length(v)) FROM t"):
            self.assertEqual(session.ask(sql).rows, [[str(len(value))]])
            self.assertEqual(session.run(pg.one(sql.split(";")[0]) + pg.sync()).errors, [])
        self.assert_lean()

    def test_a_large_write_lands_where_it_must(self):
        session = self.session()
        value = "x" * (32 * MIB)
        session.ask(f"INSERT INTO t (v) VALUES ('{value}')")
        session.run(pg.one("INSERT INTO t (v) VALUES ($1)", value) + pg.sync())
        self.assertEqual(self.server.sql("SELECT length(v) FROM t WHERE id > 3"), [(32 * MIB,)] * 2)

    def test_a_long_copy_in(self):
        size = 256 if LONG else 64
        session = self.session()
        session.send(pg.query("COPY t (v) FROM STDIN"))
        session.until("G")
        lines = pg.copy_data((b"x" * 1023 + b"\n") * 64)
        for _ in range(size * 16):
            session.send(lines)
        self.assertEqual(session.run(pg.copy_done()).done, [f"COPY {size * 1024}"])
        self.assert_lean()

    def test_copy_data_in_one_frame(self):
        session = self.session()
        session.send(pg.query("COPY t (v) FROM STDIN"))
        session.until("G")
        session.send(pg.copy_data((b"x" * 1023 + b"\n") * (LARGE // 1024)))
        self.assertEqual(session.run(pg.copy_done()).done, [f"COPY {LARGE // 1024}"])
        self.assert_lean()

    def test_a_copy_in_that_fails_early_is_swallowed_to_its_end(self):
        session = self.session()
        session.send(pg.query("COPY t (v) FROM STDIN"))
        session.until("G")
        session.send_beside(pg.copy_data(b"too\tmany\n") + pg.copy_data((b"x" * 1023 + b"\n") * 64) * 512 + pg.copy_done()
                            + pg.query("SELECT 1"))
        answer = session.until("Z", 2)
        self.assertEqual((answer.errors, answer.rows), (["22P04"], [["1"]]))
        self.assert_lean()

    def test_sizes_that_are_announced_take_no_memory(self):
        for n in range(32):
            size = (1 << 30) - 1000
            self.session().send(b"QPBd"[n % 4:][:1] + size.to_bytes(4, "big") + b"x" * 65536)
        self.assertEqual(self.session().value("SELECT 1"), "1")
        self.assert_lean()

    # --- who does not read

    def stalled(self, session, data):
        """Sends from beside; returns once nothing moves any more, neither here nor at the server."""
        session.send_beside(data)
        wait_until(lambda: self.server.sessions("wait_event = 'ClientWrite'"), what="the server to be held up")

    def test_rows_that_nobody_reads_hold_up_their_own_session_only(self):
        slow = self.session()
        self.stalled(slow, pg.query("SELECT repeat('x', 1000), g FROM generate_series(1, 200000) g"))
        self.assert_lean()
        for _ in range(20):
            with pg.PgSession(self.front.target()) as other:
                self.assertEqual(len(other.ask("SELECT n FROM many LIMIT 2000").rows), 2000)
        sizes, _ = self.drained(slow)
        self.assertEqual(sizes["D"], 200000 * 1010 + sum(len(str(n + 1)) for n in range(200000)))

    def test_a_pipeline_that_is_written_whole_before_it_is_read(self):
        """Answers pile up, then the server stands, then what was asked piles up; nothing of both may be in memory."""
        count = 20000
        session = self.session()
        part = pg.parse("", "INSERT INTO t (v) VALUES ($1) RETURNING repeat(v, 100)") + pg.sync()
        self.stalled(session, part + b"".join(pg.bind("", "", [f"{n:08}" * 10]) + pg.execute() + pg.sync() for n in range(count)))
        self.assert_lean()
        session.until("Z")
        for n in range(count):
            answer = session.until("Z")
            self.assertEqual((answer.tags, answer.value), ("2DCZ", f"{n:08}" * 1000))
            session.seen.clear()
        self.assert_lean()
        self.assertEqual(self.server.value("SELECT count(*) FROM t"), count + 3)

    def test_a_session_that_is_held_up_and_leaves(self):
        slow = self.session()
        self.stalled(slow, pg.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
        slow.socket.shutdown(2)
        slow.close()
        wait_until(lambda: not self.server.sessions("state = 'active'"), what="the server to be done with it")
        self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_a_session_that_is_held_up_is_cancelled(self):
        slow = self.session()
        self.stalled(slow, pg.query("SELECT repeat('x', 1000) FROM generate_series(1, 1000000)"))
        slow.cancel()
        answer = self.drained(slow)[0]
        self.assertLess(answer["D"], 500000 * 1000)
        self.assertIn("E", answer)

    def test_a_server_that_reads_nothing_holds_up_the_session(self):
        session = self.session()
        session.send(pg.query("COPY t (v) FROM STDIN"))
        session.until("G")
        self.server.stop()
        try:
            session.socket.settimeout(1)
            lines = pg.copy_data((b"x" * 1023 + b"\n") * 64)
            with self.assertRaises(TimeoutError):
                for _ in range(4096):
                    session.send(lines)
            self.assert_lean()
        finally:
            self.server.cont()

    def test_many_streams_at_once(self):
        problems = []

        def stream():
            with pg.PgSession(self.front.target()) as session:
                session.send(pg.query("COPY (SELECT repeat('x', 1023) FROM generate_series(1, 8192)) TO STDOUT"))
                size = self.drained(session)[0]["d"]
                if size != 8 * MIB:
                    problems.append(size)
        threads = [threading.Thread(target=stream) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems, [])


class ByteByByte(PgTwin):
    """What the server says arrives in pieces of one byte."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        if FRONT == "sheaf":
            cls.faults = Faults(cls, ("127.0.0.1", cls.server.port))
            cls.faults.one_byte = True
            cls.front = Sheaf(cls, sql_pool(f"postgresql://{cls.faults.address}", server_tls="off"))

    def test_answers(self):
        def script(session):
            session.ask("SELECT * FROM t; bogus")
            session.run(pg.one("SELECT $1::text", "x" * 100) + pg.sync() + pg.one("bogus") + pg.sync(), 2)
            session.ask("COPY t TO STDOUT; SELECT n FROM many LIMIT 20")
            session.ask("SET application_name = 'x'; DO $$ BEGIN RAISE NOTICE 'x'; END $$")
        self.same(script)

class Halves(Pooled):
    """A COPY fails while half a message of it is at the server, over which all others go, too: it would take whatever came
    next, anybody's, for the other half."""

    def setUp(self):
        self.reset()
        self.whole = pg.copy_data(b"x" * 4000)

    def failed(self):
        """A session that has been told so."""
        session = self.session()
        session.send(pg.query("COPY t (v) FROM STDIN"))
        session.until("G")
        session.send(self.whole[:2000])
        wait_until(lambda: self.server.sessions("wait_event = 'ClientRead' AND state = 'active'"), what="COPY to wait for more")
        session.send(self.whole[2000:] + pg.copy_data(b"\n" + b"too\tmany\n") + self.whole[:1000])
        self.assertEqual(session.until("Z").errors, ["22P04"])
        return session

    def process(self, session):
        return session.value("SELECT pg_backend_pid()")

    def test_its_rest_comes_before_anything_else(self):
        other = self.session()
        before = self.process(other)
        for cuts in ([4005], [1001, 4005], [1001, 2000, 4004, 4005]):
            session = self.failed()
            other.send(pg.query("SELECT 2"))
            self.assertTrue(other.is_silent())
            for start, end in zip([1000] + cuts, cuts):
                self.assertTrue(other.is_silent())
                session.send(self.whole[start:end])
            self.assertEqual(other.until("Z").value, "2")  # it is let go of then, and not when more comes
            session.send(self.whole + pg.copy_done())
            self.assertEqual((session.value("SELECT 1"), self.process(session)), ("1", before))
            session.close()

    def test_who_leaves_before_the_rest(self):
        other = self.session()
        before = self.process(other)
        self.failed().close()
        self.assertNotEqual(self.process(other), before)

    def test_who_ends_his_half_of_the_connection_while_he_waits(self):
        """With half a message, of which the other half would never come."""
        other = self.session()
        for data in (pg.query("SELECT '" + "x" * 300000 + "'")[:-1], self.whole[:1000], pg.one("SELECT $1::text", "x" * 300000)[:-1]):
            session = self.session()  # of the first of a worker the server is asked
            other.ask("BEGIN")
            session.send(data)
            self.assertTrue(session.is_silent())
            session.socket.shutdown(1)
            self.assertTrue(other.is_silent())
            other.ask("COMMIT")
            session.rest()
            self.assertEqual(other.value("SELECT 1"), "1")


class Unread(Case):
    """Who does not read what he asked for, and leaves: its end has been read from the server, or has not."""

    def test_its_connection_serves_the_next(self):
        server = Postgres(self)
        listen = [f"postgresql://127.0.0.1:{free_port()}", f"postgresql+unix://{self.folder()}"]
        Sheaf(self, sql_pool(server, pool_size=1, probe="no", connect_timeout="60s", listen=listen), proxy={"workers": 1})
        path = f"{self.folder()}/.s.PGSQL.5432"  # there is always as much on the way
        with pg.PgSession(path) as other:
            for size in range(256 << 10, 1 << 20, 20 << 10):
                with pg.PgSession(path) as session:
                    session.ask("BEGIN")
                    session.send(pg.query(f"SELECT repeat('x', 1000) FROM generate_series(1, {size // 1000})"))
                    wait_until(lambda: server.sessions("state = 'idle in transaction' AND query ~ 'repeat'"), what="the server to have said it")
                self.assertEqual(other.value("SELECT 1"), "1")

    def test_who_sends_much_and_then_no_more(self):
        """All of it counts, though most of it has yet to be read when that is known; or he is gone, and nobody waits for him."""
        server = Postgres(self)
        server.sql("CREATE TABLE t (v text)", user="app")
        listen = [f"postgresql://127.0.0.1:{free_port()}", f"postgresql+unix://{self.folder()}"]
        Sheaf(self, sql_pool(server, pool_size=1, probe="no", listen=listen), proxy={"workers": 1})
        path = f"{self.folder()}/.s.PGSQL.5432"
        for is_gone in False, True:
            with contextlib.closing(server.connect()) as holder, holder.cursor() as cursor, pg.PgSession(path) as session:
                cursor.execute("BEGIN; LOCK TABLE t")
                session.send(pg.one("COPY t FROM STDIN"))
                session.send(pg.copy_data(b"x" * 999 + b"\n") * 200 + pg.copy_done() + pg.sync())
                wait_until(lambda: server.sessions("wait_event_type = 'Lock'"), what="the server to wait")
                if is_gone:
                    session.close()
                    wait_until(lambda: not server.sessions("query ~ 'COPY'"), what="the server to be left")
                    continue
                session.socket.shutdown(socket.SHUT_WR)
                self.assertEqual(session.message().words[0], "in_hot_standby")  # Sheaf asks whether he is there
                cursor.execute("COMMIT")
                self.assertEqual(session.until("Z").done, ["COPY 200"])

    def test_who_is_gone_when_the_answer_comes(self):
        """Its end is not the beginning of the next one's."""
        server = Postgres(self)
        front = Sheaf(self, sql_pool(server, pool_size=1, probe="no"), proxy={"workers": 1})
        for _ in range(3):
            with pg.PgSession(front.target()) as session, pg.PgSession(front.target()) as other:
                session.run(pg.parse("", "SELECT 1") + pg.sync())
                # What is behind it waits for its end, and is so much that its client is not read from meanwhile.
                session.send(pg.query("SELECT pg_sleep(0.2), repeat('x', 30000); SET my.own = '1'") + pg.query("SELECT '" + "x" * 100000 + "'"))
                wait_until(lambda: server.sessions("state = 'active'"), what="the server to be at it")
                other.send(pg.one("SELECT 'mine'") + pg.sync())
                self.assertTrue(other.is_silent())
                front.process.stop()
                wait_until(lambda: not server.sessions("state = 'active'"), what="the answer")
                session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                session.close()
                front.process.cont()
                self.assertEqual(other.until("Z").tags, "12TDCZ")


if __name__ == "__main__":
    main()
