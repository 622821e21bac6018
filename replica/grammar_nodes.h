/* The nodes of parse trees, as PostgreSQL declares them.  Only for what walks the trees: the
 * headers bring along much more than nodes, and other functions under the names of printf() and
 * qsort(). No function of theirs may be called but those that are inline and look at lists. */
#pragma once

#include <postgres.h>

#include <nodes/parsenodes.h>
#include <nodes/primnodes.h>
#include <nodes/value.h>

#if PG_VERSION_NUM / 10000 != 15
#error "the nodes must be those of the grammar: PostgreSQL 15"
#endif
