/* See aws_chunked.h.
 *
 *     HEAD ──> DATA ──> DATA_END ──> HEAD      a chunk: its head, its bytes, CR LF
 *      └─────> TRAILER ──> END                 the last one, of size 0: trailers, an empty line
 *
 * Lines are read where they lie; one that comes in pieces is put together in `line`.  A chunk's
 * signature is over its bytes, so it is checked behind them; that of the trailers is over their
 * lines, each ended by a line feed.  There are clients (minio-go) that send that line feed too,
 * before the line's CR LF: an empty line behind it ends nothing. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/aws_chunked.h"

#include <openssl/crypto.h>

#include "proxy/wire/sigv4_canonical.h"

enum { HEAD, DATA, DATA_END, TRAILER, END, BAD };

static const char MALFORMED[] = "The aws-chunked framing of the request's body is not valid.";

static enum aws_chunked_found bad(struct aws_chunked *c, enum s3_error error, const char *message)
{
    s3_fault_set(&c->fault, error);
    c->fault.message = message;
    c->step = BAD;
    return AWS_CHUNKED_BAD;
}

/* --- The head --------------------------------------------------------------------------------- */

static enum s3_error announce(struct aws_chunked *c, struct slice names)
{
    struct slice name;

    while (http1_element_next(&names, &name)) {
        enum checksum kind = checksum_of_field(name);

        if (kind == CHECKSUMS || kind == CHECKSUM_MD5) {
            bad(c, S3_INVALID_REQUEST,
                "The value specified in the x-amz-trailer header is not supported");
            return c->fault.error;
        }
        c->due |= (uint8_t)(1U << kind);
        checksum_set_want(c->sums, kind);
    }
    return S3_NONE;
}

enum s3_error aws_chunked_init(struct aws_chunked *c, const struct aws_chunked_head *head,
                               struct checksum_set *sums)
{
    memset(c, 0, sizeof(*c));
    c->sums = sums;
    c->is_signed = head->payload != SIGV4_PAYLOAD_UNSIGNED_TRAILER;
    c->has_trailer = head->payload != SIGV4_PAYLOAD_CHUNKS;
    c->length = head->decoded_length;
    if (c->is_signed)
        c->seed = *head->seed;
    if (!c->has_trailer && head->trailer.len > 0) {
        bad(c, S3_INVALID_REQUEST, "x-amz-trailer does not go with this x-amz-content-sha256.");
        return c->fault.error;
    }
    return announce(c, head->trailer);
}

void aws_chunked_fini(struct aws_chunked *c)
{
    OPENSSL_cleanse(&c->seed, sizeof(c->seed));
}

/* --- Lines ------------------------------------------------------------------------------------ */

/* The next line, with its CR LF: AWS_CHUNKED_PAYLOAD stands for "it is there". */
static enum aws_chunked_found take_line(struct aws_chunked *c, struct slice *in, struct slice *line)
{
    const uint8_t *end = in->len == 0 ? NULL : memchr(in->at, '\n', in->len);
    size_t len = end == NULL ? in->len : (size_t)(end - in->at) + 1;

    if (c->line_len + len > sizeof(c->line))
        return bad(c, S3_INVALID_REQUEST, MALFORMED);
    if (end == NULL || c->line_len > 0) {
        if (len > 0)
            memcpy(c->line + c->line_len, in->at, len);
        c->line_len += (uint16_t)len;
        *line = slice_of(c->line, c->line_len);
    } else {
        *line = slice_of(in->at, len);
    }
    *in = slice_from(*in, len);
    if (end == NULL)
        return AWS_CHUNKED_MORE;
    c->line_len = 0; /* the line stands till the next one is begun */
    return AWS_CHUNKED_PAYLOAD;
}

static bool cut_end(struct slice *line)
{
    if (line->len < 2 || line->at[line->len - 2] != '\r')
        return false;
    line->len -= 2;
    return true;
}

/* At most 16 digits, so it can't overflow. */
static bool take_size(struct slice *line, uint64_t *size)
{
    size_t digits = 0;

    *size = 0;
    for (; digits < line->len && digits < 16; digits++) {
        uint8_t byte = line->at[digits] | 0x20;

        if (byte >= '0' && byte <= '9')
            *size = *size << 4 | (uint64_t)(byte - '0');
        else if (byte >= 'a' && byte <= 'f')
            *size = *size << 4 | (uint64_t)(byte - 'a' + 10);
        else
            break;
    }
    *line = slice_from(*line, digits);
    return digits > 0;
}

/* --- Chunks ----------------------------------------------------------------------------------- */

static bool take_chunk_signature(struct aws_chunked *c, struct slice line)
{
    static const char name[] = ";chunk-signature=";

    if (!c->is_signed)
        return line.len == 0;
    if (line.len != sizeof(name) - 1 + DIGEST_SHA256_HEX || !slice_starts(line, slice_text(name)))
        return false;
    memcpy(c->signature, line.at + sizeof(name) - 1, DIGEST_SHA256_HEX);
    return true;
}

static enum aws_chunked_found check_signature(struct aws_chunked *c, const char *right,
                                              const uint8_t *said)
{
    if (CRYPTO_memcmp(right, said, DIGEST_SHA256_HEX) != 0)
        return bad(c, S3_SIGNATURE_DOES_NOT_MATCH, NULL);
    memcpy(c->seed.signature, right, DIGEST_SHA256_HEX);
    return AWS_CHUNKED_PAYLOAD;
}

/* Behind the chunk's bytes. */
static enum aws_chunked_found check_chunk(struct aws_chunked *c)
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    char right[DIGEST_SHA256_HEX];

    if (!c->is_signed)
        return AWS_CHUNKED_PAYLOAD;
    SHA256_Final(hash, &c->sha256);
    sigv4_string_sign_chunk(&c->seed, hash, right);
    if (check_signature(c, right, (const uint8_t *)c->signature) == AWS_CHUNKED_BAD)
        return AWS_CHUNKED_BAD;
    c->verified = c->given;
    return AWS_CHUNKED_PAYLOAD;
}

static enum aws_chunked_found begin_chunk(struct aws_chunked *c, struct slice line)
{
    uint64_t size;

    if (!cut_end(&line) || !take_size(&line, &size) || !take_chunk_signature(c, line))
        return bad(c, S3_INVALID_REQUEST, MALFORMED);
    if (size > (c->length == UINT64_MAX ? INT64_MAX : c->length) - c->given)
        return bad(c, S3_INCOMPLETE_BODY,
                   "The request's body is longer than x-amz-decoded-content-length says.");
    c->chunk_left = size;
    c->step = size > 0 ? DATA : TRAILER;
    SHA256_Init(&c->sha256);
    if (size > 0)
        return AWS_CHUNKED_PAYLOAD;
    if (c->length != UINT64_MAX && c->given != c->length)
        return bad(c, S3_INCOMPLETE_BODY,
                   "The request's body is shorter than x-amz-decoded-content-length says.");
    if (check_chunk(c) == AWS_CHUNKED_BAD)
        return AWS_CHUNKED_BAD;
    SHA256_Init(&c->sha256); /* of the trailers */
    return AWS_CHUNKED_PAYLOAD;
}

static enum aws_chunked_found take_data(struct aws_chunked *c, struct slice *in,
                                        struct slice *payload)
{
    size_t len = in->len < c->chunk_left ? in->len : (size_t)c->chunk_left;

    if (len == 0)
        return AWS_CHUNKED_MORE;
    *payload = slice_of(in->at, len);
    *in = slice_from(*in, len);
    c->chunk_left -= len;
    c->given += len;
    checksum_set_add(c->sums, *payload);
    if (c->is_signed)
        SHA256_Update(&c->sha256, payload->at, payload->len);
    if (c->chunk_left == 0)
        c->step = DATA_END;
    return c->chunk_left == 0 ? check_chunk(c) : AWS_CHUNKED_PAYLOAD;
}

static enum aws_chunked_found end_chunk(struct aws_chunked *c, struct slice line)
{
    if (!cut_end(&line) || line.len > 0)
        return bad(c, S3_INVALID_REQUEST, MALFORMED);
    c->step = HEAD;
    return AWS_CHUNKED_PAYLOAD;
}

/* --- Trailers --------------------------------------------------------------------------------- */

static enum aws_chunked_found bad_trailer(struct aws_chunked *c)
{
    return bad(c, S3_MALFORMED_TRAILER_ERROR, NULL);
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.at[0] == ' ' || s.at[0] == '\t'))
        s = slice_from(s, 1);
    while (s.len > 0 && (s.at[s.len - 1] == ' ' || s.at[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static void hash_trailer(struct aws_chunked *c, enum checksum kind, struct slice value)
{
    static const char start[] = "x-amz-checksum-";

    SHA256_Update(&c->sha256, start, sizeof(start) - 1);
    SHA256_Update(&c->sha256, checksum_name(kind), strlen(checksum_name(kind)));
    SHA256_Update(&c->sha256, ":", 1);
    SHA256_Update(&c->sha256, value.at, value.len);
    SHA256_Update(&c->sha256, "\n", 1);
}

static enum aws_chunked_found take_checksum(struct aws_chunked *c, struct slice name,
                                            struct slice value)
{
    enum checksum kind = checksum_of_field(name);

    if (kind == CHECKSUMS || !(c->due >> kind & 1))
        return bad_trailer(c);
    c->due &= (uint8_t) ~(1U << kind);
    if (c->is_signed)
        hash_trailer(c, kind, value);
    if (checksum_set_declare(c->sums, kind, value, &c->fault) != S3_NONE) {
        c->step = BAD;
        return AWS_CHUNKED_BAD;
    }
    return AWS_CHUNKED_PAYLOAD;
}

/* Behind the trailers that it is for. */
static enum aws_chunked_found take_trailer_signature(struct aws_chunked *c, struct slice value)
{
    uint8_t hash[DIGEST_SHA256_BYTES];
    char right[DIGEST_SHA256_HEX];

    if (!c->is_signed || c->has_trailer_signature || value.len != DIGEST_SHA256_HEX)
        return bad_trailer(c);
    c->has_trailer_signature = true;
    SHA256_Final(hash, &c->sha256);
    sigv4_string_sign_trailers(&c->seed, hash, right);
    return check_signature(c, right, value.at);
}

static enum aws_chunked_found end(struct aws_chunked *c)
{
    if (c->due != 0 || (c->is_signed && c->has_trailer && !c->has_trailer_signature))
        return bad_trailer(c);
    if (checksum_set_end(c->sums, &c->fault) != S3_NONE) {
        c->step = BAD;
        return AWS_CHUNKED_BAD;
    }
    c->verified = c->given;
    c->step = END;
    return AWS_CHUNKED_END;
}

static enum aws_chunked_found take_trailer(struct aws_chunked *c, struct slice line)
{
    bool is_bare = !cut_end(&line);
    const uint8_t *colon;
    struct slice name;

    if (is_bare)
        line.len--;
    if (line.len == 0 && !is_bare) {
        if (!c->was_bare)
            return end(c);
        c->was_bare = false;
        return AWS_CHUNKED_PAYLOAD;
    }
    colon = line.len == 0 ? NULL : memchr(line.at, ':', line.len);
    if (colon == NULL || !c->has_trailer || c->has_trailer_signature)
        return bad_trailer(c);
    c->was_bare = is_bare;
    name = slice_of(line.at, (size_t)(colon - line.at));
    line = trimmed(slice_from(line, name.len + 1));
    return slice_is_word(name, "x-amz-trailer-signature") ? take_trailer_signature(c, line)
                                                          : take_checksum(c, name, line);
}

/* --- The whole -------------------------------------------------------------------------------- */

static enum aws_chunked_found take_step(struct aws_chunked *c, struct slice *in)
{
    struct slice line;
    enum aws_chunked_found found = take_line(c, in, &line);

    if (found != AWS_CHUNKED_PAYLOAD)
        return found;
    if (c->step == HEAD)
        return begin_chunk(c, line);
    return c->step == DATA_END ? end_chunk(c, line) : take_trailer(c, line);
}

enum aws_chunked_found aws_chunked_next(struct aws_chunked *c, struct slice *in,
                                        struct slice *payload)
{
    enum aws_chunked_found found = AWS_CHUNKED_PAYLOAD;

    while (found == AWS_CHUNKED_PAYLOAD) {
        if (c->step == DATA)
            return take_data(c, in, payload);
        if (c->step == END || c->step == BAD)
            return c->step == END ? AWS_CHUNKED_END : AWS_CHUNKED_BAD;
        found = take_step(c, in);
    }
    return found;
}

enum s3_error aws_chunked_cut(struct aws_chunked *c)
{
    if (c->step != BAD)
        bad(c, S3_INCOMPLETE_BODY, NULL);
    return c->fault.error;
}
