/* How long to wait before who failed is tried again: longer with each failure, and by chance
 * between half and whole of that, so that the many to whom it failed in one moment do not all come
 * back in one. */
#pragma once

#include <stdint.h>

enum { BACKOFF_DOUBLES = 2 };

/* One more failure: the wait, in microseconds, from `least_ms` to `most_ms`.  *level_ms is the
 * caller's to keep, zero before the first failure; it is multiplied by `growth`, which is more than
 * BACKOFF_DOUBLES for what is not mended by trying. */
uint64_t backoff_next_us(uint64_t *level_ms, uint64_t least_ms, uint64_t most_ms, unsigned growth,
                         uint32_t random);
