#!/usr/bin/python3
"""Places keys through a real twemproxy (nutcracker) and compares with where our maps put them.

    oracle_placement.py [--long] [PLACE]

PLACE is the helper program `place` of the build; without it, the newest one under build/ is taken.
Each pool of twemproxy is one part; the last line is "N passed, N failed"."""
import argparse
import random
import subprocess
import sys
import unittest

from lib import Case, Process, RedisServer, RespSession, encode, free_port, wait_until, REPOSITORY

HASHES = ("one_at_a_time md5 crc16 crc32 crc32a fnv1_64 fnv1a_64 fnv1_32 fnv1a_32 hsieh murmur "
          "jenkins").split()
DISTRIBUTIONS = {"ketama": "ketama", "modula": "modulo"}  # twemproxy's names and ours
WEIGHTS = [1, 3, 1, 2, 5]


class Pool:
    """One pool of twemproxy over the servers, and the same in our words."""

    def __init__(self, hash_name, distribution, servers, weights, named, tag, sockets=False):
        self.port = free_port()
        self.sockets = sockets
        self.hash, self.distribution, self.tag = hash_name, distribution, tag
        self.servers, self.weights = servers, weights
        self.names = [f"node-{i * 7 % 30}" if named else "" for i in range(len(servers))]

    def __str__(self):
        names = "named" if self.names[0] else "unnamed"
        weights = ",".join(map(str, self.weights))
        sockets = " sockets" if self.sockets else ""
        return f"{self.hash} {self.distribution} {names}{sockets} weights {weights} tag '{self.tag}'"

    def address(self, server):
        return str(server.socket) if self.sockets else server.address

    def yaml(self, name):
        tag = [f'  hash_tag: "{self.tag}"'] if self.tag else []
        lines = [f"{name}:", f"  listen: 127.0.0.1:{self.port}", f"  hash: {self.hash}",
                 f"  distribution: {self.distribution}", *tag, "  redis: true",
                 "  auto_eject_hosts: false", "  servers:"]
        for server, weight, given in zip(self.servers, self.weights, self.names):
            lines.append(f"   - {self.address(server)}:{weight}" + (f" {given}" if given else ""))
        return "\n".join(lines) + "\n"

    def order(self):
        """Twemproxy sorts its servers by name, the shorter first: that is the order for modula."""
        names = [given or self.address(server) for server, given in zip(self.servers, self.names)]
        return sorted(range(len(names)), key=lambda i: (len(names[i]), names[i]))

    def expected(self, place, keys):
        order = self.order()
        shards = []
        for i in order:
            host, port = (str(self.servers[i].socket), 0) if self.sockets else (
                "127.0.0.1", self.servers[i].port)
            given = f",{self.names[i]}" if self.names[i] else ""
            shards.append(f"{host},{port},{self.weights[i]}{given}")
        done = subprocess.run(
            [place, self.hash, DISTRIBUTIONS[self.distribution], self.tag, *shards],
            input="".join(k.hex() + "\n" for k in keys).encode(), stdout=subprocess.PIPE, check=True)
        return [order[int(line)] for line in done.stdout.split()]

    def found(self, keys):
        """Which server has each key, once twemproxy was given all of them."""
        for server in self.servers:
            server.ask("FLUSHALL")
        with RespSession(("127.0.0.1", self.port)) as session:
            session.send(b"".join(encode("SET", k, "x") for k in keys))
            for _ in keys:
                reply = session.reply()
                if reply != "OK":
                    raise AssertionError(f"{self}: twemproxy says {reply}")
        holds = [set(server.ask("KEYS", "*")) for server in self.servers]
        if sum(map(len, holds)) != len(keys):
            raise AssertionError(f"{self}: {sum(map(len, holds))} keys stored of {len(keys)}")
        return [next(i for i, there in enumerate(holds) if k in there) for k in keys]


def keys_to_place(count):
    """Plain, tagged, binary and non-ASCII keys of 1 to 300 bytes, each once."""
    rng = random.Random(7)
    keys = [b"a", b"foo", b"key:42", b"{a}{b}", b"x{}y", b"x{{a}}y", b"{}", b"{", b"a}b{c}", b"$a$b$",
            b"\xc3\xa9\xff", bytes(range(256)), b"\r\n", b"\0", b"\xff" * 31, "schlüssel".encode()]
    keys += [b"user:%d" % n for n in range(count)]
    keys += [b"{tag%d}:%d" % (n % 7, n) for n in range(count // 4)]
    keys += [rng.randbytes(rng.randint(1, 60)) for _ in range(count)]
    keys += [rng.randbytes(rng.randint(61, 300)) for _ in range(count // 8)]
    return list(dict.fromkeys(keys))


def pools_of(servers, long):
    """All hashes by both distributions, named and not; more weights, tags and sizes if it may take long."""
    five = servers[:5]
    for hash_name in HASHES:
        for distribution in DISTRIBUTIONS:
            for named in (False, True):
                yield Pool(hash_name, distribution, five, WEIGHTS, named, "{}" if named else "")
                if long:
                    yield Pool(hash_name, distribution, five, [1] * 5, named, "$$")
                    yield Pool(hash_name, distribution, servers, [1] * len(servers), named, "{}")
    for named in (False, True):
        for distribution in DISTRIBUTIONS:
            yield Pool("murmur", distribution, five, WEIGHTS, named, "{}", sockets=True)
    for count in (1, 2, 3):
        yield Pool("fnv1a_64", "ketama", servers[:count], [1] * count, False, "{}")
        yield Pool("md5", "modula", servers[:count], [count] * count, False, "")


class TwemproxyPlaces(Case):
    place, long = None, False

    @classmethod
    def setUpClass(cls):
        # 25 equal servers are few points short on a ring, for single precision.
        cls.redis = [RedisServer(cls) for _ in range(25 if cls.long else 5)]
        cls.pools = list(pools_of(cls.redis, cls.long))
        config = cls.folder() / "nutcracker.yml"
        config.write_text("".join(p.yaml(f"pool{i}") for i, p in enumerate(cls.pools)))
        cls.twemproxy = Process(["nutcracker", "-c", config, "-s", free_port(), "-a", "127.0.0.1",
                                 "-o", cls.folder() / "nutcracker.log"])
        cls.addClassCleanup(cls.twemproxy.kill)
        wait_until(lambda: RespSession(("127.0.0.1", cls.pools[-1].port)).close() or True,
                   what="nutcracker to listen")

    def test_every_key_lies_where_our_map_says(self):
        keys = keys_to_place(1000 if self.long else 120)
        for pool in self.pools:
            with self.subTest(str(pool)):
                found, expected = pool.found(keys), pool.expected(self.place, keys)
                wrong = [(k, f, e) for k, f, e in zip(keys, found, expected) if f != e]
                self.assertEqual(wrong, [], f"(key, twemproxy's, ours) of {len(keys)} keys")


class _Parts(unittest.TextTestResult):
    """Counts the pools, not the one test that goes through them."""

    passed = 0

    def addSubTest(self, test, subtest, err):
        super().addSubTest(test, subtest, err)
        self.passed += err is None


def newest_place():
    built = sorted(REPOSITORY.glob("build/*/place"), key=lambda p: p.stat().st_mtime)
    if not built:
        sys.exit("no build/*/place: build it first, or name it")
    return built[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", action="store_true", help="more keys, weights, tags and 25 servers")
    parser.add_argument("place", nargs="?", help="the helper program of the build")
    arguments = parser.parse_args()
    TwemproxyPlaces.long = arguments.long
    TwemproxyPlaces.place = arguments.place or newest_place()
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(TwemproxyPlaces)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=0, resultclass=_Parts).run(suite)
    failed = len(result.failures) + len(result.errors)
    print(f"{result.passed} passed, {failed} failed", flush=True)
    sys.exit(failed > 0 or result.passed == 0)


if __name__ == "__main__":
    main()
