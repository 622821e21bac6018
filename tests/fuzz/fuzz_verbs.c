/* Requests to an embedded store come from clients: any bytes are looked at and run, and what is
 * answered is as many replies as a server would give, each of them whole. */
#include <stdlib.h>

#include "proxy/memory/memory.h"
#include "proxy/memory/verbs.h"
#include "proxy/wire/resp_reader.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void check_replies(const struct buf *out)
{
    struct resp_reader reader = { buf_all(out) };
    struct slice one;

    while (reader.in.len > 0)
        require(resp_read_skip(&reader, &one) == ERR_NONE);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct store_settings settings = { .bytes_most = 1 << 20, .evicts = true };
    struct verbs v = {
        .engine = memory_back_find("ram")->engine, .name = "ram", .now_ms = 1000000, .random = 1
    };
    struct verbs_outlook outlook = { 0 };
    struct verbs_ask ask = { .bytes = slice_of(at, len), .version = 2, .reply_most = 1 << 16 };
    struct verbs_walk walk = { 0 };
    struct buf why = { 0 }, out = { 0 };
    struct store_size size;

    require(v.engine->open(&settings, &v.store, &why) == ERR_NONE);
    verbs_look_ahead(&v, &ask, &outlook);
    require(verbs_outlook_of(&outlook).count <= len);
    ask.version = 2 + (len & 1);
    verbs_run(&v, &ask, &out);
    check_replies(&out);
    ask.walk = &walk;
    do {
        buf_clear(&out);
        verbs_run(&v, &ask, &out);
        require(!walk.goes_on || out.len == 0);
    } while (walk.goes_on);
    check_replies(&out);
    require(!v.is_broken);
    v.engine->measure(v.store, 0, &size);
    require(size.bytes < 2 << 20);
    v.engine->close(&v.store);
    verbs_fini(&v);
    buf_fini(&walk.names);
    buf_fini(&out);
    buf_fini(&why);
    buf_fini(&outlook.glances);
    return 0;
}
