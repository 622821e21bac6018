#!/usr/bin/python3
"""Sessions that share one server connection against sessions that have a server's connection each.

What clients do with settings, roles, transactions and savepoints is chosen at random (by a seed), and said to both:
each must be told the same, and find the same settings after each step."""
import random
import re

from lib import *
from lib import pgwire as pg
from lib.case import main
from lib.pgtwin import PgTwin, comparable

ROLES = """
CREATE ROLE boss SUPERUSER; CREATE ROLE reader; CREATE ROLE "Odd one";
CREATE ROLE worker LOGIN PASSWORD 'secret' IN ROLE boss, reader, "Odd one";
CREATE ROLE chief LOGIN SUPERUSER PASSWORD 'secret';
CREATE FUNCTION sets(text, text, bool) RETURNS text LANGUAGE plpgsql AS
 $$ BEGIN RETURN set_config($1, $2, $3); END $$;
CREATE FUNCTION within() RETURNS text LANGUAGE sql SET work_mem = '9MB' AS $$ SELECT set_config('work_mem', '8MB', false) $$;
CREATE FUNCTION fails(text, text) RETURNS text LANGUAGE plpgsql AS
 $$ BEGIN PERFORM set_config($1, $2, false); RETURN 1/0; EXCEPTION WHEN division_by_zero THEN RETURN current_setting($1); END $$;
"""
NAMES = {
    "search_path": ["pg_catalog", '"$user", public', '"Odd, one", pg_temp', "b, a"],
    "work_mem": ["64kB", "1MB", "65"],
    "DateStyle": ["ISO, DMY", "German", "SQL", "ymd", "Postgres, MDY"],
    "TimeZone": ["UTC", "Europe/Berlin", "<+02>-02"],
    "application_name": ["psql", "it's", "a\\b", ""],
    "standard_conforming_strings": ["on", "off"],
    "statement_timeout": ["0", "1h"],
    "default_transaction_read_only": ["on", "off"],
    "default_transaction_isolation": ["read committed", "serializable", "repeatable read"],
    "default_transaction_deferrable": ["on", "off"],
    "client_encoding": ["UTF8", "LATIN1"],
    "my.own": ["1", "two'", ""],
    "log_min_duration_statement": ["-1", "1h"],
    "session_replication_role": ["replica", "origin"],
    "extra_float_digits": ["0", "3"],
}
NOT_EVERYBODYS = ["log_min_duration_statement", "session_replication_role"]
NOT_IN_CODE = [*NOT_EVERYBODYS, "my.own"]  # the server does not tell what code has set, or as whom
SPECIAL = re.compile("RESET|DEFAULT|NULL|DISCARD|" + "|".join(NOT_IN_CODE))
SHOWN = [*NAMES, "role", "session_authorization", "transaction_read_only", "transaction_isolation",
         "transaction_deferrable"]
SHOW = "SELECT " + ", ".join(f"coalesce(current_setting('{name}', true), '')" for name in SHOWN)
BEGINS = ["BEGIN", "START TRANSACTION", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE, READ WRITE",
          "BEGIN ISOLATION LEVEL REPEATABLE READ, DEFERRABLE"]
TRANSACTION = ["SET TRANSACTION READ ONLY", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SET transaction_read_only = off",
               "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "RESET transaction_isolation",
               "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE, NOT DEFERRABLE",
               "SET LOCAL transaction_isolation = 'repeatable read'", "SET transaction_deferrable TO DEFAULT"]
ROLE = ["SET ROLE reader", "SET LOCAL ROLE boss", 'SET ROLE "Odd one"', "RESET ROLE", "SET ROLE NONE", "SET LOCAL ROLE NONE",
        "SET SESSION AUTHORIZATION reader", "SET LOCAL SESSION AUTHORIZATION worker", "RESET SESSION AUTHORIZATION",
        "SET SESSION AUTHORIZATION DEFAULT", "SET LOCAL SESSION AUTHORIZATION DEFAULT", "SET ROLE nobody",
        "SET role TO DEFAULT", "SET LOCAL role TO DEFAULT"]


def quoted(value):
    return "E'" + value.replace("\\", "\\\\").replace("'", "''") + "'"


class Chance:
    """What a client says next: texts, alone, several in a Query, or in a pipeline."""

    def __init__(self, seed):
        self.rng = random.Random(seed)

    def setting(self):
        rng = self.rng
        name = rng.choice(list(NAMES))
        value = rng.choice(NAMES[name])
        scope = rng.choice(["", "SESSION ", "LOCAL ", "LOCAL "])
        if name in NOT_EVERYBODYS:  # after a RESET and SET LOCAL of one transaction servers call it set by the session
            return rng.choice([f"SET {name} = {quoted(value)}", f"RESET {name}"])
        spelled = "'', 'b'" if name == "search_path" and rng.random() < 0.2 else quoted(value)
        return rng.choice([
            f"SET {scope}{name} TO {spelled}", f"SET {scope}{name} = {spelled}", f"SET {scope}{name} TO DEFAULT",
            f"RESET {name}", "RESET ALL",
            f"SELECT set_config('{name}', {quoted(value)}, {rng.choice(['true', 'false'])})",
            f"SELECT set_config('{name}', NULL, {rng.choice(['true', 'false'])})",
            *([] if name in NOT_IN_CODE else [
                f"SELECT sets('{name}', {quoted(value)}, {rng.choice(['true', 'false'])})",
                f"DO $$ BEGIN SET {scope}{name} TO {quoted(value)}; END $$", f"SELECT fails('{name}', {quoted(value)})",
                f"UPDATE pg_catalog.pg_settings SET setting = {quoted(value)} WHERE name = '{name}'", "SELECT within()"]),
        ])

    def text(self):
        rng = self.rng
        return rng.choice([
            lambda: rng.choice(BEGINS), lambda: rng.choice(["COMMIT", "COMMIT AND CHAIN", "END"]),
            lambda: rng.choice(["ROLLBACK", "ROLLBACK AND CHAIN", "ABORT"]), lambda: f"SAVEPOINT {rng.choice('abA')}",
            lambda: f"SAVEPOINT {rng.choice('abA')}", lambda: f"RELEASE {rng.choice('abA')}",
            lambda: f"ROLLBACK TO {rng.choice('abA')}", lambda: f"ROLLBACK TO {rng.choice('abA')}",
            lambda: rng.choice(TRANSACTION), lambda: rng.choice(ROLE), lambda: rng.choice(ROLE),
            lambda: rng.choice(["SELECT 1/0", "SET work_mem = 'x'", "bogus"]),
            lambda: "DISCARD ALL" if rng.random() < 0.3 else "RESET ALL", *[self.setting] * 12])()

    def bound(self):
        """With parameters: what it is called, and the bytes."""
        name = self.rng.choice([name for name in NAMES if name not in NOT_EVERYBODYS])
        words = name, self.rng.choice(NAMES[name] + [None]), self.rng.choice("tf")
        return f"set_config {words}", pg.one("SELECT set_config($1, $2, $3)", *words) + pg.sync()

    def portals(self):
        """Not executed one after the other, or not at all."""
        texts = [text for text in (self.text() for _ in range(30)) if not SPECIAL.search(text)][:3]
        said = [(f"{n} {text}", pg.parse("", text) + pg.bind(f"p{n}")) for n, text in enumerate(texts)]
        said += [(f"{n}!", pg.execute(f"p{n}", self.rng.choice([0, 0, 1]))) for n in range(3) if self.rng.random() < 0.7]
        said[2:] = self.rng.sample(said[2:], len(said) - 2)
        return " | ".join(what for what, _ in said), b"".join(data for _, data in said) + pg.sync()

    def step(self, failed):
        """What it is called, and the bytes."""
        rng, kind = self.rng, self.rng.randrange(1 if failed else 10)
        if kind < 6:
            texts = [self.text()]
        else:
            texts = [self.text() for _ in range(rng.randrange(2, 4))]
        if kind < 8:
            return "; ".join(texts), pg.query("; ".join(texts))
        if rng.random() < 0.3:
            return self.bound()
        if rng.random() < 0.2:
            return self.portals()
        return " | ".join(texts), b"".join(pg.one(text) for text in texts) + pg.sync()

    def start(self):
        names = [name for name in NAMES if name not in NOT_IN_CODE and self.rng.random() < 0.2]
        return {name: self.rng.choice(NAMES[name]) for name in names}


class Pair:
    """One client: at the server itself, and through Sheaf."""

    def __init__(self, test, chance, user):
        self.test, self.chance = test, chance
        start = chance.start()
        self.direct, self.through = (pg.PgSession(target, user=user, options=start)
                                     for target in (("127.0.0.1", test.server.port), test.front.target()))
        self.failed = False
        self.log = [f"as {user}, with {start}"]
        self.alike("login", [self.direct.parameters], [self.through.parameters])

    def close(self):
        self.direct.close()
        self.through.close()

    def alike(self, what, direct, through):
        self.test.assertEqual(through, direct, "\n".join([*self.log, what]))

    def say(self, what, data):
        direct, through = self.direct.run(data), self.through.run(data)
        if "NULL" in what or "None" in what:  # the server tells what it went back to before Sheaf put that right
            through = pg.Answer(d if d.tag == m.tag == "D" else m for d, m in zip(direct, through)) + through[len(direct):]
        self.alike(what, comparable(direct), comparable(through))
        self.log.append(f"{what} -- {', '.join(direct.errors + direct.done)} {direct.state}")
        return direct.state

    def step(self):
        """Whether it may be another's turn."""
        state = self.say(*self.chance.step(self.failed))
        self.failed = state == "E"
        if not self.failed:
            self.say("show", pg.query(SHOW))
        elif self.chance.rng.random() < 0.6:
            state, self.failed = self.say("ROLLBACK", pg.query("ROLLBACK")), False
        return state == "I"


class Sessions(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1, "proxy": {"workers": 1}}
    WALKS, STEPS = 20, 60

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.sql(ROLES)

    def walk(self, seed, user):
        chance = Chance(seed)
        pairs = []
        try:
            pairs += [Pair(self, chance, user) for _ in range(2)]
            for _ in range(self.STEPS):
                number = chance.rng.randrange(2)
                if chance.rng.random() < 0.05:
                    pairs.append(Pair(self, chance, user))
                    pairs.pop(number).close()
                while not pairs[number].step() and chance.rng.random() < 0.97:
                    pass
                if not pairs[number].direct.idle:
                    pairs[number].close()
                    pairs[number] = Pair(self, chance, user)
        finally:
            for pair in pairs:
                pair.close()

    def test_of_one_who_may_little(self):
        for number in range(self.WALKS):
            with self.subTest(number=number):
                self.walk(f"worker {number}", "worker")

    def test_of_one_who_may_all(self):
        for number in range(self.WALKS):
            with self.subTest(number=number):
                self.walk(f"chief {number}", "chief")


if __name__ == "__main__":
    main()
