/* A growing row of bytes in one piece.  Zero is a valid, empty buffer.
 *
 *     struct buf out = { 0 };
 *     buf_text(&out, "+OK\r\n");
 *     ... out.at, out.len ...
 *     buf_fini(&out);
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

struct buf {
    uint8_t *at; /* owned */
    size_t len, cap;
};

void buf_format(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
/* Forgets the first `len` bytes; slices of the buffer are void afterwards. */
void buf_skip(struct buf *b, size_t len);
void buf_fini(struct buf *b);
void buf_widen(struct buf *b, size_t more);  /* what buf_reserve() does if there is no room */
void buf_u64(struct buf *b, uint64_t value); /* in decimal digits */

/* Makes room for `more` further bytes and returns where they go; buf_grow() then counts them. */
static inline uint8_t *buf_reserve(struct buf *b, size_t more)
{
    if (b->cap - b->len < more)
        buf_widen(b, more);
    return b->at + b->len;
}

static inline void buf_grow(struct buf *b, size_t len)
{
    b->len += len;
}

static inline void buf_put(struct buf *b, const void *at, size_t len)
{
    if (len == 0)
        return;
    assert(at != NULL);
    memcpy(buf_reserve(b, len), at, len);
    b->len += len;
}

static inline void buf_text(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static inline void buf_slice(struct buf *b, struct slice s)
{
    buf_put(b, s.at, s.len);
}

static inline struct slice buf_all(const struct buf *b)
{
    return (struct slice){ b->at, b->len };
}

static inline void buf_clear(struct buf *b)
{
    b->len = 0;
}
