/* A server's error that another server would not have: the exchange is asked there, and the client
 * does not hear of it.  Of what it answered nothing was forwarded yet (see reply_flow.c). */
#include <string.h>

#include "proxy/sql/sql_flow.h"

/* Errors that say nothing of the statement, but of the server that was asked. */
static bool is_of_server(const char *sqlstate)
{
    static const char *const CODES[] = { "25006", "0A000", "55000", "XX000", "XX001",
                                         "XX002", "40001", "40P01", "57P01", "57P02",
                                         "57P03", "57P04", "57P05", "42P01", "42883",
                                         "42704", "42703", "3F000", "3D000" };

    for (size_t i = 0; i < sizeof(CODES) / sizeof(CODES[0]); i++)
        if (strcmp(CODES[i], sqlstate) == 0)
            return true;
    return memcmp(sqlstate, "08", 2) == 0 || memcmp(sqlstate, "53", 2) == 0 ||
           memcmp(sqlstate, "58", 2) == 0;
}

/* With what the primary removes, if it is a replica that says so. */
static bool is_of_conflict(const char *sqlstate)
{
    return strcmp(sqlstate, "40001") == 0 || strcmp(sqlstate, "40P01") == 0;
}

/* Of these, those of what goes on at a replica just now: another one may well do it. */
static bool is_of_moment(const char *sqlstate)
{
    return is_of_conflict(sqlstate) || memcmp(sqlstate, "53", 2) == 0 ||
           memcmp(sqlstate, "57P", 3) == 0 || memcmp(sqlstate, "58", 2) == 0;
}

static bool is_of_demoted(const char *sqlstate)
{
    return strcmp(sqlstate, "25006") == 0;
}

/* Does a primary refuse to write because it is none any more?  It would also if the transaction
 * only reads, as its BEGIN or its role has it: then any would.  A server that does not say which it
 * is may have done something of the exchange before it refused. */
static bool is_demoted(const struct sql_upstream *u)
{
    const struct sql_session *s = u->lessee;

    if (!is_of_demoted(u->sqlstate) || s == NULL || s->healed ||
        pg_settings_read_only(s->settings.current) == PG_SWITCH_ON)
        return false;
    if (u->stands_by != SQL_STANDS_BY_UNKNOWN)
        return u->stands_by == SQL_STANDS_BY;
    return !(s->pins & PG_PIN_OPAQUE) && !(pg_expect_flags(&u->expect) & PG_EXPECT_COMMITS);
}

bool sql_heal_may(const struct sql_upstream *u)
{
    const struct sql_session *s = u->lessee;

    if (u->is_primary)
        return is_demoted(u);
    if (s != NULL && s->route == SQL_ROUTE_REPLICA)
        return is_of_moment(u->sqlstate) && sql_may_read_elsewhere(s, u->endpoint);
    return is_of_server(u->sqlstate);
}

/* It will be refused by any replica, again and again. */
static bool is_of_statement(const char *sqlstate)
{
    return strcmp(sqlstate, "25006") == 0 || strcmp(sqlstate, "0A000") == 0 ||
           strcmp(sqlstate, "55000") == 0 || strcmp(sqlstate, "XX000") == 0;
}

void sql_reply_elsewhere(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;
    struct sql_side *side = u->endpoint->side;

    u->refused = u->holds = false;
    buf_clear(&u->held);
    counter_add(&side->stats->refusals, 1);
    counter_add(&side->counts->list[SQL_COUNT_REASKED], 1);
    if (s == NULL)
        return;
    s->replay = u->kept;
    u->kept = (struct buf){ 0 };
    if (!u->is_primary)
        s->avoided |= 1ull << (u->endpoint->index & 63);
    else if (is_of_demoted(u->sqlstate))
        sql_primary_is_doubted(u->endpoint);
    s->healed = u->is_primary;
    if (sql_begin_elsewhere(s))
        u->shape = (struct verdict_key){ 0 }; /* it is not BEGIN that was refused */
    s->forced = !is_of_moment(u->sqlstate);
    s->conflicted = is_of_conflict(u->sqlstate) && !u->is_primary;
    if (s->forced && !u->is_primary && is_of_statement(u->sqlstate))
        sql_verdict_overrule(s, u);
    session_request_ends(&s->base);
    s->dirties = s->commits = s->has_written = s->may_commit = false;
    sql_deeds_forget(s);
    pg_statements_session_undo(side->statements, &s->statements);
}
