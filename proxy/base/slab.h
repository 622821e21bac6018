/* Objects of one size, recycled within a thread: the most recently freed is handed out first.  They
 * lie in blocks of their own, so that what outlives a burst elsewhere does not keep its memory, and
 * a block whose objects are all free can be given back. */
#pragma once

#include <stddef.h>

#include "proxy/base/list.h"

struct slab {
    size_t size;         /* of an object; set by the owner before the first use */
    struct list open;    /* blocks with room; the one that was used last comes first */
    size_t empty_blocks; /* of them, those with nothing in them */
    size_t empty_lowest; /* since the last trim: what was never needed */
};

void *slab_new(struct slab *s); /* not zeroed */
void slab_free(struct slab *s, void *object);
/* Frees the blocks that were not needed since the last trim; returns their bytes. */
size_t slab_trim(struct slab *s);
/* All objects have been freed. */
void slab_fini(struct slab *s);
