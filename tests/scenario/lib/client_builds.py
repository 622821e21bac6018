"""Client programs that are built from the packages of their languages, into build/clients/LANGUAGE.

    folder = built("go")

They are built again when their sources (tests/scenario/clients/LANGUAGE) or this file change.  What has
no toolchain here, or whose packages cannot be fetched, is skipped with the reason; what was fetched and
cannot be built is a failure.
"""
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import unittest

from lib.case import REPOSITORY

_SOURCES = REPOSITORY / "tests/scenario/clients"
_FOLDER = REPOSITORY / "build/clients"
JDBC = pathlib.Path("/usr/share/java/postgresql.jar")  # of libpostgresql-jdbc-java
_SECONDS = 600  # a step on a slow network or a loaded machine; none takes a tenth of it otherwise
_outcomes = {}  # by language: the folder, or the exception that says why there is none


def built(language):
    """The folder with the clients of a language: go, rust, java, jdbc or python."""
    if language not in _outcomes:
        try:
            _outcomes[language] = _RECIPES[language](_SOURCES / language, _FOLDER / language)
        except (unittest.SkipTest, AssertionError) as why:
            _outcomes[language] = why
    if isinstance(_outcomes[language], Exception):
        raise _outcomes[language]
    return _outcomes[language]


def _go(recipe):
    recipe.env = {"GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    recipe.fetch("go", "mod", "download")
    recipe.build("go", "build", "-o", f"{recipe.out / 'bin'}/", "./go_redis", "./rueidis")


def _rust(recipe):
    crate = recipe.out / "crate"
    shutil.copytree(recipe.source, crate)
    recipe.cwd, recipe.env = crate, {"CARGO_TARGET_DIR": str(recipe.out / "target")}
    lock = crate / "Cargo.lock"
    recipe.fetch("cargo", "generate-lockfile")
    default = re.search(r'^source = "(.*)"$', lock.read_text(), re.M)[1]
    lock.write_text((crate / "Cargo.lock.in").read_text().replace("DEFAULT", default))
    recipe.fetch("cargo", "fetch", "--locked")
    recipe.build("cargo", "build", "--locked", "--offline")


def _java(recipe):
    jars = recipe.out / "jars"
    recipe.fetch("mvn", "-q", "-B", "dependency:copy-dependencies", f"-DoutputDirectory={jars}")
    recipe.cwd = jars
    recipe.build("sha256sum", "--quiet", "--check", recipe.source / "jars.sha256")
    recipe.build("javac", "-nowarn", "-d", recipe.out / "classes", "-cp", f"{jars}/*",
                 *sorted(recipe.source.glob("*.java")))


def _jdbc(recipe):
    recipe.build("javac", "-nowarn", "-d", recipe.out, "-cp", JDBC, recipe.source / "JdbcStory.java")


def _python(recipe):
    for name in ("redis", "hiredis", "glide"):
        recipe.fetch(sys.executable, "-m", "pip", "install", "-q", "--root-user-action=ignore", "--no-deps",
                     "--require-hashes", "--target", recipe.out / name, "-r", f"{name}.txt")


class _Recipe:
    """What turns the sources of a language into a folder of clients, unless that was done before."""

    def __init__(self, steps, *tools):
        self._steps, self._tools = steps, tools
        self.source = self.out = self.cwd = None
        self.env = {}

    def __call__(self, source, out):
        digest = hashlib.sha256(pathlib.Path(__file__).read_bytes())
        for file in sorted(f for f in source.rglob("*") if f.is_file()):
            digest.update(f"{file.relative_to(source)}\n".encode() + file.read_bytes())
        done = out / "built"
        if done.exists() and done.read_text() == digest.hexdigest():
            return out
        for tool in self._tools:
            if shutil.which(tool) is None:
                raise unittest.SkipTest(f"{tool} is not installed")
        self.source, self.out, self.cwd = source, out, source
        out.mkdir(parents=True, exist_ok=True)
        for old in out.iterdir():
            if old.name == "target":
                continue  # of Cargo, which knows what in it is still good
            shutil.rmtree(old) if old.is_dir() else old.unlink()
        self._steps(self)
        done.write_text(digest.hexdigest())
        return out

    def fetch(self, *command):
        """A step that needs the network, or a newer toolchain than there is: it may be impossible here."""
        code, out = self._run(command)
        if code != 0:
            lines = [line for line in out.splitlines() if "rror" in line] or out.splitlines() or ["no word"]
            raise unittest.SkipTest(f"{command[0]} cannot fetch the packages: {lines[0].strip()[:200]}")

    def build(self, *command):
        """A step that must succeed once all is there."""
        code, out = self._run(command)
        if code != 0:
            raise AssertionError(f"{' '.join(map(str, command))} ended with {code}:\n{out[-4000:]}")

    def _run(self, command):
        try:
            done = subprocess.run(
                [str(word) for word in command], cwd=self.cwd, env={**os.environ, **self.env}, timeout=_SECONDS,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        except subprocess.TimeoutExpired:
            return -1, f"no end after {_SECONDS} s"
        return done.returncode, done.stdout.decode("utf-8", "replace")


_RECIPES = {
    "go": _Recipe(_go, "go"),
    "rust": _Recipe(_rust, "cargo", "cc"),
    "java": _Recipe(_java, "mvn", "java", "javac"),
    "jdbc": _Recipe(_jdbc, "java", "javac"),
    "python": _Recipe(_python),
}
