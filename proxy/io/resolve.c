/* See resolve.h.
 *
 * Threads: a desk and its asks belong to the thread of its loop, but for the inbox.  The resolver's
 * names, its queue and all inboxes are `shared`, under the resolver's lock, which is held to look
 * up and move things, never during a lookup or a callback.  An ask is known by its number, so an
 * answer finds out only in the desk's own loop whether anybody still wants it. */
#include "proxy/io/resolve.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "proxy/base/clock.h"
#include "proxy/base/list.h"
#include "proxy/base/mem.h"

enum {
    DEFAULT_TTL_MS = 30000,
    DEFAULT_REST_MS = 1000,
    STOP_PATIENCE_MS = 200,
    HOST_BYTES = 256, /* of the longest name DNS has, terminated */
};

/* A name that was asked for. */
struct name {
    struct list link;    /* of resolver.shared.names */
    struct list waiting; /* struct wait */
    char host[HOST_BYTES];
    struct resolve_list good; /* the last good answer; count 0: none */
    uint64_t looked_up_us;    /* when the last lookup ended; 0: never */
    const char *why;          /* why that one failed; a constant, NULL if it did not */
    bool is_queued;           /* or being looked up */
};

/* One ask that waits for a name's first answer; afterwards the answer itself, in the desk's
 * inbox. */
struct wait {
    struct list link;          /* of name.waiting, then desk.shared.inbox */
    struct resolve_desk *desk; /* borrowed: closing a desk takes its waits away */
    uint64_t ticket;
    enum err err;
    const char *why; /* a constant */
    struct resolve_list list;
};

struct resolver {
    uint64_t ttl_us, rest_us;
    resolve_lookup_f *lookup;
    pthread_t thread;
    pthread_mutex_t lock;
    struct {                 /* under the lock */
        pthread_cond_t wake; /* the thread: there is something to do; resolver_stop(): it ended */
        pthread_cond_t answered; /* those in resolve_wait() */
        struct list names;
        size_t name_count;
        unsigned desks;
        bool stops, is_idle;
        bool is_abandoned; /* the thread frees the resolver when its lookup ends */
    } shared;
};

/* An ask of this desk, from the asking to the callback. */
struct ask {
    struct list link;
    uint64_t ticket;
    uint16_t port;
    resolve_done_f *done;
    void *arg; /* borrowed until the callback or the cancelling */
};

struct resolve_desk {
    struct resolver *resolver; /* borrowed; outlives its desks */
    struct event *event;       /* owned */
    int eventfd;
    uint64_t last_ticket;
    struct list asks;
    struct {               /* under the resolver's lock */
        struct list inbox; /* struct wait */
    } shared;
};

/* --- what may block --- */

static const char *why_of(int code)
{
    return code == EAI_SYSTEM ? "a system call failed" : gai_strerror(code);
}

static enum err ask_system(const char *host, struct resolve_list *list, const char **why)
{
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM }, *found = NULL;
    int code = getaddrinfo(host, NULL, &hints, &found);

    if (code != 0) {
        *why = why_of(code);
        return ERR_RESOLVE;
    }
    list->count = 0;
    for (struct addrinfo *a = found; a != NULL && list->count < RESOLVE_MOST_ADDRESSES;
         a = a->ai_next) {
        struct resolve_address *item = &list->item[list->count];

        if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) ||
            a->ai_addrlen > sizeof(item->at))
            continue;
        memset(item, 0, sizeof(*item));
        memcpy(&item->at, a->ai_addr, a->ai_addrlen);
        item->len = a->ai_addrlen;
        list->count++;
    }
    freeaddrinfo(found);
    if (list->count > 0)
        return ERR_NONE;
    *why = "the name has no address";
    return ERR_RESOLVE;
}

/* --- ports and literals --- */

static void set_ports(struct resolve_list *list, uint16_t port)
{
    for (size_t i = 0; i < list->count; i++) {
        struct resolve_address *a = &list->item[i];

        if (a->at.any.sa_family == AF_INET)
            a->at.v4.sin_port = htons(port);
        else
            a->at.v6.sin6_port = htons(port);
    }
}

bool resolve_literal(const char *host, uint16_t port, struct resolve_address *address)
{
    struct resolve_address a = { 0 };
    char bare[INET6_ADDRSTRLEN];
    size_t len = strlen(host);

    if (inet_pton(AF_INET, host, &a.at.v4.sin_addr) == 1) {
        a.at.v4.sin_family = AF_INET;
        a.at.v4.sin_port = htons(port);
        a.len = sizeof(a.at.v4);
        *address = a;
        return true;
    }
    if (len > 2 && host[0] == '[' && host[len - 1] == ']' && len - 2 < sizeof(bare)) {
        memcpy(bare, host + 1, len - 2);
        bare[len - 2] = '\0';
        host = bare;
    }
    memset(&a, 0, sizeof(a)); /* the failed attempt may have left something */
    if (inet_pton(AF_INET6, host, &a.at.v6.sin6_addr) != 1)
        return false;
    a.at.v6.sin6_family = AF_INET6;
    a.at.v6.sin6_port = htons(port);
    a.len = sizeof(a.at.v6);
    *address = a;
    return true;
}

/* --- the resolver's thread --- */

static void free_names(struct resolver *r)
{
    LIST_EACH (&r->shared.names, link) {
        struct name *n = LIST_ITEM(link, struct name, link);

        assert(list_is_empty(&n->waiting));
        list_remove(&n->link);
        free(n);
    }
}

static void resolver_free(struct resolver *r)
{
    free_names(r);
    pthread_cond_destroy(&r->shared.wake);
    pthread_cond_destroy(&r->shared.answered);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

/* Moves a wait to its desk's inbox, with the answer; under the lock. */
static void answer(struct wait *w, enum err err, const char *why, const struct name *n)
{
    uint64_t one = 1;

    list_remove(&w->link);
    w->err = n->good.count > 0 ? ERR_NONE : err;
    w->why = why;
    w->list = n->good;
    list_append(&w->desk->shared.inbox, &w->link);
    /* It can fail only when the counter is full, and then the loop is told already. */
    while (write(w->desk->eventfd, &one, sizeof(one)) < 0 && errno == EINTR)
        ;
}

static struct name *next_queued(struct resolver *r)
{
    LIST_EACH (&r->shared.names, link) {
        struct name *n = LIST_ITEM(link, struct name, link);

        if (n->is_queued)
            return n;
    }
    return NULL;
}

/* Looks one name up; the lock is given back meanwhile.  Names are freed with the resolver only, so
 * `n` stays. */
static void look_up(struct resolver *r, struct name *n)
{
    struct resolve_list found = { 0 };
    const char *why = NULL;
    enum err err;

    pthread_mutex_unlock(&r->lock);
    err = r->lookup(n->host, &found, &why);
    pthread_mutex_lock(&r->lock);
    if (err == ERR_NONE)
        n->good = found;
    n->looked_up_us = clock_now_us();
    n->why = err == ERR_NONE ? NULL : why;
    n->is_queued = false;
    pthread_cond_broadcast(&r->shared.answered);
    /* Whoever was looked up goes to the end, so all that are queued have their turn. */
    list_remove(&n->link);
    list_append(&r->shared.names, &n->link);
    LIST_EACH (&n->waiting, link)
        answer(LIST_ITEM(link, struct wait, link), err, why, n);
}

static void *run(void *arg)
{
    struct resolver *r = arg;
    bool is_abandoned;

    pthread_mutex_lock(&r->lock);
    while (!r->shared.stops) {
        struct name *n = next_queued(r);

        if (n != NULL) {
            look_up(r, n);
        } else {
            pthread_cond_wait(&r->shared.wake, &r->lock);
        }
    }
    r->shared.is_idle = true;
    is_abandoned = r->shared.is_abandoned;
    pthread_cond_broadcast(&r->shared.wake);
    pthread_mutex_unlock(&r->lock);
    if (is_abandoned)
        resolver_free(r);
    return NULL;
}

enum err resolver_start(const struct resolve_settings *s, struct resolver **out)
{
    struct resolver *r = mem_new(sizeof(*r));
    pthread_condattr_t monotonic;

    r->ttl_us = (s != NULL && s->ttl_ms > 0 ? s->ttl_ms : DEFAULT_TTL_MS) * 1000;
    r->rest_us =
        (s != NULL && s->refresh_rest_ms > 0 ? s->refresh_rest_ms : DEFAULT_REST_MS) * 1000;
    r->lookup = s != NULL && s->lookup != NULL ? s->lookup : ask_system;
    pthread_mutex_init(&r->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&r->shared.wake, &monotonic);
    pthread_cond_init(&r->shared.answered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    list_init(&r->shared.names);
    if (pthread_create(&r->thread, NULL, run, r) != 0) {
        resolver_free(r);
        return ERR_SYSTEM;
    }
    *out = r;
    return ERR_NONE;
}

static struct timespec timespec_of(uint64_t us)
{
    return (struct timespec){ .tv_sec = (time_t)(us / 1000000),
                              .tv_nsec = (long)(us % 1000000) * 1000 };
}

void resolver_stop(struct resolver **resolver)
{
    struct resolver *r = *resolver;
    struct timespec until = timespec_of(clock_now_us() + STOP_PATIENCE_MS * 1000);
    pthread_t thread;
    bool is_idle;

    *resolver = NULL;
    if (r == NULL)
        return;
    thread = r->thread;
    pthread_mutex_lock(&r->lock);
    assert(r->shared.desks == 0);
    r->shared.stops = true;
    pthread_cond_broadcast(&r->shared.wake);
    while (!r->shared.is_idle &&
           pthread_cond_timedwait(&r->shared.wake, &r->lock, &until) != ETIMEDOUT)
        ;
    is_idle = r->shared.is_idle;
    r->shared.is_abandoned = !is_idle;
    pthread_mutex_unlock(&r->lock);
    if (is_idle) {
        pthread_join(thread, NULL);
        resolver_free(r);
    } else {
        pthread_detach(thread);
    }
}

/* --- desks --- */

static struct ask *find_ask(struct resolve_desk *d, uint64_t ticket)
{
    LIST_EACH (&d->asks, link) {
        struct ask *a = LIST_ITEM(link, struct ask, link);

        if (a->ticket == ticket)
            return a;
    }
    return NULL;
}

static void deliver(struct resolve_desk *d, struct wait *w)
{
    struct ask *a = find_ask(d, w->ticket);

    if (a != NULL) {
        list_remove(&a->link);
        set_ports(&w->list, a->port);
        a->done(a->arg, a->ticket, w->err, w->err == ERR_NONE ? &w->list : NULL, w->why);
        free(a);
    }
    free(w);
}

static struct wait *take_mail(struct resolve_desk *d)
{
    struct list *first;

    pthread_mutex_lock(&d->resolver->lock);
    first = list_first(&d->shared.inbox);
    if (first != NULL)
        list_remove(first);
    pthread_mutex_unlock(&d->resolver->lock);
    return first != NULL ? LIST_ITEM(first, struct wait, link) : NULL;
}

static void mail_came(evutil_socket_t fd, short what, void *arg)
{
    struct resolve_desk *d = arg;
    struct wait *w;
    uint64_t count;

    (void)what;
    while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
    while ((w = take_mail(d)) != NULL)
        deliver(d, w);
}

enum err resolve_desk_open(struct resolver *r, struct event_base *base, struct resolve_desk **desk)
{
    struct resolve_desk *d = mem_new(sizeof(*d));

    d->resolver = r;
    list_init(&d->asks);
    list_init(&d->shared.inbox);
    d->eventfd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (d->eventfd < 0)
        goto fail;
    d->event = event_new(base, d->eventfd, EV_READ | EV_PERSIST, mail_came, d);
    if (d->event == NULL || event_add(d->event, NULL) != 0)
        goto fail;
    pthread_mutex_lock(&r->lock);
    r->shared.desks++;
    pthread_mutex_unlock(&r->lock);
    *desk = d;
    return ERR_NONE;
fail:
    if (d->event != NULL)
        event_free(d->event);
    if (d->eventfd >= 0)
        close(d->eventfd);
    free(d);
    return ERR_SYSTEM;
}

static void drop_waits(struct list *waits, const struct resolve_desk *d)
{
    LIST_EACH (waits, link) {
        struct wait *w = LIST_ITEM(link, struct wait, link);

        if (w->desk == d) {
            list_remove(&w->link);
            free(w);
        }
    }
}

void resolve_desk_close(struct resolve_desk **desk)
{
    struct resolve_desk *d = *desk;

    *desk = NULL;
    if (d == NULL)
        return;
    pthread_mutex_lock(&d->resolver->lock);
    LIST_EACH (&d->resolver->shared.names, link)
        drop_waits(&LIST_ITEM(link, struct name, link)->waiting, d);
    drop_waits(&d->shared.inbox, d);
    d->resolver->shared.desks--;
    pthread_mutex_unlock(&d->resolver->lock);
    LIST_EACH (&d->asks, link) {
        list_remove(link);
        free(LIST_ITEM(link, struct ask, link));
    }
    event_free(d->event);
    close(d->eventfd);
    free(d);
}

/* --- asking; what follows down to resolve_ask() is under the lock --- */

static struct name *find_name(struct resolver *r, const char *host)
{
    LIST_EACH (&r->shared.names, link) {
        struct name *n = LIST_ITEM(link, struct name, link);

        if (strcasecmp(n->host, host) == 0)
            return n;
    }
    return NULL;
}

/* NULL if there are too many that somebody waits for; old ones nobody waits for make room. */
static struct name *add_name(struct resolver *r, const char *host)
{
    struct name *n = NULL;

    if (r->shared.name_count < RESOLVE_MOST_NAMES) {
        n = mem_new(sizeof(*n));
        r->shared.name_count++;
    } else {
        LIST_EACH (&r->shared.names, link) {
            n = LIST_ITEM(link, struct name, link);
            if (!n->is_queued)
                break;
            n = NULL;
        }
        if (n == NULL)
            return NULL;
        list_remove(&n->link);
        memset(n, 0, sizeof(*n));
    }
    memcpy(n->host, host, strlen(host));
    list_init(&n->waiting);
    list_append(&r->shared.names, &n->link);
    return n;
}

static struct name *find_or_add_name(struct resolver *r, const char *host)
{
    struct name *n = find_name(r, host);

    return n != NULL ? n : add_name(r, host);
}

/* Has a name looked up whose last lookup is `age_us` ago. */
static void queue_if_older(struct resolver *r, struct name *n, uint64_t age_us)
{
    if (n->is_queued || (n->looked_up_us != 0 && clock_now_us() - n->looked_up_us < age_us))
        return;
    n->is_queued = true;
    pthread_cond_signal(&r->shared.wake);
}

static enum err ask_name(struct resolve_desk *d, const char *host, struct resolve_list *list,
                         uint64_t ticket)
{
    struct resolver *r = d->resolver;
    struct name *n = find_or_add_name(r, host);
    struct wait *w;

    if (n == NULL)
        return ERR_LIMIT;
    if (n->good.count > 0) {
        queue_if_older(r, n, r->ttl_us);
        *list = n->good;
        return ERR_NONE;
    }
    /* A name that failed is asked for again at once: whoever asks has a back-off of its own. */
    queue_if_older(r, n, 0);
    w = mem_new(sizeof(*w));
    w->desk = d;
    w->ticket = ticket;
    list_append(&n->waiting, &w->link);
    return ERR_AGAIN;
}

enum err resolve_ask(struct resolve_desk *d, const char *host, uint16_t port,
                     struct resolve_list *list, resolve_done_f *done, void *arg, uint64_t *ticket)
{
    size_t len = strlen(host);
    struct ask *a;
    enum err err;

    if (resolve_literal(host, port, &list->item[0])) {
        list->count = 1;
        return ERR_NONE;
    }
    if (len == 0 || len >= HOST_BYTES)
        return ERR_RESOLVE;
    pthread_mutex_lock(&d->resolver->lock);
    err = ask_name(d, host, list, d->last_ticket + 1);
    pthread_mutex_unlock(&d->resolver->lock);
    if (err == ERR_NONE)
        set_ports(list, port);
    if (err != ERR_AGAIN)
        return err;
    a = mem_new(sizeof(*a));
    *a = (struct ask){ .ticket = ++d->last_ticket, .port = port, .done = done, .arg = arg };
    list_append(&d->asks, &a->link);
    *ticket = a->ticket;
    return ERR_AGAIN;
}

void resolve_cancel(struct resolve_desk *d, uint64_t ticket)
{
    struct ask *a = find_ask(d, ticket);

    if (a == NULL)
        return;
    list_remove(&a->link);
    free(a);
}

void resolve_refresh(struct resolve_desk *d, const char *host)
{
    struct name *n;

    pthread_mutex_lock(&d->resolver->lock);
    n = find_name(d->resolver, host);
    if (n != NULL)
        queue_if_older(d->resolver, n, d->resolver->rest_us);
    pthread_mutex_unlock(&d->resolver->lock);
}

/* Under the lock. */
static enum err wait_for_name(struct resolver *r, const char *host, uint64_t deadline_us,
                              struct resolve_list *list, const char **why)
{
    struct timespec until = timespec_of(deadline_us);
    uint64_t begun_us = clock_now_us();

    for (bool has_asked = false;; has_asked = true) {
        struct name *n = find_or_add_name(r, host); /* anew each time: it may have made room */

        *why = "too many names";
        if (n == NULL)
            return ERR_LIMIT;
        if (n->good.count > 0) {
            queue_if_older(r, n, r->ttl_us);
            *list = n->good;
            return ERR_NONE;
        }
        *why = n->why;
        if (has_asked && n->looked_up_us >= begun_us && n->why != NULL)
            return ERR_RESOLVE;
        queue_if_older(r, n, 0);
        *why = "no answer in time";
        if (pthread_cond_timedwait(&r->shared.answered, &r->lock, &until) == ETIMEDOUT)
            return ERR_TIMEOUT;
    }
}

enum err resolve_wait(struct resolver *r, const char *host, uint16_t port, uint64_t deadline_us,
                      struct resolve_list *list, const char **why)
{
    enum err err;

    if (resolve_literal(host, port, &list->item[0])) {
        list->count = 1;
        return ERR_NONE;
    }
    *why = "this can be no name";
    if (strlen(host) == 0 || strlen(host) >= HOST_BYTES)
        return ERR_RESOLVE;
    if (r == NULL) {
        err = ask_system(host, list, why);
    } else {
        pthread_mutex_lock(&r->lock);
        err = wait_for_name(r, host, deadline_us, list, why);
        pthread_mutex_unlock(&r->lock);
    }
    if (err == ERR_NONE)
        set_ports(list, port);
    return err;
}
