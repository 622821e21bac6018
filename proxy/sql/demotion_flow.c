/* See demotion_flow.h.  A primary that another has taken over from may live on, and take writes: it
 * was cut off, or whoever promoted the other did not end it.  All who have a connection that served
 * while it was the primary are told that this is lost, with what became of what they asked, and
 * begin anew at the other; who waits for one looks there at once.  So is who waits for the answer
 * of a machine that is gone without a word.
 *
 * While there is no other, nothing is ended: it may come back as what it was. */
#include <string.h>

#include "proxy/sql/demotion_flow.h"

static const char WHY[] = "another server is the primary now";

/* Those that an operator drains finish, as long as what they do is not lost by it. */
static bool is_demoted(const struct sql_endpoint *e, const struct board_primary *primary)
{
    const struct board *board = e->side->assembly->board;
    uint32_t number;

    if (!e->present) /* it has no place on the board */
        return false;
    number = e->settings->number;
    if (number == primary->endpoint)
        return false;
    return board_get(board, number).state != VERDICT_DRAINING ||
           board_standing(board, number).timeline < primary->timeline;
}

static bool was_of_primary(const struct sql_upstream *u)
{
    const struct sql_endpoint *e = u->endpoint;

    return u->led ||
           board_fit(e->side->assembly->board, e->settings->number) == STANDING_STALE_PRIMARY;
}

/* What the client hears who has something there that nobody can give him elsewhere. */
static void end_in_use(struct sql_upstream *u)
{
    memcpy(u->sqlstate, "57P01", sizeof(u->sqlstate));
    u->says_why = true;
    upstream_fail(&u->base, u->stood ? ERR_CLOSED : ERR_LOGIN, WHY);
}

static void leave(struct sql_upstream *u)
{
    if (u->lessee != NULL)
        end_in_use(u);
    else if (u->roster != NULL && !u->stood)
        sql_upstream_retire(u);
    else
        sql_upstream_end(u);
}

static void leave_demoted(struct sql_side *side, const struct board_primary *primary)
{
    LIST_EACH (&side->worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);
        struct sql_upstream *u = (struct sql_upstream *)base;

        if (base->flow == &sql_flow && base->state != UPSTREAM_RETIRED &&
            base->state != UPSTREAM_DOWN && u->endpoint->side == side &&
            is_demoted(u->endpoint, primary) && was_of_primary(u))
            leave(u);
    }
}

void sql_demotion_tick(struct sql_side *side, bool housekeeping)
{
    const struct board *board = side->assembly->board;
    struct board_primary primary = board_primary(board, side->settings->base.number);
    bool is_news = primary.epoch != side->demotion_epoch;

    side->demotion_epoch = primary.epoch;
    if (primary.endpoint == BOARD_NONE || (!is_news && !housekeeping))
        return;
    for (uint32_t i = 0; i < side->endpoint_count && is_news; i++)
        if (is_demoted(side->endpoints[i], &primary))
            sql_endpoint_turn_away(side->endpoints[i]);
    leave_demoted(side, &primary);
}

void sql_demotion_look(struct sql_side *side)
{
    if (board_epoch(side->assembly->board, side->settings->base.number) != side->demotion_epoch)
        worker_tick_now(side->worker);
}
