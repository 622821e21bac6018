/* A value that a worker is about to keep (value_cache.h): what is known of it before its server is
 * asked, so that it can't outlive what was written meanwhile, its class or itself. */
#pragma once

#include "proxy/memory/memory.h"
#include "proxy/memory/value_cache.h"

struct value_fill {
    struct value_key key; /* its name is in the arena */
    struct value_mark mark;
    uint64_t asked_us, generation;
    size_t class; /* in site->classes */
};

/* In the arena; NULL: the value was not looked for, or the key is not asked for often enough. */
struct value_fill *value_fill_new(const struct memory_site *site, const struct memory_operation *op,
                                  const struct value_key *key);
/* The value came.  `left_ms` is what its server says that it lives on, of which a part of one may
 * be over; -1: for ever. */
void value_fill_keep(const struct value_fill *fill, const struct memory_site *site,
                     struct slice value, int64_t left_ms);
/* As memcached tells it: whole seconds, of which the last may be almost over. */
void value_fill_keep_s(const struct value_fill *fill, const struct memory_site *site,
                       struct slice value, struct slice left_s);
