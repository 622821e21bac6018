/* What commit_flow.c offers to the others: COMMITs whose answer is lost with their server. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* An exchange comes to a lease that owes nothing: if it is a COMMIT of what has written, the server
 * is asked for its mark first.  False: more of it must come, to know. */
bool sql_commit_look(struct sql_session *s, struct slice in);
void sql_commit_marked(struct sql_upstream *u, struct slice row);
/* It is not under way, or not any more. */
void sql_commit_forget(struct sql_session *s);

/* The lease is lost.  Does it owe a COMMIT of which can be asked, and nothing else? */
bool sql_commit_may_ask(const struct sql_session *s, const struct sql_upstream *u);
/* It is asked: the lease is dropped, and the session waits to be told.  `is_over`: with what it had
 * there it ends then. */
void sql_commit_ask(struct sql_upstream *u, const char *why, bool is_over, bool changes_catalog);

/* Of the connection on which it is asked. */
void sql_commit_ready(struct sql_upstream *u);
size_t sql_commit_input(struct sql_upstream *u, struct slice in);
void sql_commit_upstream_gone(struct sql_upstream *u);

void sql_commits_tick(struct sql_side *side, uint64_t now_us);
