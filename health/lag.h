/* How far a replica is behind its primary, in bytes and in time, without anybody's wall clock: the
 * primary's positions are noted with the time when they were seen, and a replica lags since the
 * primary was first seen beyond what the replica has applied.  An idle primary's replicas lag
 * nothing.  Pure.
 *
 *     lag_history_add(&history, primary_lsn, asked_us);     each time the primary was asked
 *     lag = lag_of(&history, replica_lsn, answered_us);     each time the replica was
 *
 * What was seen is as old as the question was, so lags err to the long side; between two sights of
 * the primary it may have gone on at any time, so they err by that interval to the short side. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum { LAG_SIGHTS = 256 };

struct lag_sight {
    uint64_t lsn, at_us;
};

/* The newest sights are kept one by one, older ones ever more coarsely; zero is empty. */
struct lag_history {
    uint32_t count;
    struct lag_sight sights[LAG_SIGHTS]; /* positions and times rise */
};

struct lag {
    bool is_known; /* false: it is behind what was seen first, so nobody knows since when */
    uint64_t bytes;
    uint64_t us; /* at the least, if it is not known */
};

void lag_history_reset(struct lag_history *h);
/* A position of before the newest one means that it is another history, which begins now. */
void lag_history_add(struct lag_history *h, uint64_t lsn, uint64_t at_us);
/* 0: there is none. */
uint64_t lag_history_newest(const struct lag_history *h);
struct lag lag_of(const struct lag_history *h, uint64_t lsn, uint64_t at_us);

/* Zero in a member: no limit. */
struct lag_limits {
    uint64_t most_us, most_bytes;
};

/* Is a replica fresh enough?  It is not as soon as it lags more than the limits, or by an unknown
 * time where that has a limit; it is again after two sights in a row below half of them, so that it
 * does not flap.  Zero is one that has not judged yet: the first judgement needs no second. */
struct lag_gate {
    bool has_judged, is_open;
    uint32_t good_run;
};

/* True if it is open now. */
bool lag_gate_judge(struct lag_gate *g, const struct lag_limits *limits, const struct lag *lag);
