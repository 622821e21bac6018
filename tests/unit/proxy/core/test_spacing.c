#include "proxy/core/spacing.h"

#include "tests/unit/check.h"

enum { CROWD = 50, MOST_US = 300, TURNS = 70 };

/* A load of whom all have come after `busy_us`; before that, evenly fewer. */
static void turns(struct spacing *s, int count, uint64_t busy_us)
{
    for (int i = 0; i < count; i++) {
        uint64_t came = busy_us == 0 ? CROWD : CROWD * spacing_wait_us(s) / busy_us;

        spacing_turn(s, CROWD, came > CROWD ? CROWD : (uint32_t)came, MOST_US);
    }
}

/* Runs so many epochs; each tick of one serves `with` requests while it waits, else `without`.
 * Returns in how many it waited. */
static uint32_t run(struct spacing *s, int epochs, uint64_t with, uint64_t without)
{
    uint32_t waited = 0;

    for (int i = 0; i < epochs; i++) {
        turns(s, TURNS, 200);
        waited += spacing_wait_us(s) > 0;
        for (int tick = 0; tick < SPACING_EPOCH_TICKS; tick++)
            spacing_tick(s, spacing_wait_us(s) > 0 ? with : without);
    }
    return waited;
}

static void it_waits_nearly_as_long_as_the_crowd_is_busy(void)
{
    struct spacing s = { 0 };

    CHECK_INT(spacing_wait_us(&s), 0);
    turns(&s, 500, 200);
    CHECK(spacing_wait_us(&s) > 150 && spacing_wait_us(&s) < 190);
    turns(&s, 500, 80);
    CHECK(spacing_wait_us(&s) > 55 && spacing_wait_us(&s) < 80);
}

/* Of a load of whom sooner or later all come: how many of a thousand turns find them all. */
static uint32_t full_turns(uint64_t busy_us)
{
    struct spacing s = { 0 };
    uint32_t full = 0, dice = 1;

    for (int i = 0; i < 3000; i++) {
        uint64_t came = CROWD * spacing_wait_us(&s) / busy_us;

        dice = dice * 1664525 + 1013904223;
        came = came / 2 + came * (dice >> 16) / 65536;
        full += i >= 2000 && came * 8 > CROWD * 7;
        spacing_turn(&s, CROWD, came > CROWD ? CROWD : (uint32_t)came, 10000);
    }
    return full;
}

static void three_of_ten_turns_find_all_however_long_they_take(void)
{
    for (uint64_t busy_us = 80; busy_us <= 5000; busy_us *= 2) {
        uint32_t full = full_turns(busy_us);

        CHECK(full > 250 && full < 400);
    }
}

static void it_never_waits_longer_than_told(void)
{
    struct spacing s = { 0 };

    turns(&s, 2000, 100000);
    CHECK_INT(spacing_wait_us(&s), MOST_US);
    spacing_turn(&s, CROWD, 0, 0);
    CHECK_INT(spacing_wait_us(&s), 0);
}

static void where_all_come_at_once_it_does_not_wait(void)
{
    struct spacing s = { 0 };

    turns(&s, 500, 200);
    turns(&s, 500, 0);
    CHECK(spacing_wait_us(&s) < 16);
}

static void where_the_wait_serves_more_or_about_as_much_it_stays_and_is_rarely_doubted(void)
{
    struct spacing s = { 0 };

    CHECK(run(&s, 200, 1500, 1000) > 185);
    CHECK(!s.without);
    s = (struct spacing){ 0 };
    CHECK(run(&s, 200, 1000, 1100) > 185);
    CHECK(!s.without);
}

static void where_the_wait_costs_throughput_it_ends_soon(void)
{
    struct spacing s = { 0 };

    CHECK(run(&s, SPACING_FIRST_EPOCHS + 5, 1000, 1400) <= SPACING_FIRST_EPOCHS + 3);
    CHECK(s.without);
    CHECK(run(&s, 200, 1000, 1400) < 16);
    CHECK(s.without);
}

static void a_change_of_the_load_is_followed(void)
{
    struct spacing s = { 0 };

    run(&s, 200, 1000, 1400);
    CHECK(s.without);
    run(&s, 2 * (SPACING_MOST_EPOCHS + 1), 1500, 1000);
    CHECK(!s.without);
}

/* Whenever a trial begins, or is over: what the rest of the machine does is no proof. */
static void a_load_that_changes_by_itself_proves_nothing(void)
{
    for (int less = 0; less < 20; less++) {
        struct spacing s = { 0 };

        for (int i = 0; i < 20; i++) {
            uint64_t served = i < less ? 1000 : 2000;

            run(&s, 1, served, served);
            CHECK(!s.without);
        }
        for (int i = 0; i < 20; i++) {
            uint64_t served = i == less ? 1000 : 2000;

            run(&s, 1, served, served);
            CHECK(!s.without);
        }
        for (int i = 0; i < 20; i++) {
            uint64_t served = i == less ? 3000 : 1000;

            run(&s, 1, served, served);
            CHECK(!s.without);
        }
    }
}

static void a_crowd_are_many_who_wait_at_once(void)
{
    CHECK(spacing_is_crowd(50, 50));
    CHECK(spacing_is_crowd(50, 25));
    CHECK(!spacing_is_crowd(50, 24));
    CHECK(spacing_is_crowd(SPACING_CROWD, SPACING_CROWD));
    CHECK(!spacing_is_crowd(SPACING_CROWD - 1, SPACING_CROWD - 1));
    CHECK(!spacing_is_crowd(0, 0));
}

static void few_turns_with_a_crowd_prove_nothing(void)
{
    struct spacing s = { 0 };

    for (int i = 0; i < 1000; i++) {
        turns(&s, 2, 200);
        spacing_tick(&s, (uint64_t)(i % 7) * 1000);
    }
    CHECK(!s.without && !s.trial);
}

int main(void)
{
    RUN(a_crowd_are_many_who_wait_at_once);
    RUN(it_waits_nearly_as_long_as_the_crowd_is_busy);
    RUN(three_of_ten_turns_find_all_however_long_they_take);
    RUN(it_never_waits_longer_than_told);
    RUN(where_all_come_at_once_it_does_not_wait);
    RUN(where_the_wait_serves_more_or_about_as_much_it_stays_and_is_rarely_doubted);
    RUN(where_the_wait_costs_throughput_it_ends_soon);
    RUN(a_change_of_the_load_is_followed);
    RUN(a_load_that_changes_by_itself_proves_nothing);
    RUN(few_turns_with_a_crowd_prove_nothing);
    return check_report();
}
