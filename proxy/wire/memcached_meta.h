/* Meta commands of memcached, written.  A key that is no word of a line goes in base64, with the
 * flag b.
 *
 *     memcached_put_meta(&out, "mg", key);             "mg KEY", or "mg S0VZ b"
 *     buf_text(&out, " v t\r\n");
 *
 *     memcached_put_meta_set(&out, key, value.len);    "ms KEY 5"
 *     buf_text(&out, " T60\r\n"); ... the value, CR LF */
#pragma once

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* Can it stand in a line as it is? */
bool memcached_key_is_word(struct slice key);
/* Can it be told at all?  A key has 1 to 250 bytes, those in base64 at most 186. */
bool memcached_key_fits(struct slice key);

void memcached_put_meta(struct buf *out, const char *command, struct slice key);
void memcached_put_meta_set(struct buf *out, struct slice key, size_t value_len);
