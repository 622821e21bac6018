/* Copies a word to lower case: the inner loop of shape_of(). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "replica/token_class.h"

enum {
    SHAPE_WORD_STEP = 16
}; /* at the target there is room for as many bytes more than are read */

static inline uint8_t shape_fold(uint8_t c)
{
    return c | (uint8_t)(((uint8_t)(c - 'A') < 26) << 5);
}

/* The length of the word at `at`, at most `len`. */
static inline size_t shape_word_by_byte(const uint8_t *at, size_t len, uint8_t *to)
{
    size_t n = 0;

    for (; n < len && token_is_class(at[n], CLASS_WORD); n++)
        to[n] = shape_fold(at[n]);
    return n;
}

#ifdef __SSE2__

#include <emmintrin.h>

static inline __m128i shape_between(__m128i bytes, char first, char last)
{
    return _mm_and_si128(_mm_cmpgt_epi8(bytes, _mm_set1_epi8((char)(first - 1))),
                         _mm_cmplt_epi8(bytes, _mm_set1_epi8((char)(last + 1))));
}

/* 16 bytes at a time; those from 0x80 on are negative numbers here. */
static inline size_t shape_word(const uint8_t *at, size_t len, uint8_t *to)
{
    size_t n = 0;

    for (; len - n >= SHAPE_WORD_STEP; n += SHAPE_WORD_STEP) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(at + n));
        __m128i folded =
            _mm_or_si128(bytes, _mm_and_si128(shape_between(bytes, 'A', 'Z'), _mm_set1_epi8(0x20)));
        __m128i is_word = _mm_or_si128(
            _mm_or_si128(shape_between(folded, 'a', 'z'), shape_between(bytes, '0', '9')),
            _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('_')),
                         _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('$')),
                                      _mm_cmplt_epi8(bytes, _mm_setzero_si128()))));
        unsigned others = ~(unsigned)_mm_movemask_epi8(is_word) & 0xffff;

        _mm_storeu_si128((__m128i *)(to + n), folded);
        if (others != 0)
            return n + (size_t)__builtin_ctz(others);
    }
    return n + shape_word_by_byte(at + n, len - n, to + n);
}

#else

static inline size_t shape_word(const uint8_t *at, size_t len, uint8_t *to)
{
    return shape_word_by_byte(at, len, to);
}

#endif
