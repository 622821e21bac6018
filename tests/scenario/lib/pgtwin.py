"""The same bytes said to PostgreSQL itself and to what stands before it: the answers must be the same bytes."""
import random

from lib import pgwire as pg
from lib.case import Case
from lib.postgres import Postgres
from lib.sql_front import sql_front

# Where the server's source says an error is; what answers in its stead has no such place.
_PLACE = "FLR"
_OF_THE_FRONT = {"26000", "34000", "42P05", "42P03", "0A000"}  # errors about names that it keeps itself, and of plans

_KNOCK = ("S", b"in_hot_standby\0off\0")


def comparable(answer):
    """What must be the same of an answer: all but the order in which changed parameters are told, and that Sheaf
    asks a client that has half-closed, and whom it keeps waiting, whether it is there: by telling a parameter again."""
    compared = []
    for message in answer:
        if message == _KNOCK:
            continue
        if message[0] == "E" and message.code in _OF_THE_FRONT:
            place = "L" if message.code == "0A000" else _PLACE  # drivers look at the routine that says so
            message = ("E", {letter: text for letter, text in message.fields.items() if letter not in place})
        compared.append(message)
        at = len(compared) - 1
        while message[0] == "S" and at > 0 and compared[at - 1][0] == "S" and compared[at] < compared[at - 1]:
            compared[at - 1], compared[at] = compared[at], compared[at - 1]
            at -= 1
    return compared


class PgTwin(Case):
    """One server, and Sheaf with `options` before it.  The tests are in a mixin, for each kind of pool.

    There are the tables t (id, v), with the rows 1 to 3, and many (n), with a hundred thousand.  They are as
    new for each script."""

    options = {}
    cuts = None  # a seed: what is sent through the front is cut into pieces by it

    @classmethod
    def setUpClass(cls):
        cls.server = Postgres(cls)
        cls.server.sql("CREATE TABLE t (id serial PRIMARY KEY, v text); CREATE TABLE many AS"
                       " SELECT g AS n FROM generate_series(1, 100000) g; ANALYZE many", user="app")
        cls.front = sql_front(cls, cls.server, **cls.options)

    def reset(self):
        self.server.sql("TRUNCATE t RESTART IDENTITY; INSERT INTO t (v) VALUES ('a'), ('b'), ('c')", user="app")

    def session(self, **options):
        """Through the front."""
        session = pg.PgSession(self.front.target(), **options)
        self.addCleanup(session.close)
        return session

    def told(self, target, script, one_byte=False, **options):
        """What a script was told, or how far it came."""
        self.reset()
        with pg.PgSession(target, **options) as session:
            session.one_byte = one_byte
            if self.cuts is not None and target == self.front.target():
                session.cuts = random.Random(f"{self.cuts} {self.id()}")
            try:
                script(session)
            except (EOFError, ConnectionResetError, BrokenPipeError):
                session.rest()
                session.seen.append(pg.Message("closed", b""))
            return session.seen

    def same(self, script, tags=None, **options):
        """Runs a script (of a session) at both; what was told.  `tags`: what it must be, of messages."""
        direct = self.told(("127.0.0.1", self.server.port), script, **options)
        if tags is not None:
            self.assertEqual(direct.tags, tags, f"the test is wrong: {direct}")
        through = self.told(self.front.target(), script, **options)
        self.assertEqual(comparable(through), comparable(direct), f"cut by {self.cuts}")
        return direct

    def same_bytes(self, data, tags=None, readies=1, **options):
        """The answer to bytes that are sent at once."""
        return self.same(lambda session: session.run(data, readies), tags, **options)


class Pooled(PgTwin):
    options = {"pooling": "transaction", "pool_size": 1}

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.server.sql("CREATE ROLE other; GRANT other TO app; GRANT ALL ON t, t_id_seq TO other;"
                       "CREATE SCHEMA one AUTHORIZATION app; CREATE SCHEMA two AUTHORIZATION app")
        cls.server.sql("CREATE TABLE one.who AS SELECT 'one' AS name; CREATE TABLE two.who AS SELECT 'two' AS name;"
                       "GRANT ALL ON SCHEMA one, two TO other; GRANT ALL ON one.who, two.who TO other;"
                       "CREATE FUNCTION sets(text, text, bool) RETURNS text LANGUAGE plpgsql AS"
                       " $$ BEGIN RETURN set_config($1, $2, $3); END $$;"
                       "CREATE FUNCTION past() RETURNS void LANGUAGE plpgsql AS"
                       " $$ BEGIN PERFORM set_config('app.past', 'mine', false); END $$", user="app")

    def alone(self, script, **options):
        """What a script is told by the server, where it is alone, and through the front while another, with
        settings of its own, does something on the same connection before each thing that it asks: the same."""
        direct = self.told(("127.0.0.1", self.server.port), script, **options)
        with self.session(options={"DateStyle": "German", "TimeZone": "America/Lima"}) as other:
            other.ask("SET work_mem = '9MB'; SET my.own = 'not yours'; SET search_path = two")

            def beside(session):
                ask = session.send

                def send(data):
                    answer = other.ask("SELECT current_setting('work_mem'), current_setting('DateStyle'),"
                                       " current_setting('my.own'), current_user, name FROM who")
                    self.assertEqual(answer.rows, [["9MB", "German, DMY", "not yours", "app", "two"]])
                    ask(data)
                session.send = lambda data: (send if session.idle else ask)(data)
                script(session)
            through = self.told(self.front.target(), beside, **options)
        self.assertEqual(comparable(through), comparable(direct))
        return direct

    def asked(self, *texts, **options):
        return self.alone(lambda session: [session.ask(text) for text in texts], **options)
