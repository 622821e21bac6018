/* The names of one space that a session is subscribed to: a set that remembers in which order they
 * came.  Zero is valid and empty.
 *
 *     struct redis_channel *c = redis_channels_find(&set, name);
 *     if (c == NULL)
 *         c = redis_channels_add(&set, name);
 *     ...
 *     redis_channels_remove(&set, c); */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/list.h"
#include "proxy/base/slice.h"

struct redis_channel {
    struct list link;           /* on set->order */
    struct redis_channel *next; /* of its bucket */
    void *place;                /* where it is subscribed: the caller's */
    uint64_t hash;
    bool everywhere; /* the caller's, as the next: on all shards, not at `place` */
    bool begins;     /* its subscription is not confirmed yet */
    bool ends;       /* its end is not confirmed yet */
    uint32_t len;
    uint8_t bytes[];
};

struct redis_channels {
    struct list order;
    struct redis_channel **buckets; /* owned; NULL while empty */
    size_t bucket_count, count;
    size_t held_bytes; /* of memory, about */
};

/* NULL: it is not there. */
struct redis_channel *redis_channels_find(const struct redis_channels *set, struct slice name);
/* It must not be there. */
struct redis_channel *redis_channels_add(struct redis_channels *set, struct slice name);
/* Frees it. */
void redis_channels_remove(struct redis_channels *set, struct redis_channel *c);
void redis_channels_clear(struct redis_channels *set);

static inline struct slice redis_channel_name(const struct redis_channel *c)
{
    return slice_of(c->bytes, c->len);
}
