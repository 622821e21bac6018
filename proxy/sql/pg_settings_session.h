/* What one client has set, with what its transactions and savepoints undo.  See pg_settings.h.
 *
 * Each change is told when the server has done it: at its CommandComplete.  There is no `begin`:
 * the first change of a transaction, also of one that only the protocol makes (one Query, or all up
 * to a Sync), notes where to go back to, and one of these ends it:
 *
 *     CommandComplete "COMMIT", "PREPARE TRANSACTION"         ..._commit()
 *     CommandComplete "ROLLBACK" (also COMMIT's, if it failed;
 *     it is the tag of ROLLBACK TO, too)                      ..._rollback()
 *     CommandComplete "ROLLBACK" of PREPARE TRANSACTION       ..._not_prepared()
 *     CommandComplete of SAVEPOINT, RELEASE, ROLLBACK TO      the functions of these names
 *     ReadyForQuery 'I'                                       ..._rollback() if an ErrorResponse
 *                                       came since the last of these, else ..._commit()
 *     ReadyForQuery 'T', 'E'                                  ..._stay()
 *
 * So SET LOCAL outside of a transaction needs no care: it lasts as long as in PostgreSQL.
 * What follows a SET in a pipeline may depend on it: the flow reads no further until its reply.
 *
 * RESET goes back to the value of the start-up, which the server does not know: where
 * pg_settings_session_start_value() has one, the flow sends pg_settings_put_assignment() in place
 * of the client's text (the tag in the reply is then still RESET), so that at all times
 * pg_settings_session_effective() is what the leased server has, and `current` what it will have
 * when the transaction is committed. */
#pragma once

#include "proxy/sql/pg_settings.h"

enum {
    PG_SETTINGS_SAVEPOINTS = 1024, /* that are remembered; beyond that changes are ERR_LIMIT */
    PG_SETTINGS_SAVEPOINT_BYTES = 16384,
};

struct pg_settings_undo;

/* Embedded in a session; zero has nothing set. */
struct pg_settings_session {
    const struct pg_settings *start;   /* of the start-up message and its `options` */
    const struct pg_settings *current; /* what stays if the transaction is committed */
    struct pg_settings_undo *undo;     /* NULL: nothing was changed, no savepoint made in it */
};

/* A parameter of the start-up, before all else. */
MUST_CHECK enum err pg_settings_session_start(struct pg_settings_pool *pool,
                                              struct pg_settings_session *s, struct slice name,
                                              struct slice value);
/* What a server reports that was started so.  A datestyle of "ISO" alone keeps the order that the
 * server has, and only now it is known which. */
void pg_settings_session_start_reported(struct pg_settings_pool *pool,
                                        struct pg_settings_session *s,
                                        const struct pg_settings *reported);
void pg_settings_session_fini(struct pg_settings_pool *pool, struct pg_settings_session *s);

/* Errors are those of pg_settings_set(): what the session has is then not known any more, and it
 * must keep its server for as long as it lives. */
MUST_CHECK enum err pg_settings_session_set(struct pg_settings_pool *pool,
                                            struct pg_settings_session *s, struct slice name,
                                            struct slice value);
MUST_CHECK enum err pg_settings_session_set_local(struct pg_settings_pool *pool,
                                                  struct pg_settings_session *s, struct slice name,
                                                  struct slice value);
MUST_CHECK enum err pg_settings_session_reset(struct pg_settings_pool *pool,
                                              struct pg_settings_session *s, struct slice name);
/* SET LOCAL x TO DEFAULT. */
MUST_CHECK enum err pg_settings_session_reset_local(struct pg_settings_pool *pool,
                                                    struct pg_settings_session *s,
                                                    struct slice name);
/* RESET ALL, which leaves role and session_authorization as they are. */
MUST_CHECK enum err pg_settings_session_reset_all(struct pg_settings_pool *pool,
                                                  struct pg_settings_session *s);
/* DISCARD ALL. */
void pg_settings_session_discard_all(struct pg_settings_pool *pool, struct pg_settings_session *s);

void pg_settings_session_commit(struct pg_settings_pool *pool, struct pg_settings_session *s);
void pg_settings_session_rollback(struct pg_settings_pool *pool, struct pg_settings_session *s);
/* The transaction block goes on behind this exchange. */
void pg_settings_session_stay(struct pg_settings_session *s);
/* PREPARE TRANSACTION has the tag of ROLLBACK where the block had failed, in an exchange before,
 * and is rolled back; and where there is no block, and what the pipeline did is committed. */
void pg_settings_session_not_prepared(struct pg_settings_pool *pool, struct pg_settings_session *s);
/* Names as the server has them: in lower case unless they were quoted, cut at 63 bytes. */
MUST_CHECK enum err pg_settings_session_savepoint(struct pg_settings_pool *pool,
                                                  struct pg_settings_session *s, struct slice name);
void pg_settings_session_release(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                 struct slice name);
void pg_settings_session_rollback_to(struct pg_settings_pool *pool, struct pg_settings_session *s,
                                     struct slice name);

/* What the probe (pg_pins.h) found on the server, between transactions: found() for each setting of
 * which the server says that the session has set it, then adopt().  A value that means what we had
 * keeps our text.  What has no row is what it was at the start, but for names with a dot, which are
 * only told if they were asked for. */
struct pg_settings_found {
    struct slice login; /* borrowed: who has logged in to the server */
    bool is_reset; /* it may lack what the client began with, which could not be set again yet */
    const struct pg_settings *v; /* a reference; given back by adopt(), or pg_settings_unref() */
};
MUST_CHECK enum err pg_settings_session_found(struct pg_settings_pool *pool,
                                              const struct pg_settings_session *s,
                                              struct pg_settings_found *found, struct slice name,
                                              struct slice value, struct slice shown);
/* Makes it what the session has; clears `found`.  True: the server lacks something of that, which
 * the client began with. */
bool pg_settings_session_adopt(struct pg_settings_pool *pool, struct pg_settings_session *s,
                               struct pg_settings_found *found);

/* What the leased server has now: `current`, but for SET LOCAL. */
const struct pg_settings *pg_settings_session_effective(const struct pg_settings_session *s);

/* The value to which RESET goes back; false: the server's own. */
static inline bool pg_settings_session_start_value(const struct pg_settings_session *s,
                                                   struct slice name, struct slice *value)
{
    return pg_settings_find(s->start, name, value);
}
