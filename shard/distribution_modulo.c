/* Plain modulo, by way of a table of slots: slot = hash mod (weight of all x 1024), and at first
 * slot s belongs to whom s mod (weight of all) names, counting each shard as often as it weighs.
 * That is twemproxy's modula and, without weights, libmemcached's.  Whoever comes from twemproxy
 * must list the shards as it does: sorted by name (ring_name), shorter ones first, whatever its
 * file says. */
#include "proxy/base/mem.h"
#include "shard/distribution.h"

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    uint32_t weight = shard_members_weight(settings), count = weight * SHARD_MAP_SLOTS_PER_WEIGHT;
    struct shard_slots *slots = mem_new(sizeof(*slots) + count * sizeof(slots->shard[0]));
    uint32_t slot = 0;

    (void)hash;
    (void)why;
    slots->count = count;
    for (uint32_t i = 0; i < settings->count; i++)
        for (uint32_t w = 0; w < shard_member_weight(&settings->members[i]); w++)
            slots->shard[slot++] = (uint16_t)i;
    for (; slot < count; slot++)
        slots->shard[slot] = slots->shard[slot - weight];
    return slots;
}

const struct shard_distribution distribution_modulo = {
    .name = "modulo",
    .description = "hash mod number of shards; a shard counts as often as it weighs",
    .weights = true,
    .build = build,
};
