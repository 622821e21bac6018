/* Which statements (pg_statements.h) one upstream has prepared, the one used last first; bounded,
 * so that servers are not filled with plans.
 *
 *     switch (pg_prepared_find(p, st->id)) {
 *     case PG_PREPARED_ABSENT:
 *         TRY(pg_prepared_add(p, st->id, &evicted));
 *         send Close of `evicted` if it is not 0 (swallowed), and Parse
 *     case PG_PREPARED_SENT:      its ParseComplete is still to come
 *     case PG_PREPARED_READY:
 *     }
 *
 * Where the Parse was sent before a Sync whose messages are not all answered yet, and may have been
 * skipped, SENT is no promise for messages behind that Sync: pg_statements_session_find() has then
 * said PG_NAME_LATER, if the Parse was the session's own.  Nor does ABSENT promise there that the
 * server does not have it: its Close may have been skipped, and is sent again before the Parse. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"
#include "proxy/sql/pg_statements.h"

enum { PG_PREPARED_MAX = 200, PG_PREPARED_MOST = 65535 };

enum pg_prepared_state { PG_PREPARED_ABSENT, PG_PREPARED_SENT, PG_PREPARED_READY };

#define PG_UNNAMED_UNKNOWN UINT64_MAX

struct pg_prepared_entry;

/* Embedded in an upstream; zero is an empty one with PG_PREPARED_MAX. */
struct pg_prepared {
    struct pg_prepared_entry *entries; /* owned; NULL until the first */
    uint32_t *slots;                   /* owned: numbers of entries by the hash of their ids */
    uint32_t max;                      /* 0: PG_PREPARED_MAX; set before the first use */
    uint32_t size, count, free;
    uint32_t newest, oldest;
    uint32_t text;          /* how many began; see pg_prepared_begin_text() */
    bool is_in_text;        /* until pg_prepared_end_text() */
    uint64_t unnamed;       /* private: see pg_prepared_unnamed_is() */
    uint64_t unnamed_known; /* the same, of what is answered */
    uint32_t unnamed_hopes; /* how much is under way that makes it another */
    uint32_t unnamed_since; /* Syncs that were sent before the last of that, */
    uint32_t syncs;         /* and up to now */
    bool is_doubtful;       /* see pg_prepared_doubt() */
};

void pg_prepared_fini(struct pg_prepared *p);

static inline bool pg_prepared_is_empty(const struct pg_prepared *p)
{
    return p->count == 0;
}

/* A text of several statements is looked at, for which all that they need must be there at once: up
 * to its end, what is found or added makes no room for others, which may exceed what is kept. */
void pg_prepared_begin_text(struct pg_prepared *p);
void pg_prepared_end_text(struct pg_prepared *p);
/* Counts as a use. */
enum pg_prepared_state pg_prepared_find(struct pg_prepared *p, uint64_t id);
/* A Parse of it is being sent: it is SENT.  *evicted is the id that is to be closed on the server
 * first, or 0.  ERR_AGAIN: all are waiting for their ParseComplete. */
MUST_CHECK enum err pg_prepared_add(struct pg_prepared *p, uint64_t id, uint64_t *evicted);
/* What became of the Parse. */
void pg_prepared_settle(struct pg_prepared *p, uint64_t id, enum pg_outcome outcome);
/* What a text, or pg_prepared_restore(), brought beyond what is kept goes: its id, or 0. */
uint64_t pg_prepared_surplus(struct pg_prepared *p);
/* Its Close is being sent, or the server says that it is not there. */
void pg_prepared_remove(struct pg_prepared *p, uint64_t id);
/* A Close of it was carried out. */
void pg_prepared_closed(struct pg_prepared *p, uint64_t id);
/* The Close of one that was there was skipped, so the server still has it. */
void pg_prepared_restore(struct pg_prepared *p, uint64_t id);
/* The server's own unnamed statement is that with this id, or will be when what is sent next comes
 * there; 0: there is none.  What was sent in front of an earlier Sync may be skipped. */
static inline bool pg_prepared_unnamed_is(const struct pg_prepared *p, uint64_t id)
{
    return p->unnamed == id && (p->unnamed_hopes == 0 || p->unnamed_since == p->syncs);
}

/* Something is sent that makes it this one, PG_UNNAMED_UNKNOWN: one that is not known; what becomes
 * of that is settled. */
static inline void pg_prepared_unnamed_becomes(struct pg_prepared *p, uint64_t id)
{
    p->unnamed = id;
    p->unnamed_hopes++;
    p->unnamed_since = p->syncs;
}

/* It may be any. */
static inline void pg_prepared_unnamed_is_unknown(struct pg_prepared *p)
{
    p->unnamed = p->unnamed_known = PG_UNNAMED_UNKNOWN;
}

/* What became of that. */
void pg_prepared_unnamed_settle(struct pg_prepared *p, uint64_t id, enum pg_outcome outcome);
/* Code may have made the server forget any of them, or taken their names for others: none is there
 * for certain, and each that is sent from now on is closed before. */
void pg_prepared_doubt(struct pg_prepared *p);
/* DEALLOCATE ALL, DISCARD ALL reached the server. */
void pg_prepared_clear(struct pg_prepared *p);
