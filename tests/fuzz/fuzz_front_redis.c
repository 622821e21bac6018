/* The Redis front as a hostile client and hostile servers see it.  The input is the requests, then
 * a zero byte, then what servers say. */
#include "proxy/wire/resp_reply.h"
#include "tests/fuzz/front_stage.h"

extern const struct memory_front memory_front_redis;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static size_t reply_len(struct slice in)
{
    struct resp_scan scan = { 0 };
    size_t used = 0;

    return resp_reply_scan(&scan, in, &used) == PARSE_DONE ? used : 0;
}

static void check_part(const struct memory_part *part)
{
    must(part->bytes.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct stage stage = {
        .front = &memory_front_redis,
        .border = slice_of("", 1), /* a zero byte */
        .none = slice_text("-ERR down\r\n"),
        .reply_len = reply_len,
        .check_part = check_part,
    };

    return stage_run(&stage, slice_of(at, len));
}
