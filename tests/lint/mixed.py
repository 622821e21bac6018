"""The documentation of mixed pools is made of the code's own tables, and is current.

    python3 tests/lint/mixed.py .             is it?
    python3 tests/lint/mixed.py . --write     makes it so"""
import pathlib
import re
import sys

root = pathlib.Path(sys.argv[1])
PAGE = root / "proxy/memory/mixed.md"
TABLES = (("redis_over.def", "Redis clients over memcached shards", "memcached",
           "| PING, HELLO, AUTH, SELECT, CLIENT ... | as in any pool: they are of the session or the pool |\n"
           "| all others | refused: memcached has nothing like it |"),
          ("memcached_over.def", "memcached clients over Redis and embedded shards", "Redis", "| all others | as in any pool |"))
HEAD = """# Mixed pools

`listen = redis://` over `shard = memcached://`, `listen = memcached://` over `shard = redis://` or an embedded
shard (`ram://`, `sqlite://` ...), or listeners of both protocols over any: what becomes of each command. What
can't be said exactly is refused with the command and the reason. This page is made of the tables of the code by tests/lint/mixed.py.
"""
ROW = re.compile(r'^(OVER|KIND)\((.*?), (?:(\w+),\s+)?((?:"(?:\\.|[^"\\])*"\s*)+)\)', re.M)


def rows(name):
    text = (root / "proxy/memory" / name).read_text()
    body = text[text.index("*/") + 2:]
    for kind, what, way, words in ROW.findall(body):
        told = "".join(re.findall(r'"((?:\\.|[^"\\])*)"', words)).replace("|", "\\|")
        yield kind, what.strip('"'), way, told


def page():
    out = [HEAD]
    for name, title, other, rest in TABLES:
        if not (root / "proxy/memory" / name).exists():
            continue
        text = (root / "proxy/memory" / name).read_text()
        notes = re.search(r"/\* NOTES\n(.*?)\*/", text, re.S)
        out.append(f"\n## {title}\n")
        if notes:
            out += [line.strip().removeprefix("* ").removeprefix("*") for line in notes[1].rstrip().splitlines()] + [""]
        out += ["| command | what becomes of it |", "|---|---|"]
        for kind, what, way, told in rows(name):
            named = f"other commands of @{what.lower()}" if kind == "KIND" else "`" + (what.upper() if other == "memcached" else what) + "`"
            out.append(f"| {named} | {'refused: ' + other + ' ' if kind == 'KIND' or way == 'REFUSED' else ''}{told} |")
        out.append(rest)
    return "\n".join(out) + "\n"


if "--write" in sys.argv:
    PAGE.write_text(page())
current = PAGE.exists() and PAGE.read_text() == page()
print(f"{PAGE.relative_to(root)} is {'current' if current else 'not what the tables say: run tests/lint/mixed.py . --write'}")
sys.exit(not current)
