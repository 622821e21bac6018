/* The judge, told what happened and when, in tables: each row is an event and the verdict after
 * it. */
#include "health/judge.h"

#include "tests/unit/check.h"

enum { LEAST = 0 }; /* the random number that makes the shortest back-off */

enum event { PROBE, REQUESTS, DRAIN, UNDRAIN };

struct row {
    uint64_t at_ms;
    enum event event;
    enum health_reason reason; /* of the probe, or of the requests that failed */
    uint64_t good, bad;        /* requests */
    enum verdict_state state;  /* expected */
    enum health_reason told;   /* expected */
};

static void play(struct judge *j, const struct row *rows, size_t count, const char *story)
{
    for (size_t i = 0; i < count; i++) {
        const struct row *r = &rows[i];
        struct judge_tally tally = { .successes = r->good };
        struct verdict before = judge_verdict(j, r->at_ms), after;
        bool changed = false;

        tally.failures[r->reason] = r->bad;
        switch (r->event) {
        case PROBE:
            changed = judge_probe(j, r->at_ms, r->reason, LEAST);
            break;
        case REQUESTS:
            changed = judge_tally(j, r->at_ms, &tally, LEAST);
            break;
        case DRAIN:
        case UNDRAIN:
            changed = judge_drain(j, r->at_ms, r->event == DRAIN);
            break;
        }
        after = judge_verdict(j, r->at_ms);
        if (after.state != r->state || after.reason != r->told ||
            changed != (before.state != after.state)) {
            printf("%s, row %zu at %llu ms: %s (%s)\n", story, i, (unsigned long long)r->at_ms,
                   judge_state_name(after.state), reason_word(after.reason));
            check_failures_here++;
        }
    }
}

#define PLAY(judge, ...)                                                                           \
    play(judge, (const struct row[]){ __VA_ARGS__ },                                               \
         sizeof((const struct row[]){ __VA_ARGS__ }) / sizeof(struct row), __func__)
#define GOOD_PROBE(at, state, told)                                                                \
    {                                                                                              \
        at, PROBE, HEALTH_FINE, 0, 0, VERDICT_##state, HEALTH_##told                               \
    }
#define BAD_PROBE(at, reason, state, told)                                                         \
    {                                                                                              \
        at, PROBE, HEALTH_##reason, 0, 0, VERDICT_##state, HEALTH_##told                           \
    }
#define ASKED(at, good, bad, reason, state, told)                                                  \
    {                                                                                              \
        at, REQUESTS, HEALTH_##reason, good, bad, VERDICT_##state, HEALTH_##told                   \
    }

static struct judge fresh(void)
{
    struct judge j;

    judge_init(&j, NULL, 0);
    return j;
}

static void a_single_bad_probe_changes_nothing(void)
{
    struct judge j = fresh();

    PLAY(&j, GOOD_PROBE(1000, UP, FINE), BAD_PROBE(2000, RESPONSE_TIMEOUT, UP, FINE),
         GOOD_PROBE(3000, UP, FINE), BAD_PROBE(4000, CLOSED, UP, FINE),
         BAD_PROBE(5000, CLOSED, UP, FINE), GOOD_PROBE(6000, UP, FINE));
}

static void three_bad_probes_take_it_out_with_the_last_reason(void)
{
    struct judge j = fresh();

    PLAY(&j, BAD_PROBE(1000, CLOSED, UP, FINE), BAD_PROBE(2000, CONNECT_REFUSED, UP, FINE),
         BAD_PROBE(3000, CONNECT_REFUSED, DOWN, CONNECT_REFUSED));
    CHECK_INT(judge_verdict(&j, 9000).since_ms, 3000);
    CHECK_INT(judge_verdict(&j, 9000).weight_percent, 0);
}

static void one_wrong_stamp_is_enough(void)
{
    struct judge j = fresh();

    PLAY(&j, BAD_PROBE(1000, STAMP_MISMATCH, DOWN, STAMP_MISMATCH));
    j = fresh();
    PLAY(&j, ASKED(1000, 900, 1, STAMP_MISMATCH, DOWN, STAMP_MISMATCH));
}

static void only_a_good_request_ends_what_probes_do_not_see(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 0, 1, STAMP_MISMATCH, DOWN, STAMP_MISMATCH),
         GOOD_PROBE(2000, DOWN, STAMP_MISMATCH), GOOD_PROBE(3000, HALF_OPEN, STAMP_MISMATCH),
         GOOD_PROBE(4000, HALF_OPEN, STAMP_MISMATCH), GOOD_PROBE(5000, HALF_OPEN, STAMP_MISMATCH),
         ASKED(6000, 1, 0, FINE, UP, FINE));
}

static void what_probes_see_they_see_the_end_of(void)
{
    struct judge j = fresh();

    PLAY(&j, BAD_PROBE(1000, STORE_FAILED, DOWN, STORE_FAILED),
         GOOD_PROBE(2000, DOWN, STORE_FAILED), GOOD_PROBE(3000, HALF_OPEN, STORE_FAILED),
         GOOD_PROBE(4000, HALF_OPEN, STORE_FAILED), GOOD_PROBE(5000, UP, FINE),
         ASKED(6000, 0, 1, STAMP_MISMATCH, DOWN, STAMP_MISMATCH),
         GOOD_PROBE(7000, DOWN, STAMP_MISMATCH), GOOD_PROBE(8000, HALF_OPEN, STAMP_MISMATCH),
         GOOD_PROBE(9000, HALF_OPEN, STAMP_MISMATCH), GOOD_PROBE(9900, HALF_OPEN, STAMP_MISMATCH));
}

static void requests_that_fail_open_the_breaker_and_good_probes_do_not_close_it(void)
{
    struct judge j = fresh();

    PLAY(&j, GOOD_PROBE(900, UP, FINE),
         ASKED(1000, 0, 20, RESPONSE_TIMEOUT, DOWN, RESPONSE_TIMEOUT),
         GOOD_PROBE(1900, DOWN, RESPONSE_TIMEOUT), GOOD_PROBE(2900, HALF_OPEN, RESPONSE_TIMEOUT),
         /* the trial fails as well: the next back-off, 500 ms at least */
         ASKED(3000, 0, 1, RESPONSE_TIMEOUT, DOWN, RESPONSE_TIMEOUT),
         GOOD_PROBE(3100, DOWN, RESPONSE_TIMEOUT), GOOD_PROBE(3200, DOWN, RESPONSE_TIMEOUT),
         GOOD_PROBE(3499, DOWN, RESPONSE_TIMEOUT),
         ASKED(3500, 0, 0, FINE, HALF_OPEN, RESPONSE_TIMEOUT),
         ASKED(3600, 0, 1, RESPONSE_TIMEOUT, DOWN, RESPONSE_TIMEOUT),
         GOOD_PROBE(3700, DOWN, RESPONSE_TIMEOUT), GOOD_PROBE(3800, DOWN, RESPONSE_TIMEOUT),
         /* and this one is 1 s */
         ASKED(4599, 0, 0, FINE, DOWN, RESPONSE_TIMEOUT),
         ASKED(4600, 0, 0, FINE, HALF_OPEN, RESPONSE_TIMEOUT), ASKED(4700, 1, 0, FINE, UP, FINE));
}

static void few_failures_among_many_requests_are_borne(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 51, 49, RESPONSE_TIMEOUT, UP, FINE), ASKED(2000, 0, 4, CLOSED, UP, FINE),
         ASKED(3000, 1, 0, FINE, UP, FINE), ASKED(4000, 0, 4, CLOSED, UP, FINE),
         ASKED(5000, 50, 50, CLOSED, DOWN, CLOSED));
}

static void where_few_ask_failures_add_up_over_intervals(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 0, 1, CLOSED, UP, FINE), ASKED(2000, 0, 1, CLOSED, UP, FINE),
         ASKED(3000, 0, 0, FINE, UP, FINE), ASKED(4000, 0, 2, CLOSED, UP, FINE),
         ASKED(5000, 0, 1, CLOSED, DOWN, CLOSED));
}

static void the_commonest_reason_is_told(void)
{
    struct judge j = fresh();
    struct judge_tally tally = { 0 };

    tally.failures[HEALTH_CLOSED] = 3;
    tally.failures[HEALTH_CONNECT_TIMEOUT] = 8;
    tally.failures[HEALTH_READONLY] = 100; /* a note */
    CHECK(judge_tally(&j, 1000, &tally, LEAST));
    CHECK_INT(judge_verdict(&j, 1000).reason, HEALTH_CONNECT_TIMEOUT);
}

static void errors_that_are_only_notes_take_nothing_out(void)
{
    struct judge j = fresh();

    PLAY(&j, BAD_PROBE(3000, READONLY, UP, READONLY), BAD_PROBE(4000, READONLY, UP, READONLY),
         BAD_PROBE(5000, READONLY, UP, READONLY), GOOD_PROBE(6000, UP, FINE));
}

static void what_replies_say_of_a_server_is_told_until_they_say_it_no_more(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 1000, 1000, OOM, UP, OOM), GOOD_PROBE(1500, UP, OOM),
         ASKED(2000, 0, 0, OOM, UP, OOM), ASKED(3000, 1000, 1, READONLY, UP, READONLY),
         ASKED(4000, 1, 0, FINE, UP, FINE));
}

static void a_restart_is_told_as_refused_then_loading_then_comes_back_in_steps(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 10, 90, CLOSED, DOWN, CLOSED),
         BAD_PROBE(2000, CONNECT_REFUSED, DOWN, CONNECT_REFUSED),
         BAD_PROBE(3000, LOADING, DOWN, LOADING), BAD_PROBE(4000, LOADING, DOWN, LOADING),
         GOOD_PROBE(5000, DOWN, LOADING), GOOD_PROBE(6000, HALF_OPEN, LOADING),
         ASKED(6100, 1, 0, FINE, UP, FINE));
}

static void where_nobody_asks_probes_alone_bring_it_back(void)
{
    struct judge j = fresh();

    PLAY(&j, BAD_PROBE(1000, CLOSED, UP, FINE), BAD_PROBE(2000, CLOSED, UP, FINE),
         BAD_PROBE(3000, CLOSED, DOWN, CLOSED), GOOD_PROBE(4000, DOWN, CLOSED),
         GOOD_PROBE(5000, HALF_OPEN, CLOSED), ASKED(5500, 0, 0, FINE, HALF_OPEN, CLOSED),
         GOOD_PROBE(6000, HALF_OPEN, CLOSED), GOOD_PROBE(7000, UP, FINE));
}

static void one_bad_probe_while_half_open_is_enough(void)
{
    struct judge j = fresh();

    PLAY(&j, BAD_PROBE(1000, STAMP_MISMATCH, DOWN, STAMP_MISMATCH),
         GOOD_PROBE(2000, DOWN, STAMP_MISMATCH), GOOD_PROBE(3000, HALF_OPEN, STAMP_MISMATCH),
         BAD_PROBE(4000, LOADING, DOWN, LOADING));
}

static void without_probes_time_alone_leads_to_a_trial(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 0, 9, CLOSED, DOWN, CLOSED), ASKED(1249, 0, 0, FINE, DOWN, CLOSED),
         ASKED(1250, 0, 0, FINE, HALF_OPEN, CLOSED));
}

static void stragglers_while_down_are_no_news(void)
{
    struct judge j = fresh();

    PLAY(&j, GOOD_PROBE(900, UP, FINE), ASKED(1000, 0, 9, CLOSED, DOWN, CLOSED),
         ASKED(1100, 50, 0, FINE, DOWN, CLOSED),
         ASKED(1200, 0, 50, RESPONSE_TIMEOUT, DOWN, CLOSED));
}

/* Falls and climbs back by a trial at once; returns how long it was down. */
static uint64_t one_flap(struct judge *j, uint64_t *now_ms, uint32_t random)
{
    struct judge_tally bad = { .failures = { [HEALTH_CLOSED] = 10 } }, none = { 0 },
                       good = { .successes = 1 };
    uint64_t down_at;

    *now_ms += 100;
    judge_tally(j, *now_ms, &bad, random);
    CHECK_INT(judge_verdict(j, *now_ms).state, VERDICT_DOWN);
    for (down_at = *now_ms; j->state == VERDICT_DOWN && *now_ms - down_at < 100000; ++*now_ms)
        judge_tally(j, *now_ms, &none, random);
    judge_tally(j, *now_ms, &good, random);
    CHECK_INT(judge_verdict(j, *now_ms).state, VERDICT_UP);
    return *now_ms - down_at - 1;
}

static void one_that_flaps_stays_out_longer_each_time_up_to_the_limit(void)
{
    struct judge j = fresh();
    uint64_t now_ms = 0;

    CHECK_INT(one_flap(&j, &now_ms, LEAST), 250);
    CHECK_INT(one_flap(&j, &now_ms, LEAST), 500);
    CHECK_INT(one_flap(&j, &now_ms, LEAST), 1000);
    for (int i = 0; i < 40; i++)
        one_flap(&j, &now_ms, LEAST);
    CHECK_INT(one_flap(&j, &now_ms, LEAST), 15000);
    CHECK_INT(one_flap(&j, &now_ms, 15000), 30000);
}

static void chance_spreads_the_back_off_between_half_and_whole(void)
{
    for (uint32_t random = 0; random < 2000; random += 7) {
        struct judge j = fresh();
        uint64_t now_ms = 0, down_ms = one_flap(&j, &now_ms, random);

        CHECK(down_ms >= 250 && down_ms <= 500);
        CHECK_INT(down_ms, 250 + random % 251);
    }
}

static void a_calm_minute_forgets_the_back_off(void)
{
    struct judge j = fresh();
    uint64_t now_ms = 0;

    one_flap(&j, &now_ms, LEAST);
    one_flap(&j, &now_ms, LEAST);
    now_ms += 59000;
    CHECK_INT(one_flap(&j, &now_ms, LEAST), 1000);
    now_ms += 60000;
    CHECK_INT(one_flap(&j, &now_ms, LEAST), 250);
}

static void weight_grows_in_steps_after_a_return(void)
{
    struct judge j;
    struct judge_tally bad = { .failures = { [HEALTH_CLOSED] = 10 } }, none = { 0 },
                       good = { .successes = 1 };

    judge_init(&j, &(struct judge_settings){ .slow_start_ms = 10000 }, 0);
    CHECK_INT(judge_verdict(&j, 0).weight_percent, 100); /* not at the start of the process */
    judge_tally(&j, 1000, &bad, LEAST);
    judge_tally(&j, 2000, &none, LEAST);
    CHECK_INT(judge_verdict(&j, 2000).weight_percent, 1);
    judge_tally(&j, 3000, &good, LEAST);
    CHECK_INT(judge_verdict(&j, 3000).weight_percent, 10);
    CHECK_INT(judge_verdict(&j, 8000).weight_percent, 55);
    CHECK_INT(judge_verdict(&j, 12999).weight_percent, 99);
    CHECK_INT(judge_verdict(&j, 13000).weight_percent, 100);
    judge_tally(&j, 13001, &none, LEAST);
    CHECK(!j.starting);
}

static void a_slow_endpoint_is_told_and_gets_half(void)
{
    struct judge j;
    struct judge_tally slow = { .successes = 9, .latency_us = 5001 },
                       fast = { .successes = 9, .latency_us = 5000 }, none = { 0 };

    judge_init(&j, &(struct judge_settings){ .slow_us = 5000 }, 0);
    judge_tally(&j, 1000, &slow, LEAST);
    judge_tally(&j, 2000, &slow, LEAST);
    CHECK_INT(judge_verdict(&j, 2000).reason, HEALTH_FINE);
    judge_tally(&j, 3000, &slow, LEAST);
    judge_tally(&j, 4000, &none, LEAST);
    CHECK_INT(judge_verdict(&j, 4000).state, VERDICT_UP);
    CHECK_INT(judge_verdict(&j, 4000).reason, HEALTH_SLOW);
    CHECK_INT(judge_verdict(&j, 4000).weight_percent, 50);
    judge_tally(&j, 5000, &fast, LEAST);
    CHECK_INT(judge_verdict(&j, 5000).reason, HEALTH_FINE);
    CHECK_INT(judge_verdict(&j, 5000).weight_percent, 100);
}

static void draining_hides_the_state_and_ends_in_it(void)
{
    struct judge j = fresh();

    PLAY(&j, { 1000, DRAIN, HEALTH_FINE, 0, 0, VERDICT_DRAINING, HEALTH_DRAINED },
         { 1500, DRAIN, HEALTH_FINE, 0, 0, VERDICT_DRAINING, HEALTH_DRAINED },
         BAD_PROBE(2000, CLOSED, DRAINING, DRAINED), BAD_PROBE(3000, CLOSED, DRAINING, DRAINED),
         BAD_PROBE(4000, CLOSED, DRAINING, DRAINED),
         { 5000, UNDRAIN, HEALTH_FINE, 0, 0, VERDICT_DOWN, HEALTH_CLOSED });
    CHECK_INT(judge_verdict(&j, 5000).since_ms, 4000);
}

static void new_settings_keep_the_state(void)
{
    struct judge j = fresh();

    PLAY(&j, ASKED(1000, 0, 5, CLOSED, DOWN, CLOSED));
    judge_configure(&j, &(struct judge_settings){ .rise = 1 });
    PLAY(&j, GOOD_PROBE(2000, HALF_OPEN, CLOSED), GOOD_PROBE(3000, UP, FINE));
    CHECK_INT(j.settings.fall, 3);
}

int main(void)
{
    RUN(a_single_bad_probe_changes_nothing);
    RUN(three_bad_probes_take_it_out_with_the_last_reason);
    RUN(one_wrong_stamp_is_enough);
    RUN(only_a_good_request_ends_what_probes_do_not_see);
    RUN(what_probes_see_they_see_the_end_of);
    RUN(requests_that_fail_open_the_breaker_and_good_probes_do_not_close_it);
    RUN(few_failures_among_many_requests_are_borne);
    RUN(where_few_ask_failures_add_up_over_intervals);
    RUN(the_commonest_reason_is_told);
    RUN(errors_that_are_only_notes_take_nothing_out);
    RUN(what_replies_say_of_a_server_is_told_until_they_say_it_no_more);
    RUN(a_restart_is_told_as_refused_then_loading_then_comes_back_in_steps);
    RUN(where_nobody_asks_probes_alone_bring_it_back);
    RUN(one_bad_probe_while_half_open_is_enough);
    RUN(without_probes_time_alone_leads_to_a_trial);
    RUN(stragglers_while_down_are_no_news);
    RUN(one_that_flaps_stays_out_longer_each_time_up_to_the_limit);
    RUN(chance_spreads_the_back_off_between_half_and_whole);
    RUN(a_calm_minute_forgets_the_back_off);
    RUN(weight_grows_in_steps_after_a_return);
    RUN(a_slow_endpoint_is_told_and_gets_half);
    RUN(draining_hides_the_state_and_ends_in_it);
    RUN(new_settings_keep_the_state);
    return check_report();
}
