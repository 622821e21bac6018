/* What is built once from a snapshot and then read by all threads: the maps of its pools, the
 * stamps its shards must carry, its TLS contexts, its health board.  Immutable but for the board,
 * which has the steward as its one writer. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "config/snapshot.h"
#include "health/board.h"
#include "health/tally.h"
#include "proxy/base/buf.h"
#include "proxy/base/err.h"
#include "proxy/core/keyring.h"
#include "proxy/io/tls.h"
#include "shard/key_classes.h"
#include "shard/map.h"

struct assembly {
    atomic_uint refs;
    struct snapshot *snapshot;         /* counted reference */
    struct shard_map **maps;           /* by pool number; NULL: of an sql pool */
    struct key_classes **sorters;      /* by pool number; answers: places in the pool's classes */
    struct buf *stamps;                /* by endpoint number; empty: off */
    struct tls_context **endpoint_tls; /* by endpoint number; NULL: plain */
    struct tls_context **listener_tls; /* by listener number; NULL: plain */
    struct keyring **keyrings;         /* by endpoint number; NULL: the URL has its keys, if any */
    struct board *board;               /* by endpoint number */
    uint32_t workers;
    struct tally_sheet **tallies; /* by worker index: what its requests met; one writer each */
    atomic_uint *leased;          /* by endpoint number: upstreams leased, in the process */
    atomic_ullong *wanted_us;     /* by endpoint number: when a lease was last in vain asked for */
};

/* Takes over the caller's reference of the snapshot, also on failure; `why` says what is wrong. */
enum err assembly_new(struct snapshot *snapshot, uint32_t workers, struct assembly **out,
                      struct buf *why) MUST_CHECK;
struct assembly *assembly_ref(struct assembly *a);
void assembly_unref(struct assembly **where);
/* The settings of a map from those of a memory or blob pool: for checks and tools too.
 * `members` has room for pool->endpoint_count. */
void assembly_map_settings(const struct pool_settings *pool, struct shard_map_member *members,
                           struct shard_map_settings *out);
/* What sorts the keys of a memory pool into its classes; NULL: there are none. */
struct key_classes *assembly_sorter_new(const struct memory_pool *pool);
/* The same of what a TLS context is made of; it borrows the names of the files. */
struct tls_options assembly_tls_options(const struct tls_settings *t, enum tls_side side);
