#include "proxy/base/metric.h"

#include <stdlib.h>

#include "tests/unit/check.h"

static void buckets_follow_each_other_without_gap(void)
{
    uint64_t next = 0;

    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        uint64_t top = histogram_bucket_top(i);

        CHECK(top >= next);
        CHECK_INT(histogram_bucket_of(next), i);
        CHECK_INT(histogram_bucket_of(top), i);
        CHECK(next < 64 ? top == next : (double)(top - next) / (double)next < 1.0 / 32);
        next = top + 1;
    }
    CHECK_INT(next, UINT64_C(1) << 32);
    CHECK_INT(histogram_bucket_of(UINT64_MAX), HISTOGRAM_BUCKETS - 1);
}

static void percentiles_are_the_values_or_a_little_more(void)
{
    struct histogram *h = calloc(1, sizeof(*h));

    CHECK_INT(histogram_percentile(h, 0.5), 0);
    for (uint64_t us = 1; us <= 10000; us++)
        histogram_add(h, us);
    CHECK_INT(counter_get(&h->count), 10000);
    CHECK_INT(counter_get(&h->sum), 50005000);
    CHECK_INT(counter_get(&h->max), 10000);
    CHECK_INT(histogram_percentile(h, 0), 1);
    CHECK_INT(histogram_percentile(h, 0.0040), 40);
    CHECK(histogram_percentile(h, 0.5) >= 5000 && histogram_percentile(h, 0.5) <= 5157);
    CHECK(histogram_percentile(h, 0.99) >= 9900 && histogram_percentile(h, 0.99) <= 10000);
    CHECK_INT(histogram_percentile(h, 1), 10000);
    free(h);
}

static void a_single_value_is_every_percentile(void)
{
    struct histogram *h = calloc(1, sizeof(*h));

    histogram_add(h, 12345);
    CHECK_INT(histogram_percentile(h, 0.001), 12345);
    CHECK_INT(histogram_percentile(h, 1), 12345);
    free(h);
}

static void merging_adds_and_since_takes_away(void)
{
    struct histogram *one = calloc(1, sizeof(*one)), *two = calloc(1, sizeof(*two)),
                     *before = calloc(1, sizeof(*before)), *now = calloc(1, sizeof(*now));

    histogram_add(one, 10);
    histogram_add(two, 2000);
    histogram_merge(before, one);
    histogram_merge(before, two);
    CHECK_INT(counter_get(&before->count), 2);
    CHECK_INT(counter_get(&before->sum), 2010);
    CHECK_INT(counter_get(&before->max), 2000);
    histogram_add(one, 20);
    histogram_add(one, 30);
    histogram_merge(now, one);
    histogram_merge(now, two);
    histogram_since(now, before);
    CHECK_INT(counter_get(&now->count), 2);
    CHECK_INT(counter_get(&now->sum), 50);
    CHECK_INT(histogram_percentile(now, 0.5), 20);
    CHECK_INT(histogram_percentile(now, 1), 30);
    free(one);
    free(two);
    free(before);
    free(now);
}

static void values_up_to_a_limit_are_counted(void)
{
    struct histogram *h = calloc(1, sizeof(*h));

    histogram_add(h, 5);
    histogram_add(h, 63);
    histogram_add(h, 1000000);
    CHECK_INT(histogram_count_to(h, 4), 0);
    CHECK_INT(histogram_count_to(h, 5), 1);
    CHECK_INT(histogram_count_to(h, 63), 2);
    CHECK_INT(histogram_count_to(h, 900000), 2);
    CHECK_INT(histogram_count_to(h, UINT32_MAX), 3);
    free(h);
}

int main(void)
{
    RUN(buckets_follow_each_other_without_gap);
    RUN(percentiles_are_the_values_or_a_little_more);
    RUN(a_single_value_is_every_percentile);
    RUN(merging_adds_and_since_takes_away);
    RUN(values_up_to_a_limit_are_counted);
    return check_report();
}
