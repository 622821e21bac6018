/* Hashes of short things, and hexadecimal letters.  OpenSSL's older functions, as in hmac_sha256.h:
 * their states are plain structs, nothing is allocated, and on short inputs they cost half of
 * EVP's.
 */
#pragma once

#include "proxy/base/slice.h"

enum {
    DIGEST_SHA256_BYTES = 32,
    DIGEST_SHA256_HEX = 64, /* letters, not terminated */
    DIGEST_MD5_BYTES = 16,
};

/* SHA-256 of a body with nothing in it, in letters. */
extern const char DIGEST_OF_NOTHING[DIGEST_SHA256_HEX + 1];

void digest_sha256(struct slice bytes, uint8_t digest[DIGEST_SHA256_BYTES]);
void digest_md5(struct slice bytes, uint8_t digest[DIGEST_MD5_BYTES]);
/* Two letters a byte, small ones. */
void digest_hex(struct slice bytes, char *out);
/* Exactly `len` bytes, of letters of either case. */
bool digest_of_hex(struct slice hex, uint8_t *out, size_t len);
bool digest_is_hex(struct slice hex, size_t len);
