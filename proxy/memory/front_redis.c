/* The Redis front: RESP requests in, plans out.
 *
 * Most requests are one key of one shard, forwarded as they came.  plan() decides that in one
 * straight line; whatever is special about a command or its session goes to redis_plan_slow(),
 * which asks everything in the order in which Redis asks it. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/memory/redis_absent.h"
#include "proxy/memory/redis_class.h"
#include "proxy/memory/redis_front.h"
#include "proxy/memory/redis_scripts.h"
#include "proxy/memory/redis_transaction.h"
#include "proxy/memory/redis_users.h"

static void begin(const struct memory_site *site, struct memory_state *state)
{
    state->version = 2;
    redis_user_begin(site, redis_session_of(state));
}

static void end(struct memory_state *state)
{
    struct redis_session *session = redis_session_of(state);

    redis_transaction_forget(session);
    if (session->extras != NULL) {
        free(session->extras->name);
        free(session->extras->library);
        free(session->extras->library_version);
        free(session->extras);
    }
    free(session->base.user);
}

static void *shared_new(const struct memory_pool *pool)
{
    struct redis_shared *shared = mem_new(sizeof(*shared));

    shared->scripts = redis_scripts_open(pool->base.name, pool->script_cache_bytes);
    shared->random = (uintptr_t)shared * 0x9e3779b97f4a7c15U | 1;
    return shared;
}

static void shared_free(void *memory)
{
    struct redis_shared *shared = memory;

    if (shared == NULL)
        return;
    redis_scripts_close(&shared->scripts);
    for (uint32_t i = 0; i < shared->learned_count; i++)
        redis_learned_free(&shared->learned[i]);
    resp_args_fini(&shared->args);
    verbs_fini(&shared->verbs);
    free(shared);
}

/* A browser that some page has post to us would else have its body's lines carried out. */
static bool is_of_browser(const struct resp_args *args)
{
    return args->count > 0 &&
           (slice_is_word(args->at[0], "post") || slice_is_word(args->at[0], "host:"));
}

static enum parse parse(const struct memory_site *site, struct memory_state *state, struct slice in,
                        struct memory_operation *op, size_t *need, struct buf *last_words)
{
    struct redis_session *session = redis_session_of(state);
    struct redis_shared *shared = redis_shared_of(site);
    struct resp_limits limits = RESP_LIMITS_DEFAULT;
    struct resp_problem why;
    enum parse parse;
    size_t len;

    if ((session->special & REDIS_SPECIAL_LOGGED_OUT) != 0)
        limits = RESP_LIMITS_UNAUTHENTICATED;
    else
        limits.max_bulk_bytes = limits.max_request_bytes = site->pool->max_request_bytes;
    parse = resp_request_parse(&session->progress, in, &limits, &shared->args, &len, &why);
    if (parse == PARSE_DONE) {
        op->raw = slice_of(in.at, len);
        op->words = shared->args.at;
        op->count = shared->args.count;
        op->is_inline = in.at[0] != '*';
        if (op->is_inline && is_of_browser(&shared->args))
            return PARSE_BAD; /* without a word, as Redis does */
    } else if (parse == PARSE_MORE) {
        *need = session->progress.need > in.len ? session->progress.need : in.len + 1;
    } else if ((session->special & (REDIS_SPECIAL_SILENT | REDIS_SPECIAL_SKIP)) == 0) {
        resp_put_error_text(last_words, "ERR %s", why.text);
    }
    return parse;
}

/* Is there nothing about the session that a plain command must be checked against? */
static inline bool is_plain(const struct memory_site *site, struct redis_session *session)
{
    bool logged_out;

    if (session->special != 0 || (session->base.subscribed && session->base.version == 2))
        return false;
    return site->pool->user_count == 0 ||
           (memory_user_is_free(redis_user_of(site, session, &logged_out)) && !logged_out);
}

static void plan(const struct memory_site *site, struct memory_state *state,
                 struct memory_operation *op)
{
    struct redis_session *session = redis_session_of(state);
    const struct redis_command *cmd;
    const struct memory_class *class;

    if (op->count == 0) {
        session->special &= ~(uint32_t)REDIS_SPECIAL_SKIP; /* as Redis has it */
        op->way = MEMORY_NOTHING;
        return;
    }
    cmd = redis_command_find(op->words, op->count);
    if (cmd == NULL || cmd->plan != REDIS_KEYED || !redis_command_has_one_key(cmd) ||
        !redis_command_arity_is_right(cmd, op->count) || op->is_inline ||
        redis_is_stamp_key(op->words[1]) || site->translates || !is_plain(site, session)) {
        redis_plan_slow(site, session, op, cmd);
        return;
    }
    class = memory_site_class(site, op->words[1]);
    if (site->marks_all_writes || (class != NULL && !redis_class_is_plain(class, cmd))) {
        redis_plan_slow(site, session, op, cmd);
        return;
    }
    op->name = cmd->name;
    op->key = op->words[1];
    op->class = class;
    op->is_write = (cmd->flags & REDIS_COMMAND_WRITE) != 0;
    op->one.shard = memory_site_place(site, class, op->key);
    op->one.replies = 1;
    op->one.bytes = op->raw;
    op->parts = &op->one;
    op->part_count = 1;
    op->way = MEMORY_PARTS;
    redis_absent_if_down(site, session, cmd, op);
}

static void portray(const struct memory_state *state, struct memory_portrait *out)
{
    const struct redis_session *session = (const struct redis_session *)state;

    *out = (struct memory_portrait){ 0 };
    if (session->extras != NULL) {
        out->name = session->extras->name;
        out->library = session->extras->library;
        out->library_version = session->extras->library_version;
    }
    out->queued = redis_transaction_queued(session);
}

/* A shard that still loads is a thing that clients know how to wait for. */
static void refuse(const struct memory_state *state, const struct memory_refusal *why,
                   struct buf *out)
{
    bool is_loading = why->is_loading || (why->err == ERR_DOWN && why->text != NULL &&
                                          strstr(why->text, "LOADING") != NULL);

    (void)state;
    buf_text(out, is_loading ? "-LOADING " : "-ERR ");
    memory_refusal_put(why, out);
    buf_text(out, "\r\n");
}

/* In Redis's words, which client libraries know. */
static void turn_away(struct buf *out)
{
    resp_put_error(out, slice_text("ERR max number of clients reached"));
}

const struct memory_front memory_front_redis = {
    .turn_away = turn_away,
    .name = "redis",
    .state_size = sizeof(struct redis_session),
    .begin = begin,
    .end = end,
    .shared_new = shared_new,
    .shared_free = shared_free,
    .parse = parse,
    .plan = plan,
    .portray = portray,
    .refuse = refuse,
};
