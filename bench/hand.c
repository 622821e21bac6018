/* See hand.h.  A closed loop sends a batch of calls on each connection and the next batch once all
 * its replies are there.  With a fixed rate each call has its time; whichever connection has room
 * takes the next one that is due, and its latency counts from that time: a call that had to wait
 * because the target was slow is a slow call. */
#include "bench/hand.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/crew.h"
#include "bench/ledger.h"
#include "bench/target.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

enum {
    HAND_OPENING_MAX = 64, /* connections under way at once: below every listener's backlog */
    HAND_TICK_US = 50000,
    HAND_REOPEN_US = 50000,
    HAND_TEXT_BYTES = 200,
};

static bool is_idle(const struct hand *h, const struct lane *l)
{
    return l >= h->lanes + h->lane_count;
}

static bool has_more_keys(const struct hand *h)
{
    for (uint32_t i = 0; i < h->lane_count; i++) {
        if (h->lanes[i].cursor < h->load->keys.count)
            return true;
    }
    return false;
}

static bool run_is_over(const struct hand *h, uint64_t now_us)
{
    if (crew_is_interrupted())
        return true;
    if (h->plan->count > 0)
        return h->quota == 0;
    return now_us >= h->until_us;
}

/* Is there nothing left to call in this stage? */
static bool is_exhausted(const struct hand *h, uint64_t now_us)
{
    switch (h->stage) {
    case HAND_OPEN:
        return h->to_open + h->opening == 0;
    case HAND_FILL:
    case HAND_AUDIT:
        return crew_is_interrupted() || !has_more_keys(h);
    case HAND_RUN:
        return run_is_over(h, now_us);
    }
    return true;
}

static void end_if_done(struct hand *h, uint64_t now_us)
{
    if (!h->failed && !is_exhausted(h, now_us))
        return;
    for (uint32_t i = 0; i < h->lane_count && !h->failed; i++) {
        if (h->lanes[i].count > 0)
            return;
    }
    event_base_loopbreak(h->base);
}

static void fail(struct hand *h, const char *why)
{
    if (!h->failed)
        snprintf(h->problem, sizeof(h->problem), "%s: %s", h->load->target->label, why);
    h->failed = true;
    event_base_loopbreak(h->base);
}

/* The next key of a pass over all of this lane's keys; false if there is none. */
static bool next_key(struct hand *h, struct lane *l, uint64_t *key)
{
    for (; l->cursor < h->load->keys.count; l->cursor += h->plan->connections) {
        if (h->stage == HAND_FILL || ledger_is_written(h->load->ledger, l->cursor)) {
            *key = l->cursor;
            l->cursor += h->plan->connections;
            return true;
        }
    }
    return false;
}

/* What this lane calls next; false if nothing. */
static bool next_call(struct hand *h, struct lane *l, uint64_t due_us, uint64_t now_us,
                      struct load_call *call)
{
    *call = (struct load_call){ .due_us = due_us,
                                .sent_us = now_us,
                                .seed = dice_roll(&h->dice),
                                .key = LOAD_ANY_KEY,
                                .lane = l->number };
    if (h->stage == HAND_RUN) {
        if (run_is_over(h, now_us))
            return false;
        if (h->plan->count > 0 && due_us >= h->measured_from_us)
            h->quota--;
        call->command = mix_pick(h->load->mix, &h->dice);
    } else {
        if (crew_is_interrupted() || !next_key(h, l, &call->key))
            return false;
        call->command = h->stage == HAND_FILL ? h->load->mix->fill : h->load->mix->audit;
    }
    call->version = ++l->version;
    return true;
}

static void send_call(struct hand *h, struct lane *l, const struct load_call *call)
{
    size_t before = l->out.len;

    lane_call(l, call);
    if (h->stage == HAND_RUN && call->due_us >= h->measured_from_us)
        counter_add(&h->figures.bytes_out, l->out.len - before);
}

/* Closed loop: the next batch. */
static void refill(struct hand *h, struct lane *l, uint64_t now_us)
{
    uint32_t depth = h->stage == HAND_RUN ? h->plan->pipeline : l->depth;
    struct load_call call;

    if (l->count > 0)
        return;
    while (l->count < depth && next_call(h, l, now_us, now_us, &call))
        send_call(h, l, &call);
    if (l->count > 0)
        lane_flush(l);
    else
        end_if_done(h, now_us);
}

static void advance_due(struct hand *h)
{
    double wait = h->interval_us;

    if (h->plan->poisson)
        wait *= -log(1 - dice_fraction(&h->dice));
    h->next_due_us += wait;
}

static void wake_when_due(struct hand *h, uint64_t now_us)
{
    uint64_t wait = h->next_due_us > (double)now_us ? (uint64_t)h->next_due_us - now_us + 1 : 1;
    struct timeval tv = { (time_t)(wait / 1000000), (suseconds_t)(wait % 1000000) };

    event_add(&h->due, &tv);
}

static void flush_dirty(struct hand *h)
{
    struct list *link;

    while ((link = list_first(&h->dirty)) != NULL) {
        list_remove(link);
        lane_flush(LIST_ITEM(link, struct lane, dirty));
    }
}

/* Fixed rate: gives what is due to lanes that have room. */
static void feed(struct hand *h)
{
    uint64_t now_us = clock_now_us();
    struct load_call call;
    struct list *link;

    while (h->next_due_us <= (double)now_us && (link = list_first(&h->rooms)) != NULL) {
        struct lane *l = LIST_ITEM(link, struct lane, link);

        if (!next_call(h, l, (uint64_t)h->next_due_us, now_us, &call))
            break;
        advance_due(h);
        send_call(h, l, &call);
        list_remove(&l->link);
        if (l->count < h->plan->pipeline)
            list_append(&h->rooms, &l->link);
        if (!list_is_linked(&l->dirty))
            list_append(&h->dirty, &l->dirty);
    }
    flush_dirty(h);
    if (run_is_over(h, now_us))
        end_if_done(h, now_us);
    else if (!list_is_empty(&h->rooms))
        wake_when_due(h, now_us);
}

static void has_room(struct hand *h, struct lane *l)
{
    if (h->stage == HAND_OPEN || is_idle(h, l))
        return;
    if (h->stage != HAND_RUN || h->plan->rate == 0) {
        refill(h, l, clock_now_us());
        return;
    }
    if (l->count < h->plan->pipeline && !list_is_linked(&l->link))
        list_append(&h->rooms, &l->link);
    feed(h);
}

static void on_due(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    feed(arg);
}

static void open_more(struct hand *h)
{
    if (h->is_opening)
        return;
    h->is_opening = true;
    while (h->to_open > 0 && h->opening < HAND_OPENING_MAX && !h->failed) {
        struct lane *l = &h->lanes[h->lane_count + h->idle_count - h->to_open];

        h->to_open--;
        h->opening++;
        lane_open(l);
    }
    h->is_opening = false;
}

static void on_ready(struct lane *l)
{
    struct hand *h = l->owner;

    if (!is_idle(h, l)) {
        h->ready_count++;
        h->no_lane_since_us = 0;
    }
    if (h->stage == HAND_OPEN) {
        h->opening--;
        open_more(h);
        end_if_done(h, clock_now_us());
    } else {
        counter_add(&h->figures.reconnects, 1);
        has_room(h, l);
    }
}

static void note_foreign(struct hand *h, struct figures_text *table, const struct load_outcome *o)
{
    uint8_t name[KEYSPACE_NAME_MAX] = "";
    size_t name_len = 0, shown = o->text.len < 80 ? o->text.len : 80;
    char text[HAND_TEXT_BYTES + KEYSPACE_NAME_MAX];

    if (o->key != LOAD_ANY_KEY) {
        name_len = keyspace_name_len(&h->load->keys);
        keyspace_name(&h->load->keys, o->key, name);
    }
    snprintf(text, sizeof(text), "for %.*s came: %.*s", (int)name_len, (const char *)name,
             (int)shown, (const char *)o->text.at);
    figures_note(table, slice_text(text), 1);
}

static void count_verdict(struct hand *h, const struct load_call *call,
                          const struct load_outcome *outcome)
{
    struct figures *f = &h->figures;

    switch (outcome->verdict) {
    case LOAD_FINE:
        break;
    case LOAD_MISS:
        if (h->stage == HAND_RUN && call->due_us >= h->measured_from_us)
            counter_add(&f->misses, 1);
        break;
    case LOAD_ERROR:
        counter_add(&f->errors, 1);
        figures_note(f->error_texts, outcome->text, 1);
        h->load->driver->forget(h->load, call);
        break;
    case LOAD_FOREIGN:
        counter_add(&f->foreign, 1);
        note_foreign(h, f->foreign_texts, outcome);
        h->load->driver->forget(h->load, call);
        break;
    case LOAD_LOST:
        counter_add(&f->lost, 1);
        h->load->ledger->entries[outcome->key].lost = true;
        note_foreign(h, f->lost_texts, outcome);
        break;
    }
}

static void on_answered(struct lane *l, const struct load_call *call,
                        const struct load_outcome *outcome, size_t reply_bytes, uint64_t now_us)
{
    struct hand *h = l->owner;
    struct figures *f = &h->figures;

    count_verdict(h, call, outcome);
    if (h->stage == HAND_RUN && call->due_us >= h->measured_from_us) {
        counter_add(&f->calls, 1);
        counter_add(&f->bytes_in, reply_bytes);
        histogram_add(&f->latency[call->command],
                      now_us > call->due_us ? now_us - call->due_us : 0);
        h->ended_us = now_us;
    } else if (h->stage == HAND_FILL && outcome->verdict <= LOAD_MISS) {
        counter_add(&f->filled, 1);
    } else if (h->stage == HAND_AUDIT) {
        counter_add(outcome->verdict == LOAD_ERROR ? &f->unread : &f->audited, 1);
    }
}

static void on_resumed(struct lane *l)
{
    has_room(l->owner, l);
}

static void forget_calls(struct hand *h, struct lane *l)
{
    for (uint32_t i = 0; i < l->count; i++) {
        const struct load_call *call = &l->calls[(l->head + i) % l->depth];

        h->load->driver->forget(h->load, call);
        counter_add(h->stage == HAND_AUDIT ? &h->figures.unread : &h->figures.unanswered, 1);
    }
}

static void on_lost(struct lane *l)
{
    struct hand *h = l->owner;
    char text[HAND_TEXT_BYTES];

    list_remove(&l->link);
    list_remove(&l->dirty);
    if (h->stage == HAND_OPEN) {
        fail(h, l->problem);
        return;
    }
    if (is_idle(h, l)) {
        counter_add(&h->figures.idle_lost, 1);
        snprintf(text, sizeof(text), "idle connection: %s", l->problem);
        figures_note(h->figures.error_texts, slice_text(text), 1);
        return;
    }
    forget_calls(h, l);
    if (l->unasked && h->load->verify) {
        counter_add(&h->figures.foreign, 1);
        figures_note(h->figures.foreign_texts, slice_text(l->problem), 1);
    }
    l->reopen_us = clock_now_us() + HAND_REOPEN_US;
    if (l->lost_from != LANE_READY)
        return;
    if (--h->ready_count == 0)
        h->no_lane_since_us = clock_now_us();
    snprintf(text, sizeof(text), "connection: %s", l->problem);
    figures_note(h->figures.error_texts, slice_text(text), 1);
    counter_add(&h->figures.errors, 1);
}

static const struct lane_events EVENTS = {
    .ready = on_ready,
    .answered = on_answered,
    .resumed = on_resumed,
    .lost = on_lost,
};

static void tend_lane(struct hand *h, struct lane *l, uint64_t now_us)
{
    if (l->state == LANE_CLOSED) {
        if (l->reopen_us > 0 && now_us >= l->reopen_us && !is_exhausted(h, now_us))
            lane_open(l);
    } else if (l->count > 0 && now_us > lane_oldest(l)->sent_us + h->plan->timeout_us) {
        lane_give_up(l, "no reply within --timeout");
    }
}

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    struct hand *h = arg;
    uint64_t now_us = clock_now_us();

    (void)fd;
    (void)what;
    if (h->stage == HAND_OPEN) {
        open_more(h);
        if (now_us > h->started_us + h->plan->timeout_us + 60 * (uint64_t)h->idle_count)
            fail(h, "no connection within --timeout");
    } else {
        for (uint32_t i = 0; i < h->lane_count; i++)
            tend_lane(h, &h->lanes[i], now_us);
    }
    if (h->no_lane_since_us > 0 && now_us > h->no_lane_since_us + 3 * h->plan->timeout_us)
        fail(h, "all connections are lost and none can be opened again");
    if (crew_is_interrupted() && h->stage != HAND_RUN)
        event_base_loopbreak(h->base);
    end_if_done(h, now_us);
}

void hand_init(struct hand *h, const struct plan *plan, const struct load *load, uint32_t number,
               uint64_t seed)
{
    struct event_config *config = event_config_new();
    uint32_t depth = plan->pipeline > 16 ? plan->pipeline : 16;

    *h = (struct hand){ .plan = plan, .load = load, .number = number, .dice = { seed } };
    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_PRECISE_TIMER);
    h->base = event_base_new_with_config(config);
    event_config_free(config);
    list_init(&h->rooms);
    list_init(&h->dirty);
    h->lane_count =
        plan->connections / plan->threads + (number < plan->connections % plan->threads);
    h->idle_count = plan->idle / plan->threads + (number < plan->idle % plan->threads);
    h->to_open = h->lane_count + h->idle_count;
    h->lanes = mem_new(h->to_open * sizeof(*h->lanes));
    for (uint32_t i = 0; i < h->to_open; i++) {
        struct lane *l = &h->lanes[i];

        l->load = load;
        l->events = &EVENTS;
        l->owner = h;
        l->base = h->base;
        l->number = number + i * plan->threads;
        lane_init(l, i < h->lane_count ? depth : 0);
    }
    event_assign(&h->tick, h->base, -1, EV_PERSIST, on_tick, h);
    event_assign(&h->due, h->base, -1, 0, on_due, h);
}

static void begin_run(struct hand *h)
{
    const struct plan *p = h->plan;

    h->measured_from_us = h->started_us + p->warmup_us;
    h->until_us = h->measured_from_us + p->duration_us;
    h->quota = p->count / p->threads + (h->number < p->count % p->threads);
    if (p->rate > 0) {
        h->interval_us = 1e6 * p->threads / (double)p->rate;
        h->next_due_us = (double)h->started_us + h->interval_us * h->number / p->threads;
    }
}

/* With a fixed rate: what was due and never sent. */
static void end_run(struct hand *h)
{
    double end_us = (double)(h->plan->count > 0 ? h->ended_us : h->until_us);

    if (h->plan->rate > 0 && !crew_is_interrupted() && h->next_due_us < end_us)
        counter_add(&h->figures.unsent, (uint64_t)((end_us - h->next_due_us) / h->interval_us));
    event_del(&h->due);
}

bool hand_work(struct hand *h, enum hand_stage stage)
{
    struct timeval tick = { 0, HAND_TICK_US };

    h->stage = stage;
    h->started_us = clock_now_us();
    for (uint32_t i = 0; i < h->lane_count; i++)
        h->lanes[i].cursor = h->lanes[i].number;
    if (stage == HAND_RUN)
        begin_run(h);
    event_add(&h->tick, &tick);
    if (stage == HAND_OPEN)
        open_more(h);
    for (uint32_t i = 0; i < h->lane_count && stage != HAND_OPEN; i++) {
        if (h->lanes[i].state == LANE_READY)
            has_room(h, &h->lanes[i]);
    }
    if (!h->failed)
        event_base_dispatch(h->base);
    event_del(&h->tick);
    if (stage == HAND_RUN)
        end_run(h);
    return !h->failed;
}

void hand_fini(struct hand *h)
{
    for (uint32_t i = 0; i < h->lane_count + h->idle_count; i++)
        lane_fini(&h->lanes[i]);
    free(h->lanes);
    event_base_free(h->base);
}
