/* Checksums of bodies: x-amz-checksum-*, Content-MD5, x-amz-content-sha256.  States are plain
 * structs; nothing allocates.
 *
 * A checksum set holds what a request declares of its body, and computes just that:
 *
 *     struct checksum_set sums = { 0 };
 *     checksum_set_declare(&sums, CHECKSUM_CRC32, value);     from fields: x-amz-checksum-crc32
 *     checksum_set_want(&sums, CHECKSUM_CRC32C);              its value comes in a trailer
 *     checksum_set_add(&sums, piece);                         each piece of the body
 *     checksum_set_declare(&sums, CHECKSUM_CRC32C, value);    the trailer came
 *     error = checksum_set_end(&sums, &fault);                S3_NONE: all that was declared fits
 *     checksum_set_text(&sums, CHECKSUM_CRC32, text);         what it really is, in base64 */
#pragma once

#include <openssl/md5.h>
#include <openssl/sha.h>

#include "proxy/wire/base64.h"
#include "proxy/wire/digest.h"
#include "proxy/wire/s3_error.h"
#include "proxy/wire/sha256_pair.h"

enum {
    CHECKSUM_BYTES_MOST = 32,
    CHECKSUM_TEXT_MOST = DIGEST_SHA256_HEX,
};

/* Each goes on from an earlier value; 0 at first.  The third is in crc64nvme.h. */
uint32_t checksum_crc32(uint32_t before, struct slice bytes);
uint32_t checksum_crc32c(uint32_t before, struct slice bytes);

/* The first six are x-amz-checksum-NAME, in base64; then Content-MD5, in base64; then
 * x-amz-content-sha256, in hexadecimal letters. */
enum checksum {
    CHECKSUM_CRC32,
    CHECKSUM_CRC32C,
    CHECKSUM_CRC64NVME,
    CHECKSUM_SHA1,
    CHECKSUM_SHA256,
    CHECKSUM_MD5,
    CHECKSUM_PAYLOAD,
    CHECKSUMS,
};

/* "crc32" of "x-amz-checksum-crc32"; of the last two "md5" and "sha256". */
const char *checksum_name(enum checksum kind);
size_t checksum_bytes(enum checksum kind);
/* By a field's whole name, without case: x-amz-checksum-*, content-md5; CHECKSUMS: it is none. */
enum checksum checksum_of_field(struct slice name);
/* By the value of x-amz-checksum-algorithm or x-amz-sdk-checksum-algorithm, without case. */
enum checksum checksum_of_algorithm(struct slice algorithm);

struct checksum_set {
    uint16_t wanted, declared; /* 1 << enum checksum */
    uint32_t crc32, crc32c;
    uint64_t crc64nvme;
    struct sha256_stream sha256;
    SHA_CTX sha1;
    MD5_CTX md5;
    uint8_t value[CHECKSUMS][CHECKSUM_BYTES_MOST]; /* as declared; after the end, as it is */
};

/* Before the first byte. */
void checksum_set_want(struct checksum_set *s, enum checksum kind);
/* Wants it too, so a kind that was not wanted must be declared before the first byte.  Not for what
 * CompleteMultipartUpload declares: that is about the object, not about the request's body.
 * S3_INVALID_DIGEST, S3_INVALID_REQUEST: the value is not of this kind, or another one was declared
 * before. */
enum s3_error checksum_set_declare(struct checksum_set *s, enum checksum kind, struct slice value,
                                   struct s3_fault *fault) MUST_CHECK;
void checksum_set_add(struct checksum_set *s, struct slice bytes);
/* What lies in the pair's room; SHA-256 of it is computed later, with a piece of another set.  Then
 * the set must be ended, or forgotten, before it goes. */
void checksum_set_take(struct checksum_set *s, struct sha256_pair *pair, size_t len);
void checksum_set_forget(struct checksum_set *s);
/* Once, behind the last byte.  S3_BAD_DIGEST, S3_CONTENT_SHA256_MISMATCH.  What was wanted and
 * never declared is computed, no more. */
enum s3_error checksum_set_end(struct checksum_set *s, struct s3_fault *fault) MUST_CHECK;
/* After the end: as S3 writes it, and how long that is. */
size_t checksum_set_text(const struct checksum_set *s, enum checksum kind,
                         char text[CHECKSUM_TEXT_MOST]);
