#include "health/board.h"

#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

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

static void a_new_board_knows_of_no_standing_and_no_primary(void)
{
    struct board *b = board_new(2, 2);

    for (size_t i = 0; i < 2; i++) {
        CHECK_INT(board_role(b, i), STANDING_ROLE_UNKNOWN);
        CHECK_INT(board_fit(b, i), STANDING_UNKNOWN);
        CHECK_INT(board_standing(b, i).measured_us, 0);
        CHECK_INT(board_primary(b, i).endpoint, BOARD_NONE);
        CHECK_INT(board_epoch(b, i), 0);
    }
    board_free(&b);
}

static bool is_same_standing(const struct standing *a, const struct standing *b)
{
    return a->role == b->role && a->fit == b->fit && a->timeline == b->timeline &&
           a->system_id == b->system_id && a->lsn == b->lsn && a->received_lsn == b->received_lsn &&
           a->lag_is_known == b->lag_is_known && a->lag_bytes == b->lag_bytes &&
           a->lag_us == b->lag_us && a->started_wall_us == b->started_wall_us &&
           a->measured_us == b->measured_us && a->version == b->version &&
           a->is_read_only == b->is_read_only && a->replay_is_paused == b->replay_is_paused &&
           a->is_assumed == b->is_assumed;
}

static void every_standing_comes_back_as_it_was_put(void)
{
    struct board *b = board_new(2, 0);
    struct standing none = { 0 };

    for (unsigned i = 0; i < 3u * STANDING_FITS * 16; i++) {
        struct standing s = { .role = (enum standing_role)(i % 3),
                              .fit = (enum standing_fit)(i / 3 % STANDING_FITS),
                              .lag_is_known = (i & 1) != 0,
                              .is_read_only = (i & 2) != 0,
                              .replay_is_paused = (i & 4) != 0,
                              .is_assumed = (i & 8) != 0,
                              .timeline = UINT32_MAX - i,
                              .version = 999999 - i,
                              .system_id = UINT64_MAX - i,
                              .lsn = UINT64_MAX - 1 - i,
                              .received_lsn = UINT64_MAX - 2 - i,
                              .lag_bytes = UINT64_MAX - 3 - i,
                              .lag_us = UINT64_MAX - 4 - i,
                              .started_wall_us = -5 - (int64_t)i,
                              .measured_us = UINT64_MAX - 6 - i },
                        got;

        board_put_standing(b, 1, &s);
        got = board_standing(b, 1);
        CHECK(is_same_standing(&got, &s));
        CHECK_INT(board_role(b, 1), s.role);
        CHECK_INT(board_fit(b, 1), s.fit);
        CHECK(board_lsn(b, 1) == s.lsn);
        got = board_standing(b, 0);
        CHECK(is_same_standing(&got, &none));
    }
    board_free(&b);
}

static void a_pools_primary_comes_back_as_it_was_put(void)
{
    struct board *b = board_new(0, 2);
    struct board_primary p = { .epoch = UINT32_MAX,
                               .endpoint = UINT32_MAX - 1,
                               .since_ms = UINT64_MAX - 2,
                               .system_id = UINT64_MAX - 3,
                               .timeline = UINT32_MAX - 4,
                               .first_lsn = UINT64_MAX - 5 },
                         got;

    board_put_primary(b, 1, &p);
    got = board_primary(b, 1);
    CHECK_INT(got.epoch, p.epoch);
    CHECK_INT(got.endpoint, p.endpoint);
    CHECK_INT(got.since_ms, p.since_ms);
    CHECK_INT(got.system_id, p.system_id);
    CHECK_INT(got.timeline, p.timeline);
    CHECK_INT(got.first_lsn, p.first_lsn);
    CHECK_INT(board_epoch(b, 1), UINT32_MAX);
    CHECK_INT(board_primary(b, 0).endpoint, BOARD_NONE);
    board_free(&b);
}

enum { WRITINGS = 100000 };

static void *write_on(void *arg)
{
    struct board *b = arg;

    for (uint64_t i = 1; i <= WRITINGS; i++) {
        board_put_standing(b, 0,
                           &(struct standing){ .timeline = (uint32_t)i,
                                               .lsn = i,
                                               .received_lsn = i,
                                               .lag_bytes = i,
                                               .lag_us = i,
                                               .system_id = i,
                                               .started_wall_us = (int64_t)i,
                                               .measured_us = i });
        board_put_primary(b, 0,
                          &(struct board_primary){ .epoch = (uint32_t)i,
                                                   .endpoint = (uint32_t)i,
                                                   .since_ms = i,
                                                   .system_id = i,
                                                   .timeline = (uint32_t)i,
                                                   .first_lsn = i });
    }
    return NULL;
}

static void what_is_read_was_written_together(void)
{
    struct board *b = board_new(1, 1);
    uint64_t torn = 0, back = 0, last = 0;
    pthread_t writer;

    CHECK_INT(pthread_create(&writer, NULL, write_on, b), 0);
    while (last < WRITINGS) {
        struct standing s = board_standing(b, 0);
        struct board_primary p = board_primary(b, 0);

        torn += s.timeline != s.lsn || s.received_lsn != s.lsn || s.lag_bytes != s.lsn ||
                s.lag_us != s.lsn || s.system_id != s.lsn || (uint64_t)s.started_wall_us != s.lsn ||
                s.measured_us != s.lsn;
        if (p.epoch > 0) {
            torn += p.endpoint != p.epoch || p.since_ms != p.epoch || p.system_id != p.epoch ||
                    p.timeline != p.epoch || p.first_lsn != p.epoch;
            back += p.epoch < last;
            last = p.epoch;
        }
    }
    pthread_join(writer, NULL);
    CHECK_INT(torn, 0);
    CHECK_INT(back, 0);
    board_free(&b);
}

static void who_listens_hears_once_of_each_pool_that_rings(void)
{
    struct board *b = board_new(0, 3);
    int bell = eventfd(0, EFD_NONBLOCK);
    uint64_t rings = 0;

    board_ring(b, 0); /* nobody listens yet */
    CHECK(board_was_rung(b, 0));
    board_listen(b, bell);
    CHECK(!board_was_rung(b, 0) && !board_was_rung(b, 1) && !board_was_rung(b, 2));
    for (int i = 0; i < 5; i++) {
        board_ring(b, 0);
        board_ring(b, 2);
    }
    CHECK_INT(read(bell, &rings, sizeof(rings)), sizeof(rings));
    CHECK_INT(rings, 2); /* one system call a pool */
    CHECK(board_was_rung(b, 0) && !board_was_rung(b, 1) && board_was_rung(b, 2));
    CHECK(!board_was_rung(b, 0));
    board_ring(b, 0);
    CHECK_INT(read(bell, &rings, sizeof(rings)), sizeof(rings));
    close(bell);
    board_ring(b, 1); /* at the end workers may be the last: the board has its own descriptor */
    board_free(&b);
}

static void standings_have_words(void)
{
    CHECK_TEXT(standing_role_name(STANDING_ROLE_REPLICA), "replica");
    CHECK_TEXT(standing_fit_word(STANDING_UNKNOWN), "unknown");
    CHECK_TEXT(standing_fit_word(STANDING_LAGGING), "lagging");
    CHECK_TEXT(standing_fit_text(STANDING_OTHER_CLUSTER), "belongs to another cluster");
}

int main(void)
{
    RUN(a_new_board_is_all_up);
    RUN(every_verdict_comes_back_as_it_was_put);
    RUN(a_new_board_knows_of_no_standing_and_no_primary);
    RUN(every_standing_comes_back_as_it_was_put);
    RUN(a_pools_primary_comes_back_as_it_was_put);
    RUN(what_is_read_was_written_together);
    RUN(who_listens_hears_once_of_each_pool_that_rings);
    RUN(standings_have_words);
    RUN(tallies_of_all_workers_add_up_and_are_told_once);
    RUN(errors_have_reasons);
    return check_report();
}
