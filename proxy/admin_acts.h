/* What the admin endpoint changes: endpoints out of service and back, a reload.  Each returns an
 * HTTP status and writes JSON: what is now, or {"error": "..."}. */
#pragma once

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

struct daemon;

/* `words` is a JSON object, or empty, with what the query's parameters do not say. */
struct admin_words {
    const char *pool, *shard, *endpoint; /* of the query; borrowed; NULL: not given */
    struct slice body;
};

int admin_acts_drain(struct daemon *d, const struct admin_words *words, bool draining,
                     struct buf *out);
int admin_acts_reload(struct daemon *d, struct buf *out);
/* The same form for errors of others. */
int admin_acts_error(int status, struct slice text, struct buf *out);
