/* Which statements an upstream has. */
#include "proxy/sql/pg_prepared.h"
#include "tests/unit/check.h"

static struct pg_prepared prepared;

static uint64_t add(uint64_t id)
{
    uint64_t evicted = 0;

    CHECK_INT(pg_prepared_add(&prepared, id, &evicted), ERR_NONE);
    return evicted;
}

static uint64_t add_ready(uint64_t id)
{
    uint64_t evicted = add(id);

    pg_prepared_settle(&prepared, id, PG_OUTCOME_DONE);
    return evicted;
}

static enum pg_prepared_state state(uint64_t id)
{
    return pg_prepared_find(&prepared, id);
}

static void it_is_there_when_the_server_says_so(void)
{
    CHECK_INT(state(7), PG_PREPARED_ABSENT);
    CHECK_INT(add(7), 0);
    CHECK_INT(state(7), PG_PREPARED_SENT);
    pg_prepared_settle(&prepared, 7, PG_OUTCOME_DONE);
    CHECK_INT(state(7), PG_PREPARED_READY);
    CHECK_INT(add(8), 0);
    pg_prepared_settle(&prepared, 8, PG_OUTCOME_FAILED);
    CHECK_INT(state(8), PG_PREPARED_ABSENT);
    CHECK_INT(add(8), 0);
    pg_prepared_settle(&prepared, 8, PG_OUTCOME_SKIPPED);
    CHECK_INT(state(8), PG_PREPARED_ABSENT);
    pg_prepared_settle(&prepared, 7, PG_OUTCOME_SKIPPED); /* it was no Parse of this one */
    CHECK_INT(state(7), PG_PREPARED_READY);
    pg_prepared_remove(&prepared, 7);
    pg_prepared_remove(&prepared, 7);
    CHECK_INT(state(7), PG_PREPARED_ABSENT);
    pg_prepared_fini(&prepared);
}

static void the_one_used_least_lately_goes(void)
{
    prepared.max = 3;
    CHECK_INT(add_ready(1), 0);
    CHECK_INT(add_ready(2), 0);
    CHECK_INT(add_ready(3), 0);
    CHECK_INT(state(1), PG_PREPARED_READY);
    CHECK_INT(add_ready(4), 2);
    CHECK_INT(state(2), PG_PREPARED_ABSENT);
    CHECK_INT(add_ready(5), 3);
    CHECK_INT(add_ready(6), 1);
    CHECK_INT(prepared.count, 3);
    pg_prepared_clear(&prepared);
    CHECK_INT(prepared.count, 0);
    CHECK_INT(state(6), PG_PREPARED_ABSENT);
    CHECK_INT(prepared.max, 3);
    CHECK_INT(add_ready(6), 0);
    pg_prepared_fini(&prepared);
}

static void what_was_skipped_leaves_the_unnamed_one(void)
{
    pg_prepared_unnamed_becomes(&prepared, 7);
    pg_prepared_unnamed_becomes(&prepared, 8);
    CHECK(pg_prepared_unnamed_is(&prepared, 8));
    prepared.syncs++;
    CHECK(!pg_prepared_unnamed_is(&prepared, 8)); /* it may be skipped */
    pg_prepared_unnamed_settle(&prepared, 7, PG_OUTCOME_DONE);
    CHECK(!pg_prepared_unnamed_is(&prepared, 7));
    pg_prepared_unnamed_settle(&prepared, 8, PG_OUTCOME_SKIPPED);
    CHECK(pg_prepared_unnamed_is(&prepared, 7));
    pg_prepared_unnamed_becomes(&prepared, PG_UNNAMED_UNKNOWN);
    pg_prepared_unnamed_settle(&prepared, PG_UNNAMED_UNKNOWN, PG_OUTCOME_DONE);
    CHECK(!pg_prepared_unnamed_is(&prepared, 7) && !pg_prepared_unnamed_is(&prepared, 0));
    pg_prepared_unnamed_becomes(&prepared, 7);
    pg_prepared_unnamed_settle(&prepared, 7, PG_OUTCOME_FAILED);
    CHECK(pg_prepared_unnamed_is(&prepared, 0));
    pg_prepared_fini(&prepared);
}

static void what_is_under_way_stays(void)
{
    uint64_t evicted = 99;

    prepared.max = 2;
    CHECK_INT(add(1), 0);
    CHECK_INT(add_ready(2), 0);
    CHECK_INT(add(3), 2);
    CHECK_INT(pg_prepared_add(&prepared, 4, &evicted), ERR_AGAIN);
    CHECK_INT(evicted, 99);
    pg_prepared_settle(&prepared, 1, PG_OUTCOME_DONE);
    CHECK_INT(pg_prepared_add(&prepared, 4, &evicted), ERR_NONE);
    CHECK_INT(evicted, 1);
    pg_prepared_fini(&prepared);
}

static void what_a_text_needs_makes_no_room_for_what_else_it_needs(void)
{
    prepared.max = 2;
    add_ready(7);
    add_ready(8);
    pg_prepared_begin_text(&prepared);
    CHECK_INT(state(7), PG_PREPARED_READY);
    CHECK_INT(add(9), 8);
    CHECK_INT(add(10), 0);
    CHECK_INT(pg_prepared_surplus(&prepared), 0);
    pg_prepared_end_text(&prepared);
    CHECK_INT(state(7), PG_PREPARED_READY);
    CHECK_INT(state(9), PG_PREPARED_SENT);
    pg_prepared_settle(&prepared, 9, PG_OUTCOME_DONE);
    pg_prepared_settle(&prepared, 10, PG_OUTCOME_DONE);
    CHECK_INT(pg_prepared_surplus(&prepared), 10);
    pg_prepared_begin_text(&prepared);
    CHECK_INT(add(11), 7);
    CHECK_INT(state(9), PG_PREPARED_READY);
    pg_prepared_end_text(&prepared);
    pg_prepared_fini(&prepared);
}

static void a_close_that_was_skipped_leaves_it_there(void)
{
    prepared.max = 1;
    CHECK_INT(add_ready(1), 0);
    CHECK_INT(add(2), 1); /* Close 1, Parse 2: both skipped */
    pg_prepared_restore(&prepared, 1);
    pg_prepared_settle(&prepared, 2, PG_OUTCOME_SKIPPED);
    CHECK_INT(state(1), PG_PREPARED_READY);
    CHECK_INT(state(2), PG_PREPARED_ABSENT);
    CHECK_INT(prepared.count, 1);

    prepared.max = 2; /* Close 1, Parse 3, and then Parse 1 again: all skipped */
    CHECK_INT(add_ready(2), 0);
    CHECK_INT(add(3), 1);
    CHECK_INT(add(1), 2);
    pg_prepared_restore(&prepared, 1);
    pg_prepared_settle(&prepared, 3, PG_OUTCOME_SKIPPED);
    pg_prepared_restore(&prepared, 2);
    pg_prepared_settle(&prepared, 1, PG_OUTCOME_SKIPPED);
    CHECK_INT(state(1), PG_PREPARED_READY);
    CHECK_INT(state(2), PG_PREPARED_READY);
    CHECK_INT(state(3), PG_PREPARED_ABSENT);
    CHECK_INT(prepared.count, 2);
    pg_prepared_fini(&prepared);
}

static void a_close_between_syncs_has_the_last_word(void)
{
    CHECK_INT(add_ready(1), 0);
    pg_prepared_remove(&prepared, 1); /* Close 1, skipped; behind a Sync Close 1 and Parse 1 */
    CHECK_INT(add(1), 0);
    pg_prepared_restore(&prepared, 1);
    pg_prepared_closed(&prepared, 1);
    pg_prepared_settle(&prepared, 1, PG_OUTCOME_FAILED);
    CHECK_INT(state(1), PG_PREPARED_ABSENT);

    CHECK_INT(add_ready(1), 0);
    pg_prepared_remove(&prepared, 1);
    pg_prepared_restore(&prepared, 1);
    CHECK_INT(state(1), PG_PREPARED_READY);
    pg_prepared_closed(&prepared, 1);
    CHECK_INT(state(1), PG_PREPARED_ABSENT);
    pg_prepared_closed(&prepared, 1);
    pg_prepared_fini(&prepared);
}

static void what_came_back_beyond_the_limit_goes_again(void)
{
    prepared.max = 2;
    CHECK_INT(add_ready(1), 0);
    CHECK_INT(add_ready(2), 0);
    CHECK_INT(pg_prepared_surplus(&prepared), 0);
    pg_prepared_remove(&prepared, 2);
    CHECK_INT(add_ready(3), 0);
    pg_prepared_restore(&prepared, 2);
    CHECK_INT(prepared.count, 3);
    CHECK_INT(add_ready(4), 1);
    CHECK_INT(pg_prepared_surplus(&prepared), 3);
    CHECK_INT(pg_prepared_surplus(&prepared), 0);
    CHECK_INT(prepared.count, 2);
    pg_prepared_fini(&prepared);
}

static void many_come_and_go_in_any_order(void)
{
    enum { IDS = 1000, ROUNDS = 20000 };
    static bool is_there[IDS + 1];
    uint32_t random = 1, count = 0;

    prepared.max = PG_PREPARED_MOST;
    for (int i = 0; i < ROUNDS; i++) {
        uint64_t id;

        random = random * 1103515245 + 12345;
        id = random / 65536 % IDS + 1;
        CHECK_INT(state(id) == PG_PREPARED_READY, is_there[id]);
        if (is_there[id])
            pg_prepared_remove(&prepared, id);
        else
            CHECK_INT(add_ready(id), 0);
        count += is_there[id] ? -1u : 1u;
        is_there[id] = !is_there[id];
        CHECK_INT(prepared.count, count);
    }
    for (uint64_t id = 1; id <= IDS; id++)
        CHECK_INT(state(id) == PG_PREPARED_READY, is_there[id]);
    pg_prepared_fini(&prepared);
}

int main(void)
{
    RUN(it_is_there_when_the_server_says_so);
    RUN(the_one_used_least_lately_goes);
    RUN(what_was_skipped_leaves_the_unnamed_one);
    RUN(what_is_under_way_stays);
    RUN(what_a_text_needs_makes_no_room_for_what_else_it_needs);
    RUN(a_close_that_was_skipped_leaves_it_there);
    RUN(a_close_between_syncs_has_the_last_word);
    RUN(what_came_back_beyond_the_limit_goes_again);
    RUN(many_come_and_go_in_any_order);
    return check_report();
}
