/* See uri.h. */
#include "proxy/wire/uri.h"

#include "proxy/wire/sixteen.h"

enum { ALWAYS = 1, SLASH = 2 }; /* kept always; kept by URI_KEEP_SLASH */

static const uint8_t kept[256] = {
    ['A' ... 'Z'] = ALWAYS, ['a' ... 'z'] = ALWAYS, ['0' ... '9'] = ALWAYS, ['-'] = ALWAYS,
    ['_'] = ALWAYS,         ['.'] = ALWAYS,         ['~'] = ALWAYS,         ['/'] = SLASH,
};

/* 16 and more: no hex digit. */
static unsigned hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10u : 16;
}

/* The byte that stands at the front, and behind how many bytes the next begins: 0 if it is a '%'
 * without two hex digits. */
static size_t byte_take(const uint8_t *at, size_t len, uint8_t *byte)
{
    unsigned high, low;

    *byte = at[0];
    if (at[0] != '%')
        return 1;
    if (len < 3)
        return 0;
    high = hex_value(at[1]);
    low = hex_value(at[2]);
    *byte = (uint8_t)(high << 4 | low);
    return (high | low) < 16 ? 3 : 0;
}

static size_t byte_put(uint8_t byte, uint8_t keep, uint8_t *out)
{
    static const char digits[] = "0123456789ABCDEF";

    out[0] = byte;
    if (kept[byte] & keep)
        return 1;
    out[0] = '%';
    out[1] = (uint8_t)digits[byte >> 4];
    out[2] = (uint8_t)digits[byte & 15];
    return 3;
}

static uint8_t keep_of(enum uri_keep keep)
{
    return keep == URI_KEEP_SLASH ? ALWAYS | SLASH : ALWAYS;
}

enum err uri_decode(struct slice in, uint8_t *out, size_t *len)
{
    size_t put = 0;

    for (size_t at = 0; at < in.len;) {
        uint8_t byte;
        size_t taken = byte_take(in.at + at, in.len - at, &byte);

        if (taken == 0)
            return ERR_SYNTAX;
        at += taken;
        out[put++] = byte;
    }
    *len = put;
    return ERR_NONE;
}

/* Sixteen bytes, looked at together: eight at `at` and eight at `more`.  '-', '.', '/' and the
 * digits stand in a row. */
static inline bool are_kept(const uint8_t *at, const uint8_t *more, uint8_t bits)
{
    uint8_t bytes __attribute__((vector_size(16)));
    uint64_t halves[2], right __attribute__((vector_size(16)));
    uint8_t never = bits & SLASH ? 0 : '/';

    memcpy(&halves[0], at, sizeof(halves[0]));
    memcpy(&halves[1], more, sizeof(halves[1]));
    memcpy(&bytes, halves, sizeof(bytes));
    right =
        (__typeof__(right))((SIXTEEN_IN_RANGE(bytes | 0x20, 'a', 'z') |
                             SIXTEEN_IN_RANGE(bytes, '-', '9') | (bytes == '_') | (bytes == '~')) &
                            (bytes != never));
    return (right[0] & right[1]) == UINT64_MAX;
}

/* How many bytes at the front stay as they are. */
static inline size_t kept_len(struct slice text, uint8_t bits)
{
    size_t at = 0;

    while (at + 16 <= text.len && are_kept(text.at + at, text.at + at + 8, bits))
        at += 16;
    if (text.len >= 8 && text.len - at < 16 &&
        are_kept(text.at + (at < text.len - 8 ? at : text.len - 8), text.at + text.len - 8, bits))
        return text.len;
    while (at < text.len && kept[text.at[at]] & bits) /* nearly all of them */
        at++;
    return at;
}

size_t uri_encode(struct slice plain, enum uri_keep keep, uint8_t *out)
{
    uint8_t bits = keep_of(keep);
    size_t len = 0, at = 0;

    while (at < plain.len) {
        size_t here = kept_len(slice_from(plain, at), bits);

        memcpy(out + len, plain.at + at, here);
        len += here;
        at += here;
        if (at < plain.len)
            len += byte_put(plain.at[at++], bits, out + len);
    }
    return len;
}

void uri_put_encoded(struct buf *b, struct slice plain, enum uri_keep keep)
{
    buf_grow(b, uri_encode(plain, keep, buf_reserve(b, 3 * plain.len)));
}

bool uri_is_plain(struct slice text, enum uri_keep keep)
{
    return kept_len(text, keep_of(keep)) == text.len;
}

enum err uri_put_canonical(struct buf *b, struct slice encoded, enum uri_keep keep)
{
    uint8_t *out = buf_reserve(b, 3 * encoded.len), bits = keep_of(keep);
    size_t len = 0;

    for (size_t at = 0; at < encoded.len;) {
        size_t here = kept_len(slice_from(encoded, at), bits), taken;
        uint8_t byte;

        memcpy(out + len, encoded.at + at, here);
        len += here;
        at += here;
        if (at == encoded.len)
            break;
        taken = byte_take(encoded.at + at, encoded.len - at, &byte);
        if (taken == 0)
            return ERR_SYNTAX;
        at += taken;
        len += byte_put(byte, bits, out + len);
    }
    buf_grow(b, len);
    return ERR_NONE;
}

/* --- Queries --------------------------------------------------------------------------------- */

bool uri_query_next(struct slice *rest, struct uri_item *out)
{
    while (rest->len > 0) {
        const uint8_t *end = memchr(rest->at, '&', rest->len);
        size_t len = end == NULL ? rest->len : (size_t)(end - rest->at);
        struct slice item = slice_of(rest->at, len);
        const uint8_t *sign = len > 0 ? memchr(item.at, '=', len) : NULL;

        *rest = slice_from(*rest, end == NULL ? len : len + 1);
        if (len == 0)
            continue;
        out->has_value = sign != NULL;
        out->name = sign == NULL ? item : slice_of(item.at, (size_t)(sign - item.at));
        out->value = slice_from(item, out->name.len + (sign == NULL ? 0 : 1));
        return true;
    }
    return false;
}

enum err uri_query_split(struct slice query, struct uri_item *items, size_t max, size_t *count)
{
    struct uri_item item;
    size_t n = 0;

    while (uri_query_next(&query, &item)) {
        if (n == max)
            return ERR_LIMIT;
        items[n++] = item;
    }
    *count = n;
    return ERR_NONE;
}
