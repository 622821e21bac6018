/* Which replica is asked.  Pure: the caller gives what is known of each, and keeps the turn.
 *
 *     struct policy_turn turn = { 0 };     of one pool in one worker
 *     chosen = policy_choose(&policy, &turn, candidates, count, &needed);
 *     if (chosen.index == POLICY_NONE) ... chosen.why tells
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "replica/position.h"

enum policy_order { POLICY_ROUND_ROBIN, POLICY_WEIGHTED, POLICY_LEAST_BUSY };

struct policy {
    uint8_t order;          /* enum policy_order */
    uint64_t max_lag_bytes; /* 0: no limit */
    uint64_t max_lag_ms;    /* 0: no limit */
};

struct policy_candidate {
    bool is_usable;         /* up, a replica, not drained, not tried before in this attempt */
    bool is_position_known; /* else it is asked for nothing that needs a position */
    uint32_t weight;        /* 0: none of the reads; of POLICY_ROUND_ROBIN, too, only 0 matters */
    uint32_t busy;          /* statements under way or waiting there */
    uint32_t waiting;       /* of them, those that wait for a connection */
    uint32_t slow_start_share; /* of 1000: 1000 is the full share of what it would get */
    struct position position;  /* replayed */
    uint64_t lag_bytes, lag_ms;
};

/* Why there is none: of all candidates, what stands in the way of the one that came farthest. */
enum policy_why {
    POLICY_NO_REPLICA, /* there is no candidate */
    POLICY_ALL_DOWN,   /* none is usable */
    POLICY_NO_WEIGHT,  /* those that are have weight 0 */
    POLICY_ALL_LAG,    /* beyond max_lag */
    POLICY_NO_HISTORY, /* needed is of a timeline or system that none of them follows */
    POLICY_NOT_YET,    /* none has reached what is needed: `nearest` is the one to wait for */
    POLICY_CHOSEN,
};

enum { POLICY_NONE = UINT32_MAX };

struct policy_choice {
    uint32_t index;   /* or POLICY_NONE */
    uint32_t nearest; /* of POLICY_NOT_YET: who lacks least; or POLICY_NONE */
    uint8_t why;      /* enum policy_why */
};

/* Zero is a valid turn; workers' turns should begin at different numbers. */
struct policy_turn {
    uint32_t next;
    uint64_t credit; /* the last draw by weights or slow starts */
};

/* `needed` may be none.  At most POLICY_CANDIDATE_LIMIT candidates are looked at. */
struct policy_choice policy_choose(const struct policy *policy, struct policy_turn *turn,
                                   const struct policy_candidate *candidates, size_t count,
                                   const struct position *needed);

const char *policy_why_text(enum policy_why why);

enum { POLICY_CANDIDATE_LIMIT = 64 };
