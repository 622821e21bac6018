/* From what happened to an endpoint to a verdict about it.  Pure: handed the time, random numbers
 * and events.  The steward has one judge an endpoint and gives it
 *
 *     judge_tally()   once an interval, what the workers' requests met there, be it nothing
 *     judge_probe()   the outcome of each probe
 *     judge_drain()   what the operator wants
 *
 * and publishes judge_verdict() on the board.
 *
 *                 `fall` probes failed in a row, or one was fatal,
 *                 or the breaker: many requests failed
 *       UP ---------------------------------------------------> DOWN <--+
 *        ^                                                        |      | a request or probe
 *        | trial requests succeeded, or                           |      | failed: next back-off
 *        | `rise` more probes where nobody asked                  v      |
 *        +-------------------------------------------------- HALF_OPEN --+
 *                                        back-off over, and `rise` probes good (if there are any)
 *
 * Good probes alone do not close a breaker: requests may fail where probes do not.  Least of all
 * after what is fatal, such as a wrong stamp: only a good request ends that.  The back-off doubles
 * with every fall and starts afresh after a calm time up, so one that flaps stays out longer each
 * time.  Back in, its weight grows in steps (slow start). */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "health/reason.h"

enum verdict_state { VERDICT_UP, VERDICT_DOWN, VERDICT_HALF_OPEN, VERDICT_DRAINING };

struct verdict {
    enum verdict_state state;
    enum health_reason reason; /* DOWN: why; UP: a note, or HEALTH_FINE */
    uint8_t weight_percent;    /* of its configured share: less in slow start, 0 if it gets none */
    uint64_t since_ms;         /* of the monotonic clock; the state's beginning */
};

/* Zero in any member means the default in its comment. */
struct judge_settings {
    uint32_t rise;             /* 2 good probes in a row */
    uint32_t fall;             /* 3 failed probes in a row */
    uint32_t breaker_failures; /* 5 failed requests at least, and */
    uint32_t breaker_percent;  /* 50 of all in the interval */
    uint32_t trial_successes;  /* 1 good request while half open, and none that failed */
    uint32_t backoff_first_ms; /* 500 */
    uint32_t backoff_most_ms;  /* 30000 */
    uint32_t calm_ms;          /* 60000 up, until the back-off is forgotten */
    uint32_t slow_start_ms;    /* off */
    uint32_t slow_us;          /* off; a typical latency above it is told, and gets half */
};

/* What requests met at one endpoint in one interval. */
struct judge_tally {
    uint64_t successes;
    uint64_t failures[HEALTH_REASONS]; /* notes too: their replies count as successes as well */
    uint64_t latency_us;               /* typical, such as the median; 0: not known */
};

struct judge {
    struct judge_settings settings; /* complete */
    enum verdict_state state;       /* never DRAINING: that is `draining` */
    enum health_reason reason;      /* why it is down */
    enum health_reason note;        /* what the last good probe added */
    enum health_reason heard;       /* what replies said of it in the last interval that had some */
    uint64_t since_ms;
    uint64_t retry_at_ms;   /* while down */
    uint32_t backoff_level; /* falls without calm between them */
    uint32_t good_run;      /* probes since the last bad one or change of state */
    uint32_t bad_run;       /* and the other way round */
    uint64_t failed_run;    /* requests failed since the last interval that knew a success */
    uint64_t trials_good;   /* requests while half open */
    uint32_t slow_run;      /* intervals */
    bool has_probes;
    bool is_seen;  /* by probes: what is fatal, so they see the end of it, too */
    bool starting; /* in slow start */
    bool draining;
    uint64_t draining_since_ms;
};

/* Starts as UP; NULL settings are all defaults. */
void judge_init(struct judge *j, const struct judge_settings *settings, uint64_t now_ms);
/* New settings at a reload; the state is kept. */
void judge_configure(struct judge *j, const struct judge_settings *settings);
/* True if the verdict's state changed. */
bool judge_tally(struct judge *j, uint64_t now_ms, const struct judge_tally *tally,
                 uint32_t random);
bool judge_probe(struct judge *j, uint64_t now_ms, enum health_reason outcome, uint32_t random);
bool judge_drain(struct judge *j, uint64_t now_ms, bool draining);

struct verdict judge_verdict(const struct judge *j, uint64_t now_ms);
const char *judge_state_name(enum verdict_state state); /* "up", "down", "half-open", "draining" */
