/* A hash table of keys and values in memory that grows and shrinks a little with each change, and
 * can be walked in the order of hashes meanwhile: whatever is there from the beginning of a walk to
 * its end is come by exactly once.
 *
 * Zero is a valid, empty table. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

struct store_entry {
    struct store_entry *next; /* in its bucket; owned by the table */
    uint64_t hash;
    int64_t expires_ms; /* 0: never */
    uint32_t key_len;
    uint32_t value_len;
    uint32_t room;   /* for key and value */
    uint8_t rounds;  /* of the hand that it survives; see back_ram.c */
    uint8_t bytes[]; /* the key, then the value */
};

struct store_buckets {
    struct store_entry **at; /* owned */
    uint8_t bits;            /* of the hash, from the top; 1 << bits buckets */
};

struct store_table {
    struct store_buckets now, next; /* while next.at is set, the first `moved` of `now` are there */
    uint64_t moved;
    uint64_t count;
    uint64_t bytes; /* of entries and buckets, as the allocator has them */
};

static inline struct slice store_entry_key(const struct store_entry *e)
{
    return (struct slice){ e->bytes, e->key_len };
}

static inline struct slice store_entry_value(const struct store_entry *e)
{
    return (struct slice){ e->bytes + e->key_len, e->value_len };
}

/* NULL: it is not there. */
struct store_entry *store_table_find(struct store_table *t, uint64_t hash, struct slice key);
/* Sets the value of a new or known key; `known` is what store_table_find() said just now.  The
 * value may lie in it. */
struct store_entry *store_table_put(struct store_table *t, struct store_entry *known, uint64_t hash,
                                    struct slice key, struct slice value);
void store_table_drop(struct store_table *t, struct store_entry *e);
void store_table_clear(struct store_table *t);
/* Clears it little by little, `most` looks at a time.  False: it is empty.  Nothing else may be
 * done with it between two calls. */
bool store_table_shed(struct store_table *t, uint32_t most);

/* Calls `visit` for the entries of one bucket with hashes from *from on, and moves *from behind
 * them.  False: that was the last bucket.  `visit` must not change the table. */
typedef void store_entry_f(void *arg, const struct store_entry *e);
bool store_table_step(const struct store_table *t, uint64_t *from, store_entry_f *visit, void *arg);
