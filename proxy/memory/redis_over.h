/* Redis clients over memcached shards: a command becomes meta commands, and their replies its
 * reply.  What each becomes stands in redis_over.def; what can't be said exactly is refused with
 * the reason.
 *
 *     redis_over.c         the table; refusals, FLUSHALL, INFO
 *     redis_over_keys.c    what one meta command says: GET, SET ..., and for each of many keys
 *                          MGET, MSET, DEL ...
 *     redis_over_change.c  all others: read, decided here as an embedded store would (verbs.h), and
 *                          written on condition that nothing changed meanwhile; else once more
 *
 * A time to live is whole seconds, as memcached counts them; so are those of classes. */
#pragma once

#include "proxy/memory/redis_front.h"
#include "proxy/wire/memcached_text_reply.h"

enum redis_over_way {
    REDIS_OVER_LOCAL, /* as in any pool */
    REDIS_OVER_REFUSED,
    REDIS_OVER_GET,
    REDIS_OVER_LENGTH,
    REDIS_OVER_TYPE,
    REDIS_OVER_TTL,
    REDIS_OVER_COUNT, /* of keys that something was done to */
    REDIS_OVER_MGET,
    REDIS_OVER_MSET,
    REDIS_OVER_SET,
    REDIS_OVER_CHANGE,
    REDIS_OVER_CLOCKED, /* the same, in the server's time */
    REDIS_OVER_FLUSH,
    REDIS_OVER_INFO,
};

struct redis_over {
    const char *name; /* of the command, or of a category: "@hash" */
    enum redis_over_way way;
    const char *text;
};

/* Instead of the plan of the command's kind. */
void redis_over_plan(struct redis_call *call);
/* The rows of the table, those of categories last; NULL from the end on. */
const struct redis_over *redis_over_at(size_t index);

/* ---- between the files ---- */

/* The longest time to live that memcached takes as such; what is longer is a time of day to it. */
enum { REDIS_OVER_DAYS_S = 30 * 24 * 3600 };

/* The command's only key and its shard.  False: answered with an error. */
bool redis_over_place(struct redis_call *call, struct slice *key, uint32_t *shard);
bool redis_over_key_fits(struct redis_call *call, struct slice key);
/* False: answered, for a life of milliseconds that memcached can't keep was asked for; a date
 * is looked at by the server's clock. */
bool redis_over_time_is_whole(struct redis_call *call);
/* A reply that is none of those expected. */
void redis_over_put_error(struct memory_merge *m, uint32_t part, struct slice reply);
/* Nothing came from a part's server: then its reply is the error, and true. */
bool redis_over_failed(const struct memory_part *part);
/* A piece of the arena that `room` bytes of text and a value fit into, to be written through a
 * buffer that never grows. */
struct buf redis_over_line(struct arena *arena, size_t value_len);

void redis_over_plan_get(struct redis_call *call);
void redis_over_plan_look(struct redis_call *call, enum redis_over_way way);
void redis_over_plan_set(struct redis_call *call);
void redis_over_plan_many(struct redis_call *call, enum redis_over_way way);
void redis_over_plan_change(struct redis_call *call, enum redis_over_way way);
/* The same, once it is known what key it is, and that the command may have it. */
void redis_over_change(struct redis_call *call, enum redis_over_way way, struct slice key,
                       uint32_t shard);
