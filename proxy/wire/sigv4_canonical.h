/* The canonical request of SigV4, which both who signs and who verifies write, line by line:
 *
 *     TRY(sigv4_query_read(scratch, query, &params));
 *     TRY(sigv4_canonical_begin(scratch, method, path, false, &params, "X-Amz-Signature"));
 *     sigv4_canonical_name(scratch, name);               for each field that is signed
 *     sigv4_canonical_value(scratch, value, true);        for each of its values
 *     sigv4_canonical_end(scratch, names, payload, hash);
 *
 * and what is signed then, the string with the canonical request's hash. */
#pragma once

#include "proxy/wire/sigv4.h"
#include "proxy/wire/uri.h"

/* "20260131T235959Z" and back.  ERR_SYNTAX. */
struct slice sigv4_time_write(struct sigv4_scratch *scratch, int64_t seconds);
enum err sigv4_time_read(struct sigv4_scratch *scratch, struct slice text, int64_t *seconds)
    MUST_CHECK;

/* Writes name.len letters, small ones; returns their end. */
uint8_t *sigv4_lower(struct slice name, uint8_t *to);

/* The parts of a query in canonical form and order: slices of scratch->query. */
struct sigv4_query {
    size_t count;
    bool may_sign; /* a name begins as those of signatures do */
    struct sigv4_param {
        struct slice name, value;
    } params[URI_QUERY_MAX_ITEMS];
};

/* ERR_SYNTAX: a '%' without two hex digits; ERR_LIMIT: too many parts. */
enum err sigv4_query_read(struct sigv4_scratch *scratch, struct slice query,
                          struct sigv4_query *out) MUST_CHECK;
/* The value of the first parameter of a name without letters to encode, as it is encoded; NULL:
 * there is none. */
const struct slice *sigv4_query_value(const struct sigv4_query *query, const char *name);

/* `path_is_plain`: it is known to be the same, encoded.  The parameter `omit` is left out, if that
 * is not NULL.  ERR_SYNTAX as above. */
enum err sigv4_canonical_begin(struct sigv4_scratch *scratch, struct slice method,
                               struct slice path, bool path_is_plain,
                               const struct sigv4_query *query, const char *omit) MUST_CHECK;
/* A field of the table's that has one value. */
void sigv4_canonical_field(struct sigv4_scratch *scratch, enum http1_name name, struct slice value);
/* In small letters. */
void sigv4_canonical_name(struct sigv4_scratch *scratch, struct slice name);
/* Without blanks around it, one for each run of them within.  Is it the field's last one? */
void sigv4_canonical_value(struct sigv4_scratch *scratch, struct slice value, bool is_last);
/* The names of all fields as they were written, with ';' between them: what stands last. */
void sigv4_canonical_last(struct sigv4_scratch *scratch, struct slice names, struct slice payload);
/* The same, and all is hashed. */
void sigv4_canonical_end(struct sigv4_scratch *scratch, struct slice names, struct slice payload,
                         uint8_t hash[DIGEST_SHA256_BYTES]);

/* The string to sign, and its length; or only what stands before the hash. */
size_t sigv4_string_begin(struct slice time, struct slice scope, char out[SIGV4_STRING_MOST]);
size_t sigv4_string_write(struct slice time, struct slice scope,
                          const uint8_t hash[DIGEST_SHA256_BYTES], char out[SIGV4_STRING_MOST]);
void sigv4_string_sign(struct sigv4_scratch *scratch, const struct hmac_sha256 *key,
                       struct slice string, char signature[DIGEST_SHA256_HEX]);
/* The signatures of a chunk and of trailers, by the hash of either and the signature before it,
 * which is the seed's. */
void sigv4_string_sign_chunk(const struct sigv4_seed *seed, const uint8_t hash[DIGEST_SHA256_BYTES],
                             char signature[DIGEST_SHA256_HEX]);
void sigv4_string_sign_trailers(const struct sigv4_seed *seed,
                                const uint8_t hash[DIGEST_SHA256_BYTES],
                                char signature[DIGEST_SHA256_HEX]);
