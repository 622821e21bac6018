/* Twemproxy's ketama. */
#include "shard/ring.h"

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    (void)hash;
    return ring_new_md5(settings, ring_name, why);
}

const struct shard_distribution distribution_ketama = {
    .name = "ketama",
    .description = "a ring of MD5 points, as twemproxy",
    .weights = true,
    .hash_bits = 32,
    .name_of = ring_name,
    .build = build,
    .find = ring_find,
};
