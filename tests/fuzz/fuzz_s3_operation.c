/* Heads of requests as operations: read twice they are the same; a key, a bucket and a source keep
 * to their limits; and no operation is taken for another: what it is found by is what is there. */
#include <stdlib.h>

#include "proxy/blob/s3_operation.h"
#include "proxy/wire/s3_error.h"

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size);

static struct http1_request request;

static void require(bool condition)
{
    if (!condition)
        abort();
}

static void must_be_legal(const struct s3_operation *o)
{
    enum s3_where where = s3_op_traits(o->op)->where;

    require(o->bucket.len == 0 || s3_bucket_is_legal(o->bucket));
    require(o->key.len <= 1024 && (o->key.len == 0 || memchr(o->key.at, '\0', o->key.len) == NULL));
    require(o->source.bucket.at == NULL ||
            (s3_bucket_is_legal(o->source.bucket) && o->source.key.len > 0));
    require(o->part <= 10000);
    if (o->op == S3_OP_OTHER)
        return;
    require((where != S3_WHERE_SERVICE) == (o->bucket.len > 0));
    require((where == S3_WHERE_OBJECT) == (o->key.len > 0));
    require(s3_op_traits(o->op)->method == request.method);
}

/* What writes or removes a whole object must not have been asked for a part of one. */
static void must_be_meant(const struct s3_operation *o)
{
    static const char *const PARTS[] = { "acl",      "tagging",    "uploads", "uploadId",
                                         "versions", "partNumber", "delete",  "policy" };

    if (o->op != S3_OP_PUT_OBJECT && o->op != S3_OP_DELETE_OBJECT && o->op != S3_OP_DELETE_BUCKET &&
        o->op != S3_OP_CREATE_BUCKET)
        return;
    for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++)
        require(s3_param(o, PARTS[i]) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t size)
{
    static const char *const HOSTS[] = { "s3.example.org" };
    const struct s3_hosts hosts = { HOSTS, 1 };
    struct s3_operation first, second;
    struct s3_fault fault = { 0 }, other = { 0 };
    struct arena arena = { 0 };
    enum s3_error error;

    if (http1_request_parse(slice_of(at, size), NULL, &request) != HTTP1_REFUSAL_NONE)
        return 0;
    error = s3_operation_read(&request, &hosts, &arena, &first, &fault);
    require(error == s3_operation_read(&request, &hosts, &arena, &second, &other));
    if (error == S3_NONE) {
        require(first.op == second.op && slice_is(first.key, second.key));
        must_be_legal(&first);
        must_be_meant(&first);
    }
    arena_fini(&arena);
    return 0;
}
