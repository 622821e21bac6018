/* See value_cache.h. */
#include "proxy/memory/value_cache.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "proxy/base/list.h"
#include "proxy/base/mem.h"

enum {
    MARKS = 1 << 16,
    ASKED = 1 << 10,        /* keys whose last time is remembered, one for each place */
    BYTES_PER_BUCKET = 512, /* of what may be kept */
    BUCKETS_LEAST = 64,
    BUCKETS_MOST = 1 << 16,
    SHARE = 8, /* a value may take so much less than all */
};

static struct {
    atomic_ullong all;
    atomic_ullong own[MARKS];
} marks; /* atomic: raised by whoever carries out a write, read by all */

struct entry {
    struct list link; /* on `used`: the one used last is the first */
    struct entry *next;
    uint64_t hash, until_us;
    struct value_mark mark;
    uint32_t database, key_len;
    size_t len;
    uint8_t bytes[]; /* the key, the value */
};

struct value_cache {
    uint64_t bytes, bytes_most;
    struct list used;
    uint32_t bucket_count; /* a power of two */
    struct entry **buckets;
    struct {
        uint64_t hash, at_us;
    } asked[ASKED];
};

/* ---- marks ---- */

uint64_t value_hash(struct slice key)
{
    return XXH3_64bits(key.at, key.len);
}

struct value_mark value_mark_of(uint64_t hash)
{
    return (struct value_mark){ .own = atomic_load(&marks.own[hash % MARKS]),
                                .all = atomic_load(&marks.all) };
}

void value_mark_raise(uint64_t hash)
{
    atomic_fetch_add(&marks.own[hash % MARKS], 1);
}

void value_mark_raise_all(void)
{
    atomic_fetch_add(&marks.all, 1);
}

/* ---- values ---- */

struct value_cache *value_cache_new(uint64_t bytes_most)
{
    struct value_cache *c = mem_new(sizeof(*c));

    c->bytes_most = bytes_most;
    c->bucket_count = BUCKETS_LEAST;
    while (c->bucket_count < BUCKETS_MOST && c->bucket_count < bytes_most / BYTES_PER_BUCKET)
        c->bucket_count *= 2;
    c->buckets = mem_new(c->bucket_count * sizeof(struct entry *));
    list_init(&c->used);
    return c;
}

static struct entry **place_of(struct value_cache *c, const struct value_key *key)
{
    struct entry **place = &c->buckets[(key->hash >> 16) & (c->bucket_count - 1)];

    for (; *place != NULL; place = &(*place)->next) {
        struct entry *e = *place;

        if (e->hash == key->hash && e->database == key->database &&
            slice_is(slice_of(e->bytes, e->key_len), key->name))
            break;
    }
    return place;
}

static size_t size_of(const struct entry *e)
{
    return sizeof(*e) + e->key_len + e->len;
}

static void drop(struct value_cache *c, struct entry **place)
{
    struct entry *e = *place;

    *place = e->next;
    list_remove(&e->link);
    c->bytes -= size_of(e);
    free(e);
}

static void drop_oldest(struct value_cache *c)
{
    struct entry *e = LIST_ITEM(c->used.prev, struct entry, link);
    struct entry **place = &c->buckets[(e->hash >> 16) & (c->bucket_count - 1)];

    while (*place != e)
        place = &(*place)->next;
    drop(c, place);
}

void value_cache_free(struct value_cache **cache)
{
    struct value_cache *c = *cache;

    *cache = NULL;
    if (c == NULL)
        return;
    while (!list_is_empty(&c->used))
        drop_oldest(c);
    free(c->buckets);
    free(c);
}

static bool is_good(const struct entry *e, uint64_t now_us)
{
    struct value_mark mark = value_mark_of(e->hash);

    return now_us < e->until_us && mark.own == e->mark.own && mark.all == e->mark.all;
}

bool value_cache_find(struct value_cache *c, const struct value_key *key, uint64_t now_us,
                      struct slice *value)
{
    struct entry **place = place_of(c, key), *e = *place;

    if (e == NULL)
        return false;
    if (!is_good(e, now_us)) {
        drop(c, place);
        return false;
    }
    list_remove(&e->link);
    list_prepend(&c->used, &e->link);
    *value = slice_of(e->bytes + e->key_len, e->len);
    return true;
}

void value_cache_put(struct value_cache *c, const struct value_key *key, struct slice value,
                     uint64_t until_us, struct value_mark mark)
{
    struct entry **place = place_of(c, key), *e;
    size_t size = sizeof(*e) + key->name.len + value.len;

    if (*place != NULL)
        drop(c, place);
    if (size > c->bytes_most / SHARE)
        return;
    while (c->bytes + size > c->bytes_most)
        drop_oldest(c);
    e = mem_new(size);
    e->hash = key->hash;
    e->database = key->database;
    e->until_us = until_us;
    e->mark = mark;
    e->key_len = (uint32_t)key->name.len;
    e->len = value.len;
    if (key->name.len > 0)
        memcpy(e->bytes, key->name.at, key->name.len);
    memcpy(e->bytes + e->key_len, value.at, value.len);
    place = place_of(c, key); /* what was dropped may have stood before it */
    e->next = *place;
    *place = e;
    list_prepend(&c->used, &e->link);
    c->bytes += size;
}

bool value_cache_is_asked_again(struct value_cache *c, uint64_t hash, uint64_t now_us,
                                uint64_t within_us)
{
    uint64_t was_us = c->asked[hash % ASKED].at_us;
    bool again = c->asked[hash % ASKED].hash == hash && was_us > 0 && now_us < was_us + within_us;

    c->asked[hash % ASKED].hash = hash;
    c->asked[hash % ASKED].at_us = now_us;
    return again;
}

uint64_t value_cache_bytes(const struct value_cache *c)
{
    return c->bytes;
}
