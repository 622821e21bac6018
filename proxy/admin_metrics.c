/* See admin_metrics.h.  Names and units are for ever: dashboards and alerts are built on them.
 * Pools and shards that a reload took out are not told any more. */
#include "proxy/admin_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_blob.h"
#include "proxy/admin_classes.h"
#include "proxy/admin_gather.h"
#include "proxy/admin_sql.h"
#include "proxy/base/mem.h"
#include "proxy/daemon.h"
#include "proxy/steward.h"
#include "proxy/steward_samples.h"

/* ---- form ---- */

void admin_metrics_begin(struct buf *out, const char *name, const char *type, const char *help)
{
    buf_format(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value. */
void admin_metrics_quoted(struct buf *out, const char *value)
{
    buf_text(out, "\"");
    for (; *value != '\0'; value++) {
        if (*value == '\n')
            buf_text(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_format(out, "\\%c", *value);
        else
            buf_put(out, value, 1);
    }
    buf_text(out, "\"");
}

static void put_single(struct buf *out, const char *name, const char *type, const char *help,
                       double value)
{
    admin_metrics_begin(out, name, type, help);
    buf_format(out, "%s %.15g\n", name, value);
}

/* ---- the process ---- */

static void put_closed(struct buf *out, const struct admin_gather *g)
{
    admin_metrics_begin(out, "sheaf_sessions_closed_total", "counter",
                        "Sessions that ended, by reason.");
    for (int i = 0; i < CLOSE_REASONS; i++)
        buf_format(out, "sheaf_sessions_closed_total{reason=\"%s\"} %llu\n",
                   admin_gather_close_word((enum close_reason)i), (unsigned long long)g->closed[i]);
}

static void put_build(struct buf *out)
{
    admin_metrics_begin(out, "sheaf_build_info", "gauge", "Always 1; the version is the label.");
    buf_text(out, "sheaf_build_info{version=\"" SHEAF_VERSION "\"} 1\n");
}

static void put_sheaf(const struct daemon *d, const struct admin_gather *g, struct buf *out)
{
    const struct proxy_settings *settings = &d->assembly->snapshot->proxy;

    put_build(out);
    put_single(out, "sheaf_uptime_seconds", "gauge", "Time since the start.", g->uptime_s);
    put_single(out, "sheaf_configuration_generation", "gauge",
               "Number of the configuration in use; each reload takes a new one.",
               (double)d->assembly->snapshot->generation);
    put_single(out, "sheaf_workers", "gauge", "Worker threads.", d->thread_count);
    put_single(out, "sheaf_draining", "gauge", "1 while the process is shutting down.",
               d->draining);
    put_single(out, "sheaf_sessions_open", "gauge", "Sessions that are open.",
               (double)g->sessions_open);
    put_single(out, "sheaf_sessions_limit", "gauge", "Sessions that may be open (max_sessions).",
               settings->max_sessions);
    put_single(out, "sheaf_sessions_opened_total", "counter", "Sessions that were opened.",
               (double)g->sessions_opened);
    put_closed(out, g);
    put_single(out, "sheaf_memory_held_bytes", "gauge",
               "Memory that buffers of sessions and upstreams hold.", (double)g->held_bytes);
    put_single(out, "sheaf_memory_limit_bytes", "gauge",
               "Memory that those buffers may hold (max_memory).",
               (double)settings->max_memory_bytes);
    put_single(out, "sheaf_loop_turns_total", "counter", "Turns of the workers' loops.",
               (double)g->turns);
}

static void put_process(const struct admin_gather *g, struct buf *out)
{
    put_single(out, "process_cpu_seconds_total", "counter", "CPU time, user and system.",
               g->cpu_user_s + g->cpu_system_s);
    put_single(out, "process_resident_memory_bytes", "gauge", "Resident memory.",
               (double)g->resident_bytes);
    put_single(out, "process_virtual_memory_bytes", "gauge", "Virtual memory.",
               (double)g->virtual_bytes);
    put_single(out, "process_open_fds", "gauge", "Open files, sockets included.",
               (double)g->open_files);
    put_single(out, "process_max_fds", "gauge", "Files that may be open.", (double)g->most_files);
    put_single(out, "process_start_time_seconds", "gauge", "Start, in seconds since 1970.",
               g->started_wall_s);
}

/* ---- pools and shards ---- */

/* What a line is about: a pool, or a shard. */
struct subject {
    const struct pool_settings *pool;
    const struct endpoint_settings *endpoint; /* NULL: the pool */
    const struct samples_row *row;            /* NULL: nothing counted yet */
};

struct subjects {
    struct subject *list; /* owned */
    size_t count;
};

static struct subjects find_pools(const struct daemon *d)
{
    const struct snapshot *s = d->assembly->snapshot;
    struct subjects found = { .list = mem_new(s->pool_count * sizeof(struct subject)) };

    for (uint32_t i = 0; i < s->pool_count; i++)
        found.list[found.count++] =
            (struct subject){ .pool = s->pools[i],
                              .row = samples_find(steward_samples(d->steward), s->pools[i]->name,
                                                  "", 0) };
    return found;
}

static struct subjects find_endpoints(const struct daemon *d)
{
    const struct snapshot *s = d->assembly->snapshot;
    struct subjects found = { .list = mem_new(s->endpoint_count * sizeof(struct subject)) };

    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint_settings *e = &s->endpoints[i];

        found.list[found.count++] =
            (struct subject){ .pool = e->pool,
                              .endpoint = e,
                              .row = samples_find(steward_samples(d->steward), e->pool->name,
                                                  e->name, e->shard) };
    }
    return found;
}

/* Whose endpoints are called so, as those of this kind are. */
static struct subjects of_kind(const struct subjects *all, enum pool_kind kind)
{
    const char *what = pool_kind_endpoint(kind);

    struct subjects found = { .list = mem_new(all->count * sizeof(struct subject)) };

    for (size_t i = 0; i < all->count; i++)
        if (strcmp(pool_kind_endpoint(all->list[i].pool->kind), what) == 0)
            found.list[found.count++] = all->list[i];
    return found;
}

/* name{pool="...",shard="0",endpoint="...",MORE}.  Servers of SQL pools have no place in a map; and
 * their role changes, which must not begin another series. */
static void put_subject(struct buf *out, const char *name, const struct subject *about,
                        const char *more)
{
    buf_format(out, "%s{pool=", name);
    admin_metrics_quoted(out, about->pool->name);
    if (about->endpoint != NULL) {
        if (about->pool->kind != POOL_SQL)
            buf_format(out, ",shard=\"%u\"", about->endpoint->shard);
        buf_text(out, ",endpoint=");
        admin_metrics_quoted(out, about->endpoint->name);
    }
    buf_format(out, "%s} ", more);
}

/* Texts speak of shards: `what` takes their place. */
static void word_help(const char *text, const char *what, char *help, size_t room)
{
    const char *shard = strstr(text, "shard");

    if (shard == NULL)
        snprintf(help, room, "%s", text);
    else
        snprintf(help, room, "%.*s%s%s", (int)(shard - text), text, what, shard + strlen("shard"));
}

/* `what` is "pool", or what the endpoints are called. */
static void put_counts(struct buf *out, const struct subjects *all, const char *what)
{
    bool of_pools = strcmp(what, "pool") == 0;

    for (int i = 0; i < SAMPLE_COUNTS; i++) {
        const struct sample_kind *kind = &samples_kinds[i];
        const char *text = of_pools ? kind->pool_text : kind->shard_text;
        char name[96], help[160];

        if (text[0] == '\0')
            continue;
        word_help(text, what, help, sizeof(help));
        snprintf(name, sizeof(name), "sheaf_%s_%s%s", what, kind->name,
                 kind->rises ? "_total" : "");
        admin_metrics_begin(out, name, kind->rises ? "counter" : "gauge", help);
        for (size_t k = 0; k < all->count; k++) {
            put_subject(out, name, &all->list[k], "");
            buf_format(out, "%llu\n",
                       (unsigned long long)samples_total(all->list[k].row, (enum sample_count)i));
        }
    }
}

static void put_histogram(struct buf *out, const char *stem, const struct subject *about,
                          struct histogram *h)
{
    unsigned long long count;
    char name[96], more[32];

    samples_latency(about->row, false, h);
    count = (unsigned long long)counter_get(&h->count);
    snprintf(name, sizeof(name), "%s_bucket", stem);
    for (size_t i = 0; i < METRIC_EDGES; i++) {
        snprintf(more, sizeof(more), ",le=\"%.6g\"", metric_edges_us[i] / 1e6);
        put_subject(out, name, about, more);
        buf_format(out, "%llu\n", (unsigned long long)histogram_count_to(h, metric_edges_us[i]));
    }
    put_subject(out, name, about, ",le=\"+Inf\"");
    buf_format(out, "%llu\n", count);
    snprintf(name, sizeof(name), "%s_sum", stem);
    put_subject(out, name, about, "");
    buf_format(out, "%.9g\n", (double)counter_get(&h->sum) / 1e6);
    snprintf(name, sizeof(name), "%s_count", stem);
    put_subject(out, name, about, "");
    buf_format(out, "%llu\n", count);
}

static void put_latency(struct buf *out, const char *stem, const char *help,
                        const struct subjects *all)
{
    struct histogram *h = mem_new(sizeof(*h));

    admin_metrics_begin(out, stem, "histogram", help);
    for (size_t i = 0; i < all->count; i++)
        put_histogram(out, stem, &all->list[i], h);
    free(h);
}

/* ---- health ---- */

/* What a metric says of one endpoint; false: nothing. */
typedef bool endpoint_figure_f(const struct steward_endpoint *known, double *value);

static bool figure_up(const struct steward_endpoint *known, double *value)
{
    *value = known->verdict.state == VERDICT_UP;
    return true;
}

static bool figure_drained(const struct steward_endpoint *known, double *value)
{
    *value = known->is_drained;
    return true;
}

static bool figure_age(const struct steward_endpoint *known, double *value)
{
    *value = admin_gather_age_s(known->verdict.since_ms * 1000);
    return true;
}

static bool figure_probe_ok(const struct steward_endpoint *known, double *value)
{
    *value = !reason_is_failure(known->probe->reason);
    return known->is_probed;
}

static bool figure_probe_latency(const struct steward_endpoint *known, double *value)
{
    *value = (double)known->probe->latency_us / 1e6;
    return known->is_probed;
}

static bool figure_memory(const struct steward_endpoint *known, double *value)
{
    *value = (double)known->probe->info.used_memory;
    return known->probe->info.is_known;
}

static bool figure_most_memory(const struct steward_endpoint *known, double *value)
{
    *value = (double)known->probe->info.most_memory;
    return known->probe->info.is_known;
}

/* Of servers of SQL pools. */
static bool figure_is_primary(const struct steward_endpoint *known, double *value)
{
    *value = known->standing.role == STANDING_ROLE_PRIMARY;
    return true;
}

static bool figure_is_fit(const struct steward_endpoint *known, double *value)
{
    *value = known->standing.fit == STANDING_FRESH;
    return known->standing.role == STANDING_ROLE_REPLICA;
}

static bool figure_lag(const struct steward_endpoint *known, double *value)
{
    *value = (double)known->standing.lag_us / 1e6;
    return known->standing.lag_is_known;
}

static bool figure_lag_bytes(const struct steward_endpoint *known, double *value)
{
    *value = (double)known->standing.lag_bytes;
    return known->standing.lag_is_known;
}

static bool figure_position(const struct steward_endpoint *known, double *value)
{
    *value = (double)known->standing.lsn;
    return known->standing.lsn != 0;
}

static bool figure_timeline(const struct steward_endpoint *known, double *value)
{
    *value = known->standing.timeline;
    return known->standing.timeline != 0;
}

static void put_figure(const struct daemon *d, const struct subjects *endpoints, const char *name,
                       const char *help, endpoint_figure_f *figure, struct buf *out)
{
    admin_metrics_begin(out, name, "gauge", help);
    for (size_t i = 0; i < endpoints->count; i++) {
        struct steward_endpoint known =
            steward_endpoint(d->steward, endpoints->list[i].endpoint->number);
        double value;

        if (!figure(&known, &value))
            continue;
        put_subject(out, name, &endpoints->list[i], "");
        buf_format(out, "%.15g\n", value);
    }
}

static void put_states(const struct daemon *d, const struct subjects *endpoints, struct buf *out)
{
    static const char NAME[] = "sheaf_endpoint_state";

    admin_metrics_begin(
        out, NAME, "gauge",
        "1 for the state that the endpoint is in, 0 for the others; reason says why.");
    for (size_t i = 0; i < endpoints->count; i++) {
        uint32_t number = endpoints->list[i].endpoint->number;
        struct verdict now = steward_endpoint(d->steward, number).verdict;

        for (int state = VERDICT_UP; state <= VERDICT_DRAINING; state++) {
            bool is_it = (int)now.state == state;
            char more[128];

            snprintf(more, sizeof(more), ",state=\"%s\",reason=\"%s\"",
                     judge_state_name((enum verdict_state)state),
                     is_it && now.reason != HEALTH_FINE ? reason_word(now.reason) : "");
            put_subject(out, NAME, &endpoints->list[i], more);
            buf_format(out, "%d\n", is_it);
        }
    }
}

static void put_health(const struct daemon *d, const struct subjects *endpoints, struct buf *out)
{
    put_figure(d, endpoints, "sheaf_endpoint_up", "1 if the endpoint is up.", figure_up, out);
    put_states(d, endpoints, out);
    put_figure(d, endpoints, "sheaf_endpoint_drained", "1 if an operator took it out of service.",
               figure_drained, out);
    put_figure(d, endpoints, "sheaf_endpoint_state_age_seconds", "How long it is in its state.",
               figure_age, out);
    put_figure(d, endpoints, "sheaf_endpoint_probe_success",
               "1 if the last probe was answered well.", figure_probe_ok, out);
    put_figure(d, endpoints, "sheaf_endpoint_probe_latency_seconds",
               "How long the last probe's PING took.", figure_probe_latency, out);
    put_figure(d, endpoints, "sheaf_endpoint_used_memory_bytes", "Memory that the server uses.",
               figure_memory, out);
    put_figure(d, endpoints, "sheaf_endpoint_max_memory_bytes",
               "Memory that the server may use; 0 is no limit.", figure_most_memory, out);
}

static void put_standings(const struct daemon *d, const struct subjects *endpoints, struct buf *out)
{
    struct subjects servers = of_kind(endpoints, POOL_SQL);

    if (servers.count > 0) {
        put_figure(d, &servers, "sheaf_server_is_primary", "1 if it takes its pool's writes.",
                   figure_is_primary, out);
        put_figure(d, &servers, "sheaf_replica_is_fresh",
                   "1 if the replica is no further behind than max_lag.", figure_is_fit, out);
        put_figure(d, &servers, "sheaf_replica_lag_seconds",
                   "How long ago the primary was where the replica is.", figure_lag, out);
        put_figure(d, &servers, "sheaf_replica_lag_bytes",
                   "How much of the primary's log the replica has not applied.", figure_lag_bytes,
                   out);
        put_figure(d, &servers, "sheaf_server_position_bytes",
                   "Position in the log: written by the primary, applied by a replica.",
                   figure_position, out);
        put_figure(d, &servers, "sheaf_server_timeline", "Timeline of the log.", figure_timeline,
                   out);
    }
    free(servers.list);
}

static void put_endpoints(const struct subjects *all, enum pool_kind kind, const char *latency_help,
                          struct buf *out)
{
    const char *what = pool_kind_endpoint(kind);
    struct subjects found = of_kind(all, kind);
    char stem[64];

    snprintf(stem, sizeof(stem), "sheaf_%s_latency_seconds", what);
    if (found.count > 0 || kind == POOL_MEMORY) { /* those were always there */
        put_counts(out, &found, what);
        put_latency(out, stem, latency_help, &found);
    }
    free(found.list);
}

void admin_metrics_print(const struct daemon *d, struct buf *out)
{
    struct admin_gather g = admin_gather(d);
    struct subjects pools = find_pools(d), endpoints = find_endpoints(d);

    put_sheaf(d, &g, out);
    put_counts(out, &pools, "pool");
    put_latency(out, "sheaf_pool_latency_seconds",
                "From a request's parsing to the last byte of its reply queued.", &pools);
    put_endpoints(&endpoints, POOL_MEMORY, "From sending a part of a request to its reply.", out);
    put_endpoints(&endpoints, POOL_SQL, "From sending a statement to the end of its reply.", out);
    put_health(d, &endpoints, out);
    put_standings(d, &endpoints, out);
    admin_sql_metrics(d, out);
    admin_classes_metrics(d, out);
    admin_blob_metrics(d, out);
    put_process(&g, out);
    free(pools.list);
    free(endpoints.list);
}
