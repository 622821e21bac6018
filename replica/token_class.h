/* What a byte is to the scanner.  Bytes from 0x80 on are letters, as in PostgreSQL. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum token_class {
    CLASS_SPACE = 1,
    CLASS_NEWLINE = 2,
    CLASS_WORD_START = 4,
    CLASS_WORD = 8,
    CLASS_DIGIT = 16,
    CLASS_MARK = 32,     /* a token of its own, whatever follows */
    CLASS_MAY_MARK = 64, /* . - /: a token of its own unless a digit, the same, a star follows */
};

extern const uint8_t TOKEN_CLASS[256];

static inline bool token_is_class(uint8_t byte, unsigned class)
{
    return (TOKEN_CLASS[byte] & class) != 0;
}

static inline const uint8_t *token_skip(const uint8_t *at, const uint8_t *end, unsigned class)
{
    while (at < end && token_is_class(*at, class))
        at++;
    return at;
}
