#include "proxy/wire/http1_body.h"

#include <stdlib.h>

#include "tests/unit/check.h"

/* What a body came to. */
static struct buf payload, trailers;
static enum http1_refusal why;
static size_t used;

/* A copy of just its length, so that a sanitizer sees any look beyond it. */
static uint8_t *copy_of(struct slice in)
{
    uint8_t *copy = malloc(in.len > 0 ? in.len : 1);

    if (copy == NULL)
        exit(1);
    if (in.len > 0)
        memcpy(copy, in.at, in.len);
    return copy;
}

static void trailers_keep(const struct http1_body *body)
{
    struct slice rest = body->trailer;
    struct http1_field field;

    while (http1_trailer_next(&rest, &field)) {
        buf_slice(&trailers, field.name);
        buf_text(&trailers, "=");
        buf_slice(&trailers, field.value);
        buf_text(&trailers, "\n");
    }
    CHECK_INT(rest.len, 0);
}

/* Shows `in` in pieces of `step` bytes, what was not used again with the next. */
static enum parse decode_by(struct slice in, enum http1_framing framing, uint64_t length,
                            size_t step)
{
    enum parse found = PARSE_MORE;
    struct http1_body body;
    size_t end = 0;

    http1_body_begin(&body, framing, length);
    buf_clear(&payload);
    buf_clear(&trailers);
    used = 0;
    while (found == PARSE_MORE) {
        uint8_t *copy = copy_of(slice_of(in.at + used, end - used));
        struct slice rest = slice_of(copy, end - used), piece;
        size_t taken;

        do {
            found = http1_body_decode(&body, rest, &taken, &piece, &why);
            CHECK(taken <= rest.len);
            CHECK(piece.len == 0 ||
                  (piece.at >= rest.at && piece.at + piece.len <= rest.at + taken));
            buf_slice(&payload, piece);
            rest = slice_from(rest, taken);
            used += taken;
        } while (found == PARSE_MORE && taken > 0);
        CHECK_INT(http1_body_is_whole(&body), found == PARSE_DONE);
        if (found == PARSE_DONE)
            trailers_keep(&body);
        free(copy);
        if (end == in.len)
            break;
        end = end + step < in.len ? end + step : in.len;
    }
    CHECK_INT(body.payload, payload.len);
    return found;
}

/* All ways of cutting must come to the same. */
static enum parse decode(struct slice in, enum http1_framing framing, uint64_t length)
{
    enum parse whole = decode_by(in, framing, length, in.len + 1), found;
    enum http1_refusal whole_why = why;
    struct buf whole_payload = { 0 };
    size_t whole_used = used;

    buf_slice(&whole_payload, buf_all(&payload));
    for (size_t step = 1; step < 9; step++) {
        found = decode_by(in, framing, length, step);
        CHECK_INT(found, whole);
        CHECK_BYTES(buf_all(&payload), buf_all(&whole_payload));
        if (found == PARSE_BAD)
            CHECK_TEXT(http1_refusal_text(why), http1_refusal_text(whole_why));
        if (found == PARSE_DONE)
            CHECK_INT(used, whole_used);
    }
    buf_fini(&whole_payload);
    return whole;
}

#define CHECK_DONE(in, framing, length, expected)                                                  \
    do {                                                                                           \
        CHECK_INT(decode(in, HTTP1_FRAMING_##framing, length), PARSE_DONE);                        \
        CHECK_BYTES(buf_all(&payload), expected);                                                  \
    } while (0)

#define CHECK_BAD(in, name)                                                                        \
    do {                                                                                           \
        CHECK_INT(decode(in, HTTP1_FRAMING_CHUNKED, 0), PARSE_BAD);                                \
        CHECK_TEXT(http1_refusal_text(why), http1_refusal_text(HTTP1_REFUSAL_##name));             \
    } while (0)

static void a_length_is_counted_off(void)
{
    CHECK_DONE(bytes("hello"), LENGTH, 5, bytes("hello"));
    CHECK_DONE(bytes("helloGET /"), LENGTH, 5, bytes("hello"));
    CHECK_INT(used, 5);
    CHECK_DONE(bytes("GET /"), LENGTH, 0, bytes(""));
    CHECK_INT(used, 0);
    CHECK_DONE(bytes("GET /"), NONE, 0, bytes(""));
    CHECK_INT(decode(bytes("hell"), HTTP1_FRAMING_LENGTH, 5), PARSE_MORE);
    CHECK_BYTES(buf_all(&payload), bytes("hell"));
    CHECK_INT(decode(bytes("hell"), HTTP1_FRAMING_LENGTH, INT64_MAX), PARSE_MORE);
}

static void a_body_until_the_close_never_ends_by_itself(void)
{
    CHECK_INT(decode(bytes("hello"), HTTP1_FRAMING_UNTIL_CLOSE, 0), PARSE_MORE);
    CHECK_BYTES(buf_all(&payload), bytes("hello"));
}

static void chunks_are_put_together(void)
{
    CHECK_DONE(bytes("5\r\nhello\r\n00A;a=b;c\r\n, wo\r\nrld!\r\n0\r\n\r\nGET /"), CHUNKED, 0,
               bytes("hello, wo\r\nrld!"));
    CHECK_INT(used, 38);
    CHECK_DONE(bytes("0\r\n\r\n"), CHUNKED, 0, bytes(""));
    CHECK_DONE(bytes("000;x=\"y;z\"\r\n\r\n"), CHUNKED, 0, bytes(""));
    CHECK_DONE(bytes("a\r\n0123456789\r\n0\r\n\r\n"), CHUNKED, 0, bytes("0123456789"));
}

static void every_prefix_of_chunks_asks_for_more(void)
{
    struct slice in = bytes("5;a=b\r\nhello\r\n0\r\nx: y\r\n\r\n");

    for (size_t n = 0; n < in.len; n++)
        CHECK_INT(decode(slice_of(in.at, n), HTTP1_FRAMING_CHUNKED, 0), PARSE_MORE);
    CHECK_INT(decode(in, HTTP1_FRAMING_CHUNKED, 0), PARSE_DONE);
}

static void trailers_are_shown_as_fields(void)
{
    CHECK_DONE(bytes("1\r\nx\r\n0\r\nx-amz-checksum-crc32:\tAAAAAA== \r\nb:\r\n\r\nGET"), CHUNKED,
               0, bytes("x"));
    CHECK_BYTES(buf_all(&trailers), bytes("x-amz-checksum-crc32=AAAAAA==\nb=\n"));
    CHECK_INT(used, 48);
}

static void sizes_are_plain_hex_numbers(void)
{
    static const char *const refused[] = {
        "\r\n",
        " 5\r\nhello\r\n",
        "+5\r\nhello\r\n",
        "-5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        "g\r\n",
        "5 \r\nhello\r\n",
        "5\t;a\r\nhello\r\n",
        "5,\r\nhello\r\n",
        ";a=b\r\n",
        "8000000000000000\r\n",
        "10000000000000000\r\n",
        "ffffffffffffffff\r\n",
        "00000000000000000fffffffffffffffff\r\n",
    };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
        CHECK_BAD(slice_text(refused[i]), CHUNK_SIZE);
    CHECK_INT(decode(bytes("7fffffffffffffff\r\nx"), HTTP1_FRAMING_CHUNKED, 0), PARSE_MORE);
    CHECK_BYTES(buf_all(&payload), bytes("x"));
}

static void lines_of_chunks_end_in_cr_lf(void)
{
    CHECK_BAD(bytes("5\nhello\r\n"), CHUNK_SIZE);
    CHECK_BAD(bytes("5\rhello\r\n"), CHUNK_SIZE);
    CHECK_BAD(bytes("5;a\nhello\r\n"), CHUNK_EXTENSION);
    CHECK_BAD(bytes("5;a\rb\r\nhello\r\n"), CHUNK_SIZE);
    CHECK_BAD(bytes("5\r\nhello\n"), CHUNK_END);
    CHECK_BAD(bytes("5\r\nhello\rx"), CHUNK_END);
    CHECK_BAD(bytes("5\r\nhello!\r\n"), CHUNK_END);
    CHECK_BAD(bytes("0\r\n\rX"), TRAILER);
    CHECK_BAD(bytes("0\r\n\n"), TRAILER);
}

static void lines_of_chunks_are_bounded(void)
{
    char line[400];

    memset(line, '0', sizeof(line));
    CHECK_BAD(slice_of(line, sizeof(line)), CHUNK_SIZE);
    line[1] = ';';
    CHECK_BAD(slice_of(line, sizeof(line)), CHUNK_EXTENSION);
    memcpy(line + HTTP1_CHUNK_LINE_MAX_BYTES - 2, "\r\n\r\n", 4);
    CHECK_DONE(slice_of(line, HTTP1_CHUNK_LINE_MAX_BYTES + 2), CHUNKED, 0, bytes(""));
    CHECK_BAD(bytes("5;a\001\r\nhello\r\n"), CHUNK_EXTENSION);
    CHECK_BAD(bytes("5;a\0\r\nhello\r\n"), CHUNK_EXTENSION);
}

static void trailers_are_bounded_and_as_strict_as_heads(void)
{
    static const char *const refused[] = {
        "a\r\n\r\n",  ": b\r\n\r\n",     "a : b\r\n\r\n", " a: b\r\n\r\n",  "a: b\r\n c\r\n\r\n",
        "a: b\n\r\n", "a: \001\r\n\r\n", "a: b\r\n\rX",   "a b: c\r\n\r\n", "a: b\r\nc\r\n\r\n",
    };
    struct buf long_one = { 0 };

    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        char text[100];

        snprintf(text, sizeof(text), "0\r\n%s", refused[i]);
        CHECK_BAD(slice_text(text), TRAILER);
    }
    buf_text(&long_one, "0\r\na: ");
    while (long_one.len < HTTP1_TRAILER_MAX_BYTES - 1)
        buf_text(&long_one, "x");
    buf_text(&long_one, "\r\n\r\n");
    CHECK_DONE(buf_all(&long_one), CHUNKED, 0, bytes(""));
    long_one.len = HTTP1_TRAILER_MAX_BYTES - 1;
    buf_text(&long_one, "x\r\n\r\n");
    CHECK_BAD(buf_all(&long_one), TRAILER_TOO_LARGE);
    buf_fini(&long_one);
}

static void payload_may_go_by_unseen(void)
{
    struct http1_body body;
    struct slice piece;
    size_t taken;

    http1_body_begin(&body, HTTP1_FRAMING_CHUNKED, 0);
    CHECK_INT(http1_body_left(&body), 0);
    CHECK_INT(http1_body_decode(&body, bytes("10\r\nab"), &taken, &piece, &why), PARSE_MORE);
    CHECK_BYTES(piece, bytes("ab"));
    CHECK_INT(http1_body_left(&body), 14);
    http1_body_pass(&body, 14);
    CHECK_INT(http1_body_left(&body), 0);
    CHECK(!http1_body_is_whole(&body));
    CHECK_INT(http1_body_decode(&body, bytes("\r\n0\r\n\r\n"), &taken, &piece, &why), PARSE_DONE);
    CHECK_INT(body.payload, 16);

    http1_body_begin(&body, HTTP1_FRAMING_LENGTH, 5);
    http1_body_pass(&body, 4);
    CHECK(!http1_body_is_whole(&body));
    http1_body_pass(&body, 1);
    CHECK(http1_body_is_whole(&body));

    http1_body_begin(&body, HTTP1_FRAMING_UNTIL_CLOSE, 0);
    http1_body_pass(&body, 1000);
    CHECK(http1_body_left(&body) == UINT64_MAX);
    CHECK(!http1_body_is_whole(&body));
}

static void what_is_written_as_chunks_is_read_as_such(void)
{
    static const uint64_t sizes[] = { 0, 1, 15, 16, 255, 65536, 0x123456789abcdef, INT64_MAX };
    static const char *const texts[] = {
        "0\r\n",
        "1\r\n",
        "f\r\n",
        "10\r\n",
        "ff\r\n",
        "10000\r\n",
        "123456789abcdef\r\n",
        "7fffffffffffffff\r\n",
    };
    uint8_t out[HTTP1_CHUNK_HEAD_BYTES];
    struct buf body = { 0 };
    size_t len;

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        len = http1_chunk_head(out, sizes[i], true);
        CHECK_BYTES(slice_of(out, len), slice_text(texts[i]));
        len = http1_chunk_head(out, sizes[i], false);
        CHECK_BYTES(slice_of(out, 2), bytes("\r\n"));
        CHECK_BYTES(slice_of(out + 2, len - 2), slice_text(texts[i]));
    }
    buf_put(&body, out, http1_chunk_head(out, 2, true));
    buf_text(&body, "ab");
    buf_put(&body, out, http1_chunk_head(out, 3, false));
    buf_text(&body, "cde");
    buf_put(&body, out, http1_chunk_head(out, 0, false));
    buf_text(&body, "a:b\r\n\r\n");
    CHECK_DONE(buf_all(&body), CHUNKED, 0, bytes("abcde"));
    CHECK_BYTES(buf_all(&trailers), bytes("a=b\n"));
    buf_fini(&body);
}

int main(void)
{
    RUN(a_length_is_counted_off);
    RUN(a_body_until_the_close_never_ends_by_itself);
    RUN(chunks_are_put_together);
    RUN(every_prefix_of_chunks_asks_for_more);
    RUN(trailers_are_shown_as_fields);
    RUN(sizes_are_plain_hex_numbers);
    RUN(lines_of_chunks_end_in_cr_lf);
    RUN(lines_of_chunks_are_bounded);
    RUN(trailers_are_bounded_and_as_strict_as_heads);
    RUN(payload_may_go_by_unseen);
    RUN(what_is_written_as_chunks_is_read_as_such);
    buf_fini(&payload);
    buf_fini(&trailers);
    return check_report();
}
