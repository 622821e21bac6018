/* The contract of memory pools: keys and small values, many clients over few upstreams.
 *
 *     session bytes --front.parse--> words --front.plan--> parts, each for one shard
 *         --flow--> upstreams --back.scan--> replies of the parts
 *         --operation.merge, or as it came--> session bytes
 *
 * Fronts and backs are drivers: they turn bytes into operations and back, in memory that they are
 * handed, and never see a socket, a clock or a thread.  The flow (memory_flow.c) carries plans out.
 * A front is `memory_front_NAME` in front_NAME.c, a back `memory_back_NAME` in back_NAME.c; NAME is
 * the scheme of its URLs.
 *
 * Life of the bytes: what `plan` reads (words, raw) is valid until it returns, and parts may point
 * into it; what must live until the merge goes into the request's arena. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"
#include "shard/key_classes.h"
#include "shard/map.h"

struct memory_operation;
struct memory_merge;
struct memory_site;
struct value_cache;

/* What a front keeps for each session begins with this; `state_size` is the size of the whole.  The
 * flow reads these fields after each plan: parts go over upstreams of that database and version. */
struct memory_state {
    uint32_t database;
    uint8_t version; /* of the protocol, as the upstream must speak it: RESP 2 or 3 */
    bool logged_in;  /* set by the front: it may ask for more than login, or need not log in */
    bool closes;     /* set by the front: close the session once its answers are written */
    bool subscribed; /* set by the subscription flow: the session receives pushes */
    char *
        user; /* the front's: as whom it is logged in; NULL: not at all, or the pool has no users */
    size_t held_bytes; /* set by the front: what it remembers for the session, if that is much */
};

/* Questions of a front to the process around it; each appends text to `out`. */
struct memory_host {
    /* The asking session's line of CLIENT LIST. */
    void (*session_line)(const struct memory_site *, struct buf *out);
    /* "name:value\r\n" lines: the section "# Sheaf" of INFO. */
    void (*describe)(const struct memory_site *, struct buf *out);
    /* SLOWLOG GET: a RESP array. */
    void (*slow_list)(const struct memory_site *, uint32_t most, struct buf *out);
    /* SLOWLOG RESET. */
    void (*slow_forget)(const struct memory_site *);
};

/* The shards of another pool that has keys of this one's classes.  They count on from the pool's
 * own, in the order of homes. */
struct memory_home {
    const struct memory_pool *pool;
    const struct shard_map *map;
    uint32_t first_shard;
};

/* A class of this pool's keys, as a worker has it. */
struct memory_class {
    const struct key_class *settings;
    const struct memory_home *home; /* NULL: its keys are on the pool's own shards */
    struct value_cache *cache;      /* what the worker keeps of its values; NULL: nothing */
};

/* The place in which a front works: borrowed, valid during the call it is handed to. */
struct memory_site {
    const struct memory_pool *pool;     /* the configuration */
    const struct shard_map *map;        /* key -> shard, but see memory_site_place() */
    const struct key_classes *sorter;   /* key -> class; NULL: there are none */
    const struct memory_class *classes; /* by the sorter's answers */
    const struct memory_home *homes;    /* of classes that have pools of their own */
    uint32_t home_count;
    uint64_t generation; /* of the classes: another one after each reload */
    /* Which writes raise marks (value_cache.h): those of keys whose class has a cache, or all, for
     * another pool has such classes of the same shards. */
    bool marks_all_writes;
    bool has_writes_open; /* the session, under way */
    void *shared;         /* the front's own memory of this worker and pool, from shared_new */
    const struct memory_host *host;
    void *session; /* for `host` only; NULL in a merge whose session is gone */
    uint64_t session_id;
    bool translates; /* the shards speak another protocol than the front */
    bool idle;       /* all earlier requests of the session are answered; see operation.after_all */
    bool has_more;   /* bytes of the session's next request have come */
    uint64_t now_us; /* monotonic */
    int64_t wall_us; /* since 1970 */
};

/* NULL: it is of none. */
static inline const struct memory_class *memory_site_class(const struct memory_site *site,
                                                           struct slice key)
{
    uint32_t found;

    if (site->sorter == NULL)
        return NULL;
    found = key_classes_find(site->sorter, key);
    return found == KEY_CLASSES_NONE ? NULL : &site->classes[found];
}

/* The shard of a key of that class. */
static inline uint32_t memory_site_place(const struct memory_site *site,
                                         const struct memory_class *c, struct slice key)
{
    if (c == NULL || c->home == NULL)
        return shard_map_find(site->map, key).shard;
    return c->home->first_shard + shard_map_find(c->home->map, key).shard;
}

static inline uint32_t memory_site_find(const struct memory_site *site, struct slice key)
{
    return memory_site_place(site, memory_site_class(site, key), key);
}

/* All shards, those of the classes' pools too. */
static inline uint32_t memory_site_shards(const struct memory_site *site)
{
    const struct memory_home *last;

    if (site->home_count == 0)
        return shard_map_count(site->map);
    last = &site->homes[site->home_count - 1];
    return last->first_shard + shard_map_count(last->map);
}

/* Whose shard it is, and which of his; `first_shard` is the number of his first one. */
static inline struct memory_home memory_site_home(const struct memory_site *site, uint32_t shard)
{
    for (uint32_t i = site->home_count; i > 0; i--)
        if (site->homes[i - 1].first_shard <= shard)
            return site->homes[i - 1];
    return (struct memory_home){ .pool = site->pool, .map = site->map };
}

static inline const struct endpoint_settings *memory_site_endpoint(const struct memory_site *site,
                                                                   uint32_t shard)
{
    struct memory_home home = memory_site_home(site, shard);

    return home.pool->base.endpoints[shard - home.first_shard];
}

/* One shard's share of an operation. */
struct memory_part {
    uint32_t shard;
    uint32_t replies;   /* how many its bytes will cause; at least 1 */
    uint32_t unheard;   /* so many of them, the last, are nobody's and swallowed */
    struct slice bytes; /* as its server shall see them; in raw, the words or the arena */
    /* For the merge: all its replies, one after the other.  A part that failed has one error reply
     * instead, made by `refuse`. */
    struct slice reply;
    bool failed; /* the reply is not the server's */
};

enum memory_way {
    MEMORY_NOTHING,   /* no request at all (an empty line): no reply is owed */
    MEMORY_ANSWERED,  /* the whole reply is in `answer` (which may stay empty: a silent command) */
    MEMORY_PARTS,     /* `parts` go to their shards */
    MEMORY_SUBSCRIBE, /* a subscription command: the subscription flow takes the words */
    MEMORY_INQUIRY,   /* all workers are asked `inquiry`; `merge` gets their answer as one part */
};

/* Which upstream carries the parts. */
enum memory_lease {
    MEMORY_SHARED,     /* the worker's shared one */
    MEMORY_LEASE,      /* one of the session's own, kept after the reply (WATCH) */
    MEMORY_LEASE_ONCE, /* the same, given back after the reply (EXEC after WATCH, BLPOP) */
};

/* Joins the replies of all parts into m->out.  Called once, when all have come; the session may
 * have left by then (m->state == NULL).  An empty m->out is no reply at all.  May ask for another
 * round instead: sets m->again and m->parts. */
typedef void memory_merge_f(struct memory_merge *m);

struct memory_refusal;

struct memory_merge {
    const struct memory_site *site;
    uint64_t generation;        /* the site's when it was planned */
    struct memory_state *state; /* NULL: the session is gone, and so is the reply */
    void *note;                 /* operation.note */
    struct memory_part *parts;
    uint32_t part_count;
    struct arena *arena; /* the request's */
    struct buf *out;
    bool again; /* set: `parts` (new, in the arena) go out first, then merge is called again */
    /* Set with it, by who is alone: they go out as an operation's that has this lease. */
    enum memory_lease lease;
    bool no_deadline;
    /* Set by memory_merge_blame(): for the log; in the arena. */
    const struct memory_refusal *blamed;
};

/* Who receives pushes, and who does not. */
enum memory_kind { MEMORY_KIND_ANY, MEMORY_KIND_PLAIN, MEMORY_KIND_SUBSCRIBER, MEMORY_KIND_NONE };

/* What is done to the sessions that are meant.  The answer is a line for each, as in CLIENT LIST,
 * ended by "\n"; or how many it was done to. */
enum memory_deed {
    MEMORY_DEED_LIST,
    MEMORY_DEED_KILL,
    MEMORY_DEED_UNBLOCK,            /* one that waits in a blocking command waits no more */
    MEMORY_DEED_UNBLOCK_WITH_ERROR, /* and is told so, instead of that its time was over */
};

/* About the sessions of this pool, on all workers. */
struct memory_inquiry {
    enum memory_deed deed;
    uint64_t id;                /* this one only; 0: any */
    struct slice address;       /* "ip:port" of the client; empty: any */
    struct slice local_address; /* of our side; empty: any */
    struct slice user;          /* logged in as; empty: any */
    enum memory_kind kind;
    uint64_t age_s;  /* open for that long, or longer */
    bool spare_self; /* not the session that asks */
};

/* What became of a read that a worker's own values might have answered. */
enum memory_cache { MEMORY_CACHE_NONE, MEMORY_CACHE_HIT, MEMORY_CACHE_MISS };

/* One request.  `parse` fills the upper half, `plan` the lower; all else is zero before. */
struct memory_operation {
    struct slice raw;          /* all its bytes as they came */
    const struct slice *words; /* command and arguments; count is 0 for an empty request */
    size_t count;
    bool is_inline; /* raw is not in the servers' form: parts must be encoded from the words */
    /* The flow's: so many reads the session may have under way besides the open ones.  A plan may
     * take more requests than parse found into one operation, if their bytes come behind it: then
     * it makes `raw` longer, and tells how many reads they are together. */
    uint32_t room;

    uint32_t reads; /* 0: one, as of most */
    enum memory_way way;
    struct memory_part *parts; /* &one, or in the arena */
    uint32_t part_count;
    struct memory_part one;
    memory_merge_f *merge; /* NULL: one part, whose reply goes to the session as it comes */
    void *note;            /* for the merge; in the arena */
    const char *name; /* the command, living as long as the snapshot: for slow log and metrics */
    struct slice key; /* its first key, for the slow log */
    const struct memory_class *class; /* that key's; NULL: none */
    bool is_channel;                  /* it is no key */
    bool is_against_class;            /* refused, for a class does not allow it */
    struct slice any_key;             /* one of its keys, by chance; empty: `key` is the only one */
    uint32_t key_count;               /* of those it was drawn from */
    enum memory_lease lease;
    /* Set only while !site->idle, and then nothing else is set or changed: parse and plan again
     * once all earlier requests of the session are answered. */
    bool after_all;
    bool alone;       /* what follows waits until this one is answered */
    bool no_deadline; /* may wait for ever (BLPOP) */
    bool silent;      /* its reply is swallowed (CLIENT REPLY OFF) */
    bool resumes;     /* takes a lease that the session has (EXEC after WATCH), or fails */
    /* The session's leases are given back after the reply; one that may still be watched on is
     * closed. */
    bool end_leases;
    bool end_subscriptions; /* MEMORY_ANSWERED only */
    /* MEMORY_INQUIRY: valid until plan returns, or in the arena. */
    const struct memory_inquiry *inquiry;
    /* What a part whose shard can't answer is taken to have answered; empty: it is refused.  It
     * lives as long as the arena. */
    struct slice instead;
    enum memory_cache cache;
    /* Hashes of keys whose marks are raised when it was carried out; in the arena. */
    const uint64_t *touched;
    uint32_t touched_count;
    bool touches_all;    /* raise that of all keys */
    bool is_write;       /* for metrics */
    bool may_write;      /* a script: what waits at its server may be answered by it */
    struct buf *answer;  /* MEMORY_ANSWERED writes here */
    struct arena *arena; /* the request's */
};

/* Why a request can't be served, in the flow's words; `refuse` says it in the protocol's. */
struct memory_refusal {
    enum err err;
    uint32_t shard;       /* UINT32_MAX: none in particular */
    const char *endpoint; /* NULL: none in particular */
    const char *pool;     /* NULL: not told */
    const char *text;     /* the sentence; no newline */
    bool is_loading; /* the shard will serve once it has loaded its data: clients know to wait */
};

/* The whole sentence, in one line: which shard of what pool, and why. */
void memory_refusal_put(const struct memory_refusal *why, struct buf *out);
/* The same of a part whose server answered what can't be an answer to it. */
void memory_merge_blame(struct memory_merge *m, uint32_t part, struct buf *out);

/* What a session looks like to people; a text that is NULL was not told. */
struct memory_portrait {
    const char *name; /* what it calls itself */
    const char *library, *library_version;
    int64_t queued; /* commands since MULTI; -1: none is open */
};

struct memory_front {
    const char *name;
    uint16_t default_port;
    size_t state_size; /* of a session's state, memory_state included */
    /* The state is all zero.  Sets the version a new session speaks, and so on. */
    void (*begin)(const struct memory_site *, struct memory_state *);
    void (*end)(struct memory_state *); /* frees what the state owns */
    /* The front's memory of one worker and pool (a script cache): NULL members mean none. */
    void *(*shared_new)(const struct memory_pool *);
    void (*shared_free)(void *shared);
    /* Looks for one request at the front of `in`.  DONE: op's upper half is filled, raw.len bytes
     * are its own (words may live in the front's per-thread memory until the next call).  MORE:
     * `*need` is how many bytes of `in` it takes at least.  BAD: the last words to the session are
     * appended to `last_words`, then it is closed. */
    enum parse (*parse)(const struct memory_site *, struct memory_state *, struct slice in,
                        struct memory_operation *op, size_t *need, struct buf *last_words);
    /* Decides what is to be done.  Called again, from the start, when it set after_all. */
    void (*plan)(const struct memory_site *, struct memory_state *, struct memory_operation *op);
    /* Appends what a client is told that comes when there are too many already. */
    void (*turn_away)(struct buf *out);
    void (*portray)(const struct memory_state *, struct memory_portrait *out);
    /* Appends an error reply. */
    void (*refuse)(const struct memory_state *, const struct memory_refusal *, struct buf *out);
};

/* How a new upstream is made ready, one question at a time: each is awaited before the next is
 * sent. */
struct memory_hello {
    const struct endpoint_settings *endpoint;
    uint32_t database;
    uint8_t version;
    bool leased;        /* not for sharing: its id at the server is asked for */
    struct slice stamp; /* the expected stamp's text; empty: stamps are off */
    struct slice stamp_key;
    /* filled on the way */
    uint32_t step;            /* 0 at first; the driver's own counting */
    uint64_t server_id;       /* of this upstream at its server (CLIENT ID); 0: unknown */
    struct slice found_stamp; /* .at is set if the shard carries one; borrowed from the reply */
};

struct store_engine;

struct memory_back {
    const char *name;
    uint16_t default_port;
    /* Shards are embedded (store.h), and there is nobody to connect to: nothing below is there. */
    const struct store_engine *engine;
    /* Handed the whole reply to the last question (empty at first), appends the next one to `out`;
     * an empty `out` and ERR_NONE means ready.  On error `why` says what the server answered:
     * ERR_RANGE if it is well and logged in to, but does not have the session's database.
     * ERR_STAMP is returned by the flow's judgement, not here. */
    enum err (*hello)(struct memory_hello *, struct slice reply, struct buf *out, struct buf *why);
    /* Looks for the end of one reply; `scan` (scan_size bytes, all zero at a reply's start)
     * remembers.  DONE: *used bytes end it.  MORE: *used bytes are passed.  *out_of_band: it is a
     * push, and answers nothing. */
    enum parse (*scan)(void *scan, struct slice in, size_t *used, bool *out_of_band);
    size_t scan_size; /* at most MEMORY_SCAN_BYTES */
    /* Bytes to come that are surely of this reply, and do not end it. */
    uint64_t (*body_left)(const void *scan);
    /* So many of them went by, unseen. */
    void (*body_passed)(void *scan, size_t len);
    /* What a reply means for the health of its endpoint, a word of health/reason.def; NULL:
     * nothing. */
    const char *(*trouble)(struct slice reply);
    uint8_t trouble_byte; /* only replies that begin so can mean anything */
    /* Bytes that make the blocked upstream `server_id` answer, as if its time were over or with an
     * error, to be sent over another one. */
    void (*unblock)(uint64_t server_id, bool with_error, struct buf *out);
};

enum { MEMORY_SCAN_BYTES = 48 };

/* Drivers by number from 0, and by name; NULL: there is none. */
const struct memory_front *memory_front_at(size_t index);
const struct memory_back *memory_back_at(size_t index);
const struct memory_front *memory_front_find(const char *name);
const struct memory_back *memory_back_find(const char *name);
