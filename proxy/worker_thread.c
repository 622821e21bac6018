/* See worker_thread.h.  All but the letters' posting runs in the worker's own thread. */
#include "proxy/worker_thread.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "config/diff.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/blob/blob_works.h"
#include "proxy/core/crew.h"
#include "proxy/core/session.h"
#include "proxy/io/listener.h"
#include "proxy/memory/memory_works.h"
#include "proxy/sql/sql_works.h"

struct gate {
    struct worker *worker;
    struct listener *listener;
    uint32_t number; /* in the worker's assembly */
};

static const struct flow_works *const FLOWS[] = {
    [POOL_MEMORY] = &memory_works,
    [POOL_SQL] = &sql_works,
    [POOL_BLOB] = &blob_works,
};

static void follow_flows(struct worker *w)
{
    for (uint32_t i = 0; i < w->flow_count; i++)
        w->flows[i]->follow(w);
}

/* ---- listening ---- */

static void on_accepted(void *arg, int fd, const struct listener_peer *peer)
{
    struct gate *gate = arg;
    struct worker *w = gate->worker;
    const struct listener_settings *settings = &w->assembly->snapshot->listeners[gate->number];

    const struct session_limits *limits = w->flows[settings->pool->kind]->limits(w, gate->number);

    session_open(w, fd, peer, limits,
                 limits->flow->tls_inside ? NULL : w->assembly->listener_tls[gate->number]);
}

static void gate_close(struct gate **gate)
{
    if (*gate == NULL)
        return;
    listener_close(&(*gate)->listener);
    free(*gate);
    *gate = NULL;
}

static void close_gates(struct worker_thread *t)
{
    for (uint32_t i = 0; i < t->gate_count; i++)
        gate_close(&t->gates[i]);
}

/* Gates that go on are only told their new number; what is left of the old ones closes first, while
 * the old configuration still says what their last clients get. */
static struct gate **follow_gates(struct worker_thread *t, const struct posting *p)
{
    struct gate **gates = mem_new(p->listener_count * sizeof(struct gate *));

    for (uint32_t i = 0; i < p->listener_count; i++)
        if (p->fds[i] < 0) {
            gates[i] = t->gates[p->was[i]];
            t->gates[p->was[i]] = NULL;
        }
    close_gates(t);
    return gates;
}

static void open_gates(struct worker_thread *t, const struct posting *p)
{
    for (uint32_t i = 0; i < p->listener_count; i++) {
        if (t->gates[i] == NULL) {
            t->gates[i] = mem_new(sizeof(struct gate));
            t->gates[i]->worker = &t->worker;
            t->gates[i]->listener =
                listener_open(t->worker.base, p->fds[i], on_accepted, t->gates[i]);
        }
        t->gates[i]->number = i;
    }
}

/* ---- letters ---- */

static void posting_free(struct posting *p)
{
    free(p->fds);
    free(p->was);
    free(p);
}

static void follow(void *owner, void *content)
{
    struct worker_thread *t = owner;
    struct posting *p = content;
    struct worker *w = &t->worker;
    struct assembly *old = w->assembly;
    struct gate **gates = follow_gates(t, p);
    sem_t *followed = p->followed;

    free(t->gates);
    t->gates = gates;
    t->gate_count = p->listener_count;
    w->assembly = p->assembly;
    worker_set_limits(w);
    worker_use_ring(w);
    worker_use_time_slice(w);
    follow_flows(w);
    open_gates(t, p);
    assembly_unref(&old);
    posting_free(p);
    sem_post(followed);
}

static void drain(void *owner, void *content)
{
    struct worker_thread *t = owner;
    struct worker *w = &t->worker;

    (void)content;
    w->draining = true;
    close_gates(t);
    LIST_EACH (&w->sessions, link) {
        struct session *s = LIST_ITEM(link, struct session, link);

        if (s->open_requests > 0 && s->limits->flow->session_drains != NULL)
            s->limits->flow->session_drains(s);
        session_wind_down(s, CLOSE_DRAINED);
    }
}

static void stop(void *owner, void *content)
{
    struct worker_thread *t = owner;

    (void)content;
    t->worker.stopped = true; /* when this turn is over */
    LIST_EACH (&t->worker.sessions, link)
        session_send_off(LIST_ITEM(link, struct session, link), CLOSE_DRAIN_CUT);
}

void worker_thread_follow(struct worker_thread *t, struct posting *posting)
{
    mailbox_post(t->box, follow, posting);
}

void worker_thread_drain(struct worker_thread *t)
{
    mailbox_post(t->box, drain, NULL);
}

void worker_thread_stop(struct worker_thread *t)
{
    mailbox_post(t->box, stop, NULL);
}

/* ---- life ---- */

enum err worker_thread_init(struct worker_thread *t, uint32_t index, uint32_t count,
                            struct resolver *resolver, struct posting *posting)
{
    struct worker *w = &t->worker;

    worker_init(w, index, count, posting->assembly);
    w->flows = FLOWS;
    w->flow_count = sizeof(FLOWS) / sizeof(FLOWS[0]);
    for (uint32_t i = 0; i < w->flow_count; i++)
        w->flows[i]->begin(w);
    TRY(mailbox_open(w->base, t, &t->box));
    crew_join(w, t->box);
    TRY(resolve_desk_open(resolver, w->base, &w->desk));
    follow_flows(w);
    t->gates = mem_new(posting->listener_count * sizeof(struct gate *));
    t->gate_count = posting->listener_count;
    open_gates(t, posting);
    posting_free(posting);
    return ERR_NONE;
}

static void *run(void *arg)
{
    struct worker_thread *t = arg;
    struct worker *w = &t->worker;

    worker_use_ring(w);
    worker_use_time_slice(w);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* batch_wait_us is as short as the default slack */
    while (!w->stopped && !(w->draining && w->session_count + w->surplus_count == 0))
        worker_turn(w);
    for (uint32_t i = 0; i < w->flow_count; i++)
        if (w->flows[i]->leave != NULL)
            w->flows[i]->leave(w);
    crew_leave(w);
    mailbox_empty(t->box); /* letters that came before it left go on */
    mailbox_post(t->daemon, t->ended, NULL);
    return NULL;
}

void worker_thread_start(struct worker_thread *t)
{
    char name[16];

    pthread_create(&t->thread, NULL, run, t);
    snprintf(name, sizeof(name), "worker %u", t->worker.index % 1000);
    pthread_setname_np(t->thread, name);
    t->started = true;
}

void worker_thread_join(struct worker_thread *t)
{
    struct worker *w = &t->worker;

    if (t->started)
        pthread_join(t->thread, NULL);
    if (w->base == NULL)
        return;
    close_gates(t);
    free(t->gates);
    crew_leave(w);
    LIST_EACH (&w->sessions, link)
        session_close(LIST_ITEM(link, struct session, link), CLOSE_DRAIN_CUT);
    for (uint32_t i = 0; i < w->flow_count; i++)
        w->flows[i]->end(w);
    if (w->desk != NULL)
        resolve_desk_close(&w->desk);
    mailbox_close(&t->box);
    worker_fini(w);
}
