/* How command names are looked up, shared by the table of ours, its generator, and the commands
 * that servers tell us: a name as five words of lower-case letters, and a hash over them. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define REDIS_COMMAND_WORDS 5 /* of 8 bytes: REDIS_COMMAND_NAME_LIMIT */

struct redis_command_key {
    uint64_t words[REDIS_COMMAND_WORDS];
    size_t len;
};

/* Eight letters to lower case at once; other bytes stay as they are. */
static inline uint64_t redis_command_fold(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101u, tops = ones << 7;
    uint64_t low = word & ~tops;
    uint64_t from_a = low + ones * (0x80 - 'A'), past_z = low + ones * (0x7f - 'Z');

    return word | ((from_a & ~past_z & ~word & tops) >> 2);
}

/* Up to eight bytes as a word, zeros above them; never reads beyond `len`. */
static inline uint64_t redis_command_load(const uint8_t *at, size_t len)
{
    uint64_t word = 0;
    uint32_t low, high;

    if (len >= 8) {
        memcpy(&word, at, 8);
    } else if (len >= 4) {
        memcpy(&low, at, 4);
        memcpy(&high, at + len - 4, 4);
        word = low | (uint64_t)high << (8 * (len - 4));
    } else if (len > 0) {
        word = at[0] | (uint64_t)at[len / 2] << (8 * (len / 2)) |
               (uint64_t)at[len - 1] << (8 * (len - 1));
    }
    return redis_command_fold(word);
}

/* `len` may be at most 8 * REDIS_COMMAND_WORDS. */
static inline void redis_command_key(struct redis_command_key *key, const uint8_t *at, size_t len)
{
    key->len = len;
    for (size_t i = 0; i < REDIS_COMMAND_WORDS; i++) {
        size_t start = i * 8;

        key->words[i] = len > start ? redis_command_load(at + start, len - start) : 0;
    }
}

static inline uint64_t redis_command_hash_word(uint64_t word)
{
    return word * 0x9e3779b97f4a7c15u;
}

/* The upper bits are the good ones: shift down as many as the index needs. */
static inline uint64_t redis_command_hash(const struct redis_command_key *key)
{
    uint64_t hash = redis_command_hash_word(key->words[0]);

    for (size_t i = 1; i * 8 < key->len; i++)
        hash = redis_command_hash_word((hash ^ hash >> 32) + key->words[i]);
    return hash;
}
