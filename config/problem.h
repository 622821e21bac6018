/* What is wrong with a configuration: all of it, in the order of the lines read, included files in
 * their place.
 *
 *     struct problems problems = { 0 };
 *     if (config_load(file, &vocabulary, &snapshot, &problems) != ERR_NONE)
 *         problems_print(&problems, stderr);
 *     problems_fini(&problems);
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "proxy/base/err.h"

/* Where a line stands. */
struct place {
    const char *file; /* borrowed from the snapshot, or from the problems */
    unsigned line;    /* from 1; 0 for the file as a whole */
    unsigned order;   /* of all lines read, included files in their place */
};

struct problem {
    char *file; /* owned */
    unsigned line, order;
    bool is_warning; /* said, but no reason to refuse */
    char *text;      /* owned */
};

struct problems {
    struct problem *list; /* owned, sorted by problems_sort() */
    size_t count;
    size_t errors; /* of `count`, those that are no warnings */
};

void problems_error(struct problems *p, struct place place, const char *format, ...)
    PRINTF_LIKE(3, 4);
void problems_warn(struct problems *p, struct place place, const char *format, ...)
    PRINTF_LIKE(3, 4);
void problems_sort(struct problems *p); /* into the order of the lines; stable */
/* A line each: `sheaf.ini:7: what is wrong`, warnings as `sheaf.ini:7: warning: ...`. */
void problems_print(const struct problems *p, FILE *out);
void problems_fini(struct problems *p);
