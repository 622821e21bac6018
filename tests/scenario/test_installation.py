#!/usr/bin/python3
"""What cmake --install puts in place, and ./quickstart."""
# release only: no manual pages are made of programs with sanitizers
import gzip
import pathlib
import re
import signal
import unittest
import urllib.error
import urllib.request

from lib import *
from lib.process import Process, run
from lib.sheaf import BINARY


class Installation(Case):
    """What cmake --install puts in place, from the build that these tests run."""

    def test_all_is_there_and_true(self):
        root = self.folder() / "root"
        code, out, err = run(["cmake", "--install", BINARY.parent, "--prefix", "/usr"], "", 60, {"DESTDIR": str(root)})
        self.assertEqual(code, 0, out + err)
        sheaf = root / "usr/bin/sheaf"
        self.assertEqual(run([sheaf, "check", root / "usr/share/doc/sheaf/examples/sheaf.ini"], "", 10)[0], 0)
        _, document, _ = run([sheaf, "check", "--document"], "", 10)
        with gzip.open(root / "usr/share/man/man5/sheaf.ini.5.gz", "rt") as page:
            manual = page.read().replace("\\-", "-")
        for option in re.findall(r"^\| `(\w+)` ", document, re.M):
            self.assertIn(f"\n.B {option}\n", manual)
        for page in ("man1/sheaf.1.gz", "man1/sheaf-bench.1.gz"):
            with gzip.open(root / "usr/share/man" / page, "rt") as file:
                self.assertNotRegex(file.read(), r"@\w+@")
        for typed, found in ((["st"], ["status"]), (["status", "--j"], ["--json"]),
                             (["route", str(root / "usr/share/doc/sheaf/examples/sheaf.ini"), "s"], ["sessions"])):
            words = " ".join(["sheaf", *typed])
            script = (f"source {root}/usr/share/bash-completion/completions/sheaf; COMP_WORDS=({words}); "
                      f"COMP_CWORD={len(typed)}; _sheaf; echo ${{COMPREPLY[@]}}")
            self.assertEqual(run(["bash", "-c", script], "", 10)[1].split(), found)
        unit = (root / "usr/lib/systemd/system/sheaf.service").read_text()
        self.assertIn("ExecStart=sheaf serve /etc/sheaf/sheaf.ini", unit)
        self.assertIn("\nStandardError=journal\n", unit, "else it goes where standard output goes")
        self.assertEqual(set(re.findall(r"^Exec\w+=(\S+)", unit, re.M)), {"sheaf", "sh"}, "what every Debian has")
        self.assertIn("sheaf", (root / "usr/lib/sysusers.d/sheaf.conf").read_text())


class Quickstart(Case):
    @staticmethod
    def processes_of(folder):
        found = []
        for process in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                if str(folder).encode() in (process / "cmdline").read_bytes():
                    found.append(process.name)
            except OSError:
                pass  # it has ended meanwhile
        return found

    @unittest.skipUnless(BINARY == REPOSITORY / "build/release/sheaf", "it would have to be built first")
    def test_it_serves_until_ctrl_c_and_leaves_nothing(self):
        folder = self.folder() / "temporary"
        folder.mkdir()
        # A shell cannot trap what was ignored when it began, as SIGINT is in what runs in the background.
        demo = Process(["env", "--default-signal=INT", REPOSITORY / "quickstart"], {"TMPDIR": str(folder)},
                       cwd="/", death=signal.SIGTERM)
        self.addCleanup(lambda: demo.running and (demo.signal(signal.SIGTERM), demo.wait()))
        wait_until(lambda: "Ctrl-C\n" in demo.out or not demo.running, seconds=120, what="quickstart")
        self.assertTrue(demo.running, demo.err)
        redis = int(re.search(r"serves redis://127\.0\.0\.1:(\d+)", demo.out)[1])
        blobs = re.search(r"(http://127\.0\.0\.1:\d+), which speaks S3", demo.out)[1]
        admin = re.search(r"sheaf status (\S+)", demo.out)[1]
        with RespSession(("127.0.0.1", redis)) as session:
            self.assertEqual(session.ask("MSET", "apple", "1", "banana", "2", "cherry", "3"), "OK")
            self.assertEqual(session.ask("MGET", "apple", "banana", "cherry"), [b"1", b"2", b"3"])
        with self.assertRaises(urllib.error.HTTPError) as refusal:
            urllib.request.urlopen(blobs, timeout=10)
        self.assertIn(b"<Code>AccessDenied</Code>", refusal.exception.read())
        code, out, err = run([BINARY, "status", admin], "", 10)
        self.assertEqual(code, 0, err)
        self.assertIn("demo-blobs", out)
        self.assertNotEqual(self.processes_of(folder), [])
        demo.signal(signal.SIGINT)
        self.assertEqual(demo.wait(), 0, demo.err)
        self.assertEqual(self.processes_of(folder), [])
        self.assertEqual(list(folder.iterdir()), [])


if __name__ == "__main__":
    main()
