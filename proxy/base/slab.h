/* Objects of one size, recycled within a thread: the most recently freed is handed out first. */
#pragma once

#include <stddef.h>

struct slab_slot;

struct slab {
    size_t size;            /* of an object; set by the owner before the first use */
    struct slab_slot *free; /* owned */
    size_t free_count, free_lowest, used;
};

void *slab_new(struct slab *s); /* not zeroed */
void slab_free(struct slab *s, void *object);
size_t slab_trim(struct slab *s); /* as chunk_pool_trim */
void slab_fini(struct slab *s);
