/* See crew.h.  The threads meet at a barrier after each stage; the main thread only looks on and
 * prints the progress line. */
#include "bench/crew.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench/hand.h"
#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

enum { CREW_LOOK_MS = 20, CREW_LINE_MS = 500 };

struct crew {
    const struct plan *plan; /* borrowed */
    struct hand *hands;      /* owned */
    pthread_t *threads;      /* owned */
    pthread_barrier_t meeting;
    struct {
        atomic_bool failed;       /* any thread */
        atomic_uint stage, ended; /* the furthest stage begun; threads that ended */
    } shared;                     /* atomic */
};

struct crew_seat {
    struct crew *crew;
    struct hand *hand;
};

static volatile sig_atomic_t interrupted;

void crew_interrupt(void)
{
    interrupted = 1;
}

bool crew_is_interrupted(void)
{
    return interrupted != 0;
}

/* Does a stage with the others; false if any of them failed. */
static bool together(struct crew *c, struct hand *h, enum hand_stage stage)
{
    atomic_store(&c->shared.stage, stage);
    if (!hand_work(h, stage))
        atomic_store(&c->shared.failed, true);
    pthread_barrier_wait(&c->meeting);
    return !atomic_load(&c->shared.failed);
}

static void *thread_main(void *arg)
{
    struct crew_seat *seat = arg;
    struct crew *c = seat->crew;
    const struct plan *p = c->plan;
    bool fine = together(c, seat->hand, HAND_OPEN);

    if (fine && p->fill)
        fine = together(c, seat->hand, HAND_FILL);
    if (fine && !p->fill_only)
        fine = together(c, seat->hand, HAND_RUN);
    if (fine && p->verify_writes)
        (void)together(c, seat->hand, HAND_AUDIT);
    atomic_fetch_add(&c->shared.ended, 1);
    return NULL;
}

static uint64_t sum(const struct crew *c, size_t offset)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < c->plan->threads; i++)
        total += counter_get((const struct counter *)((const char *)&c->hands[i].figures + offset));
    return total;
}

#define SUM(crew, counter) sum(crew, offsetof(struct figures, counter))

static void print_line(const struct crew *c, double seconds, uint64_t *calls_before)
{
    static const char *const NAMES[] = { "connecting", "filling", "running", "reading back" };
    uint64_t calls = SUM(c, calls), errors = SUM(c, errors), foreign = SUM(c, foreign);
    double rate = (double)(calls - *calls_before) * 1000 / CREW_LINE_MS;

    fprintf(stderr, "\r\033[K%s %5.1f s", NAMES[atomic_load(&c->shared.stage)], seconds);
    if (calls > 0)
        fprintf(stderr, "  %12.0f calls/s  %llu calls", rate, (unsigned long long)calls);
    else if (SUM(c, filled) > 0)
        fprintf(stderr, "  %llu keys", (unsigned long long)SUM(c, filled));
    if (errors > 0)
        fprintf(stderr, "  %llu errors", (unsigned long long)errors);
    if (foreign > 0)
        fprintf(stderr, "  %llu FOREIGN", (unsigned long long)foreign);
    fflush(stderr);
    *calls_before = calls;
}

static void look_on(struct crew *c)
{
    bool show = !c->plan->quiet && isatty(STDERR_FILENO);
    uint64_t began_us = clock_now_us(), calls_before = 0;
    struct timespec pause = { 0, CREW_LOOK_MS * 1000000L };

    for (unsigned looks = 1; atomic_load(&c->shared.ended) < c->plan->threads; looks++) {
        nanosleep(&pause, NULL);
        if (show && looks % (CREW_LINE_MS / CREW_LOOK_MS) == 0)
            print_line(c, (double)(clock_now_us() - began_us) / 1e6, &calls_before);
    }
    if (show)
        fputs("\r\033[K", stderr);
}

static void gather(struct crew *c, struct crew_result *out)
{
    for (uint32_t i = 0; i < c->plan->threads; i++) {
        struct hand *h = &c->hands[i];
        uint64_t took_us =
            h->ended_us > h->measured_from_us ? h->ended_us - h->measured_from_us : 0;

        figures_merge(&out->figures, &h->figures);
        if (took_us > out->elapsed_us)
            out->elapsed_us = took_us;
        if (h->failed && !out->failed) {
            out->failed = true;
            memcpy(out->problem, h->problem, sizeof(out->problem));
        }
        hand_fini(h);
    }
}

void crew_run(const struct plan *plan, const struct load *load, uint32_t round,
              struct crew_result *out)
{
    struct crew c = { .plan = plan };
    struct crew_seat *seats = mem_new(plan->threads * sizeof(*seats));
    struct dice seeds = { plan->seed * 1000003 + round };

    c.hands = mem_new(plan->threads * sizeof(*c.hands));
    c.threads = mem_new(plan->threads * sizeof(*c.threads));
    pthread_barrier_init(&c.meeting, NULL, plan->threads);
    for (uint32_t i = 0; i < plan->threads; i++)
        hand_init(&c.hands[i], plan, load, i, dice_roll(&seeds));
    for (uint32_t i = 0; i < plan->threads; i++) {
        seats[i] = (struct crew_seat){ &c, &c.hands[i] };
        if (pthread_create(&c.threads[i], NULL, thread_main, &seats[i]) != 0) {
            fprintf(stderr, "sheaf-bench: the system refused thread %u\n", i);
            abort();
        }
    }
    look_on(&c);
    for (uint32_t i = 0; i < plan->threads; i++)
        pthread_join(c.threads[i], NULL);
    memset(out, 0, sizeof(*out));
    gather(&c, out);
    pthread_barrier_destroy(&c.meeting);
    free(c.hands);
    free(c.threads);
    free(seats);
}
