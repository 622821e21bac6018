/* A primary in whose place another was elected: nobody is left with it, as what would be done there
 * is not in the new one's history. */
#pragma once

#include "proxy/sql/sql_flow.h"

void sql_demotion_tick(struct sql_side *side, bool housekeeping);
/* For who keeps a lease whatever is asked: is it time to look, before the clock does? */
void sql_demotion_look(struct sql_side *side);
