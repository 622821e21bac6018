/* See redis_over.h. */
#include "proxy/memory/redis_over.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "proxy/memory/memcached_front.h"
#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_local.h"
#include "proxy/memory/verbs_call.h"
#include "proxy/wire/memcached_meta.h"

/* ---- the table ---- */

enum { COMMANDS_MOST = 1024, LINE_ROOM = 1024 };

static const struct redis_over TABLE[] = {
#define OVER(name, way, text) { name, REDIS_OVER_##way, text },
#define KIND(category, text)
#include "proxy/memory/redis_over.def"
#undef OVER
#undef KIND
#define OVER(name, way, text)
#define KIND(category, text) { "@" #category, REDIS_OVER_REFUSED, text },
#include "proxy/memory/redis_over.def"
#undef OVER
#undef KIND
};

enum { ROWS = sizeof(TABLE) / sizeof(TABLE[0]) };

static const uint32_t CATEGORIES[] = {
#define OVER(name, way, text)
#define KIND(category, text) REDIS_CATEGORY_##category,
#include "proxy/memory/redis_over.def"
#undef OVER
#undef KIND
};

enum { KINDS = sizeof(CATEGORIES) / sizeof(CATEGORIES[0]) };

static const struct redis_over *rows[COMMANDS_MOST]; /* by place in the table of commands */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void gather(void)
{
    for (size_t i = 0; i < ROWS - KINDS; i++) {
        const struct redis_command *cmd = redis_command_named(slice_text(TABLE[i].name));

        assert(cmd != NULL && cmd - redis_command_at(0) < COMMANDS_MOST);
        rows[cmd - redis_command_at(0)] = &TABLE[i];
    }
}

const struct redis_over *redis_over_at(size_t index)
{
    return index < ROWS ? &TABLE[index] : NULL;
}

/* What is asked of the session or the pool, and not of its servers. */
static bool is_local(const struct redis_command *cmd)
{
    return cmd->plan == REDIS_LOCAL || strncmp(cmd->name, "slowlog|", strlen("slowlog|")) == 0;
}

static const struct redis_over *find(const struct redis_command *cmd)
{
    static const struct redis_over LOCAL = { "", REDIS_OVER_LOCAL, "" };
    static const struct redis_over OTHER = { "", REDIS_OVER_REFUSED, "has nothing like it" };
    const struct redis_over *row;

    pthread_once(&once, gather);
    row = rows[cmd - redis_command_at(0)];
    if (row != NULL)
        return row;
    for (size_t i = 0; i < KINDS; i++)
        if ((cmd->categories & CATEGORIES[i]) != 0)
            return &TABLE[ROWS - KINDS + i];
    return is_local(cmd) ? &LOCAL : &OTHER;
}

/* ---- for all ways ---- */

bool redis_over_key_fits(struct redis_call *call, struct slice key)
{
    if (memcached_key_fits(key))
        return true;
    redis_error(call,
                "ERR memcached has no key of %zu bytes: 1 to 250 it may have, 186 with "
                "blanks or control characters",
                key.len);
    return false;
}

bool redis_over_place(struct redis_call *call, struct slice *key, uint32_t *shard)
{
    struct redis_keys keys;

    if (!redis_call_keys(call, &keys) || !redis_over_key_fits(call, call->args[1]))
        return false;
    *key = call->args[1];
    *shard = memory_site_find(call->site, *key);
    return true;
}

/* The place of the argument that is a life in milliseconds; 0: there is none.  A date is none: it
 * may be over, which can be said. */
static size_t find_milliseconds(const struct redis_call *call)
{
    const char *name = call->cmd->name;
    size_t from = strcmp(name, "set") == 0 ? 3 : strcmp(name, "getex") == 0 ? 2 : call->count;

    if (strcmp(name, "psetex") == 0 || strcmp(name, "pexpire") == 0)
        return 2;
    for (size_t i = from; i + 1 < call->count; i++)
        if (slice_is_word(call->args[i], "px"))
            return i + 1;
    return 0;
}

bool redis_over_time_is_whole(struct redis_call *call)
{
    size_t at = find_milliseconds(call);
    int64_t number;

    if (at == 0 || !verb_integer(call->args[at], &number) || number % 1000 == 0 || number < 0)
        return true;
    redis_error(call,
                "ERR '%s' can't be served over memcached with %lld milliseconds: memcached "
                "counts whole seconds",
                call->cmd->name, (long long)number);
    return false;
}

void redis_over_put_error(struct memory_merge *m, uint32_t part, struct slice reply)
{
    const uint8_t *end = reply.len == 0 ? NULL : memchr(reply.at, '\r', reply.len);
    struct slice line = slice_of(reply.at, end == NULL ? 0 : (size_t)(end - reply.at));
    bool is_full = slice_starts(line, slice_text("SERVER_ERROR out of memory"));

    if (memcached_reply_is_error(reply)) {
        resp_put_error_text(m->out, "%s memcached answered: %.*s", is_full ? "OOM" : "ERR",
                            (int)line.len, (const char *)line.at);
        return;
    }
    buf_text(m->out, "-ERR ");
    memory_merge_blame(m, part, m->out);
    buf_text(m->out, "\r\n");
}

bool redis_over_failed(const struct memory_part *part)
{
    return part->failed && part->reply.len > 0 && part->reply.at[0] == '-';
}

struct buf redis_over_line(struct arena *arena, size_t value_len)
{
    size_t cap = LINE_ROOM + value_len;

    return (struct buf){ arena_bytes(arena, cap), 0, cap };
}

/* ---- all shards ---- */

static void merge_flush(struct memory_merge *m)
{
    for (uint32_t i = 0; i < m->part_count; i++) {
        struct slice wrong;

        if (redis_over_failed(&m->parts[i])) {
            buf_slice(m->out, m->parts[i].reply);
            return;
        }
        if (!memcached_flush_is_done(m->parts[i].reply, &wrong)) {
            redis_over_put_error(m, i, wrong);
            return;
        }
    }
    buf_text(m->out, "+OK\r\n");
}

static void plan_flush(struct redis_call *call)
{
    struct memory_operation *op = call->op;

    if (call->count > 2 || (call->count == 2 && !slice_is_word(call->args[1], "async") &&
                            !slice_is_word(call->args[1], "sync"))) {
        redis_error(call, "%s", VERBS_SYNTAX);
        return;
    }
    if (call->user != NULL && call->user->key_prefix_count > 0) {
        redis_error(call, "NOPERM '%s' reaches any key, so a user with key prefixes may not run it",
                    call->cmd->name);
        return;
    }
    redis_plan_all(call, (struct slice){ 0 }, 1, merge_flush, NULL);
    for (uint32_t i = 0; i < op->part_count; i++)
        memcached_flush_part(call->site, op->arena, &op->parts[i], (struct slice){ 0 });
}

/* What libraries look for before they begin. */
static void plan_info(struct redis_call *call)
{
    struct buf text = { 0 };

    buf_text(&text,
             "# Server\r\nredis_version:" REDIS_SERVER_VERSION "\r\nredis_mode:standalone\r\n"
             "\r\n# Persistence\r\nloading:0\r\n\r\n# Replication\r\nrole:master\r\n"
             "connected_slaves:0\r\n\r\n# Sheaf\r\n");
    if (call->site->host->describe != NULL)
        call->site->host->describe(call->site, &text);
    resp_put_verbatim(redis_answer(call), redis_version(call), "txt", buf_all(&text));
    buf_fini(&text);
}

/* ---- the plan ---- */

void redis_over_plan(struct redis_call *call)
{
    const struct redis_over *row = find(call->cmd);

    switch (row->way) {
    case REDIS_OVER_LOCAL:
        redis_plan_local(call);
        return;
    case REDIS_OVER_REFUSED:
        redis_error(call, "ERR '%s' can't be served over memcached: it %s", call->cmd->name,
                    row->text);
        return;
    case REDIS_OVER_GET:
        redis_over_plan_get(call);
        return;
    case REDIS_OVER_LENGTH:
    case REDIS_OVER_TYPE:
    case REDIS_OVER_TTL:
        redis_over_plan_look(call, row->way);
        return;
    case REDIS_OVER_COUNT:
    case REDIS_OVER_MGET:
    case REDIS_OVER_MSET:
        redis_over_plan_many(call, row->way);
        return;
    case REDIS_OVER_SET:
        redis_over_plan_set(call);
        return;
    case REDIS_OVER_CHANGE:
    case REDIS_OVER_CLOCKED:
        redis_over_plan_change(call, row->way);
        return;
    case REDIS_OVER_FLUSH:
        plan_flush(call);
        return;
    case REDIS_OVER_INFO:
        plan_info(call);
        return;
    }
}
