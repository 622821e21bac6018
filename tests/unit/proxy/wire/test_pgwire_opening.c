#include <stdlib.h>

#include "proxy/wire/pgwire.h"
#include "proxy/wire/pgwire_write.h"
#include "tests/unit/check.h"
#include "tests/unit/proxy/wire/transcript.h"

static const char STARTUP[] = "\0\0\0\x29\0\3\0\0user\0app\0database\0main\0options\0\0\0";
enum { STARTUP_BYTES = 0x29 };

static void a_startup_message_gives_its_parameters(void)
{
    struct slice in = slice_of(STARTUP, STARTUP_BYTES), value;
    struct pg_opening opening;
    struct pg_parameter p;

    for (size_t len = 0; len < in.len; len++)
        CHECK_INT(pg_opening_read(slice_of(in.at, len), &opening), ERR_AGAIN);
    CHECK_INT(pg_opening_read(in, &opening), ERR_NONE);
    CHECK_INT(opening.kind, PG_OPENING_STARTUP);
    CHECK_INT(opening.bytes, in.len);
    CHECK(opening.major == 3 && opening.minor == 0);
    CHECK(pg_parameter_next(&opening.parameters, &p));
    CHECK_BYTES(p.name, bytes("user"));
    CHECK_BYTES(p.value, bytes("app"));
    CHECK(pg_parameter_find(opening.parameters, "database", &value));
    CHECK_BYTES(value, bytes("main"));
    CHECK(!pg_parameter_find(opening.parameters, "user", &value)); /* it is passed */
    CHECK(pg_parameter_next(&opening.parameters, &p));
    CHECK(pg_parameter_next(&opening.parameters, &p));
    CHECK_BYTES(p.name, bytes("options"));
    CHECK_INT(p.value.len, 0);
    CHECK(!pg_parameter_next(&opening.parameters, &p));
}

static void of_equal_parameters_the_last_one_holds(void)
{
    struct slice value;

    CHECK(pg_parameter_find(bytes("a\0001\0b\0002\0a\0003\0\0"), "a", &value));
    CHECK_BYTES(value, bytes("3"));
}

static void what_follows_a_startup_message_is_not_of_it(void)
{
    struct buf in = { 0 };
    struct pg_opening opening;

    buf_put(&in, STARTUP, STARTUP_BYTES);
    buf_text(&in, "p");
    CHECK_INT(pg_opening_read(buf_all(&in), &opening), ERR_NONE);
    CHECK_INT(opening.bytes, STARTUP_BYTES);
    CHECK_INT(opening.parameters.len, STARTUP_BYTES - 8);
    buf_fini(&in);
}

static void check_refused(struct slice in)
{
    struct pg_opening opening = { .bytes = 77 };

    CHECK_INT(pg_opening_read(in, &opening), ERR_PROTOCOL);
    CHECK_INT(opening.bytes, 77);
}

static void parameters_end_with_a_zero_and_nothing_behind(void)
{
    check_refused(bytes("\0\0\0\x08\0\3\0\0"));
    check_refused(bytes("\0\0\0\x0a\0\3\0\0\0\0"));
    check_refused(bytes("\0\0\0\x0d\0\3\0\0user\0"));
    check_refused(bytes("\0\0\0\x0e\0\3\0\0user\0\0"));
    check_refused(bytes("\0\0\0\x0e\0\3\0\0user\0x"));
    check_refused(bytes("\0\0\0\x0d\0\3\0\0a\0b\0x"));
    check_refused(bytes("\0\0\0\x0f\0\3\0\0\0user\0\0"));
}

static void impossible_lengths_are_known_from_four_bytes(void)
{
    struct pg_opening opening;

    check_refused(bytes("\0\0\0\0"));
    check_refused(bytes("\0\0\0\7"));
    check_refused(bytes("\0\0\x27\x15")); /* 10,005 */
    check_refused(bytes("GET / HTTP/1.1\r\n"));
    check_refused(bytes("\x16\x03\x01\x02\0\1\0"));
    check_refused(bytes("\xff\xff\xff\xff"));
    CHECK_INT(pg_opening_read(bytes("\0\0\x27\x14\0\3\0\0"), &opening), ERR_AGAIN);
    CHECK_INT(pg_opening_read(bytes("\0\0\0"), &opening), ERR_AGAIN);
}

static void requests_for_encryption_are_eight_bytes(void)
{
    struct pg_opening opening;

    CHECK_INT(pg_opening_read(bytes("\0\0\0\x08\x04\xd2\x16\x2f"), &opening), ERR_NONE);
    CHECK_INT(opening.kind, PG_OPENING_SSL);
    CHECK_INT(opening.bytes, 8);
    CHECK_INT(pg_opening_read(bytes("\0\0\0\x08\x04\xd2\x16\x30"), &opening), ERR_NONE);
    CHECK_INT(opening.kind, PG_OPENING_GSSENC);
    check_refused(bytes("\0\0\0\x09\x04\xd2\x16\x2f\0"));
    check_refused(bytes("\0\0\0\x09\x04\xd2\x16\x30\0"));
}

static void a_cancel_request_has_a_secret_of_4_to_256_bytes(void)
{
    uint8_t secret[300];

    for (size_t len = 0; len < sizeof(secret); len++) {
        struct buf in = { 0 };
        struct pg_opening opening = { 0 };
        bool may = len >= 4 && len <= 256;

        secret[len] = (uint8_t)(len * 7);
        pg_put_cancel(&in, 0x01020304, slice_of(secret, len));
        CHECK_INT(pg_opening_read(buf_all(&in), &opening), may ? ERR_NONE : ERR_PROTOCOL);
        if (may) {
            CHECK_INT(opening.kind, PG_OPENING_CANCEL);
            CHECK_INT(opening.pid, 0x01020304);
            CHECK_BYTES(opening.secret, slice_of(secret, len));
        }
        buf_fini(&in);
    }
    check_refused(bytes("\0\0\0\x0a\x04\xd2\x16\x2e\0\0"));
}

static void the_answer_about_tls_is_one_byte_alone(void)
{
    bool is_yes = false;

    CHECK_INT(pg_ssl_answer_read(bytes(""), &is_yes), ERR_AGAIN);
    CHECK_INT(pg_ssl_answer_read(bytes("S"), &is_yes), ERR_NONE);
    CHECK(is_yes);
    CHECK_INT(pg_ssl_answer_read(bytes("N"), &is_yes), ERR_NONE);
    CHECK(!is_yes);
    CHECK_INT(pg_ssl_answer_read(bytes("EFATAL: no"), &is_yes), ERR_DOWN);
    CHECK_INT(pg_ssl_answer_read(bytes("SE"), &is_yes), ERR_PROTOCOL);
    CHECK_INT(pg_ssl_answer_read(bytes("NR"), &is_yes), ERR_PROTOCOL);
    CHECK_INT(pg_ssl_answer_read(bytes("X"), &is_yes), ERR_PROTOCOL);
}

static void another_protocol_is_told_by_its_version(void)
{
    struct pg_opening opening;

    CHECK_INT(pg_opening_read(bytes("\0\0\0\x0a\0\2\0\7xx"), &opening), ERR_NONE);
    CHECK_INT(opening.kind, PG_OPENING_OTHER);
    CHECK(opening.major == 2 && opening.minor == 7 && opening.bytes == 10);
}

static void recorded_startup_messages_are_read_and_written_again(void)
{
    struct transcript t = transcript_open("postgresql/logins.txt");
    int startups = 0, minors = 0;

    while (transcript_next(&t)) {
        struct pg_parameter parameters[8];
        struct pg_opening opening;
        struct buf out = { 0 };
        size_t count = 0;

        if (t.request.at[0] != 0)
            continue;
        CHECK_INT(pg_opening_read(buf_all(&t.request), &opening), ERR_NONE);
        if (opening.kind != PG_OPENING_STARTUP)
            continue;
        startups++;
        if (opening.minor > 0) {
            minors += opening.minor;
            CHECK_INT(pg_extensions_count(opening.parameters), 2);
            continue;
        }
        CHECK_INT(pg_extensions_count(opening.parameters), 0);
        while (count < 8 && pg_parameter_next(&opening.parameters, &parameters[count]))
            count++;
        pg_put_startup(&out, parameters, count);
        CHECK_BYTES(buf_all(&out), buf_all(&t.request));
        buf_fini(&out);
    }
    CHECK(startups > 10);
    CHECK_INT(minors, 2);
}

/* --- options --------------------------------------------------------------------------------- */

/* Pairs as "a=b;c=d;", or the error's number and the word. */
static void check_options(const char *options, const char *expected)
{
    struct buf pairs = { 0 }, told = { 0 };
    struct slice rest, word = { 0 };
    struct pg_parameter p;
    enum err err = pg_options_split(slice_text(options), &pairs, &word);

    for (rest = buf_all(&pairs); pg_parameter_next(&rest, &p);)
        buf_format(&told, "%.*s=%.*s;", (int)p.name.len, (const char *)p.name.at, (int)p.value.len,
                   (const char *)p.value.at);
    if (err != ERR_NONE)
        buf_format(&told, "!%s %.*s", err == ERR_SYNTAX ? "syntax" : "unsupported", (int)word.len,
                   (const char *)word.at);
    CHECK_BYTES(buf_all(&told), slice_text(expected));
    buf_fini(&told);
    buf_fini(&pairs);
}

static void options_are_split_as_the_server_does_it(void)
{
    check_options("", "");
    check_options(" \t\n ", "");
    check_options("-c a=b", "a=b;");
    check_options("-ca=b", "a=b;");
    check_options("  -c   a=b\t--c=d  ", "a=b;c=d;");
    check_options("--search-path=a,\\ b", "search_path=a, b;");
    check_options("-c a-b=c-d", "a_b=c-d;");
    check_options("-c a=b=c", "a=b=c;");
    check_options("-c a=", "a=;");
    check_options("-c a=\\\\x\\", "a=\\x;");
    check_options("-c my.name=\\ \\\t", "my.name= \t;");
    check_options("-c\\ a=b", " a=b;"); /* a name that no server knows */
}

static void options_that_cannot_be_split_say_why(void)
{
    check_options("-c", "!syntax -c");
    check_options("-c a=b -c", "a=b;!syntax -c");
    check_options("-c work_mem", "!syntax work_mem");
    check_options("--geqo", "!syntax geqo");
    check_options("--=x", "!syntax =x");
    check_options("-c =x", "!syntax =x");
    check_options("plain", "!syntax plain");
    check_options("-", "!syntax -");
    check_options("--", "!unsupported --");
    check_options("-c a=b -fs", "a=b;!unsupported -fs");
    check_options("-B 100", "!unsupported -B");
}

static void options_are_appended(void)
{
    struct buf pairs = { 0 };
    struct slice word;

    CHECK_INT(pg_options_split(bytes("--a=1"), &pairs, &word), ERR_NONE);
    CHECK_INT(pg_options_split(bytes("--b=2"), &pairs, &word), ERR_NONE);
    CHECK_INT(pg_options_split(bytes("--c"), &pairs, &word), ERR_SYNTAX);
    CHECK_BYTES(buf_all(&pairs), bytes("a\0001\0b\0002\0"));
    buf_fini(&pairs);
}

static void replication_is_a_boolean_or_database(void)
{
    static const char *const physical[] = { "true", "t", "TRUE", "on", "yes", "y", "1" };
    static const char *const none[] = { "false", "F", "off", "of", "no", "n", "0" };
    static const char *const bad[] = { "",          "o", "maybe",  "Database",
                                       "databases", "2", "truely", "10" };
    enum pg_replication found;

    for (size_t i = 0; i < sizeof(physical) / sizeof(*physical); i++) {
        CHECK_INT(pg_replication_read(slice_text(physical[i]), &found), ERR_NONE);
        CHECK_INT(found, PG_REPLICATION_PHYSICAL);
    }
    for (size_t i = 0; i < sizeof(none) / sizeof(*none); i++) {
        CHECK_INT(pg_replication_read(slice_text(none[i]), &found), ERR_NONE);
        CHECK_INT(found, PG_REPLICATION_NO);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        CHECK_INT(pg_replication_read(slice_text(bad[i]), &found), ERR_SYNTAX);
    CHECK_INT(pg_replication_read(bytes("database"), &found), ERR_NONE);
    CHECK_INT(found, PG_REPLICATION_DATABASE);
}

int main(void)
{
    RUN(a_startup_message_gives_its_parameters);
    RUN(of_equal_parameters_the_last_one_holds);
    RUN(what_follows_a_startup_message_is_not_of_it);
    RUN(parameters_end_with_a_zero_and_nothing_behind);
    RUN(impossible_lengths_are_known_from_four_bytes);
    RUN(requests_for_encryption_are_eight_bytes);
    RUN(a_cancel_request_has_a_secret_of_4_to_256_bytes);
    RUN(the_answer_about_tls_is_one_byte_alone);
    RUN(another_protocol_is_told_by_its_version);
    RUN(recorded_startup_messages_are_read_and_written_again);
    RUN(options_are_split_as_the_server_does_it);
    RUN(options_that_cannot_be_split_say_why);
    RUN(options_are_appended);
    RUN(replication_is_a_boolean_or_database);
    return check_report();
}
