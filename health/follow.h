/* Does a replica follow the primary, if it may not tell which timeline it is on?  An ordinary user
 * is told a replica's timeline as of its last restart point, minutes ago.  Pure.
 *
 * It is concluded from three things together: nobody who is known would write another history (a
 * stale primary that is up); the replica has received from one process for some probes since the
 * primary became it, so somebody accepted where it stands; and what it has applied lies within what
 * the primary was seen to write, no further behind than a replica that streams.  One that has
 * another history may do one of these by chance. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct follow {
    uint32_t epoch, receiver_pid;
    uint32_t run; /* sights of it since both are what they are */
    bool is_concluded;
};

struct follow_sight {
    bool is_new;           /* the replica was asked since the last call */
    uint32_t epoch;        /* of the election; there is a primary */
    uint32_t receiver_pid; /* 0: it receives nothing */
    bool is_alone;         /* no other server would write */
    bool moves_along;      /* with the primary */
};

/* Zero is one that nothing is known of.  True if it follows. */
bool follow_judge(struct follow *f, const struct follow_sight *sight);
