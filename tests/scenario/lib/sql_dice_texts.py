"""What SqlDice says in SQL, and what a database needs for it.

Left out is what limits.md tells, and what differs from one connection to another by its nature.  A script has a theme: some
kinds of statements come often in it, some never, and of the names and settings it uses a few, so that what it does meets."""
import random

# What differs by the server is asked for nowhere: the scripts are to be told the same.
SCHEMA = """
CREATE TABLE t (id serial PRIMARY KEY, v text); GRANT ALL ON t, t_id_seq TO other;
CREATE SCHEMA one; CREATE SCHEMA two; CREATE TABLE one.who (name text); CREATE TABLE two.who (name text);
GRANT ALL ON SCHEMA one, two TO other; GRANT ALL ON one.who, two.who TO other;
CREATE TYPE mood AS ENUM ('fair', 'foul');
CREATE TABLE late (id int UNIQUE DEFERRABLE INITIALLY DEFERRED, own text); GRANT ALL ON late TO other;
CREATE FUNCTION sets(text, text, bool) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN RETURN set_config($1, $2, $3); END $$;
CREATE FUNCTION past() RETURNS void LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('my.own', 'past', false); END $$;
CREATE FUNCTION opens(refcursor) RETURNS refcursor LANGUAGE plpgsql AS
  $$ BEGIN OPEN $1 FOR SELECT n FROM generate_series(1, 4) n; RETURN $1; END $$;
CREATE FUNCTION adds(text) RETURNS int LANGUAGE plpgsql AS
  $$ DECLARE made int; BEGIN INSERT INTO t (v) VALUES ($1) RETURNING id INTO made; RETURN made; END $$;
CREATE FUNCTION adds_plainly(text) RETURNS int LANGUAGE sql AS 'INSERT INTO t (v) VALUES ($1) RETURNING id';
CREATE FUNCTION tries(text) RETURNS text LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('my.own', $1, false); PERFORM 1 / 0; RETURN 'done';
  EXCEPTION WHEN division_by_zero THEN RETURN current_setting('my.own', true); END $$;
CREATE FUNCTION within() RETURNS text LANGUAGE plpgsql SET work_mem = '5MB' SET search_path = two AS
  $$ BEGIN PERFORM set_config('my.own', 'within', false); PERFORM set_config('work_mem', '6MB', false);
  RETURN (SELECT name FROM who LIMIT 1); END $$;
CREATE FUNCTION within_locally() RETURNS text LANGUAGE plpgsql SET application_name = 'inside' AS
  $$ BEGIN SET LOCAL application_name = 'locally'; RETURN current_setting('application_name'); END $$;
CREATE FUNCTION tells(text, int) RETURNS int LANGUAGE plpgsql AS
  $$ BEGIN IF $2 = 1 THEN RAISE WARNING '%', $1; ELSIF $2 = 2 THEN RAISE EXCEPTION '%', $1 USING HINT = 'none';
  ELSE RAISE NOTICE '%', $1; RAISE INFO '%', $1; RAISE DEBUG '%', $1; END IF; RETURN $2; END $$;
CREATE PROCEDURE does(text) LANGUAGE plpgsql AS
  $$ BEGIN INSERT INTO t (v) VALUES ($1); PERFORM set_config('my.own', coalesce($1, ''), false); COMMIT;
  INSERT INTO t (v) VALUES ('undone'); PERFORM set_config('work_mem', '7MB', false); ROLLBACK;
  PERFORM set_config('application_name', coalesce($1, ''), false); END $$;
CREATE PROCEDURE does_and_fails(text) LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('my.own', coalesce($1, ''), false); COMMIT; PERFORM set_config('work_mem', '8MB', false); PERFORM 1 / 0; END $$;
CREATE FUNCTION lately() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN PERFORM set_config('my.own', 'lately ' || coalesce(new.id, 0), false); IF new.id < 0 THEN RAISE EXCEPTION 'too late'; END IF;
  RETURN NULL; END $$;
CREATE CONSTRAINT TRIGGER lately AFTER INSERT ON late DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION lately();
CREATE FUNCTION sets_own() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN IF new.own IS NOT NULL THEN PERFORM set_config('work_mem', new.own, false); END IF; RETURN new; END $$;
CREATE TRIGGER sets_own BEFORE INSERT ON late FOR EACH ROW EXECUTE FUNCTION sets_own();
CREATE VIEW settings_seen AS SELECT current_setting('work_mem') AS work_mem, current_setting('my.own', true) AS own;
"""
OF_OTHER = """
CREATE FUNCTION as_other() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS
  $$ BEGIN PERFORM set_config('my.own', current_user, false); RETURN current_user; END $$;
ALTER FUNCTION as_other() OWNER TO other;
"""

LONG = "ZZZ"  # in a text: it is to be long

SETTINGS = {
    "work_mem": ["2MB", "64kB", "nonsense"], "application_name": ["me", "it''s", ""], "DateStyle": ["German", "SQL, DMY", "ISO"],
    "TimeZone": ["Asia/Tokyo", "UTC", "nowhere"], "search_path": ["one, public", "two, public", "public"],
    "my.own": ["1", "2", ""], "extra_float_digits": ["0", "3"], "bytea_output": ["escape", "hex"],
    "client_encoding": ["LATIN1", "UTF8", "SJIS"], "standard_conforming_strings": ["off", "on"],
    "client_min_messages": ["error", "notice", "warning", "debug1"], "default_transaction_read_only": ["on", "off"],
    "default_transaction_isolation": ["serializable", "repeatable read", "read committed"],
    "default_transaction_deferrable": ["on", "off"], "IntervalStyle": ["iso_8601", "postgres_verbose"], "row_security": ["off", "on"],
    "statement_timeout": ["1h", "0"], "lock_timeout": ["1h", "0"], "plan_cache_mode": ["force_generic_plan", "auto"], "nosuch": ["1"],
    "your.own": ["x", "y"], "log_statement": ["all"], "session_replication_role": ["replica"], "enable_seqscan": ["off", "on"],
    "backslash_quote": ["on", "off"], "xmloption": ["document", "content"], "array_nulls": ["off"],
    "lc_monetary": ["C", "nonsense"], "server_version": ["9"], "transaction_read_only": ["on", "off"],
    "transaction_isolation": ["serializable"], "role": ["other", "none", "nobody"], "session_authorization": ["app", "nobody"],
    "check_function_bodies": ["off"], "transform_null_equals": ["on"], "default_text_search_config": ["english"],
}
_BEGUN_WITH = ("my.own", "your.own")  # what a client began with is put back behind set_config(), which tells the server's own
SHOWN = ", ".join(f"coalesce(current_setting('{name}', true), '-')" for name in SETTINGS)
STATEMENTS, PORTALS, CURSORS = ["", "a", "b", "c"], ["", "p", "c"], ["c", "d", "p"]


class SqlDiceTexts(random.Random):
    """`at_replicas`: what begins READ ONLY may be at a replica, which can't do all; limits.md tells which."""
    at_replicas = False
    KINDS = {"_read": 20, "_write": 14, "_failing": 10, "_transaction": 20, "_setting": 16, "_setting_oddly": 5, "_role": 3, "_discard": 3,
             "_kept": 14, "_cursor": 8, "_prepare": 7, "_code": 6, "_called": 6, "_made": 3, "_large": 1, "_copied": 2, "_empty": 2, "_hidden": 1}

    def some(self, weighted):
        """One of (weight, what to call, or a value)."""
        [(_, made)] = self.choices(weighted, [weight for weight, _ in weighted])
        return made() if callable(made) else made

    def begin(self):
        """A script begins, with its theme."""
        themed = self.random() < 0.6
        self.kinds = [(weight * (self.choice((0, 0, 0.3, 1, 3)) if themed else 1), getattr(self, name)) for name, weight in self.KINDS.items()]
        if not any(weight for weight, _ in self.kinds):
            self.kinds[0] = (1, self._read)
        self.settings = self.sample(list(SETTINGS), self.choice((1, 2, 4))) if themed else list(SETTINGS)
        self.cursors = self.sample(CURSORS, self.choice((1, 3)))
        self.statements = ["", *self.sample(STATEMENTS[1:], self.choice((1, 3)))]

    def statement(self):
        return self.some(self.kinds)

    def _read(self):
        rows = self.choice((1, 3, 30, 300))
        return self.choice((
            "SELECT 1", "SELECT 1", "SELECT v FROM t ORDER BY id", "SELECT count(*) FROM t", f"SELECT n FROM generate_series(1, {rows}) n",
            "SELECT name FROM who", "TABLE t ORDER BY id LIMIT 2", "SELECT", "VALUES (1, 'x'), (2, NULL)", "SELECT v FROM t WHERE id = 2 FOR UPDATE",
            "SELECT '2001-02-03 04:05+0'::timestamptz, 0.1::float8, '\\x00ff'::bytea", "SELECT $1::int + 1", "SELECT 'gr\u00f6\u00dfe'",
            "WITH w AS (INSERT INTO t (v) VALUES ('w') RETURNING id) SELECT count(*) FROM w", "SELECT nosuch_column.x", "EXPLAIN (COSTS off) SELECT 1",
            "SELECT * FROM settings_seen", "SELECT * FROM late ORDER BY id", "SELECT pg_current_xact_id_if_assigned() IS NULL",
            "SELECT $1::mood", "SELECT 'fair'::mood, $1::text", "SELECT interval '1 day 2 hours', 5::money", "SELECT pg_is_in_recovery()",
            "SELECT $2::int, $1::text", "SELECT v FROM t WHERE id = $1", "SELECT * FROM made", "SELECT * FROM t ORDER BY id",
            "EXPLAIN (COSTS off) SELECT * FROM t WHERE id = 1", "SELECT array[1, NULL]::text, NULL = NULL", "SELECT count(*) FROM pg_cursors",
            "SELECT v FROM t ORDER BY id FOR SHARE", "SELECT name FROM one.who UNION ALL SELECT name FROM two.who"))

    def _write(self):
        return self.choice((
            "INSERT INTO t (v) VALUES ('d')", "INSERT INTO t (v) VALUES ('e') RETURNING id, v", "UPDATE t SET v = v || 'x' WHERE id = 2 RETURNING *",
            "DELETE FROM t WHERE id = 3", "INSERT INTO t (v) SELECT 'g' FROM generate_series(1, 3)", "UPDATE t SET v = $1 WHERE id = 1",
            "SELECT * INTO TEMP made FROM t", "INSERT INTO who VALUES ('three')", "SELECT nextval('t_id_seq')", "TRUNCATE who",
            "INSERT INTO late VALUES (1)", "INSERT INTO late VALUES (1), (1)", "INSERT INTO late VALUES (-1)", "INSERT INTO late VALUES (2, '3MB')",
            "INSERT INTO late VALUES ($1)", "DELETE FROM late", "INSERT INTO t (v) VALUES ('h') ON CONFLICT DO NOTHING",
            "MERGE INTO t USING (SELECT 1 AS id) s ON t.id = s.id WHEN MATCHED THEN UPDATE SET v = 'merged'",
            "UPDATE t SET v = 'current' WHERE CURRENT OF c", "INSERT INTO t (v) VALUES ($1) RETURNING v", "SELECT setval('t_id_seq', 50)",
            "INSERT INTO t (v) VALUES (set_config('my.own', 'inserted', false)) RETURNING v", "DELETE FROM t RETURNING id"))

    def _failing(self):
        return self.choice((
            "bogus", "SELECT nosuch FROM t", "SELECT 1/0", "INSERT INTO t VALUES (1, 'x')", "SELECT 'x'::int", "SELECT 1/(n-3) FROM generate_series(1, 5) n",
            "SELECT * FROM nosuch", "SELECT $1", "SELECT 'unended", "EXECUTE nosuch", "COPY nosuch FROM STDIN", "SELECT pg_notify('', 'x')",
            "SELECT tells('failed', 2)", "FETCH 1 FROM nosuch", "CLOSE nosuch", "DEALLOCATE nosuch", "SELECT 1; SELECT 2; bogus", "SELECT 1/$1::int",
            "ROLLBACK TO nosuch", "RELEASE nosuch", "SET work_mem = 'x'", "INSERT INTO late VALUES (5), (5); SET CONSTRAINTS ALL IMMEDIATE",
            "SELECT set_config('my.own', 'failed', false), 1/0", "SELECT 1/0 FROM set_config('my.own', 'failed', false)", "VACUUM nosuch", "DO $$ x $$"))

    def _transaction(self):
        text = self.choice((
            "BEGIN", "BEGIN", "BEGIN", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "END", "ABORT", "START TRANSACTION READ ONLY",
            "BEGIN ISOLATION LEVEL SERIALIZABLE", "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "BEGIN READ ONLY", "COMMIT AND CHAIN",
            "ROLLBACK AND CHAIN", "SAVEPOINT s", "SAVEPOINT s", "RELEASE s", "ROLLBACK TO s", "ROLLBACK TO SAVEPOINT r", "SAVEPOINT r",
            "PREPARE TRANSACTION 'x'", "COMMIT PREPARED 'x'", "ROLLBACK PREPARED 'x'", "SET TRANSACTION READ ONLY",
            "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET CONSTRAINTS ALL DEFERRED", "LOCK TABLE t IN SHARE MODE",
            "SET CONSTRAINTS ALL IMMEDIATE", "BEGIN READ WRITE", "START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE, DEFERRABLE",
            "SHOW transaction_isolation", "SHOW transaction_read_only", "COMMIT WORK", "BEGIN; SELECT 1; COMMIT", "ROLLBACK WORK AND NO CHAIN",
            "SET TRANSACTION SNAPSHOT 'nosuch'", "SET TRANSACTION READ WRITE", "COMMIT; BEGIN", "BEGIN; SAVEPOINT s", "LOCK TABLE t IN ACCESS SHARE MODE NOWAIT"))
        return "BEGIN" if self.at_replicas and text.endswith("READ ONLY") else text

    def _setting(self):
        name = self.choice(self.settings)
        value = self.choice(SETTINGS[name])
        quoted = ", ".join(f"'{each}'" for each in value.split(", ")) if name in ("search_path", "DateStyle") else f"'{value}'"
        return self.choice((
            f"SET {name} = {quoted}", f"SET {name} = {quoted}", f"SET LOCAL {name} = {quoted}", f"RESET {name}", f"SHOW {name}",
            f"SELECT set_config('{name}', '{value}', {self.choice(('true', 'false'))})", f"SELECT current_setting('{name}', true)",
            f"SET {name} TO DEFAULT", f"SELECT sets('{name}', '{value}', {self.choice(('true', 'false'))})", "RESET ALL",
            f"SET SESSION {name} = {quoted}", f"DO $$ BEGIN PERFORM set_config('{name}', '{value}', false); END $$", f"SET LOCAL {name} TO DEFAULT",
            f"DO $$ BEGIN PERFORM set_config('{name}', '{value}', true); END $$", f"SELECT set_config('{name if name not in _BEGUN_WITH else 'work_mem'}', NULL, false)",
            f"SET {name.upper()} TO {quoted}", f"SELECT set_config(upper('{name}'), '{value}', false)"))

    def _setting_oddly(self):
        name = self.choice(self.settings)
        value = self.choice(SETTINGS[name])
        text = self.choice((
            "SET TIME ZONE 'Asia/Tokyo'", "SET TIME ZONE LOCAL", "SET TIME ZONE DEFAULT", "SET TIME ZONE INTERVAL '-03:00' HOUR TO MINUTE", "SET TIME ZONE -5",
            "SET LOCAL TIME ZONE 'UTC'", "SET NAMES 'LATIN1'", "SET NAMES", "SET NAMES DEFAULT", "SET SCHEMA 'two'", "SET LOCAL SCHEMA 'one'",
            "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE",
            "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE", "SET XML OPTION DOCUMENT", "SET search_path TO two, public",
            "SET work_mem TO 3000", "SET DateStyle TO sql, dmy", 'SET "datestyle" = ISO', "SET search_path = '', public", "SET search_path = \"$user\", public",
            f"UPDATE pg_settings SET setting = '{value}' WHERE name = '{name}'", f"WITH w AS (SELECT set_config('{name}', '{value}', false)) SELECT * FROM w",
            f"SELECT set_config(name, '3MB', false) FROM (VALUES ('work_mem'), ('{name}')) each (name)", f"VALUES (set_config('{name}', '{value}', true), 2)",
            f"EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off, BUFFERS off) SELECT set_config('{name}', '{value}', false)",
            f"EXPLAIN (COSTS off) SELECT set_config('{name}', '{value}', false)", f"CREATE TEMP TABLE made AS SELECT set_config('{name}', '{value}', false)",
            f"COPY (SELECT set_config('{name}', '{value}', false)) TO STDOUT", f"DECLARE c CURSOR WITH HOLD FOR SELECT set_config('{name}', '{value}', false)",
            f"DECLARE c CURSOR FOR SELECT set_config('{name}', '{value}', false)", f"SELECT set_config('{name}', $1, false)", f"SET {name} FROM CURRENT",
            f"DO $$ BEGIN EXECUTE 'SET LOCAL {name} TO ''{value}'''; END $$",
            f"PREPARE a AS SELECT set_config('{name}', '{value}', false)", f"PREPARE b (text) AS SELECT set_config('{name}', $1, false)",
            f"SELECT CASE WHEN count(*) > 0 THEN set_config('{name}', '{value}', false) END FROM t", "SELECT set_config('my.own', v, false) FROM t ORDER BY id",
            "SELECT set_config('my.own', 'no', false) FROM t WHERE id = 99", f"SET {name}='{value}'; RESET {name}", f"BEGIN; SET LOCAL {name} = '{value}'; COMMIT",
            "SET statement_timeout = 10; SELECT pg_sleep(9)", "BEGIN; SET LOCAL statement_timeout = 10; SELECT pg_sleep(9)", "SHOW is_superuser", "SHOW role"))
        return text if not self.at_replicas or "READ ONLY" not in text else "SHOW session_authorization"

    def _role(self):
        return self.choice(("SET ROLE other", "SET ROLE other", "RESET ROLE", "SET ROLE NONE", "SET LOCAL ROLE other", "SET ROLE nobody",
                            "SELECT current_user", "SET SESSION AUTHORIZATION app", "RESET SESSION AUTHORIZATION",
                            "SET SESSION AUTHORIZATION DEFAULT", "SELECT session_user, current_user", "SELECT set_config('role', 'other', false)",
                            "SELECT set_config('role', 'other', true)", "SET LOCAL SESSION AUTHORIZATION app", "SELECT sets('role', 'other', false)",
                            "SELECT as_other()", "SELECT set_config('role', 'none', false)", "SET role = 'other'", "SHOW role",
                            "BEGIN; SET LOCAL ROLE other", "DO $$ BEGIN SET LOCAL ROLE other; END $$", "CREATE TABLE public.made (a int)"))

    def _discard(self):
        return self.choice(("DISCARD ALL", "DISCARD PLANS", "DISCARD SEQUENCES", "DISCARD TEMP", "DEALLOCATE ALL", "CLOSE ALL", "UNLISTEN *",
                            "SELECT pg_advisory_unlock_all()", "DEALLOCATE PREPARE ALL", "RESET ALL", "DISCARD TEMPORARY"))

    def _kept(self):
        """What stays on a connection."""
        return self.choice((
            "CREATE TEMP TABLE made (a int)", "CREATE TEMP TABLE IF NOT EXISTS t (id int, v text) ON COMMIT DROP", "DROP TABLE made", "INSERT INTO made VALUES (1)",
            "SELECT * FROM made", "CREATE TEMP VIEW seen AS SELECT v FROM t", "LISTEN news", "NOTIFY news, 'x'", "NOTIFY news", "UNLISTEN news",
            "SELECT pg_notify('news', 'y')", "SELECT pg_advisory_lock(1)", "SELECT pg_advisory_xact_lock(2)", "SELECT pg_try_advisory_lock(3)",
            "SELECT pg_advisory_unlock(1)", "SELECT pg_advisory_unlock(3)", "SELECT pg_advisory_lock_shared(1)", "CREATE TEMP TABLE made (a int) ON COMMIT DELETE ROWS",
            "CREATE TEMP SEQUENCE counted", "SELECT nextval('counted')", "CREATE FUNCTION pg_temp.made() RETURNS int LANGUAGE sql AS 'SELECT 9'; SELECT pg_temp.made()",
            "CREATE TEMP TABLE who AS SELECT 'temp' AS name", "DROP TABLE IF EXISTS who_is_made", "ALTER TABLE made ADD c text",
            "SELECT pg_advisory_lock(t.id) FROM t ORDER BY id LIMIT 2", "SELECT pg_advisory_unlock_shared(1)", "SELECT pg_try_advisory_xact_lock_shared(5)",
            "LISTEN other; UNLISTEN news", "NOTIFY news, 'x'; NOTIFY news, 'x'", "SELECT lo_create(4242)", "SELECT lo_open(4242, 262144)", "SELECT loread(0, 9)",
            "SELECT lo_unlink(4242)", "CREATE TEMP TABLE made AS SELECT 1 AS a", "COPY made TO STDOUT"))

    def _cursor(self):
        cursor = self.choice(self.cursors)
        return self.choice((
            f"DECLARE {cursor} CURSOR FOR SELECT n FROM generate_series(1, 9) n", f"DECLARE {cursor} CURSOR WITH HOLD FOR SELECT v FROM t ORDER BY id",
            f"DECLARE {cursor} SCROLL CURSOR WITH HOLD FOR SELECT n FROM generate_series(1, 9) n", f"FETCH 2 FROM {cursor}", f"FETCH {cursor}", f"CLOSE {cursor}",
            f"MOVE 1 IN {cursor}", f"FETCH BACKWARD 1 FROM {cursor}", f"FETCH ALL FROM {cursor}", f"FETCH 0 FROM {cursor}", f"FETCH ABSOLUTE 3 FROM {cursor}",
            f"MOVE FORWARD ALL IN {cursor}", f"DECLARE {cursor} BINARY CURSOR FOR SELECT 7::int4, 'x'", f"DECLARE {cursor} CURSOR FOR SELECT id, v FROM t FOR UPDATE",
            f"SELECT opens('{cursor}')", f"BEGIN; DECLARE {cursor} CURSOR FOR SELECT v FROM t ORDER BY id", f"UPDATE t SET v = 'there' WHERE CURRENT OF {cursor}",
            f"DECLARE {cursor} CURSOR WITH HOLD FOR SELECT 1/(n-3) FROM generate_series(1, 5) n", f"DECLARE {cursor} CURSOR WITH HOLD FOR SELECT $1::int",
            "CLOSE ALL", f"DECLARE {cursor} NO SCROLL CURSOR FOR SELECT 1", f"DECLARE {cursor} CURSOR FOR INSERT INTO t (v) VALUES ('x') RETURNING id",
            "SELECT name, statement, is_holdable, is_binary, is_scrollable FROM pg_cursors ORDER BY name", f"FETCH LAST FROM {cursor}"))

    def _prepare(self):
        """What is found whatever the search_path: where an error is in a text that was prepared, and is looked at anew, Sheaf's
        own words tell."""
        name = self.choice(self.statements[1:])
        return self.choice((
            f"PREPARE {name} AS SELECT 1", f"PREPARE {name} AS SELECT v FROM public.t ORDER BY id", f"PREPARE {name} (int) AS SELECT $1 + 1",
            f"PREPARE {name} AS INSERT INTO public.t (v) VALUES ('p')", f"PREPARE {name} AS bogus", f"EXECUTE {name}", f"EXECUTE {name}", f"EXECUTE {name}(1)",
            f"EXECUTE {name}('x')", f"DEALLOCATE {name}", f"DEALLOCATE PREPARE {name}", f"EXPLAIN (COSTS off) EXECUTE {name}",
            f"CREATE TEMP TABLE made AS EXECUTE {name}", f"PREPARE {name} AS SELECT name FROM one.who", f"PREPARE {name} AS TABLE public.late",
            f"PREPARE {name} (text, int) AS SELECT $1, $2", f"EXECUTE {name}('x', 2)", f"EXECUTE {name}(1/0)", f"EXECUTE {name}(nosuch)", f"EXECUTE {name}(NULL)",
            f"PREPARE {name} AS SELECT 1; EXECUTE {name}; DEALLOCATE {name}", f"EXPLAIN (ANALYZE, COSTS off, TIMING off, SUMMARY off) EXECUTE {name}",
            f"PREPARE {name} AS SELECT 1/0", f"PREPARE {name} AS UPDATE public.t SET v = $1 WHERE id = $2 RETURNING *", f"EXECUTE {name}((SELECT max(id) FROM public.t))",
            f"PREPARE {name} (mood) AS SELECT $1", f"EXECUTE {name}('foul')", f"PREPARE \"{name.upper()}\" AS SELECT 'upper'", f"EXECUTE \"{name.upper()}\"",
            f"DECLARE c CURSOR FOR EXECUTE {name}", f"PREPARE {name} AS SELECT", f"PREPARE {name} AS VALUES (1), (2)"))

    def _code(self):
        return self.choice((
            "DO $$ BEGIN RAISE NOTICE 'here'; END $$", "DO $$ BEGIN PERFORM 1/0; END $$", "DO $$ BEGIN PERFORM 1/0; EXCEPTION WHEN division_by_zero THEN NULL; END $$",
            "DO $$ BEGIN EXECUTE 'SET my.own = 7'; END $$", "DO $$ BEGIN INSERT INTO t (v) VALUES ('do'); COMMIT; INSERT INTO t (v) VALUES ('undone'); ROLLBACK; END $$",
            "DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE made (a int)'; END $$", "DO $$ BEGIN EXECUTE 'LISTEN news'; END $$",
            "DO $$ BEGIN PERFORM pg_advisory_lock(4); END $$", "DO $$ BEGIN SET LOCAL work_mem = '3MB'; END $$", "SELECT past()",
            "DO $$ BEGIN EXECUTE 'SET ROLE other'; END $$", "DO $$ BEGIN EXECUTE 'DECLARE d CURSOR WITH HOLD FOR SELECT 5'; END $$",
            "DO $$ BEGIN EXECUTE 'PREPARE coded AS SELECT 6'; END $$", "DO LANGUAGE nosuch $$x$$",
            "DO $$ BEGIN PERFORM set_config('my.own', 'kept', false); COMMIT; PERFORM set_config('work_mem', '9MB', false); ROLLBACK; END $$",
            "DO $$ BEGIN PERFORM set_config('my.own', 'kept', false); COMMIT; PERFORM 1/0; END $$", "DO $$ BEGIN EXECUTE 'NOTIFY news'; COMMIT; END $$",
            "DO $$ BEGIN SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; END $$", "DO $$ BEGIN EXECUTE 'UNLISTEN *'; EXECUTE 'CLOSE ALL'; END $$",
            "DO $$ BEGIN EXECUTE 'DISCARD TEMP'; END $$", "DO $$ BEGIN EXECUTE 'DROP TABLE made'; END $$", "DO $$ BEGIN ROLLBACK; END $$",
            "DO $$ BEGIN FOR n IN 1..3 LOOP INSERT INTO t (v) VALUES (n); COMMIT; END LOOP; END $$"))

    def _called(self):
        """Functions and procedures."""
        return self.choice((
            "SELECT adds('called')", "SELECT adds_plainly('called')", "SELECT tries('tried')", "SELECT within()", "SELECT within_locally()", "SELECT tells('told', 0)",
            "SELECT tells('told', 1)", "SELECT tells('told', n) FROM generate_series(0, 2) n", "CALL does('called')", "CALL does_and_fails('called')", "CALL does($1)",
            "SELECT as_other()", "SELECT adds(v) FROM t WHERE id < 3", "SELECT * FROM opens('c')", "SELECT tells($1, 1)", "CALL nosuch()", "SELECT adds($1)",
            "SELECT lately()", "SELECT past(), past()", "SELECT count(*) FROM t WHERE tells(v, id % 2) = 0", "EXPLAIN (COSTS off) SELECT adds('x')"))

    def _made(self):
        return self.choice((
            "CREATE TABLE made (a int)", "DROP TABLE made", "ALTER TABLE made ADD b text", "DROP TABLE IF EXISTS made", "DROP FUNCTION made()",
            "CREATE OR REPLACE FUNCTION made() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM set_config('my.own', 'made', false); RETURN 1; END $$",
            "CREATE OR REPLACE FUNCTION made() RETURNS int LANGUAGE sql AS 'SELECT 8'", "SELECT made()", "CREATE FUNCTION made() RETURNS int LANGUAGE sql AS 'bogus'",
            "VACUUM who", "COMMENT ON TABLE t IS 'x'", "CREATE TABLE made AS TABLE t", "ALTER TABLE made ALTER a TYPE text", "ALTER TABLE made RENAME a TO z",
            "CREATE TABLE two.made (a text)", "INSERT INTO made VALUES (1)", "CREATE VIEW made AS SELECT v FROM t", "DROP VIEW made", "ALTER TABLE made DROP a",
            "CREATE OR REPLACE FUNCTION made() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 7; END", "REINDEX TABLE who", "ANALYZE t", "CLUSTER",
            "CREATE INDEX CONCURRENTLY made_by ON who (name)", "DROP INDEX IF EXISTS made_by, one.made_by, two.made_by", "CREATE OR REPLACE PROCEDURE made() LANGUAGE sql AS ''",
            "CALL made()", "DROP PROCEDURE made()", "GRANT SELECT ON late TO other", "CREATE TABLE made PARTITION OF t DEFAULT", "CHECKPOINT"))

    def _large(self):
        return self.choice((
            f"SELECT length('{LONG}')", f"SELECT 1 /* {LONG} */", f"SELECT '{LONG}'", f"INSERT INTO t (v) VALUES ('{LONG}')", f"SET my.own = '{LONG}'",
            "SELECT repeat('x', 70000)", "SELECT repeat('x', 200000) FROM generate_series(1, 3)", "SELECT n, repeat('y', 2000) FROM generate_series(1, 300) n",
            f"PREPARE a AS SELECT length('{LONG}')", f"SELECT 1 -- {LONG}", f"bogus {LONG}", "SELECT repeat('x', 300000); SELECT 1/0",
            f"DO $$ BEGIN PERFORM set_config('my.own', 'long', false); /* {LONG} */ END $$", f"COPY t (v) TO STDOUT /* {LONG} */",
            "SELECT tells(repeat('n', 100000), 0)", f"BEGIN /* {LONG} */", f"COMMIT /* {LONG} */", "COPY (SELECT repeat('x', 100000)) TO STDOUT"))

    def _copied(self):
        return self.choice((
            "COPY t TO STDOUT", "COPY (SELECT 1/(n-3) FROM generate_series(1, 5) n) TO STDOUT", "COPY t TO STDOUT (FORMAT binary)", "COPY late TO STDOUT (FORMAT csv, HEADER)",
            "COPY (INSERT INTO t (v) VALUES ('c') RETURNING v) TO STDOUT", "COPY (SELECT n FROM generate_series(1, 500) n) TO STDOUT", "COPY made TO STDOUT",
            "COPY t TO '/nosuch/file'", "COPY t FROM PROGRAM 'false'", "COPY (SELECT tells('copied', 1)) TO STDOUT"))

    def _empty(self):
        return self.choice(("", "", "-- nothing", ";", ";;", " ", "/* nothing */", "/* nothing */;", "\n", "/* unended"))

    def _hidden(self):
        """What stands where, as quotes and encodings have it."""
        return self.choice((
            "SELECT 'a\\'; SET my.own = ''hidden''; --'", "SELECT E'a\\'b'; SET my.own = 'seen'", "SELECT $x$; SET my.own = 'hidden'; $x$", "SELECT U&'\\0041'",
            "SELECT 1 AS \"; SET my.own = 'hidden'; \"", "SELECT /* ; /* SET */ BEGIN; */ 1", "SELECT 'a' -- x\n 'b'", "SELECT e'\\\\'; SELECT 2",
            "SELECT 'a\\'''; BEGIN; --'", "SELECT $$a$$$$b$$", "SELECT b'01', x'1F', N'n'", "SELECT \"U&\"", "SELECT 'it''s'; SELECT \"t\".v FROM t ORDER BY id"))

    BYTES = [b"SELECT 'gr\xf6\xdfe'", b"SELECT '\x83\\'", b"SELECT '\x83\\'; SET my.own = 'seen'; --'", b"SELECT length('\x83\\')", b"SELECT 1 AS \xe4", b"BEGIN; SELECT '\xff'",
             b"PREPARE a AS SELECT '\xe4'", b"SET my.own = '\xe4'", b"SET application_name = 'gr\xc3\xb6\xc3\x9fe'", b"SELECT '\x81\x5f\x81\x5c'"]
