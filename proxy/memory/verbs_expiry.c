/* How long keys live. */
#include "proxy/memory/verbs_call.h"

struct conditions {
    bool nx, xx, gt, lt;
};

/* False: answered. */
static bool take_conditions(struct verb_call *c, struct conditions *o)
{
    *o = (struct conditions){ 0 };
    for (size_t at = 3; at < c->count; at++) {
        if (verb_is(c, at, "nx")) {
            o->nx = true;
        } else if (verb_is(c, at, "xx")) {
            o->xx = true;
        } else if (verb_is(c, at, "gt")) {
            o->gt = true;
        } else if (verb_is(c, at, "lt")) {
            o->lt = true;
        } else {
            int len = c->args[at].len < 128 ? (int)c->args[at].len : 128;

            verb_error(c, "ERR Unsupported option %.*s", len, (const char *)c->args[at].at);
            return false;
        }
    }
    if (o->nx && (o->xx || o->gt || o->lt))
        verb_error(c, "ERR NX and XX, GT or LT options at the same time are not compatible");
    else if (o->gt && o->lt)
        verb_error(c, "ERR GT and LT options at the same time are not compatible");
    else
        return true;
    return false;
}

/* A key without an end lives longest. */
static bool is_wanted(const struct conditions *o, int64_t is_ms, int64_t when_ms)
{
    return !(o->nx && is_ms != 0) && !(o->xx && is_ms == 0) &&
           !(o->gt && (is_ms == 0 || when_ms <= is_ms)) &&
           !(o->lt && is_ms != 0 && when_ms >= is_ms);
}

static bool find_end(struct verb_call *c, bool in_seconds, bool is_absolute, int64_t *out)
{
    int64_t when;

    if (!verb_argument(c, 2, &when))
        return false;
    if ((in_seconds && __builtin_mul_overflow(when, (int64_t)1000, &when)) ||
        (!is_absolute && __builtin_add_overflow(when, c->v->now_ms, &when))) {
        verb_error(c, "ERR invalid expire time in '%s' command", c->cmd->name);
        return false;
    }
    *out = when;
    return true;
}

static void expire(struct verb_call *c, bool in_seconds, bool is_absolute)
{
    struct conditions o;
    struct store_value value;
    int64_t when_ms;

    if (!take_conditions(c, &o) || !find_end(c, in_seconds, is_absolute, &when_ms))
        return;
    if (!verb_get(c, c->args[1], &value) || !is_wanted(&o, value.expires_ms, when_ms)) {
        resp_put_integer(c->out, 0);
    } else if (when_ms <= c->v->now_ms) {
        verb_drop(c, c->args[1]);
        resp_put_integer(c->out, 1);
    } else if (verb_put(c, c->args[1], value.bytes, when_ms)) {
        resp_put_integer(c->out, 1);
    }
}

void verb_expire(struct verb_call *c)
{
    expire(c, true, false);
}

void verb_pexpire(struct verb_call *c)
{
    expire(c, false, false);
}

void verb_expireat(struct verb_call *c)
{
    expire(c, true, true);
}

void verb_pexpireat(struct verb_call *c)
{
    expire(c, false, true);
}

static void tell_end(struct verb_call *c, bool in_seconds, bool is_absolute)
{
    struct store_value value;
    int64_t ms;

    if (!verb_read(c, c->args[1], &value)) {
        resp_put_integer(c->out, -2);
        return;
    }
    if (value.expires_ms == 0) {
        resp_put_integer(c->out, -1);
        return;
    }
    ms = is_absolute ? value.expires_ms : value.expires_ms - c->v->now_ms;
    resp_put_integer(c->out, in_seconds ? (ms + 500) / 1000 : ms);
}

void verb_ttl(struct verb_call *c)
{
    tell_end(c, true, false);
}

void verb_pttl(struct verb_call *c)
{
    tell_end(c, false, false);
}

void verb_expiretime(struct verb_call *c)
{
    tell_end(c, true, true);
}

void verb_pexpiretime(struct verb_call *c)
{
    tell_end(c, false, true);
}

void verb_persist(struct verb_call *c)
{
    struct store_value value;

    if (!verb_get(c, c->args[1], &value) || value.expires_ms == 0)
        resp_put_integer(c->out, 0);
    else if (verb_put(c, c->args[1], value.bytes, 0))
        resp_put_integer(c->out, 1);
}
