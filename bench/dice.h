/* Random numbers that can be had again: the keys of a call are never stored, they follow from its
 * seed, once when it is written and once more when its reply is checked. */
#pragma once

#include <stdint.h>

struct dice {
    uint64_t state;
};

static inline uint64_t dice_roll(struct dice *d)
{
    uint64_t z = d->state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 <= result < bound; bound is not zero. */
static inline uint64_t dice_below(struct dice *d, uint64_t bound)
{
    return (uint64_t)(((unsigned __int128)dice_roll(d) * bound) >> 64);
}

/* 0 <= result < 1 */
static inline double dice_fraction(struct dice *d)
{
    return (double)(dice_roll(d) >> 11) * 0x1p-53;
}
