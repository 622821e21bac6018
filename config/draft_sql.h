/* The checks of [sql NAME], which draft_sql.c hands to all others.  Private to config/. */
#pragma once

#include "config/draft.h"

void draft_sql_check(struct loading *l, const struct draft *d);
