#include "proxy/wire/s3_reply_xml.h"

#include <stdlib.h>

#include "tests/unit/check.h"

enum { ENTRIES = 16 };

/* A reply that was read, with copies of its entries. */
struct reading {
    struct s3_reply_xml reply;
    struct arena arena;
    struct s3_entry *entries[ENTRIES];
    size_t count;
    enum err refuses; /* what the next entry is answered with */
};

static enum err take(void *owner, const struct s3_entry *entry)
{
    struct reading *r = owner;

    if (r->count < ENTRIES)
        r->entries[r->count] =
            s3_entry_copy(&r->arena, entry, r->count > 0 ? r->entries[r->count - 1] : NULL);
    r->count++;
    return r->refuses;
}

static enum err read_in_steps(struct reading *r, struct slice in, size_t step, bool asked_url)
{
    *r = (struct reading){ .refuses = r->refuses };
    s3_reply_xml_open(&r->reply, &r->arena, take, r, asked_url);
    while (in.len > 0) {
        size_t len = in.len < step ? in.len : step;
        uint8_t *copy = malloc(len);
        enum err err;

        memcpy(copy, in.at, len);
        err = s3_reply_xml_feed(&r->reply, slice_of(copy, len));
        free(copy);
        TRY(err);
        in = slice_from(in, len);
    }
    return s3_reply_xml_end(&r->reply);
}

static void done(struct reading *r)
{
    s3_reply_xml_fini(&r->reply);
    arena_fini(&r->arena);
}

static enum err outcome(const char *text, bool asked_url)
{
    struct reading r = { 0 };
    enum err err = read_in_steps(&r, slice_text(text), 5, asked_url);

    done(&r);
    return err;
}

/* ---- lists ---- */

#define CONTENTS(key) "<Contents><Key>" key "</Key></Contents>"
#define LIST(within)  "<ListBucketResult>" within "</ListBucketResult>"

static void a_list_of_objects_is_handed_on_entry_by_entry(void)
{
    struct slice text = bytes(
        "<?xml version='1.0' encoding='UTF-8'?><ListBucketResult xmlns='u'><Name>b</Name>"
        "<Prefix>p%2F</Prefix><NextContinuationToken>t+%41</NextContinuationToken>"
        "<KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><EncodingType>url</EncodingType>"
        "<IsTruncated>true</IsTruncated><Contents><Key>a%20b+c%2Bd%zz%4</Key>"
        "<LastModified>2026-11-28T11:43:22.120Z</LastModified><ETag>&#34;e1&quot;</ETag>"
        "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumAlgorithm>SHA1</ChecksumAlgorithm>"
        "<ChecksumType>FULL_OBJECT</ChecksumType><Size>5497558138880</Size><Owner><ID>o</ID>"
        "<DisplayName>n</DisplayName></Owner><StorageClass>STANDARD</StorageClass></Contents>"
        "<CommonPrefixes><Prefix>x%01%FF/</Prefix><Prefix>y/</Prefix></CommonPrefixes>"
        "<CommonPrefixes><Prefix>z/</Prefix></CommonPrefixes></ListBucketResult>");

    for (size_t step = 1; step <= text.len; step = step < 30 ? step + 1 : 3 * step) {
        struct reading r = { 0 };
        const struct s3_entry *e;

        CHECK_INT(read_in_steps(&r, text, step, true), ERR_NONE);
        CHECK_INT(r.reply.root, S3_ROOT_OBJECTS);
        CHECK(r.reply.is_truncated && r.reply.is_url);
        CHECK_INT(r.reply.key_count, 2);
        CHECK_INT(r.reply.max_keys, 1000);
        CHECK_INT(r.reply.entry_count, 4);
        CHECK_BYTES(r.reply.next_token, bytes("t+%41"));
        CHECK_INT(r.count, 4);
        e = r.entries[0];
        CHECK_INT(e->kind, S3_ENTRY_OBJECT);
        CHECK_BYTES(e->name, bytes("a b c+d%zz%4"));
        CHECK_INT(e->time_ms, 1795866202120);
        CHECK_BYTES(e->etag, bytes("e1"));
        CHECK_BYTES(e->algorithms, bytes("CRC32,SHA1"));
        CHECK_BYTES(e->checksum_type, bytes("FULL_OBJECT"));
        CHECK_INT(e->size, 5497558138880);
        CHECK_BYTES(e->owner_id, bytes("o"));
        CHECK_BYTES(e->owner_name, bytes("n"));
        CHECK_BYTES(e->storage_class, bytes("STANDARD"));
        CHECK_INT(r.entries[1]->kind, S3_ENTRY_PREFIX);
        CHECK_BYTES(r.entries[1]->name, bytes("x\x01\xFF/"));
        CHECK_BYTES(r.entries[2]->name, bytes("y/"));
        CHECK_BYTES(r.entries[3]->name, bytes("z/"));
        CHECK_INT(r.entries[3]->owner_id.len, 0);
        done(&r);
    }
}

/* MinIO says so behind the entries, others not at all. */
static void names_are_decoded_if_that_was_asked_and_the_store_says_so_at_last(void)
{
    CHECK_INT(outcome(LIST(CONTENTS("a%41") "<EncodingType>url</EncodingType>"), true), ERR_NONE);
    CHECK_INT(outcome(LIST(CONTENTS("a%41")), true), ERR_UNSUPPORTED);
    CHECK_INT(outcome(LIST(CONTENTS("a+b")), true), ERR_UNSUPPORTED);
    CHECK_INT(outcome(LIST(CONTENTS("ab")), true), ERR_NONE);
    CHECK_INT(outcome(LIST(CONTENTS("a%41")), false), ERR_NONE);
    CHECK_INT(outcome(LIST(CONTENTS("a%41") "<EncodingType>url</EncodingType>"), false),
              ERR_UNSUPPORTED);
}

static void without_encoding_a_name_is_as_it_stands(void)
{
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r, bytes(LIST(CONTENTS("a+%41&#x1;"))), 3, false), ERR_NONE);
    CHECK_BYTES(r.entries[0]->name, bytes("a+%41\x01"));
    done(&r);
}

static void versions_and_delete_markers_come_in_their_order(void)
{
    struct slice text =
        bytes("<ListVersionsResult><NextKeyMarker>k%2F</NextKeyMarker>"
              "<NextVersionIdMarker>v%41</NextVersionIdMarker><IsTruncated>true</IsTruncated>"
              "<EncodingType>url</EncodingType><DeleteMarker><Key>k</Key><VersionId>3</VersionId>"
              "<IsLatest>true</IsLatest><Owner><ID>o</ID></Owner></DeleteMarker>"
              "<Version><Key>k</Key><VersionId>2</VersionId><IsLatest>false</IsLatest>"
              "<Size>7</Size></Version><CommonPrefixes><Prefix>l/</Prefix></CommonPrefixes>"
              "</ListVersionsResult>");
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r, text, 9, true), ERR_NONE);
    CHECK_INT(r.reply.root, S3_ROOT_VERSIONS);
    CHECK_BYTES(r.reply.next_key_marker, bytes("k/"));
    CHECK_BYTES(r.reply.next_id_marker, bytes("v%41"));
    CHECK_INT(r.count, 3);
    CHECK_INT(r.entries[0]->kind, S3_ENTRY_DELETE_MARKER);
    CHECK(r.entries[0]->is_latest);
    CHECK_BYTES(r.entries[0]->id, bytes("3"));
    CHECK_INT(r.entries[1]->kind, S3_ENTRY_VERSION);
    CHECK(!r.entries[1]->is_latest);
    CHECK_INT(r.entries[1]->size, 7);
    CHECK_INT(r.entries[2]->kind, S3_ENTRY_PREFIX);
    done(&r);
}

static void uploads_come_with_their_ids_and_who_began_them(void)
{
    struct slice text = bytes(
        "<ListMultipartUploadsResult><NextUploadIdMarker>u</NextUploadIdMarker>"
        "<NextKeyMarker>k</NextKeyMarker><MaxUploads>5</MaxUploads><Upload><Key>k</Key>"
        "<UploadId>2~x</UploadId><Initiator><ID>i</ID><DisplayName>j</DisplayName></Initiator>"
        "<Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>"
        "<Initiated>2026-11-28T11:43:22+00:00</Initiated></Upload></ListMultipartUploadsResult>");
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r, text, 9, true), ERR_NONE);
    CHECK_INT(r.reply.root, S3_ROOT_UPLOADS);
    CHECK_BYTES(r.reply.next_id_marker, bytes("u"));
    CHECK_INT(r.reply.max_keys, 5);
    CHECK_INT(r.count, 1);
    CHECK_BYTES(r.entries[0]->id, bytes("2~x"));
    CHECK_BYTES(r.entries[0]->initiator_id, bytes("i"));
    CHECK_BYTES(r.entries[0]->initiator_name, bytes("j"));
    CHECK_INT(r.entries[0]->time_ms, 1795866202000);
    done(&r);
}

static void parts_come_with_their_checksums(void)
{
    struct slice text =
        bytes("<ListPartsResult><Bucket>b</Bucket><Key>a%41</Key><UploadId>u</UploadId>"
              "<NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>2</MaxParts>"
              "<IsTruncated>true</IsTruncated><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
              "<Part><PartNumber>2</PartNumber><ETag>\"e\"</ETag><Size>9</Size>"
              "<ChecksumCRC32>AAAAAA==</ChecksumCRC32></Part></ListPartsResult>");
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r, text, 9, false), ERR_NONE);
    CHECK_INT(r.reply.root, S3_ROOT_PARTS);
    CHECK_BYTES(r.reply.key, bytes("a%41"));
    CHECK_BYTES(r.reply.next_marker, bytes("2"));
    CHECK_BYTES(r.reply.algorithms, bytes("CRC32"));
    CHECK_INT(r.entries[0]->part, 2);
    CHECK_INT(r.entries[0]->size, 9);
    CHECK_INT(r.entries[0]->checksum.kind, S3_CHECKSUM_CRC32);
    CHECK_BYTES(r.entries[0]->checksum.value, bytes("AAAAAA=="));
    CHECK_INT(r.reply.checksum.kind, S3_CHECKSUM_NONE);
    done(&r);
}

static void buckets_come_with_their_age(void)
{
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r,
                            bytes("<ListAllMyBucketsResult><Owner><ID>o</ID></Owner><Buckets>"
                                  "<Bucket><Name>b1</Name><CreationDate>1970-01-01T00:00:01.5Z"
                                  "</CreationDate></Bucket><Bucket><Name>b2</Name></Bucket>"
                                  "</Buckets></ListAllMyBucketsResult>"),
                            4, false),
              ERR_NONE);
    CHECK_INT(r.count, 2);
    CHECK_BYTES(r.entries[0]->name, bytes("b1"));
    CHECK_INT(r.entries[0]->time_ms, 1500);
    CHECK(r.entries[1]->time_ms == S3_NO_TIME);
    CHECK_BYTES(r.reply.owner_id, bytes("o"));
    done(&r);
}

/* ---- results ---- */

static void a_complete_may_succeed_after_blanks(void)
{
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r,
                            bytes("<?xml version='1.0'?>\n  \n   <CompleteMultipartUploadResult>"
                                  "<Location>l</Location><Bucket>b</Bucket><Key>k</Key>"
                                  "<ETag>&quot;e-2&quot;</ETag><ChecksumCRC32>c-2</ChecksumCRC32>"
                                  "<ChecksumType>COMPOSITE</ChecksumType>"
                                  "</CompleteMultipartUploadResult>"),
                            3, false),
              ERR_NONE);
    CHECK_INT(r.reply.root, S3_ROOT_COMPLETED);
    CHECK_BYTES(r.reply.etag, bytes("e-2"));
    CHECK_BYTES(r.reply.location, bytes("l"));
    CHECK_INT(r.reply.checksum.kind, S3_CHECKSUM_CRC32);
    CHECK_BYTES(r.reply.checksum.value, bytes("c-2"));
    CHECK_BYTES(r.reply.checksum_type, bytes("COMPOSITE"));
    done(&r);
}

static void a_complete_may_fail_after_blanks(void)
{
    struct slice text = bytes("   \n  <Error><Code>InternalError</Code><Message>m &lt;</Message>"
                              "<Resource>/b/k</Resource><RequestId>r</RequestId>"
                              "<HostId>h</HostId><Extra><Deep/></Extra></Error>");

    for (size_t step = 1; step <= text.len; step++) {
        struct reading r = { 0 };

        CHECK_INT(read_in_steps(&r, text, step, false), ERR_NONE);
        CHECK_INT(r.reply.root, S3_ROOT_ERROR);
        CHECK_BYTES(r.reply.code, bytes("InternalError"));
        CHECK_BYTES(r.reply.message, bytes("m <"));
        CHECK_BYTES(r.reply.resource, bytes("/b/k"));
        CHECK_BYTES(r.reply.request_id, bytes("r"));
        CHECK_BYTES(r.reply.host_id, bytes("h"));
        done(&r);
    }
}

static void blanks_alone_are_no_reply(void)
{
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r, bytes("    \n"), 1, false), ERR_SYNTAX);
    CHECK_INT(r.reply.root, S3_ROOT_NONE);
    done(&r);
}

static void a_copy_tells_etag_and_time(void)
{
    static const char *const TEXTS[] = {
        "<CopyObjectResult><LastModified>1970-01-01T00:00:00.000Z</LastModified>"
        "<ETag>\"e\"</ETag></CopyObjectResult>",
        "<CopyPartResult><ETag>e</ETag><LastModified>1970-01-01T00:00:00Z</LastModified>"
        "</CopyPartResult>",
    };

    for (size_t i = 0; i < 2; i++) {
        struct reading r = { 0 };

        CHECK_INT(read_in_steps(&r, slice_text(TEXTS[i]), 6, false), ERR_NONE);
        CHECK_INT(r.reply.root, S3_ROOT_COPIED);
        CHECK_BYTES(r.reply.etag, bytes("e"));
        CHECK_INT(r.reply.time_ms, 0);
        done(&r);
    }
}

static void deletions_tell_what_became_of_each_key(void)
{
    struct slice text =
        bytes("<DeleteResult><Deleted><Key>a&#x1;</Key></Deleted><Error><Key>b</Key>"
              "<VersionId>v</VersionId><Code>AccessDenied</Code><Message>m</Message></Error>"
              "<Deleted><Key>c</Key><DeleteMarker>true</DeleteMarker>"
              "<DeleteMarkerVersionId>d</DeleteMarkerVersionId></Deleted></DeleteResult>");
    struct reading r = { 0 };

    CHECK_INT(read_in_steps(&r, text, 6, false), ERR_NONE);
    CHECK_INT(r.count, 3);
    CHECK_INT(r.entries[0]->kind, S3_ENTRY_DELETED);
    CHECK_BYTES(r.entries[0]->name, bytes("a\x01"));
    CHECK_INT(r.entries[1]->kind, S3_ENTRY_NOT_DELETED);
    CHECK_BYTES(r.entries[1]->id, bytes("v"));
    CHECK_BYTES(r.entries[1]->code, bytes("AccessDenied"));
    CHECK(r.entries[2]->is_delete_marker);
    CHECK_BYTES(r.entries[2]->marker_id, bytes("d"));
    CHECK_INT(r.reply.code.len, 0);
    done(&r);
}

static void other_roots_are_known_or_passed_over(void)
{
    struct reading r = { 0 };

    CHECK_INT(
        read_in_steps(&r, bytes("<LocationConstraint xmlns='u'>eu</LocationConstraint>"), 6, false),
        ERR_NONE);
    CHECK_BYTES(r.reply.location, bytes("eu"));
    done(&r);
    CHECK_INT(read_in_steps(&r,
                            bytes("<VersioningConfiguration><Status>Enabled</Status>"
                                  "</VersioningConfiguration>"),
                            6, false),
              ERR_NONE);
    CHECK_BYTES(r.reply.status, bytes("Enabled"));
    done(&r);
    CHECK_INT(read_in_steps(&r,
                            bytes("<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>"
                                  "<UploadId>2~u</UploadId></InitiateMultipartUploadResult>"),
                            6, false),
              ERR_NONE);
    CHECK_BYTES(r.reply.upload_id, bytes("2~u"));
    done(&r);
    CHECK_INT(read_in_steps(&r, bytes("<html><body>x</body></html>"), 6, false), ERR_NONE);
    CHECK_INT(r.reply.root, S3_ROOT_OTHER);
    done(&r);
}

static void entries_without_names_and_numbers_that_are_none_are_refused(void)
{
    CHECK_INT(outcome(LIST(CONTENTS("")), true), ERR_SYNTAX);
    CHECK_INT(outcome(LIST("<Contents/>"), true), ERR_SYNTAX);
    CHECK_INT(outcome(LIST("<CommonPrefixes><Prefix/></CommonPrefixes>"), true), ERR_SYNTAX);
    CHECK_INT(outcome(LIST("<Contents><Key>a</Key><Size>-1</Size></Contents>"), true), ERR_SYNTAX);
    CHECK_INT(outcome(LIST("<Contents><Key>a</Key><LastModified>yesterday</LastModified>"
                           "</Contents>"),
                      true),
              ERR_SYNTAX);
    CHECK_INT(outcome("<ListPartsResult><Part><ETag>e</ETag></Part></ListPartsResult>", false),
              ERR_SYNTAX);
    CHECK_INT(outcome("<ListPartsResult><Part><PartNumber>4294967296</PartNumber></Part>"
                      "</ListPartsResult>",
                      false),
              ERR_SYNTAX);
    CHECK_INT(outcome(LIST(CONTENTS("a")) "x", true), ERR_SYNTAX);
    CHECK_INT(outcome("<ListBucketResult>", true), ERR_SYNTAX);
}

static void an_entry_is_so_large_and_no_larger(void)
{
    for (int more = 0; more <= 1; more++) {
        struct reading r = { 0 };
        struct buf text = { 0 };

        buf_format(&text,
                   "<ListBucketResult><Contents><Key>%0*d</Key><ETag>%0*d</ETag></Contents>"
                   "</ListBucketResult>",
                   8192, 1, 8192 + more, 1);
        CHECK_INT(read_in_steps(&r, buf_all(&text), 4096, true), more > 0 ? ERR_LIMIT : ERR_NONE);
        done(&r);
        buf_fini(&text);
    }
}

static void who_takes_the_entries_may_stop_the_reading(void)
{
    struct reading r = { .refuses = ERR_PROTOCOL };

    CHECK_INT(read_in_steps(&r, bytes(LIST(CONTENTS("a") CONTENTS("b"))), 100, true), ERR_PROTOCOL);
    CHECK_INT(r.count, 1);
    done(&r);
}

int main(void)
{
    RUN(a_list_of_objects_is_handed_on_entry_by_entry);
    RUN(names_are_decoded_if_that_was_asked_and_the_store_says_so_at_last);
    RUN(without_encoding_a_name_is_as_it_stands);
    RUN(versions_and_delete_markers_come_in_their_order);
    RUN(uploads_come_with_their_ids_and_who_began_them);
    RUN(parts_come_with_their_checksums);
    RUN(buckets_come_with_their_age);
    RUN(a_complete_may_succeed_after_blanks);
    RUN(a_complete_may_fail_after_blanks);
    RUN(blanks_alone_are_no_reply);
    RUN(a_copy_tells_etag_and_time);
    RUN(deletions_tell_what_became_of_each_key);
    RUN(other_roots_are_known_or_passed_over);
    RUN(entries_without_names_and_numbers_that_are_none_are_refused);
    RUN(an_entry_is_so_large_and_no_larger);
    RUN(who_takes_the_entries_may_stop_the_reading);
    return check_report();
}
