/* See redis_channels.h: a table of buckets, doubled when it is full. */
#include "proxy/memory/redis_channels.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "shard/hash.h"

enum { BUCKETS_FIRST = 8 };

static uint64_t hash_of(struct slice name)
{
    return shard_hash_at(0)->hash(name); /* the default one */
}

static struct redis_channel **bucket_of(const struct redis_channels *set, uint64_t hash)
{
    return &set->buckets[hash & (set->bucket_count - 1)];
}

struct redis_channel *redis_channels_find(const struct redis_channels *set, struct slice name)
{
    struct redis_channel *c;
    uint64_t hash;

    if (set->count == 0)
        return NULL;
    hash = hash_of(name);
    for (c = *bucket_of(set, hash); c != NULL; c = c->next)
        if (c->hash == hash && slice_is(redis_channel_name(c), name))
            return c;
    return NULL;
}

static void put(struct redis_channels *set, struct redis_channel *c)
{
    struct redis_channel **bucket = bucket_of(set, c->hash);

    c->next = *bucket;
    *bucket = c;
}

static void make_room(struct redis_channels *set)
{
    size_t old_count = set->bucket_count;

    if (set->count < old_count)
        return;
    free(set->buckets);
    if (old_count == 0)
        list_init(&set->order);
    set->bucket_count = old_count == 0 ? BUCKETS_FIRST : old_count * 2;
    set->buckets = mem_new(set->bucket_count * sizeof(struct redis_channel *));
    set->held_bytes += (set->bucket_count - old_count) * sizeof(struct redis_channel *);
    LIST_EACH (&set->order, link)
        put(set, LIST_ITEM(link, struct redis_channel, link));
}

struct redis_channel *redis_channels_add(struct redis_channels *set, struct slice name)
{
    struct redis_channel *c = mem_new(sizeof(*c) + name.len);

    make_room(set);
    c->hash = hash_of(name);
    c->len = (uint32_t)name.len;
    if (name.len > 0)
        memcpy(c->bytes, name.at, name.len);
    put(set, c);
    list_append(&set->order, &c->link);
    set->count++;
    set->held_bytes += sizeof(*c) + name.len;
    return c;
}

void redis_channels_remove(struct redis_channels *set, struct redis_channel *c)
{
    struct redis_channel **place = bucket_of(set, c->hash);

    while (*place != c)
        place = &(*place)->next;
    *place = c->next;
    list_remove(&c->link);
    set->held_bytes -= sizeof(*c) + c->len;
    free(c);
    if (--set->count == 0)
        redis_channels_clear(set);
}

void redis_channels_clear(struct redis_channels *set)
{
    if (set->bucket_count > 0) {
        LIST_EACH (&set->order, link)
            free(LIST_ITEM(link, struct redis_channel, link));
        free(set->buckets);
    }
    *set = (struct redis_channels){ 0 };
}
