#include "proxy/blob/blob_counts.h"

#include <stdio.h>

#include "tests/unit/check.h"

static const struct blob_counts_event GOOD = { .bytes_in = 3, .bytes_out = 5, .took_us = 700 };

static struct blob_counts sum_of(const struct blob_counts_set *set, enum s3_op op)
{
    struct blob_counts sum = { 0 };

    CHECK(blob_counts_sum(set, op, &sum));
    return sum;
}

static void workers_count_apart_and_are_told_together(void)
{
    struct blob_counts_set *set = blob_counts_shard("apart", "a:1", 0);
    struct blob_counts sum, none = { 0 };

    CHECK(blob_counts_shard("apart", "a:1", 0) == set);
    CHECK(blob_counts_shard("apart", "a:1", 1) != set);
    CHECK(blob_counts_shard("other pool", "a:1", 0) != set);
    CHECK(!blob_counts_sum(set, S3_OP_GET_OBJECT, &none));
    blob_counts_add(set, S3_OP_GET_OBJECT, 0, 2, &GOOD);
    blob_counts_add(set, S3_OP_GET_OBJECT, 1, 2, &GOOD);
    blob_counts_add(set, S3_OP_PUT_OBJECT, 1, 2, &GOOD);
    sum = sum_of(set, S3_OP_GET_OBJECT);
    CHECK_INT(counter_get(&sum.requests), 2);
    CHECK_INT(counter_get(&sum.bytes_in), 6);
    CHECK_INT(counter_get(&sum.bytes_out), 10);
    CHECK_INT(counter_get(&sum.us), 1400);
    CHECK_INT(blob_counts_count(&sum), 0);
}

static void errors_have_their_codes(void)
{
    struct blob_counts_set *set = blob_counts_shard("codes", "a:1", 0);
    struct blob_counts sum;

    blob_counts_add(set, S3_OP_GET_OBJECT, 0, 1,
                    &(struct blob_counts_event){ .error = S3_NO_SUCH_KEY });
    blob_counts_add(set, S3_OP_GET_OBJECT, 0, 1,
                    &(struct blob_counts_event){ .failed = ERR_TIMEOUT, .error = S3_SLOW_DOWN });
    blob_counts_add(set, S3_OP_GET_OBJECT, 0, 1,
                    &(struct blob_counts_event){ .is_abandoned = true });
    sum = sum_of(set, S3_OP_GET_OBJECT);
    CHECK_INT(counter_get(&sum.errors[S3_NO_SUCH_KEY]), 1);
    CHECK_INT(counter_get(&sum.errors[S3_SLOW_DOWN]), 0);
    CHECK_INT(counter_get(&sum.failures[ERR_TIMEOUT]), 1);
    CHECK_INT(counter_get(&sum.failures[ERR_NONE]), 1);
    CHECK_INT(blob_counts_count(&sum), 3);
    CHECK_TEXT(blob_counts_failure_word(ERR_NONE), "abandoned");
    CHECK_TEXT(blob_counts_failure_word(ERR_TIMEOUT), "TIMEOUT");
    CHECK(blob_counts_failure_word(BLOB_COUNTS_ERRS) == NULL);
}

static void percentiles_are_the_edge_above(void)
{
    struct blob_counts_set *set = blob_counts_shard("times", "a:1", 0);
    struct blob_counts sum = { 0 };

    CHECK_INT(blob_counts_percentile(&sum, 0.99), 0);
    for (int i = 0; i < 98; i++)
        blob_counts_add(set, S3_OP_GET_OBJECT, 0, 1, &(struct blob_counts_event){ .took_us = 60 });
    blob_counts_add(set, S3_OP_GET_OBJECT, 0, 1, &(struct blob_counts_event){ .took_us = 3000 });
    blob_counts_add(set, S3_OP_GET_OBJECT, 0, 1, &(struct blob_counts_event){ .took_us = 1 << 30 });
    sum = sum_of(set, S3_OP_GET_OBJECT);
    CHECK_INT(blob_counts_percentile(&sum, 0.5), 100);
    CHECK_INT(blob_counts_percentile(&sum, 0.99), 5000);
    CHECK_INT(blob_counts_percentile(&sum, 1), UINT32_MAX);
}

static unsigned seen;

static void see(const struct blob_counts_set *set, void *arg)
{
    (void)set;
    (void)arg;
    seen++;
}

static void strangers_cannot_make_names_without_end(void)
{
    struct blob_counts_pool *pool = blob_counts_pool("names");
    struct blob_counts_set *other = blob_counts_bucket(pool, slice_text("evil"), false);
    struct blob_counts_set *first;
    char name[16];

    CHECK(blob_counts_pool("names") == pool);
    CHECK_TEXT(other->bucket, BLOB_COUNTS_OTHER);
    CHECK_TEXT(blob_counts_bucket(pool, slice_text(""), true)->bucket, "");
    first = blob_counts_bucket(pool, slice_text("b0"), true);
    CHECK_TEXT(first->bucket, "b0");
    CHECK(blob_counts_bucket(pool, slice_text("b0"), false) == first);
    for (int i = 1; i < 2 * BLOB_COUNTS_BUCKETS; i++) {
        snprintf(name, sizeof(name), "b%d", i);
        CHECK((blob_counts_bucket(pool, slice_text(name), true) == other) ==
              (i >= BLOB_COUNTS_BUCKETS));
    }
    CHECK(blob_counts_bucket(pool, slice_text("b0"), true) == first);
    blob_counts_each_bucket("names", see, NULL);
    CHECK_INT(seen, BLOB_COUNTS_BUCKETS + 2);
}

static void an_answers_code_is_found_or_guessed(void)
{
    CHECK_INT(blob_counts_error_in(slice_text("<Error><Code>NoSuchUpload</Code></Error>")),
              S3_NO_SUCH_UPLOAD);
    CHECK_INT(blob_counts_error_in(slice_text("<Error><Code>Strange</Code></Error>")), S3_NONE);
    CHECK_INT(blob_counts_error_in(slice_text("<Error><Code>NoSuchUp")), S3_NONE);
    CHECK_INT(blob_counts_error_in(slice_text("<Code>")), S3_NONE);
    CHECK_INT(blob_counts_error_in(slice_text("")), S3_NONE);
    CHECK_INT(blob_counts_error_of(200, true), S3_NONE);
    CHECK_INT(blob_counts_error_of(304, true), S3_NONE);
    CHECK_INT(blob_counts_error_of(404, true), S3_NO_SUCH_KEY);
    CHECK_INT(blob_counts_error_of(404, false), S3_NO_SUCH_BUCKET);
    CHECK_INT(blob_counts_error_of(412, true), S3_PRECONDITION_FAILED);
    CHECK_INT(blob_counts_error_of(418, true), S3_BAD_REQUEST);
    CHECK_INT(blob_counts_error_of(599, true), S3_INTERNAL_ERROR);
}

int main(void)
{
    RUN(workers_count_apart_and_are_told_together);
    RUN(errors_have_their_codes);
    RUN(percentiles_are_the_edge_above);
    RUN(strangers_cannot_make_names_without_end);
    RUN(an_answers_code_is_found_or_guessed);
    return check_report();
}
