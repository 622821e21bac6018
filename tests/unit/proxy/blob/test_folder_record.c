#include "proxy/blob/folder_record.h"

#include "tests/unit/check.h"

static const struct folder_record RECORD = { .size = 1024,
                                             .modified_ns = 0x18d3a0b1c2d3e4f5,
                                             .etag = "5d41402abc4b2a76b9719d911017c592",
                                             .parts = 3 };
static const char LINE[] = "1 400 18d3a0b1c2d3e4f5 5d41402abc4b2a76b9719d911017c592 3\n";

static void a_record_is_readable_text(void)
{
    struct folder_pair pairs[] = {
        { FOLDER_HEADER, bytes("content-type"), bytes("text/plain; a=b") },
        { FOLDER_TAG, bytes("a b%"), bytes("\xc3\xa9\n%\0") },
    };
    struct folder_object object = { 0 };
    struct folder_record record;
    struct buf text = { 0 };
    struct slice rest;

    CHECK_INT(folder_record_write(&RECORD, pairs, 2, &text), FOLDER_OK);
    CHECK(slice_starts(buf_all(&text), slice_text(LINE)));
    CHECK_BYTES(slice_from(buf_all(&text), sizeof(LINE) - 1),
                bytes("hcontent-type text/plain; a=b\nta%20b%25 \xc3\xa9%0A%25%00\n"));
    CHECK(folder_record_read(buf_all(&text), &record, &rest) == ERR_NONE);
    CHECK(record.size == 1024 && record.modified_ns == RECORD.modified_ns && record.parts == 3);
    CHECK_TEXT(record.etag, RECORD.etag);
    CHECK(folder_pairs_read(rest, &object) == ERR_NONE);
    CHECK_INT(object.pair_count, 2);
    CHECK_BYTES(object.pairs[0].value, bytes("text/plain; a=b"));
    CHECK_BYTES(object.pairs[1].name, bytes("a b%"));
    CHECK_BYTES(object.pairs[1].value, bytes("\xc3\xa9\n%\0"));
    folder_object_fini(&object);
    buf_fini(&text);
}

static void what_is_cut_off_is_no_record(void)
{
    struct folder_record record;
    struct folder_object object = { 0 };
    struct slice rest, pair = bytes("hcontent-type text/plain\n");

    for (size_t n = 0; n < sizeof(LINE) - 1; n++)
        CHECK(folder_record_read(slice_of(LINE, n), &record, &rest) != ERR_NONE);
    for (size_t n = 1; n < pair.len; n++)
        CHECK(folder_pairs_read(slice_of(pair.at, n), &object) != ERR_NONE);
    CHECK(folder_pairs_read(bytes(""), &object) == ERR_NONE && object.pair_count == 0);
}

static void what_is_wrong_is_no_record(void)
{
    static const char *const WRONG[] = {
        "2 1 1 e 0\n",     "1 g 1 e 0\n",
        "1 1 1  0\n",      "1 1 1 e x\n",
        "1 1 1 e 10001\n", "1  1 e 0\n",
        "11 1 e 0\n",      "1 1 1 \" 0\n",
        "1 1 1 e -1\n",    "1 11111111111111111 1 e 0\n",
        "1 A 1 e 0\n",     "1 1 1 eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee 0\n",
    };
    static const char *const WRONG_PAIRS[] = { "xname value\n", "h\n",      "hname\n",   "\n",
                                               "hn v%\n",       "hn v%0\n", "hn v%0g\n", "hn% v\n",
                                               "hn v%0a\n" };
    struct folder_record record;
    struct folder_object object = { 0 };
    struct slice rest;

    for (size_t i = 0; i < sizeof(WRONG) / sizeof(WRONG[0]); i++)
        CHECK(folder_record_read(slice_text(WRONG[i]), &record, &rest) != ERR_NONE);
    for (size_t i = 0; i < sizeof(WRONG_PAIRS) / sizeof(WRONG_PAIRS[0]); i++)
        CHECK(folder_pairs_read(slice_text(WRONG_PAIRS[i]), &object) != ERR_NONE);
}

int main(void)
{
    RUN(a_record_is_readable_text);
    RUN(what_is_cut_off_is_no_record);
    RUN(what_is_wrong_is_no_record);
    return check_report();
}
