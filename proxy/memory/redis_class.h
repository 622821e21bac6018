/* What the classes of keys ([class NAME]) make of a command: may it, and how. */
#pragma once

#include "proxy/memory/redis_front.h"

/* Is there nothing about keys of this class that the command must be looked at for? */
static inline bool redis_class_is_plain(const struct memory_class *class,
                                        const struct redis_command *cmd)
{
    const struct key_class *c = class->settings;

    if ((cmd->flags & REDIS_COMMAND_WRITE) == 0)
        return c->access != KEY_ACCESS_FORBIDDEN && c->cache_ms == 0;
    return c->access == KEY_ACCESS_FULL && c->ttl_ms == 0 && c->max_value_bytes == 0 &&
           c->cache_ms == 0;
}

/* May the command have all these keys?  False: answered with an error.  Notes in the operation
 * whose class it is. */
bool redis_class_admits(struct redis_call *call, const struct redis_keys *keys);
/* After that, of a command that may change something: what it says of its keys' lives is limited,
 * and what must follow it found. */
void redis_class_limit(struct redis_call *call, const struct redis_keys *keys);
/* What must follow a command that leaves_no_end, for some of its keys. */
struct redis_ends redis_class_ends(struct redis_call *call, const uint32_t *places, size_t count);
/* Over memcached, likewise: what the key lives if the command leaves it without an end, in whole
 * seconds; 0: for ever. */
uint64_t redis_class_end_ms(const struct redis_call *call, struct slice key);
/* May the command, which names no keys, change any whose values workers keep? */
bool redis_class_may_change_any(const struct redis_call *call);
/* The error about a value of so many bytes, which are more than the class takes. */
void redis_class_put_excess(struct buf *out, const struct key_class *c, uint64_t len);
/* Is there a class whose keys nobody may read? */
bool redis_class_keeps_any(const struct memory_site *site);
