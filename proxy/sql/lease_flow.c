/* Leases: who gets which upstream, and who waits.  Those who wait for one roster are served in the
 * order in which they came, whatever they want it for.
 *
 *     sql_lease_ask() --> an idle upstream, or a new one within the budget, or a place in the queue
 *     sql_lease_end() --> to the first who waits, or idle
 *
 * Each replica has a roster, and so a queue, of its own.  But who waits for a replica *roams*,
 * unless shares are to be kept: what becomes free at another one that may serve him is his, if he
 * came first.  So for those the queues are one. */
#include <inttypes.h>
#include <stdio.h>

#include "proxy/base/log.h"
#include "proxy/sql/halt_flow.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/move_flow.h"
#include "proxy/sql/sample_flow.h"
#include "proxy/sql/sql_flow.h"

enum {
    IDLE_LOOKED_AT = 8, /* for one that is set as the session wants it */
    ROAMERS_LOOKED_AT =
        8, /* for one who may come here: others must see what they have seen there */
};

/* ---- leasing ---- */

static void lease(struct sql_session *s, struct sql_upstream *u)
{
    list_remove(&u->idle_link);
    s->lease = u;
    u->lessee = s;
    u->endpoint->busy++;
    u->led |= sql_primary(sql_side_of(s)) == u->endpoint;
    u->leased_us = worker_now_us(s->base.worker);
    counter_add(&u->endpoint->stats->upstreams_leased, 1);
    sql_tally_lease(s, true);
}

static struct sql_upstream *idle_of(struct list *link)
{
    return LIST_ITEM(link, struct sql_upstream, idle_link);
}

/* The one used last is warm; one whose settings are right already saves a statement. */
static struct sql_upstream *pick_idle(struct sql_roster *roster, const struct sql_session *s)
{
    const struct pg_settings *wanted = s->settings.current;
    struct list *first = list_first(&roster->idle);
    int looked_at = 0;

    if (first == NULL)
        return NULL;
    if (s->wants_own)
        LIST_EACH (&roster->idle, link)
            if (idle_of(link)->sequences_pid == s->key_pid)
                return idle_of(link);
    LIST_EACH (&roster->idle, link) {
        if (idle_of(link)->settings == wanted && !idle_of(link)->hides_settings)
            return idle_of(link);
        if (++looked_at == IDLE_LOOKED_AT)
            break;
    }
    return idle_of(first);
}

void sql_wait_begin(struct sql_session *s, enum sql_wait wait, struct list *waiters)
{
    s->waits = wait;
    if (s->wait_since_us == 0) {
        s->wait_since_us = worker_now_us(s->base.worker);
        s->wait_number = ++sql_side_of(s)->waits_begun;
    }
    list_append(waiters, &s->wait_link);
    sql_tally_wait_begins(s);
    session_request_begins(&s->base); /* it is owed an answer */
    if (wait != SQL_WAITS_LEASE)
        worker_be_busy(s->base.worker);
}

static struct sql_session *waiter_of(struct list *link)
{
    return LIST_ITEM(link, struct sql_session, wait_link);
}

/* When he has waited too long; UINT64_MAX: never. */
static uint64_t late_us(const struct sql_session *s)
{
    const struct sql_pool *settings = sql_side_of(s)->settings;
    bool for_primary = s->waits == SQL_WAITS_PRIMARY; /* 0 is not at all then, and not for ever */
    uint64_t timeout_ms =
        for_primary ? settings->failover_wait_ms : settings->query_wait_timeout_ms;

    return timeout_ms == 0 && !for_primary ? UINT64_MAX : s->wait_since_us + timeout_ms * 1000;
}

static void wait(struct sql_session *s, struct sql_roster *roster)
{
    s->waits_at = roster;
    roster->waiter_count++;
    roster->endpoint->busy++;
    roster->endpoint->waiting++;
    sql_wait_begin(s, SQL_WAITS_LEASE, &roster->waiters);
    worker_tick_by(s->base.worker, late_us(s));
}

void sql_wait_end(struct sql_session *s)
{
    if (s->waits != SQL_WAITS_NOT && s->base.open_requests > 0)
        session_request_ends(&s->base);
    if (s->waits == SQL_WAITS_LEASE) {
        s->waits_at->waiter_count--;
        s->waits_at->endpoint->busy--;
        s->waits_at->endpoint->waiting--;
        s->waits_at = NULL;
    }
    if (s->waits != SQL_WAITS_NOT)
        sql_tally_wait_ends(s);
    list_remove(&s->wait_link);
    s->waits = SQL_WAITS_NOT;
}

/* Reserved upstreams are for those who have waited long. */
static bool may_use_reserve(struct sql_roster *roster)
{
    struct list *first = list_first(&roster->waiters);
    const struct sql_side *side = roster->account->side;

    return first != NULL && worker_now_us(side->worker) - waiter_of(first)->wait_since_us >=
                                side->settings->reserve_pool_timeout_ms * 1000;
}

/* As many as wait, and are not being opened yet. */
static void open_more(struct sql_roster *roster)
{
    while (roster->starting < roster->waiter_count && !roster->endpoint->failing &&
           roster->endpoint->present) {
        if (!sql_budget_take(roster, may_use_reserve(roster))) {
            sql_move_ask(roster);
            return;
        }
        sql_upstream_open(roster);
    }
}

/* Those who came before it have been looked at, and may not go there. */
static struct sql_upstream *idle_for(struct sql_roster *roster, const struct sql_session *s)
{
    return list_is_empty(&roster->waiters) ? pick_idle(roster, s) : NULL;
}

/* Another replica that has what this one has not: an upstream that is idle, which is returned, or
 * room for one, which is opened, and waited for. */
static struct sql_upstream *look_elsewhere(struct sql_session *s)
{
    struct sql_side *side = sql_side_of(s);

    for (uint32_t i = 0; i < side->endpoint_count; i++) {
        struct sql_roster *other;
        struct sql_upstream *u;

        if (!sql_may_roam_to(s, side->endpoints[i]))
            continue;
        other = sql_roster_of(s->account, side->endpoints[i]);
        u = idle_for(other, s);
        if (u != NULL)
            return u;
        if (other->starting > other->waiter_count || !sql_budget_take(other, false))
            continue;
        sql_wait_end(s);
        wait(s, other);
        sql_upstream_open(other);
        return NULL;
    }
    return NULL;
}

/* Nothing is being opened for some of those who wait there: the clock looks after them. */
static bool is_short(const struct sql_roster *roster)
{
    return roster->starting < roster->waiter_count;
}

bool sql_lease_ask(struct sql_session *s, struct sql_endpoint *e, bool may_roam)
{
    struct sql_roster *roster = sql_roster_of(s->account, e);
    struct sql_upstream *u = idle_for(roster, s);

    if (u == NULL) {
        s->roams = may_roam;
        wait(s, roster);
        open_more(roster);
        if (!is_short(roster))
            return false;
        worker_be_busy(s->base.worker);
        if (!may_roam)
            return false;
        u = look_elsewhere(s);
        if (u == NULL) {
            sql_sampler_waits(s);
            return false;
        }
        sql_wait_end(s);
    }
    lease(s, u);
    s->wait_since_us = 0;
    return true;
}

/* ---- giving back ---- */

static bool is_old(const struct sql_upstream *u, uint64_t now_us)
{
    uint64_t lifetime_us = u->endpoint->side->settings->server_lifetime_ms * 1000;

    return lifetime_us > 0 && now_us - u->born_us > lifetime_us;
}

static void grant(struct sql_session *s, struct sql_upstream *u)
{
    sql_wait_end(s);
    s->wait_since_us = 0;
    lease(s, u);
    sql_session_go_on(s);
}

/* The first of those who wait there, came before that one, and may come here. */
static struct sql_session *first_roamer(struct sql_roster *there, uint64_t number,
                                        struct sql_endpoint *here)
{
    int looked_at = 0;

    LIST_EACH (&there->waiters, link) {
        struct sql_session *s = waiter_of(link);

        if (s->wait_number >= number || ++looked_at > ROAMERS_LOOKED_AT)
            return NULL;
        if (s->roams && sql_may_roam_to(s, here))
            return s;
    }
    return NULL;
}

struct sql_session *sql_roster_next(struct sql_roster *roster)
{
    struct list *first = list_first(&roster->waiters);
    struct sql_session *next = first == NULL ? NULL : waiter_of(first);

    LIST_EACH (&roster->account->rosters, link) {
        struct sql_roster *other = LIST_ITEM(link, struct sql_roster, link);
        struct sql_session *s;

        if (other == roster)
            continue;
        s = first_roamer(other, next == NULL ? UINT64_MAX : next->wait_number, roster->endpoint);
        next = s != NULL ? s : next;
    }
    return next;
}

void sql_upstream_is_free(struct sql_upstream *u)
{
    struct sql_roster *roster = u->roster;
    uint64_t now_us = worker_now_us(u->base.worker);
    struct sql_session *next;

    if (u->cancels > 0) {
        u->awaits_cancel = true; /* sql_upstream_cancelled() comes back here */
        return;
    }
    if (u->ending || u->expect.unsure || u->status != PG_STATUS_IDLE ||
        roster->endpoint->side->gone || is_old(u, now_us) || sql_halt_is_on(roster->account)) {
        sql_upstream_close(u);
        sql_roster_tick(roster, now_us);
        return;
    }
    if (sql_move_give(u))
        return;
    u->idle_since_us = now_us;
    next = sql_roster_next(roster);
    if (next != NULL) {
        grant(next, u);
        return;
    }
    list_prepend(&roster->idle, &u->idle_link);
}

void sql_lease_drop(struct sql_upstream *u)
{
    struct sql_session *s = u->lessee;

    if (s == NULL)
        return;
    if (s->changed_id != 0)
        u->ending = true; /* it has a statement that it must not be asked for */
    s->changed_id = s->own_edition = 0;
    s->lease = NULL;
    u->lessee = NULL;
    u->base.pass_to = NULL;
    upstream_pause(&u->base, false); /* he read too slowly */
    sql_probe_forget(u);             /* who left in the midst of it is not the one who comes */
    u->probe_failed = false;
    buf_fini(&u->failure);
    u->endpoint->busy--;
    counter_sub(&u->endpoint->stats->upstreams_leased, 1);
    sql_tally_lease(s, false);
}

void sql_lease_end(struct sql_upstream *u)
{
    sql_lease_drop(u);
    sql_upstream_is_free(u);
}

static void look(struct sql_roster *roster)
{
    struct sql_session *next;

    while (!list_is_empty(&roster->idle) && (next = sql_roster_next(roster)) != NULL)
        grant(next, idle_of(list_first(&roster->idle)));
}

void sql_roamers_look(struct sql_side *side)
{
    LIST_EACH (&side->accounts, link)
        LIST_EACH (&LIST_ITEM(link, struct sql_account, link)->rosters, roster)
            look(LIST_ITEM(roster, struct sql_roster, link));
}

/* ---- clock ---- */

static void end_idle(struct sql_roster *roster, uint64_t now_us)
{
    const struct sql_side *side = roster->account->side;
    uint64_t timeout_us = side->settings->base.upstream_idle_timeout_ms * 1000;
    uint32_t least = sql_account_sizes(roster->account).min_pool_size;
    bool wanted = sql_budget_is_wanted(roster) && roster->waiter_count == 0;

    LIST_EACH (&roster->idle, link) {
        struct sql_upstream *u = idle_of(link);
        bool late = timeout_us > 0 && now_us - u->idle_since_us > timeout_us &&
                    atomic_load(&roster->budget->open) > least;

        if (!wanted && !late && !u->ending && !is_old(u, now_us))
            continue;
        sql_upstream_close(u);
        wanted = false; /* one at a time */
    }
}

/* min_pool_size of them are there before they are needed, once there was one: one after another. */
static void open_least(struct sql_roster *roster, uint64_t now_us)
{
    const struct sql_endpoint *e = roster->endpoint;
    const struct sql_side *side = roster->account->side;
    uint32_t least = sql_account_sizes(roster->account).min_pool_size;

    if (atomic_load(&roster->budget->open) >= least || roster->starting > 0 ||
        (roster->open == 0 && roster->account->sessions == 0) || now_us < roster->least_again_us ||
        side->gone || !e->present || e->failing || !sql_is_up(e) ||
        board_fit(side->assembly->board, e->settings->number) == STANDING_STALE_PRIMARY ||
        sql_halt_is_on(roster->account))
        return;
    if (sql_budget_take_least(roster))
        sql_upstream_open(roster);
    worker_be_busy(side->worker);
}

/* Another may have come up, or have room by now. */
static void send_first_elsewhere(struct sql_roster *roster)
{
    struct list *first = list_first(&roster->waiters);
    struct sql_upstream *u;

    if (first == NULL || !waiter_of(first)->roams || !is_short(roster))
        return;
    u = look_elsewhere(waiter_of(first));
    if (u != NULL)
        grant(waiter_of(first), u);
}

void sql_roster_tick(struct sql_roster *roster, uint64_t now_us)
{
    sql_move_give_idle(roster);
    look(roster);
    end_idle(roster, now_us);
    open_more(roster);
    send_first_elsewhere(roster);
    open_least(roster, now_us);
    if (is_short(roster))
        worker_be_busy(roster->account->side->worker);
}

/* Those who wait there look for another; who finds none that is better comes again, behind. */
void sql_roster_turn_away(struct sql_roster *roster)
{
    struct list *link;
    uint32_t left = roster->waiter_count;

    while (left-- > 0 && (link = list_first(&roster->waiters)) != NULL) {
        struct sql_session *s = waiter_of(link);

        sql_wait_end(s);
        sql_session_go_on(s);
    }
}

/* False: it is not late. */
static bool expire(struct sql_session *s, uint64_t now_us)
{
    if (now_us < late_us(s)) {
        worker_tick_by(s->base.worker, late_us(s));
        return false;
    }
    if (s->waits == SQL_WAITS_PRIMARY)
        sql_session_fail_exchange_hint(
            s, "57P03",
            "Try again when it is back or another was promoted; failover_wait says how long "
            "clients wait for that.",
            "there is no primary: none of pool \"%s\"'s servers accepts writes (failover_wait "
            "passed)",
            sql_side_of(s)->name);
    else
        sql_session_fatal_hint(s, "57014",
                               "Other clients hold them all: end transactions sooner, or raise "
                               "pool_size or query_wait_timeout.",
                               "query_wait_timeout: no server connection of pool \"%s\" became "
                               "free in %" PRIu64 " ms",
                               sql_side_of(s)->name,
                               sql_side_of(s)->settings->query_wait_timeout_ms);
    return true;
}

/* Who came first is late first; but who waited elsewhere before comes with that time.  So all are
 * looked at only now and then. */
void sql_waiters_expire(struct list *waiters, uint64_t now_us, bool housekeeping)
{
    LIST_EACH (waiters, link)
        if (!expire(waiter_of(link), now_us) && !housekeeping)
            return;
}

void sql_primary_waiters_look(struct sql_side *side)
{
    struct sql_endpoint *primary = sql_primary(side);

    if (primary == NULL || primary->failing)
        return;
    LIST_EACH (&side->waiters, link) {
        struct sql_session *s = waiter_of(link);

        sql_wait_end(s);
        sql_session_go_on(s);
    }
}

/* What is known of statements is more now: a read that waits because nothing was may go. */
static void look_for_readers(struct sql_side *side)
{
    size_t count = 0;

    if (side->waiters_epoch == side->verdict_epoch)
        return;
    side->waiters_epoch = side->verdict_epoch;
    LIST_EACH (&side->waiters, link)
        count++;
    while (count-- > 0 && !list_is_empty(&side->waiters)) { /* who waits on stands behind */
        struct sql_session *s = waiter_of(list_first(&side->waiters));

        sql_wait_end(s);
        sql_session_go_on(s);
    }
}

void sql_waiters_tick(struct sql_side *side, uint64_t now_us, bool housekeeping)
{
    sql_waiters_expire(&side->waiters, now_us, housekeeping);
    LIST_EACH (&side->accounts, link) {
        struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        LIST_EACH (&a->rosters, roster)
            sql_waiters_expire(&LIST_ITEM(roster, struct sql_roster, link)->waiters, now_us,
                               housekeeping);
    }
    if (!list_is_empty(&side->waiters)) {
        worker_be_busy(side->worker);
        sql_primary_waiters_look(side);
        look_for_readers(side);
    }
}
