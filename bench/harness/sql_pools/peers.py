"""What is measured: PostgreSQL itself, Sheaf, PgBouncer, pgpool, HAProxy and whatever else is named.

Sheaf and pgpool know the primary and both replicas; PgBouncer and HAProxy stand before the primary alone.
None speaks TLS to a server: PgBouncer would prefer to, and another thing would be compared.
"""
import contextlib
import os
import signal
import time

from .. import peer
from ..gauges import count_system_calls, tree, tree_cpu_ns, tree_pss_kib
from ..processes import Failed, free_ports
from ..setup import find
from .servers import PASSWORD, PASSWORD_USER
from .talk import ask, wait_until_it_answers

POOL_SIZE = 10              # server connections for reads; two replicas have half of them each
PGPOOL_SESSIONS = 210       # it has a process for each


class Peer(peer.Peer):
    """What it costs is told of its processes together."""

    has_prepared = True     # can a client prepare statements?
    pools = False           # do clients share its server connections?
    splits = False          # do reads go to replicas?
    most_sessions = 1 << 30
    can_log_in = False      # to servers, by itself?
    uses_password = False   # for servers
    passes_proof = False    # as those who prove who they are by SCRAM, of whom only a verifier is known
    knows_replicas = True
    rests = False           # is it there only while it is measured?

    @contextlib.contextmanager
    def awake(self):
        """It is there meanwhile."""
        if self.rests and self.process is None and not self.problem:
            self.start()
        try:
            yield self
        finally:
            if self.rests:
                self.stop()

    def wait(self):
        wait_until_it_answers(self.process, self.port, **self.client)

    def ports_of_servers(self):
        return self.servers.ports if self.knows_replicas else self.servers.ports[:1]

    def settle(self):
        """Until the time of what a client made it start can be told."""

    def cpu_ns(self):
        return tree_cpu_ns(self.pid)

    def pss_kib(self):
        return tree_pss_kib(self.pid)

    def system_calls(self, run):
        self.settle()
        return count_system_calls(tree(self.pid), run)

    @property
    def client(self):
        """How its clients log in."""
        return {"user": PASSWORD_USER, "password": PASSWORD} if self.passes_proof else {}

    def write_users(self):
        """An auth_file."""
        path = self.processes.folder / f"{self.name}.users"
        path.write_text(f'"{PASSWORD_USER}" "{self.servers.verifier()}"\n' if self.passes_proof
                        else '"bench" ""\n')
        return path

    @property
    def login(self):
        """User and password for servers, as URLs and PgBouncer have them."""
        return (PASSWORD_USER, PASSWORD) if self.uses_password else ("bench", None)


class Direct(Peer):
    name, title = "direct", "PostgreSQL"
    can_restart = False
    most_sessions = 250

    def start(self, cpus=None):
        self.port, self.pid = self.servers.primary.port, self.servers.primary.process.pid

    def stop(self):
        pass

    def settle(self):
        self.servers.primary.settle()


class Sheaf(Peer):
    name, title = "sheaf", "Sheaf"
    pools = True
    splits = True
    can_log_in = True
    workers, reads = 1, "causal"

    def __init__(self, processes, cpus, servers, program):
        super().__init__(processes, cpus, servers)
        self.program = program

    def wait(self, seconds=10):
        """Until reads reach the replicas too, which must be found healthy first."""
        super().wait()
        mark, end = f"ready {self.port}", time.monotonic() + seconds
        seen = ("SELECT 1 FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                f"AND query LIKE '%/* {mark} */'")
        replicas = self.ports_of_servers()[1:] if self.reads != "primary" else []
        while not all(ask(port, seen) for port in replicas) and time.monotonic() < end:
            ask(self.port, f"SELECT abalance FROM pgbench_accounts WHERE aid = 1 /* {mark} */", **self.client)

    def command(self):
        if not os.access(self.program, os.X_OK):
            raise Failed(f"{self.program} is not there")
        user, password = self.login
        login = f"{user}:{password}@" if password and not self.passes_proof else ""
        users = (f"auth = scram-sha-256\nauth_file = {self.write_users()}\n" if self.passes_proof
                 else "auth = trust\nuser = bench nopass\n")
        servers = "".join(f"{'replica' if n else 'primary'} = postgresql://{login}127.0.0.1:{port}"
                          "\n" for n, port in enumerate(self.ports_of_servers()))
        readers = len(self.ports_of_servers()) - 1 if self.knows_replicas else 1
        path = self.write(f"[proxy]\nworkers = {self.workers}\nadmin = off\n"
                          "max_sessions = 100000\n\n[sql bench]\n"
                          f"listen = postgresql://127.0.0.1:{self.port}\n{servers}"
                          f"reads = {self.reads}\npooling = transaction\npool_size = {POOL_SIZE // readers}\n"
                          f"{users}probe_user = bench\nserver_tls = off\nconsole = no\n"
                          "breaker_failures = 10000\n")
        return [self.program, "serve", path]


class TwoWorkers(Sheaf):
    name, title, workers = "sheaf2", "Sheaf, 2 w.", 2

    def start(self, cpus=None):
        super().start(cpus or self.cpus.proxy + self.cpus.all[-1:])


class PgBouncer(Peer):
    name, title = "pgbouncer", "PgBouncer"
    pools = True
    can_log_in = True
    has_prepared = False        # 1.18, in transaction pooling

    def __init__(self, processes, cpus, servers):
        super().__init__(processes, cpus, servers)
        self.user = servers.user        # it refuses to run as root

    def command(self):
        name, password = self.login
        server = f"host=127.0.0.1 port={self.servers.ports[0]}"
        if not self.passes_proof:
            server += f" user={name}" + f" password='{password}'" * bool(password)
        path = self.write(f"[databases]\nbench = {server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
                          f"listen_port = {self.port}\nunix_socket_dir =\n"
                          f"auth_type = {'scram-sha-256' if self.passes_proof else 'trust'}\n"
                          f"auth_file = {self.write_users()}\npool_mode = transaction\n"
                          f"default_pool_size = {POOL_SIZE}\nmax_client_conn = 100000\n"
                          "server_tls_sslmode = disable\n"
                          "log_connections = 0\nlog_disconnections = 0\n")
        return [find("pgbouncer") or "pgbouncer", path]


class Pgpool(Peer):
    name, title = "pgpool", "pgpool"
    splits = True
    rests = True            # its processes, though idle, lengthen everybody's p99 by a quarter: the kernel looks
                            # at pages of memory in all processes that share them
    most_sessions = PGPOOL_SESSIONS - 10
    stop_signal = signal.SIGINT

    def __init__(self, processes, cpus, servers):
        super().__init__(processes, cpus, servers)
        self.user = servers.user

    def command(self):
        folder = self.processes.folder / "pgpool"
        folder.mkdir(exist_ok=True)
        if self.user:
            os.chown(folder, *self.servers.owner())
        backends = "".join(
            f"backend_hostname{n} = '127.0.0.1'\nbackend_port{n} = {port}\nbackend_weight{n} = 1\n"
            f"backend_flag{n} = '{'DISALLOW' if n else 'ALWAYS_PRIMARY|DISALLOW'}_TO_FAILOVER'\n"
            for n, port in enumerate(self.ports_of_servers()))
        admin, = free_ports(1)
        path = self.write(
            "backend_clustering_mode = 'streaming_replication'\nlisten_addresses = '127.0.0.1'\n"
            f"port = {self.port}\nsocket_dir = '{folder}'\npcp_listen_addresses = '127.0.0.1'\n"
            f"pcp_port = {admin}\npcp_socket_dir = '{folder}'\npid_file_name = '{folder}/pid'\n"
            f"logdir = '{folder}'\nwork_dir = '{folder}'\n{backends}ssl = off\n"
            "enable_pool_hba = off\npool_passwd = ''\n"
            f"num_init_children = {PGPOOL_SESSIONS}\nmax_pool = 1\n"
            "child_life_time = 0\nchild_max_connections = 0\nconnection_life_time = 0\n"
            "client_idle_limit = 0\nload_balance_mode = on\nhealth_check_period = 0\n"
            "sr_check_period = 10\nsr_check_user = 'bench'\nsr_check_database = 'bench'\n"
            "log_min_messages = warning\n")
        nothing = folder / "nothing"
        nothing.write_text("")
        return [find("pgpool") or "pgpool", "-n", "-D", "-f", path, "-a", str(nothing), "-F",
                str(nothing)]


class Haproxy(Peer):
    name, title = "haproxy", "HAProxy TCP"
    most_sessions = 250         # each is a connection to the server

    def command(self):
        path = self.write("global\n    nbthread 1\ndefaults\n    mode tcp\n    timeout connect 5s\n"
                          "    timeout client 1h\n    timeout server 1h\nlisten bench\n"
                          f"    bind 127.0.0.1:{self.port}\n"
                          f"    server primary 127.0.0.1:{self.servers.ports[0]}\n")
        return [find("haproxy") or "haproxy", "-db", "-f", path]


class Also(peer.Also, Peer):
    pass
