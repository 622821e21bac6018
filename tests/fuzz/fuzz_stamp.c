/* Stamps come from servers, which may hold anything under the key: whatever is taken for a stamp
 * must be one, byte for byte, and stay within its fields. */
#include <stdlib.h>

#include "shard/stamp.h"

static void require(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t len)
{
    static const struct stamp EXPECTED = {
        .pool = "p", .count = 2, .hash = "xxh3", .distribution = "modulo", .epoch = 1
    };
    struct buf text = { 0 }, why = { 0 };
    struct stamp stamp;

    if (stamp_read(slice_of(at, len), &stamp) != ERR_NONE)
        return 0;
    require(stamp.index < stamp.count);
    require(memchr(stamp.pool, 0, sizeof(stamp.pool)) != NULL && stamp.pool[0] != '\0');
    require(memchr(stamp.hash, 0, sizeof(stamp.hash)) != NULL);
    require(memchr(stamp.distribution, 0, sizeof(stamp.distribution)) != NULL);
    stamp_write(&stamp, &text);
    require(slice_is(buf_all(&text), slice_of(at, len)));
    require(stamp_agrees(&stamp, &stamp, &why) && why.len == 0);
    if (!stamp_agrees(&EXPECTED, &stamp, &why))
        require(why.len > 0 && memchr(why.at, '\n', why.len) == NULL);
    buf_fini(&text);
    buf_fini(&why);
    return 0;
}
