"""A program under test or beside it: started, watched, and ended by its own process number."""
import contextlib
import ctypes
import os
import pathlib
import pwd
import signal
import subprocess
import tempfile

from lib.case import SLOW, wait_until

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long
_PR_SET_PDEATHSIG = 1
_PTRACE_SEIZE, _PTRACE_INTERRUPT, _PTRACE_DETACH = 0x4206, 0x4207, 17
_WALL = 0x40000000  # also threads


def _die_with_parent(number):
    return lambda: _libc.prctl(_PR_SET_PDEATHSIG, number)


def as_user(user):
    """What Popen() takes so that root runs a program as someone else; others run it as themselves."""
    if user is None or os.geteuid() != 0:
        return {}
    entry = pwd.getpwnam(user)
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


class Process:
    """One run of a program.  Its output goes to a file, so that a full pipe never stops it.

    `user`: whom root runs it as.  `death`: the signal by which it goes with the tests, if they are cut off."""

    def __init__(self, arguments, env=None, cwd=None, stdin=subprocess.DEVNULL, user=None,
                 death=signal.SIGKILL):
        self.arguments = [str(a) for a in arguments]
        self._out = tempfile.TemporaryFile("w+b")
        self._err = tempfile.TemporaryFile("w+b")
        self._popen = subprocess.Popen(
            self.arguments, stdin=stdin, stdout=self._out, stderr=self._err, cwd=cwd,
            env={**os.environ, **(env or {})}, preexec_fn=_die_with_parent(death), **as_user(user))
        self.pid = self._popen.pid

    @staticmethod
    def _text(file):
        size = os.fstat(file.fileno()).st_size
        return os.pread(file.fileno(), size, 0).decode("utf-8", "replace")

    @property
    def out(self):
        return self._text(self._out)

    @property
    def err(self):
        return self._text(self._err)

    @property
    def running(self):
        return self._popen.poll() is None

    def signal(self, number):
        self._popen.send_signal(number)

    @contextlib.contextmanager
    def stopped_thread(self, name):
        """One of its threads stands still, as a debugger's would, while the block is carried out."""
        number = next(int(task.name) for task in pathlib.Path(f"/proc/{self.pid}/task").iterdir()
                      if (task / "comm").read_text().strip() == name)
        for request in (_PTRACE_SEIZE, _PTRACE_INTERRUPT):
            if _libc.ptrace(request, number, None, None) != 0:
                raise OSError(ctypes.get_errno(), "ptrace")
        os.waitpid(number, _WALL)
        try:
            yield
        finally:
            _libc.ptrace(_PTRACE_DETACH, number, None, None)

    def wait(self, seconds=10):
        """The exit code; negative: the signal that killed it."""
        try:
            return self._popen.wait(seconds * SLOW)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.arguments[0]} did not end:\n{self.err[-4000:]}") from None

    def kill(self):
        if self.running:
            self._popen.send_signal(signal.SIGCONT)
            self._popen.kill()
        self._popen.wait()

    def stop(self):
        """SIGSTOP, and waits until it stands still."""
        self.signal(signal.SIGSTOP)
        wait_until(lambda: self.state() == "T", what="the process to stop")

    def cont(self):
        self.signal(signal.SIGCONT)

    def _proc(self, name):
        with open(f"/proc/{self.pid}/{name}", encoding="utf-8") as file:
            return file.read()

    def state(self):
        return self._proc("stat").rsplit(")", 1)[1].split()[0]

    def memory_kib(self):
        """Resident memory."""
        line = next(x for x in self._proc("status").splitlines() if x.startswith("VmRSS"))
        return int(line.split()[1])

    def cpu_seconds(self):
        fields = self._proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))


def run(arguments, stdin="", seconds=30, env=None, user=None):
    """Runs a program to its end: (exit code, standard output, standard error) as text."""
    done = subprocess.run(
        [str(a) for a in arguments], input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True, timeout=seconds * SLOW, env={**os.environ, **(env or {})}, check=False,
        **as_user(user))
    return (done.returncode, done.stdout.decode("utf-8", "replace"),
            done.stderr.decode("utf-8", "replace"))
