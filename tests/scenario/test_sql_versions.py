#!/usr/bin/python3
# release only: other servers, the same Sheaf
"""SQL pools of other PostgreSQL than Debian 12's 15: servers/postgresql.sh fetches them into build/postgresql.

SHEAF_LONG=1 fetches them, and runs the files of SQL pools over each; else what was not fetched is skipped."""
import os
import re
import sys
import unittest

from lib import *
from lib import pgwire as pg
from lib.process import run
from lib.sheaf import BINARY

LONG = os.environ.get("SHEAF_LONG") == "1"
SERVERS = REPOSITORY / "build/postgresql"
MAJORS = (14, 16, 17, 18)

# What these files can't do there: Debian's libraries of 15 don't fit, its programs refuse newer servers, other words are used,
# 14 lacks functions that are granted, and 18 speaks a newer protocol itself, and has PREPARE TRANSACTION and FunctionCall not
# end what a pipeline without a Sync has begun.  From 16 on a name of an application is told with letters beyond ASCII escaped,
# and cut when it is set again.
NEWER = {16, 17, 18}
EXCUSED = {
    "test_sql_nodes": {"test_a_library_that_only_the_primary_has": {14, *NEWER}, "test_a_replica_that_sorts_otherwise": {14, *NEWER}},
    "test_sql_replication": {"setUpClass": {14}, "test_a_backup_is_whole": NEWER, "test_pg_basebackup_and_what_follows_is_a_replica": NEWER,
                             "test_pg_receivewal": NEWER, "test_who_may_not_replicate_hears_so_and_others_go_on": NEWER},
    "test_sql_startup": {"test_newer_minor_versions_and_options_are_negotiated": {18}, "test_other_versions_of_the_protocol": {18}},
    "test_sql_pooling": {"test_values_that_are_too_long_to_be_kept": NEWER, "test_what_ends_no_transaction": {18}},
    "test_sql_wire": {"test_the_end_behind_what_ends_a_pipeline_without_a_sync": {18}, "test_what_ends_a_pipeline_without_a_sync": {18}},
    **{f"test_sql_{name}": {} for name in ("auth_query", "causal", "console", "demotion", "faults", "health", "limits", "login", "losses", "lost_commits", "middle", "own", "pins",
                                           "prepared", "queue", "routing", "streams")},
}


def server_or_skip(major):
    folder = SERVERS / str(major)
    why = f"run tests/scenario/servers/postgresql.sh {major} build/postgresql/{major}"
    if LONG and not (folder / "bin").exists():
        why = run([REPOSITORY / "tests/scenario/servers/postgresql.sh", major, folder], "", 300)[1].strip()
    if not (folder / "bin").exists():
        raise unittest.SkipTest(f"PostgreSQL {major} is not here: {why}")
    return folder / "bin"


class Versions(Case):
    """A primary and a replica of each."""

    def test_a_pool_of_each(self):
        for major in MAJORS:
            with self.subTest(major=major):
                folder = server_or_skip(major)
                self.addCleanup(os.environ.pop, "SHEAF_POSTGRESQL", None)
                os.environ["SHEAF_POSTGRESQL"] = str(folder)
                primary = Postgres(self)
                primary.sql("CREATE TABLE t (n int)", user="app")
                replica = Replica(self, primary)
                front = Sheaf(self, sql_pool(primary, [replica], probe_interval="50ms"))
                with pg.PgSession(front.target()) as session:
                    self.assertRegex(session.parameters["server_version"], rf"^{major}\b")
                    wait_until(lambda s=session: s.value("EXPLAIN ROUTE SELECT count(*) FROM t").startswith("replica"), what="reads to go to the replica")
                    for n in range(20):
                        self.assertEqual(session.ask_extended("INSERT INTO t VALUES ($1::int)", n).errors, [])
                        self.assertEqual(session.value("SELECT count(*) FROM t"), str(n + 1))


@unittest.skipUnless(LONG and SLOW == 1, "longer: SHEAF_LONG=1, in the release build")
class Files(Case):
    """The scenario files of SQL pools, over each."""

    def test_what_holds_of_one_holds_of_all(self):
        for major in MAJORS:
            folder = server_or_skip(major)
            for name, excused in EXCUSED.items():
                with self.subTest(major=major, name=name):
                    _, out, _ = run([sys.executable, REPOSITORY / f"tests/scenario/{name}.py"], "", 400,
                                    {"SHEAF_POSTGRESQL": str(folder), "SHEAF_BINARY": str(BINARY), "SHEAF_LONG": "0"})
                    self.assertRegex(out, r"(?m)^\d+ passed, \d+ failed")
                    failed = {line.split(".", 2)[-1].split(" ")[0] for line in re.findall(r"^FAILED +[\d.]+ s  (\S+)", out, re.M)}
                    here = {test for test, majors in excused.items() if major in majors}
                    self.assertEqual(failed - here, set(), out[-3000:])


if __name__ == "__main__":
    main()
