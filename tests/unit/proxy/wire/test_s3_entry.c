#include "proxy/wire/s3_entry.h"

#include "tests/unit/check.h"

static void times_are_read_as_stores_write_them(void)
{
    static const struct {
        const char *text;
        int64_t time_ms;
    } TIMES[] = {
        { "1970-01-01T00:00:00Z", 0 },
        { "1970-01-01T00:00:00.001Z", 1 },
        { "1969-12-31T23:59:59.999Z", -1 },
        { "2000-02-29T12:00:00.5Z", 951825600500 },
        { "2026-11-28T11:43:22.120Z", 1795866202120 },
        { "2026-11-28T11:43:22.120123456Z", 1795866202120 },
        { "2026-11-28T11:43:22", 1795866202000 },
        { "2026-11-28T11:43:22+00:00", 1795866202000 },
        { "2026-11-28T11:43:22.1+0000", 1795866202100 },
        { "9999-12-31T23:59:59.999Z", 253402300799999 },
    };

    for (size_t i = 0; i < sizeof(TIMES) / sizeof(TIMES[0]); i++) {
        int64_t time_ms = 7;

        CHECK(s3_time_read(slice_text(TIMES[i].text), &time_ms));
        CHECK_INT(time_ms, TIMES[i].time_ms);
    }
}

static void what_is_no_time_is_refused(void)
{
    static const char *const BAD[] = {
        "",
        "2026",
        "2026-11-28",
        "2026-11-28 11:43:22Z",
        "2026-13-28T11:43:22Z",
        "2026-00-28T11:43:22Z",
        "2026-11-00T11:43:22Z",
        "2026-11-32T11:43:22Z",
        "2026-11-28T24:43:22Z",
        "2026-11-28T11:60:22Z",
        "2026-11-28T11:43:22.Z",
        "2026-11-28T11:43:22.1234567890Z",
        "2026-11-28T11:43:22+01:00",
        "2026-11-28T11:43:22ZZ",
        "-026-11-28T11:43:22Z",
        "Sat, 28 Nov 2026 11:43:22 GMT",
    };

    for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
        int64_t time_ms = 7;

        CHECK(!s3_time_read(slice_text(BAD[i]), &time_ms) && time_ms == 7);
    }
}

static void every_day_is_written_as_it_is_read(void)
{
    int64_t step = INT64_C(86400000) * 7 + 12345678;

    for (int64_t time_ms = INT64_C(-62167219200000); time_ms < INT64_C(253402300800000);
         time_ms += step) {
        char text[S3_TIME_BYTES];
        int64_t again;

        s3_time_write(time_ms, text);
        if (!s3_time_read(slice_of(text, sizeof(text)), &again) || again != time_ms) {
            CHECK_INT(again, time_ms);
            return;
        }
    }
}

static void times_beyond_the_years_of_four_digits_are_held_at_their_ends(void)
{
    char text[S3_TIME_BYTES];

    s3_time_write(INT64_MAX, text);
    CHECK_BYTES(slice_of(text, sizeof(text)), bytes("9999-12-31T23:59:59.999Z"));
    s3_time_write(INT64_MIN, text);
    CHECK_BYTES(slice_of(text, sizeof(text)), bytes("0000-01-01T00:00:00.000Z"));
}

static void checksums_have_the_names_of_their_elements(void)
{
    for (int kind = S3_CHECKSUM_CRC32; kind <= S3_CHECKSUM_SHA256; kind++)
        CHECK_INT(s3_checksum_of_element(s3_checksum_element((enum s3_checksum_kind)kind)), kind);
    CHECK_INT(s3_checksum_of_element(bytes("ChecksumCRC64NVME")), S3_CHECKSUM_CRC64NVME);
    CHECK_INT(s3_checksum_of_element(bytes("ChecksumAlgorithm")), S3_CHECKSUM_NONE);
    CHECK_INT(s3_checksum_of_element(bytes("Checksum")), S3_CHECKSUM_NONE);
    CHECK_INT(s3_checksum_of_element(bytes("")), S3_CHECKSUM_NONE);
}

static void a_copy_keeps_its_bytes_and_shares_what_repeats(void)
{
    char text[] = "name owner class";
    struct s3_entry entry = { .kind = S3_ENTRY_OBJECT,
                              .size = 3,
                              .name = slice_of(text, 4),
                              .owner_id = slice_of(text + 5, 5),
                              .storage_class = slice_of(text + 11, 5) };
    struct arena arena = { 0 };
    struct s3_entry *first = s3_entry_copy(&arena, &entry, NULL);
    struct s3_entry *second = s3_entry_copy(&arena, &entry, first), *third;

    entry.owner_id.len = 4;
    third = s3_entry_copy(&arena, &entry, second);
    memset(text, 'x', sizeof(text));
    CHECK_BYTES(first->name, bytes("name"));
    CHECK_BYTES(second->name, bytes("name"));
    CHECK_BYTES(first->owner_id, bytes("owner"));
    CHECK(second->owner_id.at == first->owner_id.at);
    CHECK_BYTES(third->owner_id, bytes("owne"));
    CHECK(third->storage_class.at == first->storage_class.at);
    CHECK_INT(third->size, 3);
    CHECK(third->etag.at == NULL);
    arena_fini(&arena);
}

int main(void)
{
    RUN(times_are_read_as_stores_write_them);
    RUN(what_is_no_time_is_refused);
    RUN(every_day_is_written_as_it_is_read);
    RUN(times_beyond_the_years_of_four_digits_are_held_at_their_ends);
    RUN(checksums_have_the_names_of_their_elements);
    RUN(a_copy_keeps_its_bytes_and_shares_what_repeats);
    return check_report();
}
