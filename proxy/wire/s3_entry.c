/* See s3_entry.h. */
#include "proxy/wire/s3_entry.h"

static const char *const CHECKSUM_ELEMENTS[] = {
    [S3_CHECKSUM_NONE] = "",
    [S3_CHECKSUM_CRC32] = "ChecksumCRC32",
    [S3_CHECKSUM_CRC32C] = "ChecksumCRC32C",
    [S3_CHECKSUM_CRC64NVME] = "ChecksumCRC64NVME",
    [S3_CHECKSUM_SHA1] = "ChecksumSHA1",
    [S3_CHECKSUM_SHA256] = "ChecksumSHA256",
};

struct slice s3_checksum_element(enum s3_checksum_kind kind)
{
    return slice_text(CHECKSUM_ELEMENTS[kind]);
}

enum s3_checksum_kind s3_checksum_of_element(struct slice name)
{
    if (!slice_starts(name, slice_text("Checksum")))
        return S3_CHECKSUM_NONE;
    for (unsigned kind = S3_CHECKSUM_CRC32; kind <= S3_CHECKSUM_SHA256; kind++)
        if (slice_is_text(name, CHECKSUM_ELEMENTS[kind]))
            return (enum s3_checksum_kind)kind;
    return S3_CHECKSUM_NONE;
}

/* ---- copies ---- */

static void keep(struct arena *arena, struct slice *text, const struct slice *before)
{
    if (text->len == 0)
        *text = (struct slice){ 0 };
    else if (before != NULL && slice_is(*text, *before))
        *text = *before;
    else
        *text = arena_copy(arena, *text);
}

struct s3_entry *s3_entry_copy(struct arena *arena, const struct s3_entry *entry,
                               const struct s3_entry *before)
{
    static const struct s3_entry NOTHING = { 0 };
    struct s3_entry *copy = arena_bytes(arena, sizeof(*copy));

    *copy = *entry;
    if (before == NULL)
        before = &NOTHING;
    keep(arena, &copy->name, NULL);
    keep(arena, &copy->id, NULL);
    keep(arena, &copy->etag, NULL);
    keep(arena, &copy->checksum.value, NULL);
    keep(arena, &copy->marker_id, NULL);
    keep(arena, &copy->storage_class, &before->storage_class);
    keep(arena, &copy->owner_id, &before->owner_id);
    keep(arena, &copy->owner_name, &before->owner_name);
    keep(arena, &copy->initiator_id, &before->initiator_id);
    keep(arena, &copy->initiator_name, &before->initiator_name);
    keep(arena, &copy->algorithms, &before->algorithms);
    keep(arena, &copy->checksum_type, &before->checksum_type);
    keep(arena, &copy->code, &before->code);
    keep(arena, &copy->message, &before->message);
    return copy;
}

/* ---- times ---- */

enum { MS_PER_DAY = 24 * 60 * 60 * 1000, YEARS_LAST = 9999 };

/* Days since 1970 of a day in the Gregorian calendar; years begin in March here, so that the day
 * that may be missing is their last. */
static int64_t days_of(int64_t year, unsigned month, unsigned day)
{
    int64_t era, y = month <= 2 ? year - 1 : year;
    unsigned of_era, of_year;

    era = (y >= 0 ? y : y - 399) / 400;
    of_era = (unsigned)(y - era * 400);
    of_year = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + (int64_t)of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(int64_t days, int *year, unsigned *month, unsigned *day)
{
    int64_t era;
    unsigned of_era, years, of_year, m;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    of_era = (unsigned)(days - era * 146097);
    years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    of_year = of_era - (365 * years + years / 4 - years / 100);
    m = (5 * of_year + 2) / 153;
    *day = of_year - (153 * m + 2) / 5 + 1;
    *month = m < 10 ? m + 3 : m - 9;
    *year = (int)(era * 400 + years) + (*month <= 2);
}

/* What is no digit makes the value too large for all that it may be. */
static inline unsigned digit_at(const uint8_t *at)
{
    unsigned digit = *at - (unsigned)'0';

    return digit <= 9 ? digit : 100000;
}

static inline unsigned two_at(const uint8_t *at)
{
    return digit_at(at) * 10 + digit_at(at + 1);
}

/* .123 or more digits, of which three count; nothing is 0. */
static bool take_fraction(struct slice *in, unsigned *ms)
{
    unsigned digits = 0;

    *ms = 0;
    if (in->len == 0 || in->at[0] != '.')
        return true;
    *in = slice_from(*in, 1);
    while (in->len > 0 && in->at[0] >= '0' && in->at[0] <= '9' && digits < 9) {
        if (digits++ < 3)
            *ms = *ms * 10 + (in->at[0] - '0');
        *in = slice_from(*in, 1);
    }
    for (unsigned i = digits; i < 3; i++)
        *ms *= 10;
    return digits > 0;
}

static bool is_utc(struct slice zone)
{
    return zone.len == 0 || slice_is_text(zone, "Z") || slice_is_text(zone, "+00:00") ||
           slice_is_text(zone, "+0000");
}

bool s3_time_read(struct slice text, int64_t *time_ms)
{
    enum { FIRST_BYTES = sizeof("2026-11-28T11:43:22") - 1 };
    const uint8_t *at = text.at;
    unsigned year, month, day, hour, minute, second, ms;

    if (text.len < FIRST_BYTES || at[4] != '-' || at[7] != '-' || at[10] != 'T' || at[13] != ':' ||
        at[16] != ':')
        return false;
    year = two_at(at) * 100 + two_at(at + 2);
    month = two_at(at + 5);
    day = two_at(at + 8);
    hour = two_at(at + 11);
    minute = two_at(at + 14);
    second = two_at(at + 17);
    text = slice_from(text, FIRST_BYTES);
    if (!take_fraction(&text, &ms) || !is_utc(text))
        return false;
    if (year > YEARS_LAST || month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 ||
        minute > 59 || second > 60)
        return false;
    *time_ms = days_of(year, month, day) * MS_PER_DAY +
               ((int64_t)(hour * 60 + minute) * 60 + second) * 1000 + ms;
    return true;
}

/* Two digits and what stands behind them. */
static inline char *put_two(char *out, unsigned value, char behind)
{
    out[0] = (char)('0' + value / 10);
    out[1] = (char)('0' + value % 10);
    out[2] = behind;
    return out + 3;
}

void s3_time_write(int64_t time_ms, char out[S3_TIME_BYTES])
{
    int64_t least = days_of(0, 1, 1) * MS_PER_DAY;
    int64_t most = (days_of(YEARS_LAST, 12, 31) + 1) * MS_PER_DAY - 1;
    int64_t time = time_ms < least ? least : time_ms > most ? most : time_ms;
    int64_t days = time / MS_PER_DAY - (time % MS_PER_DAY < 0);
    unsigned of_day = (unsigned)(time - days * MS_PER_DAY), month, day;
    int year;

    date_of(days, &year, &month, &day);
    put_two(out, (unsigned)year / 100, 0);
    out = put_two(out + 2, (unsigned)year % 100, '-');
    out = put_two(out, month, '-');
    out = put_two(out, day, 'T');
    out = put_two(out, of_day / 3600000, ':');
    out = put_two(out, of_day / 60000 % 60, ':');
    out = put_two(out, of_day / 1000 % 60, '.');
    *out++ = (char)('0' + of_day % 1000 / 100);
    put_two(out, of_day % 100, 'Z');
}
