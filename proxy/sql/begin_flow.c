/* Transactions that only read are begun at a replica.  As long as nothing but BEGIN was asked there
 * is nothing of them yet, no snapshot either, so that they may be begun anew at another server, of
 * which the client hears nothing.
 *
 *     ASKED --answered--> ALONE --a statement--> BEHIND --answered--> NOT
 *                           |                      |
 *                           +------ server lost ---+--- refused: AGAIN --lease--> BEHIND
 *
 * A user may be serializable by ALTER ROLE, of which no client tells: replicas take his BEGIN, and
 * refuse the first that needs a snapshot.  So each connection to a replica is asked before its
 * first BEGIN, which is asked elsewhere if need be. */
#include "proxy/sql/begin_flow.h"

#include <string.h>

#include "proxy/sql/sql_flow.h"

static const char *const ISOLATIONS[] = {
    [MODE_ISOLATION_UNSAID] = "",
    [MODE_READ_UNCOMMITTED] = "ISOLATION LEVEL READ UNCOMMITTED, ",
    [MODE_READ_COMMITTED] = "ISOLATION LEVEL READ COMMITTED, ",
    [MODE_REPEATABLE_READ] = "ISOLATION LEVEL REPEATABLE READ, ",
    [MODE_SERIALIZABLE] = "ISOLATION LEVEL SERIALIZABLE, ",
};

void sql_begin_ask(struct sql_session *s, const struct statement_verdict *v)
{
    if (s->begun == SQL_BEGUN_AGAIN)
        return;
    s->begun = SQL_BEGUN_NOT;
    if (v == NULL || v->kind != STATEMENT_BEGIN || s->lease->is_primary || !s->lease->holds)
        return;
    s->begun = SQL_BEGUN_ASKED;
    s->begun_isolation = v->modes.isolation;
}

void sql_begin_ask_isolation(struct sql_session *s, const struct statement_verdict *v)
{
    struct sql_upstream *u = s->lease;

    if (u->is_primary || !u->holds || u->is_not_serializable ||
        v->modes.isolation != MODE_ISOLATION_UNSAID ||
        pg_settings_isolation(s->settings.current) != PG_ISOLATION_UNSAID)
        return;
    sql_upstream_ask(u, slice_text("SHOW default_transaction_isolation"), SQL_NOTE_PROBE);
}

void sql_begin_isolation(struct sql_upstream *u, struct slice row)
{
    struct pg_row values;

    if (pg_read_row(row, &values) != ERR_NONE || values.count != 1)
        return;
    u->is_not_serializable = !slice_is_text(pg_row_value(&values, 0).bytes, "serializable");
    if (u->is_not_serializable || !u->holds)
        return;
    u->refused = true;
    memcpy(u->sqlstate, "0A000", sizeof(u->sqlstate)); /* as it would be */
}

void sql_begin_answered(struct sql_session *s, const struct sql_upstream *u)
{
    bool is_alone = s->begun == SQL_BEGUN_ASKED && u->status == PG_STATUS_IN_TRANSACTION &&
                    pg_expect_is_empty(&u->expect);

    s->begun = is_alone ? SQL_BEGUN_ALONE : SQL_BEGUN_NOT;
}

bool sql_begin_elsewhere(struct sql_session *s)
{
    if (s->begun != SQL_BEGUN_ALONE && s->begun != SQL_BEGUN_BEHIND)
        return false;
    s->begun = SQL_BEGUN_AGAIN;
    return true;
}

void sql_begin_again(struct sql_session *s)
{
    struct buf text = { 0 };

    if (s->begun != SQL_BEGUN_AGAIN)
        return;
    s->begun = SQL_BEGUN_BEHIND;
    if (s->lease->is_primary)
        s->lease->holds = false; /* what it refuses, any will */
    buf_format(&text, "BEGIN %sREAD ONLY", ISOLATIONS[s->begun_isolation]);
    sql_upstream_ask(s->lease, buf_all(&text), 0);
    buf_fini(&text);
}
