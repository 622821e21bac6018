/* How many keys each database of a store has, for stores that would have to count rows to know. */
#pragma once

#include <stdlib.h>

#include "proxy/base/mem.h"

struct store_counts {
    uint64_t *at; /* owned; by database */
    uint32_t count;
    bool changed; /* since it was last written down */
};

static inline void store_counts_add(struct store_counts *c, uint32_t database, int64_t more)
{
    if (database >= c->count) {
        c->at = mem_resize(c->at, (database + 1) * sizeof(*c->at));
        while (c->count <= database)
            c->at[c->count++] = 0;
    }
    c->at[database] += (uint64_t)more;
    c->changed = true;
}

static inline uint64_t store_counts_of(const struct store_counts *c, uint32_t database)
{
    return database < c->count ? c->at[database] : 0;
}

static inline void store_counts_fini(struct store_counts *c)
{
    free(c->at);
    *c = (struct store_counts){ 0 };
}
