/* Folders as stores.  Disks make callers wait, so what is asked is done on threads of their own,
 * and comes back to the worker as a letter:
 *
 *     worker                                   a thread of the crew
 *     start()       --FOLDER_BEGIN-->          folder_exchange_begin()
 *     room(), head(), body() <--letter--
 *     send()        --FOLDER_WRITE-->          folder_exchange_write(), and so on
 *     ...           --FOLDER_COMMIT-->         folder_exchange_commit()
 *     body(), body()--FOLDER_READ-->           folder_exchange_read()
 *
 * One step of a call is under way at a time.  The process has one crew, and opens each folder once,
 * for conditions on writes hold among the calls of one opened store. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/blob/back_folder.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/core/crew.h"

enum {
    CREW_THREADS = 8,
    PIPE_BYTES = 512 * 1024, /* any user has 64 MiB for all his pipes, then 8 KiB for each */
    SYNC_US = 1000 * 1000,   /* of sync = interval */
    SWEEP_US = 600 * 1000 * 1000,
    SWEEP_MORE_US = 60 * 1000 * 1000, /* while there is more than this: */
    SWEEP_MOST = 1000,                /* files that one looks at */
};

enum folder_step {
    FOLDER_BEGIN,
    FOLDER_WRITE,
    FOLDER_COMMIT,
    FOLDER_READ,
    FOLDER_ABANDON, /* close what is open, and tell nobody */
    FOLDER_SYNC,
    FOLDER_SWEEP,
};

/* An opened folder; of all workers. */
struct folder_home {
    struct list link;
    struct folder *folder; /* NULL: it could not be opened, or was not yet */
    char *identity;        /* owned */
    unsigned refs;
    pthread_mutex_t opening;
    struct folder_settings settings;
    char *path, *bucket; /* owned */
    char why[256];
    uint64_t sync_due_us, sweep_due_us;
    atomic_bool is_dirty;       /* something was written since the last sync */
    atomic_bool has_more_swept; /* the last sweep was not through */
    uint64_t swept;             /* that the log was told of; the crew's, one sweep at a time */
};

/* What serves a call. */
struct folder_lease {
    struct list link; /* among those that wait for the crew */
    struct folder_home *home;
    struct blob_call *call; /* NULL: given up; the worker's alone */
    uint32_t worker;
    enum folder_step step;
    bool busy; /* the crew has it; the rest is the crew's then, but for `pending` */
    bool head_is_told, failed;
    size_t held;        /* counted by the worker, until the call is over */
    bool tells;         /* its owner, who may give it up in the midst of that */
    struct buf pending; /* of the body: came while it was busy */
    struct buf writing; /* what the crew writes */
    bool has_pipe;
    struct conn_pipe pipe; /* in which a long body goes by */
    struct folder_exchange x;
};

/* ---- the crew ---- */

static struct {
    pthread_mutex_t lock;
    pthread_cond_t comes;
    struct list waiting, homes;
    unsigned threads, idle;
} crew = { .lock = PTHREAD_MUTEX_INITIALIZER, .comes = PTHREAD_COND_INITIALIZER };

static void come_back(struct worker *w, void *content);
static void lease_free(struct folder_lease *lease);

static bool open_home(struct folder_home *home)
{
    struct buf why = { 0 };
    bool opened;

    pthread_mutex_lock(&home->opening);
    if (home->folder == NULL &&
        folder_open(home->path, &home->settings, &home->folder, &why) != ERR_NONE) {
        home->folder = NULL;
        snprintf(home->why, sizeof(home->why), "%.*s", (int)why.len, (const char *)why.at);
        log_event(LOG_ERROR, "folder cannot be opened", log_text("folder", home->path),
                  log_text("why", home->why));
    }
    opened = home->folder != NULL;
    buf_fini(&why);
    pthread_mutex_unlock(&home->opening);
    return opened;
}

/* What dead processes left behind, be it ourselves of before. */
static void sweep(struct folder_home *home)
{
    uint64_t swept;

    if (!open_home(home))
        return;
    atomic_store(&home->has_more_swept, folder_sweep(home->folder, SWEEP_MOST));
    swept = folder_swept(home->folder);
    if (swept > home->swept)
        log_event(LOG_INFO, "files of uploads that never ended were removed",
                  log_text("folder", home->path), log_number("files", swept - home->swept));
    home->swept = swept;
}

/* Behind what may have changed something, for a sync under way may have been too early for it. */
static void note_change(struct folder_lease *lease)
{
    if (s3_op_traits(lease->x.ask.op)->right & (S3_RIGHT_WRITE | S3_RIGHT_DELETE))
        atomic_store(&lease->home->is_dirty, true);
}

static void do_step(struct folder_lease *lease)
{
    struct folder_exchange *x = &lease->x;

    switch (lease->step) {
    case FOLDER_BEGIN:
        if (!open_home(lease->home)) {
            folder_answer_code(x, 500, "InternalError", "Its folder cannot be opened.");
            return;
        }
        x->folder = lease->home->folder;
        folder_exchange_begin(x);
        note_change(lease);
        return;
    case FOLDER_WRITE:
        folder_exchange_write(x, buf_all(&lease->writing));
        return;
    case FOLDER_COMMIT:
        folder_exchange_commit(x);
        note_change(lease);
        return;
    case FOLDER_READ:
        lease->failed = !folder_exchange_read(x);
        return;
    case FOLDER_SYNC:
        if (open_home(lease->home) && folder_sync(lease->home->folder) != FOLDER_OK) {
            atomic_store(&lease->home->is_dirty, true); /* it is tried again */
            log_event(LOG_WARN, "folder cannot be synced", log_text("folder", lease->home->path));
        }
        return;
    case FOLDER_SWEEP:
        sweep(lease->home);
        return;
    case FOLDER_ABANDON:
        return;
    }
}

static void *work(void *unused)
{
    (void)unused;
    pthread_mutex_lock(&crew.lock);
    for (;;) {
        struct list *link;
        struct folder_lease *lease;

        while ((link = list_first(&crew.waiting)) == NULL) {
            crew.idle++;
            pthread_cond_wait(&crew.comes, &crew.lock);
            crew.idle--;
        }
        lease = LIST_ITEM(link, struct folder_lease, link);
        list_remove(link);
        pthread_mutex_unlock(&crew.lock);
        do_step(lease);
        if (lease->step >= FOLDER_ABANDON || !crew_send(lease->worker, come_back, lease))
            lease_free(lease);
        pthread_mutex_lock(&crew.lock);
    }
    return NULL;
}

/* With the lock held. */
static void start_thread(void)
{
    pthread_t thread;
    pthread_attr_t detached;

    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    if (pthread_create(&thread, &detached, work, NULL) == 0)
        crew.threads++;
    pthread_attr_destroy(&detached);
}

static void hand_in(struct folder_lease *lease, enum folder_step step)
{
    lease->step = step;
    lease->busy = true;
    pthread_mutex_lock(&crew.lock);
    if (crew.waiting.next == NULL)
        list_init(&crew.waiting);
    list_append(&crew.waiting, &lease->link);
    if (crew.idle == 0 && crew.threads < CREW_THREADS)
        start_thread();
    pthread_cond_signal(&crew.comes);
    pthread_mutex_unlock(&crew.lock);
}

/* ---- homes ---- */

static struct folder_home *home_new(const struct endpoint_settings *e)
{
    const struct blob_store *store = &e->store;
    struct folder_home *home = mem_new(sizeof(*home));

    home->identity = mem_text(e->identity);
    home->path = mem_text(store->folder);
    home->bucket = store->folder_bucket == NULL ? NULL : mem_text(store->folder_bucket);
    home->settings = (struct folder_settings){
        .sync = (enum folder_sync)store->sync,
        .layout = (enum folder_layout)store->layout,
        .stalwart_depth = store->stalwart_depth,
        .stalwart_bucket = home->bucket,
        .max_object = blob_pool_of(e->pool)->max_object_bytes,
    };
    pthread_mutex_init(&home->opening, NULL);
    return home;
}

static struct folder_home *home_of(const struct endpoint_settings *e)
{
    struct folder_home *home = NULL;

    pthread_mutex_lock(&crew.lock);
    if (crew.homes.next == NULL)
        list_init(&crew.homes);
    LIST_EACH (&crew.homes, link)
        if (strcmp(LIST_ITEM(link, struct folder_home, link)->identity, e->identity) == 0)
            home = LIST_ITEM(link, struct folder_home, link);
    if (home == NULL) {
        home = home_new(e);
        list_append(&crew.homes, &home->link);
    }
    home->refs++;
    pthread_mutex_unlock(&crew.lock);
    return home;
}

static void home_unref(struct folder_home *home)
{
    bool last;

    pthread_mutex_lock(&crew.lock);
    last = --home->refs == 0;
    if (last)
        list_remove(&home->link);
    pthread_mutex_unlock(&crew.lock);
    if (!last)
        return;
    if (home->folder != NULL)
        folder_close(&home->folder);
    pthread_mutex_destroy(&home->opening);
    free(home->identity);
    free(home->path);
    free(home->bucket);
    free(home);
}

static void home_ref(struct folder_home *home)
{
    pthread_mutex_lock(&crew.lock);
    home->refs++;
    pthread_mutex_unlock(&crew.lock);
}

/* ---- leases ---- */

static struct folder_lease *lease_new(struct folder_home *home, uint32_t worker)
{
    struct folder_lease *lease = mem_new(sizeof(*lease));

    home_ref(home);
    lease->home = home;
    lease->worker = worker;
    return lease;
}

static void lease_free(struct folder_lease *lease)
{
    folder_exchange_end(&lease->x);
    buf_fini(&lease->pending);
    buf_fini(&lease->writing);
    if (lease->has_pipe)
        conn_pipe_close(&lease->pipe);
    home_unref(lease->home);
    free(lease);
}

/* For a call: its disk has so long to answer. */
static void ask_crew(struct folder_lease *lease, enum folder_step step)
{
    struct blob_call *c = lease->call;

    c->deadline_us = worker_now_us(c->shard->side->worker) + blob_call_patience_us(c);
    hand_in(lease, step);
}

/* ---- coming back ---- */

/* What it holds: pieces on their way in, and one on its way out while `reads`. */
static void weigh(struct folder_lease *lease, const struct blob_call *c, bool reads)
{
    struct worker *w = c->shard->side->worker;
    size_t now =
        sizeof(*lease) + lease->pending.cap + lease->writing.cap + (reads ? FOLDER_PIECE_BYTES : 0);

    worker_hold(w, now);
    worker_release(w, lease->held);
    lease->held = now;
}

/* The call is over, or given up; what is left of the lease is the crew's. */
static void forget_call(struct folder_lease *lease, struct blob_call *c)
{
    worker_release(c->shard->side->worker, lease->held);
    lease->call = NULL;
    c->lease = NULL;
}

static void end(struct folder_lease *lease, enum err err, const char *why)
{
    struct blob_call *c = lease->call;

    forget_call(lease, c);
    blob_call_ended(c, err, why); /* the answer's slices lie in the lease */
}

static void tell_head(struct folder_lease *lease)
{
    struct blob_call *c = lease->call;
    struct folder_exchange *x = &lease->x;

    lease->head_is_told = true;
    weigh(lease, c, x->body.len > 0);
    c->answer = (struct blob_answer){ .status = x->status,
                                      .fields = x->fields,
                                      .field_count = x->field_count,
                                      .has_length = true,
                                      .length = x->length };
    if (c->events->head != NULL)
        c->events->head(c);
}

/* So much of the body may go by to its client now, file to socket: what the socket has no room for
 * would be copied after all. */
static size_t pass_room(struct blob_call *c)
{
    const struct session *s = c->events->through != NULL ? c->events->through(c) : NULL;
    size_t room;

    if (s == NULL || s->state == SESSION_CLOSING || s->conn.tls != NULL)
        return 0;
    room = conn_room(&s->conn);
    return room < FOLDER_PASS_BYTES ? FOLDER_PASS_BYTES : room < PIPE_BYTES ? room : PIPE_BYTES;
}

static void ask_to_read(struct folder_lease *lease)
{
    size_t room = lease->x.left < FOLDER_PASS_BYTES ? 0 : pass_room(lease->call);

    if (room > 0 && !lease->has_pipe) {
        conn_pipe_open(&lease->pipe, PIPE_BYTES);
        if (conn_pipe_bytes(&lease->pipe) < PIPE_BYTES)
            conn_pipe_close(&lease->pipe);
        lease->has_pipe = true;
    }
    lease->x.pipe = lease->has_pipe ? lease->pipe.in : -1;
    lease->x.pass_most = lease->x.pipe < 0 ? 0 : room;
    weigh(lease, lease->call, lease->x.pass_most == 0);
    ask_crew(lease, FOLDER_READ);
}

/* The piece that lies in the pipe. */
static void let_go_by(struct folder_lease *lease)
{
    struct blob_call *c = lease->call;
    struct folder_exchange *x = &lease->x;
    size_t len = x->piped;

    x->piped = 0;
    counter_add(&c->shard->stats->bytes_in, len);
    session_pass(c->events->through(c), &lease->pipe, len);
    if (lease->call != c)
        return; /* its client is gone */
    c->received += len;
    c->events->went(c, len);
}

/* A piece, or all, of the answer's body; then the next, unless its owner wants to wait. */
static void tell_body(struct folder_lease *lease)
{
    struct blob_call *c = lease->call;
    struct folder_exchange *x = &lease->x;

    if (x->piped > 0) {
        let_go_by(lease);
    } else {
        counter_add(&c->shard->stats->bytes_in, x->body.len);
        blob_call_body(c, buf_all(&x->body));
    }
    if (lease->call != c)
        return;
    if (x->left == 0) {
        end(lease, ERR_NONE, NULL);
    } else if (!c->holds) {
        ask_to_read(lease);
    } else {
        buf_fini(&x->body); /* a slow client costs nothing here */
        weigh(lease, c, false);
    }
}

static void go_on_writing(struct folder_lease *lease)
{
    struct blob_call *c = lease->call;
    bool is_all = c->sent == c->ask.length;

    if (lease->pending.len > 0) {
        struct buf empty = lease->writing;

        lease->writing = lease->pending;
        lease->pending = empty;
        buf_clear(&lease->pending);
        weigh(lease, c, false);
        ask_crew(lease, FOLDER_WRITE);
    } else {
        buf_fini(&lease->pending);
        buf_fini(&lease->writing);
        weigh(lease, c, false);
        if (is_all)
            ask_crew(lease, FOLDER_COMMIT);
    }
    if (!is_all)
        blob_call_room_later(c);
}

static void give_up(struct folder_lease *lease)
{
    if (lease->busy || lease->tells)
        return; /* when it comes back, or all is told */
    hand_in(lease, FOLDER_ABANDON);
}

static void tell(struct folder_lease *lease)
{
    struct blob_call *c = lease->call;

    c->deadline_us = 0;
    if (lease->failed) {
        end(lease, ERR_CLOSED, "the object is shorter than it was");
        return;
    }
    if (lease->x.status == 0) { /* it takes the body */
        go_on_writing(lease);
        return;
    }
    if (!lease->head_is_told)
        tell_head(lease);
    if (lease->call == c)
        tell_body(lease);
}

static void come_back(struct worker *w, void *content)
{
    struct folder_lease *lease = content;

    (void)w;
    lease->busy = false;
    if (lease->call != NULL) {
        lease->tells = true;
        tell(lease);
        lease->tells = false;
    }
    if (lease->call == NULL)
        give_up(lease);
}

/* ---- what calls do ---- */

static struct folder_home *home_at(const struct blob_shard *shard)
{
    return shard->state;
}

static void start(struct blob_call *c)
{
    struct blob_shard *shard = c->shard;
    struct folder_lease *lease = lease_new(home_at(shard), shard->side->worker->index);

    lease->call = c;
    lease->x.is_stamp = c->is_stamp;
    lease->x.now_s = (int64_t)time(NULL);
    folder_exchange_copy(&lease->x, &c->ask);
    c->lease = lease;
    c->was_asked = true;
    c->deadline_us = worker_now_us(shard->side->worker) + blob_call_patience_us(c);
    ask_crew(lease, FOLDER_BEGIN);
}

static void send_body(struct blob_call *c, struct slice bytes)
{
    struct folder_lease *lease = c->lease;

    counter_add(&c->shard->stats->bytes_out, bytes.len);
    buf_slice(&lease->pending, bytes);
    weigh(lease, c, false);
    if (!lease->busy)
        go_on_writing(lease);
}

static bool has_room(const struct blob_call *c)
{
    const struct folder_lease *lease = c->lease;

    return lease == NULL || lease->pending.len < FOLDER_PIECE_BYTES;
}

static void hold(struct blob_call *c, bool hold)
{
    struct folder_lease *lease = c->lease;

    if (hold || lease->busy || !lease->head_is_told || lease->x.left == 0)
        return;
    ask_to_read(lease);
}

static void abort_call(struct blob_call *c)
{
    struct folder_lease *lease = c->lease;

    forget_call(lease, c);
    give_up(lease);
}

/* ---- the shard ---- */

static void open_shard(struct blob_shard *shard)
{
    if (shard->state == NULL)
        shard->state = home_of(shard->settings);
}

static void sync_if_due(struct folder_home *home, struct blob_shard *shard, uint64_t now_us)
{
    struct folder_lease *lease;
    bool due;

    pthread_mutex_lock(&crew.lock);
    due = now_us >= home->sync_due_us && atomic_exchange(&home->is_dirty, false);
    if (due) {
        home->sync_due_us = now_us + SYNC_US;
    }
    pthread_mutex_unlock(&crew.lock);
    if (!due)
        return;
    lease = lease_new(home, shard->side->worker->index);
    hand_in(lease, FOLDER_SYNC);
}

/* At the start, too: the folder is opened by it. */
static void sweep_if_due(struct folder_home *home, struct blob_shard *shard, uint64_t now_us)
{
    bool due;

    pthread_mutex_lock(&crew.lock);
    due = now_us >= home->sweep_due_us;
    if (due)
        home->sweep_due_us = now_us + SWEEP_US;
    else if (home->sweep_due_us > now_us + SWEEP_MORE_US &&
             atomic_exchange(&home->has_more_swept, false))
        home->sweep_due_us = now_us + SWEEP_MORE_US;
    pthread_mutex_unlock(&crew.lock);
    if (due)
        hand_in(lease_new(home, shard->side->worker->index), FOLDER_SWEEP);
}

static void tick(struct blob_shard *shard, uint64_t now_us)
{
    struct folder_home *home = home_at(shard);

    LIST_EACH (&shard->calls, link) {
        struct blob_call *c = LIST_ITEM(link, struct blob_call, link);
        struct folder_lease *lease = c->lease;

        if (c->deadline_us == 0 || now_us < c->deadline_us || c->failed != ERR_NONE ||
            lease == NULL)
            continue;
        forget_call(lease, c);
        give_up(lease);
        blob_call_fail_later(c, ERR_TIMEOUT, "its disk does not answer within timeout");
    }
    if (home->settings.sync == FOLDER_SYNC_INTERVAL)
        sync_if_due(home, shard, now_us);
    sweep_if_due(home, shard, now_us);
}

static void close_shard(struct blob_shard *shard)
{
    if (shard->state != NULL)
        home_unref(shard->state);
    shard->state = NULL;
}

const struct blob_back blob_back_folder = {
    .protocol = "file",
    .start = start,
    .send = send_body,
    .has_room = has_room,
    .hold = hold,
    .abort = abort_call,
    .open = open_shard,
    .tick = tick,
    .close = close_shard,
};
