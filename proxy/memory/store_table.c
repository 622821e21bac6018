/* See store_table.h.  A bucket is a range of hashes, for the index is their uppermost bits: twice
 * as many buckets halve each range, and the order of all entries stays what it was.  So a walk is a
 * number, and a table that changes its size is two tables with a boundary between them:
 *
 *     hashes   0 ............ moved ............ 2^64
 *              in `next`        in `now`
 *
 * Each change moves MOVES buckets over the boundary. */
#include "proxy/memory/store_table.h"

#include <assert.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

enum { BITS_LEAST = 4, BITS_MOST = 40, MOVES = 2, MOST_EMPTY = 64, ALLOCATOR_BYTES = 8 };

static size_t weight(void *memory)
{
    return malloc_usable_size(memory) + ALLOCATOR_BYTES;
}

static uint64_t bucket_count(const struct store_buckets *b)
{
    return (uint64_t)1 << b->bits;
}

static uint64_t bucket_index(const struct store_buckets *b, uint64_t hash)
{
    return hash >> (64 - b->bits);
}

static void buckets_begin(struct store_table *t, struct store_buckets *b, uint8_t bits)
{
    b->bits = bits;
    b->at = mem_new(bucket_count(b) * sizeof(struct store_entry *));
    t->bytes += weight((void *)b->at);
}

static void buckets_end(struct store_table *t, struct store_buckets *b)
{
    if (b->at != NULL)
        t->bytes -= weight((void *)b->at);
    free((void *)b->at);
    *b = (struct store_buckets){ 0 };
}

static struct store_entry **bucket_of(struct store_table *t, uint64_t hash)
{
    uint64_t index = bucket_index(&t->now, hash);

    if (t->next.at != NULL && index < t->moved)
        return &t->next.at[bucket_index(&t->next, hash)];
    return &t->now.at[index];
}

/* ---- growing and shrinking ---- */

static void move_bucket(struct store_table *t)
{
    struct store_entry *e = t->now.at[t->moved];

    t->now.at[t->moved++] = NULL;
    while (e != NULL) {
        struct store_entry *next = e->next;
        struct store_entry **to = &t->next.at[bucket_index(&t->next, e->hash)];

        e->next = *to;
        *to = e;
        e = next;
    }
}

/* Empty buckets are passed over quickly, but not all of them at once. */
static void move_on(struct store_table *t)
{
    for (int moves = 0, looks = 0; moves < MOVES && looks < MOST_EMPTY; looks++) {
        if (t->moved == bucket_count(&t->now)) {
            buckets_end(t, &t->now);
            t->now = t->next;
            t->next = (struct store_buckets){ 0 };
            t->moved = 0;
            return;
        }
        moves += t->now.at[t->moved] != NULL;
        move_bucket(t);
    }
}

static void fit(struct store_table *t)
{
    uint64_t buckets;

    if (t->next.at != NULL) {
        move_on(t);
        return;
    }
    buckets = bucket_count(&t->now);
    if (t->count > buckets && t->now.bits < BITS_MOST)
        buckets_begin(t, &t->next, (uint8_t)(t->now.bits + 1));
    else if (t->count < buckets / 8 && t->now.bits > BITS_LEAST)
        buckets_begin(t, &t->next, (uint8_t)(t->now.bits - 1));
}

/* ---- entries ---- */

struct store_entry *store_table_find(struct store_table *t, uint64_t hash, struct slice key)
{
    struct store_entry *e;

    if (t->now.at == NULL)
        return NULL;
    for (e = *bucket_of(t, hash); e != NULL; e = e->next)
        if (e->hash == hash && slice_is(store_entry_key(e), key))
            return e;
    return NULL;
}

static void fill(struct store_entry *e, struct slice key, struct slice value)
{
    memcpy(e->bytes, key.at, key.len);
    memmove(e->bytes + key.len, value.at, value.len);
    e->key_len = (uint32_t)key.len;
    e->value_len = (uint32_t)value.len;
}

static struct store_entry *entry_new(struct store_table *t, uint64_t hash, struct slice key,
                                     struct slice value)
{
    size_t head = sizeof(struct store_entry), bytes = key.len + value.len;
    struct store_entry *e = mem_resize(NULL, head + bytes);

    e->hash = hash;
    e->expires_ms = 0;
    e->rounds = 0;
    e->room = (uint32_t)(malloc_usable_size(e) - head);
    fill(e, key, value);
    t->bytes += weight(e);
    return e;
}

/* Not if it would keep far more memory than it needs. */
static bool has_room(const struct store_entry *e, size_t bytes)
{
    enum { SMALL_BYTES = 64 };

    return bytes <= e->room && (e->room <= SMALL_BYTES || bytes >= e->room / 2);
}

static struct store_entry **place_of(struct store_table *t, const struct store_entry *e)
{
    struct store_entry **place = bucket_of(t, e->hash);

    while (*place != e)
        place = &(*place)->next;
    return place;
}

struct store_entry *store_table_put(struct store_table *t, struct store_entry *known, uint64_t hash,
                                    struct slice key, struct slice value)
{
    struct store_entry **place, *e;

    if (known != NULL && has_room(known, key.len + value.len)) {
        memmove(known->bytes + known->key_len, value.at, value.len);
        known->value_len = (uint32_t)value.len;
        return known;
    }
    if (t->now.at == NULL)
        buckets_begin(t, &t->now, BITS_LEAST);
    e = entry_new(t, hash, key, value);
    if (known != NULL) {
        place = place_of(t, known);
        e->next = known->next;
        e->expires_ms = known->expires_ms;
        e->rounds = known->rounds;
        *place = e;
        t->bytes -= weight(known);
        free(known);
        return e;
    }
    fit(t);
    place = bucket_of(t, hash);
    e->next = *place;
    *place = e;
    t->count++;
    return e;
}

void store_table_drop(struct store_table *t, struct store_entry *e)
{
    struct store_entry **place = place_of(t, e);

    *place = e->next;
    t->bytes -= weight(e);
    t->count--;
    free(e);
    fit(t);
}

static void free_entries(struct store_buckets *b)
{
    if (b->at == NULL)
        return;
    for (uint64_t i = 0; i < bucket_count(b); i++)
        while (b->at[i] != NULL) {
            struct store_entry *e = b->at[i];

            b->at[i] = e->next;
            free(e);
        }
    free((void *)b->at);
}

void store_table_clear(struct store_table *t)
{
    free_entries(&t->now);
    free_entries(&t->next);
    *t = (struct store_table){ 0 };
}

/* ---- walking ---- */

/* Buckets of `now` that were moved are passed over, so `moved` is where to go on in either. */
bool store_table_shed(struct store_table *t, uint32_t most)
{
    for (uint32_t looks = 0; looks < most; looks++) {
        struct store_buckets *b = t->now.at != NULL ? &t->now : &t->next;
        struct store_entry *e;

        if (b->at == NULL)
            return false;
        if (t->moved == bucket_count(b)) {
            buckets_end(t, b);
            t->moved = 0;
            continue;
        }
        e = b->at[t->moved];
        if (e == NULL) {
            t->moved++;
            continue;
        }
        b->at[t->moved] = e->next;
        t->bytes -= weight(e);
        t->count--;
        free(e);
    }
    return true;
}

bool store_table_step(const struct store_table *t, uint64_t *from, store_entry_f *visit, void *arg)
{
    const struct store_buckets *b = &t->now;
    uint64_t index, end;

    if (t->now.at == NULL)
        return false;
    index = bucket_index(b, *from);
    end = (index + 1) << (64 - b->bits); /* 0 behind the last */
    if (t->next.at != NULL && index < t->moved) {
        uint64_t boundary = t->moved << (64 - b->bits); /* 0: all moved */

        b = &t->next;
        index = bucket_index(b, *from);
        end = (index + 1) << (64 - b->bits);
        if (boundary != 0 && end - 1 > boundary - 1)
            end = boundary;
    }
    for (const struct store_entry *e = b->at[index]; e != NULL; e = e->next)
        if (e->hash >= *from)
            visit(arg, e);
    *from = end;
    return end != 0;
}
