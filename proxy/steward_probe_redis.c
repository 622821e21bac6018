/* See steward_keyed.h: Redis endpoints are asked with PING, and now and then with INFO. */
#include "proxy/steward_keyed.h"

#include "health/probe_redis.h"

static const struct steward_keyed_words WORDS = {
    .login = probe_redis_login,
    .check = probe_redis_check,
    .keep_mark = probe_redis_keep_mark,
};

static void *redis_new(const struct steward_probe_site *site)
{
    return steward_keyed_new(site, &WORDS);
}

extern const struct steward_probe steward_probe_redis;
const struct steward_probe steward_probe_redis = {
    .protocol = "redis",
    .new = redis_new,
    .ask = steward_keyed_ask,
    .continue_from = steward_keyed_continue_from,
    .free = steward_keyed_free,
};
