/* What the upstreams answer that are Sheaf's own, asked on nobody's behalf. */
#ifndef SHEAF_PROXY_SQL_OWN_FLOW_H
#define SHEAF_PROXY_SQL_OWN_FLOW_H

#include "proxy/sql/sql_flow.h"

/* Shown each frame that is whole, one after another.  False: the upstream is `owner`'s no more. */
typedef bool sql_own_frame_f(struct sql_upstream *u, void *owner, struct pg_frame f,
                             struct slice body);

/* Returns the bytes used.  An upstream that sends frames which are none, or longer than any such
 * answer, is lost; `why` says so. */
size_t sql_own_input(struct sql_upstream *u, struct slice in, sql_own_frame_f *show, void *owner,
                     const char *why);

#endif
