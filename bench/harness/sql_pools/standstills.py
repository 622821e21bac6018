"""Moments in which a CPU stood still, whoever was to run: the machine beneath it was elsewhere, or its kernel did not let go.
They delay all clients that wait just then, and the more of these there are in a second, the more of p99 is the machine's."""
import bisect
import subprocess


class Standstills:
    """Watched while it is entered; then a list of (from, to), in seconds since 1970, that don't overlap.  `problem`: why
    nothing is known; "" if it is."""

    def __init__(self, program, cpus):
        self.program, self.cpus, self.problem, self.found = program, cpus, "", []

    def __enter__(self):
        try:
            self.watch = subprocess.Popen([self.program, *map(str, self.cpus)], stdin=subprocess.PIPE,
                                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        except OSError as problem:
            self.watch, self.problem = None, f"hiccups: {problem}"
        return self

    def __exit__(self, *_):
        if self.watch is None:
            return False
        said, errors = self.watch.communicate()
        if self.watch.returncode != 0:
            self.problem = errors.strip() or "hiccups failed"
        for begin, end in sorted(tuple(map(float, line.split())) for line in said.splitlines()):
            if self.found and begin <= self.found[-1][1]:
                self.found[-1] = self.found[-1][0], max(self.found[-1][1], end)
            else:
                self.found.append((begin, end))
        return False

    def spared(self, transactions):
        """Those of (when it ended, microseconds) that none of them fell into."""
        ends = [end for _, end in self.found]

        def is_spared(when, took):
            at = bisect.bisect_left(ends, when - took / 1e6)
            return at == len(self.found) or self.found[at][0] >= when

        return [(when, took) for when, took in transactions if is_spared(when, took)]
