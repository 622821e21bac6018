/* Any bytes as a body in aws-chunked: in one piece and in pieces it has the same payload, the same
 * end and the same left over.  Bodies that we signed are changed in one byte, which must be noticed
 * unless it changes nothing. */
#include <stdlib.h>

#include "proxy/wire/aws_chunked.h"
#include "tests/unit/proxy/wire/aws_chunked_writer.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

struct outcome {
    enum aws_chunked_found found;
    enum s3_error error;
    struct buf payload;
    size_t left;
};

static void must(bool condition)
{
    if (!condition)
        abort();
}

static void make_seed(struct sigv4_seed *seed)
{
    static const char scope[] = "20130524/us-east-1/s3/aws4_request";

    memset(seed, 0, sizeof(*seed));
    hmac_sha256_begin(&seed->key, slice_text("a key"));
    memcpy(seed->time, "20130524T000000Z", SIGV4_TIME);
    seed->scope_len = sizeof(scope) - 1;
    memcpy(seed->scope, scope, sizeof(scope) - 1);
    memset(seed->signature, '0', sizeof(seed->signature));
}

/* In pieces of up to `most` bytes, each in memory of its own. */
static void decode(const struct aws_chunked_head *head, struct slice in, size_t most,
                   struct outcome *out)
{
    struct checksum_set sums = { 0 };
    struct aws_chunked c;

    *out = (struct outcome){ .found = AWS_CHUNKED_MORE };
    if (aws_chunked_init(&c, head, &sums) != S3_NONE) {
        out->found = AWS_CHUNKED_BAD;
        out->error = c.fault.error;
        return;
    }
    while (in.len > 0 && out->found == AWS_CHUNKED_MORE) {
        size_t len = in.len < most ? in.len : most;
        uint8_t *own = malloc(len);
        struct slice piece = slice_of(own, len), payload;

        memcpy(own, in.at, len);
        in = slice_from(in, len);
        while ((out->found = aws_chunked_next(&c, &piece, &payload)) == AWS_CHUNKED_PAYLOAD) {
            must(payload.len > 0 && payload.at >= own && payload.at + payload.len <= own + len);
            buf_slice(&out->payload, payload);
            must(c.given == out->payload.len && c.verified <= c.given);
        }
        must(out->found != AWS_CHUNKED_MORE || piece.len == 0);
        out->left = piece.len + in.len;
        free(own);
    }
    if (out->found == AWS_CHUNKED_MORE)
        must(aws_chunked_cut(&c) == S3_INCOMPLETE_BODY);
    if (out->found == AWS_CHUNKED_BAD)
        out->error = c.fault.error;
    if (out->found == AWS_CHUNKED_END)
        must(c.verified == c.given &&
             (head->decoded_length == UINT64_MAX || c.given == head->decoded_length));
    aws_chunked_fini(&c);
}

/* The payload before a fault depends on where pieces end; nothing else does. */
static void decode_in_all_ways(const struct aws_chunked_head *head, struct slice in,
                               struct outcome *whole)
{
    static const size_t most[] = { 1, 2, 7, 100 };

    decode(head, in, SIZE_MAX, whole);
    for (size_t i = 0; i < sizeof(most) / sizeof(*most); i++) {
        struct outcome o;

        decode(head, in, most[i], &o);
        must(o.found == whole->found && o.error == whole->error);
        if (o.found == AWS_CHUNKED_END)
            must(o.left == whole->left);
        if (o.found != AWS_CHUNKED_BAD)
            must(slice_is(buf_all(&o.payload), buf_all(&whole->payload)));
        buf_fini(&o.payload);
    }
}

static void as_it_came(uint8_t how, struct slice in)
{
    static const char *const trailers[] = { "", "x-amz-checksum-crc32", "x-amz-checksum-sha256",
                                            "x-amz-checksum-crc64nvme, x-amz-checksum-sha1" };
    struct sigv4_seed seed;
    struct outcome whole;
    struct aws_chunked_head head = {
        .payload = SIGV4_PAYLOAD_CHUNKS + how % 3,
        .seed = &seed,
        .decoded_length = how & 64 ? in.len / 2 : UINT64_MAX,
        .trailer = slice_text(trailers[how / 3 % 4]),
    };

    make_seed(&seed);
    decode_in_all_ways(&head, in, &whole);
    buf_fini(&whole.payload);
}

/* As `sizes` says, in chunks of up to 255 bytes. */
static void write_body(struct aws_chunked_writer *w, struct slice plain, bool has_trailer,
                       struct buf *out)
{
    struct http1_field trailer = { .name = slice_text("x-amz-checksum-crc32") };
    struct checksum_set sums = { 0 };
    char text[CHECKSUM_TEXT_MOST];
    struct s3_fault fault;
    struct slice rest = plain;

    checksum_set_want(&sums, CHECKSUM_CRC32);
    checksum_set_add(&sums, plain);
    must(checksum_set_end(&sums, &fault) == S3_NONE);
    trailer.value = slice_of(text, checksum_set_text(&sums, CHECKSUM_CRC32, text));
    while (rest.len > 0) {
        size_t len = rest.at[0] == 0 || rest.at[0] > rest.len ? rest.len : rest.at[0];

        aws_chunked_write(w, slice_of(rest.at, len), out);
        rest = slice_from(rest, len);
    }
    aws_chunked_write_end(w, &trailer, has_trailer, out);
}

static void as_we_sign(uint8_t how, size_t place, struct slice plain)
{
    bool has_trailer = how & 16;
    struct sigv4_seed seed, first;
    struct aws_chunked_writer w = { .seed = &seed };
    struct outcome whole;
    struct buf body = { 0 };
    struct aws_chunked_head head = {
        .payload = has_trailer ? SIGV4_PAYLOAD_CHUNKS_TRAILER : SIGV4_PAYLOAD_CHUNKS,
        .seed = &first,
        .decoded_length = how & 32 ? plain.len : UINT64_MAX,
        .trailer = slice_text(has_trailer ? "x-amz-checksum-crc32" : ""),
    };

    make_seed(&seed);
    first = seed;
    write_body(&w, plain, has_trailer, &body);
    decode_in_all_ways(&head, buf_all(&body), &whole);
    must(whole.found == AWS_CHUNKED_END && whole.left == 0);
    must(slice_is(buf_all(&whole.payload), plain));
    buf_fini(&whole.payload);
    body.at[place % body.len] ^= how == 0 ? 0x20 : how; /* a letter's case matters in a size only */
    decode_in_all_ways(&head, buf_all(&body), &whole);
    if (whole.found == AWS_CHUNKED_END)
        must(slice_is(buf_all(&whole.payload), plain));
    buf_fini(&whole.payload);
    buf_fini(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    if (size < 3)
        return 0;
    if (at[0] & 128)
        as_we_sign(at[0] & 127, (size_t)at[1] << 8 | at[2], slice_of(at + 3, size - 3));
    else
        as_it_came(at[0], slice_of(at + 1, size - 1));
    return 0;
}
