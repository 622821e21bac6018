/* What clients say once they are in: see pgwire.h. */
#include <assert.h>

#include "proxy/wire/pgwire_take.h"

/* What PostgreSQL takes, by its own table, with the type in front. */
enum {
    SMALL_MAX_BYTES = 10000 + 1,
    LARGE_MAX_BYTES = 0x3ffffffe + 1,
};

uint32_t pg_front_max_bytes(uint8_t type)
{
    switch (type) {
    case PG_FRONT_BIND:
    case PG_FRONT_COPY_DATA:
    case PG_FRONT_FUNCTION_CALL:
    case PG_FRONT_PARSE:
    case PG_FRONT_QUERY:
        return LARGE_MAX_BYTES;
    case PG_FRONT_CLOSE:
    case PG_FRONT_COPY_DONE:
    case PG_FRONT_COPY_FAIL:
    case PG_FRONT_DESCRIBE:
    case PG_FRONT_EXECUTE:
    case PG_FRONT_FLUSH:
    case PG_FRONT_SYNC:
    case PG_FRONT_TERMINATE:
        return SMALL_MAX_BYTES;
    }
    return 0;
}

static enum err read_only_text(struct slice body, struct slice *out)
{
    struct slice text;

    if (!pg_take_text(&body, &text) || body.len > 0)
        return ERR_PROTOCOL;
    *out = text;
    return ERR_NONE;
}

enum err pg_read_query(struct slice body, struct slice *text)
{
    return read_only_text(body, text);
}

enum err pg_read_password(struct slice body, struct slice *password)
{
    return read_only_text(body, password);
}

enum err pg_read_parse(struct slice body, struct pg_parse *out)
{
    struct pg_parse found;

    if (!pg_take_text(&body, &found.name) || !pg_take_text(&body, &found.text) ||
        !pg_take_u16(&body, &found.type_count) ||
        !pg_take_bytes(&body, 4u * found.type_count, &found.types) || body.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}

enum err pg_read_parse_head(struct slice head, struct slice *name)
{
    return pg_take_text(&head, name) ? ERR_NONE : ERR_AGAIN;
}

enum err pg_read_bind_head(struct slice head, struct pg_bind *out)
{
    struct pg_bind found = { 0 };

    if (!pg_take_text(&head, &found.portal) || !pg_take_text(&head, &found.statement))
        return ERR_AGAIN;
    found.rest = head;
    *out = found;
    return ERR_NONE;
}

enum err pg_read_bind(struct slice body, struct pg_bind *out)
{
    struct pg_bind found;
    struct slice rest;

    if (pg_read_bind_head(body, &found) != ERR_NONE)
        return ERR_PROTOCOL;
    rest = found.rest;
    if (!pg_take_u16(&rest, &found.format_count) ||
        !pg_take_bytes(&rest, 2u * found.format_count, &found.formats) ||
        !pg_take_u16(&rest, &found.value_count) ||
        !pg_take_values(&rest, found.value_count, &found.values) ||
        !pg_take_u16(&rest, &found.result_format_count) ||
        !pg_take_bytes(&rest, 2u * found.result_format_count, &found.result_formats) ||
        rest.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}

/* None: text for all; one: for all; else one each. */
static uint16_t format_of(const struct pg_bind *bind, size_t i)
{
    if (bind->format_count == 1)
        i = 0;
    return i < bind->format_count ? pg_u16(bind->formats.at + 2 * i) : 0;
}

struct pg_bound pg_bind_value(const struct pg_bind *bind, size_t i)
{
    struct slice rest = bind->values;
    struct pg_bound bound = { .format = format_of(bind, i) };
    bool is_there = true;

    assert(i < bind->value_count);
    for (size_t at = 0; at <= i; at++)
        is_there = is_there && pg_take_value(&rest, &bound.value);
    assert(is_there);
    return bound;
}

enum err pg_read_target(struct slice body, struct pg_target *out)
{
    struct slice name;
    uint8_t kind;

    if (!pg_take_u8(&body, &kind) || !pg_take_text(&body, &name) || body.len > 0)
        return ERR_PROTOCOL;
    if (kind != PG_KIND_STATEMENT && kind != PG_KIND_PORTAL)
        return ERR_PROTOCOL;
    *out = (struct pg_target){ (enum pg_kind)kind, name };
    return ERR_NONE;
}

enum err pg_read_execute(struct slice body, struct pg_execute *out)
{
    struct slice portal;
    uint32_t max_rows;

    if (!pg_take_text(&body, &portal) || !pg_take_u32(&body, &max_rows) || body.len > 0)
        return ERR_PROTOCOL;
    *out = (struct pg_execute){ portal, (int32_t)max_rows };
    return ERR_NONE;
}

enum err pg_read_sasl_initial(struct slice body, struct pg_sasl_initial *out)
{
    struct pg_sasl_initial found;

    if (!pg_take_text(&body, &found.mechanism) || !pg_take_value(&body, &found.data) ||
        body.len > 0)
        return ERR_PROTOCOL;
    *out = found;
    return ERR_NONE;
}
