"""More that clients of SQL pools do, beside lib.sql_torture's: what waits, what is large, what has several parts."""
import contextlib
import time

from lib import pgwire as pg
from lib.sql_torture import Left, Life, Refused

SCHEMA = """
    CREATE TABLE shared (n int PRIMARY KEY, v int NOT NULL);
    INSERT INTO shared SELECT g, 0 FROM generate_series(0, 4) g;
    CREATE FUNCTION echo(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1';
    CREATE FUNCTION writes(text) RETURNS text LANGUAGE sql AS 'INSERT INTO log VALUES ($1, 0) RETURNING token';
    CREATE SEQUENCE counted;
"""


class Stormy(Life):
    """`echo`, a function's oid, is in the crowd's `things`."""

    def savepoints(self):
        own = self.new_token()
        self.crowd.written[own] = False
        self.ask("BEGIN")
        self.rows(f"INSERT INTO log VALUES ('{own}', 1) RETURNING token", [[own]])
        self.ask("SAVEPOINT a")
        answer = self.session.ask(f"SELECT '{own}'::int")
        if answer.errors != ["22P02"]:
            self.answered(answer)
        self.must(answer.state, "E", "the state in a failed transaction")
        self.ask("ROLLBACK TO a")
        self.rows(f"SELECT token FROM log WHERE token = '{own}'", [[own]], "what was written before the savepoint")
        self.ends(own)

    def ends(self, own):
        """By COMMIT, said in some way, or by ROLLBACK."""
        how = self.dice.randrange(4)
        if how == 0:
            self.ask("ROLLBACK")
            return
        self.crowd.written[own] = None
        self.sent_whole = False
        try:
            if how == 1:
                self.tail.append("COMMIT by messages")
                answer = self.answered(self.session.run(pg.one("COMMIT") + pg.sync()))
            elif how == 2:
                answer = self.ask("COMMIT")
            else:
                other = self.new_token()
                self.tail.append("COMMIT, and another in the same breath")
                answer = self.answered(self.session.run(pg.query("COMMIT") + pg.query(f"SELECT '{other}'"), 2))
                self.must(answer.rows, [[other]], "what follows COMMIT")
            self.crowd.written[own] = answer.done[:1] == ["COMMIT"]
        except Refused:
            if self.session.seen[-1].tag == "Z" and not self.was_done_or_doubted(how):
                self.crowd.written[own] = False
            raise
        except Left:
            if not self.sent_whole and how == 2:  # COMMIT by messages is done before Sync
                self.crowd.written[own] = False
            raise

    def was_done_or_doubted(self, how):
        last = pg.Answer(self.session.seen[-8:])
        return "08007" in last.errors or (how == 3 and "COMMIT" in last.done)

    @contextlib.contextmanager
    def writing(self, own):
        """A write that one message asks for: whether it is there is known of what is answered, or was not said whole."""
        self.crowd.written[own] = None
        self.sent_whole = False
        try:
            yield
        except Refused:
            if self.session.seen[-1].tag == "Z" and "08007" not in pg.Answer(self.session.seen[-6:]).errors:
                self.crowd.written[own] = False
            raise
        except Left:
            if not self.sent_whole:
                self.crowd.written[own] = False
            raise
        self.crowd.written[own] = True

    def writes_in_code(self):
        own = self.new_token()
        text = self.dice.choice((f"SELECT writes('{own}')", f"DO $$ BEGIN PERFORM writes('{own}'); END $$", f"WITH w AS (INSERT INTO log VALUES ('{own}', 1) RETURNING token) SELECT token FROM w",
                                 f"INSERT INTO log VALUES ('{own}', 1); SELECT '{own}'"))
        with self.writing(own):
            self.must(self.ask(text).rows, [] if text.startswith("DO") else [[own]], "a write in code")

    def portals(self):
        """In a transaction, over several round trips, with Flush in between."""
        own = self.new_token()
        self.tail.append("portals over several round trips")
        session = self.session
        self.answered(session.run(pg.query(self.dice.choice(("BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ")))))
        session.send(pg.parse("", "SELECT $1::text, g FROM generate_series(1, 9) g") + pg.bind("p", "", [own]) + pg.execute("p", 2) + pg.flush())
        got = self.answered(session.until("sE"))
        for _ in range(2):
            session.send(pg.execute("p", 3) + pg.flush())
            got += self.answered(session.until("sCE"))
        session.send(pg.execute("p", 0) + pg.sync())
        got += self.answered(session.until("Z"))
        self.must(pg.Answer(got).rows, [[own, str(g)] for g in range(1, 10)], "a portal in parts")
        self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))

    def calls(self):
        own = self.new_token()
        self.tail.append("a function call")
        answer = self.answered(self.session.run(pg.function_call(self.crowd.things["echo"], [own], (0,), 0)))
        self.must([m.body[4:] for m in answer if m.tag == "V"], [own.encode()], "a function call")

    def says_much(self):
        """A text, a parameter, that come in pieces."""
        own, much = self.new_token(), "x" * self.dice.choice((10_000, 70_000, 300_000))
        self.tail.append(f"says {len(much)} bytes")
        data = self.dice.choice((pg.query(f"SELECT '{own}', length('{much}')"), pg.one("SELECT $1::text, length($2)", own, much) + pg.sync()))
        self.must(self.answered(self.session.run(data)).rows, [[own, str(len(much))]], "much that was said")

    def waits_for_others(self):
        """Locks on rows that all change: it waits for others, or the server finds a deadlock."""
        own, rows = self.new_token(), self.dice.sample(range(5), 2)
        self.ask("BEGIN")
        self.ask("SET LOCAL lock_timeout = '2s'")
        for n in rows:
            answer = self.session.ask(f"UPDATE shared SET v = v + 1 WHERE n = {n} RETURNING '{own}'")
            self.tail.append(f"UPDATE shared {n}")
            if answer.errors[:1] in (["40P01"], ["55P03"]):
                self.must(answer.state, "E", "the state behind a deadlock")
                self.ask("ROLLBACK")
                return
            self.must(self.answered(answer).rows, [[own]], "a row that all change")
        self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))

    def sleeps(self):
        own = self.new_token()
        self.rows(f"SELECT '{own}' FROM pg_sleep({self.dice.choice((0.01, 0.05, 0.2))})", [[own]])

    def hints(self):
        own = self.new_token()
        where = self.dice.choice(("primary", "replica"))
        self.rows(f"/* route={where} */ SELECT '{own}'", [[own]])
        answer = self.ask(f"EXPLAIN ROUTE SELECT '{own}'")
        self.must(len(answer.rows) > 0, True, "EXPLAIN ROUTE")

    def reads_only(self):
        own = self.new_token()
        self.ask(self.dice.choice(("BEGIN READ ONLY", "BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY", "START TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ")))
        for _ in range(self.dice.randrange(1, 4)):
            self.rows(f"SELECT '{own}' FROM shared LIMIT 1", [[own]])
        if self.dice.random() < 0.3:
            answer = self.session.ask("INSERT INTO log VALUES ('never', 1)")
            if answer.errors != ["25006"]:
                self.answered(answer)
        self.ask(self.dice.choice(("COMMIT", "ROLLBACK")))

    def reads_what_it_wrote(self):
        """From wherever, with reads = causal."""
        own = self.new_token()
        with self.writing(own):
            self.rows(f"INSERT INTO log VALUES ('{own}', 1) RETURNING token", [[own]])
        if self.crowd.things.get("causal", True):
            for _ in range(2):
                self.rows(f"SELECT token FROM log WHERE token = '{own}'", [[own]], "what it wrote")

    def defines(self):
        name = f"made{self.number}"
        self.ask(f"DROP TABLE IF EXISTS {name}; CREATE TABLE {name} (a text)")
        own = self.new_token()
        self.rows(f"INSERT INTO {name} VALUES ('{own}') RETURNING a", [[own]])
        session = self.session
        self.answered(session.run(pg.parse("d", f"SELECT * FROM {name}") + pg.bind("", "d") + pg.execute() + pg.sync()))
        self.ask(f"ALTER TABLE {name} ADD b int DEFAULT 5")
        answer = session.run(pg.bind("", "d") + pg.execute() + pg.sync())
        if answer.errors != ["0A000"]:
            self.must(self.answered(answer).rows, [[own, "5"]], "a table that was changed")
        self.answered(session.run(pg.close("S", "d") + pg.sync()))
        self.ask(f"DROP TABLE {name}")

    def counts(self):
        value = self.ask("SELECT nextval('counted')").rows
        if self.crowd.things.get("session"):
            self.rows("SELECT currval('counted')", value, "currval()")

    def stays_idle(self):
        self.ask("BEGIN")
        own = self.new_token()
        self.rows(f"SELECT '{own}'", [[own]])
        time.sleep(self.dice.choice((0, 0.02, 0.1)))
        self.rows(f"SELECT '{own}'", [[own]])
        self.ask(self.dice.choice(("COMMIT", "ROLLBACK", "ROLLBACK AND CHAIN; ROLLBACK")))

    def pipelines_much(self):
        """Exchanges in one breath, of which one fails: what is behind it in its own is skipped, and no other."""
        tokens, data, wanted = [], b"", []
        for _ in range(self.dice.randrange(2, 12)):
            own = self.new_token()
            if self.dice.random() < 0.25:
                data += pg.one("SELECT $1::text::int", own) + pg.one("SELECT $1::text", own) + pg.sync()
                wanted.append("22P02")
            elif self.dice.random() < 0.2:
                data += pg.query(f"BEGIN; SELECT '{own}'; COMMIT")
                wanted.append(own)
            else:
                data += pg.one("SELECT $1::text", own) + pg.sync()
                wanted.append(own)
            tokens.append(own)
        self.tail.append(f"a pipeline: {wanted}")
        got = []
        self.session.send(data)
        for one in wanted:
            answer = self.session.until("Z")
            if answer.errors and answer.errors != [one]:
                self.answered(answer)
            got.append(answer.errors[0] if answer.errors else answer.rows[0][0])
            self.must(answer.state, "I", "the state behind one of a pipeline")
        self.must(got, wanted, "a pipeline with failures")

    STEPS = (*Life.STEPS, savepoints, writes_in_code, portals, calls, says_much, waits_for_others, sleeps, hints, reads_only, reads_what_it_wrote, defines,
             counts, stays_idle, pipelines_much, writes_in_code, savepoints)


class Reader(Life):
    """Who needs no table: a database of his own may come and go, or his role."""
    STEPS = (Life.reads, Life.pipelines, Life.prepares, Life.suspends, Life.fails, Life.copies_out, Life.reads_much, Life.has_temp, Life.has_cursors, Life.listens,
             Stormy.portals, Stormy.says_much, Stormy.sleeps, Stormy.stays_idle, Stormy.pipelines_much)


class Spare(Reader):
    database = "spare"


class Guest(Reader):
    user = "guest"


class Steadfast(Stormy):
    """Who cancels nothing: a server whose COMMIT waits for a replica takes that for done."""
    STEPS = tuple(step for step in Stormy.STEPS if step is not Life.is_cancelled)


class Survivor(Life):
    """Who goes on when a server is lost: with all that it had set and prepared, and nothing that came to nothing.

    What a setting is: the values that it may have, of which there are several when nobody knows what was done."""
    VALUES = {"work_mem": ("5MB", "6MB", "7MB"), "DateStyle": ("ISO, DMY", "German, DMY", "SQL, MDY"), "TimeZone": ("UTC", "Europe/Rome", "Asia/Tokyo"),
              "application_name": ("a", "b", "it's"), "search_path": ("public", "pg_catalog, public"), "extra_float_digits": ("0", "2", "3"),
              "my.own": ("x", "y"), "my.other": ("x", "y"), "statement_timeout": ("1min", "2min"), "bytea_output": ("escape", "hex"), "client_encoding": ("LATIN1", "UTF8")}

    def once(self):
        self.cancelled = False
        with _Survivor(self, timeout=12) as session:
            self.session, self.told = session, dict(session.parameters)
            self.may, self.start, self.statements = {}, {}, {}
            self.tail.append("a session")
            for name in self.VALUES:
                while name not in self.start:
                    answer = session.ask(f"SELECT current_setting('{name}', true)")
                    if self.outcome(answer) == "done":
                        self.start[name] = answer.rows[0][0]
                        self.may[name] = {self.start[name]}
            for _ in range(self.dice.randrange(5, 60)):
                step = self.dice.choice(self.STEPS)
                self.doing = step.__name__
                step(self)
                self.crowd.done[step.__name__] += 1
            session.terminate()

    def outcome(self, answer):
        """done, undone or unknown."""
        for code in answer.errors:
            self.crowd.errors[code] += 1
            if code not in self.crowd.may:
                self.crowd.is_wrong(self, f"failed: {answer[-3:]}")
            self.tail.append(code)
            return "unknown" if code == "08007" else "undone"
        return "done"

    def say(self, text):
        self.tail.append(text)
        if self.dice.random() < 0.5:
            return self.session.ask(text)
        return self.session.run(pg.one(text) + pg.sync())

    def becomes(self, outcome, changes):
        for name, value in changes.items():
            value = self.start[name] if value is None else value
            if outcome == "done":
                self.may[name] = {value}
            elif outcome == "unknown":
                self.may[name] = self.may[name] | {value}

    def change(self):
        """A statement that sets something, and what."""
        name = self.dice.choice(list(self.VALUES))
        value = self.dice.choice(self.VALUES[name])
        quoted = value if name == "search_path" else "'" + value.replace("'", "''") + "'"
        how = self.dice.randrange(3 if self.crowd.things.get("code") else 2)
        if how == 0 and self.dice.random() < 0.3:
            return f"RESET {name}", {name: None}
        if how == 0:
            return f"SET {name} = {quoted}", {name: value}
        literal = value.replace("'", "''")
        if how == 1:
            return f"SELECT set_config('{name}', '{literal}', false)", {name: value}
        return f"DO $$ BEGIN PERFORM set_config('{name}', '{literal}', false); END $$", {name: value}

    def sets(self):
        text, changes = self.change()
        self.becomes(self.outcome(self.say(text)), changes)

    def sets_in_transaction(self):
        if self.outcome(self.say("BEGIN")) != "done":
            return
        changes = {}
        for _ in range(self.dice.randrange(1, 4)):
            text, change = self.change()
            if self.outcome(self.say(text)) != "done":
                self.ends_transaction()
                return
            changes |= change
        end = self.dice.choice(("COMMIT", "COMMIT", "ROLLBACK"))
        outcome = self.outcome(answer := self.say(end))
        if end == "COMMIT" and answer.done != ["ROLLBACK"]:
            self.becomes(outcome, changes)
        self.ends_transaction()

    def ends_transaction(self):
        while not self.session.idle:
            self.outcome(self.say("ROLLBACK"))

    def shows(self):
        name = self.dice.choice(list(self.VALUES))
        answer = self.say(self.dice.choice(("SHOW {}", "SELECT current_setting('{}', true)", "SELECT current_setting('{}', true) /* route=replica */")).format(name)
                          if not name.startswith("my.") else f"SELECT current_setting('{name}', true)")
        if self.outcome(answer) != "done":
            return
        value = answer.rows[0][0]
        self.must((value or None) in {v or None for v in self.may[name]}, True, f"{name} is {value}, and not one of {self.may[name]}")
        self.may[name] = {value}
        if name in self.told:
            self.must(self.told[name], value, f"what it was told of {name}")

    def prepares(self):
        name, own = self.dice.choice(("p", "q", "r")), self.new_token()
        if name in self.statements:
            self.tail.append(f"closes {name}")
            answer = self.session.run(pg.close("S", name) + pg.sync())
            if self.outcome(answer) == "done":
                del self.statements[name]
            else:
                self.statements[name] |= {None}
            return
        self.tail.append(f"prepares {name}")
        outcome = self.outcome(self.session.run(pg.parse(name, f"SELECT '{own}', $1::text") + pg.sync()))
        if outcome != "undone":
            self.statements[name] = {own} | ({None} if outcome == "unknown" else set())

    def executes(self):
        name, value = self.dice.choice(("p", "q", "r")), self.new_token()
        self.tail.append(f"executes {name}")
        answer = self.session.run(pg.bind("", name, [value]) + pg.describe() + pg.execute() + pg.sync())
        known = self.statements.get(name, {None})
        if answer.errors == ["26000"]:
            self.must(None in known, True, f"{name}, which was prepared, is not known")
            self.statements.pop(name, None)
        elif self.outcome(answer) == "done":
            self.must(len(answer.rows) == 1 and answer.rows[0][1] == value and answer.rows[0][0] in known, True, f"{name}: {answer.rows}, of {known}")
            self.statements[name] = {answer.rows[0][0]}

    def discards(self):
        outcome = self.outcome(self.say("DISCARD ALL"))
        self.becomes(outcome, dict.fromkeys(self.VALUES))
        self.statements = {} if outcome == "done" else {name: known | {None} for name, known in self.statements.items()} if outcome == "unknown" else self.statements

    def works(self):
        own = self.new_token()
        if self.outcome(answer := self.say(f"SELECT '{own}'")) == "done":
            self.must(answer.rows, [[own]], "a read")

    STEPS = (sets, sets, sets_in_transaction, shows, shows, shows, shows, prepares, prepares, executes, executes, works, discards)


class _Survivor(pg.PgSession):
    def __init__(self, life, **options):
        self.life = life
        super().__init__(life.crowd.target, **options)

    def read(self):
        try:
            message = super().read()
        except TimeoutError:
            self.life.crowd.things["look"](self.socket.getsockname()[1])
            raise
        self.life.check(message)
        if message.tag == "S":
            self.life.told[message.words[0]] = message.words[1]
        return message
