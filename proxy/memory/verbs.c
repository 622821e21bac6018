/* See verbs.h: requests one after the other, MULTI and EXEC, and what all verbs need. */
#include "proxy/memory/verbs_call.h"

#include <assert.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

#include "proxy/wire/resp_reader.h"

const char VERBS_NOT_INTEGER[] = "ERR value is not an integer or out of range";
const char VERBS_SYNTAX[] = "ERR syntax error";

/* ---- the table ---- */

enum { COMMANDS_MOST = 1024 };

static verb_f *verbs[COMMANDS_MOST]; /* by place in the table of commands */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void gather(void)
{
    static const struct {
        const char *name;
        verb_f *run;
    } ALL[] = {
#define VERB(name, function) { name, function },
#include "proxy/memory/verbs.def"
#undef VERB
    };

    for (size_t i = 0; i < sizeof(ALL) / sizeof(ALL[0]); i++) {
        const struct redis_command *cmd = redis_command_named(slice_text(ALL[i].name));

        assert(cmd != NULL && cmd - redis_command_at(0) < COMMANDS_MOST);
        verbs[cmd - redis_command_at(0)] = ALL[i].run;
    }
}

static verb_f *verb_of(const struct redis_command *cmd)
{
    pthread_once(&once, gather);
    return verbs[cmd - redis_command_at(0)];
}

bool verbs_have(const struct redis_command *cmd)
{
    return verb_of(cmd) != NULL;
}

/* ---- for the verbs ---- */

void verb_error(struct verb_call *c, const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    resp_put_error(c->out, slice_text(text));
}

void verb_null(struct verb_call *c)
{
    resp_put_null(c->out, c->ask->version == 3 ? RESP_VERSION_3 : RESP_VERSION_2);
}

static struct store_key verb_key(const struct verb_call *c, struct slice name)
{
    return (struct store_key){ c->database, store_hash(name), name };
}

static bool took_place(struct verb_call *c, enum err err)
{
    if (err == ERR_SYSTEM)
        c->v->is_broken = true;
    return err == ERR_NONE;
}

static bool drop(struct verb_call *c, const struct store_key *key)
{
    if (!took_place(c, c->v->engine->drop(c->v->store, key)))
        return false;
    c->v->has_written = true;
    return true;
}

bool verb_get(struct verb_call *c, struct slice name, struct store_value *out)
{
    struct store_key key = verb_key(c, name);

    if (!took_place(c, c->v->engine->get(c->v->store, &key, out)))
        return false;
    if (!store_is_over(out, c->v->now_ms))
        return true;
    *out = (struct store_value){ 0 };
    c->v->expired += drop(c, &key);
    return false;
}

bool verb_read(struct verb_call *c, struct slice name, struct store_value *out)
{
    bool found = verb_get(c, name, out);

    c->v->hits += found;
    c->v->misses += !found;
    return found;
}

bool verb_put(struct verb_call *c, struct slice name, struct slice bytes, int64_t expires_ms)
{
    struct store_key key = verb_key(c, name);
    struct store_value value = { bytes, expires_ms };
    enum err err;

    if (c->value_most > 0 && bytes.len > c->value_most) {
        verb_error(c, "ERR a value of %zu bytes is larger than max_value of class %.*s, %" PRIu64,
                   bytes.len, (int)c->class.len, (const char *)c->class.at, c->value_most);
        return false;
    }
    err = c->v->engine->put(c->v->store, &key, &value);
    if (err == ERR_LIMIT)
        verb_error(c, "OOM command not allowed when used memory > 'maxmemory'.");
    else if (err == ERR_RANGE)
        verb_error(c, "ERR a key of %zu bytes is longer than an embedded shard (%s) keeps",
                   name.len, c->v->name);
    else if (!took_place(c, err))
        verb_error(c, "ERR the store failed");
    else
        c->v->has_written = true;
    return err == ERR_NONE;
}

bool verb_drop(struct verb_call *c, struct slice name)
{
    struct store_value value;
    struct store_key key = verb_key(c, name);

    return verb_get(c, name, &value) && drop(c, &key);
}

bool verb_count(struct verb_call *c, uint32_t database, uint64_t *keys)
{
    const struct verbs *v = c->v;
    struct store_size size;

    if (v->engine->count == NULL) {
        v->engine->measure(v->store, database, &size);
        *keys = size.keys;
        return true;
    }
    if (took_place(c, v->engine->count(v->store, database, keys)))
        return true;
    verb_error(c, "ERR the store failed");
    return false;
}

bool verb_integer(struct slice text, int64_t *out)
{
    bool negative = text.len > 0 && text.at[0] == '-';

    if (text.len > (size_t)negative + 1 && text.at[negative] == '0')
        return false;
    return !slice_is_text(text, "-0") && slice_to_i64(text, out);
}

bool verb_argument(struct verb_call *c, size_t at, int64_t *out)
{
    if (verb_integer(c->args[at], out))
        return true;
    verb_error(c, "%s", VERBS_NOT_INTEGER);
    return false;
}

bool verb_is(const struct verb_call *c, size_t at, const char *word)
{
    return slice_is_word(c->args[at], word);
}

bool verb_take_time(const struct verb_call *c, size_t at, struct verb_time *out)
{
    static const struct {
        const char *word;
        bool in_seconds, is_absolute;
    } UNITS[] = { { "ex", true, false },
                  { "px", false, false },
                  { "exat", true, true },
                  { "pxat", false, true } };

    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        struct verb_time time = { UNITS[i].in_seconds, UNITS[i].is_absolute, at + 1 };

        if (!verb_is(c, at, UNITS[i].word) || at + 1 >= c->count)
            continue;
        if (out->at != 0 && (out->in_seconds != time.in_seconds || /* the same one twice may be */
                             out->is_absolute != time.is_absolute))
            return false;
        *out = time;
        return true;
    }
    return false;
}

bool verb_expires(struct verb_call *c, struct verb_time time, int64_t *out)
{
    int64_t number;

    if (!verb_argument(c, time.at, &number))
        return false;
    if (number <= 0 || (time.in_seconds && number > INT64_MAX / 1000) ||
        (!time.is_absolute &&
         (time.in_seconds ? number * 1000 : number) > INT64_MAX - c->v->now_ms)) {
        verb_error(c, "ERR invalid expire time in '%s' command", c->cmd->name);
        return false;
    }
    *out = (time.in_seconds ? number * 1000 : number) + (time.is_absolute ? 0 : c->v->now_ms);
    return true;
}

/* ---- running ---- */

static void refuse(struct verb_call *c)
{
    if (slice_is_text(slice_text(c->cmd->name), "watch"))
        verb_error(c,
                   "ERR 'watch' is not served by an embedded shard (%s): nobody is told there of "
                   "what others write",
                   c->v->name);
    else if ((c->cmd->flags & REDIS_COMMAND_PUBSUB) != 0)
        verb_error(c, "ERR '%s' is not served by an embedded shard (%s): it has no channels",
                   c->cmd->name, c->v->name);
    else
        verb_error(c,
                   "ERR '%s' is not served by an embedded shard (%s): it has strings, counters and "
                   "their expiry only",
                   c->cmd->name, c->v->name);
}

/* NULL: answered with an error. */
static verb_f *find_verb(struct verb_call *c)
{
    struct buf why = { 0 };
    verb_f *verb;

    c->cmd = redis_command_find(c->args, c->count);
    if (c->cmd == NULL || !redis_command_arity_is_right(c->cmd, c->count)) {
        redis_command_put_error(&why, c->cmd, c->args, c->count);
        resp_put_error(c->out, buf_all(&why));
        buf_fini(&why);
        return NULL;
    }
    verb = verb_of(c->cmd);
    if (verb == NULL || (verb == verb_memcached && !verb_is_memcached(c)) ||
        (verb == verb_guarded && !verb_is_guarded(c))) {
        refuse(c);
        return NULL;
    }
    return verb_of(c->cmd);
}

static void run_verb(struct verb_call *c, verb_f *verb)
{
    size_t before = c->out->len;

    c->v->commands += c->walk == NULL || !c->walk->goes_on;
    verb(c);
    if (c->out->len - c->began > c->ask->reply_most) {
        c->out->len = before;
        verb_error(c, "ERR the reply is longer than max_session_memory allows");
    }
}

bool verbs_next_request(struct verb_call *c, struct slice *bytes)
{
    c->count = 0;
    c->value_most = 0;
    while (c->count == 0) {
        struct resp_progress progress = { 0 };
        struct resp_problem why;
        size_t len;

        if (bytes->len == 0 || resp_request_parse(&progress, *bytes, &RESP_LIMITS_DEFAULT,
                                                  &c->v->args, &len, &why) != PARSE_DONE)
            return false;
        *bytes = slice_from(*bytes, len);
        c->args = c->v->args.at;
        c->count = c->v->args.count;
    }
    return true;
}

/* From behind MULTI to EXEC or DISCARD: each is answered +QUEUED, then all of them are run. */
static void run_transaction(struct verb_call *c, struct slice *bytes)
{
    struct slice queue = *bytes;
    size_t count = 0;
    bool is_spoilt = false;

    buf_text(c->out, "+OK\r\n");
    for (;;) {
        if (!verbs_next_request(c, bytes))
            return; /* it never ends: nothing is done */
        if (c->count == 1 && verb_is(c, 0, "exec"))
            break;
        if (c->count == 1 && verb_is(c, 0, "discard")) {
            buf_text(c->out, "+OK\r\n");
            return;
        }
        if (find_verb(c) == NULL) {
            is_spoilt = true;
            continue;
        }
        buf_text(c->out, "+QUEUED\r\n");
        count++;
    }
    if (is_spoilt) {
        verb_error(c, "EXECABORT Transaction discarded because of previous errors.");
        return;
    }
    resp_put_array(c->out, count);
    while (count-- > 0 && verbs_next_request(c, &queue)) {
        verb_f *verb = find_verb(c);

        if (verb != NULL)
            run_verb(c, verb);
    }
}

void verbs_run(struct verbs *v, const struct verbs_ask *ask, struct buf *out)
{
    struct verb_call c = {
        .v = v, .ask = ask, .database = ask->database, .out = out, .began = out->len
    };
    struct slice bytes = ask->bytes;

    while (verbs_next_request(&c, &bytes)) {
        verb_f *verb;

        if (c.count == 1 && verb_is(&c, 0, "multi")) {
            run_transaction(&c, &bytes);
            continue;
        }
        verb = find_verb(&c);
        c.walk = ask->walk != NULL && bytes.len == 0 && c.began == out->len ? ask->walk : NULL;
        if (verb != NULL)
            run_verb(&c, verb);
    }
    store_trim(&v->scratch);
}

void verbs_fini(struct verbs *v)
{
    resp_args_fini(&v->args);
    buf_fini(&v->scratch);
}

size_t verbs_replies_len(struct slice replies, uint32_t count)
{
    struct resp_reader reader = { replies };
    struct slice one;

    for (; count > 0 && reader.in.len > 0; count--)
        if (resp_read_skip(&reader, &one) != ERR_NONE)
            return replies.len;
    return replies.len - reader.in.len;
}
