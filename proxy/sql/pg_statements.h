/* Prepared statements that outlive the lease of the server that prepared them.
 *
 * A statement is known by what it says and means: its text, the types of its parameters, the scope
 * (the caller's number of database and user), the edition (the caller's number of the catalog's
 * state) and pg_settings_meaning() of the session.  It exists once in a worker, whoever asked for
 * it, and has a number; servers know it as _sheaf_%016x (pg_prepared.h tells which ones do),
 * clients by names of their own.
 *
 * A session's names are those of Parse and of PREPARE together, as in PostgreSQL.  A name exists
 * for certain when the reply says so; until then the change is pending, and later messages of a
 * pipeline see it:
 *
 *     on Parse     switch (pg_statements_session_find(s, name, &there))
 *                  PG_NAME_LATER: read no further until replies have come; try again
 *                  PG_NAME_THERE: a duplicate, if it is not the unnamed one (below)
 *                  PG_NAME_FREE:  pg_statements_intern(), pg_statements_session_define()
 *     on Bind, Describe, EXECUTE   find(); PG_NAME_FREE is 26000
 *     on Close, DEALLOCATE         find(); pg_statements_session_undefine()
 *     on Query     if (pg_statements_session_query()) a change: the unnamed statement dies
 *     on Sync      pg_statements_session_sync()
 *     on replies   pg_statements_session_settle(), once for each change, in their order: they are
 *                  in the order of the messages, skipped ones (pg_expect.h) included
 *
 * Names of a Parse that failed are never registered, and a Close that was skipped has not happened.
 * PG_NAME_LATER is for what depends on the outcome of an earlier Sync's messages, or of a Query.
 *
 * A duplicate name must fail at its turn, abort the transaction, and undo what went before it in
 * its pipeline; only the server can do that.  So the flow sends the Parse under the server's name
 * of a statement that this server has already: then it says 42P05 (or, before that, a syntax error,
 * or 25P02), and pg_statements_session_reword() puts the client's name into its words. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/base/list.h"
#include "proxy/base/slice.h"
#include "proxy/sql/pg_settings.h"

enum {
    PG_STATEMENT_NAME_BYTES = 24, /* of a server's name, with its end */
    PG_STATEMENTS_PENDING = 1024, /* changes of one session; then it is read no further */
};

/* What is 0 has the default. */
struct pg_statements_limits {
    uint32_t session_names; /* 10000 */
    size_t session_bytes;   /* 16 MiB: names, and texts whether or not they are shared */
    size_t bytes;           /* of the worker: 256 MiB */
    uint64_t first_id;      /* numbers begin behind it: no two stores of a process give the same */
    void (*note_free)(void *note); /* NULL: free() */
};

/* Thread: the worker.  `note` is the flow's; all else is only read outside. */
struct pg_statement {
    struct list idle;                  /* of the store, while nobody holds a reference */
    struct pg_statement *next;         /* borrowed: the store's chain */
    const struct pg_settings *meaning; /* a reference */
    void *note;                        /* owned: what the flow knows of it; NULL at first */
    uint64_t hash, id, scope, edition;
    uint32_t refs;
    uint32_t interned; /* how often it was asked for */
    uint32_t text_len;
    uint16_t type_count;
    bool from_sql;   /* PREPARE: the text is what follows its name, "(int) AS SELECT ..." */
    bool is_retired; /* private: not found any more */
    uint8_t bytes[]; /* types, four bytes each as in Parse; then the text and a zero */
};

struct pg_statements; /* the store of a worker */

struct pg_statements *pg_statements_new(const struct pg_statements_limits *limits,
                                        struct pg_settings_pool *settings);
/* All references have been given back. */
void pg_statements_free(struct pg_statements **store);
void pg_statements_count(const struct pg_statements *store, size_t *statements, size_t *bytes);

struct pg_statement_key {
    struct slice text;
    struct slice types;                /* four bytes each, as in Parse */
    const struct pg_settings *meaning; /* pg_settings_meaning() of what the session has now */
    uint64_t scope, edition;
    bool from_sql;
};

/* A reference in *out.  ERR_LIMIT: no room for another text in this worker, or it is too long. */
MUST_CHECK enum err pg_statements_intern(struct pg_statements *store,
                                         const struct pg_statement_key *key,
                                         struct pg_statement **out);
struct pg_statement *pg_statement_ref(struct pg_statement *st);
/* Servers that have it are out of date: who asks for the same from now on gets another one. */
void pg_statement_retire(struct pg_statements *store, struct pg_statement *st);
/* The last reference leaves it idle in the store, until its bytes are needed. */
void pg_statement_unref(struct pg_statements *store, struct pg_statement **st);

struct slice pg_statement_text(const struct pg_statement *st);
struct slice pg_statement_types(const struct pg_statement *st);
/* The name that servers know, terminated; returns it. */
struct slice pg_statement_name(uint64_t id, char name[PG_STATEMENT_NAME_BYTES]);

/* Is it one of the names that are ours? */
bool pg_statement_is_reserved(struct slice name);

/* --- A session's names ----------------------------------------------------------------------- */

struct pg_statement_names;

/* Embedded in a session; zero knows no names. */
struct pg_statements_session {
    struct pg_statement_names *names; /* owned; NULL until the first */
    bool keeps;                       /* see pg_statements_session_keep() */
};

enum pg_name {
    PG_NAME_FREE,
    PG_NAME_THERE,
    PG_NAME_LATER, /* the answer to an earlier message decides */
};

/* What became of the message that makes a change. */
enum pg_outcome {
    PG_OUTCOME_DONE,
    PG_OUTCOME_FAILED,  /* its own error */
    PG_OUTCOME_SKIPPED, /* the server did not look at it */
};

void pg_statements_session_fini(struct pg_statements *store, struct pg_statements_session *s);

/* *out is borrowed, valid until the next change or settlement; set if it is THERE.  The unnamed
 * statement is the one with the empty name; for it, too. */
enum pg_name pg_statements_session_find(const struct pg_statements_session *s, struct slice name,
                                        struct pg_statement **out);

/* Each of these notes one change, to be settled.  ERR_AGAIN: too many are pending, read no further;
 * ERR_LIMIT: the session has too many statements.  Nothing is noted then. */

/* Takes a reference of its own.  For the unnamed statement, too, whether or not there is one. */
MUST_CHECK enum err pg_statements_session_define(struct pg_statements *store,
                                                 struct pg_statements_session *s, struct slice name,
                                                 struct pg_statement *st);
/* Close, of a name that is free, too. */
MUST_CHECK enum err pg_statements_session_undefine(struct pg_statements_session *s,
                                                   struct slice name);
/* A simple Query, which ends the unnamed statement even if it fails.  *changes is false if there is
 * none, and then nothing is to be settled. */
MUST_CHECK enum err pg_statements_session_query(struct pg_statements_session *s, bool *changes);
/* The client's Sync was taken. */
void pg_statements_session_sync(struct pg_statements_session *s);

/* The oldest pending change came to this. */
void pg_statements_session_settle(struct pg_statements *store, struct pg_statements_session *s,
                                  enum pg_outcome outcome);

/* The message of the change that was noted last was not sent after all. */
void pg_statements_session_take_back(struct pg_statements *store, struct pg_statements_session *s);

/* What is learned only from a reply, at the reply (DEALLOCATE in a text that is done): makes the
 * change at once, below what is pending, for that comes later.  Returns the id of the statement, or
 * 0 if there was none. */
/* Is there room for another name? */
bool pg_statements_session_has_room(const struct pg_statements *store,
                                    const struct pg_statements_session *s, struct slice name,
                                    const struct pg_statement *st);
/* Takes a reference of its own. */
void pg_statements_session_define_now(struct pg_statements *store, struct pg_statements_session *s,
                                      struct slice name, struct pg_statement *st);
uint64_t pg_statements_session_undefine_now(struct pg_statements *store,
                                            struct pg_statements_session *s, struct slice name);
void pg_statements_session_clear_now(struct pg_statements *store, struct pg_statements_session *s);

/* From now on it is kept what names meant, for an exchange that may be asked again elsewhere: up to
 * its end, or till it is taken for undone, and nothing of it is pending any more. */
void pg_statements_session_keep(struct pg_statements *store, struct pg_statements_session *s);
void pg_statements_session_end_keeping(struct pg_statements *store,
                                       struct pg_statements_session *s);
void pg_statements_session_undo(struct pg_statements *store, struct pg_statements_session *s);

size_t pg_statements_session_pending(const struct pg_statements_session *s);
/* Settled names, without the unnamed one; for SHOW. */
size_t pg_statements_session_count(const struct pg_statements_session *s);

/* A statement may have several names: which of them a message has said.  0: that is not known. */
uint32_t pg_statement_name_mark(struct slice name);
/* Appends `text` with the client's names in place of the servers'. */
void pg_statements_session_reword(const struct pg_statements_session *s, struct slice text,
                                  uint32_t mark, struct buf *out);
