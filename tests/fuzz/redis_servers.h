/* What fuzzers of memory fronts know of Redis servers: how long a reply is. */
#pragma once

#include "proxy/wire/resp_reply.h"
#include "tests/fuzz/front_stage.h"

static inline size_t redis_reply_len(struct slice in)
{
    struct resp_scan scan = { 0 };
    size_t used = 0;

    return resp_reply_scan(&scan, in, &used) == PARSE_DONE ? used : 0;
}

static inline void redis_check_part(const struct memory_part *part)
{
    must(part->bytes.len > 0);
}
