/* Rows of stores that keep keys in an order of their own: the row's key begins with database and
 * place, so that a walk over places is a walk over rows, and its value with the time of its end.
 *
 *     key     database (4 bytes) | place (6 bytes) | name
 *     value   expires_ms (8 bytes) | bytes
 *
 * Numbers are big-endian. */
#pragma once

#include <endian.h>
#include <string.h>

#include "proxy/base/buf.h"
#include "proxy/memory/store.h"

enum { STORE_ROW_DATABASE_BYTES = 4, STORE_ROW_PLACE_BYTES = 6, STORE_ROW_TIME_BYTES = 8 };
enum { STORE_ROW_HEAD_BYTES = STORE_ROW_DATABASE_BYTES + STORE_ROW_PLACE_BYTES };

/* Where the rows of a place begin; writes over `out`. */
static inline void store_row_begin(struct buf *out, uint32_t database, uint64_t place)
{
    uint32_t first = htobe32(database);
    uint64_t then = htobe64(place << (64 - STORE_PLACE_BITS));

    buf_clear(out);
    buf_put(out, &first, sizeof(first));
    buf_put(out, &then, STORE_ROW_PLACE_BYTES);
}

static inline void store_row_key(struct buf *out, const struct store_key *key)
{
    store_row_begin(out, key->database, store_place(key->hash));
    buf_slice(out, key->name);
}

/* False: no such row. */
static inline bool store_row_read_key(struct slice row, uint32_t *database, uint64_t *place,
                                      struct slice *name)
{
    uint32_t first;
    uint64_t then = 0;

    if (row.len < STORE_ROW_HEAD_BYTES)
        return false;
    memcpy(&first, row.at, sizeof(first));
    memcpy(&then, row.at + sizeof(first), STORE_ROW_PLACE_BYTES);
    *database = be32toh(first);
    *place = be64toh(then) >> (64 - STORE_PLACE_BITS);
    *name = slice_from(row, STORE_ROW_HEAD_BYTES);
    return true;
}

static inline void store_row_value(struct buf *out, const struct store_value *value)
{
    uint64_t time = htobe64((uint64_t)value->expires_ms);

    buf_clear(out);
    buf_put(out, &time, sizeof(time));
    buf_slice(out, value->bytes);
}

static inline bool store_row_read_value(struct slice row, struct store_value *out)
{
    uint64_t time;

    if (row.len < STORE_ROW_TIME_BYTES)
        return false;
    memcpy(&time, row.at, sizeof(time));
    out->expires_ms = (int64_t)be64toh(time);
    out->bytes = slice_from(row, STORE_ROW_TIME_BYTES);
    return true;
}
