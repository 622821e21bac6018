#include "proxy/core/spacing.h"

#include "tests/unit/check.h"

enum { CROWD = 50, MOST_US = 400 };

/* Runs so many ticks; each serves `with` requests while it waits, `without` while it does not. */
static uint32_t run(struct spacing *s, int ticks, uint64_t with, uint64_t without)
{
    uint32_t waited = 0;

    for (int i = 0; i < ticks; i++) {
        bool waits = spacing_wait_us(s, CROWD, MOST_US) > 0;

        waited += waits;
        spacing_tick(s, waits ? with : without, CROWD);
    }
    return waited;
}

static void it_waits_by_the_crowd_and_never_longer_than_told(void)
{
    struct spacing s = { 0 };

    CHECK_INT(spacing_wait_us(&s, 10, MOST_US), 10 * SPACING_EACH_US);
    CHECK_INT(spacing_wait_us(&s, 1000, MOST_US), MOST_US);
    CHECK_INT(spacing_wait_us(&s, 1000, 0), 0);
}

static void where_the_wait_serves_more_or_as_much_it_stays_and_is_rarely_doubted(void)
{
    struct spacing s = { 0 };

    CHECK(run(&s, 1000, 1500, 1000) > 920);
    CHECK(!s.without);
    s = (struct spacing){ 0 };
    CHECK(run(&s, 1000, 1000, 1050) > 920);
    CHECK(!s.without);
}

static void where_the_wait_costs_throughput_it_ends_soon(void)
{
    struct spacing s = { 0 };

    CHECK(run(&s, 25, 1000, 1400) <= 20);
    CHECK(s.without);
    CHECK(run(&s, 1000, 1000, 1400) < 80);
    CHECK(s.without);
}

static void a_change_of_the_load_is_followed(void)
{
    struct spacing s = { 0 };

    run(&s, 1000, 1000, 1400);
    CHECK(s.without);
    run(&s, 2 * (SPACING_MOST_EPOCHS + 1) * SPACING_EPOCH_TICKS, 1500, 1000);
    CHECK(!s.without);
}

static void few_sessions_prove_nothing(void)
{
    struct spacing s = { 0 };

    for (int i = 0; i < 1000; i++)
        spacing_tick(&s, i % 7 * 1000, SPACING_CROWD - 1);
    CHECK(!s.without && !s.trial);
}

int main(void)
{
    RUN(it_waits_by_the_crowd_and_never_longer_than_told);
    RUN(where_the_wait_serves_more_or_as_much_it_stays_and_is_rarely_doubted);
    RUN(where_the_wait_costs_throughput_it_ends_soon);
    RUN(a_change_of_the_load_is_followed);
    RUN(few_sessions_prove_nothing);
    return check_report();
}
