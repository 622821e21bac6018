/* Workers' rows, counted up by hand, and what is told of them second by second. */
#include "proxy/steward_samples.h"

#include <stdlib.h>

#include "tests/unit/check.h"

#define SECOND ((uint64_t)1000000)

static struct histogram histogram;

static void rates_are_those_of_the_last_seconds_over_all_workers(void)
{
    struct samples *s = samples_new();
    struct stats_row *one = stats_row_of("rates", "", 0, 0), *two = stats_row_of("rates", "", 0, 1);
    const struct samples_row *row;
    uint64_t now = 100 * SECOND;

    samples_take(s, now);
    row = samples_find(s, "rates", "", 0);
    CHECK(row != NULL);
    CHECK(samples_rate(s, row, SAMPLE_requests) == 0); /* of one sample there is no rate */
    for (int i = 0; i < 3; i++) {
        counter_add(&one->requests, 10);
        counter_add(&two->requests, 20);
        samples_take(s, now += SECOND);
    }
    CHECK(samples_rate(s, row, SAMPLE_requests) == 30);
    CHECK_INT(samples_total(row, SAMPLE_requests), 90);
    for (int i = 0; i < SAMPLES_RATE_SECONDS; i++)
        samples_take(s, now += SECOND);
    CHECK(samples_rate(s, row, SAMPLE_requests) == 0);
    CHECK(samples_rate(s, NULL, SAMPLE_requests) == 0);
    samples_free(&s);
    CHECK(s == NULL);
}

static void a_late_sample_does_not_make_a_rate_larger(void)
{
    struct samples *s = samples_new();
    struct stats_row *stats = stats_row_of("late", "h:1", 3, 0);

    samples_take(s, SECOND);
    counter_add(&stats->bytes_in, 1000);
    samples_take(s, 3 * SECOND);
    CHECK(samples_rate(s, samples_find(s, "late", "h:1", 3), SAMPLE_bytes_in) == 500);
    CHECK(samples_find(s, "late", "h:1", 2) == NULL && samples_find(s, "late", "", 3) == NULL);
    samples_free(&s);
}

static void a_history_has_the_last_minute_with_the_oldest_first(void)
{
    struct samples *s = samples_new();
    struct stats_row *stats = stats_row_of("history", "", 0, 0);
    uint32_t history[SAMPLES_HISTORY_SECONDS];
    uint64_t now = SECOND;

    samples_take(s, now);
    for (unsigned i = 1; i <= 100; i++) {
        counter_add(&stats->requests, i);
        samples_take(s, now += SECOND);
        if (i == 2) {
            samples_history(s, samples_find(s, "history", "", 0), SAMPLE_requests, history);
            CHECK_INT(history[SAMPLES_HISTORY_SECONDS - 1], 2);
            CHECK_INT(history[SAMPLES_HISTORY_SECONDS - 2], 1);
            CHECK_INT(history[0], 0);
        }
    }
    samples_history(s, samples_find(s, "history", "", 0), SAMPLE_requests, history);
    for (unsigned i = 0; i < SAMPLES_HISTORY_SECONDS; i++)
        CHECK_INT(history[i], 41 + i);
    samples_history(s, NULL, SAMPLE_requests, history);
    CHECK_INT(history[30], 0);
    samples_free(&s);
}

static void rows_that_are_made_later_are_found(void)
{
    struct samples *s = samples_new();

    stats_row_of("later", "", 0, 0);
    samples_take(s, SECOND);
    CHECK(samples_find(s, "later", "h:1", 0) == NULL);
    counter_add(&stats_row_of("later", "h:1", 0, 0)->requests, 7);
    counter_add(&stats_row_of("later", "h:1", 0, 1)->requests, 5);
    samples_take(s, 2 * SECOND);
    counter_add(&stats_row_of("later", "h:1", 0, 2)->requests, 1);
    CHECK_INT(samples_total(samples_find(s, "later", "h:1", 0), SAMPLE_requests), 12);
    samples_take(s, 3 * SECOND);
    CHECK_INT(samples_total(samples_find(s, "later", "h:1", 0), SAMPLE_requests), 13);
    samples_free(&s);
}

static void recent_latencies_forget_those_of_more_than_ten_seconds_ago(void)
{
    struct samples *s = samples_new();
    struct stats_row *stats = stats_row_of("latency", "", 0, 0);
    const struct samples_row *row;
    uint64_t now = 50 * SECOND;

    samples_take(s, now);
    row = samples_find(s, "latency", "", 0);
    counter_add(&stats->requests, 1);
    histogram_add(&stats->latency_us, 100);
    for (int i = 0; i < 4; i++)
        samples_take(s, now += SECOND);
    samples_latency(row, true, &histogram);
    CHECK_INT(counter_get(&histogram.count), 1);
    for (int i = 0; i < 20; i++)
        samples_take(s, now += SECOND);
    counter_add(&stats->requests, 1);
    histogram_add(&stats->latency_us, 5000);
    samples_latency(row, true, &histogram);
    CHECK_INT(counter_get(&histogram.count), 1);
    CHECK_INT(histogram_percentile(&histogram, 0.5), 5000);
    samples_latency(row, false, &histogram);
    CHECK_INT(counter_get(&histogram.count), 2);
    samples_latency(NULL, true, &histogram);
    CHECK_INT(counter_get(&histogram.count), 0);
    samples_free(&s);
}

int main(void)
{
    RUN(rates_are_those_of_the_last_seconds_over_all_workers);
    RUN(a_late_sample_does_not_make_a_rate_larger);
    RUN(a_history_has_the_last_minute_with_the_oldest_first);
    RUN(rows_that_are_made_later_are_found);
    RUN(recent_latencies_forget_those_of_more_than_ten_seconds_ago);
    return check_report();
}
