/* What classes of keys make of memcached's commands: how long a key lives.  The server is sent the
 * time that the class allows in place of the one that was asked for. */
#include <inttypes.h>
#include <stdio.h>

#include "proxy/memory/memcached_front.h"

enum { LONGEST_FROM_NOW_S = 60 * 60 * 24 * 30 /* as memcached has it: more is a date */ };

static int64_t seconds(uint64_t ms)
{
    return (int64_t)((ms + 999) / 1000);
}

const struct key_class *memcached_class_of(const struct memcached_call *call, struct slice key)
{
    const struct memory_class *class = memory_site_class(call->site, key);

    return class == NULL || class->settings->ttl_ms == 0 ? NULL : class->settings;
}

int64_t memcached_class_expiry(const struct memcached_call *call, const struct key_class *c,
                               int64_t expiry)
{
    int64_t now_s = call->site->wall_us / 1000000, left = expiry;

    if (c == NULL || expiry < 0)
        return expiry;
    if (expiry == 0)
        left = seconds(c->ttl_ms);
    else if (expiry > LONGEST_FROM_NOW_S)
        left = expiry - now_s;
    if (c->max_ttl_ms > 0 && left > seconds(c->max_ttl_ms))
        left = seconds(c->max_ttl_ms);
    else if (expiry != 0)
        return expiry;
    return left > LONGEST_FROM_NOW_S ? now_s + left : left;
}

bool memcached_class_limit(struct memcached_call *call, const struct key_class *c,
                           struct slice text, struct slice *out)
{
    enum { NUMBER_BYTES = 24 };
    int64_t asked, allowed;
    char *number;

    if (c == NULL || !slice_to_i64(text, &asked))
        return false;
    asked = (int32_t)asked; /* as memcached has it */
    allowed = memcached_class_expiry(call, c, asked);
    if (allowed == asked)
        return false;
    number = arena_new(call->op->arena, NUMBER_BYTES);
    *out = slice_of(number, (size_t)snprintf(number, NUMBER_BYTES, "%" PRId64, allowed));
    return true;
}

struct slice memcached_splice(struct memcached_call *call, struct slice bytes, size_t place,
                              size_t len, struct slice other)
{
    struct slice rest = slice_from(bytes, place + len);
    uint8_t *start = arena_bytes(call->op->arena, place + other.len + rest.len);

    memcpy(mempcpy(mempcpy(start, bytes.at, place), other.at, other.len), rest.at, rest.len);
    return slice_of(start, place + other.len + rest.len);
}
