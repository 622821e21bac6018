/* MULTI, EXEC, DISCARD, WATCH, UNWATCH.
 *
 * What is said between MULTI and EXEC is kept here, answered +QUEUED, and goes out with EXEC in one
 * piece to the one shard of all its keys.  Bytes in one piece on an upstream are atomic towards all
 * that others send over it, so a plain transaction needs no upstream of its own; only WATCH does,
 * as its effect belongs to the upstream that it was said on.
 *
 *     (nothing) --WATCH--> watching --MULTI--> queueing --EXEC, DISCARD--> (nothing)
 *         `--------------------MULTI-------------^
 *
 * All of it happens when a command is planned, in the session's order; whether WATCH succeeded is
 * seen by EXEC, for `resumes` fails where the watching upstream is gone. */
#include "proxy/memory/redis_transaction.h"

#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_queue.h"
#include "proxy/wire/resp_reader.h"

#define NO_SHARD UINT32_MAX

struct redis_transaction {
    struct buf queue; /* the commands, as a server shall see them */
    uint32_t count;   /* of them */
    struct buf ends;  /* what follows EXEC, for keys of classes with a ttl */
    uint32_t end_count;
    struct buf touched; /* hashes of keys, see memory_operation */
    bool touches_all;
    uint32_t shard; /* of all keys, watched ones too; NO_SHARD: none so far */
    bool watching;  /* the session has a lease on the shard */
    bool spoilt;    /* EXEC will refuse */
};

static struct redis_transaction *begun_of(struct redis_session *session)
{
    struct redis_extras *extras = redis_extras_of(session);

    if (extras->transaction == NULL) {
        extras->transaction = mem_new(sizeof(*extras->transaction));
        extras->transaction->shard = NO_SHARD;
    }
    return extras->transaction;
}

static bool is_in_multi(const struct redis_session *session)
{
    return (session->special & REDIS_SPECIAL_MULTI) != 0;
}

void redis_transaction_forget(struct redis_session *session)
{
    struct redis_transaction *t = redis_transaction_of(session);

    session->special &= ~(uint32_t)REDIS_SPECIAL_MULTI;
    if (t == NULL)
        return;
    session->extras->transaction = NULL;
    session->base.held_bytes -= t->queue.len + t->ends.len + t->touched.len;
    buf_fini(&t->queue);
    buf_fini(&t->ends);
    buf_fini(&t->touched);
    free(t);
}

void redis_transaction_spoil(struct redis_session *session)
{
    if (is_in_multi(session))
        redis_transaction_of(session)->spoilt = true;
}

void redis_transaction_rejected(struct redis_call *call, size_t answered)
{
    struct buf *answer = call->op->answer;
    struct buf reply = { 0 };
    struct slice error;

    if (!slice_is_text(slice_text(call->cmd->name), "exec"))
        return;
    error = slice_from(buf_all(answer), answered + 1); /* behind the dash */
    if (slice_starts(error, slice_text("ERR ")))
        error = slice_from(error, 4);
    buf_text(&reply, "-EXECABORT Transaction discarded because of: ");
    buf_slice(&reply, error);
    answer->len = answered;
    buf_slice(answer, buf_all(&reply));
    buf_fini(&reply);
    redis_transaction_forget(call->session);
    call->op->end_leases = true;
}

/* Keeps the words for EXEC if they are of the transaction's shard. */
static void keep(struct redis_call *call, const struct redis_keys *keys, const struct slice *words,
                 size_t count)
{
    struct redis_transaction *t = redis_transaction_of(call->session);
    size_t more = call->op->raw.len + call->ends.bytes.len;
    uint32_t shard;

    if (!redis_call_shard(call, keys, &shard))
        return;
    if (keys->count > 0 && t->shard != NO_SHARD && t->shard != shard) {
        redis_error(call, REDIS_CROSSSLOT);
        return;
    }
    if (t->queue.len + t->ends.len + more > call->site->pool->max_request_bytes) {
        redis_error(call, "ERR the transaction is larger than max_request_bytes of pool %s",
                    call->site->pool->base.name);
        return;
    }
    if (!redis_may_hold(call, more))
        return;
    if (keys->count > 0)
        t->shard = shard;
    if (!t->spoilt) {
        size_t had = t->queue.len + t->ends.len + t->touched.len;

        resp_put_command(&t->queue, words, count);
        t->count++;
        if (call->ends.count > 0)
            buf_slice(&t->ends, call->ends.bytes);
        t->end_count += call->ends.count;
        if (call->op->touched_count > 0)
            buf_put(&t->touched, call->op->touched, call->op->touched_count * sizeof(uint64_t));
        t->touches_all |= keys->count == 0 && redis_class_may_change_any(call);
        call->session->base.held_bytes += t->queue.len + t->ends.len + t->touched.len - had;
    }
    buf_text(redis_answer(call), "+QUEUED\r\n");
}

void redis_transaction_queue(struct redis_call *call)
{
    const struct slice *words;
    struct redis_keys keys = { 0 };
    size_t count;

    if ((call->cmd->flags & REDIS_COMMAND_NO_MULTI) != 0) {
        redis_error(call, "ERR Command not allowed inside a transaction");
        return;
    }
    if (!redis_queue_admits(call) || !redis_call_keys(call, &keys) ||
        !redis_queue_replace(call, &keys, &words))
        return;
    count = call->count;
    redis_call_guard(call, &words, &count);
    keep(call, &keys, words, count);
}

bool redis_transaction_watches(const struct redis_session *session)
{
    return redis_transaction_of(session) != NULL && session->extras->transaction->watching;
}

int64_t redis_transaction_queued(const struct redis_session *session)
{
    return is_in_multi(session) ? (int64_t)redis_transaction_of(session)->count : -1;
}

bool redis_transaction_queues(const struct redis_call *call)
{
    return is_in_multi(call->session) && call->cmd->plan != REDIS_TRANSACTION &&
           !slice_is_text(slice_text(call->cmd->name), "quit") &&
           !slice_is_text(slice_text(call->cmd->name), "reset");
}

static void plan_multi(struct redis_call *call)
{
    if (is_in_multi(call->session)) {
        /* Redis does not hold this against the transaction. */
        resp_put_error_text(redis_answer(call), "ERR MULTI calls can not be nested");
        return;
    }
    begun_of(call->session);
    call->session->special |= REDIS_SPECIAL_MULTI;
    redis_answer_ok(call);
}

/* The reply to EXEC stands last; what was said before it are +OK and +QUEUED.  A server that
 * refuses MULTI itself (its user may not) has the word, for that is what must be mended. */
static void merge_exec(struct memory_merge *m)
{
    struct resp_reader reader = { m->parts[0].reply };
    struct slice first, reply;

    if (resp_read_skip(&reader, &first) != ERR_NONE) {
        buf_slice(m->out, m->parts[0].reply);
        return;
    }
    reply = first;
    while (first.at[0] != '-' && reader.in.len > 0)
        if (resp_read_skip(&reader, &reply) != ERR_NONE)
            break;
    buf_slice(m->out, reply);
}

static void merge_ok(struct memory_merge *m)
{
    buf_text(m->out, "+OK\r\n");
}

/* Ends the watch where it is; the answer does not depend on whether that went well. */
static void plan_end_of_watch(struct redis_call *call, memory_merge_f *merge)
{
    struct memory_operation *op = call->op;
    const char *texts[] = { "UNWATCH", NULL };

    redis_plan_one(call, redis_transaction_of(call->session)->shard,
                   redis_encode_texts(op->arena, texts));
    op->lease = MEMORY_LEASE_ONCE;
    op->alone = true;
    op->end_leases = true;
    op->merge = merge;
}

static void merge_spoilt(struct memory_merge *m)
{
    buf_text(m->out, "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

static void send_exec(struct redis_call *call)
{
    struct redis_transaction *t = redis_transaction_of(call->session);
    struct memory_operation *op = call->op;
    struct redis_ends ends = { buf_all(&t->ends), t->end_count };
    struct buf bytes = { 0 };

    buf_text(&bytes, "*1\r\n$5\r\nMULTI\r\n");
    buf_slice(&bytes, buf_all(&t->queue));
    buf_text(&bytes, "*1\r\n$4\r\nEXEC\r\n");
    redis_plan_one(call, t->shard == NO_SHARD ? 0 : t->shard,
                   arena_copy(op->arena, buf_all(&bytes)));
    buf_fini(&bytes);
    op->one.replies = t->count + 2;
    redis_add_ends(op->arena, &op->one, &ends);
    op->touched = (const uint64_t *)arena_copy(op->arena, buf_all(&t->touched)).at;
    op->touched_count = (uint32_t)(t->touched.len / sizeof(uint64_t));
    op->touches_all = t->touches_all;
    op->merge = merge_exec;
    op->is_write = true;
    if (t->watching) {
        op->lease = MEMORY_LEASE_ONCE;
        op->resumes = true;
        op->alone = true;
        op->end_leases = true;
    }
}

static void plan_exec(struct redis_call *call)
{
    struct redis_transaction *t = redis_transaction_of(call->session);

    if (!is_in_multi(call->session)) {
        redis_error(call, "ERR EXEC without MULTI");
        return;
    }
    if (t->watching && redis_must_wait(call))
        return;
    if (t->spoilt && t->watching)
        plan_end_of_watch(call, merge_spoilt);
    else if (t->spoilt)
        buf_text(redis_answer(call),
                 "-EXECABORT Transaction discarded because of previous errors.\r\n");
    else if (t->count == 0 && !t->watching)
        buf_text(redis_answer(call), "*0\r\n");
    else
        send_exec(call);
    redis_transaction_forget(call->session);
}

static void plan_discard(struct redis_call *call)
{
    struct redis_transaction *t = redis_transaction_of(call->session);

    if (!is_in_multi(call->session)) {
        redis_error(call, "ERR DISCARD without MULTI");
        return;
    }
    if (t->watching && redis_must_wait(call))
        return;
    if (t->watching)
        plan_end_of_watch(call, merge_ok);
    else
        redis_answer_ok(call);
    redis_transaction_forget(call->session);
}

/* Inside MULTI, UNWATCH is a command like others: it is queued. */
static void plan_unwatch(struct redis_call *call)
{
    struct redis_transaction *t = redis_transaction_of(call->session);
    const struct redis_keys none = { 0 };

    if (is_in_multi(call->session)) {
        keep(call, &none, call->args, call->count);
        return;
    }
    if (t == NULL || !t->watching) {
        redis_answer_ok(call);
        return;
    }
    if (redis_must_wait(call))
        return;
    plan_end_of_watch(call, merge_ok);
    redis_transaction_forget(call->session);
}

static void plan_watch(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct redis_transaction *t;
    struct redis_keys keys;
    uint32_t shard;

    if (is_in_multi(call->session)) {
        /* Nor this. */
        resp_put_error_text(redis_answer(call), "ERR WATCH inside MULTI is not allowed");
        return;
    }
    if (!redis_call_keys(call, &keys) || !redis_call_shard(call, &keys, &shard))
        return;
    t = redis_transaction_of(call->session);
    if (t != NULL && t->watching && t->shard != shard) {
        redis_error(call, REDIS_CROSSSLOT);
        return;
    }
    if (redis_must_wait(call))
        return;
    redis_plan_one(call, shard, redis_call_bytes(call));
    op->lease = MEMORY_LEASE;
    op->alone = true;
    op->resumes = t != NULL && t->watching;
    t = begun_of(call->session);
    t->shard = shard;
    t->watching = true;
}

void redis_plan_transaction(struct redis_call *call)
{
    static const struct {
        const char *name;
        void (*plan)(struct redis_call *);
    } KINDS[] = {
        { "multi", plan_multi }, { "exec", plan_exec },       { "discard", plan_discard },
        { "watch", plan_watch }, { "unwatch", plan_unwatch },
    };

    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
        if (slice_is_text(slice_text(KINDS[i].name), call->cmd->name)) {
            KINDS[i].plan(call);
            return;
        }
}
