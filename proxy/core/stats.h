/* What is counted of pools and shards, by worker: written by that worker, read by the steward.
 *
 * A row is made when a worker first works for a pool or shard and stays for the life of the
 * process, so totals never go back at a reload, and the reader needs no lock but for the list of
 * rows. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "proxy/base/metric.h"

struct stats_row {
    struct stats_row *next; /* of all; the newest first */
    uint32_t number;        /* 0, 1, ... in the order of making */
    char *pool;             /* owned, for ever, as the next */
    char *endpoint;         /* "": the row of the pool itself */
    uint32_t shard;
    uint32_t worker;
    atomic_uint sessions;    /* of a pool's row of no worker: open in the process; all write it */
    struct counter requests; /* pool: of sessions; shard: parts sent */
    struct counter failures; /* answered by Sheaf with an error of its own */
    struct counter timeouts, refusals, late_replies, upstreams_lost, upstreams_opened;
    struct counter bytes_in, bytes_out; /* from and to sessions, or from and to the endpoint */
    struct counter upstreams_open, upstreams_leased, requests_open;
    struct counter sessions_open; /* pool only */
    /* Of an embedded shard; in its row of no worker, written by whoever has the store. */
    struct counter store_keys, store_bytes, store_expired, store_evicted;
    struct counter purge_began_s, purge_percent, purge_looked_at, purge_removed;
    /* Pool: from parse to the last byte queued; shard: from the sending to the reply. */
    struct histogram latency_us;
};

#define STATS_NO_WORKER UINT32_MAX /* a row that all workers share */

/* The row of this worker for a pool (endpoint "") or one of its shards.  Any thread. */
struct stats_row *stats_row_of(const char *pool, const char *endpoint, uint32_t shard,
                               uint32_t worker);
/* Calls `visit` for each row.  Any thread; rows are valid for ever. */
void stats_each(void (*visit)(const struct stats_row *row, void *arg), void *arg);
