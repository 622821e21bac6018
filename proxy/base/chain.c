/* See chain.h.  A chunk's bytes follow it, or (chain_take) lie in a block of their own. */
#include "proxy/base/chain.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum {
    CHUNK_BYTES = 2048 - 64,       /* room in a pooled chunk: some dozens of small replies */
    CHUNK_LARGE_BYTES = 64 * 1024, /* what a long queue grows by */
    TAKE_FROM_BYTES = 8 * 1024,    /* shorter buffers are cheaper to copy than to keep */
};

struct chunk {
    struct chunk *next;
    uint8_t *at; /* bytes below, or owned block */
    size_t begin, end, cap;
    bool pooled, foreign;
    uint8_t bytes[];
};

static struct chunk *chunk_new(struct chunk_pool *pool, size_t room)
{
    struct chunk *k = pool->free;

    if (room <= CHUNK_BYTES && k != NULL) {
        pool->free = k->next;
        if (--pool->free_count < pool->free_lowest)
            pool->free_lowest = pool->free_count;
    } else {
        size_t cap = room <= CHUNK_BYTES ? CHUNK_BYTES : room;

        k = mem_resize(NULL, sizeof(*k) + cap);
        k->cap = cap;
        k->at = k->bytes;
        k->pooled = cap == CHUNK_BYTES;
        k->foreign = false;
    }
    k->next = NULL;
    k->begin = k->end = 0;
    pool->held_bytes += k->cap;
    return k;
}

static void chunk_free(struct chunk_pool *pool, struct chunk *k)
{
    pool->held_bytes -= k->cap;
    if (k->pooled) {
        k->next = pool->free;
        pool->free = k;
        pool->free_count++;
        return;
    }
    pool->freed_bytes += k->cap;
    if (k->foreign)
        free(k->at);
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

void chain_put(struct chain *c, struct chunk_pool *pool, const void *at, size_t len)
{
    const uint8_t *from = at;

    if (len == 0)
        return;
    c->len += len;
    if (c->last != NULL && !c->last->foreign) {
        size_t room = c->last->cap - c->last->end;
        size_t now = len < room ? len : room;

        memcpy(c->last->at + c->last->end, from, now);
        c->last->end += now;
        from += now;
        len -= now;
    }
    if (len > 0) {
        bool long_queue = c->len > 4 * (size_t)CHUNK_BYTES && len < CHUNK_LARGE_BYTES;
        struct chunk *k = chunk_new(pool, long_queue ? CHUNK_LARGE_BYTES : len);

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
    struct chunk *k = mem_resize(NULL, sizeof(*k));

    *k = (struct chunk){ .at = b->at, .end = b->len, .cap = b->cap, .foreign = true };
    pool->held_bytes += k->cap;
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

size_t chunk_pool_trim(struct chunk_pool *pool)
{
    size_t given_back = pool->freed_bytes;

    pool->freed_bytes = 0;
    for (size_t n = pool->free_lowest; n > 0; n--) {
        struct chunk *k = pool->free;

        pool->free = k->next;
        pool->free_count--;
        given_back += sizeof(*k) + k->cap;
        free(k);
    }
    pool->free_lowest = pool->free_count;
    return given_back;
}

void chunk_pool_fini(struct chunk_pool *pool)
{
    pool->free_lowest = pool->free_count;
    chunk_pool_trim(pool);
}
