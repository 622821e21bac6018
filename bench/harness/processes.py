"""Starts programs on chosen CPUs and stops exactly those again, whatever ends the harness."""
import ctypes
import os
import pathlib
import resource
import signal
import socket
import subprocess
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class Failed(Exception):
    """Something could not be started or measured; the text says what, for the user."""


class Gone(Exception):
    """Without this nothing more can be measured."""


class Cpus:
    """Which CPUs carry what: the proxy under test has the first one for itself."""

    def __init__(self):
        self.all = sorted(os.sched_getaffinity(0))
        self.proxy = self.all[:1]
        self.load = self.all[1:2] or self.proxy
        self.servers = self.all[2:6] or self.load

    def __str__(self):
        return f"proxy on CPU {self.proxy}, load on {self.load}, servers on {self.servers}"


def pin(pid, cpus):
    """Moves all threads of a process."""
    for task in os.listdir(f"/proc/{pid}/task"):
        os.sched_setaffinity(int(task), cpus)


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

    def start(self, name, command, cpus):
        def in_child():
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cpus)

        log = self.folder / f"{name}.log"
        try:
            with log.open("w") as out:
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out,
                                           stderr=subprocess.STDOUT, cwd=self.folder,
                                           preexec_fn=in_child, start_new_session=True)
        except OSError as problem:
            raise Failed(f"{command[0]}: {problem.strerror}") from None
        process.log = log
        self.running.append(process)
        return process

    def stop(self, process):
        """SIGTERM, and SIGKILL for what does not end within two seconds."""
        if process in self.running:
            self.running.remove(process)
        if process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def stop_all(self):
        for process in list(self.running):
            self.stop(process)


def last_lines(path, count=3):
    lines = path.read_text(errors="replace").strip().splitlines()
    return " | ".join(lines[-count:])


def ask(port, *words, timeout=2.0):
    """One Redis command on a connection of its own; returns the first bytes of the reply."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.settimeout(timeout)
        s.sendall(encode(*words))
        return s.recv(4096)


def encode(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def wait_until_it_answers(process, port, seconds=10):
    """Until a GET is answered without an error; Failed says what the log says."""
    end, reply = time.monotonic() + seconds, b"nothing"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"ended with code {process.returncode}: {last_lines(process.log)}")
        try:
            reply = ask(port, "GET", "bench:ready")
            if reply[:1] in (b"$", b"_"):
                return
        except OSError as problem:
            reply = str(problem).encode()
        time.sleep(0.05)
    raise Failed(f"does not answer: {reply[:100].decode(errors='replace')}")
