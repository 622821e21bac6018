/* Which deed does which operation; and what deeds have in common. */
#include "proxy/blob/blob_flow.h"

enum { GATHER_BYTES = 8 * 1024 * 1024 };

const struct blob_deed *blob_deed_of(enum s3_op op)
{
    switch (op) {
    case S3_OP_GET_OBJECT:
    case S3_OP_HEAD_OBJECT:
    case S3_OP_GET_ATTRIBUTES:
    case S3_OP_PUT_OBJECT:
    case S3_OP_DELETE_OBJECT:
    case S3_OP_GET_TAGGING:
    case S3_OP_PUT_TAGGING:
    case S3_OP_DELETE_TAGGING:
    case S3_OP_GET_ACL:
    case S3_OP_PUT_ACL:
        return &blob_deed_stream;
    case S3_OP_LIST_BUCKETS:
    case S3_OP_CREATE_BUCKET:
    case S3_OP_HEAD_BUCKET:
    case S3_OP_DELETE_BUCKET:
    case S3_OP_GET_LOCATION:
    case S3_OP_GET_VERSIONING:
    case S3_OP_PUT_VERSIONING:
    case S3_OP_GET_BUCKET_ACL:
    case S3_OP_PUT_BUCKET_ACL:
        return &blob_deed_bucket;
    case S3_OP_LIST_OBJECTS:
    case S3_OP_LIST_OBJECTS_V2:
    case S3_OP_LIST_VERSIONS:
    case S3_OP_LIST_UPLOADS:
        return &blob_deed_list;
    case S3_OP_DELETE_OBJECTS:
        return &blob_deed_delete;
    case S3_OP_CREATE_UPLOAD:
    case S3_OP_PUT_PART:
    case S3_OP_LIST_PARTS:
    case S3_OP_COMPLETE_UPLOAD:
    case S3_OP_ABORT_UPLOAD:
        return &blob_deed_upload;
    case S3_OP_COPY_OBJECT:
    case S3_OP_COPY_PART:
        return &blob_deed_copy;
    case S3_OP_POST_OBJECT:
        return &blob_deed_form;
    case S3_OP_OTHER:
    case S3_OPS:
        return NULL;
    }
    return NULL;
}

void blob_gather(struct blob_gathered *g, struct slice bytes)
{
    if (g->body.len + bytes.len > GATHER_BYTES)
        g->is_too_long = true;
    else
        buf_slice(&g->body, bytes);
}
