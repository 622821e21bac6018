/* See snapshot.h.  Built by load.c in one thread; then only the count of references changes. */
#include "config/snapshot.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct snapshot *snapshot_ref(struct snapshot *s)
{
    unsigned before = atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);

    assert(before > 0);
    (void)before;
    return s;
}

static void wipe(const char *text)
{
    if (text != NULL)
        explicit_bzero((char *)text, strlen(text));
}

static void wipe_secrets(struct snapshot *s)
{
    for (uint32_t i = 0; i < s->endpoint_count; i++) {
        wipe(s->endpoints[i].password);
        wipe(s->endpoints[i].identity);
    }
    for (uint32_t i = 0; i < s->pool_count; i++)
        for (uint32_t u = 0; u < s->pools[i].user_count; u++)
            for (uint32_t p = 0; p < s->pools[i].users[u].password_count; p++)
                wipe(s->pools[i].users[u].passwords[p].text);
}

void snapshot_unref(struct snapshot **s)
{
    struct snapshot *gone = *s;

    *s = NULL;
    if (gone == NULL || atomic_fetch_sub_explicit(&gone->refs, 1, memory_order_acq_rel) > 1)
        return;
    wipe_secrets(gone);
    arena_fini(&gone->arena);
    free(gone);
}

const struct memory_pool *snapshot_pool(const struct snapshot *s, const char *name)
{
    for (uint32_t i = 0; i < s->pool_count; i++)
        if (strcmp(s->pools[i].name, name) == 0)
            return &s->pools[i];
    return NULL;
}

bool address_is_local(const struct address *a)
{
    struct in_addr four;
    struct in6_addr six;

    if (a->path != NULL || strcasecmp(a->host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, a->host, &four) == 1)
        return ntohl(four.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, a->host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

bool address_is(const struct address *a, const struct address *b)
{
    if (a->path != NULL || b->path != NULL)
        return a->path != NULL && b->path != NULL && strcmp(a->path, b->path) == 0;
    return a->port == b->port && strcasecmp(a->host, b->host) == 0;
}
