#!/usr/bin/python3
"""What Sheaf would send to a replica, run on a real one and on its primary: it must have no effect anywhere,
and the same answer."""
import contextlib
import pathlib
import re
import subprocess

import psycopg2
import psycopg2.extensions

from lib import *
from lib.sheaf import BINARY

TOOL = pathlib.Path(BINARY).parent / "statement"

SCHEMA = """
CREATE TABLE t (id int PRIMARY KEY, v text, n numeric, at timestamptz DEFAULT '2020-01-01', a int[], j jsonb);
INSERT INTO t SELECT g, 'v' || g, g * 1.5, '2020-01-01'::timestamptz + g * interval '1 hour', ARRAY[g, g + 1],
    jsonb_build_object('a', g) FROM generate_series(1, 50) g;
CREATE TABLE s (id int PRIMARY KEY, t_id int REFERENCES t, note varchar(20), ok bool);
INSERT INTO s SELECT g, g % 50 + 1, 'note' || g, g % 2 = 0 FROM generate_series(1, 80) g;
CREATE UNLOGGED TABLE u (id int);
CREATE SEQUENCE sq;
CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
CREATE VIEW v_plain AS SELECT id, v FROM t WHERE id < 10;
CREATE VIEW v_writes AS SELECT id, nextval('sq') AS n FROM t;
CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM t;
CREATE FUNCTION f_write() RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('sq') $$;
CREATE FUNCTION f_of_row(t) RETURNS bigint LANGUAGE sql AS $$ SELECT nextval('sq') $$;
CREATE FUNCTION f_read() RETURNS bigint LANGUAGE sql STABLE AS $$ SELECT count(*) FROM t $$;
CREATE FUNCTION f_swallow() RETURNS text LANGUAGE plpgsql AS $$
BEGIN PERFORM nextval('sq'); RETURN 'done'; EXCEPTION WHEN OTHERS THEN RETURN 'swallowed ' || SQLSTATE; END $$;
CREATE FUNCTION f_lock() RETURNS bool LANGUAGE sql AS $$ SELECT pg_try_advisory_lock(7) $$;
ANALYZE;
"""

# By these a server refuses what it can't do as a replica.
REFUSALS = {"25006", "0A000", "55000", "XX000", "42P01"}
TOO_MUCH = {"57014", "53200", "54001"}  # time, memory, depth
# Answers that are of the moment.
OF_THE_MOMENT = re.compile(r"(?i)random|uuid|clock_timestamp|timeofday|now|current_|localtime|statement_timestamp|"
                           r"transaction_timestamp|tablesample|pg_sleep|explain analyze|\bctid\b|'(today|tomorrow)'|age\(")

STATE = """
SELECT (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
       (SELECT count(*) FROM pg_listening_channels()), (SELECT count(*) FROM pg_cursors),
       (SELECT count(*) FROM pg_prepared_statements), pg_my_temp_schema()::int,
       (SELECT string_agg(name || '=' || setting, ';' ORDER BY name) FROM pg_settings WHERE source = 'session'),
       current_user, current_setting('a.b', true), (SELECT string_agg(slot_name, ',') FROM pg_replication_slots)
"""
DATA = """
SELECT pg_snapshot_xmax(pg_current_snapshot())::text, (SELECT last_value || is_called::text FROM sq),
       (SELECT count(*) FROM pg_class), (SELECT count(*) FROM pg_largeobject_metadata),
       (SELECT sum(hashtext(t::text)) FROM t), (SELECT sum(hashtext(s::text)) FROM s)
"""

# Times as the server writes them: there are some that Python has no value for.
AS_TEXT = psycopg2.extensions.new_type((1082, 1083, 1114, 1184, 1186, 1266, 1115, 1182, 1183, 1185, 1187, 1270),
                                       "AS_TEXT", lambda value, _: value)

# A value for each type, to call functions with.
SAMPLES = {
    "int4": "3", "int8": "3::int8", "int2": "3::int2", "text": "'abc'::text", "name": "'t'::name", "bool": "true",
    "float8": "1.5::float8", "float4": "1.5::float4", "numeric": "2.5", "varchar": "'abc'::varchar", "oid": "1259::oid",
    "bpchar": "'abc'::bpchar", "char": "'a'::\"char\"", "bytea": "'\\x6162'::bytea", "date": "'2020-02-03'::date",
    "timestamp": "'2020-02-03 04:05:06'::timestamp", "timestamptz": "'2020-02-03 04:05:06+00'::timestamptz",
    "time": "'04:05:06'::time", "timetz": "'04:05:06+00'::timetz", "interval": "'1 day 2 hours'::interval",
    "json": "'{\"a\": [1, 2]}'::json", "jsonb": "'{\"a\": [1, 2]}'::jsonb", "jsonpath": "'$.a'::jsonpath",
    "regclass": "'t'::regclass", "regtype": "'int4'::regtype", "regproc": "'now'::regproc", "inet": "'10.1.2.3/24'::inet",
    "cidr": "'10.1.2.0/24'::cidr", "macaddr": "'08:00:2b:01:02:03'::macaddr", "uuid":
    "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "bit": "B'101'", "varbit": "B'101'::varbit", "money": "'5'::money",
    "point": "'(1,2)'::point", "box": "'(1,2),(3,4)'::box", "circle": "'<(1,2),3>'::circle", "lseg": "'[(1,2),(3,4)]'::lseg",
    "path": "'[(1,2),(3,4)]'::path", "polygon": "'((1,2),(3,4),(5,0))'::polygon", "line": "'{1,2,3}'::line",
    "tsvector": "'a:1 b:2'::tsvector", "tsquery": "'a & b'::tsquery", "xml": "'<a>1</a>'::xml",
    "pg_lsn": "'0/16B3748'::pg_lsn", "int4range": "'[1,5)'::int4range", "anyarray": "ARRAY[1, 2]", "anyelement": "3",
    "anynonarray": "3", "any": "3", "anycompatible": "3", "anycompatiblearray": "ARRAY[1, 2]", "anyrange":
    "'[1,5)'::int4range", "anyenum": "'ok'::mood", "record": "ROW(1, 'a')", "_text": "ARRAY['a', 'b']", "_int4":
    "ARRAY[1, 2]", "_float8": "ARRAY[1.5]::float8[]", "xid": "'3'::xid", "tid": "'(0,1)'::tid", "regconfig":
    "'simple'::regconfig", "regdictionary": "'simple'::regdictionary", "regnamespace": "'public'::regnamespace",
    "regrole": "'app'::regrole", "_oid": "ARRAY[1259]::oid[]", "_char": "ARRAY['a']::\"char\"[]", "_int8": "ARRAY[1]::int8[]",
    "anymultirange": "'{[1,5)}'::int4multirange", "oidvector": "'1 2'::oidvector", "_numeric": "ARRAY[1.5]",
}


class Verdict:
    def __init__(self, line):
        self.route, self.kind, effects, _, _, self.reason = line.split("\t")
        self.effects = int(effects)

    @property
    def may_go_to_a_replica(self):
        return self.route in ("replica", "try")


def classify(texts):
    done = subprocess.run([TOOL], input="\0".join(texts).encode(), capture_output=True, check=True)
    lines = done.stdout.decode(errors="replace").splitlines()
    assert len(lines) == len(texts), f"{len(lines)} answers to {len(texts)} texts"
    return [Verdict(line) for line in lines]


def failed(outcome, codes):
    return outcome[0] == "error" and outcome[1] in codes


class Node:
    """A session with one server."""

    def __init__(self, server, user):
        self.server, self.user = server, user
        self.connection = None

    def _connect(self):
        if self.connection is None or self.connection.closed:
            self.connection = self.server.connect(user=self.user)
            psycopg2.extensions.register_type(AS_TEXT, self.connection)
            self.ask("SET statement_timeout = '1s'")

    def ask(self, text):
        """("rows", sorted rows), ("done", how many) or ("error", SQLSTATE)."""
        self._connect()
        with self.connection.cursor() as cursor:
            try:
                cursor.execute(text)
                if cursor.description is None:
                    return "done", cursor.rowcount
                return "rows", sorted(repr(row) for row in cursor.fetchall())
            except psycopg2.Error as error:
                return "error", error.pgcode or str(error)

    def ask_read_only(self, text):
        self.ask("BEGIN READ ONLY")
        outcome = self.ask(text)
        self.ask("ROLLBACK")
        return outcome

    def close(self):
        if self.connection is not None:
            self.connection.close()


class Statements(Case):
    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls, {"wal_level": "logical"})
        cls.primary.sql(SCHEMA, user="app")
        cls.replica = Replica(cls, cls.primary)
        cls.replica.wait_for_catchup()

    @contextlib.contextmanager
    def nodes(self, user):
        pair = Node(self.primary, user), Node(self.replica, user)
        self.state = [node.ask(STATE) for node in pair]
        self.data = self.primary.sql(DATA)
        try:
            yield pair
            self.look_for_effects(pair, "the end")
        finally:
            for node in pair:
                node.close()

    def look_for_effects(self, pair, after):
        self.assertEqual([node.ask(STATE) for node in pair], self.state, f"a session's state after {after}")
        self.assertEqual(self.primary.sql(DATA), self.data, f"the data after {after}")

    def compare(self, pair, text, verdict):
        replica = pair[1].ask(text)
        if failed(replica, TOO_MUCH) or verdict.route == "try" and failed(replica, REFUSALS):
            return  # if it is run again, then on the primary, where it may do whatever it does
        if verdict.route == "try" and OF_THE_MOMENT.search(text):
            # A sample that held nothing on the replica may hold a call of nextval() on the primary.
            primary = pair[0].ask_read_only(text)
            if failed(primary, REFUSALS):
                return
        else:
            primary = pair[0].ask(text)
        if primary == replica or OF_THE_MOMENT.search(text) and primary[0] == replica[0]:
            return
        if not failed(primary, TOO_MUCH):
            self.assertEqual(replica, primary, f"{verdict.route}: {text}")

    def run_all(self, texts, user, every=1):
        verdicts = classify(texts)
        run = 0
        with self.nodes(user) as pair:
            for text, verdict in zip(texts, verdicts):
                if verdict.may_go_to_a_replica:
                    self.compare(pair, text, verdict)
                    run += 1
                    if run % every == 0:
                        self.look_for_effects(pair, text if every == 1 else f"some up to {text}")
        return run

    def test_the_traps_are_none(self):
        """The statements of the unit test, against servers that have what they speak of."""
        source = (REPOSITORY / "tests/unit/replica/test_statement_traps.c").read_text(encoding="utf-8")
        literals = re.findall(r'\{\s*((?:"(?:[^"\\]|\\.)*"\s*)+),\s*ROUTE_', source)
        texts = ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', each)) for each in literals]
        texts = [text.encode().decode("unicode_escape") for text in texts]
        self.assertGreater(len(texts), 200)
        self.assertGreater(self.run_all([t for t in texts if t.strip(" ;\n-")], "app"), 30)

    def test_our_own_functions_and_views(self):
        texts = [
            "SELECT f_read()", "SELECT f_write()", "SELECT f_swallow()", "SELECT f_lock()", "SELECT * FROM v_writes LIMIT 1",
            "SELECT * FROM v_plain", "SELECT * FROM m", "SELECT * FROM u", "SELECT t.f_of_row FROM t LIMIT 1",
            "SELECT * FROM sq", "SELECT (t).f_of_row FROM t LIMIT 1", "COPY t TO STDOUT", "TABLE s", "SELECT * FROM nowhere",
            "SELECT ('sq'::regclass).nextval", "SELECT 1 WHERE EXISTS (SELECT nextval('sq'))",
        ]
        self.run_all([t for t in texts if not t.startswith("COPY")], "app")
        by_text = dict(zip(texts, classify(texts)))
        for text in ("SELECT f_swallow()", "SELECT f_lock()", "SELECT f_write()", "SELECT 1 WHERE EXISTS (SELECT nextval('sq'))"):
            self.assertEqual(by_text[text].route, "primary", text)
        for text in ("SELECT * FROM v_writes LIMIT 1", "SELECT * FROM u", "SELECT t.f_of_row FROM t LIMIT 1"):
            self.assertEqual(by_text[text].route, "try", text)
            self.assertIn(Node(self.replica, "app").ask(text)[1], REFUSALS)

    def test_functions_that_are_called_safe_are(self):
        """Each function of the server that takes what we have a value for, called by the superuser."""
        rows = self.primary.sql("""
            SELECT proname::text, ARRAY(SELECT typname::text FROM unnest(proargtypes) WITH ORDINALITY AS a(o, i)
                                        JOIN pg_type ON pg_type.oid = o ORDER BY i), proretset
              FROM pg_proc WHERE pronamespace = 'pg_catalog'::regnamespace AND prokind = 'f'
               AND prorettype NOT IN ('trigger'::regtype, 'event_trigger'::regtype) ORDER BY 1, 2""")
        texts = []
        for name, types, is_set in rows:
            if all(each in SAMPLES for each in types) and not OF_THE_MOMENT.search(name):
                call = f'"{name}"({", ".join(SAMPLES[each] for each in types)})'
                texts.append(f"SELECT * FROM {call} AS x LIMIT 20" if is_set else f"SELECT {call}")
        self.assertGreater(len(texts), 1500)
        self.assertGreater(self.run_all(texts, "postgres", every=100), 1200)

    def test_random_statements(self):
        done = subprocess.run(
            ["sqlsmith", "--dry-run", "--exclude-catalog", "--max-queries=1500", "--seed=7",
             f"--target=host={self.primary.folder} port={self.primary.port} user=app dbname=app"],
            capture_output=True, check=False, timeout=120)
        texts = [text.strip() for text in done.stdout.decode(errors="replace").split(";\n") if text.strip()]
        self.assertGreater(len(texts), 1000, done.stderr[-2000:])
        self.assertGreater(self.run_all(texts, "app", every=50), 200)

    def test_what_has_effects_goes_to_the_primary(self):
        """Whatever changes something on the primary, or in the session, is none of a replica's."""
        texts = [
            "INSERT INTO t VALUES (1000)", "SELECT nextval('sq')", "SELECT pg_advisory_lock(1)", "LISTEN c",
            "SELECT set_config('a.b', 'c', false)", "SET a.b = 'c'", "CREATE TEMP TABLE tt (a int)", "PREPARE p AS SELECT 1",
            "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "SELECT (9::bigint).pg_advisory_lock", "SET ROLE app",
            "SELECT lo_create(0)", "SELECT pg_create_physical_replication_slot('x')",
        ]
        verdicts = classify(texts)
        for text, verdict in zip(texts, verdicts):
            node = Node(self.primary, "postgres")
            before = node.ask(STATE), self.primary.sql(DATA)
            node.ask("BEGIN")
            outcome = node.ask(text)
            node.ask("COMMIT")
            self.assertNotEqual((node.ask(STATE), self.primary.sql(DATA)), before, f"{text}: {outcome}")
            self.assertFalse(verdict.may_go_to_a_replica, text)
            node.close()
        self.primary.sql("DELETE FROM t WHERE id = 1000; SELECT pg_drop_replication_slot('x')")
        self.replica.wait_for_catchup()


if __name__ == "__main__":
    main()
