#include "proxy/wire/memcached_text_reply.h"

#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

static struct memcached_scan scan;
static size_t used;

/* Shows `step` more bytes at a time, behind what was not used, each time in a copy that is just as
 * long. */
static enum parse pass_growing(struct slice in, size_t step, size_t *total)
{
    enum parse found = PARSE_MORE;
    size_t shown = 0;

    scan = (struct memcached_scan){ 0 };
    *total = 0;
    while (found == PARSE_MORE && shown < in.len) {
        struct buf piece = { 0 };

        shown = shown + step < in.len ? shown + step : in.len;
        buf_put(&piece, in.at + *total, shown - *total);
        found = memcached_reply_scan(&scan, buf_all(&piece), &used);
        CHECK(used <= piece.len);
        *total += used;
        buf_fini(&piece);
    }
    return found;
}

static void must_be_one_reply(struct slice in)
{
    size_t total;

    scan = (struct memcached_scan){ 0 };
    CHECK_INT(memcached_reply_scan(&scan, in, &used), PARSE_DONE);
    CHECK_INT(used, in.len);
    for (size_t n = 0; n < in.len; n++) {
        scan = (struct memcached_scan){ 0 };
        CHECK_INT(memcached_reply_scan(&scan, slice_of(in.at, n), &used), PARSE_MORE);
        CHECK(used + memcached_scan_body_left(&scan) < in.len);
    }
    for (size_t step = 1; step < 20; step++) {
        CHECK_INT(pass_growing(in, step, &total), PARSE_DONE);
        CHECK_INT(total, in.len);
    }
}

static void must_be_bad(struct slice in)
{
    size_t total;

    scan = (struct memcached_scan){ 0 };
    CHECK_INT(memcached_reply_scan(&scan, in, &used), PARSE_BAD);
    CHECK_INT(pass_growing(in, 1, &total), PARSE_BAD);
}

static void replies_end_where_they_end(void)
{
    must_be_one_reply(bytes("STORED\r\n"));
    must_be_one_reply(bytes("END\r\n"));
    must_be_one_reply(bytes("17\r\n"));
    must_be_one_reply(bytes("VALUE k 0 5\r\nEND\r\n\r\nEND\r\n"));
    must_be_one_reply(bytes("VALUE k 0 0\r\n\r\nVALUE l 7 2 99\r\nhi\r\nEND\r\n"));
    must_be_one_reply(bytes("VA 5 c1\r\nHD\r\n!\r\n"));
    must_be_one_reply(bytes("VA 0\r\n\r\n"));
    must_be_one_reply(bytes("STAT pid 1\r\nSTAT version 1.6\r\nEND\r\n"));
    must_be_one_reply(bytes("VALUE k 0 1\r\nx\r\nSERVER_ERROR out of memory\r\n"));
    must_be_one_reply(bytes("SERVER_ERROR object too large for cache\r\n"));
}

static void what_memcached_does_not_say_is_bad(void)
{
    must_be_bad(bytes("+OK\r\n"));
    must_be_bad(bytes("HTTP/1.1 400 Bad Request\r\n"));
    must_be_bad(bytes("\r\n"));
    must_be_bad(bytes("STORED\n"));
    must_be_bad(bytes("STOREDx\r\n"));
    must_be_bad(bytes("VALUE k 0\r\n"));
    must_be_bad(bytes("VALUE k 0 -1\r\n"));
    must_be_bad(bytes("VALUE k 0 2147483648\r\n"));
    must_be_bad(bytes("VALUE k 0 1\r\nxy\r\n"));
    must_be_bad(bytes("VALUE k 0 1\r\nx\r\nSTORED\r\n"));
    must_be_bad(bytes("STAT a b\r\n17\r\n"));
    must_be_bad(bytes("VA x\r\n"));
}

static void endless_lines_are_bad(void)
{
    static char line[70000];

    memset(line, 'x', sizeof(line));
    memcpy(line, "STAT ", 5);
    scan = (struct memcached_scan){ 0 };
    CHECK_INT(memcached_reply_scan(&scan, slice_of(line, sizeof(line)), &used), PARSE_BAD);
}

static void every_reply_of_memcached_ends(void)
{
    struct transcript t = transcript_open("memcached/text.txt");
    int seen = 0;

    for (; transcript_next(&t); seen++)
        must_be_one_reply(buf_all(&t.reply));
    CHECK(seen > 50);
    t = transcript_open("memcached/wrong.txt");
    while (transcript_next(&t)) {
        struct slice rest = buf_all(&t.reply);

        while (rest.len > 0) {
            scan = (struct memcached_scan){ 0 };
            CHECK_INT(memcached_reply_scan(&scan, rest, &used), PARSE_DONE);
            rest = slice_from(rest, used);
        }
    }
}

static void rows_are_read_one_by_one(void)
{
    struct slice rest = bytes("VALUE k 5 2\r\nhi\r\nVALUE l 0 0 9\r\n\r\nEND\r\n");
    struct memcached_row row;

    CHECK_INT(memcached_row_read(&rest, &row), ERR_NONE);
    CHECK_BYTES(row.key, bytes("k"));
    CHECK_BYTES(row.flags, bytes("5"));
    CHECK_BYTES(row.value, bytes("hi"));
    CHECK_BYTES(row.raw, bytes("VALUE k 5 2\r\nhi\r\n"));
    CHECK(row.cas.at == NULL);
    CHECK_INT(memcached_row_read(&rest, &row), ERR_NONE);
    CHECK_BYTES(row.key, bytes("l"));
    CHECK_BYTES(row.cas, bytes("9"));
    CHECK_INT(memcached_row_read(&rest, &row), ERR_PROTOCOL);
    CHECK_BYTES(rest, bytes("END\r\n"));
    rest = bytes("VALUE k 0 5\r\nhi\r\n");
    CHECK_INT(memcached_row_read(&rest, &row), ERR_PROTOCOL);
}

static void flags_of_meta_replies_are_found(void)
{
    struct memcached_reply reply;

    CHECK_INT(memcached_reply_read(bytes("VA 2 f5 c17 W\r\nhi\r\n"), &reply), ERR_NONE);
    CHECK_BYTES(reply.code, bytes("VA"));
    CHECK_BYTES(reply.value, bytes("hi"));
    CHECK_BYTES(memcached_reply_flag(&reply, 'f'), bytes("5"));
    CHECK_BYTES(memcached_reply_flag(&reply, 'c'), bytes("17"));
    CHECK(memcached_reply_flag(&reply, 'W').at != NULL);
    CHECK(memcached_reply_flag(&reply, 'k').at == NULL);
    CHECK_INT(memcached_reply_read(bytes("HD\r\n"), &reply), ERR_NONE);
    CHECK(!reply.has_value);
    CHECK_INT(memcached_reply_read(bytes("VA 3\r\nhi\r\n"), &reply), ERR_PROTOCOL);
    CHECK_INT(memcached_reply_read(bytes("HD"), &reply), ERR_PROTOCOL);
    CHECK_INT(memcached_reply_read(bytes("\r\n"), &reply), ERR_PROTOCOL);
}

int main(void)
{
    RUN(replies_end_where_they_end);
    RUN(what_memcached_does_not_say_is_bad);
    RUN(endless_lines_are_bad);
    RUN(every_reply_of_memcached_ends);
    RUN(rows_are_read_one_by_one);
    RUN(flags_of_meta_replies_are_found);
    return check_report();
}
