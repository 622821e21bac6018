/* See buf.h. */
#include "proxy/base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

enum { BUF_FIRST_BYTES = 256, U64_MOST_DIGITS = 20 };

void buf_widen(struct buf *b, size_t more)
{
    size_t cap = b->cap < BUF_FIRST_BYTES ? BUF_FIRST_BYTES : b->cap;

    while (cap - b->len < more)
        cap *= 2;
    b->at = mem_resize(b->at, cap);
    b->cap = cap;
}

void buf_u64(struct buf *b, uint64_t value)
{
    uint8_t digits[U64_MOST_DIGITS];
    size_t at = sizeof(digits);

    do {
        digits[--at] = (uint8_t)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    buf_put(b, digits + at, sizeof(digits) - at);
}

void buf_format(struct buf *b, const char *format, ...)
{
    char *at = (char *)buf_reserve(b, 128); /* before its cap is read */
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(at, b->cap - b->len, format, args);
    va_end(args);
    assert(len >= 0);
    if ((size_t)len >= b->cap - b->len) {
        size_t room = (size_t)len + 1;

        va_start(args, format);
        vsnprintf((char *)buf_reserve(b, room), room, format, args);
        va_end(args);
    }
    b->len += (size_t)len;
}

void buf_skip(struct buf *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (len > 0 && b->len > 0)
        memmove(b->at, b->at + len, b->len);
}

void buf_fini(struct buf *b)
{
    free(b->at);
    *b = (struct buf){ 0 };
}
