/* See blob_counts.h.  The lock guards the lists; each number has one writer.  Sets and rows appear
 * whole, by one store of a pointer or of a count, and never go. */
#include "proxy/blob/blob_counts.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#include "proxy/base/mem.h"

/* By enum err; in the place of ERR_NONE those whose client left. */
static const char *const FAILURES[] = {
    "abandoned",
#define ERR(name, may_retry, text) #name,
#include "proxy/base/err.def"
#undef ERR
};
enum { FAILURE_COUNT = sizeof(FAILURES) / sizeof(FAILURES[0]) };
static_assert(FAILURE_COUNT <= (int)BLOB_COUNTS_ERRS, "a failure has no counter");

struct blob_counts_row {
    uint32_t workers;
    struct blob_counts parts[]; /* by worker */
};

struct blob_counts_pool {
    struct blob_counts_pool *next; /* of all */
    char *name;
    atomic_uint count;
    struct blob_counts_set *buckets[BLOB_COUNTS_BUCKETS]; /* as many are there for ever */
    struct blob_counts_set *none, *other;
};

static struct {
    pthread_mutex_t lock;
    struct blob_counts_set *sets; /* lock, as the next; the newest first */
    struct blob_counts_pool *pools;
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- sets; with the lock held ---- */

static struct blob_counts_set *set_new(const char *pool, const char *endpoint, uint32_t shard)
{
    struct blob_counts_set *set = mem_new(sizeof(*set));

    set->pool = mem_text(pool);
    set->endpoint = endpoint == NULL ? NULL : mem_text(endpoint);
    set->shard = shard;
    set->next = shared.sets;
    shared.sets = set;
    return set;
}

static struct blob_counts_set *set_of_bucket(const char *pool, struct slice bucket)
{
    struct blob_counts_set *set = set_new(pool, NULL, 0);

    set->bucket = mem_text_of(bucket.at, bucket.len);
    return set;
}

struct blob_counts_pool *blob_counts_pool(const char *name)
{
    struct blob_counts_pool *pool;

    pthread_mutex_lock(&shared.lock);
    for (pool = shared.pools; pool != NULL; pool = pool->next)
        if (strcmp(pool->name, name) == 0)
            break;
    if (pool == NULL) {
        pool = mem_new(sizeof(*pool));
        pool->name = mem_text(name);
        pool->other = set_of_bucket(name, slice_text(BLOB_COUNTS_OTHER));
        pool->none = set_of_bucket(name, slice_text(""));
        pool->next = shared.pools;
        shared.pools = pool;
    }
    pthread_mutex_unlock(&shared.lock);
    return pool;
}

static struct blob_counts_set *find(struct blob_counts_pool *pool, struct slice bucket)
{
    unsigned count = atomic_load_explicit(&pool->count, memory_order_acquire);

    for (unsigned i = 0; i < count; i++)
        if (slice_is_text(bucket, pool->buckets[i]->bucket))
            return pool->buckets[i];
    return NULL;
}

static struct blob_counts_set *add_bucket(struct blob_counts_pool *pool, struct slice bucket)
{
    struct blob_counts_set *set;
    unsigned count;

    pthread_mutex_lock(&shared.lock);
    set = find(pool, bucket); /* another worker may have met it */
    count = atomic_load_explicit(&pool->count, memory_order_relaxed);
    if (set == NULL && count < BLOB_COUNTS_BUCKETS) {
        set = set_of_bucket(pool->name, bucket);
        pool->buckets[count] = set;
        atomic_store_explicit(&pool->count, count + 1, memory_order_release);
    }
    pthread_mutex_unlock(&shared.lock);
    return set == NULL ? pool->other : set;
}

struct blob_counts_set *blob_counts_bucket(struct blob_counts_pool *pool, struct slice bucket,
                                           bool is_good)
{
    struct blob_counts_set *set;

    if (bucket.len == 0)
        return pool->none;
    set = find(pool, bucket);
    if (set != NULL)
        return set;
    if (!is_good || atomic_load_explicit(&pool->count, memory_order_relaxed) == BLOB_COUNTS_BUCKETS)
        return pool->other;
    return add_bucket(pool, bucket);
}

static bool is_of_shard(const struct blob_counts_set *set, const char *pool, const char *endpoint,
                        uint32_t shard)
{
    return set->endpoint != NULL && set->shard == shard && strcmp(set->pool, pool) == 0 &&
           strcmp(set->endpoint, endpoint) == 0;
}

struct blob_counts_set *blob_counts_shard(const char *pool, const char *endpoint, uint32_t shard)
{
    struct blob_counts_set *set;

    pthread_mutex_lock(&shared.lock);
    for (set = shared.sets; set != NULL; set = set->next)
        if (is_of_shard(set, pool, endpoint, shard))
            break;
    if (set == NULL)
        set = set_new(pool, endpoint, shard);
    pthread_mutex_unlock(&shared.lock);
    return set;
}

/* ---- counting ---- */

static struct blob_counts_row *row_new(struct blob_counts_set *set, enum s3_op op, uint32_t workers)
{
    struct blob_counts_row *row;

    pthread_mutex_lock(&shared.lock);
    row = atomic_load_explicit(&set->by_op[op], memory_order_relaxed);
    if (row == NULL) {
        row = mem_new(sizeof(*row) + workers * sizeof(struct blob_counts));
        row->workers = workers;
        atomic_store_explicit(&set->by_op[op], row, memory_order_release);
    }
    pthread_mutex_unlock(&shared.lock);
    return row;
}

static unsigned edge_of(uint64_t us)
{
    unsigned i = us > metric_edges_us[METRIC_EDGES / 2] ? METRIC_EDGES / 2 : 0;

    while (i < METRIC_EDGES && us > metric_edges_us[i])
        i++;
    return i;
}

void blob_counts_add(struct blob_counts_set *set, enum s3_op op, uint32_t worker, uint32_t workers,
                     const struct blob_counts_event *event)
{
    struct blob_counts_row *row = atomic_load_explicit(&set->by_op[op], memory_order_acquire);
    struct blob_counts *counts;

    if (row == NULL)
        row = row_new(set, op, workers);
    assert(worker < row->workers);
    counts = &row->parts[worker];
    counter_add(&counts->requests, 1);
    counter_add(&counts->bytes_in, event->bytes_in);
    counter_add(&counts->bytes_out, event->bytes_out);
    counter_add(&counts->us, event->took_us);
    counter_add(&counts->times[edge_of(event->took_us)], 1);
    if (event->failed != ERR_NONE || event->is_abandoned)
        counter_add(&counts->failures[event->failed], 1);
    else if (event->error != S3_NONE)
        counter_add(&counts->errors[event->error], 1);
}

/* ---- reading ---- */

static const struct blob_counts_set *newest(void)
{
    const struct blob_counts_set *set;

    pthread_mutex_lock(&shared.lock);
    set = shared.sets;
    pthread_mutex_unlock(&shared.lock);
    return set;
}

void blob_counts_each_bucket(const char *pool,
                             void (*visit)(const struct blob_counts_set *set, void *arg), void *arg)
{
    for (const struct blob_counts_set *set = newest(); set != NULL; set = set->next)
        if (set->bucket != NULL && strcmp(set->pool, pool) == 0)
            visit(set, arg);
}

/* All of it is counters. */
void blob_counts_merge(struct blob_counts *into, const struct blob_counts *from)
{
    struct counter *sums = (struct counter *)into;
    const struct counter *more = (const struct counter *)from;

    static_assert(sizeof(*into) % sizeof(struct counter) == 0, "counters, and nothing else");
    for (size_t i = 0; i < sizeof(*into) / sizeof(struct counter); i++)
        counter_add(&sums[i], counter_get(&more[i]));
}

bool blob_counts_sum(const struct blob_counts_set *set, enum s3_op op, struct blob_counts *into)
{
    const struct blob_counts_row *row = atomic_load_explicit(&set->by_op[op], memory_order_acquire);

    for (uint32_t i = 0; row != NULL && i < row->workers; i++)
        blob_counts_merge(into, &row->parts[i]);
    return row != NULL;
}

uint64_t blob_counts_count(const struct blob_counts *counts)
{
    uint64_t count = 0;

    for (int i = 0; i < S3_ERRORS; i++)
        count += counter_get(&counts->errors[i]);
    for (int i = 0; i < BLOB_COUNTS_ERRS; i++)
        count += counter_get(&counts->failures[i]);
    return count;
}

uint64_t blob_counts_percentile(const struct blob_counts *counts, double fraction)
{
    uint64_t all = 0, seen = 0;

    for (int i = 0; i <= METRIC_EDGES; i++)
        all += counter_get(&counts->times[i]);
    for (int i = 0; i < METRIC_EDGES; i++) {
        seen += counter_get(&counts->times[i]);
        if (seen > 0 && (double)seen >= fraction * (double)all)
            return metric_edges_us[i];
    }
    return all == 0 ? 0 : UINT32_MAX;
}

const char *blob_counts_failure_word(unsigned place)
{
    return place < FAILURE_COUNT ? FAILURES[place] : NULL;
}

/* ---- what an answer says ---- */

enum s3_error blob_counts_error_of(uint16_t status, bool of_object)
{
    static const struct {
        uint16_t status;
        enum s3_error error;
    } MEANT[] = {
        { 301, S3_PERMANENT_REDIRECT },     { 307, S3_TEMPORARY_REDIRECT },
        { 401, S3_ACCESS_DENIED },          { 403, S3_ACCESS_DENIED },
        { 405, S3_METHOD_NOT_ALLOWED },     { 409, S3_OPERATION_ABORTED },
        { 411, S3_MISSING_CONTENT_LENGTH }, { 412, S3_PRECONDITION_FAILED },
        { 416, S3_INVALID_RANGE },          { 501, S3_NOT_IMPLEMENTED },
        { 503, S3_SERVICE_UNAVAILABLE },
    };

    if (status < 300)
        return S3_NONE;
    for (size_t i = 0; i < sizeof(MEANT) / sizeof(MEANT[0]); i++)
        if (MEANT[i].status == status)
            return MEANT[i].error;
    if (status == 404)
        return of_object ? S3_NO_SUCH_KEY : S3_NO_SUCH_BUCKET;
    if (status < 400)
        return S3_NONE;
    return status < 500 ? S3_BAD_REQUEST : S3_INTERNAL_ERROR;
}

enum s3_error blob_counts_error_in(struct slice body)
{
    static const char BEGIN[] = "<Code>";
    const uint8_t *at = body.len == 0 ? NULL : memmem(body.at, body.len, BEGIN, sizeof(BEGIN) - 1);
    struct slice code;
    const uint8_t *end;

    if (at == NULL)
        return S3_NONE;
    code = slice_from(body, (size_t)(at - body.at) + sizeof(BEGIN) - 1);
    end = code.len == 0 ? NULL : memchr(code.at, '<', code.len);
    return end == NULL ? S3_NONE : s3_error_of_code(slice_of(code.at, (size_t)(end - code.at)));
}
