#include "proxy/wire/resp_reply.h"

#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

static struct resp_scan scan;
static size_t used;

static enum parse pass(struct slice in)
{
    scan = (struct resp_scan){ 0 };
    return resp_reply_scan(&scan, in, &used);
}

/* Shows `step` more bytes at a time, behind what was not used, each time in a copy that is just as
 * long; *total is where the reply ended. */
static enum parse pass_growing(struct slice in, size_t step, size_t *total)
{
    enum parse found = PARSE_MORE;
    size_t shown = 0;

    scan = (struct resp_scan){ 0 };
    *total = 0;
    while (found == PARSE_MORE && shown < in.len) {
        struct buf piece = { 0 };

        shown = shown + step < in.len ? shown + step : in.len;
        buf_put(&piece, in.at + *total, shown - *total);
        found = resp_reply_scan(&scan, buf_all(&piece), &used);
        CHECK(used <= piece.len);
        *total += used;
        buf_fini(&piece);
    }
    return found;
}

static void check_bad(struct slice in)
{
    size_t total;

    CHECK_INT(pass(in), PARSE_BAD);
    CHECK_INT(pass_growing(in, 1, &total), PARSE_BAD);
    CHECK_INT(resp_reply_fast(in), 0);
}

static void check_whole(struct slice in, uint8_t type)
{
    size_t total, fast = resp_reply_fast(in);

    CHECK_INT(pass(in), PARSE_DONE);
    CHECK_INT(used, in.len);
    CHECK_INT(scan.type, type);
    CHECK_INT(scan.left, 0);
    for (size_t n = 0; n < in.len; n++) {
        CHECK_INT(pass(slice_of(in.at, n)), PARSE_MORE);
        CHECK_INT(resp_reply_fast(slice_of(in.at, n)), 0);
    }
    for (size_t step = 1; step < 20; step++) {
        CHECK_INT(pass_growing(in, step, &total), PARSE_DONE);
        CHECK_INT(total, in.len);
        CHECK_INT(scan.type, type);
    }
    CHECK(fast == 0 || fast == in.len);
}

static void check_transcript(const char *path)
{
    struct transcript t = transcript_open(path);
    size_t seen = 0;

    for (; transcript_next(&t); seen++) {
        struct slice reply = buf_all(&t.reply);
        uint8_t type = reply.at[0];

        CHECK_INT(pass(reply), PARSE_DONE);
        if (type == '>' && used < reply.len) { /* the reply comes behind the push */
            CHECK(resp_scan_is_push(&scan));
            reply = slice_from(reply, used);
            type = reply.at[0];
        }
        check_whole(reply, type == '|' ? '$' : type);
    }
    CHECK(seen > 40);
}

static void recorded_replies_end_where_they_end(void)
{
    check_transcript("redis/resp2.txt");
    check_transcript("redis/resp3.txt");
}

static void each_type_is_passed(void)
{
    check_whole(bytes("+\r\n"), '+');
    check_whole(bytes("+OK\r\n"), '+');
    check_whole(bytes("-keyalreadyexists\r\n"), '-');
    check_whole(bytes(":-9223372036854775808\r\n"), ':');
    check_whole(bytes(":+5\r\n"), ':');
    check_whole(bytes("$-1\r\n"), '$');
    check_whole(bytes("$0\r\n\r\n"), '$');
    check_whole(bytes("*-1\r\n"), '*');
    check_whole(bytes("*0\r\n"), '*');
    check_whole(bytes("%0\r\n"), '%');
    check_whole(bytes("_\r\n"), '_');
    check_whole(bytes("#t\r\n"), '#');
    check_whole(bytes(",-inf\r\n"), ',');
    check_whole(bytes("(123456789012345678901234567890\r\n"), '(');
    check_whole(bytes("!5\r\nERR x\r\n"), '!');
    check_whole(bytes("=5\r\ntxt:x\r\n"), '=');
    check_whole(bytes("*2\r\n*-1\r\n*1\r\n*1\r\n$3\r\n\r\n\r\r\n"), '*');
    check_whole(bytes("%2\r\n+a\r\n*2\r\n:1\r\n:2\r\n$1\r\nb\r\n~1\r\n#f\r\n"), '%');
}

static void an_attribute_is_not_the_reply(void)
{
    check_whole(bytes("|1\r\n+a\r\n+b\r\n$1\r\nx\r\n"), '$');
    check_whole(bytes("|0\r\n|1\r\n|1\r\n+x\r\n+y\r\n*1\r\n:1\r\n:2\r\n:3\r\n"), ':');
    check_whole(bytes("*2\r\n|1\r\n+a\r\n*1\r\n:1\r\n:1\r\n:2\r\n"), '*');
}

static void pushes_are_known_from_the_first_byte(void)
{
    CHECK_INT(pass(bytes(">")), PARSE_MORE);
    CHECK(resp_scan_is_push(&scan));
    check_whole(bytes(">2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n"), '>');
    check_bad(bytes("*1\r\n>1\r\n:1\r\n"));
    check_bad(bytes(">1\r\n>1\r\n:1\r\n"));
}

static void what_is_not_resp_is_refused(void)
{
    static const char *const bad[] = {
        "HTTP/1.1 200 OK\r\n",
        "\r\n",
        "\n",
        "$-2\r\n",
        "$+5\r\nhello\r\n",
        "$05\r\nhello\r\n",
        "$ 5\r\nhello",
        "$5 \r\n",
        "$\r\n",
        "$x\r\n",
        "$00\r\n\r\n",
        "$-1x\r\n",
        "$5\r\nhelloxx",
        "$5\r\nhello\rx",
        "$5\rxhello\r\n",
        "$?\r\n",
        "*?\r\n",
        "*-2\r\n",
        "*+1\r\n",
        "*01\r\n",
        "%-1\r\n",
        "~-1\r\n",
        ">-1\r\n",
        "=-1\r\n",
        "!-1\r\n",
        "|-1\r\n",
        ":\r\n",
        ":x\r\n",
        ":1 \r\n",
        ":--1\r\n",
        ":+-1\r\n",
        ":9223372036854775808\r\n",
        "_x\r\n",
        "#\r\n",
        "#x\r\n",
        "#tt\r\n",
        "+OK\rx",
        "-ERR\r\r\n",
        "*1\r\nx",
        "$1099511627777\r\n",
        "*1099511627777\r\n",
        "$18446744073709551617\r\n",
        "*4294967296000000000000\r\n",
        "$00000000000000000000000000000000005\r\n",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        check_bad(slice_text(bad[i]));
    CHECK_INT(pass(bytes("$1099511627776\r\n")), PARSE_MORE);
    CHECK_INT(resp_scan_body_left(&scan), RESP_REPLY_MAX_BULK_BYTES);
}

static void deep_and_wide_nesting_is_counted_and_bounded(void)
{
    struct buf in = { 0 };

    for (int i = 0; i < 100000; i++)
        buf_text(&in, "*1\r\n");
    buf_text(&in, ":1\r\n");
    CHECK_INT(pass(buf_all(&in)), PARSE_DONE);
    CHECK_INT(used, in.len);
    buf_clear(&in);
    for (int i = 0; i < 300; i++)
        buf_text(&in, "%1099511627776\r\n");
    check_bad(buf_all(&in));
    buf_fini(&in);
}

static void large_bodies_are_passed_by_length(void)
{
    CHECK_INT(pass(bytes("*2\r\n$1000000\r\nabc")), PARSE_MORE);
    CHECK_INT(used, 17);
    CHECK_INT(resp_scan_body_left(&scan), 1000000 - 3);
    for (int i = 0; i < 3; i++)
        CHECK_INT(resp_reply_scan(&scan, slice_of("zzz", 3), &used), PARSE_MORE);
    CHECK_INT(used, 3);
    CHECK_INT(resp_scan_body_left(&scan), 1000000 - 12);
    CHECK_INT(scan.type, '*');
}

static void a_line_is_used_only_when_it_is_whole(void)
{
    CHECK_INT(pass(bytes("+OK\r\n")), PARSE_DONE);
    CHECK_INT(pass(bytes("*2\r\n:1\r\n:2")), PARSE_MORE);
    CHECK_INT(used, 8);
    CHECK_INT(resp_reply_scan(&scan, bytes(":23\r"), &used), PARSE_MORE);
    CHECK_INT(used, 0);
    CHECK_INT(resp_reply_scan(&scan, bytes(":23\r\n+next\r\n"), &used), PARSE_DONE);
    CHECK_INT(used, 5);
    CHECK_INT(resp_reply_scan(&scan, bytes("+next\r\n"), &used), PARSE_DONE);
    CHECK_INT(scan.type, '+');
}

/* A script may make them so long; none is to be kept whole. */
static void long_lines_of_text_are_passed_as_they_come(void)
{
    enum { LONG = 3 << 20 };
    struct buf in = { 0 };
    size_t total;

    buf_text(&in, "*2\r\n-");
    memset(buf_reserve(&in, LONG), 'x', LONG);
    buf_grow(&in, LONG);
    CHECK_INT(pass(buf_all(&in)), PARSE_MORE);
    CHECK_INT(used, in.len);
    CHECK_INT(resp_reply_scan(&scan, bytes("yy\r"), &used), PARSE_MORE);
    CHECK_INT(used, 2);
    CHECK_INT(resp_reply_scan(&scan, bytes("\r"), &used), PARSE_MORE);
    CHECK_INT(used, 0);
    CHECK_INT(resp_reply_scan(&scan, bytes("\r\n:1\r\n"), &used), PARSE_DONE);
    CHECK_INT(used, 6);
    CHECK_INT(pass(buf_all(&in)), PARSE_MORE);
    CHECK_INT(resp_reply_scan(&scan, bytes("y\rz"), &used), PARSE_BAD);
    buf_text(&in, "\r\n$3\r\nabc\r\n");
    for (size_t step = 1000; step < LONG; step *= 7) {
        CHECK_INT(pass_growing(buf_all(&in), step, &total), PARSE_DONE);
        CHECK_INT(total, in.len);
        CHECK_INT(scan.type, '*');
    }
    buf_fini(&in);
}

static void a_long_line_is_a_reply_by_itself(void)
{
    struct buf in = { 0 };

    buf_text(&in, "+");
    memset(buf_reserve(&in, 5000), 'x', 5000);
    buf_grow(&in, 5000);
    buf_text(&in, "\r\n");
    check_whole(buf_all(&in), '+');
    buf_clear(&in);
    buf_text(&in, "|1\r\n+");
    memset(buf_reserve(&in, 5000), 'x', 5000);
    buf_grow(&in, 5000);
    buf_text(&in, "\r\n:1\r\n");
    CHECK_INT(pass(buf_all(&in)), PARSE_MORE);
    buf_text(&in, "%1\r\n+a\r\n+b\r\n");
    check_whole(buf_all(&in), '%');
    buf_fini(&in);
}

static void the_fast_way_takes_whole_common_replies(void)
{
    CHECK_INT(resp_reply_fast(bytes("$5\r\nhello\r\n$1")), 11);
    CHECK_INT(resp_reply_fast(bytes("$0\r\n\r\n")), 6);
    CHECK_INT(resp_reply_fast(bytes("$-1\r\n+")), 5);
    CHECK_INT(resp_reply_fast(bytes("+OK\r\n")), 5);
    CHECK_INT(resp_reply_fast(bytes(":-12\r\n")), 6);
    CHECK_INT(resp_reply_fast(bytes("_\r\n")), 3);
    CHECK_INT(resp_reply_fast(bytes("-ERR\r\n")), 0);
    CHECK_INT(resp_reply_fast(bytes("*0\r\n")), 0);
}

static void check_count(const char *text, size_t len, uint64_t expected)
{
    uint64_t count;

    CHECK_INT(resp_reply_fast_count(slice_text(text), &count), len);
    if (len > 0)
        CHECK_INT(count, expected);
}

static void the_fast_way_counts_arrays(void)
{
    check_count("*3\r\n$1", 4, 3);
    check_count("*0\r\n", 4, 0);
    check_count("*123456\r\n", 9, 123456);
    check_count("*1234567\r\n", 0, 0);
    check_count("*03\r\n", 0, 0);
    check_count("*-1\r\n", 0, 0);
    check_count("*3\r", 0, 0);
    check_count("*3\rx", 0, 0);
    check_count("*", 0, 0);
    check_count("", 0, 0);
    check_count("%3\r\n", 0, 0);
}

static void put_random_reply(struct buf *b, int depth)
{
    static const char *const leaves[] = { "+fine\r\n",        "-ERR x\r\n", ":12\r\n",
                                          "$-1\r\n",          "_\r\n",      "*-1\r\n",
                                          "$4\r\n\r\n$1\r\n", "#t\r\n",     ",1.5\r\n",
                                          "=5\r\ntxt:x\r\n" };
    size_t count = (size_t)rand() % 4;

    if (depth == 0 || rand() % 3 == 0) {
        buf_text(b, leaves[rand() % 10]);
        return;
    }
    if (rand() % 4 == 0) {
        buf_text(b, "|1\r\n");
        put_random_reply(b, depth - 1);
        put_random_reply(b, depth - 1);
    }
    if (rand() % 2 == 0) {
        resp_put_map(b, RESP_VERSION_3, count);
        count *= 2;
    } else {
        resp_put_set(b, RESP_VERSION_3, count);
    }
    while (count-- > 0)
        put_random_reply(b, depth - 1);
}

static void random_replies_end_where_they_end_however_they_are_cut(void)
{
    srand(2);
    for (int round = 0; round < 500; round++) {
        struct buf in = { 0 };
        size_t whole, total;

        put_random_reply(&in, 5);
        whole = in.len;
        buf_text(&in, "$3\r\nabc\r\n");
        for (size_t step = 1; step < 40; step = step * 2 + 1) {
            CHECK_INT(pass_growing(buf_all(&in), step, &total), PARSE_DONE);
            CHECK_INT(total, whole);
        }
        buf_fini(&in);
    }
}

int main(void)
{
    RUN(recorded_replies_end_where_they_end);
    RUN(each_type_is_passed);
    RUN(an_attribute_is_not_the_reply);
    RUN(pushes_are_known_from_the_first_byte);
    RUN(what_is_not_resp_is_refused);
    RUN(deep_and_wide_nesting_is_counted_and_bounded);
    RUN(large_bodies_are_passed_by_length);
    RUN(a_line_is_used_only_when_it_is_whole);
    RUN(long_lines_of_text_are_passed_as_they_come);
    RUN(a_long_line_is_a_reply_by_itself);
    RUN(the_fast_way_takes_whole_common_replies);
    RUN(the_fast_way_counts_arrays);
    RUN(random_replies_end_where_they_end_however_they_are_cut);
    return check_report();
}
