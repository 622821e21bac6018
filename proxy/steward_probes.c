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
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/io/dial.h"
#include "shard/stamp.h"

enum { THREADS_MOST = 8, INFO_EVERY = 10 /* probes */, FIRST_WITHIN_US = 100000 };

struct probe {
    struct assembly *assembly; /* counted reference */
    const struct endpoint_settings *endpoint;
    struct dial *dial; /* NULL: not connected */
    struct probe_outcome outcome;
    char *stamp;                  /* owned; NULL: off */
    struct probe_redis_mark mark; /* of it */
    uint32_t rounds;
    uint64_t due_us; /* lock, as all below */
    bool busy, gone, has_news;
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
    dial_close(&p->dial);
    assembly_unref(&p->assembly);
    free(p->stamp);
    free(p);
}

/* ---- one probe ---- */

static struct probe_stream stream_of(const struct probe *p)
{
    return (struct probe_stream){ .state = p->dial, .read = dial_read, .write = dial_write };
}

/* Upstreams that stand do not see that the stamp went, by a FLUSHALL past Sheaf or in a script; but
 * the next start must find it. */
static void keep_stamp(struct probe *p, const struct probe_stream *stream, uint64_t deadline_us)
{
    if (p->stamp == NULL || p->outcome.reason != HEALTH_FINE)
        return;
    if (probe_redis_keep_mark(stream, &p->mark, deadline_us, &p->outcome))
        log_event(LOG_WARN, "the stamp was gone and is written again",
                  log_text("endpoint", p->endpoint->name),
                  log_text("pool", p->endpoint->pool->name),
                  log_number("shard", p->endpoint->shard));
}

static void check(struct probe *p, bool with_info, uint64_t deadline_us)
{
    struct probe_stream stream = stream_of(p);

    probe_redis_check(&stream, with_info, deadline_us, &p->outcome);
    if (with_info)
        keep_stamp(p, &stream, deadline_us);
}

static void note_no_connection(struct probe *p, enum err err, const struct buf *why)
{
    p->outcome =
        (struct probe_outcome){ .reason = reason_of_err(err, true), .info = p->outcome.info };
    snprintf(p->outcome.text, sizeof(p->outcome.text), "%.*s", (int)why->len,
             (const char *)why->at);
}

static enum err connect_to(const struct probes *all, struct probe *p, uint64_t deadline_us)
{
    const struct endpoint_settings *e = p->endpoint;
    struct dial_options options = { .host = e->address.host,
                                    .port = e->address.port,
                                    .unix_path = e->address.path,
                                    .resolver = all->resolver,
                                    .tls = p->assembly->endpoint_tls[e->number],
                                    .server_name = e->tls.server_name,
                                    .cancel_fd = all->cancel_fd };
    struct buf why = { 0 };
    enum err err = dial_open(&options, deadline_us, &p->dial, &why);

    if (err != ERR_NONE)
        note_no_connection(p, err, &why);
    buf_fini(&why);
    return err;
}

/* A new connection, with login and a look at INFO. */
static void probe_anew(const struct probes *all, struct probe *p, uint64_t deadline_us)
{
    struct probe_redis_login login = { .user = p->endpoint->user,
                                       .password = p->endpoint->password,
                                       .db = p->endpoint->database };
    struct probe_info info = p->outcome.info;
    struct probe_stream stream;

    if (connect_to(all, p, deadline_us) != ERR_NONE)
        return;
    stream = stream_of(p);
    probe_redis_login(&stream, &login, deadline_us, &p->outcome);
    p->outcome.info = info;
    if (p->outcome.connection_is_good && p->outcome.reason == HEALTH_FINE)
        check(p, true, deadline_us);
}

/* A kept connection that the server closed in between says nothing of its health. */
static void probe_now(const struct probes *all, struct probe *p)
{
    uint64_t deadline_us = clock_now_us() + p->endpoint->pool->health.timeout_ms * 1000;

    if (p->dial != NULL) {
        check(p, ++p->rounds % INFO_EVERY == 0, deadline_us);
        if (!p->outcome.connection_is_good)
            dial_close(&p->dial);
        if (p->outcome.reason != HEALTH_CLOSED)
            return;
    }
    probe_anew(all, p, deadline_us);
    if (!p->outcome.connection_is_good)
        dial_close(&p->dial);
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
    uint64_t whole = p->endpoint->pool->health.interval_ms * 1000;

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
    probe_now(all, p);
    pthread_mutex_lock(&all->shared.lock);
    p->busy = false;
    if (p->gone) {
        probe_free(p);
        return;
    }
    p->has_news = !all->shared.stopping;
    p->due_us = clock_now_us() + interval_us(all, p);
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
    struct slice stamp = buf_all(&assembly->stamps[number]);
    struct probe *p;

    if (!e->pool->health.probe || strcmp(e->protocol, "redis") != 0)
        return NULL;
    p = mem_new(sizeof(*p));
    p->assembly = assembly_ref(assembly);
    p->endpoint = e;
    if (stamp.len > 0)
        p->stamp = mem_text_of(stamp.at, stamp.len);
    p->mark = (struct probe_redis_mark){ .key = SHARD_STAMP_KEY, .text = p->stamp };
    p->due_us = clock_now_us() + next_random(all) % FIRST_WITHIN_US;
    return p;
}

/* Under the lock.  One that is busy keeps its connection and ends with it. */
static void continue_probe(struct probes *all, struct probe *is, struct probe *was)
{
    if (is == NULL || was == NULL)
        return;
    is->due_us = was->due_us;
    if (was->busy) {
        is->due_us = clock_now_us() + interval_us(all, is);
        return;
    }
    is->dial = was->dial;
    is->outcome = was->outcome;
    is->rounds = was->rounds;
    is->mark.was_there = was->mark.was_there && is->stamp != NULL && was->stamp != NULL &&
                         strcmp(is->stamp, was->stamp) == 0;
    was->dial = NULL;
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
