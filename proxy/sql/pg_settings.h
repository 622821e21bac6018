/* What is SET in a session, as a whole: a vector of names and values that never changes, is
 * counted, and exists once in a worker, so that two vectors are equal if they are the same pointer.
 *  NULL is the empty one: nothing was set.
 *
 *     pg_settings_set(pool, &v, slice_text("search_path"), slice_text("app, public"));
 *     if (upstream->settings != wanted)
 *         queries = pg_settings_difference(upstream->settings, wanted, &out);
 *
 * Names are in lower case.  A value is the text that set_config() takes and pg_settings.setting
 * shows: of a list `a, "B"`, not a quoted string.  Values that are not ASCII are in the vector's
 * own client_encoding.
 *
 * Names of the form sheaf.x are kept with the others, for their undo, but no server hears of them.
 *
 * What a server reports in ParameterStatus is kept in the same way: a vector `reported` of the
 * upstream, and of the session that which it was told; pg_settings_news() tells the difference. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/slice.h"

enum {
    PG_SETTINGS_NAME_BYTES = 128,
    PG_SETTINGS_COUNT = 128,         /* in one vector, if the pool's limits do not say otherwise */
    PG_SETTINGS_VALUE_BYTES = 16384, /* of one value */
    PG_SETTINGS_BYTES = 32768,       /* of all names and values of a vector */
};

/* Of one vector; what is 0 is as above. */
struct pg_settings_limits {
    uint32_t count, value_bytes, bytes;
};

enum pg_switch { PG_SWITCH_UNSAID, PG_SWITCH_OFF, PG_SWITCH_ON };

enum pg_isolation {
    PG_ISOLATION_UNSAID,
    PG_ISOLATION_READ_UNCOMMITTED,
    PG_ISOLATION_READ_COMMITTED,
    PG_ISOLATION_REPEATABLE_READ,
    PG_ISOLATION_SERIALIZABLE,
};

struct pg_settings_pool;
struct pg_settings_entry;

/* Thread: the worker.  All is private but what the functions below give. */
struct pg_settings {
    struct pg_settings *next;          /* borrowed: the pool's chain */
    const struct pg_settings *meaning; /* a reference, unless it is this one */
    uint64_t hash, number;
    uint32_t refs, count, bytes;
    uint8_t read_only, deferrable, conforming; /* enum pg_switch */
    bool commits_lazily;                       /* synchronous_commit is off */
    uint8_t isolation;                         /* enum pg_isolation */
    bool has_role;                             /* role or session_authorization is in it */
    bool has_foreign_bytes;                    /* a value is not ASCII */
    bool hides_ascii;                  /* so does its client_encoding: replica/statement.h */
    bool has_encoding;                 /* it has a client_encoding */
    struct pg_settings_entry *entries; /* sorted by name; in this block */
};

struct pg_setting {
    struct slice name, value; /* borrowed from the vector */
};

/* One for each worker. */
struct pg_settings_pool *pg_settings_pool_new(const struct pg_settings_limits *limits);
/* All vectors have been given back. */
void pg_settings_pool_free(struct pg_settings_pool **pool);
/* For metrics: vectors that exist, and their bytes. */
void pg_settings_pool_count(const struct pg_settings_pool *pool, size_t *vectors, size_t *bytes);

const struct pg_settings *pg_settings_ref(const struct pg_settings *v);
/* Gives the reference back and clears it. */
void pg_settings_unref(struct pg_settings_pool *pool, const struct pg_settings **v);

/* *v with one value more, or another: the reference in *v is exchanged.  The name may be in any
 * case, and one of PostgreSQL's old names.  On failure *v is untouched, and the session that has
 * set this can't be moved any more:
 * ERR_LIMIT: too many or too large; ERR_UNSUPPORTED: can't be said again to a server (a value in
 * another encoding than the vector will have; a name that is not ASCII; a setting that is taken in
 * a start-up message only).
 * Settings of a transaction alone (transaction_isolation, seed...) change nothing.  Setting
 * session_authorization sets role to none, dropping it drops role: as a server does. */
MUST_CHECK enum err pg_settings_set(struct pg_settings_pool *pool, const struct pg_settings **v,
                                    struct slice name, struct slice value);
/* Without the name; ERR_UNSUPPORTED as above. */
MUST_CHECK enum err pg_settings_drop(struct pg_settings_pool *pool, const struct pg_settings **v,
                                     struct slice name);
/* For a vector of values that were reported: nothing is looked into; over the limit the value is
 * left out. */
void pg_settings_report(struct pg_settings_pool *pool, const struct pg_settings **v,
                        struct slice name, struct slice value);

/* The name must be in lower case. */
bool pg_settings_find(const struct pg_settings *v, struct slice name, struct slice *value);
struct pg_setting pg_settings_at(const struct pg_settings *v, size_t i); /* i < count */

static inline size_t pg_settings_count(const struct pg_settings *v)
{
    return v == NULL ? 0 : v->count;
}

/* Never given twice while the pool lives; 0 is the empty vector. */
static inline uint64_t pg_settings_number(const struct pg_settings *v)
{
    return v == NULL ? 0 : v->number;
}

/* The part of the vector on which the meaning of a statement's text depends when it is parsed and
 * planned: search_path, role, session_authorization, and what literals are read by
 * (client_encoding, standard_conforming_strings, datestyle, timezone...).  A prepared statement of
 * one session may serve another only if these are the same.  Borrowed from v. */
static inline const struct pg_settings *pg_settings_meaning(const struct pg_settings *v)
{
    return v == NULL ? NULL : v->meaning;
}

/* default_transaction_read_only, default_transaction_isolation, default_transaction_deferrable. */
static inline enum pg_switch pg_settings_read_only(const struct pg_settings *v)
{
    return v == NULL ? PG_SWITCH_UNSAID : (enum pg_switch)v->read_only;
}

static inline enum pg_switch pg_settings_deferrable(const struct pg_settings *v)
{
    return v == NULL ? PG_SWITCH_UNSAID : (enum pg_switch)v->deferrable;
}

static inline enum pg_isolation pg_settings_isolation(const struct pg_settings *v)
{
    return v == NULL ? PG_ISOLATION_UNSAID : (enum pg_isolation)v->isolation;
}

/* synchronous_commit is off: what is committed is shown before it is flushed. */
static inline bool pg_settings_commits_lazily(const struct pg_settings *v)
{
    return v != NULL && v->commits_lazily;
}

/* standard_conforming_strings is off: a backslash escapes in '...'. */
static inline bool pg_settings_backslash_escapes(const struct pg_settings *v)
{
    return v != NULL && v->conforming == PG_SWITCH_OFF;
}

/* Appends whole Query messages that turn a server with `from` into one with `to`; returns how many:
 * 0 to 2 (two only where client_encoding changes under values that are not ASCII).  Each is a
 * transaction of its own, "BEGIN;SET ...;COMMIT", so that a message that was sent right behind it
 * does not run with other settings if it fails: the session is then in a failed transaction, and
 * the message is refused with 25P02, if it does not itself begin with ROLLBACK or COMMIT (then wait
 * for the answer first).  All went well if the ReadyForQuery says 'I'. */
size_t pg_settings_difference(const struct pg_settings *from, const struct pg_settings *to,
                              struct buf *out);

/* The same for a server of which it is not known what its session has: code has run there that may
 * have set anything.  Takes back what no SHOW shows, too. */
size_t pg_settings_difference_from_unknown(const struct pg_settings *to, struct buf *out);

/* "SET [LOCAL] name TO 'value'" (or its like), for a RESET that must go back to a value of the
 * start-up. */
void pg_settings_put_assignment(struct buf *out, struct slice name, struct slice value,
                                bool is_local);

/* For the walk over what a session must be told; zero is its beginning. */
struct pg_settings_walk {
    size_t told, reported;
};

/* The next of `reported` that `told` has not, or with another value; false: no more. */
bool pg_settings_news(const struct pg_settings *told, const struct pg_settings *reported,
                      struct pg_settings_walk *walk, struct pg_setting *out);
