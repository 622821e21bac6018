#include "proxy/wire/checksum_parts.h"

#include "proxy/wire/crc64nvme.h"
#include "tests/unit/check.h"

static uint64_t crc_of(enum checksum kind, struct slice in)
{
    return kind == CHECKSUM_CRC32    ? checksum_crc32(0, in)
           : kind == CHECKSUM_CRC32C ? checksum_crc32c(0, in)
                                     : crc64nvme_of(0, in);
}

static void joined_crcs_are_those_of_all_bytes(void)
{
    uint8_t data[3000];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * i >> 3);
    for (int kind = CHECKSUM_CRC32; kind <= CHECKSUM_CRC64NVME; kind++) {
        uint64_t whole = crc_of((enum checksum)kind, slice_of(data, sizeof(data)));

        for (size_t cut = 0; cut <= sizeof(data); cut += 75) {
            uint64_t first = crc_of((enum checksum)kind, slice_of(data, cut)),
                     second = crc_of((enum checksum)kind, slice_of(data + cut, sizeof(data) - cut));

            CHECK(checksum_crc_join((enum checksum)kind, first, second, sizeof(data) - cut) ==
                  whole);
        }
    }
}

/* Zeros behind a piece, many times over: 5 TiB of them, by doubling. */
static void joining_is_right_for_lengths_beyond_32_bits(void)
{
    for (int kind = CHECKSUM_CRC32; kind <= CHECKSUM_CRC64NVME; kind++) {
        uint64_t first = crc_of((enum checksum)kind, bytes("Sheaf")), len = 1,
                 zeros = crc_of((enum checksum)kind, slice_of("", 1)), by_halves;

        for (int i = 0; i < 42; i++, len *= 2)
            zeros = checksum_crc_join((enum checksum)kind, zeros, zeros, len);
        by_halves = checksum_crc_join((enum checksum)kind, first, zeros, len);
        for (int i = 0; i < 2; i++)
            first = checksum_crc_join((enum checksum)kind, first, zeros, len);
        zeros = checksum_crc_join((enum checksum)kind, zeros, zeros, len);
        CHECK(checksum_crc_join((enum checksum)kind, crc_of((enum checksum)kind, bytes("Sheaf")),
                                zeros, 2 * len) == first);
        CHECK(by_halves != first);
    }
}

static struct slice of_two(enum checksum kind, const char *type, const char *first,
                           const char *second, char text[CHECKSUM_PARTS_TEXT_MOST])
{
    struct checksum_parts parts;
    bool is_composite = false;

    CHECK(checksum_parts_type(kind, slice_text(type), &is_composite));
    CHECK(checksum_parts_begin(&parts, kind, is_composite));
    CHECK_INT(checksum_parts_add(&parts, slice_text(first), 5), ERR_NONE);
    CHECK_INT(checksum_parts_add(&parts, slice_text(second), 4), ERR_NONE);
    return slice_of(text, checksum_parts_end(&parts, text));
}

/* "12345" and "6789": what Python's zlib and hashlib say of them. */
static void both_types_are_as_s3_writes_them(void)
{
    char text[CHECKSUM_PARTS_TEXT_MOST];

    CHECK_BYTES(of_two(CHECKSUM_CRC32, "FULL_OBJECT", "y/U6HA==", "nbq/hw==", text),
                bytes("y/Q5Jg=="));
    CHECK_BYTES(of_two(CHECKSUM_CRC32, "", "y/U6HA==", "nbq/hw==", text), bytes("4zspdQ==-2"));
    CHECK_BYTES(of_two(CHECKSUM_SHA256, "COMPOSITE", "WZRHGrsBESr8wYFZ9sx0tPURuZgG2lmzyvWpwXPKz8U=",
                       "SZvH352Ic8HDjmiYF3w0Oyo00utDF4qetO/LmTNmyM0=", text),
                bytes("/wiQ+jHXUUcr18tTEaeru5H1cBgrYDQGvfxkGFLzgl4=-2"));
}

static void what_there_is_not_is_refused(void)
{
    struct checksum_parts parts;
    bool is_composite;

    CHECK(!checksum_parts_type(CHECKSUM_CRC64NVME, bytes("COMPOSITE"), &is_composite));
    CHECK(!checksum_parts_type(CHECKSUM_SHA1, bytes("FULL_OBJECT"), &is_composite));
    CHECK(!checksum_parts_type(CHECKSUM_CRC32, bytes("full_object"), &is_composite));
    CHECK(!checksum_parts_type(CHECKSUMS, bytes(""), &is_composite));
    CHECK(checksum_parts_type(CHECKSUM_CRC64NVME, bytes(""), &is_composite) && !is_composite);
    CHECK(!checksum_parts_begin(&parts, CHECKSUM_SHA256, false));
    CHECK(!checksum_parts_begin(&parts, CHECKSUM_MD5, true));
    CHECK(checksum_parts_begin(&parts, CHECKSUM_CRC32, true));
    CHECK_INT(checksum_parts_add(&parts, bytes("AAAA"), 1), ERR_SYNTAX);
    CHECK_INT(checksum_parts_add(&parts, bytes(""), 1), ERR_SYNTAX);
    CHECK_INT(
        checksum_parts_add(&parts, bytes("no checksum at all, and far too long to be one"), 1),
        ERR_SYNTAX);
}

int main(void)
{
    RUN(joined_crcs_are_those_of_all_bytes);
    RUN(joining_is_right_for_lengths_beyond_32_bits);
    RUN(both_types_are_as_s3_writes_them);
    RUN(what_there_is_not_is_refused);
    return check_report();
}
