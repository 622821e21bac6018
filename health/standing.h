/* What a server of an SQL pool is to its cluster: what its probe found, and what the steward makes
 * of it by looking at all of them (election.h, lag.h).  The board hands it to the workers. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proxy/base/buf.h"

enum standing_role { STANDING_ROLE_UNKNOWN, STANDING_ROLE_PRIMARY, STANDING_ROLE_REPLICA };

/* May it answer reads, and if not, why?  FRESH and LAGGING are about the pool's max_lag alone: both
 * are the cluster's own data, of a moment ago or of longer ago. */
enum standing_fit {
    STANDING_UNKNOWN, /* not probed yet or not lately, or nobody knows since when it lags */
#define STANDING(name, word, text) STANDING_##name,
#include "health/standing.def"
#undef STANDING
    STANDING_FITS, /* how many there are */
};

/* Positions are PostgreSQL's LSNs: bytes of WAL since the cluster began; 0: not known. */
struct standing {
    enum standing_role role; /* in the pool: a second primary is none */
    enum standing_fit fit;
    uint32_t timeline;       /* 0: not known */
    uint64_t system_id;      /* of the cluster; 0: not known */
    uint64_t lsn;            /* primary: all up to here is on its disk; replica: is applied */
    uint64_t received_lsn;   /* replica: has arrived */
    bool lag_is_known;       /* of a replica */
    uint64_t lag_bytes;      /* behind the newest position of the primary that is known */
    uint64_t lag_us;         /* behind the primary's own history */
    int64_t started_wall_us; /* the server's start, by its own clock: another is another process */
    uint64_t measured_us;    /* of the monotonic clock; 0: never */
    uint32_t version;        /* 150004; 0: not known */
    bool is_read_only;       /* default_transaction_read_only */
    bool replay_is_paused;   /* replica: by pg_wal_replay_pause() */
    bool is_assumed;         /* the role is what the configuration says: it could not be asked */
    /* For the steward alone, not on the board. */
    bool timeline_may_be_newer; /* replica: what it says may be as old as its last restart point */
    uint32_t receiver_pid;      /* replica: of the process that receives from somebody; 0: none */
};

const char *standing_role_name(enum standing_role role); /* "unknown", "primary", "replica" */
const char *standing_fit_word(enum standing_fit fit);    /* for metrics and JSON: "lagging" */
const char *standing_fit_text(enum standing_fit fit);    /* a sentence part */
/* The same with its figures: "lags behind the primary: 5.2 s and 81920 bytes". */
void standing_tell(const struct standing *s, struct buf *out);
