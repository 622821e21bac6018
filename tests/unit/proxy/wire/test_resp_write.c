#include "proxy/wire/resp_write.h"

#include "tests/unit/check.h"

static struct buf out;

#define CHECK_PUT(put, expected)                                                                   \
    do {                                                                                           \
        buf_clear(&out);                                                                           \
        put;                                                                                       \
        CHECK_BYTES(buf_all(&out), bytes(expected));                                               \
    } while (0)

static void lines_carry_their_text(void)
{
    CHECK_PUT(resp_put_simple(&out, bytes("OK")), "+OK\r\n");
    CHECK_PUT(resp_put_error(&out, bytes("ERR no")), "-ERR no\r\n");
    CHECK_PUT(resp_put_error_text(&out, "ERR %s at %d", "no", 5), "-ERR no at 5\r\n");
}

static void line_ends_in_texts_become_spaces(void)
{
    CHECK_PUT(resp_put_error(&out, bytes("ERR a\r\n+OK\r\n")), "-ERR a  +OK  \r\n");
    CHECK_PUT(resp_put_simple(&out, bytes("a\nb")), "+a b\r\n");
    CHECK_PUT(resp_put_error_text(&out, "ERR '%c'", '\r'), "-ERR ' '\r\n");
}

static void integers_of_all_sizes_are_written(void)
{
    CHECK_PUT(resp_put_integer(&out, 0), ":0\r\n");
    CHECK_PUT(resp_put_integer(&out, -1), ":-1\r\n");
    CHECK_PUT(resp_put_integer(&out, INT64_MAX), ":9223372036854775807\r\n");
    CHECK_PUT(resp_put_integer(&out, INT64_MIN), ":-9223372036854775808\r\n");
}

static void bulks_carry_any_bytes(void)
{
    CHECK_PUT(resp_put_bulk(&out, bytes("a\r\n\0b")), "$5\r\na\r\n\0b\r\n");
    CHECK_PUT(resp_put_bulk(&out, (struct slice){ 0 }), "$0\r\n\r\n");
    CHECK_PUT(resp_put_bulk_text(&out, "abcdefghij"), "$10\r\nabcdefghij\r\n");
}

static void the_version_decides_where_the_words_differ(void)
{
    CHECK_PUT(resp_put_null(&out, RESP_VERSION_2), "$-1\r\n");
    CHECK_PUT(resp_put_null(&out, RESP_VERSION_3), "_\r\n");
    CHECK_PUT(resp_put_null_array(&out, RESP_VERSION_2), "*-1\r\n");
    CHECK_PUT(resp_put_null_array(&out, RESP_VERSION_3), "_\r\n");
    CHECK_PUT(resp_put_array(&out, 3), "*3\r\n");
    CHECK_PUT(resp_put_map(&out, RESP_VERSION_2, 7), "*14\r\n");
    CHECK_PUT(resp_put_map(&out, RESP_VERSION_3, 7), "%7\r\n");
    CHECK_PUT(resp_put_set(&out, RESP_VERSION_2, 2), "*2\r\n");
    CHECK_PUT(resp_put_set(&out, RESP_VERSION_3, 2), "~2\r\n");
    CHECK_PUT(resp_put_push(&out, RESP_VERSION_2, 3), "*3\r\n");
    CHECK_PUT(resp_put_push(&out, RESP_VERSION_3, 3), ">3\r\n");
    CHECK_PUT(resp_put_verbatim(&out, RESP_VERSION_2, "txt", bytes("x")), "$1\r\nx\r\n");
    CHECK_PUT(resp_put_verbatim(&out, RESP_VERSION_3, "txt", bytes("x")), "=5\r\ntxt:x\r\n");
}

static void a_command_is_an_array_of_bulks(void)
{
    const struct slice words[] = { bytes("SET"), bytes("k"), bytes("") };

    CHECK_PUT(resp_put_command(&out, words, 3), "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n");
}

int main(void)
{
    RUN(lines_carry_their_text);
    RUN(line_ends_in_texts_become_spaces);
    RUN(integers_of_all_sizes_are_written);
    RUN(bulks_carry_any_bytes);
    RUN(the_version_decides_where_the_words_differ);
    RUN(a_command_is_an_array_of_bulks);
    buf_fini(&out);
    return check_report();
}
