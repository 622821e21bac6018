/* Bytes on their way out: a queue of chunks that is filled at the end and written from the front.
 *
 * Small chunks come from a slab of the thread (the most recently used first, so that they are in
 * the cache), those of long queues from a list; what fits neither is given a chunk of its own size.
 * An empty chain holds nothing, so an idle session costs nothing.  The pool counts what its chains
 * hold. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "proxy/base/buf.h"
#include "proxy/base/slab.h"
#include "proxy/base/slice.h"

struct chunk;

struct chunk_pool {
    struct slab slab;    /* of small chunks */
    struct chunk *large; /* owned: 64 KiB each, free */
    size_t large_count;
    size_t large_lowest; /* since the last trim: what was never needed */
    size_t held_bytes;   /* in chains now */
    size_t freed_bytes;  /* of other chunks, given back to the allocator since the last trim */
};

struct chain {
    struct chunk *first, *last; /* owned */
    size_t len;
};

void chain_put(struct chain *c, struct chunk_pool *pool, const void *at, size_t len);
/* Takes over the buffer's memory, without a copy where that is cheaper; leaves it empty. */
void chain_take(struct chain *c, struct chunk_pool *pool, struct buf *b);
/* Describes the first bytes for writev(); returns how many places were used. */
int chain_peek(const struct chain *c, struct iovec *places, int most);
/* Forgets the first `len` bytes, which must be there. */
void chain_skip(struct chain *c, struct chunk_pool *pool, size_t len);
void chain_clear(struct chain *c, struct chunk_pool *pool);

static inline void chain_slice(struct chain *c, struct chunk_pool *pool, struct slice s)
{
    chain_put(c, pool, s.at, s.len);
}

void chunk_pool_init(struct chunk_pool *pool);
/* Gives the system the memory of chunks that was not needed since the last trim; returns the bytes
 * that chunks of other sizes gave back to the allocator since then. */
size_t chunk_pool_trim(struct chunk_pool *pool);
/* All chains are empty. */
void chunk_pool_fini(struct chunk_pool *pool);
