/* What may stand between MULTI and EXEC.  See redis_queue.c. */
#pragma once

#include <stdbool.h>

#include "proxy/memory/redis_front.h"

/* False: answered with an error. */
bool redis_queue_admits(struct redis_call *call);
/* Other words that do the same with more certainty, in the arena: EVAL for EVALSHA. */
void redis_queue_replace(struct redis_call *call, const struct slice **words, size_t *count);
