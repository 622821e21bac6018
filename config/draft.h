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

enum { DRAFT_OPTIONS_MOST = 96 };

struct draft;
struct loading;
struct url;
struct config_scheme;

/* What the configuration knows of one kind of pools. */
struct draft_kind {
    enum pool_kind kind;
    size_t size; /* of its struct */
    const struct option *table, *endpoint_url, *listen_url;
    const char *const *needed; /* lines without which there is no pool; ends with NULL */
    const char *endpoint_tls;  /* what its options for TLS with servers begin with */
    /* Room for what its lines become. */
    void (*begin)(struct loading *l, struct draft *d);
    /* A line that is neither listener nor endpoint. */
    enum err (*build_line)(struct loading *l, struct draft *d, const struct draft_line *line,
                           struct buf *why);
    /* Before and after the options behind the "?" are set; role, name, scheme, address, login and
     * the pool's TLS are there. */
    enum err (*begin_endpoint)(struct loading *l, const struct url *url,
                               struct endpoint_settings *e, struct buf *why);
    enum err (*end_endpoint)(struct loading *l, const struct url *url, struct endpoint_settings *e,
                             struct buf *why);
    void (*begin_listener)(struct listener_settings *n); /* may be absent, as all `end` */
    enum err (*end_listener)(struct loading *l, const struct url *url, struct listener_settings *n,
                             struct buf *why);
    void (*end)(struct loading *l, struct draft *d); /* all lines are built */
    void (*print_lines)(const struct pool_settings *pool, bool secrets, struct buf *out);
    /* For printing: what an endpoint's URL starts from, beside presets and the pool's TLS; and what
     * it says of a Unix socket's path.  Both may be absent. */
    void (*preset_endpoint)(struct endpoint_settings *e);
    void (*shorten_path)(struct buf *path);
    void (*check)(struct loading *l, const struct draft *d);
    /* What is said of a listener beyond this machine where not everybody has to prove who he is,
     * and what can be done about it; NULL: everybody has to. */
    const char *(*is_open)(const struct listener_settings *n);
};

extern const struct draft_kind draft_memory, draft_sql, draft_blob;
const struct draft_kind *draft_kind_of(const struct pool_settings *pool);

/* A section. */
struct draft {
    struct draft *next;
    const char *title; /* "memory sessions" */
    struct place place;
    const struct option *table; /* NULL: a section that is refused, its lines are not looked at */
    void *settings;             /* the pool below, or the snapshot's proxy settings */
    struct pool_settings *pool; /* the base of it; NULL for [proxy] and classes */
    const struct draft_kind *kind; /* likewise */
    struct key_class *key_class;   /* it is a class; else NULL */
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

bool draft_is_line(const struct draft_line *line, const char *name);
uint32_t draft_count_lines(const struct draft *d, const char *name);
/* Sets one NAME=VALUE of a table, named in `why` if it is refused. */
enum err draft_set_word(struct loading *l, const struct option *option, void *settings,
                        const char *value, const char *file, struct buf *why);

/* Makes the snapshot's pools, listeners, endpoints and users. */
void draft_build(struct loading *l);
/* The classes, once the pools are there; draft_build() does it. */
void draft_build_classes(struct loading *l);
void draft_check_class(struct loading *l, const struct draft *d);
/* Do keys of some class go to this pool's shards? */
bool draft_is_classes_pool(const struct loading *l, const struct pool_settings *pool);
/* Looks at what no single line tells. */
void draft_check(struct loading *l);

/* The larger of two options must not be given below the smaller one. */
struct draft_order {
    const char *small_name, *large_name;
    uint64_t small, large;
    bool is_over_pools; /* the larger one is of [proxy] */
};
void draft_check_order(struct loading *l, const struct draft *d, const struct draft_order *o);
/* A file that an option names can be read. */
void draft_check_file(struct loading *l, struct place place, const char *line, const char *what,
                      const char *file);
/* Was this option given? */
bool draft_is_given(const struct draft *d, const char *option_name);
