/* See http1.h.  http1_search() looks at every byte once, eight at a time, and stops only at control
 * bytes: so it finds the head's end and what llhttp 8 lets pass (CR without LF, folded lines) in
 * one go.  llhttp then says where the parts are, and what is left to judge is judged from them. */
#include "proxy/wire/http1.h"

#include <assert.h>
#include <endian.h>
#include <llhttp.h>

#include "proxy/wire/http1_token.h"

enum { EMPTY_LINES_MAX_BYTES = 16 }; /* before a request, as some send them behind a body */

/* --- The head's end -------------------------------------------------------------------------- */

/* The place of the first byte below ' ' from `at` on; in.len if there is none. */
static size_t control_find(struct slice in, size_t at)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);

    for (; in.len - at >= 8; at += 8) {
        uint64_t word, found;

        memcpy(&word, in.at + at, sizeof(word));
        word = le64toh(word);
        found = (word - ones * ' ') & ~word & (ones * 0x80); /* exact up to its lowest bit */
        if (found != 0)
            return at + (size_t)__builtin_ctzll(found) / 8;
    }
    while (at < in.len && in.at[at] >= ' ')
        at++;
    return at;
}

/* At the CR LF at `at`, which ends a line: PARSE_DONE if it is the head's last. */
static enum parse line_end(struct http1_search *search, size_t at, enum http1_refusal *why)
{
    bool is_empty = at == search->line;

    search->line = search->searched = (uint32_t)at + 2;
    if (!is_empty)
        return PARSE_MORE;
    if (at != search->skipped)
        return PARSE_DONE;
    search->skipped = search->line;
    if (search->skipped <= EMPTY_LINES_MAX_BYTES)
        return PARSE_MORE;
    *why = HTTP1_REFUSAL_SYNTAX;
    return PARSE_BAD;
}

/* Goes on from search->searched up to the end of `in`, or of the head. */
static enum parse search_on(struct http1_search *search, struct slice in, enum http1_refusal *why)
{
    enum parse found = PARSE_MORE;

    while (found == PARSE_MORE && search->searched < in.len) {
        uint8_t line = search->searched == search->line ? in.at[search->line] : 'x';
        size_t at = control_find(in, search->searched);

        if (line == ' ' || line == '\t') {
            *why = HTTP1_REFUSAL_FOLDED;
            return PARSE_BAD;
        }
        search->searched = (uint32_t)at;
        if (at == in.len || (in.at[at] == '\r' && at + 1 == in.len))
            return PARSE_MORE;
        if (in.at[at] == '\r' && in.at[at + 1] == '\n') {
            found = line_end(search, at, why);
        } else if (in.at[at] == '\t') {
            search->searched++;
        } else {
            *why = in.at[at] == '\r' || in.at[at] == '\n' ? HTTP1_REFUSAL_LINE_END
                                                          : HTTP1_REFUSAL_CONTROL_BYTE;
            return PARSE_BAD;
        }
    }
    return found;
}

enum parse http1_search(struct http1_search *search, struct slice in, size_t max_bytes, size_t *len,
                        enum http1_refusal *why)
{
    enum parse found;

    assert(max_bytes <= HTTP1_HEAD_MAX_BYTES);
    assert(search->searched <= in.len);
    found = search_on(search, slice_of(in.at, in.len < max_bytes ? in.len : max_bytes), why);
    if (found == PARSE_MORE && in.len < max_bytes)
        return PARSE_MORE;
    if (found == PARSE_DONE) {
        *len = search->searched;
    } else if (found == PARSE_MORE) {
        *why = HTTP1_REFUSAL_HEAD_TOO_LARGE;
        found = PARSE_BAD;
    }
    *search = (struct http1_search){ 0 };
    return found;
}

/* --- llhttp ---------------------------------------------------------------------------------- */

/* What the callbacks fill. */
struct reading {
    struct http1_head *head;
    struct slice start; /* the target, or a response's reason */
    enum http1_refusal why;
};

static int on_start(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *r = parser->data;

    r->start = slice_of(at, len);
    return 0;
}

static int on_name(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *r = parser->data;

    if (r->head->field_count == HTTP1_FIELDS_MAX) {
        r->why = HTTP1_REFUSAL_TOO_MANY_FIELDS;
        return -1;
    }
    r->head->fields[r->head->field_count++] = (struct http1_field){ .name = slice_of(at, len) };
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct reading *r = parser->data;

    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    r->head->fields[r->head->field_count - 1].value = slice_of(at, len);
    return 0;
}

/* What follows is none of llhttp's business. */
static int on_end(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_start,
    .on_status = on_start,
    .on_header_field = on_name,
    .on_header_value = on_value,
    .on_headers_complete = on_end,
};

static enum http1_refusal refusal_of(llhttp_errno_t error, const llhttp_t *parser)
{
    const struct reading *r = parser->data;

    if (r->why != HTTP1_REFUSAL_NONE)
        return r->why;
    if (parser->type == HTTP_REQUEST && parser->method == HTTP_PRI)
        return HTTP1_REFUSAL_VERSION; /* the preface of HTTP/2 */
    switch ((int)error) {
    case HPE_INVALID_METHOD:
        return HTTP1_REFUSAL_METHOD;
    case HPE_INVALID_VERSION:
        return HTTP1_REFUSAL_VERSION;
    case HPE_INVALID_URL:
        return HTTP1_REFUSAL_TARGET;
    case HPE_INVALID_STATUS:
        return HTTP1_REFUSAL_STATUS;
    case HPE_INVALID_HEADER_TOKEN:
        return HTTP1_REFUSAL_FIELD;
    case HPE_INVALID_CONTENT_LENGTH:
    case HPE_UNEXPECTED_CONTENT_LENGTH:
        return HTTP1_REFUSAL_LENGTH;
    case HPE_INVALID_TRANSFER_ENCODING:
        return HTTP1_REFUSAL_CODING;
    default:
        return HTTP1_REFUSAL_SYNTAX;
    }
}

static enum http1_refusal llhttp_read(struct slice text, llhttp_t *parser, llhttp_type_t type,
                                      struct reading *r)
{
    llhttp_errno_t error;
    const uint8_t *end;

    llhttp_init(parser, type, &settings);
    parser->data = r;
    r->head->field_count = 0;
    error = llhttp_execute(parser, (const char *)text.at, text.len);
    if (error != HPE_PAUSED)
        return refusal_of(error, parser);
    /* It stops at the last LF, or behind it: a head that it takes to end earlier is not ours. */
    end = (const uint8_t *)llhttp_get_error_pos(parser);
    if (end < text.at + text.len - 1 || r->start.at == NULL)
        return HTTP1_REFUSAL_SYNTAX;
    if (parser->http_major != 1 || parser->http_minor > 1)
        return HTTP1_REFUSAL_VERSION;
    r->head->minor = parser->http_minor;
    r->head->keep_alive = !(parser->flags & F_CONNECTION_CLOSE) &&
                          (r->head->minor == 1 || parser->flags & F_CONNECTION_KEEP_ALIVE);
    return HTTP1_REFUSAL_NONE;
}

/* --- Fields ---------------------------------------------------------------------------------- */

static const bool may_repeat[HTTP1_NAME_COUNT] = {
    [HTTP1_NAME_OTHER] = true,
#define HTTP1_NAME(name, text, may_repeat) [HTTP1_NAME_##name] = may_repeat,
#include "proxy/wire/http1_names.def"
#undef HTTP1_NAME
    [HTTP1_NAME_X_AMZ_META] = true,
    [HTTP1_NAME_X_AMZ_OTHER] = true,
};

static void field_link(struct http1_head *head, unsigned at, enum http1_name known)
{
    head->fields[at].known = (uint8_t)known;
    if (head->first[known] == 0)
        head->first[known] = (uint8_t)(at + 1);
    else
        head->fields[head->last[known] - 1].next = (uint8_t)(at + 1);
    head->last[known] = (uint8_t)(at + 1);
}

/* Puts each field into the row of its name.  As it is built, llhttp takes blanks in names ("Host
 * :") and no name at all.  A name of the table is known to be fine. */
static enum http1_refusal fields_index(struct http1_head *head, bool is_strict)
{
    memset(head->first, 0, sizeof(head->first));
    for (unsigned i = 0; i < head->field_count; i++) {
        struct slice name = head->fields[i].name;
        enum http1_name known = http1_name_of(name);

        if (http1_name_text(known).len == 0 && !http1_is_token(name))
            return HTTP1_REFUSAL_FIELD;
        if (is_strict && head->first[known] != 0 && !may_repeat[known])
            return HTTP1_REFUSAL_FIELD_TWICE;
        field_link(head, i, known);
    }
    return HTTP1_REFUSAL_NONE;
}

static bool is_twice(const struct http1_head *head, enum http1_name name)
{
    return head->first[name] != 0 && head->first[name] != head->last[name];
}

/* How the body is framed, as far as the fields say it. */
static enum http1_refusal framing_read(struct http1_head *head)
{
    const struct http1_field *length = http1_field_find(head, HTTP1_NAME_CONTENT_LENGTH);
    const struct http1_field *coding = http1_field_find(head, HTTP1_NAME_TRANSFER_ENCODING);

    head->has_length = length != NULL;
    head->length = 0;
    head->framing = HTTP1_FRAMING_NONE;
    if (is_twice(head, HTTP1_NAME_CONTENT_LENGTH) || is_twice(head, HTTP1_NAME_TRANSFER_ENCODING))
        return HTTP1_REFUSAL_FIELD_TWICE;
    if (length != NULL && coding != NULL)
        return HTTP1_REFUSAL_LENGTH_AND_CODING;
    if (length != NULL) {
        if (!slice_to_u64(length->value, &head->length) || head->length > INT64_MAX)
            return HTTP1_REFUSAL_LENGTH;
        head->framing = HTTP1_FRAMING_LENGTH;
    } else if (coding != NULL) {
        if (head->minor == 0)
            return HTTP1_REFUSAL_CODING_VERSION;
        if (!slice_is_word(coding->value, "chunked"))
            return HTTP1_REFUSAL_CODING;
        head->framing = HTTP1_FRAMING_CHUNKED;
    }
    return HTTP1_REFUSAL_NONE;
}

const struct http1_field *http1_field_named(const struct http1_head *head, const char *name)
{
    for (unsigned i = 0; i < head->field_count; i++) {
        if (slice_is_word(head->fields[i].name, name))
            return &head->fields[i];
    }
    return NULL;
}

bool http1_element_next(struct slice *rest, struct slice *element)
{
    while (rest->len > 0) {
        const uint8_t *comma = memchr(rest->at, ',', rest->len);
        size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->at);
        struct slice found = slice_of(rest->at, len);

        *rest = slice_from(*rest, comma == NULL ? len : len + 1);
        for (; found.len > 0 && (found.at[0] == ' ' || found.at[0] == '\t');)
            found = slice_from(found, 1);
        while (found.len > 0 && (found.at[found.len - 1] == ' ' || found.at[found.len - 1] == '\t'))
            found.len--;
        if (found.len > 0) {
            *element = found;
            return true;
        }
    }
    return false;
}

/* --- Requests -------------------------------------------------------------------------------- */

static enum http1_method method_of(uint8_t method)
{
    switch (method) {
    case HTTP_GET:
        return HTTP1_METHOD_GET;
    case HTTP_HEAD:
        return HTTP1_METHOD_HEAD;
    case HTTP_PUT:
        return HTTP1_METHOD_PUT;
    case HTTP_POST:
        return HTTP1_METHOD_POST;
    case HTTP_DELETE:
        return HTTP1_METHOD_DELETE;
    case HTTP_OPTIONS:
        return HTTP1_METHOD_OPTIONS;
    default:
        return HTTP1_METHOD_OTHER;
    }
}

/* The first line is METHOD SP target SP HTTP/1.x, with no blank too many: llhttp takes several. */
static enum http1_refusal request_line_read(struct slice text, struct http1_request *out)
{
    size_t before = (size_t)(out->target.at - text.at);
    struct slice behind = slice_from(text, before + out->target.len);

    if (before < 2 || memchr(text.at, ' ', before) != out->target.at - 1)
        return HTTP1_REFUSAL_SYNTAX;
    if (!slice_starts(behind, slice_text(" HTTP/1.")) || behind.len < 11 || behind.at[9] != '\r')
        return HTTP1_REFUSAL_SYNTAX;
    out->method_text = slice_of(text.at, before - 1);
    return HTTP1_REFUSAL_NONE;
}

/* A name or address and perhaps a port; what else may stand in an authority (a user, say) may not
 * in a Host. */
static bool is_host(struct slice host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (host.at[i] <= ' ' || host.at[i] >= 0x7f || memchr("/?#@\\,\"<>^`{|}", host.at[i], 14))
            return false;
    }
    return true;
}

static enum http1_refusal host_read(const struct http1_head *head, struct slice authority)
{
    struct slice host = http1_value(head, HTTP1_NAME_HOST);

    if (!http1_has(head, HTTP1_NAME_HOST))
        return head->minor == 1 ? HTTP1_REFUSAL_HOST_MISSING : HTTP1_REFUSAL_NONE;
    if (!is_host(host))
        return HTTP1_REFUSAL_HOST;
    if (authority.at != NULL &&
        (authority.len != host.len ||
         strncasecmp((const char *)authority.at, (const char *)host.at, host.len) != 0))
        return HTTP1_REFUSAL_HOST_OTHER;
    return HTTP1_REFUSAL_NONE;
}

/* "http://host" before a path, which clients put there that believe to speak to a proxy. */
static bool authority_take(struct slice *target, struct slice *authority)
{
    static const char *const schemes[] = { "http://", "https://" };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]), end = len;

        if (target->len < len || !slice_is_word(slice_of(target->at, len), schemes[i]))
            continue;
        while (end < target->len && target->at[end] != '/' && target->at[end] != '?')
            end++;
        *authority = slice_of(target->at + len, end - len);
        *target = slice_from(*target, end);
        return authority->len > 0;
    }
    return false;
}

/* Cuts the target into path and query. */
static enum http1_refusal target_read(struct http1_request *out, struct slice *authority)
{
    struct slice rest = out->target;
    const uint8_t *mark;
    bool is_absolute = false;

    if (memchr(rest.at, '#', rest.len) != NULL || memchr(rest.at, '\t', rest.len) != NULL)
        return HTTP1_REFUSAL_TARGET;
    if (slice_is_text(rest, "*") && out->method == HTTP1_METHOD_OPTIONS) {
        out->path = rest;
        return HTTP1_REFUSAL_NONE;
    }
    if (rest.at[0] != '/') {
        is_absolute = authority_take(&rest, authority);
        if (!is_absolute)
            return HTTP1_REFUSAL_TARGET;
    }
    mark = rest.len > 0 ? memchr(rest.at, '?', rest.len) : NULL;
    out->path = mark == NULL ? rest : slice_of(rest.at, (size_t)(mark - rest.at));
    if (mark != NULL)
        out->query = slice_from(rest, out->path.len + 1);
    if (is_absolute && out->path.len == 0)
        out->path = slice_text("/");
    return HTTP1_REFUSAL_NONE;
}

static enum http1_refusal expect_read(struct http1_request *out)
{
    const struct http1_field *expect = http1_field_find(&out->head, HTTP1_NAME_EXPECT);

    if (expect == NULL || out->head.minor == 0)
        return HTTP1_REFUSAL_NONE;
    if (!slice_is_word(expect->value, "100-continue"))
        return HTTP1_REFUSAL_EXPECT;
    out->expects_continue = out->head.framing == HTTP1_FRAMING_CHUNKED || out->head.length > 0;
    return HTTP1_REFUSAL_NONE;
}

#define REFUSE(call)                                                                               \
    do {                                                                                           \
        enum http1_refusal why_ = (call);                                                          \
        if (why_ != HTTP1_REFUSAL_NONE)                                                            \
            return why_;                                                                           \
    } while (0)

enum http1_refusal http1_request_parse(struct slice head, struct http1_request *out)
{
    struct reading r = { .head = &out->head };
    struct slice authority = { 0 };
    llhttp_t parser;

    while (head.len > 2 && head.at[0] == '\r')
        head = slice_from(head, 2);
    REFUSE(llhttp_read(head, &parser, HTTP_REQUEST, &r));
    out->method = method_of(parser.method);
    out->expects_continue = false;
    out->target = r.start;
    out->path = out->query = (struct slice){ 0 };
    if (parser.method == HTTP_CONNECT)
        return HTTP1_REFUSAL_CONNECT;
    REFUSE(request_line_read(head, out));
    REFUSE(target_read(out, &authority));
    REFUSE(fields_index(&out->head, true));
    REFUSE(framing_read(&out->head));
    REFUSE(host_read(&out->head, authority));
    return expect_read(out);
}

/* --- Responses ------------------------------------------------------------------------------- */

static bool has_no_body(unsigned status, enum http1_method asked)
{
    return asked == HTTP1_METHOD_HEAD || status / 100 == 1 || status == 204 || status == 304;
}

enum http1_refusal http1_response_parse(struct slice head, enum http1_method asked,
                                        struct http1_response *out)
{
    struct reading r = { .head = &out->head };
    llhttp_t parser;

    if (!slice_starts(head, slice_text("HTTP/1.")))
        return slice_starts(head, slice_text("HTTP/")) ? HTTP1_REFUSAL_VERSION
                                                       : HTTP1_REFUSAL_SYNTAX;
    r.start = slice_of(head.at, 0); /* there may be no reason */
    REFUSE(llhttp_read(head, &parser, HTTP_RESPONSE, &r));
    out->status = parser.status_code;
    out->reason = r.start;
    out->is_interim = out->status / 100 == 1;
    if (out->status < 100 || out->status > 599)
        return HTTP1_REFUSAL_STATUS;
    if (out->status == 101)
        return HTTP1_REFUSAL_UPGRADED;
    REFUSE(fields_index(&out->head, false));
    REFUSE(framing_read(&out->head));
    if (has_no_body(out->status, asked)) {
        out->head.framing = HTTP1_FRAMING_NONE;
    } else if (out->head.framing == HTTP1_FRAMING_NONE) {
        out->head.framing = HTTP1_FRAMING_UNTIL_CLOSE;
        out->head.keep_alive = false;
    }
    return HTTP1_REFUSAL_NONE;
}
