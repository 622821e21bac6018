#include "proxy/wire/resp_request.h"

#include <stdlib.h>

#include "proxy/wire/resp_reply.h"
#include "proxy/wire/resp_write.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

/* What one parse said. */
static struct resp_args args;
static struct resp_problem why;
static size_t len;

static enum parse parse_with(const struct resp_limits *limits, struct slice in)
{
    struct resp_progress progress = { 0 };

    len = 0;
    args.count = 0;
    return resp_request_parse(&progress, in, limits, &args, &len, &why);
}

static enum parse parse(struct slice in)
{
    return parse_with(&RESP_LIMITS_DEFAULT, in);
}

/* Shows the bytes in growing pieces, each a copy that is just as long, so that a sanitizer sees any
 * look beyond; *shown is what was needed for a verdict.  The last piece shown stays in `piece`. */
static struct buf piece;

static enum parse parse_growing(const struct resp_limits *limits, struct slice in, size_t step,
                                size_t *shown)
{
    struct resp_progress progress = { 0 };
    enum parse found = PARSE_MORE;

    for (size_t n = 0; found == PARSE_MORE && n <= in.len; n += step) {
        buf_fini(&piece);
        buf_put(&piece, in.at, n);
        *shown = n;
        found = resp_request_parse(&progress, buf_all(&piece), limits, &args, &len, &why);
        if (found == PARSE_MORE)
            CHECK(progress.need == 0 || (progress.need > n && progress.need <= in.len));
    }
    return found;
}

static void check_refused(struct slice in, const char *text)
{
    size_t shown;

    CHECK_INT(parse(in), PARSE_BAD);
    CHECK_TEXT(why.text, text);
    CHECK_INT(why.kind, RESP_PROBLEM_PROTOCOL);
    CHECK_INT(parse_growing(&RESP_LIMITS_DEFAULT, in, 1, &shown), PARSE_BAD);
    CHECK_TEXT(why.text, text);
}

static void a_request_is_its_arguments_and_its_length(void)
{
    CHECK_INT(parse(bytes("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$11\r\nhello\r\nyou!\r\n*1\r\n")),
              PARSE_DONE);
    CHECK_INT(args.count, 3);
    CHECK_BYTES(args.at[0], bytes("SET"));
    CHECK_BYTES(args.at[1], bytes("k"));
    CHECK_BYTES(args.at[2], bytes("hello\r\nyou!"));
    CHECK_INT(len, 38);
}

static void an_argument_may_be_empty(void)
{
    CHECK_INT(parse(bytes("*2\r\n$0\r\n\r\n$0\r\n\r\n")), PARSE_DONE);
    CHECK_INT(args.count, 2);
    CHECK_INT(args.at[0].len, 0);
    CHECK_INT(args.at[1].len, 0);
}

static void requests_of_nothing_are_consumed(void)
{
    static const char *const nothing[] = {
        "*0\r\n", "*-1\r\n", "*-99\r\n", "\r\n", "\n", "  \t\r\n"
    };

    for (size_t i = 0; i < sizeof(nothing) / sizeof(nothing[0]); i++) {
        CHECK_INT(parse(slice_text(nothing[i])), PARSE_DONE);
        CHECK_INT(args.count, 0);
        CHECK_INT(len, strlen(nothing[i]));
    }
}

static void every_prefix_of_recorded_requests_asks_for_more(void)
{
    struct transcript t = transcript_open("redis/resp2.txt");
    struct buf again = { 0 };
    size_t seen = 0;

    for (; transcript_next(&t); seen++) {
        struct slice request = buf_all(&t.request);
        size_t shown;

        for (size_t n = 0; n < request.len; n++)
            CHECK_INT(parse(slice_of(request.at, n)), PARSE_MORE);
        CHECK_INT(parse_growing(&RESP_LIMITS_DEFAULT, request, 1, &shown), PARSE_DONE);
        CHECK_INT(shown, request.len);
        CHECK_INT(len, request.len);
        buf_clear(&again);
        resp_put_command(&again, args.at, args.count);
        CHECK_BYTES(buf_all(&again), request);
    }
    CHECK(seen > 40);
    buf_fini(&again);
}

static void what_redis_closes_for_is_refused_in_its_words(void)
{
    struct transcript t = transcript_open("redis/bad_requests.txt");
    struct buf line = { 0 };
    size_t seen = 0;

    for (; transcript_next(&t); seen++) {
        buf_clear(&line);
        CHECK_INT(parse(buf_all(&t.request)), PARSE_BAD);
        resp_put_error_text(&line, "ERR %s", why.text);
        CHECK_BYTES(buf_all(&line), buf_all(&t.reply));
        if (t.request.len < 100)
            check_refused(buf_all(&t.request), why.text);
    }
    CHECK(seen > 25);
    buf_fini(&line);
}

static void lines_and_bulks_end_with_cr_lf(void)
{
    check_refused(bytes("*1\r$4\r\nPING\r\n"), "Protocol error: invalid multibulk length");
    check_refused(bytes("*1\r\n$4\rxPING\r\n"), "Protocol error: invalid bulk length");
    check_refused(bytes("*1\r\n$4\r\nPINGxx"), "Protocol error: invalid bulk length");
    check_refused(bytes("*1\r\n$4\r\nPING\rx"), "Protocol error: invalid bulk length");
    check_refused(bytes("*1\r\n$4\r\nPING\n\r"), "Protocol error: invalid bulk length");
    check_refused(bytes("*1\n$4\nPING\n\r\n"), "Protocol error: invalid multibulk length");
}

static void more_than_the_limits_is_refused(void)
{
    struct resp_limits few = RESP_LIMITS_DEFAULT;

    few.max_args = 2;
    few.max_bulk_bytes = 3;
    CHECK_INT(parse_with(&few, bytes("*3\r\n$1\r\n")), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: invalid multibulk length");
    CHECK_INT(parse_with(&few, bytes("*1\r\n$4\r\n")), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: invalid bulk length");
    CHECK_INT(parse_with(&few, bytes("*2\r\n$3\r\nabc\r\n$3\r\nabc\r\n")), PARSE_DONE);
    check_refused(bytes("*1048577\r\n"), "Protocol error: invalid multibulk length");
    CHECK_INT(parse(bytes("*1048576\r\n")), PARSE_MORE);
}

static void who_has_not_logged_in_is_told_so(void)
{
    const struct resp_limits *limits = &RESP_LIMITS_UNAUTHENTICATED;

    CHECK_INT(parse_with(limits, bytes("*10\r\n$16384\r\n")), PARSE_MORE);
    CHECK_INT(parse_with(limits, bytes("*11\r\n")), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: unauthenticated multibulk length");
    CHECK_INT(parse_with(limits, bytes("*1\r\n$16385\r\n")), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: unauthenticated bulk length");
}

static void a_request_that_is_too_large_tells_its_size_and_can_be_passed(void)
{
    struct slice in = bytes("*2\r\n$3\r\nGET\r\n$20\r\n01234567890123456789\r\n*1\r\n");
    struct resp_limits small = RESP_LIMITS_DEFAULT;
    struct resp_scan scan = { 0 };
    size_t used, shown;

    small.max_request_bytes = 39;
    CHECK_INT(parse_with(&small, slice_of(in.at, 18)), PARSE_BAD);
    CHECK_INT(why.kind, RESP_PROBLEM_TOO_LARGE);
    CHECK(why.is_exact);
    CHECK_INT(why.request_bytes, 40);
    CHECK_INT(parse_growing(&small, in, 1, &shown), PARSE_BAD);
    CHECK_INT(shown, 18);
    CHECK_INT(resp_reply_scan(&scan, in, &used), PARSE_DONE);
    CHECK_INT(used, 40);
    small.max_request_bytes = 40;
    CHECK_INT(parse_with(&small, in), PARSE_DONE);
    small.max_request_bytes = 10;
    CHECK_INT(parse_with(&small, in), PARSE_BAD);
    CHECK(!why.is_exact);
    CHECK_INT(why.request_bytes, 13);
}

static void a_large_value_says_what_it_needs_and_costs_no_memory(void)
{
    struct resp_progress progress = { 0 };
    struct slice in = bytes("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$104857600\r\nabc");
    size_t cap = args.cap;

    CHECK_INT(resp_request_parse(&progress, in, &RESP_LIMITS_DEFAULT, &args, &len, &why),
              PARSE_MORE);
    CHECK_INT(progress.need, 20 + 12 + 104857600 + 2);
    CHECK_INT(progress.left, 1);
    CHECK_INT(progress.at, 20);
    CHECK_INT(parse(bytes("*1048576\r\n$1\r\na\r\n")), PARSE_MORE);
    CHECK_INT(args.cap, cap);
}

static void a_large_argument_vector_is_given_back(void)
{
    enum { COUNT = 100000 };
    struct buf in = { 0 };

    buf_format(&in, "*%d\r\n", COUNT);
    for (int i = 0; i < COUNT; i++)
        buf_text(&in, "$1\r\nx\r\n");
    CHECK_INT(parse(buf_all(&in)), PARSE_DONE);
    CHECK_INT(args.count, COUNT);
    CHECK_BYTES(args.at[COUNT - 1], bytes("x"));
    CHECK_INT(parse(bytes("*1\r\n$4\r\nPING\r\n")), PARSE_DONE);
    CHECK(args.cap <= 16);
    buf_fini(&in);
}

static void inline_words_are_split_as_redis_splits_them(void)
{
    struct transcript t = transcript_open("redis/inline.txt");
    size_t seen = 0;

    for (; transcript_next(&t); seen++) {
        struct slice request = buf_all(&t.request);
        struct buf echo = { 0 };
        size_t shown;

        for (size_t n = 0; n < request.len; n++)
            CHECK_INT(parse(slice_of(request.at, n)), PARSE_MORE);
        CHECK_INT(parse_growing(&RESP_LIMITS_DEFAULT, request, 1, &shown), PARSE_DONE);
        CHECK_INT(len, request.len);
        if (args.count == 2 && slice_is_text(args.at[0], "ECHO")) {
            resp_put_bulk(&echo, args.at[1]);
            CHECK_BYTES(buf_all(&echo), buf_all(&t.reply));
        }
        buf_fini(&echo);
    }
    CHECK(seen > 5);
}

static void inline_quotes_stand_for_bytes(void)
{
    CHECK_INT(parse(bytes("SET \"\\x00\\xfF\\xg\\q\\a\\b\" a'b c' d\vx\r\n")), PARSE_DONE);
    CHECK_INT(args.count, 4);
    CHECK_BYTES(args.at[1], bytes("\0\xffxgq\a\b"));
    CHECK_BYTES(args.at[2], bytes("ab c"));
    CHECK_BYTES(args.at[3], bytes("d\vx"));
    CHECK_INT(parse(bytes("PING\0 \"\n")), PARSE_DONE);
    CHECK_INT(args.count, 1);
    CHECK_BYTES(args.at[0], bytes("PING"));
    check_refused(bytes("a 'b\\'\n"), "Protocol error: unbalanced quotes in request");
}

static void lines_without_an_end_are_refused(void)
{
    struct buf in = { 0 };

    memset(buf_reserve(&in, 65600), '1', 65600);
    buf_grow(&in, 65600);
    in.at[0] = '*';
    CHECK_INT(parse(slice_of(in.at, 65536)), PARSE_MORE);
    CHECK_INT(parse(slice_of(in.at, 65537)), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: too big mbulk count string");
    memcpy(in.at, "*1\r\n$", 5);
    CHECK_INT(parse(slice_of(in.at, 65540)), PARSE_MORE);
    CHECK_INT(parse(slice_of(in.at, 65541)), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: too big bulk count string");
    buf_fini(&in);
}

static void inline_requests_have_a_limit(void)
{
    struct buf in = { 0 };

    memset(buf_reserve(&in, 65537), 'A', 65537);
    buf_grow(&in, 65536);
    CHECK_INT(parse(buf_all(&in)), PARSE_MORE);
    buf_grow(&in, 1);
    CHECK_INT(parse(buf_all(&in)), PARSE_BAD);
    CHECK_TEXT(why.text, "Protocol error: too big inline request");
    in.at[65536] = '\n';
    CHECK_INT(parse(buf_all(&in)), PARSE_DONE);
    buf_fini(&in);
}

static void random_requests_come_back_however_they_are_cut(void)
{
    srand(1);
    for (int round = 0; round < 300; round++) {
        struct slice words[40];
        uint8_t body[40][300];
        struct buf in = { 0 };
        size_t count = 1 + (size_t)rand() % 40, shown;

        for (size_t i = 0; i < count; i++) {
            words[i] = slice_of(body[i], (size_t)rand() % (rand() % 4 ? 12 : 300));
            for (size_t k = 0; k < words[i].len; k++)
                body[i][k] = (uint8_t) "\r\n$*0123\0abc"[rand() % 13];
        }
        resp_put_command(&in, words, count);
        shown = in.len;
        buf_text(&in, "*1\r\n$4\r\nPING\r\n");
        for (size_t step = 1; step < 200; step = step * 3 + 1) {
            CHECK(parse_growing(&RESP_LIMITS_DEFAULT, buf_all(&in), step, &len) != PARSE_BAD);
            CHECK_INT(parse(slice_of(in.at, shown)), PARSE_DONE);
            CHECK_INT(len, shown);
            CHECK_INT(args.count, count);
            for (size_t i = 0; i < count; i++)
                CHECK_BYTES(args.at[i], words[i]);
        }
        buf_fini(&in);
    }
}

int main(void)
{
    RUN(a_request_is_its_arguments_and_its_length);
    RUN(an_argument_may_be_empty);
    RUN(requests_of_nothing_are_consumed);
    RUN(every_prefix_of_recorded_requests_asks_for_more);
    RUN(what_redis_closes_for_is_refused_in_its_words);
    RUN(lines_and_bulks_end_with_cr_lf);
    RUN(more_than_the_limits_is_refused);
    RUN(who_has_not_logged_in_is_told_so);
    RUN(a_request_that_is_too_large_tells_its_size_and_can_be_passed);
    RUN(a_large_value_says_what_it_needs_and_costs_no_memory);
    RUN(a_large_argument_vector_is_given_back);
    RUN(inline_words_are_split_as_redis_splits_them);
    RUN(inline_quotes_stand_for_bytes);
    RUN(lines_without_an_end_are_refused);
    RUN(inline_requests_have_a_limit);
    RUN(random_requests_come_back_however_they_are_cut);
    resp_args_fini(&args);
    buf_fini(&piece);
    return check_report();
}
