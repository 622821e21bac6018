/* See crc64nvme.h.  The least significant bit stands for the highest power, as in every reflected
 * CRC.  Tables: eight bytes a step, table[n][b] being what byte b does n bytes further on.
 * Multiplication: four lanes of 16 bytes, each moved on by 512 bits a step, then put together with
 * 128 bits between them; the last 16 bytes go through the tables. */
#include "proxy/wire/crc64nvme.h"

#include <pthread.h>

static const uint64_t POLYNOMIAL = 0x9a6c9329ac4bc9b5; /* 0xad93d23594c93659, reflected */

static uint64_t table[8][256]; /* written once */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        uint64_t crc = byte;

        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? POLYNOMIAL : 0);
        table[0][byte] = crc;
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        for (int n = 1; n < 8; n++)
            table[n][byte] = table[n - 1][byte] >> 8 ^ table[0][table[n - 1][byte] & 0xff];
    }
}

static uint64_t load(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? word : __builtin_bswap64(word);
}

/* Of a value that is not inverted. */
static uint64_t by_tables(uint64_t crc, const uint8_t *at, size_t len)
{
    for (; len >= 8; at += 8, len -= 8) {
        crc ^= load(at);
        crc = table[7][crc & 0xff] ^ table[6][crc >> 8 & 0xff] ^ table[5][crc >> 16 & 0xff] ^
              table[4][crc >> 24 & 0xff] ^ table[3][crc >> 32 & 0xff] ^ table[2][crc >> 40 & 0xff] ^
              table[1][crc >> 48 & 0xff] ^ table[0][crc >> 56];
    }
    for (; len > 0; at++, len--)
        crc = crc >> 8 ^ table[0][(crc ^ *at) & 0xff];
    return crc;
}

#ifdef __x86_64__
#include <immintrin.h>

#define TARGET __attribute__((target("pclmul,sse2")))

enum { BLOCK = 64 };

/* x to the power of the distance + 63, and - 1, modulo the polynomial, reflected: what the half
 * with the higher powers is multiplied with, and the other. */
static const uint64_t BY_512_BITS[2] = { 0x0c32cdb31e18a84a, 0x62242240ace5045a };
static const uint64_t BY_128_BITS[2] = { 0xeadc41fd2ba3d420, 0x21e9761e252621ac };

TARGET static __m128i moved_on(__m128i lane, __m128i by)
{
    return _mm_xor_si128(_mm_clmulepi64_si128(lane, by, 0x00),
                         _mm_clmulepi64_si128(lane, by, 0x11));
}

TARGET static __m128i loaded(const void *at)
{
    return _mm_loadu_si128((const __m128i *)at);
}

/* Of at least two blocks. */
TARGET static uint64_t by_multiplication(uint64_t crc, const uint8_t *at, size_t len)
{
    __m128i far = loaded(BY_512_BITS), near = loaded(BY_128_BITS), lane[4];
    uint8_t rest[16];

    for (int i = 0; i < 4; i++)
        lane[i] = loaded(at + (ptrdiff_t)16 * i);
    lane[0] = _mm_xor_si128(lane[0], _mm_cvtsi64_si128((long long)crc));
    for (at += BLOCK, len -= BLOCK; len >= BLOCK; at += BLOCK, len -= BLOCK) {
        lane[0] = _mm_xor_si128(moved_on(lane[0], far), loaded(at));
        lane[1] = _mm_xor_si128(moved_on(lane[1], far), loaded(at + 16));
        lane[2] = _mm_xor_si128(moved_on(lane[2], far), loaded(at + 32));
        lane[3] = _mm_xor_si128(moved_on(lane[3], far), loaded(at + 48));
    }
    for (int i = 1; i < 4; i++)
        lane[i] = _mm_xor_si128(moved_on(lane[i - 1], near), lane[i]);
    _mm_storeu_si128((__m128i *)rest, lane[3]);
    return by_tables(by_tables(0, rest, sizeof(rest)), at, len);
}

static bool can_multiply(size_t len)
{
    return len >= 2 * (size_t)BLOCK && __builtin_cpu_supports("pclmul");
}
#else
static uint64_t by_multiplication(uint64_t crc, const uint8_t *at, size_t len)
{
    return by_tables(crc, at, len);
}

static bool can_multiply(size_t len)
{
    (void)len;
    return false;
}
#endif

uint64_t crc64nvme_of(uint64_t before, struct slice bytes)
{
    pthread_once(&once, make_tables);
    return ~(can_multiply(bytes.len) ? by_multiplication(~before, bytes.at, bytes.len)
                                     : by_tables(~before, bytes.at, bytes.len));
}

uint64_t crc64nvme_by_tables(uint64_t before, struct slice bytes)
{
    pthread_once(&once, make_tables);
    return ~by_tables(~before, bytes.at, bytes.len);
}
