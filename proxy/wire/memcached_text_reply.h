/* Replies of memcached's text protocol, the meta commands included.
 *
 *     struct memcached_scan scan = { 0 };                  at a reply's start
 *     parse = memcached_reply_scan(&scan, in, &used);      as often as bytes come
 *
 * finds where one ends, without knowing what was asked: a reply is one line (STORED, HD ..., 17),
 * one line with a value (VA ...), or rows up to END (VALUE ..., STAT ...).  A line that memcached
 * does not say is BAD.
 *
 *     struct memcached_reply reply;
 *     TRY(memcached_reply_read(whole, &reply));
 *
 * takes one apart that is no row of rows. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

enum memcached_scan_state {
    MEMCACHED_SCAN_START,     /* before a reply's first line */
    MEMCACHED_SCAN_ROWS,      /* before a line that is not the first */
    MEMCACHED_SCAN_ROW_BODY,  /* in a value that others may follow */
    MEMCACHED_SCAN_LAST_BODY, /* in the value that ends the reply */
};

struct memcached_scan {
    uint64_t body_left; /* with its CR LF */
    uint32_t searched;  /* bytes of the line at the front that have no end */
    enum memcached_scan_state state;
};

/* DONE: *used bytes end the reply, and the scan is at the next one's start.  MORE: *used bytes are
 * passed. */
enum parse memcached_reply_scan(struct memcached_scan *scan, struct slice in, size_t *used);

/* Bytes to come that are surely of this reply, and do not end it. */
static inline uint64_t memcached_scan_body_left(const struct memcached_scan *scan)
{
    return scan->body_left > 2 ? scan->body_left - 2 : 0;
}

static inline void memcached_scan_pass_body(struct memcached_scan *scan, uint64_t len)
{
    scan->body_left -= len;
}

/* One value of a reply to get and its kin: "VALUE key flags size [cas]", the value, CR LF. */
struct memcached_row {
    struct slice raw; /* all of it */
    struct slice key, flags, value;
    struct slice cas; /* .at is NULL: not told */
};

/* Takes the row at the front of `rest` off; ERR_PROTOCOL: there is none.  What is left when all are
 * taken is "END\r\n", or an error. */
MUST_CHECK enum err memcached_row_read(struct slice *rest, struct memcached_row *out);

/* A reply of one line, with its value if it is "VA". */
struct memcached_reply {
    struct slice code; /* the first word */
    struct slice rest; /* of the line, behind the code (and the size, of "VA") */
    struct slice value;
    bool has_value;
};

MUST_CHECK enum err memcached_reply_read(struct slice whole, struct memcached_reply *out);

/* The token of a meta reply's flag: "c17" -> "17"; .at is NULL if it is not there. */
struct slice memcached_reply_flag(const struct memcached_reply *reply, char flag);

static inline bool memcached_reply_is_error(struct slice reply)
{
    return slice_starts(reply, slice_text("SERVER_ERROR")) ||
           slice_starts(reply, slice_text("CLIENT_ERROR")) ||
           slice_starts(reply, slice_text("ERROR"));
}
