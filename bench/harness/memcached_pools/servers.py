"""The four memcached servers, and a word to one of them or to what stands before them."""
import os
import socket

from ..memory_pools import peers
from ..memory_pools.talk import wait_until_it_answers
from ..setup import find

MOST_CLIENTS = 4000     # memcached takes memory for each of them at once


def get(port, timeout=2.0):
    with socket.create_connection(("127.0.0.1", port), timeout) as s:
        s.settimeout(timeout)
        s.sendall(b"get bench:ready\r\n")
        reply = s.recv(4096)
        return reply, reply == b"END\r\n"


class Servers(peers.Servers):
    """Each has one thread, as it is given one CPU at most; each keeps all keys."""

    kind, scheme, twemproxy = "memcached", "memcached", ""
    user = "nobody" if os.geteuid() == 0 else None

    @staticmethod
    def wait(process, port):
        wait_until_it_answers(process, port, get)

    def command(self, port, most_clients, folder):
        return [find("memcached") or "memcached", "-l", "127.0.0.1", "-p", str(port), "-U", "0",
                "-t", "1", "-m", "256", "-c", str(min(most_clients, MOST_CLIENTS))]
