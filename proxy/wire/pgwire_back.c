/* What servers say: see pgwire.h. */
#include <assert.h>

#include "proxy/wire/pgwire_take.h"

/* AuthenticationSASL's data: texts, and an empty one at the end. */
static bool is_list_of_mechanisms(struct slice data)
{
    struct slice name;

    while (pg_take_text(&data, &name)) {
        if (name.len == 0)
            return data.len == 0;
    }
    return false;
}

static bool is_auth_data(uint32_t kind, struct slice data)
{
    switch (kind) {
    case PG_AUTH_OK:
    case PG_AUTH_KERBEROS_V5:
    case PG_AUTH_CLEARTEXT:
    case PG_AUTH_SCM:
    case PG_AUTH_GSS:
    case PG_AUTH_SSPI:
        return data.len == 0;
    case PG_AUTH_MD5:
        return data.len == PG_MD5_SALT_BYTES;
    case PG_AUTH_SASL:
        return is_list_of_mechanisms(data);
    }
    return true;
}

enum err pg_read_auth(struct slice body, struct pg_auth *out)
{
    uint32_t kind;

    if (!pg_take_u32(&body, &kind) || !is_auth_data(kind, body))
        return ERR_PROTOCOL;
    *out = (struct pg_auth){ kind, body };
    return ERR_NONE;
}

bool pg_mechanism_next(struct slice *rest, struct slice *name)
{
    struct slice found;

    if (!pg_take_text(rest, &found) || found.len == 0)
        return false;
    *name = found;
    return true;
}

enum err pg_read_parameter_status(struct slice body, struct pg_parameter *out)
{
    struct pg_parameter found;

    if (!pg_take_text(&body, &found.name) || !pg_take_text(&body, &found.value) || body.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}

enum err pg_read_key(struct slice body, struct pg_key *out)
{
    uint32_t pid;

    if (!pg_take_u32(&body, &pid))
        return ERR_PROTOCOL;
    if (body.len < PG_SECRET_MIN_BYTES || body.len > PG_SECRET_MAX_BYTES)
        return ERR_PROTOCOL;
    *out = (struct pg_key){ pid, body };
    return ERR_NONE;
}

enum err pg_read_ready(struct slice body, enum pg_status *out)
{
    if (body.len != 1 || (body.at[0] != PG_STATUS_IDLE && body.at[0] != PG_STATUS_IN_TRANSACTION &&
                          body.at[0] != PG_STATUS_FAILED))
        return ERR_PROTOCOL;
    *out = (enum pg_status)body.at[0];
    return ERR_NONE;
}

enum err pg_read_complete(struct slice body, struct slice *tag)
{
    struct slice found;

    if (!pg_take_text(&body, &found) || body.len > 0)
        return ERR_PROTOCOL;
    *tag = found;
    return ERR_NONE;
}

static struct slice *field_of(struct pg_report *report, uint8_t code)
{
    switch (code) {
    case 'V':
        return &report->severity;
    case 'S':
        return &report->severity_shown;
    case 'C':
        return &report->sqlstate;
    case 'M':
        return &report->message;
    case 'D':
        return &report->detail;
    case 'H':
        return &report->hint;
    case 'P':
        return &report->position;
    case 'p':
        return &report->internal_position;
    case 'q':
        return &report->internal_query;
    case 'W':
        return &report->context;
    case 's':
        return &report->schema;
    case 't':
        return &report->table;
    case 'c':
        return &report->column;
    case 'd':
        return &report->type;
    case 'n':
        return &report->constraint;
    case 'F':
        return &report->file;
    case 'L':
        return &report->line;
    case 'R':
        return &report->routine;
    }
    return NULL; /* of a version to come: to be passed over, by the protocol */
}

enum err pg_read_report(struct slice body, struct pg_report *out)
{
    struct pg_report found = { 0 };
    struct slice *field, text;
    uint8_t code;

    for (;;) {
        if (!pg_take_u8(&body, &code))
            return ERR_PROTOCOL;
        if (code == 0)
            break;
        if (!pg_take_text(&body, &text))
            return ERR_PROTOCOL;
        field = field_of(&found, code);
        if (field != NULL)
            *field = text;
    }
    if (body.len > 0)
        return ERR_PROTOCOL;
    if (found.severity.len == 0)
        found.severity = found.severity_shown;
    *out = found;
    return ERR_NONE;
}

enum err pg_read_negotiation(struct slice body, struct pg_negotiation *out)
{
    struct pg_negotiation found;
    struct slice name;

    if (!pg_take_u32(&body, &found.version) || !pg_take_u32(&body, &found.name_count))
        return ERR_PROTOCOL;
    found.names = body;
    for (uint32_t i = 0; i < found.name_count; i++) { /* each takes a byte at least */
        if (!pg_take_text(&body, &name))
            return ERR_PROTOCOL;
    }
    if (body.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}

enum err pg_read_types(struct slice body, struct pg_types *out)
{
    struct pg_types found;

    if (!pg_take_u16(&body, &found.count) ||
        !pg_take_bytes(&body, 4u * found.count, &found.types) || body.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}

static bool take_column(struct slice *rest, struct pg_column *out)
{
    struct pg_column found;
    uint16_t size;
    uint32_t modifier;

    if (!pg_take_text(rest, &found.name) || !pg_take_u32(rest, &found.table) ||
        !pg_take_u16(rest, &found.attribute) || !pg_take_u32(rest, &found.type) ||
        !pg_take_u16(rest, &size) || !pg_take_u32(rest, &modifier) ||
        !pg_take_u16(rest, &found.format))
        return false;
    found.size = (int16_t)size;
    found.modifier = (int32_t)modifier;
    *out = found;
    return true;
}

enum err pg_read_columns(struct slice body, struct pg_columns *out)
{
    struct pg_column column;
    struct slice columns;
    uint16_t count;

    if (!pg_take_u16(&body, &count))
        return ERR_PROTOCOL;
    columns = body;
    for (size_t i = 0; i < count; i++) {
        if (!take_column(&body, &column))
            return ERR_PROTOCOL;
    }
    if (body.len > 0)
        return ERR_PROTOCOL;
    *out = (struct pg_columns){ columns, count };
    return ERR_NONE;
}

bool pg_column_next(struct pg_columns *columns, struct pg_column *out)
{
    return columns->rest.len > 0 && take_column(&columns->rest, out);
}

enum err pg_read_row(struct slice body, struct pg_row *out)
{
    struct pg_row found;

    if (!pg_take_u16(&body, &found.count) || !pg_take_values(&body, found.count, &found.values) ||
        body.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}

struct pg_value pg_row_value(const struct pg_row *row, size_t i)
{
    struct slice rest = row->values;
    struct pg_value value = { 0 };
    bool is_there = true;

    assert(i < row->count);
    for (size_t at = 0; at <= i; at++)
        is_there = is_there && pg_take_value(&rest, &value);
    assert(is_there);
    return value;
}
