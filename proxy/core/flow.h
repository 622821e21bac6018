/* The contract between the core, which moves bytes and knows nothing of what they mean, and a flow,
 * which knows what they mean and never touches a socket.
 *
 * A flow embeds `struct session` and `struct upstream` as the first member of its own structs.  All
 * calls are made in the worker's thread.  A callback may close the session or upstream it was
 * called for, and others: they are freed at the end of the turn. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct session;
struct session_limits;
struct upstream;
struct worker;

/* Where the next bytes of a session may go, were they not looked at. */
struct session_passage {
    struct upstream *to;
    uint64_t most; /* so many */
    /* session_seen is to be shown them on their way: they are copied there.  NULL: it is not. */
    uint8_t *view;
    size_t view_bytes;
};

/* The part of a worker that a flow keeps for itself, in w->works[] at the place of this table in
 * w->flows. */
struct flow_works {
    void (*begin)(struct worker *w);
    /* Brings the worker's side of each pool in line with w->assembly: at the start and at each
     * reload.  Upstreams to endpoints that stayed the same are kept. */
    void (*follow)(struct worker *w);
    void (*tick)(struct worker *w, bool housekeeping);
    /* All that came is dealt with, and nothing of it is written yet.  NULL: nothing to do. */
    void (*turn_ends)(struct worker *w);
    size_t (*trim)(struct worker *w); /* bytes given back to the allocator */
    void (*leave)(struct worker *w);  /* the last in the worker's own thread; NULL: nothing to do */
    void (*end)(struct worker *w);    /* all sessions are closed */
    /* What a listener's sessions are opened with; NULL: its pool is not there (any more). */
    const struct session_limits *(*limits)(struct worker *w, uint32_t listener);
};

struct flow {
    const char *name;
    /* TLS begins inside the protocol, by session_secure() and upstream_secure(). */
    bool tls_inside;
    /* Many sessions' requests go over one upstream, so it pays to wait until more of them have
     * come: see spacing.h. */
    bool gains_by_crowds;

    /* A paused session goes on by session_resume() alone; else also when its client has read what
     * it was told. */
    bool resumes_itself;

    /* A session was accepted (TLS is done); its bytes are zero behind the core's part. */
    void (*session_begin)(struct session *s);
    /* Bytes came.  Returns how many at the front are used up; the rest is shown again, with what
     * follows it.  May set s->need to what it takes at least, or pause the session. */
    size_t (*session_input)(struct session *s, struct slice in);
    /* May what comes next go by?  Asked before each read of a session that nothing is kept of.
     * These three may be absent. */
    bool (*session_passes)(struct session *s, struct session_passage *passage);
    /* This will: it is the passage's view. */
    void (*session_seen)(struct session *s, struct slice bytes);
    /* So much did: it was put to the upstream.  May end the session. */
    void (*session_passed)(struct session *s, size_t len);
    /* Of a throttled session: what it had not read is nearly all written now. */
    void (*session_drained)(struct session *s);
    /* The client sends no more, and is owed replies: who waits for ever is let go.  Of one that
     * is paused some may be unread yet.  May be absent. */
    void (*session_half_closed)(struct session *s);
    /* The process ends, and the session is owed replies: who waits for ever is let go.  May be
     * absent. */
    void (*session_drains)(struct session *s);
    /* The session is to go (s->reason), whatever is under way: says so, and calls session_finish().
     * Absent: it is closed without a word. */
    void (*session_dismissed)(struct session *s);
    /* There are too many sessions: says so on the plain descriptor.  May be absent. */
    void (*turn_away)(const struct session_limits *limits, int fd);
    /* Those for whom there is no room are sessions too, `surplus`, so that they are told so when
     * they can hear it; a few at a time, the rest are turned away. */
    bool hears_surplus;
    /* The session is about to be freed: forget it. */
    void (*session_end)(struct session *s);

    /* The connection stands (TLS is done): say hello; upstream_become_ready() ends the login. */
    void (*upstream_connected)(struct upstream *u);
    /* As session_input. */
    size_t (*upstream_input)(struct upstream *u, struct slice in);
    /* So many bytes of u->pass_left went by to u->pass_to, unseen. */
    void (*upstream_passed)(struct upstream *u, size_t len);
    /* And they are there now, or kept for it: u->pass_to->out.  May be absent. */
    void (*upstream_passed_on)(struct upstream *u, size_t len);
    /* The connection is gone, or never came to be; the upstream is DOWN and can be started
     * again. */
    void (*upstream_lost)(struct upstream *u, enum err err, const char *why);
    /* Bytes that the socket had held back went out; `before`: what had been written until then. */
    void (*upstream_drained)(struct upstream *u, uint64_t before);
};
