/* A connection to an endpoint.
 *
 *     DOWN --upstream_start()--> CONNECTING --> LOGGING_IN --upstream_become_ready()--> READY
 *      ^                              |              |                                    |
 *      +------------- upstream_fail(), the peer, a deadline ------------------------------+
 *      +--upstream_retire(): freed at the end of the turn
 *
 * What is put while it is not READY waits in `queue` and follows the login.  `put_bytes` and
 * `written_bytes` count the traffic's bytes for ever (the login's are not counted), so the flow
 * knows of each request whether any byte of it was sent. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"
#include "proxy/base/chain.h"
#include "proxy/base/list.h"
#include "proxy/core/flow.h"
#include "proxy/core/worker.h"
#include "proxy/io/conn.h"

enum upstream_state {
    UPSTREAM_DOWN,
    UPSTREAM_CONNECTING,
    UPSTREAM_LOGGING_IN,
    UPSTREAM_READY,
    UPSTREAM_RETIRED,
};

struct upstream {
    struct list link;  /* on worker->upstreams until it is freed, so that a walk survives it */
    struct list flush; /* on worker->dialed_upstreams, to_flush_upstreams, or dead_upstreams */
    struct worker *worker;
    const struct flow *flow;
    const struct endpoint_settings *endpoint; /* of `assembly` */
    struct assembly *assembly;                /* counted reference */
    struct conn conn;
    struct buf in;
    struct chain out, queue;
    uint64_t put_bytes, written_bytes;
    uint64_t deadline_us; /* of connect and login */
    uint64_t ticket;      /* at the resolver; 0: none */
    struct resolve_list addresses;
    uint32_t address_next;     /* to be tried */
    uint64_t next_deadline_us; /* when it is, if the one before it is silent */
    struct tls_resume resume;
    /* Kept by the flow: long bodies may go to this session without being looked at; borrowed.  And
     * so much of one is still to come. */
    struct session *pass_to;
    uint64_t pass_left;
    enum upstream_state state;
    enum err start_error; /* the connect failed already; the next tick tells */
    int connect_errno;    /* why */
    bool kept_alive;      /* the system asks a silent server whether it is there */
    bool paused;          /* it is not read from, see upstream_pause() */
    bool blocked;         /* the socket took less than was there */
    bool reads_much;      /* the last read brought a long piece */
    bool reads_on;        /* there is more to read than the socket tells */
    bool gathers;         /* the socket tells only when much has come */
    bool spares;        /* kept by the flow: no more than pass_to has room for is passed at once */
    uint8_t looks;      /* of the worker's clock since it last did */
    uint64_t streamed;  /* bytes that came in large pieces since something was put */
    struct list gather; /* on worker->gatherers */
};

/* `size` bytes, zero behind the core's part; DOWN. */
struct upstream *upstream_new(struct worker *w, size_t size, const struct flow *flow,
                              struct assembly *assembly, const struct endpoint_settings *endpoint);
/* The same endpoint in another snapshot. */
void upstream_adopt(struct upstream *u, struct assembly *assembly,
                    const struct endpoint_settings *endpoint);
/* Begins to connect; failures come by upstream_lost, never from within this call. */
void upstream_start(struct upstream *u);
/* Goes on with TLS, which the server agreed to; to be called from upstream_input, when it sent
 * nothing behind that.  upstream_connected is called again. */
void upstream_secure(struct upstream *u);
/* The login is over: the queue goes out. */
void upstream_become_ready(struct upstream *u);
/* Login's bytes, past the queue. */
void upstream_say(struct upstream *u, struct slice bytes);
/* Traffic. */
void upstream_put(struct upstream *u, struct slice bytes);
void upstream_take(struct upstream *u, struct buf *bytes); /* as chain_take */
/* Traffic of one that is READY: written at once if nothing waits before it, and the rest kept, so
 * that long bodies need not be copied. */
void upstream_write_through(struct upstream *u, struct slice bytes);
/* The same with bytes that lie in the worker's pipe, which is empty then: only if
 * upstream_may_pass() from where they came.  What a connection that broke does not take is kept,
 * too: the read side will tell. */
void upstream_pass(struct upstream *u, size_t len);
bool upstream_may_pass(struct upstream *u, const struct conn *from);
/* Gives the connection up; upstream_lost is called.  What is queued and unsent stays queued: the
 * flow drops it (upstream_drop) or lets the next connection carry it. */
void upstream_fail(struct upstream *u, enum err err, const char *why);
/* Forgets the oldest `len` queued bytes of traffic. */
void upstream_drop(struct upstream *u, uint64_t len);
void upstream_retire(struct upstream *u);
/* Reads no more, or again: for one whose only session is slower than the server. */
void upstream_pause(struct upstream *u, bool pause);

/* From one worker to another: is READY, and nothing is under way or kept.  Between the two calls
 * it is nobody's, and only its flow's letter knows it. */
bool upstream_may_emigrate(const struct upstream *u);
void upstream_emigrate(struct upstream *u);
void upstream_immigrate(struct upstream *u, struct worker *w);

/* For the worker. */
/* At the end of the turn in which it began to connect: on this machine it is connected by now, and
 * what it says first needs no turn of its own. */
void upstream_dialed(struct upstream *u);
/* As session_read() and what follows it. */
void upstream_read(struct upstream *u);
bool upstream_reads_pieces(const struct upstream *u);
void upstream_was_read(struct upstream *u, enum err err, struct slice bytes);
void upstream_flush(struct upstream *u);
/* As session_offers() and what follows it. */
bool upstream_offers(const struct upstream *u);
/* Is what it is to write so little that it is better written with more?  See spacing.h. */
bool upstream_may_wait(const struct upstream *u);
void upstream_took(struct upstream *u, size_t put);
void upstream_flushed(struct upstream *u, enum err err, bool all);
void upstream_free(struct upstream *u);
void upstream_tick(struct upstream *u, uint64_t now_us);
/* Now and then. */
void upstream_keep_alive(struct upstream *u);
/* By the clock of those that gather: what came is taken, if it was too little to be told of. */
void upstream_gather(struct upstream *u);
