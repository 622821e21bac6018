/* What catalog_flow.c offers to the others: what functions and views do. */
#pragma once

#include "proxy/sql/sql_flow.h"

/* The account's database is known, or another now; or the servers are. */
void sql_catalog_follow(struct sql_account *a, bool are_others);
void sql_catalog_give(struct sql_account *a);
/* Before anything is looked up: what is old by now is forgotten, and asked for again. */
void sql_catalog_look(struct sql_session *s);
/* Its catalog, in *view and *out; NULL: nothing is known. */
const struct catalog *sql_catalog_see(const struct sql_session *s, struct catalog_view *view,
                                      struct catalog *out);
void sql_catalog_changed(struct sql_session *s); /* what it did is done */
/* It was asked for what is not known: what is known may be old. */
void sql_catalog_is_doubted(struct sql_session *s);
/* What the server says of the catalog, as pg_catalog_fingerprint() has it, behind something that
 * may have done anything. */
void sql_catalog_compare(struct sql_session *s, struct slice fingerprint);
/* Which state of the catalog what the session prepares now is read by. */
uint64_t sql_catalog_edition(const struct sql_session *s);
/* What it does changes that for itself, until it gives its lease back. */
void sql_catalog_own_edition(struct sql_session *s);
void sql_catalog_ready(struct sql_upstream *u);
size_t sql_catalog_input(struct sql_upstream *u, struct slice in);
void sql_catalog_lost(struct sql_upstream *u);
void sql_catalogs_tick(struct sql_side *side, uint64_t now_us);

/* route_flow.c: who tells of it while there is no primary; NULL: nobody. */
struct sql_endpoint *sql_replica_for_catalog(struct sql_side *side);
