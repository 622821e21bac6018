"""Installs what a measurement needs and builds Sheaf, release."""
import os
import shutil
import subprocess

from .processes import Failed

PACKAGES = {     # of every measurement
    "strace": "strace", "perf": "linux-perf", "cmake": "cmake", "ninja": "ninja-build",
}
SBIN = ["/usr/sbin", "/sbin", "/usr/local/sbin"]


def find(program):
    path = os.pathsep.join([os.environ.get("PATH", "")] + SBIN)
    return shutil.which(program, path=path)


def install(packages, say):
    """Installs missing packages; what cannot be had is told, and its rows stay empty."""
    missing = sorted({package for program, package in {**PACKAGES, **packages}.items()
                      if not find(program)})
    if not missing:
        return
    say(f"installing {' '.join(missing)}")
    sudo = [] if os.geteuid() == 0 else ["sudo"]
    environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    for package in missing:
        command = sudo + ["apt-get", "install", "-y", "-q", "--no-install-recommends", package]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
        except FileNotFoundError:
            raise Failed(f"{command[0]} is not there; install yourself: {' '.join(missing)}") from None
        if done.returncode != 0:
            say(f"{package} could not be installed: {(done.stderr.strip() or '?').splitlines()[-1]}")


def build(root, say, programs=()):
    """Builds sheaf-bench, which is needed, and sheaf, whose absence only empties its rows."""
    say("building (release)")
    run(["cmake", "--preset", "release"], root)
    run(["cmake", "--build", "--preset", "release", "--target", "sheaf-bench", *programs],
        root)
    try:
        run(["cmake", "--build", "--preset", "release", "--target", "sheaf"], root)
    except Failed as problem:
        say(f"sheaf is not built: {problem}")


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stdout + done.stderr).strip().splitlines()
        errors = [line for line in lines if "error" in line.lower()]
        raise Failed(f"{' '.join(command)}: {(errors or lines or ['failed'])[0].strip()}")
