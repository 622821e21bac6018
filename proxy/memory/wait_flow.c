/* Requests that wait for a lease, because max_upstreams of the endpoint are leased in the process.
 *
 *     memory_attempt_start --no lease is free--> waiting --one is free--> memory_attempt_put
 *                                                   +-- queue_timeout: refused
 *
 * They are served in their order.  A lease that lies idle at another worker counts too: who waits
 * leaves word at the endpoint, and the others then give up what they do not use. */
#include "proxy/memory/memory_flow.h"

enum { WORD_COUNTS_US = 1000 * 1000 }; /* longer than any worker rests between two ticks */

bool memory_wait_begin(struct memory_attempt *a)
{
    struct memory_side *side = a->request->side;

    if (a->shard->waiter_count >= side->settings->max_queue)
        return false;
    a->since_us = worker_now_us(side->worker);
    /* What it points to may be the session's input, which does not stay. */
    a->request->parts[a->part].bytes =
        arena_copy(&a->request->arena, a->request->parts[a->part].bytes);
    memory_request_weigh(a->request);
    list_append(&a->shard->waiters, &a->wait_link);
    a->shard->waiter_count++;
    worker_be_busy(side->worker);
    return true;
}

void memory_wait_end(struct memory_attempt *a)
{
    if (!list_is_linked(&a->wait_link))
        return;
    list_remove(&a->wait_link);
    a->shard->waiter_count--;
}

/* A session that is not read from did not see its client leave, who may not be given an element. */
static bool is_left(const struct memory_request *r)
{
    return r->no_deadline && r->session != NULL && conn_is_left(&r->session->base.conn);
}

/* True: it waits no more, and may not be there any more. */
static bool serve(struct memory_attempt *a, uint64_t now_us)
{
    struct memory_shard *shard = a->shard;
    struct memory_refusal refusal = { .err = ERR_DOWN,
                                      .shard = shard->told_index,
                                      .endpoint = shard->name };

    if (is_left(a->request)) {
        session_close(&a->request->session->base, CLOSE_CLIENT_LEFT);
        return true;
    }
    if (!shard->present) {
        refusal.text = "it was taken out of the configuration";
    } else if (memory_attempt_put(a, &refusal)) {
        memory_wait_end(a);
        return true;
    } else if (refusal.err == ERR_AGAIN) {
        if (now_us < a->since_us + a->request->side->settings->queue_timeout_ms * 1000)
            return false;
        refusal.text = "max_upstreams upstreams are leased to other sessions, and none was given "
                       "back within queue_timeout";
    }
    memory_wait_end(a);
    counter_add(&shard->stats->refusals, 1);
    memory_attempt_fail(a, &refusal);
    return true;
}

bool memory_wait_is_elsewhere(const struct memory_upstream *u)
{
    uint64_t wanted_us = atomic_load_explicit(
        &u->base.assembly->wanted_us[u->base.endpoint->number], memory_order_relaxed);

    return list_is_empty(&u->shard->waiters) && wanted_us != 0 &&
           worker_now_us(u->base.worker) < wanted_us + WORD_COUNTS_US;
}

void memory_wait_hurry(struct memory_side *side, const struct memory_shard *shard)
{
    if (!list_is_empty(&shard->waiters))
        worker_tick_now(side->worker);
}

void memory_wait_tick(struct memory_side *side, struct memory_shard *shard, uint64_t now_us)
{
    struct list *first;

    while ((first = list_first(&shard->waiters)) != NULL) /* others may leave with the one served */
        if (!serve(LIST_ITEM(first, struct memory_attempt, wait_link), now_us))
            break;
    if (!list_is_empty(&shard->waiters))
        worker_be_busy(side->worker);
    LIST_EACH (&shard->idle_leases, link) {
        struct memory_upstream *u = LIST_ITEM(link, struct memory_upstream, lease_link);

        if (memory_wait_is_elsewhere(u))
            memory_upstream_retire(u);
    }
}
