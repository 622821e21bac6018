/* What fuzzers of memory fronts know of Redis servers: how long a reply is, and how many
 * there are. */
#pragma once

#include "proxy/wire/resp_reply.h"
#include "proxy/wire/resp_request.h"
#include "tests/fuzz/front_stage.h"

static inline size_t redis_reply_len(struct slice in)
{
    struct resp_scan scan = { 0 };
    size_t used = 0;

    return resp_reply_scan(&scan, in, &used) == PARSE_DONE ? used : 0;
}

static inline void redis_check_part(const struct memory_part *part)
{
    const struct resp_limits limits = RESP_LIMITS_DEFAULT;
    struct resp_args args = { 0 };
    struct slice rest = part->bytes;
    uint32_t count = 0;

    for (; rest.len > 0;
         count++) { /* each causes one reply, and none is awaited that none causes */
        struct resp_progress progress = { 0 };
        struct resp_problem why;
        size_t len;

        must(resp_request_parse(&progress, rest, &limits, &args, &len, &why) == PARSE_DONE);
        rest = slice_from(rest, len);
    }
    must(count == part->replies);
    resp_args_fini(&args);
}
