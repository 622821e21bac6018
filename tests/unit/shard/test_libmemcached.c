/* The real libmemcached, and libhashkit within it, beside our names of their hashes and
 * distributions: not one key may lie elsewhere.  They only compute here; no connection is made. */
#include <libmemcached/memcached.h>

#include "shard/map.h"
#include "tests/unit/check.h"

enum { KEYS = 500, SHARDS_MAX = 30 };

static const struct {
    const char *name;
    memcached_hash_t theirs;
} HASHES[] = {
    { "one_at_a_time", MEMCACHED_HASH_DEFAULT },
    { "md5", MEMCACHED_HASH_MD5 },
    { "crc32", MEMCACHED_HASH_CRC },
    { "fnv1_64", MEMCACHED_HASH_FNV1_64 },
    { "fnv1a_64", MEMCACHED_HASH_FNV1A_64 },
    { "fnv1_32", MEMCACHED_HASH_FNV1_32 },
    { "fnv1a_32", MEMCACHED_HASH_FNV1A_32 },
    { "murmur", MEMCACHED_HASH_MURMUR },
    { "murmur3", MEMCACHED_HASH_MURMUR3 },
    { "jenkins", MEMCACHED_HASH_JENKINS },
};

enum { HASHES_COUNT = sizeof(HASHES) / sizeof(HASHES[0]) };

/* Keys of all lengths from 1 to 60, every third with bytes of all kinds. */
static struct slice key_of(uint32_t number, uint8_t text[64])
{
    size_t len = 1 + number % 60;

    for (size_t i = 0; i < len; i++)
        text[i] = (uint8_t)(number % 3 == 0 ? number * 31 + i * 151 + i * i
                                            : 'a' + (number * 7 + i * i) % 26);
    if (len > 5)
        snprintf((char *)text + len - 5, 6, "%05u", number % 100000);
    return slice_of(text, len);
}

static void hashes_are_libhashkit_s(void)
{
    uint8_t text[64];

    for (int h = 0; h < HASHES_COUNT; h++)
        for (uint32_t i = 0; i < 6 * KEYS; i++) {
            struct slice key = key_of(i, text);

            CHECK_INT(
                shard_hash_find(HASHES[h].name)->hash(key),
                memcached_generate_hash_value((const char *)key.at, key.len, HASHES[h].theirs));
        }
}

struct pool {
    const char *distribution;
    memcached_behavior_t behavior; /* the one that asks libmemcached for it */
    uint64_t value;
    bool weights;
};

static memcached_st *libmemcached_of(const struct pool *pool, memcached_hash_t hash,
                                     const struct shard_map_settings *settings)
{
    memcached_st *theirs = memcached_create(NULL);

    CHECK(memcached_behavior_set(theirs, MEMCACHED_BEHAVIOR_HASH, hash) == MEMCACHED_SUCCESS);
    CHECK(memcached_behavior_set(theirs, pool->behavior, pool->value) == MEMCACHED_SUCCESS);
    /* Some behaviours choose a hash too. */
    CHECK(memcached_behavior_set(theirs, MEMCACHED_BEHAVIOR_HASH, hash) == MEMCACHED_SUCCESS);
    for (uint32_t i = 0; i < settings->count; i++) {
        const struct shard_map_member *m = &settings->members[i];
        uint32_t weight = pool->weights ? m->weight : 0;

        if (m->unix_path != NULL)
            CHECK(memcached_server_add_unix_socket_with_weight(theirs, m->unix_path, weight) ==
                  MEMCACHED_SUCCESS);
        else
            CHECK(memcached_server_add_with_weight(theirs, m->host, m->port, weight) ==
                  MEMCACHED_SUCCESS);
    }
    return theirs;
}

/* How many keys of KEYS are placed otherwise than libmemcached does. */
static int misplaced(const struct pool *pool, int hash, const struct shard_map_member *members,
                     uint32_t count)
{
    struct shard_map_settings settings = { .hash = HASHES[hash].name,
                                           .distribution = pool->distribution,
                                           .members = members,
                                           .count = count };
    memcached_st *theirs = libmemcached_of(pool, HASHES[hash].theirs, &settings);
    struct shard_map *ours = NULL;
    struct buf why = { 0 };
    uint8_t text[64];
    int wrong = 0;

    CHECK(shard_map_new(&settings, &ours, &why) == ERR_NONE);
    for (uint32_t i = 0; i < KEYS; i++) {
        struct slice key = key_of(i, text);

        wrong += shard_map_find(ours, key).shard !=
                 memcached_generate_hash(theirs, (const char *)key.at, key.len);
    }
    if (wrong > 0)
        printf("%s, %s, %u shards: %d of %d\n", pool->distribution, HASHES[hash].name, count, wrong,
               KEYS);
    shard_map_free(&ours);
    memcached_free(theirs);
    buf_fini(&why);
    return wrong;
}

static int misplaced_in_all(const struct pool *pool)
{
    static const uint32_t COUNTS[] = { 1, 2, 5, 25, SHARDS_MAX };
    struct shard_map_member members[SHARDS_MAX] = { 0 };
    char hosts[SHARDS_MAX][32];
    int wrong = 0;

    for (uint32_t i = 0; i < SHARDS_MAX; i++) {
        snprintf(hosts[i], sizeof(hosts[i]), i % 5 == 4 ? "/run/%u.sock" : "cache-%u.example", i);
        if (i % 5 == 4)
            members[i].unix_path = hosts[i];
        else
            members[i].host = hosts[i];
        members[i].port = i % 2 == 0 ? 11211 : (uint16_t)(7000 + i);
        members[i].weight = pool->weights ? 1 + i * 5 % 7 : 1;
    }
    for (int hash = 0; hash < HASHES_COUNT; hash++)
        for (size_t c = 0; c < sizeof(COUNTS) / sizeof(COUNTS[0]); c++)
            wrong += misplaced(pool, hash, members, COUNTS[c]);
    return wrong;
}

static void modulo_is_its_modula(void)
{
    CHECK_INT(misplaced_in_all(&(struct pool){ "modulo", MEMCACHED_BEHAVIOR_DISTRIBUTION,
                                               MEMCACHED_DISTRIBUTION_MODULA, false }),
              0);
}

static void ketama_libmemcached_is_its_consistent(void)
{
    CHECK_INT(
        misplaced_in_all(&(struct pool){ "ketama_libmemcached", MEMCACHED_BEHAVIOR_DISTRIBUTION,
                                         MEMCACHED_DISTRIBUTION_CONSISTENT, false }),
        0);
    CHECK_INT(misplaced_in_all(
                  &(struct pool){ "ketama_libmemcached", MEMCACHED_BEHAVIOR_KETAMA, 1, false }),
              0);
}

static void ketama_weighted_is_its_weighted_one(void)
{
    CHECK_INT(misplaced_in_all(&(struct pool){ "ketama_weighted",
                                               MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1, false }),
              0);
    CHECK_INT(misplaced_in_all(
                  &(struct pool){ "ketama_weighted", MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED, 1, true }),
              0);
}

static void ketama_spy_is_its_spy(void)
{
    CHECK_INT(
        misplaced_in_all(&(struct pool){ "ketama_spy", MEMCACHED_BEHAVIOR_DISTRIBUTION,
                                         MEMCACHED_DISTRIBUTION_CONSISTENT_KETAMA_SPY, false }),
        0);
}

int main(void)
{
    RUN(hashes_are_libhashkit_s);
    RUN(modulo_is_its_modula);
    RUN(ketama_libmemcached_is_its_consistent);
    RUN(ketama_weighted_is_its_weighted_one);
    RUN(ketama_spy_is_its_spy);
    return check_report();
}
