#!/usr/bin/python3
"""TLS on both sides, and Unix sockets: who is let in, who is refused, and that every byte arrives."""
import contextlib
import shutil
import socket
import ssl
import threading
import time

from lib import *


class TlsCase(Case):
    @classmethod
    def setUpClass(cls):
        cls.certificates = Certificates(cls.folder() / "own")
        cls.certificates.issue("app")
        cls.strangers = Certificates(cls.folder() / "strange")
        cls.strangers.issue("app")

    def listens(self, shards=None, **options):
        """A pool whose listener speaks TLS."""
        shards = shards or [RedisServer(self), RedisServer(self)]
        self.keys = [keys[0] for keys in keys_on_shards(len(shards))]
        return Sheaf(self, pool(shards, listen=f"rediss://127.0.0.1:{free_port()}",
                                tls_cert=self.certificates.cert("server"),
                                tls_key=self.certificates.key("server"), **options))

    def secure(self, sheaf, context=None, **options):
        return RespSession(sheaf.target(), tls=context or self.certificates.client_context(), **options)

    def is_refused(self, connect):
        """Either the handshake fails, or (TLS 1.3) the first read after it."""
        with self.assertRaises((ssl.SSLError, OSError, EOFError)):
            with connect() as session:
                session.ask("PING")


class Listeners(TlsCase):
    def test_both_versions_are_spoken(self):
        sheaf = self.listens()
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = self.certificates.client_context()
            context.minimum_version = context.maximum_version = version
            with self.secure(sheaf, context) as session:
                self.assertEqual(session.socket.version(), version.name.replace("_", "."))
                self.assertEqual(session.ask("MSET", self.keys[0], "1", self.keys[1], "2"), "OK")
                self.assertEqual(session.ask("MGET", *self.keys), [b"1", b"2"])

    def test_the_oldest_version_is_an_option(self):
        sheaf = self.listens(tls_min_version="1.3")
        context = self.certificates.client_context()
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        self.is_refused(lambda: self.secure(sheaf, context))
        with self.secure(sheaf) as session:
            self.assertEqual(session.ask("PING"), "PONG")

    def test_a_client_certificate_may_be_required(self):
        sheaf = self.listens(tls_client="required", tls_client_ca=self.certificates.ca)
        self.is_refused(lambda: self.secure(sheaf))
        context = self.certificates.client_context()
        context.load_cert_chain(self.strangers.cert("app"), self.strangers.key("app"))
        self.is_refused(lambda: self.secure(sheaf, context))
        with self.secure(sheaf, self.certificates.client_context("app")) as session:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")

    def test_big_values_pass_both_ways(self):
        sheaf = self.listens()
        with self.secure(sheaf) as session:
            for size in (1, 16_383, 16_384, 16_385, 65_536, 300_000, 3_000_000, 10_000_000):
                value = bytes([size % 251]) * size
                self.assertEqual(session.ask("SET", self.keys[size % 2], value), "OK")
                self.assertTrue(session.ask("GET", self.keys[size % 2]) == value, size)

    def test_pipelines_pass_however_they_are_cut_into_records(self):
        """Bytes that TLS has decrypted already are not announced by the socket."""
        sheaf = self.listens()
        with self.secure(sheaf) as session:
            for piece in (7, 100, 1_000, 5_000, 16_384):
                commands = b"".join(encode("SET", f"k{n}", f"{piece}:{n}") + encode("GET", f"k{n}")
                                    for n in range(3_000))
                self.write_in_pieces(session, commands, piece)
                for n in range(3_000):
                    self.assertEqual(session.reply(), "OK")
                    self.assertEqual(session.reply(), b"%d:%d" % (piece, n))

    @staticmethod
    def write_in_pieces(session, data, piece):
        for at in range(0, len(data), piece):
            session.send(data[at:at + piece])

    def test_a_large_request_in_small_records_is_taken_whole(self):
        sheaf = self.listens()
        request = encode("SET", self.keys[0], b"v" * 400_000)
        with self.secure(sheaf) as session:
            for piece in (900, 3_000, 7_001):
                self.write_in_pieces(session, request, piece)
                self.assertEqual(session.reply(), "OK")

    def test_a_client_that_reads_slowly_gets_everything(self):
        sheaf = self.listens(max_session_memory="2mb", max_request="1mb")
        value = b"x" * 500_000
        with self.secure(sheaf) as session:
            session.ask("SET", self.keys[0], value)
            session.send(encode("GET", self.keys[0]) * 60)
            with self.secure(sheaf) as other:
                self.assertEqual(other.ask("SET", self.keys[1], "1"), "OK")
            for number in range(60):
                self.assertTrue(session.reply() == value, number)

    def test_garbage_instead_of_a_handshake_ends_that_connection_alone(self):
        sheaf = self.listens()
        with self.secure(sheaf) as session:
            for garbage in (b"PING\r\n", b"\x00" * 600, b"\x16\x03\x01\x00\x05hello", encode("GET", "a")):
                with socket.create_connection(sheaf.target(), 10 * SLOW) as raw:
                    raw.sendall(garbage)
                    raw.shutdown(socket.SHUT_WR)
                    try:
                        while raw.recv(1000):
                            pass
                    except ConnectionResetError:
                        pass
            self.assertEqual(session.ask("PING"), "PONG")

    def test_a_handshake_takes_only_so_long(self):
        sheaf = self.listens(handshake_timeout="1s")
        began = time.monotonic()
        with socket.create_connection(sheaf.target(), 20 * SLOW) as raw:
            raw.sendall(b"\x16\x03\x01")
            self.assertEqual(raw.recv(100), b"")
        self.assertGreaterEqual(time.monotonic() - began, 0.99)
        self.assertLess(time.monotonic() - began, 4 * SLOW)

    def test_clients_that_leave_in_the_middle_of_the_handshake_leave_nothing_behind(self):
        sheaf = self.listens()
        with self.secure(sheaf) as session:
            session.ask("SET", "a", "1")
            before = sheaf.process.open_files()
            for number in range(100):
                with socket.create_connection(sheaf.target()) as raw:
                    raw.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[:number % 11 + 1])
            wait_until(lambda: sheaf.process.open_files() <= before + 4, what="them to be forgotten")
            self.assertEqual(session.ask("GET", "a"), b"1")

    def test_a_certificate_is_renewed_by_a_reload_and_sessions_stay(self):
        own = Certificates(self.folder() / "renewed")
        redis = RedisServer(self)
        section = pool([redis], listen=f"rediss://127.0.0.1:{free_port()}",
                       tls_cert=own.cert("server"), tls_key=own.key("server"))
        sheaf = Sheaf(self, section)
        with RespSession(sheaf.target(), tls=own.client_context()) as session:
            session.ask("SET", "a", "1")
            before = session.socket.getpeercert(binary_form=True)
            own.issue("server", names=("DNS:localhost", "IP:127.0.0.1"))
            sheaf.reload(section)
            wait_until(lambda: self.shown(sheaf, own) != before, what="the new certificate")
            self.assertEqual(session.ask("GET", "a"), b"1")

    def test_the_authority_of_clients_is_renewed_by_a_reload(self):
        authority = self.folder() / "clients.ca"
        shutil.copy(self.strangers.ca, authority)
        sheaf = self.listens(tls_client="required", tls_client_ca=authority)
        of = {}
        for name, whose in (("ours", self.certificates), ("strange", self.strangers)):
            of[name] = self.certificates.client_context()
            of[name].load_cert_chain(whose.cert("app"), whose.key("app"))
        self.is_refused(lambda: self.secure(sheaf, of["ours"]))
        with self.secure(sheaf, of["strange"]) as stays:
            self.assertEqual(stays.ask("SET", "a", "1"), "OK")
            shutil.copy(self.certificates.ca, authority)
            sheaf.reload()
            wait_until(lambda: "generation=2" in sheaf.log, what="the reload")
            self.assertEqual(stays.ask("GET", "a"), b"1")
        with self.secure(sheaf, of["ours"]) as session:
            self.assertEqual(session.ask("GET", "a"), b"1")
        self.is_refused(lambda: self.secure(sheaf, of["strange"]))

    @staticmethod
    def shown(sheaf, certificates):
        with RespSession(sheaf.target(), tls=certificates.client_context()) as session:
            return session.socket.getpeercert(binary_form=True)

    def test_a_key_that_does_not_fit_changes_nothing(self):
        own = Certificates(self.folder() / "unfit")
        own.issue("other")
        section = pool([RedisServer(self)], listen=f"rediss://127.0.0.1:{free_port()}",
                       tls_cert=own.cert("server"), tls_key=own.key("server"))
        sheaf = Sheaf(self, section)
        sheaf.reload((section[0], {**section[1], "tls_key": own.key("other")}))
        wait_until(lambda: "reload refused" in sheaf.log, what="the refusal")
        self.assertIn("other.key", sheaf.log)
        with RespSession(sheaf.target(), tls=own.client_context()) as session:
            self.assertEqual(session.ask("SET", "a", "1"), "OK")


class NamesAsked:
    """A TLS server that notes the server name which each handshake asks for (None: for none), and says no more."""

    def __init__(self, owner, certificates):
        self.names = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificates.cert("server"), certificates.key("server"))
        self._context.sni_callback = lambda _, name, __: self.names.append(name)
        self._listener = socket.create_server(("127.0.0.1", free_port()))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        owner.addCleanup(self._end)

    def _serve(self):
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            near.settimeout(5)
            with contextlib.suppress(OSError), self._context.wrap_socket(near, server_side=True):
                pass
            near.close()

    def _end(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


class Shards(TlsCase):
    """Sheaf is the client of servers that speak TLS."""

    def server(self, **options):
        return RedisServer(self, certificates=self.certificates, **options)

    def to(self, servers, **options):
        options = {"shard_tls_ca": self.certificates.ca, "connect_timeout": "3s", **options}
        return Sheaf(self, pool([s.url for s in servers], **options))

    def says(self, sheaf, word):
        """Requests fail and the reason is told."""
        reply = sheaf.ask("GET", "a")
        self.assertIsInstance(reply, Failure)
        self.assertIn(word, reply)

    def test_values_of_all_sizes_pass(self):
        sheaf = self.to([self.server(), self.server()])
        keys = [k[0] for k in keys_on_shards(2)]
        with sheaf.connect() as session:
            for size in (0, 1, 16_384, 100_000, 2_000_000, 9_000_000):
                value = bytes([size % 251]) * size
                self.assertEqual(session.ask("MSET", keys[0], value, keys[1], size), "OK")
                found = session.ask("MGET", *keys)
                self.assertTrue(found == [value, b"%d" % size], size)

    def test_a_pipeline_of_large_values_comes_whole(self):
        sheaf = self.to([self.server(), self.server()], max_session_memory="4mb", max_request="2mb")
        values = {keys[0]: bytes([65 + n]) * 700_000 for n, keys in enumerate(keys_on_shards(2))}
        with sheaf.connect() as session:
            for key, value in values.items():
                self.assertEqual(session.ask("SET", key, value), "OK")
            order = list(values) * 20
            session.send(b"".join(encode("GET", key) for key in order))
            for number, key in enumerate(order):
                self.assertTrue(session.reply() == values[key], number)

    def test_a_server_of_an_unknown_authority_is_refused(self):
        self.says(self.to([self.server()], shard_tls_ca=self.strangers.ca), "certificate")

    def test_a_name_that_the_certificate_does_not_have_is_refused(self):
        server = self.server()
        self.says(self.to([server], shard_tls_server_name="db.example.org"), "mismatch")
        sheaf = self.to([server], shard_tls_server_name="localhost")
        self.assertEqual(sheaf.ask("SET", "a", "1"), "OK")

    def test_servers_are_asked_for_by_name(self):
        """Of a name in the URL, the one configured instead, and none for an address; probes do so too."""
        for host, options, expected in (("localhost", {}, "localhost"), ("127.0.0.1", {}, None),
                                        ("127.0.0.1", {"shard_tls_server_name": "db.example.org"}, "db.example.org"),
                                        ("localhost", {"shard_tls_server_name": "db.example.org"}, "db.example.org")):
            server = NamesAsked(self, self.certificates)
            url = f"rediss://{host}:{server.port}"
            sheaf = Sheaf(self, pool([url], shard_tls_ca=self.certificates.ca, probe_interval="100ms", **options))
            self.assertIsInstance(sheaf.ask("GET", "a"), Failure)
            wait_until(lambda s=server: len(s.names) >= 4, what="handshakes of requests and probes")
            self.assertEqual(set(server.names), {expected}, (host, options))

    def test_an_expired_certificate_is_refused(self):
        old = Certificates(self.folder() / "old")
        old.issue("server", names=("DNS:localhost", "IP:127.0.0.1"), days=-1)
        server = RedisServer(self, certificates=old)
        self.says(self.to([server], shard_tls_ca=old.ca), "expired")

    def test_verification_is_off_only_when_the_configuration_says_so(self):
        sheaf = self.to([self.server()], shard_tls_ca=self.strangers.ca, shard_tls_verify="no")
        self.assertEqual(sheaf.ask("SET", "a", "1"), "OK")

    def test_a_client_certificate_is_shown(self):
        server = self.server(mutual=True)
        self.says(self.to([server]), "certificate required")
        sheaf = self.to([server], shard_tls_cert=self.certificates.cert("app"),
                        shard_tls_key=self.certificates.key("app"))
        self.assertEqual(sheaf.ask("SET", "a", "1"), "OK")

    def test_a_reload_reads_what_is_trusted_and_shown_again(self):
        """The same configuration; other bytes in the files that it names."""
        folder = self.folder() / "again"
        folder.mkdir()
        ca, cert, key = (folder / name for name in ("ca", "cert", "key"))

        def put(trusted, shown):
            shutil.copy(trusted.ca, ca)
            shutil.copy(shown.cert("app"), cert)
            shutil.copy(shown.key("app"), key)

        put(trusted=self.strangers, shown=self.certificates)
        sheaf = self.to([self.server(mutual=True)], shard_tls_ca=ca, shard_tls_cert=cert, shard_tls_key=key,
                        backoff_max="200ms")
        self.says(sheaf, "certificate")
        put(trusted=self.certificates, shown=self.strangers)
        sheaf.reload()
        wait_until(lambda: "generation=2" in sheaf.log, what="the first reload")
        wait_until(lambda: "unknown ca" in str(sheaf.ask("SET", "a", "1")), what="the server to refuse us")
        put(trusted=self.certificates, shown=self.certificates)
        sheaf.reload()
        wait_until(lambda: sheaf.ask("SET", "a", "1") == "OK", what="the shard")

    def test_plain_to_a_tls_server_and_tls_to_a_plain_one_fail_with_a_reason(self):
        plain = RedisServer(self)
        secured = self.server()
        for url in (f"rediss://{plain.address}", f"redis://{secured.address}"):
            sheaf = Sheaf(self, pool([url], shard_tls_ca=self.certificates.ca, connect_timeout="2s"))
            reply = sheaf.ask("GET", "a")
            self.assertIsInstance(reply, Failure)
            self.assertIn(url.split("//")[1], reply)

    def test_servers_that_are_restarted_are_used_again(self):
        servers = [self.server(), self.server()]
        sheaf = self.to(servers, backoff_max="200ms")
        keys = [k[0] for k in keys_on_shards(2)]
        for _ in range(3):
            for key, server in zip(keys, servers):
                self.assertEqual(sheaf.ask("SET", key, "1"), "OK")
                server.restart()
                wait_until(lambda k=key: sheaf.ask("SET", k, "2") == "OK", what="the shard")


class UnixSockets(TlsCase):
    def test_both_sides_may_be_unix_sockets(self):
        servers = [RedisServer(self), RedisServer(self)]
        path = self.folder() / "both.sock"
        sheaf = Sheaf(self, pool([f"redis+unix://{s.socket}" for s in servers],
                                 listen=f"redis+unix://{path}?mode=0600"))
        keys = [k[0] for k in keys_on_shards(2)]
        value = b"v" * 2_000_000
        self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        with sheaf.connect() as session:
            self.assertEqual(session.ask("MSET", keys[0], value, keys[1], "2"), "OK")
            self.assertTrue(session.ask("MGET", *keys) == [value, b"2"])
        servers[0].restart()
        wait_until(lambda: sheaf.ask("SET", keys[0], "1") == "OK", what="the shard to be back")

    def test_a_socket_that_is_missing_is_told(self):
        missing = self.folder() / "missing.sock"
        sheaf = Sheaf(self, pool([f"redis+unix://{missing}"]))
        reply = sheaf.ask("GET", "a")
        self.assertIsInstance(reply, Failure)
        self.assertIn(str(missing), reply)


if __name__ == "__main__":
    main()
