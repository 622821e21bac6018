/* GET of keys whose class has a `cache`. */
#pragma once

#include "proxy/memory/redis_front.h"

/* GET of one key.  True: answered with a value that the worker keeps.  Else the plan is the
 * caller's; if it is one part, redis_cache_fill() may make another of it. */
bool redis_cache_answers(struct redis_call *call);
/* Asks for the time that the key has left, too, so that the value may be kept. */
void redis_cache_fill(struct redis_call *call);
