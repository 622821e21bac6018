#include "proxy/wire/resp_reader.h"

#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

static struct resp_item item;

static enum err read_one(struct slice in)
{
    struct resp_reader reader = { in };

    item = (struct resp_item){ 0 };
    return resp_read(&reader, &item);
}

static void an_array_is_read_element_by_element(void)
{
    struct resp_reader reader = { bytes("*4\r\n$2\r\nab\r\n$-1\r\n:-7\r\n*1\r\n+x\r\n+next\r\n") };
    struct slice raw;

    CHECK_INT(resp_read(&reader, &item), ERR_NONE);
    CHECK_INT(item.type, '*');
    CHECK_INT(item.count, 4);
    CHECK_BYTES(item.raw, bytes("*4\r\n"));
    CHECK_INT(resp_read(&reader, &item), ERR_NONE);
    CHECK_INT(item.type, '$');
    CHECK_BYTES(item.text, bytes("ab"));
    CHECK_BYTES(item.raw, bytes("$2\r\nab\r\n"));
    CHECK_INT(resp_read(&reader, &item), ERR_NONE);
    CHECK(item.is_null);
    CHECK_BYTES(item.raw, bytes("$-1\r\n"));
    CHECK_INT(resp_read(&reader, &item), ERR_NONE);
    CHECK_INT(item.integer, -7);
    CHECK_INT(resp_read_skip(&reader, &raw), ERR_NONE);
    CHECK_BYTES(raw, bytes("*1\r\n+x\r\n"));
    CHECK_BYTES(reader.in, bytes("+next\r\n"));
}

static void each_type_tells_what_it_holds(void)
{
    CHECK_INT(read_one(bytes("%2\r\n+a\r\n:1\r\n+b\r\n:2\r\n")), ERR_NONE);
    CHECK_INT(item.count, 4);
    CHECK_INT(read_one(bytes("-ERR no\r\n")), ERR_NONE);
    CHECK(resp_item_is_error(&item));
    CHECK_BYTES(item.text, bytes("ERR no"));
    CHECK_INT(read_one(bytes("!6\r\nERR no\r\n")), ERR_NONE);
    CHECK(resp_item_is_error(&item));
    CHECK_BYTES(item.text, bytes("ERR no"));
    CHECK_INT(read_one(bytes("#t\r\n")), ERR_NONE);
    CHECK_INT(item.integer, 1);
    CHECK_INT(read_one(bytes("#f\r\n")), ERR_NONE);
    CHECK_INT(item.integer, 0);
    CHECK_INT(read_one(bytes("_\r\n")), ERR_NONE);
    CHECK(item.is_null);
    CHECK_INT(read_one(bytes("*-1\r\n")), ERR_NONE);
    CHECK(item.is_null);
    CHECK_INT(item.count, 0);
    CHECK_INT(read_one(bytes(",3.14\r\n")), ERR_NONE);
    CHECK_BYTES(item.text, bytes("3.14"));
    CHECK_INT(read_one(bytes("=5\r\ntxt:x\r\n")), ERR_NONE);
    CHECK_BYTES(item.text, bytes("txt:x"));
}

static void attributes_are_passed_in_silence(void)
{
    CHECK_INT(read_one(bytes("|1\r\n+ttl\r\n*2\r\n:1\r\n:2\r\n$1\r\nx\r\n")), ERR_NONE);
    CHECK_INT(item.type, '$');
    CHECK_BYTES(item.raw, bytes("$1\r\nx\r\n"));
    CHECK_INT(read_one(bytes("|0\r\n:5\r\n")), ERR_NONE);
    CHECK_INT(item.integer, 5);
}

static void what_is_short_or_not_resp_moves_nothing(void)
{
    static const char *const bad[] = {
        "",
        "$",
        "$5",
        "$5\r\n",
        "$5\r\nhell",
        "$5\r\nhello\r",
        "$5\r\nhelloxx",
        "$-2\r\n",
        "$05\r\nhello\r\n",
        "$+1\r\na\r\n",
        "$99999999999999999999\r\n",
        "$18446744073709551615\r\n",
        "*1\r\n",
        "*1000000000\r\n+a\r\n",
        "%1\r\n+a\r\n",
        "*-2\r\n",
        "%9223372036854775808\r\n+a\r\n+b\r\n",
        ":\r\n",
        ":x\r\n",
        ":+-1\r\n",
        "_x\r\n",
        "#x\r\n",
        "+OK\n",
        "+OK\rx",
        "\r\n",
        "x\r\n",
        "|1\r\n+a\r\n+b\r\n",
        "|1\r\n+a\r\n",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct resp_reader reader = { slice_text(bad[i]) };
        struct slice raw = bytes("as it was");

        item.count = 77;
        CHECK_INT(resp_read(&reader, &item), ERR_PROTOCOL);
        CHECK_INT(resp_read_skip(&reader, &raw), ERR_PROTOCOL);
        CHECK_INT(item.count, 77);
        CHECK_BYTES(raw, bytes("as it was"));
        CHECK_BYTES(reader.in, slice_text(bad[i]));
    }
}

static void check_walk(const char *path)
{
    struct transcript t = transcript_open(path);

    while (transcript_next(&t)) {
        struct resp_reader walk = { buf_all(&t.reply) }, skip = walk;
        struct slice raw;

        while (skip.in.len > 0 && check_failures_here == 0)
            CHECK_INT(resp_read_skip(&skip, &raw), ERR_NONE);
        while (walk.in.len > 0 && check_failures_here == 0)
            CHECK_INT(resp_read(&walk, &item), ERR_NONE);
        if (t.reply.at[0] == '>')
            continue;
        for (size_t n = 0; n < t.reply.len; n++) {
            struct resp_reader shorter = { slice_of(t.reply.at, n) };

            CHECK_INT(resp_read_skip(&shorter, &raw), ERR_PROTOCOL);
        }
    }
}

static void recorded_replies_are_read_to_their_end(void)
{
    check_walk("redis/resp2.txt");
    check_walk("redis/resp3.txt");
}

int main(void)
{
    RUN(an_array_is_read_element_by_element);
    RUN(each_type_tells_what_it_holds);
    RUN(attributes_are_passed_in_silence);
    RUN(what_is_short_or_not_resp_moves_nothing);
    RUN(recorded_replies_are_read_to_their_end);
    return check_report();
}
