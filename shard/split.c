/* One walk to number the parts and count their keys, one to fill them; in the arena's memory. */
#include "shard/split.h"

#include <assert.h>

void split_by_shard(struct arena *arena, const uint32_t *shards, size_t key_count,
                    size_t shard_count, struct split *out)
{
    /* For each shard the number of its part, from 1; 0: has none yet. */
    uint32_t *part_of_shard, *keys;
    uint32_t **fill;

    *out = (struct split){ 0 };
    if (key_count == 0)
        return;
    assert(key_count <= UINT32_MAX);
    part_of_shard = arena_new(arena, shard_count * sizeof(*part_of_shard));
    out->part = arena_bytes(arena, key_count * sizeof(*out->part));
    size_t most = key_count < shard_count ? key_count : shard_count;
    out->parts = arena_new(arena, most * sizeof(*out->parts));

    for (size_t i = 0; i < key_count; i++) {
        assert(shards[i] < shard_count);
        uint32_t *number = &part_of_shard[shards[i]];

        if (*number == 0) {
            out->parts[out->count].shard = shards[i];
            *number = (uint32_t)++out->count;
        }
        out->part[i] = *number - 1;
        out->parts[*number - 1].count++;
    }

    keys = arena_bytes(arena, key_count * sizeof(*keys));
    fill = arena_bytes(arena, out->count * sizeof(*fill));
    for (size_t i = 0; i < out->count; i++) {
        out->parts[i].keys = fill[i] = keys;
        keys += out->parts[i].count;
    }
    for (size_t i = 0; i < key_count; i++)
        *fill[out->part[i]]++ = (uint32_t)i;
}
