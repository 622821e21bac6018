#include "tests/unit/check.h"

#include "replica/policy.h"

enum { ROUNDS = 6000 };

static const struct position NOWHERE;

/* Three that are well. */
static void init_three(struct policy_candidate three[3])
{
    for (int i = 0; i < 3; i++)
        three[i] = (struct policy_candidate){ .is_usable = true,
                                              .is_position_known = true,
                                              .weight = 1,
                                              .slow_start_share = 1000,
                                              .position = { 7, 1, 100 } };
}

static void count(const struct policy *policy, const struct policy_candidate *three,
                  unsigned counts[3])
{
    struct policy_turn turn = { 0 };

    memset(counts, 0, 3 * sizeof(*counts));
    for (int i = 0; i < ROUNDS; i++) {
        struct policy_choice chosen = policy_choose(policy, &turn, three, 3, &NOWHERE);

        CHECK_INT(chosen.why, POLICY_CHOSEN);
        counts[chosen.index]++;
    }
}

static bool is_about(unsigned found, unsigned expected)
{
    return found + 30 > expected && found < expected + 30;
}

static void round_robin_takes_turns(void)
{
    static const struct policy ROUND_ROBIN;
    struct policy_turn turn = { 0 };
    struct policy_candidate three[3];
    unsigned counts[3];

    init_three(three);
    for (uint32_t i = 0; i < 9; i++)
        CHECK_INT(policy_choose(&ROUND_ROBIN, &turn, three, 3, &NOWHERE).index, i % 3);
    three[1].is_usable = false;
    count(&ROUND_ROBIN, three, counts);
    CHECK_INT(counts[0], ROUNDS / 2);
    CHECK_INT(counts[1], 0);
    three[1].is_usable = true;
    three[1].weight = 0;
    count(&ROUND_ROBIN, three, counts);
    CHECK_INT(counts[1], 0);
}

static void round_robin_keeps_out_of_the_longer_queue(void)
{
    static const struct policy ROUND_ROBIN;
    struct policy_turn turn = { 0 };
    struct policy_candidate three[3];

    init_three(three);
    three[0].waiting = 2;
    three[1].waiting = three[2].waiting = 1;
    for (uint32_t i = 0; i < 9; i++)
        CHECK_INT(policy_choose(&ROUND_ROBIN, &turn, three, 3, &NOWHERE).index,
                  i % 3 == 0 ? 1 : i % 3);
    three[1].waiting = three[2].waiting = 3;
    for (uint32_t i = 0; i < 9; i++)
        CHECK_INT(policy_choose(&ROUND_ROBIN, &turn, three, 3, &NOWHERE).index, 0);
}

static void weights_share_out(void)
{
    static const struct policy WEIGHTED = { .order = POLICY_WEIGHTED };
    struct policy_candidate three[3];
    unsigned counts[3];

    init_three(three);
    three[0].weight = 3;
    three[2].weight = 2;
    count(&WEIGHTED, three, counts);
    CHECK(is_about(counts[0], ROUNDS / 2));
    CHECK(is_about(counts[1], ROUNDS / 6));
    CHECK(is_about(counts[2], ROUNDS / 3));
    for (int i = 0; i < 3; i++)
        three[i].weight = UINT32_MAX;
    count(&WEIGHTED, three, counts);
    CHECK(is_about(counts[1], ROUNDS / 3));
}

static void a_slow_start_gets_its_part(void)
{
    static const struct policy ROUND_ROBIN;
    struct policy_candidate three[3];
    unsigned counts[3];

    init_three(three);
    three[2].slow_start_share = 500;
    count(&ROUND_ROBIN, three, counts);
    CHECK(is_about(counts[0], ROUNDS * 2 / 5));
    CHECK(is_about(counts[2], ROUNDS / 5));
    /* The only one is asked however slowly it starts. */
    three[0].is_usable = three[1].is_usable = false;
    three[2].slow_start_share = 0;
    count(&ROUND_ROBIN, three, counts);
    CHECK_INT(counts[2], ROUNDS);
}

static void the_least_busy_is_asked(void)
{
    static const struct policy LEAST_BUSY = { .order = POLICY_LEAST_BUSY };
    struct policy_turn turn = { 0 };
    struct policy_candidate three[3];
    unsigned counts[3];

    init_three(three);
    three[0].busy = 5;
    three[1].busy = 2;
    three[2].busy = 3;
    CHECK_INT(policy_choose(&LEAST_BUSY, &turn, three, 3, &NOWHERE).index, 1);
    three[0].weight = 10;
    CHECK_INT(policy_choose(&LEAST_BUSY, &turn, three, 3, &NOWHERE).index, 0);
    init_three(three);
    count(&LEAST_BUSY, three, counts);
    CHECK_INT(counts[0], ROUNDS / 3);
    CHECK_INT(counts[1], ROUNDS / 3);
}

static void only_who_has_come_far_enough_is_asked(void)
{
    static const struct policy ROUND_ROBIN;
    struct position needed = { 7, 1, 150 };
    struct policy_turn turn = { 0 };
    struct policy_candidate three[3];
    struct policy_choice chosen;

    init_three(three);
    three[1].position.lsn = 120;
    chosen = policy_choose(&ROUND_ROBIN, &turn, three, 3, &needed);
    CHECK_INT(chosen.index, POLICY_NONE);
    CHECK_INT(chosen.why, POLICY_NOT_YET);
    CHECK_INT(chosen.nearest, 1);
    three[2].position.lsn = 150;
    for (int i = 0; i < 4; i++)
        CHECK_INT(policy_choose(&ROUND_ROBIN, &turn, three, 3, &needed).index, 2);
    three[2].is_position_known = false;
    CHECK_INT(policy_choose(&ROUND_ROBIN, &turn, three, 3, &needed).why, POLICY_NOT_YET);
    CHECK_INT(policy_choose(&ROUND_ROBIN, &turn, three, 3, &NOWHERE).why, POLICY_CHOSEN);
}

static void check_why(const struct policy *policy, const struct policy_candidate *three,
                      size_t candidates, const struct position *needed, enum policy_why why)
{
    struct policy_turn turn = { 0 };
    struct policy_choice chosen = policy_choose(policy, &turn, three, candidates, needed);

    CHECK_INT(chosen.index, POLICY_NONE);
    CHECK_TEXT(policy_why_text(chosen.why), policy_why_text(why));
}

static void why_nobody_is_asked_is_told(void)
{
    static const struct policy LIMITED = { .max_lag_bytes = 1000, .max_lag_ms = 50 };
    static const struct position OLD = { 7, 2, 10 };
    struct policy_candidate three[3];

    init_three(three);
    check_why(&LIMITED, three, 0, &NOWHERE, POLICY_NO_REPLICA);
    check_why(&LIMITED, three, 3, &OLD, POLICY_NO_HISTORY);
    three[0].lag_bytes = 1001;
    three[1].lag_ms = 51;
    three[2].is_usable = false;
    check_why(&LIMITED, three, 3, &NOWHERE, POLICY_ALL_LAG);
    three[0].weight = three[1].weight = 0;
    check_why(&LIMITED, three, 3, &NOWHERE, POLICY_NO_WEIGHT);
    three[0].is_usable = three[1].is_usable = false;
    check_why(&LIMITED, three, 3, &NOWHERE, POLICY_ALL_DOWN);
}

static void more_candidates_than_the_limit_are_left_aside(void)
{
    static const struct policy ROUND_ROBIN;
    struct policy_candidate many[POLICY_CANDIDATE_LIMIT + 10];
    struct policy_turn turn = { 0 };

    for (size_t i = 0; i < POLICY_CANDIDATE_LIMIT + 10; i++)
        many[i] =
            (struct policy_candidate){ .is_usable = true, .weight = 1, .slow_start_share = 1000 };
    for (size_t i = 0; i < 200; i++)
        CHECK(
            policy_choose(&ROUND_ROBIN, &turn, many, POLICY_CANDIDATE_LIMIT + 10, &NOWHERE).index <
            POLICY_CANDIDATE_LIMIT);
}

int main(void)
{
    RUN(round_robin_takes_turns);
    RUN(round_robin_keeps_out_of_the_longer_queue);
    RUN(weights_share_out);
    RUN(a_slow_start_gets_its_part);
    RUN(the_least_busy_is_asked);
    RUN(only_who_has_come_far_enough_is_asked);
    RUN(why_nobody_is_asked_is_told);
    RUN(more_candidates_than_the_limit_are_left_aside);
    return check_report();
}
