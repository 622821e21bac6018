"""What stands before PostgreSQL in a test of SQL pools: Sheaf, unless SHEAF_SQL_FRONT says otherwise.

"direct": nothing does, so that a test says what PostgreSQL itself does; "pgbouncer": that does.  Both are
for those who write tests, to find out whether a test is right.
"""
import os
import pathlib
import shutil
import tempfile

from lib.case import ends_with, wait_until
from lib.ports import free_port
from lib.process import Process
from lib.sheaf import Sheaf, sql_pool

FRONT = os.environ.get("SHEAF_SQL_FRONT", "sheaf")


def sql_front(owner, primary, replicas=(), proxy=None, **options):
    """Sheaf with a pool named "main" over these servers."""
    if FRONT == "direct":
        return _Direct(primary)
    if FRONT == "pgbouncer":
        return _PgBouncer(owner, primary, options)
    return Sheaf(owner, sql_pool(primary, replicas, **options), proxy=proxy)


class _Direct:
    def __init__(self, primary):
        self.port = getattr(primary, "port", None)

    def target(self):
        return ("127.0.0.1", self.port)

    def check(self):
        pass


class _PgBouncer(_Direct):
    def __init__(self, owner, primary, options):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-pgbouncer-"))
        self.folder.chmod(0o777)
        users = self.folder / "users"
        users.write_text('"app" "secret"\n"postgres" ""\n')
        file = self.folder / "pgbouncer.ini"
        file.write_text(f"""[databases]
* = host=127.0.0.1 port={primary.port}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {self.port}
unix_socket_dir =
auth_type = trust
auth_file = {users}
pool_mode = {options.get("pooling", "transaction")}
default_pool_size = {options.get("pool_size", 20)}
max_client_conn = 1000
ignore_startup_parameters = extra_float_digits,options,geqo
""")
        self.process = Process(["/usr/sbin/pgbouncer", file], user="postgres")
        ends_with(owner, self._end)
        wait_until(self.check, what="pgbouncer")

    def check(self):
        import socket
        socket.create_connection(self.target()).close()
        return True

    def _end(self):
        self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
