"""The base of test cases, waiting, and the small runner of a scenario file."""
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

REPOSITORY = pathlib.Path(__file__).resolve().parents[3]
SLOW = float(os.environ.get("SHEAF_SLOW", "1"))  # how much slower than usual this build is


def wait_until(condition, seconds=10, what=None):
    """Waits for a condition and returns its value; an error of a connection counts as "not yet"."""
    end = time.monotonic() + seconds * SLOW
    failure = None
    while True:
        try:
            value = condition()
            if value:
                return value
            failure = None
        except (OSError, EOFError) as error:
            failure = error
        if time.monotonic() > end:
            break
        time.sleep(0.005)
    what = what or getattr(condition, "__name__", "the condition")
    raise AssertionError(f"waited {seconds * SLOW:g} s for {what}" + (f": {failure}" if failure else ""))


def eventually(condition, seconds=10):
    """As wait_until(), for use where a failure is no error: whether it came true."""
    try:
        return bool(wait_until(condition, seconds))
    except AssertionError:
        return False


class Case(unittest.TestCase):
    """What a test starts is ended after it, in reverse; ending may fail the test."""

    longMessage = True
    maxDiff = 4000
    shared = []  # every class has its own: what all its tests use, with a method check()

    def __init_subclass__(cls):
        super().__init_subclass__()
        cls.shared = []

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.addCleanup(lambda: [each.check() for each in self.shared])

    @classmethod
    def folder(cls):
        """A folder that goes with the class."""
        if "_folder" not in cls.__dict__:
            cls._folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-test-"))
            cls.addClassCleanup(shutil.rmtree, cls._folder, ignore_errors=True)
        return cls._folder


def ends_with(owner, function, *arguments):
    """Has the function called when the owner ends: a test, or a class of tests."""
    if isinstance(owner, type):
        owner.addClassCleanup(function, *arguments)
    else:
        owner.addCleanup(function, *arguments)


class _Result(unittest.TextTestResult):
    passed = 0
    _began = 0

    def startTest(self, test):
        super().startTest(test)
        self._began = time.monotonic()

    def _tell(self, word, test, why=""):
        seconds = time.monotonic() - self._began
        name = test.id().removeprefix("__main__.") if hasattr(test, "id") else str(test)
        print(f"{word:7} {seconds:6.2f} s  {name}{why and ': '}{why}", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self._tell("ok", test)

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self._tell("FAILED", test)

    def addError(self, test, err):
        super().addError(test, err)
        self._tell("FAILED", test)

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        if err is not None:
            self._tell("FAILED", subtest)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self._tell("skipped", test, reason)


def main():
    """Runs the tests of the calling file: all, or those whose names hold a word of the command line.

    Ends with the line "N passed, N failed[, N skipped]".
    """
    loader = unittest.TestLoader()
    suite = loader.loadTestsFromModule(sys.modules["__main__"])
    words = sys.argv[1:]
    if words:
        suite = unittest.TestSuite(
            type(group)(t for t in group if any(w in t.id() for w in words)) for group in suite)
    runner = unittest.TextTestRunner(stream=sys.stdout, verbosity=0, resultclass=_Result)
    result = runner.run(suite)
    # A test that fails in several parts, or again in its cleanup, has failed once.
    failed = len({str(getattr(test, "test_case", test)) for test, _ in result.failures + result.errors})
    print(f"{result.passed} passed, {failed} failed"
          + (f", {len(result.skipped)} skipped" if result.skipped else ""), flush=True)
    sys.exit(failed > 0)
