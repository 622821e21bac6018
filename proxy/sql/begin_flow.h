/* Transactions of which nothing but their BEGIN was asked yet: part of sql_flow.h. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/slice.h"

struct buf;
struct pg_report;
struct sql_gathering;
struct sql_session;
struct sql_upstream;
struct statement_verdict;

enum sql_begun {
    SQL_BEGUN_NOT,     /* or more was asked in it */
    SQL_BEGUN_ASKED,   /* of a replica; it is not answered */
    SQL_BEGUN_ALONE,   /* it is, and nothing else was asked */
    SQL_BEGUN_BEHIND,  /* what was asked behind it is not answered, and may be asked elsewhere */
    SQL_BEGUN_READS,   /* nothing stays there of what was asked: each statement sees what is then */
    SQL_BEGUN_READING, /* that and such a one that is not answered */
    SQL_BEGUN_AGAIN,   /* it is to be begun at the next lease, before anything else */
};

/* An exchange begins at a lease; NULL: it is not one BEGIN. */
void sql_begin_ask(struct sql_session *s, const struct statement_verdict *v);
/* In front of what begins with it: is it serializable, though nobody says so? */
void sql_begin_ask_isolation(struct sql_session *s, const struct statement_verdict *v);
void sql_begin_isolation(struct sql_upstream *u, struct slice row);
void sql_begin_isolation_ended(struct sql_upstream *u); /* it was answered, or refused */
/* By a replica: because such is the role? */
void sql_begin_refused(struct sql_upstream *u, const struct pg_report *report);
void sql_begin_answered(struct sql_session *s, const struct sql_upstream *u);
/* What comes next in it, of which all is there: is it the primary's? */
bool sql_begin_is_misplaced(const struct sql_session *s, const struct sql_gathering *g);
/* It stays at its replica: what has become of it when that is answered. */
void sql_begin_go_on(struct sql_session *s, const struct sql_gathering *g);
/* May it be sent behind what is not answered yet?  False: that is answered first. */
bool sql_begin_may_follow(struct sql_session *s, const struct sql_gathering *g);
/* Its server is lost, or not the right one.  False: it cannot be begun elsewhere. */
bool sql_begin_elsewhere(struct sql_session *s);
/* An error of a replica that says that only a primary does what is asked: true, and the client is
 * told what to do, too.  *report borrows from *hint, which is the caller's to fini. */
bool sql_begin_hint(const struct sql_upstream *u, struct pg_report *report, struct buf *hint);
/* Says BEGIN to the lease, if that is due.  False: it waits for the answer. */
bool sql_begin_again(struct sql_session *s);
