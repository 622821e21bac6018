/* Who a session is, and what the configuration lets it do. */
#pragma once

#include <stdbool.h>

#include "proxy/memory/memory_users.h"
#include "proxy/memory/redis_front.h"

/* The session's user in the configuration of now, by name: a reload may have moved or removed it.
 * NULL: the pool has none, or (then *logged_out is set) the session is nobody. */
const struct user_settings *redis_user_of(const struct memory_site *site,
                                          struct redis_session *session, bool *logged_out);
/* A new session, and one after RESET: in as `default` if that needs no password. */
void redis_user_begin(const struct memory_site *site, struct redis_session *session);

/* Compares in constant time.  False: no such user, or not its password. */
bool redis_user_log_in(const struct memory_site *site, struct redis_session *session,
                       struct slice name, struct slice password);

/* Questions of a user; NULL may do everything but dangerous administration. */
bool redis_user_may_run(const struct user_settings *user, const struct redis_command *cmd);
/* Is the command one of those, or of such a category? */
bool redis_user_words_cover(const char *const *words, uint32_t count,
                            const struct redis_command *cmd);
bool redis_user_may_hear(const struct user_settings *user, struct slice pattern); /* PSUBSCRIBE */
bool redis_user_may_administrate(const struct user_settings *user);
