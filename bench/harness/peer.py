"""One thing that is measured: how it is started, stopped, and known to be there."""
import os
import signal

from .processes import Failed, free_ports, last_lines, pin


class Peer:
    """One thing under test.  `problem` says why there is nothing to measure, or is None."""

    name = title = ""
    sessions_per_descriptor = 1
    can_restart = True
    user = None                     # whose process it is, if it cannot be that of whoever measures
    stop_signal = signal.SIGTERM    # ends it at once and tidily

    def __init__(self, processes, cpus, servers):
        self.processes, self.cpus, self.servers = processes, cpus, servers
        self.process = self.pid = self.port = self.problem = None

    def command(self):
        """Writes the configuration for self.port and returns the command line."""
        raise NotImplementedError

    def wait(self):
        """Until it answers its clients; Failed says what the log says."""
        raise NotImplementedError

    def start(self, cpus=None):
        try:
            self.port, = free_ports(1)
            self.process = self.processes.start(self.name, self.command(), cpus or self.cpus.proxy,
                                                self.user, self.stop_signal)
            self.pid = self.process.pid
            self.wait()
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


class Also:
    """An endpoint of the user's: NAME=HOST:PORT:PID.  It is measured as it runs.  Comes before a kind's
    own Peer."""

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
