/* Transactions that only read are begun at a replica.  As long as nothing but BEGIN was asked there
 * is nothing of them yet, no snapshot either, so that they may be begun anew at another server, of
 * which the client hears nothing.  So it is while each statement has a snapshot of its own (READ
 * COMMITTED) and nothing but plain reads was asked: a cursor, a setting, a savepoint would be lost.
 *
 *     ASKED --answered--> ALONE --a statement--> BEHIND --answered--> NOT
 *                           |                      |
 *                           +-- server lost, ------+--- refused: AGAIN --begun--> BEHIND
 *                           |   or the wrong one   |
 *                           +--- a read ---> READING <---> READS
 *
 * What is the primary's goes there (sql_begin_is_misplaced()): a replica would let it have a lock
 * that keeps nobody away.  now() is then another than before.
 *
 * A user may be serializable by ALTER ROLE, of which no client tells: replicas take his BEGIN, and
 * refuse the first that needs a snapshot.  So each connection to a replica is asked before its
 * first BEGIN, which is asked elsewhere if need be. */
#include "proxy/sql/begin_flow.h"

#include <string.h>

#include "proxy/sql/gather_flow.h"

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
    if (v == NULL || v->kind != STATEMENT_BEGIN || s->lease->is_primary || !s->lease->holds ||
        s->route == SQL_ROUTE_REPLICA)
        return;
    s->begun = SQL_BEGUN_ASKED;
    s->begun_isolation = v->modes.isolation;
}

void sql_begin_ask_isolation(struct sql_session *s, const struct statement_verdict *v)
{
    struct sql_upstream *u = s->lease;

    if (u->is_primary || !u->holds || u->is_not_serializable || s->route == SQL_ROUTE_REPLICA ||
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
    u->reads_committed = slice_is_text(pg_row_value(&values, 0).bytes, "read committed");
}

/* Whatever such a role asks: it is not what others ask in the same words that a replica refuses. */
static void note_serializable(struct sql_upstream *u)
{
    enum { FOR_US = 600 * 1000 * 1000 };

    u->account->serializable_until_us = worker_now_us(u->base.worker) + FOR_US;
    u->shape = (struct verdict_key){ 0 };
}

void sql_begin_refused(struct sql_upstream *u, const struct pg_report *report)
{
    const struct sql_session *s = u->lessee;
    bool is_said = s->begun != SQL_BEGUN_NOT && s->begun_isolation != MODE_ISOLATION_UNSAID;

    if (slice_is_text(report->routine, "GetSerializableTransactionSnapshot") && !is_said &&
        pg_settings_isolation(s->settings.current) == PG_ISOLATION_UNSAID)
        note_serializable(u);
}

void sql_begin_isolation_ended(struct sql_upstream *u)
{
    if (u->lessee == NULL || !u->holds || u->is_not_serializable)
        return;
    if (u->sqlstate[0] == '\0')
        note_serializable(u);
    u->shape = (struct verdict_key){ 0 }; /* it is not BEGIN that is refused */
    u->refused = true;
    memcpy(u->sqlstate, "0A000", sizeof(u->sqlstate)); /* as it would be */
}

/* ---- what is asked in it ---- */

static bool is_read(const struct sql_gathering *g)
{
    return g->is_whole && g->alone == NULL && g->any && !g->leaves &&
           (g->verdict.route <= ROUTE_TRY || g->verdict.kind == STATEMENT_SHOW) &&
           g->hints.route != HINT_PRIMARY;
}

/* While there is no primary what may well be served by a replica is. */
bool sql_begin_is_misplaced(const struct sql_session *s, const struct sql_gathering *g)
{
    const struct sql_endpoint *primary = sql_primary(sql_side_of(s));

    if (s->pins != 0 || s->route == SQL_ROUTE_REPLICA || s->lease->endpoint == primary ||
        s->status != PG_STATUS_IN_TRANSACTION ||
        sql_account_pooling(s->account) != SQL_POOLING_TRANSACTION)
        return false;
    if (g->effects & EFFECT_LOCK)
        return true;
    return primary != NULL && !primary->failing && g->hints.route != HINT_REPLICA &&
           (g->is_function_call || g->hints.route == HINT_PRIMARY ||
            (g->any && g->verdict.route >= ROUTE_HERE));
}

void sql_begin_go_on(struct sql_session *s, const struct sql_gathering *g)
{
    if (!s->lease->holds)
        s->begun = SQL_BEGUN_NOT;
    else
        s->begun = is_read(g) ? SQL_BEGUN_READING : SQL_BEGUN_BEHIND;
}

bool sql_begin_may_follow(struct sql_session *s, const struct sql_gathering *g)
{
    if (!is_read(g))
        return false;
    sql_reply_release(s->lease);
    return true;
}

/* Has each statement of the transaction a snapshot of its own? */
static bool reads_committed(const struct sql_session *s, const struct sql_upstream *u)
{
    enum pg_isolation isolation = pg_settings_isolation(s->settings.current);

    if (s->begun_isolation != MODE_ISOLATION_UNSAID)
        return s->begun_isolation == MODE_READ_COMMITTED ||
               s->begun_isolation == MODE_READ_UNCOMMITTED;
    if (isolation != PG_ISOLATION_UNSAID)
        return isolation == PG_ISOLATION_READ_COMMITTED ||
               isolation == PG_ISOLATION_READ_UNCOMMITTED;
    return u->reads_committed;
}

void sql_begin_answered(struct sql_session *s, const struct sql_upstream *u)
{
    bool is_open = u->status == PG_STATUS_IN_TRANSACTION;
    bool is_all = pg_expect_is_empty(&u->expect);

    if (s->begun == SQL_BEGUN_READING && is_open && !u->is_primary) {
        if (is_all)
            s->begun = reads_committed(s, u) ? SQL_BEGUN_READS : SQL_BEGUN_NOT;
        return;
    }
    s->begun = s->begun == SQL_BEGUN_ASKED && is_open && is_all ? SQL_BEGUN_ALONE : SQL_BEGUN_NOT;
}

bool sql_begin_elsewhere(struct sql_session *s)
{
    if (s->begun == SQL_BEGUN_NOT || s->begun == SQL_BEGUN_ASKED)
        return false;
    s->begun = SQL_BEGUN_AGAIN;
    return true;
}

/* Names in the server's source: its messages are translated, and a primary has other reasons to
 * answer with these codes. */
static bool is_of_recovery(const struct pg_report *report)
{
    return slice_is_text(report->routine, "PreventCommandDuringRecovery") ||
           slice_is_text(report->routine, "get_relation_info") ||
           slice_is_text(report->routine, "GetSerializableTransactionSnapshot") ||
           (slice_is_text(report->file, "xlogfuncs.c") && slice_is_text(report->sqlstate, "55000"));
}

bool sql_begin_hint(const struct sql_upstream *u, struct pg_report *report, struct buf *hint)
{
    static const char HINT[] = "The transaction is at a replica. Begin it with /* route=primary */ "
                               "BEGIN, or SET sheaf.route = primary.";
    const struct sql_session *s = u->lessee;

    if (s->status != PG_STATUS_IN_TRANSACTION || sql_is_primary(u->endpoint) ||
        !is_of_recovery(report))
        return false;
    buf_slice(hint, report->hint);
    buf_text(hint, hint->len > 0 ? " " : "");
    buf_text(hint, HINT);
    report->hint = buf_all(hint);
    return true;
}

/* What is asked in it is sent when that is answered: it must not be done in no transaction. */
bool sql_begin_again(struct sql_session *s)
{
    struct sql_upstream *u = s->lease;
    struct buf text = { 0 };

    if (s->begun != SQL_BEGUN_AGAIN)
        return true;
    if (u->status != PG_STATUS_IDLE) {
        s->begun = SQL_BEGUN_BEHIND;
        return true;
    }
    if (u->is_primary)
        u->holds = false; /* what it refuses, any will */
    buf_format(&text, "BEGIN %sREAD ONLY", ISOLATIONS[s->begun_isolation]);
    sql_upstream_ask(u, buf_all(&text), SQL_NOTE_BEFORE);
    buf_fini(&text);
    s->applies = s->barrier = true;
    return false;
}
