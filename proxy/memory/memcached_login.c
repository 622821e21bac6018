/* Logging in: in text as memcached -Y has it (the first command is a `set` of any key whose value
 * is "user password"), in binary by SASL PLAIN.  A pool without users lets everybody in. */
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memcached_front.h"
#include "proxy/memory/memory_users.h"
#include "proxy/memory/redis_users.h"

#define DEFAULT_USER "default"

static void become(struct memcached_session *session, const struct memory_pool *pool,
                   const struct user_settings *user)
{
    free(session->base.user);
    session->base.user = NULL;
    if (user != NULL) {
        session->base.user = mem_text(user->name);
        session->user_index = (uint32_t)(user - pool->users);
    }
    session->base.logged_in = user != NULL || pool->user_count == 0;
}

void memcached_user_begin(const struct memory_site *site, struct memcached_session *session)
{
    const struct user_settings *user = memory_user_find(site->pool, slice_text(DEFAULT_USER));

    become(session, site->pool, user != NULL && user->nopass ? user : NULL);
}

static const struct user_settings *user_of(const struct memory_site *site,
                                           struct memcached_session *session)
{
    const struct memory_pool *pool = site->pool;
    const struct user_settings *user;

    if (session->base.user == NULL)
        return NULL;
    if (session->user_index < pool->user_count &&
        strcmp(pool->users[session->user_index].name, session->base.user) == 0)
        return &pool->users[session->user_index];
    user = memory_user_find(pool, slice_text(session->base.user)); /* a reload moved it */
    become(session, pool, user);
    return user;
}

bool memcached_user_find(struct memcached_call *call)
{
    const struct user_settings *user;

    call->user = NULL;
    if (call->site->pool->user_count == 0) {
        call->session->base.logged_in = true; /* a reload may have taken the users away */
        return true;
    }
    user = user_of(call->site, call->session);
    if (user == NULL) {
        memcached_user_begin(call->site, call->session);
        user = user_of(call->site, call->session);
    }
    if (user != NULL && !memory_user_is_free(user))
        call->user = user;
    return user != NULL;
}

/* Over Redis and embedded shards, users' rights may be told in Redis's words: there a command is as
 * allowed and as denied as what it is to Redis, too. */
static const struct {
    const char *name, *redis_name;
} REDIS_NAMES[] = {
    { "get", "get" },
    { "gets", "get" },
    { "bget", "get" },
    { "mg", "get" },
    { "gat", "getex" },
    { "gats", "getex" },
    { "set", "set" },
    { "add", "set" },
    { "replace", "set" },
    { "cas", "set" },
    { "ms", "set" },
    { "append", "append" },
    { "prepend", "append" },
    { "delete", "del" },
    { "md", "del" },
    { "incr", "incr" },
    { "incr", "incrby" },
    { "decr", "decr" },
    { "decr", "decrby" },
    { "ma", "incrby" },
    { "ma", "decrby" },
    { "touch", "expire" },
    { "flush_all", "flushall" },
    { "flush_all", "flushdb" },
    { "stats", "info" },
};

static bool redis_covers(const char *const *words, uint32_t count, const char *name)
{
    for (size_t i = 0; i < sizeof(REDIS_NAMES) / sizeof(REDIS_NAMES[0]); i++) {
        struct slice word = slice_text(REDIS_NAMES[i].redis_name);

        if (strcmp(REDIS_NAMES[i].name, name) == 0 &&
            redis_user_words_cover(words, count, redis_command_find(&word, 1)))
            return true;
    }
    return false;
}

static bool any_covers(const struct memcached_call *call, const char *const *words, uint32_t count,
                       const char *name, bool is_write)
{
    for (uint32_t i = 0; i < count; i++)
        if (strcmp(words[i], name) == 0 || strcmp(words[i], "@all") == 0 ||
            strcmp(words[i], is_write ? "@write" : "@read") == 0)
            return true;
    if (is_write && strcmp(name, "mg") == 0) /* with a flag that sets an end */
        name = "gat";
    return call->site->translates && redis_covers(words, count, name);
}

/* They tell nothing, and libraries send them without being asked. */
static bool is_harmless(const char *name)
{
    return strcmp(name, "mn") == 0 || strcmp(name, "version") == 0 || strcmp(name, "quit") == 0;
}

bool memcached_user_may_run(const struct memcached_call *call, const char *name, bool is_write)
{
    const struct user_settings *user = call->user;

    if (user == NULL || is_harmless(name))
        return true;
    if (user->allow_count > 0 &&
        !any_covers(call, (const char *const *)user->allow, user->allow_count, name, is_write))
        return false;
    return !any_covers(call, (const char *const *)user->deny, user->deny_count, name, is_write);
}

bool memcached_user_may_write(struct memcached_call *call)
{
    call->op->is_write = true;
    if (memcached_user_may_run(call, call->op->name, true))
        return true;
    memcached_refuse(call, MEMCACHED_STATUS_NOT_LET_IN, "this user may not run '%s' so",
                     call->op->name);
    return false;
}

bool memcached_user_log_in(struct memcached_call *call, struct slice name, struct slice password)
{
    const struct memory_pool *pool = call->site->pool;
    const struct user_settings *user = memory_user_find(pool, name);

    if (!memory_user_password_is_right(user, password))
        return false;
    become(call->session, pool, user);
    return true;
}

void memcached_plan_text_login(struct memcached_call *call)
{
    const struct memcached_text_request *r = call->text;
    struct slice password = r->value, name = { 0 };

    if (r->verb == MEMCACHED_QUIT) {
        memcached_answer(call);
        call->session->base.closes = true;
        return;
    }
    if (r->verb != MEMCACHED_SET) {
        memcached_answer_text(call, "CLIENT_ERROR unauthenticated\r\n");
        return;
    }
    if (r->error != NULL || !memcached_next_word(&password, &name) || password.len == 0 ||
        !memcached_user_log_in(call, name, slice_from(password, 1))) {
        memcached_answer_text(call, "CLIENT_ERROR authentication failure\r\n");
        return;
    }
    memcached_answer_text(call, "STORED\r\n");
}

/* PLAIN: whom to act for (ignored), the name, the password, with zero bytes between. */
static bool read_plain(struct slice text, struct slice *name, struct slice *password)
{
    const uint8_t *first = text.len == 0 ? NULL : memchr(text.at, '\0', text.len);
    const uint8_t *second;

    if (first == NULL)
        return false;
    text = slice_from(text, (size_t)(first - text.at) + 1);
    second = text.len == 0 ? NULL : memchr(text.at, '\0', text.len);
    if (second == NULL)
        return false;
    *name = slice_of(text.at, (size_t)(second - text.at));
    *password = slice_from(text, name->len + 1);
    return true;
}

static void answer_words(struct memcached_call *call, const char *words)
{
    struct memcached_binary_reply reply = { .opcode = call->binary->opcode,
                                            .opaque = call->binary->opaque,
                                            .value = slice_text(words) };

    memcached_binary_put(memcached_answer(call), &reply);
}

void memcached_plan_sasl(struct memcached_call *call)
{
    const struct memcached_binary_request *r = call->binary;
    struct slice name, password;

    if (call->site->pool->user_count == 0) { /* as memcached without -S */
        memcached_answer_status(call, MEMCACHED_STATUS_UNKNOWN_COMMAND);
    } else if (r->loud == MEMCACHED_BINARY_SASL_LIST) {
        answer_words(call, "PLAIN");
    } else if (r->loud == MEMCACHED_BINARY_SASL_AUTH && slice_is_text(r->key, "PLAIN") &&
               read_plain(r->value, &name, &password) &&
               memcached_user_log_in(call, name, password)) {
        answer_words(call, "Authenticated");
    } else {
        memcached_answer_status(call, MEMCACHED_STATUS_NOT_LET_IN);
    }
}
