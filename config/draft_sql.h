/* Parts of [sql NAME], which draft_sql.c hands to all others.  Private to config/. */
#pragma once

#include "config/draft.h"

/* Users and rules of the files that it names; then its users are sorted by name. */
void draft_sql_read_files(struct loading *l, struct draft *d);
void draft_sql_check(struct loading *l, const struct draft *d);
