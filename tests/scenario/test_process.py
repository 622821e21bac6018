#!/usr/bin/python3
# not under tsan: reloads and ends are in test_reload.py and all others
"""The process: its command line, exit codes, signals, reload and drain."""
import re
import signal
import socket
import subprocess
import threading
import time

from lib import *
from lib.sheaf import BINARY


class CommandLine(Case):
    def test_version(self):
        code, out, _ = Sheaf.command("--version")
        self.assertEqual(code, 0)
        self.assertRegex(out, r"^sheaf \d+\.\d+\.\d+\n$")

    def test_wrong_usage_ends_with_2_and_says_how(self):
        for words in (["nosuch"], ["check"], ["route"], ["route", "x.ini"], ["--nosuch"], ["serve", "a", "b"]):
            code, out, err = Sheaf.command(*words)
            self.assertEqual((code, out), (2, ""), words)
            self.assertIn("sheaf", err, words)

    def test_what_cannot_be_printed_is_no_success(self):
        with open("/dev/full", "w", encoding="ascii") as full:
            done = subprocess.run([BINARY, "check", "--document"], stdout=full, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(b"No space left", done.stderr)

    def test_help_on_a_command_is_no_mistake(self):
        for command in ("serve", "check", "route", "status", "top"):
            code, out, err = Sheaf.command(command, "--help")
            self.assertEqual((code, err), (0, ""), command)
            self.assertIn(f"sheaf {command} ", out)
            self.assertNotIn("--version", out)

    def test_a_command_that_is_mistyped_is_told_the_nearest_one(self):
        for typed, meant in (("chekc", "check"), ("--verison", "--version"), ("stauts", "status")):
            code, out, err = Sheaf.command(typed)
            self.assertEqual((code, out), (2, ""))
            self.assertIn(f'did you mean "{meant}"?', err)

    def test_help_is_for_people_and_goes_to_standard_output(self):
        code, out, _ = Sheaf.command("--help")
        self.assertEqual(code, 0)
        for word in ("serve", "check", "route", "status", "top"):
            self.assertIn(word, out)

    def test_a_file_that_is_not_there_ends_with_2(self):
        for command in ("check", "serve"):
            code, _, err = Sheaf.command(command, "/no/such/sheaf.ini")
            self.assertEqual(code, 2)
            self.assertIn("/no/such/sheaf.ini", err)

    def test_status_without_a_daemon_ends_with_1(self):
        code, _, err = Sheaf.command("status", f"http://127.0.0.1:{free_port()}")
        self.assertEqual(code, 1)
        self.assertNotEqual(err, "")

    def test_the_options_are_documented_from_their_tables(self):
        code, out, _ = Sheaf.command("check", "--document")
        self.assertEqual(code, 0)
        for option in ("workers", "admin", "drain_timeout", "listen", "shard", "hash", "distribution",
                       "timeout", "max_session_memory", "stamp", "primary", "replica", "pooling", "reads", "hba_file"):
            self.assertIn(f"| `{option}` |", out)


class ConfigurationCase(Case):
    def file(self, text, name="sheaf.ini"):
        path = self.folder() / name
        path.write_text(text)
        return path


GOOD = """[proxy]
workers = 1
admin = off

[memory main]
listen = redis://127.0.0.1:7001
shard = redis://127.0.0.1:7002
shard = redis://app:secret@127.0.0.1:7003/2
timeout = 400ms
"""

# (what is wrong, line to put in place of "timeout = 400ms" or text of the file, what must be said)
BAD_LINES = (
    ("unknown option", "timeot = 400ms", "timeot", "timeout"),
    ("no number", "max_pipeline = many", "max_pipeline", "many"),
    ("no unit", "timeout = 400", "timeout"),
    ("unknown unit", "timeout = 4 parsecs", "timeout"),
    ("a negative number", "max_pipeline = -1", "max_pipeline"),
    ("a number too large", "max_pipeline = 99999999999999999999", "max_pipeline"),
    ("no value", "timeout =", "timeout"),
    ("unknown word", "hash = xxh4", "xxh4", "xxh3"),
    ("unknown distribution", "distribution = modulus", "modulus", "modulo"),
    ("no flag", "stamp = perhaps", "stamp", "perhaps"),
    ("unknown scheme", "shard = rediz://127.0.0.1:1", "rediz", "redis"),
    ("no URL", "shard = 127.0.0.1:7009", "URL"),
    ("no port number", "shard = redis://127.0.0.1:99999", "65535"),
    ("no host", "shard = redis://:7009", "host"),
    ("a line without =", "what is this", "NAME = VALUE"),
    ("a variable that is not set", "shard = redis://:${SHEAF_TEST_NOT_SET}@127.0.0.1:7009", "SHEAF_TEST_NOT_SET"),
    ("an option twice", "timeout = 1s\ntimeout = 2s", "timeout"),
    ("a file that is not there", "include = /no/such/file.ini", "/no/such/file.ini"),
    ("a listener twice", "listen = redis://127.0.0.1:7001", "127.0.0.1:7001"),
    ("a shard twice", "shard = redis://127.0.0.1:7002", "127.0.0.1:7002"),
    ("beyond loopback without a password", "listen = redis://0.0.0.0:7008", "0.0.0.0"),
)


class Configuration(ConfigurationCase):
    def test_a_good_file_is_printed_as_it_takes_effect(self):
        code, out, err = Sheaf.command("check", self.file(GOOD))
        self.assertEqual((code, err), (0, ""))
        for word in ("workers = 1", "[memory main]", "timeout = 400ms", "hash = xxh3", "distribution = modulo"):
            self.assertIn(word, out)
        self.assertNotIn("secret", out)

    def test_a_listener_without_its_certificate_is_told_once(self):
        path = self.file("[memory main]\nlisten = rediss://127.0.0.1:7001\nshard = redis://127.0.0.1:7002\n")
        self.assertEqual(Sheaf.command("check", path),
                         (2, "", f"{path}:2: listen: rediss:// needs tls_cert and tls_key\n"))

    def test_an_sql_pool_is_printed_as_it_takes_effect(self):
        self.file('"web" "topsecret"\n', "users.txt")
        path = self.file("""[sql main]
listen = postgresql+unix:///run/sheaf?port=6432
primary = postgresql://app:topsecret@127.0.0.1:5432
replica = postgresql://app:topsecret@127.0.0.1:5433
user = app topsecret
auth_file = users.txt
reads = bounded
""")
        code, first, err = Sheaf.command("check", path)
        self.assertEqual((code, err), (0, ""))
        for line in ("[sql main]", "listen = postgresql+unix:///run/sheaf?port=6432", "reads = bounded",
                     "primary = postgresql://app:***@127.0.0.1:5432", "user = app ***", ";pool_size = 20"):
            self.assertIn(line + "\n", first)
        self.assertNotIn("topsecret", first)
        code, second, err = Sheaf.command("check", self.file(first, "again.ini"))
        self.assertEqual((code, err, second), (0, "", first))

    def test_no_key_says_where_an_sql_pool_sends_it(self):
        path = self.file("[sql main]\nlisten = postgresql://127.0.0.1\nprimary = postgresql://127.0.0.1\nuser = a b\n")
        code, out, err = Sheaf.command("route", path, "main", "key")
        self.assertEqual((code, out), (2, ""))
        self.assertIn('pool "main" is of the kind sql', err)

    def test_what_check_prints_is_a_good_file_itself(self):
        _, first, _ = Sheaf.command("check", self.file(GOOD))
        code, second, err = Sheaf.command("check", self.file(first, "again.ini"))
        self.assertEqual((code, err), (0, ""))
        self.assertEqual(first, second)

    def test_each_kind_of_error_is_told_with_file_and_line(self):
        for what, line, *words in BAD_LINES:
            with self.subTest(what):
                text = GOOD.replace("timeout = 400ms", line)
                number = GOOD[:GOOD.index("timeout = 400ms")].count("\n") + 1 + line.count("\n")
                path = self.file(text)
                code, _, err = Sheaf.command("check", path)
                self.assertEqual(code, 2, err)
                self.assertIn(f"{path}:{number}:", err)
                for word in words:
                    self.assertIn(word, err)
                code, _, serve_err = Sheaf.command("serve", path)
                self.assertEqual(code, 2)
                self.assertIn(f"{path}:{number}:", serve_err)

    def test_files_of_tls_are_tried(self):
        own = Certificates(self.folder() / "tls")
        own.issue("other")
        own.issue("expired", days=-1)
        garbage = own.folder / "garbage"
        garbage.write_text("garbage\n")
        for code, cert, key, ca, word in (
                (0, own.cert("server"), own.key("server"), own.ca, ""),
                (2, own.cert("server"), own.key("other"), own.ca, "key values mismatch"),
                (2, garbage, own.key("server"), own.ca, f"certificate {garbage}"),
                (2, own.cert("server"), garbage, own.ca, f"key {garbage}"),
                (2, own.cert("server"), own.key("server"), garbage, f"CA file {garbage}"),
                (0, own.cert("expired"), own.key("expired"), own.ca, "warning: listen: the certificate has expired at")):
            with self.subTest(word):
                path = self.file("[memory main]\nlisten = rediss://127.0.0.1:7001\nshard = redis://127.0.0.1:7002\n"
                                 f"tls_cert = {cert}\ntls_key = {key}\ntls_client = required\ntls_client_ca = {ca}\n")
                found, _, err = Sheaf.command("check", path)
                self.assertEqual(found, code, err)
                self.assertEqual(err.startswith(f"{path}:2: ") and word in err, word != "", err)

    def test_errors_of_a_whole_section_are_told(self):
        for what, text, word in (
                ("a pool without shards", "[memory main]\nlisten = redis://127.0.0.1:7001\n", "shard"),
                ("a pool without a listener", "[memory main]\nshard = redis://127.0.0.1:7001\n", "listen"),
                ("a pool without a name", "[memory]\nlisten = redis://127.0.0.1:7001\n", "name"),
                ("an unknown kind", "[memori main]\nlisten = redis://127.0.0.1:7001\n", "memory"),
                ("a pool twice", GOOD + GOOD[GOOD.index("[memory"):].replace("7001", "7011"), "main"),
                ("an option outside", "workers = 1\n" + GOOD, "workers")):
            with self.subTest(what):
                code, _, err = Sheaf.command("check", self.file(text))
                self.assertEqual(code, 2)
                self.assertRegex(err, r"sheaf\.ini:\d+: ")
                self.assertIn(word, err)

    def test_all_errors_are_told_not_only_the_first(self):
        path = self.file(GOOD.replace("workers = 1", "workers = x").replace("400ms", "never")
                         .replace("admin = off", "nosuch = 1"))
        code, _, err = Sheaf.command("check", path)
        self.assertEqual(code, 2)
        self.assertEqual(re.findall(r"sheaf\.ini:(\d+): ", err), ["2", "3", "9"])

    def test_a_line_of_any_length_is_taken_whole_or_refused(self):
        password = "x" * 1500
        path = self.file(GOOD.replace("secret", password + "END"))
        code, _, err = Sheaf.command("check", path)
        if code != 0:
            self.assertRegex(err, r"sheaf\.ini:8: .*long")
            return
        redis = RedisServer(self, {"requirepass": password + "END"})
        sheaf = Sheaf(self, pool([f"redis://:{password}END@{redis.address}"]))
        self.assertEqual(sheaf.ask("SET", "a", "1"), "OK")

    def test_variables_of_the_environment_are_put_in(self):
        path = self.file(GOOD.replace("127.0.0.1:7002", "${SHEAF_TEST_HOST}:7002"))
        code, out, err = Sheaf.command("check", path, env={"SHEAF_TEST_HOST": "127.0.0.7"})
        self.assertEqual(code, 0, err)
        self.assertIn("127.0.0.7:7002", out)

    def test_further_files_are_read(self):
        (self.folder() / "conf.d").mkdir(exist_ok=True)
        self.file("[memory second]\nlisten = redis://127.0.0.1:7021\nshard = redis://127.0.0.1:7022\n",
                  "conf.d/second.ini")
        code, out, err = Sheaf.command("check", self.file("include = conf.d/*.ini\n" + GOOD))
        self.assertEqual(code, 0, err)
        self.assertIn("[memory second]", out)


class Route(ConfigurationCase):
    def setUp(self):
        self.path = self.file(GOOD)

    def lines(self, *arguments, stdin=""):
        code, out, err = Sheaf.command("route", *arguments, stdin=stdin)
        self.assertEqual((code, err), (0, ""))
        return [line.split("\t") for line in out.splitlines()]

    def test_a_line_has_key_hash_slot_shard_and_endpoint(self):
        from lib.placement import hash_of
        endpoints = ["127.0.0.1:7002", "127.0.0.1:7003"]
        keys = ["a", "foo", "user:1000", "{user}:1", "x y", ""]
        for key, line in zip(keys, self.lines(self.path, "main", *keys), strict=True):
            shown, hash_text, slot, shard, endpoint = line
            self.assertEqual(shown, key)
            self.assertEqual(int(hash_text, 16), hash_of(key), key)
            self.assertEqual(int(slot), hash_of(key) % 2048, key)
            self.assertEqual(int(shard), hash_of(key) % 2, key)
            self.assertTrue(endpoint.startswith(endpoints[int(shard)]), endpoint)

    def test_keys_come_from_standard_input_too(self):
        found = self.lines(self.path, "main", "-", stdin="".join(f"key:{n}\n" for n in range(5000)))
        self.assertEqual([x[0] for x in found], [f"key:{n}" for n in range(5000)])
        self.assertTrue(all(int(x[3]) == shard_of(x[0], 2) for x in found))

    def test_keys_may_be_hex_coded(self):
        key = bytes([0, 13, 10, 9, 255])
        line = self.lines("--hex", self.path, "main", key.hex())[0]
        self.assertEqual((line[0], int(line[3])), (key.hex(), shard_of(key, 2)))
        code, _, err = Sheaf.command("route", "--hex", self.path, "main", "0g")
        self.assertEqual(code, 2)
        self.assertIn("0g", err)

    def test_a_pool_that_is_not_there_is_told(self):
        code, _, err = Sheaf.command("route", self.path, "mian", "a")
        self.assertEqual(code, 2)
        self.assertIn("mian", err)


class Life(Case):
    def setUp(self):
        self.redis = [RedisServer(self), RedisServer(self)]

    def test_an_address_in_use_ends_with_1_and_is_named(self):
        with socket.create_server(("127.0.0.1", free_port())) as taken:
            address = "127.0.0.1:%d" % taken.getsockname()[1]
            sheaf = Sheaf(self, pool(self.redis, listen=f"redis://{address}"), start=False)
            code, _, err = Sheaf.command("serve", sheaf.file)
            self.assertEqual(code, 1)
            self.assertIn(address.split(":")[1], err)

    def test_sigterm_and_sigint_end_it_with_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            sheaf = Sheaf(self, pool(self.redis))
            with sheaf.connect() as idle:
                idle.ask("PING")
                sheaf.process.signal(number)
                self.assertEqual(sheaf.wait(), 0)

    def test_sigterm_lets_what_was_asked_be_answered(self):
        sheaf = Sheaf(self, pool(self.redis, timeout="10s"), proxy={"drain_timeout": "20s"})
        key = keys_on_shards(2)[0][0]
        with sheaf.connect() as session:
            session.ask("SET", key, "1")
            self.redis[0].stop()
            session.send(encode("GET", key))
            sheaf.terminate()
            wait_until(lambda: self.refused(sheaf), what="listeners to be closed")
            self.assertTrue(sheaf.process.running)
            self.redis[0].cont()
            self.assertEqual(session.reply(), b"1")
            self.assertEqual(sheaf.wait(), 0)

    @staticmethod
    def refused(sheaf):
        try:
            sheaf.connect().close()
        except ConnectionRefusedError:
            return True
        return False

    def stuck(self, **options):
        """A daemon that drains while a request hangs on a server that stands still."""
        sheaf = Sheaf(self, pool(self.redis, timeout="25s"), **options)
        session = sheaf.connect()
        self.addCleanup(session.close)
        session.ask("SET", keys_on_shards(2)[0][0], "1")
        self.redis[0].stop()
        session.send(encode("GET", keys_on_shards(2)[0][0]))
        sheaf.terminate()
        wait_until(lambda: self.refused(sheaf), what="listeners to be closed")
        return sheaf

    def test_draining_is_bounded(self):
        sheaf = self.stuck(proxy={"drain_timeout": "300ms"})
        self.assertEqual(sheaf.wait(5), 0)

    def test_a_second_sigterm_ends_at_once(self):
        sheaf = self.stuck(proxy={"drain_timeout": "60s"})
        self.assertTrue(sheaf.process.running)
        sheaf.terminate()
        began = time.monotonic()
        sheaf.wait(5)
        self.assertLess(time.monotonic() - began, 2 * SLOW)

    def test_drain_under_load_breaks_no_request(self):
        sheaf = Sheaf(self, pool(self.redis), proxy={"drain_timeout": "10s"})
        wrong = []

        def work(number):
            with sheaf.connect() as session:
                try:
                    for turn in range(1_000_000):
                        session.send(encode("SET", f"d:{number}", turn) + encode("GET", f"d:{number}"))
                        replies = [session.reply(), session.reply()]
                        if replies != ["OK", b"%d" % turn]:
                            wrong.append(replies)
                except (EOFError, OSError):
                    pass

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        wait_until(lambda: int(self.redis[0].ask("GET", "d:0") or self.redis[1].ask("GET", "d:0") or 0) > 200)
        sheaf.terminate()
        self.assertEqual(sheaf.wait(), 0)
        for thread in threads:
            thread.join()
        self.assertEqual(wrong[:3], [])

    def test_a_limit_of_open_files_that_is_too_low_is_told(self):
        for most, told in ((50, False), (500, True)):
            file = self.folder() / f"sessions{most}.ini"
            file.write_text(ini(("proxy", {"max_sessions": most, "admin": "off"}), pool(self.redis)))
            sheaf = Process(["prlimit", "--nofile=200:200", BINARY, "serve", file])
            self.addCleanup(sheaf.kill)
            wait_until(lambda s=sheaf: "sheaf is ready" in s.err)
            self.assertEqual("fewer open files" in sheaf.err, told)

    def test_a_service_manager_is_told_when_it_is_ready_and_when_it_ends(self):
        for path in (str(self.folder() / "notify"), "@" + str(self.folder() / "notify")):
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
                manager.bind(path.replace("@", "\0"))
                manager.settimeout(10 * SLOW)
                sheaf = Sheaf(self, pool(self.redis), env={"NOTIFY_SOCKET": path})
                self.assertEqual(manager.recv(100), b"READY=1")
                sheaf.reload()
                self.assertEqual(manager.recv(500), b"STATUS=configuration 2 is served")
                sheaf.reload(pool(self.redis, user="app ${NOT_SET_HERE}"))
                self.assertRegex(manager.recv(500), rb'^STATUS=reload refused: [^\n]*variable "NOT_SET_HERE" is not set$')
                sheaf.terminate()
                self.assertEqual(manager.recv(100), b"STOPPING=1\nEXTEND_TIMEOUT_USEC=7000000")
                self.assertEqual(sheaf.wait(), 0)

    def test_a_unix_socket_listens_and_is_gone_afterwards(self):
        path = self.folder() / "sheaf.sock"
        sheaf = Sheaf(self, pool(self.redis, listen=f"redis+unix://{path}"))
        with sheaf.connect() as session:
            self.assertEqual(session.ask("MSET", "a", "1", "b", "2", "c", "3"), "OK")
        sheaf.terminate()
        self.assertEqual(sheaf.wait(), 0)
        self.assertFalse(path.exists())

    def test_a_shard_may_be_a_unix_socket(self):
        sheaf = Sheaf(self, pool([f"redis+unix://{r.socket}" for r in self.redis]))
        with sheaf.connect() as session:
            self.assertEqual(session.ask("MSET", "a", "1", "b", "2", "c", "3"), "OK")
            self.assertEqual(session.ask("MGET", "a", "b", "c"), [b"1", b"2", b"3"])


class Reload(Case):
    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.first = pool(self.redis, name="first")
        self.sheaf = Sheaf(self, self.first)

    def serves(self, name):
        return lambda: self.sheaf.ask("PING") == "PONG" and self.try_ping(name)

    def try_ping(self, name):
        with self.sheaf.connect(name) as session:
            return session.ask("SET", "reload", "1") == "OK"

    def test_pools_come_and_go_while_clients_of_others_work(self):
        more = [RedisServer(self) for _ in range(2)]
        with Load(self.sheaf, 2, name="first") as load:
            for turn in range(4):
                name = f"more{turn}"
                self.sheaf.reload(self.first, pool(more, name=name, stamp="off"))
                wait_until(self.serves(name), what="the new pool")
                target = self.sheaf.target(name)
                wait_until(load.ops(500), what="load")
                self.sheaf.reload(self.first)
                wait_until(lambda t=target: self.refuses(t), what="the pool to be gone")
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])

    @staticmethod
    def refuses(target):
        try:
            RespSession(target).close()
        except ConnectionRefusedError:
            return True
        return False

    def test_upstreams_and_sessions_of_a_pool_that_stays_are_kept(self):
        with self.sheaf.connect() as session:
            session.ask("SET", "a", "1")
            session.ask("CLIENT", "SETNAME", "kept")
            before = [self.upstreams(r) for r in self.redis]
            time.sleep(0.2 * SLOW)      # those that read the stamps end
            before = [ids & self.upstreams(r) for ids, r in zip(before, self.redis)]
            self.assertTrue(any(before))
            self.sheaf.reload(self.first, pool(self.redis, name="second", stamp="off"))
            wait_until(self.serves("second"))
            self.assertEqual(session.ask("CLIENT", "GETNAME"), b"kept")
            for redis, ids in zip(self.redis, before):
                self.assertLessEqual(ids, self.upstreams(redis))

    @staticmethod
    def upstreams(redis):
        """The numbers of the TCP connections that a server has."""
        text = redis.ask("CLIENT", "LIST", "TYPE", "normal").decode()
        return {line.split()[0] for line in text.splitlines() if " addr=127.0.0.1:" in line}

    def test_a_bad_file_changes_nothing_and_says_why(self):
        with self.sheaf.connect() as session:
            session.ask("SET", "a", "1")
            self.sheaf.reload(text=self.sheaf.text.replace("shard = ", "shart = "))
            wait_until(lambda: "shart" in self.sheaf.log, what="the reason in the log")
            self.assertEqual(session.ask("GET", "a"), b"1")
            self.assertEqual(RespSession(("127.0.0.1", session.socket.getpeername()[1])).ask("GET", "a"), b"1")

    def test_a_changed_option_counts_for_requests_from_then_on(self):
        with self.sheaf.connect() as session:
            session.ask("SET", "a", "1")
            kind, options = self.first
            self.sheaf.reload((kind, {**options, "max_request": "16kb"}))
            wait_until(lambda: isinstance(self.try_large(), Failure), what="the new limit")
            self.assertEqual(session.ask("GET", "a"), b"1")

    def try_large(self):
        with self.sheaf.connect() as session:
            return session.ask("SET", "large", b"x" * 30_000)

    def test_a_listener_may_move(self):
        old = self.sheaf.target()
        kind, options = self.first
        self.sheaf.reload((kind, {**options, "listen": f"redis://127.0.0.1:{free_port()}"}))
        wait_until(lambda: self.sheaf.ask("PING") == "PONG", what="the new listener")
        wait_until(lambda: self.refuses(old), what="the old listener to be gone")

    def test_reload_again_and_again_under_load_leaks_nothing(self):
        second = pool(self.redis, name="second", stamp="off")
        with Load(self.sheaf, 2, name="first", threads=2) as load:
            for turn in range(15):
                self.sheaf.reload(self.first, *([second] if turn % 2 == 0 else []))
                target = second[1]["listen"].rsplit(":", 1)[1]
                wait_until(lambda t=turn, p=int(target): self.refuses(("127.0.0.1", p)) == (t % 2 == 1))
            wait_until(load.ops(200))
            load.stop()
            load.check(self)
            self.assertEqual(load.errors, [[], []])
        before = self.sheaf.process.open_files()
        self.assertLess(before, 60)


class Stamps(Case):
    """A map that is wrong is refused before it does harm."""

    def setUp(self):
        self.redis = [RedisServer(self) for _ in range(2)]
        self.keys = [keys[0] for keys in keys_on_shards(2)]
        self.options = pool(self.redis)[1]
        sheaf = self.serve()
        for key in self.keys:
            wait_until(lambda k=key: sheaf.ask("SET", k, "1") == "OK")
        sheaf.terminate()
        sheaf.wait()

    def serve(self, **options):
        return Sheaf(self, ("memory main", {**self.options, **options}))

    def refused(self, sheaf):
        for shard, key in enumerate(self.keys):
            reply = wait_until(lambda k=key: sheaf.ask("GET", k))
            self.assertIsInstance(reply, Failure)
            self.assertIn("stamp", str(reply).lower() + sheaf.log.lower(), shard)

    def test_the_same_map_is_served_again(self):
        sheaf = self.serve()
        self.assertEqual([sheaf.ask("GET", k) for k in self.keys], [b"1", b"1"])

    def test_swapped_shard_lines_are_refused(self):
        sheaf = self.serve(shard=[r.url for r in reversed(self.redis)])
        self.refused(sheaf)
        self.assertIn(self.redis[0].address, sheaf.log)

    def test_another_number_of_shards_is_refused(self):
        sheaf = self.serve(shard=[*self.options["shard"], RedisServer(self).url])
        self.assertIsInstance(sheaf.ask("GET", next(k for k in map(str, range(99)) if shard_of(k, 3) == 0)), Failure)

    def test_another_hash_or_distribution_is_refused(self):
        for options in ({"hash": "fnv1a_64"}, {"distribution": "jump"}):
            sheaf = self.serve(**options, listen=f"redis://127.0.0.1:{free_port()}")
            self.refused(sheaf)

    def test_without_stamps_the_operator_is_trusted(self):
        sheaf = self.serve(shard=[r.url for r in reversed(self.redis)], stamp="off")
        self.assertEqual([sheaf.ask("GET", k) for k in self.keys], [None, None])


if __name__ == "__main__":
    main()
