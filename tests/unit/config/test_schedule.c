/* Schedules against a set clock, in a zone with summer time. */
#include "config/schedule.h"

#include <stdlib.h>
#include <time.h>

#include "tests/unit/check.h"

/* "2026-11-28 02:59:59" in local time. */
static int64_t at(const char *text)
{
    struct tm tm = { .tm_isdst = -1 };

    strptime(text, "%Y-%m-%d %H:%M:%S", &tm);
    return mktime(&tm);
}

static struct schedule read_it(const char *text)
{
    struct schedule s = { 0 };
    struct buf why = { 0 };

    if (schedule_parse(text, &s, &why) != ERR_NONE) {
        printf("\"%s\": %.*s\n", text, (int)why.len, (const char *)why.at);
        CHECK(false);
    }
    buf_fini(&why);
    return s;
}

static void check_next(const char *text, const char *now, const char *expected)
{
    struct schedule s = read_it(text);
    time_t found = (time_t)schedule_next(&s, at(now));
    struct tm tm;
    char line[32] = "never";

    if (found != 0)
        strftime(line, sizeof(line), "%Y-%m-%d %H:%M:%S", localtime_r(&found, &tm));
    CHECK_TEXT(line, expected);
}

static void three_fields_are_minute_hour_and_weekday(void)
{
    check_next("0 3 *", "2026-11-28 02:59:59", "2026-11-28 03:00:00");
    check_next("0 3 *", "2026-11-28 03:00:00", "2026-11-29 03:00:00");
    check_next("30 * 6", "2026-11-28 12:00:00", "2026-11-28 12:30:00"); /* a Saturday */
    check_next("30 * 6", "2026-11-28 23:30:00", "2026-12-05 00:30:00");
    check_next("0 3 1", "2026-11-28 12:00:00", "2026-11-30 03:00:00");
    check_next("0 3 7", "2026-11-28 12:00:00", "2026-11-29 03:00:00");
    check_next("0 3 sun", "2026-11-28 12:00:00", "2026-11-29 03:00:00");
}

static void five_fields_are_crons(void)
{
    check_next("0 3 1,15 * *", "2026-11-28 12:00:00", "2026-12-01 03:00:00");
    check_next("*/20 8-10 * * *", "2026-11-28 08:40:00", "2026-11-28 09:00:00");
    check_next("*/20 8-10 * * *", "2026-11-28 10:40:00", "2026-11-29 08:00:00");
    check_next("5/30 * * * *", "2026-11-28 10:06:00", "2026-11-28 10:35:00");
    check_next("0 0 * jan-mar *", "2026-11-28 12:00:00", "2027-01-01 00:00:00");
    check_next("0 0 29 2 *", "2026-11-28 12:00:00", "2028-02-29 00:00:00");
    check_next("0 0 31 2 *", "2026-11-28 12:00:00", "never");
    check_next("0 0 * * 0", "2026-11-28 12:00:00", "2026-11-29 00:00:00");
    check_next("0 0 * * 7", "2026-11-28 12:00:00", "2026-11-29 00:00:00");
    check_next("* * * * *", "2026-12-31 23:59:00", "2027-01-01 00:00:00");
}

static void either_day_will_do_if_both_are_given(void)
{
    check_next("0 0 5 * 1", "2026-11-28 12:00:00", "2026-11-30 00:00:00");
    check_next("0 0 5 * 1", "2026-12-01 12:00:00", "2026-12-05 00:00:00");
}

static void an_hour_that_is_left_out_is_passed_over(void)
{
    check_next("30 2 *", "2026-03-28 12:00:00", "2026-03-30 02:30:00");
}

static void an_hour_that_comes_twice_is_due_once(void)
{
    struct schedule s = read_it("30 2 *");
    int64_t first_s = schedule_next(&s, at("2026-10-25 01:00:00"));

    CHECK_INT(first_s, at("2026-10-25 01:00:00") + 90 * 60);
    CHECK_INT(schedule_next(&s, first_s), at("2026-10-26 02:30:00"));
}

static void nonsense_is_refused(void)
{
    static const char *const TEXTS[] = {
        "",        "3",          "0 3",         "60 3 *",     "0 24 *",      "0 3 0",
        "0 3 8",   "x 3 *",      "0 3 * *",     "0 3 * * 8",  "0 3 0 * *",   "0 3 32 * *",
        "0 3 * 0", "0 3 * 13 *", "0 3 * * * *", ", 3 *",      "1,,2 3 *",    "5-1 3 *",
        "*-3 3 *", "*/0 3 *",    "*/x 3 *",     "1-/2 3 * x", "0 3 * foo *", "99999999999 3 *",
        "1- 3 *",  "*- 3 *",     "1,2, 3 *",    "1-2- 3 *",   "mon 3 *",     "0 3 * * mon-",
    };

    for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
        struct schedule s = { .minutes = 1 };
        struct buf why = { 0 };
        bool refused = schedule_parse(TEXTS[i], &s, &why) != ERR_NONE;

        if (!refused || why.len == 0 || s.minutes != 1)
            printf("\"%s\" is taken\n", TEXTS[i]);
        CHECK(refused && why.len > 0 && s.minutes == 1);
        buf_fini(&why);
    }
}

static void what_is_never_due_is_never_due(void)
{
    struct schedule none = { 0 };

    CHECK_INT(schedule_next(&none, at("2026-11-28 12:00:00")), 0);
}

int main(void)
{
    setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3", 1);
    tzset();
    RUN(three_fields_are_minute_hour_and_weekday);
    RUN(five_fields_are_crons);
    RUN(either_day_will_do_if_both_are_given);
    RUN(an_hour_that_is_left_out_is_passed_over);
    RUN(an_hour_that_comes_twice_is_due_once);
    RUN(nonsense_is_refused);
    RUN(what_is_never_due_is_never_due);
    return check_report();
}
