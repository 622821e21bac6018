#!/usr/bin/python3
"""PostgreSQL's JDBC driver, as Debian has it, with its default settings: its ordinary life, through Sheaf."""
# long only: Java is large
import unittest

from lib import *
from lib.client_builds import JDBC, built
from lib.process import run
from lib.sql_front import sql_front


@unittest.skipUnless(JDBC.exists(), "libpostgresql-jdbc-java is not installed")
class Jdbc(Case):
    @classmethod
    def setUpClass(cls):
        cls.primary = Postgres(cls)
        cls.replica = Replica(cls, cls.primary)
        cls.front = sql_front(cls, cls.primary, [cls.replica])

    def tells(self, story):
        code, out, err = run(["java", "-cp", f"{built('jdbc')}:{JDBC}", "JdbcStory", self.front.port, story], seconds=60)
        self.assertEqual(code, 0, f"{out}\n{err[-4000:]}")
        for server in (self.primary, self.replica):
            wait_until(lambda s=server: not s.sessions("state <> 'idle'"), what="the servers to be idle")

    def test_prepared_statements(self):
        self.tells("prepared")

    def test_writes_and_what_is_read_after_them(self):
        self.tells("writes")

    def test_batches(self):
        self.tells("batches")

    def test_transactions(self):
        self.tells("transactions")

    def test_sessions_that_only_read(self):
        self.tells("read_only")

    def test_portals_with_a_row_limit(self):
        self.tells("fetch_size")

    def test_copies(self):
        self.tells("copies")

    def test_large_objects(self):
        self.tells("large_objects")

    def test_timeouts(self):
        self.tells("cancelling")

    def test_notifications(self):
        self.tells("notifications")

    def test_metadata(self):
        self.tells("metadata")

    def test_roles_and_query_modes(self):
        self.tells("roles")

    def test_savepoints_around_each_statement(self):
        self.tells("autosave")


if __name__ == "__main__":
    main()
