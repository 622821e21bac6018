/* The status of a running Sheaf as a table for people. */
#pragma once

#include <stdbool.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"

/* `json` as /api/v1/status gives it; ERR_SYNTAX if it is anything else. */
enum err commands_table_print(struct slice json, bool with_colours, struct buf *out) MUST_CHECK;
