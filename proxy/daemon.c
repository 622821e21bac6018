/* See daemon.h. */
#include "proxy/daemon.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/diff.h"
#include "config/load.h"
#include "proxy/base/clock.h"
#include "proxy/base/log.h"
#include "proxy/base/mem.h"
#include "proxy/core/crew.h"
#include "proxy/core/slow.h"
#include "proxy/io/listener.h"
#include "proxy/notify.h"
#include "proxy/steward.h"
#include "proxy/vocabulary.h"
#include "proxy/worker_thread.h"

/* ---- loading ---- */

static void report(const struct problems *problems)
{
    problems_print(problems, stderr);
}

/* A start has told them on stderr; who asks for a reload may be elsewhere. */
static void say_why(const struct daemon *d, const struct problems *problems, struct buf *why)
{
    buf_format(why, "%zu %s in %s", problems->errors, problems->errors == 1 ? "error" : "errors",
               d->file);
    for (size_t i = 0; i < problems->count && d->assembly != NULL; i++)
        if (!problems->list[i].is_warning)
            buf_format(why, "; %s:%u: %s", problems->list[i].file, problems->list[i].line,
                       problems->list[i].text);
}

/* What is served without a file: no other server is needed, and keys stay, in the folder where it
 * was started. */
#define BUILT_IN_FOLDER   "sheaf-data"
#define BUILT_IN_LISTENER "redis://127.0.0.1:6379"

static bool write_built_in(struct buf *text)
{
    char here[PATH_MAX];

    if (getcwd(here, sizeof(here)) == NULL ||
        (mkdir(BUILT_IN_FOLDER, 0700) != 0 && errno != EEXIST)) {
        fprintf(stderr,
                "sheaf: cannot make ./" BUILT_IN_FOLDER
                ", where keys are kept without a configuration: "
                "%s; begin it where you may write, or name a file: sheaf serve FILE\n",
                strerrordesc_np(errno));
        return false;
    }
    buf_text(text, "[memory default]\nlisten = " BUILT_IN_LISTENER "\nshard = rocksdb://");
    for (const char *c = here; *c != '\0'; c++) /* whatever a path may have in it */
        buf_format(text, isalnum((unsigned char)*c) || *c == '/' ? "%c" : "%%%02X",
                   (unsigned char)*c);
    buf_text(text, "/" BUILT_IN_FOLDER "/keys\n");
    buf_put(text, "", 1);
    return true;
}

/* The file as an assembly, or every reason why not. */
static enum err load(struct daemon *d, uint32_t workers, struct assembly **out, struct buf *why)
{
    struct snapshot *snapshot = NULL;
    struct problems problems = { 0 };
    enum err err = d->text == NULL
                       ? config_load(d->file, vocabulary(), &snapshot, &problems)
                       : config_load_text(d->file, d->text, vocabulary(), &snapshot, &problems);

    report(&problems);
    if (err != ERR_NONE && why != NULL)
        say_why(d, &problems, why);
    problems_fini(&problems);
    TRY(err);
    snapshot->generation = ++d->generation;
    if (workers == 0)
        workers = snapshot->proxy.workers;
    if (workers == 0)
        workers = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    return assembly_new(snapshot, workers, out, why);
}

/* Every session is an open file, and so is what serves them. */
static void check_file_limit(const struct snapshot *s)
{
    uint64_t needed = s->proxy.max_sessions + 2 * (uint64_t)s->endpoint_count + 64;
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < needed)
        log_event(LOG_WARN, "the system allows fewer open files than max_sessions needs",
                  log_number("allowed", limit.rlim_cur), log_number("needed", needed),
                  log_text("hint", "raise LimitNOFILE or ulimit -n, or lower max_sessions"));
}

static void follow_settings(const struct snapshot *s)
{
    log_setup(&(struct log_settings){ .level = s->proxy.log_level,
                                      .json = s->proxy.log_format == LOG_FORMAT_JSON });
    slow_configure(s->proxy.slow_requests);
    check_file_limit(s);
}

/* ---- listening ---- */

static void close_all(int *fds, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (fds[i] >= 0)
            close(fds[i]);
}

bool daemon_has_port(const struct daemon *d, uint16_t port)
{
    const struct snapshot *s = d->assembly->snapshot;
    const struct address *admin = &s->proxy.admin_address;

    if (s->generation == d->generation || port == 0) /* it is the first: nothing was before it */
        return false;
    for (uint32_t i = 0; i < s->listener_count; i++)
        if (s->listeners[i].address.path == NULL && s->listeners[i].address.port == port)
            return true;
    return s->proxy.admin_on && admin->path == NULL && admin->port == port;
}

/* Opens the listeners that `was` does not know; fds[listener * workers + worker]. */
static enum err bind_listeners(const struct daemon *d, const struct assembly *a,
                               const uint32_t *was, int *fds, struct buf *why)
{
    const struct snapshot *s = a->snapshot;

    for (uint32_t i = 0; i < s->listener_count; i++) {
        const struct listener_settings *l = &s->listeners[i];
        struct listener_options options = { .unix_path = l->address.path,
                                            .host = l->address.host,
                                            .port = l->address.port,
                                            .backlog = s->proxy.backlog,
                                            .socket_mode = l->socket_mode,
                                            .port_is_ours = daemon_has_port(d, l->address.port) };

        if (was != NULL && was[i] != DIFF_NONE)
            continue;
        TRY(listener_bind(&options, &fds[i * a->workers], a->workers, why));
        log_event(LOG_INFO, "listening", log_text("listener", l->name),
                  log_text("pool", l->pool->name),
                  log_number("port", listener_port(fds[i * a->workers])));
    }
    return ERR_NONE;
}

/* Socket files of listeners that end; `is` says which go on (NULL: none).  Done before the last
 * connection ends, so that a successor may listen there by then. */
static void remove_sockets(const struct snapshot *s, const uint32_t *is)
{
    for (uint32_t i = 0; i < s->listener_count; i++)
        if (s->listeners[i].address.path != NULL && (is == NULL || is[i] == DIFF_NONE))
            unlink(s->listeners[i].address.path);
}

static struct posting *posting_for(struct assembly *a, const uint32_t *was, const int *fds,
                                   uint32_t worker)
{
    uint32_t count = a->snapshot->listener_count;
    struct posting *p = mem_new(sizeof(*p));

    p->assembly = assembly_ref(a);
    p->listener_count = count;
    p->fds = mem_new(count * sizeof(*p->fds));
    p->was = mem_new(count * sizeof(*p->was));
    for (uint32_t i = 0; i < count; i++) {
        p->fds[i] = fds[i * a->workers + worker];
        p->was[i] = was == NULL ? DIFF_NONE : was[i];
    }
    return p;
}

/* ---- reload ---- */

/* Returns when all of them have: what is told of the reload is then so for every session.  They are
 * between two turns at the latest when their present one is over. */
static void let_workers_follow(struct daemon *d, struct assembly *next, const uint32_t *was,
                               const int *fds)
{
    sem_t followed;

    sem_init(&followed, 0, 0);
    for (uint32_t i = 0; i < d->thread_count; i++) {
        struct posting *p = posting_for(next, was, fds, i);

        p->followed = &followed;
        worker_thread_follow(&d->threads[i], p);
    }
    for (uint32_t i = 0; i < d->thread_count; i++)
        while (sem_wait(&followed) != 0)
            continue; /* a signal, whose turn comes */
    sem_destroy(&followed);
}

static bool reload(struct daemon *d, struct buf *why)
{
    struct assembly *next = NULL;
    struct diff diff;
    struct problems warnings = { 0 };
    uint32_t sockets;
    int *fds;

    if (load(d, d->thread_count, &next, why) != ERR_NONE)
        return false;
    sockets = next->snapshot->listener_count * d->thread_count;
    fds = mem_new(sockets * sizeof(*fds));
    memset(fds, -1, sockets * sizeof(*fds));
    diff_init(&diff, d->assembly->snapshot, next->snapshot, &warnings);
    report(&warnings);
    problems_fini(&warnings);
    bool bound = bind_listeners(d, next, diff.listener_was, fds, why) == ERR_NONE &&
                 steward_follow(d->steward, next, &diff, why) == ERR_NONE;

    if (bound) {
        remove_sockets(d->assembly->snapshot, diff.listener_is);
        let_workers_follow(d, next, diff.listener_was, fds);
        follow_settings(next->snapshot);
        assembly_unref(&d->assembly);
        d->assembly = next;
    } else {
        close_all(fds, sockets);
        assembly_unref(&next);
    }
    diff_fini(&diff);
    free(fds);
    return bound;
}

/* Who says `systemctl reload` is told nothing by the signal: `systemctl status` tells. */
static void say_reloaded(const struct daemon *d, bool done, const struct buf *reason)
{
    struct buf state = { 0 };

    if (done) {
        buf_format(&state, "STATUS=configuration %llu is served",
                   (unsigned long long)d->generation);
    } else {
        buf_text(&state, "STATUS=reload refused: ");
        buf_slice(&state, buf_all(reason));
    }
    buf_put(&state, "", 1);
    notify((const char *)state.at);
    buf_fini(&state);
}

bool daemon_reload(struct daemon *d, struct buf *why)
{
    struct buf reason = { 0 };
    bool done = !d->draining && reload(d, &reason);

    if (d->draining)
        buf_text(&reason, "sheaf is shutting down");
    d->reloads++; /* first in the line: who asks a second time is answered a second time */
    if (done)
        log_event(LOG_INFO, "configuration reloaded", log_number("reload", d->reloads),
                  log_text("file", d->file), log_number("generation", d->generation));
    else
        log_event(LOG_ERROR, "reload refused: nothing was changed",
                  log_number("reload", d->reloads), log_text("file", d->file),
                  log_slice("reason", buf_all(&reason)));
    say_reloaded(d, done, &reason);
    if (why != NULL)
        buf_slice(why, buf_all(&reason));
    buf_fini(&reason);
    return done;
}

static bool reload_for_crew(void *leader, struct buf *why)
{
    return daemon_reload(leader, why);
}

/* ---- ending ---- */

static void stop_threads(struct daemon *d)
{
    for (uint32_t i = 0; i < d->thread_count; i++)
        worker_thread_stop(&d->threads[i]);
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    log_event(LOG_WARN, "drain_timeout passed: cutting off what is left");
    stop_threads(arg);
}

/* A service manager that waits less long than a drain may take would cut it off. */
static void say_stopping(uint64_t drain_timeout_ms)
{
    enum { END_MS = 5000 };
    struct buf state = { 0 };

    buf_format(&state, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%llu",
               (unsigned long long)(drain_timeout_ms + END_MS) * 1000);
    buf_put(&state, "", 1);
    notify((const char *)state.at);
    buf_fini(&state);
}

void daemon_drain(struct daemon *d)
{
    uint64_t timeout_ms = d->assembly->snapshot->proxy.drain_timeout_ms;
    struct timeval after = { .tv_sec = (time_t)(timeout_ms / 1000),
                             .tv_usec = (suseconds_t)(timeout_ms % 1000 * 1000) };

    if (d->draining) {
        log_event(LOG_WARN, "told to end a second time: ending at once");
        stop_threads(d);
        return;
    }
    d->draining = true;
    say_stopping(timeout_ms);
    remove_sockets(d->assembly->snapshot, NULL);
    log_event(LOG_INFO, "shutting down", log_number("drain_timeout_ms", timeout_ms));
    for (uint32_t i = 0; i < d->thread_count; i++)
        worker_thread_drain(&d->threads[i]);
    event_base_once(d->base, -1, EV_TIMEOUT, on_drain_timeout, d, &after);
}

/* A letter from a worker. */
static void thread_ended(void *owner, void *content)
{
    struct daemon *d = owner;

    (void)content;
    if (++d->threads_ended == d->thread_count)
        event_base_loopbreak(d->base);
}

/* ---- signals ---- */

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)what;
    if (number == SIGHUP)
        daemon_reload(arg, NULL);
    else
        daemon_drain(arg);
}

static void tick(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    (void)arg;
    log_tick(clock_now_us());
}

/* ---- life ---- */

/* Every session and upstream is an open file: as many as the system allows. */
static void raise_file_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static enum err start_threads(struct daemon *d, struct buf *why)
{
    struct assembly *a = d->assembly;
    uint32_t sockets = a->snapshot->listener_count * a->workers;
    int *fds = mem_new(sockets * sizeof(*fds));
    enum err err = bind_listeners(d, a, NULL, fds, why);

    d->threads = mem_new(a->workers * sizeof(*d->threads));
    for (uint32_t i = 0; err == ERR_NONE && i < a->workers; i++) {
        struct worker_thread *t = &d->threads[i];

        t->daemon = d->box;
        t->ended = thread_ended;
        err = worker_thread_init(t, i, a->workers, d->resolver, posting_for(a, NULL, fds, i));
        d->thread_count++;
    }
    free(fds);
    return err;
}

static enum err start(struct daemon *d, struct buf *why)
{
    struct resolve_settings settings = { .ttl_ms =
                                             d->assembly->snapshot->proxy.resolve_interval_ms };

    TRY(mailbox_open(d->base, d, &d->box));
    crew_follow(d->box, d, reload_for_crew);
    TRY(resolver_start(&settings, &d->resolver));
    TRY(start_threads(d, why));
    TRY(steward_start(d, &d->steward, why));
    for (uint32_t i = 0; i < d->thread_count; i++)
        worker_thread_start(&d->threads[i]);
    return ERR_NONE;
}

static void run_loop(struct daemon *d)
{
    static const int SIGNALS[] = { SIGHUP, SIGTERM, SIGINT };
    enum { SIGNAL_COUNT = sizeof(SIGNALS) / sizeof(SIGNALS[0]) };
    struct event *events[SIGNAL_COUNT + 1];
    struct timeval second = { .tv_sec = 1 };

    for (int i = 0; i < SIGNAL_COUNT; i++) {
        events[i] = evsignal_new(d->base, SIGNALS[i], on_signal, d);
        event_add(events[i], NULL);
    }
    events[SIGNAL_COUNT] = event_new(d->base, -1, EV_PERSIST, tick, d);
    event_add(events[SIGNAL_COUNT], &second);
    if (d->text != NULL)
        log_event(LOG_INFO, "no file was named: keys are kept below the folder of the start",
                  log_text("listener", BUILT_IN_LISTENER), log_text("folder", BUILT_IN_FOLDER));
    log_event(LOG_INFO, "sheaf is ready", log_text("file", d->file),
              log_number("workers", d->thread_count));
    notify("READY=1");
    event_base_dispatch(d->base);
    for (int i = 0; i <= SIGNAL_COUNT; i++)
        event_free(events[i]);
}

static void finish(struct daemon *d)
{
    if (d->steward != NULL)
        steward_stop(&d->steward);
    for (uint32_t i = 0; i < d->thread_count; i++)
        worker_thread_join(&d->threads[i]);
    free(d->threads);
    if (d->resolver != NULL)
        resolver_stop(&d->resolver);
    crew_follow(NULL, NULL, NULL);
    mailbox_close(&d->box);
    event_base_free(d->base);
    assembly_unref(&d->assembly);
    log_flush();
}

int daemon_run(const char *file)
{
    struct daemon d = { .file = file == NULL ? "built-in configuration" : file,
                        .started_us = clock_now_us() };
    struct buf why = { 0 }, built_in = { 0 };
    int code = 0;

    if (file == NULL) {
        if (!write_built_in(&built_in))
            return 2;
        d.text = (const char *)built_in.at;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGHUP, SIG_IGN); /* until there is something to reload */
    raise_file_limit();
    if (load(&d, 0, &d.assembly, &why) != ERR_NONE) {
        if (why.len > 0)
            fprintf(stderr, "sheaf: %.*s\n", (int)why.len, (const char *)why.at);
        buf_fini(&why);
        buf_fini(&built_in);
        return 2;
    }
    follow_settings(d.assembly->snapshot);
    d.base = event_base_new();
    if (start(&d, &why) == ERR_NONE) {
        run_loop(&d);
        log_event(LOG_INFO, "sheaf has ended");
    } else {
        log_event(LOG_ERROR, "cannot start", log_slice("reason", buf_all(&why)));
        code = 1;
    }
    finish(&d);
    buf_fini(&why);
    buf_fini(&built_in);
    return code;
}
