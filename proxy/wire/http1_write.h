/* Heads of HTTP/1.1 messages, written behind what a buffer holds.
 *
 *     TRY(http1_put_request_line(&out, slice_text("PUT"), target));
 *     TRY(http1_put_field(&out, "host", host));
 *     http1_put_field_u64(&out, "content-length", length);
 *     http1_put_end(&out);
 */
#pragma once

#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "proxy/wire/http1.h"

/* ERR_SYNTAX, with nothing written: a blank or a control byte where none may be. */
MUST_CHECK enum err http1_put_request_line(struct buf *b, struct slice method, struct slice target);
/* With the usual words for the status. */
void http1_put_status_line(struct buf *b, unsigned status);
const char *http1_reason(unsigned status);

/* The name is the program's own.  ERR_SYNTAX, with nothing written: CR, LF or NUL in the value. */
MUST_CHECK enum err http1_put_field_own(struct buf *b, struct slice name, struct slice value);
/* The same for a name that came from elsewhere, which must be a token. */
MUST_CHECK enum err http1_put_field_named(struct buf *b, struct slice name, struct slice value);
/* A field of a head that http1_search() has found, and so is clean, of a name of the table. */
static inline void http1_put_field_known(struct buf *b, enum http1_name name, struct slice value)
{
    const struct http1_name_text *text = &http1_name_texts[name];
    uint8_t *start = buf_reserve(b, HTTP1_NAME_ROOM + value.len + 4), *to = start + text->len;

    memcpy(start, text->at, HTTP1_NAME_ROOM);
    memcpy(to, ": ", 2);
    if (value.len > 0)
        memcpy(to + 2, value.at, value.len);
    memcpy(to + 2 + value.len, "\r\n", 2);
    buf_grow(b, text->len + value.len + 4);
}

/* Values that the program made: they are asserted to be clean. */
void http1_put_field_clean(struct buf *b, struct slice name, struct slice value);
void http1_put_field_u64(struct buf *b, const char *name, uint64_t value);
void http1_put_length(struct buf *b, uint64_t length); /* content-length */
void http1_put_field_date(struct buf *b, const char *name, int64_t seconds);

/* Here, so that the lengths of literals are known. */
MUST_CHECK static inline enum err http1_put_field(struct buf *b, const char *name,
                                                  struct slice value)
{
    return http1_put_field_own(b, slice_text(name), value);
}

static inline void http1_put_field_text(struct buf *b, const char *name, const char *value)
{
    http1_put_field_clean(b, slice_text(name), slice_text(value));
}

void http1_put_end(struct buf *b);
