/* See s3_error.h. */
#include "proxy/wire/s3_error.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

static const struct {
    uint16_t status;
    const char *code, *message;
} TABLE[S3_ERRORS] = {
    [S3_NONE] = { 200, "", "" },
#define S3_ERROR(name, status, code, message) [S3_##name] = { status, code, message },
#include "proxy/wire/s3_error.def"
#undef S3_ERROR
};

const char *s3_error_code(enum s3_error error)
{
    return TABLE[error].code;
}

const char *s3_error_message(enum s3_error error)
{
    return TABLE[error].message;
}

uint16_t s3_error_status(enum s3_error error)
{
    return TABLE[error].status;
}

enum s3_error s3_error_of_code(struct slice code)
{
    for (size_t error = S3_NONE + 1; error < S3_ERRORS; error++) {
        if (slice_is_text(code, TABLE[error].code))
            return (enum s3_error)error;
    }
    return S3_NONE;
}

void s3_fault_set(struct s3_fault *fault, enum s3_error error)
{
    fault->error = error;
    fault->message = NULL;
    fault->details = 0;
    fault->text[0] = '\0';
}

void s3_fault_say(struct s3_fault *fault, enum s3_error error, const char *format, ...)
{
    va_list args;

    s3_fault_set(fault, error);
    va_start(args, format);
    vsnprintf(fault->text, sizeof(fault->text), format, args);
    va_end(args);
    fault->message = fault->text;
}

void s3_fault_detail(struct s3_fault *fault, const char *name, struct slice value)
{
    if (fault->details < S3_DETAILS_MOST)
        fault->detail[fault->details++] = (struct s3_detail){ name, value };
}

const char *s3_fault_message(const struct s3_fault *fault)
{
    return fault->message != NULL ? fault->message : s3_error_message(fault->error);
}
