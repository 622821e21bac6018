/* Groups the keys of one request by shard, once per shard: for MGET, DEL (a word per key) and MSET
 * (a key and its value).  Pure; the work is in proportion to keys and shards.
 *
 *     split_by_shard(&arena, shard_of_key, key_count, shard_count, &split);
 *
 * Then for each part the command is built from args[keys[part->keys[i]]], and for MSET from the
 * next word, too.  In merging BY_KEY, key k's is the next element of the reply of part
 * split.part[k], as the keys of a part keep their order. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/arena.h"

struct split_part {
    uint32_t shard;
    uint32_t count;       /* of keys, at least one */
    const uint32_t *keys; /* rising; 0 is the first key of the request; borrowed: arena */
};

/* All pointers are borrowed: from the arena. */
struct split {
    size_t count;             /* of parts, each of another shard, in the order of their first key */
    struct split_part *parts; /* NULL if there is no key */
    uint32_t *part;           /* for each key the index of its part */
};

/* `shards` gives for each of the `key_count` keys its shard, below `shard_count`.  Equal keys stay
 * as many as they were. */
void split_by_shard(struct arena *arena, const uint32_t *shards, size_t key_count,
                    size_t shard_count, struct split *out);
