/* The fields of a form that a browser uploads with: what they name, say of the object, and of the
 * answer.  Pure.
 *
 *     s3_form_add(&form, name, value, &fault);               each before the file
 *     s3_form_close(&form, bucket, file_name, &key, &fault)  at the file; then the others */
#pragma once

#include "proxy/base/arena.h"
#include "proxy/blob/blob.h"
#include "proxy/wire/checksum.h"
#include "proxy/wire/s3_policy.h"

enum { S3_FORM_BYTES_MOST = 64 * 1024 }; /* of all fields together */

struct s3_form {
    struct arena *arena; /* borrowed: all is copied there */
    size_t count, bytes;
    struct http1_field fields[S3_POLICY_FIELDS_MOST];
};

/* All: S3_NONE, or the fault is set. */
enum s3_error s3_form_add(struct s3_form *form, struct slice name, struct slice value,
                          struct s3_fault *fault) MUST_CHECK;
/* The object's key; ${filename} in it is replaced, and the bucket is a field from now on. */
enum s3_error s3_form_close(struct s3_form *form, struct slice bucket, struct slice file_name,
                            struct slice *key, struct s3_fault *fault) MUST_CHECK;
/* Of the first field of that name, in any case; .at NULL: there is none. */
struct slice s3_form_value(const struct s3_form *form, const char *name);
void s3_form_signing(const struct s3_form *form, struct sigv4_form *out);
/* What is declared of the file. */
enum s3_error s3_form_declare(const struct s3_form *form, struct checksum_set *sums,
                              struct s3_fault *fault) MUST_CHECK;
/* What a store is told, as fields of a put. */
enum s3_error s3_form_ask(const struct s3_form *form, struct blob_ask *ask, struct s3_fault *fault)
    MUST_CHECK;
