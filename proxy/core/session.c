/* See session.h. */
#include "proxy/core/session.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/stats.h"
#include "proxy/core/upstream.h"

enum {
    SESSION_IOVECS = 64,
    SESSION_READ_BYTES = 64 * 1024,   /* what one read of a session may bring */
    SESSION_COPY_BYTES = 4 * 1024,    /* a kept beginning up to this moves back into the scratch */
    SESSION_RESUME_BYTES = 16 * 1024, /* less than this unread: a paused session goes on */
    SESSION_PASS_BYTES = 32 * 1024,   /* of which so much is to come goes by unseen */
    SURPLUS_MOST = 64,                /* that are told that there is no room, at a time */
};

static uint32_t seconds(struct worker *w)
{
    return (uint32_t)(worker_now_us(w) / 1000000);
}

struct session_limits session_limits_of(const struct pool_settings *pool, const struct flow *flow,
                                        struct slab *slab)
{
    return (struct session_limits){
        .flow = flow,
        .slab = slab,
        .idle_timeout_ms = pool->idle_timeout_ms,
        .unread_timeout_ms = pool->unread_timeout_ms,
        .handshake_timeout_ms = pool->handshake_timeout_ms,
        .max_sessions = pool->max_sessions,
        .sessions = &stats_row_of(pool->name, "", 0, STATS_NO_WORKER)->sessions,
        .max_bytes = pool->max_session_bytes,
        .tcp_keepalive = pool->tcp_keepalive,
    };
}

/* ---- the kept beginning of a request ---- */

static bool is_short(const struct session *s)
{
    return s->in.cap == WORKER_SHORT_BYTES;
}

/* Short ones lie in a slab: so what a burst of many sessions needed can be given back, whatever
 * else was allocated meanwhile. */
static void keep_input(struct session *s, const uint8_t *at, size_t len)
{
    struct worker *w = s->worker;

    assert(s->in.at == NULL);
    if (len <= WORKER_SHORT_BYTES)
        s->in = (struct buf){ .at = slab_new(&w->shorts), .cap = WORKER_SHORT_BYTES };
    else
        buf_reserve(&s->in, 2 * WORKER_SHORT_BYTES);
    buf_put(&s->in, at, len);
    worker_hold(w, s->in.cap);
}

static void forget_input(struct session *s)
{
    worker_release(s->worker, s->in.cap);
    if (is_short(s))
        slab_free(&s->worker->shorts, s->in.at);
    else
        buf_fini(&s->in);
    s->in = (struct buf){ 0 };
}

/* Into memory that can grow. */
static void lengthen_input(struct session *s)
{
    struct buf in = { 0 };

    buf_reserve(&in, 2 * WORKER_SHORT_BYTES);
    buf_slice(&in, buf_all(&s->in));
    forget_input(s);
    s->in = in;
    worker_hold(s->worker, in.cap);
}

/* A little that is left of much gets a place of its own size. */
static void shrink_input(struct session *s)
{
    struct buf in = s->in;

    if (in.len > SESSION_COPY_BYTES || in.cap <= SESSION_READ_BYTES)
        return;
    s->in = (struct buf){ 0 };
    keep_input(s, in.at, in.len);
    worker_release(s->worker, in.cap);
    buf_fini(&in);
}

/* ---- closing ---- */

void session_forget_buffers(struct session *s)
{
    forget_input(s);
    chain_clear(&s->out, &s->worker->chunks);
}

static bool admit(struct worker *w, const struct session_limits *limits)
{
    if (!worker_admit_session(w))
        return false;
    if (atomic_fetch_add(limits->sessions, 1) < limits->max_sessions || limits->max_sessions == 0)
        return true;
    atomic_fetch_sub(limits->sessions, 1);
    worker_dismiss_session(w);
    return false;
}

static void dismiss(struct worker *w, const struct session_limits *limits)
{
    worker_dismiss_session(w);
    atomic_fetch_sub(limits->sessions, 1);
}

static bool admit_surplus(struct worker *w, const struct session_limits *limits)
{
    if (!limits->flow->hears_surplus || w->surplus_count >= SURPLUS_MOST)
        return false;
    w->surplus_count++;
    return true;
}

void session_close(struct session *s, enum close_reason reason)
{
    struct worker *w = s->worker;

    if (s->state == SESSION_CLOSING)
        return;
    if (close_reason_is_error(reason)) {
        char address[64];

        session_address(s, address, sizeof(address));
        log_event(LOG_INFO, "session closed", log_text("reason", close_reason_text(reason)),
                  log_text("address", address), log_number("session", s->id));
    }
    s->state = SESSION_CLOSING;
    list_remove(&s->due);
    list_append(&w->dead_sessions, &s->due);
    w->active_sessions -= s->open_requests > 0;
    s->open_requests = 0;
    if (s->surplus)
        w->surplus_count--;
    else
        dismiss(w, s->limits);
    counter_sub(&w->shared.sessions_open, 1);
    counter_add(&w->shared.closed[reason], 1);
    if (s->begun)
        s->limits->flow->session_end(s);
    conn_close(&s->conn); /* last: until then the flow's other threads may ask who left */
}

void session_free(struct session *s)
{
    session_forget_buffers(s);
    list_remove(&s->link);
    slab_free(s->limits->slab, s);
}

/* Has a session that reads no more said all it owes? */
static bool is_done(const struct session *s)
{
    return (s->ended || s->last_words) && s->open_requests == 0 && s->out.len == 0 &&
           (!s->recalled || s->last_words);
}

/* Has a session that winds down nothing to say, and its client asked nothing more? */
static bool is_quiet(const struct session *s)
{
    return s->winds_down && s->open_requests == 0 && s->out.len == 0 && s->in.len == 0 &&
           !conn_has_input(&s->conn);
}

void session_send_off(struct session *s, enum close_reason reason)
{
    if (s->state == SESSION_CLOSING || s->last_words)
        return;
    s->reason = reason;
    if (s->begun && s->limits->flow->session_dismissed != NULL)
        s->limits->flow->session_dismissed(s);
    else
        session_close(s, reason);
}

static void close_if_done(struct session *s)
{
    if (s->state == SESSION_CLOSING)
        return;
    if (is_done(s))
        session_close(s, s->last_words ? s->reason : CLOSE_CLIENT_LEFT);
    else if (is_quiet(s))
        session_send_off(s, s->reason);
}

void session_wind_down(struct session *s, enum close_reason reason)
{
    if (s->state == SESSION_CLOSING || s->last_words || s->winds_down)
        return;
    if (!s->begun) {
        session_finish(s, reason);
        return;
    }
    s->winds_down = true;
    s->reason = reason;
    session_wants_flush(s); /* which closes it, if it is quiet */
}

void session_finish(struct session *s, enum close_reason reason)
{
    if (s->state == SESSION_CLOSING || s->last_words)
        return;
    s->last_words = true;
    s->reason = reason;
    conn_watch(&s->conn, false, s->conn.watching_write);
    session_wants_flush(s); /* which closes it, if nothing is owed */
}

/* ---- input ---- */

/* Shows the flow what is there and keeps what it leaves.  `kept`: the bytes are s->in's own. */
static void show(struct session *s, struct slice bytes, bool kept)
{
    size_t used;

    s->need = 0;
    used = s->limits->flow->session_input(s, bytes);
    if (s->state == SESSION_CLOSING)
        return;
    assert(used <= bytes.len);
    if (s->last_words)
        used = bytes.len; /* what follows the last words is not read */
    s->reads_to_need = s->need >= bytes.len - used + SESSION_READ_BYTES;
    if (!kept) {
        if (used < bytes.len)
            keep_input(s, bytes.at + used, bytes.len - used);
        return;
    }
    if (s->in.at == NULL) /* the flow took the memory over, with all that was in it */
        return;
    if (used == s->in.len) {
        forget_input(s);
    } else {
        buf_skip(&s->in, used);
        shrink_input(s);
    }
}

/* Reads behind what is kept, into its own memory: for long requests.  A long value is read to its
 * end and no further, for what is one request can be handed over without a copy; of many short
 * arguments each read brings as many as it can. */
static enum err read_behind(struct session *s, size_t *got)
{
    size_t most = s->in.len > SESSION_READ_BYTES ? s->in.len : SESSION_READ_BYTES;
    size_t wanted =
        s->reads_to_need && s->need > s->in.len ? s->need - s->in.len : SESSION_READ_BYTES;
    size_t had;
    uint8_t *at;
    enum err err;

    if (is_short(s))
        lengthen_input(s);
    if (wanted > most) /* memory grows with what came, not with what was announced */
        wanted = most;
    had = s->in.cap;
    at = buf_reserve(&s->in, wanted);
    worker_hold(s->worker, s->in.cap - had);
    err = conn_read(&s->conn, at, wanted, got);
    if (err == ERR_NONE)
        buf_grow(&s->in, *got);
    return err;
}

static bool may_pass(struct session *s, struct session_passage *passage)
{
    const struct flow *flow = s->limits->flow;

    return flow->session_passes != NULL && s->in.len == 0 && flow->session_passes(s, passage) &&
           passage->most >= SESSION_PASS_BYTES && upstream_may_pass(passage->to, &s->conn);
}

/* From socket to socket inside the kernel; what the flow wants to see is copied once, and not a
 * second time to be sent.  No more is taken than the server takes, for it would be kept; and of
 * what is seen one piece a turn: it is long and costs time, and a flow may gain if those of several
 * sessions come by turns. */
static enum err pass(struct session *s, const struct session_passage *passage)
{
    struct worker *w = s->worker;
    size_t room = conn_room(&passage->to->conn), taken = 0;
    size_t most = room > SESSION_PASS_BYTES && !worker_doubts_room(w) ? room : SESSION_PASS_BYTES;

    if (most > passage->most)
        most = passage->most;
    if (passage->view != NULL) {
        if (most > passage->view_bytes)
            most = passage->view_bytes;
        TRY(conn_peek(&s->conn, passage->view, most, &most));
    }
    TRY(conn_pipe_take(&w->pipe, &s->conn, most, &taken));
    if (passage->view != NULL)
        s->limits->flow->session_seen(s, slice_of(passage->view, taken));
    upstream_pass(passage->to, taken);
    if (passage->to->out.len > 0 && taken <= room)
        worker_doubt_room(w);
    s->limits->flow->session_passed(s, taken);
    return taken >= SESSION_PASS_BYTES && passage->view == NULL ? ERR_NONE : ERR_AGAIN;
}

/* ERR_NONE: as much was read as was asked for, so there may be more. */
static enum err read_once(struct session *s)
{
    struct worker *w = s->worker;
    struct session_passage passage;
    size_t got = 0, kept = s->in.len;

    if (may_pass(s, &passage))
        return pass(s, &passage);
    if (kept > SESSION_COPY_BYTES || s->need > SESSION_READ_BYTES) {
        TRY(read_behind(s, &got));
        if (s->in.len >= s->need)
            show(s, buf_all(&s->in), true);
        return s->in.at != NULL && s->in.len < s->need ? ERR_NONE : ERR_AGAIN;
    }
    if (kept > 0) {
        memcpy(w->scratch, s->in.at, kept);
        forget_input(s);
    }
    enum err err = conn_read(&s->conn, w->scratch + kept, SESSION_READ_BYTES, &got);

    if (err != ERR_NONE) {
        if (kept > 0)
            keep_input(s, w->scratch, kept);
        return err;
    }
    s->reads_much = got >= TURN_PIECE_BYTES;
    show(s, slice_of(w->scratch, kept + got), false);
    return got == SESSION_READ_BYTES ? ERR_NONE : ERR_AGAIN;
}

static void input_ended(struct session *s, enum err err)
{
    if (err != ERR_CLOSED) {
        session_close(s, err == ERR_TLS ? CLOSE_TLS_FAILED : CLOSE_CLIENT_RESET);
        return;
    }
    /* Half-closed: what was asked is still answered. */
    s->ended = true;
    conn_watch(&s->conn, false, s->conn.watching_write);
    if (s->open_requests > 0 && s->limits->flow->session_half_closed != NULL)
        s->limits->flow->session_half_closed(s);
    if (s->state != SESSION_CLOSING)
        close_if_done(s);
}

static bool may_go_on(const struct session *s, enum err err)
{
    return err == ERR_NONE || (err == ERR_AGAIN && conn_has_pending(&s->conn));
}

/* Of bytes that TLS has taken from the socket already the loop would not tell. */
static void read_on(struct session *s)
{
    if (!conn_has_pending(&s->conn))
        return;
    s->resumes = true;
    session_wants_flush(s);
}

/* What the last read of a turn leaves. */
static void after_read(struct session *s, enum err err)
{
    if (err != ERR_NONE && err != ERR_AGAIN)
        input_ended(s, err);
    else
        read_on(s);
    if (s->winds_down)
        session_wants_flush(s);
}

static void read_input(struct session *s)
{
    enum { READS_PER_TURN = 4 }; /* others have a turn too */
    enum err err = ERR_NONE;

    s->active_s = seconds(s->worker);
    for (int i = 0; i < READS_PER_TURN && may_go_on(s, err); i++) {
        err = read_once(s);
        if (s->state != SESSION_READING || s->last_words)
            return;
    }
    after_read(s, err);
}

void session_read(struct session *s)
{
    if (s->state == SESSION_READING)
        read_input(s);
}

bool session_reads_pieces(const struct session *s)
{
    return s->state == SESSION_READING && s->conn.tls == NULL && !s->last_words && !s->reads_much &&
           s->in.len == 0 && s->need <= TURN_PIECE_BYTES && s->limits->flow->session_passes == NULL;
}

/* It is shown, or kept for one that waits by now. */
static void take_piece(struct session *s, struct slice bytes)
{
    if (s->in.at == NULL && s->state == SESSION_READING) {
        show(s, bytes, false);
    } else if (s->in.at == NULL) {
        keep_input(s, bytes.at, bytes.len);
    } else {
        size_t had;

        if (is_short(s))
            lengthen_input(s);
        had = s->in.cap;
        buf_slice(&s->in, bytes);
        worker_hold(s->worker, s->in.cap - had);
        if (s->state == SESSION_READING)
            show(s, buf_all(&s->in), true);
    }
}

void session_was_read(struct session *s, enum err err, struct slice bytes)
{
    if (s->state == SESSION_CLOSING || s->last_words)
        return;
    s->active_s = seconds(s->worker);
    s->reads_much = bytes.len == TURN_PIECE_BYTES;
    if (err == ERR_NONE)
        take_piece(s, bytes);
    if (s->state == SESSION_CLOSING || s->last_words)
        return;
    if (s->state == SESSION_READING && s->reads_much)
        read_input(s);
    else if (s->state == SESSION_READING || (err != ERR_NONE && err != ERR_AGAIN))
        after_read(s, err == ERR_NONE ? ERR_AGAIN : err);
}

void session_pause(struct session *s)
{
    if (s->state != SESSION_READING)
        return;
    s->state = SESSION_WAITING;
    conn_watch(&s->conn, false, s->conn.watching_write);
}

void session_resume(struct session *s)
{
    if (s->state != SESSION_WAITING)
        return;
    s->resumes = true;
    session_wants_flush(s);
}

void session_recall(struct session *s)
{
    if (s->state == SESSION_CLOSING)
        return;
    s->recalled = true;
    session_wants_flush(s);
}

bool session_is_recalled(const struct session *s)
{
    return s->resumes || (s->recalled && s->state == SESSION_READING);
}

void session_feed(struct session *s)
{
    if (s->recalled && s->state == SESSION_READING) {
        s->recalled = false;
        show(s, buf_all(&s->in), s->in.at != NULL);
        if (s->ended && s->state == SESSION_READING)
            close_if_done(s);
    }
    if (!s->resumes)
        return;
    s->resumes = false;
    if (s->state == SESSION_READING && conn_has_pending(&s->conn))
        read_input(s);
    if (s->state != SESSION_WAITING)
        return;
    s->state = SESSION_READING;
    if (s->in.len > 0 || s->recalled) {
        s->recalled = false;
        show(s, buf_all(&s->in), s->in.at != NULL);
    }
    if (s->state == SESSION_READING && !s->ended && !s->last_words)
        conn_watch(&s->conn, true, s->conn.watching_write);
    if (s->state == SESSION_READING && !s->ended && !s->last_words)
        read_on(s);
    if (s->state == SESSION_READING && s->ended)
        close_if_done(s);
}

/* ---- output ---- */

/* What a write left. */
static void after_write(struct session *s)
{
    if (s->out.len > 0 && !s->conn.watching_write)
        s->active_s = seconds(s->worker); /* from now on it is waited for */
    if (s->out.len > 0 || s->conn.watching_write)
        conn_watch(&s->conn, s->conn.watching_read, s->out.len > 0);
    if (s->state == SESSION_WAITING && !s->limits->flow->resumes_itself &&
        s->out.len < SESSION_RESUME_BYTES)
        session_resume(s);
    if (s->throttled && s->out.len < SESSION_RESUME_BYTES)
        s->limits->flow->session_drained(s);
    close_if_done(s);
}

void session_took(struct session *s, size_t put)
{
    chain_skip(&s->out, &s->worker->chunks, put);
    if (put > 0)
        s->active_s = seconds(s->worker);
}

void session_flush(struct session *s)
{
    struct iovec places[SESSION_IOVECS];
    size_t put = 0, all = 0;
    enum err err;

    if (s->state == SESSION_CLOSING || s->conn.handshaking)
        return;
    while (s->out.len > 0 && put == all) {
        int n = chain_peek(&s->out, places, SESSION_IOVECS);

        all = conn_places_bytes(places, n);
        put = 0;
        err = conn_write(&s->conn, places, n, &put);
        if (err != ERR_NONE && err != ERR_AGAIN) {
            session_close(s, CLOSE_CLIENT_RESET);
            return;
        }
        session_took(s, put);
    }
    after_write(s);
}

void session_flushed(struct session *s, enum err err, bool all)
{
    if (s->state == SESSION_CLOSING)
        return;
    if (err != ERR_NONE && err != ERR_AGAIN)
        session_close(s, CLOSE_CLIENT_RESET);
    else if (all)
        session_flush(s);
    else
        after_write(s);
}

void session_write_through(struct session *s, struct slice bytes)
{
    size_t put = 0;

    if (bytes.len > 0 && s->out.len == 0 && s->state != SESSION_CLOSING) {
        struct iovec place = { (void *)bytes.at, bytes.len };
        /* If it is broken, the turn's flush finds that out: the flow is amid what it says, and its
         * session must not end under its hands. */
        (void)!conn_write(&s->conn, &place, 1, &put);
    }
    if (put < bytes.len) {
        chain_put(&s->out, &s->worker->chunks, bytes.at + put, bytes.len - put);
        session_wants_flush(s);
    }
}

void session_pass(struct session *s, struct conn_pipe *pipe, size_t len)
{
    struct worker *w = s->worker;
    enum err err = ERR_NONE;

    while (len > 0 && err == ERR_NONE && s->out.len == 0 && s->state != SESSION_CLOSING) {
        size_t put = 0;

        err = conn_pipe_put(pipe, &s->conn, len, &put);
        len -= put;
    }
    while (len > 0) {
        size_t here = len < WORKER_SCRATCH_BYTES ? len : WORKER_SCRATCH_BYTES;

        conn_pipe_read(pipe, w->scratch, here);
        if (s->state != SESSION_CLOSING)
            chain_put(&s->out, &w->chunks, w->scratch, here);
        len -= here;
    }
    if (err != ERR_NONE && err != ERR_AGAIN)
        session_close(s, CLOSE_CLIENT_RESET);
    else if (s->out.len > 0)
        session_wants_flush(s);
}

void session_secure(struct session *s, struct slice answer, struct tls_context *tls)
{
    session_write_through(s, answer);
    if (s->out.len > 0) { /* a socket that has no room for the first byte */
        session_close(s, CLOSE_CLIENT_RESET);
        return;
    }
    if (s->state != SESSION_CLOSING)
        conn_secure(&s->conn, tls_stream_new(tls, s->conn.fd, NULL, NULL));
}

void session_secure_from(struct session *s, struct slice bytes, struct tls_context *tls)
{
    struct tls_stream *stream = tls_stream_new(tls, s->conn.fd, NULL, NULL);
    enum err err;

    tls_stream_begin_with(stream, bytes);
    conn_secure(&s->conn, stream);
    err = conn_handshake(&s->conn); /* the loop may tell of nothing until it is answered */
    if (err != ERR_NONE && err != ERR_AGAIN)
        session_close(s, CLOSE_TLS_FAILED);
}

/* ---- events ---- */

static void begin(struct session *s)
{
    s->begun = true;
    conn_watch(&s->conn, true, false);
    s->limits->flow->session_begin(s);
}

static void on_ready(evutil_socket_t fd, short what, void *arg)
{
    struct conn *c = arg;
    struct session *s = LIST_ITEM(c, struct session, conn);

    (void)fd;
    if (c->handshaking) {
        enum err err = conn_handshake(c);

        if (err == ERR_NONE && s->begun)
            conn_watch(c, true, false);
        else if (err == ERR_NONE)
            begin(s);
        else if (err != ERR_AGAIN)
            session_close(s, CLOSE_TLS_FAILED);
        if (err != ERR_NONE || !conn_has_pending(c))
            return;
        what = EV_READ;
    }
    if (what & EV_WRITE)
        session_flush(s);
    if ((what & EV_READ) && s->state == SESSION_READING && !turn_input_has_session(s->worker, s))
        read_input(s);
}

void session_open(struct worker *w, int fd, const struct listener_peer *peer,
                  const struct session_limits *limits, struct tls_context *tls)
{
    bool has_room = !w->draining && admit(w, limits);
    struct session *s;

    if (!has_room && (w->draining || !admit_surplus(w, limits))) {
        if (!w->draining && tls == NULL && limits->flow->turn_away != NULL)
            limits->flow->turn_away(limits, fd);
        counter_add(&w->shared.closed[w->draining ? CLOSE_DRAINED : CLOSE_TOO_MANY], 1);
        close(fd);
        return;
    }
    s = memset(slab_new(limits->slab), 0, limits->slab->size);
    s->worker = w;
    s->limits = limits;
    s->peer = *peer;
    s->surplus = !has_room;
    s->id = ++w->sessions_made * w->count + w->index;
    s->opened_s = s->active_s = seconds(w);
    list_init(&s->due);
    list_append(&w->sessions, &s->link);
    counter_add(&w->shared.sessions_opened, 1);
    counter_add(&w->shared.sessions_open, 1);
    conn_open(&s->conn, w->base, fd, on_ready);
    if (limits->tcp_keepalive)
        conn_keep_alive(&s->conn, true);
    if (tls == NULL) {
        begin(s);
        return;
    }
    conn_secure(&s->conn, tls_stream_new(tls, fd, NULL, NULL));
    on_ready(fd, EV_READ, &s->conn);
}

/* Both ends of a time in whole seconds: never too early. */
static bool has_passed(uint32_t seconds_passed, uint64_t timeout_ms)
{
    return seconds_passed > (timeout_ms + 999) / 1000;
}

/* A session that is not read from does not see its client leave: who waits for ever is looked
 * at. */
static bool is_left(const struct session *s)
{
    return s->state == SESSION_WAITING && s->open_requests > 0 &&
           s->limits->flow->session_half_closed != NULL && conn_is_left(&s->conn);
}

void session_tick(struct session *s)
{
    uint32_t now_s = seconds(s->worker);
    const struct session_limits *limits = s->limits;

    if (!s->logged_in && limits->handshake_timeout_ms > 0 &&
        has_passed(now_s - s->opened_s, limits->handshake_timeout_ms))
        session_close(s, CLOSE_HANDSHAKE);
    else if (limits->idle_timeout_ms > 0 && s->open_requests == 0 && s->out.len == 0 && !s->stays &&
             has_passed(now_s - s->active_s, limits->idle_timeout_ms))
        session_send_off(s, CLOSE_IDLE);
    else if (limits->unread_timeout_ms > 0 && s->conn.watching_write &&
             has_passed(now_s - s->active_s, limits->unread_timeout_ms))
        session_close(s, CLOSE_UNREAD);
    else if (is_left(s))
        limits->flow->session_half_closed(s);
}

static void put_address(const struct listener_peer *at, char *text, size_t size)
{
    char host[INET6_ADDRSTRLEN] = "";

    if (at->family == AF_INET) {
        inet_ntop(AF_INET, &at->host.v4, host, sizeof(host));
        snprintf(text, size, "%s:%u", host, ntohs(at->port));
    } else if (at->family == AF_INET6) {
        inet_ntop(AF_INET6, &at->host.v6, host, sizeof(host));
        snprintf(text, size, "[%s]:%u", host, ntohs(at->port));
    } else {
        snprintf(text, size, "unix:0");
    }
}

void session_address(const struct session *s, char *text, size_t size)
{
    put_address(&s->peer, text, size);
}

void session_local_address(const struct session *s, char *text, size_t size)
{
    struct sockaddr_storage at = { 0 };
    socklen_t len = sizeof(at);
    struct listener_peer own;

    (void)!getsockname(s->conn.fd, (struct sockaddr *)&at, &len);
    own = listener_peer_of((struct sockaddr *)&at);
    put_address(&own, text, size);
}
