/* See http_date.h.  Days are counted in years that begin in March, whose leap day comes last. */
#include "proxy/wire/http_date.h"

#include <assert.h>
#include <stdbool.h>

enum { DAY_SECONDS = 24 * 60 * 60 };

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1 January 1970 was a Thursday */

struct civil {
    int64_t year;
    unsigned month, day, hour, minute, second; /* month and day from 1 */
};

static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t y = month > 2 ? year : year - 1;
    int64_t era = y / 400; /* years are positive */
    unsigned year_of_era = (unsigned)(y - era * 400);
    unsigned day_of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    unsigned day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468;
}

static struct civil civil_of(int64_t seconds)
{
    int64_t days = seconds / DAY_SECONDS, second = seconds % DAY_SECONDS, era;
    unsigned day_of_era, year_of_era, day_of_year, month;

    if (second < 0) {
        second += DAY_SECONDS;
        days--;
    }
    days += 719468; /* since 1 March of the year 0 */
    era = days / 146097;
    day_of_era = (unsigned)(days - era * 146097);
    year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    month = (5 * day_of_year + 2) / 153;
    return (struct civil){ .year = era * 400 + year_of_era + (month >= 10),
                           .month = month < 10 ? month + 3 : month - 9,
                           .day = day_of_year - (153 * month + 2) / 5 + 1,
                           .hour = (unsigned)(second / 3600),
                           .minute = (unsigned)(second / 60 % 60),
                           .second = (unsigned)(second % 60) };
}

static unsigned month_days(int64_t year, unsigned month)
{
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    if (month == 2)
        return is_leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static enum err civil_to(const struct civil *c, int64_t *seconds)
{
    if (c->year < 1 || c->month < 1 || c->month > 12 || c->day < 1 ||
        c->day > month_days(c->year, c->month) || c->hour > 23 || c->minute > 59 || c->second > 60)
        return ERR_SYNTAX;
    *seconds = days_of(c->year, c->month, c->day) * DAY_SECONDS + c->hour * 3600 + c->minute * 60 +
               c->second;
    return ERR_NONE;
}

/* --- Reading --------------------------------------------------------------------------------- */

static bool month_read(const uint8_t *at, unsigned *month)
{
    for (unsigned i = 0; i < 12; i++) {
        if (memcmp(months + 3 * i, at, 3) == 0) {
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* A digit of the part that `kind` names. */
static bool digit_read(uint8_t byte, char kind, struct civil *c)
{
    unsigned digit = (unsigned)byte - '0';
    unsigned *part = NULL;

    if (digit > 9)
        return false;
    switch (kind) {
    case 'y':
        c->year = c->year * 10 + digit;
        return true;
    case 'o':
        part = &c->month;
        break;
    case 'd':
        part = &c->day;
        break;
    case 'h':
        part = &c->hour;
        break;
    case 'm':
        part = &c->minute;
        break;
    default:
        part = &c->second;
        break;
    }
    *part = *part * 10 + digit;
    return true;
}

/* Reads a text by a pattern: each of "yodhms" stands for a digit of the year, mOnth, day, hour,
 * minute or second, 'b' for a digit of the day or a blank, "nnn" for a month's name, 'w' for a
 * letter, the rest for itself. */
static bool pattern_read(struct slice text, const char *pattern, struct civil *c)
{
    if (text.len != strlen(pattern))
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char kind = pattern[i];
        bool fits;

        if (kind == 'n') {
            fits = month_read(text.at + i, &c->month);
            i += 2;
        } else if (kind == 'w') {
            fits = (text.at[i] | 0x20) >= 'a' && (text.at[i] | 0x20) <= 'z';
        } else if (kind == 'b') {
            fits = text.at[i] == ' ' || digit_read(text.at[i], 'd', c);
        } else if (strchr("yodhms", kind) != NULL) {
            fits = digit_read(text.at[i], kind, c);
        } else {
            fits = text.at[i] == (uint8_t)kind;
        }
        if (!fits)
            return false;
    }
    return true;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT": the day's name may have any length. */
static enum err obsolete_read(struct slice text, int64_t now, int64_t *seconds)
{
    const uint8_t *comma = text.len > 0 ? memchr(text.at, ',', text.len) : NULL;
    int64_t this_year = civil_of(now).year;
    struct civil c = { 0 };

    if (comma == NULL || comma - text.at < 6 || comma - text.at > 9)
        return ERR_SYNTAX;
    text = slice_from(text, (size_t)(comma - text.at));
    if (!pattern_read(text, ", dd-nnn-yy hh:mm:ss GMT", &c))
        return ERR_SYNTAX;
    c.year += this_year / 100 * 100;
    if (c.year > this_year + 50)
        c.year -= 100;
    else if (c.year <= this_year - 50)
        c.year += 100;
    return civil_to(&c, seconds);
}

enum err http_date_read(struct slice text, int64_t now, int64_t *seconds)
{
    struct civil c = { 0 };

    if (pattern_read(text, "www, dd nnn yyyy hh:mm:ss GMT", &c))
        return civil_to(&c, seconds);
    c = (struct civil){ 0 };
    if (pattern_read(text, "www nnn bd hh:mm:ss yyyy", &c))
        return civil_to(&c, seconds);
    return obsolete_read(text, now, seconds);
}

enum err iso_basic_read(struct slice text, int64_t *seconds)
{
    struct civil c = { 0 };

    return pattern_read(text, "yyyyooddThhmmssZ", &c) ? civil_to(&c, seconds) : ERR_SYNTAX;
}

/* ".123" at the front, if it is there, in milliseconds; further digits are cut. */
static bool fraction_take(struct slice *rest, int64_t *milliseconds)
{
    size_t digits = 0;

    *milliseconds = 0;
    if (rest->len == 0 || rest->at[0] != '.')
        return true;
    *rest = slice_from(*rest, 1);
    for (; digits < rest->len && rest->at[digits] >= '0' && rest->at[digits] <= '9'; digits++) {
        if (digits < 3)
            *milliseconds = *milliseconds * 10 + (rest->at[digits] - '0');
    }
    if (digits == 0 || digits > 9)
        return false;
    for (size_t i = digits; i < 3; i++)
        *milliseconds *= 10;
    *rest = slice_from(*rest, digits);
    return true;
}

/* "Z" or "+01:00", in seconds ahead of UTC. */
static bool offset_read(struct slice text, int64_t *seconds)
{
    struct civil c = { 0 };

    *seconds = 0;
    if (slice_is_text(text, "Z"))
        return true;
    if (text.len != 6 || (text.at[0] != '+' && text.at[0] != '-'))
        return false;
    if (!pattern_read(slice_from(text, 1), "hh:mm", &c) || c.hour > 23 || c.minute > 59)
        return false;
    *seconds = (int64_t)c.hour * 3600 + c.minute * 60;
    if (text.at[0] == '-')
        *seconds = -*seconds;
    return true;
}

enum err iso_extended_read(struct slice text, int64_t *milliseconds)
{
    enum { PLAIN_BYTES = 19 };
    int64_t seconds, fraction, offset;
    struct civil c = { 0 };

    if (text.len <= PLAIN_BYTES ||
        !pattern_read(slice_of(text.at, PLAIN_BYTES), "yyyy-oo-ddThh:mm:ss", &c))
        return ERR_SYNTAX;
    TRY(civil_to(&c, &seconds));
    text = slice_from(text, PLAIN_BYTES);
    if (!fraction_take(&text, &fraction) || !offset_read(text, &offset))
        return ERR_SYNTAX;
    *milliseconds = (seconds - offset) * 1000 + fraction;
    return ERR_NONE;
}

/* --- Writing --------------------------------------------------------------------------------- */

static uint8_t *digits_put(uint8_t *out, unsigned value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        out[i - 1] = (uint8_t)('0' + value % 10);
        value /= 10;
    }
    return out + count;
}

static uint8_t *byte_put(uint8_t *out, char byte)
{
    *out = (uint8_t)byte;
    return out + 1;
}

static uint8_t *clock_put(uint8_t *out, const struct civil *c)
{
    out = byte_put(digits_put(out, c->hour, 2), ':');
    out = byte_put(digits_put(out, c->minute, 2), ':');
    return digits_put(out, c->second, 2);
}

/* The years that four digits can say. */
static int64_t within(int64_t seconds)
{
    const int64_t first = INT64_C(-62135596800), last = INT64_C(253402300799);

    return seconds < first ? first : seconds > last ? last : seconds;
}

void http_date_write(int64_t seconds, uint8_t out[HTTP_DATE_BYTES])
{
    struct civil c = civil_of(within(seconds));
    int64_t days = days_of(c.year, c.month, c.day);
    uint8_t *at = out;

    memcpy(at, weekdays + 3 * ((days % 7 + 7) % 7), 3);
    at = byte_put(byte_put(at + 3, ','), ' ');
    at = byte_put(digits_put(at, c.day, 2), ' ');
    memcpy(at, months + (size_t)3 * (c.month - 1), 3);
    at = byte_put(at + 3, ' ');
    at = byte_put(digits_put(at, (unsigned)c.year, 4), ' ');
    at = byte_put(byte_put(clock_put(at, &c), ' '), 'G');
    at = byte_put(byte_put(at, 'M'), 'T');
    assert(at == out + HTTP_DATE_BYTES);
}

void iso_basic_write(int64_t seconds, uint8_t out[ISO_BASIC_BYTES])
{
    struct civil c = civil_of(within(seconds));
    uint8_t *at = digits_put(out, (unsigned)c.year, 4);

    at = digits_put(at, c.month, 2);
    at = byte_put(digits_put(at, c.day, 2), 'T');
    at = digits_put(at, c.hour, 2);
    at = digits_put(at, c.minute, 2);
    at = byte_put(digits_put(at, c.second, 2), 'Z');
    assert(at == out + ISO_BASIC_BYTES);
}

void iso_extended_write(int64_t milliseconds, uint8_t out[ISO_EXTENDED_BYTES])
{
    int64_t seconds = milliseconds / 1000, fraction = milliseconds % 1000;
    struct civil c;
    uint8_t *at;

    if (fraction < 0) {
        fraction += 1000;
        seconds--;
    }
    c = civil_of(within(seconds));
    at = byte_put(digits_put(out, (unsigned)c.year, 4), '-');
    at = byte_put(digits_put(at, c.month, 2), '-');
    at = byte_put(digits_put(at, c.day, 2), 'T');
    at = byte_put(clock_put(at, &c), '.');
    at = byte_put(digits_put(at, (unsigned)fraction, 3), 'Z');
    assert(at == out + ISO_EXTENDED_BYTES);
}
