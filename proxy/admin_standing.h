/* Servers of SQL pools, as /api/v1/status tells of them: who is the primary, what each is in its
 * cluster, how far behind. */
#pragma once

#include <cjson/cJSON.h>

#include "config/snapshot.h"

struct daemon;

/* Adds "primary" to what is told of the pool. */
void admin_standing_put_primary(cJSON *pool_json, const struct daemon *d,
                                const struct sql_pool *pool);
/* Adds "standing" to what is told of one of its servers. */
void admin_standing_put(cJSON *endpoint_json, const struct daemon *d,
                        const struct endpoint_settings *endpoint);
