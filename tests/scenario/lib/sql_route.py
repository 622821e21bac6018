"""Which server a statement went to: each logs what it is asked, and each statement has a mark of its own."""
import itertools

from lib import pgwire as pg
from lib.case import Case, wait_until
from lib.postgres import Postgres, Replica
from lib.sql_front import FRONT, sql_front

_marks = itertools.count(1)


class Routed(Case):
    """A primary and two replicas, and Sheaf before them with `options`; all servers log all statements."""

    options = {}
    schema = roles = ""  # what there is from the start; roles are the administrator's to make
    known = None  # a statement that goes to a replica once Sheaf knows the catalog, which it asks for as sessions come

    @classmethod
    def setUpClass(cls):
        logs = {"log_statement": "all", "max_prepared_transactions": "5"}
        cls.primary = Postgres(cls, logs)
        cls.primary.sql("CREATE TABLE t (id serial PRIMARY KEY, v text); INSERT INTO t (v) VALUES ('a'), ('b'), ('c');" + cls.schema,
                        user="app")
        if cls.roles:
            cls.primary.sql(cls.roles)
        cls.replicas = [Replica(cls, cls.primary, logs) for _ in range(2)]
        cls.servers = [cls.primary, *cls.replicas]
        cls.names = {id(cls.primary): "primary", **{id(replica): "replica" for replica in cls.replicas}}
        cls.caught_up()
        cls.front = sql_front(cls, cls.primary, cls.replicas, **cls.options)
        cls.knows_replicas(cls.front.target())

    @staticmethod
    def knows_replicas(target):
        """Waits until reads go to replicas; Sheaf may be ready before it has asked them how they are."""
        if FRONT == "sheaf":
            with pg.PgSession(target) as session:
                wait_until(lambda: session.ask("EXPLAIN ROUTE SELECT 1").rows[0][0].startswith("replica"), what="replicas to be known")

    @classmethod
    def caught_up(cls):
        for replica in cls.replicas:
            replica.wait_for_catchup()

    def session(self, **options):
        session = pg.PgSession(self.front.target(), **options)
        self.addCleanup(session.close)
        if self.known:
            def is_known():
                route = session.ask(f"EXPLAIN ROUTE {self.known}").rows[0][0]
                return route.startswith("replica") or "serializable" in route
            wait_until(is_known, what="Sheaf to know the catalog")
        return session

    def went(self, session, sql, *values, extended=False):
        """Asks, and finds out whom: ("replica", answer), or ("replica primary", answer) if both were."""
        mark = f"/* mark {next(_marks)} */"
        before = [len(server.log) for server in self.servers]
        text = f"{sql} {mark}"
        session.send(pg.one(text, *values) + pg.sync() if extended or values else pg.query(text))
        answer = session.until("ZG")
        if answer[-1].tag == "G":
            answer.extend(session.run(pg.copy_done() + (pg.sync() if extended else b"")))
        wheres = self.logged(mark, before)
        return " ".join(dict.fromkeys(self.names[id(server)] for server in sorted(wheres, key=lambda s: s is self.primary))), answer

    def logged(self, mark, before=None):
        """The servers that logged it."""
        def found():
            return [server for server, at in zip(self.servers, before or [0] * 3) if mark in server.log[at:]]
        wait_until(found, what=f"some server to log {mark}")
        return found()

    def assert_goes(self, where, *statements, session=None):
        """Each of the statements, simply and by the extended protocol, twice: what is remembered must say the same."""
        session = session or self.session()
        for sql in statements:
            for extended in (False, True, False):
                with self.subTest(sql=sql, extended=extended):
                    went, _ = self.went(session, sql, extended=extended)
                    if not session.idle:
                        session.ask("ROLLBACK")
                    self.assertEqual(went, where)
