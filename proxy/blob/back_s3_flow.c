/* Stores that speak S3: a connection to one serves one call after the other.
 *
 *     idle --start()--> ASKS --head came--> ANSWERS --body came--> idle, or closed
 *
 * A worker has its share of max_upstreams for each shard; calls beyond that wait in a row. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proxy/base/mem.h"
#include "proxy/blob/back_s3.h"
#include "proxy/blob/blob_flow.h"
#include "proxy/core/upstream.h"

enum {
    CONTINUE_BYTES = 1024 * 1024, /* bodies beyond are announced first: most refusals come early */
    CONTINUE_US = 1000 * 1000,    /* then the body is sent unasked */
    HEAD_BYTES = HTTP1_HEAD_MAX_BYTES,
};

static const char NO_KEYS[] = "its metadata service has given no keys for it, or they have ended";

enum s3_stage { S3_IDLE, S3_CONNECTS, S3_ASKS, S3_ANSWERS };

/* A shard's connections. */
struct s3_row {
    struct list idle;    /* the last used first */
    struct list waiting; /* calls */
    struct list all;
    uint32_t waiting_count;
    struct keyring_copy *keys; /* owned; NULL: none were needed yet */
    struct sigv4_plain plain;
};

struct s3_upstream {
    struct upstream base;  /* first */
    struct list link;      /* on row->all */
    struct list idle_link; /* on row->idle */
    struct blob_shard *shard;
    struct blob_call *call; /* NULL: idle */
    struct buf head;        /* of the answer: what of it came, then what the fields lie in */
    struct http1_search search;
    struct http1_body body;
    uint64_t idle_since_us;
    enum s3_stage stage;
    bool served;          /* a call before this one */
    bool heard;           /* a byte of this call's answer came */
    bool awaits_continue; /* with the body */
    bool asked;           /* the whole head was put */
    struct http1_response response;
};

extern const struct flow s3_upstream_flow;

static struct s3_row *row_of(const struct blob_shard *shard)
{
    return shard->state;
}

static uint64_t now_of(const struct s3_upstream *u)
{
    return worker_now_us(u->base.worker);
}

static const struct blob_pool *pool_of(const struct blob_shard *shard)
{
    return shard->side->settings;
}

/* ---- life ---- */

static void serve_waiting(struct blob_shard *shard);

static struct s3_upstream *upstream_open(struct blob_shard *shard)
{
    struct blob_side *side = shard->side;
    struct s3_row *row = row_of(shard);
    struct s3_upstream *u = (struct s3_upstream *)upstream_new(
        side->worker, sizeof(*u), &s3_upstream_flow, side->assembly, shard->settings);

    u->shard = shard;
    u->base.spares = true;
    u->stage = S3_CONNECTS;
    list_init(&u->idle_link);
    list_append(&row->all, &u->link);
    shard->upstream_count++;
    counter_add(&shard->stats->upstreams_open, 1);
    counter_add(&shard->stats->upstreams_opened, 1);
    upstream_start(&u->base);
    return u;
}

static void upstream_gone(struct s3_upstream *u)
{
    if (u->base.state == UPSTREAM_RETIRED)
        return;
    list_remove(&u->idle_link);
    list_remove(&u->link);
    u->shard->upstream_count--;
    counter_sub(&u->shard->stats->upstreams_open, 1);
    buf_fini(&u->head);
    upstream_retire(&u->base);
}

/* ---- asking ---- */

static void refuse(struct blob_call *c, enum err err, const char *why)
{
    c->lease = NULL;
    blob_call_fail_later(c, err, why);
}

static uint64_t unsent(const struct s3_upstream *u)
{
    return u->base.put_bytes - u->base.written_bytes;
}

static void wait_for_answer(struct s3_upstream *u)
{
    u->call->deadline_us = now_of(u) + blob_call_patience_us(u->call);
}

static const struct aws_keys *newest_keys(struct s3_row *row, struct keyring *ring)
{
    if (row->keys == NULL)
        row->keys = mem_new(sizeof(*row->keys));
    if (row->keys->version != keyring_version(ring)) {
        keyring_copy(ring, row->keys);
        sigv4_plain_forget(&row->plain);
    }
    return &row->keys->keys;
}

/* A service hands them out: they have not come yet, or have ended. */
static bool lacks_keys(const struct blob_shard *shard)
{
    struct keyring *ring = shard->side->assembly->keyrings[shard->settings->number];

    return ring != NULL && newest_keys(row_of(shard), ring)->id[0] == '\0';
}

/* The keys are those of its URL, or lie in a ring. */
static void take_keys(struct s3_upstream *u, struct sigv4_signer *signer)
{
    const struct endpoint_settings *e = u->base.endpoint;
    struct keyring *ring = u->base.assembly->keyrings[e->number];

    if (ring != NULL) {
        const struct aws_keys *keys = newest_keys(row_of(u->shard), ring);

        signer->id = slice_text(keys->id);
        signer->secret = slice_text(keys->secret);
        signer->token = slice_text(keys->token);
    } else if (e->user != NULL && e->password != NULL) {
        signer->id = slice_text(e->user);
        signer->secret = slice_text(e->password);
    }
}

static struct s3_speaker speaker_of(struct s3_upstream *u, uint64_t now_s)
{
    struct blob_works *works = blob_works_of(u->base.worker);
    const struct endpoint_settings *e = u->base.endpoint;
    struct s3_speaker speaker = {
        .signer = { .keys = works->keys, .scratch = &works->scratch },
        .now_s = now_s,
        .expects_continue = u->awaits_continue,
        .bares_tags = u->shard->is_ceph && s3_op_traits(u->call->ask.op)->right != S3_RIGHT_READ,
    };

    take_keys(u, &speaker.signer);
    speaker.signer.region = slice_text(e->store.region != NULL ? e->store.region : "us-east-1");
    return speaker;
}

/* The head, by what is kept for a second where there is such. */
static enum err put_ask(struct s3_upstream *u, struct buf *out)
{
    struct blob_works *works = blob_works_of(u->base.worker);
    struct sigv4_plain *plain = &row_of(u->shard)->plain;
    const struct blob_ask *ask = &u->call->ask;
    uint64_t now_s = (uint64_t)time(NULL);
    struct s3_speaker speaker;

    buf_clear(out);
    if (lacks_keys(u->shard))
        return ERR_LOGIN;
    if (sigv4_plain_holds(plain, now_s) &&
        s3_put_plain(u->base.endpoint, ask, plain, &works->scratch, out))
        return ERR_NONE;
    speaker = speaker_of(u, now_s);
    if (speaker.signer.id.len > 0 && !sigv4_plain_holds(plain, now_s))
        TRY(s3_make_plain(u->base.endpoint, &speaker, plain));
    return s3_put_ask(u->base.endpoint, ask, &speaker, out);
}

static void ask(struct s3_upstream *u)
{
    struct blob_call *c = u->call;
    struct buf *out = &blob_works_of(u->base.worker)->head;
    enum err err;

    u->awaits_continue = blob_call_streams(c) && c->ask.length > CONTINUE_BYTES;
    err = put_ask(u, out);
    if (err != ERR_NONE) {
        u->call = NULL;
        refuse(c, err == ERR_LOGIN ? err : ERR_LIMIT,
               err == ERR_LOGIN ? NO_KEYS : "the request's fields are too many or too long for it");
        upstream_gone(u);
        return;
    }
    upstream_put(&u->base, buf_all(out));
    if (c->ask.has_body && c->ask.body.at != NULL)
        upstream_put(&u->base, c->ask.body);
    counter_add(&u->shard->stats->bytes_out, out->len + c->ask.body.len);
    u->asked = c->was_asked = true;
    u->base.pass_to = c->events->through != NULL ? c->events->through(c) : NULL;
    u->base.pass_left = 0;
    if (!blob_call_streams(c))
        wait_for_answer(u);
    else if (u->awaits_continue)
        c->deadline_us = now_of(u) + CONTINUE_US;
    else
        blob_call_room_later(c);
}

static void lease(struct s3_upstream *u, struct blob_call *c)
{
    list_remove(&u->idle_link);
    u->call = c;
    c->lease = u;
    c->deadline_us = 0;
    u->heard = u->asked = false;
    u->search = (struct http1_search){ 0 };
    buf_clear(&u->head);
    if (u->base.state == UPSTREAM_READY) {
        u->stage = S3_ASKS;
        ask(u);
    }
}

static void start(struct blob_call *c)
{
    struct blob_shard *shard = c->shard;
    struct s3_row *row = row_of(shard);
    struct list *idle = list_first(&row->idle);
    uint32_t share = pool_of(shard)->max_upstreams / shard->side->worker->count;

    if (lacks_keys(shard)) {
        refuse(c, ERR_LOGIN, NO_KEYS);
        return;
    }
    if (idle != NULL) {
        lease(LIST_ITEM(idle, struct s3_upstream, idle_link), c);
        return;
    }
    if (shard->upstream_count < (share > 0 ? share : 1)) {
        lease(upstream_open(shard), c);
        return;
    }
    if (row->waiting_count >= pool_of(shard)->max_queue) {
        refuse(c, ERR_LIMIT, "too many requests wait for a connection to it (max_queue)");
        return;
    }
    list_remove(&c->link);
    list_append(&row->waiting, &c->link);
    row->waiting_count++;
    c->deadline_us = worker_now_us(shard->side->worker) + pool_of(shard)->queue_timeout_ms * 1000;
}

/* Calls that were aborted have left the row by themselves. */
static struct blob_call *next_waiting(struct s3_row *row)
{
    struct list *link = list_first(&row->waiting);

    row->waiting_count = 0;
    if (link == NULL)
        return NULL;
    LIST_EACH (&row->waiting, each)
        row->waiting_count++;
    list_remove(link);
    row->waiting_count--;
    return LIST_ITEM(link, struct blob_call, link);
}

static void serve_waiting(struct blob_shard *shard)
{
    struct blob_call *c = next_waiting(row_of(shard));

    if (c == NULL)
        return;
    list_append(&shard->calls, &c->link);
    start(c);
}

/* ---- the end of a call ---- */

static void put_back(struct s3_upstream *u)
{
    u->served = true;
    u->stage = S3_IDLE;
    u->idle_since_us = now_of(u);
    if (u->base.paused)
        upstream_pause(&u->base, false);
    list_prepend(&row_of(u->shard)->idle, &u->idle_link);
}

/* The answer is whole. */
static void answered(struct s3_upstream *u, bool more_came)
{
    struct blob_call *c = u->call;
    struct blob_shard *shard = u->shard;
    bool reusable = u->response.head.keep_alive && blob_call_is_all_sent(c) && !more_came &&
                    u->body.framing != HTTP1_FRAMING_UNTIL_CLOSE && shard->present;

    u->call = NULL;
    u->base.pass_to = NULL;
    u->base.pass_left = 0;
    c->lease = NULL;
    if (reusable) {
        put_back(u);
        blob_call_ended(c, ERR_NONE, NULL); /* its slices lie in u->head: not reused till then */
    } else {
        blob_call_ended(c, ERR_NONE, NULL);
        upstream_gone(u);
    }
    serve_waiting(shard);
}

/* ---- the answer ---- */

static void bad_answer(struct s3_upstream *u, const char *why)
{
    upstream_fail(&u->base, ERR_PROTOCOL, why);
}

static void take_fields(struct s3_upstream *u)
{
    struct blob_answer *answer = &u->call->answer;
    const struct http1_head *head = &u->response.head;

    answer->status = u->response.status;
    answer->fields = head->fields;
    answer->field_count = head->field_count;
    answer->has_length = head->has_length || head->framing == HTTP1_FRAMING_NONE;
    answer->length = head->has_length ? head->length : 0;
}

/* 1xx: the store is willing, and will say more. */
static void heard_interim(struct s3_upstream *u)
{
    if (u->response.status != 100 || !u->awaits_continue)
        return;
    u->awaits_continue = false;
    u->call->deadline_us = 0;
    blob_call_room_later(u->call);
}

/* Returns how much of `in` the head took; 0 with the stage unchanged: it is not whole. */
static size_t take_head(struct s3_upstream *u, struct slice in)
{
    struct http1_lines *lines = &blob_works_of(u->base.worker)->lines;
    size_t before = u->head.len, len = 0;
    enum http1_refusal why;
    enum parse found;

    if (before > 0)
        buf_slice(&u->head, in);
    found = http1_search(&u->search, before > 0 ? buf_all(&u->head) : in, HEAD_BYTES, &len, lines,
                         &why);
    if (before == 0) /* mostly it comes whole, and what of it is the body need not be kept */
        buf_slice(&u->head, found == PARSE_DONE ? slice_of(in.at, len) : in);
    if (found == PARSE_MORE)
        return in.len;
    if (found == PARSE_DONE) {
        u->head.len = len;
        why = http1_response_parse(buf_all(&u->head), lines, s3_op_traits(u->call->ask.op)->method,
                                   &u->response);
    }
    if (why != HTTP1_REFUSAL_NONE) {
        bad_answer(u, http1_refusal_text(why));
        return in.len;
    }
    if (u->response.is_interim) {
        heard_interim(u);
        buf_clear(&u->head);
        return len - before;
    }
    u->stage = S3_ANSWERS;
    http1_body_begin(&u->body, u->response.head.framing, u->response.head.length);
    take_fields(u);
    u->call->deadline_us = 0;
    return len - before;
}

static void learn(struct blob_shard *shard, const struct http1_head *head)
{
    const struct http1_field *id = http1_field_find(head, HTTP1_NAME_X_AMZ_REQUEST_ID);

    if (id == NULL)
        return;
    shard->is_ceph = s3_is_of_ceph(id->value);
    shard->is_known = true;
}

static void tell_head(struct s3_upstream *u)
{
    struct blob_call *c = u->call;

    if (!u->shard->is_known)
        learn(u->shard, &u->response.head);
    if (c->events->head != NULL)
        c->events->head(c);
}

static void move_deadline(struct s3_upstream *u)
{
    struct blob_call *c = u->call;
    uint64_t stall_ms = pool_of(u->shard)->stall_timeout_ms;

    c->deadline_us = stall_ms == 0 || c->holds ? 0 : now_of(u) + stall_ms * 1000;
}

static size_t take_body(struct s3_upstream *u, struct slice in, bool *ends)
{
    struct blob_call *c = u->call;
    enum http1_refusal why;
    struct slice payload;
    size_t used;
    enum parse found = http1_body_decode(&u->body, in, &used, &payload, &why);

    if (found == PARSE_BAD) {
        bad_answer(u, http1_refusal_text(why));
        return in.len;
    }
    if (payload.len > 0)
        blob_call_body(c, payload);
    *ends = found == PARSE_DONE;
    return used;
}

static bool goes_on(const struct s3_upstream *u, const struct blob_call *c)
{
    return u->call == c && u->base.state == UPSTREAM_READY;
}

/* A step of the answer; *ends: it is whole.  Returns how many bytes it took. */
static size_t step(struct s3_upstream *u, struct slice in, bool *ends)
{
    struct blob_call *c = u->call;
    size_t used;

    if (u->stage != S3_ASKS)
        return take_body(u, in, ends);
    used = take_head(u, in);
    if (!goes_on(u, c) || u->stage == S3_ASKS)
        return used;
    if (u->response.status < 300 && !blob_call_is_all_sent(c)) {
        bad_answer(u, "it says that it has what it was not sent yet");
        return in.len;
    }
    tell_head(u);
    *ends = goes_on(u, c) && http1_body_is_whole(&u->body);
    return used;
}

static size_t input(struct upstream *base, struct slice in)
{
    struct s3_upstream *u = (struct s3_upstream *)base;
    struct blob_call *c = u->call;
    size_t at = 0, used;
    bool ends = false;

    counter_add(&u->shard->stats->bytes_in, in.len);
    if (c == NULL || !u->asked) {
        upstream_fail(base, ERR_PROTOCOL, "the server says what nobody asked for");
        return in.len;
    }
    u->heard = true;
    do {
        used = step(u, slice_from(in, at), &ends);
        at += used;
    } while (goes_on(u, c) && !ends && used > 0 && at < in.len);
    if (!goes_on(u, c))
        return in.len;
    if (ends) {
        answered(u, at < in.len);
        return in.len;
    }
    move_deadline(u);
    if (u->stage == S3_ANSWERS && u->body.framing == HTTP1_FRAMING_LENGTH && c->answer.status < 300)
        u->base.pass_left = http1_body_left(&u->body);
    return at;
}

/* ---- the connection ---- */

static void connected(struct upstream *base)
{
    struct s3_upstream *u = (struct s3_upstream *)base;

    upstream_become_ready(base);
    if (u->call == NULL) {
        put_back(u);
        return;
    }
    u->stage = S3_ASKS;
    ask(u);
}

/* What was done the first time would not be done again, and be told as if it never had been. */
static bool writes_on_condition(const struct blob_ask *ask)
{
    if (s3_op_traits(ask->op)->right == S3_RIGHT_READ)
        return false;
    for (size_t i = 0; i < ask->field_count; i++)
        if (slice_is_text(ask->fields[i].name, "if-match") ||
            slice_is_text(ask->fields[i].name, "if-none-match"))
            return true;
    return false;
}

/* May it be asked again of another connection, since nothing of it can have happened or since it
 * does no harm twice?  Idle connections are closed by servers at any time. */
static bool may_ask_again(const struct s3_upstream *u)
{
    const struct blob_call *c = u->call;
    enum http1_method method = s3_op_traits(c->ask.op)->method;

    return u->served && !u->heard && !c->retried && c->sent == 0 &&
           (!u->asked || (method != HTTP1_METHOD_POST && !writes_on_condition(&c->ask))) &&
           u->shard->present;
}

static void lost(struct upstream *base, enum err err, const char *why)
{
    struct s3_upstream *u = (struct s3_upstream *)base;
    struct blob_call *c = u->call;
    struct blob_shard *shard = u->shard;
    bool ended_so =
        u->stage == S3_ANSWERS && u->body.framing == HTTP1_FRAMING_UNTIL_CLOSE && err == ERR_CLOSED;

    if (c == NULL) {
        upstream_gone(u);
        serve_waiting(shard);
        return;
    }
    counter_add(&shard->stats->upstreams_lost, 1);
    if (may_ask_again(u)) {
        u->call = NULL;
        c->lease = NULL;
        c->retried = true;
        upstream_gone(u);
        lease(upstream_open(shard), c);
        return;
    }
    u->call = NULL;
    c->lease = NULL;
    blob_call_ended(c, ended_so ? ERR_NONE : err, why);
    upstream_gone(u);
    serve_waiting(shard);
}

static void passed(struct upstream *base, size_t len)
{
    struct s3_upstream *u = (struct s3_upstream *)base;

    counter_add(&u->shard->stats->bytes_in, len);
    http1_body_pass(&u->body, len);
    if (u->call != NULL)
        u->call->received += len;
}

/* The client may be gone by now, and the call with it. */
static void passed_on(struct upstream *base, size_t len)
{
    struct s3_upstream *u = (struct s3_upstream *)base;
    struct blob_call *c = u->call;

    if (c == NULL)
        return;
    c->events->went(c, len);
    if (http1_body_is_whole(&u->body))
        answered(u, false);
    else
        move_deadline(u);
}

static void drained(struct upstream *base, uint64_t before)
{
    struct s3_upstream *u = (struct s3_upstream *)base;
    struct blob_call *c = u->call;

    (void)before;
    if (c == NULL || !blob_call_streams(c) || blob_call_is_all_sent(c) || !u->asked)
        return;
    move_deadline(u);
    if (unsent(u) <= BLOB_UNSENT_BYTES && !u->awaits_continue)
        blob_call_room_later(c);
}

const struct flow s3_upstream_flow = {
    .name = "blob s3",
    .upstream_connected = connected,
    .upstream_input = input,
    .upstream_passed = passed,
    .upstream_passed_on = passed_on,
    .upstream_lost = lost,
    .upstream_drained = drained,
};

/* ---- what calls do ---- */

static void body_went(struct blob_call *c, struct s3_upstream *u)
{
    if (unsent(u) > BLOB_UNSENT_BYTES)
        upstream_flush(&u->base); /* so that it is known whether the server takes it */
    if (blob_call_is_all_sent(c))
        wait_for_answer(u);
    else
        move_deadline(u);
}

static void send_body(struct blob_call *c, struct slice bytes)
{
    struct s3_upstream *u = c->lease;

    if (u == NULL)
        return;
    counter_add(&u->shard->stats->bytes_out, bytes.len);
    if (bytes.len >= BLOB_THROUGH_BYTES && u->base.state == UPSTREAM_READY)
        upstream_write_through(&u->base, bytes);
    else
        upstream_put(&u->base, bytes);
    body_went(c, u);
}

static struct upstream *through(const struct blob_call *c)
{
    struct s3_upstream *u = c->lease;

    return u != NULL && u->asked && !u->awaits_continue && u->stage == S3_ASKS &&
                   blob_call_streams(c)
               ? &u->base
               : NULL;
}

static void went(struct blob_call *c, size_t len)
{
    struct s3_upstream *u = c->lease;

    counter_add(&u->shard->stats->bytes_out, len);
    body_went(c, u);
}

static bool has_room(const struct blob_call *c)
{
    const struct s3_upstream *u = c->lease;

    return u == NULL || unsent(u) <= BLOB_UNSENT_BYTES;
}

static void hold(struct blob_call *c, bool hold)
{
    struct s3_upstream *u = c->lease;

    upstream_pause(&u->base, hold);
    if (u->stage == S3_ANSWERS)
        move_deadline(u);
}

/* An upload that lacks bytes commits nothing, and an answer that nobody wants is not read. */
static void abort_call(struct blob_call *c)
{
    struct s3_upstream *u = c->lease;
    struct blob_shard *shard = u->shard;

    u->call = NULL;
    conn_reset_at_close(&u->base.conn);
    upstream_gone(u);
    serve_waiting(shard);
}

/* ---- the shard ---- */

static void open_shard(struct blob_shard *shard)
{
    struct s3_row *row = row_of(shard);

    if (row == NULL) {
        row = mem_new(sizeof(*row));
        list_init(&row->idle);
        list_init(&row->waiting);
        list_init(&row->all);
        shard->state = row;
    }
    sigv4_plain_forget(&row->plain);
    LIST_EACH (&row->all, link)
        upstream_adopt(&LIST_ITEM(link, struct s3_upstream, link)->base, shard->side->assembly,
                       shard->settings);
}

static void time_out(struct blob_call *c)
{
    struct s3_upstream *u = c->lease;

    if (u == NULL) {
        blob_call_fail_later(c, ERR_LIMIT, "no connection to it became free within queue_timeout");
        c->deadline_us = 0;
        return;
    }
    if (u->awaits_continue) { /* many a store does not say it */
        u->awaits_continue = false;
        c->deadline_us = 0;
        blob_call_room_later(c);
        return;
    }
    if (u->stage == S3_ASKS && !blob_call_is_all_sent(c) && unsent(u) == 0) {
        c->deadline_us = 0; /* it has all that came: who is waited for is the client */
        return;
    }
    upstream_fail(&u->base, ERR_TIMEOUT,
                  u->stage == S3_ANSWERS || !blob_call_is_all_sent(c)
                      ? "its body has not moved within stall_timeout"
                      : "no answer within timeout");
}

static void tick_calls(struct list *calls, uint64_t now_us)
{
    LIST_EACH (calls, link) {
        struct blob_call *c = LIST_ITEM(link, struct blob_call, link);

        if (c->deadline_us > 0 && now_us > c->deadline_us && c->failed == ERR_NONE)
            time_out(c);
    }
}

static void tick(struct blob_shard *shard, uint64_t now_us)
{
    struct s3_row *row = row_of(shard);
    uint64_t most_us = pool_of(shard)->base.upstream_idle_timeout_ms * 1000;

    tick_calls(&shard->calls, now_us);
    tick_calls(&row->waiting, now_us);
    LIST_EACH (&row->idle, link) {
        struct s3_upstream *u = LIST_ITEM(link, struct s3_upstream, idle_link);

        if (!shard->present || (most_us > 0 && now_us - u->idle_since_us > most_us))
            upstream_gone(u);
    }
}

static void close_shard(struct blob_shard *shard)
{
    struct s3_row *row = row_of(shard);

    if (row == NULL)
        return;
    LIST_EACH (&row->all, link) {
        struct s3_upstream *u = LIST_ITEM(link, struct s3_upstream, link);

        u->call = NULL;
        upstream_gone(u);
    }
    if (row->keys != NULL)
        explicit_bzero(row->keys, sizeof(*row->keys));
    free(row->keys);
    sigv4_plain_forget(&row->plain);
    free(row);
    shard->state = NULL;
}

const struct blob_back blob_back_s3 = {
    .protocol = "s3",
    .start = start,
    .send = send_body,
    .has_room = has_room,
    .through = through,
    .went = went,
    .hold = hold,
    .abort = abort_call,
    .open = open_shard,
    .tick = tick,
    .close = close_shard,
};
