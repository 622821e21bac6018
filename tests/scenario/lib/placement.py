"""Where keys must be, told by the xxHash library itself and not by Sheaf."""
import ctypes
import itertools

_xxhash = ctypes.CDLL("libxxhash.so.0")
_xxhash.XXH3_64bits.restype = ctypes.c_uint64
_xxhash.XXH3_64bits.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def hash_of(key):
    key = key if isinstance(key, bytes) else key.encode()
    opening = key.find(b"{")
    if opening >= 0:
        closing = key.find(b"}", opening + 1)
        if closing > opening + 1:
            key = key[opening + 1:closing]
    return _xxhash.XXH3_64bits(key, len(key))


def shard_of(key, shards):
    return hash_of(key) % shards


def keys_on_shards(shards, each=1, prefix="key"):
    """For each shard a list of `each` keys: keys_on_shards(2)[1][0] is a key of shard 1."""
    found = [[] for _ in range(shards)]
    for number in itertools.count():
        key = f"{prefix}:{number}"
        there = found[shard_of(key, shards)]
        if len(there) < each:
            there.append(key)
        if all(len(keys) == each for keys in found):
            return found
