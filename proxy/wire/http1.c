/* See http1.h.  What is parsed was looked through by http1_search.c before, and is split at the
 * lines that it found.
 *
 * llhttp is not asked, for what it costs (eight instructions a byte, while all the work on a
 * signed GET is to take 15,000) and for what it lets pass where it is lenient ("\r\n\rX" as a
 * head's end, blanks in names).  It is the tests' oracle. */
#include "proxy/wire/http1.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

#include "proxy/wire/http1_token.h"
#include "proxy/wire/sixteen.h"
#include "proxy/wire/uri.h"

#define AT_ONCE __attribute__((always_inline)) inline

/* --- Fields ---------------------------------------------------------------------------------- */

static const bool may_repeat[HTTP1_NAME_COUNT] = {
    [HTTP1_NAME_OTHER] = true,
#define HTTP1_NAME(name, text, may_repeat) [HTTP1_NAME_##name] = (may_repeat),
#include "proxy/wire/http1_names.def"
#undef HTTP1_NAME
    [HTTP1_NAME_X_AMZ_META] = true,
    [HTTP1_NAME_X_AMZ_OTHER] = true,
};

/* As http1_search() would have them. */
static bool lines_find(struct slice head, struct http1_lines *lines)
{
    size_t at = 0;

    lines->count = 0;
    if (head.len > HTTP1_HEAD_MAX_BYTES)
        return false;
    while (head.len - at >= 2 && lines->count < HTTP1_LINES_MAX) {
        const uint8_t *end = memchr(head.at + at, '\r', head.len - at - 1);

        if (end == NULL)
            return false;
        lines->ends[lines->count++] = (uint16_t)(end - head.at);
        at = (size_t)(end - head.at) + 2;
    }
    return true;
}

/* The lines that are left to be read of a head. */
struct lines_left {
    struct slice head;
    struct http1_lines *lines;
    size_t next, at; /* the number of the next, and where it begins */
};

/* Takes the next line, without its CR LF; false: there is none. */
static inline bool line_take(struct lines_left *left, struct slice *line)
{
    size_t end, begin = left->at;

    if (left->next == left->lines->count)
        return false;
    end = left->lines->ends[left->next++];
    left->at = end + 2;
    *line = slice_of(left->head.at + begin, end - begin);
    return true;
}

static inline struct slice without_blanks(struct slice text)
{
    const uint8_t *at = text.at, *end = text.at + text.len;

    while (at < end && http1_is_blank(*at))
        at++;
    while (at < end && http1_is_blank(end[-1]))
        end--;
    return slice_of(at, (size_t)(end - at));
}

/* The same of what stands between a colon and the CR at `end`; mostly a blank is before it. */
static inline struct slice value_read(const uint8_t *at, const uint8_t *end)
{
    if (*at == ' ')
        at++;
    if (*at > ' ' && end[-1] > ' ')
        return slice_of(at, (size_t)(end - at));
    return without_blanks(slice_of(at, (size_t)(end - at)));
}

#ifdef __x86_64__
/* Which of the sixteen bytes at `at` are as the name has them from `from` on?  Letters may be large
 * ones: see http1_name_hash.h. */
static inline uint64_t same_of_sixteen(const uint8_t *at, const uint8_t *name, size_t from)
{
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(at + from));
    __m128i own = _mm_loadu_si128((const __m128i *)(const void *)(name + from));

    bytes = _mm_or_si128(bytes, _mm_set1_epi8(0x20));
    return (uint64_t)(unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(bytes, own)) << from;
}

/* `room`: how much may be looked at. */
static inline bool is_name(const uint8_t *at, size_t room, const struct http1_name_text *text)
{
    uint64_t differs = text->due;

    if (room < HTTP1_NAME_ROOM && (room < 16 || text->len > 16))
        return false;
    differs &= ~same_of_sixteen(at, text->at, 0);
    if (text->len > 16)
        differs &= ~(same_of_sixteen(at, text->at, 16) | same_of_sixteen(at, text->at, 32));
    return differs == 0;
}
#else
static inline bool is_name(const uint8_t *at, size_t room, const struct http1_name_text *text)
{
    (void)room;
    return http1_name_of(slice_of(at, text->len)) == (enum http1_name)(text - http1_name_texts);
}
#endif

/* The name before a line's colon.  A name of the table is known to be a token. */
static __attribute__((noinline)) bool name_read(struct slice line, struct http1_field *out)
{
    const uint8_t *colon = memchr(line.at, ':', line.len);
    enum http1_name known;

    if (colon == NULL)
        return false;
    out->name = slice_of(line.at, (size_t)(colon - line.at));
    known = http1_name_of(out->name);
    out->known = (uint8_t)known;
    return !http1_name_stands_for_many(known) || http1_is_token(out->name);
}

/* Reads a line that ends with the CR at `stop`, if its name is the one that `guess` is the number
 * of, as it probably is. */
static inline bool field_guessed(const uint8_t *at, const uint8_t *stop, const uint8_t *end,
                                 unsigned guess, bool is_request, struct http1_field *out)
{
    const struct http1_name_text *text = &http1_name_texts[guess];
    size_t len = text->len;

    if (at + len >= stop || at[len] != ':' || !is_name(at, (size_t)(end - at), text))
        return false;
    out->name = slice_of(is_request ? at : text->at, len);
    out->value = value_read(at + len + 1, stop);
    out->known = (uint8_t)guess;
    out->next = 0;
    return true;
}

static inline bool field_read(const uint8_t *at, const uint8_t *stop, bool is_request,
                              struct http1_field *out)
{
    if (!name_read(slice_of(at, (size_t)(stop - at)), out))
        return false;
    out->value = value_read(at + out->name.len + 1, stop);
    out->next = 0;
    if (!is_request && !http1_name_stands_for_many(out->known))
        out->name.at = http1_name_texts[out->known].at;
    return true;
}

/* Puts the field into the row of its name; false: there is one already. */
static inline bool field_link(struct http1_head *head, unsigned known, unsigned place)
{
    bool is_first = head->first[known] == 0;

    if (is_first)
        head->first[known] = (uint8_t)(place + 1);
    else
        head->fields[head->last[known] - 1].next = (uint8_t)(place + 1);
    head->last[known] = (uint8_t)(place + 1);
    return is_first;
}

/* All lines up to the empty one, with which the head must end.  Here are no stores of bytes but
 * where they must be: after each the compiler would read all it has at hand anew. */
static AT_ONCE enum http1_refusal fields_read(struct lines_left *left, struct http1_head *head,
                                              bool is_request)
{
    const uint8_t *begin = left->head.at, *at = begin + left->at, *end = begin + left->head.len;
    unsigned count = 0, known = is_request ? HTTP1_NAME_OTHER : HTTP1_NAME_X_AMZ_OTHER;
    uint8_t *behind = left->lines->behind;
    const uint16_t *next = left->lines->ends + left->next;
    const uint16_t *last = left->lines->ends + left->lines->count;

    memset(head->first, 0, sizeof(head->first));
    for (; next < last; next++, count++) {
        const uint8_t *stop = begin + *next;
        struct http1_field *field = &head->fields[count];
        unsigned guess = behind[known];

        if (count == HTTP1_FIELDS_MAX && at != stop)
            return HTTP1_REFUSAL_TOO_MANY_FIELDS;
        if (!field_guessed(at, stop, end, guess, is_request, field)) {
            if (at == stop) {
                at += 2;
                break;
            }
            if (!field_read(at, stop, is_request, field))
                return HTTP1_REFUSAL_FIELD;
            guess = behind[known] = field->known;
        }
        known = guess;
        if (!field_link(head, known, count) && is_request && !may_repeat[known])
            return HTTP1_REFUSAL_FIELD_TWICE;
        at = stop + 2;
    }
    head->field_count = (uint16_t)count;
    return at == end ? HTTP1_REFUSAL_NONE : HTTP1_REFUSAL_SYNTAX;
}

/* "HTTP/1.0" or "HTTP/1.1". */
static enum http1_refusal version_read(struct slice text, struct http1_head *head)
{
    if (text.len != 8 || !slice_starts(text, slice_text("HTTP/")) || text.at[6] != '.' ||
        text.at[5] < '0' || text.at[5] > '9' || text.at[7] < '0' || text.at[7] > '9')
        return HTTP1_REFUSAL_SYNTAX;
    if (text.at[5] != '1' || text.at[7] > '1')
        return HTTP1_REFUSAL_VERSION;
    head->minor = text.at[7] - '0';
    return HTTP1_REFUSAL_NONE;
}

static bool keep_alive_read(const struct http1_head *head)
{
    const struct http1_field *field = http1_field_find(head, HTTP1_NAME_CONNECTION);
    bool keep_alive = head->minor == 1;

    if (field != NULL && field->next == 0 && slice_is_text(field->value, "keep-alive"))
        return true;
    for (; field != NULL; field = http1_field_next(head, field)) {
        struct slice rest = field->value, element;

        while (http1_element_next(&rest, &element)) {
            if (slice_is_word(element, "close"))
                return false;
            if (slice_is_word(element, "keep-alive"))
                keep_alive = true;
        }
    }
    return keep_alive;
}

static bool is_twice(const struct http1_head *head, enum http1_name name)
{
    return head->first[name] != 0 && head->first[name] != head->last[name];
}

/* How the body is framed, as far as the fields say it, and what comes behind it. */
static enum http1_refusal framing_read(struct http1_head *head)
{
    const struct http1_field *length = http1_field_find(head, HTTP1_NAME_CONTENT_LENGTH);
    const struct http1_field *coding = http1_field_find(head, HTTP1_NAME_TRANSFER_ENCODING);

    head->keep_alive = keep_alive_read(head);
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
        struct slice found = without_blanks(slice_of(rest->at, len));

        *rest = slice_from(*rest, comma == NULL ? len : len + 1);
        if (found.len > 0) {
            *element = found;
            return true;
        }
    }
    return false;
}

#define REFUSE(call)                                                                               \
    do {                                                                                           \
        enum http1_refusal why_ = (call);                                                          \
        if (why_ != HTTP1_REFUSAL_NONE)                                                            \
            return why_;                                                                           \
    } while (0)

/* --- Requests -------------------------------------------------------------------------------- */

static enum http1_method method_of(struct slice text)
{
    static const struct {
        const char *text;
        enum http1_method method;
    } methods[] = {
        { "GET", HTTP1_METHOD_GET },       { "PUT", HTTP1_METHOD_PUT },
        { "HEAD", HTTP1_METHOD_HEAD },     { "POST", HTTP1_METHOD_POST },
        { "DELETE", HTTP1_METHOD_DELETE }, { "OPTIONS", HTTP1_METHOD_OPTIONS },
    };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        if (slice_is_text(text, methods[i].text))
            return methods[i].method;
    }
    return HTTP1_METHOD_OTHER;
}

/* METHOD SP target SP HTTP/1.x, with no blank too many. */
static enum http1_refusal request_line_read(struct slice line, struct http1_request *out)
{
    const uint8_t *first = line.len > 0 ? memchr(line.at, ' ', line.len) : NULL, *second;
    size_t at;

    if (first == NULL)
        return HTTP1_REFUSAL_SYNTAX;
    out->method_text = slice_of(line.at, (size_t)(first - line.at));
    at = out->method_text.len + 1;
    second = at < line.len ? memchr(line.at + at, ' ', line.len - at) : NULL;
    if (second == NULL || second == first + 1 || !http1_is_token(out->method_text))
        return HTTP1_REFUSAL_SYNTAX;
    out->target = slice_of(first + 1, (size_t)(second - first) - 1);
    out->method = method_of(out->method_text);
    return version_read(slice_from(line, at + out->target.len + 1), &out->head);
}

/* Of eight to sixteen bytes: letters, and from '-' to ':', where the digits are; no slash. */
static inline bool is_usual_host(struct slice host)
{
    uint8_t bytes __attribute__((vector_size(16)));
    int8_t right __attribute__((vector_size(16)));
    uint64_t halves[2];

    memcpy(&halves[0], host.at, 8);
    memcpy(&halves[1], host.at + host.len - 8, 8);
    memcpy(&bytes, halves, sizeof(bytes));
    right = (SIXTEEN_IN_RANGE(bytes | 0x20, 'a', 'z') | SIXTEEN_IN_RANGE(bytes, '-', ':')) &
            (bytes != '/');
    memcpy(halves, &right, sizeof(halves));
    return (halves[0] & halves[1]) == UINT64_MAX;
}

/* A name or address and perhaps a port; what else may stand in an authority (a user, say) may not
 * in a Host. */
static bool is_host(struct slice host)
{
    static const bool allowed[256] = {
        ['A' ... 'Z'] = true, ['a' ... 'z'] = true, ['0' ... '9'] = true, ['-'] = true,
        ['.'] = true,         ['_'] = true,         ['~'] = true,         ['!'] = true,
        ['$'] = true,         ['&'] = true,         ['\''] = true,        ['('] = true,
        [')'] = true,         ['*'] = true,         ['+'] = true,         [';'] = true,
        ['='] = true,         [':'] = true,         ['['] = true,         [']'] = true,
        ['%'] = true,
    };

    if (host.len >= 8 && host.len <= 16 && is_usual_host(host))
        return true;
    for (size_t i = 0; i < host.len; i++) {
        if (!allowed[host.at[i]])
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

    out->path_is_plain = rest.at[0] == '/' && uri_is_plain(rest, URI_KEEP_SLASH);
    if (out->path_is_plain) {
        out->path = rest;
        return HTTP1_REFUSAL_NONE;
    }
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
    if (mark != NULL) {
        out->query = slice_from(rest, out->path.len + 1);
        out->path_is_plain = uri_is_plain(out->path, URI_KEEP_SLASH);
    }
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

static enum http1_refusal request_read(struct lines_left *left, struct http1_request *out)
{
    struct slice authority = { 0 }, line = { 0 };

    while (line.len == 0) {
        if (!line_take(left, &line))
            return HTTP1_REFUSAL_SYNTAX;
    }
    out->expects_continue = false;
    out->path = out->query = (struct slice){ 0 };
    REFUSE(request_line_read(line, out));
    if (slice_is_text(out->method_text, "CONNECT"))
        return HTTP1_REFUSAL_CONNECT;
    REFUSE(target_read(out, &authority));
    REFUSE(fields_read(left, &out->head, true));
    REFUSE(framing_read(&out->head));
    REFUSE(host_read(&out->head, authority));
    return expect_read(out);
}

enum http1_refusal http1_request_parse(struct slice head, struct http1_lines *lines,
                                       struct http1_request *out)
{
    struct http1_lines found;

    if (lines == NULL || lines->count == 0) {
        if (!lines_find(head, &found))
            return HTTP1_REFUSAL_SYNTAX;
        memset(found.behind, 0, sizeof(found.behind));
        lines = &found;
    }
    return request_read(&(struct lines_left){ .head = head, .lines = lines }, out);
}

/* --- Responses ------------------------------------------------------------------------------- */

static bool has_no_body(unsigned status, enum http1_method asked)
{
    return asked == HTTP1_METHOD_HEAD || status / 100 == 1 || status == 204 || status == 304;
}

/* 0: those are not three digits. */
static inline unsigned status_of(const uint8_t *at)
{
    unsigned first = at[0] - '0', second = at[1] - '0', third = at[2] - '0';

    return first > 9 || second > 9 || third > 9 ? 0 : 100 * first + 10 * second + third;
}

/* HTTP/1.x SP 200 SP reason; old ones leave out the reason and the blank before it. */
static enum http1_refusal status_line_read(struct slice line, struct http1_response *out)
{
    enum { VERSION_BYTES = 8, STATUS_BYTES = 12 };
    unsigned status;

    REFUSE(version_read(slice_of(line.at, line.len < VERSION_BYTES ? line.len : VERSION_BYTES),
                        &out->head));
    if (line.len < STATUS_BYTES || line.at[VERSION_BYTES] != ' ' ||
        (line.len > STATUS_BYTES && line.at[STATUS_BYTES] != ' '))
        return HTTP1_REFUSAL_STATUS;
    status = status_of(line.at + VERSION_BYTES + 1);
    if (status < 100 || status > 599)
        return HTTP1_REFUSAL_STATUS;
    out->status = (uint16_t)status;
    out->is_interim = status < 200;
    out->reason = slice_from(line, line.len > STATUS_BYTES ? STATUS_BYTES + 1 : STATUS_BYTES);
    return status == 101 ? HTTP1_REFUSAL_UPGRADED : HTTP1_REFUSAL_NONE;
}

static enum http1_refusal response_read(struct lines_left *left, enum http1_method asked,
                                        struct http1_response *out)
{
    struct slice line;

    if (!line_take(left, &line))
        return HTTP1_REFUSAL_SYNTAX;
    REFUSE(status_line_read(line, out));
    REFUSE(fields_read(left, &out->head, false));
    REFUSE(framing_read(&out->head));
    if (has_no_body(out->status, asked)) {
        out->head.framing = HTTP1_FRAMING_NONE;
    } else if (out->head.framing == HTTP1_FRAMING_NONE) {
        out->head.framing = HTTP1_FRAMING_UNTIL_CLOSE;
        out->head.keep_alive = false;
    }
    return HTTP1_REFUSAL_NONE;
}

enum http1_refusal http1_response_parse(struct slice head, struct http1_lines *lines,
                                        enum http1_method asked, struct http1_response *out)
{
    struct http1_lines found;

    if (lines == NULL || lines->count == 0) {
        if (!lines_find(head, &found))
            return HTTP1_REFUSAL_SYNTAX;
        memset(found.behind, 0, sizeof(found.behind));
        lines = &found;
    }
    return response_read(&(struct lines_left){ .head = head, .lines = lines }, asked, out);
}
