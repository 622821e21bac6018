#!/usr/bin/python3
# release only: the sanitizers see the same code in the other tests of SQL pools
"""The beginning and the end of SQL sessions, what is no protocol at all, and CancelRequests."""
import os
import socket
import ssl
import struct
import threading
import unittest

from lib import *
from lib import pgwire as pg
from lib.certificates import Certificates
from lib.pgtwin import PgTwin
from lib.sql_front import FRONT, sql_front

SLEEP = "SELECT pg_sleep(60)"


def refused(target, parameters, version=pg.PROTOCOL_3_0):
    """The fields of the error at login, without where the server's source says so."""
    with pg.PgSession(target, login=False) as session:
        try:
            session.login(parameters, version)
        except pg.PgError as error:
            rest = session.rest()
            return {k: v for k, v in error.fields.items() if k not in "FLR"}, rest
        raise AssertionError("it was let in")


class Startup(PgTwin):
    def at_both(self, function):
        """What a function of a target says, of the server and of the front: the same."""
        direct = function(("127.0.0.1", self.server.port))
        self.assertEqual(function(self.front.target()), direct)
        return direct

    def answers(self, data, end=False):
        """What raw bytes in place of a StartupMessage bring at both, until it is closed."""
        def say(target):
            with pg.PgSession(target, login=False) as session:
                session.send(data)
                if end:
                    session.socket.shutdown(socket.SHUT_WR)
                got = b""
                try:
                    while more := session.socket.recv(65536):
                        got += more
                except ConnectionResetError:
                    pass
                return got
        return self.at_both(say)

    # --- what a session is told

    def test_the_parameters_that_a_session_is_told(self):
        def parameters(target):
            with pg.PgSession(target) as session:
                return session.parameters
        self.assertEqual(self.at_both(parameters)["session_authorization"], "app")

    def test_the_order_of_a_login(self):
        def tags(target):
            with pg.PgSession(target, login=False) as session:
                answer = session.login({"user": "app", "database": "app"})
                return answer.tags[0], answer.tags[-2:], sorted(answer.tags)
        self.assertEqual(self.at_both(tags)[1], "KZ")

    def test_settings_of_the_startup_message(self):
        settings = {"application_name": "here I am", "DateStyle": "SQL, DMY", "TimeZone": "Asia/Tokyo", "client_encoding": "latin1",
                    "search_path": "pg_catalog", "geqo": "off", "IntervalStyle": "iso_8601",
                    "options": r"-c work_mem=3MB --statement-timeout=77s -c my.own=a\ b\\c"}

        def all_of(target):
            with pg.PgSession(target, options=settings) as session:
                shown = [session.value(f"SHOW {name}") for name in
                         ("application_name", "DateStyle", "TimeZone", "client_encoding", "search_path", "geqo", "IntervalStyle",
                          "work_mem", "statement_timeout", "my.own")]
                return session.parameters, shown, session.ask("SELECT 'größe', now() - now(), '2001-02-03'::date").rows
        self.assertEqual(self.at_both(all_of)[1][-3:], ["3MB", "77s", r"a b\c"])

    def test_the_database_is_the_users_name_unless_it_is_given(self):
        with pg.PgSession(self.front.target(), login=False) as session:
            session.login({"user": "app"})
            self.assertEqual(session.value("SELECT current_database()"), "app")
            self.assertEqual(session.ask("SELECT session_user, current_user").rows, [["app", "app"]])

    # --- what is refused

    def test_no_user(self):
        self.assertEqual(self.at_both(lambda t: refused(t, {"database": "app"}))[0]["C"], "28000")

    def test_no_such_database(self):
        fields, _ = refused(self.front.target(), {"user": "app", "database": "nosuch"})
        self.assertEqual((fields["C"], fields["S"]), ("3D000", "FATAL"))
        self.assertIn('database "nosuch" does not exist', fields["M"])

    def test_settings_that_the_server_refuses(self):
        for options, code in (({"nosuch": "1"}, "42704"), ({"work_mem": "x"}, "22023"), ({"options": "-c nosuch=1"}, "42704"),
                              ({"options": "bogus"}, "42601"), ({"client_encoding": "klingon"}, "22023")):
            with self.subTest(options=options):
                for target in (("127.0.0.1", self.server.port), self.front.target()):
                    fields, _ = refused(target, {"user": "app", "database": "app", **options})
                    self.assertEqual((fields["C"], fields["S"]), (code, "FATAL"))
                self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_other_versions_of_the_protocol(self):
        fields, _ = self.at_both(lambda target: refused(target, {"user": "app"}, 4 << 16))
        self.assertEqual(fields["C"], "0A000")
        for version in (2 << 16, 1 << 16):
            self.assertIn(b"unsupported frontend protocol", self.answers_loosely(pg.startup({"user": "app"}, version)))

    def test_newer_minor_versions_and_options_are_negotiated(self):
        def negotiate(version, options):
            def say(target):
                with pg.PgSession(target, login=False) as session:
                    answer = session.login({"user": "app", "database": "app", **options}, version)
                    return [m.body for m in answer if m.tag == "v"], session.value("SELECT 1")
            return self.at_both(say)[0]
        self.assertEqual(negotiate(pg.PROTOCOL_3_0, {}), [])
        self.assertEqual(len(negotiate(pg.PROTOCOL_3_0 + 2, {})), 1)
        self.assertEqual(len(negotiate(pg.PROTOCOL_3_0 + 99, {"_pq_.one": "1", "_pq_.two": "2"})), 1)
        self.assertIn(b"_pq_.one", negotiate(pg.PROTOCOL_3_0, {"_pq_.one": "1"})[0])

    # --- encryption

    def test_requests_for_encryption_are_answered_with_no(self):
        def ask(target, *codes):
            with pg.PgSession(target, login=False) as session:
                for code in codes:
                    session.send(pg.request(code))
                    self.assertEqual(session.bytes(1), b"N")
                session.login({"user": "app", "database": "app"})
                return session.value("SELECT 1")
        self.assertEqual(self.at_both(lambda target: ask(target, pg.SSL)), "1")
        if FRONT == "sheaf":  # Debian's server can encrypt with GSS over TCP
            self.assertEqual(ask(self.front.target(), pg.GSSENC, pg.SSL), "1")
            self.assertEqual(ask(self.front.target(), pg.SSL, pg.GSSENC), "1")

    def test_what_is_said_before_the_answer_to_a_request_for_encryption_does_not_count(self):
        more = pg.startup({"user": "app", "database": "app"}) + pg.query("SELECT 1") + pg.terminate()
        self.assertRegex(self.answers_loosely(pg.request(pg.SSL) + more), b"(?s)^NE.*C08P01")

    @unittest.skipIf(FRONT != "sheaf", "it is Sheaf's TLS")
    def test_what_is_said_before_tls_begins_is_not_taken_for_something_said_within(self):
        """By who sits in between (CVE-2021-23214): neither done nor left to be read behind the handshake."""
        certificates = Certificates(self.folder() / "certificates")
        front = sql_front(self, self.server, tls="require", tls_cert=certificates.cert("server"), tls_key=certificates.key("server"))
        context = ssl.create_default_context(cafile=certificates.ca)
        for more in (pg.startup({"user": "app", "database": "app"}) + pg.query("CREATE TABLE slipped_in (a int)"), b"\0", pg.request(pg.SSL), b"\x16\x03\x01\x02\x00\x01"):
            with self.subTest(more=more[:10]), pg.PgSession(front.target(), login=False) as session:
                session.send(pg.request(pg.SSL) + more)
                self.assertEqual(session.rest().errors, ["08P01"])
        self.assertEqual(self.server.value("SELECT to_regclass('slipped_in')"), None)
        with socket.create_connection(front.target()) as plain:
            plain.sendall(pg.request(pg.SSL))
            self.assertEqual(plain.recv(10), b"S")
            with context.wrap_socket(plain, server_hostname="localhost") as within:
                within.sendall(pg.startup({"user": "app", "database": "app"}))
                self.assertEqual(within.recv(1), b"R")

    @unittest.skipIf(FRONT != "sheaf", "it is Sheaf's TLS")
    def test_tls_without_a_request(self):
        """sslnegotiation=direct of libpq 17: by ALPN alone it is known that PostgreSQL is meant."""
        certificates = Certificates(self.folder() / "certificates")
        front = sql_front(self, self.server, tls="require", tls_cert=certificates.cert("server"), tls_key=certificates.key("server"))

        def context(*protocols):
            made = ssl.create_default_context(cafile=certificates.ca)
            made.set_alpn_protocols(protocols)
            return made
        for direct in (True, False):
            with pg.PgSession(front.target(), tls=context("http/1.1", "postgresql"), direct_tls=direct) as session:
                self.assertEqual(session.socket.selected_alpn_protocol(), "postgresql")
                self.assertEqual(session.value("SELECT 'x' || repeat('y', 40000) || 'z'"), "x" + "y" * 40000 + "z")
            with self.assertRaisesRegex(ssl.SSLError, "(?i)no.application.protocol"):
                pg.PgSession(front.target(), tls=context("http/1.1"), direct_tls=direct)
        with self.assertRaises((EOFError, OSError)):
            pg.PgSession(front.target(), tls=context(), direct_tls=True)
        pg.PgSession(front.target(), tls=context()).close()
        self.assertEqual(self.in_pieces(front, context("postgresql")), b"R")
        for before in (pg.request(pg.GSSENC), pg.request(pg.SSL) + b"\x16"):
            with socket.create_connection(front.target()) as plain:
                plain.sendall(before)
                self.assertIn(plain.recv(1), b"NE")
                with self.assertRaises((ssl.SSLError, ConnectionError)):
                    context("postgresql").wrap_socket(plain, server_hostname="localhost")

    @staticmethod
    def in_pieces(front, context):
        """The first byte of what a client says at login to which nothing had come but bytes one by one."""
        said, heard = ssl.MemoryBIO(), ssl.MemoryBIO()
        within, shook = context.wrap_bio(heard, said, server_hostname="localhost"), False
        with socket.create_connection(front.target(), 10) as plain:
            while True:
                try:
                    if not shook:
                        within.do_handshake()
                        within.write(pg.startup({"user": "app", "database": "app"}))
                        shook = True
                    return within.read(1)
                except ssl.SSLWantReadError:
                    while data := said.read(1):
                        plain.sendall(data)
                    heard.write(plain.recv(4096))

    # --- what is no protocol

    def test_what_is_no_startup_message(self):
        for data in (b"GET / HTTP/1.1\r\n\r\n", struct.pack("!ii", 8, 0x7fffffff), struct.pack("!i", 4), struct.pack("!i", 0),
                     struct.pack("!i", -1), struct.pack("!ii", 0x7fffffff, pg.PROTOCOL_3_0), struct.pack("!ii", 20000, pg.PROTOCOL_3_0),
                     struct.pack("!ii", 8, pg.PROTOCOL_3_0), struct.pack("!ii", 9, pg.PROTOCOL_3_0) + b"x",
                     struct.pack("!ii", 14, pg.PROTOCOL_3_0) + b"user\0a", b"\x16\x03\x01\x02\x00\x01" + bytes(600),
                     pg.request(pg.CANCEL), pg.request(pg.CANCEL, b"1234567"), pg.request(pg.CANCEL, b"123456789"), os.urandom(100)):
            with self.subTest(data=data[:20]):
                got = self.answers_loosely(data)
                self.assertIn(got[:1], (b"", b"E"))

    def answers_loosely(self, data):
        """Closed, after nothing or a FATAL; the server must go on."""
        with pg.PgSession(self.front.target(), login=False) as session:
            try:
                session.send(data)
                session.socket.shutdown(socket.SHUT_WR)
                got = b""
                while more := session.socket.recv(65536):
                    got += more
                return got
            except (ConnectionResetError, BrokenPipeError):
                return b""

    def test_nothing_is_said_and_it_is_closed(self):
        self.assertEqual(self.answers(b"", end=True), b"")
        self.assertEqual(self.answers(struct.pack("!ii", 80, pg.PROTOCOL_3_0) + b"user\0", end=True), b"")

    def test_messages_that_are_none(self):
        for data in (b"\xff" * 100, pg.frame("x"), pg.frame("p", b"secret\0"), pg.frame("R"), pg.frame("Z", b"I"), pg.frame("d")[1:],
                     b"Q\0\0\0\3", b"Q\0\0\0\0", b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"P\x7f\xff\xff\xff", b"S\x7f\xff\xff\xff",
                     b"d\x7f\xff\xff\xff", b"X\x7f\xff\xff\xff", b"E\0\0\xff\xff"):
            with self.subTest(data=data[:20]):
                session = self.session()
                session.send(pg.query("SELECT 1") + data)
                session.socket.shutdown(socket.SHUT_WR)
                answer = [message for message in session.rest() if message.tag != "S"]  # that asks if it is still there
                self.assertEqual([message.tag for message in answer[:4]], list("TDCZ"))
                self.assertLessEqual(len(answer), 5, answer)
                for message in answer[4:]:
                    self.assertEqual((message.tag, message.fields["S"], message.code), ("E", "FATAL", "08P01"))
        self.assertEqual(self.session().value("SELECT 1"), "1")

    def test_an_unknown_message_is_fatal(self):
        def say(target):
            with pg.PgSession(target) as session:
                session.send(pg.frame("x") + pg.query("SELECT 1"))
                return [(m.tag, m.code, m.fields["M"]) for m in session.rest()]
        self.assertEqual(self.at_both(say), [("E", "08P01", "invalid frontend message type 120")])

    def test_a_session_that_is_cut_is_gone_on_the_server_too(self):
        session = self.session()
        session.ask("BEGIN; LOCK TABLE t")
        session.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST
        session.close()
        other = self.session()
        self.assertEqual(other.ask("BEGIN; LOCK TABLE t; COMMIT").state, "I")
        wait_until(lambda: not self.server.sessions("state <> 'idle'"), what="the server to be idle")


class Cancelling(PgTwin):
    options = {"pooling": "transaction", "pool_size": 4}

    def running(self, text, count=1):
        wait_until(lambda: len(self.server.sessions(f"state = 'active' AND query LIKE '%{text}%'")) == count,
                   what=f"{count} queries to run")

    def test_keys_are_each_sessions_own(self):
        keys = {self.session().key for _ in range(50)}
        self.assertEqual(len(keys), 50)
        self.assertTrue(all(len(key) == 8 for key in keys))

    def test_a_query_is_cancelled(self):
        session = self.session()
        session.send(pg.query(SLEEP))
        self.running("pg_sleep")
        session.cancel()
        answer = session.until("Z")
        self.assertEqual((answer.errors, answer.state), (["57014"], "I"))
        self.assertEqual(session.value("SELECT 1"), "1")

    def test_the_right_one_of_several_is_cancelled(self):
        sessions = [self.session() for _ in range(4)]
        for n, session in enumerate(sessions):
            session.send(pg.one(f"SELECT {n}, pg_sleep(60)") + pg.sync())
        self.running("pg_sleep", 4)
        for n in (2, 0, 3, 1):
            sessions[n].cancel()
            self.assertEqual(sessions[n].until("Z").errors, ["57014"])
            self.assertTrue(all(s.is_silent(0) for s in sessions))

    def test_a_wrong_key_cancels_nothing(self):
        session = self.session()
        session.send(pg.query("SELECT pg_sleep(0.5)"))
        self.running("pg_sleep")
        for key in (b"\0" * 8, session.key[:4] + bytes(4), bytes(4) + session.key[4:], session.key[:7] + bytes([session.key[7] ^ 1])):
            session.cancel(key)
        for (pid, *_) in self.server.sessions():
            pg.cancel(self.front.target(), struct.pack("!iI", pid, 0))
        self.assertEqual(session.until("Z").errors, [])

    def test_the_key_of_a_session_that_is_gone_cancels_nothing(self):
        gone = self.session()
        gone.value("SELECT 1")
        gone.terminate()
        session = self.session()
        session.send(pg.query("SELECT pg_sleep(0.3)"))
        self.running("pg_sleep")
        session.cancel(gone.key)
        self.assertEqual(session.until("Z").errors, [])

    def test_an_idle_session_is_not_cancelled(self):
        session = self.session()
        for _ in range(20):
            session.cancel()
            self.assertEqual(session.value("SELECT 1"), "1")

    def test_a_copy_is_cancelled(self):
        session = self.session()
        session.send(pg.query("COPY t (v) FROM STDIN"))
        session.until("G")
        session.cancel()
        session.send(pg.copy_data(b"x\n"))  # while it waits for data, the server does not look
        self.assertEqual(session.until("E").errors, ["57014"])
        session.send(pg.copy_done())
        self.assertEqual(session.until("Z").state, "I")
        self.assertEqual(session.value("SELECT 1"), "1")

    def test_a_pipeline_is_cancelled_where_it_is(self):
        session = self.session()
        session.send(pg.one("SELECT 1") + pg.sync() + pg.one(SLEEP) + pg.one("SELECT 2") + pg.sync() + pg.one("SELECT 3") + pg.sync())
        session.until("Z")
        self.running("pg_sleep")
        session.cancel()
        answer = session.until("Z", 2)
        self.assertEqual((answer.errors, answer.rows), (["57014"], [["3"]]))

    def test_cancelled_in_a_transaction(self):
        session = self.session()
        session.ask("BEGIN")
        session.send(pg.query(SLEEP))
        self.running("pg_sleep")
        session.cancel()
        self.assertEqual(session.until("Z").state, "E")
        self.assertEqual(session.ask("ROLLBACK").state, "I")

    def test_a_session_that_waits_for_a_connection_is_cancelled(self):
        *busy, waiting = [self.session() for _ in range(5)]
        for session in busy:
            session.ask("BEGIN")
        waiting.send(pg.query("SELECT 'never'"))
        if FRONT != "direct":
            self.assertTrue(waiting.is_silent())
            waiting.cancel()
            answer = waiting.until("Z")
            self.assertEqual((answer.errors, answer.state), (["57014"], "I"))
        else:
            waiting.until("Z")
        for session in busy:
            self.assertEqual(session.ask("COMMIT").errors, [])
        self.assertEqual(waiting.value("SELECT 1"), "1")


class CancelRaces(PgTwin):
    """One server connection for all: a late cancel would hit who has it next."""
    options = {"pooling": "transaction", "pool_size": 1}

    def test_a_cancel_never_hits_anothers_query(self):
        first, second = self.session(), self.session()
        for n in range(300):
            first.send(pg.query("SELECT 1"))
            thread = threading.Thread(target=first.cancel)
            thread.start()
            if n % 3 == 0:
                thread.join()
            second.send(pg.query("SELECT pg_sleep(0.002)"))
            self.assertEqual(second.until("Z").errors, [], f"round {n}")
            thread.join()
            self.assertIn(first.until("Z").errors, ([], ["57014"]))

    def test_many_cancel_and_others_are_never_hit(self):
        stop = threading.Event()
        problems = []

        def cancelled():
            with pg.PgSession(self.front.target()) as session:
                while not stop.is_set():
                    session.send(pg.one("SELECT pg_sleep(0.001)") + pg.sync())
                    session.cancel()
                    errors = session.until("Z").errors
                    if errors not in ([], ["57014"]):
                        problems.append(errors)
        threads = [threading.Thread(target=cancelled) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            with pg.PgSession(self.front.target()) as session:
                for n in range(200):
                    answer = session.ask_extended("SELECT $1::int, pg_sleep(0.001)", n)
                    self.assertEqual((answer.errors, [row[0] for row in answer.rows]), ([], [str(n)]))
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        self.assertEqual(problems, [])


if __name__ == "__main__":
    main()
