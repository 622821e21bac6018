/* PostgreSQL's own functions, and what they mean for the one who calls them. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

enum builtin_class {
    BUILTIN_SAFE,  /* changes nothing; any server answers the same */
    BUILTIN_SHOWS, /* current_setting(): depends on which */
    BUILTIN_HERE,  /* tells of the server or session that answers */
    BUILTIN_XID,   /* takes a transaction id, or tells of those under way; or of a sequence */
    BUILTIN_RUNS,  /* runs the text it is given, or a cursor */
    BUILTIN_WRITES,
    BUILTIN_SEQUENCE, /* and from here on: leaves something in the session */
    BUILTIN_CURRVAL,  /* or wants what was left */
    BUILTIN_SETS,
    BUILTIN_LOCKS,
    BUILTIN_SEEDS,
    BUILTIN_LISTENS,
    BUILTIN_STAYS,
};

struct builtin_function {
    const char *name;
    const char *reason; /* "function nextval()" */
    uint8_t class;      /* enum builtin_class */
    bool takes_one;     /* (x).name calls it */
};

/* By the name as the catalog has it; types count, as functions that cast.  NULL: there is none. */
const struct builtin_function *builtin_function_find(struct slice name);
/* One after the other, from 0; NULL: no more. */
const struct builtin_function *builtin_function_at(size_t i);
