/* The way of a request, second half: from the replies of its parts to the session, in the order in
 * which the session asked.
 *
 *     memory_request_part_done   the last part's reply completes the request: merge, or as it came
 *     memory_session_advance     answers leave from the front of the session's queue
 */
#include "proxy/memory/memory_flow.h"

#include "proxy/base/mem.h"

/* ---- windows ---- */

/* A session may have so many reads under way that their replies, if they are like the last ones,
 * fit the window: so a client that does not read can't make its pipeline fill the memory. */
static void window_after(struct memory_session *s, size_t reply_bytes)
{
    uint32_t most = MEMORY_WINDOW_MOST, reckoned = s->reply_bytes;

    if (reply_bytes > reckoned)
        reckoned = reply_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)reply_bytes;
    else if (s->window == most)
        return;
    else
        reckoned -= (reckoned - (uint32_t)reply_bytes) / 8;
    s->reply_bytes = reckoned;
    s->window = reckoned < memory_side_of(s)->window_bytes / most
                    ? MEMORY_WINDOW_MOST
                    : (uint8_t)(memory_side_of(s)->window_bytes / reckoned);
    if (s->window < 1)
        s->window = 1;
}

/* ---- ending requests ---- */

static void note_slow(const struct memory_request *r, uint64_t took_us)
{
    const struct memory_shard *shard = r->attempts[0].shard;
    struct slow_entry entry = { .wall_s = clock_wall_s(),
                                .took_us = took_us,
                                .shard = shard->told_index };

    snprintf(entry.pool, sizeof(entry.pool), "%s", r->side->settings->base.name);
    snprintf(entry.class, sizeof(entry.class), "%s",
             r->class_row == NULL ? "" : r->class_row->name);
    snprintf(entry.command, sizeof(entry.command), "%s", r->name == NULL ? "" : r->name);
    snprintf(entry.endpoint, sizeof(entry.endpoint), "%s", shard->name);
    if (r->session != NULL) {
        struct memory_portrait portrait = { 0 };

        memory_side_of(r->session)->front->portray(r->session->state, &portrait);
        session_address(&r->session->base, entry.client, sizeof(entry.client));
        snprintf(entry.name, sizeof(entry.name), "%s", portrait.name == NULL ? "" : portrait.name);
    }
    memcpy(entry.key, r->key, r->key_len);
    entry.key_len = r->key_len;
    slow_note(&entry);
}

static void measure(struct memory_request *r)
{
    struct memory_side *side = r->side;
    uint64_t now_us = worker_now_us(side->worker), took_us = now_us - r->began_us;

    histogram_add(&side->stats->latency_us, took_us);
    if (r->failed)
        counter_add(&side->stats->failures, 1);
    if (took_us >= side->assembly->snapshot->proxy.slow_time_ms * 1000 && !r->no_deadline &&
        r->part_count > 0 && slow_is_worth_noting(&side->slow, now_us, took_us))
        note_slow(r, took_us);
}

/* Takes the answered request off the front of its session's queue. */
static void leave_queue(struct memory_session *s)
{
    struct memory_request *r = s->first;
    bool end_leases = r->end_leases;
    bool gives_back = r->lease == MEMORY_LEASE_ONCE;

    s->first = r->next;
    if (s->first == NULL)
        s->last = NULL;
    session_request_ends(&s->base);
    counter_sub(&memory_side_of(s)->stats->requests_open, 1);
    if (r->alone)
        s->halted = false;
    if (r->part_count > 0) {
        s->open_reads -= r->reads;
        s->open_writes -= r->may_write;
        s->asked_bytes -= r->asked_bytes;
        measure(r);
    }
    for (uint32_t i = 0; i < r->part_count; i++) /* while the session can still be told */
        memory_attempt_forget(&r->attempts[i]);
    s->base.kept_bytes -= r->weight;
    r->next = NULL;
    r->session = NULL;
    memory_request_unref(r);
    if (end_leases)
        memory_session_end_leases(s);
    else if (gives_back && !s->bulk)
        memory_session_give_back(s);
}

void memory_reply_waits(struct memory_request *r)
{
    r->reply_held = r->reply.cap;
    worker_hold(r->side->worker, r->reply_held);
    r->session->base.held_bytes += r->reply_held;
}

static void reply_leaves(struct memory_request *r)
{
    worker_release(r->side->worker, r->reply_held);
    r->session->base.held_bytes -= r->reply_held;
    r->reply_held = 0;
}

/* Puts the reply where it is written from; `direct` is it, or else what was kept. */
static void hand_out(struct memory_session *s, struct memory_request *r, struct slice direct)
{
    struct chunk_pool *chunks = &s->base.worker->chunks;
    struct memory_attempt *a = r->part_count == 1 ? &r->attempts[0] : NULL;
    size_t before = s->base.out.len, len;

    reply_leaves(r);
    if (r->silent || (r->part_count == 0 && r->reply.len == 0))
        return;
    if (r->merge != NULL && r->reply.len == 0 && direct.len == 0) {
        len = 0; /* a merge may find nothing to say */
    } else if (r->reply.len > 0) {
        len = r->reply.len;
        chain_take(&s->base.out, chunks, &r->reply);
    } else if (r->streaming) {
        len = r->streamed_bytes; /* all of it is on its way */
    } else if (direct.len > 0) {
        len = direct.len;
        if (direct.len >= MEMORY_STREAM_BYTES)
            session_write_through(&s->base, direct);
        else
            chain_slice(&s->base.out, chunks, direct);
    } else if (a != NULL && a->kept.at != NULL) {
        len = a->kept.len;
        s->base.held_bytes -= a->kept.len;
        worker_release(s->base.worker, a->kept.cap);
        chain_take(&s->base.out, chunks, &a->kept);
    } else if (a != NULL && a->kept_len > 0) {
        len = a->kept_len;
        chain_put(&s->base.out, chunks, a->small, a->kept_len);
    } else {
        len = r->parts[0].reply.len;
        chain_slice(&s->base.out, chunks, r->parts[0].reply);
    }
    if (r->reads > 0)
        window_after(s, len / r->reads);
    counter_add(&memory_side_of(s)->stats->bytes_out, len);
    if (s->base.out.len > before)
        session_wants_flush(&s->base);
}

/* The next request's reply may have been growing while it waited for its turn. */
static void begin_streaming(struct memory_session *s, struct memory_request *r)
{
    struct memory_attempt *a = &r->attempts[0];

    if (r->merge != NULL || r->silent || r->part_count != 1 || a->kept.len < MEMORY_STREAM_BYTES)
        return;
    r->streaming = true;
    r->streamed_bytes = a->kept.len;
    s->base.held_bytes -= a->kept.len;
    worker_release(s->base.worker, a->kept.cap);
    chain_take(&s->base.out, &s->base.worker->chunks, &a->kept);
    session_wants_flush(&s->base);
}

void memory_session_advance(struct memory_session *s)
{
    while (s->first != NULL && s->first->done) {
        hand_out(s, s->first, (struct slice){ 0 });
        if (s->base.state == SESSION_CLOSING)
            return;
        leave_queue(s);
    }
    if (s->subscriber != NULL)
        memory_subscriber_release(s);
    if (s->first != NULL)
        begin_streaming(s, s->first);
    if (s->base.throttled)
        memory_bulk_throttle(s);
    if (s->base.out.len + s->base.held_bytes > s->base.limits->max_bytes) {
        session_close(&s->base, CLOSE_SLOW_READER);
        return;
    }
    if (s->base.state == SESSION_WAITING)
        memory_session_continue(s);
    if (s->first == NULL && (s->base.ended || s->base.last_words))
        session_wants_flush(&s->base);
}

/* ---- joining ---- */

/* Returns the bytes of all replies. */
static size_t join_replies(struct memory_request *r)
{
    size_t all = 0;

    for (uint32_t i = 0; i < r->part_count; i++) {
        if (!r->parts[i].failed && !r->attempts[i].settled)
            r->parts[i].reply = memory_attempt_kept(&r->attempts[i]);
        all += r->parts[i].reply.len;
    }
    return all;
}

/* What was held still fitted, but not what became of it: all parts failed then. */
static void merge_too_much(struct memory_request *r, struct memory_merge *m)
{
    struct memory_refusal why = memory_too_much;
    struct buf text = { 0 };

    why.pool = r->side->settings->base.name;
    r->side->front->refuse(m->state, &why, &text);
    for (uint32_t i = 0; i < m->part_count; i++) {
        m->parts[i].failed = true;
        m->parts[i].reply = arena_copy(m->arena, buf_all(&text));
    }
    buf_fini(&text);
    r->failed = true;
    buf_clear(m->out);
    r->merge(m);
    m->again = false;
}

/* A server's answer was none to what it was asked. */
static void blame(struct memory_request *r, const struct memory_refusal *blamed)
{
    memory_attempt_log(r, blamed, blamed->pool == NULL ? r->side->name : blamed->pool);
    r->failed = true;
}

/* True: the request's reply is made, in `out`.  False: it goes another round. */
static bool merge(struct memory_request *r, struct buf *out)
{
    struct memory_site *site = &r->side->site;
    struct memory_merge m = { .site = site,
                              .generation = r->generation,
                              .state = r->session == NULL ? NULL : r->session->state,
                              .note = r->note,
                              .parts = r->parts,
                              .part_count = r->part_count,
                              .arena = &r->arena,
                              .out = out };

    site->session = r->session;
    site->session_id = r->session == NULL ? 0 : r->session->base.id;
    site->idle = r->session == NULL || (r->alone && r->session->first == r);
    site->has_more = false;
    r->merge(&m);
    if (m.blamed != NULL)
        blame(r, m.blamed);
    if (!m.again && r->session != NULL && out->len > r->session->base.limits->max_bytes)
        merge_too_much(r, &m);
    if (!m.again)
        return true;
    for (uint32_t i = 0; i < r->part_count; i++)
        memory_attempt_forget(&r->attempts[i]);
    if (m.lease != MEMORY_SHARED) {
        r->lease = m.lease;
        r->no_deadline = m.no_deadline;
    }
    r->parts = m.parts;
    r->part_count = m.part_count;
    r->attempts = arena_new(&r->arena, m.part_count * sizeof(*r->attempts));
    memory_request_weigh(r);
    buf_clear(out);
    memory_request_start(r);
    return false;
}

/* True: all is merged; *direct is the reply, if it could be made where it can be handed out
 * from. */
static bool merge_replies(struct memory_request *r, struct slice *direct)
{
    struct buf *answer = &r->side->answer; /* lies there for all; it must not grow for ever */

    if (join_replies(r) > MEMORY_STREAM_BYTES || r->session->first != r)
        return merge(r, &r->reply);
    buf_clear(answer);
    if (!merge(r, answer))
        return false;
    *direct = buf_all(answer);
    return true;
}

/* It is all that is still needed. */
static void keep_merged(struct memory_request *r)
{
    for (uint32_t i = 0; i < r->part_count; i++)
        memory_attempt_forget(&r->attempts[i]);
    memory_reply_waits(r);
}

void memory_request_part_done(struct memory_request *r, struct slice direct)
{
    struct memory_session *s = r->session;

    if (--r->parts_open > 0)
        return;
    if (r->next != NULL)
        mem_soon(&r->next->done, 1); /* memory_session_advance() asks */
    if (r->merge != NULL && !merge_replies(r, &direct))
        return;
    if (s->first != r) {
        r->done = true;
        if (r->reply.len > 0)
            keep_merged(r);
        return;
    }
    hand_out(s, r, direct);
    if (s->base.state == SESSION_CLOSING)
        return;
    leave_queue(s);
    memory_session_advance(s);
}
