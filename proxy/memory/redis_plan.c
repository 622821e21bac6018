/* Every command but the plainest: first what Redis itself checks of any command, in its order and
 * with its words, then the plan of the command's kind. */
#include <string.h>

#include "proxy/memory/redis_absent.h"
#include "proxy/memory/redis_cache.h"
#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_over.h"
#include "proxy/memory/redis_transaction.h"
#include "proxy/memory/redis_users.h"

/* What a subscribed RESP2 session may say: its replies could not be told from messages. */
static bool is_for_subscribers(const struct redis_command *cmd)
{
    return cmd->plan == REDIS_SUBSCRIBE || slice_is_text(slice_text(cmd->name), "ping") ||
           slice_is_text(slice_text(cmd->name), "quit") ||
           slice_is_text(slice_text(cmd->name), "reset");
}

static bool is_allowed(struct redis_call *call)
{
    const struct redis_command *cmd = call->cmd;
    bool logged_out;

    call->user = redis_user_of(call->site, call->session, &logged_out);
    if (logged_out && (cmd->flags & REDIS_COMMAND_NO_AUTH) == 0) {
        redis_error(call, "NOAUTH Authentication required.");
        return false;
    }
    if (!redis_user_may_run(call->user, cmd)) {
        redis_error(call, "NOPERM this user has no permissions to run the '%s' command", cmd->name);
        return false;
    }
    if (cmd->plan == REDIS_ADMIN && !redis_user_may_administrate(call->user)) {
        redis_error(call,
                    "NOPERM '%s' is dangerous administration: it needs a user with 'admin' in pool "
                    "%s's configuration",
                    cmd->name, call->site->pool->base.name);
        return false;
    }
    if (call->session->base.subscribed && call->session->base.version == 2 &&
        !is_for_subscribers(cmd)) {
        redis_error(
            call,
            "ERR Can't execute '%s': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / "
            "RESET are allowed in this context",
            cmd->name);
        return false;
    }
    return true;
}

void redis_plan_keyed(struct redis_call *call)
{
    struct redis_keys keys;
    uint32_t shard;

    if (!redis_call_keys(call, &keys) || !redis_call_shard(call, &keys, &shard) ||
        !redis_call_names_its_keys(call))
        return;
    if (redis_cache_answers(call))
        return;
    redis_plan_one(call, shard, redis_call_bytes(call));
    redis_cache_fill(call);
}

/* Over an upstream of its own, so that nobody waits behind it. */
static void plan_blocking(struct redis_call *call)
{
    if (redis_must_wait(call))
        return;
    redis_plan_keyed(call);
    if (call->op->way != MEMORY_PARTS)
        return;
    call->op->lease = MEMORY_LEASE_ONCE;
    call->op->no_deadline = true;
    call->op->alone = true;
}

static void plan_subscribe(struct redis_call *call)
{
    struct redis_keys channels;

    if (redis_must_wait(call)) /* a message must not come between it and earlier replies */
        return;
    if (redis_call_keys(call, &channels))
        call->op->way = MEMORY_SUBSCRIBE;
}

static void plan_refused(struct redis_call *call)
{
    static const struct {
        const char *start, *reason;
    } REASONS[] = {
        { "client|tracking", "upstreams are shared, so nobody could be told of invalidations" },
        { "client|caching", "client-side caching is off: see CLIENT TRACKING" },
        { "cluster|", "this is no cluster, and its shards are set in the configuration" },
        { "script|debug", "the debugger needs a server of its own" },
        { "monitor", "it would show what all the pool's users do" },
    };
    const char *reason = "it belongs to one server";

    if ((call->cmd->flags & REDIS_COMMAND_LEARNED) != 0)
        reason = (call->cmd->flags & REDIS_COMMAND_MOVABLE_KEYS) != 0
                     ? "the servers do not tell where its keys are"
                     : "the servers name no keys of it, so nobody knows which shard it is for";

    for (size_t i = 0; i < sizeof(REASONS) / sizeof(REASONS[0]); i++)
        if (strncmp(call->cmd->name, REASONS[i].start, strlen(REASONS[i].start)) == 0)
            reason = REASONS[i].reason;
    redis_error(call, "ERR '%s' can't work through a pool of shards: %s", call->cmd->name, reason);
}

static void plan_kind(struct redis_call *call)
{
    switch (redis_command_plan(call->cmd, call->args, call->count)) {
    case REDIS_KEYED:
    case REDIS_PUBLISH:
        redis_plan_keyed(call);
        return;
    case REDIS_DATABASE:
        redis_plan_database(call);
        return;
    case REDIS_SPLIT:
        redis_plan_split(call);
        return;
    case REDIS_EVERY_SHARD:
        redis_plan_every_shard(call);
        return;
    case REDIS_ANY_SHARD:
        redis_plan_any_shard(call);
        return;
    case REDIS_SCAN:
        redis_plan_scan(call);
        return;
    case REDIS_LOCAL:
        redis_plan_local(call);
        return;
    case REDIS_TRANSACTION:
        redis_plan_transaction(call);
        return;
    case REDIS_BLOCKING:
        plan_blocking(call);
        return;
    case REDIS_SUBSCRIBE:
        plan_subscribe(call);
        return;
    case REDIS_SCRIPT:
        redis_plan_script(call);
        return;
    case REDIS_ADMIN:
        redis_plan_admin(call);
        return;
    case REDIS_REFUSED:
        plan_refused(call);
        return;
    }
}

void redis_plan_checked(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    size_t answered = op->answer->len;

    op->name = call->cmd->name;
    op->is_write = (call->cmd->flags & REDIS_COMMAND_WRITE) != 0;
    if (!redis_command_arity_is_right(call->cmd, call->count))
        redis_error_of_words(call);
    if (op->answer->len > answered || !is_allowed(call))
        redis_transaction_rejected(call, answered);
    else if (call->site->translates)
        redis_over_plan(call);
    else if (redis_transaction_queues(call))
        redis_transaction_queue(call);
    else {
        plan_kind(call);
        redis_absent_if_down(call->site, call->session, call->cmd, op);
    }
    /* What changes keys without naming them may have changed any. */
    if (op->way == MEMORY_PARTS && op->key.at == NULL && redis_class_may_change_any(call))
        op->touches_all = true;
}

/* CLIENT REPLY ON is heard even where it should have been skipped; RESET is not. */
static bool is_reply_on(const struct redis_call *call)
{
    return call->cmd != NULL && slice_is_text(slice_text(call->cmd->name), "client|reply") &&
           call->count == 3 && slice_is_word(call->args[2], "on");
}

void redis_plan_slow(const struct memory_site *site, struct redis_session *session,
                     struct memory_operation *op, const struct redis_command *cmd)
{
    struct redis_call call = {
        .site = site,
        .session = session,
        .op = op,
        .cmd = cmd,
        .args = op->words,
        .count = op->count,
    };
    bool silent = (session->special & REDIS_SPECIAL_SILENT) != 0;
    bool skip = (session->special & REDIS_SPECIAL_SKIP) != 0;
    size_t answered = op->answer->len;

    session->special &= ~(uint32_t)REDIS_SPECIAL_SKIP;
    if (site->pool->user_count == 0 && (session->special & REDIS_SPECIAL_LOGGED_OUT) != 0)
        redis_user_begin(site, session); /* a reload took the users away */
    if (call.cmd == NULL)
        call.cmd = redis_learn_find(redis_shared_of(site), call.args, call.count);
    if (call.cmd == NULL && site->translates)
        redis_error_of_words(&call);
    else if (call.cmd == NULL)
        redis_plan_learn(&call);
    else
        redis_plan_checked(&call);
    if (op->after_all) {
        session->special |= skip ? REDIS_SPECIAL_SKIP : 0;
        return;
    }
    if (silent) /* what ends it is heard, and nothing else: no error either */
        silent = (session->special & REDIS_SPECIAL_SILENT) != 0;
    else
        silent = skip && !is_reply_on(&call);
    if (silent) {
        op->silent = true;
        op->answer->len = answered;
    }
}
