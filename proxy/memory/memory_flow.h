/* The insides of the memory flow, shared by its files:
 *
 *     memory_flow.c     session bytes -> requests -> parts (steps: parse, plan, route, begin)
 *     attempt_flow.c    one part on one upstream: sent, answered, failed, expired
 *     answer_flow.c     parts -> merge -> the session, in the order asked
 *     upstream_flow.c   upstreams: hello, replies, loss, leases, clocks
 *     wait_flow.c       requests that wait for a lease
 *     blocked_flow.c    sessions that leave while they wait in a blocking command
 *     bulk_flow.c       sessions with large replies
 *     store_flow.c      parts on embedded shards, which have no upstreams
 *     store_home_flow.c the embedded stores themselves, of the whole process
 *     class_flow.c      classes of keys: where they go, what is counted of them
 *     pool_flow.c       a worker's side of a pool: made, changed by a reload, taken away
 *     subscribe_flow.c  sessions that receive pushes
 *     host_flow.c       what a front asks of the process (CLIENT LIST, INFO ...)
 *
 * All of it belongs to one worker's thread.
 *
 * Order: a session's requests stand in its queue as they were asked and are answered from its
 * front.  Each upstream has its own queue of attempts as they were sent; a reply belongs to the
 * oldest.  An attempt whose request was answered without it (its deadline passed, its session left)
 * stays in the upstream's queue as a tombstone and swallows the reply when it comes: so replies
 * never cross. */
#pragma once

#include "proxy/base/slab.h"
#include "proxy/core/class_row.h"
#include "proxy/core/leavers.h"
#include "proxy/core/session.h"
#include "proxy/core/slow.h"
#include "proxy/core/stats.h"
#include "proxy/core/upstream.h"
#include "proxy/memory/memory.h"
#include "proxy/memory/memory_works.h"

enum {
    MEMORY_SMALL_BYTES = 96, /* a reply that waits its turn and is not longer costs no memory */
    MEMORY_STREAM_BYTES = 64 * 1024,       /* a longer reply goes to the session as it comes */
    MEMORY_WINDOW_FIRST = 4,               /* reads under way before the size of replies is known */
    MEMORY_WINDOW_MOST = 64,               /* and at most: the next reply may be a large one */
    MEMORY_ASKED_MOST = 1 << 30,           /* that one request counts for: sums fit 32 bits */
    MEMORY_WINDOW_BYTES = 4 * 1024 * 1024, /* replies under way, as far as can be foreseen */
    MEMORY_BULK_BYTES = 64 * 1024, /* replies like this: the session gets upstreams of its own */
    MEMORY_BULK_END_BYTES = 16 * 1024, /* and shares again when they are like this */
    MEMORY_SETTLED_BYTES = 1024, /* a reply to be merged that is not longer lies in the arena */
    MEMORY_KEY_BYTES = 48,
};

struct memory_request;
struct memory_upstream;
struct store_home;

/* One part on its way to one upstream and back. */
struct memory_attempt {
    struct memory_attempt *next;    /* in the upstream's order */
    struct memory_request *request; /* owns it */
    uint64_t begin_byte;            /* of the upstream's traffic: its first */
    uint64_t since_us;              /* when it was sent, or began to wait for a lease */
    struct memory_shard *shard;     /* borrowed from the side, for its life */
    struct list wait_link;          /* on the shard's list of those that wait for a lease */
    uint32_t part;                  /* index */
    uint32_t replies_left;
    bool tombstone;    /* its reply is swallowed */
    bool settled;      /* its reply is where the merge looks for it */
    bool queued;       /* in an upstream's queue */
    uint32_t kept_len; /* in `small`; then in `kept` */
    struct buf kept;   /* the reply so far */
    uint8_t small[MEMORY_SMALL_BYTES];
};

/* One thing that a session asked. */
struct memory_request {
    struct memory_request *next;    /* in the session's order */
    struct memory_session *session; /* borrowed; NULL: it left */
    struct memory_side *side;       /* borrowed */
    uint32_t refs;                  /* attempts in upstreams' queues, and 1 until it is answered */
    uint32_t parts_open;
    uint32_t part_count;
    struct memory_part *parts;       /* &one_part, or in the arena */
    struct memory_attempt *attempts; /* &one, or in the arena */
    memory_merge_f *merge;
    void *note;
    struct buf reply;  /* for the session, if it could not be handed out at once */
    size_t reply_held; /* of its memory, as told to the worker and the session */
    size_t weight;     /* of the request, as told to both */
    uint64_t began_us;
    uint32_t asked_bytes;    /* of its parts, at first; at most MEMORY_ASKED_MOST */
    uint32_t reads;          /* that its session may not have under way besides */
    uint64_t generation;     /* the site's when it was planned */
    uint64_t streamed_bytes; /* of the reply, handed to the session before it was whole */
    const char *name;
    struct class_row *class_row;
    const uint64_t *touched; /* as in the operation, as the next two */
    uint32_t touched_count;
    bool touches_all;
    struct slice instead; /* as in the operation */
    bool done, silent, alone, no_deadline, end_leases, resumes, streaming, is_write, failed;
    bool may_write; /* or is_write */
    enum memory_lease lease;
    uint8_t key_len;
    uint8_t key[MEMORY_KEY_BYTES]; /* its beginning, for the slow log */
    struct memory_part one_part;
    struct arena arena;
    struct memory_attempt one;
};

/* The upstreams that a session's requests go over: those of its database and protocol version. */
struct memory_route {
    struct list link; /* on side->routes */
    uint32_t database;
    uint8_t version;
    uint32_t sessions;               /* that use it */
    uint64_t idle_since_us;          /* when the last of them left */
    struct memory_upstream **shared; /* [shard * settings->upstreams + which]; NULL: not yet */
};

struct memory_session {
    struct session base; /* first; its limits are of its side, see memory_side_of() */
    struct memory_route *route;
    struct memory_request *first, *last;
    uint32_t asked_bytes; /* of open_requests: what was sent for them */
    uint32_t open_writes; /* of open_requests: those that may change something */
    uint32_t open_reads;  /* in open_requests: whose replies may have any size */
    uint32_t reply_bytes; /* the size of a read's reply to reckon with */
    uint32_t state_kib;   /* state->held_bytes, as told to the worker */
    uint8_t window;       /* open_reads at most, see window_after() */
    /* Its replies are large: it leases an upstream per shard, so that others' replies need not wait
     * behind them, and its server can be made to wait for it (bulk_flow.c). */
    bool bulk : 1;
    bool bulk_refused : 1; /* no more leases to be had: shards without one are shared */
    bool halted : 1;       /* a request that must be alone is under way */
    bool awaits_all : 1;   /* paused until open_requests is 0 */
    struct list *leases;   /* memory_upstreams; NULL: none yet; see memory_leases() */
    struct memory_subscriber *subscriber; /* NULL: none; owned by subscribe_flow */
    const char *command;                  /* the last one's name; NULL: none yet */
    struct memory_state state[];          /* one, of front->state_size bytes */
};

struct memory_upstream {
    struct upstream base; /* first */
    struct memory_side *side;
    struct memory_shard *shard;
    uint32_t database;
    uint8_t version;
    const struct memory_back *back;
    struct memory_attempt *first, *last;
    struct memory_attempt *oldest; /* of those that are no tombstones */
    uint32_t queued;
    uint64_t heard_us;             /* last byte from the server, or first byte sent after a rest */
    struct memory_session *lessee; /* NULL: shared, or idle */
    struct list lease_link;        /* on the session's leases, or the shard's idle ones */
    struct memory_feed *feed;  /* it carries a session's subscriptions; owned by subscribe_flow */
    bool stood;                /* became ready */
    bool amid_reply;           /* the reply at the queue's front has begun */
    bool leased;               /* made for leasing */
    bool watching;             /* the server remembers WATCHed keys for it */
    bool blocked_command;      /* its lessee left while it waits in a blocking command */
    struct leaver *leaver;     /* its lessee waits in a blocking command; NULL: nobody need know */
    bool spoilt;               /* never to be leased again */
    bool ending;               /* retired when its queue is empty */
    uint64_t refused_until_us; /* its login was refused, not the shard's: as `why` says */
    enum err why_err;
    char *why; /* owned */
    uint64_t idle_since_us;
    struct memory_hello hello;
    struct buf hello_reply;
    uint64_t scan[MEMORY_SCAN_BYTES / 8];
};

/* A shard as this worker sees it. */
struct memory_shard {
    struct list link;       /* on side->past_shards, once a reload took it out */
    uint32_t index;         /* in side->shards */
    uint32_t told_index;    /* in the map of its own pool, as people know it */
    char *pool;             /* that pool's name */
    uint32_t ready, leased; /* upstreams that stand; those leased to sessions now */
    char *name;             /* of the endpoint, for those who outlive its configuration */
    const struct endpoint_settings *endpoint; /* of side->assembly, while it is present */
    char *identity;                           /* the endpoint's, over reloads */
    bool present;                             /* in the configuration */
    struct stats_row *stats;
    bool failing;  /* requests are refused at once; the clock tries again, or a probe finds it up */
    bool was_down; /* by the probes, when the clock looked last */
    enum err failure;
    char why[200];
    struct memory_upstream *trial; /* tries for all; borrowed, until it stands, fails or ends */
    uint64_t retry_at_us;
    uint64_t backoff_ms;
    uint64_t stood_us;        /* when it last logged an upstream in */
    struct list idle_leases;  /* memory_upstreams */
    struct store_home *store; /* embedded, and all that is for upstreams is not used; NULL: none */
    struct list asked;        /* memory_store_jobs */
    uint32_t asked_count;
    struct leavers *leavers; /* counted */
    struct list waiters;     /* memory_attempts that need a lease; the first came first */
    uint32_t waiter_count;
};

/* When a key is looked at, to find those that are asked for most: see class_flow.c. */
struct memory_watch {
    uint32_t left; /* requests until then */
    uint32_t gap;  /* on average between two */
    uint32_t random;
    uint64_t since_us, requests; /* when that was reckoned, and how many there were then */
};

/* A worker's own side of a memory pool; of one whose listeners speak two protocols there are
 * two. */
struct memory_side {
    struct list link; /* on the worker's list of sides */
    char *name;       /* of the pool */
    bool gone;        /* the configuration has it no more: freed when nothing is left of it */
    struct worker *worker;
    struct assembly *assembly; /* counted reference */
    const struct memory_pool *settings;
    const struct memory_front *front;
    struct session_limits limits;
    struct slab session_slab;
    uint64_t window_bytes; /* MEMORY_WINDOW_BYTES, or less if sessions may hold little */
    struct memory_site site;
    struct memory_shard **shards; /* owned; the pool's, then those of site.homes */
    uint32_t shard_count;
    struct memory_class *classes;  /* site.classes; owned, as all three */
    struct memory_home *homes;     /* site.homes */
    uint64_t cached_bytes;         /* of the classes' caches, as told to the worker */
    struct class_row **class_rows; /* by class, then that of keys of none; the rows are for ever */
    struct list past_shards;       /* kept for what is still under way */
    struct list routes;
    struct stats_row *stats;
    struct buf answer; /* what plan writes to */
    struct slow_watch slow;
    struct memory_watch watch;
};

/* The pool's side that the session belongs to. */
static inline struct memory_side *memory_side_of(const struct memory_session *s)
{
    return LIST_ITEM(s->base.limits, struct memory_side, limits);
}

/* The ring of a session's leases, for walks: of the few that have had any it is their own. */
static inline struct list *memory_leases(const struct memory_session *s)
{
    static struct list none = { &none, &none };

    return s->leases != NULL ? s->leases : &none;
}

/* The memory flow's part of a worker: worker->flows. */
struct memory_works {
    struct list sides;
    struct list inquiries; /* on their way around the workers; host_flow.c's */
    uint64_t last_inquiry; /* its number */
    struct slab requests;
    struct slab blocks;     /* of their arenas */
    struct buf store_reply; /* of an embedded store, until it is handed on */
};

static inline struct memory_works *memory_works_of(const struct worker *w)
{
    return w->works[POOL_MEMORY];
}

/* memory_flow.c */
void memory_session_continue(struct memory_session *s); /* one request less is under way */
struct memory_request *memory_request_new(struct memory_session *s);
void memory_request_unref(struct memory_request *r);
/* Counts its memory anew, when it stands in the session's queue and may have grown. */
void memory_request_weigh(struct memory_request *r);
/* What the session keeps besides replies is more, or less. */
void memory_session_keeps(struct memory_session *s, size_t before, size_t now);
/* Starts all parts; those that fail at once are answered through the usual ways. */
void memory_request_start(struct memory_request *r);

/* attempt_flow.c */
void memory_attempt_start(struct memory_request *r, uint32_t part);
void memory_attempt_log(const struct memory_request *r, const struct memory_refusal *refusal,
                        const char *pool);
/* Puts it on an upstream.  False: `refusal` says why not; ERR_AGAIN: no lease is free. */
bool memory_attempt_put(struct memory_attempt *a, struct memory_refusal *refusal);
void memory_attempt_bytes(struct memory_upstream *u, struct slice bytes, bool done);
/* Answers its request with an error; an attempt in a queue stays there as a tombstone. */
/* Replies that must be held together are more than a session may hold. */
extern const struct memory_refusal memory_too_much;
void memory_attempt_fail(struct memory_attempt *a, const struct memory_refusal *refusal);
void memory_attempt_pop(struct memory_upstream *u);
/* Its whole reply came in one piece: of an attempt in no queue, which this may free. */
void memory_attempt_answer(struct memory_attempt *a, struct slice reply);
/* Sends bytes on nobody's behalf; the one reply is swallowed. */
void memory_attempt_send_unasked(struct memory_request *r, struct memory_upstream *u,
                                 struct slice bytes);
/* What ends behind this byte of the traffic is only being sent now. */
void memory_attempts_restamp(struct memory_upstream *u, uint64_t from_byte);
struct slice memory_attempt_kept(const struct memory_attempt *a);
void memory_attempt_forget(struct memory_attempt *a);

/* store_flow.c */
/* The shard of the endpoint is embedded or not, from here on; then its place in the map. */
void memory_store_begin(struct memory_shard *shard, const struct endpoint_settings *endpoint);
void memory_store_follow(struct memory_side *side, struct memory_shard *shard);
void memory_store_end(struct memory_shard *shard);
/* Puts the attempt to the shard's store; it is answered at once or later. */
void memory_store_ask(struct memory_attempt *a);
/* Before the worker leaves its crew. */
void memory_store_leave(struct memory_side *side, struct memory_shard *shard);
void memory_store_tick(struct memory_side *side, struct memory_shard *shard, uint64_t now_us);
static inline bool memory_store_is_busy(const struct memory_shard *shard)
{
    return !list_is_empty(&shard->asked);
}

/* wait_flow.c */
/* False: max_queue of this worker wait at the shard already. */
bool memory_wait_begin(struct memory_attempt *a);
void memory_wait_end(struct memory_attempt *a); /* nothing, if it does not wait */
/* Those that wait get what is free now; idle leases that other workers want are given up. */
void memory_wait_tick(struct memory_side *side, struct memory_shard *shard, uint64_t now_us);
/* A lease became free: those that wait are looked at when this turn is over. */
void memory_wait_hurry(struct memory_side *side, const struct memory_shard *shard);
/* Does another worker want this one's lease? */
bool memory_wait_is_elsewhere(const struct memory_upstream *u);

/* blocked_flow.c */
void memory_blocked_begin(struct memory_upstream *u); /* nothing, if it is not so */
void memory_blocked_end(struct memory_upstream *u);
/* False: no such command waits there, or the server can't be told: the upstream is as any other. */
bool memory_blocked_leave(struct memory_upstream *u, struct memory_session *s);
/* CLIENT UNBLOCK.  False: it does not wait at a server. */
bool memory_blocked_end_wait(struct memory_session *s, bool with_error);
/* Before what `over` is given next, its server learns which of its clients left. */
void memory_blocked_tell(struct memory_session *s, struct memory_upstream *over);

/* answer_flow.c */
void memory_request_part_done(struct memory_request *r, struct slice direct);
/* Its reply waits for its turn. */
void memory_reply_waits(struct memory_request *r);
void memory_session_advance(struct memory_session *s);

/* upstream_flow.c */
struct memory_upstream *memory_upstream_shared(struct memory_session *s, uint32_t shard);
struct memory_upstream *memory_upstream_lease(struct memory_session *s, uint32_t shard,
                                              bool resumes, struct memory_refusal *refusal);
/* One besides those that the session has; it stands on its list of leases. */
struct memory_upstream *memory_upstream_lease_new(struct memory_session *s, uint32_t shard,
                                                  struct memory_refusal *refusal);
void memory_upstream_give_back(struct memory_upstream *u);
void memory_session_end_leases(struct memory_session *s);
/* Those that nothing is watched on. */
void memory_session_give_back(struct memory_session *s);
/* True: nothing may be sent there now, and `refusal` says why. */
bool memory_upstream_refuses(struct memory_upstream *u, struct memory_refusal *refusal);
void memory_upstream_connected(struct upstream *base);
size_t memory_upstream_input(struct upstream *base, struct slice in);
void memory_upstream_passed(struct upstream *base, size_t len);
void memory_upstream_lost(struct upstream *base, enum err err, const char *why);
void memory_upstream_drained(struct upstream *base, uint64_t before);
/* The shard's endpoint in another snapshot. */
void memory_upstream_adopt(struct memory_upstream *u, struct assembly *assembly);
/* No request goes there any more; it ends when the last is answered. */
void memory_upstream_end(struct memory_upstream *u);
/* Ends it now; its attempts have been failed, or nobody waits for them. */
void memory_upstream_retire(struct memory_upstream *u);
void memory_upstream_tick(struct memory_upstream *u, uint64_t now_us);
void memory_shard_tick(struct memory_side *side, struct memory_shard *shard, uint64_t now_us);

/* bulk_flow.c */
/* False: the session must change from shared to its own upstreams, or back, while requests are
 * open. */
bool memory_bulk_follow(struct memory_session *s);
struct memory_upstream *memory_bulk_upstream(struct memory_session *s, uint32_t shard,
                                             struct memory_refusal *refusal);
/* After replies came, or were read: lets its servers wait, or go on. */
void memory_bulk_throttle(struct memory_session *s);

/* class_flow.c */
/* What keys are, and where they go, from here on; before the shards follow. */
void memory_classes_follow(struct memory_side *side, struct assembly *assembly,
                           const struct memory_pool *settings);
/* What is counted of the class of the request's key. */
void memory_classes_note(struct memory_side *side, struct memory_request *r,
                         const struct memory_operation *op);
void memory_classes_tick(struct memory_side *side, uint64_t now_us);
void memory_classes_end(struct memory_side *side);
/* What the request may have changed is not what workers keep, from now on: after a server did it,
 * or may have, and before anybody is told. */
void memory_classes_raise(const struct memory_request *r);
static inline void memory_classes_mark(const struct memory_request *r)
{
    if (r->touched_count > 0 || r->touches_all)
        memory_classes_raise(r);
}

/* pool_flow.c */
struct memory_route *memory_route_of(struct memory_side *side, uint32_t database, uint8_t version);
void memory_route_leave(struct memory_side *side, struct memory_route **where);
/* NULL: this worker has no such pool, or nobody speaks to it so. */
struct memory_side *memory_side_find(struct worker *w, const char *pool,
                                     const struct memory_front *front);

/* subscribe_flow.c */

/* One of the six commands: `r` is alone in the session's queue, and will be done. */
void memory_subscribe(struct memory_session *s, struct memory_request *r,
                      const struct memory_operation *op);
/* For upstreams with a feed: all that they send, their loss, the clock.  These may close the
 * session and end the upstream. */
size_t memory_subscriber_input(struct memory_upstream *u, struct slice in);
void memory_subscriber_lost(struct memory_upstream *u, const char *why);
void memory_subscriber_tick(struct memory_upstream *u, uint64_t now_us);
/* Messages that were held may go now, if nothing is in the way; the session has a subscriber. */
void memory_subscriber_release(struct memory_session *s);
/* Ends all subscriptions, without a word to the client. */
void memory_subscriber_end(struct memory_session *s);
/* After a reload: sessions whose subscriptions stand on the wrong shards now are closed. */
void memory_subscribers_follow(struct memory_side *side, const struct memory_pool *was);
/* Of channels, patterns, shard channels. */
void memory_subscriber_count(const struct memory_session *s, size_t counts[3]);

/* host_flow.c */
extern const struct memory_host memory_flow_host;
/* Asks all workers; `r` stands in its session's queue, and will be done. */
void memory_inquire(struct memory_session *s, struct memory_request *r,
                    const struct memory_inquiry *inquiry);
/* Of a side that ends; whoever comes home then is not awaited any more. */
void memory_inquiries_forget(struct memory_side *side);
