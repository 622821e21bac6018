/* The memcached front: text, meta or binary requests in, plans out.  Which of the two protocols a
 * session speaks its first byte decides, as in memcached. */
#include <openssl/rand.h>
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memcached_front.h"
#include "proxy/memory/memcached_over.h"

enum {
    KEYS_LINE_BYTES = 4 * 1024 * 1024, /* of get with many keys */
    LOGGED_OUT_BYTES = 1024,           /* of what a session may send before it is logged in */
};

static void begin(const struct memory_site *site, struct memory_state *state)
{
    memcached_user_begin(site, memcached_session_of(state));
}

static void end(struct memory_state *state)
{
    free(state->user);
}

static void *shared_new(const struct memory_pool *pool)
{
    struct memcached_shared *shared = mem_new(sizeof(*shared));

    (void)pool;
    if (RAND_bytes((uint8_t *)&shared->random, sizeof(shared->random)) != 1)
        shared->random = (uintptr_t)shared;
    return shared;
}

static void shared_free(void *memory)
{
    free(memory);
}

/* What is left of a value that was refused goes by in pieces. */
static enum parse parse_skipped(struct memcached_session *session, struct memcached_shared *shared,
                                struct slice in, struct memory_operation *op, size_t *need)
{
    *need = in.len == 0;
    if (in.len == 0)
        return PARSE_MORE;
    shared->is_skipped = true;
    op->raw = slice_of(in.at, session->skip < in.len ? (size_t)session->skip : in.len);
    return PARSE_DONE;
}

static enum parse parse_text(const struct memory_site *site, struct memcached_session *session,
                             struct slice in, struct memory_operation *op, size_t *need,
                             struct buf *last_words)
{
    struct memcached_text_request *r = &memcached_shared_of(site)->text;
    uint64_t most = site->pool->max_request_bytes;
    struct memcached_text_limits limits = {
        .line_bytes = most < KEYS_LINE_BYTES ? most : KEYS_LINE_BYTES,
        .value_bytes = most,
    };
    enum parse parse;

    if (!session->base.logged_in)
        limits.line_bytes = limits.value_bytes = LOGGED_OUT_BYTES;
    parse = memcached_text_parse(&session->progress, in, &limits, r, need);
    if (parse == PARSE_BAD)
        buf_text(last_words, "CLIENT_ERROR line too long\r\n");
    if (parse == PARSE_DONE)
        op->raw = slice_of(in.at, r->len);
    return parse;
}

static enum parse parse_binary(const struct memory_site *site, struct memcached_session *session,
                               struct slice in, struct memory_operation *op, size_t *need)
{
    struct memcached_shared *shared = memcached_shared_of(site);
    struct memcached_binary_request *r = &shared->binary;
    uint64_t most =
        session->base.logged_in ? site->pool->max_request_bytes : (uint64_t)LOGGED_OUT_BYTES;
    enum parse parse = memcached_binary_parse(in, most, r, need);

    if (parse == PARSE_DONE) {
        op->raw = slice_of(in.at, r->len);
        shared->behind = slice_from(in, r->len);
    }
    return parse;
}

static enum parse parse(const struct memory_site *site, struct memory_state *state, struct slice in,
                        struct memory_operation *op, size_t *need, struct buf *last_words)
{
    struct memcached_session *session = memcached_session_of(state);
    struct memcached_shared *shared = memcached_shared_of(site);

    shared->is_skipped = false;
    if (session->skip > 0)
        return parse_skipped(session, shared, in, op, need);
    if (session->form == MEMCACHED_UNDECIDED && in.len > 0)
        session->form = in.at[0] == MEMCACHED_MAGIC ? MEMCACHED_BINARY : MEMCACHED_TEXT;
    if (session->form == MEMCACHED_BINARY)
        return parse_binary(site, session, in, op, need);
    return parse_text(site, session, in, op, need, last_words);
}

static void plan(const struct memory_site *site, struct memory_state *state,
                 struct memory_operation *op)
{
    struct memcached_session *session = memcached_session_of(state);
    struct memcached_shared *shared = memcached_shared_of(site);
    struct memcached_call call = { .site = site, .session = session, .op = op };

    if (shared->is_skipped) {
        session->skip -= op->raw.len;
        op->way = MEMORY_NOTHING;
    } else if (session->form == MEMCACHED_BINARY) {
        call.binary = &shared->binary;
        session->skip = shared->binary.skip;
        memcached_plan_binary(&call);
    } else {
        call.text = &shared->text;
        call.bytes = slice_from(op->raw, (size_t)(shared->text.line.at - op->raw.at));
        session->skip = shared->text.skip;
        memcached_plan_text(&call);
    }
    if (site->translates && op->way == MEMORY_PARTS)
        memcached_over_translate(&call);
}

static void portray(const struct memory_state *state, struct memory_portrait *out)
{
    (void)state;
    (void)out;
}

/* In text; who speaks binary has it translated by the merge that all its requests have. */
static void refuse(const struct memory_state *state, const struct memory_refusal *why,
                   struct buf *out)
{
    (void)state;
    buf_text(out, "SERVER_ERROR ");
    memory_refusal_put(why, out);
    buf_text(out, "\r\n");
}

/* In memcached's words. */
static void turn_away(struct buf *out)
{
    buf_text(out, "ERROR Too many open connections\r\n");
}

const struct memory_front memory_front_memcached = {
    .name = "memcached",
    .state_size = sizeof(struct memcached_session),
    .begin = begin,
    .end = end,
    .shared_new = shared_new,
    .shared_free = shared_free,
    .parse = parse,
    .plan = plan,
    .turn_away = turn_away,
    .portray = portray,
    .refuse = refuse,
};
