/* See upstream.h. */
#include "proxy/core/upstream.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/session.h"

enum {
    UPSTREAM_IOVECS = 256,
    UPSTREAM_PASS_BYTES = 32 * 1024,  /* a body of which so much is to come goes by unseen */
    UPSTREAM_WAITS_BYTES = 64 * 1024, /* less of it may wait for more */
    UPSTREAM_LEAST_BYTES = 16 * 1024, /* that are passed, whatever room there is; may be kept */
    UPSTREAM_DOUBT_BYTES = 32 * 1024, /* at most, where there may be less room than is told */
    UPSTREAM_HEAD_BYTES = 16 * 1024,  /* what is read at once where bodies go by */
    UPSTREAM_SPARE_BYTES = 64 * 1024, /* where what is read may have to be kept */
    UPSTREAM_COPY_BYTES = 128 * 1024, /* a kept beginning up to this moves back into the scratch */
    UPSTREAM_PIECE_BYTES = 4 * 1024,  /* a stream comes in such at least; it is one */
    UPSTREAM_STREAM_BYTES = 512 * 1024, /* when so much has come, */
    UPSTREAM_GATHER_BYTES = 64 * 1024,  /* and then so much is read at once */
    UPSTREAM_LOOKS = 4,                 /* of the clock, until it is none any more */
};

static void try_next_address(struct upstream *u);

struct upstream *upstream_new(struct worker *w, size_t size, const struct flow *flow,
                              struct assembly *assembly, const struct endpoint_settings *endpoint)
{
    struct upstream *u = mem_new(size);

    u->worker = w;
    u->flow = flow;
    u->assembly = assembly_ref(assembly);
    u->endpoint = endpoint;
    u->conn.fd = -1;
    list_init(&u->flush);
    list_init(&u->gather);
    list_append(&w->upstreams, &u->link);
    return u;
}

void upstream_adopt(struct upstream *u, struct assembly *assembly,
                    const struct endpoint_settings *endpoint)
{
    assembly_unref(&u->assembly);
    u->assembly = assembly_ref(assembly);
    u->endpoint = endpoint;
}

static void count_put(struct upstream *u, size_t len)
{
    u->put_bytes += len;
    u->worker->unsent_bytes += len;
}

static void count_written(struct upstream *u, size_t len)
{
    u->written_bytes += len;
    u->worker->unsent_bytes -= len;
}

/* ---- streams ---- */

/* A server sends a long answer in pieces (PostgreSQL: 8 KB), and to be woken by each costs more
 * than to carry it.  So the socket of one that streams tells only when many have come.  What is too
 * little for that, the clock takes soon; if it has to several times in a row, the stream is over,
 * or slow. */
static void gather_begin(struct upstream *u)
{
    u->gathers = true;
    list_append(&u->worker->gatherers, &u->gather);
    worker_look_at_gatherers(u->worker);
    conn_read_from(&u->conn, UPSTREAM_GATHER_BYTES);
}

static void gather_end(struct upstream *u)
{
    if (!u->gathers)
        return;
    u->gathers = false;
    u->streamed = 0;
    list_remove(&u->gather);
    conn_read_from(&u->conn, 1);
}

static void note_piece(struct upstream *u, size_t len)
{
    u->looks = 0;
    if (len < UPSTREAM_PIECE_BYTES)
        gather_end(u);
    u->streamed = len < UPSTREAM_PIECE_BYTES ? 0 : u->streamed + len;
    if (u->streamed >= UPSTREAM_STREAM_BYTES && !u->gathers && u->conn.tls == NULL)
        gather_begin(u);
}

/* ---- ending ---- */

static void disconnect(struct upstream *u)
{
    struct worker *w = u->worker;

    conn_close(&u->conn);
    list_remove(&u->flush);
    list_remove(&u->gather);
    u->gathers = false;
    if (u->ticket != 0)
        resolve_cancel(w->desk, u->ticket);
    u->ticket = 0;
    worker_release(w, u->in.cap);
    buf_fini(&u->in);
    if (u->state == UPSTREAM_READY) /* unsent traffic waits for the next connection */
        u->queue = u->out;
    else
        chain_clear(&u->out, &w->chunks);
    u->out = (struct chain){ 0 };
    u->blocked = u->paused = u->reads_on = u->kept_alive = false;
    u->pass_left = 0;
}

void upstream_fail(struct upstream *u, enum err err, const char *why)
{
    char kept[256]; /* `why` may lie in what ends here */

    if (u->state == UPSTREAM_DOWN || u->state == UPSTREAM_RETIRED)
        return;
    snprintf(kept, sizeof(kept), "%s", why);
    if (err == ERR_TIMEOUT)
        conn_reset_at_close(&u->conn); /* its clients were told: what it has not begun is void */
    disconnect(u);
    u->state = UPSTREAM_DOWN;
    u->flow->upstream_lost(u, err, kept);
}

void upstream_retire(struct upstream *u)
{
    if (u->state == UPSTREAM_RETIRED)
        return;
    disconnect(u);
    u->state = UPSTREAM_RETIRED;
    list_append(&u->worker->dead_upstreams, &u->flush);
}

void upstream_free(struct upstream *u)
{
    u->worker->unsent_bytes -= u->put_bytes - u->written_bytes;
    chain_clear(&u->queue, &u->worker->chunks);
    tls_resume_fini(&u->resume);
    assembly_unref(&u->assembly);
    list_remove(&u->link);
    free(u);
}

void upstream_drop(struct upstream *u, uint64_t len)
{
    chain_skip(&u->queue, &u->worker->chunks, len);
    count_written(u, len);
}

/* ---- connecting ---- */

static void connected(struct upstream *u)
{
    u->state = UPSTREAM_LOGGING_IN;
    conn_watch(&u->conn, true, false);
    u->flow->upstream_connected(u);
}

static void handshake(struct upstream *u)
{
    enum err err = conn_handshake(&u->conn);

    if (err == ERR_NONE)
        connected(u);
    else if (err != ERR_AGAIN)
        upstream_fail(u, ERR_TLS, tls_reason(u->conn.tls));
}

static void connect_done(struct upstream *u, int error)
{
    if (error != 0) {
        conn_close(&u->conn);
        u->connect_errno = error;
        try_next_address(u);
        return;
    }
    if (u->flow->tls_inside || u->assembly->endpoint_tls[u->endpoint->number] == NULL)
        connected(u);
    else
        upstream_secure(u);
}

void upstream_dialed(struct upstream *u)
{
    if (conn_is_connected(&u->conn))
        connect_done(u, 0);
    else
        conn_watch(&u->conn, false, true);
}

/* One that soon ends again is spared the calls. */
void upstream_keep_alive(struct upstream *u)
{
    if (u->kept_alive || u->state != UPSTREAM_READY || !u->endpoint->pool->tcp_keepalive)
        return;
    u->kept_alive = true;
    conn_keep_alive(&u->conn, false);
}

void upstream_secure(struct upstream *u)
{
    struct tls_context *tls = u->assembly->endpoint_tls[u->endpoint->number];
    const char *name = u->endpoint->tls.server_name;

    u->state = UPSTREAM_CONNECTING;
    conn_secure(&u->conn,
                tls_stream_new(tls, u->conn.fd, name != NULL ? name : u->endpoint->address.host,
                               &u->resume));
    handshake(u);
}

/* Shows the flow what is there and keeps what it leaves. */
static void show(struct upstream *u, const uint8_t *at, size_t len)
{
    struct worker *w = u->worker;
    enum upstream_state state = u->state;
    size_t used = u->flow->upstream_input(u, slice_of(at, len));

    if (u->state < state || u->state == UPSTREAM_RETIRED || used == len)
        return;
    buf_put(&u->in, at + used, len - used);
    worker_hold(w, u->in.cap);
}

/* Can long bodies go by?  Then little is read, so that more of them does. */
static bool passes(const struct upstream *u)
{
    return u->pass_to != NULL && u->pass_to->state != SESSION_CLOSING &&
           conn_pipe_joins(&u->worker->pipe, &u->conn, &u->pass_to->conn);
}

/* Is it worth it now, and nothing in the way? */
static bool may_pass(const struct upstream *u)
{
    return u->pass_left >= UPSTREAM_PASS_BYTES && u->in.len == 0 && passes(u) &&
           u->pass_to->out.len == 0;
}

static enum err pass(struct upstream *u)
{
    enum { ROOM_PART = 8 }; /* small pieces take several times their length of a socket's room */
    struct worker *w = u->worker;
    struct session *s = u->pass_to;
    uint64_t most = s->limits->max_bytes / 4; /* it may have to be kept */
    size_t taken = 0;

    if (u->spares) {
        size_t room = conn_room(&s->conn) / ROOM_PART;

        if (room > UPSTREAM_DOUBT_BYTES && worker_doubts_room(w))
            room = UPSTREAM_DOUBT_BYTES;
        most = room > UPSTREAM_LEAST_BYTES ? room : UPSTREAM_LEAST_BYTES;
    }
    most = most < u->pass_left ? most : u->pass_left;
    TRY(conn_pipe_take(&w->pipe, &u->conn, most, &taken));
    u->pass_left -= taken;
    u->flow->upstream_passed(u, taken);
    session_pass(s, &w->pipe, taken);
    if (u->spares && s->out.len > 0 && taken > UPSTREAM_LEAST_BYTES)
        worker_doubt_room(w);
    if (u->flow->upstream_passed_on != NULL)
        u->flow->upstream_passed_on(u, taken);
    return taken >= UPSTREAM_LEAST_BYTES ? ERR_NONE : ERR_AGAIN;
}

static enum err read_once(struct upstream *u)
{
    struct worker *w = u->worker;
    size_t kept = u->in.len, room, got = 0;
    uint8_t *at = w->scratch;
    enum err err;

    if (may_pass(u))
        return pass(u);
    if (kept > UPSTREAM_COPY_BYTES)
        return ERR_PROTOCOL; /* no flow leaves so much: a line without end */
    if (kept > 0)
        memcpy(at, u->in.at, kept);
    room = passes(u)   ? UPSTREAM_HEAD_BYTES
           : u->spares ? UPSTREAM_SPARE_BYTES
                       : WORKER_SCRATCH_BYTES - kept;
    err = conn_read(&u->conn, at + kept, room, &got);
    if (err != ERR_NONE)
        return err;
    worker_release(w, u->in.cap);
    buf_fini(&u->in);
    note_piece(u, got);
    u->reads_much = got >= TURN_PIECE_BYTES;
    show(u, at, kept + got);
    return got == room ? ERR_NONE : ERR_AGAIN;
}

static bool is_connected(const struct upstream *u)
{
    return u->state == UPSTREAM_LOGGING_IN || u->state == UPSTREAM_READY;
}

static bool is_readable(const struct upstream *u)
{
    return is_connected(u) && !u->paused;
}

static bool may_go_on(const struct upstream *u, enum err err)
{
    return err == ERR_NONE || (err == ERR_AGAIN && conn_has_pending(&u->conn));
}

/* Of bytes that TLS has taken from the socket already the loop would not tell. */
static void read_on(struct upstream *u)
{
    if (u->paused || !conn_has_pending(&u->conn))
        return;
    u->reads_on = true;
    if (!list_is_linked(&u->flush))
        list_append(&u->worker->to_flush_upstreams, &u->flush);
}

/* What the last read of a turn leaves. */
static void after_read(struct upstream *u, enum err err)
{
    if (is_connected(u) && (err == ERR_NONE || err == ERR_AGAIN))
        read_on(u);
    if (!is_connected(u) || err == ERR_NONE || err == ERR_AGAIN)
        return;
    if (err == ERR_PROTOCOL)
        upstream_fail(u, err, "the server sends what is not of the protocol");
    else if (err == ERR_TLS) /* of TLS 1.3, a server refuses our certificate after the handshake */
        upstream_fail(u, u->state == UPSTREAM_LOGGING_IN ? ERR_TLS : ERR_CLOSED,
                      tls_reason(u->conn.tls));
    else
        upstream_fail(u, ERR_CLOSED,
                      err == ERR_SYSTEM ? "the connection was reset by the server"
                                        : "the server closed the connection");
}

static void read_input(struct upstream *u)
{
    enum { READS_PER_TURN = 4, RECORDS_PER_TURN = 64 }; /* of TLS, which gives one at a time */
    int most = u->conn.tls == NULL ? READS_PER_TURN : RECORDS_PER_TURN;
    enum err err = ERR_NONE;

    for (int i = 0; i < most && is_readable(u) && may_go_on(u, err); i++)
        err = read_once(u);
    after_read(u, err);
}

void upstream_read(struct upstream *u)
{
    if (is_readable(u))
        read_input(u);
}

bool upstream_reads_pieces(const struct upstream *u)
{
    return is_readable(u) && u->conn.tls == NULL && !u->reads_much && !u->gathers &&
           u->in.len == 0 && !passes(u);
}

/* One that was paused meanwhile is shown this, too: nothing else would be the cause of it. */
void upstream_was_read(struct upstream *u, enum err err, struct slice bytes)
{
    if (!is_connected(u))
        return;
    if (err == ERR_NONE) {
        note_piece(u, bytes.len);
        u->reads_much = bytes.len == TURN_PIECE_BYTES;
        show(u, bytes.at, bytes.len);
        err = ERR_AGAIN;
    }
    if (u->reads_much && is_readable(u))
        read_input(u);
    else
        after_read(u, err);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct upstream *u = LIST_ITEM(c, struct upstream, conn);

    (void)fd;
    if (u->state == UPSTREAM_CONNECTING) {
        if (c->handshaking)
            handshake(u);
        else
            connect_done(u, conn_connect_result(&u->conn));
        return;
    }
    if (what & EV_WRITE)
        upstream_flush(u);
    if ((what & EV_READ) && is_readable(u) && !turn_input_has_upstream(u->worker, u))
        read_input(u);
}

void upstream_gather(struct upstream *u)
{
    uint8_t looks = u->looks++;

    if (looks == UPSTREAM_LOOKS) {
        gather_end(u);
    } else if (looks > 0 && is_readable(u)) {
        read_input(u);
        u->looks = looks + 1;
    }
}

bool upstream_may_emigrate(const struct upstream *u)
{
    return u->state == UPSTREAM_READY && u->in.len == 0 && u->out.len == 0 && u->queue.len == 0 &&
           !u->paused && !u->reads_on && !conn_has_pending(&u->conn);
}

void upstream_emigrate(struct upstream *u)
{
    gather_end(u);
    conn_watch(&u->conn, false, false);
    list_remove(&u->link);
    list_remove(&u->flush);
    u->worker = NULL;
}

void upstream_immigrate(struct upstream *u, struct worker *w)
{
    u->worker = w;
    list_append(&w->upstreams, &u->link);
    conn_move(&u->conn, w->base);
    conn_watch(&u->conn, true, false);
}

void upstream_pause(struct upstream *u, bool pause)
{
    if (u->paused == pause || !is_connected(u))
        return;
    u->paused = pause;
    conn_watch(&u->conn, !pause, u->blocked);
    if (!pause && conn_has_pending(&u->conn))
        event_active(&u->conn.event, EV_READ, 0); /* decrypted already: the socket won't tell */
}

static void try_address(struct upstream *u, const struct sockaddr *address, socklen_t len)
{
    enum err err = conn_connect(&u->conn, u->worker->base, address, len, on_ready);

    if (err == ERR_NONE) {
        list_append(&u->worker->dialed_upstreams, &u->flush);
        return;
    }
    u->connect_errno = errno;
    try_next_address(u);
}

/* A failure must not reach the flow while it is still calling upstream_start(): the clock brings
 * it. */
static void fail_soon(struct upstream *u, enum err err)
{
    u->start_error = err;
    u->deadline_us = 0;
    worker_hurry_tick(u->worker);
}

static void try_next_address(struct upstream *u)
{
    list_remove(&u->flush);
    if (u->endpoint->address.path != NULL || u->address_next >= u->addresses.count) {
        if (u->endpoint->address.host != NULL)
            resolve_refresh(u->worker->desk, u->endpoint->address.host);
        fail_soon(u, ERR_CONNECT);
        return;
    }
    /* Each gets its share of what is left: a silent one must not hide the next. */
    uint64_t now_us = worker_now_us(u->worker);
    uint64_t left_us = u->deadline_us > now_us ? u->deadline_us - now_us : 0;
    const struct resolve_address *a;

    u->next_deadline_us = now_us + left_us / (u->addresses.count - u->address_next);
    worker_tick_by(u->worker, u->next_deadline_us);
    a = &u->addresses.item[u->address_next++];
    try_address(u, &a->at.any, a->len);
}

static void on_resolved(void *arg, uint64_t ticket, enum err err, const struct resolve_list *list,
                        const char *why)
{
    struct upstream *u = arg;

    (void)ticket;
    u->ticket = 0;
    if (err != ERR_NONE) {
        upstream_fail(u, ERR_RESOLVE, why);
        return;
    }
    u->addresses = *list;
    try_next_address(u);
}

static void connect_unix(struct upstream *u)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", u->endpoint->address.path);
    try_address(u, (const struct sockaddr *)&address, sizeof(address));
}

void upstream_start(struct upstream *u)
{
    struct worker *w = u->worker;
    enum err err;

    if (u->state != UPSTREAM_DOWN)
        return;
    u->state = UPSTREAM_CONNECTING;
    u->deadline_us = worker_now_us(w) + u->endpoint->pool->connect_timeout_ms * 1000;
    u->address_next = 0;
    u->start_error = ERR_NONE;
    u->connect_errno = 0;
    worker_tick_by(w, u->deadline_us);
    if (u->endpoint->address.path != NULL) {
        connect_unix(u);
        return;
    }
    err = resolve_ask(w->desk, u->endpoint->address.host, u->endpoint->address.port, &u->addresses,
                      on_resolved, u, &u->ticket);
    if (err == ERR_NONE)
        try_next_address(u);
    else if (err != ERR_AGAIN)
        fail_soon(u, err);
}

void upstream_become_ready(struct upstream *u)
{
    u->state = UPSTREAM_READY;
    u->deadline_us = 0;
    if (u->out.len == 0) {
        u->out = u->queue;
        u->queue = (struct chain){ 0 };
    }
    if (u->out.len > 0 && !list_is_linked(&u->flush))
        list_append(&u->worker->to_flush_upstreams, &u->flush);
}

static bool has_another_address(const struct upstream *u)
{
    return u->state == UPSTREAM_CONNECTING && u->conn.fd >= 0 && !u->conn.handshaking &&
           u->endpoint->address.path == NULL && u->address_next < u->addresses.count;
}

void upstream_tick(struct upstream *u, uint64_t now_us)
{
    if (u->state != UPSTREAM_CONNECTING && u->state != UPSTREAM_LOGGING_IN)
        return;
    if (u->start_error != ERR_NONE) {
        upstream_fail(u, u->start_error,
                      u->connect_errno != 0 ? strerrordesc_np(u->connect_errno)
                                            : err_text(u->start_error));
    } else if (now_us >= u->deadline_us) {
        upstream_fail(u, ERR_TIMEOUT,
                      u->state == UPSTREAM_CONNECTING ? "connect_timeout passed while connecting"
                                                      : "connect_timeout passed while logging in");
    } else if (has_another_address(u) && now_us >= u->next_deadline_us) {
        conn_close(&u->conn);
        u->connect_errno = ETIMEDOUT;
        try_next_address(u);
    } else {
        worker_tick_by(u->worker, has_another_address(u) ? u->next_deadline_us : u->deadline_us);
    }
}

/* ---- output ---- */

static void wants_flush(struct upstream *u)
{
    u->streamed = 0;
    gather_end(u); /* the answer may be short */
    if (!u->blocked && !list_is_linked(&u->flush))
        list_append(&u->worker->to_flush_upstreams, &u->flush);
}

void upstream_say(struct upstream *u, struct slice bytes)
{
    chain_slice(&u->out, &u->worker->chunks, bytes);
    wants_flush(u);
}

void upstream_put(struct upstream *u, struct slice bytes)
{
    count_put(u, bytes.len);
    if (u->state != UPSTREAM_READY) {
        chain_slice(&u->queue, &u->worker->chunks, bytes);
        return;
    }
    chain_slice(&u->out, &u->worker->chunks, bytes);
    wants_flush(u);
}

void upstream_take(struct upstream *u, struct buf *bytes)
{
    count_put(u, bytes->len);
    if (u->state != UPSTREAM_READY) {
        chain_take(&u->queue, &u->worker->chunks, bytes);
        return;
    }
    chain_take(&u->out, &u->worker->chunks, bytes);
    wants_flush(u);
}

void upstream_write_through(struct upstream *u, struct slice bytes)
{
    size_t put = 0;

    assert(u->state == UPSTREAM_READY);
    count_put(u, bytes.len);
    if (u->out.len == 0) {
        struct iovec place = { (void *)bytes.at, bytes.len };

        if (conn_write(&u->conn, &place, 1, &put) == ERR_NONE)
            count_written(u, put);
    }
    if (put == bytes.len)
        return;
    chain_put(&u->out, &u->worker->chunks, bytes.at + put, bytes.len - put);
    wants_flush(u);
}

bool upstream_may_pass(struct upstream *u, const struct conn *from)
{
    if (u->state != UPSTREAM_READY || !conn_pipe_joins(&u->worker->pipe, from, &u->conn))
        return false;
    if (u->out.len > 0 && !u->blocked)
        upstream_flush(u);
    return u->state == UPSTREAM_READY && u->out.len == 0;
}

void upstream_pass(struct upstream *u, size_t len)
{
    struct worker *w = u->worker;
    enum err err = ERR_NONE;

    count_put(u, len);
    while (len > 0 && err == ERR_NONE && u->out.len == 0 && u->state == UPSTREAM_READY) {
        size_t put = 0;

        err = conn_pipe_put(&w->pipe, &u->conn, len, &put);
        count_written(u, put);
        len -= put;
    }
    while (len > 0) {
        size_t here = len < WORKER_SCRATCH_BYTES ? len : WORKER_SCRATCH_BYTES;

        conn_pipe_read(&w->pipe, w->scratch, here);
        if (u->state == UPSTREAM_READY)
            chain_put(&u->out, &w->chunks, w->scratch, here);
        len -= here;
    }
    if (u->out.len > 0)
        wants_flush(u);
}

/* The read side will tell why, and what came before the end still counts.  While that is paused the
 * loop must not be woken by a socket that is always ready. */
static void write_failed(struct upstream *u)
{
    u->blocked = false;
    conn_watch(&u->conn, !u->paused, false);
}

/* What a write left. */
static void after_write(struct upstream *u)
{
    u->blocked = u->out.len > 0;
    if (u->blocked != u->conn.watching_write)
        conn_watch(&u->conn, !u->paused, u->blocked);
}

bool upstream_offers(const struct upstream *u)
{
    return u->out.len > 0 && u->conn.tls == NULL && is_connected(u) && !u->blocked && !u->reads_on;
}

bool upstream_may_wait(const struct upstream *u)
{
    return u->flow->gains_by_crowds && u->out.len < UPSTREAM_WAITS_BYTES && !u->reads_on;
}

void upstream_took(struct upstream *u, size_t put)
{
    chain_skip(&u->out, &u->worker->chunks, put);
    if (u->state == UPSTREAM_READY)
        count_written(u, put);
}

void upstream_flush(struct upstream *u)
{
    struct iovec places[UPSTREAM_IOVECS];
    bool was_blocked = u->blocked;
    uint64_t before = u->written_bytes;
    size_t put = 0, all = 0;

    if (u->reads_on) {
        u->reads_on = false;
        if (is_readable(u))
            read_input(u);
        if (!is_connected(u))
            return;
    }
    while (u->out.len > 0 && put == all) {
        int n = chain_peek(&u->out, places, UPSTREAM_IOVECS);
        enum err err;

        all = conn_places_bytes(places, n);
        put = 0;
        err = conn_write(&u->conn, places, n, &put);
        if (err != ERR_NONE && err != ERR_AGAIN) {
            write_failed(u);
            return;
        }
        upstream_took(u, put);
    }
    after_write(u);
    if (was_blocked && u->flow->upstream_drained != NULL)
        u->flow->upstream_drained(u, before);
}

void upstream_flushed(struct upstream *u, enum err err, bool all)
{
    if (!is_connected(u))
        return;
    if (err != ERR_NONE && err != ERR_AGAIN)
        write_failed(u);
    else if (all)
        upstream_flush(u);
    else
        after_write(u);
}
