/* See http1_write.h. */
#include "proxy/wire/http1_write.h"

#include <assert.h>

#include "proxy/wire/http1_token.h"
#include "proxy/wire/http_date.h"

enum { U64_MOST_DIGITS = 20 };

static uint8_t *put(uint8_t *at, const void *bytes, size_t len)
{
    if (len > 0)
        memcpy(at, bytes, len);
    return at + len;
}

static bool is_target(struct slice target)
{
    for (size_t i = 0; i < target.len; i++) {
        if (target.at[i] <= ' ' || target.at[i] == 0x7f)
            return false;
    }
    return target.len > 0;
}

static bool ends_line(uint8_t byte)
{
    return byte == '\r' || byte == '\n' || byte == '\0';
}

/* Sixteen bytes, looked at together. */
static inline bool end_no_line(const uint8_t *at)
{
    uint8_t bytes __attribute__((vector_size(16)));
    uint64_t wrong __attribute__((vector_size(16)));

    memcpy(&bytes, at, sizeof(bytes));
    wrong = (__typeof__(wrong))((bytes == '\r') | (bytes == '\n') | (bytes == '\0'));
    return (wrong[0] | wrong[1]) == 0;
}

/* No byte that ends a line, nor one that some take for an end. */
static bool is_value(struct slice value)
{
    size_t i = 0;

    for (; i + 16 <= value.len; i += 16) {
        if (!end_no_line(value.at + i))
            return false;
    }
    if (value.len >= 16)
        return end_no_line(value.at + value.len - 16);
    for (; i < value.len; i++) {
        if (ends_line(value.at[i]))
            return false;
    }
    return true;
}

static void field_put(struct buf *b, struct slice name, struct slice value)
{
    uint8_t *at = buf_reserve(b, name.len + value.len + 4);

    at = put(at, name.at, name.len);
    at = put(at, ": ", 2);
    at = put(at, value.at, value.len);
    put(at, "\r\n", 2);
    buf_grow(b, name.len + value.len + 4);
}

enum err http1_put_request_line(struct buf *b, struct slice method, struct slice target)
{
    static const char version[] = " HTTP/1.1\r\n";

    if (!http1_is_token(method) || !is_target(target))
        return ERR_SYNTAX;
    buf_slice(b, method);
    buf_put(b, " ", 1);
    buf_slice(b, target);
    buf_put(b, version, sizeof(version) - 1);
    return ERR_NONE;
}

const char *http1_reason(unsigned status)
{
    switch (status) {
#define HTTP1_REASON(status, text)                                                                 \
    case status:                                                                                   \
        return text;
#include "proxy/wire/http1_reasons.def"
#undef HTTP1_REASON
    default:
        return "";
    }
}

void http1_put_status_line(struct buf *b, unsigned status)
{
    uint8_t line[] = "HTTP/1.1 000 ";

    if (status == 200) {
        buf_text(b, "HTTP/1.1 200 OK\r\n");
        return;
    }
    assert(status >= 100 && status <= 999);
    line[9] += (uint8_t)(status / 100);
    line[10] += (uint8_t)(status / 10 % 10);
    line[11] += (uint8_t)(status % 10);
    buf_put(b, line, sizeof(line) - 1);
    buf_text(b, http1_reason(status));
    buf_put(b, "\r\n", 2);
}

enum err http1_put_field_own(struct buf *b, struct slice name, struct slice value)
{
    if (!is_value(value))
        return ERR_SYNTAX;
    field_put(b, name, value);
    return ERR_NONE;
}

enum err http1_put_field_named(struct buf *b, struct slice name, struct slice value)
{
    if (!http1_is_token(name) || !is_value(value))
        return ERR_SYNTAX;
    field_put(b, name, value);
    return ERR_NONE;
}

void http1_put_field_clean(struct buf *b, struct slice name, struct slice value)
{
    assert(is_value(value));
    field_put(b, name, value);
}

static inline struct slice digits_of(uint64_t value, uint8_t room[U64_MOST_DIGITS])
{
    uint8_t *end = room + U64_MOST_DIGITS, *at = end;

    do {
        *--at = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return slice_of(at, (size_t)(end - at));
}

void http1_put_field_u64(struct buf *b, const char *name, uint64_t value)
{
    uint8_t room[U64_MOST_DIGITS];

    field_put(b, slice_text(name), digits_of(value, room));
}

void http1_put_length(struct buf *b, uint64_t length)
{
    uint8_t room[U64_MOST_DIGITS];

    http1_put_field_known(b, HTTP1_NAME_CONTENT_LENGTH, digits_of(length, room));
}

void http1_put_field_date(struct buf *b, const char *name, int64_t seconds)
{
    uint8_t date[HTTP_DATE_BYTES];

    http_date_write(seconds, date);
    field_put(b, slice_text(name), slice_of(date, sizeof(date)));
}

void http1_put_end(struct buf *b)
{
    buf_put(b, "\r\n", 2);
}
