/* What commands have in common that look into a configuration: they say on stderr what is wrong,
 * as "sheaf COMMAND: ...". */
#pragma once

#include "config/snapshot.h"
#include "proxy/base/err.h"
#include "shard/map.h"

/* NULL: it has errors, all of which were told. */
struct snapshot *commands_load(const char *file);
/* A pool with shards; NULL: there is none of that name, or it is of the kind sql, and `why_not`
 * says what that means. */
const struct pool_settings *commands_find_pool(const char *command, const struct snapshot *s,
                                               const char *name, const char *why_not);
enum err commands_make_map(const char *command, const struct pool_settings *pool,
                           struct shard_map **map) MUST_CHECK;
