/* See redis_users.h.  Rights are looked up by their words for each request of a restricted user:
 * the lists are short, and nothing compiled from them must follow a reload. */
#include "proxy/memory/redis_users.h"

#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/memory/memory_users.h"

#define DEFAULT_USER "default"

static void become(struct redis_session *session, const struct memory_pool *pool,
                   const struct user_settings *user)
{
    free(session->base.user);
    session->base.user = user == NULL ? NULL : mem_text(user->name);
    session->user_index = user == NULL ? 0 : (uint32_t)(user - pool->users);
}

static void set_logged_in(struct redis_session *session, bool logged_in)
{
    session->base.logged_in = logged_in;
    if (logged_in)
        session->special &= ~(uint32_t)REDIS_SPECIAL_LOGGED_OUT;
    else
        session->special |= REDIS_SPECIAL_LOGGED_OUT;
}

const struct user_settings *redis_user_of(const struct memory_site *site,
                                          struct redis_session *session, bool *logged_out)
{
    const struct memory_pool *pool = site->pool;
    const struct user_settings *user;

    *logged_out = false;
    if (pool->user_count == 0)
        return NULL;
    if (session->base.user != NULL) {
        if (session->user_index < pool->user_count &&
            strcmp(pool->users[session->user_index].name, session->base.user) == 0)
            return &pool->users[session->user_index];
        user = memory_user_find(pool, slice_text(session->base.user));
        become(session, pool, user);
        if (user != NULL)
            return user;
    }
    redis_user_begin(site, session); /* the pool may have got users, and a `default` among them */
    *logged_out = session->base.user == NULL;
    return *logged_out ? NULL : &pool->users[session->user_index];
}

void redis_user_begin(const struct memory_site *site, struct redis_session *session)
{
    const struct memory_pool *pool = site->pool;
    const struct user_settings *user = memory_user_find(pool, slice_text(DEFAULT_USER));

    set_logged_in(session, true);
    if (pool->user_count == 0) {
        become(session, pool, NULL);
        return;
    }
    become(session, pool, user != NULL && user->nopass ? user : NULL);
    if (session->base.user == NULL)
        set_logged_in(session, false);
}

bool redis_user_log_in(const struct memory_site *site, struct redis_session *session,
                       struct slice name, struct slice password)
{
    const struct memory_pool *pool = site->pool;
    const struct user_settings *user;

    if (pool->user_count == 0)
        return slice_is_text(name, DEFAULT_USER);
    user = memory_user_find(pool, name);
    if (!memory_user_password_is_right(user, password))
        return false;
    become(session, pool, user);
    set_logged_in(session, true);
    return true;
}

/* "@read", "get", "config" (with all its subcommands), "config|set". */
static bool covers(const char *word, const struct redis_command *cmd)
{
    size_t len = strlen(word);

    if (word[0] == '@')
        return (cmd->categories & redis_category_find(slice_of(word + 1, len - 1))) != 0 ||
               strcmp(word, "@all") == 0;
    if (len > cmd->name_len || strncasecmp(word, cmd->name, len) != 0)
        return false;
    return len == cmd->name_len || cmd->name[len] == '|';
}

bool redis_user_words_cover(const char *const *words, uint32_t count,
                            const struct redis_command *cmd)
{
    for (uint32_t i = 0; i < count; i++)
        if (covers(words[i], cmd))
            return true;
    return false;
}

bool redis_user_may_run(const struct user_settings *user, const struct redis_command *cmd)
{
    if (user == NULL || (cmd->flags & REDIS_COMMAND_NO_AUTH) != 0)
        return true;
    if (user->allow_count > 0 &&
        !redis_user_words_cover((const char *const *)user->allow, user->allow_count, cmd))
        return false;
    return !redis_user_words_cover((const char *const *)user->deny, user->deny_count, cmd);
}

/* A pattern must begin with a prefix whose bytes mean themselves: else it would fit other names. */
bool redis_user_may_hear(const struct user_settings *user, struct slice pattern)
{
    if (user == NULL || user->key_prefix_count == 0)
        return true;
    for (uint32_t i = 0; i < user->key_prefix_count; i++) {
        struct slice prefix = user->key_prefixes[i];
        bool plain = true;

        for (size_t k = 0; k < prefix.len; k++)
            plain = plain && (prefix.at[k] == '\0' || strchr("*?[\\", prefix.at[k]) == NULL);
        if (plain && slice_starts(pattern, prefix))
            return true;
    }
    return false;
}

bool redis_user_may_administrate(const struct user_settings *user)
{
    return user != NULL && user->admin;
}
