/* Parts of [memory NAME], which draft_memory.c hands to all others.  Private to config/. */
#pragma once

#include "config/draft.h"

/* Shards that are tables of a PostgreSQL server. */
void draft_memory_begin_postgresql(const struct url *url, struct endpoint_settings *e);
enum err draft_memory_end_postgresql(struct loading *l, const struct url *url,
                                     struct endpoint_settings *e, struct buf *why) MUST_CHECK;
/* Something behind the "?" is for such shards only; then `why` says so. */
bool draft_memory_is_of_postgresql(const struct url *url, struct buf *why);
