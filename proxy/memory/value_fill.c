/* See value_fill.h.  All times are reckoned from before the server was asked: so they can only be
 * earlier than it says. */
#include "proxy/memory/value_fill.h"

enum { AGAIN_US = 1000000 }; /* a key that is asked for twice in that time may be worth it */

struct value_fill *value_fill_new(const struct memory_site *site, const struct memory_operation *op,
                                  const struct value_key *key)
{
    struct value_fill *fill;

    if (op->cache != MEMORY_CACHE_MISS ||
        !value_cache_is_asked_again(op->class->cache, key->hash, site->now_us, AGAIN_US))
        return NULL;
    fill = arena_new(op->arena, sizeof(*fill));
    fill->key = *key;
    fill->key.name = arena_copy(op->arena, key->name);
    fill->mark = value_mark_of(key->hash);
    fill->asked_us = site->now_us;
    fill->generation = site->generation;
    fill->class = (size_t)(op->class - site->classes);
    return fill;
}

void value_fill_keep(const struct value_fill *fill, const struct memory_site *site,
                     struct slice value, int64_t left_ms)
{
    const struct memory_class *class;
    uint64_t life_ms;

    if (site->generation != fill->generation || left_ms < -1)
        return;
    class = &site->classes[fill->class];
    life_ms = class->settings->cache_ms;
    if (left_ms >= 0 && (uint64_t)left_ms <= life_ms) /* the last of them may be almost over */
        life_ms = left_ms == 0 ? 0 : (uint64_t)left_ms - 1;
    value_cache_put(class->cache, &fill->key, value, fill->asked_us + life_ms * 1000, fill->mark);
}

void value_fill_keep_s(const struct value_fill *fill, const struct memory_site *site,
                       struct slice value, struct slice left_s)
{
    int64_t seconds;

    if (left_s.at != NULL && slice_to_i64(left_s, &seconds) && seconds != 0 &&
        seconds <= UINT32_MAX)
        value_fill_keep(fill, site, value, seconds < 0 ? -1 : (seconds - 1) * 1000);
}
