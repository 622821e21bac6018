/* See steward.h.  News come from three sides: tick() once a second with what requests met, probed()
 * with what probes found, steward_drain() with what the operator wants.  Each ends in publish(),
 * which puts the verdict on the board and logs a change; what verdicts mean for an SQL pool is then
 * for steward_clusters.h. */
#include "proxy/steward.h"

#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config/diff.h"
#include "proxy/admin.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/daemon.h"
#include "proxy/steward_clusters.h"
#include "proxy/steward_keys.h"
#include "proxy/steward_keys_service.h"
#include "proxy/steward_probes.h"
#include "proxy/steward_samples.h"

/* One endpoint of the configuration. */
struct watch {
    struct judge judge;
    struct tally_seen seen;  /* of this assembly's sheets */
    enum verdict_state told; /* in the log */
    bool is_probed;
    uint64_t probed_us;
    struct probe_outcome outcome;
};

struct steward {
    struct daemon *daemon;     /* borrowed */
    struct assembly *assembly; /* counted reference */
    struct watch *watches;     /* by endpoint number */
    struct probes *probes;
    struct clusters *clusters; /* of SQL pools */
    struct samples *samples;
    struct steward_keys *keys;
    struct keys_service *keys_service;
    struct mailbox *box;
    int bell_fd; /* rung by workers, see board.h */
    struct event *tick, *bell;
    struct admin *admin;
    uint32_t random;
};

static uint32_t next_random(struct steward *s)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 17;
    s->random ^= s->random << 5;
    return s->random;
}

/* ---- verdicts ---- */

static void log_change(const struct endpoint_settings *e, const struct watch *w,
                       const struct verdict *now)
{
    bool is_down = now->state == VERDICT_DOWN;
    const char *words = is_down && w->outcome.reason == now->reason ? w->outcome.text : "";

    log_event(is_down ? LOG_WARN : LOG_INFO, "endpoint changed", log_text("endpoint", e->name),
              log_text("pool", e->pool->name), log_number("shard", e->shard),
              log_text("from", judge_state_name(w->told)),
              log_text("to", judge_state_name(now->state)),
              log_text("reason", now->reason == HEALTH_FINE ? "" : reason_text(now->reason)),
              log_text("text", words));
}

static void publish(struct steward *s, uint32_t number)
{
    struct watch *w = &s->watches[number];
    struct verdict verdict = judge_verdict(&w->judge, clock_now_us() / 1000);

    board_put(s->assembly->board, number, &verdict);
    /* Half-open is a trial on the way up, or down again: its outcome is told. */
    if (verdict.state == w->told || verdict.state == VERDICT_HALF_OPEN)
        return;
    log_change(&s->assembly->snapshot->endpoints[number], w, &verdict);
    w->told = verdict.state;
}

static struct judge_settings settings_of(const struct endpoint_settings *e)
{
    const struct pool_settings *pool = e->pool;
    const struct health_settings *h = &pool->health;
    uint64_t most_ms = pool->backoff_max_ms;

    return (struct judge_settings){
        .rise = h->rise,
        .fall = h->fall,
        .breaker_failures = h->breaker_failures,
        .backoff_first_ms = (uint32_t)h->breaker_open_ms,
        .slow_start_ms = (uint32_t)h->slow_start_ms,
        .backoff_most_ms = (uint32_t)(most_ms > h->breaker_open_ms ? most_ms : h->breaker_open_ms),
    };
}

/* ---- news ---- */

/* A pool looks at all of its servers together; where much is about to change, they are asked more
 * often. */
static void judge_pool(struct steward *s, const struct pool_settings *pool)
{
    if (pool->kind != POOL_SQL)
        return;
    clusters_judge(s->clusters, pool->number);
    for (uint32_t i = 0; i < pool->endpoint_count; i++) {
        uint32_t number = pool->endpoints[i]->number;

        probes_hasten(s->probes, number, clusters_is_unsettled(s->clusters, number));
    }
}

static void judge_traffic(struct steward *s)
{
    const struct assembly *a = s->assembly;
    uint64_t now_ms = clock_now_us() / 1000;

    for (uint32_t i = 0; i < a->snapshot->endpoint_count; i++) {
        struct watch *w = &s->watches[i];
        struct judge_tally tally;

        tally_collect(a->tallies, a->workers, i, &w->seen, &tally);
        judge_tally(&w->judge, now_ms, &tally, next_random(s));
        publish(s, i);
    }
    for (uint32_t i = 0; i < a->snapshot->pool_count; i++)
        judge_pool(s, a->snapshot->pools[i]);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
    struct steward *s = arg;

    (void)fd;
    (void)what;
    samples_take(s->samples, clock_now_us());
    judge_traffic(s);
    steward_keys_tick(s->keys);
    admin_tick(s->admin);
}

/* A letter from the probes. */
static void probed(void *owner, void *content)
{
    struct steward *s = owner;
    struct probe_outcome outcome;
    uint32_t number;

    (void)content;
    while (probes_next(s->probes, &number, &outcome)) {
        struct watch *w = &s->watches[number];
        uint64_t now_us = clock_now_us();

        w->outcome = outcome;
        w->is_probed = true;
        w->probed_us = now_us;
        judge_probe(&w->judge, now_us / 1000, outcome.reason, next_random(s));
        publish(s, number);
        clusters_probed(s->clusters, number, &outcome);
        judge_pool(s, s->assembly->snapshot->endpoints[number].pool);
    }
}

/* Workers met what is not on the board yet. */
static void rung(evutil_socket_t fd, short what, void *arg)
{
    struct steward *s = arg;
    const struct snapshot *snapshot = s->assembly->snapshot;
    uint64_t ignored;

    (void)what;
    (void)!read(fd, &ignored, sizeof(ignored));
    for (uint32_t i = 0; i < snapshot->pool_count; i++) {
        const struct pool_settings *pool = snapshot->pools[i];

        if (!board_was_rung(s->assembly->board, i))
            continue;
        for (uint32_t k = 0; k < pool->endpoint_count; k++)
            probes_hurry(s->probes, pool->endpoints[k]->number);
    }
}

bool steward_drain(struct steward *s, uint32_t number, bool draining)
{
    bool changed = judge_drain(&s->watches[number].judge, clock_now_us() / 1000, draining);

    publish(s, number);
    judge_pool(s, s->assembly->snapshot->endpoints[number].pool);
    return changed;
}

struct steward_endpoint steward_endpoint(const struct steward *s, uint32_t number)
{
    const struct watch *w = &s->watches[number];

    return (struct steward_endpoint){ .verdict = judge_verdict(&w->judge, clock_now_us() / 1000),
                                      .is_drained = w->judge.draining,
                                      .is_probed = w->is_probed,
                                      .probed_us = w->probed_us,
                                      .probe = &w->outcome,
                                      .standing = board_standing(s->assembly->board, number) };
}

bool steward_is_split(const struct steward *s, uint32_t pool)
{
    return clusters_is_split(s->clusters, pool);
}

const struct samples *steward_samples(const struct steward *s)
{
    return s->samples;
}

/* ---- life ---- */

/* Endpoints that go on keep what is known of them; tallies begin anew with each assembly. */
static void watch_all(struct steward *s, struct assembly *next, const uint32_t *was)
{
    uint32_t count = next->snapshot->endpoint_count;
    struct watch *watches = mem_new(count * sizeof(*watches));

    for (uint32_t i = 0; i < count; i++) {
        struct judge_settings settings = settings_of(&next->snapshot->endpoints[i]);

        if (was != NULL && was[i] != DIFF_NONE) {
            watches[i] = s->watches[was[i]];
            watches[i].seen = (struct tally_seen){ 0 };
            judge_configure(&watches[i].judge, &settings);
        } else {
            judge_init(&watches[i].judge, &settings, clock_now_us() / 1000);
        }
    }
    free(s->watches);
    s->watches = watches;
    assembly_unref(&s->assembly);
    s->assembly = assembly_ref(next);
    board_listen(next->board, s->bell_fd);
    for (uint32_t i = 0; i < count; i++)
        publish(s, i);
    clusters_follow(s->clusters, next, was);
    probes_follow(s->probes, next, was);
    steward_keys_follow(s->keys, next);
    keys_service_follow(s->keys_service, next);
}

enum err steward_follow(struct steward *s, struct assembly *next, const struct diff *diff,
                        struct buf *why)
{
    TRY(admin_follow(s->admin, &next->snapshot->proxy, why));
    watch_all(s, next, diff->endpoint_was);
    return ERR_NONE;
}

static void begin_ticks(struct steward *s)
{
    struct timeval second = { .tv_sec = 1 };

    samples_take(s->samples, clock_now_us());
    s->tick = event_new(s->daemon->base, -1, EV_PERSIST, tick, s);
    event_add(s->tick, &second);
}

static enum err hang_bell(struct steward *s)
{
    s->bell_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (s->bell_fd < 0)
        return ERR_SYSTEM;
    s->bell = event_new(s->daemon->base, s->bell_fd, EV_READ | EV_PERSIST, rung, s);
    event_add(s->bell, NULL);
    return ERR_NONE;
}

enum err steward_start(struct daemon *daemon, struct steward **out, struct buf *why)
{
    struct steward *s = mem_new(sizeof(*s));
    struct daemon *d = daemon;

    *out = s; /* steward_stop() frees what there is of it */
    s->daemon = d;
    s->random = (uint32_t)clock_now_us() | 1;
    s->samples = samples_new();
    s->clusters = clusters_new();
    s->keys = steward_keys_new();
    s->keys_service = keys_service_new();
    TRY(hang_bell(s));
    TRY(mailbox_open(d->base, s, &s->box));
    TRY(probes_start(d->resolver, s->box, probed, &s->probes));
    watch_all(s, d->assembly, NULL);
    begin_ticks(s);
    TRY(admin_start(d, &s->admin));
    return admin_follow(s->admin, &d->assembly->snapshot->proxy, why);
}

void steward_stop(struct steward **where)
{
    struct steward *s = *where;

    *where = NULL;
    if (s == NULL)
        return;
    admin_stop(&s->admin);
    probes_stop(&s->probes);
    clusters_free(&s->clusters);
    steward_keys_free(&s->keys);
    keys_service_free(&s->keys_service);
    mailbox_close(&s->box);
    if (s->tick != NULL)
        event_free(s->tick);
    if (s->bell != NULL) {
        event_free(s->bell);
        close(s->bell_fd);
    }
    samples_free(&s->samples);
    free(s->watches);
    assembly_unref(&s->assembly);
    free(s);
}
