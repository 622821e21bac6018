"""A client that says the same to Sheaf and to a server alone, and wants the same bytes back."""
from lib.resp import encode


class Twin:
    """Two sessions that live the same life; `case` fails where their replies differ."""

    def __init__(self, case, sheaf, plain, proto=2):
        self._case = case
        self.here, self.there = sheaf.connect(), plain.connect()
        case.addCleanup(self.close)
        for session in (self.here, self.there):
            session.ask("HELLO", proto)

    def close(self):
        self.here.close()
        self.there.close()

    def send(self, *words):
        """Without awaiting the reply, for what blocks."""
        for session in (self.here, self.there):
            session.send(encode(*words))

    def reply(self, said=""):
        value, here = self.here.reply_and_bytes()
        self._case.assertEqual(here, self.there.reply_bytes(), said)
        return value

    def ask(self, *words):
        """The reply, of which both must give the same bytes."""
        self.send(*words)
        return self.reply(words)

    def ask_all(self, *commands):
        """All of them in one write."""
        for session in (self.here, self.there):
            session.send(b"".join(encode(*c) for c in commands))
        return [self.reply(c) for c in commands]
