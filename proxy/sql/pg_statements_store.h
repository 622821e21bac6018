/* What pg_statements.c and pg_statements_session.c share. */
#pragma once

#include "proxy/sql/pg_statements.h"

const struct pg_statements_limits *pg_statements_limits_of(const struct pg_statements *store);
size_t pg_statement_bytes(const struct pg_statement *st);

/* The first server's name in a text, and whose it is. */
bool pg_statement_find_name(struct slice text, size_t *at, uint64_t *id);
