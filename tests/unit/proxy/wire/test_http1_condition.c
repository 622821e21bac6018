#include "proxy/wire/http1_condition.h"

#include "tests/unit/check.h"

static struct http1_range range;
static uint64_t first, last;

static enum err apply(const char *text, uint64_t size)
{
    enum err err = http1_range_read(slice_text(text), &range);

    first = last = 4711;
    return err == ERR_NONE ? http1_range_apply(&range, size, &first, &last) : err;
}

#define CHECK_RANGE(text, size, from, to)                                                          \
    do {                                                                                           \
        CHECK_INT(apply(text, size), ERR_NONE);                                                    \
        CHECK_INT(first, from);                                                                    \
        CHECK_INT(last, to);                                                                       \
    } while (0)

static void ranges_are_cut_to_the_object(void)
{
    CHECK_RANGE("bytes=0-9", 100, 0, 9);
    CHECK_RANGE("bytes=0-0", 1, 0, 0);
    CHECK_RANGE("bytes=90-200", 100, 90, 99);
    CHECK_RANGE("bytes=99-", 100, 99, 99);
    CHECK_RANGE("BYTES=-5", 100, 95, 99);
    CHECK_RANGE("bytes=-500", 100, 0, 99);
    CHECK_RANGE("bytes=0-99999999999999999999999", 100, 0, 99);
    CHECK_RANGE("bytes=-99999999999999999999999", 100, 0, 99);
    CHECK_RANGE("bytes=007-008", 100, 7, 8);
}

static void ranges_behind_the_object_are_none(void)
{
    CHECK_INT(apply("bytes=100-", 100), ERR_RANGE);
    CHECK_INT(apply("bytes=100-200", 100), ERR_RANGE);
    CHECK_INT(apply("bytes=99999999999999999999999-", 100), ERR_RANGE);
    CHECK_INT(apply("bytes=-0", 100), ERR_RANGE);
    CHECK_INT(apply("bytes=0-", 0), ERR_RANGE);
    CHECK_INT(apply("bytes=-5", 0), ERR_RANGE);
    CHECK_INT(first, 4711);
}

static void other_ranges_are_as_if_not_there(void)
{
    static const char *const ignored[] = {
        "",           "bytes",         "bytes=",     "bytes=-",    "bytes=a-b",   "bytes=5",
        "bytes=5-2",  "bytes=0-1,3-4", "bytes=0-1,", "bytes= 0-1", "bytes=0 - 1", "bytes=+0-1",
        "bytes=0--1", "bytes=--1",     "lines=0-1",  "bytes:0-1",  "0-1",         "bytes=0x0-1",
    };

    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        CHECK_INT(apply(ignored[i], 100), ERR_UNSUPPORTED);
}

static void a_range_of_an_answer_is_read(void)
{
    struct http1_content_range r;
    static const char *const refused[] = {
        "",
        "bytes",
        "bytes 0-9",
        "bytes 0-9/",
        "bytes 9-0/10",
        "bytes 0-9/9",
        "bytes */10",
        "bytes 0-9/10 ",
        "bytes=0-9/10",
        "bytes 0-9/+10",
        "bytes 0-99999999999999999999999/100",
    };

    CHECK_INT(http1_content_range_read(bytes("bytes 0-9/10"), &r), ERR_NONE);
    CHECK(r.first == 0 && r.last == 9 && r.has_size && r.size == 10);
    CHECK_INT(http1_content_range_read(bytes("bytes 5-9/*"), &r), ERR_NONE);
    CHECK(r.first == 5 && r.last == 9 && !r.has_size);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CHECK_INT(http1_content_range_read(slice_text(refused[i]), &r), ERR_SYNTAX);
}

static bool matches(const char *list, const char *etag, enum http1_compare compare)
{
    return http1_etag_matches(slice_text(list), slice_text(etag), compare);
}

static void tags_match_with_and_without_quotes(void)
{
    static const char *const lists[] = {
        "\"abc-1\"", "abc-1", "\"x\", \"abc-1\"", "x,abc-1", "\"x,y\",\"abc-1\" , z",
        "*",         "x, *",  ",, abc-1 ,",       "\"abc-1", " abc-1 ",
    };
    static const char *const others[] = {
        "", "\"\"", "\"abc\"", "\"abc-10\"", "ABC-1", "\"x,abc-1\"", "W/", "\"", ",", "'abc-1'",
    };

    for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        CHECK(matches(lists[i], "\"abc-1\"", HTTP1_COMPARE_STRONG));
        CHECK(matches(lists[i], "abc-1", HTTP1_COMPARE_WEAK));
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK(!matches(others[i], "\"abc-1\"", HTTP1_COMPARE_STRONG));
        CHECK(!matches(others[i], "\"abc-1\"", HTTP1_COMPARE_WEAK));
    }
}

static void weak_tags_match_where_that_is_enough(void)
{
    CHECK(matches("W/\"a\"", "\"a\"", HTTP1_COMPARE_WEAK));
    CHECK(matches("\"a\"", "W/\"a\"", HTTP1_COMPARE_WEAK));
    CHECK(!matches("W/\"a\"", "\"a\"", HTTP1_COMPARE_STRONG));
    CHECK(!matches("\"a\"", "W/\"a\"", HTTP1_COMPARE_STRONG));
    CHECK(matches("W/\"a\", \"a\"", "\"a\"", HTTP1_COMPARE_STRONG));
}

static void what_has_no_tag_matches_nothing(void)
{
    CHECK(!matches("\"*\"", "\"a\"", HTTP1_COMPARE_WEAK));
    CHECK(!matches("*", "", HTTP1_COMPARE_STRONG));
    CHECK(!matches("\"\"", "", HTTP1_COMPARE_WEAK));
}

int main(void)
{
    RUN(ranges_are_cut_to_the_object);
    RUN(ranges_behind_the_object_are_none);
    RUN(other_ranges_are_as_if_not_there);
    RUN(a_range_of_an_answer_is_read);
    RUN(tags_match_with_and_without_quotes);
    RUN(weak_tags_match_where_that_is_enough);
    RUN(what_has_no_tag_matches_nothing);
    return check_report();
}
