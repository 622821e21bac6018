/* Redis requests, as a server sees them: an array of bulks, or an inline line.
 *
 *     struct resp_args args = { 0 };                    the worker's, reused for each request
 *     struct resp_progress progress = { 0 };            the session's
 *
 *     switch (resp_request_parse(&progress, in, &RESP_LIMITS_DEFAULT, &args, &len, &why)) {
 *     case PARSE_DONE:    args.at[0 .. args.count - 1] is the request, in.at[0 .. len - 1] its
 *                         bytes; count 0 (an empty line, "*0", "*-1") is to be passed over in
 *                         silence
 *     case PARSE_MORE:    show the same bytes again, from the request's start, when more have
 *                         come; progress.need says how many the request has at least, if that is
 *                         known
 *     case PARSE_BAD:     send "-ERR " and why.text, then close; see TOO_LARGE for the one other
 *                         way
 *     }
 *
 * Partial requests cost no second pass: `progress` remembers where the last complete argument
 * ended.  Accepted is what Redis 7 accepts, but for one thing: where Redis passes over two bytes
 * unseen, at the ends of lines and of bulks, these must be CR LF.  Bytes that two readers could
 * understand differently are not to be forwarded on a connection that many share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

struct resp_limits {
    uint32_t max_args;
    uint32_t max_inline_bytes; /* of inline requests and of lines with a length */
    uint64_t max_bulk_bytes;
    uint64_t max_request_bytes;
    bool unauthenticated; /* too much is refused with the words for who has not logged in */
};

extern const struct resp_limits RESP_LIMITS_DEFAULT;
extern const struct resp_limits RESP_LIMITS_UNAUTHENTICATED;

/* The arguments of the request parsed last.  Zero is valid and empty. */
struct resp_args {
    struct slice *at; /* owned; the slices: borrowed from the input or from `unescaped` */
    size_t count, cap;
    struct buf unescaped; /* what inline quotes stand for */
};

void resp_args_fini(struct resp_args *args);

/* Zero stands at a request's start.  PARSE_DONE and PARSE_BAD set it to zero again. */
struct resp_progress {
    uint32_t at; /* bytes up to the end of the last complete argument */
    /* After PARSE_MORE: bytes the request has at least; 0 is unknown.  A peer's word: bounded by
     * the limits, not by what was sent. */
    uint32_t need;
    uint32_t left;     /* arguments after `at`; 0 before the first line is complete */
    uint32_t searched; /* bytes after `at` in which no line ends */
};

enum resp_problem_kind {
    RESP_PROBLEM_PROTOCOL,
    /* Well formed so far, but above max_request_bytes.  A caller that wants to keep the session
     * gives the request's bytes, from its start, to resp_reply_scan(): it passes requests, too. */
    RESP_PROBLEM_TOO_LARGE,
};

struct resp_problem {
    enum resp_problem_kind kind;
    char text[56];          /* Redis's words without "ERR "; may hold any byte of the input */
    uint64_t request_bytes; /* TOO_LARGE: what the request has at least */
    bool is_exact;          /* TOO_LARGE: request_bytes is the whole of it */
};

/* `args` and `len` are set by PARSE_DONE, `why` by PARSE_BAD.  The limits may differ from call to
 * call: what was passed under other limits is judged again when the request is whole. */
enum parse resp_request_parse(struct resp_progress *progress, struct slice in,
                              const struct resp_limits *limits, struct resp_args *args, size_t *len,
                              struct resp_problem *why);
