/* What may stand between MULTI and EXEC.  See redis_queue.c. */
#pragma once

#include <stdbool.h>

#include "proxy/memory/redis_front.h"

/* False: answered with an error. */
bool redis_queue_admits(struct redis_call *call);
/* What is kept for EXEC: the words as they came, or others that mean the same to the server, in the
 * arena: EVAL for EVALSHA, its own number of a database.  False: answered with an error. */
bool redis_queue_replace(struct redis_call *call, const struct redis_keys *keys,
                         const struct slice **words);
