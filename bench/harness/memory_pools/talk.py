"""A word to a Redis server, or to what stands before one."""
import socket
import time

from ..processes import Failed, last_lines


def ask(port, *words, timeout=2.0):
    """One Redis command on a connection of its own; returns the first bytes of the reply."""
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.settimeout(timeout)
        s.sendall(encode(*words))
        return s.recv(4096)


def encode(*words):
    out = [b"*%d\r\n" % len(words)]
    for word in words:
        word = word if isinstance(word, bytes) else str(word).encode()
        out.append(b"$%d\r\n%s\r\n" % (len(word), word))
    return b"".join(out)


def get(port):
    """What a GET is answered, and whether that is no error."""
    reply = ask(port, "GET", "bench:ready")
    return reply, reply[:1] in (b"$", b"_")


def wait_until_it_answers(process, port, get=get, seconds=10):
    """Until a GET is answered without an error; Failed says what the log says."""
    end, reply = time.monotonic() + seconds, b"nothing"
    while time.monotonic() < end:
        if process.poll() is not None:
            raise Failed(f"ended with code {process.returncode}: {last_lines(process.log)}")
        try:
            reply, is_good = get(port)
            if is_good:
                return
        except OSError as problem:
            reply = str(problem).encode()
        time.sleep(0.05)
    raise Failed(f"does not answer: {reply[:100].decode(errors='replace')}")
