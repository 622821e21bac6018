/* Whatever comes, a binary request lies where it was shown, and a prefix of one asks for more. */
#include <stdlib.h>

#include "proxy/wire/memcached_binary.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static void must(bool condition)
{
    if (!condition)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    for (struct slice in = slice_of(at, size); in.len > 0;) {
        struct memcached_binary_request r;
        size_t need = 0, len;
        enum parse parse = memcached_binary_parse(in, 1024, &r, &need);
        uint8_t *copy;

        must(parse != PARSE_MORE || need > in.len);
        if (parse != PARSE_DONE)
            break;
        must(r.len >= MEMCACHED_HEADER_BYTES && r.len <= in.len);
        must(r.skip > 0 ||
             MEMCACHED_HEADER_BYTES + r.extras.len + r.key.len + r.value.len == r.len);
        must(!r.is_well_formed || r.key.len <= 250);
        len = r.len;
        copy = malloc(len); /* just as long */
        memcpy(copy, in.at, len);
        must(memcached_binary_parse(slice_of(copy, len), 1024, &r, &need) == PARSE_DONE);
        must(memcached_binary_parse(slice_of(copy, len - 1), 1024, &r, &need) == PARSE_MORE);
        free(copy);
        in = slice_from(in, len);
    }
    return 0;
}
