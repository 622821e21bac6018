/* The lines of pg_hba.conf and pg_ident.conf as fields, and these as words; for hba.c, ident.c. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "config/problem.h"
#include "proxy/base/arena.h"
#include "proxy/base/slice.h"

struct hba_token {
    const char *text; /* in the arena */
    bool is_quoted;   /* it begins with a quote: a name, whatever it says */
};

/* Words with commas between them. */
struct hba_field {
    struct hba_token *tokens;
    uint32_t count; /* at least one */
};

struct hba_line {
    struct place place; /* where it begins */
    struct hba_field *fields;
    uint32_t count; /* at least one */
};

struct hba_lines {
    struct slice rest;
    struct place place;        /* of the line read last */
    struct arena *arena;       /* borrowed */
    struct problems *problems; /* borrowed */
};

void hba_lines_init(struct hba_lines *lines, struct slice text, struct place place,
                    struct arena *arena, struct problems *problems);
/* The next line that is neither empty nor a comment nor wrong; false: there is none. */
bool hba_lines_next(struct hba_lines *lines, struct hba_line *out);

/* Room for one more element of a list that has `count`: in the arena, moved as it grows. */
void *hba_grown(struct arena *arena, void *list, uint32_t count, size_t size);
