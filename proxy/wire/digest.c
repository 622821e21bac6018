/* See digest.h. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/digest.h"

#include <openssl/md5.h>
#include <openssl/sha.h>

#include "proxy/wire/sha256_whole.h"
#include "proxy/wire/sixteen.h"

enum { WHOLE_MOST = 4096 }; /* what goes that way, see sha256_whole.h */

const char DIGEST_OF_NOTHING[DIGEST_SHA256_HEX + 1] =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

void digest_sha256(struct slice bytes, uint8_t digest[DIGEST_SHA256_BYTES])
{
    SHA256_CTX state;

    if (bytes.len <= WHOLE_MOST && sha256_whole_is_native()) {
        sha256_whole(SHA256_WHOLE_START, 0, bytes, digest);
        return;
    }
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

/* Sixteen bytes to 32 letters at once: each half byte to a byte of its own, the higher one first;
 * to those above 9 the distance between '9' and 'a' is added. */
static void put_sixteen(const uint8_t *in, char *out)
{
    int8_t bytes __attribute__((vector_size(16)));
    uint16_t pairs __attribute__((vector_size(16)));
    __typeof__(bytes) high, low, letters[2];

    memcpy(&bytes, in, sizeof(bytes));
    memcpy(&pairs, in, sizeof(pairs));
    high = (__typeof__(bytes))(pairs >> 4) & 15; /* bytes cannot be shifted at once */
    low = bytes & 15;
    high += '0' + ((__typeof__(bytes))(high > 9) & ('a' - '9' - 1));
    low += '0' + ((__typeof__(bytes))(low > 9) & ('a' - '9' - 1));
    letters[0] =
        __builtin_shufflevector(high, low, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    letters[1] = __builtin_shufflevector(high, low, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29,
                                         14, 30, 15, 31);
    memcpy(out, &letters[0], sizeof(letters[0]));
    memcpy(out + 16, &letters[1], sizeof(letters[1]));
}

void digest_hex(struct slice bytes, char *out)
{
    static const char letters[] = "0123456789abcdef";
    size_t i = 0;

    if (bytes.len == DIGEST_SHA256_BYTES) { /* mostly */
        put_sixteen(bytes.at, out);
        put_sixteen(bytes.at + 16, out + 32);
        return;
    }
    for (; i + 16 <= bytes.len; i += 16, out += 32)
        put_sixteen(bytes.at + i, out);
    for (; i < bytes.len; i++) {
        *out++ = letters[bytes.at[i] >> 4];
        *out++ = letters[bytes.at[i] & 15];
    }
}

/* One more than what a letter stands for; 0: for nothing. */
static const uint8_t half_of[256] = {
    ['0'] = 1,  ['1'] = 2,  ['2'] = 3,  ['3'] = 4,  ['4'] = 5,  ['5'] = 6,  ['6'] = 7,  ['7'] = 8,
    ['8'] = 9,  ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15, ['f'] = 16,
    ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16,
};

bool digest_of_hex(struct slice hex, uint8_t *out, size_t len)
{
    if (!digest_is_hex(hex, len))
        return false;
    for (size_t i = 0; i < len; i++) {
        unsigned high = half_of[hex.at[2 * i]] - 1u, low = half_of[hex.at[2 * i + 1]] - 1u;

        out[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Digits, or letters of either case from 'a' to 'f': sixteen are looked at together. */
static inline bool are_digits(const uint8_t *at, size_t count)
{
    int8_t right __attribute__((vector_size(16))) = (__typeof__(right)){ 0 } == 0;
    uint64_t halves[2];

    for (size_t i = 0; i < count; i += 16) {
        uint8_t letters __attribute__((vector_size(16)));

        memcpy(&letters, at + i, sizeof(letters));
        right &= SIXTEEN_IN_RANGE(letters, '0', '9') | SIXTEEN_IN_RANGE(letters | 0x20, 'a', 'f');
    }
    memcpy(halves, &right, sizeof(halves));
    return (halves[0] & halves[1]) == UINT64_MAX;
}

bool digest_is_hex(struct slice hex, size_t len)
{
    size_t i = hex.len - hex.len % 16;

    if (hex.len != 2 * len)
        return false;
    if (len == DIGEST_SHA256_BYTES && memcmp(hex.at, DIGEST_OF_NOTHING, DIGEST_SHA256_HEX) == 0)
        return true; /* as most payloads' are */
    if (!are_digits(hex.at, i))
        return false;
    while (i < hex.len && half_of[hex.at[i]] != 0)
        i++;
    return i == hex.len;
}
