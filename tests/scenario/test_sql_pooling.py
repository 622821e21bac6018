#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""Pooled transactions: over one server connection nothing of a client reaches another, and nothing it set is lost.

Where it can be, what a client is told is compared with what it is told by the server itself, alone."""
import threading
import unittest

from lib import *
from lib import pgwire as pg
from lib.pgtwin import PgTwin, comparable
from lib.sql_front import FRONT

SYNC = pg.sync()
SETTINGS = {
    "work_mem": "5MB", "DateStyle": "SQL, DMY", "TimeZone": "Asia/Tokyo", "search_path": "pg_catalog", "statement_timeout": "77s",
    "my.own": "mine", "default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on",
    "client_encoding": "LATIN1", "application_name": "the first", "extra_float_digits": "3", "bytea_output": "escape",
    "standard_conforming_strings": "off", "row_security": "off", "IntervalStyle": "iso_8601", "lock_timeout": "66s",
    "enable_seqscan": "off", "idle_in_transaction_session_timeout": "99s", "default_transaction_deferrable": "on",
}


class Pooled(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.sql("CREATE ROLE other; GRANT other TO app; GRANT ALL ON t, t_id_seq TO other;"
                       "CREATE SCHEMA one AUTHORIZATION app; CREATE SCHEMA two AUTHORIZATION app")
        cls.server.sql("CREATE TABLE one.who AS SELECT 'one' AS name; CREATE TABLE two.who AS SELECT 'two' AS name;"
                       "GRANT ALL ON SCHEMA one, two TO other; GRANT ALL ON one.who, two.who TO other;"
                       "CREATE FUNCTION sets(text, text, bool) RETURNS text LANGUAGE plpgsql AS"
                       " $$ BEGIN RETURN set_config($1, $2, $3); END $$;"
                       "CREATE FUNCTION past() RETURNS void LANGUAGE plpgsql AS"
                       " $$ BEGIN PERFORM set_config('app.past', 'mine', false); END $$", user="app")

    def alone(self, script, **options):
        """What a script is told by the server, where it is alone, and through the front while another, with
        settings of its own, does something on the same connection before each thing that it asks: the same."""
        direct = self.told(("127.0.0.1", self.server.port), script, **options)
        with self.session(options={"DateStyle": "German", "TimeZone": "America/Lima"}) as other:
            other.ask("SET work_mem = '9MB'; SET my.own = 'not yours'; SET search_path = two")

            def beside(session):
                ask = session.send

                def send(data):
                    answer = other.ask("SELECT current_setting('work_mem'), current_setting('DateStyle'),"
                                       " current_setting('my.own'), current_user, name FROM who")
                    self.assertEqual(answer.rows, [["9MB", "German, DMY", "not yours", "app", "two"]])
                    ask(data)
                session.send = lambda data: (send if session.idle else ask)(data)
                script(session)
            through = self.told(self.front.target(), beside, **options)
        self.assertEqual(comparable(through), comparable(direct))
        return direct

    def asked(self, *texts, **options):
        return self.alone(lambda session: [session.ask(text) for text in texts], **options)


class Settings(Pooled):
    def test_one_connection_serves_all(self):
        for _ in range(10):
            self.session().value("SELECT 1")
            if FRONT != "direct":
                wait_until(lambda: len(self.server.sessions("datname = 'app'")) == 1, what="one connection to be all")

    def test_what_one_sets_the_other_does_not_have(self):
        first, second = self.session(), self.session()
        before = {name: second.value(f"SELECT current_setting('{name}', true)") for name in SETTINGS}
        for name, value in SETTINGS.items():
            first.ask(f"SET {name} = {value}" if "," in value else f"SET {name} = '{value}'")
            self.assertEqual(second.value(f"SELECT current_setting('{name}', true)") or "", before[name] or "", name)
            self.assertEqual(first.value(f"SHOW {name}"), value)
        for name, value in SETTINGS.items():
            self.assertEqual((first.value(f"SHOW {name}"), second.value(f"SELECT current_setting('{name}', true)") or ""),
                             (value, before[name] or ""))

    def test_what_was_asked_for_at_startup(self):
        first = self.session(options={"DateStyle": "SQL, DMY", "search_path": "one", "options": "-c work_mem=3MB"})
        second = self.session(options={"TimeZone": "Asia/Tokyo", "search_path": "two", "application_name": "second"})
        for _ in range(3):
            self.assertEqual(first.ask("SELECT name, '2001-02-03'::date, current_setting('work_mem') FROM who").rows,
                             [["one", "03/02/2001", "3MB"]])
            self.assertEqual(second.ask("SELECT name, '2001-02-03'::date, current_setting('TimeZone') FROM who").rows,
                             [["two", "2001-02-03", "Asia/Tokyo"]])

    def test_transactions_undo_what_they_set(self):
        show = "SHOW work_mem"
        for steps in (
                ("BEGIN", "SET work_mem = '5MB'", "ROLLBACK"), ("BEGIN", "SET work_mem = '5MB'", "COMMIT"),
                ("BEGIN", "SET LOCAL work_mem = '5MB'", "COMMIT"), ("BEGIN", "SET LOCAL work_mem = '5MB'", "ROLLBACK"),
                ("SET LOCAL work_mem = '5MB'",), ("SET SESSION work_mem = '5MB'",), ("SET work_mem TO 5120",),
                ("SET work_mem = '6MB'", "BEGIN", "SET work_mem = '5MB'", "SET LOCAL work_mem = '7MB'", "COMMIT"),
                ("BEGIN", "SET LOCAL work_mem = '7MB'", "SET work_mem = '5MB'", "COMMIT"),
                ("BEGIN", "SET work_mem = '5MB'", "bogus", "COMMIT"),
                ("BEGIN", "SAVEPOINT a", "SET work_mem = '5MB'", "ROLLBACK TO a", "COMMIT"),
                ("BEGIN", "SET work_mem = '6MB'", "SAVEPOINT a", "SET work_mem = '5MB'", "ROLLBACK TO a", "COMMIT"),
                ("BEGIN", "SAVEPOINT a", "SET work_mem = '5MB'", "RELEASE a", "COMMIT"),
                ("BEGIN", "SAVEPOINT a", "SET work_mem = '5MB'", "SAVEPOINT b", "SET work_mem = '6MB'", "bogus", "ROLLBACK TO b",
                 "SET work_mem = '7MB'", "ROLLBACK TO a", "SET work_mem = '8MB'", "RELEASE SAVEPOINT a", "COMMIT"),
                ("BEGIN", "SAVEPOINT a", "SET work_mem = '5MB'", "SAVEPOINT A", "SET work_mem = '6MB'", "ROLLBACK TO \"a\"", "COMMIT"),
                ("BEGIN", "SET work_mem = '5MB'", "COMMIT AND CHAIN", "SET work_mem = '6MB'", "ROLLBACK AND CHAIN", "COMMIT"),
                ("BEGIN; SET work_mem = '5MB'; ROLLBACK; SET work_mem = '6MB'",), ("SET work_mem = '5MB'; SELECT 1/0",),
                ("SET work_mem = '5MB'; COMMIT; SET work_mem = '6MB'; SELECT 1/0",), ("BEGIN; SET work_mem = '5MB'", "END"),
                ("START TRANSACTION", "SET work_mem = '5MB'", "ABORT"), ("SET work_mem = '5MB'", "RESET work_mem"),
                ("SET work_mem = '5MB'", "SET work_mem TO DEFAULT"), ("SET work_mem = '5MB'", "BEGIN", "RESET work_mem", "ROLLBACK"),
                ("SET work_mem = '5MB'", "RESET ALL"), ("SET work_mem = '5MB'", "BEGIN", "RESET ALL", "ROLLBACK"),
                ("SET work_mem = '5MB'", "DISCARD ALL"), ("SET work_mem = 'x'",), ("SET work_mem FROM CURRENT",),
                ("SELECT set_config('work_mem', '5MB', false)",), ("SELECT set_config('work_mem', '5MB', true)",),
                ("BEGIN", "SELECT set_config('work_mem', '5MB', false)", "ROLLBACK"),
                ("BEGIN", "SELECT set_config('work_mem', '5MB', true)", "COMMIT"),
                ("SELECT set_config('work_mem', (3 + g) || 'MB', false) FROM generate_series(1, 3) g",),
                ("WITH x AS (SELECT set_config('work_mem', '5MB', false) AS c) SELECT count(*) FROM x WHERE c <> ''",),
                ("SELECT sets('work_mem', '5MB', false)",), ("SELECT sets('work_mem', '5MB', true)",),
                ("BEGIN", "SELECT sets('work_mem', '5MB', false)", "COMMIT"),
                ("DO $$ BEGIN SET work_mem = '5MB'; END $$",), ("DO $$ BEGIN PERFORM set_config('work_mem', '5MB', false); END $$",),
                ("/* a comment */ SET /* inside */ work_mem = '5MB' -- behind",), ("set\n\tWORK_MEM\n=\n'5MB'",),
                ("SELECT 1 FROM set_config('work_mem', '5MB', false)",), ("UPDATE pg_settings SET setting = '5120' WHERE name = 'work_mem'",)):
            with self.subTest(steps=steps):
                self.asked(*(text for step in steps for text in (step, show) if not (text == show and step in ("bogus",))), show)

    def test_by_the_extended_protocol(self):
        def script(session):
            for part in (pg.one("SET work_mem = '5MB'"), pg.one("SHOW work_mem"), pg.one("SELECT set_config($1, $2, $3)", "work_mem", "6MB", "f"),
                         pg.one("SHOW work_mem"), pg.one("BEGIN") + pg.one("SELECT set_config($1, $2, $3)", "work_mem", "7MB", "f"),
                         pg.one("ROLLBACK"), pg.one("SHOW work_mem"), pg.one("SET work_mem = '8MB'") + pg.one("SELECT 1/0"),
                         pg.one("SHOW work_mem"), pg.parse("set", "SET work_mem = '4MB'"), pg.bind("", "set") + pg.execute(),
                         pg.one("SHOW work_mem"), pg.one("SELECT sets($1, $2, $3)", "work_mem", "3MB", "f"), pg.one("SHOW work_mem"),
                         pg.one("RESET work_mem"), pg.bind("", "set") + pg.execute() + pg.one("SHOW work_mem") + pg.one("RESET ALL"),
                         pg.one("SHOW work_mem")):
                session.run(part + SYNC)
        self.alone(script)

    def test_reset_goes_back_to_what_was_asked_for_at_startup(self):
        started = {"DateStyle": "SQL, DMY", "TimeZone": "Asia/Tokyo", "search_path": "one, \"Odd, one\"", "options": "-c work_mem=3MB"}
        for back in ("RESET DateStyle", "RESET ALL", "DISCARD ALL", "SET DateStyle TO DEFAULT", "SET DateStyle = DEFAULT",
                     "SELECT 1; RESET ALL; SHOW DateStyle", "RESET DateStyle; SHOW DateStyle; RESET work_mem", "RESET search_path; SHOW search_path",
                     "BEGIN; RESET ALL; ROLLBACK; RESET DateStyle", "SET search_path = two; RESET ALL; SELECT name FROM who"):
            answer = self.asked("SET DateStyle = 'ISO, YMD'", "SHOW DateStyle", back, "SHOW DateStyle", "SHOW TimeZone", "SHOW work_mem",
                                "SHOW search_path", options=started)
            self.assertEqual([row[0] for row in answer.rows][-3:], ["Asia/Tokyo", "3MB", 'one, "Odd, one"'], back)
            if ";" not in back:
                def script(session):
                    session.ask("SET DateStyle = 'ISO, YMD'")
                    session.run(pg.parse("s", "SELECT 1") + pg.one("SHOW DateStyle") + SYNC)
                    session.run(pg.one(back) + pg.one("SHOW DateStyle") + pg.one("SHOW search_path") + SYNC)
                    session.run(pg.one("SHOW DateStyle") + pg.bind("", "s") + SYNC)
                self.alone(script, options=started)
        self.asked("SET DateStyle = 'ISO, YMD'", "BEGIN", "DISCARD ALL", "ROLLBACK", "SHOW DateStyle", "BEGIN", "RESET ALL", "SHOW DateStyle",
                   "ROLLBACK", "SHOW DateStyle", "SET ROLE other", "RESET ALL", "SHOW DateStyle", "SELECT current_user", "DISCARD ALL",
                   "SELECT current_user", "SHOW DateStyle", options=started)

    def test_what_goes_back_to_the_start_within_transactions_and_pipelines(self):
        started = {"DateStyle": "SQL, DMY", "search_path": "one", "options": "-c work_mem=3MB"}
        self.asked("SET work_mem = '5MB'", "BEGIN", "SET LOCAL work_mem TO DEFAULT", "SHOW work_mem", "COMMIT", "SHOW work_mem",
                   "SET enable_sort = off", "BEGIN", "SET LOCAL enable_sort TO DEFAULT", "RESET ALL", "COMMIT", "SHOW enable_sort", "SET ROLE other", "RESET ALL", "SHOW work_mem",
                   "DO $$ BEGIN SET work_mem = '6MB'; RESET work_mem; END $$", "SHOW work_mem", "SHOW search_path", options=started)

        def script(session):
            session.ask("SET work_mem = '5MB'; SET DateStyle = German")
            for parts in (("RESET ALL", "BEGIN ISOLATION LEVEL SERIALIZABLE, DEFERRABLE", "SHOW work_mem"), ("ROLLBACK",), ("SHOW work_mem",),
                          ("DISCARD ALL", "SELECT 1/0"), ("SHOW DateStyle",), ("DISCARD ALL", "BEGIN", "SET work_mem = '9MB'"), ("ROLLBACK",),
                          ("SHOW work_mem",), ("BEGIN", "DISCARD ALL"), ("ROLLBACK",), ("SET work_mem = '5MB'", "SHOW work_mem")):
                session.run(b"".join(pg.one(part) for part in parts) + SYNC)
        self.alone(script, options=started)

    def test_portals_that_are_not_executed_in_their_order(self):
        sets = pg.parse("other", "SET ROLE other") + pg.parse("none", "SET ROLE NONE") + pg.parse("one", "SELECT 1")
        for script in (
                lambda s: s.run(pg.bind("a", "other") + pg.bind("b", "none") + pg.execute("b") + pg.execute("a") + SYNC),
                lambda s: [s.ask("BEGIN"), s.run(pg.bind("a", "other") + SYNC), s.run(pg.execute("a") + SYNC), s.ask("COMMIT")],
                lambda s: [s.ask("BEGIN"), s.run(pg.bind("a", "other") + pg.bind("b", "one") + pg.execute("b") + pg.execute("a") + SYNC), s.ask("COMMIT")],
                lambda s: s.run(pg.query("BEGIN") + pg.bind("a", "other") + pg.query("SET ROLE NONE") + pg.execute("a") + SYNC + pg.query("COMMIT"), 4),
                lambda s: s.run(pg.bind("", "none") + pg.execute() + pg.query("SET ROLE other")),
                lambda s: s.run(pg.bind("a", "other") + SYNC),
                lambda s: [s.ask("BEGIN"), s.run(pg.parse("", "SELECT set_config(v, 'other', false) FROM (VALUES ('role'), ('my.own')) x(v)")
                                                 + pg.bind("a") + pg.execute("a", 1) + SYNC), s.ask("COMMIT")]):
            def whole(session, script=script):
                session.run(sets + SYNC)
                script(session)
                session.ask("SELECT current_user")
            self.alone(whole)

    def test_parameters_that_are_told(self):
        self.asked("SET TimeZone = 'Asia/Tokyo'", "SELECT now() - now()", "SET application_name = 'me'", "BEGIN", "SET TimeZone = 'UTC'",
                   "ROLLBACK", "RESET ALL", "SET client_encoding = 'LATIN1'", "SELECT 'größe'", "DISCARD ALL", "SELECT 1",
                   "SELECT set_config('application_name', 'by function', false)", "SELECT sets('IntervalStyle', 'iso_8601', false)",
                   "SET TIME ZONE 'Asia/Kolkata'", "SET TIME ZONE LOCAL", "SET NAMES 'latin1'", "SET TIME ZONE -5", "SHOW TimeZone")

    def test_encodings_that_hide_ascii(self):
        """The second half of a character may look like a backslash, a letter or a bracket: what it seems to hide is seen."""
        cases = {"SJIS": ("ﾃ表",), "BIG5": ("功",), "GBK": ("乗",), "UHC": ("촢",), "GB18030": ("\u3402乗",)}
        codecs = {"SJIS": "cp932", "UHC": "cp949"}
        for encoding, words in cases.items():
            def coded(text):
                return text.encode(codecs.get(encoding, encoding.lower()))

            def script(session):
                for word in words:
                    for text in (f"SELECT E'{word}'; SET work_mem = '5MB' --'", f"SELECT '{word}', E'{word}' || current_setting('work_mem')",
                                 "RESET work_mem", f"PREPARE p (text) AS SELECT '{word}', $1, nosuch",
                                 f"PREPARE p (text) AS SELECT '{word}', $1", f"EXECUTE p ('{word}')", f"SELECT '{word}'; EXECUTE p ('{word}', nosuch)",
                                 f"SELECT '{word}'; EXECUTE p ('{word}'); SELECT nosuch", "DEALLOCATE p",
                                 f"SET standard_conforming_strings = off; SELECT '{word}'; SET work_mem = '6MB' --'",
                                 "SHOW work_mem", "RESET ALL"):
                        session.ask(coded(text))
                    session.run(pg.parse("s", coded(f"SELECT E'{word}', $1::text")) + pg.bind("", "s", [coded(word)]) + pg.execute()
                                + pg.close("S", "s") + SYNC)
            with self.subTest(encoding=encoding):
                self.alone(script, options={"client_encoding": encoding})

    def test_special_forms(self):
        self.asked("SET SCHEMA 'one'", "SELECT name FROM who", "SET search_path TO one, two", "SHOW search_path", "SET search_path = ''",
                   "SHOW search_path", "SET search_path TO \"$user\", public", "SHOW search_path", "SET my.own = 'it''s \\ \"q\"'", "SHOW my.own",
                   "SET work_mem TO 4096", "SHOW work_mem", "SET enable_seqscan TO off", "SHOW enable_seqscan",
                   "SET geqo_selection_bias = 1.75", "SHOW geqo_selection_bias", "SET XML OPTION DOCUMENT", "SHOW xmloption")

    def test_session_characteristics(self):
        self.asked("SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY, ISOLATION LEVEL REPEATABLE READ", "SHOW transaction_read_only",
                   "SHOW transaction_isolation", "DELETE FROM t", "BEGIN READ WRITE", "DELETE FROM t", "ROLLBACK",
                   "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE", "DELETE FROM t", "SHOW default_transaction_isolation",
                   "SET default_transaction_isolation = serializable", "BEGIN", "SHOW transaction_isolation", "COMMIT")

    def test_settings_of_transactions_end_with_them(self):
        self.asked("BEGIN", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE", "SHOW transaction_isolation", "COMMIT",
                   "SHOW transaction_isolation", "SET TRANSACTION READ ONLY", "DELETE FROM t", "BEGIN", "SET LOCAL statement_timeout = '9s'",
                   "COMMIT", "SHOW statement_timeout", "SET CONSTRAINTS ALL DEFERRED")

    def test_statement_timeouts_are_each_ones_own(self):
        first, second = self.session(), self.session()
        first.ask("SET statement_timeout = '20ms'")
        for _ in range(3):
            self.assertEqual(second.ask("SELECT pg_sleep(0.1)").errors, [])
            self.assertEqual(first.ask("SELECT pg_sleep(30)").errors, ["57014"])

    def test_a_setting_that_the_server_no_longer_takes(self):
        """A search_path of a schema that is gone, an encoding...: what one has set is never another's error."""
        first, second = self.session(), self.session()
        self.server.sql("CREATE SCHEMA soon_gone", user="app")
        first.ask("SET search_path = soon_gone; SET default_tablespace = ''")
        self.server.sql("DROP SCHEMA soon_gone", user="app")
        self.assertEqual(second.value("SELECT 1"), "1")
        self.assertEqual(first.value("SHOW search_path"), "soon_gone")

    def test_what_ends_a_transaction_does_not_run_as_somebody_else(self):
        """The role of a session is gone: all that it asks is refused, and by the words that say why."""
        if FRONT == "direct":
            self.skipTest("one session, one connection")
        self.server.sql("CREATE ROLE doomed; GRANT doomed TO app")
        first, second = self.session(), self.session()
        first.ask("SET ROLE doomed")
        self.assertEqual(second.value("SELECT current_user"), "app")
        self.server.sql("DROP ROLE doomed")
        refused = (["22023"], [])
        for text in ("SELECT current_user", "ROLLBACK; SELECT current_user", "COMMIT; INSERT INTO t (v) VALUES ('as who?')",
                     "/* END */ END; SELECT current_user"):
            answer = first.ask(text)
            self.assertEqual((answer.errors, answer.rows), refused, text)
        for pipeline in (pg.one("SELECT current_user") + SYNC, pg.one("ROLLBACK") + pg.one("SELECT current_user") + SYNC):
            answer = first.run(pipeline)
            self.assertEqual((answer.errors, answer.rows), refused)
        answer = first.run(pg.query("SELECT 1") + pg.query("ROLLBACK; SELECT current_user") + pg.query("ROLLBACK"), 3)
        self.assertEqual((answer.errors, answer.rows), (["22023"] * 3, []))
        self.assertEqual(second.value("SELECT count(*) FROM t WHERE v = 'as who?'"), "0")

    def test_who_leaves_within_a_transaction_leaves_nothing_of_what_it_set(self):
        """Nor does the next find what was undone with it."""
        for before, within in (("SET ROLE other", "RESET ROLE"), ("SET ROLE other", "SET LOCAL ROLE NONE"), ("SELECT 1", "SET ROLE other"),
                               ("SET search_path = two", "SET search_path = one"), ("SET search_path = two", "RESET ALL"),
                               ("SET search_path = two", "SET LOCAL search_path TO DEFAULT"), ("SELECT 1", "SELECT 1/0; SET search_path = two")):
            for wanted in ({}, {"search_path": "two"}, {"search_path": "one"}):
                with self.subTest(before=before, within=within, wanted=wanted):
                    with self.session() as session:
                        session.ask(before)
                        session.ask("BEGIN")
                        session.ask(within)
                    with self.session(options=wanted) as session:
                        self.assertEqual(session.ask("SELECT current_user, current_setting('search_path')").rows,
                                         [["app", wanted.get("search_path", '"$user", public')]])

    def test_roles(self):
        self.asked("SELECT current_user, session_user", "SET ROLE other", "SELECT current_user, session_user", "SHOW role", "RESET ROLE",
                   "SELECT current_user", "BEGIN", "SET LOCAL ROLE other", "SELECT current_user", "COMMIT", "SELECT current_user",
                   "BEGIN", "SET ROLE other", "ROLLBACK", "SELECT current_user", "SELECT set_config('role', 'other', false)",
                   "SELECT current_user", "SET ROLE NONE", "SELECT current_user", "SET ROLE 'other'", "DISCARD ALL", "SELECT current_user",
                   "SET SESSION AUTHORIZATION app", "SELECT current_user", "SET SESSION AUTHORIZATION postgres", "RESET SESSION AUTHORIZATION",
                   "SET ROLE postgres", "SELECT current_user", "DO $$ BEGIN SET ROLE other; END $$", "SELECT current_user", "RESET ALL",
                   "SELECT current_user")

    def test_what_a_role_may_not_set_goes_back_to_the_start_too(self):
        """By RESET ALL, that asks for no rights; what it was begun with is no value of the server's."""
        start = {"user": "postgres", "options": {"options": "-c log_min_duration_statement=50s -c work_mem=7MB"}}
        shown = "SELECT current_setting('log_min_duration_statement'), current_setting('work_mem'), current_user, session_user"
        changed = "SET log_min_duration_statement = '60s'"
        for role in ("SET ROLE other", "SET SESSION AUTHORIZATION app", "SET SESSION AUTHORIZATION app; SET ROLE other"):
            local = role.replace("SET ", "SET LOCAL ")
            for texts in ((changed, role, "RESET ALL", shown), (changed, role, "BEGIN", "RESET ALL", shown, "COMMIT", shown), (changed, "BEGIN", local, "RESET ALL", shown, "COMMIT", shown),
                          (changed, "BEGIN", role, "SAVEPOINT a", "RESET ALL", shown, "ROLLBACK TO a", shown, "ROLLBACK", shown),
                          (changed, role, f"SELECT 1; RESET ALL; {shown}", shown, "RESET ROLE", "RESET SESSION AUTHORIZATION", shown),
                          (role, "SET work_mem = '1MB'", "BEGIN", local, "RESET ALL", "COMMIT", shown, "RESET SESSION AUTHORIZATION", "RESET ROLE", shown)):
                with self.subTest(texts=texts):
                    self.asked(*texts, **start)

            def extended(session, role=role):
                session.ask(role)
                session.run(pg.one("RESET ALL") + pg.one(shown) + pg.sync())
                session.ask("BEGIN")
                for text in ("RESET ALL", shown):
                    session.run(pg.one(text) + pg.sync())
                session.ask("COMMIT")
                session.ask(shown)
            self.alone(extended, **start)

    def test_discard(self):
        def script(session):
            session.run(pg.parse("s", "SELECT 7") + SYNC)
            for text in ("SET work_mem = '5MB'", "PREPARE p AS SELECT 1", "DISCARD PLANS", "EXECUTE p", "DISCARD SEQUENCES", "DISCARD TEMP",
                         "SHOW work_mem", "BEGIN", "DISCARD ALL", "ROLLBACK", "SHOW work_mem", "DISCARD ALL", "SHOW work_mem", "EXECUTE p"):
                session.ask(text)
            session.run(pg.bind("", "s") + SYNC)
        self.alone(script)

    def test_settings_with_a_dot_that_only_code_sets(self):
        """No server gives a list of them: the names are found in the code, the client's own and the database's."""
        first, second = self.session(), self.session()
        begin = "CREATE OR REPLACE FUNCTION sets() RETURNS {0} LANGUAGE {1} AS $x$ {2} $x$"
        for name, make, does in (
                ("App.One", None, "DO $$ BEGIN PERFORM set_config('App.One', 'mine', false); END $$"),
                ("app.two", None, "DO $$ BEGIN SET SESSION app.two = 'mine'; END $$"),
                ("app.three", None, "DO $$ BEGIN EXECUTE 'SELECT set_config(''app.three'', $1, false)' USING 'mine'; END $$"),
                ("app.past", None, "SELECT past()"),
                ("app.told", None, "SELECT sets('app.told', 'mine', false)"),
                ("app.four", begin.format("void", "plpgsql", "BEGIN PERFORM pg_catalog.set_config( 'app.four' , 'mine', false); END"), "SELECT sets()"),
                ("app.five", begin.format("void", "plpgsql", "BEGIN SET app.five TO mine; END"), "SELECT sets()"),
                ("app.six", begin.format("text", "sql", "SELECT set_config('app.six', 'mine', false)"), "SELECT sets()"),
                ("app.seven", begin.format("trigger", "plpgsql", "BEGIN PERFORM set_config('app.seven', NEW.v, false); RETURN NEW; END")
                 + "; CREATE TRIGGER seven AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION sets()", "INSERT INTO t (v) VALUES ('mine')")):
            with self.subTest(does=does, name=name):
                if make:
                    first.ask("DROP FUNCTION IF EXISTS sets() CASCADE")
                    self.assertEqual(first.ask(make).errors, [])
                self.assertEqual(first.ask(does).errors, [])
                shown = f"SELECT current_setting('{name}', true)"
                self.assertIn(second.value(shown), (None, ""))
                self.assertEqual(first.value(shown), "mine")
                self.assertEqual(first.ask(f"DO $$ BEGIN PERFORM set_config('{name}', '', false); END $$").errors, [])
                self.assertIn(second.value(shown), (None, ""))
                self.assertEqual(first.value(shown), "")


class Statements(Pooled):
    # One worker: between two the connection would go to and fro all the time.
    options = {"pooling": "transaction", "pool_size": 1, "proxy": {"workers": 1}}

    def test_the_same_name_is_each_ones_own(self):
        clients = [self.session() for _ in range(5)]
        for n, client in enumerate(clients):
            client.run(pg.parse("s", f"SELECT {n}, $1::int") + SYNC)
        for _ in range(3):
            for n, client in enumerate(clients):
                self.assertEqual(client.run(pg.bind("", "s", [7]) + pg.execute() + SYNC).rows, [[str(n), "7"]])
        for client in clients[::2]:
            client.run(pg.close("S", "s") + SYNC)
        for n, client in enumerate(clients):
            answer = client.run(pg.bind("", "s", [8]) + pg.execute() + SYNC)
            self.assertEqual((answer.errors, answer.rows), (["26000"], []) if n % 2 == 0 else ([], [[str(n), "8"]]))

    def test_the_unnamed_statement_is_each_ones_own(self):
        clients = [self.session() for _ in range(3)]
        for n, client in enumerate(clients):
            client.run(pg.parse("", f"SELECT {n}, $1::text") + SYNC)
        for _ in range(2):
            for n, client in enumerate(clients):
                self.assertEqual(client.run(pg.bind("", "", ["x"]) + pg.describe() + pg.execute() + SYNC).rows, [[str(n), "x"]])
        clients[0].ask("SELECT 1")
        self.assertEqual(clients[0].run(pg.bind() + SYNC).errors, ["26000"])
        self.assertEqual(clients[1].run(pg.bind("", "", ["x"]) + pg.execute() + SYNC).rows, [["1", "x"]])

    def test_the_unnamed_statement_of_a_pipeline_that_failed_is_nobody_elses(self):
        first, second = self.session(), self.session()
        own, use = pg.parse("", "SELECT 'first'"), pg.bind() + pg.execute() + SYNC
        for skipped in (own + SYNC, pg.query("SELECT 1") + SYNC, pg.parse("", "SELECT 2") + SYNC + pg.bind() + SYNC):
            first.run(own + SYNC)
            first.run(pg.execute("nosuch") + skipped, skipped.count(SYNC))
            self.assertEqual(second.run(pg.execute("nosuch") + use + use, 2).errors, ["34000", "26000"])
        self.same(lambda session: session.run(pg.parse("e", "EXECUTE e (1)") + pg.bind("", "e", ["1"]) + SYNC))

    def test_more_statements_than_a_connection_keeps(self):
        count = 500
        first, second = self.session(), self.session()
        first.run(b"".join(pg.parse(f"s{n}", f"SELECT {n} + $1::int") for n in range(count)) + SYNC)
        second.run(b"".join(pg.parse(f"s{n}", f"SELECT {n} - $1::int") for n in range(count)) + SYNC)
        for n in [*range(0, count, 23), *range(count - 1, 0, -37)]:
            self.assertEqual(first.run(pg.bind("", f"s{n}", [1]) + pg.execute() + SYNC).value, str(n + 1))
            self.assertEqual(second.run(pg.bind("", f"s{n}", [1]) + pg.execute() + SYNC).value, str(n - 1))
        for session, by in ((first, 1), (second, -1), (first, 1)):
            pipeline = b"".join(pg.bind("", f"s{n}", [1]) + pg.execute() for n in range(count)) + SYNC
            self.assertEqual([int(row[0]) for row in session.run(pipeline).rows], [n + by for n in range(count)])
        if FRONT == "sheaf":
            # One besides, which is Sheaf's own.
            self.assertLessEqual(int(first.value("SELECT count(*) FROM pg_prepared_statements")), 201)

    def test_equal_statements_of_many_are_prepared_once(self):
        clients = [self.session() for _ in range(30)]
        for n, client in enumerate(clients):
            client.run(pg.parse(f"name {n}", "SELECT $1::int * 2") + SYNC)
            self.assertEqual(client.run(pg.bind("", f"name {n}", [n]) + pg.execute() + SYNC).value, str(2 * n))
        if FRONT == "sheaf":
            # each worker has numbers of its own, and the connection may have been at both
            self.assertIn(self.session().value("SELECT count(*) FROM pg_prepared_statements"
                                               " WHERE statement = 'SELECT $1::int * 2'"), ("1", "2"))

    def test_types_are_part_of_a_statement(self):
        first, second = self.session(), self.session()
        first.run(pg.parse("s", "SELECT pg_typeof($1)", [23]) + SYNC)
        second.run(pg.parse("s", "SELECT pg_typeof($1)", [25]) + SYNC)
        for _ in range(2):
            self.assertEqual(first.run(pg.bind("", "s", [1]) + pg.execute() + SYNC).value, "integer")
            self.assertEqual(second.run(pg.bind("", "s", [1]) + pg.execute() + SYNC).value, "text")

    def test_the_search_path_is_part_of_a_statement(self):
        first, second = self.session(options={"search_path": "one"}), self.session(options={"search_path": "two"})
        for client in (first, second):
            client.run(pg.parse("s", "SELECT name FROM who") + SYNC)
        for _ in range(3):
            self.assertEqual(first.run(pg.bind("", "s") + pg.execute() + SYNC).value, "one")
            self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "two")
        unnamed = pg.one("SELECT name FROM who") + SYNC
        self.assertEqual((first.run(unnamed).value, second.run(unnamed).value), ("one", "two"))

    def test_a_search_path_that_changes_between_uses(self):
        def script(session):
            session.ask("SET search_path = one")
            session.run(pg.parse("s", "SELECT name FROM who") + SYNC)
            for path in ("two", "one", "pg_catalog", "two"):
                session.ask(f"SET search_path = {path}")
                session.run(pg.bind("", "s") + pg.execute() + SYNC)
            session.run(pg.query("BEGIN; SET LOCAL search_path = one") + pg.bind("", "s") + pg.execute() + SYNC + pg.query("COMMIT")
                        + pg.bind("", "s") + pg.execute() + SYNC, 4)
        self.assertEqual(self.alone(script).rows, [["two"], ["one"], ["two"], ["one"], ["two"]])

    def test_the_role_is_part_of_a_statement(self):
        self.server.sql("CREATE TABLE guarded AS SELECT rolname AS who FROM pg_roles WHERE rolname IN ('app', 'other');"
                        "ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; CREATE POLICY p ON guarded USING (who = current_user);"
                        "GRANT SELECT ON guarded TO app, other; ALTER TABLE guarded FORCE ROW LEVEL SECURITY")
        first, second = self.session(), self.session()
        second.ask("SET ROLE other")
        for client in (first, second):
            client.run(pg.parse("s", "SELECT who FROM guarded") + SYNC)
        for _ in range(3):
            self.assertEqual(first.run(pg.bind("", "s") + pg.execute() + SYNC).value, "app")
            self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "other")
        second.ask("RESET ROLE")
        self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "app")

    def test_prepare_and_execute_in_sql(self):
        def script(session):
            for text in ("PREPARE p AS SELECT 1", "EXECUTE p", "PREPARE p AS SELECT 2", "PREPARE q (int) AS SELECT $1 + 1", "EXECUTE q (41)",
                         "EXECUTE q", "EXECUTE q ('x')", "DEALLOCATE p", "EXECUTE p", "DEALLOCATE p", "EXECUTE q (1)", "DEALLOCATE ALL",
                         "EXECUTE q (1)", "PREPARE \"Odd Name\" AS SELECT 3", "EXECUTE \"Odd Name\"", "DEALLOCATE PREPARE \"Odd Name\"",
                         "BEGIN", "PREPARE r AS SELECT 4", "ROLLBACK", "EXECUTE r", "PREPARE w (text) AS INSERT INTO t (v) VALUES ($1)",
                         "EXECUTE w ('x')", "SELECT count(*) FROM t", "BEGIN; CREATE TEMP TABLE made ON COMMIT DROP AS EXECUTE r; COMMIT",
                         "EXPLAIN (COSTS off) EXECUTE r", "PREPARE x AS bogus", "EXECUTE x", "PREPARE y AS SELECT 5; EXECUTE y; DEALLOCATE y"):
                session.ask(text)
        self.alone(script)

    def test_execute_among_other_statements(self):
        def script(session):
            session.run(pg.parse("s", "SELECT $1::int * 5") + SYNC)
            for text in ("PREPARE p AS SELECT 1", "PREPARE q (int) AS SELECT $1 + 1", "SELECT 1; EXECUTE p; EXECUTE q (2); EXECUTE s (3)",
                         "EXECUTE p; SELECT 1/0; EXECUTE q (1)", "EXECUTE p; DEALLOCATE p; EXECUTE p", "EXECUTE q (1)", "EXECUTE p",
                         "PREPARE p AS SELECT 2", "DEALLOCATE p; SELECT 5; DEALLOCATE q; DEALLOCATE s", "EXECUTE q (1)",
                         "PREPARE p AS SELECT 3", "PREPARE p AS SELECT 4; EXECUTE p", "EXECUTE p; PREPARE n AS SELECT 6; EXECUTE n; EXECUTE p",
                         "DEALLOCATE n; EXECUTE n", "BEGIN; EXECUTE p; DEALLOCATE p; ROLLBACK; EXECUTE p", "EXECUTE p",
                         "PREPARE x AS SELECT 9", "PREPARE w AS INSERT INTO t (v) VALUES ('w')", "DEALLOCATE ALL; EXECUTE x", "EXECUTE w",
                         "PREPARE x AS SELECT 9; DEALLOCATE ALL; EXECUTE x", "EXECUTE x",
                         "PREPARE e (int) AS SELECT n FROM many WHERE n < $1", "EXPLAIN (COSTS off, ANALYZE off) EXECUTE e (3)",
                         "EXPLAIN (COSTS off, TIMING off, SUMMARY off) EXECUTE e (3); SELECT 1", "BEGIN",
                         "CREATE TEMP TABLE execute ON COMMIT DROP AS EXECUTE e (4) WITH DATA", "SELECT count(*) FROM execute",
                         "EXPLAIN (COSTS off) CREATE TABLE x AS EXECUTE e (5)", "COMMIT", "EXECUTE /* EXECUTE */ e -- AS EXECUTE x\n (2)",
                         "PREPARE execute AS SELECT 'execute'", "EXECUTE execute", "EXPLAIN EXECUTE nosuch", "CREATE TABLE x AS EXECUTE nosuch"):
                session.ask(text)
        self.alone(script)

    def test_places_of_errors(self):
        self.assertEqual(len(self.asked(
            "PREPARE p (int, text) AS SELECT $1, $2", "EXECUTE p ('x', 1)", "  EXECUTE   p (1, nosuch)", "SELECT 'größe'; EXECUTE p ('ß', 1)",
            "/* größe */ EXECUTE p (1); SELECT nosuch", "EXECUTE p (1, 'a'); EXECUTE p (2, nosuch)", "EXECUTE p (1, 'a'); SELECT nosuch",
            "PREPARE x AS SELECT nosuch", "  PREPARE  \"größe\" (int) AS SELECT $1, nosuch", "EXPLAIN EXECUTE p (1, nosuch)",
            "EXPLAIN EXECUTE p (nosuch, 1); EXECUTE p (nosuch, 1)", "CREATE TEMP TABLE x AS EXECUTE p (1, nosuch)", "DEALLOCATE p; SELECT nosuch",
            "PREPARE \"größe\" (int) AS SELECT 1", "EXECUTE \"größe\" (nosuch)", "EXECUTE \"größe\" (1); SELECT nosuch",
            "EXECUTE \"größe\" (", "RESET work_mem; SELECT nosuch", options={"options": "-c work_mem=3MB"}).errors), 16)

    def test_a_statement_that_can_no_longer_be_prepared(self):
        """It is the client's error, once, whoever has to prepare it for him."""
        first, second = self.session(), self.session()
        self.server.sql("CREATE TABLE soon_gone (a int)", user="app")
        first.ask("PREPARE p AS SELECT * FROM soon_gone")
        first.run(pg.parse("s", "SELECT a FROM soon_gone") + SYNC)
        self.server.sql("DROP TABLE soon_gone", user="app")
        if FRONT == "sheaf":
            self.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'app' AND pid <> pg_backend_pid()")
            wait_until(lambda: not self.server.sessions("datname = 'app'"), what="the connections to end")
        for text in ("EXECUTE p", "EXECUTE s", "SELECT 1; EXECUTE s"):
            self.assertEqual(first.ask(text).errors, ["42P01"])
            self.assertEqual(second.value("SELECT 1"), "1")
        self.assertEqual(first.run(pg.bind("", "s") + SYNC).errors, ["42P01"])
        first.ask("BEGIN")
        self.assertEqual((first.ask("EXECUTE p").errors, first.ask("EXECUTE p").errors), (["42P01"], ["25P02"]))
        self.assertEqual(first.ask("ROLLBACK").state, "I")

    def test_prepare_in_sql_and_the_protocol_share_names(self):
        def script(session):
            session.ask("PREPARE p (int) AS SELECT $1 * 3")
            session.run(pg.bind("", "p", [4]) + pg.describe() + pg.execute() + SYNC)
            session.run(pg.parse("p", "SELECT 1") + SYNC)
            session.run(pg.parse("s", "SELECT $1::int * 5") + SYNC)
            for text in ("EXECUTE s (4)", "PREPARE s AS SELECT 1", "DEALLOCATE s", "EXECUTE s (4)"):
                session.ask(text)
            session.run(pg.bind("", "s", [4]) + SYNC)
            session.run(pg.parse("s", "SELECT 6") + pg.close("S", "p") + SYNC)
            session.ask("EXECUTE p (4)")
            session.ask("DEALLOCATE ALL")
            session.run(pg.bind("", "s") + SYNC)
            session.run(pg.parse("s", "SELECT 7") + pg.bind("", "s") + pg.execute() + SYNC)
        self.same(script)
        self.alone(script)

    def test_prepare_by_the_protocol_shares_names(self):
        """What PREPARE made by the extended protocol, or within code, the server knows by the client's own name."""
        large, end = f"SELECT 1 /* {'x' * 400000} */", pg.bind("", "p") + pg.execute() + pg.bind("", "s") + pg.execute()
        for steps in ((pg.one("PREPARE p AS SELECT 1"), pg.parse("p", "SELECT 2"), pg.close("S", "p") + pg.parse("p", "SELECT 3")),
                      (pg.parse("p", "SELECT 2"), pg.one("PREPARE p AS SELECT 1"), pg.close("S", "p") + pg.one("PREPARE p AS SELECT 4")),
                      (pg.parse("p", "SELECT 2") + pg.one("PREPARE p AS SELECT 1"), pg.one("PREPARE s AS SELECT 1") + pg.parse("s", "SELECT 2")),
                      (pg.parse("s", "SELECT 2"), pg.one("PREPARE p AS SELECT 1"), "PREPARE s AS SELECT 3", "DEALLOCATE s; PREPARE s AS SELECT 4"),
                      ("DO $$ BEGIN EXECUTE 'PREPARE p AS SELECT 5'; END $$", pg.parse("p", "SELECT 2"), "PREPARE p AS SELECT 1", "DEALLOCATE p"),
                      ("BEGIN", pg.parse("s", "SELECT 6"), pg.one("PREPARE p AS SELECT 1"), pg.one("DEALLOCATE ALL"), pg.parse("s", "SELECT 6"), "COMMIT"),
                      (pg.parse("s", "SELECT 7"), pg.parse("p", large), pg.parse("s", "SELECT 8"), pg.close("S", "s") + pg.parse("s", "SELECT 9")),
                      (pg.parse("s", "SELECT 7"), pg.parse("p", large), "DEALLOCATE ALL", pg.parse("p", "SELECT 8"))):
            with self.subTest(steps=[step[:50] for step in steps]):
                self.same(lambda session: [session.run(pg.query(step) if isinstance(step, str) else step + SYNC) for step in (*steps, end)])

    def test_parse_of_what_is_there_already_in_a_transaction_that_may_have_failed(self):
        parse, use, fails = pg.parse("y", "SELECT 1"), pg.bind("", "y") + pg.execute(), pg.one("BEGIN") + pg.one("SELECT 1/0") + SYNC
        for data in (fails + parse + SYNC + use + SYNC + pg.one("ROLLBACK") + parse + SYNC + use + SYNC, fails + pg.one("ROLLBACK") + parse + SYNC + use + SYNC,
                     pg.query("BEGIN; SELECT 1/0") + parse + SYNC + use + SYNC, pg.one("BEGIN") + SYNC + parse + SYNC + use + SYNC):
            self.same(lambda session: [session.run(pg.parse("x", "SELECT 1") + SYNC), session.run(data, data.count(SYNC) + (data[:1] == b"Q"))])

    def test_deallocate_by_the_extended_protocol(self):
        def script(session):
            session.run(pg.parse("s", "SELECT 7") + SYNC)
            session.run(pg.one("DEALLOCATE s") + pg.one("DEALLOCATE ALL") + SYNC)
            session.run(pg.bind("", "s") + SYNC)
            session.run(pg.one("BEGIN") + pg.parse("s", "SELECT 8") + pg.one("DEALLOCATE s") + pg.one("ROLLBACK") + SYNC)
            session.run(pg.bind("", "s") + SYNC)
            session.run(pg.parse("s", "SELECT 9") + pg.bind("", "s") + pg.execute() + SYNC)
            session.run(pg.one("SELECT 1/0") + pg.one("DEALLOCATE ALL") + SYNC)
            session.run(pg.bind("", "s") + pg.execute() + SYNC)
        self.alone(script)

    def test_execute_and_deallocate_by_the_extended_protocol(self):
        def script(session):
            session.ask("PREPARE p (int) AS SELECT $1 * 2; PREPARE w AS INSERT INTO t (v) VALUES ('w')")
            for part in (pg.one("EXECUTE p (3)"), pg.one("EXPLAIN (COSTS off) EXECUTE p (3)"), pg.one("EXECUTE w"),
                         pg.parse("e", "EXECUTE p (4)") + pg.describe("S", "e"), pg.bind("", "e") + pg.execute(),
                         pg.bind("", "e") + pg.describe() + pg.execute() + pg.bind("", "e") + pg.execute(),
                         pg.parse("d", "DEALLOCATE p") + pg.describe("S", "d"), pg.bind("", "d") + pg.execute(),
                         pg.bind("", "d") + pg.execute(), pg.bind("", "e") + pg.execute(), pg.parse("p", "SELECT 'by protocol'::text"),
                         pg.bind("", "p") + pg.execute() + pg.bind("", "d") + pg.execute() + pg.bind("", "p"), pg.bind("", "d") + pg.execute(),
                         pg.one("DEALLOCATE nosuch"), pg.one("EXECUTE nosuch"), pg.parse("a", "DEALLOCATE ALL"), pg.bind("", "a") + pg.execute(),
                         pg.bind("", "a") + pg.execute(), pg.bind("", "e"), pg.parse("d", "DEALLOCATE d") + pg.bind("", "d") + pg.execute(),
                         pg.bind("", "d"), pg.parse("n", "DEALLOCATE other"), pg.bind("", "n") + pg.execute(), pg.one("EXECUTE p (3)"),
                         pg.parse("x", "EXECUTE y"), pg.parse("y", "EXECUTE x"), pg.parse("", "EXECUTE w") + SYNC + pg.bind()):
                session.run(part + SYNC)
        self.alone(script)

    def test_names_of_the_front_are_of_no_use_to_clients(self):
        """Servers know statements by names of Sheaf's: who says such a name means a statement of his own, or none."""
        def script(session):
            for name in ("_sheaf_", "_sheaf_0001000000000001", "_sheaf_prepare"):
                quoted = f'"{name}"'
                session.ask(f"PREPARE p AS SELECT 7; EXECUTE {quoted}; SELECT 1")
                for text in (f"EXECUTE {quoted}", f"DEALLOCATE {quoted}", f"DEALLOCATE PREPARE {name}", f"SELECT 1; EXECUTE {name}",
                             f"EXPLAIN EXECUTE {name}", "DEALLOCATE p"):
                    session.ask(text)
                for part in (pg.bind("", name), pg.describe("S", name), pg.one(f"EXECUTE {name}"), pg.one(f"DEALLOCATE {name}"),
                             pg.parse(name, "SELECT 'mine'") + pg.bind("", name) + pg.execute(), pg.parse(name, "SELECT 1"),
                             pg.query(f"EXECUTE {quoted}"), pg.close("S", name), pg.bind("", name)):
                    session.run(part + (SYNC if part[:1] != b"Q" else b""))
        self.alone(script)

    @unittest.skipIf(FRONT == "direct", "the connection is its own")
    def test_names_that_code_takes_or_forgets(self):
        """Behind code that prepares by one of those names, or forgets them all, the connection serves nobody else."""
        first, second = self.session(), self.session()
        second.run(pg.parse("s", "SELECT 'mine'") + SYNC)
        second.ask("PREPARE p AS SELECT 'mine'")
        names = [row[0] for row in second.ask("SELECT name FROM pg_prepared_statements WHERE name LIKE '\\_sheaf%'").rows]
        self.assertNotEqual(names, [])
        names = [name for name in names if name != "_sheaf_prepare"]
        after = f"{int(max(names)[7:], 16) + 1:016x}"
        for code in ("DEALLOCATE ALL", f'DEALLOCATE "{names[0]}"', f'PREPARE "_sheaf_{after}" AS SELECT 1', "DISCARD PLANS",
                     f'DEALLOCATE ALL; PREPARE "{names[0]}" AS SELECT 1'):
            for n, text in enumerate(code.split("; ")):
                first.ask(f"DO $$ BEGIN EXECUTE '{text}'; END $$")
            for _ in range(2):
                self.assertEqual(second.value("EXECUTE p"), "mine")
                self.assertEqual(second.run(pg.bind("", "s") + pg.execute() + SYNC).value, "mine")
                new = second.run(pg.parse("n", f"SELECT '{code[:20]}'") + pg.bind("", "n") + pg.execute() + pg.close("S", "n") + SYNC)
                self.assertEqual(new.value, code[:20])

    def test_prepared_statements_in_sql_are_each_ones_own(self):
        first, second = self.session(), self.session()
        first.ask("PREPARE p AS SELECT 'first'")
        self.assertEqual(second.ask("EXECUTE p").errors, ["26000"])
        second.ask("PREPARE p AS SELECT 'second'")
        self.assertEqual((first.value("EXECUTE p"), second.value("EXECUTE p")), ("first", "second"))
        second.ask("DEALLOCATE ALL")
        self.assertEqual((first.value("EXECUTE p"), second.ask("EXECUTE p").errors), ("first", ["26000"]))

    def test_a_statement_whose_table_changes(self):
        first, second = self.session(), self.session()
        first.ask("DROP TABLE IF EXISTS changing; CREATE TABLE changing AS SELECT 1 AS a")
        first.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        use = pg.bind("", "s") + pg.describe() + pg.execute() + SYNC
        self.assertEqual(first.run(use).rows, [["1"]])
        second.ask("ALTER TABLE changing ADD b int DEFAULT 2")
        self.assertEqual(first.run(use).errors, ["0A000"])
        first.run(pg.close("S", "s") + pg.parse("s", "SELECT * FROM changing") + SYNC)
        self.assertEqual(first.run(use).rows, [["1", "2"]])
        self.assertEqual(second.run(pg.one("SELECT * FROM changing") + SYNC).rows, [["1", "2"]])
        second.ask("DROP TABLE changing; CREATE TABLE changing AS SELECT 'text' AS c")
        self.assertEqual(second.run(pg.one("SELECT * FROM changing") + SYNC).rows, [["text"]])


class ChangedResults(PgTwin):
    """A table gets other columns: who prepared a statement before is told so on whichever connection, also on one that
    prepares it only then."""
    options = {"pooling": "transaction", "pool_size": 2}
    use = pg.bind("", "s") + pg.describe() + pg.execute() + SYNC

    @staticmethod
    def without_tables(answer):
        """Each one's table has a number of its own: names and the rest of the columns."""
        def columns(body):
            rest = body[2:]
            while rest:
                name, rest = rest.split(b"\0", 1)
                yield name, rest[4:18]
                rest = rest[18:]
        return [("T", *columns(m.body)) if m.tag == "T" else m for m in answer]

    @staticmethod
    def make(session):
        session.ask("DROP TABLE IF EXISTS changing; CREATE TABLE changing AS SELECT 1 AS a")

    def moved(self, prepare, *uses, ddl="ALTER TABLE changing ADD b int DEFAULT 2", past=False, kept=True):
        """What `uses` answer after DDL, by the front, the other connection having the lease of who does it; the same as
        by the server alone."""
        def answers(session, other):
            self.make(session)
            session.run(prepare)
            if kept:
                other.ask("BEGIN")
            for text in ddl.split(";"):
                if past:
                    self.server.sql(text, user="app")
                else:
                    other.ask(text + ";" if kept else text)
            if kept:
                other.ask("COMMIT; BEGIN")  # the connection on which it was prepared stays with it
            told = [message for part in uses for message in session.run(part)]
            other.ask("ROLLBACK")
            return told
        with pg.PgSession(("127.0.0.1", self.server.port)) as one, pg.PgSession(("127.0.0.1", self.server.port)) as two:
            direct = answers(one, two)
        through = answers(self.session(), self.session())
        self.assertEqual(comparable(self.without_tables(through)), comparable(self.without_tables(direct)))
        return pg.Answer(direct)

    def test_by_the_protocol(self):
        prepare = pg.parse("s", "SELECT * FROM changing") + SYNC
        for kept in (False, True):
            answer = self.moved(prepare, self.use, self.use, pg.describe("S", "s") + SYNC, pg.one("SELECT 1") + self.use, kept=kept)
            self.assertEqual(answer.errors, ["0A000"] * 4)
            answer = self.moved(prepare, pg.query("BEGIN"), self.use, pg.query("ROLLBACK"), pg.close("S", "s") + prepare,
                                self.use, kept=kept)
            self.assertEqual((answer.errors, answer.rows), (["0A000"], [["1", "2"]]))

    def test_by_sql(self):
        for kept in (False, True):
            for prepare in (pg.query("PREPARE s AS SELECT * FROM changing"), pg.parse("s", "SELECT * FROM changing") + SYNC):
                answer = self.moved(prepare, *(pg.query(text) for text in ("EXECUTE s", "EXECUTE s", "DEALLOCATE s", "EXECUTE s",
                                    "PREPARE s AS SELECT * FROM changing", "EXECUTE s")), kept=kept)
                self.assertEqual((answer.errors, answer.rows), (["0A000", "0A000", "26000"], [["1", "2"]]))

    def test_what_stays_the_same_is_used(self):
        for ddl in ("ALTER TABLE changing ADD b int; ALTER TABLE changing DROP b", "CREATE INDEX ON changing (a)",
                    "DROP TABLE changing; CREATE TABLE changing AS SELECT 7 AS a"):
            self.assertEqual(self.moved(pg.parse("s", "SELECT * FROM changing") + SYNC, self.use, self.use, ddl=ddl).errors, [])

    def test_other_changes(self):
        for ddl in ("ALTER TABLE changing ALTER a TYPE text", "ALTER TABLE changing RENAME a TO c",
                    "ALTER TABLE changing ALTER a TYPE numeric(9, 2)", "DROP TABLE changing"):
            self.moved(pg.parse("s", "SELECT * FROM changing") + SYNC, self.use, self.use, ddl=ddl)
        self.moved(pg.parse("s", "SELECT 7 FROM changing WHERE a = $1") + SYNC, pg.bind("", "s", ["1"]) + pg.execute() + SYNC,
                   ddl="ALTER TABLE changing ALTER a TYPE text")

    def test_past_the_front(self):
        prepare = pg.parse("s", "SELECT * FROM changing") + SYNC
        answer = self.moved(prepare, self.use, self.use, pg.close("S", "s") + prepare, self.use, past=True, kept=False)
        self.assertEqual((answer.errors, answer.rows), (["0A000", "0A000"], [["1", "2"]]))

    def test_who_prepares_it_later_knows_the_new_one(self):
        old, new = self.session(), self.session()
        self.make(old)
        old.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        self.assertEqual(old.run(self.use).rows, [["1"]])
        new.ask("ALTER TABLE changing ADD b int DEFAULT 2")
        for _ in range(2):
            new.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
            self.assertEqual(new.run(self.use).rows, [["1", "2"]])
            self.assertEqual(old.run(self.use).errors, ["0A000"])
            new.run(pg.close("S", "s") + SYNC)

    def test_a_temporary_table_in_front_of_another(self):
        """What is prepared by who has it, or had it, is nothing to others."""
        mine, other = self.session(), self.session()
        self.make(mine)
        other.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        mine.run(pg.parse("s", "SELECT * FROM changing") + SYNC)
        mine.ask("CREATE TEMP TABLE changing (x text)")
        self.assertEqual(mine.run(self.use).errors, ["0A000"])
        mine.run(pg.close("S", "s") + pg.parse("s", "SELECT * FROM changing") + SYNC)
        self.assertEqual((mine.run(self.use).errors, other.run(self.use).rows), ([], [["1"]]))
        mine.ask("DROP TABLE pg_temp.changing")
        self.assertEqual(mine.run(self.use).errors, ["0A000"])
        for _ in range(3):
            self.assertEqual(other.run(self.use).rows, [["1"]])
            self.assertEqual(other.run(pg.parse("t", "SELECT * FROM changing") + pg.bind("", "t") + pg.execute() + pg.close("S", "t")
                                       + SYNC).rows, [["1"]])

    def test_ddl_and_statements_in_one_transaction(self):
        def script(session):
            session.ask("BEGIN; CREATE TABLE own (a int)")
            for n in range(3):
                session.run(pg.parse("s", "SELECT * FROM own") + self.use)
                session.ask(f"ALTER TABLE own ADD b{n} int")
                session.run(pg.close("S", "s") + pg.parse("s", "SELECT * FROM own") + self.use)
                session.run(pg.close("S", "s") + SYNC)
            session.ask("ROLLBACK")
        direct = self.told(("127.0.0.1", self.server.port), script)
        self.assertEqual(self.without_tables(self.told(self.front.target(), script)), self.without_tables(direct))
        self.assertEqual(direct.errors, [])


class Crowd(Pooled):
    options = {"pooling": "transaction", "pool_size": 2}

    def test_many_live_their_own_lives_over_two_connections(self):
        problems = []
        self.server.sql("DROP TABLE IF EXISTS counters; CREATE TABLE counters (id int PRIMARY KEY, n int);"
                        "INSERT INTO counters SELECT g, 0 FROM generate_series(0, 39) g", user="app")

        def must(got, wanted, what):
            if got != wanted:
                problems.append((what, got, wanted))

        def live(number):
            own = f"life {number}"
            with pg.PgSession(self.front.target(), options={"application_name": own, "TimeZone": f"UTC+{number % 10}"}) as session:
                session.ask(f"SET my.own = '{own}'")
                session.run(pg.parse("s", f"SELECT '{own}', $1::int, current_setting('my.own')") + SYNC)
                for n in range(15):
                    must(session.run(pg.bind("", "s", [n]) + pg.execute() + SYNC).rows, [[own, str(n), own]], "statement")
                    must(session.value("SHOW application_name"), own, "application_name")
                    must(session.ask("BEGIN").state, "T", "begin")
                    before = int(session.value(f"SELECT n FROM counters WHERE id = {number} FOR UPDATE"))
                    session.ask(f"UPDATE counters SET n = {before + 1} WHERE id = {number}")
                    must(session.ask("COMMIT" if n % 3 else "ROLLBACK").state, "I", "end")
                    must(session.value("SHOW TimeZone"), f"UTC+{number % 10}", "TimeZone")
        threads = [threading.Thread(target=live, args=(number,)) for number in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(problems[:5], [])
        self.assertEqual(self.server.sql("SELECT DISTINCT n FROM counters"), [(10,)])
        if FRONT == "sheaf":
            wait_until(lambda: len(self.server.sessions("datname = 'app'")) <= 2, what="two connections to be all")


if __name__ == "__main__":
    main()
