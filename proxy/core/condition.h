/* How an endpoint that lies within the process stands, an embedded store: told by whoever has it,
 * read by workers before they ask, and by the steward's probe.  One for each endpoint, over reloads
 * as well. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "proxy/base/err.h"

enum { CONDITION_WHY_BYTES = 256 };

struct condition;

/* That of the endpoint with this identity, counted; at first nothing is known of it. */
struct condition *condition_open(const char *identity);
void condition_close(struct condition **where);

/* ERR_NONE: it can be asked; `why` is ignored then.  ERR_SYSTEM: it can be asked, too, but not all
 * of it is done. */
void condition_tell(struct condition *c, enum err err, const char *why);
/* What was told last; ERR_AGAIN: nothing yet.  `why` gets the reason. */
enum err condition_get(struct condition *c, char why[CONDITION_WHY_BYTES]);
/* Was it told that not all is well?  Cheap. */
bool condition_is_bad(const struct condition *c);
