/* What cancel_flow.c offers to the others: requests to cancel. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* The session, which asks, is finished when that was dealt with. */
void sql_cancel_ask(struct sql_session *s, uint32_t pid, struct slice secret);
void sql_cancel_key(struct sql_session *s);
void sql_cancel_forget(struct sql_upstream *u); /* it goes */
void sql_cancel_end(struct worker *w);
/* What was put off while it was asked on nobody's behalf. */
void sql_cancel_if_due(struct sql_upstream *u);
/* Cancels what the upstream is doing, whoever asked for it. */
void sql_cancel_upstream(struct sql_upstream *u);
