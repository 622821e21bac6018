/* How the readers of pgwire take a body apart: each call takes from the front of `rest`, or says
 * false and takes nothing.  For proxy/wire/pgwire_*.c alone. */
#pragma once

#include "proxy/wire/pgwire.h"

static inline bool pg_take_bytes(struct slice *rest, size_t len, struct slice *out)
{
    if (rest->len < len)
        return false;
    *out = slice_of(rest->at, len);
    *rest = slice_from(*rest, len);
    return true;
}

static inline bool pg_take_u8(struct slice *rest, uint8_t *out)
{
    if (rest->len < 1)
        return false;
    *out = rest->at[0];
    *rest = slice_from(*rest, 1);
    return true;
}

static inline bool pg_take_u16(struct slice *rest, uint16_t *out)
{
    if (rest->len < 2)
        return false;
    *out = pg_u16(rest->at);
    *rest = slice_from(*rest, 2);
    return true;
}

static inline bool pg_take_u32(struct slice *rest, uint32_t *out)
{
    if (rest->len < 4)
        return false;
    *out = pg_u32(rest->at);
    *rest = slice_from(*rest, 4);
    return true;
}

/* A text with a zero behind it, which is taken too. */
static inline bool pg_take_text(struct slice *rest, struct slice *out)
{
    const uint8_t *end = rest->len > 0 ? memchr(rest->at, 0, rest->len) : NULL;

    if (end == NULL)
        return false;
    *out = slice_of(rest->at, (size_t)(end - rest->at));
    *rest = slice_from(*rest, out->len + 1);
    return true;
}

/* A length and so many bytes; -1 is null. */
static inline bool pg_take_value(struct slice *rest, struct pg_value *out)
{
    struct slice after = *rest, bytes = { 0 };
    uint32_t len;

    if (!pg_take_u32(&after, &len))
        return false;
    if (len != UINT32_MAX && !pg_take_bytes(&after, len, &bytes))
        return false;
    *out = (struct pg_value){ bytes, len == UINT32_MAX };
    *rest = after;
    return true;
}

/* `count` of them; *out is all of their bytes. */
static inline bool pg_take_values(struct slice *rest, size_t count, struct slice *out)
{
    struct slice after = *rest;
    struct pg_value value;

    for (size_t i = 0; i < count; i++) {
        if (!pg_take_value(&after, &value))
            return false;
    }
    *out = slice_of(rest->at, rest->len - after.len);
    *rest = after;
    return true;
}
