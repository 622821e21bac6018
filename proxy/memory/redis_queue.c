/* What may stand between MULTI and EXEC: commands of the transaction's one shard, and those of no
 * shard that change nothing of the session.  All else gets a clear error, and loses the
 * transaction, rather than an effect other than Redis's. */
#include "proxy/memory/redis_queue.h"

#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_scripts.h"

static bool is_harmless_local(const struct redis_command *cmd)
{
    static const char *const NAMES[] = { "ping", "echo", "time" };

    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++)
        if (strcmp(cmd->name, NAMES[i]) == 0)
            return true;
    return false;
}

bool redis_queue_admits(struct redis_call *call)
{
    const struct redis_command *cmd = call->cmd;

    switch ((enum redis_plan)cmd->plan) {
    case REDIS_KEYED:
    case REDIS_DATABASE:
    case REDIS_SPLIT:
    case REDIS_ANY_SHARD:
    case REDIS_BLOCKING:
    case REDIS_PUBLISH:
    case REDIS_ADMIN:
        if (cmd->plan != REDIS_ADMIN || cmd->keys != REDIS_KEYS_NONE)
            return redis_call_names_its_keys(call);
        break;
    case REDIS_SCRIPT:
        return redis_script_admits(call);
    case REDIS_LOCAL:
        if (is_harmless_local(cmd))
            return true;
        break;
    case REDIS_EVERY_SHARD:
    case REDIS_SCAN:
    case REDIS_TRANSACTION:
    case REDIS_SUBSCRIBE:
    case REDIS_REFUSED:
        break;
    }
    redis_error(call, "ERR '%s' can't be part of a transaction here: that lives on one shard",
                cmd->name);
    return false;
}

static void replace_sha(struct redis_call *call, const struct slice **words)
{
    struct redis_shared *shared = redis_shared_of(call->site);
    bool read_only = strcmp(call->cmd->name, "evalsha_ro") == 0;
    struct slice *other, body;

    if (!read_only && strcmp(call->cmd->name, "evalsha") != 0)
        return;
    if (!redis_scripts_find(shared->scripts, call->args[1], call->op->arena, &body))
        return;
    other = arena_new(call->op->arena, call->count * sizeof(*other));
    memcpy(other, call->args, call->count * sizeof(*other));
    other[0] = slice_text(read_only ? "EVAL_RO" : "EVAL");
    other[1] = body;
    *words = other;
}

bool redis_queue_replace(struct redis_call *call, const struct redis_keys *keys,
                         const struct slice **words)
{
    uint32_t shard;

    *words = call->args;
    if (call->cmd->plan == REDIS_DATABASE)
        return redis_call_shard(call, keys, &shard) && redis_database_words(call, shard, words);
    replace_sha(call, words);
    return true;
}
