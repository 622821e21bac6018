/* Which of a pool's candidates is its primary?  Pure: handed what is known of each, and the time.
 *
 *     election_init(&election);
 *     election_judge(&election, candidates, count, now_ms, &outcome);     after each news
 *
 * The primary is the candidate that is up and not in recovery, of the newest timeline that was ever
 * seen at any of the candidates: one of an older timeline that comes back is stale, even while the
 * newer one is down, since it lacks what was acknowledged after it.  Of two on one timeline the one
 * that was the primary stays.  One that goes down or under recovery loses the role, and it is
 * nobody's until another can take it.  Who cannot be asked is believed to be what the configuration
 * says, as long as nobody is known to be the primary.
 *
 * The cluster is that of the first line `primary` that says which one it is of; others are refused.
 * Another takes its place only if one of its primaries is on a line `primary` and nobody who is up
 * is of the old one, as after pg_upgrade. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "health/standing.h"

enum { ELECTION_NONE = UINT32_MAX };

struct election_candidate {
    bool given_as_primary; /* by the configuration */
    bool is_awaited;       /* nothing has been heard of it yet, but will be */
    bool is_up;            /* may be used: its verdict, and no operator drains it */
    /* What its last good probe found; still told while it is down. */
    enum standing_role role;
    uint32_t timeline;
    uint64_t system_id;
    uint64_t lsn;
};

/* Kept from one judgement to the next. */
struct election {
    uint32_t primary; /* index of the candidate, or ELECTION_NONE */
    uint32_t epoch;   /* of changes of `primary` or of its timeline */
    uint64_t since_ms;
    uint64_t system_id; /* 0: not known yet */
    uint32_t timeline;  /* the newest */
    uint64_t first_lsn; /* of the primary */
    bool is_split;      /* more than one would take writes */
};

enum election_event {
    ELECTION_QUIET = 0,
    ELECTION_CHANGED = 1,     /* another primary, or none */
    ELECTION_SPLIT = 2,       /* a second primary of the same timeline has come */
    ELECTION_NEW_CLUSTER = 4, /* another cluster than before is the pool's */
};

/* What a candidate is then; lag is not looked at: a replica of the cluster is FRESH. */
struct election_place {
    enum standing_role role;
    enum standing_fit fit;
    bool is_assumed;
};

void election_init(struct election *e, uint64_t now_ms);
/* Writes `places` for each candidate; returns events, or'ed.  Indexes mean the same candidates from
 * one call to the next, see election_renumber(). */
unsigned election_judge(struct election *e, const struct election_candidate *candidates,
                        size_t count, uint64_t now_ms, struct election_place *places);
/* After a reload: is[old index] is the new one, or ELECTION_NONE: then it is gone, and if it was
 * the primary there is none. */
void election_renumber(struct election *e, const uint32_t *is, size_t count, uint64_t now_ms);
