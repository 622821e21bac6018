#include "proxy/wire/memcached_text_request.h"

#include <stdlib.h>

#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

static struct memcached_text_limits limits = { .line_bytes = 1 << 20, .value_bytes = 1 << 20 };
static struct memcached_text_progress progress;
static struct memcached_text_request request;
static size_t need;

static enum parse parse(struct slice in)
{
    progress = (struct memcached_text_progress){ 0 };
    return memcached_text_parse(&progress, in, &limits, &request, &need);
}

static void must_be_well_formed(struct slice in, enum memcached_verb verb, const char *key)
{
    CHECK_INT(parse(in), PARSE_DONE);
    CHECK_INT(request.len, in.len);
    CHECK(request.error == NULL);
    CHECK_INT(request.verb, verb);
    CHECK_BYTES(request.key, slice_text(key));
    for (size_t n = 0; n < in.len; n++) {
        CHECK_INT(parse(slice_of(in.at, n)), PARSE_MORE);
        CHECK(need > n && need <= in.len);
    }
    progress = (struct memcached_text_progress){ 0 };
    for (size_t n = 0; n < in.len; n++) /* the same session all the way */
        CHECK_INT(memcached_text_parse(&progress, slice_of(in.at, n), &limits, &request, &need),
                  PARSE_MORE);
    CHECK_INT(memcached_text_parse(&progress, in, &limits, &request, &need), PARSE_DONE);
    CHECK_INT(progress.searched, 0);
}

static void must_be_wrong(struct slice in, size_t len, uint64_t skip, const char *error)
{
    CHECK_INT(parse(in), PARSE_DONE);
    CHECK_INT(request.len, len);
    CHECK_INT(request.skip, skip);
    CHECK_TEXT(request.error == NULL ? "none" : request.error, error);
}

static void requests_are_taken_whole(void)
{
    must_be_well_formed(bytes("get a\r\n"), MEMCACHED_GET, "a");
    must_be_well_formed(bytes("get a\n"), MEMCACHED_GET, "a");
    must_be_well_formed(bytes("gats 10 a b\r\n"), MEMCACHED_GATS, "a");
    must_be_well_formed(bytes("set key 1 -1 5\r\nva\r\ne\r\n"), MEMCACHED_SET, "key");
    CHECK_BYTES(request.value, bytes("va\r\ne"));
    must_be_well_formed(bytes("cas key 1 0 0 17\r\n\r\n"), MEMCACHED_CAS, "key");
    must_be_well_formed(bytes("ms key 2 T0 q\r\nhi\r\n"), MEMCACHED_MS, "key");
    CHECK_INT(request.word_count, 5);
    CHECK(!request.noreply);
    must_be_well_formed(bytes("mg Zm9v b v\r\n"), MEMCACHED_MG, "Zm9v");
    must_be_well_formed(bytes("incr n 18446744073709551615\r\n"), MEMCACHED_INCR, "n");
    must_be_well_formed(bytes("version\r\n"), MEMCACHED_VERSION, "");
}

static void keys_of_a_get_are_given_as_they_stand(void)
{
    struct slice keys, word;

    must_be_well_formed(bytes("get  one two   three \r\n"), MEMCACHED_GET, "one");
    keys = request.keys;
    CHECK_BYTES(keys, bytes("one two   three "));
    CHECK(memcached_next_word(&keys, &word) && slice_is_text(word, "one"));
    CHECK(memcached_next_word(&keys, &word) && slice_is_text(word, "two"));
    CHECK(memcached_next_word(&keys, &word) && slice_is_text(word, "three"));
    CHECK(!memcached_next_word(&keys, &word));
}

static void noreply_counts_as_the_last_word_only(void)
{
    must_be_well_formed(bytes("set a 0 0 1 noreply\r\nx\r\n"), MEMCACHED_SET, "a");
    CHECK(request.noreply);
    must_be_well_formed(bytes("set a 0 0 1 norepl\r\nx\r\n"), MEMCACHED_SET, "a");
    CHECK(!request.noreply);
    must_be_well_formed(bytes("delete noreply\r\n"), MEMCACHED_DELETE, "noreply");
    CHECK(!request.noreply);
    must_be_well_formed(bytes("delete noreply noreply\r\n"), MEMCACHED_DELETE, "noreply");
    CHECK(request.noreply);
    must_be_well_formed(bytes("delete a 0 noreply\r\n"), MEMCACHED_DELETE, "a");
    CHECK(request.noreply);
    must_be_well_formed(bytes("get noreply\r\n"), MEMCACHED_GET, "noreply");
    CHECK(!request.noreply);
}

static void values_that_are_too_large_are_to_be_passed(void)
{
    limits.value_bytes = 4;
    must_be_wrong(bytes("set a 0 0 5\r\nhello\r\n"), 13, 7, MEMCACHED_TOO_LARGE);
    must_be_wrong(bytes("ms a 5\r\nhello\r\n"), 8, 7, MEMCACHED_TOO_LARGE);
    must_be_well_formed(bytes("set a 0 0 4\r\nhell\r\n"), MEMCACHED_SET, "a");
    limits.value_bytes = 1 << 20;
    must_be_wrong(bytes("set a 0 0 2147483646\r\n"), 22, 0, MEMCACHED_BAD_FORMAT);
    must_be_wrong(bytes("set a 0 0 18446744073709551616\r\n"), 32, 0, MEMCACHED_BAD_FORMAT);
}

static void a_value_without_its_end_is_no_value(void)
{
    must_be_wrong(bytes("set a 0 0 3\r\nabcdef\r\n"), 18, 0, "CLIENT_ERROR bad data chunk\r\n");
}

static void a_zero_byte_ends_no_word(void)
{
    must_be_wrong(bytes("get a\0b\r\n"), 9, 0, MEMCACHED_ERROR);
}

static void lines_have_an_end(void)
{
    static char line[1 << 16];

    memset(line, 'a', sizeof(line));
    CHECK_INT(parse(slice_of(line, MEMCACHED_LINE_BYTES)), PARSE_MORE);
    CHECK_INT(parse(slice_of(line, MEMCACHED_LINE_BYTES + 1)), PARSE_BAD);
    memcpy(line, "get ", 4);
    CHECK_INT(parse(slice_of(line, sizeof(line))), PARSE_MORE);
    limits.line_bytes = sizeof(line) - 1;
    CHECK_INT(parse(slice_of(line, sizeof(line))), PARSE_BAD);
    limits.line_bytes = 1 << 20;
    line[sizeof(line) - 1] = '\n';
    must_be_wrong(slice_of(line, sizeof(line)), sizeof(line), 0, MEMCACHED_BAD_FORMAT);
}

static void flags_without_number_are_refused(void)
{
    struct buf line = { 0 };

    buf_text(&line, "ms k 1");
    for (int i = 0; i < MEMCACHED_WORDS; i++)
        buf_text(&line, " q");
    buf_text(&line, "\r\nx\r\n");
    must_be_wrong(buf_all(&line), line.len - 3, 3, "CLIENT_ERROR options flags are too long\r\n");
    buf_fini(&line);
}

/* As in memcached, what stands behind the line is the next command then. */
static void a_key_that_is_too_long_has_no_value(void)
{
    struct buf line = { 0 };

    buf_text(&line, "ms ");
    for (int i = 0; i <= MEMCACHED_KEY_BYTES; i++)
        buf_text(&line, "k");
    buf_text(&line, " 1\r\nx\r\n");
    must_be_wrong(buf_all(&line), line.len - 3, 0, MEMCACHED_BAD_FORMAT);
    buf_fini(&line);
}

/* What memcached said to the same bytes; false: only it can know. */
static bool answer_all(struct slice in, struct buf *out)
{
    buf_clear(out);
    while (in.len > 0) {
        if (parse(in) != PARSE_DONE)
            return false;
        if (request.error != NULL)
            buf_text(out, request.error);
        else if (request.verb == MEMCACHED_VERSION)
            buf_text(out, "VERSION 1.6.18\r\n");
        else if (!request.noreply)
            return false;
        in = slice_from(in, request.len);
    }
    return true;
}

static void wrong_requests_are_answered_as_memcached_does(void)
{
    struct transcript t = transcript_open("memcached/wrong.txt");
    struct buf answer = { 0 };
    int compared = 0;

    while (transcript_next(&t))
        if (answer_all(buf_all(&t.request), &answer)) {
            CHECK_BYTES(buf_all(&answer), buf_all(&t.reply));
            compared++;
        }
    CHECK(compared >= 35);
    buf_fini(&answer);
}

static void what_memcached_takes_has_no_error(void)
{
    struct transcript t = transcript_open("memcached/text.txt");
    int seen = 0;

    for (; transcript_next(&t); seen++) {
        CHECK_INT(parse(buf_all(&t.request)), PARSE_DONE);
        CHECK_INT(request.len, t.request.len);
        CHECK(request.error == NULL);
    }
    CHECK(seen > 50);
}

static void odd_numbers_are_told(void)
{
    must_be_well_formed(bytes("set a 1 -1 2\r\nhi\r\n"), MEMCACHED_SET, "a");
    CHECK_INT(request.odd_numbers, 0);
    must_be_well_formed(bytes("set a +1 1\t 0000000000000000002\r\nhi\r\n"), MEMCACHED_SET, "a");
    CHECK_INT(request.odd_numbers, 1 << 2 | 1 << 3 | 1 << 4);
    must_be_well_formed(bytes("cas a 1 1 2\r +7\r\nhi\r\n"), MEMCACHED_CAS, "a");
    CHECK_INT(request.odd_numbers, 1 << 4 | 1 << 5);
    must_be_well_formed(bytes("cas a 1 1 2 -9223372036854775809\r\nhi\r\n"), MEMCACHED_CAS, "a");
    CHECK_INT(request.odd_numbers, 1 << 5);
    must_be_well_formed(bytes("gat +5 a b\r\n"), MEMCACHED_GAT, "a");
    CHECK_INT(request.odd_numbers, 1 << 1);
    must_be_well_formed(bytes("incr a 007\r\n"), MEMCACHED_INCR, "a");
    CHECK_INT(request.odd_numbers, 1 << 2);
    must_be_well_formed(bytes("touch a -0\r\n"), MEMCACHED_TOUCH, "a");
    CHECK_INT(request.odd_numbers, 1 << 2);
    must_be_well_formed(bytes("ms a 02 T+5 F1 O+1 C01 MS\r\nhi\r\n"), MEMCACHED_MS, "a");
    CHECK_INT(request.odd_numbers, 1 << 2 | 1 << 3 | 1 << 6);
    must_be_well_formed(bytes("mg a v N00 Tx\r\n"), MEMCACHED_MG, "a");
    CHECK_INT(request.odd_numbers, 1 << 3);
    must_be_well_formed(bytes("flush_all +1\r\n"), MEMCACHED_FLUSH_ALL, "+1");
    CHECK_INT(request.odd_numbers, 1 << 1);
}

static void blanks_before_a_line_are_none_of_it(void)
{
    must_be_well_formed(bytes("  set a 0 0 1\r\nx\r\n"), MEMCACHED_SET, "a");
    CHECK_BYTES(request.line, bytes("set a 0 0 1"));
    must_be_wrong(bytes("   \r\n"), 5, 0, MEMCACHED_ERROR);
}

/* A server that gives the line up would take the value for commands. */
static void a_flag_that_is_no_letter_is_refused_before_a_value(void)
{
    must_be_wrong(bytes("ms a 4 !\r\nmn\r\n\r\n"), 10, 6, "CLIENT_ERROR invalid flag\r\n");
    must_be_wrong(bytes("ms a 4 \t\r\nmn\r\n\r\n"), 10, 6, "CLIENT_ERROR invalid flag\r\n");
    must_be_wrong(bytes("ms a 4 \xff\r\nmn\r\n\r\n"), 10, 6, "CLIENT_ERROR duplicate flag\r\n");
}

int main(void)
{
    RUN(odd_numbers_are_told);
    RUN(blanks_before_a_line_are_none_of_it);
    RUN(a_flag_that_is_no_letter_is_refused_before_a_value);
    RUN(requests_are_taken_whole);
    RUN(keys_of_a_get_are_given_as_they_stand);
    RUN(noreply_counts_as_the_last_word_only);
    RUN(values_that_are_too_large_are_to_be_passed);
    RUN(a_value_without_its_end_is_no_value);
    RUN(a_zero_byte_ends_no_word);
    RUN(lines_have_an_end);
    RUN(flags_without_number_are_refused);
    RUN(a_key_that_is_too_long_has_no_value);
    RUN(wrong_requests_are_answered_as_memcached_does);
    RUN(what_memcached_takes_has_no_error);
    return check_report();
}
