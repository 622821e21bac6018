/* Checksums of objects that were put in parts, from those of the parts, without their bytes.
 *
 *     struct checksum_parts parts;
 *     if (checksum_parts_begin(&parts, CHECKSUM_CRC32, is_composite)) ...
 *     TRY(checksum_parts_add(&parts, slice_text("y9ThSQ=="), length));     each, in their order
 *     len = checksum_parts_end(&parts, text);
 *
 * S3 has two types: COMPOSITE, the checksum of the parts' checksums, with "-" and their number
 * behind it; and FULL_OBJECT, of all bytes, which CRCs alone allow. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/wire/checksum.h"

enum { CHECKSUM_PARTS_TEXT_MOST = CHECKSUM_TEXT_MOST + 12 };

struct checksum_parts {
    enum checksum kind;
    bool is_composite;
    unsigned count;
    uint64_t crc;
    struct checksum_set set;
};

/* Which of the types, where an empty one is the kind's default; false: there is no such
 * checksum. */
bool checksum_parts_type(enum checksum kind, struct slice type, bool *is_composite) MUST_CHECK;
/* False: there is no such checksum. */
bool checksum_parts_begin(struct checksum_parts *p, enum checksum kind, bool is_composite)
    MUST_CHECK;
/* ERR_SYNTAX: it is none of that kind. */
enum err checksum_parts_add(struct checksum_parts *p, struct slice text, uint64_t len) MUST_CHECK;
/* As S3 writes it, not terminated, and how long that is. */
size_t checksum_parts_end(struct checksum_parts *p, char text[CHECKSUM_PARTS_TEXT_MOST]);

/* The CRC of two pieces one behind the other, from those of each; `len` is the second's. */
uint64_t checksum_crc_join(enum checksum kind, uint64_t first, uint64_t second, uint64_t len);
