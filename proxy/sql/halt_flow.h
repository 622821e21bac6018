/* What halt_flow.c offers to the others: PAUSE and its like.  Database NULL: all of the pool. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* Its database is paused: it waits, and is shown its input again.  False: it is not. */
bool sql_halt_waits(struct sql_session *s);
bool sql_halt_is_on(const struct sql_account *a);
bool sql_halt_stops(struct sql_side *side, const char *database);
bool sql_halt_refuses(struct sql_side *side, const char *database);
void sql_halt_begin(struct sql_side *side, const char *database);
void sql_halt_end(struct sql_side *side, const char *database);
void sql_halt_refuse(struct sql_side *side, const char *database, bool refuses);
void sql_halts_free(struct sql_side *side);
void sql_halts_tick(struct sql_side *side, uint64_t now_us, bool housekeeping);
/* Each upstream ends when it is free. */
void sql_database_reconnect(struct sql_side *side, const char *database);
/* How many there are; or of them, those that end when they are free. */
uint32_t sql_database_upstreams(struct sql_side *side, const char *database, bool ending);
/* Ends the sessions at once; returns how many there were. */
uint32_t sql_database_kill(struct sql_side *side, const char *database);
