/* A home from within, for store_home_flow.c, whose it is, store_open_flow.c, which makes its store
 * ready to be asked and gives it up, and store_walk_flow.c, the thread of one that does not wait.
 * Whose what is: of a home that waits the queue and the settings are under `lock`, and the store is
 * its thread's alone; of one that does not, all is under `lock`. */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "config/schedule.h"
#include "proxy/core/stats.h"
#include "proxy/memory/store_home_flow.h"

/* So often is looked whether workers have taken some of its replies. */
enum { STORE_HOME_WORKERS_US = 2000 };

struct store_purge {
    bool is_under_way;
    uint32_t database;
    uint64_t place;
    int64_t due_s;              /* 0: never */
    int64_t reckoned_s;         /* the time when that was the next one */
    uint64_t looked_at, before; /* in this run; keys at its beginning */
    uint64_t found_before;      /* verbs->expired at its beginning */
};

/* What the configuration wants of it. */
struct store_orders {
    enum memory_sync sync;
    struct schedule purge_when;
    uint64_t bytes_most; /* of one in memory, as the next */
    enum memory_eviction eviction;
    uint64_t connect_ms, timeout_ms; /* of one at a server */
    uint64_t backoff_min_ms, backoff_max_ms;
    struct stats_row *stats; /* it moves with the endpoint's name */
    struct buf stamp;
};

struct store_home {
    struct list link;
    char *identity, *name, *pool, *protocol; /* owned, as `path` and `table` */
    const struct store_engine *engine;
    unsigned refs; /* the list's lock */
    pthread_mutex_t lock;
    pthread_cond_t comes;
    char *path, *table;
    struct store_settings settings;
    struct store_orders orders; /* lock, as all to the empty line; their stamp is owned */
    bool has_news;              /* they are others than those that are followed */
    bool has_thread, ends;
    atomic_uint wanted; /* so many workers wait for the lock */
    int stop_fd;        /* an eventfd: it ends */
    struct list queue;
    uint64_t queued_bytes;
    uint64_t most_bytes; /* that wait for it; a quarter of it is what may wait for its workers */

    struct store_orders follows; /* its stamp is owned */
    struct verbs verbs;
    struct verbs_outlook outlook; /* of the piece at hand */
    const void *walking; /* the job whose walk goes on, of one that waits; it may be gone */
    bool is_ready;
    uint64_t retry_us, tend_due_us;
    uint64_t backoff_ms; /* the next one; 0: the first */
    enum err err;        /* why it is not ready */
    char why[CONDITION_WHY_BYTES];
    char refused[CONDITION_WHY_BYTES]; /* why the last piece was, of one that is ready */
    bool has_trouble;                  /* it could not write, of one that nobody else writes to */
    struct condition *condition;       /* counted; what others are told of that */
    bool is_dirty;                     /* something was committed and not synced */
    bool sync_has_failed;              /* when it was tried last */
    uint64_t sync_due_us, sweep_due_us;
    struct store_purge purge;
    struct stats_row *stats;
};

/* ---- store_home_flow.c ---- */

/* With the lock held: there are more replies on their way than may be. */
bool store_home_must_wait_for_workers(const struct store_home *home);
/* Waits for what is asked, `us` at most, with the lock held. */
void store_home_wait(struct store_home *home, uint64_t us);
void store_home_refuse(struct list *jobs, enum err err, const char *why);
void store_home_send_back(struct list *jobs);

/* ---- store_walk_flow.c ---- */

void store_walk_work(struct store_home *home);

/* ---- store_open_flow.c: all of them for whom may work with the store now ---- */

/* Opens it if it is time to, and looks at its stamp.  False: home->err and home->why tell why. */
bool store_open_ready(struct store_home *home);
/* With the lock held: goes on with what the configuration wants now. */
void store_open_follow(struct store_home *home);
void store_open_set_up(struct store_home *home);
/* When its purge is due next. */
void store_open_reckon_purge(struct store_home *home, int64_t now_s);
/* False: nothing of it was done, and store_open_reason() tells why. */
bool store_open_commit(struct store_home *home, bool sync);
/* Of what was not committed.  A store that is not lost goes on: it can still be read, and one that
 * others write to can refuse something and be well. */
void store_open_give_up(struct store_home *home);
/* After a failure: it has to be closed and opened anew. */
bool store_open_is_lost(const struct store_home *home);
const char *store_open_reason(const struct store_home *home);
