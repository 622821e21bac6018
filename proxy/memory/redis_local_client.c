/* CLIENT ...: a session is a client of the pool, not of any of its servers. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/memory/redis_local.h"

static const char BAD_NAME[] = "cannot contain spaces, newlines or special characters.";

static void plan_id(struct redis_call *call)
{
    resp_put_integer(redis_answer(call), (int64_t)call->site->session_id);
}

static void plan_getname(struct redis_call *call)
{
    const char *name = redis_name_of(call->session);
    struct buf *out = redis_answer(call);

    if (name == NULL)
        resp_put_null(out, redis_version(call));
    else
        resp_put_bulk_text(out, name);
}

static void plan_setname(struct redis_call *call)
{
    if (!redis_local_is_name(call->args[2])) {
        redis_error(call, "ERR Client names %s", BAD_NAME);
        return;
    }
    if (!redis_may_hold(call, call->args[2].len))
        return;
    redis_local_set(call->session, &redis_extras_of(call->session)->name, call->args[2]);
    redis_answer_ok(call);
}

static void plan_setinfo(struct redis_call *call)
{
    bool is_name = slice_is_word(call->args[2], "lib-name");
    struct redis_extras *extras;

    if (!is_name && !slice_is_word(call->args[2], "lib-ver")) {
        redis_error(call, "ERR Unrecognized option '%.*s'", (int)call->args[2].len,
                    (const char *)call->args[2].at);
        return;
    }
    if (!redis_local_is_name(call->args[3])) {
        redis_error(call, "ERR %s %s", is_name ? "lib-name" : "lib-ver", BAD_NAME);
        return;
    }
    if (!redis_may_hold(call, call->args[3].len))
        return;
    extras = redis_extras_of(call->session);
    redis_local_set(call->session, is_name ? &extras->library : &extras->library_version,
                    call->args[3]);
    redis_answer_ok(call);
}

static void plan_info(struct redis_call *call)
{
    struct buf text = { 0 };

    if (call->site->host->session_line != NULL)
        call->site->host->session_line(call->site, &text);
    resp_put_verbatim(redis_answer(call), redis_version(call), "txt", buf_all(&text));
    buf_fini(&text);
}

/* What the merge must know of the question: its words, which outlive it in the arena. */
struct question {
    enum resp_version version;
    const int64_t *ids; /* in their order */
    size_t id_count;    /* 0: all are asked for */
    bool by_address;    /* the old form of CLIENT KILL, which answers with OK */
};

static struct question *ask_workers(struct redis_call *call, const struct memory_inquiry *inquiry,
                                    memory_merge_f *merge)
{
    struct memory_operation *op = call->op;
    struct question *question = arena_new(op->arena, sizeof(*question));
    struct memory_inquiry *copy = arena_new(op->arena, sizeof(*copy));

    *copy = *inquiry;
    question->version = redis_version(call);
    op->way = MEMORY_INQUIRY;
    op->inquiry = copy;
    op->merge = merge;
    op->note = question;
    return question;
}

static int compare_ids(const void *a, const void *b)
{
    int64_t one = *(const int64_t *)a, other = *(const int64_t *)b;

    return (one > other) - (one < other);
}

/* Is this line of CLIENT LIST about one of the ids that were asked for? */
static bool is_listed(const struct question *question, struct slice line)
{
    const uint8_t *end = memchr(line.at, ' ', line.len);
    int64_t id;

    return end != NULL && slice_starts(line, slice_text("id=")) &&
           slice_to_i64(slice_of(line.at + 3, (size_t)(end - line.at) - 3), &id) &&
           bsearch(&id, question->ids, question->id_count, sizeof(id), compare_ids) != NULL;
}

static void keep_listed(const struct question *question, struct slice rest, struct buf *kept)
{
    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at) + 1;

        if (is_listed(question, slice_of(rest.at, len)))
            buf_put(kept, rest.at, len);
        rest = slice_from(rest, len);
    }
}

static void merge_list(struct memory_merge *m)
{
    const struct question *question = m->note;
    struct buf text = { 0 };

    if (question->id_count > 0)
        keep_listed(question, m->parts[0].reply, &text);
    else
        buf_slice(&text, m->parts[0].reply);
    resp_put_verbatim(m->out, question->version, "txt", buf_all(&text));
    buf_fini(&text);
}

/* Replicas there are none, nor a master.  False: answered with an error. */
static bool read_kind(struct redis_call *call, struct slice word, enum memory_kind *out)
{
    static const struct {
        const char *word;
        enum memory_kind kind;
    } KINDS[] = { { "normal", MEMORY_KIND_PLAIN },
                  { "pubsub", MEMORY_KIND_SUBSCRIBER },
                  { "master", MEMORY_KIND_NONE },
                  { "replica", MEMORY_KIND_NONE },
                  { "slave", MEMORY_KIND_NONE } };

    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++)
        if (slice_is_word(word, KINDS[i].word)) {
            *out = KINDS[i].kind;
            return true;
        }
    redis_error(call, "ERR Unknown client type '%.*s'", (int)word.len, (const char *)word.at);
    return false;
}

/* Sorted: there may be a million, and each session is looked for.  False: answered with an
 * error. */
static bool read_ids(struct redis_call *call, int64_t **out)
{
    size_t count = call->count - 3;
    int64_t *ids = arena_new(call->op->arena, count * sizeof(*ids));

    for (size_t i = 0; i < count; i++)
        if (!slice_to_i64(call->args[i + 3], &ids[i])) {
            redis_error(call, "ERR Invalid client ID");
            return false;
        }
    qsort(ids, count, sizeof(*ids), compare_ids);
    *out = ids;
    return true;
}

static void plan_list(struct redis_call *call)
{
    bool by_id = call->count > 3 && slice_is_word(call->args[2], "id");
    bool by_type = call->count == 4 && slice_is_word(call->args[2], "type");
    struct memory_inquiry inquiry = { 0 };
    struct question *question;
    int64_t *ids = NULL;

    if (call->count > 2 && !by_id && !by_type) {
        redis_error(call, "ERR syntax error");
        return;
    }
    if (by_type && !read_kind(call, call->args[3], &inquiry.kind))
        return;
    if (by_id && !read_ids(call, &ids))
        return;
    question = ask_workers(call, &inquiry, merge_list);
    question->ids = ids;
    question->id_count = by_id ? call->count - 3 : 0;
}

static bool is_user(const struct memory_pool *pool, struct slice name)
{
    for (uint32_t i = 0; i < pool->user_count; i++)
        if (slice_is_text(name, pool->users[i].name))
            return true;
    return slice_is_text(name, "default");
}

/* Of versions since 7.4.  False: answered with an error. */
static bool read_age(struct redis_call *call, struct slice value, uint64_t *out)
{
    int64_t age;

    if (slice_to_i64(value, &age) && age > 0) {
        *out = (uint64_t)age;
        return true;
    }
    redis_error(call, "ERR maxage %s",
                slice_to_i64(value, &age) ? "should be greater than 0"
                                          : "is not an integer or out of range");
    return false;
}

/* One of the pairs of words that say whom CLIENT KILL means.  False: answered with an error. */
static bool read_victim(struct redis_call *call, struct slice word, struct slice value,
                        struct memory_inquiry *v)
{
    if (slice_is_word(word, "id") && (!slice_to_u64(value, &v->id) || v->id == 0)) {
        redis_error(call, "ERR client-id should be greater than 0");
        return false;
    }
    if (slice_is_word(word, "user") && !is_user(call->site->pool, value)) {
        redis_error(call, "ERR No such user '%.*s'", (int)value.len, (const char *)value.at);
        return false;
    }
    if (slice_is_word(word, "type"))
        return read_kind(call, value, &v->kind);
    if (slice_is_word(word, "maxage"))
        return read_age(call, value, &v->age_s);
    if (slice_is_word(word, "addr"))
        v->address = value;
    else if (slice_is_word(word, "laddr"))
        v->local_address = value;
    else if (slice_is_word(word, "user"))
        v->user = value;
    else if (slice_is_word(word, "skipme") &&
             (slice_is_word(value, "yes") || slice_is_word(value, "no")))
        v->spare_self = slice_is_word(value, "yes");
    else if (!slice_is_word(word, "id")) {
        redis_error(call, "ERR syntax error");
        return false;
    }
    return true;
}

static bool read_victims(struct redis_call *call, struct memory_inquiry *v)
{
    v->spare_self = true;
    if (call->count % 2 != 0) {
        redis_error(call, "ERR syntax error");
        return false;
    }
    for (size_t i = 2; i < call->count; i += 2)
        if (!read_victim(call, call->args[i], call->args[i + 1], v))
            return false;
    return true;
}

static void merge_kill(struct memory_merge *m)
{
    const struct question *question = m->note;
    int64_t killed = 0;

    (void)slice_to_i64(m->parts[0].reply, &killed);
    if (!question->by_address)
        resp_put_integer(m->out, killed);
    else if (killed > 0)
        resp_put_simple(m->out, slice_text("OK"));
    else
        resp_put_error_text(m->out, "ERR No such client");
}

static void plan_kill(struct redis_call *call)
{
    struct memory_inquiry v = { .deed = MEMORY_DEED_KILL };

    if (call->count == 3) {
        v.address = call->args[2];
        ask_workers(call, &v, merge_kill)->by_address = true;
    } else if (read_victims(call, &v)) {
        ask_workers(call, &v, merge_kill);
    }
}

/* Off is what both are. */
static void plan_switch(struct redis_call *call, const char *why_not)
{
    if (slice_is_word(call->args[2], "off"))
        redis_answer_ok(call);
    else if (slice_is_word(call->args[2], "on"))
        redis_error(call, "ERR '%s' can't be on in a pool of shards: %s", call->cmd->name, why_not);
    else
        redis_error(call, "ERR syntax error");
}

static void plan_no_evict(struct redis_call *call)
{
    plan_switch(call, "at max_memory the session that holds the most has to go");
}

static void plan_no_touch(struct redis_call *call)
{
    plan_switch(call, "upstreams are shared, so it would be for what others read, too");
}

static void plan_ok(struct redis_call *call)
{
    redis_answer_ok(call);
}

static void plan_reply(struct redis_call *call)
{
    uint32_t *special = &call->session->special;

    if (slice_is_word(call->args[2], "on")) {
        *special &= ~(uint32_t)REDIS_SPECIAL_SILENT;
        redis_answer_ok(call);
    } else if (slice_is_word(call->args[2], "off")) {
        *special |= REDIS_SPECIAL_SILENT;
        redis_answer(call);
        call->op->silent = true;
    } else if (slice_is_word(call->args[2], "skip")) {
        if ((*special & REDIS_SPECIAL_SILENT) == 0)
            *special |= REDIS_SPECIAL_SKIP;
        redis_answer(call);
        call->op->silent = true;
    } else {
        redis_error(call, "ERR syntax error");
    }
}

static void plan_getredir(struct redis_call *call)
{
    resp_put_integer(redis_answer(call), -1);
}

static void plan_trackinginfo(struct redis_call *call)
{
    struct buf *out = redis_answer(call);
    enum resp_version version = redis_version(call);

    resp_put_map(out, version, 3);
    resp_put_bulk_text(out, "flags");
    resp_put_set(out, version, 1);
    resp_put_bulk_text(out, "off");
    resp_put_bulk_text(out, "redirect");
    resp_put_integer(out, -1);
    resp_put_bulk_text(out, "prefixes");
    resp_put_array(out, 0);
}

static void merge_unblock(struct memory_merge *m)
{
    int64_t unblocked = 0;

    (void)slice_to_i64(m->parts[0].reply, &unblocked);
    resp_put_integer(m->out, unblocked);
}

static void plan_unblock(struct redis_call *call)
{
    struct memory_inquiry v = { .deed = MEMORY_DEED_UNBLOCK };
    int64_t id;

    if (call->count > 4) {
        redis_error(call,
                    "ERR unknown subcommand or wrong number of arguments for '%.*s'. Try CLIENT "
                    "HELP.",
                    (int)call->args[1].len, (const char *)call->args[1].at);
        return;
    }
    if (call->count == 4 && slice_is_word(call->args[3], "error")) {
        v.deed = MEMORY_DEED_UNBLOCK_WITH_ERROR;
    } else if (call->count == 4 && !slice_is_word(call->args[3], "timeout")) {
        redis_error(call, "ERR CLIENT UNBLOCK reason should be TIMEOUT or ERROR");
        return;
    }
    if (!slice_to_i64(call->args[2], &id)) {
        redis_error(call, "ERR value is not an integer or out of range");
        return;
    }
    if (redis_must_wait(call)) /* what it pushed before may be what the other waits for */
        return;
    v.id = id > 0 ? (uint64_t)id : UINT64_MAX; /* nobody's */
    ask_workers(call, &v, merge_unblock);
}

const struct redis_local REDIS_LOCAL_CLIENT[] = {
    { "client|setname", plan_setname },
    { "client|setinfo", plan_setinfo },
    { "client|id", plan_id },
    { "client|getname", plan_getname },
    { "client|info", plan_info },
    { "client|list", plan_list },
    { "client|kill", plan_kill },
    { "client|no-evict", plan_no_evict },
    { "client|no-touch", plan_no_touch },
    { "client|capa", plan_ok },
    { "client|reply", plan_reply },
    { "client|getredir", plan_getredir },
    { "client|trackinginfo", plan_trackinginfo },
    { "client|unblock", plan_unblock },
    { NULL, NULL },
};
