/* See digest.h. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/digest.h"

#include <ctype.h>

#include <openssl/md5.h>
#include <openssl/sha.h>

const char DIGEST_OF_NOTHING[DIGEST_SHA256_HEX + 1] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

void digest_sha256(struct slice bytes, uint8_t digest[DIGEST_SHA256_BYTES])
{
    SHA256_CTX state;

    SHA256_Init(&state);
    SHA256_Update(&state, bytes.at, bytes.len);
    SHA256_Final(digest, &state);
}

void digest_md5(struct slice bytes, uint8_t digest[MD5_DIGEST_LENGTH])
{
    MD5_CTX state;

    MD5_Init(&state);
    MD5_Update(&state, bytes.at, bytes.len);
    MD5_Final(digest, &state);
}

void digest_hex(struct slice bytes, char *out)
{
    static const char letters[] = "0123456789abcdef";

    for (size_t i = 0; i < bytes.len; i++) {
        *out++ = letters[bytes.at[i] >> 4];
        *out++ = letters[bytes.at[i] & 15];
    }
}

bool digest_of_hex(struct slice hex, uint8_t *out, size_t len)
{
    if (hex.len != 2 * len)
        return false;
    for (size_t i = 0; i < hex.len; i++) {
        if (!isxdigit(hex.at[i]))
            return false;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t pair[2] = { hex.at[2 * i], hex.at[2 * i + 1] };

        for (size_t n = 0; n < 2; n++)
            pair[n] = (uint8_t)(pair[n] <= '9' ? pair[n] - '0' : (pair[n] | 0x20) - 'a' + 10);
        out[i] = (uint8_t)(pair[0] << 4 | pair[1]);
    }
    return true;
}
