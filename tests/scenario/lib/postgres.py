"""A real PostgreSQL server, and streaming replicas of it, on free loopback ports."""
import contextlib
import fcntl
import functools
import hashlib
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile

import psycopg2

from lib.case import SLOW, ends_with, wait_until
from lib.ports import free_port
from lib.process import Process, as_user, run

USER, PASSWORD, DATABASE = "app", "secret", "app"
_OWNER = "postgres"  # whom root runs the servers as: they refuse to run as root
_AS_IT_IS_MADE = f"""
CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}';
CREATE DATABASE {DATABASE} OWNER {USER};
"""
_QUICK = {
    # What is lost if the machine falls is of no matter, if a process falls all is there.
    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "on",
    "shared_buffers": "16MB", "min_wal_size": "2MB", "checkpoint_timeout": "1h",
    "dynamic_shared_memory_type": "mmap",       # in its folder, so that nothing stays of one that was killed
    "autovacuum": "off", "jit": "off", "max_connections": "60", "superuser_reserved_connections": "5",
    "wal_keep_size": "256MB", "wal_retrieve_retry_interval": "50ms", "wal_receiver_status_interval": "1s",
    "logging_collector": "off", "log_line_prefix": "'%m %p %a %u@%d '", "log_error_verbosity": "terse",
    "lc_messages": "C", "timezone": "UTC",
}


def binary(name):
    """A program of PostgreSQL: Debian keeps them outside of the path, by version."""
    folder = os.environ.get("SHEAF_POSTGRESQL")
    if folder is None:
        folders = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"),
                         key=lambda each: int(each.parent.name))
        if not folders:
            return name
        folder = folders[-1]
    return pathlib.Path(folder) / name


def own(path, *others):
    """It is the user's whom the servers run as."""
    if os.geteuid() == 0:
        entry = pwd.getpwnam(_OWNER)
        for each in (path, *others):
            os.chown(each, entry.pw_uid, entry.pw_gid)


def _must(*arguments, stdin=""):
    code, out, err = run(arguments, stdin, seconds=120, user=_OWNER)
    if code != 0:
        raise AssertionError(f"{arguments}: {code}\n{out}\n{err}")
    return out


def _base():
    """Where the servers' folders are: in memory, if there is much of it."""
    memory = pathlib.Path("/dev/shm")
    if memory.exists() and os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > 4 << 30:
        return memory
    return pathlib.Path(tempfile.gettempdir())


@functools.cache
def _template(postgres):
    """A folder as its initdb makes it, with the role and the database that tests use: made once, then copied."""
    version = _must(postgres, "--version")
    mark = hashlib.sha256((version + _AS_IT_IS_MADE).encode()).hexdigest()[:16]
    home = _base() / f"sheaf-test-postgres.{os.getuid()}"
    home.mkdir(exist_ok=True)
    own(home)
    made = home / mark
    if made.exists():
        return made
    with open(home / "lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            making = home / f"{mark}.making"
            shutil.rmtree(making, ignore_errors=True)
            # Small segments: a folder of 16 MiB ones takes as long to copy as all that is in it.
            _must(binary("initdb"), "-D", making, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C",
                  "--wal-segsize", "1", "--no-sync")
            _must(postgres, "--single", "-j", "-F", "-D", making, "-c", "min_wal_size=2MB", "template1",
                  stdin=_AS_IT_IS_MADE.strip().replace("\n", "\n\n") + "\n\n")
            making.rename(made)
    return made


def _state(pid):
    """As ps has it; "Z" if it is no more."""
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "Z"
    return stat.rsplit(")", 1)[1].split()[0]


class Postgres:
    """`options` are lines of postgresql.conf: {"log_statement": "all"}.

    There is a database "app", owned by the role "app" with the password "secret".  Tests look on as the
    superuser "postgres", who is always let in at the Unix socket in its folder; over TCP `auth` says how
    anyone comes in (trust, scram-sha-256, md5, password), or `hba`, lines of pg_hba.conf, do.
    With `certificates` it takes TLS beside plain connections.  `env` is added to its environment.
    """
    env = {}

    def __init__(self, owner, options=None, auth="trust", hba=None, certificates=None, env=None):
        self.env = env or {}
        self._prepare(options, auth, hba, certificates)
        ends_with(owner, self._end)
        subprocess.run(["cp", "-a", "--reflink=auto", _template(binary("postgres")), self.data], check=True)
        self.start()

    def _prepare(self, options, auth, hba, certificates):
        self.port = free_port()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-postgres-", dir=_base()))
        self.folder.chmod(0o755)
        own(self.folder)
        self.data = self.folder / "data"
        self.address = f"127.0.0.1:{self.port}"
        self.options = dict(options or {})
        self.auth, self.hba, self.certificates = auth, hba, certificates
        self.process = None
        self._logs = []

    # --- where it is

    @property
    def url(self):
        return f"postgresql://{self.address}"

    def url_as(self, user=USER, password=PASSWORD, query=""):
        """The URL of an endpoint that names whom to log in as; `query` may hold "weight=2"."""
        return f"postgresql://{user}:{password}@{self.address}" + (f"?{query}" if query else "")

    @property
    def socket(self):
        return self.folder / f".s.PGSQL.{self.port}"

    @property
    def pid(self):
        return self.process.pid

    @property
    def is_replica(self):
        return (self.data / "standby.signal").exists()

    # --- life

    def _settings(self):
        return {}

    def _write(self):
        settings = {
            **_QUICK, "listen_addresses": "'127.0.0.1'", "port": self.port,
            "unix_socket_directories": f"'{self.folder}'", **self._settings(), **self.options}
        if self.certificates:
            settings |= {"ssl": "on", "ssl_cert_file": f"'{self._tls_file('server.crt')}'",
                         "ssl_key_file": f"'{self._tls_file('server.key')}'",
                         "ssl_ca_file": f"'{self._tls_file('ca.crt')}'"}
        rules = ["local all all trust", "local replication all trust"] + list(self.hba or [
            f"host all all all {self.auth}", "host replication postgres all trust",
            f"host replication all all {self.auth}"])
        conf, hba = self.data / "postgresql.conf", self.data / "pg_hba.conf"
        conf.write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
        hba.write_text("".join(f"{rule}\n" for rule in rules))
        own(conf, hba)

    def _tls_file(self, name):
        """A copy that is its own: it takes no key that others could read."""
        copy = self.folder / name
        shutil.copy(self.certificates.folder / name, copy)
        copy.chmod(0o600)
        own(copy)
        return copy

    def start(self, wait=True):
        """Returns when it serves."""
        self._write()
        self.process = Process([binary("postgres"), "-D", self.data], cwd=self.folder, user=_OWNER,
                               death=signal.SIGQUIT, env={"LC_ALL": "C", **self.env})
        self._logs.append(self.process)
        if wait:
            self.wait_ready()

    def wait_ready(self):
        try:
            wait_until(self.serves, seconds=30, what="PostgreSQL to answer")
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log[-4000:]}") from None

    def serves(self):
        """Whether it takes connections."""
        if not self.process.running:
            raise AssertionError(f"postgres ended: {self.log[-4000:]}")
        try:
            self.sql("SELECT 1")
            return True
        except psycopg2.OperationalError:
            return False

    @property
    def log(self):
        """All that it ever said."""
        return "".join(process.err for process in self._logs)

    def logged(self, pattern, since=0):
        """How often a line of its log holds the pattern, from a length of the log on."""
        return len(re.findall(pattern, self.log[since:], re.M))

    def _pids(self):
        with contextlib.suppress(OSError):
            path = f"/proc/{self.pid}/task/{self.pid}/children"
            return [self.pid, *(int(pid) for pid in pathlib.Path(path).read_text().split())]
        return [self.pid]

    def _signal(self, number, pids):
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill9(self):
        """All its processes fall at once, as if the machine did; what it had written is kept."""
        if not self.process.running:
            return
        self.process.stop()  # it starts no more of them
        pids = self._pids()
        self._signal(signal.SIGKILL, reversed(pids))
        self.process.wait()
        self._clean(pids)

    def stop(self):
        """SIGSTOP to all its processes: its connections stand, and nothing answers."""
        self.process.stop()
        pids = self._pids()
        self._signal(signal.SIGSTOP, pids[1:])
        wait_until(lambda: all(_state(pid) in "TZ" for pid in pids), what="the server to stand still")

    def cont(self):
        if self.process.running:
            self._signal(signal.SIGCONT, reversed(self._pids()))

    def shutdown(self, mode="fast"):
        """As pg_ctl does; "smart" waits for its clients, "fast" tells them 57P01, "immediate" 57P02."""
        pids = self._pids()
        self.process.signal({"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode])
        self.process.wait(30)
        self._clean(pids)

    def _clean(self, pids):
        """What a killed one leaves: a number that may be anyone's by now, and a piece of System V memory."""
        wait_until(lambda: all(_state(pid) == "Z" for pid in pids), what="the server's processes to go")
        left = self.data / "postmaster.pid"
        if left.exists():
            memory = left.read_text(encoding="ascii").splitlines()[6:7]
            left.unlink()
            if memory:
                run(["ipcrm", "-m", memory[0].split()[1]], user=_OWNER)

    def restart(self, mode="fast"):
        """Again on the same port, with all that it had."""
        if self.process.running:
            self.shutdown(mode)
        self.start()

    def reload(self, **options):
        """Options that need no restart; returns when each is in force."""
        self.options.update(options)
        self._write()
        before = self.sql("SELECT pg_conf_load_time()")
        self.process.signal(signal.SIGHUP)
        wait_until(lambda: self.sql("SELECT pg_conf_load_time()") != before, what="the server to reload")

    def _end(self):
        try:
            if self.process and self.process.running:
                self.cont()
                try:
                    self.shutdown("immediate")
                except AssertionError:
                    self.kill9()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- what is in it

    def connect(self, user="postgres", database=DATABASE, **options):
        """A psycopg2 connection with this server itself, past Sheaf, over its Unix socket; autocommit."""
        connection = psycopg2.connect(host=str(self.folder), port=self.port, user=user, dbname=database,
                                      connect_timeout=int(10 * SLOW), application_name="test",
                                      options=f"-c lock_timeout={int(10 * SLOW)}s", **options)
        connection.autocommit = True
        return connection

    def sql(self, text, *arguments, user="postgres", database=DATABASE):
        """The rows (tuples) of the last statement; [] if it has none."""
        with contextlib.closing(self.connect(user, database)) as connection:
            with connection.cursor() as cursor:
                cursor.execute(text, arguments or None)
                return cursor.fetchall() if cursor.description else []

    def value(self, text, *arguments, **options):
        """The only value of the only row."""
        return self.sql(text, *arguments, **options)[0][0]

    def sessions(self, condition="true"):
        """What pg_stat_activity has of others' connections to the database: (pid, user, state, query)."""
        return self.sql(
            "SELECT pid, usename, state, query FROM pg_stat_activity WHERE backend_type = 'client backend'"
            f" AND application_name <> 'test' AND pid <> pg_backend_pid() AND {condition}")

    def position(self):
        """Up to where its WAL goes, as a number: flushed (as a commit is) by a primary, replayed by a replica."""
        return self.value("SELECT (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()"
                          " ELSE pg_current_wal_flush_lsn() END - '0/0')::bigint")

    def become_replica_of(self, primary):
        """A former primary that was shut down follows the one that was promoted."""
        self.options["primary_conninfo"] = (f"'host={primary.folder} port={primary.port} user=postgres"
                                            f" application_name={self.port}'")
        (self.data / "standby.signal").touch()
        own(self.data / "standby.signal")
        self.start()

    def promote(self):
        """Makes a replica a primary; returns when it takes writes."""
        self.sql("SELECT pg_promote(true, 60)")
        wait_until(lambda: not self.value("SELECT pg_is_in_recovery()"), what="the promotion")


class Replica(Postgres):
    """A streaming replica by pg_basebackup, caught up when the constructor returns.

    `slot`: the name of a replication slot, made for it.  `delay`: how late it applies commits ("200ms");
    see also pause().
    """

    def __init__(self, owner, primary, options=None, slot=None, delay=None, auth=None, hba=None):
        self.primary, self.slot = primary, slot
        self._prepare({**primary.options, **(options or {})}, auth or primary.auth, hba or primary.hba,
                      primary.certificates)
        if delay:
            self.options["recovery_min_apply_delay"] = delay
        ends_with(owner, self._end)
        _must(binary("pg_basebackup"), "-D", self.data, "-d", self._conninfo(), "-X", "stream", "-c", "fast",
              "--no-sync", "--no-manifest", *(("-C", "-S", slot) if slot else ()))
        (self.data / "standby.signal").touch()
        own(self.data / "standby.signal")
        self.start()
        wait_until(self.streams, what="the replica to stream")

    def _conninfo(self):
        return f"host={self.primary.folder} port={self.primary.port} user=postgres application_name={self.port}"

    def _settings(self):
        settings = {"primary_conninfo": f"'{self._conninfo()}'"}
        return settings | ({"primary_slot_name": f"'{self.slot}'"} if self.slot else {})

    def streams(self):
        return self.sql("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'") != []

    def follow(self, primary):
        """Another primary, after a promotion."""
        self.primary, self.slot = primary, None
        self.reload()
        wait_until(lambda: self.sql("SELECT 1 FROM pg_stat_wal_receiver WHERE status = 'streaming'"
                                    " AND sender_port = %s", primary.port), what="the replica to follow")

    def wait_for_catchup(self, seconds=30):
        """Until it has replayed all that its primary has now."""
        target = self.primary.position()
        wait_until(lambda: self.position() >= target, seconds, "the replica to catch up")

    def pause(self):
        """It replays nothing until resume(); what the primary does is received and not seen."""
        self.sql("SELECT pg_wal_replay_pause()")
        wait_until(lambda: self.value("SELECT pg_get_wal_replay_pause_state()") == "paused", what="the pause")

    def resume(self):
        self.sql("SELECT pg_wal_replay_resume()")
        wait_until(lambda: self.value("SELECT pg_get_wal_replay_pause_state()") == "not paused",
                   what="the replay to go on")
