/* Types of parameters as SQL names them. */
#include "proxy/sql/pg_type_names.h"
#include "tests/unit/check.h"

static struct buf out;

static bool put(const char *types, size_t types_len, const char *said, size_t said_len)
{
    buf_clear(&out);
    return pg_type_names_put(&out, slice_of(types, types_len), slice_of(said, said_len));
}

static void types_of_the_servers_own_are_named(void)
{
    CHECK(put("\0\0\0\x17\0\0\0\x12\0\0\x03\xf1\0\0\x0e\xda", 16, "", 0));
    CHECK_BYTES(buf_all(&out), bytes("(pg_catalog.\"int4\", pg_catalog.\"char\", "
                                     "pg_catalog.\"_text\", pg_catalog.\"jsonb\") "));
    CHECK(put("", 0, "", 0));
    CHECK_INT(out.len, 0);
    buf_fini(&out);
}

static void what_the_client_left_open_stays_open(void)
{
    CHECK(put("\0\0\x40\x01\0\0\0\0", 8, "\0\0\0\0", 4));
    CHECK_BYTES(buf_all(&out), bytes("(pg_catalog.\"unknown\", pg_catalog.\"unknown\") "));
    buf_fini(&out);
}

static void others_have_no_name(void)
{
    CHECK(!put("\0\0\0\x17\0\0\x40\x01", 8, "\0\0\0\x17\0\0\x40\x01", 8));
    buf_fini(&out);
}

int main(void)
{
    RUN(types_of_the_servers_own_are_named);
    RUN(what_the_client_left_open_stays_open);
    RUN(others_have_no_name);
    return check_report();
}
