/* See worker.h. */
#include "proxy/core/worker.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/base/time_slice.h"
#include "proxy/core/session.h"
#include "proxy/core/turn_output.h"
#include "proxy/core/upstream.h"

static const struct {
    const char *name, *text;
    bool is_error;
} REASONS[] = {
#define CLOSE(name, is_error, text) [CLOSE_##name] = { #name, text, is_error },
#include "proxy/core/close_reason.def"
#undef CLOSE
};

const char *close_reason_text(enum close_reason reason)
{
    return REASONS[reason].text;
}

const char *close_reason_name(enum close_reason reason)
{
    return REASONS[reason].name;
}

bool close_reason_is_error(enum close_reason reason)
{
    return REASONS[reason].is_error;
}

uint32_t worker_random(struct worker *w)
{
    w->random ^= w->random << 13;
    w->random ^= w->random >> 17;
    w->random ^= w->random << 5;
    return w->random;
}

/* ---- timers ---- */

void worker_tick_by(struct worker *w, uint64_t due_us)
{
    uint64_t now_us = worker_now_us(w), after_us = due_us > now_us ? due_us - now_us : 0;
    struct timeval after = { .tv_sec = (time_t)(after_us / 1000000),
                             .tv_usec = (suseconds_t)(after_us % 1000000) };

    if (due_us >= w->tick_due_us)
        return;
    w->tick_due_us = due_us;
    event_add(&w->tick, &after);
}

void worker_hurry_tick(struct worker *w)
{
    w->tick_is_fast = true;
    worker_tick_by(w, worker_now_us(w) + WORKER_TICK_US);
}

void worker_tick_now(struct worker *w)
{
    event_active(&w->tick, EV_TIMEOUT, 0);
}

void worker_look_at_gatherers(struct worker *w)
{
    struct timeval after = { .tv_usec = WORKER_LOOK_US };

    if (!event_pending(&w->look, EV_TIMEOUT, NULL))
        event_add(&w->look, &after);
}

static void on_look(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    struct list to_see, *link;

    (void)fd;
    (void)what;
    list_init(&to_see);
    while ((link = list_first(&w->gatherers)) != NULL) {
        list_remove(link);
        list_append(&to_see, link);
    }
    while ((link = list_first(&to_see)) != NULL) { /* what one brings may end others */
        list_remove(link);
        list_append(&w->gatherers, link);
        upstream_gather(LIST_ITEM(link, struct upstream, gather));
    }
    if (!list_is_empty(&w->gatherers))
        worker_look_at_gatherers(w);
}

/* Gives memory back that a burst needed and nothing has needed since.  The system is told only when
 * it is worth the call: sooner when there is nothing else to do. */
static void give_memory_back(struct worker *w)
{
    size_t worth = w->busy ? 1 << 20 : 16 << 10;
    size_t given = chunk_pool_trim(&w->chunks);

    slab_trim(&w->shorts);
    turn_input_trim(w);
    for (uint32_t i = 0; i < w->flow_count; i++)
        given += w->flows[i]->trim(w);
    w->freed_bytes += given;
    if (w->freed_bytes >= worth) {
        malloc_trim(0);
        w->freed_bytes = 0;
    }
}

static size_t session_bytes(const struct session *s)
{
    return s->state == SESSION_CLOSING ? 0 : s->out.len + s->in.cap + s->held_bytes + s->kept_bytes;
}

/* What sessions hold; the most that one does. */
static size_t weigh_sessions(struct worker *w, size_t *most)
{
    size_t sum = 0;

    *most = 0;
    LIST_EACH (&w->sessions, link) {
        size_t bytes = session_bytes(LIST_ITEM(link, struct session, link));

        sum += bytes;
        *most = bytes > *most ? bytes : *most;
    }
    return sum;
}

static void close_those_that_hold(struct worker *w, size_t bytes)
{
    LIST_EACH (&w->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (worker_bytes(w) <= w->max_bytes)
            return;
        if (session_bytes(s) < bytes)
            continue;
        session_close(s, CLOSE_MEMORY);
        session_forget_buffers(s);
    }
}

/* Sessions that hold most go when all together hold too much; but not if it is others' queues that
 * do, which are bounded by half of it. */
static void defend_memory(struct worker *w)
{
    while (worker_bytes(w) > w->max_bytes && !w->defended) {
        size_t most;

        if (weigh_sessions(w, &most) <= w->max_bytes / 2) {
            w->defended = true;
        } else {
            close_those_that_hold(w, most);
            close_those_that_hold(w, most / 2);
        }
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct worker *w = arg;
    uint64_t now_us = worker_now_us(w);
    bool housekeeping = now_us - w->housekeeping_us >= WORKER_REST_US - WORKER_TICK_US;

    (void)fd;
    (void)what;
    w->tick_due_us = UINT64_MAX;
    LIST_EACH (&w->upstreams, link)
        upstream_tick(LIST_ITEM(link, struct upstream, link), now_us);
    for (uint32_t i = 0; i < w->flow_count; i++)
        w->flows[i]->tick(w, housekeeping);
    w->defended = false;
    defend_memory(w);
    if (housekeeping) {
        w->housekeeping_us = now_us;
        LIST_EACH (&w->sessions, link)
            session_tick(LIST_ITEM(link, struct session, link));
        LIST_EACH (&w->upstreams, link)
            upstream_keep_alive(LIST_ITEM(link, struct upstream, link));
        give_memory_back(w);
        counter_set(&w->shared.held_bytes, worker_bytes(w));
    }
    if (w->tick_is_fast)
        spacing_tick(&w->spacing, w->requests_now);
    w->crowd = w->crowd_now;
    w->peak = w->peak_now;
    w->peak_now = 0;
    w->crowd_now = w->requests_now = 0;
    w->crowd_mark++;
    w->tick_is_fast = w->busy;
    worker_tick_by(w, now_us + (w->busy ? WORKER_TICK_US : WORKER_REST_US));
    w->busy = false;
}

/* ---- sessions of all workers ---- */

static atomic_uint sessions_in_all;

bool worker_admit_session(struct worker *w)
{
    if (atomic_fetch_add(&sessions_in_all, 1) >= w->assembly->snapshot->proxy.max_sessions) {
        atomic_fetch_sub(&sessions_in_all, 1);
        return false;
    }
    w->session_count++;
    return true;
}

void worker_dismiss_session(struct worker *w)
{
    atomic_fetch_sub(&sessions_in_all, 1);
    w->session_count--;
}

/* ---- life ---- */

void worker_set_limits(struct worker *w)
{
    const struct proxy_settings *settings = &w->assembly->snapshot->proxy;

    w->max_bytes = settings->max_memory_bytes / w->count;
}

void worker_use_ring(struct worker *w)
{
    bool wanted = w->assembly->snapshot->proxy.io_uring, open = w->ring.fd >= 0;

    if (open && !wanted)
        ring_close(&w->ring);
    if (open || !wanted)
        return;
    ring_open(&w->ring);
    if (w->ring.fd < 0 && w->index == 0)
        log_event(LOG_INFO, "the kernel has no io_uring for us: each socket takes its own calls",
                  log_text("reason", strerrordesc_np(errno)));
}

void worker_use_time_slice(const struct worker *w)
{
    uint64_t slice_ns = w->assembly->snapshot->proxy.time_slice_ms * 1000000;

    if (!time_slice_set(slice_ns) && w->index == 0)
        log_event(LOG_INFO, "the kernel refuses a time slice of our own: it keeps to its own",
                  log_text("reason", strerrordesc_np(errno)));
}

void worker_init(struct worker *w, uint32_t index, uint32_t count, struct assembly *assembly)
{
    struct event_config *config = event_config_new();

    *w = (struct worker){ .index = index, .count = count, .assembly = assembly };
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
    event_config_set_flag(config, EVENT_BASE_FLAG_NO_CACHE_TIME);
    w->base = event_base_new_with_config(config);
    event_config_free(config);
    w->scratch = mem_new(WORKER_SCRATCH_BYTES);
    memset(w->scratch, 1,
           WORKER_SCRATCH_BYTES); /* the system gives it now, not in the first burst */
    /* The first call sets up the C library's own allocator, where another one stands in for it (as
     * AddressSanitizer's does): workers that did so at the same time would break it. */
    malloc_trim(0);
    chunk_pool_init(&w->chunks);
    w->shorts.size = WORKER_SHORT_BYTES;
    conn_pipe_open(&w->pipe, WORKER_PIPE_BYTES);
    w->ring.fd = w->asked_fd = w->answered_fd = -1;
    w->random = (uint32_t)clock_now_us() * 2654435761u + index * 40503u + 1;
    list_init(&w->sessions);
    list_init(&w->upstreams);
    list_init(&w->due_sessions);
    list_init(&w->held_sessions);
    list_init(&w->dialed_upstreams);
    list_init(&w->to_flush_upstreams);
    list_init(&w->dead_sessions);
    list_init(&w->dead_upstreams);
    worker_set_limits(w);
    list_init(&w->gatherers);
    event_assign(&w->look, w->base, -1, 0, on_look, w);
    event_assign(&w->tick, w->base, -1, 0, on_tick, w);
    w->tick_due_us = UINT64_MAX;
    worker_tick_by(w, worker_now_us(w) + WORKER_REST_US);
}

void worker_free_the_dead(struct worker *w)
{
    LIST_EACH (&w->dead_sessions, link)
        session_free(LIST_ITEM(link, struct session, due));
    list_init(&w->dead_sessions);
    LIST_EACH (&w->dead_upstreams, link)
        upstream_free(LIST_ITEM(link, struct upstream, flush));
    list_init(&w->dead_upstreams);
}

void worker_fini(struct worker *w)
{
    worker_free_the_dead(w);
    event_del(&w->tick);
    event_del(&w->look);
    event_base_free(w->base);
    chunk_pool_fini(&w->chunks);
    slab_fini(&w->shorts);
    conn_pipe_close(&w->pipe);
    ring_close(&w->ring);
    turn_input_fini(w);
    free(w->scratch);
    assembly_unref(&w->assembly);
}

/* ---- turns ---- */

static bool is_asked(const struct upstream *u)
{
    return u->flow->gains_by_crowds && u->out.len > 0;
}

static bool is_answered(const struct session *s)
{
    return s->limits->flow->gains_by_crowds && s->open_requests == 0 && s->out.len > 0 &&
           s->state == SESSION_READING;
}

/* Who will speak soon: the last of them, since when it does the others most likely have. */
static void note_who_is_written(struct worker *w, const struct list *upstreams,
                                const struct list *sessions)
{
    const struct list *u = upstreams->prev, *s = sessions->prev;

    while (u != upstreams && !is_asked(LIST_ITEM(u, const struct upstream, flush)))
        u = u->prev;
    if (u != upstreams)
        w->asked_fd = LIST_ITEM(u, const struct upstream, flush)->conn.fd;
    while (s != sessions && !is_answered(LIST_ITEM(s, const struct session, due)))
        s = s->prev;
    if (s != sessions)
        w->answered_fd = LIST_ITEM(s, const struct session, due)->conn.fd;
}

void worker_hears(struct worker *w, int fd)
{
    if (fd == w->asked_fd)
        w->asked_fd = -1;
    if (fd == w->answered_fd)
        w->answered_fd = -1;
}

/* Sessions that may go on are fed first; then upstreams are written, so that servers work while
 * clients are answered; then sessions. */
static void end_turn(struct worker *w)
{
    struct list fed, written, *link;

    for (uint32_t i = 0; i < w->flow_count; i++)
        if (w->flows[i]->turn_ends != NULL)
            w->flows[i]->turn_ends(w);
    list_init(&fed);
    list_init(&written);
    while ((link = list_first(&w->held_sessions)) != NULL) {
        list_remove(link);
        list_append(&w->due_sessions, link);
    }
    while ((link = list_first(&w->due_sessions)) != NULL) {
        struct session *s = LIST_ITEM(link, struct session, due);

        list_remove(link);
        list_append(&fed, link);
        if (s->resumes || s->recalled)
            session_feed(s);
    }
    LIST_EACH (&fed, each) {
        if (!w->holds || !session_may_wait(LIST_ITEM(each, struct session, due)))
            continue;
        list_remove(each);
        list_append(&w->held_sessions, each);
    }
    while ((link = list_first(&w->dialed_upstreams)) != NULL) {
        list_remove(link);
        upstream_dialed(LIST_ITEM(link, struct upstream, flush));
    }
    LIST_EACH (&w->to_flush_upstreams, link_of) {
        if (w->holds && upstream_may_wait(LIST_ITEM(link_of, struct upstream, flush)))
            continue;
        list_remove(link_of);
        list_append(&written, link_of);
    }
    note_who_is_written(w, &written, &fed);
    turn_output(w, &written, &fed);
    defend_memory(w);
    worker_free_the_dead(w);
    counter_add(&w->shared.turns, 1);
}

/* Until who was written to last speaks. */
static void rest_until_a_word(int *fd)
{
    struct pollfd speaker = { .fd = *fd, .events = POLLIN };

    *fd = -1;
    poll(&speaker, 1, SPACING_SILENT_MS);
}

static void rest_by_the_clock(uint64_t rest_us)
{
    struct timespec rest = { .tv_nsec = (long)rest_us * 1000 };

    nanosleep(&rest, NULL);
}

/* See spacing.h.  Returns whether the round ends with this turn. */
static bool space_turns(struct worker *w)
{
    int *fd = w->asked_fd >= 0 ? &w->asked_fd : &w->answered_fd;
    uint64_t now_us = clock_now_us(), rest_us = spacing_rest_us(&w->spacing, now_us);
    struct spacing_rest rest = { now_us, now_us, false };

    if (rest_us > 0) {
        rest.heard = *fd >= 0 && spacing_listens(&w->spacing);
        if (rest.heard)
            rest_until_a_word(fd);
        else
            rest_by_the_clock(rest_us);
        rest.until_us = clock_now_us();
    }
    return spacing_turn(&w->spacing, rest);
}

static void end_round(struct worker *w)
{
    spacing_round(&w->spacing, w->crowd, w->asked_now + w->answered_now,
                  w->assembly->snapshot->proxy.batch_wait_us);
    w->asked_now = 0;
}

static bool holds_any(const struct worker *w)
{
    return !list_is_empty(&w->to_flush_upstreams) || !list_is_empty(&w->held_sessions);
}

void worker_turn(struct worker *w)
{
    bool more = !list_is_empty(&w->due_sessions) || !list_is_empty(&w->dialed_upstreams) ||
                (!w->holds && !list_is_empty(&w->to_flush_upstreams));
    bool crowd = !more && spacing_is_crowd(w->crowd, w->peak);

    w->holds = crowd && !space_turns(w);
    w->now_is_known = false;
    w->answered_now = 0;
    event_base_loop(w->base, more || holds_any(w) ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
    turn_input(w);
    end_turn(w);
    if (w->peak_now < w->active_sessions)
        w->peak_now = w->active_sessions;
    if (crowd && !w->holds)
        end_round(w);
    else if (!crowd)
        w->asked_now = 0;
}
