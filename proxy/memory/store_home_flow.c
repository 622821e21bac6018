/* See store_home_flow.h; the list of homes is under its own lock. */
#include "proxy/memory/store_home_flow.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/memory/store_open_flow.h"

enum {
    PIECE_JOBS = 512, /* that are made durable at once */
    PIECE_BYTES = 4 * 1024 * 1024,
    SYNC_US = 1000 * 1000, /* sync = interval */
    SWEEP_US = 50 * 1000,  /* a store in memory is looked over for keys whose time is over */
    SWEEP_PLACES = 256,
    SWEEP_MOST = 64, /* so many times as much, while much is found */
    TEND_US = 5 * 1000 * 1000,
    IDLE_US = 1000 * 1000, /* its thread looks around so often */
    SET_BACK_S = 60 * 60,  /* a clock that is set back by less has no purge done again */
    PURGE_PLACES = 1000,
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct list homes; /* lock */
    unsigned closing;  /* lock; left, but not closed yet */
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

static void start_thread(struct store_home *home);

/* ---- in the workers' threads ---- */

/* The home's own thread makes way for who wants it. */
static void lock_soon(struct store_home *home)
{
    if (pthread_mutex_trylock(&home->lock) == 0)
        return;
    atomic_fetch_add(&home->wanted, 1);
    pthread_mutex_lock(&home->lock);
    atomic_fetch_sub(&home->wanted, 1);
}

/* What was flushed is given back in the home's own thread. */
static void leave_the_rest(struct store_home *home)
{
    home->verbs.has_flushed = false;
    if (home->engine->shed == NULL || !home->engine->shed(home->verbs.store, 0))
        return;
    if (!home->has_thread)
        start_thread(home);
    pthread_cond_signal(&home->comes);
}

enum err store_home_run(struct store_home *home, const struct verbs_ask *ask, struct buf *out)
{
    enum err err = ERR_NONE;

    lock_soon(home);
    store_open_follow(home);
    if (store_open_ready(home)) {
        home->verbs.now_ms = clock_wall_us() / 1000;
        verbs_run(&home->verbs, ask, out);
        if (home->verbs.has_flushed)
            leave_the_rest(home);
    } else {
        err = home->err;
        buf_text(out, home->why);
    }
    pthread_mutex_unlock(&home->lock);
    return err;
}

/* A little at a time, and more while much of what is looked at is to go. */
static void sweep(struct store_home *home)
{
    struct verbs *v = &home->verbs;
    uint64_t looked_at, found;

    if (home->engine->resize != NULL)
        home->engine->resize(v->store, &home->settings);
    v->now_ms = clock_wall_us() / 1000;
    for (int i = 0; i < SWEEP_MOST; i++) {
        found = v->expired;
        looked_at = verbs_purge(v, &home->purge.database, &home->purge.place, SWEEP_PLACES);
        if (looked_at < 16 || v->expired - found < looked_at / 8)
            return;
    }
}

/* ---- the thread ---- */

/* With the lock held; what is queued, or a part of it. */
static void take_piece(struct store_home *home, struct list *piece)
{
    uint64_t bytes = 0;

    for (int i = 0; i < PIECE_JOBS && bytes < PIECE_BYTES && !list_is_empty(&home->queue); i++) {
        struct store_job *job = LIST_ITEM(list_first(&home->queue), struct store_job, link);

        list_remove(&job->link);
        list_append(piece, &job->link);
        bytes += job->bytes.len;
        home->queued_bytes -= job->bytes.len;
    }
}

void store_home_refuse(struct list *jobs, enum err err, const char *why)
{
    LIST_EACH (jobs, link) {
        struct store_job *job = LIST_ITEM(link, struct store_job, link);

        job->err = err;
        buf_clear(&job->reply);
        buf_text(&job->reply, why);
    }
}

static bool foresee(struct store_home *home)
{
    struct store_outlook outlook = verbs_outlook_of(&home->outlook);

    if (home->engine->foresee(home->verbs.store, &outlook, &home->verbs.now_ms) == ERR_NONE)
        return true;
    store_open_give_up(home);
    return false;
}

/* False: it can't be begun.  Nothing was written yet, so a link that was lost meanwhile may be made
 * anew at once. */
static bool begin_piece(struct store_home *home, struct list *piece)
{
    home->verbs.now_ms = clock_wall_us() / 1000;
    if (home->engine->foresee == NULL)
        return true;
    verbs_outlook_clear(&home->outlook);
    LIST_EACH (piece, link)
        verbs_look_ahead(&home->verbs, &LIST_ITEM(link, struct store_job, link)->ask,
                         &home->outlook);
    if (foresee(home))
        return true;
    if (home->is_ready)
        return false;
    home->retry_us = 0;
    return store_open_ready(home) && foresee(home);
}

/* One walk at a time, so that there is one list of names; a step of it in each piece. */
static bool must_wait_for_a_walk(const struct store_home *home, const struct store_job *job)
{
    return job->ask.walk != NULL && home->walking != NULL && home->walking != job;
}

/* False: it is to be asked again. */
static bool run_job(struct store_home *home, struct store_job *job)
{
    struct verbs_walk *walk = job->ask.walk;

    if (must_wait_for_a_walk(home, job))
        return false;
    if (walk != NULL && walk->goes_on && atomic_load(&job->is_unwanted))
        walk->goes_on = false;
    else
        verbs_run(&home->verbs, &job->ask, &job->reply);
    if (walk == NULL)
        return true;
    home->walking = walk->goes_on ? job : NULL;
    return !walk->goes_on;
}

static void refuse_piece(struct store_home *home, struct list *piece, const char *why)
{
    home->walking = NULL;
    store_home_refuse(piece, home->err, why);
}

/* Behind all that was asked meanwhile. */
static void queue_again(struct store_home *home, struct list *jobs)
{
    if (list_is_empty(jobs))
        return;
    pthread_mutex_lock(&home->lock);
    LIST_EACH (jobs, link) {
        struct store_job *job = LIST_ITEM(link, struct store_job, link);

        list_remove(&job->link);
        list_append(&home->queue, &job->link);
        home->queued_bytes += job->bytes.len;
    }
    pthread_mutex_unlock(&home->lock);
}

/* What is left of a piece whose replies are long is another one. */
static void put_back(struct store_home *home, struct list *piece, struct list *after)
{
    pthread_mutex_lock(&home->lock);
    while (after->next != piece) {
        struct store_job *job = LIST_ITEM(piece->prev, struct store_job, link);

        list_remove(&job->link);
        list_prepend(&home->queue, &job->link);
        home->queued_bytes += job->bytes.len;
    }
    pthread_mutex_unlock(&home->lock);
}

static void run_piece(struct store_home *home, struct list *piece)
{
    uint64_t bytes = 0;
    struct list again;

    if (!begin_piece(home, piece)) {
        refuse_piece(home, piece, store_open_reason(home));
        return;
    }
    list_init(&again);
    LIST_EACH (piece, link) {
        struct store_job *job = LIST_ITEM(link, struct store_job, link);

        if (!run_job(home, job)) {
            list_remove(&job->link);
            list_append(&again, &job->link);
            continue;
        }
        bytes += job->reply.len;
        if (home->verbs.is_broken)
            break;
        if (bytes > PIECE_BYTES) {
            put_back(home, piece, link);
            break;
        }
    }
    if (!store_open_commit(home, home->follows.sync == MEMORY_SYNC_ALWAYS))
        refuse_piece(home, piece, store_open_reason(home));
    queue_again(home, &again);
}

/* Replies that no worker has taken yet, of all homes: a worker that is slower than disks are is
 * waited for. */
static atomic_size_t replies_out;

bool store_home_must_wait_for_workers(const struct store_home *home)
{
    return atomic_load(&replies_out) > home->most_bytes / 4 && !list_is_empty(&home->queue);
}

static void bring_home(struct worker *w, void *content)
{
    struct store_job *job = content;

    while (job != NULL) {
        struct store_job *next = job->next;

        if (w == NULL)
            store_job_free(job);
        else
            job->done(w, job);
        job = next;
    }
}

/* One letter for all jobs of a worker. */
void store_home_send_back(struct list *jobs)
{
    while (!list_is_empty(jobs)) {
        struct store_job *first = NULL, **end = &first;
        uint32_t worker = LIST_ITEM(list_first(jobs), struct store_job, link)->worker;

        LIST_EACH (jobs, link) {
            struct store_job *job = LIST_ITEM(link, struct store_job, link);

            if (job->worker != worker)
                continue;
            list_remove(&job->link);
            *end = job;
            end = &job->next;
            job->counted = job->reply.cap;
            atomic_fetch_add(&replies_out, job->counted);
        }
        *end = NULL;
        if (!crew_send(worker, bring_home, first))
            bring_home(NULL, first);
    }
}

static void tell_sync(struct store_home *home, bool has_failed)
{
    if (has_failed)
        log_event(LOG_WARN, "store cannot be synced", log_text("endpoint", home->name),
                  log_text("pool", home->pool),
                  log_text("reason", home->engine->why(home->verbs.store)));
    else if (home->sync_has_failed)
        log_event(LOG_INFO, "store is synced again", log_text("endpoint", home->name),
                  log_text("pool", home->pool));
    home->sync_has_failed = has_failed;
}

/* What could not be synced stays to be, also if the store was lost meanwhile and is not open; and
 * if the configuration says `always` since, the next write is not waited for. */
static void sync_if_due(struct store_home *home, uint64_t now_us)
{
    if (!home->is_dirty || home->follows.sync == MEMORY_SYNC_NEVER || home->verbs.store == NULL ||
        now_us < home->sync_due_us)
        return;
    home->sync_due_us = now_us + SYNC_US;
    home->is_dirty = home->engine->commit(home->verbs.store, true) != ERR_NONE;
    tell_sync(home, home->is_dirty);
    if (home->is_dirty && store_open_is_lost(home))
        store_open_give_up(home);
}

/* Who ends in order leaves nothing to the second that is not over yet. */
static void sync_at_end(struct store_home *home)
{
    home->sync_due_us = 0;
    sync_if_due(home, clock_now_us());
}

/* ---- purging by the schedule ---- */

static void tell_purge(struct store_home *home)
{
    const struct store_purge *p = &home->purge;
    uint64_t percent = p->before == 0 ? 100 : p->looked_at * 100 / p->before;

    if (home->stats == NULL)
        return;
    counter_set(&home->stats->purge_percent, percent < 100 && p->is_under_way ? percent : 100);
    counter_set(&home->stats->purge_looked_at, p->looked_at);
    counter_set(&home->stats->purge_removed, home->verbs.expired - p->found_before);
}

static void begin_purge(struct store_home *home, int64_t now_s)
{
    struct store_purge *p = &home->purge;
    struct store_size size;

    *p = (struct store_purge){ .is_under_way = true, .found_before = home->verbs.expired };
    for (uint32_t i = 0; i < home->engine->databases(home->verbs.store); i++) {
        home->engine->measure(home->verbs.store, i, &size);
        p->before += size.keys;
    }
    store_open_reckon_purge(home, now_s);
    log_event(LOG_INFO, "purge begins", log_text("endpoint", home->name),
              log_text("pool", home->pool), log_number("keys", p->before));
    if (home->stats != NULL)
        counter_set(&home->stats->purge_began_s, (uint64_t)now_s);
}

static void purge_some(struct store_home *home)
{
    struct store_purge *p = &home->purge;

    home->verbs.now_ms = clock_wall_us() / 1000;
    p->looked_at += verbs_purge(&home->verbs, &p->database, &p->place, PURGE_PLACES);
    if (!store_open_commit(home, home->follows.sync == MEMORY_SYNC_ALWAYS) ||
        (p->database == 0 && p->place == 0)) {
        p->is_under_way = false;
        log_event(LOG_INFO, "purge ends", log_text("endpoint", home->name),
                  log_text("pool", home->pool), log_number("keys", p->looked_at),
                  log_number("removed", home->verbs.expired - p->found_before));
    }
    tell_purge(home);
}

static void tend_if_due(struct store_home *home, uint64_t now_us)
{
    if (!home->is_ready || home->engine->tend == NULL || now_us < home->tend_due_us)
        return;
    home->tend_due_us = now_us + TEND_US;
    if (home->engine->tend(home->verbs.store) != ERR_NONE)
        store_open_give_up(home);
}

static void purge_if_due(struct store_home *home)
{
    int64_t now_s = clock_wall_s();

    if (!home->is_ready || home->purge.due_s == 0)
        return;
    /* The clock was set back, as one is that began in another year: what is due may be far away. */
    if (now_s < home->purge.reckoned_s - SET_BACK_S)
        store_open_reckon_purge(home, now_s);
    if (!home->purge.is_under_way && now_s >= home->purge.due_s)
        begin_purge(home, now_s);
    if (home->purge.is_under_way)
        purge_some(home);
}

/* ---- its life ---- */

/* With the lock held. */
static uint64_t idle_us(const struct store_home *home)
{
    uint64_t now_us = clock_now_us();

    if (home->ends || home->has_news)
        return 0;
    if (store_home_must_wait_for_workers(home))
        return STORE_HOME_WORKERS_US;
    if (!list_is_empty(&home->queue) || (home->purge.is_under_way && home->is_ready))
        return 0;
    if (home->is_ready)
        return IDLE_US;
    if (home->retry_us <= now_us)
        return 0;
    return home->retry_us - now_us < IDLE_US ? home->retry_us - now_us : IDLE_US;
}

void store_home_wait(struct store_home *home, uint64_t us)
{
    struct timespec until;

    if (us == 0)
        return;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)((us + (uint64_t)until.tv_nsec / 1000) / 1000000);
    until.tv_nsec = (long)((us * 1000 + (uint64_t)until.tv_nsec) % 1000000000);
    pthread_cond_timedwait(&home->comes, &home->lock, &until);
}

static void measure(struct store_home *home)
{
    struct store_size size;
    uint64_t keys = 0;

    if (home->stats == NULL || home->verbs.store == NULL)
        return;
    size.bytes = size.evicted = 0;
    for (uint32_t i = 0; i < home->engine->databases(home->verbs.store); i++) {
        home->engine->measure(home->verbs.store, i, &size);
        keys += size.keys;
    }
    counter_set(&home->stats->store_keys, keys);
    counter_set(&home->stats->store_bytes, size.bytes);
    counter_set(&home->stats->store_evicted, size.evicted);
    counter_set(&home->stats->store_expired, home->verbs.expired);
}

/* It may hold a password. */
static void forget(char **text)
{
    if (*text != NULL)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = NULL;
}

static void home_free(struct store_home *home)
{
    if (home->verbs.store != NULL)
        home->engine->close(&home->verbs.store);
    verbs_fini(&home->verbs);
    pthread_mutex_destroy(&home->lock);
    pthread_cond_destroy(&home->comes);
    buf_fini(&home->orders.stamp);
    buf_fini(&home->follows.stamp);
    buf_fini(&home->outlook.glances);
    condition_close(&home->condition);
    if (home->stop_fd >= 0)
        close(home->stop_fd);
    forget(&home->identity);
    forget(&home->path);
    free(home->name);
    free(home->protocol);
    free(home->pool);
    free(home->table);
    free(home);
}

static void work_piece(struct store_home *home, struct list *piece)
{
    bool is_ready = store_open_ready(home); /* asked or not: it may have to be purged */

    if (!list_is_empty(piece)) {
        if (is_ready)
            run_piece(home, piece);
        else
            refuse_piece(home, piece, home->why);
        store_home_send_back(piece);
    }
    sync_if_due(home, clock_now_us());
    tend_if_due(home, clock_now_us());
    purge_if_due(home);
    if (home->is_ready)
        measure(home);
}

static void work_pieces(struct store_home *home)
{
    struct list piece;
    bool ends;

    list_init(&piece);
    do {
        pthread_mutex_lock(&home->lock);
        store_home_wait(home, idle_us(home)); /* until something is asked, or the clock wants it */
        store_open_follow(home);
        if (home->ends || !store_home_must_wait_for_workers(home))
            take_piece(home, &piece);
        ends = home->ends && list_is_empty(&piece);
        pthread_mutex_unlock(&home->lock);
        if (!ends)
            work_piece(home, &piece);
    } while (!ends);
    sync_at_end(home);
}

static void end(struct store_home *home)
{
    home_free(home);
    pthread_mutex_lock(&all.lock);
    all.closing--;
    pthread_cond_broadcast(&all.ended);
    pthread_mutex_unlock(&all.lock);
}

static void *work(void *arg)
{
    struct store_home *home = arg;

    (home->engine->waits ? work_pieces : store_walk_work)(home);
    end(home);
    return NULL;
}

/* With the lock held. */
static void start_thread(struct store_home *home)
{
    pthread_t thread;
    pthread_attr_t detached;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    home->has_thread = pthread_create(&thread, &detached, work, home) == 0;
    pthread_attr_destroy(&detached);
}

bool store_home_ask(struct store_home *home, struct store_job *job, uint64_t most_bytes)
{
    bool takes;

    pthread_mutex_lock(&home->lock);
    if (!home->has_thread)
        start_thread(home);
    takes = home->has_thread && home->queued_bytes + job->bytes.len <= most_bytes;
    if (takes) {
        home->most_bytes = most_bytes;
        home->queued_bytes += job->bytes.len;
        list_append(&home->queue, &job->link);
        pthread_cond_signal(&home->comes);
    }
    pthread_mutex_unlock(&home->lock);
    return takes;
}

void store_job_free(struct store_job *job)
{
    atomic_fetch_sub(&replies_out, job->counted);
    buf_fini(&job->bytes);
    buf_fini(&job->reply);
    buf_fini(&job->walk.names);
    free(job);
}

void store_home_tick(struct store_home *home, uint64_t now_us)
{
    if (home->engine->waits || pthread_mutex_trylock(&home->lock) != 0)
        return;
    if (home->is_ready && now_us >= home->sweep_due_us) {
        home->sweep_due_us = now_us + SWEEP_US;
        sweep(home);
        measure(home);
    }
    pthread_mutex_unlock(&home->lock);
}

enum err store_home_refuses(struct store_home *home, char why[CONDITION_WHY_BYTES])
{
    enum err err;

    if (!condition_is_bad(home->condition))
        return ERR_NONE;
    err = condition_get(home->condition, why);
    return err == ERR_AGAIN || err == ERR_SYSTEM ? ERR_NONE : err; /* that one can be read */
}

bool store_home_waits(const struct store_home *home)
{
    return home->engine->waits;
}

/* Without a stamp. */
static struct store_orders orders_of(const struct endpoint_settings *e)
{
    const struct memory_pool *pool = memory_pool_of(e->pool);

    return (struct store_orders){
        .sync = pool->sync,
        .purge_when = pool->purge_when,
        .bytes_most = e->store_bytes,
        .eviction = pool->eviction,
        .connect_ms = pool->base.connect_timeout_ms,
        .timeout_ms = pool->timeout_ms,
        .backoff_min_ms = pool->base.backoff_min_ms,
        .backoff_max_ms = pool->base.backoff_max_ms,
        .stats = stats_row_of(e->pool->name, e->name, e->shard, STATS_NO_WORKER),
    };
}

static bool are_the_same(const struct store_orders *a, const struct store_orders *b)
{
    return a->sync == b->sync && schedule_is(&a->purge_when, &b->purge_when) &&
           a->bytes_most == b->bytes_most && a->eviction == b->eviction &&
           a->connect_ms == b->connect_ms && a->timeout_ms == b->timeout_ms &&
           a->backoff_min_ms == b->backoff_min_ms && a->backoff_max_ms == b->backoff_max_ms &&
           a->stats == b->stats;
}

static struct store_home *home_new(const struct endpoint_settings *e,
                                   const struct store_engine *engine)
{
    struct store_home *home = mem_new(sizeof(*home));
    pthread_condattr_t attributes;

    home->engine = engine;
    home->identity = mem_text(e->identity);
    home->name = mem_text(e->name);
    home->pool = mem_text(e->pool->name);
    home->path = e->store_path == NULL ? NULL : mem_text(e->store_path);
    home->table = e->store_table == NULL ? NULL : mem_text(e->store_table);
    home->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    home->settings = (struct store_settings){ .path = home->path,
                                              .table = home->table,
                                              .stop_fd = home->stop_fd };
    home->follows = orders_of(e);
    store_open_set_up(home);
    home->verbs.engine = engine;
    home->verbs.name = home->protocol = mem_text(e->protocol);
    home->condition = condition_open(e->identity);
    home->verbs.random = (uintptr_t)home * 0x9e3779b97f4a7c15U | 1;
    list_init(&home->queue);
    pthread_mutex_init(&home->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&home->comes, &attributes);
    pthread_condattr_destroy(&attributes);
    return home;
}

struct store_home *store_home_enter(const struct endpoint_settings *e,
                                    const struct store_engine *engine)
{
    struct store_home *home = NULL;

    pthread_mutex_lock(&all.lock);
    if (all.homes.next == NULL)
        list_init(&all.homes);
    LIST_EACH (&all.homes, link)
        if (strcmp(LIST_ITEM(link, struct store_home, link)->identity, e->identity) == 0)
            home = LIST_ITEM(link, struct store_home, link);
    if (home == NULL) {
        home = home_new(e, engine);
        list_append(&all.homes, &home->link);
    }
    home->refs++;
    pthread_mutex_unlock(&all.lock);
    return home;
}

void store_home_follow(struct store_home *home, const struct endpoint_settings *e,
                       struct slice stamp)
{
    struct store_orders orders = orders_of(e);

    pthread_mutex_lock(&home->lock);
    orders.stamp = home->orders.stamp;
    if (!slice_is(stamp, buf_all(&orders.stamp)) || !are_the_same(&orders, &home->orders)) {
        home->has_news = true;
        buf_clear(&orders.stamp);
        buf_slice(&orders.stamp, stamp);
        home->orders = orders;
    }
    if (home->engine->waits && !home->has_thread)
        start_thread(home);
    pthread_mutex_unlock(&home->lock);
}

void store_home_leave(struct store_home **where)
{
    struct store_home *home = *where;
    uint64_t one = 1;
    bool last, has_thread;

    *where = NULL;
    pthread_mutex_lock(&all.lock);
    last = --home->refs == 0;
    if (last) {
        list_remove(&home->link);
        all.closing++;
    }
    pthread_mutex_unlock(&all.lock);
    if (!last)
        return;
    pthread_mutex_lock(&home->lock);
    home->ends = true;
    if (!home->has_thread)
        start_thread(home); /* what is large is not given back here */
    has_thread = home->has_thread;
    (void)!write(home->stop_fd, &one, sizeof(one));
    pthread_cond_signal(&home->comes);
    pthread_mutex_unlock(&home->lock);
    if (!has_thread)
        end(home);
}

void store_homes_end(void)
{
    enum { WAIT_S = 4 };
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += WAIT_S;
    pthread_mutex_lock(&all.lock);
    while (all.closing > 0)
        if (pthread_cond_timedwait(&all.ended, &all.lock, &until) == ETIMEDOUT) {
            log_event(LOG_WARN, "stores are not closed yet: they are left as after a crash",
                      log_number("stores", all.closing));
            break;
        }
    pthread_mutex_unlock(&all.lock);
}
