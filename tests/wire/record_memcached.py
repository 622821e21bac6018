#!/usr/bin/python3
"""Records tests/wire/memcached/*.txt from a real memcached, which it starts and stops.

Lines as in record_redis.py: '# comment', '> request', '< reply', bytes escaped as in C.  Each request
goes over a connection of its own and may be several commands; the reply is all that comes back.
"""
import os
import socket
import struct
import subprocess
import time

from record_redis import escape, talk

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "memcached")
LONG = b"k" * 251

TEXT = [
    b"get a\r\n", b"set a 7 0 5\r\nhello\r\n", b"get a\r\n", b"get a\n", b"get  a\r\n", b"gets b a b\r\n", b"get a a\r\n",
    b"gat 0 a b\r\n", b"gats 0 a\r\n", b"add a 0 0 1\r\nx\r\n", b"add b 0 0 0\r\n\r\n", b"get a b\r\n",
    b"replace c 0 0 1\r\nx\r\n", b"append a 9 9 2\r\n\r\n\r\n", b"prepend a 0 0 6\r\nEND\r\n \r\n", b"get a\r\n",
    b"cas a 0 0 1 1\r\nx\r\n", b"cas c 0 0 1 1\r\nx\r\n", b"touch a 0\r\n", b"touch c 0\r\n", b"set n 0 0 1\r\n5\r\n",
    b"incr n 2\r\n", b"decr n 100\r\n", b"incr c 1\r\n", b"incr a 1\r\n", b"delete b\r\n", b"delete b\r\n", b"delete a 0\r\n",
    b"version\r\n", b"verbosity 0\r\n", b"flush_all\r\n", b"flush_all 0\r\n", b"stats\r\n", b"stats items\r\n",
    b"stats reset\r\n", b"stats settings\r\n", b"mn\r\n", b"me nothing\r\n", b"ms m 2 T60 F5 c k O17\r\nhi\r\n", b"me m\r\n",
    b"mg m f v t k O1\r\n", b"mg m\r\n", b"mg nothing v\r\n", b"mg nothing k O1\r\n", b"mg vivid N30 v\r\n", b"ms m 2 ME\r\nhi\r\n",
    b"ms m 2 C1\r\nhi\r\n", b"ms nothing 2 C1\r\nhi\r\n", b"md nothing\r\n", b"md m I T9\r\n", b"mg m v X\r\n", b"mg m v\r\n",
    b"md m C1\r\n", b"md m k O1\r\n", b"ma c\r\n", b"ma c N0 J5 v\r\n", b"ma c v t\r\n", b"ms Zm9v 2 b k\r\nhi\r\n",
    b"mg Zm9v b k v\r\n",
]
# What is wrong, and what memcached makes of it; in its last line it is in step again.
WRONG = [
    b"\r\n", b"nonsense\r\n", b"GET a\r\n", b"get\r\n", b"get " + LONG + b"\r\n", b"gat x a\r\n", b"gat 0\r\n", b"set a 0 0\r\n",
    b"set a 0 0 -1\r\n", b"set a x 0 1\r\nx\r\n", b"set a 0 x 1\r\nx\r\n", b"set a 0 0 x\r\n", b"set " + LONG + b" 0 0 1\r\nx\r\n",
    b"set a 0 0 3\r\nabcdef\r\n", b"set a 0 0 1 noreply x\r\nx\r\n", b"cas a 0 0 1\r\nx\r\n", b"cas a 0 0 1 x\r\nx\r\n",
    b"delete\r\n", b"delete a 5\r\n", b"delete a b c d\r\n", b"incr a\r\n", b"incr a x\r\n", b"incr a -1\r\n", b"touch a\r\n",
    b"touch a x\r\n", b"verbosity\r\n", b"flush_all 1 2 3\r\n", b"mg\r\n", b"mg " + LONG + b"\r\n",
    b"ms k\r\n", b"ms k x\r\n", b"ms k 1 Z\r\nx\r\n", b"ms k 1\r\nxyz\r\n", b"ma k Mx\r\n", b"mg k v v\r\n", b"me\r\n",
    b"set a 0 0 1 noreply\r\nx\r\n", b"delete a noreply\r\n", b"touch a 0 noreply\r\n", b"incr a 1 noreply\r\n",
]


def binary(opcode, key=b"", extras=b"", value=b"", cas=0):
    body = extras + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key), len(extras), 0, 0, len(body), 0xdeadbeef, cas) + body


STORE = struct.pack(">II", 5, 0)
COUNT = struct.pack(">QQI", 1, 10, 0)
NOOP = binary(0x0a)
BINARY = [
    binary(0, b"k"), binary(0x0c, b"k"), binary(9, b"k") + NOOP, binary(1, b"k", STORE, b"value"), binary(0, b"k"),
    binary(0x0c, b"k"), binary(2, b"k", STORE, b"v"), binary(3, b"none", STORE, b"v"), binary(1, b"k", STORE, b"v", 1),
    binary(0x11, b"q", STORE, b"v") + NOOP, binary(0x0e, b"k", b"", b"+"), binary(0x0f, b"k", b"", b"-"),
    binary(0x0e, b"none", b"", b"+"), binary(4, b"q"), binary(4, b"q"), binary(5, b"n", COUNT), binary(6, b"n", COUNT),
    binary(5, b"k", COUNT), binary(0x1c, b"k", STORE[4:]), binary(0x1d, b"k", STORE[4:]), binary(0x23, b"k", STORE[4:]),
    binary(0x1c, b"none", STORE[4:]), binary(0x0b), NOOP, binary(8), binary(0x10, b"reset"), binary(0x40),
    binary(0, b"k", b"1234"), binary(0), binary(1, b"k"),
    binary(0x0a, b"k"),
]


def record(name, comment, port, requests):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as out:
        out.write("# %s; recorded by record_memcached.py\n" % comment)
        for request in requests:
            request += b"version\r\n" if name == "wrong.txt" else b""
            (_, reply), = talk(port, [request])
            out.write("> %s\n< %s\n" % (escape(request), escape(reply)))


def main():
    os.makedirs(HERE, exist_ok=True)
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(["memcached", "-u", "nobody", "-l", "127.0.0.1", "-p", str(port)], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        record("text.txt", "text and meta commands", port, TEXT)
        record("wrong.txt", "wrong commands, each with a \"version\" behind it", port, WRONG)
        record("binary.txt", "binary commands", port, BINARY)
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
