/* One thing of which a list of S3 tells: an object, a common prefix, a version, an upload, a part,
 * a bucket, the outcome of one deletion.  What was not told is empty. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"

#define S3_NO_TIME INT64_MIN

enum s3_checksum_kind {
    S3_CHECKSUM_NONE,
    S3_CHECKSUM_CRC32,
    S3_CHECKSUM_CRC32C,
    S3_CHECKSUM_CRC64NVME,
    S3_CHECKSUM_SHA1,
    S3_CHECKSUM_SHA256,
};

/* What an element ChecksumCRC32 or the like says. */
struct s3_checksum {
    enum s3_checksum_kind kind;
    struct slice value; /* base64, perhaps with "-" and a number of parts behind; borrowed */
};

enum s3_entry_kind {
    S3_ENTRY_OBJECT,
    S3_ENTRY_PREFIX,
    S3_ENTRY_VERSION,
    S3_ENTRY_DELETE_MARKER,
    S3_ENTRY_UPLOAD,
    S3_ENTRY_PART,
    S3_ENTRY_BUCKET,
    S3_ENTRY_DELETED,
    S3_ENTRY_NOT_DELETED,
};

/* All slices are borrowed, from whoever made the entry. */
struct s3_entry {
    enum s3_entry_kind kind;
    bool is_latest;        /* VERSION, DELETE_MARKER */
    bool is_delete_marker; /* DELETED: a delete marker was made or removed */
    uint32_t part;         /* PART: its number */
    uint64_t size;         /* OBJECT, VERSION, PART */
    int64_t time_ms;       /* since 1970: last modified, initiated, created; or S3_NO_TIME */
    struct slice name;     /* raw bytes of the key, the prefix or the bucket's name */
    struct slice id;       /* of the version or the upload */
    struct slice etag;     /* without its quotes */
    struct slice storage_class;
    struct slice owner_id, owner_name;
    struct slice initiator_id, initiator_name; /* UPLOAD */
    struct slice algorithms;                   /* CRC32 or the like; several are joined by "," */
    struct slice checksum_type;                /* COMPOSITE, FULL_OBJECT */
    struct s3_checksum checksum;               /* PART */
    struct slice marker_id;                    /* DELETED: the delete marker's version */
    struct slice code, message;                /* NOT_DELETED */
};

/* A copy with all its bytes in the arena; what is equal in `before`, which is NULL or another copy
 * in the same arena, is shared with it: owners and classes repeat. */
struct s3_entry *s3_entry_copy(struct arena *arena, const struct s3_entry *entry,
                               const struct s3_entry *before);

/* "ChecksumCRC32" and the like; empty for NONE. */
struct slice s3_checksum_element(enum s3_checksum_kind kind);
/* NONE if it is the name of no such element. */
enum s3_checksum_kind s3_checksum_of_element(struct slice name);

/* ISO 8601 as stores write it: 2026-11-28T11:43:22[.123][Z|+00:00].  False if it is no such. */
bool s3_time_read(struct slice text, int64_t *time_ms);
enum { S3_TIME_BYTES = 24 };
/* 2026-11-28T11:43:22.123Z, not terminated. */
void s3_time_write(int64_t time_ms, char out[S3_TIME_BYTES]);
