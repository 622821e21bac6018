/* See arena.h.  The first blocks are small and come from a slab, if there is one; then they double,
 * so an arena of n bytes costs O(log n) allocations. */
#include "proxy/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/base/slab.h"

enum { SMALL_BLOCKS = 4, LAST_BLOCK_BYTES = 256 * 1024, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *older; /* owned */
    size_t size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

enum { SMALL_ROOM = ARENA_BLOCK_BYTES - sizeof(struct arena_block) };

static size_t next_room(const struct arena *a)
{
    size_t room = a->held < SMALL_BLOCKS * SMALL_ROOM ? SMALL_ROOM : a->held;

    return room < LAST_BLOCK_BYTES ? room : LAST_BLOCK_BYTES;
}

static struct arena_block *block_new(struct arena *a, size_t room)
{
    struct arena_block *block = room == SMALL_ROOM && a->slab != NULL
                                    ? slab_new(a->slab)
                                    : mem_resize(NULL, sizeof(*block) + room);

    *block = (struct arena_block){ .older = a->blocks, .size = room };
    return block;
}

/* A newest block with room for so much.  Apart, so that to take what is there stays short. */
static __attribute__((noinline)) void grow(struct arena *a, size_t size)
{
    size_t room = next_room(a) < size ? size : next_room(a);

    a->blocks = block_new(a, room);
    a->used = 0;
    a->held += room;
}

/* As arena_new(), but not zeroed. */
static inline void *take(struct arena *a, size_t size)
{
    void *memory;

    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (a->blocks == NULL || a->blocks->size - a->used < size)
        grow(a, size);
    memory = a->blocks->bytes + a->used;
    a->used += size;
    return memory;
}

void *arena_new(struct arena *a, size_t size)
{
    return memset(take(a, size), 0, size);
}

void *arena_bytes(struct arena *a, size_t size)
{
    return take(a, size);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    uint8_t *copy = take(a, s.len == 0 ? 1 : s.len);

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return slice_of(copy, s.len);
}

char *arena_text(struct arena *a, struct slice s)
{
    char *copy = take(a, s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    copy[s.len] = '\0';
    return copy;
}

void arena_fini(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;

        a->blocks = block->older;
        if (block->size == SMALL_ROOM && a->slab != NULL)
            slab_free(a->slab, block);
        else
            free(block);
    }
    *a = (struct arena){ .slab = a->slab };
}
