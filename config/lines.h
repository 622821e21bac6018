/* The lines of a configuration file and of those that it includes, one by one, each with its place.
 * inih takes "name = value" and comments apart; this feeds it whole lines, so that none is cut,
 * and notices those that it did not understand. */
#pragma once

#include <stdbool.h>

#include "config/problem.h"
#include "proxy/base/arena.h"
#include "proxy/base/err.h"

enum { LINES_BYTES = 64 * 1024 }; /* the longest line */

struct lines {
    void *owner; /* borrowed, handed to the functions below */
    /* A section begins; what it returns is handed to `line` with each of the section's lines. */
    void *(*section)(void *owner, struct place place, const char *title);
    void (*line)(void *owner, void *section, struct place place, const char *name,
                 const char *value);
    struct problems *problems; /* borrowed */
    struct arena *arena;       /* borrowed; keeps the files' names */
    bool no_files;             /* includes are refused */

    unsigned order; /* lines read so far */
};

/* What is wrong is in the problems. */
void lines_read_file(struct lines *lines, const char *file);
void lines_read_text(struct lines *lines, const char *name, const char *text);

/* The path as meant in `file`: relative ones start at its folder. */
const char *lines_path(struct arena *arena, const char *file, const char *path);
