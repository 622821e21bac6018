/* See probe_folder.h.  A look belongs to its thread until it says `done_fd`, then to the probe;
 * both hold a reference, and whoever lets go last frees it. */
#include "health/probe_folder.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

#define OWN ".sheaf" /* proxy/blob/folder.h */

struct look {
    char *path;
    int done_fd; /* readable: the outcome is there */
    struct probe_outcome outcome;
    struct {
        atomic_uint holders; /* atomic */
        atomic_bool is_done; /* atomic; the outcome was written before */
    } shared;
};

struct probe_folder {
    char *path;
    struct look *look; /* that hangs; NULL: none does */
};

struct probe_folder *probe_folder_new(const char *path)
{
    struct probe_folder *p = mem_new(sizeof(*p));

    p->path = mem_text(path);
    return p;
}

static void look_unref(struct look **look)
{
    struct look *l = *look;

    *look = NULL;
    if (l == NULL || atomic_fetch_sub(&l->shared.holders, 1) > 1)
        return;
    close(l->done_fd);
    free(l->path);
    free(l);
}

void probe_folder_free(struct probe_folder **probe)
{
    struct probe_folder *p = *probe;

    *probe = NULL;
    if (p == NULL)
        return;
    look_unref(&p->look);
    free(p->path);
    free(p);
}

/* ---- in the look's thread ---- */

static void note(struct probe_outcome *outcome, enum health_reason reason, const char *what,
                 int error)
{
    char text[64];

    outcome->reason = reason;
    snprintf(outcome->text, sizeof(outcome->text), "%s%s%s", what, error != 0 ? ": " : "",
             error != 0 ? strerror_r(error, text, sizeof(text)) : "");
}

/* Before the store is first opened it has nothing of its own, and makes it then. */
static bool can_be_written_to(int root)
{
    return faccessat(root, OWN, W_OK | X_OK, AT_EACCESS) == 0 ||
           (errno == ENOENT && faccessat(root, ".", W_OK | X_OK, AT_EACCESS) == 0);
}

static void look_at(int root, struct probe_outcome *outcome)
{
    struct statvfs system;

    if (fstatvfs(root, &system) != 0)
        note(outcome, HEALTH_PROBE_FAILED, "statvfs", errno);
    else if (faccessat(root, ".", R_OK | X_OK, AT_EACCESS) != 0)
        note(outcome, HEALTH_PROBE_FAILED, "it can't be read", errno);
    else if (!can_be_written_to(root))
        note(outcome, HEALTH_WRITES_REFUSED, "its " OWN " can't be written to", errno);
    else if (system.f_bavail == 0 || (system.f_files > 0 && system.f_favail == 0))
        note(outcome, HEALTH_FULL, "", 0);
}

static void *run(void *arg)
{
    struct look *l = arg;
    uint64_t began_us = clock_now_us(), one = 1;
    int root = open(l->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    l->outcome.reason = HEALTH_FINE;
    if (root < 0) {
        note(&l->outcome, HEALTH_CONNECT_REFUSED, "it can't be opened", errno);
    } else {
        look_at(root, &l->outcome);
        close(root);
        l->outcome.connection_is_good = true;
        l->outcome.latency_us = clock_now_us() - began_us;
    }
    atomic_store_explicit(&l->shared.is_done, true, memory_order_release);
    (void)!write(l->done_fd, &one, sizeof(one));
    look_unref(&l);
    return NULL;
}

/* ---- in the probe's ---- */

/* NULL: the system has no thread or descriptor left for it. */
static struct look *look_begin(const char *path)
{
    struct look *l;
    pthread_attr_t attributes;
    pthread_t thread;
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC), error;

    if (fd < 0)
        return NULL;
    l = mem_new(sizeof(*l));
    l->path = mem_text(path);
    l->done_fd = fd;
    atomic_init(&l->shared.holders, 2);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    error = pthread_create(&thread, &attributes, run, l);
    pthread_attr_destroy(&attributes);
    if (error == 0)
        return l;
    atomic_store(&l->shared.holders, 1);
    look_unref(&l);
    return NULL;
}

static bool is_done(const struct look *l, int cancel_fd, uint64_t deadline_us)
{
    struct pollfd p[] = { { .fd = l->done_fd, .events = POLLIN },
                          { .fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN } };

    for (;;) {
        uint64_t now_us = clock_now_us();
        uint64_t left_ms = deadline_us > now_us ? (deadline_us - now_us + 999) / 1000 : 0;
        int ready = poll(p, 2, left_ms > 1000000 ? 1000000 : (int)left_ms);

        if (ready > 0)
            return atomic_load_explicit(&l->shared.is_done, memory_order_acquire);
        if (ready < 0 && errno != EINTR)
            return false;
        if (clock_now_us() >= deadline_us)
            return false;
    }
}

void probe_folder_check(struct probe_folder *p, int cancel_fd, uint64_t deadline_us,
                        struct probe_outcome *outcome)
{
    *outcome = (struct probe_outcome){ .reason = HEALTH_PROBE_FAILED };
    if (p->look == NULL)
        p->look = look_begin(p->path);
    if (p->look == NULL) {
        note(outcome, HEALTH_PROBE_FAILED, "no thread for it", errno);
    } else if (is_done(p->look, cancel_fd, deadline_us)) {
        *outcome = p->look->outcome;
        look_unref(&p->look);
    } else {
        outcome->reason = HEALTH_RESPONSE_TIMEOUT;
    }
}
