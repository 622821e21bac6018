/* See admin_classes.h.  Names are for ever, as in admin_status.c and admin_metrics.c. */
#include "proxy/admin_classes.h"

#include <string.h>

#include "proxy/admin_metrics.h"
#include "proxy/base/clock.h"
#include "proxy/core/class_row.h"
#include "proxy/daemon.h"

enum { SHOWN = 10, SUMMED = 8 * HOT_KEYS_ROOM };

/* What all workers counted of one class. */
struct sums {
    const char *pool, *name;
    uint64_t requests, writes, refused, cache_hits, cache_misses;
};

static void add_row(struct class_row *row, void *arg)
{
    struct sums *sums = arg;

    if (strcmp(row->pool, sums->pool) != 0 || strcmp(row->name, sums->name) != 0)
        return;
    sums->requests += counter_get(&row->requests);
    sums->writes += counter_get(&row->writes);
    sums->refused += counter_get(&row->refused);
    sums->cache_hits += counter_get(&row->cache_hits);
    sums->cache_misses += counter_get(&row->cache_misses);
}

static struct sums sums_of(const char *pool, const char *name)
{
    struct sums sums = { .pool = pool, .name = name };

    class_row_each(add_row, &sums);
    return sums;
}

/* ---- hot keys ---- */

struct hot {
    const char *pool, *name;
    uint64_t now_us;
    uint32_t count;
    struct hot_key list[SUMMED];
};

static void add_hot(struct class_row *row, void *arg)
{
    struct hot *hot = arg;

    if (strcmp(row->pool, hot->pool) == 0 && strcmp(row->name, hot->name) == 0)
        hot->count = hot_keys_add(&row->hot, hot->now_us, hot->list, hot->count, SUMMED);
}

void admin_classes_put_bytes(cJSON *object, const char *name, struct slice bytes)
{
    struct buf text = { 0 };

    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = bytes.at[i];

        if (c == '\\')
            buf_text(&text, "\\\\");
        else if (c >= ' ' && c <= '~')
            buf_put(&text, &c, 1);
        else
            buf_format(&text, "\\x%02x", c);
    }
    buf_put(&text, "", 1);
    cJSON_AddStringToObject(object, name, (const char *)text.at);
    buf_fini(&text);
}

static void put_hot(cJSON *object, const char *pool, const char *name)
{
    struct hot hot = { .pool = pool, .name = name, .now_us = clock_now_us() };
    cJSON *list = cJSON_AddArrayToObject(object, "hot_keys");

    class_row_each(add_hot, &hot);
    hot_keys_sort(hot.list, hot.count);
    for (uint32_t i = 0; i < hot.count && i < SHOWN; i++) {
        const struct hot_key *k = &hot.list[i];
        cJSON *json;

        if (k->count - k->error <= 0)
            break;
        json = cJSON_CreateObject();
        admin_classes_put_bytes(json, "key", slice_of(k->key, k->len));
        cJSON_AddBoolToObject(json, "key_is_cut", k->is_cut);
        cJSON_AddNumberToObject(json, "per_second", k->count);
        cJSON_AddNumberToObject(json, "per_second_at_least", k->count - k->error);
        cJSON_AddItemToArray(list, json);
    }
}

/* ---- status ---- */

static const char *access_word(enum key_access access)
{
    static const char *const WORDS[] = { [KEY_ACCESS_FULL] = "full",
                                         [KEY_ACCESS_READ_ONLY] = "read-only",
                                         [KEY_ACCESS_FORBIDDEN] = "forbidden" };

    return WORDS[access];
}

static cJSON *class_json(const char *pool, const struct key_class *c)
{
    struct sums sums = sums_of(pool, c->name);
    cJSON *json = cJSON_CreateObject(), *totals;

    cJSON_AddStringToObject(json, "name", c->name);
    cJSON_AddStringToObject(json, "pool", c->pool == NULL ? pool : c->pool->base.name);
    cJSON_AddStringToObject(json, "access", access_word(c->access));
    cJSON_AddNumberToObject(json, "ttl_ms", (double)c->ttl_ms);
    cJSON_AddNumberToObject(json, "max_ttl_ms", (double)c->max_ttl_ms);
    cJSON_AddNumberToObject(json, "max_value_bytes", (double)c->max_value_bytes);
    cJSON_AddNumberToObject(json, "cache_ms", (double)c->cache_ms);
    totals = cJSON_AddObjectToObject(json, "totals");
    cJSON_AddNumberToObject(totals, "requests", (double)sums.requests);
    cJSON_AddNumberToObject(totals, "writes", (double)sums.writes);
    cJSON_AddNumberToObject(totals, "refused", (double)sums.refused);
    cJSON_AddNumberToObject(totals, "cache_hits", (double)sums.cache_hits);
    cJSON_AddNumberToObject(totals, "cache_misses", (double)sums.cache_misses);
    put_hot(json, pool, c->name);
    return json;
}

void admin_classes_put(cJSON *pool_json, const struct memory_pool *pool)
{
    cJSON *list = cJSON_AddArrayToObject(pool_json, "classes");

    for (uint32_t i = 0; i < pool->class_count; i++)
        cJSON_AddItemToArray(list, class_json(pool->base.name, pool->classes[i]));
    put_hot(pool_json, pool->base.name, "");
}

/* ---- metrics ---- */

static uint64_t requests_of(const struct sums *s)
{
    return s->requests;
}

static uint64_t writes_of(const struct sums *s)
{
    return s->writes;
}

static uint64_t refused_of(const struct sums *s)
{
    return s->refused;
}

static uint64_t cache_hits_of(const struct sums *s)
{
    return s->cache_hits;
}

static uint64_t cache_misses_of(const struct sums *s)
{
    return s->cache_misses;
}

static void put_metric(const struct daemon *d, const char *name, const char *help,
                       uint64_t (*value)(const struct sums *), struct buf *out)
{
    const struct snapshot *s = d->assembly->snapshot;

    admin_metrics_begin(out, name, "counter", help);
    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct memory_pool *pool;

        if (s->pools[i]->kind != POOL_MEMORY)
            continue;
        pool = memory_pool_of(s->pools[i]);
        for (uint32_t k = 0; k < pool->class_count; k++) {
            struct sums sums = sums_of(pool->base.name, pool->classes[k]->name);

            buf_format(out, "%s{pool=", name);
            admin_metrics_quoted(out, pool->base.name);
            buf_text(out, ",class=");
            admin_metrics_quoted(out, pool->classes[k]->name);
            buf_format(out, "} %llu\n", (unsigned long long)value(&sums));
        }
    }
}

void admin_classes_metrics(const struct daemon *d, struct buf *out)
{
    if (d->assembly->snapshot->class_count == 0)
        return;
    put_metric(d, "sheaf_class_requests_total", "Requests, by the class of their first key.",
               requests_of, out);
    put_metric(d, "sheaf_class_writes_total", "Of them, those that may change something.",
               writes_of, out);
    put_metric(d, "sheaf_class_refused_total", "Of them, those that the class does not allow.",
               refused_of, out);
    put_metric(d, "sheaf_class_cache_hits_total", "Reads answered with what a worker keeps.",
               cache_hits_of, out);
    put_metric(d, "sheaf_class_cache_misses_total", "Reads that might have been, and were not.",
               cache_misses_of, out);
}
