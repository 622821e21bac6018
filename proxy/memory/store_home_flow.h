/* An embedded store as the process has it: opened once, whoever works with it.
 *
 * A store that does not wait for disks is worked with in the caller's thread, under a lock; what
 * looks at more than a little of it (struct verbs_walk) goes on in a thread, step by step, and who
 * asks meanwhile is served between two of them (store_walk_flow.c).  A store that waits has a
 * thread of its own, which takes all that is asked of it meanwhile as one piece:
 *
 *     worker                       the home's thread
 *     store_home_ask(job) ------>  verbs_run() for each job of the piece
 *                                  commit, and sync if the pool's `sync` says always
 *     job->done() <----letter----  then nobody is told anything that is not there to stay
 *
 * So what many write at a time is made durable at once, and what a session asks is done in its
 * order.  A walk goes one step in each piece, and then stands behind what was asked meanwhile. */
#pragma once

#include <stdatomic.h>

#include "config/snapshot.h"
#include "proxy/base/list.h"
#include "proxy/core/condition.h"
#include "proxy/memory/store.h"
#include "proxy/memory/verbs.h"

struct store_home;
struct worker;

struct store_job {
    struct list link;       /* the home's; then those that were done with it */
    struct store_job *next; /* done with it, for the same worker */
    struct verbs_ask ask;   /* its bytes: `bytes` */
    struct buf bytes, reply;
    struct verbs_walk walk;  /* of one that goes on */
    atomic_bool is_unwanted; /* nobody waits for it any more: set by the worker */
    size_t counted;          /* of the reply, as on its way to the worker */
    enum err err;            /* the store did not answer; `reply` says why, in words */
    uint32_t worker;
    void (*done)(struct worker *w, struct store_job *job); /* takes it; not called if w has left */
    void *owner;
};

/* What is not there is opened when it is first asked.  Each call is to be met by a leave. */
struct store_home *store_home_enter(const struct endpoint_settings *e,
                                    const struct store_engine *engine);
void store_home_leave(struct store_home **where);
/* The endpoint in another snapshot, or in the first, and the stamp that the store must carry;
 * empty: none.  What is asked from then on is asked under it. */
void store_home_follow(struct store_home *home, const struct endpoint_settings *e,
                       struct slice stamp);
bool store_home_waits(const struct store_home *home);
/* It is known to be down, so nobody need wait for it: `why` gets the reason.  It is tried again
 * whether it is asked or not. */
enum err store_home_refuses(struct store_home *home, char why[CONDITION_WHY_BYTES]);
/* For those that do not wait.  ERR_NONE: `out` is the reply, unless ask->walk goes on, for which
 * store_home_ask() is; else why there is none. */
enum err store_home_run(struct store_home *home, const struct verbs_ask *ask, struct buf *out);
/* For those that wait, or a walk that goes on.  False: more than `most_bytes` would wait for it.
 * When so many of replies wait for their workers, it does no more until they have taken some. */
bool store_home_ask(struct store_home *home, struct store_job *job, uint64_t most_bytes);
void store_job_free(struct store_job *job);
/* By the clock of whoever is there: what must be done without being asked. */
void store_home_tick(struct store_home *home, uint64_t now_us);
/* Returns when all that were left are closed, or a disk does not let them be in some seconds. */
void store_homes_end(void);
