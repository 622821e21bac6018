/* See board.h.
 *
 * What has several words is published by a sequence lock without fences: the writer makes `turn`
 * odd, stores the words with release and makes it even again; a reader loads the words with
 * acquire, and if it saw any of a newer writing it sees that writing's odd turn too, and looks
 * again.  There is one writer, the steward, and it never waits. */
#include "health/board.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

#include "proxy/base/mem.h"

_Static_assert(HEALTH_REASONS <= 64, "a reason has six bits of the word");
_Static_assert(VERDICT_DRAINING <= 3, "a state has two bits of the word");
_Static_assert(STANDING_ROLE_REPLICA <= 3, "a role has two bits of the word");
_Static_assert(STANDING_FITS <= 16, "a fit has four bits of the word");

enum { MOST_VERSION = 0xfffff };

struct board *board_new(size_t endpoints, size_t pools)
{
    struct board *b = mem_new(sizeof(*b) + endpoints * sizeof(b->words[0]));

    b->count = endpoints;
    b->pool_count = pools;
    b->bell = -1;
    b->standings = mem_new(endpoints * sizeof(*b->standings));
    b->pools = mem_new(pools * sizeof(*b->pools));
    for (size_t i = 0; i < endpoints; i++)
        board_put(b, i, &(struct verdict){ .state = VERDICT_UP, .weight_percent = 100 });
    for (size_t i = 0; i < pools; i++)
        board_put_primary(b, i, &(struct board_primary){ .endpoint = BOARD_NONE });
    return b;
}

void board_free(struct board **b)
{
    if (*b != NULL) {
        if ((*b)->bell >= 0)
            close((*b)->bell);
        free((*b)->standings);
        free((*b)->pools);
    }
    free(*b);
    *b = NULL;
}

void board_put(struct board *b, size_t endpoint, const struct verdict *verdict)
{
    uint64_t word = (uint64_t)verdict->state | (uint64_t)verdict->reason << 2 |
                    (uint64_t)verdict->weight_percent << 8 | verdict->since_ms << 16;

    assert(endpoint < b->count);
    atomic_store_explicit(&b->words[endpoint], word, memory_order_relaxed);
}

/* ---- several words ---- */

static void put_words(_Atomic uint64_t *turn, _Atomic uint64_t *words, const uint64_t *from,
                      size_t count)
{
    uint64_t now = atomic_load_explicit(turn, memory_order_relaxed);

    atomic_store_explicit(turn, now + 1, memory_order_relaxed);
    for (size_t i = 0; i < count; i++)
        atomic_store_explicit(&words[i], from[i], memory_order_release);
    atomic_store_explicit(turn, now + 2, memory_order_release);
}

static void get_words(const _Atomic uint64_t *turn, const _Atomic uint64_t *words, uint64_t *to,
                      size_t count)
{
    uint64_t before, after;

    for (;;) {
        before = atomic_load_explicit(turn, memory_order_acquire);
        for (size_t i = 0; i < count; i++)
            to[i] = atomic_load_explicit(&words[i], memory_order_acquire);
        after = atomic_load_explicit(turn, memory_order_relaxed);
        if (before == after && (before & 1) == 0)
            return;
        if ((before & 1) != 0)
            sched_yield(); /* the writer was stopped in the middle of it */
    }
}

enum { LAG_KNOWN = 1 << 6, READ_ONLY = 1 << 7, PAUSED = 1 << 8, ASSUMED = 1 << 9 };
enum { VERSION_AT = 12 };

/* The first word: role 2 bits | fit 4 bits | flags | from bit 12 the version, from 32 the
 * timeline */
static uint64_t summary_of(const struct standing *s)
{
    uint32_t low = (uint32_t)s->role | (uint32_t)s->fit << 2;

    low |= (s->lag_is_known ? LAG_KNOWN : 0u) | (s->is_read_only ? READ_ONLY : 0u) |
           (s->replay_is_paused ? PAUSED : 0u) | (s->is_assumed ? ASSUMED : 0u);
    low |= (s->version & MOST_VERSION) << VERSION_AT;
    return low | (uint64_t)s->timeline << 32;
}

void board_put_standing(struct board *b, size_t endpoint, const struct standing *s)
{
    const uint64_t words[BOARD_STANDING_WORDS] = {
        summary_of(s),
        s->lsn,
        s->received_lsn,
        s->lag_bytes,
        s->lag_us,
        s->system_id,
        (uint64_t)s->started_wall_us,
        s->measured_us,
    };

    assert(endpoint < b->count);
    put_words(&b->standings[endpoint].turn, b->standings[endpoint].words, words,
              BOARD_STANDING_WORDS);
}

struct standing board_standing(const struct board *b, size_t endpoint)
{
    uint64_t words[BOARD_STANDING_WORDS];

    assert(endpoint < b->count);
    get_words(&b->standings[endpoint].turn, b->standings[endpoint].words, words,
              BOARD_STANDING_WORDS);
    return (struct standing){ .role = (enum standing_role)(words[0] & 3),
                              .fit = (enum standing_fit)(words[0] >> 2 & 15),
                              .lag_is_known = (words[0] & LAG_KNOWN) != 0,
                              .is_read_only = (words[0] & READ_ONLY) != 0,
                              .replay_is_paused = (words[0] & PAUSED) != 0,
                              .is_assumed = (words[0] & ASSUMED) != 0,
                              .timeline = (uint32_t)(words[0] >> 32),
                              .lsn = words[1],
                              .received_lsn = words[2],
                              .lag_bytes = words[3],
                              .lag_us = words[4],
                              .system_id = words[5],
                              .started_wall_us = (int64_t)words[6],
                              .measured_us = words[7],
                              .version = words[0] >> VERSION_AT & MOST_VERSION };
}

void board_put_primary(struct board *b, size_t pool, const struct board_primary *p)
{
    const uint64_t words[BOARD_PRIMARY_WORDS] = { (uint64_t)p->epoch << 32 | p->endpoint,
                                                  p->since_ms, p->system_id, p->timeline,
                                                  p->first_lsn };

    assert(pool < b->pool_count);
    put_words(&b->pools[pool].turn, b->pools[pool].words, words, BOARD_PRIMARY_WORDS);
}

struct board_primary board_primary(const struct board *b, size_t pool)
{
    uint64_t words[BOARD_PRIMARY_WORDS];

    assert(pool < b->pool_count);
    get_words(&b->pools[pool].turn, b->pools[pool].words, words, BOARD_PRIMARY_WORDS);
    return (struct board_primary){ .epoch = (uint32_t)(words[0] >> 32),
                                   .endpoint = (uint32_t)words[0],
                                   .since_ms = words[1],
                                   .system_id = words[2],
                                   .timeline = (uint32_t)words[3],
                                   .first_lsn = words[4] };
}

/* ---- the bell ---- */

void board_listen(struct board *b, int bell)
{
    assert(b->bell < 0);
    b->bell = fcntl(bell, F_DUPFD_CLOEXEC, 0); /* -1: it is not heard; probes go on by themselves */
}

bool board_was_rung(struct board *b, size_t pool)
{
    assert(pool < b->pool_count);
    return atomic_exchange_explicit(&b->pools[pool].is_rung, false, memory_order_acquire);
}

void board_ring(struct board *b, size_t pool)
{
    const uint64_t one = 1;

    assert(pool < b->pool_count);
    /* Who rings after another is heard with that one. */
    if (atomic_exchange_explicit(&b->pools[pool].is_rung, true, memory_order_release))
        return;
    if (b->bell >= 0)
        (void)!write(b->bell, &one, sizeof(one));
}
