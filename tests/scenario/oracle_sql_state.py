#!/usr/bin/python3
"""What Sheaf keeps of SQL sessions, and says to servers of it, against what real servers say.

A session of a server's own is the truth.  The same is told to Sheaf's structures (by the helper program
sql_state), and what they would say to pooled servers is said to some, whose settings must then be the same."""
import pathlib
import random
import subprocess

from lib import *
from lib import pgwire as pg
from lib.case import main
from lib.postgres import Postgres
from lib.sheaf import BINARY

TOOL = pathlib.Path(BINARY).parent / "sql_state"

ROLES = """
CREATE ROLE boss SUPERUSER;
CREATE ROLE reader; CREATE ROLE writer; CREATE ROLE "Odd one";
CREATE ROLE worker LOGIN IN ROLE boss, reader, "Odd one";
CREATE ROLE chief LOGIN SUPERUSER;
"""
NAMES = {
    "search_path": ["app", "app, public", '"$user", public', "", '""', '"Odd, one", b', "a,b", "App", '"user"', "pg_temp, x"],
    "work_mem": ["64kB", "1MB", "2MB", "65"],
    "datestyle": ["iso", "dmy", "sql", "German", "postgres, ymd", "SQL, European", "mdy"],
    "TimeZone": ["UTC", "Europe/Berlin", "<+02>-02", "INTERVAL '01:30:00'"],
    "application_name": ["psql", "it's", "a\\b", "\\", "'", "", "x" * 60, "$$", "E'\\''; DROP TABLE x"],
    "standard_conforming_strings": ["on", "off"],
    "statement_timeout": ["0", "1h", "60000"],
    "default_transaction_read_only": ["on", "off"],
    "default_transaction_isolation": ["read committed", "serializable", "repeatable read"],
    "extra_float_digits": ["0", "3"],
    "client_encoding": ["UTF8", "LATIN1", "SQL_ASCII"],
    "app.tenant": ["1", "two'", "\\", "", "caf\u00e9"],
    "app.user": ["", "x"],
    "session_replication_role": ["replica", "origin", "local"],
    "log_min_duration_statement": ["-1", "1h"],
    "temp_tablespaces": ["", "pg_default"],
    "bytea_output": ["escape", "hex"],
    "role": ["reader", "boss", "Odd one", "none"],
    "session_authorization": ["reader", "writer", "worker", "chief"],
}
# What tells of a session's settings: by pg_settings, and what no list has.
HIDDEN = ["role", "session_authorization", "app.tenant", "app.user"]
ALL = ("SELECT name, setting FROM pg_catalog.pg_settings WHERE name NOT IN ('is_superuser', 'transaction_isolation',"
       " 'transaction_read_only', 'transaction_deferrable', 'in_hot_standby') AND name NOT LIKE '%.%' UNION ALL SELECT name,"
       " coalesce(pg_catalog.current_setting(name, true), '') FROM pg_catalog.unnest(ARRAY["
       + ", ".join(f"'{name}'" for name in HIDDEN) + "]) name")


def quoted(value):
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


class State:
    """The helper program: a session as Sheaf keeps it."""

    def __init__(self, owner):
        self.process = subprocess.Popen([TOOL], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        owner.addCleanup(self.end)

    def end(self):
        self.process.stdin.close()
        code = self.process.wait(20)
        self.process.stdout.close()
        if code:
            raise AssertionError(f"sql_state ended with {code}")

    def ask(self, verb, *words):
        line = " ".join([verb] + [(w if isinstance(w, bytes) else w.encode()).hex() or "-" for w in words])
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def text(self, verb, *words):
        return bytes.fromhex(self.ask(verb, *words).replace("-", "")).decode()

    def move(self, number):
        """What is to be said to an upstream: the count of messages, and their bytes."""
        count, data = self.ask("move", bytes([number])).split()
        return int(count), bytes.fromhex(data.replace("-", ""))


class Settings(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls)
        cls.server.sql(ROLES)

    def session(self, user, options=None):
        session = pg.PgSession(("127.0.0.1", self.server.port), user=user, options=options)
        self.addCleanup(session.close)
        return session

    def settings_of(self, session):
        """All that is set there, as bytes: texts are in many encodings."""
        answer = session.ask(ALL)
        self.assertEqual(answer.errors, [])
        return {m.row[0]: m.row[1] for m in answer if m.tag == "D"}

    def say(self, upstream, number, state):
        """Sheaf's way from what the upstream has to what the session has."""
        count, data = state.move(number)
        if count:
            answer = upstream.run(data, count)
            self.assertEqual((answer.errors, answer.state), ([], "I"), data)

    def must_be_the_same(self, truth, upstream, what):
        expected, found = self.settings_of(truth), self.settings_of(upstream)
        self.assertEqual({k: v for k, v in found.items() if expected.get(k) != v},
                         {k: v for k, v in expected.items() if found.get(k) != v}, what)


class Walk:
    """Steps of a client, chosen at random: on the server that is the truth, and in Sheaf's structures."""

    def __init__(self, test, rng, user, start):
        self.test, self.rng, self.state = test, rng, State(test)
        self.truth = test.session(user, start)
        for name, value in start.items():
            test.assertEqual(self.state.ask("start", name, value), "ok")
        self.savepoints = None  # a list inside of a transaction
        self.is_lost = False  # Sheaf would say that this session can't be moved any more
        self.done = [f"as {user}, with {start}"]

    @property
    def encoding(self):
        told = [m.words[1] for m in self.truth.seen if m.tag == "S" and m.words[0] == "client_encoding"]
        now = (told or [self.truth.parameters["client_encoding"]])[-1]
        return "latin-1" if now == "LATIN1" else "utf-8"

    def do(self, sql, verb=None, *words):
        """Whether the server has done it; then Sheaf hears of it."""
        answer = self.truth.run(pg.frame("Q", sql.encode(self.encoding) + b"\0"))
        self.done.append(f"{sql} -- {(answer.errors + answer.done)[0]}")
        if not answer.errors and verb:
            words = [word.encode(self.encoding) for word in words]
            self.is_lost |= self.state.ask(verb, *words) != "ok"
        if answer.state == "I":
            self.state.ask("rollback" if answer.errors else "commit")
            self.savepoints = None
        return not answer.errors

    def recover(self):
        """A step failed: in a transaction only ROLLBACK goes on."""
        if self.savepoints and self.rng.random() < 0.6:
            self.back_to(self.rng.choice(self.savepoints))
        elif self.savepoints is not None:
            self.do("ROLLBACK", "rollback")

    def _newest(self, name):
        return len(self.savepoints) - 1 - self.savepoints[::-1].index(name)

    def back_to(self, name):
        self.savepoints = self.savepoints[:self._newest(name) + 1]
        self.do(f"ROLLBACK TO {name}", "to", name)

    def release(self, name):
        self.savepoints = self.savepoints[:self._newest(name)]
        self.do(f"RELEASE {name}", "release", name)

    def change(self):
        name = self.rng.choice(list(NAMES))
        value = self.rng.choice(NAMES[name])
        local = self.rng.random() < 0.25
        scope = "LOCAL" if local else "SESSION"
        kind = self.rng.randrange(8)
        if kind == 0:
            return self.do(f"SET {scope} {name} TO DEFAULT", "reset_local" if local else "reset", name)
        if kind == 1:
            return self.do("RESET ALL", "reset_all")
        if name == "role" and kind < 5:
            value = "none" if value == "none" else f'"{value}"'
            return self.do(f"SET {scope} ROLE {value}", "local" if local else "set", name, value.strip('"'))
        if name == "session_authorization" and kind < 5:
            return self.do(f"SET {scope} SESSION AUTHORIZATION {value}", "local" if local else "set", name, value)
        return self.do(f"SELECT pg_catalog.set_config('{name}', {quoted(value)}, {str(local).lower()})",
                       "local" if local else "set", name, value)

    def step(self):
        kind = self.rng.randrange(12)
        if self.savepoints is None:
            if kind < 3 and self.do("BEGIN"):
                self.savepoints = []
                return
            if kind == 3 and self.rng.random() < 0.2:
                self.do("DISCARD ALL", "discard")
                return
        elif kind == 0:
            self.do("COMMIT", "commit")
            return
        elif kind == 1:
            self.do("ROLLBACK", "rollback")
            return
        elif kind in (2, 3):
            self.savepoints.append(self.rng.choice("abc"))
            self.do(f"SAVEPOINT {self.savepoints[-1]}", "savepoint", self.savepoints[-1])
            return
        elif kind in (4, 5) and self.savepoints:
            (self.back_to if kind == 4 else self.release)(self.rng.choice(self.savepoints))
            return
        if not self.change():
            self.recover()


class Settings(Case):
    ROUNDS, STEPS = 60, 60

    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls)
        cls.server.sql(ROLES)

    def session(self, user, options=None):
        session = pg.PgSession(("127.0.0.1", self.server.port), user=user, options=options)
        self.addCleanup(session.close)
        return session

    def settings_of(self, session):
        """All that is set there, as bytes: texts are in many encodings."""
        answer = session.ask(ALL)
        self.assertEqual(answer.errors, [])
        return {m.row[0]: m.row[1] for m in answer if m.tag == "D"}

    def say(self, upstream, number, state, what=""):
        """Sheaf's way from what the upstream has to what the session has."""
        count, data = state.move(number)
        if count:
            answer = upstream.run(data, count)
            self.assertEqual((answer.errors, answer.state), ([], "I"), f"{data} {what}")

    def must_be_the_same(self, truth, upstream, what):
        expected, found = self.settings_of(truth), self.settings_of(upstream)
        self.assertEqual({k: v for k, v in found.items() if expected.get(k) != v},
                         {k: v for k, v in expected.items() if found.get(k) != v}, what)

    def walk(self, rng, user, start, upstreams):
        walk = Walk(self, rng, user, start)
        for upstream, _ in enumerate(upstreams):
            walk.state.ask("forget", bytes([upstream]))
        for _ in range(self.STEPS):
            walk.step()
            if walk.is_lost:
                break
            if walk.savepoints is None and rng.random() < 0.4:
                number = rng.randrange(len(upstreams))
                what = "\n".join(walk.done)
                self.say(upstreams[number], number, walk.state, what)
                self.must_be_the_same(walk.truth, upstreams[number], what)
        walk.truth.close()
        return walk

    def test_a_session_finds_its_settings_on_each_server(self):
        lost = 0
        for user in ("worker", "chief"):
            upstreams = [self.session(user) for _ in range(3)]
            for number in range(self.ROUNDS // 2):
                rng = random.Random(f"{user} {number}")
                start = {name: rng.choice([v for v in NAMES[name] if v.isascii()])
                         for name in ("work_mem", "datestyle", "application_name", "search_path", "app.tenant")
                         if rng.random() < 0.3}
                with self.subTest(user=user, number=number):
                    lost += self.walk(rng, user, start, upstreams).is_lost
        self.assertLess(lost, self.ROUNDS / 2)

    def test_what_functions_set_is_found_by_the_probe(self):
        for number in range(20):
            rng = random.Random(number)
            user = rng.choice(["worker", "chief"])
            walk, upstream = Walk(self, rng, user, {}), self.session(user)
            walk.state.ask("login", user)
            for _ in range(10):
                walk.step()
            if walk.savepoints is not None:
                walk.do("ROLLBACK", "rollback")
            if walk.is_lost:
                continue
            names = [n for n in NAMES if "." not in n and n != "session_replication_role"]
            known = [n for n in ("app.tenant", "app.user")  # of others no server gives a list
                     if n.encode().hex() in walk.state.ask("probe")
                     and n in walk.state.text("probe")]
            body = "".join(f"PERFORM pg_catalog.set_config('{name}', {quoted(rng.choice(NAMES[name][:2]))}, false);"
                           for name in rng.sample(names + known, 4) if name != "client_encoding")
            walk.do(f"DO $do$ BEGIN {body} RESET statement_timeout; END $do$")
            what = "\n".join(walk.done)
            answer = walk.truth.ask(walk.state.text("probe"))
            self.assertEqual(answer.errors, [], what)
            for row in answer:
                if row.tag == "D":
                    self.assertIn(walk.state.ask("row", row.body), ("ok", "0"), what)
            walk.state.ask("adopt")
            self.say(upstream, 0, walk.state, what)
            self.must_be_the_same(walk.truth, upstream, what)

    def test_what_was_left_by_unknown_code_is_gone(self):
        for user, left in (("worker", "SET ROLE boss; SET session_replication_role = replica; SET ROLE reader"),
                           ("chief", "SET log_statement = 'all'; SET SESSION AUTHORIZATION writer"),
                           ("worker", "SET app.tenant = 'another''s'; SET search_path = x; SET client_encoding = LATIN1")):
            state, truth, upstream = State(self), self.session(user), self.session(user)
            self.assertEqual(upstream.ask(left).errors, [])
            state.ask("forget", bytes([0]))
            self.say(upstream, 0, state)
            self.must_be_the_same(truth, upstream, left)

    def test_what_is_behind_a_way_that_fails_does_not_run(self):
        state, upstream = State(self), self.session("worker")
        state.ask("set", "role", "nobody_of_this_name")
        count, data = state.move(0)
        self.assertEqual(count, 1)
        answer = upstream.run(data + pg.query("SELECT 1"), 2)
        self.assertEqual(answer.errors, ["22023", "25P02"])
        self.assertEqual(answer.state, "E")
        answer = upstream.run(pg.one("SELECT 1") + pg.sync())
        self.assertEqual(answer.errors, ["25P02"])
        upstream.ask("ROLLBACK")
        self.assertEqual(upstream.value("SELECT current_user"), "worker")

    def test_a_list_is_said_as_the_server_has_it(self):
        state, session = State(self), self.session("worker")
        for value in NAMES["search_path"] + ['"it\'s"', '"a""b"', "\"c\\d\"", "select", "_x, y1", "a , b", "x" * 63,
                                             "x" * 70, '"' + "Y" * 64 + '"', "a\u00e9"]:
            with self.subTest(value=value):
                session.ask(f"SELECT pg_catalog.set_config('search_path', {quoted(value)}, false)")
                expected = session.value("SHOW search_path"), session.value("SELECT current_schemas(true)::text")
                session.ask("RESET search_path")
                said = state.text("assign", "search_path", value)
                self.assertEqual(session.ask(said).errors, [])
                found = session.value("SHOW search_path"), session.value("SELECT current_schemas(true)::text")
                self.assertEqual(found, expected, said)

    def test_names_that_not_everybody_may_set_are_known(self):
        state = State(self)
        for name, context in self.server.sql("SELECT lower(name), context FROM pg_settings WHERE context IN ('user',"
                                             " 'superuser', 'backend', 'superuser-backend') AND name NOT LIKE '%.%'"):
            is_privileged, is_startup = (bool(int(state.ask("traits", name)) & bit) for bit in (2, 4))
            self.assertEqual((is_privileged, is_startup), (context == "superuser", "backend" in context), name)

    def test_datestyles_are_merged_as_the_server_does(self):
        state, truth, upstream = State(self), self.session("worker"), self.session("worker")
        values = NAMES["datestyle"] + ["ISO, YMD", "euro, iso", "US", "NonEuro", "postgresql"]
        for before in values:
            for then in values:
                state.ask("discard")
                for value in (before, then):
                    state.ask("set", "datestyle", value)
                truth.ask("RESET datestyle")
                for value in (before, then):
                    truth.ask(f"SET datestyle = '{value}'")
                self.say(upstream, 0, state)
                self.assertEqual(upstream.value("SHOW datestyle"), truth.value("SHOW datestyle"), (before, then))


class Pins(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls)

    # Letters of the answer: temporary objects, advisory locks, holdable cursors, LISTEN, PREPARE.
    STORIES = [
        ("SELECT 1", "fffff", "SELECT 1"),
        ("CREATE TEMP TABLE t (a int)", "tffff", "DROP TABLE t"),
        ("CREATE TEMP TABLE t (a int)", "tffff", "DISCARD TEMP"),
        ("CREATE TEMP TABLE t (a text); INSERT INTO t VALUES (repeat('x', 10000))", "tffff", "DROP TABLE t"),
        ("CREATE TEMP SEQUENCE s", "tffff", "DROP SEQUENCE s"),
        ("CREATE TEMP VIEW v AS SELECT 1", "tffff", "DROP VIEW v"),
        ("CREATE FUNCTION pg_temp.f() RETURNS int LANGUAGE sql AS 'SELECT 1'", "tffff", "DROP FUNCTION pg_temp.f()"),
        ("CREATE TYPE pg_temp.y AS ENUM ('a')", "tffff", "DROP TYPE pg_temp.y"),
        ("CREATE DOMAIN pg_temp.d AS int", "tffff", "DROP DOMAIN pg_temp.d"),
        ("SELECT 1 INTO TEMP t", "tffff", "DROP TABLE t"),
        ("DO $$ BEGIN CREATE TEMP TABLE t (a int); END $$", "tffff", "DROP TABLE t"),
        ("CREATE TEMP TABLE t (a int) ON COMMIT DROP", "fffff", "SELECT 1"),
        ("BEGIN; CREATE TEMP TABLE t (a int); ROLLBACK", "fffff", "SELECT 1"),
        ("SELECT pg_advisory_lock(1)", "ftfff", "SELECT pg_advisory_unlock(1)"),
        ("SELECT pg_advisory_lock_shared(1, 2)", "ftfff", "SELECT pg_advisory_unlock_all()"),
        ("SELECT pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_unlock(1)", "ftfff",
         "SELECT pg_advisory_unlock(1)"),
        ("BEGIN; SELECT pg_advisory_lock(1); ROLLBACK", "ftfff", "SELECT pg_advisory_unlock(1)"),
        ("SELECT pg_advisory_xact_lock(1)", "fffff", "SELECT 1"),
        ("DECLARE c CURSOR WITH HOLD FOR SELECT 1", "fftff", "CLOSE c"),
        ("BEGIN; DECLARE c CURSOR FOR SELECT 1; COMMIT", "fffff", "SELECT 1"),
        ("LISTEN x", "ffftf", "UNLISTEN x"),
        ("BEGIN; LISTEN x; ROLLBACK", "fffff", "SELECT 1"),
        ("PREPARE p AS SELECT 1", "fffft", "DEALLOCATE p"),
        ("PREPARE _sheaf_0000000000000001 AS SELECT 1", "fffff", "DEALLOCATE ALL"),
        ("CREATE TEMP TABLE t (a int); SELECT pg_advisory_lock(1); LISTEN x", "ttftf", "DISCARD ALL"),
    ]

    def setUp(self):
        self.state = State(self)
        self.question = self.state.text("probe")

    def letters(self, session):
        answer = session.ask(self.question)
        self.assertEqual(answer.errors, [])
        [letters] = [row[0] for row in answer.rows if row[0] is not None]
        pins = self.state.ask("row", [m for m in answer if m.tag == "D"][0].body)
        self.assertEqual(int(pins), sum(1 << i for i, c in enumerate(letters) if c == "t"))
        prepared = session.value("SELECT count(*) FROM pg_prepared_statements WHERE name LIKE '\\_sheaf\\_0%'")
        self.assertEqual(letters[5:], prepared)  # behind them: how many statements of ours there are
        return letters[:5]

    def test_the_server_says_what_its_session_still_has(self):
        with pg.PgSession(("127.0.0.1", self.server.port)) as session, \
             pg.PgSession(("127.0.0.1", self.server.port)) as other:
            other.ask("SELECT pg_advisory_lock(77); CREATE TEMP TABLE t (a int); LISTEN y")
            for made, letters, unmade in self.STORIES:
                with self.subTest(made=made):
                    self.assertEqual(self.letters(session), "fffff")
                    self.assertEqual(session.ask(made).errors, [])
                    self.assertEqual(self.letters(session), letters)
                    self.assertEqual(session.ask(unmade).errors, [])
                    self.assertEqual(self.letters(session), "fffff")

    def test_the_question_is_the_same_under_any_search_path(self):
        with pg.PgSession(("127.0.0.1", self.server.port), user="postgres") as session:
            self.assertEqual(session.ask("""
                CREATE SCHEMA trap;
                CREATE FUNCTION trap.lie(oid, oid) RETURNS bool LANGUAGE sql AS 'SELECT false';
                CREATE FUNCTION trap.lie(name, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
                CREATE FUNCTION trap.lie(text, text) RETURNS bool LANGUAGE sql AS 'SELECT false';
                CREATE FUNCTION trap.lie(int, int) RETURNS bool LANGUAGE sql AS 'SELECT false';
                CREATE OPERATOR trap.= (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.lie);
                CREATE OPERATOR trap.<> (LEFTARG = oid, RIGHTARG = oid, FUNCTION = trap.lie);
                CREATE OPERATOR trap.= (LEFTARG = text, RIGHTARG = text, FUNCTION = trap.lie);
                CREATE OPERATOR trap.= (LEFTARG = int, RIGHTARG = int, FUNCTION = trap.lie);
                CREATE FUNCTION trap.pg_backend_pid() RETURNS int LANGUAGE sql AS 'SELECT 0';
                CREATE FUNCTION trap.concat(VARIADIC "any") RETURNS text LANGUAGE internal AS 'now';
                CREATE TABLE trap.pg_locks (locktype text, pid int);
                CREATE DOMAIN trap.text AS int;
                SET search_path = trap, pg_catalog;
                SELECT pg_advisory_lock(5)""").errors, [])
            self.assertEqual(self.letters(session), "ftfff")

    def test_a_server_may_be_given_the_question_prepared(self):
        with pg.PgSession(("127.0.0.1", self.server.port)) as session:
            session.run(pg.parse("question", self.question) + pg.sync())
            session.ask("SET search_path = nowhere; SET work_mem = '1MB'; LISTEN x")
            answer = session.run(pg.bind("", "question") + pg.execute() + pg.sync())
            self.assertEqual(answer.rows[0][0], "ffftf0")
            self.assertIn([None, "work_mem", "1024", "1MB"], answer.rows)


if __name__ == "__main__":
    main()
