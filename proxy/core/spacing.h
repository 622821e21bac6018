/* How long a worker waits between two turns, so that more is served by each.
 *
 * While a crowd of sessions asks as fast as it is answered, turns that follow one another at once
 * find a socket or two ready each, and what they write wakes a server or client each time: most of
 * the cost of a small request.  So what is asked is written to the servers together, once in a
 * round, which begins a little after the last one did.
 *
 * Only where sessions share connections to their servers (struct flow says so): else a later turn
 * saves little, and costs the servers' time.
 *
 * A crowd is who asked lately, if at some moment half of them or more waited at once.  Others think
 * before they ask again: they would only be served later.
 *
 * How little the wait is, is learned from what came.  If when a round ends nearly the whole crowd
 * waits for it, its servers and clients had run out of work and the wait was too long; if many are
 * still to come, everyone is busy anyway and a longer wait costs nothing.  The wait grows and
 * shrinks by parts of itself, so that of a busy worker's ten rounds three or four find the whole
 * crowd, however long it is: with more of them throughput is lost, with fewer there is more to be
 * saved.  Of one that rests most of the time, and is woken by words (below), it is six: its
 * servers and clients have run out of work for a shorter time then.
 *
 * A worker that is at work for most of a round has turns within it: they pass answers on, which
 * keeps clients at work and so lets more come in a round, and read what is asked next.  For one
 * that rests most of the time they cost more than they bring, for each of them is a rest: to fall
 * asleep and be woken by a clock takes some 15 us of CPU on a virtual machine.  That is also why
 * a rest of less than that is left out.
 *
 * To be woken by somebody else takes half of that.  So a worker that rests most of the time ends a
 * rest not by the clock but by the word of who was written to last: a server that was asked, or
 * else a client that was answered.  When they speak the others most likely have, too.  A word
 * before the round is over makes a turn within it; there are a few of those at most.  After a rest
 * that was too long, since who was to speak was silent, some rounds end by the clock: the more
 * often that happens, the more of them; each word that comes in time is a part of that forgiven.
 * (To a busy worker words come too late: its clients have run out of work by then.)
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
    SPACING_GROWS = 160,      /* the part of the wait that a round which came too early adds, */
    SPACING_GROWS_WORDS = 50, /* and where words end rests: */
    SPACING_STEP_NS = 250,    /* at least so much, */
    SPACING_SHRINKS = 80,     /* and the part that one which came too late takes away */
    SPACING_LOOKS = 3,        /* turns of a busy worker's round */
    SPACING_LEAST_US = 30,    /* of a rest */
    SPACING_BUSY = 49,        /* percent of the time that a worker rests: one with less is busy, */
    SPACING_IDLE = 54,        /* and one with more is not */
    SPACING_SILENT_MS = 5,    /* that a rest waits for a word.  Longer than the system's own clock
                               * takes, most likely: an alarm before that costs what it saves */
    SPACING_LATE_US = 1000,   /* a rest that was too long */
    SPACING_SHY = 32,         /* rounds by the clock after one, and at most: */
    SPACING_SHY_MOST = 4096,
    SPACING_FORGIVES = 128,    /* the part of them that a word in time takes away */
    SPACING_EPOCH_TURNS = 64,  /* at least, and */
    SPACING_EPOCH_TICKS = 2,   /* of the worker's fast clock: what is compared */
    SPACING_FIRST_EPOCHS = 20, /* before the first trial */
    SPACING_MOST_EPOCHS = 160,
};

/* Zero is valid: it learns how long to wait, and will try what not to wait is like. */
struct spacing {
    uint64_t wait_ns;
    uint64_t round_us;    /* when the last round began, */
    uint64_t turn_us;     /* and the last turn */
    uint64_t rested_us;   /* within this round */
    uint32_t rests;       /* the part of the time, of SPACING_ALL, in the last rounds */
    bool looks;           /* within a round: a busy worker */
    uint32_t words;       /* that ended a rest of this round */
    uint32_t shy;         /* rounds still to end by the clock, */
    uint32_t shy_next;    /* and after the next rest that is too long */
    bool without;         /* chosen: no wait */
    bool trial;           /* this epoch does the other thing, */
    bool doubt;           /* or comes after one that did */
    bool again;           /* the trial is the second, after one that was won */
    uint32_t ticks;       /* of this epoch */
    uint32_t turns;       /* rounds of it with a crowd */
    uint32_t epochs;      /* since the last trial */
    uint32_t rest_epochs; /* until the next one; 0: SPACING_FIRST_EPOCHS */
    uint64_t requests;    /* of this epoch */
    uint64_t before;      /* of the epoch before the trial */
    uint64_t tried;       /* of the trial */
};

/* Before a turn, by a clock that never goes back. */
struct spacing_rest {
    uint64_t from_us, until_us; /* the same: none */
    bool heard;                 /* it was to end by a word */
};

/* Of those that asked lately, so many waited at once at most. */
static inline bool spacing_is_crowd(uint32_t asked, uint32_t peak)
{
    return asked >= SPACING_CROWD && peak * 2 >= asked;
}
/* The least time from one round to the next while there is a crowd. */
uint64_t spacing_wait_us(const struct spacing *s);
/* A turn with a crowd is to begin: how long to rest before, by the clock; 0: not at all. */
uint64_t spacing_rest_us(const struct spacing *s, uint64_t now_us);
/* May a word end that rest, however long it takes? */
bool spacing_listens(const struct spacing *s);
/* The turn begins.  Returns whether the round ends with it, and servers are written. */
bool spacing_turn(struct spacing *s, struct spacing_rest rest);
/* A round is over, for which so many of the crowd waited. */
void spacing_round(struct spacing *s, uint32_t crowd, uint32_t waited, uint64_t most_us);
/* A fast tick is over, in which so many requests came. */
void spacing_tick(struct spacing *s, uint64_t requests);
