/* A thread with a loop, and all that belongs to it alone.
 *
 * Work happens in turns: the loop waits, callbacks run for all sockets that are ready, and the end
 * of the turn writes what they queued: once per socket, for all requests together.  Objects that
 * were closed in a turn are freed when it is over, so no callback meets a dangling one. */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/chain.h"
#include "proxy/base/clock.h"
#include "proxy/base/list.h"
#include "proxy/base/metric.h"
#include "proxy/core/assembly.h"
#include "proxy/core/spacing.h"
#include "proxy/core/turn_input.h"
#include "proxy/io/conn.h"
#include "proxy/io/resolve.h"
#include "proxy/io/ring.h"

enum close_reason {
#define CLOSE(name, is_error, text) CLOSE_##name,
#include "proxy/core/close_reason.def"
#undef CLOSE
    CLOSE_REASONS,
};

/* Written by the worker, read by the steward. */
struct worker_counters {
    struct counter sessions_opened, sessions_open;
    struct counter closed[CLOSE_REASONS];
    struct counter held_bytes; /* of sessions' and upstreams' buffers, as of the last tick */
    struct counter turns;
};

enum {
    WORKER_SCRATCH_BYTES = 256 * 1024,
    WORKER_PIPE_BYTES = 1024 * 1024, /* what any user may have; with less it works, too */
    WORKER_SHORT_BYTES = 1024,
    WORKER_TICK_US = 20 * 1000,  /* while requests are under way */
    WORKER_LOOK_US = 1000,       /* while an upstream gathers */
    WORKER_REST_US = 250 * 1000, /* housekeeping otherwise */
    WORKER_DOUBT_US = 1000 * 1000,
    WORKER_FLOWS_MOST = 4,
};

struct worker {
    uint32_t index, count; /* of all workers */
    struct event_base *base;
    struct resolve_desk *desk;
    struct assembly *assembly;    /* counted reference; changed between two turns only */
    uint8_t *scratch;             /* what one read may bring */
    struct conn_pipe pipe;        /* empty between two calls */
    uint64_t doubt_room_until_us; /* of sockets: see worker_doubt_room() */
    struct ring ring;             /* empty between two calls; opened in the worker's own thread */
    struct turn_input input;
    uint64_t now_us; /* of this turn; see worker_now_us() */
    bool now_is_known;
    struct chunk_pool chunks;
    struct slab shorts;  /* of WORKER_SHORT_BYTES: kept beginnings of short requests */
    size_t held_bytes;   /* of buffers that are not chains: reported by worker_hold() */
    size_t max_bytes;    /* this worker's share of max_memory */
    size_t unsent_bytes; /* of all upstreams' traffic: what their servers did not take yet */
    bool defended;       /* since the last tick, in vain: it is not sessions that hold too much */
    uint32_t session_count; /* those for whom there is room, and: */
    uint32_t surplus_count;
    uint32_t active_sessions;  /* of them, those with requests open */
    uint32_t asked_now;        /* sessions that began to wait in this round, see spacing.h, */
    uint32_t answered_now;     /* and that were answered in this turn */
    uint32_t crowd, crowd_now; /* those that asked between the last two ticks; since; flow.h */
    uint32_t peak, peak_now;   /* of active_sessions, likewise */
    uint32_t requests_now;     /* begun since the last tick */
    struct spacing spacing;
    bool holds;                /* what servers are to be sent, until the round ends */
    int asked_fd, answered_fd; /* server and client written to last; -1: it was heard since */
    uint8_t crowd_mark;        /* of this time between ticks: whom it was counted for */
    uint64_t sessions_made;
    struct list sessions;  /* all */
    struct list upstreams; /* all */
    struct list due_sessions, dialed_upstreams, to_flush_upstreams, dead_sessions, dead_upstreams;
    struct list held_sessions; /* due again in the next turn, see `holds` */
    struct event tick;
    uint64_t tick_due_us;
    struct list gatherers; /* upstreams that are read from when much has come, or by this clock: */
    struct event look;
    size_t freed_bytes;       /* to the allocator, since the system was last told */
    bool tick_is_fast, busy;  /* busy: a request began since the last tick */
    uint64_t housekeeping_us; /* when it was last done */
    bool draining, stopped;
    const struct flow_works *const *flows; /* borrowed; by the kinds of pools */
    void *works[WORKER_FLOWS_MOST];        /* owned by those */
    uint32_t flow_count;
    uint32_t random; /* xorshift state for jitter */
    struct worker_counters shared;
};

void worker_init(struct worker *w, uint32_t index, uint32_t count, struct assembly *assembly);
void worker_fini(struct worker *w);
/* Waits for events, and while many sessions wait a little longer, so that more come together; lets
 * them run, ends the turn.  Returns when one turn is over. */
void worker_turn(struct worker *w);
/* Something came from there: of who is waited for, see spacing.h. */
void worker_hears(struct worker *w, int fd);
void worker_free_the_dead(struct worker *w);
/* Its share of the process's limits, from the snapshot. */
void worker_set_limits(struct worker *w);
/* Has a ring or not, as the snapshot says and the kernel lets it; in the worker's own thread. */
void worker_use_ring(struct worker *w);
/* Its thread's, likewise. */
void worker_use_time_slice(const struct worker *w);
/* Memory outside of chains that a session or upstream holds: counted against max_memory. */
static inline void worker_hold(struct worker *w, size_t bytes)
{
    w->held_bytes += bytes;
}
static inline void worker_release(struct worker *w, size_t bytes)
{
    w->held_bytes -= bytes;
    w->freed_bytes += bytes;
}
static inline size_t worker_bytes(const struct worker *w)
{
    return w->held_bytes + w->chunks.held_bytes;
}

/* The turn's time, asked once a turn. */
static inline uint64_t worker_now_us(struct worker *w)
{
    if (!w->now_is_known) {
        w->now_us = clock_now_us();
        w->now_is_known = true;
    }
    return w->now_us;
}

/* A socket took less than it had room for: the system is short of memory for sockets.  For a while
 * little is sent on at a time unseen, for what is not taken has to be kept. */
static inline void worker_doubt_room(struct worker *w)
{
    w->doubt_room_until_us = worker_now_us(w) + WORKER_DOUBT_US;
}
static inline bool worker_doubts_room(struct worker *w)
{
    return w->doubt_room_until_us > worker_now_us(w);
}

/* Has timeouts looked at when this one is due, if that is not done sooner. */
void worker_tick_by(struct worker *w, uint64_t due_us);
/* And soon; called when a request begins to wait. */
void worker_hurry_tick(struct worker *w);
/* And now, as soon as this turn is over. */
void worker_tick_now(struct worker *w);
/* A first upstream gathers. */
void worker_look_at_gatherers(struct worker *w);
static inline void worker_be_busy(struct worker *w)
{
    w->busy = true;
    if (!w->tick_is_fast)
        worker_hurry_tick(w);
}

/* One more session in the process, of all workers?  False: max_sessions is reached. */
bool worker_admit_session(struct worker *w);
void worker_dismiss_session(struct worker *w);

uint32_t worker_random(struct worker *w);
const char *close_reason_text(enum close_reason reason);
const char *close_reason_name(enum close_reason reason);
bool close_reason_is_error(enum close_reason reason);
