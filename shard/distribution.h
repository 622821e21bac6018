/* The contract of a distribution: number -> shard.  Each is one file, shard/distribution_NAME.c,
 * that defines `distribution_NAME`; the build lists them (see sheaf_registry in CMakeLists.txt). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "shard/hash.h"
#include "shard/map.h"

/* Appends what this distribution calls a shard, which decides its places. */
typedef void shard_distribution_name_f(const struct shard_map_member *member, struct buf *out);
/* The settings were checked.  Returns the state as one block that the map will free(); `why` may
 * get lines of warning. */
typedef void *shard_distribution_build_f(const struct shard_map_settings *settings,
                                         const struct shard_hash *hash, struct buf *why);
typedef uint32_t shard_distribution_find_f(const void *state, uint64_t hash);

struct shard_distribution {
    const char *name, *description;
    bool weights;                       /* takes weights other than 1 */
    unsigned hash_bits;                 /* the map warns of hashes that are narrower */
    shard_distribution_name_f *name_of; /* absent: only order and weight decide */
    shard_distribution_build_f *build;
    shard_distribution_find_f *find; /* absent: the state is a struct shard_slots */
};

/* The table of slots, which the map looks up itself: slot = hash mod count. */
struct shard_slots {
    uint32_t count;
    uint16_t shard[];
};

/* NULL if there is none of that name, and past the last. */
const struct shard_distribution *shard_distribution_find(const char *name);
const struct shard_distribution *shard_distribution_at(size_t index);

static inline uint32_t shard_member_weight(const struct shard_map_member *member)
{
    return member->weight > 0 ? member->weight : 1;
}

static inline bool shard_member_has_name(const struct shard_map_member *member)
{
    return member->name != NULL && member->name[0] != '\0';
}

static inline uint32_t shard_members_weight(const struct shard_map_settings *settings)
{
    uint32_t weight = 0;

    for (uint32_t i = 0; i < settings->count; i++)
        weight += shard_member_weight(&settings->members[i]);
    return weight;
}
