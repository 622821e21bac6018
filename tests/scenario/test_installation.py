#!/usr/bin/python3
"""What cmake --install puts in place."""
# release only: no manual pages are made of programs with sanitizers
import gzip
import re

from lib import *
from lib.process import run
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


if __name__ == "__main__":
    main()
