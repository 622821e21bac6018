/* Frames come from servers: any bytes are read, and what is told of them lies within them. */
#include <stdlib.h>

#include "proxy/memory/redis_push.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct redis_push push;
    struct buf again = { 0 };
    struct redis_push same;

    redis_push_read(slice_of(at, len), &push);
    if (push.kind != REDIS_PUSH_MESSAGE && push.kind != REDIS_PUSH_CONFIRMATION)
        return 0;
    require(push.space < REDIS_SPACES);
    require(push.name.len == 0 || (push.name.at >= at && push.name.at + push.name.len <= at + len));
    redis_push_confirm(&again, at[0] == '>' ? 3 : 2,
                       (struct redis_subscribing){ .space = push.space }, push.name, len);
    redis_push_read(buf_all(&again), &same);
    require(same.kind == REDIS_PUSH_CONFIRMATION && same.space == push.space);
    require(slice_is(same.name, push.name));
    buf_fini(&again);
    return 0;
}
