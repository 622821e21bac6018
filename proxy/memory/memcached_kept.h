/* How memcached's flags and cas are kept where values have neither, in Redis and in embedded
 * stores: 16 bytes stand before the value.
 *
 *     F5 6D 63 01 | flags (4 bytes) | cas (8 bytes) | value
 *
 * Numbers are big-endian.  A value without them was written by a Redis client: its flags are 0, and
 * its cas is made of its content. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum {
    MEMCACHED_KEPT_HEAD_BYTES = 16,
    MEMCACHED_KEPT_CAS_BYTES = 8,
    MEMCACHED_KEPT_FLAGS_BYTES = 4
};

/* A value as memcached's clients see it. */
struct memcached_kept {
    struct slice value;
    uint32_t flags;
    uint64_t cas; /* 0 if it was not wanted and would have to be made */
};

struct memcached_kept memcached_kept_read(struct slice bytes, bool wants_cas);
/* What stands before the value. */
void memcached_kept_put_head(uint8_t head[MEMCACHED_KEPT_HEAD_BYTES], uint32_t flags, uint64_t cas);

/* Big-endian numbers of so many bytes. */
uint64_t memcached_kept_number(struct slice bytes);
void memcached_kept_put_number(uint8_t *at, uint64_t number, size_t len);
