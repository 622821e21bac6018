"""What scenario tests are made of: the real daemon, real Redis servers, faults between them.

    from lib import *

    class Basics(Case):
        def setUp(self):
            self.redis = [RedisServer(self), RedisServer(self)]
            self.sheaf = Sheaf(self, pool(self.redis))

        def test_what_was_set_is_got(self):
            with self.sheaf.connect() as session:
                self.assertEqual(session.ask("SET", "a", "1"), Status("OK"))

    if __name__ == "__main__":
        main()

A test's name is a sentence.  Whatever is given the case (or the class, for what all its tests share)
is ended with it.  Nothing sleeps for a time: wait_until() awaits a condition.
"""
from lib.case import Case, eventually, main, wait_until, REPOSITORY, SLOW
from lib.certificates import Certificates
from lib.faults import Faults
from lib.ledger import Ledger
from lib.load import Load
from lib.memcached import MemcachedServer, MemcachedSession, binary, command
from lib.placement import keys_on_shards, shard_of
from lib.ports import free_port
from lib.postgres import Postgres, Replica
from lib.process import Process
from lib.redis_server import RedisServer
from lib.resp import Failure, Push, RespSession, Status, Verbatim, encode
from lib.sheaf import Sheaf, cache_pool, ini, pool, sql_pool
from lib.twin import Twin

__all__ = [
    "Case", "eventually", "main", "wait_until", "REPOSITORY", "SLOW", "Certificates", "Faults", "Ledger", "Load",
    "MemcachedServer", "MemcachedSession", "binary", "command", "keys_on_shards", "shard_of", "free_port", "Postgres", "Replica", "Process", "RedisServer", "Failure", "Push",
    "RespSession", "Status", "Verbatim", "encode", "Sheaf", "cache_pool", "ini", "pool", "sql_pool", "Twin",
]
