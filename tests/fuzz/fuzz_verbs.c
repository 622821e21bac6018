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

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    struct store_settings settings = { .bytes_most = 1 << 20, .evicts = true };
    struct verbs v = {
        .engine = memory_back_find("ram")->engine, .name = "ram", .now_ms = 1000000, .random = 1
    };
    struct verbs_outlook outlook = { 0 };
    struct buf why = { 0 }, out = { 0 };
    struct resp_reader reader;
    struct store_size size;
    struct slice one;

    require(v.engine->open(&settings, &v.store, &why) == ERR_NONE);
    verbs_look_ahead(&v, &(struct verbs_ask){ slice_of(at, len), 0, 2, 1 << 16 }, &outlook);
    require(verbs_outlook_of(&outlook).count <= len);
    verbs_run(&v, &(struct verbs_ask){ slice_of(at, len), 0, 2 + (len & 1), 1 << 16 }, &out);
    for (reader.in = buf_all(&out); reader.in.len > 0;)
        require(resp_read_skip(&reader, &one) == ERR_NONE);
    require(!v.is_broken);
    v.engine->measure(v.store, 0, &size);
    require(size.bytes < 2 << 20);
    v.engine->close(&v.store);
    verbs_fini(&v);
    buf_fini(&out);
    buf_fini(&why);
    buf_fini(&outlook.glances);
    return 0;
}
