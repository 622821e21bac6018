/* Upstreams of memory pools: login, replies to whom they belong, loss, leases, and the clock.
 *
 * A shard that can't be reached is `failing`: its requests are refused at once, and the clock tries
 * again after a back-off; the first upstream that becomes ready ends it.  An upstream that stands
 * but is silent refuses too, while a tombstone waits at its front. */
#include "proxy/memory/memory_flow.h"

#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/backoff.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "shard/stamp.h"

static void tally_loss(const struct memory_upstream *u, enum err err, bool connecting)
{
    tally_failure(u->base.assembly->tallies[u->base.worker->index], u->base.endpoint->number,
                  reason_of_err(err, connecting));
}

/* ---- refusing ---- */

static bool is_silent(const struct memory_upstream *u)
{
    return u->first != NULL && (u->first->tombstone || u->first->request->session == NULL) &&
           worker_now_us(u->base.worker) - u->heard_us > u->side->settings->timeout_ms * 1000;
}

/* Nobody has tried for long though it was time, since no session was there: the next request
 * does. */
static bool is_forgotten(const struct memory_shard *shard, uint64_t now_us)
{
    enum { LONG_US = 1000 * 1000 };

    return shard->trial == NULL && now_us > shard->retry_at_us + LONG_US;
}

static struct verdict verdict_of(const struct memory_upstream *u)
{
    return board_get(u->base.assembly->board, u->base.endpoint->number);
}

static bool refuses_as_silent(const struct memory_upstream *u, struct memory_refusal *refusal)
{
    if (!is_silent(u))
        return false;
    refusal->err = ERR_TIMEOUT;
    refusal->text = "it takes requests but has not answered for longer than timeout";
    return true;
}

/* A new connection would only be waited for in vain, unless one has stood since it was judged. */
static bool refuses_new(const struct memory_upstream *u, struct memory_refusal *refusal)
{
    struct verdict verdict = verdict_of(u);

    if (verdict.state != VERDICT_DOWN || u->shard->stood_us > verdict.since_ms * 1000)
        return false;
    refusal->text = reason_text(verdict.reason);
    refusal->is_loading = verdict.reason == HEALTH_LOADING;
    return true;
}

/* Has its server let so much wait that no more may? */
static bool is_stuffed(const struct memory_upstream *u)
{
    const struct worker *w = u->base.worker;
    uint64_t unsent = u->base.put_bytes - u->base.written_bytes;
    bool waits = unsent > 0 && (u->base.blocked || u->base.state != UPSTREAM_READY);

    return unsent > w->max_bytes / 2 || (waits && w->unsent_bytes > w->max_bytes / 2);
}

bool memory_upstream_refuses(struct memory_upstream *u, struct memory_refusal *refusal)
{
    const struct memory_shard *shard = u->shard;

    if (shard->failing && !is_forgotten(shard, worker_now_us(u->base.worker))) {
        refusal->err = shard->failure;
        refusal->text = shard->why;
    } else if (verdict_of(u).state == VERDICT_DRAINING) {
        refusal->text = "drained by the operator";
    } else if (u->why != NULL && worker_now_us(u->base.worker) < u->refused_until_us) {
        refusal->err = u->why_err;
        refusal->text = u->why;
    } else if (refuses_as_silent(u, refusal) ||
               (u->base.state != UPSTREAM_READY && refuses_new(u, refusal))) {
        return true;
    } else if (is_stuffed(u)) {
        refusal->err = ERR_LIMIT;
        refusal->text = "it takes no more bytes, and half of max_memory waits for servers already";
    } else if (u->queued >= u->side->settings->max_queue) {
        refusal->err = ERR_LIMIT;
        refusal->text = "max_queue requests wait for it already";
    } else {
        return false;
    }
    return true;
}

/* ---- making and finding ---- */

static struct memory_upstream *make(struct memory_side *side, uint32_t shard, uint32_t database,
                                    uint8_t version, bool leased)
{
    const struct endpoint_settings *endpoint = side->shards[shard]->endpoint;
    struct upstream *base = upstream_new(side->worker, sizeof(struct memory_upstream), &memory_flow,
                                         side->assembly, endpoint);
    struct memory_upstream *u = (struct memory_upstream *)base;

    u->side = side;
    u->shard = side->shards[shard];
    u->database = database;
    u->version = version;
    u->back = memory_back_find(endpoint->protocol);
    u->leased = leased;
    list_init(&u->lease_link);
    return u;
}

struct memory_upstream *memory_upstream_shared(struct memory_session *s, uint32_t shard)
{
    uint32_t each = memory_side_of(s)->settings->upstreams;
    struct memory_upstream **place =
        &s->route->shared[shard * each + (each == 1 ? 0 : (uint32_t)(s->base.id % each))];

    if (*place == NULL)
        *place = make(memory_side_of(s), shard, s->route->database, s->route->version, false);
    return *place;
}

/* ---- leases ---- */

static struct memory_upstream *idle_lease(struct memory_session *s, uint32_t shard)
{
    LIST_EACH (&memory_side_of(s)->shards[shard]->idle_leases, link) {
        struct memory_upstream *u = LIST_ITEM(link, struct memory_upstream, lease_link);

        if (u->database == s->route->database && u->version == s->route->version &&
            u->base.state == UPSTREAM_READY)
            return u;
    }
    return NULL;
}

/* One budget per endpoint for the whole process. */
static bool take_budget(struct memory_side *side, uint32_t shard)
{
    uint32_t number = side->shards[shard]->endpoint->number;

    if (atomic_fetch_add(&side->assembly->leased[number], 1) < side->settings->max_upstreams)
        return true;
    atomic_fetch_sub(&side->assembly->leased[number], 1);
    return false;
}

/* An idle one of another database or version makes room; if there is none, other workers are
 * told. */
static bool make_room(struct memory_side *side, uint32_t shard)
{
    struct list *idle = list_first(&side->shards[shard]->idle_leases);

    if (idle != NULL) {
        memory_upstream_retire(LIST_ITEM(idle, struct memory_upstream, lease_link));
        if (take_budget(side, shard))
            return true;
    }
    atomic_store_explicit(&side->assembly->wanted_us[side->shards[shard]->endpoint->number],
                          worker_now_us(side->worker), memory_order_relaxed);
    return false;
}

struct memory_upstream *memory_upstream_lease(struct memory_session *s, uint32_t shard,
                                              bool resumes, struct memory_refusal *refusal)
{
    struct memory_shard *place = memory_side_of(s)->shards[shard];

    LIST_EACH (memory_leases(s), link) {
        struct memory_upstream *u = LIST_ITEM(link, struct memory_upstream, lease_link);

        if (u->shard == place && u->database == s->route->database &&
            u->version == s->route->version)
            return refuses_as_silent(u, refusal) ? NULL : u;
    }
    if (resumes) {
        refusal->err = ERR_CLOSED;
        refusal->text = "the connection that WATCH was said on is lost, or the session left it by "
                        "SELECT or HELLO";
        return NULL;
    }
    return memory_upstream_lease_new(s, shard, refusal);
}

struct memory_upstream *memory_upstream_lease_new(struct memory_session *s, uint32_t shard,
                                                  struct memory_refusal *refusal)
{
    struct memory_upstream *shared, *u;

    if (memory_side_of(s)->shards[shard]->store != NULL) {
        refusal->err = ERR_UNSUPPORTED;
        refusal->text = "it is embedded, and has no channels to subscribe to";
        return NULL;
    }
    shared = memory_upstream_shared(s, shard);
    if (memory_upstream_refuses(shared, refusal))
        return NULL;
    u = idle_lease(s, shard);
    if (u == NULL) {
        if (refuses_new(shared, refusal))
            return NULL;
        if (!take_budget(memory_side_of(s), shard) && !make_room(memory_side_of(s), shard)) {
            refusal->err = ERR_AGAIN;
            refusal->text = "max_upstreams upstreams are leased to other sessions already";
            return NULL;
        }
        u = make(memory_side_of(s), shard, s->route->database, s->route->version, true);
    }
    if (s->leases == NULL) {
        s->leases = mem_new(sizeof(*s->leases));
        list_init(s->leases);
    }
    list_remove(&u->lease_link);
    list_append(s->leases, &u->lease_link);
    u->lessee = s;
    u->shard->leased++;
    counter_add(&u->shard->stats->upstreams_leased, 1);
    return u;
}

static void end_lease(struct memory_upstream *u)
{
    list_remove(&u->lease_link);
    if (u->lessee != NULL) {
        u->shard->leased--;
        counter_sub(&u->shard->stats->upstreams_leased, 1);
    }
    u->lessee = NULL;
    u->base.pass_to = NULL;
}

static void fail_attempts(struct memory_upstream *u, const struct memory_refusal *refusal,
                          uint64_t before_byte)
{
    while (u->first != NULL && u->first->begin_byte < before_byte) {
        struct memory_attempt *a = u->first;
        struct memory_request *r = a->request;

        r->refs++;
        memory_attempt_fail(a, refusal);
        if (u->first == a) /* else failing it ended its session, and with it the upstream's lease */
            memory_attempt_pop(u);
        memory_request_unref(r);
    }
}

void memory_upstream_retire(struct memory_upstream *u)
{
    struct memory_refusal refusal = { .err = ERR_CLOSED,
                                      .shard = u->shard->told_index,
                                      .endpoint = u->shard->name,
                                      .text = "its connection was given up" };

    if (u->base.state == UPSTREAM_RETIRED)
        return;
    if (u->feed != NULL)
        memory_subscriber_lost(u, "its endpoint was taken out of the configuration");
    if (u->base.state == UPSTREAM_RETIRED)
        return;
    end_lease(u);
    if (u->base.state == UPSTREAM_READY) {
        counter_sub(&u->shard->stats->upstreams_open, 1);
        u->shard->ready--;
    }
    if (u->leased)
        atomic_fetch_sub(&u->base.assembly->leased[u->base.endpoint->number], 1);
    memory_wait_hurry(u->side, u->shard);
    if (u->shard->trial == u) {
        u->shard->trial = NULL;
        u->shard->retry_at_us = 0;
    }
    upstream_retire(&u->base);
    fail_attempts(u, &refusal, UINT64_MAX);
    buf_fini(&u->hello_reply);
    free(u->why);
    u->why = NULL;
}

void memory_upstream_give_back(struct memory_upstream *u)
{
    end_lease(u);
    /* What it watches is the server's memory: only closing is certain. */
    if (u->base.state != UPSTREAM_READY || u->first != NULL || u->ending || u->watching ||
        u->spoilt || memory_wait_is_elsewhere(u)) {
        memory_upstream_retire(u);
        return;
    }
    u->idle_since_us = worker_now_us(u->base.worker);
    list_append(&u->shard->idle_leases, &u->lease_link);
    memory_wait_hurry(u->side, u->shard);
}

/* Unanswered: it can't be used again, unless it is certain to be answered soon. */
static void let_go(struct memory_upstream *u, struct memory_session *s)
{
    if (u->base.state == UPSTREAM_READY && memory_blocked_leave(u, s)) {
        end_lease(u);
        u->blocked_command = true;
        u->heard_us = worker_now_us(u->base.worker);
        return;
    }
    memory_upstream_give_back(u);
}

void memory_session_end_leases(struct memory_session *s)
{
    while (!list_is_empty(memory_leases(s)))
        let_go(LIST_ITEM(list_first(s->leases), struct memory_upstream, lease_link), s);
}

void memory_session_give_back(struct memory_session *s)
{
    LIST_EACH (memory_leases(s), link) {
        struct memory_upstream *u = LIST_ITEM(link, struct memory_upstream, lease_link);

        if (!u->watching && u->first == NULL)
            memory_upstream_give_back(u);
    }
}

/* ---- login ---- */

static enum err judge_stamp(struct memory_upstream *u, struct buf *why)
{
    struct stamp expected, found;
    struct slice text = u->hello.found_stamp;

    if (text.at == NULL || stamp_read(u->hello.stamp, &expected) != ERR_NONE)
        return ERR_NONE;
    if (stamp_read(text, &found) != ERR_NONE) {
        buf_format(
            why,
            "key %s on it is not a stamp of this version of Sheaf; if nothing else uses that "
            "key, delete it and the stamp is written again",
            SHARD_STAMP_KEY);
        return ERR_STAMP;
    }
    return stamp_agrees(&expected, &found, why) ? ERR_NONE : ERR_STAMP;
}

/* Its server logged somebody in: it is there. */
static void shard_stands(const struct memory_upstream *u)
{
    struct memory_shard *shard = u->shard;

    if (shard->failing)
        log_event(LOG_INFO, "shard is back", log_text("endpoint", shard->name),
                  log_text("pool", u->side->name), log_number("shard", shard->told_index));
    shard->failing = false;
    shard->backoff_ms = 0;
    shard->trial = NULL;
    shard->stood_us = worker_now_us(u->base.worker);
}

static void hello_step(struct memory_upstream *u, struct slice reply)
{
    struct buf question = { 0 }, why = { 0 };
    enum err err;

    u->hello.found_stamp = (struct slice){ 0 };
    err = u->back->hello(&u->hello, reply, &question, &why);
    if (err == ERR_NONE)
        err = judge_stamp(u, &why);
    if (err != ERR_NONE) {
        buf_put(&why, "", 1);
        upstream_fail(&u->base, err, (const char *)why.at);
    } else if (question.len > 0) {
        upstream_say(&u->base, buf_all(&question));
    } else {
        struct memory_shard *shard = u->shard;

        shard_stands(u);
        u->stood = true;
        shard->ready++;
        counter_add(&shard->stats->upstreams_open, 1);
        counter_add(&shard->stats->upstreams_opened, 1);
        memory_attempts_restamp(u, 0);
        upstream_become_ready(&u->base);
        memory_blocked_begin(u);
    }
    buf_fini(&question);
    buf_fini(&why);
}

void memory_upstream_connected(struct upstream *base)
{
    struct memory_upstream *u = (struct memory_upstream *)base;

    u->hello =
        (struct memory_hello){ .endpoint = base->endpoint,
                               .database = u->database,
                               .version = u->version,
                               .leased = u->leased,
                               .stamp = buf_all(&base->assembly->stamps[base->endpoint->number]),
                               .stamp_key = slice_text(SHARD_STAMP_KEY) };
    memset(u->scan, 0, sizeof(u->scan));
    buf_clear(&u->hello_reply);
    hello_step(u, (struct slice){ 0 });
}

void memory_upstream_adopt(struct memory_upstream *u, struct assembly *assembly)
{
    const struct endpoint_settings *endpoint = u->shard->endpoint;

    upstream_adopt(&u->base, assembly, endpoint);
    u->hello.endpoint = endpoint; /* a login may be under way */
    u->hello.stamp = buf_all(&assembly->stamps[endpoint->number]);
}

/* Replies to the login's questions are collected whole. */
static size_t hello_input(struct memory_upstream *u, struct slice in)
{
    enum { HELLO_MOST_BYTES = 64 * 1024 };
    size_t used = 0;
    bool out_of_band = false;
    enum parse parse = u->back->scan(u->scan, in, &used, &out_of_band);

    buf_put(&u->hello_reply, in.at, used);
    if (parse == PARSE_BAD || u->hello_reply.len > HELLO_MOST_BYTES) {
        upstream_fail(&u->base, ERR_PROTOCOL, "its answer to the login is not of the protocol");
        return in.len;
    }
    /* Else the login would be over before it was said, and traffic begin behind its rest. */
    if (parse == PARSE_DONE && !out_of_band && u->base.out.len > 0) {
        upstream_fail(&u->base, ERR_PROTOCOL, "it answers the login before it is asked");
        return in.len;
    }
    if (parse == PARSE_DONE) {
        struct buf reply = u->hello_reply;

        u->hello_reply = (struct buf){ 0 };
        if (!out_of_band)
            hello_step(u, buf_all(&reply));
        buf_fini(&reply);
    }
    return used;
}

/* ---- replies ---- */

static void went_quiet(struct memory_upstream *u)
{
    if (u->ending) {
        memory_upstream_retire(u);
    } else if (u->blocked_command) {
        u->blocked_command = false;
        memory_upstream_give_back(u);
    }
}

/* What is queued and not sent yet can't be what a reply is about. */
static bool has_asked(const struct memory_upstream *u)
{
    return u->first != NULL && u->first->begin_byte < u->base.written_bytes;
}

/* What is still to come of a long reply's body may go to a session with upstreams of its own. */
static void offer_pass(struct memory_upstream *u)
{
    const struct memory_attempt *a = u->first;

    u->base.pass_left = 0;
    if (u->base.pass_to != NULL && a != NULL && !a->tombstone && a->request->session != NULL &&
        a->request->streaming)
        u->base.pass_left = u->back->body_left(u->scan);
}

size_t memory_upstream_input(struct upstream *base, struct slice in)
{
    struct memory_upstream *u = (struct memory_upstream *)base;
    size_t used = 0;

    u->heard_us = worker_now_us(base->worker);
    if (u->feed != NULL && base->state == UPSTREAM_READY)
        return memory_subscriber_input(u, in);
    while (used < in.len && base->state == UPSTREAM_READY) {
        struct slice rest = slice_from(in, used);
        size_t here = 0;
        bool out_of_band = false;
        enum parse parse = u->back->scan(u->scan, rest, &here, &out_of_band);

        if (parse == PARSE_BAD) {
            upstream_fail(base, ERR_PROTOCOL, "it answered bytes that are not of the protocol");
            return in.len;
        }
        if (here > 0 && !out_of_band) {
            if (!has_asked(u)) {
                upstream_fail(base, ERR_PROTOCOL, "it sent a reply that nobody had asked for");
                return in.len;
            }
            u->amid_reply = parse == PARSE_MORE;
            memory_attempt_bytes(u, slice_of(rest.at, here), parse == PARSE_DONE);
        }
        used += here;
        if (parse == PARSE_MORE)
            break;
    }
    offer_pass(u);
    while (used < in.len && base->state == UPSTREAM_LOGGING_IN) {
        size_t here = hello_input(u, slice_from(in, used));

        if (here == 0)
            break;
        used += here;
    }
    if (u->first == NULL && base->state == UPSTREAM_READY)
        went_quiet(u);
    return used;
}

void memory_upstream_passed(struct upstream *base, size_t len)
{
    struct memory_upstream *u = (struct memory_upstream *)base;

    u->heard_us = worker_now_us(base->worker);
    u->back->body_passed(u->scan, len);
    u->first->request->streamed_bytes += len;
    counter_add(&u->shard->stats->bytes_in, len);
}

/* ---- loss ---- */

/* It never stood: all that waits for it fails, and so does, at once, what comes until it is
 * back. */
static void shard_failed(struct memory_upstream *u, enum err err, const char *why)
{
    enum { PATIENT_GROWTH = 8 }; /* a wrong password or stamp is not mended by trying */
    struct memory_shard *shard = u->shard;
    const struct memory_pool *settings = u->side->settings;
    struct memory_refusal refusal = { .err = err,
                                      .shard = u->shard->told_index,
                                      .endpoint = u->base.endpoint->name,
                                      .text = shard->why };
    unsigned growth = err_may_retry(err) ? BACKOFF_DOUBLES : PATIENT_GROWTH;

    if (!shard->failing || strcmp(shard->why, why) != 0)
        log_event(LOG_WARN, "shard is down", log_text("endpoint", u->base.endpoint->name),
                  log_text("pool", settings->base.name), log_number("shard", u->shard->told_index),
                  log_text("reason", why));
    snprintf(shard->why, sizeof(shard->why), "%s", why);
    shard->failing = true;
    shard->failure = err;
    shard->retry_at_us =
        worker_now_us(u->base.worker) +
        backoff_next_us(&shard->backoff_ms, settings->base.backoff_min_ms,
                        settings->base.backoff_max_ms, growth, worker_random(u->base.worker));
    shard->trial = NULL;
    fail_attempts(u, &refusal, UINT64_MAX);
}

/* It is not the shard that fails but this login (a database that the server does not have, or too
 * many clients while others stand): only its own requests are refused, for a while. */
static void login_failed(struct memory_upstream *u, enum err err, const char *why)
{
    const struct memory_pool *settings = u->side->settings;
    struct memory_refusal refusal = { .err = err,
                                      .shard = u->shard->told_index,
                                      .endpoint = u->shard->name };

    log_event(LOG_WARN, "upstream refused", log_text("endpoint", u->shard->name),
              log_text("pool", settings->base.name), log_number("database", u->database),
              log_text("reason", why));
    free(u->why);
    u->why_err = err;
    refusal.text = u->why = mem_text(why);
    u->refused_until_us = worker_now_us(u->base.worker) + settings->base.backoff_max_ms * 1000;
    fail_attempts(u, &refusal, UINT64_MAX);
}

static void connect_failed(struct memory_upstream *u, enum err err, const char *why)
{
    if (err == ERR_RANGE)
        shard_stands(u);
    if (u->shard->ready > 0 || err == ERR_RANGE)
        login_failed(u, err, why);
    else
        shard_failed(u, err, why);
    upstream_drop(&u->base, u->base.put_bytes - u->base.written_bytes);
}

/* It stood: what was sent, even in part, may or may not have been carried out, so its clients are
 * told; what was not goes over the next connection, if there is to be one and it has the time. */
static void stood_and_fell(struct memory_upstream *u, enum err err, const char *why)
{
    char text[240];
    struct memory_refusal refusal = {
        .err = err, .shard = u->shard->told_index, .endpoint = u->base.endpoint->name, .text = text
    };

    u->shard->ready--;
    counter_sub(&u->shard->stats->upstreams_open, 1);
    counter_add(&u->shard->stats->upstreams_lost, 1);
    log_event(LOG_WARN, "upstream lost", log_text("endpoint", u->base.endpoint->name),
              log_text("pool", u->side->settings->base.name), log_text("reason", why),
              log_number("requests", u->queued));
    snprintf(text, sizeof(text), "%s while the request was under way: it may have been carried out",
             why);
    fail_attempts(u, &refusal, u->base.written_bytes);
    snprintf(text, sizeof(text), "%s before the request was sent: it was not carried out", why);
    if (u->leased || u->ending || err == ERR_TIMEOUT)
        fail_attempts(u, &refusal, UINT64_MAX);
    if (u->first == NULL)
        upstream_drop(&u->base, u->base.put_bytes - u->base.written_bytes);
    else
        upstream_drop(&u->base, u->first->begin_byte - u->base.written_bytes);
}

void memory_upstream_lost(struct upstream *base, enum err err, const char *why)
{
    struct memory_upstream *u = (struct memory_upstream *)base;
    bool stood = u->stood;

    if (err != ERR_RANGE)
        tally_loss(u, err, !stood);
    u->stood = u->amid_reply = false;
    memset(u->scan, 0, sizeof(u->scan));
    if (u->feed != NULL)
        memory_subscriber_lost(u, why);
    if (stood)
        stood_and_fell(u, err, why);
    else
        connect_failed(u, err, why);
    if (base->state == UPSTREAM_DOWN && (u->leased || u->ending))
        memory_upstream_retire(u);
    else if (base->state == UPSTREAM_DOWN && u->first != NULL)
        upstream_start(base);
}

/* ---- clock ---- */

void memory_upstream_drained(struct upstream *base, uint64_t before)
{
    memory_attempts_restamp((struct memory_upstream *)base, before);
}

/* What was not sent must not be carried out any more.  If it had its whole timeout, the server took
 * nothing of anybody's meanwhile: so the connection goes, and with it all that waits for it. */
static void expire(struct memory_upstream *u, struct memory_attempt *a)
{
    struct memory_refusal refusal = {
        .err = ERR_TIMEOUT,
        .shard = u->shard->told_index,
        .endpoint = u->base.endpoint->name,
        .text = "no reply within timeout: the request may have been carried out",
    };

    counter_add(&u->shard->stats->timeouts, 1);
    if (a->begin_byte >= u->base.written_bytes) {
        upstream_fail(&u->base, ERR_TIMEOUT, "it took no bytes for longer than timeout");
        return;
    }
    tally_failure(u->base.assembly->tallies[u->base.worker->index], u->base.endpoint->number,
                  HEALTH_RESPONSE_TIMEOUT);
    memory_attempt_fail(a, &refusal);
}

/* Deadlines are alike for all, so the oldest that is no tombstone is the first to expire. */
static void expire_attempts(struct memory_upstream *u, uint64_t now_us)
{
    uint64_t timeout_us = u->side->settings->timeout_ms * 1000;

    while (u->oldest != NULL) {
        struct memory_attempt *a = u->oldest;
        bool begun = a == u->first && a->request->session != NULL &&
                     (a->request->streaming || a->kept.at != NULL);
        uint64_t since_us = begun && u->heard_us > a->since_us ? u->heard_us : a->since_us;

        if (!a->tombstone && a->request->session != NULL) {
            if (a->request->no_deadline || now_us < since_us + timeout_us)
                return;
            expire(u, a);
        }
        if (u->oldest == a) /* failing it may have retired the upstream */
            u->oldest = a->next;
    }
}

static void tick_ready(struct memory_upstream *u, uint64_t now_us)
{
    const struct memory_pool *settings = u->side->settings;

    if (u->base.paused) { /* it is its session that is slow, not the server */
        memory_attempts_restamp(u, 0);
        u->heard_us = now_us;
        return;
    }
    if (u->feed != NULL)
        memory_subscriber_tick(u, now_us);
    expire_attempts(u, now_us);
    if (u->base.state != UPSTREAM_READY)
        return;
    if (u->first != NULL) {
        struct memory_attempt *a = u->first;
        uint64_t since_us = u->heard_us > a->since_us ? u->heard_us : a->since_us;

        worker_be_busy(u->base.worker);
        if (u->blocked_command && now_us > since_us + settings->timeout_ms * 1000)
            memory_upstream_retire(u); /* the server was not told, it seems: by this it is */
        else if ((a->tombstone || a->request->session == NULL) && !a->request->no_deadline &&
                 now_us > since_us + settings->tombstone_timeout_ms * 1000)
            upstream_fail(&u->base, ERR_TIMEOUT, "nothing was heard from it for tombstone_timeout");
        else if ((u->amid_reply || u->base.in.len > 0) &&
                 now_us > since_us + settings->timeout_ms * 1000)
            upstream_fail(&u->base, ERR_TIMEOUT, "it stopped in the middle of a reply");
    } else if (u->leased && u->lessee == NULL && settings->base.upstream_idle_timeout_ms > 0 &&
               now_us > u->idle_since_us + settings->base.upstream_idle_timeout_ms * 1000) {
        memory_upstream_retire(u);
    }
}

void memory_upstream_tick(struct memory_upstream *u, uint64_t now_us)
{
    if (u->base.state == UPSTREAM_READY)
        tick_ready(u, now_us);
    if (u->ending && u->first == NULL)
        memory_upstream_retire(u);
}

void memory_upstream_end(struct memory_upstream *u)
{
    u->ending = true;
    if (u->first == NULL && u->lessee == NULL)
        memory_upstream_retire(u);
}

/* One upstream tries for all. */
static bool try_again(struct memory_side *side, struct memory_shard *shard,
                      struct memory_route *route)
{
    uint32_t each = side->settings->upstreams;

    for (uint32_t i = shard->index * each; i < (shard->index + 1) * each; i++) {
        struct memory_upstream *u = route->shared[i];

        if (u != NULL && u->base.state != UPSTREAM_RETIRED) {
            shard->trial = u;
            upstream_start(&u->base); /* nothing, if it is on its way already */
            return true;
        }
    }
    return false;
}

/* What was given up is worth a trial at once when the probes have found it again. */
static bool came_back(const struct memory_side *side, struct memory_shard *shard)
{
    bool was_down = shard->was_down;

    shard->was_down =
        shard->present && !board_is_up(side->assembly->board, shard->endpoint->number);
    return was_down && !shard->was_down;
}

void memory_shard_tick(struct memory_side *side, struct memory_shard *shard, uint64_t now_us)
{
    bool is_back = came_back(side, shard);

    memory_wait_tick(side, shard, now_us);
    memory_store_tick(side, shard, now_us);
    if (!shard->failing || shard->trial != NULL || (!is_back && now_us < shard->retry_at_us))
        return;
    LIST_EACH (&side->routes, link) {
        if (try_again(side, shard, LIST_ITEM(link, struct memory_route, link)))
            return;
    }
}
