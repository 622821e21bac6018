/* See schedule.h.  The search for the next time goes by days first, so it takes some thousand steps
 * at most, whatever is asked. */
#include "config/schedule.h"

#include <string.h>
#include <strings.h>
#include <time.h>

#include "proxy/base/slice.h"

enum { FIELDS_MOST = 5, YEARS_MOST = 9 };

static const char *const MONTHS[] = { "jan", "feb", "mar", "apr", "may", "jun", "jul",
                                      "aug", "sep", "oct", "nov", "dec", NULL };
static const char *const WEEKDAYS[] = { "sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL };

struct field {
    const char *name;
    unsigned least, most;
    const char *const *words; /* the first stands for `first_word`; NULL: none */
    unsigned first_word;
};

static const struct field MINUTE = { "minute", 0, 59, NULL, 0 };
static const struct field HOUR = { "hour", 0, 23, NULL, 0 };
static const struct field DAY = { "day of the month", 1, 31, NULL, 0 };
static const struct field MONTH = { "month", 1, 12, MONTHS, 1 };
static const struct field WEEKDAY = { "day of the week", 0, 7, WEEKDAYS, 0 };
static const struct field SHORT_WEEKDAY = { "day of the week", 1, 7, WEEKDAYS, 0 };

/* ---- reading ---- */

static enum err complain(const struct field *f, struct buf *why)
{
    buf_format(why, "the %s must be * or %u to %u", f->name, f->least, f->most);
    return ERR_RANGE;
}

static struct slice take_until(struct slice *text, char stop)
{
    const uint8_t *end = memchr(text->at, stop, text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->at);
    struct slice word = slice_of(text->at, len);

    *text = end == NULL ? (struct slice){ text->at + len, 0 } : slice_from(*text, len + 1);
    return word;
}

static bool read_value(const struct field *f, struct slice word, unsigned *out)
{
    uint64_t number;

    for (unsigned i = 0; f->words != NULL && f->words[i] != NULL; i++)
        if (slice_is_word(word, f->words[i])) {
            *out = f->first_word + i;
            return true;
        }
    if (word.len > 2 || !slice_to_u64(word, &number) || number < f->least || number > f->most)
        return false;
    *out = (unsigned)number;
    return true;
}

/* "*", "5", "1-5", "*" "/15", "10-40/5". */
static enum err read_range(const struct field *f, struct slice text, uint64_t *bits,
                           struct buf *why)
{
    bool has_step = memchr(text.at, '/', text.len) != NULL;
    struct slice range = take_until(&text, '/');
    bool has_end = memchr(range.at, '-', range.len) != NULL;
    struct slice low = take_until(&range, '-');
    unsigned from = f->least, to = f->most;
    uint64_t step = 1;

    if (has_step && (text.len > 2 || !slice_to_u64(text, &step) || step == 0)) {
        buf_format(why, "behind the / of the %s a number must stand", f->name);
        return ERR_SYNTAX;
    }
    if (!slice_is_text(low, "*")) {
        if (!read_value(f, low, &from))
            return complain(f, why);
        to = has_step ? f->most : from;
    }
    if (has_end && (slice_is_text(low, "*") || !read_value(f, range, &to) || to < from))
        return complain(f, why);
    for (uint64_t i = from; i <= to; i += step)
        *bits |= (uint64_t)1 << i;
    return ERR_NONE;
}

static enum err read_field(const struct field *f, struct slice text, uint64_t *out, struct buf *why)
{
    uint64_t bits = 0;
    bool has_more;

    do {
        struct slice range;

        has_more = memchr(text.at, ',', text.len) != NULL;
        range = take_until(&text, ',');
        if (range.len == 0)
            return complain(f, why);
        TRY(read_range(f, range, &bits, why));
    } while (has_more);
    *out = bits;
    return ERR_NONE;
}

static size_t split(const char *text, struct slice *fields)
{
    size_t count = 0;

    while (*(text += strspn(text, " \t")) != '\0') {
        size_t len = strcspn(text, " \t");

        if (count == FIELDS_MOST)
            return FIELDS_MOST + 1;
        fields[count++] = slice_of(text, len);
        text += len;
    }
    return count;
}

enum err schedule_parse(const char *text, struct schedule *out, struct buf *why)
{
    struct slice fields[FIELDS_MOST];
    size_t count = split(text, fields);
    uint64_t minutes, hours, days = UINT32_MAX, months = UINT32_MAX, weekdays;

    if (count != 3 && count != FIELDS_MOST) {
        buf_text(why, "must be \"MINUTE HOUR WEEKDAY\" or cron's five fields");
        return ERR_SYNTAX;
    }
    TRY(read_field(&MINUTE, fields[0], &minutes, why));
    TRY(read_field(&HOUR, fields[1], &hours, why));
    if (count == FIELDS_MOST) {
        TRY(read_field(&DAY, fields[2], &days, why));
        TRY(read_field(&MONTH, fields[3], &months, why));
    }
    TRY(read_field(count == 3 ? &SHORT_WEEKDAY : &WEEKDAY, fields[count - 1], &weekdays, why));
    *out = (struct schedule){ .minutes = minutes,
                              .hours = (uint32_t)hours,
                              .days = (uint32_t)days,
                              .months = (uint32_t)months,
                              .weekdays = (uint32_t)(weekdays | weekdays >> 7) & 0x7f,
                              .any_day = count == 3 || fields[2].at[0] == '*',
                              .any_weekday = fields[count - 1].at[0] == '*' };
    return ERR_NONE;
}

/* ---- finding ---- */

static bool fits_day(const struct schedule *s, const struct tm *day)
{
    bool fits = (s->days >> day->tm_mday & 1) != 0;
    bool fits_week = (s->weekdays >> day->tm_wday & 1) != 0;

    if ((s->months >> (day->tm_mon + 1) & 1) == 0)
        return false;
    return s->any_day || s->any_weekday ? fits && fits_week : fits || fits_week;
}

/* Of a time that comes twice the first; -1: it does not come at all. */
static int64_t time_of(const struct tm *day, int hour, int minute)
{
    for (int summer = 1; summer >= 0; summer--) {
        struct tm at = { .tm_year = day->tm_year,
                         .tm_mon = day->tm_mon,
                         .tm_mday = day->tm_mday,
                         .tm_hour = hour,
                         .tm_min = minute,
                         .tm_isdst = summer };
        int64_t time_s = mktime(&at);

        if (at.tm_isdst == summer && at.tm_hour == hour && at.tm_min == minute)
            return time_s;
    }
    return -1;
}

/* The first time of this day behind `now_s` that fits; 0: none. */
static int64_t first_of_day(const struct schedule *s, const struct tm *day, int64_t now_s)
{
    for (int hour = 0; hour < 24; hour++)
        for (int minute = 0; (s->hours >> hour & 1) != 0 && minute < 60; minute++) {
            int64_t time_s;

            if ((s->minutes >> minute & 1) == 0)
                continue;
            time_s = time_of(day, hour, minute);
            if (time_s > now_s)
                return time_s;
        }
    return 0;
}

int64_t schedule_next(const struct schedule *s, int64_t now_s)
{
    time_t now = (time_t)now_s;
    struct tm today;

    if (s->minutes == 0 || localtime_r(&now, &today) == NULL)
        return 0;
    for (int i = 0; i < YEARS_MOST * 366; i++) {
        struct tm day = { .tm_year = today.tm_year,
                          .tm_mon = today.tm_mon,
                          .tm_mday = today.tm_mday + i,
                          .tm_hour = 12,
                          .tm_isdst = -1 };
        int64_t found_s;

        if (mktime(&day) == -1 || !fits_day(s, &day))
            continue;
        found_s = first_of_day(s, &day, now_s);
        if (found_s != 0)
            return found_s;
    }
    return 0;
}

bool schedule_is(const struct schedule *a, const struct schedule *b)
{
    return a->minutes == b->minutes && a->hours == b->hours && a->days == b->days &&
           a->months == b->months && a->weekdays == b->weekdays && a->any_day == b->any_day &&
           a->any_weekday == b->any_weekday;
}
