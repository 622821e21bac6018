/* Key -> shard: an immutable map, made once from a pool's settings and then read by any number of
 * threads.  It opens nothing and knows no server; `shard` is an index into the configured list.
 * A lookup costs 3 to 7 ns over the hash with modulo and ketama, and allocates nothing.
 *
 *     struct shard_map *map;
 *     TRY(shard_map_new(&settings, &map, &why));
 *     struct shard_place place = shard_map_find(map, key);
 *     ... place.shard ...
 *     shard_map_free(&map);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "shard/hash.h"

enum {
    SHARD_MAP_SHARDS = 4096,  /* at most so many shards in a map */
    SHARD_MAP_WEIGHT = 16384, /* and so much weight in all */
    SHARD_MAP_SLOTS_PER_WEIGHT = 1024,
};
#define SHARD_SLOT_NONE UINT32_MAX /* the distribution has no slots */

struct shard_map_member {
    const char *host; /* borrowed like all text here, for the call; NULL with `unix_path` */
    uint16_t port;
    const char *unix_path; /* NULL: host and port */
    const char *name;      /* NULL or "": named by its address */
    uint32_t weight;       /* 0 counts as 1 */
};

struct shard_map_settings {
    const char *hash;         /* NULL: xxh3 */
    const char *distribution; /* NULL: modulo */
    const char *hash_tag;     /* two characters such as "{}"; NULL or "" for none */
    bool stalwart_names;      /* keys that are such names are placed by what they stand for */
    const struct shard_map_member *members;
    uint32_t count;
};

struct shard_place {
    uint64_t hash;
    uint32_t slot; /* SHARD_SLOT_NONE if the distribution has none */
    uint32_t shard;
};

struct shard_map;

/* ERR_CONFIG with a sentence in `why`; on success `why` gets a line for each thing that is allowed
 * but hardly meant, such as a hash too narrow for its ring. */
MUST_CHECK enum err shard_map_new(const struct shard_map_settings *settings, struct shard_map **out,
                                  struct buf *why);
void shard_map_free(struct shard_map **map);

/* The part of the key that is hashed, were it no name of stalwart_name.h: what lies between the
 * hash tag's two characters, if that is at least one byte, else the whole key. */
struct slice shard_map_hashed_part(const struct shard_map *map, struct slice key);
struct shard_place shard_map_find(const struct shard_map *map, struct slice key);

uint32_t shard_map_count(const struct shard_map *map);
uint32_t shard_map_slots(const struct shard_map *map); /* 0: none */
const char *shard_map_hash_name(const struct shard_map *map);
const char *shard_map_distribution_name(const struct shard_map *map);
/* Two maps with the same digest place every key alike.  An address is part of it only where the
 * distribution places by it (ketama without names), so a server may move. */
uint64_t shard_map_digest(const struct shard_map *map);
