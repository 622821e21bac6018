/* See memcached_numeral.h. */
#include "proxy/wire/memcached_numeral.h"

#include <inttypes.h>
#include <stdio.h>

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* isspace(), in the C locale. */
static bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool memcached_numeral_is_plain(struct slice word, bool may_be_negative)
{
    enum { DIGITS_MOST = 20 };
    size_t sign = may_be_negative && word.len > 0 && word.at[0] == '-', digits = word.len - sign;

    if (digits == 0 || digits > DIGITS_MOST || (word.len > 1 && word.at[sign] == '0'))
        return false;
    for (size_t i = sign; i < word.len; i++)
        if (!is_digit(word.at[i]))
            return false;
    return true;
}

/* False: there is none, or it has more than 64 bits. */
static bool read_magnitude(struct slice word, bool *negative, uint64_t *out)
{
    size_t i = 0, first;
    uint64_t value = 0;

    while (i < word.len && is_blank(word.at[i]))
        i++;
    *negative = i < word.len && word.at[i] == '-';
    if (i < word.len && (word.at[i] == '-' || word.at[i] == '+'))
        i++;
    first = i;
    for (; i < word.len && is_digit(word.at[i]); i++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(word.at[i] - '0'), &value))
            return false;
    *out = value;
    return i > first && (i == word.len || is_blank(word.at[i]));
}

bool memcached_numeral_signed(struct slice word, int64_t *out)
{
    uint64_t magnitude;
    bool negative;

    if (slice_to_i64(word, out))
        return true;
    if (!read_magnitude(word, &negative, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

bool memcached_numeral_unsigned(struct slice word, uint64_t *out)
{
    uint64_t magnitude;
    bool negative;

    if (slice_to_u64(word, out))
        return true;
    if (!read_magnitude(word, &negative, &magnitude))
        return false;
    if (negative) /* strtoull() takes it so, and memcached what that makes a small number */
        magnitude = 0 - magnitude;
    if (negative && magnitude > INT64_MAX)
        return false;
    *out = magnitude;
    return true;
}

size_t memcached_numeral_rewrite(struct slice word, char out[MEMCACHED_NUMERAL_BYTES])
{
    uint64_t number;
    int64_t less;

    if (memcached_numeral_unsigned(word, &number))
        return (size_t)snprintf(out, MEMCACHED_NUMERAL_BYTES, "%" PRIu64, number);
    if (memcached_numeral_signed(word, &less))
        return (size_t)snprintf(out, MEMCACHED_NUMERAL_BYTES, "%" PRId64, less);
    return 0;
}
