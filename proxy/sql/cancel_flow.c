/* Requests to cancel.  The keys that clients are given are ours: a process number that tells the
 * worker, and 32 random bits.  A request finds its session, wherever it is; if that has something
 * under way at a server, the server is asked on a connection of its own, with its own key.
 * Until that connection is through, the upstream is not given to anybody else: so a late cancel
 * never meets another session's statement. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/sql/cancel_flow.h"
#include "proxy/sql/sql_flow.h"

/* A connection that carries one request. */
struct canceller {
    struct upstream base;        /* first */
    struct sql_upstream *target; /* borrowed; NULL: it is gone */
    uint32_t pid, secret;
    struct cancel_letter *asked; /* owned: who waits for it; NULL: nobody */
    bool asks_tls;
};

struct cancel_letter {
    uint32_t pid, secret;
    uint32_t from;    /* a worker, and its session that asks */
    uint64_t session; /* by id */
};

/* ---- who asked ---- */

static void let_go_here(struct worker *w, void *content)
{
    struct cancel_letter *letter = content;

    LIST_EACH (&w->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->id == letter->session && s->limits->flow == &sql_flow)
            session_finish(s, CLOSE_CLIENT_QUIT);
    }
    free(letter);
}

/* The client may go on: as PostgreSQL, we close its request when that was dealt with, so that
 * what it sends next to the one that was meant comes behind it. */
static void let_go(struct worker *w, struct cancel_letter *letter)
{
    if (letter->from == w->index)
        let_go_here(w, letter);
    else if (!crew_send(letter->from, let_go_here, letter))
        free(letter);
}

/* ---- keys ---- */

void sql_cancel_key(struct sql_session *s)
{
    struct worker *w = s->base.worker;
    uint32_t random[2];

    if (getrandom(random, sizeof(random), 0) != sizeof(random))
        random[0] = worker_random(w); /* before the system has any: not guessable from outside */
    random[0] &= 0x7fffffff;
    s->key_pid = random[0] - random[0] % w->count + w->index;
    s->key_secret = random[1];
}

/* ---- the request's own connection ---- */

static void say(struct canceller *c)
{
    struct buf out = { 0 };

    pg_put_cancel(&out, c->pid, slice_of(&c->secret, sizeof(c->secret)));
    upstream_say(&c->base, buf_all(&out));
    buf_fini(&out);
}

static void connected(struct upstream *base)
{
    struct canceller *c = (struct canceller *)base;
    struct buf out = { 0 };

    if (base->conn.tls != NULL || base->endpoint->tls.need == TLS_NEED_OFF ||
        base->endpoint->address.path != NULL) {
        say(c);
        return;
    }
    c->asks_tls = true;
    pg_put_ssl_request(&out);
    upstream_say(base, buf_all(&out));
    buf_fini(&out);
}

static size_t input(struct upstream *base, struct slice in)
{
    struct canceller *c = (struct canceller *)base;

    if (!c->asks_tls)
        return in.len;
    c->asks_tls = false;
    if (in.at[0] == 'S' && in.len == 1)
        upstream_secure(base);
    else if (base->endpoint->tls.need == TLS_NEED_ALLOW)
        say(c);
    else
        upstream_fail(base, ERR_TLS, "the server does not speak TLS");
    return in.len;
}

static void lost(struct upstream *base, enum err err, const char *why)
{
    struct canceller *c = (struct canceller *)base;
    struct sql_upstream *u = c->target;

    (void)err;
    (void)why;
    if (c->asked != NULL)
        let_go(base->worker, c->asked);
    c->asked = NULL;
    upstream_retire(base);
    if (u == NULL)
        return;
    u->cancels--;
    if (u->cancels == 0 && u->awaits_cancel) {
        u->awaits_cancel = false;
        sql_upstream_is_free(u);
    }
}

static void passed(struct upstream *base, size_t len)
{
    (void)base;
    (void)len;
}

static const struct flow cancel_flow = {
    .name = "sql cancel",
    .tls_inside = true,
    .upstream_connected = connected,
    .upstream_input = input,
    .upstream_passed = passed,
    .upstream_lost = lost,
};

static struct canceller *canceller_of(struct sql_upstream *u)
{
    struct canceller *c;

    if (u->key_pid == 0 || u->base.state != UPSTREAM_READY)
        return NULL;
    c = (struct canceller *)upstream_new(u->base.worker, sizeof(*c), &cancel_flow, u->base.assembly,
                                         u->base.endpoint);
    c->target = u;
    c->pid = u->key_pid;
    c->secret = u->key_secret;
    u->cancels++;
    upstream_start(&c->base);
    return c;
}

void sql_cancel_upstream(struct sql_upstream *u)
{
    (void)canceller_of(u);
}

void sql_cancel_if_due(struct sql_upstream *u)
{
    if (u->cancel_due)
        sql_cancel_upstream(u);
    u->cancel_due = false;
}

/* The upstream is gone: its cancellers go on without it. */
void sql_cancel_forget(struct sql_upstream *u)
{
    if (u->cancels == 0)
        return;
    LIST_EACH (&u->base.worker->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (base->flow == &cancel_flow && ((struct canceller *)base)->target == u)
            ((struct canceller *)base)->target = NULL;
    }
    u->cancels = 0;
}

void sql_cancel_end(struct worker *w)
{
    LIST_EACH (&w->upstreams, link) {
        struct upstream *base = LIST_ITEM(link, struct upstream, link);

        if (base->flow != &cancel_flow)
            continue;
        free(((struct canceller *)base)->asked);
        ((struct canceller *)base)->asked = NULL;
        upstream_retire(base);
    }
}

/* ---- finding who is meant ---- */

/* A probe, the mark of a COMMIT, what a BEGIN would be. */
static bool answers_sheaf(const struct sql_upstream *u)
{
    const struct pg_expected *head = pg_expect_head(&u->expect);

    return head != NULL && (head->note & SQL_NOTE_PROBE);
}

/* True: the letter is kept until the server had it. */
static bool cancel(struct sql_session *s, struct cancel_letter *letter)
{
    struct sql_upstream *u = s->lease;
    struct canceller *c = NULL;

    if (s->waits == SQL_WAITS_COMMIT)
        return false; /* it is not undone by that */
    if (s->waits != SQL_WAITS_NOT)
        sql_session_fail_exchange(s, "57014", "canceling statement due to user request");
    else if (u != NULL && (u->probing || answers_sheaf(u)))
        u->cancel_due = u->expect.count > 1; /* what is meant comes behind our own question */
    else if (u != NULL && (s->stage == SQL_TUNNEL || !pg_expect_is_empty(&u->expect)))
        c = canceller_of(u);
    if (c != NULL)
        c->asked = letter;
    return c != NULL;
}

/* Wrong secrets must not be told from wrong numbers by the time it takes. */
static bool is_meant(const struct sql_session *s, const struct cancel_letter *letter)
{
    return (s->stage == SQL_READY || s->stage == SQL_TUNNEL) &&
           ((s->key_pid ^ letter->pid) | (s->key_secret ^ letter->secret)) == 0;
}

static void cancel_here(struct worker *w, void *content)
{
    struct cancel_letter *letter = content;
    bool is_kept = false;

    LIST_EACH (&w->sessions, link) {
        struct session *base = LIST_ITEM(link, struct session, link);

        if (base->limits->flow != &sql_flow || base->state == SESSION_CLOSING ||
            !is_meant((struct sql_session *)base, letter))
            continue;
        is_kept = cancel((struct sql_session *)base, letter);
        break;
    }
    if (!is_kept)
        let_go(w, letter);
}

void sql_cancel_ask(struct sql_session *s, uint32_t pid, struct slice secret)
{
    struct worker *w = s->base.worker;
    struct cancel_letter *letter;

    if (secret.len != sizeof(letter->secret)) {
        session_finish(&s->base, CLOSE_CLIENT_QUIT);
        return;
    }
    letter = mem_new(sizeof(*letter));
    letter->from = w->index;
    letter->session = s->base.id;
    letter->pid = pid;
    memcpy(&letter->secret, secret.at, sizeof(letter->secret));
    if (pid % w->count == w->index)
        cancel_here(w, letter);
    else if (!crew_send(pid % w->count, cancel_here, letter))
        let_go(w, letter);
}
