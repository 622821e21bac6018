/* Upstreams that move from one worker to another.  A budget is the process's; so a worker whose
 * sessions wait may find that others hold all of it.  It writes to them; who has upstreams that
 * are idle, or whose own sessions wait clearly less, sends over what becomes free.  Where all wait
 * about as long, nothing moves: a move costs more than a statement.  What is prepared there stays
 * known by numbers that no two workers give.
 *
 *     wanting worker                            the others
 *     sql_move_ask() --wish--> each             roster->wish_*; sql_move_give() when one is free,
 *                                               sql_move_off() when that turn ends
 *                    <--parcel--                the upstream, with what is set on it
 *
 * It is the only object that ever changes worker, and only while it is nobody's. */
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/sql/lease_flow.h"
#include "proxy/sql/move_flow.h"

enum {
    WISH_LIFE_US = 40 * 1000, /* it is made again after half of that, if it still holds */
    MOVE_AFTER_US = 2000,     /* who has waited less may soon be served where he is */
};

/* Whose rosters are meant, in all workers. */
struct roster_name {
    char *pool, *identity, *database, *user; /* owned */
};

struct wish {
    struct roster_name name;
    uint32_t from, count;
    uint64_t age_us;
};

struct parcel {
    struct roster_name name;
    struct sql_upstream *upstream; /* owned; of no worker */
    struct buf settings, reported; /* pairs of terminated texts; owned */
};

static struct roster_name name_of(const struct sql_roster *roster)
{
    const struct sql_account *a = roster->account;

    return (struct roster_name){ mem_text(a->side->name), mem_text(roster->endpoint->identity),
                                 mem_text(a->database), mem_text(a->user) };
}

static void forget_name(struct roster_name *name)
{
    free(name->pool);
    free(name->identity);
    free(name->database);
    free(name->user);
}

static struct sql_endpoint *find_endpoint(struct sql_side *side, const char *identity)
{
    for (uint32_t i = 0; i < side->endpoint_count; i++)
        if (strcmp(side->endpoints[i]->identity, identity) == 0)
            return side->endpoints[i];
    return NULL;
}

/* NULL: there is no such pool or endpoint here (any more), or, unless it is to be made, nobody of
 * this account was here. */
static struct sql_roster *find_roster(struct worker *w, const struct roster_name *name, bool make)
{
    struct sql_side *side = sql_side_find(w, name->pool);
    struct sql_endpoint *e = side == NULL ? NULL : find_endpoint(side, name->identity);

    if (e == NULL || side->gone)
        return NULL;
    if (make)
        return sql_roster_of(
            sql_account_find(side, slice_text(name->database), slice_text(name->user)), e);
    LIST_EACH (&side->accounts, link) {
        struct sql_account *a = LIST_ITEM(link, struct sql_account, link);

        if (strcmp(a->database, name->database) != 0 || strcmp(a->user, name->user) != 0)
            continue;
        LIST_EACH (&a->rosters, roster)
            if (LIST_ITEM(roster, struct sql_roster, link)->endpoint == e)
                return LIST_ITEM(roster, struct sql_roster, link);
    }
    return NULL;
}

/* ---- wishes ---- */

static void take_wish(struct worker *w, void *content)
{
    struct wish *wish = content;
    struct sql_roster *roster = find_roster(w, &wish->name, false);

    if (roster != NULL) {
        roster->wish_from = wish->from;
        roster->wish_count = wish->count;
        roster->wish_age_us = wish->age_us;
        roster->wish_at_us = worker_now_us(w);
        sql_move_give_idle(roster);
    }
    forget_name(&wish->name);
    free(wish);
}

void sql_move_ask(struct sql_roster *roster)
{
    struct worker *w = roster->account->side->worker;
    uint64_t now_us = worker_now_us(w);
    const struct sql_session *first = sql_roster_next(roster);

    if (w->count == 1 || first == NULL || now_us < roster->asked_until_us)
        return;
    roster->asked_until_us = now_us + WISH_LIFE_US / 2;
    for (uint32_t i = 0; i < w->count; i++) {
        struct wish *wish;

        if (i == w->index)
            continue;
        wish = mem_new(sizeof(*wish));
        wish->name = name_of(roster);
        wish->from = w->index;
        wish->count = roster->waiter_count;
        wish->age_us = now_us - first->wait_since_us;
        if (!crew_send(i, take_wish, wish)) {
            forget_name(&wish->name);
            free(wish);
        }
    }
}

/* ---- parcels ---- */

static void put_text(struct buf *out, struct slice text)
{
    buf_slice(out, text);
    buf_put(out, "", 1);
}

static struct slice next_text(struct slice *rest)
{
    struct slice text = slice_of(rest->at, strnlen((const char *)rest->at, rest->len));

    *rest = slice_from(*rest, text.len + 1);
    return text;
}

/* What is set there, in this worker's own vectors. */
static bool unpack(struct sql_upstream *u, const struct parcel *parcel)
{
    struct pg_settings_pool *interned = u->endpoint->side->interned;
    struct slice rest = buf_all(&parcel->reported), name;

    while (rest.len > 0) {
        name = next_text(&rest);
        pg_settings_report(interned, &u->reported, name, next_text(&rest));
    }
    for (rest = buf_all(&parcel->settings); rest.len > 0;) {
        name = next_text(&rest);
        if (pg_settings_set(interned, &u->settings, name, next_text(&rest)) != ERR_NONE)
            return false;
    }
    return true;
}

static void receive(struct worker *w, void *content)
{
    struct parcel *parcel = content;
    struct sql_upstream *u = parcel->upstream;
    struct sql_roster *roster = find_roster(w, &parcel->name, true);

    if (roster == NULL) { /* the configuration changed meanwhile */
        upstream_immigrate(&u->base, w);
        sql_budgets_give(u->budgets);
        pg_prepared_fini(&u->prepared);
        upstream_retire(&u->base);
    } else {
        u->roster = roster;
        u->account = roster->account;
        u->endpoint = roster->endpoint;
        sql_budgets_unref(u->budgets);
        u->budgets = (struct sql_budgets){ 0 };
        roster->open++;
        u->endpoint->upstreams++;
        counter_add(&u->endpoint->stats->upstreams_open, 1);
        upstream_immigrate(&u->base, w);
        upstream_adopt(&u->base, u->endpoint->side->assembly, u->endpoint->settings);
        u->ending = u->born_us < u->endpoint->side->reconnect_us; /* it was on its way then */
        if (unpack(u, parcel))
            sql_upstream_is_free(u);
        else
            sql_upstream_close(u);
    }
    forget_name(&parcel->name);
    buf_fini(&parcel->settings);
    buf_fini(&parcel->reported);
    free(parcel);
}

static void pack(const struct pg_settings *v, struct buf *out)
{
    for (size_t i = 0; i < pg_settings_count(v); i++) {
        struct pg_setting one = pg_settings_at(v, i);

        put_text(out, one.name);
        put_text(out, one.value);
    }
}

/* Nobody is there to be answered: what is left of that need not go along. */
static void lighten(struct sql_upstream *u)
{
    pg_expect_fini(&u->expect);
    buf_fini(&u->kept);
    buf_fini(&u->held);
    buf_fini(&u->failure);
}

/* Off it goes. */
static void hand_over(struct sql_upstream *u, uint32_t to)
{
    struct sql_roster *roster = u->roster;
    struct pg_settings_pool *interned = u->endpoint->side->interned;
    struct worker *w = u->base.worker;
    struct parcel *parcel = mem_new(sizeof(*parcel));

    parcel->name = name_of(roster);
    parcel->upstream = u;
    pack(u->settings, &parcel->settings);
    pack(u->reported, &parcel->reported);
    pg_settings_unref(interned, &u->settings);
    pg_settings_unref(interned, &u->reported);
    u->budgets =
        (struct sql_budgets){ roster->budget, roster->database_budget, roster->user_budget };
    sql_budgets_ref(u->budgets);
    lighten(u);
    list_remove(&u->idle_link);
    roster->open--;
    u->endpoint->upstreams--;
    counter_sub(&u->endpoint->stats->upstreams_open, 1);
    u->roster = NULL;
    upstream_emigrate(&u->base);
    if (crew_send(to, receive, parcel))
        return;
    receive(w, parcel); /* that worker has gone: it stays */
}

/* Nobody waits for it here: it goes if it was idle for a moment, or they have waited. */
static bool may_go(const struct sql_upstream *u, uint64_t now_us)
{
    const struct sql_roster *roster = u->roster;

    return (list_is_linked(&u->idle_link) && now_us - u->idle_since_us >= MOVE_AFTER_US) ||
           now_us - roster->wish_at_us + roster->wish_age_us >= MOVE_AFTER_US;
}

/* Those who wait here would have had it next. */
static bool is_needed_more(const struct sql_roster *roster, uint64_t age_us)
{
    return roster->wish_age_us > age_us + age_us / 2 + MOVE_AFTER_US;
}

bool sql_move_give(struct sql_upstream *u)
{
    struct sql_roster *roster = u->roster;
    uint64_t now_us = worker_now_us(u->base.worker);
    const struct sql_session *first;

    if (roster->wish_count == 0 || !upstream_may_emigrate(&u->base))
        return false;
    if (now_us - roster->wish_at_us > WISH_LIFE_US) {
        roster->wish_count = 0;
        return false;
    }
    first = sql_roster_next(roster);
    if (first == NULL ? !may_go(u, now_us) : !is_needed_more(roster, now_us - first->wait_since_us))
        return false;
    roster->wish_count = first == NULL ? roster->wish_count - 1 : 0;
    u->departs_to = roster->wish_from;
    list_remove(&u->idle_link);
    list_append(&sql_works_of(u->base.worker)->departing, &u->idle_link);
    return true;
}

void sql_move_give_idle(struct sql_roster *roster)
{
    while (roster->wish_count > 0 && !list_is_empty(&roster->idle))
        if (!sql_move_give(LIST_ITEM(roster->idle.prev, struct sql_upstream, idle_link)))
            return;
}

/* Not before the turn ends: whoever found it free may be in the midst of reading from it. */
void sql_move_off(struct worker *w)
{
    struct list *link;

    while ((link = list_first(&sql_works_of(w)->departing)) != NULL) {
        struct sql_upstream *u = LIST_ITEM(link, struct sql_upstream, idle_link);

        list_remove(link);
        if (upstream_may_emigrate(&u->base))
            hand_over(u, u->departs_to);
        else
            sql_upstream_is_free(u);
    }
}
