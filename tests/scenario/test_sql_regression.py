#!/usr/bin/python3
# release only: PostgreSQL's own tests, the same Sheaf
"""PostgreSQL's own regression tests (pg_regress: two hundred files of SQL, in parallel, by psql): what they are told through
Sheaf is what the server tells them itself.  servers/regression.sh fetches them; SHEAF_LONG=1 does, else they are skipped."""
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
NAMES = {"prepare", "plancache", "partition_prune", "guc"}
# Of transactions that go to any server connection: what a function in C keeps in a variable of its own.
VARIABLES = {"triggers"}


def tests_or_skip():
    why = "run tests/scenario/servers/regression.sh build/postgresql/regression"
    if LONG and not (FOLDER / "regress/regress.so").exists():
        why = run([REPOSITORY / "tests/scenario/servers/regression.sh", FOLDER], "", 300)[1].strip()
    if not (FOLDER / "regress/regress.so").exists():
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
                excused = {*POOLED, *(NAMES if pooling == "transaction" else ()), *(VARIABLES if replicas else ())}
                self.assertEqual(others - excused, set(), "\n".join(difference(direct[name], told.get(name, "")) for name in others - excused))


if __name__ == "__main__":
    main()
