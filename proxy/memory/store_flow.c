/* Parts on embedded shards.  They have no upstream: what a store in memory answers is there before
 * memory_store_ask() returns; what one on disk does comes as a letter from its thread
 * (store_home_flow.c), and until then the attempt stands on the shard's list `asked`, where its
 * deadline is looked after.  So does a walk over a store in memory that is too large for a step. */
#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memory_flow.h"
#include "proxy/memory/store_home_flow.h"

struct memory_store_job {
    struct store_job base;
    struct list link; /* on the shard's `asked` */
    struct memory_attempt *attempt;
    size_t held; /* as told to the worker */
};

/* ---- the shard ---- */

void memory_store_begin(struct memory_shard *shard, const struct endpoint_settings *endpoint)
{
    const struct memory_back *back = memory_back_find(endpoint->protocol);

    if (back->engine != NULL)
        shard->store = store_home_enter(endpoint, back->engine);
}

void memory_store_follow(struct memory_side *side, struct memory_shard *shard)
{
    if (shard->store != NULL)
        store_home_follow(shard->store, shard->endpoint,
                          buf_all(&side->worker->assembly->stamps[shard->endpoint->number]));
}

void memory_store_end(struct memory_shard *shard)
{
    if (shard->store != NULL)
        store_home_leave(&shard->store);
}

/* ---- asking ---- */

static struct verbs_ask ask_of(const struct memory_attempt *a)
{
    const struct memory_request *r = a->request;

    return (struct verbs_ask){ .bytes = r->parts[a->part].bytes,
                               .database = r->session->route->database,
                               .version = r->session->route->version,
                               .reply_most = r->session->base.limits->max_bytes };
}

/* Texts are of the caller. */
static void refuse(struct memory_attempt *a, enum err err, const char *text)
{
    const struct assembly *assembly = a->request->side->assembly;
    struct memory_refusal refusal = {
        .err = err, .shard = a->shard->told_index, .endpoint = a->shard->name, .text = text
    };

    /* Its probe is to see it before its turn. */
    if ((err == ERR_DOWN || err == ERR_STAMP) &&
        board_get(assembly->board, a->shard->endpoint->number).state == VERDICT_UP)
        board_ring(assembly->board, a->request->side->settings->base.number);
    counter_add(&a->shard->stats->refusals, 1);
    memory_attempt_fail(a, &refusal);
}

/* Nobody waits for it any more; it is still the home's. */
static void put_down(struct worker *w, struct memory_store_job *job)
{
    list_remove(&job->link);
    job->attempt->shard->asked_count--;
    job->attempt = NULL;
    worker_release(w, job->held);
}

static void come_home(struct worker *w, struct store_job *base)
{
    struct memory_store_job *job = (struct memory_store_job *)base;
    struct memory_attempt *a = job->attempt;
    struct memory_request *r;

    if (a == NULL) { /* nobody waits: the worker is about to leave */
        store_job_free(base);
        return;
    }
    r = a->request;
    put_down(w, job);
    histogram_add(&a->shard->stats->latency_us, worker_now_us(w) - a->since_us);
    if (base->err == ERR_NONE) {
        memory_attempt_answer(a, buf_all(&base->reply));
    } else {
        buf_put(&base->reply, "", 1);
        refuse(a, base->err, (const char *)base->reply.at);
    }
    store_job_free(base);
    memory_request_unref(r);
}

/* Takes the walk, if it is one that goes on. */
static void give_to_thread(struct memory_attempt *a, struct verbs_walk *walk)
{
    struct memory_request *r = a->request;
    struct worker *w = r->side->worker;
    struct memory_store_job *job;

    if (a->shard->asked_count >= r->side->settings->max_queue) {
        refuse(a, ERR_LIMIT, "max_queue requests wait for it already");
        return;
    }
    job = mem_new(sizeof(*job));
    job->attempt = a;
    job->base.ask = ask_of(a);
    buf_slice(&job->base.bytes, job->base.ask.bytes);
    job->base.ask.bytes = buf_all(&job->base.bytes);
    if (walk != NULL) {
        job->base.walk = *walk;
        *walk = (struct verbs_walk){ 0 };
    }
    if (r->alone) /* else what the session asks behind it might be done in the middle of it */
        job->base.ask.walk = &job->base.walk;
    job->base.worker = w->index;
    job->base.done = come_home;
    job->held = sizeof(*job) + job->base.bytes.cap + job->base.walk.names.cap;
    list_append(&a->shard->asked, &job->link);
    if (!store_home_ask(a->shard->store, &job->base, w->max_bytes / 2)) {
        list_remove(&job->link);
        store_job_free(&job->base);
        refuse(a, ERR_LIMIT, "half of max_memory waits for its disk already");
        return;
    }
    a->shard->asked_count++;
    worker_hold(w, job->held);
    r->refs++;
    worker_be_busy(w);
}

static void ask_thread(struct memory_attempt *a)
{
    char why[CONDITION_WHY_BYTES];
    enum err err = store_home_refuses(a->shard->store, why);

    if (err != ERR_NONE)
        refuse(a, err, why);
    else
        give_to_thread(a, NULL);
}

/* What the session asks behind a walk that goes on waits until it is over: it may change what that
 * comes by. */
static void go_on(struct memory_attempt *a, struct verbs_walk *walk)
{
    struct memory_request *r = a->request;

    if (r->session->last == r) {
        r->alone = true;
        r->session->halted = true;
    }
    give_to_thread(a, walk);
}

static void run_now(struct memory_attempt *a)
{
    struct buf *reply = &memory_works_of(a->request->side->worker)->store_reply;
    struct verbs_walk walk = { 0 };
    struct verbs_ask ask = ask_of(a);
    enum err err;

    buf_clear(reply);
    ask.walk = &walk;
    err = store_home_run(a->shard->store, &ask, reply);
    if (walk.goes_on) {
        go_on(a, &walk);
    } else if (err == ERR_NONE) {
        memory_attempt_answer(a, buf_all(reply));
    } else {
        buf_put(reply, "", 1);
        refuse(a, err, (const char *)reply->at);
    }
    buf_fini(&walk.names);
    store_trim(reply);
}

static bool is_drained(const struct memory_attempt *a)
{
    const struct assembly *assembly = a->request->side->assembly;

    return board_get(assembly->board, a->shard->endpoint->number).state == VERDICT_DRAINING;
}

void memory_store_ask(struct memory_attempt *a)
{
    struct memory_request *r = a->request;

    if (r->session == NULL) {
        refuse(a, ERR_CLOSED, "the session is gone");
        return;
    }
    a->since_us = worker_now_us(r->side->worker);
    counter_add(&a->shard->stats->requests, 1);
    counter_add(&a->shard->stats->bytes_out, r->parts[a->part].bytes.len);
    if (is_drained(a))
        refuse(a, ERR_DOWN, "drained by the operator");
    else if (r->resumes)
        refuse(a, ERR_UNSUPPORTED, "WATCH is not served by an embedded shard");
    else if (store_home_waits(a->shard->store))
        ask_thread(a);
    else
        run_now(a);
}

/* What is under way will come home to nobody. */
void memory_store_leave(struct memory_side *side, struct memory_shard *shard)
{
    LIST_EACH (&shard->asked, link) {
        struct memory_store_job *job = LIST_ITEM(link, struct memory_store_job, link);
        struct memory_request *r = job->attempt->request;

        put_down(side->worker, job);
        memory_request_unref(r);
    }
}

/* ---- the clock ---- */

void memory_store_tick(struct memory_side *side, struct memory_shard *shard, uint64_t now_us)
{
    uint64_t timeout_us = side->settings->timeout_ms * 1000;

    if (shard->store == NULL)
        return;
    store_home_tick(shard->store, now_us);
    LIST_EACH (&shard->asked, link) {
        struct memory_store_job *job = LIST_ITEM(link, struct memory_store_job, link);
        struct memory_attempt *a = job->attempt;
        struct memory_refusal refusal = {
            .err = ERR_TIMEOUT,
            .shard = shard->told_index,
            .endpoint = shard->name,
            .text = "no reply within timeout: the request may have been carried out",
        };

        if (a->tombstone || a->request->session == NULL) {
            atomic_store(&job->base.is_unwanted, true);
            continue;
        }
        if (now_us < a->since_us + timeout_us)
            break;
        counter_add(&shard->stats->timeouts, 1);
        memory_attempt_fail(a, &refusal);
    }
    if (memory_store_is_busy(shard))
        worker_be_busy(side->worker);
}
