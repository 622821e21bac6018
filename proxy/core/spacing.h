/* How long a worker waits between two turns, so that more is served by each.
 *
 * While many sessions wait for answers, turns that follow one another at once find a socket or two
 * ready each, and what they write wakes a server or client each time: most of the cost of a small
 * request.  So a turn then begins a little after the last one, and serves together what came
 * meanwhile.  The wait is shorter than serving all who asked lately would take.
 *
 * It can cost throughput all the same, where clients are so quick that they would keep the worker
 * busy without it.  So the worker now and then tries for a moment what happens without the wait (or
 * with it), and keeps what serves more; where both serve the same, it waits, which is cheaper.  A
 * trial that changes nothing makes the next one rarer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    SPACING_CROWD = 8,        /* sessions that wait for answers: fewer are served at once */
    SPACING_EACH_US = 5,      /* what one of a crowd lengthens the wait by: less than it costs */
    SPACING_EPOCH_TICKS = 5,  /* of the worker's fast clock: what is compared */
    SPACING_FIRST_EPOCHS = 3, /* before the first trial */
    SPACING_MOST_EPOCHS = 64,
};

/* Zero is valid: it waits, and will try. */
struct spacing {
    bool without;         /* chosen: no wait */
    bool trial;           /* this epoch does the other thing */
    uint32_t ticks;       /* of this epoch */
    uint32_t epochs;      /* since the last trial */
    uint32_t rest_epochs; /* until the next one; 0: SPACING_FIRST_EPOCHS */
    uint64_t requests;    /* of this epoch */
    uint64_t before;      /* of the epoch before the trial */
};

/* A fast tick is over, in which so many requests came from so many sessions. */
void spacing_tick(struct spacing *s, uint64_t requests, uint32_t crowd);
/* The least time from one turn to the next, with so many sessions that asked lately. */
uint64_t spacing_wait_us(const struct spacing *s, uint32_t crowd, uint64_t most_us);
