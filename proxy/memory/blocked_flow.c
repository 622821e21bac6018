/* Upstreams whose sessions wait in a blocking command, and what is done when such a session leaves:
 * the server is told, over another upstream, before anything that could answer the command.
 *
 *     memory_blocked_begin   the command is sent: all who write can see if its client leaves
 *     memory_blocked_leave   its session ended: the server is told, the upstream awaits the answer
 *     memory_blocked_end     the command was answered, or the upstream is lost
 *     memory_blocked_end_wait  another client asked that the session wait no more
 *     memory_blocked_tell    something is about to be sent that may end a wait
 */
#include "proxy/memory/memory_flow.h"

#include <stdlib.h>

/* The command is the last: what stands before it tells the server who else left. */
static bool has_command(const struct memory_upstream *u)
{
    return u->last != NULL && u->last->request->no_deadline;
}

void memory_blocked_begin(struct memory_upstream *u)
{
    if (u->leaver != NULL || u->lessee == NULL || !has_command(u) ||
        u->base.state != UPSTREAM_READY || u->hello.server_id == 0 || u->back->unblock == NULL)
        return;
    u->leaver = leavers_watch(u->shard->leavers, u->lessee->base.conn.fd, u->hello.server_id);
}

void memory_blocked_end(struct memory_upstream *u)
{
    if (u->leaver != NULL && leavers_forget(u->shard->leavers, &u->leaver))
        u->spoilt = true;
}

static void say_unblock(struct memory_session *s, struct memory_upstream *over, uint64_t server_id,
                        bool with_error)
{
    struct memory_request *r = memory_request_new(s);
    struct buf bytes = { 0 };

    over->back->unblock(server_id, with_error, &bytes);
    r->session = NULL;
    memory_attempt_send_unasked(r, over, buf_all(&bytes));
    memory_request_unref(r);
    buf_fini(&bytes);
}

void memory_blocked_tell(struct memory_session *s, struct memory_upstream *over)
{
    size_t found;
    uint64_t *ids;

    if (leavers_count(over->shard->leavers) == 0)
        return;
    ids = leavers_find(over->shard->leavers, &found);
    for (size_t i = 0; i < found; i++)
        say_unblock(s, over, ids[i], false);
    free(ids);
}

bool memory_blocked_leave(struct memory_upstream *u, struct memory_session *s)
{
    struct memory_upstream *other;
    struct memory_refusal refusal = { 0 };

    if (!has_command(u) || u->hello.server_id == 0 || u->back->unblock == NULL || s->route == NULL)
        return false;
    other = memory_upstream_shared(s, u->shard->index);
    if (memory_upstream_refuses(other, &refusal))
        return false;
    if (u->leaver != NULL)
        leavers_note(u->shard->leavers, u->leaver);
    /* The server may be told late, when another's command waits there: so it is not used again. */
    u->spoilt = true;
    say_unblock(s, other, u->hello.server_id, false);
    if (other->base.state ==
        UPSTREAM_DOWN) /* to close `u` would be quicker, and be seen too late */
        upstream_start(&other->base);
    return true;
}

static bool end_wait(struct memory_session *s, struct memory_upstream *u, bool with_error)
{
    struct memory_upstream *over;
    struct memory_refusal refusal = { 0 };

    if (u->leaver == NULL) /* it waits not, or not yet, or its server can't be told */
        return false;
    over = memory_upstream_shared(s, u->shard->index);
    if (memory_upstream_refuses(over, &refusal))
        return false;
    /* The command may be answered before the server hears of it, and then another's would be next.
     */
    u->spoilt = true;
    say_unblock(s, over, u->hello.server_id, with_error);
    if (over->base.state == UPSTREAM_DOWN)
        upstream_start(&over->base);
    return true;
}

bool memory_blocked_end_wait(struct memory_session *s, bool with_error)
{
    bool any = false;

    LIST_EACH (memory_leases(s), link)
        any |= end_wait(s, LIST_ITEM(link, struct memory_upstream, lease_link), with_error);
    return any;
}
