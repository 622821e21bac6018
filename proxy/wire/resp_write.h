/* Redis replies and requests, written behind what a buffer holds.  Where RESP2 has no word for what
 * RESP3 says, the version decides, as Redis does it: a map is a flat array, a double a bulk. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

enum resp_version {
    RESP_VERSION_2 = 2,
    RESP_VERSION_3 = 3,
};

/* CR and LF in `text` become spaces.  An error's text begins with its code: "ERR no such thing". */
void resp_put_simple(struct buf *b, struct slice text);
void resp_put_error(struct buf *b, struct slice text);
void resp_put_error_text(struct buf *b, const char *format, ...) PRINTF_LIKE(2, 3);
void resp_put_integer(struct buf *b, int64_t value);
void resp_put_bulk(struct buf *b, struct slice s);
void resp_put_bulk_text(struct buf *b, const char *text);
/* `format` is the three letters of RESP3: "txt", "mkd". */
void resp_put_verbatim(struct buf *b, enum resp_version version, const char *format,
                       struct slice s);
void resp_put_null(struct buf *b, enum resp_version version);
void resp_put_null_array(struct buf *b, enum resp_version version); /* RESP2: "*-1" */

/* The elements follow: `count` of them, of a map `pairs` times two. */
void resp_put_array(struct buf *b, size_t count);
void resp_put_map(struct buf *b, enum resp_version version, size_t pairs);
void resp_put_set(struct buf *b, enum resp_version version, size_t count);
void resp_put_push(struct buf *b, enum resp_version version, size_t count);

/* A request: an array of bulks. */
void resp_put_command(struct buf *b, const struct slice *args, size_t count);
