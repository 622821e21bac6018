/* The errors of S3 as clients know them, and what an answer says of one. */
#pragma once

#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum s3_error {
    S3_NONE,
#define S3_ERROR(name, status, code, message) S3_##name,
#include "proxy/wire/s3_error.def"
#undef S3_ERROR
    S3_ERRORS,
};

const char *s3_error_code(enum s3_error error);    /* "NoSuchKey" */
const char *s3_error_message(enum s3_error error); /* a sentence */
uint16_t s3_error_status(enum s3_error error);     /* 404 */
/* By a store's code; S3_NONE: none that we know. */
enum s3_error s3_error_of_code(struct slice code);

enum { S3_DETAILS_MOST = 4, S3_FAULT_TEXT_MOST = 256 };

/* Why a request is refused.  Details become elements of the answer beside Code and Message, such as
 * <Region>; their values need XML's escapes, as the message does. */
struct s3_fault {
    enum s3_error error;
    const char *message; /* static, or `text`; NULL: the error's own */
    uint8_t details;
    struct s3_detail {
        const char *name;   /* static */
        struct slice value; /* borrowed: from the request's head, or of this fault's `numbers` */
    } detail[S3_DETAILS_MOST];
    char text[S3_FAULT_TEXT_MOST];
    char numbers[3][24];
};

/* Without details and with the error's own message. */
void s3_fault_set(struct s3_fault *fault, enum s3_error error);
/* With its own words: what does not fit into the text is cut off. */
void s3_fault_say(struct s3_fault *fault, enum s3_error error, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* What does not fit is left out. */
void s3_fault_detail(struct s3_fault *fault, const char *name, struct slice value);
const char *s3_fault_message(const struct s3_fault *fault);
