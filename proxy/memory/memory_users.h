/* Users of a pool, for fronts of all protocols: who there is, with what password, and which keys
 * one may touch.  What commands he may run is the front's business. */
#pragma once

#include <stdbool.h>

#include "config/snapshot.h"
#include "proxy/base/slice.h"

/* NULL: the pool has no such user. */
const struct user_settings *memory_user_find(const struct memory_pool *pool, struct slice name);
/* Compares in constant time; `user` may be NULL, and nobody's password is right then. */
bool memory_user_password_is_right(const struct user_settings *user, struct slice password);
/* NULL may touch everything. */
bool memory_user_may_touch(const struct user_settings *user, struct slice key);
/* No commands and no keys are kept from it: nothing need be looked up. */
bool memory_user_is_free(const struct user_settings *user);
