/* Bodies of HTTP/1.1 messages as they come: what is framing is taken away, what is payload is shown
 * where it lies.
 *
 *     struct http1_body body;
 *     http1_body_begin(&body, request.head.framing, request.head.length);
 *
 *     do {
 *         found = http1_body_decode(&body, in, &used, &payload, &why);
 *         ... payload: a piece of `in`, often empty ...
 *         in = slice_from(in, used);
 *     } while (found == PARSE_MORE && used > 0);
 *
 * PARSE_DONE: the body ended with the `used` bytes; body.trailer are its trailers.  PARSE_MORE:
 * what is left of `in` (nothing, but for trailers: less than HTTP1_TRAILER_MAX_BYTES) is to be
 * shown again with what follows it.  PARSE_BAD: say `why` and close.  A body that lasts until the
 * close never is PARSE_DONE: the caller sees the close; one that ends before http1_body_is_whole()
 * is cut short.
 *
 * Where pieces end does not matter: the same bytes give the same payload and the same verdict.
 * Memory is constant. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"
#include "proxy/wire/http1.h"

enum {
    HTTP1_CHUNK_LINE_MAX_BYTES = 256, /* a chunk's size and extensions; aws-chunked needs 100 */
    HTTP1_TRAILER_MAX_BYTES = 4096,
    HTTP1_CHUNK_HEAD_BYTES = 20, /* what http1_chunk_head() writes at most */
};

struct http1_body {
    uint64_t left;              /* payload to come of the length, or of the chunk begun */
    uint64_t payload;           /* bytes shown or passed until now */
    struct slice trailer;       /* after PARSE_DONE: borrowed from `in`; for http1_trailer_next() */
    struct http1_search search; /* for the trailers' end */
    uint16_t line_len;          /* of the chunk's first line until now */
    uint8_t framing;            /* enum http1_framing */
    uint8_t state;
};

void http1_body_begin(struct http1_body *body, enum http1_framing framing, uint64_t length);

/* At most one piece of payload a call; `used` counts it and the framing around it. */
enum parse http1_body_decode(struct http1_body *body, struct slice in, size_t *used,
                             struct slice *payload, enum http1_refusal *why);

/* No more bytes belong to it.  Bodies that last until the close are never whole before it. */
bool http1_body_is_whole(const struct http1_body *body);

/* Payload to come without framing in between: what may be spliced past. UINT64_MAX: until close. */
uint64_t http1_body_left(const struct http1_body *body);
/* So many of those went by without being shown. */
void http1_body_pass(struct http1_body *body, uint64_t bytes);

/* The next of body.trailer; false: no more.  A trailer is never to be taken for a header field. */
bool http1_trailer_next(struct slice *rest, struct http1_field *field);

/* Writes what stands before a chunk of `size` bytes, the end of the one before it included; returns
 * its length.  Size 0 ends the body: trailers ("name:value CR LF") and CR LF must follow. */
size_t http1_chunk_head(uint8_t out[HTTP1_CHUNK_HEAD_BYTES], uint64_t size, bool is_first);
