#include "proxy/wire/aws_chunked.h"

#include "tests/unit/proxy/wire/aws_chunked_writer.h"
#include "tests/unit/proxy/wire/sigv4_cases.h"

/* The chunked uploads of "Signature Calculations for the Authorization Header: Transferring Payload
 * in Multiple Chunks" in Amazon's S3 API reference, with and without trailers: 65 KiB of 'a'. */
static const char PUT_CHUNKS[] =
    "PUT /examplebucket/chunkObject.txt HTTP/1.1\n"
    "Host: s3.amazonaws.com\n"
    "x-amz-date: 20130524T000000Z\n"
    "x-amz-storage-class: REDUCED_REDUNDANCY\n"
    "Authorization: AWS4-HMAC-SHA256 "
    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="
    "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;"
    "x-amz-decoded-content-length;x-amz-storage-class,Signature="
    "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9\n"
    "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD\n"
    "Content-Encoding: aws-chunked\n"
    "x-amz-decoded-content-length: 66560\n"
    "Content-Length: 66824\n";
static const char PUT_TRAILERS[] =
    "PUT /examplebucket/chunkObject.txt HTTP/1.1\n"
    "Host: s3.amazonaws.com\n"
    "x-amz-date: 20130524T000000Z\n"
    "x-amz-storage-class: REDUCED_REDUNDANCY\n"
    "Authorization: AWS4-HMAC-SHA256 "
    "Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="
    "content-encoding;host;x-amz-content-sha256;x-amz-date;"
    "x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer,Signature="
    "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e\n"
    "x-amz-content-sha256: STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER\n"
    "Content-Encoding: aws-chunked\n"
    "x-amz-decoded-content-length: 66560\n"
    "x-amz-trailer: x-amz-checksum-crc32c\n"
    "Content-Length: 66824\n";

static struct sigv4_verdict verdict;
static struct aws_chunked chunked;
static struct checksum_set sums;
static struct buf body, got;

static void verify(const char *lines)
{
    static struct http1_request request;
    struct sigv4_rules rules = rules_at(MAY_24_2013);

    CHECK(parse(lines, &request));
    CHECK_INT(sigv4_verify(&request, &rules, &verdict), S3_NONE);
}

static void put_as(char letter, size_t count)
{
    memset(buf_reserve(&body, count), letter, count);
    buf_grow(&body, count);
}

#define FIRST  "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648"
#define SECOND "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497"
#define LAST   "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"

static void published_chunks(void)
{
    buf_clear(&body);
    buf_text(&body, "10000;chunk-signature=" FIRST "\r\n");
    put_as('a', 65536);
    buf_text(&body, "\r\n400;chunk-signature=" SECOND "\r\n");
    put_as('a', 1024);
    buf_text(&body, "\r\n0;chunk-signature=" LAST "\r\n\r\n");
}

static void published_trailers(const char *end)
{
    buf_clear(&body);
    buf_text(&body, "10000;chunk-signature="
                    "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2\r\n");
    put_as('a', 65536);
    buf_text(&body, "\r\n400;chunk-signature="
                    "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7\r\n");
    put_as('a', 1024);
    buf_text(&body, "\r\n0;chunk-signature="
                    "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992\r\n"
                    "x-amz-checksum-crc32c:sOO8/Q==");
    buf_text(&body, end);
    buf_text(&body, "x-amz-trailer-signature:"
                    "d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n");
}

static void begin(enum sigv4_payload payload, uint64_t length, const char *trailer)
{
    struct aws_chunked_head head = { .payload = payload,
                                     .seed = &verdict.seed,
                                     .decoded_length = length,
                                     .trailer = slice_text(trailer) };

    memset(&sums, 0, sizeof(sums));
    buf_clear(&got);
    CHECK_INT(aws_chunked_init(&chunked, &head, &sums), S3_NONE);
}

/* The pieces of `in` are `piece` bytes long. */
static enum aws_chunked_found decode(struct slice in, size_t piece)
{
    enum aws_chunked_found found = AWS_CHUNKED_MORE;

    while (in.len > 0 && found == AWS_CHUNKED_MORE) {
        struct slice part = slice_of(in.at, in.len < piece ? in.len : piece), payload;

        in = slice_from(in, part.len);
        while ((found = aws_chunked_next(&chunked, &part, &payload)) == AWS_CHUNKED_PAYLOAD) {
            CHECK(payload.len > 0);
            buf_slice(&got, payload);
            CHECK(chunked.given == got.len);
        }
        CHECK(found != AWS_CHUNKED_MORE || part.len == 0);
    }
    return found;
}

static enum s3_error end_of(struct slice in, size_t piece)
{
    switch (decode(in, piece)) {
    case AWS_CHUNKED_MORE:
        return aws_chunked_cut(&chunked);
    case AWS_CHUNKED_END:
        CHECK(chunked.verified == got.len);
        return S3_NONE;
    case AWS_CHUNKED_BAD:
        CHECK(chunked.fault.error != S3_NONE);
        return chunked.fault.error;
    case AWS_CHUNKED_PAYLOAD:
        break;
    }
    return S3_INTERNAL_ERROR;
}

static void published_chunks_are_verified_in_any_pieces(void)
{
    static const size_t pieces[] = { 1, 2, 3, 85, 86, 87, 88, 1000, 65536, 100000 };

    verify(PUT_CHUNKS);
    published_chunks();
    CHECK_INT(body.len, 66824);
    for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
        begin(SIGV4_PAYLOAD_CHUNKS, 66560, "");
        CHECK_INT(end_of(buf_all(&body), pieces[i]), S3_NONE);
        CHECK_INT(got.len, 66560);
        CHECK(got.at[0] == 'a' && memcmp(got.at, got.at + 1, got.len - 1) == 0);
    }
}

static void published_trailers_are_verified(void)
{
    verify(PUT_TRAILERS);
    CHECK_INT(verdict.payload, SIGV4_PAYLOAD_CHUNKS_TRAILER);
    published_trailers("\r\n");
    for (size_t piece = 1; piece < 100; piece += 7) {
        begin(SIGV4_PAYLOAD_CHUNKS_TRAILER, 66560, "x-amz-checksum-crc32c");
        CHECK_INT(end_of(buf_all(&body), piece), S3_NONE);
    }
    published_trailers("\n\r\n"); /* as minio-go writes */
    begin(SIGV4_PAYLOAD_CHUNKS_TRAILER, 66560, "x-amz-checksum-crc32c");
    CHECK_INT(end_of(buf_all(&body), 10), S3_NONE);
}

static void what_is_verified_ends_with_a_chunk(void)
{
    struct slice in, payload;

    verify(PUT_CHUNKS);
    published_chunks();
    begin(SIGV4_PAYLOAD_CHUNKS, 66560, "");
    in = slice_of(body.at, 88 + 65535);
    CHECK_INT(aws_chunked_next(&chunked, &in, &payload), AWS_CHUNKED_PAYLOAD);
    CHECK_INT(payload.len, 65535);
    CHECK_INT(chunked.verified, 0);
    in = slice_from(buf_all(&body), 88 + 65535);
    CHECK_INT(aws_chunked_next(&chunked, &in, &payload), AWS_CHUNKED_PAYLOAD);
    CHECK_INT(payload.len, 1);
    CHECK_INT(chunked.verified, 65536);
}

/* One byte of the body changed, at `at` from its start or, if negative, from its end. */
static enum s3_error with_byte(long at)
{
    size_t place = at < 0 ? body.len - (size_t)-at : (size_t)at;
    enum s3_error error;

    begin(verdict.payload, 66560,
          verdict.payload == SIGV4_PAYLOAD_CHUNKS_TRAILER ? "x-amz-checksum-crc32c" : "");
    body.at[place] ^= 1;
    error = end_of(buf_all(&body), 4096);
    body.at[place] ^= 1;
    return error;
}

static void a_byte_that_changed_is_noticed(void)
{
    verify(PUT_CHUNKS);
    published_chunks();
    CHECK_INT(with_byte(40), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK(got.len < 65536 && chunked.verified == 0); /* the end of a wrong chunk is not given */
    CHECK_INT(with_byte(100), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(with_byte(88 + 65536 + 2 + 30), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(with_byte(88 + 65536 + 2 + 100), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(with_byte(-10), S3_SIGNATURE_DOES_NOT_MATCH);
    verify(PUT_TRAILERS);
    published_trailers("\r\n");
    CHECK_INT(with_byte(-10), S3_SIGNATURE_DOES_NOT_MATCH);
    CHECK_INT(with_byte(-4 - 64 - 24 - 2 - 8), S3_SIGNATURE_DOES_NOT_MATCH);
}

static void every_prefix_is_not_whole(void)
{
    verify(PUT_TRAILERS);
    published_trailers("\r\n");
    for (size_t len = 0; len<body.len; len += len> 200 && len < 65000 ? 977 : 1) {
        begin(SIGV4_PAYLOAD_CHUNKS_TRAILER, 66560, "x-amz-checksum-crc32c");
        CHECK_INT(end_of(slice_of(body.at, len), 1 << 20), S3_INCOMPLETE_BODY);
    }
}

/* --- Not signed ------------------------------------------------------------------------------- */

static enum s3_error unsigned_body(const char *text, uint64_t length, const char *trailer)
{
    enum s3_error error = S3_NONE;

    for (size_t piece = 1; piece < 40; piece += 3) {
        enum s3_error again;

        begin(SIGV4_PAYLOAD_UNSIGNED_TRAILER, length, trailer);
        again = end_of(slice_text(text), piece);
        CHECK(piece == 1 || again == error);
        error = again;
    }
    return error;
}

#define CRC32 "x-amz-checksum-crc32"

static void trailers_that_are_not_signed_are_compared(void)
{
    CHECK_INT(
        unsigned_body("5\r\nHello\r\n7\r\n world!\r\n0\r\n" CRC32 ":G4UZlQ==\r\n\r\n", 12, CRC32),
        S3_NONE);
    CHECK_BYTES(buf_all(&got), bytes("Hello world!"));
    CHECK_INT(unsigned_body("c\r\nHello world!\r\n0\r\nX-Amz-Checksum-CRC32: G4UZlQ== \r\n\r\n", 12,
                            "X-Amz-Checksum-Crc32"),
              S3_NONE);
    CHECK_INT(
        unsigned_body("C\r\nHello world!\r\n0\r\n" CRC32 ":G4UZlQ==\n\r\n\r\n", UINT64_MAX, CRC32),
        S3_NONE);
    CHECK_INT(unsigned_body("c\r\nHello World!\r\n0\r\n" CRC32 ":G4UZlQ==\r\n\r\n", 12, CRC32),
              S3_BAD_DIGEST);
    CHECK_INT(unsigned_body("0\r\n\r\n", 0, ""), S3_NONE);
    CHECK_INT(unsigned_body("0\r\n" CRC32 ":AAAAAA==\r\nx-amz-checksum-sha1:"
                            "2jmj7l5rSw0yVb/vlWAYkK/YBwk=\r\n\r\n",
                            0, CRC32 ", x-amz-checksum-sha1"),
              S3_NONE);
}

static void trailers_must_be_those_that_were_announced(void)
{
    CHECK_INT(unsigned_body("0\r\n\r\n", 0, CRC32), S3_MALFORMED_TRAILER_ERROR);
    CHECK_INT(unsigned_body("0\r\n" CRC32 ":AAAAAA==\r\n\r\n", 0, ""), S3_MALFORMED_TRAILER_ERROR);
    CHECK_INT(unsigned_body("0\r\n" CRC32 ":AAAAAA==\r\n" CRC32 ":AAAAAA==\r\n\r\n", 0, CRC32),
              S3_MALFORMED_TRAILER_ERROR);
    CHECK_INT(unsigned_body("0\r\nx-amz-checksum-crc32c:AAAAAA==\r\n\r\n", 0, CRC32),
              S3_MALFORMED_TRAILER_ERROR);
    CHECK_INT(unsigned_body("0\r\n" CRC32 "\r\n\r\n", 0, CRC32), S3_MALFORMED_TRAILER_ERROR);
    CHECK_INT(unsigned_body("0\r\n" CRC32 ":AAAA\r\n\r\n", 0, CRC32), S3_INVALID_REQUEST);
    CHECK_INT(unsigned_body("0\r\nx-amz-trailer-signature:" LAST "\r\n\r\n", 0, ""),
              S3_MALFORMED_TRAILER_ERROR);
}

static void lengths_must_be_those_that_were_said(void)
{
    CHECK_INT(unsigned_body("5\r\nHello\r\n0\r\n\r\n", 6, ""), S3_INCOMPLETE_BODY);
    CHECK_INT(unsigned_body("5\r\nHello\r\n0\r\n\r\n", 4, ""), S3_INCOMPLETE_BODY);
    CHECK_INT(unsigned_body("5\r\nHello\r\n5\r\nHello\r\n0\r\n\r\n", 9, ""), S3_INCOMPLETE_BODY);
    CHECK_INT(unsigned_body("7fffffffffffffff\r\n", UINT64_MAX, ""), S3_INCOMPLETE_BODY);
    CHECK_TEXT(s3_fault_message(&chunked.fault), s3_error_message(S3_INCOMPLETE_BODY));
    CHECK_INT(unsigned_body("ffffffffffffffff\r\n", UINT64_MAX, ""), S3_INCOMPLETE_BODY);
    CHECK(chunked.fault.message != NULL);
    CHECK_INT(unsigned_body("1\r\na\r\n7fffffffffffffff\r\n", UINT64_MAX, ""), S3_INCOMPLETE_BODY);
    CHECK(chunked.fault.message != NULL);
    CHECK_INT(unsigned_body("10000000000000000\r\n", UINT64_MAX, ""), S3_INVALID_REQUEST);
}

static void framing_is_read_strictly(void)
{
    static const char *const wrong[] = {
        "5\nHello\r\n0\r\n\r\n",     "5 \r\nHello\r\n0\r\n\r\n",
        " 5\r\nHello\r\n0\r\n\r\n",  "+5\r\nHello\r\n0\r\n\r\n",
        "0x5\r\nHello\r\n0\r\n\r\n", "-1\r\nHello\r\n0\r\n\r\n",
        "\r\nHello\r\n0\r\n\r\n",    "5;a=b\r\nHello\r\n0\r\n\r\n",
        "5\r\nHello0\r\n\r\n\r\n",   "5\r\nHello\n0\r\n\r\n",
        "5\r\nHello \r\n0\r\n\r\n",  ("5;chunk-signature=" LAST "\r\nHello\r\n0\r\n\r\n"),
    };
    char line[AWS_CHUNKED_LINE_MOST + 8];

    for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
        CHECK_INT(unsigned_body(wrong[i], 5, ""), S3_INVALID_REQUEST);
    memset(line, '0', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    CHECK_INT(unsigned_body(line, 5, ""), S3_INVALID_REQUEST);
    verify(PUT_CHUNKS);
    begin(SIGV4_PAYLOAD_CHUNKS, 5, "");
    CHECK_INT(end_of(bytes("5\r\nHello\r\n"), 100), S3_INVALID_REQUEST);
    begin(SIGV4_PAYLOAD_CHUNKS, 5, "");
    CHECK_INT(end_of(bytes("5;chunk-signature=abc\r\nHello\r\n"), 100), S3_INVALID_REQUEST);
}

static void what_follows_is_left(void)
{
    struct slice in = bytes("1\r\na\r\n0\r\n\r\nPUT"), payload;

    begin(SIGV4_PAYLOAD_UNSIGNED_TRAILER, 1, "");
    CHECK_INT(aws_chunked_next(&chunked, &in, &payload), AWS_CHUNKED_PAYLOAD);
    CHECK_INT(aws_chunked_next(&chunked, &in, &payload), AWS_CHUNKED_END);
    CHECK_BYTES(in, bytes("PUT"));
    CHECK_INT(aws_chunked_next(&chunked, &in, &payload), AWS_CHUNKED_END);
    CHECK_BYTES(in, bytes("PUT"));
}

static void announcements_that_cannot_be_kept_are_refused(void)
{
    struct aws_chunked_head head = { .payload = SIGV4_PAYLOAD_UNSIGNED_TRAILER,
                                     .trailer = slice_text("x-amz-meta-a") };

    CHECK_INT(aws_chunked_init(&chunked, &head, &sums), S3_INVALID_REQUEST);
    head.trailer = slice_text("content-md5");
    CHECK_INT(aws_chunked_init(&chunked, &head, &sums), S3_INVALID_REQUEST);
    verify(PUT_CHUNKS);
    head = (struct aws_chunked_head){ .payload = SIGV4_PAYLOAD_CHUNKS,
                                      .seed = &verdict.seed,
                                      .trailer = slice_text(CRC32) };
    CHECK_INT(aws_chunked_init(&chunked, &head, &sums), S3_INVALID_REQUEST);
}

static void what_is_written_is_read(void)
{
    struct http1_field trailer = { .name = bytes(CRC32), .value = bytes("G4UZlQ==") };
    struct aws_chunked_writer w = { 0 };
    struct sigv4_seed seed;

    verify(PUT_CHUNKS);
    for (int is_signed = 0; is_signed < 2; is_signed++) {
        seed = verdict.seed;
        w.seed = is_signed ? &seed : NULL;
        buf_clear(&body);
        aws_chunked_write(&w, bytes("Hello"), &body);
        aws_chunked_write(&w, bytes(" world!"), &body);
        aws_chunked_write_end(&w, &trailer, 1, &body);
        begin(is_signed ? SIGV4_PAYLOAD_CHUNKS_TRAILER : SIGV4_PAYLOAD_UNSIGNED_TRAILER, 12, CRC32);
        CHECK_INT(end_of(buf_all(&body), 5), S3_NONE);
        CHECK_BYTES(buf_all(&got), bytes("Hello world!"));
    }
}

static void the_published_chunks_are_written_as_published(void)
{
    struct sigv4_seed seed;
    struct aws_chunked_writer w = { .seed = &seed };
    struct buf written = { 0 };

    verify(PUT_CHUNKS);
    published_chunks();
    seed = verdict.seed;
    aws_chunked_write(&w, slice_of(body.at + 88, 65536), &written);
    aws_chunked_write(&w, slice_of(body.at + 88, 1024), &written);
    aws_chunked_write_end(&w, NULL, 0, &written);
    CHECK_BYTES(buf_all(&written), buf_all(&body));
    buf_fini(&written);
}

int main(void)
{
    RUN(published_chunks_are_verified_in_any_pieces);
    RUN(published_trailers_are_verified);
    RUN(what_is_verified_ends_with_a_chunk);
    RUN(a_byte_that_changed_is_noticed);
    RUN(every_prefix_is_not_whole);
    RUN(trailers_that_are_not_signed_are_compared);
    RUN(trailers_must_be_those_that_were_announced);
    RUN(lengths_must_be_those_that_were_said);
    RUN(framing_is_read_strictly);
    RUN(what_follows_is_left);
    RUN(announcements_that_cannot_be_kept_are_refused);
    RUN(what_is_written_is_read);
    RUN(the_published_chunks_are_written_as_published);
    buf_fini(&body);
    buf_fini(&got);
    forget_all();
    return check_report();
}
