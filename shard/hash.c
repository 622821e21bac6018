/* See hash.h.
 *
 * Where the originals take a key's bytes as `char`, they were built on machines where that is
 * signed, and every key with a byte above 0x7f was placed accordingly: hence the int8_t.  An empty
 * key is 0 for all of theirs, whatever the formula would say. */
#include "shard/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "shard/md5.h"

/* The CRC tables' 256 entries are each the sum of one for the low and one for the high four
 * bits. */
static const uint16_t CRC16_LOW[16] = {
    0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5, 0x60c6, 0x70e7,
    0x8108, 0x9129, 0xa14a, 0xb16b, 0xc18c, 0xd1ad, 0xe1ce, 0xf1ef,
};
static const uint16_t CRC16_HIGH[16] = {
    0x0000, 0x1231, 0x2462, 0x3653, 0x48c4, 0x5af5, 0x6ca6, 0x7e97,
    0x9188, 0x83b9, 0xb5ea, 0xa7db, 0xd94c, 0xcb7d, 0xfd2e, 0xef1f,
};
static const uint32_t CRC32_LOW[16] = {
    0x00000000, 0x77073096, 0xee0e612c, 0x990951ba, 0x076dc419, 0x706af48f, 0xe963a535, 0x9e6495a3,
    0x0edb8832, 0x79dcb8a4, 0xe0d5e91e, 0x97d2d988, 0x09b64c2b, 0x7eb17cbd, 0xe7b82d07, 0x90bf1d91,
};
static const uint32_t CRC32_HIGH[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

static const uint64_t FNV_64_START = 0xcbf29ce484222325, FNV_64_PRIME = 0x100000001b3;
static const uint32_t FNV_32_START = 0x811c9dc5, FNV_32_PRIME = 0x01000193;

static inline uint32_t load_le16(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8;
}

static inline uint32_t load_le32(const uint8_t *at)
{
    return load_le16(at) | load_le16(at + 2) << 16;
}

static inline uint32_t rotate(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

/* A byte as a signed char that was widened to an unsigned number. */
static inline uint32_t widened(uint8_t byte)
{
    return (uint32_t)(int32_t)(int8_t)byte;
}

static uint64_t hash_xxh3(struct slice key)
{
    return XXH3_64bits(key.at, key.len);
}

static uint64_t hash_first_byte(struct slice key)
{
    return key.len > 0 ? key.at[0] : 0;
}

static uint64_t hash_one_at_a_time(struct slice key)
{
    uint32_t hash = 0;

    for (size_t i = 0; i < key.len; i++) {
        hash += widened(key.at[i]);
        hash += hash << 10;
        hash ^= hash >> 6;
    }
    hash += hash << 3;
    hash ^= hash >> 11;
    return hash + (hash << 15);
}

static uint64_t hash_md5(struct slice key)
{
    return key.len > 0 ? md5_of(key).words[0] : 0;
}

/* All 32 bits: the original never cuts its register down to 16, so the upper half keeps what was
 * shifted out. */
static uint64_t hash_crc16(struct slice key)
{
    uint32_t crc = 0;

    for (size_t i = 0; i < key.len; i++) {
        uint32_t index = ((crc >> 8) ^ key.at[i]) & 0xff;

        crc = crc << 8 ^ CRC16_LOW[index & 15] ^ CRC16_HIGH[index >> 4];
    }
    return crc;
}

static uint64_t hash_crc16_cluster(struct slice key)
{
    return hash_crc16(key) & 0xffff;
}

static uint64_t hash_crc32a(struct slice key)
{
    uint32_t crc = UINT32_MAX;

    for (size_t i = 0; i < key.len; i++) {
        uint32_t index = (crc ^ key.at[i]) & 0xff;

        crc = crc >> 8 ^ CRC32_LOW[index & 15] ^ CRC32_HIGH[index >> 4];
    }
    return ~crc;
}

static uint64_t hash_crc32(struct slice key)
{
    return hash_crc32a(key) >> 16 & 0x7fff;
}

static uint64_t hash_fnv1_64(struct slice key)
{
    uint64_t hash = key.len > 0 ? FNV_64_START : 0;

    for (size_t i = 0; i < key.len; i++)
        hash = hash * FNV_64_PRIME ^ widened(key.at[i]);
    return (uint32_t)hash;
}

/* The low words of the 64-bit constants, in 32 bits. */
static uint64_t hash_fnv1a_64(struct slice key)
{
    uint32_t hash = key.len > 0 ? (uint32_t)FNV_64_START : 0;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ widened(key.at[i])) * (uint32_t)FNV_64_PRIME;
    return hash;
}

static uint64_t hash_fnv1_32(struct slice key)
{
    uint32_t hash = key.len > 0 ? FNV_32_START : 0;

    for (size_t i = 0; i < key.len; i++)
        hash = hash * FNV_32_PRIME ^ widened(key.at[i]);
    return hash;
}

static uint64_t hash_fnv1a_32(struct slice key)
{
    uint32_t hash = key.len > 0 ? FNV_32_START : 0;

    for (size_t i = 0; i < key.len; i++)
        hash = (hash ^ widened(key.at[i])) * FNV_32_PRIME;
    return hash;
}

/* SuperFastHash; of its bytes only the third of an odd tail is signed. */
static uint64_t hash_hsieh(struct slice key)
{
    const uint8_t *at = key.at;
    size_t words = key.len / 4;
    uint32_t hash = 0;

    if (key.len == 0)
        return 0;
    for (; words > 0; words--, at += 4) {
        hash += load_le16(at);
        hash = hash << 16 ^ load_le16(at + 2) << 11 ^ hash;
        hash += hash >> 11;
    }
    switch (key.len & 3) {
    case 3:
        hash += load_le16(at);
        hash ^= hash << 16;
        hash ^= widened(at[2]) << 18;
        hash += hash >> 11;
        break;
    case 2:
        hash += load_le16(at);
        hash ^= hash << 11;
        hash += hash >> 17;
        break;
    case 1:
        hash += at[0];
        hash ^= hash << 10;
        hash += hash >> 1;
        break;
    }
    hash ^= hash << 3;
    hash += hash >> 5;
    hash ^= hash << 4;
    hash += hash >> 17;
    hash ^= hash << 25;
    return hash + (hash >> 6);
}

/* What is left after the last whole word, as a number of up to `len` bytes. */
static inline uint32_t load_tail(const uint8_t *at, size_t len)
{
    uint32_t word = 0;

    for (size_t i = 0; i < len; i++)
        word |= (uint32_t)at[i] << (8 * i);
    return word;
}

static inline uint32_t murmur_seed(struct slice key)
{
    return 0xdeadbeef * (uint32_t)key.len;
}

static uint64_t hash_murmur(struct slice key)
{
    static const uint32_t FACTOR = 0x5bd1e995;
    const uint8_t *at = key.at;
    size_t words = key.len / 4;
    uint32_t hash = murmur_seed(key) ^ (uint32_t)key.len;

    if (key.len == 0)
        return 0;
    for (; words > 0; words--, at += 4) {
        uint32_t word = load_le32(at) * FACTOR;

        hash = hash * FACTOR ^ (word ^ word >> 24) * FACTOR;
    }
    if ((key.len & 3) > 0)
        hash = (hash ^ load_tail(at, key.len & 3)) * FACTOR;
    hash = (hash ^ hash >> 13) * FACTOR;
    return hash ^ hash >> 15;
}

static inline uint32_t murmur3_mixed(uint32_t word)
{
    return rotate(word * 0xcc9e2d51, 15) * 0x1b873593;
}

static uint64_t hash_murmur3(struct slice key)
{
    const uint8_t *at = key.at;
    size_t words = key.len / 4;
    uint32_t hash = murmur_seed(key);

    if (key.len == 0)
        return 0;
    for (; words > 0; words--, at += 4)
        hash = rotate(hash ^ murmur3_mixed(load_le32(at)), 13) * 5 + 0xe6546b64;
    hash ^= murmur3_mixed(load_tail(at, key.len & 3)) ^ (uint32_t)key.len;
    hash = (hash ^ hash >> 16) * 0x85ebca6b;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35;
    return hash ^ hash >> 16;
}

/* Three words of state, as Bob Jenkins' lookup3 mixes them between blocks of twelve bytes. */
static inline void jenkins_mix(uint32_t *a, uint32_t *b, uint32_t *c)
{
    *a = (*a - *c) ^ rotate(*c, 4);
    *c += *b;
    *b = (*b - *a) ^ rotate(*a, 6);
    *a += *c;
    *c = (*c - *b) ^ rotate(*b, 8);
    *b += *a;
    *a = (*a - *c) ^ rotate(*c, 16);
    *c += *b;
    *b = (*b - *a) ^ rotate(*a, 19);
    *a += *c;
    *c = (*c - *b) ^ rotate(*b, 4);
    *b += *a;
}

static inline uint32_t jenkins_last(uint32_t a, uint32_t b, uint32_t c)
{
    c = (c ^ b) - rotate(b, 14);
    a = (a ^ c) - rotate(c, 11);
    b = (b ^ a) - rotate(a, 25);
    c = (c ^ b) - rotate(b, 16);
    a = (a ^ c) - rotate(c, 4);
    b = (b ^ a) - rotate(a, 14);
    return (c ^ b) - rotate(b, 24);
}

static uint64_t hash_jenkins(struct slice key)
{
    uint32_t a = 0xdeadbeef + (uint32_t)key.len + 13, b = a, c = a;
    const uint8_t *at = key.at;
    size_t left = key.len;

    if (key.len == 0)
        return 0;
    for (; left > 12; left -= 12, at += 12) {
        a += load_le32(at);
        b += load_le32(at + 4);
        c += load_le32(at + 8);
        jenkins_mix(&a, &b, &c);
    }
    a += load_tail(at, left < 4 ? left : 4);
    if (left > 4)
        b += load_tail(at + 4, left < 8 ? left - 4 : 4);
    if (left > 8)
        c += load_tail(at + 8, left - 8);
    return jenkins_last(a, b, c);
}

static const struct shard_hash HASHES[] = {
    { "xxh3", hash_xxh3, 64, "XXH3, 64 bits, seed 0; fast and even" },
    { "one_at_a_time", hash_one_at_a_time, 32, "Jenkins' one-at-a-time; libmemcached's default" },
    { "md5", hash_md5, 32, "the first four bytes of MD5; goes with ketama" },
    { "crc16", hash_crc16, 32, "twemproxy's crc16: CRC-16/XMODEM in 32 bits that are never cut" },
    { "crc16_cluster", hash_crc16_cluster, 16, "true CRC-16/XMODEM, as Redis Cluster and predixy" },
    { "crc32", hash_crc32, 15, "15 bits of CRC-32, as twemproxy and libmemcached" },
    { "crc", hash_crc32, 15, "crc32, under the name that libmemcached has for it" },
    { "crc32a", hash_crc32a, 32, "CRC-32 as everywhere else" },
    { "fnv1_64", hash_fnv1_64, 32, "FNV-1 in 64 bits, the lower half" },
    { "fnv1a_64", hash_fnv1a_64, 32,
      "FNV-1a with half of the 64-bit constants; twemproxy's default" },
    { "fnv1_32", hash_fnv1_32, 32, "FNV-1 in 32 bits" },
    { "fnv1a_32", hash_fnv1a_32, 32, "FNV-1a in 32 bits" },
    { "hsieh", hash_hsieh, 32,
      "SuperFastHash; libmemcached is often built with a constant instead" },
    { "murmur", hash_murmur, 32, "MurmurHash2, seeded by the length" },
    { "murmur3", hash_murmur3, 32, "MurmurHash3 for x86, 32 bits, seeded by the length" },
    { "jenkins", hash_jenkins, 32, "Bob Jenkins' lookup3" },
    { "first_byte", hash_first_byte, 8, "the key's first byte, for blob stores sharded that way" },
};

const struct shard_hash *shard_hash_at(size_t index)
{
    return index < sizeof(HASHES) / sizeof(HASHES[0]) ? &HASHES[index] : NULL;
}

const struct shard_hash *shard_hash_find(const char *name)
{
    for (size_t i = 0; i < sizeof(HASHES) / sizeof(HASHES[0]); i++)
        if (strcmp(name, HASHES[i].name) == 0)
            return &HASHES[i];
    return NULL;
}
