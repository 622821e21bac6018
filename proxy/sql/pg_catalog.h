/* What the primary is asked of its catalog, and how its answer is read.
 *
 *     pg_catalog_put_signature(&out);   one row, one value: changes when the catalog does
 *     pg_catalog_put_query(&out);       rows for pg_catalog_read_row()
 *
 * Both are Query messages whose answers begin with those of some SETs; they are for a session of
 * their own. */
#pragma once

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "replica/catalog_table.h"

enum { PG_CATALOG_SIGNATURE_BYTES = 64 };

void pg_catalog_put_signature(struct buf *out);
void pg_catalog_put_query(struct buf *out);

/* Of a DataRow; ERR_PROTOCOL: it is something else. */
MUST_CHECK enum err pg_catalog_read_row(struct slice body, struct catalog_row *row);
