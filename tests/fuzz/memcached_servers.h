/* What fuzzers of memory fronts know of memcached servers: how long a reply is, and that what they
 * are sent is as many commands as replies are expected, none of them quiet. */
#pragma once

#include "proxy/wire/memcached_text_reply.h"
#include "proxy/wire/memcached_text_request.h"
#include "tests/fuzz/front_stage.h"

static inline size_t memcached_reply_len(struct slice in)
{
    struct memcached_scan scan = { 0 };
    size_t used = 0;

    return memcached_reply_scan(&scan, in, &used) == PARSE_DONE ? used : 0;
}

/* The one command at the front of what a server gets; returns its length. */
static inline size_t memcached_check_command(struct slice bytes)
{
    static const struct memcached_text_limits LIMITS = { .line_bytes = 8192, .value_bytes = 8192 };
    struct memcached_text_progress progress = { 0 };
    struct memcached_text_request r;
    size_t need = 0;

    must(memcached_text_parse(&progress, bytes, &LIMITS, &r, &need) == PARSE_DONE);
    must(r.error == NULL && !r.noreply);
    must(r.verb != MEMCACHED_MN && r.verb != MEMCACHED_QUIT && r.verb != MEMCACHED_SHUTDOWN);
    for (uint32_t i = r.verb == MEMCACHED_MS ? 3 : 2; i < r.word_count; i++)
        must(r.verb < MEMCACHED_MG || r.verb > MEMCACHED_MA || r.words[i].at[0] != 'q');
    return r.len;
}

static inline void memcached_check_part(const struct memory_part *part)
{
    struct slice bytes = part->bytes;

    for (uint32_t k = 0; k < part->replies; k++)
        bytes = slice_from(bytes, memcached_check_command(bytes));
    must(bytes.len == 0);
}
