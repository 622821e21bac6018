/* What is counted of a class of keys ([class NAME]) in a memory pool, by worker: written by that
 * worker, read by the steward.  As with stats.h, a row stays for the life of the process. */
#pragma once

#include <stdint.h>

#include "proxy/base/metric.h"
#include "proxy/core/hot_keys.h"

struct class_row {
    struct class_row *next; /* of all; the newest first */
    char *pool;             /* whose clients asked; owned, for ever, as the next */
    char *name;             /* of the class; "": keys of no class */
    uint32_t worker;
    struct counter requests; /* by their first key */
    struct counter writes;   /* of them */
    struct counter refused;  /* of them: the class does not allow it */
    struct counter cache_hits, cache_misses;
    struct hot_keys hot;
};

/* The row of this worker.  Any thread. */
struct class_row *class_row_of(const char *pool, const char *name, uint32_t worker);
/* Calls `visit` for each row.  Any thread; rows are valid for ever. */
void class_row_each(void (*visit)(struct class_row *row, void *arg), void *arg);
