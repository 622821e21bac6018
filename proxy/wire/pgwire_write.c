/* See pgwire_write.h.  A message is begun with its type, its length is filled in at its end. */
#include "proxy/wire/pgwire_write.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    CODE_CANCEL = 80877102, /* 1234.5678 */
    CODE_SSL = 80877103,
};

static void put_u16(struct buf *b, uint16_t value)
{
    value = htobe16(value);
    buf_put(b, &value, sizeof(value));
}

static void put_u32(struct buf *b, uint32_t value)
{
    value = htobe32(value);
    buf_put(b, &value, sizeof(value));
}

static void put_u8(struct buf *b, uint8_t value)
{
    buf_put(b, &value, 1);
}

static void put_text(struct buf *b, struct slice text)
{
    const uint8_t *zero = text.len > 0 ? memchr(text.at, 0, text.len) : NULL;

    if (zero != NULL)
        text.len = (size_t)(zero - text.at);
    buf_slice(b, text);
    put_u8(b, 0);
}

static void set_length(struct buf *b, size_t at, size_t length)
{
    uint32_t value = htobe32((uint32_t)length);

    assert(length <= INT32_MAX);
    memcpy(b->at + at, &value, sizeof(value));
}

/* Returns where the length stands, for end(). */
static size_t begin_untyped(struct buf *b)
{
    put_u32(b, 0);
    return b->len - 4;
}

static size_t begin(struct buf *b, uint8_t type)
{
    put_u8(b, type);
    return begin_untyped(b);
}

static void end(struct buf *b, size_t at)
{
    set_length(b, at, b->len - at);
}

static void put_empty(struct buf *b, uint8_t type)
{
    uint8_t message[PG_HEADER_BYTES] = { type, 0, 0, 0, 4 };

    buf_put(b, message, sizeof(message));
}

/* --- To a server ----------------------------------------------------------------------------- */

void pg_put_startup(struct buf *b, const struct pg_parameter *parameters, size_t count)
{
    size_t at = begin_untyped(b);

    put_u32(b, PG_VERSION_3_0);
    for (size_t i = 0; i < count; i++) {
        if (parameters[i].name.len == 0 || parameters[i].name.at[0] == 0)
            continue;
        put_text(b, parameters[i].name);
        put_text(b, parameters[i].value);
    }
    put_u8(b, 0);
    end(b, at);
}

void pg_put_ssl_request(struct buf *b)
{
    size_t at = begin_untyped(b);

    put_u32(b, CODE_SSL);
    end(b, at);
}

void pg_put_cancel(struct buf *b, uint32_t pid, struct slice secret)
{
    size_t at = begin_untyped(b);

    put_u32(b, CODE_CANCEL);
    put_u32(b, pid);
    buf_slice(b, secret);
    end(b, at);
}

static void put_one_text(struct buf *b, uint8_t type, struct slice text)
{
    size_t at = begin(b, type);

    put_text(b, text);
    end(b, at);
}

void pg_put_password(struct buf *b, struct slice password)
{
    put_one_text(b, PG_FRONT_PASSWORD, password);
}

void pg_put_sasl_initial(struct buf *b, struct slice mechanism, struct slice data)
{
    size_t at = begin(b, PG_FRONT_PASSWORD);

    put_text(b, mechanism);
    put_u32(b, (uint32_t)data.len);
    buf_slice(b, data);
    end(b, at);
}

void pg_put_sasl_response(struct buf *b, struct slice data)
{
    size_t at = begin(b, PG_FRONT_PASSWORD);

    buf_slice(b, data);
    end(b, at);
}

void pg_put_query(struct buf *b, struct slice text)
{
    put_one_text(b, PG_FRONT_QUERY, text);
}

void pg_put_parse(struct buf *b, struct slice name, struct slice text, struct slice types)
{
    size_t at = begin(b, PG_FRONT_PARSE);

    assert(types.len % 4 == 0 && types.len / 4 <= UINT16_MAX);
    put_text(b, name);
    put_text(b, text);
    put_u16(b, (uint16_t)(types.len / 4));
    buf_slice(b, types);
    end(b, at);
}

static void put_values(struct buf *b, const struct pg_value *values, size_t count)
{
    assert(count <= UINT16_MAX);
    put_u16(b, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        put_u32(b, values[i].is_null ? UINT32_MAX : (uint32_t)values[i].bytes.len);
        if (!values[i].is_null)
            buf_slice(b, values[i].bytes);
    }
}

void pg_put_bind(struct buf *b, struct slice portal, struct slice statement,
                 const struct pg_value *values, size_t count)
{
    size_t at = begin(b, PG_FRONT_BIND);

    put_text(b, portal);
    put_text(b, statement);
    put_u16(b, 0);
    put_values(b, values, count);
    put_u16(b, 0);
    end(b, at);
}

static void put_target(struct buf *b, uint8_t type, enum pg_kind kind, struct slice name)
{
    size_t at = begin(b, type);

    put_u8(b, (uint8_t)kind);
    put_text(b, name);
    end(b, at);
}

void pg_put_describe(struct buf *b, enum pg_kind kind, struct slice name)
{
    put_target(b, PG_FRONT_DESCRIBE, kind, name);
}

void pg_put_close(struct buf *b, enum pg_kind kind, struct slice name)
{
    put_target(b, PG_FRONT_CLOSE, kind, name);
}

void pg_put_execute(struct buf *b, struct slice portal, int32_t max_rows)
{
    size_t at = begin(b, PG_FRONT_EXECUTE);

    put_text(b, portal);
    put_u32(b, (uint32_t)max_rows);
    end(b, at);
}

void pg_put_sync(struct buf *b)
{
    put_empty(b, PG_FRONT_SYNC);
}

void pg_put_flush(struct buf *b)
{
    put_empty(b, PG_FRONT_FLUSH);
}

void pg_put_copy_done(struct buf *b)
{
    put_empty(b, PG_FRONT_COPY_DONE);
}

void pg_put_copy_fail(struct buf *b, struct slice reason)
{
    put_one_text(b, PG_FRONT_COPY_FAIL, reason);
}

void pg_put_terminate(struct buf *b)
{
    put_empty(b, PG_FRONT_TERMINATE);
}

void pg_put_bind_head(struct buf *b, struct slice portal, struct slice statement, size_t rest)
{
    size_t at = begin(b, PG_FRONT_BIND);

    put_text(b, portal);
    put_text(b, statement);
    set_length(b, at, b->len - at + rest);
}

/* --- To a client ----------------------------------------------------------------------------- */

void pg_put_auth(struct buf *b, uint32_t kind, struct slice data)
{
    size_t at = begin(b, PG_BACK_AUTHENTICATION);

    put_u32(b, kind);
    buf_slice(b, data);
    end(b, at);
}

void pg_put_auth_ok(struct buf *b)
{
    pg_put_auth(b, PG_AUTH_OK, (struct slice){ 0 });
}

void pg_put_auth_cleartext(struct buf *b)
{
    pg_put_auth(b, PG_AUTH_CLEARTEXT, (struct slice){ 0 });
}

void pg_put_auth_md5(struct buf *b, const uint8_t salt[PG_MD5_SALT_BYTES])
{
    pg_put_auth(b, PG_AUTH_MD5, slice_of(salt, PG_MD5_SALT_BYTES));
}

void pg_put_auth_sasl(struct buf *b, const char *const *mechanisms, size_t count)
{
    size_t at = begin(b, PG_BACK_AUTHENTICATION);

    put_u32(b, PG_AUTH_SASL);
    for (size_t i = 0; i < count; i++)
        put_text(b, slice_text(mechanisms[i]));
    put_u8(b, 0);
    end(b, at);
}

void pg_put_auth_sasl_continue(struct buf *b, struct slice data)
{
    pg_put_auth(b, PG_AUTH_SASL_CONTINUE, data);
}

void pg_put_auth_sasl_final(struct buf *b, struct slice data)
{
    pg_put_auth(b, PG_AUTH_SASL_FINAL, data);
}

void pg_put_negotiation(struct buf *b, struct slice parameters)
{
    size_t at = begin(b, PG_BACK_NEGOTIATE_VERSION);
    struct pg_parameter p;

    put_u32(b, PG_VERSION_3_0); /* servers send it whole, not the minor part alone */
    put_u32(b, (uint32_t)pg_extensions_count(parameters));
    while (pg_parameter_next(&parameters, &p)) {
        if (pg_is_extension(p.name))
            put_text(b, p.name);
    }
    end(b, at);
}

void pg_put_parameter_status(struct buf *b, struct slice name, struct slice value)
{
    size_t at = begin(b, PG_BACK_PARAMETER_STATUS);

    put_text(b, name);
    put_text(b, value);
    end(b, at);
}

void pg_put_key(struct buf *b, uint32_t pid, struct slice secret)
{
    size_t at = begin(b, PG_BACK_KEY_DATA);

    put_u32(b, pid);
    buf_slice(b, secret);
    end(b, at);
}

void pg_put_ready(struct buf *b, enum pg_status status)
{
    uint8_t message[PG_HEADER_BYTES + 1] = { PG_BACK_READY, 0, 0, 0, 5, (uint8_t)status };

    buf_put(b, message, sizeof(message));
}

static void put_field(struct buf *b, uint8_t code, struct slice text)
{
    if (text.len == 0)
        return;
    put_u8(b, code);
    put_text(b, text);
}

/* In the order in which a server writes them. */
static void put_report(struct buf *b, uint8_t type, const struct pg_report *report)
{
    bool is_shown = report->severity_shown.len > 0;
    size_t at = begin(b, type);

    put_field(b, 'S', is_shown ? report->severity_shown : report->severity);
    put_field(b, 'V', report->severity);
    put_field(b, 'C', report->sqlstate);
    put_field(b, 'M', report->message);
    put_field(b, 'D', report->detail);
    put_field(b, 'H', report->hint);
    put_field(b, 'W', report->context);
    put_field(b, 's', report->schema);
    put_field(b, 't', report->table);
    put_field(b, 'c', report->column);
    put_field(b, 'd', report->type);
    put_field(b, 'n', report->constraint);
    put_field(b, 'P', report->position);
    put_field(b, 'p', report->internal_position);
    put_field(b, 'q', report->internal_query);
    put_field(b, 'F', report->file);
    put_field(b, 'L', report->line);
    put_field(b, 'R', report->routine);
    put_u8(b, 0);
    end(b, at);
}

void pg_put_error(struct buf *b, const struct pg_report *report)
{
    put_report(b, PG_BACK_ERROR, report);
}

void pg_put_notice(struct buf *b, const struct pg_report *report)
{
    put_report(b, PG_BACK_NOTICE, report);
}

void pg_put_error_text(struct buf *b, const char *severity, const char *sqlstate,
                       const char *format, ...)
{
    struct pg_report report = {
        .severity = slice_text(severity),
        .sqlstate = slice_text(sqlstate),
    };
    char *text = NULL;
    va_list args;
    int len;

    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    report.message = len >= 0 ? slice_of(text, (size_t)len) : slice_text("out of memory");
    pg_put_error(b, &report);
    free(len >= 0 ? text : NULL);
}

void pg_put_error_hint(struct buf *b, const char *severity, const char *sqlstate, const char *hint,
                       const char *text)
{
    pg_put_error(b, &(struct pg_report){ .severity = slice_text(severity),
                                         .sqlstate = slice_text(sqlstate),
                                         .message = slice_text(text),
                                         .hint = slice_text(hint) });
}

void pg_put_parse_complete(struct buf *b)
{
    put_empty(b, PG_BACK_PARSE_COMPLETE);
}

void pg_put_bind_complete(struct buf *b)
{
    put_empty(b, PG_BACK_BIND_COMPLETE);
}

void pg_put_close_complete(struct buf *b)
{
    put_empty(b, PG_BACK_CLOSE_COMPLETE);
}

void pg_put_no_data(struct buf *b)
{
    put_empty(b, PG_BACK_NO_DATA);
}

void pg_put_empty_query(struct buf *b)
{
    put_empty(b, PG_BACK_EMPTY_QUERY);
}

void pg_put_types(struct buf *b, const uint32_t *types, size_t count)
{
    size_t at = begin(b, PG_BACK_PARAMETER_DESCRIPTION);

    assert(count <= UINT16_MAX);
    put_u16(b, (uint16_t)count);
    for (size_t i = 0; i < count; i++)
        put_u32(b, types[i]);
    end(b, at);
}

void pg_put_complete(struct buf *b, const char *tag)
{
    put_one_text(b, PG_BACK_COMMAND_COMPLETE, slice_text(tag));
}

static int16_t size_of_type(uint32_t type)
{
    switch (type) {
    case PG_TYPE_BOOL:
        return 1;
    case PG_TYPE_INT4:
        return 4;
    case PG_TYPE_INT8:
        return 8;
    }
    return -1;
}

struct pg_column pg_column_of(const char *name, uint32_t type)
{
    return (struct pg_column){
        .name = slice_text(name),
        .type = type,
        .size = size_of_type(type),
        .modifier = -1,
    };
}

void pg_put_columns(struct buf *b, const struct pg_column *columns, size_t count)
{
    size_t at = begin(b, PG_BACK_ROW_DESCRIPTION);

    assert(count <= UINT16_MAX);
    put_u16(b, (uint16_t)count);
    for (size_t i = 0; i < count; i++) {
        put_text(b, columns[i].name);
        put_u32(b, columns[i].table);
        put_u16(b, columns[i].attribute);
        put_u32(b, columns[i].type);
        put_u16(b, (uint16_t)columns[i].size);
        put_u32(b, (uint32_t)columns[i].modifier);
        put_u16(b, columns[i].format);
    }
    end(b, at);
}

void pg_put_row(struct buf *b, const struct pg_value *values, size_t count)
{
    size_t at = begin(b, PG_BACK_DATA_ROW);

    put_values(b, values, count);
    end(b, at);
}
