/* Sixteen bytes that are looked at together, as vectors of uint8_t. */
#pragma once

#include <stdint.h>

/* Which of them are from `first` to `last`?  Signed bytes can be compared at once, unsigned ones
 * cannot: so the range is moved to where the signed ones begin. */
#define SIXTEEN_IN_RANGE(bytes, first, last)                                                       \
    ((int8_t __attribute__((vector_size(16))))((bytes) + (uint8_t)(128 - (first))) <               \
     (int8_t)((last) - (first) + 1 - 128))
