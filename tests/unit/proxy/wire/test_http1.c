#include "proxy/wire/http1.h"

#include "tests/unit/proxy/wire/http1_show.h"

#define CHECK_REFUSED(in, name)                                                                    \
    CHECK_TEXT(http1_refusal_text(read_request(in)), http1_refusal_text(HTTP1_REFUSAL_##name))
#define CHECK_TAKEN(in) CHECK_REFUSED(in, NONE)

/* --- Where a head ends ----------------------------------------------------------------------- */

static void a_head_ends_with_its_empty_line(void)
{
    enum http1_refusal why;
    size_t len;

    CHECK_INT(search_shown(bytes("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /"), 100, &len, &why),
              PARSE_DONE);
    CHECK_INT(len, 27);
}

static void every_prefix_of_a_head_asks_for_more(void)
{
    struct slice head =
        bytes("PUT /b/k HTTP/1.1\r\nHost:\ta\r\nx-amz-meta-\xc3\xa4: \xc3\xa4\r\n\r\n");
    struct http1_search search = { 0 };
    enum http1_refusal why;
    size_t len;

    for (size_t n = 0; n < head.len; n++)
        CHECK_INT(http1_search(&search, show(slice_of(head.at, n)), 100, &len, NULL, &why),
                  PARSE_MORE);
    CHECK_INT(http1_search(&search, show(head), 100, &len, NULL, &why), PARSE_DONE);
    CHECK_INT(len, head.len);
}

static void a_few_empty_lines_before_a_request_are_passed_over(void)
{
    CHECK_TAKEN(bytes("\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK_BYTES(request.path, bytes("/a"));
    CHECK_BYTES(request.method_text, bytes("GET"));
    CHECK_REFUSED(bytes("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\nGET /a HTTP/1.1\r\nHost: h\r\n\r\n"),
                  SYNTAX);
}

static void no_line_ends_otherwise_than_in_cr_lf(void)
{
    CHECK_REFUSED(bytes("GET / HTTP/1.1\nHost: h\r\n\r\n"), LINE_END);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\n\r\n"), LINE_END);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\n\n"), LINE_END);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\r\n\r\n"), LINE_END);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n"), LINE_END);
    CHECK_REFUSED(bytes("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), LINE_END);
}

/* llhttp 8.1 ends a head at "\r\n\r" and takes what follows for the next message. */
static void a_cr_that_ends_no_line_does_not_end_a_head(void)
{
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\n\rGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"),
                  LINE_END);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n"), LINE_END);
}

static void control_bytes_are_refused_wherever_they_stand(void)
{
    for (unsigned byte = 0; byte < 128; byte = byte == 31 ? 127 : byte + 1) {
        char head[] = "GET /?_ HTTP/1.1\r\nHost: h\r\nX-Y: a_b\r\n\r\n";
        static const unsigned places[] = { 1, 6, 20, 31, 34 };

        if (byte == '\t' || byte == '\r' || byte == '\n')
            continue;
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            char was = head[places[i]];

            head[places[i]] = (char)byte;
            CHECK_REFUSED(bytes(head), CONTROL_BYTE);
            head[places[i]] = was;
        }
    }
}

static void folded_lines_are_refused(void)
{
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n c\r\n\r\n"), FOLDED);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nA: b\r\n\tc\r\n\r\n"), FOLDED);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), FOLDED);
    CHECK_REFUSED(bytes(" GET / HTTP/1.1\r\nHost: h\r\n\r\n"), FOLDED);
    CHECK_REFUSED(bytes("\r\n GET / HTTP/1.1\r\nHost: h\r\n\r\n"), FOLDED);
}

static void a_head_that_does_not_end_within_the_limit_is_refused(void)
{
    struct slice head = bytes("GET / HTTP/1.1\r\nHost: h\r\n\r\nand a body");
    struct http1_search search = { 0 };
    enum http1_refusal why;
    size_t len;

    for (size_t max = 0; max < 27; max++) {
        CHECK_INT(search_shown(head, max, &len, &why), PARSE_BAD);
        CHECK_INT(why, HTTP1_REFUSAL_HEAD_TOO_LARGE);
    }
    CHECK_INT(search_shown(head, 27, &len, &why), PARSE_DONE);
    CHECK_INT(http1_search(&search, show(slice_of(head.at, 26)), 27, &len, NULL, &why), PARSE_MORE);
    CHECK_INT(http1_refusal_status(HTTP1_REFUSAL_HEAD_TOO_LARGE), 431);
}

/* --- Requests -------------------------------------------------------------------------------- */

static void a_request_is_taken_apart(void)
{
    CHECK_TAKEN(bytes("PUT /bucket/a%20key?partNumber=1&uploadId=x HTTP/1.1\r\n"
                      "Host: localhost:9000\r\n"
                      "x-amz-meta-one: 1\r\n"
                      "Content-Length: 0042\r\n"
                      "X-Amz-Date:20260102T030405Z \t\r\n"
                      "empty:\r\n"
                      "blank: \t \r\n"
                      "x-amz-meta-two:  a \t b  \r\n"
                      "Expect: 100-Continue\r\n\r\n"));
    CHECK_INT(request.method, HTTP1_METHOD_PUT);
    CHECK_BYTES(request.method_text, bytes("PUT"));
    CHECK_BYTES(request.target, bytes("/bucket/a%20key?partNumber=1&uploadId=x"));
    CHECK_BYTES(request.path, bytes("/bucket/a%20key"));
    CHECK_BYTES(request.query, bytes("partNumber=1&uploadId=x"));
    CHECK_INT(request.head.minor, 1);
    CHECK(request.head.keep_alive);
    CHECK(request.expects_continue);
    CHECK(request.head.has_length);
    CHECK_INT(request.head.length, 42);
    CHECK_INT(request.head.framing, HTTP1_FRAMING_LENGTH);
    CHECK_INT(request.head.field_count, 8);
    CHECK_BYTES(http1_value(&request.head, HTTP1_NAME_HOST), bytes("localhost:9000"));
    CHECK_BYTES(http1_value(&request.head, HTTP1_NAME_X_AMZ_DATE), bytes("20260102T030405Z"));
    CHECK_BYTES(request.head.fields[3].name, bytes("X-Amz-Date"));
    CHECK_BYTES(http1_field_named(&request.head, "empty")->value, bytes(""));
    CHECK_BYTES(http1_field_named(&request.head, "blank")->value, bytes(""));
    CHECK(http1_field_named(&request.head, "blan") == NULL);
    CHECK(http1_value(&request.head, HTTP1_NAME_RANGE).at == NULL);
}

static void fields_of_one_name_are_a_row(void)
{
    const struct http1_field *field;

    CHECK_TAKEN(bytes("GET / HTTP/1.1\r\nx-amz-meta-a: 1\r\nHost: h\r\nX-AMZ-Meta-b: 2\r\n"
                      "if-match: \"x\"\r\nx-amz-meta-a: 3\r\n\r\n"));
    field = http1_field_find(&request.head, HTTP1_NAME_X_AMZ_META);
    CHECK_BYTES(field->value, bytes("1"));
    field = http1_field_next(&request.head, field);
    CHECK_BYTES(field->value, bytes("2"));
    field = http1_field_next(&request.head, field);
    CHECK_BYTES(field->value, bytes("3"));
    CHECK(http1_field_next(&request.head, field) == NULL);
}

static void methods_are_known_or_have_a_text(void)
{
    static const struct {
        const char *text;
        enum http1_method method;
    } methods[] = {
        { "GET", HTTP1_METHOD_GET },       { "HEAD", HTTP1_METHOD_HEAD },
        { "PUT", HTTP1_METHOD_PUT },       { "POST", HTTP1_METHOD_POST },
        { "DELETE", HTTP1_METHOD_DELETE }, { "OPTIONS", HTTP1_METHOD_OPTIONS },
        { "PATCH", HTTP1_METHOD_OTHER },   { "PROPFIND", HTTP1_METHOD_OTHER },
        { "BREW", HTTP1_METHOD_OTHER },    { "get", HTTP1_METHOD_OTHER },
        { "GETS", HTTP1_METHOD_OTHER },    { "G", HTTP1_METHOD_OTHER },
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char text[100];

        snprintf(text, sizeof(text), "%s / HTTP/1.1\r\nHost: h\r\n\r\n", methods[i].text);
        CHECK_TAKEN(slice_text(text));
        CHECK_INT(request.method, methods[i].method);
        CHECK_BYTES(request.method_text, slice_text(methods[i].text));
    }
    CHECK_REFUSED(bytes("G@T / HTTP/1.1\r\nHost: h\r\n\r\n"), SYNTAX);
    CHECK_REFUSED(bytes("CONNECT h:443 HTTP/1.1\r\nHost: h\r\n\r\n"), CONNECT);
}

static void versions_other_than_1_0_and_1_1_are_refused(void)
{
    CHECK_TAKEN(bytes("GET / HTTP/1.0\r\n\r\n"));
    CHECK(!request.head.keep_alive);
    CHECK_REFUSED(bytes("GET / HTTP/2.0\r\nHost: h\r\n\r\n"), VERSION);
    CHECK_REFUSED(bytes("GET / HTTP/1.2\r\nHost: h\r\n\r\n"), VERSION);
    CHECK_REFUSED(bytes("GET / HTTP/0.9\r\nHost: h\r\n\r\n"), VERSION);
    CHECK_REFUSED(bytes("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), VERSION);
    CHECK(read_request(bytes("GET /\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET / HTTP/1.10\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET / http/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET / ICE/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
}

static void a_first_line_has_two_blanks(void)
{
    CHECK(read_request(bytes("GET  / HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET /  HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET / HTTP/1.1 \r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET /a b HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET\t/ HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK_REFUSED(bytes("GET /a\tb HTTP/1.1\r\nHost: h\r\n\r\n"), TARGET);
}

static void targets_are_kept_as_they_came(void)
{
    static const char *const paths[] = {
        "/",
        "//x//y",
        "/x/../y",
        "/%c3%a9",
        "/\xc3\xa9",
        "/a+b!*'():@=~%7E",
        "/a;b,c|d\\e{}^`\"<>[]",
    };

    for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
        char text[200];

        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", paths[i]);
        CHECK_TAKEN(slice_text(text));
        CHECK_BYTES(request.path, slice_text(paths[i]));
        CHECK(request.query.at == NULL);
        snprintf(text, sizeof(text), "GET %s?a=%%2f?b HTTP/1.1\r\nHost: h\r\n\r\n", paths[i]);
        CHECK_TAKEN(slice_text(text));
        CHECK_BYTES(request.path, slice_text(paths[i]));
        CHECK_BYTES(request.query, bytes("a=%2f?b"));
    }
    CHECK_TAKEN(bytes("GET /? HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK(request.query.at != NULL && request.query.len == 0);
}

static void of_a_path_that_comes_as_it_would_be_encoded_that_is_told(void)
{
    static const struct {
        const char *target, *path;
        bool is_plain;
    } cases[] = {
        { "/", "/", true },
        { "/bucket/a-key_1.~/of//more/than/sixteen/bytes", NULL, true },
        { "/bucket/key?list-type=2&a=%2f", "/bucket/key", true },
        { "/bucket/a%20key", NULL, false },
        { "/bucket/a%20key?x", "/bucket/a%20key", false },
        { "/bucket/a:key/of/more/than/sixteen/bytes", NULL, false },
        { "/bucket/of/more/than/sixteen/bytes\xc3\xa4", NULL, false },
        { "/bucket/*", NULL, false },
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *path = cases[i].path == NULL ? cases[i].target : cases[i].path;
        char text[128];

        snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: h\r\n\r\n", cases[i].target);
        CHECK_TAKEN(slice_text(text));
        CHECK_BYTES(request.path, slice_text(path));
        CHECK(request.path_is_plain == cases[i].is_plain);
    }
}

static void targets_that_name_a_host_are_cut_to_their_path(void)
{
    CHECK_TAKEN(bytes("GET http://h:1/a?b HTTP/1.1\r\nHost: H:1\r\n\r\n"));
    CHECK_BYTES(request.path, bytes("/a"));
    CHECK_BYTES(request.query, bytes("b"));
    CHECK_TAKEN(bytes("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK_BYTES(request.path, bytes("/"));
    CHECK_TAKEN(bytes("GET HTTPS://h?b HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK_BYTES(request.path, bytes("/"));
    CHECK_BYTES(request.query, bytes("b"));
    CHECK_REFUSED(bytes("GET http://g/a HTTP/1.1\r\nHost: h\r\n\r\n"), HOST_OTHER);
    CHECK_REFUSED(bytes("GET http://u@h/a HTTP/1.1\r\nHost: h\r\n\r\n"), HOST_OTHER);
    CHECK(read_request(bytes("GET http:///a HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET ftp://h/a HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
}

static void other_targets_are_refused(void)
{
    CHECK_TAKEN(bytes("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"));
    CHECK_BYTES(request.path, bytes("*"));
    CHECK_REFUSED(bytes("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), TARGET);
    CHECK_REFUSED(bytes("GET /a#b HTTP/1.1\r\nHost: h\r\n\r\n"), TARGET);
    CHECK_REFUSED(bytes("GET /?a#b HTTP/1.1\r\nHost: h\r\n\r\n"), TARGET);
    CHECK(read_request(bytes("GET a HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET h:80 HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
    CHECK(read_request(bytes("GET ?a HTTP/1.1\r\nHost: h\r\n\r\n")) != HTTP1_REFUSAL_NONE);
}

static void fields_are_names_colons_and_values(void)
{
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost : h\r\n\r\n"), FIELD);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nA\t: h\r\n\r\n"), FIELD);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\n: h\r\n\r\n"), FIELD);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nab\r\n\r\n"), FIELD);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\na b: c\r\n\r\n"), FIELD);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\n\xc3\xa4: c\r\n\r\n"), FIELD);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\na(b: c\r\n\r\n"), FIELD);
    CHECK_TAKEN(bytes("GET / HTTP/1.1\r\nHost: h\r\na!#$%&'*+-.^_`|~Z: :c\r\n\r\n"));
    CHECK_BYTES(request.head.fields[1].value, bytes(":c"));
}

static void a_request_has_one_valid_host(void)
{
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\n\r\n"), HOST_MISSING);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nHost: h\r\n\r\n"), FIELD_TWICE);
    CHECK_REFUSED(bytes("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), FIELD_TWICE);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), HOST);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), HOST);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: a@b\r\n\r\n"), HOST);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n"), HOST);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n"), HOST);
    CHECK_TAKEN(bytes("GET / HTTP/1.1\r\nHost: [::1]:9000\r\n\r\n"));
    CHECK_TAKEN(bytes("GET / HTTP/1.1\r\nHost:\r\n\r\n"));
}

static void fields_that_decide_may_not_come_twice(void)
{
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nRange: a\r\nrange: a\r\n\r\n"), FIELD_TWICE);
    CHECK_REFUSED(bytes("GET / HTTP/1.1\r\nHost: h\r\nx-amz-date: a\r\nX-Amz-Date: b\r\n\r\n"),
                  FIELD_TWICE);
    CHECK_REFUSED(
        bytes("GET / HTTP/1.1\r\nAuthorization: a\r\nHost: h\r\nauthorization: b\r\n\r\n"),
        FIELD_TWICE);
}

static void as_many_fields_as_fit_are_taken(void)
{
    char text[4000] = "GET / HTTP/1.1\r\nHost: h\r\n";
    size_t len = strlen(text);

    for (int i = 1; i < HTTP1_FIELDS_MAX; i++)
        len += (size_t)snprintf(text + len, sizeof(text) - len, "x-amz-meta-%d: v\r\n", i);
    strncpy(text + len, "\r\n", 3);
    CHECK_TAKEN(slice_text(text));
    CHECK_INT(request.head.field_count, HTTP1_FIELDS_MAX);
    strncpy(text + len, "a: b\r\n\r\n", 9);
    CHECK_REFUSED(slice_text(text), TOO_MANY_FIELDS);
}

/* --- Where the body ends --------------------------------------------------------------------- */

#define PUT "PUT / HTTP/1.1\r\nHost: h\r\n"

static void lengths_are_plain_numbers(void)
{
    static const char *const refused[] = {
        "+3",
        "-3",
        "3 3",
        "3,3",
        "0x3",
        "3;",
        "a",
        "",
        " ",
        "3.0",
        "1e3",
        "99999999999999999999",
        "18446744073709551616",
        "9223372036854775808",
        "18446744073709551615",
        "\xc2\xb2",
    };
    char text[200];

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(text, sizeof(text), PUT "Content-Length: %s\r\n\r\n", refused[i]);
        CHECK_REFUSED(slice_text(text), LENGTH);
    }
    CHECK_TAKEN(bytes(PUT "Content-Length: 9223372036854775807 \r\n\r\n"));
    CHECK_INT(request.head.length, INT64_MAX);
    CHECK_TAKEN(bytes(PUT "Content-Length: 000\r\n\r\n"));
    CHECK_INT(request.head.framing, HTTP1_FRAMING_LENGTH);
    CHECK_INT(request.head.length, 0);
    CHECK_TAKEN(bytes(PUT "\r\n"));
    CHECK(!request.head.has_length);
    CHECK_INT(request.head.framing, HTTP1_FRAMING_NONE);
}

static void a_body_has_one_framing(void)
{
    CHECK(read_request(bytes(PUT "Content-Length: 3\r\nContent-Length: 3\r\n\r\n")) != 0);
    CHECK(read_request(bytes(PUT "Content-Length: 3\r\nContent-Length: 4\r\n\r\n")) != 0);
    CHECK(read_request(bytes(PUT "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n")) != 0);
    CHECK(read_request(bytes(PUT "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n")) != 0);
    CHECK(read_request(bytes(PUT "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n")) != 0);
    CHECK(read_request(bytes(PUT "Transfer-Encoding: chunked\r\n"
                                 "Transfer-Encoding: chunked\r\n\r\n")) != 0);
}

static void no_transfer_coding_but_chunked_is_taken(void)
{
    static const char *const refused[] = {
        "gzip",     "identity", "chunked, identity", "gzip, chunked", "chunked, chunked",
        "",         "chunkedx", "xchunked",          "chunked;a=b",   "\"chunked\"",
        ",chunked", "chunked,", "chun\tked",
    };
    char text[200];

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        snprintf(text, sizeof(text), PUT "Transfer-Encoding: %s\r\n\r\n", refused[i]);
        CHECK_REFUSED(slice_text(text), CODING);
    }
    CHECK_TAKEN(bytes(PUT "transfer-encoding:\tChunked \r\nExpect: 100-continue\r\n\r\n"));
    CHECK_INT(request.head.framing, HTTP1_FRAMING_CHUNKED);
    CHECK(request.expects_continue);
    CHECK_REFUSED(bytes("PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), CODING_VERSION);
}

static void what_is_expected_is_100_continue_or_refused(void)
{
    CHECK_REFUSED(bytes(PUT "Content-Length: 3\r\nExpect: a pony\r\n\r\n"), EXPECT);
    CHECK_INT(http1_refusal_status(HTTP1_REFUSAL_EXPECT), 417);
    CHECK_TAKEN(bytes(PUT "Expect: 100-continue\r\n\r\n"));
    CHECK(!request.expects_continue); /* there is nothing to wait for */
    CHECK_TAKEN(bytes("PUT / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n"));
    CHECK(!request.expects_continue);
}

static void connections_are_kept_as_the_version_and_the_field_say(void)
{
    static const struct {
        const char *head;
        bool kept;
    } cases[] = {
        { "1.1\r\nHost: h\r\n\r\n", true },
        { "1.1\r\nHost: h\r\nConnection: close\r\n\r\n", false },
        { "1.1\r\nHost: h\r\nConnection: Close\r\n\r\n", false },
        { "1.1\r\nHost: h\r\nConnection: foo, close\r\n\r\n", false },
        { "1.1\r\nHost: h\r\nConnection: close, keep-alive\r\n\r\n", false },
        { "1.1\r\nHost: h\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n", false },
        { "1.1\r\nHost: h\r\nConnection: closed\r\n\r\n", true },
        { "1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", true },
        { "1.0\r\nHost: h\r\n\r\n", false },
        { "1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n", true },
        { "1.0\r\nHost: h\r\nConnection: Keep-Alive, foo\r\n\r\n", true },
    };
    char text[200];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        snprintf(text, sizeof(text), "GET / HTTP/%s", cases[i].head);
        CHECK_TAKEN(slice_text(text));
        CHECK_INT(request.head.keep_alive, cases[i].kept);
    }
}

/* --- Responses ------------------------------------------------------------------------------- */

#define CHECK_FRAMING(in, asked, name)                                                             \
    do {                                                                                           \
        CHECK_INT(read_response(in, HTTP1_METHOD_##asked), HTTP1_REFUSAL_NONE);                    \
        CHECK_INT(response.head.framing, HTTP1_FRAMING_##name);                                    \
    } while (0)

static void a_response_is_taken_apart(void)
{
    CHECK_FRAMING(bytes("HTTP/1.1 206 Partial Content\r\nContent-Length: 10\r\n"
                        "ETag: \"x\"\r\nContent-Range: bytes 0-9/20\r\n\r\n"),
                  GET, LENGTH);
    CHECK_INT(response.status, 206);
    CHECK_BYTES(response.reason, bytes("Partial Content"));
    CHECK_INT(response.head.length, 10);
    CHECK(response.head.keep_alive);
    CHECK(!response.is_interim);
    CHECK_BYTES(http1_value(&response.head, HTTP1_NAME_ETAG), bytes("\"x\""));
}

static void where_the_body_of_a_response_ends_depends_on_what_was_asked(void)
{
    CHECK_FRAMING(bytes("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"), HEAD, NONE);
    CHECK_INT(response.head.length, 10);
    CHECK(response.head.has_length);
    CHECK(response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), HEAD, NONE);
    CHECK_FRAMING(bytes("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"), GET, CHUNKED);
    CHECK(response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.1 204 No Content\r\n\r\n"), DELETE, NONE);
    CHECK(response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"), GET, NONE);
    CHECK(response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.1 200 OK\r\n\r\n"), HEAD, NONE);
    CHECK(response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.1 200 OK\r\n\r\n"), GET, UNTIL_CLOSE);
    CHECK(!response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n"),
                  GET, LENGTH);
    CHECK(response.head.keep_alive);
    CHECK_FRAMING(bytes("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n"), GET, LENGTH);
    CHECK(!response.head.keep_alive);
}

static void interim_responses_are_told_apart(void)
{
    CHECK_FRAMING(bytes("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"), PUT, NONE);
    CHECK(response.is_interim);
    CHECK_FRAMING(bytes("HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"), PUT, NONE);
    CHECK(response.is_interim);
    CHECK_INT(read_response(bytes("HTTP/1.1 101 Switching\r\nUpgrade: a\r\nConnection: upgrade\r\n"
                                  "\r\n"),
                            HTTP1_METHOD_GET),
              HTTP1_REFUSAL_UPGRADED);
}

static void responses_may_have_no_reason_and_any_bytes_in_it(void)
{
    CHECK_FRAMING(bytes("HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n"), GET, LENGTH);
    CHECK_BYTES(response.reason, bytes(""));
    CHECK_FRAMING(bytes("HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n"), GET, LENGTH);
    CHECK_BYTES(response.reason, bytes(""));
    CHECK_FRAMING(bytes("HTTP/1.1 299 Gr\xc3\xbc\xc3\x9f\x65 \tx\r\nContent-Length: 0\r\n\r\n"),
                  GET, LENGTH);
    CHECK_INT(response.status, 299);
    CHECK_BYTES(response.reason, bytes("Gr\xc3\xbc\xc3\x9f\x65 \tx"));
}

static void fields_of_responses_may_come_twice_but_for_the_framing(void)
{
    CHECK_FRAMING(bytes("HTTP/1.1 200 OK\r\nETag: a\r\nETag: b\r\nContent-Length: 0\r\n\r\n"), GET,
                  LENGTH);
    CHECK_BYTES(http1_value(&response.head, HTTP1_NAME_ETAG), bytes("a"));
}

static void what_is_no_response_is_refused(void)
{
    static const char *const refused[] = {
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.2 200 OK\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/1.1 600 OK\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        "HTTP/1.1 200OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "<html>\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length : 3\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 3\r\n\r\n",
        "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        if (read_response(slice_text(refused[i]), HTTP1_METHOD_GET) == HTTP1_REFUSAL_NONE)
            CHECK_TEXT(refused[i], "refused");
    }
}

/* --- Names and lists ------------------------------------------------------------------------- */

static void names_are_known_in_any_case(void)
{
    for (unsigned i = HTTP1_NAME_OTHER + 1; i < HTTP1_NAME_X_AMZ_META; i++) {
        struct slice text = http1_name_text((enum http1_name)i);
        char name[64];

        CHECK_INT(http1_name_of(show(text)), i);
        for (size_t k = 0; k < text.len; k++) {
            memcpy(name, text.at, text.len);
            name[k] = (char)(name[k] >= 'a' ? name[k] - 32 : name[k]);
            CHECK_INT(http1_name_of(show(slice_of(name, text.len))), i);
            name[k] = '~';
            CHECK(http1_name_of(show(slice_of(name, text.len))) != i);
        }
        CHECK(http1_name_of(show(slice_of(text.at, text.len - 1))) != i);
        memcpy(name, text.at, text.len);
        name[text.len] = 's';
        CHECK(http1_name_of(show(slice_of(name, text.len + 1))) != i);
    }
    CHECK_INT(http1_name_of(bytes("X-AMZ-META-")), HTTP1_NAME_X_AMZ_META);
    CHECK_INT(http1_name_of(bytes("x-amz-meta")), HTTP1_NAME_X_AMZ_OTHER);
    CHECK_INT(http1_name_of(bytes("x-amz-new-thing-with-a-name-that-is-longer-than-any-other")),
              HTTP1_NAME_X_AMZ_OTHER);
    CHECK_INT(http1_name_of(bytes("x-amz")), HTTP1_NAME_OTHER);
    CHECK_INT(http1_name_of(bytes("x")), HTTP1_NAME_OTHER);
    CHECK_INT(http1_name_of(bytes("")), HTTP1_NAME_OTHER);
    CHECK(http1_name_is_amz(HTTP1_NAME_X_AMZ_ACL) && http1_name_is_amz(HTTP1_NAME_X_AMZ_META) &&
          http1_name_is_amz(HTTP1_NAME_X_AMZ_OTHER) && !http1_name_is_amz(HTTP1_NAME_VARY) &&
          !http1_name_is_amz(HTTP1_NAME_X_FORWARDED_PROTO));
}

static void lists_are_taken_element_by_element(void)
{
    struct slice rest = bytes(" ,gzip ,\taws-chunked,, x y ,"), element;

    CHECK(http1_element_next(&rest, &element));
    CHECK_BYTES(element, bytes("gzip"));
    CHECK(http1_element_next(&rest, &element));
    CHECK_BYTES(element, bytes("aws-chunked"));
    CHECK(http1_element_next(&rest, &element));
    CHECK_BYTES(element, bytes("x y"));
    CHECK(!http1_element_next(&rest, &element));
}

int main(void)
{
    RUN(a_head_ends_with_its_empty_line);
    RUN(every_prefix_of_a_head_asks_for_more);
    RUN(a_few_empty_lines_before_a_request_are_passed_over);
    RUN(no_line_ends_otherwise_than_in_cr_lf);
    RUN(a_cr_that_ends_no_line_does_not_end_a_head);
    RUN(control_bytes_are_refused_wherever_they_stand);
    RUN(folded_lines_are_refused);
    RUN(a_head_that_does_not_end_within_the_limit_is_refused);
    RUN(a_request_is_taken_apart);
    RUN(fields_of_one_name_are_a_row);
    RUN(methods_are_known_or_have_a_text);
    RUN(versions_other_than_1_0_and_1_1_are_refused);
    RUN(a_first_line_has_two_blanks);
    RUN(targets_are_kept_as_they_came);
    RUN(of_a_path_that_comes_as_it_would_be_encoded_that_is_told);
    RUN(targets_that_name_a_host_are_cut_to_their_path);
    RUN(other_targets_are_refused);
    RUN(fields_are_names_colons_and_values);
    RUN(a_request_has_one_valid_host);
    RUN(fields_that_decide_may_not_come_twice);
    RUN(as_many_fields_as_fit_are_taken);
    RUN(lengths_are_plain_numbers);
    RUN(a_body_has_one_framing);
    RUN(no_transfer_coding_but_chunked_is_taken);
    RUN(what_is_expected_is_100_continue_or_refused);
    RUN(connections_are_kept_as_the_version_and_the_field_say);
    RUN(a_response_is_taken_apart);
    RUN(where_the_body_of_a_response_ends_depends_on_what_was_asked);
    RUN(interim_responses_are_told_apart);
    RUN(responses_may_have_no_reason_and_any_bytes_in_it);
    RUN(fields_of_responses_may_come_twice_but_for_the_framing);
    RUN(what_is_no_response_is_refused);
    RUN(names_are_known_in_any_case);
    RUN(lists_are_taken_element_by_element);
    free(shown);
    return check_report();
}
