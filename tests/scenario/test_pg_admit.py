#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Real clients log in at our own login for clients, and from there at a real PostgreSQL with what they proved:
the small program tests/tools/pg_admit does it, with the code that the daemon has, and tells what it knows then."""
import psycopg2

from lib import *
from lib import sql_login
from lib.case import ends_with
from lib.sheaf import BINARY


class Tool(sql_login.SqlLogin):
    @classmethod
    def open_front(cls):
        cls.port, number = free_port(), free_port()
        cls.local = {"host": str(cls.folder()), "port": number}
        words = [f"server={cls.server.address}", f"users={cls.files['auth_file']}", f"hba={cls.files['hba_file']}",
                 f"ident={cls.files['ident_file']}", f"cert={cls.certificates.cert('server')}",
                 f"key={cls.certificates.key('server')}", f"ca={cls.certificates.ca}"]
        cls.tools = {at: cls.start([f"listen={listen}", *words]) for at, listen in
                     ((cls.port, cls.port), (number, cls.folder() / f".s.PGSQL.{number}"))}

    @classmethod
    def start(cls, words):
        tool = Process([BINARY.parent / "pg_admit", *words])
        ends_with(cls, tool.kill)
        wait_until(lambda: not tool.running or tool.out.startswith("listening\n"), what="the tool to listen")
        return tool

    def log_in(self, user, told=None, **words):
        tool = self.tools[words.get("port", self.port)]
        before = len(tool.out)
        super().log_in(user, told, **words)
        if told is not None:
            self.assertEqual(tool.out[before:].splitlines()[0], told)


class Methods(sql_login.Methods, Tool):
    def test_who_is_vouched_for_has_nothing_to_log_in_with_at_the_server(self):
        with self.assertRaises(psycopg2.OperationalError) as caught:
            self.connect("scram", password=None, **self.local)
        self.assertIn('none is known of "scram"', str(caught.exception))


class Refusals(sql_login.Refusals, Tool):
    pass


if __name__ == "__main__":
    main()
