/* COMMITs whose answer was lost: what is asked, read, and concluded. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/sql/pg_commit.h"
#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"

static struct pg_commit_mark mark_at(uint64_t lsn, uint64_t recovered, const char *started)
{
    struct pg_commit_mark mark = { .xid = 700,
                                   .lsn = lsn,
                                   .life = { .recovered = recovered, .timeline = 3 } };

    snprintf(mark.life.started, sizeof(mark.life.started), "%s", started);
    return mark;
}

static struct pg_commit_found found_at(uint64_t recovered, const char *started, uint8_t status)
{
    struct pg_commit_found found = { .is_read = true,
                                     .life = { .recovered = recovered, .timeline = 3 },
                                     .status = status };

    snprintf(found.life.started, sizeof(found.life.started), "%s", started);
    return found;
}

/* The message's body, which the caller frees. */
static struct slice row_of(struct buf *out, const char *const *texts, size_t count)
{
    struct pg_value values[8];

    for (size_t i = 0; i < count; i++)
        values[i] = (struct pg_value){ .is_null = texts[i] == NULL,
                                       .bytes = slice_text(texts[i] == NULL ? "" : texts[i]) };
    pg_put_row(out, values, count);
    return slice_from(buf_all(out), 5);
}

static enum err read_mark(const char *const *texts, size_t count, struct pg_commit_mark *mark)
{
    struct buf out = { 0 };
    enum err err = pg_commit_read_mark(row_of(&out, texts, count), mark);

    buf_fini(&out);
    return err;
}

static enum err read_row(const char *const *texts, size_t count, struct pg_commit_found *found)
{
    struct buf out = { 0 };
    enum err err = pg_commit_read_row(row_of(&out, texts, count), found);

    buf_fini(&out);
    return err;
}

static void a_mark_is_read(void)
{
    static const char *const PLAIN[] = { "4294968000", "1/A0", "0/FF", "0000000A",
                                         "20261130011703008836" };
    static const char *const FRESH[] = { NULL, "1/A0", NULL, "00000001", "20261130011703008836" };
    struct pg_commit_mark mark;

    CHECK_INT(read_mark(PLAIN, 5, &mark), ERR_NONE);
    CHECK(mark.xid == 4294968000 && mark.lsn == 0x1000000a0 && mark.life.recovered == 0xff);
    CHECK_INT(mark.life.timeline, 10);
    CHECK_INT(strcmp(mark.life.started, "20261130011703008836"), 0);
    CHECK_INT(read_mark(FRESH, 5, &mark), ERR_NONE);
    CHECK(mark.xid == 0 && mark.life.recovered == 0);
}

static void what_is_no_mark_is_refused(void)
{
    static const char *const BAD[][5] = {
        { "x", "1/A0", NULL, "00000001", "2026" },
        { "1", NULL, NULL, "00000001", "2026" }, /* a standby's */
        { "1", "1", NULL, "00000001", "2026" },
        { "1", "1/A0", "x", "00000001", "2026" },
        { "1", "1/A0", NULL, "1", "2026" },
        { "1", "1/A0", NULL, "0000000x", "2026" },
        { "1", "1/A0", NULL, "00000001", NULL },
        { "1", "1/A0", NULL, "00000001", "123456789012345678901234" },
    };
    struct pg_commit_mark mark = mark_at(1, 2, "before");

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
        CHECK_INT(read_mark(BAD[i], 5, &mark), ERR_PROTOCOL);
    CHECK_INT(read_mark(BAD[0], 4, &mark), ERR_PROTOCOL);
    CHECK_INT(pg_commit_read_mark(bytes("\0\4\0\0"), &mark), ERR_PROTOCOL);
    CHECK_INT(strcmp(mark.life.started, "before"), 0);
}

static void the_question_names_the_transaction(void)
{
    struct pg_commit_mark mark = { .xid = UINT64_MAX };
    struct buf out = { 0 };

    pg_commit_put_query(&out, &mark);
    CHECK(memmem(out.at, out.len, "'18446744073709551615'::pg_catalog.xid8", 39) != NULL);
    buf_fini(&out);
}

static void both_rows_are_read(void)
{
    static const char *const FIRST[] = { "f", "0/10", "00000002", "2026" },
                             *const COMMITTED[] = { "committed" }, *const ABORTED[] = { "aborted" },
                             *const RUNS[] = { "in progress" }, *const FORGOTTEN[] = { NULL };
    struct pg_commit_found found = { 0 };

    CHECK_INT(read_row(COMMITTED, 1, &found), ERR_PROTOCOL);
    CHECK_INT(read_row(FIRST, 4, &found), ERR_NONE);
    CHECK(found.is_read && !found.in_recovery && found.life.recovered == 0x10);
    CHECK_INT(found.life.timeline, 2);
    CHECK_INT(read_row(FIRST, 4, &found), ERR_PROTOCOL);
    CHECK_INT(read_row(COMMITTED, 1, &found), ERR_NONE);
    CHECK_INT(found.status, PG_COMMIT_STATUS_COMMITTED);
    CHECK_INT(read_row(ABORTED, 1, &found), ERR_NONE);
    CHECK_INT(found.status, PG_COMMIT_STATUS_ABORTED);
    CHECK_INT(read_row(RUNS, 1, &found), ERR_NONE);
    CHECK_INT(found.status, PG_COMMIT_STATUS_IN_PROGRESS);
    CHECK_INT(read_row(FORGOTTEN, 1, &found), ERR_NONE);
    CHECK_INT(found.status, PG_COMMIT_STATUS_NONE);
}

static void check(struct pg_commit_mark mark, struct pg_commit_found found, enum pg_commit is)
{
    CHECK_INT(pg_commit_judge(&mark, &found), is);
}

static void a_server_that_lived_on_tells(void)
{
    for (uint64_t recovered = 0; recovered <= 50; recovered += 50) {
        struct pg_commit_mark mark = mark_at(100, recovered, "a");

        check(mark, found_at(recovered, "a", PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_DONE);
        check(mark, found_at(recovered, "a", PG_COMMIT_STATUS_ABORTED), PG_COMMIT_UNDONE);
        check(mark, found_at(recovered, "a", PG_COMMIT_STATUS_IN_PROGRESS), PG_COMMIT_UNDER_WAY);
        check(mark, found_at(recovered, "a", PG_COMMIT_STATUS_NONE), PG_COMMIT_UNKNOWN);
    }
}

/* Or was promoted: another start is another server, too. */
static void a_server_that_has_recovered_tells_of_what_it_had(void)
{
    static const char *const STARTS[] = { "a", "b" };

    for (size_t i = 0; i < 2; i++) {
        struct pg_commit_mark mark = mark_at(100, 50, "a");

        check(mark, found_at(100, STARTS[i], PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_DONE);
        check(mark, found_at(200, STARTS[i], PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_DONE);
        check(mark, found_at(100, STARTS[i], PG_COMMIT_STATUS_ABORTED), PG_COMMIT_UNDONE);
        check(mark, found_at(100, STARTS[i], PG_COMMIT_STATUS_NONE), PG_COMMIT_UNKNOWN);
    }
}

static void a_server_of_the_next_timeline_was_promoted_once(void)
{
    struct pg_commit_mark mark = mark_at(100, 50, "a");
    struct pg_commit_found found = found_at(100, "b", PG_COMMIT_STATUS_COMMITTED);

    found.life.timeline = 4;
    check(mark, found, PG_COMMIT_DONE);
    found.life.recovered = 99;
    check(mark, found, PG_COMMIT_UNDONE);
    for (uint32_t timeline = 2; timeline <= 5; timeline += 3) {
        found.life.timeline = timeline;
        check(mark, found, PG_COMMIT_UNKNOWN);
    }
}

static void a_number_that_was_given_again_is_not_believed(void)
{
    check(mark_at(100, 0, "a"), found_at(99, "a", PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_UNDONE);
    check(mark_at(100, 50, "a"), found_at(60, "b", PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_UNDONE);
    check(mark_at(100, 50, "a"), found_at(60, "a", PG_COMMIT_STATUS_IN_PROGRESS), PG_COMMIT_UNDONE);
}

static void a_server_that_was_started_anew_knows_nothing(void)
{
    check(mark_at(100, 0, "a"), found_at(0, "b", PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_UNKNOWN);
    check(mark_at(100, 50, "a"), found_at(0, "a", PG_COMMIT_STATUS_COMMITTED), PG_COMMIT_UNKNOWN);
}

static void a_server_that_takes_no_writes_is_asked_again(void)
{
    struct pg_commit_found found = found_at(200, "a", PG_COMMIT_STATUS_COMMITTED);

    found.in_recovery = true;
    check(mark_at(100, 0, "a"), found, PG_COMMIT_UNDER_WAY);
    check(mark_at(100, 0, "a"), (struct pg_commit_found){ 0 }, PG_COMMIT_UNDER_WAY);
}

int main(void)
{
    RUN(a_mark_is_read);
    RUN(what_is_no_mark_is_refused);
    RUN(the_question_names_the_transaction);
    RUN(both_rows_are_read);
    RUN(a_server_that_lived_on_tells);
    RUN(a_server_that_has_recovered_tells_of_what_it_had);
    RUN(a_server_of_the_next_timeline_was_promoted_once);
    RUN(a_number_that_was_given_again_is_not_believed);
    RUN(a_server_that_was_started_anew_knows_nothing);
    RUN(a_server_that_takes_no_writes_is_asked_again);
    return check_report();
}
