/* One connection of the load generator: it connects, greets, writes calls, finds and judges their
 * replies.  What is called next is its owner's business, told through `lane_events`. */
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/figures.h"
#include "bench/load.h"
#include "proxy/base/buf.h"
#include "proxy/base/list.h"

enum lane_state { LANE_CLOSED, LANE_CONNECTING, LANE_GREETING, LANE_READY };

struct lane;
typedef void lane_event_f(struct lane *l);
typedef void lane_answered_f(struct lane *l, const struct load_call *call,
                             const struct load_outcome *outcome, size_t reply_bytes,
                             uint64_t now_us);

/* The owner must not close the lane from within these. */
struct lane_events {
    lane_event_f *ready;       /* connected and greeted */
    lane_answered_f *answered; /* for each call */
    lane_event_f *resumed;     /* once per turn, after its replies: there is room again */
    lane_event_f *lost;        /* closed by itself; `problem` says why, calls are still there */
};

struct lane {
    const struct load *load;          /* borrowed */
    const struct lane_events *events; /* borrowed */
    void *owner;                      /* borrowed */
    struct event_base *base;          /* borrowed */
    struct list link, dirty;          /* the owner's lists: has room; has unwritten calls */
    enum lane_state state, lost_from; /* lost_from: the state before it was lost */
    int fd;
    struct event readable, writable;
    struct buf in, out;
    size_t written;  /* bytes of `out` that are gone */
    size_t dropped;  /* bytes of the reply that are not in `in` any more */
    size_t appetite; /* bytes to read at once */
    struct load_scan scan;
    struct load_login *login; /* owned, by the driver's functions; NULL: not under way */
    struct load_call *calls;  /* owned, a ring of `depth` */
    uint32_t depth, head, count;
    uint32_t greetings; /* replies to come before it is ready */
    uint32_t number, version;
    uint64_t cursor;    /* next key of a pass over all keys */
    uint64_t reopen_us; /* when to try again; 0: not */
    bool unasked;       /* lost over a reply that was not its own */
    char problem[160];
};

void lane_init(struct lane *l, uint32_t depth); /* the borrowed fields are set by the owner */
void lane_open(struct lane *l);
/* Puts a call behind the others; there is room for it.  lane_flush() sends it. */
void lane_call(struct lane *l, const struct load_call *call);
void lane_flush(struct lane *l);
/* Closes it as lost, for this reason. */
void lane_give_up(struct lane *l, const char *why);
void lane_fini(struct lane *l);

static inline bool lane_has_room(const struct lane *l)
{
    return l->state == LANE_READY && l->count < l->depth;
}

static inline struct load_call *lane_oldest(const struct lane *l)
{
    return &l->calls[l->head];
}
