/* Commands that would show, count or wipe the stamp.  See redis_stamp.c. */
#pragma once

#include "proxy/memory/redis_front.h"

void redis_stamp_plan_keys(struct redis_call *call);
void redis_stamp_plan_dbsize(struct redis_call *call);
void redis_stamp_plan_randomkey(struct redis_call *call);
void redis_stamp_plan_flush(struct redis_call *call); /* FLUSHALL, FLUSHDB */
