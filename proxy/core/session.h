/* A client's connection.  The core reads, writes, keeps time and closes; what the bytes mean is its
 * flow's business.
 *
 *     READING --session_close()----------------------------------> CLOSING --end of turn--> freed
 *        ^ \--session_pause()--> WAITING --session_resume()--+
 *        +---------------------------------------------------+
 *
 * WAITING: nothing is read, because too much is under way or unread; it may be closed from there,
 * too.  An idle session holds no buffer. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/base/chain.h"
#include "proxy/base/list.h"
#include "proxy/base/slab.h"
#include "proxy/core/flow.h"
#include "proxy/core/worker.h"
#include "proxy/io/conn.h"
#include "proxy/io/listener.h"

enum { SESSION_WAITS_BYTES = 16 * 1024 }; /* less of an answer may wait for the rest of it */

enum session_state { SESSION_READING, SESSION_WAITING, SESSION_CLOSING };

/* What a pool allows its sessions; lies in the flow's side of the pool, changes with a reload. */
struct session_limits {
    const struct flow *flow;
    struct slab *slab;          /* of this worker, for the flow's structs of this pool's sessions */
    uint64_t idle_timeout_ms;   /* 0: never */
    uint64_t unread_timeout_ms; /* 0: never */
    uint64_t handshake_timeout_ms; /* 0: never */
    uint32_t max_sessions;         /* 0: only the process's limit */
    atomic_uint *sessions;         /* of all workers; borrowed, for the life of the process */
    uint64_t max_bytes;            /* unread replies and unfinished requests */
    bool tcp_keepalive;
};

/* As the pool's settings say. */
struct session_limits session_limits_of(const struct pool_settings *pool, const struct flow *flow,
                                        struct slab *slab);

struct session {
    struct list link;      /* on worker->sessions until it is freed, so that a walk survives it */
    struct list due;       /* on worker->due_sessions: has something to do when the turn ends */
    struct worker *worker; /* borrowed */
    const struct session_limits *limits; /* borrowed from the flow's side of the pool */
    struct conn conn;
    struct listener_peer peer; /* of one that was reset the system does not tell it any more */
    uint32_t opened_s;         /* monotonic, as is active_s */
    struct buf in;             /* the beginning of a request whose end has not come */
    struct chain out;
    size_t held_bytes; /* kept by the flow: replies that wait for their turn */
    size_t kept_bytes; /* kept by the flow: what is under way, and what it remembers for it */
    uint64_t id;
    uint32_t active_s;      /* when the client asked or took something, or began not to */
    uint32_t open_requests; /* kept by the flow: begun and not yet answered */
    uint32_t need;          /* bytes that `in` must reach before it is worth showing again */
    uint8_t crowd_mark;     /* when it was counted last, see worker->crowd */
    enum session_state state : 4;
    enum close_reason reason : 8; /* for last_words, and of who is dismissed */
    bool ended : 1;               /* the client sends no more */
    bool last_words : 1;          /* close when all is answered and written */
    bool recalled : 1;            /* is to be shown its input at the end of the turn */
    bool resumes : 1;             /* is to be fed, or read on, at the end of the turn */
    bool throttled : 1;           /* set by the flow: session_drained is wanted */
    bool winds_down : 1;          /* close when the client has asked nothing more */
    bool reads_to_need : 1;       /* what it lacks is one long thing: it may end the request */
    bool reads_much : 1;          /* the last read brought a long piece */
    bool begun : 1;               /* the flow knows it */
    bool stays : 1;               /* kept by the flow: idle_timeout does not apply (subscribers) */
    bool logged_in : 1;           /* kept by the flow; false: handshake_timeout applies */
    bool surplus : 1;             /* there is no room for it: to be told so */
};

/* Takes an accepted descriptor. */
void session_open(struct worker *w, int fd, const struct listener_peer *peer,
                  const struct session_limits *limits, struct tls_context *tls);
/* Closes now; what is unwritten is lost. */
void session_close(struct session *s, enum close_reason reason);
/* Reads no more, and closes when the flow has answered everything and all is written. */
void session_finish(struct session *s, enum close_reason reason);
/* Goes on until its client has nothing under way, then closes: what was sent is still answered. */
void session_wind_down(struct session *s, enum close_reason reason);
/* Ends it now; its flow may say so. */
void session_send_off(struct session *s, enum close_reason reason);
void session_pause(struct session *s);
/* At the end of the turn the kept input is shown again; reading goes on. */
void session_resume(struct session *s);
/* To be called when something was put into s->out. */
static inline void session_wants_flush(struct session *s)
{
    if (!list_is_linked(&s->due))
        list_append(&s->worker->due_sessions, &s->due);
}
/* The same of one that was not paused: its flow wanted to wait, and need not any more.  It is shown
 * what is kept, were it nothing. */
void session_recall(struct session *s);
/* It is to be, be it that it was resumed. */
bool session_is_recalled(const struct session *s);
/* Goes on with TLS, for a client that asked for it: to be called from session_input, when the
 * client sent nothing behind that and `answer` is the last it shall get in clear.  session_begin is
 * not called again. */
void session_secure(struct session *s, struct slice answer, struct tls_context *tls);
/* The same for a client that began with TLS at once: `bytes` are what it said, all of it. */
void session_secure_from(struct session *s, struct slice bytes, struct tls_context *tls);
/* Writes at once if nothing waits before it, and keeps the rest: for long replies, which need not
 * be copied then. */
void session_write_through(struct session *s, struct slice bytes);

/* The same with bytes that lie in a pipe, which is empty then. */
void session_pass(struct session *s, struct conn_pipe *pipe, size_t len);

/* The flow counts here what is under way. */
static inline void session_request_begins(struct session *s)
{
    struct worker *w = s->worker;
    bool first = s->open_requests++ == 0;

    w->active_sessions += first;
    w->asked_now += first;
    w->requests_now++;
    w->crowd_now += s->crowd_mark != w->crowd_mark && s->limits->flow->gains_by_crowds;
    s->crowd_mark = w->crowd_mark;
}
static inline void session_request_ends(struct session *s)
{
    struct worker *w = s->worker;
    bool last = --s->open_requests == 0;

    w->active_sessions -= last;
    w->answered_now += last;
}

/* Is it answered in part only, and that part so short that it is better written with the rest? */
static inline bool session_may_wait(const struct session *s)
{
    return s->open_requests > 0 && s->state == SESSION_READING &&
           s->out.len < SESSION_WAITS_BYTES && !s->resumes && !s->recalled &&
           s->limits->flow->gains_by_crowds;
}

/* Has it something to be shown that it may see now?  One that waits sees nothing until it is
 * resumed, were it recalled. */
static inline bool session_wants_feed(const struct session *s)
{
    return s->state != SESSION_CLOSING &&
           (s->resumes || (s->recalled && s->state == SESSION_READING));
}

/* For the worker: the beginning of a turn, its end, and the clock. */
void session_read(struct session *s);
/* Can it be read from by others than itself?  Then what came of it is told, whatever became of the
 * session meanwhile. */
bool session_reads_pieces(const struct session *s);
void session_was_read(struct session *s, enum err err, struct slice bytes);
void session_flush(struct session *s);
/* Can what it is owed be written by others than itself?  In three steps then: the write, which
 * took so much, and when all such are told of theirs, what follows from it.  `all`: so much as was
 * offered. */
static inline bool session_offers(const struct session *s)
{
    return s->out.len > 0 && s->conn.tls == NULL && s->state != SESSION_CLOSING;
}
void session_took(struct session *s, size_t put);
void session_flushed(struct session *s, enum err err, bool all);
void session_feed(struct session *s);
void session_free(struct session *s);
void session_forget_buffers(struct session *s);
void session_tick(struct session *s);
/* "127.0.0.1:50412", or "unix". */
void session_address(const struct session *s, char *text, size_t size);
/* The same of our own side of the connection. */
void session_local_address(const struct session *s, char *text, size_t size);
