/* The memcached front over Redis servers, as hostile clients and servers see it.  The input is the
 * requests, then "\xff\xfe\xff", then what servers say. */
#include "tests/fuzz/redis_servers.h"

extern const struct memory_front memory_front_memcached;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct stage stage = {
        .front = &memory_front_memcached,
        .border = slice_text("\xff\xfe\xff"),
        .none = slice_text("-ERR down\r\n"),
        .refusal = slice_text("SERVER_ERROR down\r\n"),
        .reply_len = redis_reply_len,
        .check_part = redis_check_part,
        .may_be_silent = true,
        .translates = true,
    };

    return stage_run(&stage, slice_of(at, len));
}
