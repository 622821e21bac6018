/* S3's documents, written as clients of 2015 to 2026 read them: elements of a kind stand together
 * and in AWS's order, ETags in quotes, times with milliseconds, control characters as references
 * or, with encoding-type=url, as %XX (and a blank as %20).
 *
 *     struct s3_list_writer list;
 *     s3_list_open(&list, S3_LIST_OBJECTS_V2, is_url);
 *     s3_list_put(&list, &entry); ...               in the order of the list
 *     s3_list_close(&list, &head, &out);            known by now: head.is_truncated
 *     s3_list_fini(&list);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"
#include "proxy/wire/s3_entry.h"

/* ---- elements ---- */

/* <?xml ..?>; blanks may follow it while the rest is not known yet. */
void s3_write_declaration(struct buf *out);
/* <root xmlns="http://s3.amazonaws.com/doc/2006-03-01/">. */
void s3_write_root(struct buf *out, const char *root);
/* Both. */
void s3_write_begin(struct buf *out, const char *root);
void s3_write_open(struct buf *out, const char *element);
void s3_write_close(struct buf *out, const char *element);
/* <element>text</element>, escaped. */
void s3_write_text(struct buf *out, const char *element, struct slice text);
/* Bytes that are no UTF-8 would make the document unreadable: they become U+FFFD. */
void s3_write_escaped(struct buf *out, struct slice in);
/* Nothing at all if there is no text. */
void s3_write_text_if(struct buf *out, const char *element, struct slice text);
/* A key, prefix or marker: percent-encoded if `is_url`, else as s3_write_text(). */
void s3_write_name(struct buf *out, const char *element, struct slice name, bool is_url);
void s3_write_number(struct buf *out, const char *element, uint64_t number);
void s3_write_bool(struct buf *out, const char *element, bool value);
void s3_write_time(struct buf *out, const char *element, int64_t time_ms);
void s3_write_etag(struct buf *out, struct slice etag);
void s3_write_checksum(struct buf *out, const struct s3_checksum *checksum);

/* ---- lists ---- */

enum s3_list_kind {
    S3_LIST_OBJECTS_V1,
    S3_LIST_OBJECTS_V2,
    S3_LIST_VERSIONS,
    S3_LIST_UPLOADS,
    S3_LIST_PARTS,
    S3_LIST_BUCKETS,
};

/* What stands around the entries.  Slices are borrowed; empty ones were not asked or are not to be
 * told.  Names are raw bytes. */
struct s3_list_head {
    struct slice bucket, prefix, delimiter;
    uint32_t max_keys; /* also MaxUploads, MaxParts */
    bool is_truncated;
    struct slice marker, next_marker; /* V1 (AWS tells the next only with a delimiter); parts */
    struct slice start_after, token, next_token; /* V2 */
    struct slice key_marker, next_key_marker;    /* versions, uploads */
    struct slice id_marker, next_id_marker;      /* version-id, upload-id */
    struct slice key, upload_id;                 /* parts */
    struct slice owner_id, owner_name, initiator_id, initiator_name,
        storage_class;                      /* parts; buckets */
    struct slice algorithms, checksum_type; /* parts */
};

struct s3_list_writer {
    enum s3_list_kind kind;
    bool is_url;
    bool has_owner;               /* objects, V2: fetch-owner; V1 tells the owner always */
    uint64_t count;               /* entries and prefixes */
    struct buf entries, prefixes; /* owned */
};

void s3_list_open(struct s3_list_writer *list, enum s3_list_kind kind, bool is_url);
void s3_list_put(struct s3_list_writer *list, const struct s3_entry *entry);
/* Appends the whole document. */
void s3_list_close(const struct s3_list_writer *list, const struct s3_list_head *head,
                   struct buf *out);
/* The same in two pieces, without a copy of the entries: what stands before them, and list->entries
 * with all that stands behind them. */
void s3_list_wrap(struct s3_list_writer *list, const struct s3_list_head *head, struct buf *before);
void s3_list_fini(struct s3_list_writer *list);

/* ---- results of single operations ---- */

void s3_write_initiated(struct buf *out, struct slice bucket, struct slice key,
                        struct slice upload);

struct s3_completed {
    struct slice location, bucket, key, etag, checksum_type;
    struct s3_checksum checksum;
};
/* All that have `is_late`: without the declaration, which went out before, with blanks behind. */
void s3_write_completed(struct buf *out, const struct s3_completed *completed, bool is_late);
/* Of a form's upload: <PostResponse>. */
void s3_write_posted(struct buf *out, const struct s3_completed *posted);
/* `root` is CopyObjectResult or CopyPartResult. */
void s3_write_copied(struct buf *out, const char *root, struct slice etag, int64_t time_ms,
                     const struct s3_checksum *checksum, bool is_late);
/* <DeleteResult>: s3_write_begin(), then one of S3_ENTRY_DELETED or S3_ENTRY_NOT_DELETED for each
 * key in the order asked, then s3_write_close(). */
void s3_write_deleted(struct buf *out, const struct s3_entry *entry);
void s3_write_location(struct buf *out, struct slice region); /* us-east-1 is written as nothing */
void s3_write_versioning(struct buf *out, struct slice status);

struct s3_tag;
void s3_write_tags(struct buf *out, const struct s3_tag *tags, size_t count);

/* One more element of an error, such as ServerTime or MaxAllowedSkewMilliseconds. */
struct s3_error_extra {
    const char *element;
    struct slice text;
};

struct s3_error_document {
    const char *code;
    struct slice message;
    struct slice resource, key, bucket; /* Resource, Key, BucketName: those that are not empty */
    struct slice request_id, host_id;
    const struct s3_error_extra *extras; /* borrowed */
    size_t extra_count;
};
void s3_write_error(struct buf *out, const struct s3_error_document *error, bool is_late);

/* ---- the encoding of encoding-type=url ---- */

/* Everything but letters, digits and -_.~/ as %XX. */
void s3_url_encode(struct buf *out, struct slice name);
