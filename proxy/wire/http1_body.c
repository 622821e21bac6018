/* See http1_body.h.  Chunks, byte by byte but for their payload:
 *
 *     SIZE_FIRST -> SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE_FIRST
 *                                          SIZE_LF, of size 0 -> TRAILER -> OVER
 *
 * Trailers must lie in one piece, since they are shown as fields. */
#include "proxy/wire/http1_body.h"

#include "proxy/wire/http1_token.h"

enum state {
    STATE_DATA, /* of all framings: payload, if there is any */
    STATE_DATA_CR,
    STATE_DATA_LF,
    STATE_SIZE_FIRST,
    STATE_SIZE,
    STATE_EXTENSION,
    STATE_SIZE_LF,
    STATE_TRAILER,
    STATE_OVER,
};

void http1_body_begin(struct http1_body *body, enum http1_framing framing, uint64_t length)
{
    *body = (struct http1_body){ .framing = (uint8_t)framing };
    switch (framing) {
    case HTTP1_FRAMING_NONE:
        body->state = STATE_OVER;
        break;
    case HTTP1_FRAMING_LENGTH:
        body->left = length;
        body->state = length == 0 ? STATE_OVER : STATE_DATA;
        break;
    case HTTP1_FRAMING_CHUNKED:
        body->state = STATE_SIZE_FIRST;
        break;
    case HTTP1_FRAMING_UNTIL_CLOSE:
        body->left = UINT64_MAX;
        body->state = STATE_DATA;
        break;
    }
}

bool http1_body_is_whole(const struct http1_body *body)
{
    return body->state == STATE_OVER;
}

uint64_t http1_body_left(const struct http1_body *body)
{
    return body->state == STATE_DATA ? body->left : 0;
}

void http1_body_pass(struct http1_body *body, uint64_t bytes)
{
    assert(bytes <= http1_body_left(body));
    body->payload += bytes;
    if (body->framing == HTTP1_FRAMING_UNTIL_CLOSE || bytes == 0)
        return;
    body->left -= bytes;
    if (body->left == 0)
        body->state = body->framing == HTTP1_FRAMING_CHUNKED ? STATE_DATA_CR : STATE_OVER;
}

/* --- Chunk sizes ----------------------------------------------------------------------------- */

static int hex_value(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static enum http1_refusal digit_take(struct http1_body *body, uint8_t byte)
{
    int digit = hex_value(byte);

    if (digit < 0 || body->left > INT64_MAX >> 4)
        return HTTP1_REFUSAL_CHUNK_SIZE;
    body->left = body->left << 4 | (uint64_t)digit;
    body->state = STATE_SIZE;
    return HTTP1_REFUSAL_NONE;
}

static enum http1_refusal extension_take(struct http1_body *body, uint8_t byte)
{
    if (byte == '\r')
        body->state = STATE_SIZE_LF;
    else if ((byte < ' ' && byte != '\t') || byte == 0x7f)
        return HTTP1_REFUSAL_CHUNK_EXTENSION;
    return HTTP1_REFUSAL_NONE;
}

static enum http1_refusal size_take(struct http1_body *body, uint8_t byte)
{
    if (byte == '\r')
        body->state = STATE_SIZE_LF;
    else if (byte == ';')
        body->state = STATE_EXTENSION;
    else
        return digit_take(body, byte);
    return HTTP1_REFUSAL_NONE;
}

static enum http1_refusal size_end_take(struct http1_body *body, uint8_t byte)
{
    if (byte != '\n')
        return HTTP1_REFUSAL_CHUNK_SIZE;
    body->state = body->left > 0 ? STATE_DATA : STATE_TRAILER;
    body->line_len = 0;
    return HTTP1_REFUSAL_NONE;
}

static enum http1_refusal data_end_take(struct http1_body *body, uint8_t byte)
{
    if (byte != (body->state == STATE_DATA_CR ? '\r' : '\n'))
        return HTTP1_REFUSAL_CHUNK_END;
    body->state = body->state == STATE_DATA_CR ? STATE_DATA_LF : STATE_SIZE_FIRST;
    return HTTP1_REFUSAL_NONE;
}

/* One byte of framing between payload. */
static enum http1_refusal framing_take(struct http1_body *body, uint8_t byte)
{
    switch ((enum state)body->state) {
    case STATE_DATA_CR:
    case STATE_DATA_LF:
        return data_end_take(body, byte);
    case STATE_SIZE_FIRST:
    case STATE_SIZE:
    case STATE_EXTENSION:
    case STATE_SIZE_LF:
        if (++body->line_len > HTTP1_CHUNK_LINE_MAX_BYTES)
            return body->state == STATE_EXTENSION ? HTTP1_REFUSAL_CHUNK_EXTENSION
                                                  : HTTP1_REFUSAL_CHUNK_SIZE;
        if (body->state == STATE_SIZE_FIRST)
            return digit_take(body, byte);
        if (body->state == STATE_SIZE_LF)
            return size_end_take(body, byte);
        return body->state == STATE_SIZE ? size_take(body, byte) : extension_take(body, byte);
    case STATE_DATA:
    case STATE_TRAILER:
    case STATE_OVER:
        break;
    }
    assert(!"framing where there is none");
    return HTTP1_REFUSAL_SYNTAX;
}

/* --- Trailers -------------------------------------------------------------------------------- */

static bool trailer_read(struct slice line, struct http1_field *field)
{
    size_t colon = 0, at, end = line.len;

    while (colon < line.len && http1_token_bytes[line.at[colon]])
        colon++;
    if (colon == 0 || colon == line.len || line.at[colon] != ':')
        return false;
    for (at = colon + 1; at < end && (line.at[at] == ' ' || line.at[at] == '\t');)
        at++;
    while (end > at && (line.at[end - 1] == ' ' || line.at[end - 1] == '\t'))
        end--;
    *field = (struct http1_field){ .name = slice_of(line.at, colon),
                                   .value = slice_of(line.at + at, end - at) };
    field->known = (uint8_t)http1_name_of(field->name);
    return true;
}

bool http1_trailer_next(struct slice *rest, struct http1_field *field)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->at, '\r', rest->len) : NULL;

    if (end == NULL || !trailer_read(slice_of(rest->at, (size_t)(end - rest->at)), field))
        return false;
    *rest = slice_from(*rest, (size_t)(end - rest->at) + 2);
    return true;
}

static bool are_trailers(struct slice trailer)
{
    struct http1_field field;

    while (http1_trailer_next(&trailer, &field))
        ;
    return trailer.len == 0;
}

static enum parse trailer_take(struct http1_body *body, struct slice in, size_t *used,
                               enum http1_refusal *why)
{
    enum parse found;
    size_t len = 2;

    if (in.len == 0 || (in.len == 1 && in.at[0] == '\r'))
        return PARSE_MORE;
    if (in.at[0] == '\r' && in.at[1] == '\n') {
        body->state = STATE_OVER;
        *used += 2;
        return PARSE_DONE;
    }
    if (in.at[0] == '\r') {
        *why = HTTP1_REFUSAL_TRAILER;
        return PARSE_BAD;
    }
    found = http1_search(&body->search, in, HTTP1_TRAILER_MAX_BYTES, &len, NULL, why);
    if (found == PARSE_MORE)
        return PARSE_MORE;
    if (found == PARSE_BAD) {
        *why = *why == HTTP1_REFUSAL_HEAD_TOO_LARGE ? HTTP1_REFUSAL_TRAILER_TOO_LARGE
                                                    : HTTP1_REFUSAL_TRAILER;
        return PARSE_BAD;
    }
    body->trailer = slice_of(in.at, len - 2);
    if (!are_trailers(body->trailer)) {
        *why = HTTP1_REFUSAL_TRAILER;
        return PARSE_BAD;
    }
    body->state = STATE_OVER;
    *used += len;
    return PARSE_DONE;
}

/* --- All of it ------------------------------------------------------------------------------- */

enum parse http1_body_decode(struct http1_body *body, struct slice in, size_t *used,
                             struct slice *payload, enum http1_refusal *why)
{
    size_t at = 0;

    *used = 0;
    *payload = slice_of(in.at, 0);
    while (at < in.len && body->state != STATE_OVER) {
        if (body->state == STATE_TRAILER) {
            *used = at;
            return trailer_take(body, slice_from(in, at), used, why);
        }
        if (body->state == STATE_DATA) {
            uint64_t len = body->left < in.len - at ? body->left : in.len - at;

            *payload = slice_of(in.at + at, (size_t)len);
            http1_body_pass(body, len);
            at += (size_t)len;
            break;
        }
        *why = framing_take(body, in.at[at]);
        if (*why != HTTP1_REFUSAL_NONE)
            return PARSE_BAD;
        at++;
    }
    *used = at;
    return body->state == STATE_OVER ? PARSE_DONE : PARSE_MORE;
}

size_t http1_chunk_head(uint8_t out[HTTP1_CHUNK_HEAD_BYTES], uint64_t size, bool is_first)
{
    static const char digits[] = "0123456789abcdef";
    size_t len = 0;
    int shift = size == 0 ? 0 : (63 - __builtin_clzll(size)) / 4 * 4;

    if (!is_first) {
        out[len++] = '\r';
        out[len++] = '\n';
    }
    for (; shift >= 0; shift -= 4)
        out[len++] = (uint8_t)digits[size >> shift & 15];
    out[len++] = '\r';
    out[len++] = '\n';
    return len;
}
