/* Range, If-Match and their like. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

/* One range of bytes as asked. */
struct http1_range {
    uint64_t first, last; /* last: UINT64_MAX up to the end; is_suffix: `last` bytes from the end */
    bool is_suffix;
};

/* "bytes=0-9", "bytes=10-", "bytes=-5".  ERR_UNSUPPORTED: anything else, several ranges too, which
 * S3 answers as if no Range had been there. */
MUST_CHECK enum err http1_range_read(struct slice value, struct http1_range *out);
/* What it means of `size` bytes: [*first, *last].  ERR_RANGE: nothing (416). */
MUST_CHECK enum err http1_range_apply(const struct http1_range *range, uint64_t size,
                                      uint64_t *first, uint64_t *last);

/* "bytes 0-9/100" of an answer.  ERR_SYNTAX. */
struct http1_content_range {
    uint64_t first, last, size;
    bool has_size; /* else it came as an asterisk */
};
MUST_CHECK enum err http1_content_range_read(struct slice value, struct http1_content_range *out);

enum http1_compare {
    HTTP1_COMPARE_STRONG, /* If-Match: W/ never matches */
    HTTP1_COMPARE_WEAK,   /* If-None-Match */
};

/* Whether a list of entity tags, or "*", has `etag` in it.  Tags may be without their quotes, on
 * either side, as S3's clients send them. */
bool http1_etag_matches(struct slice list, struct slice etag, enum http1_compare compare);
