/* A ring of 2^32 places with points on it, each of a shard: a hash belongs to the first point at or
 * after it.  What the ketama family shares. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "shard/distribution.h"

enum { RING_MEMCACHED_PORT = 11211 };

struct ring_point {
    uint32_t at, shard;
};

struct ring {
    const uint32_t *firsts; /* borrowed, the block itself: hash >> shift -> where to begin */
    unsigned shift;
    struct ring_point points[];
};

/* Sorts the points and makes one block of them, for free().  Where two points meet, the shard that
 * is listed first has the place. */
struct ring *ring_new(struct ring_point *points, size_t count);

/* The ring that twemproxy and libmemcached's weighted ketama share: about 160 points for each
 * shard, four from each MD5 of "NAME-0", "NAME-1", ...  Warns of shards too light for any. */
struct ring *ring_new_md5(const struct shard_map_settings *settings,
                          shard_distribution_name_f *name_of, struct buf *why);
/* libmemcached's other ring: 100 points for each shard, the key's own hash of "NAME-0", ... */
struct ring *ring_new_hashed(const struct shard_map_settings *settings,
                             shard_distribution_name_f *name_of, const struct shard_hash *hash);

/* Twemproxy's name of a shard: the given name; the path of the socket and a colon; the host alone
 * if the port is memcached's; else host:port. */
void ring_name(const struct shard_map_member *member, struct buf *out);
/* libmemcached's, which takes a socket for a host with port 0. */
void ring_name_libmemcached(const struct shard_map_member *member, struct buf *out);

shard_distribution_find_f ring_find;
