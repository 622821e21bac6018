/* Numbers out of slices. */
#include "proxy/base/slice.h"

bool slice_to_u64(struct slice a, uint64_t *out)
{
    enum { SURE_DIGITS = 19 }; /* these fit, whatever they are */
    uint64_t value = 0;
    size_t i = 0;

    if (a.len == 0 || a.len > SURE_DIGITS + 1)
        return false;
    for (; i < a.len && i < SURE_DIGITS; i++) {
        unsigned digit = a.at[i] - (unsigned)'0';

        if (digit > 9)
            return false;
        value = 10 * value + digit;
    }
    for (; i < a.len; i++) {
        if (a.at[i] < '0' || a.at[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(a.at[i] - '0'), &value))
            return false;
    }
    *out = value;
    return true;
}

bool slice_to_i64(struct slice a, int64_t *out)
{
    bool negative = a.len > 0 && a.at[0] == '-';
    uint64_t magnitude;

    if (!slice_to_u64(negative ? slice_from(a, 1) : a, &magnitude))
        return false;
    if (magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}
