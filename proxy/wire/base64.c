/* See base64.h.  Own code: OpenSSL's decoder passes over spaces and takes padding for zeros. */
#include "proxy/wire/base64.h"

static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct slice in, char *out)
{
    while (in.len > 0) {
        size_t len = in.len < 3 ? in.len : 3;
        uint32_t bits = (uint32_t)in.at[0] << 16;

        if (len > 1)
            bits |= (uint32_t)in.at[1] << 8;
        if (len > 2)
            bits |= in.at[2];
        *out++ = LETTERS[bits >> 18];
        *out++ = LETTERS[bits >> 12 & 63];
        *out++ = '=';
        *out++ = '=';
        if (len > 1)
            out[-2] = LETTERS[bits >> 6 & 63];
        if (len > 2)
            out[-1] = LETTERS[bits & 63];
        in = slice_from(in, len);
    }
}

static int value_of(uint8_t letter)
{
    if (letter >= 'A' && letter <= 'Z')
        return letter - 'A';
    if (letter >= 'a' && letter <= 'z')
        return letter - 'a' + 26;
    if (letter >= '0' && letter <= '9')
        return letter - '0' + 52;
    return letter == '+' ? 62 : letter == '/' ? 63 : -1;
}

/* Four letters; the padding of the last ones is not counted to `letters`. */
static enum err decode_group(const uint8_t *at, size_t letters, uint8_t bytes[3])
{
    uint32_t bits = 0, unused = letters == 2 ? 0xffff : letters == 3 ? 0xff : 0;

    for (size_t i = 0; i < 4; i++) {
        int value = i < letters ? value_of(at[i]) : 0;

        if (value < 0)
            return ERR_SYNTAX;
        bits = bits << 6 | (uint32_t)value;
    }
    if ((bits & unused) != 0)
        return ERR_SYNTAX;
    bytes[0] = (uint8_t)(bits >> 16);
    bytes[1] = (uint8_t)(bits >> 8);
    bytes[2] = (uint8_t)bits;
    return ERR_NONE;
}

enum err base64_decode(struct slice in, uint8_t *out, size_t room, size_t *len)
{
    size_t total = 0;

    if (in.len % 4 != 0)
        return ERR_SYNTAX;
    for (; in.len > 0; in = slice_from(in, 4)) {
        size_t letters = 4;
        uint8_t bytes[3];

        if (in.len == 4 && in.at[3] == '=')
            letters = in.at[2] == '=' ? 2 : 3;
        TRY(decode_group(in.at, letters, bytes));
        if (letters - 1 > room - total)
            return ERR_LIMIT;
        memcpy(out + total, bytes, letters - 1);
        total += letters - 1;
    }
    *len = total;
    return ERR_NONE;
}
