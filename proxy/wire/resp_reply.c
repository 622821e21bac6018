/* Where replies end.  The scanner knows three places: inside a bulk's body, which it passes by
 * length, inside a long line of text, and before an element's first line, which it takes only whole
 * if it is short.  Nothing else has to be remembered, as a counter says how many elements are
 * missing: each element takes one off, an aggregate adds its own, an attribute adds its own without
 * taking one off.
 *
 *     before a line --"$5"--> in a body --CR LF--> before a line --none left--> a reply's start
 *       ^  |     |
 *       +--+     +--"-ERR ..."--> in a line --CR LF--> before a line
 *     "+OK", "*2", ...
 */
#include "proxy/wire/resp_reply.h"

#include <assert.h>

enum {
    LENGTH_LINE_MAX_BYTES = 32,   /* type, sign, 20 digits, CR LF: fits well */
    TEXT_LINE_TAKEN_BYTES = 1024, /* a longer one is passed as it comes */
};

/* Takes the line at the front of `in`: *text is what stands between type and CR LF. */
static enum parse take_line(struct resp_scan *scan, struct slice in, struct slice *text)
{
    enum { max = LENGTH_LINE_MAX_BYTES };
    size_t shown = in.len < max ? in.len : max;
    const uint8_t *end = NULL;

    assert(scan->searched <= in.len);
    if (scan->searched < shown)
        end = memchr(in.at + scan->searched, '\r', shown - scan->searched);
    if (end == NULL) {
        scan->searched = (uint32_t)shown;
        return in.len < max ? PARSE_MORE : PARSE_BAD;
    }
    scan->searched = (uint32_t)(end - in.at);
    if (scan->searched + 1u == in.len)
        return PARSE_MORE;
    if (end[1] != '\n')
        return PARSE_BAD;
    scan->searched = 0;
    *text = slice_of(in.at + 1, (size_t)(end - in.at) - 1);
    return PARSE_DONE;
}

/* "0", "17"; no sign, no leading zero; at most `max`. */
static bool read_length(struct slice text, uint64_t max, uint64_t *out)
{
    return slice_to_u64(text, out) && *out <= max && (text.len == 1 || text.at[0] != '0');
}

static enum parse begin_bulk(struct resp_scan *scan, struct slice text, bool may_be_null)
{
    uint64_t size;

    if (may_be_null && slice_is_text(text, "-1")) {
        scan->left--;
        return PARSE_DONE;
    }
    if (!read_length(text, RESP_REPLY_MAX_BULK_BYTES, &size))
        return PARSE_BAD;
    scan->body_left = size + 2;
    return PARSE_DONE;
}

static enum parse begin_aggregate(struct resp_scan *scan, uint8_t type, struct slice text)
{
    uint64_t count;

    if (type == '*' && slice_is_text(text, "-1")) {
        scan->left--;
        return PARSE_DONE;
    }
    if (!read_length(text, RESP_REPLY_MAX_COUNT, &count))
        return PARSE_BAD;
    if (type == '%' || type == '|')
        count *= 2;
    if (type != '|')
        scan->left--;
    scan->left += count;
    return scan->left <= RESP_REPLY_MAX_LEFT ? PARSE_DONE : PARSE_BAD;
}

static bool is_integer(struct slice text)
{
    int64_t value;

    if (text.len > 0 && text.at[0] == '+') {
        text = slice_from(text, 1);
        if (text.len > 0 && text.at[0] == '-')
            return false;
    }
    return slice_to_i64(text, &value);
}

/* An element that is all in its line. */
static enum parse pass_line(struct resp_scan *scan, bool is_well_formed)
{
    if (!is_well_formed)
        return PARSE_BAD;
    scan->left--;
    return PARSE_DONE;
}

static enum parse begin_element(struct resp_scan *scan, uint8_t type, struct slice text)
{
    switch (type) {
    case '$':
        return begin_bulk(scan, text, true);
    case '=':
    case '!':
        return begin_bulk(scan, text, false);
    case '*':
    case '%':
    case '~':
    case '|':
    case '>':
        return begin_aggregate(scan, type, text);
    case ':':
        return pass_line(scan, is_integer(text));
    case '_':
        return pass_line(scan, text.len == 0);
    case '#':
        return pass_line(scan, slice_is_text(text, "t") || slice_is_text(text, "f"));
    }
    return pass_line(scan, true);
}

enum line { LINE_OF_TEXT, LINE_OF_LENGTH, LINE_OF_NOTHING };

static enum line line_of(uint8_t type)
{
    switch (type) {
    case '+':
    case '-':
    case '(':
    case ',':
        return LINE_OF_TEXT;
    case '$':
    case '=':
    case '!':
    case '*':
    case '%':
    case '~':
    case '|':
    case '>':
    case ':':
    case '_':
    case '#':
        return LINE_OF_LENGTH;
    }
    return LINE_OF_NOTHING;
}

/* A line of text, or the rest of one: servers send them as long as their scripts make them. */
static enum parse pass_text(struct resp_scan *scan, struct slice in, size_t *used)
{
    const uint8_t *end = NULL;
    size_t len = in.len;

    assert(scan->searched <= in.len);
    if (scan->searched < in.len)
        end = memchr(in.at + scan->searched, '\r', in.len - scan->searched);
    if (end != NULL)
        len = (size_t)(end - in.at);
    if (end == NULL || len + 1 == in.len) {
        scan->in_line = scan->in_line || len >= TEXT_LINE_TAKEN_BYTES;
        scan->searched = scan->in_line ? 0 : (uint32_t)len;
        *used = scan->in_line ? len : 0;
        return PARSE_MORE;
    }
    if (end[1] != '\n')
        return PARSE_BAD;
    scan->in_line = false;
    scan->searched = 0;
    scan->left--;
    *used = len + 2;
    return PARSE_DONE;
}

/* Passes what it can of a body, but the CR LF only together, so that both are seen. */
static enum parse pass_body(struct resp_scan *scan, struct slice in, size_t *used)
{
    size_t body = in.len;

    if (scan->body_left - 2 < body)
        body = (size_t)(scan->body_left - 2);
    *used = body;
    scan->body_left -= body;
    if (in.len - body < 2)
        return in.len - body == 1 && in.at[body] != '\r' ? PARSE_BAD : PARSE_MORE;
    if (memcmp(in.at + body, "\r\n", 2) != 0)
        return PARSE_BAD;
    *used += 2;
    scan->body_left = 0;
    scan->left--;
    return PARSE_DONE;
}

/* What stands here is the reply itself, or an attribute of it: nothing else is outstanding. */
static bool is_before_reply(const struct resp_scan *scan)
{
    return !scan->begun && scan->left == 1;
}

static enum parse pass_header(struct resp_scan *scan, struct slice in, size_t *used)
{
    enum line line;
    struct slice text;
    enum parse parse;

    if (in.len == 0)
        return PARSE_MORE;
    line = line_of(in.at[0]);
    if (line == LINE_OF_NOTHING || (in.at[0] == '>' && !is_before_reply(scan)))
        return PARSE_BAD;
    if (is_before_reply(scan))
        scan->type = in.at[0];
    if (line == LINE_OF_TEXT) {
        bool is_reply = is_before_reply(scan);

        parse = pass_text(scan, in, used);
        scan->begun = scan->begun || (is_reply && *used > 0);
        return parse;
    }
    parse = take_line(scan, in, &text);
    if (parse != PARSE_DONE)
        return parse;
    if (is_before_reply(scan))
        scan->begun = in.at[0] != '|';
    *used = 1 + text.len + 2;
    return begin_element(scan, in.at[0], text);
}

/* From where the scan stands, as far as it goes. */
static enum parse pass_elements(struct resp_scan *scan, struct slice in, size_t *used)
{
    size_t at = 0;
    enum parse parse = PARSE_DONE;

    while (parse == PARSE_DONE && scan->left > 0) {
        struct slice rest = slice_from(in, at);
        bool amid = scan->body_left > 0 || scan->in_line;
        size_t passed = amid || is_before_reply(scan) ? 0 : resp_reply_fast(rest);

        if (passed > 0) {
            scan->left--;
            scan->searched = 0;
        } else if (scan->in_line) {
            parse = pass_text(scan, rest, &passed);
        } else if (amid) {
            parse = pass_body(scan, rest, &passed);
        } else {
            parse = pass_header(scan, rest, &passed);
        }
        at += passed;
    }
    *used = at;
    return parse;
}

/* The length of the array at the front of `in`, if it is whole and all of it of the common kinds,
 * as the values of an MGET are; else 0. */
static size_t fast_array(struct slice in)
{
    uint64_t count;
    size_t at = resp_reply_fast_count(in, &count);

    for (; at > 0 && count > 0; count--) {
        size_t len = resp_reply_fast(slice_from(in, at));

        at = len > 0 ? at + len : 0;
    }
    return at;
}

enum parse resp_reply_scan(struct resp_scan *scan, struct slice in, size_t *used)
{
    *used = 0;
    if (in.len == 0)
        return PARSE_MORE;
    if (scan->left == 0) {
        *scan = (struct resp_scan){ .type = in.at[0] };
        *used = in.at[0] == '*' ? fast_array(in) : resp_reply_fast(in);
        if (*used > 0)
            return PARSE_DONE;
        scan->left = 1;
    }
    return pass_elements(scan, in, used);
}
