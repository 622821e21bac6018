/* Points in time as HTTP and S3 write them, in UTC, as seconds since 1970.  No locale, no time zone
 * of the C library; years 1 to 9999, no leap seconds (a second 60 is read as the next minute). */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    HTTP_DATE_BYTES = 29,    /* Sun, 06 Nov 1994 08:49:37 GMT */
    ISO_BASIC_BYTES = 16,    /* 19941106T084937Z */
    ISO_EXTENDED_BYTES = 24, /* 1994-11-06T08:49:37.000Z */
};

/* The form above, or one of the two that are obsolete: "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov
 * 6 08:49:37 1994".  `now` settles the century of the former: not over 50 years ahead of it.  The
 * day of the week is not checked.  ERR_SYNTAX: none of them. */
MUST_CHECK enum err http_date_read(struct slice text, int64_t now, int64_t *seconds);
void http_date_write(int64_t seconds, uint8_t out[HTTP_DATE_BYTES]);

/* 19941106T084937Z, exactly. */
MUST_CHECK enum err iso_basic_read(struct slice text, int64_t *seconds);
void iso_basic_write(int64_t seconds, uint8_t out[ISO_BASIC_BYTES]);

/* 1994-11-06T08:49:37Z, with up to nine digits of a fraction, or an offset "+01:00" for the Z. */
MUST_CHECK enum err iso_extended_read(struct slice text, int64_t *milliseconds);
void iso_extended_write(int64_t milliseconds, uint8_t out[ISO_EXTENDED_BYTES]);
