/* See keyring.h. */
#include "proxy/core/keyring.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "proxy/base/mem.h"

struct keyring {
    struct {
        pthread_mutex_t lock;
        _Atomic uint64_t version; /* atomic; written under the lock */
        struct aws_keys keys;     /* lock */
    } shared;
};

static uint64_t next_version(void)
{
    static _Atomic uint64_t versions;

    return atomic_fetch_add(&versions, 1) + 1;
}

struct keyring *keyring_new(const struct aws_keys *keys)
{
    struct keyring *ring = mem_new(sizeof(*ring));

    pthread_mutex_init(&ring->shared.lock, NULL);
    ring->shared.keys = *keys;
    atomic_init(&ring->shared.version, next_version());
    return ring;
}

void keyring_free(struct keyring **where)
{
    struct keyring *ring = *where;

    *where = NULL;
    if (ring == NULL)
        return;
    pthread_mutex_destroy(&ring->shared.lock);
    explicit_bzero(ring, sizeof(*ring));
    free(ring);
}

static bool are_same(const struct aws_keys *a, const struct aws_keys *b)
{
    return strcmp(a->id, b->id) == 0 && strcmp(a->secret, b->secret) == 0 &&
           strcmp(a->token, b->token) == 0;
}

bool keyring_put(struct keyring *ring, const struct aws_keys *keys)
{
    bool is_new;

    pthread_mutex_lock(&ring->shared.lock);
    is_new = !are_same(&ring->shared.keys, keys);
    if (is_new) {
        ring->shared.keys = *keys;
        atomic_store(&ring->shared.version, next_version());
    }
    pthread_mutex_unlock(&ring->shared.lock);
    return is_new;
}

uint64_t keyring_version(const struct keyring *ring)
{
    return atomic_load_explicit(&ring->shared.version, memory_order_acquire);
}

void keyring_copy(struct keyring *ring, struct keyring_copy *out)
{
    pthread_mutex_lock(&ring->shared.lock);
    out->version = keyring_version(ring);
    out->keys = ring->shared.keys;
    pthread_mutex_unlock(&ring->shared.lock);
}
