/* Meta commands, written. */
#include "proxy/wire/memcached_meta.h"

#include "tests/unit/check.h"

static void a_key_stands_as_it_is_or_in_base64(void)
{
    struct buf out = { 0 };

    memcached_put_meta(&out, "mg", bytes("key"));
    CHECK_BYTES(buf_all(&out), bytes("mg key"));
    buf_clear(&out);
    memcached_put_meta(&out, "md", bytes("a\nb"));
    CHECK_BYTES(buf_all(&out), bytes("md YQpi b"));
    buf_clear(&out);
    memcached_put_meta_set(&out, bytes("\xc3\xa4"), 12);
    CHECK_BYTES(buf_all(&out), bytes("ms \xc3\xa4 12"));
    buf_clear(&out);
    memcached_put_meta_set(&out, bytes("a b"), 0);
    CHECK_BYTES(buf_all(&out), bytes("ms YSBi 0 b"));
    buf_fini(&out);
}

static void keys_are_as_long_as_memcached_takes_them(void)
{
    char text[300];

    memset(text, 'k', sizeof(text));
    CHECK(!memcached_key_fits(slice_of(text, 0)));
    CHECK(memcached_key_fits(slice_of(text, 250)));
    CHECK(!memcached_key_fits(slice_of(text, 251)));
    text[3] = 0x7f;
    CHECK(memcached_key_fits(slice_of(text, 186)));
    CHECK(!memcached_key_fits(slice_of(text, 187)));
}

int main(void)
{
    RUN(a_key_stands_as_it_is_or_in_base64);
    RUN(keys_are_as_long_as_memcached_takes_them);
    return check_report();
}
