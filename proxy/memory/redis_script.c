/* EVAL and its kin: keyed commands whose bodies are remembered, so that EVALSHA to a server that
 * has lost the script (a restart, a failover) is asked again as EVAL, and the client never knows.
 * Such an EVALSHA was not run at all, so asking again is safe whatever the script does.
 *
 * What the session asks behind it must not overtake the second asking, and no reply of yesterday
 * says that the server has the script today: others may flush it.  So EVALSHA is alone.  Where its
 * session has more to ask, that would cost a round trip each, so there a short script is sent as
 * EVAL at once, which never needs a second asking. */
#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_scripts.h"

enum { SHORT_BODY = 4096 };

static bool carries_body(const struct redis_command *cmd)
{
    return strcmp(cmd->name, "eval") == 0 || strcmp(cmd->name, "eval_ro") == 0;
}

static bool names_sha(const struct redis_command *cmd)
{
    return strcmp(cmd->name, "evalsha") == 0 || strcmp(cmd->name, "evalsha_ro") == 0;
}

bool redis_script_admits(struct redis_call *call)
{
    if (call->user != NULL && call->user->key_prefix_count > 0) {
        redis_error(call,
                    "NOPERM scripts can reach any key, so a user with key prefixes may not "
                    "run '%s'",
                    call->cmd->name);
        return false;
    }
    if (carries_body(call->cmd))
        redis_scripts_remember(redis_shared_of(call->site)->scripts, call->args[1]);
    return true;
}

static void merge_healing(struct memory_merge *m)
{
    static const char NOSCRIPT[] = "-NOSCRIPT ";
    struct redis_note *note = m->note;
    struct slice reply = m->parts[0].reply;

    if (note->round > 0 || m->parts[0].failed || !redis_merge_has_shard(m, 0) ||
        !slice_starts(reply, slice_of(NOSCRIPT, sizeof(NOSCRIPT) - 1))) {
        buf_slice(m->out, reply);
        return;
    }
    note->round++;
    m->parts[0].bytes = note->words[0]; /* what follows it is the same */
    m->again = true;
}

/* The same request as EVAL: made now, for its words are gone when the reply comes. */
static struct slice as_eval_of(struct redis_call *call, struct slice body)
{
    struct slice *words = arena_new(call->op->arena, call->count * sizeof(*words));

    memcpy(words, call->args, call->count * sizeof(*words));
    words[0] = slice_text(strcmp(call->cmd->name, "evalsha") == 0 ? "EVAL" : "EVAL_RO");
    words[1] = body;
    return redis_encode(call->op->arena, words, call->count);
}

void redis_plan_script(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct redis_note *note;
    struct slice body, as_eval;

    if (!redis_script_admits(call))
        return;
    op->may_write = true;
    redis_plan_keyed(call);
    if (op->way != MEMORY_PARTS || !names_sha(call->cmd) ||
        !redis_scripts_find(redis_shared_of(call->site)->scripts, call->args[1], op->arena, &body))
        return;
    as_eval = redis_join(op->arena, as_eval_of(call, body), call->ends.bytes);
    if (body.len <= SHORT_BODY && (!call->site->idle || call->site->has_more)) {
        op->one.bytes = as_eval;
        return;
    }
    note = redis_note_new(call);
    note->words[0] = as_eval;
    op->parts = arena_new(op->arena, sizeof(*op->parts));
    *op->parts = op->one;
    op->merge = merge_healing;
    op->note = note;
    op->alone = true;
}
