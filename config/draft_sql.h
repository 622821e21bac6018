/* Parts of [sql NAME], which draft_sql.c hands to all others.  Private to config/. */
#pragma once

#include "config/draft.h"

/* Of any endpoint that is a PostgreSQL server: what its TLS is, and where its socket. */
enum err draft_sql_end_endpoint(struct loading *l, const struct url *url,
                                struct endpoint_settings *e, struct buf *why) MUST_CHECK;
void draft_sql_shorten_path(struct buf *path);
/* Users and rules of the files that it names; then its users are sorted by name. */
void draft_sql_read_files(struct loading *l, struct draft *d);
void draft_sql_check(struct loading *l, const struct draft *d);
