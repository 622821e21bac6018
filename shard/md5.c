/* See md5.h.  RFC 1321, for keys: everything is at hand in one piece. */
#include "shard/md5.h"

#include <string.h>

enum { BLOCK = 64, LENGTH_AT = BLOCK - 8 };

static const uint32_t SINES[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static inline uint32_t load_le32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static inline uint32_t rotate(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

/* One step of the 64; `mixed` is the round's function of b, c and d, and `word` its message word.
 * A macro, because the four registers change places from step to step without being copied. */
#define STEP(mixed, a, b, word, step, by)                                                          \
    ((a) = (b) + rotate((a) + (mixed) + words[(word)&15] + SINES[step], by))

#define FOUR_STEPS(round, first, s0, s1, s2, s3)                                                   \
    do {                                                                                           \
        STEP(round(b, c, d), a, b, WORD_##round(first), first, s0);                                \
        STEP(round(a, b, c), d, a, WORD_##round((first) + 1), (first) + 1, s1);                    \
        STEP(round(d, a, b), c, d, WORD_##round((first) + 2), (first) + 2, s2);                    \
        STEP(round(c, d, a), b, c, WORD_##round((first) + 3), (first) + 3, s3);                    \
    } while (0)

#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) ((y) ^ ((z) & ((x) ^ (y))))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))
#define WORD_F(i)  (i)
#define WORD_G(i)  (5 * (i) + 1)
#define WORD_H(i)  (3 * (i) + 5)
#define WORD_I(i)  (7 * (i))

static void digest_block(uint32_t state[4], const uint8_t *block)
{
    uint32_t words[16], a = state[0], b = state[1], c = state[2], d = state[3];

    for (int i = 0; i < 16; i++)
        words[i] = load_le32(block + 4 * i);
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4)
        FOUR_STEPS(F, i, 7, 12, 17, 22);
#pragma GCC unroll 4
    for (int i = 16; i < 32; i += 4)
        FOUR_STEPS(G, i, 5, 9, 14, 20);
#pragma GCC unroll 4
    for (int i = 32; i < 48; i += 4)
        FOUR_STEPS(H, i, 4, 11, 16, 23);
#pragma GCC unroll 4
    for (int i = 48; i < 64; i += 4)
        FOUR_STEPS(I, i, 6, 10, 15, 21);
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
}

struct md5 md5_of(struct slice text)
{
    struct md5 md5 = { { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 } };
    size_t whole = text.len / BLOCK * BLOCK, rest = text.len - whole;
    uint64_t bits = (uint64_t)text.len * 8;
    uint8_t last[BLOCK] = { 0 };

    for (size_t at = 0; at < whole; at += BLOCK)
        digest_block(md5.words, text.at + at);
    if (rest > 0)
        memcpy(last, text.at + whole, rest);
    last[rest] = 0x80;
    if (rest >= LENGTH_AT) {
        digest_block(md5.words, last);
        memset(last, 0, sizeof(last));
    }
    for (int i = 0; i < 8; i++)
        last[LENGTH_AT + i] = (uint8_t)(bits >> (8 * i));
    digest_block(md5.words, last);
    return md5;
}
