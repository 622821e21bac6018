/* See url64.h. */
#include "shard/url64.h"

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

void url64_encode(struct slice in, struct buf *out)
{
    uint8_t *at = buf_reserve(out, (in.len + 2) / 3 * 4), *end = at;

    for (; in.len > 0; in = slice_from(in, in.len < 3 ? in.len : 3)) {
        uint32_t bits = (uint32_t)in.at[0] << 16;

        bits |= in.len > 1 ? (uint32_t)in.at[1] << 8 : 0;
        bits |= in.len > 2 ? in.at[2] : 0;
        *end++ = (uint8_t)LETTERS[bits >> 18];
        *end++ = (uint8_t)LETTERS[bits >> 12 & 63];
        if (in.len > 1)
            *end++ = (uint8_t)LETTERS[bits >> 6 & 63];
        if (in.len > 2)
            *end++ = (uint8_t)LETTERS[bits & 63];
    }
    buf_grow(out, (size_t)(end - at));
}

static int value_of(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '-' ? 62 : letter == '_' ? 63 : -1;
}

enum err url64_decode(struct slice in, uint8_t *out, size_t *len)
{
    size_t total = 0;
    uint32_t bits = 0;
    unsigned held = 0; /* bits not written yet */

    if (in.len % 4 == 1)
        return ERR_SYNTAX;
    for (size_t i = 0; i < in.len; i++) {
        int value = value_of(in.at[i]);

        if (value < 0)
            return ERR_SYNTAX;
        bits = bits << 6 | (uint32_t)value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            out[total++] = (uint8_t)(bits >> held);
        }
    }
    if ((bits & ((1u << held) - 1)) != 0)
        return ERR_SYNTAX;
    *len = total;
    return ERR_NONE;
}
