/* GET of keys whose class has a `cache`. */
#pragma once

#include "proxy/memory/redis_front.h"
#include "proxy/memory/value_fill.h"

/* GET of one key.  True: answered with a value that the worker keeps.  Else the plan is the
 * caller's; if it is one part, redis_cache_fill() may make another of it. */
bool redis_cache_answers(struct redis_call *call);
/* Asks for the time that the key has left, too, so that the value may be kept. */
void redis_cache_fill(struct redis_call *call);
/* For who asks for that in another way; NULL: it need not. */
struct value_fill *redis_cache_fill_new(struct redis_call *call);
