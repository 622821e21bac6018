/* The session's own commands: login, version, database, PING and the like. */
#include "proxy/memory/redis_local.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/memory/redis_kinds.h"
#include "proxy/memory/redis_transaction.h"
#include "proxy/memory/redis_users.h"
#include "proxy/memory/verbs_call.h"

#define WRONGPASS "WRONGPASS invalid username-password pair or user is disabled."

bool redis_local_is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (name.at[i] < '!' || name.at[i] > '~')
            return false;
    return true;
}

void redis_local_set(struct redis_session *session, char **text, struct slice value)
{
    session->base.held_bytes += value.len - (*text == NULL ? 0 : strlen(*text));
    free(*text);
    *text = value.len == 0 ? NULL : mem_text_of(value.at, value.len);
}

static void plan_ping(struct redis_call *call)
{
    struct buf *out = redis_answer(call);
    struct slice text = call->count > 1 ? call->args[1] : slice_of("", 0);

    if (call->count > 2) {
        redis_error(call, "ERR wrong number of arguments for 'ping' command");
    } else if (call->session->base.subscribed && call->session->base.version == 2) {
        buf_text(out, "*2\r\n$4\r\npong\r\n");
        resp_put_bulk(out, text);
    } else if (call->count == 2) {
        resp_put_bulk(out, text);
    } else {
        buf_put(out, "+PONG\r\n", 7);
    }
}

static void plan_echo(struct redis_call *call)
{
    resp_put_bulk(redis_answer(call), call->args[1]);
}

static void plan_quit(struct redis_call *call)
{
    call->session->base.closes = true;
    redis_answer_ok(call);
}

static void plan_ok(struct redis_call *call)
{
    redis_answer_ok(call);
}

static void plan_time(struct redis_call *call)
{
    struct buf *out = redis_answer(call);
    char number[24];

    resp_put_array(out, 2);
    snprintf(number, sizeof(number), "%" PRId64, call->site->wall_us / 1000000);
    resp_put_bulk_text(out, number);
    snprintf(number, sizeof(number), "%" PRId64, call->site->wall_us % 1000000);
    resp_put_bulk_text(out, number);
}

static void plan_select(struct redis_call *call)
{
    struct memory_state *state = &call->session->base;
    int64_t database;

    if (!verb_integer(call->args[1], &database)) {
        redis_error(call, "ERR value is not an integer or out of range");
        return;
    }
    if (database < INT32_MIN || database > INT32_MAX) {
        redis_error(call, "ERR value is out of range, value must between %d and %d", INT32_MIN,
                    INT32_MAX);
        return;
    }
    if (database < 0 || database >= call->site->pool->databases) {
        redis_error(call, "ERR DB index is out of range");
        return;
    }
    if (database != state->database && redis_must_wait(call))
        return;
    state->database = (uint32_t)database;
    redis_answer_ok(call);
}

static bool default_needs_password(const struct memory_pool *pool)
{
    for (uint32_t i = 0; i < pool->user_count; i++)
        if (strcmp(pool->users[i].name, "default") == 0)
            return !pool->users[i].nopass;
    return pool->user_count > 0;
}

static void plan_auth(struct redis_call *call)
{
    bool named = call->count == 3;
    struct slice name = named ? call->args[1] : slice_text("default");

    if (call->count > 3) {
        redis_error(call, "ERR syntax error");
        return;
    }
    if (!named && !default_needs_password(call->site->pool)) {
        redis_error(call, "ERR AUTH <password> called without any password configured for the "
                          "default user. Are you sure your configuration is correct?");
        return;
    }
    if (redis_user_log_in(call->site, call->session, name, call->args[call->count - 1]))
        redis_answer_ok(call);
    else
        redis_error(call, WRONGPASS);
}

/* What HELLO asks for. */
struct wishes {
    int64_t version;
    struct slice user, password, name;
    bool logs_in, names;
};

static bool read_wishes(struct redis_call *call, struct wishes *w)
{
    const struct slice *args = call->args;

    *w = (struct wishes){ .version = call->session->base.version };
    if (call->count > 1 && !slice_to_i64(args[1], &w->version)) {
        redis_error(call, "ERR Protocol version is not an integer or out of range");
        return false;
    }
    if (w->version < 2 || w->version > 3) {
        redis_error(call, "NOPROTO unsupported protocol version");
        return false;
    }
    for (size_t i = 2; i < call->count; i++) {
        if (slice_is_word(args[i], "auth") && i + 2 < call->count) {
            w->logs_in = true;
            w->user = args[i + 1];
            w->password = args[i + 2];
            i += 2;
        } else if (slice_is_word(args[i], "setname") && i + 1 < call->count) {
            w->names = true;
            w->name = args[++i];
        } else {
            redis_error(call, "ERR Syntax error in HELLO option '%.*s'", (int)args[i].len,
                        (const char *)args[i].at);
            return false;
        }
    }
    return true;
}

static void put_greeting(struct redis_call *call)
{
    struct buf *out = redis_answer(call);
    enum resp_version version = redis_version(call);

    resp_put_map(out, version, 7);
    resp_put_bulk_text(out, "server");
    resp_put_bulk_text(out, "redis");
    resp_put_bulk_text(out, "version");
    resp_put_bulk_text(out, REDIS_SERVER_VERSION);
    resp_put_bulk_text(out, "proto");
    resp_put_integer(out, version);
    resp_put_bulk_text(out, "id");
    resp_put_integer(out, (int64_t)call->site->session_id);
    resp_put_bulk_text(out, "mode");
    resp_put_bulk_text(out, "standalone");
    resp_put_bulk_text(out, "role");
    resp_put_bulk_text(out, "master");
    resp_put_bulk_text(out, "modules");
    resp_put_array(out, 0);
}

static void plan_hello(struct redis_call *call)
{
    struct redis_session *session = call->session;
    struct wishes w;

    if (!read_wishes(call, &w))
        return;
    if (w.version != session->base.version && redis_must_wait(call))
        return;
    if (w.names && !redis_may_hold(call, w.name.len))
        return;
    if (w.logs_in && !redis_user_log_in(call->site, session, w.user, w.password)) {
        redis_error(call, WRONGPASS);
        return;
    }
    if ((session->special & REDIS_SPECIAL_LOGGED_OUT) != 0) {
        redis_error(call, "NOAUTH HELLO must be called with the client already authenticated, "
                          "otherwise the HELLO AUTH <user> <pass> option can be used to "
                          "authenticate the client and select the RESP protocol version at the "
                          "same time");
        return;
    }
    if (w.names && !redis_local_is_name(w.name)) {
        redis_error(call,
                    "ERR Client names cannot contain spaces, newlines or special characters.");
        return;
    }
    if (w.names)
        redis_local_set(session, &redis_extras_of(session)->name, w.name);
    session->base.version = (uint8_t)w.version;
    put_greeting(call);
}

static void plan_reset(struct redis_call *call)
{
    struct redis_session *session = call->session;

    if (redis_must_wait(call))
        return;
    redis_transaction_forget(session);
    session->special = 0;
    session->base.version = 2;
    session->base.database = 0;
    redis_local_set(session, &redis_extras_of(session)->name, slice_of("", 0));
    redis_user_begin(call->site, session);
    call->op->end_leases = call->op->end_subscriptions = true;
    buf_text(redis_answer(call), "+RESET\r\n");
}

const struct redis_local REDIS_LOCAL_SESSION[] = {
    { "ping", plan_ping },   { "echo", plan_echo },    { "select", plan_select },
    { "hello", plan_hello }, { "auth", plan_auth },    { "quit", plan_quit },
    { "reset", plan_reset }, { "time", plan_time },    { "readonly", plan_ok },
    { "asking", plan_ok },   { "readwrite", plan_ok }, { NULL, NULL },
};

static bool plan_from(const struct redis_local *table, struct redis_call *call)
{
    for (; table->name != NULL; table++)
        if (strcmp(table->name, call->cmd->name) == 0) {
            table->plan(call);
            return true;
        }
    return false;
}

void redis_plan_local(struct redis_call *call)
{
    if (!plan_from(REDIS_LOCAL_SESSION, call) && !plan_from(REDIS_LOCAL_CLIENT, call) &&
        !plan_from(REDIS_LOCAL_SERVER, call))
        redis_error(call, "ERR '%s' has no meaning for a pool of shards", call->cmd->name);
}
