/* See admin_status.h.  Built with cJSON; names of fields carry their unit and are for ever: tools
 * read them. */
#include "proxy/admin_status.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/admin_blob.h"
#include "proxy/admin_classes.h"
#include "proxy/admin_gather.h"
#include "proxy/admin_sql.h"
#include "proxy/admin_standing.h"
#include "proxy/base/mem.h"
#include "proxy/core/slow.h"
#include "proxy/daemon.h"
#include "proxy/steward.h"
#include "proxy/steward_samples.h"

static void put_number(cJSON *object, const char *name, double value)
{
    cJSON_AddNumberToObject(object, name, value);
}

static void put_text(cJSON *object, const char *name, const char *value)
{
    cJSON_AddStringToObject(object, name, value == NULL ? "" : value);
}

static void print(cJSON *json, struct buf *out)
{
    char *text = cJSON_PrintUnformatted(json);

    buf_text(out, text);
    buf_text(out, "\n");
    cJSON_free(text);
    cJSON_Delete(json);
}

/* ---- counts, rates, latencies: of a pool or a shard ---- */

static bool is_told(const struct sample_kind *kind, bool of_shard)
{
    return (of_shard ? kind->shard_text : kind->pool_text)[0] != '\0';
}

static void put_counts(cJSON *object, const struct samples *s, const struct samples_row *row,
                       bool of_shard)
{
    cJSON *totals = cJSON_AddObjectToObject(object, "totals");
    cJSON *rates = cJSON_AddObjectToObject(object, "per_second");

    for (int i = 0; i < SAMPLE_COUNTS; i++) {
        const struct sample_kind *kind = &samples_kinds[i];
        enum sample_count which = (enum sample_count)i;

        if (!is_told(kind, of_shard))
            continue;
        put_number(kind->rises ? totals : object, kind->name, (double)samples_total(row, which));
        if (kind->rises)
            put_number(rates, kind->name, samples_rate(s, row, which));
    }
}

static void put_percentiles(cJSON *object, const char *name, const struct samples_row *row,
                            bool recent)
{
    struct histogram *h = mem_new(sizeof(*h));
    cJSON *json = cJSON_AddObjectToObject(object, name);
    double count;

    samples_latency(row, recent, h);
    count = (double)counter_get(&h->count);
    put_number(json, "count", count);
    put_number(json, "mean", count == 0 ? 0 : (double)counter_get(&h->sum) / count);
    put_number(json, "p50", (double)histogram_percentile(h, 0.50));
    put_number(json, "p90", (double)histogram_percentile(h, 0.90));
    put_number(json, "p99", (double)histogram_percentile(h, 0.99));
    put_number(json, "p999", (double)histogram_percentile(h, 0.999));
    put_number(json, "max", (double)histogram_percentile(h, 1));
    free(h);
}

static void put_history(cJSON *object, const char *name, const struct samples *s,
                        const struct samples_row *row, enum sample_count which)
{
    uint32_t history[SAMPLES_HISTORY_SECONDS];
    cJSON *list = cJSON_AddArrayToObject(object, name);

    samples_history(s, row, which, history);
    for (int i = 0; i < SAMPLES_HISTORY_SECONDS; i++)
        cJSON_AddItemToArray(list, cJSON_CreateNumber(history[i]));
}

static void put_figures(cJSON *object, const struct samples *s, const struct samples_row *row,
                        bool of_shard)
{
    cJSON *latency, *history;

    put_counts(object, s, row, of_shard);
    latency = cJSON_AddObjectToObject(object, "latency_us");
    put_percentiles(latency, "recent", row, true);
    put_percentiles(latency, "since_start", row, false);
    history = cJSON_AddObjectToObject(object, "history");
    put_history(history, "requests", s, row, SAMPLE_requests);
    put_history(history, "failures", s, row, SAMPLE_failures);
}

/* ---- health ---- */

static void put_probe(cJSON *object, const struct steward_endpoint *known)
{
    const struct probe_outcome *o = known->probe;
    cJSON *probe;

    if (!known->is_probed) {
        cJSON_AddNullToObject(object, "probe");
        return;
    }
    probe = cJSON_AddObjectToObject(object, "probe");
    cJSON_AddBoolToObject(probe, "ok", !reason_is_failure(o->reason));
    put_text(probe, "reason", o->reason == HEALTH_FINE ? "" : reason_word(o->reason));
    put_text(probe, "text", o->text);
    put_number(probe, "latency_us", (double)o->latency_us);
    put_number(probe, "age_s", admin_gather_age_s(known->probed_us));
    if (!o->info.is_known)
        return;
    put_text(probe, "flavor", o->info.flavor);
    put_text(probe, "version", o->info.version);
    put_text(probe, "role",
             o->info.role == PROBE_ROLE_PRIMARY   ? "primary"
             : o->info.role == PROBE_ROLE_REPLICA ? "replica"
                                                  : "");
    put_number(probe, "used_memory_bytes", (double)o->info.used_memory);
    put_number(probe, "max_memory_bytes", (double)o->info.most_memory);
}

static void put_health(cJSON *object, const struct daemon *d, uint32_t endpoint)
{
    struct steward_endpoint known = steward_endpoint(d->steward, endpoint);
    const struct verdict *v = &known.verdict;
    cJSON *health = cJSON_AddObjectToObject(object, "health");

    put_text(health, "state", judge_state_name(v->state));
    cJSON_AddBoolToObject(health, "up", v->state == VERDICT_UP);
    cJSON_AddBoolToObject(health, "drained", known.is_drained);
    put_text(health, "reason", v->reason == HEALTH_FINE ? "" : reason_word(v->reason));
    put_text(health, "text", v->reason == HEALTH_FINE ? "" : reason_text(v->reason));
    put_number(health, "since", (double)(int64_t)admin_gather_wall_s(v->since_ms * 1000));
    put_number(health, "for_s", admin_gather_age_s(v->since_ms * 1000));
    put_number(health, "weight_percent", v->weight_percent);
    put_probe(health, &known);
}

/* ---- pools ---- */

static cJSON *endpoint_json(const struct daemon *d, const struct endpoint_settings *e)
{
    const struct samples *s = steward_samples(d->steward);
    const struct samples_row *row = samples_find(s, e->pool->name, e->name, e->shard);
    cJSON *json = cJSON_CreateObject();

    put_number(json, "index", e->shard);
    put_text(json, "endpoint", e->name);
    if (e->pool->kind == POOL_SQL)
        put_text(json, "role", endpoint_role_name(e->role));
    put_text(json, "scheme", e->scheme);
    put_number(json, "weight", e->weight);
    put_health(json, d, e->number);
    if (e->pool->kind == POOL_SQL)
        admin_standing_put(json, d, e);
    if (e->pool->kind == POOL_SQL)
        admin_sql_put_endpoint(json, d, e);
    if (e->pool->kind == POOL_BLOB)
        admin_blob_put_shard(json, e);
    put_figures(json, s, row, true);
    return json;
}

static void put_map(cJSON *object, const struct daemon *d, const struct pool_settings *pool)
{
    const struct shard_map *map = d->assembly->maps[pool->number];
    bool is_memory = pool->kind == POOL_MEMORY;

    put_text(object, "hash", shard_map_hash_name(map));
    put_text(object, "distribution", shard_map_distribution_name(map));
    if (is_memory)
        put_text(object, "hash_tag", memory_pool_of(pool)->hash_tag);
    put_number(object, "slots", shard_map_slots(map));
    cJSON_AddBoolToObject(object, "stamp",
                          is_memory ? memory_pool_of(pool)->stamp : blob_pool_of(pool)->stamp);
}

static void put_blob(cJSON *object, const struct blob_pool *pool)
{
    cJSON *limits = cJSON_AddObjectToObject(object, "limits");

    put_number(limits, "max_sessions", pool->base.max_sessions);
    put_number(limits, "max_session_memory", (double)pool->base.max_session_bytes);
    put_number(limits, "max_object", (double)pool->max_object_bytes);
    put_number(limits, "max_upstreams", pool->max_upstreams);
    put_number(limits, "max_queue", pool->max_queue);
    admin_blob_put_pool(object, pool);
}

static void put_memory(cJSON *object, const struct memory_pool *pool)
{
    cJSON *limits = cJSON_AddObjectToObject(object, "limits");

    put_number(limits, "timeout_ms", (double)pool->timeout_ms);
    put_number(limits, "connect_timeout_ms", (double)pool->base.connect_timeout_ms);
    put_number(limits, "max_sessions", pool->base.max_sessions);
    put_number(limits, "max_pipeline", pool->max_pipeline);
    put_number(limits, "max_request_bytes", (double)pool->max_request_bytes);
    put_number(limits, "max_session_bytes", (double)pool->base.max_session_bytes);
    put_number(limits, "max_upstreams", pool->max_upstreams);
    put_number(limits, "max_queue", pool->max_queue);
    admin_classes_put(object, pool);
}

static void put_sql(cJSON *object, const struct daemon *d, const struct sql_pool *pool)
{
    admin_standing_put_primary(object, d, pool);
    put_text(object, "pooling", sql_pooling_name(pool->pooling));
    put_text(object, "reads", sql_reads_name(pool->reads));
    put_text(object, "balance", sql_balance_name(pool->balance));
    put_number(object, "max_lag_ms", (double)pool->max_lag_ms);
    put_number(object, "max_lag_bytes", (double)pool->max_lag_bytes);
    admin_sql_put_pool(object, pool);
}

static void put_sql_limits(cJSON *object, const struct sql_pool *pool)
{
    cJSON *limits = cJSON_AddObjectToObject(object, "limits");

    put_number(limits, "connect_timeout_ms", (double)pool->base.connect_timeout_ms);
    put_number(limits, "query_timeout_ms", (double)pool->query_timeout_ms);
    put_number(limits, "query_wait_timeout_ms", (double)pool->query_wait_timeout_ms);
    put_number(limits, "max_sessions", pool->base.max_sessions);
    put_number(limits, "max_session_bytes", (double)pool->base.max_session_bytes);
    put_number(limits, "pool_size", pool->sizes.pool_size);
    put_number(limits, "reserve_pool_size", pool->sizes.reserve_pool_size);
    put_number(limits, "max_db_connections", pool->sizes.max_connections);
    put_number(limits, "max_user_connections", pool->max_user_connections);
}

static cJSON *pool_json(const struct daemon *d, const struct pool_settings *pool)
{
    const struct samples *s = steward_samples(d->steward);
    cJSON *json = cJSON_CreateObject(), *list;

    put_text(json, "name", pool->name);
    put_text(json, "kind", pool_kind_name(pool->kind));
    list = cJSON_AddArrayToObject(json, "listen");
    for (uint32_t i = 0; i < pool->listener_count; i++)
        cJSON_AddItemToArray(list, cJSON_CreateString(pool->listeners[i]->name));
    if (pool->kind == POOL_SQL)
        put_sql(json, d, sql_pool_of(pool));
    else
        put_map(json, d, pool);
    put_figures(json, s, samples_find(s, pool->name, "", 0), false);
    if (pool->kind == POOL_MEMORY)
        put_memory(json, memory_pool_of(pool));
    else if (pool->kind == POOL_SQL)
        put_sql_limits(json, sql_pool_of(pool));
    else
        put_blob(json, blob_pool_of(pool));
    list = cJSON_AddArrayToObject(json, pool->kind == POOL_SQL ? "endpoints" : "shards");
    for (uint32_t i = 0; i < pool->endpoint_count; i++)
        cJSON_AddItemToArray(list, endpoint_json(d, pool->endpoints[i]));
    return json;
}

/* ---- the process ---- */

static void put_sessions(cJSON *object, const struct admin_gather *g)
{
    cJSON *sessions = cJSON_AddObjectToObject(object, "sessions"), *closed;

    put_number(sessions, "open", (double)g->sessions_open);
    put_number(sessions, "opened", (double)g->sessions_opened);
    closed = cJSON_AddObjectToObject(sessions, "closed");
    for (int i = 0; i < CLOSE_REASONS; i++)
        put_number(closed, admin_gather_close_word((enum close_reason)i), (double)g->closed[i]);
}

static void put_process(cJSON *object, const struct daemon *d, const struct admin_gather *g)
{
    const struct proxy_settings *settings = &d->assembly->snapshot->proxy;
    cJSON *process = cJSON_AddObjectToObject(object, "process");
    cJSON *memory = cJSON_AddObjectToObject(object, "memory");
    cJSON *limits = cJSON_AddObjectToObject(object, "limits");

    put_number(process, "pid", getpid());
    put_number(process, "cpu_user_s", g->cpu_user_s);
    put_number(process, "cpu_system_s", g->cpu_system_s);
    put_number(process, "open_files", (double)g->open_files);
    put_number(memory, "held_bytes", (double)g->held_bytes);
    put_number(memory, "resident_bytes", (double)g->resident_bytes);
    put_number(limits, "max_sessions", settings->max_sessions);
    put_number(limits, "max_memory_bytes", (double)settings->max_memory_bytes);
    put_number(limits, "open_files", (double)g->most_files);
}

void admin_status_print(const struct daemon *d, struct buf *out)
{
    const struct snapshot *s = d->assembly->snapshot;
    struct admin_gather g = admin_gather(d);
    cJSON *json = cJSON_CreateObject(), *pools;

    put_text(json, "version", SHEAF_VERSION);
    put_text(json, "file", d->file);
    put_number(json, "generation", (double)s->generation);
    put_text(json, "state", d->draining ? "draining" : "serving");
    put_number(json, "started", (double)(int64_t)g.started_wall_s);
    put_number(json, "uptime_s", g.uptime_s);
    put_number(json, "workers", d->thread_count);
    put_process(json, d, &g);
    put_sessions(json, &g);
    pools = cJSON_AddArrayToObject(json, "pools");
    for (uint32_t i = 0; i < s->pool_count; i++)
        cJSON_AddItemToArray(pools, pool_json(d, s->pools[i]));
    print(json, out);
}

/* ---- slow requests ---- */

static cJSON *slow_json(const struct slow_entry *entry)
{
    cJSON *json = cJSON_CreateObject();

    put_number(json, "id", (double)entry->id);
    put_number(json, "time", (double)entry->wall_s);
    put_number(json, "took_us", (double)entry->took_us);
    put_text(json, "pool", entry->pool);
    put_text(json, "command", entry->command);
    put_text(json, "class", entry->class);
    if (entry->database[0] != '\0') {
        put_text(json, "database", entry->database);
        put_text(json, "user", entry->user);
        put_text(json, "client", entry->client);
        admin_classes_put_bytes(json, "application", slice_text(entry->name));
        admin_classes_put_bytes(json, "statement", slice_text(entry->statement));
    }
    admin_classes_put_bytes(json, "key", slice_of(entry->key, entry->key_len));
    cJSON_AddBoolToObject(json, "key_is_cut", entry->key_len == SLOW_KEY_BYTES);
    if (entry->endpoint[0] != '\0')
        put_number(json, "shard", entry->shard);
    else
        cJSON_AddNullToObject(json, "shard"); /* of several, or of none */
    put_text(json, "endpoint", entry->endpoint);
    return json;
}

static int slower_first(const void *a, const void *b)
{
    const struct slow_entry *x = a, *y = b;

    return x->took_us == y->took_us ? 0 : x->took_us < y->took_us ? 1 : -1;
}

void admin_status_print_slow(const struct daemon *d, struct buf *out)
{
    struct slow_entry *entries = mem_new(SLOW_ENTRIES_MOST * sizeof(*entries));
    size_t count = slow_copy(entries, SLOW_ENTRIES_MOST);
    cJSON *json = cJSON_CreateObject(), *list;

    qsort(entries, count, sizeof(*entries), slower_first);
    put_number(json, "slow_time_ms", (double)d->assembly->snapshot->proxy.slow_time_ms);
    list = cJSON_AddArrayToObject(json, "requests");
    for (size_t i = 0; i < count; i++)
        cJSON_AddItemToArray(list, slow_json(&entries[i]));
    print(json, out);
    free(entries);
}
