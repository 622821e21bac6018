/* See scan_cursor.h. */
#include "shard/scan_cursor.h"

#include <assert.h>

enum { CURSOR_BITS = 63 };

/* How many bits the index of one of `shards` takes. */
static unsigned bits_of(uint32_t shards)
{
    return shards > 1 ? 32 - (unsigned)__builtin_clz(shards - 1) : 0;
}

enum err scan_cursor_decode(uint64_t cursor, uint32_t shards, struct scan_cursor *out)
{
    unsigned bits = bits_of(shards);
    uint64_t shard = cursor & (((uint64_t)1 << bits) - 1);

    if (cursor >> CURSOR_BITS != 0 || shard >= shards)
        return ERR_RANGE;
    *out = (struct scan_cursor){ .shard = (uint32_t)shard, .server = cursor >> bits };
    return ERR_NONE;
}

enum err scan_cursor_next(uint32_t shard, uint64_t server, uint32_t shards, uint64_t *out)
{
    unsigned bits = bits_of(shards);

    assert(shard < shards);
    if (server >> (CURSOR_BITS - bits) != 0)
        return ERR_RANGE;
    if (server != 0)
        *out = server << bits | shard;
    else
        *out = shard + 1 < shards ? shard + 1 : 0;
    return ERR_NONE;
}
