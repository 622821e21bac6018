/* What is known of all endpoints, for all threads.  Written by the steward alone, read by workers
 * for every request, without a lock.  A board never grows: a reload makes a new one, of the new
 * snapshot.  The other way there is a bell, by which workers have a pool looked at again.
 *
 * Of each endpoint its verdict, one atomic word; of those of SQL pools the standing besides: role,
 * position, lag.  Of each SQL pool its primary:
 *
 *     if (board_epoch(board, pool) != known.epoch)      cheap: one load
 *         known = board_primary(board, pool);
 *     if (board_is_up(board, e) && board_fit(board, e) == STANDING_FRESH)     a replica for a read
 *
 * A standing and a primary are read whole: all of its members were written together.  Two calls may
 * see two writings: what must fit together is to be taken from one copy. */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "health/judge.h"
#include "health/standing.h"

enum { BOARD_NONE = UINT32_MAX, BOARD_STANDING_WORDS = 8, BOARD_PRIMARY_WORDS = 5 };

/* Who takes a pool's writes. */
struct board_primary {
    uint32_t epoch;    /* another with every change, and over reloads */
    uint32_t endpoint; /* number; BOARD_NONE: there is none */
    uint64_t since_ms; /* of the monotonic clock: so long it, or none, has been so */
    uint64_t system_id;
    uint32_t timeline; /* of it, or of the last one; 0: not known */
    /* A position of its that was seen after it became the primary: whoever has applied it has all
     * that was before.  What is beyond it and was heard of an earlier timeline may be lost. */
    uint64_t first_lsn;
};

/* Each word is atomic.  `turn` is odd while the others are being written. */
struct board_standing {
    _Atomic uint64_t turn;
    _Atomic uint64_t words[BOARD_STANDING_WORDS];
};

struct board_pool {
    _Atomic uint64_t turn;
    _Atomic uint64_t words[BOARD_PRIMARY_WORDS]; /* the first: epoch and endpoint */
    atomic_bool is_rung;                         /* set by workers, cleared by the steward */
};

/* A verdict's word: state 2 bits | reason 6 bits | weight 8 bits | since 48 bits, milliseconds */
struct board {
    size_t count, pool_count;
    struct board_standing *standings; /* by endpoint number */
    struct board_pool *pools;         /* by pool number */
    int bell;                         /* an eventfd; -1: nobody listens; as long as it lives */
    _Atomic uint64_t words[];         /* atomic: written by the steward */
};

/* All are UP with full weight; standings are not known; no pool has a primary. */
struct board *board_new(size_t endpoints, size_t pools);
void board_free(struct board **b);

/* For the steward. */
void board_put(struct board *b, size_t endpoint, const struct verdict *verdict);
void board_put_standing(struct board *b, size_t endpoint, const struct standing *standing);
void board_put_primary(struct board *b, size_t pool, const struct board_primary *primary);

/* Before others know the board.  `bell` is an eventfd that doesn't block; the board has a
 * descriptor of its own for it. */
void board_listen(struct board *b, int bell);
/* Once for each time that it was rung. */
bool board_was_rung(struct board *b, size_t pool);

/* For workers that met what the board does not know yet: a primary that is lost, or refuses writes.
 * All servers of the pool are probed soon.  Cheap enough to be done at each failure. */
void board_ring(struct board *b, size_t pool);

struct standing board_standing(const struct board *b, size_t endpoint);
struct board_primary board_primary(const struct board *b, size_t pool);

static inline struct verdict board_get(const struct board *b, size_t endpoint)
{
    uint64_t word = atomic_load_explicit(&b->words[endpoint], memory_order_relaxed);

    return (struct verdict){ .state = (enum verdict_state)(word & 3),
                             .reason = (enum health_reason)(word >> 2 & 63),
                             .weight_percent = (uint8_t)(word >> 8),
                             .since_ms = word >> 16 };
}

/* For the hot path: may requests be sent there as a matter of course? */
static inline bool board_is_up(const struct board *b, size_t endpoint)
{
    return (atomic_load_explicit(&b->words[endpoint], memory_order_relaxed) & 3) == VERDICT_UP;
}

/* For the hot path: each is one load of a part of the standing. */
static inline enum standing_role board_role(const struct board *b, size_t endpoint)
{
    return atomic_load_explicit(&b->standings[endpoint].words[0], memory_order_relaxed) & 3;
}

static inline enum standing_fit board_fit(const struct board *b, size_t endpoint)
{
    return atomic_load_explicit(&b->standings[endpoint].words[0], memory_order_relaxed) >> 2 & 15;
}

/* It has applied at least this much, if its timeline is the primary's (fit FRESH or LAGGING). */
static inline uint64_t board_lsn(const struct board *b, size_t endpoint)
{
    return atomic_load_explicit(&b->standings[endpoint].words[1], memory_order_relaxed);
}

static inline uint32_t board_epoch(const struct board *b, size_t pool)
{
    return (uint32_t)(atomic_load_explicit(&b->pools[pool].words[0], memory_order_acquire) >> 32);
}
