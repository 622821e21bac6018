/* Values that a worker keeps for classes with `cache`: a few, for a short time, in bounded memory.
 *
 *     mark = value_mark_of(hash);                          before the server is asked
 *     ...                                                  it answers
 *     value_cache_put(cache, &key, value, until_us, mark)
 *     value_cache_find(cache, &key, now_us, &value)        as long as nobody changed it
 *
 * Marks are the one thing that workers share: counters by the hash of a key, process-wide, which
 * every write through Sheaf raises when its server has answered, before anybody is told.  A value
 * is good as long as its mark is what it was before it was asked for.  So an acknowledged write is
 * seen by all that ask after it; keys of one counter only lose their values too early. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/slice.h"

struct value_mark {
    uint64_t own, all;
};

uint64_t value_hash(struct slice key);
/* Any thread, as the next two. */
struct value_mark value_mark_of(uint64_t hash);
void value_mark_raise(uint64_t hash);
void value_mark_raise_all(void);

struct value_key {
    struct slice name;
    uint64_t hash;
    uint32_t database;
};

struct value_cache;

struct value_cache *value_cache_new(uint64_t bytes_most);
void value_cache_free(struct value_cache **cache);
/* What is found is borrowed until the next call. */
bool value_cache_find(struct value_cache *cache, const struct value_key *key, uint64_t now_us,
                      struct slice *value);
/* A value that would take too much of the room is not kept. */
void value_cache_put(struct value_cache *cache, const struct value_key *key, struct slice value,
                     uint64_t until_us, struct value_mark mark);
/* Was the key asked for in the last `within_us`, as far as is remembered?  It was, from now on. */
bool value_cache_is_asked_again(struct value_cache *cache, uint64_t hash, uint64_t now_us,
                                uint64_t within_us);
uint64_t value_cache_bytes(const struct value_cache *cache);
