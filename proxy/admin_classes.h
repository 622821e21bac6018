/* Classes of keys, as /api/v1/status and /metrics tell of them. */
#pragma once

#include <cjson/cJSON.h>

#include "config/snapshot.h"
#include "proxy/base/buf.h"

struct daemon;

/* Adds "classes" and "hot_keys" (of keys of no class) to what is told of the pool. */
void admin_classes_put(cJSON *pool_json, const struct memory_pool *pool);
void admin_classes_metrics(const struct daemon *d, struct buf *out);
/* Keys may be any bytes, JSON may not: printable ASCII as it is, all else as \xHH. */
void admin_classes_put_bytes(cJSON *object, const char *name, struct slice bytes);
