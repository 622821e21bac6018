#!/usr/bin/python3
# not under tsan: one session's own affairs
"""Pools of caches: what a shard that is down holds reads as absent, as a server words it (on_shard_down = miss)."""
import re

from lib import *

TABLE = REPOSITORY / "proxy/memory/redis_absent.def"

# Each command of the table at least once; k and l are keys of one shard.
READS = """
    GET k | MGET k l k | EXISTS k l | HGET k f | HGETALL k | HMGET k f g | TTL k | LRANGE k 0 -1 | SMEMBERS k
    SISMEMBER k m | ZRANGE k 0 -1 | ZRANGE k 0 -1 WITHSCORES | ZSCORE k m | STRLEN k | GETRANGE k 0 -1 | SUBSTR k 0 1
    GETBIT k 7 | BITCOUNT k | BITCOUNT k 0 1 BIT | HEXISTS k f | HKEYS k | HVALS k | HLEN k | HSTRLEN k f | LLEN k
    LINDEX k 0 | LPOS k x | SCARD k | SMISMEMBER k a b c | SINTER k l | SUNION k l | SDIFF k l | SINTERCARD 2 k l
    ZCARD k | ZCOUNT k -inf +inf | ZLEXCOUNT k - + | ZMSCORE k a b | ZRANK k m | ZREVRANK k m | ZREVRANGE k 0 1
    ZRANGEBYSCORE k 0 1 | ZREVRANGEBYSCORE k 1 0 | ZRANGEBYLEX k - + | ZREVRANGEBYLEX k + - | ZUNION 2 k l
    ZINTER 2 k l WITHSCORES | ZDIFF 2 k l | ZINTERCARD 2 k l LIMIT 3 | GEODIST k a b | GEOPOS k a b
    GEOSEARCH k FROMLONLAT 15 37 BYRADIUS 200 km ASC | XLEN k | XRANGE k - + | XREVRANGE k + - COUNT 2 | PFCOUNT k l
    PTTL k | EXPIRETIME k | PEXPIRETIME k | TYPE k | TOUCH k l | DUMP k | get k | MGET k
"""
# What changes something, sees more than its keys, or says more with more words.
ERRORS = """
    SET k v | INCR k | DEL k | GETDEL k | GETEX k | EXPIRE k 9 | LPUSH k a | MSET k a l b | SPOP k | SORT k | SCAN 1
    LPOS k x COUNT 2 | ZRANK k m WITHSCORE | DBSIZE | KEYS * | EVAL return{} 1 k | OBJECT ENCODING k | XREAD STREAMS k 0
    BLPOP k 1 | PUBLISH k m
"""


def commands(text):
    return [words.split() for line in text.strip().splitlines() for words in line.split("|")]


class Misses(Case):
    @classmethod
    def setUpClass(cls):
        cls.plain = RedisServer(cls)
        cls.redis = [RedisServer(cls) for _ in range(2)]
        keys = keys_on_shards(2, each=2)
        cls.here, (k, l) = keys[0][0], keys[1]
        cls.names = {"k": k, "l": l}
        cls.sheaf = Sheaf(cls, pool(cls.redis, on_shard_down="miss", backoff_max="100ms"),
                          pool(cls.redis, name="strict", backoff_max="100ms"))
        with cls.sheaf.connect() as session:
            session.ask("MSET", cls.here, "alive", k, "hidden", l, "hidden")
        cls.redis[1].kill9()
        with cls.sheaf.connect() as session, cls.sheaf.connect("strict") as strict:
            wait_until(lambda: session.ask("GET", k) is None and "is down" in str(strict.ask("GET", k)),
                       what="the shard to be missed")

    def words(self, template):
        return [self.names.get(word, word) for word in template]

    def test_every_command_of_the_table_answers_as_a_server_without_the_key(self):
        asked = {words[0].lower() for words in commands(READS)}
        self.assertEqual(asked, set(re.findall(r'^ABSENT\("(\w+)"', TABLE.read_text(), re.M)))
        for proto in (2, 3):
            twin = Twin(self, self.sheaf, self.plain, proto)
            for template in commands(READS):
                twin.ask(*self.words(template))

    def test_all_else_gets_the_error(self):
        with self.sheaf.connect() as session:
            for template in commands(ERRORS):
                with self.subTest(" ".join(template)):
                    words = self.words(template)
                    self.assertIn("shard 1 ", str(session.ask(*words)))

    def test_parts_of_a_dead_shard_are_put_between_those_of_the_others(self):
        k, l, here = self.names["k"], self.names["l"], self.here
        for proto in (2, 3):
            with self.sheaf.connect() as session:
                session.ask("HELLO", proto)
                self.assertEqual(session.ask("MGET", k, here, l, here, "no:such", k),
                                 [None, b"alive", None, b"alive", None, None])
                self.assertEqual(session.ask("EXISTS", k, here, here, l), 2)
                self.assertEqual(session.ask("TOUCH", k, here), 1)
                self.assertIn("1 of 2 shards", session.ask("DEL", k, "no:such:thing", f"{{{here}}}x"))
                session.send(b"MGET %s %s\r\n" % (k.encode(), here.encode()))     # inline
                self.assertEqual(session.reply(), [None, b"alive"])

    def test_a_transaction_is_not_told_that_keys_are_absent(self):
        with self.sheaf.connect() as session:
            self.assertEqual(session.ask("MULTI"), "OK")
            self.assertEqual(session.ask("GET", self.names["k"]), "QUEUED")
            self.assertIn("shard 1 ", str(session.ask("EXEC")))
            self.assertIn("shard 1 ", str(session.ask("WATCH", self.names["k"])))

    def test_another_pool_over_the_same_servers_gets_the_error(self):
        with self.sheaf.connect("strict") as session:
            for words in (["GET", self.names["k"]], ["MGET", self.here, self.names["k"]], ["EXISTS", self.names["k"]]):
                self.assertIn("is down", session.ask(*words))


class Slow(Case):
    def test_a_shard_that_does_not_answer_in_time_is_a_miss_and_its_late_reply_nobodys(self):
        servers = [RedisServer(self) for _ in range(2)]
        keys = [each[0] for each in keys_on_shards(2)]
        sheaf = Sheaf(self, pool(servers, on_shard_down="miss", timeout="150ms"))
        with sheaf.connect() as session:
            session.ask("MSET", keys[0], "0", keys[1], "1")
            servers[1].stop()
            self.assertEqual(session.ask("MGET", *keys), [b"0", None])
            servers[1].cont()
            wait_until(lambda: session.ask("GET", keys[1]) == b"1", what="the shard to be back")
            self.assertEqual(session.ask("MGET", *keys), [b"0", b"1"])


if __name__ == "__main__":
    main()
