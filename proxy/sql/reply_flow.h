/* What servers say, and what becomes of it: part of sql_flow.h. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/slice.h"

struct pg_report;
struct sql_endpoint;
struct sql_session;
struct sql_upstream;

/* in_hot_standby, as a server says that knows the word. */
enum sql_stands_by { SQL_STANDS_BY_UNKNOWN, SQL_STANDS_BY_NOT, SQL_STANDS_BY };

/* reply_flow.c, loss_flow.c */
size_t sql_reply_input(struct sql_upstream *u, struct slice in);
void sql_reply_lost(struct sql_upstream *u, const char *why);
/* The server does not take the session's settings: what was asked was refused, or not sent. */
void sql_reply_settings_fail(struct sql_upstream *u, const struct pg_report *report);
/* The session has no server any more, and nothing under way; its transaction is undone, or not. */
void sql_loss_go_on(struct sql_session *s, bool is_committed);
/* Sheaf ends the session: may what is under way, or waited for, be done all the same?  Who asks
 * whether it was is to see it. */
bool sql_loss_leaves_doubt(struct sql_session *s);
/* Says what is due in place of the server. */
void sql_reply_fakes(struct sql_upstream *u);
/* What was held back of the answer goes to the session. */
void sql_reply_release(struct sql_upstream *u);

/* heal_flow.c */
/* Would another server say otherwise than `sqlstate` of this one?  Who was refused by one primary
 * after the other is told; and so is who asks for replicas of what any of them says. */
bool sql_heal_may(const struct sql_upstream *u);
/* The exchange is asked of another; what was taken as its reply is dropped. */
void sql_reply_elsewhere(struct sql_upstream *u);

/* route_flow.c */
/* What it asked of this replica: may another serve it, or the primary in its place? */
bool sql_may_read_elsewhere(const struct sql_session *s, const struct sql_endpoint *e);
