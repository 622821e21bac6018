/* See condition.h. */
#include "proxy/core/condition.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/list.h"
#include "proxy/base/mem.h"

struct condition {
    struct list link; /* on `all` */
    char *identity;
    unsigned refs;   /* the lock, as `why` */
    atomic_uint err; /* written under the lock */
    char why[CONDITION_WHY_BYTES];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list all; /* lock */

static struct condition *find(const char *identity)
{
    LIST_EACH (&all, link)
        if (strcmp(LIST_ITEM(link, struct condition, link)->identity, identity) == 0)
            return LIST_ITEM(link, struct condition, link);
    return NULL;
}

struct condition *condition_open(const char *identity)
{
    struct condition *c;

    pthread_mutex_lock(&lock);
    if (all.next == NULL)
        list_init(&all);
    c = find(identity);
    if (c == NULL) {
        c = mem_new(sizeof(*c));
        c->identity = mem_text(identity);
        atomic_init(&c->err, ERR_AGAIN);
        list_append(&all, &c->link);
    }
    c->refs++;
    pthread_mutex_unlock(&lock);
    return c;
}

void condition_close(struct condition **where)
{
    struct condition *c = *where;

    *where = NULL;
    if (c == NULL)
        return;
    pthread_mutex_lock(&lock);
    if (--c->refs == 0) {
        list_remove(&c->link);
        explicit_bzero(c->identity, strlen(c->identity)); /* it holds passwords */
        free(c->identity);
        free(c);
    }
    pthread_mutex_unlock(&lock);
}

void condition_tell(struct condition *c, enum err err, const char *why)
{
    pthread_mutex_lock(&lock);
    snprintf(c->why, sizeof(c->why), "%s", err == ERR_NONE ? "" : why);
    atomic_store_explicit(&c->err, err, memory_order_release);
    pthread_mutex_unlock(&lock);
}

enum err condition_get(struct condition *c, char why[CONDITION_WHY_BYTES])
{
    enum err err;

    pthread_mutex_lock(&lock);
    memcpy(why, c->why, CONDITION_WHY_BYTES);
    err = (enum err)atomic_load_explicit(&c->err, memory_order_relaxed);
    pthread_mutex_unlock(&lock);
    return err;
}

bool condition_is_bad(const struct condition *c)
{
    enum err err = (enum err)atomic_load_explicit(&c->err, memory_order_acquire);

    return err != ERR_NONE && err != ERR_AGAIN;
}
