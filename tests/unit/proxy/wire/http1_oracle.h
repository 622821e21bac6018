/* How llhttp reads a head: the oracle for http1.h, which must not take what llhttp refuses, nor
 * read it otherwise.  (It takes more than we do, for instance blanks in names.) */
#pragma once

#include <llhttp.h>
#include <stdlib.h>

#include "proxy/base/buf.h"
#include "proxy/wire/http1.h"
#include "proxy/wire/http1_token.h"

struct oracle {
    llhttp_t parser;
    llhttp_errno_t error; /* HPE_PAUSED: taken */
    bool is_whole;        /* it ended where the head ends */
    struct slice start;   /* target, or reason */
    unsigned count;
    struct slice names[HTTP1_FIELDS_MAX], values[HTTP1_FIELDS_MAX];
    struct buf payload; /* of oracle_read_body() */
    bool has_body_end;
};

static inline int oracle_on_start(llhttp_t *parser, const char *at, size_t len)
{
    ((struct oracle *)parser->data)->start = slice_of(at, len);
    return 0;
}

static inline int oracle_on_name(llhttp_t *parser, const char *at, size_t len)
{
    struct oracle *o = parser->data;

    if (o->count == HTTP1_FIELDS_MAX)
        return -1;
    o->values[o->count] = (struct slice){ 0 };
    o->names[o->count++] = slice_of(at, len);
    return 0;
}

static inline int oracle_on_value(llhttp_t *parser, const char *at, size_t len)
{
    struct oracle *o = parser->data;

    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t'))
        len--;
    o->values[o->count - 1] = slice_of(at, len);
    return 0;
}

static inline int oracle_on_head(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

/* Into *o, which is large. */
static inline void oracle_read_head(struct oracle *o, llhttp_type_t type, struct slice head)
{
    static const llhttp_settings_t settings = {
        .on_url = oracle_on_start,
        .on_status = oracle_on_start,
        .on_header_field = oracle_on_name,
        .on_header_value = oracle_on_value,
        .on_headers_complete = oracle_on_head,
    };

    o->count = 0;
    o->start = (struct slice){ 0 };
    llhttp_init(&o->parser, type, &settings);
    o->parser.data = o;
    o->error = llhttp_execute(&o->parser, (const char *)head.at, head.len);
    o->is_whole = o->error == HPE_PAUSED &&
                  (const uint8_t *)llhttp_get_error_pos(&o->parser) >= head.at + head.len - 1;
}

static inline bool oracle_keeps_alive(const struct oracle *o)
{
    if (o->parser.flags & F_CONNECTION_CLOSE)
        return false;
    return o->parser.http_minor == 1 || o->parser.flags & F_CONNECTION_KEEP_ALIVE;
}

/* Whether of Connection it is asked nothing but a word: of lists with other bytes in them it has
 * its own idea, and it takes Proxy-Connection for the same. */
static inline bool oracle_knows_connection(const struct http1_head *head)
{
    const struct http1_field *field = http1_field_find(head, HTTP1_NAME_CONNECTION);

    if (http1_field_named(head, "proxy-connection") != NULL)
        return false;
    return field == NULL || (http1_is_token(field->value) && field->next == 0);
}

/* It takes no tab behind a length or a coding, where HTTP allows blanks of both kinds. */
static inline bool oracle_is_too_strict(const struct oracle *o, const struct http1_head *head)
{
    if (o->error != HPE_INVALID_CONTENT_LENGTH && o->error != HPE_INVALID_TRANSFER_ENCODING)
        return false;
    for (unsigned i = 0; i < head->field_count; i++) {
        const struct http1_field *field = &head->fields[i];
        const uint8_t *behind = field->value.at + field->value.len;

        if (field->known != HTTP1_NAME_CONTENT_LENGTH &&
            field->known != HTTP1_NAME_TRANSFER_ENCODING)
            continue;
        while (*behind == ' ')
            behind++;
        return *behind == '\t';
    }
    return false;
}

/* NULL, or what it says otherwise than we do. */
static inline const char *oracle_differs(const struct oracle *o, const struct http1_head *head)
{
    bool is_chunked = o->parser.flags & F_CHUNKED, has_length = o->parser.flags & F_CONTENT_LENGTH;

    if (!o->is_whole)
        return "the head's end";
    if (o->parser.http_major != 1 || o->parser.http_minor != head->minor)
        return "the version";
    if (o->count != head->field_count)
        return "the number of fields";
    for (unsigned i = 0; i < o->count; i++) {
        if (o->names[i].len != head->fields[i].name.len ||
            strncasecmp((const char *)o->names[i].at, (const char *)head->fields[i].name.at,
                        o->names[i].len) != 0)
            return "a name";
        if (!slice_is(o->values[i], head->fields[i].value))
            return "a value";
    }
    if (has_length != head->has_length || (has_length && o->parser.content_length != head->length))
        return "the length";
    if (head->framing != HTTP1_FRAMING_NONE &&
        is_chunked != (head->framing == HTTP1_FRAMING_CHUNKED))
        return "the coding";
    return NULL;
}

/* --- Bodies in chunks ------------------------------------------------------------------------ */

static inline int oracle_on_body(llhttp_t *parser, const char *at, size_t len)
{
    buf_put(&((struct oracle *)parser->data)->payload, at, len);
    return 0;
}

static inline int oracle_on_end(llhttp_t *parser)
{
    ((struct oracle *)parser->data)->has_body_end = true;
    return HPE_PAUSED;
}

/* The payload of a body in chunks; o->has_body_end says whether it was whole and taken. */
static inline void oracle_read_body(struct oracle *o, struct slice body)
{
    static const char head[] = "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
    static const llhttp_settings_t settings = {
        .on_body = oracle_on_body,
        .on_message_complete = oracle_on_end,
    };

    buf_clear(&o->payload);
    o->has_body_end = false;
    llhttp_init(&o->parser, HTTP_REQUEST, &settings);
    o->parser.data = o;
    if (llhttp_execute(&o->parser, head, sizeof(head) - 1) == HPE_OK)
        llhttp_execute(&o->parser, (const char *)body.at, body.len);
}
