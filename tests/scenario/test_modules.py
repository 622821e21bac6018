#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Commands that only the servers know: those of a module, here one of two commands, made and loaded for the test."""
import os
import subprocess

from lib import *

SOURCE = REPOSITORY / "tests/scenario/modules/pair.c"


class Modules(Case):
    @classmethod
    def setUpClass(cls):
        cls.module = cls.folder() / "pair.so"
        subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-o", cls.module, SOURCE], check=True)
        cls.redis = [RedisServer(cls, {"loadmodule": cls.module}) for _ in range(3)]
        cls.keys = [keys[0] for keys in keys_on_shards(3, prefix="pair")]

    def setUp(self):
        """A process that has learned nothing yet; one worker, so that every session finds it so."""
        self.sheaf = Sheaf(self, pool(self.redis, user=["all pw", "app pw prefix=pair", "reader pw allow=@read",
                                               "keeper pw deny=@read"]),
                           proxy={"workers": 1})

    def session(self, user="all", proto=2):
        session = self.sheaf.connect()
        self.addCleanup(session.close)
        self.assertEqual(session.ask("AUTH", user, "pw"), "OK")
        session.ask("HELLO", proto)
        return session

    def test_they_are_learned_and_go_to_the_shard_of_their_key(self):
        session = self.session(proto=3)
        for number, key in enumerate(self.keys):
            self.assertEqual(session.ask("PAIR.SET", key, number), "OK")
            self.assertEqual(session.ask("pair.get", key), b"%d" % number)
            self.assertEqual([r.ask("EXISTS", key) for r in self.redis], [number == n for n in range(3)])
        self.assertEqual(session.ask("PAIR.GET"), "ERR wrong number of arguments for 'pair.get' command")

    def test_one_that_may_block_works_the_first_time(self):
        session = self.session()
        self.redis[1].ask("SET", self.keys[1], "x")
        self.assertEqual(session.ask_all(("SET", self.keys[0], "y"), ("PAIR.TAKE", self.keys[1]), ("GET", self.keys[1]),
                                         ("PAIR.TAKE", self.keys[0])), ["OK", b"x", None, b"y"])

    def test_keys_behind_their_number_are_learned_and_others_refused_with_the_reason(self):
        session, (a, b) = self.session(), (f"{{{self.keys[2]}}}{n}" for n in "ab")
        self.assertEqual(session.ask("MSET", a, "1", b, "2"), "OK")
        self.assertEqual(session.ask("PAIR.MGET", "2", b, a), [b"2", b"1"])
        self.assertEqual(session.ask("PAIR.MGET", "2", b, self.keys[0]).code, "CROSSSLOT")
        self.assertIn("the servers do not tell where its keys are", session.ask("PAIR.HIDE", "1", a))
        self.assertIn("the servers name no keys of it", session.ask("PAIR.ALL"))

    def test_what_is_asked_behind_the_first_one_comes_after_it(self):
        key = self.keys[1]
        self.assertEqual(
            self.session().ask_all(("SET", key, "old"), ("PAIR.SET", key, "new"), ("GET", key), ("SET", key, "newer"),
                                   ("PAIR.GET", key)), ["OK", "OK", b"new", "OK", b"newer"])

    def test_a_transaction_behind_the_first_one_does_not_swallow_it(self):
        key = self.keys[2]
        self.assertEqual(
            self.session().ask_all(("PAIR.SET", key, "1"), ("MULTI",), ("INCR", key), ("EXEC",), ("GET", key)),
            ["OK", "OK", "QUEUED", [2], b"2"])

    def test_the_first_one_may_stand_in_a_transaction(self):
        key = self.keys[1]
        session = self.session()
        self.assertEqual(session.ask_all(("MULTI",), ("PAIR.SET", key, "1"), ("INCR", key), ("PAIR.GET", key), ("EXEC",)),
                         ["OK", "QUEUED", "QUEUED", "QUEUED", ["OK", 2, b"2"]])
        self.assertEqual(session.ask_all(("MULTI",), ("PAIR.NOSUCH", key), ("SET", key, "x"), ("EXEC",), ("GET", key)),
                         ["OK", f"ERR unknown command 'PAIR.NOSUCH', with args beginning with: '{key}' ", "QUEUED",
                          "EXECABORT Transaction discarded because of previous errors.", b"2"])

    def test_the_first_one_may_be_silent(self):
        key = self.keys[0]
        session = self.session()
        session.send(encode("CLIENT", "REPLY", "OFF") + encode("PAIR.SET", key, "quiet") + encode("CLIENT", "REPLY", "ON"))
        self.assertEqual(session.reply(), "OK")
        self.assertEqual(session.ask("GET", key), b"quiet")

    def test_many_who_begin_with_it_at_once_are_all_served(self):
        sessions = [self.session() for _ in range(8)]
        for number, session in enumerate(sessions):
            session.send(encode("PAIR.SET", f"pair{number}", number))
        self.assertEqual([s.reply() for s in sessions], ["OK"] * 8)

    def test_rights_hold_for_them(self):
        key = self.keys[0]
        app, reader = self.session("app"), self.session("reader")
        self.assertEqual(app.ask("PAIR.SET", key, "1"), "OK")
        self.assertEqual(app.ask("PAIR.SET", "other", "1").code, "NOPERM")
        self.assertEqual(reader.ask("PAIR.SET", key, "2").code, "NOPERM")
        self.assertEqual(reader.ask("PAIR.GET", key), b"1")
        self.assertEqual(self.session("keeper").ask("PAIR.GET", key).code, "NOPERM")
        with self.sheaf.connect() as stranger:
            self.assertEqual(stranger.ask("PAIR.GET", key).code, "NOAUTH")

    def test_a_dead_shard_is_no_teacher_but_others_are(self):
        self.redis[0].kill9()
        try:
            session = self.session()
            self.assertEqual(session.ask("PAIR.SET", self.keys[1], "1"), "OK")
            self.assertIn("shard 0", session.ask("PAIR.SET", self.keys[0], "1"))
            for redis in self.redis[1:]:
                redis.kill9()
            self.setUp()
            session = self.session()
            self.assertIn("is down", session.ask("PAIR.GET", self.keys[1]))
            self.assertEqual(session.ask("MULTI"), "OK")
            self.assertIn("is down", session.ask("PAIR.GET", self.keys[1]))
            self.assertEqual(session.ask("EXEC").code, "EXECABORT")
        finally:
            for redis in self.redis:
                redis.restart()


if __name__ == "__main__":
    main()
