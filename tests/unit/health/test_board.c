#include "health/board.h"

#include "health/tally.h"
#include "tests/unit/check.h"

static void a_new_board_is_all_up(void)
{
    struct board *b = board_new(3, 0);

    for (size_t i = 0; i < 3; i++) {
        CHECK(board_is_up(b, i));
        CHECK_INT(board_get(b, i).weight_percent, 100);
        CHECK_INT(board_get(b, i).reason, HEALTH_FINE);
    }
    board_free(&b);
    CHECK(b == NULL);
}

static void every_verdict_comes_back_as_it_was_put(void)
{
    struct board *b = board_new(2, 0);

    for (int state = VERDICT_UP; state <= VERDICT_DRAINING; state++) {
        for (int reason = 0; reason < HEALTH_REASONS; reason++) {
            struct verdict v = { .state = (enum verdict_state)state,
                                 .reason = (enum health_reason)reason,
                                 .weight_percent = (uint8_t)(100 - reason),
                                 .since_ms = (UINT64_C(1) << 48) - 1 - (uint64_t)reason },
                           got;

            board_put(b, 1, &v);
            got = board_get(b, 1);
            CHECK_INT(got.state, v.state);
            CHECK_INT(got.reason, v.reason);
            CHECK_INT(got.weight_percent, v.weight_percent);
            CHECK_INT(got.since_ms, v.since_ms);
            CHECK_INT(board_is_up(b, 1), state == VERDICT_UP);
        }
    }
    CHECK(board_is_up(b, 0));
    board_free(&b);
}

static void tallies_of_all_workers_add_up_and_are_told_once(void)
{
    struct tally_sheet *sheets[2] = { tally_new(2), tally_new(2) };
    struct tally_seen seen = { 0 };
    struct judge_tally t;

    tally_success(sheets[0], 1, 100);
    tally_success(sheets[1], 1, 300);
    tally_success(sheets[1], 0, 9999);
    tally_failure(sheets[0], 1, HEALTH_CLOSED);
    tally_failure(sheets[1], 1, HEALTH_CLOSED);
    tally_collect(sheets, 2, 1, &seen, &t);
    CHECK_INT(t.successes, 2);
    CHECK_INT(t.latency_us, 200);
    CHECK_INT(t.failures[HEALTH_CLOSED], 2);
    CHECK_INT(t.failures[HEALTH_LOADING], 0);

    tally_success(sheets[0], 1, 50);
    tally_collect(sheets, 2, 1, &seen, &t);
    CHECK_INT(t.successes, 1);
    CHECK_INT(t.latency_us, 50);
    CHECK_INT(t.failures[HEALTH_CLOSED], 0);

    tally_collect(sheets, 2, 1, &seen, &t);
    CHECK_INT(t.successes, 0);
    CHECK_INT(t.latency_us, 0);
    tally_free(&sheets[0]);
    tally_free(&sheets[1]);
}

static void errors_have_reasons(void)
{
    CHECK_INT(reason_of_err(ERR_NONE, true), HEALTH_FINE);
    CHECK_INT(reason_of_err(ERR_TIMEOUT, true), HEALTH_CONNECT_TIMEOUT);
    CHECK_INT(reason_of_err(ERR_TIMEOUT, false), HEALTH_RESPONSE_TIMEOUT);
    CHECK_INT(reason_of_err(ERR_CONNECT, true), HEALTH_CONNECT_REFUSED);
    CHECK_INT(reason_of_err(ERR_CLOSED, true), HEALTH_CONNECT_REFUSED);
    CHECK_INT(reason_of_err(ERR_CLOSED, false), HEALTH_CLOSED);
    CHECK_INT(reason_of_err(ERR_STAMP, false), HEALTH_STAMP_MISMATCH);
    CHECK(reason_is_failure(HEALTH_STAMP_MISMATCH) && reason_is_fatal(HEALTH_STAMP_MISMATCH));
    CHECK(reason_is_failure(HEALTH_LOADING) && !reason_is_fatal(HEALTH_LOADING));
    CHECK(!reason_is_failure(HEALTH_FINE) && !reason_is_failure(HEALTH_OOM));
    CHECK_TEXT(reason_word(HEALTH_RESPONSE_TIMEOUT), "response_timeout");
    CHECK_TEXT(reason_text(HEALTH_RESPONSE_TIMEOUT), "no response in time");
}

int main(void)
{
    RUN(a_new_board_is_all_up);
    RUN(every_verdict_comes_back_as_it_was_put);
    RUN(tallies_of_all_workers_add_up_and_are_told_once);
    RUN(errors_have_reasons);
    return check_report();
}
