/* See steward_probes.h.
 *
 * A probe is on the list by endpoint number and, while a thread works on it, `busy`: then only that
 * thread touches what is not under the lock.  A reload makes new probes; those that go on take the
 * connection of the old one along, unless it is busy: that one is freed by its thread. */
#include "proxy/steward_probes.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config/diff.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"
#include "proxy/steward_probe.h"

enum { THREADS_MOST = 8, FIRST_WITHIN_US = 100000, HASTE = 4, REST_US = 50000 };

struct probe {
    struct assembly *assembly; /* counted reference */
    const struct endpoint_settings *endpoint;
    const struct steward_probe *driver;
    void *state; /* the driver's: its connection */
    struct probe_outcome outcome;
    uint64_t due_us; /* lock, as all below */
    uint64_t ended_us;
    bool busy, gone, has_news, hasty, hurried;
};

struct probes {
    struct resolver *resolver; /* borrowed */
    struct mailbox *box;       /* borrowed */
    mail_f *news;
    int cancel_fd; /* readable: all end */
    pthread_t threads[THREADS_MOST];
    uint32_t thread_count; /* the steward's */
    struct {
        pthread_mutex_t lock;
        pthread_cond_t changed;
        struct probe **all; /* lock; by endpoint number, NULL: it is not probed */
        uint32_t count;     /* lock */
        uint32_t random;    /* lock; xorshift */
        bool stopping;      /* lock */
    } shared;
};

static void probe_free(struct probe *p)
{
    p->driver->free(&p->state);
    assembly_unref(&p->assembly);
    free(p);
}

/* ---- drivers ---- */

#define DRIVER(x) extern const struct steward_probe steward_probe_##x;
#include "steward_probes.def"
#undef DRIVER

/* NULL: such endpoints are not probed. */
static const struct steward_probe *steward_probe_find(const struct endpoint_settings *e)
{
    const char *protocol = e->store_path != NULL ? STEWARD_PROBE_EMBEDDED : e->protocol;

#define DRIVER(x) &steward_probe_##x,
    static const struct steward_probe *const ALL[] = {
#include "steward_probes.def"
        NULL
    };
#undef DRIVER

    for (size_t i = 0; ALL[i] != NULL; i++)
        if (strcmp(ALL[i]->protocol, protocol) == 0)
            return ALL[i];
    return NULL;
}

static void probe_now(struct probe *p)
{
    uint64_t deadline_us = clock_now_us() + p->endpoint->pool->health.timeout_ms * 1000;

    p->driver->ask(p->state, deadline_us, &p->outcome);
}

/* ---- threads ---- */

static uint32_t next_random(struct probes *all)
{
    uint32_t x = all->shared.random;

    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return all->shared.random = x;
}

/* +-10 %, so that many proxies do not probe in step. */
static uint64_t interval_us(struct probes *all, const struct probe *p)
{
    uint64_t whole = p->endpoint->pool->health.interval_ms * 1000 / (p->hasty ? HASTE : 1);

    return whole - whole / 10 + next_random(all) % (whole / 5 + 1);
}

static struct probe *next_due(const struct probes *all)
{
    struct probe *next = NULL;

    for (uint32_t i = 0; i < all->shared.count; i++) {
        struct probe *p = all->shared.all[i];

        if (p != NULL && !p->busy && (next == NULL || p->due_us < next->due_us))
            next = p;
    }
    return next;
}

static void wait_for(struct probes *all, const struct probe *next)
{
    struct timespec until;

    if (next == NULL) {
        pthread_cond_wait(&all->shared.changed, &all->shared.lock);
        return;
    }
    until = (struct timespec){ .tv_sec = (time_t)(next->due_us / 1000000),
                               .tv_nsec = (long)(next->due_us % 1000000) * 1000 };
    pthread_cond_timedwait(&all->shared.changed, &all->shared.lock, &until);
}

/* Leaves the lock while it works. */
static void carry_out(struct probes *all, struct probe *p)
{
    p->busy = true;
    pthread_mutex_unlock(&all->shared.lock);
    probe_now(p);
    pthread_mutex_lock(&all->shared.lock);
    p->busy = false;
    if (p->gone) {
        probe_free(p);
        return;
    }
    p->has_news = !all->shared.stopping;
    p->ended_us = clock_now_us();
    p->due_us = p->ended_us + (p->hurried ? REST_US : interval_us(all, p));
    p->hurried = false;
    mailbox_post(all->box, all->news, NULL);
}

static void *run(void *arg)
{
    struct probes *all = arg;

    pthread_mutex_lock(&all->shared.lock);
    while (!all->shared.stopping) {
        struct probe *next = next_due(all);

        if (next == NULL || next->due_us > clock_now_us())
            wait_for(all, next);
        else
            carry_out(all, next);
    }
    pthread_mutex_unlock(&all->shared.lock);
    return NULL;
}

/* ---- for the steward ---- */

enum err probes_start(struct resolver *resolver, struct mailbox *box, mail_f *news,
                      struct probes **out)
{
    struct probes *p;
    pthread_condattr_t attributes;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

    if (fd < 0)
        return ERR_SYSTEM;
    p = mem_new(sizeof(*p));
    p->resolver = resolver;
    p->box = box;
    p->news = news;
    p->cancel_fd = fd;
    p->shared.random = (uint32_t)clock_now_us() | 1;
    pthread_mutex_init(&p->shared.lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&p->shared.changed, &attributes);
    pthread_condattr_destroy(&attributes);
    *out = p;
    return ERR_NONE;
}

static struct probe *probe_new(struct probes *all, struct assembly *assembly, uint32_t number)
{
    const struct endpoint_settings *e = &assembly->snapshot->endpoints[number];
    const struct steward_probe *driver = steward_probe_find(e);
    struct steward_probe_site site = { assembly, e, all->resolver, all->cancel_fd };
    struct probe *p;

    if (!e->pool->health.probe || driver == NULL)
        return NULL;
    p = mem_new(sizeof(*p));
    p->assembly = assembly_ref(assembly);
    p->endpoint = e;
    p->driver = driver;
    p->state = driver->new (&site);
    p->due_us = clock_now_us() + next_random(all) % FIRST_WITHIN_US;
    return p;
}

/* Under the lock.  One that is busy keeps its connection and ends with it. */
static void continue_probe(struct probes *all, struct probe *is, struct probe *was)
{
    if (is == NULL || was == NULL || is->driver != was->driver)
        return;
    is->due_us = was->due_us;
    if (was->busy) {
        is->due_us = clock_now_us() + interval_us(all, is);
        return;
    }
    is->outcome = was->outcome;
    is->driver->continue_from(is->state, was->state);
}

static void forget_all(struct probe **list, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == NULL)
            continue;
        if (list[i]->busy)
            list[i]->gone = true;
        else
            probe_free(list[i]);
    }
    free(list);
}

static void start_threads(struct probes *p, uint32_t wanted)
{
    if (wanted > THREADS_MOST)
        wanted = THREADS_MOST;
    for (; p->thread_count < wanted; p->thread_count++) {
        if (pthread_create(&p->threads[p->thread_count], NULL, run, p) != 0)
            return; /* fewer probe more slowly; the next reload tries again */
        pthread_setname_np(p->threads[p->thread_count], "probe");
    }
}

void probes_follow(struct probes *p, struct assembly *assembly, const uint32_t *was)
{
    uint32_t count = assembly->snapshot->endpoint_count, probed = 0;
    struct probe **list = mem_new(count * sizeof(struct probe *));

    pthread_mutex_lock(&p->shared.lock);
    for (uint32_t i = 0; i < count; i++) {
        list[i] = probe_new(p, assembly, i);
        if (was != NULL && was[i] != DIFF_NONE)
            continue_probe(p, list[i], p->shared.all[was[i]]);
        probed += list[i] != NULL;
    }
    forget_all(p->shared.all, p->shared.count);
    p->shared.all = list;
    p->shared.count = count;
    pthread_cond_broadcast(&p->shared.changed);
    pthread_mutex_unlock(&p->shared.lock);
    start_threads(p, probed);
}

void probes_hasten(struct probes *p, uint32_t endpoint, bool hastily)
{
    struct probe *probe;

    pthread_mutex_lock(&p->shared.lock);
    probe = endpoint < p->shared.count ? p->shared.all[endpoint] : NULL;
    if (probe != NULL && probe->hasty != hastily) {
        uint64_t soon_us;

        probe->hasty = hastily;
        soon_us = clock_now_us() + interval_us(p, probe);
        if (hastily && soon_us < probe->due_us) {
            probe->due_us = soon_us;
            pthread_cond_broadcast(&p->shared.changed);
        }
    }
    pthread_mutex_unlock(&p->shared.lock);
}

void probes_hurry(struct probes *p, uint32_t endpoint)
{
    struct probe *probe;

    pthread_mutex_lock(&p->shared.lock);
    probe = endpoint < p->shared.count ? p->shared.all[endpoint] : NULL;
    if (probe != NULL && probe->busy) {
        probe->hurried = true;
    } else if (probe != NULL && probe->ended_us + REST_US < probe->due_us) {
        probe->due_us = probe->ended_us + REST_US;
        pthread_cond_broadcast(&p->shared.changed);
    }
    pthread_mutex_unlock(&p->shared.lock);
}

bool probes_next(struct probes *p, uint32_t *endpoint, struct probe_outcome *outcome)
{
    bool found = false;

    pthread_mutex_lock(&p->shared.lock);
    for (uint32_t i = 0; i < p->shared.count && !found; i++) {
        struct probe *probe = p->shared.all[i];

        if (probe == NULL || probe->busy || !probe->has_news)
            continue;
        probe->has_news = false;
        *endpoint = i;
        *outcome = probe->outcome;
        found = true;
    }
    pthread_mutex_unlock(&p->shared.lock);
    return found;
}

void probes_stop(struct probes **where)
{
    struct probes *p = *where;
    uint64_t one = 1;

    *where = NULL;
    if (p == NULL)
        return;
    pthread_mutex_lock(&p->shared.lock);
    p->shared.stopping = true;
    pthread_cond_broadcast(&p->shared.changed);
    pthread_mutex_unlock(&p->shared.lock);
    (void)!write(p->cancel_fd, &one, sizeof(one));
    for (uint32_t i = 0; i < p->thread_count; i++)
        pthread_join(p->threads[i], NULL);
    forget_all(p->shared.all, p->shared.count);
    pthread_cond_destroy(&p->shared.changed);
    pthread_mutex_destroy(&p->shared.lock);
    close(p->cancel_fd);
    free(p);
}
