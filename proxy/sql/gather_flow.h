/* What an exchange is, before it is begun: part of ask_flow.c's work. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* What is known of an exchange before it is begun. */
struct sql_gathering {
    size_t bytes; /* of it, as far as it was looked at */
    struct statement_verdict verdict;
    struct shape_hints hints;
    struct verdict_key shape; /* of the first statement */
    const char *alone;        /* why it may go to the primary only, whatever its statements are */
    uint32_t effects;         /* enum statement_effect, of all of them */
    bool any;                 /* a statement was seen, */
    bool many;                /* and another */
    bool may_end_failure;     /* a failed transaction does not keep it from being done */
    bool binds, executes;     /* a Bind, an Execute was seen */
    bool leaves;              /* something may stay of it in its transaction, a portal at least */
    bool is_function_call;
    bool is_local;             /* it has nothing that a server must be asked for */
    bool is_whole;             /* up to Sync, or one Query; */
    bool is_flushed;           /* or up to a Flush, and has no portal */
    bool has_ours, has_theirs; /* statements that Sheaf answers, and others */
    bool asks_position;
    struct sql_class class; /* of a simple Query that comes first */
};

/* Is it, as pg_frame_read() has it, no message that a client may send? */
bool sql_gather_ends_before(enum err err, struct pg_frame f);

/* False: more of it must come first. */
bool sql_gather(struct sql_session *s, struct slice in, struct sql_gathering *g);
