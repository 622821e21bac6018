/* What Sheaf answers itself, without a server: SHOW and SET of its own settings, EXPLAIN ROUTE. */
#pragma once

#include "proxy/sql/sql_flow.h"

bool sql_local_is_position(const struct sql_class *c);
bool sql_local_is_explain(const struct sql_class *c);
/* SET sheaf.x = word, where the word is one that SQL keeps for itself: primary. */
bool sql_local_reads_set(struct slice text);
/* Is it Sheaf's to answer? */
bool sql_local_is(const struct sql_class *c);
/* Answers it, if it is Sheaf's; false: it is not. */
bool sql_local_answer(struct sql_session *s, const struct sql_class *c, struct buf *out);
/* The column of that answer; NULL: it has none. */
const char *sql_local_column(const struct sql_class *c);
/* May a client begin with this sheaf.* setting? */
bool sql_local_is_valid(struct slice name, struct slice value);
/* What it has set may be another now (or, with `followed` UINT64_MAX, what counts where it has set
 * nothing): before the session asks. */
void sql_local_follow(struct sql_session *s);

/* By messages. */
bool sql_local_may_be(struct slice text); /* false: it is not, for sure */
/* Of nothing but what sql_local_is(), and Sync. */
void sql_local_answer_messages(struct sql_session *s, struct slice exchange);
