/* See sha256_whole.h.  FIPS 180-4; sha256rnds2 wants the words in the order ABEF, CDGH. */
#include "proxy/wire/sha256_whole.h"

const uint32_t SHA256_WHOLE_START[8] = { 0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19 };

#ifdef __x86_64__

#include <cpuid.h>
#include <immintrin.h>

/* With AVX an instruction's result need not take the place of one of its two words: a block is 30
 * moves of registers shorter. */
#define NATIVE  __attribute__((target("sha,avx")))
#define AT_ONCE __attribute__((always_inline)) inline

enum { SHA_BIT = 1 << 29, REST_STEP = 16 };

static const uint32_t rounds[64] __attribute__((aligned(16))) = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

struct words {
    __m128i abef, cdgh;
};

static bool find_out(void)
{
    unsigned a, c, d, features;

    return __get_cpuid_count(7, 0, &a, &features, &c, &d) != 0 && (features & SHA_BIT) != 0 &&
           __builtin_cpu_supports("avx");
}

bool sha256_whole_is_native(void)
{
    static _Atomic signed char known; /* 1: yes, -1: no; who finds out finds the same */

    if (known == 0)
        known = find_out() ? 1 : -1;
    return known > 0;
}

NATIVE static AT_ONCE __m128i byte_order(void)
{
    return _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
}

NATIVE static AT_ONCE void four_rounds(struct words *s, __m128i message, unsigned number)
{
    __m128i due = _mm_add_epi32(message, _mm_load_si128((const __m128i *)(rounds + number)));

    s->cdgh = _mm_sha256rnds2_epu32(s->cdgh, s->abef, due);
    s->abef = _mm_sha256rnds2_epu32(s->abef, s->cdgh, _mm_shuffle_epi32(due, 0x0e));
}

/* The four words that follow those sixteen. */
NATIVE static AT_ONCE __m128i next_words(__m128i m0, __m128i m1, __m128i m2, __m128i m3)
{
    return _mm_sha256msg2_epu32(
        _mm_add_epi32(_mm_sha256msg1_epu32(m0, m1), _mm_alignr_epi8(m3, m2, 4)), m3);
}

NATIVE static AT_ONCE void sixteen_rounds(struct words *s, __m128i m[4], unsigned number)
{
    m[0] = next_words(m[0], m[1], m[2], m[3]);
    four_rounds(s, m[0], number);
    m[1] = next_words(m[1], m[2], m[3], m[0]);
    four_rounds(s, m[1], number + 4);
    m[2] = next_words(m[2], m[3], m[0], m[1]);
    four_rounds(s, m[2], number + 8);
    m[3] = next_words(m[3], m[0], m[1], m[2]);
    four_rounds(s, m[3], number + 12);
}

NATIVE static AT_ONCE void add(struct words *s, struct words more)
{
    s->abef = _mm_add_epi32(s->abef, more.abef);
    s->cdgh = _mm_add_epi32(s->cdgh, more.cdgh);
}

NATIVE static AT_ONCE __m128i words_at(const uint8_t *at)
{
    return _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)at), byte_order());
}

NATIVE static AT_ONCE void block_read(const uint8_t *at, __m128i m[4])
{
    m[0] = words_at(at);
    m[1] = words_at(at + 16);
    m[2] = words_at(at + 32);
    m[3] = words_at(at + 48);
}

/* A block, as sixteen words.  Without loops, so that all of it stays in registers: a third of the
 * instructions less. */
NATIVE static AT_ONCE void block(struct words *state, const __m128i words[4])
{
    __m128i m[4] = { words[0], words[1], words[2], words[3] };
    struct words s = *state;

    four_rounds(&s, m[0], 0);
    four_rounds(&s, m[1], 4);
    four_rounds(&s, m[2], 8);
    four_rounds(&s, m[3], 12);
    sixteen_rounds(&s, m, 16);
    sixteen_rounds(&s, m, 32);
    sixteen_rounds(&s, m, 48);
    add(state, s);
}

NATIVE static void blocks(struct words *state, const uint8_t *at, size_t count)
{
    struct words s = *state;

    for (; count > 0; count--, at += SHA256_WHOLE_BLOCK) {
        __m128i m[4];

        block_read(at, m);
        block(&s, m);
    }
    *state = s;
}

/* One stream's rounds wait for each other; those of another fill the gaps. */
NATIVE static AT_ONCE void rounds_of_two(struct words *s, __m128i m, struct words *t, __m128i n,
                                         unsigned number)
{
    four_rounds(s, m, number);
    four_rounds(t, n, number);
}

NATIVE static AT_ONCE void sixteen_rounds_of_two(struct words *s, __m128i m[4], struct words *t,
                                                 __m128i n[4], unsigned number)
{
    m[0] = next_words(m[0], m[1], m[2], m[3]);
    n[0] = next_words(n[0], n[1], n[2], n[3]);
    rounds_of_two(s, m[0], t, n[0], number);
    m[1] = next_words(m[1], m[2], m[3], m[0]);
    n[1] = next_words(n[1], n[2], n[3], n[0]);
    rounds_of_two(s, m[1], t, n[1], number + 4);
    m[2] = next_words(m[2], m[3], m[0], m[1]);
    n[2] = next_words(n[2], n[3], n[0], n[1]);
    rounds_of_two(s, m[2], t, n[2], number + 8);
    m[3] = next_words(m[3], m[0], m[1], m[2]);
    n[3] = next_words(n[3], n[0], n[1], n[2]);
    rounds_of_two(s, m[3], t, n[3], number + 12);
}

NATIVE static void blocks_of_two(struct words *one, const uint8_t *at, struct words *other,
                                 const uint8_t *other_at, size_t count)
{
    struct words s = *one, t = *other;

    for (; count > 0; count--, at += SHA256_WHOLE_BLOCK, other_at += SHA256_WHOLE_BLOCK) {
        struct words s_before = s, t_before = t;
        __m128i m[4], n[4];

        block_read(at, m);
        block_read(other_at, n);
        rounds_of_two(&s, m[0], &t, n[0], 0);
        rounds_of_two(&s, m[1], &t, n[1], 4);
        rounds_of_two(&s, m[2], &t, n[2], 8);
        rounds_of_two(&s, m[3], &t, n[3], 12);
        sixteen_rounds_of_two(&s, m, &t, n, 16);
        sixteen_rounds_of_two(&s, m, &t, n, 32);
        sixteen_rounds_of_two(&s, m, &t, n, 48);
        add(&s, s_before);
        add(&t, t_before);
    }
    *one = s;
    *other = t;
}

NATIVE static inline struct words words_of(const uint32_t state[8])
{
    __m128i cdab = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)state), 0xb1);
    __m128i efgh = _mm_shuffle_epi32(_mm_loadu_si128((const __m128i *)(state + 4)), 0x1b);

    return (struct words){ _mm_alignr_epi8(cdab, efgh, 8), _mm_blend_epi16(efgh, cdab, 0xf0) };
}

/* In their usual order. */
NATIVE static AT_ONCE void words_take(struct words s, __m128i *abcd, __m128i *efgh)
{
    __m128i feba = _mm_shuffle_epi32(s.abef, 0x1b), dchg = _mm_shuffle_epi32(s.cdgh, 0xb1);

    *abcd = _mm_blend_epi16(feba, dchg, 0xf0);
    *efgh = _mm_alignr_epi8(dchg, feba, 8);
}

NATIVE static AT_ONCE void words_put(struct words s, uint8_t out[SHA256_WHOLE_BYTES])
{
    __m128i abcd, efgh, *to = (__m128i *)out;

    words_take(s, &abcd, &efgh);
    _mm_storeu_si128(to, _mm_shuffle_epi8(abcd, byte_order()));
    _mm_storeu_si128(to + 1, _mm_shuffle_epi8(efgh, byte_order()));
}

NATIVE static AT_ONCE void state_put(struct words s, uint32_t state[8])
{
    __m128i abcd, efgh, *to = (__m128i *)state;

    words_take(s, &abcd, &efgh);
    _mm_storeu_si128(to, abcd);
    _mm_storeu_si128(to + 1, efgh);
}

NATIVE void sha256_whole_block(const uint32_t state[8], const uint8_t block[SHA256_WHOLE_BLOCK],
                               uint32_t after[8])
{
    struct words s = words_of(state);

    blocks(&s, block, 1);
    state_put(s, after);
}

NATIVE void sha256_whole_two(uint32_t one[8], const uint8_t *at, uint32_t other[8],
                             const uint8_t *other_at, size_t count)
{
    struct words s = words_of(one), t = words_of(other);

    blocks_of_two(&s, at, &t, other_at, count);
    state_put(s, one);
    state_put(t, other);
}

NATIVE static AT_ONCE void wipe(uint8_t block[SHA256_WHOLE_BLOCK])
{
    __m128i *to = (__m128i *)block;

    _mm_storeu_si128(to, _mm_setzero_si128());
    _mm_storeu_si128(to + 1, _mm_setzero_si128());
    _mm_storeu_si128(to + 2, _mm_setzero_si128());
    _mm_storeu_si128(to + 3, _mm_setzero_si128());
}

/* Up to two blocks.  As explicit_bzero(), which takes longer to call. */
NATIVE static AT_ONCE void wipe_end(uint8_t end[2 * SHA256_WHOLE_BLOCK])
{
    wipe(end);
    wipe(end + SHA256_WHOLE_BLOCK);
    __asm__ volatile("" : : "r"(end) : "memory");
}

NATIVE static AT_ONCE void copy_sixteen(uint8_t *to, const uint8_t *from)
{
    _mm_storeu_si128((__m128i *)to, _mm_loadu_si128((const __m128i *)from));
}

/* The last bytes of a text, less than a block; up to sixteen before `to` may be written. */
NATIVE static AT_ONCE void rest_put(uint8_t *to, struct slice text, size_t rest)
{
    const uint8_t *end = text.at + text.len;

    if (text.len >= REST_STEP) {
        for (size_t i = 0; i + REST_STEP <= rest; i += REST_STEP)
            copy_sixteen(to + i, end - rest + i);
        copy_sixteen(to + rest - REST_STEP, end - REST_STEP);
    } else if (rest > 0) {
        memcpy(to, text.at, rest);
    }
}

NATIVE static AT_ONCE struct words hashed(const uint32_t state[8], uint64_t before,
                                          struct slice text)
{
    struct words s = words_of(state);
    size_t whole = text.len / SHA256_WHOLE_BLOCK, rest = text.len % SHA256_WHOLE_BLOCK;
    size_t last = rest + 9 > SHA256_WHOLE_BLOCK ? 2 : 1;
    uint64_t bits = __builtin_bswap64((before + text.len) * 8);
    uint8_t room[REST_STEP + 2 * SHA256_WHOLE_BLOCK], *end = room + REST_STEP;

    blocks(&s, text.at, whole);
    wipe_end(end);
    rest_put(end, text, rest);
    end[rest] = 0x80;
    memcpy(end + last * SHA256_WHOLE_BLOCK - sizeof(bits), &bits, sizeof(bits));
    blocks(&s, end, last);
    wipe_end(end); /* it may be of a password */
    return s;
}

NATIVE void sha256_whole(const uint32_t state[8], uint64_t before, struct slice text,
                         uint8_t out[SHA256_WHOLE_BYTES])
{
    words_put(hashed(state, before, text), out);
}

NATIVE void sha256_whole_twice(const uint32_t inner[8], uint64_t before, struct slice text,
                               const uint32_t outer[8], uint8_t out[SHA256_WHOLE_BYTES])
{
    struct words s = words_of(outer);
    __m128i m[4];

    words_take(hashed(inner, before, text), &m[0], &m[1]);
    m[2] = _mm_set_epi32(0, 0, 0, INT32_MIN); /* the bit behind the text */
    m[3] = _mm_set_epi32((SHA256_WHOLE_BLOCK + SHA256_WHOLE_BYTES) * 8, 0, 0, 0);
    block(&s, m);
    words_put(s, out);
}

#else

bool sha256_whole_is_native(void)
{
    return false;
}

void sha256_whole_block(const uint32_t state[8], const uint8_t block[SHA256_WHOLE_BLOCK],
                        uint32_t after[8])
{
    (void)state;
    (void)block;
    (void)after;
    __builtin_trap();
}

void sha256_whole_two(uint32_t one[8], const uint8_t *at, uint32_t other[8],
                      const uint8_t *other_at, size_t count)
{
    (void)one;
    (void)at;
    (void)other;
    (void)other_at;
    (void)count;
    __builtin_trap();
}

void sha256_whole(const uint32_t state[8], uint64_t before, struct slice text,
                  uint8_t out[SHA256_WHOLE_BYTES])
{
    (void)state;
    (void)before;
    (void)text;
    (void)out;
    __builtin_trap();
}

void sha256_whole_twice(const uint32_t inner[8], uint64_t before, struct slice text,
                        const uint32_t outer[8], uint8_t out[SHA256_WHOLE_BYTES])
{
    (void)inner;
    (void)before;
    (void)text;
    (void)outer;
    (void)out;
    __builtin_trap();
}

#endif
