/* Redis's commands over an embedded store: requests in, as a server would see them, replies out, as
 * that server would word them.
 *
 *     struct verbs v = { .engine = .., .store = .., .name = "ram" };
 *     v.now_ms = ..;
 *     verbs_run(&v, &ask, &out);
 *     if (v.is_broken) .. engine->abandon(), nobody may be told what `out` says
 *     else if (v.has_written) .. engine->commit() before anybody is told
 *
 * What is served stands in verbs.def, and what memcached's clients ask for besides in
 * verbs_memcached.c; anything else is refused with its name and the reason.  MULTI
 * to EXEC is one piece if it comes in one ask, and WATCH is refused.  KEYS in steps tells what was
 * there all the time; what comes or goes meanwhile it may tell or not, as SCAN does. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/memory/store.h"
#include "proxy/wire/resp_request.h"

/* How far a command has come that looks at whatever is there (KEYS, RANDOMKEY).  Zero: it has not
 * begun. */
struct verbs_walk {
    bool goes_on; /* nothing was answered yet: the same is to be asked again */
    uint32_t rounds;
    uint64_t place, shown;
    struct buf names; /* as bulks */
};

struct verbs {
    const struct store_engine *engine;
    struct store *store;
    const char *name;                         /* of the engine, for refusals */
    uint64_t bytes_most;                      /* of the store, for INFO; 0: no limit */
    int64_t now_ms;                           /* set by the caller, as all below; since 1970 */
    uint64_t random;                          /* not 0 */
    bool has_written;                         /* since the caller cleared it */
    bool is_broken;                           /* likewise: the store was in trouble */
    bool has_flushed;                         /* likewise */
    uint64_t commands, hits, misses, expired; /* since it was made */
    struct resp_args args;                    /* of the request at hand */
    struct buf scratch;                       /* for values that are put together */
};

struct verbs_ask {
    struct slice bytes; /* one request or more */
    uint32_t database;
    uint8_t version;     /* RESP's */
    uint64_t reply_most; /* longer replies are refused */
    /* A request that is the only one may go so far and no further at a time, and others may be
     * served meanwhile; NULL: all of it at once. */
    struct verbs_walk *walk;
};

/* What is going to be asked of the store, gathered from one ask after the other, for stores that
 * want to know it before.  Names are the asks'. */
struct verbs_outlook {
    struct buf glances; /* struct store_glance, one after the other */
    bool writes, writes_any, at_one_moment;
};

void verbs_look_ahead(struct verbs *v, const struct verbs_ask *ask, struct verbs_outlook *out);
/* NULL-free and borrowed until the next look ahead. */
struct store_outlook verbs_outlook_of(const struct verbs_outlook *o);
void verbs_outlook_clear(struct verbs_outlook *o);

void verbs_run(struct verbs *v, const struct verbs_ask *ask, struct buf *out);
/* How long the first of its replies are, so many. */
size_t verbs_replies_len(struct slice replies, uint32_t count);
void verbs_fini(struct verbs *v); /* not the store */

/* Drops the keys whose time is over among those of the next `most` places, from *place in
 * *database on, and moves both on; both 0: that was the last.  Returns how many were looked at. */
uint64_t verbs_purge(struct verbs *v, uint32_t *database, uint64_t *place, uint64_t most);
