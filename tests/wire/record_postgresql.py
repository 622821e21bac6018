#!/usr/bin/python3
"""Records tests/wire/postgresql/*.txt from a real PostgreSQL, which it starts and stops; not as root.
Fuzzers begin with the same: tests/fuzz/corpus/pgwire and pg_login.

Lines: '# comment', '> request', '< reply', bytes escaped as in C.  A request is one or several messages
as a client says them, a reply all that the server says to them.
"""
import base64
import hashlib
import hmac
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "postgresql")
BIN = os.environ.get("PG_BIN", "/usr/lib/postgresql/15/bin")


def text(s):
    return (s if isinstance(s, bytes) else s.encode()) + b"\0"


def message(kind, *parts):
    body = b"".join(parts)
    return kind + struct.pack("!I", len(body) + 4) + body


def opening(code, body=b""):
    return struct.pack("!II", len(body) + 8, code) + body


def startup(version=0x30000, **parameters):
    return opening(version, b"".join(text(k) + text(v) for k, v in parameters.items()) + b"\0")


def query(sql):
    return message(b"Q", text(sql))


def parse(name, sql, *types):
    return message(b"P", text(name), text(sql), struct.pack("!H", len(types)),
                   b"".join(struct.pack("!I", t) for t in types))


def bind(portal, name, *values, formats=(), results=()):
    packed = [b"\xff\xff\xff\xff" if v is None else struct.pack("!I", len(v)) + v for v in values]
    return message(b"B", text(portal), text(name),
                   struct.pack("!H%dH" % len(formats), len(formats), *formats),
                   struct.pack("!H", len(values)), *packed,
                   struct.pack("!H%dH" % len(results), len(results), *results))


def describe(kind, name):
    return message(b"D", kind, text(name))


def close(kind, name):
    return message(b"C", kind, text(name))


def execute(portal, rows=0):
    return message(b"E", text(portal), struct.pack("!i", rows))


SYNC, FLUSH, COPY_DONE = message(b"S"), message(b"H"), message(b"c")
REQUESTS = [
    query("SELECT 1 AS one, NULL AS none, 'text' AS \"Text\", ''"),
    query("SELECT; SELECT 2"), query(""), query(" ; "),
    query("SELECT nosuch FROM nowhere"), query("SELEKT 1"), query("SELECT 1/0"),
    query("CREATE TABLE t (id int PRIMARY KEY, v varchar(9) NOT NULL, n numeric(8,2)[])"),
    query("INSERT INTO t VALUES (1, 'a', '{1.5,NULL}'), (2, 'b', NULL)"),
    query("INSERT INTO t VALUES (1, 'again', NULL)"), query("INSERT INTO t VALUES (3, NULL, NULL)"),
    query("SELECT * FROM t ORDER BY id"), query("UPDATE t SET v = 'c'; DELETE FROM t WHERE id = 7"),
    query("DO $$BEGIN RAISE NOTICE 'look' USING DETAIL = 'here', HINT = 'there'; END$$"),
    query("DO $$BEGIN EXECUTE 'SELECT * FROM nowhere'; END$$"),
    query("DROP TABLE IF EXISTS nowhere"), query("SET application_name TO 'renamed'"),
    query("SET DateStyle TO German, DMY"), query("LISTEN c"), query("NOTIFY c, 'payload'"),
    query("BEGIN"), query("SELECT 1/0"), query("SELECT 1"), query("ROLLBACK"),
    parse("s", "SELECT $1::int + 1, $2::text", 23) + describe(b"S", "s") + SYNC,
    bind("", "s", b"41", b"x") + describe(b"P", "") + execute("") + SYNC,
    bind("", "s", struct.pack("!i", 41), None, formats=(1, 0), results=(1,)) + execute("") + SYNC,
    parse("", "SELECT generate_series(1, 3)") + bind("p", "") + execute("p", 2) + execute("p", 2) + SYNC,
    parse("", "") + bind("", "") + execute("") + SYNC,
    parse("", "INSERT INTO t VALUES (9, 'z', NULL)") + describe(b"S", "") + bind("", "") + execute("") + SYNC,
    bind("", "nosuch") + execute("") + SYNC, parse("s", "SELECT 1") + SYNC,
    parse("", "SELECT 1") + FLUSH, SYNC, close(b"S", "s") + close(b"P", "nosuch") + SYNC,
    query("COPY t (id, v) TO STDOUT"), query("COPY t (id, v) TO STDOUT (FORMAT binary)"),
    query("COPY t (id, v) FROM STDIN"),
    message(b"d", b"20\ttwenty\n") + message(b"d", b"21\t") + message(b"d", b"one\n") + COPY_DONE,
    query("COPY t (id, v) FROM STDIN"), message(b"f", text("no more")),
    message(b"F", struct.pack("!IHHHIiH", 1299, 0, 0, 0, 0, 0, 0)[:10]),
]
BEFORE_BAD = parse("none", "SELECT 1") + parse("one", "SELECT $1::int") + SYNC
BAD = [
    message(b"D", b"x", text("")), message(b"C", b"x", text("")), message(b"E", text(""), b"\0\0"),
    message(b"Q", b"SELECT 1"), message(b"Q", b"SELECT 1\0 2\0"), message(b"P", text(""), text("SELECT 1"), b"\0\1"),
    message(b"P", text(""), text("SELECT 1"), b"\0\0\0"), message(b"P", text("")),
    message(b"B", text(""), text("none")), message(b"B", text(""), text("none"), b"\0\0\0\0\0\0\0"),
    message(b"B", text(""), text("one"), b"\0\0\0\1\xff\xff\xff\xfe\0\0"),
    message(b"E", text("")), message(b"D", b"S"), message(b"D", b"S", b"a\0b\0"),
]


def logins(user):
    trust = startup(user=user, database="postgres", application_name="recorder",
                    options=r"-c work_mem=5MB --search-path=a,\ b")
    return [
        [trust], [startup(0x30002, user=user, database="postgres", **{"_pq_.x": "1", "_pq_.y": ""})],
        [startup(user="md5", database="postgres")], [startup(user="scram", database="postgres")],
        [startup(user="plain", database="postgres"), message(b"p", text("wrong"))],
        [startup(user="scram", database="postgres"), message(b"p", text("NO-SUCH-MECHANISM"), b"\xff\xff\xff\xff")],
        [startup(user="nobody", database="postgres")], [startup(user=user, database="nosuch")],
        [startup(user=user, database="postgres", nosuch="1")], [startup()], [startup(0x20000)],
        [startup(user=user, database="postgres", options="-c work_mem")],
        [startup(user=user, database="postgres", options="plain")],
        [startup(user=user, database="postgres", replication="maybe")],
        [startup(user=user, database="postgres", replication="true"), query("IDENTIFY_SYSTEM"),
         query("SHOW server_version")],
    ]


def escape(data):
    named = {10: "\\n", 13: "\\r", 9: "\\t", 92: "\\\\"}
    return "".join(named.get(b, chr(b) if 32 <= b < 127 else "\\x%02x" % b) for b in data)


def talk(path, requests):
    """Sends each request; yields it with what comes until the server is silent or closes."""
    with socket.socket(socket.AF_UNIX) as s:
        s.connect(path)
        for request in requests:
            s.settimeout(5)
            s.sendall(request)
            reply = b""
            try:
                while chunk := s.recv(1 << 20):
                    reply += chunk
                    s.settimeout(0.3)
            except (TimeoutError, ConnectionError):
                pass
            yield request, reply


def record(name, comment, pairs):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as out:
        out.write("# %s; recorded by record_postgresql.py\n" % comment)
        for request, reply in pairs:
            out.write("> %s\n< %s\n" % (escape(request), escape(reply)))


def create(data, user):
    run = lambda *words: subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    run(BIN + "/initdb", "-D", data, "-U", user, "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
    with open(data + "/pg_hba.conf", "w", encoding="ascii") as hba:
        hba.write("local all md5 md5\nlocal all scram scram-sha-256\nlocal all plain password\n"
                  "local all nobody reject\nlocal all,replication all trust\n")
    users = ("SET password_encryption = 'md5'; CREATE ROLE md5 LOGIN PASSWORD 'md5';"
             "SET password_encryption = 'scram-sha-256'; CREATE ROLE scram LOGIN PASSWORD 'scram';"
             "CREATE ROLE plain LOGIN PASSWORD 'plain'; CREATE ROLE nobody LOGIN;")
    subprocess.run([BIN + "/postgres", "--single", "-D", data, "postgres"], input=users.encode(), check=True,
                   stdout=subprocess.DEVNULL)


def seed(name, data):
    path = os.path.join(HERE, "../../fuzz/corpus", name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as out:
        out.write(data)


def auth(kind, data=b""):
    return message(b"R", struct.pack("!I", kind), data)


def seed_logins(welcome):
    """`welcome` is what follows AuthenticationOk.  See fuzz_pg_login.c for the first two bytes; its nonces are of
    zeros, its kept keys too, for the salt "s" and one iteration."""
    seed("pg_login/trust", b"\x08\x05" + auth(0) + welcome)
    seed("pg_login/password", b"\x09\x05" + auth(3) + auth(0) + welcome)
    seed("pg_login/md5", b"\x01\x05" + auth(5, b"salt") + auth(0) + welcome)
    seed("pg_login/refused", b"\x01\x05" + message(b"E", b"SFATAL\0C28P01\0Mno\0\0"))
    seed("pg_login/old", b"\x01\x05EFATAL:  no\n\0")
    for name, known, offered, binding in (
            ("scram", b"\x02", b"SCRAM-SHA-256\0\0", b"n,,"),
            ("plus", b"\x16", b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0", b"p=tls-server-end-point,,")):
        nonce = b"A" * 24
        first = b"r=" + nonce + b"server,s=cw==,i=1"
        endpoint = b"the hash of a certificate".ljust(32, b"\0") if name == "plus" else b""
        final = b"c=" + base64.b64encode(binding + endpoint) + b",r=" + nonce + b"server"
        signature = hmac.digest(bytes(32), b"n=,r=" + nonce + b"," + first + b"," + final, hashlib.sha256)
        seed("pg_login/" + name, known + b"\x05" + auth(10, offered) + auth(11, first)
             + auth(12, b"v=" + base64.b64encode(signature)) + auth(0) + welcome)


def main():
    folder = tempfile.mkdtemp()
    data, path = folder + "/data", folder + "/.s.PGSQL.5432"
    create(data, "root")
    server = subprocess.Popen([BIN + "/postgres", "-D", data, "-k", folder, "-c", "listen_addresses=",
                               "-c", "fsync=off", "-c", "logging_collector=off"], stderr=subprocess.DEVNULL)
    try:
        while not os.path.exists(path) or b"starting up" in next(talk(path, logins("root")[0]))[1]:
            time.sleep(0.1)
        record("logins.txt", "each first request begins a connection",
               (pair for login in logins("root") for pair in talk(path, login)))
        greeting = startup(user="root", database="postgres")
        (_, welcome), *pairs = talk(path, [greeting] + REQUESTS)
        record("requests.txt", "one connection", pairs)
        seed("pgwire/asked", b"a" + b"".join(request for request, _ in pairs))
        seed("pgwire/said", b"s" + welcome + b"".join(reply for _, reply in pairs))
        seed("pgwire/opening", b"o" + logins("root")[0][0])
        seed("pgwire/cancel", b"o" + opening(80877102, b"\0\0\0\1key."))
        seed_logins(welcome[9:])
        record("bad_requests.txt", "what is not well formed, in a Sync's company",
               list(talk(path, [greeting, BEFORE_BAD] + [b + SYNC for b in BAD]))[2:])
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
