/* See store_home_flow.h.  Whose what is: the list of homes is under its own lock; of a home that
 * waits for disks the queue and the settings are under `lock`, and the store is its thread's alone;
 * of one that does not, all is under `lock`. */
#include "proxy/memory/store_home_flow.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "config/schedule.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/core/stats.h"
#include "shard/stamp.h"

enum {
    PIECE_JOBS = 512, /* that are made durable at once */
    PIECE_BYTES = 4 * 1024 * 1024,
    RETRY_US = 1000 * 1000, /* a store that can't be opened */
    SYNC_US = 1000 * 1000,  /* sync = interval */
    SWEEP_US = 50 * 1000,   /* a store in memory is looked over for keys whose time is over */
    SWEEP_PLACES = 256,
    SWEEP_MOST = 64, /* so many times as much, while much is found */
    PURGE_PLACES = 1000,
};

struct purge {
    bool is_under_way;
    uint32_t database;
    uint64_t place;
    int64_t due_s;              /* 0: never */
    uint64_t looked_at, before; /* in this run; keys at its beginning */
    uint64_t found_before;      /* verbs->expired at its beginning */
};

/* What the configuration wants of it. */
struct orders {
    enum memory_sync sync;
    struct schedule purge_when;
    struct buf stamp;
};

struct store_home {
    struct list link;
    char *identity, *name, *pool; /* owned, as `path` */
    const struct store_engine *engine;
    unsigned refs; /* the list's lock */
    pthread_mutex_t lock;
    pthread_cond_t comes;
    char *path;
    struct store_settings settings;
    struct orders orders; /* lock, as all to the empty line; their stamp is owned */
    bool has_news;        /* they are others than those that are followed */
    bool has_thread, ends;
    struct list queue;
    uint64_t queued_bytes;

    struct orders follows; /* its stamp is owned */
    struct verbs verbs;
    bool is_ready;
    uint64_t retry_us;
    enum err err; /* why it is not ready */
    char why[256];
    bool is_dirty; /* something was committed and not synced */
    uint64_t sync_due_us, sweep_due_us;
    struct purge purge;
    struct stats_row *stats;
};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t ended;
    struct list homes; /* lock */
    unsigned closing;  /* lock; left, but not closed yet */
} all = { .lock = PTHREAD_MUTEX_INITIALIZER, .ended = PTHREAD_COND_INITIALIZER };

/* ---- opening ---- */

static void fail(struct store_home *home, enum err err, const char *why)
{
    if (strcmp(home->why, why) != 0)
        log_event(LOG_WARN, "shard is down", log_text("endpoint", home->name),
                  log_text("pool", home->pool), log_text("reason", why));
    snprintf(home->why, sizeof(home->why), "%s", why);
    home->err = err;
    home->is_ready = false;
    home->retry_us = clock_now_us() + RETRY_US;
}

static void fail_of(struct store_home *home, enum err err, struct buf *why)
{
    buf_put(why, "", 1);
    fail(home, err, (const char *)why->at);
    buf_fini(why);
}

/* ERR_NOT_FOUND: it has none. */
static enum err read_stamp(struct store_home *home, struct stamp *out)
{
    struct slice name = slice_text(SHARD_STAMP_KEY);
    struct store_key key = { 0, store_hash(name), name };
    struct store_value value;

    TRY(home->engine->get(home->verbs.store, &key, &value));
    return stamp_read(value.bytes, out);
}

static enum err write_stamp(struct store_home *home, struct slice text)
{
    struct slice name = slice_text(SHARD_STAMP_KEY);
    struct store_key key = { 0, store_hash(name), name };
    struct store_value value = { text, 0 };

    TRY(home->engine->put(home->verbs.store, &key, &value));
    return home->engine->commit == NULL ? ERR_NONE : home->engine->commit(home->verbs.store, true);
}

static bool has_right_stamp(struct store_home *home, struct slice text)
{
    struct stamp expected, found;
    struct buf why = { 0 };
    enum err err;

    if (text.len == 0 || stamp_read(text, &expected) != ERR_NONE)
        return true;
    err = read_stamp(home, &found);
    if (err == ERR_NOT_FOUND)
        err = write_stamp(home, text);
    else if (err == ERR_NONE && !stamp_agrees(&expected, &found, &why))
        err = ERR_STAMP;
    if (err == ERR_NONE)
        return true;
    if (why.len == 0)
        buf_format(&why, "its stamp can't be read or written: %s %s", err_text(err),
                   home->engine->why(home->verbs.store));
    fail_of(home, err, &why);
    return false;
}

static bool is_open(struct store_home *home)
{
    struct buf why = { 0 };
    enum err err;

    if (home->verbs.store != NULL)
        return true;
    err = home->engine->open(&home->settings, &home->verbs.store, &why);
    if (err == ERR_NONE)
        return true;
    home->verbs.store = NULL;
    fail_of(home, ERR_DOWN, &why);
    return false;
}

/* Of a store that its caller may work with now. */
static bool make_ready(struct store_home *home)
{
    if (home->is_ready)
        return true;
    if (clock_now_us() < home->retry_us || !is_open(home) ||
        !has_right_stamp(home, buf_all(&home->follows.stamp)))
        return false;
    if (home->why[0] != '\0')
        log_event(LOG_INFO, "shard is back", log_text("endpoint", home->name),
                  log_text("pool", home->pool));
    home->why[0] = '\0';
    home->is_ready = true;
    return true;
}

/* With the lock held. */
static void take_news(struct store_home *home)
{
    struct buf stamp = home->follows.stamp;

    if (!home->has_news)
        return;
    home->has_news = false;
    home->is_ready = false;
    home->retry_us = 0;
    home->follows = home->orders;
    home->follows.stamp = stamp;
    buf_clear(&home->follows.stamp);
    buf_slice(&home->follows.stamp, buf_all(&home->orders.stamp));
    home->purge.due_s = schedule_next(&home->follows.purge_when, clock_wall_s());
}

/* ---- without a thread ---- */

enum err store_home_run(struct store_home *home, const struct verbs_ask *ask, struct buf *out)
{
    enum err err = ERR_NONE;

    pthread_mutex_lock(&home->lock);
    take_news(home);
    if (make_ready(home)) {
        home->verbs.now_ms = clock_wall_us() / 1000;
        verbs_run(&home->verbs, ask, out);
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

static void refuse_piece(struct list *piece, enum err err, const char *why)
{
    LIST_EACH (piece, link) {
        struct store_job *job = LIST_ITEM(link, struct store_job, link);

        job->err = err;
        buf_clear(&job->reply);
        buf_text(&job->reply, why);
    }
}

static bool commit(struct store_home *home, bool sync)
{
    struct verbs *v = &home->verbs;
    bool has_written = v->has_written, is_broken = v->is_broken;

    v->has_written = v->is_broken = false;
    if (is_broken || home->engine->commit(v->store, sync && has_written) != ERR_NONE) {
        char why[200];

        snprintf(why, sizeof(why), "the store failed: %s", home->engine->why(v->store));
        home->engine->abandon(v->store);
        fail(home, ERR_DOWN, why);
        return false;
    }
    home->is_dirty |= has_written && !sync;
    return true;
}

static void run_piece(struct store_home *home, struct list *piece)
{
    home->verbs.now_ms = clock_wall_us() / 1000;
    LIST_EACH (piece, link) {
        struct store_job *job = LIST_ITEM(link, struct store_job, link);

        verbs_run(&home->verbs, &job->ask, &job->reply);
        if (home->verbs.is_broken)
            break;
    }
    if (!commit(home, home->follows.sync == MEMORY_SYNC_ALWAYS))
        refuse_piece(piece, home->err, home->why);
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
static void send_back(struct list *piece)
{
    while (!list_is_empty(piece)) {
        struct store_job *first = NULL, **end = &first;
        uint32_t worker = LIST_ITEM(list_first(piece), struct store_job, link)->worker;

        LIST_EACH (piece, link) {
            struct store_job *job = LIST_ITEM(link, struct store_job, link);

            if (job->worker != worker)
                continue;
            list_remove(&job->link);
            *end = job;
            end = &job->next;
        }
        *end = NULL;
        if (!crew_send(worker, bring_home, first))
            bring_home(NULL, first);
    }
}

static void sync_if_due(struct store_home *home, uint64_t now_us)
{
    if (!home->is_dirty || home->follows.sync != MEMORY_SYNC_INTERVAL || now_us < home->sync_due_us)
        return;
    home->is_dirty = false;
    home->sync_due_us = now_us + SYNC_US;
    if (home->engine->commit(home->verbs.store, true) != ERR_NONE)
        log_event(LOG_WARN, "store cannot be synced", log_text("endpoint", home->name),
                  log_text("pool", home->pool),
                  log_text("reason", home->engine->why(home->verbs.store)));
}

/* ---- purging by the schedule ---- */

static void tell_purge(struct store_home *home)
{
    const struct purge *p = &home->purge;
    uint64_t percent = p->before == 0 ? 100 : p->looked_at * 100 / p->before;

    if (home->stats == NULL)
        return;
    counter_set(&home->stats->purge_percent, percent < 100 && p->is_under_way ? percent : 100);
    counter_set(&home->stats->purge_looked_at, p->looked_at);
    counter_set(&home->stats->purge_removed, home->verbs.expired - p->found_before);
}

static void begin_purge(struct store_home *home, int64_t now_s)
{
    struct purge *p = &home->purge;
    struct store_size size;

    *p = (struct purge){ .is_under_way = true, .found_before = home->verbs.expired };
    for (uint32_t i = 0; i < home->engine->databases(home->verbs.store); i++) {
        home->engine->measure(home->verbs.store, i, &size);
        p->before += size.keys;
    }
    p->due_s = schedule_next(&home->follows.purge_when, now_s);
    log_event(LOG_INFO, "purge begins", log_text("endpoint", home->name),
              log_text("pool", home->pool), log_number("keys", p->before));
    if (home->stats != NULL)
        counter_set(&home->stats->purge_began_s, (uint64_t)now_s);
}

static void purge_some(struct store_home *home)
{
    struct purge *p = &home->purge;

    home->verbs.now_ms = clock_wall_us() / 1000;
    p->looked_at += verbs_purge(&home->verbs, &p->database, &p->place, PURGE_PLACES);
    if (!commit(home, home->follows.sync == MEMORY_SYNC_ALWAYS) ||
        (p->database == 0 && p->place == 0)) {
        p->is_under_way = false;
        log_event(LOG_INFO, "purge ends", log_text("endpoint", home->name),
                  log_text("pool", home->pool), log_number("keys", p->looked_at),
                  log_number("removed", home->verbs.expired - p->found_before));
    }
    tell_purge(home);
}

static void purge_if_due(struct store_home *home)
{
    int64_t now_s = clock_wall_s();

    if (!home->is_ready || home->purge.due_s == 0)
        return;
    if (!home->purge.is_under_way && now_s >= home->purge.due_s)
        begin_purge(home, now_s);
    if (home->purge.is_under_way)
        purge_some(home);
}

/* ---- its life ---- */

/* With the lock held: until something is asked, or the clock wants something. */
static void wait_for_jobs(struct store_home *home)
{
    struct timespec until;

    if (!list_is_empty(&home->queue) || home->ends || home->has_news ||
        (home->purge.is_under_way && home->is_ready))
        return;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 1;
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

static void home_free(struct store_home *home)
{
    if (home->verbs.store != NULL)
        home->engine->close(&home->verbs.store);
    verbs_fini(&home->verbs);
    pthread_mutex_destroy(&home->lock);
    pthread_cond_destroy(&home->comes);
    buf_fini(&home->orders.stamp);
    buf_fini(&home->follows.stamp);
    free(home->identity);
    free(home->name);
    free(home->pool);
    free(home->path);
    free(home);
}

static void work_piece(struct store_home *home, struct list *piece)
{
    bool is_ready = make_ready(home); /* asked or not: it may have to be purged */

    if (!list_is_empty(piece)) {
        if (is_ready)
            run_piece(home, piece);
        else
            refuse_piece(piece, home->err, home->why);
        send_back(piece);
    }
    sync_if_due(home, clock_now_us());
    purge_if_due(home);
    if (home->is_ready)
        measure(home);
}

static void *work(void *arg)
{
    struct store_home *home = arg;
    struct list piece;
    bool ends;

    list_init(&piece);
    do {
        pthread_mutex_lock(&home->lock);
        wait_for_jobs(home);
        take_news(home);
        take_piece(home, &piece);
        ends = home->ends && list_is_empty(&piece);
        pthread_mutex_unlock(&home->lock);
        if (!ends)
            work_piece(home, &piece);
    } while (!ends);
    home_free(home);
    pthread_mutex_lock(&all.lock);
    all.closing--;
    pthread_cond_broadcast(&all.ended);
    pthread_mutex_unlock(&all.lock);
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
        job->home = home;
        home->queued_bytes += job->bytes.len;
        list_append(&home->queue, &job->link);
        pthread_cond_signal(&home->comes);
    }
    pthread_mutex_unlock(&home->lock);
    return takes;
}

void store_job_free(struct store_job *job)
{
    buf_fini(&job->bytes);
    buf_fini(&job->reply);
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

bool store_home_waits(const struct store_home *home)
{
    return home->engine->waits;
}

static struct store_home *home_new(const struct endpoint_settings *e,
                                   const struct store_engine *engine)
{
    const struct memory_pool *pool = memory_pool_of(e->pool);
    struct store_home *home = mem_new(sizeof(*home));

    home->engine = engine;
    home->identity = mem_text(e->identity);
    home->name = mem_text(e->name);
    home->pool = mem_text(e->pool->name);
    home->path = e->store_path == NULL ? NULL : mem_text(e->store_path);
    home->settings = (struct store_settings){
        .path = home->path,
        .bytes_most = e->store_bytes,
        .evicts = pool->eviction == MEMORY_EVICTION_LRU,
        .syncs = pool->sync == MEMORY_SYNC_ALWAYS,
    };
    home->verbs.engine = engine;
    home->verbs.name = e->protocol;
    home->verbs.bytes_most = e->store_bytes;
    home->verbs.random = (uintptr_t)home * 0x9e3779b97f4a7c15U | 1;
    home->stats = stats_row_of(e->pool->name, e->name, e->shard, STATS_NO_WORKER);
    list_init(&home->queue);
    pthread_mutex_init(&home->lock, NULL);
    pthread_cond_init(&home->comes, NULL);
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
    const struct memory_pool *pool = memory_pool_of(e->pool);

    pthread_mutex_lock(&home->lock);
    if (!slice_is(stamp, buf_all(&home->orders.stamp)) || home->orders.sync != pool->sync ||
        !schedule_is(&home->orders.purge_when, &pool->purge_when)) {
        home->has_news = true;
        home->orders.sync = pool->sync;
        home->orders.purge_when = pool->purge_when;
        buf_clear(&home->orders.stamp);
        buf_slice(&home->orders.stamp, stamp);
    }
    if (home->engine->waits && !home->has_thread)
        start_thread(home);
    pthread_mutex_unlock(&home->lock);
}

void store_home_leave(struct store_home **where)
{
    struct store_home *home = *where;
    bool last;

    *where = NULL;
    pthread_mutex_lock(&all.lock);
    last = --home->refs == 0;
    if (last) {
        list_remove(&home->link);
        all.closing += home->has_thread;
    }
    pthread_mutex_unlock(&all.lock);
    if (!last)
        return;
    if (!home->has_thread) {
        home_free(home);
        return;
    }
    pthread_mutex_lock(&home->lock);
    home->ends = true;
    pthread_cond_signal(&home->comes);
    pthread_mutex_unlock(&home->lock);
}

void store_homes_end(void)
{
    pthread_mutex_lock(&all.lock);
    while (all.closing > 0)
        pthread_cond_wait(&all.ended, &all.lock);
    pthread_mutex_unlock(&all.lock);
}
