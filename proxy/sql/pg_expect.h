/* The replies that an upstream owes, in order.
 *
 * Whoever sends it a message pushes what will answer it; whoever reads a frame asks what it belongs
 * to:
 *
 *     pg_expect_push(e, (struct pg_expected){ .kind = PG_EXPECT_PARSE, .subject = change });
 *     ...
 *     turn = pg_expect_frame(e, type);          inline, if it is a row
 *     if (turn & ~PG_TURN_SWALLOW) {
 *         if (turn & PG_TURN_BAD) give the upstream up
 *         if (turn & PG_TURN_ENDS) e->ended is the entry that this frame ends
 *         if (turn & PG_TURN_SKIPS) the server skips up to the next Sync:
 *             while (pg_expect_skipped(e, &entry)) undo what was noted for it
 *     }
 *     pass the frame on, or swallow it
 *     while (pg_expect_fake(e, &entry)) say what is due in place of the server
 *
 * Entries with PG_EXPECT_FAKE stand for messages that the server was not sent: their reply is made
 * up when their turn comes.  pg_expect_fake() is also asked after a push.
 *
 * What the protocol says, and what is not obvious:
 * - After an error in Parse, Bind, Describe, Execute or Close the server reads and forgets all up
 *   to the next Sync, simple Query and FunctionCall included: these get no ReadyForQuery.  While
 *   pg_expect_is_skipping() what the client says up to its Sync need not be sent; if it is pushed
 *   it is not taken (ERR_CLOSED).
 * - An error in Query, FunctionCall or Sync is followed by that one's ReadyForQuery.
 * - While COPY FROM STDIN takes data the server ignores Sync and Flush.  Whether a Sync that was
 *   sent before CopyDone was ignored can't be told if the COPY fails early: so what follows the
 *   Execute of a COPY FROM STDIN is to be held back until CopyInResponse or an error came, and a
 *   Sync before CopyDone is then not sent at all.  If it was, `unsure` is set after such a failure:
 *   one ReadyForQuery more is borne, and the upstream is not to be used by another session.
 *   Anything but CopyData, CopyDone, CopyFail, Sync and Flush ends the server's connection then.
 * - NoticeResponse, ParameterStatus and NotificationResponse answer nothing.
 * - An error with nothing owed (57P01...) is PG_TURN_STRAY. */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proxy/base/err.h"

enum {
    PG_EXPECT_LIMIT = 16384, /* entries: then the session is read no further */
    PG_EXPECT_DATA = 0x100,
};

enum pg_expect_kind {
    PG_EXPECT_NOTHING,
    PG_EXPECT_PARSE,
    PG_EXPECT_BIND,
    PG_EXPECT_DESCRIBE_STATEMENT,
    PG_EXPECT_DESCRIBE_PORTAL,
    PG_EXPECT_EXECUTE,
    PG_EXPECT_CLOSE,
    PG_EXPECT_SYNC,
    PG_EXPECT_QUERY,
    PG_EXPECT_FUNCTION_CALL,
    PG_EXPECT_COPY_END, /* CopyDone or CopyFail was sent: owes nothing, never given to the caller */
};

enum pg_expect_flag {
    PG_EXPECT_SWALLOW = 1 << 0,  /* not for the client */
    PG_EXPECT_FAKE = 1 << 1,     /* the server was not sent it */
    PG_EXPECT_WRITES = 1 << 2,   /* the caller's: the exchange that it ends may write, */
    PG_EXPECT_COMMITS = 1 << 3,  /* or end the transaction that it began in */
    PG_EXPECT_DOUBTFUL = 1 << 4, /* private: a Sync that COPY may have eaten */
};

struct pg_expected {
    uint8_t kind;        /* enum pg_expect_kind */
    uint8_t flags;       /* enum pg_expect_flag */
    uint16_t note;       /* the caller's */
    uint32_t number;     /* the caller's */
    union {              /* the caller's, too */
        void *subject;   /* borrowed, or owned if it says so */
        uint64_t closed; /* of a Close */
    };
};

enum pg_turn {
    PG_TURN_PASS = 0,
    PG_TURN_SWALLOW = 1 << 0,
    PG_TURN_ENDS = 1 << 1,  /* e->ended has been answered */
    PG_TURN_ERROR = 1 << 2, /* the frame is an ErrorResponse; e->ended is whose, ended or not */
    PG_TURN_SKIPS = 1 << 3, /* and the server skips: pg_expect_skipped() */
    PG_TURN_ASYNC = 1 << 4, /* Notice, ParameterStatus, Notification; SWALLOW as the head has it */
    PG_TURN_STRAY = 1 << 5, /* an ErrorResponse, and nothing is owed */
    PG_TURN_BAD = 1 << 6,   /* not what the protocol allows here: the upstream is out of step */
};

/* Where the entry at the head is. */
enum pg_expect_phase {
    PG_PHASE_BEGIN,
    PG_PHASE_DESCRIBED, /* ParameterDescription came, RowDescription or NoData will */
    PG_PHASE_ROWS,      /* DataRow may come */
    PG_PHASE_COPY_IN,
    PG_PHASE_COPY_OUT,
    PG_PHASE_COPY_OUT_DONE,
    PG_PHASE_COPY_BOTH,
    PG_PHASE_BETWEEN, /* a simple Query has had a result: another, or ReadyForQuery */
    PG_PHASE_READY,   /* only ReadyForQuery is owed */
};

/* Zero is an empty queue. */
struct pg_expect {
    struct pg_expected *ring; /* owned; NULL until the first push */
    uint32_t head, count, size;
    uint32_t skips;     /* entries from the head on that pg_expect_skipped() will give */
    uint8_t phase;      /* enum pg_expect_phase, of the head */
    uint16_t data_type; /* PG_EXPECT_DATA and the frame of which there are many now, or 0 */
    uint8_t data_turn;  /* enum pg_turn of such a frame: PASS or SWALLOW */
    bool skipping;      /* up to the next Sync that is pushed */
    bool unsure;        /* see above */
    struct pg_expected ended;
};

void pg_expect_fini(
    struct pg_expect *e); /* entries with something owned: pg_expect_take() before */

/* ERR_LIMIT: not pushed, and to be tried again when replies have come.  ERR_CLOSED: not pushed,
 * for the server skips it. */
MUST_CHECK enum err pg_expect_push(struct pg_expect *e, struct pg_expected entry);
/* The client's CopyDone or CopyFail was passed to the server.  ERR_LIMIT as above. */
MUST_CHECK enum err pg_expect_push_copy_end(struct pg_expect *e);

/* The part of pg_expect_frame() that is not inline. */
unsigned pg_expect_other_frame(struct pg_expect *e, uint8_t type);

/* What a frame of this type is: enum pg_turn.  Its body need not be there. */
static inline unsigned pg_expect_frame(struct pg_expect *e, uint8_t type)
{
    if (__builtin_expect((PG_EXPECT_DATA | type) == e->data_type, 1))
        return e->data_turn;
    return pg_expect_other_frame(e, type);
}

/* Takes the next entry that the server will never answer. */
bool pg_expect_skipped(struct pg_expect *e, struct pg_expected *out);
/* Takes the head if it is FAKE. */
bool pg_expect_fake(struct pg_expect *e, struct pg_expected *out);
/* Takes what is there, in order: the upstream is lost. */
bool pg_expect_take(struct pg_expect *e, struct pg_expected *out);
/* Gives back a ring that has grown, if it is empty. */
void pg_expect_trim(struct pg_expect *e);

static inline bool pg_expect_is_empty(const struct pg_expect *e)
{
    return e->count == 0;
}

static inline bool pg_expect_has_room(const struct pg_expect *e, uint32_t count)
{
    return e->count + count <= PG_EXPECT_LIMIT;
}

static inline bool pg_expect_is_skipping(const struct pg_expect *e)
{
    return e->skipping;
}

/* The server takes CopyData now. */
static inline bool pg_expect_is_copying_in(const struct pg_expect *e)
{
    return e->phase == PG_PHASE_COPY_IN || e->phase == PG_PHASE_COPY_BOTH;
}

/* enum pg_expect_flag of all that is owed. */
unsigned pg_expect_flags(const struct pg_expect *e);

/* Is the end of an exchange owed to the client, by which a transaction may have failed?  True, too,
 * if that would take long to find out. */
bool pg_expect_may_fail(const struct pg_expect *e);

/* Is the end of an exchange owed to the client?  The `unseen` entries that were pushed last are not
 * looked at. */
bool pg_expect_owes_end(const struct pg_expect *e, uint32_t unseen);

/* Is nothing owed to the client? */
bool pg_expect_is_swallowed(const struct pg_expect *e);

/* Entry `i` from the head on, borrowed till the next call; NULL: there are no more. */
static inline const struct pg_expected *pg_expect_at(const struct pg_expect *e, uint32_t i)
{
    return i < e->count ? &e->ring[(e->head + i) & (e->size - 1)] : NULL;
}

/* Borrowed till the next call; NULL: nothing is owed. */
static inline const struct pg_expected *pg_expect_head(const struct pg_expect *e)
{
    return e->count == 0 ? NULL : &e->ring[e->head];
}
