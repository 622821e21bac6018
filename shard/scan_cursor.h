/* One SCAN over many shards: the client's cursor is the shard's index in the low bits (as many as
 * the number of shards needs) and that server's own cursor above.  0 starts, and 0 says that all is
 * done; every cursor is below 2^63, because some clients read it as a signed number. */
#pragma once

#include <stdint.h>

#include "proxy/base/err.h"

struct scan_cursor {
    uint32_t shard;  /* whom to ask */
    uint64_t server; /* with which cursor */
};

/* Reads a cursor that a client sent: ERR_RANGE if it is none of a pool of `shards` shards.  The
 * server's part is not judged: any cursor is legal to Redis. */
MUST_CHECK enum err scan_cursor_decode(uint64_t cursor, uint32_t shards, struct scan_cursor *out);
/* The cursor for the client after `shard` answered with `server`: on in the same shard, or at the
 * start of the next, or 0.  ERR_RANGE if `server` has too many bits. */
MUST_CHECK enum err scan_cursor_next(uint32_t shard, uint64_t server, uint32_t shards,
                                     uint64_t *out);
