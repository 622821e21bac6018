#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Random scripts of a session, said to PostgreSQL itself and through each kind of pool: the answers must be the same bytes.

Each run has a seed of its own.  What differs is told with it, and as a test of the fewest steps that were found:
SHEAF_DICE_SEED=N repeats a run, SHEAF_DICE_SEED=N/M its script M; SHEAF_DICE_ROUNDS says how many scripts each pool is told;
SHEAF_LONG=1: thousands."""
import os
import random
import re
import time

from lib import *
from lib import pgwire as pg
from lib.pgtwin import Pooled, comparable
from lib.sql_dice import OPTIONS, SqlDice, as_python, gone, leaves_early, plain, play, play_direct, readable, shorter
from lib.sql_dice_texts import OF_OTHER, SCHEMA
from lib.sql_front import FRONT

LONG = os.environ.get("SHEAF_LONG") == "1"
SEED, _, ONLY = os.environ.get("SHEAF_DICE_SEED", str(random.randrange(1 << 32))).partition("/")
ROUNDS = int(os.environ.get("SHEAF_DICE_ROUNDS", "2000" if LONG else "15"))
SECONDS = 120 if LONG else 20  # for a shorter script


class Beside:
    """Another session, with settings and statements of its own, that does something whenever the connection is free."""

    SETTINGS = ["9MB", "German, DMY", "not yours", "app", "two", "0", "0", "0"]

    def __init__(self, target):
        self.session = pg.PgSession(target, options={"DateStyle": "German", "TimeZone": "America/Lima"})
        self.session.ask("SET work_mem = '9MB'; SET my.own = 'not yours'; SET search_path = two")
        self.session.run(pg.parse("a", "SELECT 'a of another'") + pg.parse("b", "SELECT 'b of another'") + pg.sync())
        self.asked, self.answer = False, pg.Answer()

    def _answered(self, seconds):
        end = time.monotonic() + seconds
        while self.asked and readable(self.session, max(0, end - time.monotonic())):
            self.answer.append(self.session.read())
            if self.answer.tags.count("Z") == 2:
                assert self.answer.rows == [self.SETTINGS, ["a of another"], ["b of another"], ["unnamed"]], self.answer
                self.asked, self.answer = False, pg.Answer()
        return not self.asked

    def acts(self, idle):
        if not idle or not self._answered(0):
            return
        self.session.send(pg.query("SELECT current_setting('work_mem'), current_setting('DateStyle'), current_setting('my.own'), current_user, current_schema(),"
                                   " (SELECT count(*) FROM pg_cursors), (SELECT count(*) FROM pg_listening_channels()),"
                                   " (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid())")
                          + pg.bind("", "a") + pg.execute() + pg.bind("", "b") + pg.execute() + pg.one("SELECT 'unnamed'") + pg.sync())
        self.asked = True
        self._answered(0.03 * SLOW)  # it waits for as long as that of another keeps the connection

    def ends(self):
        try:
            if not self._answered(10 * SLOW):
                raise TimeoutError
        except (OSError, EOFError, AssertionError) as error:
            return [pg.Message("another", repr(error).encode())]
        return []


_BREACH = "unexpected message type"
_TOASTED = re.compile(r"pg_toast_\d+")


def _without_schema(fields):
    """Of functions in PL/pgSQL, which have it in their words if they were first called where it was not in the search_path."""
    return fields | ({"W": fields["W"].replace("function public.", "function ")} if "W" in fields else {})


def _error(fields, failed):
    """In a failed transaction a statement is prepared when it is needed, and that is what fails."""
    fields = _without_schema(fields)
    if failed and fields["C"] in ("25P02", "08P01"):
        fields = {"C": "25P02"}
    return ("E", {letter: text for letter, text in fields.items() if letter not in "FLR"} if fields["C"] == "25P02" else fields)


_LEFT = ("SELECT (SELECT string_agg(t::text, ';' ORDER BY id) FROM t), (SELECT string_agg(late::text, ';' ORDER BY id, own) FROM late),"
         " (SELECT string_agg(name, ';' ORDER BY name) FROM one.who), (SELECT string_agg(name, ';' ORDER BY name) FROM two.who),"
         " (SELECT string_agg(gid, ';') FROM pg_prepared_xacts), (SELECT last_value FROM t_id_seq),"
         " (SELECT string_agg(relname, ';' ORDER BY oid) FROM pg_class WHERE oid > 16384 AND relname LIKE 'made%' AND relpersistence <> 't')")


def compared(answer, early=False):
    """What is to be the same.  Not what comes of saying something else within COPY, by which the server ends its connection,
    and Sheaf the session only if it has something there."""
    told, failed = [], False
    for message in comparable(answer):
        if message[0] == "E":
            message = _error(message.fields if isinstance(message, pg.Message) else message[1], failed)
            if message[1].get("M", "").startswith(_BREACH):
                told.append(message)
                break
        elif message[0] == "N":
            message = ("N", {letter: _TOASTED.sub("pg_toast", text) for letter, text in _without_schema(message.fields).items()})
        elif message[0] == "Z":
            failed = message.body == b"E"
        told.append(message)
    if early and told[-1] == answer[-1]:  # of what is left
        ends = [at for at, message in enumerate(told) if message[0] == "Z"]
        told = [*told[:ends[-1] + 1 if ends else 0], answer[-1]]
    return told


class Dice(Pooled):
    @classmethod
    def setUpClass(cls):
        options = {"max_prepared_transactions": "5"}
        cls.server = Postgres(cls, options)
        cls.server.sql("CREATE ROLE other; GRANT other TO app")
        cls.server.sql(SCHEMA, user="app")
        cls.server.sql(OF_OTHER)
        cls.replica = Replica(cls, cls.server, options)
        cls.faults = Faults(cls, ("127.0.0.1", cls.server.port))
        cls.faults.cuts = random.Random(SEED)
        cls.front = Sheaf(cls, sql_pool(cls.server, name="one", pool_size=1), sql_pool(cls.server, name="many"),
                          sql_pool(cls.server, name="sessions", pooling="session", pool_size=50),
                          sql_pool(f"postgresql://{cls.faults.address}", name="pieces", server_tls="off"),
                          sql_pool(cls.server, [cls.replica], name="replicas", reads="causal", causal_wait="1s"),
                          sql_pool(cls.server, name="few", pool_size=1, max_prepared_statements=1, max_session_memory="64kb"),
                          sql_pool(cls.server, name="commits", lost_commit_wait="10s"))
        cls.admin = pg.PgSession(str(cls.server.socket), user="postgres")
        cls.addClassCleanup(cls.admin.close)

    def reset(self):
        try:
            self._reset()
        except (OSError, EOFError) as error:
            self.fail(f"the server broke off a session that does nothing but this: {error!r}\n{self.server.log[-4000:]}")

    def _reset(self):
        for [name] in self.admin.ask("SELECT gid FROM pg_prepared_xacts").rows:
            self.admin.ask(f"ROLLBACK PREPARED '{name}'")
        answer = self.admin.ask("SET client_min_messages = error; SET lock_timeout = '30s';"
                                "DO $$ DECLARE sort text; it text; BEGIN"
                                " FOR sort, it IN SELECT 'ROUTINE', oid::regprocedure::text FROM pg_proc WHERE proname = 'made'"
                                "   AND pronamespace::regnamespace::text !~ '^pg_temp' UNION ALL"
                                " SELECT CASE relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, oid::regclass::text FROM pg_class"
                                "   WHERE relname = 'made' AND relkind IN ('r', 'v') AND relpersistence <> 't'"
                                " LOOP EXECUTE format('DROP %s %s', sort, it); END LOOP; END $$;"
                                "DROP INDEX IF EXISTS one.made_by, two.made_by; SELECT lo_unlink(4242) FROM pg_largeobject_metadata;"
                                "TRUNCATE t, late, one.who, two.who RESTART IDENTITY; INSERT INTO t (v) VALUES ('a'), ('b'), ('c');"
                                "INSERT INTO one.who VALUES ('one'); INSERT INTO two.who VALUES ('two')")
        self.assertEqual(answer.errors, [])

    def left(self):
        """What is found when a session has left."""
        wait_until(lambda: self.admin.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'app' AND state <> 'idle'"
                                            " OR pid IN (SELECT pid FROM pg_locks WHERE locktype = 'advisory')") == "0",
                   what="nothing under way")
        return [pg.Message("left", repr(self.admin.ask(_LEFT).rows).encode())]

    def told_directly(self, steps):
        self.reset()
        with pg.PgSession(str(self.server.socket), options=OPTIONS) as session:
            awaited = play_direct(session, steps)
        gone(session.key)
        return plain(session.seen) + self.left(), awaited

    def told_through(self, name, steps, awaited, cuts):
        self.reset()
        target = self.front.target(name)
        if name == "replicas":
            self.replica.wait_for_catchup()
        beside = Beside(target) if name in ("one", "few") else None
        try:
            with pg.PgSession(target, options=OPTIONS, timeout=4) as session:
                session.cuts = random.Random(cuts) if cuts else None
                play(session, steps, awaited, *([beside.acts] if beside else []))
            ends = beside.ends() if beside else []
        finally:
            if beside:
                beside.session.close()
        return plain(session.seen) + ends + self.left()

    def differs(self, name, steps, cuts):
        """The two answers, and what the first was awaited by, or None."""
        direct, awaited = self.told_directly(steps)
        through = self.told_through(name, steps, awaited, cuts)
        early = leaves_early(steps)
        if early and any(message.tag == "E" and message.fields["M"].startswith(_BREACH) for message in direct):
            return None  # of which who has left hears or not
        return None if compared(direct, early) == compared(through, early) else (direct, through, awaited)

    def compare(self, name):
        for number in [int(ONLY)] if ONLY else range(ROUNDS):
            cuts = f"{SEED}/{number}"
            dice = SqlDice(f"{name} {cuts}")
            dice.at_replicas = name == "replicas"
            steps = dice.script()
            found = self.differs(name, steps, cuts)
            if found:
                self.fail(self.story(name, steps, cuts, found))

    def story(self, name, steps, cuts, found):
        def differs(tried):
            return self.differs(name, tried, cuts)
        seed, again = cuts, differs(steps)
        if again:
            if self.differs(name, steps, None):
                cuts = None
            steps = shorter(steps, differs, SECONDS)
            found = next(filter(None, (differs(steps) for _ in range(5))), found)
        early = leaves_early(steps)
        direct, through, awaited = compared(found[0], early), compared(found[1], early), found[2]
        at = next((n for n, both in enumerate(zip(direct, through)) if both[0] != both[1]), min(len(direct), len(through)))
        how = "does not differ each time" if not again else "whatever the cuts" if cuts is None else "by its cuts"
        return (f"SHEAF_DICE_SEED={seed} {name}, {how}:\n{as_python(steps, awaited)}\n"
                f"behind {direct[max(0, at - 3):at]}, {at} of {len(direct)} and {len(through)}:\n"
                f"the server: {direct[at:at + 5]}\nthrough it: {through[at:at + 5]}")

    def test_one_connection_that_another_session_uses_between(self):
        self.compare("one")

    def test_transactions(self):
        self.compare("many")

    def test_sessions(self):
        self.compare("sessions")

    def test_servers_that_speak_in_pieces(self):
        self.compare("pieces")

    def test_reads_at_a_replica(self):
        self.compare("replicas")

    def test_few_statements_and_little_memory(self):
        self.compare("few")

    def test_commits_that_are_marked(self):
        self.compare("commits")


if __name__ == "__main__":
    main()
