/* The status of a running Sheaf as a table for people. */
#pragma once

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

enum { COMMANDS_TABLE_HEAD = 4 }; /* lines above those of the first pool */

/* `json` as /api/v1/status gives it; ERR_SYNTAX if it is anything else.  Where `width` letters are
 * few, the columns that matter least are left out; 0: there is room for all. */
enum err commands_table_print(struct slice json, bool with_colours, unsigned width, struct buf *out)
    MUST_CHECK;
