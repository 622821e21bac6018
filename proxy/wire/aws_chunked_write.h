/* Writes the framing that aws_chunked.h reads.
 *
 *     struct aws_chunked_writer w = { .seed = seed };         from sigv4_sign(); NULL: unsigned
 *     aws_chunked_write(&w, piece, out);                       a chunk; not an empty one
 *     aws_chunked_write_end(&w, trailers, count, out); */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/wire/sigv4.h"

struct aws_chunked_writer {
    struct sigv4_seed *seed; /* borrowed, its signature moves on; NULL: chunks are not signed */
};

void aws_chunked_write(struct aws_chunked_writer *w, struct slice payload, struct buf *out);
/* The last chunk, and trailers if there are any: signed if the chunks are. */
void aws_chunked_write_end(struct aws_chunked_writer *w, const struct http1_field *trailers,
                           size_t count, struct buf *out);
