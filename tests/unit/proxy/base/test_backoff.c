#include "proxy/base/backoff.h"

#include "tests/unit/check.h"

enum { UPSTREAMS = 1000, LEAST_MS = 50, MOST_MS = 2000 };

static uint32_t chance(void)
{
    static uint32_t state = 2463534242u;

    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return state;
}

/* All that failed in one moment are tried again over the whole of `from_us` to `to_us`: in no tenth
 * of it are more than twice as many as would be even. */
static void expect_spread(uint64_t level_ms, unsigned growth, uint64_t from_us, uint64_t to_us)
{
    unsigned crowd[10] = { 0 };

    for (int i = 0; i < UPSTREAMS; i++) {
        uint64_t level = level_ms, us;

        us = backoff_next_us(&level, LEAST_MS, MOST_MS, growth, chance());
        CHECK(us >= from_us && us <= to_us);
        crowd[(us - from_us) * 10 / (to_us - from_us + 1)]++;
    }
    for (int i = 0; i < 10; i++)
        CHECK(crowd[i] > UPSTREAMS / 20 && crowd[i] < UPSTREAMS / 5);
}

static void those_who_failed_together_do_not_come_back_together(void)
{
    expect_spread(0, BACKOFF_DOUBLES, 50000, 100000);
    expect_spread(100, BACKOFF_DOUBLES, 100000, 200000);
    expect_spread(800, BACKOFF_DOUBLES, 800000, 1600000);
    expect_spread(1600, BACKOFF_DOUBLES, 1000000, 2000000);
    expect_spread(2000, BACKOFF_DOUBLES, 1000000, 2000000);
    expect_spread(0, 8, 200000, 400000);
}

static void a_wait_is_never_less_than_the_least_nor_more_than_the_most(void)
{
    static const uint32_t ENDS[] = { 0, UINT32_MAX };

    for (unsigned growth = BACKOFF_DOUBLES; growth <= 8; growth++) {
        for (int i = 0; i < 2; i++) {
            uint64_t level_ms = 0;

            for (int failure = 0; failure < 100; failure++) {
                uint64_t us = backoff_next_us(&level_ms, 700, 1000, growth, ENDS[i]);

                CHECK(us >= 700000 && us <= 1000000);
            }
        }
    }
}

static void least_and_most_may_be_the_same_and_may_be_an_hour(void)
{
    uint64_t level_ms = 0, hour_ms = 3600000;

    for (int failure = 0; failure < 100; failure++)
        CHECK_INT(backoff_next_us(&level_ms, 50, 50, BACKOFF_DOUBLES, chance()), 50000);
    level_ms = 0;
    for (int failure = 0; failure < 100; failure++) {
        uint64_t us = backoff_next_us(&level_ms, 1, hour_ms, 8, chance());

        CHECK(us >= 1000 && us <= hour_ms * 1000);
    }
    CHECK_INT(level_ms, hour_ms);
}

int main(void)
{
    RUN(those_who_failed_together_do_not_come_back_together);
    RUN(a_wait_is_never_less_than_the_least_nor_more_than_the_most);
    RUN(least_and_most_may_be_the_same_and_may_be_an_hour);
    return check_report();
}
