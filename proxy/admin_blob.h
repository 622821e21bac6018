/* Blob pools, as /api/v1/status and /metrics tell of them: what was asked for which buckets and of
 * which shards, what became of it. */
#pragma once

#include <cjson/cJSON.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"

struct daemon;

/* Adds "buckets", "operations", "errors" to what is told of the pool. */
void admin_blob_put_pool(cJSON *pool_json, const struct blob_pool *pool);
/* Adds "operations" and "errors" to what is told of one of its shards. */
void admin_blob_put_shard(cJSON *shard_json, const struct endpoint_settings *shard);
void admin_blob_metrics(const struct daemon *d, struct buf *out);
