/* See checksum.h. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "proxy/wire/checksum.h"

#include <isa-l/crc.h>

#include "proxy/wire/crc64nvme.h"

/* What ISA-L takes at once: its lengths are int. */
enum { PIECE = 1 << 30 };

static const struct {
    const char *name, *spoken; /* spoken: in messages */
    uint8_t bytes;
} KINDS[CHECKSUMS] = {
    [CHECKSUM_CRC32] = { "crc32", "CRC32", 4 },
    [CHECKSUM_CRC32C] = { "crc32c", "CRC32C", 4 },
    [CHECKSUM_CRC64NVME] = { "crc64nvme", "CRC64NVME", 8 },
    [CHECKSUM_SHA1] = { "sha1", "SHA1", SHA_DIGEST_LENGTH },
    [CHECKSUM_SHA256] = { "sha256", "SHA256", DIGEST_SHA256_BYTES },
    [CHECKSUM_MD5] = { "md5", "Content-MD5", MD5_DIGEST_LENGTH },
    [CHECKSUM_PAYLOAD] = { "sha256", "x-amz-content-sha256", DIGEST_SHA256_BYTES },
};

uint32_t checksum_crc32(uint32_t before, struct slice bytes)
{
    for (; bytes.len > PIECE; bytes = slice_from(bytes, PIECE))
        before = crc32_gzip_refl(before, bytes.at, PIECE);
    return crc32_gzip_refl(before, bytes.at, bytes.len);
}

/* ISA-L declares what it only reads as if it wrote it. */
uint32_t checksum_crc32c(uint32_t before, struct slice bytes)
{
    for (; bytes.len > PIECE; bytes = slice_from(bytes, PIECE))
        before = ~crc32_iscsi((unsigned char *)bytes.at, PIECE, ~before);
    return ~crc32_iscsi((unsigned char *)bytes.at, (int)bytes.len, ~before);
}

const char *checksum_name(enum checksum kind)
{
    return KINDS[kind].name;
}

size_t checksum_bytes(enum checksum kind)
{
    return KINDS[kind].bytes;
}

enum checksum checksum_of_algorithm(struct slice algorithm)
{
    for (size_t kind = CHECKSUM_CRC32; kind <= CHECKSUM_SHA256; kind++) {
        if (slice_is_word(algorithm, KINDS[kind].name))
            return (enum checksum)kind;
    }
    return CHECKSUMS;
}

enum checksum checksum_of_field(struct slice name)
{
    static const char start[] = "x-amz-checksum-";
    size_t len = sizeof(start) - 1;

    if (slice_is_word(name, "content-md5"))
        return CHECKSUM_MD5;
    if (name.len <= len || !slice_is_word(slice_of(name.at, len), start))
        return CHECKSUMS;
    return checksum_of_algorithm(slice_from(name, len));
}

static bool is_in(unsigned set, enum checksum kind)
{
    return set >> kind & 1;
}

static bool wants_sha256(const struct checksum_set *s)
{
    return is_in(s->wanted, CHECKSUM_SHA256) || is_in(s->wanted, CHECKSUM_PAYLOAD);
}

static void want_sha256(struct checksum_set *s)
{
    if (!wants_sha256(s))
        sha256_stream_init(&s->sha256);
}

void checksum_set_want(struct checksum_set *s, enum checksum kind)
{
    if (is_in(s->wanted, kind))
        return;
    switch (kind) {
    case CHECKSUM_SHA1:
        SHA1_Init(&s->sha1);
        break;
    case CHECKSUM_MD5:
        MD5_Init(&s->md5);
        break;
    case CHECKSUM_SHA256:
    case CHECKSUM_PAYLOAD:
        want_sha256(s);
        break;
    case CHECKSUM_CRC32:
    case CHECKSUM_CRC32C:
    case CHECKSUM_CRC64NVME:
    case CHECKSUMS:
        break;
    }
    s->wanted |= (uint16_t)(1U << kind);
}

static bool decode(enum checksum kind, struct slice value, uint8_t out[CHECKSUM_BYTES_MOST])
{
    size_t len;

    if (kind == CHECKSUM_PAYLOAD)
        return digest_of_hex(value, out, DIGEST_SHA256_BYTES);
    return value.len <= BASE64_BYTES(CHECKSUM_BYTES_MOST) &&
           base64_decode(value, out, CHECKSUM_BYTES_MOST, &len) == ERR_NONE &&
           len == KINDS[kind].bytes;
}

enum s3_error checksum_set_declare(struct checksum_set *s, enum checksum kind, struct slice value,
                                   struct s3_fault *fault)
{
    uint8_t declared[CHECKSUM_BYTES_MOST];
    bool fits = decode(kind, value, declared);

    if (fits && is_in(s->declared, kind))
        fits = memcmp(declared, s->value[kind], KINDS[kind].bytes) == 0;
    if (!fits && kind == CHECKSUM_MD5) {
        s3_fault_say(fault, S3_INVALID_DIGEST, "The Content-MD5 you specified is not valid.");
        return fault->error;
    }
    if (!fits && kind == CHECKSUM_PAYLOAD) {
        s3_fault_say(fault, S3_INVALID_ARGUMENT,
                     "x-amz-content-sha256 must be a valid sha256 value.");
        return fault->error;
    }
    if (!fits) {
        s3_fault_say(fault, S3_INVALID_REQUEST, "Value for x-amz-checksum-%s header is invalid.",
                     KINDS[kind].name);
        return fault->error;
    }
    checksum_set_want(s, kind);
    s->declared |= (uint16_t)(1U << kind);
    memcpy(s->value[kind], declared, KINDS[kind].bytes);
    return S3_NONE;
}

/* All but SHA-256. */
static void add_others(struct checksum_set *s, struct slice bytes)
{
    if (is_in(s->wanted, CHECKSUM_CRC32))
        s->crc32 = checksum_crc32(s->crc32, bytes);
    if (is_in(s->wanted, CHECKSUM_CRC32C))
        s->crc32c = checksum_crc32c(s->crc32c, bytes);
    if (is_in(s->wanted, CHECKSUM_CRC64NVME))
        s->crc64nvme = crc64nvme_of(s->crc64nvme, bytes);
    if (is_in(s->wanted, CHECKSUM_SHA1))
        SHA1_Update(&s->sha1, bytes.at, bytes.len);
    if (is_in(s->wanted, CHECKSUM_MD5))
        MD5_Update(&s->md5, bytes.at, bytes.len);
}

void checksum_set_add(struct checksum_set *s, struct slice bytes)
{
    add_others(s, bytes);
    if (wants_sha256(s))
        sha256_stream_add(&s->sha256, bytes);
}

void checksum_set_take(struct checksum_set *s, struct sha256_pair *pair, size_t len)
{
    add_others(s, slice_of(sha256_pair_room(pair), len));
    if (wants_sha256(s))
        sha256_stream_took(&s->sha256, pair, len);
}

void checksum_set_forget(struct checksum_set *s)
{
    sha256_stream_leave(&s->sha256);
}

static void put_big_endian(uint64_t value, size_t bytes, uint8_t *out)
{
    while (bytes > 0) {
        out[--bytes] = (uint8_t)value;
        value >>= 8;
    }
}

/* What the body really has, once for each kind. */
static void compute(struct checksum_set *s, enum checksum kind, uint8_t out[CHECKSUM_BYTES_MOST])
{
    switch (kind) {
    case CHECKSUM_CRC32:
        put_big_endian(s->crc32, KINDS[kind].bytes, out);
        break;
    case CHECKSUM_CRC32C:
        put_big_endian(s->crc32c, KINDS[kind].bytes, out);
        break;
    case CHECKSUM_CRC64NVME:
        put_big_endian(s->crc64nvme, KINDS[kind].bytes, out);
        break;
    case CHECKSUM_SHA1:
        SHA1_Final(out, &s->sha1);
        break;
    case CHECKSUM_MD5:
        MD5_Final(out, &s->md5);
        break;
    case CHECKSUM_SHA256:
    case CHECKSUM_PAYLOAD:
        sha256_stream_tell(&s->sha256, out);
        break;
    case CHECKSUMS:
        break;
    }
}

static void set_fault(enum checksum kind, const uint8_t *declared, const uint8_t *found,
                      struct s3_fault *fault)
{
    char *text = fault->text;

    switch (kind) {
    case CHECKSUM_PAYLOAD:
        s3_fault_set(fault, S3_CONTENT_SHA256_MISMATCH);
        digest_hex(slice_of(declared, DIGEST_SHA256_BYTES), text);
        digest_hex(slice_of(found, DIGEST_SHA256_BYTES), text + DIGEST_SHA256_HEX);
        s3_fault_detail(fault, "ClientComputedContentSHA256", slice_of(text, DIGEST_SHA256_HEX));
        s3_fault_detail(fault, "S3ComputedContentSHA256",
                        slice_of(text + DIGEST_SHA256_HEX, DIGEST_SHA256_HEX));
        break;
    case CHECKSUM_MD5:
        s3_fault_say(fault, S3_BAD_DIGEST,
                     "The Content-MD5 you specified did not match what we received.");
        break;
    case CHECKSUM_CRC32:
    case CHECKSUM_CRC32C:
    case CHECKSUM_CRC64NVME:
    case CHECKSUM_SHA1:
    case CHECKSUM_SHA256:
    case CHECKSUMS:
        s3_fault_say(fault, S3_BAD_DIGEST,
                     "The %s you specified did not match the calculated checksum.",
                     KINDS[kind].spoken);
    }
}

enum s3_error checksum_set_end(struct checksum_set *s, struct s3_fault *fault)
{
    enum s3_error error = S3_NONE;

    for (size_t kind = 0; kind < CHECKSUMS; kind++) {
        uint8_t found[CHECKSUM_BYTES_MOST] = { 0 };

        if (!is_in(s->wanted, (enum checksum)kind))
            continue;
        compute(s, (enum checksum)kind, found);
        if (error == S3_NONE && is_in(s->declared, (enum checksum)kind) &&
            memcmp(found, s->value[kind], KINDS[kind].bytes) != 0) {
            set_fault((enum checksum)kind, s->value[kind], found, fault);
            error = fault->error;
        }
        memcpy(s->value[kind], found, sizeof(found));
    }
    return error;
}

size_t checksum_set_text(const struct checksum_set *s, enum checksum kind,
                         char text[CHECKSUM_TEXT_MOST])
{
    struct slice value = { s->value[kind], KINDS[kind].bytes };

    if (kind == CHECKSUM_PAYLOAD) {
        digest_hex(value, text);
        return DIGEST_SHA256_HEX;
    }
    base64_encode(value, text);
    return BASE64_BYTES(value.len);
}
