#!/usr/bin/python3
# release only: the sanitizers see the same code in test_sql_wire, and all of these in long runs
"""Pooled transactions: over one server connection nothing of a client reaches another, and nothing it set is lost.

Where it can be, what a client is told is compared with what it is told by the server itself, alone."""
import threading
import time

from lib import *
from lib import pgwire as pg
from lib.pgtwin import Pooled
from lib.sql_front import FRONT

SYNC = pg.sync()
SETTINGS = {
    "work_mem": "5MB", "DateStyle": "SQL, DMY", "TimeZone": "Asia/Tokyo", "search_path": "pg_catalog", "statement_timeout": "77s",
    "my.own": "mine", "default_transaction_isolation": "repeatable read", "default_transaction_read_only": "on",
    "client_encoding": "LATIN1", "application_name": "the first", "extra_float_digits": "3", "bytea_output": "escape",
    "standard_conforming_strings": "off", "row_security": "off", "IntervalStyle": "iso_8601", "lock_timeout": "66s",
    "enable_seqscan": "off", "idle_in_transaction_session_timeout": "99s", "default_transaction_deferrable": "on",
}


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

    def test_what_ends_no_transaction(self):
        """PREPARE TRANSACTION has the tag of ROLLBACK then, and commits what the pipeline did before it, but for a transaction that had failed."""
        sets, prepares = "SET work_mem = '7MB'", "PREPARE TRANSACTION 'x'"
        for pipelines in (((sets, prepares),), ((sets, prepares, "SET work_mem = '8MB'", "bogus"),), ((sets, "COMMIT"),), ((sets, "COMMIT", "bogus"),), ((sets, "ROLLBACK"),),
                          ((sets, "ROLLBACK", "SET work_mem = '8MB'", "bogus"),), ((sets, "COMMIT PREPARED 'x'"),), ((sets, "SAVEPOINT a"),),
                          (("BEGIN", sets), ("bogus",), (prepares,)), (("BEGIN", sets, "bogus"), (prepares,)), (("BEGIN", sets), (prepares,)),
                          (("BEGIN", "bogus"), ("ROLLBACK", sets, prepares)), (("BEGIN", sets), ("bogus",), ("ROLLBACK", "SET work_mem = '8MB'", prepares)),
                          (("BEGIN", "SAVEPOINT a", sets), ("bogus",), ("ROLLBACK TO a", "SET work_mem = '8MB'", "COMMIT", prepares)),
                          (("BEGIN", sets, "COMMIT", "SET work_mem = '8MB'", prepares, "SET work_mem = '9MB'", "bogus"),)):
            def extended(session, pipelines=pipelines):
                for texts in (*pipelines, ("SHOW work_mem",), ("ROLLBACK",), ("SHOW work_mem",)):
                    session.run(b"".join(map(pg.one, texts)) + SYNC)
            def before_a_query(session, pipelines=pipelines):
                for texts in (*pipelines, ("ROLLBACK",), ("SHOW work_mem",)):
                    session.run(b"".join(map(pg.one, texts[:-1])) + pg.query(texts[-1]))
            with self.subTest(pipelines=pipelines):
                self.alone(extended)
                self.alone(before_a_query)
                self.asked(*("; ".join(texts) for texts in pipelines), "ROLLBACK", "SHOW work_mem")

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

    def test_what_code_sets_to_nothing_right_behind_other_code(self):
        """It is not taken for a RESET."""
        def script(session):
            for text in ("DO $$ BEGIN PERFORM 1/0; END $$", "DO $$ BEGIN PERFORM set_config('my.own', '', false); END $$", "SELECT current_setting('my.own')"):
                session.ask(text)
        self.same(script, options={"options": "-c my.own=first"})

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

    def test_a_snapshot_is_there_behind_what_is_prepared_already(self):
        late = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"
        self.asked("PREPARE a AS SELECT 1", f"PREPARE b AS SELECT 1; {late}; SELECT 2", f"SELECT 3; DEALLOCATE a; PREPARE b AS SELECT 1; {late}", "BEGIN", "PREPARE b AS SELECT 1; SELECT 4 LIMIT 0; DEALLOCATE b",
                   late, "ROLLBACK", "EXECUTE a", "EXECUTE b", f"BEGIN; DEALLOCATE a; {late}", "ROLLBACK", "BEGIN; DEALLOCATE ALL; SELECT 5", late, "ROLLBACK", "PREPARE a AS SELECT 1; SELECT 6; DEALLOCATE a")

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


class LongValues(Pooled):
    def test_values_that_are_too_long_to_be_kept(self):
        """The session keeps its server, where they are; by whatever they are set."""
        for letter in ("z", "\u00e4", "\U0001f600"):
            for length in (3000, 16000, 17000, 70000, 200000):
                value = letter * length
                with self.subTest(letter=letter, length=length):
                    self.same(lambda session, value=value: (session.run(pg.one(f"SET my.own = '{value}'") + SYNC), session.ask("SHOW my.own"),
                                                            session.ask(f"SELECT length(set_config('application_name', '{value}', false))"),
                                                            session.ask("DO $$ BEGIN PERFORM set_config('my.own', repeat('x', 300000), false); END $$"),
                                                            session.ask("SELECT length(current_setting('my.own'))"), session.ask("RESET my.own"),
                                                            session.ask("SHOW my.own")))


class Slowly(Pooled):
    """The server is far away."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.wire = Faults(cls, ("127.0.0.1", cls.server.port))
        cls.front = Sheaf(cls, sql_pool(f"postgresql://{cls.wire.address}", server_tls="off", probe="no", **cls.options))

    def test_who_ends_his_half_of_the_connection_while_his_server_is_set(self):
        """To what must be there before he is heard: his role, what is called by its number, and values of his own sequences."""
        asks = (("SET ROLE other", pg.query("INSERT INTO t (v) VALUES (current_user)")), ("SET work_mem = '2MB'", pg.function_call(1397, ["-5"], [0], 0)),
                ("SELECT nextval('t_id_seq')", pg.query("SELECT currval('t_id_seq')")))
        for before, ask in asks:
            with self.subTest(ask=ask[:40]), self.session() as session, self.session() as other:
                session.ask(before)
                other.ask("SET work_mem = '3MB'; SELECT nextval('t_id_seq')")
                self.wire.delay = 0.2
                session.send(ask)
                session.socket.shutdown(1)
                self.assertEqual(session.rest().tags[-1:], "Z")
                self.wire.delay = 0

    def test_who_ends_his_half_of_the_connection_while_his_server_is_asked_what_is_set(self):
        for first in ("DO $$ BEGIN PERFORM set_config('work_mem', '3MB', false); END $$", "SELECT set_config(upper('role'), 'other', false)"):
            with self.subTest(first=first), self.session() as session:
                self.wire.delay = 0.2
                session.send(pg.query(first) + pg.query("DO LANGUAGE nosuch $$x$$; SELECT set_config(upper('role'), 'none', false)"))
                session.until("Z")
                session.socket.shutdown(1)
                self.assertEqual(session.rest().errors, ["42704"])
                self.wire.delay = 0

    def test_who_ends_his_half_of_the_connection_as_what_he_waits_for_comes(self):
        """Sheaf finds both in one turn."""
        for data, tags in ((pg.one("SELECT set_config('work_mem', '3MB', false)") + pg.one("SELECT 1") + SYNC, "12TDC12TDCZ"),
                           (pg.one("DISCARD ALL") + pg.one("SELECT 1") + SYNC, "12nC12TDCZ")):
            with self.subTest(data=data[:40]), self.session() as session:
                held = self.wire.held
                self.wire.hold_after = 0
                session.send(data)
                wait_until(lambda held=held: self.wire.held > held, what="an answer to be on its way")
                self.front.process.stop()
                self.wire.hold_after = None
                time.sleep(0.05 * SLOW)
                session.socket.shutdown(1)
                time.sleep(0.05 * SLOW)
                self.front.process.cont()
                self.assertEqual(session.rest().tags, tags)


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
