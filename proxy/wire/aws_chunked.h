/* The framing aws-chunked (Content-Encoding: aws-chunked) that stands within a body: chunks that
 * may be signed one by one, and trailers behind them.  Bytes are shown as they come, in any pieces:
 *
 *     struct aws_chunked c;
 *     TRY: aws_chunked_init(&c, &chunked_of_the_request, &sums)
 *     while ((found = aws_chunked_next(&c, &in, &payload)) == AWS_CHUNKED_PAYLOAD)
 *         ... payload is a part of `in`, passed on as c.given bytes are now; c.verified of them
 *             are known to be the signer's: hold back the end of the body till AWS_CHUNKED_END ...
 *
 * `payload` was added to the checksums already.  Trailers are declared to them, and all is compared
 * at the end: AWS_CHUNKED_END says that everything is right.  Nothing is allocated. */
#pragma once

#include "proxy/wire/checksum.h"
#include "proxy/wire/sigv4.h"

enum {
    AWS_CHUNKED_LINE_MOST = 256, /* head of a chunk, or a trailer */
};

enum aws_chunked_found {
    AWS_CHUNKED_MORE,    /* all bytes are taken, more are due */
    AWS_CHUNKED_PAYLOAD, /* bytes of the body */
    AWS_CHUNKED_END,     /* it is whole and right; what is left of `in` is not of this body */
    AWS_CHUNKED_BAD,     /* see `fault`; nothing may become visible */
};

/* What the head says. */
struct aws_chunked_head {
    enum sigv4_payload payload;    /* one that sigv4_payload_is_chunked() */
    const struct sigv4_seed *seed; /* of signed chunks, copied; else NULL */
    uint64_t decoded_length;       /* x-amz-decoded-content-length; UINT64_MAX: not given */
    struct slice trailer;          /* x-amz-trailer: names that must come; empty: none announced */
};

struct aws_chunked {
    struct checksum_set *sums; /* borrowed till the end */
    bool is_signed, has_trailer, has_trailer_signature;
    bool was_bare; /* the trailer before ended in LF alone */
    uint8_t step;
    uint8_t due;         /* 1 << enum checksum: trailers that were announced and did not come yet */
    uint8_t trailers;    /* seen */
    uint64_t length;     /* decoded, as the head says */
    uint64_t chunk_left; /* bytes of this chunk still to come */
    uint64_t given, verified; /* bytes of payload; verified: unsigned chunks are so at the end */
    struct sigv4_seed seed;   /* its signature is that of the chunk before */
    char signature[DIGEST_SHA256_HEX]; /* of this chunk, as its head says */
    SHA256_CTX sha256;                 /* of this chunk; of the trailers */
    uint16_t line_len;
    uint8_t line[AWS_CHUNKED_LINE_MOST + 2]; /* of a line that came in pieces */
    struct s3_fault fault;
};

/* Announced checksums are wanted of `sums`.  S3_INVALID_REQUEST with `c->fault`: x-amz-trailer
 * names what is no checksum. */
enum s3_error aws_chunked_init(struct aws_chunked *c, const struct aws_chunked_head *head,
                               struct checksum_set *sums) MUST_CHECK;
/* Takes bytes off the front of `in`. */
enum aws_chunked_found aws_chunked_next(struct aws_chunked *c, struct slice *in,
                                        struct slice *payload);
/* The body around it ended though aws_chunked_next() said MORE: sets the fault. */
enum s3_error aws_chunked_cut(struct aws_chunked *c) MUST_CHECK;
/* Wipes the key. */
void aws_chunked_fini(struct aws_chunked *c);
