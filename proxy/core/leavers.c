/* See leavers.h.  The kernel is asked who left, by an epoll of its own for each endpoint, which any
 * worker may poll without waiting.  Everything is under the endpoint's lock, that call too: so an
 * answer never speaks of somebody who is forgotten already; it takes less than a microsecond. */
#include "proxy/core/leavers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "proxy/base/list.h"
#include "proxy/base/mem.h"

enum { EVENTS = 64 };

struct leaver {
    struct list link; /* on `gone`, once it was noted */
    uint64_t server_id;
    int fd;    /* borrowed from the session; -1: the kernel does not watch it (any more) */
    bool told; /* to somebody, or noted */
};

struct leavers {
    struct list link; /* on `all` */
    char *identity;
    uint32_t refs;        /* all_lock */
    atomic_size_t count;  /* changed under the lock */
    pthread_mutex_t lock; /* of the leavers and what follows */
    int epoll;
    struct list gone;
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all; /* all_lock */

static struct leavers *find(const char *identity)
{
    LIST_EACH (&all, link)
        if (strcmp(LIST_ITEM(link, struct leavers, link)->identity, identity) == 0)
            return LIST_ITEM(link, struct leavers, link);
    return NULL;
}

struct leavers *leavers_open(const char *identity)
{
    struct leavers *l;

    pthread_mutex_lock(&all_lock);
    if (all.next == NULL)
        list_init(&all);
    l = find(identity);
    if (l == NULL) {
        l = mem_new(sizeof(*l));
        l->identity = mem_text(identity);
        pthread_mutex_init(&l->lock, NULL);
        l->epoll = epoll_create1(EPOLL_CLOEXEC);
        list_init(&l->gone);
        list_append(&all, &l->link);
    }
    l->refs++;
    pthread_mutex_unlock(&all_lock);
    return l;
}

void leavers_close(struct leavers **where)
{
    struct leavers *l = *where;

    *where = NULL;
    if (l == NULL)
        return;
    pthread_mutex_lock(&all_lock);
    if (--l->refs == 0) {
        list_remove(&l->link);
        if (l->epoll >= 0)
            close(l->epoll);
        pthread_mutex_destroy(&l->lock);
        free(l->identity);
        free(l);
    }
    pthread_mutex_unlock(&all_lock);
}

struct leaver *leavers_watch(struct leavers *l, int fd, uint64_t server_id)
{
    struct leaver *leaver = mem_new(sizeof(*leaver));
    struct epoll_event event = { .events = EPOLLRDHUP, .data.ptr = leaver };

    leaver->server_id = server_id;
    pthread_mutex_lock(&l->lock);
    leaver->fd = epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) == 0 ? fd : -1;
    atomic_fetch_add(&l->count, 1);
    pthread_mutex_unlock(&l->lock);
    return leaver;
}

static void unwatch(struct leavers *l, struct leaver *leaver)
{
    if (leaver->fd >= 0)
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, leaver->fd, NULL);
    leaver->fd = -1;
}

void leavers_note(struct leavers *l, struct leaver *leaver)
{
    pthread_mutex_lock(&l->lock);
    unwatch(l, leaver);
    leaver->told = true;
    list_append(&l->gone, &leaver->link);
    pthread_mutex_unlock(&l->lock);
}

bool leavers_forget(struct leavers *l, struct leaver **where)
{
    struct leaver *leaver = *where;
    bool told;

    *where = NULL;
    pthread_mutex_lock(&l->lock);
    unwatch(l, leaver);
    list_remove(&leaver->link);
    told = leaver->told;
    atomic_fetch_sub(&l->count, 1);
    pthread_mutex_unlock(&l->lock);
    free(leaver);
    return told;
}

size_t leavers_count(const struct leavers *l)
{
    return atomic_load(&l->count);
}

/* Those whose end the kernel has seen.  They stay in the epoll, so that others are told as well. */
static size_t ask_kernel(struct leavers *l, uint64_t *server_ids, size_t most)
{
    struct epoll_event few[EVENTS];
    struct epoll_event *events = most <= EVENTS ? few : mem_new(most * sizeof(*events));
    int found = epoll_wait(l->epoll, events, (int)most, 0);

    for (int i = 0; i < found; i++) {
        struct leaver *leaver = events[i].data.ptr;

        leaver->told = true;
        server_ids[i] = leaver->server_id;
    }
    if (events != few)
        free(events);
    return found < 0 ? 0 : (size_t)found;
}

uint64_t *leavers_find(struct leavers *l, size_t *found)
{
    uint64_t *ids;
    size_t most;

    pthread_mutex_lock(&l->lock);
    most = atomic_load(&l->count);
    ids = mem_new((most + 1) * sizeof(*ids));
    *found = 0;
    LIST_EACH (&l->gone, link)
        ids[(*found)++] = LIST_ITEM(link, struct leaver, link)->server_id;
    if (*found < most)
        *found += ask_kernel(l, ids + *found, most - *found);
    pthread_mutex_unlock(&l->lock);
    return ids;
}
