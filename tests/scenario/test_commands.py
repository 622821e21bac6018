#!/usr/bin/python3
# not under tsan: one session's own affairs
"""A long random conversation with Sheaf and with a server alone: each reply is equal to the byte.

SHEAF_LONG=1 makes it twenty times as long; SHEAF_SEED=N repeats one."""
import hashlib
import os
import random

from lib import *

LONG = os.environ.get("SHEAF_LONG") == "1"
SEED = int(os.environ.get("SHEAF_SEED", "20240229"))
ROUNDS = 300_000 if LONG else 15_000
BATCH = 40  # commands in one write

KEYS = {kind: [f"{{tag}}{kind}{n}" for n in range(4)] for kind in
        ("string", "list", "hash", "set", "zset", "stream", "bits", "hll", "geo")}
ANY = [key for keys in KEYS.values() for key in keys] + ["{tag}other"]


class Words:
    """Draws commands.  %s, %l ... stand for keys of a type, %k for any key, %v and so on for arguments."""

    TEMPLATES = """
        GET %s|SET %s %v|SET %s %v NX|SET %s %v XX GET|SET %s %v GET|SET %s %v KEEPTTL|SETNX %s %v|GETSET %s %v|GETDEL %s
        APPEND %s %v|STRLEN %s|GETRANGE %s %i %i|SUBSTR %s %i %i|SETRANGE %s %n %v|INCR %s|DECR %s|INCRBY %s %i|DECRBY %s %i
        INCRBYFLOAT %s %f|MGET %s %k %s|MSET %s %v %s %v|MSETNX %s %v %s %v|SETEX %s 1000 %v|PSETEX %s 1000000 %v
        GETEX %s PERSIST|GETEX %s EX 1000|LCS %s %s|LCS %s %s LEN|LCS %s %s IDX MINMATCHLEN 2 WITHMATCHLEN
        SET %s 12|SET %s -7.5|SETEX %s 0 x|SET %s %v EX 0|SET %s
        LPUSH %l %v %v|RPUSH %l %v %v %v|LPUSHX %l %v|RPUSHX %l %v|LPOP %l|RPOP %l|LPOP %l %n|RPOP %l 0|LLEN %l
        LRANGE %l %i %i|LINDEX %l %i|LSET %l %i %v|LINSERT %l BEFORE %v %v|LINSERT %l AFTER %v %v|LREM %l %i %v
        LTRIM %l 0 20|LTRIM %l %i %i|LPOS %l %v|LPOS %l %v COUNT 0 RANK -1|RPOPLPUSH %l %l|LMOVE %l %l LEFT RIGHT
        LMPOP 2 %l %l LEFT COUNT %n|BLPOP %l %l 0.001|BRPOP %l 0.001|BLMOVE %l %l LEFT LEFT 0.001|BLMPOP 0.001 1 %l RIGHT
        HSET %h %w %v %w %v|HSETNX %h %w %v|HGET %h %w|HMGET %h %w %w nosuch|HMSET %h %w %v|HDEL %h %w %w|HLEN %h
        HEXISTS %h %w|HINCRBY %h num %i|HINCRBYFLOAT %h num %f|HSTRLEN %h %w|HGETALL %k|HRANDFIELD %h 0
        HINCRBY %h %w 1|HRANDFIELD {tag}nothing|HRANDFIELD {tag}nothing 3 WITHVALUES
        SADD %S %w %w|SREM %S %w|SCARD %S|SISMEMBER %S %w|SMISMEMBER %S %w %w|SMOVE %S %S %w|SINTERCARD 2 %S %S LIMIT 2
        SUNIONSTORE %S %S %S|SINTERSTORE %S %S %S|SDIFFSTORE %S %S %S|SPOP {tag}nothing|SPOP {tag}nothing 2|SRANDMEMBER {tag}nothing
        SADD %S %n %n %n|SMEMBERS {tag}nothing
        ZADD %z %f %w %f %w|ZADD %z NX %f %w|ZADD %z XX CH %f %w|ZADD %z GT CH %f %w|ZADD %z INCR %f %w|ZADD %z NX INCR 1 %w
        ZREM %z %w|ZCARD %z|ZSCORE %z %w|ZMSCORE %z %w nosuch|ZINCRBY %z %f %w|ZRANK %z %w|ZREVRANK %z %w|ZCOUNT %z %f +inf
        ZRANGE %z %i %i|ZRANGE %z 0 -1 WITHSCORES|ZREVRANGE %z 0 %i WITHSCORES|ZRANGEBYSCORE %z -inf %f WITHSCORES LIMIT 0 5
        ZREVRANGEBYSCORE %z +inf %f|ZRANGE %z (%f +inf BYSCORE LIMIT 1 3|ZADD {tag}lex 0 %w 0 %w|ZREM {tag}lex %w
        ZRANGE {tag}lex - + BYLEX|ZRANGEBYLEX {tag}lex [a (z|ZLEXCOUNT {tag}lex - +|ZREMRANGEBYLEX {tag}lex [f [g
        ZPOPMIN %z|ZPOPMAX %z 2|ZPOPMIN %z 0|ZMPOP 1 %z MIN COUNT 2|BZPOPMIN %z %z 0.001|BZPOPMAX %z 0.001|BZMPOP 0.001 1 %z MAX
        ZRANGESTORE %z %z 0 10|ZUNIONSTORE %z 2 %z %S WEIGHTS 2 1|ZINTERSTORE %z 2 %z %z AGGREGATE MAX|ZDIFFSTORE %z 2 %z %z
        ZUNION 2 %z %z WITHSCORES|ZINTER 2 %z %z|ZDIFF 2 %z %z WITHSCORES|ZINTERCARD 2 %z %z|ZREMRANGEBYRANK %z 8 -1
        ZREMRANGEBYSCORE %z (100 +inf|ZRANDMEMBER {tag}nothing|ZRANDMEMBER %z 0|ZRANDMEMBER {tag}nothing 2 WITHSCORES|ZSCORE %k %w
        XADD %x %X %w %v|XADD %x MAXLEN 20 %X %w %v|XADD %x NOMKSTREAM %X %w %v|XLEN %x|XRANGE %x - +|XRANGE %x - + COUNT 2
        XREVRANGE %x + - COUNT 2|XREAD COUNT 2 STREAMS %x 0|XREAD COUNT 1 STREAMS %x %x 0 0-5|XDEL %x %d|XTRIM %x MAXLEN 10
        XTRIM %x MINID %d|XREAD BLOCK 1 STREAMS %x $|XGROUP CREATE %x g 0 MKSTREAM|XGROUP DESTROY %x g|XGROUP SETID %x g 0
        XREADGROUP GROUP g c COUNT 2 STREAMS %x >|XREADGROUP GROUP g c STREAMS %x 0|XACK %x g %d|XPENDING %x g|XGROUP DELCONSUMER %x g c
        XGROUP CREATECONSUMER %x g d|XINFO GROUPS %x|XSETID %x 99999999-1|XREADGROUP GROUP g c BLOCK 1 COUNT 1 STREAMS %x >
        XAUTOCLAIM %x g d 100000000 0|XCLAIM %x g d 100000000 %d
        SETBIT %b %n 1|SETBIT %b %n 0|GETBIT %b %n|BITCOUNT %b|BITCOUNT %b 0 %n BIT|BITPOS %b 1|BITPOS %b 0 0 -1 BYTE
        BITOP AND %b %b %b|BITOP NOT %b %b|BITOP XOR %b %b %b|BITFIELD %b SET u8 %n 200 GET i5 3 INCRBY u4 0 3|BITFIELD %b OVERFLOW FAIL INCRBY u2 0 1
        BITFIELD_RO %b GET u16 0|BITOP OR %b %b {tag}nothing
        PFADD %p %w %w|PFCOUNT %p|PFCOUNT %p %p|PFMERGE %p %p %p
        GEOADD %g 13.36 38.11 %w 15.08 37.50 %w|GEOPOS %g %w nosuch|GEODIST %g %w %w km|GEOHASH %g %w
        GEOSEARCH %g FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH|GEOSEARCHSTORE %g %g FROMLONLAT 15 37 BYBOX 400 400 km
        GEORADIUS %g 15 37 200 km ASC COUNT 3|GEORADIUSBYMEMBER %g %w 100 km ASC|GEORADIUS %g 15 37 200 km STORE %g
        DEL %k|DEL %k %k %k|UNLINK %k|EXISTS %k %k %k|TYPE %k|RENAME %k %k|RENAMENX %k %k|COPY %k %k|COPY %k %k REPLACE|TOUCH %k %k
        EXPIRE %k 1000|EXPIREAT %k 99999999999 GT|EXPIRE %k 500 XX|PEXPIRE %k 1000000 NX|EXPIREAT %k 99999999999|PERSIST %k|EXPIRETIME {tag}nothing
        EXPIRE %k -1|OBJECT ENCODING %k|OBJECT REFCOUNT {tag}nothing|DUMP {tag}nothing|SORT %l ALPHA|SORT %l ALPHA DESC LIMIT 0 3
        SORT %S ALPHA|SORT %z ALPHA STORE %l|SORT_RO %l ALPHA|SORT %l|TTL {tag}nothing|PTTL {tag}nothing|SCARD %k|LLEN %k|HLEN %k|ZCARD %k|XLEN %k
        EVAL %L1 1 %s %v|EVAL %L2 2 %k %k|EVAL %L3 1 %z|EVAL_RO %L4 1 %k|EVALSHA %H 1 %s %v|EVALSHA_RO %H 1 %k|EVAL %L5 1 %s
        PING|PING %v|ECHO %v|SELECT 0|NOSUCH %k %v|GET|SET %s %v NOSUCH|HSET %h %w|ZADD %z x %w|LPUSH %l|OBJECT NOSUCH %k|EXPIRE %k x
        LPOP %l -1|ZADD %z NX XX 1 a|SETRANGE %s -1 x|INCRBY %s 9223372036854775807|XADD %x 0-0 a b|BITFIELD %b GET u64 0|MSET %s
        COMMAND COUNT x|TYPE|SINTERCARD 0 %S|LMPOP 0 %l LEFT|ZUNIONSTORE %z 0 %z|EVAL return 3|XREAD STREAMS %x|LCS %s
        MULTI;SET %s %v;GET %s;INCR %s;EXEC|MULTI;LPUSH %l %v;NOSUCH;EXEC|WATCH %k;MULTI;TYPE %k;EXEC|MULTI;DEL %k;DISCARD
        WATCH %s;SET %s %v;MULTI;GET %s;EXEC|MULTI;HGETALL %h;ZRANGE %z 0 -1 WITHSCORES;SMEMBERS {tag}nothing;LPOP %l;EXEC
        WATCH %s;UNWATCH;GET %s|MULTI;EVAL %L1 1 %s %v;BLPOP %l 0;EXEC|MULTI;EXEC|EXEC|DISCARD|MULTI;MULTI;EXEC
    """
    LUA = {
        "1": "return redis.call('SET', KEYS[1], ARGV[1])",
        "2": "return {redis.call('TYPE', KEYS[1]), redis.call('EXISTS', KEYS[2])}",
        "3": "return redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')",
        "4": "return redis.call('GET', KEYS[1])",
        "5": "redis.setresp(3) return {1.5, true, false, {double=2.5}, {map={a=1}}, {err='E x'}, 'text', {1,{2}}}",
    }
    TYPES = {"s": "string", "l": "list", "h": "hash", "S": "set", "z": "zset", "x": "stream", "b": "bits", "p": "hll",
             "g": "geo"}

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._templates = [t.strip() for line in self.TEMPLATES.strip().splitlines() for t in line.strip().split("|")]
        self._time = 0

    def draw(self):
        """One command, or the few that belong together."""
        return [[self._word(w) for w in one.split(" ")] for one in self._random.choice(self._templates).split(";")]

    def batch(self):
        """For one write: one command, or many."""
        return [command for _ in range(self._random.choice((1, 1, 2, BATCH))) for command in self.draw()]

    def _word(self, word):
        if word.startswith("(%") or word.startswith("[%"):
            return word[0] + self._word(word[1:])
        if not word.startswith("%"):
            return word
        kind, r = word[1], self._random
        if kind in self.TYPES:  # now and then a key of another type
            return r.choice(KEYS[self.TYPES[kind]]) if r.random() < 0.95 else r.choice(ANY)
        if kind == "L":
            return self.LUA[word[2]]
        if kind == "X":
            self._time += 1
            return f"{self._time}-1"
        return {
            "k": lambda: r.choice(ANY), "v": self._value, "i": lambda: r.randint(-5, 12), "n": lambda: r.randint(0, 60),
            "w": lambda: r.choice("abcdefgh"), "f": lambda: r.choice(("1", "-2.5", "3e2", "0.1", "inf", "1e-7", "17", "x")),
            "d": lambda: f"{r.randint(1, self._time + 1)}-1",
            "H": lambda: hashlib.sha1(self.LUA[r.choice("14")].encode()).hexdigest()}[kind]()

    def _value(self):
        r = self._random
        return r.choice((
            "v", "", "7", "-12", "3.25", b"\r\n", b"$-1\r\n", b"\x00\xff\xfe", "a longer value with words", "x" * r.randint(0, 200),
            bytes(r.randrange(256) for _ in range(9)), "y" * r.randint(0, 3000) if r.random() < 0.2 else "z"))


class SameReplies(Case):
    @classmethod
    def setUpClass(cls):
        # The order within a hash table is each server's own, so hashes stay lists; a high hz ends waiting soon.
        options = {"hash-max-listpack-value": "100000", "hash-max-listpack-entries": "10000", "hz": "500"}
        cls.redis = [RedisServer(cls, options) for _ in range(3)]
        cls.plain = RedisServer(cls, options)
        cls.sheaf = Sheaf(cls, pool(cls.redis))

    def converse(self, proto, seed):
        twin = Twin(self, self.sheaf, self.plain, proto)
        twin.ask("FLUSHALL")
        twin.ask("SCRIPT", "FLUSH")
        words, said = Words(seed), 0
        while said < ROUNDS:
            batch = words.batch()
            for session in (twin.here, twin.there):
                session.send(b"".join(encode(*c) for c in batch))
            for number, command in enumerate(batch):
                here, there = twin.here.reply_bytes(), twin.there.reply_bytes()
                if here != there:
                    self.fail(f"seed {seed}, command {said + number}: {command}\nsheaf: {here[:500]}\n"
                              f"redis: {there[:500]}\nbefore: {batch[max(0, number - 5):number]}")
            said += len(batch)
        self.compare_all(twin)

    def compare_all(self, twin):
        """And so is what is stored."""
        dumps = []
        for server in (self.redis[shard_of("{tag}", 3)], self.plain):
            with server.connect() as direct:
                dumps.append([(key, self.content(direct, key)) for key in ANY])
        for here, there in zip(*dumps):
            self.assertEqual(here, there)
        for redis in self.redis:
            if redis is not self.redis[shard_of("{tag}", 3)]:
                self.assertEqual(redis.ask("DBSIZE"), 1)  # its stamp

    @staticmethod
    def content(direct, key):
        kind = direct.ask("TYPE", key)
        if kind == "set":
            return sorted(direct.ask("SMEMBERS", key))
        if kind == "stream":
            return direct.ask("XRANGE", key, "-", "+")
        return kind, direct.ask("DUMP", key)

    def test_resp2(self):
        self.converse(2, SEED)

    def test_resp3(self):
        self.converse(3, SEED + 1)


if __name__ == "__main__":
    main()
