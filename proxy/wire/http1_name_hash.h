/* How the names of header fields are hashed: for http1_name.c, and for the generator of its index,
 * which must agree.  Letters are taken as small ones by setting a bit: among the bytes that a token
 * may have, what then looks like a letter, a digit or a hyphen is one. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum {
    HTTP1_NAME_MAX_BYTES = 40, /* of those in the table */
    HTTP1_NAME_INDEX_BITS = 9,
};

#define HTTP1_NAME_SMALL UINT64_C(0x2020202020202020)

static inline uint64_t http1_name_word(const uint8_t *at)
{
    uint64_t word;

    memcpy(&word, at, sizeof(word));
    return word | HTTP1_NAME_SMALL;
}

/* Of up to eight bytes. */
static inline uint64_t http1_name_short_word(const uint8_t *at, size_t len)
{
    uint32_t low, high;

    if (len < 4) {
        uint64_t word = 0;

        for (size_t i = 0; i < len; i++)
            word = word << 8 | at[i];
        return word | HTTP1_NAME_SMALL;
    }
    memcpy(&low, at, sizeof(low));
    memcpy(&high, at + len - 4, sizeof(high));
    return ((uint64_t)high << 32 | low) | HTTP1_NAME_SMALL;
}

/* What a name is hashed by: its first and its last eight bytes, which may overlap. */
struct http1_name_ends {
    uint64_t first, last;
};

static inline struct http1_name_ends http1_name_ends(const uint8_t *at, size_t len)
{
    if (len < 8)
        return (struct http1_name_ends){ http1_name_short_word(at, len), 0 };
    return (struct http1_name_ends){ http1_name_word(at), http1_name_word(at + len - 8) };
}

static inline unsigned http1_name_hash(struct http1_name_ends ends, size_t len)
{
    uint64_t mixed = (ends.first ^ (ends.last << 31 | ends.last >> 33)) + len;

    return (unsigned)(mixed * UINT64_C(0x9e3779b97f4a7c15) >> (64 - HTTP1_NAME_INDEX_BITS));
}
