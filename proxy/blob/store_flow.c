/* Calls to shards: what holds for every kind of store.  A shard that is down is not asked, and its
 * keys' requests hear so at once.  Owners hear of the end of a call when nothing of them is
 * running: at the end of the turn, if the store could not say it at another time. */
#include <stdio.h>

#include "proxy/blob/blob_flow.h"

#include "proxy/core/assembly.h"

enum { COPY_PATIENCE = 10 }; /* times as long */

static struct blob_side *side_of(const struct blob_call *c)
{
    return c->shard->side;
}

/* ---- the end ---- */

static void forget(struct blob_call *c)
{
    struct blob_shard *shard = c->shard;

    list_remove(&c->link);
    list_remove(&c->due);
    shard->call_count--;
    counter_sub(&shard->stats->requests_open, 1);
    c->shard = NULL;
    c->lease = NULL;
    c->deadline_us = 0;
}

void blob_call_ended(struct blob_call *c, enum err err, const char *why)
{
    blob_tally(c, err);
    forget(c);
    c->events->ended(c, err, why);
}

void blob_call_body(struct blob_call *c, struct slice bytes)
{
    if (c->answer.status >= 300 && c->received == 0)
        c->error = blob_counts_error_in(bytes);
    c->received += bytes.len;
    if (bytes.len > 0 && c->events->body != NULL)
        c->events->body(c, bytes);
}

static void tell_later(struct blob_call *c)
{
    list_remove(&c->due); /* it may be among those that wait for memory */
    list_append(&side_of(c)->due, &c->due);
    worker_tick_now(side_of(c)->worker); /* the turn may be over but for that */
}

void blob_call_fail_later(struct blob_call *c, enum err err, const char *why)
{
    c->failed = err;
    snprintf(c->failed_why, sizeof(c->failed_why), "%s", why);
    tell_later(c);
}

uint64_t blob_call_patience_us(const struct blob_call *c)
{
    enum s3_op op = c->ask.op;
    bool copies = op == S3_OP_COPY_OBJECT || op == S3_OP_COPY_PART || op == S3_OP_COMPLETE_UPLOAD;

    return blob_pool_of(c->shard->settings->pool)->timeout_ms * 1000 * (copies ? COPY_PATIENCE : 1);
}

void blob_call_room_later(struct blob_call *c)
{
    if (c->events->room == NULL || c->failed != ERR_NONE)
        return;
    c->has_room = true;
    tell_later(c);
}

/* While memory is short its body waits where it is: at the client; not for ever. */
static void tell_room(struct blob_call *c)
{
    struct blob_side *side = side_of(c);
    uint64_t stall_ms = side->settings->stall_timeout_ms;

    if (blob_memory_is_short(side->worker)) {
        if (stall_ms > 0)
            c->deadline_us = worker_now_us(side->worker) + stall_ms * 1000;
        list_append(&side->short_of, &c->due);
        return;
    }
    c->has_room = false;
    c->events->room(c);
}

/* A few at a time, as far as there is memory for what they may bring at once.  What the others hold
 * goes with time: it moves, or their stores' stall_timeout ends it. */
static void let_go_on(struct blob_side *side)
{
    const struct worker *w = side->worker;
    size_t most = w->max_bytes - w->max_bytes / 4, held = worker_bytes(w);
    size_t count = held > most ? 0 : 1 + (most - held) / WORKER_SCRATCH_BYTES;
    struct list *link;

    while (count-- > 0 && (link = list_first(&side->short_of)) != NULL) {
        struct blob_call *c = LIST_ITEM(link, struct blob_call, due);

        list_remove(link);
        c->has_room = false;
        c->deadline_us = 0;
        c->events->room(c);
    }
}

void blob_store_turn_ends(struct blob_side *side)
{
    char why[BLOB_WHY_BYTES];
    struct list now, *link;

    list_init(&now); /* what comes meanwhile is for the next turn */
    while ((link = list_first(&side->due)) != NULL) {
        list_remove(link);
        list_append(&now, link);
    }
    while ((link = list_first(&now)) != NULL) {
        struct blob_call *c = LIST_ITEM(link, struct blob_call, due);
        enum err err = c->failed;

        list_remove(link);
        if (err == ERR_NONE) {
            tell_room(c);
            continue;
        }
        c->failed = ERR_NONE;
        blob_tally_unasked(c, err);
        forget(c);
        snprintf(why, sizeof(why), "%s", c->failed_why);
        c->events->ended(c, err, why); /* the call may be gone then */
    }
}

/* ---- the beginning ---- */

static bool is_up(const struct blob_shard *shard, struct verdict *verdict)
{
    *verdict = board_get(shard->side->assembly->board, shard->settings->number);
    return verdict->state != VERDICT_DOWN && verdict->state != VERDICT_DRAINING;
}

bool blob_shard_is_up(const struct blob_shard *shard)
{
    struct verdict verdict;

    return shard->present && is_up(shard, &verdict);
}

static void pass_to_store(struct blob_call *c)
{
    counter_add(&c->shard->stats->requests, 1);
    c->shard->back->start(c);
}

void blob_call_start(struct blob_call *c, struct blob_shard *shard,
                     const struct blob_events *events)
{
    struct verdict verdict;

    c->shard = shard;
    c->events = events;
    c->answer = (struct blob_answer){ 0 };
    c->sent = c->received = 0;
    c->error = S3_NONE;
    c->failed = ERR_NONE;
    c->holds = c->retried = c->has_room = c->was_asked = false;
    c->lease = NULL;
    c->started_us = worker_now_us(shard->side->worker);
    c->deadline_us = 0;
    list_init(&c->link);
    list_init(&c->due);
    list_append(&shard->calls, &c->link);
    shard->call_count++;
    counter_add(&shard->stats->requests_open, 1);
    worker_be_busy(shard->side->worker);
    if (!shard->present)
        blob_call_fail_later(c, ERR_DOWN, "it is not in the configuration any more");
    else if (!is_up(shard, &verdict))
        blob_call_fail_later(c, ERR_DOWN, reason_text(verdict.reason));
    else if (c->is_stamp || blob_stamp_admits(c))
        pass_to_store(c);
}

void blob_call_stamped(struct blob_call *c)
{
    pass_to_store(c);
}

/* ---- what its owner does ---- */

void blob_call_send(struct blob_call *c, struct slice bytes)
{
    if (c->shard == NULL || c->failed != ERR_NONE || bytes.len == 0)
        return;
    c->sent += bytes.len;
    c->shard->back->send(c, bytes);
}

bool blob_call_streams(const struct blob_call *c)
{
    return c->ask.has_body && c->ask.body.at == NULL && c->ask.length > 0;
}

bool blob_call_is_all_sent(const struct blob_call *c)
{
    return !blob_call_streams(c) || c->sent == c->ask.length;
}

bool blob_call_has_room(const struct blob_call *c)
{
    return c->shard == NULL || c->failed != ERR_NONE || c->shard->back->has_room(c);
}

struct upstream *blob_call_through(const struct blob_call *c)
{
    if (c->shard == NULL || c->failed != ERR_NONE || c->shard->back->through == NULL)
        return NULL;
    return c->shard->back->through(c);
}

void blob_call_went(struct blob_call *c, size_t len)
{
    c->sent += len;
    c->shard->back->went(c, len);
}

void blob_call_hold(struct blob_call *c, bool hold)
{
    if (c->shard == NULL || c->failed != ERR_NONE || c->holds == hold)
        return;
    c->holds = hold;
    if (c->lease != NULL)
        c->shard->back->hold(c, hold);
}

void blob_call_abort(struct blob_call *c)
{
    if (c->shard == NULL)
        return;
    blob_tally_unasked(c, ERR_NONE);
    if (c->lease != NULL)
        c->shard->back->abort(c);
    forget(c);
}

/* ---- clock ---- */

void blob_store_tick(struct blob_side *side, uint64_t now_us)
{
    let_go_on(side);
    for (uint32_t i = 0; i < side->shard_count; i++)
        side->shards[i]->back->tick(side->shards[i], now_us);
    LIST_EACH (&side->past_shards, link) {
        struct blob_shard *shard = LIST_ITEM(link, struct blob_shard, link);

        shard->back->tick(shard, now_us);
    }
}
