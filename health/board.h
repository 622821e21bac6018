/* The verdicts of all endpoints, for all threads: one atomic word an endpoint number.  Written by
 * the steward alone, read by workers for every request, without a lock.  A board never grows: a
 * reload makes a new one, which belongs to the new snapshot. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "health/judge.h"

/* state 2 bits | reason 6 bits | weight 8 bits | since 48 bits, in milliseconds */
struct board {
    size_t count;
    _Atomic uint64_t words[]; /* atomic: written by the steward */
};

/* All are UP with full weight. */
struct board *board_new(size_t endpoints);
void board_free(struct board **b);
void board_put(struct board *b, size_t endpoint, const struct verdict *verdict);

static inline struct verdict board_get(const struct board *b, size_t endpoint)
{
    uint64_t word = atomic_load_explicit(&b->words[endpoint], memory_order_relaxed);

    return (struct verdict){ .state = (enum verdict_state)(word & 3),
                             .reason = (enum health_reason)(word >> 2 & 63),
                             .weight_percent = (uint8_t)(word >> 8),
                             .since_ms = word >> 16 };
}

/* For the hot path: may requests be sent there as a matter of course? */
static inline bool board_is_up(const struct board *b, size_t endpoint)
{
    return (atomic_load_explicit(&b->words[endpoint], memory_order_relaxed) & 3) == VERDICT_UP;
}
