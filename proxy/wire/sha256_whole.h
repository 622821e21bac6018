/* SHA-256 of texts that lie whole in memory, by the processor's own instructions where it has them:
 * of a signature's texts, four to five blocks, half the time went into OpenSSL's beginning and
 * ending of each.  A long body alone is OpenSSL's: there it is as fast.  Of two: sha256_pair.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum { SHA256_WHOLE_BYTES = 32, SHA256_WHOLE_BLOCK = 64 };

/* Nothing was hashed yet. */
extern const uint32_t SHA256_WHOLE_START[8];

/* Has it the instructions?  Otherwise those below must not be called. */
bool sha256_whole_is_native(void);
/* Where one block leads from `state`. */
void sha256_whole_block(const uint32_t state[8], const uint8_t block[SHA256_WHOLE_BLOCK],
                        uint32_t after[8]);
/* Where `count` blocks of each of two texts lead from their states, in two thirds of the time that
 * one after the other would take. */
void sha256_whole_two(uint32_t one[8], const uint8_t *at, uint32_t other[8],
                      const uint8_t *other_at, size_t count);
/* The hash of `before` bytes, of which there are whole blocks and which led to `state`, and of
 * `text` behind them.  All is read before `out` is written. */
void sha256_whole(const uint32_t state[8], uint64_t before, struct slice text,
                  uint8_t out[SHA256_WHOLE_BYTES]);
/* The hash by `outer`, one block behind nothing, of the hash that sha256_whole() would give: an
 * HMAC's two halves. */
void sha256_whole_twice(const uint32_t inner[8], uint64_t before, struct slice text,
                        const uint32_t outer[8], uint8_t out[SHA256_WHOLE_BYTES]);
