/* See resp_write.h.  Lines are put together on the stack and put in one piece. */
#include "proxy/wire/resp_write.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX_BYTES = 24 }; /* type, sign, 20 digits, CR LF */

/* Writes `value` so that it ends before `end`; returns where it begins. */
static uint8_t *write_digits(uint8_t *end, uint64_t value)
{
    do {
        *--end = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    return end;
}

/* ":-12\r\n" */
static void put_number_line(struct buf *b, char type, bool is_negative, uint64_t magnitude)
{
    uint8_t line[LINE_MAX_BYTES];
    uint8_t *end = line + sizeof(line), *at;

    *--end = '\n';
    *--end = '\r';
    at = write_digits(end, magnitude);
    if (is_negative)
        *--at = '-';
    *--at = (uint8_t)type;
    buf_put(b, at, (size_t)(line + sizeof(line) - at));
}

static void put_line(struct buf *b, char type, struct slice text)
{
    uint8_t *at = buf_reserve(b, text.len + 3);

    *at++ = (uint8_t)type;
    for (size_t i = 0; i < text.len; i++)
        *at++ = text.at[i] == '\r' || text.at[i] == '\n' ? ' ' : text.at[i];
    *at++ = '\r';
    *at++ = '\n';
    buf_grow(b, text.len + 3);
}

void resp_put_simple(struct buf *b, struct slice text)
{
    put_line(b, '+', text);
}

void resp_put_error(struct buf *b, struct slice text)
{
    put_line(b, '-', text);
}

void resp_put_error_text(struct buf *b, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len >= 0)
        put_line(b, '-', slice_of(text, (size_t)len));
    else
        put_line(b, '-', slice_text("ERR out of memory"));
    free(len >= 0 ? text : NULL);
}

void resp_put_integer(struct buf *b, int64_t value)
{
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    put_number_line(b, ':', value < 0, magnitude);
}

void resp_put_bulk(struct buf *b, struct slice s)
{
    put_number_line(b, '$', false, s.len);
    buf_put(b, s.at, s.len);
    buf_put(b, "\r\n", 2);
}

void resp_put_bulk_text(struct buf *b, const char *text)
{
    resp_put_bulk(b, slice_text(text));
}

void resp_put_verbatim(struct buf *b, enum resp_version version, const char *format, struct slice s)
{
    assert(strlen(format) == 3);
    if (version != RESP_VERSION_3) {
        resp_put_bulk(b, s);
        return;
    }
    put_number_line(b, '=', false, s.len + 4);
    buf_text(b, format);
    buf_put(b, ":", 1);
    buf_slice(b, s);
    buf_put(b, "\r\n", 2);
}

void resp_put_null(struct buf *b, enum resp_version version)
{
    buf_text(b, version == RESP_VERSION_3 ? "_\r\n" : "$-1\r\n");
}

void resp_put_null_array(struct buf *b, enum resp_version version)
{
    buf_text(b, version == RESP_VERSION_3 ? "_\r\n" : "*-1\r\n");
}

void resp_put_array(struct buf *b, size_t count)
{
    put_number_line(b, '*', false, count);
}

void resp_put_map(struct buf *b, enum resp_version version, size_t pairs)
{
    if (version == RESP_VERSION_3)
        put_number_line(b, '%', false, pairs);
    else
        put_number_line(b, '*', false, pairs * 2);
}

void resp_put_set(struct buf *b, enum resp_version version, size_t count)
{
    put_number_line(b, version == RESP_VERSION_3 ? '~' : '*', false, count);
}

void resp_put_push(struct buf *b, enum resp_version version, size_t count)
{
    put_number_line(b, version == RESP_VERSION_3 ? '>' : '*', false, count);
}

void resp_put_command(struct buf *b, const struct slice *args, size_t count)
{
    size_t bytes = LINE_MAX_BYTES;

    for (size_t i = 0; i < count; i++)
        bytes += args[i].len + LINE_MAX_BYTES;
    buf_reserve(b, bytes);
    resp_put_array(b, count);
    for (size_t i = 0; i < count; i++)
        resp_put_bulk(b, args[i]);
}
