/* What calls met at their shards, for the steward's judgement; what is counted of them and of
 * requests, and which of these were slow. */
#include <stdio.h>
#include <string.h>

#include "health/tally.h"
#include "proxy/base/clock.h"
#include "proxy/blob/blob_flow.h"

static enum health_reason reason_of(enum err err, uint16_t status)
{
    static const struct {
        enum err err;
        enum health_reason reason;
    } REASONS[] = {
        { ERR_TIMEOUT, HEALTH_RESPONSE_TIMEOUT }, { ERR_CONNECT, HEALTH_CONNECT_REFUSED },
        { ERR_RESOLVE, HEALTH_RESOLVE_FAILED },   { ERR_TLS, HEALTH_TLS_FAILED },
        { ERR_PROTOCOL, HEALTH_PROTOCOL_ERROR },  { ERR_STAMP, HEALTH_STAMP_MISMATCH },
    };

    if (err == ERR_NONE)
        return status == 500 || status == 502 || status == 504 ? HEALTH_PROBE_FAILED : HEALTH_FINE;
    for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++)
        if (REASONS[i].err == err)
            return REASONS[i].reason;
    return HEALTH_CLOSED;
}

static void judge(const struct blob_call *c, enum err err, uint64_t took_us)
{
    const struct blob_shard *shard = c->shard;
    struct blob_side *side = shard->side;
    struct tally_sheet *sheet = side->assembly->tallies[side->worker->index];
    enum health_reason reason = reason_of(err, c->answer.status);

    if (!shard->present || err == ERR_LIMIT || err == ERR_DOWN)
        return;
    if (reason == HEALTH_FINE)
        tally_success(sheet, shard->settings->number, took_us);
    else
        tally_failure(sheet, shard->settings->number, reason);
}

/* ---- counts ---- */

static void count_call(const struct blob_call *c, struct blob_counts_event *event)
{
    const struct worker *w = c->shard->side->worker;

    event->bytes_in = c->received;
    event->bytes_out = c->ask.body.at != NULL ? c->ask.body.len : c->sent;
    if (c->answer.status >= 300 && event->failed == ERR_NONE)
        event->error = c->error != S3_NONE
                           ? c->error
                           : blob_counts_error_of(c->answer.status, c->ask.key.len > 0);
    blob_counts_add(c->shard->counts, c->ask.op, w->index, w->count, event);
}

void blob_tally(const struct blob_call *c, enum err err)
{
    struct blob_counts_event event = { .took_us =
                                           worker_now_us(c->shard->side->worker) - c->started_us,
                                       .failed = err };

    histogram_add(&c->shard->stats->latency_us, event.took_us);
    if (err != ERR_NONE)
        counter_add(&c->shard->stats->failures, 1);
    judge(c, err, event.took_us);
    count_call(c, &event);
}

void blob_tally_unasked(const struct blob_call *c, enum err err)
{
    struct blob_counts_event event = {
        .took_us = worker_now_us(c->shard->side->worker) - c->started_us,
        .failed = err,
        .is_abandoned = err == ERR_NONE,
    };

    if (err != ERR_NONE)
        counter_add(&c->shard->stats->failures, 1);
    count_call(c, &event);
}

/* ---- requests ---- */

static bool is_of_key(const struct blob_request *r)
{
    return s3_op_traits(r->op.op)->where == S3_WHERE_OBJECT && r->op.key.len > 0;
}

static void note_slow(const struct blob_request *r, uint64_t took_us)
{
    struct slow_entry entry = { .wall_s = clock_wall_s(), .took_us = took_us };
    char key[SLOW_KEY_BYTES + 1];
    int len = snprintf(key, sizeof(key), "%.*s%s%.*s", (int)r->op.bucket.len,
                       (const char *)r->op.bucket.at, r->op.key.len > 0 ? "/" : "",
                       (int)r->op.key.len, (const char *)r->op.key.at);

    snprintf(entry.pool, sizeof(entry.pool), "%s", r->side->name);
    snprintf(entry.command, sizeof(entry.command), "%s", s3_op_traits(r->op.op)->words);
    if (is_of_key(r)) {
        const struct blob_shard *shard = blob_shard_of(r->side, r->op.key);

        entry.shard = shard->index;
        snprintf(entry.endpoint, sizeof(entry.endpoint), "%s", shard->name);
    }
    session_address(&r->session->base, entry.client, sizeof(entry.client));
    snprintf(entry.name, sizeof(entry.name), "%s", r->key == NULL ? "" : r->key->id);
    entry.key_len = len < 0 ? 0 : len < SLOW_KEY_BYTES ? (size_t)len : SLOW_KEY_BYTES;
    memcpy(entry.key, key, entry.key_len);
    slow_note(&entry);
}

/* Slow is who lets his client wait, not who has much to send him: from the last of the request to
 * the first of the answer. */
static void watch_for_slow(const struct blob_request *r, uint64_t now_us)
{
    struct blob_side *side = r->side;
    uint64_t until_us = r->answered_us != 0 ? r->answered_us : now_us;
    uint64_t took_us = until_us > r->heard_us ? until_us - r->heard_us : 0;

    if (took_us >= side->assembly->snapshot->proxy.slow_time_ms * 1000 &&
        slow_is_worth_noting(&side->slow, now_us, took_us))
        note_slow(r, took_us);
}

void blob_tally_request(struct blob_request *r)
{
    struct blob_side *side = r->side;
    const struct worker *w = side->worker;
    uint64_t now_us = worker_now_us(side->worker);
    struct blob_counts_event event = { .bytes_in = r->taken,
                                       .bytes_out = r->answer_bytes,
                                       .took_us = now_us - r->began_us,
                                       .is_abandoned = r->is_abandoned };
    bool is_good;

    if (r->error == S3_NONE)
        r->error = blob_counts_error_of(r->status, r->op.key.len > 0);
    event.error = r->error;
    is_good = r->status >= 200 && r->status < 300;
    counter_add(&side->stats->requests, 1);
    histogram_add(&side->stats->latency_us, event.took_us);
    blob_counts_add(blob_counts_bucket(side->counts, r->op.bucket, is_good), r->op.op, w->index,
                    w->count, &event);
    watch_for_slow(r, now_us);
}
