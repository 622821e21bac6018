#include "proxy/wire/uri.h"

#include <stdlib.h>

#include "tests/unit/check.h"

static struct buf out;

static struct slice canonical(struct slice encoded, enum uri_keep keep)
{
    buf_clear(&out);
    CHECK_INT(uri_put_canonical(&out, encoded, keep), ERR_NONE);
    return buf_all(&out);
}

static void what_is_encoded_is_decoded_once(void)
{
    uint8_t plain[64];
    size_t len;

    CHECK_INT(uri_decode(bytes("/a%20b%2fc%2Bd+e%252F%c3%A9\xc3\xa9%00~"), plain, &len), ERR_NONE);
    CHECK_BYTES(slice_of(plain, len), bytes("/a b/c+d+e%2F\xc3\xa9\xc3\xa9\0~"));
    CHECK_INT(uri_decode(bytes(""), plain, &len), ERR_NONE);
    CHECK_INT(len, 0);
}

static void a_text_may_be_decoded_where_it_stands(void)
{
    uint8_t text[] = "%61%62c%64";
    size_t len;

    CHECK_INT(uri_decode(slice_of(text, 10), text, &len), ERR_NONE);
    CHECK_BYTES(slice_of(text, len), bytes("abcd"));
}

static void a_percent_needs_two_digits(void)
{
    static const char *const refused[] = { "%",    "a%",  "%2",  "%g0", "%0g",
                                           "%%20", "%-1", "% 1", "a%2" };
    uint8_t plain[16];
    size_t len = 42;

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        buf_clear(&out);
        CHECK_INT(uri_decode(slice_text(refused[i]), plain, &len), ERR_SYNTAX);
        CHECK_INT(uri_put_canonical(&out, slice_text(refused[i]), URI_KEEP_SLASH), ERR_SYNTAX);
        CHECK_INT(out.len, 0);
    }
    CHECK_INT(len, 42);
}

static void only_unreserved_bytes_stay(void)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t plain = (uint8_t)byte, encoded[3];
        char escaped[4];

        snprintf(escaped, sizeof(escaped), "%%%02X", byte);
        if (byte != 0 && strchr(unreserved, (int)byte) != NULL) {
            CHECK_INT(uri_encode(slice_of(&plain, 1), URI_KEEP_UNRESERVED, encoded), 1);
            CHECK_INT(encoded[0], byte);
        } else {
            CHECK_INT(uri_encode(slice_of(&plain, 1), URI_KEEP_UNRESERVED, encoded), 3);
            CHECK_BYTES(slice_of(encoded, 3), slice_text(escaped));
        }
    }
    buf_clear(&out);
    uri_put_encoded(&out, bytes("/a b/"), URI_KEEP_SLASH);
    uri_put_encoded(&out, bytes("/"), URI_KEEP_UNRESERVED);
    CHECK_BYTES(buf_all(&out), bytes("/a%20b/%2F"));
}

/* Of long texts sixteen are looked at together. */
static void a_byte_is_kept_or_encoded_wherever_it_stands(void)
{
    for (unsigned byte = 0; byte < 256; byte++) {
        for (size_t len = 15; len <= 50; len += 7) {
            for (size_t place = 0; place < len && byte != '%'; place++) {
                uint8_t text[50], expected[150];

                memset(text, 'z', len);
                text[place] = (uint8_t)byte;
                for (int keep = URI_KEEP_UNRESERVED; keep <= URI_KEEP_SLASH; keep++) {
                    size_t expected_len = uri_encode(slice_of(text, len), keep, expected);

                    CHECK_BYTES(canonical(slice_of(text, len), keep),
                                slice_of(expected, expected_len));
                }
            }
        }
    }
}

/* Whatever way a client writes a key, it is signed in one. */
static void all_ways_to_write_a_path_have_one_canonical_form(void)
{
    CHECK_BYTES(canonical(bytes("/b/%c3%a9"), URI_KEEP_SLASH), bytes("/b/%C3%A9"));
    CHECK_BYTES(canonical(bytes("/b/\xc3\xa9"), URI_KEEP_SLASH), bytes("/b/%C3%A9"));
    CHECK_BYTES(canonical(bytes("/b/a+b"), URI_KEEP_SLASH), bytes("/b/a%2Bb"));
    CHECK_BYTES(canonical(bytes("/b/!*'():@="), URI_KEEP_SLASH),
                bytes("/b/%21%2A%27%28%29%3A%40%3D"));
    CHECK_BYTES(canonical(bytes("/b/%7E%41%2D"), URI_KEEP_SLASH), bytes("/b/~A-"));
    CHECK_BYTES(canonical(bytes("/b/%2F"), URI_KEEP_SLASH), bytes("/b//"));
    CHECK_BYTES(canonical(bytes("/b/%252F"), URI_KEEP_SLASH), bytes("/b/%252F"));
    CHECK_BYTES(canonical(bytes("/x/../y"), URI_KEEP_SLASH), bytes("/x/../y"));
    CHECK_BYTES(canonical(bytes("//x//./y/"), URI_KEEP_SLASH), bytes("//x//./y/"));
    CHECK_BYTES(canonical(bytes("a/b c+d"), URI_KEEP_UNRESERVED), bytes("a%2Fb%20c%2Bd"));
}

static void a_query_is_split_before_it_is_decoded(void)
{
    struct slice rest = bytes("&a=1%262&k&&=v&b==&x-id=PutObject&");
    struct uri_item items[URI_QUERY_MAX_ITEMS];
    size_t count;

    CHECK_INT(uri_query_split(rest, items, URI_QUERY_MAX_ITEMS, &count), ERR_NONE);
    CHECK_INT(count, 5);
    CHECK_BYTES(items[0].name, bytes("a"));
    CHECK_BYTES(items[0].value, bytes("1%262"));
    CHECK_BYTES(items[1].name, bytes("k"));
    CHECK_BYTES(items[1].value, bytes(""));
    CHECK(!items[1].has_value);
    CHECK_BYTES(items[2].name, bytes(""));
    CHECK_BYTES(items[2].value, bytes("v"));
    CHECK_BYTES(items[3].name, bytes("b"));
    CHECK_BYTES(items[3].value, bytes("="));
    CHECK(items[3].has_value);
    CHECK_BYTES(items[4].name, bytes("x-id"));
    CHECK_INT(uri_query_split((struct slice){ 0 }, items, URI_QUERY_MAX_ITEMS, &count), ERR_NONE);
    CHECK_INT(count, 0);
}

static void a_query_has_no_more_items_than_fit(void)
{
    struct uri_item items[2];
    size_t count = 42;

    CHECK_INT(uri_query_split(bytes("a&b&c"), items, 2, &count), ERR_LIMIT);
    CHECK_INT(count, 42);
    CHECK_INT(uri_query_split(bytes("a&b&"), items, 2, &count), ERR_NONE);
    CHECK_INT(count, 2);
}

int main(void)
{
    RUN(what_is_encoded_is_decoded_once);
    RUN(a_text_may_be_decoded_where_it_stands);
    RUN(a_percent_needs_two_digits);
    RUN(only_unreserved_bytes_stay);
    RUN(a_byte_is_kept_or_encoded_wherever_it_stands);
    RUN(all_ways_to_write_a_path_have_one_canonical_form);
    RUN(a_query_is_split_before_it_is_decoded);
    RUN(a_query_has_no_more_items_than_fit);
    buf_fini(&out);
    return check_report();
}
