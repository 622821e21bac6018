"""The PostgreSQL servers behind everything: a primary and two streaming replicas on loopback, without TLS."""
import glob
import os
import signal
import subprocess
import time

from ..gauges import tree, tree_cpu_ns
from ..processes import Failed, Gone, as_user, free_ports, last_lines
from .talk import ask, wait_until_it_answers

REPLICAS = 2
SCALE = 10
BULK_ROWS, BULK_ROW_BYTES = 300_000, 1000       # 300 MB as COPY writes them, newlines counted
CALM_SECONDS = 3                                # the kernel gives memory of ended processes away for some seconds
POOLED_MOST = 100                               # processes of the servers, with what pools keep: see wait_until_left()
KEPT_ROWS = 1000                                # of the table in which a client looks for what it wrote
CONNECTIONS = 700                               # what HAProxy and pgpool need with 200 clients each
PASSWORD_USER, PASSWORD = "keeper", "kept-secret"
SETTINGS = {
    "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "ssl": "off", "fsync": "off",
    "full_page_writes": "off", "max_connections": CONNECTIONS, "shared_buffers": "384MB",
    "autovacuum": "off", "jit": "off", "max_wal_size": "8GB", "checkpoint_timeout": "1h",
    "wal_level": "replica", "max_wal_senders": 8, "wal_keep_size": "512MB", "hot_standby": "on",
    "hot_standby_feedback": "on", "password_encryption": "scram-sha-256",
    "max_pred_locks_per_transaction": 16, "log_min_messages": "fatal", "cluster_name": "bench",
}
ACCESS = (f"host all {PASSWORD_USER} 127.0.0.1/32 scram-sha-256\n"
          "host all all 127.0.0.1/32 trust\nhost replication all 127.0.0.1/32 trust\n")


def program(name):
    """PostgreSQL 15's own program; Debian keeps them out of the path."""
    found = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)
    wanted = [path for path in found if "/15/" in path]
    if not found:
        raise Failed(f"{name} is not there (package postgresql-15)")
    return (wanted or found)[0]


def server_user():
    """PostgreSQL does not run as root."""
    return "postgres" if os.geteuid() == 0 else None


class Server:
    def __init__(self, name, port, process):
        self.name, self.port, self.process = name, port, process

    def cpu_ns(self):
        return tree_cpu_ns(self.process.pid)

    def settle(self, seconds=5):
        """Until the backends of clients that left are gone, so that their time has been told."""
        end, before = time.monotonic() + seconds, None
        while time.monotonic() < end:
            now = tree(self.process.pid)
            if now == before:
                return
            before = now
            time.sleep(0.05)


class Cluster:
    """`servers`: the primary, then the replicas."""

    def __init__(self, processes, cpus, say):
        self.processes, self.cpus, self.user, self.servers = processes, cpus, server_user(), []
        self.ports = free_ports(1 + REPLICAS)
        os.chmod(processes.folder, 0o755)
        say("starting the primary")
        primary = self.make_folder("primary")
        self.run(program("initdb"), "-D", primary, "-U", "bench", "-A", "trust", "-E", "UTF8",
                 "--no-locale", "--no-sync")
        self.write_settings(primary)
        self.start("primary", primary, self.ports[0])
        for n in range(1, 1 + REPLICAS):
            say(f"starting replica {n}")
            folder = self.make_folder(f"replica{n}")
            self.run(program("pg_basebackup"), "-h", "127.0.0.1", "-p", str(self.ports[0]), "-U",
                     "bench", "-D", folder, "-R", "-X", "stream", "-c", "fast", "--no-sync")
            self.start(f"replica{n}", folder, self.ports[n])
        say("filling the tables")
        self.fill()
        self.wait_until_replicas_have_all()
        self.warm()
        os.sync()       # or the kernel would write that to the disk while something is measured

    @property
    def primary(self):
        return self.servers[0]

    @property
    def replicas(self):
        return self.servers[1:]

    def make_folder(self, name):
        path = self.processes.folder / name
        path.mkdir(mode=0o700)
        if self.user:
            os.chown(path, *self.owner())
        return str(path)

    def owner(self):
        import pwd
        entry = pwd.getpwnam(self.user)
        return entry.pw_uid, entry.pw_gid

    def run(self, *command):
        done = subprocess.run(command, cwd="/", capture_output=True, text=True, **as_user(self.user))
        if done.returncode != 0:
            lines = (done.stderr or done.stdout).strip().splitlines()
            raise Failed(f"{os.path.basename(command[0])}: {(lines or ['failed'])[-1]}")

    @staticmethod
    def write_settings(folder):
        with open(f"{folder}/postgresql.auto.conf", "a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in SETTINGS.items())
        with open(f"{folder}/pg_hba.conf", "w") as file:
            file.write(ACCESS)

    def start(self, name, folder, port):
        process = self.processes.start(name, [program("postgres"), "-D", folder, "-p", str(port)],
                                       self.cpus.servers, user=self.user,
                                       stop_signal=signal.SIGINT, patience=10.0)
        if not self.servers:
            wait_until_database(process, port)
        wait_until_it_answers(process, port)
        self.servers.append(Server(name, port, process))

    def fill(self):
        port = self.primary.port
        self.run(program("pgbench"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-i", "-q",
                 "-s", str(SCALE), "bench")
        digits = 7
        text = BULK_ROW_BYTES - digits - 2      # the tab and the newline
        for statement in (
                f"CREATE TABLE bulk AS SELECT lpad(i::text, {digits}, '0') AS id, "
                f"left(repeat(md5(i::text), {text // 32 + 1}), {text}) AS body "
                f"FROM generate_series(1, {BULK_ROWS}) AS i",
                "CREATE TABLE kept (id int PRIMARY KEY, version bigint NOT NULL) "
                "WITH (fillfactor = 50)",
                f"INSERT INTO kept SELECT i, 0 FROM generate_series(1, {KEPT_ROWS}) AS i",
                f"CREATE ROLE {PASSWORD_USER} LOGIN PASSWORD '{PASSWORD}'",
                f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {PASSWORD_USER}",
                "CREATE EXTENSION pg_prewarm", "VACUUM ANALYZE", "CHECKPOINT"):
            ask(port, statement)

    def verifier(self):
        """By which the servers know whether somebody knows the password."""
        (text,), = ask(self.primary.port, f"SELECT rolpassword FROM pg_authid WHERE rolname = '{PASSWORD_USER}'")
        return text.decode()

    def wait_until_replicas_have_all(self, seconds=120):
        """Until what the primary has written can be seen on each replica."""
        (position,), = ask(self.primary.port, "SELECT pg_current_wal_flush_lsn()")
        end = time.monotonic() + seconds
        for replica in self.replicas:
            while ask(replica.port, f"SELECT pg_last_wal_replay_lsn() >= '{position.decode()}'") != \
                    [[b"t"]]:
                if time.monotonic() > end:
                    raise Failed(f"{replica.name} does not catch up")
                time.sleep(0.05)

    def warm(self):
        """What is asked for by key is in each server's memory, so that the first rounds find what later ones do."""
        for server in self.servers:
            ask(server.port, "SELECT pg_prewarm(c) FROM unnest(ARRAY['pgbench_accounts', 'pgbench_accounts_pkey', "
                             "'kept', 'kept_pkey']::regclass[]) c")

    def wait_until_left(self, seconds=10):
        """Until the many connections of a proxy that has one for each client are closed, and the kernel has done with
        their memory.  Its own work grows with the processes that share a server's memory, and the tails of all
        others with it."""
        end = time.monotonic() + seconds
        while sum(len(tree(server.process.pid)) for server in self.servers) > POOLED_MOST and \
                time.monotonic() < end:
            time.sleep(0.1)
        time.sleep(CALM_SECONDS)

    def check(self):
        for server in self.servers:
            if server.process.poll() is not None:
                raise Gone(f"the {server.name} ended with code {server.process.returncode}: "
                           f"{last_lines(server.process.log)}")


def wait_until_database(process, port, seconds=30):
    """Until the new server has the database that all else uses."""
    command = [program("psql"), "-h", "127.0.0.1", "-p", str(port), "-U", "bench", "-d", "postgres",
               "-qXc", "CREATE DATABASE bench"]
    end = time.monotonic() + seconds
    while True:
        done = subprocess.run(command, cwd="/", capture_output=True, text=True)
        if done.returncode == 0:
            return
        if process.poll() is not None or time.monotonic() > end:
            raise Failed(f"the primary: {done.stderr.strip()} {last_lines(process.log)}")
        time.sleep(0.1)
