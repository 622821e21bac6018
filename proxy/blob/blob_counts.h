/* What is counted of blob pools besides core/stats.h: requests by bucket and operation, calls by
 * shard and operation.  Each worker writes its own numbers, anyone may read them without a lock;
 * what was once counted stays for the life of the process.
 *
 *     set = blob_counts_shard("mail", "10.0.0.1:9000", 0);     or _bucket(pool, bucket, is_good)
 *     blob_counts_add(set, op, worker, workers, &event);
 *
 * Names of buckets are the clients': the first BLOB_COUNTS_BUCKETS of a pool that a request
 * succeeded with are told apart, all else is counted as BLOB_COUNTS_OTHER. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/metric.h"
#include "proxy/base/slice.h"
#include "proxy/blob/s3_operation.h"
#include "proxy/wire/s3_error.h"

enum {
    BLOB_COUNTS_BUCKETS = 64,
    BLOB_COUNTS_ERRS = 32, /* at least as many as there are in err.def */
};

#define BLOB_COUNTS_OTHER "(other)" /* no bucket can have that name */

/* Of one operation; of all workers, or of one. */
struct blob_counts {
    struct counter requests, bytes_in, bytes_out;
    struct counter errors[S3_ERRORS];          /* answers, by their code */
    struct counter failures[BLOB_COUNTS_ERRS]; /* those without an answer, by why; see below */
    struct counter us, times[METRIC_EDGES + 1];
};

struct blob_counts_row; /* one operation's, by worker */

struct blob_counts_set {
    struct blob_counts_set *next; /* of all */
    char *pool;                   /* owned, for ever, as the next */
    char *bucket;                 /* "" of requests that name none; NULL: it is a shard's */
    char *endpoint;               /* NULL: it is a bucket's */
    uint32_t shard;
    struct blob_counts_row *_Atomic by_op[S3_OPS]; /* NULL: nothing yet */
};

struct blob_counts_event {
    uint64_t bytes_in, bytes_out, took_us;
    enum s3_error error; /* S3_NONE: it was answered well */
    enum err failed;     /* ERR_NONE: it was answered, or: */
    bool is_abandoned;   /* its client left before */
};

/* The buckets of a pool. */
struct blob_counts_pool;

/* Any thread, as all here. */
struct blob_counts_pool *blob_counts_pool(const char *name);
/* `is_good`: a request for it succeeded, so that its name is worth a set. */
struct blob_counts_set *blob_counts_bucket(struct blob_counts_pool *pool, struct slice bucket,
                                           bool is_good);
struct blob_counts_set *blob_counts_shard(const char *pool, const char *endpoint, uint32_t shard);
/* Counts it once, by worker number `worker` of `workers`, whose thread this is. */
void blob_counts_add(struct blob_counts_set *set, enum s3_op op, uint32_t worker, uint32_t workers,
                     const struct blob_counts_event *event);

/* The sets of a pool's buckets, the newest first. */
void blob_counts_each_bucket(const char *pool,
                             void (*visit)(const struct blob_counts_set *set, void *arg),
                             void *arg);
/* Adds what all workers counted of this operation; false: nothing. */
bool blob_counts_sum(const struct blob_counts_set *set, enum s3_op op, struct blob_counts *into);
void blob_counts_merge(struct blob_counts *into, const struct blob_counts *from);
uint64_t blob_counts_count(const struct blob_counts *counts); /* of errors and failures */
/* An upper bound for that share of all times, in microseconds; 0: there are none. */
uint64_t blob_counts_percentile(const struct blob_counts *counts, double fraction);
/* "timeout", of the place in `failures`; "abandoned"; NULL: there is none. */
const char *blob_counts_failure_word(unsigned place);
/* What a store means by a status alone, of an answer that has no body to say it. */
enum s3_error blob_counts_error_of(uint16_t status, bool of_object);
/* The code within a document <Error>; S3_NONE: none that we know. */
enum s3_error blob_counts_error_in(struct slice body);
