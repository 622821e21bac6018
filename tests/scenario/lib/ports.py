"""Free loopback ports, below those that the system gives to outgoing connections.

A port stays reserved by a lock on a file for as long as this process lives, so that two test
programs never choose the same one and a server may be restarted on its own."""
import fcntl
import os
import random
import socket

_FOLDER = f"/tmp/sheaf-test-ports.{os.getuid()}"
_reservations = []


def free_port():
    return free_ports_in_a_row(1)


def free_ports_in_a_row(count):
    """The first of them, for a server that takes those behind it, too."""
    os.makedirs(_FOLDER, exist_ok=True)
    while True:
        first, locks = random.randrange(11000, 32000), []
        try:
            for port in range(first, first + count):
                locks.append(_reserve(port))
        except OSError:
            for lock in locks:
                lock.close()
            continue
        _reservations.extend(locks)
        return first


def _reserve(port):
    """OSError: it is taken."""
    lock = open(f"{_FOLDER}/{port}", "w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
    except OSError:
        lock.close()
        raise
    return lock
