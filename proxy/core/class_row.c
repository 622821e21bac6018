/* See class_row.h.  The lock guards the list; the rows have one writer each. */
#include "proxy/core/class_row.h"

#include <pthread.h>
#include <string.h>

#include "proxy/base/clock.h"
#include "proxy/base/mem.h"

static struct {
    pthread_mutex_t lock;
    struct class_row *rows; /* lock */
} shared = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct class_row *class_row_of(const char *pool, const char *name, uint32_t worker)
{
    struct class_row *row;

    pthread_mutex_lock(&shared.lock);
    for (row = shared.rows; row != NULL; row = row->next)
        if (row->worker == worker && strcmp(row->pool, pool) == 0 && strcmp(row->name, name) == 0)
            break;
    if (row == NULL) {
        row = mem_new(sizeof(*row));
        row->pool = mem_text(pool);
        row->name = mem_text(name);
        row->worker = worker;
        hot_keys_init(&row->hot, clock_now_us());
        row->next = shared.rows;
        shared.rows = row;
    }
    pthread_mutex_unlock(&shared.lock);
    return row;
}

void class_row_each(void (*visit)(struct class_row *row, void *arg), void *arg)
{
    struct class_row *row;

    pthread_mutex_lock(&shared.lock);
    row = shared.rows;
    pthread_mutex_unlock(&shared.lock);
    for (; row != NULL; row = row->next)
        visit(row, arg);
}
