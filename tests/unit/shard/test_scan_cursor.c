#include "shard/scan_cursor.h"

#include "tests/unit/check.h"

static void a_scan_goes_through_all_shards_and_ends_with_zero(void)
{
    static const uint64_t SERVER[] = { 17, 1, UINT64_C(1) << 40,
                                       0 }; /* what each answers in turn */

    for (uint32_t shards = 1; shards <= 70; shards++) {
        uint64_t cursor = 0;
        uint32_t steps = 0;

        do {
            struct scan_cursor at;

            CHECK(scan_cursor_decode(cursor, shards, &at) == ERR_NONE);
            CHECK_INT(at.shard, steps / 4);
            CHECK(at.server == (steps % 4 == 0 ? 0 : SERVER[steps % 4 - 1]));
            CHECK(scan_cursor_next(at.shard, SERVER[steps % 4], shards, &cursor) == ERR_NONE);
            steps++;
        } while (cursor != 0 && steps < 1000);
        CHECK_INT(steps, 4 * shards);
    }
}

static void with_one_shard_the_cursor_is_the_server_s_own(void)
{
    uint64_t cursor;

    CHECK(scan_cursor_next(0, 12345, 1, &cursor) == ERR_NONE && cursor == 12345);
}

static void a_cursor_is_the_index_below_and_the_server_s_above(void)
{
    uint64_t cursor;

    CHECK(scan_cursor_next(2, 5, 3, &cursor) == ERR_NONE && cursor == (5 << 2 | 2));
    CHECK(scan_cursor_next(1, 0, 3, &cursor) == ERR_NONE && cursor == 2);
    CHECK(scan_cursor_next(2, 0, 3, &cursor) == ERR_NONE && cursor == 0);
}

static void a_server_cursor_fits_up_to_63_bits_in_all_and_not_beyond(void)
{
    struct scan_cursor at;
    uint64_t cursor = 7, largest = (UINT64_C(1) << 61) - 1;

    CHECK(scan_cursor_next(3, largest + 1, 4, &cursor) == ERR_RANGE && cursor == 7);
    CHECK(scan_cursor_next(3, UINT64_MAX, 4, &cursor) == ERR_RANGE);
    CHECK(scan_cursor_next(3, largest, 4, &cursor) == ERR_NONE && cursor == INT64_MAX);
    CHECK(scan_cursor_decode(cursor, 4, &at) == ERR_NONE && at.shard == 3 && at.server == largest);
    CHECK(scan_cursor_next(0, INT64_MAX, 1, &cursor) == ERR_NONE && cursor == INT64_MAX);
    CHECK(scan_cursor_next(0, (uint64_t)INT64_MAX + 1, 1, &cursor) == ERR_RANGE);
}

static void a_foreign_cursor_is_an_error_or_of_a_real_shard(void)
{
    uint64_t cursor = 88172645463325252u;

    for (int i = 0; i < 100000; i++) {
        uint32_t shards = 1 + (uint32_t)(i % 4096);
        struct scan_cursor at = { .shard = UINT32_MAX };
        enum err err;

        cursor ^= cursor << 13;
        cursor ^= cursor >> 7;
        cursor ^= cursor << 17;
        err = scan_cursor_decode(cursor, shards, &at);
        CHECK((err == ERR_NONE && at.shard < shards) ||
              (err == ERR_RANGE && at.shard == UINT32_MAX));
    }
}

static void what_no_shard_could_have_given_is_refused(void)
{
    struct scan_cursor at;

    CHECK(scan_cursor_decode(3, 3, &at) == ERR_RANGE);
    CHECK(scan_cursor_decode(7, 3, &at) == ERR_RANGE);
    CHECK(scan_cursor_decode(UINT64_C(1) << 63, 3, &at) == ERR_RANGE);
    CHECK(scan_cursor_decode(UINT64_MAX, 4, &at) == ERR_RANGE);
}

int main(void)
{
    RUN(a_scan_goes_through_all_shards_and_ends_with_zero);
    RUN(with_one_shard_the_cursor_is_the_server_s_own);
    RUN(a_cursor_is_the_index_below_and_the_server_s_above);
    RUN(a_server_cursor_fits_up_to_63_bits_in_all_and_not_beyond);
    RUN(a_foreign_cursor_is_an_error_or_of_a_real_shard);
    RUN(what_no_shard_could_have_given_is_refused);
    return check_report();
}
