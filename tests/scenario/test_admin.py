#!/usr/bin/python3
"""The admin endpoint, and the commands that ask it."""
import http.client
import json
import os
import pty
import re
import select
import socket
import subprocess
import time

from lib import *
from lib.sheaf import BINARY


class AdminCase(Case):
    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.sheaf = Sheaf(self, pool(self.redis, probe_interval="50ms"), proxy={"slow_time": "0ms"})
        self.keys = [keys[0] for keys in keys_on_shards(2)]

    def get(self, path, method="GET", body=None, **headers):
        """(status, headers, body) with headers as they are given; Host too."""
        connection = http.client.HTTPConnection("127.0.0.1", self.sheaf.admin_port, timeout=10)
        try:
            connection.request(method, path, body, headers)
            reply = connection.getresponse()
            return reply.status, reply.headers, reply.read().decode()
        finally:
            connection.close()

    def post(self, path, **values):
        status, _, body = self.get(path, "POST", json.dumps(values))
        return status, json.loads(body)

    def metrics(self):
        found = {}
        for line in self.get("/metrics")[2].splitlines():
            if not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                found[name] = float(value)
        return found

    def main_pool(self):
        return self.sheaf.status()["pools"][0]


class Pages(AdminCase):
    def test_each_path_answers_with_its_type(self):
        for path, kind in (("/", "text/html"), ("/metrics", "text/plain; version=0.0.4"), ("/healthz", "text/plain"),
                           ("/readyz", "text/plain"), ("/api/v1/status", "application/json"),
                           ("/api/v1/slow", "application/json")):
            status, headers, body = self.get(path)
            self.assertEqual(status, 200, path)
            self.assertTrue(headers["Content-Type"].startswith(kind), path)
            self.assertEqual(headers["Cache-Control"], "no-store")
            self.assertEqual(headers["X-Content-Type-Options"], "nosniff")
            self.assertNotIn("Access-Control-Allow-Origin", headers)
            self.assertTrue(body)
            self.assertEqual(self.get(path, "HEAD")[0], 200, path)

    def test_the_page_is_whole_and_takes_nothing_from_elsewhere(self):
        _, headers, page = self.get("/")
        self.assertTrue(page.rstrip().endswith("</html>"))
        self.assertIn("default-src 'none'", headers["Content-Security-Policy"])
        elsewhere = set(re.findall(r"(?:https?:)?//[\w.]+\.\w+/[\w/]*", page)) - {"http://www.w3.org/2000/svg"}
        self.assertEqual(elsewhere, set())
        for path in re.findall(r'ask\("([^"]+)"\)', page):
            self.assertEqual(self.get("/" + path)[0], 200)

    def test_what_is_not_there_is_404_and_lists_what_is(self):
        status, _, body = self.get("/nosuch")
        self.assertEqual(status, 404)
        self.assertIn("/api/v1/status", body)
        self.assertEqual(self.get("/api/v1/status/")[0], 404)
        self.assertEqual(self.get("//metrics")[0], 404)

    def test_a_wrong_method_is_405_and_says_which(self):
        for path, method, right in (("/metrics", "POST", "GET"), ("/api/v1/drain", "GET", "POST"),
                                    ("/api/v1/reload", "PUT", "POST"), ("/", "DELETE", "GET")):
            status, headers, body = self.get(path, method)
            self.assertEqual(status, 405, path)
            self.assertIn(right, headers["Allow"])
            self.assertIn(right, body)

    def test_large_requests_are_refused(self):
        self.assertEqual(self.get("/api/v1/drain", "POST", "x" * 100_000)[0], 413)
        with self.assertRaises((OSError, http.client.HTTPException)):
            self.assertGreaterEqual(self.get("/", X="x" * 100_000)[0], 400)
            raise OSError("refused with a status: as good")

    def test_foreign_names_and_other_sites_are_refused(self):
        port = self.sheaf.admin_port
        for host in ("127.0.0.1", f"127.0.0.1:{port}", f"localhost:{port}", "[::1]:80", socket.gethostname()):
            self.assertEqual(self.get("/api/v1/status", Host=host)[0], 200, host)
        for host in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "localhost.evil.example"):
            for path in ("/", "/api/v1/status", "/api/v1/slow"):
                self.assertEqual(self.get(path, Host=host)[0], 403, host)
            self.assertEqual(self.get("/api/v1/reload", "POST", Host=host)[0], 403, host)
            self.assertEqual(self.get("/metrics", Host=host)[0], 200)
        own = f"127.0.0.1:{port}"
        for origin in ("http://evil.example", "null", f"http://127.0.0.1:{port + 1}", "https://" + own):
            self.assertEqual(self.get("/api/v1/reload", "POST", Origin=origin, Host=own)[0], 403, origin)
        self.assertEqual(self.sheaf.status()["generation"], 1)
        self.assertEqual(self.get("/api/v1/reload", "POST", Origin="http://" + own, Host=own)[0], 200)


class Status(AdminCase):
    def test_what_was_done_is_counted(self):
        self.sheaf.forget_knocks()
        before = self.sheaf.status()["sessions"]["closed"]["client_left"]
        with self.sheaf.connect() as session:
            for key in self.keys:
                self.assertEqual(session.ask("SET", key, "x" * 100), "OK")
            self.assertEqual(session.ask("MGET", *self.keys), [b"x" * 100] * 2)
            status = self.sheaf.status()
            main = status["pools"][0]
            self.assertEqual(status["sessions"]["open"], 1)
            self.assertEqual(main["sessions_open"], 1)
            self.assertEqual(main["totals"]["requests"], 3)
            self.assertEqual(main["totals"]["failures"], 0)
            self.assertGreater(main["totals"]["received_bytes"], 200)
            self.assertGreater(main["totals"]["sent_bytes"], 200)
            for shard, redis in zip(main["shards"], self.redis):
                self.assertEqual(shard["endpoint"], redis.address)
                self.assertEqual(shard["totals"]["requests"], 2)
                self.assertGreaterEqual(shard["upstreams_open"], 1)
                latency = shard["latency_us"]["since_start"]
                self.assertEqual(latency["count"], 2)
                self.assertGreater(latency["p50"], 0)
                self.assertLessEqual(latency["p50"], latency["p99"])
                self.assertLessEqual(latency["p99"], latency["max"])
        wait_until(lambda: self.sheaf.status()["sessions"]["open"] == 0)
        self.assertEqual(self.sheaf.status()["sessions"]["closed"]["client_left"], before + 1)

    def test_the_process_tells_of_itself(self):
        status = self.sheaf.status()
        self.assertEqual(status["state"], "serving")
        self.assertEqual(status["generation"], 1)
        self.assertEqual(status["workers"], 2)
        self.assertEqual(status["process"]["pid"], self.sheaf.process.pid)
        self.assertEqual(status["file"], str(self.sheaf.file))
        self.assertRegex(status["version"], r"^\d+\.\d+\.\d+$")
        self.assertGreater(status["memory"]["resident_bytes"], 1_000_000)
        self.assertGreater(status["process"]["open_files"], 5)
        self.assertEqual(status["limits"]["max_sessions"], 10000)
        main = status["pools"][0]
        self.assertEqual((main["hash"], main["distribution"], main["slots"]), ("xxh3", "modulo", 2048))
        self.assertEqual(main["limits"]["timeout_ms"], 2000)

    def test_rates_and_recent_latencies_follow_the_load_and_fade(self):
        with Load(self.sheaf, 2, threads=2) as load:
            rate = wait_until(lambda: self.main_pool()["per_second"]["requests"])
            self.assertGreater(rate, 10)
            wait_until(lambda: self.main_pool()["latency_us"]["recent"]["count"] > 100)
            wait_until(lambda: sum(x > 0 for x in self.main_pool()["history"]["requests"]) >= 2)
            load.stop()
        shard = self.main_pool()["shards"][0]
        self.assertEqual(len(shard["history"]["requests"]), 60)
        wait_until(lambda: self.main_pool()["per_second"]["requests"] == 0, seconds=20)
        wait_until(lambda: self.main_pool()["latency_us"]["recent"]["count"] == 0, seconds=20)
        self.assertGreater(self.main_pool()["latency_us"]["since_start"]["count"], 100)

    def test_failures_are_counted_at_the_shard_that_failed(self):
        with self.sheaf.connect() as session:
            session.ask("SET", self.keys[0], "1")
            self.redis[0].kill9()
            wait_until(lambda: isinstance(session.ask("GET", self.keys[0]), Failure))
            session.ask("GET", self.keys[1])
        main = self.main_pool()
        self.assertGreaterEqual(main["totals"]["failures"], 1)
        self.assertGreaterEqual(main["shards"][0]["totals"]["failures"], 1)
        self.assertEqual(main["shards"][1]["totals"]["failures"], 0)
        self.assertGreaterEqual(main["shards"][0]["totals"]["upstreams_lost"], 1)

    def test_passwords_are_told_nowhere(self):
        redis = RedisServer(self, {"requirepass": "topsecret"})
        sheaf = Sheaf(self, pool([f"redis://:topsecret@{redis.address}"], password="alsosecret"))
        for path in ("/api/v1/status", "/metrics", "/api/v1/slow", "/readyz"):
            body = sheaf.http(path)[1]
            self.assertNotIn("topsecret", body, path)
            self.assertNotIn("alsosecret", body, path)


class Slow(AdminCase):
    def requests(self):
        return json.loads(self.get("/api/v1/slow")[2])["requests"]

    def test_the_slowest_come_first_with_what_they_were(self):
        with self.sheaf.connect() as session:
            session.ask("SET", "quick", "1")
            session.ask("EVAL", "local n = 0 for i = 1, 20000000 do n = n + i end return n", 1, "long")
            session.ask("GET", b"\0\xff\"\\<b>")
        found = self.requests()
        self.assertEqual([found[0]["command"], found[0]["key"]], ["eval", "long"])
        self.assertGreater(found[0]["took_us"], 10_000)
        self.assertEqual(found[0]["shard"], shard_of("long", 2))
        self.assertEqual(found[0]["endpoint"], self.redis[shard_of("long", 2)].address)
        self.assertEqual(found[0]["pool"], "main")
        self.assertEqual([x["took_us"] for x in found], sorted((x["took_us"] for x in found), reverse=True))
        self.assertIn(r'\x00\xff"\\<b>', [x["key"] for x in found])

    def test_requests_that_are_quick_enough_are_not_there(self):
        self.sheaf.reload(proxy={"slow_time": "1h"}, text=self.sheaf.text.replace("slow_time = 0ms", "slow_time = 1h"))
        wait_until(lambda: self.sheaf.status()["generation"] == 2)
        self.sheaf.ask("GET", "a")
        self.assertEqual(self.requests(), [])


class Metrics(AdminCase):
    def test_promtool_accepts_them(self):
        self.sheaf.ask("MGET", *self.keys)
        done = subprocess.run(["promtool", "check", "metrics"], input=self.get("/metrics")[2].encode(),
                              capture_output=True, check=False)
        self.assertEqual((done.returncode, done.stdout + done.stderr), (0, b""))

    def test_each_is_described_once_and_typed(self):
        text = self.get("/metrics")[2]
        helped = re.findall(r"^# HELP (\S+) \S", text, re.M)
        typed = dict(re.findall(r"^# TYPE (\S+) (counter|gauge|histogram)$", text, re.M))
        self.assertEqual(len(helped), len(set(helped)))
        self.assertEqual(set(helped), set(typed))
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name = re.match(r"[a-z_]+", line)[0]
            family = name if name in typed else re.sub(r"_(bucket|sum|count)$", "", name)
            self.assertIn(family, typed)
            self.assertEqual(typed[family] == "counter", family.endswith("_total"), family)
            self.assertRegex(line, r' -?[0-9][0-9.e+-]*$')

    def test_they_count_what_was_done(self):
        self.sheaf.forget_knocks()
        before = self.metrics()["sheaf_sessions_opened_total"]
        for _ in range(5):
            self.sheaf.ask("MSET", self.keys[0], "1", self.keys[1], "2")
        found = self.metrics()
        shard = f'{{pool="main",shard="0",endpoint="{self.redis[0].address}"'
        self.assertEqual(found['sheaf_pool_requests_total{pool="main"}'], 5)
        self.assertEqual(found[f"sheaf_shard_requests_total{shard}}}"], 5)
        self.assertEqual(found['sheaf_pool_latency_seconds_count{pool="main"}'], 5)
        self.assertEqual(found['sheaf_pool_latency_seconds_bucket{pool="main",le="+Inf"}'], 5)
        self.assertEqual(found[f"sheaf_endpoint_up{shard}}}"], 1)
        self.assertEqual(found[f'sheaf_endpoint_state{shard},state="up",reason=""}}'], 1)
        self.assertEqual(found["sheaf_sessions_opened_total"], before + 5)
        self.assertEqual(found["process_open_fds"] > 5, True)
        buckets = [v for k, v in found.items() if k.startswith('sheaf_pool_latency_seconds_bucket{pool="main"')]
        self.assertEqual(buckets, sorted(buckets))
        self.redis[0].kill9()
        wait_until(lambda: self.metrics()[f"sheaf_endpoint_up{shard}}}"] == 0)
        self.assertEqual(self.metrics()[f'sheaf_endpoint_state{shard},state="down",reason="connect_refused"}}'], 1)


class Drain(AdminCase):
    def test_a_drained_endpoint_gets_nothing_until_it_is_back(self):
        with self.sheaf.connect() as session:
            for key in self.keys:
                session.ask("SET", key, "1")
            status, told = self.post("/api/v1/drain", pool="main", shard=0)
            self.assertEqual(status, 200)
            self.assertEqual(told, {"pool": "main", "shard": 0, "endpoint": self.redis[0].address, "drained": True,
                                    "changed": True, "state": "draining"})
            reply = session.ask("GET", self.keys[0])
            self.assertIsInstance(reply, Failure)
            for word in (self.redis[0].address, "drained"):
                self.assertIn(word, str(reply))
            self.assertEqual(session.ask("GET", self.keys[1]), b"1")
            health = self.main_pool()["shards"][0]["health"]
            self.assertEqual((health["state"], health["reason"], health["drained"]), ("draining", "drained", True))
            self.assertFalse(self.post("/api/v1/drain", pool="main", shard=0)[1]["changed"])
            status, told = self.post("/api/v1/undrain", pool="main", shard=0)
            self.assertEqual((status, told["state"], told["drained"]), (200, "up", False))
            self.assertEqual(session.ask("GET", self.keys[0]), b"1")

    def test_it_is_named_by_query_or_by_endpoint_as_well(self):
        address = self.redis[1].address
        for path in (f"/api/v1/drain?endpoint={address}", "/api/v1/drain?pool=main&shard=1",
                     f"/api/v1/drain?pool=main&endpoint={address}"):
            status, _, body = self.get(path, "POST")
            self.assertEqual((status, json.loads(body)["endpoint"]), (200, address), path)
            self.get(path.replace("drain", "undrain"), "POST")
        self.assertEqual(self.post("/api/v1/drain", endpoint=address)[0], 200)

    def test_what_is_wrong_is_told(self):
        for status, values, *words in (
                (400, {}, "pool=NAME", "endpoint=NAME"), (400, {"pool": "main"}, "shard"),
                (404, {"pool": "mian", "shard": 0}, "mian", "main"), (404, {"pool": "main", "shard": 2}, "0 to 1"),
                (400, {"pool": "main", "shard": -1}, "index"), (400, {"pool": "main", "shard": 0.5}, "index"),
                (400, {"pool": "main", "shard": "0"}, "index"), (400, {"pool": 1, "shard": 0}, "pool"),
                (404, {"endpoint": "nowhere:1"}, "nowhere:1")):
            found, told = self.post("/api/v1/drain", **values)
            self.assertEqual(found, status, values)
            for word in words:
                self.assertIn(word, told["error"], values)
        for body in ("{", "[]", "what?", '"x"', "\0"):
            status, _, told = self.get("/api/v1/drain", "POST", body)
            self.assertEqual(status, 400, body)
            self.assertIn("JSON", json.loads(told)["error"])
        self.assertEqual(self.get("/api/v1/drain?pool=main&shard=x", "POST")[0], 400)
        self.assertFalse(any(s["health"]["drained"] for s in self.main_pool()["shards"]))

    def test_an_endpoint_of_two_pools_must_be_told_apart(self):
        first = pool(self.redis, name="first", stamp="off")
        second = pool(self.redis, name="second", stamp="off")
        self.sheaf.reload(first, second)
        wait_until(lambda: self.sheaf.status()["generation"] == 2)
        address = self.redis[0].address
        status, told = self.post("/api/v1/drain", endpoint=address)
        self.assertEqual(status, 404)
        self.assertIn("first and second", told["error"])
        self.assertEqual(self.post("/api/v1/drain", endpoint=address, pool="second")[1]["pool"], "second")
        states = {p["name"]: p["shards"][0]["health"]["state"] for p in self.sheaf.status()["pools"]}
        self.assertEqual(states, {"first": "up", "second": "draining"})


class Readiness(AdminCase):
    def test_shards_count_only_if_asked_for(self):
        self.redis[0].kill9()
        wait_until(lambda: self.get("/readyz?shards=all")[0] == 503)
        status, _, body = self.get("/readyz")
        self.assertEqual(status, 200)
        self.assertIn("pool main: 1 of 2 shards are up", body)
        self.assertEqual(self.get("/readyz?shards=any")[0], 200)
        self.redis[1].kill9()
        wait_until(lambda: self.get("/readyz?shards=any")[0] == 503)
        self.assertEqual((self.get("/readyz")[0], self.get("/healthz")[0]), (200, 200))

    def test_it_ends_with_the_drain_while_the_process_lives_on(self):
        sheaf = Sheaf(self, pool(self.redis, timeout="30s"), proxy={"drain_timeout": "60s"})
        with sheaf.connect() as session:
            session.ask("SET", self.keys[0], "1")
            self.redis[0].stop()
            session.send(encode("GET", self.keys[0]))
            wait_until(lambda: sheaf.status()["pools"][0]["requests_open"] == 1)
            sheaf.terminate()
            wait_until(lambda: sheaf.http("/readyz")[0] == 503)
            self.assertEqual(sheaf.http("/healthz")[0], 200)
            self.assertEqual(sheaf.status()["state"], "draining")
            self.assertEqual(sheaf.http("/api/v1/reload", "POST")[0], 409)
            self.redis[0].cont()
            self.assertEqual(session.reply(), b"1")
            self.assertEqual(sheaf.wait(), 0)


class Reload(AdminCase):
    def test_a_reload_answers_with_the_new_generation_or_with_all_errors(self):
        status, told = self.post("/api/v1/reload")
        self.assertEqual((status, told), (200, {"reloaded": True, "generation": 2}))
        self.sheaf.write(text=self.sheaf.text.replace("workers = 2", "workers = two").replace("shard =", "shart =", 1))
        status, told = self.post("/api/v1/reload")
        self.assertEqual(status, 409)
        for word in ("workers", "shart", f"{self.sheaf.file}:2"):
            self.assertIn(word, told["error"])
        self.assertEqual(self.sheaf.status()["generation"], 2)

    def test_it_may_move_and_does_not_where_it_cannot(self):
        before, after = self.sheaf.admin_port, free_port()
        with socket.create_server(("127.0.0.1", free_port())) as taken:
            text = self.sheaf.text
            self.sheaf.write(text=text.replace(f":{before}", ":%d" % taken.getsockname()[1]))
            status, told = self.post("/api/v1/reload")
            self.assertEqual(status, 409)
            self.assertIn("cannot listen", told["error"])
        self.sheaf.write(text=text.replace(f":{before}", f":{after}"))
        self.assertEqual(self.post("/api/v1/reload")[0], 200)
        self.sheaf.admin_port = after
        wait_until(lambda: self.get("/readyz")[0] == 200)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", before)).close()

    def test_it_may_be_a_unix_socket_that_goes_with_the_process(self):
        path = self.folder() / "admin.sock"
        self.sheaf.write(text=re.sub(r"admin = \S+", f"admin = http+unix://{path}", self.sheaf.text))
        self.assertEqual(self.post("/api/v1/reload")[0], 200)
        wait_until(path.exists)
        for source in (self.sheaf.file, f"http+unix://{path}"):
            code, out, err = Sheaf.command("status", "--json", source)
            self.assertEqual((code, err), (0, ""))
            self.assertEqual(json.loads(out)["generation"], 2)
        self.sheaf.terminate()
        self.assertEqual(self.sheaf.wait(), 0)
        self.assertFalse(path.exists())

    def test_off_is_off(self):
        self.sheaf.write(text=re.sub(r"admin = \S+", "admin = off", self.sheaf.text))
        self.assertEqual(self.post("/api/v1/reload")[0], 200)
        with self.assertRaises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", self.sheaf.admin_port)).close()
        code, _, err = Sheaf.command("status", self.sheaf.file)
        self.assertEqual(code, 2)
        self.assertIn("admin = off", err)


class Commands(AdminCase):
    def url(self):
        return f"http://127.0.0.1:{self.sheaf.admin_port}"

    def test_status_is_a_table_with_all_pools_and_shards(self):
        self.redis[1].kill9()
        wait_until(lambda: not self.main_pool()["shards"][1]["health"]["up"])
        for source in (self.url(), self.url() + "/", self.sheaf.file):
            code, out, err = Sheaf.command("status", source)
            self.assertEqual((code, err), (0, ""))
            self.assertNotIn("\033", out)
            lines = [line for line in out.splitlines() if line.strip()]
            self.assertRegex(lines[0], r"^sheaf \d+\.\d+\.\d+  serving, up \d+s")
            self.assertRegex(lines[3], r"^main +1/2 up ")
            self.assertRegex(lines[4], rf"^  0  {self.redis[0].address} +up ")
            self.assertRegex(lines[5], rf"^  1  {self.redis[1].address} +down .*refused")
            self.assertEqual(lines[2].index("STATE"), lines[4].index("up"))

    def test_status_as_json_is_what_the_endpoint_says(self):
        code, out, _ = Sheaf.command("status", "--json", self.url())
        self.assertEqual(code, 0)
        self.assertEqual(json.loads(out)["pools"][0]["name"], "main")

    def test_what_is_no_sheaf_is_told(self):
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            silent.close()
            code, out, err = Sheaf.command("status", f"http://127.0.0.1:{port}")
        self.assertEqual((code, out), (1, ""))
        self.assertIn(f"127.0.0.1:{port}", err)
        for words in (["status", "ftp://x"], ["status", "a", "b"], ["status", "--nosuch"], ["top", "a", "b"]):
            code, out, err = Sheaf.command(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertNotEqual(err, "")

    def test_top_without_a_terminal_says_so(self):
        code, out, err = Sheaf.command("top", self.url())
        self.assertEqual((code, out), (2, ""))
        self.assertIn("terminal", err)

    def on_terminal(self, *arguments):
        """A command of sheaf on a terminal of its own: (process number, the terminal's near end)."""
        child, near = pty.fork()
        if child == 0:
            os.execv(BINARY, [str(BINARY), *map(str, arguments)])
        self.addCleanup(os.close, near)
        return child, near

    @staticmethod
    def read_until(near, wanted):
        seen, end = "", time.monotonic() + 10 * SLOW
        while wanted not in seen:
            ready, _, _ = select.select([near], [], [], 10 * SLOW)
            if not ready or time.monotonic() > end:
                raise AssertionError(f"no {wanted!r} in {seen!r}")
            try:
                seen += os.read(near, 65536).decode()
            except OSError:
                raise AssertionError(f"it ended: {seen!r}") from None
        return seen

    def test_top_draws_again_and_leaves_with_q_or_an_interrupt(self):
        for leave in ("q", "\x03"):
            child, near = self.on_terminal("top", self.url())
            first = self.read_until(near, self.redis[1].address)
            self.assertTrue(first.startswith("\033[?1049h"))
            self.read_until(near, self.redis[1].address)
            os.write(near, leave.encode())
            self.read_until(near, "\033[?1049l")
            self.assertEqual(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), 0)

    def test_status_has_colours_on_a_terminal(self):
        child, near = self.on_terminal("status", self.url())
        self.read_until(near, "\033[32mup")
        self.read_until_end(near)
        os.waitpid(child, 0)

    @staticmethod
    def read_until_end(near):
        try:
            while os.read(near, 65536):
                pass
        except OSError:
            pass


if __name__ == "__main__":
    main()
