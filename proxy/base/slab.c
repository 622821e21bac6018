/* See slab.h.  Blocks are aligned to their size, so an object's address tells its block. */
#include "proxy/base/slab.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum { BLOCK_BYTES = 64 * 1024, ALIGNMENT = 16, NEXT_BYTES = 512 };

struct slot {
    struct slot *next;
};

struct block {
    struct list link;   /* on slab->open, or on nothing when it is full */
    struct slot *free;  /* recycled */
    unsigned char *new; /* never used, up to the block's end */
    size_t used;        /* objects */
};

static struct block *block_of(void *object)
{
    return (struct block *)((uintptr_t)object & ~(uintptr_t)(BLOCK_BYTES - 1));
}

static size_t slot_size(const struct slab *s)
{
    return (s->size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
}

static bool has_new(const struct slab *s, const struct block *b)
{
    return b->new + slot_size(s) <= (const unsigned char *)b + BLOCK_BYTES;
}

static void put_first(struct slab *s, struct block *b)
{
    list_remove(&b->link);
    list_append(s->open.next, &b->link); /* behind the head: before what was first */
}

static struct block *block_new(struct slab *s)
{
    struct block *b = mem_map(BLOCK_BYTES);

    *b = (struct block){ .new = (unsigned char *)b +
                                ((sizeof(*b) + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1)) };
    if (s->open.next == NULL)
        list_init(&s->open);
    list_append(&s->open, &b->link);
    s->empty_blocks++;
    return b;
}

void *slab_new(struct slab *s)
{
    struct list *link = list_first(&s->open);
    struct block *b = link == NULL ? block_new(s) : LIST_ITEM(link, struct block, link);
    void *object = b->free;

    if (object != NULL) {
        b->free = b->free->next;
        mem_soon(b->free, s->size < NEXT_BYTES ? s->size : NEXT_BYTES); /* the next to be had */
    } else {
        object = b->new;
        b->new += slot_size(s);
    }
    if (b->used++ == 0 && --s->empty_blocks < s->empty_lowest)
        s->empty_lowest = s->empty_blocks;
    if (b->free == NULL && !has_new(s, b))
        list_remove(&b->link);
    return object;
}

void slab_free(struct slab *s, void *object)
{
    struct block *b = block_of(object);
    struct slot *slot = object;

    slot->next = b->free;
    b->free = slot;
    if (!list_is_linked(&b->link))
        put_first(s, b);
    if (--b->used == 0) {
        s->empty_blocks++;
        list_remove(&b->link); /* empty ones stand at the end, to be needed last */
        list_append(&s->open, &b->link);
    }
}

size_t slab_trim(struct slab *s)
{
    size_t given_back = 0;

    while (s->empty_lowest > 0) {
        struct block *b = LIST_ITEM(s->open.prev, struct block, link);

        assert(b->used == 0);
        list_remove(&b->link);
        mem_unmap(b, BLOCK_BYTES);
        s->empty_lowest--;
        s->empty_blocks--;
        given_back += BLOCK_BYTES;
    }
    s->empty_lowest = s->empty_blocks;
    return given_back;
}

void slab_fini(struct slab *s)
{
    s->empty_lowest = s->empty_blocks;
    slab_trim(s);
    assert(list_is_empty(&s->open));
}
