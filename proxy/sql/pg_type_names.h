/* Types of parameters as SQL names them: what a client gave in Parse as numbers, in PREPARE. */
#pragma once

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/slice.h"

/* Appends "(type, ...) ", or nothing if there are none.  `types` are those that a server has found,
 * `said` those of the client's Parse, four bytes each: one of no common name that the client left
 * open stays so.  False: one has no name that is known here; some may have been appended. */
bool pg_type_names_put(struct buf *out, struct slice types, struct slice said);
