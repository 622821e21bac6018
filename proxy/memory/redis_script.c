/* EVAL and its kin: keyed commands whose bodies are remembered, so that EVALSHA to a server that
 * has lost the script (a restart, a failover) is asked again as EVAL, and the client never knows.
 * Such an EVALSHA was not run at all, so asking again is safe whatever the script does.
 *
 * What the session asks behind it must not overtake the second asking.  So it waits, unless the
 * shard is known to have the script: it ran it before, over a connection that still stands. */
#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_scripts.h"

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

static struct redis_ran *place_of(struct redis_shared *shared, const struct redis_ran *ran)
{
    return &shared->ran[(ran->sha ^ ran->shard) % REDIS_RAN_PLACES];
}

static bool is_known(struct redis_call *call, const struct redis_ran *ran)
{
    const struct redis_ran *known = place_of(redis_shared_of(call->site), ran);

    return known->sha == ran->sha && known->shard == ran->shard && known->epoch == ran->epoch;
}

static struct redis_ran what_runs(struct redis_call *call)
{
    const struct memory_host *host = call->site->host;
    struct redis_ran ran = { .shard = call->op->one.shard };

    for (size_t i = 0; i < 16; i++) { /* hexadecimal, or its script would not have been found */
        uint8_t c = call->args[1].at[i];

        ran.sha = ran.sha << 4 | (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    if (host->shard_epoch != NULL)
        ran.epoch = host->shard_epoch(call->site, ran.shard);
    return ran;
}

/* A reply that is no NOSCRIPT says that the shard has it. */
static void note_ran(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct redis_ran *place = place_of(redis_shared_of(m->site), &note->ran);

    if (m->again)
        *place = (struct redis_ran){ .shard = UINT32_MAX };
    else if (!m->parts[0].failed)
        *place = note->ran;
}

static void heal(struct memory_merge *m)
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

static void merge_healing(struct memory_merge *m)
{
    heal(m);
    note_ran(m);
}

/* The same request as EVAL: made now, for its words are gone when the reply comes. */
static struct slice as_eval(struct redis_call *call, struct slice body)
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
    struct slice body;

    if (!redis_script_admits(call))
        return;
    op->may_write = true;
    redis_plan_keyed(call);
    if (op->way != MEMORY_PARTS || !names_sha(call->cmd) ||
        !redis_scripts_find(redis_shared_of(call->site)->scripts, call->args[1], op->arena, &body))
        return;
    note = redis_note_new(call);
    note->words[0] = redis_join(op->arena, as_eval(call, body), call->ends.bytes);
    op->parts = arena_new(op->arena, sizeof(*op->parts));
    *op->parts = op->one;
    op->merge = merge_healing;
    op->note = note;
    note->ran = what_runs(call);
    op->alone = !is_known(call, &note->ran);
}
