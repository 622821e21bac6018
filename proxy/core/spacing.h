/* How long a worker waits between two turns, so that more is served by each.
 *
 * While a crowd of sessions asks as fast as it is answered, turns that follow one another at once
 * find a socket or two ready each, and what they write wakes a server or client each time: most of
 * the cost of a small request.  So a turn then begins a little after the last one, and serves
 * together what came meanwhile.
 *
 * Only where sessions share connections to their servers (struct flow says so): else a later turn
 * saves little, and costs the servers' time.
 *
 * A crowd is who asked lately, if at some moment half of them or more waited at once.  Others think
 * before they ask again: they would only be served later.
 *
 * How little the wait is, is learned from what came.  If in a turn nearly the whole crowd came, to
 * ask or to be answered, its servers and clients had run out of work and the wait was too long; if
 * many are still to come, everyone is busy anyway and a longer wait costs nothing.  The wait grows
 * and shrinks by parts of itself, so that of ten turns three find the whole crowd, however long it
 * is: with more of them throughput is lost, with fewer there is more to be saved.
 *
 * It can cost throughput all the same.  So the worker now and then tries for a moment what happens
 * without the wait (or with it), and keeps what serves more; where both serve about the same, it
 * waits, which is cheaper.  The load changes by itself, too: so a trial must show more than the
 * time before it and the time after it, twice.  One that changes nothing makes the next one
 * rarer. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum {
    SPACING_CROWD = 8,        /* sessions: fewer are served at once */
    SPACING_GROWS = 160,      /* the part of the wait that a turn which came too early adds, */
    SPACING_STEP_NS = 250,    /* at least so much, */
    SPACING_SHRINKS = 64,     /* and the part that one which came too late takes away */
    SPACING_EPOCH_TURNS = 64, /* at least, and */
    SPACING_EPOCH_TICKS = 5,  /* of the worker's fast clock: what is compared */
    SPACING_FIRST_EPOCHS = 8, /* before the first trial */
    SPACING_MOST_EPOCHS = 64,
};

/* Zero is valid: it learns how long to wait, and will try what not to wait is like. */
struct spacing {
    uint64_t wait_ns;
    bool without;         /* chosen: no wait */
    bool trial;           /* this epoch does the other thing, */
    bool doubt;           /* or comes after one that did */
    bool again;           /* the trial is the second, after one that was won */
    uint32_t ticks;       /* of this epoch */
    uint32_t turns;       /* of it with a crowd */
    uint32_t epochs;      /* since the last trial */
    uint32_t rest_epochs; /* until the next one; 0: SPACING_FIRST_EPOCHS */
    uint64_t requests;    /* of this epoch */
    uint64_t before;      /* of the epoch before the trial */
    uint64_t tried;       /* of the trial */
};

/* Of those that asked lately, so many waited at once at most. */
static inline bool spacing_is_crowd(uint32_t asked, uint32_t peak)
{
    return asked >= SPACING_CROWD && peak * 2 >= asked;
}
/* The least time from one turn to the next while there is a crowd. */
uint64_t spacing_wait_us(const struct spacing *s);
/* A turn with a crowd is over, of whom so many came. */
void spacing_turn(struct spacing *s, uint32_t crowd, uint32_t came, uint64_t most_us);
/* A fast tick is over, in which so many requests came. */
void spacing_tick(struct spacing *s, uint64_t requests);
