/* The values that are written: how long, and what is in them.  A tagged value names the key and the
 * version that it was written for, and every further byte follows from those two: a reply that
 * belongs to another key, or was put together from two, cannot pass payload_check(). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bench/dice.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum { PAYLOAD_SIZES_MAX = 16 };

struct payload {
    bool tagged;
    uint32_t count, total_weight;
    struct payload_size {
        uint32_t low, high, weight;
    } sizes[PAYLOAD_SIZES_MAX];
};

/* Takes `64`, `100-1000`, `64:80,1K-4K:19,1M:1`: sizes or ranges, each with a weight. */
MUST_CHECK enum err payload_parse(struct payload *p, const char *text);
/* How long the next value is; a tagged one has at least the room for its tag. */
size_t payload_size(const struct payload *p, struct slice key, struct dice *dice);
void payload_put(const struct payload *p, struct buf *out, struct slice key, uint32_t version,
                 size_t size);
/* Is this a whole value that was written for this key?  Tells the version. */
MUST_CHECK bool payload_check(struct slice key, struct slice value, uint32_t *version);
