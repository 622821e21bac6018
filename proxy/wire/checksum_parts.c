/* See checksum_parts.h.  A CRC is a remainder of polynomials over GF(2): what stands before `len`
 * bytes is multiplied by x^(8 len).  Bits are reflected: the highest stands for x^0. */
#include "proxy/wire/checksum_parts.h"

#include <stdio.h>

static const struct {
    uint64_t polynomial; /* without its highest power */
    unsigned bits;       /* 0: it is no CRC */
} CRCS[CHECKSUMS] = {
    [CHECKSUM_CRC32] = { 0xedb88320, 32 },
    [CHECKSUM_CRC32C] = { 0x82f63b78, 32 },
    [CHECKSUM_CRC64NVME] = { 0x9a6c9329ac4bc9b5, 64 },
};

static uint64_t one(enum checksum kind)
{
    return 1ULL << (CRCS[kind].bits - 1);
}

static uint64_t times_x(enum checksum kind, uint64_t a)
{
    return a & 1 ? a >> 1 ^ CRCS[kind].polynomial : a >> 1;
}

static uint64_t product(enum checksum kind, uint64_t a, uint64_t b)
{
    uint64_t sum = 0;

    for (uint64_t bit = one(kind); bit != 0; bit >>= 1) {
        if (a & bit)
            sum ^= b;
        b = times_x(kind, b);
    }
    return sum;
}

uint64_t checksum_crc_join(enum checksum kind, uint64_t first, uint64_t second, uint64_t len)
{
    uint64_t power = one(kind) >> 8; /* x^8: of one byte */

    for (; len > 0; len >>= 1) {
        if (len & 1)
            first = product(kind, power, first);
        power = product(kind, power, power);
    }
    return first ^ second;
}

bool checksum_parts_type(enum checksum kind, struct slice type, bool *is_composite)
{
    bool composite = slice_is_text(type, "COMPOSITE"), full = slice_is_text(type, "FULL_OBJECT");

    if (kind > CHECKSUM_SHA256 || (type.len > 0 && !composite && !full))
        return false;
    if (type.len == 0)
        composite = kind != CHECKSUM_CRC64NVME;
    *is_composite = composite;
    return composite ? kind != CHECKSUM_CRC64NVME : CRCS[kind].bits != 0;
}

bool checksum_parts_begin(struct checksum_parts *p, enum checksum kind, bool is_composite)
{
    if (kind > CHECKSUM_SHA256 || (!is_composite && CRCS[kind].bits == 0))
        return false;
    *p = (struct checksum_parts){ .kind = kind, .is_composite = is_composite };
    checksum_set_want(&p->set, kind);
    return true;
}

static uint64_t big_endian(const uint8_t *at, size_t len)
{
    uint64_t value = 0;

    for (size_t i = 0; i < len; i++)
        value = value << 8 | at[i];
    return value;
}

enum err checksum_parts_add(struct checksum_parts *p, struct slice text, uint64_t len)
{
    uint8_t value[CHECKSUM_BYTES_MOST];
    size_t bytes = 0;

    if (text.len > BASE64_BYTES(CHECKSUM_BYTES_MOST) ||
        base64_decode(text, value, sizeof(value), &bytes) != ERR_NONE ||
        bytes != checksum_bytes(p->kind))
        return ERR_SYNTAX;
    p->count++;
    if (p->is_composite)
        checksum_set_add(&p->set, slice_of(value, bytes));
    else
        p->crc = checksum_crc_join(p->kind, p->crc, big_endian(value, bytes), len);
    return ERR_NONE;
}

size_t checksum_parts_end(struct checksum_parts *p, char text[CHECKSUM_PARTS_TEXT_MOST])
{
    uint8_t value[8];
    struct s3_fault fault = { 0 };
    size_t len = checksum_bytes(p->kind);

    if (!p->is_composite) {
        for (size_t i = len; i > 0; i--, p->crc >>= 8)
            value[i - 1] = (uint8_t)p->crc;
        base64_encode(slice_of(value, len), text);
        return BASE64_BYTES(len);
    }
    (void)!checksum_set_end(&p->set, &fault); /* nothing was declared */
    len = checksum_set_text(&p->set, p->kind, text);
    return len + (size_t)snprintf(text + len, CHECKSUM_PARTS_TEXT_MOST - len, "-%u", p->count);
}
