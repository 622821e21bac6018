#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Whoever comes from twemproxy moves no data: keys that a real nutcracker placed are found there."""
from lib import *


class FromTwemproxy(Case):
    def setUp(self):
        self.redis = sorted((RedisServer(self) for _ in range(4)), key=lambda r: -r.port)
        self.port = free_port()

    def nutcracker(self, servers, **options):
        """A pool whose servers are given as (server, weight, name or "")."""
        lines = ["main:", f"  listen: 127.0.0.1:{self.port}", "  redis: true", "  timeout: 5000",
                 *(f"  {k}: {v}" for k, v in options.items()), "  servers:",
                 *(f"   - {r.address}:{weight} {name}".rstrip() for r, weight, name in servers)]
        self.yaml = self.folder() / "nutcracker.yml"
        self.yaml.write_text("\n".join(lines) + "\n")
        process = Process(["nutcracker", "-c", self.yaml, "-s", free_port(), "-a", "127.0.0.1",
                           "-o", self.folder() / "nutcracker.log"])
        self.addCleanup(process.kill)
        wait_until(lambda: RespSession(("127.0.0.1", self.port)).close() or True, what="nutcracker")
        return process

    def served_as_it_was(self, servers, **options):
        keys = [f"{{user:{n}}}:{n % 5}" if n % 3 else f"key:{n}" for n in range(400)]
        twemproxy = self.nutcracker(servers, **options)
        with RespSession(("127.0.0.1", self.port)) as session:
            for key in keys:
                self.assertEqual(session.ask("SET", key, f"value of {key}"), "OK")
        twemproxy.kill()
        holders = [{k.decode() for k in r.ask("KEYS", "*")} for r in self.redis]
        self.assertGreater(sum(1 for h in holders if h), 1)

        code, text, err = Sheaf.command("check", "--from-twemproxy", self.yaml)
        self.assertEqual((code, err), (0, ""))
        admin = f"[proxy]\nadmin = http://127.0.0.1:{free_port()}\n"
        sheaf = Sheaf(self, text=text.replace("[proxy]\n", admin, 1), proxy={"admin": "off"})
        for key, *_, endpoint in sheaf.route(*keys):
            address = [r.address for r in self.redis]
            self.assertIn(key, holders[address.index(endpoint)])
        with sheaf.connect() as session:
            wait_until(lambda: session.ask("GET", keys[0]) is not None)
            for key in keys:
                self.assertEqual(session.ask("GET", key), f"value of {key}".encode())

    def test_modula_over_servers_in_any_order(self):
        self.served_as_it_was([(r, 1, "") for r in self.redis], hash="fnv1a_64", distribution="modula")

    def test_modula_over_names_of_different_lengths_and_weights(self):
        names = ["node-10", "b", "node-9", "aa"]
        self.served_as_it_was([(r, i + 1, name) for i, (r, name) in enumerate(zip(self.redis, names))],
                              hash="murmur", distribution="modula", hash_tag='"{}"')

    def test_ketama_as_it_is_without_any_option(self):
        self.served_as_it_was([(r, 1, "") for r in self.redis])

    def test_ketama_over_names(self):
        names = ["node-10", "b", "node-9", "aa"]
        self.served_as_it_was([(r, 1, name) for r, name in zip(self.redis, names)], hash="md5")

    def test_a_file_with_errors_ends_with_2_and_prints_nothing(self):
        path = self.folder() / "bad.yml"
        path.write_text("main:\n  listen: 127.0.0.1:1\n  redis: true\n  hash: md6\n  servers:\n   - h:1:1\n")
        code, out, err = Sheaf.command("check", "--from-twemproxy", path)
        self.assertEqual((code, out), (2, ""))
        self.assertIn(f"{path}:4: hash: ", err)


if __name__ == "__main__":
    main()
