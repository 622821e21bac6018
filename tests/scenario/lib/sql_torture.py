"""Clients of a SQL pool who do all that there is, in random order, and leave whenever they like.

Whatever a client writes holds his token, so what he reads must hold no other's; what he sets must be there as long
as he is, and nobody else may see it."""
import collections
import contextlib
import random
import re
import socket
import struct
import threading
import time

from lib import pgwire as pg
from lib.case import SLOW

TOKEN = re.compile(rb"tok\d+x\d+z")
SCHEMA = """
    CREATE TABLE log (token text, n int);
    CREATE TABLE copies (token text, n int, filler text);
    CREATE FUNCTION sets(text, text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RETURN set_config($1, $2, false); END $$;
    CREATE FUNCTION tells(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE 'heard %', $1; RETURN $1; END $$;
"""
# What a session finds that has just begun, whoever had its connection before.
FRESH = """SELECT coalesce(current_setting('my.own', true), ''), current_user, current_setting('search_path'), current_setting('work_mem'),
    (SELECT count(*) FROM pg_class WHERE relpersistence = 't' AND pg_table_is_visible(oid)), (SELECT count(*) FROM pg_cursors),
    (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
    (SELECT count(*) FROM pg_prepared_statements WHERE from_sql AND name NOT LIKE '\\_sheaf%%'), pg_current_xact_id_if_assigned() IS NULL,
    current_setting('transaction_read_only') /* %s */"""
AS_NEW = ["", "app", '"$user", public', "4MB", "0", "0", "0", "0", "0", "t"]


class Left(Exception):
    """The client has gone, of his own will."""


class Refused(Exception):
    """An error that may be: the step came to nothing."""


class _Session(pg.PgSession):
    """Of a client who may leave whenever he sends or reads, and to whom only what is his may be told."""

    def __init__(self, life, **options):
        self.life = life
        super().__init__(life.crowd.target, user=life.user, database=life.database, tls=life.crowd.things.get("tls"), **options)
        if life.dice.random() < 0.3:
            self.cuts = life.dice

    def send(self, data):
        if self.key is None or self.life.dice.random() > self.life.crowd.leaves:
            super().send(data)
            self.life.sent_whole = True
            return
        cut = self.life.dice.randrange(len(data) + 1)
        super().send(data[:cut])
        self.life.sent_whole = cut == len(data)
        self.life.depart(self)

    def read(self):
        if self.life.dice.random() < self.life.crowd.leaves / 20:
            self.life.sent_whole = True
            self.life.depart(self)
        message = super().read()
        self.life.check(message)
        return message


class Life:
    """One client's."""
    user = database = "app"

    def __init__(self, crowd, number, seed):
        self.crowd, self.number = crowd, number
        self.dice = random.Random(f"{seed} {number}")
        self.session = None
        self.token, self.count = "", 0
        self.cancelled = self.sent_whole = False
        self.doing = "nothing"
        self.tail = collections.deque(maxlen=12)  # what it did last

    # --- what is his

    def new_token(self):
        self.count += 1
        self.token = f"tok{self.number}x{self.count}z"
        self.crowd.steps[self.token] = self.doing
        return self.token

    def check(self, message):
        if message.tag in "ZCT1":
            return
        for found in TOKEN.findall(message.body):
            if not found.startswith(f"tok{self.number}x".encode()):
                self.crowd.is_wrong(self, f"told another's: {message}")

    def must(self, got, wanted, what):
        if got != wanted:
            self.crowd.is_wrong(self, f"{what}: {got!r}, not {wanted!r}")

    def answered(self, answer):
        """Without an error, or Refused."""
        for code in answer.errors:
            if code == "57014" and self.cancelled:
                raise Refused
            if code not in self.crowd.may:
                self.crowd.is_wrong(self, f"failed: {answer[-3:]}")
            self.crowd.errors[code] += 1
            raise Refused
        return answer

    def ask(self, text):
        self.tail.append(text[:200])
        return self.answered(self.session.ask(text))

    def rows(self, text, wanted, what=None):
        self.must(self.ask(text).rows, wanted, what or text[:100])

    # --- ways to leave

    def depart(self, session):
        how = self.dice.choice(("close", "reset", "half", "terminate", "garbage", "impossible", "slow", "slow"))
        self.tail.append(f"leaves: {how}")
        end = session.socket
        if how == "slow":
            time.sleep(self.dice.choice((0.01, 0.05)))
        if how in ("reset", "slow"):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            if how == "terminate":
                end.sendall(pg.terminate())
            elif how == "garbage":
                end.sendall(b"\xff" + self.dice.randbytes(30))
            elif how == "impossible":
                end.sendall(struct.pack("!ci", self.dice.choice((b"Q", b"B", b"d", b"~")), self.dice.choice((0, 3, -1, 2**31 - 1))))
            if how in ("half", "terminate", "garbage", "impossible"):
                end.shutdown(socket.SHUT_WR)
                while True:
                    self.check(session.message())
        except TimeoutError:
            raise
        except (EOFError, OSError):
            pass
        raise Left

    # --- steps

    def begins(self):
        row = self.ask(FRESH % self.new_token()).rows[0]
        self.must(row[:-1], [AS_NEW[0], self.user, *AS_NEW[2:]], "a new session's state")
        answer = self.session.run(pg.bind("", "s") + pg.sync())
        if answer.errors != ["26000"]:
            self.answered(answer)
            self.crowd.is_wrong(self, f"a statement that is not its own: {answer}")

    def reads(self):
        n = self.dice.randrange(1, 30)
        self.rows(f"SELECT '{self.new_token()}', g FROM generate_series(1, {n}) g", [[self.token, str(g + 1)] for g in range(n)])

    def pipelines(self):
        tokens, data = [], b""
        for _ in range(self.dice.randrange(1, 6)):
            tokens.append(self.new_token())
            data += self.dice.choice((pg.query(f"SELECT '{tokens[-1]}'"), pg.one("SELECT $1::text", tokens[-1]) + pg.sync(),
                                      pg.parse("s", f"SELECT '{tokens[-1]}'") + pg.bind("", "s") + pg.execute() + pg.close("S", "s") + pg.sync()))
        self.tail.append(f"a pipeline of {len(tokens)}")
        self.must([row[0] for row in self.answered(self.session.run(data, len(tokens))).rows], tokens, "a pipeline")

    def prepares(self):
        name = self.dice.choice(("s", "t"))
        own = self.new_token()
        self.tail.append("prepares")
        self.answered(self.session.run(pg.parse(name, f"SELECT '{own}', $1::text") + pg.sync()))
        for _ in range(self.dice.randrange(1, 4)):
            value = self.new_token()
            answer = self.answered(self.session.run(pg.bind("", name, [value]) + pg.describe() + pg.execute() + pg.sync()))
            self.must(answer.rows, [[own, value]], "a prepared statement")
        self.answered(self.session.run(pg.close("S", name) + pg.sync()))
        if self.dice.random() < 0.5:
            self.ask(f"PREPARE s AS SELECT '{own}'")
            self.rows("EXECUTE s", [[own]])
            self.ask("DEALLOCATE s")

    def suspends(self):
        own = self.new_token()
        self.tail.append("suspends")
        answer = self.answered(self.session.run(pg.parse("", "SELECT $1::text, g FROM generate_series(1, 5) g") + pg.bind("p", "", [own])
                                                + pg.execute("p", 2) + pg.execute("p", 0) + pg.sync()))
        self.must(answer.rows, [[own, str(g)] for g in range(1, 6)], "a portal in two parts")

    def is_noticed(self):
        own = self.new_token()
        answer = self.ask(f"SELECT tells('{own}')")
        self.must([m.fields["M"] for m in answer if m.tag == "N"], [f"heard {own}"], "a notice")

    def fails(self):
        own = self.new_token()
        text = self.dice.choice((f"SELECT '{own}'::int", f"SELECT '{own}'; SELECT '{own}'::int"))
        self.tail.append(text)
        answer = self.session.ask(text) if self.dice.random() < 0.5 else self.session.run(pg.one("SELECT $1::text::int", own) + pg.query("SELECT 1") + pg.sync())
        if answer.errors[:1] != ["22P02"]:
            self.answered(answer)
        self.must(own in str(answer), True, "its own error")
        self.must(answer.state, "I", "the state behind an error")

    def copies_out(self):
        n = self.dice.choice((1, 50, 3000))
        answer = self.ask(f"COPY (SELECT '{self.new_token()}', g FROM generate_series(1, {n}) g) TO STDOUT")
        self.must(sum(m.tag == "d" for m in answer), n, "COPY TO")

    def reads_much(self):
        n, pause = self.dice.choice((100, 700)), self.dice.choice((0, 0.01, 0.1))
        self.new_token()
        self.tail.append(f"reads {n} long rows after {pause} s")
        self.session.send(pg.query(f"SELECT g, '{self.token}' || repeat('x', 1000) FROM generate_series(1, {n}) g"))
        time.sleep(pause)
        self.must([row[0] for row in self.answered(self.session.until("Z")).rows], [str(g + 1) for g in range(n)], "many rows")

    def copies_in(self):
        own, n, filler = self.new_token(), self.dice.choice((1, 20, 300)), "x" * self.dice.choice((0, 10, 1500))
        end = self.dice.choice(("done", "done", "fail", "bad"))
        self.tail.append(f"copies {n} in: {end}")
        self.crowd.copied[own] = (n, None)
        rows = b"".join(pg.copy_data(f"{own}\t{i}\t{filler}\n".encode()) for i in range(n))
        if end == "bad":
            rows += pg.copy_data(b"too\tfew\n") + rows
        try:
            self.sent_whole = False
            by_messages = self.dice.random() < 0.4
            self.session.send(pg.one("COPY copies FROM STDIN") + pg.flush() if by_messages else pg.query("COPY copies FROM STDIN"))
            self.sent_whole = False
            self.answered(self.session.until("GE"))
            self.session.send(rows)
            self.sent_whole = False
            self.session.send((pg.copy_fail("no more") if end == "fail" else pg.copy_done()) + (pg.sync() if by_messages else b""))
            answer = self.session.until("Z")
        except (Left, EOFError, OSError):
            told = pg.Answer(self.session.seen[-2:])
            if end != "done" or not self.sent_whole or ("E" in told.tags and "C" not in told.tags and "08007" not in told.errors):
                self.crowd.copied[own] = (n, False)
            raise
        if end != "done" and answer.errors[:1] == [{"fail": "57014", "bad": "22P02"}[end]]:
            self.crowd.copied[own] = (n, False)
            return
        if answer.errors and answer.errors[0] != "08007":
            self.crowd.copied[own] = (n, False)
        self.answered(answer)
        self.crowd.copied[own] = (n, True)

    def writes(self):
        own, how = self.new_token(), self.dice.randrange(4)
        self.crowd.written[own] = None
        insert = f"INSERT INTO log VALUES ('{own}', {self.number}) RETURNING token"
        try:
            self.sent_whole = False
            if how == 0:
                self.rows(insert, [[own]])
                self.crowd.written[own] = True
            elif how == 1:
                self.tail.append(insert)
                answer = self.answered(self.session.run(pg.one("INSERT INTO log VALUES ($1, 1) RETURNING token", own) + pg.sync()))
                self.must(answer.rows, [[own]], "a write")
                self.crowd.written[own] = True
            else:
                self.crowd.written[own] = False
                self.ask("BEGIN")
                self.rows(insert, [[own]])
                self.rows(f"SELECT token FROM log WHERE token = '{own}'", [[own]], "its own row in its transaction")
                if how == 3:
                    self.must(self.ask("ROLLBACK").state, "I", "ROLLBACK")
                    return
                self.crowd.written[own] = None
                done = self.ask("COMMIT").done
                self.crowd.written[own] = done == ["COMMIT"]
        except Refused:
            if self.crowd.written[own] is None and self.session.seen[-1].tag == "Z" and "08007" not in pg.Answer(self.session.seen[-6:]).errors:
                self.crowd.written[own] = False
            raise
        except Left:
            if self.crowd.written[own] is None and not self.sent_whole:
                self.crowd.written[own] = False
            raise

    def sets(self):
        own = self.new_token()
        how = self.dice.randrange(5)
        if how == 0:
            self.ask(f"SET my.own = '{own}'")
        elif how == 1:
            self.ask(f"DO $$ BEGIN PERFORM set_config('my.own', '{own}', false); END $$")
        elif how == 2:
            self.rows(f"SELECT sets('my.own', '{own}')", [[own]])
        elif how == 3:
            self.ask("BEGIN")
            self.ask(f"SET LOCAL my.own = '{own}'")
            self.rows("SELECT current_setting('my.own')", [[own]])
            self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))
            return
        else:
            self.ask(f"SET my.own = '{own}'; SET work_mem = '9MB'; SET search_path = pg_catalog, public")
            self.rows("SELECT current_setting('work_mem')", [["9MB"]])
            self.rows("SHOW search_path", [["pg_catalog, public"]])
        for _ in range(self.dice.randrange(1, 4)):
            self.rows("SELECT current_setting('my.own')", [[own]], "what it has set")
        self.ask("RESET my.own" if how == 0 else "DISCARD ALL" if how == 4 else "RESET ALL")

    def is_another(self):
        self.ask("SET ROLE other")
        for _ in range(2):
            self.rows("SELECT current_user", [["other"]])
        self.rows("SELECT session_user, current_user", [["app", "other"]])
        self.ask("RESET ROLE")
        self.rows("SELECT current_user", [["app"]])

    def has_temp(self):
        own = self.new_token()
        self.ask(f"CREATE TEMP TABLE mine AS SELECT '{own}'::text AS v")
        self.rows("TABLE mine", [[own]])
        if self.dice.random() < 0.7:
            self.ask(self.dice.choice(("DROP TABLE mine", "DISCARD ALL", "DISCARD TEMP")))
        else:
            raise Left

    def has_cursors(self):
        own = self.new_token()
        self.ask("BEGIN")
        self.ask(f"DECLARE c CURSOR {self.dice.choice(('', 'WITH HOLD'))} FOR SELECT '{own}', g FROM generate_series(1, 10) g")
        self.rows("FETCH 2 FROM c", [[own, "1"], [own, "2"]])
        self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))
        if self.dice.random() < 0.5:
            raise Left
        self.ask("CLOSE ALL")

    def locks(self):
        self.rows(f"SELECT pg_try_advisory_lock({self.number})", [["t"]], "a lock of its own")
        if self.dice.random() < 0.3:
            raise Left
        self.rows(f"SELECT pg_advisory_unlock({self.number})", [["t"]], "a lock of its own")

    def listens(self):
        own = self.new_token()
        self.ask(f"LISTEN c{self.number}")
        heard = len(self.session.seen)
        self.ask(f"NOTIFY c{self.number}, '{own}'")
        self.ask("SELECT 1")
        self.must([m.words[1] for m in self.session.seen[heard:] if m.tag == "A"], [own], "a notification")
        if self.dice.random() < 0.3:
            raise Left
        self.ask("UNLISTEN *")

    def is_cancelled(self):
        key, target, when = self.session.key, self.crowd.target, self.dice.choice((0, 0.001, 0.003, 0.01))
        self.cancelled = True

        def cancel():
            time.sleep(when)
            with contextlib.suppress(OSError, AssertionError):
                pg.cancel(target, key)
        thread = threading.Thread(target=cancel, daemon=True)
        thread.start()
        try:
            for _ in range(3):
                self.dice.choice((self.reads, self.pipelines, self.copies_in, self.writes, self.sets, self.prepares))()
        finally:
            thread.join(20 * SLOW)

    STEPS = (reads, reads, pipelines, pipelines, prepares, suspends, is_noticed, fails, copies_out, reads_much, copies_in, copies_in, writes, writes,
             sets, sets, is_another, has_temp, has_cursors, locks, listens, is_cancelled)

    # --- the whole

    def once(self):
        """A session, from its login to its end."""
        self.cancelled = False
        if self.dice.random() < self.crowd.leaves:
            self.stops_at_login()
            return
        with _Session(self, timeout=12) as session:
            self.session = session
            self.tail.append("a session")
            for step in (Life.begins, *self.dice.choices(self.STEPS, k=self.dice.randrange(1, 8))):
                self.doing = step.__name__
                step(self)
                self.crowd.done[step.__name__] += 1
            if self.dice.random() < 0.5:
                session.terminate()

    def stops_at_login(self):
        data = pg.startup({"user": self.user, "database": self.database}) + pg.query("SELECT 1") * 2
        with socket.create_connection(self.crowd.target, 10) as client:
            client.sendall(data[:self.dice.randrange(len(data) + 1)])

    def live(self):
        while not self.crowd.stopped.is_set() and self.crowd.steps_left():
            try:
                self.once()
            except (Left, Refused):
                pass
            except pg.PgError as error:
                self.crowd.errors[error.code] += 1
                if error.code not in self.crowd.may:
                    self.crowd.tell(self, f"refused at login: {error}")
                time.sleep(0.01)
            except TimeoutError:
                self.crowd.tell(self, "hangs")
            except (EOFError, OSError) as error:
                self.crowd.errors["closed"] += 1
                told = self.session.seen[-1:] if self.session else []
                was_cancelled = self.cancelled and told and told[0].tag == "E" and told[0].code == "57014"
                if not self.crowd.may and not was_cancelled:
                    self.crowd.tell(self, f"closed: {error!r}")
            except Exception as error:  # pylint: disable=broad-except
                self.crowd.tell(self, f"{error!r} at line {error.__traceback__.tb_next.tb_lineno}")


class Crowd:
    """`count` clients, each in a thread, until they did so many steps or stop().  `may`: the SQLSTATEs that all may be
    told; with any, connections may be closed, too.  `life`: the class of a client; `things`: what that may want to know.
    `first`: its number, for crowds that share what the number names."""

    def __init__(self, case, target, seed, steps, count=30, may=(), leaves=0.03, life=Life, things=None, first=0):
        self.things = things or {}
        self.target, self.may, self.leaves, self.most = target, set(may), leaves, steps
        self.errors, self.done, self.wrong = collections.Counter(), collections.Counter(), []
        self.steps = {}  # by token: which step it is of
        self.written, self.copied = {}, {}  # by token: was it acknowledged?  None: nobody knows
        self.stopped = threading.Event()
        self.seed = seed
        self._lives = [life(self, number, seed) for number in range(first, first + count)]
        self._threads = [threading.Thread(target=life.live, daemon=True) for life in self._lives]
        for thread in self._threads:
            thread.start()
        case.addCleanup(self.stop)

    def steps_left(self):
        return sum(self.done.values()) < self.most and len(self.wrong) < 3

    def tell(self, life, what):
        self.wrong.append(f"client {life.number} in {life.doing}: {what}; before: {list(life.tail)}")

    def is_wrong(self, life, what):
        self.tell(life, what)
        raise Left

    def join(self, seconds):
        """Until all is done; who hangs is told."""
        end = time.monotonic() + seconds * SLOW
        for life, thread in zip(self._lives, self._threads):
            thread.join(max(0.1, end - time.monotonic()))
            if thread.is_alive():
                self.wrong.append(f"client {life.number} in {life.doing} hangs; before: {list(life.tail)}")

    def stop(self):
        self.stopped.set()
        self.join(15)

    def judge(self, case, primary):
        """What they were told, against what is there."""
        if self.wrong:
            case.fail("\n".join([f"SHEAF_TORTURE_SEED={self.seed}, {len(self.wrong)} in all:", *self.wrong[:3]]))
        there = collections.Counter(row[0] for row in primary.sql("SELECT token FROM log"))
        lost = [token for token, done in self.written.items() if done and not there[token]]
        lied = [token for token, done in self.written.items() if done is False and there[token]]
        strange = [token for token, count in there.items() if token not in self.written or count != 1]
        steps = {token: self.steps.get(token) for token in (*lost, *lied, *strange)}
        case.assertEqual((lost, lied, strange), ([], [], []), f"{steps}, SHEAF_TORTURE_SEED={self.seed}: acknowledged and lost; told to be undone, and there; nobody's")
        copied = {row[0]: row[1:] for row in primary.sql("SELECT token, count(*), count(DISTINCT n), max(n) FROM copies GROUP BY token")}
        bad = [(token, rows, self.copied.get(token)) for token, rows in copied.items()
               if token not in self.copied or self.copied[token][1] is False or rows != (self.copied[token][0], self.copied[token][0], self.copied[token][0] - 1)]
        missing = [token for token, (_, done) in self.copied.items() if done and token not in copied]
        case.assertEqual((bad[:3], missing[:3]), ([], []), f"SHEAF_TORTURE_SEED={self.seed}: COPY")
