/* A command or subcommand that our table lacks may be one of a module or of a newer server: the
 * servers' own COMMAND tells where its keys are.  It is asked for when such a command comes, unless
 * it was answered less than LEARN_INTERVAL_US ago, and the command is planned with what it said;
 * what the session asks behind it waits for that.  What was learned is kept as long as the worker,
 * for requests under way point into it; a lesson is kept only if it knows the command that it was
 * taken for. */
#include <string.h>

#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_merge.h"
#include "proxy/memory/redis_transaction.h"

#define LEARN_INTERVAL_US ((uint64_t)30 * 1000000)

const struct redis_command *redis_learn_find(const struct redis_shared *shared,
                                             const struct slice *words, size_t count)
{
    const struct redis_command *cmd = NULL;

    for (uint32_t i = shared->learned_count; i > 0 && cmd == NULL; i--)
        cmd = redis_learned_find(shared->learned[i - 1], words, count);
    return cmd;
}

struct lesson {
    struct redis_note note;
    struct memory_operation op; /* of the command, its words kept in the arena */
    bool planned;
};

/* The plan was for now, but what it needs can't be had within a merge. */
static bool is_simple(const struct memory_operation *op)
{
    return op->way == MEMORY_ANSWERED ||
           (op->way == MEMORY_PARTS && op->lease != MEMORY_LEASE && !op->after_all);
}

static void plan_learned(struct memory_merge *m, struct lesson *lesson)
{
    struct redis_shared *shared = redis_shared_of(m->site);
    struct memory_operation *op = &lesson->op;
    struct redis_call call = {
        .site = m->site,
        .session = redis_session_of(m->state),
        .op = op,
        .args = op->words,
        .count = op->count,
    };

    op->answer = m->out;
    op->arena = m->arena;
    call.cmd = redis_learn_find(shared, op->words, op->count);
    if (call.cmd == NULL) {
        redis_error_of_words(&call);
        return;
    }
    redis_plan_checked(&call);
    if (!is_simple(op)) {
        redis_error(&call, "ERR '%s' was not known to the pool until now: try again",
                    call.cmd->name);
    } else if (op->way == MEMORY_PARTS) {
        m->parts = arena_new(m->arena, op->part_count * sizeof(*m->parts));
        memcpy(m->parts, op->parts, op->part_count * sizeof(*m->parts));
        m->part_count = op->part_count;
        m->again = true;
        m->lease = op->lease;
        m->no_deadline = op->no_deadline;
    }
}

/* Keeps what the server said, unless others who asked meanwhile have it already. */
static void take_lesson(struct memory_merge *m, const struct lesson *lesson)
{
    struct redis_shared *shared = redis_shared_of(m->site);
    const struct slice *words = lesson->op.words;
    struct redis_learned *learned;

    shared->learned_us = m->site->now_us;
    if (shared->learned_count == REDIS_LEARNED_MOST ||
        redis_learn_find(shared, words, lesson->op.count) != NULL ||
        redis_learned_read(m->parts[0].reply, &learned) != ERR_NONE)
        return;
    if (redis_learned_find(learned, words, lesson->op.count) != NULL)
        shared->learned[shared->learned_count++] = learned;
    else
        redis_learned_free(&learned);
}

/* No server could be asked, so nobody knows whether there is such a command. */
static void fail(struct memory_merge *m)
{
    if (m->state != NULL)
        redis_transaction_spoil(redis_session_of(m->state));
    redis_merge_one(m);
}

static void merge_lesson(struct memory_merge *m)
{
    struct lesson *lesson = m->note;

    if (lesson->planned) {
        m->note = lesson->op.note;
        (lesson->op.merge == NULL ? redis_merge_one : lesson->op.merge)(m);
        m->note = lesson;
        return;
    }
    if (m->parts[0].failed && redis_merge_next_shard(m, &lesson->note))
        return;
    lesson->planned = true;
    if (m->parts[0].failed) {
        fail(m);
        return;
    }
    take_lesson(m, lesson);
    if (m->state != NULL)
        plan_learned(m, lesson);
}

/* May a newer server know a command of this name, or subcommand, that could be used?  Of the
 * containers of our table that is so where others of their subcommands have keys: OBJECT, XINFO ...
 * What CLIENT or CONFIG may have more is for one server. */
static bool is_worth_asking(struct slice name)
{
    const struct redis_command *known = redis_command_named(name), *cmd;

    if (known == NULL || !redis_command_has_subcommands(known))
        return known == NULL;
    for (size_t i = 0; (cmd = redis_command_at(i)) != NULL; i++)
        if (cmd->plan == REDIS_KEYED && cmd->name[known->name_len] == '|' &&
            memcmp(cmd->name, known->name, known->name_len) == 0)
            return true;
    return false;
}

void redis_plan_learn(struct redis_call *call)
{
    const char *texts[] = { "COMMAND", NULL };
    struct redis_shared *shared = redis_shared_of(call->site);
    struct memory_operation *op = call->op;
    struct lesson *lesson;
    struct slice *words;

    if (!is_worth_asking(call->args[0]) ||
        (call->session->special & REDIS_SPECIAL_LOGGED_OUT) != 0 ||
        (shared->learned_us != 0 && call->site->now_us - shared->learned_us < LEARN_INTERVAL_US)) {
        redis_error_of_words(call);
        return;
    }
    if (redis_must_wait(call)) /* it may be one that must come behind all else, or have a lease */
        return;
    lesson = arena_new(op->arena, sizeof(*lesson));
    words = arena_new(op->arena, call->count * sizeof(*words));
    for (size_t i = 0; i < call->count; i++)
        words[i] = arena_copy(op->arena, call->args[i]);
    lesson->op.words = words;
    lesson->op.count = call->count;
    lesson->op.raw = redis_encode(op->arena, words, call->count); /* those that came do not stay */
    op->name = "command";
    lesson->note.words[0] = redis_encode_texts(op->arena, texts);
    redis_plan_one(call, 0, lesson->note.words[0]);
    op->parts = arena_new(op->arena, sizeof(*op->parts));
    *op->parts = op->one;
    op->merge = merge_lesson;
    op->note = lesson;
    op->alone = true; /* it may yet be queued in a transaction, or go to another shard */
}
