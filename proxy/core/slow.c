/* See slow.h: a ring under a lock, which is taken only for requests that were slow. */
#include "proxy/core/slow.h"

#include <pthread.h>
#include <string.h>

static struct {
    pthread_mutex_t lock;
    struct slow_entry ring[SLOW_ENTRIES_MOST]; /* lock, as all here */
    uint64_t noted;
    uint32_t entries;
    uint64_t forgotten; /* entries up to here are not told any more */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER, .entries = 128 };

void slow_configure(uint32_t entries)
{
    pthread_mutex_lock(&shared.lock);
    if (entries != shared.entries) {
        shared.entries = entries < SLOW_ENTRIES_MOST ? entries : SLOW_ENTRIES_MOST;
        shared.forgotten = shared.noted;
    }
    pthread_mutex_unlock(&shared.lock);
}

bool slow_is_worth_noting(struct slow_watch *watch, uint64_t now_us, uint64_t took_us)
{
    enum { SHORT_TIME_US = 20 * 1000, FIRST = 8 };

    if (now_us - watch->since_us >= SHORT_TIME_US)
        *watch = (struct slow_watch){ .since_us = now_us };
    if (watch->notes >= FIRST && took_us <= watch->most_us)
        return false;
    if (took_us > watch->most_us)
        watch->most_us = took_us;
    watch->notes++;
    return true;
}

void slow_note(const struct slow_entry *entry)
{
    pthread_mutex_lock(&shared.lock);
    if (shared.entries > 0) {
        struct slow_entry *place = &shared.ring[shared.noted % shared.entries];

        *place = *entry;
        place->id = shared.noted++;
    }
    pthread_mutex_unlock(&shared.lock);
}

void slow_forget(const char *pool)
{
    pthread_mutex_lock(&shared.lock);
    for (size_t i = 0; i < SLOW_ENTRIES_MOST; i++)
        if (strncmp(shared.ring[i].pool, pool, sizeof(shared.ring[i].pool) - 1) == 0)
            shared.ring[i].pool[0] = '\0';
    pthread_mutex_unlock(&shared.lock);
}

size_t slow_copy(struct slow_entry *out, size_t most)
{
    size_t n = 0;

    pthread_mutex_lock(&shared.lock);
    for (uint64_t id = shared.noted; id > shared.forgotten && n < most; id--) {
        if (shared.noted - id >= shared.entries)
            break;
        if (shared.ring[(id - 1) % shared.entries].pool[0] != '\0')
            out[n++] = shared.ring[(id - 1) % shared.entries];
    }
    pthread_mutex_unlock(&shared.lock);
    return n;
}
