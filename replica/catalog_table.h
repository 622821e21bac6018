/* The catalog of one database, as the primary told it: filled row by row, then looked up.
 *
 *     t = catalog_table_new(seed);
 *     err = catalog_table_add(t, &(struct catalog_row){ CATALOG_FUNCTION, schema, name, ... });
 *     view = (struct catalog_view){ t, path, true };
 *     options.catalog = &(struct catalog){ &view, ... };    or catalog_table_see(&view, &catalog)
 *
 * Once it is looked up it is not added to any more.  It is counted, and belongs to one thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/base/slice.h"
#include "replica/catalog.h"

enum {
    CATALOG_NAMES_MOST = 100 * 1000,
    CATALOG_BYTES_MOST = 32 * 1024 * 1024,
};

enum catalog_kind {
    CATALOG_FUNCTION,
    CATALOG_MEMBER,   /* a function that row.name calls */
    CATALOG_OPERATOR, /* by what its function is */
    CATALOG_TYPE,     /* by what a cast to it calls */
    CATALOG_RELATION,
    CATALOG_KIND_COUNT,
};

/* By which search_paths a schema is reached. */
enum catalog_reach {
    CATALOG_REACH_DEFAULT = 1 << 0, /* of a session that has not set its own, perhaps */
    CATALOG_REACH_USER = 1 << 1,    /* "$user", of some user */
};

struct catalog_row {
    enum catalog_kind kind;
    struct slice schema, name;
    uint8_t
        nature;    /* enum catalog_function, or catalog_relation; the strictest of several counts */
    uint8_t reach; /* enum catalog_reach, of the schema */
};

struct catalog_table;

/* The seed keeps who chooses names from choosing where they lie. */
struct catalog_table *catalog_table_new(uint64_t seed);
void catalog_table_free(struct catalog_table **where);

/* ERR_LIMIT: it is full; ERR_PROTOCOL: not such a row. */
MUST_CHECK enum err catalog_table_add(struct catalog_table *t, const struct catalog_row *row);

/* Names, and bytes of memory. */
size_t catalog_table_names(const struct catalog_table *t);
size_t catalog_table_bytes(const struct catalog_table *t);

/* As a session sees it. */
struct catalog_view {
    const struct catalog_table *table; /* borrowed */
    struct slice path;                 /* its search_path, as SHOW shows it; borrowed */
    bool has_path;                     /* else it has the server's */
};

/* Both must outlive what is done with the catalog.  A name that PostgreSQL has too, or an operator,
 * without a schema, is looked for where the search_path leads; others in all schemas. */
void catalog_table_see(const struct catalog_view *view, struct catalog *out);
