/* What a request asks of S3: read from its method, path, query and a few fields.  Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/arena.h"
#include "proxy/base/slice.h"
#include "proxy/wire/http1.h"
#include "proxy/wire/s3_error.h"

enum {
    S3_KEY_MOST = 1024,
    S3_BUCKET_MOST = 63,
    S3_BUCKET_LEAST = 3,
    S3_PART_MOST = 10000,
};

enum s3_op {
#define S3_OPERATION(name, method, where, right, body, words) S3_OP_##name,
#include "proxy/blob/s3_operations.def"
#undef S3_OPERATION
    S3_OPS,
};

enum s3_where { S3_WHERE_SERVICE, S3_WHERE_BUCKET, S3_WHERE_OBJECT };
enum s3_right {
    S3_RIGHT_READ = 1 << 0,
    S3_RIGHT_WRITE = 1 << 1,
    S3_RIGHT_LIST = 1 << 2,
    S3_RIGHT_DELETE = 1 << 3,
    S3_RIGHT_ADMIN = 1 << 4, /* nobody's */
};
enum s3_body { S3_BODY_NONE, S3_BODY_WHOLE, S3_BODY_STREAM };

struct s3_op_traits {
    const char *words; /* "GetObject": for logs and metrics */
    enum http1_method method;
    enum s3_where where;
    enum s3_right right;
    enum s3_body body;
};
extern const struct s3_op_traits s3_ops_traits[S3_OPS];

static inline const struct s3_op_traits *s3_op_traits(enum s3_op op)
{
    return &s3_ops_traits[op];
}

/* A parameter of the query, decoded; signing's own (X-Amz-Signature ...) and the clients' marks
 * (x-id) are left out. */
struct blob_param {
    struct slice name, value;
    bool has_value; /* "?acl=", not "?acl" */
};

/* Where a copy comes from. */
struct s3_source {
    struct slice bucket, key, version; /* decoded; bucket .at NULL: it is no copy */
};

struct s3_operation {
    enum s3_op op;
    struct slice bucket, key; /* decoded; empty where there is none */
    struct slice path;        /* "/bucket/key" as we should encode it, if it came so; else empty */
    struct blob_param *params;
    size_t param_count;
    struct s3_source source;
    uint32_t part;          /* partNumber; 0: none */
    struct slice upload_id; /* as the client has it: ours, wrapped */
};

/* Host names under which buckets are subdomains ("photos.s3.example.org"), without ports. */
struct s3_hosts {
    const char *const *names; /* borrowed */
    size_t count;
};

/* S3_NONE, or *fault is set.  What is in `out` is borrowed from the request or lies in the
 * arena. */
enum s3_error s3_operation_read(const struct http1_request *request, const struct s3_hosts *hosts,
                                struct arena *arena, struct s3_operation *out,
                                struct s3_fault *fault) MUST_CHECK;

/* NULL: there is no such parameter. */
const struct blob_param *s3_param(const struct s3_operation *o, const char *name);
/* Its value; empty if there is none. */
struct slice s3_param_value(const struct s3_operation *o, const char *name);

/* Lower-case letters, digits, dots and hyphens, as S3 has them since 2018; underscores and upper
 * case, too, since old stores have such buckets. */
bool s3_bucket_is_legal(struct slice name);
