/* See admin_blob.h.  Names are for ever, as in admin_status.c and admin_metrics.c. */
#include "proxy/admin_blob.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/admin_metrics.h"
#include "proxy/base/mem.h"
#include "proxy/blob/blob_counts.h"
#include "proxy/daemon.h"

static void put_number(cJSON *object, const char *name, double value)
{
    cJSON_AddNumberToObject(object, name, value);
}

/* "NoSuchKey"; of what was not answered "timeout". */
static const char *failure_word(unsigned place, char word[24])
{
    const char *name = blob_counts_failure_word(place);
    size_t len = 0;

    for (; name != NULL && name[len] != '\0' && len < 23; len++)
        word[len] = (char)tolower((unsigned char)name[len]);
    word[len] = '\0';
    return name == NULL ? NULL : word;
}

/* Calls for each code that was met. */
static void each_error(const struct blob_counts *counts,
                       void (*visit)(const char *code, uint64_t count, void *arg), void *arg)
{
    char word[24];

    for (unsigned i = S3_NONE + 1; i < S3_ERRORS; i++)
        if (counter_get(&counts->errors[i]) > 0)
            visit(s3_error_code((enum s3_error)i), counter_get(&counts->errors[i]), arg);
    for (unsigned i = 0; failure_word(i, word) != NULL; i++)
        if (counter_get(&counts->failures[i]) > 0)
            visit(word, counter_get(&counts->failures[i]), arg);
}

/* ---- status ---- */

static void put_counts(cJSON *json, const struct blob_counts *counts)
{
    double requests = (double)counter_get(&counts->requests);

    put_number(json, "requests", requests);
    put_number(json, "errors", (double)blob_counts_count(counts));
    put_number(json, "received_bytes", (double)counter_get(&counts->bytes_in));
    put_number(json, "sent_bytes", (double)counter_get(&counts->bytes_out));
    put_number(json, "mean_us", requests == 0 ? 0 : (double)counter_get(&counts->us) / requests);
    put_number(json, "p99_us", (double)blob_counts_percentile(counts, 0.99));
}

static void put_error(const char *code, uint64_t count, void *arg)
{
    put_number(arg, code, (double)count);
}

/* Of several sets: by operation, and all together. */
struct sums {
    struct blob_counts by_op[S3_OPS], all;
    cJSON *buckets;
};

static void put_sums(cJSON *json, const struct sums *sums)
{
    cJSON *operations = cJSON_AddObjectToObject(json, "operations");

    for (int op = 0; op < S3_OPS; op++)
        if (counter_get(&sums->by_op[op].requests) > 0)
            put_counts(cJSON_AddObjectToObject(operations, s3_op_traits((enum s3_op)op)->words),
                       &sums->by_op[op]);
    each_error(&sums->all, put_error, cJSON_AddObjectToObject(json, "errors"));
}

static void add_set(const struct blob_counts_set *set, struct sums *sums, struct blob_counts *all)
{
    for (int op = 0; op < S3_OPS; op++) {
        struct blob_counts one = { 0 };

        if (!blob_counts_sum(set, (enum s3_op)op, &one))
            continue;
        blob_counts_merge(&sums->by_op[op], &one);
        blob_counts_merge(&sums->all, &one);
        blob_counts_merge(all, &one);
    }
}

static void add_bucket(const struct blob_counts_set *set, void *arg)
{
    struct sums *sums = arg;
    struct blob_counts all = { 0 };
    cJSON *json;

    add_set(set, sums, &all);
    if (counter_get(&all.requests) == 0)
        return;
    json = cJSON_CreateObject();
    cJSON_AddStringToObject(json, "name", set->bucket);
    put_counts(json, &all);
    cJSON_AddItemToArray(sums->buckets, json);
}

void admin_blob_put_pool(cJSON *pool_json, const struct blob_pool *pool)
{
    struct sums *sums = mem_new(sizeof(*sums));

    sums->buckets = cJSON_AddArrayToObject(pool_json, "buckets");
    blob_counts_each_bucket(pool->base.name, add_bucket, sums);
    put_sums(pool_json, sums);
    free(sums);
}

void admin_blob_put_shard(cJSON *shard_json, const struct endpoint_settings *shard)
{
    struct sums *sums = mem_new(sizeof(*sums));
    struct blob_counts all = { 0 };

    add_set(blob_counts_shard(shard->pool->name, shard->name, shard->shard), sums, &all);
    put_sums(shard_json, sums);
    free(sums);
}

/* ---- metrics ---- */

/* What one operation was for one bucket, or at one shard. */
struct series {
    struct buf labels; /* pool="...",...,operation="..." */
    struct blob_counts counts;
};

struct all_series {
    struct series *list; /* owned */
    size_t count;
    const struct endpoint_settings *shard; /* NULL: of buckets */
};

static void put_labels(struct buf *out, const struct blob_counts_set *set,
                       const struct endpoint_settings *shard, enum s3_op op)
{
    buf_text(out, "pool=");
    admin_metrics_quoted(out, set->pool);
    if (shard != NULL) {
        buf_format(out, ",shard=\"%u\",endpoint=", shard->shard);
        admin_metrics_quoted(out, shard->name);
    } else {
        buf_text(out, ",bucket=");
        admin_metrics_quoted(out, set->bucket);
    }
    buf_format(out, ",operation=\"%s\"", s3_op_traits(op)->words);
}

static void add_series(const struct blob_counts_set *set, void *arg)
{
    struct all_series *all = arg;

    for (int op = 0; op < S3_OPS; op++) {
        struct series one = { 0 };

        if (!blob_counts_sum(set, (enum s3_op)op, &one.counts))
            continue;
        put_labels(&one.labels, set, all->shard, (enum s3_op)op);
        all->list = mem_resize(all->list, (all->count + 1) * sizeof(one));
        all->list[all->count++] = one;
    }
}

static void gather(const struct daemon *d, bool of_shards, struct all_series *all)
{
    const struct snapshot *s = d->assembly->snapshot;

    for (uint32_t i = 0; i < s->pool_count; i++) {
        const struct pool_settings *pool = s->pools[i];

        if (pool->kind != POOL_BLOB)
            continue;
        if (!of_shards)
            blob_counts_each_bucket(pool->name, add_series, all);
        for (uint32_t k = 0; of_shards && k < pool->endpoint_count; k++) {
            all->shard = pool->endpoints[k];
            add_series(blob_counts_shard(pool->name, all->shard->name, all->shard->shard), all);
        }
    }
}

static void put_counter(struct buf *out, const char *stem, const char *name, const char *help,
                        const struct all_series *all, size_t offset)
{
    char full[96];

    snprintf(full, sizeof(full), "%s_%s_total", stem, name);
    admin_metrics_begin(out, full, "counter", help);
    for (size_t i = 0; i < all->count; i++) {
        const struct counter *counter =
            (const struct counter *)((const char *)&all->list[i].counts + offset);

        buf_format(out, "%s{%.*s} %llu\n", full, (int)all->list[i].labels.len,
                   (const char *)all->list[i].labels.at, (unsigned long long)counter_get(counter));
    }
}

struct error_line {
    struct buf *out;
    const char *name;
    const struct buf *labels;
};

static void put_error_line(const char *code, uint64_t count, void *arg)
{
    const struct error_line *line = arg;

    buf_format(line->out, "%s{%.*s,code=\"%s\"} %llu\n", line->name, (int)line->labels->len,
               (const char *)line->labels->at, code, (unsigned long long)count);
}

static void put_errors(struct buf *out, const char *stem, const char *help,
                       const struct all_series *all)
{
    char name[96];

    snprintf(name, sizeof(name), "%s_errors_total", stem);
    admin_metrics_begin(out, name, "counter", help);
    for (size_t i = 0; i < all->count; i++) {
        struct error_line line = { out, name, &all->list[i].labels };

        each_error(&all->list[i].counts, put_error_line, &line);
    }
}

static void put_histogram(struct buf *out, const char *name, const struct series *one)
{
    const char *labels = (const char *)one->labels.at;
    int len = (int)one->labels.len;
    uint64_t count = 0;

    for (int i = 0; i <= METRIC_EDGES; i++) {
        count += counter_get(&one->counts.times[i]);
        if (i < METRIC_EDGES)
            buf_format(out, "%s_bucket{%.*s,le=\"%.6g\"} %llu\n", name, len, labels,
                       metric_edges_us[i] / 1e6, (unsigned long long)count);
        else
            buf_format(out, "%s_bucket{%.*s,le=\"+Inf\"} %llu\n", name, len, labels,
                       (unsigned long long)count);
    }
    buf_format(out, "%s_sum{%.*s} %.9g\n", name, len, labels,
               (double)counter_get(&one->counts.us) / 1e6);
    buf_format(out, "%s_count{%.*s} %llu\n", name, len, labels, (unsigned long long)count);
}

static void put_family(const struct daemon *d, bool of_shards, struct buf *out)
{
    const char *stem = of_shards ? "sheaf_blob_shard" : "sheaf_blob";
    struct all_series all = { 0 };
    char name[96];

    gather(d, of_shards, &all);
    put_counter(out, stem, "requests",
                of_shards ? "Requests to the shard, by operation."
                          : "Requests of clients, by bucket and operation.",
                &all, offsetof(struct blob_counts, requests));
    put_counter(out, stem, "received_bytes",
                of_shards ? "Bytes of bodies that the shard sent."
                          : "Bytes of bodies that clients sent.",
                &all, offsetof(struct blob_counts, bytes_in));
    put_counter(out, stem, "sent_bytes",
                of_shards ? "Bytes of bodies sent to the shard."
                          : "Bytes of bodies sent to clients.",
                &all, offsetof(struct blob_counts, bytes_out));
    put_errors(out, stem,
               of_shards ? "Answers of the shard that are errors, by S3's code; in small letters "
                           "why there was none."
                         : "Answers to clients that are errors, by S3's code; abandoned: the "
                           "client left before.",
               &all);
    snprintf(name, sizeof(name), "%s_latency_seconds", stem);
    admin_metrics_begin(out, name, "histogram",
                        of_shards ? "From sending a request to the end of its answer."
                                  : "From a request's head to the last byte of its answer queued.");
    for (size_t i = 0; i < all.count; i++)
        put_histogram(out, name, &all.list[i]);
    for (size_t i = 0; i < all.count; i++)
        buf_fini(&all.list[i].labels);
    free(all.list);
}

void admin_blob_metrics(const struct daemon *d, struct buf *out)
{
    const struct snapshot *s = d->assembly->snapshot;
    bool is_wanted = false;

    for (uint32_t i = 0; i < s->pool_count; i++)
        is_wanted |= s->pools[i]->kind == POOL_BLOB;
    if (!is_wanted)
        return;
    put_family(d, false, out);
    put_family(d, true, out);
}
