/* Heads of HTTP/1.1 messages, of both directions.  http1_body.h reads what follows them,
 * http1_write.h writes them.
 *
 *     struct http1_search search = { 0 };               the session's
 *     struct http1_request request;                     not to be set to zero: it is large
 *     struct http1_lines lines;                         nor this; NULL where a copy is to be parsed
 *                                                       after other calls
 *
 *     switch (http1_search(&search, in, max_bytes, &len, &lines, &why)) {
 *     case PARSE_MORE:    show the same bytes again, from the head's start, when more have come
 *     case PARSE_BAD:     answer http1_refusal_status(why), say http1_refusal_text(why), close
 *     case PARSE_DONE:    the head is in.at[0 .. len - 1]; the body begins behind it
 *         why = http1_request_parse(slice_of(in.at, len), &lines, &request);
 *     }
 *
 * What is parsed are slices of the head: who keeps the request longer than the input copies the
 * head first and parses the copy.  Nothing is allocated.
 *
 * Strict where two readers could differ, since what goes in is said again to others: every line
 * ends in CR LF, no control bytes, no folded lines, no blank before a colon, one Host, one plain
 * Content-Length or one plain "chunked", never both.  Messages are always written anew from what
 * was parsed; no head is handed on as it came. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/parse.h"
#include "proxy/base/slice.h"

enum {
    HTTP1_HEAD_MAX_BYTES = 64 * 1024,
    HTTP1_FIELDS_MAX = 100,
    HTTP1_LINES_MAX = HTTP1_FIELDS_MAX + 16, /* with the first, the last, and empty ones before */
};

enum http1_refusal {
    HTTP1_REFUSAL_NONE,
#define HTTP1_REFUSAL(name, status, text) HTTP1_REFUSAL_##name,
#include "proxy/wire/http1_refusals.def"
#undef HTTP1_REFUSAL
};

unsigned http1_refusal_status(enum http1_refusal refusal);
const char *http1_refusal_text(enum http1_refusal refusal);

enum http1_name {
    HTTP1_NAME_OTHER, /* none of the table */
#define HTTP1_NAME(name, text, may_repeat) HTTP1_NAME_##name,
#include "proxy/wire/http1_names.def"
#undef HTTP1_NAME
    HTTP1_NAME_X_AMZ_META,  /* any that begins with "x-amz-meta-" */
    HTTP1_NAME_X_AMZ_OTHER, /* any other that begins with "x-amz-" */
    HTTP1_NAME_COUNT,
};

/* The number of a field's name, in any case of letters. */
enum http1_name http1_name_of(struct slice name);
/* Their texts in small letters, with room for copies by sixteen bytes; "" for the three that stand
 * for many.  A bit of `due` for each byte that must be the same in a name; for those three one that
 * no byte has. */
enum { HTTP1_NAME_ROOM = 48 };
extern const struct http1_name_text {
    _Alignas(64) uint8_t at[HTTP1_NAME_ROOM];
    uint64_t due;
    uint8_t len;
} http1_name_texts[HTTP1_NAME_COUNT];

static inline struct slice http1_name_text(enum http1_name name)
{
    return slice_of(http1_name_texts[name].at, http1_name_texts[name].len);
}

/* Is none of the table. */
static inline bool http1_name_stands_for_many(enum http1_name name)
{
    return name == HTTP1_NAME_OTHER || name >= HTTP1_NAME_X_AMZ_META;
}

static inline bool http1_name_is_amz(enum http1_name name)
{
    return name >= HTTP1_NAME_X_AMZ_ACL;
}

enum http1_method {
    HTTP1_METHOD_OTHER, /* none of S3's: see the request's method_text */
    HTTP1_METHOD_GET,
    HTTP1_METHOD_HEAD,
    HTTP1_METHOD_PUT,
    HTTP1_METHOD_POST,
    HTTP1_METHOD_DELETE,
    HTTP1_METHOD_OPTIONS,
};

struct http1_field {
    struct slice name;  /* as it came: letters of any case; in responses, those of the table's
                         * names are small */
    struct slice value; /* without blanks around it; may have tabs and bytes above 127 in it */
    uint8_t known;      /* enum http1_name */
    uint8_t next;       /* 1 + the place of the next field of the same `known`; 0: none */
};

enum http1_framing {
    HTTP1_FRAMING_NONE,   /* the message ends with its head */
    HTTP1_FRAMING_LENGTH, /* head.length bytes follow; may be 0 */
    HTTP1_FRAMING_CHUNKED,
    HTTP1_FRAMING_UNTIL_CLOSE, /* responses only */
};

/* What requests and responses have in common. */
struct http1_head {
    uint8_t minor;   /* of the version: 0 or 1 */
    bool keep_alive; /* the connection may serve another message after this one */
    bool has_length; /* Content-Length came; in answers to HEAD it is the object's */
    uint8_t framing; /* enum http1_framing */
    uint64_t length; /* at most INT64_MAX */
    uint16_t field_count;
    uint8_t first[HTTP1_NAME_COUNT]; /* 1 + the place of the first field of a name; 0: none */
    uint8_t last[HTTP1_NAME_COUNT];  /* the same of the last */
    struct http1_field fields[HTTP1_FIELDS_MAX];
};

struct http1_request {
    enum http1_method method;
    bool expects_continue; /* wants to hear "100 Continue" before it sends the body */
    bool path_is_plain;    /* it would be the same, encoded (uri.h); false: or that is not known */
    struct slice method_text;
    struct slice target; /* as it came */
    /* The target without scheme and host, cut at the first '?'; "*" or beginning with '/'.  As it
     * came: nothing is decoded, dots and slashes stand. */
    struct slice path;
    struct slice query; /* what stands behind the '?'; .at is NULL if there was none */
    struct http1_head head;
};

struct http1_response {
    uint16_t status;
    bool is_interim; /* 1xx: another head follows, which is the answer */
    struct slice reason;
    struct http1_head head;
};

/* Zero stands at a head's start.  PARSE_DONE and PARSE_BAD set it to zero again. */
struct http1_search {
    uint32_t searched; /* bytes that have been looked at */
    uint32_t line;     /* where the line begins that they end in */
    uint32_t skipped;  /* bytes of empty lines before the first that is not */
};

/* Where the lines of a head end: the places of their CR.  And what is only for speed: which name
 * stood behind which in the last heads, as mostly in the next; so it is to be zero before the
 * first. */
struct http1_lines {
    uint16_t count; /* 0: they are not known */
    uint16_t ends[HTTP1_LINES_MAX];
    uint8_t behind[HTTP1_NAME_COUNT]; /* enum http1_name */
};

/* Where the head ends that begins at `in`, for requests behind up to a few empty lines, which count
 * as its bytes.  PARSE_BAD as soon as there is a reason, at the latest when max_bytes (at most
 * HTTP1_HEAD_MAX_BYTES) have come.  `lines`: set with PARSE_DONE; may be NULL. */
enum parse http1_search(struct http1_search *search, struct slice in, size_t max_bytes, size_t *len,
                        struct http1_lines *lines, enum http1_refusal *why);

/* A whole head, which http1_search() has found with these lines; NULL: they are looked for again.
 * On a refusal, *out is undefined. */
enum http1_refusal http1_request_parse(struct slice head, struct http1_lines *lines,
                                       struct http1_request *out);
/* `asked`: the method of the request that is answered; after HEAD no body comes. */
enum http1_refusal http1_response_parse(struct slice head, struct http1_lines *lines,
                                        enum http1_method asked, struct http1_response *out);

/* The first field of a name, NULL if there is none; http1_field_next(): the next of the same. */
static inline const struct http1_field *http1_field_find(const struct http1_head *head,
                                                         enum http1_name name)
{
    unsigned place = head->first[name];

    return place == 0 ? NULL : &head->fields[place - 1];
}

static inline const struct http1_field *http1_field_next(const struct http1_head *head,
                                                         const struct http1_field *field)
{
    return field->next == 0 ? NULL : &head->fields[field->next - 1];
}

/* The value of the first field of a name; empty with .at NULL if there is none. */
static inline struct slice http1_value(const struct http1_head *head, enum http1_name name)
{
    const struct http1_field *field = http1_field_find(head, name);

    return field == NULL ? (struct slice){ 0 } : field->value;
}

static inline bool http1_has(const struct http1_head *head, enum http1_name name)
{
    return head->first[name] != 0;
}

/* A field by its name in small letters, for those that the table does not know. */
const struct http1_field *http1_field_named(const struct http1_head *head, const char *name);

/* The next element of a value that is a list ("gzip, aws-chunked"), without blanks around it, empty
 * ones passed over; false: no more. */
bool http1_element_next(struct slice *rest, struct slice *element);
