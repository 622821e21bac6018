/* Memory that is given back all at once.  Zero is a valid, empty arena. */
#pragma once

#include <stddef.h>

#include "proxy/base/slice.h"

struct arena_block;
struct slab;

enum { ARENA_BLOCK_BYTES = 1024 }; /* what the slab of an arena hands out */

struct arena {
    struct slab *slab;          /* borrowed: where small blocks come from; NULL: malloc() */
    struct arena_block *blocks; /* owned, newest first */
    size_t used;                /* bytes of the newest block in use */
    size_t held;                /* bytes of all blocks */
};

void *arena_new(struct arena *a, size_t size);   /* zeroed, aligned to 16 */
void *arena_bytes(struct arena *a, size_t size); /* not zeroed: to be filled at once */
struct slice arena_copy(struct arena *a, struct slice s);
char *arena_text(struct arena *a, struct slice s); /* a terminated copy */
void arena_fini(struct arena *a);
