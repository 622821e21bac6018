/* The policy of a form that a browser sends by POST: JSON that says until when it holds and what
 * the form's other fields must be.  Who signed it is for sigv4_verify_form(). */
#pragma once

#include <stdint.h>

#include "proxy/wire/s3_error.h"
#include "proxy/wire/sigv4.h"

enum {
    S3_POLICY_MOST = 20 * 1024, /* letters of base64 */
    S3_POLICY_CONDITIONS_MOST = 256,
    S3_POLICY_FIELDS_MOST = 128, /* of the form */
};

struct s3_policy_terms {
    uint64_t length_least, length_most; /* content-length-range; 0 .. UINT64_MAX if there is none */
};

/* Whether the form does what its policy says.  Fields are all of the form's before `file`, by name
 * without case, and "bucket"; a field that no condition names is refused, but for those that sign
 * (policy, x-amz-signature), `file` and x-ignore-*.  S3_ACCESS_DENIED with a fault that names the
 * condition, S3_INVALID_POLICY_DOCUMENT.  Allocates; a form is rare. */
enum s3_error s3_policy_check(struct slice policy, const struct http1_field *fields, size_t count,
                              uint64_t now_s, struct s3_policy_terms *terms, struct s3_fault *fault)
    MUST_CHECK;
