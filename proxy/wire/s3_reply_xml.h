/* Documents that stores answer with, read as they come.  The entries of lists are handed on one by
 * one and not kept; the rest is in the struct when s3_reply_xml_end() has said ERR_NONE.  The root
 * says what it is: a complete or a copy may begin with 200 and blanks and turn out to be
 * S3_ROOT_ERROR.
 *
 *     s3_reply_xml_open(&reply, &arena, take_entry, owner, true);
 *     TRY(s3_reply_xml_feed(&reply, bytes)); ...
 *     TRY(s3_reply_xml_end(&reply));
 *     if (reply.root == S3_ROOT_ERROR) ... reply.code ...
 *     s3_reply_xml_fini(&reply);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/wire/s3_entry.h"
#include "proxy/wire/s3_xml.h"

enum s3_root {
    S3_ROOT_NONE,       /* nothing but blanks so far */
    S3_ROOT_ERROR,      /* Error */
    S3_ROOT_OBJECTS,    /* ListBucketResult, V1 and V2 */
    S3_ROOT_VERSIONS,   /* ListVersionsResult */
    S3_ROOT_UPLOADS,    /* ListMultipartUploadsResult */
    S3_ROOT_PARTS,      /* ListPartsResult */
    S3_ROOT_BUCKETS,    /* ListAllMyBucketsResult */
    S3_ROOT_INITIATED,  /* InitiateMultipartUploadResult */
    S3_ROOT_COMPLETED,  /* CompleteMultipartUploadResult */
    S3_ROOT_COPIED,     /* CopyObjectResult, CopyPartResult */
    S3_ROOT_DELETED,    /* DeleteResult */
    S3_ROOT_LOCATION,   /* LocationConstraint */
    S3_ROOT_VERSIONING, /* VersioningConfiguration */
    S3_ROOT_OTHER,      /* well formed, and nothing that we read */
};

/* The entry's slices are good during the call.  An error that it returns ends the reading. */
typedef enum err s3_entry_f(void *owner, const struct s3_entry *entry);

/* Slices are borrowed: from the arena. */
struct s3_reply_xml {
    enum s3_root root;

    bool is_truncated; /* lists */
    bool is_url;       /* EncodingType is url; names and markers are decoded already */
    uint64_t key_count, max_keys, entry_count;
    struct slice next_marker;     /* V1; of parts: the part number */
    struct slice next_token;      /* V2 */
    struct slice next_key_marker; /* versions, uploads */
    struct slice next_id_marker;  /* version-id, upload-id */

    struct slice bucket, key, upload_id, location; /* INITIATED, COMPLETED, PARTS, LOCATION */
    struct slice etag;                             /* COMPLETED, COPIED; without its quotes */
    struct slice version_id;                       /* COMPLETED */
    int64_t time_ms;                               /* COPIED */
    struct s3_checksum checksum;                   /* COMPLETED, COPIED */
    struct slice checksum_type, algorithms;        /* PARTS, INITIATED */
    struct slice owner_id, owner_name, storage_class, initiator_id, initiator_name; /* PARTS */
    struct slice status;                                                            /* VERSIONING */

    struct slice code, message, resource, request_id, host_id; /* ERROR */
    struct slice region;                                       /* ERROR: the right one, if told */

    struct arena *arena; /* borrowed */
    s3_entry_f *take;
    void *owner;
    struct s3_xml *xml;                  /* owned */
    const struct s3_reply_row *rows;     /* borrowed: constant: what the root may hold */
    const struct s3_reply_row *next_row; /* which is probably looked for next */
    const struct s3_reply_row *row;      /* of the element just opened; NULL: none */
    bool has_row;                        /* none was closed since */
    struct s3_entry entry;               /* being read; its slices are places in `text` */
    struct buf text;                     /* owned: the bytes of the entry being read */
    bool asked_url;                      /* encoding-type=url was asked for */
    bool saw_percent;                    /* decoding changed a name */
};

/* `asked_url`: the request had encoding-type=url.  Stores may say only at the end of a list that
 * they heeded it (MinIO), so names are decoded; if a store then says nothing of it and a name would
 * have been another without decoding, s3_reply_xml_end() says ERR_UNSUPPORTED, and that store must
 * be asked without. */
void s3_reply_xml_open(struct s3_reply_xml *reply, struct arena *arena, s3_entry_f *take,
                       void *owner, bool asked_url);
enum err s3_reply_xml_feed(struct s3_reply_xml *reply, struct slice in) MUST_CHECK;
/* ERR_SYNTAX if the document is not whole, or there is none. */
enum err s3_reply_xml_end(struct s3_reply_xml *reply) MUST_CHECK;
void s3_reply_xml_fini(struct s3_reply_xml *reply);
