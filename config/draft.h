/* A configuration while it is being loaded: what load.c read, section by section, before
 * draft_build.c makes listeners, endpoints and users of it and draft_check.c looks at the whole.
 * Private to config/. */
#pragma once

#include "config/lines.h"
#include "config/load.h"
#include "config/option.h"
#include "config/snapshot.h"

/* An OPTION_LINES line; taken when the whole section is known, as URLs start from its options. */
struct draft_line {
    struct draft_line *next; /* owned by the arena, as all here */
    const struct option *option;
    const char *value; /* as written: not expanded yet */
    struct place place;
};

enum { DRAFT_OPTIONS_MOST = 64 };

/* A section. */
struct draft {
    struct draft *next;
    const char *title; /* "memory sessions" */
    struct place place;
    const struct option *table; /* NULL: a section that is refused, its lines are not looked at */
    void *settings;             /* the pool below, or the snapshot's proxy settings */
    struct pool_settings *pool; /* the base of it; NULL for [proxy] */
    struct draft_line *lines, **lines_end;
    struct place seen[DRAFT_OPTIONS_MOST]; /* where each option was given; line 0: not */
};

struct loading {
    const struct config_vocabulary *vocabulary; /* borrowed */
    struct problems *problems;                  /* borrowed */
    struct snapshot *snapshot;                  /* being built */
    struct arena *arena;                        /* the snapshot's */
    struct lines lines;
    struct draft *drafts, **drafts_end;
};

/* A problem of an option: "NAME: " and what `why` holds, which is emptied. */
void draft_blame(struct loading *l, struct place place, const char *name, struct buf *why);
/* Where the option of this name was given, else where its section begins. */
struct place draft_place(const struct draft *d, const char *option_name);

/* Makes the snapshot's pools, listeners, endpoints and users. */
void draft_build(struct loading *l);
/* Looks at what no single line tells. */
void draft_check(struct loading *l);
