#!/usr/bin/python3
"""Three sessions that share two server connections against sessions that have a server's connection each.

What they prepare, execute and forget, in SQL and by the protocol, in and out of transactions, with errors and in
pipelines, is chosen at random (by a seed), and said to both: each must be told the same."""
import os
import random

from lib import *
from lib import pgwire as pg
from lib.case import main
from lib.pgtwin import PgTwin, comparable

NAMES = ["a", "b", "Odd one"]
SELECTS = ["SELECT 1 AS one", "SELECT $1::int + 1 AS next", "SELECT $1::text || 'x', $2::int", "SELECT id, v FROM t WHERE id = $1",
           "VALUES (1), (2), (3)", "SELECT n FROM many WHERE n < 4", "INSERT INTO t (v) VALUES ($1)", "SELECT $1::int / 0 AS never",
           "SELECT set_config('work_mem', '3MB', true)", "SELECT nosuch", "bogus", "", "SELECT pg_typeof($1)"]
VALUES = ["1", "2", "x", "it's", None]


def quoted(name):
    return f'"{name}"' if name[:1].isupper() else name


def literal(value):
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


class Chance:
    """What a client says next."""

    def __init__(self, seed, prepares):
        self.rng, self.prepares = random.Random(seed), prepares

    def name(self):
        return self.rng.choice([*NAMES, "c"])

    # --- in SQL

    def execute(self):
        count = self.rng.choice([0, 0, 1, 1, 2])
        values = ", ".join(literal(self.rng.choice(VALUES)) for _ in range(count))
        return f"EXECUTE {quoted(self.name())}" + (f" ({values})" if count else "")

    def prepare(self):
        types = self.rng.choice(["", "", " (int)", " (text)", " (text, int)"])
        return f"PREPARE {quoted(self.name())}{types} AS {self.rng.choice(SELECTS)}"

    def sql(self):
        rng = self.rng
        return rng.choice([
            self.prepare, self.prepare, self.prepare, self.execute, self.execute, self.execute, self.execute,
            lambda: f"DEALLOCATE {quoted(self.name())}", lambda: f"DEALLOCATE PREPARE {quoted(self.name())}",
            lambda: rng.choice(["DEALLOCATE ALL", "DISCARD ALL", "DISCARD PLANS"]) if rng.random() < 0.4 else "SELECT 3",
            lambda: f"EXPLAIN (COSTS off) {self.execute()}", lambda: "BEGIN", lambda: rng.choice(["COMMIT", "END", "COMMIT AND CHAIN"]),
            lambda: rng.choice(["ROLLBACK", "ROLLBACK", "ABORT", "ROLLBACK AND CHAIN"]), lambda: rng.choice(["SAVEPOINT s", "ROLLBACK TO s"]),
            lambda: rng.choice(["SELECT 1/0", "SELECT nosuch", "bogus", "", "SELECT 2"]),
            lambda: rng.choice(["SET search_path = pg_catalog, public", "RESET search_path", "SET LOCAL search_path = public"])])()

    # --- by the protocol

    def by_protocol(self, *forbidden):
        """What is prepared so by the protocol keeps its server, which knows it by the client's own name."""
        text, forbidden = self.sql(), forbidden if self.prepares else ("PREPARE", *forbidden)
        return "SELECT 4" if any(word in text for word in forbidden) else text

    def message(self):
        """What it is called, and its bytes."""
        rng, name = self.rng, self.rng.choice([*NAMES, "", ""])
        portal = rng.choice(["", "", "", "p"])
        values = [rng.choice(VALUES) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
        kind = rng.randrange(14)
        if kind < 4:
            # What executes a statement by its name has none itself: it could be executed by that, for ever.  And what it
            # returns is what it was when it was parsed, so that is not asked for later.
            text = rng.choice(SELECTS) if name or rng.random() < 0.5 else self.by_protocol("EXECUTE")
            types = rng.choice([(), (), (), (23,), (25,), (25, 23)])
            return f"Parse {name!r} {text} {types}", pg.parse(name, text, types)
        if kind < 8:
            return f"Bind {portal!r} {name!r} {values}, Execute", pg.bind(portal, name, values) + pg.execute(portal, rng.choice([0, 0, 0, 1]))
        if kind < 9:
            return f"Bind {portal!r} {name!r} {values}, Describe, Execute", pg.bind(portal, name, values) + pg.describe("P", portal) + pg.execute(portal)
        if kind < 10:
            name = self.rng.choice(NAMES)
            return f"Describe {name!r}", pg.describe("S", name)
        if kind < 11:  # not later: in a transaction that has failed meanwhile a portal that is left may end the server
            return (f"Bind {portal!r} {name!r} {values}, Execute twice",
                    pg.bind(portal, name, values) + pg.execute(portal, 1) + pg.execute(portal))
        if kind < 13:
            return f"Close {name!r}", pg.close("S", name)
        text = self.by_protocol()
        return f"one {text}", pg.one(text, *values)

    def step(self):
        """What it is called, its bytes, and how many ReadyForQuery answer it."""
        rng, said, data, readies = self.rng, [], b"", 0
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            if rng.random() < 0.45:
                text = "; ".join(self.sql() for _ in range(rng.choice([1, 1, 1, 2, 3])))
                said.append(f"Query {text}")
                data += pg.query(text)
            else:
                for _ in range(rng.choice([1, 1, 2, 3, 5])):
                    what, message = self.message()
                    said.append(what)
                    data += message
                said.append("Sync")
                data += pg.sync()
            readies += 1
        return said, data, readies


def told(through, direct):
    """What was said through Sheaf, but that it is forgiven this: in a failed transaction a statement that must be prepared
    first is refused for that, before the server looks at what is bound, or how it is named."""
    def code(message):
        return (message[1]["C"] if isinstance(message[1], dict) else message.code) if message[0] == "E" else None
    return [d if code(m) == "25P02" and code(d) in ("25P02", "08P01", "42P05") else m
            for m, d in zip(through, direct)] + through[len(direct):]


class Ended(Exception):
    """Servers end sessions that begin a transaction twice in one pipeline."""


class Pair:
    """One client: at the server itself, and through Sheaf."""

    def __init__(self, test, number):
        self.test, self.number = test, number
        self.direct, self.through = (pg.PgSession(target) for target in (("127.0.0.1", test.server.port), test.front.target()))
        self.state = "I"

    def close(self):
        self.direct.close()
        self.through.close()

    def say(self, log, said, data, readies):
        log.append(f"{self.number}: " + " | ".join(said))
        try:
            direct = self.direct.run(data, readies)
        except EOFError:
            raise Ended from None
        self.state = direct.state
        try:
            through = self.through.run(data, readies)
        except (OSError, EOFError) as error:
            raise AssertionError("\n".join([*log, f"{error!r}", f"direct: {direct}", f"through: {self.through.seen[-12:]}"])) from None
        direct_told = comparable(direct)
        self.test.assertEqual(told(comparable(through), direct_told), direct_told, "\n".join(log))
        log[-1] += f" -- {', '.join(direct.errors + direct.done)} {direct.state}"


class Prepared(PgTwin):
    options = {"pooling": "transaction", "pool_size": 3, "proxy": {"workers": 1}}
    WALKS, STEPS = int(os.environ.get("SHEAF_WALKS", "60")), 60

    def walk(self, seed, servers):
        """No more than so many are in transactions at a time; if they all are it is the turn of one of these."""
        chance, log, pairs = Chance(seed, servers == 3), [], []
        self.reset()
        try:
            pairs += [Pair(self, number) for number in range(3)]
            for _ in range(self.STEPS):
                busy = [pair for pair in pairs if pair.state != "I"]
                pair = chance.rng.choice(busy if len(busy) == servers else pairs)
                if pair.state == "E" and chance.rng.random() < 0.5:
                    pair.say(log, ["Query ROLLBACK"], pg.query("ROLLBACK"), 1)
                else:
                    pair.say(log, *chance.step())
        except Ended:
            pass
        finally:
            for pair in pairs:
                pair.close()

    def walks(self, servers):
        for number in range(self.WALKS):
            with self.subTest(number=number):
                self.walk(f"prepared {number}", servers)


class Two(Prepared):
    options = {**Prepared.options, "pool_size": 2}

    def test_what_is_prepared_is_each_ones_own(self):
        self.walks(2)


class Three(Prepared):
    def test_what_is_prepared_by_the_protocol_too(self):
        self.walks(3)


if __name__ == "__main__":
    main()
