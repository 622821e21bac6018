#include "proxy/wire/s3_request_xml.h"

#include "tests/unit/check.h"

static enum err read_in_steps(struct s3_request_xml *body, enum s3_request_kind kind,
                              struct arena *arena, struct slice in, size_t step)
{
    s3_request_xml_open(body, kind, arena);
    for (; in.len > 0; in = slice_from(in, in.len < step ? in.len : step))
        TRY(s3_request_xml_feed(body, slice_of(in.at, in.len < step ? in.len : step)));
    return s3_request_xml_end(body);
}

static void check_refused(enum s3_request_kind kind, const char *text, const char *code)
{
    for (size_t step = 1; step <= strlen(text); step *= 3) {
        struct arena arena = { 0 };
        struct s3_request_xml body;
        enum err err = read_in_steps(&body, kind, &arena, slice_text(text), step);

        CHECK(err == ERR_SYNTAX || err == ERR_LIMIT);
        CHECK(body.refusal.code != NULL && body.refusal.message != NULL);
        if (body.refusal.code != NULL)
            CHECK_TEXT(body.refusal.code, code);
        s3_request_xml_fini(&body);
        arena_fini(&arena);
    }
}

/* A body of a root and `count` times the same within. */
static struct buf repeated(const char *root, const char *within, size_t count)
{
    struct buf text = { 0 };

    buf_format(&text, "<%s>", root);
    for (size_t i = 1; i <= count; i++) {
        buf_text(&text, within);
        if (strstr(within, "<Part>") != NULL)
            buf_format(&text, "<PartNumber>%zu</PartNumber></Part>", i);
    }
    buf_format(&text, "</%s>", root);
    return text;
}

/* ---- Delete ---- */

static void keys_to_delete_keep_their_order_and_their_versions(void)
{
    struct slice text =
        bytes("<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
              "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n <Quiet>true</Quiet>"
              "<Object><Key>b&amp;&#x1;/\xC3\xA9</Key></Object>"
              "<Object><Key>a</Key><VersionId>v1</VersionId></Object>"
              "<Object><VersionId>null</VersionId><Key>a</Key><ETag>\"e1\"</ETag></Object>"
              "<Object><Key> </Key><Size>3</Size></Object>\n</Delete>");

    for (size_t step = 1; step <= text.len; step++) {
        struct arena arena = { 0 };
        struct s3_request_xml body;

        CHECK_INT(read_in_steps(&body, S3_REQUEST_DELETE, &arena, text, step), ERR_NONE);
        CHECK(body.is_quiet);
        CHECK_INT(body.key_count, 4);
        if (body.key_count == 4) {
            CHECK_BYTES(body.keys[0].key, bytes("b&\x01/\xC3\xA9"));
            CHECK_INT(body.keys[0].version.len, 0);
            CHECK_BYTES(body.keys[1].key, bytes("a"));
            CHECK_BYTES(body.keys[1].version, bytes("v1"));
            CHECK_BYTES(body.keys[2].version, bytes("null"));
            CHECK_BYTES(body.keys[2].etag, bytes("e1"));
            CHECK(!body.keys[2].is_conditional);
            CHECK_BYTES(body.keys[3].key, bytes(" "));
            CHECK(body.keys[3].is_conditional);
        }
        s3_request_xml_fini(&body);
        arena_fini(&arena);
    }
}

static void a_delete_that_is_not_one_is_refused(void)
{
    static const char *const MALFORMED[] = {
        "",
        " ",
        "x",
        "<Delete/>",
        "<Delete><Quiet>true</Quiet></Delete>",
        "<Delete><Quiet>perhaps</Quiet><Object><Key>a</Key></Object></Delete>",
        "<Remove><Object><Key>a</Key></Object></Remove>",
        "<Delete><Object><Key>a</Key><Key>b</Key></Object></Delete>",
        "<Delete><Object><Key>a</Key><VersionId/><VersionId>b</VersionId></Object></Delete>",
        "<Delete><Object><Key>a</Key><IfUnmodified>x</IfUnmodified></Object></Delete>",
        "<Delete><Object><Key>a<b/></Key></Object></Delete>",
        "<Delete><Object><Object><Key>a</Key></Object></Object></Delete>",
        "<Delete><Key>a</Key></Delete>",
        "<Delete><Object><Key>a</Key></Object></Delete><Delete/>",
        "<Delete><Object><Key>a</Key></Object>",
        "<!DOCTYPE Delete><Delete><Object><Key>a</Key></Object></Delete>",
    };

    for (size_t i = 0; i < sizeof(MALFORMED) / sizeof(MALFORMED[0]); i++)
        check_refused(S3_REQUEST_DELETE, MALFORMED[i], "MalformedXML");
    check_refused(S3_REQUEST_DELETE, "<Delete><Object><Key/></Object></Delete>",
                  "UserKeyMustBeSpecified");
    check_refused(S3_REQUEST_DELETE, "<Delete><Object/></Delete>", "UserKeyMustBeSpecified");
}

static void a_thousand_keys_are_deleted_and_no_more(void)
{
    for (size_t more = 0; more <= 1; more++) {
        struct buf text =
            repeated("Delete", "<Object><Key>k</Key></Object>", S3_DELETE_KEYS + more);
        struct arena arena = { 0 };
        struct s3_request_xml body;
        enum err err = read_in_steps(&body, S3_REQUEST_DELETE, &arena, buf_all(&text), 4096);

        CHECK_INT(err, more > 0 ? ERR_SYNTAX : ERR_NONE);
        CHECK_INT(body.key_count, S3_DELETE_KEYS);
        s3_request_xml_fini(&body);
        arena_fini(&arena);
        buf_fini(&text);
    }
}

static void a_key_has_1024_bytes_and_no_more(void)
{
    for (size_t more = 0; more <= 1; more++) {
        struct arena arena = { 0 };
        struct s3_request_xml body;
        struct buf text = { 0 };

        buf_format(&text, "<Delete><Object><Key>%0*d</Key></Object></Delete>",
                   S3_KEY_BYTES + (int)more, 7);
        CHECK_INT(read_in_steps(&body, S3_REQUEST_DELETE, &arena, buf_all(&text), 4096),
                  more > 0 ? ERR_SYNTAX : ERR_NONE);
        if (more > 0)
            CHECK_TEXT(body.refusal.code, "KeyTooLongError");
        s3_request_xml_fini(&body);
        arena_fini(&arena);
        buf_fini(&text);
    }
}

static void a_body_that_is_too_large_is_refused_as_such(void)
{
    struct buf text = repeated("Tagging", "<!-- 34567890123456789012345678901234567890 -->", 2000);

    buf_put(&text, "", 1);
    check_refused(S3_REQUEST_TAGGING, (char *)text.at, "MaxMessageLengthExceeded");
    buf_fini(&text);
}

/* ---- CompleteMultipartUpload ---- */

static void parts_come_with_their_etags_and_checksums(void)
{
    struct slice text =
        bytes("<CompleteMultipartUpload><Part><PartNumber>1</PartNumber><ETag>&quot;a&quot;</ETag>"
              "<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part><Part><ETag>b</ETag><Size>7</Size>"
              "<ChecksumSHA256/><ChecksumCRC64NVME>x</ChecksumCRC64NVME>"
              "<PartNumber>10000</PartNumber></Part></CompleteMultipartUpload>");

    for (size_t step = 1; step <= text.len; step++) {
        struct arena arena = { 0 };
        struct s3_request_xml body;

        CHECK_INT(read_in_steps(&body, S3_REQUEST_COMPLETE, &arena, text, step), ERR_NONE);
        CHECK_INT(body.part_count, 2);
        if (body.part_count == 2) {
            CHECK_INT(body.parts[0].number, 1);
            CHECK_BYTES(body.parts[0].etag, bytes("a"));
            CHECK_INT(body.parts[0].checksum.kind, S3_CHECKSUM_CRC32);
            CHECK_BYTES(body.parts[0].checksum.value, bytes("AAAAAA=="));
            CHECK_INT(body.parts[1].number, 10000);
            CHECK_BYTES(body.parts[1].etag, bytes("b"));
            CHECK_INT(body.parts[1].checksum.kind, S3_CHECKSUM_CRC64NVME);
        }
        s3_request_xml_fini(&body);
        arena_fini(&arena);
    }
}

#define PART(number, etag) "<Part><PartNumber>" number "</PartNumber><ETag>" etag "</ETag></Part>"
#define COMPLETE(parts)    "<CompleteMultipartUpload>" parts "</CompleteMultipartUpload>"

static void parts_out_of_order_or_without_what_they_need_are_refused(void)
{
    enum s3_request_kind kind = S3_REQUEST_COMPLETE;

    check_refused(kind, COMPLETE(""), "MalformedXML");
    check_refused(kind, COMPLETE("<Part/>"), "MalformedXML");
    check_refused(kind, COMPLETE("<Part><PartNumber>1</PartNumber></Part>"), "MalformedXML");
    check_refused(kind, COMPLETE("<Part><ETag>a</ETag></Part>"), "MalformedXML");
    check_refused(kind, COMPLETE(PART("x", "a")), "MalformedXML");
    check_refused(kind, COMPLETE(PART("-1", "a")), "MalformedXML");
    check_refused(kind, COMPLETE(PART("0", "a")), "InvalidArgument");
    check_refused(kind, COMPLETE(PART("10001", "a")), "InvalidArgument");
    check_refused(kind, COMPLETE(PART("2", "a") PART("1", "b")), "InvalidPartOrder");
    check_refused(kind, COMPLETE(PART("2", "a") PART("2", "b")), "InvalidPartOrder");
    check_refused(kind, COMPLETE("<Parts/>"), "MalformedXML");
    check_refused(kind,
                  COMPLETE("<Part><PartNumber>1</PartNumber><ETag>a</ETag><ChecksumCRC32>x"
                           "</ChecksumCRC32><ChecksumSHA1>y</ChecksumSHA1></Part>"),
                  "InvalidRequest");
}

static void ten_thousand_parts_are_completed_and_no_more(void)
{
    for (size_t more = 0; more <= 1; more++) {
        struct buf text = repeated("CompleteMultipartUpload",
                                   "<Part><ETag>\"0123456789abcdef0123456789abcdef\"</ETag>"
                                   "<ChecksumSHA256>0123456789012345678901234567890123456789012="
                                   "</ChecksumSHA256>",
                                   S3_PARTS + more);
        struct arena arena = { 0 };
        struct s3_request_xml body;

        CHECK_INT(read_in_steps(&body, S3_REQUEST_COMPLETE, &arena, buf_all(&text), 16384),
                  more > 0 ? ERR_SYNTAX : ERR_NONE);
        CHECK_INT(body.part_count, S3_PARTS);
        CHECK_INT(body.parts[S3_PARTS - 1].number, S3_PARTS);
        CHECK(arena.held < 4 * 1024 * 1024);
        s3_request_xml_fini(&body);
        arena_fini(&arena);
        buf_fini(&text);
    }
}

/* ---- the small ones ---- */

static struct slice location_of(const char *text, struct arena *arena)
{
    struct s3_request_xml body;

    CHECK_INT(read_in_steps(&body, S3_REQUEST_CREATE_BUCKET, arena, slice_text(text), 7), ERR_NONE);
    s3_request_xml_fini(&body);
    return body.location;
}

static void a_bucket_may_be_created_with_a_location_or_without(void)
{
    struct arena arena = { 0 };

    CHECK_BYTES(location_of("<CreateBucketConfiguration><LocationConstraint>eu-1"
                            "</LocationConstraint></CreateBucketConfiguration>",
                            &arena),
                bytes("eu-1"));
    CHECK_INT(location_of("<CreateBucketConfiguration/>", &arena).len, 0);
    CHECK_INT(location_of("", &arena).len, 0);
    check_refused(S3_REQUEST_CREATE_BUCKET,
                  "<CreateBucketConfiguration><Bucket><Type>Directory</Type></Bucket>"
                  "</CreateBucketConfiguration>",
                  "NotImplemented");
    check_refused(S3_REQUEST_CREATE_BUCKET, "<Create/>", "MalformedXML");
    arena_fini(&arena);
}

#define TAG(key, value) "<Tag><Key>" key "</Key><Value>" value "</Value></Tag>"
#define TAGGING(tags)   "<Tagging><TagSet>" tags "</TagSet></Tagging>"

static size_t tags_of(const char *text)
{
    struct arena arena = { 0 };
    struct s3_request_xml body;

    CHECK_INT(read_in_steps(&body, S3_REQUEST_TAGGING, &arena, slice_text(text), 7), ERR_NONE);
    if (body.tag_count > 0) {
        CHECK_BYTES(body.tags[0].key, bytes("k<"));
        CHECK_BYTES(body.tags[0].value, bytes(" v"));
    }
    s3_request_xml_fini(&body);
    arena_fini(&arena);
    return body.tag_count;
}

static void tags_are_ten_at_most_and_each_key_is_there_once(void)
{
    struct buf text = { 0 };

    CHECK_INT(tags_of(TAGGING("")), 0);
    CHECK_INT(tags_of(TAGGING(TAG("k&lt;", " v") TAG("b", ""))), 2);
    check_refused(S3_REQUEST_TAGGING, TAGGING(TAG("a", "x") TAG("a", "y")), "InvalidTag");
    check_refused(S3_REQUEST_TAGGING, TAGGING(TAG("", "x")), "InvalidTag");
    check_refused(S3_REQUEST_TAGGING, TAGGING("<Tag><Key>a</Key></Tag>"), "MalformedXML");
    check_refused(S3_REQUEST_TAGGING, TAGGING("<Tag/>"), "MalformedXML");
    check_refused(S3_REQUEST_TAGGING, "<Tagging/>", "MalformedXML");
    check_refused(S3_REQUEST_TAGGING, "<Tagging><Tag/></Tagging>", "MalformedXML");
    buf_text(&text, "<Tagging><TagSet>");
    for (int i = 0; i <= S3_TAGS; i++)
        buf_format(&text, TAG("k%d", "v"), i);
    buf_text(&text, "</TagSet></Tagging>");
    buf_put(&text, "", 1);
    check_refused(S3_REQUEST_TAGGING, (char *)text.at, "BadRequest");
    buf_fini(&text);
}

/* As UTF-16 counts: 64 letters beyond U+FFFF are 128. */
static void a_tag_is_so_long_and_no_longer(void)
{
    for (int more = 0; more <= 1; more++) {
        struct arena arena = { 0 };
        struct s3_request_xml body;
        struct buf text = { 0 };

        buf_text(&text, "<Tagging><TagSet><Tag><Key>");
        for (int i = 0; i < S3_TAG_KEY_LETTERS / 2; i++)
            buf_text(&text, "\xF0\x9F\x98\x80");
        buf_text(&text, more > 0 ? "a</Key><Value>" : "</Key><Value>");
        for (int i = 0; i < S3_TAG_VALUE_LETTERS; i++)
            buf_text(&text, "\xC3\xA9");
        buf_text(&text, "</Value></Tag></TagSet></Tagging>");
        CHECK_INT(read_in_steps(&body, S3_REQUEST_TAGGING, &arena, buf_all(&text), 100),
                  more > 0 ? ERR_SYNTAX : ERR_NONE);
        s3_request_xml_fini(&body);
        arena_fini(&arena);
        buf_fini(&text);
    }
}

static bool versioning_of(const char *text)
{
    struct arena arena = { 0 };
    struct s3_request_xml body;

    CHECK_INT(read_in_steps(&body, S3_REQUEST_VERSIONING, &arena, slice_text(text), 7), ERR_NONE);
    s3_request_xml_fini(&body);
    arena_fini(&arena);
    return body.is_enabled;
}

static void versioning_is_enabled_or_suspended(void)
{
    enum s3_request_kind kind = S3_REQUEST_VERSIONING;

    CHECK(versioning_of("<VersioningConfiguration><Status>Enabled</Status>"
                        "<MfaDelete>Disabled</MfaDelete></VersioningConfiguration>"));
    CHECK(!versioning_of("<VersioningConfiguration><Status>Suspended</Status>"
                         "</VersioningConfiguration>"));
    check_refused(kind, "<VersioningConfiguration><Status>On</Status></VersioningConfiguration>",
                  "MalformedXML");
    check_refused(kind, "<VersioningConfiguration/>", "IllegalVersioningConfigurationException");
}

/* ---- what goes to stores ---- */

static void what_is_written_to_a_store_is_read_as_it_was(void)
{
    static const struct s3_delete_key KEYS[] = { { .key = { (const uint8_t *)"a\x02<", 3 } },
                                                 { .key = { (const uint8_t *)"b", 1 },
                                                   .version = { (const uint8_t *)"v", 1 } } };
    static const size_t WHICH[] = { 1, 0 };
    static const struct s3_part PARTS[] = {
        { .number = 3,
          .etag = { (const uint8_t *)"e", 1 },
          .checksum = { S3_CHECKSUM_SHA1, { (const uint8_t *)"s=", 2 } } },
    };
    struct arena arena = { 0 };
    struct s3_request_xml body;
    struct buf text = { 0 };

    s3_write_delete(&text, KEYS, WHICH, 2);
    CHECK_INT(read_in_steps(&body, S3_REQUEST_DELETE, &arena, buf_all(&text), 64), ERR_NONE);
    CHECK(!body.is_quiet);
    CHECK_INT(body.key_count, 2);
    CHECK_BYTES(body.keys[0].key, bytes("b"));
    CHECK_BYTES(body.keys[0].version, bytes("v"));
    CHECK_BYTES(body.keys[1].key, bytes("a\x02<"));
    s3_request_xml_fini(&body);
    buf_clear(&text);
    s3_write_complete(&text, PARTS, 1);
    CHECK_INT(read_in_steps(&body, S3_REQUEST_COMPLETE, &arena, buf_all(&text), 64), ERR_NONE);
    CHECK_INT(body.parts[0].number, 3);
    CHECK_BYTES(body.parts[0].etag, bytes("e"));
    CHECK_INT(body.parts[0].checksum.kind, S3_CHECKSUM_SHA1);
    CHECK_BYTES(body.parts[0].checksum.value, bytes("s="));
    s3_request_xml_fini(&body);
    buf_fini(&text);
    arena_fini(&arena);
}

int main(void)
{
    RUN(keys_to_delete_keep_their_order_and_their_versions);
    RUN(a_delete_that_is_not_one_is_refused);
    RUN(a_thousand_keys_are_deleted_and_no_more);
    RUN(a_key_has_1024_bytes_and_no_more);
    RUN(a_body_that_is_too_large_is_refused_as_such);
    RUN(parts_come_with_their_etags_and_checksums);
    RUN(parts_out_of_order_or_without_what_they_need_are_refused);
    RUN(ten_thousand_parts_are_completed_and_no_more);
    RUN(a_bucket_may_be_created_with_a_location_or_without);
    RUN(tags_are_ten_at_most_and_each_key_is_there_once);
    RUN(a_tag_is_so_long_and_no_longer);
    RUN(versioning_is_enabled_or_suspended);
    RUN(what_is_written_to_a_store_is_read_as_it_was);
    return check_report();
}
