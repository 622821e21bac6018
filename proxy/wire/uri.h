/* Percent-encoding, and queries.  Nothing here normalises: "//" and ".." are parts of keys. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

/* What stays as it is: A-Z a-z 0-9 - _ . ~ and perhaps the slash. */
enum uri_keep {
    URI_KEEP_UNRESERVED,
    URI_KEEP_SLASH,
};

enum { URI_QUERY_MAX_ITEMS = 64 };

/* Decodes each %XX once; '+' is a plus.  `out` has room for in.len bytes and may be in.at itself.
 * ERR_SYNTAX: a '%' without two hex digits. */
MUST_CHECK enum err uri_decode(struct slice in, uint8_t *out, size_t *len);

/* Encodes plain bytes as SigV4 wants it, digits in capitals; behind what the buffer holds. */
void uri_put_encoded(struct buf *b, struct slice plain, enum uri_keep keep);
/* The same to memory with room for 3 * plain.len bytes; returns the length. */
size_t uri_encode(struct slice plain, enum uri_keep keep, uint8_t *out);

/* Would it be the same, encoded? */
bool uri_is_plain(struct slice text, enum uri_keep keep);

/* What is already encoded, in whatever way, in the form of SigV4: decoded and encoded at one go.
 * ERR_SYNTAX as above, with nothing put. */
MUST_CHECK enum err uri_put_canonical(struct buf *b, struct slice encoded, enum uri_keep keep);

/* name=value of a query, still encoded; "k" has an empty value. */
struct uri_item {
    struct slice name, value;
    bool has_value; /* there was a '=' */
};

/* The next item of a query; empty ones ("&&") are passed over; false: no more. */
bool uri_query_next(struct slice *rest, struct uri_item *out);
/* All of them; ERR_LIMIT: more than `max`. */
MUST_CHECK enum err uri_query_split(struct slice query, struct uri_item *items, size_t max,
                                    size_t *count);
