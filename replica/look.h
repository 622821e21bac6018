/* How a statement is looked into: shared by the files of look_*.c and statement*.c, and by no
 * others. Without the nodes of the grammar, so that the words alone can be judged by the same
 * rules. */
#pragma once

#include "proxy/base/arena.h"
#include "replica/builtin_function.h"
#include "replica/statement.h"

struct List;
struct Node;
struct SelectStmt;

/* In a list, of one statement. */
struct look_name {
    struct look_name *next;
    struct slice name;
};

struct look {
    const struct statement_options *options; /* borrowed */
    struct arena *arena;                     /* borrowed; for all that outlives the look */
    const struct Node **stack;               /* arena: nodes still to be seen */
    size_t stack_len, stack_room;
    size_t seen;                           /* nodes, of SCRIPT_NODE_LIMIT */
    const struct SelectStmt *certain;      /* whose targets are evaluated once, for sure; or NULL */
    size_t setting_room;                   /* of the statement that is looked at */
    struct look_name *strangers, *queries; /* relations that nobody knows, names that WITH gives */
    bool by_words;                         /* a name may be anything's */
};

/* Makes the route at least this strict; who made it strictest first gives the reason. */
void look_raise(struct statement *s, enum statement_route route, const char *reason);

/* A function is called; `schema` may be empty.  `argument`: the first one if it is a constant, else
 * empty. */
void look_at_function(struct look *l, struct statement *s, struct slice schema, struct slice name,
                      struct slice argument);
/* (x).name: perhaps a function. */
void look_at_member(struct look *l, struct statement *s, struct slice name);
/* t.name: perhaps a function of the rows of t. */
void look_at_column(struct look *l, struct statement *s, struct slice name);
void look_at_relation(struct look *l, struct statement *s, struct slice schema, struct slice name);
/* WITH name AS (...): what is behind that name is seen here. */
void look_at_query_name(struct look *l, struct slice name);
/* All of a statement was seen: relations that nobody knows, and that no WITH names, are the
 * primary's. */
void look_at_strangers(struct look *l, struct statement *s);
void look_at_operator(struct look *l, struct statement *s, struct slice schema, struct slice name);
void look_at_type(struct look *l, struct statement *s, struct slice schema, struct slice name);

/* One more setting of the statement, zeroed. */
struct setting *look_add_setting(struct look *l, struct statement *s);
/* Fills value and text of a setting from one string, as set_config() reads it. */
void look_set_text(struct look *l, struct setting *setting, struct slice text);
/* As above, from the items of SET. */
void look_set_items(struct look *l, struct setting *setting, const struct slice *items,
                    size_t count);
/* INTERVAL 'x', as the setting timezone takes it. */
void look_put_interval(struct look *l, struct slice inside, struct slice *out);
/* Writes a decimal number; returns its length. */
size_t look_put_int(int value, char out[16]);
void look_set_name(struct look *l, struct setting *setting, struct slice name);
/* What a setting does beyond being set, and the modes that it names. */
void look_at_setting(struct statement *s, const struct setting *setting);

/* look_nodes.c: all of an expression or query. */
void look_at_nodes(struct look *l, struct statement *s, const void *root);
/* The same file: a relation is made.  A temporary one is no news to other sessions. */
void look_at_made(struct look *l, struct statement *s, const void *node);
/* look_statement.c: one statement of a script; text is set by the caller. */
void look_at_statement(struct look *l, struct statement *s, const void *node);
/* The statements of a whole text, and where each stands in it; *len 0: up to its end. */
size_t look_count(const struct List *tree);
const void *look_raw(const struct List *tree, size_t index, size_t *from, size_t *len);
/* look_settings.c */
void look_at_set(struct look *l, struct statement *s, const void *node);
void look_at_set_config(struct look *l, struct statement *s, const void *node);
void look_at_modes(struct statement *s, const void *options);
/* A SELECT of nothing but constants and calls of set_config() with such, so that each happens
 * once. */
bool look_is_certain(struct look *l, const void *select);

/* look_words.c: a statement that the grammar can't read. */
void look_at_words(struct look *l, struct statement *s);
/* PREPARE name (types) AS text: sets s->types, and *inner to the text.  EXECUTE name (arguments):
 * sets s->arguments. */
void look_cut_prepare(const struct look *l, struct statement *s, struct slice *inner);
void look_cut_execute(const struct look *l, struct statement *s);
void look_cut_deallocate(const struct look *l, struct statement *s);
