"""What is measured: a Redis server itself, Sheaf, twemproxy, HAProxy and whatever else is named.

Every proxy stands before the same four Redis servers, each of which holds all keys: so a read finds
its key wherever a proxy's map looks for it.  HAProxy passes TCP and understands nothing; it deals
connections out in turn.
"""
import os

from .processes import Failed, Gone, free_ports, last_lines, pin, wait_until_it_answers
from .setup import find

SHARDS = 4


class Servers:
    """The four Redis servers behind everything."""

    def __init__(self, processes, cpus, most_clients):
        self.ports = free_ports(SHARDS)
        self.processes = []
        for port in self.ports:
            command = [find("redis-server") or "redis-server", "--port", str(port), "--bind",
                       "127.0.0.1", "--save", "", "--appendonly", "no", "--maxclients",
                       str(most_clients), "--tcp-backlog", "511", "--dir", str(processes.folder)]
            self.processes.append(processes.start(f"redis-{port}", command, cpus.servers))
        for process, port in zip(self.processes, self.ports):
            wait_until_it_answers(process, port)

    def check(self):
        for process, port in zip(self.processes, self.ports):
            if process.poll() is not None:
                raise Gone(f"the Redis server on port {port} ended with code {process.returncode}")


class Peer:
    """One thing under test.  `problem` says why there is nothing to measure, or is None."""

    name = title = ""
    sessions_per_descriptor = 1
    splits = True           # can it answer MGET over all shards?
    can_restart = True

    def __init__(self, processes, cpus, servers):
        self.processes, self.cpus, self.servers = processes, cpus, servers
        self.process = self.pid = self.port = self.problem = None

    def command(self):
        """Writes the configuration for self.port and returns the command line."""
        raise NotImplementedError

    def start(self, cpus=None):
        try:
            self.port, = free_ports(1)
            self.process = self.processes.start(self.name, self.command(), cpus or self.cpus.proxy)
            self.pid = self.process.pid
            wait_until_it_answers(self.process, self.port)
            pin(self.pid, cpus or self.cpus.proxy)
        except Failed as problem:
            self.stop()
            self.problem = str(problem)

    def stop(self):
        if self.process is not None:
            self.processes.stop(self.process)
        self.process = self.pid = None

    def restart(self, cpus=None):
        if self.can_restart:
            self.stop()
            self.start(cpus)

    def check(self):
        """Failed if there is nothing to measure, or not any more."""
        self.servers.check()
        if self.problem is None and not os.path.isdir(f"/proc/{self.pid}"):
            self.problem = f"process {self.pid} is gone"
        if self.problem is None and self.process is not None and self.process.poll() is not None:
            self.problem = (f"ended with code {self.process.returncode}: "
                            f"{last_lines(self.process.log)}")
        if self.problem:
            raise Failed(self.problem)

    def measured(self):
        """A context in which the peer stands where the proxy under test belongs."""
        return Still()

    def write(self, text):
        path = self.processes.folder / f"{self.name}.conf"
        path.write_text(text)
        return str(path)


class Still:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


class InProxysPlace:
    """Puts the first Redis server on the proxy's CPU while it is measured directly."""

    def __init__(self, pid, place, home):
        self.pid, self.place, self.home = pid, place, home

    def __enter__(self):
        pin(self.pid, self.place)

    def __exit__(self, *_):
        pin(self.pid, self.home)
        return False


class Direct(Peer):
    name, title = "direct", "Redis itself"
    can_restart = False

    def start(self, cpus=None):
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
        shards = "".join(f"shard = redis://127.0.0.1:{port}\n" for port in self.servers.ports)
        path = self.write(f"[proxy]\nworkers = {self.workers}\nadmin = off\n"
                          "max_sessions = 100000\n\n[memory bench]\n"
                          f"listen = redis://127.0.0.1:{self.port}\n{shards}")
        return [self.program, "serve", path]


class Twemproxy(Peer):
    name, title = "twemproxy", "twemproxy"

    def command(self):
        stats_port, = free_ports(1)
        servers = "".join(f"    - 127.0.0.1:{port}:1\n" for port in self.servers.ports)
        path = self.write(f"bench:\n  listen: 127.0.0.1:{self.port}\n  hash: fnv1a_64\n"
                          "  distribution: modula\n  redis: true\n  auto_eject_hosts: false\n"
                          f"  preconnect: true\n  backlog: 1024\n  servers:\n{servers}")
        return [find("nutcracker") or "nutcracker", "-c", path, "-a", "127.0.0.1", "-s",
                str(stats_port), "-v", "2", "-p", str(self.processes.folder / "nutcracker.pid")]


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


class Also(Peer):
    """An endpoint of the user's: NAME=HOST:PORT:PID.  It is measured as it runs."""

    can_restart = False

    def __init__(self, processes, cpus, servers, text):
        super().__init__(processes, cpus, servers)
        try:
            self.name, place = text.split("=", 1)
            host, port, pid = place.rsplit(":", 2)
            self.given = int(port), int(pid)
        except ValueError:
            raise Failed(f"--also {text}: expected NAME=HOST:PORT:PID") from None
        if host not in ("127.0.0.1", "localhost"):
            raise Failed(f"--also {text}: what a process costs can only be seen on this machine")
        self.title = self.name

    def start(self, cpus=None):
        self.port, self.pid = self.given
        if not os.path.isdir(f"/proc/{self.pid}"):
            self.problem = f"there is no process {self.pid}"

    def stop(self):
        pass
