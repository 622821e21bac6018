/* What code_flow.c offers to the others: names of settings with a dot that code may set. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* A text that is, or has, or calls code. */
void sql_code_heed(struct sql_session *s, struct slice text);
/* Appends what the session's server is asked at its release. */
void sql_code_put_question(struct sql_session *s, struct buf *out);
/* A row of the answer.  True: it is no setting. */
bool sql_code_saw(struct sql_session *s, struct slice name, struct slice value);
/* May it fire triggers that do what its words do not tell? */
bool sql_code_may_hide(struct sql_session *s, struct slice text);
void sql_code_free(struct sql_account *a);
