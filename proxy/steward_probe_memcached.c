/* See steward_keyed.h: memcached is asked for its version, and now and then for its stats. */
#include "proxy/steward_keyed.h"

#include "health/probe_memcached.h"

static const struct steward_keyed_words WORDS = {
    .login = probe_memcached_login,
    .check = probe_memcached_check,
    .keep_mark = probe_memcached_keep_mark,
};

static void *memcached_new(const struct steward_probe_site *site)
{
    return steward_keyed_new(site, &WORDS);
}

extern const struct steward_probe steward_probe_memcached;
const struct steward_probe steward_probe_memcached = {
    .protocol = "memcached",
    .new = memcached_new,
    .ask = steward_keyed_ask,
    .continue_from = steward_keyed_continue_from,
    .free = steward_keyed_free,
};
