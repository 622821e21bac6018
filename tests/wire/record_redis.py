#!/usr/bin/python3
"""Records tests/wire/redis/*.txt from a real redis-server, which it starts and stops.

Lines: '# comment', '> request', '< reply', bytes escaped as in C.  A request without a reply of its
own (a pipeline's second, say) is not recorded.  bad_requests.txt holds what makes Redis close.
"""
import os
import socket
import subprocess
import tempfile
import time

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "redis")


def command(*words):
    parts = [w if isinstance(w, bytes) else str(w).encode() for w in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


COMMANDS = [
    ("PING",), ("ECHO", "hello"), ("SET", "k", "v"), ("GET", "k"), ("GET", "none"),
    ("SET", b"bin\r\n\0key", b"\r\n$-1\r\n\0\xff"), ("GET", b"bin\r\n\0key"), ("SET", "empty", ""),
    ("GET", "empty"), ("SET", "big", b"x" * 1000), ("GET", "big"), ("INCR", "n"), ("DECRBY", "n", 43),
    ("MSET", "a", 1, "b", 2, "c", 3), ("MGET", "a", "none", "b"), ("DEL", "a", "a", "b"),
    ("RPUSH", "l", "x", "y", ""), ("LRANGE", "l", 0, -1), ("LRANGE", "none", 0, -1),
    ("HSET", "h", "f", "1", "g", "2"), ("HGETALL", "h"), ("SADD", "s", "m"), ("SMEMBERS", "s"),
    ("ZADD", "z", "1.5", "m", "inf", "n"), ("ZRANGE", "z", 0, -1, "WITHSCORES"), ("ZSCORE", "z", "m"),
    ("ZADD", "z", "INCR", "2", "m"), ("INCR", "l"), ("NOSUCH", "a\r\nb"), ("GET",),
    ("EVAL", "return {1,'a',{2,{},{false}},redis.status_reply('fine')}", 0),
    ("EVAL", "return redis.error_reply('keyalreadyexists')", 0),
    ("XADD", "x", "1-1", "f", "v"), ("XRANGE", "x", "-", "+"), ("XREAD", "STREAMS", "x", "0"),
    ("SCAN", 0, "MATCH", "none*"), ("BLPOP", "none", "0.01"), ("DEBUG", "PROTOCOL", "attrib"),
    ("DEBUG", "PROTOCOL", "verbatim"), ("DEBUG", "PROTOCOL", "bignum"), ("DEBUG", "PROTOCOL", "true"),
    ("DEBUG", "PROTOCOL", "push"), ("DEBUG", "PROTOCOL", "null"), ("DEBUG", "PROTOCOL", "map"),
    ("OBJECT", "HELP"), ("COMMAND", "INFO", "get", "nosuch"), ("LOLWUT", "VERSION", 1),
    ("SUBSCRIBE", "channel"),
]
INLINE = [b"PING\r\n", b"PING\n", b"  ECHO\t hello \r\n", b'ECHO "a\\x41\\n\\"b"\r\n',
          b"ECHO 'it\\'s \\n'\r\n", b'ECHO mid"dle"\r\n', b'SET "" \'\'\r\n', b'ECHO ""\n']
BAD = [b"*x\r\n", b"*\r\n", b"*+1\r\n", b"*01\r\n", b"* 1\r\n", b"*-0\r\n", b"*1 \r\n", b"*2147483648\r\n",
       b"*99999999999999999999\r\n", b"*1\r\nfoo\r\n", b"*1\r\n:1\r\n", b"*2\r\n$4\r\nECHO\r\n*1\r\n",
       b"*1\r\n$x\r\n", b"*1\r\n$\r\n", b"*1\r\n$-1\r\n", b"*1\r\n$-2\r\n", b"*1\r\n$+5\r\n", b"*1\r\n$05\r\n",
       b"*1\r\n$ 5\r\n", b"*1\r\n$00\r\n", b"*1\r\n$536870913\r\n", b"*1\r\n$18446744073709551620\r\n",
       b'ECHO "a\r\n', b"ECHO 'a\r\n", b'ECHO "a"b\r\n', b"ECHO 'a'b\r\n", b'"\\\r\n']


def escape(data):
    named = {10: "\\n", 13: "\\r", 9: "\\t", 92: "\\\\"}
    return "".join(named.get(b, chr(b) if 32 <= b < 127 else "\\x%02x" % b) for b in data)


def talk(port, requests):
    """Sends each request; yields it with what comes until the server is silent or closes."""
    with socket.create_connection(("127.0.0.1", port)) as s:
        for request in requests:
            s.settimeout(2)
            s.sendall(request)
            reply = b""
            try:
                while chunk := s.recv(1 << 20):
                    reply += chunk
                    s.settimeout(0.05)
            except (TimeoutError, ConnectionError):
                pass
            yield request, reply


def record(name, comment, pairs):
    with open(os.path.join(HERE, name), "w", encoding="ascii") as out:
        out.write("# %s; recorded by record_redis.py\n" % comment)
        for request, reply in pairs:
            assert reply, request
            out.write("> %s\n< %s\n" % (escape(request), escape(reply)))


def main():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir",
         tempfile.mkdtemp(), "--enable-debug-command", "yes"], stdout=subprocess.DEVNULL)
    try:
        for _ in range(100):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        flush = [command("FLUSHALL")]
        for version in (2, 3):
            requests = flush + [command("HELLO", version)] + [command(*c) for c in COMMANDS]
            record("resp%d.txt" % version, "RESP%d" % version, talk(port, requests))
        record("inline.txt", "inline requests", talk(port, INLINE))
        record("bad_requests.txt", "what Redis closes the connection for",
               (pair for request in BAD for pair in talk(port, [request])))
    finally:
        server.terminate()
        server.wait()


if __name__ == "__main__":
    main()
