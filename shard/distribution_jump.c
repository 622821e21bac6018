/* Jump consistent hash (Lamping and Veach): a shard that is added last takes an equal part from
 * each of the others, and nothing else moves. */
#include "proxy/base/mem.h"
#include "shard/distribution.h"

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    uint32_t *count = mem_new(sizeof(*count));

    (void)hash;
    (void)why;
    *count = settings->count;
    return count;
}

static uint32_t find(const void *state, uint64_t hash)
{
    const uint32_t *count = state;
    int64_t shard = -1, next = 0;

    while (next < *count) {
        shard = next;
        hash = hash * 2862933555777941757u + 1;
        next = (int64_t)((double)(shard + 1) * ((double)(1u << 31) / (double)((hash >> 33) + 1)));
    }
    return (uint32_t)shard;
}

const struct shard_distribution distribution_jump = {
    .name = "jump",
    .description = "jump consistent hash: shards can be added at the end, and few keys move",
    .build = build,
    .find = find,
};
