/* Writes the framing that aws_chunked.h reads.
 *
 *     struct aws_chunked_writer w = { .seed = seed };         from sigv4_sign(); NULL: unsigned
 *     aws_chunked_write(&w, piece, out);                       a chunk; not an empty one
 *     aws_chunked_write_end(&w, trailers, count, out); */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/wire/sigv4.h"
#include "proxy/wire/sigv4_canonical.h"

struct aws_chunked_writer {
    struct sigv4_seed *seed; /* borrowed, its signature moves on; NULL: chunks are not signed */
};

static void put_head(struct aws_chunked_writer *w, struct slice payload, struct buf *out)
{
    uint8_t hash[DIGEST_SHA256_BYTES];

    buf_format(out, "%zx", payload.len);
    if (w->seed != NULL) {
        digest_sha256(payload, hash);
        sigv4_string_sign_chunk(w->seed, hash, w->seed->signature);
        buf_format(out, ";chunk-signature=%.*s", DIGEST_SHA256_HEX, w->seed->signature);
    }
    buf_text(out, "\r\n");
}

static void aws_chunked_write(struct aws_chunked_writer *w, struct slice payload, struct buf *out)
{
    put_head(w, payload, out);
    buf_slice(out, payload);
    buf_text(out, "\r\n");
}

static void put_trailers(const struct http1_field *trailers, size_t count, const char *end,
                         struct buf *out)
{
    for (size_t i = 0; i < count; i++) {
        buf_slice(out, trailers[i].name);
        buf_text(out, ":");
        buf_slice(out, trailers[i].value);
        buf_text(out, end);
    }
}

/* The last chunk, and trailers if there are any: signed if the chunks are. */
static void aws_chunked_write_end(struct aws_chunked_writer *w, const struct http1_field *trailers,
                                  size_t count, struct buf *out)
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    size_t before;

    put_head(w, (struct slice){ 0 }, out);
    if (w->seed != NULL && count > 0) {
        before = out->len;
        put_trailers(trailers, count, "\n", out); /* for what is signed; then as it is sent */
        digest_sha256(slice_from(buf_all(out), before), hash);
        out->len = before;
        sigv4_string_sign_trailers(w->seed, hash, w->seed->signature);
    }
    put_trailers(trailers, count, "\r\n", out);
    if (w->seed != NULL && count > 0)
        buf_format(out, "x-amz-trailer-signature:%.*s\r\n", DIGEST_SHA256_HEX, w->seed->signature);
    buf_text(out, "\r\n");
}
