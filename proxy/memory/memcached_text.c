/* Text commands.  What names one key goes to its shard as it came, without noreply. */
#include <assert.h>
#include <string.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/wire/memcached_numeral.h"

/* The request as its server must see it: it will always reply. */
static struct slice loud_bytes(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct slice line = r->line;
    size_t tail = r->has_value ? 2 + r->value.len + 2 : 2;
    uint8_t *bytes, *at;

    if (!r->noreply)
        return call->bytes;
    line.len = (size_t)(r->words[r->word_count - 1].at - line.at);
    bytes = arena_bytes(call->op->arena, line.len + tail);
    at = mempcpy(mempcpy(bytes, line.at, line.len), "\r\n", 2);
    if (r->has_value) {
        at = mempcpy(at, r->value.at, r->value.len);
        at = mempcpy(at, "\r\n", 2);
    }
    return slice_of(bytes, (size_t)(at - bytes));
}

static void merge_too_large(struct memory_merge *m)
{
    buf_text(m->out, MEMCACHED_TOO_LARGE);
}

/* A value that can't be set replaces the old one in vain: memcached forgets that one then, since
 * nobody may believe it any more. */
static void plan_too_large(struct memcached_call *call)
{
    struct slice key = call->text->key;
    struct buf bytes = { 0 };
    uint32_t shard;

    if (call->text->verb != MEMCACHED_SET) {
        memcached_answer_text(call, MEMCACHED_TOO_LARGE);
        return;
    }
    if (!memcached_place(call, key, &shard))
        return;
    buf_format(&bytes, "md %.*s\r\n", (int)key.len, (const char *)key.at);
    memcached_plan_one(call, shard, arena_copy(call->op->arena, buf_all(&bytes)));
    buf_fini(&bytes);
    call->op->merge = merge_too_large;
}

/* The time as the key's class allows it; the line is the beginning of `bytes`. */
static struct slice limited_bytes(struct memcached_call *call, struct slice bytes)
{
    const struct memcached_text_request *r = call->text;
    uint32_t place = r->has_value && r->verb != MEMCACHED_APPEND && r->verb != MEMCACHED_PREPEND ? 3
                     : r->verb == MEMCACHED_TOUCH                                                ? 2
                                                  : 0;
    struct slice number;

    if (place == 0 ||
        !memcached_class_limit(call, memcached_class_of(call, r->key), r->words[place], &number))
        return bytes;
    return memcached_splice(call, bytes, (size_t)(r->words[place].at - r->line.at),
                            r->words[place].len, number);
}

static void plan_keyed(struct memcached_call *call)
{
    uint32_t shard;

    if (call->text->has_value &&
        !memcached_class_has_room(call, call->text->key, call->text->value.len)) {
        plan_too_large(call);
        return;
    }
    if (!memcached_place(call, call->text->key, &shard))
        return;
    call->op->key = call->text->key;
    memcached_plan_one(call, shard, limited_bytes(call, loud_bytes(call)));
    memcached_limit_join(call, call->text->key);
}

static void plan_refused(struct memcached_call *call)
{
    memcached_refuse(call, MEMCACHED_STATUS_UNKNOWN_COMMAND,
                     "'%s' can't work through a pool of shards: it belongs to one server",
                     memcached_verb_name(call->text->verb));
}

static struct slice word_or_nothing(const struct memcached_text_request *r, uint32_t index)
{
    if (index >= r->word_count || (r->noreply && index + 1 == r->word_count))
        return slice_of("", 0);
    return r->words[index];
}

static void plan_flush_all(struct memcached_call *call)
{
    struct slice expiry = word_or_nothing(call->text, 1);
    int64_t number;

    if (expiry.len > 0 && !slice_to_i64(expiry, &number))
        memcached_answer_text(call, "CLIENT_ERROR invalid exptime argument\r\n");
    else
        memcached_plan_flush(call, expiry);
}

static void plan_stats(struct memcached_call *call)
{
    memcached_plan_stats(call, word_or_nothing(call->text, 1));
}

static void plan_no_op(struct memcached_call *call)
{
    memcached_answer_text(call, "MN\r\n");
}

static void plan_version(struct memcached_call *call)
{
    memcached_answer_text(call, "VERSION " MEMCACHED_SERVER_VERSION "\r\n");
}

static void plan_quit(struct memcached_call *call)
{
    memcached_answer(call);
    call->session->base.closes = true;
}

/* A browser that was lured into sending commands in the body of a request: as memcached, we do not
 * read on. */
static bool is_http(const struct memcached_text_request *r)
{
    const uint8_t *blank = r->verb != MEMCACHED_VERBS || r->line.len == 0
                               ? NULL
                               : memrchr(r->line.at, ' ', r->line.len);

    return blank != NULL &&
           slice_starts(slice_from(r->line, (size_t)(blank - r->line.at) + 1), slice_text("HTTP/"));
}

/* What is not here is refused. */
static void (*const PLANS[MEMCACHED_VERBS])(struct memcached_call *) = {
    [MEMCACHED_GET] = memcached_plan_get,
    [MEMCACHED_BGET] = memcached_plan_get,
    [MEMCACHED_GETS] = memcached_plan_get,
    [MEMCACHED_GAT] = memcached_plan_get,
    [MEMCACHED_GATS] = memcached_plan_get,
    [MEMCACHED_SET] = plan_keyed,
    [MEMCACHED_ADD] = plan_keyed,
    [MEMCACHED_REPLACE] = plan_keyed,
    [MEMCACHED_APPEND] = plan_keyed,
    [MEMCACHED_PREPEND] = plan_keyed,
    [MEMCACHED_CAS] = plan_keyed,
    [MEMCACHED_DELETE] = plan_keyed,
    [MEMCACHED_INCR] = plan_keyed,
    [MEMCACHED_DECR] = plan_keyed,
    [MEMCACHED_TOUCH] = plan_keyed,
    [MEMCACHED_MG] = memcached_plan_meta,
    [MEMCACHED_MS] = memcached_plan_meta,
    [MEMCACHED_MD] = memcached_plan_meta,
    [MEMCACHED_MA] = memcached_plan_meta,
    [MEMCACHED_ME] = memcached_plan_meta,
    [MEMCACHED_MN] = plan_no_op,
    [MEMCACHED_STATS] = plan_stats,
    [MEMCACHED_FLUSH_ALL] = plan_flush_all,
    [MEMCACHED_VERSION] = plan_version,
    [MEMCACHED_VERBOSITY] = memcached_plan_verbosity,
    [MEMCACHED_QUIT] = plan_quit,
};

static void plan_verb(struct memcached_call *call)
{
    void (*plan)(struct memcached_call *) = PLANS[call->text->verb];

    (plan == NULL ? plan_refused : plan)(call);
}

/* Other bytes, in the arena, in place of the client's. */
static void take_instead(struct memcached_call *call, struct slice bytes)
{
    struct memcached_text_request *own = arena_new(call->op->arena, sizeof(*own));
    struct memcached_text_progress progress = { 0 };
    struct memcached_text_limits limits = { bytes.len, bytes.len, call->text->key_most };
    enum parse parse;
    size_t need;

    parse = memcached_text_parse(&progress, bytes, &limits, own, &need);
    assert(parse == PARSE_DONE && own->error == NULL && own->odd_numbers == 0);
    (void)parse;
    call->bytes = bytes;
    call->text = own;
}

static void take_plain_numbers(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct slice rest = call->bytes;
    struct buf bytes = { 0 };

    for (uint32_t i = 0; i < r->word_count; i++) {
        char plain[MEMCACHED_NUMERAL_BYTES];
        size_t letter = r->verb >= MEMCACHED_MG && i >= (r->verb == MEMCACHED_MS ? 3U : 2U);

        if ((r->odd_numbers >> i & 1) == 0)
            continue;
        buf_put(&bytes, rest.at, (size_t)(r->words[i].at - rest.at) + letter);
        buf_put(&bytes, plain, memcached_numeral_rewrite(slice_from(r->words[i], letter), plain));
        rest = slice_from(rest, (size_t)(r->words[i].at + r->words[i].len - rest.at));
    }
    buf_slice(&bytes, rest);
    take_instead(call, arena_copy(call->op->arena, buf_all(&bytes)));
    buf_fini(&bytes);
}

/* What servers of all versions understand alike, and answer: those from 1.6.40 on say nothing to a
 * line whose last word is "noreply", though it is the key, and know no bget, which is get. */
static void take_as_all_do(struct memcached_call *call)
{
    const struct memcached_text_request *r;

    if (call->text->odd_numbers != 0)
        take_plain_numbers(call);
    r = call->text;
    if (r->verb == MEMCACHED_BGET)
        take_instead(call, slice_from(call->bytes, 1));
    else if (r->verb == MEMCACHED_DELETE && slice_is_text(r->key, "noreply") &&
             r->word_count == (r->noreply ? 3 : 2))
        take_instead(call, slice_text("delete noreply 0\r\n"));
}

void memcached_plan_text(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct memory_operation *op = call->op;

    op->name = memcached_verb_name(r->verb);
    op->is_write = !memcached_verb_reads(r->verb);
    if (is_http(r)) {
        plan_quit(call);
        return;
    }
    if (!memcached_user_find(call)) {
        memcached_plan_text_login(call);
        return;
    }
    op->silent = r->noreply;
    if (r->error == NULL)
        take_as_all_do(call);
    if (r->error != NULL && r->skip > 0 && strcmp(r->error, MEMCACHED_TOO_LARGE) == 0)
        plan_too_large(call);
    else if (r->error != NULL)
        memcached_answer_text(call, r->error);
    else if (!memcached_user_may_run(call, op->name, op->is_write))
        memcached_refuse(call, MEMCACHED_STATUS_NOT_LET_IN, "this user may not run '%s'", op->name);
    else
        plan_verb(call);
}
