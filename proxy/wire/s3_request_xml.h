/* The bodies of requests of S3 that are XML, read as they come.
 *
 *     struct s3_request_xml body;
 *     s3_request_xml_open(&body, S3_REQUEST_DELETE, &arena);
 *     err = s3_request_xml_feed(&body, bytes); ...        ERR_SYNTAX, ERR_LIMIT: body.refusal
 *     err = s3_request_xml_end(&body);
 *     ... body.keys, body.key_count ...                   in the arena
 *     s3_request_xml_fini(&body);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/wire/s3_entry.h"
#include "proxy/wire/s3_xml.h"

enum {
    S3_DELETE_KEYS = 1000,
    S3_PARTS = 10000,
    S3_KEY_BYTES = 1024,
    S3_TAGS = 10,
    S3_TAG_KEY_LETTERS = 128,
    S3_TAG_VALUE_LETTERS = 256,
};

enum s3_request_kind {
    S3_REQUEST_DELETE,        /* <Delete> */
    S3_REQUEST_COMPLETE,      /* <CompleteMultipartUpload> */
    S3_REQUEST_CREATE_BUCKET, /* <CreateBucketConfiguration>; an empty body is legal too */
    S3_REQUEST_TAGGING,       /* <Tagging> */
    S3_REQUEST_VERSIONING,    /* <VersioningConfiguration> */
};

/* Why a body is refused, in S3's words; the status is 400 for all. */
struct s3_refusal {
    const char *code, *message; /* static; NULL: not refused */
};

struct s3_delete_key {
    struct slice key, version; /* version is empty if none was named; borrowed: arena */
    struct slice etag;         /* ETag: delete only if it has this one; empty: whatever it has */
    bool is_conditional;       /* something else that we do not know was asked: time or size */
};

struct s3_part {
    uint32_t number;   /* 1 .. 10000 */
    struct slice etag; /* without its quotes; borrowed: arena */
    struct s3_checksum checksum;
};

struct s3_tag {
    struct slice key, value; /* borrowed: arena */
};

struct s3_request_xml {
    enum s3_request_kind kind;
    struct s3_refusal refusal;
    struct arena *arena; /* borrowed: as long as the results are used */

    bool is_quiet; /* DELETE */
    struct s3_delete_key *keys;
    size_t key_count;
    struct s3_part *parts; /* COMPLETE, ascending */
    size_t part_count;
    struct slice location; /* CREATE_BUCKET: empty if none is named */
    struct s3_tag *tags;   /* TAGGING */
    size_t tag_count;
    bool is_enabled;     /* VERSIONING: Enabled; false: Suspended */
    bool is_mfa_deleted; /* VERSIONING: MfaDelete is Enabled */

    struct s3_xml *xml; /* owned */
    size_t room;        /* of the array that grows */
    bool is_told;       /* VERSIONING: a status was named; TAGGING: a set of tags */
    size_t taken;       /* bytes of the body */
};

void s3_request_xml_open(struct s3_request_xml *body, enum s3_request_kind kind,
                         struct arena *arena);
/* ERR_SYNTAX or ERR_LIMIT, with the refusal that says why. */
enum err s3_request_xml_feed(struct s3_request_xml *body, struct slice in) MUST_CHECK;
enum err s3_request_xml_end(struct s3_request_xml *body) MUST_CHECK;
void s3_request_xml_fini(struct s3_request_xml *body);

/* Tags as x-amz-tagging has them: "a=1&b=2". */
void s3_write_tags_query(struct buf *out, const struct s3_tag *tags, size_t count);

/* The body of a request to a store; the arrays may be parts of those read. */
void s3_write_delete(struct buf *out, const struct s3_delete_key *keys, const size_t *which,
                     size_t count);
void s3_write_complete(struct buf *out, const struct s3_part *parts, size_t count);
