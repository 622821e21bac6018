"""Keys that end at a time, and are watched until it is over: what is asked for before is there, after it is not."""
import dataclasses
import math
import re
import time
import typing

from lib.memcached import binary, command
from lib.resp import Failure

TICK = 0.001  # of clocks that count milliseconds: both ends of a life are cut to one
NEAR = 0.05  # seconds: from here on to an edge all is asked for without a pause

MEMCACHED_WAYS = {  # to have a key end: commands, with {k} for the key and {t} for the time
    "set": ["set {k} 0 {t} 1"], "add": ["add {k} 0 {t} 1"], "touch": ["set {k} 0 0 1", "touch {k} {t}"],
    "gat": ["set {k} 0 0 1", "gat {t} {k}"], "ms": ["ms {k} 1 T{t}"], "mg": ["set {k} 0 0 1", "mg {k} T{t}"],
    "ma": ["set {k} 0 0 1", "ma {k} T{t}"], "made": ["ma {k} N{t}"], "incr": ["set {k} 0 {t} 1", "incr {k} 1"],
    "append": ["set {k} 0 {t} 1", "append {k} 0 0 1"], "shorter": ["set {k} 0 1000 1", "touch {k} {t}"]}
STORES = ("set", "add", "append", "ms")


@dataclasses.dataclass
class Edge:
    """`find()` tells which keys are there: all if it is answered before `first`, none if it is asked after `last`."""
    what: str
    find: typing.Callable
    keys: set
    first: float
    last: float


def next_second():
    """Since 1970; it is not too soon to set some keys."""
    return math.ceil(time.time() + 0.3)


def watch(case, edges):
    edges = list(edges)
    while edges:
        for edge in list(edges):
            before, found, after = time.time(), edge.find(), time.time()
            if after < edge.first:
                case.assertEqual(found, edge.keys, f"{edge.what}: {edge.first - after:.3f} s before the edge")
            elif before >= edge.last:
                case.assertEqual(found, set(), f"{edge.what}: {before - edge.last:.3f} s behind the edge")
                edges.remove(edge)
        now = time.time()
        if not any(abs(now - at) < NEAR for edge in edges for at in (edge.first, edge.last)):
            time.sleep(NEAR / 2)


def of_memcached_clients(what, text, packets, slack):
    """Of two sessions, the second in binary: keys that end at a second of the clock, and such that end in a second, for
    who may be `slack` seconds late."""
    date = next_second()
    for name, end in (("date", date), ("second", 1)):
        keys, before = {f"{name}:{way}" for way in MEMCACHED_WAYS}, time.time()
        for way, lines in MEMCACHED_WAYS.items():
            for line in lines:
                text.ask(line.format(k=f"{name}:{way}", t=end), "5" if line.split()[0] in STORES else None)
        packets.send(binary(1, f"{name}:packet".encode(), bytes(4) + end.to_bytes(4, "big"), b"5"))
        packets.packet()
        first, last = (date, date) if name == "date" else (before + 1 - TICK, time.time() + 1)
        yield Edge(f"{what}, {name}", _rows(text, sorted(keys) + [f"{name}:packet"]), keys | {f"{name}:packet"}, first, last + slack)
        yield Edge(f"{what}, {name}, by mg", _meta(text, sorted(keys)), keys, first, last + slack)
        yield Edge(f"{what}, {name}, in binary", _packets(packets, sorted(keys)), keys, first, last + slack)


def _rows(session, keys):
    return lambda: {key.decode() for key in re.findall(rb"VALUE (\S+) ", session.ask("get " + " ".join(keys)))}


def _meta(session, keys):
    def find():
        session.send(b"".join(command(f"mg {key} t v") for key in keys))
        return {key for key in keys if session.reply() != b"EN\r\n"}
    return find


def _packets(session, keys):
    def find():
        session.send(b"".join(binary(0, key.encode()) for key in keys))
        return {key for key in keys if session.packet()[1] == 0}
    return find


def of_redis_clients(what, session, ways, early, late):
    """Keys that end as each of `ways` says: commands with {k}, {date} (a second since 1970), or {s} (2, of seconds); `early`
    and `late` by how many seconds it may be wrong, for a date and for seconds."""
    date = next_second() + 1
    for name, is_date in (("date", True), ("seconds", False)):
        mine = {f"{name}:{i}": each for i, each in enumerate(ways) if ("{date}" in "".join(each)) == is_date}
        before = time.time()
        for key, commands in mine.items():
            for each in commands:
                reply = session.ask(*each.format(k=key, date=date, s=2).split())
                assert not isinstance(reply, Failure), (each, reply)
        first, last = (date, date) if is_date else (before + 2, time.time() + 2)
        yield Edge(f"{what}, {name}", _got(session, sorted(mine)), set(mine), first - early[name], last + late[name])


def _got(session, keys):
    return lambda: {key for key, value in zip(keys, session.ask("MGET", *keys)) if value is not None}
