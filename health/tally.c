/* See tally.h. */
#include "health/tally.h"

#include <stdlib.h>

#include "proxy/base/mem.h"

struct tally_sheet *tally_new(size_t endpoints)
{
    struct tally_sheet *sheet = mem_new(sizeof(*sheet) + endpoints * sizeof(sheet->endpoint[0]));

    sheet->count = endpoints;
    return sheet;
}

void tally_free(struct tally_sheet **sheet)
{
    free(*sheet);
    *sheet = NULL;
}

/* What is new since `seen`, which becomes `now`. */
static uint64_t advance(uint64_t *seen, uint64_t now)
{
    uint64_t more = now - *seen;

    *seen = now;
    return more;
}

void tally_collect(struct tally_sheet *const *sheets, size_t count, size_t endpoint,
                   struct tally_seen *seen, struct judge_tally *tally)
{
    struct tally_seen now = { 0 };
    uint64_t latency_us;

    for (size_t i = 0; i < count; i++) {
        const struct tally *t = &sheets[i]->endpoint[endpoint];

        now.successes += counter_get(&t->successes);
        now.latency_us_sum += counter_get(&t->latency_us_sum);
        for (int reason = 0; reason < HEALTH_REASONS; reason++)
            now.failures[reason] += counter_get(&t->failures[reason]);
    }
    *tally = (struct judge_tally){ .successes = advance(&seen->successes, now.successes) };
    latency_us = advance(&seen->latency_us_sum, now.latency_us_sum);
    if (tally->successes > 0)
        tally->latency_us = latency_us / tally->successes;
    for (int reason = 0; reason < HEALTH_REASONS; reason++)
        tally->failures[reason] = advance(&seen->failures[reason], now.failures[reason]);
}
