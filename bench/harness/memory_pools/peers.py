"""What is measured: a server itself, Sheaf, twemproxy, HAProxy, predixy and whatever else is named.

Every proxy stands before the same four servers, each of which holds all keys: so a read finds
its key wherever a proxy's map looks for it.  HAProxy passes TCP and understands nothing; it deals
connections out in turn.
"""
import os

from .. import peer
from ..processes import Failed, Gone, free_ports, pin
from ..setup import find
from .talk import wait_until_it_answers

SHARDS = 4


class Servers:
    """The four Redis servers behind everything."""

    kind, scheme = "Redis", "redis"
    twemproxy = "  redis: true\n"      # what its configuration says of them
    user = None     # whose processes they are, if they cannot be those of whoever measures
    wait = staticmethod(wait_until_it_answers)

    def __init__(self, processes, cpus, most_clients):
        self.ports = free_ports(SHARDS)
        self.processes = []
        for port in self.ports:
            command = self.command(port, most_clients, str(processes.folder))
            self.processes.append(processes.start(f"{self.scheme}-{port}", command, cpus.servers,
                                                  self.user))
        for process, port in zip(self.processes, self.ports):
            self.wait(process, port)

    def command(self, port, most_clients, folder):
        return [find("redis-server") or "redis-server", "--port", str(port), "--bind", "127.0.0.1",
                "--save", "", "--appendonly", "no", "--maxclients", str(most_clients),
                "--tcp-backlog", "511", "--dir", folder]

    def check(self):
        for process, port in zip(self.processes, self.ports):
            if process.poll() is not None:
                raise Gone(f"the {self.kind} server on port {port} ended with code {process.returncode}")


class Peer(peer.Peer):
    splits = True           # can it answer MGET over all shards?

    def wait(self):
        self.servers.wait(self.process, self.port)


class InProxysPlace:
    """Puts the first server on the proxy's CPU while it is measured directly."""

    def __init__(self, pid, place, home):
        self.pid, self.place, self.home = pid, place, home

    def __enter__(self):
        pin(self.pid, self.place)

    def __exit__(self, *_):
        pin(self.pid, self.home)
        return False


class Direct(Peer):
    name = "direct"
    can_restart = False

    def start(self, cpus=None):
        self.title = f"{self.servers.kind} itself"
        self.port, self.pid = self.servers.ports[0], self.servers.processes[0].pid

    def stop(self):
        pass

    def measured(self):
        return InProxysPlace(self.pid, self.cpus.proxy, self.cpus.servers)


class Sheaf(Peer):
    name, title = "sheaf", "Sheaf"
    workers = 1

    def __init__(self, processes, cpus, servers, program):
        super().__init__(processes, cpus, servers)
        self.program = program

    def command(self):
        if not os.access(self.program, os.X_OK):
            raise Failed(f"{self.program} is not there")
        scheme = self.servers.scheme
        shards = "".join(f"shard = {scheme}://127.0.0.1:{port}\n" for port in self.servers.ports)
        path = self.write(f"[proxy]\nworkers = {self.workers}\nadmin = off\n"
                          "max_sessions = 100000\n\n[memory bench]\n"
                          f"listen = {scheme}://127.0.0.1:{self.port}\n{shards}")
        return [self.program, "serve", path]


class Twemproxy(Peer):
    name, title = "twemproxy", "twemproxy"

    def command(self):
        stats_port, = free_ports(1)
        servers = "".join(f"    - 127.0.0.1:{port}:1\n" for port in self.servers.ports)
        path = self.write(f"bench:\n  listen: 127.0.0.1:{self.port}\n  hash: fnv1a_64\n"
                          f"  distribution: modula\n{self.servers.twemproxy}"
                          "  auto_eject_hosts: false\n"
                          f"  preconnect: true\n  backlog: 1024\n  servers:\n{servers}")
        return [find("nutcracker") or "nutcracker", "-c", path, "-a", "127.0.0.1", "-s",
                str(stats_port), "-v", "2", "-p", str(self.processes.folder / "nutcracker.pid")]


class Predixy(Peer):
    """No distribution packages it: it is measured where somebody has built it."""

    name, title = "predixy", "predixy"

    @staticmethod
    def is_here():
        return find("predixy") is not None

    def command(self):
        groups = "".join(f"    Group shard{i} {{\n        + 127.0.0.1:{port}\n    }}\n"
                         for i, port in enumerate(self.servers.ports))
        path = self.write(f"Name bench\nBind 127.0.0.1:{self.port}\nWorkerThreads 1\n"
                          "ClientTimeout 0\nLogVerbSample 0\nLogDebugSample 0\nLogInfoSample 0\n"
                          "LogNoticeSample 0\nLogWarnSample 1\nLogErrorSample 1\n"
                          "StandaloneServerPool {\n    Databases 1\n    Hash crc16\n"
                          '    HashTag "{}"\n    Distribution modula\n    RefreshMethod fixed\n'
                          f"{groups}}}\n")
        return [find("predixy"), path]


class Haproxy(Peer):
    name, title = "haproxy", "HAProxy TCP"
    sessions_per_descriptor = 0.5
    splits = False

    def command(self):
        servers = "".join(f"    server s{i} 127.0.0.1:{port}\n"
                          for i, port in enumerate(self.servers.ports))
        path = self.write("global\n    nbthread 1\ndefaults\n    mode tcp\n    timeout connect 5s\n"
                          "    timeout client 1h\n    timeout server 1h\nlisten bench\n"
                          f"    bind 127.0.0.1:{self.port}\n    balance roundrobin\n{servers}")
        return [find("haproxy") or "haproxy", "-db", "-f", path]


class Also(peer.Also, Peer):
    pass
