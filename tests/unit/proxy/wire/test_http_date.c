#include "proxy/wire/http_date.h"

#include <time.h>

#include "tests/unit/check.h"

#define NOW INT64_C(1795863600) /* 28 November 2026 */

static int64_t seconds;

static void the_three_forms_of_http_say_the_same(void)
{
    static const char *const forms[] = {
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
    };

    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        seconds = 0;
        CHECK_INT(http_date_read(slice_text(forms[i]), NOW, &seconds), ERR_NONE);
        CHECK_INT(seconds, 784111777);
    }
    CHECK_INT(http_date_read(bytes("Sun Nov 16 08:49:37 1994"), NOW, &seconds), ERR_NONE);
    CHECK_INT(seconds, 784975777);
}

static void years_of_two_digits_are_near_now(void)
{
    CHECK_INT(http_date_read(bytes("Sunday, 01-Jan-76 00:00:00 GMT"), NOW, &seconds), ERR_NONE);
    CHECK_INT(seconds, INT64_C(3345062400)); /* 2076 */
    CHECK_INT(http_date_read(bytes("Sunday, 01-Jan-77 00:00:00 GMT"), NOW, &seconds), ERR_NONE);
    CHECK_INT(seconds, 220924800); /* 1977 */
    CHECK_INT(
        http_date_read(bytes("Sunday, 01-Jan-01 00:00:00 GMT"), INT64_C(3976214400), &seconds),
        ERR_NONE);
    CHECK_INT(seconds, INT64_C(4133980800)); /* asked in 2096: 2101 */
}

static void what_is_no_date_is_refused(void)
{
    static const char *const refused[] = {
        "",
        "x",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "Sun, 06 nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, 31 Nov 1994 08:49:37 GMT",
        "Sun, 00 Nov 1994 08:49:37 GMT",
        "Wed, 29 Feb 2100 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, +6 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT ",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "S1n Nov  6 08:49:37 1994",
        "Sun, 06-Nov-94 08:49:37 GMT",
        "Sunday, 06-Nov-1994 08:49:37 GMT",
        "784111777",
    };

    seconds = 42;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CHECK_INT(http_date_read(slice_text(refused[i]), NOW, &seconds), ERR_SYNTAX);
    CHECK_INT(seconds, 42);
}

/* The C library is the oracle, over all years that can be written. */
static void dates_are_those_of_the_calendar(void)
{
    for (int64_t at = INT64_C(-62135596800); at < INT64_C(253402300800); at += 86400 * 23 + 12345) {
        time_t time = (time_t)at;
        uint8_t date[HTTP_DATE_BYTES], basic[ISO_BASIC_BYTES], extended[ISO_EXTENDED_BYTES];
        char text[40], year[8];
        struct tm tm;

        CHECK(gmtime_r(&time, &tm) != NULL);
        snprintf(year, sizeof(year), "%04d", (tm.tm_year + 1900) % 10000);
        strftime(text, sizeof(text), "%a, %d %b YYYY %H:%M:%S GMT", &tm);
        memcpy(text + 12, year, 4);
        http_date_write(at, date);
        CHECK_BYTES(slice_of(date, sizeof(date)), slice_text(text));
        CHECK_INT(http_date_read(slice_of(date, sizeof(date)), NOW, &seconds), ERR_NONE);
        CHECK_INT(seconds, at);

        strftime(text, sizeof(text), "YYYY%m%dT%H%M%SZ", &tm);
        memcpy(text, year, 4);
        iso_basic_write(at, basic);
        CHECK_BYTES(slice_of(basic, sizeof(basic)), slice_text(text));
        CHECK_INT(iso_basic_read(slice_of(basic, sizeof(basic)), &seconds), ERR_NONE);
        CHECK_INT(seconds, at);

        strftime(text, sizeof(text), "YYYY-%m-%dT%H:%M:%S.007Z", &tm);
        memcpy(text, year, 4);
        iso_extended_write(at * 1000 + 7, extended);
        CHECK_BYTES(slice_of(extended, sizeof(extended)), slice_text(text));
        CHECK_INT(iso_extended_read(slice_of(extended, sizeof(extended)), &seconds), ERR_NONE);
        CHECK_INT(seconds, at * 1000 + 7);
    }
}

static void the_basic_form_is_exact(void)
{
    static const char *const refused[] = {
        "20260102T030405",      "20260102T030405z",  "20260102t030405Z",
        "2026-01-02T03:04:05Z", "20260102T030405ZZ", "2026010 T030405Z",
        "20261302T030405Z",     "20260230T030405Z",  "",
    };

    CHECK_INT(iso_basic_read(bytes("20260102T030405Z"), &seconds), ERR_NONE);
    CHECK_INT(seconds, 1767323045);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CHECK_INT(iso_basic_read(slice_text(refused[i]), &seconds), ERR_SYNTAX);
    CHECK_INT(seconds, 1767323045);
}

static void the_extended_form_may_have_a_fraction_and_an_offset(void)
{
    static const struct {
        const char *text;
        int64_t milliseconds;
    } cases[] = {
        { "2026-11-28T11:00:00.000Z", INT64_C(1795863600000) },
        { "2026-11-28T11:00:00Z", INT64_C(1795863600000) },
        { "2026-11-28T11:00:00.5Z", INT64_C(1795863600500) },
        { "2026-11-28T11:00:00.123456789Z", INT64_C(1795863600123) },
        { "2026-11-28T12:30:00.000+01:30", INT64_C(1795863600000) },
        { "2026-11-28T10:00:00-01:00", INT64_C(1795863600000) },
        { "1969-12-31T23:59:59.999Z", -1 },
    };
    static const char *const refused[] = {
        "2026-11-28T11:00:00",
        "2026-11-28T11:00:00.Z",
        "2026-11-28T11:00:00.1234567890Z",
        "2026-11-28T11:00:00+0100",
        "2026-11-28T11:00:00+24:00",
        "2026-11-28 11:00:00Z",
        "2026-11-28T11:00:00.000",
        "2026-11-28T11:00:00ZZ",
        "2026-11-31T11:00:00Z",
        "",
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        CHECK_INT(iso_extended_read(slice_text(cases[i].text), &seconds), ERR_NONE);
        CHECK_INT(seconds, cases[i].milliseconds);
    }
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CHECK_INT(iso_extended_read(slice_text(refused[i]), &seconds), ERR_SYNTAX);
}

static void what_four_digits_cannot_say_is_written_as_the_nearest(void)
{
    uint8_t date[HTTP_DATE_BYTES];
    uint8_t extended[ISO_EXTENDED_BYTES];

    http_date_write(INT64_MAX, date);
    CHECK_BYTES(slice_of(date, sizeof(date)), bytes("Fri, 31 Dec 9999 23:59:59 GMT"));
    http_date_write(INT64_MIN, date);
    CHECK_BYTES(slice_of(date, sizeof(date)), bytes("Mon, 01 Jan 0001 00:00:00 GMT"));
    iso_extended_write(-1, extended);
    CHECK_BYTES(slice_of(extended, sizeof(extended)), bytes("1969-12-31T23:59:59.999Z"));
    iso_extended_write(INT64_MIN, extended);
    iso_extended_write(INT64_MAX, extended);
}

int main(void)
{
    RUN(the_three_forms_of_http_say_the_same);
    RUN(years_of_two_digits_are_near_now);
    RUN(what_is_no_date_is_refused);
    RUN(dates_are_those_of_the_calendar);
    RUN(the_basic_form_is_exact);
    RUN(the_extended_form_may_have_a_fraction_and_an_offset);
    RUN(what_four_digits_cannot_say_is_written_as_the_nearest);
    return check_report();
}
