"""The house rules that a machine can see and the compilers do not.  Run with the root of the tree.

A rule does not hold for a line that has a comment with the word "lint:" and a reason."""
import pathlib
import re
import subprocess
import sys

LONGEST_FUNCTION, LONGEST_FILE = 60, 800
BANNED = re.compile(r"(?<![\w.>])(strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atoll|alloca)\s*\(")
INCLUDE = re.compile(r'\s*#\s*include\s+"([^"]+)"')
TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!.*#\d)")
OWN_CASE = re.compile(r"\s*case [A-Z][A-Z0-9]*_[A-Z0-9_]+:")

root = pathlib.Path(sys.argv[1])
TOP = set(".ci .clang-format .clang-tidy .editorconfig .gitignore CMakeLists.txt CMakePresets.json LICENSE README.md quickstart"
          " bench config health proxy replica shard tests".split())
listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"],
                        capture_output=True, check=True).stdout.decode().split("\0")
sources = sorted(x for x in listed if x.endswith((".c", ".h", ".def", ".py", ".js")) and (root / x).exists())
bad = 0


def complain(name, number, text):
    global bad
    bad += 1
    print(f"{name}:{number}: {text}")


def check_functions(name, lines):
    """Linux braces: a function's body stands between a { and a } that begin their lines."""
    began = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            began = number
        elif line == "}" and began:
            if number - began > LONGEST_FUNCTION:
                complain(name, began, f"a function of {number - began - 1} lines, more than {LONGEST_FUNCTION}")
            began = None


def check_switches(name, lines):
    """No default over our own enums: the compiler then tells of a case that is missing."""
    for number, line in enumerate(lines, 1):
        if not re.match(r"\s*default:", line):
            continue
        indent = len(line) - len(line.lstrip())
        cases = []
        for above in reversed(lines[:number - 1]):
            depth = len(above) - len(above.lstrip())
            if above.strip() and depth <= indent and above.lstrip().startswith("switch"):
                break
            if depth == indent and re.match(r"\s*case ", above):
                cases.append(above)
        if cases and all(OWN_CASE.match(c) for c in cases) and "errno" not in above:
            if any(m in OURS for c in cases for m in re.findall(r"[A-Z][A-Z0-9_]+", c)):
                complain(name, number, "a default over our own enum")


# Where what clients sign is compared: CRYPTO_memcmp() and the like take as long whatever they find.
SIGNED = ("proxy/wire/sigv4.c", "proxy/wire/aws_chunked.c")
HASTY = re.compile(r"\b(?:memcmp|strn?cmp|slice_is)\(")


def is_generated(path):
    return path.name in BUILD or f"sheaf_registry({path.stem} " in BUILD


def check_line(name, number, line):
    if TODO.search(line):
        complain(name, number, "work left to do, without an issue")
    if not name.endswith((".c", ".h")):
        return
    found = BANNED.search(re.sub(r'"(\\.|[^"\\])*"', '""', line).split("//")[0])
    if found and not line.lstrip().startswith(("*", "/*")):
        complain(name, number, f"{found[1]} is banned")
    if name in SIGNED and HASTY.search(line):
        complain(name, number, "a comparison whose time tells how much of a signature is right")
    include = INCLUDE.match(line)
    if include and not (root / include[1]).exists() and not is_generated(pathlib.Path(include[1])):
        complain(name, number, f"{include[1]} is not written from the root")
    if len(line) > 100:
        complain(name, number, f"{len(line)} columns, more than 100")


BUILD = (root / "CMakeLists.txt").read_text()  # it names what it generates
CODE = "\n".join((root / x).read_text() for x in sources if x.endswith((".h", ".c")))
# What our enums have: one a line, or all in one.
OURS = set(re.findall(r"^[ \t]+([A-Z][A-Z0-9_]+)\s*[,=]", CODE, re.M))
OURS |= {name for line in re.findall(r"^enum \w+ {.*", CODE, re.M) for name in re.findall(r"[A-Z][A-Z0-9_]+", line)}
for name in sorted({x.split("/")[0] for x in listed if (root / x).exists()} - TOP - {""}):
    complain(name, 1, "nobody expects it at the top level")
for name in sources:
    lines = (root / name).read_text().split("\n")
    if len(lines) > LONGEST_FILE:
        complain(name, len(lines), f"{len(lines)} lines, more than {LONGEST_FILE}")
    for number, line in enumerate(lines, 1):
        if "lint:" not in line and name != "tests/lint/house.py":
            check_line(name, number, line)
    if name.endswith(".c"):
        check_functions(name, lines)
    if name.endswith((".c", ".h")):
        check_switches(name, lines)
print(f"{len(sources)} files looked at, {bad} against the rules")
sys.exit(bad != 0)
