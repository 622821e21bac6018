"""Valkey GLIDE, the synchronous client, with its default settings."""
import threading

from glide_sync import (
    AdvancedGlideClientConfiguration, Batch, ClosingError, GlideClient, GlideClientConfiguration, NodeAddress, ProtocolVersion,
    RangeByIndex, RequestError, Script, ServerCredentials, TlsAdvancedConfiguration)

from story import MANY, PATIENCE, place, refused, same, tell

PubSub = GlideClientConfiguration.PubSubSubscriptions
Modes = GlideClientConfiguration.PubSubChannelModes
key, tagged = place.key, place.tagged


def client_for(port=place.port, **options):
    if place.resp == 2:
        options["protocol"] = ProtocolVersion.RESP2  # RESP3 is the library's default
    return GlideClient.create(GlideClientConfiguration([NodeAddress("127.0.0.1", port)], **options))


client = client_for()


def connect():
    same(client.ping(), b"PONG")
    info = client.custom_command(["CLIENT", "INFO"])
    assert f" resp={place.resp} lib-name=Glide".encode() in info, info


def strings():
    numbers = {key(f"s{n}"): str(n) for n in range(20)}
    same(client.set(key("a"), b"\x00\r\n\xff"), "OK")
    same(client.get(key("a")), b"\x00\r\n\xff")
    same(client.get(key("none")), None)
    same(client.mset(numbers), "OK")
    same(client.mget([*numbers, key("none")]), [*(n.encode() for n in numbers.values()), None])
    same(client.delete([*numbers, key("none")]), 20)


def large():
    value = b"0123456789abcdef" * (1 << 16)
    same(client.set(key("large"), value), "OK")
    assert client.get(key("large")) == value
    same(client.delete([key("large")]), 1)


def collections():
    hash_, zset, stream = key("hash"), key("zset"), key("stream")
    client.delete([hash_, zset, stream])
    client.hset(hash_, {"f": "1", "g": "2"})
    client.zadd(zset, {"a": 1, "b": 2.5})
    client.custom_command(["XADD", stream, "1-1", "f", "v"])
    same(client.hgetall(hash_), {b"f": b"1", b"g": b"2"})
    same(client.zrange_withscores(zset, RangeByIndex(0, -1)), {b"a": 1.0, b"b": 2.5})
    same(client.zscore(zset, "b"), 2.5)
    same(client.xread({stream: "0"}), {stream.encode(): {b"1-1": [[b"f", b"v"]]}})


def pipeline():
    batch = Batch(is_atomic=False)
    for n in range(MANY):
        batch.set(key(f"p{n}"), str(n))
        batch.get(key(f"p{n}"))
    same(client.exec(batch, raise_on_error=True), [r for n in range(MANY) for r in ("OK", b"%d" % n)])


def transaction():
    batch = Batch(is_atomic=True)
    batch.set(tagged("t"), "1")
    batch.incr(tagged("t"))
    same(client.exec(batch, raise_on_error=True), ["OK", 2])


def watch():
    other = client_for()
    client.set(tagged("w"), "1")
    for overtaken in (True, False):
        client.watch([tagged("w")])
        value = int(client.get(tagged("w")))
        if overtaken:
            other.set(tagged("w"), "10")  # somebody else, in between
        batch = Batch(is_atomic=True)
        batch.set(tagged("w"), str(value + 1))
        same(client.exec(batch, raise_on_error=True), None if overtaken else ["OK"])
    same(client.get(tagged("w")), b"11")
    other.close()


def scan():
    cursor, seen = b"0", set()
    while True:
        cursor, keys = client.scan(cursor, match=key("p*"), count=50)
        seen.update(keys)
        if cursor == b"0":
            break
    same(seen, {key(f"p{n}").encode() for n in range(MANY)})


double = Script("return redis.call('get', KEYS[1]) * ARGV[1]")


def script():
    client.set(key("n"), "21")
    same([client.invoke_script(double, keys=[key("n")], args=[times]) for times in ("2", "4")], [42, 84])


def script_flushed():
    same(client.script_flush(), "OK")
    same(client.script_exists([double.get_hash()]), [False])
    same(client.invoke_script(double, keys=[key("n")], args=["2"]), 42)


def publish():
    subscriptions = PubSub({Modes.Exact: {key("channel")}, Modes.Pattern: {key("pattern:*")}}, None, None)
    other = client_for(pubsub_subscriptions=subscriptions)
    other.ping()
    for channel in (key("channel"), key("pattern:1")):
        same(client.publish("hello", channel), 1)
        message = other.get_pubsub_message()
        same((message.channel, message.message), (channel.encode(), b"hello"))
    other.close()


def blocking():
    same(client.blpop([key("queue")], 0.05), None)
    popped = []
    popper = threading.Thread(target=lambda: popped.append(client.blpop([key("queue")], PATIENCE)))
    popper.start()
    other = client_for()  # one client is one connection
    other.rpush(key("queue"), ["job"])
    popper.join()
    other.close()
    same(popped, [[key("queue").encode(), b"job"]])


def error():
    client.set(key("text"), "t")
    refused(RequestError, "WRONGTYPE", client.lpush, key("text"), ["x"])
    refused(RequestError, "same slot", client.sunion, [key(f"none{n}") for n in range(50)])
    same(client.get(key("text")), b"t")


def auth():
    known = client_for(place.guarded_port, credentials=ServerCredentials("app-secret", "app"))
    same(known.set(f"app:{place.prefix}", "1"), "OK")
    refused(RequestError, "", known.get, "other")
    known.close()
    wrong = ServerCredentials("guessed", "app")
    refused(ClosingError, "", lambda: client_for(place.guarded_port, credentials=wrong))


def database():
    other = client_for(database_id=1)
    same(other.get(key("text")), None)
    same(other.set(key("text"), "elsewhere"), "OK")
    other.close()
    same(client.get(key("text")), b"t")


def tls():
    with open(place.authority, "rb") as file:
        trusted = TlsAdvancedConfiguration(root_pem_cacerts=file.read())
    other = client_for(place.tls_port, use_tls=True,
                       advanced_config=AdvancedGlideClientConfiguration(tls_config=trusted))
    same(other.mget([key("text"), key("n")]), [b"t", b"21"])
    other.close()


tell((name, globals()[name]) for name in (
    "connect", "strings", "large", "collections", "pipeline", "transaction", "watch", "scan", "script",
    "script_flushed", "publish", "blocking", "error", "auth", "database", "tls")
     if name != "publish" or place.resp == 3)  # it subscribes with RESP3 only
