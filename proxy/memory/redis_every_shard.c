/* Commands of all shards, and those that any shard can answer. */
#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_scripts.h"
#include "proxy/memory/redis_stamp.h"
#include "proxy/wire/resp_reader.h"

static void plan_all(struct redis_call *call)
{
    if (memory_site_shards(call->site) == 1)
        redis_plan_one(call, 0, redis_call_bytes(call));
    else
        redis_plan_all(call, redis_call_bytes(call), 1, redis_merge_of(call->cmd->merge),
                       redis_note_new(call));
}

static void plan_info(struct redis_call *call)
{
    struct redis_note *note = redis_note_new(call);

    note->words[0] = slice_of("", 0);
    note->round = call->count == 1;
    for (size_t i = 1; i < call->count; i++)
        note->round |=
            slice_is_word(call->args[i], "sheaf") || slice_is_word(call->args[i], "all") ||
            slice_is_word(call->args[i], "default") || slice_is_word(call->args[i], "everything");
    note->hide_stamp = call->site->pool->stamp;
    redis_plan_all(call, redis_call_bytes(call), 1, redis_merge_info, note);
}

static void plan_script_load(struct redis_call *call)
{
    redis_scripts_remember(redis_shared_of(call->site)->scripts, call->args[2]);
    plan_all(call);
}

static void plan_script_flush(struct redis_call *call)
{
    redis_scripts_forget(redis_shared_of(call->site)->scripts);
    plan_all(call);
}

/* WAIT and WAITAOF wait for the place in the server's replication stream that their own upstream
 * wrote last.  From Redis 7.2 on a command notes the place only if it was written to that stream,
 * so what goes before them must be, and may change nothing: SWAPDB of a database with itself is
 * for replicas and the append-only file, a message to a shard channel that nobody hears for
 * replicas.  Either will do for WAIT, for a server's rights may forbid the other.  So on an
 * upstream of its own WAIT covers all that the session has had acknowledged, and blocks nobody. */
static const char *const SWAP[] = { "SWAPDB", "0", "0", NULL };
static const char *const WHISPER[] = { "SPUBLISH", "sheaf:wait", "", NULL };

/* The part's reply is what the server said to the last command.  Did one of those `before` it note
 * the place?  If not, *why is the error.  What WAIT itself failed with is told as it is. */
static bool take_wait(struct memory_part *part, uint32_t before, struct slice *why)
{
    struct resp_reader reader = { part->reply };
    bool noted = false;
    struct slice reply;

    part->reply.len = 0;
    for (uint32_t i = 0; i < before; i++) {
        if (resp_read_skip(&reader, &reply) != ERR_NONE)
            return true; /* what is no answer is told as such */
        if (reply.at[0] == '-')
            *why = reply;
        else
            noted = true;
    }
    part->reply = reader.in;
    return noted || (reader.in.len > 0 && reader.in.at[0] == '-');
}

static void merge_wait(struct memory_merge *m)
{
    const struct redis_note *note = m->note;
    struct slice why = { 0 };

    for (uint32_t i = 0; i < m->part_count; i++)
        if (!m->parts[i].failed && !take_wait(&m->parts[i], note->round, &why)) {
            resp_put_error_text(m->out,
                                "ERR '%s' needs servers whose user is allowed %sSWAPDB, else they "
                                "don't know what to wait for: %.*s",
                                note->cmd->name, note->round > 1 ? "SPUBLISH or " : "",
                                (int)why.len - 3, (const char *)why.at + 1);
            return;
        }
    redis_merge_of(REDIS_MERGE_MINIMUM)(m);
}

static void plan_wait(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct slice bytes =
        redis_join(op->arena, redis_encode_texts(op->arena, SWAP), redis_call_bytes(call));
    struct redis_note *note = redis_note_new(call);

    if (redis_must_wait(call))
        return;
    note->round = 1;
    if (strcmp(call->cmd->name, "wait") == 0) {
        bytes = redis_join(op->arena, redis_encode_texts(op->arena, WHISPER), bytes);
        note->round = 2;
    }
    redis_plan_all(call, bytes, note->round + 1, merge_wait, note);
    op->lease = MEMORY_LEASE_ONCE;
    op->no_deadline = true;
    op->alone = true;
}

static void plan_memory_stats(struct redis_call *call)
{
    if (memory_site_shards(call->site) == 1)
        plan_all(call);
    else
        redis_error(call,
                    "ERR '%s' can't work through a pool of shards: shares and ratios are those of "
                    "one server, and INFO memory tells what can be added",
                    call->cmd->name);
}

void redis_plan_every_shard(struct redis_call *call)
{
    static const struct {
        const char *name;
        void (*plan)(struct redis_call *);
    } SPECIAL[] = {
        { "keys", redis_stamp_plan_keys },
        { "dbsize", redis_stamp_plan_dbsize },
        { "randomkey", redis_stamp_plan_randomkey },
        { "flushall", redis_stamp_plan_flush },
        { "flushdb", redis_stamp_plan_flush },
        { "info", plan_info },
        { "wait", plan_wait },
        { "waitaof", plan_wait },
        { "memory|stats", plan_memory_stats },
        { "script|load", plan_script_load },
        { "script|flush", plan_script_flush },
        { "slowlog|get", redis_plan_local },
        { "slowlog|len", redis_plan_local },
    };

    for (size_t i = 0; i < sizeof(SPECIAL) / sizeof(SPECIAL[0]); i++)
        if (strcmp(SPECIAL[i].name, call->cmd->name) == 0) {
            SPECIAL[i].plan(call);
            return;
        }
    plan_all(call);
}

/* A script that came by EVAL is known to the shard of its keys alone. */
static bool is_unknown_script(const struct memory_merge *m)
{
    const struct redis_note *note = m->note;

    return strcmp(note->cmd->name, "script|show") == 0 &&
           slice_starts(m->parts[0].reply, slice_text("-NOSCRIPT"));
}

/* A shard that could not answer is no reason not to: the next one is asked. */
static void merge_any(struct memory_merge *m)
{
    if ((!m->parts[0].failed && !is_unknown_script(m)) || !redis_merge_next_shard(m, m->note))
        redis_merge_one(m);
}

void redis_plan_any_shard(struct redis_call *call)
{
    struct memory_operation *op = call->op;
    struct redis_note *note = redis_note_new(call);

    note->words[0] = arena_copy(op->arena, redis_call_bytes(call));
    redis_plan_one(call, 0, note->words[0]);
    op->parts = arena_new(op->arena, sizeof(*op->parts));
    *op->parts = op->one;
    op->merge = merge_any;
    op->note = note;
}

/* SLOWLOG GET tells the pool's own slow log; who looks past Sheaf finds those of the servers. */
static void plan_slowlog_reset(struct redis_call *call)
{
    redis_plan_local(call);
    if (memory_site_endpoint(call->site, 0)->store_path == NULL)
        plan_all(call);
}

void redis_plan_admin(struct redis_call *call)
{
    if (call->cmd->keys != REDIS_KEYS_NONE)
        redis_plan_keyed(call);
    else if (strcmp(call->cmd->name, "slowlog|reset") == 0)
        plan_slowlog_reset(call);
    else if (strcmp(call->cmd->name, "swapdb") == 0)
        redis_plan_swapdb(call);
    else
        plan_all(call);
}
