/* Upstreams go from one worker to another; see move_flow.c. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* Other workers are asked for an upstream, for those who wait. */
void sql_move_ask(struct sql_roster *roster);
bool sql_move_give(struct sql_upstream *u); /* true: another worker gets it */
void sql_move_off(struct worker *w);
void sql_move_give_idle(struct sql_roster *roster); /* to who wished for them */
