#include "proxy/wire/http1_write.h"

#include "tests/unit/proxy/wire/http1_show.h"

static struct buf out;

static void a_request_that_is_written_is_read_as_such(void)
{
    buf_clear(&out);
    CHECK_INT(http1_put_request_line(&out, bytes("PUT"), bytes("/b/a%20b?x=\xc3\xa4")), ERR_NONE);
    CHECK_INT(http1_put_field(&out, "host", bytes("h:1")), ERR_NONE);
    CHECK_INT(http1_put_field_named(&out, bytes("x-amz-meta-a"), bytes("1 \t \xff")), ERR_NONE);
    http1_put_field_u64(&out, "content-length", UINT64_C(9007199254740993));
    http1_put_field_date(&out, "if-modified-since", 784111777);
    http1_put_field_text(&out, "empty", "");
    http1_put_end(&out);
    CHECK_BYTES(buf_all(&out), bytes("PUT /b/a%20b?x=\xc3\xa4 HTTP/1.1\r\n"
                                     "host: h:1\r\n"
                                     "x-amz-meta-a: 1 \t \xff\r\n"
                                     "content-length: 9007199254740993\r\n"
                                     "if-modified-since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                     "empty: \r\n\r\n"));
    CHECK_INT(read_request(buf_all(&out)), HTTP1_REFUSAL_NONE);
    CHECK_INT(request.head.length, 9007199254740993);
    CHECK_BYTES(http1_value(&request.head, HTTP1_NAME_X_AMZ_META), bytes("1 \t \xff"));
}

static void a_response_has_the_words_of_its_status(void)
{
    buf_clear(&out);
    http1_put_status_line(&out, 206);
    http1_put_field_u64(&out, "content-length", 0);
    http1_put_end(&out);
    CHECK_BYTES(buf_all(&out), bytes("HTTP/1.1 206 Partial Content\r\ncontent-length: 0\r\n\r\n"));
    CHECK_INT(read_response(buf_all(&out), HTTP1_METHOD_GET), HTTP1_REFUSAL_NONE);
    CHECK_INT(response.status, 206);
    buf_clear(&out);
    http1_put_status_line(&out, 299);
    CHECK_BYTES(buf_all(&out), bytes("HTTP/1.1 299 \r\n"));
}

static void each_refusal_has_a_status_with_words(void)
{
    for (unsigned i = HTTP1_REFUSAL_NONE; i <= HTTP1_REFUSAL_TRAILER_TOO_LARGE; i++) {
        CHECK(strlen(http1_reason(http1_refusal_status((enum http1_refusal)i))) > 0);
        CHECK(strlen(http1_refusal_text((enum http1_refusal)i)) > 0);
    }
}

static void nothing_is_written_that_would_be_another_line(void)
{
    static const struct slice values[] = {
        { (const uint8_t *)"a\rb", 3 },    { (const uint8_t *)"a\nb", 3 },
        { (const uint8_t *)"a\0b", 3 },    { (const uint8_t *)"\n", 1 },
        { (const uint8_t *)"a\r\n b", 5 },
    };
    static const char *const targets[] = { "", "/a b", "/a\r", "/a\nb", "/\x7f", "/\t" };
    static const char *const names[] = { "", "a b", "a:", "a\r", "\xc3\xa4", "a\n" };

    buf_clear(&out);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        CHECK_INT(http1_put_field(&out, "a", values[i]), ERR_SYNTAX);
        CHECK_INT(http1_put_field_named(&out, bytes("a"), values[i]), ERR_SYNTAX);
        CHECK_INT(http1_put_request_line(&out, values[i], bytes("/")), ERR_SYNTAX);
        CHECK_INT(http1_put_request_line(&out, bytes("GET"), values[i]), ERR_SYNTAX);
    }
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
        CHECK_INT(http1_put_request_line(&out, bytes("GET"), slice_text(targets[i])), ERR_SYNTAX);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        CHECK_INT(http1_put_field_named(&out, slice_text(names[i]), bytes("v")), ERR_SYNTAX);
    CHECK_INT(http1_put_request_line(&out, bytes(""), bytes("/")), ERR_SYNTAX);
    CHECK_INT(out.len, 0);
}

static void numbers_are_written_whole(void)
{
    buf_clear(&out);
    http1_put_field_u64(&out, "a", UINT64_MAX);
    http1_put_field_u64(&out, "b", 10);
    CHECK_BYTES(buf_all(&out), bytes("a: 18446744073709551615\r\nb: 10\r\n"));
}

int main(void)
{
    RUN(a_request_that_is_written_is_read_as_such);
    RUN(a_response_has_the_words_of_its_status);
    RUN(each_refusal_has_a_status_with_words);
    RUN(nothing_is_written_that_would_be_another_line);
    RUN(numbers_are_written_whole);
    buf_fini(&out);
    free(shown);
    return check_report();
}
