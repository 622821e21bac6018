/* The memcached front as a hostile client and hostile servers see it.  What servers are sent must
 * be as many commands as replies are expected, and none of them quiet.  The input is the requests,
 * then "\xff\xfe\xff", then what servers say. */
#include "proxy/wire/memcached_text_reply.h"
#include "proxy/wire/memcached_text_request.h"
#include "tests/fuzz/front_stage.h"

extern const struct memory_front memory_front_memcached;

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

static size_t reply_len(struct slice in)
{
    struct memcached_scan scan = { 0 };
    size_t used = 0;

    return memcached_reply_scan(&scan, in, &used) == PARSE_DONE ? used : 0;
}

/* The one command at the front of what a server gets; returns its length. */
static size_t check_command(struct slice bytes)
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

static void check_part(const struct memory_part *part)
{
    struct slice bytes = part->bytes;

    for (uint32_t k = 0; k < part->replies; k++)
        bytes = slice_from(bytes, check_command(bytes));
    must(bytes.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct stage stage = {
        .front = &memory_front_memcached,
        .border = slice_text("\xff\xfe\xff"),
        .none = slice_text("SERVER_ERROR down\r\n"),
        .reply_len = reply_len,
        .check_part = check_part,
        .may_be_silent = true,
    };

    return stage_run(&stage, slice_of(at, len));
}
