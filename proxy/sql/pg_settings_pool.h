/* What pg_settings.c, pg_settings_sql.c and pg_settings_session.c share: how a vector is made. */
#pragma once

#include "proxy/sql/pg_settings.h"

enum { PG_DATESTYLE_BYTES = 24 };

enum pg_trait {
    PG_TRAIT_MEANING = 1 << 0,    /* what a text means depends on it: pg_settings_meaning() */
    PG_TRAIT_PRIVILEGED = 1 << 1, /* not everybody may set it */
    PG_TRAIT_STARTUP = 1 << 2,    /* only in the start-up message */
    PG_TRAIT_LIST = 1 << 3,       /* SET x TO 'a, b' would be one name, with a comma in it */
    PG_TRAIT_UNTRACKED = 1 << 4,  /* not of the session: of the transaction, or not a setting */
    PG_TRAIT_OWN = 1 << 5,        /* sheaf.x */
};

struct pg_settings_entry {
    struct slice name, value;        /* borrowed from the vector's block */
    const struct pg_settings *under; /* a reference: role and session_authorization of who set it;
                                       * NULL: who logged in, or anyone may */
    unsigned traits;                 /* enum pg_trait */
};

unsigned pg_settings_traits(struct slice name);
/* The name as the vectors have it; false: it can't be one, or is too long. */
bool pg_settings_fold(struct slice name, char out[PG_SETTINGS_NAME_BYTES], struct slice *folded);

/* "dmy" changes the order only, "sql" the style only: what `value` makes of the datestyle in `v`,
 * written to `merged` if it is another than `value`. */
struct slice pg_settings_datestyle(const struct pg_settings *v, struct slice value,
                                   char merged[PG_DATESTYLE_BYTES]);

/* Does the value say a part only, the rest being what it was before?  A datestyle may. */
bool pg_settings_is_partial(struct slice name, struct slice value);

/* A vector with these entries, which are sorted: a new reference. */
const struct pg_settings *pg_settings_intern(struct pg_settings_pool *pool,
                                             const struct pg_settings_entry *entries, size_t count);
/* The place of a name, or where it belongs. */
size_t pg_settings_place(const struct pg_settings *v, struct slice name, bool *found);
/* Who is it that sets something now?  A new reference to a vector of role and
 * session_authorization. */
const struct pg_settings *pg_settings_identity(struct pg_settings_pool *pool,
                                               const struct pg_settings *v);
/* Without more ado: *v without the name, and with this entry in place of one of its name. */
void pg_settings_take(struct pg_settings_pool *pool, const struct pg_settings **v,
                      struct slice name);
void pg_settings_put(struct pg_settings_pool *pool, const struct pg_settings **v,
                     const struct pg_settings_entry *entry);
/* The value as a literal that a server reads alike, whatever is set. */
void pg_settings_put_string(struct buf *out, struct slice value);
