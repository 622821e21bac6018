"""Random scripts of a PostgreSQL session.

A script is a list of steps: what is said, as the Python that makes it ("pg.query('SELECT 1')"), WAIT, until the server
has said all that it will, or PAUSE.  What is said between two of these is one write.  Left out is what limits.md tells, and
what differs from one connection to another by its nature: numbers of objects, processes, transactions, WAL, and clocks.
"""
import array
import fcntl
import os
import pathlib
import random
import select
import struct
import termios
import time

from lib import pgwire as pg
from lib.case import SLOW

WAIT, PAUSE = "WAIT", "PAUSE"
_ENDS = ("pg.sync(", "pg.flush(")
_ASKS = ("pg.query(", "pg.function_call(", "pg.copy_")
_FIRST_OID = 16384  # of what is made in a database

_SETTINGS = {
    "work_mem": ["2MB", "64kB", "nonsense"], "application_name": ["me", "it''s", ""], "DateStyle": ["German", "SQL, DMY", "ISO"],
    "TimeZone": ["Asia/Tokyo", "UTC", "nowhere"], "search_path": ["one, public", "two, public", "public"],
    "my.own": ["1", "2", ""], "extra_float_digits": ["0", "3"], "bytea_output": ["escape", "hex"],
    "client_encoding": ["LATIN1", "UTF8"], "standard_conforming_strings": ["off", "on"],
    "client_min_messages": ["error", "notice", "warning"], "default_transaction_read_only": ["on", "off"],
    "default_transaction_isolation": ["serializable", "repeatable read", "read committed"],
    "statement_timeout": ["1h", "0"], "plan_cache_mode": ["force_generic_plan", "auto"], "nosuch": ["1"],
}
_SHOWN = ", ".join(f"coalesce(current_setting('{name}', true), '-')" for name in _SETTINGS)
_STATEMENTS, _PORTALS, _CURSORS = ["", "a", "b", "c"], ["", "p", "c"], ["c", "d", "p"]

# What is to be found after all, whatever was done.
_END = [
    "pg.copy_fail('enough')", "pg.sync()", "pg.query('ROLLBACK')", WAIT,
    f"pg.query({f'SELECT current_user, session_user, {_SHOWN}'!r})",
    "pg.query('SELECT * FROM public.t ORDER BY id')",
    "pg.query('SELECT name, is_holdable FROM pg_cursors ORDER BY name')",
    "pg.query(\"SELECT classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    " ORDER BY 1, 2, 3, 4\")",
    "pg.query('SELECT pg_listening_channels() ORDER BY 1')", "pg.query('NOTIFY news, $$end$$')",
    "pg.query('SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() ORDER BY 1')", WAIT,
    *[f"pg.describe('S', {name!r}) + pg.bind('', {name!r}) + pg.execute() + pg.sync()" for name in _STATEMENTS],
    "pg.query('EXECUTE a')", "pg.query('EXECUTE b(1)')", WAIT,
]


class SqlDice(random.Random):
    """`at_replicas`: what begins READ ONLY may be at a replica, which can't do all; limits.md tells which."""
    at_replicas = False

    def some(self, weighted):
        """One of (weight, what to call, or a value)."""
        [(_, made)] = self.choices(weighted, [weight for weight, _ in weighted])
        return made() if callable(made) else made

    # --- SQL

    def _read(self):
        rows = self.choice((1, 3, 30, 300))
        return self.choice((
            "SELECT 1", "SELECT 1", "SELECT v FROM t ORDER BY id", "SELECT count(*) FROM t", f"SELECT n FROM generate_series(1, {rows}) n",
            "SELECT name FROM who", "TABLE t ORDER BY id LIMIT 2", "SELECT", "VALUES (1, 'x'), (2, NULL)", "SELECT v FROM t WHERE id = 2 FOR UPDATE",
            "SELECT '2001-02-03 04:05+0'::timestamptz, 0.1::float8, '\\x00ff'::bytea", "SELECT $1::int + 1", "SELECT 'gr\u00f6\u00dfe'",
            "WITH w AS (INSERT INTO t (v) VALUES ('w') RETURNING id) SELECT count(*) FROM w", "SELECT nosuch_column.x", "EXPLAIN (COSTS off) SELECT 1"))

    def _write(self):
        return self.choice((
            "INSERT INTO t (v) VALUES ('d')", "INSERT INTO t (v) VALUES ('e') RETURNING id, v", "UPDATE t SET v = v || 'x' WHERE id = 2 RETURNING *",
            "DELETE FROM t WHERE id = 3", "INSERT INTO t (v) SELECT 'g' FROM generate_series(1, 3)", "UPDATE t SET v = $1 WHERE id = 1",
            "SELECT * INTO TEMP made FROM t", "INSERT INTO who VALUES ('three')", "SELECT nextval('t_id_seq')", "TRUNCATE who"))

    def _failing(self):
        return self.choice((
            "bogus", "SELECT nosuch FROM t", "SELECT 1/0", "INSERT INTO t VALUES (1, 'x')", "SELECT 'x'::int", "SELECT 1/(n-3) FROM generate_series(1, 5) n",
            "SELECT * FROM nosuch", "SELECT $1", "SELECT 'unended", "EXECUTE nosuch", "COPY nosuch FROM STDIN", "SELECT pg_notify('', 'x')"))

    def _transaction(self):
        text = self.choice((
            "BEGIN", "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "END", "ABORT", "START TRANSACTION READ ONLY",
            "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN READ ONLY", "COMMIT AND CHAIN",
            "ROLLBACK AND CHAIN", "SAVEPOINT s", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "ROLLBACK TO SAVEPOINT r", "SAVEPOINT r",
            "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "SET TRANSACTION READ ONLY",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET CONSTRAINTS ALL DEFERRED", "LOCK TABLE t IN SHARE MODE"))
        return "BEGIN" if self.at_replicas and text.endswith("READ ONLY") else text

    def _setting(self):
        name = self.choice(list(_SETTINGS))
        value = self.choice(_SETTINGS[name])
        quoted = ", ".join(f"'{each}'" for each in value.split(", ")) if name in ("search_path", "DateStyle") else f"'{value}'"
        return self.choice((
            f"SET {name} = {quoted}", f"SET {name} = {quoted}", f"SET LOCAL {name} = {quoted}", f"RESET {name}", f"SHOW {name}",
            f"SELECT set_config('{name}', '{value}', {self.choice(('true', 'false'))})", f"SELECT current_setting('{name}', true)",
            f"SET {name} TO DEFAULT", f"SELECT sets('{name}', '{value}', {self.choice(('true', 'false'))})", "RESET ALL",
            f"SET SESSION {name} = {quoted}", f"DO $$ BEGIN PERFORM set_config('{name}', '{value}', false); END $$"))

    def _role(self):
        return self.choice(("SET ROLE other", "SET ROLE other", "RESET ROLE", "SET ROLE NONE", "SET LOCAL ROLE other", "SET ROLE nobody",
                            "SELECT current_user", "SET SESSION AUTHORIZATION app", "RESET SESSION AUTHORIZATION",
                            "SET SESSION AUTHORIZATION DEFAULT", "SELECT session_user, current_user"))

    def _discard(self):
        return self.choice(("DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP", "DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *",
                            "SELECT pg_advisory_unlock_all()"))

    def _kept(self):
        """What stays on a connection."""
        cursor = self.choice(_CURSORS)
        return self.choice((
            "CREATE TEMP TABLE made (a int)", "CREATE TEMP TABLE IF NOT EXISTS t (id int, v text) ON COMMIT DROP", "DROP TABLE made", "INSERT INTO made VALUES (1)",
            "SELECT * FROM made", "CREATE TEMP VIEW seen AS SELECT v FROM t",
            f"DECLARE {cursor} CURSOR FOR SELECT n FROM generate_series(1, 9) n", f"DECLARE {cursor} CURSOR WITH HOLD FOR SELECT v FROM t ORDER BY id",
            f"DECLARE {cursor} SCROLL CURSOR WITH HOLD FOR SELECT n FROM generate_series(1, 9) n", f"FETCH 2 FROM {cursor}", f"FETCH {cursor}", f"CLOSE {cursor}",
            f"MOVE 1 IN {cursor}", f"FETCH BACKWARD 1 FROM {cursor}", "LISTEN news", "NOTIFY news, 'x'", "NOTIFY news", "UNLISTEN news", "SELECT pg_notify('news', 'y')",
            "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_xact_lock(2)", "SELECT pg_try_advisory_lock(3)", "SELECT pg_advisory_unlock(1)",
            "SELECT pg_advisory_unlock(3)", "SELECT pg_advisory_lock_shared(1)"))

    def _prepare(self):
        name = self.choice(_STATEMENTS[1:])
        return self.choice((
            f"PREPARE {name} AS SELECT 1", f"PREPARE {name} AS SELECT v FROM t ORDER BY id", f"PREPARE {name} (int) AS SELECT $1 + 1",
            f"PREPARE {name} AS INSERT INTO t (v) VALUES ('p')", f"PREPARE {name} AS bogus", f"EXECUTE {name}", f"EXECUTE {name}", f"EXECUTE {name}(1)",
            f"EXECUTE {name}('x')", f"DEALLOCATE {name}", f"DEALLOCATE PREPARE {name}", f"EXPLAIN (COSTS off) EXECUTE {name}",
            f"CREATE TEMP TABLE made AS EXECUTE {name}"))

    def _code(self):
        return self.choice((
            "DO $$ BEGIN RAISE NOTICE 'here'; END $$", "DO $$ BEGIN PERFORM 1/0; END $$", "DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END $$",
            "DO $$ BEGIN EXECUTE 'SET my.own = 7'; END $$", "DO $$ BEGIN INSERT INTO t (v) VALUES ('do'); COMMIT; INSERT INTO t (v) VALUES ('undone'); ROLLBACK; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE made (a int)'; END $$", "DO $$ BEGIN EXECUTE 'LISTEN news'; END $$",
            "DO $$ BEGIN PERFORM pg_advisory_lock(4); END $$", "DO $$ BEGIN SET LOCAL work_mem = '3MB'; END $$", "SELECT past()",
            "DO $$ BEGIN EXECUTE 'SET ROLE other'; END $$", "DO $$ BEGIN EXECUTE 'DECLARE d CURSOR WITH HOLD FOR SELECT 5'; END $$",
            "DO $$ BEGIN EXECUTE 'PREPARE coded AS SELECT 6'; END $$", "DO LANGUAGE nosuch $$x$$"))

    def _made(self):
        return self.choice((
            "CREATE TABLE made (a int)", "DROP TABLE made", "ALTER TABLE made ADD b text", "DROP TABLE IF EXISTS made", "DROP FUNCTION made()",
            "CREATE OR REPLACE FUNCTION made() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('my.own', 'made', false); RETURN 1; END $$",
            "CREATE OR REPLACE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 8'", "SELECT made()", "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'bogus'",
            "VACUUM who", "COMMENT ON TABLE t IS 'x'", "CREATE TABLE made AS TABLE t"))

    def statement(self):
        return self.some((
            (20, self._read), (14, self._write), (10, self._failing), (20, self._transaction), (16, self._setting), (3, self._role), (3, self._discard),
            (14, self._kept), (7, self._prepare), (6, self._code), (3, self._made), (1, "-- nothing"), (1, "COPY t TO STDOUT"), (1, "")))

    # --- messages

    def _name(self):
        return self.choices(_STATEMENTS, (5, 3, 2, 1))[0]

    def _portal(self):
        return self.choices(_PORTALS, (6, 2, 1))[0]

    def _values(self):
        return self.choice(((), (), (), ("1",), ("x",), (None,), ("1", "2")))

    def _query(self):
        many = self.choices((1, 2, 3, 4), (12, 3, 2, 1))[0]
        text = "; ".join(self.statement() for _ in range(many)) + self.choice(("", "", ";", " "))
        return [f"pg.query({text!r})"]

    def _one(self):
        text = self.statement()
        values = ("1",) if "$1" in text else self._values() if self.random() < 0.1 else ()
        return [f"pg.one({', '.join(map(repr, (text, *values)))})"]

    def _parse(self):
        types = self.choice(("", "", "", "", ", [23]", ", [25]", ", [0]", ", [999999]"))
        name, text = self._name(), self.statement()
        # That of EXECUTE may be one that means itself, and what it finds a DEALLOCATE; and where an error is in a command, as
        # its text had it, is not known.
        if "PREPARE" in text or text.startswith(("EXECUTE", "EXPLAIN", "CREATE", "DEALLOCATE")):
            name = ""
        return [f"pg.parse({name!r}, {text!r}{types})"]

    def _bind(self):
        formats, results = self.choice(("()", "()", "()", "(0,)", "(1,)", "(0, 0)", "(7,)")), self.choice(("()", "()", "(0,)", "(1,)", "(0, 0)", "(9,)"))
        return [f"pg.bind({self._portal()!r}, {self._name()!r}, {self._values()!r}, {formats}, {results})"]

    def _run(self):
        """What is prepared, run as clients do."""
        name, portal, limit = self._name(), self._portal(), self.choice((0, 0, 1, 2))
        return [f"pg.bind({portal!r}, {name!r}, {self.choice(((), (), ('1',)))!r})",
                *([f"pg.describe('P', {portal!r})"] if self.random() < 0.5 else []), *[f"pg.execute({portal!r}, {limit})"] * self.choice((1, 1, 2))]

    def _message(self):
        return [self.some((
            (3, lambda: f"pg.describe('S', {self._name()!r})"), (3, lambda: f"pg.describe('P', {self._portal()!r})"),
            (6, lambda: f"pg.execute({self._portal()!r}, {self.choice((0, 0, 1, 2, -1))})"), (3, lambda: f"pg.close('S', {self._name()!r})"),
            (2, lambda: f"pg.close('P', {self._portal()!r})"), (3, "pg.flush()"), (4, "pg.sync()")))]

    def _broken(self):
        """But no Query: for Sheaf it has ended the unnamed statement, for the server it has not."""
        tag, body = self.choice((("P", b""), ("P", b"a\0SELECT 1"), ("P", b"a\0SELECT 1\0\0\0more"), ("B", b"\0"), ("B", b"\0a\0\0\0\0\1\0\0\0\5x\0\0"), ("D", b"X\0"),
                                 ("D", b"S"), ("C", b""), ("E", b"\0\0"), ("H", b"x"), ("S", b"x"), ("F", b""), ("C", b"X\0")))
        return [f"pg.frame({tag!r}, {body!r})"]

    def _call(self):
        return [self.choice((
            f"pg.function_call(1397, [{struct.pack('!i', -4)!r}])", "pg.function_call(1397, ['-5'], (0,), 0)", "pg.function_call(0)", "pg.function_call(1397, ['x'], (0,))",
            "pg.function_call(2078, ['work_mem', '4MB', 'f'], (0,), 0)", "pg.function_call(2880, ['5'], (0,), 0)", "pg.function_call(3036, ['news', 'called'], (0,), 0)"))]

    def _copy_messages(self):
        """No Sync behind what fails: whether it is one of COPY's, for which nothing comes, Sheaf can't know, as pg_expect.h
        tells."""
        good, bad = "pg.copy_data(b'f\\ng\\n')", "pg.copy_data(b'too\\tmany\\n')"
        return [self.choices((good, bad, "pg.copy_data(b'ha')", "pg.flush()", "pg.copy_data(b'')", "pg.copy_data(b'i' * 9000 + b'\\n')", PAUSE, WAIT),
                             (6, 1, 2, 1, 1, 1, 1, 1))[0] for _ in range(self.randrange(5))]

    def _copy_in(self):
        text = self.choice(("COPY t (v) FROM STDIN",) * 4 + ("COPY t FROM STDIN", "COPY t (v) FROM STDIN (FORMAT csv)", "COPY t (v) FROM STDIN (FORMAT binary)", "COPY made FROM STDIN",
                           "SELECT 1; COPY t (v) FROM STDIN; SELECT 2", "COPY t (v) FROM STDIN; COPY t (v) FROM STDIN"))
        extended = self.random() < 0.5
        begins = self.choice(([f"pg.one({text!r})"], [f"pg.one({text!r})", "pg.sync()"], [f"pg.one({text!r})", "pg.flush()"])) if extended else [f"pg.query({text!r})"]
        ends = self.choices(("pg.copy_done()", "pg.copy_fail('no more')", None), (6, 2, 1))[0]
        return [*begins, *self.choice(([], [WAIT], [WAIT], [PAUSE])), *self._copy_messages(), *([ends] if ends else ["pg.copy_fail('end')"]),
                *(["pg.sync()"] if extended else [])]

    def _exchange(self):
        """Extended messages up to a Sync, most times."""
        steps = []
        for _ in range(self.choices((1, 2, 3, 5, 8), (5, 4, 3, 2, 1))[0]):
            steps += self.some(((8, self._one), (5, self._parse), (2, self._bind), (7, self._run), (5, self._message), (0.3, self._broken), (0.5, self._call)))
        return steps + (["pg.sync()"] if self.random() < 0.93 else [])

    def script(self):
        steps = []
        for _ in range(self.choices((2, 4, 8, 14), (2, 4, 3, 1))[0]):
            steps += self.some(((40, self._query), (40, self._exchange), (8, self._copy_in), (2, self._call), (1, self._broken), (2, self._message)))
            steps += self.some(((6, lambda: [WAIT]), (1, lambda: [PAUSE]), (3, lambda: [])))
        return list(_without_a_fall(steps))


def _without_a_fall(steps):
    """A Query that fails within a transaction leaves its portal, the unnamed one, but nothing of what that was to execute:
    the server, PostgreSQL 15 at least, looks there if it is executed once more, and falls with all its sessions."""
    is_of_query = was_of_query = False
    for step in steps:
        if step.startswith("pg.query("):
            is_of_query = was_of_query = True
        elif step.startswith(("pg.one(", "pg.bind('',")):
            is_of_query = False
        elif step == "pg.sync()":  # what was bound may have been skipped
            is_of_query = was_of_query
        elif step.startswith("pg.execute('',") and is_of_query:
            continue
        yield step


# --- playing


def _sent(step):
    return eval(step, {"pg": pg})  # pylint: disable=eval-used


def _writes(steps):
    """What is said at once, in steps, and whether it is waited for an answer: not before a Sync or a Flush.  An error may
    come earlier, since the server sends all of them at once: nothing promises it."""
    said, owed, sure = [], False, False
    for step in [*steps, PAUSE]:
        if step in (WAIT, PAUSE):
            yield said, step == WAIT and sure
            said = []
            continue
        said.append(step)
        if step.endswith(_ENDS[0] + ")") or step.endswith(_ENDS[1] + ")"):
            owed, sure = False, True
        elif step.startswith(_ASKS):
            sure = not owed
        else:
            owed, sure = True, False


class _Player:
    """Plays a script in a session; `awaited` are how many messages each WAIT waits for."""

    def __init__(self, session, awaited=None):
        self.session, self.awaited, self.counts = session, awaited, []
        self.closed = False

    def play(self, steps):
        for said, waits in _writes(steps):
            self._say(b"".join(map(_sent, said)), waits)
            if self.closed:
                self.session.rest()
                self.session.seen.append(pg.Message("closed", b""))
                return

    def _say(self, data, waits):
        try:
            self.before()
            self.session.send(data)
            if waits:
                self._wait()
        except (ConnectionResetError, BrokenPipeError, EOFError):
            self.closed = True

    def before(self):
        """Something is about to be said."""

    def _wait(self):
        seen = self.session.seen
        if self.awaited is None:
            self._until_all_is_said()
            self.counts.append(len(seen))
            return
        wanted = self.awaited[len(self.counts)] if len(self.counts) < len(self.awaited) else 1 << 30  # until it closes
        self.counts.append(wanted)
        while len(seen) < wanted:
            self.session.read()

    def _until_all_is_said(self):
        """The server, with whom it speaks by a Unix socket, has read all, and sleeps."""
        session, pid = self.session, struct.unpack_from("!i", self.session.key)[0]
        unread = array.array("i", [1])
        while not self.closed:
            fcntl.ioctl(session.socket, termios.TIOCOUTQ, unread)
            asleep = unread[0] == 0 and _sleeps(pid)
            while session.has_more():
                asleep = False
                session.read()
            if asleep:
                return
            time.sleep(0.0002)

    def rest(self):
        """Whatever is still said."""
        try:
            self.session.send(pg.terminate())
        except OSError:
            pass
        self.session.rest()


def _sleeps(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()[0] == "S"
    except OSError:
        return True


def gone(key):
    """Waits until the server's process is no more."""
    pid = struct.unpack_from("!i", key)[0]
    end = time.monotonic() + 10 * SLOW
    while os.path.exists(f"/proc/{pid}"):
        if time.monotonic() > end:
            raise AssertionError(f"process {pid} stays")
        time.sleep(0.0003)


# A setting that nobody has on a connection is unknown there, and one that somebody once had is empty.
OPTIONS = {"options": "-c my.own=first"}


def play_direct(session, steps):
    """Says all of a script to PostgreSQL itself; how many messages had come at each WAIT."""
    player = _Player(session)
    player.play(steps + _END)
    player.rest()
    return player.counts


def play(session, steps, awaited, before=lambda idle: None):
    player = _Player(session, awaited)
    player.before = lambda: before(session.idle and len(session.seen) == (player.counts or [0])[-1])
    try:
        player.play(steps + _END)
        player.rest()
    except TimeoutError:
        session.seen.append(pg.Message("stuck", b""))


def plain(answer):
    """An answer without the numbers of tables, which are made anew, and of processes."""
    for at, message in enumerate(answer):
        if message.tag == "A":
            answer[at] = pg.Message("A", message.body[4:])
        if message.tag == "T":
            answer[at] = pg.Message("T", _without_tables(message.body))
    return answer


def _without_tables(body):
    fields, at = bytearray(body), 2
    for _ in range(struct.unpack_from("!H", body)[0]):
        at = body.index(b"\0", at) + 1
        if struct.unpack_from("!I", body, at)[0] >= _FIRST_OID:
            fields[at:at + 4] = b"made"
        at += 18
    return bytes(fields)


def readable(session, seconds):
    return bool(session.has_more() or select.select([session.socket], [], [], seconds)[0])


# --- what differs


def shorter(steps, differs, seconds):
    """The shortest script that is found, in so many seconds, by leaving out steps of one that differs."""
    end = time.monotonic() + seconds
    size = max(1, len(steps) // 2)
    while size:
        at, found = 0, False
        while at < len(steps):
            tried = steps[:at] + steps[at + size:]
            if time.monotonic() > end:
                return steps
            if differs(tried):
                steps, found = tried, True
            else:
                at += size
        size = size if found and size == 1 else size // 2
    return steps


def as_python(steps, awaited):
    """A script for PgTwin.same()."""
    lines, counts, before = ["def script(session):"], iter(awaited), 0
    for said, waits in _writes(steps):
        if said:
            lines.append("    session.send(" + "\n                 + ".join(said) + ")")
        if waits:
            count = next(counts, before)
            lines.append(f"    for _ in range({count - before}):\n        session.read()")
            before = count
    return "\n".join(lines)
