/* Databases that are paused, and those that take no new sessions: what the console's PAUSE, KILL
 * and DISABLE leave in each worker.
 *
 *     sql_halt_begin() --> who waits for a lease waits here, in the same order; idle upstreams are
 *                          closed, others when they are free; nobody gets a new one
 *     sql_halt_end()   --> those who wait look for a lease again, the first who came first
 */
#include <stdlib.h>

#include "proxy/base/mem.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/sql_flow.h"

struct sql_halt {
    struct list link;    /* on side->halts */
    char *database;      /* owned; NULL: all */
    bool stops;          /* no leases */
    bool refuses;        /* no new sessions */
    struct list waiters; /* sql_sessions */
};

static struct sql_halt *halt_of(struct list *link)
{
    return LIST_ITEM(link, struct sql_halt, link);
}

static bool covers(const char *database, const char *name)
{
    return database == NULL || strcmp(database, name) == 0;
}

static struct sql_halt *find(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->halts, link) {
        const char *known = halt_of(link)->database;

        if (database == NULL ? known == NULL : known != NULL && strcmp(known, database) == 0)
            return halt_of(link);
    }
    return NULL;
}

static struct sql_halt *find_or_make(struct sql_side *side, const char *database)
{
    struct sql_halt *halt = find(side, database);

    if (halt != NULL)
        return halt;
    halt = mem_new(sizeof(*halt));
    halt->database = database == NULL ? NULL : mem_text(database);
    list_init(&halt->waiters);
    list_append(&side->halts, &halt->link);
    return halt;
}

static void forget_unless_used(struct sql_halt *halt)
{
    if (halt->stops || halt->refuses || !list_is_empty(&halt->waiters))
        return;
    list_remove(&halt->link);
    free(halt->database);
    free(halt);
}

static struct sql_halt *stopping(const struct sql_account *a)
{
    LIST_EACH (&a->side->halts, link)
        if (halt_of(link)->stops && covers(halt_of(link)->database, a->database))
            return halt_of(link);
    return NULL;
}

bool sql_halt_is_on(const struct sql_account *a)
{
    return stopping(a) != NULL;
}

bool sql_halt_waits(struct sql_session *s)
{
    struct sql_halt *halt;

    if (list_is_empty(&sql_side_of(s)->halts)) /* nearly always */
        return false;
    halt = stopping(s->account);
    if (halt == NULL)
        return false;
    sql_wait_begin(s, SQL_WAITS_RESUME, &halt->waiters);
    return true;
}

bool sql_halt_refuses(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->halts, link)
        if (halt_of(link)->refuses && covers(halt_of(link)->database, database))
            return true;
    return false;
}

bool sql_halt_stops(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->halts, link)
        if (halt_of(link)->stops && (database == NULL ? halt_of(link)->database == NULL
                                                      : covers(halt_of(link)->database, database)))
            return true;
    return false;
}

/* ---- beginning ---- */

static bool is_of(const struct upstream *base, const struct sql_side *side, const char *database)
{
    const struct sql_upstream *u = (const struct sql_upstream *)base;

    return base->flow == &sql_flow && base->state != UPSTREAM_RETIRED &&
           u->endpoint->side == side && u->tunnel == NULL && covers(database, u->account->database);
}

/* Those on rosters first, so that they keep their order. */
static void move_waiters(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->accounts, link) {
        struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        if (!covers(database, a->database))
            continue;
        LIST_EACH (&a->rosters, roster)
            sql_roster_turn_away(LIST_ITEM(roster, struct sql_roster, link));
    }
    LIST_EACH (&side->worker->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct sql_session *s = (struct sql_session *)base;

        if (base->limits->flow != &sql_flow || sql_side_of(s) != side || s->account == NULL ||
            s->waits == SQL_WAITS_NOT || s->waits == SQL_WAITS_RESUME ||
            s->waits == SQL_WAITS_COMMIT || !covers(database, s->account->database))
            continue;
        sql_wait_end(s);
        sql_session_go_on(s);
    }
}

static void end_upstreams(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (!is_of(base, side, database))
            continue;
        if (u->roster != NULL && !u->stood)
            sql_upstream_retire(u);
        else
            sql_upstream_end(u);
    }
}

void sql_halt_begin(struct sql_side *side, const char *database)
{
    find_or_make(side, database)->stops = true;
    move_waiters(side, database);
    end_upstreams(side, database);
}

void sql_halt_end(struct sql_side *side, const char *database)
{
    LIST_EACH (&side->halts, link) {
        struct sql_halt *halt = halt_of(link);
        struct list *first;

        if (database != NULL && halt->database != NULL && strcmp(halt->database, database) != 0)
            continue;
        if (database != NULL && halt->database == NULL)
            continue; /* one that all wait for ends for all */
        halt->stops = false;
        while ((first = list_first(&halt->waiters)) != NULL) {
            struct sql_session *s = LIST_ITEM(first, struct sql_session, wait_link);

            sql_wait_end(s);
            sql_session_go_on(s);
        }
        forget_unless_used(halt);
    }
}

void sql_halt_refuse(struct sql_side *side, const char *database, bool refuses)
{
    struct sql_halt *halt = find_or_make(side, database);

    halt->refuses = refuses;
    forget_unless_used(halt);
}

void sql_halts_free(struct sql_side *side)
{
    LIST_EACH (&side->halts, link) {
        list_remove(&halt_of(link)->waiters);
        halt_of(link)->stops = halt_of(link)->refuses = false;
        forget_unless_used(halt_of(link));
    }
}

void sql_halts_tick(struct sql_side *side, uint64_t now_us, bool housekeeping)
{
    LIST_EACH (&side->halts, link)
        sql_waiters_expire(&halt_of(link)->waiters, now_us, housekeeping);
}

/* ---- upstreams of a database ---- */

void sql_database_reconnect(struct sql_side *side, const char *database)
{
    side->reconnect_us = worker_now_us(side->worker);
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (is_of(base, side, database))
            sql_upstream_end((struct sql_upstream *)base);
    }
}

uint32_t sql_database_upstreams(struct sql_side *side, const char *database, bool ending)
{
    uint32_t count = 0;

    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        count += is_of(base, side, database) && (!ending || ((struct sql_upstream *)base)->ending);
    }
    return count;
}

uint32_t sql_database_kill(struct sql_side *side, const char *database)
{
    uint32_t count = 0;

    LIST_EACH (&side->worker->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);
        struct sql_session *s = (struct sql_session *)base;

        if (base->limits->flow != &sql_flow || base->state == SESSION_CLOSING ||
            sql_side_of(s) != side || s->account == NULL || !covers(database, s->account->database))
            continue;
        sql_session_kill(s);
        count++;
    }
    return count;
}
