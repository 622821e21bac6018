/* libmemcached's ketama with weights, which php-memcached and pylibmc call compatible: twemproxy's
 * ring, but for the names of sockets. */
#include "shard/ring.h"

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    (void)hash;
    return ring_new_md5(settings, ring_name_libmemcached, why);
}

const struct shard_distribution distribution_ketama_weighted = {
    .name = "ketama_weighted",
    .description = "a ring of MD5 points, as libmemcached's weighted ketama (with hash md5)",
    .weights = true,
    .hash_bits = 32,
    .name_of = ring_name_libmemcached,
    .build = build,
    .find = ring_find,
};
