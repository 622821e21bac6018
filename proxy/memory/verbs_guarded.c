/* What a class of keys does not take, of a command that Redis servers are sent in a script.  Here
 * it is run with its words, and looked at what it puts. */
#include "proxy/memory/redis_guard.h"
#include "proxy/memory/verbs_call.h"

/* The keys that the script was told, which the front has looked at, are the command's. */
static bool has_same_keys(const struct verb_call *c, const struct slice *keys, size_t count)
{
    struct buf *places = &c->v->scratch;
    uint32_t *at;
    size_t found;

    buf_clear(places);
    at = (uint32_t *)(void *)buf_reserve(places, c->count * sizeof(*at));
    if (redis_command_keys(c->cmd, c->args, c->count, at, &found) != ERR_NONE || found != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (!slice_is(c->args[at[i]], keys[i]))
            return false;
    return true;
}

bool verb_is_guarded(struct verb_call *c)
{
    const struct slice *keys = &c->args[REDIS_GUARD_KEYS], *args;
    struct verb_call inner = *c;
    uint64_t key_count;
    size_t before;

    if (!slice_is_text(c->args[REDIS_GUARD_SCRIPT], REDIS_GUARD) ||
        !slice_to_u64(c->args[REDIS_GUARD_KEY_COUNT], &key_count) || key_count == 0 ||
        key_count > c->count)
        return false;
    before = REDIS_GUARD_KEYS + key_count + REDIS_GUARD_COMMAND;
    if (before >= c->count)
        return false;
    args = keys + key_count;
    inner.args = args + REDIS_GUARD_COMMAND;
    inner.count = c->count - before;
    inner.cmd = redis_command_find(inner.args, inner.count);
    inner.class = args[REDIS_GUARD_CLASS];
    if (inner.cmd == NULL || !redis_command_arity_is_right(inner.cmd, inner.count) ||
        !verbs_have(inner.cmd) || slice_is_text(slice_text(inner.cmd->name), "eval") ||
        slice_is_text(slice_text(inner.cmd->name), "evalsha") ||
        !slice_to_u64(args[REDIS_GUARD_MOST], &inner.value_most) ||
        !has_same_keys(&inner, keys, key_count))
        return false;
    *c = inner;
    return true;
}

void verb_guarded(struct verb_call *c)
{
    (void)c; /* it has become the command that is guarded */
}
