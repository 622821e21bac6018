/* Base64 of letters that need no escape in URLs, without padding (RFC 4648, section 5), strictly:
 * each row of bytes has one form. */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

#define URL64_RAW(letters) ((letters) / 4 * 3 + 2) /* no more bytes come of so many letters */

void url64_encode(struct slice in, struct buf *out);
/* Writes at most URL64_RAW(in.len) bytes.  ERR_SYNTAX; `out` is changed on failure too. */
enum err url64_decode(struct slice in, uint8_t *out, size_t *len) MUST_CHECK;
