"""Starts programs on chosen CPUs and stops exactly those again, whatever ends the harness."""
import ctypes
import os
import pathlib
import pwd
import resource
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
LONGEST_SECONDS = 60        # for a load generator that is told to take some seconds
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """Something could not be started or measured; the text says what, for the user."""


class Gone(Exception):
    """Without this nothing more can be measured."""


class Cpus:
    """Which CPUs carry what: the proxy under test has the first one for itself, and the load the second, unless
    there are fewer than `needed`: then the servers share both, and all others."""

    def __init__(self, needed=1):
        self.all = sorted(os.sched_getaffinity(0))
        self.are_shared = len(self.all) < needed
        self.proxy = self.all[:1]
        self.load = self.all[1:2] or self.proxy
        self.servers = self.all if self.are_shared else self.all[2:6] or self.load

    def __str__(self):
        return f"proxy on CPU {self.proxy}, load on {self.load}, servers on {self.servers}"


def pin(pid, cpus):
    """Moves all threads of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), cpus)


def as_user(user):
    """What subprocess needs to start something as this user; nothing for None."""
    return {} if user is None else {"user": user, "group": pwd.getpwnam(user).pw_gid,
                                    "extra_groups": []}


def raise_descriptor_limit():
    """As many file descriptors as may be had; returns how many that is."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def free_ports(count):
    """Ports of 127.0.0.1 that nobody listens on, all different."""
    held = [socket.socket() for _ in range(count)]
    try:
        for s in held:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in held]
    finally:
        for s in held:
            s.close()


class Processes:
    """All that was started, and the folder with its configurations and logs."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.running = []

    def start(self, name, command, cpus, user=None, stop_signal=signal.SIGTERM, patience=2.0):
        """`stop_signal` ends it at once and tidily; `patience`: seconds until it is killed."""
        def in_child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cpus)

        log = self.folder / f"{name}.log"
        try:
            with log.open("w") as out:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=subprocess.STDOUT, cwd=self.folder,
                                           preexec_fn=in_child, start_new_session=True,
                                           **as_user(user))
        except OSError as problem:
            raise Failed(f"{command[0]}: {problem.strerror}") from None
        process.log, process.stop_signal, process.patience = log, stop_signal, patience
        self.running.append(process)
        return process

    def stop(self, process):
        """Asks it to end, and kills what does not, with all that it started."""
        if process in self.running:
            self.running.remove(process)
        if process.poll() is None:
            process.send_signal(process.stop_signal)
            try:
                process.wait(process.patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    def stop_all(self):
        for process in reversed(list(self.running)):
            self.stop(process)


def run_on(command, cpus, seconds=LONGEST_SECONDS, **options):
    """Runs something that ends by itself, on these CPUs."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds, **options,
                              preexec_fn=lambda: os.sched_setaffinity(0, cpus))
    except subprocess.TimeoutExpired:
        raise Failed(f"{os.path.basename(command[0])} did not end within {seconds} s") from None
    except OSError as problem:
        raise Failed(f"{command[0]}: {problem.strerror}") from None
    return done


def last_lines(path, count=3):
    lines = path.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-count:])
