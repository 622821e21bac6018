/* See chain.h.  A chunk's bytes follow it, or (chain_take) lie in a block of their own. */
#include "proxy/base/chain.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum {
    CHUNK_BYTES = 2048 - 64, /* room in a small chunk: some dozens of small replies; with it 32
                                     of them fill a block of the slab */
    CHUNK_LARGE_BYTES = 64 * 1024, /* what a long queue grows by, the chunk itself included */
    TAKE_FROM_BYTES = 8 * 1024,    /* shorter buffers are cheaper to copy than to keep */
};

/* Whose memory it is, and goes back to. */
enum chunk_kind { CHUNK_SMALL, CHUNK_LARGE, CHUNK_OWN_SIZE, CHUNK_FOREIGN };

struct chunk {
    struct chunk *next;
    uint8_t *at; /* bytes below, or owned block */
    size_t begin, end, cap;
    enum chunk_kind kind;
    uint8_t bytes[];
};

enum { LARGE_ROOM = CHUNK_LARGE_BYTES - sizeof(struct chunk) };

/* Mapped, not allocated: what stays in use beside it would keep it from going back. */
static struct chunk *large_new(struct chunk_pool *pool)
{
    struct chunk *k = pool->large;

    if (k == NULL)
        return mem_map(CHUNK_LARGE_BYTES);
    pool->large = k->next;
    if (--pool->large_count < pool->large_lowest)
        pool->large_lowest = pool->large_count;
    return k;
}

static struct chunk *chunk_new(struct chunk_pool *pool, enum chunk_kind kind, size_t room)
{
    struct chunk *k = NULL;

    switch (kind) {
    case CHUNK_SMALL:
        room = CHUNK_BYTES;
        k = slab_new(&pool->slab);
        break;
    case CHUNK_LARGE:
        room = LARGE_ROOM;
        k = large_new(pool);
        break;
    case CHUNK_OWN_SIZE:
    case CHUNK_FOREIGN:
        k = mem_resize(NULL, sizeof(*k) + (kind == CHUNK_FOREIGN ? 0 : room));
        break;
    }
    *k = (struct chunk){ .at = k->bytes, .cap = room, .kind = kind };
    pool->held_bytes += room;
    return k;
}

static void chunk_free(struct chunk_pool *pool, struct chunk *k)
{
    pool->held_bytes -= k->cap;
    switch (k->kind) {
    case CHUNK_SMALL:
        slab_free(&pool->slab, k);
        return;
    case CHUNK_LARGE:
        k->next = pool->large;
        pool->large = k;
        pool->large_count++;
        return;
    case CHUNK_FOREIGN:
        free(k->at);
        break;
    case CHUNK_OWN_SIZE:
        break;
    }
    pool->freed_bytes += k->cap;
    free(k);
}

static void append(struct chain *c, struct chunk *k)
{
    if (c->last == NULL)
        c->first = k;
    else
        c->last->next = k;
    c->last = k;
}

/* What is left of a long chunk goes to its front once it is the smaller part: else a queue that is
 * never empty would go through all of the chunk's memory for the little that it holds. */
static void move_up(struct chunk *k)
{
    size_t left = k->end - k->begin;

    if (k->kind != CHUNK_LARGE || left > k->begin)
        return;
    memcpy(k->at, k->at + k->begin, left);
    k->begin = 0;
    k->end = left;
}

void chain_put(struct chain *c, struct chunk_pool *pool, const void *at, size_t len)
{
    const uint8_t *from = at;

    if (len == 0)
        return;
    c->len += len;
    if (c->last != NULL && c->last->kind != CHUNK_FOREIGN) {
        size_t room, now;

        move_up(c->last);
        room = c->last->cap - c->last->end;
        now = len < room ? len : room;

        memcpy(c->last->at + c->last->end, from, now);
        c->last->end += now;
        from += now;
        len -= now;
    }
    if (len > 0) {
        bool long_queue = c->len > 4 * (size_t)CHUNK_BYTES && len <= LARGE_ROOM;
        enum chunk_kind kind = long_queue           ? CHUNK_LARGE
                               : len <= CHUNK_BYTES ? CHUNK_SMALL
                                                    : CHUNK_OWN_SIZE;
        struct chunk *k = chunk_new(pool, kind, len);

        memcpy(k->at, from, len);
        k->end = len;
        append(c, k);
    }
}

void chain_take(struct chain *c, struct chunk_pool *pool, struct buf *b)
{
    if (b->len < TAKE_FROM_BYTES) {
        chain_put(c, pool, b->at, b->len);
        buf_fini(b);
        return;
    }
    struct chunk *k = chunk_new(pool, CHUNK_FOREIGN, b->cap);

    k->at = b->at;
    k->end = b->len;
    c->len += b->len;
    append(c, k);
    *b = (struct buf){ 0 };
}

int chain_peek(const struct chain *c, struct iovec *places, int most)
{
    int n = 0;

    for (const struct chunk *k = c->first; k != NULL && n < most; k = k->next)
        places[n++] = (struct iovec){ k->at + k->begin, k->end - k->begin };
    return n;
}

void chain_skip(struct chain *c, struct chunk_pool *pool, size_t len)
{
    assert(len <= c->len);
    c->len -= len;
    while (c->first != NULL) {
        struct chunk *k = c->first;
        size_t here = k->end - k->begin;

        if (len < here) {
            k->begin += len;
            return;
        }
        len -= here;
        c->first = k->next;
        chunk_free(pool, k);
    }
    c->last = NULL;
}

void chain_clear(struct chain *c, struct chunk_pool *pool)
{
    chain_skip(c, pool, c->len);
}

void chunk_pool_init(struct chunk_pool *pool)
{
    *pool = (struct chunk_pool){ .slab.size = sizeof(struct chunk) + CHUNK_BYTES };
}

size_t chunk_pool_trim(struct chunk_pool *pool)
{
    size_t freed = pool->freed_bytes;

    pool->freed_bytes = 0;
    for (; pool->large_lowest > 0; pool->large_lowest--) {
        struct chunk *k = pool->large;

        pool->large = k->next;
        pool->large_count--;
        mem_unmap(k, CHUNK_LARGE_BYTES);
    }
    pool->large_lowest = pool->large_count;
    slab_trim(&pool->slab);
    return freed;
}

void chunk_pool_fini(struct chunk_pool *pool)
{
    pool->large_lowest = pool->large_count;
    chunk_pool_trim(pool);
    slab_fini(&pool->slab);
}
