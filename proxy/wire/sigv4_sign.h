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
#include "proxy/wire/sigv4_canonical.h"

struct sigv4_request {
    struct slice method, path, query; /* query: behind the '?', empty if there is none */
    const struct http1_field *fields; /* only names, of any case, and values are looked at */
    size_t field_count;
};

struct sigv4_signer {
    struct sigv4_keys *keys;
    struct sigv4_scratch *scratch;
    struct slice id, secret, region;
    struct slice token; /* of temporary credentials; empty: none */
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

/* Of requests without query and body, of whose fields only `host` is signed, all but the method and
 * the path stays the same for a second: it is made once.  Empty when zero.
 *
 *     if (!sigv4_plain_holds(plain, now_s))
 *         TRY(sigv4_plain_make(plain, &signer, host, now_s));
 *     buf_text(out, "GET ");
 *     uri_put_encoded(out, path, URI_KEEP_SLASH);
 *     sigv4_plain_put(plain, &scratch, method, path_len, out);         the whole rest of the head
 *
 * Keys are in it: sigv4_plain_forget(), which wipes them, also when host or signer change. */
#define SIGV4_PLAIN_PAYLOAD "UNSIGNED-PAYLOAD" /* there is none; hashed in two blocks less */
struct sigv4_plain {
    uint64_t now_s; /* 0: empty */
    struct hmac_sha256 key;
    struct hmac_sha256_start start;
    char string[SIGV4_STRING_MOST]; /* what is signed, up to the hash */
    size_t string_len;
    struct buf canonical, head; /* what follows the path in either, up to the signature */
};

static inline bool sigv4_plain_holds(const struct sigv4_plain *plain, uint64_t now_s)
{
    return plain->now_s == now_s && now_s != 0;
}

/* ERR_LIMIT: the region is too long. */
enum err sigv4_plain_make(struct sigv4_plain *plain, const struct sigv4_signer *signer,
                          struct slice host, uint64_t now_s) MUST_CHECK;
/* Puts what follows the path, which is the end of `out` already, encoded as URI_KEEP_SLASH has it,
 * behind a method and a blank. */
void sigv4_plain_put(struct sigv4_plain *plain, struct sigv4_scratch *scratch, struct slice method,
                     size_t path_len, struct buf *out);
void sigv4_plain_forget(struct sigv4_plain *plain);
