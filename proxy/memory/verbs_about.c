/* What clients ask of the server itself. */
#include "proxy/memory/verbs_call.h"

#include <inttypes.h>

void verb_ok(struct verb_call *c)
{
    buf_text(c->out, "+OK\r\n");
}

void verb_ping(struct verb_call *c)
{
    if (c->count > 1)
        resp_put_bulk(c->out, c->args[1]);
    else
        buf_text(c->out, "+PONG\r\n");
}

void verb_echo(struct verb_call *c)
{
    resp_put_bulk(c->out, c->args[1]);
}

/* Only for what follows in the same piece: which database a session is in, the pool knows. */
void verb_select(struct verb_call *c)
{
    enum { DATABASES_MOST = 65536 };
    int64_t number;

    if (!verb_argument(c, 1, &number))
        return;
    if (number < 0 || number >= DATABASES_MOST) {
        verb_error(c, "ERR DB index is out of range");
        return;
    }
    c->database = (uint32_t)number;
    buf_text(c->out, "+OK\r\n");
}

/* No replica has anything. */
void verb_wait(struct verb_call *c)
{
    resp_put_integer(c->out, 0);
}

/* ---- INFO ---- */

static bool wants(const struct verb_call *c, const char *section)
{
    bool wanted = c->count == 1;

    for (size_t i = 1; i < c->count; i++)
        wanted |= verb_is(c, i, section) || verb_is(c, i, "all") || verb_is(c, i, "default") ||
                  verb_is(c, i, "everything");
    return wanted;
}

/* False: answered with an error. */
static bool put_keyspace(struct verb_call *c, struct buf *text)
{
    uint64_t keys;

    buf_text(text, "# Keyspace\r\n");
    for (uint32_t i = 0; i < c->v->engine->databases(c->v->store); i++) {
        if (!verb_count(c, i, &keys))
            return false;
        if (keys > 0)
            buf_format(text, "db%" PRIu32 ":keys=%" PRIu64 ",expires=0,avg_ttl=0\r\n", i, keys);
    }
    buf_text(text, "\r\n");
    return true;
}

/* The names that libraries and people look for; what has no meaning here is left out. */
void verb_info(struct verb_call *c)
{
    const struct verbs *v = c->v;
    struct store_size size;
    struct buf text = { 0 };

    v->engine->measure(v->store, c->database, &size);
    if (wants(c, "server"))
        buf_format(&text,
                   "# Server\r\nredis_version:7.0.0\r\nredis_mode:standalone\r\n"
                   "embedded_store:%s\r\n\r\n",
                   v->name);
    if (wants(c, "memory"))
        buf_format(&text, "# Memory\r\nused_memory:%" PRIu64 "\r\nmaxmemory:%" PRIu64 "\r\n\r\n",
                   size.bytes, v->bytes_most);
    if (wants(c, "persistence"))
        buf_text(&text, "# Persistence\r\nloading:0\r\n\r\n");
    if (wants(c, "stats"))
        buf_format(&text,
                   "# Stats\r\ntotal_commands_processed:%" PRIu64 "\r\nexpired_keys:%" PRIu64
                   "\r\nevicted_keys:%" PRIu64 "\r\nkeyspace_hits:%" PRIu64
                   "\r\nkeyspace_misses:%" PRIu64 "\r\n\r\n",
                   v->commands, v->expired, size.evicted, v->hits, v->misses);
    if (wants(c, "replication"))
        buf_text(&text, "# Replication\r\nrole:master\r\nconnected_slaves:0\r\n\r\n");
    if (wants(c, "keyspace") && !put_keyspace(c, &text)) {
        buf_fini(&text);
        return;
    }
    if (text.len > 0)
        text.len -= 2;
    resp_put_verbatim(c->out, c->ask->version == 3 ? RESP_VERSION_3 : RESP_VERSION_2, "txt",
                      buf_all(&text));
    buf_fini(&text);
}

/* ---- COMMAND ---- */

static void put_command(struct verb_call *c, const struct redis_command *cmd)
{
    static const struct {
        uint32_t flag;
        const char *name;
    } FLAGS[] = {
        { REDIS_COMMAND_WRITE, "write" },
        { REDIS_COMMAND_READ, "readonly" },
        { REDIS_COMMAND_DENYOOM, "denyoom" },
        { REDIS_COMMAND_FAST, "fast" },
    };
    size_t count = 0;

    for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++)
        count += (cmd->flags & FLAGS[i].flag) != 0;
    resp_put_array(c->out, 6);
    resp_put_bulk_text(c->out, cmd->name);
    resp_put_integer(c->out, cmd->arity);
    resp_put_array(c->out, count);
    for (size_t i = 0; i < sizeof(FLAGS) / sizeof(FLAGS[0]); i++)
        if ((cmd->flags & FLAGS[i].flag) != 0)
            resp_put_simple(c->out, slice_text(FLAGS[i].name));
    resp_put_integer(c->out, cmd->first_key);
    resp_put_integer(c->out, cmd->last_key);
    resp_put_integer(c->out, cmd->key_step);
}

/* Scripts are for memcached's clients only. */
static bool is_told(const struct redis_command *cmd)
{
    return verbs_have(cmd) && (cmd->categories & REDIS_CATEGORY_SCRIPTING) == 0;
}

/* The next one that is served, subcommands aside; NULL: there is none. */
static const struct redis_command *next_served(size_t *at)
{
    const struct redis_command *cmd;

    while ((cmd = redis_command_at((*at)++)) != NULL)
        if (strchr(cmd->name, '|') == NULL && is_told(cmd))
            return cmd;
    return NULL;
}

static size_t count_served(void)
{
    size_t count = 0, at = 0;

    while (next_served(&at) != NULL)
        count++;
    return count;
}

void verb_command(struct verb_call *c)
{
    const struct redis_command *cmd;
    size_t at = 0;

    resp_put_array(c->out, count_served());
    while ((cmd = next_served(&at)) != NULL)
        put_command(c, cmd);
}

void verb_command_count(struct verb_call *c)
{
    resp_put_integer(c->out, (int64_t)count_served());
}

void verb_command_list(struct verb_call *c)
{
    const struct redis_command *cmd;
    size_t at = 0;

    resp_put_array(c->out, count_served());
    while ((cmd = next_served(&at)) != NULL)
        resp_put_bulk_text(c->out, cmd->name);
}

void verb_command_info(struct verb_call *c)
{
    if (c->count == 2) {
        verb_command(c);
        return;
    }
    resp_put_array(c->out, c->count - 2);
    for (size_t i = 2; i < c->count; i++) {
        const struct redis_command *cmd = redis_command_named(c->args[i]);

        if (cmd != NULL && is_told(cmd))
            put_command(c, cmd);
        else
            resp_put_null_array(c->out, c->ask->version == 3 ? RESP_VERSION_3 : RESP_VERSION_2);
    }
}

/* Nothing is known of any: what tools do with it is to help people type. */
void verb_command_docs(struct verb_call *c)
{
    resp_put_map(c->out, c->ask->version == 3 ? RESP_VERSION_3 : RESP_VERSION_2, 0);
}
