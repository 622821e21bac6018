/* The Redis front over memcached servers, as hostile clients and servers see it.  The input is the
 * requests, then "\xff\xfe\xff", then what servers say. */
#include "tests/fuzz/memcached_servers.h"

extern const struct memory_front memory_front_redis;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct stage stage = {
        .front = &memory_front_redis,
        .border = slice_text("\xff\xfe\xff"),
        .none = slice_text("SERVER_ERROR down\r\n"),
        .refusal = slice_text("-ERR down\r\n"),
        .reply_len = memcached_reply_len,
        .check_part = memcached_check_part,
        .translates = true,
    };

    return stage_run(&stage, slice_of(at, len));
}
