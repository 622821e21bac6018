"""redis-py with its default settings; its parser is hiredis where that can be imported."""
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from story import MANY, PATIENCE, place, refused, same, tell

options = {} if place.resp == 3 else {"protocol": 2}  # RESP3 is the library's default
client = redis.Redis(port=place.port, **options)
key, tagged = place.key, place.tagged


def connect():
    same(client.ping(), True)
    info = client.client_info()
    same(info["resp"], str(place.resp))
    assert info["lib-name"].startswith("redis-py"), info


def strings():
    numbers = {key(f"s{n}"): str(n) for n in range(20)}
    same(client.set(key("a"), b"\x00\r\n\xff", ex=60), True)
    same(client.get(key("a")), b"\x00\r\n\xff")
    same(client.get(key("none")), None)
    same(client.mset(numbers), True)
    same(client.mget([*numbers, key("none")]), [*(n.encode() for n in numbers.values()), None])
    same(client.delete(*numbers, key("none")), 20)


def large():
    value = b"0123456789abcdef" * (1 << 16)
    same(client.set(key("large"), value), True)
    assert client.get(key("large")) == value
    same(client.delete(key("large")), 1)


def collections():
    hash_, zset, stream = key("hash"), key("zset"), key("stream")
    client.delete(hash_, zset, stream)
    client.hset(hash_, mapping={"f": "1", "g": "2"})
    client.zadd(zset, {"a": 1, "b": 2.5})
    client.xadd(stream, {"f": "v"}, id="1-1")
    same(client.hgetall(hash_), {b"f": b"1", b"g": b"2"})
    same([(member, score) for member, score in client.zrange(zset, 0, -1, withscores=True)], [(b"a", 1.0), (b"b", 2.5)])
    same(client.zscore(zset, "b"), 2.5)
    same(client.xrange(stream), [(b"1-1", {b"f": b"v"})])
    assert client.xread({stream: 0})


def pipeline():
    with client.pipeline(transaction=False) as pipe:
        for n in range(MANY):
            pipe.set(key(f"p{n}"), n).get(key(f"p{n}"))
        same(pipe.execute(), [reply for n in range(MANY) for reply in (True, b"%d" % n)])


def transaction():
    with client.pipeline() as pipe:
        same(pipe.set(tagged("t"), 1).incr(tagged("t")).execute(), [True, 2])


def watch():
    client.set(tagged("w"), 1)
    tries = []

    def add(pipe):
        value = int(pipe.get(tagged("w")))
        if not tries:
            client.set(tagged("w"), 10)  # somebody else, in between
        tries.append(value)
        pipe.multi()
        pipe.set(tagged("w"), value + 1)
    same(client.transaction(add, tagged("w")), [True])
    same((tries, client.get(tagged("w"))), ([1, 10], b"11"))


def scan():
    same({k.decode() for k in client.scan_iter(key("p*"), count=50)}, {key(f"p{n}") for n in range(MANY)})


double = client.register_script("return redis.call('get', KEYS[1]) * ARGV[1]")


def script():
    client.set(key("n"), 21)
    same([double(keys=[key("n")], args=[times]) for times in (2, 4)], [42, 84])


def script_flushed():
    same(client.script_flush(), True)
    same(client.script_exists(double.sha), [False])
    same(double(keys=[key("n")], args=[2]), 42)


def publish():
    with client.pubsub() as heard:
        heard.subscribe(key("channel"))
        heard.psubscribe(key("pattern:*"))
        same([heard.get_message(timeout=PATIENCE)["type"] for _ in range(2)], ["subscribe", "psubscribe"])
        for channel in (key("channel"), key("pattern:1")):
            same(client.publish(channel, "hello"), 1)
            message = heard.get_message(timeout=PATIENCE)
            same((message["channel"], message["data"]), (channel.encode(), b"hello"))


def blocking():
    same(client.blpop([key("queue")], timeout=0.05), None)
    popped = []
    popper = threading.Thread(target=lambda: popped.append(client.blpop([key("queue")], timeout=PATIENCE)))
    popper.start()
    client.rpush(key("queue"), "job")
    popper.join()
    same([tuple(pair) for pair in popped], [(key("queue").encode(), b"job")])


def error():
    client.set(key("text"), "t")
    refused(redis.ResponseError, "WRONGTYPE", client.lpush, key("text"), "x")
    refused(redis.ResponseError, "hash to the same slot", client.sunion, [key(f"none{n}") for n in range(50)])
    same(client.get(key("text")), b"t")


def auth():
    with redis.Redis(port=place.guarded_port, username="app", password="app-secret", **options) as known:
        same(known.set(f"app:{place.prefix}", 1), True)
        refused(redis.exceptions.NoPermissionError, "", known.get, "other")
    # It would guess again, ten times, a little later each time.
    with redis.Redis(port=place.guarded_port, username="app", password="guessed", retry=Retry(NoBackoff(), 0),
                     **options) as stranger:
        refused(redis.AuthenticationError, "", stranger.ping)


def database():
    with redis.Redis(port=place.port, db=1, **options) as other:
        same(other.get(key("text")), None)
        same(other.set(key("text"), "elsewhere"), True)
    same(client.get(key("text")), b"t")


def tls():
    with redis.Redis(port=place.tls_port, ssl=True, ssl_ca_certs=place.authority, **options) as other:
        same(other.mget(key("text"), key("n")), [b"t", b"21"])


tell((name, globals()[name]) for name in (
    "connect", "strings", "large", "collections", "pipeline", "transaction", "watch", "scan", "script",
    "script_flushed", "publish", "blocking", "error", "auth", "database", "tls"))
