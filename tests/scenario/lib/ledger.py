"""Writes in whose midst something is killed: what was acknowledged of them is there afterwards, and nothing that was never sent.

    ledger = Ledger(case)
    ledger.write_until_killed(sheaf, lambda: sheaf.process.signal(signal.SIGKILL))
    ... it begins again ...
    ledger.check(sheaf)

Each session writes keys of its own and always has steps unanswered; a step is a command, or a transaction of two.  So what it
finds is what some number of its steps made, in their order: all that were acknowledged, and at most those that were sent."""
import random
import threading
import time

from lib.case import wait_until
from lib.resp import Failure, encode

SESSIONS = 8
UNANSWERED = 64
AT_A_TIME = 16


def carry_out(state, command):
    """What a server would do; its answer."""
    verb, key, *rest = command
    if verb == "DEL":
        return int(state.pop(key, None) is not None)
    if verb == "SET":
        state[key] = rest[0]
        return "OK"
    if verb == "APPEND":
        state[key] = state.get(key, b"") + rest[0]
        return len(state[key])
    number = int(state.get(key, b"0")) + 1
    state[key] = b"%d" % number
    return number


class Writer(threading.Thread):
    def __init__(self, session, prefix):
        super().__init__(daemon=True)
        self.session, self.prefix = session, prefix
        self.state = {}  # as of what was acknowledged
        self.sent = []   # steps, without those
        self.acknowledged = 0
        self.refused = self.wrong = None
        self._numbered, self._count = [], 0

    def run(self):
        try:
            while self.refused is None and self.wrong is None:
                while len(self.sent) < UNANSWERED:
                    self._send_some()
                for _ in range(AT_A_TIME):
                    self._take_answer()
        except (OSError, EOFError):
            pass
        finally:
            self.session.close()

    def _key(self, name):
        return self.prefix + name.encode()

    def _step(self):
        value = b"%d" % self._count + b"x" * random.choice((0, 10, 100, 3000))
        kind = random.randrange(6)
        self._count += 1
        if kind == 0:
            return [("INCR", self._key("count"))]
        if kind == 1:
            return [("SET", self._key("last"), value)]
        if kind == 2:
            return [("APPEND", self._key("text"), b"%d," % self._count)]
        if kind == 3:
            return [("INCR", self._key("here")), ("INCR", self._key("there"))]
        if kind == 4 and self._numbered:
            return [("DEL", self._numbered.pop(random.randrange(len(self._numbered))))]
        self._numbered.append(self._key(str(self._count)))
        return [("SET", self._numbered[-1], value)]

    def _send_some(self):
        steps = [self._step() for _ in range(AT_A_TIME)]
        data = b""
        for step in steps:
            commands = step if len(step) == 1 else [("MULTI",), *step, ("EXEC",)]
            data += b"".join(encode(*c) for c in commands)
        self.sent += steps
        self.session.send(data)

    def _take_answer(self):
        step, state = self.sent[0], dict(self.state)
        expected = [carry_out(state, command) for command in step]
        if len(step) == 1:
            answer = [self.session.reply()]
        else:
            answer = [self.session.reply() for _ in range(len(step) + 2)][-1]
        failures = [a for a in (answer if isinstance(answer, list) else [answer]) if isinstance(a, Failure)]
        if failures:
            self.refused = failures[0]
            raise EOFError
        if answer != expected:
            self.wrong = (step, answer, expected)
        self.state = state
        self.acknowledged += 1
        del self.sent[0]

    def settle(self, found):
        """Whether it is what was acknowledged, or that and some of the steps that were sent after it."""
        state = dict(self.state)
        for step in self.sent:
            if state == found:
                return True
            for command in step:
                carry_out(state, command)
        return state == found


class Ledger:
    def __init__(self, case):
        self.case = case
        self.kept = {}  # of the rounds before
        self.writers = []
        self.round = 0

    def write_until_killed(self, sheaf, kill, may_refuse=False):
        self.round += 1
        self.writers = [Writer(sheaf.connect(), b"%d:%d:" % (self.round, i)) for i in range(SESSIONS)]
        for writer in self.writers:
            writer.start()
        wait_until(lambda: all(w.acknowledged >= 20 or not w.is_alive() for w in self.writers), what="all to have written")
        early = [w.refused or w.wrong for w in self.writers if not w.is_alive()]
        time.sleep(random.uniform(0, 0.05))  # not to await something: so that it falls anywhere
        kill()
        for writer in self.writers:
            writer.join()
        self.case.assertEqual(early, [], "they wrote until the kill")
        self.case.assertEqual([w.wrong for w in self.writers if w.wrong], [])
        if not may_refuse:
            self.case.assertEqual([w.refused for w in self.writers if w.refused], [])
        self.case.assertTrue(all(w.sent for w in self.writers), "there was something in flight")

    def check(self, sheaf, what=None):
        found = {}
        with sheaf.connect() as s:
            names = s.ask("KEYS", "*")
            self.case.assertEqual(s.ask("DBSIZE"), len(names), what)
            for i in range(0, len(names), 100):
                found.update(zip(names[i:i + 100], s.ask("MGET", *names[i:i + 100])))
        for writer in self.writers:
            mine = {k: v for k, v in found.items() if k.startswith(writer.prefix)}
            if not writer.settle(mine):
                self.case.fail(f"{what}: after {writer.acknowledged} steps: found {mine}\nacknowledged {writer.state}\nsent {writer.sent}")
            self.kept.update(mine)
        self.case.assertEqual(found, self.kept, what)
