/* See backoff.h. */
#include "proxy/base/backoff.h"

#include <assert.h>

uint64_t backoff_next_us(uint64_t *level_ms, uint64_t least_ms, uint64_t most_ms, unsigned growth,
                         uint32_t random)
{
    uint64_t level_us, least_us = least_ms * 1000;

    assert(least_ms > 0 && least_ms <= most_ms && growth >= BACKOFF_DOUBLES);
    *level_ms = (*level_ms == 0 ? least_ms : *level_ms) * growth;
    if (*level_ms > most_ms)
        *level_ms = most_ms;
    level_us = *level_ms * 1000;
    if (least_us < level_us / 2)
        least_us = level_us / 2;
    return least_us + random % (level_us - least_us + 1);
}
