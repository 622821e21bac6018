/* What the primary is asked of its catalog, and how its answer is read.
 *
 *     pg_catalog_put_signature(&out, major);   one row, one value: its fingerprint
 *     pg_catalog_put_query(&out);              rows for pg_catalog_read_row()
 *
 * Both are Query messages whose answers begin with those of some SETs; they are for a session of
 * their own.
 *
 * A fingerprint is two numbers that change when rows of the catalog do: "deep" by functions, views,
 * policies and the like that are made, altered or dropped, "wide" by all that the rows of
 * pg_catalog_put_query() depend on, relations that are renamed among it, and temporary tables too.
 * They are the server's counters of changed rows, those included that the session that asks has
 * changed: so whoever did something that may have been DDL asks in the same session
 * what came of it, by pg_catalog_fingerprint_query(), and knows at once.  Servers before version 15
 * tell their counters late, so that "deep" is read there from the rows themselves, which takes
 * them a millisecond.
 *
 * `major`: the server's version. */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "replica/catalog_table.h"

enum { PG_CATALOG_SIGNATURE_BYTES = 48 };

struct pg_catalog_fingerprint {
    uint64_t deep, wide;
};

void pg_catalog_put_signature(struct buf *out, uint64_t major);
void pg_catalog_put_query(struct buf *out);

/* A row of two values, the first NULL, the second for pg_catalog_read_fingerprint().  It may be
 * asked in any session, whatever that has set.  Servers that count are told to let other sessions
 * know the counters, too, when this is answered. */
struct slice pg_catalog_fingerprint_query(uint64_t major);
MUST_CHECK enum err pg_catalog_read_fingerprint(struct slice text,
                                                struct pg_catalog_fingerprint *out);

/* Of a DataRow; ERR_PROTOCOL: it is something else. */
MUST_CHECK enum err pg_catalog_read_row(struct slice body, struct catalog_row *row);
