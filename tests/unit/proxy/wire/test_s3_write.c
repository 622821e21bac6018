#include "proxy/wire/s3_write.h"

#include "proxy/wire/s3_request_xml.h"
#include "tests/unit/check.h"

#define XML "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
#define NS  " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\""

static void check_written(struct buf *found, struct slice expected)
{
    CHECK_BYTES(buf_all(found), expected);
    buf_fini(found);
}

static void text_is_escaped(void)
{
    struct buf out = { 0 };

    s3_write_text(&out, "K", bytes("a<b>&\"'\t\n\r\x01\x1F\x7F\xC3\xA9 "));
    check_written(&out, bytes("<K>a&lt;b&gt;&amp;&quot;'&#x9;&#xA;&#xD;&#x1;&#x1F;&#x7F;\xC3\xA9 "
                              "</K>"));
}

static void what_is_no_utf8_does_not_spoil_the_document(void)
{
    struct buf out = { 0 };

    s3_write_text(&out, "K",
                  bytes("\xFF|\xC0\xAF|\xED\xA0\x80|\xF4\x90\x80\x80|\xE2\x82|\xEF\xBF\xBE|"
                        "\xEF\xBF\xBF|\xF0\x9F\x98\x80"));
    check_written(&out, bytes("<K>\xEF\xBF\xBD|\xEF\xBF\xBD\xEF\xBF\xBD|"
                              "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
                              "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD|"
                              "\xEF\xBF\xBD\xEF\xBF\xBD|&#xFFFE;|&#xFFFF;|\xF0\x9F\x98\x80</K>"));
}

static void names_are_encoded_if_that_was_asked(void)
{
    struct buf out = { 0 };

    s3_write_name(&out, "Key", bytes("a/b c+d~e%\xC3\xA9\x01&!*'()"), true);
    check_written(&out, bytes("<Key>a/b%20c%2Bd~e%25%C3%A9%01%26%21%2A%27%28%29</Key>"));
    s3_write_name(&out, "Key", bytes("a b&"), false);
    check_written(&out, bytes("<Key>a b&amp;</Key>"));
}

static void an_object_is_told_with_all_that_is_known_of_it(void)
{
    struct s3_entry entry = { .kind = S3_ENTRY_OBJECT,
                              .name = bytes("k 1"),
                              .etag = bytes("e"),
                              .size = UINT64_MAX,
                              .time_ms = 1795866202120,
                              .algorithms = bytes("CRC32,SHA1"),
                              .owner_id = bytes("o"),
                              .storage_class = bytes("GLACIER") };
    struct s3_entry prefix = { .kind = S3_ENTRY_PREFIX, .name = bytes("j/") };
    struct s3_list_head head = { .bucket = bytes("b"),
                                 .delimiter = bytes("/"),
                                 .max_keys = 2,
                                 .is_truncated = true,
                                 .next_token = bytes("t") };
    struct s3_list_writer list;
    struct buf out = { 0 };

    s3_list_open(&list, S3_LIST_OBJECTS_V2, true);
    s3_list_put(&list, &prefix);
    s3_list_put(&list, &entry);
    s3_list_close(&list, &head, &out);
    s3_list_fini(&list);
    check_written(&out,
                  bytes(XML "<ListBucketResult" NS "><Name>b</Name><Prefix></Prefix>"
                            "<NextContinuationToken>t</NextContinuationToken><KeyCount>2</KeyCount>"
                            "<MaxKeys>2</MaxKeys><Delimiter>/</Delimiter>"
                            "<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
                            "<Contents><Key>k%201</Key><LastModified>2026-11-28T11:43:22.120Z"
                            "</LastModified><ETag>&quot;e&quot;</ETag>"
                            "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"
                            "<ChecksumAlgorithm>SHA1</ChecksumAlgorithm>"
                            "<Size>18446744073709551615</Size><StorageClass>GLACIER</StorageClass>"
                            "</Contents><CommonPrefixes><Prefix>j/</Prefix></CommonPrefixes>"
                            "</ListBucketResult>"));
}

static void a_list_in_two_pieces_is_the_same(void)
{
    struct s3_entry object = { .kind = S3_ENTRY_OBJECT, .name = bytes("k") };
    struct s3_entry prefix = { .kind = S3_ENTRY_PREFIX, .name = bytes("j/") };
    struct s3_entry bucket = { .kind = S3_ENTRY_BUCKET, .name = bytes("b") };
    struct s3_list_head head = { .bucket = bytes("b"), .next_token = bytes("t") };

    for (int kind = S3_LIST_OBJECTS_V1; kind <= S3_LIST_BUCKETS; kind++) {
        struct s3_list_writer list;
        struct buf whole = { 0 }, pieces = { 0 };

        s3_list_open(&list, (enum s3_list_kind)kind, true);
        s3_list_put(&list, kind == S3_LIST_BUCKETS ? &bucket : &object);
        if (kind < S3_LIST_PARTS)
            s3_list_put(&list, &prefix);
        s3_list_close(&list, &head, &whole);
        s3_list_wrap(&list, &head, &pieces);
        CHECK(list.entries.len > 0 && pieces.len + list.entries.len == whole.len);
        buf_slice(&pieces, buf_all(&list.entries));
        CHECK_BYTES(buf_all(&pieces), buf_all(&whole));
        buf_fini(&whole);
        buf_fini(&pieces);
        s3_list_fini(&list);
    }
}

static void a_first_list_tells_owners_and_markers(void)
{
    struct s3_entry entry = { .kind = S3_ENTRY_OBJECT,
                              .name = bytes("k"),
                              .owner_id = bytes("o"),
                              .owner_name = bytes("n"),
                              .time_ms = 0 };
    struct s3_list_head head = { .bucket = bytes("b"),
                                 .prefix = bytes("p\x01"),
                                 .max_keys = 1000,
                                 .marker = bytes("m"),
                                 .next_marker = bytes("k") };
    struct s3_list_writer list;
    struct buf out = { 0 };

    s3_list_open(&list, S3_LIST_OBJECTS_V1, false);
    s3_list_put(&list, &entry);
    s3_list_close(&list, &head, &out);
    s3_list_fini(&list);
    check_written(&out,
                  bytes(XML "<ListBucketResult" NS "><Name>b</Name><Prefix>p&#x1;</Prefix>"
                            "<Marker>m</Marker><NextMarker>k</NextMarker><MaxKeys>1000</MaxKeys>"
                            "<IsTruncated>false</IsTruncated><Contents><Key>k</Key>"
                            "<LastModified>1970-01-01T00:00:00.000Z</LastModified><Size>0</Size>"
                            "<Owner><ID>o</ID><DisplayName>n</DisplayName></Owner>"
                            "<StorageClass>STANDARD</StorageClass></Contents>"
                            "</ListBucketResult>"));
}

static void versions_stay_mixed_with_delete_markers(void)
{
    struct s3_entry marker = { .kind = S3_ENTRY_DELETE_MARKER,
                               .name = bytes("k"),
                               .id = bytes("2"),
                               .is_latest = true,
                               .time_ms = S3_NO_TIME };
    struct s3_entry version = { .kind = S3_ENTRY_VERSION,
                                .name = bytes("k"),
                                .etag = bytes("e"),
                                .time_ms = S3_NO_TIME,
                                .size = 1 };
    struct s3_list_head head = { .bucket = bytes("b"),
                                 .max_keys = 2,
                                 .is_truncated = true,
                                 .next_key_marker = bytes("k"),
                                 .next_id_marker = bytes("null") };
    struct s3_list_writer list;
    struct buf out = { 0 };

    s3_list_open(&list, S3_LIST_VERSIONS, false);
    s3_list_put(&list, &marker);
    s3_list_put(&list, &version);
    s3_list_close(&list, &head, &out);
    s3_list_fini(&list);
    check_written(
        &out,
        bytes(XML "<ListVersionsResult" NS "><Name>b</Name><Prefix></Prefix><KeyMarker></KeyMarker>"
                  "<VersionIdMarker></VersionIdMarker><NextKeyMarker>k</NextKeyMarker>"
                  "<NextVersionIdMarker>null</NextVersionIdMarker><MaxKeys>2</MaxKeys>"
                  "<IsTruncated>true</IsTruncated><DeleteMarker><Key>k</Key><VersionId>2"
                  "</VersionId><IsLatest>true</IsLatest></DeleteMarker><Version><Key>k</Key>"
                  "<VersionId>null</VersionId><IsLatest>false</IsLatest>"
                  "<ETag>&quot;e&quot;</ETag><Size>1</Size><StorageClass>STANDARD</StorageClass>"
                  "</Version></ListVersionsResult>"));
}

static void uploads_parts_and_buckets_have_lists_of_their_own(void)
{
    struct s3_entry upload = { .kind = S3_ENTRY_UPLOAD,
                               .name = bytes("k"),
                               .id = bytes("u"),
                               .initiator_id = bytes("i"),
                               .time_ms = 0 };
    struct s3_entry part = { .kind = S3_ENTRY_PART,
                             .part = 7,
                             .etag = bytes("e"),
                             .size = 5,
                             .time_ms = S3_NO_TIME,
                             .checksum = { S3_CHECKSUM_CRC64NVME, bytes("c=") } };
    struct s3_entry bucket = { .kind = S3_ENTRY_BUCKET, .name = bytes("b1"), .time_ms = 0 };
    struct s3_list_head head = { .bucket = bytes("b"),
                                 .max_keys = 9,
                                 .key = bytes("k"),
                                 .upload_id = bytes("u"),
                                 .next_marker = bytes("7"),
                                 .owner_id = bytes("o") };
    struct s3_list_writer list;
    struct buf out = { 0 };

    s3_list_open(&list, S3_LIST_UPLOADS, false);
    s3_list_put(&list, &upload);
    s3_list_close(&list, &head, &out);
    s3_list_fini(&list);
    check_written(&out, bytes(XML "<ListMultipartUploadsResult" NS "><Bucket>b</Bucket>"
                                  "<KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker>"
                                  "<MaxUploads>9</MaxUploads><IsTruncated>false</IsTruncated>"
                                  "<Upload><Key>k</Key><UploadId>u</UploadId><Initiator><ID>i</ID>"
                                  "</Initiator><StorageClass>STANDARD</StorageClass>"
                                  "<Initiated>1970-01-01T00:00:00.000Z</Initiated></Upload>"
                                  "</ListMultipartUploadsResult>"));
    s3_list_open(&list, S3_LIST_PARTS, false);
    s3_list_put(&list, &part);
    s3_list_close(&list, &head, &out);
    s3_list_fini(&list);
    check_written(&out,
                  bytes(XML "<ListPartsResult" NS
                            "><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId>"
                            "<Owner><ID>o</ID></Owner><StorageClass>STANDARD</StorageClass>"
                            "<PartNumberMarker>0</PartNumberMarker>"
                            "<NextPartNumberMarker>7</NextPartNumberMarker><MaxParts>9</MaxParts>"
                            "<IsTruncated>false</IsTruncated><Part><PartNumber>7</PartNumber>"
                            "<ETag>&quot;e&quot;</ETag><Size>5</Size>"
                            "<ChecksumCRC64NVME>c=</ChecksumCRC64NVME></Part></ListPartsResult>"));
    s3_list_open(&list, S3_LIST_BUCKETS, false);
    s3_list_put(&list, &bucket);
    s3_list_close(&list, &(struct s3_list_head){ .owner_id = bytes("o") }, &out);
    s3_list_fini(&list);
    check_written(&out, bytes(XML "<ListAllMyBucketsResult" NS "><Owner><ID>o</ID></Owner>"
                                  "<Buckets><Bucket><Name>b1</Name><CreationDate>"
                                  "1970-01-01T00:00:00.000Z</CreationDate></Bucket></Buckets>"
                                  "</ListAllMyBucketsResult>"));
}

static void results_of_single_operations(void)
{
    struct s3_completed completed = { .location = bytes("http://h/b/k"),
                                      .bucket = bytes("b"),
                                      .key = bytes("k"),
                                      .etag = bytes("e-1"),
                                      .checksum = { S3_CHECKSUM_CRC32, bytes("c-1") },
                                      .checksum_type = bytes("COMPOSITE") };
    struct buf out = { 0 };

    s3_write_initiated(&out, bytes("b"), bytes("k"), bytes("u"));
    check_written(&out, bytes(XML "<InitiateMultipartUploadResult" NS "><Bucket>b</Bucket>"
                                  "<Key>k</Key><UploadId>u</UploadId>"
                                  "</InitiateMultipartUploadResult>"));
    s3_write_completed(&out, &completed, true);
    check_written(&out, bytes("<CompleteMultipartUploadResult" NS "><Location>http://h/b/k"
                              "</Location><Bucket>b</Bucket><Key>k</Key>"
                              "<ETag>&quot;e-1&quot;</ETag><ChecksumCRC32>c-1</ChecksumCRC32>"
                              "<ChecksumType>COMPOSITE</ChecksumType>"
                              "</CompleteMultipartUploadResult>"));
    s3_write_copied(&out, "CopyPartResult", bytes("e"), 0, NULL, false);
    check_written(&out, bytes(XML "<CopyPartResult" NS "><LastModified>1970-01-01T00:00:00.000Z"
                                  "</LastModified><ETag>&quot;e&quot;</ETag></CopyPartResult>"));
    s3_write_location(&out, bytes("us-east-1"));
    check_written(&out, bytes(XML "<LocationConstraint" NS "></LocationConstraint>"));
    s3_write_location(&out, bytes("eu&1"));
    check_written(&out, bytes(XML "<LocationConstraint" NS ">eu&amp;1</LocationConstraint>"));
    s3_write_versioning(&out, bytes("Enabled"));
    check_written(&out, bytes(XML "<VersioningConfiguration" NS "><Status>Enabled</Status>"
                                  "</VersioningConfiguration>"));
    s3_write_tags(&out, &(struct s3_tag){ bytes("k"), bytes("<v") }, 1);
    check_written(&out, bytes(XML "<Tagging" NS "><TagSet><Tag><Key>k</Key><Value>&lt;v</Value>"
                                  "</Tag></TagSet></Tagging>"));
}

static void deletions_are_told_one_by_one(void)
{
    struct s3_entry deleted = { .kind = S3_ENTRY_DELETED,
                                .name = bytes("a\x01"),
                                .id = bytes("v"),
                                .is_delete_marker = true,
                                .marker_id = bytes("m") };
    struct s3_entry failed = { .kind = S3_ENTRY_NOT_DELETED,
                               .name = bytes("b"),
                               .code = bytes("SlowDown"),
                               .message = bytes("shard 1 is down") };
    struct buf out = { 0 };

    s3_write_begin(&out, "DeleteResult");
    s3_write_deleted(&out, &deleted);
    s3_write_deleted(&out, &failed);
    s3_write_close(&out, "DeleteResult");
    check_written(&out,
                  bytes(XML "<DeleteResult" NS "><Deleted><Key>a&#x1;</Key><VersionId>v</VersionId>"
                            "<DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>m"
                            "</DeleteMarkerVersionId></Deleted><Error><Key>b</Key>"
                            "<Code>SlowDown</Code><Message>shard 1 is down</Message></Error>"
                            "</DeleteResult>"));
}

static void errors_have_a_code_and_may_have_more(void)
{
    static const struct s3_error_extra EXTRAS[] = {
        { "ServerTime", { (const uint8_t *)"2026-11-28T11:43:22Z", 20 } },
        { "MaxAllowedSkewMilliseconds", { (const uint8_t *)"900000", 6 } },
    };
    struct s3_error_document error = { .code = "RequestTimeTooSkewed",
                                       .message = bytes("too <far>"),
                                       .resource = bytes("/b/k"),
                                       .request_id = bytes("r"),
                                       .host_id = bytes("h"),
                                       .extras = EXTRAS,
                                       .extra_count = 2 };
    struct buf out = { 0 };

    s3_write_error(&out, &error, false);
    check_written(&out, bytes(XML "<Error><Code>RequestTimeTooSkewed</Code>"
                                  "<Message>too &lt;far&gt;</Message><Resource>/b/k</Resource>"
                                  "<ServerTime>2026-11-28T11:43:22Z</ServerTime>"
                                  "<MaxAllowedSkewMilliseconds>900000"
                                  "</MaxAllowedSkewMilliseconds><RequestId>r</RequestId>"
                                  "<HostId>h</HostId></Error>"));
    error = (struct s3_error_document){ .code = "NoSuchKey",
                                        .key = bytes("k\x02"),
                                        .bucket = bytes("b") };
    s3_write_error(&out, &error, true);
    check_written(&out, bytes("<Error><Code>NoSuchKey</Code><Message></Message><Key>k&#x2;</Key>"
                              "<BucketName>b</BucketName><RequestId></RequestId>"
                              "<HostId></HostId></Error>"));
}

int main(void)
{
    RUN(text_is_escaped);
    RUN(what_is_no_utf8_does_not_spoil_the_document);
    RUN(names_are_encoded_if_that_was_asked);
    RUN(an_object_is_told_with_all_that_is_known_of_it);
    RUN(a_list_in_two_pieces_is_the_same);
    RUN(a_first_list_tells_owners_and_markers);
    RUN(versions_stay_mixed_with_delete_markers);
    RUN(uploads_parts_and_buckets_have_lists_of_their_own);
    RUN(results_of_single_operations);
    RUN(deletions_are_told_one_by_one);
    RUN(errors_have_a_code_and_may_have_more);
    return check_report();
}
