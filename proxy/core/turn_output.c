/* See turn_output.h.  While writes are being gathered no flow is called: one could close what was
 * gathered before.  For the same reason each chain is told what was taken of it before any flow
 * hears of a result. */
#include "proxy/core/turn_output.h"

#include "proxy/core/session.h"
#include "proxy/core/upstream.h"
#include "proxy/core/worker.h"

/* What one of them has to write, as it lies in the ring. */
struct turn_write {
    struct upstream *upstream; /* or */
    struct session *session;
    uint32_t number; /* in the ring */
    size_t bytes, put;
    enum err err;
};

struct turn_writes {
    struct turn_write item[RING_MOST];
    uint32_t count;
};

/* False: it is too long for that. */
static bool gather(struct ring *r, struct turn_writes *writes, int fd, const struct chain *out)
{
    struct turn_write *write = &writes->item[writes->count];
    struct iovec places[RING_PLACES];
    int n = chain_peek(out, places, RING_PLACES);
    size_t bytes = conn_places_bytes(places, n);

    if (bytes < out->len)
        return false;
    *write = (struct turn_write){ .number = ring_send(r, fd, places, n), .bytes = bytes };
    writes->count++;
    return true;
}

static void gather_upstreams(struct ring *r, struct turn_writes *writes, struct list *upstreams)
{
    LIST_EACH (upstreams, link) {
        struct upstream *u = LIST_ITEM(link, struct upstream, flush);

        if (!ring_has_room(r))
            return;
        if (!upstream_offers(u) || !gather(r, writes, u->conn.fd, &u->out))
            continue;
        writes->item[writes->count - 1].upstream = u;
        list_remove(link);
    }
}

static void gather_sessions(struct ring *r, struct turn_writes *writes, struct list *sessions)
{
    LIST_EACH (sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, due);

        if (!ring_has_room(r))
            return;
        if (!session_offers(s) || !gather(r, writes, s->conn.fd, &s->out))
            continue;
        writes->item[writes->count - 1].session = s;
        list_remove(link);
    }
}

static void take_results(const struct ring *r, struct turn_writes *writes)
{
    for (uint32_t i = 0; i < writes->count; i++) {
        struct turn_write *write = &writes->item[i];

        write->err = conn_was_written(ring_result(r, write->number), &write->put);
        if (write->upstream != NULL)
            upstream_took(write->upstream, write->put);
        else
            session_took(write->session, write->put);
    }
}

static void session_comes_again(struct session *s)
{
    if (session_wants_feed(s))
        session_wants_flush(s);
}

static void tell_results(const struct turn_writes *writes)
{
    for (uint32_t i = 0; i < writes->count; i++) {
        const struct turn_write *write = &writes->item[i];
        bool all = write->put == write->bytes;

        if (write->upstream != NULL) {
            upstream_flushed(write->upstream, write->err, all);
        } else {
            session_flushed(write->session, write->err, all);
            session_comes_again(write->session);
        }
    }
}

/* What is left in the lists goes alone. */
static void write_together(struct worker *w, struct list *upstreams, struct list *sessions)
{
    struct turn_writes writes;

    do {
        writes.count = 0;
        gather_upstreams(&w->ring, &writes, upstreams);
        gather_sessions(&w->ring, &writes, sessions);
        ring_submit(&w->ring);
        take_results(&w->ring, &writes);
        tell_results(&writes);
    } while (writes.count == RING_MOST);
}

/* One alone is written as well without. */
static bool are_several(const struct list *upstreams, const struct list *sessions)
{
    const struct list *most = list_is_empty(upstreams) ? sessions : upstreams;

    return most->next != most->prev || (most == upstreams && !list_is_empty(sessions));
}

void turn_output(struct worker *w, struct list *upstreams, struct list *sessions)
{
    struct list *link;

    if (w->ring.fd >= 0 && are_several(upstreams, sessions))
        write_together(w, upstreams, sessions);
    while ((link = list_first(upstreams)) != NULL) { /* some come again, in the next turn */
        list_remove(link);
        upstream_flush(LIST_ITEM(link, struct upstream, flush));
    }
    while ((link = list_first(sessions)) != NULL) {
        struct session *s = LIST_ITEM(link, struct session, due);

        list_remove(link);
        session_flush(s);
        session_comes_again(s);
    }
}
