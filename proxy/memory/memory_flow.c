/* The way of a request through a memory pool, first half: from a session's bytes to parts on their
 * way.  The steps, in order:
 *
 *     session_input    bytes are there; as many requests as may be under way are taken from them
 *     take_request     front.parse finds one, front.plan decides
 *     carry_out        answered by the front itself, or
 *     memory_request_start   its parts are put on their upstreams (attempt_flow.c)
 *
 * and answer_flow.c brings the replies back. */
#include "proxy/memory/memory_flow.h"

#include <stdlib.h>

#include "proxy/base/mem.h"

/* ---- requests ---- */

struct memory_request *memory_request_new(struct memory_session *s)
{
    struct memory_works *works = memory_works_of(s->base.worker);
    struct memory_request *r = slab_new(&works->requests);

    /* All but the small store at the end, which needs no zeros. */
    memset(r, 0, offsetof(struct memory_request, one) + offsetof(struct memory_attempt, small));
    r->session = s;
    r->side = memory_side_of(s);
    r->refs = 1;
    r->arena.slab = &works->blocks;
    r->began_us = worker_now_us(s->base.worker);
    return r;
}

void memory_request_weigh(struct memory_request *r)
{
    size_t before = r->weight;

    r->weight = sizeof(*r) + r->arena.held;
    r->side->worker->held_bytes += r->weight - before;
    if (r->session != NULL)
        r->session->base.kept_bytes += r->weight - before;
}

void memory_session_keeps(struct memory_session *s, size_t before, size_t now)
{
    worker_release(s->base.worker, before);
    worker_hold(s->base.worker, now);
    s->base.kept_bytes += now - before;
}

void memory_request_unref(struct memory_request *r)
{
    struct worker *w = r->side->worker;

    if (--r->refs > 0)
        return;
    for (uint32_t i = 0; i < r->part_count; i++)
        memory_attempt_forget(&r->attempts[i]);
    w->held_bytes -= r->weight;
    if (r->reply.at != NULL) {
        worker_release(w, r->reply_held);
        buf_fini(&r->reply);
    }
    if (r->arena.blocks != NULL) {
        w->freed_bytes += r->arena.held;
        arena_fini(&r->arena);
    }
    slab_free(&memory_works_of(w)->requests, r);
}

static void enqueue(struct memory_session *s, struct memory_request *r)
{
    if (s->last == NULL)
        s->first = r;
    else
        s->last->next = r;
    s->last = r;
    memory_request_weigh(r);
    session_request_begins(&s->base);
    counter_add(&memory_side_of(s)->stats->requests_open, 1);
}

void memory_request_start(struct memory_request *r)
{
    uint32_t count = r->part_count;

    r->parts_open = count;
    r->refs++; /* the first parts may fail at once, and answer the request, before the last began */
    for (uint32_t i = 0; i < count; i++)
        memory_attempt_start(r, i);
    memory_request_unref(r);
}

/* ---- carrying plans out ---- */

static void give_parts(struct memory_request *r, const struct memory_operation *op)
{
    uint64_t asked_bytes = 0;

    r->part_count = op->part_count;
    r->merge = op->merge;
    r->note = op->note;
    r->generation = r->side->site.generation;
    r->name = op->name;
    r->instead = op->instead;
    r->silent = op->silent;
    r->alone = op->alone || op->lease != MEMORY_SHARED || op->end_leases;
    r->no_deadline = op->no_deadline;
    r->end_leases = op->end_leases;
    r->lease = op->lease;
    r->resumes = op->resumes;
    r->is_write = op->is_write;
    r->reads = op->is_write ? 0 : op->reads > 0 ? op->reads : 1;
    r->may_write = op->is_write || op->may_write;
    r->touched = op->touched;
    r->touched_count = op->touched_count;
    r->touches_all = op->touches_all;
    r->key_len = (uint8_t)(op->key.len < MEMORY_KEY_BYTES ? op->key.len : MEMORY_KEY_BYTES);
    if (r->key_len > 0)
        memcpy(r->key, op->key.at, r->key_len);
    if (op->part_count == 1) {
        r->one_part = op->parts[0];
        r->parts = &r->one_part;
        r->attempts = &r->one;
    } else {
        r->parts = op->parts;
        r->attempts = arena_new(&r->arena, op->part_count * sizeof(*r->attempts));
    }
    for (uint32_t i = 0; i < r->part_count; i++)
        asked_bytes += r->parts[i].bytes.len;
    r->asked_bytes = asked_bytes < MEMORY_ASKED_MOST ? (uint32_t)asked_bytes : MEMORY_ASKED_MOST;
}

/* The front answered by itself: its reply stands in line like any other. */
static void give_answer(struct memory_session *s, struct memory_request *r, struct buf *answer,
                        bool silent)
{
    if (silent)
        buf_clear(answer);
    if (s->first == NULL) {
        if (answer->len > 0) {
            chain_slice(&s->base.out, &s->base.worker->chunks, buf_all(answer));
            session_wants_flush(&s->base);
        }
        memory_request_unref(r);
        return;
    }
    buf_slice(&r->reply, buf_all(answer));
    r->done = true;
    memory_reply_waits(r);
    enqueue(s, r);
}

/* What the front remembers for the session. */
static void tell_state(struct memory_session *s, uint32_t kib)
{
    if (kib == s->state_kib)
        return;
    memory_session_keeps(s, (size_t)s->state_kib * 1024, (size_t)kib * 1024);
    s->state_kib = kib;
}

/* SELECT and HELLO change what the upstreams must be like; QUIT ends it all. */
static void follow_state(struct memory_session *s)
{
    s->base.logged_in = s->state->logged_in;
    tell_state(s, (uint32_t)(s->state->held_bytes / 1024));
    if (s->state->database != s->route->database || s->state->version != s->route->version) {
        memory_route_leave(memory_side_of(s), &s->route);
        s->route = memory_route_of(memory_side_of(s), s->state->database, s->state->version);
    }
    if (s->state->closes)
        session_finish(&s->base, CLOSE_CLIENT_QUIT);
}

/* A request without parts, which is done when the flow has found its reply. */
static void carry_alone(struct memory_session *s, struct memory_request *r,
                        const struct memory_operation *op)
{
    r->merge = op->merge;
    r->note = op->note;
    r->name = op->name;
    r->silent = op->silent && op->way != MEMORY_SUBSCRIBE; /* pushes are not replies */
    r->alone = true;
    enqueue(s, r);
    s->halted = true;
}

static void carry_out(struct memory_session *s, struct memory_request *r,
                      struct memory_operation *op)
{
    switch (op->way) {
    case MEMORY_NOTHING:
        memory_request_unref(r);
        return;
    case MEMORY_ANSWERED:
        if (op->end_leases)
            memory_session_end_leases(s);
        if (op->end_subscriptions)
            memory_subscriber_end(s);
        give_answer(s, r, op->answer, op->silent);
        return;
    case MEMORY_SUBSCRIBE:
        carry_alone(s, r, op);
        memory_subscribe(s, r, op);
        return;
    case MEMORY_INQUIRY:
        carry_alone(s, r, op);
        memory_inquire(s, r, op->inquiry);
        return;
    case MEMORY_PARTS:
        give_parts(r, op);
        enqueue(s, r);
        s->open_reads += r->reads;
        s->open_writes += r->may_write;
        s->asked_bytes += r->asked_bytes;
        s->halted = r->alone;
        memory_request_start(r);
        return;
    }
}

/* ---- taking requests ---- */

static void say_last_words(struct memory_session *s, const struct buf *words)
{
    struct memory_request *r = memory_request_new(s);
    struct buf *answer = &memory_side_of(s)->answer;

    buf_clear(answer);
    buf_slice(answer, buf_all(words));
    give_answer(s, r, answer, false);
    session_finish(&s->base, CLOSE_PROTOCOL);
}

/* False: it must wait until all earlier ones are answered. */
static bool plan_request(struct memory_session *s, struct memory_operation *op)
{
    struct memory_side *side = memory_side_of(s);
    struct memory_request *r;

    if (!memory_bulk_follow(s)) {
        s->awaits_all = true;
        return false;
    }
    r = memory_request_new(s);
    buf_clear(&side->answer);
    op->answer = &side->answer;
    op->arena = &r->arena;
    op->room = s->window - s->open_reads;
    side->site.idle = s->base.open_requests == 0;
    side->site.has_writes_open = s->open_writes > 0;
    side->front->plan(&side->site, s->state, op);
    if (s->base.state == SESSION_CLOSING) {
        memory_request_unref(r);
        return true;
    }
    if (op->after_all) {
        memory_request_unref(r);
        s->awaits_all = true;
        return false;
    }
    s->command = op->name == NULL ? s->command : op->name;
    counter_add(&side->stats->requests, op->way != MEMORY_NOTHING);
    counter_add(&side->stats->bytes_in, op->raw.len);
    if (op->key.at != NULL && !op->is_channel)
        memory_classes_note(side, r, op);
    carry_out(s, r, op);
    if (s->base.state != SESSION_CLOSING)
        follow_state(s);
    return true;
}

/* PARSE_DONE: a request was taken, *used tells its length. */
static enum parse take_request(struct memory_session *s, struct slice in, size_t *used)
{
    struct memory_side *side = memory_side_of(s);
    struct memory_operation op = { 0 };
    struct buf last_words = { 0 };
    size_t need = 0;
    enum parse parse = side->front->parse(&side->site, s->state, in, &op, &need, &last_words);

    s->base.need = need < UINT32_MAX ? (uint32_t)need : UINT32_MAX;
    if (parse == PARSE_BAD) {
        say_last_words(s, &last_words);
        buf_fini(&last_words);
    }
    if (parse != PARSE_DONE)
        return parse;
    side->site.has_more = op.raw.len < in.len;
    if (!plan_request(s, &op))
        return PARSE_MORE;
    *used = op.raw.len;
    return PARSE_DONE;
}

static bool may_take(const struct memory_session *s)
{
    return s->open_reads < s->window &&
           s->base.open_requests < memory_side_of(s)->settings->max_pipeline && !s->halted &&
           !s->awaits_all && s->asked_bytes < memory_side_of(s)->window_bytes &&
           s->base.out.len + s->base.held_bytes < memory_side_of(s)->window_bytes;
}

static void enter_site(struct memory_session *s)
{
    struct memory_site *site = &memory_side_of(s)->site;

    site->session = s;
    site->session_id = s->base.id;
    site->now_us = worker_now_us(s->base.worker);
    site->wall_us = clock_wall_us();
}

static size_t session_input(struct session *base, struct slice in)
{
    struct memory_session *s = (struct memory_session *)base;
    size_t used = 0;

    s->awaits_all = s->awaits_all && base->open_requests > 0;
    enter_site(s);
    while (used < in.len && !base->last_words) {
        size_t here = 0;

        if (!may_take(s)) {
            session_pause(base);
            break;
        }
        if (take_request(s, slice_from(in, used), &here) != PARSE_DONE) {
            if (s->awaits_all)
                session_pause(base);
            break;
        }
        if (base->state == SESSION_CLOSING)
            return in.len;
        used += here;
    }
    return used;
}

void memory_session_continue(struct memory_session *s)
{
    if (s->base.state == SESSION_WAITING &&
        (s->awaits_all ? s->base.open_requests == 0 : may_take(s)))
        session_resume(&s->base);
}

/* ---- sessions ---- */

static void session_begin(struct session *base)
{
    struct memory_session *s = (struct memory_session *)base;
    struct memory_side *side = LIST_ITEM(base->limits, struct memory_side, limits);

    s->window = MEMORY_WINDOW_FIRST;
    counter_add(&side->stats->sessions_open, 1);
    enter_site(s);
    side->front->begin(&side->site, s->state);
    s->base.logged_in = s->state->logged_in;
    s->route = memory_route_of(side, s->state->database, s->state->version);
}

/* What is under way is answered to nobody: each attempt becomes a tombstone. */
static void session_end(struct session *base)
{
    struct memory_session *s = (struct memory_session *)base;

    memory_subscriber_end(s);
    while (s->first != NULL) {
        struct memory_request *r = s->first;

        s->first = r->next;
        for (uint32_t i = 0; i < r->part_count; i++)
            memory_attempt_forget(&r->attempts[i]);
        r->session = NULL;
        counter_sub(&memory_side_of(s)->stats->requests_open, 1);
        memory_request_unref(r);
    }
    s->last = NULL;
    memory_session_end_leases(s);
    free(s->leases);
    s->leases = NULL;
    memory_side_of(s)->front->end(s->state);
    tell_state(s, 0);
    memory_route_leave(memory_side_of(s), &s->route);
    counter_sub(&memory_side_of(s)->stats->sessions_open, 1);
}

static void session_drained(struct session *base)
{
    memory_bulk_throttle((struct memory_session *)base);
}

/* A client that will say no more and waits in a blocking command has left: as Redis sees it too. */
/* Or the process ends. */
static void session_half_closed(struct session *base)
{
    struct memory_session *s = (struct memory_session *)base;

    for (struct memory_request *r = s->first; r != NULL; r = r->next)
        if (r->no_deadline) {
            session_close(base, CLOSE_CLIENT_LEFT);
            return;
        }
}

/* Said on a plain socket that was just accepted: there is room for a line. */
static void turn_away(const struct session_limits *limits, int fd)
{
    const struct memory_side *side = LIST_ITEM(limits, struct memory_side, limits);
    struct buf words = { 0 };

    side->front->turn_away(&words);
    (void)!send(fd, words.at, words.len, MSG_NOSIGNAL | MSG_DONTWAIT);
    buf_fini(&words);
}

const struct flow memory_flow = {
    .name = "memory",
    .gains_by_crowds = true,
    .turn_away = turn_away,
    .session_begin = session_begin,
    .session_input = session_input,
    .session_drained = session_drained,
    .session_half_closed = session_half_closed,
    .session_drains = session_half_closed,
    .session_end = session_end,
    .upstream_connected = memory_upstream_connected,
    .upstream_input = memory_upstream_input,
    .upstream_passed = memory_upstream_passed,
    .upstream_lost = memory_upstream_lost,
    .upstream_drained = memory_upstream_drained,
};
