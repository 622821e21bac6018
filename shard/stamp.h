/* What a shard says of itself: one line of text that it keeps under SHARD_STAMP_KEY, written when
 * it is first used and compared each time it is connected.  Placement depends on the order and
 * number of shards, so a shard that carries another stamp must not be used.
 *
 *     sheaf-stamp 1 pool=main shard=0/2 hash=xxh3 distribution=modulo map=0123456789abcdef epoch=1
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "shard/map.h"

#define SHARD_STAMP_KEY "sheaf:stamp"

enum {
    STAMP_POOL_BYTES = 128, /* with the terminator */
    STAMP_WORD_BYTES = 32,
    STAMP_TEXT_BYTES = 640, /* no stamp is longer */
};

/* All fixed, nothing owned: copies are free.  Texts are terminated. */
struct stamp {
    char pool[STAMP_POOL_BYTES]; /* UTF-8 or other bytes, but no control characters */
    uint32_t index, count;       /* index < count */
    char hash[STAMP_WORD_BYTES], distribution[STAMP_WORD_BYTES];
    uint64_t map;   /* shard_map_digest(): weights, names and hash tag too */
    uint64_t epoch; /* counts the changes of the map; the first is 1 */
};

/* The stamp that shard `index` of the map must carry.  ERR_RANGE if the pool's name is empty, too
 * long or has control characters. */
MUST_CHECK enum err stamp_expect(struct stamp *out, const char *pool, const struct shard_map *map,
                                 uint32_t index, uint64_t epoch);
/* Appends the line, without an end of line. */
void stamp_write(const struct stamp *stamp, struct buf *out);
/* Takes exactly what stamp_write() makes.  ERR_UNSUPPORTED for a stamp of a later version,
 * ERR_SYNTAX for anything else that is none. */
MUST_CHECK enum err stamp_read(struct slice text, struct stamp *out);
/* False with one sentence, or a few, in `why`: what the shard is, what was expected, what to do. */
bool stamp_agrees(const struct stamp *expected, const struct stamp *found, struct buf *why);
