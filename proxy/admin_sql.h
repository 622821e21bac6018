/* SQL pools, as /api/v1/status and /metrics tell of them: clients, server connections, where
 * statements went, what is waited for, what pins, what is known of statements. */
#pragma once

#include <cjson/cJSON.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"

struct daemon;

/* Adds "clients", "exchanges", "waits", "pins", "verdicts" to what is told of the pool. */
void admin_sql_put_pool(cJSON *pool_json, const struct sql_pool *pool);
/* Adds "servers" to what is told of one of its endpoints. */
void admin_sql_put_endpoint(cJSON *endpoint_json, const struct daemon *d,
                            const struct endpoint_settings *endpoint);
void admin_sql_metrics(const struct daemon *d, struct buf *out);
