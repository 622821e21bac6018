/* A reply scanned at once, and the same bytes shown little by little, must end at the same place;
 * the fast way and the reader must agree with the scanner. */
#include "proxy/wire/resp_reader.h"
#include "proxy/wire/resp_reply.h"
#include "tests/fuzz/scan_steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static enum parse scan_more(void *scan, struct slice in, size_t *used)
{
    return resp_reply_scan(scan, in, used);
}

/* Element by element the reader must come to the same end. */
static void check_reader(struct slice reply)
{
    struct resp_reader reader = { reply };
    struct resp_item item;
    struct slice raw;

    must(resp_read_skip(&reader, &raw) == ERR_NONE && slice_is(raw, reply) && reader.in.len == 0);
    reader.in = reply;
    for (uint64_t left = 1; left > 0; left += item.count - 1) {
        item.count = 0;
        must(resp_read(&reader, &item) == ERR_NONE);
    }
    must(reader.in.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct slice in;
    size_t step;

    if (size < 1)
        return 0;
    step = 1 + at[0] % 16;
    for (in = slice_of(at + 1, size - 1); in.len > 0;) {
        struct resp_scan whole = { 0 }, parts = { 0 };
        struct resp_reader reader = { in };
        struct resp_item item;
        size_t fast = resp_reply_fast(in), used, total;
        enum parse parse = resp_reply_scan(&whole, in, &used);

        must(scan_in_steps(scan_more, &parts, in, step, &total) == parse);
        must(fast == 0 || (parse == PARSE_DONE && used == fast));
        (void)!resp_read(&reader, &item);
        if (parse == PARSE_BAD)
            break;
        must(used == total && whole.type == parts.type && whole.left == parts.left);
        must(resp_scan_body_left(&whole) == resp_scan_body_left(&parts));
        if (parse == PARSE_MORE)
            break;
        check_reader(slice_of(in.at, used));
        in = slice_from(in, used);
    }
    return 0;
}
