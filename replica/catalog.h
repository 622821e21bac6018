/* What the primary's catalog says of functions and relations that are not PostgreSQL's own.  The
 * caller learns it from the server and answers from memory; `schema` is empty where the text names
 * none, and then the answer is for any schema in which the name is found: the strictest of them.
 * Names are as in the catalog: case-folded unless they were quoted.  catalog_table.h is one. */
#pragma once

#include "proxy/base/slice.h"

/* Rising strictness. */
enum catalog_function {
    CATALOG_FUNCTION_UNKNOWN, /* there is none of this name */
    CATALOG_FUNCTION_READS,   /* immutable or stable, in all overloads */
    CATALOG_FUNCTION_WRITES,  /* volatile, or a procedure */
};

enum catalog_relation {
    CATALOG_RELATION_UNKNOWN,
    CATALOG_RELATION_PLAIN,    /* a table, materialized view or a view on such */
    CATALOG_RELATION_WRITES,   /* a view, or a table with policies, that calls volatile functions */
    CATALOG_RELATION_FOREIGN,  /* a foreign table, or a view on one */
    CATALOG_RELATION_UNLOGGED, /* empty on replicas, which refuse it */
    CATALOG_RELATION_SEQUENCE, /* replicas are some values ahead */
    CATALOG_RELATION_TEMPORARY, /* of some session */
};

struct catalog {
    const void *state; /* borrowed */
    enum catalog_function (*function)(const void *state, struct slice schema, struct slice name);
    enum catalog_relation (*relation)(const void *state, struct slice schema, struct slice name);
    /* NULL: as `function`.  Those that row.name calls: with one argument that is a row. */
    enum catalog_function (*member)(const void *state, struct slice schema, struct slice name);
    /* NULL: nothing is known.  What an operator calls; what a cast to a type calls. */
    enum catalog_function (*of_operator)(const void *state, struct slice schema, struct slice name);
    enum catalog_function (*type)(const void *state, struct slice schema, struct slice name);
};
