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

/* T ^= U for each U = HMAC(U), `times` times: the inner loop of PBKDF2. */
void hmac_sha256_fold(const struct hmac_sha256 *keyed, uint8_t u[SHA256_DIGEST_LENGTH],
                      uint8_t t[SHA256_DIGEST_LENGTH], uint32_t times);
