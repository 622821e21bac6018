/* Key -> number, by name.  `xxh3` is the default; the other names are those of twemproxy and
 * libhashkit and give bit for bit what those give on x86, on any machine, so that whoever comes
 * from there moves no data.  All are pure and may be called from any thread. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

typedef uint64_t shard_hash_f(struct slice key);

struct shard_hash {
    const char *name;
    shard_hash_f *hash;
    unsigned bits; /* how wide the results are: all are below 2^bits */
    const char *description;
};

/* NULL if there is none of that name. */
const struct shard_hash *shard_hash_find(const char *name);
/* The hashes in the order in which documentation should list them; NULL past the last. */
const struct shard_hash *shard_hash_at(size_t index);
