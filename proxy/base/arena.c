/* See arena.h.  Blocks double in size, so an arena of n bytes costs O(log n) allocations. */
#include "proxy/base/arena.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

enum { FIRST_BLOCK_BYTES = 1024, LAST_BLOCK_BYTES = 256 * 1024, ALIGNMENT = 16 };

struct arena_block {
    struct arena_block *older; /* owned */
    size_t size;
    _Alignas(ALIGNMENT) unsigned char bytes[];
};

void *arena_new(struct arena *a, size_t size)
{
    void *memory;

    size = (size + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    if (a->blocks == NULL || a->blocks->size - a->used < size) {
        size_t room = a->blocks == NULL ? FIRST_BLOCK_BYTES : a->blocks->size * 2;
        struct arena_block *block;

        if (room > LAST_BLOCK_BYTES)
            room = LAST_BLOCK_BYTES;
        if (room < size)
            room = size;
        block = mem_resize(NULL, sizeof(*block) + room);
        *block = (struct arena_block){ .older = a->blocks, .size = room };
        a->blocks = block;
        a->used = 0;
        a->held += room;
    }
    memory = a->blocks->bytes + a->used;
    a->used += size;
    return memset(memory, 0, size);
}

struct slice arena_copy(struct arena *a, struct slice s)
{
    uint8_t *copy = arena_new(a, s.len == 0 ? 1 : s.len);

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return slice_of(copy, s.len);
}

char *arena_text(struct arena *a, struct slice s)
{
    char *copy = arena_new(a, s.len + 1);

    if (s.len > 0)
        memcpy(copy, s.at, s.len);
    return copy;
}

void arena_fini(struct arena *a)
{
    while (a->blocks != NULL) {
        struct arena_block *block = a->blocks;

        a->blocks = block->older;
        free(block);
    }
    *a = (struct arena){ 0 };
}
