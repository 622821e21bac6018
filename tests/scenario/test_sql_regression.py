#!/usr/bin/python3
# release only: PostgreSQL's own tests, the same Sheaf
"""PostgreSQL's own tests: of regression (pg_regress: two hundred files of SQL, in parallel, by psql), and of libpq's pipelines.
What they are told through Sheaf is what the server tells them itself.  servers/regression.sh fetches them; SHEAF_LONG=1 does,
else they are skipped."""
import difflib
import os
import pathlib
import re
import shutil
import tempfile
import unittest

from lib import *
from lib.postgres import binary as program
from lib.process import run

LONG = os.environ.get("SHEAF_LONG") == "1"
FOLDER = REPOSITORY / "build/postgresql/regression"

# What is told otherwise, and why.  Of pooled server connections:
POOLED = {
    "guc": "plpgsql has been loaded there already",
    "temp": "a temporary schema is there already, so that a transaction that only looks into it may be prepared",
    "stats": "a session that begins is none to the server",
}
# Of prepared statements that all share: their names are Sheaf's where code, and views, see them.
NAMES = {"prepare", "plancache", "partition_prune", "guc", "sysviews"}
# And of currval(), where another session was on the connection since nextval().
CURRVAL = {"constraints"}
# Of transactions that go to any server connection: what a function in C keeps in a variable of its own.
VARIABLES = {"triggers"}
# What comes when it comes, also from the server itself: they are as they end.
AS_IT_COMES = {"pipelined_insert", "uniqviol"}


def tests_or_skip():
    why = "run tests/scenario/servers/regression.sh build/postgresql/regression"
    if LONG and not (FOLDER / "libpq_pipeline").exists():
        why = run([REPOSITORY / "tests/scenario/servers/regression.sh", FOLDER], "", 300)[1].strip()
    if not (FOLDER / "libpq_pipeline").exists():
        raise unittest.SkipTest(f"PostgreSQL's own tests are not here: {why}")


def difference(direct, told):
    return "\n".join(list(difflib.unified_diff(direct.splitlines(), told.splitlines(), "direct", "told", lineterm=""))[:60])


@unittest.skipUnless(LONG and SLOW == 1, "longer: SHEAF_LONG=1, in the release build")
class Regression(Case):
    @classmethod
    def setUpClass(cls):
        tests_or_skip()

    def told(self, port):
        """What each file was told: {name: text}."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-regression-", dir="/dev/shm"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        inputs = folder / "regress"  # where the server may read it
        shutil.copytree(FOLDER / "regress", inputs)
        for name in ("results", "expected", "sql", "testtablespace"):
            (folder / name).mkdir()
        for each in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
            each.chmod(0o777)
        programs = pathlib.Path(program("psql")).parent
        code, out, err = run([programs.parent / "lib/pgxs/src/test/regress/pg_regress", f"--inputdir={inputs}", f"--outputdir={folder}", f"--dlpath={inputs}",
                              f"--bindir={programs}", "--host=127.0.0.1", f"--port={port}", "--user=postgres", "--max-connections=8",
                              f"--schedule={inputs}/parallel_schedule"], "", 300, {"HOME": str(folder)}, "postgres")
        self.assertIn(code, (0, 1), out + err)
        results = {path.stem: re.sub(r"/dev/shm/sheaf-regression-\w+", "", path.read_text(errors="replace")) for path in (folder / "results").glob("*.out")}
        self.assertGreater(len(results), 200, out + err)
        return results

    def server(self):
        return Postgres(self, {"max_prepared_transactions": "10", "shared_buffers": "'256MB'"})

    def test_what_the_server_says_is_what_is_told(self):
        direct = self.told(self.server().port)
        for pooling, replicas in (("session", 0), ("transaction", 0), ("transaction", 2)):
            with self.subTest(pooling=pooling, replicas=replicas):
                primary = self.server()
                front = Sheaf(self, sql_pool(primary, [Replica(self, primary) for _ in range(replicas)], pooling=pooling, pool_size=40, causal_wait="10s"))
                told = self.told(front.target()[1])
                others = {name for name in direct if told.get(name) != direct[name]}
                excused = {*POOLED, *(NAMES | CURRVAL if pooling == "transaction" else ()), *(VARIABLES if replicas else ())}
                self.assertEqual(others - excused, set(), "\n".join(difference(direct[name], told.get(name, "")) for name in others - excused))

    def traced(self, port, test):
        """What libpq says and hears in it, but for what differs each time."""
        folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-pipeline-"))
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        code, out, err = run([FOLDER / "libpq_pipeline", "-r", "700", "-t", folder / "trace", test, f"host=127.0.0.1 port={port} user=postgres dbname=app"], "", 60)
        self.assertEqual(code, 0, out + err)
        return (folder / "trace").read_text()

    def test_the_pipelines_of_libpq(self):
        server = self.server()
        fronts = {pooling: Sheaf(self, sql_pool(server, name=pooling, pooling=pooling)) for pooling in ("session", "transaction")}
        tests = run([FOLDER / "libpq_pipeline", "tests"], "", 30)[1].split()
        self.assertGreater(len(tests), 10)
        for test in tests:
            server.sql("DROP TABLE IF EXISTS pq_pipeline_demo, pq_pipeline_tst, pq_pipeline_uniqviol")
            direct = self.traced(server.port, test)
            for pooling, front in fronts.items():
                with self.subTest(test=test, pooling=pooling):
                    server.sql("DROP TABLE IF EXISTS pq_pipeline_demo, pq_pipeline_tst, pq_pipeline_uniqviol")
                    told = self.traced(front.target()[1], test)
                    self.assertTrue(told == direct or test in AS_IT_COMES, difference(direct, told))


if __name__ == "__main__":
    main()
