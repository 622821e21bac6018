/* See admin_sql.h.  Names are for ever, as in admin_status.c and admin_metrics.c. */
#include "proxy/admin_sql.h"

#include <stdio.h>

#include "proxy/admin_metrics.h"
#include "proxy/daemon.h"
#include "proxy/sql/sql_counts.h"
#include "proxy/steward.h"
#include "proxy/steward_samples.h"

static void put_number(cJSON *object, const char *name, uint64_t value)
{
    cJSON_AddNumberToObject(object, name, (double)value);
}

/* ---- status ---- */

static uint64_t sum(const uint64_t *list, size_t count)
{
    uint64_t all = 0;

    for (size_t i = 0; i < count; i++)
        all += list[i];
    return all;
}

static void put_waits(cJSON *object, const struct sql_totals *totals)
{
    cJSON *waits = cJSON_AddObjectToObject(object, "waits");

    for (int i = 0; i < SQL_COUNTS_WAITS; i++) {
        cJSON *wait = cJSON_AddObjectToObject(waits, sql_counts_wait_word((enum sql_counts_wait)i));

        put_number(wait, "now", totals->waiting[i]);
        put_number(wait, "total", totals->waits[i]);
        put_number(wait, "total_us", totals->wait_us[i]);
    }
}

static void put_pins(cJSON *object, const struct sql_totals *totals)
{
    cJSON *pins = cJSON_AddObjectToObject(object, "pins");

    for (unsigned i = 0; sql_counts_pin_label(i) != NULL; i++) {
        cJSON *pin = cJSON_AddObjectToObject(pins, sql_counts_pin_label(i));

        put_number(pin, "now", totals->pinned[i]);
        put_number(pin, "total", totals->pins[i]);
    }
}

void admin_sql_put_pool(cJSON *pool_json, const struct sql_pool *pool)
{
    struct sql_totals totals;
    cJSON *json;

    sql_counts_sum(pool->base.name, "", &totals);
    json = cJSON_AddObjectToObject(pool_json, "clients");
    put_number(json, "active", totals.list[SQL_COUNT_CLIENTS_ACTIVE]);
    put_number(json, "waiting", sum(totals.waiting, SQL_COUNTS_WAITS));
    put_number(json, "pinned", totals.list[SQL_COUNT_CLIENTS_PINNED]);
    json = cJSON_AddObjectToObject(pool_json, "exchanges");
    put_number(json, "primary", totals.list[SQL_COUNT_ON_PRIMARY]);
    put_number(json, "replica", totals.list[SQL_COUNT_ON_REPLICA]);
    put_number(json, "reasked_reads", totals.list[SQL_COUNT_REASKED]);
    put_number(json, "causal_waits_in_vain", totals.list[SQL_COUNT_CAUSAL_LATE]);
    put_number(json, "lost_commits_done", totals.list[SQL_COUNT_LOST_COMMITS_DONE]);
    put_number(json, "lost_commits_undone", totals.list[SQL_COUNT_LOST_COMMITS_UNDONE]);
    put_number(json, "lost_commits_unknown", totals.list[SQL_COUNT_LOST_COMMITS_UNKNOWN]);
    json = cJSON_AddObjectToObject(pool_json, "routed");
    for (int i = 0; i < SQL_CAUSES; i++)
        put_number(json, sql_counts_cause_word((enum sql_cause)i), totals.causes[i]);
    put_waits(pool_json, &totals);
    put_pins(pool_json, &totals);
    json = cJSON_AddObjectToObject(pool_json, "verdicts");
    put_number(json, "known", totals.list[SQL_COUNT_VERDICTS]);
    put_number(json, "bytes", totals.list[SQL_COUNT_VERDICT_BYTES]);
    put_number(json, "hits", totals.list[SQL_COUNT_VERDICT_HITS]);
    put_number(json, "misses", totals.list[SQL_COUNT_VERDICT_MISSES]);
    put_number(json, "overruled", totals.list[SQL_COUNT_VERDICTS_OVERRULED]);
}

struct servers {
    uint64_t active, idle, starting, own;
};

static struct servers servers_of(const struct daemon *d, const struct endpoint_settings *e)
{
    const struct samples_row *row =
        samples_find(steward_samples(d->steward), e->pool->name, e->name, e->shard);
    uint64_t open = samples_total(row, SAMPLE_upstreams_open);
    struct sql_totals totals;
    struct servers s;

    sql_counts_sum(e->pool->name, e->name, &totals);
    s.active = samples_total(row, SAMPLE_upstreams_leased);
    s.own = totals.list[SQL_COUNT_SERVERS_OWN];
    s.starting = totals.list[SQL_COUNT_SERVERS_STARTING];
    s.idle = open > s.active + s.own ? open - s.active - s.own : 0;
    return s;
}

void admin_sql_put_endpoint(cJSON *endpoint_json, const struct daemon *d,
                            const struct endpoint_settings *endpoint)
{
    struct servers s = servers_of(d, endpoint);
    cJSON *json = cJSON_AddObjectToObject(endpoint_json, "servers");

    put_number(json, "active", s.active);
    put_number(json, "idle", s.idle);
    put_number(json, "starting", s.starting);
    put_number(json, "own", s.own);
}

/* ---- metrics ---- */

/* name{pool="...",LABEL="WORD"} */
static void put_line(struct buf *out, const char *name, const struct pool_settings *pool,
                     const char *label, const char *word, double value)
{
    buf_format(out, "%s{pool=", name);
    admin_metrics_quoted(out, pool->name);
    if (label != NULL)
        buf_format(out, ",%s=\"%s\"", label, word);
    buf_format(out, "} %.15g\n", value);
}

/* Writes the lines of one pool. */
typedef void put_pool_f(struct buf *out, const char *name, const struct pool_settings *pool,
                        const struct sql_totals *totals);

static void put_each(const struct daemon *d, const char *name, const char *type, const char *help,
                     put_pool_f *put, struct buf *out)
{
    const struct snapshot *s = d->assembly->snapshot;

    admin_metrics_begin(out, name, type, help);
    for (uint32_t i = 0; i < s->pool_count; i++) {
        struct sql_totals totals;

        if (s->pools[i]->kind != POOL_SQL)
            continue;
        sql_counts_sum(s->pools[i]->name, "", &totals);
        put(out, name, s->pools[i], &totals);
    }
}

static void put_exchanges(struct buf *out, const char *name, const struct pool_settings *pool,
                          const struct sql_totals *totals)
{
    put_line(out, name, pool, "route", "primary", (double)totals->list[SQL_COUNT_ON_PRIMARY]);
    put_line(out, name, pool, "route", "replica", (double)totals->list[SQL_COUNT_ON_REPLICA]);
}

static void put_routed(struct buf *out, const char *name, const struct pool_settings *pool,
                       const struct sql_totals *totals)
{
    for (int i = 0; i < SQL_CAUSES; i++) {
        buf_format(out, "%s{pool=", name);
        admin_metrics_quoted(out, pool->name);
        buf_format(out, ",route=\"%s\",why=\"%s\"} %llu\n",
                   i == SQL_CAUSE_READ ? "replica" : "primary",
                   sql_counts_cause_word((enum sql_cause)i), (unsigned long long)totals->causes[i]);
    }
}

static void put_waits_each(struct buf *out, const char *name, const struct pool_settings *pool,
                           const uint64_t *list, double unit)
{
    for (int i = 0; i < SQL_COUNTS_WAITS; i++)
        put_line(out, name, pool, "for", sql_counts_wait_word((enum sql_counts_wait)i),
                 (double)list[i] / unit);
}

static void put_waiting(struct buf *out, const char *name, const struct pool_settings *pool,
                        const struct sql_totals *totals)
{
    put_waits_each(out, name, pool, totals->waiting, 1);
}

static void put_wait_counts(struct buf *out, const char *name, const struct pool_settings *pool,
                            const struct sql_totals *totals)
{
    put_waits_each(out, name, pool, totals->waits, 1);
}

static void put_wait_times(struct buf *out, const char *name, const struct pool_settings *pool,
                           const struct sql_totals *totals)
{
    put_waits_each(out, name, pool, totals->wait_us, 1e6);
}

static void put_pins_each(struct buf *out, const char *name, const struct pool_settings *pool,
                          const uint64_t *list)
{
    for (unsigned i = 0; sql_counts_pin_label(i) != NULL; i++)
        put_line(out, name, pool, "pin", sql_counts_pin_label(i), (double)list[i]);
}

static void put_pinned(struct buf *out, const char *name, const struct pool_settings *pool,
                       const struct sql_totals *totals)
{
    put_pins_each(out, name, pool, totals->pinned);
}

static void put_pin_counts(struct buf *out, const char *name, const struct pool_settings *pool,
                           const struct sql_totals *totals)
{
    put_pins_each(out, name, pool, totals->pins);
}

/* Those of the table that have names of their own. */
static void put_counts(const struct daemon *d, struct buf *out)
{
    const struct snapshot *s = d->assembly->snapshot;

    for (int i = 0; i < SQL_COUNTS; i++) {
        const struct sql_count_kind *kind = &sql_counts_kinds[i];
        char name[96];

        if (kind->name[0] == '\0' || kind->of_endpoint)
            continue;
        snprintf(name, sizeof(name), "sheaf_sql_%s%s", kind->name, kind->rises ? "_total" : "");
        admin_metrics_begin(out, name, kind->rises ? "counter" : "gauge", kind->text);
        for (uint32_t k = 0; k < s->pool_count; k++) {
            struct sql_totals totals;

            if (s->pools[k]->kind != POOL_SQL)
                continue;
            sql_counts_sum(s->pools[k]->name, "", &totals);
            put_line(out, name, s->pools[k], NULL, NULL, (double)totals.list[i]);
        }
    }
}

static void put_endpoint_line(struct buf *out, const char *name, const struct endpoint_settings *e,
                              const char *state, uint64_t value)
{
    buf_format(out, "%s{pool=", name);
    admin_metrics_quoted(out, e->pool->name);
    buf_format(out, ",role=\"%s\",endpoint=", endpoint_role_name(e->role));
    admin_metrics_quoted(out, e->name);
    if (state != NULL)
        buf_format(out, ",state=\"%s\"", state);
    buf_format(out, "} %llu\n", (unsigned long long)value);
}

static void put_connections(const struct daemon *d, struct buf *out)
{
    static const char NAME[] = "sheaf_sql_server_connections";
    const struct snapshot *s = d->assembly->snapshot;

    admin_metrics_begin(out, NAME, "gauge",
                        "Connections to the server by what they do; own: on which Sheaf asks for "
                        "its position, and replication's.");
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        const struct endpoint_settings *e = &s->endpoints[i];
        struct servers n;

        if (e->pool->kind != POOL_SQL)
            continue;
        n = servers_of(d, e);
        put_endpoint_line(out, NAME, e, "active", n.active);
        put_endpoint_line(out, NAME, e, "idle", n.idle);
        put_endpoint_line(out, NAME, e, "starting", n.starting);
        put_endpoint_line(out, NAME, e, "own", n.own);
    }
}

static void put_samples(const struct daemon *d, struct buf *out)
{
    static const char NAME[] = "sheaf_sql_position_samples_total";
    const struct snapshot *s = d->assembly->snapshot;

    admin_metrics_begin(out, NAME, "counter", sql_counts_kinds[SQL_COUNT_SAMPLES].text);
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        struct sql_totals totals;

        if (s->endpoints[i].pool->kind != POOL_SQL)
            continue;
        sql_counts_sum(s->endpoints[i].pool->name, s->endpoints[i].name, &totals);
        put_endpoint_line(out, NAME, &s->endpoints[i], NULL, totals.list[SQL_COUNT_SAMPLES]);
    }
}

static bool has_sql(const struct snapshot *s)
{
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (s->pools[i]->kind == POOL_SQL)
            return true;
    return false;
}

void admin_sql_metrics(const struct daemon *d, struct buf *out)
{
    if (!has_sql(d->assembly->snapshot))
        return;
    put_each(d, "sheaf_sql_exchanges_total", "counter",
             "Exchanges (a query, or messages up to Sync) that were answered, by who answered.",
             put_exchanges, out);
    put_each(d, "sheaf_sql_routed_total", "counter",
             "Exchanges, and transactions, for which a server was chosen, by why it was that one.",
             put_routed, out);
    put_each(d, "sheaf_sql_clients_waiting", "gauge", "Sessions that wait, by what for.",
             put_waiting, out);
    put_each(d, "sheaf_sql_waits_total", "counter", "Waits of sessions, by what for.",
             put_wait_counts, out);
    put_each(d, "sheaf_sql_wait_seconds_total", "counter", "Time that sessions waited.",
             put_wait_times, out);
    put_each(d, "sheaf_sql_pinned", "gauge",
             "Sessions that keep their server connection, by what pins them.", put_pinned, out);
    put_each(d, "sheaf_sql_pins_total", "counter", "How often sessions were pinned, by what.",
             put_pin_counts, out);
    put_counts(d, out);
    put_connections(d, out);
    put_samples(d, out);
}
