/* libmemcached's ketama without weights (its "consistent" distribution).  A weight above 1 would
 * switch libmemcached to its weighted ring: that is ketama_weighted; here weights are refused. */
#include "shard/ring.h"

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    (void)why;
    return ring_new_hashed(settings, ring_name_libmemcached, hash);
}

const struct shard_distribution distribution_ketama_libmemcached = {
    .name = "ketama_libmemcached",
    .description = "a ring of 100 points a shard, as libmemcached's consistent distribution",
    .hash_bits = 32,
    .name_of = ring_name_libmemcached,
    .build = build,
    .find = ring_find,
};
