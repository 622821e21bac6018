"""Random scripts of a PostgreSQL session.

A script is a list of steps: what is said, as the Python that makes it ("pg.query('SELECT 1')"), WAIT, until the server
has said all that it will, or PAUSE.  What is said between two of these is one write.  Left out is what limits.md tells, and
what differs from one connection to another by its nature: numbers of objects, processes, transactions, WAL, and clocks.
"""
import array
import fcntl
import os
import pathlib
import select
import socket
import struct
import termios
import time

from lib import pgwire as pg
from lib.case import SLOW
from lib.sql_dice_texts import LONG, PORTALS, SHOWN, STATEMENTS, SqlDiceTexts

WAIT, PAUSE = "WAIT", "PAUSE"
QUIT, HALF = "pg.terminate()", "HALF"  # how a script ends whose session asks nothing more: with a word, or its half of the connection
_ENDS = ("pg.sync(", "pg.flush(")
_ASKS = ("pg.query(", "pg.function_call(", "pg.copy_")
_FIRST_OID = 16384  # of what is made in a database

# What is to be found after all, whatever was done.
_END = [
    "pg.copy_fail('enough')", "pg.sync()", "pg.query('ROLLBACK')", WAIT,
    f"pg.query({f'SELECT current_user, session_user, {SHOWN}'!r})",
    "pg.query('SELECT * FROM public.t ORDER BY id')", "pg.query('SELECT * FROM public.late ORDER BY id')",
    "pg.query('SELECT name, setting FROM pg_settings WHERE setting <> boot_val AND name NOT LIKE $$tcp%$$ ORDER BY name')",
    "pg.query('SELECT name, is_holdable FROM pg_cursors ORDER BY name')",
    "pg.query(\"SELECT classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()"
    " ORDER BY 1, 2, 3, 4\")",
    "pg.query('SELECT pg_listening_channels() ORDER BY 1')", "pg.query('NOTIFY news, $$end$$')",
    "pg.query('SELECT relname FROM pg_class WHERE relnamespace = pg_my_temp_schema() ORDER BY 1')", WAIT,
    # One may begin a transaction, and the next fail it: what is then to be described is told otherwise in a pipeline.
    *[step for name in STATEMENTS for step in (f"pg.describe('S', {name!r}) + pg.bind('', {name!r}) + pg.execute() + pg.sync()", WAIT)],
    "pg.query('EXECUTE a')", "pg.query('EXECUTE b(1)')", "pg.query('EXECUTE \"A\"')", WAIT,
]


class SqlDice(SqlDiceTexts):
    def _name(self):
        return self.choices(self.statements, (5, 3, 2, 1)[:len(self.statements)])[0]

    def _portal(self):
        return self.choices(PORTALS, (6, 2, 1))[0]

    def _values(self):
        return self.choice(((), (), (), ("1",), ("x",), (None,), ("1", "2")))

    def _query(self):
        many = self.choices((1, 2, 3, 4), (12, 3, 2, 1))[0]
        if self.random() < 0.01:
            # Of a text that can't be read Sheaf believes, as of all, that it has ended the unnamed statement.
            return [f"pg.query({self.choice(self.BYTES)!r})", "pg.parse('', 'SELECT 1')", "pg.sync()"]
        parts = [self.statement() for _ in range(many)]
        if parts[-1].startswith(("PREPARE", "DEALLOCATE")) and "late" in str(parts):
            parts.append("SELECT 1")  # what it does stays if only the COMMIT that comes with it fails, but that is not known
        text = "; ".join(parts) + self.choice(("", "", ";", " "))
        return [f"pg.query({self._said(text)})"]

    def _said(self, text):
        """The Python that makes it."""
        return f"{text!r}.replace({LONG!r}, 'z' * {self.choice((5000, 20000, 70000))})" if LONG in text else repr(text)

    def _one(self):
        text = self.statement()
        values = [self.choice(("1", "1", "1", "x", "foul", None)) for at in (1, 2) if f"${at}" in text]
        if self.random() < 0.05:
            values = self._values()
        formats = self.choice(("", "", "", "", ", results=(1,)", ", formats=(1,)", ", results=(0, 1)"))
        return [f"pg.one({', '.join((self._said(text), *map(repr, values)))}{formats})"]

    def _parse(self):
        types = self.choice(("", "", "", "", ", [23]", ", [25]", ", [0]", ", [999999]"))
        name, text = self._name(), self.statement()
        # That of EXECUTE may be one that means itself, and what it finds a DEALLOCATE; and where an error is in a command, as
        # its text had it, is not known.  A RESET that EXECUTE runs goes back to what the server has.
        if "PREPARE" in text or text.startswith(("EXECUTE", "EXPLAIN", "CREATE", "DEALLOCATE", "RESET")) or text.endswith("TO DEFAULT"):
            name = ""
        if text.startswith("COPY"):  # a Bind that fails leaves a portal of nothing, of which Sheaf waits that it takes data
            types = ""
        return [f"pg.parse({name!r}, {self._said(text)}{types})"]

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

    def _as_a_driver(self):
        """What libraries say, where most of what is asked is prepared by a name."""
        name, portal, parsed = self._name(), self._portal(), self._parse()[0]
        bind, run = f"pg.bind({portal!r}, {name!r}, {self._values()!r})", f"pg.execute({portal!r}, {self.choice((0, 1, 2))})"
        described, sync = f"pg.describe('P', {portal!r})", ["pg.sync()", WAIT]
        return self.some((
            (2, lambda: [parsed, f"pg.describe('S', {name!r})", "pg.flush()", WAIT, bind, run, *sync]),
            (2, lambda: [parsed, f"pg.describe('S', {name!r})", *sync, bind, described, run, *sync]),
            (2, lambda: [parsed, *[step for _ in range(self.randint(1, 4)) for step in (bind, described, run)], *sync]),
            (2, lambda: ["pg.one('BEGIN')", *self._one(), *self._one(), "pg.one('COMMIT')", *sync]),
            (2, lambda: ["pg.one('BEGIN')", parsed, bind, run, "pg.flush()", WAIT, run, "pg.flush()", WAIT, f"pg.close('P', {portal!r})", "pg.one('COMMIT')", *sync]),
            (2, lambda: ["pg.query('BEGIN')", WAIT, parsed, bind, run, *sync, *self._query(), WAIT, run, *sync, *self._query(), f"pg.close('P', {portal!r})", *sync]),
            (1, lambda: [parsed, *sync, f"pg.close('S', {name!r})", parsed, bind, run, f"pg.close('S', {name!r})", *sync]),
            (1, lambda: [parsed, *sync, bind, run, *sync, *self._query(), WAIT, bind, run, *sync, bind, run, *sync]),
            (1, lambda: [bind, described, run, *sync]),
            (1, lambda: [*self._one(), "pg.flush()", WAIT, *self._one(), "pg.flush()", WAIT, *sync])))

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
        if extended and self.random() < 0.3:
            begins = [*self._one(), *begins]
        return [*begins, *self.choice(([], [WAIT], [WAIT], [PAUSE])), *self._copy_messages(), *([ends] if ends else ["pg.copy_fail('end')"]),
                *(["pg.sync()"] if extended else [])]

    def _exchange(self):
        """Extended messages up to a Sync, most times."""
        steps = []
        for _ in range(self.choices((1, 2, 3, 5, 8), (5, 4, 3, 2, 1))[0]):
            steps += self.some(((8, self._one), (5, self._parse), (2, self._bind), (7, self._run), (5, self._message), (0.3, self._broken), (0.5, self._call)))
        return steps + (["pg.sync()"] if self.random() < 0.93 else [])

    def script(self):
        self.begin()
        steps = []
        for _ in range(self.choices((2, 4, 8, 14), (2, 4, 3, 1))[0]):
            steps += self.some(((40, self._query), (32, self._exchange), (14, self._as_a_driver), (8, self._copy_in), (2, self._call), (1, self._broken), (2, self._message)))
            steps += self.some(((6, lambda: [WAIT]), (1, lambda: [PAUSE]), (3, lambda: [])))
        return list(_without_a_fall(steps)) + self.some(((20, lambda: []), (1, lambda: ["pg.sync()", QUIT]), (1, lambda: ["pg.sync()", HALF])))


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
        if step in (WAIT, PAUSE, HALF):
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

    def rest(self, steps):
        """Whatever is still said."""
        try:
            if HALF in steps:
                self.session.socket.shutdown(socket.SHUT_WR)
            elif QUIT not in steps:
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


def leaves_early(steps):
    """Then what it was not told yet, as no Sync or Flush is behind it, may come or not."""
    return steps[-1:] in ([QUIT], [HALF])


def _to_the_end(steps):
    return steps if leaves_early(steps) else steps + _END


# A setting that nobody has on a connection is unknown there, and one that somebody once had is empty.
OPTIONS = {"options": "-c my.own=first -c your.own=second"}


def play_direct(session, steps):
    """Says all of a script to PostgreSQL itself; how many messages had come at each WAIT."""
    player = _Player(session)
    player.play(_to_the_end(steps))
    player.rest(steps)
    return player.counts


def play(session, steps, awaited, before=lambda idle: None):
    player = _Player(session, awaited)
    player.before = lambda: before(session.idle and len(session.seen) == (player.counts or [0])[-1])
    try:
        player.play(_to_the_end(steps))
        player.rest(steps)
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
    if HALF in steps:
        lines.append("    session.socket.shutdown(1)")
    return "\n".join(lines)
