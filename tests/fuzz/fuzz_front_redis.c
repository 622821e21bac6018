/* The Redis front as a hostile client and hostile servers see it.  The input is the requests, then
 * a zero byte, then what servers say. */
#include "tests/fuzz/redis_servers.h"

extern const struct memory_front memory_front_redis;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct stage stage = {
        .front = &memory_front_redis,
        .border = slice_of("", 1), /* a zero byte */
        .none = slice_text("-ERR down\r\n"),
        .reply_len = redis_reply_len,
        .check_part = redis_check_part,
    };

    return stage_run(&stage, slice_of(at, len));
}
