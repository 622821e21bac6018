#!/usr/bin/python3
# release only: the package is made of that build
"""The .deb that cpack makes: what is in it, and that the service starts from it.

SHEAF_LONG=1 also installs it in a fresh Debian 12 (debootstrap) that is booted in a container (systemd-nspawn): there
systemd starts it, reloads it and stops it, and it is upgraded, removed and purged."""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from lib import *
from lib.process import Process, run
from lib.sheaf import BINARY

LONG = os.environ.get("SHEAF_LONG") == "1"
BUILD = BINARY.parent
FILES = {
    "./usr/bin/sheaf": "-rwxr-xr-x root/root", "./usr/bin/sheaf-bench": "-rwxr-xr-x root/root",
    "./etc/sheaf/sheaf.ini": "-rw-r----- root/root", "./usr/lib/systemd/system/sheaf.service": "-rw-r--r-- root/root",
    "./usr/lib/sysusers.d/sheaf.conf": "-rw-r--r-- root/root", "./usr/share/man/man1/sheaf.1.gz": "-rw-r--r-- root/root",
    "./usr/share/man/man1/sheaf-bench.1.gz": "-rw-r--r-- root/root", "./usr/share/man/man5/sheaf.ini.5.gz": "-rw-r--r-- root/root",
    "./usr/share/doc/sheaf/copyright": "-rw-r--r-- root/root", "./usr/share/doc/sheaf/changelog.gz": "-rw-r--r-- root/root",
    "./usr/share/doc/sheaf/examples/sheaf.ini": "-rw-r--r-- root/root",
    "./usr/share/doc/sheaf/examples/stalwart.ini": "-rw-r--r-- root/root",
    "./usr/share/bash-completion/completions/sheaf": "-rw-r--r-- root/root",
}


def setUpModule():
    if SLOW > 1:
        raise unittest.SkipTest("the package is of the release build")
    Package.make()


class Package:
    """Made once, in a folder of its own."""
    folder = file = None

    @classmethod
    def make(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp(prefix="sheaf-package-"))
        unittest.addModuleCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        done = subprocess.run(["cpack", "--config", BUILD / "CPackConfig.cmake", "-B", cls.folder,
                               "-D", "CPACK_DEBIAN_COMPRESSION_TYPE=gzip"], cwd=BUILD, capture_output=True,
                              text=True, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        cls.file, = cls.folder.glob("*.deb")


def deb(*arguments):
    return run(["dpkg-deb", *arguments], "", 30)[1]


class Deb(Case):
    def test_it_has_all_its_files_with_the_rights_that_they_need(self):
        rows = [line.split() for line in deb("-c", Package.file).splitlines()]
        self.assertEqual({row[5]: " ".join(row[:2]) for row in rows if row[0][0] != "d"}, FILES)

    def test_it_says_what_it_needs(self):
        fields = dict(line.split(": ", 1) for line in deb("-f", Package.file).splitlines() if ": " in line and line[0] != " ")
        self.assertEqual((fields["Package"], fields["Section"]), ("sheaf", "net"))
        needs = {word.split(" ")[0] for word in fields["Depends"].split(", ")}
        linked = re.findall(r"NEEDED +(\S+)", run(["objdump", "-p", BINARY], "", 10)[1])
        found = [path for path in run(["ldd", BINARY], "", 10)[1].split() if path[0] == "/" and os.path.basename(path) in linked]
        owners = run(["dpkg", "-S", *found, *map(os.path.realpath, found)], "", 30)[1]     # /lib is /usr/lib, unknown to dpkg
        self.assertEqual({line.split(":")[0] for line in owners.splitlines()} | {"adduser"}, needs)
        for script in ("postinst", "prerm", "postrm"):
            text = run(["dpkg-deb", "-I", Package.file, script], "", 30)[1]
            self.assertEqual(run(["sh", "-n"], text, 10)[0], 0)
            self.assertTrue(text.startswith("#!/bin/sh\n") and "\nset -e\n" in text, script)
        self.assertEqual(run(["dpkg-deb", "-I", Package.file, "conffiles"], "", 30)[1], "/etc/sheaf/sheaf.ini\n")

    def test_what_it_holds_serves_as_its_unit_has_it(self):
        root = self.folder() / "root"
        deb("-x", Package.file, root)
        unit = (root / "usr/lib/systemd/system/sheaf.service").read_text()
        start = re.search(r"(?m)^ExecStart=(.*)$", unit)[1].split(" ")
        check = re.search(r"(?m)^ExecStartPre=(.*)$", unit)[1].split(" ")
        reload = re.findall(r"(?m)^ExecReload=(.*)$", unit)
        self.assertEqual(reload, [" ".join(check), 'sh -c "kill -HUP $MAINPID"'])
        redis, listener, admin = RedisServer(self), free_port(), free_port()
        file = root / "etc/sheaf/sheaf.ini"
        text = file.read_text()
        for theirs, ours in ((9070, admin), (6380, listener), (6379, redis.port)):
            self.assertIn(f":{theirs}\n", text)
            text = text.replace(f":{theirs}\n", f":{ours}\n")
        file.write_text(text)
        here = {"PATH": f"{root}/usr/bin:{os.environ['PATH']}"}
        checked = run([str(file) if word.endswith(".ini") else word for word in check], "", 10, here)
        self.assertEqual(checked[0], 0, checked)
        sheaf = Process([str(file) if word.endswith(".ini") else word for word in ["env", *start]], env=here, cwd=self.folder())
        self.addCleanup(sheaf.kill)
        wait_until(lambda: "sheaf is ready" in sheaf.err, what="it to serve")
        with RespSession(("127.0.0.1", listener)) as session:
            self.assertEqual(session.ask("SET", "hello", "world"), "OK")
        self.assertEqual(redis.ask("GET", "hello"), b"world")
        code, out, err = run(["sheaf", "status", file], "", 10, here)
        self.assertEqual((code, "main" in out), (0, True), err)
        file.write_text(text + "\n[memory more]\nlisten = redis://127.0.0.1:%d\nshard = ram://1mb\n" % free_port())
        self.assertEqual(run(["sh", "-c", 'kill -HUP "$MAINPID"'], "", 10, {"MAINPID": str(sheaf.pid)})[0], 0)
        wait_until(lambda: "configuration reloaded" in sheaf.err, what="the reload")
        sheaf.signal(signal.SIGTERM)
        self.assertEqual(sheaf.wait(), 0, sheaf.err)


@unittest.skipUnless(LONG, "it takes a minute: SHEAF_LONG=1")
@unittest.skipUnless(os.geteuid() == 0, "containers are made by root")
class Installed(Case):
    """In a Debian 12 of its own, with its own systemd and its own network: what an operator would do."""

    @classmethod
    def setUpClass(cls):
        for program in ("debootstrap", "systemd-nspawn"):
            if shutil.which(program) is None:
                raise unittest.SkipTest(f"there is no {program}")
        cls.root = cls.folder() / "debian"
        mirrors = run(["apt-get", "indextargets", "--format", "$(REPO_URI)", "Component: main"], "", 30)[1].split()
        mirror = next((each for each in mirrors if each.rstrip("/").endswith("/debian")), None)
        made = run(["debootstrap", "--variant=minbase", "bookworm", cls.root, mirror or ""], "", 600)
        if made[0] != 0:
            raise unittest.SkipTest(f"debootstrap: {(made[1] + made[2])[-300:]}")
        cls.install(["apt-get", "install", "-qq", "-y", "--no-install-recommends", "systemd-sysv", "dbus", "redis-server"])
        shutil.copy(Package.file, cls.root / "root/sheaf.deb")
        cls.install(["apt", "install", "-y", "/root/sheaf.deb"])
        cls.container = Process(["systemd-nspawn", "-q", "-D", cls.root, "-b", "--register=no", "--keep-unit",
                                 "--private-network", f"--machine=sheaf{os.getpid()}", "--console=pipe"])
        cls.addClassCleanup(cls.container.kill)
        wait_until(lambda: cls.leader() and cls.inside("systemctl", "is-system-running", "--wait")[1].strip() == "running",
                   seconds=60, what="the container to be up")

    @classmethod
    def install(cls, command):
        code, out, err = run(["chroot", cls.root, "env", "DEBIAN_FRONTEND=noninteractive", *command], "", 600)
        assert code == 0, out[-2000:] + err[-2000:]

    @classmethod
    def leader(cls):
        """Its first process, as seen from here."""
        pid = cls.container.pid
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().strip()

    @classmethod
    def inside(cls, *words):
        return run(["nsenter", "-t", cls.leader(), "-m", "-n", "-p", "-u", "-i", "-r", "-w", "--", *words], "", 120)

    def does(self, *words):
        code, out, err = self.inside(*words)
        self.assertEqual(code, 0, (words, out, err))
        return out.strip()

    def state(self):
        return self.inside("systemctl", "is-active", "sheaf")[1].strip()

    def status_line(self):
        return self.does("systemctl", "show", "-P", "StatusText", "sheaf")

    def configure(self, text):
        (self.root / "etc/sheaf/sheaf.ini").write_text(text)

    def test_an_operator_installs_serves_reloads_upgrades_removes_and_purges(self):
        self.it_serves_as_its_own_user()
        self.it_keeps_keys_below_its_folder_and_reloads()
        self.it_is_upgraded_as_its_operator_left_it()
        self.what_it_leaves_is_what_it_ought_to()

    def it_serves_as_its_own_user(self):
        self.assertEqual(self.state(), "active")
        self.assertEqual(self.does("systemctl", "is-enabled", "sheaf"), "enabled")
        self.assertEqual(self.does("redis-cli", "-p", "6380", "SET", "hello", "world"), "OK")
        self.assertEqual(self.does("redis-cli", "-p", "6379", "GET", "hello"), "world")
        self.assertIn("127.0.0.1:6379  up", self.does("sheaf", "status"))
        self.assertEqual(self.does("stat", "-c", "%U:%G %a", "/etc/sheaf/sheaf.ini"), "root:sheaf 640")
        self.assertEqual(self.does("stat", "-c", "%U:%G", "/var/lib/sheaf", "/run/sheaf"), "sheaf:sheaf\nsheaf:sheaf")
        process = self.does("cat", f"/proc/{self.does('systemctl', 'show', '-P', 'MainPID', 'sheaf')}/status")
        self.assertIn(f"Uid:\t{self.does('id', '-u', 'sheaf')}\t", process)
        self.assertIn("CapBnd:\t0000000000000400\n", process)
        self.does("systemd-analyze", "verify", "--man=no", "sheaf.service")
        exposure = re.search(r"Overall exposure level for sheaf.service: ([\d.]+) OK",
                             self.does("systemd-analyze", "security", "--no-pager", "sheaf.service"))
        self.assertLess(float(exposure[1]), 2)

    def it_keeps_keys_below_its_folder_and_reloads(self):
        """A low port, files, a Unix socket and a secret: what the unit's walls must let through."""
        kept = """[proxy]
admin = http://127.0.0.1:9070
[memory kept]
listen = redis://127.0.0.1:380
listen = redis+unix:///run/sheaf/redis.sock
shard = sqlite:///var/lib/sheaf/keys.db
shard = rocksdb:///var/lib/sheaf/rocks
user = default ${SECRET}
"""
        self.configure(kept)
        (self.root / "etc/sheaf/environment").write_text("SECRET=hush\n")
        self.does("systemctl", "reload", "sheaf")   # its check knows the new variable, the process does not
        wait_until(lambda: 'variable "SECRET" is not set' in self.status_line(), what="the refusal")
        self.does("systemctl", "restart", "sheaf")
        ask = ["redis-cli", "--no-auth-warning", "-a", "hush", "-s", "/run/sheaf/redis.sock"]
        self.assertEqual(self.does(*ask, "MSET", *"a 1 b 2 c 3 d 4 e 5".split()), "OK")
        self.configure(kept + "oops = 1\n")
        self.assertNotEqual(self.inside("systemctl", "reload", "sheaf")[0], 0)
        self.assertEqual(self.state(), "active")
        self.configure(kept + "[memory more]\nlisten = redis://127.0.0.1:6381\nshard = ram://1mb\n")
        self.does("systemctl", "reload", "sheaf")
        wait_until(lambda: self.inside("redis-cli", "-p", "6381", "SET", "x", "y")[1].strip() == "OK", what="the new pool")
        self.assertEqual(self.status_line(), "configuration 2 is served")

    def kept_keys(self):
        return self.does("redis-cli", "--no-auth-warning", "-a", "hush", "-p", "380", "MGET", *"abcde").split()

    def it_is_upgraded_as_its_operator_left_it(self):
        self.does("dpkg", "-i", "/root/sheaf.deb")
        self.assertEqual((self.state(), self.kept_keys()), ("active", list("12345")))
        self.assertIn("[memory more]", (self.root / "etc/sheaf/sheaf.ini").read_text())
        self.does("systemctl", "disable", "--now", "sheaf")
        self.does("dpkg", "-i", "/root/sheaf.deb")
        self.assertEqual((self.state(), self.inside("systemctl", "is-enabled", "sheaf")[1].strip()), ("inactive", "disabled"))
        self.does("systemctl", "enable", "--now", "sheaf")

    def what_it_leaves_is_what_it_ought_to(self):
        self.does("apt-get", "remove", "-y", "sheaf")
        self.assertEqual(self.state(), "inactive")
        self.does("ls", "/etc/sheaf/sheaf.ini", "/etc/sheaf/environment", "/var/lib/sheaf/keys.db")
        self.does("apt-get", "install", "-y", "/root/sheaf.deb")
        self.assertEqual((self.state(), self.kept_keys()), ("active", list("12345")))
        self.does("apt-get", "purge", "-y", "sheaf")
        left = self.does("find", "/", "-xdev", "-iname", "*sheaf*", "-not", "-path", "/proc/*", "-not", "-path", "/sys/*")
        self.assertEqual(left, "/root/sheaf.deb")
        self.does("id", "sheaf")    # files may still be its own


if __name__ == "__main__":
    main()
