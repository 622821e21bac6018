/* Rendezvous (highest random weight): each shard draws as many lots as it weighs for a key, and the
 * highest of all has it.  The lots depend on names, so shards may come, go and change places in the
 * list, and only keys of those that came or went move.  Takes time with the weight of all. */
#include <xxhash.h>

#include "proxy/base/mem.h"
#include "shard/distribution.h"
#include "shard/ring.h"

struct lots {
    uint32_t count;
    struct lot {
        uint64_t seed;
        uint32_t shard;
    } lots[];
};

static void *build(const struct shard_map_settings *settings, const struct shard_hash *hash,
                   struct buf *why)
{
    uint32_t weight = shard_members_weight(settings);
    struct lots *state = mem_new(sizeof(*state) + weight * sizeof(state->lots[0]));
    struct buf name = { 0 };

    (void)hash;
    (void)why;
    for (uint32_t i = 0; i < settings->count; i++) {
        buf_clear(&name);
        ring_name(&settings->members[i], &name);
        for (uint32_t w = 0; w < shard_member_weight(&settings->members[i]); w++)
            state->lots[state->count++] =
                (struct lot){ XXH3_64bits_withSeed(name.at, name.len, w), i };
    }
    buf_fini(&name);
    return state;
}

/* MurmurHash3's last mix of 64 bits. */
static inline uint64_t drawn(uint64_t lot)
{
    lot = (lot ^ lot >> 33) * 0xff51afd7ed558ccd;
    lot = (lot ^ lot >> 33) * 0xc4ceb9fe1a85ec53;
    return lot ^ lot >> 33;
}

static uint32_t find(const void *state, uint64_t hash)
{
    const struct lots *lots = state;
    uint64_t highest = 0;
    uint32_t shard = 0;

    for (uint32_t i = 0; i < lots->count; i++) {
        uint64_t lot = drawn(hash ^ lots->lots[i].seed);

        if (lot > highest) {
            highest = lot;
            shard = lots->lots[i].shard;
        }
    }
    return shard;
}

const struct shard_distribution distribution_rendezvous = {
    .name = "rendezvous",
    .description = "highest lot wins: shards can be added and removed anywhere, and few keys move",
    .weights = true,
    .name_of = ring_name,
    .build = build,
    .find = find,
};
