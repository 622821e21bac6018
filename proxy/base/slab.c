/* See slab.h. */
#include "proxy/base/slab.h"

#include <stdlib.h>

#include "proxy/base/mem.h"

struct slab_slot {
    struct slab_slot *next;
};

void *slab_new(struct slab *s)
{
    struct slab_slot *slot = s->free;

    s->used++;
    if (slot == NULL)
        return mem_resize(NULL, s->size);
    s->free = slot->next;
    if (--s->free_count < s->free_lowest)
        s->free_lowest = s->free_count;
    return slot;
}

void slab_free(struct slab *s, void *object)
{
    struct slab_slot *slot = object;

    slot->next = s->free;
    s->free = slot;
    s->free_count++;
    s->used--;
}

size_t slab_trim(struct slab *s)
{
    size_t given_back = s->free_lowest * s->size;

    for (; s->free_lowest > 0; s->free_lowest--) {
        struct slab_slot *slot = s->free;

        s->free = slot->next;
        s->free_count--;
        free(slot);
    }
    s->free_lowest = s->free_count;
    return given_back;
}

void slab_fini(struct slab *s)
{
    s->free_lowest = s->free_count;
    slab_trim(s);
}
