/* What requests are going to ask of a store: their keys, whether a value is looked at, and what has
 * to stay as it is until they are done.  What can't be run is passed over. */
#include "proxy/memory/verbs_call.h"

static void glance(struct verb_call *c, struct verbs_outlook *o, uint32_t database,
                   struct slice name)
{
    /* What was there is of no matter to these. */
    static const char *const BLIND[] = { "set", "setex", "psetex", "mset" };
    struct store_glance g = { .key = { database, store_hash(name), name }, .reads = true };

    for (size_t i = 0; i < sizeof(BLIND) / sizeof(BLIND[0]); i++)
        if (slice_is_text(slice_text(c->cmd->name), BLIND[i]) && (i > 0 || c->count == 3))
            g.reads = false;
    buf_put(&o->glances, &g, sizeof(g));
}

/* COPY and MOVE: whatever could be the number of the other database is taken for it. */
static void glance_elsewhere(struct verb_call *c, struct verbs_outlook *o, struct slice name)
{
    enum { DATABASES_MOST = 65536 };
    int64_t number;

    for (size_t at = 2; at < c->count; at++)
        if (verb_integer(c->args[at], &number) && number >= 0 && number < DATABASES_MOST)
            glance(c, o, (uint32_t)number, name);
}

static void glance_at_keys(struct verb_call *c, struct verbs_outlook *o)
{
    struct buf *places = &c->v->scratch;
    uint32_t *at;
    size_t count;

    buf_clear(places);
    at = (uint32_t *)(void *)buf_reserve(places, c->count * sizeof(*at));
    if (redis_command_keys(c->cmd, c->args, c->count, at, &count) != ERR_NONE)
        return;
    for (size_t i = 0; i < count; i++) {
        glance(c, o, c->database, c->args[at[i]]);
        if (c->cmd->plan == REDIS_DATABASE)
            glance_elsewhere(c, o, c->args[at[i]]);
    }
}

/* True: it writes. */
static bool look_at_one(struct verb_call *c, struct verbs_outlook *o)
{
    bool is_script = slice_is_text(slice_text(c->cmd->name), "evalsha") ||
                     slice_is_text(slice_text(c->cmd->name), "eval");
    bool writes = (c->cmd->flags & REDIS_COMMAND_WRITE) != 0 || is_script;
    int64_t number;

    if (slice_is_text(slice_text(c->cmd->name), "select") && verb_integer(c->args[1], &number))
        c->database = (uint32_t)number;
    else if (c->cmd->keys != REDIS_KEYS_NONE)
        glance_at_keys(c, o);
    else
        o->writes_any |= writes;
    return writes;
}

void verbs_look_ahead(struct verbs *v, const struct verbs_ask *ask, struct verbs_outlook *o)
{
    struct verb_call c = { .v = v, .ask = ask, .database = ask->database };
    struct slice bytes = ask->bytes;
    size_t before = o->glances.len;
    bool writes = false;

    while (verbs_next_request(&c, &bytes)) {
        if (c.count == 1 && verb_is(&c, 0, "multi"))
            o->at_one_moment = true;
        c.cmd = redis_command_find(c.args, c.count);
        if (c.cmd != NULL && redis_command_arity_is_right(c.cmd, c.count) && verbs_have(c.cmd))
            writes |= look_at_one(&c, o);
    }
    o->writes |= writes;
    for (size_t at = before; writes && at < o->glances.len; at += sizeof(struct store_glance))
        ((struct store_glance *)(void *)(o->glances.at + at))->locks = true;
}

struct store_outlook verbs_outlook_of(const struct verbs_outlook *o)
{
    return (struct store_outlook){ .keys = (const struct store_glance *)(void *)o->glances.at,
                                   .count = o->glances.len / sizeof(struct store_glance),
                                   .writes = o->writes,
                                   .writes_any = o->writes_any,
                                   .at_one_moment = o->at_one_moment };
}

void verbs_outlook_clear(struct verbs_outlook *o)
{
    store_trim(&o->glances);
    buf_clear(&o->glances);
    o->writes = o->writes_any = o->at_one_moment = false;
}
