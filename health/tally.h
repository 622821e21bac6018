/* What a worker's requests met at each endpoint: counters written by that worker, read by the
 * steward, which takes the difference since its last look and hands it to the judges. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "health/judge.h"
#include "proxy/base/metric.h"

/* Counted since the sheet was made, never reset. */
struct tally {
    struct counter successes;
    struct counter latency_us_sum; /* of the successes */
    struct counter failures[HEALTH_REASONS];
};

struct tally_sheet {
    size_t count;
    struct tally endpoint[];
};

/* Sums as the steward last saw them; zero to begin with. */
struct tally_seen {
    uint64_t successes, latency_us_sum;
    uint64_t failures[HEALTH_REASONS];
};

struct tally_sheet *tally_new(size_t endpoints);
void tally_free(struct tally_sheet **sheet);

static inline void tally_success(struct tally_sheet *sheet, size_t endpoint, uint64_t latency_us)
{
    counter_add(&sheet->endpoint[endpoint].successes, 1);
    counter_add(&sheet->endpoint[endpoint].latency_us_sum, latency_us);
}

static inline void tally_failure(struct tally_sheet *sheet, size_t endpoint,
                                 enum health_reason reason)
{
    counter_add(&sheet->endpoint[endpoint].failures[reason], 1);
}

/* Adds up the endpoint's counters over all sheets, says what is new since `seen`, and remembers it
 * there.  The latency is the mean. */
void tally_collect(struct tally_sheet *const *sheets, size_t count, size_t endpoint,
                   struct tally_seen *seen, struct judge_tally *tally);
