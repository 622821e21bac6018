/* See board.h. */
#include "health/board.h"

#include <assert.h>
#include <stdlib.h>

#include "proxy/base/mem.h"

_Static_assert(HEALTH_REASONS <= 64, "a reason has six bits of the word");
_Static_assert(VERDICT_DRAINING <= 3, "a state has two bits of the word");

struct board *board_new(size_t endpoints)
{
    struct board *b = mem_new(sizeof(*b) + endpoints * sizeof(b->words[0]));

    b->count = endpoints;
    for (size_t i = 0; i < endpoints; i++)
        board_put(b, i, &(struct verdict){ .state = VERDICT_UP, .weight_percent = 100 });
    return b;
}

void board_free(struct board **b)
{
    free(*b);
    *b = NULL;
}

void board_put(struct board *b, size_t endpoint, const struct verdict *verdict)
{
    uint64_t word = (uint64_t)verdict->state | (uint64_t)verdict->reason << 2 |
                    (uint64_t)verdict->weight_percent << 8 | verdict->since_ms << 16;

    assert(endpoint < b->count);
    atomic_store_explicit(&b->words[endpoint], word, memory_order_relaxed);
}
