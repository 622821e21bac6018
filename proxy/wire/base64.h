/* Base64 with padding (RFC 4648, section 4), strictly: no other letters, no bits left over. */
#pragma once

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

#define BASE64_BYTES(raw) (((raw) + 2) / 3 * 4)

/* Writes BASE64_BYTES(in.len) letters, not terminated. */
void base64_encode(struct slice in, char *out);
/* ERR_SYNTAX; ERR_LIMIT if it does not fit into `room`.  `out` is changed on failure too. */
enum err base64_decode(struct slice in, uint8_t *out, size_t room, size_t *len) MUST_CHECK;
