/* See s3_write.h.  A list is a thousand entries of a dozen tags: what puts those is put where it is
 * called, so that the lengths of their names are known. */
#include "proxy/wire/s3_write.h"

#include "proxy/wire/sixteen.h"
#include "proxy/wire/uri.h"

#define AT_ONCE __attribute__((always_inline)) inline

/* ---- text ---- */

/* What stands for a byte, or NULL if it stands for itself. */
static const char *escape_of(uint8_t c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

/* How many bytes of UTF-8 stand at the front; 0: none (cut off, overlong, a surrogate). */
static size_t letter_len(struct slice in)
{
    static const uint32_t LEAST[] = { 0, 0, 0x80, 0x800, 0x10000 };
    uint8_t first = in.at[0];
    size_t len = first < 0x80 ? 1 : first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
    uint32_t code = len == 1 ? first : first & (0x7Fu >> len);

    if (first > 0xF4 || len > in.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((in.at[i] & 0xC0) != 0x80)
            return 0;
        code = code << 6 | (in.at[i] & 0x3F);
    }
    if (len > 1 && (code < LEAST[len] || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)))
        return 0;
    return len;
}

/* Bytes that are no UTF-8 would make the whole document unreadable: they become U+FFFD. */
static size_t put_letter(struct buf *out, struct slice in)
{
    size_t len = letter_len(in);

    if (len == 0)
        buf_text(out, "\xEF\xBF\xBD");
    else if (len == 3 && in.at[0] == 0xEF && in.at[1] == 0xBF && in.at[2] >= 0xBE)
        buf_text(out, in.at[2] == 0xBE ? "&#xFFFE;" : "&#xFFFF;");
    else
        buf_put(out, in.at, len);
    return len > 0 ? len : 1;
}

/* Printable ASCII but for " & < >. */
static const bool IS_PLAIN[256] = { [' ' ... '!'] = true,
                                    ['#' ... '%'] = true,
                                    ['\'' ... ';'] = true,
                                    ['='] = true,
                                    ['?' ... '~'] = true };

/* The same of sixteen bytes. */
static inline bool are_plain(const uint8_t *at)
{
    uint8_t bytes __attribute__((vector_size(16)));
    uint64_t right __attribute__((vector_size(16)));

    memcpy(&bytes, at, sizeof(bytes));
    right = (__typeof__(right))(SIXTEEN_IN_RANGE(bytes, ' ', '~') & (bytes != '"') &
                                (bytes != '&') & (bytes != '<') & (bytes != '>'));
    return (right[0] & right[1]) == UINT64_MAX;
}

/* How many bytes at the front stand for themselves. */
static inline size_t plain_len(struct slice in)
{
    size_t at = 0;

    while (in.len - at >= 16 && are_plain(in.at + at))
        at += 16;
    if (in.len >= 16 && in.len - at < 16 && are_plain(in.at + in.len - 16))
        return in.len;
    while (at < in.len && IS_PLAIN[in.at[at]])
        at++;
    return at;
}

void s3_write_escaped(struct buf *out, struct slice in)
{
    while (in.len > 0) {
        size_t plain = plain_len(in);
        const char *escape;

        buf_put(out, in.at, plain);
        in = slice_from(in, plain);
        if (in.len == 0)
            return;
        escape = escape_of(in.at[0]);
        if (escape != NULL)
            buf_text(out, escape);
        else if (in.at[0] < ' ' || in.at[0] == 0x7F)
            buf_format(out, "&#x%X;", in.at[0]);
        in = slice_from(in, escape != NULL || in.at[0] < 0x80 ? 1 : put_letter(out, in));
    }
}

void s3_url_encode(struct buf *out, struct slice name)
{
    uri_put_encoded(out, name, URI_KEEP_SLASH);
}

/* ---- elements ---- */

void s3_write_declaration(struct buf *out)
{
    buf_text(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
}

void s3_write_root(struct buf *out, const char *root)
{
    buf_put(out, "<", 1);
    buf_text(out, root);
    buf_text(out, " xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
}

void s3_write_begin(struct buf *out, const char *root)
{
    s3_write_declaration(out);
    s3_write_root(out, root);
}

static AT_ONCE void put_tag(struct buf *out, const char *before, const char *element)
{
    size_t before_len = strlen(before), len = strlen(element);

    buf_reserve(out, before_len + len + 1);
    buf_put(out, before, before_len);
    buf_put(out, element, len);
    buf_put(out, ">", 1);
}

static AT_ONCE void put_text(struct buf *out, const char *element, struct slice text)
{
    put_tag(out, "<", element);
    s3_write_escaped(out, text);
    put_tag(out, "</", element);
}

/* Of what is known to have nothing in it to escape. */
static AT_ONCE void put_plain(struct buf *out, const char *element, struct slice text)
{
    put_tag(out, "<", element);
    buf_slice(out, text);
    put_tag(out, "</", element);
}

static AT_ONCE void put_name(struct buf *out, const char *element, struct slice name, bool is_url)
{
    put_tag(out, "<", element);
    if (is_url)
        s3_url_encode(out, name);
    else
        s3_write_escaped(out, name);
    put_tag(out, "</", element);
}

static AT_ONCE void put_number(struct buf *out, const char *element, uint64_t number)
{
    char digits[20], *first = digits + sizeof(digits);

    do {
        *--first = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    put_plain(out, element, slice_of(first, (size_t)(digits + sizeof(digits) - first)));
}

static AT_ONCE void put_time(struct buf *out, const char *element, int64_t time_ms)
{
    char text[S3_TIME_BYTES];

    s3_time_write(time_ms, text);
    put_plain(out, element, slice_of(text, sizeof(text)));
}

void s3_write_open(struct buf *out, const char *element)
{
    put_tag(out, "<", element);
}

void s3_write_close(struct buf *out, const char *element)
{
    put_tag(out, "</", element);
}

void s3_write_text(struct buf *out, const char *element, struct slice text)
{
    put_text(out, element, text);
}

void s3_write_text_if(struct buf *out, const char *element, struct slice text)
{
    if (text.len > 0)
        s3_write_text(out, element, text);
}

void s3_write_name(struct buf *out, const char *element, struct slice name, bool is_url)
{
    put_name(out, element, name, is_url);
}

void s3_write_number(struct buf *out, const char *element, uint64_t number)
{
    put_number(out, element, number);
}

void s3_write_bool(struct buf *out, const char *element, bool value)
{
    s3_write_text(out, element, slice_text(value ? "true" : "false"));
}

void s3_write_time(struct buf *out, const char *element, int64_t time_ms)
{
    put_time(out, element, time_ms);
}

static void name_if(struct buf *out, const char *element, struct slice name, bool is_url)
{
    if (name.len > 0)
        s3_write_name(out, element, name, is_url);
}

static void time_if(struct buf *out, const char *element, int64_t time_ms)
{
    if (time_ms != S3_NO_TIME)
        s3_write_time(out, element, time_ms);
}

void s3_write_etag(struct buf *out, struct slice etag)
{
    buf_text(out, "<ETag>&quot;");
    s3_write_escaped(out, etag);
    buf_text(out, "&quot;</ETag>");
}

static void etag_if(struct buf *out, struct slice etag)
{
    if (etag.len > 0)
        s3_write_etag(out, etag);
}

void s3_write_checksum(struct buf *out, const struct s3_checksum *checksum)
{
    if (checksum->kind != S3_CHECKSUM_NONE)
        s3_write_text(out, (const char *)s3_checksum_element(checksum->kind).at, checksum->value);
}

static void put_person(struct buf *out, const char *element, struct slice id, struct slice name)
{
    if (id.len == 0 && name.len == 0)
        return;
    s3_write_open(out, element);
    s3_write_text(out, "ID", id);
    s3_write_text_if(out, "DisplayName", name);
    s3_write_close(out, element);
}

/* One element for each of CRC32,SHA256. */
static void put_algorithms(struct buf *out, struct slice algorithms)
{
    while (algorithms.len > 0) {
        const uint8_t *comma = memchr(algorithms.at, ',', algorithms.len);
        size_t len = comma != NULL ? (size_t)(comma - algorithms.at) : algorithms.len;

        s3_write_text_if(out, "ChecksumAlgorithm", slice_of(algorithms.at, len));
        algorithms = slice_from(algorithms, comma != NULL ? len + 1 : len);
    }
}

/* ---- the entries of lists ---- */

static void put_object(const struct s3_list_writer *list, struct buf *out,
                       const struct s3_entry *entry)
{
    put_name(out, "Key", entry->name, list->is_url);
    if (entry->time_ms != S3_NO_TIME)
        put_time(out, "LastModified", entry->time_ms);
    etag_if(out, entry->etag);
    put_algorithms(out, entry->algorithms);
    s3_write_text_if(out, "ChecksumType", entry->checksum_type);
    put_number(out, "Size", entry->size);
    if (list->kind != S3_LIST_OBJECTS_V2 || list->has_owner)
        put_person(out, "Owner", entry->owner_id, entry->owner_name);
    put_text(out, "StorageClass",
             entry->storage_class.len > 0 ? entry->storage_class : slice_text("STANDARD"));
}

static void put_version(const struct s3_list_writer *list, struct buf *out,
                        const struct s3_entry *entry)
{
    s3_write_name(out, "Key", entry->name, list->is_url);
    s3_write_text(out, "VersionId", entry->id.len > 0 ? entry->id : slice_text("null"));
    s3_write_bool(out, "IsLatest", entry->is_latest);
    time_if(out, "LastModified", entry->time_ms);
    if (entry->kind == S3_ENTRY_VERSION) {
        etag_if(out, entry->etag);
        put_algorithms(out, entry->algorithms);
        s3_write_text_if(out, "ChecksumType", entry->checksum_type);
        s3_write_number(out, "Size", entry->size);
    }
    put_person(out, "Owner", entry->owner_id, entry->owner_name);
    if (entry->kind == S3_ENTRY_VERSION)
        s3_write_text(out, "StorageClass",
                      entry->storage_class.len > 0 ? entry->storage_class : slice_text("STANDARD"));
}

static void put_upload(const struct s3_list_writer *list, struct buf *out,
                       const struct s3_entry *entry)
{
    s3_write_name(out, "Key", entry->name, list->is_url);
    s3_write_text(out, "UploadId", entry->id);
    put_person(out, "Initiator", entry->initiator_id, entry->initiator_name);
    put_person(out, "Owner", entry->owner_id, entry->owner_name);
    s3_write_text(out, "StorageClass",
                  entry->storage_class.len > 0 ? entry->storage_class : slice_text("STANDARD"));
    time_if(out, "Initiated", entry->time_ms);
    put_algorithms(out, entry->algorithms);
    s3_write_text_if(out, "ChecksumType", entry->checksum_type);
}

static void put_part(struct buf *out, const struct s3_entry *entry)
{
    s3_write_number(out, "PartNumber", entry->part);
    time_if(out, "LastModified", entry->time_ms);
    etag_if(out, entry->etag);
    s3_write_number(out, "Size", entry->size);
    s3_write_checksum(out, &entry->checksum);
}

static const char *element_of(enum s3_entry_kind kind)
{
    switch (kind) {
    case S3_ENTRY_OBJECT:
        return "Contents";
    case S3_ENTRY_PREFIX:
        return "CommonPrefixes";
    case S3_ENTRY_VERSION:
        return "Version";
    case S3_ENTRY_DELETE_MARKER:
        return "DeleteMarker";
    case S3_ENTRY_UPLOAD:
        return "Upload";
    case S3_ENTRY_PART:
        return "Part";
    case S3_ENTRY_BUCKET:
        return "Bucket";
    case S3_ENTRY_DELETED:
        return "Deleted";
    case S3_ENTRY_NOT_DELETED:
        return "Error";
    }
    return "";
}

static void put_fields(const struct s3_list_writer *list, struct buf *out,
                       const struct s3_entry *entry)
{
    switch (entry->kind) {
    case S3_ENTRY_OBJECT:
        put_object(list, out, entry);
        break;
    case S3_ENTRY_PREFIX:
        s3_write_name(out, "Prefix", entry->name, list->is_url);
        break;
    case S3_ENTRY_VERSION:
    case S3_ENTRY_DELETE_MARKER:
        put_version(list, out, entry);
        break;
    case S3_ENTRY_UPLOAD:
        put_upload(list, out, entry);
        break;
    case S3_ENTRY_PART:
        put_part(out, entry);
        break;
    case S3_ENTRY_BUCKET:
        s3_write_text(out, "Name", entry->name);
        time_if(out, "CreationDate", entry->time_ms);
        break;
    case S3_ENTRY_DELETED:
    case S3_ENTRY_NOT_DELETED:
        break;
    }
}

/* ---- lists ---- */

void s3_list_open(struct s3_list_writer *list, enum s3_list_kind kind, bool is_url)
{
    *list = (struct s3_list_writer){ .kind = kind, .is_url = is_url };
}

void s3_list_put(struct s3_list_writer *list, const struct s3_entry *entry)
{
    struct buf *out = entry->kind == S3_ENTRY_PREFIX ? &list->prefixes : &list->entries;

    list->count++;
    if (entry->kind == S3_ENTRY_OBJECT) { /* mostly */
        put_tag(out, "<", "Contents");
        put_object(list, out, entry);
        put_tag(out, "</", "Contents");
        return;
    }
    s3_write_open(out, element_of(entry->kind));
    put_fields(list, out, entry);
    s3_write_close(out, element_of(entry->kind));
}

static void put_objects_head(const struct s3_list_writer *list, const struct s3_list_head *head,
                             struct buf *out)
{
    bool is_url = list->is_url;

    s3_write_text(out, "Name", head->bucket);
    s3_write_name(out, "Prefix", head->prefix, is_url);
    if (list->kind == S3_LIST_OBJECTS_V1) {
        s3_write_name(out, "Marker", head->marker, is_url);
        name_if(out, "NextMarker", head->next_marker, is_url);
    } else {
        name_if(out, "StartAfter", head->start_after, is_url);
        s3_write_text_if(out, "ContinuationToken", head->token);
        s3_write_text_if(out, "NextContinuationToken", head->next_token);
        s3_write_number(out, "KeyCount", list->count);
    }
    s3_write_number(out, "MaxKeys", head->max_keys);
    name_if(out, "Delimiter", head->delimiter, is_url);
}

static void put_groups_head(const struct s3_list_writer *list, const struct s3_list_head *head,
                            struct buf *out)
{
    bool is_versions = list->kind == S3_LIST_VERSIONS, is_url = list->is_url;

    s3_write_text(out, is_versions ? "Name" : "Bucket", head->bucket);
    if (is_versions)
        s3_write_name(out, "Prefix", head->prefix, is_url);
    else
        name_if(out, "Prefix", head->prefix, is_url);
    s3_write_name(out, "KeyMarker", head->key_marker, is_url);
    s3_write_text(out, is_versions ? "VersionIdMarker" : "UploadIdMarker", head->id_marker);
    name_if(out, "NextKeyMarker", head->next_key_marker, is_url);
    s3_write_text_if(out, is_versions ? "NextVersionIdMarker" : "NextUploadIdMarker",
                     head->next_id_marker);
    name_if(out, "Delimiter", head->delimiter, is_url);
    s3_write_number(out, is_versions ? "MaxKeys" : "MaxUploads", head->max_keys);
}

static void put_parts_head(const struct s3_list_head *head, struct buf *out)
{
    s3_write_text(out, "Bucket", head->bucket);
    s3_write_text(out, "Key", head->key);
    s3_write_text(out, "UploadId", head->upload_id);
    put_person(out, "Initiator", head->initiator_id, head->initiator_name);
    put_person(out, "Owner", head->owner_id, head->owner_name);
    s3_write_text(out, "StorageClass",
                  head->storage_class.len > 0 ? head->storage_class : slice_text("STANDARD"));
    s3_write_text(out, "PartNumberMarker", head->marker.len > 0 ? head->marker : slice_text("0"));
    s3_write_text_if(out, "NextPartNumberMarker", head->next_marker);
    s3_write_number(out, "MaxParts", head->max_keys);
    s3_write_text_if(out, "ChecksumAlgorithm", head->algorithms);
    s3_write_text_if(out, "ChecksumType", head->checksum_type);
}

static const char *root_of(enum s3_list_kind kind)
{
    switch (kind) {
    case S3_LIST_OBJECTS_V1:
    case S3_LIST_OBJECTS_V2:
        return "ListBucketResult";
    case S3_LIST_VERSIONS:
        return "ListVersionsResult";
    case S3_LIST_UPLOADS:
        return "ListMultipartUploadsResult";
    case S3_LIST_PARTS:
        return "ListPartsResult";
    case S3_LIST_BUCKETS:
        return "ListAllMyBucketsResult";
    }
    return "";
}

static void put_head(const struct s3_list_writer *list, const struct s3_list_head *head,
                     struct buf *out)
{
    switch (list->kind) {
    case S3_LIST_OBJECTS_V1:
    case S3_LIST_OBJECTS_V2:
        put_objects_head(list, head, out);
        break;
    case S3_LIST_VERSIONS:
    case S3_LIST_UPLOADS:
        put_groups_head(list, head, out);
        break;
    case S3_LIST_PARTS:
        put_parts_head(head, out);
        break;
    case S3_LIST_BUCKETS:
        put_person(out, "Owner", head->owner_id, head->owner_name);
        s3_write_open(out, "Buckets");
        return;
    }
    if (list->is_url)
        buf_text(out, "<EncodingType>url</EncodingType>");
    s3_write_bool(out, "IsTruncated", head->is_truncated);
}

/* What stands behind the entries. */
static void put_rest(const struct s3_list_writer *list, const struct s3_list_head *head,
                     struct buf *out)
{
    buf_slice(out, buf_all(&list->prefixes));
    if (list->kind == S3_LIST_BUCKETS) {
        s3_write_close(out, "Buckets");
        s3_write_text_if(out, "ContinuationToken", head->next_token);
        s3_write_text_if(out, "Prefix", head->prefix);
    }
    s3_write_close(out, root_of(list->kind));
}

void s3_list_close(const struct s3_list_writer *list, const struct s3_list_head *head,
                   struct buf *out)
{
    s3_write_begin(out, root_of(list->kind));
    put_head(list, head, out);
    buf_slice(out, buf_all(&list->entries));
    put_rest(list, head, out);
}

void s3_list_wrap(struct s3_list_writer *list, const struct s3_list_head *head, struct buf *before)
{
    s3_write_begin(before, root_of(list->kind));
    put_head(list, head, before);
    put_rest(list, head, &list->entries);
}

void s3_list_fini(struct s3_list_writer *list)
{
    buf_fini(&list->entries);
    buf_fini(&list->prefixes);
}
