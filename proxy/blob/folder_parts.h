/* Which parts an object was put in, as text behind its metadata (proxy/blob/folder_record.h): their
 * numbers, each one's size, and its checksum if the upload has one.  Equal ones without checksums
 * are one line:
 *
 *     1-119 8388608
 *     120 1234
 *
 * What is read may be anything. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    FOLDER_SPAN_BYTES = 80,                         /* a line, at most */
    FOLDER_SPANS_BYTES = 10000 * FOLDER_SPAN_BYTES, /* all lines of an object */
};

struct folder_span {
    unsigned first, last; /* parts of one size */
    uint64_t from, size;  /* `from`: where the first begins; each has `size` bytes */
    struct slice sum;     /* base64; empty: none.  Borrowed from the text */
};

/* Appends a line; `from` is not told. */
void folder_span_put(struct buf *out, const struct folder_span *span);
/* The line at the front of a text, behind `before` (zero: it is the first); ERR_RANGE: there are no
 * more; ERR_SYNTAX. */
MUST_CHECK enum err folder_span_next(struct slice *text, const struct folder_span *before,
                                     struct folder_span *out);
/* One part of a text: first and last are its number.  ERR_RANGE: there is none of that number. */
MUST_CHECK enum err folder_span_find(struct slice text, unsigned number, struct folder_span *out);
