/* See stats.h.  The lock guards the list; the rows have one writer each. */
#include "proxy/core/stats.h"

#include <pthread.h>
#include <string.h>

#include "proxy/base/mem.h"

static struct {
    pthread_mutex_t lock;
    struct stats_row *rows; /* lock */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct stats_row *stats_row_of(const char *pool, const char *endpoint, uint32_t shard,
                               uint32_t worker)
{
    struct stats_row *row;

    pthread_mutex_lock(&shared.lock);
    for (row = shared.rows; row != NULL; row = row->next)
        if (row->worker == worker && row->shard == shard && strcmp(row->pool, pool) == 0 &&
            strcmp(row->endpoint, endpoint) == 0)
            break;
    if (row == NULL) {
        row = mem_new(sizeof(*row));
        row->pool = mem_text(pool);
        row->endpoint = mem_text(endpoint);
        row->shard = shard;
        row->worker = worker;
        row->number = shared.rows == NULL ? 0 : shared.rows->number + 1;
        row->next = shared.rows;
        shared.rows = row;
    }
    pthread_mutex_unlock(&shared.lock);
    return row;
}

void stats_each(void (*visit)(const struct stats_row *row, void *arg), void *arg)
{
    const struct stats_row *row;

    pthread_mutex_lock(&shared.lock);
    row = shared.rows;
    pthread_mutex_unlock(&shared.lock);
    for (; row != NULL; row = row->next)
        visit(row, arg);
}
