/* Sessions with large replies.
 *
 * On a shared upstream a reply of 10 MiB delays all that come behind it, and a client that reads
 * slowly can't be waited for.  So a session whose replies are large leases an upstream at each
 * shard it uses: its server then waits, by TCP, when the client does not read.  All its requests go
 * there, so their order at each shard is kept; it changes over only while none is under way. */
#include "proxy/memory/memory_flow.h"

bool memory_bulk_follow(struct memory_session *s)
{
    bool wanted = s->reply_bytes >= (s->bulk ? MEMORY_BULK_END_BYTES : MEMORY_BULK_BYTES);

    if (wanted == s->bulk || !list_is_empty(memory_leases(s)) != s->bulk)
        return true; /* nothing to change, or a transaction or subscription holds leases */
    if (s->base.open_requests > 0)
        return false;
    s->bulk = wanted;
    s->bulk_refused = false;
    if (!wanted)
        memory_session_end_leases(s);
    return true;
}

static bool has_lease(const struct memory_session *s, const struct memory_shard *shard)
{
    LIST_EACH (memory_leases(s), link)
        if (LIST_ITEM(link, struct memory_upstream, lease_link)->shard == shard)
            return true;
    return false;
}

struct memory_upstream *memory_bulk_upstream(struct memory_session *s, uint32_t shard,
                                             struct memory_refusal *refusal)
{
    struct memory_upstream *u = NULL;

    if (!s->bulk_refused || has_lease(s, memory_side_of(s)->shards[shard])) {
        u = memory_upstream_lease(s, shard, false, refusal);
        if (u != NULL)
            u->base.pass_to = &s->base;
        if (u != NULL || refusal->err != ERR_AGAIN)
            return u;
        s->bulk_refused = true; /* and stays so: what went over the shared one must stay before */
    }
    u = memory_upstream_shared(s, shard);
    return memory_upstream_refuses(u, refusal) ? NULL : u;
}

/* The upstream that the session waits for first must go on, or nothing would ever be written. */
static bool must_wait(const struct memory_session *s, const struct memory_upstream *u)
{
    uint64_t limit = memory_side_of(s)->window_bytes;

    if (s->base.out.len >= limit)
        return true;
    return s->base.out.len + s->base.held_bytes >= limit && u->first != NULL &&
           u->first->request != s->first;
}

void memory_bulk_throttle(struct memory_session *s)
{
    bool any = false;

    LIST_EACH (memory_leases(s), link) {
        struct memory_upstream *u = LIST_ITEM(link, struct memory_upstream, lease_link);
        bool wait = must_wait(s, u);

        upstream_pause(&u->base, wait);
        any = any || wait;
    }
    s->base.throttled = any;
}
