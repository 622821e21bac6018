#include "proxy/wire/checksum.h"

#include "proxy/wire/crc64nvme.h"
#include "tests/unit/check.h"

static struct s3_fault fault;

static void check_values_are_those_of_the_algorithms(void)
{
    struct slice digits = bytes("123456789");

    CHECK(checksum_crc32(0, digits) == 0xcbf43926);
    CHECK(checksum_crc32c(0, digits) == 0xe3069283);
    CHECK(crc64nvme_of(0, digits) == 0xae8b14860a799888);
    CHECK(crc64nvme_of(0, (struct slice){ 0 }) == 0);
    CHECK(checksum_crc32(0, (struct slice){ 0 }) == 0);
    CHECK(checksum_crc32c(0, (struct slice){ 0 }) == 0);
}

/* Bit by bit, as the polynomial says. */
static uint64_t crc64_of_bits(struct slice in)
{
    uint64_t crc = ~UINT64_C(0);

    for (size_t i = 0; i < in.len; i++) {
        crc ^= in.at[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x9a6c9329ac4bc9b5 : 0);
    }
    return ~crc;
}

static void crc64_is_the_same_by_bits_tables_and_multiplication_in_any_pieces(void)
{
    uint8_t data[700];
    uint64_t state = 1;

    for (size_t i = 0; i < sizeof(data); i++) {
        state = state * 6364136223846793005 + 1442695040888963407;
        data[i] = (uint8_t)(state >> 56);
    }
    for (size_t len = 0; len <= sizeof(data); len++) {
        struct slice all = slice_of(data, len);
        uint64_t expected = crc64_of_bits(all);

        CHECK(crc64nvme_by_tables(0, all) == expected);
        CHECK(crc64nvme_of(0, all) == expected);
        CHECK(crc64nvme_of(crc64nvme_of(0, slice_of(data, len / 3)), slice_from(all, len / 3)) ==
              expected);
    }
}

static void names_are_those_of_fields_and_algorithms(void)
{
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-crc32")), CHECKSUM_CRC32);
    CHECK_INT(checksum_of_field(bytes("X-Amz-Checksum-CRC32C")), CHECKSUM_CRC32C);
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-crc64nvme")), CHECKSUM_CRC64NVME);
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-sha1")), CHECKSUM_SHA1);
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-sha256")), CHECKSUM_SHA256);
    CHECK_INT(checksum_of_field(bytes("Content-MD5")), CHECKSUM_MD5);
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-md5")), CHECKSUMS);
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-type")), CHECKSUMS);
    CHECK_INT(checksum_of_field(bytes("x-amz-checksum-")), CHECKSUMS);
    CHECK_INT(checksum_of_algorithm(bytes("CRC64NVME")), CHECKSUM_CRC64NVME);
    CHECK_INT(checksum_of_algorithm(bytes("")), CHECKSUMS);
}

/* "Hello world!" by other programs. */
static const char *const HELLO[CHECKSUMS] = {
    [CHECKSUM_CRC32] = "G4UZlQ==",
    [CHECKSUM_CRC32C] = "e5jnUQ==",
    [CHECKSUM_CRC64NVME] = "STT34nhLDtw=",
    [CHECKSUM_SHA1] = "00hq6RNueFa8QiEjhep5cJRHWAI=",
    [CHECKSUM_SHA256] = "wFNeS+K3n/2TKRMFQ2v4iTFOSj+uwF7P/Lt98xrZ5Ro=",
    [CHECKSUM_MD5] = "hvsmnRkNLIX24EaM7KQqIA==",
    [CHECKSUM_PAYLOAD] = "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a",
};

static enum s3_error end_of_hello(unsigned but_for)
{
    struct checksum_set sums = { 0 };
    char text[CHECKSUM_TEXT_MOST];
    enum s3_error error;

    for (size_t kind = 0; kind < CHECKSUMS; kind++)
        CHECK_INT(checksum_set_declare(&sums, kind, slice_text(HELLO[kind]), &fault), S3_NONE);
    checksum_set_add(&sums, bytes("Hello"));
    checksum_set_add(&sums, bytes(""));
    checksum_set_add(&sums, but_for == 0 ? bytes(" world!") : bytes(" World!"));
    sums.declared &= (uint16_t)(but_for != 0 ? but_for : sums.declared);
    error = checksum_set_end(&sums, &fault);
    if (error == S3_NONE) {
        for (size_t kind = 0; kind < CHECKSUMS; kind++) {
            size_t len = checksum_set_text(&sums, kind, text);

            CHECK_BYTES(slice_of(text, len), slice_text(HELLO[kind]));
        }
    }
    return error;
}

static void all_at_once_are_computed_and_compared(void)
{
    CHECK_INT(end_of_hello(0), S3_NONE);
}

static void each_that_is_wrong_is_told(void)
{
    for (unsigned kind = 0; kind < CHECKSUM_PAYLOAD; kind++)
        CHECK_INT(end_of_hello(1U << kind), S3_BAD_DIGEST);
    CHECK_TEXT(s3_fault_message(&fault),
               "The Content-MD5 you specified did not match what we received.");
    CHECK_INT(end_of_hello(1U << CHECKSUM_CRC32C), S3_BAD_DIGEST);
    CHECK_TEXT(s3_fault_message(&fault),
               "The CRC32C you specified did not match the calculated checksum.");
    CHECK_INT(end_of_hello(1U << CHECKSUM_PAYLOAD), S3_CONTENT_SHA256_MISMATCH);
    CHECK_BYTES(fault.detail[0].value, slice_text(HELLO[CHECKSUM_PAYLOAD]));
    CHECK_INT(fault.details, 2);
}

static void a_value_of_another_form_is_refused(void)
{
    struct checksum_set sums = { 0 };

    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_MD5, bytes("GypJVA=="), &fault),
              S3_INVALID_DIGEST);
    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_CRC32, bytes("GypJVA"), &fault),
              S3_INVALID_REQUEST);
    CHECK_TEXT(s3_fault_message(&fault), "Value for x-amz-checksum-crc32 header is invalid.");
    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_CRC32, bytes(""), &fault), S3_INVALID_REQUEST);
    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_CRC32, bytes("GypJVA=="), &fault), S3_NONE);
    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_CRC32, bytes("GypJVA=="), &fault), S3_NONE);
    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_CRC32, bytes("GypJVQ=="), &fault),
              S3_INVALID_REQUEST);
    CHECK_INT(checksum_set_declare(&sums, CHECKSUM_PAYLOAD, bytes("c053"), &fault),
              S3_INVALID_ARGUMENT);
}

static void what_is_only_wanted_is_computed_and_not_compared(void)
{
    struct checksum_set sums = { 0 };
    char text[CHECKSUM_TEXT_MOST];

    checksum_set_want(&sums, CHECKSUM_SHA256);
    checksum_set_want(&sums, CHECKSUM_PAYLOAD);
    checksum_set_add(&sums, bytes("Hello world!"));
    CHECK_INT(checksum_set_end(&sums, &fault), S3_NONE);
    CHECK_BYTES(slice_of(text, checksum_set_text(&sums, CHECKSUM_PAYLOAD, text)),
                slice_text(HELLO[CHECKSUM_PAYLOAD]));
}

static void hexadecimal_letters_are_read_strictly(void)
{
    uint8_t out[2];

    CHECK(digest_of_hex(bytes("00fF"), out, 2) && out[0] == 0 && out[1] == 0xff);
    CHECK(!digest_of_hex(bytes("00f"), out, 2));
    CHECK(!digest_of_hex(bytes("00fg"), out, 2));
    CHECK(!digest_of_hex(bytes("00f\xff"), out, 2));
    CHECK(!digest_of_hex(bytes("00ff0"), out, 2));
}

static void letters_are_written_for_any_number_of_bytes(void)
{
    char expected[200], found[200];
    uint8_t data[99];

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (uint8_t)(i * 37 + 5);
    for (size_t len = 0; len <= sizeof(data); len++) {
        for (size_t i = 0; i < len; i++)
            snprintf(expected + 2 * i, 3, "%02x", data[i]);
        digest_hex(slice_of(data, len), found);
        CHECK_BYTES(slice_of(found, 2 * len), slice_of(expected, 2 * len));
        CHECK(digest_is_hex(slice_of(found, 2 * len), len));
        CHECK(!digest_is_hex(slice_of(found, 2 * len), len + 1));
    }
}

static void what_is_no_letter_is_found_at_any_place(void)
{
    char text[64];
    uint8_t out[32];

    for (size_t i = 0; i < sizeof(text); i++) {
        memset(text, 'a', sizeof(text));
        CHECK(digest_is_hex(slice_of(text, sizeof(text)), 32));
        for (int byte = 0; byte < 256; byte++) {
            text[i] = (char)byte;
            CHECK_INT(digest_is_hex(slice_of(text, sizeof(text)), 32),
                      byte != 0 && strchr("0123456789abcdefABCDEF", byte) != NULL);
        }
        text[i] = 'g';
        CHECK(!digest_is_hex(slice_of(text, sizeof(text)), 32));
        CHECK(!digest_of_hex(slice_of(text, sizeof(text)), out, 32));
    }
}

int main(void)
{
    RUN(check_values_are_those_of_the_algorithms);
    RUN(crc64_is_the_same_by_bits_tables_and_multiplication_in_any_pieces);
    RUN(names_are_those_of_fields_and_algorithms);
    RUN(all_at_once_are_computed_and_compared);
    RUN(each_that_is_wrong_is_told);
    RUN(a_value_of_another_form_is_refused);
    RUN(what_is_only_wanted_is_computed_and_not_compared);
    RUN(hexadecimal_letters_are_read_strictly);
    RUN(letters_are_written_for_any_number_of_bytes);
    RUN(what_is_no_letter_is_found_at_any_place);
    return check_report();
}
