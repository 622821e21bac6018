/* HMAC-SHA-256 whose key is prepared once: a copy of a begun one continues from the key.
 *
 *     struct hmac_sha256 keyed, h;
 *     hmac_sha256_begin(&keyed, key);
 *     h = keyed;
 *     hmac_sha256_add(&h, text);
 *     hmac_sha256_end(&h, digest);                            h is wiped, keyed is as it was */
#pragma once

#include <openssl/sha.h>

#include "proxy/base/slice.h"

struct hmac_sha256 {
    SHA256_CTX inner, outer;
};

void hmac_sha256_begin(struct hmac_sha256 *h, struct slice key);
void hmac_sha256_add(struct hmac_sha256 *h, struct slice bytes);
void hmac_sha256_end(struct hmac_sha256 *h, uint8_t digest[SHA256_DIGEST_LENGTH]);

/* Of one text, with a key that was prepared and to which nothing was added: quicker. */
void hmac_sha256_of(const struct hmac_sha256 *keyed, struct slice text,
                    uint8_t digest[SHA256_DIGEST_LENGTH]);

/* The same of texts that begin alike: what the key and the text's first block come to is kept in
 * `start`, which is empty when zero.  Of a different key or block it is made anew; it is as secret
 * as the key. */
struct hmac_sha256_start {
    uint32_t key[8], after[8];
    uint8_t block[SHA256_CBLOCK];
};
void hmac_sha256_of_start(const struct hmac_sha256 *keyed, struct hmac_sha256_start *start,
                          struct slice text, uint8_t digest[SHA256_DIGEST_LENGTH]);

/* Is it of this key? */
bool hmac_sha256_is_start(const struct hmac_sha256 *keyed, const struct hmac_sha256_start *start);
/* What it is, and the same of a text that is known to begin with that block, by the same key. */
void hmac_sha256_start(const struct hmac_sha256 *keyed, const uint8_t block[SHA256_CBLOCK],
                       struct hmac_sha256_start *start);
void hmac_sha256_of_rest(const struct hmac_sha256 *keyed, const struct hmac_sha256_start *start,
                         struct slice text, uint8_t digest[SHA256_DIGEST_LENGTH]);

/* T ^= U for each U = HMAC(U), `times` times: the inner loop of PBKDF2. */
void hmac_sha256_fold(const struct hmac_sha256 *keyed, uint8_t u[SHA256_DIGEST_LENGTH],
                      uint8_t t[SHA256_DIGEST_LENGTH], uint32_t times);
