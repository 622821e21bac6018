/* Signs what we ask of a store.
 *
 *     struct sigv4_signer s = { .keys = keys, .id = id, .secret = secret, .region = region };
 *     sigv4_sign(&s, &request, slice_text("UNSIGNED-PAYLOAD"), now_s, out);
 *
 * The request's fields are those to be signed, all of them: host, and what else is sent and
 * matters. Its path and query are as they will be sent.  All of these may lie in `out`, before what
 * is written there, which are whole lines of the head: */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/wire/sigv4.h"

struct sigv4_request {
    struct slice method, path, query; /* query: behind the '?', empty if there is none */
    const struct http1_field *fields; /* only names, of any case, and values are looked at */
    size_t field_count;
};

/* Of requests without a body of which only `host` is signed, most of what is hashed and of what is
 * written stays the same for a second: what the last one of an endpoint was like.  Empty when zero;
 * keys are in it, which sigv4_plain_fini() wipes. */
struct sigv4_plain {
    uint64_t now_s;
    char time[SIGV4_TIME];
    struct hmac_sha256 key;
    struct buf made_of; /* its host and whose signature it is */
    struct buf canonical, lines, scope;
};

void sigv4_plain_fini(struct sigv4_plain *plain);

struct sigv4_signer {
    struct sigv4_keys *keys;
    struct sigv4_scratch *scratch;
    struct slice id, secret, region;
    struct slice token;        /* of temporary credentials; empty: none */
    struct sigv4_plain *plain; /* an endpoint's; NULL: nothing is kept */
};

/* "x-amz-date: ...\r\nx-amz-content-sha256: ...\r\n[x-amz-security-token: ...\r\n]Authorization:
 * ...\r\n".  `payload`: the body's hash in hexadecimal letters, or UNSIGNED-PAYLOAD.  If `seed` is
 * not NULL, it is for the body's chunks.  ERR_LIMIT: more fields or parts of a query than fit; then
 * nothing is written. */
enum err sigv4_sign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                    struct slice payload, uint64_t now_s, struct sigv4_seed *seed, struct buf *out)
    MUST_CHECK;

/* The query of a presigned request, to be sent behind '?': the request's own, and the signature's.
 * ERR_LIMIT, ERR_RANGE: `expires_s` is not within 1 .. SIGV4_EXPIRES_MOST_S. */
enum err sigv4_presign(const struct sigv4_signer *signer, const struct sigv4_request *request,
                       uint64_t now_s, uint32_t expires_s, struct buf *out) MUST_CHECK;
