#include "health/lag.h"

#include <stdint.h>

#include "tests/unit/check.h"

enum { SECOND = 1000000 };

/* A primary that writes 100 bytes a second, looked at as often: 1000 at 1 s, 1100 at 2 s ... */
static void steady(struct lag_history *h, uint32_t seconds)
{
    lag_history_reset(h);
    for (uint64_t i = 0; i < seconds; i++)
        lag_history_add(h, 1000 + 100 * i, (1 + i) * SECOND);
}

static void a_replica_lags_since_the_primary_was_seen_beyond_it(void)
{
    static const struct {
        uint64_t lsn, at_us, bytes, us;
    } CASES[] = {
        /* the newest sight is 1900 at 10 s */
        { 1900, 10 * SECOND, 0, 0 },
        { 1900, 99 * SECOND, 0, 0 }, /* an idle primary: however long ago */
        { 2500, 10 * SECOND, 0, 0 }, /* has more than was seen of the primary */
        { 1899, 10 * SECOND, 1, 0 }, /* beyond it was first seen just now */
        { 1899, 13 * SECOND, 1, 3 * SECOND },
        { 1800, 10 * SECOND, 100, 0 },
        { 1799, 10 * SECOND, 101, 1 * SECOND },
        { 1000, 10 * SECOND, 900, 8 * SECOND },
        { 1000, 1 * SECOND, 900, 0 }, /* was asked before that: no lag below nothing */
    };
    struct lag_history h;

    steady(&h, 10);
    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct lag lag = lag_of(&h, CASES[i].lsn, CASES[i].at_us);

        CHECK(lag.is_known);
        CHECK_INT(lag.bytes, CASES[i].bytes);
        CHECK_INT(lag.us, CASES[i].us);
    }
}

static void behind_what_was_seen_first_the_time_is_not_known(void)
{
    struct lag_history h;
    struct lag lag;

    lag_history_reset(&h);
    CHECK(!lag_of(&h, 5000, SECOND).is_known);
    steady(&h, 10);
    lag = lag_of(&h, 999, 11 * SECOND);
    CHECK(!lag.is_known);
    CHECK_INT(lag.bytes, 901);
    CHECK_INT(lag.us, 10 * SECOND);
    CHECK(lag_of(&h, 1000, 11 * SECOND).is_known);
}

static void what_an_idle_primary_says_again_takes_no_room_and_no_time_away(void)
{
    struct lag_history h;

    lag_history_reset(&h);
    lag_history_add(&h, 100, 1 * SECOND);
    lag_history_add(&h, 200, 2 * SECOND);
    for (uint64_t i = 3; i < 2000; i++)
        lag_history_add(&h, 200, i * SECOND);
    CHECK_INT(h.count, 2);
    CHECK_INT(lag_of(&h, 100, 2000 * (uint64_t)SECOND).us, 1998 * (uint64_t)SECOND);
}

static void a_position_of_before_begins_another_history(void)
{
    struct lag_history h;

    steady(&h, 10);
    lag_history_add(&h, 500, 20 * SECOND);
    CHECK_INT(h.count, 1);
    CHECK(!lag_of(&h, 499, 21 * SECOND).is_known);
    CHECK(lag_of(&h, 500, 21 * SECOND).is_known);
    CHECK_INT(lag_of(&h, 1900, 21 * SECOND).bytes, 0);
}

static void a_clock_that_was_asked_in_another_order_does_no_harm(void)
{
    struct lag_history h;

    lag_history_reset(&h);
    lag_history_add(&h, 100, 10 * SECOND);
    lag_history_add(&h, 200, 9 * SECOND);
    CHECK_INT(lag_of(&h, 150, 12 * SECOND).us, 2 * SECOND);
}

/* However long it is watched, the room is the same; recent lags are exact, and old ones are never
 * told as less than they are, nor as more than a tenth too much. */
static void a_long_history_is_coarse_where_it_is_old(void)
{
    enum { SECONDS = 50000 };
    struct lag_history h;

    steady(&h, SECONDS);
    CHECK(h.count <= LAG_SIGHTS);
    for (uint64_t lag_s = 1; lag_s < SECONDS - 1; lag_s += 1 + lag_s / 16) {
        uint64_t lsn = 1000 + 100 * (SECONDS - 1 - lag_s);
        uint64_t us = lag_of(&h, lsn, (uint64_t)SECONDS * SECOND).us;
        uint64_t true_us = (lag_s - 1) * SECOND; /* the next sight is beyond it */

        CHECK(us >= true_us);
        if (lag_s <= 10)
            CHECK_INT(us, true_us);
        else
            CHECK(us <= true_us + true_us / 10);
    }
}

static bool judge(struct lag_gate *g, uint64_t ms)
{
    struct lag_limits limits = { .most_us = 2 * SECOND };

    return lag_gate_judge(g, &limits, &(struct lag){ .is_known = true, .us = ms * 1000 });
}

static void a_gate_closes_at_once_and_opens_after_two_good_sights(void)
{
    struct lag_gate g = { 0 };

    CHECK(judge(&g, 1900)); /* the first judgement */
    CHECK(judge(&g, 2000));
    CHECK(!judge(&g, 2001));
    CHECK(!judge(&g, 1500)); /* not good enough to come back */
    CHECK(!judge(&g, 1000));
    CHECK(!judge(&g, 1001)); /* not in a row */
    CHECK(!judge(&g, 1000));
    CHECK(judge(&g, 0));
    CHECK(judge(&g, 1900));

    g = (struct lag_gate){ 0 };
    CHECK(!judge(&g, 2001));
    CHECK(!judge(&g, 10));
    CHECK(judge(&g, 10));
}

static void each_limit_counts_and_none_is_no_limit(void)
{
    static const struct {
        struct lag_limits limits;
        struct lag lag;
        bool is_open;
    } CASES[] = {
        { { 0, 0 }, { .is_known = false, .bytes = 1u << 30 }, true },
        { { SECOND, 0 }, { .is_known = false }, false },
        { { SECOND, 0 }, { .is_known = true, .bytes = 1u << 30 }, true },
        { { 0, 100 }, { .is_known = false, .bytes = 100 }, true },
        { { 0, 100 }, { .is_known = true, .bytes = 101 }, false },
        { { SECOND, 100 }, { .is_known = true, .bytes = 101 }, false },
        { { SECOND, 100 }, { .is_known = true, .bytes = 1, .us = SECOND + 1 }, false },
        { { SECOND, 100 }, { .is_known = true, .bytes = 100, .us = SECOND }, true },
    };

    for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
        struct lag_gate g = { 0 };

        CHECK_INT(lag_gate_judge(&g, &CASES[i].limits, &CASES[i].lag), CASES[i].is_open);
    }
}

int main(void)
{
    RUN(a_replica_lags_since_the_primary_was_seen_beyond_it);
    RUN(behind_what_was_seen_first_the_time_is_not_known);
    RUN(what_an_idle_primary_says_again_takes_no_room_and_no_time_away);
    RUN(a_position_of_before_begins_another_history);
    RUN(a_clock_that_was_asked_in_another_order_does_no_harm);
    RUN(a_long_history_is_coarse_where_it_is_old);
    RUN(a_gate_closes_at_once_and_opens_after_two_good_sights);
    RUN(each_limit_counts_and_none_is_no_limit);
    return check_report();
}
