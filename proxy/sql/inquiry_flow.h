/* What the rest of the SQL flow asks of inquiry_flow.c: users whom only the servers know. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* Is he one whom the servers are asked for? */
bool sql_inquiry_asks_of(const struct sql_side *side, const char *user);
struct sql_answer *sql_inquiry_find(struct sql_side *side, const char *user, const char *database);
/* Borrowed; NULL: none.  Keys of a clear one may be kept in *kept. */
const char *sql_answer_secret(struct sql_answer *a, struct scram_keys **kept);
/* sql_entry_answered() follows, unless it is refused. */
void sql_inquiry_ask(struct sql_session *s, const char *user, const char *database);
/* A secret that it told did not serve. */
void sql_inquiry_doubt(struct sql_side *side, const char *user, const char *database);
void sql_inquiry_ready(struct sql_upstream *u);
size_t sql_inquiry_input(struct sql_upstream *u, struct slice in);
void sql_inquiry_forget(struct sql_upstream *u); /* it goes, */
/* and went for this reason. */
void sql_inquiry_lost(struct sql_inquirer *q, enum err err, const char *sqlstate, const char *why);
/* With what auth_user logs in; *keys are kept for it. */
void sql_inquiry_secrets(struct sql_inquirer *q, const char **password, struct scram_keys **keys);
void sql_inquiries_tick(struct sql_side *side, uint64_t now_us);
void sql_inquiries_follow(struct sql_side *side);
void sql_inquiries_free(struct sql_side *side);
