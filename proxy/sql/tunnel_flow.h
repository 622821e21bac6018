/* Sessions that replicate; see tunnel_flow.c. */
#pragma once

#include "proxy/sql/sql_flow.h"

void sql_tunnel_begin(struct sql_session *s, enum pg_replication replication);
/* Appends the pg_parameters with which it logs in; their texts are the session's. */
void sql_tunnel_parameters(const struct sql_upstream *u, struct buf *parameters);
void sql_tunnel_ready(struct sql_upstream *u);
size_t sql_tunnel_input(struct sql_session *s, struct slice in);
/* Returns the bytes used. */
size_t sql_tunnel_output(struct sql_upstream *u, struct slice in);
void sql_tunnel_lost(struct sql_upstream *u, enum err err, const char *why);
