/* Leases, and who waits for them.  Who waits for a replica may roam: whichever is free first serves
 * him. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* True: the lease is there.  False: it waits; with may_roam, for a connection of any replica. */
bool sql_lease_ask(struct sql_session *s, struct sql_endpoint *e, bool may_roam);
/* It waits for another replica, and roams: would this one do as well, now? */
bool sql_may_roam_to(struct sql_session *s, struct sql_endpoint *e);
/* Who is served next there, of those that wait there or roam; NULL: nobody. */
struct sql_session *sql_roster_next(struct sql_roster *roster);
/* It may be known by now that who waits for a replica may go to another, which is idle. */
void sql_roamers_look(struct sql_side *side);
void sql_waiters_tick(struct sql_side *side, uint64_t now_us, bool housekeeping);
