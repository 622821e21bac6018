/* CLIENT ...: a session is a client of the pool, not of any of its servers. */
#include <stdlib.h>
#include <string.h>

#include "proxy/memory/redis_local.h"

static const char BAD_NAME[] = "cannot contain spaces, newlines or special characters.";

static void plan_id(struct redis_call *call)
{
    resp_put_integer(redis_answer(call), (int64_t)call->site->session_id);
}

static void plan_getname(struct redis_call *call)
{
    struct buf *out = redis_answer(call);

    if (call->session->base.name == NULL)
        resp_put_null(out, redis_version(call));
    else
        resp_put_bulk_text(out, call->session->base.name);
}

static void plan_setname(struct redis_call *call)
{
    if (!redis_local_is_name(call->args[2])) {
        redis_error(call, "ERR Client names %s", BAD_NAME);
        return;
    }
    redis_local_set(&call->session->base.name, call->args[2]);
    redis_answer_ok(call);
}

static void plan_setinfo(struct redis_call *call)
{
    bool is_name = slice_is_word(call->args[2], "lib-name");

    if (!is_name && !slice_is_word(call->args[2], "lib-ver")) {
        redis_error(call, "ERR Unrecognized option '%.*s'", (int)call->args[2].len,
                    (const char *)call->args[2].at);
        return;
    }
    if (!redis_local_is_name(call->args[3])) {
        redis_error(call, "ERR %s %s", is_name ? "lib-name" : "lib-ver", BAD_NAME);
        return;
    }
    redis_local_set(is_name ? &call->session->library : &call->session->library_version,
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

/* Is this line of CLIENT LIST about one of the ids args[3...]? */
static bool is_listed(struct redis_call *call, struct slice line)
{
    for (size_t i = 3; i < call->count; i++) {
        struct slice id = call->args[i];

        if (line.len > 3 + id.len && memcmp(line.at, "id=", 3) == 0 &&
            memcmp(line.at + 3, id.at, id.len) == 0 && line.at[3 + id.len] == ' ')
            return true;
    }
    return false;
}

static void keep_listed(struct redis_call *call, struct buf *text)
{
    struct buf kept = { 0 };
    struct slice rest = buf_all(text);

    while (rest.len > 0) {
        const uint8_t *end = memchr(rest.at, '\n', rest.len);
        size_t len = end == NULL ? rest.len : (size_t)(end - rest.at) + 1;

        if (is_listed(call, slice_of(rest.at, len)))
            buf_put(&kept, rest.at, len);
        rest = slice_from(rest, len);
    }
    buf_fini(text);
    *text = kept;
}

static void plan_list(struct redis_call *call)
{
    bool by_id = call->count > 3 && slice_is_word(call->args[2], "id");
    bool by_type = call->count == 4 && slice_is_word(call->args[2], "type");
    struct buf text = { 0 };

    if (call->count > 2 && !by_id && !by_type) {
        redis_error(call, "ERR syntax error");
        return;
    }
    if (by_type && !slice_is_word(call->args[3], "normal")) {
        redis_error(call, "ERR CLIENT LIST TYPE knows only 'normal' here");
        return;
    }
    if (call->site->host->session_list != NULL)
        call->site->host->session_list(call->site, &text);
    if (by_id)
        keep_listed(call, &text);
    resp_put_verbatim(redis_answer(call), redis_version(call), "txt", buf_all(&text));
    buf_fini(&text);
}

/* Whom CLIENT KILL means. */
struct victims {
    uint64_t id;
    struct slice address;
    bool spare_self;
};

static bool read_victims(struct redis_call *call, struct victims *v)
{
    *v = (struct victims){ .address = slice_of("", 0), .spare_self = true };
    if (call->count % 2 != 0)
        goto fail;
    for (size_t i = 2; i < call->count; i += 2) {
        struct slice word = call->args[i], value = call->args[i + 1];

        if (slice_is_word(word, "id")) {
            if (!slice_to_u64(value, &v->id) || v->id == 0) {
                redis_error(call, "ERR client-id should be greater than 0");
                return false;
            }
        } else if (slice_is_word(word, "addr")) {
            v->address = value;
        } else if (slice_is_word(word, "skipme")) {
            v->spare_self = slice_is_word(value, "yes");
        } else if (!slice_is_word(word, "type") || !slice_is_word(value, "normal")) {
            goto fail;
        }
    }
    return true;
fail:
    redis_error(call, "ERR syntax error");
    return false;
}

static uint32_t kill_sessions(struct redis_call *call, const struct victims *v)
{
    const struct memory_host *host = call->site->host;

    if (host->session_kill == NULL)
        return 0;
    return host->session_kill(call->site, v->id, v->address, v->spare_self);
}

static void plan_kill(struct redis_call *call)
{
    struct victims v = { 0 };

    if (call->count == 3) {
        v.address = call->args[2];
        if (kill_sessions(call, &v) > 0)
            redis_answer_ok(call);
        else
            redis_error(call, "ERR No such client");
    } else if (read_victims(call, &v)) {
        resp_put_integer(redis_answer(call), kill_sessions(call, &v));
    }
}

/* Which keys a server evicts and which reads it counts is not a session's to say over upstreams
 * that it shares; libraries only want to hear that it is fine. */
static void plan_switch(struct redis_call *call)
{
    if (slice_is_word(call->args[2], "on") || slice_is_word(call->args[2], "off"))
        redis_answer_ok(call);
    else
        redis_error(call, "ERR syntax error");
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

/* A session is never told to stop waiting for another's sake: nobody was unblocked. */
static void plan_unblock(struct redis_call *call)
{
    uint64_t id;

    if (slice_to_u64(call->args[2], &id))
        resp_put_integer(redis_answer(call), 0);
    else
        redis_error(call, "ERR value is not an integer or out of range");
}

const struct redis_local REDIS_LOCAL_CLIENT[] = {
    { "client|setname", plan_setname },
    { "client|setinfo", plan_setinfo },
    { "client|id", plan_id },
    { "client|getname", plan_getname },
    { "client|info", plan_info },
    { "client|list", plan_list },
    { "client|kill", plan_kill },
    { "client|no-evict", plan_switch },
    { "client|no-touch", plan_switch },
    { "client|capa", plan_ok },
    { "client|reply", plan_reply },
    { "client|getredir", plan_getredir },
    { "client|trackinginfo", plan_trackinginfo },
    { "client|unblock", plan_unblock },
    { NULL, NULL },
};
