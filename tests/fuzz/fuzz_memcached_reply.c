/* A text reply scanned at once, and the same bytes shown little by little, must end at the same
 * place; whatever was scanned can be read. */
#include "proxy/wire/memcached_text_reply.h"
#include "tests/fuzz/scan_steps.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static enum parse scan_more(void *scan, struct slice in, size_t *used)
{
    return memcached_reply_scan(scan, in, used);
}

static void check_reading(struct slice whole)
{
    struct memcached_reply reply;
    struct memcached_row row;
    struct slice rest = whole;

    if (!slice_starts(whole, slice_text("VALUE "))) {
        must(memcached_reply_read(whole, &reply) == ERR_NONE);
        (void)memcached_reply_flag(&reply, 'c');
        return;
    }
    while (memcached_row_read(&rest, &row) == ERR_NONE)
        must(row.raw.len > row.key.len + row.value.len);
    must(slice_is_text(rest, "END\r\n") || !slice_starts(rest, slice_text("VALUE ")));
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    struct slice in;
    size_t step;

    if (size < 1)
        return 0;
    step = 1 + at[0] % 16;
    for (in = slice_of(at + 1, size - 1); in.len > 0;) {
        struct memcached_scan whole = { 0 }, parts = { 0 };
        struct memcached_reply reply;
        struct memcached_row row;
        struct slice rest = in;
        size_t used, total;
        enum parse parse = memcached_reply_scan(&whole, in, &used);

        must(scan_in_steps(scan_more, &parts, in, step, &total) == parse);
        (void)!memcached_reply_read(in, &reply);
        (void)!memcached_row_read(&rest, &row);
        if (parse == PARSE_BAD)
            break;
        must(used == total && whole.state == parts.state);
        must(memcached_scan_body_left(&whole) == memcached_scan_body_left(&parts));
        if (parse == PARSE_MORE)
            break;
        check_reading(slice_of(in.at, used));
        in = slice_from(in, used);
    }
    return 0;
}
