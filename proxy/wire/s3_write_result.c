/* See s3_write.h and s3_request_xml.h: the results of single operations, and the bodies of requests
 * to stores. */
#include "proxy/wire/s3_request_xml.h"
#include "proxy/wire/s3_write.h"

static void begin(struct buf *out, const char *root, bool is_late)
{
    if (!is_late)
        s3_write_declaration(out);
    s3_write_root(out, root);
}

void s3_write_initiated(struct buf *out, struct slice bucket, struct slice key, struct slice upload)
{
    s3_write_begin(out, "InitiateMultipartUploadResult");
    s3_write_text(out, "Bucket", bucket);
    s3_write_text(out, "Key", key);
    s3_write_text(out, "UploadId", upload);
    s3_write_close(out, "InitiateMultipartUploadResult");
}

void s3_write_completed(struct buf *out, const struct s3_completed *completed, bool is_late)
{
    begin(out, "CompleteMultipartUploadResult", is_late);
    s3_write_text(out, "Location", completed->location);
    s3_write_text(out, "Bucket", completed->bucket);
    s3_write_text(out, "Key", completed->key);
    s3_write_etag(out, completed->etag);
    s3_write_checksum(out, &completed->checksum);
    s3_write_text_if(out, "ChecksumType", completed->checksum_type);
    s3_write_close(out, "CompleteMultipartUploadResult");
}

void s3_write_posted(struct buf *out, const struct s3_completed *posted)
{
    s3_write_declaration(out);
    s3_write_open(out, "PostResponse");
    s3_write_text(out, "Location", posted->location);
    s3_write_text(out, "Bucket", posted->bucket);
    s3_write_text(out, "Key", posted->key);
    s3_write_etag(out, posted->etag);
    s3_write_close(out, "PostResponse");
}

void s3_write_copied(struct buf *out, const char *root, struct slice etag, int64_t time_ms,
                     const struct s3_checksum *checksum, bool is_late)
{
    begin(out, root, is_late);
    s3_write_time(out, "LastModified", time_ms);
    s3_write_etag(out, etag);
    if (checksum != NULL)
        s3_write_checksum(out, checksum);
    s3_write_close(out, root);
}

void s3_write_deleted(struct buf *out, const struct s3_entry *entry)
{
    bool is_error = entry->kind == S3_ENTRY_NOT_DELETED;
    const char *element = is_error ? "Error" : "Deleted";

    s3_write_open(out, element);
    s3_write_text(out, "Key", entry->name);
    s3_write_text_if(out, "VersionId", entry->id);
    if (is_error) {
        s3_write_text(out, "Code", entry->code);
        s3_write_text(out, "Message", entry->message);
    } else if (entry->is_delete_marker) {
        s3_write_bool(out, "DeleteMarker", true);
        s3_write_text_if(out, "DeleteMarkerVersionId", entry->marker_id);
    }
    s3_write_close(out, element);
}

void s3_write_location(struct buf *out, struct slice region)
{
    s3_write_begin(out, "LocationConstraint");
    if (!slice_is_text(region, "us-east-1"))
        s3_write_escaped(out, region);
    s3_write_close(out, "LocationConstraint");
}

void s3_write_versioning(struct buf *out, struct slice status)
{
    s3_write_begin(out, "VersioningConfiguration");
    s3_write_text_if(out, "Status", status);
    s3_write_close(out, "VersioningConfiguration");
}

void s3_write_tags(struct buf *out, const struct s3_tag *tags, size_t count)
{
    s3_write_begin(out, "Tagging");
    s3_write_open(out, "TagSet");
    for (size_t i = 0; i < count; i++) {
        s3_write_open(out, "Tag");
        s3_write_text(out, "Key", tags[i].key);
        s3_write_text(out, "Value", tags[i].value);
        s3_write_close(out, "Tag");
    }
    s3_write_close(out, "TagSet");
    s3_write_close(out, "Tagging");
}

/* Errors have no namespace at AWS, and some clients look for the plain name. */
void s3_write_error(struct buf *out, const struct s3_error_document *error, bool is_late)
{
    if (!is_late)
        s3_write_declaration(out);
    s3_write_open(out, "Error");
    s3_write_text(out, "Code", slice_text(error->code));
    s3_write_text(out, "Message", error->message);
    s3_write_text_if(out, "Key", error->key);
    s3_write_text_if(out, "BucketName", error->bucket);
    s3_write_text_if(out, "Resource", error->resource);
    for (size_t i = 0; i < error->extra_count; i++)
        s3_write_text(out, error->extras[i].element, error->extras[i].text);
    s3_write_text(out, "RequestId", error->request_id);
    s3_write_text(out, "HostId", error->host_id);
    s3_write_close(out, "Error");
}

/* ---- requests to stores ---- */

void s3_write_delete(struct buf *out, const struct s3_delete_key *keys, const size_t *which,
                     size_t count)
{
    s3_write_begin(out, "Delete");
    for (size_t i = 0; i < count; i++) {
        const struct s3_delete_key *key = &keys[which != NULL ? which[i] : i];

        s3_write_open(out, "Object");
        s3_write_text(out, "Key", key->key);
        s3_write_text_if(out, "VersionId", key->version);
        if (key->etag.len > 0)
            s3_write_etag(out, key->etag);
        s3_write_close(out, "Object");
    }
    s3_write_close(out, "Delete");
}

void s3_write_complete(struct buf *out, const struct s3_part *parts, size_t count)
{
    s3_write_begin(out, "CompleteMultipartUpload");
    for (size_t i = 0; i < count; i++) {
        s3_write_open(out, "Part");
        s3_write_number(out, "PartNumber", parts[i].number);
        s3_write_etag(out, parts[i].etag);
        s3_write_checksum(out, &parts[i].checksum);
        s3_write_close(out, "Part");
    }
    s3_write_close(out, "CompleteMultipartUpload");
}
