/* See s3_reply_xml.h.  What is read stands in tables, one for each root: the path of an element,
 * how its text is read, and where that goes.  An entry's text goes to one buffer of fixed size,
 * which is used again for the next entry; what belongs to the reply goes to the arena, the first
 * time it is told. */
#include "proxy/wire/s3_reply_xml.h"

#include <assert.h>
#include <stddef.h>

enum {
    REPLY_BYTES = 16 * 1024 * 1024, /* 1000 entries with the longest names take a third of it */
    ENTRY_BYTES = 16 * 1024,        /* a percent-encoded key, and all the rest */
};

enum how {
    AS_NOTHING,
    AS_TEXT,
    AS_NAME,
    AS_ETAG,
    AS_TIME,
    AS_NUMBER,
    AS_PART,
    AS_BOOL,
    AS_MANY,
    AS_URL,
};

struct s3_reply_row {
    struct slice path;
    enum how how;
    bool in_entry;
    size_t place;  /* of the field in the entry or the reply */
    bool is_entry; /* the element is one, of this kind */
    enum s3_entry_kind kind;
};

#define PATH(text)                                                                                 \
    {                                                                                              \
        (const uint8_t *)(text), sizeof(text) - 1                                                  \
    }
#define ROW(text, as, in, at)                                                                      \
    {                                                                                              \
        .path = PATH(text), .how = (as), .in_entry = (in), .place = (at)                           \
    }
#define ENTRY(path, how, field) ROW(path, how, true, offsetof(struct s3_entry, field))
#define REPLY(path, how, field) ROW(path, how, false, offsetof(struct s3_reply_xml, field))
#define BEGINS(text, of)                                                                           \
    {                                                                                              \
        .path = PATH(text), .is_entry = true, .kind = (of)                                         \
    }
#define OWNER(of)                                                                                  \
    ENTRY(of "/Owner/ID", AS_TEXT, owner_id), ENTRY(of "/Owner/DisplayName", AS_TEXT, owner_name)
#define OBJECT(of)                                                                                 \
    ENTRY(of "/Key", AS_NAME, name), ENTRY(of "/LastModified", AS_TIME, time_ms),                  \
        ENTRY(of "/ETag", AS_ETAG, etag), ENTRY(of "/Size", AS_NUMBER, size),                      \
        ENTRY(of "/StorageClass", AS_TEXT, storage_class),                                         \
        ENTRY(of "/ChecksumAlgorithm", AS_MANY, algorithms),                                       \
        ENTRY(of "/ChecksumType", AS_TEXT, checksum_type), OWNER(of)
/* Some stores put several Prefix into one CommonPrefixes: the inner one is the entry. */
#define LIST                                                                                       \
    { .path = PATH("CommonPrefixes/Prefix"),                                                       \
      .how = AS_NAME,                                                                              \
      .in_entry = true,                                                                            \
      .place = offsetof(struct s3_entry, name),                                                    \
      .is_entry = true,                                                                            \
      .kind = S3_ENTRY_PREFIX },                                                                   \
        REPLY("IsTruncated", AS_BOOL, is_truncated), REPLY("EncodingType", AS_URL, is_url)

static const struct s3_reply_row ERROR_ROWS[] = {
    REPLY("Code", AS_TEXT, code),
    REPLY("Message", AS_TEXT, message),
    REPLY("Resource", AS_TEXT, resource),
    REPLY("Key", AS_TEXT, key),
    REPLY("BucketName", AS_TEXT, bucket),
    REPLY("UploadId", AS_TEXT, upload_id),
    REPLY("RequestId", AS_TEXT, request_id),
    REPLY("HostId", AS_TEXT, host_id),
    REPLY("Region", AS_TEXT, region),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row OBJECTS_ROWS[] = {
    BEGINS("Contents", S3_ENTRY_OBJECT),
    OBJECT("Contents"),
    LIST,
    REPLY("KeyCount", AS_NUMBER, key_count),
    REPLY("MaxKeys", AS_NUMBER, max_keys),
    REPLY("NextMarker", AS_NAME, next_marker),
    REPLY("NextContinuationToken", AS_TEXT, next_token),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row VERSIONS_ROWS[] = {
    BEGINS("Version", S3_ENTRY_VERSION),
    BEGINS("DeleteMarker", S3_ENTRY_DELETE_MARKER),
    OBJECT("Version"),
    ENTRY("Version/VersionId", AS_TEXT, id),
    ENTRY("Version/IsLatest", AS_BOOL, is_latest),
    ENTRY("DeleteMarker/Key", AS_NAME, name),
    ENTRY("DeleteMarker/VersionId", AS_TEXT, id),
    ENTRY("DeleteMarker/IsLatest", AS_BOOL, is_latest),
    ENTRY("DeleteMarker/LastModified", AS_TIME, time_ms),
    OWNER("DeleteMarker"),
    LIST,
    REPLY("MaxKeys", AS_NUMBER, max_keys),
    REPLY("NextKeyMarker", AS_NAME, next_key_marker),
    REPLY("NextVersionIdMarker", AS_TEXT, next_id_marker),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row UPLOADS_ROWS[] = {
    BEGINS("Upload", S3_ENTRY_UPLOAD),
    ENTRY("Upload/Key", AS_NAME, name),
    ENTRY("Upload/UploadId", AS_TEXT, id),
    ENTRY("Upload/Initiated", AS_TIME, time_ms),
    ENTRY("Upload/StorageClass", AS_TEXT, storage_class),
    ENTRY("Upload/ChecksumAlgorithm", AS_MANY, algorithms),
    ENTRY("Upload/ChecksumType", AS_TEXT, checksum_type),
    OWNER("Upload"),
    ENTRY("Upload/Initiator/ID", AS_TEXT, initiator_id),
    ENTRY("Upload/Initiator/DisplayName", AS_TEXT, initiator_name),
    LIST,
    REPLY("MaxUploads", AS_NUMBER, max_keys),
    REPLY("NextKeyMarker", AS_NAME, next_key_marker),
    REPLY("NextUploadIdMarker", AS_TEXT, next_id_marker),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row PARTS_ROWS[] = {
    BEGINS("Part", S3_ENTRY_PART),
    ENTRY("Part/PartNumber", AS_PART, part),
    ENTRY("Part/LastModified", AS_TIME, time_ms),
    ENTRY("Part/ETag", AS_ETAG, etag),
    ENTRY("Part/Size", AS_NUMBER, size),
    REPLY("IsTruncated", AS_BOOL, is_truncated),
    REPLY("MaxParts", AS_NUMBER, max_keys),
    REPLY("NextPartNumberMarker", AS_TEXT, next_marker),
    REPLY("Bucket", AS_TEXT, bucket),
    REPLY("Key", AS_TEXT, key),
    REPLY("UploadId", AS_TEXT, upload_id),
    REPLY("StorageClass", AS_TEXT, storage_class),
    REPLY("ChecksumAlgorithm", AS_TEXT, algorithms),
    REPLY("ChecksumType", AS_TEXT, checksum_type),
    REPLY("Owner/ID", AS_TEXT, owner_id),
    REPLY("Owner/DisplayName", AS_TEXT, owner_name),
    REPLY("Initiator/ID", AS_TEXT, initiator_id),
    REPLY("Initiator/DisplayName", AS_TEXT, initiator_name),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row BUCKETS_ROWS[] = {
    BEGINS("Buckets/Bucket", S3_ENTRY_BUCKET),
    ENTRY("Buckets/Bucket/Name", AS_TEXT, name),
    ENTRY("Buckets/Bucket/CreationDate", AS_TIME, time_ms),
    REPLY("Owner/ID", AS_TEXT, owner_id),
    REPLY("Owner/DisplayName", AS_TEXT, owner_name),
    REPLY("ContinuationToken", AS_TEXT, next_token),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row UPLOAD_ROWS[] = {
    REPLY("Bucket", AS_TEXT, bucket),
    REPLY("Key", AS_TEXT, key),
    REPLY("UploadId", AS_TEXT, upload_id),
    REPLY("Location", AS_TEXT, location),
    REPLY("ETag", AS_ETAG, etag),
    REPLY("ChecksumType", AS_TEXT, checksum_type),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row COPIED_ROWS[] = {
    REPLY("ETag", AS_ETAG, etag),
    REPLY("LastModified", AS_TIME, time_ms),
    REPLY("ChecksumType", AS_TEXT, checksum_type),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row DELETED_ROWS[] = {
    BEGINS("Deleted", S3_ENTRY_DELETED),
    BEGINS("Error", S3_ENTRY_NOT_DELETED),
    ENTRY("Deleted/Key", AS_TEXT, name),
    ENTRY("Deleted/VersionId", AS_TEXT, id),
    ENTRY("Deleted/DeleteMarker", AS_BOOL, is_delete_marker),
    ENTRY("Deleted/DeleteMarkerVersionId", AS_TEXT, marker_id),
    ENTRY("Error/Key", AS_TEXT, name),
    ENTRY("Error/VersionId", AS_TEXT, id),
    ENTRY("Error/Code", AS_TEXT, code),
    ENTRY("Error/Message", AS_TEXT, message),
    { .how = AS_NOTHING },
};

static const struct s3_reply_row LOCATION_ROWS[] = { REPLY("", AS_TEXT, location),
                                                     { .how = AS_NOTHING } };
static const struct s3_reply_row VERSIONING_ROWS[] = { REPLY("Status", AS_TEXT, status),
                                                       { .how = AS_NOTHING } };
static const struct s3_reply_row NO_ROWS[] = { { .how = AS_NOTHING } };

static const struct {
    const char *name;
    const struct s3_reply_row *rows;
    enum s3_root root;
} ROOTS[] = {
    { "Error", ERROR_ROWS, S3_ROOT_ERROR },
    { "ListBucketResult", OBJECTS_ROWS, S3_ROOT_OBJECTS },
    { "ListVersionsResult", VERSIONS_ROWS, S3_ROOT_VERSIONS },
    { "ListMultipartUploadsResult", UPLOADS_ROWS, S3_ROOT_UPLOADS },
    { "ListPartsResult", PARTS_ROWS, S3_ROOT_PARTS },
    { "ListAllMyBucketsResult", BUCKETS_ROWS, S3_ROOT_BUCKETS },
    { "InitiateMultipartUploadResult", UPLOAD_ROWS, S3_ROOT_INITIATED },
    { "CompleteMultipartUploadResult", UPLOAD_ROWS, S3_ROOT_COMPLETED },
    { "CopyObjectResult", COPIED_ROWS, S3_ROOT_COPIED },
    { "CopyPartResult", COPIED_ROWS, S3_ROOT_COPIED },
    { "DeleteResult", DELETED_ROWS, S3_ROOT_DELETED },
    { "LocationConstraint", LOCATION_ROWS, S3_ROOT_LOCATION },
    { "VersioningConfiguration", VERSIONING_ROWS, S3_ROOT_VERSIONING },
};

/* ---- one field ---- */

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The length that is left; `out` may be `in`.  AWS writes a blank as '+', others as %20. */
static size_t url_decode(struct slice in, uint8_t *out)
{
    size_t len = 0;

    for (size_t i = 0; i < in.len; i++) {
        uint8_t c = in.at[i];

        if (c == '+') {
            c = ' ';
        } else if (c == '%' && in.len - i > 2 && hex_value(in.at[i + 1]) >= 0 &&
                   hex_value(in.at[i + 2]) >= 0) {
            c = (uint8_t)(hex_value(in.at[i + 1]) * 16 + hex_value(in.at[i + 2]));
            i += 2;
        }
        out[len++] = c;
    }
    return len;
}

static struct slice unquoted(struct slice etag)
{
    if (etag.len >= 2 && etag.at[0] == '"' && etag.at[etag.len - 1] == '"')
        return slice_of(etag.at + 1, etag.len - 2);
    return etag;
}

/* Room that lasts as long as what the row belongs to. */
static enum err take_room(struct s3_reply_xml *reply, bool in_entry, size_t len, uint8_t **out)
{
    if (!in_entry) {
        *out = arena_bytes(reply->arena, len + 1);
        return ERR_NONE;
    }
    if (len > ENTRY_BYTES - reply->text.len)
        return ERR_LIMIT;
    *out = reply->text.at + reply->text.len;
    buf_grow(&reply->text, len);
    return ERR_NONE;
}

static enum err put_text(struct s3_reply_xml *reply, const struct s3_reply_row *row,
                         struct slice *field, struct slice text)
{
    bool is_new = field->len == 0;
    size_t before = is_new ? 0 : field->len + 1;
    uint8_t *at;

    if (text.len == 0 || (!is_new && row->how != AS_MANY))
        return ERR_NONE;
    TRY(take_room(reply, row->in_entry, before + text.len, &at));
    if (!is_new) {
        memcpy(at, field->at, field->len);
        at[field->len] = ',';
    }
    memcpy(at + before, text.at, text.len);
    *field = slice_of(at, before + text.len);
    if (row->how == AS_NAME && (memchr(at, '%', text.len) || memchr(at, '+', text.len))) {
        reply->saw_percent = true;
        if (reply->asked_url)
            field->len = url_decode(*field, at);
    }
    return ERR_NONE;
}

static enum err put_number(const struct s3_reply_row *row, void *field, struct slice text)
{
    uint64_t number;

    if (!slice_to_u64(text, &number) || (row->how == AS_PART && number > UINT32_MAX))
        return ERR_SYNTAX;
    if (row->how == AS_PART)
        *(uint32_t *)field = (uint32_t)number;
    else
        *(uint64_t *)field = number;
    return ERR_NONE;
}

static enum err put_field(struct s3_reply_xml *reply, const struct s3_reply_row *row,
                          struct slice text)
{
    void *field = (char *)(row->in_entry ? (void *)&reply->entry : (void *)reply) + row->place;

    switch (row->how) {
    case AS_NOTHING:
        return ERR_NONE;
    case AS_TEXT:
    case AS_NAME:
    case AS_MANY:
        return put_text(reply, row, field, text);
    case AS_ETAG:
        return put_text(reply, row, field, unquoted(text));
    case AS_TIME:
        return text.len == 0 || s3_time_read(text, field) ? ERR_NONE : ERR_SYNTAX;
    case AS_NUMBER:
    case AS_PART:
        return text.len == 0 ? ERR_NONE : put_number(row, field, text);
    case AS_BOOL:
        *(bool *)field = slice_is_word(text, "true");
        return ERR_NONE;
    case AS_URL:
        *(bool *)field = slice_is_word(text, "url");
        return ERR_NONE;
    }
    return ERR_NONE;
}

/* Of the part being read, or of the whole; the first that is told. */
static enum err put_checksum(struct s3_reply_xml *reply, struct slice path, struct slice text)
{
    static const struct s3_reply_row OF_PART = { .how = AS_TEXT, .in_entry = true };
    static const struct s3_reply_row OF_WHOLE = { .how = AS_TEXT };
    struct slice in_part = slice_text("Part/");
    bool is_part = reply->root == S3_ROOT_PARTS && slice_starts(path, in_part);
    enum s3_checksum_kind kind =
        s3_checksum_of_element(is_part ? slice_from(path, in_part.len) : path);
    struct s3_checksum *checksum = is_part ? &reply->entry.checksum : &reply->checksum;

    if (kind == S3_CHECKSUM_NONE || checksum->kind != S3_CHECKSUM_NONE || text.len == 0)
        return ERR_NONE;
    if (reply->root == S3_ROOT_ERROR || reply->root == S3_ROOT_OTHER)
        return ERR_NONE;
    checksum->kind = kind;
    return put_text(reply, is_part ? &OF_PART : &OF_WHOLE, &checksum->value, text);
}

/* ---- elements ---- */

static enum err on_root(void *owner, struct slice name)
{
    struct s3_reply_xml *reply = owner;

    reply->root = S3_ROOT_OTHER;
    for (size_t i = 0; i < sizeof(ROOTS) / sizeof(ROOTS[0]); i++) {
        if (slice_is_text(name, ROOTS[i].name)) {
            reply->root = ROOTS[i].root;
            reply->rows = reply->next_row = ROOTS[i].rows;
        }
    }
    return ERR_NONE;
}

/* Elements mostly follow each other as they stand in the tables. */
static const struct s3_reply_row *find_row(struct s3_reply_xml *reply, struct slice path)
{
    const struct s3_reply_row *row = reply->next_row;

    if (row->path.at == NULL || !slice_is(path, row->path))
        for (row = reply->rows; row->path.at != NULL; row++)
            if (slice_is(path, row->path))
                break;
    if (row->path.at == NULL)
        return NULL;
    reply->next_row = row + 1;
    return row;
}

static enum err on_opened(void *owner, struct slice path)
{
    struct s3_reply_xml *reply = owner;

    reply->row = find_row(reply, path);
    reply->has_row = true;
    if (reply->row == NULL || !reply->row->is_entry)
        return ERR_NONE;
    buf_clear(&reply->text);
    buf_reserve(&reply->text, ENTRY_BYTES);
    reply->entry = (struct s3_entry){ .kind = reply->row->kind, .time_ms = S3_NO_TIME };
    return ERR_NONE;
}

static enum err entry_closed(struct s3_reply_xml *reply)
{
    bool is_named =
        reply->entry.kind == S3_ENTRY_PART ? reply->entry.part > 0 : reply->entry.name.len > 0;

    if (!is_named)
        return ERR_SYNTAX;
    reply->entry_count++;
    return reply->take != NULL ? reply->take(reply->owner, &reply->entry) : ERR_NONE;
}

static enum err on_closed(void *owner, struct slice path, struct slice text)
{
    struct s3_reply_xml *reply = owner;
    const struct s3_reply_row *row = reply->has_row ? reply->row : find_row(reply, path);

    reply->has_row = false;
    if (row == NULL)
        return put_checksum(reply, path, text);
    TRY(put_field(reply, row, text));
    return row->is_entry ? entry_closed(reply) : ERR_NONE;
}

/* ---- the whole ---- */

void s3_reply_xml_open(struct s3_reply_xml *reply, struct arena *arena, s3_entry_f *take,
                       void *owner, bool asked_url)
{
    static const struct s3_xml_calls CALLS = { .root = on_root,
                                               .opened = on_opened,
                                               .closed = on_closed };

    *reply = (struct s3_reply_xml){ .arena = arena,
                                    .take = take,
                                    .owner = owner,
                                    .asked_url = asked_url,
                                    .time_ms = S3_NO_TIME,
                                    .rows = NO_ROWS,
                                    .next_row = NO_ROWS };
    reply->xml = s3_xml_new(&CALLS, reply, REPLY_BYTES);
}

enum err s3_reply_xml_feed(struct s3_reply_xml *reply, struct slice in)
{
    return s3_xml_feed(reply->xml, in);
}

enum err s3_reply_xml_end(struct s3_reply_xml *reply)
{
    TRY(s3_xml_end(reply->xml));
    assert(reply->root != S3_ROOT_NONE);
    if (reply->saw_percent && reply->is_url != reply->asked_url)
        return ERR_UNSUPPORTED;
    return ERR_NONE;
}

void s3_reply_xml_fini(struct s3_reply_xml *reply)
{
    s3_xml_free(&reply->xml);
    buf_fini(&reply->text);
}
