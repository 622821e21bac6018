/* One part on one upstream: put, answered, failed.
 *
 *     memory_attempt_start --put--> in the upstream's queue --reply--> memory_request_part_done
 *                  |                      |
 *                  +------ refused        +-- deadline, loss: memory_attempt_fail; in the queue
 *                                             it is a tombstone from then on
 */
#include "proxy/memory/memory_flow.h"

#include <assert.h>

#include "health/tally.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/memory/verbs.h"

/* ---- kept replies ---- */

struct slice memory_attempt_kept(const struct memory_attempt *a)
{
    return a->kept.at != NULL ? buf_all(&a->kept) : slice_of(a->small, a->kept_len);
}

void memory_attempt_forget(struct memory_attempt *a)
{
    memory_wait_end(a);
    if (a->kept.at != NULL) {
        worker_release(a->request->side->worker, a->kept.cap);
        if (a->request->session != NULL)
            a->request->session->base.held_bytes -= a->kept.len;
        buf_fini(&a->kept);
    }
    a->kept_len = 0;
}

const struct memory_refusal memory_too_much = {
    .err = ERR_RANGE,
    .shard = UINT32_MAX,
    .text = "what the shards answer is together larger than max_session_memory: ask for less at a "
            "time, or set it higher",
};

/* A reply that is put together from several can't go to its client piece by piece, so the request
 * asks for too much; any other waits for a client that does not read. */
static void hold_too_much(struct memory_attempt *a)
{
    struct memory_request *r = a->request;

    if (r->merge == NULL) {
        session_close(&r->session->base, CLOSE_SLOW_READER);
        return;
    }
    /* What others of it hold, and would go on to, is of no use, and in the way of the next. */
    for (uint32_t i = 0; i < r->part_count; i++)
        if (&r->attempts[i] != a && r->attempts[i].queued)
            memory_attempt_fail(&r->attempts[i], &memory_too_much);
    memory_attempt_fail(a, &memory_too_much);
}

/* May end the attempt, or the session. */
static void keep(struct memory_attempt *a, struct slice bytes)
{
    struct memory_session *s = a->request->session;
    size_t had = a->kept.cap;

    if (a->kept.at == NULL && a->kept_len + bytes.len <= MEMORY_SMALL_BYTES) {
        memcpy(a->small + a->kept_len, bytes.at, bytes.len);
        a->kept_len += (uint32_t)bytes.len;
        return;
    }
    if (a->kept.at == NULL && a->kept_len > 0) {
        buf_put(&a->kept, a->small, a->kept_len);
        s->base.held_bytes += a->kept_len;
        a->kept_len = 0;
    }
    buf_slice(&a->kept, bytes);
    s->base.held_bytes += bytes.len;
    worker_hold(s->base.worker, a->kept.cap - had);
    if (s->base.held_bytes + s->base.out.len > s->base.limits->max_bytes)
        hold_too_much(a);
}

/* A short reply that came in one piece and waits for others to be merged with: it lives as long as
 * they do. */
static void settle(struct memory_attempt *a, struct slice bytes)
{
    struct memory_request *r = a->request;

    r->parts[a->part].reply = arena_copy(&r->arena, bytes);
    a->settled = true;
}

/* ---- queue ---- */

static void push(struct memory_upstream *u, struct memory_attempt *a)
{
    a->next = NULL;
    a->queued = true;
    if (u->last == NULL) {
        u->first = a;
        u->heard_us = a->since_us;
    } else {
        u->last->next = a;
    }
    u->last = a;
    if (u->oldest == NULL)
        u->oldest = a;
    u->queued++;
    a->request->refs++;
}

void memory_attempt_pop(struct memory_upstream *u)
{
    struct memory_attempt *a = u->first;

    u->first = a->next;
    if (u->first == NULL)
        u->last = NULL;
    if (u->oldest == a)
        u->oldest = a->next;
    u->queued--;
    a->queued = false;
    if (u->first == NULL)
        memory_blocked_end(u);
    memory_request_unref(a->request);
}

/* ---- starting ---- */

/* Bytes that are a session's whole input are handed over, not copied. */
static void put(struct memory_upstream *u, struct memory_session *s, struct slice bytes)
{
    struct buf *in = &s->base.in;

    if (bytes.at == in->at && bytes.len == in->len && bytes.len >= MEMORY_STREAM_BYTES) {
        worker_release(s->base.worker, in->cap);
        upstream_take(&u->base, in);
        return;
    }
    upstream_put(&u->base, bytes);
}

static struct memory_upstream *upstream_for(struct memory_request *r, uint32_t shard,
                                            struct memory_refusal *refusal)
{
    struct memory_upstream *u;

    if (r->session == NULL) {
        refusal->text = "the session is gone";
        return NULL;
    }
    if (r->lease != MEMORY_SHARED)
        return memory_upstream_lease(r->session, shard, r->resumes, refusal);
    if (r->session->bulk)
        return memory_bulk_upstream(r->session, shard, refusal);
    u = memory_upstream_shared(r->session, shard);
    return memory_upstream_refuses(u, refusal) ? NULL : u;
}

void memory_attempt_send_unasked(struct memory_request *r, struct memory_upstream *u,
                                 struct slice bytes)
{
    struct memory_attempt *a = &r->one;

    a->request = r;
    a->shard = u->shard;
    a->replies_left = 1;
    a->tombstone = true;
    a->since_us = worker_now_us(u->base.worker);
    a->begin_byte = u->base.put_bytes;
    push(u, a);
    upstream_put(&u->base, bytes);
}

void memory_attempts_restamp(struct memory_upstream *u, uint64_t from_byte)
{
    uint64_t now_us = worker_now_us(u->base.worker);

    for (struct memory_attempt *a = u->first; a != NULL; a = a->next)
        if ((a->next != NULL ? a->next->begin_byte : u->base.put_bytes) > from_byte)
            a->since_us = now_us;
}

bool memory_attempt_put(struct memory_attempt *a, struct memory_refusal *refusal)
{
    struct memory_request *r = a->request;
    struct memory_part *p = &r->parts[a->part];
    struct memory_upstream *u = upstream_for(r, a->shard->index, refusal);

    if (u == NULL)
        return false;
    if (r->may_write)
        memory_blocked_tell(r->session, u);
    a->since_us = worker_now_us(r->side->worker);
    a->begin_byte = u->base.put_bytes;
    counter_add(&a->shard->stats->requests, 1);
    counter_add(&a->shard->stats->bytes_out, p->bytes.len);
    if (r->lease == MEMORY_LEASE)
        u->watching = true;
    else if (r->end_leases)
        u->watching = false; /* EXEC and UNWATCH end it at the server */
    push(u, a);
    if (r->no_deadline)
        memory_blocked_begin(u);
    put(u, r->session, p->bytes);
    worker_be_busy(r->side->worker);
    if (u->base.state == UPSTREAM_DOWN)
        upstream_start(&u->base);
    return true;
}

void memory_attempt_start(struct memory_request *r, uint32_t part)
{
    struct memory_side *side = r->side;
    struct memory_part *p = &r->parts[part];
    struct memory_attempt *a = &r->attempts[part];
    bool present = p->shard < side->shard_count; /* a reload may have taken it away meanwhile */
    struct memory_shard *shard = side->shards[present ? p->shard : 0];
    struct memory_refusal refusal = { .err = ERR_DOWN,
                                      .shard = present ? shard->told_index : p->shard,
                                      .endpoint = present ? shard->name : NULL,
                                      .text = "the shard was taken out of the configuration" };

    a->request = r;
    a->shard = shard;
    a->part = part;
    a->replies_left = p->replies;
    a->tombstone = false;
    if (present && shard->store != NULL) {
        memory_store_ask(a);
        return;
    }
    if (present && memory_attempt_put(a, &refusal))
        return;
    if (refusal.err == ERR_AGAIN && memory_wait_begin(a))
        return;
    counter_add(&shard->stats->refusals, 1);
    memory_attempt_fail(a, &refusal);
}

/* ---- replies ---- */

/* LOADING and its like are replies, and news for health. */
static enum health_reason reason_of(const struct memory_back *back, struct slice reply)
{
    const char *word;

    if (reply.len == 0 || reply.at[0] != back->trouble_byte || back->trouble == NULL)
        return HEALTH_FINE;
    word = back->trouble(reply);
    for (enum health_reason reason = HEALTH_FINE + 1; word != NULL && reason < HEALTH_REASONS;
         reason++)
        if (strcmp(reason_word(reason), word) == 0)
            return reason;
    return HEALTH_FINE;
}

static void note_trouble(struct memory_upstream *u, struct slice reply, uint64_t took_us)
{
    struct assembly *assembly = u->base.assembly;
    struct tally_sheet *sheet = assembly->tallies[u->base.worker->index];
    uint32_t endpoint = u->base.endpoint->number;
    enum health_reason reason = reason_of(u->back, reply);

    if (!reason_is_failure(reason))
        tally_success(sheet, endpoint, took_us);
    if (reason != HEALTH_FINE)
        tally_failure(sheet, endpoint, reason);
}

/* Replies come together, and what they belong to was touched last when it was sent. */
static void look_ahead(const struct memory_attempt *a)
{
    const struct memory_attempt *next = a->next;

    if (next == NULL)
        return;
    if (next->next != NULL)
        mem_soon(next->next, offsetof(struct memory_attempt, small));
    mem_soon(next->request, offsetof(struct memory_request, key));
}

/* All replies of the part at the queue's front have come; `seen` is them, if they came in one
 * piece, `direct` the same if it is all there is and may go to the session from where it lies. */
static void answered(struct memory_upstream *u, struct slice seen, struct slice direct)
{
    struct memory_attempt *a = u->first;
    struct memory_request *r = a->request;
    struct memory_shard *shard = u->shard;
    uint64_t took_us = worker_now_us(u->base.worker) - a->since_us;
    bool tombstone = a->tombstone || r->session == NULL;

    look_ahead(a);
    memory_classes_mark(r);
    note_trouble(u, seen, took_us);
    histogram_add(&shard->stats->latency_us, took_us);
    r->refs++; /* outlives its place in the queue */
    memory_attempt_pop(u);
    if (tombstone)
        counter_add(&shard->stats->late_replies, 1);
    else
        memory_request_part_done(r, direct);
    memory_request_unref(r);
}

/* May this reply go to the session before it is whole? */
static bool may_stream(const struct memory_attempt *a)
{
    const struct memory_request *r = a->request;

    return r->merge == NULL && !r->silent && r->session->first == r;
}

static void stream(struct memory_attempt *a, struct slice bytes)
{
    struct memory_request *r = a->request;
    struct memory_session *s = r->session;

    if (!r->streaming) {
        struct slice kept = memory_attempt_kept(a);

        r->streaming = true;
        r->streamed_bytes = kept.len;
        session_write_through(&s->base, kept);
        memory_attempt_forget(a);
    }
    if (r->session == NULL)
        return; /* the write found out that the client is gone */
    r->streamed_bytes += bytes.len;
    session_write_through(&s->base, bytes);
    if (s->base.state != SESSION_CLOSING && s->base.out.len > s->base.limits->max_bytes)
        session_close(&s->base, CLOSE_SLOW_READER);
}

/* Bytes of a reply that its client waits for.  Returns those that need no keeping: they are all of
 * it, and can be written as they came. */
static struct slice hear(struct memory_upstream *u, struct slice bytes, bool done, bool whole)
{
    struct memory_attempt *a = u->first;
    struct memory_request *r = a->request;
    bool last = done && a->replies_left == 0;
    size_t known = bytes.len + a->kept.len;

    if (!done)
        known += u->back->body_left(u->scan);

    if (last && whole && may_stream(a))
        return bytes;
    if (r->streaming || (known >= MEMORY_STREAM_BYTES && may_stream(a)))
        stream(a, bytes);
    else if (last && whole && r->merge != NULL && bytes.len <= MEMORY_SETTLED_BYTES)
        settle(a, bytes);
    else
        keep(a, bytes);
    return (struct slice){ 0 };
}

void memory_attempt_bytes(struct memory_upstream *u, struct slice bytes, bool done)
{
    struct memory_attempt *a = u->first;
    struct memory_request *r = a->request;
    struct slice direct = { 0 }, seen = { 0 };
    bool whole = a->kept_len == 0 && a->kept.at == NULL && !r->streaming;
    bool is_heard = !a->tombstone && a->replies_left > r->parts[a->part].unheard;

    counter_add(&u->shard->stats->bytes_in, bytes.len);
    if (done)
        a->replies_left--;
    r->refs++; /* to write may be to find the client gone, which ends its lease of `u` */
    if (is_heard && r->session != NULL)
        direct = hear(u, bytes, done, whole);
    if (a->replies_left == 0 && u->first == a) {
        if (whole)
            seen = bytes;
        else if (!is_heard)
            seen = memory_attempt_kept(a);
        answered(u, seen, direct);
    }
    memory_request_unref(r);
    if (u->lessee != NULL && u->lessee->bulk)
        memory_bulk_throttle(u->lessee);
}

void memory_attempt_answer(struct memory_attempt *a, struct slice reply)
{
    struct memory_request *r = a->request;
    const struct memory_part *part = &r->parts[a->part];
    struct stats_row *stats = a->shard->stats;
    struct slice direct = { 0 };

    counter_add(&stats->bytes_in, reply.len);
    memory_classes_mark(r);
    if (a->tombstone || r->session == NULL) {
        counter_add(&stats->late_replies, 1);
        return;
    }
    r->refs++; /* to keep it may be to close a session that does not read, or too much */
    if (part->unheard > 0)
        reply.len = verbs_replies_len(reply, part->replies - part->unheard);
    if (may_stream(a))
        direct = reply;
    else if (r->merge != NULL && reply.len <= MEMORY_SETTLED_BYTES)
        settle(a, reply);
    else
        keep(a, reply);
    if (r->session != NULL && !a->tombstone)
        memory_request_part_done(r, direct);
    memory_request_unref(r);
}

/* ---- failing ---- */

void memory_attempt_log(const struct memory_request *r, const struct memory_refusal *refusal,
                        const char *pool)
{
    log_event(LOG_WARN, "request failed",
              log_text("endpoint", refusal->endpoint == NULL ? "" : refusal->endpoint),
              log_text("pool", pool), log_text("reason", refusal->text),
              log_text("command", r->name == NULL ? "" : r->name));
}

void memory_attempt_fail(struct memory_attempt *a, const struct memory_refusal *refusal)
{
    struct memory_request *r = a->request;
    struct memory_part *p;
    struct memory_refusal told = *refusal;
    struct buf text = { 0 };

    if (a->tombstone)
        return;
    p = &r->parts[a->part];
    memory_classes_mark(r);
    a->tombstone = true;
    counter_add(&a->shard->stats->failures, 1);
    if (r->session == NULL)
        return;
    memory_attempt_log(r, refusal, a->shard->pool);
    if (r->streaming) { /* half a reply can't be taken back */
        session_close(&r->session->base, CLOSE_UPSTREAM_LOST);
        return;
    }
    memory_attempt_forget(a);
    r->failed = p->failed = true;
    if (r->instead.len > 0 && refusal->err != ERR_RANGE) {
        p->reply = r->instead;
    } else {
        told.pool = a->shard->pool;
        r->side->front->refuse(r->session->state, &told, &text);
        p->reply = arena_copy(&r->arena, buf_all(&text));
        buf_fini(&text);
    }
    memory_request_part_done(r, (struct slice){ 0 });
}
