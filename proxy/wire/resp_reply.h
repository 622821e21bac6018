/* Where Redis replies end, in RESP2 and RESP3: bytes are passed, not understood.
 *
 *     len = resp_reply_fast(in);                        most replies: whole and of the common kinds
 *     if (len == 0)
 *         switch (resp_reply_scan(&scan, in, &used)) {
 *         case PARSE_DONE:    the reply ends after `used` bytes; scan.type says what it was
 *         case PARSE_MORE:    `used` bytes are passed and not to be shown again; what remains is
 *                             less than a line, and is to be shown again with what follows it
 *         case PARSE_BAD:     not RESP: the connection is out of step
 *         }
 *
 * resp_reply_fast() may only be asked at a reply's start: scan.left == 0.  Nesting costs nothing: a
 * counter of the elements that are still to come, no stack.  Memory is constant, bodies of bulks
 * are not touched.  Streamed aggregates and strings ("$?"), which no server sends, are not RESP
 * here. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

#define RESP_REPLY_MAX_BULK_BYTES ((uint64_t)1 << 40)
#define RESP_REPLY_MAX_COUNT      ((uint64_t)1 << 40)
#define RESP_REPLY_MAX_LEFT       ((uint64_t)1 << 48) /* elements outstanding, over all levels */

/* Zero stands at a reply's start, and so does a scan after PARSE_DONE. */
struct resp_scan {
    uint64_t left;      /* elements to come, the one begun included; 0: at a reply's start */
    uint64_t body_left; /* bytes to come of the bulk begun, its CR LF included */
    uint32_t searched;  /* bytes of the partial line in which it does not end */
    /* First byte of the reply, once seen: '+', '$', '>', ...  An attribute before the reply shows
     * as '|' until the reply itself begins. */
    uint8_t type;
    bool begun;   /* the reply's own first line is passed, or the beginning of it */
    bool in_line; /* a long line of text is passed as it comes */
};

enum parse resp_reply_scan(struct resp_scan *scan, struct slice in, size_t *used);

/* Out of band (RESP3): belongs to no request. */
static inline bool resp_scan_is_push(const struct resp_scan *scan)
{
    return scan->type == '>';
}

/* Bytes to come of the bulk that the scan stands in, without CR LF: what may be streamed past. */
static inline uint64_t resp_scan_body_left(const struct resp_scan *scan)
{
    return scan->body_left > 2 ? scan->body_left - 2 : 0;
}

/* So many of those went by without being shown. */
static inline void resp_scan_pass_body(struct resp_scan *scan, uint64_t bytes)
{
    assert(bytes <= resp_scan_body_left(scan));
    scan->body_left -= bytes;
}

/* The length of the bulk at the front of `in`, which begins with '$'; 0: partial, or not simple. */
static inline size_t resp_reply_fast_bulk(struct slice in)
{
    enum { MAX_DIGITS = 9 };
    size_t size = 0, at = 1, end = in.len < MAX_DIGITS + 1 ? in.len : MAX_DIGITS + 1;

    if (in.len > 4 && in.at[3] == '\r' && (uint8_t)(in.at[1] - '1') < 9 &&
        (uint8_t)(in.at[2] - '0') < 10) { /* most values have two digits: no loop */
        size = (size_t)(in.at[1] - '0') * 10 + (size_t)(in.at[2] - '0');
        at = 3;
    } else {
        for (; at < end && (uint8_t)(in.at[at] - '0') < 10; at++)
            size = size * 10 + (uint8_t)(in.at[at] - '0');
    }
    if (at == 1)
        return in.len >= 5 && memcmp(in.at, "$-1\r\n", 5) == 0 ? 5 : 0;
    if ((in.at[1] == '0' && at > 2) || in.len - at < 4 || size > in.len - at - 4)
        return 0;
    if (memcmp(in.at + at, "\r\n", 2) != 0 || memcmp(in.at + at + 2 + size, "\r\n", 2) != 0)
        return 0;
    return at + 2 + size + 2;
}

/* The same for what begins with ':'. */
static inline size_t resp_reply_fast_integer(struct slice in)
{
    enum { MAX_DIGITS = 18 };
    size_t at = 1, first, end = in.len < MAX_DIGITS + 1 ? in.len : MAX_DIGITS + 1;

    if (at < end && in.at[at] == '-')
        at++;
    for (first = at; at < end && (uint8_t)(in.at[at] - '0') < 10; at++)
        ;
    if (at == first || in.len - at < 2 || memcmp(in.at + at, "\r\n", 2) != 0)
        return 0;
    return at + 2;
}

/* The length of the line "*3", CR LF included, at the front of `in`, with its count; 0: partial, or
 * not simple. */
static inline size_t resp_reply_fast_count(struct slice in, uint64_t *count)
{
    enum { MAX_DIGITS = 6 };
    size_t at = 1, end = in.len < MAX_DIGITS + 1 ? in.len : MAX_DIGITS + 1;

    *count = 0;
    for (; at < end && (uint8_t)(in.at[at] - '0') < 10; at++)
        *count = *count * 10 + (uint8_t)(in.at[at] - '0');
    if (at == 1 || (in.at[1] == '0' && at > 2) || in.at[0] != '*' || in.len - at < 2 ||
        memcmp(in.at + at, "\r\n", 2) != 0)
        return 0;
    return at + 2;
}

/* The length of the reply at the front of `in`, if it is whole and a bulk, a null, an integer or
 * +OK; else 0: ask resp_reply_scan(). */
static inline size_t resp_reply_fast(struct slice in)
{
    if (in.len < 3)
        return 0;
    switch (in.at[0]) {
    case '$':
        return resp_reply_fast_bulk(in);
    case ':':
        return resp_reply_fast_integer(in);
    case '+':
        return in.len >= 5 && memcmp(in.at, "+OK\r\n", 5) == 0 ? 5 : 0;
    case '_':
        return in.at[1] == '\r' && in.at[2] == '\n' ? 3 : 0;
    }
    return 0;
}
