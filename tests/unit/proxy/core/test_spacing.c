#include "proxy/core/spacing.h"

#include "tests/unit/check.h"

enum { CROWD = 50, MOST_US = 300, ROUNDS = 70 };

/* A load of whom all have come after `busy_us`; before that, evenly fewer. */
static void rounds(struct spacing *s, int count, uint64_t busy_us)
{
    for (int i = 0; i < count; i++) {
        uint64_t came = busy_us == 0 ? CROWD : CROWD * spacing_wait_us(s) / busy_us;

        spacing_round(s, CROWD, came > CROWD ? CROWD : (uint32_t)came, MOST_US);
    }
}

/* Runs so many epochs; each tick of one serves `with` requests while it waits, else `without`.
 * Returns in how many it waited. */
static uint32_t run(struct spacing *s, int epochs, uint64_t with, uint64_t without)
{
    uint32_t waited = 0;

    for (int i = 0; i < epochs; i++) {
        rounds(s, ROUNDS, 200);
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
    rounds(&s, 500, 200);
    CHECK(spacing_wait_us(&s) > 150 && spacing_wait_us(&s) < 190);
    rounds(&s, 500, 80);
    CHECK(spacing_wait_us(&s) > 55 && spacing_wait_us(&s) < 80);
}

/* Of a load of whom sooner or later all come: how many of a thousand rounds find them all. */
static uint32_t full_rounds(uint64_t busy_us, bool looks)
{
    struct spacing s = { .looks = looks };
    uint32_t full = 0, dice = 1;

    for (int i = 0; i < 3000; i++) {
        uint64_t came = CROWD * spacing_wait_us(&s) / busy_us;

        dice = dice * 1664525 + 1013904223;
        came = came / 2 + came * (dice >> 16) / 65536;
        full += i >= 2000 && came * 8 > CROWD * 7;
        spacing_round(&s, CROWD, came > CROWD ? CROWD : (uint32_t)came, 10000);
    }
    return full;
}

static void some_of_ten_rounds_find_all_however_long_they_take(void)
{
    for (uint64_t busy_us = 80; busy_us <= 5000; busy_us *= 2) {
        uint32_t busy = full_rounds(busy_us, true), idle = full_rounds(busy_us, false);

        CHECK(busy > 300 && busy < 450);
        CHECK(idle > 550 && idle < 700);
    }
}

static void it_never_waits_longer_than_told(void)
{
    struct spacing s = { 0 };

    rounds(&s, 2000, 100000);
    CHECK_INT(spacing_wait_us(&s), MOST_US);
    spacing_round(&s, CROWD, 0, 0);
    CHECK_INT(spacing_wait_us(&s), 0);
}

static void where_all_come_at_once_it_does_not_wait(void)
{
    struct spacing s = { 0 };

    rounds(&s, 500, 200);
    rounds(&s, 500, 0);
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

/* Turns of a worker that is at work for so many percent of the time, in rounds of WAIT_US: each
 * has to do what has come since the last one began.  What was told of them: */
struct told {
    uint32_t turns, rounds;
    uint64_t rested_us, took_us;
    uint64_t longest_us; /* of a round */
};

enum { WAIT_US = 300, TOLD_TURNS = 3000 };

static struct told work(struct spacing *s, uint64_t percent)
{
    struct told told = { 0 };
    uint64_t now_us = 1000000, round_us = now_us, turn_us = now_us;

    s->wait_ns = WAIT_US * 1000;
    for (int i = 0; i < 2 * TOLD_TURNS; i++) {
        bool counts = i >= TOLD_TURNS, ends; /* it knows by then how busy it is */
        uint64_t rest_us = spacing_rest_us(s, now_us);
        uint64_t work_us = 2 + (now_us + rest_us - turn_us) * percent / 100;

        CHECK(rest_us == 0 || rest_us > SPACING_LEAST_US);
        ends = spacing_turn(s, (struct spacing_rest){ now_us, now_us + rest_us, false });
        now_us += rest_us;
        turn_us = now_us;
        told.rested_us += counts ? rest_us : 0;
        told.turns += counts;
        told.rounds += counts && ends;
        if (counts && ends && now_us - round_us > told.longest_us)
            told.longest_us = now_us - round_us;
        if (ends)
            round_us = now_us;
        now_us += work_us;
        told.took_us += counts ? rest_us + work_us : 0;
    }
    return told;
}

static void a_worker_that_rests_most_of_the_time_has_one_turn_in_a_round(void)
{
    struct spacing s = { 0 };
    struct told told = work(&s, 35);

    CHECK(!s.looks);
    CHECK_INT(told.rounds, told.turns);
    CHECK_INT(told.took_us, told.rounds * (uint64_t)WAIT_US);
    CHECK_INT(told.longest_us, WAIT_US);
}

static void a_busy_workers_round_has_three_turns(void)
{
    struct spacing s = { 0 };
    struct told told = work(&s, 65);

    CHECK(s.looks);
    CHECK_INT(told.rounds, told.turns / SPACING_LOOKS);
    CHECK_INT(told.longest_us, WAIT_US);
}

static void one_that_is_neither_stays_as_it_is(void)
{
    struct spacing s = { .looks = true };

    work(&s, 45);
    CHECK(s.looks);
    work(&s, 35);
    CHECK(!s.looks);
    work(&s, 45);
    CHECK(!s.looks);
    work(&s, 65);
    CHECK(s.looks);
}

static void what_is_asked_waits_for_a_round_and_a_turn_at_most(void)
{
    for (uint64_t percent = 1; percent < 98; percent++) {
        struct spacing s = { 0 };
        struct told told = work(&s, percent);

        CHECK(told.longest_us <= WAIT_US + WAIT_US / SPACING_LOOKS);
    }
}

/* One that rests most of the time, at the beginning of a round. */
static struct spacing resting(void)
{
    return (struct spacing){ .wait_ns = WAIT_US * 1000, .round_us = 1000, .rests = UINT16_MAX };
}

static bool turn(struct spacing *s, uint64_t from_us, uint64_t until_us)
{
    return spacing_turn(s, (struct spacing_rest){ from_us, until_us, false });
}

static bool heard(struct spacing *s, uint64_t from_us, uint64_t until_us)
{
    return spacing_turn(s, (struct spacing_rest){ from_us, until_us, true });
}

static void a_short_rest_is_left_out(void)
{
    struct spacing s = resting();
    uint64_t now_us = 1000 + WAIT_US - SPACING_LEAST_US;

    CHECK_INT(spacing_rest_us(&s, now_us), 0);
    CHECK(turn(&s, now_us, now_us));
    now_us += WAIT_US - SPACING_LEAST_US - 1;
    CHECK_INT(spacing_rest_us(&s, now_us), SPACING_LEAST_US + 1);
    CHECK(turn(&s, now_us, now_us + SPACING_LEAST_US + 1));
}

static void how_late_the_clock_is_does_not_add_up(void)
{
    enum { LATE_US = 25 };
    struct spacing s = resting();

    for (uint64_t end_us = 1000 + WAIT_US; end_us < 1000 * WAIT_US; end_us += WAIT_US) {
        uint64_t now_us = end_us - WAIT_US + LATE_US + 40; /* of work */

        CHECK_INT(spacing_rest_us(&s, now_us), end_us - now_us);
        CHECK(turn(&s, now_us, end_us + LATE_US));
    }
}

static void a_trial_without_the_wait_makes_nobody_busy(void)
{
    struct spacing s = resting();

    s.trial = true;
    for (uint64_t now_us = 2000; now_us < 100 * 1000; now_us += 40)
        CHECK(turn(&s, now_us, now_us));
    CHECK(!s.looks);
}

static void only_who_rests_most_of_the_time_listens(void)
{
    struct spacing s = resting();

    CHECK(spacing_listens(&s));
    work(&s, 65);
    CHECK(!spacing_listens(&s));
}

static void a_round_ends_with_the_first_word_after_its_wait(void)
{
    struct spacing s = resting();

    CHECK(!heard(&s, 1000, 1100));
    CHECK(heard(&s, 1110, 1800));
    CHECK_INT(s.round_us, 1800);
    CHECK(!heard(&s, 1800, 1801));
    CHECK(heard(&s, 1801, 1800 + WAIT_US - SPACING_LEAST_US));
}

static void a_round_has_few_words(void)
{
    struct spacing s = resting();

    for (uint64_t now_us = 1000; now_us < 1000 + SPACING_LOOKS; now_us++) {
        CHECK(spacing_listens(&s));
        CHECK(!heard(&s, now_us, now_us + 1));
    }
    CHECK(!spacing_listens(&s));
    CHECK_INT(spacing_rest_us(&s, 1010), WAIT_US - 10);
    CHECK(turn(&s, 1010, 1000 + WAIT_US));
    CHECK(spacing_listens(&s));
}

/* How many rounds end by the clock after a rest of `rested_us`. */
static uint32_t by_the_clock_after(struct spacing *s, uint64_t rested_us)
{
    uint32_t rounds = 0;

    CHECK_INT(heard(s, s->round_us, s->round_us + rested_us), rested_us >= WAIT_US);
    while (!spacing_listens(s) && rounds < 2 * SPACING_SHY_MOST) {
        CHECK(turn(s, s->round_us, s->round_us + WAIT_US));
        rounds++;
    }
    return rounds;
}

static void who_waited_too_long_for_a_word_listens_to_the_clock_for_longer_each_time(void)
{
    struct spacing s = resting();

    CHECK_INT(by_the_clock_after(&s, SPACING_LATE_US - 1), 0);
    for (uint32_t rounds = SPACING_SHY; rounds <= SPACING_SHY_MOST; rounds *= 2)
        CHECK_INT(by_the_clock_after(&s, SPACING_LATE_US), rounds);
    CHECK_INT(by_the_clock_after(&s, SPACING_LATE_US), SPACING_SHY_MOST);
    for (int i = 0; i < 6 * SPACING_FORGIVES; i++)
        CHECK_INT(by_the_clock_after(&s, WAIT_US), 0);
    CHECK_INT(by_the_clock_after(&s, SPACING_LATE_US), SPACING_SHY);
}

static void without_the_wait_each_turn_is_a_round(void)
{
    struct spacing s = { .without = true };
    struct told told = work(&s, 50);

    CHECK_INT(told.rounds, told.turns);
    CHECK_INT(told.rested_us, 0);
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

static void few_rounds_with_a_crowd_prove_nothing(void)
{
    struct spacing s = { 0 };

    for (int i = 0; i < 1000; i++) {
        rounds(&s, 2, 200);
        spacing_tick(&s, (uint64_t)(i % 7) * 1000);
    }
    CHECK(!s.without && !s.trial);
}

int main(void)
{
    RUN(a_crowd_are_many_who_wait_at_once);
    RUN(it_waits_nearly_as_long_as_the_crowd_is_busy);
    RUN(some_of_ten_rounds_find_all_however_long_they_take);
    RUN(it_never_waits_longer_than_told);
    RUN(where_all_come_at_once_it_does_not_wait);
    RUN(where_the_wait_serves_more_or_about_as_much_it_stays_and_is_rarely_doubted);
    RUN(where_the_wait_costs_throughput_it_ends_soon);
    RUN(a_change_of_the_load_is_followed);
    RUN(a_load_that_changes_by_itself_proves_nothing);
    RUN(a_worker_that_rests_most_of_the_time_has_one_turn_in_a_round);
    RUN(a_busy_workers_round_has_three_turns);
    RUN(one_that_is_neither_stays_as_it_is);
    RUN(what_is_asked_waits_for_a_round_and_a_turn_at_most);
    RUN(a_short_rest_is_left_out);
    RUN(how_late_the_clock_is_does_not_add_up);
    RUN(a_trial_without_the_wait_makes_nobody_busy);
    RUN(only_who_rests_most_of_the_time_listens);
    RUN(a_round_ends_with_the_first_word_after_its_wait);
    RUN(a_round_has_few_words);
    RUN(who_waited_too_long_for_a_word_listens_to_the_clock_for_longer_each_time);
    RUN(without_the_wait_each_turn_is_a_round);
    RUN(few_rounds_with_a_crowd_prove_nothing);
    return check_report();
}
